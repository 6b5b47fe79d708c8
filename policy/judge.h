/* SPDX-License-Identifier: MIT */
/*
 * What a compiled policy says to a request.  One judgement with two callers: the worker, which
 * enforces it and adds what only it knows (handles, hardware, memory that is mapped), and
 * `vtd-policy explain`, which tells it to a person beforehand.  Pure; may assume a policy that
 * vtd_policy_verify() accepts, and nothing about what is asked.
 */
#ifndef VTD_POLICY_JUDGE_H
#define VTD_POLICY_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/policy.h"

struct vtd_policy_verdict {
        bool granted;
        uint64_t asked;   /* in the units of what is judged */
        uint64_t allowed; /* likewise: a limit, or a mask of what is granted */
        uint32_t line;    /* that decides, whichever way; 0: no line, a default */
};

/* Attaching by @mode, a bit VTD_POLICY_MODE_*; asked and allowed are masks of such bits. */
struct vtd_policy_verdict vtd_policy_judge_mode(const struct vtd_policy *policy, uint32_t mode);

/* First-stage @flags, and the address width in bits. */
struct vtd_policy_verdict vtd_policy_judge_flags(const struct vtd_policy *policy, uint32_t flags);
struct vtd_policy_verdict vtd_policy_judge_width(const struct vtd_policy *policy, uint64_t width);

/* Reading or writing BAR @region of @device, which is one of a policy's; any number may be asked. */
struct vtd_policy_verdict vtd_policy_judge_region(const struct vtd_policy_device *device,
                                                  uint32_t region, bool write);

/* The same for configuration space; asked is VTD_POLICY_REGION_CONFIG. */
struct vtd_policy_verdict vtd_policy_judge_config(const struct vtd_policy_device *device,
                                                  bool write);

/* Holding @more of what limit @index bounds beside @used; asked is the sum, or UINT64_MAX. */
struct vtd_policy_verdict vtd_policy_judge_limit(const struct vtd_policy *policy,
                                                 enum vtd_policy_limit_index index, uint64_t used,
                                                 uint64_t more);

#endif
