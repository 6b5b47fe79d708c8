/* SPDX-License-Identifier: MIT */
/* The frame: any byte of the header that is not as it must be ends the connection unanswered. */
#include "tests/protocol/attack.h"

#include <stdlib.h>

#include "protos/message.h"

/* A valid record with byte @a replaced by @b. */
static void spoilt_byte(struct world *world, const struct attack *attack)
{
        uint8_t record[VTD_FRAME_SIZE_MAX];
        size_t length = valid_record(world, record);

        record[attack->a] = (uint8_t)attack->b;
        expect_closed(world, record, length, NULL, 0);
}

/* A valid header, and @a bytes of record in all. */
static void wrong_size(struct world *world, const struct attack *attack)
{
        uint8_t *record = calloc(1, attack->a < 16 ? 16 : attack->a);

        assert_non_null(record);
        (void)valid_record(world, record);
        expect_closed(world, record, attack->a, NULL, 0);
        free(record);
}

/* Type @a with a body of @b bytes, when its largest body is smaller. */
static void body_too_long(struct world *world, const struct attack *attack)
{
        uint8_t record[VTD_FRAME_SIZE_MAX], body[VTD_LIMIT_BODY] = {0};
        size_t length = frame_body(world, record, (uint16_t)attack->a, 0, body, attack->b);

        assert_true(attack->b > vtd_request_kind((uint32_t)attack->a)->body_max);
        expect_closed(world, record, length, NULL, 0);
}

const struct attack framing_attacks[] = {
        {.name = "frame: wrong magic", .run = spoilt_byte, .a = 0, .b = 'X'},
        {.name = "frame: version 0", .run = spoilt_byte, .a = 4, .b = 0},
        {.name = "frame: version 2", .run = spoilt_byte, .a = 4, .b = 2},
        {.name = "frame: a descriptor announced, none sent", .run = spoilt_byte, .a = 5, .b = 1},
        {.name = "frame: 255 descriptors announced", .run = spoilt_byte, .a = 5, .b = 255},
        {.name = "frame: type 0", .run = spoilt_byte, .a = 6, .b = 0},
        {.name = "frame: first unassigned type",
         .run = spoilt_byte,
         .a = 6,
         .b = VTD_REQUEST_TYPE_END},
        {.name = "frame: type 65290", .run = spoilt_byte, .a = 7, .b = 255},
        {.name = "frame: reply flag on a request",
         .run = spoilt_byte,
         .a = 8,
         .b = VTD_FRAME_REPLY},
        {.name = "frame: refusal flag on a request",
         .run = spoilt_byte,
         .a = 8,
         .b = VTD_FRAME_REFUSAL},
        {.name = "frame: unknown flag", .run = spoilt_byte, .a = 8, .b = 4},
        {.name = "frame: unknown high flag", .run = spoilt_byte, .a = 9, .b = 0x80},
        {.name = "frame: body length one too long", .run = spoilt_byte, .a = 10, .b = 1},
        {.name = "frame: body length far too long", .run = spoilt_byte, .a = 11, .b = 0x10},
        {.name = "frame: record of 1 byte", .run = wrong_size, .a = 1},
        {.name = "frame: record one byte shorter than a header", .run = wrong_size, .a = 15},
        {.name = "frame: record one byte longer than it says", .run = wrong_size, .a = 17},
        {.name = "frame: largest record with an empty body",
         .run = wrong_size,
         .a = VTD_FRAME_SIZE_MAX},
        {.name = "frame: record one byte over the largest",
         .run = wrong_size,
         .a = VTD_FRAME_SIZE_MAX + 1},
        {.name = "frame: record of 64 KiB", .run = wrong_size, .a = 65536},
        {.name = "frame: GetStats with a body",
         .run = body_too_long,
         .a = VTD_REQUEST_GET_STATS,
         .b = 1},
        {.name = "frame: UnplugDevice one byte over its largest body",
         .run = body_too_long,
         .a = VTD_REQUEST_UNPLUG_DEVICE,
         .b = 12},
        {.name = "frame: Invalidate one byte over its largest body",
         .run = body_too_long,
         .a = VTD_REQUEST_INVALIDATE,
         .b = 3340},
        {0},
};
