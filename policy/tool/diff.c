/* SPDX-License-Identifier: MIT */
/*
 * vtd-policy diff: what a change of policy grants and takes away, one line for each, in words.
 * Tenants are compared by name and so are their devices, wherever in which file they stand.  A grant
 * that is replaced by another (user, group, label, address) is both: what is wider decides the exit
 * status, so that nothing which is granted anew hides behind what was taken away.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "policy/tool/input.h"
#include "policy/tool/verbs.h"
#include "policy/value.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

/* The two sides of what is being compared. */
struct side {
        const struct vtd_input *input;
        const struct vtd_policy_device *device; /* NULL: [tenant] or [vm] */
        const uint32_t *lines;                  /* by row */
};

struct diff {
        struct side before;
        struct side after;
        unsigned wider;
        unsigned narrower;
        bool titled; /* the tenant's name has been printed */
};

/* A value is said between the two; every numeric key and the label have one. */
struct phrase {
        enum vtd_schema_section section;
        const char *key;
        const char *before;
        const char *after;
};

static const struct phrase phrases[] = {
        {VTD_SCHEMA_TENANT, "uid", "processes of user ", " may connect"},
        {VTD_SCHEMA_TENANT, "gid", "processes of group ", " may connect"},
        {VTD_SCHEMA_TENANT, "label", "processes labelled ", " may connect"},
        {VTD_SCHEMA_TENANT, "vms", "the tenant may have ", " VMs at once"},
        {VTD_SCHEMA_TENANT, "total-memory", "all its VMs together may have ",
         " of guest memory mapped"},
        {VTD_SCHEMA_TENANT, "total-first-stage-tables", "all its VMs together may have ",
         " first-stage tables"},
        {VTD_SCHEMA_TENANT, "total-pasids", "all its VMs together may have ", " PASIDs attached"},
        {VTD_SCHEMA_VM, "memory", "each VM may have ", " of guest memory mapped"},
        {VTD_SCHEMA_VM, "mappings", "each VM may have ", " mappings of guest memory"},
        {VTD_SCHEMA_VM, "devices", "each VM may have ", " devices plugged"},
        {VTD_SCHEMA_VM, "first-stage-tables", "each VM may have ", " first-stage tables"},
        {VTD_SCHEMA_VM, "pasids", "each VM may have ", " PASIDs attached"},
        {VTD_SCHEMA_VM, "interrupts", "each VM may have ", " interrupt vectors armed"},
        {VTD_SCHEMA_VM, "address-width", "first-stage tables may translate ", " bits"},
        {VTD_SCHEMA_VM, "modes", "devices may be attached by ", ""},
        {VTD_SCHEMA_VM, "first-stage-flags", "first-stage entries may use ", ""},
        {VTD_SCHEMA_VM, "erratum-772415", "mapping memory that cannot be written: ", ""},
        {VTD_SCHEMA_VM, "invalidate-rate", "each VM may send ",
         " invalidation entries in a second"},
        {VTD_SCHEMA_VM, "invalidate-burst", "each VM may send ",
         " invalidation entries beyond its rate"},
        {VTD_SCHEMA_DEVICE, "allow", "it is taken in spite of ", ""},
};

/* A key without a phrase of its own is said by its name. */
static struct phrase phrase_of(const struct vtd_schema_row *row)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(phrases); i++)
                if (phrases[i].section == row->section && strcmp(phrases[i].key, row->key) == 0)
                        return phrases[i];
        return (struct phrase){row->section, row->key, row->key, ""};
}

/* "(blue.policy:7)", or that no line says so. */
static void print_place(const struct side *side, uint32_t line)
{
        if (line != 0)
                printf(" (%s:%" PRIu32 ")", side->input->policy.file, line);
        else
                printf(" (default)");
}

static void begin_line(struct diff *diff, bool wider)
{
        const struct vtd_input *input = diff->after.input ? diff->after.input : diff->before.input;
        const struct vtd_policy_device *device =
                diff->after.device ? diff->after.device : diff->before.device;

        if (!diff->titled)
                printf("tenant %s\n", input->policy.tenant);
        diff->titled = true;
        if (wider)
                diff->wider++;
        else
                diff->narrower++;
        printf("  %-8s  ", wider ? "wider" : "narrower");
        if (device)
                printf("device %s: ", device->name);
}

/* One grant that came (@wider) or went: a word, a name, an address. */
static void say_grant(struct diff *diff, bool wider, const char *before, const char *what,
                      const char *after, uint32_t line)
{
        begin_line(diff, wider);
        printf("%s%s%s%s", wider ? "" : "no longer: ", before, what, after);
        print_place(wider ? &diff->after : &diff->before, line);
        printf("\n");
}

static void compare_words(struct diff *diff, const struct vtd_schema_row *row, size_t index,
                          uint64_t before, uint64_t after)
{
        struct phrase phrase = phrase_of(row);

        for (const struct vtd_schema_word *word = row->words; word->text; word++) {
                bool had = (before & word->value) != 0, has = (after & word->value) != 0;

                if (had != has)
                        say_grant(diff, has, phrase.before, word->text, phrase.after,
                                  has ? diff->after.lines[index] : diff->before.lines[index]);
        }
}

/* One value in place of another. */
static void say_change(struct diff *diff, bool wider, const struct vtd_schema_row *row,
                       size_t index, const char *before, const char *after)
{
        struct phrase phrase = phrase_of(row);

        begin_line(diff, wider);
        printf("%s%s%s", phrase.before, after, phrase.after);
        print_place(&diff->after, diff->after.lines[index]);
        printf(", was %s", before);
        print_place(&diff->before, diff->before.lines[index]);
        printf("\n");
}

/* Who may connect: what one loses another gets, unless one of the two is anybody. */
static void compare_identity(struct diff *diff, const struct vtd_schema_row *row, size_t index,
                             const char *before, const char *after)
{
        bool had_any = strcmp(before, "any") == 0, has_any = strcmp(after, "any") == 0;
        struct phrase phrase = phrase_of(row);

        if (strcmp(before, after) == 0)
                return;
        if (had_any || has_any) {
                say_change(diff, has_any, row, index, before, after);
                return;
        }
        say_grant(diff, false, phrase.before, before, phrase.after, diff->before.lines[index]);
        say_grant(diff, true, phrase.before, after, phrase.after, diff->after.lines[index]);
}

static const void *base_of(const struct side *side)
{
        return side->device ? (const void *)side->device : (const void *)&side->input->policy;
}

/* A user or group: 4294967295, which is no user, stands for any. */
static bool is_identity(const struct vtd_schema_row *row)
{
        return row->section == VTD_SCHEMA_TENANT &&
               (strcmp(row->key, "uid") == 0 || strcmp(row->key, "gid") == 0);
}

static void format_number(const struct vtd_schema_row *row, uint64_t value,
                          char text[VTD_POLICY_TEXT_SIZE])
{
        if (is_identity(row) && value == VTD_POLICY_ANY_GROUP)
                (void)snprintf(text, VTD_POLICY_TEXT_SIZE, "any");
        else
                vtd_policy_format_value(row, value, text);
}

static void compare_number(struct diff *diff, const struct vtd_schema_row *row, size_t index)
{
        uint64_t before = vtd_schema_value(row, base_of(&diff->before));
        uint64_t after = vtd_schema_value(row, base_of(&diff->after));
        char before_text[VTD_POLICY_TEXT_SIZE], after_text[VTD_POLICY_TEXT_SIZE];

        format_number(row, before, before_text);
        format_number(row, after, after_text);
        if (is_identity(row))
                compare_identity(diff, row, index, before_text, after_text);
        else if (row->type == VTD_SCHEMA_WORDS)
                compare_words(diff, row, index, before, after);
        else if (before != after)
                say_change(diff, after > before, row, index, before_text, after_text);
}

static const char *label_of(const struct side *side)
{
        const struct vtd_policy *policy = &side->input->policy;

        return policy->label_line != 0 ? policy->label : "any";
}

static void compare_regions(struct diff *diff, size_t index, bool write)
{
        const struct vtd_policy_device *before = diff->before.device, *after = diff->after.device;
        uint32_t had = write ? before->regions_write : before->regions_read;
        uint32_t has = write ? after->regions_write : after->regions_read;
        char text[VTD_POLICY_TEXT_SIZE];

        for (uint32_t bit = 0; bit < 32; bit++) {
                uint32_t mask = UINT32_C(1) << bit;

                if (((had ^ has) & mask) == 0)
                        continue;
                vtd_policy_format_regions(mask, 0, text);
                text[strcspn(text, ":")] = '\0';
                say_grant(diff, (has & mask) != 0, "its region ", text,
                          write ? " may be written" : " may be read",
                          (has & mask) != 0 ? diff->after.lines[index] : diff->before.lines[index]);
        }
}

/* The function that stands behind a name. */
static void compare_source(struct diff *diff)
{
        const struct vtd_policy_device *before = diff->before.device, *after = diff->after.device;
        char had[VTD_POLICY_TEXT_SIZE] = "", has[VTD_POLICY_TEXT_SIZE] = "";

        vtd_policy_append(had, sizeof(had), "%s %s", vtd_schema_source(before->source)->key,
                          before->address);
        vtd_policy_append(has, sizeof(has), "%s %s", vtd_schema_source(after->source)->key,
                          after->address);
        if (strcmp(had, has) == 0)
                return;
        say_grant(diff, false, "it is ", had, "", before->line);
        say_grant(diff, true, "it is ", has, "", after->line);
}

static void compare_section(struct diff *diff, enum vtd_schema_section section)
{
        const struct vtd_schema_row *row;

        for (size_t i = 0; (row = vtd_schema_row(i)); i++) {
                if (row->section != section)
                        continue;
                if (vtd_schema_is_numeric(row)) {
                        compare_number(diff, row, i);
                } else if (row->type == VTD_SCHEMA_LABEL) {
                        compare_identity(diff, row, i, label_of(&diff->before),
                                         label_of(&diff->after));
                } else if (row->type == VTD_SCHEMA_REGIONS) {
                        compare_regions(diff, i, false);
                        compare_regions(diff, i, true);
                }
        }
}

static const struct vtd_policy_device *find_device(const struct side *side, const char *name)
{
        return side->input ? vtd_policy_find_device(&side->input->policy, name) : NULL;
}

/* Aims both sides at the devices named @name, where there is one. */
static void aim(struct side *side, const struct vtd_policy_device *device)
{
        side->device = device;
        if (device)
                side->lines = side->input->lines.devices[device - side->input->policy.devices];
}

static void compare_device(struct diff *diff, const char *name)
{
        aim(&diff->before, find_device(&diff->before, name));
        aim(&diff->after, find_device(&diff->after, name));
        if (diff->before.device && diff->after.device) {
                compare_source(diff);
                compare_section(diff, VTD_SCHEMA_DEVICE);
        } else {
                const struct vtd_policy_device *device =
                        diff->after.device ? diff->after.device : diff->before.device;

                say_grant(diff, diff->after.device, vtd_schema_source(device->source)->key, " ",
                          device->address, device->line);
        }
        diff->before.device = diff->after.device = NULL;
}

static void compare_devices(struct diff *diff)
{
        const struct vtd_input *before = diff->before.input, *after = diff->after.input;

        for (uint32_t i = 0; before && i < before->policy.n_devices; i++)
                compare_device(diff, before->policy.devices[i].name);
        for (uint32_t i = 0; after && i < after->policy.n_devices; i++)
                if (!find_device(&diff->before, after->policy.devices[i].name))
                        compare_device(diff, after->policy.devices[i].name);
}

/* One tenant; either side may lack it.  What a new one may do in all is `vtd-policy show`'s to say. */
static void compare_tenant(struct diff *diff, const struct vtd_input *before,
                           const struct vtd_input *after)
{
        const struct vtd_policy *policy = after ? &after->policy : &before->policy;
        char uid[16];

        diff->titled = false;
        diff->before = (struct side){.input = before, .lines = before ? before->lines.rows : NULL};
        diff->after = (struct side){.input = after, .lines = after ? after->lines.rows : NULL};
        if (before && after) {
                compare_section(diff, VTD_SCHEMA_TENANT);
                compare_section(diff, VTD_SCHEMA_VM);
        } else {
                (void)snprintf(uid, sizeof(uid), "%" PRIu32, policy->uid);
                say_grant(diff, after, "user ", uid, " may connect as this tenant",
                          policy->tenant_line);
        }
        compare_devices(diff);
}

enum vtd_policy_exit vtd_policy_diff(const char *old_path, const char *new_path)
{
        VTD_CLEANUP(vtd_input_set_deinit) struct vtd_input_set before, after;
        int old_result = vtd_input_set_init(&before, old_path);
        int new_result = vtd_input_set_init(&after, new_path);
        struct diff diff = {0};

        if (old_result != 0 || new_result != 0)
                return VTD_EXIT_NO_ANSWER;
        for (size_t i = 0; i < before.count; i++)
                compare_tenant(&diff, &before.array[i],
                               vtd_input_find(&after, before.array[i].policy.tenant));
        for (size_t i = 0; i < after.count; i++)
                if (!vtd_input_find(&before, after.array[i].policy.tenant))
                        compare_tenant(&diff, NULL, &after.array[i]);
        printf("%u wider, %u narrower\n", diff.wider, diff.narrower);
        if (diff.wider > 0)
                return VTD_EXIT_WIDER;
        return diff.narrower > 0 ? VTD_EXIT_NARROWER : VTD_EXIT_GOOD;
}
