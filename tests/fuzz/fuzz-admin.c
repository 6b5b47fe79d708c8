/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a record on the control socket.  Accepted, every field has the type of its key, and the
 * record is written as the same bytes; refused, there is a reason of printable text that fits a record
 * itself.
 */
#include <string.h>

#include "broker/admin/admin.h"
#include "tests/fuzz/fuzz.h"

static void judge_field(const struct vtd_admin_record *record, const struct vtd_admin_field *field)
{
        enum vtd_admin_type type = vtd_admin_key_row(field->key)->type;
        const char *text = record->bytes + field->text;

        if (type == VTD_ADMIN_FLAG) {
                FUZZ_REQUIRE(field->number <= 1);
                return;
        }
        if (type == VTD_ADMIN_NUMBER || type == VTD_ADMIN_HEX)
                return;
        FUZZ_REQUIRE(field->text > 0 && field->text < record->used);
        FUZZ_REQUIRE(strnlen(text, record->used - field->text) < record->used - field->text);
        FUZZ_REQUIRE(text[0] != '\0' && strlen(text) <= VTD_ADMIN_TEXT_MAX);
        for (; *text != '\0'; text++)
                FUZZ_REQUIRE(*text >= ' ' && *text <= '~');
}

/* What is refused is answered with its reason. */
static void answer(const struct vtd_admin_reason *reason)
{
        struct vtd_admin_record record;
        char bytes[VTD_ADMIN_BUFFER];
        size_t size;

        vtd_admin_begin(&record, VTD_ADMIN_REFUSED);
        vtd_admin_put_text(&record, VTD_ADMIN_K_REASON, reason->text);
        FUZZ_REQUIRE(strcmp(vtd_admin_text(&record, VTD_ADMIN_K_REASON), reason->text) == 0);
        FUZZ_REQUIRE(vtd_admin_encode(&record, bytes, &size) == 0);
}

/* Made anew of what was read, field by field, it is the same record. */
static void make_again(const struct vtd_admin_record *record, const uint8_t *data, size_t size)
{
        struct vtd_admin_record made;
        char bytes[VTD_ADMIN_BUFFER];
        size_t written;

        vtd_admin_begin(&made, record->kind);
        for (size_t i = 0; i < record->n_fields; i++) {
                enum vtd_admin_key key = record->fields[i].key;
                enum vtd_admin_type type = vtd_admin_key_row(key)->type;

                if (type == VTD_ADMIN_NUMBER || type == VTD_ADMIN_HEX || type == VTD_ADMIN_FLAG)
                        vtd_admin_put_number(&made, key, record->fields[i].number);
                else
                        vtd_admin_put_text(&made, key, record->bytes + record->fields[i].text);
                FUZZ_REQUIRE(vtd_admin_number(&made, key, 7) == vtd_admin_number(record, key, 7));
        }
        FUZZ_REQUIRE(vtd_admin_encode(&made, bytes, &written) == 0);
        FUZZ_REQUIRE(written == size && memcmp(bytes, data, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct vtd_admin_record record;
        struct vtd_admin_reason reason = {.text = ""};
        char bytes[VTD_ADMIN_BUFFER];
        size_t written;
        int r = vtd_admin_decode(&record, data, size, &reason);

        if (r != 0) {
                FUZZ_REQUIRE(r == VTD_ADMIN_E_MALFORMED);
                answer(&reason);
                return 0;
        }
        FUZZ_REQUIRE(vtd_admin_kind_row(record.kind) != NULL);
        FUZZ_REQUIRE(record.n_fields <= VTD_ADMIN_FIELDS_MAX);
        for (size_t i = 0; i < record.n_fields; i++)
                judge_field(&record, &record.fields[i]);
        FUZZ_REQUIRE(vtd_admin_encode(&record, bytes, &written) == 0);
        FUZZ_REQUIRE(written == size && memcmp(bytes, data, size) == 0);
        make_again(&record, data, size);
        return 0;
}
