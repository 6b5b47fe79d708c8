/* SPDX-License-Identifier: MIT */
/* What this vtd-brokerd can do, for orchestrators that choose by it before they start one. */
#ifndef VTD_BROKER_BROKERD_CAPABILITIES_H
#define VTD_BROKER_BROKERD_CAPABILITIES_H

#include <stdio.h>

/*
 * Writes one JSON object: version, protocol, requests, hosts with their worker programs below
 * @worker_directory, sandbox, policy and audit.  Whether it could be written is @out's to say.
 */
void vtd_capabilities_print(FILE *out, const char *version, const char *worker_directory);

#endif
