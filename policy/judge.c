/* SPDX-License-Identifier: MIT */
/* See judge.h.  Linked into the sandboxed worker: arithmetic on the struct, and nothing else. */
#include "policy/judge.h"

#include "policy/schema.h"
#include "shared/checked.h"

static struct vtd_policy_verdict judge_bits(uint64_t asked, uint64_t allowed, uint32_t line)
{
        return (struct vtd_policy_verdict){.granted = (asked & ~allowed) == 0,
                                           .asked = asked,
                                           .allowed = allowed,
                                           .line = line};
}

static struct vtd_policy_verdict judge_number(uint64_t asked, const struct vtd_policy_limit *limit)
{
        return (struct vtd_policy_verdict){.granted = asked <= limit->value,
                                           .asked = asked,
                                           .allowed = limit->value,
                                           .line = limit->line};
}

struct vtd_policy_verdict vtd_policy_judge_mode(const struct vtd_policy *policy, uint32_t mode)
{
        /* Blocked is what every device is without a grant. */
        return judge_bits(mode, policy->modes | VTD_POLICY_MODE_BLOCKED, policy->modes_line);
}

struct vtd_policy_verdict vtd_policy_judge_flags(const struct vtd_policy *policy, uint32_t flags)
{
        return judge_bits(flags, policy->first_stage_flags, policy->first_stage_flags_line);
}

struct vtd_policy_verdict vtd_policy_judge_width(const struct vtd_policy *policy, uint64_t width)
{
        return judge_number(width, &policy->limits[VTD_POLICY_ADDRESS_WIDTH]);
}

struct vtd_policy_verdict vtd_policy_judge_region(const struct vtd_policy_device *device,
                                                  uint32_t region, bool write)
{
        uint32_t allowed = write ? device->regions_write : device->regions_read;

        return (struct vtd_policy_verdict){
                .granted = region < VTD_SCHEMA_BARS && (allowed & 1u << region) != 0,
                .asked = region,
                .allowed = allowed,
                .line = device->line,
        };
}

struct vtd_policy_verdict vtd_policy_judge_config(const struct vtd_policy_device *device,
                                                  bool write)
{
        return judge_bits(VTD_POLICY_REGION_CONFIG,
                          write ? device->regions_write : device->regions_read, device->line);
}

struct vtd_policy_verdict vtd_policy_judge_limit(const struct vtd_policy *policy,
                                                 enum vtd_policy_limit_index index, uint64_t used,
                                                 uint64_t more)
{
        uint64_t sum;

        if (!vtd_add_u64(used, more, &sum))
                sum = UINT64_MAX;
        return judge_number(sum, &policy->limits[index]);
}
