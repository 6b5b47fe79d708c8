/* SPDX-License-Identifier: MIT */
/*
 * Differences that are expected, each with its reason and no wider than that.  Whatever no row here
 * explains is a difference that a run fails on.
 *
 * A number names one way in which QEMU's virtual IOMMU is not what the architecture describes, here
 * and in comments of this folder; "-" is none.
 */
#ifndef VTD_TESTS_DIFF_DEVIATIONS_H
#define VTD_TESTS_DIFF_DEVIATIONS_H

#include "tests/diff/program.h"
#include "tests/diff/side.h"

enum diff_matter {
        DIFF_REGISTER, /* a dword of the register page */
        DIFF_RESULT,   /* whether a writer's DMA arrived */
        DIFF_ARRIVAL,  /* what is found where it went */
        DIFF_TABLE,    /* a word of the tables' memory at the program's end */
        DIFF_RAM,      /* ... of other memory */
};

struct diff_view {
        const struct diff_program *program;
        unsigned step;
        enum diff_matter matter;
        uint64_t where; /* offset of the register; guest-physical address */
        uint64_t ours, theirs;
        const uint8_t *our_page, *their_page; /* the registers as last read */
        bool faulted;                         /* DMA has met a fault in this program, on our side */
        bool suppressed; /* a comparison of DMA has been suppressed in this program */
};

/* What a difference that a row explains means for the run. */
enum diff_verdict {
        DIFF_UNEXPLAINED,
        DIFF_TRANSLATED, /* the other's name for the same thing, and the right one: still compared */
        DIFF_PERMITTED,  /* the architecture allows both */
        DIFF_SUPPRESSED, /* the other is wrong */
        DIFF_PARTED,     /* the same, and from here on the two do different things */
};

struct diff_deviation {
        const char *number;
        enum diff_verdict verdict;
        const char *what;
        bool (*explains)(const struct diff_view *view);
        /*
         * After a DMA step, of which @view tells nothing else: data went another way on one side, and
         * nothing need show it.  @arrived: on our side, all of it.  May be NULL.
         */
        bool (*hides)(const struct diff_view *view, bool arrived);
};

extern const struct diff_deviation diff_deviations[];
extern const size_t diff_deviation_count;

/* The index of the first row that explains @view, or diff_deviation_count. */
size_t diff_explain(const struct diff_view *view);

/* The same of the first row that hides something; the program is at its end then. */
size_t diff_hidden(const struct diff_view *view, bool arrived);

/* Bits of the register dword at @offset that are never compared in @setup. */
uint32_t diff_excluded(enum diff_setup setup, unsigned offset);

/* Prints which those are, and why. */
void diff_print_exclusions(FILE *out);

#endif
