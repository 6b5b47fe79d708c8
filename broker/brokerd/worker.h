/* SPDX-License-Identifier: MIT */
/*
 * One worker as vtd-brokerd has it: its process, its control channel, and the duplicates of its VM's
 * descriptors until the last of them is closed.  Which workers there may be is workers.h's business.
 *
 * May assume that it is called from the thread of the main loop.  Must wait for nothing but in
 * vtd_worker_wait(), believe nothing that a record says, and close devices before the iommufd.
 */
#ifndef VTD_BROKER_BROKERD_WORKER_H
#define VTD_BROKER_BROKERD_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/brokerd/tenants.h"
#include "broker/brokerd/workers.h"

/* One worker as the administrator sees it; pointers are into the worker. */
struct vtd_worker_view {
        const struct vtd_policy *policy;
        const char *name; /* empty: it came by no grant */
        uint32_t vm;
        uint32_t uid; /* of the worker's process */
        int pid;
        const char *state;  /* "starting", "greeting", "serving", "ending" or "closing" */
        const char *killed; /* why, or NULL */
        uint64_t age_ms;
        uint32_t open; /* devices, as bits */
};

enum {
        VTD_WORKER_E_BUSY = 1, /* another query is unanswered */
        VTD_WORKER_E_ENDED,    /* it has begun to end, or not begun to serve */
};

/* Is called with what the worker answered, or with NULL when it ended instead. */
typedef void (*vtd_worker_on_report)(void *opaque, const struct vtd_control_report *report);

/* A worker for @arrival with no process yet, which is numbered; @uid is its own.  Does not fail. */
struct vtd_worker *vtd_worker_new(struct vtd_workers *workers, const struct vtd_arrival *arrival,
                                  uint32_t uid);

/*
 * Starts its process with @connection, which is borrowed.  From here on the VM counts, and the worker
 * frees itself when all is over, after vtd_workers_remove().
 * Returns 0, or a negative errno (reported) with the worker freed and @uid given back.
 */
int vtd_worker_start(struct vtd_worker *worker, const struct vtd_arrival *arrival, int connection);

/* Kills the process, once. */
void vtd_worker_kill(struct vtd_worker *worker, const char *reason);

/* Kills it for the reason that an administrator gives, which is audited first. */
void vtd_worker_revoke(struct vtd_worker *worker, const char *reason);

/* Asks the worker to end its VM. */
void vtd_worker_drain(struct vtd_worker *worker);

/* The same for the administrator @uid, which is audited. */
void vtd_worker_remove(struct vtd_worker *worker, uint32_t uid);

/* Whose VM it is. */
struct vtd_tenant *vtd_worker_tenant(const struct vtd_worker *worker);

struct vtd_worker_view vtd_worker_view(const struct vtd_worker *worker);

/*
 * Asks the worker what its VM consists of, from position @first on.
 * Returns 0, and @on_report is called later; VTD_WORKER_E_BUSY; VTD_WORKER_E_ENDED.
 */
int vtd_worker_query(struct vtd_worker *worker, uint32_t first, vtd_worker_on_report on_report,
                     void *opaque);

/* Whoever asked is not there any more.  The worker is busy all the same until it has answered. */
void vtd_worker_forget_query(struct vtd_worker *worker, const void *opaque);

/*
 * The policy of its tenant is now @policy, NULL when there is none: the VM keeps its own, but what is
 * lost is taken from it.  See policies.h for what that means.  Returns true when the VM is ended.
 */
bool vtd_worker_lose(struct vtd_worker *worker, const struct vtd_policy *policy);

/* To be called every few seconds: kills a worker that does not answer, reports a slow close. */
void vtd_worker_watch(struct vtd_worker *worker);

/* Waits for the process, which must have been killed, but not for closers; the worker is freed. */
void vtd_worker_wait(struct vtd_worker *worker);

#endif
