/* SPDX-License-Identifier: MIT */
/* See saboteur.h. */
#include "tests/diff/saboteur.h"

#include <string.h>

#include "tests/diff/builder.h"

#define REG_IQH 0x080u

#define DIRTY UINT64_C(0x40)

static const struct saboteur *saboteur_of(const struct diff_side *side)
{
        return (const struct saboteur *)side;
}

const char *saboteur_name(enum saboteur_kind kind)
{
        static const char *const names[SABOTEUR_KINDS] = {
                [SABOTEUR_REASON] = "a wrong fault reason is found",
                [SABOTEUR_ADDRESS] = "a wrong faulting address is found",
                [SABOTEUR_REQUESTER] = "a wrong requester id is found",
                [SABOTEUR_HEAD] = "a queue that is behind is found",
                [SABOTEUR_QUEUE] = "a missing queue error is found",
                [SABOTEUR_PENDING] = "a missing fault event is found",
                [SABOTEUR_RESULT] = "DMA that should have been blocked is found",
                [SABOTEUR_PLACE] = "wrong data of DMA are found",
                [SABOTEUR_DIRTY] = "a missing dirty bit is found",
                [SABOTEUR_STATUS] = "a missing wait status is found",
        };

        return names[kind];
}

static void flip(uint8_t *page, unsigned offset, uint32_t bits)
{
        uint32_t value;

        memcpy(&value, page + offset, sizeof(value));
        value ^= bits;
        memcpy(page + offset, &value, sizeof(value));
}

static uint32_t get(const uint8_t *page, unsigned offset)
{
        uint32_t value;

        memcpy(&value, page + offset, sizeof(value));
        return value;
}

static int registers(struct diff_side *side, uint8_t page[DIFF_PAGE_SIZE])
{
        const struct saboteur *saboteur = saboteur_of(side);
        int r = saboteur->inner->ops->registers(saboteur->inner, page);
        bool fault = r == 0 && (get(page, REG_FRCD + 12) >> 31);

        if (saboteur->kind == SABOTEUR_REASON && fault)
                flip(page, REG_FRCD + 12, 0x8);
        if (saboteur->kind == SABOTEUR_ADDRESS && fault)
                flip(page, REG_FRCD, PAGE_BYTES);
        if (saboteur->kind == SABOTEUR_REQUESTER && fault)
                flip(page, REG_FRCD + 8, 0x1);
        if (saboteur->kind == SABOTEUR_HEAD && get(page, REG_IQH) > 32)
                flip(page, REG_IQH, get(page, REG_IQH) ^ (get(page, REG_IQH) - 32));
        if (saboteur->kind == SABOTEUR_QUEUE)
                flip(page, REG_FSTS, get(page, REG_FSTS) & 0x10);
        if (saboteur->kind == SABOTEUR_PENDING)
                flip(page, REG_FECTL, get(page, REG_FECTL) & 0x40000000);
        return r;
}

static int take_step(struct diff_side *side, const struct diff_step *step,
                     struct diff_outcome *outcome)
{
        const struct saboteur *saboteur = saboteur_of(side);
        int r = saboteur->inner->ops->step(saboteur->inner, step, outcome);

        if (saboteur->kind == SABOTEUR_RESULT)
                outcome->completed = true;
        return r;
}

static int read_side(struct diff_side *side, uint64_t gpa, void *data, size_t size)
{
        const struct saboteur *saboteur = saboteur_of(side);
        int r = saboteur->inner->ops->read(saboteur->inner, gpa, data, size);
        uint8_t *bytes = data;

        /* Single pieces of DMA are read while a program runs, whole areas at its end. */
        if (saboteur->kind == SABOTEUR_PLACE && gpa >= DIFF_DATA && size > 1 && size < PAGE_BYTES)
                bytes[size - 1] ^= 0xff;
        if (saboteur->kind == SABOTEUR_STATUS && gpa == DIFF_STATUS)
                memset(data, 0, size);
        if (saboteur->kind == SABOTEUR_DIRTY && gpa < DIFF_TABLES + DIFF_TABLES_SIZE)
                for (size_t i = 0; i + 8 <= size; i += 8)
                        bytes[i] &= (uint8_t)~DIRTY;
        return r;
}

static int write_side(struct diff_side *side, uint64_t gpa, const void *data, size_t size)
{
        struct diff_side *inner = saboteur_of(side)->inner;

        return inner->ops->write(inner, gpa, data, size);
}

static int reset(struct diff_side *side, bool copier)
{
        struct diff_side *inner = saboteur_of(side)->inner;

        return inner->ops->reset(inner, copier);
}

static struct diff_side *free_nothing(struct diff_side *side)
{
        (void)side;
        return NULL;
}

static const struct diff_side_ops saboteur_ops = {
        .reset = reset,
        .step = take_step,
        .registers = registers,
        .read = read_side,
        .write = write_side,
        .free = free_nothing,
};

void saboteur_init(struct saboteur *saboteur, struct diff_side *inner, enum saboteur_kind kind)
{
        *saboteur = (struct saboteur){.side = {&saboteur_ops}, .inner = inner, .kind = kind};
}
