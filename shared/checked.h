/* SPDX-License-Identifier: MIT */
/*
 * Checked arithmetic on addresses and sizes.  Nothing here may overflow for any input: a range is
 * judged before it is used, and "does not fit" is an answer, never undefined behaviour.
 */
#ifndef VTD_SHARED_CHECKED_H
#define VTD_SHARED_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VTD_PAGE_SHIFT 12u
#define VTD_PAGE_SIZE  (UINT64_C(1) << VTD_PAGE_SHIFT)

#define VTD_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static inline bool vtd_add_u64(uint64_t a, uint64_t b, uint64_t *sum)
{
        return !__builtin_add_overflow(a, b, sum);
}

static inline bool vtd_is_page_aligned(uint64_t value)
{
        return (value & (VTD_PAGE_SIZE - 1)) == 0;
}

/* True when @size bytes from @start are not empty and end at or below @limit (exclusive). */
static inline bool vtd_range_within(uint64_t start, uint64_t size, uint64_t limit)
{
        return size != 0 && start < limit && size <= limit - start;
}

/* True when [a, a+a_size) and [b, b+b_size) share a byte.  Neither range may be empty or wrap. */
static inline bool vtd_ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
        return a <= b + (b_size - 1) && b <= a + (a_size - 1);
}

/* True when [inner, inner+inner_size) lies inside [outer, outer+outer_size); neither may wrap. */
static inline bool vtd_range_contains(uint64_t outer, uint64_t outer_size, uint64_t inner,
                                      uint64_t inner_size)
{
        return inner_size != 0 && inner >= outer && inner_size <= outer_size &&
               inner - outer <= outer_size - inner_size;
}

#endif
