/* SPDX-License-Identifier: MIT */
/* The parts of test-emulator: each starts the machines that it needs, and makes its points. */
#ifndef VTD_TESTS_EMULATOR_TEST_H
#define VTD_TESTS_EMULATOR_TEST_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/emulator/machine.h"

struct test {
        struct broker_run run;
        uint64_t seed;    /* of the hostile part */
        uint64_t actions; /* how many it makes */
        unsigned points;
        unsigned failures;
};

/* One point. */
bool is(struct test *test, bool good, const char *what);

/* One point on a number, which is shown if it is not @expected. */
bool equals(struct test *test, uint64_t found, uint64_t expected, const char *what);

void test_function(struct test *test);    /* configuration space and BARs */
void test_translation(struct test *test); /* DMA */
void test_interrupts(struct test *test);
void test_resets(struct test *test);
void test_plugging(struct test *test); /* and unplugging, and bus numbers */
void test_loss(struct test *test);     /* of the broker */
void test_refusals(struct test *test); /* of wrong properties */
void test_regressions(struct test *test);
void test_hostile(struct test *test);

#endif
