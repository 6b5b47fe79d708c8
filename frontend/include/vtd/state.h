/* SPDX-License-Identifier: MIT */
/*
 * Saving a unit and restoring it, for snapshots and migration.
 *
 * What is saved is what a guest can see or has asked for: the registers, what was latched of them,
 * and commands that are still to be carried out.  Devices, mapped memory, the connection and the
 * counters of vtd_frontend_get_stats() are not part of it.  Bindings and caches are not either:
 * after a restore everything is read again from the guest's tables and asked of the broker anew.
 *
 * The side that saves
 *   1. stops the guest's processors and its devices,
 *   2. calls vtd_frontend_run() until it returns something else than VTD_FRONTEND_WAITING,
 *   3. calls vtd_frontend_save(), and runs the unit no more,
 *   4. saves guest memory, and what has received the unit's interrupts: none is kept back.
 * The side that restores
 *   1. creates a unit with the same configuration, connects it, plugs the devices under the same
 *      requester ids, announces guest memory, and fills that,
 *   2. calls vtd_frontend_restore(),
 *   3. calls vtd_frontend_run() until it is idle, and lets the guest go on.
 * A device may also be plugged after the restore: run() attaches it as the restored tables say.  What
 * the broker then refuses, or what is wrong in the tables, is recorded as a fault as after any plug,
 * also if it was recorded before the save.
 *
 * If both sides are of one machine and share guest memory, the first unit must have been freed
 * before the second one runs: until its devices are blocked they reach memory that the guest is
 * about to be told is free.
 *
 * Threads: as all of vtd/frontend.h.
 */
#ifndef VTD_STATE_H
#define VTD_STATE_H

#include "vtd/frontend.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/*
 * Writes the unit's state to @buffer, which has @capacity bytes, and its size to *@size, which is set
 * whatever is returned; it depends on the configuration only and is below 4 KiB.  @buffer may be NULL
 * when @capacity is 0, which asks for the size.  Changes nothing.
 *
 * Returns
 *   0
 *   -ENOSPC             @capacity is less than *@size; nothing was written;
 *   VTD_FRONTEND_LOST   the connection was lost: the guest waits for invalidations of which nobody
 *                       knows whether they have happened, and must not be told that they have by a
 *                       unit with another connection;
 *   VTD_FRONTEND_BUSY   the broker's answer to a request is outstanding: run() first.
 */
int vtd_frontend_save(struct vtd_frontend *frontend, void *buffer, size_t capacity, size_t *size);

/*
 * Brings the unit to the state that vtd_frontend_save() wrote to @data, @size bytes.  They are judged
 * like a guest's writes: wherever they come from, the unit does afterwards what a guest could have
 * made it do.  Needs run() afterwards, until it is idle.  Plugged devices and mapped memory stay; until
 * then, devices stay attached as they are.
 *
 * Returns
 *   0
 *   -EINVAL             no state of a unit with this configuration: the log says what differs;
 *   VTD_FRONTEND_LOST   the unit's own connection was lost.
 * Unless 0 is returned the unit is as it was.
 */
int vtd_frontend_restore(struct vtd_frontend *frontend, const void *data, size_t size);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
