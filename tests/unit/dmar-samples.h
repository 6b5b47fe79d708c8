/* SPDX-License-Identifier: MIT */
/* DMAR tables of three guests, for the tests of their bytes and of what a disassembler reads. */
#ifndef VTD_TESTS_DMAR_SAMPLES_H
#define VTD_TESTS_DMAR_SAMPLES_H

#include <vtd/acpi.h>

struct dmar_sample {
        const char *name;
        struct vtd_frontend_config unit;
        struct vtd_dmar_config config;
};

enum {
        DMAR_SAMPLE_ALL,
        DMAR_SAMPLE_SCOPES,
        DMAR_SAMPLE_RESERVED,
        DMAR_SAMPLES,
};

extern const struct dmar_sample dmar_samples[DMAR_SAMPLES];

/* A unit of @sample's configuration, with guest memory that is never read, or NULL. */
struct vtd_frontend *dmar_sample_unit(const struct dmar_sample *sample,
                                      void (*log)(void *opaque, enum vtd_frontend_log_level level,
                                                  const char *line),
                                      void *opaque);

#endif
