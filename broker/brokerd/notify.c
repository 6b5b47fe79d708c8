/* SPDX-License-Identifier: MIT */
/* See notify.h. */
#include "broker/brokerd/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "shared/cleanup.h"
#include "shared/error.h"

int vtd_notify(const char *state, struct vtd_log *log)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        const char *name = getenv("NOTIFY_SOCKET");
        VTD_CLEANUP_FD int fd = -1;
        size_t length;

        if (!name || name[0] == '\0')
                return 0;
        length = strlen(name);
        if ((name[0] != '/' && name[0] != '@') || length >= sizeof(address.sun_path))
                return vtd_fail(log, -EINVAL,
                                "NOTIFY_SOCKET is neither a path nor an abstract name of at most "
                                "%zu characters",
                                sizeof(address.sun_path) - 1);
        memcpy(address.sun_path, name, length);
        if (address.sun_path[0] == '@')
                address.sun_path[0] = '\0';
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || sendto(fd, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL,
                             (const struct sockaddr *)&address,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0) {
                int error = vtd_errno();

                return vtd_fail(log, error, "%s not sent to the service manager: %s", state,
                                strerror(-error));
        }
        return 0;
}
