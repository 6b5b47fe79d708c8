/* SPDX-License-Identifier: MIT */
/*
 * The turns of the engine that deal with the broker: what each device or PASID is to be attached to, as
 * the guest's tables say, and the invalidations of the host's tables.  Each does one step of the order
 * in engine.h: it reads at most one table entry, and leaves at most one request unanswered.
 *
 * May assume that the engine takes no other turn while a request is outstanding.  Must have any table
 * invalidated that comes under a new tag, and a device blocked of which the broker holds something else
 * than what was last asked for.
 */
#ifndef VTD_FRONTEND_ATTACHMENTS_H
#define VTD_FRONTEND_ATTACHMENTS_H

#include "frontend/engine.h"

/* What a turn came to: there may be another one.  Other values end the run and are its result. */
#define VTD_TURN_AGAIN (-1)

/* Takes the answer to the outstanding request, if it has come. */
int vtd_engine_collect(struct vtd_engine *engine);

/* Looks at a marked @binding and, once that has come to a decision, asks for what it calls for. */
int vtd_engine_evaluate(struct vtd_engine *engine, struct vtd_binding *binding);

/* Asks for the attach that is due, the tables that it would share being flushed before. */
int vtd_engine_submit_attach(struct vtd_engine *engine);

/* Looks for the next PASID of @device that has no binding. */
int vtd_engine_search(struct vtd_engine *engine, size_t device);

/* Sends one request of the invalidations that are due, charged to *@budget. */
int vtd_engine_flush(struct vtd_engine *engine, unsigned *budget);

/*
 * Sends @request to the broker and counts it; @fd goes along unless -1.  Nothing may be outstanding.
 * Returns 0; VTD_BACKEND_E_LOST, upon which the engine is lost.
 */
int vtd_engine_submit(struct vtd_engine *engine, struct vtd_request *request, int fd);

/* The connection is gone: stops everything and has the VMM told, once. */
void vtd_engine_lose(struct vtd_engine *engine);

/* A device is no longer bound to @table: what is pending for it alone is moot.  0 is allowed. */
void vtd_engine_release_table(struct vtd_engine *engine, uint64_t table);

#endif
