/* SPDX-License-Identifier: MIT */
/*
 * The text of a policy file, and its name where a line "!NAME" comes first.  Refused, it leaves the policy untouched and says so at least once, and
 * at most as often as a person reads; taken, it is what a worker's own judgement accepts.
 */
#include <errno.h>
#include <string.h>

#include "policy/compile.h"
#include "policy/report.h"
#include "policy/value.h"
#include "policy/verify.h"
#include "tests/fuzz/fuzz.h"

static void count_line(void *opaque, enum vtd_log_level level, const char *line)
{
        unsigned *lines = opaque;

        (void)level;
        for (const char *c = line; *c != '\0'; c++)
                FUZZ_REQUIRE(*c >= ' ' && *c <= '~');
        ++*lines;
}

/* Every value of a section can be shown, and its line is one of the file. */
static void show_values(bool of_device, const void *base)
{
        const struct vtd_schema_row *row;
        char text[VTD_POLICY_TEXT_SIZE];

        for (size_t i = 0; (row = vtd_schema_row(i)); i++) {
                if (!vtd_schema_is_numeric(row) || (row->section == VTD_SCHEMA_DEVICE) != of_device)
                        continue;
                FUZZ_REQUIRE(vtd_schema_value_allowed(row, vtd_schema_value(row, base)));
                FUZZ_REQUIRE(vtd_schema_line(row, base) <= VTD_SCHEMA_LINE_MAX);
                vtd_policy_format_value(row, vtd_schema_value(row, base), text);
                FUZZ_REQUIRE(strlen(text) > 0);
        }
}

static void show(const struct vtd_policy *policy)
{
        char text[VTD_POLICY_TEXT_SIZE];

        show_values(false, policy);
        for (uint32_t i = 0; i < policy->n_devices; i++) {
                const struct vtd_policy_device *device = &policy->devices[i];

                show_values(true, device);
                vtd_policy_format_regions(device->regions_read, device->regions_write, text);
                FUZZ_REQUIRE(vtd_policy_find_device(policy, device->name) == device);
        }
}

/* The name that comes first, "fuzz.policy" without one; cuts it off the text. */
static void take_name(char *name, size_t name_size, const uint8_t **data, size_t *size)
{
        const uint8_t *end = *size > 0 && **data == '!' ? memchr(*data, '\n', *size) : NULL;
        size_t length = end ? (size_t)(end - *data) - 1 : 0;

        if (!end || length >= name_size) {
                (void)snprintf(name, name_size, "fuzz.policy");
                return;
        }
        memcpy(name, *data + 1, length);
        name[length] = '\0';
        *size -= length + 2;
        *data = end + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        unsigned lines = 0;
        struct vtd_log log = {.sink = count_line, .opaque = &lines, .threshold = VTD_LOG_DEBUG};
        struct vtd_policy policy, before;
        struct vtd_policy_lines traced;
        char name[128];
        int r;

        take_name(name, sizeof(name), &data, &size);
        memset(&policy, 0xa5, sizeof(policy));
        before = policy;
        r = vtd_policy_compile_traced(&policy, &traced, name, (const char *)data, size, &log);
        if (r != 0) {
                FUZZ_REQUIRE(r == -EINVAL);
                FUZZ_REQUIRE(memcmp(&policy, &before, sizeof(policy)) == 0);
                FUZZ_REQUIRE(lines >= 1 && lines <= VTD_POLICY_ERRORS_SHOWN + 1);
                return 0;
        }
        FUZZ_REQUIRE(lines == 0);
        FUZZ_REQUIRE(vtd_policy_verify(&policy, &log) == 0);
        show(&policy);
        return 0;
}
