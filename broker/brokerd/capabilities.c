/* SPDX-License-Identifier: MIT */
/*
 * See capabilities.h.  Every list is read from the table that the code works by; what is printed is
 * constant text of this program, with nothing in it that JSON would have to escape.
 */
#include "broker/brokerd/capabilities.h"

#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "broker/brokerd/audit_names.h"
#include "broker/brokerd/spawn.h"
#include "broker/sandbox/landlock.h"
#include "policy/schema.h"
#include "protos/message.h"
#include "shared/checked.h"

/* A list of strings that is being written. */
struct list {
        FILE *out;
        bool begun;
};

static void begin_list(struct list *list, FILE *out, const char *key)
{
        fprintf(out, "\"%s\": [", key);
        *list = (struct list){.out = out};
}

static void add_item(struct list *list, const char *text)
{
        fprintf(list->out, "%s\"%s\"", list->begun ? ", " : "", text);
        list->begun = true;
}

static void end_list(const struct list *list, const char *after)
{
        fprintf(list->out, "]%s", after);
}

static void print_requests(FILE *out, const char *key, bool reserved)
{
        const struct vtd_request_kind *kind;
        struct list list;

        begin_list(&list, out, key);
        for (uint32_t type = 1; (kind = vtd_request_kind(type)); type++)
                if (kind->reserved == reserved)
                        add_item(&list, kind->name);
        end_list(&list, ",\n  ");
}

static void print_host(FILE *out, const char *name, const char *directory, enum vtd_host_kind host,
                       uint32_t landlock)
{
        char path[4096];
        int length = snprintf(path, sizeof(path), "%s/%s", directory, vtd_spawn_program(host));
        bool fits = length > 0 && (size_t)length < sizeof(path);

        fprintf(out, "\"%s\": {\"worker\": \"%s\", \"installed\": %s, \"landlock-abi-min\": %u}",
                name, vtd_spawn_program(host), fits && access(path, X_OK) == 0 ? "true" : "false",
                landlock);
}

/* In the order in which a worker puts them around itself: broker/sandbox/sandbox.c. */
static void print_sandbox(FILE *out)
{
        static const char *const layers[] = {"namespaces", "no_new_privs", "limits",   "root",
                                             "identity",   "capabilities", "Landlock", "seccomp"};
        struct list list;

        fprintf(out, "\"sandbox\": {");
        begin_list(&list, out, "layers");
        for (size_t i = 0; i < VTD_ARRAY_SIZE(layers); i++)
                add_item(&list, layers[i]);
        end_list(&list, ", ");
        fprintf(out, "\"landlock-abi\": %u},\n  ", vtd_landlock_abi());
}

static void print_keys(FILE *out, const struct vtd_schema_row *header)
{
        const struct vtd_schema_row *row;
        struct list list;

        begin_list(&list, out, header->key);
        for (size_t i = 0; (row = vtd_schema_row(i)); i++)
                if (row->section == header->section && row != header)
                        add_item(&list, row->key);
        end_list(&list, "");
}

static void print_policy(FILE *out)
{
        const struct vtd_schema_row *row;
        bool begun = false;

        fprintf(out, "\"policy\": {\"format\": %u, \"keys\": {", VTD_SCHEMA_FORMAT);
        for (size_t i = 0; (row = vtd_schema_row(i)); i++) {
                if (row->type != VTD_SCHEMA_HEADER)
                        continue;
                fprintf(out, "%s", begun ? ",\n    " : "\n    ");
                begun = true;
                print_keys(out, row);
        }
        fprintf(out, "\n  }},\n  ");
}

void vtd_capabilities_print(FILE *out, const char *version, const char *worker_directory)
{
        struct list list;

        fprintf(out, "{\n  \"version\": \"%s\",\n  ", version);
        fprintf(out, "\"protocol\": {\"major\": %u, \"minor\": %u},\n  ", VTD_PROTOCOL_MAJOR,
                VTD_PROTOCOL_MINOR);
        print_requests(out, "requests", false);
        print_requests(out, "reserved-requests", true);
        fprintf(out, "\"hosts\": {\n    ");
        print_host(out, "linux", worker_directory, VTD_HOST_LINUX, VTD_LANDLOCK_ABI_LINUX);
        fprintf(out, ",\n    ");
        print_host(out, "simulated", worker_directory, VTD_HOST_SIMULATED,
                   VTD_LANDLOCK_ABI_SIMULATED);
        fprintf(out, "\n  },\n  ");
        print_sandbox(out);
        print_policy(out);
        begin_list(&list, out, "audit-levels");
        for (int level = VTD_AUDIT_REFUSALS; level <= VTD_AUDIT_HOST_CALLS; level++)
                add_item(&list, vtd_audit_level_name((enum vtd_audit_level)level));
        end_list(&list, "\n}\n");
}
