/* SPDX-License-Identifier: MIT */
/*
 * What must hold of a unit between any two calls, judged by the architecture and the public
 * interface, not by the code under test.
 */
#ifndef VTD_TESTS_FUZZ_CHECK_H
#define VTD_TESTS_FUZZ_CHECK_H

#include "tests/fuzz/unit.h"

/* Registers: constants, reserved bits, and what the status registers say of each other. */
void fuzz_check_registers(const struct fuzz_unit *fuzz);

/*
 * A guest's write of @size bytes at @offset changed nothing but what a write there can change;
 * fuzz->before holds the page as it was.
 */
void fuzz_check_write(const struct fuzz_unit *fuzz, uint64_t offset, unsigned size);

/* Bindings: bounded, no two alike, and none of which the broker holds something else. */
void fuzz_check_bindings(const struct fuzz_unit *fuzz);

/* True when the queue's head may pass the descriptor @words under @table_mode, as far as it says. */
bool fuzz_is_valid_descriptor(const struct vtd_frontend_config *config, const uint64_t *words,
                              bool wide, unsigned table_mode);

#endif
