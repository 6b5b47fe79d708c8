/* SPDX-License-Identifier: MIT */
/* See log.h.  May assume nothing about its sink but that it copies the line before it returns. */
#include "shared/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void vtd_log_to_stderr(void *opaque, enum vtd_log_level level, const char *line)
{
        char buffer[VTD_LOG_LINE_SIZE + 64];
        const char *prefix = opaque;
        int length;

        (void)level;
        length = snprintf(buffer, sizeof(buffer), "%s%s%s\n", prefix ? prefix : "",
                          prefix ? ": " : "", line);
        if (length < 0)
                return;
        if ((size_t)length >= sizeof(buffer)) {
                length = (int)sizeof(buffer) - 1;
                buffer[length - 1] = '\n';
        }
        /* A log line that cannot be written has nowhere else to go. */
        if (write(STDERR_FILENO, buffer, (size_t)length) < 0)
                return;
}

__attribute__((format(printf, 3, 0))) static void
log_format(struct vtd_log *log, enum vtd_log_level level, const char *format, va_list arguments)
{
        char line[VTD_LOG_LINE_SIZE];

        if (!log || !log->sink || level > log->threshold)
                return;
        if (vsnprintf(line, sizeof(line), format, arguments) < 0)
                return;
        log->sink(log->opaque, level, line);
}

void vtd_log(struct vtd_log *log, enum vtd_log_level level, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        log_format(log, level, format, arguments);
        va_end(arguments);
}

int vtd_fail(struct vtd_log *log, int result, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        log_format(log, VTD_LOG_ERROR, format, arguments);
        va_end(arguments);
        return result;
}

const char *vtd_log_escape(char *out, size_t out_size, const void *bytes, size_t size)
{
        static const char hex[] = "0123456789abcdef";
        const unsigned char *in = bytes;
        size_t used = 0;

        if (out_size == 0)
                return "";
        for (size_t i = 0; i < size; i++) {
                unsigned char c = in[i];
                size_t need = (c >= 0x20 && c < 0x7f && c != '\\' && c != '"') ? 1 : 4;

                if (need >= out_size - used)
                        break;
                if (need == 1) {
                        out[used] = (char)c;
                } else {
                        out[used] = '\\';
                        out[used + 1] = 'x';
                        out[used + 2] = hex[c >> 4];
                        out[used + 3] = hex[c & 15];
                }
                used += need;
        }
        out[used] = '\0';
        return out;
}
