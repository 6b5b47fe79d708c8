/* SPDX-License-Identifier: MIT */
/*
 * See grant_policy.h.  What is asked comes from the control socket: its form has been judged
 * (admin.h), its values have not.
 */
#include "broker/brokerd/grant_policy.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "policy/schema.h"
#include "policy/value.h"
#include "policy/verify.h"
#include "shared/checked.h"

/* The row of [vm] that describes a limit. */
static const struct vtd_schema_row *limit_row(enum vtd_policy_limit_index limit)
{
        const size_t offset =
                offsetof(struct vtd_policy, limits) + limit * sizeof(struct vtd_policy_limit);
        const struct vtd_schema_row *row;

        for (size_t i = 0; (row = vtd_schema_row(i)); i++)
                if (row->section == VTD_SCHEMA_VM && vtd_schema_is_numeric(row) &&
                    row->offset == offset)
                        return row;
        return NULL;
}

static int lower_limit(struct vtd_policy *out, enum vtd_policy_limit_index index, uint64_t value,
                       struct vtd_refused *refused)
{
        const struct vtd_schema_row *row = limit_row(index);
        struct vtd_policy_limit *limit = &out->limits[index];
        char allowed[VTD_POLICY_TEXT_SIZE];

        if (value > limit->value)
                return vtd_refuse(refused, limit->line != 0 ? limit->line : out->tenant_line,
                                  "%s %" PRIu64 " asked, the tenant's policy allows %" PRIu64,
                                  vtd_admin_key_row(vtd_admin_limit_key(index))->name, value,
                                  limit->value);
        if (!row || !vtd_schema_value_allowed(row, value)) {
                vtd_policy_format_allowed(row, allowed);
                return vtd_refuse(refused, 0, "%s %" PRIu64 " asked, allowed is %.100s",
                                  vtd_admin_key_row(vtd_admin_limit_key(index))->name, value,
                                  allowed);
        }
        /* A default has no line; what differs from it needs one to be cited. */
        if (limit->line == 0 && value != limit->value)
                limit->line = out->tenant_line;
        limit->value = value;
        return 0;
}

static int lower_limits(struct vtd_policy *out, const struct vtd_admin_record *request,
                        struct vtd_refused *refused)
{
        for (unsigned i = 0; i < VTD_POLICY_LIMIT_COUNT; i++) {
                uint64_t value =
                        vtd_admin_number(request, vtd_admin_limit_key(i), out->limits[i].value);
                int result = lower_limit(out, i, value, refused);

                if (result != 0)
                        return result;
        }
        return 0;
}

/*
 * The section of @policy that @asked names or, by its address, is meant by, of those that @out has not
 * yet; a section by vendor and device id is then that one function.
 */
static bool find_device(struct vtd_policy_device *device, const struct vtd_policy *policy,
                        const struct vtd_policy *out, const char *asked,
                        const struct vtd_device_files *files)
{
        const struct vtd_policy_device *named = vtd_policy_find_device(policy, asked);

        for (uint32_t i = 0; !named && i < policy->n_devices; i++)
                if (!vtd_policy_find_device(out, policy->devices[i].name) &&
                    vtd_device_files_matches(files, &policy->devices[i], asked))
                        named = &policy->devices[i];
        if (!named)
                return false;
        *device = *named;
        if (device->source == VTD_POLICY_SOURCE_KIND && strcmp(device->name, asked) != 0) {
                memset(device->address, 0, sizeof(device->address));
                (void)snprintf(device->address, sizeof(device->address), "%s", asked);
                device->source = VTD_POLICY_SOURCE_PCI;
        }
        return true;
}

static int choose_devices(struct vtd_policy *out, const struct vtd_policy *policy,
                          const struct vtd_admin_record *request,
                          const struct vtd_device_files *files, struct vtd_refused *refused)
{
        const struct vtd_admin_field *field;

        memset(out->devices, 0, sizeof(out->devices));
        out->n_devices = 0;
        while ((field = vtd_admin_find(request, VTD_ADMIN_K_DEVICE, out->n_devices)) != NULL) {
                const char *asked = request->bytes + field->text;
                struct vtd_policy_device device;

                if (!find_device(&device, policy, out, asked, files))
                        return vtd_refuse(
                                refused, policy->tenant_line,
                                "the tenant's policy grants no device %s, or not once more", asked);
                /* Names differ in a policy, so that no more are chosen than there are. */
                for (uint32_t i = 0; i < out->n_devices; i++)
                        if (strcmp(out->devices[i].name, device.name) == 0 ||
                            vtd_policy_is_same_device(&out->devices[i], &device))
                                return vtd_refuse(refused, 0, "device %s is asked for twice",
                                                  asked);
                out->devices[out->n_devices++] = device;
        }
        if (out->n_devices == 0)
                return vtd_refuse(refused, 0,
                                  "no device is asked for: a VM without one has no use");
        return 0;
}

int vtd_grant_policy_make(struct vtd_policy *out, const struct vtd_policy *policy,
                          const struct vtd_admin_record *request,
                          const struct vtd_device_files *files, struct vtd_refused *refused)
{
        uint64_t uid = vtd_admin_number(request, VTD_ADMIN_K_UID, policy->uid);
        int result;

        *out = *policy;
        if (uid != policy->uid)
                return vtd_refuse(refused, policy->uid_line,
                                  "user %" PRIu64 " asked, the tenant's VMMs run as user %u", uid,
                                  policy->uid);
        result = choose_devices(out, policy, request, files, refused);
        if (result == 0)
                result = lower_limits(out, request, refused);
        if (result != 0)
                return result;
        out->checksum = vtd_policy_checksum(out);
        if (vtd_policy_verify(out, NULL) != 0)
                return vtd_refuse(refused, 0, "what is asked for makes no valid policy");
        return 0;
}

bool vtd_grant_policy_covers(const struct vtd_policy *policy,
                             const struct vtd_policy_device *device,
                             const struct vtd_device_files *files)
{
        const struct vtd_policy_device *granted = vtd_policy_find_device(policy, device->name);

        if (!granted)
                return false;
        if (granted->source == device->source)
                return strcmp(granted->address, device->address) == 0;
        /* One function of those that a section by vendor and device id may stand for. */
        return device->source == VTD_POLICY_SOURCE_PCI &&
               vtd_device_files_matches(files, granted, device->address);
}
