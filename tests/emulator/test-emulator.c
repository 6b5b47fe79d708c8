/* SPDX-License-Identifier: MIT */
/*
 * The devices of frontend/qemu in the QEMU that VTD_QEMU names, on the simulated host and without a guest:
 * see machine.h.  First what a guest may rely on, point by point; then what a hostile one may try.
 *
 * usage: test-emulator --build DIR [--seed N] [--actions N]
 * Prints TAP.
 */
#include "tests/emulator/test.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ACTIONS 30000

bool is(struct test *test, bool good, const char *what)
{
        test->points++;
        test->failures += !good;
        (void)printf("%s %u - %s\n", good ? "ok" : "not ok", test->points, what);
        (void)fflush(stdout);
        return good;
}

bool equals(struct test *test, uint64_t found, uint64_t expected, const char *what)
{
        if (found != expected)
                (void)printf("# 0x%" PRIx64 " instead of 0x%" PRIx64 "\n", found, expected);
        return is(test, found == expected, what);
}

static const char *read_options(struct test *test, int argc, char **argv)
{
        static const struct option options[] = {
                {"build", required_argument, NULL, 'b'},
                {"seed", required_argument, NULL, 's'},
                {"actions", required_argument, NULL, 'a'},
                {0},
        };
        const char *build = NULL;
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
                switch (option) {
                case 'b':
                        build = optarg;
                        break;
                case 's':
                        test->seed = strtoull(optarg, NULL, 0);
                        break;
                case 'a':
                        test->actions = strtoull(optarg, NULL, 0);
                        break;
                default:
                        return NULL;
                }
        }
        return optind == argc && test->seed != 0 ? build : NULL;
}

int main(int argc, char **argv)
{
        static void (*const parts[])(struct test *) = {
                test_function, test_translation, test_interrupts,  test_resets,  test_plugging,
                test_loss,     test_refusals,    test_regressions, test_hostile,
        };
        static struct test test = {.seed = 1, .actions = ACTIONS};
        const char *build = read_options(&test, argc, argv);

        if (!build) {
                (void)fprintf(stderr,
                              "usage: test-emulator --build DIR [--seed N, not 0] [--actions N]\n");
                return 2;
        }
        if (!getenv("VTD_QEMU") && !getenv("VTD_RIG")) {
                (void)printf(
                        "1..0 # SKIP VTD_QEMU names no QEMU with the devices: see ./dev qemu\n");
                return 0;
        }
        if (broker_run_enter_build(&build) != 0)
                machine_bail_out("the build directory cannot be entered");
        machine_broker_start(&test.run, build);
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
                parts[i](&test);
        is(&test, broker_run_stop(&test.run) == 0, "vtd-brokerd ends cleanly");
        (void)printf("1..%u\n", test.points);
        return test.failures > 0;
}
