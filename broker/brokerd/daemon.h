/* SPDX-License-Identifier: MIT */
/*
 * vtd-brokerd as an object: policies, sockets, workers and the main loop that ties them together.
 * One thread; never reads from a VMM's connection.
 */
#ifndef VTD_BROKER_BROKERD_DAEMON_H
#define VTD_BROKER_BROKERD_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/brokerd/audit_sink.h"
#include "broker/control/control.h"
#include "shared/log.h"

struct vtd_daemon;

/* Checked by main.c; strings are borrowed and outlive the daemon. */
struct vtd_daemon_config {
        enum vtd_host_kind host;
        enum vtd_audit_level audit_level;
        const char *policies;
        const char *sockets;
        const char *worker_directory;
        const char *metrics; /* socket of the numbers; NULL: none */
        const char *version;
        const char *worker_cgroup;    /* NULL: workers stay in vtd-brokerd's cgroup */
        const char *control;          /* path of the control socket; NULL: none */
        gid_t control_group;          /* VTD_ADMIN_NO_GROUP: root only */
        struct vtd_audit_sink *audit; /* borrowed */
        bool rootless;
        uint32_t uid_first; /* unused when rootless */
        uint32_t uid_last;
        uint32_t landlock_abi_min;
};

/*
 * Loads, opens and listens; nothing has been accepted yet.  The caller frees *@out.
 * Returns 0 or a negative errno (reported).
 */
int vtd_daemon_new(struct vtd_daemon **out, const struct vtd_daemon_config *config,
                   struct vtd_log *log);
/* Ends every worker, removes the sockets.  NULL is allowed; returns NULL. */
struct vtd_daemon *vtd_daemon_free(struct vtd_daemon *daemon);

/*
 * Says that it is ready, and serves until SIGTERM or SIGINT has been obeyed; SIGHUP has the policies
 * read again, SIGUSR1 goes on in a new audit file.  Returns 0.
 */
int vtd_daemon_run(struct vtd_daemon *daemon);

#endif
