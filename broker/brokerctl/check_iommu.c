/* SPDX-License-Identifier: MIT */
/*
 * The IOMMUs, by what each unit's capability registers say, and the functions that VMs are to have.
 * Bits are those of the architecture's extended capability register.
 */
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "broker/brokerctl/checks.h"
#include "broker/topology/topology.h"

#define ECAP_IR    (UINT64_C(1) << 3)
#define ECAP_SC    (UINT64_C(1) << 7)
#define ECAP_NEST  (UINT64_C(1) << 26)
#define ECAP_PASID (UINT64_C(1) << 40)
#define ECAP_SMTS  (UINT64_C(1) << 43)
#define ECAP_FSTS  (UINT64_C(1) << 47)

#define SYSFS_CLASS "sys/class/iommu"

static void check_nesting(struct vtd_checks *checks, const char *unit, uint64_t ecap)
{
        static const struct {
                uint64_t bit;
                const char *check;
                const char *what;
        } needed[] = {
                {ECAP_SMTS, "scalable mode", "the unit has none (ECAP.SMTS is 0)"},
                {ECAP_FSTS, "first-stage translation", "the unit has none (ECAP.FSTS is 0)"},
                {ECAP_NEST, "nested translation", "the unit has none (ECAP.NEST is 0)"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(needed); i++) {
                if (ecap & needed[i].bit)
                        vtd_checks_say(checks, VTD_CHECK_OK, needed[i].check, unit, NULL,
                                       "the unit has it");
                else
                        vtd_checks_say(checks, VTD_CHECK_MISSING, needed[i].check, unit,
                                       "use devices behind another unit, or newer hardware: "
                                       "devices behind this one can be plugged by no VM",
                                       "%s", needed[i].what);
        }
        if (!(ecap & ECAP_PASID))
                vtd_checks_say(checks, VTD_CHECK_NOTE, "PASIDs", unit, NULL,
                               "the unit has none: its devices work without");
        if (!(ecap & ECAP_SC))
                vtd_checks_say(checks, VTD_CHECK_NOTE, "snoop control", unit,
                               "\"allow = no-snoop-control\" in the section of each device behind "
                               "it, which weakens what its guest can rely on",
                               "the unit has none: its devices are refused without an exception");
}

/* Hardware that could; this says whether the kernel was told not to. */
static void check_boot(struct vtd_checks *checks)
{
        bool known;
        bool by_default = vtd_checks_configured(
                checks, "CONFIG_INTEL_IOMMU_SCALABLE_MODE_DEFAULT_ON", &known);

        if (vtd_checks_booted_with(checks, "sm_off"))
                vtd_checks_say(checks, VTD_CHECK_MISSING, "scalable mode", "boot",
                               "boot with intel_iommu=on,sm_on",
                               "switched off by the kernel's command line");
        else if (vtd_checks_booted_with(checks, "sm_on") || by_default)
                vtd_checks_say(checks, VTD_CHECK_OK, "scalable mode", "boot", NULL, "switched on");
        else
                vtd_checks_say(checks, known ? VTD_CHECK_MISSING : VTD_CHECK_UNKNOWN,
                               "scalable mode", "boot", "boot with intel_iommu=on,sm_on", "%s",
                               known ? "not switched on"
                                     : "not on the kernel's command line; it may be the "
                                       "kernel's default");
        if (vtd_checks_booted_with(checks, "intremap=off") ||
            vtd_checks_booted_with(checks, "nointremap"))
                vtd_checks_say(checks, VTD_CHECK_MISSING, "interrupt remapping", "boot",
                               "boot without intremap=off: VFIO gives out no device otherwise",
                               "switched off by the kernel's command line");
}

/* True for a VT-d unit. */
static bool check_unit(struct vtd_checks *checks, const char *unit)
{
        g_autofree char *path = g_strdup_printf(SYSFS_CLASS "/%s/intel-iommu/ecap", unit);
        uint64_t ecap;

        if (!vtd_checks_read_hex(checks, path, &ecap)) {
                vtd_checks_say(checks, VTD_CHECK_NOTE, "IOMMU", unit, NULL,
                               "not a VT-d unit: devices behind it are refused");
                return false;
        }
        vtd_checks_say(checks, VTD_CHECK_OK, "IOMMU", unit, NULL, "ecap 0x%" PRIx64, ecap);
        check_nesting(checks, unit, ecap);
        if (ecap & ECAP_IR)
                vtd_checks_say(checks, VTD_CHECK_OK, "interrupt remapping", unit, NULL,
                               "the unit has it");
        else
                vtd_checks_say(checks, VTD_CHECK_MISSING, "interrupt remapping", unit,
                               "switch it on in the firmware, or use newer hardware",
                               "the unit has none: VFIO gives out no device behind it");
        return true;
}

static gint compare(gconstpointer a, gconstpointer b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void vtd_check_iommu(struct vtd_checks *checks)
{
        g_autofree char *path = g_strdup_printf("%s/" SYSFS_CLASS, checks->root);
        g_autoptr(GPtrArray) units = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
        const char *name;
        bool found = false;

        while (directory && (name = g_dir_read_name(directory)))
                g_ptr_array_add(units, g_strdup(name));
        g_ptr_array_sort(units, compare);
        for (guint i = 0; i < units->len; i++)
                found = check_unit(checks, g_ptr_array_index(units, i)) || found;
        if (found)
                check_boot(checks);
        else
                vtd_checks_say(checks, VTD_CHECK_MISSING, "IOMMU", "",
                               "switch VT-d on in the firmware, and boot with "
                               "intel_iommu=on,sm_on",
                               "the kernel uses no VT-d unit");
}

/* The last part of where a link below the function points, or NULL. */
static char *read_link(const struct vtd_checks *checks, const char *address, const char *name)
{
        g_autofree char *path =
                g_strdup_printf("%s/sys/bus/pci/devices/%s/%s", checks->root, address, name);
        g_autofree char *target = g_file_read_link(path, NULL);

        return target ? g_path_get_basename(target) : NULL;
}

static void check_driver(struct vtd_checks *checks, const char *address)
{
        g_autofree char *driver = read_link(checks, address, "driver");
        g_autofree char *path =
                g_strdup_printf("%s/sys/bus/pci/devices/%s/vfio-dev", checks->root, address);
        g_autofree char *mend = g_strdup_printf(
                "echo vfio-pci > /sys/bus/pci/devices/%s/driver_override; %s%s%secho %s > "
                "/sys/bus/pci/drivers_probe",
                address, driver ? "echo " : "", driver ? address : "",
                driver ? " > /sys/bus/pci/devices/.../driver/unbind; " : "", address);

        if (!driver || strcmp(driver, "vfio-pci") != 0)
                vtd_checks_say(checks, VTD_CHECK_MISSING, "driver", address, mend,
                               "bound to %s, not to vfio-pci", driver ? driver : "nothing");
        else if (!g_file_test(path, G_FILE_TEST_IS_DIR))
                vtd_checks_say(checks, VTD_CHECK_MISSING, "driver", address,
                               "build a kernel with CONFIG_VFIO_DEVICE_CDEV",
                               "vfio-pci, but without a VFIO device cdev");
        else
                vtd_checks_say(checks, VTD_CHECK_OK, "driver", address, NULL, "vfio-pci");
}

/* The functions of its IOMMU group beside itself, "0000:00:04.1 0000:00:04.2". */
static char *list_members(const struct vtd_checks *checks, const char *address)
{
        g_autofree char *path = g_strdup_printf("%s/sys/bus/pci/devices/%s/iommu_group/devices",
                                                checks->root, address);
        g_autoptr(GPtrArray) members = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
        const char *name;

        while (directory && (name = g_dir_read_name(directory)))
                if (strcmp(name, address) != 0)
                        g_ptr_array_add(members, g_strdup(name));
        g_ptr_array_sort(members, compare);
        g_ptr_array_add(members, NULL);
        return g_strjoinv(" ", (char **)members->pdata);
}

static void check_group(struct vtd_checks *checks, const char *sysfs, const char *address)
{
        size_t members = vtd_topology_count_group(sysfs, address);
        g_autofree char *others = list_members(checks, address);

        if (members == 0)
                vtd_checks_say(checks, VTD_CHECK_MISSING, "IOMMU group", address,
                               "switch VT-d on in the firmware, and boot with intel_iommu=on",
                               "none: the device is behind no IOMMU");
        else if (members > 1)
                vtd_checks_say(checks, VTD_CHECK_NOTE, "IOMMU group", address,
                               "another slot; or \"allow = shared-group\" in its section, if all "
                               "members are one tenant's",
                               "the IOMMU cannot tell it from %s: refused without an exception",
                               others);
        else
                vtd_checks_say(checks, VTD_CHECK_OK, "IOMMU group", address, NULL, "its own");
}

static void check_bridges(struct vtd_checks *checks, const char *sysfs, const char *address)
{
        char bridge[VTD_PCI_ADDRESS_SIZE];

        if (vtd_topology_judge(sysfs, address, bridge) == VTD_TOPOLOGY_E_BRIDGE)
                vtd_checks_say(checks, VTD_CHECK_MISSING, "bridges", address,
                               "another slot, below PCI Express ports only",
                               "behind %s, which is no PCI Express port", bridge);
}

/* A function that can be reset has this file, with at least one method. */
static void check_reset(struct vtd_checks *checks, const char *address)
{
        g_autofree char *path = g_strdup_printf("sys/bus/pci/devices/%s/reset_method", address);
        g_autofree char *methods = vtd_checks_read(checks, path);

        if (methods && methods[0] != '\0')
                vtd_checks_say(checks, VTD_CHECK_OK, "reset", address, NULL, "%s", methods);
        else
                vtd_checks_say(checks, VTD_CHECK_NOTE, "reset", address,
                               "\"allow = no-reset\" in its section, if its next owner may find "
                               "what the last one left",
                               "it cannot be reset: refused without an exception");
}

static void check_snoop(struct vtd_checks *checks, const char *address)
{
        g_autofree char *path =
                g_strdup_printf("sys/bus/pci/devices/%s/iommu/intel-iommu/ecap", address);
        g_autofree char *unit = read_link(checks, address, "iommu");
        uint64_t ecap;

        if (!vtd_checks_read_hex(checks, path, &ecap))
                vtd_checks_say(checks, VTD_CHECK_MISSING, "unit", address,
                               "use a device behind a VT-d unit",
                               "its IOMMU is not a VT-d unit, or it has none");
        else if (!(ecap & ECAP_SC))
                vtd_checks_say(checks, VTD_CHECK_NOTE, "unit", address,
                               "\"allow = no-snoop-control\" in its section",
                               "%s lacks snoop control: refused without an exception",
                               unit ? unit : "its unit");
        else
                vtd_checks_say(checks, VTD_CHECK_OK, "unit", address, NULL, "%s",
                               unit ? unit : "a VT-d unit");
}

void vtd_check_device(struct vtd_checks *checks, const char *address)
{
        g_autofree char *sysfs = g_strdup_printf("%s/sys", checks->root);
        g_autofree char *path = g_strdup_printf("%s/bus/pci/devices/%s", sysfs, address);

        if (!vtd_topology_is_address(address) || !g_file_test(path, G_FILE_TEST_EXISTS)) {
                vtd_checks_say(checks, VTD_CHECK_MISSING, "device", address,
                               "an address has the form 0000:00:04.0; lspci -D lists them",
                               "there is no such function");
                return;
        }
        check_driver(checks, address);
        check_group(checks, sysfs, address);
        check_bridges(checks, sysfs, address);
        check_reset(checks, address);
        check_snoop(checks, address);
}
