/* SPDX-License-Identifier: MIT */
/*
 * A socket that answers with vtd-brokerd's numbers: to each connection one HTTP response, whatever is
 * asked.  Who may connect is the file's mode, 0660, and its directory to say.
 *
 * Must guarantee that no scraper holds up vtd-brokerd: at most VTD_METRICS_CLIENTS are served at once,
 * each for VTD_METRICS_SECONDS at most, nothing waits for one of them, and what they send is dropped
 * unread.  More of them, or more often than VTD_METRICS_RATE, wait in the socket's backlog.
 */
#ifndef VTD_BROKER_BROKERD_METRICS_H
#define VTD_BROKER_BROKERD_METRICS_H

#include <glib.h>

#include "shared/log.h"

#define VTD_METRICS_CLIENTS 4u
#define VTD_METRICS_SECONDS 5u
#define VTD_METRICS_RATE    10u /* responses a second; as many may come at once */

struct vtd_metrics;

/* Appends the numbers as they are now. */
typedef void vtd_metrics_source(GString *text, void *opaque);

/*
 * Listens at @path, in a directory as socket_file.h wants it.  The caller frees *@out.
 * Returns 0 or a negative errno (reported).
 */
int vtd_metrics_new(struct vtd_metrics **out, const char *path, vtd_metrics_source *source,
                    void *opaque, struct vtd_log *log);

/* Stops listening and removes the file.  NULL is allowed; returns NULL. */
struct vtd_metrics *vtd_metrics_free(struct vtd_metrics *metrics);

#endif
