/* SPDX-License-Identifier: MIT */
/* Options of vtd-brokerctl.  Each command says which it takes; one that it does not is an error. */
#ifndef VTD_BROKER_BROKERCTL_OPTIONS_H
#define VTD_BROKER_BROKERCTL_OPTIONS_H

#include <glib.h>
#include <stdbool.h>

#include "policy/policy.h"
#include "shared/log.h"

#define VTD_OPTION_CONTROL 0x01u /* --control */
#define VTD_OPTION_JSON    0x02u /* --json */
#define VTD_OPTION_CREATE  0x04u /* those of vm create */
#define VTD_OPTION_REVOKE  0x08u /* --tenant, --reason */
#define VTD_OPTION_WATCH   0x10u /* --interval, --count */
#define VTD_OPTION_DEVICE  0x20u /* --device */
#define VTD_OPTION_ROOT    0x40u /* --sysroot, hidden */

struct vtd_options {
        char *control; /* all owned */
        gboolean json;
        char *tenant;
        char *name;
        char *uid;
        char *expires;
        char *reason;
        char **devices;
        char *limits[VTD_POLICY_LIMIT_COUNT];
        gint interval;
        gint count;
        char *sysroot;
        char **arguments; /* what is no option */
};

/*
 * Reads the options of the set @which, and what is none into arguments.  @usage is shown by --help.
 * Returns 0 or -EINVAL (reported); deinit is due in both cases.
 */
int vtd_options_init(struct vtd_options *options, unsigned which, const char *usage,
                     const char *summary, int argc, char **argv, struct vtd_log *log);
void vtd_options_deinit(struct vtd_options *options);

#endif
