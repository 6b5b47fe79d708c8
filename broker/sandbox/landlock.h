/* SPDX-License-Identifier: MIT */
/*
 * Landlock: denies every right that the running kernel knows.  Carries its own constants, because
 * the headers of the systems that this is built on are older than the kernels it runs on.
 */
#ifndef VTD_BROKER_SANDBOX_LANDLOCK_H
#define VTD_BROKER_SANDBOX_LANDLOCK_H

#include <stdint.h>

#include "shared/log.h"

/* ABI 6 (Linux 6.12): the first that also scopes abstract sockets and signals. */
#define VTD_LANDLOCK_ABI_LINUX 6u
/* The simulated host is for trying and testing, wherever Landlock exists at all. */
#define VTD_LANDLOCK_ABI_SIMULATED 1u

/* What a ruleset handles; each field is a mask of consecutive bits from 0. */
struct vtd_landlock_rights {
        uint64_t access_fs;
        uint64_t access_net;
        uint64_t scoped;
};

/* The kernel's ABI version; 0 when Landlock is absent or switched off. */
uint32_t vtd_landlock_abi(void);

/*
 * Asks the kernel, right by right, for all that it can deny, also those that are newer than this
 * program.
 */
struct vtd_landlock_rights vtd_landlock_known_rights(void);

/*
 * Denies all of them to this process, for good.  Needs no_new_privs.  *@abi is the kernel's ABI.
 * Returns 0; -EOPNOTSUPP when it is below @abi_min; another negative errno.  All reported.
 */
int vtd_landlock_deny_all(uint32_t abi_min, uint32_t *abi, struct vtd_log *log);

#endif
