/* SPDX-License-Identifier: MIT */
/* See record.h. */
#include "shared/record.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "shared/cleanup.h"
#include "shared/error.h"

/* Linux 6.16; the headers may be older. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

/* Room for one descriptor more than is allowed, so that an excess arrives and is seen. */
union record_control {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * VTD_LIMIT_RECORD_FDS)];
};

/* Takes every descriptor that @message carries into @fds; false when something else came along. */
static bool collect_fds(struct msghdr *message, struct vtd_fd_list *fds)
{
        bool clean = true;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                size_t count;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
                    c->cmsg_len < CMSG_LEN(0)) {
                        clean = false;
                        continue;
                }
                count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < count; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
                        if (fds->count < VTD_LIMIT_RECORD_FDS) {
                                fds->fds[fds->count++] = fd;
                        } else {
                                fd = vtd_close(fd);
                                clean = false;
                        }
                }
        }
        return clean;
}

static bool is_peer_gone(int error)
{
        return error == EPIPE || error == ECONNRESET || error == ENOTCONN;
}

int vtd_record_receive(int socket, void *buffer, size_t size, size_t *length,
                       struct vtd_fd_list *fds)
{
        union record_control control;
        struct iovec data = {.iov_base = buffer, .iov_len = size};
        struct msghdr message = {
                .msg_iov = &data,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof(control.bytes),
        };
        ssize_t received;
        bool clean;

        do
                received = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (received < 0 && errno == EINTR);
        if (received < 0) {
                if (errno == EAGAIN || errno == EWOULDBLOCK)
                        return VTD_RECORD_E_AGAIN;
                return is_peer_gone(errno) ? VTD_RECORD_E_CLOSED : vtd_errno();
        }
        /* An empty record can still install descriptors: own them before judging anything. */
        clean = collect_fds(&message, fds);
        if (!clean || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
            (received == 0 && fds->count > 0)) {
                vtd_fd_list_deinit(fds);
                return VTD_RECORD_E_VIOLATION;
        }
        if (received == 0)
                return VTD_RECORD_E_CLOSED;
        *length = (size_t)received;
        return 0;
}

int vtd_record_send(int socket, const void *buffer, size_t length, int fd)
{
        union record_control control;
        struct iovec data = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = length};
        struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
        const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
        ssize_t sent;

        if (fd >= 0) {
                struct cmsghdr *c;

                memset(&control, 0, sizeof(control));
                message.msg_control = control.bytes;
                message.msg_controllen = CMSG_SPACE(sizeof(int));
                c = CMSG_FIRSTHDR(&message);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(c), &fd, sizeof(fd));
        }
        /*
         * send() where nothing comes along: a worker's filter cannot look into a msghdr, so that it
         * has no sendmsg() at all, with which a descriptor could be given away.
         */
        do
                sent = fd >= 0 ? sendmsg(socket, &message, flags)
                               : send(socket, buffer, length, flags);
        while (sent < 0 && errno == EINTR);
        if (sent < 0) {
                if (errno == EAGAIN || errno == EWOULDBLOCK)
                        return VTD_RECORD_E_AGAIN;
                return is_peer_gone(errno) ? VTD_RECORD_E_CLOSED : vtd_errno();
        }
        return (size_t)sent == length ? 0 : -EMSGSIZE;
}

static int socket_option(int fd, int option, int *value)
{
        socklen_t size = sizeof(*value);

        return getsockopt(fd, SOL_SOCKET, option, value, &size) < 0 ? vtd_errno() : 0;
}

int vtd_record_adopt(int fd)
{
        int domain, type, flags, result;

        result = socket_option(fd, SO_DOMAIN, &domain);
        if (result < 0)
                return result;
        result = socket_option(fd, SO_TYPE, &type);
        if (result < 0)
                return result;
        if (domain != AF_UNIX || type != SOCK_SEQPACKET)
                return -EPROTOTYPE;
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return vtd_errno();
        return 0;
}

int vtd_record_accept_fds(int socket, bool accept)
{
        int value = accept;

        return setsockopt(socket, SOL_SOCKET, SO_PASSRIGHTS, &value, sizeof(value)) < 0
                       ? vtd_errno()
                       : 0;
}
