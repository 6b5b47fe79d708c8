/* SPDX-License-Identifier: MIT */
/* Gives a program to both sides, step by step, and compares what they show. */
#ifndef VTD_TESTS_DIFF_RUN_H
#define VTD_TESTS_DIFF_RUN_H

#include "tests/diff/deviations.h"

#define DIFF_DEVIATIONS_MAX 64u /* bits of a word */

/* Both in the same setup.  @ours is @unit, or something in front of it. */
struct diff_pair {
        struct diff_side *unit, *ours, *theirs;
        bool parted; /* after the last program: @theirs may have written what @unit has not */
};

/*
 * Comparisons are counted coarsely, so that equal zeros do not water down what was suppressed: all
 * registers after one step are one comparison, as is each register read, each DMA result with what
 * arrived, and each of the three areas of memory at a program's end.
 */
struct diff_tally {
        uint64_t programs;
        uint64_t with_dma;  /* programs of which a DMA was completed by both */
        uint64_t cut_short; /* of which the rest was not compared: DIFF_PARTED */
        uint64_t steps;
        uint64_t dma, completed, faults;
        uint64_t compared;
        uint64_t suppressed; /* comparisons in which a row of DIFF_SUPPRESSED or _PARTED was used */
        uint64_t uses[DIFF_DEVIATIONS_MAX]; /* comparisons with a use of this row */
};

/* The first unexplained difference. */
struct diff_difference {
        unsigned step;
        enum diff_matter matter;
        uint64_t where, ours, theirs;
};

enum { DIFF_E_DIFFERENT = 1 };

/* Returns 0; DIFF_E_DIFFERENT with *@difference; a negative errno when a side does not work. */
int diff_run(struct diff_pair *pair, const struct diff_program *program, struct diff_tally *tally,
             struct diff_difference *difference);

/*
 * Leaves out of @program what is not needed for a difference in the same place.  @difference is
 * brought up to date.  Returns 0 or a negative errno.
 */
int diff_minimise(struct diff_pair *pair, struct diff_program *program,
                  struct diff_difference *difference);

#endif
