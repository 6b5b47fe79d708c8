/* SPDX-License-Identifier: MIT */
/*
 * The guest's tables: root, context, PASID directory and PASID tables with any content, well-formed
 * ones with bits flipped, changed between the reads of one walk, for devices with and without PASIDs.
 * Begins with translation enabled.
 */
#include "shared/checked.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/steps.h"

/* All directory entries of a device aim at one table, or at tables in turn. */
static void spread(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        unsigned count = step->b % 128u;

        for (unsigned i = 0; i < count; i++)
                fuzz_put64(fuzz, fuzz_directory_gpa(step->a) + i * 8u,
                           (FUZZ_TABLES +
                            (step->c + (step->d & 1) * i) % FUZZ_TABLES_COUNT * VTD_PAGE_SIZE) |
                                   1);
}

/* The same entry for many PASIDs of a table. */
static void fill(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        uint64_t table = FUZZ_TABLES + step->a % FUZZ_TABLES_COUNT * VTD_PAGE_SIZE;
        uint64_t type = step->c & 1 ? 0x49 : step->c & 2 ? 0x109 : 0;

        for (unsigned i = step->b & 63; i < 64 && i <= (step->b >> 6 & 63u); i++) {
                fuzz_put64(fuzz, table + i * 64u + 8, step->c >> 2 & 3);
                fuzz_put64(fuzz, table + i * 64u + 16,
                           step->c & 1 ? FUZZ_FIRST_STAGE + (step->d & 3) * VTD_PAGE_SIZE : 0);
                fuzz_put64(fuzz, table + i * 64u, type);
        }
}

/* Context cache and PASID cache, as a driver invalidates them: by device, domain, PASID or all. */
static void announce(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        static const uint8_t templates[] = {0, 2, 15, 16, 16, 17};
        struct fuzz_step descriptor = *step;

        descriptor.a = templates[step->a % VTD_ARRAY_SIZE(templates)];
        descriptor.b = 0;
        fuzz_step_descriptor(fuzz, &descriptor);
        if (step->b & 1)
                fuzz_settle(fuzz, 16);
}

static const fuzz_operation operations[] = {
        fuzz_step_entry,
        fuzz_step_entry,
        fuzz_step_entry,
        fuzz_step_store,
        fuzz_step_store_later,
        announce,
        announce,
        fuzz_step_run,
        fuzz_step_run,
        fuzz_step_command,
        fuzz_step_broker,
        fuzz_step_vmm,
        spread,
        fill,
        fuzz_step_descriptor,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fuzz_unit_play(data, size, fuzz_begin_enabled, operations, VTD_ARRAY_SIZE(operations));
        return 0;
}
