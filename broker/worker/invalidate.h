/* SPDX-License-Identifier: MIT */
/*
 * Invalidate: dropping cached translations of one first-stage table.
 *
 * It is answered only after the host call has returned.  Neighbouring entries that touch are
 * merged, for each one costs the host a synchronous flush; over the rate (rate.h) they become one
 * flush of the whole table.  When the host fails or does only a part, every attachment of the table
 * is blocked and the table released before the client is told.
 */
#ifndef VTD_BROKER_WORKER_INVALIDATE_H
#define VTD_BROKER_WORKER_INVALIDATE_H

#include <stddef.h>

#include "broker/worker/call.h"

/* Handler (see dispatch.c). */
int vtd_invalidate(struct vtd_vm *vm, struct vtd_call *call);

/* Entries for the host, and how many of the client's each stands for. */
struct vtd_invalidate_batch {
        size_t count;
        struct vtd_invalidate_entry entries[VTD_LIMIT_INVALIDATE_ENTRIES];
        size_t sources[VTD_LIMIT_INVALIDATE_ENTRIES];
};

/* Merges @count judged entries (at least 1), in order; one entry for all when one of them is. */
void vtd_invalidate_merge(struct vtd_invalidate_batch *batch,
                          const struct vtd_invalidate_entry *entries, size_t count);

#endif
