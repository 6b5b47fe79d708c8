/* SPDX-License-Identifier: MIT */
/*
 * The broker behind a SOCK_SEQPACKET connection (see backend.h).  The broker is trusted no more than
 * needed: an answer is decoded with the same strictness as a request, must answer the request that
 * is outstanding, and anything else ends the connection.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>

#include "frontend/backend.h"
#include "protos/codec.h"
#include "shared/cleanup.h"
#include "shared/record.h"

struct client {
        struct vtd_backend base;
        int fd;
        struct vtd_log *log;
        bool unanswered;
        enum vtd_request_type type; /* of the unanswered request */
        uint32_t sequence;
        struct vtd_codec codec;
        uint8_t record[VTD_FRAME_SIZE_MAX + 1]; /* one more, so that an excess is seen */
};

static int client_submit(struct vtd_backend *backend, struct vtd_request *request, int fd)
{
        struct client *client = (struct client *)backend;
        size_t length;
        int r;

        request->sequence = ++client->sequence;
        r = vtd_codec_encode_request(request, client->record, &length);
        if (r != 0)
                return vtd_fail(client->log, VTD_BACKEND_E_LOST,
                                "request of type %d cannot be encoded: %d", (int)request->type, r);
        /* With one request at a time there is room, unless the peer does not read at all. */
        r = vtd_record_send(client->fd, client->record, length, fd);
        if (r != 0)
                return vtd_fail(client->log, VTD_BACKEND_E_LOST,
                                "request %u of type %d cannot be sent: %d", request->sequence,
                                (int)request->type, r);
        client->unanswered = true;
        client->type = request->type;
        return 0;
}

static int client_receive(struct client *client, struct vtd_reply *reply)
{
        struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        size_t length, fd_count;
        int r;

        r = vtd_record_receive(client->fd, client->record, sizeof(client->record), &length, &fds);
        if (r == VTD_RECORD_E_AGAIN)
                return VTD_BACKEND_E_AGAIN;
        if (r == VTD_RECORD_E_CLOSED)
                return vtd_fail(client->log, VTD_BACKEND_E_LOST, "the broker has hung up");
        if (r != 0)
                return vtd_fail(client->log, VTD_BACKEND_E_LOST, "receiving failed: %d", r);
        fd_count = fds.count;
        vtd_fd_list_deinit(&fds);
        if (!client->unanswered)
                return vtd_fail(client->log, VTD_BACKEND_E_LOST,
                                "the broker sent a record that nothing had asked for");
        r = vtd_codec_decode_reply(&client->codec, reply, client->type, client->sequence,
                                   client->record, length, fd_count);
        if (r != 0)
                return vtd_fail(client->log, VTD_BACKEND_E_LOST,
                                "the broker's answer to request %u of type %d is malformed",
                                client->sequence, (int)client->type);
        client->unanswered = false;
        return 0;
}

static int client_collect(struct vtd_backend *backend, struct vtd_reply *reply, int timeout_ms)
{
        struct client *client = (struct client *)backend;
        struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};

        /* Cut short by a signal, it is an answer like a time-out: none yet. */
        if (timeout_ms > 0 && poll(&poll_fd, 1, timeout_ms) < 0 && errno != EINTR)
                return vtd_fail(client->log, VTD_BACKEND_E_LOST, "polling failed: errno %d", errno);
        return client_receive(client, reply);
}

static int client_get_fd(const struct vtd_backend *backend)
{
        return ((const struct client *)backend)->fd;
}

static struct vtd_backend *client_free(struct vtd_backend *backend)
{
        struct client *client = (struct client *)backend;

        if (client) {
                client->fd = vtd_close(client->fd);
                free(client);
        }
        return NULL;
}

static const struct vtd_backend_ops client_ops = {
        .submit = client_submit,
        .collect = client_collect,
        .get_fd = client_get_fd,
        .free = client_free,
};

int vtd_client_new(struct vtd_backend **out, int fd, struct vtd_log *log)
{
        struct client *client = calloc(1, sizeof(*client));

        if (!client)
                return -ENOMEM;
        client->base.ops = &client_ops;
        client->fd = fd;
        client->log = log;
        *out = &client->base;
        return 0;
}
