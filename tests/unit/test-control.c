/* SPDX-License-Identifier: MIT */
/* broker/control/control.c: what either end of the control channel accepts, field by field. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/control/control.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
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

static int lowest_free_fd(void)
{
        int fd = dup(0);

        assert_true(fd >= 0);
        (void)close(fd);
        return fd;
}

/* Every type once, with the smallest contents that are valid. */
static const struct {
        enum vtd_control_side side;
        union vtd_control_record record;
} samples[] = {
        {VTD_CONTROL_TO_WORKER,
         {.start = {.header.type = VTD_CONTROL_START,
                    .vm = 1,
                    .host = VTD_HOST_SIMULATED,
                    .audit_level = VTD_AUDIT_REFUSALS,
                    .uid = 60000,
                    .gid = 60000,
                    .landlock_abi_min = 1}}},
        {VTD_CONTROL_TO_WORKER,
         {.device = {.header.type = VTD_CONTROL_DEVICE,
                     .index = VTD_LIMIT_DEVICES - 1,
                     .result = VTD_CONTROL_DEVICE_CLOSED}}},
        {VTD_CONTROL_TO_WORKER, {.empty = {.header.type = VTD_CONTROL_PING}}},
        {VTD_CONTROL_TO_WORKER, {.empty = {.header.type = VTD_CONTROL_DRAIN}}},
        {VTD_CONTROL_TO_WORKER,
         {.query = {.header.type = VTD_CONTROL_QUERY, .first = VTD_CONTROL_POSITIONS - 1}}},
        {VTD_CONTROL_TO_BROKERD,
         {.ready = {.header.type = VTD_CONTROL_READY, .landlock_abi = 7, .seccomp_rules = 23}}},
        {VTD_CONTROL_TO_BROKERD, {.empty = {.header.type = VTD_CONTROL_GREETED}}},
        {VTD_CONTROL_TO_BROKERD, {.open_device = {.header.type = VTD_CONTROL_OPEN_DEVICE}}},
        {VTD_CONTROL_TO_BROKERD, {.open_device = {.header.type = VTD_CONTROL_CLOSE_DEVICE}}},
        {VTD_CONTROL_TO_BROKERD,
         {.audit = {.header.type = VTD_CONTROL_AUDIT,
                    .kind = VTD_AUDIT_REQUEST,
                    .code = VTD_REQUEST_PLUG_DEVICE,
                    .status = VTD_STATUS_DENIED,
                    .reason = VTD_REASON_DEVICE_NOT_GRANTED,
                    .device_name = "edu.0:a_B-9"}}},
        {VTD_CONTROL_TO_BROKERD,
         {.log = {.header.type = VTD_CONTROL_LOG,
                  .level = VTD_LOG_INFO,
                  .length = 5,
                  .text = "hello"}}},
        {VTD_CONTROL_TO_BROKERD, {.empty = {.header.type = VTD_CONTROL_PONG}}},
        {VTD_CONTROL_TO_BROKERD,
         {.report =
                  {.header.type = VTD_CONTROL_REPORT,
                   .next = VTD_CONTROL_POSITIONS - 1,
                   .n_objects = 5,
                   .objects = {{.kind = VTD_CONTROL_IOAS, .id = 2},
                               {.kind = VTD_CONTROL_SECOND_STAGE, .id = 3, .parent = 2, .count = 1},
                               {.kind = VTD_CONTROL_FIRST_STAGE,
                                .id = 4,
                                .parent = 3,
                                .count = 1,
                                .mode = 57,
                                .flags = VTD_FIRST_STAGE_FLAGS,
                                .root = 0x1000},
                               {.kind = VTD_CONTROL_PLUGGED_DEVICE,
                                .parent = VTD_CONTROL_NO_ID,
                                .device = VTD_LIMIT_DEVICES - 1,
                                .pasid = 20,
                                .count = 1},
                               {.kind = VTD_CONTROL_ATTACHMENT,
                                .parent = 4,
                                .device = VTD_LIMIT_DEVICES - 1,
                                .pasid = VTD_PASID_MAX,
                                .mode = VTD_ATTACH_FIRST_STAGE}}}}},
};

static union vtd_control_record sample(enum vtd_control_type type)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(samples); i++)
                if (samples[i].record.header.type == (uint32_t)type)
                        return samples[i].record;
        fail_msg("no sample of type %d", (int)type);
        return samples[0].record;
}

/* Sends @record as it is, with @size bytes and @fd, and returns what the receiver of @side says. */
static int receive_raw(enum vtd_control_side side, const union vtd_control_record *record,
                       size_t size, int fd, union vtd_control_record *received)
{
        struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        int pair[2], result, before;

        make_pair(pair);
        before = lowest_free_fd();
        assert_int_equal(vtd_record_send(pair[0], record, size, fd), 0);
        result = vtd_control_receive(pair[1], side, received, &fds);
        if (result != 0)
                assert_int_equal(lowest_free_fd(), before);
        vtd_fd_list_deinit(&fds);
        close_pair(pair);
        return result;
}

/* The same with the size that the record's type has, unless the type is changed on the way. */
static int receive_changed(enum vtd_control_type type, const union vtd_control_record *record)
{
        union vtd_control_record right = sample(type), received;
        enum vtd_control_side side =
                type >= VTD_CONTROL_READY ? VTD_CONTROL_TO_BROKERD : VTD_CONTROL_TO_WORKER;
        struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        union vtd_control_record sent = *record;
        int pair[2];

        /* vtd_control_send() knows the size. */
        make_pair(pair);
        assert_int_equal(vtd_control_send(pair[0], &right, -1), 0);
        assert_int_equal(vtd_control_receive(pair[1], side, &received, &fds), 0);
        close_pair(pair);
        sent.header.size = right.header.size;
        return receive_raw(side, &sent, right.header.size, -1, &received);
}

static void test_every_record_travels_one_way_only(void **state)
{
        (void)state;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(samples); i++) {
                struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
                union vtd_control_record record = samples[i].record, received;
                enum vtd_control_side other = samples[i].side == VTD_CONTROL_TO_WORKER
                                                      ? VTD_CONTROL_TO_BROKERD
                                                      : VTD_CONTROL_TO_WORKER;
                int pair[2];

                make_pair(pair);
                assert_int_equal(vtd_control_send(pair[0], &record, -1), 0);
                assert_int_equal(vtd_control_receive(pair[1], samples[i].side, &received, &fds), 0);
                assert_memory_equal(&received, &record, record.header.size);
                assert_int_equal(vtd_control_receive(pair[1], samples[i].side, &received, &fds),
                                 VTD_CONTROL_E_AGAIN);
                assert_int_equal(vtd_control_send(pair[0], &record, -1), 0);
                assert_int_equal(vtd_control_receive(pair[1], other, &received, &fds),
                                 VTD_CONTROL_E_VIOLATION);
                pair[0] = vtd_close(pair[0]);
                assert_int_equal(vtd_control_receive(pair[1], samples[i].side, &received, &fds),
                                 VTD_CONTROL_E_CLOSED);
                close_pair(pair);
        }
}

static void test_size_is_exact(void **state)
{
        (void)state;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(samples); i++) {
                union vtd_control_record record = samples[i].record, received;
                enum vtd_control_side side = samples[i].side;
                size_t size;
                int pair[2];

                make_pair(pair);
                assert_int_equal(vtd_control_send(pair[0], &record, -1), 0);
                close_pair(pair);
                size = record.header.size;
                assert_int_equal(receive_raw(side, &record, size, -1, &received), 0);
                assert_int_equal(receive_raw(side, &record, size - 1, -1, &received),
                                 VTD_CONTROL_E_VIOLATION);
                assert_int_equal(receive_raw(side, &record, 4, -1, &received),
                                 VTD_CONTROL_E_VIOLATION);
                if (size < sizeof(record))
                        assert_int_equal(receive_raw(side, &record, size + 1, -1, &received),
                                         VTD_CONTROL_E_VIOLATION);
                record.header.size++;
                assert_int_equal(receive_raw(side, &record, size, -1, &received),
                                 VTD_CONTROL_E_VIOLATION);
        }
}

static void test_unknown_types_are_violations(void **state)
{
        static const uint32_t types[] = {0, 6, 0xff, 0x108, UINT32_MAX};
        union vtd_control_record record = {0}, received;

        (void)state;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(types); i++) {
                record.header.type = types[i];
                record.header.size = sizeof(record.empty);
                assert_int_equal(receive_raw(VTD_CONTROL_TO_WORKER, &record, sizeof(record.empty),
                                             -1, &received),
                                 VTD_CONTROL_E_VIOLATION);
                assert_int_equal(receive_raw(VTD_CONTROL_TO_BROKERD, &record, sizeof(record.empty),
                                             -1, &received),
                                 VTD_CONTROL_E_VIOLATION);
                assert_int_equal(vtd_control_send(0, &record, -1), -EINVAL);
        }
}

static void test_descriptors_travel_with_an_opened_device_only(void **state)
{
        (void)state;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(samples); i++) {
                union vtd_control_record record = samples[i].record, received;
                int pair[2];

                make_pair(pair);
                assert_int_equal(vtd_control_send(pair[0], &record, -1), 0);
                close_pair(pair);
                assert_int_equal(
                        receive_raw(samples[i].side, &record, record.header.size, 0, &received),
                        VTD_CONTROL_E_VIOLATION);
        }
        for (uint32_t result = 0; result < VTD_CONTROL_DEVICE_RESULT_END; result++) {
                union vtd_control_record record = sample(VTD_CONTROL_DEVICE), received;
                bool opened = result == VTD_CONTROL_DEVICE_OPENED;

                record.device.result = result;
                record.header.size = sizeof(record.device);
                assert_int_equal(receive_raw(VTD_CONTROL_TO_WORKER, &record, sizeof(record.device),
                                             0, &received),
                                 opened ? 0 : VTD_CONTROL_E_VIOLATION);
                assert_int_equal(receive_raw(VTD_CONTROL_TO_WORKER, &record, sizeof(record.device),
                                             -1, &received),
                                 opened ? VTD_CONTROL_E_VIOLATION : 0);
        }
}

#define REFUSES(type_, change_)                                                                    \
        do {                                                                                       \
                union vtd_control_record r = sample(type_);                                        \
                assert_int_equal(receive_changed(type_, &r), 0);                                   \
                change_;                                                                           \
                assert_int_equal(receive_changed(type_, &r), VTD_CONTROL_E_VIOLATION);             \
        } while (0)

static void test_start_is_judged(void **state)
{
        (void)state;
        REFUSES(VTD_CONTROL_START, r.start.vm = 0);
        REFUSES(VTD_CONTROL_START, r.start.host = 0);
        REFUSES(VTD_CONTROL_START, r.start.host = VTD_HOST_SIMULATED + 1);
        REFUSES(VTD_CONTROL_START, r.start.audit_level = 0);
        REFUSES(VTD_CONTROL_START, r.start.audit_level = VTD_AUDIT_HOST_CALLS + 1);
        REFUSES(VTD_CONTROL_START, r.start.uid = 0);
        REFUSES(VTD_CONTROL_START, r.start.gid = 0);
        REFUSES(VTD_CONTROL_START, r.start.uid = UINT32_MAX);
        REFUSES(VTD_CONTROL_START, r.start.gid = UINT32_MAX);
        REFUSES(VTD_CONTROL_START, r.start.rootless = 2);
        REFUSES(VTD_CONTROL_START, r.start.rootless = 1; r.start.host = VTD_HOST_LINUX);
        REFUSES(VTD_CONTROL_START, r.start.landlock_abi_min = 0);
        REFUSES(VTD_CONTROL_START, r.start.reserved = 1);
}

static void test_device_records_are_judged(void **state)
{
        (void)state;
        REFUSES(VTD_CONTROL_DEVICE, r.device.index = VTD_LIMIT_DEVICES);
        REFUSES(VTD_CONTROL_DEVICE, r.device.result = VTD_CONTROL_DEVICE_RESULT_END);
        REFUSES(VTD_CONTROL_OPEN_DEVICE, r.open_device.index = VTD_LIMIT_DEVICES);
        REFUSES(VTD_CONTROL_OPEN_DEVICE, r.open_device.reserved = 1);
        REFUSES(VTD_CONTROL_CLOSE_DEVICE, r.open_device.index = UINT32_MAX);
        REFUSES(VTD_CONTROL_CLOSE_DEVICE, r.open_device.reserved = 1);
        REFUSES(VTD_CONTROL_READY, r.ready.landlock_abi = 0);
        REFUSES(VTD_CONTROL_READY, r.ready.seccomp_rules = 0);
}

static void test_audit_is_judged(void **state)
{
        (void)state;
        REFUSES(VTD_CONTROL_AUDIT, r.audit.kind = 0);
        REFUSES(VTD_CONTROL_AUDIT, r.audit.kind = VTD_AUDIT_KIND_END);
        REFUSES(VTD_CONTROL_AUDIT, r.audit.code = 0);
        REFUSES(VTD_CONTROL_AUDIT, r.audit.code = VTD_REQUEST_TYPE_END);
        REFUSES(VTD_CONTROL_AUDIT, r.audit.kind = VTD_AUDIT_HOST_CALL;
                r.audit.code = VTD_AUDIT_HOST_CALL_END);
        REFUSES(VTD_CONTROL_AUDIT, r.audit.kind = VTD_AUDIT_EVENT;
                r.audit.code = VTD_AUDIT_EVENT_END);
        REFUSES(VTD_CONTROL_AUDIT, r.audit.status = VTD_STATUS_END);
        REFUSES(VTD_CONTROL_AUDIT, r.audit.reason = VTD_REASON_END);
        REFUSES(VTD_CONTROL_AUDIT, r.audit.status = 0);
        REFUSES(VTD_CONTROL_AUDIT, r.audit.reason = 0);
        REFUSES(VTD_CONTROL_AUDIT, r.audit.device_name[0] = '"');
        REFUSES(VTD_CONTROL_AUDIT, r.audit.device_name[3] = '\n');
        REFUSES(VTD_CONTROL_AUDIT, r.audit.device_name[20] = 'x');
        REFUSES(VTD_CONTROL_AUDIT, memset(r.audit.device_name, 'a', sizeof(r.audit.device_name)));
}

static void test_log_is_judged(void **state)
{
        (void)state;
        REFUSES(VTD_CONTROL_LOG, r.log.level = 0);
        REFUSES(VTD_CONTROL_LOG, r.log.level = VTD_LOG_DEBUG + 1);
        REFUSES(VTD_CONTROL_LOG, r.log.length = 0);
        REFUSES(VTD_CONTROL_LOG, r.log.length = 4);
        REFUSES(VTD_CONTROL_LOG, r.log.length = 6);
        REFUSES(VTD_CONTROL_LOG, r.log.length = UINT32_MAX);
        REFUSES(VTD_CONTROL_LOG, r.log.text[2] = '\n');
        REFUSES(VTD_CONTROL_LOG, r.log.text[2] = '\x1b');
        REFUSES(VTD_CONTROL_LOG, r.log.text[2] = (char)0xc3);
        REFUSES(VTD_CONTROL_LOG, memset(r.log.text, 'a', sizeof(r.log.text));
                r.log.length = sizeof(r.log.text));
}

static void test_queries_and_reports_are_judged(void **state)
{
        const uint32_t device = VTD_LIMIT_DEVICES;

        (void)state;
        REFUSES(VTD_CONTROL_QUERY, r.query.first = VTD_CONTROL_POSITIONS);
        REFUSES(VTD_CONTROL_QUERY, r.query.reserved = 1);
        REFUSES(VTD_CONTROL_REPORT, r.report.next = VTD_CONTROL_POSITIONS);
        REFUSES(VTD_CONTROL_REPORT, r.report.n_objects = VTD_CONTROL_REPORT_OBJECTS + 1);
        REFUSES(VTD_CONTROL_REPORT, r.report.n_objects = UINT32_MAX);
        REFUSES(VTD_CONTROL_REPORT, r.report.n_objects = 4);
        REFUSES(VTD_CONTROL_REPORT, r.report.n_objects = 6);
        REFUSES(VTD_CONTROL_REPORT, r.report.counters.reserved = 1);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[31].root = 1);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[0].kind = 0);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[0].kind = VTD_CONTROL_OBJECT_END);
        for (size_t i = 0; i < 4; i++)
                REFUSES(VTD_CONTROL_REPORT, r.report.objects[i == 2 ? 4 : i].root = 1);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[0].parent = 1);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[1].device = 1);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[2].mode = 39);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[2].flags = VTD_FIRST_STAGE_FLAGS + 1);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[2].pasid = 1);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[3].device = device);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[3].pasid = 21);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[3].count = 2);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[3].mode = 1);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[4].device = device);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[4].pasid = VTD_PASID_MAX + 1);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[4].mode = VTD_ATTACH_BLOCKED);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[4].mode = VTD_ATTACH_MODE_END);
        REFUSES(VTD_CONTROL_REPORT, r.report.objects[4].id = 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_record_travels_one_way_only),
                cmocka_unit_test(test_size_is_exact),
                cmocka_unit_test(test_unknown_types_are_violations),
                cmocka_unit_test(test_descriptors_travel_with_an_opened_device_only),
                cmocka_unit_test(test_start_is_judged),
                cmocka_unit_test(test_device_records_are_judged),
                cmocka_unit_test(test_audit_is_judged),
                cmocka_unit_test(test_log_is_judged),
                cmocka_unit_test(test_queries_and_reports_are_judged),
        };

        return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
