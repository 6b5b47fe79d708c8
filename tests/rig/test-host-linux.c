/* SPDX-License-Identifier: MIT */
/*
 * Every operation of the real host, on a kernel's /dev/iommu and a VFIO device, with the device's
 * DMA as the witness.  Runs as root in a rig; one program, because a boot costs more than its tests.
 * The argument says what the machine has: "pasid" or "no-pasid".  Prints TAP.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/checked.h"
#include "tests/rig/rig-device.h"

#define NO_SUCH_ID       UINT32_C(9999)
#define MSI_WINDOW       UINT64_C(0xfee00000)
#define BAR_SIZE         UINT64_C(0x100000)
#define EDU_IDENTITY     UINT64_C(0x010000ed)
#define ECAP_NEST        (UINT64_C(1) << 26)
#define ECAP_SRS         (UINT64_C(1) << 31)
#define ECAP_EAFS        (UINT64_C(1) << 34)
#define CAP_FS5LP        (UINT64_C(1) << 60)
#define MANY_ENTRIES     300u /* more than go to the kernel at once */
#define PASID            5u
#define SPARE_GPA        (RIG_MEMORY_SIZE + UINT64_C(0x100000))
#define ENTRY(a, n, l)   ((struct vtd_invalidate_entry){.address = (a), .pages = (n), .leaf = (l)})
#define OP(rig, op, ...) ((rig)->ops->op((rig)->host, __VA_ARGS__))

static int attach(struct rig *rig, uint32_t hwpt)
{
        return OP(rig, attach, rig->device, VTD_NO_PASID, hwpt);
}

static int detach(struct rig *rig)
{
        return OP(rig, detach, rig->device, VTD_NO_PASID);
}

static int invalidate_one(struct rig *rig, uint32_t hwpt, struct vtd_invalidate_entry entry)
{
        size_t done = 77;
        int r = OP(rig, invalidate, hwpt, &entry, 1, &done);

        RIG_IS(rig, done, r == 0 ? 1 : 0);
        return r;
}

static bool is_open(int fd)
{
        return fcntl(fd, F_GETFD) >= 0;
}

static size_t count_descriptors(void)
{
        DIR *directory = opendir("/proc/self/fd");
        size_t count = 0;

        while (directory && readdir(directory))
                count++;
        if (directory)
                (void)closedir(directory);
        return count;
}

static void test_open_refusals(struct rig *rig)
{
        struct vtd_host *host = NULL;
        int null = rig_open("/dev/null");
        int device = rig_open(RIG_CDEV);

        RIG_IS(rig, vtd_host_open(&host, null), -ENOTTY);
        RIG_IS(rig, is_open(null), false);
        RIG_IS(rig, vtd_host_open(&host, device) < 0, true);
        RIG_IS(rig, is_open(device), false);
        RIG_IS(rig, vtd_host_open(&host, -1), -EBADF);
        RIG_IS(rig, host == NULL, true);
}

static void test_device_info(struct rig *rig)
{
        RIG_IS(rig, vtd_host_built_kind, VTD_HOST_LINUX);
        RIG_IS(rig, rig->info.is_vtd, true);
        RIG_IS(rig, rig->info.erratum_772415, true);
        RIG_IS(rig, rig->info.ecap & ECAP_NEST, ECAP_NEST);
        RIG_IS(rig, rig->info.pasid_bits, rig->pasids ? 20 : 0);
        RIG_IS(rig, rig->info.region_size[0], BAR_SIZE);
        for (size_t i = 1; i < VTD_REGIONS; i++)
                RIG_IS(rig, rig->info.region_size[i], 0);
}

static void test_bind_refusals(struct rig *rig)
{
        int again = rig_open(RIG_CDEV), null = rig_open("/dev/null");
        uint32_t id = 77;

        RIG_IS(rig, OP(rig, bind, again, &id), VTD_HOST_E_INVALID);
        RIG_IS(rig, is_open(again), false);
        RIG_IS(rig, OP(rig, bind, null, &id), VTD_HOST_E_ABSENT);
        RIG_IS(rig, is_open(null), false);
        RIG_IS(rig, OP(rig, bind, -1, &id), -EBADF);
        RIG_IS(rig, id, 77);
}

static void test_unknown_device(struct rig *rig)
{
        struct vtd_host_device_info info;
        struct vtd_host_first_stage config = {.root = RIG_ROOT_A, .address_width = 48};
        uint64_t value;
        uint32_t id;

        RIG_IS(rig, OP(rig, device_info, NO_SUCH_ID, &info), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, bus_master, NO_SUCH_ID, false), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, release, NO_SUCH_ID), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, second_stage_alloc, NO_SUCH_ID, rig->ioas, false, &id),
               VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, first_stage_alloc, NO_SUCH_ID, rig->second_stage, &config, false, &id),
               VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, attach, NO_SUCH_ID, VTD_NO_PASID, rig->second_stage),
               VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, detach, NO_SUCH_ID, VTD_NO_PASID), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, region_read, NO_SUCH_ID, 0, 0, 4, &value), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, region_write, NO_SUCH_ID, 0, 0, 4, 0), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, config_read, NO_SUCH_ID, 0, 4, &id), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, config_write, NO_SUCH_ID, 4, 2, 0), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, set_interrupt, NO_SUCH_ID, VTD_INTERRUPT_MSI, 0, 0), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, clear_interrupts, NO_SUCH_ID, VTD_INTERRUPT_MSI), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, reset, NO_SUCH_ID), VTD_HOST_E_ABSENT);
}

static void test_unknown_objects(struct rig *rig)
{
        const struct vtd_invalidate_entry all = ENTRY(0, VTD_INVALIDATE_ALL, false);
        struct vtd_host_first_stage config = {.root = RIG_ROOT_A, .address_width = 48};
        struct vtd_address_range range;
        size_t count;
        uint32_t id;

        RIG_IS(rig, OP(rig, destroy, NO_SUCH_ID), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, ioas_ranges, NO_SUCH_ID, &range, 1, &count), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, map_file, NO_SUCH_ID, rig->memfd, 0, 4096, SPARE_GPA),
               VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, unmap, NO_SUCH_ID, 0, 4096), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, second_stage_alloc, rig->device, NO_SUCH_ID, false, &id),
               VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, first_stage_alloc, rig->device, NO_SUCH_ID, &config, false, &id),
               VTD_HOST_E_INVALID);
        RIG_IS(rig, attach(rig, NO_SUCH_ID), VTD_HOST_E_ABSENT);
        RIG_IS(rig, invalidate_one(rig, NO_SUCH_ID, all), VTD_HOST_E_ABSENT);
        RIG_IS(rig, detach(rig), 0);
}

static void test_ranges(struct rig *rig)
{
        struct vtd_address_range ranges[8] = {0};
        uint32_t ioas = 0, hwpt = 0;
        size_t count = 0;

        RIG_IS(rig, OP(rig, ioas_alloc, &ioas), 0);
        RIG_IS(rig, OP(rig, ioas_ranges, ioas, ranges, 8, &count), 0);
        RIG_IS(rig, count, 1);
        RIG_IS(rig, ranges[0].start, 0);
        RIG_IS(rig, OP(rig, second_stage_alloc, rig->device, ioas, rig->pasids, &hwpt), 0);
        RIG_IS(rig, attach(rig, hwpt), 0);
        RIG_IS(rig, OP(rig, ioas_ranges, ioas, ranges, 8, &count), 0);
        RIG_IS(rig, count, 2);
        RIG_IS(rig, ranges[0].start, 0);
        RIG_IS(rig, ranges[0].last, MSI_WINDOW - 1);
        RIG_IS(rig, ranges[1].start, MSI_WINDOW + 0x100000);
        RIG_IS(rig, ranges[1].last, (UINT64_C(1) << 48) - 1);
        memset(ranges, 0, sizeof(ranges));
        count = 0;
        RIG_IS(rig, OP(rig, ioas_ranges, ioas, ranges, 1, &count), VTD_HOST_E_LIMIT);
        RIG_IS(rig, count, 2);
        RIG_IS(rig, ranges[0].last, MSI_WINDOW - 1);
        RIG_IS(rig, ranges[1].last, 0);
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, OP(rig, destroy, hwpt), 0);
        RIG_IS(rig, OP(rig, destroy, ioas), 0);
}

static void test_map_refusals(struct rig *rig)
{
        const struct {
                uint64_t offset, length, iova;
        } bad[] = {
                {0, 0, SPARE_GPA},                         /* nothing */
                {0, 4096, SPARE_GPA + 8},                  /* address not aligned */
                {8, 4096, SPARE_GPA},                      /* offset not aligned */
                {0, 4000, SPARE_GPA},                      /* length not aligned */
                {0, 8192, UINT64_MAX - 4095},              /* wraps */
                {UINT64_MAX - 4095, 8192, SPARE_GPA},      /* offset wraps */
                {RIG_MEMORY_SIZE - 4096, 8192, SPARE_GPA}, /* beyond the file */
                {0, 8192, RIG_MEMORY_SIZE - 4096},         /* overlaps a mapping */
                {0, 8192, MSI_WINDOW - 4096},              /* overlaps a reserved range */
        };

        RIG_IS(rig, attach(rig, rig->second_stage), 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(bad); i++)
                RIG_IS(rig,
                       OP(rig, map_file, rig->ioas, rig->memfd, bad[i].offset, bad[i].length,
                          bad[i].iova),
                       VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, map_file, rig->ioas, -1, 0, 4096, SPARE_GPA), -EBADF);
        RIG_IS(rig, OP(rig, unmap, rig->ioas, SPARE_GPA, 4096), VTD_HOST_E_ABSENT);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_WORD_ONE);
}

/* Where no table is yet, the kernel takes single bytes, and fails when there is to be one. */
static void test_map_refusals_without_table(struct rig *rig)
{
        uint32_t ioas = 0;

        RIG_IS(rig, OP(rig, ioas_alloc, &ioas), 0);
        RIG_IS(rig, OP(rig, map_file, ioas, rig->memfd, 8, 4096, 0), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, map_file, ioas, rig->memfd, 0, 4000, 0), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, map_file, ioas, rig->memfd, 0, 4096, 8), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, unmap, ioas, 0, 4096), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, map_file, ioas, rig->memfd, 0, 4096, 0), 0);
        RIG_IS(rig, OP(rig, unmap, ioas, 0, 4096), 0);
        RIG_IS(rig, OP(rig, destroy, ioas), 0);
}

static void test_unmap_refusals(struct rig *rig)
{
        RIG_IS(rig, attach(rig, rig->second_stage), 0);
        RIG_IS(rig, OP(rig, unmap, rig->ioas, 0, 4096), VTD_HOST_E_ABSENT); /* a part of one */
        RIG_IS(rig, OP(rig, unmap, rig->ioas, 0, UINT64_MAX), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, unmap, rig->ioas, 0, 0), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, unmap, rig->ioas, 8, RIG_MEMORY_SIZE), VTD_HOST_E_INVALID);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_WORD_ONE);
        /* More than was mapped: the kernel takes it, which must not pass for success. */
        RIG_IS(rig, OP(rig, unmap, rig->ioas, 0, 2 * RIG_MEMORY_SIZE), -ENOTRECOVERABLE);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_BLOCKED);
        RIG_IS(rig, OP(rig, map_file, rig->ioas, rig->memfd, 0, RIG_MEMORY_SIZE, 0), 0);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_WORD_ONE);
}

static void test_bound_is_blocked(struct rig *rig)
{
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_BLOCKED);
}

static void test_passthrough(struct rig *rig)
{
        RIG_IS(rig, attach(rig, rig->second_stage), 0);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_WORD_ONE);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_TWO), RIG_WORD_TWO);
        RIG_IS(rig, rig_observe_physical(rig, SPARE_GPA), 0);
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_BLOCKED);
        RIG_IS(rig, detach(rig), 0);
}

static void test_bus_master(struct rig *rig)
{
        uint64_t value = 0;

        RIG_IS(rig, attach(rig, rig->second_stage), 0);
        RIG_IS(rig, OP(rig, bus_master, rig->device, false), 0);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_BLOCKED);
        RIG_IS(rig, OP(rig, region_read, rig->device, 0, 0, 4, &value), 0);
        RIG_IS(rig, value, EDU_IDENTITY); /* memory decoding stays on */
        RIG_IS(rig, OP(rig, bus_master, rig->device, true), 0);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_WORD_ONE);
}

static void test_first_stage(struct rig *rig)
{
        uint32_t hwpt = rig_first_stage(rig, RIG_ROOT_A, RIG_PAGE_ONE);

        RIG_IS(rig, attach(rig, hwpt), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_ONE);
        /* What a guest-physical address was is a virtual one now, which the table does not map. */
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_BLOCKED);
        RIG_IS(rig, rig_observe(rig, RIG_VIRTUAL_DATA + 0x2000, RIG_VIRTUAL_MAILBOX), 0);
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_BLOCKED);
        RIG_IS(rig, OP(rig, destroy, hwpt), 0);
}

/* Each kind of invalidation by itself must drop what the device has cached; another page's not. */
static void test_stale(struct rig *rig)
{
        const struct vtd_invalidate_entry good[] = {
                ENTRY(RIG_VIRTUAL_DATA, 1, false),
                ENTRY(RIG_VIRTUAL_DATA, 1, true),
                ENTRY(RIG_VIRTUAL_DATA, 512, false),
                ENTRY(0, VTD_INVALIDATE_ALL, false),
        };
        uint64_t pages[] = {RIG_PAGE_ONE, RIG_PAGE_TWO};
        uint64_t words[] = {RIG_WORD_ONE, RIG_WORD_TWO};
        uint32_t hwpt = rig_first_stage(rig, RIG_ROOT_A, RIG_PAGE_ONE);

        RIG_IS(rig, attach(rig, hwpt), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_ONE);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(good); i++) {
                rig_change_entry(rig, RIG_ROOT_A, pages[(i + 1) % 2]);
                RIG_IS(rig, rig_observe_virtual(rig), words[i % 2]);
                RIG_IS(rig, invalidate_one(rig, hwpt, ENTRY(0x1000, 1, false)), 0);
                RIG_IS(rig, rig_observe_virtual(rig), words[i % 2]);
                RIG_IS(rig, invalidate_one(rig, hwpt, good[i]), 0);
                RIG_IS(rig, rig_observe_virtual(rig), words[(i + 1) % 2]);
        }
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, OP(rig, destroy, hwpt), 0);
}

static void test_many_entries(struct rig *rig)
{
        struct vtd_invalidate_entry entries[MANY_ENTRIES];
        uint32_t hwpt = rig_first_stage(rig, RIG_ROOT_A, RIG_PAGE_ONE);
        size_t done = 77;

        RIG_IS(rig, attach(rig, hwpt), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_ONE);
        rig_change_entry(rig, RIG_ROOT_A, RIG_PAGE_TWO);
        for (size_t i = 0; i < MANY_ENTRIES; i++)
                entries[i] = ENTRY(0x1000 * (i + 1), 1, false);
        entries[MANY_ENTRIES - 1] = ENTRY(RIG_VIRTUAL_DATA, 1, false);
        RIG_IS(rig, OP(rig, invalidate, hwpt, entries, MANY_ENTRIES - 1, &done), 0);
        RIG_IS(rig, done, MANY_ENTRIES - 1);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_ONE);
        RIG_IS(rig, OP(rig, invalidate, hwpt, entries, MANY_ENTRIES, &done), 0);
        RIG_IS(rig, done, MANY_ENTRIES);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_TWO);
        RIG_IS(rig, OP(rig, invalidate, hwpt, entries, 0, &done), 0);
        RIG_IS(rig, done, 0);
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, OP(rig, destroy, hwpt), 0);
}

static void test_invalidate_refusals(struct rig *rig)
{
        const struct vtd_invalidate_entry bad[] = {
                ENTRY(RIG_VIRTUAL_DATA, 0, false),
                ENTRY(0, 0, false),
                ENTRY(RIG_VIRTUAL_DATA + 8, 1, false),
                ENTRY(0, UINT64_C(1) << 52, false),
                ENTRY(UINT64_MAX - 4095, 2, false), /* wraps */
                ENTRY(RIG_VIRTUAL_DATA, VTD_INVALIDATE_ALL, false),
        };
        uint32_t hwpt = rig_first_stage(rig, RIG_ROOT_A, RIG_PAGE_ONE);

        RIG_IS(rig, attach(rig, hwpt), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_ONE);
        rig_change_entry(rig, RIG_ROOT_A, RIG_PAGE_TWO);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(bad); i++) {
                const struct vtd_invalidate_entry pair[] = {ENTRY(RIG_VIRTUAL_DATA, 1, false),
                                                            bad[i]};
                size_t done = 77;

                RIG_IS(rig, OP(rig, invalidate, hwpt, pair, 2, &done), VTD_HOST_E_INVALID);
                RIG_IS(rig, done, 0);
        }
        /* None of the good entries beside them has been carried out either. */
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_ONE);
        RIG_IS(rig, invalidate_one(rig, hwpt, ENTRY(UINT64_MAX - 4095, 1, false)), 0);
        RIG_IS(rig, invalidate_one(rig, rig->second_stage, ENTRY(0, VTD_INVALIDATE_ALL, false)),
               VTD_HOST_E_INVALID);
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, OP(rig, destroy, hwpt), 0);
}

static void test_replace(struct rig *rig)
{
        uint32_t a = rig_first_stage(rig, RIG_ROOT_A, RIG_PAGE_ONE);
        uint32_t b = rig_first_stage(rig, RIG_ROOT_B, RIG_PAGE_TWO);

        RIG_IS(rig, attach(rig, a), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_ONE);
        RIG_IS(rig, attach(rig, b), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_TWO);
        RIG_IS(rig, OP(rig, destroy, a), 0);
        RIG_IS(rig, attach(rig, rig->second_stage), 0);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_WORD_ONE);
        RIG_IS(rig, attach(rig, b), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_TWO);
        RIG_IS(rig, attach(rig, b), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_TWO);
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, OP(rig, destroy, b), 0);
}

static void test_busy(struct rig *rig)
{
        uint32_t hwpt = rig_first_stage(rig, RIG_ROOT_A, RIG_PAGE_ONE);

        RIG_IS(rig, attach(rig, hwpt), 0);
        RIG_IS(rig, OP(rig, destroy, hwpt), VTD_HOST_E_BUSY);
        RIG_IS(rig, OP(rig, destroy, rig->second_stage), VTD_HOST_E_BUSY);
        RIG_IS(rig, OP(rig, destroy, rig->ioas), VTD_HOST_E_BUSY);
        RIG_IS(rig, OP(rig, destroy, rig->device), VTD_HOST_E_BUSY);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_ONE);
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, OP(rig, destroy, rig->second_stage), VTD_HOST_E_BUSY);
        RIG_IS(rig, OP(rig, destroy, hwpt), 0);
        RIG_IS(rig, OP(rig, destroy, hwpt), VTD_HOST_E_ABSENT);
}

static int alloc_first_stage(struct rig *rig, uint32_t parent, uint64_t root, uint32_t width,
                             uint32_t flags, uint32_t *hwpt)
{
        const struct vtd_host_first_stage config = {
                .root = root, .address_width = width, .flags = flags};

        return OP(rig, first_stage_alloc, rig->device, parent, &config, rig->pasids, hwpt);
}

static void test_first_stage_refusals(struct rig *rig)
{
        const struct {
                uint64_t root;
                uint32_t width, flags;
                bool good;
        } cases[] = {
                {RIG_ROOT_A, 39, 0, false},
                {RIG_ROOT_A, 0, 0, false},
                {RIG_ROOT_A, 57, 0, rig->info.cap & CAP_FS5LP},
                {RIG_ROOT_A, 48, VTD_FIRST_STAGE_SRE, rig->info.ecap & ECAP_SRS},
                {RIG_ROOT_A, 48, VTD_FIRST_STAGE_EAFE, rig->info.ecap & ECAP_EAFS},
                {RIG_ROOT_A, 48, VTD_FIRST_STAGE_WPE, true},
                {RIG_ROOT_A, 48, VTD_FIRST_STAGE_FLAGS + 1, false},
                {RIG_ROOT_A, 48, UINT32_C(1) << 31, false},
                {RIG_ROOT_A + 8, 48, 0, false},
        };
        uint32_t attached = rig_first_stage(rig, RIG_ROOT_A, RIG_PAGE_ONE), hwpt = 0;

        RIG_IS(rig, attach(rig, attached), 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                RIG_IS(rig,
                       alloc_first_stage(rig, rig->second_stage, cases[i].root, cases[i].width,
                                         cases[i].flags, &hwpt),
                       cases[i].good ? 0 : VTD_HOST_E_INVALID);
                if (cases[i].good)
                        RIG_IS(rig, OP(rig, destroy, hwpt), 0);
        }
        RIG_IS(rig, alloc_first_stage(rig, attached, RIG_ROOT_A, 48, 0, &hwpt), VTD_HOST_E_INVALID);
        RIG_IS(rig, alloc_first_stage(rig, rig->ioas, RIG_ROOT_A, 48, 0, &hwpt), VTD_HOST_E_ABSENT);
        /* Refused before the kernel has touched what is attached. */
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_ONE);
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, OP(rig, destroy, attached), 0);
}

/* The reason why the caller has to judge the root: nobody else does. */
static void test_root_outside_memory(struct rig *rig)
{
        uint32_t hwpt = 0;

        RIG_IS(rig, alloc_first_stage(rig, rig->second_stage, SPARE_GPA, 48, 0, &hwpt), 0);
        RIG_IS(rig, attach(rig, hwpt), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_BLOCKED);
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, OP(rig, destroy, hwpt), 0);
}

static void test_unmap_below_first_stage(struct rig *rig)
{
        uint32_t hwpt = rig_first_stage(rig, RIG_ROOT_A, SPARE_GPA);

        RIG_IS(rig, OP(rig, map_file, rig->ioas, rig->memfd, RIG_PAGE_TWO, 4096, SPARE_GPA), 0);
        RIG_IS(rig, attach(rig, hwpt), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_TWO);
        RIG_IS(rig, OP(rig, unmap, rig->ioas, SPARE_GPA, 4096), 0);
        RIG_IS(rig, rig_observe_virtual(rig), 0);
        RIG_IS(rig, OP(rig, map_file, rig->ioas, rig->memfd, RIG_PAGE_ONE, 4096, SPARE_GPA), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_ONE);
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, OP(rig, unmap, rig->ioas, SPARE_GPA, 4096), 0);
        RIG_IS(rig, OP(rig, destroy, hwpt), 0);
}

/* The kernel would create a table of its own and attach that. */
static void test_attach_ioas(struct rig *rig)
{
        RIG_IS(rig, attach(rig, rig->ioas), -EPROTO);
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_BLOCKED);
}

static void test_regions(struct rig *rig)
{
        uint64_t value = 77;

        RIG_IS(rig, OP(rig, region_read, rig->device, 0, 0, 4, &value), 0);
        RIG_IS(rig, value, EDU_IDENTITY);
        RIG_IS(rig, OP(rig, region_write, rig->device, 0, 4, 4, 0x12345678), 0);
        RIG_IS(rig, OP(rig, region_read, rig->device, 0, 4, 4, &value), 0);
        RIG_IS(rig, value, UINT64_C(0xedcba987));
        RIG_IS(rig, OP(rig, region_write, rig->device, 0, 0x80, 8, UINT64_C(0x1122334455)), 0);
        RIG_IS(rig, OP(rig, region_read, rig->device, 0, 0x80, 8, &value), 0);
        RIG_IS(rig, value, UINT64_C(0x1122334455));
        value = 77;
        RIG_IS(rig, OP(rig, region_read, rig->device, 0, 0, 3, &value), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, region_read, rig->device, 0, 0, 0, &value), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, region_read, rig->device, 0, 0, 16, &value), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, region_read, rig->device, 0, 2, 4, &value), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, region_read, rig->device, 0, BAR_SIZE, 1, &value), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, region_write, rig->device, 0, BAR_SIZE, 4, 0), VTD_HOST_E_INVALID);
        /* An offset that would reach another region of the same file. */
        RIG_IS(rig, OP(rig, region_write, rig->device, 0, (UINT64_C(7) << 40) + 4, 4, 0),
               VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, region_read, rig->device, 1, 0, 4, &value), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, region_read, rig->device, 7, 0, 4, &value), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, region_write, rig->device, UINT32_MAX, 0, 4, 0), VTD_HOST_E_ABSENT);
        RIG_IS(rig, value, 77);
}

static void test_config(struct rig *rig)
{
        uint32_t value = 77;

        RIG_IS(rig, OP(rig, config_read, rig->device, 0, 4, &value), 0);
        RIG_IS(rig, value & 0xffff, 0x1234);
        RIG_IS(rig, OP(rig, config_read, rig->device, 1, 1, &value), 0);
        RIG_IS(rig, value, 0x12);
        value = 77;
        RIG_IS(rig, OP(rig, config_read, rig->device, 0, 3, &value), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, config_read, rig->device, 0, 0, &value), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, config_read, rig->device, 0, 8, &value), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, config_read, rig->device, 2, 4, &value), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, config_read, rig->device, rig->info.config_size, 1, &value),
               VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, config_read, rig->device, UINT32_MAX, 1, &value), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, config_write, rig->device, rig->info.config_size, 4, 0),
               VTD_HOST_E_INVALID);
        RIG_IS(rig, value, 77);
        RIG_IS(rig, OP(rig, config_write, rig->device, 0x0c, 1, 0x10), 0); /* cache line size */
        RIG_IS(rig, OP(rig, config_read, rig->device, 0x0c, 1, &value), 0);
        RIG_IS(rig, value, 0x10);
}

static void test_interrupts(struct rig *rig)
{
        int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), null = rig_open("/dev/null");
        const uint32_t device = rig->device;
        uint64_t count = 0;

        RIG_IS(rig, rig->info.msi_vectors, 1);
        RIG_IS(rig, rig->info.msix_vectors, 0);
        RIG_IS(rig, OP(rig, clear_interrupts, device, VTD_INTERRUPT_MSI), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, set_interrupt, device, VTD_INTERRUPT_MSI, 0, null), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, set_interrupt, device, VTD_INTERRUPT_MSI, 0, -1), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, set_interrupt, device, VTD_INTERRUPT_MSI, 1, event),
               VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, set_interrupt, device, VTD_INTERRUPT_MSIX, 0, event),
               VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, set_interrupt, device, VTD_INTERRUPT_MSI, 0, event), 0);
        RIG_IS(rig, OP(rig, region_write, device, 0, 0x60, 4, 1), 0);
        for (unsigned i = 0; i < 1000 && count == 0; i++)
                if (read(event, &count, sizeof(count)) < 0)
                        (void)usleep(1000);
        RIG_IS(rig, count, 1);
        RIG_IS(rig, OP(rig, region_write, device, 0, 0x64, 4, 1), 0);
        /* One that fails has disarmed the vector. */
        RIG_IS(rig, OP(rig, set_interrupt, device, VTD_INTERRUPT_MSI, 0, null), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, region_write, device, 0, 0x60, 4, 1), 0);
        (void)usleep(50000);
        RIG_IS(rig, read(event, &count, sizeof(count)), -1);
        RIG_IS(rig, OP(rig, region_write, device, 0, 0x64, 4, 1), 0);
        RIG_IS(rig, OP(rig, clear_interrupts, device, VTD_INTERRUPT_MSI), 0);
        (void)close(event);
        (void)close(null);
}

static void test_no_reset(struct rig *rig)
{
        RIG_IS(rig, rig->info.can_reset, false);
        RIG_IS(rig, OP(rig, reset, rig->device), VTD_HOST_E_INVALID);
}

static void test_no_pasids(struct rig *rig)
{
        uint32_t hwpt = 0;

        RIG_IS(rig, OP(rig, second_stage_alloc, rig->device, rig->ioas, true, &hwpt), 0);
        RIG_IS(rig, OP(rig, attach, rig->device, PASID, hwpt), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, detach, rig->device, PASID), 0);
        RIG_IS(rig, OP(rig, destroy, hwpt), 0);
}

static void test_pasids(struct rig *rig)
{
        uint32_t a = rig_first_stage(rig, RIG_ROOT_A, RIG_PAGE_ONE);
        uint32_t b = rig_first_stage(rig, RIG_ROOT_B, RIG_PAGE_TWO);

        RIG_IS(rig, attach(rig, a), 0);
        RIG_IS(rig, OP(rig, attach, rig->device, PASID, b), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_ONE);
        rig_use_pasid(rig, PASID);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_TWO);
        rig_change_entry(rig, RIG_ROOT_B, RIG_PAGE_ONE);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_TWO);
        RIG_IS(rig, invalidate_one(rig, b, ENTRY(RIG_VIRTUAL_DATA, 1, false)), 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_ONE);
        rig_use_pasid(rig, PASID + 1);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_BLOCKED);
        rig_use_pasid(rig, PASID);
        RIG_IS(rig, OP(rig, attach, rig->device, PASID, rig->second_stage), 0);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_TWO), RIG_WORD_TWO);
        RIG_IS(rig, OP(rig, detach, rig->device, PASID), 0);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_TWO), RIG_BLOCKED);
        RIG_IS(rig, OP(rig, detach, rig->device, PASID), 0);
        rig_use_pasid(rig, 0);
        RIG_IS(rig, rig_observe_virtual(rig), RIG_WORD_ONE);
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, OP(rig, destroy, a), 0);
        RIG_IS(rig, OP(rig, destroy, b), 0);
}

static void test_pasid_refusals(struct rig *rig)
{
        const struct vtd_host_first_stage config = {.root = RIG_ROOT_A, .address_width = 48};
        uint32_t plain = 0;

        RIG_IS(rig,
               OP(rig, first_stage_alloc, rig->device, rig->second_stage, &config, false, &plain),
               0);
        RIG_IS(rig, OP(rig, attach, rig->device, PASID, plain), VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, detach, rig->device, PASID), 0);
        RIG_IS(rig, OP(rig, attach, rig->device, VTD_PASID_MAX + 1, rig->second_stage),
               VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, attach, rig->device, UINT32_MAX, rig->second_stage),
               VTD_HOST_E_INVALID);
        RIG_IS(rig, OP(rig, detach, rig->device, UINT32_MAX), 0);
        RIG_IS(rig, OP(rig, attach, rig->device, VTD_PASID_MAX, rig->second_stage), 0);
        RIG_IS(rig, OP(rig, detach, rig->device, VTD_PASID_MAX), 0);
        RIG_IS(rig, OP(rig, destroy, plain), 0);
}

/* A duplicate that somebody else keeps does not matter: release() is about this process. */
static void test_release(struct rig *rig)
{
        uint64_t value;
        uint32_t again = 77, command = 0;

        RIG_IS(rig, attach(rig, rig->second_stage), 0);
        RIG_IS(rig, detach(rig), 0);
        RIG_IS(rig, OP(rig, release, rig->device), 0);
        RIG_IS(rig, OP(rig, release, rig->device), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, region_read, rig->device, 0, 0, 4, &value), VTD_HOST_E_ABSENT);
        RIG_IS(rig, attach(rig, rig->second_stage), VTD_HOST_E_ABSENT);
        RIG_IS(rig, OP(rig, bind, rig_open(RIG_CDEV), &again), 0);
        rig->device = again;
        /* Memory decoding is on from the beginning, and INTx off. */
        RIG_IS(rig, OP(rig, config_read, rig->device, 4, 2, &command), 0);
        RIG_IS(rig, command & 0x406, 0x402);
        RIG_IS(rig, OP(rig, region_read, rig->device, 0, 0, 4, &value), 0);
        RIG_IS(rig, value, EDU_IDENTITY);
        rig_settle(rig);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_BLOCKED);
        RIG_IS(rig, attach(rig, rig->second_stage), 0);
        RIG_IS(rig, rig_observe_physical(rig, RIG_PAGE_ONE), RIG_WORD_ONE);
}

enum needs { ALWAYS, WITH_PASIDS, WITHOUT_PASIDS };

static const struct {
        void (*run)(struct rig *rig);
        enum needs needs;
        const char *name;
} tests[] = {
        {test_open_refusals, ALWAYS, "opening takes nothing but an iommufd, and closes the rest"},
        {test_device_info, ALWAYS, "a bound device is described"},
        {test_bind_refusals, ALWAYS, "a device that is bound already, or is none, is refused"},
        {test_bound_is_blocked, ALWAYS, "a bound device is blocked, bus mastering or not"},
        {test_unknown_device, ALWAYS, "an unknown device is absent for every operation"},
        {test_unknown_objects, ALWAYS, "unknown tables and address spaces are refused"},
        {test_ranges, ALWAYS, "attaching reserves ranges of the address space, which are listed"},
        {test_map_refusals, ALWAYS, "mappings out of range are refused"},
        {test_map_refusals_without_table, ALWAYS, "they are refused without a table, too"},
        {test_unmap_refusals, ALWAYS, "only what was mapped is unmapped"},
        {test_passthrough, ALWAYS, "pass-through reaches guest memory and nothing else"},
        {test_bus_master, ALWAYS, "without bus mastering there is no DMA"},
        {test_first_stage, ALWAYS, "a first-stage table of 4 KiB pages translates"},
        {test_stale, ALWAYS, "a changed entry is seen after an invalidation that covers it"},
        {test_many_entries, ALWAYS, "more entries than one call takes are all carried out"},
        {test_invalidate_refusals, ALWAYS, "a bad entry keeps the whole list from being started"},
        {test_replace, ALWAYS, "replacing takes effect at once"},
        {test_busy, ALWAYS, "what is in use is not destroyed"},
        {test_first_stage_refusals, ALWAYS, "what the unit lacks is refused before attaching"},
        {test_root_outside_memory, ALWAYS, "a root outside of memory blocks"},
        {test_unmap_below_first_stage, ALWAYS, "unmapping reaches through first-stage tables"},
        {test_attach_ioas, ALWAYS, "an address space is not taken for a table"},
        {test_regions, ALWAYS, "regions take aligned accesses inside them only"},
        {test_config, ALWAYS, "so does configuration space"},
        {test_interrupts, ALWAYS, "a vector signals an eventfd, and takes nothing else"},
        {test_no_reset, ALWAYS, "a device that cannot be reset is not"},
        {test_no_pasids, WITHOUT_PASIDS, "a device without PASIDs refuses to attach one"},
        {test_pasids, WITH_PASIDS, "each PASID has its own table"},
        {test_pasid_refusals, WITH_PASIDS, "PASIDs out of range and tables without are refused"},
        {test_release, ALWAYS, "a released device is gone and can be bound again"},
};

static bool is_wanted(size_t i, bool pasids)
{
        return tests[i].needs == ALWAYS ||
               tests[i].needs == (pasids ? WITH_PASIDS : WITHOUT_PASIDS);
}

int main(int argc, char **argv)
{
        bool pasids = argc == 2 && strcmp(argv[1], "pasid") == 0;
        size_t number = 0, failures = 0, descriptors = count_descriptors();
        struct rig rig;

        if (argc != 2 || (!pasids && strcmp(argv[1], "no-pasid") != 0)) {
                (void)fprintf(stderr, "usage: test-host-linux pasid|no-pasid\n");
                return 2;
        }
        rig_init(&rig, pasids);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(tests); i++) {
                if (!is_wanted(i, pasids))
                        continue;
                rig.failed = false;
                rig_settle(&rig);
                tests[i].run(&rig);
                failures += rig.failed;
                (void)printf("%sok %zu - %s\n", rig.failed ? "not " : "", ++number, tests[i].name);
        }
        rig_deinit(&rig);
        rig.failed = count_descriptors() != descriptors;
        failures += rig.failed;
        (void)printf("%sok %zu - freeing the host closes every descriptor\n",
                     rig.failed ? "not " : "", ++number);
        (void)printf("1..%zu\n", number);
        return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
