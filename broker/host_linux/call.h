/* SPDX-License-Identifier: MIT */
/*
 * The one place where the real host issues an ioctl, and where the kernel's errno becomes an outcome
 * of broker/host.h.
 */
#ifndef VTD_BROKER_LINUX_CALL_H
#define VTD_BROKER_LINUX_CALL_H

#include <sys/ioctl.h>

#include "broker/host.h"
#include "shared/error.h"

/*
 * What errno of a failed call means: VTD_HOST_E_*, or a negative errno when it means nothing that a
 * caller could act on.
 */
static inline int vtd_linux_outcome(void)
{
        switch (errno) {
        case EBUSY:
        case EAGAIN: /* VFIO: another thread holds the device's lock, as during a reset */
                return VTD_HOST_E_BUSY;
        case ENOMEM: /* also the locked-memory limit */
        case ENOSPC: /* domain ids */
                return VTD_HOST_E_LIMIT;
        case EINVAL:
        case EEXIST:     /* an IOVA range that is mapped already */
        case EADDRINUSE: /* a reserved range of a device over a mapping, or the reverse */
        case EOVERFLOW:
                return VTD_HOST_E_INVALID;
        case ENOENT:
        case ENODEV:
        case ENOTTY:
        case EOPNOTSUPP:
                return VTD_HOST_E_ABSENT;
        default:
                return vtd_errno();
        }
}

/*
 * @request with @argument (NULL for those without).  Returns 0 or vtd_linux_outcome(); LIMIT for a
 * positive answer, which is how VFIO says that there are only so many interrupt vectors left.
 */
static inline int vtd_linux_call(int fd, unsigned long request, void *argument)
{
        int r = ioctl(fd, request, argument);

        if (r < 0)
                return vtd_linux_outcome();
        return r > 0 ? VTD_HOST_E_LIMIT : 0;
}

#endif
