/* SPDX-License-Identifier: MIT */
/*
 * Audit: one JSON object per line, to where audit_sink.h says.
 *
 *   {"time":"2026-01-02T03:04:05.678901Z","tenant":"blue","vm":3,"kind":"request",
 *    "request":"MapMemory","sequence":7,"verdict":"refused","status":"limit",
 *    "reason":"memory-limit","asked":...,"allowed":...,"rule":"blue.policy:7","ns":...}
 *
 * kind is "request", "host-call" or "event".  Never blocks and never allocates: lines wait in a
 * fixed buffer while the reader is slow or the disk full; what does not fit, or exceeds the rate of its VM, is
 * dropped and counted, and the next line of that VM says how many in "lost".  Refusals, which a VMM
 * can provoke at will, do not use up the rate of events, and no rate holds for the lines about a
 * VM's end: however it behaved, they are written and say what was lost.
 */
#ifndef VTD_BROKER_BROKERD_AUDIT_LOG_H
#define VTD_BROKER_BROKERD_AUDIT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/brokerd/audit_sink.h"
#include "broker/brokerd/bucket.h"
#include "broker/control/control.h"
#include "shared/log.h"

#define VTD_AUDIT_BUFFER_SIZE (256u * 1024u)

struct vtd_audit_log {
        struct vtd_audit_sink *sink; /* borrowed, like report */
        struct vtd_log *report;      /* is told once when the reader is gone, or a disk full */
        bool is_lost;
        int trouble;    /* negative errno of what keeps lines from being written; 0: nothing */
        uint64_t lines; /* taken so far */
        uint64_t lost;  /* dropped so far */
        size_t used;
        char buffer[VTD_AUDIT_BUFFER_SIZE];
};

/* Whose lines: one per VM, one per tenant for what concerns no VM (vm 0), one for all the rest. */
struct vtd_audit_source {
        const char *tenant; /* borrowed, like file and name; NULL: no tenant's */
        const char *file;
        const char *name; /* that the VM's grant has; NULL or empty: none */
        uint32_t vm;
        uint64_t lost; /* lines dropped since the last one written */
        struct vtd_bucket events;
        struct vtd_bucket refusals;
        struct vtd_bucket ordinary; /* everything else */
};

/* What vtd-brokerd itself reports. */
struct vtd_audit_event_line {
        const char *event;  /* "worker-ended" */
        const char *text;   /* in words, or NULL */
        const char *device; /* policy's name of it, or NULL */
        int pid;            /* 0: not said */
        uint32_t uid;       /* 0: not said */
        uint32_t line;      /* of the rule that decided, or 0 */
        bool ending;        /* one of a VM's last: written beyond the rate, there are few */
};

/* @sink stays the caller's.  @log is large: keep it on the heap. */
void vtd_audit_log_init(struct vtd_audit_log *log, struct vtd_audit_sink *sink,
                        struct vtd_log *report);

void vtd_audit_source_init(struct vtd_audit_source *source, const char *tenant, const char *file,
                           uint32_t vm);

/* @record has passed vtd_control_receive(). */
void vtd_audit_log_record(struct vtd_audit_log *log, struct vtd_audit_source *source,
                          const struct vtd_control_audit *record);

void vtd_audit_log_event(struct vtd_audit_log *log, struct vtd_audit_source *source,
                         const struct vtd_audit_event_line *event);

/* Writes what the sink takes without waiting. */
void vtd_audit_log_flush(struct vtd_audit_log *log);

/* Goes on in a new file of the same name, if lines go to a file.  0 or a negative errno (reported). */
int vtd_audit_log_reopen(struct vtd_audit_log *log);

#endif
