/* SPDX-License-Identifier: MIT */
/* See uids.h. */
#include "broker/brokerd/uids.h"

#include <glib.h>

void vtd_uids_init(struct vtd_uids *uids, uint32_t first, uint32_t last)
{
        uint32_t count = last - first + 1;

        *uids = (struct vtd_uids){
                .first = first,
                .count = count,
                .used = g_new0(bool, count),
        };
}

void vtd_uids_init_rootless(struct vtd_uids *uids, uint32_t uid)
{
        *uids = (struct vtd_uids){.first = uid, .count = 1};
}

void vtd_uids_deinit(struct vtd_uids *uids)
{
        g_clear_pointer(&uids->used, g_free);
}

int vtd_uids_take(struct vtd_uids *uids, uint32_t *uid)
{
        if (!uids->used) {
                *uid = uids->first;
                return 0;
        }
        for (uint32_t i = 0; i < uids->count; i++) {
                uint32_t index = (uids->next + i) % uids->count;

                if (uids->used[index])
                        continue;
                uids->used[index] = true;
                uids->next = (index + 1) % uids->count;
                *uid = uids->first + index;
                return 0;
        }
        return VTD_UIDS_E_NONE_FREE;
}

void vtd_uids_give_back(struct vtd_uids *uids, uint32_t uid)
{
        if (uids->used)
                uids->used[uid - uids->first] = false;
}
