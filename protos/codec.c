/* SPDX-License-Identifier: MIT */
/*
 * See codec.h.  The order of the steps is the point of this file: the header is judged first, by
 * tables; then the form of the body, in an arena that cannot grow; then its values; and only then
 * does the caller's struct change.
 */
#include "protos/codec.h"

#include "protos/wire.h"
#include "shared/error.h"

int vtd_codec_decode_request(struct vtd_codec *codec, struct vtd_request *request,
                             const uint8_t *record, size_t length, size_t fd_count)
{
        const struct vtd_request_kind *kind;
        struct vtd_request decoded = {0};
        struct vtd_frame frame;

        if (vtd_frame_decode(&frame, record, length) != 0)
                return VTD_CODEC_E_MALFORMED;
        kind = vtd_request_kind(frame.type);
        if (!kind || frame.flags != 0)
                return VTD_CODEC_E_MALFORMED;
        if (frame.fd_count != kind->fd_count || fd_count != kind->fd_count)
                return VTD_CODEC_E_MALFORMED;
        if (frame.body_length < kind->body_min || frame.body_length > kind->body_max)
                return VTD_CODEC_E_MALFORMED;
        decoded.type = frame.type;
        decoded.sequence = frame.sequence;
        if (!vtd_wire_read_request(codec, &decoded, record + VTD_FRAME_HEADER_SIZE,
                                   frame.body_length) ||
            !vtd_wire_valid_request(&decoded))
                return VTD_CODEC_E_MALFORMED;
        *request = decoded;
        return 0;
}

int vtd_codec_decode_reply(struct vtd_codec *codec, struct vtd_reply *reply, uint32_t type,
                           uint32_t sequence, const uint8_t *record, size_t length, size_t fd_count)
{
        struct vtd_reply decoded = {0};
        struct vtd_frame frame;

        if (vtd_frame_decode(&frame, record, length) != 0)
                return VTD_CODEC_E_MALFORMED;
        if (!vtd_request_kind(type) || frame.type != type || frame.sequence != sequence)
                return VTD_CODEC_E_MALFORMED;
        if (!(frame.flags & VTD_FRAME_REPLY) || frame.fd_count != 0 || fd_count != 0)
                return VTD_CODEC_E_MALFORMED;
        decoded.type = type;
        decoded.sequence = sequence;
        decoded.refused = (frame.flags & VTD_FRAME_REFUSAL) != 0;
        if (!vtd_wire_read_reply(codec, &decoded, record + VTD_FRAME_HEADER_SIZE,
                                 frame.body_length) ||
            !vtd_wire_valid_reply(&decoded))
                return VTD_CODEC_E_MALFORMED;
        *reply = decoded;
        return 0;
}

/* Finishes a record whose body of @body_length bytes is in place. */
static void put_header(struct vtd_frame frame, size_t body_length, uint8_t *record, size_t *length)
{
        frame.body_length = (uint16_t)body_length;
        vtd_frame_encode(&frame, record);
        *length = VTD_FRAME_HEADER_SIZE + body_length;
}

int vtd_codec_encode_request(const struct vtd_request *request, uint8_t *record, size_t *length)
{
        const struct vtd_request_kind *kind = vtd_request_kind(request->type);
        struct vtd_frame frame = {.type = (uint16_t)request->type, .sequence = request->sequence};

        if (!kind || !vtd_wire_valid_request(request))
                return -EINVAL;
        frame.fd_count = kind->fd_count;
        put_header(frame, vtd_wire_write_request(request, record + VTD_FRAME_HEADER_SIZE), record,
                   length);
        return 0;
}

int vtd_codec_encode_reply(const struct vtd_reply *reply, uint8_t *record, size_t *length)
{
        struct vtd_frame frame = {
                .type = (uint16_t)reply->type,
                .flags = VTD_FRAME_REPLY | (reply->refused ? VTD_FRAME_REFUSAL : 0),
                .sequence = reply->sequence,
        };

        if (!vtd_wire_valid_reply(reply))
                return -EINVAL;
        put_header(frame, vtd_wire_write_reply(reply, record + VTD_FRAME_HEADER_SIZE), record,
                   length);
        return 0;
}
