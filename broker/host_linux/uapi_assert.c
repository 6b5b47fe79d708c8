/* SPDX-License-Identifier: MIT */
/*
 * What the worker's system call filter (broker/sandbox/seccomp_table.c) and the calls in this folder rest on:
 * request numbers and structure sizes of iommufd and VFIO.  Kernel headers that disagree do not
 * build.  VFIO structures grow; of those only the part that is used is held to its size.
 */
#include <stddef.h>
#include <sys/ioctl.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "protos/message.h"

#define NUMBER(request, number) _Static_assert((request) == (number), #request)
#define SIZE(type, size)        _Static_assert(sizeof(type) == (size), #type)
#define THROUGH(type, member, size)                                                                \
        _Static_assert(offsetof(type, member) + sizeof(((type *)0)->member) == (size), #type)

NUMBER(IOMMU_DESTROY, 0x3b80);
NUMBER(IOMMU_IOAS_ALLOC, 0x3b81);
NUMBER(IOMMU_IOAS_IOVA_RANGES, 0x3b84);
NUMBER(IOMMU_IOAS_UNMAP, 0x3b86);
NUMBER(IOMMU_HWPT_ALLOC, 0x3b89);
NUMBER(IOMMU_GET_HW_INFO, 0x3b8a);
NUMBER(IOMMU_HWPT_INVALIDATE, 0x3b8d);
NUMBER(IOMMU_IOAS_MAP_FILE, 0x3b8f);
NUMBER(VFIO_DEVICE_GET_INFO, 0x3b6b);
NUMBER(VFIO_DEVICE_GET_REGION_INFO, 0x3b6c);
NUMBER(VFIO_DEVICE_GET_IRQ_INFO, 0x3b6d);
NUMBER(VFIO_DEVICE_SET_IRQS, 0x3b6e);
NUMBER(VFIO_DEVICE_RESET, 0x3b6f);
NUMBER(VFIO_DEVICE_BIND_IOMMUFD, 0x3b76);
NUMBER(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 0x3b77);
NUMBER(VFIO_DEVICE_DETACH_IOMMUFD_PT, 0x3b78);

SIZE(struct iommu_destroy, 8);
SIZE(struct iommu_ioas_alloc, 12);
SIZE(struct iommu_ioas_iova_ranges, 32);
SIZE(struct iommu_iova_range, 16);
SIZE(struct iommu_ioas_unmap, 24);
SIZE(struct iommu_ioas_map_file, 40);
SIZE(struct iommu_hwpt_alloc, 48);
SIZE(struct iommu_hw_info, 40);
SIZE(struct iommu_hwpt_invalidate, 32);
/* The kernel takes the first at exactly this size, and no entry of another. */
SIZE(struct iommu_hwpt_vtd_s1, 24);
SIZE(struct iommu_hwpt_vtd_s1_invalidate, 24);
SIZE(struct iommu_hw_info_vtd, 24);
THROUGH(struct iommu_hw_info, out_max_pasid_log2, 29);
THROUGH(struct iommu_hwpt_invalidate, entry_num, 28);

THROUGH(struct vfio_device_info, num_irqs, 16);
THROUGH(struct vfio_region_info, offset, 32);
THROUGH(struct vfio_irq_info, count, 16);
SIZE(struct vfio_irq_set, 20); /* the eventfds follow */
THROUGH(struct vfio_device_bind_iommufd, out_devid, 16);
THROUGH(struct vfio_device_attach_iommufd_pt, pt_id, 12);
THROUGH(struct vfio_device_attach_iommufd_pt, pasid, 16);
THROUGH(struct vfio_device_detach_iommufd_pt, flags, 8);
THROUGH(struct vfio_device_detach_iommufd_pt, pasid, 12);

NUMBER(IOMMU_HWPT_ALLOC_NEST_PARENT, 1);
NUMBER(IOMMU_HWPT_ALLOC_PASID, 8);
NUMBER(IOMMU_HWPT_DATA_VTD_S1, 1);
NUMBER(IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, 0);
NUMBER(IOMMU_HW_INFO_TYPE_INTEL_VTD, 1);
NUMBER(IOMMU_VTD_S1_SRE, 1);
NUMBER(IOMMU_VTD_S1_EAFE, 2);
NUMBER(IOMMU_VTD_S1_WPE, 4);
NUMBER(IOMMU_VTD_INV_FLAGS_LEAF, 1);
NUMBER(VFIO_DEVICE_ATTACH_PASID, 1);
NUMBER(VFIO_DEVICE_DETACH_PASID, 1);
NUMBER(VTD_NO_PASID, 0); /* so that the kernel is never given PASID 0 as a PASID */
