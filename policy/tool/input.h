/* SPDX-License-Identifier: MIT */
/*
 * The policy files that vtd-policy is given: compiled by the code that vtd-brokerd runs, checks of
 * ownership and mode included.  What is wrong is printed on standard error as it is found, with the
 * path in front.
 */
#ifndef VTD_POLICY_TOOL_INPUT_H
#define VTD_POLICY_TOOL_INPUT_H

#include <stddef.h>

#include "policy/compile.h"

/* One file: text of it in @policy and @lines is safe to print and in JSON (schema.h). */
struct vtd_input {
        struct vtd_policy policy;
        struct vtd_policy_lines lines;
};

/* The files of one path, in the order of their names. */
struct vtd_input_set {
        struct vtd_input *array; /* owned */
        size_t count;
};

/* Returns 0, or a negative errno (printed). */
int vtd_input_read(struct vtd_input *input, const char *path);

/*
 * Reads the file @path, or every *.policy file of the directory @path: all of them, whatever is
 * wrong with the first.  The same tenant twice is an error, as it is for vtd-brokerd; none at all is
 * not.
 * Returns 0 or a negative errno (printed); deinit is due in both cases.
 */
int vtd_input_set_init(struct vtd_input_set *set, const char *path);
void vtd_input_set_deinit(struct vtd_input_set *set);

/* The input of @set whose tenant is named @tenant, or NULL. */
const struct vtd_input *vtd_input_find(const struct vtd_input_set *set, const char *tenant);

#endif
