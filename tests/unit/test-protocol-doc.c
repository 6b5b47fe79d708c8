/* SPDX-License-Identifier: MIT */
/* protos/PROTOCOL.md against the code: its tables of numbers and its worked bytes. */
#include "tests/unit/unit.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protos/codec.h"
#include "protos/message.h"
#include "shared/checked.h"
#include "shared/limits.h"

#define PAGE_MAX (128u * 1024u)

static int setup(void **state)
{
        FILE *file = fopen(VTD_PROTOCOL_PAGE, "re");
        char *page = malloc(PAGE_MAX);
        size_t length = 0;

        if (file && page)
                length = fread(page, 1, PAGE_MAX - 1, file);
        if (file)
                (void)fclose(file);
        if (length == 0 || length == PAGE_MAX - 1) {
                free(page);
                return -1;
        }
        page[length] = '\0';
        *state = page;
        return 0;
}

static int teardown(void **state)
{
        free(*state);
        return 0;
}

/* The page has a line that begins with the formatted text. */
__attribute__((format(printf, 2, 3))) static void assert_line(const char *page, const char *format,
                                                              ...)
{
        char line[160] = "\n";
        va_list arguments;
        int length;

        va_start(arguments, format);
        length = vsnprintf(line + 1, sizeof(line) - 1, format, arguments);
        va_end(arguments);
        assert_true(length > 0 && (size_t)length < sizeof(line) - 1);
        if (!strstr(page, line))
                fail_msg("PROTOCOL.md lacks the line \"%s\"", line + 1);
}

/* How many rows right below @heading begin with a number and a name in backquotes. */
static size_t count_rows(const char *page, const char *heading)
{
        const char *line = strstr(page, heading);
        size_t count = 0;

        assert_non_null(line);
        for (line = strchr(line + 1, '\n'); line && strncmp(line, "\n##", 3) != 0;
             line = strchr(line + 1, '\n')) {
                int used = 0;

                (void)sscanf(line, "\n| %*u | `%n", &used);
                if (used > 0)
                        count++;
        }
        return count;
}

static void test_the_table_of_requests_is_the_codecs(void **state)
{
        for (unsigned type = VTD_REQUEST_HELLO; type < VTD_REQUEST_TYPE_END; type++) {
                const struct vtd_request_kind *kind = vtd_request_kind(type);

                assert_line(*state, "| %u | `%s` | %u to %u | %u | %s | %s |", type, kind->name,
                            kind->body_min, kind->body_max, kind->fd_count,
                            type == VTD_REQUEST_HELLO ? "greeting" : "serving",
                            kind->reserved ? "reserved" : "built");
        }
        assert_int_equal(count_rows(*state, "\n## Requests\n"), VTD_REQUEST_TYPE_END - 1);
}

static void test_the_tables_of_status_reason_and_mode_are_the_codes(void **state)
{
        for (unsigned status = 1; status < VTD_STATUS_END; status++)
                assert_line(*state, "| %u | `%s` |", status, vtd_status_name(status));
        assert_int_equal(count_rows(*state, "\n## Status\n"), VTD_STATUS_END - 1);
        for (unsigned reason = 1; reason < VTD_REASON_END; reason++)
                assert_line(*state, "| %u | `%s` | `%s` |", reason, vtd_reason_name(reason),
                            vtd_status_name(vtd_reason_status(reason)));
        assert_int_equal(count_rows(*state, "\n## Reason\n"), VTD_REASON_END - 1);
        for (unsigned mode = 1; mode < VTD_ATTACH_MODE_END; mode++)
                assert_line(*state, "| %u | `%s` |", mode, vtd_attach_mode_name(mode));
}

static void test_the_limits_are_the_codes(void **state)
{
        const char *page = *state;

        assert_line(page, "| largest body | %u bytes |", VTD_LIMIT_BODY);
        assert_line(page, "| largest record | %u bytes |", VTD_FRAME_SIZE_MAX);
        assert_line(page, "- a record shorter than its header or longer than %u bytes,",
                    VTD_FRAME_SIZE_MAX);
        assert_line(page, "| entries of one Invalidate | %u |", VTD_LIMIT_INVALIDATE_ENTRIES);
        assert_line(page, "| name of a device | %u bytes |", VTD_LIMIT_NAME);
        assert_line(page, "| devices of one VM | %u |", VTD_LIMIT_DEVICES);
        assert_line(page, "| mappings of one VM | %u |", VTD_LIMIT_MAPPINGS);
        assert_line(page, "| first-stage tables of one VM | %u |", VTD_LIMIT_FIRST_STAGE_TABLES);
        assert_line(page, "| devices and PASIDs attached at once | %u |", VTD_LIMIT_ATTACHMENTS);
        assert_line(page, "| reserved ranges of one device | %u |", VTD_LIMIT_RESERVED_RANGES);
        assert_line(page, "| interrupt vectors armed at once | %u |", VTD_LIMIT_INTERRUPTS);
        assert_line(page, "| delay by a rate limit | %u ms |", VTD_LIMIT_INVALIDATE_DELAY_MS);
        assert_line(page, "| SetInterrupt and ResetDevice at once | %u |",
                    VTD_LIMIT_DEVICE_CALL_BURST);
        assert_line(page, "| SetInterrupt and ResetDevice in a second, from then on | %u |",
                    VTD_LIMIT_DEVICE_CALL_RATE);
        assert_line(page, "| time for Hello | %u ms |", VTD_LIMIT_HELLO_MS);
        assert_line(page, "| 0 | 4 | magic | `0x%x`", VTD_FRAME_MAGIC);
        assert_line(page, "| 4 | 1 | version | %u:", VTD_FRAME_VERSION);
        assert_line(page, "This page describes version %u.%u.", VTD_PROTOCOL_MAJOR,
                    VTD_PROTOCOL_MINOR);
}

/* Reads the hexadecimal bytes of the block "```bytes NAME". */
static size_t worked_bytes(const char *page, const char *name, uint8_t *bytes)
{
        char opening[64];
        const char *at;
        size_t length = 0;

        (void)snprintf(opening, sizeof(opening), "\n```bytes %s\n", name);
        at = strstr(page, opening);
        if (!at)
                fail_msg("PROTOCOL.md lacks the worked bytes of %s", name);
        at += strlen(opening);
        while (strncmp(at, "```", 3) != 0) {
                unsigned byte;

                if (*at == ';')
                        at += strcspn(at, "\n");
                if (isspace((unsigned char)*at)) {
                        at++;
                        continue;
                }
                assert_true(length < VTD_FRAME_SIZE_MAX);
                assert_int_equal(sscanf(at, "%2x", &byte), 1);
                bytes[length++] = (uint8_t)byte;
                at += 2;
        }
        return length;
}

static const struct vtd_request hello_request = {
        .type = VTD_REQUEST_HELLO,
        .sequence = 1,
        .hello = {.major = 1, .minor = 0, .features = 0},
};

static const struct vtd_reply hello_reply = {
        .type = VTD_REQUEST_HELLO,
        .sequence = 1,
        .hello = {.major = 1,
                  .minor = 0,
                  .features = 0,
                  .host = VTD_HOST_SIMULATED,
                  .memory = 1u << 30,
                  .mappings = 8,
                  .devices = 2,
                  .first_stage_tables = 16,
                  .pasids = 64,
                  .modes = 7},
};

static const struct vtd_request attach_request = {
        .type = VTD_REQUEST_ATTACH,
        .sequence = 7,
        .attach = {.device = 0x0100000003,
                   .pasid = 5,
                   .mode = VTD_ATTACH_FIRST_STAGE,
                   .root = 0x12345000,
                   .address_width = 48,
                   .flags = 0},
};

static const struct vtd_reply attach_reply = {
        .type = VTD_REQUEST_ATTACH,
        .sequence = 7,
        .attach = {.table = 0x0300000001},
};

static const struct vtd_reply attach_refusal = {
        .type = VTD_REQUEST_ATTACH,
        .sequence = 7,
        .refused = true,
        .refusal = {.status = VTD_STATUS_LIMIT,
                    .reason = VTD_REASON_FIRST_STAGE_TABLE_LIMIT,
                    .asked = 17,
                    .allowed = 16},
};

static void assert_worked(const char *page, const char *name, const uint8_t *record, size_t length)
{
        uint8_t bytes[VTD_FRAME_SIZE_MAX];

        assert_int_equal(worked_bytes(page, name, bytes), length);
        assert_memory_equal(bytes, record, length);
}

static void test_the_worked_bytes_are_what_the_codec_writes(void **state)
{
        static const struct {
                const char *name;
                const struct vtd_request *request;
                const struct vtd_reply *reply;
        } cases[] = {
                {"hello-request", &hello_request, NULL},   {"hello-reply", NULL, &hello_reply},
                {"attach-request", &attach_request, NULL}, {"attach-reply", NULL, &attach_reply},
                {"attach-refusal", NULL, &attach_refusal},
        };
        uint8_t record[VTD_FRAME_SIZE_MAX];
        size_t length;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                if (cases[i].request)
                        assert_int_equal(
                                vtd_codec_encode_request(cases[i].request, record, &length), 0);
                else
                        assert_int_equal(vtd_codec_encode_reply(cases[i].reply, record, &length),
                                         0);
                assert_worked(*state, cases[i].name, record, length);
        }
}

static void test_the_worked_bytes_decode(void **state)
{
        struct vtd_codec codec;
        uint8_t record[VTD_FRAME_SIZE_MAX];
        struct vtd_request request;
        struct vtd_reply reply;
        size_t length;

        length = worked_bytes(*state, "attach-request", record);
        assert_int_equal(vtd_codec_decode_request(&codec, &request, record, length, 0), 0);
        assert_int_equal(request.attach.device, attach_request.attach.device);
        assert_int_equal(request.attach.root, attach_request.attach.root);
        length = worked_bytes(*state, "attach-refusal", record);
        assert_int_equal(
                vtd_codec_decode_reply(&codec, &reply, VTD_REQUEST_ATTACH, 7, record, length, 0),
                0);
        assert_int_equal(reply.refusal.reason, VTD_REASON_FIRST_STAGE_TABLE_LIMIT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_table_of_requests_is_the_codecs),
                cmocka_unit_test(test_the_tables_of_status_reason_and_mode_are_the_codes),
                cmocka_unit_test(test_the_limits_are_the_codes),
                cmocka_unit_test(test_the_worked_bytes_are_what_the_codec_writes),
                cmocka_unit_test(test_the_worked_bytes_decode),
        };

        return cmocka_run_group_tests_name("protocol-doc", tests, setup, teardown);
}
