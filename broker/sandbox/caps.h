/* SPDX-License-Identifier: MIT */
/* Capabilities: none left in any set, and none to be had again. */
#ifndef VTD_BROKER_SANDBOX_CAPS_H
#define VTD_BROKER_SANDBOX_CAPS_H

#include "shared/log.h"

/*
 * While the process still has CAP_SETPCAP: empties the bounding set and locks the secure bits, so
 * that neither user 0 nor exec nor a change of user gives a capability.
 * Returns 0 or a negative errno (reported).
 */
int vtd_caps_close_sources(struct vtd_log *log);

/* Empties the ambient, effective, permitted and inheritable sets.  Returns as above. */
int vtd_caps_drop_all(struct vtd_log *log);

/*
 * Reads every set and the secure bits back from the kernel (not from libcap-ng).
 * Returns 0 or -EPERM (reported) when anything is left.
 */
int vtd_caps_verify_none(struct vtd_log *log);

/*
 * Tries to raise capabilities and to unlock the secure bits.
 * Returns 0 when every try failed, else -EPERM (reported).
 */
int vtd_caps_verify_lost(struct vtd_log *log);

/*
 * Gives the capabilities in effect to the next program although its user is not 0 (ambient set).
 * For vtd-brokerd's child inside a new user namespace.  Returns 0 or a negative errno.
 */
int vtd_caps_keep_over_exec(void);

#endif
