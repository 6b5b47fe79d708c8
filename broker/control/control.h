/* SPDX-License-Identifier: MIT */
/*
 * The private channel between vtd-brokerd and one worker: SOCK_SEQPACKET, fixed structs in host
 * byte order (both ends are built together), each with its own exact size.  Each side treats the
 * other's records as hostile: wrong type, size or value ends the worker.
 *
 * vtd-brokerd -> worker: START once, then DEVICE (answers, at most one descriptor), PING, DRAIN,
 * QUERY.
 * worker -> vtd-brokerd: READY once, then OPEN_DEVICE, CLOSE_DEVICE, AUDIT, LOG, PONG, GREETED,
 * REPORT (answers QUERY).
 */
#ifndef VTD_BROKER_CONTROL_CONTROL_H
#define VTD_BROKER_CONTROL_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"
#include "protos/message.h"
#include "shared/fdlist.h"

/* Descriptors of a worker, by number, from exec on. */
#define VTD_WORKER_FD_CONTROL    3
#define VTD_WORKER_FD_CONNECTION 4
#define VTD_WORKER_FD_IOMMU      5 /* real host only */

enum vtd_control_type {
        VTD_CONTROL_START = 1,
        VTD_CONTROL_DEVICE,
        VTD_CONTROL_PING,
        VTD_CONTROL_DRAIN,
        VTD_CONTROL_QUERY,

        VTD_CONTROL_READY = 0x100,
        VTD_CONTROL_GREETED, /* Hello came: the connection no longer counts as greeting */
        VTD_CONTROL_OPEN_DEVICE,
        VTD_CONTROL_CLOSE_DEVICE,
        VTD_CONTROL_AUDIT,
        VTD_CONTROL_LOG,
        VTD_CONTROL_PONG,
        VTD_CONTROL_REPORT,
};

enum vtd_audit_level {
        VTD_AUDIT_REFUSALS = 1,   /* refusals and life-cycle events */
        VTD_AUDIT_REQUESTS = 2,   /* and every request */
        VTD_AUDIT_HOST_CALLS = 3, /* and every host call that it led to */
};

struct vtd_control_header {
        uint32_t type;
        uint32_t size; /* of the whole record */
};

struct vtd_control_start {
        struct vtd_control_header header;
        uint32_t vm;
        uint32_t host; /* enum vtd_host_kind */
        uint32_t audit_level;
        uint32_t uid; /* the worker drops to this user and group */
        uint32_t gid;
        uint32_t rootless; /* 1: in a user namespace of its own, simulated host only */
        uint32_t landlock_abi_min;
        uint32_t reserved;
        struct vtd_policy policy;
};

/* What the worker found when it re-checked its sandbox; goes into the ready line. */
struct vtd_control_ready {
        struct vtd_control_header header;
        uint32_t landlock_abi;
        uint32_t seccomp_rules;
};

struct vtd_control_empty { /* PING, PONG, DRAIN, GREETED */
        struct vtd_control_header header;
};

struct vtd_control_open_device {
        struct vtd_control_header header;
        uint32_t index; /* in policy.devices */
        uint32_t reserved;
};

enum vtd_control_device_result {
        VTD_CONTROL_DEVICE_OPENED = 0, /* one descriptor comes along */
        VTD_CONTROL_DEVICE_HELD,       /* by another VM */
        VTD_CONTROL_DEVICE_MISSING,    /* not there, or not bound to vfio-pci */
        VTD_CONTROL_DEVICE_GROUP,      /* group has other members, without exception */
        VTD_CONTROL_DEVICE_CLOSED,     /* answers CLOSE_DEVICE: the last descriptor is closed */
        VTD_CONTROL_DEVICE_BRIDGE,     /* behind a bridge that hides it from the IOMMU */
        VTD_CONTROL_DEVICE_NO_IOMMU,   /* it is there, behind no IOMMU */
        VTD_CONTROL_DEVICE_RESULT_END,
};

struct vtd_control_device {
        struct vtd_control_header header;
        uint32_t index;
        uint32_t result;
};

enum vtd_audit_kind {
        VTD_AUDIT_REQUEST = 1,
        VTD_AUDIT_HOST_CALL,
        VTD_AUDIT_EVENT,
        VTD_AUDIT_KIND_END,
};

enum vtd_audit_event {
        VTD_AUDIT_EVENT_CONNECTION_ENDED = 1, /* by the VMM */
        VTD_AUDIT_EVENT_VIOLATION,            /* a record broke the protocol */
        VTD_AUDIT_EVENT_DRAINED,              /* vtd-brokerd asked for the end */
        VTD_AUDIT_EVENT_BLOCKED,              /* every device blocked */
        VTD_AUDIT_EVENT_RELEASED,             /* memory unmapped, tables gone, devices closed */
        VTD_AUDIT_EVENT_BINDING_BLOCKED,      /* a failed host call left one attachment blocked */
        VTD_AUDIT_EVENT_READ_ONLY_SKIPPED,    /* memory that cannot be written: an empty mapping */
        VTD_AUDIT_EVENT_END,
};

enum vtd_audit_host_call {
        VTD_AUDIT_BIND = 1,
        VTD_AUDIT_DEVICE_INFO,
        VTD_AUDIT_BUS_MASTER,
        VTD_AUDIT_RELEASE,
        VTD_AUDIT_IOAS_ALLOC,
        VTD_AUDIT_IOAS_RANGES,
        VTD_AUDIT_MAP_FILE,
        VTD_AUDIT_UNMAP,
        VTD_AUDIT_SECOND_STAGE_ALLOC,
        VTD_AUDIT_FIRST_STAGE_ALLOC,
        VTD_AUDIT_DESTROY,
        VTD_AUDIT_ATTACH,
        VTD_AUDIT_DETACH,
        VTD_AUDIT_INVALIDATE,
        VTD_AUDIT_SET_INTERRUPT,
        VTD_AUDIT_CLEAR_INTERRUPTS,
        VTD_AUDIT_RESET,
        VTD_AUDIT_HOST_CALL_END, /* accesses to BARs and configuration space are data: never audited */
};

/*
 * One fact, as numbers; vtd-brokerd adds time, tenant and file name and writes the JSON line, so a
 * taken-over worker cannot forge another tenant's lines.  device_name is the one field that can
 * hold bytes a VMM chose (PlugDevice); vtd-brokerd re-checks its characters.
 */
struct vtd_control_audit {
        struct vtd_control_header header;
        uint32_t kind;     /* enum vtd_audit_kind */
        uint32_t code;     /* request type, enum vtd_audit_host_call or enum vtd_audit_event */
        uint32_t sequence; /* of the request being served; 0 outside requests */
        int32_t result;    /* host call: what it returned */
        uint32_t status;   /* request: 0 done, else enum vtd_status */
        uint32_t reason;   /* with status: enum vtd_reason */
        uint32_t line;     /* of the rule that decided, or 0 */
        uint32_t lost;     /* audit records dropped before this one because the channel was full */
        uint64_t asked;
        uint64_t allowed;
        uint64_t subject;   /* request: handle named or made; host call: device, hwpt or ioas id */
        uint64_t detail[3]; /* host call: see audit.c; Attach: pasid, mode, root */
        uint64_t nanoseconds;
        char device_name[VTD_LIMIT_NAME + 1];
};

#define VTD_CONTROL_LOG_TEXT 240u
struct vtd_control_log {
        struct vtd_control_header header;
        uint32_t level; /* enum vtd_log_level */
        uint32_t length;
        char text[VTD_CONTROL_LOG_TEXT];
};

/*
 * Asks for what the VM consists of, from position @first on; 0 begins.  vtd-brokerd has one QUERY out
 * for each worker at most.
 */
struct vtd_control_query {
        struct vtd_control_header header;
        uint32_t first;
        uint32_t reserved;
};

/* Objects have positions: the IOAS, second-stage tables, first-stage tables, devices, attachments. */
#define VTD_CONTROL_POSITIONS                                                                      \
        (1u + VTD_LIMIT_DEVICES + VTD_LIMIT_FIRST_STAGE_TABLES + VTD_LIMIT_DEVICES +               \
         VTD_LIMIT_DEVICES + VTD_LIMIT_ATTACHMENTS)

enum vtd_control_object_kind {
        VTD_CONTROL_IOAS = 1,
        VTD_CONTROL_SECOND_STAGE,
        VTD_CONTROL_FIRST_STAGE,
        VTD_CONTROL_PLUGGED_DEVICE,
        VTD_CONTROL_ATTACHMENT,
        VTD_CONTROL_OBJECT_END,
};

#define VTD_CONTROL_NO_ID UINT32_MAX /* of the host's: there is none */

/* One object; fields that are not named for its kind are 0. */
struct vtd_control_object {
        uint32_t kind;
        uint32_t id;     /* the host's, of an IOAS or a table */
        uint32_t parent; /* table: what it lies on; device: its second-stage table, or
                          * VTD_CONTROL_NO_ID; attachment: the table that it goes through */
        uint32_t device; /* device, attachment: index in the policy */
        uint32_t pasid;  /* attachment: VTD_NO_PASID without one; device: bits of PASIDs */
        uint32_t count;  /* table: devices or attachments that use it; device: bus mastering */
        uint32_t mode;   /* attachment: enum vtd_attach_mode; first-stage: address width */
        uint32_t flags;  /* first-stage */
        uint64_t root;   /* first-stage */
};

struct vtd_control_counters {
        uint64_t requests;
        uint64_t refused;
        uint64_t invalidate_requests;
        uint64_t invalidate_entries;
        uint64_t host_calls;
        uint64_t delayed_us;
        uint64_t memory;
        uint32_t mappings;
        uint32_t devices;
        uint32_t first_stage_tables;
        uint32_t second_stage_tables;
        uint32_t attachments;
        uint32_t reserved;
};

#define VTD_CONTROL_REPORT_OBJECTS 32u
struct vtd_control_report {
        struct vtd_control_header header;
        uint32_t next; /* position to ask for next, beyond the query's; 0: there is no more */
        uint32_t n_objects;
        struct vtd_control_counters counters;
        struct vtd_control_object objects[VTD_CONTROL_REPORT_OBJECTS];
};

union vtd_control_record {
        struct vtd_control_header header;
        struct vtd_control_start start;
        struct vtd_control_ready ready;
        struct vtd_control_empty empty;
        struct vtd_control_open_device open_device;
        struct vtd_control_device device;
        struct vtd_control_audit audit;
        struct vtd_control_log log;
        struct vtd_control_query query;
        struct vtd_control_report report;
};

enum {
        VTD_CONTROL_E_AGAIN = 1,
        VTD_CONTROL_E_CLOSED,
        VTD_CONTROL_E_VIOLATION,
};

enum vtd_control_side {
        VTD_CONTROL_TO_WORKER,
        VTD_CONTROL_TO_BROKERD,
};

/*
 * Receives one record that may travel towards @side.  Checks type, exact size, that a descriptor
 * came if and only if the record is DEVICE with result OPENED, and every enum and text field.
 * Returns 0; VTD_CONTROL_E_AGAIN, _CLOSED, _VIOLATION; a negative errno.
 */
int vtd_control_receive(int socket, enum vtd_control_side side, union vtd_control_record *record,
                        struct vtd_fd_list *fds);

/*
 * Sends @record, whose header.type is set; fills header.size.  @fd goes along unless -1 and stays
 * the caller's.  Returns 0; VTD_CONTROL_E_AGAIN, _CLOSED; a negative errno.
 */
int vtd_control_send(int socket, union vtd_control_record *record, int fd);

#endif
