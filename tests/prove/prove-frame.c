/* SPDX-License-Identifier: MIT */
/*
 * shared/frame.c: for a record of any length and any content.
 *
 * Bounds: none.  The record is exactly as long as is said, so that reading past its end is found.
 */
#include "tests/prove/prove.h"

#include <stdlib.h>
#include <string.h>

#include "shared/frame.c"

struct vtd_frame nondet_frame(void);

/* Compares all fields; padding has no meaning. */
static bool is_same(const struct vtd_frame *a, const struct vtd_frame *b)
{
        return a->type == b->type && a->flags == b->flags && a->sequence == b->sequence &&
               a->body_length == b->body_length && a->fd_count == b->fd_count;
}

/* What is accepted is within every limit; what is refused leaves the caller's frame as it was. */
void prove_decode(void)
{
        const struct vtd_frame before = nondet_frame();
        struct vtd_frame frame = before;
        size_t length = nondet_size();
        uint8_t *record = malloc(length);
        int r;

        ASSUME(record);
        r = vtd_frame_decode(&frame, record, length);
        PROVE(r == 0 || r == VTD_FRAME_E_MALFORMED);
        if (r != 0) {
                PROVE(is_same(&frame, &before));
                return;
        }
        PROVE(length >= VTD_FRAME_HEADER_SIZE && length <= VTD_FRAME_SIZE_MAX);
        PROVE(frame.body_length <= VTD_LIMIT_BODY);
        PROVE(frame.body_length + (size_t)VTD_FRAME_HEADER_SIZE == length);
        PROVE((frame.flags & ~(VTD_FRAME_REPLY | VTD_FRAME_REFUSAL)) == 0);
        PROVE(record[0] == 'V' && record[1] == 'T' && record[2] == 'D' && record[3] == 'B');
        PROVE(record[4] == VTD_FRAME_VERSION);
}

/* An accepted header has one form only: encoding what was decoded gives its bytes again. */
void prove_encode_after_decode(void)
{
        uint8_t record[VTD_FRAME_HEADER_SIZE], again[VTD_FRAME_HEADER_SIZE];
        struct vtd_frame frame;
        size_t length = nondet_size(), i = nondet_size();

        if (vtd_frame_decode(&frame, record, length) != 0)
                return;
        vtd_frame_encode(&frame, again);
        ASSUME(i < VTD_FRAME_HEADER_SIZE);
        PROVE(again[i] == record[i]);
}

/* The other way round, for every frame that a sender may write. */
void prove_decode_after_encode(void)
{
        const struct vtd_frame frame = nondet_frame();
        uint8_t record[VTD_FRAME_HEADER_SIZE];
        struct vtd_frame again;

        ASSUME(frame.body_length <= VTD_LIMIT_BODY);
        ASSUME((frame.flags & ~(VTD_FRAME_REPLY | VTD_FRAME_REFUSAL)) == 0);
        vtd_frame_encode(&frame, record);
        PROVE(vtd_frame_decode(&again, record, VTD_FRAME_HEADER_SIZE + frame.body_length) == 0);
        PROVE(is_same(&again, &frame));
}
