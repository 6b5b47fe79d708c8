/* SPDX-License-Identifier: MIT */
/* See fake-backend.h. */
#include "tests/unit/fake-backend.h"

#include <stdlib.h>

uint64_t fake_backend_table(uint64_t root)
{
        return 0x700000000 | root >> 12;
}

static int fake_submit(struct vtd_backend *backend, struct vtd_request *request, int fd)
{
        struct fake_backend *fake = (struct fake_backend *)backend;

        /* The seam allows one unanswered request: a second one is the frontend's mistake. */
        if (fake->unanswered)
                abort();
        if (fake->lost)
                return VTD_BACKEND_E_LOST;
        request->sequence = ++fake->sequence;
        fake->last = *request;
        fake->last_fd = fd;
        fake->unanswered = true;
        if (fake->count < FAKE_REQUESTS)
                fake->requests[fake->count] = *request;
        fake->count++;
        return 0;
}

static void answer(struct fake_backend *fake, struct vtd_reply *reply)
{
        const struct vtd_request *request = &fake->last;

        *reply = (struct vtd_reply){.type = request->type, .sequence = request->sequence};
        if (fake->refused == request->type) {
                if (!fake->keep_refusing)
                        fake->refused = 0;
                reply->refused = true;
                reply->refusal = (struct vtd_refusal){.status = vtd_reason_status(fake->reason),
                                                      .reason = fake->reason,
                                                      .asked = 7,
                                                      .allowed = 5};
                return;
        }
        if (request->type == VTD_REQUEST_HELLO) {
                reply->hello = (struct vtd_hello_reply){.major = 1,
                                                        .minor = VTD_PROTOCOL_MINOR,
                                                        .host = VTD_HOST_SIMULATED,
                                                        .modes = fake->modes,
                                                        .pasids = fake->pasids};
        } else if (request->type == VTD_REQUEST_PLUG_DEVICE) {
                reply->plug_device.device = ++fake->devices;
                reply->plug_device.cap = fake->cap;
                reply->plug_device.ecap = fake->ecap;
                reply->plug_device.pasid_bits = fake->pasid_bits;
        } else if (request->type == VTD_REQUEST_UNPLUG_DEVICE) {
                fake->unplugs++;
        } else if (request->type == VTD_REQUEST_MAP_MEMORY) {
                reply->map_memory.mapping = 0x33;
        } else if (request->type == VTD_REQUEST_ATTACH &&
                   request->attach.mode == VTD_ATTACH_FIRST_STAGE && !fake->no_table) {
                reply->attach.table = fake_backend_table(request->attach.root);
        } else if (request->type == VTD_REQUEST_REGION_READ) {
                reply->region_read.value = 0x1234;
        } else if (request->type == VTD_REQUEST_GET_DEVICE_INFO) {
                reply->device_info = fake->info;
        } else if (request->type == VTD_REQUEST_CONFIG_READ) {
                reply->config_read.value = 0x12345678;
        }
}

static int fake_collect(struct vtd_backend *backend, struct vtd_reply *reply, int timeout_ms)
{
        struct fake_backend *fake = (struct fake_backend *)backend;

        if (fake->lost)
                return VTD_BACKEND_E_LOST;
        if (!fake->unanswered || (fake->hold && timeout_ms == 0))
                return VTD_BACKEND_E_AGAIN;
        fake->unanswered = false;
        answer(fake, reply);
        return 0;
}

static int fake_get_fd(const struct vtd_backend *backend)
{
        (void)backend;
        return 1000;
}

static struct vtd_backend *fake_free(struct vtd_backend *backend)
{
        free(backend);
        return NULL;
}

static const struct vtd_backend_ops fake_ops = {
        .submit = fake_submit,
        .collect = fake_collect,
        .get_fd = fake_get_fd,
        .free = fake_free,
};

struct fake_backend *fake_backend_new(void)
{
        struct fake_backend *fake = calloc(1, sizeof(*fake));

        if (!fake)
                abort();
        fake->base.ops = &fake_ops;
        fake->modes = 7;
        fake->pasid_bits = 20;
        fake->cap = UINT64_C(47) << 16;
        return fake;
}

void fake_backend_forget(struct fake_backend *fake)
{
        fake->count = 0;
}
