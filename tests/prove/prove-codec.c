/* SPDX-License-Identifier: MIT */
/*
 * protos/codec.c: what is judged before a body is looked at, for a record of any length and content
 * that comes with any number of descriptors, and for the answer to any request.
 *
 * Bounds: none.  Replaced by any verdict: vtd_wire_read_*() and vtd_wire_valid_*(), which the harness
 * "decode" is about.
 */
#include "tests/prove/prove.h"

#include <stdlib.h>

#include "protos/codec.c"
#include "protos/types.c"
#include "shared/frame.c"

static bool was_valid;

/* The body is what follows the header, and as long as the tables allow. */
bool vtd_wire_read_request(struct vtd_codec *codec, struct vtd_request *request,
                           const uint8_t *body, size_t length)
{
        const struct vtd_request_kind *kind = vtd_request_kind(request->type);

        PROVE(codec && kind);
        PROVE(length >= kind->body_min && length <= kind->body_max && length <= VTD_LIMIT_BODY);
        PROVE(__CPROVER_r_ok(body, length));
        return nondet_bool();
}

bool vtd_wire_read_reply(struct vtd_codec *codec, struct vtd_reply *reply, const uint8_t *body,
                         size_t length)
{
        PROVE(codec && vtd_request_kind(reply->type) && length <= VTD_LIMIT_BODY);
        PROVE(__CPROVER_r_ok(body, length));
        return nondet_bool();
}

bool vtd_wire_valid_request(const struct vtd_request *request)
{
        (void)request;
        was_valid = nondet_bool();
        return was_valid;
}

bool vtd_wire_valid_reply(const struct vtd_reply *reply)
{
        (void)reply;
        was_valid = nondet_bool();
        return was_valid;
}

void prove_request(void)
{
        static struct vtd_codec codec;
        static struct vtd_request request;
        const uint32_t type_before = nondet_u32(), sequence_before = nondet_u32();
        const size_t length = nondet_size(), fd_count = nondet_size();
        uint8_t *record = malloc(length);
        int r;

        ASSUME(record);
        request.type = type_before;
        request.sequence = sequence_before;
        r = vtd_codec_decode_request(&codec, &request, record, length, fd_count);
        if (r != 0) {
                PROVE(r == VTD_CODEC_E_MALFORMED);
                PROVE(request.type == type_before && request.sequence == sequence_before);
                return;
        }
        PROVE(was_valid && length >= VTD_FRAME_HEADER_SIZE && length <= VTD_FRAME_SIZE_MAX);
        PROVE(request.type == get_u16(record + 6) && request.sequence == get_u32(record + 12));
        PROVE(request.type >= VTD_REQUEST_HELLO && request.type < VTD_REQUEST_TYPE_END);
        PROVE(get_u16(record + 8) == 0 && record[5] == fd_count);
        PROVE(fd_count == (request.type == VTD_REQUEST_MAP_MEMORY ||
                           request.type == VTD_REQUEST_READ_DIRTY_BITMAP ||
                           request.type == VTD_REQUEST_SET_INTERRUPT));
}

void prove_reply(void)
{
        static struct vtd_codec codec;
        static struct vtd_reply reply;
        const uint32_t type = nondet_u32(), sequence = nondet_u32(), before = nondet_u32();
        const size_t length = nondet_size(), fd_count = nondet_size();
        uint8_t *record = malloc(length);
        int r;

        ASSUME(record);
        reply.sequence = before;
        r = vtd_codec_decode_reply(&codec, &reply, type, sequence, record, length, fd_count);
        if (r != 0) {
                PROVE(r == VTD_CODEC_E_MALFORMED && reply.sequence == before);
                return;
        }
        PROVE(was_valid && reply.type == type && reply.sequence == sequence);
        PROVE(type >= VTD_REQUEST_HELLO && type < VTD_REQUEST_TYPE_END);
        PROVE(fd_count == 0 && record[5] == 0 && get_u16(record + 6) == type);
        PROVE(get_u32(record + 12) == sequence);
        PROVE(get_u16(record + 8) == (VTD_FRAME_REPLY | (reply.refused ? VTD_FRAME_REFUSAL : 0)));
}
