/* SPDX-License-Identifier: MIT */
/* The checksum of a compiled policy, for compiling and verifying alike. */
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

#endif
