/* SPDX-License-Identifier: MIT */
/*
 * The text of a policy file.  Refused, it leaves the policy untouched and says so at least once, and
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

/* Every value can be shown, and what is shown is allowed text. */
static void show(const struct vtd_policy *policy)
{
        const struct vtd_schema_row *row;
        char text[VTD_POLICY_TEXT_SIZE];

        for (size_t i = 0; (row = vtd_schema_row(i)); i++) {
                if (!vtd_schema_is_numeric(row) || row->section == VTD_SCHEMA_DEVICE)
                        continue;
                FUZZ_REQUIRE(vtd_schema_value_allowed(row, vtd_schema_value(row, policy)));
                vtd_policy_format_value(row, vtd_schema_value(row, policy), text);
                FUZZ_REQUIRE(strlen(text) > 0);
        }
        for (uint32_t i = 0; i < policy->n_devices; i++) {
                const struct vtd_policy_device *device = &policy->devices[i];

                vtd_policy_format_bars(device->regions_read, device->regions_write, text);
                FUZZ_REQUIRE(vtd_policy_find_device(policy, device->name) == device);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        unsigned lines = 0;
        struct vtd_log log = {.sink = count_line, .opaque = &lines, .threshold = VTD_LOG_DEBUG};
        struct vtd_policy policy, before;
        struct vtd_policy_lines traced;
        int r;

        memset(&policy, 0xa5, sizeof(policy));
        before = policy;
        r = vtd_policy_compile_traced(&policy, &traced, "fuzz.policy", (const char *)data, size,
                                      &log);
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
