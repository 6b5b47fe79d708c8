/* SPDX-License-Identifier: MIT */
/* Handles: released, invented, of another type, of another VM, of an earlier connection. */
#include "tests/protocol/attack.h"

#include "shared/checked.h"

/* Uses @handle for all that takes a handle; each time it must be unknown. */
static void expect_unknown(struct raw_client *client, uint64_t handle)
{
        struct vtd_request unplug = {.type = VTD_REQUEST_UNPLUG_DEVICE,
                                     .unplug_device = {.device = handle}};
        struct vtd_request unmap = {.type = VTD_REQUEST_UNMAP_MEMORY,
                                    .unmap_memory = {.mapping = handle}};
        struct vtd_request attach = {.type = VTD_REQUEST_ATTACH,
                                     .attach = {.device = handle, .mode = VTD_ATTACH_BLOCKED}};
        struct vtd_request invalidate = {
                .type = VTD_REQUEST_INVALIDATE,
                .invalidate = {
                        .table = handle, .count = 1, .entries = {{.pages = VTD_INVALIDATE_ALL}}}};
        struct vtd_request read = {.type = VTD_REQUEST_REGION_READ,
                                   .region = {.device = handle, .width = 4}};

        expect_refusal(client, &unplug, -1, VTD_REASON_DEVICE_HANDLE);
        expect_refusal(client, &unmap, -1, VTD_REASON_MAPPING_HANDLE);
        expect_refusal(client, &attach, -1, VTD_REASON_DEVICE_HANDLE);
        expect_refusal(client, &invalidate, -1, VTD_REASON_TABLE_HANDLE);
        expect_refusal(client, &read, -1, VTD_REASON_DEVICE_HANDLE);
}

static void invented(struct world *world, const struct attack *attack)
{
        expect_unknown(&world->client, attack->a);
}

/* Every handle that is one bit away from a valid one. */
static void neighbours(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu0");

        (void)attack;
        for (unsigned bit = 0; bit < 64; bit++)
                expect_unknown(&world->client, device ^ UINT64_C(1) << bit);
}

/* A device, a mapping and a table, each in the place of the others. */
static void of_another_type(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu0");
        uint64_t mapping = map(&world->client, 0, MAPPING);
        uint64_t table = attach_first_stage(&world->client, device, 0x1000);
        struct vtd_request request = {.type = VTD_REQUEST_UNPLUG_DEVICE};

        (void)attack;
        request.unplug_device.device = mapping;
        expect_refusal(&world->client, &request, -1, VTD_REASON_DEVICE_HANDLE);
        request.unplug_device.device = table;
        expect_refusal(&world->client, &request, -1, VTD_REASON_DEVICE_HANDLE);
        request = (struct vtd_request){.type = VTD_REQUEST_UNMAP_MEMORY,
                                       .unmap_memory = {.mapping = device}};
        expect_refusal(&world->client, &request, -1, VTD_REASON_MAPPING_HANDLE);
        request.unmap_memory.mapping = table;
        expect_refusal(&world->client, &request, -1, VTD_REASON_MAPPING_HANDLE);
        request = (struct vtd_request){.type = VTD_REQUEST_INVALIDATE,
                                       .invalidate = {.table = device,
                                                      .count = 1,
                                                      .entries = {{.pages = VTD_INVALIDATE_ALL}}}};
        expect_refusal(&world->client, &request, -1, VTD_REASON_TABLE_HANDLE);
        request.invalidate.table = mapping;
        expect_refusal(&world->client, &request, -1, VTD_REASON_TABLE_HANDLE);
}

/* Released and taken again @a times: the first one never comes back to life. */
static void released(struct world *world, const struct attack *attack)
{
        uint64_t first = plug(&world->client, "edu0"), device = first;
        uint64_t mapping = map(&world->client, 0, MAPPING);
        struct vtd_reply reply;

        for (uint64_t i = 0; i < attack->a; i++) {
                struct vtd_request unmap = {.type = VTD_REQUEST_UNMAP_MEMORY,
                                            .unmap_memory = {.mapping = mapping}};
                struct vtd_request unplug = {.type = VTD_REQUEST_UNPLUG_DEVICE,
                                             .unplug_device = {.device = device}};

                expect_served(&world->client, &unmap, -1, &reply);
                expect_refusal(&world->client, &unmap, -1, VTD_REASON_MAPPING_HANDLE);
                expect_served(&world->client, &unplug, -1, &reply);
                expect_unknown(&world->client, device);
                device = plug(&world->client, "edu0");
                mapping = map(&world->client, 0, MAPPING);
                assert_int_not_equal(device, first);
                expect_unknown(&world->client, first);
        }
}

/* A table's handle ends with the table: replaced, blocked, or its device unplugged. */
static void of_a_replaced_table(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu0"), first, second;
        struct vtd_request block = {.type = VTD_REQUEST_ATTACH,
                                    .attach = {.device = device, .mode = VTD_ATTACH_BLOCKED}};
        struct vtd_reply reply;

        (void)attack;
        (void)map(&world->client, 0, MAPPING);
        first = attach_first_stage(&world->client, device, 0x1000);
        second = attach_first_stage(&world->client, device, 0x2000);
        assert_int_not_equal(first, second);
        expect_unknown(&world->client, first);
        expect_served(&world->client, &block, -1, &reply);
        expect_unknown(&world->client, second);
        assert_int_equal(stats_of(&world->client).first_stage_tables, 0);
}

/* What another VM of the same tenant has, and what the bystander has. */
static void of_another_vm(struct world *world, const struct attack *attack)
{
        struct raw_client other = {.fd = -1};
        uint64_t handles[5];

        (void)attack;
        greet(world, &other, world->attacker);
        handles[0] = plug(&other, "edu0");
        handles[1] = map(&other, 0, MAPPING);
        handles[2] = attach_first_stage(&other, handles[0], 0x1000);
        handles[3] = world->bystander.device;
        handles[4] = world->bystander.table;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(handles); i++)
                expect_unknown(&world->client, handles[i]);
        assert_int_equal(stats_of(&other).attachments, 1);
        raw_close(&other);
}

static void of_an_earlier_connection(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu0");
        uint64_t mapping = map(&world->client, 0, MAPPING);
        uint64_t table = attach_first_stage(&world->client, device, 0x1000);

        (void)attack;
        raw_close(&world->client);
        greet(world, &world->client, world->attacker);
        expect_unknown(&world->client, device);
        expect_unknown(&world->client, mapping);
        expect_unknown(&world->client, table);
}

const struct attack handle_attacks[] = {
        {.name = "handle: 0", .run = invented, .a = 0},
        {.name = "handle: 1", .run = invented, .a = 1},
        {.name = "handle: all ones", .run = invented, .a = UINT64_MAX},
        {.name = "handle: a pointer's look", .run = invented, .a = 0x7fffdeadbeef},
        {.name = "handle: one bit away from a valid one", .run = neighbours},
        {.name = "handle: of another type", .run = of_another_type},
        {.name = "handle: released, then the place taken again", .run = released, .a = 40},
        {.name = "handle: of a table that was replaced or blocked", .run = of_a_replaced_table},
        {.name = "handle: of another VM", .run = of_another_vm},
        {.name = "handle: of an earlier connection", .run = of_an_earlier_connection},
        {0},
};
