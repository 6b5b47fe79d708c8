/* SPDX-License-Identifier: MIT */
/*
 * The fixed header in front of every protobuf body on a VMM's connection.  It is judged before any
 * protobuf byte is looked at.  All fields are little-endian; the layout is in protos/PROTOCOL.md.
 */
#ifndef VTD_SHARED_FRAME_H
#define VTD_SHARED_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "shared/limits.h"

#define VTD_FRAME_MAGIC   0x42445456u /* "VTDB" */
#define VTD_FRAME_VERSION 1u

/* Flags: the record answers the request of the same sequence; its body is a Refusal. */
#define VTD_FRAME_REPLY   0x1u
#define VTD_FRAME_REFUSAL 0x2u

#define VTD_FRAME_HEADER_SIZE 16u
#define VTD_FRAME_SIZE_MAX    (VTD_FRAME_HEADER_SIZE + VTD_LIMIT_BODY)

enum {
        VTD_FRAME_E_MALFORMED = 1,
};

struct vtd_frame {
        uint16_t type;
        uint16_t flags;
        uint32_t sequence;
        uint16_t body_length;
        uint8_t fd_count;
};

/*
 * Reads the header of a received record of @length bytes into @frame.  Checks the magic number, the
 * version, that no unknown flag is set, and that body_length is what follows the header.
 * Returns 0 or VTD_FRAME_E_MALFORMED.
 */
int vtd_frame_decode(struct vtd_frame *frame, const uint8_t *record, size_t length);

/* Writes VTD_FRAME_HEADER_SIZE bytes. */
void vtd_frame_encode(const struct vtd_frame *frame, uint8_t *header);

#endif
