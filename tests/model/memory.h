/* SPDX-License-Identifier: MIT */
/*
 * Guest memory that remembers who changed it: the guest writes with memory_put(), and every change
 * that the unit makes through its callbacks is logged.
 */
#ifndef VTD_TESTS_MODEL_MEMORY_H
#define VTD_TESTS_MODEL_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_PAGES  64u
#define MEMORY_SIZE   (UINT64_C(4096) * MEMORY_PAGES)
#define MEMORY_WRITES 128u

/* One access of the unit that wrote; both values are of the aligned eight bytes around it. */
struct memory_write {
        uint64_t gpa; /* a multiple of 8 */
        uint64_t before;
        uint64_t after;
};

struct memory {
        uint64_t words[MEMORY_SIZE / 8];
        struct memory_write writes[MEMORY_WRITES];
        unsigned count;    /* of the above; may exceed what was kept, and is an error then */
        uint64_t reads;    /* by the unit */
        unsigned messages; /* from the unit */
        /* Called once, when the unit has read as often as reads_until says, and once more. */
        void (*meanwhile)(void *opaque);
        void *opaque;
        unsigned reads_until;
};

/* False when the eight bytes at @gpa (a multiple of 8) are not guest memory. */
bool memory_get(const struct memory *memory, uint64_t gpa, uint64_t *value);
void memory_put(struct memory *memory, uint64_t gpa, uint64_t value);

/* The unit's callbacks; their opaque is a struct memory. */
int memory_read(void *opaque, uint64_t gpa, void *data, size_t size);
int memory_write(void *opaque, uint64_t gpa, const void *data, size_t size);
int memory_compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                            uint64_t *found);
void memory_send_message(void *opaque, uint64_t address, uint32_t data);

#endif
