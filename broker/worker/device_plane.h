/* SPDX-License-Identifier: MIT */
/*
 * What a VMM needs of a device to show it to a guest, beside BARs (region.h) and interrupts
 * (interrupts.h): GetDeviceInfo, ConfigRead, ConfigWrite and ResetDevice.
 */
#ifndef VTD_BROKER_WORKER_DEVICE_PLANE_H
#define VTD_BROKER_WORKER_DEVICE_PLANE_H

#include "broker/worker/call.h"

/* Handlers (see dispatch.c). */
int vtd_get_device_info(struct vtd_vm *vm, struct vtd_call *call);
int vtd_config_read(struct vtd_vm *vm, struct vtd_call *call);
int vtd_config_write(struct vtd_vm *vm, struct vtd_call *call);
int vtd_reset_device(struct vtd_vm *vm, struct vtd_call *call);

#endif
