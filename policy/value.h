/* SPDX-License-Identifier: MIT */
/* Values as text: from a policy file into numbers, and back for people. */
#ifndef VTD_POLICY_VALUE_H
#define VTD_POLICY_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "policy/parse.h"
#include "policy/schema.h"

/* Room for everything that the functions below write. */
#define VTD_POLICY_TEXT_SIZE 192u

/*
 * Reads the value of a numeric @row (vtd_schema_is_numeric()) that stands on @line.
 * Returns 0 with *@value in the row's range, or -EINVAL (reported).
 */
int vtd_policy_read_value(struct vtd_policy_report *report, const struct vtd_schema_row *row,
                          uint32_t line, const struct vtd_policy_span *text, uint64_t *value);

/*
 * Reads a list of regions, "0:rw, 2:r, config:r", into bit masks; *@write is a subset of *@read.
 * Returns 0, or -EINVAL (reported).
 */
int vtd_policy_read_regions(struct vtd_policy_report *report, uint32_t line,
                            const struct vtd_policy_span *text, uint32_t *read, uint32_t *write);

/* Writes @value of a numeric @row as a policy file would have it; words: "none" when there is none. */
void vtd_policy_format_value(const struct vtd_schema_row *row, uint64_t value,
                             char out[VTD_POLICY_TEXT_SIZE]);

/* Writes what a numeric @row allows: "1 to 256", "48 or 57". */
void vtd_policy_format_allowed(const struct vtd_schema_row *row, char out[VTD_POLICY_TEXT_SIZE]);

/* Writes masks as a list of regions; "none" when there is none. */
void vtd_policy_format_regions(uint32_t read, uint32_t write, char out[VTD_POLICY_TEXT_SIZE]);

#endif
