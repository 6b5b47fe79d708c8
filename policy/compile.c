/* SPDX-License-Identifier: MIT */
/*
 * From the events of parse.h to a compiled policy, by the table of schema.h.  Pure: no I/O but the
 * log, no allocation.  Whatever the text, it ends with a policy that vtd_policy_verify() accepts or
 * with at least one error reported and nothing written.
 */
#include "policy/compile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "policy/parse.h"
#include "policy/value.h"
#include "policy/verify.h"

struct compiler {
        struct vtd_policy policy;
        struct vtd_policy_lines lines;
        struct vtd_policy_report report;
        const struct vtd_schema_row *section; /* whose keys come; NULL: none that can be judged */
        struct vtd_policy_device *device;     /* of a device section */
        uint32_t *seen;                       /* lines of this section's keys, by row */
        uint32_t section_line;
        bool any_header;  /* a section header came, good or not */
        bool header_lost; /* a header was not understood: sections may seem to be missing */
        bool key_lost;    /* a line of this section was not understood: keys may seem so */
};

static const struct vtd_schema_row *find_row(const struct vtd_schema_row *section,
                                             const struct vtd_policy_span *name, size_t *index)
{
        const struct vtd_schema_row *row;

        for (size_t i = 0; (row = vtd_schema_row(i)); i++) {
                bool header = row->type == VTD_SCHEMA_HEADER;

                *index = i;
                if ((section ? !header && row->section == section->section : header) &&
                    strlen(row->key) == name->size && memcmp(row->key, name->text, name->size) == 0)
                        return row;
        }
        return NULL;
}

static void store_value(const struct vtd_schema_row *row, void *base, uint64_t value, uint32_t line)
{
        char *field = (char *)base + row->offset;
        uint32_t narrow = (uint32_t)value;

        if (row->size == sizeof(value))
                memcpy(field, &value, sizeof(value));
        else
                memcpy(field, &narrow, sizeof(narrow));
        if (row->line_offset != 0)
                memcpy((char *)base + row->line_offset, &line, sizeof(line));
}

/* Sets every key of a section to what holds without it. */
static void set_defaults(enum vtd_schema_section section, void *base)
{
        const struct vtd_schema_row *row;

        for (size_t i = 0; (row = vtd_schema_row(i)); i++) {
                if (row->section == section && vtd_schema_is_numeric(row))
                        store_value(row, base, row->initial, 0);
        }
}

/*
 * Copies a name or address whose well-formed length is @prefix; reports where it stops being so.
 * @field holds every well-formed text and its NUL.
 */
static int copy_text(struct compiler *compiler, uint32_t line, const struct vtd_policy_span *text,
                     size_t prefix, char *field, const char *what, const char *allowed)
{
        struct vtd_policy_shown shown;

        if (prefix != text->size)
                return vtd_policy_error(&compiler->report, line,
                                        text->column + (prefix == SIZE_MAX ? text->size : prefix),
                                        "%s \"%s\"; allowed: %s", what,
                                        vtd_policy_show_text(&shown, text->text, text->size),
                                        allowed);
        memcpy(field, text->text, text->size);
        return 0;
}

/* The device before @compiler->device that has its name or is the same function, or NULL. */
static const struct vtd_policy_device *earlier_device(const struct compiler *compiler, bool by_name)
{
        const struct vtd_policy_device *own = compiler->device;

        for (const struct vtd_policy_device *other = compiler->policy.devices; other < own;
             other++) {
                if (by_name ? strcmp(other->name, own->name) == 0
                            : vtd_policy_is_same_device(other, own))
                        return other;
        }
        return NULL;
}

static int begin_device(struct compiler *compiler, const struct vtd_policy_event *event,
                        const struct vtd_schema_row *row)
{
        struct vtd_policy *policy = &compiler->policy;
        const struct vtd_policy_device *earlier;

        if (policy->n_devices >= row->maximum)
                return vtd_policy_error(&compiler->report, event->line, 1,
                                        "device section number %u; allowed: at most %u",
                                        policy->n_devices + 1, VTD_LIMIT_DEVICES);
        compiler->device = &policy->devices[policy->n_devices];
        compiler->device->line = event->line;
        if (copy_text(compiler, event->line, &event->value,
                      vtd_schema_device_prefix(event->value.text, event->value.size),
                      compiler->device->name, "the device is named",
                      "1 to 31 letters, digits, \".\", \"_\", \":\" and \"-\"") == 0) {
                earlier = earlier_device(compiler, true);
                if (earlier) {
                        memset(compiler->device, 0, sizeof(*compiler->device));
                        return vtd_policy_error(
                                &compiler->report, event->line, event->value.column,
                                "[device %s] is on line %u already; one section for each",
                                earlier->name, earlier->line);
                }
        }
        set_defaults(VTD_SCHEMA_DEVICE, compiler->device);
        compiler->seen = compiler->lines.devices[policy->n_devices++];
        return 0;
}

static int begin_section(struct compiler *compiler, const struct vtd_policy_event *event,
                         const struct vtd_schema_row *row, size_t index)
{
        struct vtd_policy_shown shown;

        if (row->repeatable != (event->value.size != 0))
                return vtd_policy_error(&compiler->report, event->line,
                                        event->name.column + event->name.size,
                                        row->repeatable ? "[%s] lacks a name; allowed: [%s NAME]"
                                                        : "[%s] has a name; allowed: [%s] alone",
                                        row->key, row->key);
        if (row->repeatable) {
                if (begin_device(compiler, event, row) != 0)
                        return -EINVAL;
        } else {
                compiler->seen = compiler->lines.rows;
                if (compiler->seen[index] != 0)
                        return vtd_policy_error(
                                &compiler->report, event->line, 1,
                                "[%s] is on line %u already; one is allowed",
                                vtd_policy_show_text(&shown, event->name.text, event->name.size),
                                compiler->seen[index]);
        }
        compiler->seen[index] = event->line;
        compiler->section = row;
        compiler->section_line = event->line;
        return 0;
}

/* Reports the keys that the section which ends here should have had. */
static void end_section(struct compiler *compiler)
{
        const struct vtd_schema_row *row;

        for (size_t i = 0; compiler->section && !compiler->key_lost && (row = vtd_schema_row(i));
             i++) {
                if (row->section == compiler->section->section && row->required &&
                    compiler->seen[i] == 0)
                        vtd_policy_error(&compiler->report, compiler->section_line, 1,
                                         "[%s] lacks the key \"%s\", which is required",
                                         compiler->section->key, row->key);
        }
        if (compiler->section && !compiler->key_lost && compiler->device &&
            compiler->device->source == 0)
                vtd_policy_error(&compiler->report, compiler->section_line, 1,
                                 "[device %s] has none of \"pci\", \"vendor-device\", \"cdev\" "
                                 "and \"simulated\"; exactly one is required",
                                 compiler->device->name);
        compiler->section = NULL;
        compiler->device = NULL;
        compiler->key_lost = false;
}

static void handle_section(struct compiler *compiler, const struct vtd_policy_event *event)
{
        const struct vtd_schema_row *row;
        struct vtd_policy_shown shown;
        size_t index;

        end_section(compiler);
        compiler->any_header = true;
        row = find_row(NULL, &event->name, &index);
        if (!row) {
                vtd_policy_error(&compiler->report, event->line, event->name.column,
                                 "section \"%s\" is not known; allowed: [tenant], [vm], "
                                 "[device NAME]",
                                 vtd_policy_show_text(&shown, event->name.text, event->name.size));
                compiler->header_lost = true;
                return;
        }
        if (begin_section(compiler, event, row, index) != 0) {
                if (!row->repeatable && compiler->lines.rows[index] == 0)
                        compiler->header_lost = true;
                compiler->section = NULL;
                compiler->device = NULL;
        }
}

static int unknown_key(struct compiler *compiler, const struct vtd_policy_event *event)
{
        const struct vtd_schema_row *row;
        char keys[VTD_POLICY_TEXT_SIZE] = "";
        struct vtd_policy_shown shown;

        for (size_t i = 0; (row = vtd_schema_row(i)); i++) {
                if (row->section == compiler->section->section && row->type != VTD_SCHEMA_HEADER)
                        vtd_policy_append(keys, sizeof(keys), "%s%s", keys[0] != '\0' ? ", " : "",
                                          row->key);
        }
        compiler->key_lost = true;
        return vtd_policy_error(&compiler->report, event->line, 1,
                                "[%s] has no key \"%s\"; allowed: %s", compiler->section->key,
                                vtd_policy_show_text(&shown, event->name.text, event->name.size),
                                keys);
}

static uint32_t source_of(const struct vtd_schema_row *row)
{
        uint32_t source = VTD_POLICY_SOURCE_PCI;

        while (vtd_schema_source(source) != row)
                source++;
        return source;
}

static const char *allowed_of(const struct vtd_schema_row *row, char text[VTD_POLICY_TEXT_SIZE])
{
        if (row->type == VTD_SCHEMA_PCI)
                return "domain:bus:device.function as in 0000:00:04.0, lower-case hexadecimal, "
                       "device at most 1f, function at most 7";
        if (row->type == VTD_SCHEMA_KIND)
                return "vendor:device as in 8086:1521, lower-case hexadecimal";
        if (row->type == VTD_SCHEMA_CDEV)
                return "\"vfio\" and a number, as in vfio3";
        vtd_policy_format_allowed(row, text);
        return text;
}

/* A file is for a real host or for the simulated one. */
static int check_kind(struct compiler *compiler, const struct vtd_schema_row *row, uint32_t line)
{
        const struct vtd_policy_device *device = compiler->device;
        const struct vtd_policy_device *first = compiler->policy.devices;
        bool simulated = device->source == VTD_POLICY_SOURCE_SIMULATED;

        if (first->source == 0 || (first->source == VTD_POLICY_SOURCE_SIMULATED) == simulated)
                return 0;
        return vtd_policy_error(&compiler->report, line, 1,
                                "\"%s\" here, but \"%s\" in [device %s] on line %u; all devices of "
                                "a file are of one kind, real or simulated",
                                row->key, vtd_schema_source(first->source)->key, first->name,
                                first->line);
}

static int compile_source(struct compiler *compiler, const struct vtd_schema_row *row,
                          const struct vtd_policy_event *event)
{
        struct vtd_policy_device *device = compiler->device;
        const struct vtd_policy_span *text = &event->value;
        const struct vtd_policy_device *earlier;
        char allowed[VTD_POLICY_TEXT_SIZE], what[32];

        if (device->source != 0)
                return vtd_policy_error(&compiler->report, event->line, 1,
                                        "[device %s] has \"%s\" and \"%s\"; exactly one is "
                                        "allowed",
                                        device->name, vtd_schema_source(device->source)->key,
                                        row->key);
        device->source = source_of(row);
        if (check_kind(compiler, row, event->line) != 0)
                return -EINVAL;
        (void)snprintf(what, sizeof(what), "%s is", row->key);
        if (copy_text(compiler, event->line, text,
                      vtd_schema_source_prefix(device->source, text->text, text->size),
                      device->address, what, allowed_of(row, allowed)) != 0)
                return -EINVAL;
        earlier = earlier_device(compiler, false);
        if (earlier)
                return vtd_policy_error(&compiler->report, event->line, text->column,
                                        "%s is [device %s] on line %u already; one section for "
                                        "each device",
                                        device->address, earlier->name, earlier->line);
        return 0;
}

static int compile_value(struct compiler *compiler, const struct vtd_schema_row *row,
                         const struct vtd_policy_event *event)
{
        const struct vtd_policy_span *text = &event->value;
        void *base = compiler->device ? (void *)compiler->device : (void *)&compiler->policy;
        uint64_t value;
        int result;

        switch (row->type) {
        case VTD_SCHEMA_TENANT_NAME:
                return copy_text(compiler, event->line, text,
                                 vtd_schema_tenant_prefix(text->text, text->size),
                                 compiler->policy.tenant, "name is",
                                 "1 to 31 letters, digits, \".\", \"_\" and \"-\", not beginning "
                                 "with \".\" or \"-\"");
        case VTD_SCHEMA_LABEL:
                compiler->policy.label_line = event->line;
                return copy_text(compiler, event->line, text,
                                 vtd_schema_label_prefix(text->text, text->size),
                                 compiler->policy.label, "label is",
                                 "1 to 127 letters, digits, blanks within, and any of "
                                 "\"._:,/@+=()-\"");
        case VTD_SCHEMA_PCI:
        case VTD_SCHEMA_KIND:
        case VTD_SCHEMA_CDEV:
        case VTD_SCHEMA_MODEL:
                return compile_source(compiler, row, event);
        case VTD_SCHEMA_REGIONS:
                return vtd_policy_read_regions(&compiler->report, event->line, text,
                                               &compiler->device->regions_read,
                                               &compiler->device->regions_write);
        case VTD_SCHEMA_NUMBER:
        case VTD_SCHEMA_SIZE:
        case VTD_SCHEMA_CHOICE:
        case VTD_SCHEMA_WORDS:
                result = vtd_policy_read_value(&compiler->report, row, event->line, text, &value);
                if (result == 0)
                        store_value(row, base, value, event->line);
                return result;
        case VTD_SCHEMA_HEADER:
                break;
        }
        return vtd_policy_error(&compiler->report, event->line, 1, "\"%s\" is not a key", row->key);
}

static void handle_key(struct compiler *compiler, const struct vtd_policy_event *event)
{
        const struct vtd_schema_row *row;
        size_t index;

        if (!compiler->section) {
                if (!compiler->any_header)
                        vtd_policy_error(&compiler->report, event->line, 1,
                                         "a key before the first section; [tenant], [vm] or "
                                         "[device NAME] must come first");
                return;
        }
        row = find_row(compiler->section, &event->name, &index);
        if (!row) {
                (void)unknown_key(compiler, event);
        } else if (compiler->seen[index] != 0) {
                vtd_policy_error(&compiler->report, event->line, 1,
                                 "\"%s\" is on line %u already; it is allowed once", row->key,
                                 compiler->seen[index]);
        } else {
                compiler->seen[index] = event->line;
                /* An error has been counted; the next key may have one to report, too. */
                (void)compile_value(compiler, row, event);
        }
}

/* With a total below what one VM may have, there could be none. */
static void check_totals(struct compiler *compiler)
{
        const struct vtd_policy *policy = &compiler->policy;

        for (unsigned i = 0; i < VTD_POLICY_LIMIT_COUNT; i++) {
                const struct vtd_policy_limit *total = vtd_policy_total_of(policy, i);

                if (total && total->value < policy->limits[i].value)
                        vtd_policy_error(&compiler->report, total->line, 1,
                                         "the total for all VMs is %" PRIu64
                                         ", less than one VM may have, %" PRIu64 " by line %u",
                                         total->value, policy->limits[i].value,
                                         policy->limits[i].line);
        }
}

static void read_events(struct compiler *compiler, const char *text, size_t size)
{
        struct vtd_policy_reader reader;
        struct vtd_policy_event event;
        const struct vtd_schema_row *row;

        vtd_policy_reader_init(&reader, text, size, &compiler->report);
        do {
                vtd_policy_reader_next(&reader, &event);
                if (event.kind == VTD_POLICY_SECTION) {
                        handle_section(compiler, &event);
                } else if (event.kind == VTD_POLICY_KEY) {
                        handle_key(compiler, &event);
                } else if (event.kind == VTD_POLICY_BROKEN_SECTION) {
                        end_section(compiler);
                        compiler->any_header = true;
                        compiler->header_lost = true;
                } else if (event.kind == VTD_POLICY_BROKEN_KEY) {
                        compiler->key_lost = true;
                }
        } while (event.kind != VTD_POLICY_END);

        end_section(compiler);
        for (size_t i = 0; !compiler->header_lost && (row = vtd_schema_row(i)); i++) {
                if (row->type == VTD_SCHEMA_HEADER && row->required && compiler->lines.rows[i] == 0)
                        vtd_policy_error(&compiler->report, event.line, 1,
                                         "the file ends without [%s], which is required", row->key);
                if (row->type == VTD_SCHEMA_HEADER && row->section == VTD_SCHEMA_TENANT)
                        compiler->policy.tenant_line = compiler->lines.rows[i];
        }
        check_totals(compiler);
}

int vtd_policy_compile_traced(struct vtd_policy *policy, struct vtd_policy_lines *lines,
                              const char *file, const char *text, size_t size, struct vtd_log *log)
{
        struct compiler compiler = {.report = {.file = file, .log = log}};
        size_t file_size = strlen(file);
        struct vtd_policy_shown shown;
        int result;

        if (vtd_schema_file_prefix(file, file_size) != file_size)
                return vtd_fail(log, -EINVAL,
                                "policy file \"%s\": its name must have 1 to %u letters, digits, "
                                "\".\", \"_\" and \"-\", and not begin with \".\" or \"-\"",
                                vtd_policy_show_text(&shown, file, file_size),
                                VTD_POLICY_FILE_NAME);
        if (size > VTD_SCHEMA_FILE_MAX)
                return vtd_policy_error(&compiler.report, 1, 1,
                                        "the file has %zu bytes; allowed: %u", size,
                                        VTD_SCHEMA_FILE_MAX);

        compiler.policy.version = VTD_POLICY_VERSION;
        memcpy(compiler.policy.file, file, file_size);
        set_defaults(VTD_SCHEMA_TENANT, &compiler.policy);
        set_defaults(VTD_SCHEMA_VM, &compiler.policy);
        read_events(&compiler, text, size);
        result = vtd_policy_report_end(&compiler.report);
        if (result != 0)
                return result;

        compiler.policy.checksum = vtd_policy_checksum(&compiler.policy);
        *policy = compiler.policy;
        *lines = compiler.lines;
        return 0;
}

int vtd_policy_compile(struct vtd_policy *policy, const char *file, const char *text, size_t size,
                       struct vtd_log *log)
{
        struct vtd_policy_lines lines;

        return vtd_policy_compile_traced(policy, &lines, file, text, size, log);
}
