/* SPDX-License-Identifier: MIT */
/*
 * Which policies are in force: read when vtd-brokerd starts, and again when it is told to.
 *
 * Reading again is done as a whole or not at all: any error in any file, and the policies stay those
 * that they are.  Afterwards
 *   - connections are judged by the new policies, tenants that are new have a socket, those whose file
 *     is gone have none, and a tenant that was revoked has one again;
 *   - a running VM keeps the policy that it was started with.  What it has lost is taken from it: a
 *     device of its that its tenant's policy no longer grants under the same name and address cannot
 *     be plugged any more, and if the VM has it open, the VM is ended, devices blocked first.  So is
 *     every VM of a tenant whose file is gone or names another user;
 *   - a grant that waits is judged again as it was asked for.
 */
#ifndef VTD_BROKER_BROKERD_POLICIES_H
#define VTD_BROKER_BROKERD_POLICIES_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/brokerd/grants.h"

struct vtd_policies_config {
        const char *directory; /* borrowed */
        enum vtd_host_kind host;
        bool rootless;
        uint32_t uid_first; /* of workers; unused when rootless */
        uint32_t uid_last;
};

struct vtd_policies {
        struct vtd_policies_config config;
        struct vtd_tenants tenants;
        struct vtd_workers *workers; /* borrowed, like the next two */
        struct vtd_grants *grants;
        const struct vtd_door_place *place;
        struct vtd_audit_source source; /* lines about all tenants */
        uint64_t reloads;
        uint64_t refused;
};

/* What reading again has changed. */
struct vtd_policies_change {
        unsigned tenants; /* that there are now */
        unsigned added;   /* of these, new ones */
        unsigned changed; /* of these, with another policy than before */
        unsigned left;    /* that are gone */
        unsigned vms;     /* that are ended for it */
        unsigned grants;
};

/*
 * Loads the policies and judges that they fit together and this host.  No socket yet.
 * Returns 0 or a negative errno (reported); deinit is due in both cases.
 */
int vtd_policies_init(struct vtd_policies *policies, const struct vtd_policies_config *config,
                      struct vtd_log *log);
void vtd_policies_deinit(struct vtd_policies *policies);

/*
 * Makes a door for each tenant, closed.  @workers and @grants must be there from here on.
 * Returns 0 or a negative errno (reported).
 */
int vtd_policies_make_doors(struct vtd_policies *policies, struct vtd_workers *workers,
                            struct vtd_grants *grants, const struct vtd_door_place *place);
void vtd_policies_open_doors(struct vtd_policies *policies);
void vtd_policies_close_doors(struct vtd_policies *policies);

/* Closes the socket of @tenant until the policies are read again; audited with @reason. */
void vtd_policies_revoke(struct vtd_policies *policies, struct vtd_tenant *tenant,
                         const char *reason);

/*
 * Reads the policies again.  Returns 0 with *@change, or a negative errno (reported to @log, every
 * mistake) with nothing changed; audited either way.
 */
int vtd_policies_reload(struct vtd_policies *policies, struct vtd_policies_change *change,
                        struct vtd_log *log);

#endif
