/* SPDX-License-Identifier: MIT */
/*
 * The register page: reads and writes of any offset, size and value, in any order, between runs with
 * any budget, stores to guest memory and what the VMM and the broker do.  Begins at reset or, as the
 * scene says, with translation enabled; the driver's own steps are there so that the rest happens to
 * a unit in every state.
 */
#include "shared/checked.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/steps.h"

static const fuzz_operation operations[] = {
        fuzz_step_write,   fuzz_step_write, fuzz_step_read,       fuzz_step_run,
        fuzz_step_run,     fuzz_step_store, fuzz_step_broker,     fuzz_step_vmm,
        fuzz_step_command, fuzz_step_entry, fuzz_step_descriptor,
};

static void begin(struct fuzz_unit *fuzz, const struct fuzz_step *scene)
{
        if (scene->operation & 1)
                fuzz_begin_enabled(fuzz, scene);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fuzz_unit_play(data, size, begin, operations, VTD_ARRAY_SIZE(operations));
        return 0;
}
