/* SPDX-License-Identifier: MIT */
/* protos/: every message byte by byte and at its limits, every violation by name, mutations. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protos/arena.h"
#include "protos/codec.h"
#include "shared/checked.h"

#define SEQUENCE  0x01020304u
#define MUTATIONS 100000u

/* No use of the arena leaves this number: what is judged by the header alone must leave it. */
#define UNTOUCHED SIZE_MAX

struct record {
        uint8_t bytes[VTD_FRAME_SIZE_MAX + 64]; /* room to build what is too long */
        size_t length;
};

/* A byte string with its length; it may hold NUL. */
struct bytes {
        const char *data;
        size_t length;
};
#define BYTES(literal)                                                                             \
        {                                                                                          \
                (literal), sizeof(literal) - 1                                                     \
        }

static int setup(void **state)
{
        *state = malloc(sizeof(struct vtd_codec));
        return *state ? 0 : -1;
}

static int teardown(void **state)
{
        free(*state);
        return 0;
}

static uint8_t fds_of(uint32_t type)
{
        const struct vtd_request_kind *kind = vtd_request_kind(type);

        assert_non_null(kind);
        return kind->fd_count;
}

static struct record make_record(uint32_t type, uint16_t flags, struct bytes body)
{
        struct record record = {.length = VTD_FRAME_HEADER_SIZE + body.length};
        struct vtd_frame frame = {
                .type = (uint16_t)type,
                .flags = flags,
                .sequence = SEQUENCE,
                .body_length = (uint16_t)body.length,
                .fd_count = flags & VTD_FRAME_REPLY ? 0 : fds_of(type),
        };

        vtd_frame_encode(&frame, record.bytes);
        memcpy(record.bytes + VTD_FRAME_HEADER_SIZE, body.data, body.length);
        return record;
}

/* Decodes from a heap block of exactly the record's size, so that a sanitizer sees over-reads. */
static int decode_request(struct vtd_codec *codec, struct vtd_request *request,
                          const struct record *record, size_t fd_count)
{
        uint8_t *copy = malloc(record->length + 1);
        int result;

        assert_non_null(copy);
        memcpy(copy + 1, record->bytes, record->length);
        result = vtd_codec_decode_request(codec, request, copy + 1, record->length, fd_count);
        free(copy);
        return result;
}

static int decode_reply(struct vtd_codec *codec, struct vtd_reply *reply, uint32_t type,
                        const struct record *record)
{
        uint8_t *copy = malloc(record->length + 1);
        int result;

        assert_non_null(copy);
        memcpy(copy + 1, record->bytes, record->length);
        result = vtd_codec_decode_reply(codec, reply, type, SEQUENCE, copy + 1, record->length, 0);
        free(copy);
        return result;
}

static void assert_request_malformed(struct vtd_codec *codec, uint32_t type, struct bytes body,
                                     const char *why)
{
        struct record record = make_record(type, 0, body);
        struct vtd_request request, before;
        int result;

        memset(&request, 0xa5, sizeof(request));
        before = request;
        result = decode_request(codec, &request, &record, fds_of(type));
        if (result != VTD_CODEC_E_MALFORMED)
                fail_msg("accepted: %s", why);
        assert_memory_equal(&request, &before, sizeof(request));
}

static void assert_reply_malformed(struct vtd_codec *codec, uint32_t type, uint16_t flags,
                                   struct bytes body, const char *why)
{
        struct record record = make_record(type, VTD_FRAME_REPLY | flags, body);
        struct vtd_reply reply, before;
        int result;

        memset(&reply, 0xa5, sizeof(reply));
        before = reply;
        result = decode_reply(codec, &reply, type, &record);
        if (result != VTD_CODEC_E_MALFORMED)
                fail_msg("accepted: %s", why);
        assert_memory_equal(&reply, &before, sizeof(reply));
}

/* ---- every message, byte by byte ---- */

/* clang-format off */
static const struct {
        struct vtd_request request;
        struct bytes body;
} known_requests[] = {
        {{.type = VTD_REQUEST_HELLO, .hello = {.major = 1, .minor = 2, .features = 3}},
         BYTES("\x08\x01\x10\x02\x18\x03")},
        {{.type = VTD_REQUEST_PLUG_DEVICE, .plug_device = {.name = {"aZ0.9_:-"}}},
         BYTES("\x0a\x08"
               "aZ0.9_:-")},
        {{.type = VTD_REQUEST_UNPLUG_DEVICE, .unplug_device = {.device = 300}},
         BYTES("\x08\xac\x02")},
        {{.type = VTD_REQUEST_MAP_MEMORY, .map_memory = {.gpa = 1, .size = 2, .offset = 3}},
         BYTES("\x08\x01\x10\x02\x18\x03")},
        {{.type = VTD_REQUEST_UNMAP_MEMORY, .unmap_memory = {.mapping = 0}}, BYTES("\x08\x00")},
        {{.type = VTD_REQUEST_ATTACH,
          .attach = {.device = 1, .pasid = VTD_NO_PASID, .mode = VTD_ATTACH_BLOCKED}},
         BYTES("\x08\x01\x18\x01")},
        {{.type = VTD_REQUEST_ATTACH,
          .attach = {.device = 1, .pasid = 5, .mode = VTD_ATTACH_PASSTHROUGH}},
         BYTES("\x08\x01\x10\x05\x18\x02")},
        {{.type = VTD_REQUEST_ATTACH,
          .attach = {.device = 1,
                     .pasid = 5,
                     .mode = VTD_ATTACH_FIRST_STAGE,
                     .root = 4096,
                     .address_width = 48,
                     .flags = VTD_FIRST_STAGE_WPE}},
         BYTES("\x08\x01\x10\x05\x18\x03\x20\x80\x20\x28\x30\x30\x04")},
        {{.type = VTD_REQUEST_INVALIDATE,
          .invalidate = {.table = 1, .count = 2, .entries = {{2, 3, true}, {4, 5, false}}}},
         BYTES("\x08\x01\x12\x06\x08\x02\x10\x03\x18\x01\x12\x06\x08\x04\x10\x05\x18\x00")},
        {{.type = VTD_REQUEST_REGION_READ,
          .region = {.device = 1, .region = 2, .offset = 3, .width = 4}},
         BYTES("\x08\x01\x10\x02\x18\x03\x20\x04")},
        {{.type = VTD_REQUEST_REGION_WRITE,
          .region = {.device = 1, .region = 2, .offset = 3, .width = 4, .value = 5}},
         BYTES("\x08\x01\x10\x02\x18\x03\x20\x04\x28\x05")},
        {{.type = VTD_REQUEST_GET_STATS}, BYTES("")},
        {{.type = VTD_REQUEST_SET_DIRTY_TRACKING}, BYTES("")},
        {{.type = VTD_REQUEST_READ_DIRTY_BITMAP}, BYTES("")},
        {{.type = VTD_REQUEST_SUBSCRIBE_PAGE_REQUESTS}, BYTES("")},
        {{.type = VTD_REQUEST_RESPOND_PAGE_REQUEST}, BYTES("")},
};
/* clang-format on */

/* clang-format off */
static const struct {
        struct vtd_reply reply;
        struct bytes body;
} known_replies[] = {
        {{.type = VTD_REQUEST_HELLO,
          .hello = {.major = 1,
                    .minor = 2,
                    .features = 3,
                    .host = VTD_HOST_SIMULATED,
                    .memory = 5,
                    .mappings = 6,
                    .devices = 7,
                    .first_stage_tables = 8,
                    .pasids = 9,
                    .modes = 7}},
         BYTES("\x08\x01\x10\x02\x18\x03\x20\x02\x28\x05\x30\x06\x38\x07\x40\x08\x48\x09\x50\x07")},
        {{.type = VTD_REQUEST_PLUG_DEVICE,
          .plug_device = {.device = 1,
                          .cap = 2,
                          .ecap = 3,
                          .pasid_bits = 20,
                          .regions = 5,
                          .n_reserved = 2,
                          .reserved = {{6, 7}, {8, 8}}}},
         BYTES("\x08\x01\x10\x02\x18\x03\x20\x14\x28\x05"
               "\x32\x04\x08\x06\x10\x07\x32\x04\x08\x08\x10\x08")},
        {{.type = VTD_REQUEST_UNPLUG_DEVICE}, BYTES("")},
        {{.type = VTD_REQUEST_MAP_MEMORY, .map_memory = {.mapping = 7}}, BYTES("\x08\x07")},
        {{.type = VTD_REQUEST_UNMAP_MEMORY}, BYTES("")},
        {{.type = VTD_REQUEST_ATTACH, .attach = {.table = 0}}, BYTES("")},
        {{.type = VTD_REQUEST_ATTACH, .attach = {.table = 7}}, BYTES("\x08\x07")},
        {{.type = VTD_REQUEST_INVALIDATE}, BYTES("")},
        {{.type = VTD_REQUEST_REGION_READ, .region_read = {.value = 0}}, BYTES("\x08\x00")},
        {{.type = VTD_REQUEST_REGION_WRITE}, BYTES("")},
        {{.type = VTD_REQUEST_GET_STATS,
          .stats = {.requests = 1,
                    .refused = 2,
                    .invalidate_requests = 3,
                    .invalidate_entries = 4,
                    .host_calls = 5,
                    .delayed_us = 6,
                    .memory = 7,
                    .mappings = 8,
                    .devices = 9,
                    .first_stage_tables = 10,
                    .second_stage_tables = 11,
                    .attachments = 12}},
         BYTES("\x08\x01\x10\x02\x18\x03\x20\x04\x28\x05\x30\x06\x38\x07\x40\x08\x48\x09\x50\x0a"
               "\x58\x0b\x60\x0c")},
        {{.type = VTD_REQUEST_RESPOND_PAGE_REQUEST,
          .refused = true,
          .refusal = {.status = VTD_STATUS_UNSUPPORTED, .reason = VTD_REASON_NOT_BUILT}},
         BYTES("\x08\x01\x10\x01\x18\x00\x20\x00")},
        {{.type = VTD_REQUEST_MAP_MEMORY,
          .refused = true,
          .refusal = {.status = VTD_STATUS_LIMIT,
                      .reason = VTD_REASON_MEMORY_LIMIT,
                      .asked = 300,
                      .allowed = 200}},
         BYTES("\x08\x03\x10\x0b\x18\xac\x02\x20\xc8\x01")},
};
/* clang-format on */

static void assert_same_request(const struct vtd_request *a, const struct vtd_request *b)
{
        assert_int_equal(a->type, b->type);
        switch ((unsigned)a->type) {
        case VTD_REQUEST_HELLO:
                assert_int_equal(a->hello.major, b->hello.major);
                assert_int_equal(a->hello.minor, b->hello.minor);
                assert_int_equal(a->hello.features, b->hello.features);
                break;
        case VTD_REQUEST_PLUG_DEVICE:
                assert_string_equal(a->plug_device.name.text, b->plug_device.name.text);
                break;
        case VTD_REQUEST_UNPLUG_DEVICE:
                assert_int_equal(a->unplug_device.device, b->unplug_device.device);
                break;
        case VTD_REQUEST_MAP_MEMORY:
                assert_int_equal(a->map_memory.gpa, b->map_memory.gpa);
                assert_int_equal(a->map_memory.size, b->map_memory.size);
                assert_int_equal(a->map_memory.offset, b->map_memory.offset);
                break;
        case VTD_REQUEST_UNMAP_MEMORY:
                assert_int_equal(a->unmap_memory.mapping, b->unmap_memory.mapping);
                break;
        case VTD_REQUEST_ATTACH:
                assert_int_equal(a->attach.device, b->attach.device);
                assert_int_equal(a->attach.pasid, b->attach.pasid);
                assert_int_equal(a->attach.mode, b->attach.mode);
                assert_int_equal(a->attach.root, b->attach.root);
                assert_int_equal(a->attach.address_width, b->attach.address_width);
                assert_int_equal(a->attach.flags, b->attach.flags);
                break;
        case VTD_REQUEST_INVALIDATE:
                assert_int_equal(a->invalidate.table, b->invalidate.table);
                assert_int_equal(a->invalidate.count, b->invalidate.count);
                for (size_t i = 0; i < a->invalidate.count; i++) {
                        const struct vtd_invalidate_entry *x = &a->invalidate.entries[i];
                        const struct vtd_invalidate_entry *y = &b->invalidate.entries[i];

                        assert_int_equal(x->address, y->address);
                        assert_int_equal(x->pages, y->pages);
                        assert_int_equal(x->leaf, y->leaf);
                }
                break;
        case VTD_REQUEST_REGION_READ:
        case VTD_REQUEST_REGION_WRITE:
                assert_int_equal(a->region.device, b->region.device);
                assert_int_equal(a->region.region, b->region.region);
                assert_int_equal(a->region.offset, b->region.offset);
                assert_int_equal(a->region.width, b->region.width);
                assert_int_equal(a->region.value, b->region.value);
                break;
        default:
                break;
        }
}

static void assert_same_plug_device_reply(const struct vtd_plug_device_reply *a,
                                          const struct vtd_plug_device_reply *b)
{
        assert_int_equal(a->device, b->device);
        assert_int_equal(a->cap, b->cap);
        assert_int_equal(a->ecap, b->ecap);
        assert_int_equal(a->pasid_bits, b->pasid_bits);
        assert_int_equal(a->regions, b->regions);
        assert_int_equal(a->n_reserved, b->n_reserved);
        for (size_t i = 0; i < a->n_reserved; i++) {
                assert_int_equal(a->reserved[i].start, b->reserved[i].start);
                assert_int_equal(a->reserved[i].last, b->reserved[i].last);
        }
}

static void assert_same_hello_reply(const struct vtd_hello_reply *a,
                                    const struct vtd_hello_reply *b)
{
        assert_int_equal(a->major, b->major);
        assert_int_equal(a->minor, b->minor);
        assert_int_equal(a->features, b->features);
        assert_int_equal(a->host, b->host);
        assert_int_equal(a->memory, b->memory);
        assert_int_equal(a->mappings, b->mappings);
        assert_int_equal(a->devices, b->devices);
        assert_int_equal(a->first_stage_tables, b->first_stage_tables);
        assert_int_equal(a->pasids, b->pasids);
        assert_int_equal(a->modes, b->modes);
}

static void assert_same_stats(const struct vtd_stats *a, const struct vtd_stats *b)
{
        assert_int_equal(a->requests, b->requests);
        assert_int_equal(a->refused, b->refused);
        assert_int_equal(a->invalidate_requests, b->invalidate_requests);
        assert_int_equal(a->invalidate_entries, b->invalidate_entries);
        assert_int_equal(a->host_calls, b->host_calls);
        assert_int_equal(a->delayed_us, b->delayed_us);
        assert_int_equal(a->memory, b->memory);
        assert_int_equal(a->mappings, b->mappings);
        assert_int_equal(a->devices, b->devices);
        assert_int_equal(a->first_stage_tables, b->first_stage_tables);
        assert_int_equal(a->second_stage_tables, b->second_stage_tables);
        assert_int_equal(a->attachments, b->attachments);
}

static void assert_same_reply(const struct vtd_reply *a, const struct vtd_reply *b)
{
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->refused, b->refused);
        if (a->refused) {
                assert_int_equal(a->refusal.status, b->refusal.status);
                assert_int_equal(a->refusal.reason, b->refusal.reason);
                assert_int_equal(a->refusal.asked, b->refusal.asked);
                assert_int_equal(a->refusal.allowed, b->refusal.allowed);
                return;
        }
        switch ((unsigned)a->type) {
        case VTD_REQUEST_HELLO:
                assert_same_hello_reply(&a->hello, &b->hello);
                break;
        case VTD_REQUEST_PLUG_DEVICE:
                assert_same_plug_device_reply(&a->plug_device, &b->plug_device);
                break;
        case VTD_REQUEST_MAP_MEMORY:
                assert_int_equal(a->map_memory.mapping, b->map_memory.mapping);
                break;
        case VTD_REQUEST_ATTACH:
                assert_int_equal(a->attach.table, b->attach.table);
                break;
        case VTD_REQUEST_REGION_READ:
                assert_int_equal(a->region_read.value, b->region_read.value);
                break;
        case VTD_REQUEST_GET_STATS:
                assert_same_stats(&a->stats, &b->stats);
                break;
        default:
                break;
        }
}

static void test_every_request_has_exactly_these_bytes(void **state)
{
        struct vtd_request decoded;
        bool seen[VTD_REQUEST_TYPE_END] = {false};

        for (size_t i = 0; i < VTD_ARRAY_SIZE(known_requests); i++) {
                struct vtd_request request = known_requests[i].request;
                struct record expected = make_record(request.type, 0, known_requests[i].body);
                struct record encoded;

                seen[request.type] = true;
                request.sequence = SEQUENCE;
                assert_int_equal(vtd_codec_encode_request(&request, encoded.bytes, &encoded.length),
                                 0);
                assert_int_equal(encoded.length, expected.length);
                assert_memory_equal(encoded.bytes, expected.bytes, expected.length);
                memset(&decoded, 0xa5, sizeof(decoded));
                assert_int_equal(decode_request(*state, &decoded, &encoded, fds_of(request.type)),
                                 0);
                assert_int_equal(decoded.sequence, SEQUENCE);
                assert_same_request(&decoded, &request);
        }
        for (unsigned type = VTD_REQUEST_HELLO; type < VTD_REQUEST_TYPE_END; type++)
                assert_true(seen[type]);
}

static void test_every_reply_has_exactly_these_bytes(void **state)
{
        struct vtd_reply decoded;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(known_replies); i++) {
                struct vtd_reply reply = known_replies[i].reply;
                uint16_t flags = VTD_FRAME_REPLY | (reply.refused ? VTD_FRAME_REFUSAL : 0);
                struct record expected = make_record(reply.type, flags, known_replies[i].body);
                struct record encoded;

                reply.sequence = SEQUENCE;
                assert_int_equal(vtd_codec_encode_reply(&reply, encoded.bytes, &encoded.length), 0);
                assert_int_equal(encoded.length, expected.length);
                assert_memory_equal(encoded.bytes, expected.bytes, expected.length);
                memset(&decoded, 0xa5, sizeof(decoded));
                assert_int_equal(decode_reply(*state, &decoded, reply.type, &encoded), 0);
                assert_int_equal(decoded.sequence, SEQUENCE);
                assert_same_reply(&decoded, &reply);
        }
}

/* ---- limits ---- */

/* The request of @type whose body is as long as any valid one can be. */
static struct vtd_request largest_request(enum vtd_request_type type)
{
        struct vtd_request request = {.type = type, .sequence = UINT32_MAX};

        switch ((unsigned)type) {
        case VTD_REQUEST_HELLO:
                request.hello = (struct vtd_hello_request){UINT32_MAX, UINT32_MAX, UINT64_MAX};
                break;
        case VTD_REQUEST_PLUG_DEVICE:
                memset(request.plug_device.name.text, 'x', VTD_LIMIT_NAME);
                break;
        case VTD_REQUEST_UNPLUG_DEVICE:
                request.unplug_device.device = UINT64_MAX;
                break;
        case VTD_REQUEST_MAP_MEMORY:
                request.map_memory =
                        (struct vtd_map_memory_request){UINT64_MAX, UINT64_MAX, UINT64_MAX};
                break;
        case VTD_REQUEST_UNMAP_MEMORY:
                request.unmap_memory.mapping = UINT64_MAX;
                break;
        case VTD_REQUEST_ATTACH:
                request.attach = (struct vtd_attach_request){
                        .device = UINT64_MAX,
                        .pasid = VTD_PASID_MAX,
                        .mode = VTD_ATTACH_FIRST_STAGE,
                        .root = UINT64_MAX,
                        .address_width = UINT32_MAX,
                        .flags = VTD_FIRST_STAGE_FLAGS,
                };
                break;
        case VTD_REQUEST_INVALIDATE:
                request.invalidate.table = UINT64_MAX;
                request.invalidate.count = VTD_LIMIT_INVALIDATE_ENTRIES;
                for (size_t i = 0; i < VTD_LIMIT_INVALIDATE_ENTRIES; i++)
                        request.invalidate.entries[i] =
                                (struct vtd_invalidate_entry){UINT64_MAX - i, UINT64_MAX, i % 2};
                break;
        case VTD_REQUEST_REGION_READ:
        case VTD_REQUEST_REGION_WRITE:
                request.region = (struct vtd_region_request){
                        .device = UINT64_MAX,
                        .region = UINT32_MAX,
                        .width = 8,
                        .offset = UINT64_MAX,
                        .value = type == VTD_REQUEST_REGION_WRITE ? UINT64_MAX : 0,
                };
                break;
        default:
                break;
        }
        return request;
}

static void test_largest_requests_round_trip_at_the_tables_limit(void **state)
{
        for (unsigned type = VTD_REQUEST_HELLO; type <= VTD_REQUEST_GET_STATS; type++) {
                struct vtd_request request = largest_request(type), decoded;
                struct record record;

                assert_int_equal(vtd_codec_encode_request(&request, record.bytes, &record.length),
                                 0);
                assert_int_equal(record.length,
                                 VTD_FRAME_HEADER_SIZE + vtd_request_kind(type)->body_max);
                assert_int_equal(decode_request(*state, &decoded, &record, fds_of(type)), 0);
                assert_int_equal(decoded.sequence, UINT32_MAX);
                assert_same_request(&decoded, &request);
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
                assert_int_equal(
                        decode_request(*state, &decoded, &record, fds_of(smallest[i].type)), 0);
                assert_same_request(&decoded, &smallest[i]);
        }
}

static struct vtd_reply largest_plug_device_reply(void)
{
        struct vtd_reply reply = {
                .type = VTD_REQUEST_PLUG_DEVICE,
                .sequence = SEQUENCE,
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

static void test_largest_replies_round_trip(void **state)
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
                {{.type = VTD_REQUEST_INVALIDATE,
                  .refused = true,
                  .refusal = {VTD_STATUS_HOST, VTD_REASON_HOST_FAILED, UINT64_MAX, UINT64_MAX}},
                 26},
        };
        /* clang-format on */

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                struct vtd_reply reply = cases[i].reply, decoded;
                struct record record;

                reply.sequence = SEQUENCE;
                assert_int_equal(vtd_codec_encode_reply(&reply, record.bytes, &record.length), 0);
                assert_int_equal(record.length, VTD_FRAME_HEADER_SIZE + cases[i].body);
                assert_int_equal(decode_reply(*state, &decoded, reply.type, &record), 0);
                assert_same_reply(&decoded, &reply);
        }
}

/* ---- headers ---- */

static void test_a_request_with_any_wrong_header_field_is_malformed(void **state)
{
        /* clang-format off */
        static const struct {
                const char *field;
                size_t offset;
                uint8_t value;
        } cases[] = {
                {"magic 0", 0, 'X'},
                {"magic 1", 1, 'X'},
                {"magic 2", 2, 'X'},
                {"magic 3", 3, 'X'},
                {"version 0", 4, 0},
                {"version 2", 4, 2},
                {"fd count", 5, 1},
                {"type 0", 6, 0},
                {"type end", 6, 15},
                {"type high byte", 7, 1},
                {"reply flag", 8, 1},
                {"refusal flag", 8, 2},
                {"both flags", 8, 3},
                {"unknown flag", 8, 4},
                {"unknown flag", 9, 0x80},
                {"length short", 10, 5},
                {"length long", 10, 7},
                {"length high", 11, 1},
        };
        /* clang-format on */
        static const struct bytes body = BYTES("\x08\x01\x10\x02\x18\x03");
        struct vtd_codec *codec = *state;
        struct vtd_request request;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                struct record record = make_record(VTD_REQUEST_HELLO, 0, body);

                assert_int_equal(decode_request(*state, &request, &record, 0), 0);
                record.bytes[cases[i].offset] = cases[i].value;
                codec->used = UNTOUCHED;
                if (decode_request(codec, &request, &record, 0) != VTD_CODEC_E_MALFORMED)
                        fail_msg("accepted: %s", cases[i].field);
                assert_int_equal(codec->used, UNTOUCHED);
        }
}

static void test_descriptors_must_be_as_the_table_says(void **state)
{
        struct vtd_codec *codec = *state;
        struct vtd_request request;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(known_requests); i++) {
                uint32_t type = known_requests[i].request.type;

                for (uint8_t said = 0; said < 4; said++) {
                        for (size_t came = 0; came < 4; came++) {
                                struct record record = make_record(type, 0, known_requests[i].body);
                                bool right = said == fds_of(type) && came == fds_of(type);

                                record.bytes[5] = said;
                                codec->used = UNTOUCHED;
                                assert_int_equal(decode_request(codec, &request, &record, came),
                                                 right ? 0 : VTD_CODEC_E_MALFORMED);
                                assert_true(right == (codec->used != UNTOUCHED));
                        }
                }
        }
        assert_int_equal(fds_of(VTD_REQUEST_MAP_MEMORY), 1);
        assert_int_equal(fds_of(VTD_REQUEST_HELLO), 0);
}

static void test_bodies_outside_the_limits_are_not_looked_at(void **state)
{
        static const char body[VTD_LIMIT_BODY];
        struct vtd_codec *codec = *state;
        struct vtd_request request;
        struct vtd_reply reply;

        for (unsigned type = VTD_REQUEST_HELLO; type < VTD_REQUEST_TYPE_END; type++) {
                const struct vtd_request_kind *kind = vtd_request_kind(type);

                for (size_t length = 0; length <= VTD_LIMIT_BODY; length++) {
                        struct record record = make_record(type, 0, (struct bytes){body, length});
                        bool inside = length >= kind->body_min && length <= kind->body_max;

                        codec->used = UNTOUCHED;
                        (void)vtd_codec_decode_request(codec, &request, record.bytes, record.length,
                                                       kind->fd_count);
                        assert_true(inside == (codec->used != UNTOUCHED));
                }
        }
        for (unsigned type = VTD_REQUEST_HELLO; type < VTD_REQUEST_TYPE_END; type++) {
                struct record record =
                        make_record(type, VTD_FRAME_REPLY, (struct bytes){body, VTD_LIMIT_BODY});

                codec->used = UNTOUCHED;
                assert_int_equal(vtd_codec_decode_reply(codec, &reply, type, SEQUENCE, record.bytes,
                                                        record.length, 0),
                                 VTD_CODEC_E_MALFORMED);
                assert_int_equal(codec->used, UNTOUCHED);
        }
}

static void test_a_record_cut_anywhere_is_malformed(void **state)
{
        struct vtd_request request, largest;

        for (unsigned type = VTD_REQUEST_HELLO; type <= VTD_REQUEST_REGION_WRITE; type++) {
                struct record record;
                size_t length;

                largest = largest_request(type);
                assert_int_equal(vtd_codec_encode_request(&largest, record.bytes, &length), 0);
                for (record.length = 0; record.length < length; record.length++)
                        assert_int_equal(decode_request(*state, &request, &record, fds_of(type)),
                                         VTD_CODEC_E_MALFORMED);
        }
}

/* Shorter bodies whose header fits: an Invalidate cut between entries is a smaller Invalidate. */
static void test_a_body_cut_anywhere_is_malformed_or_whole(void **state)
{
        for (unsigned type = VTD_REQUEST_HELLO; type <= VTD_REQUEST_REGION_WRITE; type++) {
                struct vtd_request largest = largest_request(type), request;
                size_t accepted = 0, expected = 0, length;
                struct record record;

                assert_int_equal(vtd_codec_encode_request(&largest, record.bytes, &length), 0);
                for (size_t body = 0; body < length - VTD_FRAME_HEADER_SIZE; body++) {
                        record.length = VTD_FRAME_HEADER_SIZE + body;
                        record.bytes[10] = (uint8_t)body;
                        record.bytes[11] = (uint8_t)(body >> 8);
                        if (decode_request(*state, &request, &record, fds_of(type)) == 0)
                                accepted++;
                }
                if (type == VTD_REQUEST_INVALIDATE)
                        expected = VTD_LIMIT_INVALIDATE_ENTRIES - 1;
                assert_int_equal(accepted, expected);
        }
}

static void test_a_reply_must_answer_the_request(void **state)
{
        static const struct bytes body = BYTES("\x08\x07");
        struct record record = make_record(VTD_REQUEST_MAP_MEMORY, VTD_FRAME_REPLY, body);
        struct vtd_codec *codec = *state;
        struct vtd_reply reply;
        const uint8_t *bytes = record.bytes;
        size_t length = record.length;

#define DECODE(type, sequence, fds)                                                                \
        vtd_codec_decode_reply(codec, &reply, type, sequence, bytes, length, fds)
        assert_int_equal(DECODE(VTD_REQUEST_MAP_MEMORY, SEQUENCE, 0), 0);
        assert_int_equal(DECODE(VTD_REQUEST_MAP_MEMORY, SEQUENCE, 1), VTD_CODEC_E_MALFORMED);
        assert_int_equal(DECODE(VTD_REQUEST_MAP_MEMORY, SEQUENCE + 1, 0), VTD_CODEC_E_MALFORMED);
        assert_int_equal(DECODE(VTD_REQUEST_ATTACH, SEQUENCE, 0), VTD_CODEC_E_MALFORMED);
        assert_int_equal(DECODE(VTD_REQUEST_MAP_MEMORY + 0x10000, SEQUENCE, 0),
                         VTD_CODEC_E_MALFORMED);
        record.bytes[5] = 1; /* says that it carries a descriptor */
        assert_int_equal(DECODE(VTD_REQUEST_MAP_MEMORY, SEQUENCE, 0), VTD_CODEC_E_MALFORMED);
        assert_int_equal(DECODE(VTD_REQUEST_MAP_MEMORY, SEQUENCE, 1), VTD_CODEC_E_MALFORMED);
        record.bytes[5] = 0;
        record.bytes[8] = 0; /* a request is no answer */
        assert_int_equal(DECODE(VTD_REQUEST_MAP_MEMORY, SEQUENCE, 0), VTD_CODEC_E_MALFORMED);
        record.bytes[8] = VTD_FRAME_REFUSAL;
        assert_int_equal(DECODE(VTD_REQUEST_MAP_MEMORY, SEQUENCE, 0), VTD_CODEC_E_MALFORMED);
        record.bytes[8] = VTD_FRAME_REPLY | VTD_FRAME_REFUSAL;
        assert_int_equal(DECODE(VTD_REQUEST_MAP_MEMORY, SEQUENCE, 0), VTD_CODEC_E_MALFORMED);
        record.bytes[6] = 0; /* what was never asked for, and an empty body */
        record.bytes[8] = VTD_FRAME_REPLY;
        record.bytes[10] = 0;
        length = VTD_FRAME_HEADER_SIZE;
        assert_int_equal(DECODE(0, SEQUENCE, 0), VTD_CODEC_E_MALFORMED);
        record.bytes[6] = VTD_REQUEST_TYPE_END;
        assert_int_equal(DECODE(VTD_REQUEST_TYPE_END, SEQUENCE, 0), VTD_CODEC_E_MALFORMED);
        record.bytes[6] = VTD_REQUEST_INVALIDATE; /* the same record, asked for */
        assert_int_equal(DECODE(VTD_REQUEST_INVALIDATE, SEQUENCE, 0), 0);
#undef DECODE
}

/* ---- bodies ---- */

static void test_each_violation_of_form_is_malformed(void **state)
{
        /* clang-format off */
        static const struct {
                const char *why;
                uint32_t type;
                struct bytes body;
        } cases[] = {
                {"unknown field", VTD_REQUEST_HELLO,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x04")},
                {"unknown field in front", VTD_REQUEST_HELLO,
                 BYTES("\x20\x04\x08\x01\x10\x02\x18\x03")},
                {"unknown field in reserved", VTD_REQUEST_SET_DIRTY_TRACKING, BYTES("\x10\x01")},
                {"nested unknown field", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x08\x08\x02\x10\x03\x18\x01\x20\x01")},
                {"unknown field instead", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x06\x08\x02\x10\x03\x20\x01")},
                {"tag zero", VTD_REQUEST_UNPLUG_DEVICE, BYTES("\x00\x01")},
                {"group start", VTD_REQUEST_UNPLUG_DEVICE, BYTES("\x0b\x0c")},
                {"duplicate field", VTD_REQUEST_UNPLUG_DEVICE,
                 BYTES("\x08\x01\x08\x02")},
                {"same field twice, same value", VTD_REQUEST_UNPLUG_DEVICE,
                 BYTES("\x08\x01\x08\x01")},
                {"nested duplicate field", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x08\x08\x02\x08\x02\x10\x03\x18\x01")},
                {"non-minimal varint", VTD_REQUEST_UNPLUG_DEVICE, BYTES("\x08\x81\x00")},
                {"non-minimal tag", VTD_REQUEST_UNPLUG_DEVICE, BYTES("\x88\x00\x01")},
                {"non-minimal nested length", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x86\x00\x08\x02\x10\x03\x18\x01")},
                {"uint32 wider than 32 bits", VTD_REQUEST_HELLO,
                 BYTES("\x08\x81\x80\x80\x80\x10\x10\x02\x18\x03")},
                {"uint64 wider than 64 bits", VTD_REQUEST_UNPLUG_DEVICE,
                 BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x03")},
                {"varint without end", VTD_REQUEST_UNPLUG_DEVICE,
                 BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")},
                {"fields out of order", VTD_REQUEST_HELLO,
                 BYTES("\x10\x02\x08\x01\x18\x03")},
                {"entries before the table", VTD_REQUEST_INVALIDATE,
                 BYTES("\x12\x06\x08\x02\x10\x03\x18\x01\x08\x01")},
                {"nested fields out of order", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x06\x10\x03\x08\x02\x18\x01")},
                {"scalar as packed list", VTD_REQUEST_UNPLUG_DEVICE, BYTES("\x0a\x01\x01")},
                {"scalar as 64 bits", VTD_REQUEST_UNPLUG_DEVICE,
                 BYTES("\x09\x01\0\0\0\0\0\0\0")},
                {"scalar as 32 bits", VTD_REQUEST_UNPLUG_DEVICE,
                 BYTES("\x0d\x01\0\0\0")},
                {"message as varint", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x10\x06\x10\x02\x10\x03\x10\x01")},
                {"bool as length-delimited", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x07\x08\x02\x10\x03\x1a\x01\x01")},
                {"bool as 32 bits", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x09\x08\x02\x10\x03\x1d\x01\0\0\0")},
                {"bool as 64 bits", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x0d\x08\x02\x10\x03\x19\x01\0\0\0\0\0\0\0")},
                {"bool of value 2", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x06\x08\x02\x10\x03\x18\x02")},
                {"bool of two bytes", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x07\x08\x02\x10\x03\x18\x81\x00")},
                {"top-level bool of value 2", VTD_REQUEST_SET_DIRTY_TRACKING, BYTES("\x08\x02")},
                {"bytes as varint", VTD_REQUEST_PLUG_DEVICE, BYTES("\x08\x61\x61")},
                {"bytes longer than the body", VTD_REQUEST_PLUG_DEVICE, BYTES("\x0a\x02\x61")},
                {"nested length past the end", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x07\x08\x02\x10\x03\x18\x01")},
                {"nested length too short", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x05\x08\x02\x10\x03\x18\x01")},
                {"huge nested length", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\xff\xff\xff\xff\x0f\x08\x02\x10\x03")},
                {"too short for the table", VTD_REQUEST_HELLO,
                 BYTES("\x08\x01\x10\x02\x18")},
                {"a body where none may be", VTD_REQUEST_GET_STATS, BYTES("\x08\x01")},
        };
        /* clang-format on */

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++)
                assert_request_malformed(*state, cases[i].type, cases[i].body, cases[i].why);
}

static void test_each_missing_field_is_malformed(void **state)
{
        /* clang-format off */
        static const struct {
                const char *why;
                uint32_t type;
                struct bytes body;
        } cases[] = {
                /* values of several bytes, so that the table's lower limit does not decide */
                {"Hello.major", VTD_REQUEST_HELLO,
                 BYTES("\x10\x82\x01\x18\x83\x01")},
                {"Hello.minor", VTD_REQUEST_HELLO,
                 BYTES("\x08\x81\x01\x18\x83\x01")},
                {"Hello.features", VTD_REQUEST_HELLO,
                 BYTES("\x08\x81\x01\x10\x83\x01")},
                {"MapMemory.gpa", VTD_REQUEST_MAP_MEMORY,
                 BYTES("\x10\x82\x01\x18\x83\x01")},
                {"MapMemory.size", VTD_REQUEST_MAP_MEMORY,
                 BYTES("\x08\x81\x01\x18\x83\x01")},
                {"MapMemory.offset", VTD_REQUEST_MAP_MEMORY,
                 BYTES("\x08\x81\x01\x10\x83\x01")},
                {"Attach.device", VTD_REQUEST_ATTACH, BYTES("\x10\x05\x18\x01")},
                {"Attach.mode", VTD_REQUEST_ATTACH, BYTES("\x08\x01\x10\x05")},
                {"Attach.root", VTD_REQUEST_ATTACH,
                 BYTES("\x08\x01\x18\x03\x28\x30\x30\x00")},
                {"Attach.address_width", VTD_REQUEST_ATTACH,
                 BYTES("\x08\x01\x18\x03\x20\x00\x30\x00")},
                {"Attach.flags", VTD_REQUEST_ATTACH,
                 BYTES("\x08\x01\x18\x03\x20\x00\x28\x30")},
                {"Invalidate.table", VTD_REQUEST_INVALIDATE,
                 BYTES("\x12\x08\x08\x82\x01\x10\x83\x01\x18\x01")},
                {"Invalidate.entries", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
                {"entry.address", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x06\x10\x83\x80\x01\x18\x01")},
                {"entry.pages", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x06\x08\x83\x80\x01\x18\x01")},
                {"entry.leaf", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x06\x08\x82\x01\x10\x83\x01")},
                {"second entry.leaf", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x06\x08\x02\x10\x03\x18\x01\x12\x04\x08\x02\x10\x03")},
                {"empty entry", VTD_REQUEST_INVALIDATE,
                 BYTES("\x08\x01\x12\x06\x08\x02\x10\x03\x18\x01\x12\x00")},
                {"RegionRead.device", VTD_REQUEST_REGION_READ,
                 BYTES("\x10\x82\x01\x18\x83\x01\x20\x04")},
                {"RegionRead.region", VTD_REQUEST_REGION_READ,
                 BYTES("\x08\x81\x01\x18\x83\x01\x20\x04")},
                {"RegionRead.offset", VTD_REQUEST_REGION_READ,
                 BYTES("\x08\x81\x01\x10\x82\x01\x20\x04")},
                {"RegionRead.width", VTD_REQUEST_REGION_READ,
                 BYTES("\x08\x81\x01\x10\x82\x01\x18\x83\x01")},
                {"RegionWrite.device", VTD_REQUEST_REGION_WRITE,
                 BYTES("\x10\x82\x01\x18\x83\x01\x20\x04\x28\x85\x01")},
                {"RegionWrite.region", VTD_REQUEST_REGION_WRITE,
                 BYTES("\x08\x81\x01\x18\x83\x01\x20\x04\x28\x85\x01")},
                {"RegionWrite.offset", VTD_REQUEST_REGION_WRITE,
                 BYTES("\x08\x81\x01\x10\x82\x01\x20\x04\x28\x85\x01")},
                {"RegionWrite.width", VTD_REQUEST_REGION_WRITE,
                 BYTES("\x08\x81\x01\x10\x82\x01\x18\x83\x01\x28\x85\x01")},
                {"RegionWrite.value", VTD_REQUEST_REGION_WRITE,
                 BYTES("\x08\x81\x01\x10\x82\x01\x18\x83\x01\x20\x04")},
        };
        /* clang-format on */

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++)
                assert_request_malformed(*state, cases[i].type, cases[i].body, cases[i].why);
}

static void test_each_value_out_of_range_is_malformed(void **state)
{
        /* clang-format off */
        static const struct {
                const char *why;
                uint32_t type;
                struct bytes body;
        } cases[] = {
                {"PASID 0", VTD_REQUEST_ATTACH,
                 BYTES("\x08\x01\x10\x00\x18\x01")},
                {"PASID of 21 bits", VTD_REQUEST_ATTACH,
                 BYTES("\x08\x01\x10\x80\x80\x40\x18\x01")},
                {"mode 0", VTD_REQUEST_ATTACH,
                 BYTES("\x08\x01\x18\x00")},
                {"mode 4", VTD_REQUEST_ATTACH,
                 BYTES("\x08\x01\x18\x04")},
                {"mode 0xffffffff", VTD_REQUEST_ATTACH,
                 BYTES("\x08\x01\x18\xff\xff\xff\xff\x0f")},
                {"unknown first-stage flag", VTD_REQUEST_ATTACH,
                 BYTES("\x08\x01\x18\x03\x20\x00\x28\x30\x30\x08")},
                {"root in mode blocked", VTD_REQUEST_ATTACH,
                 BYTES("\x08\x01\x18\x01\x20\x00")},
                {"width in mode blocked", VTD_REQUEST_ATTACH,
                 BYTES("\x08\x01\x18\x01\x28\x30")},
                {"flags in mode passthrough", VTD_REQUEST_ATTACH,
                 BYTES("\x08\x01\x18\x02\x30\x00")},
                {"all three in mode blocked", VTD_REQUEST_ATTACH,
                 BYTES("\x08\x01\x18\x01\x20\x00\x28\x00\x30\x00")},
                {"empty name", VTD_REQUEST_PLUG_DEVICE, BYTES("\x0a\x00")},
                {"name with NUL", VTD_REQUEST_PLUG_DEVICE,
                 BYTES("\x0a\x03" "a\0b")},
                {"name ending in NUL", VTD_REQUEST_PLUG_DEVICE, BYTES("\x0a\x02" "a\0")},
                {"region width 0", VTD_REQUEST_REGION_READ,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x00")},
                {"region width 3", VTD_REQUEST_REGION_READ,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x03")},
                {"region width 16", VTD_REQUEST_REGION_WRITE,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x10\x28\x00")},
                {"value over 1 byte", VTD_REQUEST_REGION_WRITE,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x01\x28\x80\x02")},
                {"value over 2 bytes", VTD_REQUEST_REGION_WRITE,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x02\x28\x80\x80\x04")},
                {"value over 4 bytes", VTD_REQUEST_REGION_WRITE,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x04\x28\x80\x80\x80\x80\x10")},
        };
        /* clang-format on */

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++)
                assert_request_malformed(*state, cases[i].type, cases[i].body, cases[i].why);
}

static void test_names_hold_only_the_allowed_characters(void **state)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789._:-";
        struct vtd_request request;
        char body[2 + VTD_LIMIT_NAME + 1];
        unsigned accepted = 0;

        for (unsigned c = 0; c < 256; c++) {
                char one[] = {0x0a, 3, 'x', (char)c, 'y'};
                struct record record =
                        make_record(VTD_REQUEST_PLUG_DEVICE, 0, (struct bytes){one, sizeof(one)});
                bool right = c != 0 && strchr(allowed, (int)c);

                assert_int_equal(decode_request(*state, &request, &record, 0),
                                 right ? 0 : VTD_CODEC_E_MALFORMED);
                accepted += right;
        }
        assert_int_equal(accepted, 66);
        memset(body, 'x', sizeof(body));
        body[0] = 0x0a;
        body[1] = VTD_LIMIT_NAME + 1;
        assert_request_malformed(*state, VTD_REQUEST_PLUG_DEVICE,
                                 (struct bytes){body, sizeof(body)}, "32 characters");
}

/* Appends @count smallest entries to a body that names table 1. */
static size_t make_entries(char *body, size_t count)
{
        static const struct bytes entry = BYTES("\x12\x06\x08\x02\x10\x03\x18\x01");

        body[0] = 0x08;
        body[1] = 0x01;
        for (size_t i = 0; i < count; i++)
                memcpy(body + 2 + i * entry.length, entry.data, entry.length);
        return 2 + count * entry.length;
}

static void test_an_invalidate_holds_1_to_128_entries(void **state)
{
        char body[VTD_LIMIT_BODY];
        struct vtd_request request;

        for (size_t count = 1; count <= 400; count += count < 3 || count > 126 ? 1 : 125) {
                struct record record = make_record(VTD_REQUEST_INVALIDATE, 0,
                                                   (struct bytes){body, make_entries(body, count)});
                int expected = count <= 128 ? 0 : VTD_CODEC_E_MALFORMED;

                assert_int_equal(decode_request(*state, &request, &record, 0), expected);
                if (expected == 0)
                        assert_int_equal(request.invalidate.count, count);
        }
}

static void test_no_body_makes_decoding_use_more_than_the_arena(void **state)
{
        struct vtd_request largest = largest_request(VTD_REQUEST_INVALIDATE), request;
        struct vtd_codec *codec = *state;
        /* clang-format off */
        static const struct bytes floods[] = {
                BYTES("\x12\x00"), /* empty entries */
                BYTES("\x20\x00"), /* unknown fields */
                BYTES("\x12\x02\x20\x00"), /* unknown fields, one in each entry */
                BYTES("\x12\x02\x08\x00"), /* incomplete entries */
                BYTES("\x08\x00"), /* the same field */
        };
        /* clang-format on */
        struct record record;
        char body[3338];

        assert_int_equal(vtd_codec_encode_request(&largest, record.bytes, &record.length), 0);
        assert_int_equal(decode_request(codec, &request, &record, 0), 0);
        print_message("# arena: %zu of %u bytes for a full Invalidate\n", codec->used,
                      VTD_CODEC_ARENA_SIZE);
        /* The rest is for a library that counts a little differently. */
        assert_true(codec->used > 0 && codec->used <= VTD_CODEC_ARENA_SIZE * 3 / 4);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(floods); i++) {
                size_t length = 0;

                while (length + floods[i].length <= sizeof(body)) {
                        memcpy(body + length, floods[i].data, floods[i].length);
                        length += floods[i].length;
                }
                assert_request_malformed(codec, VTD_REQUEST_INVALIDATE,
                                         (struct bytes){body, length}, "flood");
                assert_true(codec->used <= VTD_CODEC_ARENA_SIZE);
        }
}

static void test_the_arena_gives_aligned_memory_until_it_is_exhausted(void **state)
{
        struct vtd_codec *codec = *state;
        ProtobufCAllocator allocator = vtd_arena_reset(codec);
        uint8_t *first = allocator.alloc(allocator.allocator_data, 1);
        uint8_t *second = allocator.alloc(allocator.allocator_data, 17);

        assert_ptr_equal(first, codec->arena);
        assert_ptr_equal(second, first + 16);
        assert_int_equal((uintptr_t)second % 16, 0);
        assert_int_equal(codec->used, 48);
        allocator.free(allocator.allocator_data, second);
        assert_int_equal(codec->used, 48);
        assert_null(allocator.alloc(allocator.allocator_data, SIZE_MAX));
        assert_null(allocator.alloc(allocator.allocator_data, SIZE_MAX - 15));
        assert_null(allocator.alloc(allocator.allocator_data, VTD_CODEC_ARENA_SIZE - 47));
        assert_int_equal(codec->used, 48);
        assert_non_null(allocator.alloc(allocator.allocator_data, VTD_CODEC_ARENA_SIZE - 48));
        assert_int_equal(codec->used, VTD_CODEC_ARENA_SIZE);
        assert_null(allocator.alloc(allocator.allocator_data, 1));
        allocator = vtd_arena_reset(codec);
        assert_non_null(allocator.alloc(allocator.allocator_data, VTD_CODEC_ARENA_SIZE));
}

static void test_reserved_requests_are_decoded_so_that_they_can_be_refused(void **state)
{
        /* clang-format off */
        static const struct {
                uint32_t type;
                struct bytes body;
        } cases[] = {
                {VTD_REQUEST_SET_DIRTY_TRACKING, BYTES("\x08\x01")},
                {VTD_REQUEST_READ_DIRTY_BITMAP, BYTES("\x08\x01\x10\x02\x18\x00")},
                {VTD_REQUEST_SUBSCRIBE_PAGE_REQUESTS, BYTES("\x08\x01")},
                {VTD_REQUEST_RESPOND_PAGE_REQUEST, BYTES("\x08\x01\x18\x02\x20\x03")},
        };
        /* clang-format on */
        struct vtd_request request;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                struct record record = make_record(cases[i].type, 0, cases[i].body);
                struct vtd_reply done = {.type = cases[i].type};
                size_t length;

                assert_int_equal(decode_request(*state, &request, &record, fds_of(cases[i].type)),
                                 0);
                assert_int_equal(request.type, cases[i].type);
                assert_int_equal(vtd_codec_encode_reply(&done, record.bytes, &length), -EINVAL);
                assert_reply_malformed(*state, cases[i].type, 0, (struct bytes){"", 0},
                                       "success of what is not built");
        }
}

/* ---- replies ---- */

static void test_each_malformed_reply_is_refused(void **state)
{
#define HELLO_TAIL "\x28\x05\x30\x06\x38\x07\x40\x08\x48\x09"
        /* clang-format off */
        static const struct {
                const char *why;
                uint32_t type;
                uint16_t flags;
                struct bytes body;
        } cases[] = {
                {"host 0", VTD_REQUEST_HELLO, 0,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x00" HELLO_TAIL "\x50\x07")},
                {"host 3", VTD_REQUEST_HELLO, 0,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x03" HELLO_TAIL "\x50\x07")},
                {"unknown mode", VTD_REQUEST_HELLO, 0,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x01" HELLO_TAIL "\x50\x08")},
                {"missing modes", VTD_REQUEST_HELLO, 0,
                 BYTES("\x08\x81\x01\x10\x02\x18\x03\x20\x01" HELLO_TAIL)},
                {"missing host", VTD_REQUEST_HELLO, 0,
                 BYTES("\x08\x81\x01\x10\x82\x01\x18\x03" HELLO_TAIL "\x50\x07")},
                {"empty Hello", VTD_REQUEST_HELLO, 0, BYTES("")},
                {"21 PASID bits", VTD_REQUEST_PLUG_DEVICE, 0,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x15\x28\x05")},
                {"range of negative size", VTD_REQUEST_PLUG_DEVICE, 0,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x14\x28\x05\x32\x04\x08\x07\x10\x06")},
                {"range without last", VTD_REQUEST_PLUG_DEVICE, 0,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x14\x28\x05\x32\x02\x08\x07")},
                {"unknown field in range", VTD_REQUEST_PLUG_DEVICE, 0,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x14\x28\x05\x32\x06\x08\x06\x10\x07\x18\x01")},
                {"no mapping", VTD_REQUEST_MAP_MEMORY, 0, BYTES("")},
                {"unknown field", VTD_REQUEST_MAP_MEMORY, 0, BYTES("\x08\x01\x10\x01")},
                {"table 0", VTD_REQUEST_ATTACH, 0, BYTES("\x08\x00")},
                {"field of an empty reply", VTD_REQUEST_INVALIDATE, 0, BYTES("\x08\x01")},
                {"no value", VTD_REQUEST_REGION_READ, 0, BYTES("")},
                {"missing counter", VTD_REQUEST_GET_STATS, 0,
                 BYTES("\x08\x01\x10\x02\x18\x03\x20\x04\x28\x05\x30\x06\x38\x07\x40\x08\x48\x09"
                        "\x50\x0a\x58\x8b\x01")},
                {"status 0", VTD_REQUEST_ATTACH, VTD_FRAME_REFUSAL,
                 BYTES("\x08\x00\x10\x01\x18\x00\x20\x00")},
                {"status of another reason", VTD_REQUEST_ATTACH, VTD_FRAME_REFUSAL,
                 BYTES("\x08\x02\x10\x01\x18\x00\x20\x00")},
                {"unknown status", VTD_REQUEST_ATTACH, VTD_FRAME_REFUSAL,
                 BYTES("\x08\x08\x10\x29\x18\x00\x20\x00")},
                {"reason 0", VTD_REQUEST_ATTACH, VTD_FRAME_REFUSAL,
                 BYTES("\x08\x01\x10\x00\x18\x00\x20\x00")},
                {"unknown reason", VTD_REQUEST_ATTACH, VTD_FRAME_REFUSAL,
                 BYTES("\x08\x07\x10\x29\x18\x00\x20\x00")},
                {"refusal without reason", VTD_REQUEST_ATTACH, VTD_FRAME_REFUSAL,
                 BYTES("\x08\x01\x18\x80\x01\x20\x80\x01")},
                {"refusal without numbers", VTD_REQUEST_ATTACH, VTD_FRAME_REFUSAL,
                 BYTES("\x08\x01\x10\x01")},
                {"empty refusal", VTD_REQUEST_INVALIDATE, VTD_FRAME_REFUSAL, BYTES("")},
        };
        /* clang-format on */
#undef HELLO_TAIL

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++)
                assert_reply_malformed(*state, cases[i].type, cases[i].flags, cases[i].body,
                                       cases[i].why);
}

static void test_a_reply_with_17_reserved_ranges_is_malformed(void **state)
{
        static const struct bytes head = BYTES("\x08\x01\x10\x02\x18\x03\x20\x14\x28\x05");
        static const struct bytes range = BYTES("\x32\x04\x08\x06\x10\x07");
        char body[128];
        struct vtd_reply reply;
        struct record record;

        memcpy(body, head.data, head.length);
        for (size_t i = 0; i < 17; i++)
                memcpy(body + head.length + i * range.length, range.data, range.length);
        record = make_record(VTD_REQUEST_PLUG_DEVICE, VTD_FRAME_REPLY,
                             (struct bytes){body, head.length + 16 * range.length});
        assert_int_equal(decode_reply(*state, &reply, VTD_REQUEST_PLUG_DEVICE, &record), 0);
        assert_int_equal(reply.plug_device.n_reserved, 16);
        assert_reply_malformed(*state, VTD_REQUEST_PLUG_DEVICE, 0,
                               (struct bytes){body, head.length + 17 * range.length},
                               "17 reserved ranges");
}

/* ---- encoding ---- */

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
                        .sequence = SEQUENCE,
                        .refused = true,
                        .refusal = {vtd_reason_status(reason), reason, 1, 2},
                };
                struct vtd_reply decoded;
                struct record record;

                assert_int_equal(vtd_codec_encode_reply(&reply, record.bytes, &record.length), 0);
                assert_int_equal(decode_reply(*state, &decoded, VTD_REQUEST_ATTACH, &record), 0);
                assert_same_reply(&decoded, &reply);
        }
}

/* ---- tables ---- */

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

/* ---- mutations ---- */

/* xorshift64: the same sequence on every run. */
static uint32_t next_random(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        return (uint32_t)(*state >> 32);
}

static void mutate_once(struct record *record, uint64_t *random)
{
        size_t at = record->length ? next_random(random) % record->length : 0;
        uint8_t byte = (uint8_t)next_random(random);

        switch (next_random(random) % 6) {
        case 0:
                record->bytes[at] ^= (uint8_t)(1u << (byte % 8));
                break;
        case 1:
                record->bytes[at] = byte;
                break;
        case 2: /* insert */
                if (record->length == VTD_FRAME_SIZE_MAX)
                        break;
                memmove(record->bytes + at + 1, record->bytes + at, record->length - at);
                record->bytes[at] = byte;
                record->length++;
                break;
        case 3: /* remove */
                if (record->length == 0)
                        break;
                memmove(record->bytes + at, record->bytes + at + 1, record->length - at - 1);
                record->length--;
                break;
        case 4: /* repeat what follows */
                if (record->length + byte % 16 > VTD_FRAME_SIZE_MAX ||
                    at + byte % 16 > record->length)
                        break;
                memmove(record->bytes + at + byte % 16, record->bytes + at, record->length - at);
                record->length += byte % 16;
                break;
        default: /* small numbers are where meaning is */
                record->bytes[at] = byte % 8;
                break;
        }
}

static void mutate(struct record *record, uint64_t *random)
{
        for (uint32_t n = next_random(random) % 3; n < 3; n++)
                mutate_once(record, random);
        /* Most of the time the length is put right, so that the body is looked at. */
        if (next_random(random) % 8 != 0 && record->length >= VTD_FRAME_HEADER_SIZE) {
                size_t body = record->length - VTD_FRAME_HEADER_SIZE;

                record->bytes[10] = (uint8_t)body;
                record->bytes[11] = (uint8_t)(body >> 8);
        }
}

static void test_whatever_is_accepted_encodes_to_the_same_bytes(void **state)
{
        uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
        size_t accepted = 0, refused = 0;
        struct vtd_request request;

        for (unsigned i = 0; i < MUTATIONS; i++) {
                size_t n = next_random(&random) % VTD_ARRAY_SIZE(known_requests);
                uint32_t type = known_requests[n].request.type;
                struct record record = make_record(type, 0, known_requests[n].body), again;

                mutate(&record, &random);
                if (decode_request(*state, &request, &record, fds_of(type)) != 0) {
                        refused++;
                        continue;
                }
                accepted++;
                assert_int_equal(vtd_codec_encode_request(&request, again.bytes, &again.length), 0);
                /* What is not built leaves no trace of its body in the struct. */
                if (request.type > VTD_REQUEST_GET_STATS)
                        continue;
                assert_int_equal(again.length, record.length);
                assert_memory_equal(again.bytes, record.bytes, record.length);
        }
        print_message("# mutated requests: %zu accepted, %zu refused\n", accepted, refused);
        assert_true(accepted > MUTATIONS / 100 && refused > MUTATIONS / 10);
}

static void test_whatever_reply_is_accepted_encodes_to_the_same_bytes(void **state)
{
        uint64_t random = UINT64_C(0xd1b54a32d192ed03);
        size_t accepted = 0, refused = 0;
        struct vtd_reply reply;

        for (unsigned i = 0; i < MUTATIONS; i++) {
                size_t n = next_random(&random) % VTD_ARRAY_SIZE(known_replies);
                const struct vtd_reply *known = &known_replies[n].reply;
                uint16_t flags = VTD_FRAME_REPLY | (known->refused ? VTD_FRAME_REFUSAL : 0);
                struct record record = make_record(known->type, flags, known_replies[n].body);
                struct record again;

                mutate(&record, &random);
                if (decode_reply(*state, &reply, known->type, &record) != 0) {
                        refused++;
                        continue;
                }
                accepted++;
                assert_int_equal(vtd_codec_encode_reply(&reply, again.bytes, &again.length), 0);
                assert_int_equal(again.length, record.length);
                assert_memory_equal(again.bytes, record.bytes, record.length);
        }
        print_message("# mutated replies: %zu accepted, %zu refused\n", accepted, refused);
        assert_true(accepted > MUTATIONS / 100 && refused > MUTATIONS / 10);
}

/* Random bytes behind a right header: nothing of a valid body is left to lean on. */
static void test_random_bodies_are_malformed_or_canonical(void **state)
{
        uint64_t random = UINT64_C(0x2545f4914f6cdd1d);
        struct vtd_request request;

        for (unsigned i = 0; i < MUTATIONS / 5; i++) {
                uint32_t type = 1 + next_random(&random) % (VTD_REQUEST_TYPE_END - 1);
                const struct vtd_request_kind *kind = vtd_request_kind(type);
                size_t length = next_random(&random) % (kind->body_max + 2u);
                char body[VTD_LIMIT_BODY];
                struct record record, again;

                for (size_t n = 0; n < length; n++) /* mostly tags and small values */
                        body[n] = (char)(next_random(&random) &
                                         (next_random(&random) % 4 ? 0x1f : 0xff));
                record = make_record(type, 0, (struct bytes){body, length});
                if (decode_request(*state, &request, &record, kind->fd_count) != 0 ||
                    type > VTD_REQUEST_GET_STATS)
                        continue;
                assert_int_equal(vtd_codec_encode_request(&request, again.bytes, &again.length), 0);
                assert_int_equal(again.length, record.length);
                assert_memory_equal(again.bytes, record.bytes, record.length);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_request_has_exactly_these_bytes),
                cmocka_unit_test(test_every_reply_has_exactly_these_bytes),
                cmocka_unit_test(test_largest_requests_round_trip_at_the_tables_limit),
                cmocka_unit_test(test_smallest_requests_are_at_the_tables_limit),
                cmocka_unit_test(test_largest_replies_round_trip),
                cmocka_unit_test(test_a_request_with_any_wrong_header_field_is_malformed),
                cmocka_unit_test(test_descriptors_must_be_as_the_table_says),
                cmocka_unit_test(test_bodies_outside_the_limits_are_not_looked_at),
                cmocka_unit_test(test_a_record_cut_anywhere_is_malformed),
                cmocka_unit_test(test_a_body_cut_anywhere_is_malformed_or_whole),
                cmocka_unit_test(test_a_reply_must_answer_the_request),
                cmocka_unit_test(test_each_violation_of_form_is_malformed),
                cmocka_unit_test(test_each_missing_field_is_malformed),
                cmocka_unit_test(test_each_value_out_of_range_is_malformed),
                cmocka_unit_test(test_names_hold_only_the_allowed_characters),
                cmocka_unit_test(test_an_invalidate_holds_1_to_128_entries),
                cmocka_unit_test(test_no_body_makes_decoding_use_more_than_the_arena),
                cmocka_unit_test(test_the_arena_gives_aligned_memory_until_it_is_exhausted),
                cmocka_unit_test(test_reserved_requests_are_decoded_so_that_they_can_be_refused),
                cmocka_unit_test(test_each_malformed_reply_is_refused),
                cmocka_unit_test(test_a_reply_with_17_reserved_ranges_is_malformed),
                cmocka_unit_test(test_encoding_refuses_what_message_h_rules_out),
                cmocka_unit_test(test_every_reason_round_trips_with_its_status),
                cmocka_unit_test(test_tables_answer_for_every_number),
                cmocka_unit_test(test_whatever_is_accepted_encodes_to_the_same_bytes),
                cmocka_unit_test(test_whatever_reply_is_accepted_encodes_to_the_same_bytes),
                cmocka_unit_test(test_random_bodies_are_malformed_or_canonical),
        };

        return cmocka_run_group_tests_name("codec", tests, setup, teardown);
}
