/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer's hooks for inputs that are programs (program.h).  Changed at random places in random
 * ways, bytes mostly turn one long program into another that dies early; here steps are inserted,
 * repeated, moved and removed, and one operand is changed at a time, so that what an input has
 * reached is still reached.  Linked into each target with programs; the replay does not call it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shared/checked.h"
#include "tests/fuzz/program.h"

/* libFuzzer's own mutation, which knows what the code has compared; absent from the replay. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
                                 size_t size2, uint8_t *out, size_t max_size, unsigned seed);

struct mutation {
        uint8_t *data;
        size_t count, max; /* records */
        uint64_t state;
};

/* xorshift64. */
static uint64_t random64(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return *state;
}

static size_t pick(uint64_t *state, size_t n)
{
        return (size_t)(random64(state) >> 16) % n;
}

static uint8_t *record(const struct mutation *mutation, size_t index)
{
        return mutation->data + index * FUZZ_STEP_SIZE;
}

/* Numbers at which something often begins or ends. */
static uint64_t interesting(uint64_t *state)
{
        switch (pick(state, 6)) {
        case 0:
                return pick(state, 16);
        case 1:
                return UINT64_C(1) << pick(state, 64);
        case 2:
                return (UINT64_C(1) << pick(state, 64)) - 1;
        case 3:
                return random64(state);
        case 4:
                return random64(state) >> pick(state, 64);
        default:
                return (uint64_t)pick(state, 64) << VTD_PAGE_SHIFT;
        }
}

static void change_operand(struct mutation *mutation, uint8_t *step)
{
        static const struct {
                uint8_t offset, size;
        } operands[] = {{0, 1}, {1, 1}, {2, 2}, {4, 4}, {8, 8}, {8, 8}, {12, 4}};
        size_t which = pick(&mutation->state, VTD_ARRAY_SIZE(operands));
        uint8_t *operand = step + operands[which].offset;
        uint64_t value = 0;

        memcpy(&value, operand, operands[which].size);
        switch (pick(&mutation->state, 4)) {
        case 0:
                value ^= UINT64_C(1) << pick(&mutation->state, operands[which].size * 8u);
                break;
        case 1:
                value += pick(&mutation->state, 9) - UINT64_C(4);
                break;
        default:
                value = interesting(&mutation->state);
        }
        memcpy(operand, &value, operands[which].size);
}

static void make_step(struct mutation *mutation, uint8_t *step)
{
        uint64_t value[2] = {random64(&mutation->state), interesting(&mutation->state)};

        memcpy(step, value, FUZZ_STEP_SIZE);
        if (pick(&mutation->state, 2))
                memset(step + 4, 0, 4);
}

/* Makes room for @n records at @index, as far as there is any; how many fit. */
static size_t open_gap(struct mutation *mutation, size_t index, size_t n)
{
        size_t room = mutation->max - mutation->count;

        if (n > room)
                n = room;
        memmove(record(mutation, index + n), record(mutation, index),
                (mutation->count - index) * FUZZ_STEP_SIZE);
        mutation->count += n;
        return n;
}

static void insert_new(struct mutation *mutation)
{
        size_t index = pick(&mutation->state, mutation->count + 1);
        size_t n = open_gap(mutation, index, 1 + pick(&mutation->state, 3));

        for (size_t i = 0; i < n; i++)
                make_step(mutation, record(mutation, index + i));
}

static void repeat(struct mutation *mutation)
{
        uint8_t copy[8 * FUZZ_STEP_SIZE];
        size_t from = pick(&mutation->state, mutation->count);
        size_t left = mutation->count - from;
        size_t n = 1 + pick(&mutation->state, left < 8 ? left : 8);
        size_t to = pick(&mutation->state, mutation->count + 1);

        memcpy(copy, record(mutation, from), n * FUZZ_STEP_SIZE);
        n = open_gap(mutation, to, n);
        memcpy(record(mutation, to), copy, n * FUZZ_STEP_SIZE);
}

static void remove_some(struct mutation *mutation)
{
        size_t index = pick(&mutation->state, mutation->count);
        size_t left = mutation->count - index;
        size_t n = 1 + pick(&mutation->state, left < 4 ? left : 4);

        if (n == mutation->count)
                return;
        memmove(record(mutation, index), record(mutation, index + n), (left - n) * FUZZ_STEP_SIZE);
        mutation->count -= n;
}

static void swap(struct mutation *mutation)
{
        uint8_t *a = record(mutation, pick(&mutation->state, mutation->count));
        uint8_t *b = record(mutation, pick(&mutation->state, mutation->count));
        uint8_t copy[FUZZ_STEP_SIZE];

        memcpy(copy, a, sizeof(copy));
        memmove(a, b, sizeof(copy));
        memcpy(b, copy, sizeof(copy));
}

static void mutate(struct mutation *mutation)
{
        uint8_t *step = record(mutation, pick(&mutation->state, mutation->count));

        switch (pick(&mutation->state, 10)) {
        case 0:
        case 1:
                insert_new(mutation);
                break;
        case 2:
                repeat(mutation);
                break;
        case 3:
                remove_some(mutation);
                break;
        case 4:
                swap(mutation);
                break;
        case 5:
                if (LLVMFuzzerMutate)
                        (void)LLVMFuzzerMutate(step, FUZZ_STEP_SIZE, FUZZ_STEP_SIZE);
                break;
        default:
                change_operand(mutation, step);
        }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
        struct mutation mutation = {
                .data = data,
                .count = size / FUZZ_STEP_SIZE,
                .max = max_size / FUZZ_STEP_SIZE,
                .state = ((uint64_t)seed << 1 | 1) * UINT64_C(0x9e3779b97f4a7c15),
        };

        if (mutation.max > FUZZ_STEPS_MAX + 1)
                mutation.max = FUZZ_STEPS_MAX + 1;
        if (mutation.max == 0)
                return size;
        if (mutation.count > mutation.max)
                mutation.count = mutation.max;
        if (mutation.count == 0) {
                mutation.count = 1;
                memset(data, 0, FUZZ_STEP_SIZE);
        }
        for (size_t n = 1 + pick(&mutation.state, 4); n > 0; n--)
                mutate(&mutation);
        return mutation.count * FUZZ_STEP_SIZE;
}

/* The beginning of one and the end of the other: what was built up is then used otherwise. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
                                 size_t size2, uint8_t *out, size_t max_size, unsigned seed)
{
        uint64_t state = ((uint64_t)seed << 1 | 1) * UINT64_C(0x9e3779b97f4a7c15);
        size_t max = max_size / FUZZ_STEP_SIZE;
        size_t head = pick(&state, size1 / FUZZ_STEP_SIZE + 1);
        size_t skip = pick(&state, size2 / FUZZ_STEP_SIZE + 1);
        size_t tail = size2 / FUZZ_STEP_SIZE - skip;

        if (head > max)
                head = max;
        if (tail > max - head)
                tail = max - head;
        memcpy(out, data1, head * FUZZ_STEP_SIZE);
        memcpy(out + head * FUZZ_STEP_SIZE, data2 + skip * FUZZ_STEP_SIZE, tail * FUZZ_STEP_SIZE);
        return (head + tail) * FUZZ_STEP_SIZE;
}
