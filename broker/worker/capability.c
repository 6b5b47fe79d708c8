/* SPDX-License-Identifier: MIT */
/*
 * Capability bits of a VT-d unit: see capability.h.  A bit that no table here names is unknown to
 * the rest of the broker and to every frontend.
 */
#include "broker/worker/capability.h"

#include "shared/checked.h"

#define BITS(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))
#define BIT(n)          (UINT64_C(1) << (n))

#define CAP_RWBF  BIT(4)
#define CAP_CM    BIT(7)
#define CAP_SAGAW BITS(12, 8)
#define CAP_MGAW  BITS(21, 16)
#define CAP_SSLPS BITS(37, 34)
#define CAP_FS1GP BIT(56)
#define CAP_FS5LP BIT(60)

#define ECAP_C     BIT(0)
#define ECAP_SC    BIT(7)
#define ECAP_NEST  BIT(26)
#define ECAP_SRS   BIT(31)
#define ECAP_EAFS  BIT(34)
#define ECAP_PSS   BITS(39, 35)
#define ECAP_PASID BIT(40)
#define ECAP_SMTS  BIT(43)
#define ECAP_SSADS BIT(45)
#define ECAP_SSTS  BIT(46)
#define ECAP_FSTS  BIT(47)
#define ECAP_SMPWC BIT(48)

enum grant {
        ALWAYS,
        FIVE_LEVEL, /* the policy allows 57-bit first-stage tables */
        SRE,        /* it grants that first-stage flag */
        EAFE,
        PASIDS, /* it allows at least one */
};

/*
 * What a frontend may know.  Left out: all that describes the host's own queues, faults, interrupt
 * remapping, ATS and page requests (the frontend emulates its own or has none), and every entry
 * attribute that the kernel does not carry from a guest's PASID entry to the real one.
 */
static const struct visible {
        uint64_t cap;
        uint64_t ecap;
        enum grant grant;
} visible[] = {
        {CAP_MGAW, 0, ALWAYS},              /* bounds guest-physical addresses */
        {CAP_FS1GP, 0, ALWAYS},             /* a guest's table may hold 1 GiB pages */
        {CAP_FS5LP, 0, FIVE_LEVEL},         /* a guest's table may have five levels */
        {0, ECAP_SMTS | ECAP_FSTS, ALWAYS}, /* scalable mode with first-stage tables */
        {0, ECAP_NEST, ALWAYS},             /* how they are served */
        {0, ECAP_SC, ALWAYS},               /* whether the guest must flush for no-snoop DMA */
        {0, ECAP_SMPWC, ALWAYS},            /* whether it must flush its tables from caches */
        {0, ECAP_SRS, SRE},                 /* an entry may have SRE */
        {0, ECAP_EAFS, EAFE},               /* an entry may have EAFE */
        {0, ECAP_PASID | ECAP_PSS, PASIDS}, /* requests with PASID, and how wide */
};

bool vtd_capability_nested(const struct vtd_host_device_info *info)
{
        const uint64_t needed = ECAP_SMTS | ECAP_NEST | ECAP_FSTS;

        return (info->ecap & needed) == needed;
}

bool vtd_capability_snoop_control(const struct vtd_host_device_info *info)
{
        return (info->ecap & ECAP_SC) != 0;
}

bool vtd_capability_five_level(const struct vtd_host_device_info *info)
{
        return (info->cap & CAP_FS5LP) != 0;
}

uint32_t vtd_capability_flags(const struct vtd_host_device_info *info)
{
        /* WPE has an effect with SRE only and is accepted without. */
        return VTD_FIRST_STAGE_WPE | ((info->ecap & ECAP_SRS) ? VTD_FIRST_STAGE_SRE : 0) |
               ((info->ecap & ECAP_EAFS) ? VTD_FIRST_STAGE_EAFE : 0);
}

static bool granted(const struct vtd_policy *policy, enum grant grant)
{
        switch (grant) {
        case ALWAYS:
                return true;
        case FIVE_LEVEL:
                return policy->limits[VTD_POLICY_ADDRESS_WIDTH].value >= 57;
        case SRE:
                return (policy->first_stage_flags & VTD_FIRST_STAGE_SRE) != 0;
        case EAFE:
                return (policy->first_stage_flags & VTD_FIRST_STAGE_EAFE) != 0;
        case PASIDS:
                return policy->limits[VTD_POLICY_PASIDS].value > 0;
        }
        return false;
}

void vtd_capability_mask(const struct vtd_host_device_info *info, const struct vtd_policy *policy,
                         uint64_t *cap, uint64_t *ecap)
{
        *cap = 0;
        *ecap = 0;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(visible); i++) {
                if (!granted(policy, visible[i].grant))
                        continue;
                *cap |= info->cap & visible[i].cap;
                *ecap |= info->ecap & visible[i].ecap;
        }
}

struct vtd_second_stage_key vtd_capability_key(const struct vtd_host_device_info *info)
{
        return (struct vtd_second_stage_key){
                /* address width and page sizes; flushing that caching mode and RWBF ask for */
                .cap = info->cap & (CAP_MGAW | CAP_SAGAW | CAP_SSLPS | CAP_CM | CAP_RWBF),
                /* snoop control, coherent page walks, second stage as such, its dirty bits */
                .ecap = info->ecap & (ECAP_SC | ECAP_C | ECAP_SMPWC | ECAP_SSTS | ECAP_SSADS),
        };
}
