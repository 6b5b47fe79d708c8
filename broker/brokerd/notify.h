/* SPDX-License-Identifier: MIT */
/* The service manager's notification protocol (sd_notify), without its library. */
#ifndef VTD_BROKER_BROKERD_NOTIFY_H
#define VTD_BROKER_BROKERD_NOTIFY_H

#include "shared/log.h"

/*
 * Sends @state ("READY=1") to the socket that NOTIFY_SOCKET names, a path or an abstract name
 * ("@..."); does nothing when it is not set.  Returns 0 or a negative errno (reported).
 */
int vtd_notify(const char *state, struct vtd_log *log);

#endif
