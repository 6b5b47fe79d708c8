/* SPDX-License-Identifier: MIT */
/*
 * The register page: what each bit keeps, and which writes have consequences.  Storage and masks
 * only; the consequences are carried out by event.c, fault.c and engine.c.
 *
 * VER is 6.0: register-based invalidation (CCMD, IOTLB) does not exist, its busy bits always read 0.
 */
#ifndef VTD_FRONTEND_REGISTERS_H
#define VTD_FRONTEND_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/capabilities.h"

/* Byte offsets. */
enum {
        VTD_REG_VER = 0x000,
        VTD_REG_CAP = 0x008,
        VTD_REG_ECAP = 0x010,
        VTD_REG_GCMD = 0x018,
        VTD_REG_GSTS = 0x01c,
        VTD_REG_RTADDR = 0x020,
        VTD_REG_CCMD = 0x028,
        VTD_REG_FSTS = 0x034,
        VTD_REG_FECTL = 0x038,
        VTD_REG_FEDATA = 0x03c,
        VTD_REG_FEADDR = 0x040,
        VTD_REG_FEUADDR = 0x044,
        VTD_REG_IQH = 0x080,
        VTD_REG_IQT = 0x088,
        VTD_REG_IQA = 0x090,
        VTD_REG_ICS = 0x09c,
        VTD_REG_IECTL = 0x0a0,
        VTD_REG_IEDATA = 0x0a4,
        VTD_REG_IEADDR = 0x0a8,
        VTD_REG_IEUADDR = 0x0ac,
        VTD_REG_IQERCD = 0x0b0,
        VTD_REG_IRTA = 0x0b8,
        VTD_REG_IVA = 0x0f0,
        VTD_REG_IOTLB = 0x0f8,
        VTD_REG_FRCD = 0x220,
};

/* GCMD and GSTS: the positions are the same. */
#define VTD_GCMD_TE    (UINT32_C(1) << 31)
#define VTD_GCMD_SRTP  (UINT32_C(1) << 30)
#define VTD_GCMD_QIE   (UINT32_C(1) << 26)
#define VTD_GCMD_IRE   (UINT32_C(1) << 25)
#define VTD_GCMD_SIRTP (UINT32_C(1) << 24)
#define VTD_GCMD_CFI   (UINT32_C(1) << 23)

#define VTD_FSTS_PFO       UINT32_C(0x1)
#define VTD_FSTS_PPF       UINT32_C(0x2)
#define VTD_FSTS_IQE       UINT32_C(0x10)
#define VTD_FSTS_FRI_SHIFT 8u
#define VTD_FSTS_FRI_MASK  UINT32_C(0xff00)

#define VTD_ECTL_IM (UINT32_C(1) << 31) /* FECTL, IECTL: masked */
#define VTD_ECTL_IP (UINT32_C(1) << 30) /* pending */

#define VTD_ICS_IWC UINT32_C(0x1)

#define VTD_FRCD_SIZE        16u
#define VTD_FRCD_T2          (UINT32_C(1) << 28) /* in the third of the four dwords */
#define VTD_FRCD_PRIV        (UINT32_C(1) << 29)
#define VTD_FRCD_PP          (UINT32_C(1) << 31)
#define VTD_FRCD_F           (UINT32_C(1) << 31) /* in the last one */
#define VTD_FRCD_T1          (UINT32_C(1) << 30)
#define VTD_FRCD_PV_SHIFT    8u
#define VTD_FRCD_INDEX_SHIFT 48u /* of an interrupt fault, in the first eight bytes */

#define VTD_RTADDR_TTM(root) (((root) >> 10) & 3u)
#define VTD_TTM_LEGACY       0u
#define VTD_TTM_SCALABLE     1u

/* What a write has set off, for the caller to carry out. */
enum {
        VTD_TRIGGER_FAULT_STATUS = 0x1,         /* FSTS or a record's F bit was written */
        VTD_TRIGGER_FAULT_CONTROL = 0x2,        /* FECTL */
        VTD_TRIGGER_INVALIDATION_STATUS = 0x4,  /* ICS */
        VTD_TRIGGER_INVALIDATION_CONTROL = 0x8, /* IECTL */
};

struct vtd_registers {
        uint32_t dwords[VTD_FRONTEND_REGISTER_PAGE_SIZE / 4];
        unsigned fault_records;
        unsigned next_fault_record;
        /* What GCMD asked for and engine.c has not taken up yet. */
        uint32_t command;         /* the sticky bits as last written: TE, QIE, IRE, CFI */
        bool set_root;            /* SRTP was written since it was last taken up */
        bool set_interrupt_table; /* SIRTP, likewise */
};

/* Brings the page to its reset state. */
void vtd_registers_reset(struct vtd_registers *registers,
                         const struct vtd_capabilities *capabilities);

/* A guest's access; see vtd_frontend_read() and _write().  The write returns VTD_TRIGGER_* bits. */
uint64_t vtd_registers_read(const struct vtd_registers *registers, uint64_t offset, unsigned size);
unsigned vtd_registers_write(struct vtd_registers *registers, uint64_t offset, unsigned size,
                             uint64_t value);

/* The bits of the dword at @offset that keep what a guest writes, by what it was offered. */
uint32_t vtd_registers_writable(const struct vtd_registers *registers, unsigned offset);

/* The unit's own accesses: no masks, no consequences. */
static inline uint32_t vtd_registers_get32(const struct vtd_registers *registers, unsigned offset)
{
        return registers->dwords[offset / 4];
}

static inline void vtd_registers_set32(struct vtd_registers *registers, unsigned offset,
                                       uint32_t value)
{
        registers->dwords[offset / 4] = value;
}

static inline uint64_t vtd_registers_get64(const struct vtd_registers *registers, unsigned offset)
{
        return registers->dwords[offset / 4] | (uint64_t)registers->dwords[offset / 4 + 1] << 32;
}

static inline void vtd_registers_set64(struct vtd_registers *registers, unsigned offset,
                                       uint64_t value)
{
        registers->dwords[offset / 4] = (uint32_t)value;
        registers->dwords[offset / 4 + 1] = (uint32_t)(value >> 32);
}

#endif
