/* SPDX-License-Identifier: MIT */
/*
 * Inputs that are programs: a record that sets the scene, then steps, each of 16 bytes.  Any bytes
 * are a program, an incomplete record at the end counts as none, and what a step means is the
 * target's business.  mutator.c changes such inputs step by step instead of byte by byte.
 */
#ifndef VTD_TESTS_FUZZ_PROGRAM_H
#define VTD_TESTS_FUZZ_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_STEP_SIZE 16u

/* Steps of one input that are taken: bounds the time that one takes. */
#define FUZZ_STEPS_MAX 160u

struct fuzz_step {
        uint8_t operation;
        uint8_t a;
        uint16_t b;
        uint32_t c;
        uint64_t d;
};

/* Copies record @index (0: the scene) of the input; false when there is none, and at the limit. */
bool fuzz_program_get(const uint8_t *data, size_t size, size_t index, struct fuzz_step *step);

#endif
