/* SPDX-License-Identifier: MIT */
/*
 * The seam between emulation and broker: one request at a time, answered later.  client.c
 * implements it over a socket; tests and benchmarks put an in-process host in its place.
 */
#ifndef VTD_FRONTEND_BACKEND_H
#define VTD_FRONTEND_BACKEND_H

#include "protos/message.h"
#include "shared/log.h"

enum {
        VTD_BACKEND_E_AGAIN = 1, /* no answer yet */
        VTD_BACKEND_E_LOST,      /* the connection is gone, or the peer broke the protocol */
};

struct vtd_backend;

struct vtd_backend_ops {
        /*
         * Sends @request (its sequence is filled in); @fd goes along unless -1 and stays the
         * caller's.  At most one request may be unanswered.
         * Returns 0; VTD_BACKEND_E_LOST.
         */
        int (*submit)(struct vtd_backend *backend, struct vtd_request *request, int fd);
        /*
         * Fetches the answer to the submitted request; waits at most @timeout_ms milliseconds.
         * With no request unanswered it only looks whether the connection is still there.
         * Returns 0; VTD_BACKEND_E_AGAIN, _LOST.
         */
        int (*collect)(struct vtd_backend *backend, struct vtd_reply *reply, int timeout_ms);
        int (*get_fd)(const struct vtd_backend *backend);
        struct vtd_backend *(*free)(struct vtd_backend *backend);
};

/* First member of every implementation. */
struct vtd_backend {
        const struct vtd_backend_ops *ops;
};

/*
 * client.c: takes over the connected, non-blocking socket @fd; what is wrong with the peer is
 * reported through @log, which must outlive the client.  Returns 0, or -ENOMEM, and then @fd is
 * still the caller's.
 */
int vtd_client_new(struct vtd_backend **out, int fd, struct vtd_log *log);

#endif
