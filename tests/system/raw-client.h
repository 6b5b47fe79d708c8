/* SPDX-License-Identifier: MIT */
/*
 * A client of the broker that is not libvtd-frontend: sends whatever records a test wants, valid or
 * not, and says what came back.
 */
#ifndef VTD_TESTS_RAW_CLIENT_H
#define VTD_TESTS_RAW_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "protos/codec.h"

#define RAW_CLIENT_TIMEOUT_MS 5000

enum raw_outcome {
        RAW_ANSWERED, /* a reply that decodes; it may be a refusal */
        RAW_CLOSED,   /* the connection ended without an answer */
        RAW_SILENT,   /* neither within RAW_CLIENT_TIMEOUT_MS */
        RAW_GARBLED,  /* a record that is not a valid reply */
};

struct raw_client {
        int fd;
        uint32_t sequence;
        struct vtd_codec codec;
};

/* Connects to @path; 0 or a negative errno. */
int raw_connect(struct raw_client *client, const char *path);
void raw_close(struct raw_client *client);

/* Sends @length bytes and @n_fds descriptors as one record.  0 or a negative errno. */
int raw_send(struct raw_client *client, const void *record, size_t length, const int *fds,
             size_t n_fds);

/* What comes back for a record of @type and @sequence. */
enum raw_outcome raw_receive(struct raw_client *client, struct vtd_reply *reply, uint32_t type,
                             uint32_t sequence);

/* Encodes @request with the next sequence number and @fd (-1: none), sends it, and receives. */
enum raw_outcome raw_call(struct raw_client *client, struct vtd_request *request, int fd,
                          struct vtd_reply *reply);

/* Says Hello. */
enum raw_outcome raw_hello(struct raw_client *client, struct vtd_reply *reply);

#endif
