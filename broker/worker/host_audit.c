/* SPDX-License-Identifier: MIT */
/*
 * The counting and auditing host of host_audit.h.  It may not change what a call does or returns;
 * it must see every call, so handlers have no other way to the host.
 */
#include "broker/worker/host_audit.h"

#include "broker/worker/clock.h"

/* What one call will be reported with. */
struct call {
        enum vtd_audit_host_call code;
        const char *name;
        uint64_t start;
};

static struct vtd_host_audit *audit_of(struct vtd_host *host)
{
        return (struct vtd_host_audit *)host;
}

static struct call begin(struct vtd_host_audit *audit, enum vtd_audit_host_call code,
                         const char *name)
{
        audit->calls++;
        return (struct call){
                .code = code,
                .name = name,
                .start = audit->level >= VTD_AUDIT_HOST_CALLS ? vtd_clock_now() : 0,
        };
}

static int finish(struct vtd_host_audit *audit, const struct call *call, int result,
                  uint64_t subject, uint64_t d0, uint64_t d1, uint64_t d2)
{
        if (result < 0)
                vtd_log(audit->log, VTD_LOG_ERROR,
                        "host call %s(%llu, %#llx, %#llx, %#llx) failed: error %d", call->name,
                        (unsigned long long)subject, (unsigned long long)d0, (unsigned long long)d1,
                        (unsigned long long)d2, -result);
        if (audit->level >= VTD_AUDIT_HOST_CALLS) {
                union vtd_control_record record = {
                        .audit = {
                                .header.type = VTD_CONTROL_AUDIT,
                                .kind = VTD_AUDIT_HOST_CALL,
                                .code = call->code,
                                .sequence = audit->sequence,
                                .result = result,
                                .subject = subject,
                                .detail = {d0, d1, d2},
                                .nanoseconds = vtd_clock_now() - call->start,
                        }};

                vtd_supervisor_audit(audit->supervisor, &record);
        }
        return result;
}

static int audit_bind(struct vtd_host *host, int fd, uint32_t *device)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_BIND, "bind");
        int result = audit->real->ops->bind(audit->real, fd, device);

        return finish(audit, &call, result, result == 0 ? *device : 0, 0, 0, 0);
}

static int audit_device_info(struct vtd_host *host, uint32_t device,
                             struct vtd_host_device_info *info)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_DEVICE_INFO, "device_info");
        int result = audit->real->ops->device_info(audit->real, device, info);

        if (result != 0)
                return finish(audit, &call, result, device, 0, 0, 0);
        return finish(audit, &call, 0, device, info->cap, info->ecap, info->pasid_bits);
}

static int audit_bus_master(struct vtd_host *host, uint32_t device, bool on)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_BUS_MASTER, "bus_master");

        return finish(audit, &call, audit->real->ops->bus_master(audit->real, device, on), device,
                      on, 0, 0);
}

static int audit_release(struct vtd_host *host, uint32_t device)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_RELEASE, "release");

        return finish(audit, &call, audit->real->ops->release(audit->real, device), device, 0, 0,
                      0);
}

static int audit_ioas_alloc(struct vtd_host *host, uint32_t *ioas)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_IOAS_ALLOC, "ioas_alloc");
        int result = audit->real->ops->ioas_alloc(audit->real, ioas);

        return finish(audit, &call, result, result == 0 ? *ioas : 0, 0, 0, 0);
}

static int audit_ioas_ranges(struct vtd_host *host, uint32_t ioas, struct vtd_address_range *ranges,
                             size_t capacity, size_t *count)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_IOAS_RANGES, "ioas_ranges");
        int result = audit->real->ops->ioas_ranges(audit->real, ioas, ranges, capacity, count);

        return finish(audit, &call, result, ioas, result == 0 ? *count : 0, 0, 0);
}

static int audit_map_file(struct vtd_host *host, uint32_t ioas, int fd, uint64_t offset,
                          uint64_t length, uint64_t iova)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_MAP_FILE, "map_file");
        int result = audit->real->ops->map_file(audit->real, ioas, fd, offset, length, iova);

        return finish(audit, &call, result, ioas, iova, length, offset);
}

static int audit_unmap(struct vtd_host *host, uint32_t ioas, uint64_t iova, uint64_t length)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_UNMAP, "unmap");
        int result = audit->real->ops->unmap(audit->real, ioas, iova, length);

        return finish(audit, &call, result, ioas, iova, length, 0);
}

static int audit_second_stage_alloc(struct vtd_host *host, uint32_t device, uint32_t ioas,
                                    bool pasid_compatible, uint32_t *hwpt)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_SECOND_STAGE_ALLOC, "second_stage_alloc");
        int result = audit->real->ops->second_stage_alloc(audit->real, device, ioas,
                                                          pasid_compatible, hwpt);

        return finish(audit, &call, result, result == 0 ? *hwpt : 0, device, ioas,
                      pasid_compatible);
}

static int audit_first_stage_alloc(struct vtd_host *host, uint32_t device, uint32_t parent,
                                   const struct vtd_host_first_stage *config, bool pasid_compatible,
                                   uint32_t *hwpt)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_FIRST_STAGE_ALLOC, "first_stage_alloc");
        int result = audit->real->ops->first_stage_alloc(audit->real, device, parent, config,
                                                         pasid_compatible, hwpt);

        return finish(audit, &call, result, result == 0 ? *hwpt : 0, parent, config->root,
                      config->address_width | (uint64_t)config->flags << 32);
}

static int audit_destroy(struct vtd_host *host, uint32_t id)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_DESTROY, "destroy");

        return finish(audit, &call, audit->real->ops->destroy(audit->real, id), id, 0, 0, 0);
}

static int audit_attach(struct vtd_host *host, uint32_t device, uint32_t pasid, uint32_t hwpt)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_ATTACH, "attach");
        int result = audit->real->ops->attach(audit->real, device, pasid, hwpt);

        return finish(audit, &call, result, device, pasid, hwpt, 0);
}

static int audit_detach(struct vtd_host *host, uint32_t device, uint32_t pasid)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_DETACH, "detach");
        int result = audit->real->ops->detach(audit->real, device, pasid);

        return finish(audit, &call, result, device, pasid, 0, 0);
}

static int audit_invalidate(struct vtd_host *host, uint32_t hwpt,
                            const struct vtd_invalidate_entry *entries, size_t count, size_t *done)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_INVALIDATE, "invalidate");
        int result = audit->real->ops->invalidate(audit->real, hwpt, entries, count, done);

        return finish(audit, &call, result, hwpt, count, *done,
                      entries[0].pages == VTD_INVALIDATE_ALL);
}

static int audit_region_read(struct vtd_host *host, uint32_t device, uint32_t region,
                             uint64_t offset, uint32_t width, uint64_t *value)
{
        struct vtd_host_audit *audit = audit_of(host);

        audit->calls++;
        return audit->real->ops->region_read(audit->real, device, region, offset, width, value);
}

static int audit_region_write(struct vtd_host *host, uint32_t device, uint32_t region,
                              uint64_t offset, uint32_t width, uint64_t value)
{
        struct vtd_host_audit *audit = audit_of(host);

        audit->calls++;
        return audit->real->ops->region_write(audit->real, device, region, offset, width, value);
}

static int audit_config_read(struct vtd_host *host, uint32_t device, uint32_t offset,
                             uint32_t width, uint32_t *value)
{
        struct vtd_host_audit *audit = audit_of(host);

        audit->calls++;
        return audit->real->ops->config_read(audit->real, device, offset, width, value);
}

static int audit_config_write(struct vtd_host *host, uint32_t device, uint32_t offset,
                              uint32_t width, uint32_t value)
{
        struct vtd_host_audit *audit = audit_of(host);

        audit->calls++;
        return audit->real->ops->config_write(audit->real, device, offset, width, value);
}

static int audit_set_interrupt(struct vtd_host *host, uint32_t device, enum vtd_interrupt_kind kind,
                               uint32_t vector, int fd)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_SET_INTERRUPT, "set_interrupt");
        int result = audit->real->ops->set_interrupt(audit->real, device, kind, vector, fd);

        return finish(audit, &call, result, device, kind, vector, 0);
}

static int audit_clear_interrupts(struct vtd_host *host, uint32_t device,
                                  enum vtd_interrupt_kind kind)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_CLEAR_INTERRUPTS, "clear_interrupts");
        int result = audit->real->ops->clear_interrupts(audit->real, device, kind);

        return finish(audit, &call, result, device, kind, 0, 0);
}

static int audit_reset(struct vtd_host *host, uint32_t device)
{
        struct vtd_host_audit *audit = audit_of(host);
        struct call call = begin(audit, VTD_AUDIT_RESET, "reset");

        return finish(audit, &call, audit->real->ops->reset(audit->real, device), device, 0, 0, 0);
}

static bool audit_step(struct vtd_host *host)
{
        struct vtd_host_audit *audit = audit_of(host);

        return audit->real->ops->step && audit->real->ops->step(audit->real);
}

static struct vtd_host *audit_free(struct vtd_host *host)
{
        struct vtd_host_audit *audit = audit_of(host);

        if (audit->real)
                audit->real = audit->real->ops->free(audit->real);
        return NULL;
}

static const struct vtd_host_ops audit_ops = {
        .bind = audit_bind,
        .device_info = audit_device_info,
        .bus_master = audit_bus_master,
        .release = audit_release,
        .ioas_alloc = audit_ioas_alloc,
        .ioas_ranges = audit_ioas_ranges,
        .map_file = audit_map_file,
        .unmap = audit_unmap,
        .second_stage_alloc = audit_second_stage_alloc,
        .first_stage_alloc = audit_first_stage_alloc,
        .destroy = audit_destroy,
        .attach = audit_attach,
        .detach = audit_detach,
        .invalidate = audit_invalidate,
        .region_read = audit_region_read,
        .region_write = audit_region_write,
        .config_read = audit_config_read,
        .config_write = audit_config_write,
        .set_interrupt = audit_set_interrupt,
        .clear_interrupts = audit_clear_interrupts,
        .reset = audit_reset,
        .step = audit_step,
        .free = audit_free,
};

void vtd_host_audit_init(struct vtd_host_audit *audit, struct vtd_host *real,
                         struct vtd_supervisor *supervisor, struct vtd_log *log,
                         enum vtd_audit_level level)
{
        *audit = (struct vtd_host_audit){
                .host.ops = &audit_ops,
                .real = real,
                .supervisor = supervisor,
                .log = log,
                .level = level,
        };
}
