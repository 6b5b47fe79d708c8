/* SPDX-License-Identifier: MIT */
/* See socket_file.h. */
#include "broker/brokerd/socket_file.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/brokerd/scarcity.h"
#include "shared/cleanup.h"
#include "shared/error.h"
#include "shared/record.h"

int vtd_socket_file_open_directory(const char *what, const char *path, int *fd, struct vtd_log *log)
{
        VTD_CLEANUP_FD int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat status;
        int error;

        if (directory < 0 || fstat(directory, &status) < 0) {
                error = vtd_errno();
                return vtd_fail(log, error, "%s %s: %s", what, path, strerror(-error));
        }
        /* Whoever may rename files here may put a socket of his own in another's place. */
        if ((status.st_mode & (S_IWGRP | S_IWOTH)) && !(status.st_mode & S_ISVTX))
                return vtd_fail(log, -EPERM,
                                "%s %s: mode %04o lets its group or others replace sockets", what,
                                path, status.st_mode & 07777u);
        if (status.st_uid != 0 && status.st_uid != geteuid())
                return vtd_fail(log, -EPERM, "%s %s: belongs to user %u, not to user 0 or %u", what,
                                path, status.st_uid, geteuid());
        *fd = VTD_TAKE_FD(directory);
        return 0;
}

/* Removes what a vtd-brokerd that is gone has left; -EADDRINUSE when it is in use or no socket. */
static int remove_stale(const struct vtd_socket_file *file, int type,
                        const struct sockaddr_un *address, struct vtd_log *log)
{
        VTD_CLEANUP_FD int fd = -1;
        struct stat status;
        int error;

        if (fstatat(file->directory, file->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : vtd_errno();
        if (!S_ISSOCK(status.st_mode))
                return vtd_fail(log, -EADDRINUSE, "%s: exists and is no socket", address->sun_path);
        fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return vtd_errno();
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
            errno != ECONNREFUSED)
                return vtd_fail(
                        log, -EADDRINUSE,
                        "%s: somebody listens there: end that process, or give another path",
                        address->sun_path);
        if (unlinkat(file->directory, file->name, 0) < 0) {
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
static int keep_descriptors_out(const struct vtd_socket_file *file, struct vtd_log *log)
{
        int result = vtd_record_accept_fds(file->fd, false);

        if (result != -ENOPROTOOPT)
                return result;
        vtd_log(log, VTD_LOG_WARNING,
                "%s: kernels before 6.16 cannot keep descriptors out of connections: who may "
                "connect can hold up vtd-brokerd",
                file->name);
        return 0;
}

/*
 * bind() creates the file, with its mode by umask.  Giving it away comes last: from then on its new
 * owner may do with the name what the directory allows.
 */
static int bind_socket(struct vtd_socket_file *file, const struct sockaddr_un *address,
                       const struct vtd_socket_rights *rights, struct vtd_log *log)
{
        bool given = rights->owner != (uid_t)-1 || rights->group != (gid_t)-1;
        mode_t before = umask(0777 & ~rights->mode);
        int result = 0;

        if (bind(file->fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
                result = vtd_errno();
                /* What has the name by now is another's: deinit must not remove it. */
                file->fd = vtd_close(file->fd);
        }
        (void)umask(before);
        if (result == 0 && given &&
            fchownat(file->directory, file->name, rights->owner, rights->group,
                     AT_SYMLINK_NOFOLLOW) < 0)
                result = vtd_errno();
        if (result == 0)
                result = keep_descriptors_out(file, log);
        if (result == 0 && listen(file->fd, VTD_SOCKET_FILE_BACKLOG) < 0)
                result = vtd_errno();
        return result;
}

int vtd_socket_file_init(struct vtd_socket_file *file, int directory, const char *path,
                         const char *name, int type, const struct vtd_socket_rights *rights,
                         struct vtd_log *log)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int length, result;

        *file = (struct vtd_socket_file){.fd = -1, .directory = directory};
        length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", path, name);
        if (length < 0 || (size_t)length >= sizeof(address.sun_path) ||
            strlen(name) >= sizeof(file->name))
                return vtd_fail(log, -ENAMETOOLONG,
                                "socket %s/%s: the name has %d characters, %zu are allowed", path,
                                name, length, sizeof(address.sun_path) - 1);
        (void)snprintf(file->name, sizeof(file->name), "%s", name);
        result = remove_stale(file, type, &address, log);
        if (result < 0)
                return result;
        file->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        result = file->fd < 0 ? vtd_errno() : bind_socket(file, &address, rights, log);
        if (result < 0)
                return vtd_fail(log, result, "socket %s: %s", address.sun_path, strerror(-result));
        return 0;
}

/* Reports @error unless that has been done; 0: it has passed. */
static void report_trouble(struct vtd_socket_file *file, int error, struct vtd_log *log)
{
        if (error == file->trouble)
                return;
        file->trouble = error;
        if (error != 0)
                (void)vtd_fail(log, error, "%s: no connection accepted, they wait: %s%s",
                               file->name, strerror(-error), vtd_scarcity_text(error));
        else
                vtd_log(log, VTD_LOG_INFO, "%s: connections are accepted again", file->name);
}

int vtd_socket_file_accept(struct vtd_socket_file *file, int *fd, struct vtd_log *log)
{
        int error, connection = accept4(file->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (connection >= 0) {
                report_trouble(file, 0, log);
                *fd = connection;
                return 0;
        }
        if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
                return VTD_SOCKET_FILE_E_AGAIN;
        error = vtd_errno();
        report_trouble(file, error, log);
        return error;
}

void vtd_socket_file_deinit(struct vtd_socket_file *file)
{
        if (file->fd < 0)
                return;
        (void)unlinkat(file->directory, file->name, 0);
        file->fd = vtd_close(file->fd);
}

int vtd_socket_file_give(const struct vtd_socket_file *file, uid_t owner, struct vtd_log *log)
{
        int error;

        if (fchownat(file->directory, file->name, owner, (gid_t)-1, AT_SYMLINK_NOFOLLOW) == 0)
                return 0;
        error = vtd_errno();
        return vtd_fail(log, error, "socket %s: not given to user %u: %s", file->name, owner,
                        strerror(-error));
}
