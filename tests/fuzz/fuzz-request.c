/* SPDX-License-Identifier: MIT */
/*
 * A VMM's record, as the worker receives it: the first byte says how many descriptors came along,
 * the rest is the record.  What is accepted is in all ranges, and encodes to the same bytes again.
 */
#include <string.h>

#include "protos/codec.h"
#include "protos/wire.h"
#include "tests/fuzz/fuzz.h"

/* libFuzzer's own mutation; absent from the replay. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct vtd_codec *codec = malloc(sizeof(*codec));
        uint8_t record[VTD_FRAME_SIZE_MAX];
        struct vtd_request request;
        struct vtd_frame frame;
        size_t length;

        FUZZ_REQUIRE(codec);
        if (size > 0 &&
            vtd_codec_decode_request(codec, &request, data + 1, size - 1, data[0] & 3) == 0) {
                FUZZ_REQUIRE(vtd_frame_decode(&frame, data + 1, size - 1) == 0);
                FUZZ_REQUIRE(frame.type == request.type && frame.sequence == request.sequence);
                FUZZ_REQUIRE(frame.flags == 0);
                FUZZ_REQUIRE(vtd_request_kind(request.type)->fd_count == (data[0] & 3));
                FUZZ_REQUIRE(vtd_wire_valid_request(&request));
                if (request.type == VTD_REQUEST_INVALIDATE)
                        FUZZ_REQUIRE(request.invalidate.count >= 1 &&
                                     request.invalidate.count <= VTD_LIMIT_INVALIDATE_ENTRIES);
                /* Of those that are reserved nothing is kept that could be encoded again. */
                if (!vtd_request_kind(request.type)->reserved) {
                        FUZZ_REQUIRE(vtd_codec_encode_request(&request, record, &length) == 0);
                        FUZZ_REQUIRE(length == size - 1);
                        FUZZ_REQUIRE(memcmp(record, data + 1, length) == 0);
                }
        }
        free(codec);
        return 0;
}

/* Another member of the struct that a good record stands for, encoded anew. */
static size_t mutate_struct(uint8_t *data, size_t size, size_t max_size, struct vtd_codec *codec)
{
        struct vtd_request request;
        uint8_t record[VTD_FRAME_SIZE_MAX];
        size_t length;

        if (size == 0 ||
            vtd_codec_decode_request(codec, &request, data + 1, size - 1, data[0] & 3) != 0)
                return 0;
        (void)LLVMFuzzerMutate((uint8_t *)&request.invalidate, sizeof(request.invalidate),
                               sizeof(request.invalidate));
        request.invalidate.count %= VTD_LIMIT_INVALIDATE_ENTRIES + 1;
        for (size_t i = 0; i < VTD_LIMIT_INVALIDATE_ENTRIES; i++)
                *(uint8_t *)&request.invalidate.entries[i].leaf &= 1; /* a bool again */
        if (vtd_codec_encode_request(&request, record, &length) != 0 || length + 1 > max_size)
                return 0;
        memcpy(data + 1, record, length);
        return length + 1;
}

/* A header whose length is right, whatever the body has become. */
static void mend_header(uint8_t *data, size_t size)
{
        struct vtd_frame frame = {0};

        if (size < 1 + VTD_FRAME_HEADER_SIZE || size - 1 > VTD_FRAME_SIZE_MAX)
                return;
        frame.type = (uint16_t)(data[7] % VTD_REQUEST_TYPE_END);
        frame.sequence = data[13];
        frame.body_length = (uint16_t)(size - 1 - VTD_FRAME_HEADER_SIZE);
        frame.fd_count = data[0] & 3;
        vtd_frame_encode(&frame, data + 1);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
        struct vtd_codec *codec = malloc(sizeof(*codec));
        size_t mutated = 0;

        if (codec && seed % 4 == 0)
                mutated = mutate_struct(data, size, max_size, codec);
        free(codec);
        if (mutated > 0)
                return mutated;
        size = LLVMFuzzerMutate(data, size, max_size);
        if (seed % 4 != 1)
                mend_header(data, size);
        return size;
}
