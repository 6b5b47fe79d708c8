/* SPDX-License-Identifier: MIT */
/*
 * The codec takes no memory from the heap, whatever a peer sends.  This program's own allocator
 * stands in front of the C library's and counts, so it is built without sanitizers only.
 */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "protos/codec.h"

/* glibc's own entry points, beneath the names that are replaced here. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

/* Volatile: a compiler that knows strdup() does not expect it to change a variable of ours. */
static volatile size_t allocations;

/* Default visibility, so that libprotobuf-c resolves to these as well. */
__attribute__((visibility("default"))) void *malloc(size_t size)
{
        allocations++;
        return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
        allocations++;
        return __libc_calloc(count, size);
}

__attribute__((visibility("default"))) void *realloc(void *memory, size_t size)
{
        allocations++;
        return __libc_realloc(memory, size);
}

static void test_the_counter_sees_what_other_libraries_allocate(void **state)
{
        size_t before = allocations;
        char *copy = strdup("x");
        size_t after = allocations;

        (void)state;
        assert_string_equal(copy, "x"); /* a copy that nobody reads may be optimised away */
        free(copy);
        assert_int_equal(after, before + 1);
}

static void test_no_message_is_encoded_or_decoded_with_the_heap(void **state)
{
        struct vtd_request request = {
                .type = VTD_REQUEST_INVALIDATE,
                .invalidate = {.table = 1, .count = VTD_LIMIT_INVALIDATE_ENTRIES},
        };
        struct vtd_reply reply = {
                .type = VTD_REQUEST_PLUG_DEVICE,
                .plug_device = {.n_reserved = VTD_LIMIT_RESERVED_RANGES},
        };
        uint8_t record[VTD_FRAME_SIZE_MAX];
        struct vtd_codec codec;
        size_t length, before = allocations;
        int results[6];

        (void)state;
        results[0] = vtd_codec_encode_request(&request, record, &length);
        results[1] = vtd_codec_decode_request(&codec, &request, record, length, 0);
        /* Unknown fields, until the arena is exhausted. */
        for (size_t i = VTD_FRAME_HEADER_SIZE; i + 1 < length; i += 2) {
                record[i] = 0x20;
                record[i + 1] = 0;
        }
        results[2] = vtd_codec_decode_request(&codec, &request, record, length, 0);
        results[3] = vtd_codec_encode_reply(&reply, record, &length);
        results[4] = vtd_codec_decode_reply(&codec, &reply, reply.type, 0, record, length, 0);
        record[VTD_FRAME_HEADER_SIZE] = 0x78;
        results[5] = vtd_codec_decode_reply(&codec, &reply, reply.type, 0, record, length, 0);
        assert_int_equal(allocations, before);
        assert_int_equal(results[0], 0);
        assert_int_equal(results[1], 0);
        assert_int_equal(results[2], VTD_CODEC_E_MALFORMED);
        assert_int_equal(results[3], 0);
        assert_int_equal(results[4], 0);
        assert_int_equal(results[5], VTD_CODEC_E_MALFORMED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_counter_sees_what_other_libraries_allocate),
                cmocka_unit_test(test_no_message_is_encoded_or_decoded_with_the_heap),
        };

        return cmocka_run_group_tests_name("codec-heap", tests, NULL, NULL);
}
