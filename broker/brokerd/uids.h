/* SPDX-License-Identifier: MIT */
/*
 * The users of workers: one for each, from a range that belongs to vtd-brokerd alone.  A user goes
 * back only when every descriptor of its VM is closed, because pinned memory stays charged to it
 * until then.
 */
#ifndef VTD_BROKER_BROKERD_UIDS_H
#define VTD_BROKER_BROKERD_UIDS_H

#include <stdbool.h>
#include <stdint.h>

/* A wider range would not be used: there are at most VTD_LIMIT_WORKERS workers at once. */
#define VTD_UIDS_MAX 65536u

enum {
        VTD_UIDS_E_NONE_FREE = 1,
};

struct vtd_uids {
        uint32_t first;
        uint32_t count;
        uint32_t next; /* where the search begins: the longest unused comes first */
        bool *used;    /* owned; NULL: rootless, one user for all */
};

/* @first to @last, at most VTD_UIDS_MAX, without 0. */
void vtd_uids_init(struct vtd_uids *uids, uint32_t first, uint32_t last);
/* Every worker keeps the user @uid. */
void vtd_uids_init_rootless(struct vtd_uids *uids, uint32_t uid);
void vtd_uids_deinit(struct vtd_uids *uids);

/* Returns 0 with *@uid, or VTD_UIDS_E_NONE_FREE. */
int vtd_uids_take(struct vtd_uids *uids, uint32_t *uid);
void vtd_uids_give_back(struct vtd_uids *uids, uint32_t uid);

#endif
