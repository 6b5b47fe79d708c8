/* SPDX-License-Identifier: MIT */
/*
 * Records over AF_UNIX SOCK_SEQPACKET: the only place that sends or receives any.
 *
 * One record is one message.  Receiving guarantees that descriptors are close-on-exec, that none is
 * leaked on any path, and that a record which was cut, or which carried more descriptors or other
 * ancillary data than a record may, is reported as a violation with everything closed.
 */
#ifndef VTD_SHARED_RECORD_H
#define VTD_SHARED_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/fdlist.h"

enum {
        VTD_RECORD_E_AGAIN = 1, /* nothing to receive, or no room to send: poll and try again */
        VTD_RECORD_E_CLOSED,    /* the peer is gone */
        VTD_RECORD_E_VIOLATION, /* the record breaks the rules above; the connection is worthless */
};

/*
 * Receives one record into @buffer (capacity @size bytes, at least 1) without waiting.  @fds must be
 * empty; on success it owns the descriptors that came along.
 *
 * Returns 0 with *@length (at least 1); VTD_RECORD_E_AGAIN, _CLOSED, _VIOLATION; a negative errno.
 */
int vtd_record_receive(int socket, void *buffer, size_t size, size_t *length,
                       struct vtd_fd_list *fds);

/*
 * Sends one record of @length bytes (at least 1) and, if @fd is not -1, a duplicate of @fd, which
 * stays the caller's.  Never raises SIGPIPE, never waits, never sends a part.
 *
 * Returns 0; VTD_RECORD_E_AGAIN, _CLOSED; a negative errno.
 */
int vtd_record_send(int socket, const void *buffer, size_t length, int fd);

/*
 * Checks that @fd is a connected AF_UNIX SOCK_SEQPACKET socket and makes it non-blocking.
 * Returns 0, or a negative errno (-EPROTOTYPE when it is something else).
 */
int vtd_record_adopt(int fd);

/*
 * Says whether peers of @socket may send descriptors to it; on a listening socket, to the
 * connections that are made from then on.  A peer that may not gets EPERM.
 *
 * Whoever closes a socket for the last time also closes the descriptors that wait in it, and that
 * can take as long as their sender likes (SO_LINGER): see SECURITY.md.
 *
 * Returns 0; -ENOPROTOOPT before Linux 6.16, where everybody may; a negative errno.
 */
int vtd_record_accept_fds(int socket, bool accept);

#endif
