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

#include <stdint.h>

#include "broker/brokerd/tenants.h"
#include "broker/brokerd/workers.h"

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

/* Asks the worker to end its VM. */
void vtd_worker_drain(struct vtd_worker *worker);

/* To be called every few seconds: kills a worker that does not answer, reports a slow close. */
void vtd_worker_watch(struct vtd_worker *worker);

/* Waits for the process, which must have been killed, but not for closers; the worker is freed. */
void vtd_worker_wait(struct vtd_worker *worker);

#endif
