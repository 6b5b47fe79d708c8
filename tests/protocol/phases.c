/* SPDX-License-Identifier: MIT */
/* Requests out of phase, and Hello in every wrong way. */
#include "tests/protocol/attack.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "shared/cleanup.h"

/*
 * Type @a as the first request of a connection.  No descriptor can be sent before a worker has the
 * connection: MapMemory and SetInterrupt are tried until it can.
 */
static void before_hello(struct world *world, const struct attack *attack)
{
        struct vtd_request request = {.type = (enum vtd_request_type)attack->a, .sequence = 1};
        VTD_CLEANUP_FD int fd = make_memory(4096, F_SEAL_SHRINK);
        size_t length, fds = vtd_request_kind(request.type)->fd_count;
        struct raw_client client = {.fd = -1};
        uint8_t record[VTD_FRAME_SIZE_MAX];
        struct vtd_reply reply;
        int sent;

        /* Fields that make each of them well-formed. */
        if (request.type == VTD_REQUEST_PLUG_DEVICE)
                request.plug_device.name.text[0] = 'a';
        else if (request.type == VTD_REQUEST_ATTACH)
                request.attach.mode = VTD_ATTACH_BLOCKED;
        else if (request.type == VTD_REQUEST_INVALIDATE)
                request.invalidate.count = 1;
        else if (request.type == VTD_REQUEST_REGION_READ ||
                 request.type == VTD_REQUEST_REGION_WRITE)
                request.region.width = 4;
        else if (request.type == VTD_REQUEST_CONFIG_READ ||
                 request.type == VTD_REQUEST_CONFIG_WRITE)
                request.config.width = 4;
        else if (request.type == VTD_REQUEST_SET_INTERRUPT ||
                 request.type == VTD_REQUEST_CLEAR_INTERRUPTS)
                request.interrupt.kind = VTD_INTERRUPT_MSI;
        assert_int_equal(vtd_codec_encode_request(&request, record, &length), 0);
        assert_int_equal(raw_connect(&client, world->attacker), 0);
        for (unsigned tries = 0; tries < 400; tries++) {
                sent = raw_send(&client, record, length, &fd, fds);
                if (sent == 0)
                        break;
                assert_int_equal(sent, -EPERM);
                pause_ms(5);
        }
        assert_int_equal(sent, 0);
        assert_int_equal(raw_receive(&client, &reply, request.type, 1), RAW_CLOSED);
        raw_close(&client);
}

static void hello_twice(struct world *world, const struct attack *attack)
{
        struct vtd_reply reply;

        (void)attack;
        assert_int_equal(raw_hello(&world->client, &reply), RAW_CLOSED);
}

/* Refused, and the connection may say another one. */
static void other_version(struct world *world, const struct attack *attack)
{
        struct vtd_request hello = {.type = VTD_REQUEST_HELLO,
                                    .hello = {.major = (uint32_t)attack->a}};
        struct raw_client client = {.fd = -1};
        struct vtd_reply reply;

        assert_int_equal(raw_connect(&client, world->attacker), 0);
        expect_refusal(&client, &hello, -1, VTD_REASON_VERSION);
        assert_int_equal(raw_hello(&client, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        assert_int_equal(reply.hello.major, VTD_PROTOCOL_MAJOR);
        assert_int_equal(reply.hello.memory, ATTACKER_MEMORY);
        raw_close(&client);
}

/* One that comes late is in time; one that never comes ends after VTD_LIMIT_HELLO_MS. */
static void hello_late_and_never(struct world *world, const struct attack *attack)
{
        struct raw_client late = {.fd = -1}, never = {.fd = -1};
        struct vtd_reply reply;

        (void)attack;
        assert_int_equal(raw_connect(&late, world->attacker), 0);
        assert_int_equal(raw_connect(&never, world->attacker), 0);
        pause_ms(VTD_LIMIT_HELLO_MS / 2);
        assert_int_equal(raw_hello(&late, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        pause_ms(VTD_LIMIT_HELLO_MS / 2 + 500);
        assert_int_equal(raw_receive(&never, &reply, VTD_REQUEST_HELLO, 0), RAW_CLOSED);
        (void)stats_of(&late);
        raw_close(&late);
        raw_close(&never);
}

/* Reserved requests are well-formed, and refused as what they are. */
static void reserved(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int fd = make_memory(4096, F_SEAL_SHRINK);
        uint8_t record[VTD_FRAME_SIZE_MAX];
        size_t length = frame_body(world, record, (uint16_t)attack->a, (uint8_t)attack->b,
                                   attack->bytes, attack->size);
        struct vtd_reply reply;

        assert_int_equal(raw_send(&world->client, record, length, &fd, attack->b), 0);
        assert_int_equal(
                raw_receive(&world->client, &reply, (uint32_t)attack->a, world->client.sequence),
                RAW_ANSWERED);
        assert_true(reply.refused);
        assert_int_equal(reply.refusal.status, VTD_STATUS_UNSUPPORTED);
}

#define BEFORE(text, type)                                                                         \
        {                                                                                          \
                .name = "phase: " text " before Hello", .run = before_hello,                       \
                .a = VTD_REQUEST_##type                                                            \
        }
#define RESERVED(text, type, fds, literal)                                                         \
        {                                                                                          \
                .name = "phase: " text ", which is reserved", .run = reserved,                     \
                .a = VTD_REQUEST_##type, .b = (fds), .bytes = (literal),                           \
                .size = sizeof(literal) - 1                                                        \
        }

const struct attack phase_attacks[] = {
        BEFORE("PlugDevice", PLUG_DEVICE),
        BEFORE("UnplugDevice", UNPLUG_DEVICE),
        BEFORE("MapMemory", MAP_MEMORY),
        BEFORE("UnmapMemory", UNMAP_MEMORY),
        BEFORE("Attach", ATTACH),
        BEFORE("Invalidate", INVALIDATE),
        BEFORE("RegionRead", REGION_READ),
        BEFORE("RegionWrite", REGION_WRITE),
        BEFORE("GetStats", GET_STATS),
        BEFORE("GetDeviceInfo", GET_DEVICE_INFO),
        BEFORE("ConfigRead", CONFIG_READ),
        BEFORE("ConfigWrite", CONFIG_WRITE),
        BEFORE("SetInterrupt", SET_INTERRUPT),
        BEFORE("ClearInterrupts", CLEAR_INTERRUPTS),
        BEFORE("ResetDevice", RESET_DEVICE),
        {.name = "phase: Hello twice", .run = hello_twice},
        {.name = "phase: Hello of an older major version", .run = other_version, .a = 0},
        {.name = "phase: Hello of a newer major version", .run = other_version, .a = 2},
        {.name = "phase: Hello late, and never", .run = hello_late_and_never},
        RESERVED("SetDirtyTracking", SET_DIRTY_TRACKING, 0, "\x08\x01"),
        RESERVED("ReadDirtyBitmap", READ_DIRTY_BITMAP, 1, "\x08\x01\x10\x80\x20\x18\x00"),
        RESERVED("SubscribePageRequests", SUBSCRIBE_PAGE_REQUESTS, 0, "\x08\x01"),
        RESERVED("RespondPageRequest", RESPOND_PAGE_REQUEST, 0, "\x08\x01\x10\x01\x18\x00\x20\x00"),
        {0},
};
