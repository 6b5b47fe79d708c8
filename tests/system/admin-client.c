/* SPDX-License-Identifier: MIT */
/* See admin-client.h. */
#include "tests/system/admin-client.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "shared/cleanup.h"
#include "shared/error.h"
#include "shared/record.h"

#define TIMEOUT_MS 25000

int admin_connect(struct admin_client *client, const struct broker_run *run)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        VTD_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        *client = (struct admin_client){.socket = -1, .fd = -1};
        (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock",
                       run->directory);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return vtd_errno();
        client->records = calloc(ADMIN_RECORDS_MAX, sizeof(*client->records));
        if (!client->records)
                return -ENOMEM;
        client->socket = VTD_TAKE_FD(fd);
        return 0;
}

void admin_close(struct admin_client *client)
{
        client->socket = vtd_close(client->socket);
        client->fd = vtd_close(client->fd);
        free(client->records);
        client->records = NULL;
}

int admin_send(struct admin_client *client, const char *text)
{
        return send(client->socket, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0
                       ? vtd_errno()
                       : 0;
}

const struct vtd_admin_record *admin_receive(struct admin_client *client)
{
        struct pollfd ready = {.fd = client->socket, .events = POLLIN};

        client->n_records = 0;
        client->fd = vtd_close(client->fd);
        while (client->n_records < ADMIN_RECORDS_MAX) {
                VTD_CLEANUP(vtd_fd_list_deinit) struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
                struct vtd_admin_record *record = &client->records[client->n_records];
                char bytes[VTD_ADMIN_RECORD_MAX];
                struct vtd_admin_reason reason;
                size_t size;

                if (poll(&ready, 1, TIMEOUT_MS) != 1 ||
                    vtd_record_receive(client->socket, bytes, sizeof(bytes), &size, &fds) != 0)
                        return NULL;
                if (vtd_admin_decode(record, bytes, size, &reason) != 0) {
                        (void)fprintf(stderr, "# not a record: %s\n", reason.text);
                        return NULL;
                }
                if (fds.count > 0)
                        client->fd = vtd_fd_list_take(&fds);
                client->n_records++;
                if (vtd_admin_kind_row(record->kind)->role == VTD_ADMIN_END)
                        return record;
        }
        return NULL;
}

const struct vtd_admin_record *admin_ask(struct admin_client *client, const char *format, ...)
{
        char text[VTD_ADMIN_BUFFER] = "vtd-control 1 ";
        size_t used = strlen(text);
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(text + used, sizeof(text) - used, format, arguments);
        va_end(arguments);
        return admin_send(client, text) < 0 ? NULL : admin_receive(client);
}

const struct vtd_admin_record *admin_find(const struct admin_client *client,
                                          enum vtd_admin_kind kind, size_t number)
{
        for (size_t i = 0; i < client->n_records; i++)
                if (client->records[i].kind == kind && number-- == 0)
                        return &client->records[i];
        return NULL;
}
