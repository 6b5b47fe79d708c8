/* SPDX-License-Identifier: MIT */
/*
 * vtd-policy show, for people and as JSON.  Every value comes from the compiled policy, every line
 * from the trace of compiling it; both by the table of keys, so that no key can be left out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "policy/tool/input.h"
#include "policy/tool/verbs.h"
#include "policy/value.h"

/* Writes the text of @row's value; false when the key is one of several and not the one chosen. */
static bool format_row(const struct vtd_input *input, const struct vtd_schema_row *row,
                       const struct vtd_policy_device *device, uint32_t line,
                       char text[VTD_POLICY_TEXT_SIZE])
{
        const void *base = device ? (const void *)device : (const void *)&input->policy;

        text[0] = '\0';
        if (vtd_schema_is_numeric(row))
                vtd_policy_format_value(row, vtd_schema_value(row, base), text);
        else if (row->type == VTD_SCHEMA_TENANT_NAME)
                vtd_policy_append(text, VTD_POLICY_TEXT_SIZE, "%s", input->policy.tenant);
        else if (row->type == VTD_SCHEMA_LABEL)
                vtd_policy_append(text, VTD_POLICY_TEXT_SIZE, "%s",
                                  line != 0 ? input->policy.label : "any");
        else if (row->type == VTD_SCHEMA_REGIONS)
                vtd_policy_format_regions(device->regions_read, device->regions_write, text);
        else if (line != 0)
                vtd_policy_append(text, VTD_POLICY_TEXT_SIZE, "%s", device->address);
        return text[0] != '\0';
}

static void show_row(const struct vtd_schema_row *row, const char *value, uint32_t line)
{
        /* A suffix says the unit; of plain bytes nothing else does. */
        const char *unit = row->type == VTD_SCHEMA_SIZE ? NULL : row->unit;
        char with_unit[VTD_POLICY_TEXT_SIZE + 32];
        char source[32] = "default";

        (void)snprintf(with_unit, sizeof(with_unit), "%s%s%s", value, unit ? " " : "",
                       unit ? unit : "");
        if (line != 0)
                (void)snprintf(source, sizeof(source), "line %" PRIu32, line);
        printf("  %-24s %-34s %s\n", row->key, with_unit, source);
}

static void show_section(const struct vtd_input *input, enum vtd_schema_section section,
                         const struct vtd_policy_device *device, const uint32_t *lines)
{
        const struct vtd_schema_row *row;
        char value[VTD_POLICY_TEXT_SIZE];

        for (size_t i = 0; (row = vtd_schema_row(i)); i++) {
                if (row->section != section)
                        continue;
                if (row->type != VTD_SCHEMA_HEADER) {
                        if (format_row(input, row, device, lines[i], value))
                                show_row(row, value, lines[i]);
                } else if (device) {
                        printf("[%s %s]\n", row->key, device->name);
                } else {
                        printf("[%s]\n", row->key);
                }
        }
}

static void show_text(const struct vtd_input *input, const char *file)
{
        printf("%s\n", file);
        show_section(input, VTD_SCHEMA_TENANT, NULL, input->lines.rows);
        show_section(input, VTD_SCHEMA_VM, NULL, input->lines.rows);
        for (uint32_t i = 0; i < input->policy.n_devices; i++)
                show_section(input, VTD_SCHEMA_DEVICE, &input->policy.devices[i],
                             input->lines.devices[i]);
        if (input->policy.n_devices == 0)
                printf("no device is granted\n");
}

/* A list as values are formatted, "a, b" or "none", as an array of strings. */
static void print_list(const char *list)
{
        const char *item = strcmp(list, "none") == 0 ? "" : list;

        printf("[");
        while (*item != '\0') {
                size_t length = strcspn(item, ",");

                printf("%s\"%.*s\"", item != list ? ", " : "", (int)length, item);
                item += length + strspn(item + length, ", ");
        }
        printf("]");
}

static void print_value(const struct vtd_input *input, const struct vtd_schema_row *row,
                        const struct vtd_policy_device *device, const char *text, uint32_t line)
{
        const void *base = device ? (const void *)device : (const void *)&input->policy;

        if (row->type == VTD_SCHEMA_NUMBER || row->type == VTD_SCHEMA_SIZE)
                printf("%" PRIu64, vtd_schema_value(row, base));
        else if (row->type == VTD_SCHEMA_WORDS || row->type == VTD_SCHEMA_REGIONS)
                print_list(text);
        else if (row->type == VTD_SCHEMA_LABEL && line == 0)
                printf("null");
        else
                printf("\"%s\"", text);
}

static void print_line(uint32_t line)
{
        if (line != 0)
                printf("%" PRIu32, line);
        else
                printf("null");
}

/* The members of one section, after one that is there already if @comma. */
static void print_section(const struct vtd_input *input, enum vtd_schema_section section,
                          const struct vtd_policy_device *device, const uint32_t *lines, bool comma)
{
        const char *indent = device ? "      " : "    ";
        const struct vtd_schema_row *row;
        char text[VTD_POLICY_TEXT_SIZE];

        for (size_t i = 0; (row = vtd_schema_row(i)); i++) {
                if (row->section != section || row->type == VTD_SCHEMA_HEADER ||
                    !format_row(input, row, device, lines[i], text))
                        continue;
                printf("%s\n%s\"%s\": {\"value\": ", comma ? "," : "", indent, row->key);
                print_value(input, row, device, text, lines[i]);
                printf(", \"line\": ");
                print_line(lines[i]);
                printf("}");
                comma = true;
        }
}

static void show_json(const struct vtd_input *input)
{
        printf("{\n  \"file\": \"%s\",\n  \"format\": %u,\n  \"tenant\": {", input->policy.file,
               VTD_SCHEMA_FORMAT);
        print_section(input, VTD_SCHEMA_TENANT, NULL, input->lines.rows, false);
        printf("\n  },\n  \"vm\": {");
        print_section(input, VTD_SCHEMA_VM, NULL, input->lines.rows, false);
        printf("\n  },\n  \"devices\": {");
        for (uint32_t i = 0; i < input->policy.n_devices; i++) {
                const struct vtd_policy_device *device = &input->policy.devices[i];

                printf("%s\n    \"%s\": {\n      \"line\": %" PRIu32, i > 0 ? "," : "",
                       device->name, device->line);
                print_section(input, VTD_SCHEMA_DEVICE, device, input->lines.devices[i], true);
                printf("\n    }");
        }
        printf("%s}\n}\n", input->policy.n_devices > 0 ? "\n  " : "");
}

enum vtd_policy_exit vtd_policy_show(const char *file, bool json)
{
        struct vtd_input input;

        if (vtd_input_read(&input, file) != 0)
                return VTD_EXIT_REFUSED;
        if (json)
                show_json(&input);
        else
                show_text(&input, file);
        return VTD_EXIT_GOOD;
}
