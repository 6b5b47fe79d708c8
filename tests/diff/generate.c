/* SPDX-License-Identifier: MIT */
/*
 * Programs: a set-up as a driver makes it, then a random sequence of what drivers do, right and
 * wrong.  What is broken is mended again, so that one program comes to many cases.
 *
 * Not in programs, because the architecture leaves the result open or the two units are different
 * machines there: DMA through entries that were changed and not invalidated, except where both
 * results that are possible can be told (do_stale); legacy table mode; commands of GCMD together with
 * others (but for repeated ones); a queue changed while it is enabled; reads in the interrupt
 * range.  Nor are requests with PASID, which no device of QEMU makes.
 */
#include <string.h>

#include "shared/checked.h"
#include "tests/diff/actions.h"

#define ROUNDS 14u

#define PASIDE UINT64_C(0x8) /* in context entries */

static uint64_t mix(uint64_t seed)
{
        /* Neighbouring seeds must not give similar programs; and the state must not be 0. */
        seed = (seed + UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
        seed ^= seed >> 29;
        return seed | UINT64_C(0x1000000000000);
}

static void build_spaces(struct builder *builder, enum diff_setup setup)
{
        for (unsigned i = 0; i < SPACES; i++) {
                struct space *space = &builder->spaces[i];

                /* A space in the last place often, so that tables and pass-through meet. */
                if (once_in(builder, 4))
                        space->type = SPACE_PASSTHROUGH;
                else
                        space->type =
                                setup == DIFF_SECOND_STAGE ? SPACE_SECOND_STAGE : SPACE_FIRST_STAGE;
                space->levels = space->type == SPACE_SECOND_STAGE && once_in(builder, 2) ? 3 : 4;
                space->domain_id = (uint16_t)(1 + i * 7 + below(builder, 7));
                if (space->type == SPACE_PASSTHROUGH)
                        continue;
                space->root = new_page(builder);
                for (unsigned n = 1 + (unsigned)below(builder, 6); n > 0; n--)
                        (void)map_page(builder, space,
                                       once_in(builder, 5)   ? 21
                                       : once_in(builder, 8) ? 30
                                                             : 12);
        }
}

static void build_paths(struct builder *builder, enum diff_setup setup)
{
        uint64_t contexts[4] = {0};
        uint64_t directory = 0, table = 0;

        builder->root_table = new_page(builder);
        for (unsigned i = 0; i < DIFF_DEVICES; i++) {
                struct path *path = &builder->paths[i];
                unsigned rid = diff_devices[i].rid, half = rid >> 7 & 1;
                uint64_t *context = &contexts[(rid >> 8 ? 2 : 0) + half];

                path->root_entry = builder->root_table + (rid >> 8) * 16 + half * 8;
                if (*context == 0) {
                        *context = new_page(builder);
                        put64(builder, path->root_entry, *context | 1);
                }
                path->root_value = *context | 1;
                path->space = (unsigned)below(builder, SPACES);
                path->context_entry = *context + (rid & 0x7f) * 32;
                /* Some devices share a directory, and with it their space. */
                if (directory != 0 && once_in(builder, 4)) {
                        path->space = builder->paths[i - 1].space;
                } else {
                        directory = new_page(builder);
                        table = new_page(builder);
                        put64(builder, directory, table | 1);
                }
                path->directory_entry = directory;
                path->directory_value = table | 1;
                path->pasid_entry = table;
                path->context_value = directory | below(builder, 3) << 9 | 1;
                if (setup == DIFF_PASIDS && once_in(builder, 2))
                        path->context_value |= PASIDE;
                put64(builder, path->context_entry, path->context_value);
                put_pasid_entry(builder, i);
        }
}

static void set_up(struct builder *builder, enum diff_setup setup)
{
        builder->queue_order = (unsigned)below(builder, 2);
        builder->queue = new_page(builder);
        if (builder->queue_order == 1)
                (void)new_page(builder);
        build_spaces(builder, setup);
        build_paths(builder, setup);
        put_register(builder, REG_FECTL, 4, once_in(builder, 2) ? 0 : 0x80000000, false);
        if (once_in(builder, 2)) {
                start_queue(builder);
                set_root(builder);
        } else {
                set_root(builder);
                start_queue(builder);
        }
        if (once_in(builder, 4))
                use(builder, any_device(builder));
        invalidate_all(builder);
        put_command(builder, GCMD_TE, 0);
}

/* What rounds do, and how often among so many. */
static const struct {
        unsigned weight;
        void (*act)(struct builder *builder);
} actions[] = {
        {8, do_map},          {12, do_change_mapping},
        {4, do_change_block}, {6, do_break_table},
        {8, do_break_path},   {4, do_copy},
        {4, do_stale},        {1, do_message},
        {4, do_fault},        {8, do_switch},
        {8, do_descriptors},  {4, do_bad_descriptor},
        {4, do_bad_tail},     {1, do_wrap},
        {8, do_events},       {4, do_command},
        {4, do_sweep},        {4, use_all},
};

static void act(struct builder *builder)
{
        unsigned total = 0, chosen;
        size_t i = 0;

        for (size_t n = 0; n < VTD_ARRAY_SIZE(actions); n++)
                total += actions[n].weight;
        for (chosen = (unsigned)below(builder, total); chosen >= actions[i].weight; i++)
                chosen -= actions[i].weight;
        actions[i].act(builder);
}

void diff_generate(struct diff_program *program, enum diff_setup setup, uint64_t seed)
{
        struct builder builder = {
                .program = program,
                .random = mix(seed * DIFF_SETUPS + setup),
                .next_page = DIFF_TABLES,
                .pages_end = DIFF_TABLES + DIFF_TABLES_SIZE,
        };

        memset(program, 0, sizeof(*program));
        program->seed = seed;
        program->setup = setup;
        set_up(&builder, setup);
        use(&builder, any_device(&builder));
        for (unsigned i = 0; i < ROUNDS && has_room(&builder, 40); i++) {
                builder.group++;
                act(&builder);
        }
        builder.group++;
        if (once_in(&builder, 32))
                do_part(&builder);
}
