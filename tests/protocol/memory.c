/* SPDX-License-Identifier: MIT */
/* Guest-physical ranges: unaligned, empty, wrapping, overlapping, reserved; and at their limits. */
#include "tests/protocol/attack.h"

#include <fcntl.h>

#include "shared/cleanup.h"

/* Two pages are mapped here before each of them. */
#define TAKEN UINT64_C(0x10000000)

/* A MapMemory of @a, size @b, offset @c. */
static void bad_range(struct world *world, const struct attack *attack)
{
        struct vtd_request request = {
                .type = VTD_REQUEST_MAP_MEMORY,
                .map_memory = {.gpa = attack->a, .size = attack->b, .offset = attack->c}};
        VTD_CLEANUP_FD int fd = make_memory(MAPPING, F_SEAL_SHRINK);

        (void)plug(&world->client, "edu0");
        (void)map(&world->client, TAKEN, 8192);
        expect_refusal(&world->client, &request, fd, (enum vtd_reason)attack->reason);
        assert_int_equal(stats_of(&world->client).memory, 8192);
        assert_int_equal(stats_of(&world->client).mappings, 1);
}

static void good_range(struct world *world, const struct attack *attack)
{
        struct vtd_request request = {
                .type = VTD_REQUEST_MAP_MEMORY,
                .map_memory = {.gpa = attack->a, .size = attack->b, .offset = attack->c}};
        VTD_CLEANUP_FD int fd = make_memory(MAPPING, F_SEAL_SHRINK);
        struct vtd_reply reply;

        (void)plug(&world->client, "edu0");
        (void)map(&world->client, TAKEN, 8192);
        expect_served(&world->client, &request, fd, &reply);
}

static void before_any_device(struct world *world, const struct attack *attack)
{
        struct vtd_request request = {.type = VTD_REQUEST_MAP_MEMORY,
                                      .map_memory = {.size = MAPPING}};
        VTD_CLEANUP_FD int fd = make_memory(MAPPING, F_SEAL_SHRINK);

        (void)attack;
        expect_refusal(&world->client, &request, fd, VTD_REASON_NO_DEVICE);
}

/* The table goes with its memory: what is attached to it reaches nothing. */
static void unmapped_while_attached(struct world *world, const struct attack *attack)
{
        struct vtd_request unmap = {.type = VTD_REQUEST_UNMAP_MEMORY};
        struct vtd_request read = {.type = VTD_REQUEST_REGION_READ, .region = {.width = 4}};
        uint64_t device = plug(&world->client, "edu0");
        struct vtd_reply reply;

        (void)attack;
        unmap.unmap_memory.mapping = map(&world->client, 0, MAPPING);
        (void)attach_first_stage(&world->client, device, 0x1000);
        expect_served(&world->client, &unmap, -1, &reply);
        assert_int_equal(stats_of(&world->client).memory, 0);
        /* The device is still there, and so is the VM. */
        read.region.device = device;
        expect_served(&world->client, &read, -1, &reply);
        (void)map(&world->client, 0, MAPPING);
        (void)attach_first_stage(&world->client, device, 0x1000);
}

#define BAD(text, gpa, size, offset, why)                                                          \
        {                                                                                          \
                .name = "memory: " text, .run = bad_range, .a = (gpa), .b = (size), .c = (offset), \
                .reason = VTD_REASON_##why                                                         \
        }
#define GOOD(text, gpa, size, offset)                                                              \
        {                                                                                          \
                .name = "memory: " text, .run = good_range, .a = (gpa), .b = (size), .c = (offset) \
        }

const struct attack memory_attacks[] = {
        BAD("unaligned address", 1, MAPPING, 0, ALIGNMENT),
        BAD("unaligned size", 0, MAPPING - 1, 0, ALIGNMENT),
        BAD("unaligned offset", 0, 4096, 2048, ALIGNMENT),
        BAD("no size", 0, 0, 0, ADDRESS_RANGE),
        BAD("a range that wraps", UINT64_MAX - 4095, 8192, 0, ADDRESS_RANGE),
        BAD("a size that wraps, and is over the limit anyway", 0x1000, UINT64_MAX - 4095, 0,
            MEMORY_LIMIT),
        BAD("beyond every address width", UINT64_C(1) << 57, 4096, 0, ADDRESS_RANGE),
        BAD("beyond the memfd", 0, MAPPING, 4096, MEMFD_RANGE),
        BAD("an offset that wraps", 0, 4096, UINT64_MAX - 4095, MEMFD_RANGE),
        BAD("the same range again", TAKEN, 8192, 0, OVERLAP),
        BAD("overlapping at the front", TAKEN - 4096, 8192, 0, OVERLAP),
        BAD("overlapping at the back", TAKEN + 4096, 8192, 0, OVERLAP),
        BAD("overlapping inside", TAKEN + 4096, 4096, 0, OVERLAP),
        BAD("overlapping around", TAKEN - 4096, 16384, 0, OVERLAP),
        GOOD("right before another", TAKEN - 4096, 4096, 0),
        GOOD("right behind another", TAKEN + 8192, 4096, 0),
        GOOD("the last page of the memfd", 0, 4096, MAPPING - 4096),
        BAD("the interrupt range", 0xfee00000, 4096, 0, RESERVED_RANGE),
        BAD("into the interrupt range", 0xfedff000, 8192, 0, RESERVED_RANGE),
        BAD("out of the interrupt range", 0xfeeff000, 8192, 0, RESERVED_RANGE),
        GOOD("right before the interrupt range", 0xfedff000, 4096, 0),
        GOOD("right behind the interrupt range", 0xfef00000, 4096, 0),
        {.name = "memory: before any device", .run = before_any_device},
        {.name = "memory: unmapped while a table in it is attached",
         .run = unmapped_while_attached},
        {0},
};
