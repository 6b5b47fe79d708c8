/* SPDX-License-Identifier: MIT */
/* See frame.h.  Input is hostile: every byte of the header is checked or has no wrong value. */
#include "shared/frame.h"

#include <endian.h>
#include <string.h>

/*
 * offset  size  field
 *      0     4  magic
 *      4     1  version
 *      5     1  fd count
 *      6     2  type
 *      8     2  flags
 *     10     2  body length
 *     12     4  sequence
 */
static uint16_t get_u16(const uint8_t *bytes)
{
        uint16_t value;

        memcpy(&value, bytes, sizeof(value));
        return le16toh(value);
}

static uint32_t get_u32(const uint8_t *bytes)
{
        uint32_t value;

        memcpy(&value, bytes, sizeof(value));
        return le32toh(value);
}

static void put_u16(uint8_t *bytes, uint16_t value)
{
        value = htole16(value);
        memcpy(bytes, &value, sizeof(value));
}

static void put_u32(uint8_t *bytes, uint32_t value)
{
        value = htole32(value);
        memcpy(bytes, &value, sizeof(value));
}

int vtd_frame_decode(struct vtd_frame *frame, const uint8_t *record, size_t length)
{
        struct vtd_frame f;

        if (length < VTD_FRAME_HEADER_SIZE || length > VTD_FRAME_SIZE_MAX)
                return VTD_FRAME_E_MALFORMED;
        if (get_u32(record) != VTD_FRAME_MAGIC || record[4] != VTD_FRAME_VERSION)
                return VTD_FRAME_E_MALFORMED;
        f.fd_count = record[5];
        f.type = get_u16(record + 6);
        f.flags = get_u16(record + 8);
        f.body_length = get_u16(record + 10);
        f.sequence = get_u32(record + 12);
        if (f.flags & ~(VTD_FRAME_REPLY | VTD_FRAME_REFUSAL))
                return VTD_FRAME_E_MALFORMED;
        if (f.body_length != length - VTD_FRAME_HEADER_SIZE)
                return VTD_FRAME_E_MALFORMED;
        *frame = f;
        return 0;
}

void vtd_frame_encode(const struct vtd_frame *frame, uint8_t *header)
{
        put_u32(header, VTD_FRAME_MAGIC);
        header[4] = VTD_FRAME_VERSION;
        header[5] = frame->fd_count;
        put_u16(header + 6, frame->type);
        put_u16(header + 8, frame->flags);
        put_u16(header + 10, frame->body_length);
        put_u32(header + 12, frame->sequence);
}
