/* SPDX-License-Identifier: MIT */
/*
 * A listening socket that is a file in a directory which nobody else can change: those of tenants and
 * VMs, the control socket, and that of the numbers.
 *
 * Must guarantee that nobody else ever has the file before its rights are the right ones, that what
 * another process serves is never taken away from it, and that no descriptor waits in a connection
 * which vtd-brokerd closes (kernels from 6.16 on).
 */
#ifndef VTD_BROKER_BROKERD_SOCKET_FILE_H
#define VTD_BROKER_BROKERD_SOCKET_FILE_H

#include <sys/types.h>

#include "shared/log.h"

/* Connections that wait to be accepted. */
#define VTD_SOCKET_FILE_BACKLOG 64

/* Two names of tenants or VMs, what joins them, and what ends them. */
#define VTD_SOCKET_FILE_NAME 80u

enum {
        VTD_SOCKET_FILE_E_AGAIN = 1, /* nobody waits */
};

struct vtd_socket_file {
        int fd;        /* owned; -1: not listening */
        int directory; /* borrowed: where the socket is */
        int trouble;   /* why no connection can be accepted, a negative errno; 0: they can */
        char name[VTD_SOCKET_FILE_NAME];
};

/* -1 for owner or group leaves it what it is. */
struct vtd_socket_rights {
        mode_t mode;
        uid_t owner;
        gid_t group;
};

/*
 * Opens @path, a directory for sockets: it belongs to root or to this process's user, and nobody
 * else may replace files in it.  @what names it in messages.  The caller owns *@fd.
 * Returns 0 or a negative errno (reported).
 */
int vtd_socket_file_open_directory(const char *what, const char *path, int *fd,
                                   struct vtd_log *log);

/*
 * Listens on @name in @directory (@path names it in messages and for bind()) with a socket of @type,
 * SOCK_SEQPACKET or SOCK_STREAM.  A socket that nobody listens on any more is replaced.
 * Returns 0 or a negative errno (reported); deinit is due in both cases.
 */
int vtd_socket_file_init(struct vtd_socket_file *file, int directory, const char *path,
                         const char *name, int type, const struct vtd_socket_rights *rights,
                         struct vtd_log *log);

/*
 * Accepts one connection; the caller owns *@fd.  When none can be accepted, whoever connects waits, and
 * the caller should try again after a while.
 * Returns 0; VTD_SOCKET_FILE_E_AGAIN; a negative errno (reported once, until one is accepted again).
 */
int vtd_socket_file_accept(struct vtd_socket_file *file, int *fd, struct vtd_log *log);

/* Stops listening and removes the file. */
void vtd_socket_file_deinit(struct vtd_socket_file *file);

/* Gives the file to the user @owner.  Returns 0 or a negative errno (reported). */
int vtd_socket_file_give(const struct vtd_socket_file *file, uid_t owner, struct vtd_log *log);

#endif
