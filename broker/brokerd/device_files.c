/* SPDX-License-Identifier: MIT */
/*
 * See device_files.h.
 */
#include "broker/brokerd/device_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "broker/brokerd/scarcity.h"
#include "broker/topology/topology.h"
#include "broker/host_sim/device_file.h"
#include "shared/cleanup.h"
#include "shared/error.h"

struct vtd_device_files {
        enum vtd_host_kind host;
        char *sysfs; /* owned, like dev */
        char *dev;
        GHashTable *held; /* key of the device -> struct holder */
};

struct holder {
        uint32_t vm;
        uint32_t index; /* in the VM's policy */
};

static void close_directory(DIR **directory)
{
        if (*directory)
                (void)closedir(*directory);
}

struct vtd_device_files *vtd_device_files_new(enum vtd_host_kind host, const char *sysfs,
                                              const char *dev)
{
        struct vtd_device_files *files = g_new0(struct vtd_device_files, 1);

        files->host = host;
        files->sysfs = g_strdup(sysfs);
        files->dev = g_strdup(dev);
        files->held = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        return files;
}

struct vtd_device_files *vtd_device_files_free(struct vtd_device_files *files)
{
        if (files) {
                g_hash_table_unref(files->held);
                g_free(files->sysfs);
                g_free(files->dev);
                g_free(files);
        }
        return NULL;
}

int vtd_device_files_open_iommu(struct vtd_device_files *files, int *fd, struct vtd_log *log)
{
        int opened;

        if (files->host != VTD_HOST_LINUX) {
                *fd = -1;
                return 0;
        }
        opened = open("/dev/iommu", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (opened < 0) {
                int error = vtd_errno();

                return vtd_fail(log, error, "/dev/iommu: %s%s", strerror(-error),
                                error == -ENOENT || error == -ENODEV
                                        ? " (the kernel needs CONFIG_IOMMUFD)"
                                        : "");
        }
        *fd = opened;
        return 0;
}

/* Finds the name of the function's VFIO cdev ("vfio0").  Returns false when it has none. */
static bool find_vfio_name(const struct vtd_device_files *files, const char *address, char *name,
                           size_t size)
{
        VTD_CLEANUP(close_directory) DIR *directory = NULL;
        struct dirent *entry;
        int fd;

        fd = vtd_topology_open(files->sysfs, address, "vfio-dev");
        if (fd < 0)
                return false;
        directory = fdopendir(fd);
        if (!directory) {
                fd = vtd_close(fd);
                return false;
        }
        while ((entry = readdir(directory)) != NULL) {
                if (!g_str_has_prefix(entry->d_name, "vfio") || strlen(entry->d_name) >= size)
                        continue;
                (void)g_strlcpy(name, entry->d_name, size);
                return true;
        }
        return false;
}

/* The device number that sysfs gives for the cdev: /dev may lag behind a re-bound driver. */
static bool is_number_of(const struct vtd_device_files *files, const char *address,
                         const char *name, dev_t number)
{
        VTD_CLEANUP_FD int directory = -1, fd = -1;
        char path[32], text[32] = {0};
        unsigned major_number, minor_number;

        directory = vtd_topology_open(files->sysfs, address, "vfio-dev");
        if (directory < 0)
                return false;
        (void)snprintf(path, sizeof(path), "%.20s/dev", name);
        fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
                return false;
        if (sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
                return false;
        return number == makedev(major_number, minor_number);
}

/* Says in words why a device is not opened. */
__attribute__((format(printf, 3, 4))) static enum vtd_control_device_result
refuse(struct vtd_device_text *text, enum vtd_control_device_result result, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(text->text, sizeof(text->text), format, arguments);
        va_end(arguments);
        return result;
}

static enum vtd_control_device_result judge_pci(const struct vtd_device_files *files,
                                                const struct vtd_policy_device *device,
                                                const char *address, struct vtd_device_text *text)
{
        char bridge[VTD_PCI_ADDRESS_SIZE];
        size_t members;

        switch (vtd_topology_judge(files->sysfs, address, bridge)) {
        case 0:
                break;
        case VTD_TOPOLOGY_E_BRIDGE:
                return refuse(text, VTD_CONTROL_DEVICE_BRIDGE,
                              "behind bridge %s, which is no PCI Express port: requests do not "
                              "carry the device's own id",
                              bridge);
        default:
                return refuse(text, VTD_CONTROL_DEVICE_MISSING, "no such function is there");
        }
        members = vtd_topology_count_group(files->sysfs, address);
        if (members == 0)
                return refuse(text, VTD_CONTROL_DEVICE_NO_IOMMU, "behind no IOMMU");
        if (members > 1 && !(device->exceptions & VTD_POLICY_ALLOW_SHARED_GROUP))
                return refuse(text, VTD_CONTROL_DEVICE_GROUP,
                              "its IOMMU group has %zu functions, 1 is allowed", members);
        return VTD_CONTROL_DEVICE_OPENED;
}

/*
 * What was found by its ids or by its cdev's name is still that: functions can be unplugged, and
 * bound anew under the name that another one had.
 */
static enum vtd_control_device_result judge_identity(const struct vtd_device_files *files,
                                                     const struct vtd_policy_device *device,
                                                     const char *address, const char *name,
                                                     struct vtd_device_text *text)
{
        if (device->source == VTD_POLICY_SOURCE_CDEV && strcmp(name, device->address) != 0)
                return refuse(text, VTD_CONTROL_DEVICE_MISSING, "its cdev is called %s by now",
                              name);
        if (device->source == VTD_POLICY_SOURCE_KIND &&
            !vtd_topology_is_kind(files->sysfs, address, device->address))
                return refuse(text, VTD_CONTROL_DEVICE_MISSING, "not of this kind any more");
        return VTD_CONTROL_DEVICE_OPENED;
}

/*
 * Judged before it is opened, so that nothing is opened which may not be, and once more after: only
 * an open cdev keeps its function where it is and bound as it is.
 */
static enum vtd_control_device_result open_pci(const struct vtd_device_files *files,
                                               const struct vtd_policy_device *device,
                                               const char *address, int *fd,
                                               struct vtd_device_text *text)
{
        enum vtd_control_device_result result = judge_pci(files, device, address, text);
        VTD_CLEANUP_FD int opened = -1;
        char name[24], path[PATH_MAX];
        struct stat status;
        int error;

        if (result != VTD_CONTROL_DEVICE_OPENED)
                return result;
        if (!find_vfio_name(files, address, name, sizeof(name)))
                return refuse(text, VTD_CONTROL_DEVICE_MISSING,
                              "not bound to vfio-pci (vtd-brokerctl check-host says how)");
        (void)snprintf(path, sizeof(path), "%s/vfio/devices/%s", files->dev, name);
        opened = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
        if (opened < 0 || fstat(opened, &status) < 0) {
                error = vtd_errno();
                return refuse(text, VTD_CONTROL_DEVICE_MISSING, "%s could not be opened: %s%s",
                              name, strerror(-error), vtd_scarcity_text(error));
        }
        if (!S_ISCHR(status.st_mode) || !is_number_of(files, address, name, status.st_rdev))
                return refuse(text, VTD_CONTROL_DEVICE_MISSING,
                              "%s has not the device number that sysfs gives (udev may be late)",
                              name);
        result = judge_pci(files, device, address, text);
        if (result == VTD_CONTROL_DEVICE_OPENED)
                result = judge_identity(files, device, address, name, text);
        if (result == VTD_CONTROL_DEVICE_OPENED)
                *fd = VTD_TAKE_FD(opened);
        return result;
}

static enum vtd_control_device_result open_simulated(const struct vtd_policy_device *device,
                                                     int *fd, struct vtd_device_text *text)
{
        int result = vtd_sim_device_create(device->address, fd);

        if (result == 0)
                return VTD_CONTROL_DEVICE_OPENED;
        if (result == VTD_SIM_E_MODEL)
                return refuse(text, VTD_CONTROL_DEVICE_MISSING, "not created: no such model");
        return refuse(text, VTD_CONTROL_DEVICE_MISSING, "not created: %s%s", strerror(-result),
                      vtd_scarcity_text(result));
}

/* Opens what @key names, unless a VM holds it; it is held by @holder then. */
static enum vtd_control_device_result take(struct vtd_device_files *files, const char *key,
                                           const struct vtd_policy_device *device,
                                           const struct holder *holder, int *fd,
                                           struct vtd_device_text *text)
{
        const struct holder *other = g_hash_table_lookup(files->held, key);
        enum vtd_control_device_result result;

        if (other)
                return refuse(text, VTD_CONTROL_DEVICE_HELD, "held by vm %u", other->vm);
        result = files->host == VTD_HOST_LINUX ? open_pci(files, device, key, fd, text)
                                               : open_simulated(device, fd, text);
        if (result == VTD_CONTROL_DEVICE_OPENED)
                g_hash_table_insert(files->held, g_strdup(key), g_memdup2(holder, sizeof(*holder)));
        return result;
}

/*
 * Tries the functions of a kind in the order of their addresses.  When none can be had, the reason
 * given is that of the last one: with one function of the kind, that one's.
 */
static enum vtd_control_device_result take_kind(struct vtd_device_files *files,
                                                const struct vtd_policy_device *device,
                                                const struct holder *holder, int *fd,
                                                struct vtd_device_text *text)
{
        g_autoptr(GPtrArray) addresses = vtd_topology_list_kind(files->sysfs, device->address);
        enum vtd_control_device_result result =
                refuse(text, VTD_CONTROL_DEVICE_MISSING, "no function of this kind is there");

        for (guint i = 0; i < addresses->len && result != VTD_CONTROL_DEVICE_OPENED; i++)
                result = take(files, g_ptr_array_index(addresses, i), device, holder, fd, text);
        if (result == VTD_CONTROL_DEVICE_OPENED)
                text->text[0] = '\0'; /* of a function before it */
        return result;
}

static enum vtd_control_device_result take_device(struct vtd_device_files *files,
                                                  const struct vtd_policy *policy,
                                                  const struct holder *holder, int *fd,
                                                  struct vtd_device_text *text)
{
        const struct vtd_policy_device *device = &policy->devices[holder->index];
        bool simulated = device->source == VTD_POLICY_SOURCE_SIMULATED;
        char address[VTD_PCI_ADDRESS_SIZE];

        if (simulated != (files->host != VTD_HOST_LINUX))
                return refuse(text, VTD_CONTROL_DEVICE_MISSING, "not a device of this host kind");
        if (simulated) {
                /* A simulated device belongs to the tenant whose policy names it. */
                g_autofree char *key = g_strdup_printf("%s/%s", policy->tenant, device->name);

                return take(files, key, device, holder, fd, text);
        }
        if (device->source == VTD_POLICY_SOURCE_KIND)
                return take_kind(files, device, holder, fd, text);
        if (device->source == VTD_POLICY_SOURCE_PCI)
                return take(files, device->address, device, holder, fd, text);
        if (!vtd_topology_find_cdev(files->sysfs, device->address, address))
                return refuse(text, VTD_CONTROL_DEVICE_MISSING, "no PCI function has this cdev");
        return take(files, address, device, holder, fd, text);
}

enum vtd_control_device_result vtd_device_files_open(struct vtd_device_files *files,
                                                     const struct vtd_policy *policy,
                                                     uint32_t index, uint32_t vm, int *fd,
                                                     struct vtd_device_text *text,
                                                     struct vtd_log *log)
{
        const struct vtd_policy_device *device = &policy->devices[index];
        const struct holder holder = {.vm = vm, .index = index};
        enum vtd_control_device_result result = take_device(files, policy, &holder, fd, text);

        if (result != VTD_CONTROL_DEVICE_OPENED)
                (void)vtd_fail(log, 0, "%s (%s): %s", device->name, device->address, text->text);
        return result;
}

bool vtd_device_files_matches(const struct vtd_device_files *files,
                              const struct vtd_policy_device *device, const char *address)
{
        char found[VTD_PCI_ADDRESS_SIZE];

        if (!vtd_topology_is_address(address))
                return false;
        if (device->source == VTD_POLICY_SOURCE_KIND)
                return vtd_topology_is_kind(files->sysfs, address, device->address);
        if (device->source == VTD_POLICY_SOURCE_CDEV)
                return vtd_topology_find_cdev(files->sysfs, device->address, found) &&
                       strcmp(found, address) == 0;
        return device->source == VTD_POLICY_SOURCE_PCI && strcmp(device->address, address) == 0;
}

static gboolean is_held_by(gpointer key, gpointer value, gpointer opaque)
{
        const struct holder *holder = value, *wanted = opaque;

        (void)key;
        return holder->vm == wanted->vm && holder->index == wanted->index;
}

void vtd_device_files_release(struct vtd_device_files *files, uint32_t vm, uint32_t index)
{
        struct holder holder = {.vm = vm, .index = index};

        (void)g_hash_table_foreach_remove(files->held, is_held_by, &holder);
}
