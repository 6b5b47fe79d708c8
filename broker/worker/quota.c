/* SPDX-License-Identifier: MIT */
/*
 * The books of one VM: see quota.h.  Releasing more than was charged is a mistake in this program,
 * never a client's doing, and ends the worker: wrong books would let a client exceed its policy.
 */
#include "broker/worker/quota.h"

#include <assert.h>

void vtd_quota_init(struct vtd_quota *quota, const struct vtd_policy *policy)
{
        *quota = (struct vtd_quota){0};
        for (size_t i = 0; i < VTD_QUOTA_ACCOUNTS; i++)
                quota->accounts[i].limit = policy->limits[i].value;
}

int vtd_quota_charge(struct vtd_quota *quota, enum vtd_policy_limit_index account, uint64_t amount)
{
        struct vtd_quota_account *a = &quota->accounts[account];

        if (amount > a->limit - a->used)
                return VTD_QUOTA_E_LIMIT;
        a->used += amount;
        return 0;
}

void vtd_quota_release(struct vtd_quota *quota, enum vtd_policy_limit_index account,
                       uint64_t amount)
{
        assert(amount <= quota->accounts[account].used);
        quota->accounts[account].used -= amount;
}

uint64_t vtd_quota_used(const struct vtd_quota *quota, enum vtd_policy_limit_index account)
{
        return quota->accounts[account].used;
}
