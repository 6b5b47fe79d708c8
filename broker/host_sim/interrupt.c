/* SPDX-License-Identifier: MIT */
/*
 * See interrupt.h.  The descriptor is hostile, and its other end can fill the counter between the look
 * and the write, which then waits: only its own VM waits with it, and vtd-brokerd ends a worker that
 * does not answer.
 */
#include "broker/host_sim/interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/host.h"
#include "shared/error.h"

/* Adds @count; false when it cannot be added, or at once. */
static bool add(int fd, uint64_t count)
{
        const struct timespec at_once = {0};
        struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

        return ppoll(&poll_fd, 1, &at_once, NULL) == 1 && (poll_fd.revents & POLLOUT) &&
               write(fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

int vtd_sim_interrupt_adopt(int fd, int *own)
{
        struct stat status;
        int copy;

        /*
         * An eventfd is a file of no type, and of those the one that takes 8 bytes of 0.  The type is
         * asked for without a file system having to answer, which may be the client's own.
         */
        if (fstatat(fd, "", &status, AT_EMPTY_PATH | AT_STATX_DONT_SYNC) < 0)
                return vtd_errno();
        if ((status.st_mode & S_IFMT) != 0 || !add(fd, 0))
                return VTD_HOST_E_INVALID;
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
                return errno == EMFILE ? VTD_HOST_E_LIMIT : vtd_errno();
        *own = copy;
        return 0;
}

void vtd_sim_interrupt_signal(int own)
{
        (void)add(own, 1); /* a full counter is a signal that nobody has taken yet */
}
