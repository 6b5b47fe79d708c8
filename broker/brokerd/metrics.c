/* SPDX-License-Identifier: MIT */
/* See metrics.h. */
#include "broker/brokerd/metrics.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/socket.h>

#include "broker/brokerd/bucket.h"
#include "broker/brokerd/socket_file.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

#define PAUSE_MS 200u

/* One scraper, from its connection to the end of its response. */
struct client {
        struct vtd_metrics *metrics;
        int fd;            /* -1: not in use */
        guint source;      /* watches fd */
        guint deadline;    /* ends it */
        GString *response; /* NULL: it has not asked yet */
        size_t sent;
};

struct vtd_metrics {
        int directory;
        struct vtd_socket_file file; /* in it */
        guint source;                /* watches it, or ends a pause; 0: all places are taken */
        vtd_metrics_source *format;
        void *opaque; /* of format */
        struct vtd_log *log;
        struct vtd_bucket bucket;
        struct client clients[VTD_METRICS_CLIENTS];
};

static void watch(struct vtd_metrics *metrics);

static void clear_source(guint *source)
{
        if (*source != 0)
                (void)g_source_remove(*source);
        *source = 0;
}

static void end_client(struct client *client)
{
        clear_source(&client->source);
        clear_source(&client->deadline);
        client->fd = vtd_close(client->fd);
        if (client->response)
                (void)g_string_free(client->response, TRUE);
        client->response = NULL;
}

/* Its place is free for the next one. */
static void finish_client(struct client *client)
{
        end_client(client);
        if (client->metrics->source == 0)
                watch(client->metrics);
}

static gboolean on_deadline(gpointer opaque)
{
        struct client *client = opaque;

        client->deadline = 0;
        finish_client(client);
        return G_SOURCE_REMOVE;
}

static gboolean on_writable(gint fd, GIOCondition condition, gpointer opaque)
{
        struct client *client = opaque;
        ssize_t sent = send(fd, client->response->str + client->sent,
                            client->response->len - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        (void)condition;
        if (sent > 0)
                client->sent += (size_t)sent;
        if (client->sent < client->response->len && (sent > 0 || errno == EAGAIN || errno == EINTR))
                return G_SOURCE_CONTINUE;
        client->source = 0;
        finish_client(client);
        return G_SOURCE_REMOVE;
}

static void compose(struct client *client)
{
        GString *body = g_string_new(NULL);

        client->metrics->format(body, client->metrics->opaque);
        client->response = g_string_new(NULL);
        client->sent = 0;
        g_string_append_printf(client->response,
                               "HTTP/1.0 200 OK\r\n"
                               "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                               "Content-Length: %zu\r\n"
                               "\r\n",
                               body->len);
        (void)g_string_append_len(client->response, body->str, (gssize)body->len);
        (void)g_string_free(body, TRUE);
}

/*
 * It has asked something, or said that it will not.  What it asked is dropped, so that closing the
 * connection does not look like an error to it.
 */
static gboolean on_asked(gint fd, GIOCondition condition, gpointer opaque)
{
        struct client *client = opaque;
        char dropped[4096];

        (void)condition;
        (void)!recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT);
        compose(client);
        client->source =
                g_unix_fd_add_full(G_PRIORITY_DEFAULT, fd, G_IO_OUT, on_writable, client, NULL);
        return G_SOURCE_REMOVE;
}

static struct client *free_place(struct vtd_metrics *metrics)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(metrics->clients); i++)
                if (metrics->clients[i].fd < 0)
                        return &metrics->clients[i];
        return NULL;
}

static gboolean on_pause_over(gpointer opaque)
{
        struct vtd_metrics *metrics = opaque;

        metrics->source = 0;
        watch(metrics);
        return G_SOURCE_REMOVE;
}

static gboolean on_connection(gint fd, GIOCondition condition, gpointer opaque)
{
        struct vtd_metrics *metrics = opaque;
        struct client *client = free_place(metrics);

        (void)fd;
        (void)condition;
        if (!client) {
                metrics->source = 0; /* until a place is free */
                return G_SOURCE_REMOVE;
        }
        if (!vtd_bucket_take(&metrics->bucket, (uint64_t)g_get_monotonic_time() / 1000)) {
                metrics->source = g_timeout_add(PAUSE_MS, on_pause_over, metrics);
                return G_SOURCE_REMOVE;
        }
        /* One that cannot be accepted waits, and is tried again at the same rate. */
        if (vtd_socket_file_accept(&metrics->file, &client->fd, metrics->log) != 0)
                return G_SOURCE_CONTINUE;
        client->source = g_unix_fd_add_full(G_PRIORITY_DEFAULT, client->fd, G_IO_IN | G_IO_HUP,
                                            on_asked, client, NULL);
        client->deadline = g_timeout_add_seconds(VTD_METRICS_SECONDS, on_deadline, client);
        return G_SOURCE_CONTINUE;
}

static void watch(struct vtd_metrics *metrics)
{
        metrics->source = g_unix_fd_add_full(G_PRIORITY_DEFAULT, metrics->file.fd, G_IO_IN,
                                             on_connection, metrics, NULL);
}

static int start_listening(struct vtd_metrics *metrics, const char *path, struct vtd_log *log)
{
        g_autofree char *directory = g_path_get_dirname(path);
        g_autofree char *name = g_path_get_basename(path);
        const struct vtd_socket_rights rights = {
                .mode = 0660, .owner = (uid_t)-1, .group = (gid_t)-1};
        int result;

        result = vtd_socket_file_open_directory("metrics in", directory, &metrics->directory, log);
        if (result < 0)
                return result;
        return vtd_socket_file_init(&metrics->file, metrics->directory, directory, name,
                                    SOCK_STREAM, &rights, log);
}

int vtd_metrics_new(struct vtd_metrics **out, const char *path, vtd_metrics_source *source,
                    void *opaque, struct vtd_log *log)
{
        struct vtd_metrics *metrics = g_new0(struct vtd_metrics, 1);
        int result;

        metrics->directory = metrics->file.fd = -1;
        metrics->format = source;
        metrics->opaque = opaque;
        metrics->log = log;
        vtd_bucket_init(&metrics->bucket, VTD_METRICS_RATE, VTD_METRICS_RATE,
                        (uint64_t)g_get_monotonic_time() / 1000);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(metrics->clients); i++)
                metrics->clients[i] = (struct client){.metrics = metrics, .fd = -1};
        result = start_listening(metrics, path, log);
        if (result < 0) {
                metrics = vtd_metrics_free(metrics);
                return result;
        }
        watch(metrics);
        *out = metrics;
        return 0;
}

struct vtd_metrics *vtd_metrics_free(struct vtd_metrics *metrics)
{
        if (!metrics)
                return NULL;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(metrics->clients); i++)
                end_client(&metrics->clients[i]);
        clear_source(&metrics->source);
        vtd_socket_file_deinit(&metrics->file);
        metrics->directory = vtd_close(metrics->directory);
        g_free(metrics);
        return NULL;
}
