/* SPDX-License-Identifier: MIT */
/*
 * Errors in a policy file, as "file:line:column: message".  Reading goes on after each of them, so
 * that one run shows all mistakes, up to a number that a person can still read.
 */
#ifndef VTD_POLICY_REPORT_H
#define VTD_POLICY_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "shared/log.h"

#define VTD_POLICY_ERRORS_SHOWN 20u

struct vtd_policy_report {
        const char *file;    /* borrowed; printable */
        struct vtd_log *log; /* borrowed; may be NULL */
        unsigned errors;     /* also those that were not shown */
};

/* Text of the file as it is shown in a message: cut, escaped. */
struct vtd_policy_shown {
        char text[68];
};

/*
 * Counts an error and logs it unless VTD_POLICY_ERRORS_SHOWN have been logged.  @column is counted
 * in bytes from 1.  Always returns -EINVAL.
 */
int vtd_policy_error(struct vtd_policy_report *report, uint32_t line, size_t column,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Logs how many errors were not shown, if any.  Returns -EINVAL if there was an error, else 0. */
int vtd_policy_report_end(struct vtd_policy_report *report);

/* Returns @shown->text, holding the @size bytes at @text or their beginning. */
const char *vtd_policy_show_text(struct vtd_policy_shown *shown, const char *text, size_t size);

/* Appends to the string in @out, of @size bytes in all; what does not fit is cut. */
void vtd_policy_append(char *out, size_t size, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#endif
