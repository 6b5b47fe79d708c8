/* SPDX-License-Identifier: MIT */
/*
 * The administrator's protocol: what vtd-brokerctl, or an orchestrator, and vtd-brokerd say to each
 * other over the control socket.  CONTROL.md describes it.
 *
 * A record is text of one form only: a first line "vtd-control 1 KIND", then a line "key = value" for
 * each field, in the order of the kind's table.  Decoding takes exactly what encoding yields, keeps
 * all within the record and allocates nothing; whatever the bytes are, it ends with a record whose
 * fields have the types of the table, or with a reason in words.
 */
#ifndef VTD_BROKER_ADMIN_ADMIN_H
#define VTD_BROKER_ADMIN_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

#define VTD_ADMIN_VERSION    1u
#define VTD_ADMIN_RECORD_MAX 4096u                       /* bytes of a record */
#define VTD_ADMIN_BUFFER     (VTD_ADMIN_RECORD_MAX + 1u) /* with a NUL behind it */
#define VTD_ADMIN_FIELDS_MAX 48u                         /* of a record */
#define VTD_ADMIN_TEXT_MAX   400u                        /* characters of a text */

enum vtd_admin_kind {
        /* requests */
        VTD_ADMIN_CREATE_VM = 1,
        VTD_ADMIN_REMOVE_VM,
        VTD_ADMIN_REVOKE_VM,
        VTD_ADMIN_REVOKE_TENANT,
        VTD_ADMIN_STATUS,
        VTD_ADMIN_TREE,
        VTD_ADMIN_STATS,
        VTD_ADMIN_RELOAD,
        /* parts of answers */
        VTD_ADMIN_CREATED,
        VTD_ADMIN_REMOVED,
        VTD_ADMIN_REVOKED,
        VTD_ADMIN_RELOADED,
        VTD_ADMIN_NOTE,
        VTD_ADMIN_BROKER,
        VTD_ADMIN_TENANT,
        VTD_ADMIN_GRANT,
        VTD_ADMIN_VM,
        VTD_ADMIN_IOAS,
        VTD_ADMIN_SECOND_STAGE,
        VTD_ADMIN_FIRST_STAGE,
        VTD_ADMIN_DEVICE,
        VTD_ADMIN_ATTACHMENT,
        VTD_ADMIN_COUNTERS,
        VTD_ADMIN_SILENT,
        /* ends of answers */
        VTD_ADMIN_DONE,
        VTD_ADMIN_REFUSED,
        VTD_ADMIN_KIND_END,
};

enum vtd_admin_key {
        VTD_ADMIN_K_TARGET = 1,
        VTD_ADMIN_K_TENANT,
        VTD_ADMIN_K_NAME,
        VTD_ADMIN_K_VM,
        VTD_ADMIN_K_UID,
        VTD_ADMIN_K_EXPIRES,
        VTD_ADMIN_K_CONNECTION,
        VTD_ADMIN_K_DEVICE,
        VTD_ADMIN_K_MEMORY,
        VTD_ADMIN_K_MAPPINGS,
        VTD_ADMIN_K_DEVICES,
        VTD_ADMIN_K_FIRST_STAGE_TABLES,
        VTD_ADMIN_K_PASIDS,
        VTD_ADMIN_K_INTERRUPTS,
        VTD_ADMIN_K_ADDRESS_WIDTH,
        VTD_ADMIN_K_INVALIDATE_RATE,
        VTD_ADMIN_K_INVALIDATE_BURST,
        VTD_ADMIN_K_REASON,
        VTD_ADMIN_K_RULE,
        VTD_ADMIN_K_SOCKET,
        VTD_ADMIN_K_STATE,
        VTD_ADMIN_K_TEXT,
        VTD_ADMIN_K_TENANTS,
        VTD_ADMIN_K_ADDED,
        VTD_ADMIN_K_CHANGED,
        VTD_ADMIN_K_LEFT,
        VTD_ADMIN_K_VMS,
        VTD_ADMIN_K_GRANTS,
        VTD_ADMIN_K_VERSION,
        VTD_ADMIN_K_HOST,
        VTD_ADMIN_K_PID,
        VTD_ADMIN_K_SECONDS,
        VTD_ADMIN_K_LANDLOCK_ABI,
        VTD_ADMIN_K_AUDIT_LEVEL,
        VTD_ADMIN_K_RELOADS,
        VTD_ADMIN_K_RELOADS_REFUSED,
        VTD_ADMIN_K_POLICY,
        VTD_ADMIN_K_VMS_LIMIT,
        VTD_ADMIN_K_TOTAL_MEMORY,
        VTD_ADMIN_K_TOTAL_FIRST_STAGE_TABLES,
        VTD_ADMIN_K_TOTAL_PASIDS,
        VTD_ADMIN_K_WORKER_UID,
        VTD_ADMIN_K_KILLED,
        VTD_ADMIN_K_OPEN,
        VTD_ADMIN_K_IOAS,
        VTD_ADMIN_K_HWPT,
        VTD_ADMIN_K_PARENT,
        VTD_ADMIN_K_ROOT,
        VTD_ADMIN_K_FLAGS,
        VTD_ADMIN_K_ATTACHMENTS,
        VTD_ADMIN_K_PASID,
        VTD_ADMIN_K_PASID_BITS,
        VTD_ADMIN_K_MODE,
        VTD_ADMIN_K_BUS_MASTER,
        VTD_ADMIN_K_ADDRESS,
        VTD_ADMIN_K_REQUESTS,
        VTD_ADMIN_K_REFUSALS,
        VTD_ADMIN_K_INVALIDATE_REQUESTS,
        VTD_ADMIN_K_INVALIDATE_ENTRIES,
        VTD_ADMIN_K_HOST_CALLS,
        VTD_ADMIN_K_DELAYED_US,
        VTD_ADMIN_K_SECOND_STAGE_TABLES,
        VTD_ADMIN_K_MILLISECONDS,
        VTD_ADMIN_KEY_END,
};

enum vtd_admin_type {
        VTD_ADMIN_NUMBER = 1,  /* decimal, without leading zeros, at most 2^64-1 */
        VTD_ADMIN_HEX,         /* "0x" and lower-case digits, without leading zeros */
        VTD_ADMIN_FLAG,        /* "yes" or "no" */
        VTD_ADMIN_TENANT_NAME, /* of a tenant, by the rule of policies */
        VTD_ADMIN_VM_NAME,     /* likewise, beginning with a letter */
        VTD_ADMIN_VM_TARGET,   /* name or number of a VM */
        VTD_ADMIN_DEVICE_NAME, /* of a device, by the rule of policies; or its PCI address */
        VTD_ADMIN_WORD,        /* lower-case letters, digits and hyphens, at most 31 */
        VTD_ADMIN_TEXT,        /* printable ASCII, no blank at either end */
};

enum vtd_admin_presence {
        VTD_ADMIN_REQUIRED = 1,
        VTD_ADMIN_OPTIONAL,
        VTD_ADMIN_REPEATED, /* any number of times, also none */
};

struct vtd_admin_use {
        enum vtd_admin_key key;
        enum vtd_admin_presence presence;
};

enum vtd_admin_role {
        VTD_ADMIN_REQUEST = 1,
        VTD_ADMIN_PART, /* of an answer */
        VTD_ADMIN_END,  /* of an answer: always exactly one, the last */
};

/* One row for each kind of record. */
struct vtd_admin_kind_row {
        const char *name;
        enum vtd_admin_role role;
        const struct vtd_admin_use *uses; /* in the order of the record; key 0 ends it */
};

struct vtd_admin_key_row {
        const char *name;
        enum vtd_admin_type type;
};

/* The row of a kind or key, NULL when there is none.  Static storage. */
const struct vtd_admin_kind_row *vtd_admin_kind_row(uint32_t kind);
const struct vtd_admin_key_row *vtd_admin_key_row(uint32_t key);

/* The key that stands for a limit of policies. */
enum vtd_admin_key vtd_admin_limit_key(enum vtd_policy_limit_index limit);

struct vtd_admin_field {
        enum vtd_admin_key key;
        uint64_t number; /* NUMBER, HEX, FLAG (1: yes) */
        size_t text;     /* all others: where in bytes it begins; NUL-terminated */
};

struct vtd_admin_record {
        enum vtd_admin_kind kind;
        size_t n_fields;
        struct vtd_admin_field fields[VTD_ADMIN_FIELDS_MAX];
        size_t used; /* of bytes */
        char bytes[VTD_ADMIN_BUFFER];
};

/* Why a record was not decoded. */
struct vtd_admin_reason {
        char text[128];
};

enum {
        VTD_ADMIN_E_MALFORMED = 1,
};

/*
 * Decodes @size bytes.  Returns 0; VTD_ADMIN_E_MALFORMED with the *@reason in words, of which nothing
 * is the record's own.
 */
int vtd_admin_decode(struct vtd_admin_record *record, const void *bytes, size_t size,
                     struct vtd_admin_reason *reason);

/* Starts an empty record. */
void vtd_admin_begin(struct vtd_admin_record *record, enum vtd_admin_kind kind);

/* Adds a field of a type that is a number. */
void vtd_admin_put_number(struct vtd_admin_record *record, enum vtd_admin_key key, uint64_t value);

/*
 * Adds a field of a type that is text; nothing when @text is NULL or empty.  In a TEXT, what is not
 * printable becomes "?", and what is too long is cut.
 */
void vtd_admin_put_text(struct vtd_admin_record *record, enum vtd_admin_key key, const char *text);

/*
 * Writes the record with its fields in order.  Returns 0 with *@size, or -EINVAL when the fields are
 * not those of its kind, or too many, or too long.
 */
int vtd_admin_encode(const struct vtd_admin_record *record, char bytes[VTD_ADMIN_BUFFER],
                     size_t *size);

/* The field @number, from 0 on, of those with @key; NULL when there is none. */
const struct vtd_admin_field *vtd_admin_find(const struct vtd_admin_record *record,
                                             enum vtd_admin_key key, size_t number);

/* What the first field with @key holds; @otherwise when there is none. */
uint64_t vtd_admin_number(const struct vtd_admin_record *record, enum vtd_admin_key key,
                          uint64_t otherwise);
/* Likewise; NULL when there is none. */
const char *vtd_admin_text(const struct vtd_admin_record *record, enum vtd_admin_key key);

#endif
