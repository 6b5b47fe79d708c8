/* SPDX-License-Identifier: MIT */
/* See program.h.  Little-endian, like the only machine that this is built for. */
#include "tests/fuzz/program.h"

#include <string.h>

_Static_assert(sizeof(struct fuzz_step) == FUZZ_STEP_SIZE, "a step is copied as it is");

bool fuzz_program_get(const uint8_t *data, size_t size, size_t index, struct fuzz_step *step)
{
        if (index > FUZZ_STEPS_MAX || index >= size / FUZZ_STEP_SIZE)
                return false;
        memcpy(step, data + index * FUZZ_STEP_SIZE, sizeof(*step));
        return true;
}
