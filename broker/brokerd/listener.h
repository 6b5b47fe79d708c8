/* SPDX-License-Identifier: MIT */
/*
 * The socket of one tenant, DIRECTORY/TENANT.sock, or of one VM, DIRECTORY/TENANT+VM.sock (no name
 * of a tenant has a "+"): SOCK_SEQPACKET.
 *
 * Who connects is judged by SO_PEERCRED and, if the policy asks for it, SO_PEERSEC, which the kernel
 * records when connect() is called: they name the process that made the connection, not whoever
 * holds the descriptor later.  A VMM that passes its connection on passes its identity on.
 */
#ifndef VTD_BROKER_BROKERD_LISTENER_H
#define VTD_BROKER_BROKERD_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/brokerd/socket_file.h"
#include "policy/policy.h"
#include "shared/log.h"

enum {
        VTD_LISTENER_E_AGAIN = 1, /* nobody waits */
        VTD_LISTENER_E_REFUSED,   /* somebody who may not; reported in *@peer */
};

struct vtd_listener {
        struct vtd_socket_file file;
        const struct vtd_policy *policy; /* borrowed: who may connect */
};

/* Who has connected; when refused, why, and by which line of the policy. */
struct vtd_peer {
        int pid;
        uint32_t uid;
        uint32_t line;
        char text[192];
};

/*
 * Opens the directory of sockets and takes it for this process: a second vtd-brokerd is refused.
 * The caller owns *@fd, and the directory is its own until that is closed.
 * Returns 0 or a negative errno (reported).
 */
int vtd_listener_take_directory(const char *path, int *fd, struct vtd_log *log);

/*
 * Listens on the socket @name in @directory (@path names it in messages and for bind()) for VMMs
 * that @policy admits.  If @owned, the socket file is given to the policy's user.  @policy must
 * outlive the listener.
 * Returns 0 or a negative errno (reported); deinit is due in both cases.
 */
int vtd_listener_init(struct vtd_listener *listener, int directory, const char *path,
                      const char *name, const struct vtd_policy *policy, bool owned,
                      struct vtd_log *log);

/* Stops listening and removes the socket file. */
void vtd_listener_deinit(struct vtd_listener *listener);

/*
 * Accepts one connection and judges its peer.  The caller owns *@fd; it has not been read from.
 * Returns 0; VTD_LISTENER_E_AGAIN; VTD_LISTENER_E_REFUSED (closed); a negative errno (reported).
 */
int vtd_listener_accept(struct vtd_listener *listener, int *fd, struct vtd_peer *peer,
                        struct vtd_log *log);

#endif
