/* SPDX-License-Identifier: MIT */
/*
 * A broker's answer, as a frontend receives it: five bytes say what was asked (type, sequence) and
 * how many descriptors came, the rest is the record.  Accepted, it is in all ranges and encodes to the
 * same bytes again.
 */
#include <string.h>

#include "protos/codec.h"
#include "protos/wire.h"
#include "tests/fuzz/fuzz.h"

#define ASKED 5u

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct vtd_codec *codec = malloc(sizeof(*codec));
        uint8_t record[VTD_FRAME_SIZE_MAX];
        struct vtd_reply reply;
        size_t length;

        FUZZ_REQUIRE(codec);
        if (size >= ASKED && vtd_codec_decode_reply(codec, &reply, data[0], data[1], data + ASKED,
                                                    size - ASKED, data[2] & 1) == 0) {
                FUZZ_REQUIRE(reply.type == data[0] && reply.sequence == data[1]);
                FUZZ_REQUIRE(vtd_wire_valid_reply(&reply));
                FUZZ_REQUIRE(vtd_codec_encode_reply(&reply, record, &length) == 0);
                FUZZ_REQUIRE(length == size - ASKED);
                FUZZ_REQUIRE(memcmp(record, data + ASKED, length) == 0);
        }
        free(codec);
        return 0;
}

/* A header that answers what was asked, whatever the body has become. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
        struct vtd_frame frame = {0};

        size = LLVMFuzzerMutate(data, size, max_size);
        if (seed % 4 == 0 || size < ASKED + VTD_FRAME_HEADER_SIZE ||
            size - ASKED > VTD_FRAME_SIZE_MAX)
                return size;
        data[0] %= VTD_REQUEST_TYPE_END;
        frame.type = data[0];
        frame.flags = VTD_FRAME_REPLY | (seed & 4 ? VTD_FRAME_REFUSAL : 0);
        frame.sequence = data[1];
        frame.body_length = (uint16_t)(size - ASKED - VTD_FRAME_HEADER_SIZE);
        vtd_frame_encode(&frame, data + ASKED);
        return size;
}
