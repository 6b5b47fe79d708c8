/* SPDX-License-Identifier: MIT */
/*
 * See admin.h.  The bytes are hostile: they are copied into the record, read from front to back once,
 * and each line has to be the one that the table expects or allows next.
 */
#include "broker/admin/admin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/schema.h"
#include "shared/checked.h"

#define HEAD "vtd-control 1 "

_Static_assert(VTD_ADMIN_VERSION == 1, "HEAD has the version");

#define WORD_MAX 31u

struct reader {
        struct vtd_admin_record *record;
        struct vtd_admin_reason *reason;
        size_t at;     /* the next line begins here */
        unsigned line; /* its number, from 1 on */
};

__attribute__((format(printf, 2, 3))) static int malformed(const struct reader *reader,
                                                           const char *format, ...)
{
        char what[96];
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(what, sizeof(what), format, arguments);
        va_end(arguments);
        (void)snprintf(reader->reason->text, sizeof(reader->reason->text), "line %u: %s",
                       reader->line, what);
        return VTD_ADMIN_E_MALFORMED;
}

static bool is_word(const char *text, size_t size)
{
        if (size == 0 || size > WORD_MAX)
                return false;
        for (size_t i = 0; i < size; i++)
                if (!(text[i] >= 'a' && text[i] <= 'z') && !(text[i] >= '0' && text[i] <= '9') &&
                    text[i] != '-')
                        return false;
        return true;
}

static bool is_text(const char *text, size_t size)
{
        if (size == 0 || size > VTD_ADMIN_TEXT_MAX || text[0] == ' ' || text[size - 1] == ' ')
                return false;
        for (size_t i = 0; i < size; i++)
                if (text[i] < 0x20 || text[i] > 0x7e)
                        return false;
        return true;
}

static bool is_vm_name(const char *text, size_t size)
{
        char c = size > 0 ? text[0] : '\0';

        return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) &&
               vtd_schema_tenant_prefix(text, size) == size;
}

static bool read_digits(const char *text, size_t size, unsigned base, uint64_t *value)
{
        uint64_t sum = 0;

        if (size == 0 || (size > 1 && text[0] == '0'))
                return false;
        for (size_t i = 0; i < size; i++) {
                char c = text[i];
                unsigned digit = c >= '0' && c <= '9'                 ? (unsigned)(c - '0')
                                 : base == 16 && c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                                      : 16;

                if (digit >= base || __builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
                    !vtd_add_u64(sum, digit, &sum))
                        return false;
        }
        *value = sum;
        return true;
}

static bool read_number(enum vtd_admin_type type, const char *text, size_t size, uint64_t *value)
{
        if (type == VTD_ADMIN_NUMBER)
                return read_digits(text, size, 10, value);
        if (type == VTD_ADMIN_HEX)
                return size > 2 && memcmp(text, "0x", 2) == 0 &&
                       read_digits(text + 2, size - 2, 16, value);
        *value = size == 3;
        return (size == 3 && memcmp(text, "yes", 3) == 0) ||
               (size == 2 && memcmp(text, "no", 2) == 0);
}

static bool is_number_type(enum vtd_admin_type type)
{
        return type == VTD_ADMIN_NUMBER || type == VTD_ADMIN_HEX || type == VTD_ADMIN_FLAG;
}

/* @value is set for types that are numbers. */
static bool read_value(enum vtd_admin_type type, const char *text, size_t size, uint64_t *value)
{
        switch (type) {
        case VTD_ADMIN_NUMBER:
        case VTD_ADMIN_HEX:
        case VTD_ADMIN_FLAG:
                return read_number(type, text, size, value);
        case VTD_ADMIN_TENANT_NAME:
                return vtd_schema_tenant_prefix(text, size) == size;
        case VTD_ADMIN_VM_NAME:
                return is_vm_name(text, size);
        case VTD_ADMIN_VM_TARGET:
                return is_vm_name(text, size) || (size <= 10 && read_digits(text, size, 10, value));
        case VTD_ADMIN_DEVICE_NAME:
                return vtd_schema_device_prefix(text, size) == size;
        case VTD_ADMIN_WORD:
                return is_word(text, size);
        case VTD_ADMIN_TEXT:
                return is_text(text, size);
        }
        return false;
}

/* What each type allows, for reasons. */
static const char *type_text(enum vtd_admin_type type)
{
        switch (type) {
        case VTD_ADMIN_NUMBER:
                return "a decimal number below 2^64";
        case VTD_ADMIN_HEX:
                return "0x and a hexadecimal number below 2^64";
        case VTD_ADMIN_FLAG:
                return "yes or no";
        case VTD_ADMIN_TENANT_NAME:
                return "a tenant's name";
        case VTD_ADMIN_VM_NAME:
                return "a VM's name, which begins with a letter";
        case VTD_ADMIN_VM_TARGET:
                return "a VM's name or number";
        case VTD_ADMIN_DEVICE_NAME:
                return "a device's name or address";
        case VTD_ADMIN_WORD:
                return "a word";
        case VTD_ADMIN_TEXT:
                return "1 to 400 printable characters";
        }
        return "nothing";
}

/* Cuts off the next line, which becomes a string; NULL when there is none. */
static char *next_line(struct reader *reader)
{
        struct vtd_admin_record *record = reader->record;
        char *line = record->bytes + reader->at;
        char *end = memchr(line, '\n', record->used - reader->at);

        if (!end)
                return NULL;
        *end = '\0';
        reader->at += (size_t)(end - line) + 1;
        reader->line++;
        return line;
}

static int read_head(struct reader *reader)
{
        const char *line = next_line(reader);

        if (!line || strncmp(line, HEAD, strlen(HEAD)) != 0)
                return malformed(reader, "not \"" HEAD "KIND\"");
        for (unsigned kind = 1; kind < VTD_ADMIN_KIND_END; kind++) {
                if (strcmp(vtd_admin_kind_row(kind)->name, line + strlen(HEAD)) == 0) {
                        reader->record->kind = kind;
                        return 0;
                }
        }
        return malformed(reader, "no such kind of record");
}

/* True when @line is a pair with this key; *@value is what stands behind it. */
static bool has_key(const char *line, const struct vtd_admin_key_row *key, const char **value)
{
        size_t length = strlen(key->name);

        if (strncmp(line, key->name, length) != 0 || strncmp(line + length, " = ", 3) != 0)
                return false;
        *value = line + length + 3;
        return true;
}

static int add_field(struct reader *reader, enum vtd_admin_key key, const char *value)
{
        const struct vtd_admin_key_row *row = vtd_admin_key_row(key);
        struct vtd_admin_record *record = reader->record;
        struct vtd_admin_field field = {.key = key};

        if (record->n_fields == VTD_ADMIN_FIELDS_MAX)
                return malformed(reader, "more than %u fields", VTD_ADMIN_FIELDS_MAX);
        if (!read_value(row->type, value, strlen(value), &field.number))
                return malformed(reader, "%s: allowed is %s", row->name, type_text(row->type));
        if (!is_number_type(row->type)) {
                field.number = 0;
                field.text = (size_t)(value - record->bytes);
        }
        record->fields[record->n_fields++] = field;
        return 0;
}

/* Each line is the next use that the kind's table has room for. */
static int read_fields(struct reader *reader)
{
        const struct vtd_admin_use *use = vtd_admin_kind_row(reader->record->kind)->uses;
        const char *line, *value;
        int result;

        while (reader->at < reader->record->used) {
                line = next_line(reader);
                if (!line)
                        return malformed(reader, "the last line has no end");
                for (; use->key != 0 && !has_key(line, vtd_admin_key_row(use->key), &value); use++)
                        if (use->presence == VTD_ADMIN_REQUIRED)
                                return malformed(reader, "here %s is needed",
                                                 vtd_admin_key_row(use->key)->name);
                if (use->key == 0)
                        return malformed(reader, "no key that this kind of record has here");
                result = add_field(reader, use->key, value);
                if (result != 0)
                        return result;
                if (use->presence != VTD_ADMIN_REPEATED)
                        use++;
        }
        for (; use->key != 0; use++)
                if (use->presence == VTD_ADMIN_REQUIRED)
                        return malformed(reader, "after it %s is needed",
                                         vtd_admin_key_row(use->key)->name);
        return 0;
}

int vtd_admin_decode(struct vtd_admin_record *record, const void *bytes, size_t size,
                     struct vtd_admin_reason *reason)
{
        struct reader reader = {.record = record, .reason = reason};
        int result;

        record->kind = 0;
        record->n_fields = 0;
        if (size > VTD_ADMIN_RECORD_MAX)
                return malformed(&reader, "%zu bytes; %u are allowed", size, VTD_ADMIN_RECORD_MAX);
        memcpy(record->bytes, bytes, size);
        record->used = size;
        if (memchr(bytes, '\0', size))
                return malformed(&reader, "a byte is 0");
        result = read_head(&reader);
        return result == 0 ? read_fields(&reader) : result;
}

void vtd_admin_begin(struct vtd_admin_record *record, enum vtd_admin_kind kind)
{
        record->kind = kind;
        record->n_fields = 0;
        record->used = 0;
}

/* One more than there may be is noticed by encoding. */
static void add(struct vtd_admin_record *record, const struct vtd_admin_field *field)
{
        if (record->n_fields < VTD_ADMIN_FIELDS_MAX)
                record->fields[record->n_fields++] = *field;
        else
                record->kind = 0;
}

void vtd_admin_put_number(struct vtd_admin_record *record, enum vtd_admin_key key, uint64_t value)
{
        add(record, &(const struct vtd_admin_field){.key = key, .number = value});
}

void vtd_admin_put_text(struct vtd_admin_record *record, enum vtd_admin_key key, const char *text)
{
        bool free_text = vtd_admin_key_row(key)->type == VTD_ADMIN_TEXT;
        size_t length = text ? strlen(text) : 0;
        char *copy = record->bytes + record->used;

        if (free_text && length > VTD_ADMIN_TEXT_MAX)
                length = VTD_ADMIN_TEXT_MAX;
        while (free_text && length > 0 && text[length - 1] == ' ')
                length--;
        if (length == 0)
                return;
        if (length >= sizeof(record->bytes) - record->used) {
                record->kind = 0;
                return;
        }
        for (size_t i = 0; i < length; i++)
                copy[i] = free_text && (text[i] < 0x20 || text[i] > 0x7e ||
                                        (i == 0 && text[i] == ' '))
                                  ? '?'
                                  : text[i];
        copy[length] = '\0';
        add(record, &(const struct vtd_admin_field){.key = key, .text = record->used});
        record->used += length + 1;
}

struct writer {
        char *bytes;
        size_t used;
        bool full;
};

__attribute__((format(printf, 2, 3))) static void append(struct writer *writer, const char *format,
                                                         ...)
{
        size_t room = VTD_ADMIN_BUFFER - writer->used;
        va_list arguments;
        int length;

        va_start(arguments, format);
        length = vsnprintf(writer->bytes + writer->used, room, format, arguments);
        va_end(arguments);
        if (length < 0 || (size_t)length >= room)
                writer->full = true;
        else
                writer->used += (size_t)length;
}

static int append_field(struct writer *writer, const struct vtd_admin_record *record,
                        const struct vtd_admin_field *field)
{
        const struct vtd_admin_key_row *row = vtd_admin_key_row(field->key);
        uint64_t unused;

        if (row->type == VTD_ADMIN_NUMBER) {
                append(writer, "%s = %" PRIu64 "\n", row->name, field->number);
        } else if (row->type == VTD_ADMIN_HEX) {
                append(writer, "%s = 0x%" PRIx64 "\n", row->name, field->number);
        } else if (row->type == VTD_ADMIN_FLAG) {
                append(writer, "%s = %s\n", row->name, field->number != 0 ? "yes" : "no");
        } else {
                const char *text = record->bytes + field->text;

                if (!read_value(row->type, text, strlen(text), &unused))
                        return -EINVAL;
                append(writer, "%s = %s\n", row->name, text);
        }
        return 0;
}

int vtd_admin_encode(const struct vtd_admin_record *record, char bytes[VTD_ADMIN_BUFFER],
                     size_t *size)
{
        const struct vtd_admin_kind_row *kind = vtd_admin_kind_row(record->kind);
        struct writer writer = {.bytes = bytes};
        size_t written = 0;

        if (!kind)
                return -EINVAL;
        append(&writer, HEAD "%s\n", kind->name);
        for (const struct vtd_admin_use *use = kind->uses; use->key != 0; use++) {
                const struct vtd_admin_field *field;
                size_t count = 0;

                while ((field = vtd_admin_find(record, use->key, count)) != NULL) {
                        if (append_field(&writer, record, field) < 0)
                                return -EINVAL;
                        count++;
                }
                if ((use->presence == VTD_ADMIN_REQUIRED && count != 1) ||
                    (use->presence == VTD_ADMIN_OPTIONAL && count > 1))
                        return -EINVAL;
                written += count;
        }
        if (writer.full || written != record->n_fields)
                return -EINVAL;
        *size = writer.used;
        return 0;
}

const struct vtd_admin_field *vtd_admin_find(const struct vtd_admin_record *record,
                                             enum vtd_admin_key key, size_t number)
{
        for (size_t i = 0; i < record->n_fields; i++)
                if (record->fields[i].key == key && number-- == 0)
                        return &record->fields[i];
        return NULL;
}

uint64_t vtd_admin_number(const struct vtd_admin_record *record, enum vtd_admin_key key,
                          uint64_t otherwise)
{
        const struct vtd_admin_field *field = vtd_admin_find(record, key, 0);

        return field ? field->number : otherwise;
}

const char *vtd_admin_text(const struct vtd_admin_record *record, enum vtd_admin_key key)
{
        const struct vtd_admin_field *field = vtd_admin_find(record, key, 0);

        return field ? record->bytes + field->text : NULL;
}
