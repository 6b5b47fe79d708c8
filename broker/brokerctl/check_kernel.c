/* SPDX-License-Identifier: MIT */
/* The kernel: version, configuration, /dev/iommu; and what confines workers. */
#include <glib.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/brokerctl/checks.h"
#include "broker/sandbox/landlock.h"

/* Linux versions as 100 * major + minor. */
#define VERSION_LEAST  613u
#define VERSION_PASIDS 615u
#define VERSION_RIGHTS 616u

static void check_version(struct vtd_checks *checks)
{
        g_autofree char *release = vtd_checks_read(checks, "proc/sys/kernel/osrelease");
        unsigned major, minor, version;

        if (!release || sscanf(release, "%u.%u", &major, &minor) != 2) {
                vtd_checks_say(checks, VTD_CHECK_UNKNOWN, "kernel version", "", NULL,
                               "proc/sys/kernel/osrelease cannot be read");
                return;
        }
        version = 100 * major + minor;
        if (version < VERSION_LEAST)
                vtd_checks_say(checks, VTD_CHECK_MISSING, "kernel version", "",
                               "run Linux 6.15 or later (6.13 without PASIDs)",
                               "%s: iommufd cannot map a memfd, or not nest for VT-d", release);
        else if (version < VERSION_PASIDS)
                vtd_checks_say(checks, VTD_CHECK_NOTE, "kernel version", "",
                               "run Linux 6.15 or later", "%s: no PASIDs for user space", release);
        else if (version < VERSION_RIGHTS)
                vtd_checks_say(
                        checks, VTD_CHECK_NOTE, "kernel version", "", "run Linux 6.16 or later",
                        "%s: a tenant can hold up vtd-brokerd with descriptors that are slow "
                        "to close",
                        release);
        else
                vtd_checks_say(checks, VTD_CHECK_OK, "kernel version", "", NULL, "%s", release);
}

static void check_configuration(struct vtd_checks *checks)
{
        static const char *const options[] = {
                "CONFIG_IOMMUFD",        "CONFIG_VFIO_DEVICE_CDEV", "CONFIG_VFIO_PCI",
                "CONFIG_IRQ_REMAP",      "CONFIG_INTEL_IOMMU",      "CONFIG_SECURITY_LANDLOCK",
                "CONFIG_SECCOMP_FILTER",
        };
        static const char mend[] =
                "build a kernel with it; Debian's own kernels have CONFIG_IOMMUFD off, and with it "
                "CONFIG_VFIO_DEVICE_CDEV: take their source and configuration, switch both on, and "
                "make bindeb-pkg";
        bool known = true;

        for (size_t i = 0; known && i < G_N_ELEMENTS(options); i++) {
                bool on = vtd_checks_configured(checks, options[i], &known);

                if (!known)
                        vtd_checks_say(checks, VTD_CHECK_UNKNOWN, "kernel configuration", "",
                                       "if there is one: zcat /proc/config.gz > "
                                       "/boot/config-$(uname -r)",
                                       "neither in /boot nor in /lib/modules; what follows shows "
                                       "what it amounts to");
                else if (on)
                        vtd_checks_say(checks, VTD_CHECK_OK, "kernel configuration", options[i],
                                       NULL, "on");
                else
                        vtd_checks_say(checks, VTD_CHECK_MISSING, "kernel configuration",
                                       options[i], mend, "off");
        }
}

static void check_dev_iommu(struct vtd_checks *checks)
{
        g_autofree char *path = g_strdup_printf("%s/dev/iommu", checks->root);
        struct stat status;

        if (stat(path, &status) < 0)
                vtd_checks_say(checks, VTD_CHECK_MISSING, "/dev/iommu", "",
                               "modprobe iommufd; if there is no such module, the kernel was built "
                               "without CONFIG_IOMMUFD",
                               "it is not there");
        else if ((status.st_mode & 0007) || ((status.st_mode & 0070) && status.st_gid != 0))
                vtd_checks_say(checks, VTD_CHECK_NOTE, "/dev/iommu", "",
                               "chmod 0600 and chown root, in a rule of udev: VMMs do not need it "
                               "any more",
                               "mode %04o, group %u: others than root can open it",
                               status.st_mode & 07777u, status.st_gid);
        else
                vtd_checks_say(checks, VTD_CHECK_OK, "/dev/iommu", "", NULL, "mode %04o, user %u",
                               status.st_mode & 07777u, status.st_uid);
}

void vtd_check_kernel(struct vtd_checks *checks)
{
        check_version(checks);
        check_configuration(checks);
        check_dev_iommu(checks);
}

/* The ABI is asked of the running kernel: files say only whether Landlock is switched on. */
static void check_landlock(struct vtd_checks *checks)
{
        g_autofree char *modules = vtd_checks_read(checks, "sys/kernel/security/lsm");
        g_auto(GStrv) names = g_strsplit(modules ? modules : "", ",", -1);
        uint32_t abi = checks->root[0] == '\0' ? vtd_landlock_abi() : 0;

        if (abi >= VTD_LANDLOCK_ABI_LINUX)
                vtd_checks_say(checks, VTD_CHECK_OK, "Landlock", "", NULL, "ABI %" PRIu32, abi);
        else if (abi > 0)
                vtd_checks_say(checks, VTD_CHECK_MISSING, "Landlock", "",
                               "run Linux 6.12 or later; the simulated host is content with ABI 1",
                               "ABI %" PRIu32 ", real hosts need %u", abi, VTD_LANDLOCK_ABI_LINUX);
        else if (!modules && checks->root[0] != '\0')
                vtd_checks_say(checks, VTD_CHECK_UNKNOWN, "Landlock", "", NULL,
                               "securityfs is not mounted");
        else if (g_strv_contains((const char *const *)names, "landlock"))
                vtd_checks_say(checks, VTD_CHECK_OK, "Landlock", "", NULL, "switched on");
        else
                vtd_checks_say(checks, VTD_CHECK_MISSING, "Landlock", "",
                               "boot with lsm=landlock,... and CONFIG_SECURITY_LANDLOCK",
                               "absent or switched off: workers do not start");
}

/* True when the file proc/self/status says that this process may raise limits. */
static bool can_raise_limits(const struct vtd_checks *checks)
{
        g_autofree char *path = g_strdup_printf("%s/proc/self/status", checks->root);
        g_autofree char *text = NULL;
        const char *line;
        uint64_t effective;

        return g_file_get_contents(path, &text, NULL, NULL) &&
               (line = strstr(text, "\nCapEff:")) != NULL &&
               sscanf(line, "\nCapEff: %" SCNx64, &effective) == 1 &&
               (effective & UINT64_C(1) << CAP_SYS_RESOURCE) != 0;
}

static void check_memlock(struct vtd_checks *checks)
{
        g_autofree char *path = g_strdup_printf("%s/proc/self/limits", checks->root);
        g_autofree char *text = NULL;
        char soft[32], hard[32];
        const char *line;

        if (!g_file_get_contents(path, &text, NULL, NULL) ||
            !(line = strstr(text, "Max locked memory")) ||
            sscanf(line, "Max locked memory %31s %31s", soft, hard) != 2)
                vtd_checks_say(checks, VTD_CHECK_UNKNOWN, "locked memory", "", NULL,
                               "proc/self/limits cannot be read");
        else if (strcmp(hard, "unlimited") == 0)
                vtd_checks_say(checks, VTD_CHECK_OK, "locked memory", "", NULL,
                               "no limit here; each worker gets its VM's");
        else if (can_raise_limits(checks))
                vtd_checks_say(checks, VTD_CHECK_OK, "locked memory", "", NULL,
                               "%s bytes here, which vtd-brokerd can raise for its workers", hard);
        else
                vtd_checks_say(checks, VTD_CHECK_NOTE, "locked memory", "",
                               "run vtd-brokerd as root with CAP_SYS_RESOURCE, or with "
                               "LimitMEMLOCK=infinity in its unit",
                               "at most %s bytes for each VM where vtd-brokerd has no more than "
                               "this program",
                               hard);
}

/* Root makes namespaces without; workers without root are confined in user namespaces. */
static void check_namespaces(struct vtd_checks *checks)
{
        g_autofree char *most = vtd_checks_read(checks, "proc/sys/user/max_user_namespaces");
        g_autofree char *clone =
                vtd_checks_read(checks, "proc/sys/kernel/unprivileged_userns_clone");

        if (!most)
                vtd_checks_say(checks, VTD_CHECK_NOTE, "user namespaces", "",
                               "build a kernel with CONFIG_USER_NS",
                               "the kernel has none: vtd-brokerd works as root only");
        else if (strcmp(most, "0") == 0 || (clone && strcmp(clone, "0") == 0))
                vtd_checks_say(checks, VTD_CHECK_NOTE, "user namespaces", "",
                               "sysctl user.max_user_namespaces=15000 "
                               "kernel.unprivileged_userns_clone=1",
                               "switched off for ordinary users: vtd-brokerd works as root only");
        else
                vtd_checks_say(checks, VTD_CHECK_OK, "user namespaces", "", NULL, "at most %s",
                               most);
}

void vtd_check_confinement(struct vtd_checks *checks)
{
        check_landlock(checks);
        check_memlock(checks);
        check_namespaces(checks);
}
