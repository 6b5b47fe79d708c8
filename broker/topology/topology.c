/* SPDX-License-Identifier: MIT */
/*
 * See topology.h.  sysfs is the kernel's, hence trusted; addresses come from policy files and are
 * still not used as part of a path before their form is checked.
 */
#include "broker/topology/topology.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/schema.h"
#include "shared/cleanup.h"
#include "shared/error.h"

/* What a conventional configuration space holds; capabilities do not reach beyond it. */
#define CONFIG_SIZE 256u

/* A capability takes at least four bytes, so a longer list is a loop. */
#define CAPABILITIES_MAX ((CONFIG_SIZE - PCI_STD_HEADER_SIZEOF) / 4u)

static void close_directory(DIR **directory)
{
        if (*directory)
                (void)closedir(*directory);
}

static void free_text(char **text)
{
        free(*text);
}

bool vtd_topology_is_address(const char *text)
{
        static const char form[] = "hhhh:hh:hh.o";

        if (strlen(text) != sizeof(form) - 1)
                return false;
        for (size_t i = 0; i < sizeof(form) - 1; i++) {
                char c = text[i];
                bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

                if (form[i] == 'h' ? !hex : form[i] == 'o' ? c < '0' || c > '7' : c != form[i])
                        return false;
        }
        return true;
}

static int make_path(char path[PATH_MAX], const char *sysfs, const char *address, const char *below)
{
        int length;

        if (!vtd_topology_is_address(address))
                return -EINVAL;
        length = snprintf(path, PATH_MAX, "%s/bus/pci/devices/%s/%s", sysfs, address, below);
        return length > 0 && length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int vtd_topology_open(const char *sysfs, const char *address, const char *below)
{
        char path[PATH_MAX];
        int result = make_path(path, sysfs, address, below);

        if (result < 0)
                return result;
        result = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return result < 0 ? vtd_errno() : result;
}

size_t vtd_topology_count_group(const char *sysfs, const char *address)
{
        VTD_CLEANUP(close_directory) DIR *directory = NULL;
        struct dirent *entry;
        size_t count = 0;
        int fd;

        fd = vtd_topology_open(sysfs, address, "iommu_group/devices");
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

/* The PCI Express flags of a function; 0 when it is a conventional one, which cannot be flags. */
static uint16_t express_flags(const uint8_t *config)
{
        unsigned at = config[PCI_CAPABILITY_LIST];

        if (!(config[PCI_STATUS] & PCI_STATUS_CAP_LIST))
                return 0;
        for (unsigned i = 0; i < CAPABILITIES_MAX; i++) {
                at &= ~3u;
                if (at < PCI_STD_HEADER_SIZEOF)
                        return 0;
                if (config[at] == PCI_CAP_ID_EXP)
                        return (uint16_t)(config[at + PCI_EXP_FLAGS] |
                                          config[at + PCI_EXP_FLAGS + 1] << 8);
                at = config[at + PCI_CAP_LIST_NEXT];
        }
        return 0;
}

/* True when the bridge hands requests on as they are: ports of PCI Express do, nothing else. */
static bool keeps_requester_id(const char *directory)
{
        uint8_t config[CONFIG_SIZE] = {0};
        VTD_CLEANUP_FD int fd = -1;
        char path[PATH_MAX];
        int length;

        length = snprintf(path, sizeof(path), "%s/config", directory);
        if (length < 0 || length >= (int)sizeof(path))
                return false;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, config, sizeof(config)) != (ssize_t)sizeof(config))
                return false;
        if ((config[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_MASK) != PCI_HEADER_TYPE_BRIDGE)
                return false;
        switch ((express_flags(config) & PCI_EXP_FLAGS_TYPE) >> 4) {
        case PCI_EXP_TYPE_ROOT_PORT:
        case PCI_EXP_TYPE_UPSTREAM:
        case PCI_EXP_TYPE_DOWNSTREAM:
                return true;
        default:
                return false;
        }
}

/* The path of a function names every bridge above it: .../pci0000:00/0000:00:1c.0/0000:01:00.0 */
int vtd_topology_judge(const char *sysfs, const char *address, char bridge[VTD_PCI_ADDRESS_SIZE])
{
        VTD_CLEANUP(free_text) char *real = NULL;
        char path[PATH_MAX], *name, *next;

        if (make_path(path, sysfs, address, "") < 0)
                return VTD_TOPOLOGY_E_ABSENT;
        real = realpath(path, NULL);
        if (!real)
                return VTD_TOPOLOGY_E_ABSENT;
        for (name = real + 1; (next = strchr(name, '/')) != NULL; name = next + 1) {
                *next = '\0';
                if (vtd_topology_is_address(name) && !keeps_requester_id(real)) {
                        (void)snprintf(bridge, VTD_PCI_ADDRESS_SIZE, "%s", name);
                        return VTD_TOPOLOGY_E_BRIDGE;
                }
                *next = '/';
        }
        return 0;
}

/* Reads the id that the file @name below the function gives, "0x8086\n"; -1 when it gives none. */
static long read_id(const char *sysfs, const char *address, const char *name)
{
        VTD_CLEANUP_FD int fd = -1;
        char path[PATH_MAX], text[16] = {0}, *end;
        long id;

        if (make_path(path, sysfs, address, name) < 0)
                return -1;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
                return -1;
        id = strtol(text, &end, 16);
        return end != text && *end == '\n' && id >= 0 && id <= 0xffff ? id : -1;
}

static gint compare_addresses(gconstpointer a, gconstpointer b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool vtd_topology_is_kind(const char *sysfs, const char *address, const char *kind)
{
        unsigned vendor, device;

        return sscanf(kind, "%4x:%4x", &vendor, &device) == 2 &&
               read_id(sysfs, address, "vendor") == (long)vendor &&
               read_id(sysfs, address, "device") == (long)device;
}

GPtrArray *vtd_topology_list_kind(const char *sysfs, const char *kind)
{
        GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *path = g_strdup_printf("%s/bus/pci/devices", sysfs);
        VTD_CLEANUP(close_directory) DIR *directory = opendir(path);
        struct dirent *entry;

        if (!directory)
                return found;
        while ((entry = readdir(directory)) != NULL)
                if (vtd_topology_is_address(entry->d_name) &&
                    vtd_topology_is_kind(sysfs, entry->d_name, kind))
                        g_ptr_array_add(found, g_strdup(entry->d_name));
        g_ptr_array_sort(found, compare_addresses);
        return found;
}

bool vtd_topology_find_cdev(const char *sysfs, const char *name, char address[VTD_PCI_ADDRESS_SIZE])
{
        g_autofree char *path = g_strdup_printf("%s/class/vfio-dev/%s/device", sysfs, name);
        VTD_CLEANUP(free_text) char *real = NULL;
        const char *last;

        if (vtd_schema_cdev_prefix(name, strlen(name)) != strlen(name))
                return false;
        real = realpath(path, NULL);
        last = real ? strrchr(real, '/') : NULL;
        if (!last || !vtd_topology_is_address(last + 1))
                return false;
        (void)snprintf(address, VTD_PCI_ADDRESS_SIZE, "%s", last + 1);
        return true;
}
