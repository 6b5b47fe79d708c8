/* SPDX-License-Identifier: MIT */
/*
 * broker/brokerd/grant_policy.c: what an administrator asks for leaves of a tenant's policy what it may
 * have of it, and nothing that it may not; refusals name the line.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/brokerd/grant_policy.h"
#include "policy/verify.h"

static const char policy_text[] = "format = 1\n"
                                  "[tenant]\n"
                                  "name = blue\n"
                                  "uid = 2001\n"
                                  "vms = 2\n"
                                  "[vm]\n"
                                  "memory = 64MiB\n"
                                  "first-stage-tables = 8\n"
                                  "pasids = 16\n"
                                  "modes = first-stage\n"
                                  "[device nic0]\n"
                                  "pci = 0000:00:04.0\n"
                                  "regions = 0:rw\n"
                                  "[device nic1]\n"
                                  "pci = 0000:00:05.0\n"
                                  "allow = no-reset\n"
                                  "[device disk]\n"
                                  "pci = 0000:01:00.0\n";

struct world {
        struct vtd_policy policy;
        struct vtd_policy made;
        struct vtd_device_files *files;
        struct vtd_refused refused;
        struct vtd_admin_record request;
};

static int set_up(void **state)
{
        struct world *world = calloc(1, sizeof(*world));

        assert_non_null(world);
        assert_int_equal(vtd_policy_compile(&world->policy, "blue.policy", policy_text,
                                            strlen(policy_text), NULL),
                         0);
        world->files = vtd_device_files_new(VTD_HOST_LINUX, "/nonexistent", "/nonexistent");
        *state = world;
        return 0;
}

static int tear_down(void **state)
{
        struct world *world = *state;

        world->files = vtd_device_files_free(world->files);
        free(world);
        return 0;
}

/* The fields of a create-vm behind the tenant, as text. */
static int make(struct world *world, const char *fields)
{
        struct vtd_admin_reason reason;
        char text[512];

        (void)snprintf(text, sizeof(text), "vtd-control 1 create-vm\ntenant = blue\n%s", fields);
        if (vtd_admin_decode(&world->request, text, strlen(text), &reason) != 0)
                fail_msg("%s: %s", fields, reason.text);
        memset(&world->refused, 0, sizeof(world->refused));
        return vtd_grant_policy_make(&world->made, &world->policy, &world->request, world->files,
                                     &world->refused);
}

static void expect_refused(struct world *world, const char *fields, uint32_t line, const char *text)
{
        assert_int_equal(make(world, fields), VTD_REFUSED_E);
        if (!strstr(world->refused.text, text) || world->refused.line != line)
                fail_msg("%s: \"%s\", line %u", fields, world->refused.text, world->refused.line);
}

static void test_devices_are_chosen_by_name_or_address(void **state)
{
        struct world *world = *state;

        assert_int_equal(make(world, "device = disk\ndevice = 0000:00:04.0\n"), 0);
        assert_int_equal(vtd_policy_verify(&world->made, NULL), 0);
        assert_int_equal(world->made.n_devices, 2);
        assert_string_equal(world->made.devices[0].name, "disk");
        assert_string_equal(world->made.devices[1].name, "nic0");
        assert_int_equal(world->made.devices[1].regions_write, 1);
        assert_int_equal(world->made.devices[1].exceptions, 0);
        assert_int_equal(make(world, "device = nic1\n"), 0);
        assert_int_equal(world->made.devices[0].exceptions, VTD_POLICY_ALLOW_NO_RESET);
        assert_int_equal(world->made.limits[VTD_POLICY_MEMORY].value, 64u << 20);
}

static void test_only_granted_devices_are_given(void **state)
{
        struct world *world = *state;

        expect_refused(world, "", 0, "no device is asked for");
        expect_refused(world, "device = gpu\n", 2, "grants no device gpu");
        expect_refused(world, "device = 0000:00:06.0\n", 2, "grants no device 0000:00:06.0");
        expect_refused(world, "device = nic0\ndevice = gpu\n", 2, "grants no device gpu");
        expect_refused(world, "device = nic0\ndevice = nic0\n", 0, "asked for twice");
        expect_refused(world, "device = nic0\ndevice = 0000:00:04.0\n", 2, "or not once more");
}

static void test_limits_only_narrow(void **state)
{
        struct world *world = *state;

        assert_int_equal(make(world, "device = nic0\nmemory = 4194304\npasids = 0\n"), 0);
        assert_int_equal(vtd_policy_verify(&world->made, NULL), 0);
        assert_int_equal(world->made.limits[VTD_POLICY_MEMORY].value, 4194304);
        assert_int_equal(world->made.limits[VTD_POLICY_MEMORY].line, 7);
        assert_int_equal(world->made.limits[VTD_POLICY_PASIDS].value, 0);
        assert_int_equal(world->made.limits[VTD_POLICY_FIRST_STAGE_TABLES].value, 8);
        /* As much as there is may be asked for, one more may not. */
        assert_int_equal(make(world, "device = nic0\nfirst-stage-tables = 8\n"), 0);
        expect_refused(world, "device = nic0\nfirst-stage-tables = 9\n", 8, "policy allows 8");
        expect_refused(world, "device = nic0\nmemory = 67112960\n", 7, "policy allows 67108864");
        expect_refused(world, "device = nic0\nmemory = 18446744073709551615\n", 7, "allows");
        expect_refused(world, "device = nic0\nmemory = 5000\n", 0, "allowed is");
        expect_refused(world, "device = nic0\nmemory = 0\n", 0, "allowed is");
        expect_refused(world, "device = nic0\naddress-width = 39\n", 0, "allowed is");
}

/* A default has no line; lowered, it cites that of [tenant]. */
static void test_a_lowered_default_has_a_line(void **state)
{
        struct world *world = *state;

        assert_int_equal(world->policy.limits[VTD_POLICY_MAPPINGS].line, 0);
        assert_int_equal(make(world, "device = nic0\nmappings = 3\n"), 0);
        assert_int_equal(vtd_policy_verify(&world->made, NULL), 0);
        assert_int_equal(world->made.limits[VTD_POLICY_MAPPINGS].value, 3);
        assert_int_equal(world->made.limits[VTD_POLICY_MAPPINGS].line, 2);
        expect_refused(world, "device = nic0\nmappings = 200\n", 2, "mappings 200 asked");
}

static void test_the_user_is_the_policys(void **state)
{
        struct world *world = *state;

        assert_int_equal(make(world, "uid = 2001\ndevice = nic0\n"), 0);
        expect_refused(world, "uid = 2002\ndevice = nic0\n", 4, "run as user 2001");
        expect_refused(world, "uid = 4294969297\ndevice = nic0\n", 4, "run as user 2001");
}

static void test_covers_what_has_the_same_name_and_address(void **state)
{
        struct world *world = *state;
        struct vtd_policy_device device = world->policy.devices[0];

        assert_true(vtd_grant_policy_covers(&world->policy, &device, world->files));
        device.exceptions = VTD_POLICY_ALLOW_NO_RESET;
        assert_true(vtd_grant_policy_covers(&world->policy, &device, world->files));
        (void)snprintf(device.address, sizeof(device.address), "0000:00:05.0");
        assert_false(vtd_grant_policy_covers(&world->policy, &device, world->files));
        device = world->policy.devices[0];
        (void)snprintf(device.name, sizeof(device.name), "nic9");
        assert_false(vtd_grant_policy_covers(&world->policy, &device, world->files));
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_devices_are_chosen_by_name_or_address),
                TEST(test_only_granted_devices_are_given),
                TEST(test_limits_only_narrow),
                TEST(test_a_lowered_default_has_a_line),
                TEST(test_the_user_is_the_policys),
                TEST(test_covers_what_has_the_same_name_and_address),
        };

        return cmocka_run_group_tests_name("grant-policy", tests, NULL, NULL);
}
