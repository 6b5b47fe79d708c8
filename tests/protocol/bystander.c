/* SPDX-License-Identifier: MIT */
/* See bystander.h. */
#include "tests/protocol/bystander.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "broker/host_sim/edu.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

#define MEMORY (UINT64_C(1) << 20)

/* Where things are in its memory. */
#define ROOT    UINT64_C(0x1000) /* four tables, one below the other */
#define PAGE_A  UINT64_C(0x8000)
#define PAGE_B  UINT64_C(0x9000)
#define ADDRESS UINT64_C(0x123456789000) /* the device's name for one of the two */

#define PRESENT  UINT64_C(0x7) /* readable, writable, user */
#define PAUSE_US 500

static int give_up(struct bystander *bystander, const char *what)
{
        (void)snprintf(bystander->failure, sizeof(bystander->failure), "%s in round %lu", what,
                       atomic_load(&bystander->rounds));
        atomic_store(&bystander->failed, true);
        return -1;
}

static uint64_t now_us(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int call(struct bystander *bystander, struct vtd_request *request, int fd,
                struct vtd_reply *reply, const char *what)
{
        uint64_t start = now_us(), taken;

        if (raw_call(&bystander->client, request, fd, reply) != RAW_ANSWERED || reply->refused)
                return give_up(bystander, what);
        taken = now_us() - start;
        if (taken > atomic_load(&bystander->slowest_us))
                atomic_store(&bystander->slowest_us, taken);
        return 0;
}

static void store(struct bystander *bystander, uint64_t at, uint64_t value)
{
        memcpy(bystander->memory + at, &value, sizeof(value));
}

static void point(struct bystander *bystander, uint64_t page)
{
        uint64_t table = ROOT;

        for (unsigned shift = 39; shift > 12; shift -= 9, table += VTD_PAGE_SIZE)
                store(bystander, table + ((ADDRESS >> shift) & 511) * 8,
                      (table + VTD_PAGE_SIZE) | PRESENT);
        store(bystander, table + ((ADDRESS >> 12) & 511) * 8, page | PRESENT);
}

static int region(struct bystander *bystander, uint32_t type, uint64_t offset, uint64_t value,
                  struct vtd_reply *reply)
{
        struct vtd_request request = {
                .type = type,
                .region = {
                        .device = bystander->device, .width = 8, .offset = offset, .value = value}};

        return call(bystander, &request, -1, reply, "its device's registers");
}

/* One transfer of 8 bytes between the device's buffer and ADDRESS. */
static int transfer(struct bystander *bystander, bool to_memory)
{
        const struct {
                uint64_t offset, value;
        } writes[] = {
                {0x80, to_memory ? VTD_SIM_EDU_BUFFER_START : ADDRESS},
                {0x88, to_memory ? ADDRESS : VTD_SIM_EDU_BUFFER_START},
                {0x90, 8},
                {0x98, to_memory ? 3 : 1},
        };
        struct vtd_reply reply;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(writes); i++)
                if (region(bystander, VTD_REQUEST_REGION_WRITE, writes[i].offset, writes[i].value,
                           &reply) != 0)
                        return -1;
        do {
                if (region(bystander, VTD_REQUEST_REGION_READ, 0x98, 0, &reply) != 0)
                        return -1;
        } while (reply.region_read.value & 1);
        return 0;
}

/* The device copies from one page to the other, of which it is told by an invalidation only. */
static int round_trip(struct bystander *bystander)
{
        struct vtd_request invalidate = {
                .type = VTD_REQUEST_INVALIDATE,
                .invalidate = {.table = bystander->table,
                               .count = 1,
                               .entries = {{.address = ADDRESS, .pages = 1}}}};
        uint64_t value = 0x5eed000000000000 + atomic_load(&bystander->rounds), got;
        struct vtd_reply reply;

        store(bystander, PAGE_A, value);
        store(bystander, PAGE_B, 0);
        point(bystander, PAGE_A);
        if (call(bystander, &invalidate, -1, &reply, "Invalidate") != 0 ||
            transfer(bystander, false) != 0)
                return -1;
        point(bystander, PAGE_B);
        if (call(bystander, &invalidate, -1, &reply, "Invalidate") != 0 ||
            transfer(bystander, true) != 0)
                return -1;
        memcpy(&got, bystander->memory + PAGE_B, sizeof(got));
        if (got != value)
                return give_up(bystander, "a transfer brought wrong data");
        atomic_fetch_add(&bystander->rounds, 1);
        return 0;
}

static void *live(void *opaque)
{
        const struct timespec pause = {.tv_nsec = PAUSE_US * 1000};
        struct bystander *bystander = opaque;

        while (!atomic_load(&bystander->stop) && round_trip(bystander) == 0)
                (void)nanosleep(&pause, NULL);
        return NULL;
}

static int settle_in(struct bystander *bystander)
{
        VTD_CLEANUP_FD int fd = memfd_create("bystander", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE,
                                      .plug_device = {.name = {"edu0"}}};
        struct vtd_reply reply;

        if (fd < 0 || ftruncate(fd, (off_t)MEMORY) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
                return give_up(bystander, "its memory cannot be made");
        bystander->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (bystander->memory == MAP_FAILED)
                return give_up(bystander, "its memory cannot be mapped");
        if (call(bystander, &request, -1, &reply, "PlugDevice") != 0)
                return -1;
        bystander->device = reply.plug_device.device;
        request = (struct vtd_request){.type = VTD_REQUEST_MAP_MEMORY,
                                       .map_memory = {.size = MEMORY}};
        if (call(bystander, &request, fd, &reply, "MapMemory") != 0)
                return -1;
        point(bystander, PAGE_A);
        request = (struct vtd_request){.type = VTD_REQUEST_ATTACH,
                                       .attach = {.device = bystander->device,
                                                  .mode = VTD_ATTACH_FIRST_STAGE,
                                                  .root = ROOT,
                                                  .address_width = 48}};
        if (call(bystander, &request, -1, &reply, "Attach") != 0)
                return -1;
        bystander->table = reply.attach.table;
        return 0;
}

int bystander_start(struct bystander *bystander)
{
        if (settle_in(bystander) != 0)
                return -1;
        if (pthread_create(&bystander->thread, NULL, live, bystander) != 0)
                return give_up(bystander, "no thread");
        return 0;
}

int bystander_stop(struct bystander *bystander)
{
        atomic_store(&bystander->stop, true);
        (void)pthread_join(bystander->thread, NULL);
        (void)munmap(bystander->memory, MEMORY);
        raw_close(&bystander->client);
        return atomic_load(&bystander->failed) ? -1 : 0;
}
