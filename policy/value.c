/* SPDX-License-Identifier: MIT */
/*
 * See value.h.  Spans are printable ASCII without the NUL that the C library's number readers would
 * need, and those readers take signs, blanks and other bases; so numbers are read here.
 */
#include "policy/value.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "shared/checked.h"

static const struct vtd_schema_word suffixes[] = {
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
        {NULL, 0},
};

/* What `regions` may name; bits of vtd_policy_device.regions_read. */
static const struct vtd_schema_word region_words[] = {
        {"0", 1u << 0},
        {"1", 1u << 1},
        {"2", 1u << 2},
        {"3", 1u << 3},
        {"4", 1u << 4},
        {"5", 1u << 5},
        {"config", VTD_POLICY_REGION_CONFIG},
        {NULL, 0},
};
_Static_assert(VTD_ARRAY_SIZE(region_words) == VTD_SCHEMA_BARS + 2, "every BAR has a name");

static void format_number(const struct vtd_schema_row *row, uint64_t value, char *out, size_t size)
{
        const struct vtd_schema_word *largest = NULL;

        for (const struct vtd_schema_word *suffix = suffixes; suffix->text; suffix++) {
                if (row->type == VTD_SCHEMA_SIZE && value != 0 && value % suffix->value == 0)
                        largest = suffix;
        }
        vtd_policy_append(out, size, "%" PRIu64 "%s", largest ? value / largest->value : value,
                          largest ? largest->text : "");
}

void vtd_policy_format_value(const struct vtd_schema_row *row, uint64_t value,
                             char out[VTD_POLICY_TEXT_SIZE])
{
        out[0] = '\0';
        if (row->type != VTD_SCHEMA_WORDS && row->type != VTD_SCHEMA_CHOICE) {
                format_number(row, value, out, VTD_POLICY_TEXT_SIZE);
                return;
        }
        for (const struct vtd_schema_word *word = row->words; word->text; word++) {
                if (row->type == VTD_SCHEMA_CHOICE ? value == word->value
                                                   : (value & word->value) != 0)
                        vtd_policy_append(out, VTD_POLICY_TEXT_SIZE, "%s%s",
                                          out[0] != '\0' ? ", " : "", word->text);
        }
        if (out[0] == '\0')
                vtd_policy_append(out, VTD_POLICY_TEXT_SIZE, "none");
}

void vtd_policy_format_allowed(const struct vtd_schema_row *row, char out[VTD_POLICY_TEXT_SIZE])
{
        const char *between = row->type == VTD_SCHEMA_WORDS ? ", " : " or ";

        out[0] = '\0';
        if (row->words) {
                for (const struct vtd_schema_word *word = row->words; word->text; word++)
                        vtd_policy_append(out, VTD_POLICY_TEXT_SIZE, "%s%s",
                                          word != row->words ? between : "", word->text);
                return;
        }
        format_number(row, row->minimum, out, VTD_POLICY_TEXT_SIZE);
        vtd_policy_append(out, VTD_POLICY_TEXT_SIZE, " to ");
        format_number(row, row->maximum, out, VTD_POLICY_TEXT_SIZE);
}

void vtd_policy_format_regions(uint32_t read, uint32_t write, char out[VTD_POLICY_TEXT_SIZE])
{
        out[0] = '\0';
        for (const struct vtd_schema_word *word = region_words; word->text; word++) {
                if ((read & word->value) != 0)
                        vtd_policy_append(out, VTD_POLICY_TEXT_SIZE, "%s%s:%s",
                                          out[0] != '\0' ? ", " : "", word->text,
                                          (write & word->value) != 0 ? "rw" : "r");
        }
        if (out[0] == '\0')
                vtd_policy_append(out, VTD_POLICY_TEXT_SIZE, "none");
}

/* Reports @text, or its part from @skip on, as a value that @row does not allow. */
static int refuse(struct vtd_policy_report *report, const struct vtd_schema_row *row, uint32_t line,
                  const struct vtd_policy_span *text, size_t skip, const char *why)
{
        char allowed[VTD_POLICY_TEXT_SIZE];
        struct vtd_policy_shown shown;

        vtd_policy_format_allowed(row, allowed);
        return vtd_policy_error(report, line, text->column + skip,
                                "%s %s \"%s\": %s; allowed: %s%s", row->key,
                                row->type == VTD_SCHEMA_WORDS ? "has" : "is",
                                vtd_policy_show_text(&shown, text->text, text->size), why, allowed,
                                row->type == VTD_SCHEMA_SIZE ? ", whole pages of 4KiB" : "");
}

static int read_number(struct vtd_policy_report *report, const struct vtd_schema_row *row,
                       uint32_t line, const struct vtd_policy_span *text, uint64_t *value)
{
        const struct vtd_schema_word *suffix;
        uint64_t number = 0;
        bool fits = true;
        size_t i;

        for (i = 0; i < text->size && text->text[i] >= '0' && text->text[i] <= '9'; i++)
                fits = fits && !__builtin_mul_overflow(number, UINT64_C(10), &number) &&
                       vtd_add_u64(number, (uint64_t)(text->text[i] - '0'), &number);
        if (i == 0)
                return refuse(report, row, line, text, 0,
                              "a number begins with a digit, without a sign");
        if (i > 1 && text->text[0] == '0')
                return refuse(report, row, line, text, 0, "a number has no leading zero");
        if (i < text->size && row->type != VTD_SCHEMA_SIZE)
                return refuse(report, row, line, text, i, "only digits make a number");
        if (i < text->size) {
                suffix = vtd_schema_word(suffixes, text->text + i, text->size - i);
                if (!suffix)
                        return refuse(report, row, line, text, i,
                                      "only KiB, MiB, GiB or TiB may follow, directly");
                fits = fits && !__builtin_mul_overflow(number, suffix->value, &number);
        }
        if (!fits || number < row->minimum || number > row->maximum)
                return refuse(report, row, line, text, 0, "out of range");
        if (!vtd_schema_value_allowed(row, number))
                return refuse(report, row, line, text, 0, "not a multiple of the page size");
        *value = number;
        return 0;
}

/*
 * Cuts the next item off the list @rest, which is not empty.  Returns 0, or -EINVAL (reported) when
 * something else than ", " and another item follows.
 */
static int next_item(struct vtd_policy_report *report, uint32_t line, struct vtd_policy_span *rest,
                     struct vtd_policy_span *item)
{
        const char *comma = memchr(rest->text, ',', rest->size);
        size_t used;

        *item = *rest;
        if (!comma) {
                *rest = (struct vtd_policy_span){rest->text + rest->size, 0,
                                                 rest->column + rest->size};
                return 0;
        }
        item->size = (size_t)(comma - rest->text);
        used = item->size + 2;
        if (item->size == 0)
                return vtd_policy_error(report, line, item->column,
                                        "an item is missing before \",\"");
        if (used >= rest->size || comma[1] != ' ' || comma[2] == ' ')
                return vtd_policy_error(report, line, item->column + item->size + 1,
                                        "one blank and another item must follow \",\"");
        *rest = (struct vtd_policy_span){rest->text + used, rest->size - used, rest->column + used};
        return 0;
}

static int read_words(struct vtd_policy_report *report, const struct vtd_schema_row *row,
                      uint32_t line, const struct vtd_policy_span *text, uint64_t *value)
{
        struct vtd_policy_span rest = *text, item;
        uint64_t bits = 0;

        while (rest.size > 0) {
                const struct vtd_schema_word *word;

                if (next_item(report, line, &rest, &item) != 0)
                        return -EINVAL;
                word = vtd_schema_word(row->words, item.text, item.size);
                if (!word)
                        return refuse(report, row, line, &item, 0, "not a word known here");
                if ((bits & word->value) != 0)
                        return refuse(report, row, line, &item, 0, "named twice");
                bits |= word->value;
        }
        *value = row->initial | bits;
        return 0;
}

int vtd_policy_read_value(struct vtd_policy_report *report, const struct vtd_schema_row *row,
                          uint32_t line, const struct vtd_policy_span *text, uint64_t *value)
{
        const struct vtd_schema_word *word;

        if (row->type == VTD_SCHEMA_WORDS)
                return read_words(report, row, line, text, value);
        if (row->type != VTD_SCHEMA_CHOICE)
                return read_number(report, row, line, text, value);
        word = vtd_schema_word(row->words, text->text, text->size);
        if (!word)
                return refuse(report, row, line, text, 0, "not one of the choices");
        *value = word->value;
        return 0;
}

/* The region that @item names before its colon, or NULL; *@writable: "rw" and not "r" follows. */
static const struct vtd_schema_word *read_region(const struct vtd_policy_span *item, bool *writable)
{
        const char *colon = memchr(item->text, ':', item->size);
        size_t name, access;

        if (!colon)
                return NULL;
        name = (size_t)(colon - item->text);
        access = item->size - name - 1;
        *writable = access == 2 && memcmp(colon + 1, "rw", 2) == 0;
        if (!*writable && (access != 1 || colon[1] != 'r'))
                return NULL;
        return vtd_schema_word(region_words, item->text, name);
}

int vtd_policy_read_regions(struct vtd_policy_report *report, uint32_t line,
                            const struct vtd_policy_span *text, uint32_t *read, uint32_t *write)
{
        struct vtd_policy_span rest = *text, item;
        struct vtd_policy_shown shown;
        uint32_t readable = 0, writable = 0;

        while (rest.size > 0) {
                const struct vtd_schema_word *region;
                bool read_write;

                if (next_item(report, line, &rest, &item) != 0)
                        return -EINVAL;
                vtd_policy_show_text(&shown, item.text, item.size);
                region = read_region(&item, &read_write);
                if (!region)
                        return vtd_policy_error(report, line, item.column,
                                                "regions has \"%s\"; allowed: REGION:r or "
                                                "REGION:rw, REGION 0 to %u or config",
                                                shown.text, VTD_SCHEMA_BARS - 1);
                if ((readable & region->value) != 0)
                        return vtd_policy_error(report, line, item.column,
                                                "regions has region %s twice", region->text);
                readable |= (uint32_t)region->value;
                writable |= read_write ? (uint32_t)region->value : 0;
        }
        *read = readable;
        *write = writable;
        return 0;
}
