/* SPDX-License-Identifier: MIT */
/* broker/worker/supervisor.c: the worker's end, against a vtd-brokerd that the test plays. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/worker/supervisor.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/log.h"
#include "shared/record.h"

struct channel {
        struct vtd_supervisor supervisor;
        int brokerd;
};

static int set_up(void **state)
{
        struct channel *channel = calloc(1, sizeof(*channel));
        int pair[2];

        assert_non_null(channel);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(vtd_record_adopt(pair[0]), 0);
        assert_int_equal(vtd_record_adopt(pair[1]), 0);
        vtd_supervisor_init(&channel->supervisor, pair[0]);
        channel->brokerd = pair[1];
        *state = channel;
        return 0;
}

static int tear_down(void **state)
{
        struct channel *channel = *state;

        vtd_supervisor_deinit(&channel->supervisor);
        channel->brokerd = vtd_close(channel->brokerd);
        free(channel);
        return 0;
}

static void send_type(struct channel *channel, enum vtd_control_type type)
{
        union vtd_control_record record = {.header.type = type};

        assert_int_equal(vtd_control_send(channel->brokerd, &record, -1), 0);
}

static void send_device(struct channel *channel, uint32_t index, uint32_t result, int fd)
{
        union vtd_control_record record = {
                .device = {.header.type = VTD_CONTROL_DEVICE, .index = index, .result = result}};

        assert_int_equal(vtd_control_send(channel->brokerd, &record, fd), 0);
}

/* Receives what the worker sent, which must be of @type. */
static union vtd_control_record expect(struct channel *channel, enum vtd_control_type type)
{
        struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        union vtd_control_record record;

        assert_int_equal(
                vtd_control_receive(channel->brokerd, VTD_CONTROL_TO_BROKERD, &record, &fds), 0);
        assert_int_equal(record.header.type, type);
        return record;
}

static void expect_nothing(struct channel *channel)
{
        struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        union vtd_control_record record;

        assert_int_equal(
                vtd_control_receive(channel->brokerd, VTD_CONTROL_TO_BROKERD, &record, &fds),
                VTD_CONTROL_E_AGAIN);
}

static void test_open_device_hands_over_the_descriptor(void **state)
{
        struct channel *channel = *state;
        int pipe_fds[2], fd = -1;
        char byte;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        send_device(channel, 3, VTD_CONTROL_DEVICE_OPENED, pipe_fds[1]);
        assert_int_equal(vtd_supervisor_open_device(&channel->supervisor, 3, &fd), 0);
        assert_int_equal(expect(channel, VTD_CONTROL_OPEN_DEVICE).open_device.index, 3);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(write(fd, "x", 1), 1);
        assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
        (void)close(fd);
        (void)close(pipe_fds[0]);
        (void)close(pipe_fds[1]);
}

static void test_refusals_have_outcomes_of_their_own(void **state)
{
        static const struct {
                uint32_t result;
                int outcome;
        } cases[] = {
                {VTD_CONTROL_DEVICE_HELD, VTD_SUPERVISOR_E_HELD},
                {VTD_CONTROL_DEVICE_MISSING, VTD_SUPERVISOR_E_MISSING},
                {VTD_CONTROL_DEVICE_GROUP, VTD_SUPERVISOR_E_GROUP},
                {VTD_CONTROL_DEVICE_BRIDGE, VTD_SUPERVISOR_E_BRIDGE},
                {VTD_CONTROL_DEVICE_NO_IOMMU, VTD_SUPERVISOR_E_NO_IOMMU},
                {VTD_CONTROL_DEVICE_CLOSED, -EBADMSG},
        };
        struct channel *channel = *state;
        int fd = -1;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                send_device(channel, 0, cases[i].result, -1);
                assert_int_equal(vtd_supervisor_open_device(&channel->supervisor, 0, &fd),
                                 cases[i].outcome);
                assert_int_equal(fd, -1);
        }
}

static void test_close_device_waits_for_the_last_close(void **state)
{
        struct channel *channel = *state;

        send_device(channel, 2, VTD_CONTROL_DEVICE_CLOSED, -1);
        assert_int_equal(vtd_supervisor_close_device(&channel->supervisor, 2), 0);
        assert_int_equal(expect(channel, VTD_CONTROL_CLOSE_DEVICE).open_device.index, 2);
        send_device(channel, 2, VTD_CONTROL_DEVICE_HELD, -1);
        assert_int_equal(vtd_supervisor_close_device(&channel->supervisor, 2), -EBADMSG);
}

static void test_answer_for_another_device_is_a_violation(void **state)
{
        struct channel *channel = *state;
        int fd = -1, before = dup(0);

        (void)close(before);
        send_device(channel, 1, VTD_CONTROL_DEVICE_OPENED, 0);
        assert_int_equal(vtd_supervisor_open_device(&channel->supervisor, 0, &fd), -EBADMSG);
        assert_int_equal(fd, -1);
        fd = dup(0);
        assert_int_equal(fd, before);
        (void)close(fd);
}

static void test_ping_is_answered_and_drain_kept_while_waiting(void **state)
{
        struct channel *channel = *state;

        send_type(channel, VTD_CONTROL_PING);
        send_type(channel, VTD_CONTROL_DRAIN);
        send_type(channel, VTD_CONTROL_PING);
        send_device(channel, 0, VTD_CONTROL_DEVICE_CLOSED, -1);
        assert_int_equal(vtd_supervisor_close_device(&channel->supervisor, 0), 0);
        (void)expect(channel, VTD_CONTROL_CLOSE_DEVICE);
        (void)expect(channel, VTD_CONTROL_PONG);
        (void)expect(channel, VTD_CONTROL_PONG);
        expect_nothing(channel);
        assert_true(channel->supervisor.drain);
}

/* The answer comes only after the worker has begun to wait. */
static void test_waits_for_a_late_answer(void **state)
{
        struct channel *channel = *state;
        int status;
        pid_t pid;

        pid = fork();
        if (pid == 0) {
                (void)usleep(50000);
                send_type(channel, VTD_CONTROL_PING);
                (void)usleep(20000);
                send_device(channel, 0, VTD_CONTROL_DEVICE_CLOSED, -1);
                _exit(0);
        }
        assert_int_equal(vtd_supervisor_close_device(&channel->supervisor, 0), 0);
        (void)expect(channel, VTD_CONTROL_CLOSE_DEVICE);
        (void)expect(channel, VTD_CONTROL_PONG);
        assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void test_dispatch_takes_what_may_come_at_any_time(void **state)
{
        struct channel *channel = *state;

        assert_int_equal(vtd_supervisor_dispatch(&channel->supervisor), 0);
        send_type(channel, VTD_CONTROL_PING);
        assert_int_equal(vtd_supervisor_dispatch(&channel->supervisor), 0);
        (void)expect(channel, VTD_CONTROL_PONG);
        assert_false(channel->supervisor.drain);
        send_type(channel, VTD_CONTROL_DRAIN);
        assert_int_equal(vtd_supervisor_dispatch(&channel->supervisor), 0);
        assert_true(channel->supervisor.drain);
}

static void report_first(void *opaque, uint32_t first, struct vtd_control_report *report)
{
        report->counters.requests = first;
        ++*(unsigned *)opaque;
}

/* Also in the middle of a request that waits; a QUERY before there is anything to report is not. */
static void test_query_is_answered_wherever_the_worker_waits(void **state)
{
        union vtd_control_record query = {.query = {.header.type = VTD_CONTROL_QUERY, .first = 7}};
        struct channel *channel = *state;
        unsigned reports = 0;

        assert_int_equal(vtd_control_send(channel->brokerd, &query, -1), 0);
        assert_int_equal(vtd_supervisor_dispatch(&channel->supervisor), -EBADMSG);
        expect_nothing(channel);
        vtd_supervisor_set_reporter(&channel->supervisor, report_first, &reports);
        assert_int_equal(vtd_control_send(channel->brokerd, &query, -1), 0);
        assert_int_equal(vtd_supervisor_dispatch(&channel->supervisor), 0);
        assert_int_equal(expect(channel, VTD_CONTROL_REPORT).report.counters.requests, 7);
        assert_int_equal(vtd_control_send(channel->brokerd, &query, -1), 0);
        send_device(channel, 0, VTD_CONTROL_DEVICE_CLOSED, -1);
        assert_int_equal(vtd_supervisor_close_device(&channel->supervisor, 0), 0);
        (void)expect(channel, VTD_CONTROL_CLOSE_DEVICE);
        assert_int_equal(expect(channel, VTD_CONTROL_REPORT).report.counters.requests, 7);
        expect_nothing(channel);
        assert_int_equal(reports, 2);
}

static void test_unasked_device_is_a_violation(void **state)
{
        struct channel *channel = *state;

        send_device(channel, 0, VTD_CONTROL_DEVICE_OPENED, 0);
        assert_int_equal(vtd_supervisor_dispatch(&channel->supervisor), -EBADMSG);
}

static void test_lost_channel_ends_every_call(void **state)
{
        struct channel *channel = *state;
        int fd = -1;

        channel->brokerd = vtd_close(channel->brokerd);
        assert_int_equal(vtd_supervisor_dispatch(&channel->supervisor), -ECONNRESET);
        assert_int_equal(vtd_supervisor_open_device(&channel->supervisor, 0, &fd), -ECONNRESET);
        assert_int_equal(vtd_supervisor_close_device(&channel->supervisor, 0), -ECONNRESET);
        assert_int_equal(vtd_supervisor_ready(&channel->supervisor, 7, 1), -ECONNRESET);
        assert_int_equal(vtd_supervisor_greeted(&channel->supervisor), -ECONNRESET);
}

static void test_audit_never_waits_and_counts_what_is_lost(void **state)
{
        struct channel *channel = *state;
        union vtd_control_record record = {
                .audit = {.kind = VTD_AUDIT_EVENT, .code = VTD_AUDIT_EVENT_BLOCKED}};
        uint32_t sent = 0;

        while (channel->supervisor.audit_lost == 0) {
                vtd_supervisor_audit(&channel->supervisor, &record);
                sent++;
                assert_true(sent < 100000);
        }
        vtd_supervisor_audit(&channel->supervisor, &record);
        assert_int_equal(channel->supervisor.audit_lost, 2);
        for (uint32_t i = 0; i < sent - 1; i++)
                assert_int_equal(expect(channel, VTD_CONTROL_AUDIT).audit.lost, 0);
        vtd_supervisor_audit(&channel->supervisor, &record);
        assert_int_equal(expect(channel, VTD_CONTROL_AUDIT).audit.lost, 2);
        assert_int_equal(channel->supervisor.audit_lost, 0);
}

static void test_log_lines_are_made_printable(void **state)
{
        struct channel *channel = *state;
        union vtd_control_record record;
        char line[2 * VTD_CONTROL_LOG_TEXT];

        vtd_supervisor_log(&channel->supervisor, VTD_LOG_ERROR, "a\nb\"");
        record = expect(channel, VTD_CONTROL_LOG);
        assert_string_equal(record.log.text, "a\\x0ab\\x22");
        assert_int_equal(record.log.level, VTD_LOG_ERROR);
        memset(line, 'a', sizeof(line));
        line[sizeof(line) - 1] = '\0';
        vtd_supervisor_log(&channel->supervisor, VTD_LOG_INFO, line);
        record = expect(channel, VTD_CONTROL_LOG);
        assert_int_equal(record.log.length, VTD_CONTROL_LOG_TEXT - 1);
        vtd_supervisor_log(&channel->supervisor, VTD_LOG_INFO, "");
        expect_nothing(channel);
}

static void test_ready_and_greeted_go_out(void **state)
{
        struct channel *channel = *state;
        union vtd_control_record record;

        assert_int_equal(vtd_supervisor_ready(&channel->supervisor, 7, 23), 0);
        record = expect(channel, VTD_CONTROL_READY);
        assert_int_equal(record.ready.landlock_abi, 7);
        assert_int_equal(record.ready.seccomp_rules, 23);
        assert_false(channel->supervisor.greeted);
        assert_int_equal(vtd_supervisor_greeted(&channel->supervisor), 0);
        (void)expect(channel, VTD_CONTROL_GREETED);
        assert_true(channel->supervisor.greeted);
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_open_device_hands_over_the_descriptor),
                TEST(test_refusals_have_outcomes_of_their_own),
                TEST(test_close_device_waits_for_the_last_close),
                TEST(test_answer_for_another_device_is_a_violation),
                TEST(test_ping_is_answered_and_drain_kept_while_waiting),
                TEST(test_waits_for_a_late_answer),
                TEST(test_dispatch_takes_what_may_come_at_any_time),
                TEST(test_query_is_answered_wherever_the_worker_waits),
                TEST(test_unasked_device_is_a_violation),
                TEST(test_lost_channel_ends_every_call),
                TEST(test_audit_never_waits_and_counts_what_is_lost),
                TEST(test_log_lines_are_made_printable),
                TEST(test_ready_and_greeted_go_out),
        };

        return cmocka_run_group_tests_name("supervisor", tests, NULL, NULL);
}
