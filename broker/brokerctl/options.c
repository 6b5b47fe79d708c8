/* SPDX-License-Identifier: MIT */
/* See options.h. */
#include "broker/brokerctl/options.h"

#include <errno.h>
#include <string.h>

#define LIMIT(name_, index_, text_)                                                                \
        {                                                                                          \
                name_, 0, 0, G_OPTION_ARG_STRING, &options->limits[VTD_POLICY_##index_],           \
                        text_ " (as the policy has it)", "N"                                       \
        }

static void add_common(GOptionGroup *group, struct vtd_options *options, unsigned which)
{
        const GOptionEntry control[] = {
                {"control", 0, 0, G_OPTION_ARG_FILENAME, &options->control,
                 "Control socket of vtd-brokerd (" VTD_CONTROL_PATH ")", "PATH"},
                {0},
        };
        const GOptionEntry json[] = {
                {"json", 0, 0, G_OPTION_ARG_NONE, &options->json, "One JSON object for each line",
                 NULL},
                {0},
        };
        const GOptionEntry watch[] = {
                {"interval", 0, 0, G_OPTION_ARG_INT, &options->interval,
                 "Seconds from one look to the next, 1 to 50 (1)", "S"},
                {"count", 0, 0, G_OPTION_ARG_INT, &options->count, "Looks, 0: without end (0)",
                 "N"},
                {0},
        };
        const GOptionEntry root[] = {
                {"sysroot", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &options->sysroot,
                 "Where sys, proc and dev are, instead of /", "DIR"},
                {0},
        };

        if (which & VTD_OPTION_CONTROL)
                g_option_group_add_entries(group, control);
        if (which & VTD_OPTION_JSON)
                g_option_group_add_entries(group, json);
        if (which & VTD_OPTION_WATCH)
                g_option_group_add_entries(group, watch);
        if (which & VTD_OPTION_ROOT)
                g_option_group_add_entries(group, root);
}

static void add_grants(GOptionGroup *group, struct vtd_options *options, unsigned which)
{
        const GOptionEntry tenant[] = {
                {"tenant", 0, 0, G_OPTION_ARG_STRING, &options->tenant, "Name of the tenant", "T"},
                {0},
        };
        const GOptionEntry reason[] = {
                {"reason", 0, 0, G_OPTION_ARG_STRING, &options->reason, "Goes into the audit log",
                 "TEXT"},
                {0},
        };
        const GOptionEntry device[] = {
                {"device", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->devices,
                 "Name of a device in the policy, or PCI address; may be repeated", "D"},
                {0},
        };
        const GOptionEntry create[] = {
                {"name", 0, 0, G_OPTION_ARG_STRING, &options->name,
                 "Name of the VM (one is made up)", "N"},
                {"uid", 0, 0, G_OPTION_ARG_STRING, &options->uid,
                 "User of the VMM; must be the one that the policy names", "U"},
                {"expires", 0, 0, G_OPTION_ARG_STRING, &options->expires,
                 "Seconds within which the VM must come in, up to 86400 (600)", "S"},
                LIMIT("memory", MEMORY, "Guest memory at once, \"512MiB\""),
                LIMIT("mappings", MAPPINGS, "Mappings of guest memory at once"),
                LIMIT("devices", DEVICES, "Devices at once"),
                LIMIT("first-stage-tables", FIRST_STAGE_TABLES, "First-stage tables at once"),
                LIMIT("pasids", PASIDS, "PASIDs at once"),
                LIMIT("interrupts", INTERRUPTS, "Interrupt vectors armed at once"),
                LIMIT("address-width", ADDRESS_WIDTH, "First-stage address width, 48 or 57"),
                LIMIT("invalidate-rate", INVALIDATE_RATE, "Invalidation entries for each second"),
                LIMIT("invalidate-burst", INVALIDATE_BURST, "Invalidation entries at once"),
                {0},
        };

        if (which & (VTD_OPTION_CREATE | VTD_OPTION_REVOKE))
                g_option_group_add_entries(group, tenant);
        if (which & VTD_OPTION_REVOKE)
                g_option_group_add_entries(group, reason);
        if (which & (VTD_OPTION_CREATE | VTD_OPTION_DEVICE))
                g_option_group_add_entries(group, device);
        if (which & VTD_OPTION_CREATE)
                g_option_group_add_entries(group, create);
}

int vtd_options_init(struct vtd_options *options, unsigned which, const char *usage,
                     const char *summary, int argc, char **argv, struct vtd_log *log)
{
        GOptionContext *context = g_option_context_new(usage);
        GOptionGroup *group = g_option_group_new("main", "", "", NULL, NULL);
        const GOptionEntry rest[] = {
                {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->arguments, NULL,
                 NULL},
                {0},
        };
        g_autoptr(GError) error = NULL;
        gboolean parsed;

        *options = (struct vtd_options){.interval = 1};
        add_grants(group, options, which);
        add_common(group, options, which);
        g_option_group_add_entries(group, rest);
        g_option_context_set_main_group(context, group);
        g_option_context_set_summary(context, summary);
        parsed = g_option_context_parse(context, &argc, &argv, &error);
        g_option_context_free(context);
        if (!parsed)
                return vtd_fail(log, -EINVAL, "%s (see --help)", error->message);
        return 0;
}

void vtd_options_deinit(struct vtd_options *options)
{
        g_free(options->control);
        g_free(options->tenant);
        g_free(options->name);
        g_free(options->uid);
        g_free(options->expires);
        g_free(options->reason);
        g_strfreev(options->devices);
        for (size_t i = 0; i < VTD_POLICY_LIMIT_COUNT; i++)
                g_free(options->limits[i]);
        g_free(options->sysroot);
        g_strfreev(options->arguments);
}
