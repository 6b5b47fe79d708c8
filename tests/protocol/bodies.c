/* SPDX-License-Identifier: MIT */
/* Bodies that protobuf decoders take, or stumble over, and this broker does not. */
#include "tests/protocol/attack.h"

#include <string.h>

/* Type @a with the bytes of the attack as its body. */
static void malformed(struct world *world, const struct attack *attack)
{
        uint8_t record[VTD_FRAME_SIZE_MAX];
        size_t length =
                frame_body(world, record, (uint16_t)attack->a, 0, attack->bytes, attack->size);

        expect_closed(world, record, length, NULL, 0);
}

/* An Invalidate of @a entries, whose body is well within the largest. */
static void many_entries(struct world *world, const struct attack *attack)
{
        static const char entry[8] = "\x12\x06\x08\x00\x10\x01\x18\x00";
        uint8_t record[VTD_FRAME_SIZE_MAX], body[VTD_LIMIT_BODY] = "\x08\x01";
        size_t size = 2;

        for (uint64_t i = 0; i < attack->a; i++, size += sizeof(entry))
                memcpy(body + size, entry, sizeof(entry));
        expect_closed(world, record,
                      frame_body(world, record, VTD_REQUEST_INVALIDATE, 0, body, size), NULL, 0);
}

/* String literals, because arrays are no constants here. */
#define BODY(text, type, literal)                                                                  \
        {                                                                                          \
                .name = "body: " text, .run = malformed, .a = VTD_REQUEST_##type,                  \
                .bytes = (literal), .size = sizeof(literal) - 1                                    \
        }

const struct attack body_attacks[] = {
        BODY("unknown field", UNPLUG_DEVICE, "\x08\x01\x10\x01"),
        BODY("repeated scalar", UNPLUG_DEVICE, "\x08\x01\x08\x02"),
        BODY("overlong varint", UNPLUG_DEVICE, "\x08\x81\x00"),
        BODY("cut varint", UNPLUG_DEVICE, "\x08\x81"),
        BODY("varint over 64 bits", UNPLUG_DEVICE, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
        BODY("bytes in place of a number", UNPLUG_DEVICE, "\x0a\x01\x01"),
        BODY("fixed 64 in place of a number", UNPLUG_DEVICE,
             "\x09\x01\x00\x00\x00\x00\x00\x00\x00"),
        BODY("group", UNPLUG_DEVICE, "\x0b\x0c"),
        BODY("field number 0", UNPLUG_DEVICE, "\x00\x01"),
        BODY("name with a slash", PLUG_DEVICE, "\x0a\x03\x61\x2f\x62"),
        BODY("name with NUL", PLUG_DEVICE, "\x0a\x03\x61\x00\x62"),
        BODY("empty name", PLUG_DEVICE, "\x0a\x00"),
        BODY("name longer than its record", PLUG_DEVICE, "\x0a\x09\x61"),
        BODY("name of 32 characters", PLUG_DEVICE,
             "\x0a\x20"
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        BODY("Attach mode 0", ATTACH, "\x08\x01\x18\x00"),
        BODY("Attach mode 4", ATTACH, "\x08\x01\x18\x04"),
        BODY("Attach with PASID 0", ATTACH, "\x08\x01\x10\x00\x18\x02"),
        BODY("Attach with PASID 2^20", ATTACH, "\x08\x01\x10\x80\x80\x40\x18\x02"),
        BODY("first-stage without a root", ATTACH, "\x08\x01\x18\x03"),
        BODY("pass-through with a root", ATTACH, "\x08\x01\x18\x02\x20\x80\x20"),
        BODY("Invalidate without entries", INVALIDATE, "\x08\x01"),
        BODY("entry with an unknown field", INVALIDATE,
             "\x08\x01\x12\x08\x08\x00\x10\x01\x18\x00\x20\x01"),
        BODY("bool of 2", INVALIDATE, "\x08\x01\x12\x06\x08\x00\x10\x01\x18\x02"),
        {.name = "body: Invalidate of 129 entries", .run = many_entries, .a = 129},
        {.name = "body: Invalidate of 400 entries", .run = many_entries, .a = 400},
        BODY("RegionRead of width 3", REGION_READ, "\x08\x01\x10\x00\x18\x00\x20\x03"),
        BODY("RegionWrite of a value over its width", REGION_WRITE,
             "\x08\x01\x10\x00\x18\x00\x20\x01\x28\x80\x02"),
        BODY("ConfigRead of width 8", CONFIG_READ, "\x08\x01\x10\x00\x18\x08"),
        BODY("ConfigRead without a width", CONFIG_READ, "\x08\x81\x01\x10\x80\x01"),
        BODY("ConfigWrite of a value over its width", CONFIG_WRITE,
             "\x08\x01\x10\x04\x18\x02\x20\x80\x80\x04"),
        BODY("ClearInterrupts of kind 0", CLEAR_INTERRUPTS, "\x08\x01\x10\x00"),
        BODY("ClearInterrupts of kind 3", CLEAR_INTERRUPTS, "\x08\x01\x10\x03"),
        BODY("ClearInterrupts of one vector", CLEAR_INTERRUPTS, "\x08\x01\x10\x01\x18\x00"),
        BODY("ResetDevice of two devices", RESET_DEVICE, "\x08\x01\x08\x02"),
        BODY("GetDeviceInfo of no device", GET_DEVICE_INFO, "\x10\x01"),
        {0},
};
