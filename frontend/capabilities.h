/* SPDX-License-Identifier: MIT */
/*
 * What a unit offers its guest: the configuration in the form of the capability registers, which
 * decide what the other files accept.  Fixed once the unit exists.
 */
#ifndef VTD_FRONTEND_CAPABILITIES_H
#define VTD_FRONTEND_CAPABILITIES_H

#include <stdint.h>

#include "frontend/include/vtd/frontend.h"
#include "shared/log.h"

/* Register-based invalidation does not exist from major version 6 on. */
#define VTD_VERSION 0x60u

#define VTD_CAP_CM          (UINT64_C(1) << 7)
#define VTD_CAP_SAGAW_SHIFT 8u
#define VTD_CAP_MGAW_SHIFT  16u
#define VTD_CAP_MGAW_MASK   UINT64_C(0x3f)
#define VTD_CAP_FRO_SHIFT   24u
#define VTD_CAP_SSLPS_2MIB  (UINT64_C(1) << 34)
#define VTD_CAP_SSLPS_1GIB  (UINT64_C(1) << 35)
#define VTD_CAP_NFR_SHIFT   40u
#define VTD_CAP_MAMV        18u
#define VTD_CAP_FS1GP       (UINT64_C(1) << 56)
#define VTD_CAP_FS5LP       (UINT64_C(1) << 60)
#define VTD_ECAP_IR         (UINT64_C(1) << 3)
#define VTD_ECAP_EIM        (UINT64_C(1) << 4)
#define VTD_ECAP_SC         (UINT64_C(1) << 7)
#define VTD_ECAP_IRO_SHIFT  8u
#define VTD_ECAP_MHMV_SHIFT 20u
#define VTD_ECAP_MHMV       15u /* with interrupt remapping */
#define VTD_ECAP_NEST       (UINT64_C(1) << 26)
#define VTD_ECAP_SRS        (UINT64_C(1) << 31)
#define VTD_ECAP_EAFS       (UINT64_C(1) << 34)
#define VTD_ECAP_PSS_SHIFT  35u
#define VTD_ECAP_PASID      (UINT64_C(1) << 40)
#define VTD_ECAP_SSADS      (UINT64_C(1) << 45)
#define VTD_ECAP_SSTS       (UINT64_C(1) << 46)
#define VTD_ECAP_FSTS       (UINT64_C(1) << 47)

/* Messages of devices go to these addresses, which are no memory. */
#define VTD_INTERRUPT_RANGE_START UINT64_C(0xfee00000)
#define VTD_INTERRUPT_RANGE_SIZE  UINT64_C(0x100000)

struct vtd_capabilities {
        uint64_t cap;
        uint64_t ecap;
        unsigned fault_records;
        unsigned host_address_bits;
        uint64_t register_base;
};

/* Returns 0, or -EINVAL for a combination that no unit can have; @log says which. */
int vtd_capabilities_check(struct vtd_log *log, const struct vtd_frontend_config *config);

/* @config must have been checked. */
struct vtd_capabilities vtd_capabilities_of(const struct vtd_frontend_config *config);

#endif
