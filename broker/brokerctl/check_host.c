/* SPDX-License-Identifier: MIT */
/* See check_host.h and checks.h. */
#include "broker/brokerctl/check_host.h"

#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/brokerctl/checks.h"
#include "broker/topology/topology.h"

static const char *const state_names[VTD_CHECK_STATES] = {
        [VTD_CHECK_OK] = "ok",
        [VTD_CHECK_MISSING] = "missing",
        [VTD_CHECK_NOTE] = "note",
        [VTD_CHECK_UNKNOWN] = "unknown",
};

static void append_json(GString *json, const char *key, const char *text)
{
        g_string_append_printf(json, "%s\"%s\":\"", json->len > 1 ? "," : "", key);
        for (; *text != '\0'; text++) {
                if (*text < 0x20 || *text > 0x7e || *text == '"' || *text == '\\')
                        g_string_append_printf(json, "\\u%04x", (unsigned char)*text);
                else
                        g_string_append_c(json, *text);
        }
        g_string_append_c(json, '"');
}

void vtd_checks_say(struct vtd_checks *checks, enum vtd_check_state state, const char *check,
                    const char *subject, const char *mend, const char *format, ...)
{
        g_autofree char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        text = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        checks->counts[state]++;
        if (checks->json) {
                GString *json = g_string_new("{");

                append_json(json, "check", check);
                append_json(json, "state", state_names[state]);
                if (subject[0] != '\0')
                        append_json(json, "subject", subject);
                append_json(json, "found", text);
                if (mend)
                        append_json(json, "mend", mend);
                (void)printf("%s}\n", json->str);
                (void)g_string_free(json, TRUE);
                return;
        }
        (void)printf("%-8s %s%s%s: %s\n", state_names[state], check, subject[0] ? " " : "", subject,
                     text);
        if (mend)
                (void)printf("         to mend: %s\n", mend);
}

char *vtd_checks_read(const struct vtd_checks *checks, const char *path)
{
        g_autofree char *full = g_strdup_printf("%s/%s", checks->root, path);
        char *text = NULL, *end;

        if (!g_file_get_contents(full, &text, NULL, NULL))
                return NULL;
        end = strchr(text, '\n');
        if (end)
                *end = '\0';
        return text;
}

bool vtd_checks_read_hex(const struct vtd_checks *checks, const char *path, uint64_t *value)
{
        g_autofree char *text = vtd_checks_read(checks, path);
        guint64 number;

        if (!text || !g_ascii_string_to_unsigned(g_str_has_prefix(text, "0x") ? text + 2 : text, 16,
                                                 0, G_MAXUINT64, &number, NULL))
                return false;
        *value = number;
        return true;
}

bool vtd_checks_booted_with(const struct vtd_checks *checks, const char *word)
{
        g_autofree char *line = vtd_checks_read(checks, "proc/cmdline");
        g_auto(GStrv) words = g_strsplit_set(line ? line : "", " ", -1);

        for (size_t i = 0; words[i]; i++) {
                g_auto(GStrv) parts = NULL;

                if (strcmp(words[i], word) == 0)
                        return true;
                if (!g_str_has_prefix(words[i], "intel_iommu="))
                        continue;
                parts = g_strsplit(words[i] + strlen("intel_iommu="), ",", -1);
                if (g_strv_contains((const char *const *)parts, word))
                        return true;
        }
        return false;
}

bool vtd_checks_configured(const struct vtd_checks *checks, const char *option, bool *known)
{
        g_autofree char *release = vtd_checks_read(checks, "proc/sys/kernel/osrelease");
        g_autofree char *boot =
                g_strdup_printf("%s/boot/config-%s", checks->root, release ? release : "");
        g_autofree char *modules =
                g_strdup_printf("%s/lib/modules/%s/config", checks->root, release ? release : "");
        g_autofree char *text = NULL, *built = NULL, *module = NULL;

        *known = g_file_get_contents(boot, &text, NULL, NULL) ||
                 g_file_get_contents(modules, &text, NULL, NULL);
        if (!*known)
                return false;
        built = g_strdup_printf("\n%s=y\n", option);
        module = g_strdup_printf("\n%s=m\n", option);
        return strstr(text, built) || strstr(text, module);
}

static gint compare(gconstpointer a, gconstpointer b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Addresses of all devices that are bound to vfio-pci. */
static GPtrArray *list_bound(const struct vtd_checks *checks)
{
        g_autofree char *path = g_strdup_printf("%s/sys/bus/pci/drivers/vfio-pci", checks->root);
        GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
        const char *name;

        while (directory && (name = g_dir_read_name(directory)))
                if (vtd_topology_is_address(name))
                        g_ptr_array_add(found, g_strdup(name));
        g_ptr_array_sort(found, compare);
        return found;
}

static void check_devices(struct vtd_checks *checks, const char *const *devices)
{
        g_autoptr(GPtrArray) bound = list_bound(checks);

        for (size_t i = 0; devices[i]; i++)
                vtd_check_device(checks, devices[i]);
        for (guint i = 0; !devices[0] && i < bound->len; i++)
                vtd_check_device(checks, g_ptr_array_index(bound, i));
        if (!devices[0] && bound->len == 0)
                vtd_checks_say(checks, VTD_CHECK_NOTE, "devices", "",
                               "name those that VMs are to have with --device, to see what each "
                               "lacks",
                               "none is bound to vfio-pci");
}

unsigned vtd_check_host(const char *root, const char *const *devices, bool json)
{
        struct vtd_checks checks = {.root = root, .json = json};

        vtd_check_kernel(&checks);
        vtd_check_iommu(&checks);
        vtd_check_confinement(&checks);
        check_devices(&checks, devices);
        if (!json)
                (void)printf("%u missing, %u to be noted, %u unknown, %u in order\n",
                             checks.counts[VTD_CHECK_MISSING], checks.counts[VTD_CHECK_NOTE],
                             checks.counts[VTD_CHECK_UNKNOWN], checks.counts[VTD_CHECK_OK]);
        return checks.counts[VTD_CHECK_MISSING];
}
