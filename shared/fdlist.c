/* SPDX-License-Identifier: MIT */
/* See fdlist.h. */
#include "shared/fdlist.h"

#include "shared/cleanup.h"

void vtd_fd_list_init(struct vtd_fd_list *list)
{
        *list = (struct vtd_fd_list)VTD_FD_LIST_EMPTY;
}

void vtd_fd_list_deinit(struct vtd_fd_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                list->fds[i] = vtd_close(list->fds[i]);
        list->count = 0;
}

int vtd_fd_list_take(struct vtd_fd_list *list)
{
        int fd;

        if (list->count == 0)
                return -1;
        fd = VTD_TAKE_FD(list->fds[0]);
        list->count--;
        for (size_t i = 0; i < list->count; i++)
                list->fds[i] = VTD_TAKE_FD(list->fds[i + 1]);
        return fd;
}
