/* SPDX-License-Identifier: MIT */
/* vtd-brokerctl: shows what a vtd-brokerd runs, allows and revokes, and what a host lacks. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "broker/brokerctl/command.h"
#include "shared/cleanup.h"

static int help(void)
{
        const struct vtd_command *command;

        (void)printf("Usage: vtd-brokerctl COMMAND [OPTION...]\n"
                     "\n"
                     "Commands (each has a --help):\n");
        for (size_t i = 0; (command = vtd_command_at(i)); i++)
                (void)printf("  %-11s %s\n", command->name, command->summary);
        (void)printf(
                "\n"
                "vtd-brokerd must run with --control PATH.  Its answers and what they mean are\n"
                "described in vtd-brokerctl(1).\n"
                "\n"
                "Exit status: 0 done; 1 refused, or something is missing; 2 wrong usage.\n");
        return fflush(stdout) == 0 ? EXIT_OK : EXIT_REFUSED;
}

static int run(const struct vtd_command *command, int argc, char **argv, struct vtd_log *log)
{
        VTD_CLEANUP(vtd_options_deinit) struct vtd_options options;
        g_autofree char *usage = g_strdup_printf(
                "%s%s%s", command->name, command->arguments[0] ? " " : "", command->arguments);
        guint count;
        int result;

        if (vtd_options_init(&options, command->options, usage, command->summary, argc, argv, log) <
            0)
                return EXIT_USAGE;
        count = options.arguments ? g_strv_length(options.arguments) : 0;
        if (count < command->arguments_min || count > command->arguments_max)
                return vtd_fail(log, EXIT_USAGE, "%s takes %s%s (see --help)", command->name,
                                command->arguments[0] ? command->arguments : "options only",
                                count > command->arguments_max ? ", not more" : "");
        result = command->run(&options, log);
        if (fflush(stdout) != 0)
                return vtd_fail(log, EXIT_REFUSED, "standard output: %s", strerror(errno));
        return result;
}

int main(int argc, char **argv)
{
        char prefix[] = "vtd-brokerctl";
        struct vtd_log log = {
                .sink = vtd_log_to_stderr, .opaque = prefix, .threshold = VTD_LOG_INFO};
        const struct vtd_command *command;
        int words;

        /* GLib's own words of the help have an ellipsis, which it would print as "?". */
        (void)setlocale(LC_CTYPE, "C.UTF-8");
        if (argc == 2 && strcmp(argv[1], "--help") == 0)
                return help();
        if (argc == 2 && strcmp(argv[1], "--version") == 0)
                return printf("vtd-brokerctl %s\n", VTD_VERSION) < 0 ? EXIT_REFUSED : EXIT_OK;
        command = vtd_command_find(argc, argv, &words);
        if (!command)
                return vtd_fail(&log, EXIT_USAGE, "%s%s (see --help)",
                                argc > 1 ? argv[1] : "a command is missing",
                                argc > 1 ? ": there is no such command" : "");
        /* The options begin behind the last word of the command. */
        argv[words] = argv[0];
        return run(command, argc - words, argv + words, &log);
}
