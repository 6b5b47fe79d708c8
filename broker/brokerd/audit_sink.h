/* SPDX-License-Identifier: MIT */
/*
 * Where audit lines go: an inherited descriptor, a file, or the system's journal.  Writing never
 * waits; what cannot be written now is the caller's to keep (audit_log.h).
 */
#ifndef VTD_BROKER_BROKERD_AUDIT_SINK_H
#define VTD_BROKER_BROKERD_AUDIT_SINK_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/log.h"

#define VTD_AUDIT_JOURNAL_SOCKET "/run/systemd/journal/socket"

enum vtd_audit_sink_kind {
        VTD_AUDIT_SINK_DESCRIPTOR,
        VTD_AUDIT_SINK_FILE,
        VTD_AUDIT_SINK_JOURNAL,
};

enum {
        VTD_AUDIT_SINK_E_FULL =
                1,             /* nothing can be written now: full, slow, or away for a moment */
        VTD_AUDIT_SINK_E_GONE, /* nobody will ever read what is written */
};

struct vtd_audit_sink {
        enum vtd_audit_sink_kind kind;
        int fd;           /* of DESCRIPTOR borrowed, else owned; -1: none */
        const char *path; /* borrowed: the file, or the journal's socket */
        bool is_socket;   /* DESCRIPTOR */
};

/* Lines go to @fd, which is never made non-blocking for others that share it. */
void vtd_audit_sink_init_descriptor(struct vtd_audit_sink *sink, int fd);

/*
 * Lines are appended to the file @path, mode 0640 when it is new.  Refuses what is not a regular file,
 * symbolic links, and a file that somebody other than its owner, root or this user, may write.
 * Returns 0 or a negative errno (reported); deinit is due in both cases.
 */
int vtd_audit_sink_init_file(struct vtd_audit_sink *sink, const char *path, struct vtd_log *log);

/*
 * Each line becomes an entry of the journal whose socket is @path, with the identifier
 * "vtd-broker-audit".  Returns 0 or a negative errno (reported); deinit is due in both cases.
 */
int vtd_audit_sink_init_journal(struct vtd_audit_sink *sink, const char *path, struct vtd_log *log);

void vtd_audit_sink_deinit(struct vtd_audit_sink *sink);

/*
 * Opens the file anew, which may have been renamed meanwhile; if that fails, the old one stays.
 * Nothing for the other kinds.  Returns 0 or a negative errno (reported).
 */
int vtd_audit_sink_reopen(struct vtd_audit_sink *sink, struct vtd_log *log);

/*
 * Writes from the beginning of @text, @size bytes of whole lines, at least one; of a line that a
 * socket has cut, the rest.  A file and the journal take whole lines only.
 * Returns 0 with the number of bytes taken in *@taken, at least 1; VTD_AUDIT_SINK_E_FULL with *@error a
 * negative errno, 0 if only its reader is slow; VTD_AUDIT_SINK_E_GONE.
 */
int vtd_audit_sink_write(struct vtd_audit_sink *sink, const char *text, size_t size, size_t *taken,
                         int *error);

#endif
