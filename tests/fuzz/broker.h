/* SPDX-License-Identifier: MIT */
/*
 * The broker of a fuzzed unit, in its process: answers, delays, refuses or is lost as the input says,
 * keeps what each device is attached to, and ends the process at a request that no frontend may
 * send: out of turn, ill-formed, of a handle that was never given or is gone, or for more PASIDs
 * than were allowed.
 */
#ifndef VTD_TESTS_FUZZ_BROKER_H
#define VTD_TESTS_FUZZ_BROKER_H

#include "frontend/backend.h"
#include "protos/codec.h"

#define FUZZ_ATTACHMENTS (VTD_LIMIT_DEVICES + VTD_LIMIT_ATTACHMENTS)

struct fuzz_attachment {
        uint64_t device;
        uint32_t pasid;
        enum vtd_attach_mode mode; /* never blocked: what is blocked is not kept */
        /* First-stage, else 0. */
        uint64_t root, table;
        uint32_t address_width, flags;
};

struct fuzz_broker {
        struct vtd_backend base;
        /* Set by the input. */
        bool hold;                     /* answers stay away, except from calls that wait for them */
        bool lost;                     /* the connection is gone */
        enum vtd_request_type refused; /* the next request of this type is refused, ... */
        enum vtd_reason reason;        /* ... for this reason */
        bool keep_refusing;            /* not the next one only */
        bool no_table;                 /* first-stage attachments are answered without a handle */
        uint32_t modes, pasids;        /* of HelloReply */
        uint32_t pasid_bits;           /* of devices that are plugged from now on */
        uint64_t cap, ecap;
        /* What the guest was promised. */
        unsigned guest_pasid_bits, guest_address_width;
        uint32_t guest_flags;

        /* Called before each request is looked at, and before an answer is given. */
        void (*before)(void *opaque);
        /* Called with each Invalidate that was done. */
        void (*invalidated)(void *opaque, const struct vtd_invalidate_request *request);
        void *opaque;

        bool unanswered;
        struct vtd_request last;
        uint32_t sequence;
        uint64_t next_device;
        uint64_t devices[VTD_LIMIT_DEVICES + 1]; /* handles of what is plugged, else 0 */
        size_t count;
        struct fuzz_attachment attachments[FUZZ_ATTACHMENTS];
        size_t attaches, invalidates; /* requests so far */
        struct vtd_codec codec;
};

/* Grants everything; the frontend that it is given to frees it. */
struct fuzz_broker *fuzz_broker_new(void);

/* What @device and @pasid are attached to; NULL: nothing, they are blocked. */
const struct fuzz_attachment *fuzz_broker_find(const struct fuzz_broker *broker, uint64_t device,
                                               uint32_t pasid);

/* True when something is attached to @table. */
bool fuzz_broker_uses(const struct fuzz_broker *broker, uint64_t table);

#endif
