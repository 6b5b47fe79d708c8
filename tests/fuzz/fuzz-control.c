/* SPDX-License-Identifier: MIT */
/*
 * The channel between vtd-brokerd and a worker, seen from both ends: two bytes say which end receives
 * and how many descriptors come, the rest is the record.  vtd-brokerd writes an audit line of each fact
 * that it accepts: one line of printable text, whatever a taken-over worker put into it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/brokerd/audit_log.h"
#include "broker/control/control.h"
#include "policy/verify.h"
#include "shared/cleanup.h"
#include "shared/record.h"
#include "tests/fuzz/fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static const uint32_t types[] = {
        VTD_CONTROL_START,  VTD_CONTROL_DEVICE,  VTD_CONTROL_PING,        VTD_CONTROL_DRAIN,
        VTD_CONTROL_READY,  VTD_CONTROL_GREETED, VTD_CONTROL_OPEN_DEVICE, VTD_CONTROL_CLOSE_DEVICE,
        VTD_CONTROL_AUDIT,  VTD_CONTROL_LOG,     VTD_CONTROL_PONG,        VTD_CONTROL_QUERY,
        VTD_CONTROL_REPORT,
};

static void write_audit(const struct vtd_control_audit *record)
{
        struct vtd_audit_log *log = malloc(sizeof(*log));
        struct vtd_audit_source source;
        struct vtd_audit_sink sink;
        unsigned quotes = 0;

        FUZZ_REQUIRE(log);
        /* No descriptor: what would be written stays in the buffer. */
        vtd_audit_sink_init_descriptor(&sink, -1);
        vtd_audit_log_init(log, &sink, NULL);
        vtd_audit_source_init(&source, "blue", "blue.policy", 7);
        log->is_lost = false;
        vtd_audit_log_record(log, &source, record);
        for (size_t i = 0; i < log->used; i++) {
                char c = log->buffer[i];

                FUZZ_REQUIRE((c >= ' ' && c <= '~') || (c == '\n' && i + 1 == log->used));
                quotes += c == '"';
        }
        FUZZ_REQUIRE(quotes % 2 == 0);
        free(log);
}

static void judge_report(const struct vtd_control_report *report)
{
        FUZZ_REQUIRE(report->next < VTD_CONTROL_POSITIONS);
        FUZZ_REQUIRE(report->n_objects <= VTD_CONTROL_REPORT_OBJECTS);
        for (uint32_t i = 0; i < report->n_objects; i++) {
                const struct vtd_control_object *object = &report->objects[i];

                FUZZ_REQUIRE(object->kind != 0 && object->kind < VTD_CONTROL_OBJECT_END);
                FUZZ_REQUIRE(object->device < VTD_LIMIT_DEVICES);
                FUZZ_REQUIRE(object->pasid <= VTD_PASID_MAX);
        }
}

static void judge(const union vtd_control_record *record, enum vtd_control_side side, size_t fds)
{
        switch ((enum vtd_control_type)record->header.type) {
        case VTD_CONTROL_AUDIT:
                FUZZ_REQUIRE(side == VTD_CONTROL_TO_BROKERD && fds == 0);
                write_audit(&record->audit);
                return;
        case VTD_CONTROL_LOG:
                FUZZ_REQUIRE(record->log.text[record->log.length] == '\0');
                FUZZ_REQUIRE(strlen(record->log.text) == record->log.length);
                return;
        case VTD_CONTROL_DEVICE:
                FUZZ_REQUIRE(side == VTD_CONTROL_TO_WORKER);
                FUZZ_REQUIRE(record->device.index < VTD_LIMIT_DEVICES);
                FUZZ_REQUIRE(fds == (record->device.result == VTD_CONTROL_DEVICE_OPENED));
                return;
        case VTD_CONTROL_OPEN_DEVICE:
        case VTD_CONTROL_CLOSE_DEVICE:
                FUZZ_REQUIRE(record->open_device.index < VTD_LIMIT_DEVICES);
                FUZZ_REQUIRE(fds == 0);
                return;
        case VTD_CONTROL_START:
                (void)vtd_policy_verify(&record->start.policy, NULL);
                FUZZ_REQUIRE(record->start.uid != 0 && record->start.gid != 0);
                return;
        case VTD_CONTROL_QUERY:
                FUZZ_REQUIRE(side == VTD_CONTROL_TO_WORKER && fds == 0);
                FUZZ_REQUIRE(record->query.first < VTD_CONTROL_POSITIONS);
                return;
        case VTD_CONTROL_REPORT:
                FUZZ_REQUIRE(side == VTD_CONTROL_TO_BROKERD && fds == 0);
                judge_report(&record->report);
                return;
        case VTD_CONTROL_PING:
        case VTD_CONTROL_DRAIN:
        case VTD_CONTROL_READY:
        case VTD_CONTROL_GREETED:
        case VTD_CONTROL_PONG:
                FUZZ_REQUIRE(fds == 0);
                return;
        }
        FUZZ_REQUIRE(!"a type that does not exist was accepted");
}

static size_t count_open(const int *fds, size_t count)
{
        size_t open_count = 0;

        for (size_t i = 0; i < count; i++)
                open_count += fcntl(fds[i], F_GETFD) >= 0;
        return open_count;
}

/* What was accepted is sent as the same bytes, with the same descriptor or none. */
static void send_back(const int *pair, union vtd_control_record *record, const uint8_t *data,
                      size_t size, const struct vtd_fd_list *fds)
{
        VTD_CLEANUP(vtd_fd_list_deinit) struct vtd_fd_list received = VTD_FD_LIST_EMPTY;
        uint8_t bytes[sizeof(*record)];
        size_t length;

        FUZZ_REQUIRE(vtd_control_send(pair[1], record, fds->count > 0 ? fds->fds[0] : -1) == 0);
        FUZZ_REQUIRE(vtd_record_receive(pair[0], bytes, sizeof(bytes), &length, &received) == 0);
        FUZZ_REQUIRE(length == size && memcmp(bytes, data, size) == 0);
        FUZZ_REQUIRE(received.count == fds->count);
}

/* Nothing more is there; then the other end is full, and then it is gone. */
static void end_channel(int *pair, unsigned how)
{
        VTD_CLEANUP(vtd_fd_list_deinit) struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        union vtd_control_record record = {.header.type = VTD_CONTROL_PING};
        int r = 0;

        FUZZ_REQUIRE(vtd_control_receive(pair[1], VTD_CONTROL_TO_WORKER, &record, &fds) ==
                     VTD_CONTROL_E_AGAIN);
        record.header.type = how & 2 ? VTD_CONTROL_PING : UINT32_MAX;
        for (unsigned i = 0; i < 100000 && r == 0; i++)
                r = vtd_control_send(pair[0], &record, -1);
        FUZZ_REQUIRE(r == (how & 2 ? VTD_CONTROL_E_AGAIN : -EINVAL));
        pair[1] = vtd_close(pair[1]);
        FUZZ_REQUIRE(vtd_control_receive(pair[0], VTD_CONTROL_TO_WORKER, &record, &fds) ==
                     VTD_CONTROL_E_CLOSED);
        record.header.type = VTD_CONTROL_PONG;
        FUZZ_REQUIRE(vtd_control_send(pair[0], &record, -1) == VTD_CONTROL_E_CLOSED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        VTD_CLEANUP(vtd_fd_list_deinit) struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        enum vtd_control_side side;
        union vtd_control_record record;
        int pair[2], r;

        if (size < 3)
                return 0;
        side = data[0] & 1 ? VTD_CONTROL_TO_BROKERD : VTD_CONTROL_TO_WORKER;
        FUZZ_REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) ==
                     0);
        FUZZ_REQUIRE(vtd_record_send(pair[0], data + 2, size - 2, data[1] & 1 ? pair[0] : -1) == 0);
        r = vtd_control_receive(pair[1], side, &record, &fds);
        FUZZ_REQUIRE(r == 0 || r == VTD_CONTROL_E_VIOLATION);
        if (r == 0)
                judge(&record, side, fds.count);
        else
                FUZZ_REQUIRE(fds.count == 0);
        FUZZ_REQUIRE(count_open(fds.fds, fds.count) == fds.count);
        if (r == 0)
                send_back(pair, &record, data + 2, size - 2, &fds);
        end_channel(pair, data[1]);
        pair[0] = vtd_close(pair[0]);
        pair[1] = vtd_close(pair[1]);
        return 0;
}

/* A type that exists and its right size, mostly. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
        static const size_t sizes[] = {
                sizeof(struct vtd_control_start),       sizeof(struct vtd_control_device),
                sizeof(struct vtd_control_empty),       sizeof(struct vtd_control_empty),
                sizeof(struct vtd_control_ready),       sizeof(struct vtd_control_empty),
                sizeof(struct vtd_control_open_device), sizeof(struct vtd_control_open_device),
                sizeof(struct vtd_control_audit),       sizeof(struct vtd_control_log),
                sizeof(struct vtd_control_empty),       sizeof(struct vtd_control_query),
                sizeof(struct vtd_control_report),
        };
        size_t kind = (seed >> 8) % (sizeof(types) / sizeof(types[0]));
        struct vtd_control_header header = {.type = types[kind], .size = (uint32_t)sizes[kind]};

        size = LLVMFuzzerMutate(data, size, max_size);
        if (seed % 8 == 0 || max_size < sizes[kind] + 2)
                return size;
        if (seed % 8 != 1 && size > 10)
                memcpy(&header.type, data + 2, sizeof(header.type));
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
                if (types[i] == header.type)
                        header.size = (uint32_t)sizes[i];
        if (max_size < header.size + 2)
                return size;
        if (size < header.size + 2)
                memset(data + size, 0, header.size + 2 - size);
        memcpy(data + 2, &header, sizeof(header));
        return header.size + 2;
}
