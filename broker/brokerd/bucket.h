/* SPDX-License-Identifier: MIT */
/* Token bucket of vtd-brokerd, for what tenants can make it do: spawn, write lines. */
#ifndef VTD_BROKER_BROKERD_BUCKET_H
#define VTD_BROKER_BROKERD_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct vtd_bucket {
        uint32_t per_second;
        uint32_t burst;
        uint64_t milli;      /* thousandths of a token to spend */
        uint64_t updated_ms; /* monotonic milliseconds at which that held */
};

/* A full bucket. */
static inline void vtd_bucket_init(struct vtd_bucket *bucket, uint32_t per_second, uint32_t burst,
                                   uint64_t now_ms)
{
        *bucket = (struct vtd_bucket){
                .per_second = per_second,
                .burst = burst,
                .milli = UINT64_C(1000) * burst,
                .updated_ms = now_ms,
        };
}

/* Takes one token if there is one at time @now_ms, which may stand still but not go back. */
static inline bool vtd_bucket_take(struct vtd_bucket *bucket, uint64_t now_ms)
{
        uint64_t full = UINT64_C(1000) * bucket->burst;
        uint64_t elapsed = now_ms - bucket->updated_ms;

        /* A long pause fills the bucket: keeps the product below from overflowing. */
        if (elapsed > full)
                elapsed = full;
        bucket->milli += elapsed * bucket->per_second;
        if (bucket->milli > full)
                bucket->milli = full;
        bucket->updated_ms = now_ms;
        if (bucket->milli < 1000)
                return false;
        bucket->milli -= 1000;
        return true;
}

#endif
