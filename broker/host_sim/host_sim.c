/* SPDX-License-Identifier: MIT */
/*
 * The simulated host: broker/host.h over objects.c (object rules), translate.c (two-stage
 * translation with caches that go stale) and edu.c (the device).  Devices work only inside step()
 * and in the gap of a replacement, on the caller's thread.
 *
 * All memory is allocated by vtd_host_open().  After it the code in this folder makes only these
 * system calls:
 *   mmap     shared, readable and writable, never executable
 *   munmap
 *   ppoll    on an eventfd
 *   write    of 8 bytes, to one
 *   fstat    which glibc issues as newfstatat(fd, "", ..., AT_EMPTY_PATH) in some versions
 *   newfstatat the same with AT_STATX_DONT_SYNC
 *   fcntl    F_GET_SEALS, F_DUPFD_CLOEXEC
 *   close
 *
 * Not modelled: attaching to the id of an IOAS, memory decoding (always on), INTx, MSI-X, faults,
 * caches that make an incoherent page walk or an unsnooped access see old memory.
 */
#include "broker/host.h"

#include <stdlib.h>

#include "broker/host_sim/interrupt.h"
#include "broker/host_sim/objects.h"
#include "shared/cleanup.h"
#include "shared/error.h"

/* Pieces that a running transfer moves between the old translation and the new one. */
#define GAP_STEPS 2u

struct sim_host {
        struct vtd_host host;
        struct vtd_sim_objects objects;
};

const enum vtd_host_kind vtd_host_built_kind = VTD_HOST_SIMULATED;

static struct vtd_sim_objects *objects_of(struct vtd_host *host)
{
        return &((struct sim_host *)host)->objects;
}

static struct vtd_sim_device *device_of(struct vtd_host *host, uint32_t id)
{
        struct vtd_sim_object *object = vtd_sim_object_find(objects_of(host), VTD_SIM_DEVICE, id);

        return object ? &object->device : NULL;
}

static bool has_pasids(const struct vtd_sim_device *device)
{
        return device->identity.model->pasid_bits > 0;
}

/* An MSI is a write of the device: without bus mastering, there is none. */
static void send_message(struct vtd_sim_device *device)
{
        if (vtd_sim_edu_take_message(&device->file->edu) && device->file->bus_master &&
            device->interrupt >= 0)
                vtd_sim_interrupt_signal(device->interrupt);
}

/* @id and @device name the same one. */
static bool step_device(struct vtd_sim_objects *objects, uint32_t id, struct vtd_sim_device *device)
{
        uint32_t pasid = has_pasids(device) ? vtd_sim_edu_pasid(&device->file->edu) : VTD_NO_PASID;
        struct vtd_sim_translation translation;
        bool more;

        if (!device->file->bus_master) {
                vtd_sim_edu_stop(&device->file->edu);
                return false;
        }
        translation = vtd_sim_translation_of(objects, id, pasid);
        more = vtd_sim_edu_step(&device->file->edu, &objects->iommu, &translation);
        send_message(device);
        return more;
}

static void reset_function(struct vtd_sim_device_file *file)
{
        file->bus_master = 0;
        vtd_sim_config_reset(&file->config);
        vtd_sim_edu_reset(&file->edu);
}

static int sim_bind(struct vtd_host *host, int fd, uint32_t *device)
{
        VTD_CLEANUP_FD int owned = fd;
        struct vtd_sim_device_identity identity;
        struct vtd_sim_device_file *file;
        int result;

        result = vtd_sim_device_map(owned, &file, &identity);
        if (result)
                return result == VTD_SIM_E_FOREIGN ? VTD_HOST_E_INVALID : result;
        result = vtd_sim_device_add(objects_of(host), file, &identity, device);
        if (result) {
                vtd_sim_device_unmap(file);
                return result;
        }
        reset_function(file);
        return 0;
}

static int sim_device_info(struct vtd_host *host, uint32_t id, struct vtd_host_device_info *info)
{
        const struct vtd_sim_device *device = device_of(host, id);

        if (!device)
                return VTD_HOST_E_ABSENT;
        *info = (struct vtd_host_device_info){
                .is_vtd = true,
                .can_reset = true,
                .erratum_772415 = true, /* the driver says so of every unit */
                .pasid_bits = device->identity.model->pasid_bits,
                .cap = vtd_sim_unit_of(device->identity.model)->cap,
                .ecap = vtd_sim_unit_of(device->identity.model)->ecap,
                .region_size = {VTD_SIM_EDU_BAR_SIZE},
                .config_size = VTD_SIM_CONFIG_SIZE,
                .msi_vectors = 1,
        };
        return 0;
}

static int sim_bus_master(struct vtd_host *host, uint32_t id, bool on)
{
        struct vtd_sim_device *device = device_of(host, id);

        if (!device)
                return VTD_HOST_E_ABSENT;
        device->file->bus_master = on;
        if (!on)
                vtd_sim_edu_stop(&device->file->edu);
        return 0;
}

static int sim_release(struct vtd_host *host, uint32_t device)
{
        return vtd_sim_device_remove(objects_of(host), device);
}

static int sim_ioas_alloc(struct vtd_host *host, uint32_t *ioas)
{
        return vtd_sim_ioas_alloc(objects_of(host), ioas);
}

static int sim_ioas_ranges(struct vtd_host *host, uint32_t ioas, struct vtd_address_range *ranges,
                           size_t capacity, size_t *count)
{
        return vtd_sim_ioas_ranges(objects_of(host), ioas, ranges, capacity, count);
}

static int sim_map_file(struct vtd_host *host, uint32_t ioas, int fd, uint64_t offset,
                        uint64_t length, uint64_t iova)
{
        return vtd_sim_map_file(objects_of(host), ioas, fd, offset, length, iova);
}

static int sim_unmap(struct vtd_host *host, uint32_t ioas, uint64_t iova, uint64_t length)
{
        return vtd_sim_unmap(objects_of(host), ioas, iova, length);
}

/* The PASID flag is taken whatever the unit can do. */
static int sim_second_stage_alloc(struct vtd_host *host, uint32_t device, uint32_t ioas,
                                  bool pasid_compatible, uint32_t *hwpt)
{
        return vtd_sim_second_stage_alloc(objects_of(host), device, ioas, pasid_compatible, hwpt);
}

static int sim_first_stage_alloc(struct vtd_host *host, uint32_t device, uint32_t parent,
                                 const struct vtd_host_first_stage *config, bool pasid_compatible,
                                 uint32_t *hwpt)
{
        return vtd_sim_first_stage_alloc(objects_of(host), device, parent, config, pasid_compatible,
                                         hwpt);
}

static int sim_destroy(struct vtd_host *host, uint32_t id)
{
        return vtd_sim_destroy(objects_of(host), id);
}

static int sim_attach(struct vtd_host *host, uint32_t id, uint32_t pasid, uint32_t hwpt)
{
        struct vtd_sim_objects *objects = objects_of(host);
        struct vtd_sim_device *device = device_of(host, id);
        bool gap;
        int result;

        if (!device)
                return VTD_HOST_E_ABSENT;
        result = vtd_sim_attach_begin(objects, id, pasid, hwpt, &gap);
        if (result)
                return result;
        for (unsigned i = 0; gap && i < GAP_STEPS; i++)
                gap = step_device(objects, id, device);
        return vtd_sim_attach_finish(objects, id, pasid, hwpt);
}

static int sim_detach(struct vtd_host *host, uint32_t id, uint32_t pasid)
{
        return vtd_sim_detach(objects_of(host), id, pasid);
}

static int sim_invalidate(struct vtd_host *host, uint32_t hwpt,
                          const struct vtd_invalidate_entry *entries, size_t count, size_t *done)
{
        return vtd_sim_invalidate(objects_of(host), hwpt, entries, count, done);
}

/* 0; ABSENT: no such device or region; INVALID: not one aligned access inside it. */
static int region_check(struct vtd_host *host, uint32_t id, uint32_t region, uint64_t offset,
                        uint32_t width)
{
        if (!device_of(host, id) || region != 0)
                return VTD_HOST_E_ABSENT;
        if ((width != 1 && width != 2 && width != 4 && width != 8) || offset % width != 0 ||
            offset >= VTD_SIM_EDU_BAR_SIZE)
                return VTD_HOST_E_INVALID;
        return 0;
}

static int sim_region_read(struct vtd_host *host, uint32_t id, uint32_t region, uint64_t offset,
                           uint32_t width, uint64_t *value)
{
        const struct vtd_sim_device *device = device_of(host, id);
        int result = region_check(host, id, region, offset, width);

        if (result)
                return result;
        *value = vtd_sim_edu_read(&device->file->edu, has_pasids(device), offset, width);
        return 0;
}

static int sim_region_write(struct vtd_host *host, uint32_t id, uint32_t region, uint64_t offset,
                            uint32_t width, uint64_t value)
{
        struct vtd_sim_device *device = device_of(host, id);
        int result = region_check(host, id, region, offset, width);

        if (result)
                return result;
        vtd_sim_edu_write(&device->file->edu, has_pasids(device), offset, width, value);
        send_message(device);
        return 0;
}

/* 0; ABSENT: no such device; INVALID: not one aligned access inside configuration space. */
static int config_check(struct vtd_host *host, uint32_t id, uint32_t offset, uint32_t width)
{
        if (!device_of(host, id))
                return VTD_HOST_E_ABSENT;
        if ((width != 1 && width != 2 && width != 4) || offset % width != 0 ||
            offset >= VTD_SIM_CONFIG_SIZE)
                return VTD_HOST_E_INVALID;
        return 0;
}

static int sim_config_read(struct vtd_host *host, uint32_t id, uint32_t offset, uint32_t width,
                           uint32_t *value)
{
        const struct vtd_sim_device *device = device_of(host, id);
        int result = config_check(host, id, offset, width);

        if (result)
                return result;
        *value = vtd_sim_config_read(&device->file->config, device->file->bus_master != 0, offset,
                                     width);
        return 0;
}

static int sim_config_write(struct vtd_host *host, uint32_t id, uint32_t offset, uint32_t width,
                            uint32_t value)
{
        struct vtd_sim_device *device = device_of(host, id);
        int result = config_check(host, id, offset, width);

        if (result)
                return result;
        vtd_sim_config_write(&device->file->config, offset, width, value);
        return 0;
}

static int sim_set_interrupt(struct vtd_host *host, uint32_t id, enum vtd_interrupt_kind kind,
                             uint32_t vector, int fd)
{
        struct vtd_sim_device *device = device_of(host, id);

        if (!device)
                return VTD_HOST_E_ABSENT;
        if (kind != VTD_INTERRUPT_MSI || vector != 0)
                return VTD_HOST_E_INVALID;
        /* As in the kernel, the old eventfd goes whatever the new one is. */
        device->interrupt = vtd_close(device->interrupt);
        return vtd_sim_interrupt_adopt(fd, &device->interrupt);
}

static int sim_clear_interrupts(struct vtd_host *host, uint32_t id, enum vtd_interrupt_kind kind)
{
        struct vtd_sim_device *device = device_of(host, id);

        if (!device)
                return VTD_HOST_E_ABSENT;
        if (kind != VTD_INTERRUPT_MSI || device->interrupt < 0)
                return VTD_HOST_E_INVALID;
        device->interrupt = vtd_close(device->interrupt);
        return 0;
}

/* Bus mastering does not survive; what is attached, and who is signalled, is not the function's. */
static int sim_reset(struct vtd_host *host, uint32_t id)
{
        struct vtd_sim_device *device = device_of(host, id);

        if (!device)
                return VTD_HOST_E_ABSENT;
        reset_function(device->file);
        return 0;
}

static bool sim_step(struct vtd_host *host)
{
        struct vtd_sim_objects *objects = objects_of(host);
        size_t left = objects->kinds[VTD_SIM_DEVICE];
        bool more = false;

        for (uint32_t i = 0; left > 0 && i < VTD_SIM_OBJECTS; i++) {
                struct vtd_sim_object *object = &objects->rows[i];

                if (object->kind != VTD_SIM_DEVICE)
                        continue;
                left--;
                if (step_device(objects, i + 1, &object->device))
                        more = true;
        }
        return more;
}

static struct vtd_host *sim_free(struct vtd_host *host)
{
        if (!host)
                return NULL;
        vtd_sim_objects_deinit(objects_of(host));
        free(host);
        return NULL;
}

static const struct vtd_host_ops sim_ops = {
        .bind = sim_bind,
        .device_info = sim_device_info,
        .bus_master = sim_bus_master,
        .release = sim_release,
        .ioas_alloc = sim_ioas_alloc,
        .ioas_ranges = sim_ioas_ranges,
        .map_file = sim_map_file,
        .unmap = sim_unmap,
        .second_stage_alloc = sim_second_stage_alloc,
        .first_stage_alloc = sim_first_stage_alloc,
        .destroy = sim_destroy,
        .attach = sim_attach,
        .detach = sim_detach,
        .invalidate = sim_invalidate,
        .region_read = sim_region_read,
        .region_write = sim_region_write,
        .config_read = sim_config_read,
        .config_write = sim_config_write,
        .set_interrupt = sim_set_interrupt,
        .clear_interrupts = sim_clear_interrupts,
        .reset = sim_reset,
        .step = sim_step,
        .free = sim_free,
};

int vtd_host_open(struct vtd_host **out, int iommu_fd)
{
        VTD_CLEANUP_FD int unexpected = iommu_fd;
        struct sim_host *sim;

        if (unexpected >= 0)
                return -EINVAL;
        sim = calloc(1, sizeof(*sim));
        if (!sim)
                return -ENOMEM;
        sim->host.ops = &sim_ops;
        *out = &sim->host;
        return 0;
}
