/* SPDX-License-Identifier: MIT */
/*
 * See device_files.h.  Names of devices come from policy files, which only the administrator
 * writes; they are still never used as a path before their form is checked.
 */
#include "broker/brokerd/device_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "broker/host_sim/device_file.h"
#include "shared/cleanup.h"
#include "shared/error.h"

struct vtd_device_files {
        enum vtd_host_kind host;
        GHashTable *held; /* key of the device -> VM */
};

static void close_directory(DIR **directory)
{
        if (*directory)
                (void)closedir(*directory);
}

struct vtd_device_files *vtd_device_files_new(enum vtd_host_kind host)
{
        struct vtd_device_files *files = g_new0(struct vtd_device_files, 1);

        files->host = host;
        files->held = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        return files;
}

struct vtd_device_files *vtd_device_files_free(struct vtd_device_files *files)
{
        if (files) {
                g_hash_table_unref(files->held);
                g_free(files);
        }
        return NULL;
}

/*
 * What makes two grants the same device: the function's address on a real host; a simulated device
 * belongs to the tenant whose policy names it.
 */
static char *device_key(const struct vtd_device_files *files, const struct vtd_policy *policy,
                        const struct vtd_policy_device *device)
{
        if (files->host == VTD_HOST_LINUX)
                return g_strdup(device->address);
        return g_strdup_printf("%s/%s", policy->tenant, device->name);
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

/* Domain, bus, device and function in the form of sysfs: 0000:00:04.0. */
static bool is_pci_address(const char *address)
{
        static const char form[] = "hhhh:hh:hh.o";

        if (strlen(address) != sizeof(form) - 1)
                return false;
        for (size_t i = 0; i < sizeof(form) - 1; i++) {
                char c = address[i];
                bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

                if (form[i] == 'h' ? !hex : form[i] == 'o' ? c < '0' || c > '7' : c != form[i])
                        return false;
        }
        return true;
}

static int open_pci_directory(const char *address, const char *below)
{
        char path[96];
        int fd;

        if (!is_pci_address(address))
                return -EINVAL;
        (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, below);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? vtd_errno() : fd;
}

/* Functions in the IOMMU group of @address, itself included; 0 when it has no group. */
static size_t count_group(const char *address)
{
        VTD_CLEANUP(close_directory) DIR *directory = NULL;
        struct dirent *entry;
        size_t count = 0;
        int fd;

        fd = open_pci_directory(address, "iommu_group/devices");
        if (fd < 0)
                return 0;
        directory = fdopendir(fd);
        if (!directory) {
                fd = vtd_close(fd);
                return 0;
        }
        while ((entry = readdir(directory)) != NULL)
                if (entry->d_name[0] != '.')
                        count++;
        return count;
}

/* Finds the name of the function's VFIO cdev ("vfio0").  Returns false when it has none. */
static bool find_vfio_name(const char *address, char *name, size_t size)
{
        VTD_CLEANUP(close_directory) DIR *directory = NULL;
        struct dirent *entry;
        int fd;

        fd = open_pci_directory(address, "vfio-dev");
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
static bool is_number_of(const char *address, const char *name, dev_t number)
{
        VTD_CLEANUP_FD int directory = -1, fd = -1;
        char path[32], text[32] = {0};
        unsigned major_number, minor_number;

        directory = open_pci_directory(address, "vfio-dev");
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

static enum vtd_control_device_result open_pci(const struct vtd_policy_device *device, int *fd,
                                               struct vtd_log *log)
{
        VTD_CLEANUP_FD int opened = -1;
        char name[24], path[64];
        struct stat status;
        size_t members;

        members = count_group(device->address);
        if (members > 1 && !(device->exceptions & VTD_POLICY_ALLOW_SHARED_GROUP))
                return (enum vtd_control_device_result)vtd_fail(
                        log, VTD_CONTROL_DEVICE_GROUP,
                        "%s (%s): its IOMMU group has %zu functions, 1 is allowed", device->name,
                        device->address, members);
        if (members == 0 || !find_vfio_name(device->address, name, sizeof(name)))
                return (enum vtd_control_device_result)vtd_fail(
                        log, VTD_CONTROL_DEVICE_MISSING,
                        "%s (%s): not there, behind no IOMMU, or not bound to vfio-pci",
                        device->name, device->address);
        (void)snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
        opened = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
        if (opened < 0 || fstat(opened, &status) < 0 || !S_ISCHR(status.st_mode) ||
            !is_number_of(device->address, name, status.st_rdev))
                return (enum vtd_control_device_result)vtd_fail(
                        log, VTD_CONTROL_DEVICE_MISSING, "%s (%s): %s could not be opened",
                        device->name, device->address, path);
        *fd = VTD_TAKE_FD(opened);
        return VTD_CONTROL_DEVICE_OPENED;
}

static enum vtd_control_device_result open_simulated(const struct vtd_policy_device *device,
                                                     int *fd, struct vtd_log *log)
{
        int result = vtd_sim_device_create(device->address, fd);

        if (result == 0)
                return VTD_CONTROL_DEVICE_OPENED;
        return (enum vtd_control_device_result)vtd_fail(
                log, VTD_CONTROL_DEVICE_MISSING, "%s (%s): not created: %s", device->name,
                device->address, result == VTD_SIM_E_MODEL ? "no such model" : strerror(-result));
}

enum vtd_control_device_result vtd_device_files_open(struct vtd_device_files *files,
                                                     const struct vtd_policy *policy,
                                                     uint32_t index, uint32_t vm, int *fd,
                                                     struct vtd_log *log)
{
        const struct vtd_policy_device *device = &policy->devices[index];
        uint32_t source =
                files->host == VTD_HOST_LINUX ? VTD_POLICY_SOURCE_PCI : VTD_POLICY_SOURCE_SIMULATED;
        g_autofree char *key = device_key(files, policy, device);
        enum vtd_control_device_result result;

        if (device->source != source)
                return (enum vtd_control_device_result)vtd_fail(
                        log, VTD_CONTROL_DEVICE_MISSING, "%s (%s): not a device of this host kind",
                        device->name, device->address);
        if (g_hash_table_contains(files->held, key))
                return (enum vtd_control_device_result)vtd_fail(
                        log, VTD_CONTROL_DEVICE_HELD, "%s (%s): held by vm %u", device->name,
                        device->address, GPOINTER_TO_UINT(g_hash_table_lookup(files->held, key)));
        result = files->host == VTD_HOST_LINUX ? open_pci(device, fd, log)
                                               : open_simulated(device, fd, log);
        if (result == VTD_CONTROL_DEVICE_OPENED)
                g_hash_table_insert(files->held, g_steal_pointer(&key), GUINT_TO_POINTER(vm));
        return result;
}

void vtd_device_files_release(struct vtd_device_files *files, const struct vtd_policy *policy,
                              uint32_t index)
{
        g_autofree char *key = device_key(files, policy, &policy->devices[index]);

        g_hash_table_remove(files->held, key);
}
