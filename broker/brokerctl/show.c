/* SPDX-License-Identifier: MIT */
/* See show.h. */
#include "broker/brokerctl/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Records hold printable ASCII, of which JSON escapes two characters. */
static void append_json_text(GString *json, const char *text)
{
        g_string_append_c(json, '"');
        for (; *text != '\0'; text++) {
                if (*text == '"' || *text == '\\')
                        g_string_append_c(json, '\\');
                g_string_append_c(json, *text);
        }
        g_string_append_c(json, '"');
}

static void append_json_value(GString *json, const struct vtd_admin_record *record,
                              const struct vtd_admin_field *field)
{
        switch (vtd_admin_key_row(field->key)->type) {
        case VTD_ADMIN_NUMBER:
                g_string_append_printf(json, "%" PRIu64, field->number);
                break;
        case VTD_ADMIN_HEX:
                g_string_append_printf(json, "\"0x%" PRIx64 "\"", field->number);
                break;
        case VTD_ADMIN_FLAG:
                g_string_append(json, field->number != 0 ? "true" : "false");
                break;
        case VTD_ADMIN_TENANT_NAME:
        case VTD_ADMIN_VM_NAME:
        case VTD_ADMIN_VM_TARGET:
        case VTD_ADMIN_DEVICE_NAME:
        case VTD_ADMIN_WORD:
        case VTD_ADMIN_TEXT:
                append_json_text(json, record->bytes + field->text);
                break;
        }
}

/* A key that can come more than once is an array always. */
static void append_json_array(GString *json, const struct vtd_admin_record *record,
                              enum vtd_admin_key key)
{
        const struct vtd_admin_field *field;

        g_string_append_c(json, '[');
        for (size_t i = 0; (field = vtd_admin_find(record, key, i)); i++) {
                if (i > 0)
                        g_string_append_c(json, ',');
                append_json_value(json, record, field);
        }
        g_string_append_c(json, ']');
}

char *vtd_show_json(const struct vtd_admin_record *record)
{
        const struct vtd_admin_kind_row *kind = vtd_admin_kind_row(record->kind);
        GString *json = g_string_new("{\"kind\":");

        append_json_text(json, kind->name);
        for (const struct vtd_admin_use *use = kind->uses; use->key != 0; use++) {
                const struct vtd_admin_field *field = vtd_admin_find(record, use->key, 0);

                if (!field && use->presence != VTD_ADMIN_REPEATED)
                        continue;
                g_string_append_printf(json, ",\"%s\":", vtd_admin_key_row(use->key)->name);
                if (use->presence == VTD_ADMIN_REPEATED)
                        append_json_array(json, record, use->key);
                else
                        append_json_value(json, record, field);
        }
        g_string_append_c(json, '}');
        return g_string_free(json, FALSE);
}

char *vtd_show_size(uint64_t bytes)
{
        static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
        size_t unit = 0;

        while (unit + 1 < G_N_ELEMENTS(units) && bytes != 0 && bytes % 1024 == 0) {
                bytes /= 1024;
                unit++;
        }
        return g_strdup_printf("%" PRIu64 " %s", bytes, units[unit]);
}

static uint64_t number(const struct vtd_admin_record *record, enum vtd_admin_key key)
{
        return vtd_admin_number(record, key, 0);
}

/* Texts that their kind of record requires, and others as nothing. */
static const char *text(const struct vtd_admin_record *record, enum vtd_admin_key key)
{
        const char *found = vtd_admin_text(record, key);

        return found ? found : "";
}

/* "nic0, nic1", or "none". */
static char *list(const struct vtd_admin_record *record, enum vtd_admin_key key)
{
        GString *names = g_string_new(NULL);
        const struct vtd_admin_field *field;

        for (size_t i = 0; (field = vtd_admin_find(record, key, i)); i++)
                g_string_append_printf(names, "%s%s", i > 0 ? ", " : "",
                                       record->bytes + field->text);
        if (names->len == 0)
                g_string_append(names, "none");
        return g_string_free(names, FALSE);
}

static void show_broker(const struct vtd_admin_record *record)
{
        (void)printf("vtd-brokerd %s: host %s, process %" PRIu64 ", running for %" PRIu64
                     " s, Landlock ABI %" PRIu64 ", audit %s\n",
                     text(record, VTD_ADMIN_K_VERSION), text(record, VTD_ADMIN_K_HOST),
                     number(record, VTD_ADMIN_K_PID), number(record, VTD_ADMIN_K_SECONDS),
                     number(record, VTD_ADMIN_K_LANDLOCK_ABI),
                     text(record, VTD_ADMIN_K_AUDIT_LEVEL));
        (void)printf("tenants %" PRIu64 ", VMs %" PRIu64 ", grants that wait %" PRIu64
                     "; policies read again %" PRIu64 ", refused %" PRIu64 "\n",
                     number(record, VTD_ADMIN_K_TENANTS), number(record, VTD_ADMIN_K_VMS),
                     number(record, VTD_ADMIN_K_GRANTS), number(record, VTD_ADMIN_K_RELOADS),
                     number(record, VTD_ADMIN_K_RELOADS_REFUSED));
}

static void show_tenant(const struct vtd_admin_record *record)
{
        g_autofree char *held = vtd_show_size(number(record, VTD_ADMIN_K_MEMORY));
        g_autofree char *most = vtd_show_size(number(record, VTD_ADMIN_K_TOTAL_MEMORY));

        (void)printf("tenant %s: %s, user %" PRIu64 ", %s; VMs %" PRIu64 " of %" PRIu64
                     ", memory %s of %s, first-stage tables %" PRIu64 " of %" PRIu64
                     ", PASIDs %" PRIu64 " of %" PRIu64 "\n",
                     text(record, VTD_ADMIN_K_TENANT), text(record, VTD_ADMIN_K_STATE),
                     number(record, VTD_ADMIN_K_UID), text(record, VTD_ADMIN_K_POLICY),
                     number(record, VTD_ADMIN_K_VMS), number(record, VTD_ADMIN_K_VMS_LIMIT), held,
                     most, number(record, VTD_ADMIN_K_FIRST_STAGE_TABLES),
                     number(record, VTD_ADMIN_K_TOTAL_FIRST_STAGE_TABLES),
                     number(record, VTD_ADMIN_K_PASIDS), number(record, VTD_ADMIN_K_TOTAL_PASIDS));
}

static void show_grant(const struct vtd_admin_record *record)
{
        g_autofree char *devices = list(record, VTD_ADMIN_K_DEVICE);
        g_autofree char *memory = vtd_show_size(number(record, VTD_ADMIN_K_MEMORY));

        (void)printf("grant %s of %s: waits, for %" PRIu64
                     " s more, on %s; devices %s; memory %s\n",
                     text(record, VTD_ADMIN_K_NAME), text(record, VTD_ADMIN_K_TENANT),
                     number(record, VTD_ADMIN_K_EXPIRES), text(record, VTD_ADMIN_K_SOCKET), devices,
                     memory);
}

static void show_vm(const struct vtd_admin_record *record)
{
        g_autofree char *devices = list(record, VTD_ADMIN_K_OPEN);
        g_autofree char *memory = vtd_show_size(number(record, VTD_ADMIN_K_MEMORY));
        const char *name = text(record, VTD_ADMIN_K_NAME);
        const char *killed = text(record, VTD_ADMIN_K_KILLED);

        (void)printf("vm %" PRIu64 "%s%s of %s: %s for %" PRIu64 " s, worker %" PRIu64
                     " as user %" PRIu64 "; devices %s; memory %s%s%s\n",
                     number(record, VTD_ADMIN_K_VM), name[0] != '\0' ? " " : "", name,
                     text(record, VTD_ADMIN_K_TENANT), text(record, VTD_ADMIN_K_STATE),
                     number(record, VTD_ADMIN_K_SECONDS), number(record, VTD_ADMIN_K_PID),
                     number(record, VTD_ADMIN_K_WORKER_UID), devices, memory,
                     killed[0] != '\0' ? "; killed: " : "", killed);
}

void vtd_show_status(const struct vtd_admin_record *record)
{
        switch ((unsigned)record->kind) {
        case VTD_ADMIN_BROKER:
                show_broker(record);
                break;
        case VTD_ADMIN_TENANT:
                show_tenant(record);
                break;
        case VTD_ADMIN_GRANT:
                show_grant(record);
                break;
        case VTD_ADMIN_VM:
                show_vm(record);
                break;
        default:
                break;
        }
}

/* Columns that grow for ever, then those that are held. */
static const struct {
        const char *title;
        enum vtd_admin_key key;
        bool grows;
} columns[] = {
        {"requests", VTD_ADMIN_K_REQUESTS, true},
        {"refusals", VTD_ADMIN_K_REFUSALS, true},
        {"invalidations", VTD_ADMIN_K_INVALIDATE_REQUESTS, true},
        {"entries", VTD_ADMIN_K_INVALIDATE_ENTRIES, true},
        {"host-calls", VTD_ADMIN_K_HOST_CALLS, true},
        {"delayed-us", VTD_ADMIN_K_DELAYED_US, true},
        {"mappings", VTD_ADMIN_K_MAPPINGS, false},
        {"devices", VTD_ADMIN_K_DEVICES, false},
        {"second-stage", VTD_ADMIN_K_SECOND_STAGE_TABLES, false},
        {"first-stage", VTD_ADMIN_K_FIRST_STAGE_TABLES, false},
        {"attachments", VTD_ADMIN_K_ATTACHMENTS, false},
};

/* A column is as wide as its title, and has room for a number. */
static int width_of(size_t column, bool rates)
{
        int width = (int)strlen(columns[column].title) + (columns[column].grows && rates ? 2 : 0);

        return width < 10 ? 10 : width;
}

void vtd_show_stats_title(bool rates)
{
        (void)printf("%6s", "vm");
        for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
                g_autofree char *title = g_strdup_printf("%s%s", columns[i].title,
                                                         columns[i].grows && rates ? "/s" : "");

                (void)printf(" %*s", width_of(i, rates), title);
        }
        (void)printf("  memory\n");
}

void vtd_show_stats(const struct vtd_admin_record *record, const struct vtd_admin_record *before,
                    double seconds)
{
        g_autofree char *memory = vtd_show_size(number(record, VTD_ADMIN_K_MEMORY));

        if (record->kind == VTD_ADMIN_SILENT) {
                (void)printf("%6" PRIu64 " does not answer (waited %" PRIu64 " ms)\n",
                             number(record, VTD_ADMIN_K_VM),
                             number(record, VTD_ADMIN_K_MILLISECONDS));
                return;
        }
        (void)printf("%6" PRIu64, number(record, VTD_ADMIN_K_VM));
        for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
                uint64_t now = number(record, columns[i].key);
                uint64_t then = before ? number(before, columns[i].key) : now;

                if (columns[i].grows && seconds > 0)
                        (void)printf(" %*.1f", width_of(i, true),
                                     now >= then ? (double)(now - then) / seconds : 0);
                else
                        (void)printf(" %*" PRIu64, width_of(i, false), now);
        }
        (void)printf("  %s\n", memory);
}
