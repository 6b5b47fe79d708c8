/* SPDX-License-Identifier: MIT */
/*
 * One of the two that are compared, as the runner sees it: a machine with a virtual IOMMU, to which
 * a program's steps are given one by one.
 */
#ifndef VTD_TESTS_DIFF_SIDE_H
#define VTD_TESTS_DIFF_SIDE_H

#include "tests/diff/program.h"

/* The part of the register page in which there is anything, up to the fault record's end. */
#define DIFF_PAGE_SIZE 0x230u

/* What a step has shown besides the registers. */
struct diff_outcome {
        uint64_t value; /* of a register read */
        bool completed; /* of a writer's DMA: every byte arrived */
};

struct diff_side;

struct diff_side_ops {
        /* As after power-on, with all RAM zero.  @copier: the program uses a copier's buffer. */
        int (*reset)(struct diff_side *side, bool copier);
        int (*step)(struct diff_side *side, const struct diff_step *step,
                    struct diff_outcome *outcome);
        int (*registers)(struct diff_side *side, uint8_t page[DIFF_PAGE_SIZE]);
        int (*read)(struct diff_side *side, uint64_t gpa, void *data, size_t size);
        int (*write)(struct diff_side *side, uint64_t gpa, const void *data, size_t size);
        struct diff_side *(*free)(struct diff_side *side);
};

/* Each function returns 0, or a negative errno when the side does not work. */
struct diff_side {
        const struct diff_side_ops *ops;
};

/*
 * This project's unit, with devices of the same behaviour.  The pieces of guest memory that the last
 * DMA step was translated to (@gpa, @size; at most DIFF_PIECES_MAX) are told by unit_pieces().
 */
struct diff_piece {
        uint64_t gpa;
        uint32_t size;
};

#define DIFF_PIECES_MAX     8u
#define DIFF_PIECE_SIZE_MAX 8192u

int unit_new(struct diff_side **out, enum diff_setup setup);
unsigned unit_pieces(const struct diff_side *side, struct diff_piece pieces[DIFF_PIECES_MAX]);
/* Faults met by DMA since the last reset. */
uint64_t unit_faults(const struct diff_side *side);
/* Zeroes on @other what has been written on @side since its reset. */
int unit_clear_like(const struct diff_side *side, struct diff_side *other);

/*
 * QEMU's intel-iommu in the process that is started here from the directory @oracle, into which
 * Debian packages were unpacked.  peer_version() is what it says of itself.
 */
int peer_new(struct diff_side **out, enum diff_setup setup, const char *oracle);
const char *peer_version(const struct diff_side *side);

#endif
