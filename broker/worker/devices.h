/* SPDX-License-Identifier: MIT */
/*
 * Devices: PlugDevice and UnplugDevice.
 *
 * Plugging asks vtd-brokerd for the device, binds it, judges its IOMMU and what it reserves, gives
 * it a second-stage table and leaves it blocked with bus mastering off.  Any failure on the way
 * undoes what was done.  Unplugging blocks, releases what only this device used, closes it and
 * waits until vtd-brokerd has closed it too.
 */
#ifndef VTD_BROKER_WORKER_DEVICES_H
#define VTD_BROKER_WORKER_DEVICES_H

#include <stddef.h>
#include <stdint.h>

#include "broker/worker/call.h"

/* Handlers (see dispatch.c). */
int vtd_devices_plug(struct vtd_vm *vm, struct vtd_call *call);
int vtd_devices_unplug(struct vtd_vm *vm, struct vtd_call *call);

/* Returns 0 with the *@index of the plugged device @handle, or VTD_HANDLES_E_ABSENT. */
int vtd_devices_find(const struct vtd_vm *vm, uint64_t handle, size_t *index);

/*
 * Gives a blocked device back: releases it on the host, tells vtd-brokerd, frees its slot.  When
 * the host fails, the record stays (not ready) for a later call.
 * Returns 0, VTD_CALL_E_REFUSED when the host failed (no reply is written), VTD_CALL_E_FATAL.
 */
int vtd_devices_close(struct vtd_vm *vm, size_t index);

#endif
