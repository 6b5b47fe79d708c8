/* SPDX-License-Identifier: MIT */
/* See shared-memory.h. */
#include "tests/unit/shared-memory.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool is_memory(uint64_t gpa, size_t size)
{
        return gpa < SHARED_MEMORY_SIZE && size <= SHARED_MEMORY_SIZE - gpa;
}

void shared_memory_put(struct shared_memory *memory, uint64_t gpa, uint64_t value)
{
        __atomic_store_n(shared_memory_word(memory, gpa), value, __ATOMIC_RELEASE);
}

int shared_memory_read(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct shared_memory *memory = opaque;

        if (!is_memory(gpa, size) || gpa % 8 != 0 || size % 8 != 0)
                return -EFAULT;
        for (size_t i = 0; i < size; i += 8) {
                uint64_t word =
                        __atomic_load_n(shared_memory_word(memory, gpa + i), __ATOMIC_ACQUIRE);

                memcpy((uint8_t *)data + i, &word, sizeof(word));
        }
        return 0;
}

int shared_memory_write(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        struct shared_memory *memory = opaque;
        uint32_t value;

        if (!is_memory(gpa, size) || gpa % 4 != 0 || size != sizeof(value))
                return -EFAULT;
        memcpy(&value, data, sizeof(value));
        __atomic_store_n((uint32_t *)(void *)(memory->bytes + gpa), value, __ATOMIC_RELEASE);
        return 0;
}

int shared_memory_compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                                   uint64_t *found)
{
        struct shared_memory *memory = opaque;

        if (!is_memory(gpa, 8) || gpa % 8 != 0)
                return -EFAULT;
        *found = expected;
        (void)__atomic_compare_exchange_n(shared_memory_word(memory, gpa), found, desired, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return 0;
}
