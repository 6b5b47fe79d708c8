/* SPDX-License-Identifier: MIT */
/*
 * frontend/capabilities.c: for every configuration.  Each number of one that is accepted must be
 * found again in its register, and the registers must not contradict each other.
 *
 * Bounds: none.
 */
#include "tests/prove/prove.h"

#include "frontend/capabilities.c"
#include "tests/prove/any-config.h"

static uint64_t field(uint64_t value, unsigned low, unsigned width)
{
        return value >> low & ((UINT64_C(1) << width) - 1);
}

/* Positions are those of the architecture's register descriptions. */
void prove_numbers(void)
{
        const struct vtd_frontend_config config = any_config();
        struct vtd_capabilities c;

        if (vtd_capabilities_check(NULL, &config) != 0)
                return;
        c = vtd_capabilities_of(&config);
        PROVE(field(c.cap, 8, 5) == config.second_stage_widths);
        PROVE(field(c.cap, 16, 6) + 1 == config.address_bits);
        PROVE(field(c.cap, 24, 10) * 16 == VTD_REG_FRCD);
        PROVE(field(c.cap, 40, 8) + 1 == config.fault_records);
        PROVE(VTD_REG_FRCD + config.fault_records * VTD_FRCD_SIZE <=
              VTD_FRONTEND_REGISTER_PAGE_SIZE);
        PROVE(field(c.ecap, 8, 10) * 16 == VTD_REG_IVA);
        PROVE(IMPLIES(config.pasid_bits > 0, field(c.ecap, 35, 5) + 1 == config.pasid_bits));
        PROVE(IMPLIES(config.pasid_bits == 0, field(c.ecap, 35, 5) == 0));
        PROVE(field(c.ecap, 40, 1) == (config.pasid_bits > 0));
        PROVE(c.fault_records >= 1 && c.host_address_bits >= 32 && c.host_address_bits <= 52);
        PROVE(c.register_base + VTD_FRONTEND_REGISTER_PAGE_SIZE <= UINT64_C(1)
                                                                           << c.host_address_bits);
}

void prove_bits(void)
{
        const struct vtd_frontend_config config = any_config();
        struct vtd_capabilities c;

        if (vtd_capabilities_check(NULL, &config) != 0)
                return;
        c = vtd_capabilities_of(&config);
        PROVE(field(c.cap, 7, 1) == config.caching_mode);
        PROVE(field(c.cap, 56, 1) == config.first_stage_1gib);
        PROVE(field(c.cap, 60, 1) == config.first_stage_5level);
        PROVE(field(c.ecap, 3, 1) == config.interrupt_remapping);
        PROVE(field(c.ecap, 4, 1) == config.extended_interrupt_mode);
        PROVE(field(c.ecap, 7, 1) == config.snoop_control);
        PROVE(field(c.ecap, 26, 1) == config.nested);
        PROVE(field(c.ecap, 31, 1) == config.supervisor_requests);
        PROVE(field(c.ecap, 34, 1) == config.extended_accessed);
        PROVE(field(c.ecap, 45, 1) == config.second_stage_dirty);
        PROVE(field(c.ecap, 46, 1) == (config.second_stage_widths != 0));
        PROVE(field(c.ecap, 47, 1) == config.first_stage);
}

/* What one capability needs of another, and what is never offered. */
void prove_consistent(void)
{
        const struct vtd_frontend_config config = any_config();
        struct vtd_capabilities c;

        if (vtd_capabilities_check(NULL, &config) != 0)
                return;
        c = vtd_capabilities_of(&config);
        PROVE((c.ecap & VTD_ECAP_FSTS) || (c.ecap & VTD_ECAP_SSTS));
        PROVE(IMPLIES(c.ecap & VTD_ECAP_NEST,
                      (c.ecap & VTD_ECAP_FSTS) && (c.ecap & VTD_ECAP_SSTS)));
        PROVE(IMPLIES(c.ecap & VTD_ECAP_EIM, c.ecap & VTD_ECAP_IR));
        PROVE(IMPLIES(c.cap & (VTD_CAP_FS1GP | VTD_CAP_FS5LP), c.ecap & VTD_ECAP_FSTS));
        PROVE(IMPLIES(c.ecap & (VTD_ECAP_SRS | VTD_ECAP_EAFS), c.ecap & VTD_ECAP_FSTS));
        PROVE(IMPLIES(c.ecap & VTD_ECAP_SSADS, c.ecap & VTD_ECAP_SSTS));
        PROVE((c.ecap & VTD_ECAP_SSTS) != 0 == (field(c.cap, 8, 5) != 0));
        PROVE(!(c.cap & VTD_CAP_CM) == !config.caching_mode);
        PROVE(field(c.ecap, 2, 1) == 0 && field(c.ecap, 29, 1) == 0); /* DT, PRS */
        PROVE(vtd_is_page_aligned(c.register_base) && c.register_base != 0);
        PROVE(c.register_base + VTD_FRONTEND_REGISTER_PAGE_SIZE <= 0xfee00000 ||
              c.register_base >= 0xfef00000);
}
