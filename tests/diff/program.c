/* SPDX-License-Identifier: MIT */
/* See program.h. */
#include "tests/diff/program.h"

#include <inttypes.h>

const struct diff_device diff_devices[DIFF_DEVICES] = {
        {DIFF_WRITER, 0x0020}, /* 00:04.0 */
        {DIFF_WRITER, 0x0022}, /* 00:04.2, which function masks take together with it */
        {DIFF_WRITER, 0x0090}, /* 00:12.0, in the upper half of its bus */
        {DIFF_WRITER, 0x3a00}, /* 3a:00.0, behind a bridge */
        {DIFF_COPIER, 0x0068}, /* 00:0d.0 */
};

const char *diff_setup_name(enum diff_setup setup)
{
        static const char *const names[DIFF_SETUPS] = {
                [DIFF_FIRST_STAGE] = "first-stage",
                [DIFF_PASIDS] = "pasids",
                [DIFF_SECOND_STAGE] = "second-stage",
        };

        return names[setup];
}

void diff_step_print(const struct diff_program *program, unsigned index, FILE *out)
{
        const struct diff_step *step = &program->steps[index];
        const unsigned rid = diff_devices[step->device].rid;

        fprintf(out, "  %3u  ", index);
        switch (step->kind) {
        case DIFF_MEMORY:
                fprintf(out, "memory   %#" PRIx64 " =", step->address);
                for (unsigned i = 0; i < step->size; i++)
                        fprintf(out, " %#" PRIx64, step->words[i]);
                break;
        case DIFF_WRITE:
                fprintf(out, "write    %#05" PRIx64 " (%u bytes) = %#" PRIx64, step->address,
                        step->size, step->words[0]);
                break;
        case DIFF_READ:
                fprintf(out, "read     %#05" PRIx64 " (%u bytes)", step->address, step->size);
                break;
        case DIFF_DMA:
                fprintf(out, "dma      device %04x writes %" PRIu32 " bytes at %#" PRIx64, rid,
                        step->length, step->address);
                break;
        case DIFF_COPY_IN:
                fprintf(out, "copy in  device %04x reads %" PRIu32 " bytes at %#" PRIx64, rid,
                        step->length, step->address);
                break;
        case DIFF_COPY_OUT:
                fprintf(out, "copy out device %04x writes %" PRIu32 " bytes at %#" PRIx64, rid,
                        step->length, step->address);
                break;
        }
        if (step->stale)
                fprintf(out, ", to %#" PRIx64 " or %#" PRIx64, step->words[0], step->words[1]);
        fprintf(out, "%s\n", step->unobserved ? "  (not compared)" : "");
}
