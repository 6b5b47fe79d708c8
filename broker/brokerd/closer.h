/* SPDX-License-Identifier: MIT */
/*
 * Last closes in a process of their own.  The last close of a VFIO device detaches and resets it,
 * that of an iommufd unpins a guest's memory: both may take seconds, and vtd-brokerd, which serves
 * every VM from one thread, must not wait for one of them.
 */
#ifndef VTD_BROKER_BROKERD_CLOSER_H
#define VTD_BROKER_BROKERD_CLOSER_H

#include <stddef.h>
#include <sys/types.h>

#include "policy/policy.h"
#include "shared/log.h"

/* The most that one closer is given: all devices of a VM. */
#define VTD_CLOSER_FDS_MAX VTD_LIMIT_DEVICES

/*
 * Starts a process that closes @fds[0..@count) in this order and ends.  On success it has the only
 * copies that are left of this process's descriptors, each of @fds is -1, and the end of the
 * process, whatever its cause, means that all are closed; the caller owns *@pidfd and must wait for
 * the child.  @count is 1 to VTD_CLOSER_FDS_MAX.
 * Returns 0, or a negative errno (reported) with every descriptor still open here.
 */
int vtd_closer_start(int *fds, size_t count, pid_t *pid, int *pidfd, struct vtd_log *log);

#endif
