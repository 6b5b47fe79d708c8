/* SPDX-License-Identifier: MIT */
/* The command line of vtd-brokerctl: which commands there are, and what they take. */
#ifndef VTD_BROKER_BROKERCTL_COMMAND_H
#define VTD_BROKER_BROKERCTL_COMMAND_H

#include <glib.h>

#include "broker/admin/admin.h"
#include "broker/brokerctl/options.h"
#include "shared/log.h"

enum {
        EXIT_OK = 0,
        EXIT_REFUSED = 1, /* or something is missing, or vtd-brokerd cannot be asked */
        EXIT_USAGE = 2,
};

struct vtd_command {
        const char *name; /* "vm create" */
        const char *arguments;
        const char *summary;
        unsigned options; /* VTD_OPTION_* that it takes */
        unsigned arguments_min;
        unsigned arguments_max;
        /* Returns an EXIT_*; everything is reported. */
        int (*run)(const struct vtd_options *options, struct vtd_log *log);
};

/* The command that argv begins with, behind the program's name; *@words: how many words it has. */
const struct vtd_command *vtd_command_find(int argc, char **argv, int *words);

/* The command @index, or NULL; for --help. */
const struct vtd_command *vtd_command_at(size_t index);

#endif
