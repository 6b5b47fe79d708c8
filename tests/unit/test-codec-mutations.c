/* SPDX-License-Identifier: MIT */
/* protos/: seeded mutations of valid records: whatever is accepted is canonical. */
#include "tests/unit/codec-samples.h"

#include <string.h>

#include "shared/checked.h"

#define MUTATIONS 100000u

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
                size_t n = next_random(&random) % VTD_ARRAY_SIZE(vtd_sample_requests);
                uint32_t type = vtd_sample_requests[n].request.type;
                struct record record = vtd_sample_make_record(type, 0, vtd_sample_requests[n].body),
                              again;

                mutate(&record, &random);
                if (vtd_sample_decode_request(*state, &request, &record,
                                              vtd_sample_fd_count(type)) != 0) {
                        refused++;
                        continue;
                }
                accepted++;
                assert_int_equal(vtd_codec_encode_request(&request, again.bytes, &again.length), 0);
                /* What is not built leaves no trace of its body in the struct. */
                if (vtd_request_kind(request.type)->reserved)
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
                size_t n = next_random(&random) % VTD_ARRAY_SIZE(vtd_sample_replies);
                const struct vtd_reply *known = &vtd_sample_replies[n].reply;
                uint16_t flags = VTD_FRAME_REPLY | (known->refused ? VTD_FRAME_REFUSAL : 0);
                struct record record =
                        vtd_sample_make_record(known->type, flags, vtd_sample_replies[n].body);
                struct record again;

                mutate(&record, &random);
                if (vtd_sample_decode_reply(*state, &reply, known->type, &record) != 0) {
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
                record = vtd_sample_make_record(type, 0, (struct bytes){body, length});
                if (vtd_sample_decode_request(*state, &request, &record, kind->fd_count) != 0 ||
                    kind->reserved)
                        continue;
                assert_int_equal(vtd_codec_encode_request(&request, again.bytes, &again.length), 0);
                assert_int_equal(again.length, record.length);
                assert_memory_equal(again.bytes, record.bytes, record.length);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whatever_is_accepted_encodes_to_the_same_bytes),
                cmocka_unit_test(test_whatever_reply_is_accepted_encodes_to_the_same_bytes),
                cmocka_unit_test(test_random_bodies_are_malformed_or_canonical),
        };

        return cmocka_run_group_tests_name("codec-mutations", tests, vtd_sample_setup,
                                           vtd_sample_teardown);
}
