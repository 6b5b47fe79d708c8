/* SPDX-License-Identifier: MIT */
/*
 * A compiled policy as a worker gets it: a good one with bytes replaced, under a right checksum.  What
 * the worker accepts must serve a VM from Hello to its end.
 */
#include <string.h>

#include "policy/verify.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/unit.h"
#include "tests/unit/vm-fixture.h"

static const char text[] = "format = 1\n[tenant]\nname = blue\nuid = 1000\nlabel = a:b\n[vm]\n"
                           "memory = 1GiB\npasids = 4\nfirst-stage-tables = 4\n"
                           "modes = passthrough, first-stage\n[device dev0]\npci = 0000:00:04.0\n"
                           "regions = 0:rw\n[device dev1]\nvendor-device = 8086:1521\n"
                           "[device dev2]\ncdev = vfio3\n";

/* Steps of three bytes: where, and what.  More than one changes at a time only by more steps. */
static void replace(struct vtd_policy *policy, const uint8_t *data, size_t size)
{
        for (size_t i = 0; i + 3 <= size; i += 3) {
                size_t place = (data[i] | (size_t)data[i + 1] << 8) % sizeof(*policy);

                ((uint8_t *)policy)[place] = data[i + 2];
        }
        policy->checksum = vtd_policy_checksum(policy);
}

/* What vtd-brokerd relies on before it starts a worker. */
static void judge(const struct vtd_policy *policy)
{
        FUZZ_REQUIRE(memchr(policy->label, '\0', sizeof(policy->label)));
        FUZZ_REQUIRE((policy->label[0] == '\0') == (policy->label_line == 0));
        FUZZ_REQUIRE(policy->vms >= 1);
        for (unsigned i = 0; i < VTD_POLICY_LIMIT_COUNT; i++) {
                const struct vtd_policy_limit *total = vtd_policy_total_of(policy, i);

                FUZZ_REQUIRE(!total || total->value >= policy->limits[i].value);
        }
}

static void serve(const struct vtd_policy *policy)
{
        struct fixture *fixture = fixture_new();
        struct vtd_request plug = {.type = VTD_REQUEST_PLUG_DEVICE};

        fixture->policy = *policy;
        fixture_start(fixture, true);
        FUZZ_REQUIRE(fixture->reply.hello.memory == policy->limits[VTD_POLICY_MEMORY].value);
        for (uint32_t i = 0; i < policy->n_devices; i++) {
                memcpy(plug.plug_device.name.text, policy->devices[i].name,
                       sizeof(plug.plug_device.name.text));
                FUZZ_REQUIRE(fixture_call(fixture, &plug, -1) == 0);
                fixture_check_books(fixture, false);
        }
        fixture_free(fixture);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct vtd_policy policy;

        FUZZ_REQUIRE(vtd_policy_compile(&policy, "fuzz.policy", text, sizeof(text) - 1, NULL) == 0);
        replace(&policy, data, size);
        if (vtd_policy_verify(&policy, NULL) != 0)
                return 0;
        judge(&policy);
        serve(&policy);
        return 0;
}
