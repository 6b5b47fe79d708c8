/* SPDX-License-Identifier: MIT */
/*
 * Ownership idiom.
 *
 * Every resource has exactly one owner from the line on which it exists:
 *   x_new(struct x **out, ...) / struct x *x_free(struct x *x) -> NULL   for heap objects,
 *   x_init(struct x *x, ...) / void x_deinit(struct x *x)                for embedded objects,
 *   int fd held in a field or a VTD_CLEANUP_FD local, -1 when empty.
 * Out parameters are written last, and only on success.
 */
#ifndef VTD_SHARED_CLEANUP_H
#define VTD_SHARED_CLEANUP_H

#include <unistd.h>

#define VTD_CLEANUP(function) __attribute__((cleanup(function)))

/* Moves a pointer or descriptor out of its owner, which is left empty. */
#define VTD_TAKE_PTR(pointer)                                                                      \
        ({                                                                                         \
                __auto_type vtd_taken_ = (pointer);                                                \
                (pointer) = NULL;                                                                  \
                vtd_taken_;                                                                        \
        })
#define VTD_TAKE_FD(fd)                                                                            \
        ({                                                                                         \
                int vtd_taken_ = (fd);                                                             \
                (fd) = -1;                                                                         \
                vtd_taken_;                                                                        \
        })

/*
 * Closes @fd if it is open; always returns -1, so that `x->fd = vtd_close(x->fd);` reads as one
 * move.  close() is not retried: on Linux the descriptor is gone whatever it returns.
 */
static inline int vtd_close(int fd)
{
        if (fd >= 0)
                (void)close(fd);
        return -1;
}

static inline void vtd_close_p(int *fd)
{
        *fd = vtd_close(*fd);
}

#define VTD_CLEANUP_FD VTD_CLEANUP(vtd_close_p)

#endif
