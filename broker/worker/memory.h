/* SPDX-License-Identifier: MIT */
/*
 * Guest memory: MapMemory and UnmapMemory.
 *
 * Memory is mapped while at least one device is plugged: only then does the host pin (and charge)
 * it at once, and only then are reserved ranges and the address limit known.  Mappings stay when
 * the last device goes; the next plug pins them again, or is refused.
 */
#ifndef VTD_BROKER_WORKER_MEMORY_H
#define VTD_BROKER_WORKER_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/worker/call.h"

/* Handlers (see dispatch.c). */
int vtd_memory_map(struct vtd_vm *vm, struct vtd_call *call);
int vtd_memory_unmap(struct vtd_vm *vm, struct vtd_call *call);

/* True when the host maps all of [start, start+size), in one mapping. */
bool vtd_memory_holds(const struct vtd_vm *vm, uint64_t start, uint64_t size);

/*
 * True when a mapping shares a byte with @range; *@start and *@end are then those of the mapping.
 */
bool vtd_memory_touches(const struct vtd_vm *vm, const struct vtd_address_range *range,
                        uint64_t *start, uint64_t *end);

/* Unmaps everything at the end of the VM, whatever fails on the way. */
void vtd_memory_unmap_all(struct vtd_vm *vm);

#endif
