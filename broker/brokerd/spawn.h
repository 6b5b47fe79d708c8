/* SPDX-License-Identifier: MIT */
/*
 * Starts a worker: clones a child into namespaces of its own, hands it the fixed descriptors of
 * control.h and nothing else, and executes the worker program with an empty environment.
 */
#ifndef VTD_BROKER_BROKERD_SPAWN_H
#define VTD_BROKER_BROKERD_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "protos/message.h"
#include "shared/log.h"

struct vtd_spawn {
        int program;      /* owned: the worker program, opened at start */
        const char *name; /* of it, static storage */
        int null;         /* owned: /dev/null, the standard streams of workers */
        int cgroup;       /* owned: directory of the cgroup that workers go to, or -1 */
        bool rootless;
};

/* What a child gets; all stay the caller's. */
struct vtd_spawn_descriptors {
        int control;
        int connection;
        int iommu; /* -1 for the simulated host */
};

/* The file name of the worker program for @host.  Static storage. */
const char *vtd_spawn_program(enum vtd_host_kind host);

/*
 * Opens what every start needs: the program for @host in @directory, and the cgroup directory
 * @cgroup unless NULL.  Returns 0 or a negative errno (reported); deinit is due in both cases.
 */
int vtd_spawn_init(struct vtd_spawn *spawn, enum vtd_host_kind host, const char *directory,
                   const char *cgroup, bool rootless, struct vtd_log *log);
void vtd_spawn_deinit(struct vtd_spawn *spawn);

/*
 * Starts one worker and checks from outside that every namespace of it is a new one, before it is
 * sent anything.  Waits until the worker's program runs: no copy of another VM's descriptors is
 * left then.  The caller owns *@pidfd and must wait for the child.
 * Returns 0, or a negative errno (reported) with no child left.
 */
int vtd_spawn_worker(const struct vtd_spawn *spawn, const struct vtd_spawn_descriptors *descriptors,
                     pid_t *pid, int *pidfd, struct vtd_log *log);

#endif
