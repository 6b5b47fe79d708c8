/* SPDX-License-Identifier: MIT */
/* See fake-host.h. */
#include "tests/unit/fake-host.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"

static struct fake_host *fake(struct vtd_host *host)
{
        return (struct fake_host *)host;
}

static void misuse(struct fake_host *host, const char *what)
{
        if (!host->misuse)
                host->misuse = what;
}

/* Records a call; true when it is to fail, with *@result. */
static bool enter(struct fake_host *host, uint32_t op, uint64_t a, uint64_t b, uint64_t c,
                  struct fake_call **call)
{
        if (host->n_calls == FAKE_CALLS)
                abort();
        *call = &host->calls[host->n_calls++];
        **call = (struct fake_call){.op = op, .a = a, .b = b, .c = c};
        if (host->fail_after == SIZE_MAX || (host->fail_op != 0 && host->fail_op != op))
                return false;
        if (host->fail_after > 0) {
                host->fail_after--;
                return false;
        }
        if (--host->fail_count == 0)
                host->fail_after = SIZE_MAX;
        host->failed_op = op;
        (*call)->result = host->fail_result;
        return true;
}

static int leave(struct fake_call *call, int result)
{
        call->result = result;
        return result;
}

static int add(struct fake_host *host, struct fake_object object, uint32_t *id)
{
        for (uint32_t i = 1; i < FAKE_OBJECTS; i++) {
                if (host->objects[i].kind != FAKE_FREE)
                        continue;
                host->objects[i] = object;
                *id = i;
                return 0;
        }
        return VTD_HOST_E_LIMIT;
}

static struct fake_object *get(struct fake_host *host, uint32_t id, enum fake_kind kind)
{
        if (id == 0 || id >= FAKE_OBJECTS || host->objects[id].kind != kind ||
            host->objects[id].released) {
                misuse(host, "an id that does not exist");
                return NULL;
        }
        return &host->objects[id];
}

static struct fake_attachment *find_attachment(struct fake_host *host, uint32_t device,
                                               uint32_t pasid)
{
        for (size_t i = 0; i < FAKE_ATTACHMENTS; i++) {
                struct fake_attachment *a = &host->attachments[i];

                if (a->used && a->device == device && a->pasid == pasid)
                        return a;
        }
        return NULL;
}

static int fake_bind(struct vtd_host *vtd_host, int fd, uint32_t *device)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_call *call;
        uint32_t number = 0;
        bool fails = enter(host, VTD_AUDIT_BIND, 0, 0, 0, &call);
        ssize_t n = pread(fd, &number, sizeof(number), 0);

        (void)close(fd);
        if (fails)
                return call->result;
        if (n != sizeof(number) || number >= FAKE_DEVICES) {
                misuse(host, "bind of something that is no device");
                return leave(call, VTD_HOST_E_ABSENT);
        }
        call->a = number;
        return leave(call, add(host, (struct fake_object){.kind = FAKE_DEVICE, .number = number},
                               device));
}

static int fake_device_info(struct vtd_host *vtd_host, uint32_t device,
                            struct vtd_host_device_info *info)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *object = get(host, device, FAKE_DEVICE);
        struct fake_call *call;

        if (enter(host, VTD_AUDIT_DEVICE_INFO, device, 0, 0, &call) || !object)
                return leave(call, object ? call->result : VTD_HOST_E_ABSENT);
        *info = host->devices[object->number].info;
        return 0;
}

static int fake_bus_master(struct vtd_host *vtd_host, uint32_t device, bool on)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *object = get(host, device, FAKE_DEVICE);
        struct fake_call *call;
        bool fails = enter(host, VTD_AUDIT_BUS_MASTER, device, on, 0, &call);

        if (!object)
                return leave(call, VTD_HOST_E_ABSENT);
        /* The worse outcome: a failure to turn it on has turned it on. */
        if (on || !fails)
                object->bus_master = on;
        return call->result;
}

static int fake_release(struct vtd_host *vtd_host, uint32_t device)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *object = get(host, device, FAKE_DEVICE);
        struct fake_call *call;

        if (enter(host, VTD_AUDIT_RELEASE, device, 0, 0, &call) || !object)
                return leave(call, object ? call->result : VTD_HOST_E_ABSENT);
        object->released = true;
        return 0;
}

void fake_host_last_close(struct fake_host *host, uint32_t number)
{
        for (uint32_t id = 1; id < FAKE_OBJECTS; id++) {
                struct fake_object *object = &host->objects[id];

                if (object->kind != FAKE_DEVICE || object->number != number)
                        continue;
                for (size_t i = 0; i < FAKE_ATTACHMENTS; i++)
                        if (host->attachments[i].device == id)
                                host->attachments[i].used = false;
                if (!object->released)
                        misuse(host, "a device is given back that is not released");
                *object = (struct fake_object){0};
        }
}

static int fake_ioas_alloc(struct vtd_host *vtd_host, uint32_t *ioas)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_call *call;

        if (enter(host, VTD_AUDIT_IOAS_ALLOC, 0, 0, 0, &call))
                return call->result;
        return leave(call, add(host, (struct fake_object){.kind = FAKE_IOAS}, ioas));
}

/* Usable ranges of the devices attached by RID to tables of @ioas: those of the last one found. */
static const struct fake_device_config *attached_device(struct fake_host *host, uint32_t ioas)
{
        const struct fake_device_config *config = NULL;

        for (size_t i = 0; i < FAKE_ATTACHMENTS; i++) {
                const struct fake_attachment *a = &host->attachments[i];

                if (a->used && a->pasid == VTD_NO_PASID && a->hwpt != 0 &&
                    host->objects[a->hwpt].parent == ioas)
                        config = &host->devices[host->objects[a->device].number];
        }
        return config;
}

static int fake_ioas_ranges(struct vtd_host *vtd_host, uint32_t ioas,
                            struct vtd_address_range *ranges, size_t capacity, size_t *count)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *object = get(host, ioas, FAKE_IOAS);
        const struct fake_device_config *config;
        struct fake_call *call;

        if (enter(host, VTD_AUDIT_IOAS_RANGES, ioas, 0, 0, &call) || !object)
                return leave(call, object ? call->result : VTD_HOST_E_ABSENT);
        config = attached_device(host, ioas);
        if (!config) {
                misuse(host, "ranges of an IOAS without device");
                return leave(call, VTD_HOST_E_INVALID);
        }
        if (config->n_usable > capacity)
                return leave(call, VTD_HOST_E_LIMIT);
        for (size_t i = 0; i < config->n_usable; i++)
                ranges[i] = config->usable[i];
        *count = config->n_usable;
        return 0;
}

static int fake_map_file(struct vtd_host *vtd_host, uint32_t ioas, int fd, uint64_t offset,
                         uint64_t length, uint64_t iova)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *object = get(host, ioas, FAKE_IOAS);
        struct fake_area *area = NULL;
        struct fake_call *call;

        if (enter(host, VTD_AUDIT_MAP_FILE, iova, length, offset, &call) || !object)
                return leave(call, object ? call->result : VTD_HOST_E_ABSENT);
        if (fd < 0 || length == 0 || length > VTD_LIMIT_MAP_CHUNK || !vtd_is_page_aligned(iova) ||
            !vtd_is_page_aligned(length) || !vtd_is_page_aligned(offset))
                misuse(host, "map_file with values that were not judged");
        for (size_t i = 0; i < FAKE_AREAS; i++) {
                if (!host->areas[i].used) {
                        area = &host->areas[i];
                } else if (host->areas[i].ioas == ioas &&
                           vtd_ranges_overlap(host->areas[i].iova, host->areas[i].length, iova,
                                              length)) {
                        misuse(host, "map_file over what is mapped");
                        return leave(call, VTD_HOST_E_INVALID);
                }
        }
        if (!area)
                return leave(call, VTD_HOST_E_LIMIT);
        *area = (struct fake_area){
                .used = true, .ioas = ioas, .iova = iova, .length = length, .offset = offset};
        return 0;
}

static int fake_unmap(struct vtd_host *vtd_host, uint32_t ioas, uint64_t iova, uint64_t length)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_call *call;

        if (enter(host, VTD_AUDIT_UNMAP, iova, length, 0, &call))
                return call->result;
        for (size_t i = 0; i < FAKE_AREAS; i++) {
                struct fake_area *area = &host->areas[i];

                if (area->used && area->ioas == ioas && area->iova == iova &&
                    area->length == length) {
                        area->used = false;
                        return 0;
                }
        }
        misuse(host, "unmap of what was not mapped like that");
        return leave(call, VTD_HOST_E_ABSENT);
}

static int fake_second_stage_alloc(struct vtd_host *vtd_host, uint32_t device, uint32_t ioas,
                                   bool pasid_compatible, uint32_t *hwpt)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *d = get(host, device, FAKE_DEVICE), *i = get(host, ioas, FAKE_IOAS);
        struct fake_call *call;

        if (enter(host, VTD_AUDIT_SECOND_STAGE_ALLOC, device, ioas, pasid_compatible, &call) ||
            !d || !i)
                return leave(call, d && i ? call->result : VTD_HOST_E_ABSENT);
        return leave(call, add(host,
                               (struct fake_object){.kind = FAKE_SECOND_STAGE,
                                                    .parent = ioas,
                                                    .pasid_compatible = pasid_compatible},
                               hwpt));
}

static int fake_first_stage_alloc(struct vtd_host *vtd_host, uint32_t device, uint32_t parent,
                                  const struct vtd_host_first_stage *config, bool pasid_compatible,
                                  uint32_t *hwpt)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *d = get(host, device, FAKE_DEVICE),
                           *p = get(host, parent, FAKE_SECOND_STAGE);
        struct fake_call *call;

        if (enter(host, VTD_AUDIT_FIRST_STAGE_ALLOC, device, parent, config->root, &call) || !d ||
            !p)
                return leave(call, d && p ? call->result : VTD_HOST_E_ABSENT);
        if (!vtd_is_page_aligned(config->root) || (config->flags & ~VTD_FIRST_STAGE_FLAGS) ||
            (config->address_width != 48 && config->address_width != 57))
                misuse(host, "first_stage_alloc with values that were not judged");
        return leave(call, add(host,
                               (struct fake_object){.kind = FAKE_FIRST_STAGE,
                                                    .parent = parent,
                                                    .config = *config,
                                                    .pasid_compatible = pasid_compatible},
                               hwpt));
}

static int fake_destroy(struct vtd_host *vtd_host, uint32_t id)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_call *call;

        if (enter(host, VTD_AUDIT_DESTROY, id, 0, 0, &call))
                return call->result;
        if (id == 0 || id >= FAKE_OBJECTS || host->objects[id].kind < FAKE_IOAS) {
                misuse(host, "destroy of an id that does not exist");
                return leave(call, VTD_HOST_E_ABSENT);
        }
        for (size_t i = 0; i < FAKE_ATTACHMENTS; i++)
                if (host->attachments[i].used && host->attachments[i].hwpt == id)
                        return leave(call, VTD_HOST_E_BUSY);
        for (size_t i = 1; i < FAKE_OBJECTS; i++)
                if (host->objects[i].kind != FAKE_FREE && host->objects[i].parent == id)
                        return leave(call, VTD_HOST_E_BUSY);
        if (host->objects[id].kind == FAKE_IOAS)
                for (size_t i = 0; i < FAKE_AREAS; i++)
                        if (host->areas[i].ioas == id)
                                host->areas[i].used = false;
        host->objects[id] = (struct fake_object){0};
        return 0;
}

static bool attach_is_allowed(struct fake_host *host, uint32_t device, uint32_t pasid,
                              uint32_t hwpt)
{
        const struct fake_object *d = &host->objects[device];
        const struct fake_attachment *rid = find_attachment(host, device, VTD_NO_PASID);
        const struct fake_device_config *config = &host->devices[d->number];
        uint32_t parent = host->objects[hwpt].parent;

        if (pasid != VTD_NO_PASID)
                return pasid < 1u << config->info.pasid_bits &&
                       host->objects[hwpt].pasid_compatible &&
                       (!rid || rid->hwpt == 0 || host->objects[rid->hwpt].pasid_compatible);
        if (host->objects[hwpt].kind == FAKE_FIRST_STAGE)
                parent = host->objects[parent].parent;
        /* No area may lie outside what the device can use. */
        for (size_t i = 0; i < FAKE_AREAS; i++) {
                const struct fake_area *area = &host->areas[i];
                bool inside = !area->used || area->ioas != parent;

                for (size_t j = 0; j < config->n_usable; j++)
                        if (area->iova >= config->usable[j].start &&
                            area->iova + (area->length - 1) <= config->usable[j].last)
                                inside = true;
                if (!inside)
                        return false;
        }
        return true;
}

static int fake_attach(struct vtd_host *vtd_host, uint32_t device, uint32_t pasid, uint32_t hwpt)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *d = get(host, device, FAKE_DEVICE);
        struct fake_attachment *a = find_attachment(host, device, pasid);
        struct fake_call *call;
        bool fails = enter(host, VTD_AUDIT_ATTACH, device, pasid, hwpt, &call);

        if (!d || hwpt == 0 || hwpt >= FAKE_OBJECTS ||
            host->objects[hwpt].kind < FAKE_SECOND_STAGE) {
                misuse(host, "attach to what is no table");
                return leave(call, VTD_HOST_E_ABSENT);
        }
        for (size_t i = 0; !a && i < FAKE_ATTACHMENTS; i++)
                if (!host->attachments[i].used)
                        a = &host->attachments[i];
        if (!a)
                abort();
        if (!a->used)
                *a = (struct fake_attachment){.used = true, .device = device, .pasid = pasid};
        if (!fails && !attach_is_allowed(host, device, pasid, hwpt)) {
                misuse(host, "attach of what the kernel refuses");
                fails = true;
                call->result = VTD_HOST_E_INVALID;
        }
        a->limbo = fails;
        if (fails)
                return call->result;
        a->hwpt = hwpt;
        return 0;
}

static int fake_detach(struct vtd_host *vtd_host, uint32_t device, uint32_t pasid)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *d = get(host, device, FAKE_DEVICE);
        struct fake_attachment *a = find_attachment(host, device, pasid);
        struct fake_call *call;

        if (enter(host, VTD_AUDIT_DETACH, device, pasid, 0, &call) || !d)
                return leave(call, d ? call->result : VTD_HOST_E_ABSENT);
        if (a)
                a->used = false;
        return 0;
}

static int fake_invalidate(struct vtd_host *vtd_host, uint32_t hwpt,
                           const struct vtd_invalidate_entry *entries, size_t count, size_t *done)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *table = get(host, hwpt, FAKE_FIRST_STAGE);
        struct fake_call *call;
        bool fails = enter(host, VTD_AUDIT_INVALIDATE, hwpt, count, 0, &call);

        if (count == 0 || count > VTD_LIMIT_INVALIDATE_ENTRIES)
                misuse(host, "invalidate of a wrong number of entries");
        host->invalidated = count;
        for (size_t i = 0; i < count && i < VTD_LIMIT_INVALIDATE_ENTRIES; i++) {
                bool whole = entries[i].pages == VTD_INVALIDATE_ALL;

                host->last_entries[i] = entries[i];
                if (whole ? entries[i].address != 0
                          : !vtd_is_page_aligned(entries[i].address) || entries[i].pages == 0 ||
                                    entries[i].pages > UINT64_C(1) << 45)
                        misuse(host, "invalidate of values that were not judged");
        }
        *done = fails ? host->fail_done : count;
        if (!table)
                return leave(call, VTD_HOST_E_ABSENT);
        return call->result;
}

static int fake_region(struct vtd_host *vtd_host, uint32_t op, uint32_t device, uint32_t region,
                       uint64_t offset, uint32_t width)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *d = get(host, device, FAKE_DEVICE);
        struct fake_call *call;
        bool fails = enter(host, op, device, region, offset, &call);

        if (d &&
            (region >= VTD_REGIONS || offset % width != 0 ||
             !vtd_range_within(offset, width, host->devices[d->number].info.region_size[region])))
                misuse(host, "region access that was not judged");
        return fails || d ? call->result : leave(call, VTD_HOST_E_ABSENT);
}

static int fake_region_read(struct vtd_host *host, uint32_t device, uint32_t region,
                            uint64_t offset, uint32_t width, uint64_t *value)
{
        int r = fake_region(host, FAKE_REGION_READ, device, region, offset, width);

        if (r == 0)
                *value = fake(host)->region_value;
        return r;
}

static int fake_region_write(struct vtd_host *host, uint32_t device, uint32_t region,
                             uint64_t offset, uint32_t width, uint64_t value)
{
        int r = fake_region(host, FAKE_REGION_WRITE, device, region, offset, width);

        if (r == 0)
                fake(host)->region_value = value;
        return r;
}

/* The bytes of an access, or NULL. */
static uint8_t *find_config(struct fake_host *host, uint32_t device, uint32_t offset,
                            uint32_t width)
{
        struct fake_object *d = get(host, device, FAKE_DEVICE);
        struct fake_device_config *config;

        if (!d)
                return NULL;
        config = &host->devices[d->number];
        if ((width != 1 && width != 2 && width != 4) || offset % width != 0 ||
            !vtd_range_within(offset, width, config->info.config_size))
                misuse(host, "access to configuration space that was not judged");
        return &config->config[offset % FAKE_CONFIG_SIZE];
}

static int fake_config_read(struct vtd_host *vtd_host, uint32_t device, uint32_t offset,
                            uint32_t width, uint32_t *value)
{
        struct fake_host *host = fake(vtd_host);
        const uint8_t *bytes = find_config(host, device, offset, width);
        struct fake_call *call;

        if (enter(host, FAKE_CONFIG_READ, device, offset, width, &call) || !bytes)
                return leave(call, bytes ? call->result : VTD_HOST_E_ABSENT);
        *value = 0;
        memcpy(value, bytes, width);
        return 0;
}

static int fake_config_write(struct vtd_host *vtd_host, uint32_t device, uint32_t offset,
                             uint32_t width, uint32_t value)
{
        struct fake_host *host = fake(vtd_host);
        uint8_t *bytes = find_config(host, device, offset, width);
        struct fake_call *call;

        if (enter(host, FAKE_CONFIG_WRITE, offset, width, value, &call) || !bytes)
                return leave(call, bytes ? call->result : VTD_HOST_E_ABSENT);
        memcpy(bytes, &value, width);
        return 0;
}

static bool none_armed(const struct fake_object *d)
{
        for (size_t i = 0; i < FAKE_VECTORS; i++)
                if (d->armed[i])
                        return false;
        return true;
}

static int fake_set_interrupt(struct vtd_host *vtd_host, uint32_t device,
                              enum vtd_interrupt_kind kind, uint32_t vector, int fd)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *d = get(host, device, FAKE_DEVICE);
        const struct vtd_host_device_info *info;
        struct fake_call *call;
        bool fails = enter(host, VTD_AUDIT_SET_INTERRUPT, device, kind, vector, &call);

        if (!d)
                return leave(call, VTD_HOST_E_ABSENT);
        info = &host->devices[d->number].info;
        if (fd < 0 || vector >= FAKE_VECTORS || (d->kind_armed != 0 && d->kind_armed != kind) ||
            vector >= (kind == VTD_INTERRUPT_MSI ? info->msi_vectors : info->msix_vectors)) {
                misuse(host, "set_interrupt with values that were not judged");
                return leave(call, VTD_HOST_E_INVALID);
        }
        /* Also a vector that was armed is not, after a failure. */
        d->armed[vector] = !fails;
        d->kind_armed = none_armed(d) ? 0 : kind;
        return call->result;
}

static int fake_clear_interrupts(struct vtd_host *vtd_host, uint32_t device,
                                 enum vtd_interrupt_kind kind)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *d = get(host, device, FAKE_DEVICE);
        struct fake_call *call;

        if (enter(host, VTD_AUDIT_CLEAR_INTERRUPTS, device, kind, 0, &call) || !d)
                return leave(call, d ? call->result : VTD_HOST_E_ABSENT);
        memset(d->armed, 0, sizeof(d->armed));
        d->kind_armed = 0;
        return 0;
}

static int fake_reset(struct vtd_host *vtd_host, uint32_t device)
{
        struct fake_host *host = fake(vtd_host);
        struct fake_object *d = get(host, device, FAKE_DEVICE);
        struct fake_call *call;
        bool fails = enter(host, VTD_AUDIT_RESET, device, 0, 0, &call);

        if (!d)
                return leave(call, VTD_HOST_E_ABSENT);
        if (!host->devices[d->number].info.can_reset)
                misuse(host, "reset of a device that cannot be");
        if (!fails) {
                host->reset_of = device;
                d->bus_master = false;
        }
        return call->result;
}

static bool fake_step(struct vtd_host *host)
{
        return fake(host)->step_work > 0 && --fake(host)->step_work > 0;
}

static struct vtd_host *fake_free(struct vtd_host *host)
{
        if (fake(host)->freed)
                *fake(host)->freed = true;
        free(host);
        return NULL;
}

static const struct vtd_host_ops fake_ops = {
        .bind = fake_bind,
        .device_info = fake_device_info,
        .bus_master = fake_bus_master,
        .release = fake_release,
        .ioas_alloc = fake_ioas_alloc,
        .ioas_ranges = fake_ioas_ranges,
        .map_file = fake_map_file,
        .unmap = fake_unmap,
        .second_stage_alloc = fake_second_stage_alloc,
        .first_stage_alloc = fake_first_stage_alloc,
        .destroy = fake_destroy,
        .attach = fake_attach,
        .detach = fake_detach,
        .invalidate = fake_invalidate,
        .region_read = fake_region_read,
        .region_write = fake_region_write,
        .config_read = fake_config_read,
        .config_write = fake_config_write,
        .set_interrupt = fake_set_interrupt,
        .clear_interrupts = fake_clear_interrupts,
        .reset = fake_reset,
        .step = fake_step,
        .free = fake_free,
};

/*
 * What a server's unit and a function look like: two BARs, and of capabilities power management, a
 * vendor-specific one that is hidden, MSI with masks, MSI-X, PCI Express; AER and a serial number.
 */
static const struct fake_device_config usual_device = {
        .info = {.is_vtd = true,
                 .can_reset = true,
                 .erratum_772415 = true,
                 .pasid_bits = 20,
                 .cap = UINT64_C(0x1d2008c222f0606),
                 .ecap = UINT64_C(0x1e99804f00fca),
                 .region_size = {0x100000, 0, 0x40},
                 .config_size = FAKE_CONFIG_SIZE,
                 .msi_vectors = 1,
                 .msix_vectors = FAKE_VECTORS},
        .n_usable = 2,
        .usable = {{0, 0xfedfffff}, {0xfef00000, (UINT64_C(1) << 48) - 1}},
};

static const struct {
        uint32_t offset;
        uint32_t value;
} usual_config[] = {
        {0x00, 0x15218086}, /* device and vendor id */
        {0x04, 0x10180546}, /* status: INTx pending, capabilities, an old error; command: no INTx */
        {0x08, 0x02000001}, /* class: Ethernet; revision */
        {0x0c, 0x00800010}, /* one function of several; cache line size */
        {0x10, 0xfe00000c}, /* BAR 0: 64 bits, prefetchable, ... */
        {0x14, 0x00000312}, /* ... its upper half */
        {0x18, 0x0000e001}, /* BAR 2: I/O ports */
        {0x2c, 0x00a28086}, /* subsystem */
        {0x30, 0xfe100000}, /* ROM */
        {0x34, 0x00000040}, /* first capability */
        {0x3c, 0x0000010b}, /* INTA */

        {0x40, 0xc8234801}, /* power management, with PME */
        {0x44, 0x0000210b}, /* in D3, PME enabled */
        {0x48, 0x00085009}, /* vendor-specific */
        {0x4c, 0x5a5a5a5a}, /* what is in it */
        {0x50, 0x018b7005}, /* MSI: 64 bits, masks, enabled, 32 vectors */
        {0x54, 0xfee00000}, /* address */
        {0x60, 0x0000ffff}, /* masks */
        {0x70, 0x8007a011}, /* MSI-X: 8 vectors, enabled */
        {0x74, 0x00000002}, /* table: in BAR 2 */
        {0x78, 0x00002002}, /* pending bits */
        {0xa0, 0x00020010}, /* PCI Express, version 2, endpoint */
        {0xa4, 0x10008cc2}, /* device capabilities, with Function Level Reset */
        {0xa8, 0x001f2830}, /* device status: errors; device control */
        {0xac, 0x00000042}, /* link capabilities */
        {0xb0, 0x10420040}, /* link status and control */
        {0xb4, 0xffffffff}, /* slot capabilities */
        {0xc4, 0x0000001f}, /* device capabilities 2 */
        {0xc8, 0x00000005}, /* device control 2 */

        {0x100, 0x14020001}, /* Advanced Error Reporting */
        {0x104, 0x00100000}, /* an error that was seen */
        {0x140, 0x15010003}, /* serial number */
        {0x144, 0x44332211}, /* its lower half */
        {0x148, 0x88776655}, /* its upper half */
        {0x150, 0x0001000d}, /* Access Control Services */
};

struct fake_host *fake_host_new(void)
{
        struct fake_host *host = calloc(1, sizeof(*host));

        if (!host)
                abort();
        host->host.ops = &fake_ops;
        host->fail_after = SIZE_MAX;
        for (size_t i = 0; i < FAKE_DEVICES; i++)
                host->devices[i] = usual_device;
        for (size_t i = 0; i < FAKE_DEVICES; i++)
                for (size_t j = 0; j < VTD_ARRAY_SIZE(usual_config); j++)
                        fake_host_set_config(host, (uint32_t)i, usual_config[j].offset,
                                             usual_config[j].value);
        return host;
}

void fake_host_set_config(struct fake_host *host, uint32_t number, uint32_t offset, uint32_t value)
{
        memcpy(&host->devices[number].config[offset], &value, sizeof(value));
}

void fake_host_fail(struct fake_host *host, size_t after, size_t count, int result)
{
        host->fail_after = after;
        host->fail_count = count;
        host->fail_result = result;
        host->fail_op = 0;
        host->failed_op = 0;
}

size_t fake_host_count(const struct fake_host *host, enum fake_kind kind)
{
        size_t n = 0;

        for (size_t i = 0; i < FAKE_OBJECTS; i++)
                n += host->objects[i].kind == kind;
        return kind == FAKE_FREE ? n - 1 : n;
}

size_t fake_host_attachments(const struct fake_host *host)
{
        size_t n = 0;

        for (size_t i = 0; i < FAKE_ATTACHMENTS; i++)
                n += host->attachments[i].used;
        return n;
}

size_t fake_host_limbo(const struct fake_host *host)
{
        size_t n = 0;

        for (size_t i = 0; i < FAKE_ATTACHMENTS; i++)
                n += host->attachments[i].used && host->attachments[i].limbo;
        return n;
}

uint64_t fake_host_mapped(const struct fake_host *host)
{
        uint64_t n = 0;

        for (size_t i = 0; i < FAKE_AREAS; i++)
                n += host->areas[i].used ? host->areas[i].length : 0;
        return n;
}

uint32_t fake_host_attached(const struct fake_host *host, uint32_t id, uint32_t pasid)
{
        for (size_t i = 0; i < FAKE_ATTACHMENTS; i++) {
                const struct fake_attachment *a = &host->attachments[i];

                if (a->used && a->device == id && a->pasid == pasid)
                        return a->hwpt;
        }
        return 0;
}

bool fake_host_empty(const struct fake_host *host)
{
        return fake_host_count(host, FAKE_FREE) == FAKE_OBJECTS - 1 &&
               fake_host_attachments(host) == 0 && fake_host_mapped(host) == 0;
}
