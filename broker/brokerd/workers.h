/* SPDX-License-Identifier: MIT */
/*
 * The workers of a vtd-brokerd: from the accepted connection to the last closed descriptor.
 *
 * A worker's records are hostile.  Whatever breaks the protocol of control.h, comes out of turn, or
 * fails to answer PING ends the worker by SIGKILL; then its VFIO descriptors are closed, whose last
 * close blocks and resets the devices, then its iommufd, which unmaps memory.  Both are done by a
 * process of its own (closer.h), so that no other VM waits; until that has ended the VM counts, its
 * user is not given to another, and its devices are held.
 */
#ifndef VTD_BROKER_BROKERD_WORKERS_H
#define VTD_BROKER_BROKERD_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/brokerd/audit_log.h"
#include "broker/control/control.h"
#include "broker/brokerd/device_files.h"
#include "broker/brokerd/spawn.h"
#include "broker/brokerd/tenants.h"
#include "broker/brokerd/uids.h"
#include "shared/log.h"

struct vtd_worker;

/* A VM that comes in. */
struct vtd_arrival {
        struct vtd_tenant *tenant;       /* outlives the worker */
        const struct vtd_policy *policy; /* of this VM; copied */
        const char *name;                /* of its grant, empty without one; copied */
        bool charged;                    /* the tenant is charged for it already */
        int peer_pid;
};

struct vtd_workers_config {
        enum vtd_host_kind host;
        enum vtd_audit_level audit_level;
        uint32_t landlock_abi_min;
        bool rootless;
        const struct vtd_spawn *spawn; /* all pointers borrowed */
        struct vtd_uids *uids;
        struct vtd_device_files *devices;
        struct vtd_audit_log *audit;
        struct vtd_log *log;
        void (*on_empty)(void *opaque); /* the last worker is gone, with all of its descriptors */
        void *opaque;
};

struct vtd_workers {
        struct vtd_workers_config config;
        struct vtd_worker *slots[VTD_LIMIT_WORKERS];
        size_t count;
        size_t greeting;
        uint32_t last_vm;  /* VMs are numbered from 1 */
        unsigned watchdog; /* GLib source */
};

enum {
        VTD_WORKERS_E_LATER = 1, /* a rate or a number that will pass: leave it in the backlog */
        VTD_WORKERS_E_REFUSED,   /* reported and audited */
};

void vtd_workers_init(struct vtd_workers *workers, const struct vtd_workers_config *config);
/*
 * Kills the workers that are left and waits for them, but not for closers, which end by themselves.
 */
void vtd_workers_deinit(struct vtd_workers *workers);

/*
 * May a connection of this kind be accepted now?  Charges the tenant's spawn rate when it may.
 * Returns 0 or VTD_WORKERS_E_LATER.
 */
int vtd_workers_admit(struct vtd_workers *workers, const struct vtd_arrival *arrival);

/*
 * Starts a worker for @connection, which is the worker's alone afterwards and is closed on every
 * path.  A worker that was started has the tenant's charge for this VM.
 * Returns 0 or VTD_WORKERS_E_REFUSED.
 */
int vtd_workers_start(struct vtd_workers *workers, const struct vtd_arrival *arrival,
                      int connection);

/* By slot, from 0 to VTD_LIMIT_WORKERS - 1; NULL: none. */
struct vtd_worker *vtd_workers_at(const struct vtd_workers *workers, size_t slot);

/* The worker of the VM that is called @name, or has the number @vm; NULL when there is none. */
struct vtd_worker *vtd_workers_find_name(const struct vtd_workers *workers, const char *name);
struct vtd_worker *vtd_workers_find(const struct vtd_workers *workers, uint32_t vm);

/* @worker is gone, with all of its descriptors; it is freed after this.  For worker.c. */
void vtd_workers_remove(struct vtd_workers *workers, const struct vtd_worker *worker);

/* Asks every worker to end its VM. */
void vtd_workers_drain(struct vtd_workers *workers);

/* Kills every worker; on_empty follows once all is closed. */
void vtd_workers_kill(struct vtd_workers *workers, const char *reason);

#endif
