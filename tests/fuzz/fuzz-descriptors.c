/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue: descriptors of all types, as a driver writes them and with bits flipped, in
 * both widths and all table modes, against devices and PASIDs that are bound in the meantime, with a
 * broker that delays and refuses.  Begins with translation enabled and one device bound.
 */
#include "shared/checked.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/steps.h"

/* IQA and the root pointer are latched: another width or mode needs the queue switched off and on. */
static void change_queue(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        uint64_t mode = step->a & 1 ? 0x400 : (uint64_t)(step->a >> 1 & 3) << 10;
        uint64_t width = step->b & 1 ? 0x800 : 0;

        fuzz_command(fuzz, 0, VTD_GCMD_QIE);
        fuzz_settle(fuzz, 4);
        fuzz_write(fuzz, VTD_REG_RTADDR, 8, FUZZ_ROOT_TABLE | mode);
        fuzz_command(fuzz, VTD_GCMD_SRTP, 0);
        fuzz_settle(fuzz, 4);
        fuzz_write(fuzz, VTD_REG_IQA, 8, FUZZ_QUEUE | width | (step->b >> 1 & 1));
        fuzz_write(fuzz, VTD_REG_IQT, 4, 0);
        fuzz_command(fuzz, VTD_GCMD_QIE, 0);
        fuzz_settle(fuzz, 4);
        fuzz->tail = 0;
}

/* As a driver does after a queue error: the offending descriptor becomes a harmless one. */
static void recover(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        uint64_t head = vtd_frontend_read(fuzz->unit, VTD_REG_IQH, 4);

        if (step->a & 1)
                for (unsigned i = 0; i < 4; i++)
                        fuzz_put64(fuzz, FUZZ_QUEUE + head + i * 8u, i == 0 ? 0x45 : 0);
        fuzz_write(fuzz, VTD_REG_FSTS, 4, VTD_FSTS_IQE);
}

/* Page-selective invalidations in a row, as many as b says: more than one request carries. */
static void queue_pages(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        unsigned count = step->b % 160u;

        for (unsigned i = 0; i < count; i++) {
                uint64_t page = (step->d + (uint64_t)i * (1 + step->a % 4u)) & 0xfffffffff;
                uint64_t leaf = (step->a >> 2 & i & 1) << 6, mask = step->c >> 2 & 3;

                fuzz_put64(fuzz, FUZZ_QUEUE + fuzz->tail, 0x36 | (uint64_t)(step->c & 3) << 16);
                fuzz_put64(fuzz, FUZZ_QUEUE + fuzz->tail + 8, page << 12 | leaf | mask);
                fuzz_put64(fuzz, FUZZ_QUEUE + fuzz->tail + 16, 0);
                fuzz_put64(fuzz, FUZZ_QUEUE + fuzz->tail + 24, 0);
                fuzz->tail = (fuzz->tail + 32) % 8192;
        }
        fuzz_write(fuzz, VTD_REG_IQT, 4, fuzz->tail);
}

static const fuzz_operation operations[] = {
        fuzz_step_descriptor,
        fuzz_step_descriptor,
        fuzz_step_descriptor,
        fuzz_step_run,
        fuzz_step_run,
        fuzz_step_entry,
        fuzz_step_broker,
        fuzz_step_vmm,
        fuzz_step_write,
        fuzz_step_store,
        fuzz_step_command,
        change_queue,
        recover,
        queue_pages,
        fuzz_step_store_later,
        fuzz_step_fill,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fuzz_unit_play(data, size, fuzz_begin_enabled, operations, VTD_ARRAY_SIZE(operations));
        return 0;
}
