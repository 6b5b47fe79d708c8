/* SPDX-License-Identifier: MIT */
/*
 * This project's side: the frontend without a broker, RAM, and devices that behave as QEMU's
 * iommu-testdev and edu do.
 */
#include "tests/diff/side.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "frontend/include/vtd/dma.h"
#include "shared/checked.h"
#include "shared/error.h"

#define BUDGET  100000u /* more than a program's queue and tables hold */
#define PAGE    4096u
#define PATTERN UINT32_C(0x12345678) /* of iommu-testdev */
#define PAGES   (DIFF_RAM_SIZE / PAGE)

struct unit {
        struct diff_side side;
        struct vtd_frontend *frontend;
        uint8_t *memory;
        uint8_t written[PAGES];
        uint8_t buffer[DIFF_BUFFER_SIZE]; /* the copier's */
        struct diff_piece pieces[DIFF_PIECES_MAX];
        unsigned piece_count;
        uint64_t faults;
};

static struct unit *unit_of(const struct diff_side *side)
{
        return (struct unit *)(uintptr_t)side;
}

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        const struct unit *unit = opaque;

        if (gpa >= DIFF_RAM_SIZE || size > DIFF_RAM_SIZE - gpa)
                return -EFAULT;
        memcpy(data, unit->memory + gpa, size);
        return 0;
}

static int write_memory(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        struct unit *unit = opaque;

        if (gpa >= DIFF_RAM_SIZE || size > DIFF_RAM_SIZE - gpa)
                return -EFAULT;
        memcpy(unit->memory + gpa, data, size);
        for (uint64_t page = gpa / PAGE; page <= (gpa + size - 1) / PAGE; page++)
                unit->written[page] = 1;
        return 0;
}

static int compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                            uint64_t *found)
{
        int r = read_memory(opaque, gpa, found, sizeof(*found));

        return r == 0 && *found == expected ? write_memory(opaque, gpa, &desired, sizeof(desired))
                                            : r;
}

/* Whether it was sent is seen in the pending bits. */
static void send_message(void *opaque, uint64_t address, uint32_t data)
{
        (void)opaque;
        (void)address;
        (void)data;
}

/* The guest's mistakes, which the programs are made of. */
static void drop_line(void *opaque, enum vtd_frontend_log_level level, const char *line)
{
        (void)opaque;
        (void)level;
        (void)line;
}

static int settle(struct unit *unit)
{
        return vtd_frontend_run(unit->frontend, BUDGET) == VTD_FRONTEND_IDLE ? 0 : -ELOOP;
}

static int reset(struct diff_side *side, bool copier)
{
        struct unit *unit = unit_of(side);

        (void)copier;
        for (size_t page = 0; page < PAGES; page++)
                if (unit->written[page])
                        memset(unit->memory + page * PAGE, 0, PAGE);
        memset(unit->written, 0, sizeof(unit->written));
        memset(unit->buffer, 0, sizeof(unit->buffer));
        unit->piece_count = 0;
        unit->faults = 0;
        vtd_frontend_reset(unit->frontend);
        return settle(unit);
}

/*
 * One piece of an access, up to where a page may end; *@size is cut to it.
 * Returns 0 with *@gpa; VTD_FRONTEND_FAULTED and _INTERRUPT as vtd_frontend_translate().
 */
static int translate(struct unit *unit, const struct vtd_frontend_access *access, uint16_t rid,
                     unsigned kind, uint64_t address, uint32_t *size, uint64_t *gpa)
{
        const struct vtd_frontend_dma_request request = {
                .rid = rid, .access = kind, .address = address, .size = *size};
        struct vtd_frontend_dma_translation block;
        uint64_t left;
        int r;

        r = vtd_frontend_translate(unit->frontend, access, &request, &block);
        if (r != 0) {
                left = PAGE - address % PAGE;
        } else {
                *gpa = block.translated + (address - block.address);
                left = block.size - (address - block.address);
        }
        if (*size > left)
                *size = (uint32_t)left;
        return r;
}

static int transfer(struct unit *unit, unsigned kind, uint64_t gpa, uint8_t *data, uint32_t size)
{
        if (kind == VTD_FRONTEND_DMA_READ)
                return read_memory(unit, gpa, data, size);
        if (gpa < DIFF_RAM_SIZE && unit->piece_count < DIFF_PIECES_MAX)
                unit->pieces[unit->piece_count++] = (struct diff_piece){.gpa = gpa, .size = size};
        return write_memory(unit, gpa, data, size);
}

/*
 * As QEMU's devices access memory: an access goes on behind a piece that failed, and what could not
 * be read is zero.
 */
static int access_memory(struct unit *unit, uint16_t rid, unsigned kind, uint64_t address,
                         uint8_t *data, uint32_t size, bool *completed)
{
        struct vtd_frontend_access access;

        *completed = true;
        unit->piece_count = 0;
        vtd_frontend_access_begin(unit->frontend, &access);
        while (size > 0) {
                uint64_t gpa = 0;
                uint32_t piece = size;
                int r = translate(unit, &access, rid, kind, address, &piece, &gpa);

                bool arrived;

                if (r < 0) {
                        vtd_frontend_access_end(unit->frontend, &access);
                        return r;
                }
                if (r == VTD_FRONTEND_FAULTED)
                        unit->faults++;
                /* A message is taken, whether it makes sense or not. */
                arrived = r == VTD_FRONTEND_INTERRUPT ||
                          (r == 0 && transfer(unit, kind, gpa, data, piece) == 0);
                if (!arrived && kind == VTD_FRONTEND_DMA_READ)
                        memset(data, 0, piece);
                *completed &= arrived;
                address += piece;
                data += piece;
                size -= piece;
        }
        vtd_frontend_access_end(unit->frontend, &access);
        return 0;
}

static int dma(struct unit *unit, const struct diff_step *step, struct diff_outcome *outcome)
{
        const uint16_t rid = diff_devices[step->device].rid;
        uint8_t pattern[DIFF_PIECE_SIZE_MAX];

        if (step->kind == DIFF_COPY_IN)
                return access_memory(unit, rid, VTD_FRONTEND_DMA_READ, step->address,
                                     unit->buffer + step->offset, step->length,
                                     &outcome->completed);
        if (step->kind == DIFF_COPY_OUT)
                return access_memory(unit, rid, VTD_FRONTEND_DMA_WRITE, step->address,
                                     unit->buffer + step->offset, step->length,
                                     &outcome->completed);
        for (uint32_t i = 0; i < step->length; i++)
                pattern[i] = (uint8_t)(PATTERN >> (i % 4 * 8));
        return access_memory(unit, rid, VTD_FRONTEND_DMA_WRITE, step->address, pattern,
                             step->length, &outcome->completed);
}

static int take_step(struct diff_side *side, const struct diff_step *step,
                     struct diff_outcome *outcome)
{
        struct unit *unit = unit_of(side);

        *outcome = (struct diff_outcome){0};
        switch (step->kind) {
        case DIFF_MEMORY:
                return write_memory(unit, step->address, step->words,
                                    step->size * sizeof(step->words[0]));
        case DIFF_WRITE:
                vtd_frontend_write(unit->frontend, step->address, step->size, step->words[0]);
                return settle(unit);
        case DIFF_READ:
                outcome->value = vtd_frontend_read(unit->frontend, step->address, step->size);
                return 0;
        case DIFF_DMA:
        case DIFF_COPY_IN:
        case DIFF_COPY_OUT:
                return dma(unit, step, outcome);
        }
        return -EINVAL;
}

static int registers(struct diff_side *side, uint8_t page[DIFF_PAGE_SIZE])
{
        struct unit *unit = unit_of(side);

        for (unsigned offset = 0; offset < DIFF_PAGE_SIZE; offset += 4) {
                uint32_t value = (uint32_t)vtd_frontend_read(unit->frontend, offset, 4);

                memcpy(page + offset, &value, sizeof(value));
        }
        return 0;
}

static int read_side(struct diff_side *side, uint64_t gpa, void *data, size_t size)
{
        return read_memory(unit_of(side), gpa, data, size);
}

static int write_side(struct diff_side *side, uint64_t gpa, const void *data, size_t size)
{
        return write_memory(unit_of(side), gpa, data, size);
}

static struct diff_side *unit_free(struct diff_side *side)
{
        struct unit *unit = unit_of(side);

        if (!unit)
                return NULL;
        unit->frontend = vtd_frontend_free(unit->frontend);
        if (unit->memory)
                (void)munmap(unit->memory, DIFF_RAM_SIZE);
        free(unit);
        return NULL;
}

static const struct diff_side_ops unit_ops = {
        .reset = reset,
        .step = take_step,
        .registers = registers,
        .read = read_side,
        .write = write_side,
        .free = unit_free,
};

/* What QEMU offers in the same setup, as far as this unit has it. */
static void configure(struct vtd_frontend_config *config, enum diff_setup setup)
{
        config->caching_mode = false;
        config->host_address_bits = 48;
        if (setup == DIFF_SECOND_STAGE) {
                config->first_stage = false;
                config->second_stage_widths = VTD_FRONTEND_WIDTH_39 | VTD_FRONTEND_WIDTH_48;
                return;
        }
        config->first_stage_1gib = true;
        if (setup == DIFF_PASIDS)
                config->pasid_bits = 8;
}

int unit_new(struct diff_side **out, enum diff_setup setup)
{
        const struct vtd_frontend_callbacks callbacks = {
                .read_memory = read_memory,
                .write_memory = write_memory,
                .compare_exchange = compare_exchange,
                .send_message = send_message,
                .log = drop_line,
        };
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        struct unit *unit = calloc(1, sizeof(*unit));
        int r;

        if (!unit)
                return -ENOMEM;
        unit->side.ops = &unit_ops;
        configure(&config, setup);
        unit->memory = mmap(NULL, DIFF_RAM_SIZE, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (unit->memory == MAP_FAILED) {
                r = vtd_errno();
                unit->memory = NULL;
        } else {
                r = vtd_frontend_new(&unit->frontend, &config, &callbacks, unit);
        }
        if (r != 0) {
                (void)unit_free(&unit->side);
                return r;
        }
        *out = &unit->side;
        return 0;
}

unsigned unit_pieces(const struct diff_side *side, struct diff_piece pieces[DIFF_PIECES_MAX])
{
        const struct unit *unit = unit_of(side);

        memcpy(pieces, unit->pieces, unit->piece_count * sizeof(pieces[0]));
        return unit->piece_count;
}

uint64_t unit_faults(const struct diff_side *side)
{
        return unit_of(side)->faults;
}

int unit_clear_like(const struct diff_side *side, struct diff_side *other)
{
        static const uint8_t zero[PAGE];
        const struct unit *unit = unit_of(side);
        int r = 0;

        for (size_t page = 0; page < PAGES && r == 0; page++)
                if (unit->written[page])
                        r = other->ops->write(other, page * PAGE, zero, sizeof(zero));
        return r;
}
