/* SPDX-License-Identifier: MIT */
/*
 * See supervisor.h.  The worker is single-threaded and asks one thing at a time, so that a wait
 * here may stop everything else but PING and QUERY, which are answered wherever the worker waits: a
 * worker that waits for vtd-brokerd is alive.  A lost or violated channel is final: no call is tried
 * again.
 */
#include "broker/worker/supervisor.h"

#include <poll.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/error.h"

/* Records taken in by one vtd_supervisor_dispatch(): vtd-brokerd has one of each kind out. */
#define DISPATCH_BATCH 8

void vtd_supervisor_init(struct vtd_supervisor *supervisor, int socket)
{
        *supervisor = (struct vtd_supervisor){.socket = socket};
}

void vtd_supervisor_deinit(struct vtd_supervisor *supervisor)
{
        supervisor->socket = vtd_close(supervisor->socket);
}

static int wait_for(struct vtd_supervisor *supervisor, short events)
{
        struct pollfd poll_fd = {.fd = supervisor->socket, .events = events};
        int result;

        do
                result = ppoll(&poll_fd, 1, NULL, NULL);
        while (result < 0 && errno == EINTR);
        return result < 0 ? vtd_errno() : 0;
}

/* Sends @record, waiting for room: vtd-brokerd always reads on. */
static int send_record(struct vtd_supervisor *supervisor, union vtd_control_record *record)
{
        int result;

        for (;;) {
                result = vtd_control_send(supervisor->socket, record, -1);
                if (result < 0)
                        return result;
                if (result == 0)
                        return 0;
                if (result != VTD_CONTROL_E_AGAIN)
                        return -ECONNRESET;
                result = wait_for(supervisor, POLLOUT);
                if (result < 0)
                        return result;
        }
}

static int send_empty(struct vtd_supervisor *supervisor, enum vtd_control_type type)
{
        union vtd_control_record record = {.header = {.type = type}};

        return send_record(supervisor, &record);
}

/*
 * Receives one record; 0, VTD_CONTROL_E_AGAIN, or a negative errno when the channel is worthless.
 */
static int receive(struct vtd_supervisor *supervisor, union vtd_control_record *record,
                   struct vtd_fd_list *fds)
{
        int result;

        result = vtd_control_receive(supervisor->socket, VTD_CONTROL_TO_WORKER, record, fds);
        if (result < 0 || result == 0 || result == VTD_CONTROL_E_AGAIN)
                return result;
        return result == VTD_CONTROL_E_CLOSED ? -ECONNRESET : -EBADMSG;
}

static int answer_query(struct vtd_supervisor *supervisor, const struct vtd_control_query *query)
{
        union vtd_control_record record = {.header = {.type = VTD_CONTROL_REPORT}};

        if (!supervisor->reporter)
                return -EBADMSG;
        supervisor->reporter(supervisor->opaque, query->first, &record.report);
        return send_record(supervisor, &record);
}

/* Handles what may come at any time; -EBADMSG for everything else. */
static int handle_unasked(struct vtd_supervisor *supervisor, const union vtd_control_record *record)
{
        switch (record->header.type) {
        case VTD_CONTROL_QUERY:
                return answer_query(supervisor, &record->query);
        case VTD_CONTROL_PING:
                return send_empty(supervisor, VTD_CONTROL_PONG);
        case VTD_CONTROL_DRAIN:
                supervisor->drain = true;
                return 0;
        default:
                return -EBADMSG;
        }
}

/* Asks with @type for device @index and waits for the DEVICE record that answers. */
static int ask_device(struct vtd_supervisor *supervisor, enum vtd_control_type type, uint32_t index,
                      struct vtd_control_device *answer, struct vtd_fd_list *fds)
{
        union vtd_control_record record = {
                .open_device = {.header = {.type = type}, .index = index},
        };
        int result;

        result = send_record(supervisor, &record);
        while (result == 0) {
                result = receive(supervisor, &record, fds);
                if (result < 0)
                        break;
                if (result == VTD_CONTROL_E_AGAIN) {
                        result = wait_for(supervisor, POLLIN);
                        continue;
                }
                if (record.header.type == VTD_CONTROL_DEVICE) {
                        if (record.device.index != index)
                                return -EBADMSG;
                        *answer = record.device;
                        return 0;
                }
                result = handle_unasked(supervisor, &record);
        }
        return result;
}

int vtd_supervisor_open_device(struct vtd_supervisor *supervisor, uint32_t index, int *fd)
{
        VTD_CLEANUP(vtd_fd_list_deinit) struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        struct vtd_control_device answer;
        int result;

        result = ask_device(supervisor, VTD_CONTROL_OPEN_DEVICE, index, &answer, &fds);
        if (result < 0)
                return result;
        switch ((enum vtd_control_device_result)answer.result) {
        case VTD_CONTROL_DEVICE_OPENED:
                *fd = vtd_fd_list_take(&fds);
                return 0;
        case VTD_CONTROL_DEVICE_HELD:
                return VTD_SUPERVISOR_E_HELD;
        case VTD_CONTROL_DEVICE_MISSING:
                return VTD_SUPERVISOR_E_MISSING;
        case VTD_CONTROL_DEVICE_GROUP:
                return VTD_SUPERVISOR_E_GROUP;
        case VTD_CONTROL_DEVICE_BRIDGE:
                return VTD_SUPERVISOR_E_BRIDGE;
        case VTD_CONTROL_DEVICE_NO_IOMMU:
                return VTD_SUPERVISOR_E_NO_IOMMU;
        case VTD_CONTROL_DEVICE_CLOSED:
        case VTD_CONTROL_DEVICE_RESULT_END:
                break;
        }
        return -EBADMSG;
}

int vtd_supervisor_close_device(struct vtd_supervisor *supervisor, uint32_t index)
{
        VTD_CLEANUP(vtd_fd_list_deinit) struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        struct vtd_control_device answer;
        int result;

        result = ask_device(supervisor, VTD_CONTROL_CLOSE_DEVICE, index, &answer, &fds);
        if (result < 0)
                return result;
        return answer.result == VTD_CONTROL_DEVICE_CLOSED ? 0 : -EBADMSG;
}

void vtd_supervisor_audit(struct vtd_supervisor *supervisor, union vtd_control_record *record)
{
        record->header.type = VTD_CONTROL_AUDIT;
        record->audit.lost = supervisor->audit_lost;
        if (vtd_control_send(supervisor->socket, record, -1) == 0)
                supervisor->audit_lost = 0;
        else if (supervisor->audit_lost < UINT32_MAX)
                supervisor->audit_lost++;
}

void vtd_supervisor_set_reporter(struct vtd_supervisor *supervisor,
                                 vtd_supervisor_reporter reporter, void *opaque)
{
        supervisor->reporter = reporter;
        supervisor->opaque = opaque;
}

void vtd_supervisor_log(void *opaque, enum vtd_log_level level, const char *line)
{
        struct vtd_supervisor *supervisor = opaque;
        union vtd_control_record record = {
                .log = {.header = {.type = VTD_CONTROL_LOG}, .level = level},
        };

        (void)vtd_log_escape(record.log.text, sizeof(record.log.text), line, strlen(line));
        record.log.length = (uint32_t)strlen(record.log.text);
        if (record.log.length == 0)
                return;
        /* A line that finds no room is lost: the log never holds up a VM. */
        (void)vtd_control_send(supervisor->socket, &record, -1);
}

int vtd_supervisor_ready(struct vtd_supervisor *supervisor, uint32_t landlock_abi,
                         uint32_t seccomp_rules)
{
        union vtd_control_record record = {
                .ready = {.header = {.type = VTD_CONTROL_READY},
                          .landlock_abi = landlock_abi,
                          .seccomp_rules = seccomp_rules},
        };

        return send_record(supervisor, &record);
}

int vtd_supervisor_greeted(struct vtd_supervisor *supervisor)
{
        supervisor->greeted = true;
        return send_empty(supervisor, VTD_CONTROL_GREETED);
}

int vtd_supervisor_dispatch(struct vtd_supervisor *supervisor)
{
        for (int i = 0; i < DISPATCH_BATCH; i++) {
                VTD_CLEANUP(vtd_fd_list_deinit) struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
                union vtd_control_record record;
                int result;

                result = receive(supervisor, &record, &fds);
                if (result == VTD_CONTROL_E_AGAIN)
                        return 0;
                if (result == 0)
                        result = handle_unasked(supervisor, &record);
                if (result < 0)
                        return result;
        }
        return 0;
}
