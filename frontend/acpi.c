/* SPDX-License-Identifier: MIT */
/*
 * See include/vtd/acpi.h.  May assume that the VMM's arrays are as long as it says, and nothing of
 * what is in them; the unit's own configuration was checked when it was made.  Judges everything
 * first, and then lays the table out twice: to count, and to write.  Every multi-byte field is
 * little-endian.
 *
 * The architecture wants structures in the order of their types: DRHD, RMRR, ANDD.
 */
#include "frontend/include/vtd/acpi.h"

#include <errno.h>
#include <string.h>

#include "frontend/frontend-internal.h"
#include "shared/checked.h"

enum {
        DMAR_TYPE_DRHD = 0,
        DMAR_TYPE_RMRR = 1,
        DMAR_TYPE_ANDD = 4,
};

#define DMAR_REVISION        1u
#define DMAR_LENGTH_OFFSET   4u
#define DMAR_CHECKSUM_OFFSET 9u
#define DMAR_RESERVED_SIZE   10u

#define DMAR_FLAG_INTR_REMAP     0x1u
#define DMAR_FLAG_X2APIC_OPT_OUT 0x2u
#define DMAR_FLAG_DMA_OPT_IN     0x4u
#define DRHD_FLAG_PCI_ALL        0x1u

/* Bytes before scopes or name. */
#define DRHD_SIZE  16u
#define RMRR_SIZE  24u
#define ANDD_SIZE  8u
#define SCOPE_SIZE 6u

#define OEM_ID_SIZE       6u
#define OEM_TABLE_ID_SIZE 8u
#define CREATOR_ID_SIZE   4u

#define MAX_DEVICE   31u
#define MAX_FUNCTION 7u

/* A list of scopes, and whose it is, for messages. */
struct scope_list {
        const char *owner; /* "DRHD", "RMRR" */
        const struct vtd_dmar_scope *scopes;
        size_t count;
};

/* Bytes laid out so far; without memory they are only counted. */
struct table {
        uint8_t *bytes;
        size_t size;
};

static void put(struct table *table, uint64_t value, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                if (table->bytes)
                        table->bytes[table->size] = (uint8_t)(value >> (8 * i));
                table->size++;
        }
}

static void put_text(struct table *table, const char *text, size_t size)
{
        size_t length = strlen(text);

        for (size_t i = 0; i < size; i++)
                put(table, i < length ? (uint8_t)text[i] : ' ', 1);
}

static bool is_pci(enum vtd_dmar_scope_type type)
{
        return type == VTD_DMAR_SCOPE_ENDPOINT || type == VTD_DMAR_SCOPE_BRIDGE;
}

static size_t scopes_size(const struct scope_list *list)
{
        size_t size = 0;

        for (size_t i = 0; i < list->count; i++)
                size += SCOPE_SIZE + 2 * list->scopes[i].hops;
        return size;
}

static int check_text(struct vtd_log *log, const char *what, const char *text, size_t size)
{
        size_t length;

        if (!text)
                return vtd_fail(log, -EINVAL, "DMAR: the %s is missing", what);
        length = strnlen(text, size + 1);
        if (length == 0 || length > size)
                return vtd_fail(log, -EINVAL,
                                "DMAR: the %s has %s characters, 1 to %zu are possible", what,
                                length == 0 ? "no" : "too many", size);
        for (size_t i = 0; i < length; i++)
                if (text[i] < 0x20 || text[i] > 0x7e)
                        return vtd_fail(log, -EINVAL,
                                        "DMAR: the %s has byte %#x, only printable ASCII is "
                                        "possible",
                                        what, (uint8_t)text[i]);
        return 0;
}

static int check_scope(struct vtd_log *log, const char *owner, size_t index,
                       const struct vtd_dmar_scope *scope)
{
        if (scope->type < VTD_DMAR_SCOPE_ENDPOINT || scope->type > VTD_DMAR_SCOPE_ACPI_DEVICE)
                return vtd_fail(log, -EINVAL, "DMAR: %s scope %zu: type %d is not known", owner,
                                index, (int)scope->type);
        if (is_pci(scope->type) && scope->enumeration_id != 0)
                return vtd_fail(log, -EINVAL,
                                "DMAR: %s scope %zu: enumeration id %u, a PCI device has none",
                                owner, index, scope->enumeration_id);
        if (scope->hops == 0 || scope->hops > VTD_DMAR_MAX_HOPS)
                return vtd_fail(log, -EINVAL,
                                "DMAR: %s scope %zu: path of %zu hops, 1 to %u are possible", owner,
                                index, scope->hops, VTD_DMAR_MAX_HOPS);
        for (size_t i = 0; i < scope->hops; i++)
                if (scope->path[i].device > MAX_DEVICE || scope->path[i].function > MAX_FUNCTION)
                        return vtd_fail(log, -EINVAL,
                                        "DMAR: %s scope %zu: device %u, function %u, at most %u "
                                        "and %u are possible",
                                        owner, index, scope->path[i].device,
                                        scope->path[i].function, MAX_DEVICE, MAX_FUNCTION);
        return 0;
}

/* PCI devices are told apart by their place, all others by their number. */
static bool is_same_device(const struct vtd_dmar_scope *a, const struct vtd_dmar_scope *b)
{
        if (!is_pci(a->type) || !is_pci(b->type))
                return a->type == b->type && a->enumeration_id == b->enumeration_id;
        if (a->bus != b->bus || a->hops != b->hops)
                return false;
        for (size_t i = 0; i < a->hops; i++)
                if (a->path[i].device != b->path[i].device ||
                    a->path[i].function != b->path[i].function)
                        return false;
        return true;
}

/* @header is the size of the structure before its scopes, whose length has 16 bits. */
static int check_scopes(struct vtd_log *log, const struct scope_list *list, size_t header)
{
        size_t room = (UINT16_MAX - header) / (SCOPE_SIZE + 2);
        int r;

        if (list->count > room)
                return vtd_fail(log, -EINVAL, "DMAR: %zu scopes in a %s, at most %zu are possible",
                                list->count, list->owner, room);
        for (size_t i = 0; i < list->count; i++) {
                r = check_scope(log, list->owner, i, &list->scopes[i]);
                if (r != 0)
                        return r;
                for (size_t j = 0; j < i; j++)
                        if (is_same_device(&list->scopes[i], &list->scopes[j]))
                                return vtd_fail(log, -EINVAL,
                                                "DMAR: %s scopes %zu and %zu are the same device",
                                                list->owner, j, i);
        }
        if (scopes_size(list) > UINT16_MAX - header)
                return vtd_fail(log, -EINVAL,
                                "DMAR: %zu bytes of scopes in a %s, at most %zu are possible",
                                scopes_size(list), list->owner, (size_t)UINT16_MAX - header);
        return 0;
}

static size_t count_type(const struct scope_list *list, enum vtd_dmar_scope_type type)
{
        size_t count = 0;

        for (size_t i = 0; i < list->count; i++)
                count += list->scopes[i].type == type;
        return count;
}

static int check_drhd(struct vtd_log *log, const struct vtd_frontend_config *unit,
                      const struct vtd_dmar_config *config, const struct scope_list *list)
{
        size_t pci;
        int r = check_scopes(log, list, DRHD_SIZE);

        if (r != 0)
                return r;
        pci = count_type(list, VTD_DMAR_SCOPE_ENDPOINT) + count_type(list, VTD_DMAR_SCOPE_BRIDGE);
        if (config->include_pci_all && pci > 0)
                return vtd_fail(log, -EINVAL,
                                "DMAR: %zu PCI scopes, none are possible with INCLUDE_PCI_ALL",
                                pci);
        if (!config->include_pci_all && list->count == 0)
                return vtd_fail(log, -EINVAL,
                                "DMAR: no scopes and no INCLUDE_PCI_ALL: the unit would serve "
                                "nothing");
        if (unit->interrupt_remapping && count_type(list, VTD_DMAR_SCOPE_IOAPIC) == 0)
                return vtd_fail(log, -EINVAL,
                                "DMAR: no I/O APIC scope, every I/O APIC needs one with interrupt "
                                "remapping");
        if (!unit->interrupt_remapping && config->x2apic_opt_out)
                return vtd_fail(log, -EINVAL,
                                "DMAR: X2APIC_OPT_OUT means nothing without interrupt remapping");
        return 0;
}

static int check_rmrr(struct vtd_log *log, const struct vtd_frontend_config *unit, size_t index,
                      const struct vtd_dmar_reserved_memory *memory)
{
        const struct scope_list list = {"RMRR", memory->scopes, memory->scope_count};
        int r;

        if (!vtd_is_page_aligned(memory->base) || !vtd_is_page_aligned(memory->limit + 1) ||
            memory->limit < memory->base || memory->limit >> unit->host_address_bits != 0)
                return vtd_fail(log, -EINVAL,
                                "DMAR: RMRR %zu from %#llx to %#llx, whole pages below 2^%u are "
                                "needed",
                                index, (unsigned long long)memory->base,
                                (unsigned long long)memory->limit, unit->host_address_bits);
        r = check_scopes(log, &list, RMRR_SIZE);
        if (r != 0)
                return r;
        for (size_t i = 0; i < list.count; i++)
                if (!is_pci(list.scopes[i].type))
                        return vtd_fail(log, -EINVAL,
                                        "DMAR: RMRR %zu: scope %zu of type %d, only PCI devices "
                                        "are possible",
                                        index, i, (int)list.scopes[i].type);
        if (list.count == 0)
                return vtd_fail(log, -EINVAL, "DMAR: RMRR %zu has no scopes", index);
        return 0;
}

/* A root, and segments of 1 to 4 characters that are separated by dots. */
static bool is_qualified_name(const char *name)
{
        static const char leading[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";
        static const char following[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
        const char *at = name;

        if (strnlen(name, VTD_DMAR_MAX_NAME + 1) > VTD_DMAR_MAX_NAME || *at != '\\')
                return false;
        do {
                size_t length;

                at++;
                length = strspn(at, following);
                if (length == 0 || length > 4 || !strchr(leading, *at))
                        return false;
                at += length;
        } while (*at == '.');
        return *at == '\0';
}

static bool has_acpi_device(const struct vtd_dmar_config *config, unsigned number)
{
        for (size_t i = 0; i < config->acpi_device_count; i++)
                if (config->acpi_devices[i].number == number)
                        return true;
        return false;
}

/* Scopes and names must match one to one; the scopes are known to differ from each other. */
static int check_acpi_devices(struct vtd_log *log, const struct vtd_dmar_config *config,
                              const struct scope_list *list)
{
        size_t scopes = count_type(list, VTD_DMAR_SCOPE_ACPI_DEVICE);

        if (config->acpi_device_count != scopes)
                return vtd_fail(log, -EINVAL,
                                "DMAR: %zu ACPI devices are named and %zu have a scope",
                                config->acpi_device_count, scopes);
        for (size_t i = 0; i < config->acpi_device_count; i++)
                if (!config->acpi_devices[i].name ||
                    !is_qualified_name(config->acpi_devices[i].name))
                        return vtd_fail(log, -EINVAL,
                                        "DMAR: ACPI device %zu has no fully qualified name of at "
                                        "most %u characters",
                                        i, VTD_DMAR_MAX_NAME);
        for (size_t i = 0; i < list->count; i++)
                if (list->scopes[i].type == VTD_DMAR_SCOPE_ACPI_DEVICE &&
                    !has_acpi_device(config, list->scopes[i].enumeration_id))
                        return vtd_fail(log, -EINVAL,
                                        "DMAR: DRHD scope %zu is ACPI device %u, which has no name",
                                        i, list->scopes[i].enumeration_id);
        return 0;
}

static int check(struct vtd_log *log, const struct vtd_frontend_config *unit,
                 const struct vtd_dmar_config *config)
{
        const struct scope_list list = {"DRHD", config->scopes, config->scope_count};
        int r = check_text(log, "OEM id", config->oem_id, OEM_ID_SIZE);

        if (r == 0)
                r = check_text(log, "OEM table id", config->oem_table_id, OEM_TABLE_ID_SIZE);
        if (r == 0)
                r = check_text(log, "creator id", config->creator_id, CREATOR_ID_SIZE);
        if (r == 0)
                r = check_drhd(log, unit, config, &list);
        if (r == 0)
                r = check_acpi_devices(log, config, &list);
        if (r == 0 && config->reserved_count > VTD_DMAR_MAX_RESERVED)
                r = vtd_fail(log, -EINVAL, "DMAR: %zu RMRRs, at most %u are possible",
                             config->reserved_count, VTD_DMAR_MAX_RESERVED);
        for (size_t i = 0; r == 0 && i < config->reserved_count; i++)
                r = check_rmrr(log, unit, i, &config->reserved[i]);
        return r;
}

static void put_header(struct table *table, const struct vtd_frontend_config *unit,
                       const struct vtd_dmar_config *config, size_t length)
{
        unsigned flags = 0;

        if (unit->interrupt_remapping)
                flags |= DMAR_FLAG_INTR_REMAP;
        if (config->x2apic_opt_out)
                flags |= DMAR_FLAG_X2APIC_OPT_OUT;
        if (config->dma_control_opt_in)
                flags |= DMAR_FLAG_DMA_OPT_IN;
        put_text(table, "DMAR", DMAR_LENGTH_OFFSET);
        put(table, length, 4);
        put(table, DMAR_REVISION, 1);
        put(table, 0, 1); /* checksum */
        put_text(table, config->oem_id, OEM_ID_SIZE);
        put_text(table, config->oem_table_id, OEM_TABLE_ID_SIZE);
        put(table, config->oem_revision, 4);
        put_text(table, config->creator_id, CREATOR_ID_SIZE);
        put(table, config->creator_revision, 4);
        put(table, unit->host_address_bits - 1, 1);
        put(table, flags, 1);
        for (size_t i = 0; i < DMAR_RESERVED_SIZE; i++)
                put(table, 0, 1);
}

static void put_scopes(struct table *table, const struct scope_list *list)
{
        for (size_t i = 0; i < list->count; i++) {
                const struct vtd_dmar_scope *scope = &list->scopes[i];

                put(table, scope->type, 1);
                put(table, SCOPE_SIZE + 2 * scope->hops, 1);
                put(table, 0, 2); /* flags, reserved */
                put(table, scope->enumeration_id, 1);
                put(table, scope->bus, 1);
                for (size_t j = 0; j < scope->hops; j++) {
                        put(table, scope->path[j].device, 1);
                        put(table, scope->path[j].function, 1);
                }
        }
}

static void put_drhd(struct table *table, const struct vtd_frontend_config *unit,
                     const struct vtd_dmar_config *config)
{
        const struct scope_list list = {"DRHD", config->scopes, config->scope_count};

        put(table, DMAR_TYPE_DRHD, 2);
        put(table, DRHD_SIZE + scopes_size(&list), 2);
        put(table, config->include_pci_all ? DRHD_FLAG_PCI_ALL : 0, 1);
        put(table, 0, 1); /* the register set is 2^0 pages */
        put(table, config->segment, 2);
        put(table, unit->register_base, 8);
        put_scopes(table, &list);
}

static void put_rmrr(struct table *table, uint16_t segment,
                     const struct vtd_dmar_reserved_memory *memory)
{
        const struct scope_list list = {"RMRR", memory->scopes, memory->scope_count};

        put(table, DMAR_TYPE_RMRR, 2);
        put(table, RMRR_SIZE + scopes_size(&list), 2);
        put(table, 0, 2); /* reserved */
        put(table, segment, 2);
        put(table, memory->base, 8);
        put(table, memory->limit, 8);
        put_scopes(table, &list);
}

static void put_andd(struct table *table, const struct vtd_dmar_acpi_device *device)
{
        size_t size = strlen(device->name) + 1;

        put(table, DMAR_TYPE_ANDD, 2);
        put(table, ANDD_SIZE + size, 2);
        put(table, 0, 3); /* reserved */
        put(table, device->number, 1);
        for (size_t i = 0; i < size; i++)
                put(table, (uint8_t)device->name[i], 1);
}

/* Lays the table out; @length is what its header says. */
static void lay_out(struct table *table, const struct vtd_frontend_config *unit,
                    const struct vtd_dmar_config *config, size_t length)
{
        put_header(table, unit, config, length);
        put_drhd(table, unit, config);
        for (size_t i = 0; i < config->reserved_count; i++)
                put_rmrr(table, config->segment, &config->reserved[i]);
        for (size_t i = 0; i < config->acpi_device_count; i++)
                put_andd(table, &config->acpi_devices[i]);
}

int vtd_frontend_build_dmar(struct vtd_frontend *frontend, const struct vtd_dmar_config *config,
                            void *buffer, size_t capacity, size_t *size)
{
        const struct vtd_frontend_config *unit = &frontend->config;
        struct table counted = {NULL, 0}, written = {buffer, 0};
        uint8_t sum = 0;
        int r = check(&frontend->log, unit, config);

        if (r != 0)
                return r;
        lay_out(&counted, unit, config, 0);
        *size = counted.size;
        if (counted.size > capacity)
                return VTD_FRONTEND_TOO_SMALL;
        lay_out(&written, unit, config, counted.size);
        for (size_t i = 0; i < written.size; i++)
                sum += written.bytes[i];
        written.bytes[DMAR_CHECKSUM_OFFSET] = (uint8_t)-sum;
        return 0;
}
