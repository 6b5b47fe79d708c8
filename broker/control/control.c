/* SPDX-License-Identifier: MIT */
/*
 * See control.h.  Each end may have been taken over by what it reads, so that a record is hostile
 * on either side: it is received whole into a zeroed union and judged field by field before
 * anybody uses it.  The policy inside START has a judge of its own, vtd_policy_verify().
 */
#include "broker/control/control.h"

#include <stdbool.h>
#include <string.h>

#include "shared/checked.h"
#include "shared/error.h"
#include "shared/log.h"
#include "shared/record.h"

struct control_kind {
        uint32_t type;
        enum vtd_control_side side;
        size_t size;
};

static const struct control_kind control_kinds[] = {
        {VTD_CONTROL_START, VTD_CONTROL_TO_WORKER, sizeof(struct vtd_control_start)},
        {VTD_CONTROL_DEVICE, VTD_CONTROL_TO_WORKER, sizeof(struct vtd_control_device)},
        {VTD_CONTROL_PING, VTD_CONTROL_TO_WORKER, sizeof(struct vtd_control_empty)},
        {VTD_CONTROL_DRAIN, VTD_CONTROL_TO_WORKER, sizeof(struct vtd_control_empty)},
        {VTD_CONTROL_QUERY, VTD_CONTROL_TO_WORKER, sizeof(struct vtd_control_query)},
        {VTD_CONTROL_READY, VTD_CONTROL_TO_BROKERD, sizeof(struct vtd_control_ready)},
        {VTD_CONTROL_GREETED, VTD_CONTROL_TO_BROKERD, sizeof(struct vtd_control_empty)},
        {VTD_CONTROL_OPEN_DEVICE, VTD_CONTROL_TO_BROKERD, sizeof(struct vtd_control_open_device)},
        {VTD_CONTROL_CLOSE_DEVICE, VTD_CONTROL_TO_BROKERD, sizeof(struct vtd_control_open_device)},
        {VTD_CONTROL_AUDIT, VTD_CONTROL_TO_BROKERD, sizeof(struct vtd_control_audit)},
        {VTD_CONTROL_LOG, VTD_CONTROL_TO_BROKERD, sizeof(struct vtd_control_log)},
        {VTD_CONTROL_PONG, VTD_CONTROL_TO_BROKERD, sizeof(struct vtd_control_empty)},
        {VTD_CONTROL_REPORT, VTD_CONTROL_TO_BROKERD, sizeof(struct vtd_control_report)},
};

static const struct control_kind *find_kind(uint32_t type)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(control_kinds); i++)
                if (control_kinds[i].type == type)
                        return &control_kinds[i];
        return NULL;
}

static bool is_start_valid(const struct vtd_control_start *start)
{
        if (start->host != VTD_HOST_LINUX && start->host != VTD_HOST_SIMULATED)
                return false;
        if (start->audit_level < VTD_AUDIT_REFUSALS || start->audit_level > VTD_AUDIT_HOST_CALLS)
                return false;
        /* A worker never keeps user or group 0, whoever asks for it. */
        if (start->vm == 0 || start->uid == 0 || start->gid == 0 || start->uid == UINT32_MAX ||
            start->gid == UINT32_MAX)
                return false;
        if (start->rootless > 1 || (start->rootless == 1 && start->host != VTD_HOST_SIMULATED))
                return false;
        return start->landlock_abi_min >= 1 && start->reserved == 0;
}

static bool is_device_valid(const struct vtd_control_device *device)
{
        return device->index < VTD_LIMIT_DEVICES && device->result < VTD_CONTROL_DEVICE_RESULT_END;
}

static bool is_open_device_valid(const struct vtd_control_open_device *open)
{
        return open->index < VTD_LIMIT_DEVICES && open->reserved == 0;
}

static bool is_zero(const void *data, size_t size)
{
        const unsigned char *bytes = data;
        unsigned char found = 0;

        for (size_t i = 0; i < size; i++)
                found |= bytes[i];
        return found == 0;
}

static bool is_name_character(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == ':' || c == '-';
}

/* A name, possibly empty, and nothing but NUL behind it. */
static bool is_name_valid(const char *name, size_t size)
{
        size_t length = strnlen(name, size);

        if (length == size)
                return false;
        for (size_t i = 0; i < length; i++)
                if (!is_name_character(name[i]))
                        return false;
        return is_zero(name + length, size - length);
}

static bool is_audit_valid(const struct vtd_control_audit *audit)
{
        uint32_t code_end;

        switch (audit->kind) {
        case VTD_AUDIT_REQUEST:
                code_end = VTD_REQUEST_TYPE_END;
                break;
        case VTD_AUDIT_HOST_CALL:
                code_end = VTD_AUDIT_HOST_CALL_END;
                break;
        case VTD_AUDIT_EVENT:
                code_end = VTD_AUDIT_EVENT_END;
                break;
        default:
                return false;
        }
        if (audit->code == 0 || audit->code >= code_end)
                return false;
        if (audit->status >= VTD_STATUS_END || audit->reason >= VTD_REASON_END)
                return false;
        if ((audit->status == 0) != (audit->reason == 0))
                return false;
        return is_name_valid(audit->device_name, sizeof(audit->device_name));
}

static bool is_log_valid(const struct vtd_control_log *log)
{
        if (log->level != VTD_LOG_ERROR && log->level != VTD_LOG_WARNING &&
            log->level != VTD_LOG_INFO && log->level != VTD_LOG_DEBUG)
                return false;
        if (log->length == 0 || log->length >= sizeof(log->text))
                return false;
        for (size_t i = 0; i < sizeof(log->text); i++) {
                if (i < log->length ? log->text[i] < 0x20 || log->text[i] > 0x7e
                                    : log->text[i] != '\0')
                        return false;
        }
        return true;
}

static bool is_query_valid(const struct vtd_control_query *query)
{
        return query->first < VTD_CONTROL_POSITIONS && query->reserved == 0;
}

/* An object of @kind, with everything else 0 that its kind does not name. */
static bool is_object_valid(const struct vtd_control_object *object)
{
        struct vtd_control_object rest = *object;

        switch (object->kind) {
        case VTD_CONTROL_IOAS:
                rest.id = 0;
                break;
        case VTD_CONTROL_SECOND_STAGE:
                rest.id = rest.parent = rest.count = 0;
                break;
        case VTD_CONTROL_FIRST_STAGE:
                if ((object->mode != 48 && object->mode != 57) ||
                    (object->flags & ~VTD_FIRST_STAGE_FLAGS) != 0)
                        return false;
                rest.id = rest.parent = rest.count = rest.mode = rest.flags = 0;
                rest.root = 0;
                break;
        case VTD_CONTROL_PLUGGED_DEVICE:
                if (object->device >= VTD_LIMIT_DEVICES || object->pasid > 20 || object->count > 1)
                        return false;
                rest.parent = rest.device = rest.pasid = rest.count = 0;
                break;
        case VTD_CONTROL_ATTACHMENT:
                if (object->device >= VTD_LIMIT_DEVICES || object->pasid > VTD_PASID_MAX ||
                    (object->mode != VTD_ATTACH_PASSTHROUGH &&
                     object->mode != VTD_ATTACH_FIRST_STAGE))
                        return false;
                rest.parent = rest.device = rest.pasid = rest.mode = 0;
                break;
        default:
                return false;
        }
        rest.kind = 0;
        return is_zero(&rest, sizeof(rest));
}

static bool is_report_valid(const struct vtd_control_report *report)
{
        if (report->next >= VTD_CONTROL_POSITIONS || report->counters.reserved != 0 ||
            report->n_objects > VTD_CONTROL_REPORT_OBJECTS)
                return false;
        for (uint32_t i = 0; i < VTD_CONTROL_REPORT_OBJECTS; i++) {
                const struct vtd_control_object *object = &report->objects[i];

                if (i < report->n_objects ? !is_object_valid(object)
                                          : !is_zero(object, sizeof(*object)))
                        return false;
        }
        return true;
}

static bool is_record_valid(const union vtd_control_record *record)
{
        switch ((enum vtd_control_type)record->header.type) {
        case VTD_CONTROL_START:
                return is_start_valid(&record->start);
        case VTD_CONTROL_DEVICE:
                return is_device_valid(&record->device);
        case VTD_CONTROL_READY:
                return record->ready.landlock_abi >= 1 && record->ready.seccomp_rules >= 1;
        case VTD_CONTROL_OPEN_DEVICE:
        case VTD_CONTROL_CLOSE_DEVICE:
                return is_open_device_valid(&record->open_device);
        case VTD_CONTROL_AUDIT:
                return is_audit_valid(&record->audit);
        case VTD_CONTROL_LOG:
                return is_log_valid(&record->log);
        case VTD_CONTROL_QUERY:
                return is_query_valid(&record->query);
        case VTD_CONTROL_REPORT:
                return is_report_valid(&record->report);
        case VTD_CONTROL_PING:
        case VTD_CONTROL_DRAIN:
        case VTD_CONTROL_GREETED:
        case VTD_CONTROL_PONG:
                return true;
        }
        return false;
}

static bool is_acceptable(const union vtd_control_record *record, size_t length,
                          enum vtd_control_side side, size_t n_fds)
{
        const struct control_kind *kind;
        bool wants_fd;

        if (length < sizeof(record->header))
                return false;
        kind = find_kind(record->header.type);
        if (!kind || kind->side != side || length != kind->size ||
            record->header.size != kind->size)
                return false;
        if (!is_record_valid(record))
                return false;
        wants_fd = kind->type == VTD_CONTROL_DEVICE &&
                   record->device.result == VTD_CONTROL_DEVICE_OPENED;
        return n_fds == (wants_fd ? 1u : 0u);
}

int vtd_control_receive(int socket, enum vtd_control_side side, union vtd_control_record *record,
                        struct vtd_fd_list *fds)
{
        size_t length;
        int result;

        memset(record, 0, sizeof(*record));
        result = vtd_record_receive(socket, record, sizeof(*record), &length, fds);
        if (result < 0)
                return result;
        switch (result) {
        case 0:
                break;
        case VTD_RECORD_E_AGAIN:
                return VTD_CONTROL_E_AGAIN;
        case VTD_RECORD_E_CLOSED:
                return VTD_CONTROL_E_CLOSED;
        default:
                return VTD_CONTROL_E_VIOLATION;
        }
        if (!is_acceptable(record, length, side, fds->count)) {
                vtd_fd_list_deinit(fds);
                return VTD_CONTROL_E_VIOLATION;
        }
        return 0;
}

int vtd_control_send(int socket, union vtd_control_record *record, int fd)
{
        const struct control_kind *kind = find_kind(record->header.type);
        int result;

        if (!kind)
                return -EINVAL;
        record->header.size = (uint32_t)kind->size;
        result = vtd_record_send(socket, record, kind->size, fd);
        if (result < 0)
                return result;
        switch (result) {
        case 0:
                return 0;
        case VTD_RECORD_E_AGAIN:
                return VTD_CONTROL_E_AGAIN;
        case VTD_RECORD_E_CLOSED:
                return VTD_CONTROL_E_CLOSED;
        default:
                return vtd_error_fold(result);
        }
}
