/* SPDX-License-Identifier: MIT */
/* A random generator whose sequence is the seed's on every machine. */
#ifndef VTD_TESTS_MODEL_RANDOM_H
#define VTD_TESTS_MODEL_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
        uint64_t state; /* not 0 */
};

static inline uint64_t random_next(struct random *random)
{
        random->state ^= random->state << 13;
        random->state ^= random->state >> 7;
        random->state ^= random->state << 17;
        return random->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* 0 to @count - 1. */
static inline unsigned random_below(struct random *random, unsigned count)
{
        return (unsigned)((random_next(random) >> 32) * count >> 32);
}

static inline bool random_percent(struct random *random, unsigned percent)
{
        return random_below(random, 100) < percent;
}

static inline struct random random_seed(uint64_t seed)
{
        struct random random = {.state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1};

        if (random.state == 0)
                random.state = 1;
        for (unsigned i = 0; i < 8; i++)
                (void)random_next(&random);
        return random;
}

#endif
