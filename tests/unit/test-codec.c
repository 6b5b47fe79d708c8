/* SPDX-License-Identifier: MIT */
/* protos/: every message byte by byte and at its limits, encoding, the tables of numbers. */
#include "tests/unit/codec-samples.h"

#include <errno.h>
#include <string.h>

#include "shared/checked.h"

static void test_every_request_has_exactly_these_bytes(void **state)
{
        struct vtd_request decoded;
        bool seen[VTD_REQUEST_TYPE_END] = {false};

        for (size_t i = 0; i < VTD_ARRAY_SIZE(vtd_sample_requests); i++) {
                struct vtd_request request = vtd_sample_requests[i].request;
                struct record expected =
                        vtd_sample_make_record(request.type, 0, vtd_sample_requests[i].body);
                struct record encoded;

                seen[request.type] = true;
                request.sequence = VTD_SAMPLE_SEQUENCE;
                assert_int_equal(vtd_codec_encode_request(&request, encoded.bytes, &encoded.length),
                                 0);
                assert_int_equal(encoded.length, expected.length);
                assert_memory_equal(encoded.bytes, expected.bytes, expected.length);
                memset(&decoded, 0xa5, sizeof(decoded));
                assert_int_equal(vtd_sample_decode_request(*state, &decoded, &encoded,
                                                           vtd_sample_fd_count(request.type)),
                                 0);
                assert_int_equal(decoded.sequence, VTD_SAMPLE_SEQUENCE);
                vtd_sample_assert_same_request(&decoded, &request);
        }
        for (unsigned type = VTD_REQUEST_HELLO; type < VTD_REQUEST_TYPE_END; type++)
                assert_true(seen[type]);
}

static void test_every_reply_has_exactly_these_bytes(void **state)
{
        struct vtd_reply decoded;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(vtd_sample_replies); i++) {
                struct vtd_reply reply = vtd_sample_replies[i].reply;
                uint16_t flags = VTD_FRAME_REPLY | (reply.refused ? VTD_FRAME_REFUSAL : 0);
                struct record expected =
                        vtd_sample_make_record(reply.type, flags, vtd_sample_replies[i].body);
                struct record encoded;

                reply.sequence = VTD_SAMPLE_SEQUENCE;
                assert_int_equal(vtd_codec_encode_reply(&reply, encoded.bytes, &encoded.length), 0);
                assert_int_equal(encoded.length, expected.length);
                assert_memory_equal(encoded.bytes, expected.bytes, expected.length);
                memset(&decoded, 0xa5, sizeof(decoded));
                assert_int_equal(vtd_sample_decode_reply(*state, &decoded, reply.type, &encoded),
                                 0);
                assert_int_equal(decoded.sequence, VTD_SAMPLE_SEQUENCE);
                vtd_sample_assert_same_reply(&decoded, &reply);
        }
}

static void test_largest_requests_round_trip_at_the_tables_limit(void **state)
{
        for (unsigned type = VTD_REQUEST_HELLO; type < VTD_REQUEST_TYPE_END; type++) {
                struct vtd_request request = vtd_sample_largest_request(type), decoded;
                struct record record;

                if (vtd_request_kind(type)->reserved)
                        continue;
                assert_int_equal(vtd_codec_encode_request(&request, record.bytes, &record.length),
                                 0);
                assert_int_equal(record.length,
                                 VTD_FRAME_HEADER_SIZE + vtd_request_kind(type)->body_max);
                assert_int_equal(vtd_sample_decode_request(*state, &decoded, &record,
                                                           vtd_sample_fd_count(type)),
                                 0);
                assert_int_equal(decoded.sequence, UINT32_MAX);
                vtd_sample_assert_same_request(&decoded, &request);
        }
}

static void test_smallest_requests_are_at_the_tables_limit(void **state)
{
        /* clang-format off */
        static const struct vtd_request smallest[] = {
                {.type = VTD_REQUEST_HELLO},
                {.type = VTD_REQUEST_PLUG_DEVICE, .plug_device = {.name = {"x"}}},
                {.type = VTD_REQUEST_UNPLUG_DEVICE},
                {.type = VTD_REQUEST_MAP_MEMORY},
                {.type = VTD_REQUEST_UNMAP_MEMORY},
                {.type = VTD_REQUEST_ATTACH, .attach = {.mode = VTD_ATTACH_BLOCKED}},
                {.type = VTD_REQUEST_INVALIDATE, .invalidate = {.count = 1}},
                {.type = VTD_REQUEST_REGION_READ, .region = {.width = 1}},
                {.type = VTD_REQUEST_REGION_WRITE, .region = {.width = 1}},
                {.type = VTD_REQUEST_GET_STATS},
                {.type = VTD_REQUEST_GET_DEVICE_INFO},
                {.type = VTD_REQUEST_CONFIG_READ, .config = {.width = 1}},
                {.type = VTD_REQUEST_CONFIG_WRITE, .config = {.width = 1}},
                {.type = VTD_REQUEST_SET_INTERRUPT, .interrupt = {.kind = VTD_INTERRUPT_MSI}},
                {.type = VTD_REQUEST_CLEAR_INTERRUPTS, .interrupt = {.kind = VTD_INTERRUPT_MSI}},
                {.type = VTD_REQUEST_RESET_DEVICE},
        };
        /* clang-format on */

        for (size_t i = 0; i < VTD_ARRAY_SIZE(smallest); i++) {
                struct vtd_request decoded;
                struct record record;

                assert_int_equal(
                        vtd_codec_encode_request(&smallest[i], record.bytes, &record.length), 0);
                assert_int_equal(record.length,
                                 VTD_FRAME_HEADER_SIZE +
                                         vtd_request_kind(smallest[i].type)->body_min);
                assert_int_equal(vtd_sample_decode_request(*state, &decoded, &record,
                                                           vtd_sample_fd_count(smallest[i].type)),
                                 0);
                vtd_sample_assert_same_request(&decoded, &smallest[i]);
        }
}

static struct vtd_reply largest_plug_device_reply(void)
{
        struct vtd_reply reply = {
                .type = VTD_REQUEST_PLUG_DEVICE,
                .sequence = VTD_SAMPLE_SEQUENCE,
                .plug_device = {.device = UINT64_MAX,
                                .cap = UINT64_MAX,
                                .ecap = UINT64_MAX,
                                .pasid_bits = 20,
                                .regions = UINT32_MAX,
                                .n_reserved = VTD_LIMIT_RESERVED_RANGES},
        };

        for (size_t i = 0; i < VTD_LIMIT_RESERVED_RANGES; i++)
                reply.plug_device.reserved[i] =
                        (struct vtd_address_range){UINT64_MAX - i, UINT64_MAX};
        return reply;
}

static struct vtd_reply largest_device_info_reply(void)
{
        struct vtd_reply reply = {
                .type = VTD_REQUEST_GET_DEVICE_INFO,
                .sequence = VTD_SAMPLE_SEQUENCE,
                .device_info = {.config_readable = true,
                                .config_writable = true,
                                .msi_vectors = 1,
                                .msix_vectors = VTD_LIMIT_INTERRUPTS,
                                .can_reset = true},
        };

        for (size_t i = 0; i < VTD_REGIONS; i++)
                reply.device_info.regions[i] = (struct vtd_device_region){UINT64_MAX, true, true};
        return reply;
}

static void test_replies_round_trip_at_their_limits(void **state)
{
        /* clang-format off */
        const struct {
                struct vtd_reply reply;
                size_t body;
        } cases[] = {
                {{.type = VTD_REQUEST_HELLO,
                  .hello = {UINT32_MAX, UINT32_MAX, UINT64_MAX, VTD_HOST_LINUX, UINT64_MAX,
                            UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, 7}},
                 62},
                {largest_plug_device_reply(), 425},
                {{.type = VTD_REQUEST_MAP_MEMORY, .map_memory = {UINT64_MAX}}, 11},
                {{.type = VTD_REQUEST_ATTACH, .attach = {UINT64_MAX}}, 11},
                {{.type = VTD_REQUEST_REGION_READ, .region_read = {UINT64_MAX}}, 11},
                {{.type = VTD_REQUEST_GET_STATS,
                  .stats = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
                            UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
                            UINT32_MAX}},
                 107},
                {largest_device_info_reply(), 113},
                {{.type = VTD_REQUEST_GET_DEVICE_INFO}, 58},
                {{.type = VTD_REQUEST_CONFIG_READ, .config_read = {UINT32_MAX}}, 6},
                {{.type = VTD_REQUEST_INVALIDATE,
                  .refused = true,
                  .refusal = {VTD_STATUS_HOST, VTD_REASON_HOST_FAILED, UINT64_MAX, UINT64_MAX}},
                 26},
        };
        /* clang-format on */

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                struct vtd_reply reply = cases[i].reply, decoded;
                struct record record;

                reply.sequence = VTD_SAMPLE_SEQUENCE;
                assert_int_equal(vtd_codec_encode_reply(&reply, record.bytes, &record.length), 0);
                assert_int_equal(record.length, VTD_FRAME_HEADER_SIZE + cases[i].body);
                assert_int_equal(vtd_sample_decode_reply(*state, &decoded, reply.type, &record), 0);
                vtd_sample_assert_same_reply(&decoded, &reply);
        }
}

static void test_encoding_refuses_what_message_h_rules_out(void **state)
{
        /* clang-format off */
        static const struct vtd_request requests[] = {
                {.type = 0},
                {.type = VTD_REQUEST_TYPE_END},
                {.type = VTD_REQUEST_HELLO + 0x10000},
                {.type = VTD_REQUEST_PLUG_DEVICE},
                {.type = VTD_REQUEST_PLUG_DEVICE, .plug_device = {.name = {"a b"}}},
                {.type = VTD_REQUEST_ATTACH, .attach = {.mode = 0}},
                {.type = VTD_REQUEST_ATTACH, .attach = {.mode = VTD_ATTACH_MODE_END}},
                {.type = VTD_REQUEST_ATTACH,
                 .attach = {.mode = VTD_ATTACH_BLOCKED, .pasid = 1u << 20}},
                {.type = VTD_REQUEST_ATTACH, .attach = {.mode = VTD_ATTACH_BLOCKED, .root = 4096}},
                {.type = VTD_REQUEST_ATTACH,
                 .attach = {.mode = VTD_ATTACH_PASSTHROUGH, .address_width = 48}},
                {.type = VTD_REQUEST_ATTACH,
                 .attach = {.mode = VTD_ATTACH_PASSTHROUGH, .flags = 1}},
                {.type = VTD_REQUEST_ATTACH,
                 .attach = {.mode = VTD_ATTACH_FIRST_STAGE, .flags = 8}},
                {.type = VTD_REQUEST_INVALIDATE, .invalidate = {.count = 0}},
                {.type = VTD_REQUEST_INVALIDATE, .invalidate = {.count = 129}},
                {.type = VTD_REQUEST_INVALIDATE, .invalidate = {.count = SIZE_MAX}},
                {.type = VTD_REQUEST_REGION_READ, .region = {.width = 5}},
                {.type = VTD_REQUEST_REGION_READ, .region = {.width = 4, .value = 1}},
                {.type = VTD_REQUEST_REGION_WRITE, .region = {.width = 1, .value = 0x100}},
                {.type = VTD_REQUEST_CONFIG_READ, .config = {.width = 0}},
                {.type = VTD_REQUEST_CONFIG_READ, .config = {.width = 8}},
                {.type = VTD_REQUEST_CONFIG_READ, .config = {.width = 4, .value = 1}},
                {.type = VTD_REQUEST_CONFIG_WRITE, .config = {.width = 3}},
                {.type = VTD_REQUEST_CONFIG_WRITE, .config = {.width = 2, .value = 0x10000}},
                {.type = VTD_REQUEST_SET_INTERRUPT, .interrupt = {.kind = 0}},
                {.type = VTD_REQUEST_SET_INTERRUPT, .interrupt = {.kind = VTD_INTERRUPT_KIND_END}},
                {.type = VTD_REQUEST_CLEAR_INTERRUPTS, .interrupt = {.kind = 0}},
                {.type = VTD_REQUEST_CLEAR_INTERRUPTS,
                 .interrupt = {.kind = VTD_INTERRUPT_MSI, .vector = 1}},
        };
        static const struct vtd_reply replies[] = {
                {.type = 0},
                {.type = VTD_REQUEST_TYPE_END},
                {.type = VTD_REQUEST_HELLO},
                {.type = VTD_REQUEST_HELLO, .hello = {.host = VTD_HOST_LINUX, .modes = 8}},
                {.type = VTD_REQUEST_PLUG_DEVICE, .plug_device = {.pasid_bits = 21}},
                {.type = VTD_REQUEST_PLUG_DEVICE, .plug_device = {.n_reserved = 17}},
                {.type = VTD_REQUEST_PLUG_DEVICE,
                 .plug_device = {.n_reserved = 1, .reserved = {{1, 0}}}},
                {.type = VTD_REQUEST_GET_DEVICE_INFO,
                 .device_info = {.regions = {{0, true, false}}}},
                {.type = VTD_REQUEST_GET_DEVICE_INFO,
                 .device_info = {.regions = {{4096, false, true}}}},
                {.type = VTD_REQUEST_GET_DEVICE_INFO, .device_info = {.config_writable = true}},
                {.type = VTD_REQUEST_GET_DEVICE_INFO, .device_info = {.msi_vectors = 2}},
                {.type = VTD_REQUEST_GET_DEVICE_INFO,
                 .device_info = {.msix_vectors = VTD_LIMIT_INTERRUPTS + 1}},
                {.type = VTD_REQUEST_HELLO, .refused = true},
                {.type = VTD_REQUEST_HELLO, .refused = true,
                 .refusal = {VTD_STATUS_HOST, VTD_REASON_NOT_BUILT, 0, 0}},
                {.type = VTD_REQUEST_HELLO, .refused = true,
                 .refusal = {VTD_STATUS_END, VTD_REASON_END, 0, 0}},
                {.type = 0, .refused = true,
                 .refusal = {VTD_STATUS_UNSUPPORTED, VTD_REASON_NOT_BUILT, 0, 0}},
        };
        /* clang-format on */
        struct vtd_request unterminated = {.type = VTD_REQUEST_PLUG_DEVICE};
        struct record record = {.length = 77};

        (void)state;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(requests); i++)
                assert_int_equal(
                        vtd_codec_encode_request(&requests[i], record.bytes, &record.length),
                        -EINVAL);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(replies); i++)
                assert_int_equal(vtd_codec_encode_reply(&replies[i], record.bytes, &record.length),
                                 -EINVAL);
        memset(unterminated.plug_device.name.text, 'x', VTD_LIMIT_NAME + 1);
        assert_int_equal(vtd_codec_encode_request(&unterminated, record.bytes, &record.length),
                         -EINVAL);
        assert_int_equal(record.length, 77);
}

static void test_every_reason_round_trips_with_its_status(void **state)
{
        for (unsigned reason = VTD_REASON_NOT_BUILT; reason < VTD_REASON_END; reason++) {
                struct vtd_reply reply = {
                        .type = VTD_REQUEST_ATTACH,
                        .sequence = VTD_SAMPLE_SEQUENCE,
                        .refused = true,
                        .refusal = {vtd_reason_status(reason), reason, 1, 2},
                };
                struct vtd_reply decoded;
                struct record record;

                assert_int_equal(vtd_codec_encode_reply(&reply, record.bytes, &record.length), 0);
                assert_int_equal(
                        vtd_sample_decode_reply(*state, &decoded, VTD_REQUEST_ATTACH, &record), 0);
                vtd_sample_assert_same_reply(&decoded, &reply);
        }
}

static void test_tables_answer_for_every_number(void **state)
{
        (void)state;
        assert_null(vtd_request_kind(0));
        assert_null(vtd_request_kind(VTD_REQUEST_TYPE_END));
        assert_null(vtd_request_kind(UINT32_MAX));
        for (unsigned type = VTD_REQUEST_HELLO; type < VTD_REQUEST_TYPE_END; type++)
                assert_non_null(vtd_request_kind(type)->name);
        assert_string_equal(vtd_request_kind(VTD_REQUEST_REGION_WRITE)->name, "RegionWrite");
        assert_string_equal(vtd_status_name(VTD_STATUS_LIMIT), "limit");
        assert_string_equal(vtd_status_name(0), "unknown");
        assert_string_equal(vtd_status_name(VTD_STATUS_END), "unknown");
        assert_string_equal(vtd_reason_name(VTD_REASON_MEMORY_LIMIT), "memory-limit");
        assert_string_equal(vtd_reason_name(0), "unknown");
        assert_string_equal(vtd_reason_name(VTD_REASON_END), "unknown");
        assert_string_equal(vtd_attach_mode_name(VTD_ATTACH_FIRST_STAGE), "first-stage");
        assert_string_equal(vtd_attach_mode_name(0), "unknown");
        assert_string_equal(vtd_attach_mode_name(VTD_ATTACH_MODE_END), "unknown");
        assert_int_equal(vtd_reason_status(VTD_REASON_VERSION), VTD_STATUS_UNSUPPORTED);
        assert_int_equal(vtd_reason_status(VTD_REASON_NO_SNOOP_CONTROL), VTD_STATUS_DENIED);
        assert_int_equal(vtd_reason_status(VTD_REASON_MEMORY_LIMIT), VTD_STATUS_LIMIT);
        assert_int_equal(vtd_reason_status(VTD_REASON_HOST_LIMIT), VTD_STATUS_LIMIT);
        assert_int_equal(vtd_reason_status(VTD_REASON_TABLE_HANDLE), VTD_STATUS_NOT_FOUND);
        assert_int_equal(vtd_reason_status(VTD_REASON_REGION_RANGE), VTD_STATUS_INVALID);
        assert_int_equal(vtd_reason_status(VTD_REASON_DEVICE_BUSY), VTD_STATUS_BUSY);
        assert_int_equal(vtd_reason_status(VTD_REASON_HOST_FAILED), VTD_STATUS_HOST);
        assert_int_equal(vtd_reason_status(0), VTD_STATUS_END);
        assert_int_equal(vtd_reason_status(VTD_REASON_END), VTD_STATUS_END);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_request_has_exactly_these_bytes),
                cmocka_unit_test(test_every_reply_has_exactly_these_bytes),
                cmocka_unit_test(test_largest_requests_round_trip_at_the_tables_limit),
                cmocka_unit_test(test_smallest_requests_are_at_the_tables_limit),
                cmocka_unit_test(test_replies_round_trip_at_their_limits),
                cmocka_unit_test(test_encoding_refuses_what_message_h_rules_out),
                cmocka_unit_test(test_every_reason_round_trips_with_its_status),
                cmocka_unit_test(test_tables_answer_for_every_number),
        };

        return cmocka_run_group_tests_name("codec", tests, vtd_sample_setup, vtd_sample_teardown);
}
