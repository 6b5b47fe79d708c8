/* SPDX-License-Identifier: MIT */
/* Writes the sample tables as DIRECTORY/NAME.dat: usage: write-dmar-tables DIRECTORY */
#include <stdio.h>

#include "tests/unit/dmar-samples.h"

static int write_table(const char *directory, const struct dmar_sample *sample)
{
        struct vtd_frontend *unit = dmar_sample_unit(sample, NULL, NULL);
        uint8_t table[1024];
        char path[4096];
        size_t size;
        FILE *file;
        int r;

        if (!unit)
                return -1;
        r = vtd_frontend_build_dmar(unit, &sample->config, table, sizeof(table), &size);
        unit = vtd_frontend_free(unit);
        if (r != 0 || (size_t)snprintf(path, sizeof(path), "%s/%s.dat", directory, sample->name) >=
                              sizeof(path))
                return -1;
        file = fopen(path, "wb");
        if (!file)
                return -1;
        r = fwrite(table, 1, size, file) == size ? 0 : -1;
        return fclose(file) == 0 ? r : -1;
}

int main(int argc, char **argv)
{
        if (argc != 2)
                return 2;
        for (size_t i = 0; i < DMAR_SAMPLES; i++)
                if (write_table(argv[1], &dmar_samples[i]) != 0) {
                        fprintf(stderr, "table %s could not be written\n", dmar_samples[i].name);
                        return 1;
                }
        return 0;
}
