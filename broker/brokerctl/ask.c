/* SPDX-License-Identifier: MIT */
/* See ask.h. */
#include "broker/brokerctl/ask.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "shared/cleanup.h"
#include "shared/error.h"
#include "shared/record.h"

/* Longer than vtd-brokerd takes for anything. */
#define TIMEOUT_MS 60000

int vtd_ask_connect(const char *path, int *fd, struct vtd_log *log)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        VTD_CLEANUP_FD int connection = -1;
        int error;

        if (strlen(path) >= sizeof(address.sun_path))
                return vtd_fail(log, -ENAMETOOLONG, "%s: at most %zu characters are allowed", path,
                                sizeof(address.sun_path) - 1);
        memcpy(address.sun_path, path, strlen(path) + 1);
        connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (connection < 0 ||
            connect(connection, (const struct sockaddr *)&address, sizeof(address)) < 0) {
                error = vtd_errno();
                return vtd_fail(log, error, "%s: %s%s", path, strerror(-error),
                                error == -ENOENT || error == -ECONNREFUSED
                                        ? " (is vtd-brokerd running, with --control?)"
                                        : "");
        }
        *fd = VTD_TAKE_FD(connection);
        return 0;
}

static int send_request(int fd, const struct vtd_admin_record *request, struct vtd_log *log)
{
        char bytes[VTD_ADMIN_BUFFER];
        size_t size;
        int result = vtd_admin_encode(request, bytes, &size);

        if (result < 0)
                return vtd_fail(log, result,
                                "the request is longer than %u bytes, or a value of it "
                                "has characters that are not allowed",
                                VTD_ADMIN_RECORD_MAX);
        result = vtd_record_send(fd, bytes, size, -1);
        return result == 0 ? 0
                           : vtd_fail(log, result < 0 ? result : -ECONNRESET,
                                      "vtd-brokerd took no request");
}

/* Descriptors that come along are closed: this program hands none on. */
static int receive(int fd, struct vtd_admin_record *record, struct vtd_log *log)
{
        VTD_CLEANUP(vtd_fd_list_deinit) struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        struct vtd_admin_reason reason;
        char bytes[VTD_ADMIN_RECORD_MAX];
        size_t size;
        int result = poll(&ready, 1, TIMEOUT_MS);

        if (result <= 0)
                return vtd_fail(log, result < 0 ? vtd_errno() : -ETIMEDOUT,
                                "vtd-brokerd did not answer within %d seconds", TIMEOUT_MS / 1000);
        result = vtd_record_receive(fd, bytes, sizeof(bytes), &size, &fds);
        if (result == VTD_RECORD_E_CLOSED)
                return vtd_fail(
                        log, -ECONNRESET,
                        "vtd-brokerd closed the connection: only root and its control group "
                        "are answered");
        if (result != 0)
                return vtd_fail(log, vtd_error_fold(result), "no whole record came");
        if (vtd_admin_decode(record, bytes, size, &reason) != 0)
                return vtd_fail(log, -EBADMSG, "vtd-brokerd sent what is no record: %s",
                                reason.text);
        return 0;
}

int vtd_ask(int fd, const struct vtd_admin_record *request, vtd_ask_on_record on_record,
            void *opaque, struct vtd_log *log)
{
        struct vtd_admin_record record;
        int result = send_request(fd, request, log);

        while (result == 0) {
                result = receive(fd, &record, log);
                if (result != 0)
                        break;
                on_record(opaque, &record);
                if (vtd_admin_kind_row(record.kind)->role == VTD_ADMIN_END)
                        return record.kind == VTD_ADMIN_REFUSED ? VTD_ASK_E_REFUSED : 0;
        }
        return result;
}
