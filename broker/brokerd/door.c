/* SPDX-License-Identifier: MIT */
/* See door.h. */
#include "broker/brokerd/door.h"

#include <glib-unix.h>
#include <stdio.h>

/* How long a socket is left alone when no connection of its tenant can be taken now. */
#define PAUSE_MS 50

static gboolean on_pause_over(gpointer opaque)
{
        struct vtd_door *door = opaque;

        door->source = 0;
        vtd_door_open(door);
        return G_SOURCE_REMOVE;
}

/* Connections wait in the backlog meanwhile: a flood is slowed down, and only its own tenant's. */
static gboolean pause_door(struct vtd_door *door)
{
        door->source = g_timeout_add(PAUSE_MS, on_pause_over, door);
        return G_SOURCE_REMOVE;
}

static void audit_refused(struct vtd_door *door, const struct vtd_peer *peer)
{
        struct vtd_workers *workers = door->config.workers;
        struct vtd_tenant *tenant = door->config.tenant;

        tenant->counts.refused++;
        vtd_log(workers->config.log, VTD_LOG_WARNING, "%s: connection refused: %s",
                tenant->policy.tenant, peer->text);
        vtd_audit_log_event(workers->config.audit, &tenant->source,
                            &(const struct vtd_audit_event_line){
                                    .event = "connection-refused",
                                    .text = peer->text,
                                    .pid = peer->pid,
                                    .uid = peer->uid,
                                    .line = peer->line,
                            });
}

/* False when the door may be gone. */
static gboolean take_in(struct vtd_door *door, struct vtd_arrival *arrival, int connection)
{
        if (vtd_workers_start(door->config.workers, arrival, connection) != 0 ||
            !door->config.on_started)
                return G_SOURCE_CONTINUE;
        door->config.on_started(door->config.opaque);
        return G_SOURCE_REMOVE;
}

static gboolean on_connection(gint fd, GIOCondition condition, gpointer opaque)
{
        struct vtd_door *door = opaque;
        struct vtd_workers *workers = door->config.workers;
        struct vtd_arrival arrival = {
                .tenant = door->config.tenant,
                .policy = door->config.policy,
                .name = door->config.name,
                .charged = door->config.charged,
        };
        struct vtd_peer peer;
        int connection, result;

        (void)fd;
        (void)condition;
        if (vtd_workers_admit(workers, &arrival) != 0)
                return pause_door(door);
        result = vtd_listener_accept(&door->listener, &connection, &peer, workers->config.log);
        if (result == 0) {
                arrival.peer_pid = peer.pid;
                return take_in(door, &arrival, connection);
        }
        if (result == VTD_LISTENER_E_REFUSED)
                audit_refused(door, &peer);
        return result < 0 ? pause_door(door) : G_SOURCE_CONTINUE;
}

void vtd_door_open(struct vtd_door *door)
{
        door->source = g_unix_fd_add(door->listener.file.fd, G_IO_IN, on_connection, door);
}

int vtd_door_new(struct vtd_door **out, const struct vtd_door_config *config,
                 const struct vtd_door_place *place, const char *file, struct vtd_log *log)
{
        struct vtd_door *door = g_new0(struct vtd_door, 1);
        int result;

        door->config = *config;
        result = vtd_listener_init(&door->listener, place->directory, place->path, file,
                                   config->policy, place->owned, log);
        if (result < 0) {
                door = vtd_door_free(door);
                return result;
        }
        *out = door;
        return 0;
}

void vtd_door_belong_to(struct vtd_door *door, struct vtd_tenant *tenant)
{
        door->config.tenant = tenant;
        door->config.policy = &tenant->policy;
        door->listener.policy = &tenant->policy;
}

struct vtd_door *vtd_door_free(struct vtd_door *door)
{
        if (!door)
                return NULL;
        if (door->source != 0)
                (void)g_source_remove(door->source);
        vtd_listener_deinit(&door->listener);
        g_free(door);
        return NULL;
}

int vtd_door_new_for_tenant(struct vtd_door **out, struct vtd_workers *workers,
                            struct vtd_tenant *tenant, const struct vtd_door_place *place,
                            struct vtd_log *log)
{
        const struct vtd_door_config config = {
                .workers = workers,
                .tenant = tenant,
                .policy = &tenant->policy,
                .name = "",
        };
        char file[VTD_SOCKET_FILE_NAME];

        (void)snprintf(file, sizeof(file), "%s.sock", tenant->policy.tenant);
        return vtd_door_new(out, &config, place, file, log);
}
