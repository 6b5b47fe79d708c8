/* SPDX-License-Identifier: MIT */
/*
 * broker/worker/quota.c: for any sequence of charges and releases of any amounts, by induction from
 * any books that is_sound() allows.
 *
 * Bounds: none.  Assumes what the callers keep to: an account that exists, and no release of what
 * was not charged.
 */
#include "tests/prove/prove.h"

#include "broker/worker/quota.c"

struct vtd_quota nondet_quota(void);
struct vtd_policy nondet_policy(void);

static bool is_sound(const struct vtd_quota *quota)
{
        for (size_t i = 0; i < VTD_QUOTA_ACCOUNTS; i++)
                if (quota->accounts[i].used > quota->accounts[i].limit)
                        return false;
        return true;
}

static unsigned any_account(void)
{
        unsigned account = nondet_unsigned();

        ASSUME(account < VTD_QUOTA_ACCOUNTS);
        return account;
}

void prove_init(void)
{
        const struct vtd_policy policy = nondet_policy();
        const unsigned account = any_account();
        struct vtd_quota quota;

        vtd_quota_init(&quota, &policy);
        PROVE(is_sound(&quota));
        PROVE(quota.accounts[account].limit == policy.limits[account].value);
        PROVE(vtd_quota_used(&quota, account) == 0);
}

/* Granted exactly if it fits, counted in 128 bits; refused, or of another account: no change. */
void prove_charge(void)
{
        struct vtd_quota quota = nondet_quota();
        const unsigned account = any_account(), other = any_account();
        const uint64_t amount = nondet_u64();
        struct vtd_quota before;
        unsigned __int128 total;
        int r;

        ASSUME(is_sound(&quota));
        before = quota;
        total = (unsigned __int128)before.accounts[account].used + amount;
        r = vtd_quota_charge(&quota, account, amount);
        PROVE(r == 0 || r == VTD_QUOTA_E_LIMIT);
        PROVE((r == 0) == (total <= before.accounts[account].limit));
        PROVE(is_sound(&quota));
        PROVE(quota.accounts[other].limit == before.accounts[other].limit);
        if (r == 0 && other == account)
                PROVE(vtd_quota_used(&quota, other) == total);
        else
                PROVE(vtd_quota_used(&quota, other) == before.accounts[other].used);
}

void prove_release(void)
{
        struct vtd_quota quota = nondet_quota();
        const unsigned account = any_account(), other = any_account();
        const uint64_t amount = nondet_u64();
        struct vtd_quota before;

        ASSUME(is_sound(&quota) && amount <= quota.accounts[account].used);
        before = quota;
        vtd_quota_release(&quota, account, amount);
        PROVE(is_sound(&quota));
        PROVE(vtd_quota_used(&quota, other) ==
              before.accounts[other].used - (other == account ? amount : 0));
}
