/* SPDX-License-Identifier: MIT */
/* The administrator's end of the control socket: one request, and the records that answer it. */
#ifndef VTD_BROKER_BROKERCTL_ASK_H
#define VTD_BROKER_BROKERCTL_ASK_H

#include "broker/admin/admin.h"
#include "shared/log.h"

/* A part of an answer, or its end. */
typedef void (*vtd_ask_on_record)(void *opaque, const struct vtd_admin_record *record);

enum {
        VTD_ASK_E_REFUSED = 1,
};

/* Connects to the control socket @path.  The caller owns *@fd.  0 or a negative errno (reported). */
int vtd_ask_connect(const char *path, int *fd, struct vtd_log *log);

/*
 * Sends @request and gives every record of the answer to @on_record, REFUSED and DONE too.
 * Returns 0; VTD_ASK_E_REFUSED; a negative errno (reported).
 */
int vtd_ask(int fd, const struct vtd_admin_record *request, vtd_ask_on_record on_record,
            void *opaque, struct vtd_log *log);

#endif
