/* SPDX-License-Identifier: MIT */
/*
 * A broker in the test's own process: records what it is asked, and answers, delays, refuses or
 * loses it as the test says.  Tables are named by their root, so that equal roots share a handle.
 */
#ifndef VTD_TESTS_FAKE_BACKEND_H
#define VTD_TESTS_FAKE_BACKEND_H

#include "frontend/backend.h"

#define FAKE_REQUESTS 1024u

struct fake_backend {
        struct vtd_backend base;
        /* Set by the test. */
        bool hold;                     /* answers stay away, except from calls that wait for them */
        bool lost;                     /* the connection is gone */
        enum vtd_request_type refused; /* the next request of this type is refused, ... */
        enum vtd_reason reason;        /* ... for this reason */
        bool keep_refusing;            /* not the next one only */
        bool no_table;                 /* first-stage attachments are answered without a handle */
        uint32_t modes;
        uint32_t pasids;     /* of HelloReply */
        uint32_t pasid_bits; /* of every device */
        uint64_t cap, ecap;
        struct vtd_device_info_reply info; /* of every device */
        /* What was asked since fake_backend_forget(); the first FAKE_REQUESTS are kept. */
        struct vtd_request requests[FAKE_REQUESTS];
        size_t count;
        size_t unplugs; /* UnplugDevice requests answered */

        bool unanswered;
        struct vtd_request last;
        int last_fd; /* what came with it, or -1; the caller's */
        uint32_t sequence;
        uint64_t devices;
};

/* A backend that grants all modes; the frontend that it is given to frees it. */
struct fake_backend *fake_backend_new(void);

void fake_backend_forget(struct fake_backend *fake);

/* The handle of the first-stage table at @root. */
uint64_t fake_backend_table(uint64_t root);

#endif
