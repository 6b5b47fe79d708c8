/* SPDX-License-Identifier: MIT */
/*
 * See memory.h.  System calls: fstat, fcntl(F_GET_SEALS), mmap, munmap.
 *
 * Unlike the kernel this does not pin: pages are allocated when a device first touches them.  A
 * client that punches holes into a hugetlb memfd while the host is out of huge pages can thereby
 * end its own worker with SIGBUS; it cannot reach anything else.
 */
#include "broker/host_sim/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "broker/host.h"
#include "shared/checked.h"
#include "shared/error.h"

/* Index of the first area that lies behind (@ioas, @iova), i.e. where such a start would go. */
static size_t upper_bound(const struct vtd_sim_memory *memory, uint32_t ioas, uint64_t iova)
{
        size_t low = 0, high = memory->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const struct vtd_sim_area *area = &memory->areas[middle];

                if (area->ioas < ioas || (area->ioas == ioas && area->iova <= iova))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* The last area of @ioas that begins at or below @iova, or NULL. */
static const struct vtd_sim_area *area_below(const struct vtd_sim_memory *memory, uint32_t ioas,
                                             uint64_t iova)
{
        size_t index = upper_bound(memory, ioas, iova);

        if (index == 0 || memory->areas[index - 1].ioas != ioas)
                return NULL;
        return &memory->areas[index - 1];
}

bool vtd_sim_memory_overlaps(const struct vtd_sim_memory *memory, uint32_t ioas, uint64_t start,
                             uint64_t last)
{
        const struct vtd_sim_area *area = area_below(memory, ioas, last);

        return area && area->iova + (area->length - 1) >= start;
}

uint8_t *vtd_sim_memory_at(const struct vtd_sim_memory *memory, uint32_t ioas, uint64_t iova,
                           uint64_t size)
{
        const struct vtd_sim_area *area = area_below(memory, ioas, iova);

        if (!area || !vtd_range_contains(area->iova, area->length, iova, size))
                return NULL;
        return area->bytes + (iova - area->iova);
}

/* Fills in the area's bytes from @fd; nothing is mapped on failure. */
static int area_open(struct vtd_sim_area *area, int fd, uint64_t offset)
{
        uint64_t granule, start, size;
        struct stat status;
        int seals;

        seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0)
                return errno == EINVAL ? VTD_HOST_E_INVALID : vtd_errno(); /* no memfd */
        if (!(seals & F_SEAL_SHRINK))
                return VTD_HOST_E_INVALID;
        /* Only now does the file not get shorter any more. */
        if (fstat(fd, &status) < 0)
                return vtd_errno();
        if (status.st_size < 0 || !vtd_range_within(offset, area->length, (uint64_t)status.st_size))
                return VTD_HOST_E_INVALID;

        /* hugetlb files map whole huge pages, which are their block size. */
        granule = status.st_blksize > 0 ? (uint64_t)status.st_blksize : VTD_PAGE_SIZE;
        if (granule < VTD_PAGE_SIZE || (granule & (granule - 1)) != 0)
                granule = VTD_PAGE_SIZE;
        start = offset & ~(granule - 1);
        /* Cannot wrap: the range ends inside a file, whose size fits 63 bits. */
        size = (area->length + (offset - start) + granule - 1) & ~(granule - 1);

        area->mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);
        if (area->mapping == MAP_FAILED) {
                if (errno == ENOMEM || errno == EAGAIN)
                        return VTD_HOST_E_LIMIT;
                if (errno == EACCES || errno == EPERM || errno == EINVAL)
                        return VTD_HOST_E_INVALID;
                return vtd_errno();
        }
        area->mapping_size = size;
        area->bytes = (uint8_t *)area->mapping + (offset - start);
        return 0;
}

int vtd_sim_memory_map(struct vtd_sim_memory *memory, uint32_t ioas, int fd, uint64_t offset,
                       uint64_t length, uint64_t iova)
{
        struct vtd_sim_area area = {.ioas = ioas, .iova = iova, .length = length};
        uint64_t end;
        size_t index;
        int result;

        if (length == 0 || !vtd_is_page_aligned(offset | length | iova) ||
            !vtd_add_u64(iova, length, &end))
                return VTD_HOST_E_INVALID;
        if (vtd_sim_memory_overlaps(memory, ioas, iova, end - 1))
                return VTD_HOST_E_INVALID;
        if (memory->count == VTD_SIM_AREAS || length > VTD_SIM_LOCKED_MAX - memory->locked)
                return VTD_HOST_E_LIMIT;
        result = area_open(&area, fd, offset);
        if (result)
                return result;

        index = upper_bound(memory, ioas, iova);
        memmove(&memory->areas[index + 1], &memory->areas[index],
                (memory->count - index) * sizeof(area));
        memory->areas[index] = area;
        memory->count++;
        memory->locked += length;
        return 0;
}

static int area_remove(struct vtd_sim_memory *memory, size_t index)
{
        struct vtd_sim_area area = memory->areas[index];

        memory->count--;
        memory->locked -= area.length;
        memmove(&memory->areas[index], &memory->areas[index + 1],
                (memory->count - index) * sizeof(area));
        if (munmap(area.mapping, area.mapping_size) < 0)
                return vtd_errno();
        return 0;
}

int vtd_sim_memory_unmap(struct vtd_sim_memory *memory, uint32_t ioas, uint64_t iova,
                         uint64_t length)
{
        const struct vtd_sim_area *area = area_below(memory, ioas, iova);

        if (!area || area->iova != iova || area->length != length)
                return VTD_HOST_E_ABSENT;
        return area_remove(memory, (size_t)(area - memory->areas));
}

void vtd_sim_memory_unmap_all(struct vtd_sim_memory *memory, uint32_t ioas)
{
        size_t index = upper_bound(memory, ioas, UINT64_MAX);

        /* The areas are out of the table, hence out of reach, even where munmap() fails. */
        while (index > 0 && memory->areas[index - 1].ioas == ioas)
                (void)area_remove(memory, --index);
}
