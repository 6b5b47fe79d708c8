/* SPDX-License-Identifier: MIT */
/* Hello and GetStats: what a client may know about the connection itself. */
#ifndef VTD_BROKER_WORKER_HELLO_H
#define VTD_BROKER_WORKER_HELLO_H

#include "broker/worker/call.h"

/* Handlers (see dispatch.c). */
int vtd_hello(struct vtd_vm *vm, struct vtd_call *call);
int vtd_get_stats(struct vtd_vm *vm, struct vtd_call *call);

/* Fills in the quantities beside the counters: what the books say now. */
void vtd_stats_now(const struct vtd_vm *vm, struct vtd_stats *stats);

#endif
