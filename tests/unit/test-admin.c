/* SPDX-License-Identifier: MIT */
/*
 * broker/admin/: records of the administrator's protocol have one form, and CONTROL.md names every kind
 * and key with the type and presence that the tables have.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/admin/admin.h"
#include "policy/schema.h"
#include "shared/checked.h"

#define PAGE_MAX (64u * 1024u)

/* Every field that the kind may have, repeated ones twice. */
static void fill(struct vtd_admin_record *record, enum vtd_admin_kind kind)
{
        vtd_admin_begin(record, kind);
        for (const struct vtd_admin_use *use = vtd_admin_kind_row(kind)->uses; use->key != 0;
             use++) {
                unsigned times = use->presence == VTD_ADMIN_REPEATED ? 2 : 1;

                for (unsigned i = 0; i < times; i++) {
                        switch (vtd_admin_key_row(use->key)->type) {
                        case VTD_ADMIN_NUMBER:
                        case VTD_ADMIN_HEX:
                                vtd_admin_put_number(record, use->key, UINT64_MAX - i);
                                break;
                        case VTD_ADMIN_FLAG:
                                vtd_admin_put_number(record, use->key, 1);
                                break;
                        case VTD_ADMIN_DEVICE_NAME:
                                vtd_admin_put_text(record, use->key, "0000:00:04.0");
                                break;
                        case VTD_ADMIN_TENANT_NAME:
                        case VTD_ADMIN_VM_NAME:
                        case VTD_ADMIN_VM_TARGET:
                        case VTD_ADMIN_WORD:
                        case VTD_ADMIN_TEXT:
                                vtd_admin_put_text(record, use->key, "abc-1");
                                break;
                        }
                }
        }
}

static void test_every_kind_survives_the_way(void **state)
{
        (void)state;
        for (unsigned kind = 1; kind < VTD_ADMIN_KIND_END; kind++) {
                struct vtd_admin_record sent, received;
                char bytes[VTD_ADMIN_BUFFER], again[VTD_ADMIN_BUFFER];
                struct vtd_admin_reason reason;
                size_t size, size_again;

                assert_non_null(vtd_admin_kind_row(kind));
                fill(&sent, kind);
                assert_int_equal(vtd_admin_encode(&sent, bytes, &size), 0);
                assert_int_equal(vtd_admin_decode(&received, bytes, size, &reason), 0);
                assert_int_equal(received.kind, kind);
                assert_int_equal(received.n_fields, sent.n_fields);
                assert_int_equal(vtd_admin_encode(&received, again, &size_again), 0);
                assert_int_equal(size_again, size);
                assert_memory_equal(bytes, again, size);
        }
        assert_null(vtd_admin_kind_row(0));
        assert_null(vtd_admin_kind_row(VTD_ADMIN_KIND_END));
        assert_null(vtd_admin_key_row(0));
        assert_null(vtd_admin_key_row(VTD_ADMIN_KEY_END));
}

static void test_values_are_found_by_key(void **state)
{
        static const char text[] = "vtd-control 1 create-vm\n"
                                   "tenant = blue\n"
                                   "connection = no\n"
                                   "device = nic0\n"
                                   "device = 0000:00:04.0\n"
                                   "memory = 4096\n";
        struct vtd_admin_record record;
        struct vtd_admin_reason reason;

        (void)state;
        assert_int_equal(vtd_admin_decode(&record, text, strlen(text), &reason), 0);
        assert_int_equal(record.kind, VTD_ADMIN_CREATE_VM);
        assert_string_equal(vtd_admin_text(&record, VTD_ADMIN_K_TENANT), "blue");
        assert_null(vtd_admin_text(&record, VTD_ADMIN_K_NAME));
        assert_int_equal(vtd_admin_number(&record, VTD_ADMIN_K_CONNECTION, 7), 0);
        assert_int_equal(vtd_admin_number(&record, VTD_ADMIN_K_MEMORY, 7), 4096);
        assert_int_equal(vtd_admin_number(&record, VTD_ADMIN_K_PASIDS, 7), 7);
        assert_string_equal(record.bytes + vtd_admin_find(&record, VTD_ADMIN_K_DEVICE, 1)->text,
                            "0000:00:04.0");
        assert_null(vtd_admin_find(&record, VTD_ADMIN_K_DEVICE, 2));
}

/* Each limit that a policy may set can be asked for and shown, under the policy's name. */
static void test_every_limit_of_policies_has_its_key(void **state)
{
        (void)state;
        for (unsigned i = 0; i < VTD_POLICY_LIMIT_COUNT; i++) {
                const size_t offset =
                        offsetof(struct vtd_policy, limits) + i * sizeof(struct vtd_policy_limit);
                const struct vtd_admin_key_row *key = vtd_admin_key_row(vtd_admin_limit_key(i));
                const struct vtd_schema_row *row;
                bool found = false;

                assert_non_null(key);
                for (size_t j = 0; (row = vtd_schema_row(j)); j++)
                        if (row->section == VTD_SCHEMA_VM && vtd_schema_is_numeric(row) &&
                            row->offset == offset) {
                                assert_string_equal(key->name, row->key);
                                found = true;
                        }
                assert_true(found);
        }
}

/* What is wrong, and what the reason begins with. */
static const struct {
        const char *text;
        const char *reason;
} malformed[] = {
        {"", "line 0: not \"vtd-control 1 KIND\""},
        {"vtd-control 1 status", "line 0: not"},
        {"vtd-control 2 status\n", "line 1: not"},
        {" vtd-control 1 status\n", "line 1: not"},
        {"vtd-control 1 stat\n", "line 1: no such kind"},
        {"vtd-control 1 status \n", "line 1: no such kind"},
        {"vtd-control 1 status\n\n", "line 2: no key"},
        {"vtd-control 1 status\ntenant = a\n", "line 2: no key"},
        {"vtd-control 1 remove-vm\n", "line 1: after it target is needed"},
        {"vtd-control 1 remove-vm\ntarget = a", "line 1: the last line has no end"},
        {"vtd-control 1 remove-vm\ntarget = a\ntarget = a\n", "line 3: no key"},
        {"vtd-control 1 remove-vm\ntarget=a\n", "line 2: here target is needed"},
        {"vtd-control 1 remove-vm\ntarget =  a\n", "line 2: target: allowed is a VM's name"},
        {"vtd-control 1 remove-vm\ntarget = -a\n", "line 2: target: allowed is"},
        {"vtd-control 1 remove-vm\ntarget = 01\n", "line 2: target: allowed is"},
        {"vtd-control 1 remove-vm\ntarget = 12345678901\n", "line 2: target: allowed is"},
        {"vtd-control 1 remove-vm\ntarget = a/b\n", "line 2: target: allowed is"},
        {"vtd-control 1 remove-vm\ntarget = a\r\n", "line 2: target: allowed is"},
        {"vtd-control 1 create-vm\nname = a\ntenant = b\n", "line 2: here tenant is needed"},
        {"vtd-control 1 create-vm\ntenant = a\nname = 1a\n", "line 3: name: allowed is"},
        {"vtd-control 1 create-vm\ntenant = a\nuid = -1\n", "line 3: uid: allowed is"},
        {"vtd-control 1 create-vm\ntenant = a\nuid = 1 \n", "line 3: uid: allowed is"},
        {"vtd-control 1 create-vm\ntenant = a\nuid = 0x1\n", "line 3: uid: allowed is"},
        {"vtd-control 1 create-vm\ntenant = a\nuid = 18446744073709551616\n", "line 3: uid:"},
        {"vtd-control 1 create-vm\ntenant = a\nconnection = Yes\n", "line 3: connection: allowed"},
        {"vtd-control 1 create-vm\ntenant = a\nmemory = 1\ndevice = x\n", "line 4: no key"},
        {"vtd-control 1 create-vm\ntenant = ../a\n", "line 2: tenant: allowed is"},
        {"vtd-control 1 revoke-vm\ntarget = a\nreason =  x\n", "line 3: reason: allowed is"},
        {"vtd-control 1 revoke-vm\ntarget = a\nreason = x \n", "line 3: reason: allowed is"},
        {"vtd-control 1 revoke-vm\ntarget = a\nreason = \n", "line 3: reason: allowed is"},
        {"vtd-control 1 revoke-vm\ntarget = a\nreason = \x80\n", "line 3: reason: allowed is"},
        {"vtd-control 1 first-stage\nvm = 1\nhwpt = 2\nparent = 3\nroot = 1000\n", "line 5: root:"},
        {"vtd-control 1 first-stage\nvm = 1\nhwpt = 2\nparent = 3\nroot = 0x\n", "line 5: root:"},
        {"vtd-control 1 first-stage\nvm = 1\nhwpt = 2\nparent = 3\nroot = 0x01\n", "line 5: root:"},
        {"vtd-control 1 first-stage\nvm = 1\nhwpt = 2\nparent = 3\nroot = 0xA\n", "line 5: root:"},
};

static void test_anything_else_is_refused_with_a_reason(void **state)
{
        (void)state;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(malformed); i++) {
                struct vtd_admin_record record;
                struct vtd_admin_reason reason = {.text = ""};

                assert_int_equal(vtd_admin_decode(&record, malformed[i].text,
                                                  strlen(malformed[i].text), &reason),
                                 VTD_ADMIN_E_MALFORMED);
                if (strncmp(reason.text, malformed[i].reason, strlen(malformed[i].reason)) != 0)
                        fail_msg("\"%s\": \"%s\"", malformed[i].text, reason.text);
        }
}

static void test_size_and_number_of_fields_are_bounded(void **state)
{
        static char text[VTD_ADMIN_RECORD_MAX + 2];
        static const char head[] = "vtd-control 1 create-vm\ntenant = a\n";
        struct vtd_admin_record record;
        struct vtd_admin_reason reason;
        size_t size = strlen(head);
        char bytes[VTD_ADMIN_BUFFER];

        (void)state;
        memcpy(text, head, size);
        for (unsigned i = 1; i < VTD_ADMIN_FIELDS_MAX; i++)
                size += (size_t)sprintf(text + size, "device = d\n");
        assert_int_equal(vtd_admin_decode(&record, text, size, &reason), 0);
        size += (size_t)sprintf(text + size, "device = d\n");
        assert_int_equal(vtd_admin_decode(&record, text, size, &reason), VTD_ADMIN_E_MALFORMED);
        assert_non_null(strstr(reason.text, "more than 48 fields"));
        memset(text, 'a', sizeof(text));
        assert_int_equal(vtd_admin_decode(&record, text, VTD_ADMIN_RECORD_MAX + 1, &reason),
                         VTD_ADMIN_E_MALFORMED);
        assert_non_null(strstr(reason.text, "4097 bytes; 4096 are allowed"));
        /* A byte of 0 anywhere, also where a line would end. */
        memcpy(text, "vtd-control 1 status\0", 21);
        assert_int_equal(vtd_admin_decode(&record, text, 21, &reason), VTD_ADMIN_E_MALFORMED);
        /* Too much to be written is noticed when it is. */
        vtd_admin_begin(&record, VTD_ADMIN_CREATE_VM);
        vtd_admin_put_text(&record, VTD_ADMIN_K_TENANT, "a");
        for (unsigned i = 0; i < VTD_ADMIN_FIELDS_MAX; i++)
                vtd_admin_put_text(&record, VTD_ADMIN_K_DEVICE, "d");
        assert_int_equal(vtd_admin_encode(&record, bytes, &size), -EINVAL);
}

static void test_encoding_takes_nothing_wrong(void **state)
{
        struct vtd_admin_record record;
        char bytes[VTD_ADMIN_BUFFER];
        size_t size;

        (void)state;
        vtd_admin_begin(&record, VTD_ADMIN_REMOVE_VM);
        assert_int_equal(vtd_admin_encode(&record, bytes, &size), -EINVAL);
        vtd_admin_put_text(&record, VTD_ADMIN_K_TARGET, "a b");
        assert_int_equal(vtd_admin_encode(&record, bytes, &size), -EINVAL);
        vtd_admin_begin(&record, VTD_ADMIN_REMOVE_VM);
        vtd_admin_put_text(&record, VTD_ADMIN_K_TARGET, "a");
        assert_int_equal(vtd_admin_encode(&record, bytes, &size), 0);
        vtd_admin_put_number(&record, VTD_ADMIN_K_UID, 1); /* not of this kind */
        assert_int_equal(vtd_admin_encode(&record, bytes, &size), -EINVAL);
        vtd_admin_begin(&record, 0);
        assert_int_equal(vtd_admin_encode(&record, bytes, &size), -EINVAL);
}

static void test_free_text_is_made_printable(void **state)
{
        char longest[2 * VTD_ADMIN_TEXT_MAX];
        struct vtd_admin_record record;
        char bytes[VTD_ADMIN_BUFFER];
        size_t size;

        (void)state;
        vtd_admin_begin(&record, VTD_ADMIN_NOTE);
        vtd_admin_put_text(&record, VTD_ADMIN_K_TEXT, " a\nb\x80 ");
        assert_string_equal(vtd_admin_text(&record, VTD_ADMIN_K_TEXT), "?a?b?");
        assert_int_equal(vtd_admin_encode(&record, bytes, &size), 0);
        memset(longest, 'x', sizeof(longest));
        longest[sizeof(longest) - 1] = '\0';
        vtd_admin_begin(&record, VTD_ADMIN_NOTE);
        vtd_admin_put_text(&record, VTD_ADMIN_K_TEXT, longest);
        assert_int_equal(strlen(vtd_admin_text(&record, VTD_ADMIN_K_TEXT)), VTD_ADMIN_TEXT_MAX);
        assert_int_equal(vtd_admin_encode(&record, bytes, &size), 0);
        vtd_admin_begin(&record, VTD_ADMIN_NOTE);
        vtd_admin_put_text(&record, VTD_ADMIN_K_TEXT, "   ");
        vtd_admin_put_text(&record, VTD_ADMIN_K_TEXT, NULL);
        assert_int_equal(record.n_fields, 0);
}

/* The page has a row "| `kind` | role | `key`, `key`?, `key`* |" for each kind. */
static void expect_kind(const char *page, const struct vtd_admin_kind_row *kind)
{
        static const char *const roles[] = {[VTD_ADMIN_REQUEST] = "request",
                                            [VTD_ADMIN_PART] = "part",
                                            [VTD_ADMIN_END] = "end"};
        char row[1024];
        int used;

        used = snprintf(row, sizeof(row), "\n| `%s` | %s | ", kind->name, roles[kind->role]);
        for (const struct vtd_admin_use *use = kind->uses; use->key != 0; use++)
                used += snprintf(row + used, sizeof(row) - (size_t)used, "%s`%s`%s",
                                 use == kind->uses ? "" : ", ", vtd_admin_key_row(use->key)->name,
                                 use->presence == VTD_ADMIN_REQUIRED   ? ""
                                 : use->presence == VTD_ADMIN_OPTIONAL ? "?"
                                                                       : "*");
        used += snprintf(row + used, sizeof(row) - (size_t)used, "%s |",
                         kind->uses->key == 0 ? "-" : "");
        assert_true((size_t)used < sizeof(row));
        if (!strstr(page, row))
                fail_msg("CONTROL.md lacks the row %s", row + 1);
}

static void expect_key(const char *page, const struct vtd_admin_key_row *key)
{
        static const char *const types[] = {
                [VTD_ADMIN_NUMBER] = "number",
                [VTD_ADMIN_HEX] = "hex",
                [VTD_ADMIN_FLAG] = "flag",
                [VTD_ADMIN_TENANT_NAME] = "tenant name",
                [VTD_ADMIN_VM_NAME] = "VM name",
                [VTD_ADMIN_VM_TARGET] = "VM name or number",
                [VTD_ADMIN_DEVICE_NAME] = "device name",
                [VTD_ADMIN_WORD] = "word",
                [VTD_ADMIN_TEXT] = "text",
        };
        char row[128];

        (void)snprintf(row, sizeof(row), "\n| `%s` | %s | ", key->name, types[key->type]);
        if (!strstr(page, row))
                fail_msg("CONTROL.md lacks the row %s", row + 1);
}

static size_t count_rows(const char *page, const char *heading)
{
        const char *line = strstr(page, heading);
        size_t count = 0;

        assert_non_null(line);
        for (line = strchr(line + 1, '\n'); line && strncmp(line, "\n##", 3) != 0;
             line = strchr(line + 1, '\n'))
                count += strncmp(line, "\n| `", 4) == 0;
        return count;
}

static void test_the_page_has_all_kinds_and_keys(void **state)
{
        char *page = calloc(1, PAGE_MAX);
        FILE *file = fopen(VTD_CONTROL_PAGE, "re");

        (void)state;
        assert_non_null(page);
        assert_non_null(file);
        assert_in_range(fread(page, 1, PAGE_MAX - 1, file), 1, PAGE_MAX - 2);
        (void)fclose(file);
        for (unsigned kind = 1; kind < VTD_ADMIN_KIND_END; kind++)
                expect_kind(page, vtd_admin_kind_row(kind));
        for (unsigned key = 1; key < VTD_ADMIN_KEY_END; key++)
                expect_key(page, vtd_admin_key_row(key));
        assert_int_equal(count_rows(page, "\n## Kinds of records"), VTD_ADMIN_KIND_END - 1);
        assert_int_equal(count_rows(page, "\n## Keys"), VTD_ADMIN_KEY_END - 1);
        free(page);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_kind_survives_the_way),
                cmocka_unit_test(test_values_are_found_by_key),
                cmocka_unit_test(test_every_limit_of_policies_has_its_key),
                cmocka_unit_test(test_anything_else_is_refused_with_a_reason),
                cmocka_unit_test(test_size_and_number_of_fields_are_bounded),
                cmocka_unit_test(test_encoding_takes_nothing_wrong),
                cmocka_unit_test(test_free_text_is_made_printable),
                cmocka_unit_test(test_the_page_has_all_kinds_and_keys),
        };

        return cmocka_run_group_tests_name("admin", tests, NULL, NULL);
}
