/* SPDX-License-Identifier: MIT */
/*
 * What vtd-policy can do with a policy, one file for each verb.  They print answers on standard
 * output and return an exit status; whether the output could be written is main.c's to find out.
 */
#ifndef VTD_POLICY_TOOL_VERBS_H
#define VTD_POLICY_TOOL_VERBS_H

#include <stdbool.h>

enum vtd_policy_exit {
        VTD_EXIT_GOOD = 0,
        VTD_EXIT_REFUSED = 1, /* check, show: a file; explain: a request */
        VTD_EXIT_USAGE = 2,

        VTD_EXIT_NARROWER = 1, /* diff: nothing is granted that was not */
        VTD_EXIT_WIDER = 2,
        VTD_EXIT_NO_ANSWER = 3, /* diff, explain: whatever the reason */
};

/* Every value in force and the line that sets it. */
enum vtd_policy_exit vtd_policy_show(const char *file, bool json);

/* What the change from one file or directory to another grants and takes away. */
enum vtd_policy_exit vtd_policy_diff(const char *old_path, const char *new_path);

/* Whether policy would grant each of @requests (NULL ends them), made in this order by one VM. */
enum vtd_policy_exit vtd_policy_explain(const char *file, char **requests);

#endif
