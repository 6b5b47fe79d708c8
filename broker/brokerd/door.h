/* SPDX-License-Identifier: MIT */
/*
 * A socket by which VMs come in: a tenant's, or that of one VM.  A flood of connections slows down
 * its own tenant only; what waits is never read.
 */
#ifndef VTD_BROKER_BROKERD_DOOR_H
#define VTD_BROKER_BROKERD_DOOR_H

#include <glib.h>

#include "broker/brokerd/listener.h"
#include "broker/brokerd/workers.h"

/* Where sockets are, for all of them. */
struct vtd_door_place {
        int directory; /* borrowed, like path */
        const char *path;
        bool owned; /* files are given to the user that the policy names */
};

struct vtd_door_config {
        struct vtd_workers *workers; /* all pointers borrowed */
        struct vtd_tenant *tenant;
        const struct vtd_policy *policy;  /* of the VMs that come in here, and who may connect */
        const char *name;                 /* of the grant, empty without one */
        bool charged;                     /* the tenant is charged for the VM that comes in */
        void (*on_started)(void *opaque); /* a VM came in; may free the door; NULL: go on */
        void *opaque;
};

struct vtd_door {
        struct vtd_door_config config;
        struct vtd_listener listener;
        guint source; /* watches the socket, or the pause; 0: neither */
};

/*
 * Listens on the socket @file, but accepts nothing yet.  The caller frees *@out.
 * Returns 0 or a negative errno (reported).
 */
int vtd_door_new(struct vtd_door **out, const struct vtd_door_config *config,
                 const struct vtd_door_place *place, const char *file, struct vtd_log *log);
/* Removes the socket.  NULL is allowed; returns NULL. */
struct vtd_door *vtd_door_free(struct vtd_door *door);

/* The door of another struct vtd_tenant of the same name, for its VMs. */
void vtd_door_belong_to(struct vtd_door *door, struct vtd_tenant *tenant);

/* From here on connections are accepted. */
void vtd_door_open(struct vtd_door *door);

/*
 * A door for the socket TENANT.sock of @tenant, which gets it.
 * Returns 0 or a negative errno (reported).
 */
int vtd_door_new_for_tenant(struct vtd_door **out, struct vtd_workers *workers,
                            struct vtd_tenant *tenant, const struct vtd_door_place *place,
                            struct vtd_log *log);

#endif
