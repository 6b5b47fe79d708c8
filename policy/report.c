/* SPDX-License-Identifier: MIT */
/* See report.h.  Bytes of a policy file reach a message through vtd_policy_show_text() only. */
#include "policy/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int vtd_policy_error(struct vtd_policy_report *report, uint32_t line, size_t column,
                     const char *format, ...)
{
        char message[VTD_LOG_LINE_SIZE];
        va_list arguments;
        int length;

        report->errors++;
        if (report->errors > VTD_POLICY_ERRORS_SHOWN)
                return -EINVAL;
        va_start(arguments, format);
        length = vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        return vtd_fail(report->log, -EINVAL, "%s:%" PRIu32 ":%zu: %s", report->file, line, column,
                        length < 0 ? "error" : message);
}

int vtd_policy_report_end(struct vtd_policy_report *report)
{
        if (report->errors > VTD_POLICY_ERRORS_SHOWN)
                vtd_log(report->log, VTD_LOG_INFO, "%s: %u more errors not shown", report->file,
                        report->errors - VTD_POLICY_ERRORS_SHOWN);
        return report->errors > 0 ? -EINVAL : 0;
}

const char *vtd_policy_show_text(struct vtd_policy_shown *shown, const char *text, size_t size)
{
        return vtd_log_escape(shown->text, sizeof(shown->text), text, size);
}

void vtd_policy_append(char *out, size_t size, const char *format, ...)
{
        size_t used = strnlen(out, size);
        va_list arguments;

        if (used >= size)
                return;
        va_start(arguments, format);
        if (vsnprintf(out + used, size - used, format, arguments) < 0)
                out[used] = '\0';
        va_end(arguments);
}
