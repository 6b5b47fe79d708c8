/* SPDX-License-Identifier: MIT */
/*
 * See vfio.h.  Every structure is filled from zero here.  argsz is the size of what is used, so that
 * kernels older than the headers take the calls, too.
 */
#include "broker/host_linux/vfio.h"

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>
#include <unistd.h>

#include "broker/host_linux/call.h"

/* The bytes of @type up to and including @member. */
#define SIZE_THROUGH(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

#define REGION_READ_WRITE (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)

int vtd_vfio_bind(int fd, int iommufd, uint32_t *device)
{
        struct vfio_device_bind_iommufd bind = {
                .argsz = SIZE_THROUGH(struct vfio_device_bind_iommufd, out_devid),
                .iommufd = iommufd,
        };
        int r;

        r = vtd_linux_call(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);
        if (r == 0)
                *device = bind.out_devid;
        return r;
}

/* *@size is 0 unless the region can be read and written. */
static int region_query(int fd, uint32_t index, uint64_t *position, uint64_t *size)
{
        struct vfio_region_info region = {.argsz = sizeof(region), .index = index};
        int r;

        r = vtd_linux_call(fd, VFIO_DEVICE_GET_REGION_INFO, &region);
        if (r != 0)
                return r;
        *position = region.offset;
        *size = (region.flags & REGION_READ_WRITE) == REGION_READ_WRITE ? region.size : 0;
        return 0;
}

int vtd_vfio_query(int fd, struct vtd_vfio_layout *layout, struct vtd_host_device_info *info)
{
        struct vfio_device_info device = {
                .argsz = SIZE_THROUGH(struct vfio_device_info, num_irqs),
        };
        struct vtd_vfio_layout found;
        uint64_t size[VTD_HOST_REGIONS], config_size;
        int r;

        r = vtd_linux_call(fd, VFIO_DEVICE_GET_INFO, &device);
        if (r != 0)
                return r;
        if (!(device.flags & VFIO_DEVICE_FLAGS_PCI) ||
            device.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX)
                return VTD_HOST_E_INVALID;
        for (uint32_t i = 0; i < VTD_HOST_REGIONS; i++) {
                r = region_query(fd, VFIO_PCI_BAR0_REGION_INDEX + i, &found.bar[i], &size[i]);
                if (r != 0)
                        return r;
        }
        r = region_query(fd, VFIO_PCI_CONFIG_REGION_INDEX, &found.config, &config_size);
        if (r != 0)
                return r;
        if (config_size < PCI_STD_HEADER_SIZEOF)
                return VTD_HOST_E_INVALID;
        *layout = found;
        memcpy(info->region_size, size, sizeof(size));
        info->can_reset = device.flags & VFIO_DEVICE_FLAGS_RESET;
        return 0;
}

int vtd_vfio_bus_master(int fd, const struct vtd_vfio_layout *layout, bool on)
{
        uint64_t position = layout->config + PCI_COMMAND, command;
        int r;

        r = vtd_vfio_read(fd, position, 2, &command);
        if (r != 0)
                return r;
        if (on)
                command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
        else
                command &= ~(uint64_t)PCI_COMMAND_MASTER;
        r = vtd_vfio_write(fd, position, 2, command);
        if (r == 0)
                r = vtd_vfio_read(fd, position, 2, &command);
        if (r == 0 && !(command & PCI_COMMAND_MASTER) == on)
                r = -EIO;
        return r;
}

int vtd_vfio_attach(int fd, uint32_t pasid, uint32_t hwpt)
{
        struct vfio_device_attach_iommufd_pt attach = {
                .argsz = SIZE_THROUGH(struct vfio_device_attach_iommufd_pt, pt_id),
                .pt_id = hwpt,
        };
        int r;

        /* PASID 0 given as a PASID would be taken, as a second kind of attachment without one. */
        if (pasid != VTD_NO_PASID) {
                attach.argsz = SIZE_THROUGH(struct vfio_device_attach_iommufd_pt, pasid);
                attach.flags = VFIO_DEVICE_ATTACH_PASID;
                attach.pasid = pasid;
        }
        r = vtd_linux_call(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
        return r == 0 && attach.pt_id != hwpt ? -EPROTO : r;
}

int vtd_vfio_detach(int fd, uint32_t pasid)
{
        struct vfio_device_detach_iommufd_pt detach = {
                .argsz = SIZE_THROUGH(struct vfio_device_detach_iommufd_pt, flags),
        };

        if (pasid != VTD_NO_PASID) {
                detach.argsz = SIZE_THROUGH(struct vfio_device_detach_iommufd_pt, pasid);
                detach.flags = VFIO_DEVICE_DETACH_PASID;
                detach.pasid = pasid;
        }
        return vtd_linux_call(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

/* The result of a pread() or pwrite() that should have moved @width bytes. */
static int transfer_result(ssize_t moved, uint32_t width)
{
        if (moved < 0)
                return vtd_linux_outcome();
        return (size_t)moved == width ? 0 : -EIO;
}

int vtd_vfio_read(int fd, uint64_t position, uint32_t width, uint64_t *value)
{
        uint64_t bytes = 0; /* little-endian, as registers and this processor are */
        int r;

        if (width > sizeof(bytes))
                return VTD_HOST_E_INVALID;
        r = transfer_result(pread(fd, &bytes, width, (off_t)position), width);
        if (r == 0)
                *value = bytes;
        return r;
}

int vtd_vfio_write(int fd, uint64_t position, uint32_t width, uint64_t value)
{
        if (width > sizeof(value))
                return VTD_HOST_E_INVALID;
        return transfer_result(pwrite(fd, &value, width, (off_t)position), width);
}
