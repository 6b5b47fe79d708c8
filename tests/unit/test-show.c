/* SPDX-License-Identifier: MIT */
/* broker/brokerctl/show.c and tree.c: answers as JSON, and as a tree, whatever the records say. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "broker/brokerctl/show.h"
#include "broker/brokerctl/tree.h"
#include "shared/checked.h"

static struct vtd_admin_record *record_of(const char *text)
{
        struct vtd_admin_record *record = g_new0(struct vtd_admin_record, 1);
        struct vtd_admin_reason reason;

        if (vtd_admin_decode(record, text, strlen(text), &reason) != 0)
                fail_msg("%s: %s", text, reason.text);
        return record;
}

static void expect_json(const char *text, const char *expected)
{
        g_autofree struct vtd_admin_record *record = record_of(text);
        g_autofree char *json = vtd_show_json(record);

        assert_string_equal(json, expected);
}

static void test_json_has_every_type(void **state)
{
        (void)state;
        expect_json("vtd-control 1 done\n", "{\"kind\":\"done\"}");
        expect_json("vtd-control 1 refused\nreason = a \"b\" \\c\n",
                    "{\"kind\":\"refused\",\"reason\":\"a \\\"b\\\" \\\\c\"}");
        expect_json("vtd-control 1 create-vm\ntenant = a\nconnection = no\nmemory = 4096\n",
                    "{\"kind\":\"create-vm\",\"tenant\":\"a\",\"connection\":false,\"device\":[],"
                    "\"memory\":4096}");
        expect_json("vtd-control 1 create-vm\ntenant = a\ndevice = x\ndevice = y\n",
                    "{\"kind\":\"create-vm\",\"tenant\":\"a\",\"device\":[\"x\",\"y\"]}");
        expect_json(
                "vtd-control 1 first-stage\nvm = 1\nhwpt = 2\nparent = 3\nroot = 0x1f000\n"
                "address-width = 48\nflags = 0x0\nattachments = 18446744073709551615\n",
                "{\"kind\":\"first-stage\",\"vm\":1,\"hwpt\":2,\"parent\":3,\"root\":\"0x1f000\","
                "\"address-width\":48,\"flags\":\"0x0\",\"attachments\":18446744073709551615}");
}

static void expect_size(uint64_t bytes, const char *expected)
{
        g_autofree char *text = vtd_show_size(bytes);

        assert_string_equal(text, expected);
}

static void test_sizes_are_exact(void **state)
{
        (void)state;
        expect_size(0, "0 bytes");
        expect_size(1023, "1023 bytes");
        expect_size(4096, "4 KiB");
        expect_size(UINT64_C(3) << 29, "1536 MiB");
        expect_size(UINT64_MAX, "18446744073709551615 bytes");
        expect_size(UINT64_C(1) << 63, "8388608 TiB");
}

#define VM                                                                                         \
        "vtd-control 1 vm\ntenant = blue\nname = web1\nvm = 3\nuid = 1\npolicy = b.policy\n"       \
        "state = serving\npid = 9\nworker-uid = 60000\nseconds = 1\nmemory = 1\nmappings = 1\n"    \
        "devices = 1\nfirst-stage-tables = 1\npasids = 1\ninterrupts = 1\naddress-width = 48\n"    \
        "invalidate-rate = 1\ninvalidate-burst = 1\n"
#define IOAS      "vtd-control 1 ioas\nvm = 3\nioas = 2\nmemory = 4096\nmappings = 1\n"
#define SECOND(n) "vtd-control 1 second-stage\nvm = 3\nhwpt = " #n "\nioas = 2\ndevices = 1\n"
#define FIRST(n, parent)                                                                           \
        "vtd-control 1 first-stage\nvm = 3\nhwpt = " #n "\nparent = " #parent                      \
        "\nroot = 0x1000\naddress-width = 48\nflags = 0x0\nattachments = 1\n"
#define DEVICE(name, parent)                                                                       \
        "vtd-control 1 device\nvm = 3\ndevice = " name "\naddress = edu\nparent = " #parent        \
        "\npasid-bits = 20\nbus-master = no\n"
#define ATTACHMENT(name, mode, hwpt)                                                               \
        "vtd-control 1 attachment\nvm = 3\ndevice = " name "\nmode = " mode "\nhwpt = " #hwpt "\n"

static void expect_tree(const char *const *texts, const char *expected)
{
        g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *drawing = NULL;

        for (size_t i = 0; texts[i]; i++)
                g_ptr_array_add(records, record_of(texts[i]));
        drawing = vtd_tree_draw(records);
        assert_string_equal(drawing, expected);
}

static void test_the_tree_follows_ids(void **state)
{
        /* In another order than that of the tree. */
        static const char *const texts[] = {VM,          ATTACHMENT("b", "first-stage", 7),
                                            FIRST(7, 5), DEVICE("b", 5),
                                            SECOND(4),   SECOND(5),
                                            IOAS,        NULL};

        (void)state;
        expect_tree(texts,
                    "vm 3 web1 of blue: serving, worker 9 as user 60000\n"
                    "└─ IOAS 2: 4 KiB, mappings 1\n"
                    "   ├─ second stage 4: devices 1\n"
                    "   └─ second stage 5: devices 1\n"
                    "      ├─ device b (edu): plugged, 20 PASID bits, bus mastering off: blocked\n"
                    "      └─ first stage 7: root 0x1000, 48 bits, flags 0x0, attached 1\n"
                    "         └─ device b: first-stage\n");
}

/* What changed while it was read, or was made up, is shown all the same, and once. */
static void test_what_fits_nowhere_is_shown_below_the_vm(void **state)
{
        static const char *const texts[] = {VM,
                                            "vtd-control 1 silent\nvm = 3\nmilliseconds = 1000\n",
                                            FIRST(7, 9),
                                            FIRST(9, 7),
                                            DEVICE("b", 7),
                                            ATTACHMENT("b", "first-stage", 9),
                                            ATTACHMENT("b", "passthrough", 1),
                                            NULL};

        (void)state;
        expect_tree(texts, "vm 3 web1 of blue: serving, worker 9 as user 60000\n"
                           "├─ its worker does not answer (waited 1000 ms)\n"
                           "├─ first stage 7: root 0x1000, 48 bits, flags 0x0, attached 1\n"
                           "├─ first stage 9: root 0x1000, 48 bits, flags 0x0, attached 1\n"
                           "│  └─ device b: first-stage\n"
                           "├─ device b (edu): plugged, 20 PASID bits, bus mastering off: blocked\n"
                           "└─ device b: passthrough\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_json_has_every_type),
                cmocka_unit_test(test_sizes_are_exact),
                cmocka_unit_test(test_the_tree_follows_ids),
                cmocka_unit_test(test_what_fits_nowhere_is_shown_below_the_vm),
        };

        return cmocka_run_group_tests_name("show", tests, NULL, NULL);
}
