/* SPDX-License-Identifier: MIT */
/*
 * Raw bytes against a real broker on the simulated host: each violation of the header, of a body and
 * of descriptor passing ends the connection without an answer; each request that is well-formed but
 * refused gets its typed reason.  A second VM of the same broker is asked after every case.
 */
#include "tests/unit/unit.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "tests/system/broker-run.h"
#include "tests/system/raw-client.h"

/* Linux 6.16; the headers may be older. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define MEMORY (UINT64_C(1) << 20)

static const char policy_text[] = "format = 1\n"
                                  "[tenant]\n"
                                  "name = raw\n"
                                  "uid = %u\n"
                                  "vms = 16\n"
                                  "[vm]\n"
                                  "memory = 8MiB\n"
                                  "mappings = 3\n"
                                  "devices = 1\n"
                                  "first-stage-tables = 1\n"
                                  "modes = passthrough, first-stage\n"
                                  "[device edu0]\n"
                                  "simulated = edu\n"
                                  "regions = 0:r\n"
                                  "[device edu1]\n"
                                  "simulated = edu\n";

struct world {
        struct broker_run run;
        struct raw_client bystander;
        struct raw_client client;
        char path[128];
};

/* Connects and says Hello; the worker of the case before may still be ending. */
static void greet(struct world *world, struct raw_client *client)
{
        const struct timespec pause = {.tv_nsec = 5000000};
        struct vtd_reply reply;

        for (unsigned tries = 0; tries < 400; tries++) {
                assert_int_equal(raw_connect(client, world->path), 0);
                if (raw_hello(client, &reply) == RAW_ANSWERED && !reply.refused)
                        return;
                raw_close(client);
                (void)nanosleep(&pause, NULL);
        }
        fail_msg("Hello is not answered");
}

static void assert_bystander_is_served(struct world *world)
{
        struct vtd_request stats = {.type = VTD_REQUEST_GET_STATS};
        struct vtd_reply reply;

        assert_int_equal(raw_call(&world->bystander, &stats, -1, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
}

static int start_broker(void **state)
{
        struct world *world = calloc(1, sizeof(*world));
        struct broker_run_config config = {.host = "simulated", .audit_level = "refusals"};
        char text[1024];

        assert_non_null(world);
        config.build = getenv("VTD_BUILD");
        assert_non_null(config.build);
        (void)snprintf(text, sizeof(text), policy_text, (unsigned)geteuid());
        if (broker_run_prepare(&world->run) < 0 ||
            broker_run_add_policy(&world->run, "raw.policy", text) < 0 ||
            broker_run_start(&world->run, &config) < 0) {
                print_error("%s\n", world->run.message);
                return -1;
        }
        broker_run_socket_path(&world->run, "raw", world->path, sizeof(world->path));
        greet(world, &world->bystander);
        *state = world;
        return 0;
}

static int stop_broker(void **state)
{
        struct world *world = *state;
        int result;

        raw_close(&world->bystander);
        result = broker_run_stop(&world->run);
        if (result < 0)
                print_error("%s\n", world->run.message);
        free(world);
        return result;
}

static int open_case(void **state)
{
        struct world *world = *state;

        greet(world, &world->client);
        return 0;
}

static int close_case(void **state)
{
        struct world *world = *state;

        raw_close(&world->client);
        assert_bystander_is_served(world);
        return 0;
}

/* A valid GetStats record, to be spoilt. */
static size_t valid_record(struct world *world, uint8_t *record)
{
        struct vtd_request stats = {.type = VTD_REQUEST_GET_STATS,
                                    .sequence = ++world->client.sequence};
        size_t length;

        assert_int_equal(vtd_codec_encode_request(&stats, record, &length), 0);
        return length;
}

static void expect_closed(struct world *world, const uint8_t *record, size_t length, const int *fds,
                          size_t n_fds, const char *what)
{
        struct vtd_reply reply;
        enum raw_outcome outcome;

        assert_int_equal(raw_send(&world->client, record, length, fds, n_fds), 0);
        outcome =
                raw_receive(&world->client, &reply, VTD_REQUEST_GET_STATS, world->client.sequence);
        if (outcome != RAW_CLOSED)
                fail_msg("%s: outcome %d, not a closed connection", what, (int)outcome);
        raw_close(&world->client);
        greet(world, &world->client);
}

static void header_violations_end_the_connection(void **state)
{
        static const struct {
                const char *what;
                size_t offset;
                uint8_t value;
        } cases[] = {
                {"magic", 0, 'X'},
                {"version 0", 4, 0},
                {"version 2", 4, 2},
                {"a descriptor is announced and none comes", 5, 1},
                {"255 descriptors are announced", 5, 255},
                {"type 0", 6, 0},
                {"first unassigned type", 6, VTD_REQUEST_TYPE_END},
                {"type 65290", 7, 255},
                {"reply flag on a request", 8, VTD_FRAME_REPLY},
                {"refusal flag on a request", 8, VTD_FRAME_REFUSAL},
                {"unknown flag", 8, 4},
                {"unknown high flag", 9, 0x80},
                {"body length one too long", 10, 1},
                {"body length far too long", 11, 0x10},
        };
        struct world *world = *state;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                uint8_t record[VTD_FRAME_SIZE_MAX];
                size_t length = valid_record(world, record);

                record[cases[i].offset] = cases[i].value;
                expect_closed(world, record, length, NULL, 0, cases[i].what);
                assert_bystander_is_served(world);
        }
}

static void records_of_a_wrong_size_end_the_connection(void **state)
{
        static const size_t sizes[] = {
                1, 4, 15, 17, 100, VTD_FRAME_SIZE_MAX, VTD_FRAME_SIZE_MAX + 1, 65536};
        struct world *world = *state;
        uint8_t *record = calloc(1, 65536);

        assert_non_null(record);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
                (void)valid_record(world, record);
                expect_closed(world, record, sizes[i], NULL, 0, "record size");
        }
        free(record);
}

static void descriptors_where_none_belong_end_the_connection(void **state)
{
        static const struct {
                const char *what;
                size_t length;
                uint8_t announced;
                size_t n_fds;
        } cases[] = {
                {"one, not announced", 16, 0, 1},
                {"one, announced", 16, 1, 1},
                {"two", 16, 2, 2},
                {"eight", 16, 1, 8},
                {"one with an empty record", 0, 0, 1},
        };
        const int fds[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        struct world *world = *state;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                uint8_t record[VTD_FRAME_SIZE_MAX];

                (void)valid_record(world, record);
                record[5] = cases[i].announced;
                expect_closed(world, record, cases[i].length, fds, cases[i].n_fds, cases[i].what);
        }
}

/* Puts a header for @body in front of it. */
static size_t frame_body(struct world *world, uint8_t *record, uint16_t type, uint8_t n_fds,
                         const void *body, size_t size)
{
        struct vtd_frame frame = {.type = type,
                                  .sequence = ++world->client.sequence,
                                  .body_length = (uint16_t)size,
                                  .fd_count = n_fds};

        vtd_frame_encode(&frame, record);
        memcpy(record + VTD_FRAME_HEADER_SIZE, body, size);
        return VTD_FRAME_HEADER_SIZE + size;
}

/* String literals, because arrays are no constants here. */
#define BODY(type, bytes) (type), (const uint8_t *)(bytes), sizeof(bytes) - 1

static void body_violations_end_the_connection(void **state)
{
        static const struct {
                const char *what;
                uint16_t type;
                const uint8_t *body;
                size_t size;
        } cases[] = {
                {"unknown field", BODY(VTD_REQUEST_UNPLUG_DEVICE, "\x08\x01\x10\x01")},
                {"repeated scalar", BODY(VTD_REQUEST_UNPLUG_DEVICE, "\x08\x01\x08\x02")},
                {"long varint", BODY(VTD_REQUEST_UNPLUG_DEVICE, "\x08\x81\x00")},
                {"cut varint", BODY(VTD_REQUEST_UNPLUG_DEVICE, "\x08\x81")},
                {"varint over 64 bits",
                 BODY(VTD_REQUEST_UNPLUG_DEVICE, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f")},
                {"length-delimited for a number", BODY(VTD_REQUEST_UNPLUG_DEVICE, "\x0a\x01\x01")},
                {"fixed 64 for a number",
                 BODY(VTD_REQUEST_UNPLUG_DEVICE, "\x09\x01\x00\x00\x00\x00\x00\x00\x00")},
                {"group start", BODY(VTD_REQUEST_UNPLUG_DEVICE, "\x0b\x0c")},
                {"field number 0", BODY(VTD_REQUEST_UNPLUG_DEVICE, "\x00\x01")},
                {"name with a slash", BODY(VTD_REQUEST_PLUG_DEVICE, "\x0a\x03\x61\x2f\x62")},
                {"name with NUL", BODY(VTD_REQUEST_PLUG_DEVICE, "\x0a\x03\x61\x00\x62")},
                {"empty name", BODY(VTD_REQUEST_PLUG_DEVICE, "\x0a\x00")},
                {"name longer than its record", BODY(VTD_REQUEST_PLUG_DEVICE, "\x0a\x09\x61")},
                {"Attach mode 0", BODY(VTD_REQUEST_ATTACH, "\x08\x01\x18\x00")},
                {"Attach mode 4", BODY(VTD_REQUEST_ATTACH, "\x08\x01\x18\x04")},
                {"Attach with PASID 0", BODY(VTD_REQUEST_ATTACH, "\x08\x01\x10\x00\x18\x02")},
                {"Attach with PASID 2^20",
                 BODY(VTD_REQUEST_ATTACH, "\x08\x01\x10\x80\x80\x40\x18\x02")},
                {"first-stage without a root", BODY(VTD_REQUEST_ATTACH, "\x08\x01\x18\x03")},
                {"pass-through with a root",
                 BODY(VTD_REQUEST_ATTACH, "\x08\x01\x18\x02\x20\x80\x20")},
                {"Invalidate without entries", BODY(VTD_REQUEST_INVALIDATE, "\x08\x01")},
                {"Invalidate entry with an unknown field",
                 BODY(VTD_REQUEST_INVALIDATE, "\x08\x01\x12\x08\x08\x00\x10\x01\x18\x00\x20\x01")},
                {"bool of 2",
                 BODY(VTD_REQUEST_INVALIDATE, "\x08\x01\x12\x06\x08\x00\x10\x01\x18\x02")},
                {"RegionRead of width 3",
                 BODY(VTD_REQUEST_REGION_READ, "\x08\x01\x10\x00\x18\x00\x20\x03")},
                {"Hello for the second time", BODY(VTD_REQUEST_HELLO, "\x08\x01\x10\x00\x18\x00")},
        };
        struct world *world = *state;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                uint8_t record[VTD_FRAME_SIZE_MAX];
                size_t length =
                        frame_body(world, record, cases[i].type, 0, cases[i].body, cases[i].size);

                expect_closed(world, record, length, NULL, 0, cases[i].what);
        }
}

static void requests_before_hello_end_the_connection(void **state)
{
        struct world *world = *state;
        struct vtd_request requests[] = {
                {.type = VTD_REQUEST_GET_STATS},
                {.type = VTD_REQUEST_PLUG_DEVICE, .plug_device = {.name = {"edu0"}}},
                {.type = VTD_REQUEST_UNPLUG_DEVICE, .unplug_device = {.device = 1}},
                {.type = VTD_REQUEST_UNMAP_MEMORY, .unmap_memory = {.mapping = 1}},
                {.type = VTD_REQUEST_ATTACH, .attach = {.device = 1, .mode = VTD_ATTACH_BLOCKED}},
        };

        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
                struct raw_client client = {.fd = -1};
                struct vtd_reply reply;

                assert_int_equal(raw_connect(&client, world->path), 0);
                assert_int_equal(raw_call(&client, &requests[i], -1, &reply), RAW_CLOSED);
                raw_close(&client);
        }
}

static void expect_refusal(struct world *world, struct vtd_request *request, int fd,
                           enum vtd_reason reason)
{
        struct vtd_reply reply;

        assert_int_equal(raw_call(&world->client, request, fd, &reply), RAW_ANSWERED);
        assert_true(reply.refused);
        assert_string_equal(vtd_reason_name(reply.refusal.reason), vtd_reason_name(reason));
        assert_int_equal(reply.refusal.status, vtd_reason_status(reason));
}

static uint64_t plug(struct world *world)
{
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE,
                                      .plug_device = {.name = {"edu0"}}};
        struct vtd_reply reply;
        const struct timespec pause = {.tv_nsec = 5000000};

        for (unsigned tries = 0; tries < 400; tries++) {
                assert_int_equal(raw_call(&world->client, &request, -1, &reply), RAW_ANSWERED);
                if (!reply.refused)
                        return reply.plug_device.device;
                /* The VM of the case before may not have let go of the device yet. */
                assert_int_equal(reply.refusal.reason, VTD_REASON_DEVICE_BUSY);
                (void)nanosleep(&pause, NULL);
        }
        fail_msg("the device stays busy");
        return 0;
}

static int make_memory(unsigned seals)
{
        int fd = memfd_create("protocol", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t)MEMORY), 0);
        if (seals)
                assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static uint64_t map(struct world *world, uint64_t gpa, uint64_t size)
{
        struct vtd_request request = {.type = VTD_REQUEST_MAP_MEMORY,
                                      .map_memory = {.gpa = gpa, .size = size}};
        VTD_CLEANUP_FD int fd = make_memory(F_SEAL_SHRINK);
        struct vtd_reply reply;

        assert_int_equal(raw_call(&world->client, &request, fd, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        return reply.map_memory.mapping;
}

static void plugging_what_policy_does_not_grant_is_refused(void **state)
{
        struct world *world = *state;
        struct vtd_request other = {.type = VTD_REQUEST_PLUG_DEVICE,
                                    .plug_device = {.name = {"nic7"}}};
        struct vtd_request again = {.type = VTD_REQUEST_PLUG_DEVICE,
                                    .plug_device = {.name = {"edu0"}}};
        struct vtd_request second = {.type = VTD_REQUEST_PLUG_DEVICE,
                                     .plug_device = {.name = {"edu1"}}};

        expect_refusal(world, &other, -1, VTD_REASON_DEVICE_NOT_GRANTED);
        (void)plug(world);
        expect_refusal(world, &again, -1, VTD_REASON_DEVICE_PLUGGED);
        expect_refusal(world, &second, -1, VTD_REASON_DEVICE_LIMIT);
}

static void memory_before_the_first_plug_is_refused(void **state)
{
        struct vtd_request request = {.type = VTD_REQUEST_MAP_MEMORY,
                                      .map_memory = {.size = MEMORY}};
        VTD_CLEANUP_FD int fd = make_memory(F_SEAL_SHRINK);

        expect_refusal(*state, &request, fd, VTD_REASON_NO_DEVICE);
}

static void descriptors_that_are_not_guest_memory_are_refused(void **state)
{
        struct world *world = *state;
        struct vtd_request request = {.type = VTD_REQUEST_MAP_MEMORY,
                                      .map_memory = {.size = MEMORY}};
        VTD_CLEANUP_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        VTD_CLEANUP_FD int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        VTD_CLEANUP_FD int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        VTD_CLEANUP_FD int unsealed = make_memory(0);
        VTD_CLEANUP_FD int frozen = make_memory(F_SEAL_SHRINK | F_SEAL_WRITE);
        VTD_CLEANUP_FD int writable = make_memory(F_SEAL_SHRINK);
        VTD_CLEANUP_FD int readable = -1;
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", writable);
        readable = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(null >= 0 && folder >= 0 && program >= 0 && readable >= 0);
        (void)plug(world);
        expect_refusal(world, &request, null, VTD_REASON_MEMFD_KIND);
        expect_refusal(world, &request, folder, VTD_REASON_MEMFD_KIND);
        expect_refusal(world, &request, program, VTD_REASON_MEMFD_KIND);
        expect_refusal(world, &request, world->client.fd, VTD_REASON_MEMFD_KIND);
        expect_refusal(world, &request, unsealed, VTD_REASON_MEMFD_SEALS);
        expect_refusal(world, &request, frozen, VTD_REASON_MEMFD_SEALS);
        expect_refusal(world, &request, readable, VTD_REASON_MEMFD_ACCESS);
}

static void memory_ranges_are_judged(void **state)
{
        static const struct {
                uint64_t gpa, size, offset;
                enum vtd_reason reason;
        } cases[] = {
                {1, MEMORY, 0, VTD_REASON_ALIGNMENT},
                {0, MEMORY - 1, 0, VTD_REASON_ALIGNMENT},
                {0, 4096, 2048, VTD_REASON_ALIGNMENT},
                {0, 0, 0, VTD_REASON_ADDRESS_RANGE},
                {UINT64_MAX - 4095, 8192, 0, VTD_REASON_ADDRESS_RANGE},
                {UINT64_C(1) << 57, 4096, 0, VTD_REASON_ADDRESS_RANGE},
                {0, MEMORY, 4096, VTD_REASON_MEMFD_RANGE},
                {0, 4096, UINT64_MAX - 4095, VTD_REASON_MEMFD_RANGE},
                {0x10000000, 4096, 0, VTD_REASON_OVERLAP},
                {0x10000000 - 4096, 8192, 0, VTD_REASON_OVERLAP},
                {0xfee00000, 4096, 0, VTD_REASON_RESERVED_RANGE},
                {0xfeeff000, 8192, 0, VTD_REASON_RESERVED_RANGE},
        };
        struct world *world = *state;
        VTD_CLEANUP_FD int fd = make_memory(F_SEAL_SHRINK);

        (void)plug(world);
        (void)map(world, 0x10000000, 8192);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct vtd_request request = {.type = VTD_REQUEST_MAP_MEMORY,
                                              .map_memory = {.gpa = cases[i].gpa,
                                                             .size = cases[i].size,
                                                             .offset = cases[i].offset}};

                expect_refusal(world, &request, fd, cases[i].reason);
        }
}

static void limits_on_memory_and_mappings_are_exact(void **state)
{
        struct world *world = *state;
        struct vtd_request more = {.type = VTD_REQUEST_MAP_MEMORY,
                                   .map_memory = {.gpa = 0x20000000, .size = 4096}};
        struct vtd_request huge = {
                .type = VTD_REQUEST_MAP_MEMORY,
                .map_memory = {.gpa = 0x30000000, .size = (UINT64_C(8) << 20) + 4096}};
        struct vtd_request release = {.type = VTD_REQUEST_UNMAP_MEMORY};
        VTD_CLEANUP_FD int fd = make_memory(F_SEAL_SHRINK);
        struct vtd_reply reply;

        assert_int_equal(ftruncate(fd, 16 << 20), 0);
        (void)plug(world);
        expect_refusal(world, &huge, fd, VTD_REASON_MEMORY_LIMIT);
        release.unmap_memory.mapping = map(world, 0, MEMORY);
        (void)map(world, MEMORY, MEMORY);
        (void)map(world, 2 * MEMORY, MEMORY);
        expect_refusal(world, &more, fd, VTD_REASON_MAPPING_LIMIT);
        assert_int_equal(raw_call(&world->client, &release, -1, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        expect_refusal(world, &release, -1, VTD_REASON_MAPPING_HANDLE);
        assert_int_equal(raw_call(&world->client, &more, fd, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
}

static void attach_is_judged(void **state)
{
        static const struct {
                uint64_t root;
                uint32_t width, flags, pasid;
                enum vtd_reason reason;
        } cases[] = {
                {0x1001, 48, 0, 0, VTD_REASON_ALIGNMENT},
                {MEMORY, 48, 0, 0, VTD_REASON_ROOT_NOT_MAPPED},
                {UINT64_MAX & ~UINT64_C(4095), 48, 0, 0, VTD_REASON_ROOT_NOT_MAPPED},
                {0x1000, 57, 0, 0, VTD_REASON_WIDTH_NOT_GRANTED},
                {0x1000, 40, 0, 0, VTD_REASON_WIDTH_UNSUPPORTED},
                {0x1000, 48, VTD_FIRST_STAGE_SRE, 0, VTD_REASON_FLAGS_NOT_GRANTED},
                {0x1000, 48, 0, 5, VTD_REASON_PASID_LIMIT},
        };
        struct world *world = *state;
        uint64_t device = plug(world);
        struct vtd_request stranger = {
                .type = VTD_REQUEST_ATTACH,
                .attach = {.device = device ^ UINT64_C(1) << 40, .mode = VTD_ATTACH_PASSTHROUGH}};

        (void)map(world, 0, MEMORY);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct vtd_request request = {
                        .type = VTD_REQUEST_ATTACH,
                        .attach = {.device = device,
                                   .pasid = cases[i].pasid,
                                   .mode = VTD_ATTACH_FIRST_STAGE,
                                   .root = cases[i].root,
                                   .address_width = cases[i].width,
                                   .flags = cases[i].flags},
                };

                expect_refusal(world, &request, -1, cases[i].reason);
        }
        expect_refusal(world, &stranger, -1, VTD_REASON_DEVICE_HANDLE);
}

/* The policy grants one table: with it attached, another root is one too many, and blocks. */
static void first_stage_tables_are_limited_and_handles_die_with_them(void **state)
{
        struct world *world = *state;
        struct vtd_request attach = {.type = VTD_REQUEST_ATTACH,
                                     .attach = {.device = plug(world),
                                                .mode = VTD_ATTACH_FIRST_STAGE,
                                                .root = 0x1000,
                                                .address_width = 48}};
        struct vtd_request invalidate = {.type = VTD_REQUEST_INVALIDATE,
                                         .invalidate = {.count = 1}};
        struct vtd_request stats = {.type = VTD_REQUEST_GET_STATS};
        struct vtd_reply reply;

        (void)map(world, 0, MEMORY);
        assert_int_equal(raw_call(&world->client, &attach, -1, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        invalidate.invalidate.table = reply.attach.table;
        invalidate.invalidate.entries[0].pages = VTD_INVALIDATE_ALL;
        assert_int_equal(raw_call(&world->client, &invalidate, -1, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        attach.attach.root = 0x2000;
        expect_refusal(world, &attach, -1, VTD_REASON_FIRST_STAGE_TABLE_LIMIT);
        assert_int_equal(raw_call(&world->client, &stats, -1, &reply), RAW_ANSWERED);
        assert_int_equal(reply.stats.first_stage_tables, 0);
        assert_int_equal(reply.stats.attachments, 0);
        expect_refusal(world, &invalidate, -1, VTD_REASON_TABLE_HANDLE);
}

static void invalidation_ranges_are_judged(void **state)
{
        static const struct {
                uint64_t address, pages;
        } cases[] = {
                {0x1001, 1},
                {0x1000, 0},
                {0, 0},
                {0x1000, VTD_INVALIDATE_ALL},
                {0x1000, UINT64_C(1) << 52},
                {UINT64_MAX & ~UINT64_C(4095), 2},
        };
        struct world *world = *state;
        struct vtd_request attach = {.type = VTD_REQUEST_ATTACH,
                                     .attach = {.device = plug(world),
                                                .mode = VTD_ATTACH_FIRST_STAGE,
                                                .root = 0x1000,
                                                .address_width = 48}};
        struct vtd_request invalidate = {.type = VTD_REQUEST_INVALIDATE,
                                         .invalidate = {.count = 1}};
        struct vtd_reply reply;

        (void)map(world, 0, MEMORY);
        assert_int_equal(raw_call(&world->client, &attach, -1, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        invalidate.invalidate.table = reply.attach.table;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                invalidate.invalidate.entries[0].address = cases[i].address;
                invalidate.invalidate.entries[0].pages = cases[i].pages;
                expect_refusal(world, &invalidate, -1, VTD_REASON_INVALIDATE_RANGE);
        }
}

static void regions_are_judged(void **state)
{
        struct world *world = *state;
        uint64_t device = plug(world);
        struct vtd_request read = {.type = VTD_REQUEST_REGION_READ,
                                   .region = {.device = device, .width = 4}};
        struct vtd_request write = {.type = VTD_REQUEST_REGION_WRITE,
                                    .region = {.device = device, .width = 4, .value = 1}};

        expect_refusal(world, &write, -1, VTD_REASON_REGION_NOT_GRANTED);
        read.region.region = 1;
        expect_refusal(world, &read, -1, VTD_REASON_REGION_NOT_GRANTED);
        read.region.region = UINT32_MAX;
        expect_refusal(world, &read, -1, VTD_REASON_REGION_NOT_GRANTED);
        read.region.region = 0;
        read.region.offset = UINT64_C(1) << 20;
        expect_refusal(world, &read, -1, VTD_REASON_REGION_RANGE);
        read.region.offset = UINT64_MAX - 3;
        expect_refusal(world, &read, -1, VTD_REASON_REGION_RANGE);
        read.region.offset = 2;
        expect_refusal(world, &read, -1, VTD_REASON_ALIGNMENT);
}

static void requests_that_are_not_built_are_unsupported(void **state)
{
        static const struct {
                uint8_t n_fds;
                uint16_t type;
                const uint8_t *body;
                size_t size;
        } cases[] = {
                {0, BODY(VTD_REQUEST_SET_DIRTY_TRACKING, "\x08\x01")},
                {1, BODY(VTD_REQUEST_READ_DIRTY_BITMAP, "\x08\x01\x10\x80\x20\x18\x00")},
                {0, BODY(VTD_REQUEST_SUBSCRIBE_PAGE_REQUESTS, "\x08\x01")},
                {0, BODY(VTD_REQUEST_RESPOND_PAGE_REQUEST, "\x08\x01\x10\x01\x18\x00\x20\x00")},
        };
        struct world *world = *state;
        VTD_CLEANUP_FD int fd = make_memory(F_SEAL_SHRINK);

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                uint8_t record[VTD_FRAME_SIZE_MAX];
                size_t length = frame_body(world, record, cases[i].type, cases[i].n_fds,
                                           cases[i].body, cases[i].size);
                struct vtd_reply reply;

                assert_int_equal(raw_send(&world->client, record, length, &fd, cases[i].n_fds), 0);
                assert_int_equal(
                        raw_receive(&world->client, &reply, cases[i].type, world->client.sequence),
                        RAW_ANSWERED);
                assert_true(reply.refused);
                assert_int_equal(reply.refusal.status, VTD_STATUS_UNSUPPORTED);
        }
}

static void another_major_version_is_refused_and_may_try_again(void **state)
{
        struct world *world = *state;
        struct raw_client client = {.fd = -1};
        struct vtd_request hello = {.type = VTD_REQUEST_HELLO, .hello = {.major = 2}};
        struct vtd_reply reply;

        assert_int_equal(raw_connect(&client, world->path), 0);
        assert_int_equal(raw_call(&client, &hello, -1, &reply), RAW_ANSWERED);
        assert_true(reply.refused);
        assert_int_equal(reply.refusal.reason, VTD_REASON_VERSION);
        assert_int_equal(reply.refusal.allowed, VTD_PROTOCOL_MAJOR);
        assert_int_equal(raw_hello(&client, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        assert_int_equal(reply.hello.host, VTD_HOST_SIMULATED);
        assert_int_equal(reply.hello.memory, 8 << 20);
        raw_close(&client);
}

/*
 * Closing a connection closes the descriptors that wait in it, and their sender can make that last
 * (SO_LINGER): none may wait in a connection that vtd-brokerd could be the one to close.
 */
static void descriptors_cannot_be_sent_before_a_worker_is_there(void **state)
{
        struct world *world = *state;
        struct raw_client client = {.fd = -1};
        const uint8_t byte = 0;
        int stopped, value, expected = -EPERM, fd = STDIN_FILENO;
        socklen_t size = sizeof(value);

        /* Kernels before 6.16 let them in, of which vtd-brokerd warns and SECURITY.md tells. */
        if (getsockopt(world->client.fd, SOL_SOCKET, SO_PASSRIGHTS, &value, &size) < 0)
                expected = 0;
        assert_int_equal(kill(world->run.pid, SIGSTOP), 0);
        stopped = raw_connect(&client, world->path);
        if (stopped == 0)
                stopped = raw_send(&client, &byte, 1, &fd, 1);
        assert_int_equal(kill(world->run.pid, SIGCONT), 0);
        assert_int_equal(stopped, expected);
        raw_close(&client);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, open_case, close_case)
        const struct CMUnitTest tests[] = {
                CASE(header_violations_end_the_connection),
                CASE(records_of_a_wrong_size_end_the_connection),
                CASE(descriptors_where_none_belong_end_the_connection),
                CASE(descriptors_cannot_be_sent_before_a_worker_is_there),
                CASE(body_violations_end_the_connection),
                CASE(requests_before_hello_end_the_connection),
                CASE(plugging_what_policy_does_not_grant_is_refused),
                CASE(memory_before_the_first_plug_is_refused),
                CASE(descriptors_that_are_not_guest_memory_are_refused),
                CASE(memory_ranges_are_judged),
                CASE(limits_on_memory_and_mappings_are_exact),
                CASE(attach_is_judged),
                CASE(first_stage_tables_are_limited_and_handles_die_with_them),
                CASE(invalidation_ranges_are_judged),
                CASE(regions_are_judged),
                CASE(requests_that_are_not_built_are_unsupported),
                CASE(another_major_version_is_refused_and_may_try_again),
        };

        return cmocka_run_group_tests_name("protocol", tests, start_broker, stop_broker);
}
