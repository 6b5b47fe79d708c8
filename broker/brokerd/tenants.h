/* SPDX-License-Identifier: MIT */
/* The tenants of a vtd-brokerd: one for each policy file, loaded once at start. */
#ifndef VTD_BROKER_BROKERD_TENANTS_H
#define VTD_BROKER_BROKERD_TENANTS_H

#include <stddef.h>
#include <stdint.h>

#include "broker/brokerd/audit_log.h"
#include "broker/brokerd/bucket.h"
#include "policy/policy.h"
#include "shared/log.h"

/* What has happened since the start. */
struct vtd_tenant_counts {
        uint64_t refused; /* connections */
        uint64_t started; /* workers; ended ones are in one of the next three */
        uint64_t done;
        uint64_t failed;
        uint64_t killed; /* by vtd-brokerd */
        uint64_t devices_opened;
        uint64_t devices_refused;
};

struct vtd_tenant {
        struct vtd_policy policy;
        struct vtd_tenant_counts counts;
        unsigned vms;                   /* workers, until their last descriptor is closed */
        unsigned ending;                /* of these, those without a process any more */
        unsigned greeting;              /* of these, those without an accepted Hello */
        struct vtd_bucket spawns;       /* starts of workers */
        struct vtd_audit_source source; /* lines about no VM */
};

struct vtd_tenants {
        struct vtd_tenant *array; /* owned */
        size_t count;
};

/*
 * Loads every *.policy file in @directory.  Any error in any of them, the same tenant twice, or no
 * policy at all is an error: nothing is served by halves.
 * Returns 0 or a negative errno (reported); deinit is due in both cases.
 */
int vtd_tenants_load(struct vtd_tenants *tenants, const char *directory, struct vtd_log *log);
void vtd_tenants_deinit(struct vtd_tenants *tenants);

#endif
