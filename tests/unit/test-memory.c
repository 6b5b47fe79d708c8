/* SPDX-License-Identifier: MIT */
/* MapMemory and UnmapMemory: judgement of numbers and descriptors, chunks, roll-back. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/worker/memory.h"
#include "shared/cleanup.h"
#include "tests/unit/vm-fixture.h"

/*
 * Stands in front of the C library's, to be a client that acts at the worst moment: when the seals
 * of *shrink_before_seals are asked for, it first empties the file and seals it.
 */
static int *shrink_before_seals(void)
{
        static int fd = -1;

        return &fd;
}

int fcntl64(int fd, int command, ...)
{
        va_list arguments;
        long argument;

        va_start(arguments, command);
        argument = va_arg(arguments, long);
        va_end(arguments);
        if (command == F_GET_SEALS && *shrink_before_seals() >= 0) {
                int other = *shrink_before_seals();

                *shrink_before_seals() = -1;
                assert_int_equal(ftruncate(other, 0), 0);
                assert_int_equal(syscall(SYS_fcntl, other, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        }
        return (int)syscall(SYS_fcntl, fd, command, argument);
}

static int setup(void **state)
{
        struct fixture *fixture = fixture_new();

        fixture_start(fixture, true);
        *state = fixture;
        return 0;
}

static int teardown(void **state)
{
        fixture_free(*state);
        return 0;
}

static void memory_before_the_first_plug_is_refused(void **state)
{
        struct fixture *f = *state;
        struct vtd_request map = fixture_map_request(0, MIB, 0);
        struct vtd_request unplug = {.type = VTD_REQUEST_UNPLUG_DEVICE};
        VTD_CLEANUP_FD int fd = fixture_memfd(MIB, F_SEAL_SHRINK);

        fixture_expect_refusal(f, &map, fd, VTD_REASON_NO_DEVICE, 0);
        unplug.unplug_device.device = fixture_plug(f, 0);
        (void)fixture_map(f, 0, MIB);
        assert_int_equal(fixture_call(f, &unplug, -1), 0);
        map.map_memory.gpa = MIB;
        fixture_expect_refusal(f, &map, fd, VTD_REASON_NO_DEVICE, 0);
}

static void numbers_are_judged(void **state)
{
        static const struct {
                uint64_t gpa, size, offset;
                enum vtd_reason reason;
                uint64_t asked, allowed;
        } cases[] = {
                {1, MIB, 0, VTD_REASON_ALIGNMENT, 1, 4096},
                {0, MIB + 1, 0, VTD_REASON_ALIGNMENT, MIB + 1, 4096},
                {0, 4096, 2048, VTD_REASON_ALIGNMENT, 2048, 4096},
                {4096, 0, 0, VTD_REASON_ADDRESS_RANGE, 4096, UINT64_C(1) << 48},
                {UINT64_MAX - 4095, 8192, 0, VTD_REASON_ADDRESS_RANGE, UINT64_MAX,
                 UINT64_C(1) << 48},
                {(UINT64_C(1) << 48) - 4096, 8192, 0, VTD_REASON_ADDRESS_RANGE,
                 (UINT64_C(1) << 48) + 4096, UINT64_C(1) << 48},
                {0, MIB, 4096, VTD_REASON_MEMFD_RANGE, MIB + 4096, MIB},
                {0, 4096, UINT64_MAX - 4095, VTD_REASON_MEMFD_RANGE, UINT64_MAX, MIB},
                {0x10000000, 4096, 0, VTD_REASON_OVERLAP, 0x10000000, 0x10000000},
                {0x10000000 - 4096, 8192, 0, VTD_REASON_OVERLAP, 0x10000000 - 4096, 0x10000000},
                {0x10001000, MIB, 0, VTD_REASON_OVERLAP, 0x10001000, 0x10000000},
                {0xfee00000, 4096, 0, VTD_REASON_RESERVED_RANGE, 0xfee00000, 0xfee00000},
                {0xfeeff000, 8192, 0, VTD_REASON_RESERVED_RANGE, 0xfeeff000, 0xfee00000},
        };
        struct fixture *f = *state;
        VTD_CLEANUP_FD int fd = fixture_memfd(MIB, F_SEAL_SHRINK);

        (void)fixture_plug(f, 0);
        (void)fixture_map(f, 0x10000000, 8192);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct vtd_request map =
                        fixture_map_request(cases[i].gpa, cases[i].size, cases[i].offset);

                fixture_expect_refusal(f, &map, fd, cases[i].reason, 0);
                assert_int_equal(f->reply.refusal.asked, cases[i].asked);
                assert_int_equal(f->reply.refusal.allowed, cases[i].allowed);
        }
        (void)fixture_map(f, 0x10002000, 4096);
        (void)fixture_map(f, 0x10000000 - 4096, 4096);
        (void)fixture_map(f, (UINT64_C(1) << 48) - 4096, 4096);
}

static void limits_are_exact_and_name_their_lines(void **state)
{
        struct fixture *f = *state;
        struct vtd_request map = fixture_map_request(0x100000000, 8 * GIB + 4096, 0);
        struct vtd_request unmap = {.type = VTD_REQUEST_UNMAP_MEMORY};
        VTD_CLEANUP_FD int fd = fixture_memfd(16 * GIB, F_SEAL_SHRINK);

        (void)fixture_plug(f, 0);
        fixture_expect_refusal(f, &map, fd, VTD_REASON_MEMORY_LIMIT,
                               LINE_LIMIT + VTD_POLICY_MEMORY);
        assert_int_equal(f->reply.refusal.asked, 8 * GIB + 4096);
        assert_int_equal(f->reply.refusal.allowed, 8 * GIB);
        map.map_memory.size = UINT64_MAX;
        unmap.unmap_memory.mapping = fixture_map(f, 0, MIB);
        fixture_expect_refusal(f, &map, fd, VTD_REASON_MEMORY_LIMIT,
                               LINE_LIMIT + VTD_POLICY_MEMORY);
        assert_int_equal(f->reply.refusal.asked, UINT64_MAX);
        for (unsigned i = 1; i < 4; i++)
                (void)fixture_map(f, i * MIB, MIB);
        map.map_memory.size = 4096;
        fixture_expect_refusal(f, &map, fd, VTD_REASON_MAPPING_LIMIT,
                               LINE_LIMIT + VTD_POLICY_MAPPINGS);
        assert_int_equal(f->reply.refusal.asked, 5);
        assert_int_equal(f->reply.refusal.allowed, 4);
        assert_int_equal(fixture_call(f, &unmap, -1), 0);
        assert_false(f->reply.refused);
        fixture_expect_refusal(f, &unmap, -1, VTD_REASON_MAPPING_HANDLE, 0);
        map.map_memory.size = 8 * GIB - 3 * MIB;
        assert_int_equal(fixture_call(f, &map, fd), 0);
        assert_false(f->reply.refused);
        fixture_check_books(f, false);
}

static void a_default_that_decides_names_the_tenant(void **state)
{
        struct fixture *f = *state;
        struct vtd_request map = fixture_map_request(0, 8 * GIB + 4096, 0);
        VTD_CLEANUP_FD int fd = fixture_memfd(MIB, F_SEAL_SHRINK);

        f->policy.limits[VTD_POLICY_MEMORY].line = 0;
        (void)fixture_plug(f, 0);
        fixture_expect_refusal(f, &map, fd, VTD_REASON_MEMORY_LIMIT, LINE_TENANT);
        /* No rule decides about the rest. */
        map.map_memory.size = 4096 + 1;
        fixture_expect_refusal(f, &map, fd, VTD_REASON_ALIGNMENT, 0);
}

static void expect_fd_refused(struct fixture *f, int fd, enum vtd_reason reason, uint64_t asked)
{
        struct vtd_request map = fixture_map_request(0, 4096, 0);

        assert_true(fd >= 0);
        fixture_expect_refusal(f, &map, fd, reason, 0);
        assert_int_equal(f->reply.refusal.asked, asked);
        (void)close(fd);
}

static void only_a_sealed_writable_memfd_is_guest_memory(void **state)
{
        struct fixture *f = *state;
        VTD_CLEANUP_FD int good = fixture_memfd(MIB, F_SEAL_SHRINK);
        char path[64], file[] = "/tmp/vtd-memory-XXXXXX";
        int plain = mkstemp(file), pipes[2];

        assert_int_equal(unlink(file), 0);
        assert_int_equal(ftruncate(plain, MIB), 0);
        assert_int_equal(pipe(pipes), 0);
        (void)close(pipes[1]);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", good);
        (void)fixture_plug(f, 0);
        expect_fd_refused(f, open("/dev/null", O_RDWR), VTD_REASON_MEMFD_KIND, 0);
        expect_fd_refused(f, open("/", O_RDONLY), VTD_REASON_MEMFD_KIND, 0);
        expect_fd_refused(f, open("/proc/self/exe", O_RDONLY), VTD_REASON_MEMFD_KIND, 0);
        expect_fd_refused(f, open(path, O_PATH), VTD_REASON_MEMFD_KIND, 0);
        expect_fd_refused(f, pipes[0], VTD_REASON_MEMFD_KIND, 0);
        expect_fd_refused(f, open(path, O_RDONLY), VTD_REASON_MEMFD_ACCESS, O_RDONLY);
        expect_fd_refused(f, open(path, O_WRONLY), VTD_REASON_MEMFD_ACCESS, O_WRONLY);
        expect_fd_refused(f, fixture_memfd(MIB, 0), VTD_REASON_MEMFD_SEALS, 0);
        expect_fd_refused(f, fixture_memfd(MIB, F_SEAL_GROW), VTD_REASON_MEMFD_SEALS, F_SEAL_GROW);
        expect_fd_refused(f, fixture_memfd(MIB, F_SEAL_SHRINK | F_SEAL_WRITE),
                          VTD_REASON_MEMFD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE);
        expect_fd_refused(f, fixture_memfd(MIB, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE),
                          VTD_REASON_MEMFD_SEALS, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE);
        /* A file on tmpfs has seals, only not these; elsewhere it has none at all. */
        expect_fd_refused(f, plain,
                          fcntl(plain, F_GET_SEALS) < 0 ? VTD_REASON_MEMFD_KIND
                                                        : VTD_REASON_MEMFD_SEALS,
                          fcntl(plain, F_GET_SEALS) < 0 ? 0 : F_SEAL_SEAL);
        expect_fd_refused(f, fixture_memfd(0, F_SEAL_SHRINK), VTD_REASON_MEMFD_RANGE, 4096);
        assert_int_equal(fake_host_mapped(f->host), 0);
}

/* A descriptor of a memfd of @size bytes that is open for reading only. */
static int read_only_memfd(uint64_t size)
{
        VTD_CLEANUP_FD int good = fixture_memfd(size, F_SEAL_SHRINK);
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", good);
        return open(path, O_RDONLY | O_CLOEXEC);
}

static void s11_the_rule_that_refuses_read_only_memory_is_named(void **state)
{
        struct fixture *f = *state;
        struct vtd_request map = fixture_map_request(0, 4096, 0);
        VTD_CLEANUP_FD int opened = read_only_memfd(MIB);
        VTD_CLEANUP_FD int sealed = fixture_memfd(MIB, F_SEAL_SHRINK | F_SEAL_WRITE);
        VTD_CLEANUP_FD int shrinking = fixture_memfd(MIB, 0);

        f->policy.read_only_line = 77;
        (void)fixture_plug(f, 0);
        fixture_expect_refusal(f, &map, opened, VTD_REASON_MEMFD_ACCESS, 77);
        fixture_expect_refusal(f, &map, sealed, VTD_REASON_MEMFD_SEALS, 77);
        fixture_expect_refusal(f, &map, shrinking, VTD_REASON_MEMFD_SEALS, 0);
        assert_null(fake_supervisor_find(&f->supervisor, VTD_AUDIT_EVENT,
                                         VTD_AUDIT_EVENT_READ_ONLY_SKIPPED));
}

static void expect_skipped(struct fixture *f, uint64_t gpa, int fd)
{
        struct vtd_request map = fixture_map_request(gpa, 8192, 4096);
        struct vtd_request unmap = {.type = VTD_REQUEST_UNMAP_MEMORY};
        struct vtd_request over = fixture_map_request(gpa + 4096, 4096, 0);
        VTD_CLEANUP_FD int good = fixture_memfd(MIB, F_SEAL_SHRINK);
        const struct vtd_control_audit *audit;

        assert_true(fd >= 0);
        fixture_forget_calls(f);
        assert_int_equal(fixture_call(f, &map, fd), 0);
        assert_false(f->reply.refused);
        unmap.unmap_memory.mapping = f->reply.map_memory.mapping;
        audit = fake_supervisor_find(&f->supervisor, VTD_AUDIT_EVENT,
                                     VTD_AUDIT_EVENT_READ_ONLY_SKIPPED);
        assert_non_null(audit);
        assert_int_equal(audit->line, 78);
        assert_int_equal(audit->sequence, map.sequence);
        assert_int_equal(audit->subject, unmap.unmap_memory.mapping);
        assert_int_equal(audit->detail[0], gpa);
        assert_int_equal(audit->detail[1], 8192);
        fixture_expect_refusal(f, &over, good, VTD_REASON_OVERLAP, 0);
        assert_int_equal(fixture_call(f, &unmap, -1), 0);
        assert_false(f->reply.refused);
        fixture_expect_refusal(f, &unmap, -1, VTD_REASON_MAPPING_HANDLE, 0);
        assert_int_equal(f->host->n_calls, 0);
        fixture_check_books(f, false);
        (void)close(fd);
}

static void s11_read_only_memory_can_be_skipped(void **state)
{
        struct fixture *f = *state;

        f->policy.read_only = VTD_POLICY_READ_ONLY_SKIP;
        f->policy.read_only_line = 78;
        (void)fixture_plug(f, 0);
        (void)fixture_map(f, 0, MIB);
        expect_skipped(f, MIB, read_only_memfd(MIB));
        f->supervisor.n_audits = 0;
        expect_skipped(f, MIB, fixture_memfd(MIB, F_SEAL_SHRINK | F_SEAL_WRITE));
        f->supervisor.n_audits = 0;
        expect_skipped(f, MIB, fixture_memfd(MIB, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE));
        assert_int_equal(fake_host_mapped(f->host), MIB);
}

static void s11_skipping_forgives_nothing_else(void **state)
{
        struct fixture *f = *state;
        struct vtd_request map = fixture_map_request(MIB, 8192, MIB - 4096);
        VTD_CLEANUP_FD int end = read_only_memfd(MIB);

        f->policy.read_only = VTD_POLICY_READ_ONLY_SKIP;
        (void)fixture_plug(f, 0);
        fixture_expect_refusal(f, &map, end, VTD_REASON_MEMFD_RANGE, 0);
        expect_fd_refused(f, open("/proc/self/exe", O_RDONLY), VTD_REASON_MEMFD_KIND, 0);
        expect_fd_refused(f, fixture_memfd(MIB, F_SEAL_WRITE), VTD_REASON_MEMFD_SEALS,
                          F_SEAL_WRITE);
        assert_int_equal(fake_host_mapped(f->host), 0);
        fixture_check_books(f, false);
}

/* As many mappings as the policy allows, more bytes than it allows, and no table in any of them. */
static void s11_empty_mappings_count_as_mappings_and_hold_nothing(void **state)
{
        struct fixture *f = *state;
        struct vtd_request map = fixture_map_request(0, 16 * GIB, 0);
        VTD_CLEANUP_FD int fd = read_only_memfd(16 * GIB);

        f->policy.read_only = VTD_POLICY_READ_ONLY_SKIP;
        (void)fixture_plug(f, 0);
        for (unsigned i = 0; i < 4; i++) {
                map.map_memory.gpa = (1 + i) * 16 * GIB;
                assert_int_equal(fixture_call(f, &map, fd), 0);
                assert_false(f->reply.refused);
        }
        assert_false(vtd_memory_holds(f->vm, 16 * GIB, 4096));
        map.map_memory.gpa = 0;
        fixture_expect_refusal(f, &map, fd, VTD_REASON_MAPPING_LIMIT,
                               LINE_LIMIT + VTD_POLICY_MAPPINGS);
        fixture_check_books(f, false);
}

static void a_memfd_that_shrinks_while_it_is_judged_is_refused(void **state)
{
        struct fixture *f = *state;
        struct vtd_request map = fixture_map_request(0, MIB, 0);
        VTD_CLEANUP_FD int fd = fixture_memfd(MIB, 0);

        (void)fixture_plug(f, 0);
        *shrink_before_seals() = fd;
        fixture_expect_refusal(f, &map, fd, VTD_REASON_MEMFD_RANGE, 0);
        assert_int_equal(*shrink_before_seals(), -1);
        assert_int_equal(f->reply.refusal.asked, MIB);
        assert_int_equal(f->reply.refusal.allowed, 0);
        assert_int_equal(fake_host_mapped(f->host), 0);
}

static void memory_is_mapped_in_chunks_that_end_on_their_boundary(void **state)
{
        static const uint64_t gpa = GIB - MIB, size = 2 * GIB + 2 * MIB;
        static const uint64_t starts[] = {GIB - MIB, GIB, 2 * GIB, 3 * GIB};
        static const uint64_t lengths[] = {MIB, GIB, GIB, MIB};
        struct fixture *f = *state;
        struct vtd_request unmap = {.type = VTD_REQUEST_UNMAP_MEMORY};
        struct vtd_request map = fixture_map_request(gpa, size, 4096);
        VTD_CLEANUP_FD int fd = fixture_memfd(size + 4096, F_SEAL_SHRINK);

        (void)fixture_plug(f, 0);
        fixture_forget_calls(f);
        assert_int_equal(fixture_call(f, &map, fd), 0);
        assert_false(f->reply.refused);
        EXPECT_CALLS(f, VTD_AUDIT_MAP_FILE, VTD_AUDIT_MAP_FILE, VTD_AUDIT_MAP_FILE,
                     VTD_AUDIT_MAP_FILE);
        for (size_t i = 0; i < 4; i++) {
                assert_int_equal(f->host->calls[i].a, starts[i]);
                assert_int_equal(f->host->calls[i].b, lengths[i]);
                assert_int_equal(f->host->calls[i].c, 4096 + starts[i] - gpa);
        }
        /* In between, the supervisor is heard. */
        assert_int_equal(f->supervisor.dispatched, 3);
        unmap.unmap_memory.mapping = f->reply.map_memory.mapping;
        fixture_forget_calls(f);
        assert_int_equal(fixture_call(f, &unmap, -1), 0);
        assert_false(f->reply.refused);
        EXPECT_CALLS(f, VTD_AUDIT_UNMAP, VTD_AUDIT_UNMAP, VTD_AUDIT_UNMAP, VTD_AUDIT_UNMAP);
        fixture_check_books(f, false);
}

static void a_failed_chunk_takes_the_earlier_ones_back(void **state)
{
        struct fixture *f = *state;
        struct vtd_request map = fixture_map_request(0, 3 * GIB, 0);
        VTD_CLEANUP_FD int fd = fixture_memfd(3 * GIB, F_SEAL_SHRINK);

        (void)fixture_plug(f, 0);
        fixture_forget_calls(f);
        fake_host_fail(f->host, 2, 1, VTD_HOST_E_LIMIT);
        fixture_expect_refusal(f, &map, fd, VTD_REASON_HOST_LIMIT, 0);
        EXPECT_CALLS(f, VTD_AUDIT_MAP_FILE, VTD_AUDIT_MAP_FILE, VTD_AUDIT_MAP_FILE, VTD_AUDIT_UNMAP,
                     VTD_AUDIT_UNMAP);
        assert_int_equal(fake_host_mapped(f->host), 0);
        (void)fixture_map(f, 0, 3 * GIB);
}

static void what_a_failed_unmap_leaves_stays_charged_and_can_be_unmapped_again(void **state)
{
        struct fixture *f = *state;
        struct vtd_request unmap = {.type = VTD_REQUEST_UNMAP_MEMORY};

        (void)fixture_plug(f, 0);
        unmap.unmap_memory.mapping = fixture_map(f, 0, 3 * GIB);
        fake_host_fail(f->host, 1, 1, -EIO);
        fixture_expect_refusal(f, &unmap, -1, VTD_REASON_HOST_FAILED, 0);
        assert_int_equal(fake_host_mapped(f->host), 2 * GIB);
        assert_int_equal(fixture_call(f, &unmap, -1), 0);
        assert_false(f->reply.refused);
        assert_int_equal(fake_host_mapped(f->host), 0);
        fixture_check_books(f, false);
}

static void a_lost_supervisor_between_chunks_is_fatal(void **state)
{
        struct fixture *f = *state;
        struct vtd_request map = fixture_map_request(0, 3 * GIB, 0);
        VTD_CLEANUP_FD int fd = fixture_memfd(3 * GIB, F_SEAL_SHRINK);

        (void)fixture_plug(f, 0);
        f->supervisor.dispatch_result = -EPIPE;
        assert_int_equal(fixture_call(f, &map, fd), VTD_VM_E_FATAL);
        fixture_check_books(f, true);
        assert_int_equal(fake_host_mapped(f->host), GIB);
}

static void memory_stays_when_the_last_device_goes_and_is_pinned_by_the_next(void **state)
{
        struct fixture *f = *state;
        struct vtd_request unplug = {.type = VTD_REQUEST_UNPLUG_DEVICE};
        struct vtd_request unmap = {.type = VTD_REQUEST_UNMAP_MEMORY};
        struct vtd_request plug = fixture_plug_request(1);

        unplug.unplug_device.device = fixture_plug(f, 0);
        unmap.unmap_memory.mapping = fixture_map(f, 0, MIB);
        assert_int_equal(fixture_call(f, &unplug, -1), 0);
        assert_false(f->reply.refused);
        assert_int_equal(fake_host_count(f->host, FAKE_SECOND_STAGE), 0);
        assert_int_equal(fake_host_mapped(f->host), MIB);
        /* The second alloc of a second stage in a plug is the one over the VM's memory. */
        f->host->devices[1].info.cap ^= UINT64_C(1) << 34;
        fake_host_fail(f->host, 1, 1, VTD_HOST_E_LIMIT);
        f->host->fail_op = VTD_AUDIT_SECOND_STAGE_ALLOC;
        fixture_expect_refusal(f, &plug, -1, VTD_REASON_HOST_LIMIT, 0);
        (void)fixture_plug(f, 1);
        assert_int_equal(fixture_call(f, &unmap, -1), 0);
        assert_false(f->reply.refused);
        fixture_check_books(f, false);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        const struct CMUnitTest tests[] = {
                CASE(memory_before_the_first_plug_is_refused),
                CASE(numbers_are_judged),
                CASE(limits_are_exact_and_name_their_lines),
                CASE(a_default_that_decides_names_the_tenant),
                CASE(only_a_sealed_writable_memfd_is_guest_memory),
                CASE(s11_the_rule_that_refuses_read_only_memory_is_named),
                CASE(s11_read_only_memory_can_be_skipped),
                CASE(s11_skipping_forgives_nothing_else),
                CASE(s11_empty_mappings_count_as_mappings_and_hold_nothing),
                CASE(a_memfd_that_shrinks_while_it_is_judged_is_refused),
                CASE(memory_is_mapped_in_chunks_that_end_on_their_boundary),
                CASE(a_failed_chunk_takes_the_earlier_ones_back),
                CASE(what_a_failed_unmap_leaves_stays_charged_and_can_be_unmapped_again),
                CASE(a_lost_supervisor_between_chunks_is_fatal),
                CASE(memory_stays_when_the_last_device_goes_and_is_pinned_by_the_next),
        };

        return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
