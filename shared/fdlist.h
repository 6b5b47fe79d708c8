/* SPDX-License-Identifier: MIT */
/*
 * The descriptors that travel with one record.  A list owns what it holds until taken; it is the
 * only carrier of passed descriptors, so that no error path can leak one.
 */
#ifndef VTD_SHARED_FDLIST_H
#define VTD_SHARED_FDLIST_H

#include <stddef.h>

#include "shared/limits.h"

struct vtd_fd_list {
        int fds[VTD_LIMIT_RECORD_FDS];
        size_t count;
};

#define VTD_FD_LIST_EMPTY                                                                          \
        {                                                                                          \
                .fds = {-1, -1}, .count = 0                                                        \
        }

void vtd_fd_list_init(struct vtd_fd_list *list);

/* Closes everything still owned and leaves the list empty. */
void vtd_fd_list_deinit(struct vtd_fd_list *list);

/* Moves the first descriptor out; -1 when the list is empty.  The caller owns the result. */
int vtd_fd_list_take(struct vtd_fd_list *list);

#endif
