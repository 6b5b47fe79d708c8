/* SPDX-License-Identifier: MIT */
/* The words of audit lines: enums of control.h as text, fields of host calls by name. */
#ifndef VTD_BROKER_BROKERD_AUDIT_NAMES_H
#define VTD_BROKER_BROKERD_AUDIT_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/control/control.h"

/* How one number of a record is written; name NULL: not at all. */
struct vtd_audit_field {
        const char *name;
        bool hex; /* as a string "0x...": addresses and registers */
};

struct vtd_audit_call {
        const char *name;
        struct vtd_audit_field subject;
        struct vtd_audit_field detail[3];
};

/* The row of a host call, which must be a valid one.  Static storage. */
const struct vtd_audit_call *vtd_audit_call(enum vtd_audit_host_call call);

/* Never NULL. */
const char *vtd_audit_event_name(enum vtd_audit_event event);

/* "refusals", "requests" or "host-calls"; never NULL. */
const char *vtd_audit_level_name(enum vtd_audit_level level);

#endif
