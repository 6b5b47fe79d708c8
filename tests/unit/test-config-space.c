/* SPDX-License-Identifier: MIT */
/*
 * What of a configuration space a VMM sees: register by register on a usual device, and the walk
 * through capabilities that break every rule.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/worker/config_space.h"
#include "shared/checked.h"
#include "tests/unit/fake-host.h"

#define READ(s, offset, width) read_value((s), (offset), (width))

struct scene {
        struct fake_host *host;
        uint32_t device;
        struct vtd_config_vectors vectors;
        struct vtd_config_space space;
        uint64_t detail;
};

static int setup(void **state)
{
        struct scene *s = calloc(1, sizeof(*s));

        assert_non_null(s);
        s->host = fake_host_new();
        s->device = 1;
        s->host->objects[s->device] = (struct fake_object){.kind = FAKE_DEVICE};
        s->vectors = (struct vtd_config_vectors){.msi = 1, .msix = 6};
        *state = s;
        return 0;
}

static int teardown(void **state)
{
        struct scene *s = *state;

        if (s->host->misuse)
                fail_msg("host misused: %s", s->host->misuse);
        (void)s->host->host.ops->free(&s->host->host);
        free(s);
        return 0;
}

static void put(struct scene *s, uint32_t offset, uint32_t value)
{
        fake_host_set_config(s->host, 0, offset, value);
}

static int learn(struct scene *s)
{
        s->host->n_calls = 0;
        return vtd_config_space_learn(&s->space, &s->host->host, s->device,
                                      &s->host->devices[0].info, &s->vectors, &s->detail);
}

static uint32_t read_value(struct scene *s, uint32_t offset, uint32_t width)
{
        uint32_t value = 0xa5a5a5a5;

        assert_int_equal(
                vtd_config_space_read(&s->space, &s->host->host, s->device, offset, width, &value),
                0);
        return value;
}

static void write_value(struct scene *s, uint32_t offset, uint32_t width, uint32_t value)
{
        s->host->n_calls = 0;
        assert_int_equal(
                vtd_config_space_write(&s->space, &s->host->host, s->device, offset, width, value),
                0);
}

static void every_register_is_passed_emulated_or_hidden(void **state)
{
        static const struct {
                uint32_t offset;
                uint32_t value;
        } expected[] = {
                {0x00, 0x15218086},  /* ids */
                {0x04, 0x10100006},  /* no INTx; memory and bus mastering are on */
                {0x08, 0x02000001},  /* class and revision */
                {0x0c, 0x00000000},  /* cache line, and that there are other functions */
                {0x10, 0x0000000c},  /* of what kind BAR 0 is, not where */
                {0x14, 0x00000000},  /* its upper half */
                {0x18, 0x00000001},  /* I/O ports, not which */
                {0x2c, 0x00a28086},  /* subsystem */
                {0x30, 0x00000000},  /* no ROM */
                {0x34, 0x00000040},  /* first capability */
                {0x3c, 0x00000000},  /* no INTx */
                {0x40, 0x00235001},  /* power management without PME; the next is not 0x48 */
                {0x44, 0x0000000b},  /* state */
                {0x48, 0x00000000},  /* vendor-specific */
                {0x4c, 0x00000000},  /* what is in it */
                {0x50, 0x01807005},  /* MSI: 64 bits and masks; one vector, off */
                {0x54, 0x00000000},  /* address */
                {0x60, 0x00000000},  /* masks */
                {0x70, 0x0005a011},  /* MSI-X: as many as granted, off */
                {0x74, 0x00000002},  /* table */
                {0x78, 0x00002002},  /* pending bits */
                {0xa0, 0x00020010},  /* PCI Express */
                {0xa4, 0x10008cc2},  /* device capabilities */
                {0xa8, 0x001f2830},  /* device status and control */
                {0xac, 0x00000042},  /* link capabilities */
                {0xb0, 0x10420040},  /* link status and control */
                {0xb4, 0x00000000},  /* slot */
                {0xc4, 0x0000001f},  /* device capabilities 2 */
                {0xc8, 0x00000005},  /* device control 2 */
                {0x100, 0x14000000}, /* AER: a null capability */
                {0x104, 0x00000000}, {0x140, 0x00010003}, /* serial number, the last one */
                {0x144, 0x44332211}, {0x148, 0x88776655}, {0x150, 0x00000000}, /* ACS */
        };
        struct scene *s = *state;
        size_t next = 0;

        assert_int_equal(learn(s), 0);
        for (uint32_t offset = 0; offset < VTD_CONFIG_SIZE; offset += 4) {
                uint32_t value = 0;

                if (next < VTD_ARRAY_SIZE(expected) && expected[next].offset == offset)
                        value = expected[next++].value;
                if (READ(s, offset, 4) != value)
                        fail_msg("%#x reads %#x, not %#x", offset, READ(s, offset, 4), value);
                for (uint32_t i = 0; i < 4; i++)
                        assert_int_equal(READ(s, offset + i, 1), value >> (8 * i) & 0xff);
                for (uint32_t i = 0; i < 4; i += 2)
                        assert_int_equal(READ(s, offset + i, 2), value >> (8 * i) & 0xffff);
        }
        assert_int_equal(next, VTD_ARRAY_SIZE(expected));
}

static void what_is_hidden_is_not_asked_of_the_device(void **state)
{
        struct scene *s = *state;

        assert_int_equal(learn(s), 0);
        s->host->n_calls = 0;
        assert_int_equal(READ(s, 0x4c, 4), 0);
        assert_int_equal(READ(s, 0x30, 4), 0);
        assert_int_equal(s->host->n_calls, 0);
        assert_int_equal(READ(s, 0x00, 2), 0x8086);
        assert_int_equal(s->host->n_calls, 1);
}

/* All ones and all zeros to every byte, in each width: only the bits of the table reach the device. */
static void only_the_bits_of_the_table_can_be_written(void **state)
{
        static const uint32_t values[] = {UINT32_MAX, 0};
        struct scene *s = *state;
        uint8_t before[FAKE_CONFIG_SIZE],
                writable[FAKE_CONFIG_SIZE] = {[0xa8] = 0x10, [0xa9] = 0x78};

        assert_int_equal(learn(s), 0);
        memcpy(before, s->host->devices[0].config, sizeof(before));
        for (uint32_t width = 1; width <= 4; width *= 2) {
                for (size_t v = 0; v < VTD_ARRAY_SIZE(values); v++) {
                        const uint8_t *after = s->host->devices[0].config;

                        for (uint32_t offset = 0; offset < VTD_CONFIG_SIZE; offset += width)
                                write_value(s, offset, width, values[v] >> (32 - 8 * width));
                        for (size_t i = 0; i < sizeof(before); i++)
                                assert_int_equal(after[i], (before[i] & ~writable[i]) |
                                                                   (values[v] & writable[i]));
                }
        }
}

/* Device Status is cleared by ones: a write of 32 bits must not give back what was read of it. */
static void a_write_does_not_touch_the_register_beside(void **state)
{
        struct scene *s = *state;

        assert_int_equal(learn(s), 0);
        write_value(s, 0xa8, 4, 0xffff5810);
        assert_int_equal(s->host->n_calls, 2);
        assert_int_equal(s->host->calls[0].op, FAKE_CONFIG_READ);
        assert_int_equal(s->host->calls[1].op, FAKE_CONFIG_WRITE);
        assert_int_equal(s->host->calls[1].a, 0xa8);
        assert_int_equal(s->host->calls[1].b, 2);
        assert_int_equal(s->host->calls[1].c, 0x5830);
        write_value(s, 0xa9, 1, 0x20);
        assert_int_equal(s->host->calls[1].a, 0xa9);
        assert_int_equal(s->host->calls[1].b, 1);
        assert_int_equal(s->host->calls[1].c, 0x20);
        write_value(s, 0xaa, 2, 0xffff);
        assert_int_equal(s->host->n_calls, 0);
}

static void bus_mastering_is_recognised_in_any_access(void **state)
{
        static const struct {
                uint32_t offset, width, value;
                bool sets, on;
        } cases[] = {
                {4, 1, 0x04, true, true}, {4, 1, 0xfb, true, false},  {4, 2, 0x0506, true, true},
                {4, 4, 0, true, false},   {4, 4, 4, true, true},      {5, 1, 0xff, false, false},
                {6, 2, 4, false, false},  {0, 4, 0xff, false, false}, {8, 4, 4, false, false},
        };
        struct scene *s = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                bool on = false;

                assert_int_equal(vtd_config_space_sets_bus_master(cases[i].offset, cases[i].width,
                                                                  cases[i].value, &on),
                                 cases[i].sets);
                assert_int_equal(on, cases[i].on);
        }
        assert_int_equal(learn(s), 0);
        assert_int_equal(READ(s, 4, 2), 6);
        vtd_config_space_show_bus_master(&s->space, false);
        assert_int_equal(READ(s, 4, 2), 2);
        vtd_config_space_show_bus_master(&s->space, true);
        assert_int_equal(READ(s, 4, 2), 6);
}

static void without_vectors_their_capabilities_are_hidden(void **state)
{
        struct scene *s = *state;

        s->vectors = (struct vtd_config_vectors){.msi = 1};
        assert_int_equal(learn(s), 0);
        assert_int_equal(READ(s, 0x51, 1), 0xa0);
        assert_int_equal(READ(s, 0x70, 4), 0);
        s->vectors = (struct vtd_config_vectors){.msix = 1};
        assert_int_equal(learn(s), 0);
        assert_int_equal(READ(s, 0x41, 1), 0x70);
        assert_int_equal(READ(s, 0x70, 4), 0x0000a011);
        s->vectors = (struct vtd_config_vectors){0};
        assert_int_equal(learn(s), 0);
        assert_int_equal(READ(s, 0x41, 1), 0xa0);
        assert_int_equal(READ(s, 0x50, 4), 0);
}

static void a_list_can_be_empty_or_hidden_as_a_whole(void **state)
{
        struct scene *s = *state;

        put(s, 0x34, 0x48); /* the vendor-specific capability alone */
        put(s, 0x48, 0x00080009);
        put(s, 0x100, 0x15020001); /* AER, ACS */
        assert_int_equal(learn(s), 0);
        assert_int_equal(READ(s, 0x06, 2) & 0x10, 0);
        assert_int_equal(READ(s, 0x34, 1), 0);
        assert_int_equal(READ(s, 0x100, 4), 0);
        put(s, 0x04, 0x10080546); /* no capabilities: what the pointer says does not count */
        put(s, 0x34, 0x01);
        put(s, 0x100, 0);
        assert_int_equal(learn(s), 0);
        assert_int_equal(READ(s, 0x34, 1), 0);
        put(s, 0x100, UINT32_MAX);
        assert_int_equal(learn(s), 0);
        assert_int_equal(READ(s, 0x100, 4), 0);
}

static void of_a_kind_that_comes_twice_the_first_is_shown(void **state)
{
        struct scene *s = *state;

        put(s, 0x48, 0x00235001); /* power management again */
        assert_int_equal(learn(s), 0);
        assert_int_equal(READ(s, 0x41, 1), 0x50);
        assert_int_equal(READ(s, 0x48, 4), 0);
}

/* The reserved low bits of pointers are masked, as the rules say. */
static void a_serial_number_can_come_first(void **state)
{
        struct scene *s = *state;

        put(s, 0x34, 0x43);
        put(s, 0x100, 0x14310003);
        put(s, 0x140, 0x0001000d);
        assert_int_equal(learn(s), 0);
        assert_int_equal(READ(s, 0x34, 1), 0x40);
        assert_int_equal(READ(s, 0x100, 4), 0x00010003);
        assert_int_equal(READ(s, 0x140, 4), 0);
}

static void old_and_integrated_functions_have_shorter_capabilities(void **state)
{
        struct scene *s = *state;

        put(s, 0xa0, 0x00010010); /* version 1 */
        assert_int_equal(learn(s), 0);
        assert_int_equal(READ(s, 0xb0, 4), 0x10420040);
        assert_int_equal(READ(s, 0xc4, 4), 0);
        put(s, 0xa0, 0x00910010); /* version 1, in the root complex */
        assert_int_equal(learn(s), 0);
        assert_int_equal(READ(s, 0xa8, 4), 0x001f2830);
        assert_int_equal(READ(s, 0xac, 4), 0);
        /* so short that another capability may lie behind it */
        put(s, 0xa0, 0x0091ac10);
        put(s, 0xac, 0x00000009);
        assert_int_equal(learn(s), 0);
        put(s, 0xa0, 0x0092ac10); /* version 2 may not */
        assert_int_equal(learn(s), VTD_CONFIG_E_BROKEN);
        assert_int_equal(s->detail, 0xac);
}

static void a_function_of_256_bytes_has_no_extended_capabilities(void **state)
{
        struct scene *s = *state;

        s->host->devices[0].info.config_size = 256;
        assert_int_equal(learn(s), 0);
        assert_int_equal(s->space.size, 256);
        assert_int_equal(READ(s, 0x40, 1), 1);
        s->host->devices[0].info.config_size = 4096;
}

struct breakage {
        const char *what;
        uint32_t offset, value; /* written over a usual device */
        uint64_t where;
};

static void broken_devices_are_found_out(void **state)
{
        static const struct breakage breakages[] = {
                {"a bridge", 0x0c, 0x00010010, 0x0e},
                {"a header type that does not exist", 0x0c, 0x007f0010, 0x0e},
                {"a pointer into the header", 0x34, 0x3c, 0x3c},
                {"a pointer into the header from a capability", 0x40, 0xc8230401, 0x04},
                {"a capability that leads to itself", 0x48, 0x00084809, 0x48},
                {"a loop", 0x70, 0x80074011, 0x40},
                {"a hidden capability inside one that is shown", 0x70, 0x80075411, 0x54},
                {"a shown capability over one that is hidden", 0x40, 0xc8237401, 0x70},
                {"MSI that is not over at 256", 0x34, 0xf8, 0xf8},
                {"an extended pointer into the standard half", 0x100, 0x0fc20001, 0xfc},
                {"an extended capability that leads to itself", 0x100, 0x10020001, 0x100},
                {"an extended loop", 0x140, 0x10010003, 0x100},
                {"a serial number that is not over at 4096", 0x100, 0xffc20001, 0xffc},
                {"an extended capability inside another", 0x140, 0x14410003, 0x144},
        };
        struct scene *s = *state;
        const struct vtd_config_space nothing = {0};

        put(s, 0xf8, 0x01800005); /* where a pointer leads there: MSI of 24 bytes */
        put(s, 0xffc, 0x00010003);
        put(s, 0x74, 0x00007002); /* where a pointer leads there: hidden, MSI-X is next */
        for (size_t i = 0; i < VTD_ARRAY_SIZE(breakages); i++) {
                const struct breakage *b = &breakages[i];
                uint32_t good;

                memcpy(&good, &s->host->devices[0].config[b->offset], 4);
                put(s, b->offset, b->value);
                memset(&s->space, 0xa5, sizeof(s->space));
                if (learn(s) != VTD_CONFIG_E_BROKEN || s->detail != b->where)
                        fail_msg("%s: found at %#llx", b->what, (unsigned long long)s->detail);
                assert_memory_equal(&s->space, &nothing, sizeof(nothing));
                assert_true(s->host->n_calls < 600);
                put(s, b->offset, good);
        }
        assert_int_equal(learn(s), 0);
}

/* The longest lists that there can be end; one more is a loop. */
static void the_walk_is_bounded(void **state)
{
        struct scene *s = *state;

        put(s, 0x34, 0x40);
        for (uint32_t at = 0x40; at < 0x100; at += 4)
                put(s, at, 0x09 | (at + 4 < 0x100 ? at + 4 : 0) << 8);
        for (uint32_t at = 0x100; at < 0x1000; at += 8)
                put(s, at, 0x0001000d | (at + 8 < 0x1000 ? at + 8 : 0) << 20);
        assert_int_equal(learn(s), 0);
        assert_true(s->host->n_calls < 600);
        put(s, 0x100, 0x1040000d); /* half as far apart: that many cannot be */
        for (uint32_t at = 0x100; at < 0x1000; at += 4)
                put(s, at, 0x0001000d | (at + 4 < 0x1000 ? at + 4 : 0) << 20);
        assert_int_equal(learn(s), VTD_CONFIG_E_BROKEN);
        assert_true(s->host->n_calls < 600);
}

static void what_the_host_cannot_read_is_said(void **state)
{
        static const int results[] = {-EIO, VTD_HOST_E_BUSY};
        struct scene *s = *state;
        size_t calls;

        assert_int_equal(learn(s), 0);
        calls = s->host->n_calls;
        for (size_t r = 0; r < VTD_ARRAY_SIZE(results); r++) {
                for (size_t at = 0; at < calls; at++) {
                        fake_host_fail(s->host, at, 1, results[r]);
                        assert_int_equal(learn(s), VTD_CONFIG_E_HOST);
                        assert_int_equal((int)s->detail, results[r]);
                        assert_int_equal(s->space.size, 0);
                }
        }
        fake_host_fail(s->host, calls, 1, -EIO);
        assert_int_equal(learn(s), 0);
        s->host->fail_after = SIZE_MAX;
}

/* Any bytes at all: an answer, in bounded time, and nothing is passed that the table does not name. */
static void random_devices_do_no_harm(void **state)
{
        struct scene *s = *state;
        uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
        size_t learnt = 0;

        for (unsigned i = 0; i < 3000; i++) {
                uint8_t *config = s->host->devices[0].config;

                for (size_t n = 0; n < FAKE_CONFIG_SIZE; n++) {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        config[n] = (uint8_t)(random >> 24 & (random >> 50 & 3 ? 0xfc : 0x1f));
                }
                config[0x0e] = 0;
                if (learn(s) == 0)
                        learnt++;
                assert_true(s->host->n_calls < 600);
                for (size_t n = 0; n < VTD_CONFIG_SIZE; n++) {
                        assert_int_equal(s->space.writable[n] & ~s->space.shown[n], 0);
                        assert_int_equal(s->space.fixed[n] & s->space.shown[n], 0);
                }
        }
        print_message("# %zu of 3000 were learnt\n", learnt);
        assert_true(learnt > 0 && learnt < 3000);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        const struct CMUnitTest tests[] = {
                CASE(every_register_is_passed_emulated_or_hidden),
                CASE(what_is_hidden_is_not_asked_of_the_device),
                CASE(only_the_bits_of_the_table_can_be_written),
                CASE(a_write_does_not_touch_the_register_beside),
                CASE(bus_mastering_is_recognised_in_any_access),
                CASE(without_vectors_their_capabilities_are_hidden),
                CASE(a_list_can_be_empty_or_hidden_as_a_whole),
                CASE(of_a_kind_that_comes_twice_the_first_is_shown),
                CASE(a_serial_number_can_come_first),
                CASE(old_and_integrated_functions_have_shorter_capabilities),
                CASE(a_function_of_256_bytes_has_no_extended_capabilities),
                CASE(broken_devices_are_found_out),
                CASE(the_walk_is_bounded),
                CASE(what_the_host_cannot_read_is_said),
                CASE(random_devices_do_no_harm),
        };

        return cmocka_run_group_tests_name("config-space", tests, NULL, NULL);
}
