/* SPDX-License-Identifier: MIT */
/*
 * The real host: broker/host.h over /dev/iommu (iommufd.c) and VFIO PCI devices (vfio.c).  This
 * folder is the only place of the project with an iommufd or VFIO ioctl.
 *
 * No argument number, size or flag of the kernel comes from outside: every structure is filled from
 * zero next to its call.  What the kernel judges too late or never is judged again here, as the last
 * line of defence, with VTD_HOST_E_INVALID: flags, address width and root alignment of a first-stage
 * table against the unit's capabilities, PASIDs against the device's width, ranges of mappings and
 * invalidations.  That the root lies inside mapped memory is the caller's to judge: mappings are not
 * remembered here, and outside of them the second stage blocks.
 *
 * All memory is allocated by vtd_host_open(), which is the first to call the kernel (MAP_FILE on no
 * object).  From then on this folder makes these system calls and no other:
 *
 *   ioctl on /dev/iommu:                     ioctl on a device:
 *     3b80 IOMMU_DESTROY                       3b6b VFIO_DEVICE_GET_INFO
 *     3b81 IOMMU_IOAS_ALLOC                    3b6c VFIO_DEVICE_GET_REGION_INFO
 *     3b84 IOMMU_IOAS_IOVA_RANGES              3b6d VFIO_DEVICE_GET_IRQ_INFO
 *     3b86 IOMMU_IOAS_UNMAP                    3b6e VFIO_DEVICE_SET_IRQS
 *     3b89 IOMMU_HWPT_ALLOC                    3b6f VFIO_DEVICE_RESET
 *     3b8a IOMMU_GET_HW_INFO                   3b76 VFIO_DEVICE_BIND_IOMMUFD
 *     3b8d IOMMU_HWPT_INVALIDATE               3b77 VFIO_DEVICE_ATTACH_IOMMUFD_PT
 *     3b8f IOMMU_IOAS_MAP_FILE                 3b78 VFIO_DEVICE_DETACH_IOMMUFD_PT
 *   close                                    pread64, pwrite64 on a device
 *
 * Not used: vIOMMU objects (VT-d has none), IOAS_MAP (it would map this process's own memory), fault
 * queues, dirty tracking, interrupts other than MSI and MSI-X, mmap of a device.
 */
#include "broker/host.h"

#include <stdlib.h>

#include "broker/host_linux/iommufd.h"
#include "broker/host_linux/vfio.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"

struct linux_device {
        int fd;      /* -1: this row is free */
        uint32_t id; /* iommufd's */
        struct vtd_host_device_info info;
        struct vtd_vfio_layout layout;
};

struct linux_host {
        struct vtd_host host;
        int iommufd;
        struct linux_device devices[VTD_LIMIT_DEVICES];
};

const enum vtd_host_kind vtd_host_built_kind = VTD_HOST_LINUX;

static struct linux_host *linux_host_of(struct vtd_host *host)
{
        return (struct linux_host *)host;
}

static struct linux_device *find_device(struct vtd_host *host, uint32_t id)
{
        struct linux_host *h = linux_host_of(host);

        for (size_t i = 0; i < VTD_LIMIT_DEVICES; i++) {
                if (h->devices[i].fd >= 0 && h->devices[i].id == id)
                        return &h->devices[i];
        }
        return NULL;
}

static struct linux_device *free_row(struct linux_host *h)
{
        for (size_t i = 0; i < VTD_LIMIT_DEVICES; i++) {
                if (h->devices[i].fd < 0)
                        return &h->devices[i];
        }
        return NULL;
}

static int linux_bind(struct vtd_host *host, int fd, uint32_t *device)
{
        VTD_CLEANUP_FD int owned = fd;
        struct linux_host *h = linux_host_of(host);
        struct linux_device *row = free_row(h), bound = {.fd = -1};
        int r;

        if (!row)
                return VTD_HOST_E_LIMIT;
        r = vtd_vfio_bind(owned, h->iommufd, &bound.id);
        if (r != 0)
                return r;
        r = vtd_iommufd_hw_info(h->iommufd, bound.id, &bound.info);
        if (r == 0)
                r = vtd_vfio_query(owned, &bound.layout, &bound.info);
        if (r == 0)
                r = vtd_vfio_bus_master(owned, &bound.layout, false);
        if (r != 0) /* a second try could not bind again */
                return r == VTD_HOST_E_BUSY ? -EBUSY : r;
        bound.fd = VTD_TAKE_FD(owned);
        *row = bound;
        *device = bound.id;
        return 0;
}

static int linux_device_info(struct vtd_host *host, uint32_t device,
                             struct vtd_host_device_info *info)
{
        struct linux_device *d = find_device(host, device);

        if (!d)
                return VTD_HOST_E_ABSENT;
        *info = d->info;
        return 0;
}

static int linux_bus_master(struct vtd_host *host, uint32_t device, bool on)
{
        struct linux_device *d = find_device(host, device);

        return d ? vtd_vfio_bus_master(d->fd, &d->layout, on) : VTD_HOST_E_ABSENT;
}

static int linux_release(struct vtd_host *host, uint32_t device)
{
        struct linux_device *d = find_device(host, device);

        if (!d)
                return VTD_HOST_E_ABSENT;
        d->fd = vtd_close(d->fd);
        return 0;
}

static int linux_ioas_alloc(struct vtd_host *host, uint32_t *ioas)
{
        return vtd_iommufd_ioas_alloc(linux_host_of(host)->iommufd, ioas);
}

static int linux_ioas_ranges(struct vtd_host *host, uint32_t ioas, struct vtd_address_range *ranges,
                             size_t capacity, size_t *count)
{
        return vtd_iommufd_ioas_ranges(linux_host_of(host)->iommufd, ioas, ranges, capacity, count);
}

static int linux_map_file(struct vtd_host *host, uint32_t ioas, int fd, uint64_t offset,
                          uint64_t length, uint64_t iova)
{
        return vtd_iommufd_map_file(linux_host_of(host)->iommufd, ioas, fd, offset, length, iova);
}

static int linux_unmap(struct vtd_host *host, uint32_t ioas, uint64_t iova, uint64_t length)
{
        return vtd_iommufd_unmap(linux_host_of(host)->iommufd, ioas, iova, length);
}

static int linux_second_stage_alloc(struct vtd_host *host, uint32_t device, uint32_t ioas,
                                    bool pasid_compatible, uint32_t *hwpt)
{
        if (!find_device(host, device))
                return VTD_HOST_E_ABSENT;
        return vtd_iommufd_nest_parent_alloc(linux_host_of(host)->iommufd, device, ioas,
                                             pasid_compatible, hwpt);
}

static int linux_first_stage_alloc(struct vtd_host *host, uint32_t device, uint32_t parent,
                                   const struct vtd_host_first_stage *config, bool pasid_compatible,
                                   uint32_t *hwpt)
{
        struct linux_device *d = find_device(host, device);

        if (!d)
                return VTD_HOST_E_ABSENT;
        return vtd_iommufd_nested_alloc(linux_host_of(host)->iommufd, device, &d->info, parent,
                                        config, pasid_compatible, hwpt);
}

static int linux_destroy(struct vtd_host *host, uint32_t id)
{
        return vtd_iommufd_destroy(linux_host_of(host)->iommufd, id);
}

/* VT-d takes any PASID for a device without the capability, answers 0 and attaches nothing. */
static bool has_pasid(const struct linux_device *d, uint32_t pasid)
{
        return pasid == VTD_NO_PASID || pasid >> d->info.pasid_bits == 0;
}

static int linux_attach(struct vtd_host *host, uint32_t device, uint32_t pasid, uint32_t hwpt)
{
        struct linux_device *d = find_device(host, device);

        if (!d)
                return VTD_HOST_E_ABSENT;
        return has_pasid(d, pasid) ? vtd_vfio_attach(d->fd, pasid, hwpt) : VTD_HOST_E_INVALID;
}

static int linux_detach(struct vtd_host *host, uint32_t device, uint32_t pasid)
{
        struct linux_device *d = find_device(host, device);

        if (!d)
                return VTD_HOST_E_ABSENT;
        /* A PASID that cannot be attached is detached. */
        return has_pasid(d, pasid) ? vtd_vfio_detach(d->fd, pasid) : 0;
}

static int linux_invalidate(struct vtd_host *host, uint32_t hwpt,
                            const struct vtd_invalidate_entry *entries, size_t count, size_t *done)
{
        return vtd_iommufd_invalidate(linux_host_of(host)->iommufd, hwpt, entries, count, done);
}

/* 0; ABSENT: no such device or region; INVALID: not one aligned access inside it. */
static int find_region(struct vtd_host *host, uint32_t device, uint32_t region, uint64_t offset,
                       uint32_t width, struct linux_device **out)
{
        struct linux_device *d = find_device(host, device);

        if (!d || region >= VTD_REGIONS || d->info.region_size[region] == 0)
                return VTD_HOST_E_ABSENT;
        if (width != 1 && width != 2 && width != 4 && width != 8)
                return VTD_HOST_E_INVALID;
        if (offset % width != 0 || !vtd_range_within(offset, width, d->info.region_size[region]))
                return VTD_HOST_E_INVALID;
        *out = d;
        return 0;
}

static int linux_region_read(struct vtd_host *host, uint32_t device, uint32_t region,
                             uint64_t offset, uint32_t width, uint64_t *value)
{
        struct linux_device *d;
        int r;

        r = find_region(host, device, region, offset, width, &d);
        if (r != 0)
                return r;
        return vtd_vfio_read(d->fd, d->layout.bar[region] + offset, width, value);
}

static int linux_region_write(struct vtd_host *host, uint32_t device, uint32_t region,
                              uint64_t offset, uint32_t width, uint64_t value)
{
        struct linux_device *d;
        int r;

        r = find_region(host, device, region, offset, width, &d);
        if (r != 0)
                return r;
        return vtd_vfio_write(d->fd, d->layout.bar[region] + offset, width, value);
}

/* 0; ABSENT: no such device; INVALID: not one aligned access inside configuration space. */
static int find_config(struct vtd_host *host, uint32_t device, uint32_t offset, uint32_t width,
                       struct linux_device **out)
{
        struct linux_device *d = find_device(host, device);

        if (!d)
                return VTD_HOST_E_ABSENT;
        if ((width != 1 && width != 2 && width != 4) || offset % width != 0 ||
            !vtd_range_within(offset, width, d->info.config_size))
                return VTD_HOST_E_INVALID;
        *out = d;
        return 0;
}

static int linux_config_read(struct vtd_host *host, uint32_t device, uint32_t offset,
                             uint32_t width, uint32_t *value)
{
        struct linux_device *d;
        uint64_t wide;
        int r;

        r = find_config(host, device, offset, width, &d);
        if (r == 0)
                r = vtd_vfio_read(d->fd, d->layout.config + offset, width, &wide);
        if (r == 0)
                *value = (uint32_t)wide;
        return r;
}

static int linux_config_write(struct vtd_host *host, uint32_t device, uint32_t offset,
                              uint32_t width, uint32_t value)
{
        struct linux_device *d;
        int r;

        r = find_config(host, device, offset, width, &d);
        return r != 0 ? r : vtd_vfio_write(d->fd, d->layout.config + offset, width, value);
}

static int linux_set_interrupt(struct vtd_host *host, uint32_t device, enum vtd_interrupt_kind kind,
                               uint32_t vector, int fd)
{
        struct linux_device *d = find_device(host, device);
        uint32_t vectors;

        if (!d)
                return VTD_HOST_E_ABSENT;
        vectors = kind == VTD_INTERRUPT_MSI ? d->info.msi_vectors : d->info.msix_vectors;
        /* A descriptor of -1 would disarm the vector. */
        if (vector >= vectors || fd < 0)
                return VTD_HOST_E_INVALID;
        return vtd_vfio_set_interrupt(d->fd, kind, vector, fd);
}

static int linux_clear_interrupts(struct vtd_host *host, uint32_t device,
                                  enum vtd_interrupt_kind kind)
{
        struct linux_device *d = find_device(host, device);

        return d ? vtd_vfio_clear_interrupts(d->fd, kind) : VTD_HOST_E_ABSENT;
}

static int linux_reset(struct vtd_host *host, uint32_t device)
{
        struct linux_device *d = find_device(host, device);

        return d ? vtd_vfio_reset(d->fd) : VTD_HOST_E_ABSENT;
}

/* Devices first: the last close of one blocks its DMA, only then may its tables go. */
static struct vtd_host *linux_free(struct vtd_host *host)
{
        struct linux_host *h = linux_host_of(host);

        if (!h)
                return NULL;
        for (size_t i = 0; i < VTD_LIMIT_DEVICES; i++)
                h->devices[i].fd = vtd_close(h->devices[i].fd);
        h->iommufd = vtd_close(h->iommufd);
        free(h);
        return NULL;
}

static const struct vtd_host_ops linux_ops = {
        .bind = linux_bind,
        .device_info = linux_device_info,
        .bus_master = linux_bus_master,
        .release = linux_release,
        .ioas_alloc = linux_ioas_alloc,
        .ioas_ranges = linux_ioas_ranges,
        .map_file = linux_map_file,
        .unmap = linux_unmap,
        .second_stage_alloc = linux_second_stage_alloc,
        .first_stage_alloc = linux_first_stage_alloc,
        .destroy = linux_destroy,
        .attach = linux_attach,
        .detach = linux_detach,
        .invalidate = linux_invalidate,
        .region_read = linux_region_read,
        .region_write = linux_region_write,
        .config_read = linux_config_read,
        .config_write = linux_config_write,
        .set_interrupt = linux_set_interrupt,
        .clear_interrupts = linux_clear_interrupts,
        .reset = linux_reset,
        .step = NULL, /* devices work by themselves */
        .free = linux_free,
};

int vtd_host_open(struct vtd_host **out, int iommu_fd)
{
        VTD_CLEANUP_FD int owned = iommu_fd;
        struct linux_host *h;
        int r;

        r = vtd_iommufd_check(owned);
        if (r != 0)
                return r;
        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        h->host.ops = &linux_ops;
        h->iommufd = VTD_TAKE_FD(owned);
        for (size_t i = 0; i < VTD_LIMIT_DEVICES; i++)
                h->devices[i].fd = -1;
        *out = &h->host;
        return 0;
}
