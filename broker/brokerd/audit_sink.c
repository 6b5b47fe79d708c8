/* SPDX-License-Identifier: MIT */
/* See audit_sink.h. */
#include "broker/brokerd/audit_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"

/* A pipe that is writable takes this much without blocking (PIPE_BUF). */
#define WRITE_SIZE 4096u

void vtd_audit_sink_init_descriptor(struct vtd_audit_sink *sink, int fd)
{
        struct stat status;

        *sink = (struct vtd_audit_sink){
                .kind = VTD_AUDIT_SINK_DESCRIPTOR,
                .fd = fd,
                .is_socket = fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode),
        };
}

static int open_file(const char *path, struct vtd_log *log)
{
        /* Not blocking: opening a FIFO would wait for a reader. */
        VTD_CLEANUP_FD int fd =
                open(path,
                     O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                     0640);
        struct stat status;
        int error;

        if (fd < 0 || fstat(fd, &status) < 0) {
                error = vtd_errno();
                return vtd_fail(log, error, "audit file %s: %s", path,
                                error == -ELOOP ? "it is a symbolic link" : strerror(-error));
        }
        if (!S_ISREG(status.st_mode))
                return vtd_fail(log, -EINVAL, "audit file %s: not a regular file", path);
        if ((status.st_uid != 0 && status.st_uid != geteuid()) ||
            (status.st_mode & (S_IWGRP | S_IWOTH)))
                return vtd_fail(
                        log, -EPERM,
                        "audit file %s: user %u owns it, mode %04o; only root or user %u may "
                        "be able to write it",
                        path, status.st_uid, status.st_mode & 07777u, geteuid());
        return VTD_TAKE_FD(fd);
}

int vtd_audit_sink_init_file(struct vtd_audit_sink *sink, const char *path, struct vtd_log *log)
{
        *sink = (struct vtd_audit_sink){.kind = VTD_AUDIT_SINK_FILE, .path = path};
        sink->fd = open_file(path, log);
        return sink->fd < 0 ? sink->fd : 0;
}

int vtd_audit_sink_init_journal(struct vtd_audit_sink *sink, const char *path, struct vtd_log *log)
{
        struct stat status;
        int error = 0;

        *sink = (struct vtd_audit_sink){.kind = VTD_AUDIT_SINK_JOURNAL, .path = path};
        sink->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (sink->fd < 0 || stat(path, &status) < 0)
                error = vtd_errno();
        else if (!S_ISSOCK(status.st_mode) ||
                 strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
                error = -ENOTSOCK;
        return error == 0 ? 0
                          : vtd_fail(log, error, "the journal cannot be reached, %s: %s", path,
                                     strerror(-error));
}

void vtd_audit_sink_deinit(struct vtd_audit_sink *sink)
{
        if (sink->kind != VTD_AUDIT_SINK_DESCRIPTOR)
                sink->fd = vtd_close(sink->fd);
}

int vtd_audit_sink_reopen(struct vtd_audit_sink *sink, struct vtd_log *log)
{
        int fd;

        if (sink->kind != VTD_AUDIT_SINK_FILE)
                return 0;
        fd = open_file(sink->path, log);
        if (fd < 0)
                return fd;
        (void)close(sink->fd);
        sink->fd = fd;
        return 0;
}

static int judge_errno(int *error)
{
        int r = vtd_errno();

        if (r == -EPIPE || r == -ECONNRESET || r == -EBADF)
                return VTD_AUDIT_SINK_E_GONE;
        *error = r == -EAGAIN || r == -EINTR ? 0 : r;
        return VTD_AUDIT_SINK_E_FULL;
}

/*
 * As much as one write takes.  It ends with a line, because others write to the same descriptor too;
 * only a socket may have cut the first one.
 */
static size_t size_of_write(const char *text, size_t size)
{
        const char *end;

        if (size <= WRITE_SIZE)
                return size;
        end = memrchr(text, '\n', WRITE_SIZE);
        return end ? (size_t)(end - text) + 1 : WRITE_SIZE;
}

static int write_descriptor(const struct vtd_audit_sink *sink, const char *text, size_t size,
                            size_t *taken, int *error)
{
        struct pollfd poll_fd = {.fd = sink->fd, .events = POLLOUT};
        ssize_t written;

        size = size_of_write(text, size);
        if (sink->is_socket) {
                written = send(sink->fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        } else {
                /* O_NONBLOCK would change the descriptor for everybody who shares it. */
                if (poll(&poll_fd, 1, 0) < 0 || (poll_fd.revents & (POLLERR | POLLNVAL)))
                        return VTD_AUDIT_SINK_E_GONE;
                if (!(poll_fd.revents & POLLOUT))
                        return VTD_AUDIT_SINK_E_FULL;
                written = write(sink->fd, text, size);
        }
        if (written < 0)
                return judge_errno(error);
        *taken = (size_t)written;
        return written > 0 ? 0 : VTD_AUDIT_SINK_E_FULL;
}

/*
 * A disk that fills up in the middle of a line takes a part of it.  That part is taken back: the line
 * comes again as a whole, maybe to the next file.
 */
static int write_file(const struct vtd_audit_sink *sink, const char *text, size_t size,
                      size_t *taken, int *error)
{
        ssize_t written = write(sink->fd, text, size);
        const char *end;
        off_t length;

        if (written < 0)
                return judge_errno(error);
        end = memrchr(text, '\n', (size_t)written);
        *taken = end ? (size_t)(end - text) + 1 : 0;
        if ((size_t)written > *taken) {
                length = lseek(sink->fd, 0, SEEK_END);
                if (length < 0 || ftruncate(sink->fd, length - (written - (off_t)*taken)) < 0)
                        *taken = (size_t)written; /* then the line is cut, but not doubled */
        }
        if (*taken > 0)
                return 0;
        *error = -ENOSPC;
        return VTD_AUDIT_SINK_E_FULL;
}

/* One line, as systemd.journal-fields(7) has it. */
static int write_journal(const struct vtd_audit_sink *sink, const char *text, size_t size,
                         size_t *taken, int *error)
{
        static const char head[] = "SYSLOG_IDENTIFIER=vtd-broker-audit\nPRIORITY=6\nMESSAGE=";
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        const char *end = memchr(text, '\n', size);
        struct iovec parts[] = {
                {.iov_base = (void *)(uintptr_t)head, .iov_len = sizeof(head) - 1},
                {.iov_base = (void *)(uintptr_t)text,
                 .iov_len = end ? (size_t)(end - text) + 1 : size},
        };
        const struct msghdr message = {.msg_name = &address,
                                       .msg_namelen = sizeof(address),
                                       .msg_iov = parts,
                                       .msg_iovlen = VTD_ARRAY_SIZE(parts)};

        memcpy(address.sun_path, sink->path, strlen(sink->path));
        /* Without a connection: a journal that is started anew has another socket. */
        if (sendmsg(sink->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
                (void)judge_errno(error);
                return VTD_AUDIT_SINK_E_FULL;
        }
        *taken = parts[1].iov_len;
        return 0;
}

int vtd_audit_sink_write(struct vtd_audit_sink *sink, const char *text, size_t size, size_t *taken,
                         int *error)
{
        *error = 0;
        if (sink->kind == VTD_AUDIT_SINK_FILE)
                return write_file(sink, text, size, taken, error);
        if (sink->kind == VTD_AUDIT_SINK_JOURNAL)
                return write_journal(sink, text, size, taken, error);
        return write_descriptor(sink, text, size, taken, error);
}
