/* SPDX-License-Identifier: MIT */
/*
 * The numbers that vtd-brokerd has by itself, in Prometheus' text format.  Nothing is asked of a
 * worker for them.
 */
#ifndef VTD_BROKER_BROKERD_METRICS_TEXT_H
#define VTD_BROKER_BROKERD_METRICS_TEXT_H

#include <glib.h>
#include <stdint.h>

#include "broker/brokerd/audit_log.h"
#include "broker/brokerd/tenants.h"
#include "broker/brokerd/workers.h"

/* All borrowed. */
struct vtd_metrics_view {
        const char *version;
        const char *host; /* "linux" or "simulated" */
        int64_t started;  /* seconds of the epoch */
        const struct vtd_workers *workers;
        const struct vtd_tenants *tenants;
        const struct vtd_audit_log *audit;
};

/* Appends every metric to @text; its size is bounded by the number of tenants. */
void vtd_metrics_format(GString *text, const struct vtd_metrics_view *view);

#endif
