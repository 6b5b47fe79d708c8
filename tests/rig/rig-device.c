/* SPDX-License-Identifier: MIT */
/* See rig-device.h. */
#include "tests/rig/rig-device.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EDU_SOURCE      0x80u
#define EDU_DESTINATION 0x88u
#define EDU_COUNT       0x90u
#define EDU_COMMAND     0x98u
#define EDU_PASID       0xa0u
#define EDU_BUFFER      0x40000u
#define EDU_START       1u
#define EDU_TO_MEMORY   2u
#define EDU_PASID_VALID (UINT32_C(1) << 31)
#define EDU_POLLS       1000000u

#define ENTRY_TABLE   UINT64_C(0x27) /* present, writable, user, accessed */
#define ENTRY_LEAF    UINT64_C(0x67) /* and dirty */
#define LAST_LEVEL(r) ((r) + 0x3000)

static void must(bool good, const char *what)
{
        if (good)
                return;
        (void)printf("Bail out! %s\n", what);
        (void)fflush(stdout);
        exit(EXIT_FAILURE);
}

int rig_open(const char *path)
{
        int fd = open(path, O_RDWR | O_CLOEXEC);

        must(fd >= 0, path);
        return fd;
}

static uint64_t *word_at(struct rig *rig, uint64_t gpa)
{
        must(gpa < RIG_MEMORY_SIZE && gpa % 8 == 0, "an address of the test");
        return (uint64_t *)(void *)(rig->memory + gpa);
}

/* The device is another processor to the compiler: one store, not moved. */
static void store(struct rig *rig, uint64_t gpa, uint64_t value)
{
        __atomic_store_n(word_at(rig, gpa), value, __ATOMIC_SEQ_CST);
}

void rig_init(struct rig *rig, bool pasids)
{
        *rig = (struct rig){.pasids = pasids, .memfd = -1};
        rig->memfd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        must(rig->memfd >= 0 && ftruncate(rig->memfd, RIG_MEMORY_SIZE) == 0 &&
                     fcntl(rig->memfd, F_ADD_SEALS, F_SEAL_SHRINK) == 0,
             "memfd");
        rig->memory =
                mmap(NULL, RIG_MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, rig->memfd, 0);
        must(rig->memory != MAP_FAILED, "mmap");
        must(vtd_host_open(&rig->host, rig_open("/dev/iommu")) == 0, "vtd_host_open");
        rig->ops = rig->host->ops;
        must(rig->ops->bind(rig->host, rig_open(RIG_CDEV), &rig->device) == 0, "bind");
        must(rig->ops->device_info(rig->host, rig->device, &rig->info) == 0, "device_info");
        must(rig->ops->ioas_alloc(rig->host, &rig->ioas) == 0, "ioas_alloc");
        must(rig->ops->second_stage_alloc(rig->host, rig->device, rig->ioas, pasids,
                                          &rig->second_stage) == 0,
             "second_stage_alloc");
        must(rig->ops->map_file(rig->host, rig->ioas, rig->memfd, 0, RIG_MEMORY_SIZE, 0) == 0,
             "map_file");
}

void rig_deinit(struct rig *rig)
{
        rig->host = rig->ops->free(rig->host);
        (void)munmap(rig->memory, RIG_MEMORY_SIZE);
        (void)close(rig->memfd);
}

void rig_settle(struct rig *rig)
{
        must(rig->ops->detach(rig->host, rig->device, VTD_NO_PASID) == 0, "detach");
        must(rig->ops->bus_master(rig->host, rig->device, true) == 0, "bus_master");
        rig_use_pasid(rig, 0);
        store(rig, RIG_PAGE_ONE, RIG_WORD_ONE);
        store(rig, RIG_PAGE_TWO, RIG_WORD_TWO);
}

void rig_change_entry(struct rig *rig, uint64_t root, uint64_t data)
{
        store(rig, LAST_LEVEL(root), data | ENTRY_LEAF);
}

void rig_write_table(struct rig *rig, uint64_t root, uint64_t data)
{
        memset(rig->memory + root, 0, 0x4000);
        store(rig, root, (root + 0x1000) | ENTRY_TABLE);
        store(rig, root + 0x1000 + 8 * (RIG_VIRTUAL_DATA >> 30), (root + 0x2000) | ENTRY_TABLE);
        store(rig, root + 0x2000, LAST_LEVEL(root) | ENTRY_TABLE);
        store(rig, LAST_LEVEL(root) + 8, RIG_MAILBOX | ENTRY_LEAF);
        rig_change_entry(rig, root, data);
}

uint32_t rig_first_stage(struct rig *rig, uint64_t root, uint64_t data)
{
        const struct vtd_host_first_stage config = {.root = root, .address_width = 48};
        uint32_t hwpt = 0;

        rig_write_table(rig, root, data);
        must(rig->ops->first_stage_alloc(rig->host, rig->device, rig->second_stage, &config,
                                         rig->pasids, &hwpt) == 0,
             "first_stage_alloc");
        return hwpt;
}

static void set(struct rig *rig, uint64_t reg, uint32_t width, uint64_t value)
{
        must(rig->ops->region_write(rig->host, rig->device, 0, reg, width, value) == 0,
             "region_write");
}

static void run_dma(struct rig *rig, uint64_t source, uint64_t destination, uint32_t command)
{
        uint64_t status = 1;

        set(rig, EDU_SOURCE, 8, source);
        set(rig, EDU_DESTINATION, 8, destination);
        set(rig, EDU_COUNT, 8, sizeof(uint64_t));
        set(rig, EDU_COMMAND, 8, command);
        for (unsigned i = 0; status & EDU_START; i++) {
                must(i < EDU_POLLS, "the device never finished");
                must(rig->ops->region_read(rig->host, rig->device, 0, EDU_COMMAND, 8, &status) == 0,
                     "region_read");
        }
}

uint64_t rig_observe(struct rig *rig, uint64_t address, uint64_t mailbox)
{
        store(rig, RIG_MAILBOX, RIG_BLOCKED);
        run_dma(rig, address, EDU_BUFFER, EDU_START);
        run_dma(rig, EDU_BUFFER, mailbox, EDU_START | EDU_TO_MEMORY);
        return __atomic_load_n(word_at(rig, RIG_MAILBOX), __ATOMIC_SEQ_CST);
}

uint64_t rig_observe_virtual(struct rig *rig)
{
        return rig_observe(rig, RIG_VIRTUAL_DATA, RIG_VIRTUAL_MAILBOX);
}

uint64_t rig_observe_physical(struct rig *rig, uint64_t address)
{
        return rig_observe(rig, address, RIG_MAILBOX);
}

void rig_use_pasid(struct rig *rig, uint32_t pasid)
{
        if (rig->pasids)
                set(rig, EDU_PASID, 4, pasid ? EDU_PASID_VALID | pasid : 0);
}

void rig_check(struct rig *rig, const char *file, int line, const char *what, uint64_t actual,
               uint64_t expected)
{
        if (actual == expected)
                return;
        rig->failed = true;
        (void)printf("# %s:%d: %s is %#" PRIx64 " (%" PRId64 "), not %#" PRIx64 "\n", file, line,
                     what, actual, (int64_t)actual, expected);
}
