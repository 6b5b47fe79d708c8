/* SPDX-License-Identifier: MIT */
/*
 * See registers.h.  May assume a checked configuration; must keep every reserved and read-only bit
 * as it is whatever the guest writes, for any offset, size and value.
 */
#include "frontend/registers.h"

#include <string.h>

#include "frontend/assumptions.h"
#include "shared/checked.h"

/* One row per dword that a guest can change; all others ignore writes. */
struct register_rule {
        uint16_t offset;
        uint32_t writable;
        uint32_t cleared_by_one;
        unsigned trigger;
        uint64_t needed; /* the bits of ECAP without which there is no such register */
};

/*
 * Not here, because the capability is never offered: AFLOG, PMEN and protected memory, page
 * requests, MTRRs, performance monitoring, enhanced and virtual commands.
 */
static const struct register_rule register_rules[] = {
        {VTD_REG_RTADDR, 0xfffffc00, 0, 0, 0},
        {VTD_REG_RTADDR + 4, 0xffffffff, 0, 0, 0},
        {VTD_REG_CCMD + 4, 0x60000000, 0, 0, 0},
        {VTD_REG_FSTS, 0, VTD_FSTS_PFO | VTD_FSTS_IQE, VTD_TRIGGER_FAULT_STATUS, 0},
        {VTD_REG_FECTL, VTD_ECTL_IM, 0, VTD_TRIGGER_FAULT_CONTROL, 0},
        {VTD_REG_FEDATA, VTD_ASSUMED_EVENT_DATA_WRITABLE, 0, 0, 0},
        {VTD_REG_FEADDR, 0xfffffffc, 0, 0, 0},
        {VTD_REG_FEUADDR, 0xffffffff, 0, 0, VTD_ECAP_EIM},
        {VTD_REG_IQT, VTD_ASSUMED_IQT_WRITABLE, 0, 0, 0},
        {VTD_REG_IQA, VTD_ASSUMED_IQA_WRITABLE, 0, 0, 0},
        {VTD_REG_IQA + 4, 0xffffffff, 0, 0, 0},
        {VTD_REG_ICS, 0, VTD_ICS_IWC, VTD_TRIGGER_INVALIDATION_STATUS, 0},
        {VTD_REG_IECTL, VTD_ECTL_IM, 0, VTD_TRIGGER_INVALIDATION_CONTROL, 0},
        {VTD_REG_IEDATA, VTD_ASSUMED_EVENT_DATA_WRITABLE, 0, 0, 0},
        {VTD_REG_IEADDR, 0xfffffffc, 0, 0, 0},
        {VTD_REG_IEUADDR, 0xffffffff, 0, 0, VTD_ECAP_EIM},
        {VTD_REG_IRTA, 0xfffff00f, 0, 0, VTD_ECAP_IR},
        {VTD_REG_IRTA, 0x00000800, 0, 0, VTD_ECAP_EIM}, /* EIME */
        {VTD_REG_IRTA + 4, 0xffffffff, 0, 0, VTD_ECAP_IR},
        {VTD_REG_IOTLB + 4, 0x3003ffff, 0, 0, 0},
};

void vtd_registers_reset(struct vtd_registers *registers,
                         const struct vtd_capabilities *capabilities)
{
        memset(registers, 0, sizeof(*registers));
        registers->fault_records = capabilities->fault_records;
        vtd_registers_set32(registers, VTD_REG_VER, VTD_VERSION);
        vtd_registers_set64(registers, VTD_REG_CAP, capabilities->cap);
        vtd_registers_set64(registers, VTD_REG_ECAP, capabilities->ecap);
        vtd_registers_set32(registers, VTD_REG_FECTL, VTD_ECTL_IM);
        vtd_registers_set32(registers, VTD_REG_IECTL, VTD_ECTL_IM);
}

static bool is_legal_access(uint64_t offset, unsigned size)
{
        return (size == 4 || size == 8) && offset < VTD_FRONTEND_REGISTER_PAGE_SIZE &&
               offset % size == 0;
}

uint64_t vtd_registers_read(const struct vtd_registers *registers, uint64_t offset, unsigned size)
{
        if (!is_legal_access(offset, size))
                return 0;
        return size == 4 ? vtd_registers_get32(registers, (unsigned)offset)
                         : vtd_registers_get64(registers, (unsigned)offset);
}

/*
 * RTPS and IRTPS fall at once, so that a guest which polls for one never takes the answer to an
 * earlier command for this one's.  The sticky status bits change only when engine.c has carried the
 * command out.
 */
static void take_command(struct vtd_registers *registers, uint32_t value)
{
        uint32_t offered = VTD_GCMD_TE | VTD_GCMD_SRTP | VTD_GCMD_QIE;

        if (vtd_registers_get64(registers, VTD_REG_ECAP) & VTD_ECAP_IR)
                offered |= VTD_GCMD_IRE | VTD_GCMD_SIRTP | VTD_GCMD_CFI;
        value &= offered;
        registers->command = value & ~(VTD_GCMD_SRTP | VTD_GCMD_SIRTP);
        if (value & VTD_GCMD_SRTP)
                registers->set_root = true;
        if (value & VTD_GCMD_SIRTP)
                registers->set_interrupt_table = true;
        registers->dwords[VTD_REG_GSTS / 4] &= ~(value & (VTD_GCMD_SRTP | VTD_GCMD_SIRTP));
}

static bool is_fault_flag(const struct vtd_registers *registers, unsigned offset)
{
        return offset >= VTD_REG_FRCD &&
               offset < VTD_REG_FRCD + registers->fault_records * VTD_FRCD_SIZE &&
               offset % VTD_FRCD_SIZE == 12;
}

static bool exists(const struct vtd_registers *registers, const struct register_rule *rule)
{
        return (vtd_registers_get64(registers, VTD_REG_ECAP) & rule->needed) == rule->needed;
}

uint32_t vtd_registers_writable(const struct vtd_registers *registers, unsigned offset)
{
        uint32_t bits = 0;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(register_rules); i++)
                if (register_rules[i].offset == offset && exists(registers, &register_rules[i]))
                        bits |= register_rules[i].writable;
        return bits;
}

static unsigned write_dword(struct vtd_registers *registers, unsigned offset, uint32_t value)
{
        uint32_t *dword = &registers->dwords[offset / 4];
        unsigned triggers = 0;

        if (offset == VTD_REG_GCMD) {
                take_command(registers, value);
                return 0;
        }
        if (is_fault_flag(registers, offset)) {
                *dword &= ~(value & VTD_FRCD_F);
                return VTD_TRIGGER_FAULT_STATUS;
        }
        for (size_t i = 0; i < VTD_ARRAY_SIZE(register_rules); i++) {
                const struct register_rule *rule = &register_rules[i];

                if (rule->offset != offset || !exists(registers, rule))
                        continue;
                *dword = (*dword & ~rule->writable) | (value & rule->writable);
                *dword &= ~(value & rule->cleared_by_one);
                triggers |= rule->trigger;
        }
        return triggers;
}

unsigned vtd_registers_write(struct vtd_registers *registers, uint64_t offset, unsigned size,
                             uint64_t value)
{
        unsigned triggers;

        if (!is_legal_access(offset, size))
                return 0;
        triggers = write_dword(registers, (unsigned)offset, (uint32_t)value);
        if (size == 8)
                triggers |= write_dword(registers, (unsigned)offset + 4, (uint32_t)(value >> 32));
        return triggers;
}
