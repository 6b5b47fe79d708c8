/* SPDX-License-Identifier: MIT */
/* Answers for people and for programs. */
#ifndef VTD_BROKER_BROKERCTL_SHOW_H
#define VTD_BROKER_BROKERCTL_SHOW_H

#include <glib.h>

#include "broker/admin/admin.h"

/* A record as one line: {"kind":"vm","tenant":"blue",...}.  The caller frees it. */
char *vtd_show_json(const struct vtd_admin_record *record);

/* "512 MiB", "3 GiB", "12345".  The caller frees it. */
char *vtd_show_size(uint64_t bytes);

/* Status, for people: what each record says, on standard output. */
void vtd_show_status(const struct vtd_admin_record *record);

/*
 * Counters as a table: the title, and a line for each VM.  With @before (from @seconds earlier, or
 * NULL) what grows is shown per second.
 */
void vtd_show_stats_title(bool rates);
void vtd_show_stats(const struct vtd_admin_record *record, const struct vtd_admin_record *before,
                    double seconds);

#endif
