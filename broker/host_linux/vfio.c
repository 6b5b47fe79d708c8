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

/*
 * *@vectors is how many can be armed.  A kind that has to be allocated as a whole (MSI always) offers
 * one: with more, arming one would have to take all of them from the host.
 */
static int irq_query(int fd, uint32_t index, uint32_t *vectors)
{
        struct vfio_irq_info irq = {.argsz = sizeof(irq), .index = index};
        int r;

        r = vtd_linux_call(fd, VFIO_DEVICE_GET_IRQ_INFO, &irq);
        if (r != 0)
                return r;
        *vectors = irq.flags & VFIO_IRQ_INFO_EVENTFD ? irq.count : 0;
        if (*vectors > 1 && (irq.flags & VFIO_IRQ_INFO_NORESIZE))
                *vectors = 1;
        if (*vectors > VTD_LIMIT_INTERRUPTS)
                *vectors = VTD_LIMIT_INTERRUPTS;
        return 0;
}

int vtd_vfio_query(int fd, struct vtd_vfio_layout *layout, struct vtd_host_device_info *info)
{
        struct vfio_device_info device = {
                .argsz = SIZE_THROUGH(struct vfio_device_info, num_irqs),
        };
        struct vtd_vfio_layout found;
        uint64_t size[VTD_REGIONS], config_size;
        int r;

        r = vtd_linux_call(fd, VFIO_DEVICE_GET_INFO, &device);
        if (r != 0)
                return r;
        if (!(device.flags & VFIO_DEVICE_FLAGS_PCI) ||
            device.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX ||
            device.num_irqs <= VFIO_PCI_MSIX_IRQ_INDEX)
                return VTD_HOST_E_INVALID;
        for (uint32_t i = 0; i < VTD_REGIONS; i++) {
                r = region_query(fd, VFIO_PCI_BAR0_REGION_INDEX + i, &found.bar[i], &size[i]);
                if (r != 0)
                        return r;
        }
        r = region_query(fd, VFIO_PCI_CONFIG_REGION_INDEX, &found.config, &config_size);
        if (r != 0)
                return r;
        if (config_size < PCI_CFG_SPACE_SIZE)
                return VTD_HOST_E_INVALID;
        r = irq_query(fd, VFIO_PCI_MSI_IRQ_INDEX, &info->msi_vectors);
        if (r == 0)
                r = irq_query(fd, VFIO_PCI_MSIX_IRQ_INDEX, &info->msix_vectors);
        if (r != 0)
                return r;
        *layout = found;
        info->config_size =
                config_size < PCI_CFG_SPACE_EXP_SIZE ? PCI_CFG_SPACE_SIZE : PCI_CFG_SPACE_EXP_SIZE;
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
        /* No INTx: nobody would take it, and whoever shares the line would have it. */
        command |= PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_MASTER;
        if (!on)
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

static uint32_t irq_index(enum vtd_interrupt_kind kind)
{
        return kind == VTD_INTERRUPT_MSI ? VFIO_PCI_MSI_IRQ_INDEX : VFIO_PCI_MSIX_IRQ_INDEX;
}

int vtd_vfio_set_interrupt(int fd, enum vtd_interrupt_kind kind, uint32_t vector, int eventfd)
{
        const struct vfio_irq_set set = {
                .argsz = sizeof(set) + sizeof(int32_t),
                .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                .index = irq_index(kind),
                .start = vector,
                .count = 1,
        };
        const int32_t descriptor = eventfd;
        _Alignas(struct vfio_irq_set) uint8_t bytes[sizeof(set) + sizeof(descriptor)];

        memcpy(bytes, &set, sizeof(set));
        memcpy(bytes + sizeof(set), &descriptor, sizeof(descriptor));
        return vtd_linux_call(fd, VFIO_DEVICE_SET_IRQS, bytes);
}

int vtd_vfio_clear_interrupts(int fd, enum vtd_interrupt_kind kind)
{
        struct vfio_irq_set set = {
                .argsz = sizeof(set),
                .flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
                .index = irq_index(kind),
        };

        return vtd_linux_call(fd, VFIO_DEVICE_SET_IRQS, &set);
}

int vtd_vfio_reset(int fd)
{
        return vtd_linux_call(fd, VFIO_DEVICE_RESET, NULL);
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
