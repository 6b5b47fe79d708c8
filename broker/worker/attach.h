/* SPDX-License-Identifier: MIT */
/*
 * Attachments: what a device's requests without PASID, or with one, go through.
 *
 * What has no attachment record is blocked.  A new table is attached before the old one is
 * released.  A refused Attach, whatever the reason, leaves the device or PASID that it named blocked:
 * after a failed host attach because the state that the host left is unknown, otherwise because the
 * client has said that what was attached before shall go.  Bus mastering of a function is on while it
 * has at least one attachment and the client wishes it (ConfigWrite).
 *
 * A detach that fails after bounded retries is fatal: only the last close of the device, which
 * vtd-brokerd makes when the worker is gone, is then known to stop its DMA.
 */
#ifndef VTD_BROKER_WORKER_ATTACH_H
#define VTD_BROKER_WORKER_ATTACH_H

#include <stddef.h>
#include <stdint.h>

#include "broker/worker/call.h"

/* Handler (see dispatch.c). */
int vtd_attach(struct vtd_vm *vm, struct vtd_call *call);

/* Host attach and detach, tried again with back-off while BUSY.  Return what the host returned. */
int vtd_attach_host(struct vtd_vm *vm, uint32_t device, uint32_t pasid, uint32_t hwpt);
int vtd_attach_host_detach(struct vtd_vm *vm, uint32_t device, uint32_t pasid);

/* Brings bus mastering to what attachments and wish ask for.  Returns what the host returned. */
int vtd_attach_settle_bus_master(struct vtd_vm *vm, size_t device);

/* The same when nothing is known of how it is now. */
int vtd_attach_renew_bus_master(struct vtd_vm *vm, size_t device);

/*
 * Detaches everything of a device, then turns bus mastering off; goes on after a failure.  Tables
 * that become unused are left to vtd_tables_collect().  Returns 0 or VTD_CALL_E_FATAL.
 */
int vtd_attach_block_device(struct vtd_vm *vm, size_t device);

/*
 * Drops the records of a device whose last descriptor has been closed, which detached everything.
 */
void vtd_attach_forget_device(struct vtd_vm *vm, size_t device);

/*
 * Detaches every attachment of a first-stage table, with one BINDING_BLOCKED audit event each, and
 * releases the table.  Returns 0 or VTD_CALL_E_FATAL.
 */
int vtd_attach_block_table(struct vtd_vm *vm, struct vtd_call *call, size_t table);

#endif
