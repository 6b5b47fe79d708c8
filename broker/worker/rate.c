/* SPDX-License-Identifier: MIT */
/* The token bucket of rate.h, in billionths of an entry so that one nanosecond earns `rate`. */
#include "broker/worker/rate.h"

#include "shared/limits.h"

#define UNIT      UINT64_C(1000000000)
#define DELAY_CAP (VTD_LIMIT_INVALIDATE_DELAY_MS * UINT64_C(1000000))

static uint64_t saturating_multiply(uint64_t a, uint64_t b)
{
        uint64_t product;

        return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

void vtd_rate_init(struct vtd_rate *rate, uint64_t per_second, uint64_t burst, uint64_t now)
{
        *rate = (struct vtd_rate){
                .rate = per_second > 0 ? per_second : 1,
                .burst = burst > 0 ? burst : 1,
                .updated = now,
        };
        rate->level = saturating_multiply(rate->burst, UNIT);
}

static void earn(struct vtd_rate *rate, uint64_t now)
{
        uint64_t full = saturating_multiply(rate->burst, UNIT), earned;

        if (now <= rate->updated)
                return;
        earned = saturating_multiply(now - rate->updated, rate->rate);
        rate->level = earned >= full - rate->level ? full : rate->level + earned;
        rate->updated = now;
}

struct vtd_rate_verdict vtd_rate_take(struct vtd_rate *rate, size_t entries, uint64_t now)
{
        uint64_t cost = saturating_multiply(entries, UNIT), missing, wait, ahead;

        earn(rate, now);
        if (rate->level >= cost) {
                rate->level -= cost;
                return (struct vtd_rate_verdict){.entries = entries};
        }
        if (rate->level >= UNIT) {
                rate->level -= UNIT;
                return (struct vtd_rate_verdict){.entries = 1};
        }
        missing = UNIT - rate->level;
        wait = missing / rate->rate + (missing % rate->rate != 0);
        /* What is waited for pays this entry, so the bucket is empty when the wait is over. */
        ahead = rate->updated > now ? rate->updated - now : 0;
        wait = ahead + wait < DELAY_CAP ? ahead + wait : DELAY_CAP;
        rate->level = 0;
        rate->updated = now + wait;
        return (struct vtd_rate_verdict){.entries = 1, .delay_ns = wait};
}
