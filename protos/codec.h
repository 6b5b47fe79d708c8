/* SPDX-License-Identifier: MIT */
/*
 * Records <-> plain structs, for both sides of the boundary.
 *
 * Input is hostile.  Decoding judges the header by the request table, unpacks the body into a fixed
 * arena (no heap), refuses unknown fields at every level and bodies that do not re-encode to the
 * same bytes, checks every range that message.h promises, and copies into a plain struct.  protobuf
 * types never leave this folder.
 */
#ifndef VTD_PROTOS_CODEC_H
#define VTD_PROTOS_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "protos/message.h"
#include "shared/frame.h"

/*
 * Arena for one body.  A valid body needs at most 16448 bytes with protobuf-c 1.4.1: Invalidate
 * with 128 entries, which tests/unit/test-codec-hostile.c measures.  The rest is for a library that
 * keeps more notes; a hostile body that needs more than that is malformed.
 */
#define VTD_CODEC_ARENA_SIZE (32u * 1024u)

enum {
        VTD_CODEC_E_MALFORMED = 1,
};

/* Scratch memory of one connection; a message never outlives the call that uses it. */
struct vtd_codec {
        size_t used;
        _Alignas(16) uint8_t arena[VTD_CODEC_ARENA_SIZE];
};

/*
 * Decodes a received record of @length bytes that came with @fd_count descriptors.
 * Returns 0 with *@request complete, or VTD_CODEC_E_MALFORMED, after which the connection must be
 * closed without an answer.
 */
int vtd_codec_decode_request(struct vtd_codec *codec, struct vtd_request *request,
                             const uint8_t *record, size_t length, size_t fd_count);

/* The same for the client: the answer to the request of @type and @sequence. */
int vtd_codec_decode_reply(struct vtd_codec *codec, struct vtd_reply *reply, uint32_t type,
                           uint32_t sequence, const uint8_t *record, size_t length,
                           size_t fd_count);

/*
 * Encode into @record, which has room for VTD_FRAME_SIZE_MAX bytes; *@length is the record's size.
 * Return 0, or -EINVAL when the struct holds what message.h rules out (a mistake of the caller).
 */
int vtd_codec_encode_request(const struct vtd_request *request, uint8_t *record, size_t *length);
int vtd_codec_encode_reply(const struct vtd_reply *reply, uint8_t *record, size_t *length);

#endif
