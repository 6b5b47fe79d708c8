/* SPDX-License-Identifier: MIT */
/*
 * broker/worker/rate.c: for any sequence of requests, by induction from any bucket that is_sound()
 * allows at the time of the request before.
 *
 * Bounds: rate and burst are what policy/schema.c lets through, entries what one Invalidate holds,
 * and the clock stays below 2^63 nanoseconds (292 years).  Not shown: that no more than `rate`
 * entries a second pass in the long run, which is about products of unknown numbers: where time is
 * multiplied by the rate, the product is any number.
 * Assumes what the callers keep to: at least one entry, and a clock that does not go back.
 */
#include "tests/prove/prove.h"

/* The full bucket is `full`, any number; other products are any number, and may not fit. */
static bool any_product(uint64_t b, uint64_t *product);
static bool exact = false;

static bool multiply(uint64_t a, uint64_t b, uint64_t *product)
{
        return exact ? __builtin_mul_overflow(a, b, product) : any_product(b, product);
}

#define __builtin_mul_overflow(a, b, product) multiply(a, b, product)
#include "broker/worker/rate.c"

#define CLOCK_END (UINT64_C(1) << 63)
#define RATE_MAX  10000000u
#define BURST_MAX 65536u

static uint64_t full;

struct vtd_rate nondet_rate(void);

static bool any_product(uint64_t b, uint64_t *product)
{
        *product = b == UNIT ? full : nondet_u64();
        return b != UNIT && nondet_bool();
}

/* At @now; @updated may be ahead by what the last request is made to wait. */
static bool is_sound(const struct vtd_rate *rate, uint64_t now)
{
        return rate->rate >= 1 && rate->rate <= RATE_MAX && rate->burst >= 1 &&
               rate->burst <= BURST_MAX && rate->level <= full &&
               (rate->updated <= now || rate->updated - now <= DELAY_CAP);
}

void prove_init(void)
{
        const uint64_t now = nondet_u64(), per_second = nondet_u64(), burst = nondet_u64();
        struct vtd_rate rate;

        full = nondet_u64();
        ASSUME(now < CLOCK_END && per_second <= RATE_MAX && burst <= BURST_MAX);
        vtd_rate_init(&rate, per_second, burst, now);
        PROVE(is_sound(&rate, now));
        PROVE(rate.level == full);
}

/* Time only adds, up to the burst. */
void prove_earn(void)
{
        struct vtd_rate rate = nondet_rate();
        const uint64_t last = nondet_u64(), now = nondet_u64();
        uint64_t level;

        full = nondet_u64();
        ASSUME(last <= now && now < CLOCK_END && is_sound(&rate, last));
        level = rate.level;
        earn(&rate, now);
        PROVE(is_sound(&rate, now));
        PROVE(rate.level >= level);
        PROVE(rate.updated >= now);
}

/*
 * All that was asked or one entry, never none; no delay beyond the ceiling, and none while the
 * bucket holds an entry; what is spent was there.  The bucket is one that has earned already, so
 * that the call inside earns nothing: prove_earn is about that part.
 */
void prove_take(void)
{
        struct vtd_rate rate = nondet_rate();
        const uint64_t now = nondet_u64();
        const size_t entries = nondet_size();
        struct vtd_rate_verdict verdict;
        uint64_t level;

        ASSUME(now < CLOCK_END && entries >= 1 && entries <= VTD_LIMIT_INVALIDATE_ENTRIES);
        ASSUME(rate.burst <= BURST_MAX);
        exact = true;
        full = rate.burst * UNIT;
        ASSUME(is_sound(&rate, now) && rate.updated >= now);
        level = rate.level;
        verdict = vtd_rate_take(&rate, entries, now);
        PROVE(is_sound(&rate, now));
        PROVE(verdict.entries == entries || verdict.entries == 1);
        PROVE(verdict.delay_ns <= DELAY_CAP);
        if (level >= UNIT) {
                PROVE(verdict.delay_ns == 0);
                PROVE(rate.level == level - verdict.entries * UNIT);
                PROVE(IMPLIES(level / UNIT >= entries, verdict.entries == entries));
        } else {
                PROVE(verdict.entries == 1 && rate.level == 0);
                PROVE(rate.updated == now + verdict.delay_ns);
        }
}
