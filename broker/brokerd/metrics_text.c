/* SPDX-License-Identifier: MIT */
/*
 * See metrics_text.h.  Labels are names of tenants, which the policy's schema keeps to characters that
 * the format does not have to escape, and words of this program.
 */
#include "broker/brokerd/metrics_text.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "shared/checked.h"

static void begin(GString *text, const char *name, const char *type, const char *help)
{
        g_string_append_printf(text, "# HELP vtd_broker_%s %s\n# TYPE vtd_broker_%s %s\n", name,
                               help, name, type);
}

static void add(GString *text, const char *name, const char *type, const char *help, uint64_t value)
{
        begin(text, name, type, help);
        g_string_append_printf(text, "vtd_broker_%s %" PRIu64 "\n", name, value);
}

/* Numbers of one tenant; what varies within a metric is its second label. */
static const struct {
        const char *name; /* NULL: another value of the metric above */
        const char *type;
        const char *help;
        const char *label;
        size_t offset; /* in struct vtd_tenant */
        size_t size;
} rows[] = {
#define TENANT(field) offsetof(struct vtd_tenant, field), sizeof(((struct vtd_tenant *)0)->field)
        {"tenant_vms", "gauge", "VMs of the tenant, until their last descriptor is closed.", NULL,
         TENANT(vms)},
        {"tenant_vms_limit", "gauge", "VMs that the tenant may have at once.", NULL,
         TENANT(policy.vms)},
        {"tenant_vms_ending", "gauge", "Of the VMs, those that have no worker any more.", NULL,
         TENANT(ending)},
        {"tenant_vms_greeting", "gauge", "Of the VMs, those whose VMM has not said Hello.", NULL,
         TENANT(greeting)},
        {"tenant_connections_refused_total", "counter", "Connections that became no VM.", NULL,
         TENANT(counts.refused)},
        {"tenant_workers_started_total", "counter", "Workers that were started.", NULL,
         TENANT(counts.started)},
        {"tenant_workers_ended_total", "counter",
         "Workers that ended: done; failed, by themselves or a signal; killed by vtd-brokerd.",
         "how=\"done\"", TENANT(counts.done)},
        {NULL, NULL, NULL, "how=\"failed\"", TENANT(counts.failed)},
        {NULL, NULL, NULL, "how=\"killed\"", TENANT(counts.killed)},
        {"tenant_devices_opened_total", "counter", "Devices that were opened for a VM.", NULL,
         TENANT(counts.devices_opened)},
        {"tenant_devices_refused_total", "counter", "Devices that could not be opened for a VM.",
         NULL, TENANT(counts.devices_refused)},
#undef TENANT
};

static uint64_t read_number(const struct vtd_tenant *tenant, size_t offset, size_t size)
{
        const char *field = (const char *)tenant + offset;
        uint64_t wide;
        uint32_t narrow;

        if (size == sizeof(wide)) {
                memcpy(&wide, field, sizeof(wide));
                return wide;
        }
        memcpy(&narrow, field, sizeof(narrow));
        return narrow;
}

static void add_tenants(GString *text, const struct vtd_tenants *tenants)
{
        const struct vtd_tenant *tenant;
        const char *name = NULL;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(rows); i++) {
                if (rows[i].name) {
                        name = rows[i].name;
                        begin(text, name, rows[i].type, rows[i].help);
                }
                for (size_t t = 0; (tenant = vtd_tenants_at(tenants, t)); t++)
                        g_string_append_printf(
                                text, "vtd_broker_%s{tenant=\"%s\"%s%s} %" PRIu64 "\n", name,
                                tenant->policy.tenant, rows[i].label ? "," : "",
                                rows[i].label ? rows[i].label : "",
                                read_number(tenant, rows[i].offset, rows[i].size));
        }
}

void vtd_metrics_format(GString *text, const struct vtd_metrics_view *view)
{
        begin(text, "info", "gauge", "Constant 1; the labels say what runs.");
        g_string_append_printf(text, "vtd_broker_info{version=\"%s\",host=\"%s\"} 1\n",
                               view->version, view->host);
        add(text, "start_time_seconds", "gauge", "When vtd-brokerd started, seconds of the epoch.",
            (uint64_t)view->started);
        add(text, "workers", "gauge", "Workers, until their last descriptor is closed.",
            view->workers->count);
        add(text, "workers_limit", "gauge", "Workers that there may be.", VTD_LIMIT_WORKERS);
        add(text, "workers_greeting", "gauge", "Workers whose VMM has not said Hello.",
            view->workers->greeting);
        add(text, "audit_lines_total", "counter", "Audit lines that were taken.",
            view->audit->lines);
        add(text, "audit_lines_lost_total", "counter",
            "Audit lines that were dropped: over their VM's rate, or no room.", view->audit->lost);
        add(text, "audit_waiting_bytes", "gauge", "Audit lines that wait to be written.",
            view->audit->used);
        add(text, "audit_blocked", "gauge", "1 while audit lines cannot be written.",
            view->audit->trouble != 0 || view->audit->is_lost);
        add_tenants(text, view->tenants);
}
