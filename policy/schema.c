/* SPDX-License-Identifier: MIT */
/*
 * See schema.h.  Constant data and pure predicates; linked into the sandboxed worker too, so
 * nothing here may read text that is longer than it was told.
 */
#include "policy/schema.h"

#include <string.h>

#include "shared/checked.h"
#include "shared/limits.h"

#define KIB UINT64_C(1024)
#define PIB (KIB * KIB * KIB * KIB * KIB)

/* Where a key's number is kept, and where its line. */
#define KEPT_IN(type, field)                                                                       \
        .offset = offsetof(type, field), .size = sizeof(((const type *)NULL)->field)
#define POLICY_FIELD(field)                                                                        \
        KEPT_IN(struct vtd_policy, field), .line_offset = offsetof(struct vtd_policy, field##_line)
#define POLICY_LIMIT(index)                                                                        \
        KEPT_IN(struct vtd_policy, limits[index].value),                                           \
                .line_offset = offsetof(struct vtd_policy, limits[index].line)

static const struct vtd_schema_word width_words[] = {{"48", 48}, {"57", 57}, {NULL, 0}};
static const struct vtd_schema_word model_words[] = {
        {"edu", 1}, {"edu-pasid", 2}, {"edu-noncoherent", 3}, {NULL, 0}};
static const struct vtd_schema_word mode_words[] = {
        {"passthrough", VTD_POLICY_MODE_PASSTHROUGH},
        {"first-stage", VTD_POLICY_MODE_FIRST_STAGE},
        {NULL, 0},
};
/* The bits of VTD_FIRST_STAGE_*, which policy/ cannot see; tests/unit/test-policy.c compares. */
static const struct vtd_schema_word flag_words[] = {
        {"sre", 0x1},
        {"eafe", 0x2},
        {"wpe", 0x4},
        {NULL, 0},
};
static const struct vtd_schema_word read_only_words[] = {
        {"refuse", VTD_POLICY_READ_ONLY_REFUSE},
        {"skip", VTD_POLICY_READ_ONLY_SKIP},
        {NULL, 0},
};
static const struct vtd_schema_word exception_words[] = {
        {"shared-group", VTD_POLICY_ALLOW_SHARED_GROUP},
        {"no-reset", VTD_POLICY_ALLOW_NO_RESET},
        {"no-snoop-control", VTD_POLICY_ALLOW_NO_SNOOP_CONTROL},
        {NULL, 0},
};

#define POLICY_TOTAL(index)                                                                        \
        KEPT_IN(struct vtd_policy, totals[index].value),                                           \
                .line_offset = offsetof(struct vtd_policy, totals[index].line)

/* A total without its key leaves as much as the most VMs can have by their own limits. */
#define VMS_MAX       64u
#define MEMORY_MAX    (4 * PIB)
#define PASIDS_MAX    (VTD_LIMIT_ATTACHMENTS - VTD_LIMIT_DEVICES)
#define TOTAL_OF(max) .initial = VMS_MAX * (max), .maximum = VMS_MAX * (max)

#define TENANT(name, kind) .section = VTD_SCHEMA_TENANT, .key = name, .type = VTD_SCHEMA_##kind
#define VM(name, kind)     .section = VTD_SCHEMA_VM, .key = name, .type = VTD_SCHEMA_##kind
#define DEVICE(name, kind) .section = VTD_SCHEMA_DEVICE, .key = name, .type = VTD_SCHEMA_##kind

/* FORMAT.md gives the reason for every default and range. */
static const struct vtd_schema_row rows[] = {
        {TENANT("tenant", HEADER), .required = true},
        {TENANT("name", TENANT_NAME), .required = true},
        {TENANT("uid", NUMBER), .required = true, .minimum = 0, .maximum = UINT32_MAX - 1,
         POLICY_FIELD(uid)},
        {TENANT("gid", NUMBER), .initial = VTD_POLICY_ANY_GROUP, .minimum = 0,
         .maximum = VTD_POLICY_ANY_GROUP, POLICY_FIELD(gid)},
        {TENANT("label", LABEL)},
        {TENANT("vms", NUMBER), .initial = 1, .minimum = 1, .maximum = VMS_MAX, POLICY_FIELD(vms)},
        {TENANT("total-memory", SIZE), .unit = "bytes", .minimum = VTD_PAGE_SIZE,
         TOTAL_OF(MEMORY_MAX), POLICY_TOTAL(VTD_POLICY_TOTAL_MEMORY)},
        {TENANT("total-first-stage-tables", NUMBER), .minimum = 0,
         TOTAL_OF(VTD_LIMIT_FIRST_STAGE_TABLES), POLICY_TOTAL(VTD_POLICY_TOTAL_FIRST_STAGE_TABLES)},
        {TENANT("total-pasids", NUMBER), .minimum = 0, TOTAL_OF(PASIDS_MAX),
         POLICY_TOTAL(VTD_POLICY_TOTAL_PASIDS)},

        {VM("vm", HEADER), .required = true},
        {VM("memory", SIZE), .unit = "bytes", .required = true, .minimum = VTD_PAGE_SIZE,
         .maximum = MEMORY_MAX, POLICY_LIMIT(VTD_POLICY_MEMORY)},
        {VM("mappings", NUMBER), .initial = 16, .minimum = 1, .maximum = VTD_LIMIT_MAPPINGS,
         POLICY_LIMIT(VTD_POLICY_MAPPINGS)},
        {VM("devices", NUMBER), .initial = 1, .minimum = 1, .maximum = VTD_LIMIT_DEVICES,
         POLICY_LIMIT(VTD_POLICY_DEVICES)},
        {VM("first-stage-tables", NUMBER), .initial = 0, .minimum = 0,
         .maximum = VTD_LIMIT_FIRST_STAGE_TABLES, POLICY_LIMIT(VTD_POLICY_FIRST_STAGE_TABLES)},
        {VM("pasids", NUMBER), .initial = 0, .minimum = 0, .maximum = PASIDS_MAX,
         POLICY_LIMIT(VTD_POLICY_PASIDS)},
        {VM("interrupts", NUMBER), .unit = "vectors", .initial = 0, .minimum = 0,
         .maximum = VTD_LIMIT_INTERRUPTS, POLICY_LIMIT(VTD_POLICY_INTERRUPTS)},
        {VM("address-width", CHOICE), .unit = "bits", .initial = 48, .words = width_words,
         POLICY_LIMIT(VTD_POLICY_ADDRESS_WIDTH)},
        {VM("modes", WORDS), .initial = VTD_POLICY_MODE_BLOCKED, .words = mode_words,
         POLICY_FIELD(modes)},
        {VM("first-stage-flags", WORDS), .initial = 0, .words = flag_words,
         POLICY_FIELD(first_stage_flags)},
        {VM("erratum-772415", CHOICE), .initial = VTD_POLICY_READ_ONLY_REFUSE,
         .words = read_only_words, POLICY_FIELD(read_only)},
        {VM("invalidate-rate", NUMBER), .unit = "entries/s", .initial = 200000,
         .minimum = 1000 / VTD_LIMIT_INVALIDATE_DELAY_MS, .maximum = 10000000,
         POLICY_LIMIT(VTD_POLICY_INVALIDATE_RATE)},
        {VM("invalidate-burst", NUMBER), .unit = "entries",
         .initial = 8 * VTD_LIMIT_INVALIDATE_ENTRIES, .minimum = VTD_LIMIT_INVALIDATE_ENTRIES,
         .maximum = 65536, POLICY_LIMIT(VTD_POLICY_INVALIDATE_BURST)},

        {DEVICE("device", HEADER), .repeatable = true, .maximum = VTD_LIMIT_DEVICES},
        {DEVICE("pci", PCI)},
        {DEVICE("vendor-device", KIND)},
        {DEVICE("cdev", CDEV)},
        {DEVICE("simulated", MODEL), .words = model_words},
        {DEVICE("regions", REGIONS)},
        {DEVICE("allow", WORDS), .initial = 0, .words = exception_words,
         KEPT_IN(struct vtd_policy_device, exceptions)},
};
_Static_assert(VTD_ARRAY_SIZE(rows) == VTD_SCHEMA_ROWS, "VTD_SCHEMA_ROWS counts the rows");

const struct vtd_schema_row *vtd_schema_row(size_t index)
{
        return index < VTD_SCHEMA_ROWS ? &rows[index] : NULL;
}

bool vtd_schema_is_numeric(const struct vtd_schema_row *row)
{
        return row->type == VTD_SCHEMA_NUMBER || row->type == VTD_SCHEMA_SIZE ||
               row->type == VTD_SCHEMA_CHOICE || row->type == VTD_SCHEMA_WORDS;
}

uint64_t vtd_schema_value(const struct vtd_schema_row *row, const void *base)
{
        const char *field = (const char *)base + row->offset;
        uint64_t wide;
        uint32_t narrow;

        if (row->size == sizeof(wide)) {
                memcpy(&wide, field, sizeof(wide));
                return wide;
        }
        memcpy(&narrow, field, sizeof(narrow));
        return narrow;
}

uint32_t vtd_schema_line(const struct vtd_schema_row *row, const void *base)
{
        uint32_t line;

        if (row->line_offset == 0)
                return 0;
        memcpy(&line, (const char *)base + row->line_offset, sizeof(line));
        return line;
}

bool vtd_schema_value_allowed(const struct vtd_schema_row *row, uint64_t value)
{
        uint64_t known = row->initial;

        if (row->type == VTD_SCHEMA_NUMBER || row->type == VTD_SCHEMA_SIZE)
                return value >= row->minimum && value <= row->maximum &&
                       (row->type == VTD_SCHEMA_NUMBER || vtd_is_page_aligned(value));

        for (const struct vtd_schema_word *word = row->words; word->text; word++) {
                if (row->type == VTD_SCHEMA_CHOICE && word->value == value)
                        return true;
                known |= word->value;
        }
        return row->type == VTD_SCHEMA_WORDS && (value & ~known) == 0 &&
               (value & row->initial) == row->initial;
}

static bool is_name_character(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
}

static size_t name_prefix(const char *text, size_t size, size_t limit, const char *not_first,
                          char also)
{
        size_t good = 0;

        if (size == 0)
                return SIZE_MAX;
        if (text[0] != '\0' && strchr(not_first, text[0]))
                return 0;
        while (good < size && good < limit &&
               (is_name_character(text[good]) || (also != '\0' && text[good] == also)))
                good++;
        return good;
}

size_t vtd_schema_tenant_prefix(const char *text, size_t size)
{
        return name_prefix(text, size, VTD_LIMIT_NAME, ".-", '\0');
}

size_t vtd_schema_file_prefix(const char *text, size_t size)
{
        return name_prefix(text, size, VTD_POLICY_FILE_NAME, ".-", '\0');
}

size_t vtd_schema_device_prefix(const char *text, size_t size)
{
        return name_prefix(text, size, VTD_LIMIT_NAME, "", ':');
}

size_t vtd_schema_label_prefix(const char *text, size_t size)
{
        static const char also[] = ":,/@+=() ";
        size_t good = 0;

        if (size == 0)
                return SIZE_MAX;
        while (good < size && good < VTD_POLICY_LABEL &&
               (is_name_character(text[good]) || memchr(also, text[good], sizeof(also) - 1)))
                good++;
        if (text[0] == ' ')
                return 0;
        return good == size && text[size - 1] == ' ' ? size - 1 : good;
}

size_t vtd_schema_cdev_prefix(const char *text, size_t size)
{
        static const char start[] = "vfio";
        const size_t digits = sizeof(start) - 1, limit = digits + 8;
        size_t good = 0;

        while (good < size && good < digits && text[good] == start[good])
                good++;
        if (good < digits)
                return good == size ? SIZE_MAX : good;
        if (size == digits)
                return SIZE_MAX;
        if (text[digits] == '0' && size > digits + 1)
                return digits;
        while (good < size && good < limit && text[good] >= '0' && text[good] <= '9')
                good++;
        return good;
}

/*
 * @shape says what each place may hold: x any hex digit, 1 the high digit of a device, 7 a
 * function, else itself.
 */
static size_t shape_prefix(const char *shape, const char *text, size_t size)
{
        const size_t length = strlen(shape);
        size_t good;

        for (good = 0; good < size && good < length; good++) {
                char c = text[good];
                bool fits;

                if (shape[good] == 'x')
                        fits = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                else if (shape[good] == '1' || shape[good] == '7')
                        fits = c >= '0' && c <= shape[good];
                else
                        fits = c == shape[good];
                if (!fits)
                        return good;
        }
        return good == length ? good : SIZE_MAX;
}

size_t vtd_schema_pci_prefix(const char *text, size_t size)
{
        return shape_prefix("xxxx:xx:1x.7", text, size);
}

size_t vtd_schema_kind_prefix(const char *text, size_t size)
{
        return shape_prefix("xxxx:xxxx", text, size);
}

const struct vtd_schema_row *vtd_schema_source(uint32_t source)
{
        static const enum vtd_schema_type types[] = {
                [VTD_POLICY_SOURCE_PCI] = VTD_SCHEMA_PCI,
                [VTD_POLICY_SOURCE_SIMULATED] = VTD_SCHEMA_MODEL,
                [VTD_POLICY_SOURCE_KIND] = VTD_SCHEMA_KIND,
                [VTD_POLICY_SOURCE_CDEV] = VTD_SCHEMA_CDEV,
        };

        for (size_t i = 0; source > 0 && source < VTD_ARRAY_SIZE(types) && i < VTD_SCHEMA_ROWS; i++)
                if (rows[i].type == types[source])
                        return &rows[i];
        return NULL;
}

size_t vtd_schema_source_prefix(uint32_t source, const char *text, size_t size)
{
        const struct vtd_schema_row *row = vtd_schema_source(source);

        if (!row || size == 0)
                return SIZE_MAX;
        if (row->type == VTD_SCHEMA_PCI)
                return vtd_schema_pci_prefix(text, size);
        if (row->type == VTD_SCHEMA_KIND)
                return vtd_schema_kind_prefix(text, size);
        if (row->type == VTD_SCHEMA_CDEV)
                return vtd_schema_cdev_prefix(text, size);
        return vtd_schema_word(row->words, text, size) ? size : 0;
}

const struct vtd_schema_word *vtd_schema_word(const struct vtd_schema_word *words, const char *text,
                                              size_t size)
{
        for (const struct vtd_schema_word *word = words; word->text; word++) {
                if (strlen(word->text) == size && memcmp(word->text, text, size) == 0)
                        return word;
        }
        return NULL;
}
