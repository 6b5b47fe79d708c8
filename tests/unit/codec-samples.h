/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the codec share: every message with its bytes, written by hand from the schema,
 * and records built around bodies.
 */
#ifndef VTD_TESTS_CODEC_SAMPLES_H
#define VTD_TESTS_CODEC_SAMPLES_H

#include "tests/unit/unit.h"

#include "protos/codec.h"

#define VTD_SAMPLE_SEQUENCE 0x01020304u

struct record {
        uint8_t bytes[VTD_FRAME_SIZE_MAX + 64]; /* room to build what is too long */
        size_t length;
};

/* A byte string with its length; it may hold NUL. */
struct bytes {
        const char *data;
        size_t length;
};
#define BYTES(literal)                                                                             \
        {                                                                                          \
                (literal), sizeof(literal) - 1                                                     \
        }

struct sample_request {
        struct vtd_request request; /* its sequence is 0 */
        struct bytes body;
};

struct sample_reply {
        struct vtd_reply reply;
        struct bytes body;
};

#define VTD_SAMPLE_REQUESTS 22u
#define VTD_SAMPLE_REPLIES  19u

extern const struct sample_request vtd_sample_requests[VTD_SAMPLE_REQUESTS];
extern const struct sample_reply vtd_sample_replies[VTD_SAMPLE_REPLIES];

/* Fixture: *@state is a struct vtd_codec on the heap, where a sanitizer sees its borders. */
int vtd_sample_setup(void **state);
int vtd_sample_teardown(void **state);

/* Descriptors that a request of @type carries. */
uint8_t vtd_sample_fd_count(uint32_t type);

/* A record with a right header around @body, of VTD_SAMPLE_SEQUENCE; @flags as in the header. */
struct record vtd_sample_make_record(uint32_t type, uint16_t flags, struct bytes body);

/* Decode from a heap block of exactly the record's size, so that a sanitizer sees over-reads. */
int vtd_sample_decode_request(struct vtd_codec *codec, struct vtd_request *request,
                              const struct record *record, size_t fd_count);
int vtd_sample_decode_reply(struct vtd_codec *codec, struct vtd_reply *reply, uint32_t type,
                            const struct record *record);

/* Fail the test unless every member that belongs to the type is equal. */
void vtd_sample_assert_same_request(const struct vtd_request *a, const struct vtd_request *b);
void vtd_sample_assert_same_reply(const struct vtd_reply *a, const struct vtd_reply *b);

/* The request of @type whose body is as long as any valid one can be. */
struct vtd_request vtd_sample_largest_request(enum vtd_request_type type);

#endif
