/* SPDX-License-Identifier: MIT */
/*
 * The jobs that show what runs: status, tree and stats.  They go from one thing to the next as the
 * client has room, and ask workers for what only those know.  What changes meanwhile may be shown as
 * it was or as it is; a worker that does not answer in time is shown as such, and waited for no
 * longer.
 */
#ifndef VTD_BROKER_BROKERD_ADMIN_WALK_H
#define VTD_BROKER_BROKERD_ADMIN_WALK_H

#include "broker/brokerd/administration.h"

/*
 * Gives @client the job that answers a request of @kind: STATUS, TREE or STATS.  @worker: about its VM
 * only, NULL: about all.
 */
void vtd_admin_walk_start(const struct vtd_administration *administration,
                          struct vtd_admin_client *client, enum vtd_admin_kind kind,
                          const struct vtd_worker *worker);

#endif
