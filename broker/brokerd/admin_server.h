/* SPDX-License-Identifier: MIT */
/*
 * The control socket: who may connect, and how many.
 *
 * Root may, the user that vtd-brokerd runs as, and the members of one group if there is one; judged by
 * SO_PEERCRED and SO_PEERGROUPS, as they were when connect() was called, besides the rights of the
 * file (0660, or 0600 without a group).
 */
#ifndef VTD_BROKER_BROKERD_ADMIN_SERVER_H
#define VTD_BROKER_BROKERD_ADMIN_SERVER_H

#include <stdint.h>
#include <sys/types.h>

#include "broker/brokerd/admin_client.h"
#include "broker/brokerd/audit_log.h"

#define VTD_ADMIN_NO_GROUP ((gid_t)-1)

struct vtd_admin_server;

struct vtd_admin_server_config {
        const char *path; /* borrowed, like all pointers */
        gid_t group;      /* VTD_ADMIN_NO_GROUP: none */
        void (*on_request)(void *opaque, struct vtd_admin_client *client,
                           const struct vtd_admin_record *request);
        void *opaque;
        struct vtd_audit_log *audit;
        struct vtd_audit_source *source;
        struct vtd_log *log;
};

/* Listens.  The caller frees *@out.  Returns 0 or a negative errno (reported). */
int vtd_admin_server_new(struct vtd_admin_server **out,
                         const struct vtd_admin_server_config *config);
/* Ends every connection and removes the socket.  NULL is allowed; returns NULL. */
struct vtd_admin_server *vtd_admin_server_free(struct vtd_admin_server *server);

#endif
