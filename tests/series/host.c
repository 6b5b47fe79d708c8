/* SPDX-License-Identifier: MIT */
/* Rows S3 and S5: what the host must be able to do before a device is plugged. */
#include "tests/series/series.h"

#include <errno.h>
#include <string.h>

static struct vtd_frontend_config with_1gib(void)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;

        config.first_stage_1gib = true;
        return config;
}

static void refused_with(struct series *series, const char *reason)
{
        struct machine machine;

        machine_start(series, &machine, SERIES_BLUE, NULL);
        for (unsigned i = 0; i < 2; i++) {
                IS(series, machine_plug(&machine, 0), VTD_FRONTEND_REFUSED);
                IS(series, strcmp(machine_refusal(&machine), reason), 0);
                IS(series, machine_binding(&machine, 0), -1);
        }
        machine_stop(&machine);
}

static void without_nesting(struct series *series)
{
        refused_with(series, "host-no-nesting");
}

static void without_vtd(struct series *series)
{
        refused_with(series, "host-not-vtd");
}

static void large_pages_are_kept(struct series *series)
{
        const struct vtd_frontend_config config = with_1gib();
        struct machine machine;

        machine_start(series, &machine, SERIES_BLUE, &config);
        IS(series, machine_plug(&machine, 0), 0);
        IS(series, strcmp(machine.warnings, ""), 0);
        machine_stop(&machine);
}

/* The refusal is the frontend's own, so the broker must have been told to take the device back. */
static void large_pages_are_absent(struct series *series)
{
        const struct vtd_frontend_config config = with_1gib();
        struct machine machine, other;

        machine_start(series, &machine, SERIES_BLUE, &config);
        IS(series, machine_plug(&machine, 0), -ENOTSUP);
        IS(series, strstr(machine.warnings, "first-stage 1 GiB pages") != NULL, true);
        IS(series, strstr(machine.warnings, "edu0") != NULL, true);
        IS(series, machine_binding(&machine, 0), -1);
        machine_up(series, &other, SERIES_BLUE, 1);
        IS(series, machine_reads_physical(&other, 0, PAGE_B), 'B');
        machine_stop(&other);
        machine_stop(&machine);
}

const struct series_test series_host_tests[] = {
        {"S5: 1 GiB pages are promised to the guest where the host has them", large_pages_are_kept,
         ON_BOTH, NULL},
        {"S3: a device behind an IOMMU without nested translation is refused", without_nesting,
         ON_LINUX, "no-nest"},
        {"S3: a device behind no VT-d is refused", without_vtd, ON_LINUX, "none"},
        {"S5: 1 GiB pages promised to the guest but absent refuse the plug and release the device",
         large_pages_are_absent, ON_LINUX, "no-fs1gp"},
        {0},
};
