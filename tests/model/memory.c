/* SPDX-License-Identifier: MIT */
/* See memory.h.  Words are kept in the machine's order, which is the guest's: little-endian. */
#include "tests/model/memory.h"

#include <errno.h>
#include <string.h>

static bool within(uint64_t gpa, size_t size)
{
        return gpa < MEMORY_SIZE && size <= MEMORY_SIZE - gpa;
}

bool memory_get(const struct memory *memory, uint64_t gpa, uint64_t *value)
{
        if (!within(gpa, 8))
                return false;
        *value = memory->words[gpa / 8];
        return true;
}

void memory_put(struct memory *memory, uint64_t gpa, uint64_t value)
{
        memory->words[gpa / 8] = value;
}

int memory_read(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct memory *memory = opaque;

        memory->reads++;
        if (!within(gpa, size))
                return -EFAULT;
        memcpy(data, (const uint8_t *)memory->words + gpa, size);
        if (memory->meanwhile && memory->reads_until-- == 0) {
                void (*meanwhile)(void *opaque) = memory->meanwhile;

                memory->meanwhile = NULL;
                meanwhile(memory->opaque);
        }
        return 0;
}

static void change(struct memory *memory, uint64_t gpa, uint64_t after)
{
        if (memory->count < MEMORY_WRITES)
                memory->writes[memory->count] = (struct memory_write){
                        .gpa = gpa, .before = memory->words[gpa / 8], .after = after};
        memory->count++;
        memory->words[gpa / 8] = after;
}

int memory_write(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        struct memory *memory = opaque;
        size_t done = 0;

        if (!within(gpa, size))
                return -EFAULT;
        while (done < size) {
                uint64_t at = gpa + done, word = memory->words[at / 8];
                size_t offset = at % 8, part = 8 - offset;

                if (part > size - done)
                        part = size - done;
                memcpy((uint8_t *)&word + offset, (const uint8_t *)data + done, part);
                change(memory, at - offset, word);
                done += part;
        }
        return 0;
}

int memory_compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                            uint64_t *found)
{
        struct memory *memory = opaque;

        if (gpa % 8 != 0 || !within(gpa, 8))
                return -EFAULT;
        *found = memory->words[gpa / 8];
        if (*found == expected)
                change(memory, gpa, desired);
        return 0;
}

void memory_send_message(void *opaque, uint64_t address, uint32_t data)
{
        struct memory *memory = opaque;

        (void)address;
        (void)data;
        memory->messages++;
}
