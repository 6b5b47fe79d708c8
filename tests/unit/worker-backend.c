/* SPDX-License-Identifier: MIT */
/* See worker-backend.h. */
#include "tests/unit/worker-backend.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/cleanup.h"

#define STEPS_MAX 4096u

static struct worker_supervisor *worker_of(struct vtd_supervisor *supervisor)
{
        return (struct worker_supervisor *)supervisor;
}

int vtd_supervisor_open_device(struct vtd_supervisor *supervisor, uint32_t index, int *fd)
{
        struct worker_supervisor *s = worker_of(supervisor);
        struct vtd_sim_device_identity identity;

        if (s->files[index])
                return VTD_SUPERVISOR_E_HELD;
        if (vtd_sim_device_create("edu", fd) != 0 ||
            vtd_sim_device_map(*fd, &s->files[index], &identity) != 0)
                abort();
        return 0;
}

int vtd_supervisor_close_device(struct vtd_supervisor *supervisor, uint32_t index)
{
        struct worker_supervisor *s = worker_of(supervisor);

        s->files[index] = vtd_sim_device_unmap(s->files[index]);
        return 0;
}

void vtd_supervisor_audit(struct vtd_supervisor *supervisor, union vtd_control_record *record)
{
        (void)supervisor;
        (void)record;
}

int vtd_supervisor_greeted(struct vtd_supervisor *supervisor)
{
        (void)supervisor;
        return 0;
}

int vtd_supervisor_dispatch(struct vtd_supervisor *supervisor)
{
        (void)supervisor;
        return 0;
}

static void serve(struct worker_backend *worker)
{
        unsigned delay_ms;
        int r;

        r = vtd_vm_request(worker->vm, worker->record, worker->record_length, &worker->fds,
                           worker->reply, &worker->reply_length, &delay_ms);
        vtd_fd_list_deinit(&worker->fds);
        worker->violated = r != 0;
        worker->served = true;
}

static int worker_submit(struct vtd_backend *backend, struct vtd_request *request, int fd)
{
        struct worker_backend *worker = (struct worker_backend *)backend;

        /* The seam allows one unanswered request: a second one is the frontend's mistake. */
        if (worker->type)
                abort();
        if (worker->violated)
                return VTD_BACKEND_E_LOST;
        request->sequence = ++worker->sequence;
        if (vtd_codec_encode_request(request, worker->record, &worker->record_length) != 0)
                abort();
        vtd_fd_list_init(&worker->fds);
        if (fd >= 0) {
                worker->fds.fds[0] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                if (worker->fds.fds[0] < 0)
                        return VTD_BACKEND_E_LOST; /* as sending it would fail */
                worker->fds.count = 1;
        }
        worker->type = request->type;
        worker->served = false;
        worker->requests++;
        if (!worker->late)
                serve(worker);
        return 0;
}

static int worker_collect(struct vtd_backend *backend, struct vtd_reply *reply, int timeout_ms)
{
        struct worker_backend *worker = (struct worker_backend *)backend;
        enum vtd_request_type type = worker->type;

        if (!type)
                return worker->violated ? VTD_BACKEND_E_LOST : VTD_BACKEND_E_AGAIN;
        if (worker->hold && timeout_ms == 0)
                return VTD_BACKEND_E_AGAIN;
        if (!worker->served)
                serve(worker);
        worker->type = 0;
        if (worker->violated)
                return VTD_BACKEND_E_LOST;
        if (vtd_codec_decode_reply(&worker->codec, reply, type, worker->sequence, worker->reply,
                                   worker->reply_length, 0) != 0)
                abort();
        return 0;
}

/* For show: these tests never poll it. */
static int worker_get_fd(const struct vtd_backend *backend)
{
        (void)backend;
        return 1000;
}

static struct vtd_backend *worker_free(struct vtd_backend *backend)
{
        struct worker_backend *worker = (struct worker_backend *)backend;

        vtd_fd_list_deinit(&worker->fds);
        vtd_vm_end(worker->vm, VTD_AUDIT_EVENT_CONNECTION_ENDED);
        worker->vm = vtd_vm_free(worker->vm);
        for (unsigned i = 0; i < WORKER_DEVICES; i++)
                if (worker->supervisor.files[i])
                        abort(); /* every device must have been given back */
        free(worker);
        return NULL;
}

static const struct vtd_backend_ops worker_ops = {
        .submit = worker_submit,
        .collect = worker_collect,
        .get_fd = worker_get_fd,
        .free = worker_free,
};

static void fill_policy(struct vtd_policy *policy)
{
        static const uint64_t limits[VTD_POLICY_LIMIT_COUNT] = {
                [VTD_POLICY_MEMORY] = UINT64_C(1) << 30,
                [VTD_POLICY_MAPPINGS] = 4,
                [VTD_POLICY_DEVICES] = WORKER_DEVICES,
                [VTD_POLICY_FIRST_STAGE_TABLES] = 2 * WORKER_DEVICES,
                [VTD_POLICY_ADDRESS_WIDTH] = 48,
                [VTD_POLICY_INVALIDATE_RATE] = 10000000,
                [VTD_POLICY_INVALIDATE_BURST] = 65536,
        };

        *policy = (struct vtd_policy){
                .version = VTD_POLICY_VERSION,
                .tenant = "blue",
                .file = "blue.policy",
                .modes = VTD_POLICY_MODE_BLOCKED | VTD_POLICY_MODE_PASSTHROUGH |
                         VTD_POLICY_MODE_FIRST_STAGE,
                .n_devices = WORKER_DEVICES,
        };
        for (uint32_t i = 0; i < VTD_POLICY_LIMIT_COUNT; i++)
                policy->limits[i].value = limits[i];
        for (uint32_t i = 0; i < WORKER_DEVICES; i++) {
                struct vtd_policy_device *device = &policy->devices[i];

                (void)snprintf(device->name, sizeof(device->name), "dev%u", i);
                (void)snprintf(device->address, sizeof(device->address), "edu");
                device->source = VTD_POLICY_SOURCE_SIMULATED;
                device->regions_read = 1;
                device->regions_write = 1;
        }
}

struct worker_backend *worker_backend_new(void)
{
        struct worker_backend *worker = calloc(1, sizeof(*worker));
        struct vtd_vm_config config;
        struct vtd_host *host;

        if (!worker || vtd_host_open(&host, -1) != 0)
                abort();
        worker->base.ops = &worker_ops;
        worker->supervisor.base.socket = -1;
        vtd_fd_list_init(&worker->fds);
        fill_policy(&worker->policy);
        config = (struct vtd_vm_config){.policy = &worker->policy,
                                        .host_kind = VTD_HOST_SIMULATED,
                                        .audit_level = VTD_AUDIT_REFUSALS,
                                        .host = host,
                                        .supervisor = &worker->supervisor.base};
        if (vtd_vm_new(&worker->vm, &config) != 0)
                abort();
        return worker;
}

struct vtd_sim_device_file *worker_backend_device(struct worker_backend *worker, unsigned number)
{
        return worker->supervisor.files[number];
}

void worker_backend_step(struct worker_backend *worker)
{
        for (unsigned i = 0; i < STEPS_MAX; i++)
                if (!vtd_vm_step(worker->vm))
                        return;
        abort();
}
