/* SPDX-License-Identifier: MIT */
/* See listener.h.  Never reads from a connection. */
#include "broker/brokerd/listener.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/error.h"

int vtd_listener_take_directory(const char *path, int *fd, struct vtd_log *log)
{
        VTD_CLEANUP_FD int directory = -1;
        int result = vtd_socket_file_open_directory("sockets", path, &directory, log);

        if (result < 0)
                return result;
        if (flock(directory, LOCK_EX | LOCK_NB) < 0) {
                result = vtd_errno();
                return vtd_fail(log, result, "sockets %s: %s", path,
                                result == -EWOULDBLOCK ? "another vtd-brokerd serves it"
                                                       : strerror(-result));
        }
        *fd = VTD_TAKE_FD(directory);
        return 0;
}

/*
 * The file has mode 0600 when it is given to the tenant; otherwise 0660, because a tenant that is
 * another user than this process can only come by the group.
 */
int vtd_listener_init(struct vtd_listener *listener, int directory, const char *path,
                      const char *name, const struct vtd_policy *policy, bool owned,
                      struct vtd_log *log)
{
        const struct vtd_socket_rights rights = {
                .mode = owned ? 0600 : 0660,
                .owner = owned ? policy->uid : (uid_t)-1,
                .group = (gid_t)-1,
        };

        listener->policy = policy;
        return vtd_socket_file_init(&listener->file, directory, path, name, SOCK_SEQPACKET, &rights,
                                    log);
}

void vtd_listener_deinit(struct vtd_listener *listener)
{
        vtd_socket_file_deinit(&listener->file);
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

int vtd_listener_accept(struct vtd_listener *listener, int *fd, struct vtd_peer *peer,
                        struct vtd_log *log)
{
        VTD_CLEANUP_FD int connection = -1;
        struct ucred credentials;
        socklen_t size = sizeof(credentials);
        int error;

        *peer = (struct vtd_peer){0};
        error = vtd_socket_file_accept(&listener->file, &connection, log);
        if (error != 0)
                return error == VTD_SOCKET_FILE_E_AGAIN ? VTD_LISTENER_E_AGAIN : error;
        if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) {
                error = vtd_errno();
                return vtd_fail(log, error, "%s: no credentials: %s", listener->file.name,
                                strerror(-error));
        }
        *peer = (struct vtd_peer){.pid = credentials.pid, .uid = credentials.uid};
        error = judge_peer(listener->policy, connection, &credentials, peer);
        if (error == 0)
                *fd = VTD_TAKE_FD(connection);
        return error;
}
