/* SPDX-License-Identifier: MIT */
/*
 * The calls on /dev/iommu that host_linux.c needs, one function each.  Sizes, flags and type numbers
 * of the kernel are set in iommufd.c and nowhere else; what a function takes are ids that the kernel
 * gave out and values that end up in one field.
 *
 * Every function returns 0, VTD_HOST_E_* or a negative errno (see call.h).  Out parameters are
 * written only with 0, except where noted.
 */
#ifndef VTD_BROKER_LINUX_IOMMUFD_H
#define VTD_BROKER_LINUX_IOMMUFD_H

#include "broker/host.h"

/* -ENOTTY when @iommufd is no iommufd, or one of a kernel that cannot map files (before 6.13). */
int vtd_iommufd_check(int iommufd);

/* Fills is_vtd, erratum_772415, pasid_bits, cap and ecap; leaves the rest. */
int vtd_iommufd_hw_info(int iommufd, uint32_t device, struct vtd_host_device_info *info);

int vtd_iommufd_ioas_alloc(int iommufd, uint32_t *ioas);

/* LIMIT: more than @capacity; *@count and the first @capacity ranges are written then, too. */
int vtd_iommufd_ioas_ranges(int iommufd, uint32_t ioas, struct vtd_address_range *ranges,
                            size_t capacity, size_t *count);

/* INVALID, before the kernel is asked, unless all three are page aligned and nothing wraps. */
int vtd_iommufd_map_file(int iommufd, uint32_t ioas, int fd, uint64_t offset, uint64_t length,
                         uint64_t iova);

/* -ENOTRECOVERABLE when the kernel unmapped another number of bytes than asked. */
int vtd_iommufd_unmap(int iommufd, uint32_t ioas, uint64_t iova, uint64_t length);

int vtd_iommufd_nest_parent_alloc(int iommufd, uint32_t device, uint32_t ioas,
                                  bool pasid_compatible, uint32_t *hwpt);

/*
 * INVALID, before the kernel is asked, for what it would accept here and refuse (or not notice)
 * when the table is attached: @config against the capabilities in @info.
 */
int vtd_iommufd_nested_alloc(int iommufd, uint32_t device, const struct vtd_host_device_info *info,
                             uint32_t parent, const struct vtd_host_first_stage *config,
                             bool pasid_compatible, uint32_t *hwpt);

/* *@done is written on every return.  INVALID, with nothing done, for entries out of range. */
int vtd_iommufd_invalidate(int iommufd, uint32_t hwpt, const struct vtd_invalidate_entry *entries,
                           size_t count, size_t *done);

int vtd_iommufd_destroy(int iommufd, uint32_t id);

#endif
