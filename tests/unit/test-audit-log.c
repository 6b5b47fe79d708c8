/* SPDX-License-Identifier: MIT */
/* broker/brokerd/audit_log.c: exact lines, and what happens when nobody reads them. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/brokerd/audit_log.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

struct reader {
        struct vtd_audit_log log;
        struct vtd_audit_sink sink;
        struct vtd_audit_source source;
        int write_fd;
        int read_fd;
};

static int set_up(void **state)
{
        struct reader *reader = calloc(1, sizeof(*reader));
        int fds[2];

        assert_non_null(reader);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
        reader->read_fd = fds[0];
        reader->write_fd = fds[1];
        vtd_audit_sink_init_descriptor(&reader->sink, fds[1]);
        vtd_audit_log_init(&reader->log, &reader->sink, NULL);
        vtd_audit_source_init(&reader->source, "blue", "blue.policy", 3);
        *state = reader;
        return 0;
}

static int tear_down(void **state)
{
        struct reader *reader = *state;

        reader->read_fd = vtd_close(reader->read_fd);
        reader->write_fd = vtd_close(reader->write_fd);
        free(reader);
        return 0;
}

static void read_text(struct reader *reader, char *text, size_t size)
{
        ssize_t length = read(reader->read_fd, text, size - 1);

        assert_true(length > 0);
        text[length] = '\0';
}

/* One line without its time, which must have the form of RFC 3339 in UTC. */
static void assert_line(struct reader *reader, const char *expected)
{
        static const char form[] = "{\"time\":\"dddd-dd-ddTdd:dd:dd.ddddddZ\",";
        char text[2048];

        read_text(reader, text, sizeof(text));
        for (size_t i = 0; i < sizeof(form) - 1; i++) {
                if (form[i] == 'd')
                        assert_in_range(text[i], '0', '9');
                else
                        assert_int_equal(text[i], form[i]);
        }
        assert_string_equal(text + sizeof(form) - 1, expected);
}

static void test_refused_request_names_its_rule(void **state)
{
        struct reader *reader = *state;
        const struct vtd_control_audit record = {
                .kind = VTD_AUDIT_REQUEST,
                .code = VTD_REQUEST_MAP_MEMORY,
                .sequence = 7,
                .status = VTD_STATUS_LIMIT,
                .reason = VTD_REASON_MEMORY_LIMIT,
                .asked = UINT64_MAX,
                .allowed = 4096,
                .line = 12,
                .nanoseconds = 1500,
        };

        vtd_audit_log_record(&reader->log, &reader->source, &record);
        assert_line(reader, "\"tenant\":\"blue\",\"vm\":3,\"kind\":\"request\","
                            "\"request\":\"MapMemory\",\"sequence\":7,\"verdict\":\"refused\","
                            "\"status\":\"limit\",\"reason\":\"memory-limit\","
                            "\"asked\":18446744073709551615,\"allowed\":4096,"
                            "\"rule\":\"blue.policy:12\",\"ns\":1500}\n");
}

static void test_granted_attach_says_what_was_attached(void **state)
{
        struct reader *reader = *state;
        const struct vtd_control_audit record = {
                .kind = VTD_AUDIT_REQUEST,
                .code = VTD_REQUEST_ATTACH,
                .sequence = 8,
                .subject = 0x18,
                .detail = {5, VTD_ATTACH_FIRST_STAGE, 0x3000},
        };

        vtd_audit_log_record(&reader->log, &reader->source, &record);
        assert_line(reader, "\"tenant\":\"blue\",\"vm\":3,\"kind\":\"request\","
                            "\"request\":\"Attach\",\"sequence\":8,\"handle\":\"0x18\","
                            "\"pasid\":5,\"mode\":\"first-stage\",\"root\":\"0x3000\","
                            "\"verdict\":\"done\"}\n");
}

static void test_host_call_has_named_fields(void **state)
{
        struct reader *reader = *state;
        const struct vtd_control_audit record = {
                .kind = VTD_AUDIT_HOST_CALL,
                .code = VTD_AUDIT_MAP_FILE,
                .sequence = 9,
                .result = -12,
                .subject = 2,
                .detail = {0x100000, 0x200000, 0},
                .nanoseconds = 77,
        };

        vtd_audit_log_record(&reader->log, &reader->source, &record);
        assert_line(reader, "\"tenant\":\"blue\",\"vm\":3,\"kind\":\"host-call\","
                            "\"call\":\"map-file\",\"sequence\":9,\"ioas\":2,"
                            "\"iova\":\"0x100000\",\"length\":\"0x200000\",\"offset\":\"0x0\","
                            "\"result\":-12,\"ns\":77}\n");
}

static void test_every_host_call_and_event_has_a_name(void **state)
{
        struct reader *reader = *state;
        char text[2048];

        for (uint32_t code = 1; code < VTD_AUDIT_HOST_CALL_END; code++) {
                const struct vtd_control_audit record = {.kind = VTD_AUDIT_HOST_CALL, .code = code};

                vtd_audit_log_record(&reader->log, &reader->source, &record);
                read_text(reader, text, sizeof(text));
                assert_non_null(strstr(text, "\"call\":\""));
                assert_null(strstr(text, "(null)"));
        }
        for (uint32_t code = 1; code < VTD_AUDIT_EVENT_END; code++) {
                const struct vtd_control_audit record = {.kind = VTD_AUDIT_EVENT, .code = code};

                vtd_audit_log_record(&reader->log, &reader->source, &record);
                read_text(reader, text, sizeof(text));
                assert_non_null(strstr(text, "\"event\":\""));
                assert_null(strstr(text, "unknown"));
        }
}

static void test_own_event_is_escaped(void **state)
{
        struct reader *reader = *state;

        vtd_audit_log_event(&reader->log, &reader->source,
                            &(const struct vtd_audit_event_line){.event = "worker-ended",
                                                                 .text = "a\"b\\c\nd\x80",
                                                                 .pid = 42,
                                                                 .uid = 60001,
                                                                 .line = 5});
        assert_line(reader, "\"tenant\":\"blue\",\"vm\":3,\"kind\":\"event\","
                            "\"event\":\"worker-ended\",\"pid\":42,\"uid\":60001,"
                            "\"text\":\"a\\u0022b\\u005cc\\u000ad\\u0080\","
                            "\"rule\":\"blue.policy:5\"}\n");
}

static void test_lines_about_no_vm_have_no_vm(void **state)
{
        struct reader *reader = *state;

        vtd_audit_source_init(&reader->source, "blue", "blue.policy", 0);
        vtd_audit_log_event(&reader->log, &reader->source,
                            &(const struct vtd_audit_event_line){.event = "connection-refused"});
        assert_line(reader, "\"tenant\":\"blue\",\"kind\":\"event\","
                            "\"event\":\"connection-refused\"}\n");
}

static void test_loss_is_said_in_the_next_line(void **state)
{
        struct reader *reader = *state;
        struct vtd_control_audit record = {
                .kind = VTD_AUDIT_EVENT, .code = VTD_AUDIT_EVENT_BLOCKED, .lost = 4};

        vtd_audit_log_record(&reader->log, &reader->source, &record);
        assert_line(reader, "\"tenant\":\"blue\",\"vm\":3,\"kind\":\"event\","
                            "\"event\":\"blocked\",\"result\":0,\"lost\":4}\n");
        record.lost = 0;
        vtd_audit_log_record(&reader->log, &reader->source, &record);
        assert_line(reader, "\"tenant\":\"blue\",\"vm\":3,\"kind\":\"event\","
                            "\"event\":\"blocked\",\"result\":0}\n");
}

/* Reads until nothing comes, flushing as vtd-brokerd's timer does; counts lines. */
static size_t drain(struct reader *reader)
{
        char text[65536];
        size_t lines = 0;

        for (;;) {
                ssize_t length = read(reader->read_fd, text, sizeof(text));

                if (length <= 0) {
                        assert_int_equal(errno, EAGAIN);
                        if (reader->log.used == 0)
                                return lines;
                } else {
                        for (ssize_t i = 0; i < length; i++)
                                lines += text[i] == '\n';
                }
                vtd_audit_log_flush(&reader->log);
        }
}

/* A reader that stands still costs lines, never time or memory, and every lost line is counted. */
static void test_slow_reader_loses_lines_that_are_counted(void **state)
{
        struct reader *reader = *state;
        const struct vtd_control_audit record = {.kind = VTD_AUDIT_REQUEST,
                                                 .code = VTD_REQUEST_GET_STATS};
        size_t written = 9000;

        for (size_t i = 0; i < written; i++)
                vtd_audit_log_record(&reader->log, &reader->source, &record);
        assert_true(reader->source.lost > 0);
        assert_int_equal(drain(reader) + reader->source.lost, written);
}

/* Requests beyond the rate are dropped; refusals have a rate of their own and still get through. */
static void test_rate_of_one_vm_is_limited(void **state)
{
        struct reader *reader = *state;
        struct vtd_control_audit record = {.kind = VTD_AUDIT_REQUEST,
                                           .code = VTD_REQUEST_GET_STATS};
        char text[2048];
        size_t lines = 0;

        for (size_t i = 0; i < 30000; i++) {
                vtd_audit_log_record(&reader->log, &reader->source, &record);
                lines += drain(reader);
        }
        assert_true(lines >= 10000 && lines < 30000);
        /* A token may just have come in: the next line is to follow a lost one. */
        while (reader->source.lost == 0) {
                vtd_audit_log_record(&reader->log, &reader->source, &record);
                (void)drain(reader);
        }
        record.status = VTD_STATUS_DENIED;
        record.reason = VTD_REASON_DEVICE_NOT_GRANTED;
        vtd_audit_log_record(&reader->log, &reader->source, &record);
        read_text(reader, text, sizeof(text));
        assert_non_null(strstr(text, "device-not-granted"));
        assert_non_null(strstr(text, "\"lost\":"));
}

/* A VMM that provokes refusals hides neither what happened to its devices nor its VM's end. */
static void test_flood_of_refusals_hides_no_event(void **state)
{
        struct reader *reader = *state;
        const struct vtd_control_audit refusal = {.kind = VTD_AUDIT_REQUEST,
                                                  .code = VTD_REQUEST_PLUG_DEVICE,
                                                  .status = VTD_STATUS_DENIED,
                                                  .reason = VTD_REASON_DEVICE_NOT_GRANTED};
        const struct vtd_control_audit blocked = {.kind = VTD_AUDIT_EVENT,
                                                  .code = VTD_AUDIT_EVENT_BLOCKED};
        char text[2048];

        for (size_t i = 0; i < 2000; i++) {
                vtd_audit_log_record(&reader->log, &reader->source, &refusal);
                (void)drain(reader);
        }
        vtd_audit_log_record(&reader->log, &reader->source, &blocked);
        read_text(reader, text, sizeof(text));
        assert_non_null(strstr(text, "\"event\":\"blocked\""));
        assert_non_null(strstr(text, "\"lost\":"));
        for (size_t i = 0; i < 2000; i++) {
                vtd_audit_log_record(&reader->log, &reader->source, &blocked);
                (void)drain(reader);
        }
        assert_true(reader->source.lost > 0);
        vtd_audit_log_event(
                &reader->log, &reader->source,
                &(const struct vtd_audit_event_line){.event = "worker-ended", .ending = true});
        read_text(reader, text, sizeof(text));
        assert_non_null(strstr(text, "worker-ended"));
        assert_non_null(strstr(text, "\"lost\":"));
}

/* Others may write to the same pipe: each write of ours begins and ends with a line. */
static void test_lines_are_never_written_in_parts(void **state)
{
        struct reader *reader = *state;
        const struct vtd_control_audit record = {.kind = VTD_AUDIT_REQUEST,
                                                 .code = VTD_REQUEST_GET_STATS};
        char text[65536];
        ssize_t length;

        for (size_t i = 0; i < 3000; i++)
                vtd_audit_log_record(&reader->log, &reader->source, &record);
        assert_true(reader->log.used > sizeof(text));
        for (;;) {
                length = read(reader->read_fd, text, sizeof(text));
                if (length <= 0)
                        break;
                assert_int_equal(text[0], '{');
                assert_int_equal(text[length - 1], '\n');
                vtd_audit_log_flush(&reader->log);
        }
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(reader->log.used, 0);
}

/* A full disk gets room again: what waits is kept, what does not fit is counted. */
static void test_full_disk_loses_nothing_uncounted(void **state)
{
        struct reader *reader = *state;
        const struct vtd_control_audit record = {.kind = VTD_AUDIT_REQUEST,
                                                 .code = VTD_REQUEST_GET_STATS};
        VTD_CLEANUP_FD int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
        size_t written = 9000;

        assert_true(full >= 0);
        vtd_audit_sink_init_descriptor(&reader->sink, full);
        for (size_t i = 0; i < written; i++)
                vtd_audit_log_record(&reader->log, &reader->source, &record);
        assert_true(reader->source.lost > 0);
        vtd_audit_sink_init_descriptor(&reader->sink, reader->write_fd);
        assert_int_equal(reader->log.trouble, -ENOSPC);
        assert_int_equal(drain(reader) + reader->source.lost, written);
        assert_int_equal(reader->log.trouble, 0);
        assert_int_equal(reader->log.lines + reader->log.lost, written);
}

static void count_line(void *opaque, enum vtd_log_level level, const char *line)
{
        size_t *count = opaque;

        assert_int_equal(level, VTD_LOG_ERROR);
        assert_non_null(strstr(line, "nobody reads"));
        (*count)++;
}

static void test_reader_that_is_gone_is_survived(void **state)
{
        struct reader *reader = *state;
        const struct vtd_control_audit record = {.kind = VTD_AUDIT_EVENT,
                                                 .code = VTD_AUDIT_EVENT_BLOCKED};
        size_t reports = 0;
        struct vtd_log report = {.sink = count_line, .opaque = &reports, .threshold = VTD_LOG_INFO};
        int pair[2];

        reader->read_fd = vtd_close(reader->read_fd);
        vtd_audit_log_init(&reader->log, &reader->sink, &report);
        vtd_audit_log_record(&reader->log, &reader->source, &record);
        assert_int_equal(reader->log.used, 0);
        vtd_audit_log_record(&reader->log, &reader->source, &record);
        assert_int_equal(reports, 1);
        /* The same for a socket, as the journal's: no SIGPIPE. */
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        (void)close(pair[0]);
        vtd_audit_sink_init_descriptor(&reader->sink, pair[1]);
        vtd_audit_log_init(&reader->log, &reader->sink, &report);
        vtd_audit_log_record(&reader->log, &reader->source, &record);
        assert_int_equal(reader->log.used, 0);
        assert_int_equal(reports, 2);
        (void)close(pair[1]);
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_refused_request_names_its_rule),
                TEST(test_granted_attach_says_what_was_attached),
                TEST(test_host_call_has_named_fields),
                TEST(test_every_host_call_and_event_has_a_name),
                TEST(test_own_event_is_escaped),
                TEST(test_lines_about_no_vm_have_no_vm),
                TEST(test_loss_is_said_in_the_next_line),
                TEST(test_slow_reader_loses_lines_that_are_counted),
                TEST(test_rate_of_one_vm_is_limited),
                TEST(test_flood_of_refusals_hides_no_event),
                TEST(test_lines_are_never_written_in_parts),
                TEST(test_full_disk_loses_nothing_uncounted),
                TEST(test_reader_that_is_gone_is_survived),
        };

        return cmocka_run_group_tests_name("audit-log", tests, NULL, NULL);
}
