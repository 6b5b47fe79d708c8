/* SPDX-License-Identifier: MIT */
/*
 * A guest's memory for tests in which threads use a unit while the guest changes what it reads: every
 * word is read and written at once, and in the order that the unit's callbacks ask for.
 */
#ifndef TESTS_UNIT_SHARED_MEMORY_H
#define TESTS_UNIT_SHARED_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#define SHARED_MEMORY_SIZE 0x100000u

/* Its address is the opaque pointer of the callbacks below. */
struct shared_memory {
        _Alignas(4096) uint8_t bytes[SHARED_MEMORY_SIZE];
};

/* @gpa is a multiple of 8, and memory. */
static inline uint64_t *shared_memory_word(struct shared_memory *memory, uint64_t gpa)
{
        return (uint64_t *)(void *)(memory->bytes + gpa);
}

void shared_memory_put(struct shared_memory *memory, uint64_t gpa, uint64_t value);

/* The callbacks of struct vtd_frontend_callbacks; -EFAULT beyond the memory or unaligned. */
int shared_memory_read(void *opaque, uint64_t gpa, void *data, size_t size);
int shared_memory_write(void *opaque, uint64_t gpa, const void *data, size_t size);
int shared_memory_compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                                   uint64_t *found);

#endif
