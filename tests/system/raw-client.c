/* SPDX-License-Identifier: MIT */
/* See raw-client.h. */
#include "tests/system/raw-client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "shared/cleanup.h"
#include "shared/error.h"
#include "shared/record.h"

#define FDS_MAX 8u

int raw_connect(struct raw_client *client, const char *path)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        VTD_CLEANUP_FD int fd = -1;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return vtd_errno();
        client->fd = VTD_TAKE_FD(fd);
        client->sequence = 0;
        return 0;
}

void raw_close(struct raw_client *client)
{
        client->fd = vtd_close(client->fd);
}

int raw_send(struct raw_client *client, const void *record, size_t length, const int *fds,
             size_t n_fds)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
        } control = {.bytes = {0}};
        struct iovec data = {.iov_base = (void *)(uintptr_t)record, .iov_len = length};
        struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

        if (n_fds > FDS_MAX)
                return -EINVAL;
        if (n_fds > 0) {
                struct cmsghdr *c;

                message.msg_control = control.bytes;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                c = CMSG_FIRSTHDR(&message);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
        }
        return sendmsg(client->fd, &message, MSG_NOSIGNAL) < 0 ? vtd_errno() : 0;
}

enum raw_outcome raw_receive(struct raw_client *client, struct vtd_reply *reply, uint32_t type,
                             uint32_t sequence)
{
        struct pollfd ready = {.fd = client->fd, .events = POLLIN};
        struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        uint8_t record[VTD_FRAME_SIZE_MAX];
        size_t length, n_fds;
        int result;

        if (poll(&ready, 1, RAW_CLIENT_TIMEOUT_MS) <= 0)
                return RAW_SILENT;
        result = vtd_record_receive(client->fd, record, sizeof(record), &length, &fds);
        if (result == VTD_RECORD_E_CLOSED)
                return RAW_CLOSED;
        if (result != 0)
                return RAW_GARBLED;
        n_fds = fds.count;
        vtd_fd_list_deinit(&fds);
        result = vtd_codec_decode_reply(&client->codec, reply, type, sequence, record, length,
                                        n_fds);
        return result == 0 ? RAW_ANSWERED : RAW_GARBLED;
}

enum raw_outcome raw_call(struct raw_client *client, struct vtd_request *request, int fd,
                          struct vtd_reply *reply)
{
        uint8_t record[VTD_FRAME_SIZE_MAX];
        size_t length;

        request->sequence = ++client->sequence;
        if (vtd_codec_encode_request(request, record, &length) != 0)
                return RAW_GARBLED;
        /* A broker that has hung up may refuse the record: what counts is what it answers. */
        (void)raw_send(client, record, length, &fd, fd >= 0 ? 1 : 0);
        return raw_receive(client, reply, request->type, request->sequence);
}

enum raw_outcome raw_hello(struct raw_client *client, struct vtd_reply *reply)
{
        struct vtd_request hello = {
                .type = VTD_REQUEST_HELLO,
                .hello = {.major = VTD_PROTOCOL_MAJOR, .minor = VTD_PROTOCOL_MINOR}};

        return raw_call(client, &hello, -1, reply);
}
