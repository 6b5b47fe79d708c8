/* SPDX-License-Identifier: MIT */
/*
 * vtd-bench-frontend: what the emulation itself costs, without a broker's process, as medians of one
 * run.  Everything is measured beside something bare that is done in turn with it.
 */
#include <stdio.h>
#include <string.h>

#include "tests/bench/bench-guest.h"

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                void (*run)(void);
        } parts[] = {
                {"descriptors", bench_descriptors},
                {"translation", bench_translation},
                {"pasids", bench_pasids},
        };

        if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
                (void)fprintf(stderr,
                              "usage: vtd-bench-frontend [descriptors|translation|pasids]\n");
                return 2;
        }
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
                if (argc == 1 || strcmp(argv[1], parts[i].name) == 0)
                        parts[i].run();
        return 0;
}
