/* SPDX-License-Identifier: MIT */
/*
 * What a policy may say: one table of every section and key, and the rules for names and addresses.
 * Compiling, verifying, `vtd-policy show` and the test of FORMAT.md all read this table, so that a
 * key has one type, one range and one default.
 */
#ifndef VTD_POLICY_SCHEMA_H
#define VTD_POLICY_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

#define VTD_SCHEMA_ROWS     29u
#define VTD_SCHEMA_BARS     6u    /* of a PCI function */
#define VTD_SCHEMA_FORMAT   1u    /* of the first line, "format = 1" */
#define VTD_SCHEMA_LINE_MIN 2u    /* line 1 is the format */
#define VTD_SCHEMA_LINE_MAX 4096u /* lines of a file */
#define VTD_SCHEMA_FILE_MAX 65536u

enum vtd_schema_section {
        VTD_SCHEMA_TENANT,
        VTD_SCHEMA_VM,
        VTD_SCHEMA_DEVICE,
        VTD_SCHEMA_SECTION_COUNT,
};

enum vtd_schema_type {
        VTD_SCHEMA_HEADER,      /* the row describes the section itself */
        VTD_SCHEMA_TENANT_NAME, /* see vtd_schema_tenant_prefix() */
        VTD_SCHEMA_NUMBER,
        VTD_SCHEMA_SIZE,    /* bytes, with a binary suffix or without, whole pages */
        VTD_SCHEMA_CHOICE,  /* one of words */
        VTD_SCHEMA_WORDS,   /* a list of words, each at most once; bits are or-ed */
        VTD_SCHEMA_LABEL,   /* see vtd_schema_label_prefix() */
        VTD_SCHEMA_PCI,     /* see vtd_schema_pci_prefix() */
        VTD_SCHEMA_KIND,    /* see vtd_schema_kind_prefix() */
        VTD_SCHEMA_CDEV,    /* see vtd_schema_cdev_prefix() */
        VTD_SCHEMA_MODEL,   /* one of words, kept as text */
        VTD_SCHEMA_REGIONS, /* a list of "BAR:r" or "BAR:rw", BAR or "config" */
};

struct vtd_schema_word {
        const char *text; /* NULL ends the array */
        uint64_t value;
};

struct vtd_schema_row {
        enum vtd_schema_section section;
        const char *key; /* section rows: the section's name */
        enum vtd_schema_type type;
        const char *unit; /* NULL: a plain count, or text */
        uint64_t minimum; /* NUMBER and SIZE */
        uint64_t maximum; /* NUMBER and SIZE; for a repeatable section: how often it may come */
        uint64_t initial; /* the value without the key; WORDS: bits that are always set */
        bool required;
        bool repeatable;
        const struct vtd_schema_word *words;
        size_t offset;      /* NUMBER, SIZE, CHOICE, WORDS: in struct vtd_policy, or in struct */
        size_t size;        /* vtd_policy_device for keys of [device NAME]; 4 or 8 bytes */
        size_t line_offset; /* of the uint32_t that keeps the key's line; 0: not kept */
};

/* Row @index, or NULL from VTD_SCHEMA_ROWS on.  Rows of a section follow its own row. */
const struct vtd_schema_row *vtd_schema_row(size_t index);

/* True for the types that are kept as a number at row->offset. */
bool vtd_schema_is_numeric(const struct vtd_schema_row *row);

/* The number or line kept for a numeric @row in @base (the policy or the device). */
uint64_t vtd_schema_value(const struct vtd_schema_row *row, const void *base);
uint32_t vtd_schema_line(const struct vtd_schema_row *row, const void *base);

/* True when @value is one that a numeric @row can have: range, granularity, known words. */
bool vtd_schema_value_allowed(const struct vtd_schema_row *row, uint64_t value);

/*
 * How many of the leading bytes of @text a well-formed name or address may have; the text is
 * well-formed if and only if that is all of @size bytes.  An empty text yields SIZE_MAX, so that it
 * never is.
 *   tenant: 1 to 31 of [A-Za-z0-9._-], not beginning with . or -  (it also names files)
 *   file:   as tenant, up to VTD_POLICY_FILE_NAME
 *   device: 1 to 31 of [A-Za-z0-9._:-]
 *   pci:    domain:bus:device.function, lower-case hex, "0000:00:04.0"; a proper prefix of an
 *           address yields SIZE_MAX as well
 *   kind:   vendor:device, four lower-case hex digits each, "8086:1521"; likewise
 *   cdev:   "vfio" and 1 to 8 digits without leading zeros
 *   label:  1 to VTD_POLICY_LABEL of [A-Za-z0-9._:,/@+=() -], no blank at either end
 */
size_t vtd_schema_tenant_prefix(const char *text, size_t size);
size_t vtd_schema_file_prefix(const char *text, size_t size);
size_t vtd_schema_device_prefix(const char *text, size_t size);
size_t vtd_schema_pci_prefix(const char *text, size_t size);
size_t vtd_schema_kind_prefix(const char *text, size_t size);
size_t vtd_schema_cdev_prefix(const char *text, size_t size);
size_t vtd_schema_label_prefix(const char *text, size_t size);

/* The row of [device NAME] that says where a device of @source comes from, or NULL. */
const struct vtd_schema_row *vtd_schema_source(uint32_t source);

/* As those above, by the rule of @source. */
size_t vtd_schema_source_prefix(uint32_t source, const char *text, size_t size);

/* The word of @words that equals @size bytes at @text, or NULL. */
const struct vtd_schema_word *vtd_schema_word(const struct vtd_schema_word *words, const char *text,
                                              size_t size);

#endif
