/* SPDX-License-Identifier: MIT */
/* See listener.h.  Never reads from a connection. */
#include "broker/brokerd/listener.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/error.h"
#include "shared/record.h"

int vtd_listener_take_directory(const char *path, int *fd, struct vtd_log *log)
{
        VTD_CLEANUP_FD int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat status;
        int error;

        if (directory < 0 || fstat(directory, &status) < 0) {
                error = vtd_errno();
                return vtd_fail(log, error, "sockets %s: %s", path, strerror(-error));
        }
        /* Whoever may rename files here may put a socket of his own in a tenant's place. */
        if ((status.st_mode & (S_IWGRP | S_IWOTH)) && !(status.st_mode & S_ISVTX))
                return vtd_fail(log, -EPERM,
                                "sockets %s: mode %04o lets its group or others replace sockets",
                                path, status.st_mode & 07777u);
        if (status.st_uid != 0 && status.st_uid != geteuid())
                return vtd_fail(log, -EPERM, "sockets %s: belongs to user %u, not to user 0 or %u",
                                path, status.st_uid, geteuid());
        if (flock(directory, LOCK_EX | LOCK_NB) < 0) {
                error = vtd_errno();
                return vtd_fail(log, error, "sockets %s: %s", path,
                                error == -EWOULDBLOCK ? "another vtd-brokerd serves it"
                                                      : strerror(-error));
        }
        *fd = VTD_TAKE_FD(directory);
        return 0;
}

/* Removes what a vtd-brokerd that is gone has left; -EADDRINUSE when it is in use or no socket. */
static int remove_stale(const struct vtd_listener *listener, const struct sockaddr_un *address,
                        struct vtd_log *log)
{
        VTD_CLEANUP_FD int fd = -1;
        struct stat status;
        int error;

        if (fstatat(listener->directory, listener->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : vtd_errno();
        if (!S_ISSOCK(status.st_mode))
                return vtd_fail(log, -EADDRINUSE, "%s: exists and is no socket", address->sun_path);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return vtd_errno();
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
            errno != ECONNREFUSED)
                return vtd_fail(log, -EADDRINUSE, "%s: somebody listens there", address->sun_path);
        if (unlinkat(listener->directory, listener->name, 0) < 0) {
                error = vtd_errno();
                return vtd_fail(log, error, "%s: stale, not removed: %s", address->sun_path,
                                strerror(-error));
        }
        return 0;
}

/*
 * Connections are closed here when they are refused or still wait at the end.  Descriptors that
 * wait in them would be closed with them, by this process, for as long as their sender likes: they
 * are not let in until a worker has the connection.
 */
static int keep_descriptors_out(const struct vtd_listener *listener, struct vtd_log *log)
{
        int result = vtd_record_accept_fds(listener->fd, false);

        if (result != -ENOPROTOOPT)
                return result;
        vtd_log(log, VTD_LOG_WARNING,
                "%s: kernels before 6.16 cannot keep descriptors out of connections: a tenant can "
                "hold up vtd-brokerd",
                listener->name);
        return 0;
}

/*
 * bind() creates the file, with its mode by umask: 0600 when it is given to the tenant; otherwise
 * 0660, because a tenant that is another user than this process can only come by the group.  Giving
 * it away comes last: from then on its new owner may do with the name what the directory allows.
 */
static int bind_socket(struct vtd_listener *listener, const struct sockaddr_un *address, bool owned,
                       struct vtd_log *log)
{
        mode_t before = umask(owned ? 0177 : 0117);
        int result = 0;

        if (bind(listener->fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
                result = vtd_errno();
        (void)umask(before);
        if (result == 0 && owned &&
            fchownat(listener->directory, listener->name, listener->policy->uid, (gid_t)-1,
                     AT_SYMLINK_NOFOLLOW) < 0)
                result = vtd_errno();
        if (result == 0)
                result = keep_descriptors_out(listener, log);
        if (result == 0 && listen(listener->fd, VTD_LISTENER_BACKLOG) < 0)
                result = vtd_errno();
        return result;
}

int vtd_listener_init(struct vtd_listener *listener, int directory, const char *path,
                      const struct vtd_policy *policy, bool owned, struct vtd_log *log)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int length, result;

        *listener = (struct vtd_listener){.fd = -1, .directory = directory, .policy = policy};
        (void)snprintf(listener->name, sizeof(listener->name), "%s.sock", policy->tenant);
        length =
                snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", path, listener->name);
        if (length < 0 || (size_t)length >= sizeof(address.sun_path))
                return vtd_fail(log, -ENAMETOOLONG,
                                "socket %s/%s: the name has %d characters, %zu are allowed", path,
                                listener->name, length, sizeof(address.sun_path) - 1);
        result = remove_stale(listener, &address, log);
        if (result < 0)
                return result;
        listener->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        result = listener->fd < 0 ? vtd_errno() : bind_socket(listener, &address, owned, log);
        if (result < 0)
                return vtd_fail(log, result, "socket %s: %s", address.sun_path, strerror(-result));
        return 0;
}

void vtd_listener_deinit(struct vtd_listener *listener)
{
        if (listener->fd < 0)
                return;
        (void)unlinkat(listener->directory, listener->name, 0);
        listener->fd = vtd_close(listener->fd);
}

/* Says why the peer is refused; @line of the policy decides. */
__attribute__((format(printf, 3, 4))) static int refuse_peer(struct vtd_peer *peer, uint32_t line,
                                                             const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(peer->text, sizeof(peer->text), format, arguments);
        va_end(arguments);
        peer->line = line;
        return VTD_LISTENER_E_REFUSED;
}

/* All of it counts, and of NULs only one that ends it: some security modules count that one in. */
static bool is_label(const char *wanted, const char *label, size_t size)
{
        if (size > 0 && label[size - 1] == '\0')
                size--;
        return size == strlen(wanted) && memcmp(label, wanted, size) == 0;
}

/* Without a security module that labels sockets there is no label, and nobody has the right one. */
static int judge_label(const struct vtd_policy *policy, int connection, struct vtd_peer *peer)
{
        char label[VTD_POLICY_LABEL + 1], shown[64];
        socklen_t size = sizeof(label);

        if (policy->label[0] == '\0')
                return 0;
        if (getsockopt(connection, SOL_SOCKET, SO_PEERSEC, label, &size) < 0)
                return refuse_peer(peer, policy->label_line,
                                   "the security label of the connection cannot be read (%s)",
                                   strerror(errno));
        if (!is_label(policy->label, label, size))
                return refuse_peer(peer, policy->label_line,
                                   "a process labelled \"%s\" connected, only \"%.64s\" may",
                                   vtd_log_escape(shown, sizeof(shown), label, size),
                                   policy->label);
        return 0;
}

static int judge_peer(const struct vtd_policy *policy, int connection,
                      const struct ucred *credentials, struct vtd_peer *peer)
{
        /* A process id of 0 is one that this PID namespace cannot see. */
        if (credentials->pid <= 0)
                return refuse_peer(peer, policy->uid_line,
                                   "a process that this PID namespace cannot see connected");
        if (credentials->uid != policy->uid)
                return refuse_peer(peer, policy->uid_line, "user %u connected, only user %u may",
                                   credentials->uid, policy->uid);
        if (policy->gid != VTD_POLICY_ANY_GROUP && credentials->gid != policy->gid)
                return refuse_peer(peer, policy->gid_line, "group %u connected, only group %u may",
                                   credentials->gid, policy->gid);
        return judge_label(policy, connection, peer);
}

int vtd_listener_accept(struct vtd_listener *listener, int *fd, struct vtd_peer *peer)
{
        VTD_CLEANUP_FD int connection = -1;
        struct ucred credentials;
        socklen_t size = sizeof(credentials);
        int error;

        *peer = (struct vtd_peer){0};
        connection = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (connection < 0) {
                switch (errno) {
                case EAGAIN:
                case EINTR:
                case ECONNABORTED:
                        return VTD_LISTENER_E_AGAIN;
                default:
                        return vtd_errno();
                }
        }
        if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
                return vtd_errno();
        *peer = (struct vtd_peer){.pid = credentials.pid, .uid = credentials.uid};
        error = judge_peer(listener->policy, connection, &credentials, peer);
        if (error == 0)
                *fd = VTD_TAKE_FD(connection);
        return error;
}
