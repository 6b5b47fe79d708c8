/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of devices, as signals of eventfds: SetInterrupt and ClearInterrupts.
 *
 * A device is charged with its highest vector that was asked for, and one, before the host is asked:
 * that many the host may have allocated, and it gives none back before all are.  Cleared, or with the
 * device gone, nothing is charged.
 */
#ifndef VTD_BROKER_WORKER_INTERRUPTS_H
#define VTD_BROKER_WORKER_INTERRUPTS_H

#include <stdint.h>

#include "broker/worker/call.h"

/* Handlers (see dispatch.c). */
int vtd_set_interrupt(struct vtd_vm *vm, struct vtd_call *call);
int vtd_clear_interrupts(struct vtd_vm *vm, struct vtd_call *call);

/* Vectors of @kind that a VMM is told of: those of the device, but no more than policy grants. */
uint32_t vtd_interrupts_offered(const struct vtd_vm *vm, const struct vtd_device *d,
                                enum vtd_interrupt_kind kind);

/* The device is closed, and the host has disarmed its vectors: drops the charge for them. */
void vtd_interrupts_forget(struct vtd_vm *vm, struct vtd_device *d);

#endif
