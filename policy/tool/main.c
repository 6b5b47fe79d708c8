/* SPDX-License-Identifier: MIT */
/*
 * vtd-policy: says what a policy file grants, what a change of it changes, and whether vtd-brokerd
 * would take it.  Runs the code that vtd-brokerd runs, checks of ownership and mode included; needs
 * no privilege.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "policy/tool/input.h"
#include "policy/tool/verbs.h"
#include "shared/checked.h"

static const char help[] =
        "Usage: vtd-policy check FILE...\n"
        "       vtd-policy show [--json] FILE\n"
        "       vtd-policy diff OLD NEW\n"
        "       vtd-policy explain FILE REQUEST...\n"
        "       vtd-policy --help\n"
        "\n"
        "A policy file says what one tenant of vtd-broker may do: which user connects, how\n"
        "many VMs, how much memory, which devices. What a file does not grant is refused.\n"
        "\n"
        "  check    Says \"FILE: ok\" for each file that vtd-brokerd would take. Otherwise says\n"
        "           FILE:LINE:COLUMN: what was found and what is allowed, for up to 20 errors\n"
        "           of each file, on standard error.\n"
        "  show     Prints every value that is in force, with the line that sets it, or\n"
        "           \"default\"; with --json as one JSON object, null for the line of a default.\n"
        "  diff     Prints what a change grants (wider) and takes away (narrower), for each\n"
        "           tenant and device. OLD and NEW are files, or directories of *.policy.\n"
        "  explain  Says of each request whether policy would grant it, and which line decides.\n"
        "           The requests are one VM's, in this order; each is one argument:\n"
        "             \"plug NAME\"\n"
        "             \"attach NAME blocked|passthrough|first-stage [48|57] [sre] [eafe] [wpe]\n"
        "              [pasid PASID]\"\n"
        "             \"map SIZE [read-only]\"\n"
        "             \"region NAME BAR|config r|w\"\n"
        "             \"interrupts VECTORS\"\n"
        "             \"invalidate RATE [BURST]\"\n"
        "\n"
        "A file that its group or others may write, or that belongs to a user other than root\n"
        "and the one who runs this program, is refused, as is a symbolic link. Run the check as\n"
        "the user that runs vtd-brokerd to get the verdict that vtd-brokerd will give.\n"
        "\n"
        "Exit status:\n"
        "  check, show  0 every file is good; 1 a file was refused, or output failed\n"
        "  diff         0 no difference; 1 only narrower; 2 something is wider; 3 no answer\n"
        "  explain      0 everything is granted; 1 something is refused; 3 no answer\n"
        "  2 wrong usage; of diff and explain that is 3, as is whatever keeps them from an\n"
        "  answer.\n"
        "\n"
        "The smallest policy, for trying with the simulated host:\n"
        "\n"
        "  format = 1\n"
        "  [tenant]\n"
        "  name = blue\n"
        "  uid = 1000\n"
        "  [vm]\n"
        "  memory = 64MiB\n"
        "  modes = passthrough\n"
        "  [device net]\n"
        "  simulated = edu\n"
        "\n"
        "vtd-policy(5), policy/FORMAT.md in the sources, describes every key.\n";

static enum vtd_policy_exit run_check(char **arguments)
{
        enum vtd_policy_exit status = VTD_EXIT_GOOD;
        struct vtd_input input;

        for (char **file = arguments; *file; file++) {
                if (vtd_input_read(&input, *file) == 0)
                        printf("%s: ok\n", *file);
                else
                        status = VTD_EXIT_REFUSED;
        }
        return status;
}

static enum vtd_policy_exit run_show(char **arguments)
{
        return vtd_policy_show(arguments[0], false);
}

static enum vtd_policy_exit run_show_json(char **arguments)
{
        return vtd_policy_show(arguments[0], true);
}

static enum vtd_policy_exit run_diff(char **arguments)
{
        return vtd_policy_diff(arguments[0], arguments[1]);
}

static enum vtd_policy_exit run_explain(char **arguments)
{
        return vtd_policy_explain(arguments[0], arguments + 1);
}

struct verb {
        const char *name;
        const char *option; /* that follows it, or NULL */
        const char *usage;
        int least; /* arguments after these */
        int most;
        enum vtd_policy_exit (*run)(char **arguments);
        enum vtd_policy_exit misused;
        enum vtd_policy_exit unwritten; /* the output could not be */
};

static const struct verb verbs[] = {
        {"check", NULL, "check FILE...", 1, INT_MAX, run_check, VTD_EXIT_USAGE, VTD_EXIT_REFUSED},
        {"show", "--json", "show [--json] FILE", 1, 1, run_show_json, VTD_EXIT_USAGE,
         VTD_EXIT_REFUSED},
        {"show", NULL, "show [--json] FILE", 1, 1, run_show, VTD_EXIT_USAGE, VTD_EXIT_REFUSED},
        {"diff", NULL, "diff OLD NEW", 2, 2, run_diff, VTD_EXIT_NO_ANSWER, VTD_EXIT_NO_ANSWER},
        {"explain", NULL, "explain FILE REQUEST...", 2, INT_MAX, run_explain, VTD_EXIT_NO_ANSWER,
         VTD_EXIT_NO_ANSWER},
};

/* The verb of the command line, or NULL; *@arguments follow it. */
static const struct verb *find_verb(char **argv, char ***arguments)
{
        for (size_t i = 0; argv[0] && i < VTD_ARRAY_SIZE(verbs); i++) {
                const struct verb *verb = &verbs[i];

                if (strcmp(argv[0], verb->name) != 0)
                        continue;
                *arguments = argv + 1;
                if (!verb->option)
                        return verb;
                if (argv[1] && strcmp(argv[1], verb->option) == 0) {
                        *arguments = argv + 2;
                        return verb;
                }
        }
        return NULL;
}

int main(int argc, char **argv)
{
        enum vtd_policy_exit status;
        const struct verb *verb;
        char **arguments;
        int count;

        if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
                fputs(help, stdout);
                return fflush(stdout) == 0 ? VTD_EXIT_GOOD : VTD_EXIT_REFUSED;
        }
        verb = argc > 1 ? find_verb(argv + 1, &arguments) : NULL;
        if (!verb) {
                fprintf(stderr, "vtd-policy: expected check, show, diff, explain or --help\n");
                return VTD_EXIT_USAGE;
        }
        count = argc - (int)(arguments - argv);
        if (count < verb->least || count > verb->most) {
                fprintf(stderr, "vtd-policy: expected \"%s\"\n", verb->usage);
                return verb->misused;
        }
        status = verb->run(arguments);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "vtd-policy: cannot write the output: %s\n", strerror(errno));
                return verb->unwritten;
        }
        return status;
}
