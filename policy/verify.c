/* SPDX-License-Identifier: MIT */
/*
 * Judging and searching a compiled policy; all of policy/ that the sandboxed worker links, with
 * schema.c.  May assume nothing about the bytes of the struct; must accept exactly what compiling
 * can yield.  Text of the struct is not logged before it has been checked.
 */
#include "policy/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "policy/schema.h"
#include "shared/checked.h"

/* No padding: otherwise copying the struct could change what the checksum covers. */
_Static_assert(sizeof(struct vtd_policy) ==
                       74 * sizeof(uint32_t) +
                               VTD_POLICY_TOTAL_COUNT * sizeof(struct vtd_policy_limit) +
                               VTD_POLICY_LIMIT_COUNT * sizeof(struct vtd_policy_limit) +
                               VTD_LIMIT_DEVICES * sizeof(struct vtd_policy_device),
               "struct vtd_policy has no padding");
_Static_assert(sizeof(struct vtd_policy_limit) == 16, "struct vtd_policy_limit has no padding");
_Static_assert(sizeof(struct vtd_policy_device) == 72, "struct vtd_policy_device has no padding");

#define FNV_BASIS 2166136261u
#define FNV_PRIME 16777619u

uint32_t vtd_policy_checksum(const struct vtd_policy *policy)
{
        const size_t field = offsetof(struct vtd_policy, checksum);
        const unsigned char *bytes = (const unsigned char *)policy;
        uint32_t sum = FNV_BASIS;

        for (size_t i = 0; i < sizeof(*policy); i++) {
                bool skipped = i >= field && i < field + sizeof(policy->checksum);

                sum = (sum ^ (skipped ? 0u : bytes[i])) * FNV_PRIME;
        }
        return sum;
}

static bool all_zero(const void *data, size_t size)
{
        const unsigned char *bytes = data;
        unsigned char found = 0;

        for (size_t i = 0; i < size; i++)
                found |= bytes[i];
        return found == 0;
}

/* True when @field holds a text that @prefix finds well-formed, a NUL, and zeros behind it. */
static bool text_allowed(const char *field, size_t size, size_t (*prefix)(const char *, size_t))
{
        size_t length = strnlen(field, size);

        return length < size && prefix(field, length) == length &&
               all_zero(field + length, size - length);
}

static bool line_allowed(uint32_t line)
{
        return line >= VTD_SCHEMA_LINE_MIN && line <= VTD_SCHEMA_LINE_MAX;
}

static int verify_values(enum vtd_schema_section section, const void *base, struct vtd_log *log)
{
        const struct vtd_schema_row *row;

        for (size_t i = 0; (row = vtd_schema_row(i)); i++) {
                uint64_t value;
                uint32_t line;

                if (row->section != section || !vtd_schema_is_numeric(row))
                        continue;
                value = vtd_schema_value(row, base);
                if (!vtd_schema_value_allowed(row, value))
                        return vtd_fail(log, -EINVAL,
                                        "compiled policy: %s is %" PRIu64 ", out of its range",
                                        row->key, value);
                if (row->line_offset == 0)
                        continue;
                line = vtd_schema_line(row, base);
                if (line == 0 && (row->required || value != row->initial))
                        return vtd_fail(log, -EINVAL,
                                        "compiled policy: %s is %" PRIu64
                                        " without a line that says so",
                                        row->key, value);
                if (line != 0 && !line_allowed(line))
                        return vtd_fail(log, -EINVAL,
                                        "compiled policy: %s cites line %" PRIu32
                                        "; lines are %u to %u",
                                        row->key, line, VTD_SCHEMA_LINE_MIN, VTD_SCHEMA_LINE_MAX);
        }
        return 0;
}

static bool address_allowed(const struct vtd_policy_device *device)
{
        const size_t size = sizeof(device->address);
        size_t length = strnlen(device->address, size);

        return length < size &&
               vtd_schema_source_prefix(device->source, device->address, length) == length &&
               all_zero(device->address + length, size - length);
}

static bool is_simulated(const struct vtd_policy_device *device)
{
        return device->source == VTD_POLICY_SOURCE_SIMULATED;
}

static int verify_device(const struct vtd_policy *policy, uint32_t index, struct vtd_log *log)
{
        const struct vtd_policy_device *device = &policy->devices[index];
        const uint32_t regions = ((1u << VTD_SCHEMA_BARS) - 1) | VTD_POLICY_REGION_CONFIG;

        if (!text_allowed(device->name, sizeof(device->name), vtd_schema_device_prefix))
                return vtd_fail(log, -EINVAL,
                                "compiled policy: name of device %" PRIu32 " is malformed", index);
        if (!address_allowed(device) || is_simulated(device) != is_simulated(&policy->devices[0]))
                return vtd_fail(log, -EINVAL,
                                "compiled policy: address of device %" PRIu32
                                " is malformed or of another kind than the first",
                                index);
        if ((device->regions_read & ~regions) != 0 ||
            (device->regions_write & ~device->regions_read) != 0)
                return vtd_fail(log, -EINVAL,
                                "compiled policy: device %" PRIu32 " grants regions 0x%" PRIx32
                                " and to write 0x%" PRIx32 "; allowed: 0x%" PRIx32
                                " and no more than may be read",
                                index, device->regions_read, device->regions_write, regions);
        if (!line_allowed(device->line) || device->reserved != 0)
                return vtd_fail(log, -EINVAL,
                                "compiled policy: device %" PRIu32 " cites line %" PRIu32
                                " or uses a reserved field",
                                index, device->line);
        for (uint32_t i = 0; i < index; i++) {
                const struct vtd_policy_device *other = &policy->devices[i];

                if (strcmp(other->name, device->name) == 0 ||
                    vtd_policy_is_same_device(other, device))
                        return vtd_fail(log, -EINVAL,
                                        "compiled policy: devices %" PRIu32 " and %" PRIu32
                                        " have one name or address",
                                        i, index);
        }
        return verify_values(VTD_SCHEMA_DEVICE, device, log);
}

static int verify_devices(const struct vtd_policy *policy, struct vtd_log *log)
{
        int result;

        if (policy->n_devices > VTD_LIMIT_DEVICES)
                return vtd_fail(log, -EINVAL, "compiled policy: %" PRIu32 " devices; at most %u",
                                policy->n_devices, VTD_LIMIT_DEVICES);
        for (uint32_t i = 0; i < policy->n_devices; i++) {
                result = verify_device(policy, i, log);
                if (result != 0)
                        return result;
        }
        for (uint32_t i = policy->n_devices; i < VTD_LIMIT_DEVICES; i++) {
                if (!all_zero(&policy->devices[i], sizeof(policy->devices[i])))
                        return vtd_fail(log, -EINVAL,
                                        "compiled policy: device %" PRIu32
                                        " is not empty, but there are %" PRIu32,
                                        i, policy->n_devices);
        }
        return 0;
}

bool vtd_policy_is_same_device(const struct vtd_policy_device *a, const struct vtd_policy_device *b)
{
        return a->source == b->source &&
               (a->source == VTD_POLICY_SOURCE_PCI || a->source == VTD_POLICY_SOURCE_CDEV) &&
               strcmp(a->address, b->address) == 0;
}

const struct vtd_policy_limit *vtd_policy_total_of(const struct vtd_policy *policy,
                                                   enum vtd_policy_limit_index index)
{
        static const struct {
                enum vtd_policy_limit_index limit;
                enum vtd_policy_total_index total;
        } totals[] = {
                {VTD_POLICY_MEMORY, VTD_POLICY_TOTAL_MEMORY},
                {VTD_POLICY_FIRST_STAGE_TABLES, VTD_POLICY_TOTAL_FIRST_STAGE_TABLES},
                {VTD_POLICY_PASIDS, VTD_POLICY_TOTAL_PASIDS},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(totals); i++)
                if (totals[i].limit == index)
                        return &policy->totals[totals[i].total];
        return NULL;
}

/* A label has a line, and none has not. */
static int verify_label(const struct vtd_policy *policy, struct vtd_log *log)
{
        bool absent = all_zero(policy->label, sizeof(policy->label));

        if (absent ? policy->label_line == 0
                   : text_allowed(policy->label, sizeof(policy->label), vtd_schema_label_prefix) &&
                             line_allowed(policy->label_line))
                return 0;
        return vtd_fail(log, -EINVAL, "compiled policy: label is malformed or cites line %" PRIu32,
                        policy->label_line);
}

/* One VM at least must be possible. */
static int verify_totals(const struct vtd_policy *policy, struct vtd_log *log)
{
        for (unsigned i = 0; i < VTD_POLICY_LIMIT_COUNT; i++) {
                const struct vtd_policy_limit *total = vtd_policy_total_of(policy, i);

                if (total && (total->reserved != 0 || total->value < policy->limits[i].value))
                        return vtd_fail(log, -EINVAL,
                                        "compiled policy: a total of %" PRIu64
                                        " is below the limit of one VM, %" PRIu64
                                        ", or uses a reserved field",
                                        total->value, policy->limits[i].value);
        }
        return 0;
}

int vtd_policy_verify(const struct vtd_policy *policy, struct vtd_log *log)
{
        uint32_t sum = vtd_policy_checksum(policy);
        int result;

        if (policy->version != VTD_POLICY_VERSION)
                return vtd_fail(log, -EINVAL, "compiled policy: version %" PRIu32 ", expected %u",
                                policy->version, VTD_POLICY_VERSION);
        if (policy->checksum != sum)
                return vtd_fail(log, -EINVAL,
                                "compiled policy: checksum %08" PRIx32
                                ", its bytes give %08" PRIx32,
                                policy->checksum, sum);
        if (!text_allowed(policy->tenant, sizeof(policy->tenant), vtd_schema_tenant_prefix) ||
            !text_allowed(policy->file, sizeof(policy->file), vtd_schema_file_prefix))
                return vtd_fail(log, -EINVAL, "compiled policy: tenant or file name is malformed");
        if (!line_allowed(policy->tenant_line))
                return vtd_fail(log, -EINVAL,
                                "compiled policy: [tenant] cites line %" PRIu32
                                "; lines are %u to %u",
                                policy->tenant_line, VTD_SCHEMA_LINE_MIN, VTD_SCHEMA_LINE_MAX);
        if (policy->reserved != 0)
                return vtd_fail(log, -EINVAL, "compiled policy: a reserved field is used");
        for (size_t i = 0; i < VTD_POLICY_LIMIT_COUNT; i++) {
                if (policy->limits[i].reserved != 0)
                        return vtd_fail(log, -EINVAL,
                                        "compiled policy: limit %zu uses a reserved"
                                        " field",
                                        i);
        }
        result = verify_values(VTD_SCHEMA_TENANT, policy, log);
        if (result == 0)
                result = verify_label(policy, log);
        if (result == 0)
                result = verify_values(VTD_SCHEMA_VM, policy, log);
        if (result == 0)
                result = verify_totals(policy, log);
        if (result == 0)
                result = verify_devices(policy, log);
        return result;
}

const struct vtd_policy_device *vtd_policy_find_device(const struct vtd_policy *policy,
                                                       const char *name)
{
        for (uint32_t i = 0; i < policy->n_devices && i < VTD_LIMIT_DEVICES; i++) {
                if (strcmp(policy->devices[i].name, name) == 0)
                        return &policy->devices[i];
        }
        return NULL;
}
