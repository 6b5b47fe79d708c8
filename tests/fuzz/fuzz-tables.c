/* SPDX-License-Identifier: MIT */
/*
 * The guest's tables: root, context, PASID directory and PASID tables with any content, well-formed
 * ones with bits flipped, changed between the reads of one walk, for devices with and without PASIDs.
 * Begins with translation enabled.
 */
#include "shared/checked.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/steps.h"

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
        fuzz_step_entry,  fuzz_step_entry, fuzz_step_entry,  fuzz_step_store, fuzz_step_store_later,
        announce,         announce,        fuzz_step_run,    fuzz_step_run,   fuzz_step_command,
        fuzz_step_broker, fuzz_step_vmm,   fuzz_step_spread, fuzz_step_fill,  fuzz_step_descriptor,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fuzz_unit_play(data, size, fuzz_begin_enabled, operations, VTD_ARRAY_SIZE(operations));
        return 0;
}
