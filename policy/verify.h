/* SPDX-License-Identifier: MIT */
/* What compiling and verifying must judge alike. */
#ifndef VTD_POLICY_VERIFY_H
#define VTD_POLICY_VERIFY_H

#include <stdint.h>

#include "policy/policy.h"

/*
 * FNV-1a over every byte of @policy, its checksum field taken as zero.  Any change within one byte
 * changes it.  It finds mistakes (a cut record, two programs that were not built together); it does
 * not authenticate, which is why vtd_policy_verify() judges every field as well.
 */
uint32_t vtd_policy_checksum(const struct vtd_policy *policy);

/*
 * True when two sections can only mean one function.  Sections by vendor and device id each take a
 * function of their own.
 */
bool vtd_policy_is_same_device(const struct vtd_policy_device *a,
                               const struct vtd_policy_device *b);

#endif
