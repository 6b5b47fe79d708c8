/* SPDX-License-Identifier: MIT */
/*
 * The calls on a VFIO PCI device's descriptor that host_linux.c needs.  A descriptor is the owner's;
 * nothing here closes one.
 *
 * Every function returns 0, VTD_HOST_E_* or a negative errno (see call.h).  Out parameters are
 * written only with 0.
 */
#ifndef VTD_BROKER_LINUX_VFIO_H
#define VTD_BROKER_LINUX_VFIO_H

#include "broker/host.h"

/* Where the regions of a device begin in its descriptor's file. */
struct vtd_vfio_layout {
        uint64_t bar[VTD_REGIONS];
        uint64_t config;
};

/* Binds to @iommufd; the device ends blocked, reset if it can be, with bus mastering off. */
int vtd_vfio_bind(int fd, int iommufd, uint32_t *device);

/* Fills @layout, and what @info has beside the IOMMU.  INVALID: not a PCI device. */
int vtd_vfio_query(int fd, struct vtd_vfio_layout *layout, struct vtd_host_device_info *info);

/*
 * Memory decoding is on and INTx off afterwards; -EIO when the command register does not say what was
 * asked of mastering.
 */
int vtd_vfio_bus_master(int fd, const struct vtd_vfio_layout *layout, bool on);

/*
 * Attaches (or replaces) requests with @pasid, or those without one (VTD_NO_PASID).  -EPROTO when
 * the kernel attached something else than @hwpt, as it does for an IOAS.
 */
int vtd_vfio_attach(int fd, uint32_t pasid, uint32_t hwpt);
int vtd_vfio_detach(int fd, uint32_t pasid);

/* Has @vector of @kind signal @eventfd; the first one allocates all vectors up to it, too. */
int vtd_vfio_set_interrupt(int fd, enum vtd_interrupt_kind kind, uint32_t vector, int eventfd);

/* Disarms and frees all vectors of @kind.  INVALID: none of them is armed. */
int vtd_vfio_clear_interrupts(int fd, enum vtd_interrupt_kind kind);

/* INVALID: the function cannot be reset; BUSY: something else is being done to it. */
int vtd_vfio_reset(int fd);

/* One access of exactly @width bytes (1, 2, 4 or 8); -EIO when the kernel did a part of it. */
int vtd_vfio_read(int fd, uint64_t position, uint32_t width, uint64_t *value);
int vtd_vfio_write(int fd, uint64_t position, uint32_t width, uint64_t value);

#endif
