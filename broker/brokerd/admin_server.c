/* SPDX-License-Identifier: MIT */
/* See admin_server.h. */
#include "broker/brokerd/admin_server.h"

#include <glib-unix.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/brokerd/socket_file.h"
#include "shared/cleanup.h"
#include "shared/error.h"

/* Connections at once, and of these those of others than root: they cannot keep root out. */
#define CLIENTS_MAX       32u
#define CLIENTS_OTHER_MAX 24u

/* A process has at most this many groups (NGROUPS_MAX). */
#define GROUPS_MAX 65536u

struct vtd_admin_server {
        struct vtd_admin_server_config config;
        struct vtd_socket_file file;
        int directory;
        GPtrArray *clients; /* of struct vtd_admin_client, owned */
        guint source;
        guint tick;
};

static void on_end(void *opaque, struct vtd_admin_client *client)
{
        struct vtd_admin_server *server = opaque;

        (void)g_ptr_array_remove_fast(server->clients, client);
        client = vtd_admin_client_free(client);
}

static bool is_in_group(int connection, const struct ucred *credentials, gid_t group)
{
        g_autofree gid_t *groups = NULL;
        socklen_t size = 0;

        if (group == VTD_ADMIN_NO_GROUP)
                return false;
        if (credentials->gid == group)
                return true;
        /* Asked with no room, it says how much is needed. */
        if (getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 ||
            errno != ERANGE || size > GROUPS_MAX * sizeof(gid_t))
                return false;
        groups = g_malloc(size);
        if (getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
                return false;
        for (size_t i = 0; i < size / sizeof(gid_t); i++)
                if (groups[i] == group)
                        return true;
        return false;
}

static bool is_allowed(const struct vtd_admin_server *server, int connection,
                       const struct ucred *credentials)
{
        return credentials->uid == 0 || credentials->uid == geteuid() ||
               is_in_group(connection, credentials, server->config.group);
}

static bool has_place(const struct vtd_admin_server *server, uint32_t uid)
{
        unsigned others = 0;

        for (guint i = 0; i < server->clients->len; i++)
                others += vtd_admin_client_uid(g_ptr_array_index(server->clients, i)) != 0;
        return server->clients->len < CLIENTS_MAX && (uid == 0 || others < CLIENTS_OTHER_MAX);
}

static void refuse(struct vtd_admin_server *server, const struct ucred *credentials,
                   const char *reason)
{
        vtd_audit_log_event(server->config.audit, server->config.source,
                            &(const struct vtd_audit_event_line){
                                    .event = "control-refused",
                                    .text = reason,
                                    .pid = credentials->pid,
                                    .uid = credentials->uid,
                            });
}

static void take_in(struct vtd_admin_server *server, int fd)
{
        VTD_CLEANUP_FD int connection = fd;
        struct ucred credentials;
        socklen_t size = sizeof(credentials);

        if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) {
                vtd_log(server->config.log, VTD_LOG_ERROR, "control: no credentials: %s",
                        strerror(errno));
                return;
        }
        if (!is_allowed(server, connection, &credentials)) {
                refuse(server, &credentials, "neither root nor of the group");
                return;
        }
        if (!has_place(server, credentials.uid)) {
                refuse(server, &credentials, "too many connections");
                return;
        }
        g_ptr_array_add(server->clients,
                        vtd_admin_client_new(VTD_TAKE_FD(connection),
                                             &(const struct vtd_admin_client_config){
                                                     .uid = credentials.uid,
                                                     .pid = credentials.pid,
                                                     .log = server->config.log,
                                                     .on_request = server->config.on_request,
                                                     .on_end = on_end,
                                                     .opaque = server->config.opaque,
                                                     .server = server,
                                             }));
}

static gboolean on_connection(gint fd, GIOCondition condition, gpointer opaque)
{
        struct vtd_admin_server *server = opaque;
        int connection = -1;
        int result = vtd_socket_file_accept(&server->file, &connection, server->config.log);

        (void)fd;
        (void)condition;
        if (result == 0)
                take_in(server, connection);
        if (result >= 0)
                return G_SOURCE_CONTINUE;
        server->source = 0; /* until the next tick */
        return G_SOURCE_REMOVE;
}

static void watch(struct vtd_admin_server *server)
{
        server->source = g_unix_fd_add(server->file.fd, G_IO_IN, on_connection, server);
}

static gboolean on_tick(gpointer opaque)
{
        struct vtd_admin_server *server = opaque;

        if (server->source == 0)
                watch(server);
        for (guint i = server->clients->len; i-- > 0;) {
                struct vtd_admin_client *client = g_ptr_array_index(server->clients, i);

                if (vtd_admin_client_is_late(client))
                        on_end(server, client);
        }
        return G_SOURCE_CONTINUE;
}

static int listen_on(struct vtd_admin_server *server)
{
        const struct vtd_admin_server_config *config = &server->config;
        g_autofree char *directory = g_path_get_dirname(config->path);
        g_autofree char *name = g_path_get_basename(config->path);
        const struct vtd_socket_rights rights = {
                .mode = config->group == VTD_ADMIN_NO_GROUP ? 0600 : 0660,
                .owner = (uid_t)-1,
                .group = config->group,
        };
        int result;

        result = vtd_socket_file_open_directory("control socket in", directory, &server->directory,
                                                config->log);
        if (result == 0)
                result = vtd_socket_file_init(&server->file, server->directory, directory, name,
                                              SOCK_SEQPACKET, &rights, config->log);
        return result;
}

int vtd_admin_server_new(struct vtd_admin_server **out,
                         const struct vtd_admin_server_config *config)
{
        struct vtd_admin_server *server = g_new0(struct vtd_admin_server, 1);
        int result;

        server->config = *config;
        server->directory = server->file.fd = -1;
        server->clients = g_ptr_array_new();
        result = listen_on(server);
        if (result < 0) {
                server = vtd_admin_server_free(server);
                return result;
        }
        watch(server);
        server->tick = g_timeout_add_seconds(1, on_tick, server);
        *out = server;
        return 0;
}

struct vtd_admin_server *vtd_admin_server_free(struct vtd_admin_server *server)
{
        if (!server)
                return NULL;
        if (server->source != 0)
                (void)g_source_remove(server->source);
        if (server->tick != 0)
                (void)g_source_remove(server->tick);
        while (server->clients->len > 0)
                on_end(server, g_ptr_array_index(server->clients, 0));
        g_ptr_array_unref(server->clients);
        vtd_socket_file_deinit(&server->file);
        server->directory = vtd_close(server->directory);
        g_free(server);
        return NULL;
}
