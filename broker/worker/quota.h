/* SPDX-License-Identifier: MIT */
/*
 * What one VM holds, in the units of its policy.  Everything that is kept for a client is charged
 * here before it is kept and released together with the resource, so the books and the host never
 * differ.  An account is named by the index of the policy limit that bounds it.
 */
#ifndef VTD_BROKER_WORKER_QUOTA_H
#define VTD_BROKER_WORKER_QUOTA_H

#include <stdint.h>

#include "policy/policy.h"

/* Limits from VTD_POLICY_MEMORY to VTD_POLICY_INTERRUPTS are quantities that are held. */
#define VTD_QUOTA_ACCOUNTS (VTD_POLICY_INTERRUPTS + 1)

enum {
        VTD_QUOTA_E_LIMIT = 1,
};

struct vtd_quota_account {
        uint64_t used; /* never above limit */
        uint64_t limit;
};

struct vtd_quota {
        struct vtd_quota_account accounts[VTD_QUOTA_ACCOUNTS];
};

void vtd_quota_init(struct vtd_quota *quota, const struct vtd_policy *policy);

/* Returns 0 with @amount charged, or VTD_QUOTA_E_LIMIT with nothing changed. */
int vtd_quota_charge(struct vtd_quota *quota, enum vtd_policy_limit_index account, uint64_t amount);

/* Gives back what was charged before. */
void vtd_quota_release(struct vtd_quota *quota, enum vtd_policy_limit_index account,
                       uint64_t amount);

uint64_t vtd_quota_used(const struct vtd_quota *quota, enum vtd_policy_limit_index account);

#endif
