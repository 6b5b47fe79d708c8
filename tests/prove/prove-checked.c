/* SPDX-License-Identifier: MIT */
/*
 * shared/checked.h: every function for every input, against the same question asked in 128 bits,
 * where nothing can overflow.
 *
 * Bounds: none.  Assumes of ranges what the functions do: not empty, and no wrap.
 */
#include "tests/prove/prove.h"

#include "shared/checked.h"

typedef unsigned __int128 u128;

static bool is_in_space(uint64_t start, uint64_t size)
{
        return size != 0 && (u128)start + size <= (u128)1 << 64;
}

void prove_add(void)
{
        const uint64_t a = nondet_u64(), b = nondet_u64();
        uint64_t sum;
        bool fits = vtd_add_u64(a, b, &sum);

        PROVE(fits == ((u128)a + b <= UINT64_MAX));
        PROVE(IMPLIES(fits, sum == (u128)a + b));
}

void prove_alignment(void)
{
        const uint64_t value = nondet_u64();

        PROVE(vtd_is_page_aligned(value) == (value % 4096 == 0));
}

void prove_within(void)
{
        const uint64_t start = nondet_u64(), size = nondet_u64(), limit = nondet_u64();

        PROVE(vtd_range_within(start, size, limit) == (size != 0 && (u128)start + size <= limit));
}

void prove_overlap(void)
{
        const uint64_t a = nondet_u64(), a_size = nondet_u64();
        const uint64_t b = nondet_u64(), b_size = nondet_u64();

        ASSUME(is_in_space(a, a_size) && is_in_space(b, b_size));
        PROVE(vtd_ranges_overlap(a, a_size, b, b_size) ==
              ((u128)a < (u128)b + b_size && (u128)b < (u128)a + a_size));
}

/* The inner range may be anything: it is what a client asked for. */
void prove_contains(void)
{
        const uint64_t outer = nondet_u64(), outer_size = nondet_u64();
        const uint64_t inner = nondet_u64(), inner_size = nondet_u64();

        ASSUME(is_in_space(outer, outer_size));
        PROVE(vtd_range_contains(outer, outer_size, inner, inner_size) ==
              (inner_size != 0 && inner >= outer &&
               (u128)inner + inner_size <= (u128)outer + outer_size));
}
