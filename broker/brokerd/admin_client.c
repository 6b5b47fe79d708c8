/* SPDX-License-Identifier: MIT */
/* See admin_client.h. */
#include "broker/brokerd/admin_client.h"

#include <glib-unix.h>
#include <glib.h>
#include <string.h>
#include <sys/socket.h>

#include "shared/cleanup.h"
#include "shared/fdlist.h"
#include "shared/record.h"

/* A job stops here; what one step of it adds still fits below the end of the queue. */
#define QUEUE_ROOM (64u * 1024u)
#define QUEUE_MAX  (128u * 1024u)

/* A peer that takes nothing for this long; and one that has nothing to say. */
#define STUCK_MS 10000u
#define IDLE_MS  60000u

struct item {
        int fd; /* owned; -1: none */
        size_t size;
        char bytes[];
};

struct vtd_admin_client {
        struct vtd_admin_client_config config;
        int fd;
        GQueue queue; /* of struct item */
        size_t queued;
        guint source; /* reads, or sends what waits */
        bool sending;
        bool broken; /* ends at the next turn */
        uint64_t moved_ms;
        struct vtd_admin_job *job; /* owned */
        struct vtd_admin_record request;
};

static uint64_t now_ms(void)
{
        return (uint64_t)g_get_monotonic_time() / 1000;
}

static void free_item(gpointer opaque)
{
        struct item *item = opaque;

        item->fd = vtd_close(item->fd);
        g_free(item);
}

static gboolean on_event(gint fd, GIOCondition condition, gpointer opaque);

/*
 * What is waited for: room while something is queued, a request while there is no job; and in any
 * case the end of the connection.
 */
static void watch(struct vtd_admin_client *client)
{
        GIOCondition condition = G_IO_HUP | G_IO_ERR;

        if (client->broken || client->queued > 0)
                condition |= G_IO_OUT;
        else if (!client->job)
                condition |= G_IO_IN;
        if (client->source != 0)
                (void)g_source_remove(client->source);
        client->source = g_unix_fd_add(client->fd, condition, on_event, client);
}

/* Sends what the socket takes; false when the connection is over. */
static bool send_queue(struct vtd_admin_client *client)
{
        struct item *item;

        while ((item = g_queue_peek_head(&client->queue)) != NULL) {
                int result = vtd_record_send(client->fd, item->bytes, item->size, item->fd);

                if (result == VTD_RECORD_E_AGAIN)
                        return true;
                if (result != 0)
                        return false;
                client->queued -= item->size;
                client->moved_ms = now_ms();
                free_item(g_queue_pop_head(&client->queue));
        }
        return true;
}

/* Takes one request; false when the connection is over. */
static bool receive(struct vtd_admin_client *client)
{
        VTD_CLEANUP(vtd_fd_list_deinit) struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        char bytes[VTD_ADMIN_RECORD_MAX];
        struct vtd_admin_reason reason;
        size_t size;
        int result;

        result = vtd_record_receive(client->fd, bytes, sizeof(bytes), &size, &fds);
        if (result == VTD_RECORD_E_AGAIN)
                return true;
        if (result != 0 || fds.count > 0)
                return false;
        client->moved_ms = now_ms();
        if (vtd_admin_decode(&client->request, bytes, size, &reason) != 0)
                vtd_admin_client_refuse(client, reason.text, "");
        else if (vtd_admin_kind_row(client->request.kind)->role != VTD_ADMIN_REQUEST)
                vtd_admin_client_refuse(client, "this kind of record is no request", "");
        else
                client->config.on_request(client->config.opaque, client, &client->request);
        return true;
}

/* One step at a turn, so that no administrator keeps VMs waiting. */
static gboolean on_event(gint fd, GIOCondition condition, gpointer opaque)
{
        struct vtd_admin_client *client = opaque;
        bool good = !client->broken && !(condition & G_IO_ERR);

        (void)fd;
        client->source = 0; /* this one, which ends below */
        if (good && (condition & G_IO_OUT)) {
                good = send_queue(client);
                if (good && client->job && vtd_admin_client_has_room(client))
                        client->job->on_room(client->job);
        } else if (good && (condition & G_IO_IN)) {
                good = receive(client);
        } else if (condition & G_IO_HUP) {
                good = false;
        }
        if (!good || client->broken) {
                client->config.on_end(client->config.server, client);
                return G_SOURCE_REMOVE;
        }
        watch(client);
        return G_SOURCE_REMOVE;
}

struct vtd_admin_client *vtd_admin_client_new(int fd, const struct vtd_admin_client_config *config)
{
        struct vtd_admin_client *client = g_new0(struct vtd_admin_client, 1);

        client->config = *config;
        client->fd = fd;
        client->moved_ms = now_ms();
        g_queue_init(&client->queue);
        watch(client);
        return client;
}

struct vtd_admin_client *vtd_admin_client_free(struct vtd_admin_client *client)
{
        if (!client)
                return NULL;
        vtd_admin_client_end_job(client);
        if (client->source != 0)
                (void)g_source_remove(client->source);
        g_queue_clear_full(&client->queue, free_item);
        client->fd = vtd_close(client->fd);
        g_free(client);
        return NULL;
}

uint32_t vtd_admin_client_uid(const struct vtd_admin_client *client)
{
        return client->config.uid;
}

void vtd_admin_client_send(struct vtd_admin_client *client, const struct vtd_admin_record *record,
                           int fd)
{
        VTD_CLEANUP_FD int owned = fd;
        char bytes[VTD_ADMIN_BUFFER];
        struct item *item;
        size_t size;
        int result = vtd_admin_encode(record, bytes, &size);

        if (client->broken)
                return;
        if (result < 0 || client->queued + size > QUEUE_MAX) {
                client->broken = true;
                vtd_log(client->config.log, VTD_LOG_ERROR, "control: process %d: %s",
                        client->config.pid,
                        result < 0 ? "an answer could not be written"
                                   : "an answer is longer than its queue");
                watch(client);
                return;
        }
        item = g_malloc(sizeof(*item) + size);
        item->fd = VTD_TAKE_FD(owned);
        item->size = size;
        memcpy(item->bytes, bytes, size);
        if (client->queued == 0)
                client->moved_ms = now_ms();
        client->queued += size;
        g_queue_push_tail(&client->queue, item);
        watch(client);
}

void vtd_admin_client_done(struct vtd_admin_client *client)
{
        struct vtd_admin_record record;

        vtd_admin_begin(&record, VTD_ADMIN_DONE);
        vtd_admin_client_send(client, &record, -1);
}

void vtd_admin_client_refuse(struct vtd_admin_client *client, const char *reason, const char *rule)
{
        struct vtd_admin_record record;

        vtd_admin_begin(&record, VTD_ADMIN_REFUSED);
        vtd_admin_put_text(&record, VTD_ADMIN_K_REASON, reason);
        vtd_admin_put_text(&record, VTD_ADMIN_K_RULE, rule);
        vtd_admin_client_send(client, &record, -1);
}

bool vtd_admin_client_has_room(const struct vtd_admin_client *client)
{
        return !client->broken && client->queued < QUEUE_ROOM;
}

void vtd_admin_client_set_job(struct vtd_admin_client *client, struct vtd_admin_job *job)
{
        vtd_admin_client_end_job(client);
        client->job = job;
        watch(client);
}

void vtd_admin_client_end_job(struct vtd_admin_client *client)
{
        struct vtd_admin_job *job = client->job;

        client->job = NULL;
        if (job)
                job->free(job);
}

bool vtd_admin_client_is_late(const struct vtd_admin_client *client)
{
        uint64_t since = now_ms() - client->moved_ms;

        if (client->queued > 0)
                return since > STUCK_MS;
        return !client->job && since > IDLE_MS;
}
