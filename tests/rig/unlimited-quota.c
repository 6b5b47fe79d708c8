/* SPDX-License-Identifier: MIT */
/*
 * In the place of broker/worker/quota.c in one program of the tests: a worker that keeps its books
 * and never finds a limit in them, as if it had been taken over or were wrong.  What stops it then
 * is the kernel.
 */
#include "broker/worker/quota.h"

void vtd_quota_init(struct vtd_quota *quota, const struct vtd_policy *policy)
{
        *quota = (struct vtd_quota){0};
        for (size_t i = 0; i < VTD_QUOTA_ACCOUNTS; i++)
                quota->accounts[i].limit = policy->limits[i].value;
}

int vtd_quota_charge(struct vtd_quota *quota, enum vtd_policy_limit_index account, uint64_t amount)
{
        quota->accounts[account].used += amount;
        return 0;
}

void vtd_quota_release(struct vtd_quota *quota, enum vtd_policy_limit_index account,
                       uint64_t amount)
{
        quota->accounts[account].used -= amount;
}

uint64_t vtd_quota_used(const struct vtd_quota *quota, enum vtd_policy_limit_index account)
{
        return quota->accounts[account].used;
}
