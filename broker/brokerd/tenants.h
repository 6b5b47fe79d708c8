/* SPDX-License-Identifier: MIT */
/*
 * The tenants of a vtd-brokerd: one for each policy file.  A tenant stays where it is while a VM of
 * it is left, also when its file is not there any more.
 */
#ifndef VTD_BROKER_BROKERD_TENANTS_H
#define VTD_BROKER_BROKERD_TENANTS_H

#include <glib.h>
#include <stdbool.h>
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

struct vtd_door;

struct vtd_tenant {
        struct vtd_tenant_counts counts;
        struct vtd_policy policy; /* of its file, when that was read last */
        struct vtd_door *door;    /* its socket, owned by policies.c; NULL: there is none */
        bool revoked;             /* it has none until the policies are read again */
        unsigned vms;             /* grants that wait, and workers until all they had is closed */
        unsigned ending;          /* of these, workers without a process any more */
        unsigned greeting;        /* of these, workers without an accepted Hello */
        uint64_t held[VTD_POLICY_LIMIT_COUNT]; /* by their limits, where there is a total */
        struct vtd_bucket spawns;              /* starts of workers */
        struct vtd_audit_source source;        /* lines about no VM */
};

struct vtd_tenants {
        GPtrArray *array; /* owned, like each struct vtd_tenant in it */
};

/*
 * Loads every *.policy file in @directory.  Any error in any of them, the same tenant twice, or no
 * policy at all is an error: nothing is served by halves.
 * Returns 0 or a negative errno (reported); deinit is due in both cases.
 */
int vtd_tenants_load(struct vtd_tenants *tenants, const char *directory, struct vtd_log *log);
void vtd_tenants_deinit(struct vtd_tenants *tenants);

/* By position, from 0 on; NULL from the last on. */
struct vtd_tenant *vtd_tenants_at(const struct vtd_tenants *tenants, size_t index);

/* The tenant called @name, or NULL. */
struct vtd_tenant *vtd_tenants_find(const struct vtd_tenants *tenants, const char *name);

/*
 * The total that another VM with the limits of @wanted would exceed, or NULL.  Each VM may use all
 * that its limits say, so that is what counts.
 */
const struct vtd_policy_limit *vtd_tenant_exhausted(const struct vtd_tenant *tenant,
                                                    const struct vtd_policy *wanted);

/* Counts a VM with the limits of @policy, which did not exhaust a total; and no longer. */
void vtd_tenant_charge(struct vtd_tenant *tenant, const struct vtd_policy *policy);
void vtd_tenant_release(struct vtd_tenant *tenant, const struct vtd_policy *policy);

#endif
