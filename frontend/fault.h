/* SPDX-License-Identifier: MIT */
/*
 * Fault recording registers and the fault half of FSTS.
 *
 * Interrupt requests fault as on hardware, whether translation is on or off: FI is the index of the
 * entry << 48 (0 when the request has none; of an index beyond 16 bits, its lower ones).
 *
 * The requests of emulated devices fault as on hardware.  The faults of brokered devices do not
 * reach user space: the host's IOMMU blocks and logs them for the host alone.  What a guest finds
 * here for those is synthetic: one record each time that its tables ask
 * for something that is refused, when that is judged (a PASID-cache or context-cache invalidation,
 * SRTP, TE, a plug, a restore) and not when the device accesses memory.  Fields of such a record:
 *
 *   SID  the device's requester id     FI   0: there is no faulting address
 *   PP, PV  which PASID it is about; both 0 for requests without PASID
 *   T1, T2, AT, EXE, PRIV  0           FR   the reason:
 *
 *   30h              translation is enabled in a table mode other than scalable
 *   38h 40h 50h 58h  a table entry is not in guest memory
 *   3Ah 42h 52h 5Ah  reserved bits are set (those of capabilities that are not offered included)
 *   48h              RID_PASID lies beyond the PASID directory
 *   5Bh              second-stage, nested or reserved translation type, five-level paging; or the
 *                    broker refused or failed the binding; or PV is a PASID for which there is no
 *                    room: as many are bound as the broker's policy allows at once, or all
 *                    VTD_LIMIT_ATTACHMENTS bindings are taken.  Looking for PASIDs of that device
 *                    ends there, with this one record: what comes after PV is not bound either,
 *                    until an invalidation names it again
 *   73h              the broker found the first-stage root outside guest memory
 *   70h              an invalidation of the device's first-stage table failed, so it was blocked
 *
 * An entry that is merely not present (39h 41h 51h 59h) blocks the device without a record: that is
 * how a guest takes a device out of use, and no access has failed.  FPD suppresses what it would on
 * hardware.  Nothing is recorded while translation is off.
 *
 * What is wrong with root or context entry (30h to 48h) is recorded once for the device, without
 * PASID, and not for each of its PASIDs; PASIDs that the context entry does not allow (PASIDE 0, or
 * beyond the directory) are blocked without a record.
 */
#ifndef VTD_FRONTEND_FAULT_H
#define VTD_FRONTEND_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/assumptions.h"
#include "frontend/guest.h"
#include "frontend/registers.h"

enum vtd_fault_reason {
        VTD_FAULT_NONE = 0,
        VTD_FAULT_REMAP_REQUEST = 0x20,
        VTD_FAULT_REMAP_INDEX = 0x21,
        VTD_FAULT_REMAP_ABSENT = 0x22,
        VTD_FAULT_REMAP_ACCESS = 0x23,
        VTD_FAULT_REMAP_RESERVED = 0x24,
        VTD_FAULT_REMAP_FORMAT = 0x25,
        VTD_FAULT_REMAP_SOURCE = 0x26,
        VTD_FAULT_INTERRUPT_REQUEST = VTD_ASSUMED_REASON_OF_NO_MESSAGE,
        VTD_FAULT_ROOT_REGISTER = 0x30,
        VTD_FAULT_ROOT_LEGACY_PASID = 0x31,
        VTD_FAULT_ROOT_ACCESS = 0x38,
        VTD_FAULT_ROOT_ABSENT = 0x39,
        VTD_FAULT_ROOT_RESERVED = 0x3a,
        VTD_FAULT_CONTEXT_ACCESS = 0x40,
        VTD_FAULT_CONTEXT_ABSENT = 0x41,
        VTD_FAULT_CONTEXT_RESERVED = 0x42,
        VTD_FAULT_CONTEXT_NO_PASID = 0x45,
        VTD_FAULT_CONTEXT_PASID = 0x46,
        VTD_FAULT_CONTEXT_RID_PASID = VTD_ASSUMED_REASON_OF_RID_PASID,
        VTD_FAULT_DIRECTORY_ACCESS = 0x50,
        VTD_FAULT_DIRECTORY_ABSENT = 0x51,
        VTD_FAULT_DIRECTORY_RESERVED = 0x52,
        VTD_FAULT_PASID_ACCESS = 0x58,
        VTD_FAULT_PASID_ABSENT = 0x59,
        VTD_FAULT_PASID_RESERVED = 0x5a,
        VTD_FAULT_PASID_INVALID = 0x5b,
        VTD_FAULT_PASID_SUPERVISOR = 0x5d,
        VTD_FAULT_FIRST_STAGE_ACCESS = 0x70,
        VTD_FAULT_FIRST_STAGE_ABSENT = 0x71,
        VTD_FAULT_FIRST_STAGE_RESERVED = 0x72,
        VTD_FAULT_FIRST_STAGE_ROOT_ACCESS = 0x73,
        /* Nested: what the second stage says of the first stage's tables. */
        VTD_FAULT_FIRST_STAGE_RANGE = 0x74,
        VTD_FAULT_FIRST_STAGE_ROOT_READ = 0x75,
        VTD_FAULT_FIRST_STAGE_READ = 0x76,
        VTD_FAULT_FIRST_STAGE_WRITE = 0x77,
        VTD_FAULT_SECOND_STAGE_ACCESS = 0x78,
        VTD_FAULT_SECOND_STAGE_ABSENT = 0x79,
        VTD_FAULT_SECOND_STAGE_RESERVED = 0x7a,
        VTD_FAULT_SECOND_STAGE_ROOT_ACCESS = 0x7b,
        VTD_FAULT_SECOND_STAGE_NO_SNOOP = 0x7c,
        VTD_FAULT_SECOND_STAGE_UPDATE = 0x7d,
        VTD_FAULT_NOT_CANONICAL = 0x80,
        VTD_FAULT_USER_DENIED = 0x81,
        VTD_FAULT_ADDRESS_WIDTH = 0x83,
        VTD_FAULT_SECOND_STAGE_RANGE = 0x84,
        VTD_FAULT_WRITE_DENIED = 0x85,
        VTD_FAULT_READ_DENIED = 0x86,
        VTD_FAULT_INTERRUPT_RANGE = 0x87,
        VTD_FAULT_FIRST_STAGE_NO_SNOOP = 0x90,
        VTD_FAULT_FIRST_STAGE_UPDATE = 0x91,
};

/* Codes of IQERCD.IQEI. */
enum vtd_queue_error {
        VTD_QUEUE_ERROR_TAIL = 1,
        VTD_QUEUE_ERROR_FETCH = 2,
        VTD_QUEUE_ERROR_TYPE = 3,
        VTD_QUEUE_ERROR_RESERVED = 4,
        VTD_QUEUE_ERROR_TAIL_ALIGNMENT = 6,
        VTD_QUEUE_ERROR_TABLE_MODE = 7,
};

/* What the request asked for, by the numbers of a record's T1 and T2: T1 << 1 | T2. */
enum vtd_fault_access {
        VTD_FAULT_WRITE = 0,
        VTD_FAULT_READ = 2,
        VTD_FAULT_ATOMIC = 3,
};

/* One fault, as it is recorded. */
struct vtd_fault {
        enum vtd_fault_reason reason;
        bool fpd; /* the OR of the FPD bits met on the way */
        uint16_t rid;
        bool with_pasid; /* and then: */
        uint32_t pasid;
        bool privileged;
        uint64_t address; /* the faulting address, of which the record keeps 63:12 */
        enum vtd_fault_access access;
};

/*
 * Records @fault unless its fpd suppresses it; *@message becomes due when the fault event is to be
 * sent.  Returns true unless it was suppressed; with no free record it sets PFO and drops the fault.
 */
bool vtd_fault_record(struct vtd_registers *registers, const struct vtd_fault *fault,
                      struct vtd_message *message);

/* Sets FSTS.IQE and IQERCD; *@message becomes due when the fault event is to be sent. */
void vtd_fault_queue_error(struct vtd_registers *registers, enum vtd_queue_error error,
                           struct vtd_message *message);

/* True when a record is valid (F), which is what FSTS.PPF says. */
bool vtd_fault_is_recorded(const struct vtd_registers *registers);

/* FSTS or a record was written: PPF follows the records, and a pending event may be moot. */
void vtd_fault_status_written(struct vtd_registers *registers);

#endif
