/* SPDX-License-Identifier: MIT */
/* Configuration space, interrupts and reset, asked for in every way that is not granted or not sane. */
#include "tests/protocol/attack.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"

/* edu0: configuration space for reading and writing; edu1: for reading, and its BAR for both. */

static struct vtd_request config_request(enum vtd_request_type type, uint64_t device,
                                         uint32_t offset, uint32_t width, uint32_t value)
{
        return (struct vtd_request){
                .type = type,
                .config = {.device = device, .offset = offset, .width = width, .value = value}};
}

static struct vtd_request arm_request(uint64_t device, enum vtd_interrupt_kind kind,
                                      uint32_t vector)
{
        return (struct vtd_request){
                .type = VTD_REQUEST_SET_INTERRUPT,
                .interrupt = {.device = device, .kind = kind, .vector = vector}};
}

static uint32_t config_read(struct world *world, uint64_t device, uint32_t offset)
{
        struct vtd_request request = config_request(VTD_REQUEST_CONFIG_READ, device, offset, 4, 0);
        struct vtd_reply reply;

        expect_served(&world->client, &request, -1, &reply);
        return reply.config_read.value;
}

/* An access of configuration space at @a with width @b, for reading and for writing. */
static void bad_config(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu0");
        struct vtd_request read = config_request(VTD_REQUEST_CONFIG_READ, device,
                                                 (uint32_t)attack->a, (uint32_t)attack->b, 0);
        struct vtd_request write = config_request(VTD_REQUEST_CONFIG_WRITE, device,
                                                  (uint32_t)attack->a, (uint32_t)attack->b, 0);

        expect_refusal(&world->client, &read, -1, (enum vtd_reason)attack->reason);
        expect_refusal(&world->client, &write, -1, (enum vtd_reason)attack->reason);
}

static void config_only_readable(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu1");
        struct vtd_request write = config_request(VTD_REQUEST_CONFIG_WRITE, device, 4, 2, 0);

        (void)attack;
        assert_int_equal(config_read(world, device, 0), 0x11e81234);
        expect_refusal(&world->client, &write, -1, VTD_REASON_CONFIG_NOT_GRANTED);
}

/* All ones to every double word: of 4096 bytes, two registers may change. */
static void write_everywhere(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu0");
        uint32_t before[VTD_PAGE_SIZE / 4];
        struct vtd_reply reply;

        (void)attack;
        for (uint32_t i = 0; i < VTD_ARRAY_SIZE(before); i++)
                before[i] = config_read(world, device, 4 * i);
        for (uint32_t i = 0; i < VTD_ARRAY_SIZE(before); i++) {
                struct vtd_request write =
                        config_request(VTD_REQUEST_CONFIG_WRITE, device, 4 * i, 4, UINT32_MAX);

                expect_served(&world->client, &write, -1, &reply);
        }
        for (uint32_t i = 0; i < VTD_ARRAY_SIZE(before); i++)
                if (i != 0x68 / 4) /* Device Control */
                        assert_int_equal(config_read(world, device, 4 * i), before[i]);
        assert_int_equal(config_read(world, device, 0x68) & 0xffff0000, before[0x68 / 4] >> 16);
        assert_int_equal(config_read(world, device, 0x68), 0x7810);
}

/* A SetInterrupt that announces @b descriptors and brings @c. */
static void wrong_count(struct world *world, const struct attack *attack)
{
        static const char body[] = "\x08\x01\x10\x01\x18\x00";
        VTD_CLEANUP_FD int fd = eventfd(0, EFD_CLOEXEC);
        const int fds[2] = {fd, fd};
        uint8_t record[VTD_FRAME_SIZE_MAX];
        size_t length = frame_body(world, record, VTD_REQUEST_SET_INTERRUPT, (uint8_t)attack->b,
                                   body, sizeof(body) - 1);

        expect_closed(world, record, length, fds, attack->c);
}

/* A descriptor with one of the other requests of the device plane, of type @a. */
static void uninvited(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int fd = eventfd(0, EFD_CLOEXEC);
        uint8_t record[VTD_FRAME_SIZE_MAX];
        size_t length =
                frame_body(world, record, (uint16_t)attack->a, 1, attack->bytes, attack->size);

        expect_closed(world, record, length, &fd, 1);
}

/* @fd, which the function takes, in the place of an eventfd. */
static void expect_no_eventfd(struct world *world, int fd)
{
        VTD_CLEANUP_FD int owned = fd;
        VTD_CLEANUP_FD int good = eventfd(0, EFD_CLOEXEC);
        struct vtd_request request =
                arm_request(plug(&world->client, "edu0"), VTD_INTERRUPT_MSI, 0);
        struct vtd_reply reply;

        assert_true(owned >= 0);
        expect_refusal(&world->client, &request, owned, VTD_REASON_EVENTFD_KIND);
        /* It was a refusal, and the limit is not used up by it. */
        expect_served(&world->client, &request, good, &reply);
}

static void not_an_eventfd(struct world *world, const struct attack *attack)
{
        int ends[2];

        switch (attack->a) {
        case 0:
                expect_no_eventfd(world, open("/dev/null", O_RDWR | O_CLOEXEC));
                break;
        case 1:
                expect_no_eventfd(world, make_memory(MAPPING, F_SEAL_SHRINK));
                break;
        case 2:
                expect_no_eventfd(world, epoll_create1(EPOLL_CLOEXEC));
                break;
        case 3:
                expect_no_eventfd(world, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
                break;
        case 4:
                assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
                expect_no_eventfd(world, ends[1]);
                (void)close(ends[0]);
                break;
        default:
                expect_no_eventfd(world, dup(world->client.fd));
                break;
        }
}

/* Vector @b of kind @a, on a device that has one vector of MSI. */
static void bad_vector(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int fd = eventfd(0, EFD_CLOEXEC);
        struct vtd_request request =
                arm_request(plug(&world->client, "edu0"), (enum vtd_interrupt_kind)attack->a,
                            (uint32_t)attack->b);

        expect_refusal(&world->client, &request, fd, VTD_REASON_INTERRUPT_VECTOR);
}

/* The neighbour's policy grants no vector. */
static void no_vector_granted(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int fd = eventfd(0, EFD_CLOEXEC);
        struct raw_client client = {.fd = -1};
        struct vtd_request request;

        (void)attack;
        greet(world, &client, world->neighbour);
        request = arm_request(plug(&client, "edu0"), VTD_INTERRUPT_MSI, 0);
        expect_refusal(&client, &request, fd, VTD_REASON_INTERRUPT_LIMIT);
        raw_close(&client);
}

static void write_register(struct world *world, uint64_t device, uint64_t offset, uint64_t value)
{
        struct vtd_request write = {
                .type = VTD_REQUEST_REGION_WRITE,
                .region = {.device = device, .width = 4, .offset = offset, .value = value}};
        struct vtd_reply reply;

        expect_served(&world->client, &write, -1, &reply);
}

/* An eventfd whose counter is full, and nobody reads it. */
static void full_counter(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu1");
        VTD_CLEANUP_FD int fd = eventfd(0, EFD_CLOEXEC); /* one that makes writers wait */
        struct vtd_request arm = arm_request(device, VTD_INTERRUPT_MSI, 0);
        struct vtd_request attach = {.type = VTD_REQUEST_ATTACH,
                                     .attach = {.device = device, .mode = VTD_ATTACH_PASSTHROUGH}};
        const uint64_t full = UINT64_MAX - 1;
        struct vtd_reply reply;

        (void)attack;
        (void)map(&world->client, 0, MAPPING);
        expect_served(&world->client, &attach, -1, &reply);
        expect_served(&world->client, &arm, fd, &reply);
        assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
        for (unsigned i = 0; i < 100; i++)
                write_register(world, device, 0x60, 1);
        (void)stats_of(&world->client);
}

static void expect_all_unknown(struct world *world, uint64_t device)
{
        VTD_CLEANUP_FD int fd = eventfd(0, EFD_CLOEXEC);
        struct vtd_request requests[] = {
                {.type = VTD_REQUEST_GET_DEVICE_INFO, .device = {.device = device}},
                config_request(VTD_REQUEST_CONFIG_READ, device, 0, 4, 0),
                config_request(VTD_REQUEST_CONFIG_WRITE, device, 4, 2, 0),
                arm_request(device, VTD_INTERRUPT_MSI, 0),
                {.type = VTD_REQUEST_CLEAR_INTERRUPTS,
                 .interrupt = {.device = device, .kind = VTD_INTERRUPT_MSI}},
                {.type = VTD_REQUEST_RESET_DEVICE, .device = {.device = device}},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(requests); i++)
                expect_refusal(&world->client, &requests[i],
                               requests[i].type == VTD_REQUEST_SET_INTERRUPT ? fd : -1,
                               VTD_REASON_DEVICE_HANDLE);
}

/* A vector is armed, the device goes and comes: neither handle nor charge is left. */
static void after_unplug(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int fd = eventfd(0, EFD_CLOEXEC);
        struct vtd_reply reply;

        for (uint64_t i = 0; i < attack->a; i++) {
                uint64_t device = plug(&world->client, "edu0");
                struct vtd_request arm = arm_request(device, VTD_INTERRUPT_MSI, 0);
                struct vtd_request unplug = {.type = VTD_REQUEST_UNPLUG_DEVICE,
                                             .unplug_device = {.device = device}};

                expect_served(&world->client, &arm, fd, &reply);
                expect_served(&world->client, &unplug, -1, &reply);
                expect_all_unknown(world, device);
        }
        expect_all_unknown(world, world->bystander.device);
}

/* Resets and armings as fast as they are answered: in the end they are answered late. */
static void device_call_storm(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu0");
        struct vtd_request reset = {.type = VTD_REQUEST_RESET_DEVICE, .device = {.device = device}};
        struct vtd_request arm = arm_request(device, VTD_INTERRUPT_MSI, 0);
        VTD_CLEANUP_FD int fd = eventfd(0, EFD_CLOEXEC);
        struct vtd_stats stats;
        struct vtd_reply reply;

        (void)attack;
        for (unsigned i = 0; i < VTD_LIMIT_DEVICE_CALL_BURST / 2 + 20; i++) {
                expect_served(&world->client, &reset, -1, &reply);
                expect_served(&world->client, &arm, fd, &reply);
        }
        stats = stats_of(&world->client);
        assert_true(stats.delayed_us > 0);
}

/* Where 1.0 was agreed on, type @a is none. */
static void of_a_later_version(struct world *world, const struct attack *attack)
{
        struct vtd_request hello = {.type = VTD_REQUEST_HELLO, .hello = {.major = 1}};
        struct raw_client client = {.fd = -1};
        uint8_t record[VTD_FRAME_SIZE_MAX];
        struct vtd_reply reply;
        size_t length;

        assert_int_equal(raw_connect(&client, world->attacker), 0);
        expect_served(&client, &hello, -1, &reply);
        assert_int_equal(reply.hello.minor, 0);
        length = frame_body(world, record, (uint16_t)attack->a, 0, "\x08\x01", 2);
        assert_int_equal(raw_send(&client, record, length, NULL, 0), 0);
        assert_int_equal(raw_receive(&client, &reply, (uint32_t)attack->a, 0), RAW_CLOSED);
        raw_close(&client);
}

#define CONFIG(text, offset, width, why)                                                           \
        {                                                                                          \
                .name = "config: " text, .run = bad_config, .a = (offset), .b = (width),           \
                .reason = VTD_REASON_##why                                                         \
        }
#define COUNT(text, said, sent)                                                                    \
        {                                                                                          \
                .name = "interrupt: " text, .run = wrong_count, .b = (said), .c = (sent)           \
        }
#define KIND(text, number)                                                                         \
        {                                                                                          \
                .name = "interrupt: " text " in place of an eventfd", .run = not_an_eventfd,       \
                .a = (number)                                                                      \
        }
#define VECTOR(text, kind, vector)                                                                 \
        {                                                                                          \
                .name = "interrupt: " text, .run = bad_vector, .a = (kind), .b = (vector)          \
        }
#define UNINVITED(text, type, literal)                                                             \
        {                                                                                          \
                .name = "descriptor: with " text, .run = uninvited, .a = VTD_REQUEST_##type,       \
                .bytes = (literal), .size = sizeof(literal) - 1                                    \
        }

const struct attack device_plane_attacks[] = {
        CONFIG("right behind its end", 4096, 1, REGION_RANGE),
        CONFIG("across its end", 4094, 4, REGION_RANGE),
        CONFIG("an offset that wraps", UINT32_MAX, 4, REGION_RANGE),
        CONFIG("unaligned", 2, 4, ALIGNMENT),
        CONFIG("unaligned word", 0x69, 2, ALIGNMENT),
        {.name = "config: writing what is only readable", .run = config_only_readable},
        {.name = "config: writing everywhere", .run = write_everywhere},
        COUNT("no descriptor", 0, 0),
        COUNT("one announced, none sent", 1, 0),
        COUNT("none announced, one sent", 0, 1),
        COUNT("two descriptors", 2, 2),
        COUNT("one announced, two sent", 1, 2),
        UNINVITED("GetDeviceInfo", GET_DEVICE_INFO, "\x08\x01"),
        UNINVITED("ConfigRead", CONFIG_READ, "\x08\x01\x10\x00\x18\x04"),
        UNINVITED("ConfigWrite", CONFIG_WRITE, "\x08\x01\x10\x04\x18\x02\x20\x00"),
        UNINVITED("ClearInterrupts", CLEAR_INTERRUPTS, "\x08\x01\x10\x01"),
        UNINVITED("ResetDevice", RESET_DEVICE, "\x08\x01"),
        KIND("a character device", 0),
        KIND("a memfd", 1),
        KIND("an epoll descriptor", 2),
        KIND("a timer", 3),
        KIND("a pipe", 4),
        KIND("the connection itself", 5),
        VECTOR("a vector beyond", VTD_INTERRUPT_MSI, 1),
        VECTOR("the last vector that can be named", VTD_INTERRUPT_MSI, UINT32_MAX),
        VECTOR("a kind that the device has not", VTD_INTERRUPT_MSIX, 0),
        {.name = "interrupt: none is granted", .run = no_vector_granted},
        {.name = "interrupt: to a counter that is full", .run = full_counter},
        {.name = "handle: of the device plane after unplugging", .run = after_unplug, .a = 20},
        {.name = "pace: resets and armings in a storm", .run = device_call_storm},
        {.name = "phase: GetDeviceInfo in version 1.0",
         .run = of_a_later_version,
         .a = VTD_REQUEST_GET_DEVICE_INFO},
        {.name = "phase: ResetDevice in version 1.0",
         .run = of_a_later_version,
         .a = VTD_REQUEST_RESET_DEVICE},
        {0},
};
