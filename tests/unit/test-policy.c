/* SPDX-License-Identifier: MIT */
/*
 * policy/: what the dialect takes and refuses, with exact places; what loading and verifying
 * refuse; that FORMAT.md, the examples and the table of keys agree; and, over random inputs, that
 * compiling never yields what verifying refuses.
 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/compile.h"
#include "policy/report.h"
#include "policy/value.h"
#include "policy/verify.h"
#include "protos/message.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

_Static_assert(VTD_POLICY_MODE_BLOCKED == 1u << (VTD_ATTACH_BLOCKED - 1), "");
_Static_assert(VTD_POLICY_MODE_PASSTHROUGH == 1u << (VTD_ATTACH_PASSTHROUGH - 1), "");
_Static_assert(VTD_POLICY_MODE_FIRST_STAGE == 1u << (VTD_ATTACH_FIRST_STAGE - 1), "");

#define FILE_NAME "p.policy"
/* Lines 1 to 8 of most texts. */
#define FORMAT "format = 1\n"
#define TENANT "[tenant]\nname = blue\nuid = 1000\n"
#define VM     "[vm]\nmemory = 1GiB\n"
#define DEVICE "[device net]\npci = 0000:00:04.0\n"
#define GOOD   FORMAT TENANT VM DEVICE
#define LONG31 "0123456789abcdefghijklmnopqrstu"

static const char full_text[] = FORMAT "# a comment, with [brackets] and = signs\n"
                                       "\n"
                                       "[tenant]\n"
                                       "name = Blue.1_x-\n"
                                       "uid = 4294967294\n"
                                       "vms = 64\n"
                                       "gid = 0\n"
                                       "label = system_u:system_r:svirt_t:s0:c1,c2\n"
                                       "total-memory = 24690GiB\n"
                                       "total-first-stage-tables = 512\n"
                                       "total-pasids = 2016\n"
                                       "[device net]\n"
                                       "pci = 0000:00:04.0\n"
                                       "regions = 0:rw, 2:r, 5:rw, config:r\n"
                                       "allow = shared-group, no-reset, no-snoop-control\n"
                                       "[vm]\n"
                                       "memory = 12345GiB\n"
                                       "mappings = 256\n"
                                       "devices = 16\n"
                                       "first-stage-tables = 256\n"
                                       "pasids = 1008\n"
                                       "address-width = 57\n"
                                       "modes = first-stage, passthrough\n"
                                       "first-stage-flags = wpe, sre, eafe\n"
                                       "erratum-772415 = skip\n"
                                       "invalidate-rate = 10000000\n"
                                       "invalidate-burst = 65536\n"
                                       "interrupts = 2048\n"
                                       "[device a:b]\n"
                                       "pci = ffff:ff:1f.7\n";

/* What a compilation logged. */
struct capture {
        unsigned errors;
        unsigned others;
        char first[VTD_LOG_LINE_SIZE];
        char last[VTD_LOG_LINE_SIZE];
        char all[32][VTD_LOG_LINE_SIZE];
};

static void capture_line(void *opaque, enum vtd_log_level level, const char *line)
{
        struct capture *capture = opaque;
        unsigned index = capture->errors + capture->others;

        assert_true(index < VTD_ARRAY_SIZE(capture->all));
        (void)snprintf(capture->all[index], VTD_LOG_LINE_SIZE, "%s", line);
        (void)snprintf(capture->last, sizeof(capture->last), "%s", line);
        if (index == 0)
                (void)snprintf(capture->first, sizeof(capture->first), "%s", line);
        if (level == VTD_LOG_ERROR)
                capture->errors++;
        else
                capture->others++;
}

/* Compiles a copy whose size is exact, so that a sanitizer sees a read past its end. */
static int compile_bytes(struct vtd_policy *policy, struct capture *capture, const char *text,
                         size_t size)
{
        struct vtd_log log = {.sink = capture_line, .opaque = capture, .threshold = VTD_LOG_DEBUG};
        char *copy = malloc(size ? size : 1);
        int result;

        assert_non_null(copy);
        memset(capture, 0, sizeof(*capture));
        memcpy(copy, text, size);
        result = vtd_policy_compile(policy, FILE_NAME, copy, size, &log);
        free(copy);
        return result;
}

static void compile_good(struct vtd_policy *policy, const char *text)
{
        struct capture capture;
        int result = compile_bytes(policy, &capture, text, strlen(text));

        if (result != 0)
                fprintf(stderr, "# %s\n", capture.first);
        assert_int_equal(result, 0);
        assert_int_equal(capture.errors + capture.others, 0);
        assert_int_equal(vtd_policy_verify(policy, NULL), 0);
}

/* Exactly one error, which begins with "p.policy:" and @expected; nothing is written. */
static void expect_refusal(const char *text, size_t size, const char *expected)
{
        struct vtd_policy policy, before;
        struct capture capture;
        char prefix[VTD_LOG_LINE_SIZE];
        int result;

        memset(&policy, 0x5a, sizeof(policy));
        before = policy;
        result = compile_bytes(&policy, &capture, text, size);
        (void)snprintf(prefix, sizeof(prefix), FILE_NAME ":%s", expected);
        if (result != -EINVAL || capture.errors != 1 ||
            strncmp(capture.first, prefix, strlen(prefix)) != 0)
                fprintf(stderr, "# expected one error \"%s\", got %d with %u:\n#   %s\n#   %s\n",
                        prefix, result, capture.errors, capture.first, capture.last);
        assert_int_equal(result, -EINVAL);
        assert_int_equal(capture.errors, 1);
        assert_int_equal(capture.others, 0);
        assert_memory_equal(capture.first, prefix, strlen(prefix));
        assert_memory_equal(&policy, &before, sizeof(policy));
}

struct refusal {
        const char *text;
        const char *expected;
};

static void expect_refusals(const struct refusal *refusals, size_t count)
{
        for (size_t i = 0; i < count; i++)
                expect_refusal(refusals[i].text, strlen(refusals[i].text), refusals[i].expected);
}

static void test_minimal_policy_has_the_documented_defaults(void **state)
{
        static const uint64_t defaults[VTD_POLICY_LIMIT_COUNT] = {
                [VTD_POLICY_MEMORY] = 1ull << 30,
                [VTD_POLICY_MAPPINGS] = 16,
                [VTD_POLICY_DEVICES] = 1,
                [VTD_POLICY_ADDRESS_WIDTH] = 48,
                [VTD_POLICY_INVALIDATE_RATE] = 200000,
                [VTD_POLICY_INVALIDATE_BURST] = 1024,
        };
        struct vtd_policy policy;

        (void)state;
        compile_good(&policy, FORMAT TENANT VM);
        assert_string_equal(policy.tenant, "blue");
        assert_string_equal(policy.file, FILE_NAME);
        assert_int_equal(policy.version, VTD_POLICY_VERSION);
        assert_int_equal(policy.tenant_line, 2);
        assert_int_equal(policy.uid, 1000);
        assert_int_equal(policy.uid_line, 4);
        assert_int_equal(policy.gid, VTD_POLICY_ANY_GROUP);
        assert_int_equal(policy.gid_line, 0);
        assert_string_equal(policy.label, "");
        assert_int_equal(policy.label_line, 0);
        assert_int_equal(policy.vms, 1);
        assert_int_equal(policy.vms_line, 0);
        assert_int_equal(policy.totals[VTD_POLICY_TOTAL_MEMORY].value, UINT64_C(1) << 58);
        assert_int_equal(policy.totals[VTD_POLICY_TOTAL_FIRST_STAGE_TABLES].value, 64 * 256);
        assert_int_equal(policy.totals[VTD_POLICY_TOTAL_PASIDS].value, 64 * 1008);
        assert_int_equal(policy.modes, VTD_POLICY_MODE_BLOCKED);
        assert_int_equal(policy.modes_line, 0);
        assert_int_equal(policy.first_stage_flags, 0);
        assert_int_equal(policy.read_only, VTD_POLICY_READ_ONLY_REFUSE);
        assert_int_equal(policy.read_only_line, 0);
        assert_int_equal(policy.n_devices, 0);
        for (size_t i = 0; i < VTD_POLICY_LIMIT_COUNT; i++) {
                assert_int_equal(policy.limits[i].value, defaults[i]);
                assert_int_equal(policy.limits[i].line, i == VTD_POLICY_MEMORY ? 6 : 0);
        }
        assert_null(vtd_policy_find_device(&policy, "net"));
}

static void test_every_key_reaches_its_field_with_its_line(void **state)
{
        static const uint64_t values[VTD_POLICY_LIMIT_COUNT] = {
                12345ull << 30, 256, 16, 256, 1008, 2048, 57, 10000000, 65536,
        };
        static const uint32_t lines[VTD_POLICY_LIMIT_COUNT] = {18, 19, 20, 21, 22, 29, 23, 27, 28};
        static const uint64_t totals[VTD_POLICY_TOTAL_COUNT] = {24690ull << 30, 512, 2016};
        const struct vtd_policy_device *device;
        struct vtd_policy policy;

        (void)state;
        compile_good(&policy, full_text);
        assert_string_equal(policy.tenant, "Blue.1_x-");
        assert_int_equal(policy.tenant_line, 4);
        assert_int_equal(policy.uid, 4294967294u);
        assert_int_equal(policy.vms, 64);
        assert_int_equal(policy.vms_line, 7);
        assert_int_equal(policy.gid, 0);
        assert_int_equal(policy.gid_line, 8);
        assert_string_equal(policy.label, "system_u:system_r:svirt_t:s0:c1,c2");
        assert_int_equal(policy.label_line, 9);
        for (uint32_t i = 0; i < VTD_POLICY_TOTAL_COUNT; i++) {
                assert_int_equal(policy.totals[i].value, totals[i]);
                assert_int_equal(policy.totals[i].line, 10 + i);
        }
        assert_int_equal(policy.modes, 7);
        assert_int_equal(policy.modes_line, 24);
        assert_int_equal(policy.first_stage_flags,
                         VTD_FIRST_STAGE_SRE | VTD_FIRST_STAGE_EAFE | VTD_FIRST_STAGE_WPE);
        assert_int_equal(policy.first_stage_flags_line, 25);
        assert_int_equal(policy.read_only, VTD_POLICY_READ_ONLY_SKIP);
        assert_int_equal(policy.read_only_line, 26);
        for (size_t i = 0; i < VTD_POLICY_LIMIT_COUNT; i++) {
                assert_int_equal(policy.limits[i].value, values[i]);
                assert_int_equal(policy.limits[i].line, lines[i]);
        }
        assert_int_equal(policy.n_devices, 2);
        device = vtd_policy_find_device(&policy, "net");
        assert_ptr_equal(device, &policy.devices[0]);
        assert_int_equal(device->line, 13);
        assert_int_equal(device->source, VTD_POLICY_SOURCE_PCI);
        assert_string_equal(device->address, "0000:00:04.0");
        assert_int_equal(device->regions_read, 0x65);
        assert_int_equal(device->regions_write, 0x21);
        assert_int_equal(device->exceptions, 7);
        device = vtd_policy_find_device(&policy, "a:b");
        assert_ptr_equal(device, &policy.devices[1]);
        assert_string_equal(device->address, "ffff:ff:1f.7");
        assert_int_equal(device->exceptions | device->regions_read | device->regions_write, 0);
        assert_null(vtd_policy_find_device(&policy, "ne"));
        assert_null(vtd_policy_find_device(&policy, ""));
}

static void test_each_word_is_its_own_bit(void **state)
{
        static const struct {
                const char *text;
                uint32_t modes, flags, exceptions;
        } words[] = {
                {"modes = passthrough\n" DEVICE, 3, 0, 0},
                {"modes = first-stage\n" DEVICE, 5, 0, 0},
                {"first-stage-flags = sre\n" DEVICE, 1, VTD_FIRST_STAGE_SRE, 0},
                {"first-stage-flags = eafe\n" DEVICE, 1, VTD_FIRST_STAGE_EAFE, 0},
                {"first-stage-flags = wpe\n" DEVICE, 1, VTD_FIRST_STAGE_WPE, 0},
                {DEVICE "allow = shared-group\n", 1, 0, 1},
                {DEVICE "allow = no-reset\n", 1, 0, 2},
                {DEVICE "allow = no-snoop-control\n", 1, 0, 4},
        };
        struct vtd_policy policy;
        char text[512];

        (void)state;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(words); i++) {
                (void)snprintf(text, sizeof(text), FORMAT TENANT VM "%s", words[i].text);
                compile_good(&policy, text);
                assert_int_equal(policy.modes, words[i].modes);
                assert_int_equal(policy.first_stage_flags, words[i].flags);
                assert_int_equal(policy.devices[0].exceptions, words[i].exceptions);
        }
}

static void test_sizes_have_binary_suffixes_or_none(void **state)
{
        static const struct {
                const char *text;
                uint64_t value;
        } sizes[] = {
                {"4096", 4096},
                {"4KiB", 4096},
                {"1MiB", 1ull << 20},
                {"3GiB", 3ull << 30},
                {"4096TiB", 4096ull << 40},
                {"4503599627370496", 4096ull << 40},
        };
        struct vtd_policy policy;
        char text[256];

        (void)state;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(sizes); i++) {
                (void)snprintf(text, sizeof(text), FORMAT TENANT "[vm]\nmemory = %s\n",
                               sizes[i].text);
                compile_good(&policy, text);
                assert_int_equal(policy.limits[VTD_POLICY_MEMORY].value, sizes[i].value);
        }
}

static void test_several_simulated_devices_of_one_model_are_granted(void **state)
{
        struct vtd_policy policy;

        (void)state;
        compile_good(&policy, FORMAT TENANT VM "[device a]\nsimulated = edu\n"
                                               "[device b]\nsimulated = edu\n");
        assert_int_equal(policy.n_devices, 2);
        assert_int_equal(policy.devices[1].source, VTD_POLICY_SOURCE_SIMULATED);
        assert_string_equal(policy.devices[1].address, "edu");
}

static void test_the_first_line_must_be_the_format(void **state)
{
        static const struct refusal refusals[] = {
                {"format = 2\n" TENANT VM, "1:1: the first line is \"format = 2\"; it must be"},
                {"format = 1 \n" TENANT VM, "1:1: the first line is \"format = 1 \""},
                {"format=1\n" TENANT VM, "1:1: the first line is \"format=1\""},
                {"\n" TENANT VM, "1:1: the first line is \"\""},
                {"# comment\n" TENANT VM, "1:1: the first line is \"# comment\""},
                {TENANT VM, "1:1: the first line is \"[tenant]\""},
                {"\xef\xbb\xbf" FORMAT TENANT VM, "1:1: the first line is \"\\xef\\xbb\\xbfformat"},
                {FORMAT TENANT VM FORMAT, "7:1: [vm] has no key \"format\"; allowed: memory, "},
                {FORMAT FORMAT TENANT VM, "2:1: a key before the first section"},
        };

        (void)state;
        expect_refusals(refusals, VTD_ARRAY_SIZE(refusals));
}

static void test_an_empty_file_lacks_format_and_sections(void **state)
{
        struct vtd_policy policy;
        struct capture capture;

        (void)state;
        assert_int_equal(compile_bytes(&policy, &capture, "", 0), -EINVAL);
        assert_int_equal(capture.errors, 3);
        assert_string_equal(capture.all[0], FILE_NAME ":1:1: the first line is \"\"; it must be "
                                                      "\"format = 1\"");
        assert_string_equal(capture.all[1],
                            FILE_NAME ":2:1: the file ends without [tenant], which is required");
        assert_string_equal(capture.all[2],
                            FILE_NAME ":2:1: the file ends without [vm], which is required");
}

static void test_only_printable_ascii_lines_are_read(void **state)
{
        static const char nul[] = FORMAT TENANT "# a\0b\n" VM;
        static const struct refusal refusals[] = {
                {FORMAT "[tenant]\nname =\tblue\nuid = 1000\n" VM, "3:7: byte 0x09: tabs are not"},
                {FORMAT "[tenant]\nname = blue\r\nuid = 1000\n" VM,
                 "3:12: byte 0x0d: carriage returns (lines end with a line feed alone) are not"},
                {FORMAT TENANT "# caf\xc3\xa9\n" VM, "5:6: byte 0xc3: bytes that are not ASCII"},
                {FORMAT TENANT VM "devices = 1\x7f\n", "7:12: byte 0x7f: control characters"},
                {FORMAT TENANT VM "devices = 1\x1b\n", "7:12: byte 0x1b: control characters"},
                {FORMAT TENANT VM "devices = 1 \n", "7:12: blanks at the end of a line"},
                {FORMAT TENANT VM "devices = 1   \n", "7:12: blanks at the end of a line"},
                {FORMAT TENANT VM "[device net] \npci = 0000:00:04.0\n", "7:13: blanks at the end"},
                {FORMAT TENANT VM "# comment \n", "7:10: blanks at the end of a line"},
                {FORMAT TENANT VM " \n", "7:1: blanks at the end of a line"},
                {FORMAT TENANT VM " devices = 1\n", "7:1: blanks at the beginning of a line"},
                {FORMAT TENANT VM "devices = 1", "7:12: the last line does not end with a line"},
                {FORMAT TENANT VM "# cut", "7:6: the last line does not end with a line feed"},
        };

        (void)state;
        expect_refusals(refusals, VTD_ARRAY_SIZE(refusals));
        expect_refusal(nul, sizeof(nul) - 1, "5:4: byte 0x00: NUL bytes are not allowed anywhere");
}

static void test_a_line_does_not_continue_another(void **state)
{
        static const char text[] = FORMAT TENANT VM "modes = passthrough,\n first-stage\n";
        struct vtd_policy policy;
        struct capture capture;

        (void)state;
        assert_int_equal(compile_bytes(&policy, &capture, text, sizeof(text) - 1), -EINVAL);
        assert_int_equal(capture.errors, 2);
        assert_string_equal(capture.all[0],
                            FILE_NAME ":7:21: one blank and another item must follow \",\"");
        assert_string_equal(capture.all[1],
                            FILE_NAME ":8:1: blanks at the beginning of a line are not allowed; no "
                                      "line continues another");
}

static void test_lines_and_files_are_bounded(void **state)
{
        const size_t lines = VTD_SCHEMA_LINE_MAX;
        struct vtd_policy policy;
        static char text[2 * VTD_SCHEMA_FILE_MAX];
        size_t used;

        (void)state;
        /* 256 bytes are a line, 257 are not. */
        (void)snprintf(text, sizeof(text), GOOD "#%0255d\n", 0);
        compile_good(&policy, text);
        (void)snprintf(text, sizeof(text), GOOD "#%0256d\n", 0);
        expect_refusal(text, strlen(text), "9:257: the line has 257 bytes; allowed: 256");

        /* 4096 lines are a file, 4097 are not. */
        (void)snprintf(text, sizeof(text), "%s", GOOD);
        used = strlen(text);
        memset(text + used, '\n', lines - 8);
        text[used + lines - 8] = '\0';
        compile_good(&policy, text);
        text[used + lines - 8] = '\n';
        expect_refusal(text, used + lines - 7, "4097:1: the file has more than 4096 lines");

        /* 65536 bytes are a file, one more is not. */
        while (used < VTD_SCHEMA_FILE_MAX) {
                size_t left = VTD_SCHEMA_FILE_MAX - used;
                size_t length = left < 200 ? left : 100;

                memset(text + used, '#', length - 1);
                text[used + length - 1] = '\n';
                used += length;
        }
        text[used] = '\0';
        compile_good(&policy, text);
        expect_refusal(text, used + 1, "1:1: the file has 65537 bytes; allowed: 65536");
}

static void test_malformed_headers_and_pairs_are_refused_in_place(void **state)
{
        static const struct refusal refusals[] = {
                {FORMAT TENANT VM "[device net\npci = 0000:00:04.0\n", "7:12: \"]\" is missing"},
                {FORMAT TENANT VM "[device net] # c\n", "7:13: nothing may follow \"]\""},
                {FORMAT TENANT VM "[]\n", "7:2: a section header is"},
                {FORMAT TENANT VM "[ device net]\n", "7:2: a section header is"},
                {FORMAT TENANT VM "[Device net]\n", "7:2: a section header is"},
                {FORMAT TENANT VM "[device\"net]\n", "7:8: a section header is"},
                {FORMAT TENANT VM "[device  net]\n", "7:9: exactly one blank and a name"},
                {FORMAT TENANT VM "[device ]\n", "7:9: exactly one blank and a name"},
                {FORMAT TENANT VM "= 1\n", "7:1: expected \"[section]\", \"key = value\""},
                {FORMAT TENANT VM "Devices = 1\n", "7:1: expected \"[section]\""},
                {FORMAT TENANT VM "-devices = 1\n", "7:1: expected \"[section]\""},
                {FORMAT TENANT VM "; comment\n", "7:1: expected \"[section]\""},
                {FORMAT TENANT VM "devices\n", "7:8: expected \" = \""},
                {FORMAT TENANT VM "devices=1\n", "7:8: expected \" = \""},
                {FORMAT TENANT VM "devices =1\n", "7:8: expected \" = \""},
                {FORMAT TENANT VM "devices  = 1\n", "7:8: expected \" = \""},
                {FORMAT TENANT VM "devices: 1\n", "7:8: expected \" = \""},
                {FORMAT TENANT VM "devices[de] = 1\n", "7:8: expected \" = \""},
                {FORMAT TENANT VM "devices =\n", "7:10: a value is missing behind \"=\""},
                {FORMAT TENANT VM "devices =  1\n", "7:11: exactly one blank stands between"},
                {FORMAT TENANT VM "devices = 1 # one\n", "7:13: \"#\" in a value"},
        };

        (void)state;
        expect_refusals(refusals, VTD_ARRAY_SIZE(refusals));
}

static const struct refusal bad_keys[] = {
        {GOOD "[devices x]\nfoo = 1\n", "9:2: section \"devices\" is not known; allowed: "
                                        "[tenant], [vm], [device NAME]"},
        {GOOD "[tenant]\nname = red\n", "9:1: [tenant] is on line 2 already; one is"},
        {GOOD "[vm]\nmemory = 2GiB\n", "9:1: [vm] is on line 5 already; one is allowed"},
        {GOOD "[device net]\npci = 0000:00:05.0\n",
         "9:9: [device net] is on line 7 already; one section for each"},
        {GOOD "[device]\npci = 0000:00:05.0\n", "9:8: [device] lacks a name; allowed: "
                                                "[device NAME]"},
        {FORMAT TENANT "[vm x]\nmemory = 1GiB\n", "5:4: [vm] has a name; allowed: [vm] "},
        {FORMAT "[tenant a]\nname = b\n" VM, "2:8: [tenant] has a name; allowed: [tenant]"},
        {FORMAT "uid = 1\n" TENANT VM, "2:1: a key before the first section"},
        {GOOD "memory = 1GiB\n", "9:1: [device] has no key \"memory\"; allowed: pci, "
                                 "vendor-device, cdev, simulated, regions, allow"},
        {FORMAT TENANT "user = 1\n" VM,
         "5:1: [tenant] has no key \"user\"; allowed: name, uid, gid, label, vms, total-memory, "
         "total-first-stage-tables, total-pasids"},
        {FORMAT TENANT "[vm]\nmemry = 1GiB\n",
         "6:1: [vm] has no key \"memry\"; allowed: memory, mappings, devices, "
         "first-stage-tables, pasids, interrupts, address-width, modes, first-stage-flags, "
         "erratum-772415, invalidate-rate, invalidate-burst"},
        {FORMAT TENANT "uid = 1000\n" VM, "5:1: \"uid\" is on line 4 already; it is "},
        {FORMAT TENANT VM "memory = 1GiB\n", "7:1: \"memory\" is on line 6 already"},
        {GOOD "pci = 0000:00:04.0\n", "9:1: \"pci\" is on line 8 already; it is allowed"},
        {GOOD "regions = 0:r\nregions = 0:r\n", "10:1: \"regions\" is on line 9 already"},
};

static void test_sections_and_keys_are_known_and_come_once(void **state)
{
        (void)state;
        expect_refusals(bad_keys, VTD_ARRAY_SIZE(bad_keys));
}

static void test_what_is_required_is_missed(void **state)
{
        static const struct refusal refusals[] = {
                {FORMAT TENANT, "5:1: the file ends without [vm], which is required"},
                {FORMAT VM DEVICE, "6:1: the file ends without [tenant], which is required"},
                {FORMAT "[tenant]\nuid = 1\n" VM, "2:1: [tenant] lacks the key \"name\", which is"},
                {FORMAT "[tenant]\nname = b\n" VM, "2:1: [tenant] lacks the key \"uid\", which is"},
                {FORMAT TENANT "[vm]\n", "5:1: [vm] lacks the key \"memory\", which is required"},
                {FORMAT TENANT VM "[device x]\nregions = 0:r\n",
                 "7:1: [device x] has none of \"pci\", \"vendor-device\", \"cdev\" and "
                 "\"simulated\"; exactly one is required"},
                {GOOD "simulated = edu\n",
                 "9:1: [device net] has \"pci\" and \"simulated\"; exactly one is allowed"},
        };

        (void)state;
        expect_refusals(refusals, VTD_ARRAY_SIZE(refusals));
}

static void test_names_have_safe_characters_and_lengths(void **state)
{
#define NAMED(name)   FORMAT "[tenant]\nname = " name "\nuid = 1\n" VM
#define DEVICED(name) FORMAT TENANT VM "[device " name "]\nsimulated = edu\n"

        static const struct refusal refusals[] = {
                {NAMED(LONG31 "v"), "3:39: name is \"" LONG31 "v\"; allowed: 1 to 31 letters"},
                {NAMED(".blue"), "3:8: name is \".blue\"; allowed: 1 to 31 letters, digits"},
                {NAMED(".."), "3:8: name is \"..\"; allowed"},
                {NAMED("-blue"), "3:8: name is \"-blue\"; allowed"},
                {NAMED("a/b"), "3:9: name is \"a/b\"; allowed"},
                {NAMED("a b"), "3:9: name is \"a b\"; allowed"},
                {NAMED("a:b"), "3:9: name is \"a:b\"; allowed"},
                {NAMED("\"b\""), "3:8: name is \"\\x22b\\x22\"; allowed"},
                {DEVICED(LONG31 "v"), "7:40: the device is named \"" LONG31 "v\"; allowed: 1 to"},
                {DEVICED("a/b"), "7:10: the device is named \"a/b\"; allowed"},
                {DEVICED("a b"), "7:10: the device is named \"a b\"; allowed"},
        };
        struct vtd_policy policy;

        (void)state;
        expect_refusals(refusals, VTD_ARRAY_SIZE(refusals));
        compile_good(&policy, NAMED(LONG31));
        assert_string_equal(policy.tenant, LONG31);
        compile_good(&policy, DEVICED(LONG31));
        assert_string_equal(policy.devices[0].name, LONG31);
        compile_good(&policy, DEVICED(".-_:"));
}

#define UID(text)  FORMAT "[tenant]\nname = b\nuid = " text "\n" VM
#define SIZE(text) FORMAT TENANT "[vm]\nmemory = " text "\n"
#define KEY(text)  FORMAT TENANT VM text "\n"
static const struct refusal bad_numbers[] = {
        {UID("-1"), "4:7: uid is \"-1\": a number begins with a digit, without a sign; "
                    "allowed: 0 to 4294967294"},
        {UID("+1"), "4:7: uid is \"+1\": a number begins with a digit"},
        {UID("0x10"), "4:8: uid is \"0x10\": only digits make a number"},
        {UID("010"), "4:7: uid is \"010\": a number has no leading zero"},
        {UID("00"), "4:7: uid is \"00\": a number has no leading zero"},
        {UID("1 2"), "4:8: uid is \"1 2\": only digits make a number"},
        {UID("1KiB"), "4:8: uid is \"1KiB\": only digits make a number"},
        {UID("root"), "4:7: uid is \"root\": a number begins with a digit"},
        {UID("4294967295"), "4:7: uid is \"4294967295\": out of range; allowed: 0 to"},
        {UID("18446744073709551616"), "4:7: uid is \"18446744073709551616\": out of range"},
        {UID("99999999999999999999999999"), "4:7: uid is \"99999999999999999999999999\": "},
        {FORMAT TENANT "vms = 0\n" VM, "5:7: vms is \"0\": out of range; allowed: 1 to 64"},
        {FORMAT TENANT "vms = 65\n" VM, "5:7: vms is \"65\": out of range; allowed: 1 to"},
        {SIZE("0"), "6:10: memory is \"0\": out of range; allowed: 4KiB to 4096TiB, whole "
                    "pages of 4KiB"},
        {SIZE("4097"), "6:10: memory is \"4097\": not a multiple of the page size"},
        {SIZE("5KiB"), "6:10: memory is \"5KiB\": not a multiple of the page size"},
        {SIZE("4097TiB"), "6:10: memory is \"4097TiB\": out of range"},
        {SIZE("16777216TiB"), "6:10: memory is \"16777216TiB\": out of range"},
        {SIZE("18446744073709551615TiB"), "6:10: memory is \"18446744073709551615TiB\": "},
        {SIZE("1 GiB"), "6:11: memory is \"1 GiB\": only KiB, MiB, GiB or TiB may follow"},
        {SIZE("1G"), "6:11: memory is \"1G\": only KiB, MiB, GiB or TiB may follow"},
        {SIZE("1GB"), "6:11: memory is \"1GB\": only KiB"},
        {SIZE("1gib"), "6:11: memory is \"1gib\": only KiB"},
        {SIZE("1.5GiB"), "6:11: memory is \"1.5GiB\": only KiB"},
        {SIZE("GiB"), "6:10: memory is \"GiB\": a number begins with a digit"},
        {KEY("mappings = 0"), "7:12: mappings is \"0\": out of range; allowed: 1 to 256"},
        {KEY("mappings = 257"), "7:12: mappings is \"257\": out of range"},
        {KEY("devices = 0"), "7:11: devices is \"0\": out of range; allowed: 1 to 16"},
        {KEY("devices = 17"), "7:11: devices is \"17\": out of range"},
        {KEY("first-stage-tables = 257"), "7:22: first-stage-tables is \"257\": out of "
                                          "range; allowed: 0 to 256"},
        {KEY("pasids = 1009"), "7:10: pasids is \"1009\": out of range; allowed: 0 to "
                               "1008"},
        {KEY("invalidate-rate = 9"), "7:19: invalidate-rate is \"9\": out of range; "
                                     "allowed: 10 to 10000000"},
        {KEY("invalidate-rate = 10000001"), "7:19: invalidate-rate is \"10000001\": out"},
        {KEY("invalidate-burst = 127"), "7:20: invalidate-burst is \"127\": out of range; "
                                        "allowed: 128 to 65536"},
        {KEY("invalidate-burst = 65537"), "7:20: invalidate-burst is \"65537\": out of"},
        {KEY("address-width = 39"), "7:17: address-width is \"39\": not one of the "
                                    "choices; allowed: 48 or 57"},
        {KEY("address-width = 048"), "7:17: address-width is \"048\": not one of the"},
};

static void test_numbers_are_canonical_and_in_range(void **state)
{
        (void)state;
        expect_refusals(bad_numbers, VTD_ARRAY_SIZE(bad_numbers));
}

static void test_lists_hold_known_items_once_each(void **state)
{
        static const struct refusal refusals[] = {
                {KEY("modes = nested"), "7:9: modes has \"nested\": not a word known here; "
                                        "allowed: passthrough, first-stage"},
                {KEY("modes = blocked"), "7:9: modes has \"blocked\": not a word known here"},
                {KEY("modes = none"), "7:9: modes has \"none\": not a word known here"},
                {KEY("modes = passthrough, passthrough"), "7:22: modes has \"passthrough\": named "
                                                          "twice"},
                {KEY("modes = passthrough,first-stage"), "7:21: one blank and another item must"},
                {KEY("modes = passthrough,  first-stage"), "7:21: one blank and another item"},
                {KEY("modes = passthrough first-stage"), "7:9: modes has \"passthrough "
                                                         "first-stage\": not a word"},
                {KEY("modes = passthrough,"), "7:21: one blank and another item must follow"},
                {KEY("modes = , passthrough"), "7:9: an item is missing before \",\""},
                {KEY("modes = passthrough , first-stage"), "7:9: modes has \"passthrough \": not"},
                {KEY("first-stage-flags = sre, ats"), "7:26: first-stage-flags has \"ats\": not a "
                                                      "word known here; allowed: sre, eafe, wpe"},
                {KEY("erratum-772415 = ignore"),
                 "7:18: erratum-772415 is \"ignore\": not one of the "
                 "choices; allowed: refuse or skip"},
                {GOOD "allow = all\n", "9:9: allow has \"all\": not a word known here; allowed: "
                                       "shared-group, no-reset, no-snoop-control"},
                {GOOD "regions = 6:r\n",
                 "9:11: regions has \"6:r\"; allowed: REGION:r or REGION:rw, "
                 "REGION 0 to 5 or config"},
                {GOOD "regions = config\n", "9:11: regions has \"config\"; allowed"},
                {GOOD "regions = config:w\n", "9:11: regions has \"config:w\"; allowed"},
                {GOOD "regions = confi:r\n", "9:11: regions has \"confi:r\"; allowed"},
                {GOOD "regions = configs:r\n", "9:11: regions has \"configs:r\"; allowed"},
                {GOOD "regions = :r\n", "9:11: regions has \":r\"; allowed"},
                {GOOD "regions = config:rw:r\n", "9:11: regions has \"config:rw:r\"; allowed"},
                {GOOD "regions = config:r, 0:r, config:rw\n",
                 "9:26: regions has region config twice"},
                {GOOD "regions = 0\n", "9:11: regions has \"0\"; allowed"},
                {GOOD "regions = 0:w\n", "9:11: regions has \"0:w\"; allowed"},
                {GOOD "regions = 0:rwx\n", "9:11: regions has \"0:rwx\"; allowed"},
                {GOOD "regions = 00:r\n", "9:11: regions has \"00:r\"; allowed"},
                {GOOD "regions = 0:rw, 2:r, 0:r\n", "9:22: regions has region 0 twice"},
                {GOOD "regions = 0:rw,2:r\n", "9:16: one blank and another item must follow"},
        };

        (void)state;
        expect_refusals(refusals, VTD_ARRAY_SIZE(refusals));
}

static void test_devices_are_canonical_distinct_and_of_one_kind(void **state)
{
#define PCI(text)  FORMAT TENANT VM "[device x]\npci = " text "\n"
#define KIND(text) FORMAT TENANT VM "[device x]\nvendor-device = " text "\n"
#define CDEV(text) FORMAT TENANT VM "[device x]\ncdev = " text "\n"
        static const struct refusal refusals[] = {
                {PCI("00:04.0"), "8:9: pci is \"00:04.0\"; allowed: domain:bus:device.function"},
                {PCI("0000:00:04"), "8:17: pci is \"0000:00:04\"; allowed"},
                {PCI("0000:00:04."), "8:18: pci is \"0000:00:04.\"; allowed"},
                {PCI("0000:00:04.8"), "8:18: pci is \"0000:00:04.8\"; allowed"},
                {PCI("0000:00:20.0"), "8:15: pci is \"0000:00:20.0\"; allowed"},
                {PCI("0000:0A:04.0"), "8:13: pci is \"0000:0A:04.0\"; allowed"},
                {PCI("0000:00:04.00"), "8:19: pci is \"0000:00:04.00\"; allowed"},
                {PCI("10000:00:04.0"), "8:11: pci is \"10000:00:04.0\"; allowed"},
                {PCI("0000-00-04.0"), "8:11: pci is \"0000-00-04.0\"; allowed"},
                {FORMAT TENANT VM "[device x]\nsimulated = nic\n",
                 "8:13: simulated is \"nic\"; allowed: edu or edu-pasid or edu-noncoherent"},
                {GOOD "[device b]\npci = 0000:00:04.0\n",
                 "10:7: 0000:00:04.0 is [device net] on line 7 already; one section for each"},
                {GOOD "[device b]\nsimulated = edu\n",
                 "10:1: \"simulated\" here, but \"pci\" in [device net] on line 7; all devices "
                 "of a file are of one kind, real or simulated"},
                {FORMAT TENANT VM "[device x]\nsimulated = edu\n[device y]\ncdev = vfio0\n",
                 "10:1: \"cdev\" here, but \"simulated\" in [device x] on line 7; all devices"},
                {GOOD "vendor-device = 8086:1521\n",
                 "9:1: [device net] has \"pci\" and \"vendor-device\"; exactly one is allowed"},
                {KIND("8086"), "8:21: vendor-device is \"8086\"; allowed: vendor:device as in"},
                {KIND("8086:15"), "8:24: vendor-device is \"8086:15\"; allowed"},
                {KIND("8086:152A"), "8:25: vendor-device is \"8086:152A\"; allowed"},
                {KIND("0x8086:1521"), "8:18: vendor-device is \"0x8086:1521\"; allowed"},
                {KIND("8086:15210"), "8:26: vendor-device is \"8086:15210\"; allowed"},
                {CDEV("vfio"), "8:12: cdev is \"vfio\"; allowed: \"vfio\" and a number"},
                {CDEV("vfi"), "8:11: cdev is \"vfi\"; allowed"},
                {CDEV("vfio03"), "8:12: cdev is \"vfio03\"; allowed"},
                {CDEV("vfio3/../null"), "8:13: cdev is \"vfio3/../null\"; allowed"},
                {CDEV("VFIO3"), "8:8: cdev is \"VFIO3\"; allowed"},
                {CDEV("vfio123456789"), "8:20: cdev is \"vfio123456789\"; allowed"},
                {CDEV("vfio3\n[device y]\ncdev = vfio3"),
                 "10:8: vfio3 is [device x] on line 7 already; one section for each"},
        };

        (void)state;
        expect_refusals(refusals, VTD_ARRAY_SIZE(refusals));
}

static size_t append_devices(char *text, size_t size, unsigned count)
{
        size_t used = (size_t)snprintf(text, size, "%s", FORMAT TENANT VM);

        for (unsigned i = 0; i < count; i++)
                used += (size_t)snprintf(text + used, size - used,
                                         "[device d%u]\npci = 0000:%02x:00.0\n", i, i);
        return used;
}

static void test_several_functions_of_a_kind_are_granted(void **state)
{
        struct vtd_policy policy;

        (void)state;
        compile_good(&policy, FORMAT TENANT VM "[device a]\nvendor-device = 8086:1521\n"
                                               "[device b]\nvendor-device = 8086:1521\n"
                                               "[device c]\ncdev = vfio10\n"
                                               "[device d]\npci = 0000:00:04.0\n");
        assert_int_equal(policy.n_devices, 4);
        assert_int_equal(policy.devices[1].source, VTD_POLICY_SOURCE_KIND);
        assert_string_equal(policy.devices[1].address, "8086:1521");
        assert_int_equal(policy.devices[2].source, VTD_POLICY_SOURCE_CDEV);
        assert_string_equal(policy.devices[2].address, "vfio10");
}

static void test_labels_are_what_security_modules_give(void **state)
{
#define LABEL(text) FORMAT TENANT "label = " text "\n" VM
        static const struct refusal refusals[] = {
                {LABEL("a\"b"), "5:10: label is \"a\\x22b\"; allowed: 1 to 127 letters"},
                {LABEL("a\\b"), "5:10: label is "},
                {LABEL(LONG31 LONG31 LONG31 LONG31 "abcd"), "5:136: label is "},
        };
        struct vtd_policy policy;

        (void)state;
        compile_good(&policy, LABEL("libvirt-0f1e2d (enforce)"));
        assert_string_equal(policy.label, "libvirt-0f1e2d (enforce)");
        compile_good(&policy, LABEL(LONG31 LONG31 LONG31 LONG31 "abc"));
        expect_refusals(refusals, VTD_ARRAY_SIZE(refusals));
}

static void test_totals_leave_room_for_one_vm(void **state)
{
#define TOTAL(text) FORMAT TENANT text "\n" VM "first-stage-tables = 8\npasids = 4\n"
        static const struct refusal refusals[] = {
                {TOTAL("total-memory = 512MiB"),
                 "5:1: the total for all VMs is 536870912, less than one VM may have, 1073741824 "
                 "by line 7"},
                {TOTAL("total-first-stage-tables = 7"), "5:1: the total for all VMs is 7, less "},
                {TOTAL("total-pasids = 3"), "5:1: the total for all VMs is 3, less than one VM"},
                {TOTAL("total-pasids = 64513"), "5:16: total-pasids is \"64513\": out of range"},
        };
        struct vtd_policy policy;

        (void)state;
        compile_good(&policy, TOTAL("total-memory = 1GiB\ntotal-first-stage-tables = 8"));
        expect_refusals(refusals, VTD_ARRAY_SIZE(refusals));
}

static void test_sixteen_devices_are_granted_and_no_more(void **state)
{
        struct vtd_policy policy;
        char text[2048];

        (void)state;
        (void)append_devices(text, sizeof(text), 16);
        compile_good(&policy, text);
        assert_int_equal(policy.n_devices, 16);
        assert_ptr_equal(vtd_policy_find_device(&policy, "d15"), &policy.devices[15]);
        expect_refusal(text, append_devices(text, sizeof(text), 17),
                       "39:1: device section number 17; allowed: at most 16");
}

static void test_errors_are_reported_on_and_on_but_only_twenty(void **state)
{
        char text[4096] = FORMAT "[tenant]\nname = .\nuid = x\n[vm]\nmemory = 1\n[foo]\na = 1\n";
        struct vtd_policy policy;
        struct capture capture;
        size_t used;

        (void)state;
        assert_int_equal(compile_bytes(&policy, &capture, text, strlen(text)), -EINVAL);
        assert_int_equal(capture.errors, 4);
        assert_memory_equal(capture.all[0], FILE_NAME ":3:8: ", 14);
        assert_memory_equal(capture.all[1], FILE_NAME ":4:7: ", 14);
        assert_memory_equal(capture.all[2], FILE_NAME ":6:10: ", 15);
        assert_memory_equal(capture.all[3], FILE_NAME ":7:2: ", 14);

        used = (size_t)snprintf(text, sizeof(text), "%s", GOOD);
        for (unsigned i = 0; i < 23; i++)
                used += (size_t)snprintf(text + used, sizeof(text) - used, "x%u = 1\n", i);
        assert_int_equal(compile_bytes(&policy, &capture, text, used), -EINVAL);
        assert_int_equal(capture.errors, VTD_POLICY_ERRORS_SHOWN);
        assert_int_equal(capture.others, 1);
        assert_string_equal(capture.last, FILE_NAME ": 3 more errors not shown");
        assert_memory_equal(capture.all[19], FILE_NAME ":28:1: ", 15);
}

static void test_the_file_name_must_be_safe_in_an_audit_line(void **state)
{
#define NAME63 LONG31 LONG31 "z"
        static const char *const bad[] = {"", ".p", "-p", "a/b", "a b", "a\"b", "a\nb", NAME63 "z"};
        struct vtd_policy policy;

        (void)state;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(bad); i++)
                assert_int_equal(vtd_policy_compile(&policy, bad[i], GOOD, strlen(GOOD), NULL),
                                 -EINVAL);
        assert_int_equal(vtd_policy_compile(&policy, NAME63, GOOD, strlen(GOOD), NULL), 0);
        assert_string_equal(policy.file, NAME63);
        assert_int_equal(vtd_policy_verify(&policy, NULL), 0);
}

/* A place in struct vtd_policy and a value that compiling never leaves there. */
struct damage {
        size_t offset;
        size_t size;
        uint64_t value;
};

#define POLICY(field, value)                                                                       \
        {                                                                                          \
                offsetof(struct vtd_policy, field), sizeof(((struct vtd_policy *)NULL)->field),    \
                        (value)                                                                    \
        }
#define LIMIT(index, bad) POLICY(limits[VTD_POLICY_##index].value, bad)

static const struct damage damages[] = {
        POLICY(version, 0),
        POLICY(version, VTD_POLICY_VERSION - 1),
        POLICY(version, VTD_POLICY_VERSION + 1),
        POLICY(tenant[0], 0),
        POLICY(tenant[0], '.'),
        POLICY(tenant[1], '/'),
        POLICY(tenant[31], 'x'),
        POLICY(file[0], 0),
        POLICY(file[1], '"'),
        POLICY(file[63], 'x'),
        POLICY(tenant_line, 0),
        POLICY(tenant_line, 4097),
        POLICY(uid, UINT32_MAX),
        POLICY(uid_line, 0),
        POLICY(uid_line, 1),
        POLICY(vms, 0),
        POLICY(vms, 65),
        POLICY(vms_line, 0),
        POLICY(modes, 0),
        POLICY(modes, 6),
        POLICY(modes, 15),
        POLICY(modes_line, 0),
        POLICY(first_stage_flags, 8),
        POLICY(first_stage_flags_line, 4097),
        POLICY(read_only, 0),
        POLICY(read_only_line, 0),
        POLICY(read_only, 3),
        POLICY(read_only_line, 4097),
        POLICY(n_devices, 1),
        POLICY(n_devices, 3),
        POLICY(n_devices, 17),
        POLICY(n_devices, UINT32_MAX),
        POLICY(reserved, 1),
        POLICY(gid_line, 0),
        POLICY(gid_line, 4097),
        POLICY(label[0], 0),
        POLICY(label[0], ' '),
        POLICY(label[3], '"'),
        POLICY(label[127], 'x'),
        POLICY(label_line, 0),
        POLICY(label_line, 4097),
        POLICY(totals[VTD_POLICY_TOTAL_MEMORY].value, 12344ull << 30),
        POLICY(totals[VTD_POLICY_TOTAL_MEMORY].value, (12345ull << 30) + 1),
        POLICY(totals[VTD_POLICY_TOTAL_MEMORY].value, (UINT64_C(1) << 58) + 4096),
        POLICY(totals[VTD_POLICY_TOTAL_MEMORY].line, 0),
        POLICY(totals[VTD_POLICY_TOTAL_FIRST_STAGE_TABLES].value, 255),
        POLICY(totals[VTD_POLICY_TOTAL_PASIDS].value, 1007),
        POLICY(totals[VTD_POLICY_TOTAL_PASIDS].value, 64513),
        POLICY(totals[VTD_POLICY_TOTAL_PASIDS].reserved, 1),
        LIMIT(MEMORY, 0),
        LIMIT(MEMORY, 4097),
        LIMIT(MEMORY, (4096ull << 40) + 4096),
        LIMIT(MEMORY, UINT64_MAX),
        LIMIT(MAPPINGS, 0),
        LIMIT(MAPPINGS, 257),
        LIMIT(DEVICES, 0),
        LIMIT(DEVICES, 17),
        LIMIT(FIRST_STAGE_TABLES, 257),
        LIMIT(PASIDS, 1009),
        LIMIT(INTERRUPTS, 2049),
        LIMIT(ADDRESS_WIDTH, 0),
        LIMIT(ADDRESS_WIDTH, 39),
        LIMIT(ADDRESS_WIDTH, 64),
        LIMIT(INVALIDATE_RATE, 9),
        LIMIT(INVALIDATE_RATE, 10000001),
        LIMIT(INVALIDATE_BURST, 127),
        LIMIT(INVALIDATE_BURST, 65537),
        POLICY(limits[VTD_POLICY_MEMORY].line, 0),
        POLICY(limits[VTD_POLICY_PASIDS].line, 4097),
        POLICY(limits[VTD_POLICY_PASIDS].reserved, 1),
        POLICY(devices[0].name[0], 0),
        POLICY(devices[0].name[0], ' '),
        POLICY(devices[0].name[31], 'x'),
        POLICY(devices[0].address[0], 'g'),
        POLICY(devices[0].address[12], '0'),
        POLICY(devices[0].address[15], '0'),
        POLICY(devices[0].line, 0),
        POLICY(devices[0].line, 4097),
        POLICY(devices[0].source, 0),
        POLICY(devices[0].source, 3),
        POLICY(devices[0].source, 4),
        POLICY(devices[0].source, 5),
        POLICY(devices[1].source, VTD_POLICY_SOURCE_SIMULATED),
        POLICY(devices[0].exceptions, 8),
        POLICY(devices[0].regions_read, 0x80),
        POLICY(devices[0].regions_read, 0x20),
        POLICY(devices[0].regions_write, 0x2),
        POLICY(devices[0].reserved, 1),
        POLICY(devices[2].line, 1),
        POLICY(devices[15].name[31], 1),
};

static void write_damage(struct vtd_policy *policy, const struct damage *damage)
{
        /* x86-64 is little-endian: the first bytes are the low ones. */
        memcpy((char *)policy + damage->offset, &damage->value, damage->size);
}

static void test_verify_refuses_each_field_out_of_its_range(void **state)
{
        struct vtd_policy good, policy;
        uint32_t low;

        (void)state;
        compile_good(&good, full_text);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(damages); i++) {
                policy = good;
                write_damage(&policy, &damages[i]);
                assert_memory_not_equal(&policy, &good, sizeof(policy));
                assert_int_equal(vtd_policy_verify(&policy, NULL), -EINVAL);
                policy.checksum = vtd_policy_checksum(&policy);
                if (vtd_policy_verify(&policy, NULL) != -EINVAL)
                        fprintf(stderr, "# damage %zu at offset %zu was accepted\n", i,
                                damages[i].offset);
                assert_int_equal(vtd_policy_verify(&policy, NULL), -EINVAL);
        }
        /* What another valid policy has is taken, so the refusals above are about the fields. */
        policy = good;
        policy.vms = 3;
        low = policy.checksum;
        policy.checksum = vtd_policy_checksum(&policy);
        assert_int_not_equal(policy.checksum, low);
        assert_int_equal(vtd_policy_verify(&policy, NULL), 0);
}

static void test_verify_refuses_devices_that_contradict_each_other(void **state)
{
        struct vtd_policy good, policy;

        (void)state;
        compile_good(&good, full_text);
        /* Two devices with one name, and with one address. */
        policy = good;
        memcpy(policy.devices[1].name, policy.devices[0].name, sizeof(policy.devices[0].name));
        policy.checksum = vtd_policy_checksum(&policy);
        assert_int_equal(vtd_policy_verify(&policy, NULL), -EINVAL);
        policy = good;
        memcpy(policy.devices[1].address, policy.devices[0].address, 16);
        policy.checksum = vtd_policy_checksum(&policy);
        assert_int_equal(vtd_policy_verify(&policy, NULL), -EINVAL);
        /* Two devices that are well-formed, but one of a real and one of a simulated host. */
        policy = good;
        policy.devices[1].source = VTD_POLICY_SOURCE_SIMULATED;
        memset(policy.devices[1].address, 0, sizeof(policy.devices[1].address));
        memcpy(policy.devices[1].address, "edu", 3);
        policy.checksum = vtd_policy_checksum(&policy);
        assert_int_equal(vtd_policy_verify(&policy, NULL), -EINVAL);
}

static void test_verify_refuses_any_flipped_bit(void **state)
{
        struct vtd_policy policy;
        unsigned char *bytes = (unsigned char *)&policy;

        (void)state;
        compile_good(&policy, full_text);
        for (size_t bit = 0; bit < sizeof(policy) * 8; bit++) {
                bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
                assert_int_equal(vtd_policy_verify(&policy, NULL), -EINVAL);
                bytes[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        }
        assert_int_equal(vtd_policy_verify(&policy, NULL), 0);
}

/* xorshift64*: the same numbers everywhere for the same seed. */
static uint64_t next_random(uint64_t *random)
{
        *random ^= *random >> 12;
        *random ^= *random << 25;
        *random ^= *random >> 27;
        return *random * UINT64_C(2685821657736338717);
}

static size_t random_below(uint64_t *random, size_t limit)
{
        return (size_t)((next_random(random) >> 32) % limit);
}

/* VTD_TEST_SEED repeats a run. */
static uint64_t make_seed(const char *test)
{
        const char *given = getenv("VTD_TEST_SEED");
        struct timespec now;
        uint64_t seed;

        assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
        seed = given ? strtoull(given, NULL, 0)
                     : (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
        seed = seed ? seed : 1;
        fprintf(stderr, "# %s: VTD_TEST_SEED=%" PRIu64 "\n", test, seed);
        return seed;
}

/* The ranges of FORMAT.md once more, written down without the table. */
static void assert_policy_in_ranges(const struct vtd_policy *policy)
{
        const struct vtd_policy_limit *limits = policy->limits;

        assert_true(strnlen(policy->tenant, 32) >= 1 && strnlen(policy->tenant, 32) <= 31);
        assert_true(policy->tenant[0] != '.' && !strpbrk(policy->tenant, "/ \"\\"));
        assert_true(strnlen(policy->file, 64) >= 1 && strnlen(policy->file, 64) <= 63);
        assert_true(policy->uid != UINT32_MAX && policy->vms >= 1 && policy->vms <= 64);
        assert_true((policy->modes & 1) == 1 && policy->modes <= 7);
        assert_true(policy->first_stage_flags <= VTD_FIRST_STAGE_FLAGS);
        assert_true(policy->read_only == VTD_POLICY_READ_ONLY_REFUSE ||
                    policy->read_only == VTD_POLICY_READ_ONLY_SKIP);
        assert_true(limits[VTD_POLICY_MEMORY].value >= 4096 &&
                    limits[VTD_POLICY_MEMORY].value <= 1ull << 52 &&
                    limits[VTD_POLICY_MEMORY].value % 4096 == 0);
        assert_in_range(limits[VTD_POLICY_MAPPINGS].value, 1, 256);
        assert_in_range(limits[VTD_POLICY_DEVICES].value, 1, 16);
        assert_in_range(limits[VTD_POLICY_FIRST_STAGE_TABLES].value, 0, 256);
        assert_in_range(limits[VTD_POLICY_PASIDS].value, 0, 1008);
        assert_in_range(limits[VTD_POLICY_INTERRUPTS].value, 0, 2048);
        assert_true(limits[VTD_POLICY_ADDRESS_WIDTH].value == 48 ||
                    limits[VTD_POLICY_ADDRESS_WIDTH].value == 57);
        assert_in_range(limits[VTD_POLICY_INVALIDATE_RATE].value, 10, 10000000);
        assert_in_range(limits[VTD_POLICY_INVALIDATE_BURST].value, 128, 65536);
        assert_in_range(policy->n_devices, 0, 16);
        for (uint32_t i = 0; i < policy->n_devices; i++) {
                const struct vtd_policy_device *device = &policy->devices[i];

                assert_in_range(strnlen(device->name, 32), 1, 31);
                assert_in_range(device->source, 1, 4);
                assert_int_equal(device->source == 2, policy->devices[0].source == 2);
                assert_in_range(strnlen(device->address, 16), 3, 15);
                assert_in_range(device->exceptions, 0, 7);
                assert_in_range(device->regions_read, 0, 0x7f);
                assert_int_equal(device->regions_write & ~device->regions_read, 0);
                assert_in_range(device->line, 2, 4096);
        }
}

static void test_bits_flipped_under_a_new_checksum_stay_in_range(void **state)
{
        uint64_t random = make_seed("bits");
        struct vtd_policy good, policy;
        unsigned accepted = 0;

        (void)state;
        compile_good(&good, full_text);
        for (unsigned i = 0; i < 50000; i++) {
                size_t flips = 1 + random_below(&random, 3);

                policy = good;
                while (flips-- > 0) {
                        size_t bit = random_below(&random, sizeof(policy) * 8);

                        ((unsigned char *)&policy)[bit / 8] ^= (unsigned char)(1u << (bit % 8));
                }
                policy.checksum = vtd_policy_checksum(&policy);
                if (vtd_policy_verify(&policy, NULL) != 0)
                        continue;
                accepted++;
                assert_policy_in_ranges(&policy);
        }
        /* Otherwise the loop would have looked at nothing. */
        assert_true(accepted > 0);
}

#define MUTANT_SIZE 4096u

/* Replaces @old bytes at @place by @size bytes, if the result fits. */
static void replace_bytes(char *text, size_t *length, size_t place, size_t old,
                          const char *new_text, size_t size)
{
        char piece[256];

        if (size > sizeof(piece) || *length - old + size > MUTANT_SIZE)
                return;
        memcpy(piece, new_text, size); /* may come from text itself */
        memmove(text + place + size, text + place + old, *length - place - old);
        memcpy(text + place, piece, size);
        *length += size - old;
}

static const char *const mutation_words[] = {
        "0",        "1",         "18446744073709551616", "4096",    "TiB",          "KiB",
        "[vm]\n",   " = ",       "[device x]\n",         ", ",      "pci = ",       "edu",
        "57",       "\n",        "passthrough",          "0:rw",    "ffff:ff:1f.7", "#",
        "sre",      "uid = ",    "simulated = edu\n",    "\r\n",    "format = 1\n", "[tenant]\n",
        "no-reset", "vms = 7\n", "pasids = 9\n",         "devices", "\xc3\xa9",     "\t"};

static void mutate(char *text, size_t *length, uint64_t *random)
{
        size_t place = random_below(random, *length + 1);
        size_t left = *length - place;
        size_t some = left == 0 ? 0 : random_below(random, left < 40 ? left : 40);
        const char *word = mutation_words[random_below(random, VTD_ARRAY_SIZE(mutation_words))];
        char byte = (char)(next_random(random) >> 56);

        switch (random_below(random, 6)) {
        case 0:
                replace_bytes(text, length, place, left ? 1 : 0, &byte, 1);
                break;
        case 1:
                replace_bytes(text, length, place, 0, word, strlen(word));
                break;
        case 2:
                replace_bytes(text, length, place, some, "", 0);
                break;
        case 3:
                replace_bytes(text, length, random_below(random, *length + 1), 0, text + place,
                              some);
                break;
        case 4: /* another digit or letter, which often stays valid */
                byte = "0123456789abcdefghijklmnopqrstuvwxyz"[random_below(random, 36)];
                replace_bytes(text, length, place, left ? 1 : 0, &byte, 1);
                break;
        default:
                replace_bytes(text, length, place, some, word, strlen(word));
                break;
        }
}

static void test_mutated_files_compile_to_valid_policies_or_are_refused(void **state)
{
        uint64_t random = make_seed("mutants");
        struct vtd_policy policy, before;
        struct capture capture;
        char text[MUTANT_SIZE];
        unsigned accepted = 0, refused = 0;

        (void)state;
        for (unsigned i = 0; i < 30000; i++) {
                size_t length = sizeof(full_text) - 1;
                size_t mutations = 1 + random_below(&random, 4);
                int result;

                memcpy(text, full_text, length);
                while (mutations-- > 0)
                        mutate(text, &length, &random);
                memset(&policy, 0xa5, sizeof(policy));
                before = policy;
                result = compile_bytes(&policy, &capture, text, length);
                assert_true(capture.errors <= VTD_POLICY_ERRORS_SHOWN);
                if (result == 0) {
                        accepted++;
                        assert_int_equal(capture.errors, 0);
                        assert_int_equal(vtd_policy_verify(&policy, NULL), 0);
                        assert_policy_in_ranges(&policy);
                } else {
                        refused++;
                        assert_int_equal(result, -EINVAL);
                        assert_true(capture.errors > 0);
                        assert_memory_equal(&policy, &before, sizeof(policy));
                }
        }
        assert_true(accepted > 0 && refused > 0);
}

/* A directory of its own for the files of one test. */
static int make_directory(char path[64])
{
        int fd;

        (void)snprintf(path, 64, "/tmp/vtd-test-policy.XXXXXX");
        assert_non_null(mkdtemp(path));
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static void write_file(int directory, const char *name, const char *text, size_t size, mode_t mode)
{
        VTD_CLEANUP_FD int fd =
                openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, size), (ssize_t)size);
        assert_int_equal(fchmod(fd, mode), 0);
}

static int lowest_free_fd(void)
{
        int fd = dup(0);

        assert_true(fd >= 0);
        (void)close(fd);
        return fd;
}

static void test_load_takes_only_private_regular_files(void **state)
{
        static const char *const names[] = {"good", "shared", "public", "link",
                                            "fifo", "large",  "bad",    "alien"};
        static char large[VTD_SCHEMA_FILE_MAX + 1];
        struct vtd_policy policy;
        char path[64];
        struct capture capture = {0};
        struct vtd_log log = {.sink = capture_line, .opaque = &capture, .threshold = VTD_LOG_ERROR};
        int directory = make_directory(path), before;

        (void)state;
        memset(large, '#', sizeof(large));
        write_file(directory, "good", GOOD, strlen(GOOD), 0644);
        write_file(directory, "shared", GOOD, strlen(GOOD), 0660);
        write_file(directory, "public", GOOD, strlen(GOOD), 0606);
        write_file(directory, "large", large, sizeof(large), 0600);
        write_file(directory, "bad", GOOD "x", strlen(GOOD) + 1, 0600);
        write_file(directory, "alien", GOOD, strlen(GOOD), 0600);
        assert_int_equal(symlinkat("good", directory, "link"), 0);
        assert_int_equal(mkfifoat(directory, "fifo", 0600), 0);
        assert_int_equal(mkdirat(directory, "dir", 0700), 0);

        before = lowest_free_fd();
        assert_int_equal(vtd_policy_load(&policy, directory, "good", NULL), 0);
        assert_string_equal(policy.file, "good");
        assert_int_equal(vtd_policy_verify(&policy, NULL), 0);
        assert_int_equal(vtd_policy_load(&policy, directory, "shared", NULL), -EINVAL);
        assert_int_equal(vtd_policy_load(&policy, directory, "public", NULL), -EINVAL);
        assert_int_equal(vtd_policy_load(&policy, directory, "link", NULL), -ELOOP);
        assert_int_equal(vtd_policy_load(&policy, directory, "fifo", NULL), -EINVAL);
        assert_int_equal(vtd_policy_load(&policy, directory, "dir", NULL), -EINVAL);
        assert_int_equal(vtd_policy_load(&policy, directory, "large", &log), -EINVAL);
        assert_string_equal(capture.last, "large: has 65537 bytes; allowed: 65536");
        assert_int_equal(vtd_policy_load(&policy, directory, "bad", NULL), -EINVAL);
        assert_int_equal(vtd_policy_load(&policy, directory, "absent", NULL), -ENOENT);
        assert_int_equal(vtd_policy_load(&policy, directory, "./good", NULL), -EINVAL);
        assert_int_equal(vtd_policy_load(&policy, directory, "..", NULL), -EINVAL);
        /* Only root can give a file away; for others the same rule is not reachable here. */
        if (fchownat(directory, "alien", 65534, (gid_t)-1, 0) == 0)
                assert_int_equal(vtd_policy_load(&policy, directory, "alien", NULL), -EINVAL);
        else
                assert_int_equal(vtd_policy_load(&policy, directory, "alien", NULL), 0);
        assert_int_equal(lowest_free_fd(), before);

        for (size_t i = 0; i < VTD_ARRAY_SIZE(names); i++)
                assert_int_equal(unlinkat(directory, names[i], 0), 0);
        assert_int_equal(unlinkat(directory, "dir", AT_REMOVEDIR), 0);
        assert_int_equal(rmdir(path), 0);
        (void)close(directory);
}

static void test_the_trace_has_the_line_of_every_key(void **state)
{
        struct vtd_policy_lines lines;
        struct vtd_policy policy;
        const struct vtd_schema_row *row;
        unsigned found = 0;

        (void)state;
        assert_int_equal(vtd_policy_compile_traced(&policy, &lines, FILE_NAME, full_text,
                                                   sizeof(full_text) - 1, NULL),
                         0);
        for (size_t i = 0; (row = vtd_schema_row(i)); i++) {
                if (row->section != VTD_SCHEMA_DEVICE) {
                        assert_in_range(lines.rows[i], 4, 29);
                        if (vtd_schema_is_numeric(row))
                                assert_int_equal(lines.rows[i], vtd_schema_line(row, &policy));
                        found++;
                } else if (row->type == VTD_SCHEMA_PCI) {
                        assert_int_equal(lines.devices[0][i], 14);
                        assert_int_equal(lines.devices[1][i], 31);
                        found++;
                } else if (row->type == VTD_SCHEMA_REGIONS) {
                        assert_int_equal(lines.devices[0][i], 15);
                        assert_int_equal(lines.devices[1][i], 0);
                        found++;
                }
        }
        assert_int_equal(found, 24);
}

static char *read_source(const char *name, size_t *size)
{
        char path[512];
        char *text = calloc(1, VTD_SCHEMA_FILE_MAX + 1);
        FILE *file;

        assert_non_null(text);
        (void)snprintf(path, sizeof(path), "%s/%s", VTD_SOURCE_ROOT, name);
        file = fopen(path, "re");
        assert_non_null(file);
        *size = fread(text, 1, VTD_SCHEMA_FILE_MAX, file);
        assert_true(*size > 0 && feof(file));
        assert_int_equal(fclose(file), 0);
        return text;
}

static void test_the_examples_compile(void **state)
{
        DIR *examples = opendir(VTD_SOURCE_ROOT "/policy/examples");
        const struct dirent *entry;
        struct vtd_policy policy;
        unsigned count = 0;

        (void)state;
        assert_non_null(examples);
        while ((entry = readdir(examples))) {
                char name[300];
                size_t size;
                char *text;

                if (entry->d_name[0] == '.')
                        continue;
                (void)snprintf(name, sizeof(name), "policy/examples/%s", entry->d_name);
                text = read_source(name, &size);
                compile_good(&policy, text);
                free(text);
                count++;
        }
        assert_int_equal(closedir(examples), 0);
        assert_int_equal(count, 4);
}

/* The first six cells of a row of a table in FORMAT.md, without blanks and backquotes around. */
struct doc_row {
        char cells[6][256];
};

static bool split_row(const char *line, struct doc_row *row)
{
        if (strncmp(line, "| `", 3) != 0)
                return false;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(row->cells); i++) {
                const char *start = line + 2;
                const char *end = strstr(start, " |");
                size_t length;

                assert_non_null(end);
                line = end;
                line++;
                length = (size_t)(end - start);
                if (i == 0) {
                        start++;
                        length -= 2;
                }
                (void)snprintf(row->cells[i], sizeof(row->cells[i]), "%.*s", (int)length, start);
        }
        return true;
}

static void compare_row(const struct vtd_schema_row *row, const struct doc_row *doc)
{
        char expected[VTD_POLICY_TEXT_SIZE];

        if (row->unit)
                assert_string_equal(doc->cells[2], row->unit);
        if (row->required)
                assert_string_equal(doc->cells[3], "required");
        if (!vtd_schema_is_numeric(row))
                return;
        if (!row->required) {
                vtd_policy_format_value(row, row->initial, expected);
                assert_string_equal(doc->cells[3], expected);
        }
        vtd_policy_format_allowed(row, expected);
        assert_memory_equal(doc->cells[4], expected, strlen(expected));
}

static void test_format_md_and_the_table_of_keys_agree(void **state)
{
        static const char *const headings[VTD_SCHEMA_SECTION_COUNT] = {"## [tenant]", "## [vm]",
                                                                       "## [device NAME]"};
        bool named[VTD_SCHEMA_ROWS] = {false};
        const struct vtd_schema_row *row;
        int section = -1;
        size_t size;
        char *text = read_source("policy/FORMAT.md", &size), *rest = text, *line;

        (void)state;
        while ((line = strsep(&rest, "\n"))) {
                struct doc_row doc;
                size_t i;

                if (strncmp(line, "## ", 3) == 0)
                        section = -1;
                for (int s = 0; s < (int)VTD_SCHEMA_SECTION_COUNT; s++) {
                        if (strcmp(line, headings[s]) == 0)
                                section = s;
                }
                if (section < 0 || !split_row(line, &doc))
                        continue;
                for (i = 0; (row = vtd_schema_row(i)); i++) {
                        if ((int)row->section == section && row->type != VTD_SCHEMA_HEADER &&
                            strcmp(row->key, doc.cells[0]) == 0)
                                break;
                }
                if (!row)
                        fprintf(stderr, "# FORMAT.md: \"%s\" is not a key\n", doc.cells[0]);
                assert_non_null(row);
                assert_false(named[i]);
                named[i] = true;
                compare_row(row, &doc);
        }
        for (size_t i = 0; (row = vtd_schema_row(i)); i++) {
                if (!named[i] && row->type != VTD_SCHEMA_HEADER)
                        fprintf(stderr, "# FORMAT.md lacks \"%s\"\n", row->key);
                assert_true(named[i] || row->type == VTD_SCHEMA_HEADER);
        }
        free(text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_minimal_policy_has_the_documented_defaults),
                cmocka_unit_test(test_every_key_reaches_its_field_with_its_line),
                cmocka_unit_test(test_each_word_is_its_own_bit),
                cmocka_unit_test(test_sizes_have_binary_suffixes_or_none),
                cmocka_unit_test(test_several_simulated_devices_of_one_model_are_granted),
                cmocka_unit_test(test_the_first_line_must_be_the_format),
                cmocka_unit_test(test_an_empty_file_lacks_format_and_sections),
                cmocka_unit_test(test_only_printable_ascii_lines_are_read),
                cmocka_unit_test(test_a_line_does_not_continue_another),
                cmocka_unit_test(test_lines_and_files_are_bounded),
                cmocka_unit_test(test_malformed_headers_and_pairs_are_refused_in_place),
                cmocka_unit_test(test_sections_and_keys_are_known_and_come_once),
                cmocka_unit_test(test_what_is_required_is_missed),
                cmocka_unit_test(test_names_have_safe_characters_and_lengths),
                cmocka_unit_test(test_numbers_are_canonical_and_in_range),
                cmocka_unit_test(test_lists_hold_known_items_once_each),
                cmocka_unit_test(test_devices_are_canonical_distinct_and_of_one_kind),
                cmocka_unit_test(test_several_functions_of_a_kind_are_granted),
                cmocka_unit_test(test_labels_are_what_security_modules_give),
                cmocka_unit_test(test_totals_leave_room_for_one_vm),
                cmocka_unit_test(test_sixteen_devices_are_granted_and_no_more),
                cmocka_unit_test(test_errors_are_reported_on_and_on_but_only_twenty),
                cmocka_unit_test(test_the_file_name_must_be_safe_in_an_audit_line),
                cmocka_unit_test(test_verify_refuses_each_field_out_of_its_range),
                cmocka_unit_test(test_verify_refuses_devices_that_contradict_each_other),
                cmocka_unit_test(test_verify_refuses_any_flipped_bit),
                cmocka_unit_test(test_bits_flipped_under_a_new_checksum_stay_in_range),
                cmocka_unit_test(test_mutated_files_compile_to_valid_policies_or_are_refused),
                cmocka_unit_test(test_load_takes_only_private_regular_files),
                cmocka_unit_test(test_the_trace_has_the_line_of_every_key),
                cmocka_unit_test(test_the_examples_compile),
                cmocka_unit_test(test_format_md_and_the_table_of_keys_agree),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
