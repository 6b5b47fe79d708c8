/* SPDX-License-Identifier: MIT */
/* The parts of check-host: one function for each of its files, and what they report with. */
#ifndef VTD_BROKER_BROKERCTL_CHECKS_H
#define VTD_BROKER_BROKERCTL_CHECKS_H

#include <stdbool.h>
#include <stdint.h>

enum vtd_check_state {
        VTD_CHECK_OK,
        VTD_CHECK_MISSING, /* vtd-broker does not work so */
        VTD_CHECK_NOTE,    /* it works, but worse, or only for some */
        VTD_CHECK_UNKNOWN, /* it cannot be told from here */
        VTD_CHECK_STATES,
};

struct vtd_checks {
        const char *root;
        bool json;
        unsigned counts[VTD_CHECK_STATES];
};

/*
 * Prints one finding: @check names what was looked at ("reset"), @subject which one of several or "",
 * @mend what to do about it, or NULL.
 */
void vtd_checks_say(struct vtd_checks *checks, enum vtd_check_state state, const char *check,
                    const char *subject, const char *mend, const char *format, ...)
        __attribute__((format(printf, 6, 7)));

/* The first line of a file below the root, without its end; NULL when it cannot be read. */
char *vtd_checks_read(const struct vtd_checks *checks, const char *path);

/* A number in hexadecimal that is all of a file; false when there is none. */
bool vtd_checks_read_hex(const struct vtd_checks *checks, const char *path, uint64_t *value);

/* True when the kernel's command line has @word, or "@word," inside of "intel_iommu=". */
bool vtd_checks_booted_with(const struct vtd_checks *checks, const char *word);

/* True when the kernel was configured with @option "=y" or "=m"; *@known: its configuration is there. */
bool vtd_checks_configured(const struct vtd_checks *checks, const char *option, bool *known);

void vtd_check_kernel(struct vtd_checks *checks);
void vtd_check_confinement(struct vtd_checks *checks);
void vtd_check_iommu(struct vtd_checks *checks);
void vtd_check_device(struct vtd_checks *checks, const char *address);

#endif
