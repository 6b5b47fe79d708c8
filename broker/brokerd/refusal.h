/* SPDX-License-Identifier: MIT */
/* Why something that an administrator asked for was not done. */
#ifndef VTD_BROKER_BROKERD_REFUSAL_H
#define VTD_BROKER_BROKERD_REFUSAL_H

#include <stdint.h>

struct vtd_refused {
        char text[256];
        uint32_t line; /* of the tenant's policy, which decides; or 0 */
};

enum {
        VTD_REFUSED_E = 1,
};

/* Fills in *@refused.  Returns VTD_REFUSED_E. */
int vtd_refuse(struct vtd_refused *refused, uint32_t line, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#endif
