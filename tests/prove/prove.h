/* SPDX-License-Identifier: MIT */
/*
 * What the harnesses of bounded model checking share.  A harness includes the source files that it
 * is about, so that it reaches their static functions, and replaces what those call elsewhere.
 * cbmc takes a function that is declared here and defined nowhere for one that returns any value.
 */
#ifndef VTD_TESTS_PROVE_H
#define VTD_TESTS_PROVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int nondet_int(void);
bool nondet_bool(void);
unsigned nondet_unsigned(void);
uint8_t nondet_u8(void);
uint16_t nondet_u16(void);
uint32_t nondet_u32(void);
uint64_t nondet_u64(void);
size_t nondet_size(void);

/* From here on only runs for which @condition holds count. */
#define ASSUME(condition) __CPROVER_assume(condition)

/* Must hold in every run that gets here. */
#define PROVE(condition) __CPROVER_assert((condition), #condition)

#define IMPLIES(a, b) (!(a) || (b))

#endif
