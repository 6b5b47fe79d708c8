/* SPDX-License-Identifier: MIT */
/*
 * See iommufd.h.  Every structure is filled from zero here; ids are passed through, all else is
 * judged again before the call, because the kernel judges some of it late or not at all.
 */
#include "broker/host_linux/iommufd.h"

#include <linux/iommufd.h>

#include "broker/host_linux/call.h"
#include "shared/checked.h"

/* Bits of the capability (CAP) and extended capability (ECAP) registers. */
#define CAP_FS5LP (UINT64_C(1) << 60)
#define ECAP_SRS  (UINT64_C(1) << 31)
#define ECAP_EAFS (UINT64_C(1) << 34)

#define PASID_BITS_MAX 20u /* width of a PASID in PCI Express */

/* From here on `pages << 12`, which the kernel computes, loses bits and flushes too little. */
#define INVALIDATE_PAGES_END (UINT64_C(1) << (64 - VTD_PAGE_SHIFT))

/*
 * Largest block, as a power of two of pages, that one entry may grow to: 1 GiB.  The kernel turns a
 * range into the aligned block around it, and gives that to the IOMMU whatever its size.  VT-d units
 * exist (QEMU's) that answer a block of more than CAP.MAMV's usual 18 with a queue error, which the
 * kernel hides: the call succeeds and the translations stay.
 */
#define INVALIDATE_BLOCK_ORDER 18u

/* Entries given to the kernel at once: an array of 3 KiB on the stack. */
#define INVALIDATE_BATCH VTD_LIMIT_INVALIDATE_ENTRIES

/* The kernel fills an array of ours in place. */
_Static_assert(sizeof(struct vtd_address_range) == sizeof(struct iommu_iova_range) &&
                       offsetof(struct vtd_address_range, start) ==
                               offsetof(struct iommu_iova_range, start) &&
                       offsetof(struct vtd_address_range, last) ==
                               offsetof(struct iommu_iova_range, last),
               "a range of ours is laid out as one of the kernel's");

static uint64_t user_pointer(const void *pointer)
{
        return (uint64_t)(uintptr_t)pointer;
}

int vtd_iommufd_check(int iommufd)
{
        /* No object has id 0, so that this can only fail; how it fails tells. */
        struct iommu_ioas_map_file map = {
                .size = sizeof(map),
                .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
                .fd = -1,
        };

        if (ioctl(iommufd, IOMMU_IOAS_MAP_FILE, &map) == 0)
                return -ENOTTY;
        return errno == ENOENT ? 0 : vtd_errno();
}

int vtd_iommufd_hw_info(int iommufd, uint32_t device, struct vtd_host_device_info *info)
{
        struct iommu_hw_info_vtd vtd = {0};
        struct iommu_hw_info query = {
                .size = sizeof(query),
                .dev_id = device,
                .data_len = sizeof(vtd),
                .data_uptr = user_pointer(&vtd),
        };
        int r;

        r = vtd_linux_call(iommufd, IOMMU_GET_HW_INFO, &query);
        if (r != 0)
                return r;
        info->is_vtd = query.out_data_type == IOMMU_HW_INFO_TYPE_INTEL_VTD &&
                       query.data_len >= sizeof(vtd);
        info->erratum_772415 = info->is_vtd && (vtd.flags & IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17);
        info->cap = info->is_vtd ? vtd.cap_reg : 0;
        info->ecap = info->is_vtd ? vtd.ecap_reg : 0;
        info->pasid_bits = query.out_max_pasid_log2 < PASID_BITS_MAX ? query.out_max_pasid_log2
                                                                     : PASID_BITS_MAX;
        return 0;
}

int vtd_iommufd_ioas_alloc(int iommufd, uint32_t *ioas)
{
        struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
        int r;

        r = vtd_linux_call(iommufd, IOMMU_IOAS_ALLOC, &alloc);
        if (r == 0)
                *ioas = alloc.out_ioas_id;
        return r;
}

int vtd_iommufd_ioas_ranges(int iommufd, uint32_t ioas, struct vtd_address_range *ranges,
                            size_t capacity, size_t *count)
{
        struct iommu_ioas_iova_ranges query = {
                .size = sizeof(query),
                .ioas_id = ioas,
                .num_iovas = capacity < UINT32_MAX ? (uint32_t)capacity : UINT32_MAX,
                .allowed_iovas = user_pointer(ranges),
        };

        if (ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES, &query) < 0) {
                if (errno != EMSGSIZE)
                        return vtd_linux_outcome();
                *count = query.num_iovas;
                return VTD_HOST_E_LIMIT;
        }
        *count = query.num_iovas;
        return 0;
}

/* True for whole pages from @start that end at or below 2^64 - 1. */
static bool is_page_range(uint64_t start, uint64_t length)
{
        uint64_t end;

        return length != 0 && vtd_is_page_aligned(start) && vtd_is_page_aligned(length) &&
               vtd_add_u64(start, length, &end);
}

int vtd_iommufd_map_file(int iommufd, uint32_t ioas, int fd, uint64_t offset, uint64_t length,
                         uint64_t iova)
{
        struct iommu_ioas_map_file map = {
                .size = sizeof(map),
                /* Always writable: nothing else may lie below a nest parent. */
                .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
                         IOMMU_IOAS_MAP_WRITEABLE,
                .ioas_id = ioas,
                .fd = fd,
                .start = offset,
                .length = length,
                .iova = iova,
        };

        if (!is_page_range(iova, length) || !is_page_range(offset, length))
                return VTD_HOST_E_INVALID;
        return vtd_linux_call(iommufd, IOMMU_IOAS_MAP_FILE, &map);
}

int vtd_iommufd_unmap(int iommufd, uint32_t ioas, uint64_t iova, uint64_t length)
{
        struct iommu_ioas_unmap unmap = {
                .size = sizeof(unmap),
                .ioas_id = ioas,
                .iova = iova,
                .length = length,
        };
        int r;

        /* Also keeps out {0, 2^64 - 1}, by which the kernel would unmap everything. */
        if (!is_page_range(iova, length))
                return VTD_HOST_E_INVALID;
        r = vtd_linux_call(iommufd, IOMMU_IOAS_UNMAP, &unmap);
        if (r == 0 && unmap.length != length)
                return -ENOTRECOVERABLE;
        return r;
}

static int hwpt_alloc(int iommufd, struct iommu_hwpt_alloc *alloc, uint32_t *hwpt)
{
        int r;

        r = vtd_linux_call(iommufd, IOMMU_HWPT_ALLOC, alloc);
        if (r == 0)
                *hwpt = alloc->out_hwpt_id;
        return r;
}

int vtd_iommufd_nest_parent_alloc(int iommufd, uint32_t device, uint32_t ioas,
                                  bool pasid_compatible, uint32_t *hwpt)
{
        struct iommu_hwpt_alloc alloc = {
                .size = sizeof(alloc),
                .flags = IOMMU_HWPT_ALLOC_NEST_PARENT |
                         (pasid_compatible ? IOMMU_HWPT_ALLOC_PASID : 0),
                .dev_id = device,
                .pt_id = ioas,
                .data_type = IOMMU_HWPT_DATA_NONE,
        };

        return hwpt_alloc(iommufd, &alloc, hwpt);
}

/*
 * The kernel looks at these when the table is attached, after it has blocked the device, or never
 * (unknown flags, low bits of the root).
 */
static bool first_stage_is_supported(const struct vtd_host_device_info *info,
                                     const struct vtd_host_first_stage *config)
{
        if (!info->is_vtd)
                return false;
        if (config->address_width != 48 &&
            !(config->address_width == 57 && (info->cap & CAP_FS5LP)))
                return false;
        if (config->flags & ~VTD_FIRST_STAGE_FLAGS)
                return false;
        if ((config->flags & VTD_FIRST_STAGE_SRE) && !(info->ecap & ECAP_SRS))
                return false;
        if ((config->flags & VTD_FIRST_STAGE_EAFE) && !(info->ecap & ECAP_EAFS))
                return false;
        return vtd_is_page_aligned(config->root);
}

static uint64_t kernel_flags(uint32_t flags)
{
        return (flags & VTD_FIRST_STAGE_SRE ? IOMMU_VTD_S1_SRE : 0) |
               (flags & VTD_FIRST_STAGE_EAFE ? IOMMU_VTD_S1_EAFE : 0) |
               (flags & VTD_FIRST_STAGE_WPE ? IOMMU_VTD_S1_WPE : 0);
}

int vtd_iommufd_nested_alloc(int iommufd, uint32_t device, const struct vtd_host_device_info *info,
                             uint32_t parent, const struct vtd_host_first_stage *config,
                             bool pasid_compatible, uint32_t *hwpt)
{
        struct iommu_hwpt_vtd_s1 first_stage = {
                .flags = kernel_flags(config->flags),
                .pgtbl_addr = config->root,
                .addr_width = config->address_width,
        };
        struct iommu_hwpt_alloc alloc = {
                .size = sizeof(alloc),
                .flags = pasid_compatible ? IOMMU_HWPT_ALLOC_PASID : 0,
                .dev_id = device,
                .pt_id = parent,
                .data_type = IOMMU_HWPT_DATA_VTD_S1,
                .data_len = sizeof(first_stage),
                .data_uptr = user_pointer(&first_stage),
        };

        if (!first_stage_is_supported(info, config))
                return VTD_HOST_E_INVALID;
        return hwpt_alloc(iommufd, &alloc, hwpt);
}

static bool invalidation_is_valid(const struct vtd_invalidate_entry *entry)
{
        uint64_t last;

        if (entry->pages == VTD_INVALIDATE_ALL)
                return entry->address == 0;
        return entry->pages != 0 && entry->pages < INVALIDATE_PAGES_END &&
               vtd_is_page_aligned(entry->address) &&
               vtd_add_u64(entry->address, (entry->pages << VTD_PAGE_SHIFT) - 1, &last);
}

/* True when the aligned block around the entry is too large: the whole table goes instead. */
static bool needs_whole_table(const struct vtd_invalidate_entry *entry)
{
        uint64_t first = entry->address >> VTD_PAGE_SHIFT;

        return entry->pages == VTD_INVALIDATE_ALL ||
               (first ^ (first + entry->pages - 1)) >> INVALIDATE_BLOCK_ORDER != 0;
}

static struct iommu_hwpt_vtd_s1_invalidate kernel_entry(const struct vtd_invalidate_entry *entry)
{
        if (needs_whole_table(entry))
                return (struct iommu_hwpt_vtd_s1_invalidate){.npages = VTD_INVALIDATE_ALL};
        return (struct iommu_hwpt_vtd_s1_invalidate){
                .addr = entry->address,
                .npages = entry->pages,
                .flags = entry->leaf ? IOMMU_VTD_INV_FLAGS_LEAF : 0,
        };
}

static int invalidate_batch(int iommufd, uint32_t hwpt, const struct vtd_invalidate_entry *entries,
                            uint32_t count, size_t *done)
{
        struct iommu_hwpt_vtd_s1_invalidate batch[INVALIDATE_BATCH] = {0};
        struct iommu_hwpt_invalidate invalidate = {
                .size = sizeof(invalidate),
                .hwpt_id = hwpt,
                .data_uptr = user_pointer(batch),
                .data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
                .entry_len = sizeof(batch[0]),
                .entry_num = count,
        };
        int r;

        for (uint32_t i = 0; i < count; i++)
                batch[i] = kernel_entry(&entries[i]);
        r = vtd_linux_call(iommufd, IOMMU_HWPT_INVALIDATE, &invalidate);
        if (r == 0 && invalidate.entry_num != count)
                r = -EPROTO;
        /* A call that failed before the kernel looked at it has left entry_num as it was. */
        *done = r == 0 || invalidate.entry_num < count ? invalidate.entry_num : 0;
        return r;
}

int vtd_iommufd_invalidate(int iommufd, uint32_t hwpt, const struct vtd_invalidate_entry *entries,
                           size_t count, size_t *done)
{
        *done = 0;
        for (size_t i = 0; i < count; i++) {
                if (!invalidation_is_valid(&entries[i]))
                        return VTD_HOST_E_INVALID;
        }
        while (*done < count) {
                size_t left = count - *done, batch_done = 0;
                uint32_t batch = (uint32_t)(left < INVALIDATE_BATCH ? left : INVALIDATE_BATCH);
                int r;

                r = invalidate_batch(iommufd, hwpt, entries + *done, batch, &batch_done);
                *done += batch_done;
                if (r != 0)
                        return r;
        }
        return 0;
}

int vtd_iommufd_destroy(int iommufd, uint32_t id)
{
        struct iommu_destroy destroy = {.size = sizeof(destroy), .id = id};

        return vtd_linux_call(iommufd, IOMMU_DESTROY, &destroy);
}
