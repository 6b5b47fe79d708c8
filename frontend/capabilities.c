/* SPDX-License-Identifier: MIT */
/*
 * See capabilities.h.  Must refuse every configuration whose registers would contradict each other;
 * the rules stand in one table each for what needs what, and for what ranges numbers have.
 */
#include "frontend/capabilities.h"

#include <errno.h>

#include "frontend/registers.h"
#include "shared/checked.h"

/*
 * ND=6, ZLR, PSI, MAMV=18, DWD, DRD, ESIRTPS, ESRTPS.  ZLR promises that a read of no bytes is not
 * refused for lack of R.  Only the second stage has pages without R, so only emulated devices, and
 * their requests have bytes.
 */
#define CAP_BASE UINT64_C(0xc0d2008000400006)
/* C, QI, PT, SMTS, SMPWCS, RPS. */
#define ECAP_BASE UINT64_C(0x0003080000000043)

#define FAULT_RECORDS_MAX ((VTD_FRONTEND_REGISTER_PAGE_SIZE - VTD_REG_FRCD) / VTD_FRCD_SIZE)

#define WIDTHS (VTD_FRONTEND_WIDTH_39 | VTD_FRONTEND_WIDTH_48 | VTD_FRONTEND_WIDTH_57)

static int check_needs(struct vtd_log *log, const struct vtd_frontend_config *config)
{
        bool second_stage = config->second_stage_widths != 0;
        const struct {
                const char *what;
                bool wanted;
                const char *needed;
                bool given;
        } rules[] = {
                {"first-stage 1 GiB pages", config->first_stage_1gib, "first-stage translation",
                 config->first_stage},
                {"five-level first-stage tables", config->first_stage_5level,
                 "first-stage translation", config->first_stage},
                {"supervisor requests", config->supervisor_requests, "first-stage translation",
                 config->first_stage},
                {"extended accessed bits", config->extended_accessed, "first-stage translation",
                 config->first_stage},
                {"nested translation", config->nested, "first-stage translation",
                 config->first_stage},
                {"nested translation", config->nested, "a width of second-stage tables",
                 second_stage},
                {"second-stage accessed and dirty bits", config->second_stage_dirty,
                 "a width of second-stage tables", second_stage},
                {"no first-stage translation", !config->first_stage,
                 "a width of second-stage tables", second_stage},
                {"extended interrupt mode", config->extended_interrupt_mode, "interrupt remapping",
                 config->interrupt_remapping},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(rules); i++)
                if (rules[i].wanted && !rules[i].given)
                        return vtd_fail(log, -EINVAL, "%s needs %s", rules[i].what,
                                        rules[i].needed);
        return 0;
}

static int check_ranges(struct vtd_log *log, const struct vtd_frontend_config *config)
{
        bool five_levels =
                config->first_stage_5level || (config->second_stage_widths & VTD_FRONTEND_WIDTH_57);
        const struct {
                unsigned value;
                const char *what;
                unsigned low, high;
        } rules[] = {
                {config->fault_records, "fault records", 1, FAULT_RECORDS_MAX},
                {config->address_bits, "address bits", 39, five_levels ? 57 : 48},
                {config->host_address_bits, "bits of guest-physical addresses", 32, 52},
                {config->pasid_bits, "PASID bits", 0, 20},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(rules); i++)
                if (rules[i].value < rules[i].low || rules[i].value > rules[i].high)
                        return vtd_fail(log, -EINVAL, "%u %s, %u to %u are possible",
                                        rules[i].value, rules[i].what, rules[i].low, rules[i].high);
        if (config->second_stage_widths & ~WIDTHS)
                return vtd_fail(log, -EINVAL, "second-stage widths %#x, the bits of %#x exist",
                                config->second_stage_widths, WIDTHS);
        return 0;
}

static int check_register_base(struct vtd_log *log, const struct vtd_frontend_config *config)
{
        uint64_t base = config->register_base;

        if (base == 0 || !vtd_is_page_aligned(base) ||
            !vtd_range_within(base, VTD_FRONTEND_REGISTER_PAGE_SIZE,
                              UINT64_C(1) << config->host_address_bits))
                return vtd_fail(log, -EINVAL,
                                "register page at %#llx, it must be a page above 0 and below 2^%u",
                                (unsigned long long)base, config->host_address_bits);
        if (vtd_ranges_overlap(base, VTD_FRONTEND_REGISTER_PAGE_SIZE, VTD_INTERRUPT_RANGE_START,
                               VTD_INTERRUPT_RANGE_SIZE))
                return vtd_fail(log, -EINVAL,
                                "register page at %#llx, which is in the range of interrupts",
                                (unsigned long long)base);
        return 0;
}

int vtd_capabilities_check(struct vtd_log *log, const struct vtd_frontend_config *config)
{
        int r = check_needs(log, config);

        if (r == 0)
                r = check_ranges(log, config);
        if (r == 0)
                r = check_register_base(log, config);
        return r;
}

static uint64_t when(bool condition, uint64_t bits)
{
        return condition ? bits : 0;
}

struct vtd_capabilities vtd_capabilities_of(const struct vtd_frontend_config *config)
{
        bool second_stage = config->second_stage_widths != 0;
        struct vtd_capabilities capabilities = {
                .cap = CAP_BASE,
                .ecap = ECAP_BASE,
                .fault_records = config->fault_records,
                .host_address_bits = config->host_address_bits,
                .register_base = config->register_base,
        };

        capabilities.cap |= when(config->caching_mode, VTD_CAP_CM) |
                            (uint64_t)config->second_stage_widths << VTD_CAP_SAGAW_SHIFT |
                            (uint64_t)(config->address_bits - 1) << VTD_CAP_MGAW_SHIFT |
                            (uint64_t)(VTD_REG_FRCD / VTD_FRCD_SIZE) << VTD_CAP_FRO_SHIFT |
                            when(second_stage, VTD_CAP_SSLPS_2MIB | VTD_CAP_SSLPS_1GIB) |
                            (uint64_t)(config->fault_records - 1) << VTD_CAP_NFR_SHIFT |
                            when(config->first_stage_1gib, VTD_CAP_FS1GP) |
                            when(config->first_stage_5level, VTD_CAP_FS5LP);
        capabilities.ecap |= when(config->interrupt_remapping,
                                  VTD_ECAP_IR | (uint64_t)VTD_ECAP_MHMV << VTD_ECAP_MHMV_SHIFT) |
                             when(config->extended_interrupt_mode, VTD_ECAP_EIM) |
                             when(config->snoop_control, VTD_ECAP_SC) |
                             (uint64_t)(VTD_REG_IVA / 16) << VTD_ECAP_IRO_SHIFT |
                             when(config->nested, VTD_ECAP_NEST) |
                             when(config->supervisor_requests, VTD_ECAP_SRS) |
                             when(config->extended_accessed, VTD_ECAP_EAFS) |
                             when(config->second_stage_dirty, VTD_ECAP_SSADS) |
                             when(second_stage, VTD_ECAP_SSTS) |
                             when(config->first_stage, VTD_ECAP_FSTS);
        if (config->pasid_bits > 0)
                capabilities.ecap |= VTD_ECAP_PASID | (uint64_t)(config->pasid_bits - 1)
                                                              << VTD_ECAP_PSS_SHIFT;
        return capabilities;
}
