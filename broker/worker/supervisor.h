/* SPDX-License-Identifier: MIT */
/*
 * The worker's end of the control channel.  One object per worker; it answers PING and QUERY
 * wherever it waits and remembers DRAIN.
 */
#ifndef VTD_BROKER_WORKER_SUPERVISOR_H
#define VTD_BROKER_WORKER_SUPERVISOR_H

#include <stdbool.h>

#include "broker/control/control.h"

enum {
        VTD_SUPERVISOR_E_HELD = 1,
        VTD_SUPERVISOR_E_MISSING,
        VTD_SUPERVISOR_E_GROUP,
        VTD_SUPERVISOR_E_BRIDGE,
        VTD_SUPERVISOR_E_NO_IOMMU,
};

/* Fills in what vtd-brokerd asks for, from position @first on; called wherever the worker waits. */
typedef void (*vtd_supervisor_reporter)(void *opaque, uint32_t first,
                                        struct vtd_control_report *report);

struct vtd_supervisor {
        int socket;          /* owned */
        uint32_t audit_lost; /* AUDIT records dropped since the last one that went out */
        bool drain;          /* DRAIN came */
        bool greeted;        /* GREETED went out: Hello was accepted */
        vtd_supervisor_reporter reporter; /* answers QUERY; NULL: there is nothing to report yet */
        void *opaque;                     /* of the reporter */
};

/* Takes over @socket. */
void vtd_supervisor_init(struct vtd_supervisor *supervisor, int socket);
void vtd_supervisor_deinit(struct vtd_supervisor *supervisor);

/*
 * Asks for the device policy.devices[@index] and waits for the answer.  The caller owns *@fd.
 * Returns 0; VTD_SUPERVISOR_E_HELD, _MISSING, _GROUP, _BRIDGE, _NO_IOMMU; a negative errno when the
 * channel is lost, after which the worker must end.
 */
int vtd_supervisor_open_device(struct vtd_supervisor *supervisor, uint32_t index, int *fd);

/*
 * Says that this process has closed device @index, and waits until vtd-brokerd has closed its
 * duplicate, which makes the last close: the device is reset and free for others.
 */
int vtd_supervisor_close_device(struct vtd_supervisor *supervisor, uint32_t index);

/* Sends without waiting; when the channel is full the record is counted as lost. */
void vtd_supervisor_audit(struct vtd_supervisor *supervisor, union vtd_control_record *record);

/* From here on QUERY is answered.  To be called before READY is sent. */
void vtd_supervisor_set_reporter(struct vtd_supervisor *supervisor,
                                 vtd_supervisor_reporter reporter, void *opaque);

/* Sink for vtd_log: opaque is the supervisor. */
void vtd_supervisor_log(void *opaque, enum vtd_log_level level, const char *line);

/* Sends READY or GREETED. */
int vtd_supervisor_ready(struct vtd_supervisor *supervisor, uint32_t landlock_abi,
                         uint32_t seccomp_rules);
int vtd_supervisor_greeted(struct vtd_supervisor *supervisor);

/*
 * Takes in what has arrived (PING, DRAIN, QUERY) without waiting.
 * Returns 0, or a negative errno when the channel is lost or violated: the worker must end.
 */
int vtd_supervisor_dispatch(struct vtd_supervisor *supervisor);

#endif
