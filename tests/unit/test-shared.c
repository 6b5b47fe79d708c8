/* SPDX-License-Identifier: MIT */
/* shared/: framing, records and descriptor ownership, logging, checked arithmetic. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/frame.h"
#include "shared/log.h"
#include "shared/record.h"

static void make_pair(int sockets[2])
{
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
        assert_int_equal(vtd_record_adopt(sockets[0]), 0);
        assert_int_equal(vtd_record_adopt(sockets[1]), 0);
}

static void close_pair(int sockets[2])
{
        sockets[0] = vtd_close(sockets[0]);
        sockets[1] = vtd_close(sockets[1]);
}

/* The lowest free descriptor number: unchanged when nothing has leaked. */
static int lowest_free_fd(void)
{
        int fd = dup(0);

        assert_true(fd >= 0);
        (void)close(fd);
        return fd;
}

static void send_raw(int socket, const void *data, size_t length, const int *fds, size_t n_fds)
{
        char control[CMSG_SPACE(sizeof(int) * 8)] = {0};
        struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

        if (n_fds > 0) {
                struct cmsghdr *c;

                message.msg_control = control;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                c = CMSG_FIRSTHDR(&message);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
        }
        assert_int_equal(sendmsg(socket, &message, 0), (ssize_t)length);
}

static void test_record_carries_one_descriptor(void **state)
{
        struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        char buffer[16];
        size_t length;
        int pair[2], fd;

        (void)state;
        make_pair(pair);
        assert_int_equal(vtd_record_receive(pair[1], buffer, sizeof(buffer), &length, &fds),
                         VTD_RECORD_E_AGAIN);
        assert_int_equal(vtd_record_send(pair[0], "hello", 5, 0), 0);
        assert_int_equal(vtd_record_receive(pair[1], buffer, sizeof(buffer), &length, &fds), 0);
        assert_int_equal(length, 5);
        assert_int_equal(fds.count, 1);
        fd = vtd_fd_list_take(&fds);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        (void)close(fd);
        assert_int_equal(vtd_fd_list_take(&fds), -1);
        pair[0] = vtd_close(pair[0]);
        assert_int_equal(vtd_record_receive(pair[1], buffer, sizeof(buffer), &length, &fds),
                         VTD_RECORD_E_CLOSED);
        assert_int_equal(vtd_record_send(pair[1], "x", 1, -1), VTD_RECORD_E_CLOSED);
        close_pair(pair);
}

/* Every way to smuggle or lose descriptors ends as a violation with none left open. */
static void test_record_violations_leak_nothing(void **state)
{
        static const struct {
                size_t length;
                size_t n_fds;
        } cases[] = {{5, 3}, {5, 8}, {0, 1}, {17, 0}, {17, 1}};
        const int fds_out[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        char data[32] = {0}, buffer[16];
        int pair[2];

        (void)state;
        make_pair(pair);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
                int before = lowest_free_fd();
                size_t length;

                send_raw(pair[0], data, cases[i].length, fds_out, cases[i].n_fds);
                assert_int_equal(vtd_record_receive(pair[1], buffer, sizeof(buffer), &length, &fds),
                                 VTD_RECORD_E_VIOLATION);
                assert_int_equal(fds.count, 0);
                assert_int_equal(lowest_free_fd(), before);
        }
        close_pair(pair);
}

static int send_zero(int socket)
{
        return vtd_record_send(socket, "x", 1, 0);
}

/* As vtd-brokerd and a worker do: shut at the listener, opened at the connection. */
static void test_record_fds_wait_for_permission(void **state)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX}; /* the kernel chooses a name */
        VTD_CLEANUP_FD int listener = -1, client = -1, accepted = -1;
        socklen_t size = sizeof(address);
        int result;

        (void)state;
        listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
        assert_int_equal(listen(listener, 1), 0);
        result = vtd_record_accept_fds(listener, false);
        if (result == -ENOPROTOOPT) {
                /* A kernel before 6.16: it says so of every socket, and nothing is kept out. */
                assert_int_equal(vtd_record_accept_fds(client, true), -ENOPROTOOPT);
                return;
        }
        assert_int_equal(result, 0);
        assert_int_equal(connect(client, (struct sockaddr *)&address, size), 0);
        assert_int_equal(send_zero(client), -EPERM);
        accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(accepted >= 0);
        assert_int_equal(send_zero(client), -EPERM);
        assert_int_equal(vtd_record_send(client, "x", 1, -1), 0);
        assert_int_equal(vtd_record_accept_fds(accepted, true), 0);
        assert_int_equal(send_zero(client), 0);
}

static void test_record_adopt_refuses_other_descriptors(void **state)
{
        int pair[2];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        assert_int_equal(vtd_record_adopt(pair[0]), -EPROTOTYPE);
        close_pair(pair);
        assert_true(vtd_record_adopt(-1) < 0);
}

static void test_frame_round_trip_and_refusals(void **state)
{
        struct vtd_frame in = {.type = 7,
                               .flags = VTD_FRAME_REPLY,
                               .sequence = 0x01020304,
                               .body_length = 3,
                               .fd_count = 1};
        struct vtd_frame out = {0};
        uint8_t record[VTD_FRAME_HEADER_SIZE + 3] = {0};
        static const size_t judged[] = {0, 3, 4, 8, 9, 10, 11};

        (void)state;
        vtd_frame_encode(&in, record);
        assert_int_equal(vtd_frame_decode(&out, record, sizeof(record)), 0);
        assert_int_equal(out.type, 7);
        assert_int_equal(out.sequence, 0x01020304);
        assert_int_equal(out.fd_count, 1);
        assert_int_equal(vtd_frame_decode(&out, record, sizeof(record) - 1), VTD_FRAME_E_MALFORMED);
        for (size_t i = 0; i < VTD_FRAME_HEADER_SIZE; i++)
                assert_int_equal(vtd_frame_decode(&out, record, i), VTD_FRAME_E_MALFORMED);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(judged); i++) {
                record[judged[i]] ^= 0x80;
                assert_int_equal(vtd_frame_decode(&out, record, sizeof(record)),
                                 VTD_FRAME_E_MALFORMED);
                record[judged[i]] ^= 0x80;
        }
}

static void test_log_escape(void **state)
{
        char out[16];

        (void)state;
        assert_string_equal(vtd_log_escape(out, sizeof(out), "a\"\n\\", 4), "a\\x22\\x0a\\x5c");
        assert_string_equal(vtd_log_escape(out, 5, "abcdefgh", 8), "abcd");
        assert_string_equal(vtd_log_escape(out, 5, "ab\x01", 3), "ab");
        assert_string_equal(vtd_log_escape(out, 1, "ab", 2), "");
}

static void keep_line(void *opaque, enum vtd_log_level level, const char *line)
{
        (void)level;
        (void)snprintf(opaque, VTD_LOG_LINE_SIZE, "%s", line);
}

static void test_log_threshold_and_fail(void **state)
{
        char line[VTD_LOG_LINE_SIZE] = "";
        struct vtd_log log = {.sink = keep_line, .opaque = line, .threshold = VTD_LOG_INFO};

        (void)state;
        vtd_log(&log, VTD_LOG_DEBUG, "not shown");
        assert_string_equal(line, "");
        assert_int_equal(vtd_fail(&log, -EINVAL, "size %d", 7), -EINVAL);
        assert_string_equal(line, "size 7");
        assert_int_equal(vtd_fail(NULL, -EPERM, "nobody listens"), -EPERM);
}

static void test_ranges(void **state)
{
        (void)state;
        assert_true(vtd_range_within(0, 4096, 4096));
        assert_false(vtd_range_within(0, 4097, 4096));
        assert_false(vtd_range_within(1, UINT64_MAX, UINT64_MAX));
        assert_false(vtd_range_within(4096, 1, 4096));
        assert_false(vtd_range_within(0, 0, 4096));
        assert_true(vtd_ranges_overlap(0, 4096, 4095, 1));
        assert_false(vtd_ranges_overlap(0, 4096, 4096, 4096));
        assert_true(vtd_ranges_overlap(UINT64_MAX - 1, 2, UINT64_MAX, 1));
        assert_true(vtd_range_contains(4096, 4096, 8191, 1));
        assert_false(vtd_range_contains(4096, 4096, 8191, 2));
        assert_false(vtd_range_contains(4096, 4096, 4095, 1));
        assert_false(vtd_range_contains(4096, 4096, 5000, UINT64_MAX));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_record_carries_one_descriptor),
                cmocka_unit_test(test_record_violations_leak_nothing),
                cmocka_unit_test(test_record_fds_wait_for_permission),
                cmocka_unit_test(test_record_adopt_refuses_other_descriptors),
                cmocka_unit_test(test_frame_round_trip_and_refusals),
                cmocka_unit_test(test_log_escape),
                cmocka_unit_test(test_log_threshold_and_fail),
                cmocka_unit_test(test_ranges),
        };

        return cmocka_run_group_tests_name("shared", tests, NULL, NULL);
}
