/* SPDX-License-Identifier: MIT */
/* See broker.h. */
#include "tests/fuzz/broker.h"

#include <string.h>

#include "frontend/capabilities.h"
#include "shared/checked.h"
#include "tests/fuzz/fuzz.h"

/* Attachments that ask for the same share a table, as they do in the broker. */
static uint64_t table_of(const struct vtd_attach_request *request)
{
        if (request->mode != VTD_ATTACH_FIRST_STAGE)
                return 0;
        return request->root | (request->address_width == 57 ? 0x300 : 0x100) | request->flags;
}

const struct fuzz_attachment *fuzz_broker_find(const struct fuzz_broker *broker, uint64_t device,
                                               uint32_t pasid)
{
        for (size_t i = 0; i < broker->count; i++)
                if (broker->attachments[i].device == device &&
                    broker->attachments[i].pasid == pasid)
                        return &broker->attachments[i];
        return NULL;
}

bool fuzz_broker_uses(const struct fuzz_broker *broker, uint64_t table)
{
        for (size_t i = 0; i < broker->count; i++)
                if (broker->attachments[i].table == table)
                        return true;
        return false;
}

static bool is_plugged(const struct fuzz_broker *broker, uint64_t device)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(broker->devices); i++)
                if (device != 0 && broker->devices[i] == device)
                        return true;
        return false;
}

static void detach_at(struct fuzz_broker *broker, size_t index)
{
        broker->attachments[index] = broker->attachments[--broker->count];
}

static void detach(struct fuzz_broker *broker, uint64_t device, uint32_t pasid)
{
        for (size_t i = 0; i < broker->count; i++) {
                if (broker->attachments[i].device == device &&
                    broker->attachments[i].pasid == pasid) {
                        detach_at(broker, i);
                        return;
                }
        }
}

static void detach_table(struct fuzz_broker *broker, uint64_t table)
{
        size_t i = 0;

        while (i < broker->count) {
                if (broker->attachments[i].table == table)
                        detach_at(broker, i);
                else
                        i++;
        }
}

static void unplug(struct fuzz_broker *broker, uint64_t device)
{
        size_t i = 0;

        while (i < broker->count) {
                if (broker->attachments[i].device == device)
                        detach_at(broker, i);
                else
                        i++;
        }
        for (i = 0; i < VTD_ARRAY_SIZE(broker->devices); i++)
                if (broker->devices[i] == device)
                        broker->devices[i] = 0;
}

static uint64_t plug(struct fuzz_broker *broker)
{
        size_t i = 0;

        while (i < VTD_ARRAY_SIZE(broker->devices) && broker->devices[i] != 0)
                i++;
        FUZZ_REQUIRE(i < VTD_ARRAY_SIZE(broker->devices));
        broker->devices[i] = ++broker->next_device;
        return broker->devices[i];
}

static void attach(struct fuzz_broker *broker, const struct vtd_attach_request *request)
{
        size_t pasids = 0;

        detach(broker, request->device, request->pasid);
        if (request->mode == VTD_ATTACH_BLOCKED)
                return;
        FUZZ_REQUIRE(broker->count < FUZZ_ATTACHMENTS);
        broker->attachments[broker->count++] = (struct fuzz_attachment){
                .device = request->device,
                .pasid = request->pasid,
                .mode = request->mode,
                .root = request->root,
                .table = table_of(request),
                .address_width = request->address_width,
                .flags = request->flags,
        };
        for (size_t i = 0; i < broker->count; i++)
                pasids += broker->attachments[i].pasid != VTD_NO_PASID;
        FUZZ_REQUIRE(pasids <= broker->pasids);
}

static void judge_attach(const struct fuzz_broker *broker, const struct vtd_attach_request *request)
{
        bool first_stage = request->mode == VTD_ATTACH_FIRST_STAGE;

        FUZZ_REQUIRE(is_plugged(broker, request->device));
        FUZZ_REQUIRE(vtd_is_page_aligned(request->root) && request->root >> 52 == 0);
        FUZZ_REQUIRE(first_stage || request->root == 0);
        FUZZ_REQUIRE(first_stage ? request->address_width == 48 ||
                                           request->address_width == broker->guest_address_width
                                 : request->address_width == 0);
        FUZZ_REQUIRE((request->flags & ~(first_stage ? broker->guest_flags : 0)) == 0);
        FUZZ_REQUIRE(request->pasid >> broker->guest_pasid_bits == 0);
        if (request->mode == VTD_ATTACH_BLOCKED)
                FUZZ_REQUIRE(fuzz_broker_find(broker, request->device, request->pasid));
}

static void judge_invalidate(const struct fuzz_broker *broker,
                             const struct vtd_invalidate_request *request)
{
        unsigned width = request->table & 0x200 ? 57 : 48;

        FUZZ_REQUIRE(fuzz_broker_uses(broker, request->table));
        FUZZ_REQUIRE(request->count >= 1 && request->count <= VTD_LIMIT_INVALIDATE_ENTRIES);
        for (size_t i = 0; i < request->count; i++) {
                const struct vtd_invalidate_entry *entry = &request->entries[i];

                if (entry->pages == VTD_INVALIDATE_ALL) {
                        FUZZ_REQUIRE(entry->address == 0 && !entry->leaf && request->count == 1);
                        continue;
                }
                FUZZ_REQUIRE(vtd_is_page_aligned(entry->address));
                FUZZ_REQUIRE(entry->pages <= UINT64_C(1) << (width - VTD_PAGE_SHIFT));
                FUZZ_REQUIRE(vtd_range_within(entry->address, entry->pages * VTD_PAGE_SIZE,
                                              UINT64_C(1) << width));
        }
}

/* What is encoded, decoded and encoded again must be the same record. */
static void judge_encoding(struct fuzz_broker *broker, const struct vtd_request *request)
{
        uint8_t record[VTD_FRAME_SIZE_MAX], again[VTD_FRAME_SIZE_MAX];
        const struct vtd_request_kind *kind = vtd_request_kind(request->type);
        struct vtd_request decoded;
        size_t length, length_again;

        FUZZ_REQUIRE(kind != NULL);
        FUZZ_REQUIRE(vtd_codec_encode_request(request, record, &length) == 0);
        FUZZ_REQUIRE(vtd_codec_decode_request(&broker->codec, &decoded, record, length,
                                              kind->fd_count) == 0);
        FUZZ_REQUIRE(vtd_codec_encode_request(&decoded, again, &length_again) == 0);
        FUZZ_REQUIRE(length == length_again && memcmp(record, again, length) == 0);
}

static int broker_submit(struct vtd_backend *backend, struct vtd_request *request, int fd)
{
        struct fuzz_broker *broker = (struct fuzz_broker *)backend;

        if (broker->before)
                broker->before(broker->opaque);
        FUZZ_REQUIRE(!broker->unanswered);
        if (broker->lost)
                return VTD_BACKEND_E_LOST;
        request->sequence = ++broker->sequence;
        judge_encoding(broker, request);
        FUZZ_REQUIRE((fd >= 0) == (vtd_request_kind(request->type)->fd_count > 0));
        if (request->type == VTD_REQUEST_ATTACH) {
                broker->attaches++;
                judge_attach(broker, &request->attach);
        } else if (request->type == VTD_REQUEST_INVALIDATE) {
                broker->invalidates++;
                judge_invalidate(broker, &request->invalidate);
        } else if (request->type == VTD_REQUEST_UNPLUG_DEVICE) {
                FUZZ_REQUIRE(is_plugged(broker, request->unplug_device.device));
        } else if (request->type == VTD_REQUEST_REGION_READ ||
                   request->type == VTD_REQUEST_REGION_WRITE) {
                FUZZ_REQUIRE(is_plugged(broker, request->region.device));
        } else if (request->type >= VTD_REQUEST_GET_DEVICE_INFO) {
                FUZZ_REQUIRE(is_plugged(broker, request->device.device));
        }
        broker->last = *request;
        broker->unanswered = true;
        return 0;
}

/* What is refused leaves what it was about blocked, as the protocol says. */
static void refuse(struct fuzz_broker *broker, struct vtd_reply *reply)
{
        const struct vtd_request *request = &broker->last;

        if (!broker->keep_refusing)
                broker->refused = 0;
        reply->refused = true;
        reply->refusal = (struct vtd_refusal){
                .status = vtd_reason_status(broker->reason), .reason = broker->reason, .asked = 7};
        if (request->type == VTD_REQUEST_ATTACH)
                detach(broker, request->attach.device, request->attach.pasid);
        if (request->type == VTD_REQUEST_UNPLUG_DEVICE)
                unplug(broker, request->unplug_device.device);
        if (request->type == VTD_REQUEST_INVALIDATE &&
            (broker->reason == VTD_REASON_HOST_FAILED || broker->reason == VTD_REASON_TABLE_HANDLE))
                detach_table(broker, request->invalidate.table);
}

static void carry_out(struct fuzz_broker *broker, struct vtd_reply *reply)
{
        const struct vtd_request *request = &broker->last;

        if (request->type == VTD_REQUEST_HELLO) {
                reply->hello = (struct vtd_hello_reply){.major = VTD_PROTOCOL_MAJOR,
                                                        .minor = VTD_PROTOCOL_MINOR,
                                                        .host = VTD_HOST_SIMULATED,
                                                        .modes = broker->modes,
                                                        .pasids = broker->pasids};
        } else if (request->type == VTD_REQUEST_PLUG_DEVICE) {
                reply->plug_device.device = plug(broker);
                reply->plug_device.cap = broker->cap;
                reply->plug_device.ecap = broker->ecap;
                reply->plug_device.pasid_bits = broker->pasid_bits;
        } else if (request->type == VTD_REQUEST_UNPLUG_DEVICE) {
                unplug(broker, request->unplug_device.device);
        } else if (request->type == VTD_REQUEST_MAP_MEMORY) {
                reply->map_memory.mapping = 0x33;
        } else if (request->type == VTD_REQUEST_ATTACH) {
                attach(broker, &request->attach);
                reply->attach.table = broker->no_table ? 0 : table_of(&request->attach);
        } else if (request->type == VTD_REQUEST_INVALIDATE) {
                broker->invalidated(broker->opaque, &request->invalidate);
        }
}

static int broker_collect(struct vtd_backend *backend, struct vtd_reply *reply, int timeout_ms)
{
        struct fuzz_broker *broker = (struct fuzz_broker *)backend;

        if (broker->before)
                broker->before(broker->opaque);
        if (broker->lost)
                return VTD_BACKEND_E_LOST;
        if (!broker->unanswered || (broker->hold && timeout_ms == 0))
                return VTD_BACKEND_E_AGAIN;
        broker->unanswered = false;
        *reply = (struct vtd_reply){.type = broker->last.type, .sequence = broker->last.sequence};
        if (broker->refused == broker->last.type)
                refuse(broker, reply);
        else
                carry_out(broker, reply);
        return 0;
}

static int broker_get_fd(const struct vtd_backend *backend)
{
        (void)backend;
        return 1000;
}

static struct vtd_backend *broker_free(struct vtd_backend *backend)
{
        free(backend);
        return NULL;
}

static const struct vtd_backend_ops broker_ops = {
        .submit = broker_submit,
        .collect = broker_collect,
        .get_fd = broker_get_fd,
        .free = broker_free,
};

struct fuzz_broker *fuzz_broker_new(void)
{
        struct fuzz_broker *broker = calloc(1, sizeof(*broker));

        FUZZ_REQUIRE(broker != NULL);
        broker->base.ops = &broker_ops;
        broker->modes = 7;
        broker->pasids = 8;
        broker->pasid_bits = 20;
        broker->guest_address_width = 48;
        broker->cap = UINT64_C(56) << VTD_CAP_MGAW_SHIFT;
        return broker;
}
