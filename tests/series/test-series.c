/* SPDX-License-Identifier: MIT */
/*
 * test-series: the rows of the stage-1 passthrough series through the real stack: vtd-brokerd and
 * its workers, on the simulated host or on the kernel's /dev/iommu, with VMMs in this process.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "shared/checked.h"
#include "tests/series/series.h"

static const struct series_test *const topics[] = {
        series_host_tests,          series_memory_tests,      series_binding_tests,
        series_register_tests,      series_pasid_cache_tests, series_plug_tests,
        series_invalidation_tests,  series_sharing_tests,     series_pasid_tests,
        series_context_cache_tests,
};

static int usage(void)
{
        (void)fprintf(stderr,
                      "usage: test-series --build DIR [--host simulated|linux] [--profile NAME] "
                      "[--only TEXT]\n"
                      "\n"
                      "  --profile NAME  the tests for a rig of that profile, instead of those for "
                      "one with\n"
                      "                  nested translation\n"
                      "  --only TEXT     tests with TEXT in their name\n");
        return 2;
}

struct selection {
        unsigned host;
        const char *profile;
        const char *only;
};

static bool is_selected(const struct selection *selection, const struct series_test *test)
{
        bool profile = !selection->profile == !test->profile &&
                       (!test->profile || strcmp(test->profile, selection->profile) == 0);

        return profile && (test->hosts & selection->host) != 0 &&
               (!selection->only || strstr(test->title, selection->only));
}

/* Runs, or only counts, what is selected. */
static unsigned run_tests(struct series *series, const struct selection *selection, bool run,
                          bool *failed)
{
        unsigned count = 0;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(topics); i++) {
                for (const struct series_test *test = topics[i]; test->title; test++) {
                        if (!is_selected(selection, test))
                                continue;
                        count++;
                        if (!run)
                                continue;
                        series->point_failed = false;
                        test->run(series);
                        *failed = *failed || series->point_failed;
                        (void)printf("%s %u - %s\n", series->point_failed ? "not ok" : "ok", count,
                                     test->title);
                        (void)fflush(stdout);
                }
        }
        return count;
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                {"build", required_argument, NULL, 'b'},
                {"host", required_argument, NULL, 'h'},
                {"profile", required_argument, NULL, 'p'},
                {"only", required_argument, NULL, 'o'},
                {0},
        };
        struct selection selection = {.host = ON_SIMULATED};
        struct series series = {
                .config = {.host = "simulated", .audit_level = "host-calls"},
        };
        bool failed = false;
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (option == 'b')
                        series.config.build = optarg;
                else if (option == 'h')
                        series.config.host = optarg;
                else if (option == 'p')
                        selection.profile = optarg;
                else if (option == 'o')
                        selection.only = optarg;
                else
                        return usage();
        }
        if (!series.config.build || optind != argc)
                return usage();
        if (strcmp(series.config.host, "linux") == 0)
                selection.host = ON_LINUX;
        (void)printf("1..%u\n", run_tests(&series, &selection, false, &failed));
        (void)fflush(stdout);
        series_start(&series);
        (void)run_tests(&series, &selection, true, &failed);
        if (broker_run_stop(&series.broker) < 0)
                series_bail_out("%s", series.broker.message);
        return failed ? 1 : 0;
}
