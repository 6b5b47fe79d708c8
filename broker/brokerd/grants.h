/* SPDX-License-Identifier: MIT */
/*
 * Grants: VMs that an administrator has allowed while vtd-brokerd runs, each with a socket of its own,
 * TENANT+NAME.sock, and a policy that is its tenant's or less.
 *
 * A grant waits for its VM, counts as one of its tenant's, and ends in one of four ways: its VM comes
 * in, which takes over the name and the charge and of which there is only ever this one; it was not
 * used for as long as it was given; it is removed or revoked; or the tenant's policy, read again, would
 * not give it any more.  Whichever it is, its socket is gone from then on.
 */
#ifndef VTD_BROKER_BROKERD_GRANTS_H
#define VTD_BROKER_BROKERD_GRANTS_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/brokerd/door.h"
#include "broker/brokerd/grant_policy.h"
#include "broker/brokerd/tenants.h"

/* How long a grant may stay unused, in seconds: the most, and what holds when nothing is said. */
#define VTD_GRANTS_EXPIRES_MAX     86400u
#define VTD_GRANTS_EXPIRES_DEFAULT 600u

struct vtd_grants {
        struct vtd_workers *workers; /* borrowed, like place */
        const struct vtd_door_place *place;
        GPtrArray *array; /* owned, like each struct vtd_grant in it */
        uint32_t last;    /* grants without a name of the caller's are numbered from 1 */
};

struct vtd_grant {
        struct vtd_grants *grants;
        char name[VTD_LIMIT_NAME + 1];
        struct vtd_tenant *tenant;
        struct vtd_policy policy;
        struct vtd_admin_record request; /* a CREATE_VM, to be judged again */
        struct vtd_door *door;           /* owned */
        int connection; /* owned: vtd-brokerd's end of one that was handed out; -1 */
        guint connection_source;
        guint expiry;
        uint64_t expires_ms; /* monotonic */
};

/* Removes the sockets of VMs that a vtd-brokerd which is gone has left in @place. */
void vtd_grants_init(struct vtd_grants *grants, struct vtd_workers *workers,
                     const struct vtd_door_place *place);
/* Ends those that wait. */
void vtd_grants_deinit(struct vtd_grants *grants);

/*
 * Makes what @request, a CREATE_VM of the administrator @by, asks of @tenant.  With @peer, also a connection that is the VM's:
 * the caller owns *@peer.  Whoever gets that is taken for the VMM, so it is for callers who may be it.
 * Returns 0 with *@out, borrowed; VTD_REFUSED_E with *@refused.
 */
int vtd_grants_create(struct vtd_grants *grants, struct vtd_tenant *tenant,
                      const struct vtd_admin_record *request, uint32_t by, struct vtd_grant **out,
                      int *peer, struct vtd_refused *refused);

/* By position, from 0 on; NULL from the last on. */
struct vtd_grant *vtd_grants_at(const struct vtd_grants *grants, size_t index);

struct vtd_grant *vtd_grants_find(const struct vtd_grants *grants, const char *name);

/* Seconds until it expires. */
uint64_t vtd_grant_seconds(const struct vtd_grant *grant);

/* Where its socket is. */
void vtd_grant_path(const struct vtd_grant *grant, char *path, size_t size);

/* Ends a grant that waits; @event and @reason go into the audit log. */
void vtd_grant_end(struct vtd_grant *grant, const char *event, const char *reason);

/*
 * The policies have been read again: ends those that the tenant's new policy would not give, and has
 * the others follow it.  @present says whether the tenant's file is there.  Returns how many ended.
 */
unsigned vtd_grants_judge_again(struct vtd_grants *grants, const struct vtd_tenant *tenant,
                                bool present);

#endif
