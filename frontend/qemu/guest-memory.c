/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM, for the unit and for the broker: see iommu.h.
 *
 * The callbacks reach RAM only: whatever address a guest puts into its tables, no device model is
 * entered from here.  They may be made from any thread; they take no lock, and hold QEMU's read-side
 * critical section while they use a pointer into RAM.
 *
 * The broker is given RAM that is a sealed memfd (memory-backend-memfd with share=on and seal=on), as
 * the memory map shows it: what firmware hides or write-protects, ROMs and device memory are not
 * reachable for devices of the broker.
 */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/rcu.h"
#include "exec/address-spaces.h"
#include "exec/ram_addr.h"
#include "hw/boards.h"
#include "qapi/error.h"

#include "iommu.h"

#define PAGE_SIZE_4K UINT64_C(4096)

/* RAM from @gpa on, of at most *@size bytes, which is shortened to what is there in one piece. */
static MemoryRegion *find_ram(uint64_t gpa, hwaddr *size, bool write, hwaddr *offset)
{
        MemoryRegion *region = address_space_translate(&address_space_memory, gpa, offset, size,
                                                       write, MEMTXATTRS_UNSPECIFIED);

        if (!memory_region_is_ram(region) || memory_region_is_ram_device(region) ||
            (write && (region->readonly || region->rom_device)))
                return NULL;
        return region;
}

/* True if all of it is RAM: asked before the first byte is moved. */
static bool is_ram(uint64_t gpa, uint64_t size, bool write)
{
        hwaddr piece, offset;

        while (size > 0) {
                piece = size;
                if (!find_ram(gpa, &piece, write, &offset) || piece == 0)
                        return false;
                gpa += piece;
                size -= piece;
        }
        return true;
}

/* Each byte once; where everything is aligned, each word in a single load, in ascending order. */
static void load(uint8_t *to, const uint8_t *from, size_t size)
{
        if (((uintptr_t)from | size) % sizeof(uint64_t) != 0) {
                memcpy(to, from, size);
                return;
        }
        for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
                uint64_t value = __atomic_load_n((const uint64_t *)(const void *)(from + i),
                                                 __ATOMIC_ACQUIRE);

                memcpy(to + i, &value, sizeof(value));
        }
}

int vtd_broker_read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        hwaddr piece = size, offset;
        MemoryRegion *region;
        uint8_t *to = data;

        (void)opaque;
        RCU_READ_LOCK_GUARD();
        if (gpa + size < gpa)
                return -EFAULT;
        /* Mostly one entry of a table, of which each miss of a translation reads four. */
        region = find_ram(gpa, &piece, false, &offset);
        if (region && piece == size) {
                load(to, (const uint8_t *)memory_region_get_ram_ptr(region) + offset, size);
                return 0;
        }
        if (!is_ram(gpa, size, false))
                return -EFAULT;
        while (size > 0) {
                piece = size;
                region = find_ram(gpa, &piece, false, &offset);
                load(to, (const uint8_t *)memory_region_get_ram_ptr(region) + offset, piece);
                to += piece;
                gpa += piece;
                size -= piece;
        }
        return 0;
}

int vtd_broker_write_memory(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        MemTxResult result;

        (void)opaque;
        RCU_READ_LOCK_GUARD();
        if (gpa + size < gpa || !is_ram(gpa, size, true))
                return -EFAULT;
        if (size == sizeof(uint32_t) && gpa % sizeof(uint32_t) == 0)
                address_space_stl_le(&address_space_memory, gpa, ldl_le_p(data),
                                     MEMTXATTRS_UNSPECIFIED, &result);
        else
                result = address_space_write(&address_space_memory, gpa, MEMTXATTRS_UNSPECIFIED,
                                             data, size);
        return result == MEMTX_OK ? 0 : -EFAULT;
}

/*
 * For accessed and dirty bits.  The page is marked for those who copy or display it; code that was
 * translated from it stays, for a guest that executes its own paging entries has itself to thank.
 */
int vtd_broker_compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                                uint64_t *found)
{
        hwaddr size = sizeof(uint64_t), offset;
        MemoryRegion *region;
        uint64_t *entry;
        uint8_t clients;

        (void)opaque;
        RCU_READ_LOCK_GUARD();
        region = find_ram(gpa, &size, true, &offset);
        if (!region || size != sizeof(uint64_t) || gpa % sizeof(uint64_t) != 0)
                return -EFAULT;
        entry = (uint64_t *)((uint8_t *)memory_region_get_ram_ptr(region) + offset);
        if (__atomic_compare_exchange_n(entry, &expected, desired, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
                clients = memory_region_get_dirty_log_mask(region) & ~(1 << DIRTY_MEMORY_CODE);
                cpu_physical_memory_set_dirty_range(memory_region_get_ram_addr(region) + offset,
                                                    sizeof(uint64_t), clients);
        }
        *found = expected;
        return 0;
}

struct range {
        uint64_t gpa;
        uint64_t size;
        uint64_t offset; /* in the descriptor */
        int fd;
};

/* What of @section can be given to the broker: whole pages of writable RAM with a shared descriptor. */
static bool shareable(const MemoryRegionSection *section, struct range *range)
{
        uint64_t gpa = section->offset_within_address_space;
        uint64_t size = int128_get64(section->size);
        uint64_t skipped = ROUND_UP(gpa, PAGE_SIZE_4K) - gpa;

        if (!memory_region_is_ram(section->mr) || memory_region_is_ram_device(section->mr) ||
            section->readonly || section->mr->rom_device || size <= skipped ||
            !qemu_ram_is_shared(section->mr->ram_block))
                return false;
        range->fd = memory_region_get_fd(section->mr);
        range->gpa = gpa + skipped;
        range->size = ROUND_DOWN(size - skipped, PAGE_SIZE_4K);
        if (range->fd < 0 || range->size == 0)
                return false;
        range->offset = section->mr->ram_block->fd_offset + section->offset_within_region + skipped;
        return range->offset % PAGE_SIZE_4K == 0;
}

/* A guest that moves things in memory can provoke as many as it likes: the first one is reported. */
static void report(VtdBrokerIommu *iommu, Error *error)
{
        if (iommu->map_error_reported) {
                error_free(error);
                return;
        }
        error_report_err(error);
        iommu->map_error_reported = true;
}

static void unmap(VtdBrokerIommu *iommu, uint64_t mapping)
{
        Error *error = NULL;
        int r;

        vtd_broker_iommu_await(iommu);
        r = vtd_frontend_unmap(iommu->frontend, mapping);
        if (r != 0) {
                vtd_broker_iommu_error(iommu, r, &error, "taking guest RAM from the broker");
                report(iommu, error);
        }
}

static void region_add(MemoryListener *listener, MemoryRegionSection *section)
{
        VtdBrokerIommu *iommu = container_of(listener, VtdBrokerIommu, listener);
        g_autofree char *what = NULL;
        struct range range;
        uint64_t mapping;
        Error *error = NULL;
        int r;

        if (!shareable(section, &range))
                return;
        vtd_broker_iommu_await(iommu);
        r = vtd_frontend_map(iommu->frontend, range.gpa, range.size, range.fd, range.offset,
                             &mapping);
        if (r == 0) {
                g_hash_table_insert(iommu->mappings, g_memdup2(&range.gpa, sizeof(range.gpa)),
                                    g_memdup2(&mapping, sizeof(mapping)));
                return;
        }
        what = g_strdup_printf("giving the broker guest RAM at 0x%" PRIx64 ", 0x%" PRIx64 " bytes",
                               range.gpa, range.size);
        vtd_broker_iommu_error(iommu, r, &error, what);
        if (iommu->listening)
                report(iommu, error); /* devices cannot reach it, which is all that can be done */
        else
                error_propagate(&iommu->map_error, error); /* keeps the first one */
}

/* Only what was given: another section may end in the page that RAM begins with. */
static void region_del(MemoryListener *listener, MemoryRegionSection *section)
{
        VtdBrokerIommu *iommu = container_of(listener, VtdBrokerIommu, listener);
        const uint64_t *mapping;
        struct range range;

        if (!shareable(section, &range))
                return;
        mapping = g_hash_table_lookup(iommu->mappings, &range.gpa);
        if (!mapping)
                return;
        unmap(iommu, *mapping);
        g_hash_table_remove(iommu->mappings, &range.gpa);
}

static bool ram_is_sealed(Error **errp)
{
        MemoryRegion *ram = current_machine->ram;
        int fd = ram ? memory_region_get_fd(ram) : -1;
        int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);
        const char *name = ram ? memory_region_name(ram) : "", *problem;

        if (seals < 0)
                problem = "not a memfd";
        else if (!qemu_ram_is_shared(ram->ram_block))
                problem = "not shared";
        else if (!(seals & F_SEAL_SHRINK))
                problem = "not sealed";
        else
                return true;
        error_setg(
                errp,
                "guest RAM '%s' is %s, so that devices of the broker cannot reach it: it must be "
                "-object memory-backend-memfd,id=ram,size=...,share=on,seal=on "
                "-machine memory-backend=ram",
                name, problem);
        return false;
}

bool vtd_broker_memory_share(VtdBrokerIommu *iommu, Error **errp)
{
        if (iommu->listening)
                return true;
        if (!ram_is_sealed(errp))
                return false;
        iommu->mappings = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
        iommu->listener = (MemoryListener){
                .name = TYPE_VTD_BROKER_IOMMU,
                .region_add = region_add,
                .region_del = region_del,
        };
        memory_listener_register(&iommu->listener, &address_space_memory);
        iommu->listening = true;
        if (!iommu->map_error)
                return true;
        error_propagate(errp, g_steal_pointer(&iommu->map_error));
        vtd_broker_memory_unshare(iommu);
        return false;
}

void vtd_broker_memory_unshare(VtdBrokerIommu *iommu)
{
        if (!iommu->listening)
                return;
        memory_listener_unregister(&iommu->listener); /* calls region_del for what is there */
        iommu->listening = false;
        g_hash_table_unref(iommu->mappings);
        iommu->mappings = NULL;
}
