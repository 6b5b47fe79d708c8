/* SPDX-License-Identifier: MIT */
/* Each limit of the policy and of the protocol: at it, and one beyond; and what is not granted. */
#include "tests/protocol/attack.h"

#include <fcntl.h>

#include "shared/checked.h"
#include "shared/cleanup.h"

static void memory_limit(struct world *world, const struct attack *attack)
{
        struct vtd_request more = {.type = VTD_REQUEST_MAP_MEMORY,
                                   .map_memory = {.gpa = ATTACKER_MEMORY, .size = VTD_PAGE_SIZE}};
        struct vtd_request huge = {
                .type = VTD_REQUEST_MAP_MEMORY,
                .map_memory = {.gpa = 0, .size = ATTACKER_MEMORY + VTD_PAGE_SIZE}};
        VTD_CLEANUP_FD int fd = make_memory(2 * ATTACKER_MEMORY, F_SEAL_SHRINK);

        (void)attack;
        (void)plug(&world->client, "edu0");
        expect_refusal(&world->client, &huge, fd, VTD_REASON_MEMORY_LIMIT);
        (void)map(&world->client, 0, ATTACKER_MEMORY);
        expect_refusal(&world->client, &more, fd, VTD_REASON_MEMORY_LIMIT);
        assert_int_equal(stats_of(&world->client).memory, ATTACKER_MEMORY);
}

static void mapping_limit(struct world *world, const struct attack *attack)
{
        struct vtd_request more = {.type = VTD_REQUEST_MAP_MEMORY,
                                   .map_memory = {.gpa = 0x20000000, .size = VTD_PAGE_SIZE}};
        struct vtd_request release = {.type = VTD_REQUEST_UNMAP_MEMORY};
        VTD_CLEANUP_FD int fd = make_memory(MAPPING, F_SEAL_SHRINK);
        struct vtd_reply reply;

        (void)attack;
        (void)plug(&world->client, "edu0");
        for (unsigned i = 0; i < ATTACKER_MAPPINGS; i++)
                release.unmap_memory.mapping = map(&world->client, i * MAPPING, MAPPING);
        expect_refusal(&world->client, &more, fd, VTD_REASON_MAPPING_LIMIT);
        expect_served(&world->client, &release, -1, &reply);
        expect_served(&world->client, &more, fd, &reply);
}

static void device_limit(struct world *world, const struct attack *attack)
{
        struct vtd_request again = {.type = VTD_REQUEST_PLUG_DEVICE,
                                    .plug_device = {.name = {"edu0"}}};
        struct vtd_request second = {.type = VTD_REQUEST_PLUG_DEVICE,
                                     .plug_device = {.name = {"edu1"}}};

        (void)attack;
        (void)plug(&world->client, "edu0");
        expect_refusal(&world->client, &again, -1, VTD_REASON_DEVICE_PLUGGED);
        expect_refusal(&world->client, &second, -1, VTD_REASON_DEVICE_LIMIT);
}

/* With as many tables attached as may be, another root is one too many, and blocks. */
static void table_limit(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu0");
        struct vtd_request attach = {.type = VTD_REQUEST_ATTACH,
                                     .attach = {.device = device,
                                                .mode = VTD_ATTACH_FIRST_STAGE,
                                                .root = 0x1000,
                                                .address_width = 48}};
        struct vtd_reply reply;

        (void)attack;
        (void)map(&world->client, 0, MAPPING);
        for (uint32_t i = 0; i < ATTACKER_TABLES; i++) {
                attach.attach.pasid = i; /* none, then 1 */
                attach.attach.root = 0x1000 * (i + 1);
                expect_served(&world->client, &attach, -1, &reply);
        }
        attach.attach.pasid = ATTACKER_TABLES;
        attach.attach.root = 0x9000;
        expect_refusal(&world->client, &attach, -1, VTD_REASON_FIRST_STAGE_TABLE_LIMIT);
        /* A root that is there already takes no other table. */
        attach.attach.root = 0x1000;
        expect_served(&world->client, &attach, -1, &reply);
        assert_int_equal(stats_of(&world->client).first_stage_tables, ATTACKER_TABLES);
}

static void pasid_limit(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu0");
        struct vtd_request attach = {.type = VTD_REQUEST_ATTACH,
                                     .attach = {.device = device,
                                                .mode = VTD_ATTACH_FIRST_STAGE,
                                                .root = 0x1000,
                                                .address_width = 48}};
        struct vtd_reply reply;

        (void)attack;
        (void)map(&world->client, 0, MAPPING);
        for (uint32_t i = 0; i < ATTACKER_PASIDS; i++) {
                attach.attach.pasid = VTD_PASID_MAX - i;
                expect_served(&world->client, &attach, -1, &reply);
        }
        attach.attach.pasid = 1;
        expect_refusal(&world->client, &attach, -1, VTD_REASON_PASID_LIMIT);
        assert_int_equal(stats_of(&world->client).attachments, ATTACKER_PASIDS);
}

/* The VMs that policy grants, and one more: closed without an answer. */
static void vm_limit(struct world *world, const struct attack *attack)
{
        struct raw_client others[ATTACKER_VMS - 1], more = {.fd = -1};
        struct vtd_reply reply;

        (void)attack;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(others); i++) {
                others[i].fd = -1;
                greet(world, &others[i], world->attacker);
        }
        assert_int_equal(raw_connect(&more, world->attacker), 0);
        assert_int_equal(raw_hello(&more, &reply), RAW_CLOSED);
        raw_close(&more);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(others); i++) {
                (void)stats_of(&others[i]);
                raw_close(&others[i]);
        }
}

static void device_not_granted(struct world *world, const struct attack *attack)
{
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE,
                                      .plug_device = {.name = {"0123456789012345678901234567890"}}};

        (void)attack;
        expect_refusal(&world->client, &request, -1, VTD_REASON_DEVICE_NOT_GRANTED);
}

/* An Attach with root @a, width @b, flags @c. */
static void bad_attach(struct world *world, const struct attack *attack)
{
        struct vtd_request request = {.type = VTD_REQUEST_ATTACH,
                                      .attach = {.device = plug(&world->client, "edu0"),
                                                 .mode = VTD_ATTACH_FIRST_STAGE,
                                                 .root = attack->a,
                                                 .address_width = (uint32_t)attack->b,
                                                 .flags = (uint32_t)attack->c}};

        (void)map(&world->client, 0, MAPPING);
        expect_refusal(&world->client, &request, -1, (enum vtd_reason)attack->reason);
        assert_int_equal(stats_of(&world->client).attachments, 0);
}

/* An Invalidate of one entry, address @a, @b pages. */
static void bad_invalidation(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu0");
        struct vtd_request request = {
                .type = VTD_REQUEST_INVALIDATE,
                .invalidate = {.count = 1,
                               .entries = {{.address = attack->a, .pages = attack->b}}}};

        (void)map(&world->client, 0, MAPPING);
        request.invalidate.table = attach_first_stage(&world->client, device, 0x1000);
        expect_refusal(&world->client, &request, -1, VTD_REASON_INVALIDATE_RANGE);
}

static void most_entries(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu0");
        struct vtd_request request = {.type = VTD_REQUEST_INVALIDATE,
                                      .invalidate = {.count = VTD_LIMIT_INVALIDATE_ENTRIES}};
        struct vtd_reply reply;

        (void)attack;
        (void)map(&world->client, 0, MAPPING);
        request.invalidate.table = attach_first_stage(&world->client, device, 0x1000);
        for (size_t i = 0; i < VTD_LIMIT_INVALIDATE_ENTRIES; i++)
                request.invalidate.entries[i] = (struct vtd_invalidate_entry){
                        .address = i * 2 * VTD_PAGE_SIZE, .pages = 1, .leaf = i & 1};
        expect_served(&world->client, &request, -1, &reply);
}

/* A RegionRead of region @a, offset @b; the attack's size is its width. */
static void bad_region(struct world *world, const struct attack *attack)
{
        struct vtd_request request = {.type = VTD_REQUEST_REGION_READ,
                                      .region = {.device = plug(&world->client, "edu0"),
                                                 .region = (uint32_t)attack->a,
                                                 .offset = attack->b,
                                                 .width = (uint32_t)attack->size}};

        expect_refusal(&world->client, &request, -1, (enum vtd_reason)attack->reason);
}

static void region_only_readable(struct world *world, const struct attack *attack)
{
        struct vtd_request request = {
                .type = VTD_REQUEST_REGION_WRITE,
                .region = {.device = plug(&world->client, "edu0"), .width = 4, .value = 1}};

        (void)attack;
        expect_refusal(&world->client, &request, -1, VTD_REASON_REGION_NOT_GRANTED);
}

#define ATTACH(text, root, width, flags, why)                                                      \
        {                                                                                          \
                .name = "attach: " text, .run = bad_attach, .a = (root), .b = (width),             \
                .c = (flags), .reason = VTD_REASON_##why                                           \
        }
#define INVALIDATE(text, address, pages)                                                           \
        {                                                                                          \
                .name = "invalidate: " text, .run = bad_invalidation, .a = (address), .b = (pages) \
        }
#define REGION(text, bar, offset, bytes, why)                                                      \
        {                                                                                          \
                .name = "region: " text, .run = bad_region, .a = (bar), .b = (offset),             \
                .size = (bytes), .reason = VTD_REASON_##why                                        \
        }

const struct attack limit_attacks[] = {
        {.name = "limit: memory, and a page beyond", .run = memory_limit},
        {.name = "limit: mappings, and one beyond", .run = mapping_limit},
        {.name = "limit: devices, and one beyond", .run = device_limit},
        {.name = "limit: first-stage tables, and one beyond", .run = table_limit},
        {.name = "limit: PASIDs, and one beyond", .run = pasid_limit},
        {.name = "limit: VMs, and one beyond", .run = vm_limit},
        {.name = "limit: a device that is not granted, of the longest name",
         .run = device_not_granted},
        ATTACH("root that is no page address", 0x1001, 48, 0, ALIGNMENT),
        ATTACH("root right behind the memory", MAPPING, 48, 0, ROOT_NOT_MAPPED),
        ATTACH("root at the end of the address space", UINT64_MAX & ~UINT64_C(4095), 48, 0,
               ROOT_NOT_MAPPED),
        ATTACH("five levels, not granted", 0x1000, 57, 0, WIDTH_NOT_GRANTED),
        ATTACH("a width that does not exist", 0x1000, 40, 0, WIDTH_UNSUPPORTED),
        ATTACH("SRE, not granted", 0x1000, 48, VTD_FIRST_STAGE_SRE, FLAGS_NOT_GRANTED),
        ATTACH("all flags, not granted", 0x1000, 48, VTD_FIRST_STAGE_FLAGS, FLAGS_NOT_GRANTED),
        INVALIDATE("unaligned address", 0x1001, 1),
        INVALIDATE("no pages", 0x1000, 0),
        INVALIDATE("no pages at 0, which the kernel takes for everything", 0, 0),
        INVALIDATE("everything from an address on", 0x1000, VTD_INVALIDATE_ALL),
        INVALIDATE("a count that shifts out of range", 0x1000, UINT64_C(1) << 52),
        INVALIDATE("a range that wraps", UINT64_MAX & ~UINT64_C(4095), 2),
        INVALIDATE("one page beyond every width", (UINT64_C(1) << 57) - VTD_PAGE_SIZE, 2),
        {.name = "invalidate: as many entries as fit", .run = most_entries},
        REGION("not granted", 1, 0, 4, REGION_NOT_GRANTED),
        REGION("that does not exist", UINT32_MAX, 0, 4, REGION_NOT_GRANTED),
        REGION("configuration space", 7, 0, 4, REGION_NOT_GRANTED),
        REGION("right behind its end", 0, UINT64_C(1) << 20, 4, REGION_RANGE),
        REGION("an offset that wraps", 0, UINT64_MAX - 3, 4, REGION_RANGE),
        REGION("unaligned", 0, 2, 4, ALIGNMENT),
        {.name = "region: writing what is only readable", .run = region_only_readable},
        {0},
};
