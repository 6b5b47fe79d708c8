/* SPDX-License-Identifier: MIT */
/*
 * What a worker consists of, for the files worker*.c only (everybody else sees worker.h):
 *   worker.c        its process and what it says
 *   worker_close.c  the end of its VM's descriptors
 *   worker_view.c   what the administrator sees of it
 */
#ifndef VTD_BROKER_BROKERD_WORKER_STATE_H
#define VTD_BROKER_BROKERD_WORKER_STATE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/brokerd/worker.h"

enum worker_phase {
        WORKER_STARTING, /* START went out */
        WORKER_GREETING, /* READY came */
        WORKER_SERVING,  /* GREETED came */
};

/* Descriptors whose last close is going on; one at a time for each VM. */
struct closing {
        int pidfd; /* of the closer; -1: nothing is being closed */
        guint source;
        uint64_t started_ms;
        bool slow;        /* said so */
        bool iommu;       /* the iommufd is among them */
        uint32_t devices; /* and these devices, as bits */
};

_Static_assert(VTD_LIMIT_DEVICES <= 32, "struct closing has 32 bits for devices");

/* A QUERY that is unanswered. */
struct query {
        bool out;
        uint32_t first;
        vtd_worker_on_report on_report; /* NULL: forgotten */
        void *opaque;
};

struct vtd_worker {
        struct vtd_workers *workers;
        struct vtd_tenant *tenant;
        struct vtd_policy policy; /* the tenant's when the VM began, or what its grant left of it */
        char name[VTD_LIMIT_NAME + 1]; /* of the grant that it came by; empty: it came by none */
        uint32_t vm;
        uint32_t uid;
        enum worker_phase phase;
        pid_t pid;
        int pidfd;
        int control;
        int iommu;                      /* vtd-brokerd's own duplicate, like the devices */
        int devices[VTD_LIMIT_DEVICES]; /* by index in the policy; -1: not open */
        guint control_source;
        guint exit_source;
        uint64_t started_ms;
        uint64_t pinged_ms;
        bool pinged;       /* PING is unanswered */
        bool paused;       /* control_source is the end of a pause */
        bool ended;        /* the process is gone, the VM's descriptors are not */
        char *kill_reason; /* owned; NULL: not killed by us */
        uint64_t killed_ms;
        bool stuck; /* killed and not gone: said so */
        struct closing closing;
        uint32_t lost; /* devices that its tenant's policy grants no more, as bits */
        struct query query;
        struct vtd_log log; /* for lines that its VMM or itself can provoke */
        uint64_t log_lost;
        struct vtd_bucket log_lines;
        struct vtd_bucket opens;
        struct vtd_audit_source source;
};

static inline uint64_t vtd_worker_now_ms(void)
{
        return (uint64_t)g_get_monotonic_time() / 1000;
}

static inline struct vtd_log *vtd_worker_log(struct vtd_worker *worker)
{
        return worker->workers->config.log;
}

static inline void vtd_worker_clear_source(guint *source)
{
        if (*source != 0)
                (void)g_source_remove(*source);
        *source = 0;
}

/* Writes an audit line; @text and @device may be NULL. */
void vtd_worker_audit(struct vtd_worker *worker, const char *event, const char *text,
                      const char *device);

/* Sends without waiting.  A worker with a full channel does not read it: that ends it. */
void vtd_worker_send(struct vtd_worker *worker, union vtd_control_record *record, int fd);

/* REPORT came. */
void vtd_worker_take_report(struct vtd_worker *worker, const struct vtd_control_report *report);

/* No answer comes any more: whoever waits for one is told. */
void vtd_worker_end_query(struct vtd_worker *worker);

/* Sends DEVICE; @fd goes along unless -1. */
void vtd_worker_answer_device(struct vtd_worker *worker, uint32_t index,
                              enum vtd_control_device_result result, int fd);

/* Closes device @index, which is open, while nothing else is being closed. */
void vtd_worker_close_device(struct vtd_worker *worker, uint32_t index);

/*
 * The process is gone: closes what is left and then frees the worker, at once or when the last
 * closer has ended.
 */
void vtd_worker_close_rest(struct vtd_worker *worker);

/* Reports a close that takes long, once. */
void vtd_worker_watch_closing(struct vtd_worker *worker);

/* Reports a worker that was killed and does not end, once. */
void vtd_worker_watch_death(struct vtd_worker *worker);

/* Frees the worker although its closer has not ended. */
void vtd_worker_abandon_closing(struct vtd_worker *worker);

#endif
