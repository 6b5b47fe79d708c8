/* SPDX-License-Identifier: MIT */
/*
 * One connection to the control socket: takes one request at a time, and sends what answers it.
 *
 * The peer is an administrator and hostile all the same.  Nothing here waits for it: what it does not
 * read stays in a queue of bounded size, no further request is read meanwhile, and a peer that takes
 * nothing for a while, or says nothing, loses the connection.
 */
#ifndef VTD_BROKER_BROKERD_ADMIN_CLIENT_H
#define VTD_BROKER_BROKERD_ADMIN_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/admin/admin.h"
#include "shared/log.h"

struct vtd_admin_client;

/* Something that goes on after its request, and ends with an end record; one at a time. */
struct vtd_admin_job {
        void (*on_room)(struct vtd_admin_job *job); /* there is room in the queue again */
        void (*free)(struct vtd_admin_job *job);
};

struct vtd_admin_client_config {
        uint32_t uid; /* of the process that connected */
        int pid;
        struct vtd_log *log; /* borrowed */
        /* A request came.  It is answered now, or by a job. */
        void (*on_request)(void *opaque, struct vtd_admin_client *client,
                           const struct vtd_admin_record *request);
        void *opaque;
        /* The connection is over: frees the client.  Never called from within the functions below. */
        void (*on_end)(void *server, struct vtd_admin_client *client);
        void *server;
};

/* Takes over @fd, a connection that does not block. */
struct vtd_admin_client *vtd_admin_client_new(int fd, const struct vtd_admin_client_config *config);
/* Frees its job too.  NULL is allowed; returns NULL. */
struct vtd_admin_client *vtd_admin_client_free(struct vtd_admin_client *client);

uint32_t vtd_admin_client_uid(const struct vtd_admin_client *client);

/* Queues @record, with @fd, which becomes the client's, unless -1. */
void vtd_admin_client_send(struct vtd_admin_client *client, const struct vtd_admin_record *record,
                           int fd);

/* Ends an answer: DONE, or REFUSED with a reason and, unless empty, the rule that decides. */
void vtd_admin_client_done(struct vtd_admin_client *client);
void vtd_admin_client_refuse(struct vtd_admin_client *client, const char *reason, const char *rule);

/* True while a job should go on putting records into the queue. */
bool vtd_admin_client_has_room(const struct vtd_admin_client *client);

/* Gives the client its job, which is freed when the client is or calls vtd_admin_client_end_job(). */
void vtd_admin_client_set_job(struct vtd_admin_client *client, struct vtd_admin_job *job);
void vtd_admin_client_end_job(struct vtd_admin_client *client);

/* To be called every second: true when the peer has been silent, or has read nothing, for too long. */
bool vtd_admin_client_is_late(const struct vtd_admin_client *client);

#endif
