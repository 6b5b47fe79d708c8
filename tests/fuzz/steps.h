/* SPDX-License-Identifier: MIT */
/*
 * The steps that more than one target has (see fuzz_operation): operands are taken modulo what they
 * can be, so that none is wasted.
 */
#ifndef VTD_TESTS_FUZZ_STEPS_H
#define VTD_TESTS_FUZZ_STEPS_H

#include "tests/fuzz/unit.h"

/* run() with a budget of a (small), or of b with bit 0 of c; bit 1 of c: until it is idle. */
void fuzz_step_run(struct fuzz_unit *fuzz, const struct fuzz_step *step);

/* The guest stores d at the quadword number b of its memory. */
void fuzz_step_store(struct fuzz_unit *fuzz, const struct fuzz_step *step);

/* The guest stores d at the quadword number b once a reads were made from here on. */
void fuzz_step_store_later(struct fuzz_unit *fuzz, const struct fuzz_step *step);

/* Register access: which and how wide by a, any offset by c when a says so; value d. */
void fuzz_step_write(struct fuzz_unit *fuzz, const struct fuzz_step *step);
void fuzz_step_read(struct fuzz_unit *fuzz, const struct fuzz_step *step);

/* GCMD as a driver writes it: one of the commands by a. */
void fuzz_step_command(struct fuzz_unit *fuzz, const struct fuzz_step *step);

/* The VMM plugs or unplugs device a, resets the unit, or makes other calls, by b. */
void fuzz_step_vmm(struct fuzz_unit *fuzz, const struct fuzz_step *step);

/* How the broker behaves from here on, by a: it delays, refuses for reason b, or is lost. */
void fuzz_step_broker(struct fuzz_unit *fuzz, const struct fuzz_step *step);

/*
 * The driver puts a descriptor at its tail: template by a, operands from c and d; b flips a bit when
 * bit 15 is set.  Odd d: it rings the doorbell.
 */
void fuzz_step_descriptor(struct fuzz_unit *fuzz, const struct fuzz_step *step);

/* Well-formed tables for device a, PASID c, entry by b and d; bit 15 of b: one bit is flipped. */
void fuzz_step_entry(struct fuzz_unit *fuzz, const struct fuzz_step *step);

/* The directory entries of device a aim at PASID table c, or, with bit 0 of d, at the tables in turn. */
void fuzz_step_spread(struct fuzz_unit *fuzz, const struct fuzz_step *step);

/*
 * Entries of PASID table a, from the low to the high six bits of b, all with the same domain (c), and
 * with one first-stage root (d) or, with bit 4 of d, with one each.
 */
void fuzz_step_fill(struct fuzz_unit *fuzz, const struct fuzz_step *step);

/* Root, queue and translation as a driver switches them on; device 0 is plugged and has an entry. */
void fuzz_begin_enabled(struct fuzz_unit *fuzz, const struct fuzz_step *scene);

#endif
