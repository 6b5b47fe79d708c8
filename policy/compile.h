/* SPDX-License-Identifier: MIT */
/* Compiling with a trace of which line set what, for `vtd-policy show`. */
#ifndef VTD_POLICY_COMPILE_H
#define VTD_POLICY_COMPILE_H

#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"
#include "policy/schema.h"

/* By schema row: the line of the section header or key; 0: not in the file. */
struct vtd_policy_lines {
        uint32_t rows[VTD_SCHEMA_ROWS]; /* [tenant] and [vm] */
        uint32_t devices[VTD_LIMIT_DEVICES][VTD_SCHEMA_ROWS];
};

/* As vtd_policy_compile(); on success also fills *@lines. */
int vtd_policy_compile_traced(struct vtd_policy *policy, struct vtd_policy_lines *lines,
                              const char *file, const char *text, size_t size, struct vtd_log *log);

#endif
