/* SPDX-License-Identifier: MIT */
/*
 * What a VT-d unit's capability registers mean to the broker: which hosts it serves, what a
 * frontend may know of them, and which units can share a second-stage table.
 */
#ifndef VTD_BROKER_WORKER_CAPABILITY_H
#define VTD_BROKER_WORKER_CAPABILITY_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/worker/vm_state.h"

/* True when the unit has scalable mode, nested translation and first-stage translation. */
bool vtd_capability_nested(const struct vtd_host_device_info *info);

/* True when it can make DMA snoop caches whatever the device asks for. */
bool vtd_capability_snoop_control(const struct vtd_host_device_info *info);

/* True when first-stage tables may have five levels (57 bits). */
bool vtd_capability_five_level(const struct vtd_host_device_info *info);

/* The VTD_FIRST_STAGE_* flags that the unit can honour. */
uint32_t vtd_capability_flags(const struct vtd_host_device_info *info);

/*
 * The two registers as a frontend may see them: bits of a whitelist, less what the policy does not
 * grant, so that a frontend offers its guest only what Attach will accept.
 */
void vtd_capability_mask(const struct vtd_host_device_info *info, const struct vtd_policy *policy,
                         uint64_t *cap, uint64_t *ecap);

/*
 * The bits that the VT-d driver compares when a second-stage table is attached through another
 * unit; equal keys can share a table.
 */
struct vtd_second_stage_key vtd_capability_key(const struct vtd_host_device_info *info);

#endif
