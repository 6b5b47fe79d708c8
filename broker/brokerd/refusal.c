/* SPDX-License-Identifier: MIT */
/* See refusal.h. */
#include "broker/brokerd/refusal.h"

#include <stdarg.h>
#include <stdio.h>

int vtd_refuse(struct vtd_refused *refused, uint32_t line, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(refused->text, sizeof(refused->text), format, arguments);
        va_end(arguments);
        refused->line = line;
        return VTD_REFUSED_E;
}
