/* SPDX-License-Identifier: MIT */
/*
 * The VM's address space and the translation tables over it.
 *
 * One IOAS per VM.  Second-stage tables (nest parents) are shared by devices whose IOMMUs are
 * compatible; each is kept while a device uses it.  First-stage tables are shared by attachments
 * with the same {root, width, flags, second stage}, charged before they are created and released
 * when no attachment uses them.  A client that replaces a table needs one more for the moment of
 * the change: a policy that allows N tables lets N-1 be replaced without blocking first.
 */
#ifndef VTD_BROKER_WORKER_TABLES_H
#define VTD_BROKER_WORKER_TABLES_H

#include <stddef.h>

#include "broker/worker/call.h"

/*
 * Makes sure that the IOAS exists and that the device has a second-stage table: a compatible one or
 * a new one (which pins all memory that is mapped already, and may fail for that).
 * Returns 0 or VTD_CALL_E_REFUSED.
 */
int vtd_tables_join_second_stage(struct vtd_vm *vm, struct vtd_call *call,
                                 struct vtd_device *device);

/* The device uses none any more; vtd_tables_collect() destroys what is left unused. */
void vtd_tables_leave_second_stage(struct vtd_vm *vm, struct vtd_device *device);

/*
 * Judges what the client asked for in a first-stage Attach, before any host call: flags and width
 * by policy, then by the device's IOMMU; the root page-aligned and its page inside mapped
 * memory, hence below the second stage's width (nothing keeps that memory mapped later: walks then
 * fault).
 * Returns 0 or VTD_CALL_E_REFUSED.
 */
int vtd_tables_judge(struct vtd_vm *vm, struct vtd_call *call, const struct vtd_device *device,
                     const struct vtd_host_first_stage *config);

/*
 * Finds or creates the first-stage table that @config (judged) describes below the device's second
 * stage.  The caller adds its attachment or calls vtd_tables_collect().
 * Returns 0 with *@table or VTD_CALL_E_REFUSED.
 */
int vtd_tables_get_first_stage(struct vtd_vm *vm, struct vtd_call *call,
                               const struct vtd_device *device,
                               const struct vtd_host_first_stage *config, size_t *table);

/*
 * Destroys every first-stage table without attachment, then every second-stage table without
 * device or first-stage table, then scratch objects.  What the host will not destroy stays in the
 * books, charged (and may be used again), until a later call succeeds.
 */
void vtd_tables_collect(struct vtd_vm *vm);

/* Destroys the IOAS at the end of the VM, when nothing is left on it. */
void vtd_tables_destroy_ioas(struct vtd_vm *vm);

#endif
