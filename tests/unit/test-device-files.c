/* SPDX-License-Identifier: MIT */
/*
 * broker/brokerd/device_files.c and topology.c: which devices are opened, judged against a tree of
 * files in the form of sysfs.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "broker/brokerd/device_files.h"
#include "broker/topology/topology.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

#define CONVENTIONAL (-1) /* a bridge without PCI Express capability */
#define ROOT_PORT    4
#define UPSTREAM     5
#define DOWNSTREAM   6
#define PCIE_TO_PCI  7
#define PCI_TO_PCIE  8

#define BUS        "/devices/pci0000:00"
#define ON_ROOT    "0000:00:04.0"
#define ON_PORT    "0000:01:00.0"
#define ON_SWITCH  "0000:04:00.0"
#define ON_BRIDGE  "0000:06:01.0"
#define ON_LEGACY  "0000:07:02.0"
#define ON_REVERSE "0000:08:00.0"
#define DEVICES    6

static const char *const addresses[DEVICES] = {ON_ROOT,   ON_PORT,   ON_SWITCH,
                                               ON_BRIDGE, ON_LEGACY, ON_REVERSE};

struct tree {
        char root[32];
        char dev[48];
        struct vtd_device_files *files;
        struct vtd_policy policy;
        struct vtd_device_text text;
        bool can_open;   /* device files can be made and opened here */
        char closed[64]; /* what is said if not */
};

static void path_of(const struct tree *tree, char *path, size_t size, const char *below)
{
        assert_true(snprintf(path, size, "%s%s", tree->root, below) < (int)size);
}

static void make_directories(const struct tree *tree, const char *below)
{
        char path[256];

        path_of(tree, path, sizeof(path), below);
        for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
                *at = '\0';
                assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
                *at = '/';
        }
        assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
}

static void write_file(const struct tree *tree, const char *below, const void *data, size_t size)
{
        VTD_CLEANUP_FD int fd = -1;
        char path[256];

        path_of(tree, path, sizeof(path), below);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, size), (ssize_t)size);
}

static void make_link(const struct tree *tree, const char *below, const char *target)
{
        char path[256];

        path_of(tree, path, sizeof(path), below);
        assert_int_equal(symlink(target, path), 0);
}

/* Configuration space of a bridge; @type is its PCI Express port type or CONVENTIONAL. */
static void write_bridge(const struct tree *tree, const char *directory, int type)
{
        uint8_t config[256] = {[0x0e] = 0x81};
        char path[256];

        config[0x06] = 0x10;
        config[0x34] = 0x50; /* power management, which is not it */
        config[0x50] = 0x01;
        if (type != CONVENTIONAL) {
                config[0x51] = 0x80;
                config[0x80] = 0x10;
                config[0x82] = (uint8_t)(type << 4 | 2);
        }
        make_directories(tree, directory);
        (void)snprintf(path, sizeof(path), "%s/config", directory);
        write_file(tree, path, config, sizeof(config));
}

/* An endpoint at the path @directory, alone in its IOMMU group and bound to vfio-pci. */
static void make_endpoint(const struct tree *tree, const char *directory, unsigned number)
{
        const char *address = strrchr(directory, '/') + 1;
        char path[256], target[256];

        (void)snprintf(path, sizeof(path), "/groups/%u/devices/%s", number, address);
        make_directories(tree, path);
        (void)snprintf(path, sizeof(path), "%s/vfio-dev/vfio%u", directory, number);
        make_directories(tree, path);
        (void)snprintf(path, sizeof(path), "%s/vfio-dev/vfio%u/dev", directory, number);
        write_file(tree, path, "1:3\n", 4);
        (void)snprintf(path, sizeof(path), "%s/iommu_group", directory);
        (void)snprintf(target, sizeof(target), "%s/groups/%u", tree->root, number);
        make_link(tree, path, target);
        (void)snprintf(path, sizeof(path), "%s/vendor", directory);
        write_file(tree, path, "0x8086\n", 7);
        (void)snprintf(path, sizeof(path), "%s/device", directory);
        write_file(tree, path, number < 3 ? "0x1521\n" : "0x10d3\n", 7);
        (void)snprintf(path, sizeof(path), "/class/vfio-dev/vfio%u", number);
        make_directories(tree, path);
        (void)snprintf(path, sizeof(path), "/class/vfio-dev/vfio%u/device", number);
        (void)snprintf(target, sizeof(target), "%s%s", tree->root, directory);
        make_link(tree, path, target);
        (void)snprintf(path, sizeof(path), "/bus/pci/devices/%s", address);
        (void)snprintf(target, sizeof(target), "../../..%s", directory);
        make_link(tree, path, target);
        (void)snprintf(path, sizeof(path), "%s/vfio/devices/vfio%u", tree->dev, number);
        (void)mknod(path, S_IFCHR | 0600, makedev(1, 3));
}

static void make_tree(struct tree *tree)
{
        write_bridge(tree, BUS "/0000:00:1c.0", ROOT_PORT);
        write_bridge(tree, BUS "/0000:00:1c.1", ROOT_PORT);
        write_bridge(tree, BUS "/0000:00:1c.1/0000:02:00.0", UPSTREAM);
        write_bridge(tree, BUS "/0000:00:1c.1/0000:02:00.0/0000:03:00.0", DOWNSTREAM);
        write_bridge(tree, BUS "/0000:00:1d.0", ROOT_PORT);
        write_bridge(tree, BUS "/0000:00:1d.0/0000:05:00.0", PCIE_TO_PCI);
        write_bridge(tree, BUS "/0000:00:1e.0", CONVENTIONAL);
        write_bridge(tree, BUS "/0000:00:1f.0", PCI_TO_PCIE);
        make_directories(tree, "/bus/pci/devices");
        make_directories(tree, "/dev/vfio/devices");
        make_endpoint(tree, BUS "/" ON_ROOT, 0);
        make_endpoint(tree, BUS "/0000:00:1c.0/" ON_PORT, 1);
        make_endpoint(tree, BUS "/0000:00:1c.1/0000:02:00.0/0000:03:00.0/" ON_SWITCH, 2);
        make_endpoint(tree, BUS "/0000:00:1d.0/0000:05:00.0/" ON_BRIDGE, 3);
        make_endpoint(tree, BUS "/0000:00:1e.0/" ON_LEGACY, 4);
        make_endpoint(tree, BUS "/0000:00:1f.0/" ON_REVERSE, 5);
}

static int set_up(void **state)
{
        struct tree *tree = calloc(1, sizeof(*tree));
        VTD_CLEANUP_FD int probe = -1;
        char path[128];

        assert_non_null(tree);
        (void)snprintf(tree->root, sizeof(tree->root), "/tmp/vtd-sysfs-XXXXXX");
        assert_non_null(mkdtemp(tree->root));
        (void)snprintf(tree->dev, sizeof(tree->dev), "%s/dev", tree->root);
        make_tree(tree);
        (void)snprintf(path, sizeof(path), "%s/vfio/devices/vfio0", tree->dev);
        probe = open(path, O_RDWR | O_CLOEXEC);
        tree->can_open = probe >= 0;
        (void)snprintf(tree->closed, sizeof(tree->closed), "could not be opened: %s",
                       tree->can_open ? "" : strerror(errno));
        tree->files = vtd_device_files_new(VTD_HOST_LINUX, tree->root, tree->dev);
        (void)snprintf(tree->policy.tenant, sizeof(tree->policy.tenant), "blue");
        tree->policy.n_devices = DEVICES;
        for (size_t i = 0; i < DEVICES; i++) {
                struct vtd_policy_device *device = &tree->policy.devices[i];

                device->source = VTD_POLICY_SOURCE_PCI;
                (void)snprintf(device->name, sizeof(device->name), "nic%zu", i);
                (void)snprintf(device->address, sizeof(device->address), "%s", addresses[i]);
        }
        *state = tree;
        return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
        (void)status;
        (void)kind;
        (void)walk;
        return remove(path);
}

static int tear_down(void **state)
{
        struct tree *tree = *state;

        tree->files = vtd_device_files_free(tree->files);
        assert_int_equal(nftw(tree->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
        free(tree);
        return 0;
}

static void expect(struct tree *tree, uint32_t index, uint32_t vm,
                   enum vtd_control_device_result result, const char *text)
{
        int fd = -1;

        tree->text.text[0] = '\0';
        assert_int_equal(vtd_device_files_open(tree->files, &tree->policy, index, vm, &fd,
                                               &tree->text, NULL),
                         result);
        assert_int_equal(fd >= 0, result == VTD_CONTROL_DEVICE_OPENED);
        assert_string_equal(tree->text.text, text);
        fd = vtd_close(fd);
}

/* Without privilege the file of the device cannot be made, and that shows. */
static void expect_not_opened(struct tree *tree, uint32_t index, uint32_t number)
{
        char text[96];

        (void)snprintf(text, sizeof(text), "vfio%u %s", number, tree->closed);
        expect(tree, index, 1, VTD_CONTROL_DEVICE_MISSING, text);
}

/* Nothing is held against the device. */
static void expect_granted(struct tree *tree, uint32_t index)
{
        if (tree->can_open)
                expect(tree, index, 1, VTD_CONTROL_DEVICE_OPENED, "");
        else
                expect_not_opened(tree, index, index);
        vtd_device_files_release(tree->files, 1, index);
}

static void expect_bridge(struct tree *tree, uint32_t index, const char *bridge)
{
        char text[160];

        (void)snprintf(text, sizeof(text),
                       "behind bridge %s, which is no PCI Express port: requests do not carry the "
                       "device's own id",
                       bridge);
        expect(tree, index, 1, VTD_CONTROL_DEVICE_BRIDGE, text);
}

static void s22_devices_behind_ports_of_pci_express_are_opened(void **state)
{
        struct tree *tree = *state;

        expect_granted(tree, 0);
        expect_granted(tree, 1);
        expect_granted(tree, 2);
}

static void s22_a_device_behind_a_bridge_to_pci_is_refused(void **state)
{
        struct tree *tree = *state;

        expect_bridge(tree, 3, "0000:05:00.0");
        expect_bridge(tree, 4, "0000:00:1e.0");
        expect_bridge(tree, 5, "0000:00:1f.0");
        for (size_t i = 0; i < DEVICES; i++)
                tree->policy.devices[i].exceptions = VTD_POLICY_ALLOW_SHARED_GROUP |
                                                     VTD_POLICY_ALLOW_NO_RESET |
                                                     VTD_POLICY_ALLOW_NO_SNOOP_CONTROL;
        expect_bridge(tree, 3, "0000:05:00.0");
}

static void s22_a_bridge_that_cannot_be_judged_is_one(void **state)
{
        static const char config[] = BUS "/0000:00:1c.0/config";
        uint8_t bytes[256] = {[0x06] = 0x10, [0x0e] = 0x01, [0x34] = 0x40};
        struct tree *tree = *state;
        char path[256];

        /* A list of capabilities that leads back to itself. */
        bytes[0x40] = 0x01;
        bytes[0x41] = 0x40;
        write_file(tree, config, bytes, sizeof(bytes));
        expect_bridge(tree, 1, "0000:00:1c.0");
        /* A root port in everything but the type of its header. */
        bytes[0x40] = 0x10;
        bytes[0x42] = ROOT_PORT << 4 | 2;
        write_file(tree, config, bytes, sizeof(bytes));
        expect_granted(tree, 1);
        bytes[0x0e] = 0x02;
        write_file(tree, config, bytes, sizeof(bytes));
        expect_bridge(tree, 1, "0000:00:1c.0");
        /* What a reader without privilege gets of it. */
        bytes[0x0e] = 0x01;
        write_file(tree, config, bytes, 64);
        expect_bridge(tree, 1, "0000:00:1c.0");
        path_of(tree, path, sizeof(path), config);
        assert_int_equal(unlink(path), 0);
        expect_bridge(tree, 1, "0000:00:1c.0");
}

static void s22_a_shared_group_is_refused_unless_the_policy_says_so(void **state)
{
        struct tree *tree = *state;

        make_directories(tree, "/groups/1/devices/0000:01:00.1");
        expect(tree, 1, 1, VTD_CONTROL_DEVICE_GROUP,
               "its IOMMU group has 2 functions, 1 is allowed");
        tree->policy.devices[1].exceptions =
                VTD_POLICY_ALLOW_NO_RESET | VTD_POLICY_ALLOW_NO_SNOOP_CONTROL;
        expect(tree, 1, 1, VTD_CONTROL_DEVICE_GROUP,
               "its IOMMU group has 2 functions, 1 is allowed");
        tree->policy.devices[1].exceptions = VTD_POLICY_ALLOW_SHARED_GROUP;
        expect_granted(tree, 1);
}

static void what_is_not_there_is_missing(void **state)
{
        struct tree *tree = *state;
        char path[256];

        (void)snprintf(tree->policy.devices[0].address, sizeof(tree->policy.devices[0].address),
                       "0000:00:05.0");
        expect(tree, 0, 1, VTD_CONTROL_DEVICE_MISSING, "no such function is there");
        (void)snprintf(tree->policy.devices[0].address, sizeof(tree->policy.devices[0].address),
                       "../0:00:05.0");
        expect(tree, 0, 1, VTD_CONTROL_DEVICE_MISSING, "no such function is there");
        path_of(tree, path, sizeof(path), BUS "/0000:00:1c.0/" ON_PORT "/iommu_group");
        assert_int_equal(unlink(path), 0);
        expect(tree, 1, 1, VTD_CONTROL_DEVICE_NO_IOMMU, "behind no IOMMU");
        path_of(tree, path, sizeof(path),
                BUS "/0000:00:1c.1/0000:02:00.0/0000:03:00.0/" ON_SWITCH "/vfio-dev/vfio2/dev");
        assert_int_equal(unlink(path), 0);
        if (tree->can_open)
                expect(tree, 2, 1, VTD_CONTROL_DEVICE_MISSING,
                       "vfio2 has not the device number that sysfs gives (udev may be late)");
        else
                expect_not_opened(tree, 2, 2);
        *strrchr(path, '/') = '\0';
        assert_int_equal(rmdir(path), 0);
        expect(tree, 2, 1, VTD_CONTROL_DEVICE_MISSING,
               "not bound to vfio-pci (vtd-brokerctl check-host says how)");
        tree->policy.devices[2].source = VTD_POLICY_SOURCE_SIMULATED;
        expect(tree, 2, 1, VTD_CONTROL_DEVICE_MISSING, "not a device of this host kind");
}

static void grant(struct tree *tree, uint32_t index, uint32_t source, const char *address)
{
        struct vtd_policy_device *device = &tree->policy.devices[index];

        device->source = source;
        (void)snprintf(device->address, sizeof(device->address), "%s", address);
}

static void a_cdev_is_the_function_behind_it(void **state)
{
        struct tree *tree = *state;
        char path[256];

        grant(tree, 0, VTD_POLICY_SOURCE_CDEV, "vfio0");
        expect_granted(tree, 0);
        grant(tree, 1, VTD_POLICY_SOURCE_CDEV, "vfio4");
        expect_bridge(tree, 1, "0000:00:1e.0");
        grant(tree, 1, VTD_POLICY_SOURCE_CDEV, "vfio9");
        expect(tree, 1, 1, VTD_CONTROL_DEVICE_MISSING, "no PCI function has this cdev");
        grant(tree, 1, VTD_POLICY_SOURCE_CDEV, "../pci");
        expect(tree, 1, 1, VTD_CONTROL_DEVICE_MISSING, "no PCI function has this cdev");
        /* Something that is no PCI function. */
        make_directories(tree, "/class/vfio-dev/vfio10");
        path_of(tree, path, sizeof(path), "/devices");
        make_link(tree, "/class/vfio-dev/vfio10/device", path);
        grant(tree, 1, VTD_POLICY_SOURCE_CDEV, "vfio10");
        expect(tree, 1, 1, VTD_CONTROL_DEVICE_MISSING, "no PCI function has this cdev");
}

/*
 * Something changes after the device was judged and its cdev opened: at the moment when vtd-brokerd
 * looks at the cdev's number, which is a FIFO here.
 */
struct change {
        const struct tree *tree;
        const char *fifo;
        void (*make)(const struct tree *tree);
};

static void *change_while_it_is_opened(void *opaque)
{
        const struct change *change = opaque;
        VTD_CLEANUP_FD int fd = -1;
        char path[256];

        path_of(change->tree, path, sizeof(path), change->fifo);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        change->make(change->tree);
        return (void *)(intptr_t)(fd >= 0 && write(fd, "1:3\n", 4) == 4);
}

static void expect_changed(struct tree *tree, void (*make)(const struct tree *tree),
                           enum vtd_control_device_result result, const char *text)
{
        struct change change = {
                .tree = tree,
                .fifo = BUS "/0000:00:1c.0/" ON_PORT "/vfio-dev/vfio1/dev",
                .make = make,
        };
        pthread_t thread;
        void *changed;
        char path[256];

        path_of(tree, path, sizeof(path), change.fifo);
        assert_true(unlink(path) == 0 && mkfifo(path, 0600) == 0);
        assert_int_equal(pthread_create(&thread, NULL, change_while_it_is_opened, &change), 0);
        expect(tree, 1, 1, result, text);
        assert_int_equal(pthread_join(thread, &changed), 0);
        assert_non_null(changed);
}

static void join_group(const struct tree *tree)
{
        make_directories(tree, "/groups/1/devices/0000:01:00.1");
}

static void become_another_kind(const struct tree *tree)
{
        write_file(tree, BUS "/0000:00:1c.0/" ON_PORT "/device", "0x10d3\n", 7);
}

static void what_changes_while_it_is_opened_is_seen(void **state)
{
        struct tree *tree = *state;

        if (!tree->can_open)
                skip();
        expect_changed(tree, join_group, VTD_CONTROL_DEVICE_GROUP,
                       "its IOMMU group has 2 functions, 1 is allowed");
        tree->policy.devices[1].exceptions = VTD_POLICY_ALLOW_SHARED_GROUP;
        expect(tree, 0, 2, VTD_CONTROL_DEVICE_OPENED, "");
        expect(tree, 2, 3, VTD_CONTROL_DEVICE_OPENED, "");
        grant(tree, 1, VTD_POLICY_SOURCE_KIND, "8086:1521");
        /* The next of this kind is tried, and its holder is what is told. */
        expect_changed(tree, become_another_kind, VTD_CONTROL_DEVICE_HELD, "held by vm 3");
}

/* The name of its cdev has gone to another function since it was looked up. */
static void a_cdev_of_another_function_is_not_opened(void **state)
{
        struct tree *tree = *state;
        char path[256];

        path_of(tree, path, sizeof(path), BUS "/" ON_ROOT);
        make_directories(tree, "/class/vfio-dev/vfio9");
        make_link(tree, "/class/vfio-dev/vfio9/device", path);
        grant(tree, 0, VTD_POLICY_SOURCE_CDEV, "vfio9");
        if (tree->can_open)
                expect(tree, 0, 1, VTD_CONTROL_DEVICE_MISSING, "its cdev is called vfio0 by now");
        else
                expect_not_opened(tree, 0, 0);
}

/* By whichever name: the function is held, not the section. */
static void one_function_is_held_under_all_its_names(void **state)
{
        struct tree *tree = *state;

        if (!tree->can_open) {
                grant(tree, 0, VTD_POLICY_SOURCE_CDEV, "vfio0");
                expect_granted(tree, 0);
                return;
        }
        expect(tree, 0, 1, VTD_CONTROL_DEVICE_OPENED, "");
        grant(tree, 1, VTD_POLICY_SOURCE_CDEV, "vfio0");
        expect(tree, 1, 2, VTD_CONTROL_DEVICE_HELD, "held by vm 1");
        /* Three functions of the kind, of which one is held. */
        grant(tree, 1, VTD_POLICY_SOURCE_KIND, "8086:1521");
        grant(tree, 2, VTD_POLICY_SOURCE_KIND, "8086:1521");
        grant(tree, 3, VTD_POLICY_SOURCE_KIND, "8086:1521");
        expect(tree, 1, 2, VTD_CONTROL_DEVICE_OPENED, "");
        expect(tree, 2, 2, VTD_CONTROL_DEVICE_OPENED, "");
        expect(tree, 3, 3, VTD_CONTROL_DEVICE_HELD, "held by vm 2");
        /* What is released is that VM's that device. */
        vtd_device_files_release(tree->files, 2, 0);
        vtd_device_files_release(tree->files, 3, 1);
        expect(tree, 3, 3, VTD_CONTROL_DEVICE_HELD, "held by vm 2");
        vtd_device_files_release(tree->files, 2, 1);
        expect(tree, 3, 3, VTD_CONTROL_DEVICE_OPENED, "");
}

static void a_kind_is_the_first_function_that_nothing_is_held_against(void **state)
{
        struct tree *tree = *state;

        grant(tree, 0, VTD_POLICY_SOURCE_KIND, "8086:ffff");
        expect(tree, 0, 1, VTD_CONTROL_DEVICE_MISSING, "no function of this kind is there");
        /* All three of this kind are behind bridges: the last one's reason is given. */
        grant(tree, 0, VTD_POLICY_SOURCE_KIND, "8086:10d3");
        expect_bridge(tree, 0, "0000:00:1f.0");
        /* The first in order shares its group: the next one is taken. */
        make_directories(tree, "/groups/0/devices/0000:00:04.1");
        grant(tree, 0, VTD_POLICY_SOURCE_KIND, "8086:1521");
        if (tree->can_open) {
                expect(tree, 0, 1, VTD_CONTROL_DEVICE_OPENED, "");
                grant(tree, 1, VTD_POLICY_SOURCE_PCI, ON_PORT);
                expect(tree, 1, 2, VTD_CONTROL_DEVICE_HELD, "held by vm 1");
        } else {
                expect_not_opened(tree, 0, 2);
        }
}

static void a_device_is_one_vms_until_it_is_released(void **state)
{
        struct tree *tree = *state;

        tree->files = vtd_device_files_free(tree->files);
        tree->files = vtd_device_files_new(VTD_HOST_SIMULATED, tree->root, tree->dev);
        tree->policy.devices[0].source = VTD_POLICY_SOURCE_SIMULATED;
        (void)snprintf(tree->policy.devices[0].address, sizeof(tree->policy.devices[0].address),
                       "edu");
        expect(tree, 0, 7, VTD_CONTROL_DEVICE_OPENED, "");
        expect(tree, 0, 8, VTD_CONTROL_DEVICE_HELD, "held by vm 7");
        vtd_device_files_release(tree->files, 7, 0);
        expect(tree, 0, 8, VTD_CONTROL_DEVICE_OPENED, "");
}

/* clang-format off */
#define TEST(name_, function_) {name_, function_, set_up, tear_down, NULL}
/* clang-format on */

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST("S22: a device on the root bus or behind PCI Express ports is opened",
                     s22_devices_behind_ports_of_pci_express_are_opened),
                TEST("S22: a device behind a PCIe-to-PCI bridge is refused, whatever the policy "
                     "excepts",
                     s22_a_device_behind_a_bridge_to_pci_is_refused),
                TEST("S22: a bridge that cannot be judged counts as one to PCI",
                     s22_a_bridge_that_cannot_be_judged_is_one),
                TEST("S22: an IOMMU group with other members is refused unless the policy names it",
                     s22_a_shared_group_is_refused_unless_the_policy_says_so),
                TEST("S22: what is not there, not bound or no address is missing",
                     what_is_not_there_is_missing),
                TEST("a cdev stands for the function behind it, judged like any",
                     a_cdev_is_the_function_behind_it),
                TEST("a cdev's name that has gone to another function opens nothing",
                     a_cdev_of_another_function_is_not_opened),
                TEST("what changes between judging a device and having it open is seen",
                     what_changes_while_it_is_opened_is_seen),
                TEST("a function is held under all the names that policies have for it",
                     one_function_is_held_under_all_its_names),
                TEST("a vendor and device id stands for the first function that can be had",
                     a_kind_is_the_first_function_that_nothing_is_held_against),
                TEST("a device is one VM's until it is released",
                     a_device_is_one_vms_until_it_is_released),
        };

        return cmocka_run_group_tests_name("device-files", tests, NULL, NULL);
}
