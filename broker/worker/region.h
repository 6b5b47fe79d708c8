/* SPDX-License-Identifier: MIT */
/* RegionRead and RegionWrite: single accesses to BARs that the policy grants. */
#ifndef VTD_BROKER_WORKER_REGION_H
#define VTD_BROKER_WORKER_REGION_H

#include "broker/worker/call.h"

/* Handlers (see dispatch.c). */
int vtd_region_read(struct vtd_vm *vm, struct vtd_call *call);
int vtd_region_write(struct vtd_vm *vm, struct vtd_call *call);

#endif
