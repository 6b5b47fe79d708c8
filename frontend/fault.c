/* SPDX-License-Identifier: MIT */
/*
 * See fault.h.  The fault event is raised when PPF or IQE rises while neither was set; PFO alone
 * raises nothing.  Faults of one device are not collapsed.
 */
#include "frontend/fault.h"

#include "frontend/event.h"
#include "shared/checked.h"

/*
 * Faults that FPD never suppresses: before any table, of the root, every failed access to a table,
 * and those of interrupt requests that come before their entry.
 */
static const uint8_t unqualified_reasons[] = {
        VTD_FAULT_REMAP_REQUEST,     VTD_FAULT_REMAP_INDEX,       VTD_FAULT_REMAP_ACCESS,
        VTD_FAULT_REMAP_FORMAT,      VTD_FAULT_INTERRUPT_REQUEST, VTD_FAULT_ROOT_REGISTER,
        VTD_FAULT_ROOT_LEGACY_PASID, VTD_FAULT_ROOT_ACCESS,       VTD_FAULT_ROOT_ABSENT,
        VTD_FAULT_ROOT_RESERVED,     VTD_FAULT_CONTEXT_ACCESS,    VTD_FAULT_DIRECTORY_ACCESS,
        VTD_FAULT_PASID_ACCESS,
};

static bool is_qualified(enum vtd_fault_reason reason)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(unqualified_reasons); i++)
                if (unqualified_reasons[i] == reason)
                        return false;
        return true;
}

static unsigned record_offset(unsigned record)
{
        return VTD_REG_FRCD + record * VTD_FRCD_SIZE;
}

static void raise_status(struct vtd_registers *registers, uint32_t bits,
                         struct vtd_message *message)
{
        uint32_t status = vtd_registers_get32(registers, VTD_REG_FSTS);

        vtd_registers_set32(registers, VTD_REG_FSTS, status | bits);
        if (!(status & (VTD_FSTS_PPF | VTD_FSTS_IQE)))
                vtd_event_raise(registers, VTD_EVENT_FAULT, message);
}

static void fill_record(struct vtd_registers *registers, unsigned offset,
                        const struct vtd_fault *fault)
{
        uint32_t source = fault->rid, reason = (uint32_t)fault->reason;
        uint32_t type = (uint32_t)fault->access;

        if (fault->with_pasid) {
                source |= VTD_FRCD_PP | (fault->privileged ? VTD_FRCD_PRIV : 0);
                reason |= fault->pasid << VTD_FRCD_PV_SHIFT;
        }
        source |= type & 1 ? VTD_FRCD_T2 : 0;
        reason |= type & 2 ? VTD_FRCD_T1 : 0;
        vtd_registers_set64(registers, offset, fault->address & ~(VTD_PAGE_SIZE - 1));
        vtd_registers_set32(registers, offset + 8, source);
        vtd_registers_set32(registers, offset + 12, VTD_FRCD_F | reason);
}

bool vtd_fault_record(struct vtd_registers *registers, const struct vtd_fault *fault,
                      struct vtd_message *message)
{
        uint32_t status = vtd_registers_get32(registers, VTD_REG_FSTS);
        unsigned record = registers->next_fault_record;
        unsigned offset = record_offset(record);

        if (fault->fpd && is_qualified(fault->reason))
                return false;
        if (status & VTD_FSTS_PFO)
                return true;
        if (vtd_registers_get32(registers, offset + 12) & VTD_FRCD_F) {
                vtd_registers_set32(registers, VTD_REG_FSTS, status | VTD_FSTS_PFO);
                return true;
        }
        fill_record(registers, offset, fault);
        registers->next_fault_record = (record + 1) % registers->fault_records;
        if (!(status & VTD_FSTS_PPF)) {
                status = (status & ~VTD_FSTS_FRI_MASK) | record << VTD_FSTS_FRI_SHIFT;
                vtd_registers_set32(registers, VTD_REG_FSTS, status);
                raise_status(registers, VTD_FSTS_PPF, message);
        }
        return true;
}

void vtd_fault_queue_error(struct vtd_registers *registers, enum vtd_queue_error error,
                           struct vtd_message *message)
{
        vtd_registers_set64(registers, VTD_REG_IQERCD, (uint64_t)error);
        raise_status(registers, VTD_FSTS_IQE, message);
}

bool vtd_fault_is_recorded(const struct vtd_registers *registers)
{
        for (unsigned i = 0; i < registers->fault_records; i++)
                if (vtd_registers_get32(registers, record_offset(i) + 12) & VTD_FRCD_F)
                        return true;
        return false;
}

void vtd_fault_status_written(struct vtd_registers *registers)
{
        uint32_t status = vtd_registers_get32(registers, VTD_REG_FSTS) & ~VTD_FSTS_PPF;

        if (vtd_fault_is_recorded(registers))
                status |= VTD_FSTS_PPF;
        vtd_registers_set32(registers, VTD_REG_FSTS, status);
        if (!(status & (VTD_FSTS_PPF | VTD_FSTS_IQE)))
                vtd_event_cancel(registers, VTD_EVENT_FAULT);
}
