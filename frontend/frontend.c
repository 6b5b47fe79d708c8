/* SPDX-License-Identifier: MIT */
/*
 * The public functions: configuration, connecting, and the requests that wait for the broker.  What
 * a guest sets off is in engine.c.
 */
#include "frontend/frontend-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "frontend/attachments.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"
#include "shared/record.h"

#define HELLO_TIMEOUT_MS 10000
/* The broker is watched by its supervisor: the time until it answers or is gone is its matter. */
#define ANSWER_POLL_MS 1000

_Static_assert((int)VTD_FRONTEND_BINDING_BLOCKED == (int)VTD_ATTACH_BLOCKED &&
                       (int)VTD_FRONTEND_BINDING_PASSTHROUGH == (int)VTD_ATTACH_PASSTHROUGH &&
                       (int)VTD_FRONTEND_BINDING_FIRST_STAGE == (int)VTD_ATTACH_FIRST_STAGE,
               "bindings are shown to the VMM by the protocol's numbers");

static void log_to_vmm(void *opaque, enum vtd_log_level level, const char *line)
{
        const struct vtd_guest *guest = opaque;

        guest->callbacks.log(guest->opaque, (enum vtd_frontend_log_level)level, line);
}

int vtd_frontend_new(struct vtd_frontend **out, const struct vtd_frontend_config *config,
                     const struct vtd_frontend_callbacks *callbacks, void *opaque)
{
        struct vtd_frontend *frontend;
        struct vtd_guest guest = {.callbacks = *callbacks, .opaque = opaque};
        struct vtd_log log = {.sink = callbacks->log ? log_to_vmm : NULL,
                              .opaque = &guest,
                              .threshold = VTD_LOG_DEBUG};
        int r;

        if (!callbacks->read_memory || !callbacks->write_memory || !callbacks->send_message)
                return vtd_fail(&log, -EINVAL,
                                "read_memory, write_memory and send_message must be given");
        r = vtd_capabilities_check(&log, config);
        if (r != 0)
                return r;
        frontend = aligned_alloc(alignof(struct vtd_frontend), sizeof(*frontend));
        if (!frontend)
                return -ENOMEM;
        memset(frontend, 0, sizeof(*frontend));
        frontend->config = *config;
        frontend->log = log;
        frontend->log.opaque = &frontend->engine.guest;
        frontend->engine.guest = guest;
        frontend->engine.log = &frontend->log;
        frontend->engine.refusal = &frontend->refusal;
        frontend->engine.capabilities = vtd_capabilities_of(config);
        r = vtd_dma_init(&frontend->engine.dma, &frontend->engine.guest,
                         &frontend->engine.capabilities);
        if (r != 0) {
                free(frontend);
                return r;
        }
        r = -pthread_mutex_init(&frontend->lock, NULL);
        if (r != 0) {
                vtd_dma_deinit(&frontend->engine.dma);
                free(frontend);
                return r;
        }
        vtd_engine_reset(&frontend->engine);
        (void)vtd_engine_take_change(&frontend->engine); /* nobody knows of what was before */
        *out = frontend;
        return 0;
}

struct vtd_frontend *vtd_frontend_free(struct vtd_frontend *frontend)
{
        if (!frontend)
                return NULL;
        if (frontend->engine.backend)
                frontend->engine.backend->ops->free(frontend->engine.backend);
        (void)pthread_mutex_destroy(&frontend->lock);
        vtd_dma_deinit(&frontend->engine.dma);
        free(frontend);
        return NULL;
}

void vtd_frontend_refusal(const struct vtd_frontend *frontend, struct vtd_frontend_refusal *refusal)
{
        const struct vtd_refusal *last = &frontend->refusal;

        *refusal = (struct vtd_frontend_refusal){
                .status = last->status,
                .reason = last->reason,
                .status_name = last->status ? vtd_status_name(last->status) : NULL,
                .reason_name = last->reason ? vtd_reason_name(last->reason) : NULL,
                .asked = last->asked,
                .allowed = last->allowed,
        };
}

/* Greets a broker that is not the unit's yet. */
static int greet(struct vtd_frontend *frontend, struct vtd_backend *backend,
                 struct vtd_reply *reply)
{
        struct vtd_request request = {
                .type = VTD_REQUEST_HELLO,
                .hello = {.major = VTD_PROTOCOL_MAJOR, .minor = VTD_PROTOCOL_MINOR},
        };
        struct timespec start, now;
        int64_t left = HELLO_TIMEOUT_MS;
        int r;

        if (backend->ops->submit(backend, &request, -1) != 0)
                return VTD_FRONTEND_LOST;
        frontend->engine.stats.requests++;
        frontend->engine.stats.last_sequence = request.sequence;
        (void)clock_gettime(CLOCK_MONOTONIC, &start);
        do {
                r = backend->ops->collect(backend, reply, (int)left);
                (void)clock_gettime(CLOCK_MONOTONIC, &now);
                left = HELLO_TIMEOUT_MS - ((int64_t)(now.tv_sec - start.tv_sec) * 1000 +
                                           (now.tv_nsec - start.tv_nsec) / 1000000);
        } while (r == VTD_BACKEND_E_AGAIN && left > 0);
        if (r == VTD_BACKEND_E_AGAIN)
                return vtd_fail(&frontend->log, VTD_FRONTEND_LOST,
                                "the broker has not answered Hello within %d ms", HELLO_TIMEOUT_MS);
        if (r != 0)
                return VTD_FRONTEND_LOST;
        if (reply->refused) {
                frontend->refusal = reply->refusal;
                return VTD_FRONTEND_REFUSED;
        }
        if (reply->hello.major != VTD_PROTOCOL_MAJOR)
                return vtd_fail(&frontend->log, VTD_FRONTEND_LOST,
                                "the broker speaks protocol %u, %u is known", reply->hello.major,
                                VTD_PROTOCOL_MAJOR);
        return 0;
}

int vtd_frontend_set_backend(struct vtd_frontend *frontend, struct vtd_backend *backend,
                             struct vtd_frontend_broker *broker)
{
        struct vtd_reply reply;
        int r;

        if (frontend->engine.backend)
                return -EISCONN;
        r = greet(frontend, backend, &reply);
        if (r != 0) {
                backend->ops->free(backend);
                return r;
        }
        frontend->engine.backend = backend;
        frontend->engine.minor = reply.hello.minor;
        frontend->engine.modes = reply.hello.modes;
        frontend->engine.pasids = reply.hello.pasids;
        if (broker)
                *broker = (struct vtd_frontend_broker){
                        .simulated = reply.hello.host == VTD_HOST_SIMULATED,
                        .memory = reply.hello.memory,
                        .mappings = reply.hello.mappings,
                        .devices = reply.hello.devices,
                        .first_stage_tables = reply.hello.first_stage_tables,
                        .pasids = reply.hello.pasids,
                };
        return 0;
}

int vtd_frontend_connect_fd(struct vtd_frontend *frontend, int fd,
                            struct vtd_frontend_broker *broker)
{
        struct vtd_backend *backend;
        int r;

        if (frontend->engine.backend)
                return -EISCONN;
        r = vtd_record_adopt(fd);
        if (r != 0)
                return r;
        r = vtd_client_new(&backend, fd, &frontend->log);
        if (r != 0)
                return r;
        return vtd_frontend_set_backend(frontend, backend, broker);
}

int vtd_frontend_connect(struct vtd_frontend *frontend, const char *path,
                         struct vtd_frontend_broker *broker)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        size_t length = strlen(path);
        VTD_CLEANUP_FD int fd = -1;
        int r;

        if (frontend->engine.backend)
                return -EISCONN;
        if (length >= sizeof(address.sun_path))
                return vtd_fail(&frontend->log, -ENAMETOOLONG,
                                "socket path of %zu bytes, at most %zu are possible", length,
                                sizeof(address.sun_path) - 1);
        memcpy(address.sun_path, path, length);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return vtd_errno();
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
                r = vtd_errno();
                return vtd_fail(&frontend->log, r, "connecting to %s failed: %s", path,
                                strerror(-r));
        }
        r = vtd_frontend_connect_fd(frontend, fd, broker);
        if (r >= 0)
                fd = -1; /* owned by the unit, or closed with the connection that failed */
        return r;
}

/*
 * Without the lock, for which a thread may wait that remaps an interrupt or translates, while it holds
 * what the VMM has interrupts delivered or the guest stopped under.
 */
static void deliver(struct vtd_frontend *frontend, const struct vtd_engine_output *output)
{
        const struct vtd_guest *guest = &frontend->engine.guest;

        vtd_guest_deliver(guest, &output->fault);
        vtd_guest_deliver(guest, &output->invalidation);
        if (output->broker_lost && guest->callbacks.broker_lost)
                guest->callbacks.broker_lost(guest->opaque);
}

int vtd_frontend_call(struct vtd_frontend *frontend, struct vtd_request *request, int fd,
                      struct vtd_reply *reply)
{
        struct vtd_engine *engine = &frontend->engine;
        struct vtd_engine_output output;
        int r;

        if (!engine->backend || engine->lost)
                return VTD_FRONTEND_LOST;
        if (engine->outstanding)
                return VTD_FRONTEND_BUSY;
        r = vtd_engine_submit(engine, request, fd);
        if (r == 0)
                do
                        r = engine->backend->ops->collect(engine->backend, reply, ANSWER_POLL_MS);
                while (r == VTD_BACKEND_E_AGAIN);
        if (r != 0) {
                vtd_engine_lose(engine);
                output = vtd_engine_take_output(engine);
                deliver(frontend, &output);
                return VTD_FRONTEND_LOST;
        }
        if (reply->refused) {
                frontend->refusal = reply->refusal;
                return VTD_FRONTEND_REFUSED;
        }
        return 0;
}

static int unplug_handle(struct vtd_frontend *frontend, uint64_t device)
{
        struct vtd_request request = {.type = VTD_REQUEST_UNPLUG_DEVICE,
                                      .unplug_device = {.device = device}};
        struct vtd_reply reply;

        return vtd_frontend_call(frontend, &request, -1, &reply);
}

static bool copy_name(struct vtd_name *out, const char *name)
{
        static const char allowed[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
        size_t length = strnlen(name, sizeof(out->text));

        if (length == 0 || length == sizeof(out->text) || strspn(name, allowed) != length)
                return false;
        memset(out, 0, sizeof(*out));
        memcpy(out->text, name, length);
        return true;
}

/* What the guest was promised, against what this device's host IOMMU can do. */
static int check_host(struct vtd_frontend *frontend, const char *name,
                      const struct vtd_plug_device_reply *host)
{
        const struct vtd_frontend_config *config = &frontend->config;
        unsigned host_bits = (unsigned)((host->cap >> VTD_CAP_MGAW_SHIFT) & VTD_CAP_MGAW_MASK) + 1;
        const struct {
                const char *what;
                bool promised;
                uint64_t kept;
        } promises[] = {
                {"first-stage 1 GiB pages", config->first_stage_1gib, host->cap & VTD_CAP_FS1GP},
                {"five-level first-stage tables", config->first_stage_5level,
                 host->cap & VTD_CAP_FS5LP},
                {"supervisor requests", config->supervisor_requests, host->ecap & VTD_ECAP_SRS},
                {"extended accessed bits", config->extended_accessed, host->ecap & VTD_ECAP_EAFS},
                {"snoop control", config->snoop_control, host->ecap & VTD_ECAP_SC},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(promises); i++)
                if (promises[i].promised && !promises[i].kept)
                        return vtd_fail(&frontend->log, -ENOTSUP,
                                        "the guest was promised %s, which the host IOMMU of device "
                                        "%s lacks",
                                        promises[i].what, name);
        if (host_bits < config->address_bits)
                return vtd_fail(&frontend->log, -ENOTSUP,
                                "the guest was promised %u address bits, the host IOMMU of device "
                                "%s has %u",
                                config->address_bits, name, host_bits);
        /* Where there are no PASIDs at all, no request with one can come: nothing is broken. */
        if (host->pasid_bits > 0 && host->pasid_bits < config->pasid_bits)
                return vtd_fail(&frontend->log, -ENOTSUP,
                                "the guest was promised %u PASID bits, device %s has %u",
                                config->pasid_bits, name, host->pasid_bits);
        return 0;
}

int vtd_frontend_plug(struct vtd_frontend *frontend, const char *name, uint16_t rid)
{
        struct vtd_bindings *bindings = &frontend->engine.bindings;
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE};
        struct vtd_reply reply;
        uint32_t pasids = 0;
        int r, unplugged;

        if (!copy_name(&request.plug_device.name, name))
                return vtd_fail(&frontend->log, -EINVAL,
                                "a device name has 1 to %u letters, digits or ._:-",
                                VTD_LIMIT_NAME);
        if (vtd_bindings_peek(bindings, rid, VTD_NO_PASID))
                return vtd_fail(&frontend->log, -EEXIST, "requester id %#x is taken", rid);
        if (!frontend->config.first_stage || !frontend->config.caching_mode)
                return vtd_fail(&frontend->log, -EINVAL,
                                "a unit without first-stage translation and caching mode can have "
                                "emulated devices only");
        if (vtd_bindings_are_full(bindings))
                return vtd_fail(&frontend->log, -ENOSPC, "all %u devices are plugged",
                                VTD_LIMIT_DEVICES);
        r = vtd_frontend_call(frontend, &request, -1, &reply);
        if (r != 0)
                return r;
        r = check_host(frontend, name, &reply.plug_device);
        if (r != 0) {
                unplugged = unplug_handle(frontend, reply.plug_device.device);
                return unplugged == VTD_FRONTEND_LOST ? unplugged : r;
        }
        if (reply.plug_device.pasid_bits > 0 && frontend->config.pasid_bits > 0)
                pasids = UINT32_C(1) << frontend->config.pasid_bits;
        vtd_bindings_add_device(bindings, rid, reply.plug_device.device, pasids);
        return 0;
}

int vtd_frontend_unplug(struct vtd_frontend *frontend, uint16_t rid)
{
        struct vtd_bindings *bindings = &frontend->engine.bindings;
        const struct vtd_binding *binding = vtd_bindings_peek(bindings, rid, VTD_NO_PASID);
        int r;

        if (!binding)
                return -ENODEV;
        r = unplug_handle(frontend, binding->device);
        /* Refused, the device is blocked and its handle gone all the same: only closing it failed. */
        if (r != 0 && r != VTD_FRONTEND_REFUSED)
                return r;
        frontend->engine.walking = NULL;
        frontend->engine.searching = NULL;
        for (size_t i = bindings->end; i > 0; i--) {
                struct vtd_binding *slot = &bindings->slots[i - 1];
                uint64_t table = slot->table;

                if (!slot->used || slot->rid != rid)
                        continue;
                vtd_bindings_remove(bindings, slot);
                vtd_engine_release_table(&frontend->engine, table);
        }
        return r;
}

int vtd_frontend_renumber(struct vtd_frontend *frontend, uint16_t rid, uint16_t new_rid)
{
        struct vtd_bindings *bindings = &frontend->engine.bindings;

        if (!vtd_bindings_peek(bindings, rid, VTD_NO_PASID))
                return -ENODEV;
        if (rid == new_rid)
                return 0;
        if (vtd_bindings_peek(bindings, new_rid, VTD_NO_PASID))
                return vtd_fail(&frontend->log, -EEXIST, "requester id %#x is taken", new_rid);
        if (frontend->engine.outstanding)
                return VTD_FRONTEND_BUSY;
        frontend->engine.walking = NULL;
        frontend->engine.searching = NULL;
        vtd_bindings_renumber(bindings, rid, new_rid);
        return 0;
}

int vtd_frontend_map(struct vtd_frontend *frontend, uint64_t gpa, uint64_t size, int fd,
                     uint64_t offset, uint64_t *mapping)
{
        struct vtd_request request = {.type = VTD_REQUEST_MAP_MEMORY,
                                      .map_memory = {.gpa = gpa, .size = size, .offset = offset}};
        struct vtd_reply reply;
        int r;

        /* What cannot be sent would end the connection, and the VM's devices with it. */
        if (fcntl(fd, F_GETFD) < 0)
                return vtd_fail(&frontend->log, -EBADF,
                                "memory in descriptor %d, which is not open", fd);
        r = vtd_frontend_call(frontend, &request, fd, &reply);
        if (r == 0)
                *mapping = reply.map_memory.mapping;
        return r;
}

int vtd_frontend_unmap(struct vtd_frontend *frontend, uint64_t mapping)
{
        struct vtd_request request = {.type = VTD_REQUEST_UNMAP_MEMORY,
                                      .unmap_memory = {.mapping = mapping}};
        struct vtd_reply reply;

        return vtd_frontend_call(frontend, &request, -1, &reply);
}

uint64_t vtd_frontend_read(struct vtd_frontend *frontend, uint64_t offset, unsigned size)
{
        uint64_t value;

        vtd_frontend_lock(frontend);
        value = vtd_registers_read(&frontend->engine.registers, offset, size);
        vtd_frontend_unlock(frontend);
        return value;
}

void vtd_frontend_write(struct vtd_frontend *frontend, uint64_t offset, unsigned size,
                        uint64_t value)
{
        struct vtd_engine *engine = &frontend->engine;
        struct vtd_engine_output output;

        vtd_frontend_lock(frontend);
        vtd_engine_trigger(engine, vtd_registers_write(&engine->registers, offset, size, value));
        output = vtd_engine_take_output(engine);
        vtd_frontend_unlock(frontend);
        deliver(frontend, &output);
}

/* Watches, and the VMM of what it has kept of interrupts. */
static void tell(struct vtd_frontend *frontend, const struct vtd_interrupt_change *change)
{
        vtd_dma_tell(&frontend->engine.dma);
        if (change->count > 0 && frontend->interrupts_changed)
                frontend->interrupts_changed(frontend->interrupts_changed_opaque, change->first,
                                             change->count);
}

/*
 * Watches are told without the lock, because whoever is told may wait for a thread that has a fault
 * to record, or have one itself.  That thread may also be what a drain waits for: a caller that tries
 * again at once must not keep it from the lock.  Each output was set off by what took from the budget,
 * or by the last command.
 */
int vtd_frontend_run(struct vtd_frontend *frontend, unsigned budget)
{
        struct vtd_interrupt_change change;
        struct vtd_engine_output output;
        int r;

        for (;;) {
                vtd_frontend_lock(frontend);
                r = vtd_engine_run(&frontend->engine, &budget);
                if (r == VTD_ENGINE_E_NEWS)
                        change = vtd_engine_take_change(&frontend->engine);
                output = vtd_engine_take_output(&frontend->engine);
                vtd_frontend_unlock(frontend);
                deliver(frontend, &output);
                if (r == VTD_ENGINE_E_NEWS)
                        tell(frontend, &change);
                else if (r != VTD_ENGINE_E_OUTPUT)
                        break;
        }
        if (r != VTD_ENGINE_E_DRAINING)
                return r;
        (void)sched_yield();
        return VTD_FRONTEND_PENDING;
}

void vtd_frontend_watch_interrupts(struct vtd_frontend *frontend,
                                   vtd_frontend_interrupts_changed changed, void *opaque)
{
        frontend->interrupts_changed = changed;
        frontend->interrupts_changed_opaque = opaque;
}

int vtd_frontend_get_fd(const struct vtd_frontend *frontend)
{
        const struct vtd_engine *engine = &frontend->engine;

        return engine->backend && !engine->lost ? engine->backend->ops->get_fd(engine->backend)
                                                : -1;
}

void vtd_frontend_begin_anew(struct vtd_frontend *frontend, const struct vtd_engine_state *state)
{
        vtd_frontend_lock(frontend);
        if (state)
                vtd_engine_restore(&frontend->engine, state);
        else
                vtd_engine_reset(&frontend->engine);
        vtd_frontend_unlock(frontend);
}

void vtd_frontend_reset(struct vtd_frontend *frontend)
{
        vtd_frontend_begin_anew(frontend, NULL);
}

static enum vtd_frontend_binding binding_shown(const struct vtd_binding *binding)
{
        return binding->current_known ? (enum vtd_frontend_binding)binding->current.mode
                                      : VTD_FRONTEND_BINDING_BLOCKED;
}

int vtd_frontend_get_binding(const struct vtd_frontend *frontend, uint16_t rid,
                             enum vtd_frontend_binding *out)
{
        const struct vtd_binding *binding =
                vtd_bindings_peek(&frontend->engine.bindings, rid, VTD_NO_PASID);

        if (!binding)
                return -ENODEV;
        *out = binding_shown(binding);
        return 0;
}

int vtd_frontend_get_pasid_binding(const struct vtd_frontend *frontend, uint16_t rid,
                                   uint32_t pasid, enum vtd_frontend_binding *out)
{
        const struct vtd_bindings *bindings = &frontend->engine.bindings;
        const struct vtd_binding *binding;

        if (!vtd_bindings_peek(bindings, rid, VTD_NO_PASID))
                return -ENODEV;
        binding = pasid == VTD_NO_PASID ? NULL : vtd_bindings_peek(bindings, rid, pasid);
        *out = binding ? binding_shown(binding) : VTD_FRONTEND_BINDING_BLOCKED;
        return 0;
}

int vtd_frontend_get_pasid_bits(const struct vtd_frontend *frontend, uint16_t rid, unsigned *bits)
{
        const struct vtd_bindings *bindings = &frontend->engine.bindings;
        const struct vtd_binding *binding = vtd_bindings_peek(bindings, rid, VTD_NO_PASID);

        if (!binding)
                return -ENODEV;
        *bits = bindings->searches[binding - bindings->slots].limit > 0
                        ? frontend->config.pasid_bits
                        : 0;
        return 0;
}

void vtd_frontend_get_stats(struct vtd_frontend *frontend, struct vtd_frontend_stats *stats)
{
        vtd_frontend_lock(frontend);
        *stats = frontend->engine.stats;
        vtd_frontend_unlock(frontend);
}
