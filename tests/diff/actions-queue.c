/* SPDX-License-Identifier: MIT */
/* See actions.h: actions on the invalidation queue and on registers. */
#include "tests/diff/actions.h"

#include "shared/checked.h"

void start_queue(struct builder *builder)
{
        const uint64_t wide = 0x800;

        put_register(builder, REG_IQT, 4, 0, true);
        builder->tail = 0;
        /* QEMU shows it once the queue is enabled. */
        put_register(builder, REG_IQA, 8, builder->queue | wide | builder->queue_order, true);
        put_command(builder, GCMD_QIE, 0);
}

/* Drained, and with a wait at its end: QEMU disables no other (deviation 18). */
static void stop_queue(struct builder *builder)
{
        put_wait(builder);
        put_command(builder, 0, GCMD_QIE);
}

void set_root(struct builder *builder)
{
        const uint64_t scalable = 0x400;

        put_register(builder, REG_RTADDR, 8, builder->root_table | scalable, false);
        put_command(builder, GCMD_SRTP, 0);
}

void do_descriptors(struct builder *builder)
{
        for (unsigned n = 1 + (unsigned)below(builder, 3); n > 0; n--) {
                uint64_t domain = below(builder, 32) << 16;
                uint64_t device = (uint64_t)diff_devices[any_device(builder)].rid;

                switch (below(builder, 8)) {
                case 0:
                        put_descriptor(builder, 0x31 | device << 32 | below(builder, 4) << 48, 0);
                        break;
                case 1:
                        put_descriptor(builder, 0x21 | domain, 0);
                        break;
                case 2:
                        put_descriptor(builder, 0x04 | below(builder, 2) << 4, 0);
                        break;
                case 3:
                        put_descriptor(builder, 0x03 | device << 32, UINT64_C(0x7ffffffffffff001));
                        break;
                case 4:
                        put_descriptor(builder, 0x08 | device << 16, UINT64_C(0x7ffffffffffff800));
                        break;
                case 5:
                        put_descriptor(builder, 0x32 | domain,
                                       below(builder, 1u << 20) << 12 | below(builder, 19));
                        break;
                case 6: /* fence */
                        put_descriptor(builder, 0x45 | UINT64_C(2) << 32, 0);
                        break;
                default:
                        put_descriptor(builder, 0x36 | domain | below(builder, 4) << 32,
                                       below(builder, 1u << 20) << 12 | below(builder, 19));
                        break;
                }
        }
        put_wait(builder);
        use(builder, any_device(builder));
}

/* A descriptor that is in error, and how a driver goes on: it replaces it and clears IQE. */
void do_bad_descriptor(struct builder *builder)
{
        static const uint64_t good[] = {0x11, 0x31, 0x12, 0x22, 0x32, 0x03, 0x04, 0x25,
                                        0x26, 0x36, 0x07, 0x17, 0x37, 0x08, 0x00};
        uint64_t first = good[below(builder, VTD_ARRAY_SIZE(good))], second = 0;
        uint32_t slot = builder->tail;

        if (once_in(builder, 2))
                first ^= UINT64_C(1) << below(builder, 64);
        if (once_in(builder, 2))
                second = UINT64_C(1) << below(builder, 64);
        if ((first & 0xf) == 5)
                first |= UINT64_C(7) << 32;
        if ((first & 0xf) == 5 && (first & 0x20))
                second |= DIFF_STATUS;
        /* Both in error, but only QEMU raises the event (deviation 32). */
        if ((first & 0xf) == 5 && second > DIFF_RAM_SIZE)
                first &= ~UINT64_C(0x10);
        put_descriptor(builder, first, second);
        if (once_in(builder, 8)) /* the upper half */
                put64(builder, builder->queue + slot + 16 + below(builder, 2) * 8, 1);
        put_wait(builder);
        put_words(builder, builder->queue + slot, (const uint64_t[4]){0x11}, 4)->descriptor = true;
        put_register(builder, REG_FSTS, 4, 0x10, !once_in(builder, 16));
        kick(builder, false);
}

void do_bad_tail(struct builder *builder)
{
        uint32_t size = PAGE_BYTES << builder->queue_order;

        put_register(builder, REG_IQT, 4,
                     once_in(builder, 8) ? builder->tail + 16
                                         : size + (uint32_t)below(builder, 64) * 32,
                     false);
        /* A queue that goes on when IQE is cleared comes to the same error again. */
        put_register(builder, REG_FSTS, 4, 0x10, true);
        kick(builder, true);
        put_register(builder, REG_FSTS, 4, 0x10, true);
        put_wait(builder);
}

/* Enough descriptors without effect that the queue begins anew. */
void do_wrap(struct builder *builder)
{
        unsigned entries = (PAGE_BYTES << builder->queue_order) / 32;
        unsigned left = entries - builder->tail / 32;

        if (!has_room(builder, 40 + left))
                return;
        for (; left > 0; left--)
                put_descriptor(builder, 0x04, 0);
        kick(builder, false);
        put_wait(builder);
}

/*
 * Data of an event's message, with fixed delivery: others, such as NMI, wake up a CPU that QEMU has
 * halted and that is to stay so.
 */
static uint64_t any_data(struct builder *builder)
{
        return below(builder, UINT64_C(1) << 32) & ~UINT64_C(0x700);
}

void do_events(struct builder *builder)
{
        switch (below(builder, 7)) {
        case 0:
                put_register(builder, REG_FECTL, 4, below(builder, 2) << 31, false);
                break;
        case 1:
                put_register(builder, REG_IECTL, 4, below(builder, 2) << 31, false);
                break;
        case 2:
                put_register(builder, REG_FEDATA, 4, any_data(builder), false);
                put_register(builder, REG_FEADDR, once_in(builder, 3) ? 8 : 4,
                             UINT64_C(0xfee00000) | below(builder, 0x100000), false);
                break;
        case 3:
                put_register(builder, REG_IEDATA, 4, any_data(builder), false);
                put_register(builder, REG_IEADDR, 4,
                             UINT64_C(0xfee00000) | below(builder, 0x100000), false);
                break;
        case 4: /* waits with an event, the second of which meets IWC */
                for (unsigned i = 0; i < 2; i++) {
                        put_descriptor(builder, 0x35 | UINT64_C(3) << 32, DIFF_STATUS + 4);
                        kick(builder, false);
                        if (once_in(builder, 2))
                                break;
                        put_register(builder, REG_IECTL, 4, 0, false);
                        put_register(builder, REG_IECTL, 4, UINT32_C(0x80000000), false);
                }
                break;
        case 5:
                put_register(builder, REG_ICS, 4, below(builder, 4), false);
                break;
        default:
                clear_faults(builder);
                break;
        }
}

void do_command(struct builder *builder)
{
        static const uint32_t absent[] = {0, GCMD_SFL, GCMD_EAFL, GCMD_WBF, GCMD_CFI};

        switch (below(builder, 4)) {
        case 0:
                put_command(builder, 0, GCMD_TE);
                (void)put_dma(builder, any_device(builder), DIFF_DATA + below(builder, 4096), 16);
                put_command(builder, once_in(builder, 2) ? GCMD_TE : GCMD_TE | GCMD_SRTP, 0);
                break;
        case 1:
                put_command(builder, GCMD_SRTP, 0);
                break;
        case 2:
                stop_queue(builder);
                builder->queue_order = builder->queue_order & 1 & below(builder, 2);
                start_queue(builder);
                break;
        default: /* what is in force, and commands of capabilities that are not offered */
                put_register(builder, REG_GCMD, 4, builder->command | absent[below(builder, 5)],
                             false);
                break;
        }
        use(builder, any_device(builder));
}

/* Where the two units part for good, so that nothing comes after it: deviations 16, 18 and 25. */
void do_part(struct builder *builder)
{
        const uint64_t abort_mode = 0xc00;
        const uint64_t wait[2] = {0x25 | UINT64_C(1) << 32, DIFF_STATUS};

        clear_faults(builder);
        switch (below(builder, 3)) {
        case 0:
                put_register(builder, REG_RTADDR, 8, builder->root_table | abort_mode, false);
                put_command(builder, GCMD_SRTP, 0);
                use(builder, any_device(builder));
                break;
        case 1:
                put_descriptor(builder, 0x11, 0);
                kick(builder, false);
                put_command(builder, 0, GCMD_QIE);
                break;
        default:
                stop_queue(builder);
                put_register(builder, REG_IQT, 4, 0, true);
                put_register(builder, REG_IQA, 8, builder->queue, true);
                put_command(builder, GCMD_QIE, 0);
                (void)put_words(builder, builder->queue, wait, 2);
                put_register(builder, REG_IQT, 4, 16, false);
                break;
        }
}

/* Registers that can be written without consequences, and those that cannot be written. */
void do_sweep(struct builder *builder)
{
        static const uint16_t harmless[] = {0x000, 0x008, 0x010, 0x01c, 0x040, 0x044, 0x058,
                                            0x064, 0x068, 0x06c, 0x070, 0x078, 0x080, 0x0a8,
                                            0x0ac, 0x0b0, 0x0c0, 0x0c8, 0x0d0, 0x0dc, 0x0e0,
                                            0x100, 0x200, 0x220, 0x224, 0x228};

        for (unsigned n = 1 + (unsigned)below(builder, 4); n > 0; n--) {
                unsigned offset = harmless[below(builder, VTD_ARRAY_SIZE(harmless))];
                uint64_t value = below(builder, UINT64_C(1) << 53) * 2049;
                bool wide = offset % 8 == 0 && offset != 0x228 && once_in(builder, 2);

                put_register(builder, offset, wide ? 8 : 4, value, false);
        }
        for (unsigned n = 1 + (unsigned)below(builder, 3); n > 0; n--) {
                unsigned size = once_in(builder, 2) ? 4 : 8;

                put_read(builder, (unsigned)below(builder, 0x230 / size) * size, size);
        }
}
