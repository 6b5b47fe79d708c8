/* SPDX-License-Identifier: MIT */
/*
 * The syntax of policy files: bytes in, sections and keys with line and column out.  Knows nothing
 * of what sections and keys mean (schema.h), nor of where the bytes come from.  FORMAT.md is the
 * grammar.
 */
#ifndef VTD_POLICY_PARSE_H
#define VTD_POLICY_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/report.h"

#define VTD_POLICY_LINE_SIZE 256u

/* A part of one line; points into the text that was given to the reader. */
struct vtd_policy_span {
        const char *text;
        size_t size;
        size_t column;
};

enum vtd_policy_event_kind {
        VTD_POLICY_END,            /* line is the one after the last */
        VTD_POLICY_SECTION,        /* "[name]" or "[name value]"; value.size is 0 without one */
        VTD_POLICY_KEY,            /* "name = value"; value is not empty */
        VTD_POLICY_BROKEN_SECTION, /* reported: the line cannot be understood, but begins with [ */
        VTD_POLICY_BROKEN_KEY,     /* reported: any other line that cannot be understood */
};

struct vtd_policy_event {
        enum vtd_policy_event_kind kind;
        uint32_t line;
        struct vtd_policy_span name;
        struct vtd_policy_span value;
};

struct vtd_policy_reader {
        const char *text; /* borrowed */
        size_t size;
        size_t offset;
        uint32_t line; /* of offset */
        struct vtd_policy_report *report;
};

/* Starts reading @size bytes at @text; both @text and @report must outlive the reader. */
void vtd_policy_reader_init(struct vtd_policy_reader *reader, const char *text, size_t size,
                            struct vtd_policy_report *report);

/*
 * The next section or key.  Comments and empty lines are skipped, errors go to the report and
 * reading goes on behind the line.  After END comes END.
 */
void vtd_policy_reader_next(struct vtd_policy_reader *reader, struct vtd_policy_event *event);

#endif
