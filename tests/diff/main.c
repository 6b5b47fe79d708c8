/* SPDX-License-Identifier: MIT */
/*
 * vtd-diff: gives random programs to QEMU's virtual IOMMU and to this project's, and compares.
 *
 *   --oracle DIR   where QEMU was unpacked (required)
 *   --seconds N    how long; 60 by default
 *   --programs N   how many instead, as the tests do: always the same ones
 *   --seed S       the first program's seed; without it, one from the clock, which is printed
 *   --self-test    mistakes are put into our side's results, one kind after the other: each must be
 *                  found
 *
 * Output is TAP.  Exit status 0 when there was no unexplained difference, less than 1% of the
 * comparisons were suppressed, and at least half of the programs completed a DMA; the last two are
 * judged of 100 programs or more.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/diff/run.h"
#include "tests/diff/saboteur.h"

struct options {
        const char *oracle;
        uint64_t seconds, programs, seed;
        bool self_test;
};

static uint64_t milliseconds(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const char *matter_name(enum diff_matter matter)
{
        static const char *const names[] = {
                [DIFF_REGISTER] = "register",
                [DIFF_RESULT] = "whether the DMA arrived, at",
                [DIFF_ARRIVAL] = "byte written by DMA, at guest-physical",
                [DIFF_TABLE] = "table memory at the end, at",
                [DIFF_RAM] = "memory at the end, at",
        };

        return names[matter];
}

static int free_pairs(struct diff_pair pairs[DIFF_SETUPS], int result)
{
        for (unsigned i = 0; i < DIFF_SETUPS; i++) {
                if (pairs[i].unit)
                        pairs[i].unit = pairs[i].unit->ops->free(pairs[i].unit);
                if (pairs[i].theirs)
                        pairs[i].theirs = pairs[i].theirs->ops->free(pairs[i].theirs);
        }
        return result;
}

static int make_pairs(struct diff_pair pairs[DIFF_SETUPS], const char *oracle)
{
        int r = 0;

        for (unsigned i = 0; i < DIFF_SETUPS && r == 0; i++) {
                r = unit_new(&pairs[i].unit, i);
                pairs[i].ours = pairs[i].unit;
                if (r == 0)
                        r = peer_new(&pairs[i].theirs, i, oracle);
        }
        if (r != 0)
                printf("Bail out! the two sides cannot be started: %s\n", strerror(-r));
        else
                printf("# QEMU %s\n", peer_version(pairs[0].theirs));
        return r != 0 ? free_pairs(pairs, r) : 0;
}

static void print_difference(const struct diff_program *program,
                             const struct diff_difference *difference)
{
        printf("# seed %" PRIu64 ", setup %s, step %u: %s %#" PRIx64 " is %#" PRIx64
               " here, %#" PRIx64 " in QEMU\n",
               program->seed, diff_setup_name(program->setup), difference->step,
               matter_name(difference->matter), difference->where, difference->ours,
               difference->theirs);
        printf("# again: ./dev diff --seed %" PRIu64 " --programs 1\n# reduced to:\n",
               program->seed);
        for (unsigned i = 0; i < program->count; i++)
                diff_step_print(program, i, stdout);
        fflush(stdout);
}

/* All setups' programs of one seed.  Returns the number of differences, or a negative errno. */
static int run_seed(struct diff_pair pairs[DIFF_SETUPS], uint64_t seed, struct diff_tally *tally)
{
        int differences = 0;

        for (unsigned i = 0; i < DIFF_SETUPS; i++) {
                struct diff_program program;
                struct diff_difference difference;
                int r;

                diff_generate(&program, i, seed);
                r = diff_run(&pairs[i], &program, tally, &difference);
                if (r == DIFF_E_DIFFERENT) {
                        differences++;
                        r = diff_minimise(&pairs[i], &program, &difference);
                        print_difference(&program, &difference);
                }
                if (r < 0) {
                        printf("# seed %" PRIu64 ", setup %s: %s\n", seed, diff_setup_name(i),
                               strerror(-r));
                        return r;
                }
        }
        return differences;
}

static bool point(unsigned number, bool passed, const char *what)
{
        printf("%sok %u - %s\n", passed ? "" : "not ", number, what);
        return passed;
}

static double percent(uint64_t part, uint64_t whole)
{
        return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static void print_tally(const struct diff_tally *tally, uint64_t elapsed)
{
        printf("# %" PRIu64 " programs in %.1f s (%.0f a second), %" PRIu64 " steps, %" PRIu64
               " DMA (%" PRIu64 " completed), %" PRIu64 " faults\n",
               tally->programs, (double)elapsed / 1000,
               elapsed > 0 ? (double)tally->programs * 1000 / (double)elapsed : 0, tally->steps,
               tally->dma, tally->completed, tally->faults);
        printf("# %" PRIu64 " comparisons, %" PRIu64 " suppressed (%.2f%%); %" PRIu64
               " programs completed a DMA (%.1f%%), %" PRIu64 " were cut short\n",
               tally->compared, tally->suppressed, percent(tally->suppressed, tally->compared),
               tally->with_dma, percent(tally->with_dma, tally->programs), tally->cut_short);
        diff_print_exclusions(stdout);
        for (size_t i = 0; i < diff_deviation_count; i++) {
                static const char *const verdicts[] = {
                        [DIFF_TRANSLATED] = "translated",
                        [DIFF_PERMITTED] = "permitted",
                        [DIFF_SUPPRESSED] = "suppressed",
                        [DIFF_PARTED] = "ends the program",
                };

                printf("# deviation %s (%s) %" PRIu64 " times: %s\n", diff_deviations[i].number,
                       verdicts[diff_deviations[i].verdict], tally->uses[i],
                       diff_deviations[i].what);
        }
}

/* Fewer programs say nothing of how many are suppressed or complete a DMA. */
#define PROGRAMS_JUDGED 100u

/* After so many differences there is enough to look at. */
#define DIFFERENCES_MAX 8

static int compare(const struct options *options)
{
        struct diff_pair pairs[DIFF_SETUPS] = {{0}};
        struct diff_tally tally = {0};
        uint64_t start = milliseconds(), elapsed, seed = options->seed;
        int differences = 0, r;
        bool passed;

        r = make_pairs(pairs, options->oracle);
        if (r != 0)
                return 1;
        printf("# first seed %" PRIu64 "\n", seed);
        do {
                r = run_seed(pairs, seed++, &tally);
                differences += r > 0 ? r : 0;
                elapsed = milliseconds() - start;
        } while (r >= 0 && differences < DIFFERENCES_MAX &&
                 (options->programs > 0 ? seed - options->seed < options->programs
                                        : elapsed < options->seconds * 1000));
        print_tally(&tally, elapsed);
        passed = point(1, r >= 0 && differences == 0, "no unexplained difference");
        if (tally.programs >= PROGRAMS_JUDGED) {
                passed &= point(2, tally.suppressed * 100 < tally.compared,
                                "less than 1% of the comparisons were suppressed");
                passed &= point(3, tally.with_dma * 2 >= tally.programs,
                                "at least half of the programs completed a DMA");
        }
        printf("1..%d\n", tally.programs >= PROGRAMS_JUDGED ? 3 : 1);
        return free_pairs(pairs, passed ? 0 : 1);
}

/* How many seeds a mistake may go unnoticed. */
#define SEEDS_PER_MISTAKE 40u

static int self_test(const struct options *options)
{
        struct diff_pair pairs[DIFF_SETUPS] = {{0}};
        bool passed = true;
        int r;

        printf("1..%u\n", (unsigned)SABOTEUR_KINDS);
        r = make_pairs(pairs, options->oracle);
        if (r != 0)
                return 1;
        for (unsigned kind = 0; kind < SABOTEUR_KINDS; kind++) {
                uint64_t seed = options->seed;
                bool found = false;

                for (; !found && seed < options->seed + SEEDS_PER_MISTAKE; seed++) {
                        struct diff_pair *pair = &pairs[seed % DIFF_SETUPS];
                        struct diff_program program;
                        struct diff_tally tally = {0};
                        struct diff_difference difference;
                        struct saboteur saboteur;

                        saboteur_init(&saboteur, pair->unit, kind);
                        pair->ours = &saboteur.side;
                        diff_generate(&program, (enum diff_setup)(seed % DIFF_SETUPS), seed);
                        found = diff_run(pair, &program, &tally, &difference) == DIFF_E_DIFFERENT;
                        pair->ours = pair->unit;
                }
                passed &= point(kind + 1, found, saboteur_name(kind));
        }
        return free_pairs(pairs, passed ? 0 : 1);
}

static bool parse_number(const char *text, uint64_t *value)
{
        char *end;

        errno = 0;
        *value = strtoull(text, &end, 10);
        return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static int usage(void)
{
        fputs("usage: vtd-diff --oracle DIR [--seconds N | --programs N] [--seed S] "
              "[--self-test]\n",
              stderr);
        return 2;
}

int main(int argc, char **argv)
{
        static const struct option known[] = {
                {"oracle", required_argument, NULL, 'o'},
                {"seconds", required_argument, NULL, 't'},
                {"programs", required_argument, NULL, 'p'},
                {"seed", required_argument, NULL, 's'},
                {"self-test", no_argument, NULL, 'x'},
                {NULL, 0, NULL, 0},
        };
        struct options options = {.seconds = 60, .seed = (uint64_t)time(NULL)};
        int option;

        while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
                if (option == 'o')
                        options.oracle = optarg;
                else if (option == 'x')
                        options.self_test = true;
                else if (option == '?' || !parse_number(optarg, option == 't'   ? &options.seconds
                                                                : option == 'p' ? &options.programs
                                                                                : &options.seed))
                        return usage();
        }
        if (!options.oracle || optind != argc)
                return usage();
        return options.self_test ? self_test(&options) : compare(&options);
}
