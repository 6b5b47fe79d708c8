/* SPDX-License-Identifier: MIT */
/*
 * What every fuzz target is made of.  A target is one file fuzz-NAME.c with LLVMFuzzerTestOneInput;
 * libFuzzer calls it, or replay.c does with the stored corpus.  It must not keep anything from one
 * input to the next, must free all that it takes, and ends the process when something does not hold.
 */
#ifndef VTD_TESTS_FUZZ_H
#define VTD_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is: libFuzzer keeps the input, the replay fails. */
#define FUZZ_REQUIRE(condition)                                                                    \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,    \
                                      #condition);                                                 \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

#endif
