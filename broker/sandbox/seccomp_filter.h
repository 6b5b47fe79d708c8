/* SPDX-License-Identifier: MIT */
/*
 * Loads the table of seccomp_table.h as this process's system call filter: default and foreign
 * architectures kill the process.
 */
#ifndef VTD_BROKER_SANDBOX_SECCOMP_FILTER_H
#define VTD_BROKER_SANDBOX_SECCOMP_FILTER_H

#include <stdint.h>

#include "protos/message.h"
#include "shared/log.h"

/*
 * Makes io_uring_setup() fail with ENOSYS from here on, so that no version of libuv sets up a ring,
 * which would bypass the filter.  Needs no_new_privs.  Returns 0 or a negative errno (reported).
 */
int vtd_seccomp_refuse_io_uring(struct vtd_log *log);

/*
 * Loads the filter of a worker for @host, for good.  *@rules is how many rows it has.
 * Returns 0 or a negative errno (reported).
 */
int vtd_seccomp_load(enum vtd_host_kind host, uint32_t *rules, struct vtd_log *log);

/*
 * Writes the same filter to @fd as an array of struct sock_filter.  Returns 0 or a negative errno.
 */
int vtd_seccomp_export(enum vtd_host_kind host, int fd, struct vtd_log *log);

#endif
