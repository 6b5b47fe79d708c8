/* SPDX-License-Identifier: MIT */
/*
 * The state of a unit as bytes (see vtd/state.h).  May assume nothing of bytes to be restored; must
 * judge all of them before anything of the unit changes.
 *
 * Format version 1: all numbers little-endian, without padding, n = CAP.NFR + 1 fault records.
 *
 *   0   8  magic "VTDSTATE"              88  4  FECTL         128  4  ICS
 *   8   4  format version, 1             92  4  FEDATA        132  4  IECTL
 *  12   4  length: 176 + 16 n            96  4  FEADDR        136  4  IEDATA
 *  16   4  VER                          100  4  FEUADDR       140  4  IEADDR
 *  20   4  bits of host addresses       104  4  IQH           144  4  IEUADDR
 *  24   8  CAP                          108  4  IQT           148  4  IQERCD.IQEI
 *  32   8  ECAP                         112  8  IQA           152  8  IRTA
 *  40   8  address of register page     120  8  IQA, latched  160  4  GCMD, below
 *  48   4  GSTS                         IQA, latched: 0       164  4  fault record that is
 *  52   4  FSTS                         unless GSTS.QIES              written next
 *  56   8  RTADDR                                             168  8  IRTA, latched
 *  64   8  RTADDR, latched                                    176 16n FRCD
 *  72   8  CCMD
 *  80   8  IOTLB
 *
 * GCMD: the sticky bits as last written, and SRTP and SIRTP if still to be carried out.  A command that
 * GSTS does not show yet is saved as one that was not begun, and is carried out as a whole again.
 * RTADDR or IRTA is then latched again, too: the guest has not been told yet that it was.
 *
 * A field is added at the end of the fixed part, before the fault records, and makes the next format
 * version; what a state of an earlier version lacks stays as after a reset.
 *
 * What is accepted.  A guest can write most registers at will, and so can a saved state.  All that
 * the unit sets by itself obeys rules, which the rest of the code relies on or a guest's driver may:
 * reserved bits are 0, status bits agree with what they sum up and with what is latched, a head or an
 * index lies within what it points into, an event is pending only while it is masked.  Those rules
 * are checked, one by one.  What remains is what a guest could have written itself, or what only a
 * guest reads: fault records, FSTS.FRI, IQERCD.
 */
#include "frontend/include/vtd/state.h"

#include <errno.h>
#include <string.h>

#include "frontend/engine.h"
#include "frontend/fault.h"
#include "frontend/frontend-internal.h"
#include "shared/checked.h"

#define FORMAT_VERSION 1u

static const uint8_t magic[8] = {'V', 'T', 'D', 'S', 'T', 'A', 'T', 'E'};

/* Where the fields are that are no registers. */
enum {
        AT_MAGIC = 0,
        AT_VERSION = 8,
        AT_LENGTH = 12,
        AT_VER = 16,
        AT_HOST_ADDRESS_BITS = 20,
        AT_CAP = 24,
        AT_ECAP = 32,
        AT_REGISTER_BASE = 40,
        AT_LATCHED_ROOT = 64,
        AT_LATCHED_IQA = 120,
        AT_COMMAND = 160,
        AT_NEXT_FAULT_RECORD = 164,
        AT_LATCHED_IRTA = 168,
        AT_FAULT_RECORDS = 176,
};

#define SIZE_MAX_OF_STATE (AT_FAULT_RECORDS + VTD_FRONTEND_REGISTER_PAGE_SIZE - VTD_REG_FRCD)

_Static_assert(SIZE_MAX_OF_STATE < 4096, "vtd/state.h promises that");

/* What the guest was promised: it must be the same before and after. */
struct promise {
        const char *what;
        unsigned at;
        unsigned size;
        uint64_t value;
};

#define PROMISES 5u

/* Of GCMD and, in the same places, of GSTS. */
#define COMMANDS           (VTD_GCMD_TE | VTD_GCMD_SRTP | VTD_GCMD_QIE)
#define INTERRUPT_COMMANDS (VTD_GCMD_IRE | VTD_GCMD_SIRTP | VTD_GCMD_CFI)
#define ONE_SHOT           (VTD_GCMD_SRTP | VTD_GCMD_SIRTP)

static const struct saved_register {
        const char *name;
        uint16_t at;
        uint16_t offset;
        uint8_t size;
        uint64_t unit_bits; /* besides those that a guest can write */
} saved_registers[] = {
        {"GSTS", 48, VTD_REG_GSTS, 4, COMMANDS | INTERRUPT_COMMANDS},
        {"FSTS", 52, VTD_REG_FSTS, 4,
         VTD_FSTS_PFO | VTD_FSTS_PPF | VTD_FSTS_IQE | VTD_FSTS_FRI_MASK},
        {"RTADDR", 56, VTD_REG_RTADDR, 8, 0},
        {"CCMD", 72, VTD_REG_CCMD, 8, 0},
        {"IOTLB", 80, VTD_REG_IOTLB, 8, 0},
        {"FECTL", 88, VTD_REG_FECTL, 4, VTD_ECTL_IP},
        {"FEDATA", 92, VTD_REG_FEDATA, 4, 0},
        {"FEADDR", 96, VTD_REG_FEADDR, 4, 0},
        {"FEUADDR", 100, VTD_REG_FEUADDR, 4, 0},
        {"IQH", 104, VTD_REG_IQH, 4, 0x7fff0},
        {"IQT", 108, VTD_REG_IQT, 4, 0},
        {"IQA", 112, VTD_REG_IQA, 8, 0},
        {"ICS", 128, VTD_REG_ICS, 4, VTD_ICS_IWC},
        {"IECTL", 132, VTD_REG_IECTL, 4, VTD_ECTL_IP},
        {"IEDATA", 136, VTD_REG_IEDATA, 4, 0},
        {"IEADDR", 140, VTD_REG_IEADDR, 4, 0},
        {"IEUADDR", 144, VTD_REG_IEUADDR, 4, 0},
        {"IQERCD", 148, VTD_REG_IQERCD, 4, 0xf},
        {"IRTA", 152, VTD_REG_IRTA, 8, 0},
};

/* Bits of the four dwords of a fault record that it can have. */
static const uint32_t record_bits[] = {
        0xfffff000,
        0xffffffff,
        0x0000ffff | VTD_FRCD_T2 | VTD_FRCD_PRIV | VTD_FRCD_PP,
        0x0fffffff | VTD_FRCD_T1 | VTD_FRCD_F,
};

static void put(uint8_t *bytes, size_t at, unsigned size, uint64_t value)
{
        for (unsigned i = 0; i < size; i++)
                bytes[at + i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *bytes, size_t at, unsigned size)
{
        uint64_t value = 0;

        for (unsigned i = 0; i < size; i++)
                value |= (uint64_t)bytes[at + i] << 8 * i;
        return value;
}

static size_t size_of_state(const struct vtd_capabilities *capabilities)
{
        return AT_FAULT_RECORDS + (size_t)capabilities->fault_records * VTD_FRCD_SIZE;
}

static void list_promises(const struct vtd_capabilities *capabilities,
                          struct promise promises[PROMISES])
{
        const struct promise list[PROMISES] = {
                {"VER", AT_VER, 4, VTD_VERSION},
                {"bits of host addresses", AT_HOST_ADDRESS_BITS, 4,
                 capabilities->host_address_bits},
                {"CAP", AT_CAP, 8, capabilities->cap},
                {"ECAP", AT_ECAP, 8, capabilities->ecap},
                {"address of the register page", AT_REGISTER_BASE, 8, capabilities->register_base},
        };

        memcpy(promises, list, sizeof(list));
}

static unsigned record_dword(unsigned record, size_t dword)
{
        return VTD_REG_FRCD + record * VTD_FRCD_SIZE + (unsigned)dword * 4;
}

static void encode(const struct vtd_capabilities *capabilities,
                   const struct vtd_engine_state *state, uint8_t *bytes)
{
        const struct vtd_registers *registers = &state->registers;
        struct promise promises[PROMISES];
        size_t at = AT_FAULT_RECORDS;

        memcpy(bytes + AT_MAGIC, magic, sizeof(magic));
        put(bytes, AT_VERSION, 4, FORMAT_VERSION);
        put(bytes, AT_LENGTH, 4, size_of_state(capabilities));
        list_promises(capabilities, promises);
        for (size_t i = 0; i < PROMISES; i++)
                put(bytes, promises[i].at, promises[i].size, promises[i].value);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(saved_registers); i++) {
                const struct saved_register *row = &saved_registers[i];

                put(bytes, row->at, row->size,
                    row->size == 4 ? vtd_registers_get32(registers, row->offset)
                                   : vtd_registers_get64(registers, row->offset));
        }
        put(bytes, AT_LATCHED_ROOT, 8, state->root);
        put(bytes, AT_LATCHED_IQA, 8, state->iqa);
        put(bytes, AT_COMMAND, 4,
            registers->command | (registers->set_root ? VTD_GCMD_SRTP : 0) |
                    (registers->set_interrupt_table ? VTD_GCMD_SIRTP : 0));
        put(bytes, AT_LATCHED_IRTA, 8, state->interrupt_table);
        put(bytes, AT_NEXT_FAULT_RECORD, 4, registers->next_fault_record);
        for (unsigned record = 0; record < capabilities->fault_records; record++)
                for (size_t i = 0; i < VTD_ARRAY_SIZE(record_bits); i++, at += 4)
                        put(bytes, at, 4, vtd_registers_get32(registers, record_dword(record, i)));
}

int vtd_frontend_save(struct vtd_frontend *frontend, void *buffer, size_t capacity, size_t *size)
{
        const struct vtd_capabilities *capabilities = &frontend->engine.capabilities;
        struct vtd_engine_state state;
        int r;

        *size = size_of_state(capabilities);
        if (capacity < *size)
                return -ENOSPC;
        vtd_frontend_lock(frontend);
        r = vtd_engine_save(&frontend->engine, &state);
        vtd_frontend_unlock(frontend);
        if (r != 0)
                return r;
        encode(capabilities, &state, buffer);
        return 0;
}

static int check_header(struct vtd_log *log, const uint8_t *bytes, size_t size)
{
        char text[4 * sizeof(magic) + 1];
        uint64_t version, length;

        if (size < AT_FAULT_RECORDS)
                return vtd_fail(log, -EINVAL, "saved state of %zu bytes, the least is %d", size,
                                AT_FAULT_RECORDS);
        if (memcmp(bytes + AT_MAGIC, magic, sizeof(magic)) != 0)
                return vtd_fail(log, -EINVAL,
                                "saved state that begins with \"%s\", VTDSTATE must be there",
                                vtd_log_escape(text, sizeof(text), bytes, sizeof(magic)));
        version = get(bytes, AT_VERSION, 4);
        if (version != FORMAT_VERSION)
                return vtd_fail(log, -EINVAL, "saved state of format version %llu, %u is known",
                                (unsigned long long)version, FORMAT_VERSION);
        length = get(bytes, AT_LENGTH, 4);
        if (length != size)
                return vtd_fail(log, -EINVAL, "saved state of %zu bytes, by itself it has %llu",
                                size, (unsigned long long)length);
        return 0;
}

static int check_promises(struct vtd_log *log, const struct vtd_capabilities *capabilities,
                          const uint8_t *bytes, size_t size)
{
        struct promise promises[PROMISES];

        list_promises(capabilities, promises);
        for (size_t i = 0; i < PROMISES; i++) {
                const struct promise *promise = &promises[i];
                uint64_t value = get(bytes, promise->at, promise->size);

                if (value != promise->value)
                        return vtd_fail(log, -EINVAL,
                                        "saved state with %s %#llx, this unit has %#llx",
                                        promise->what, (unsigned long long)value,
                                        (unsigned long long)promise->value);
        }
        if (size != size_of_state(capabilities))
                return vtd_fail(log, -EINVAL, "saved state of %zu bytes, this unit's has %zu", size,
                                size_of_state(capabilities));
        return 0;
}

static int check_bits(struct vtd_log *log, const char *name, uint64_t value, uint64_t allowed)
{
        if (value & ~allowed)
                return vtd_fail(log, -EINVAL, "saved state with %s %#llx, the bits of %#llx exist",
                                name, (unsigned long long)value, (unsigned long long)allowed);
        return 0;
}

static uint64_t writable64(const struct vtd_registers *registers, unsigned offset)
{
        return vtd_registers_writable(registers, offset) |
               (uint64_t)vtd_registers_writable(registers, offset + 4) << 32;
}

static int decode_registers(struct vtd_log *log, const uint8_t *bytes,
                            struct vtd_registers *registers)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(saved_registers); i++) {
                const struct saved_register *row = &saved_registers[i];
                uint64_t value = get(bytes, row->at, row->size);
                uint64_t writable = row->size == 4 ? vtd_registers_writable(registers, row->offset)
                                                   : writable64(registers, row->offset);

                if (check_bits(log, row->name, value, row->unit_bits | writable) != 0)
                        return -EINVAL;
                if (row->size == 4)
                        vtd_registers_set32(registers, row->offset, (uint32_t)value);
                else
                        vtd_registers_set64(registers, row->offset, value);
        }
        return 0;
}

static int decode_records(struct vtd_log *log, const uint8_t *bytes,
                          struct vtd_registers *registers)
{
        size_t at = AT_FAULT_RECORDS;

        for (unsigned record = 0; record < registers->fault_records; record++) {
                for (size_t i = 0; i < VTD_ARRAY_SIZE(record_bits); i++, at += 4) {
                        uint32_t value = (uint32_t)get(bytes, at, 4);

                        if (check_bits(log, "part of a fault record", value, record_bits[i]) != 0)
                                return -EINVAL;
                        vtd_registers_set32(registers, record_dword(record, i), value);
                }
        }
        return 0;
}

/* The bits of GCMD and GSTS that there are. */
static uint32_t commands_of(const struct vtd_registers *registers)
{
        uint64_t ecap = vtd_registers_get64(registers, VTD_REG_ECAP);

        return COMMANDS | (ecap & VTD_ECAP_IR ? INTERRUPT_COMMANDS : 0);
}

/* What is latched has the bits of the register that it was latched from. */
static int decode_internal(struct vtd_log *log, const uint8_t *bytes,
                           struct vtd_engine_state *state)
{
        struct vtd_registers *registers = &state->registers;
        uint32_t command = (uint32_t)get(bytes, AT_COMMAND, 4);

        state->root = get(bytes, AT_LATCHED_ROOT, 8);
        state->iqa = get(bytes, AT_LATCHED_IQA, 8);
        state->interrupt_table = get(bytes, AT_LATCHED_IRTA, 8);
        if (check_bits(log, "latched RTADDR", state->root, writable64(registers, VTD_REG_RTADDR)) !=
                    0 ||
            check_bits(log, "latched IQA", state->iqa, writable64(registers, VTD_REG_IQA)) != 0 ||
            check_bits(log, "latched IRTA", state->interrupt_table,
                       writable64(registers, VTD_REG_IRTA)) != 0 ||
            check_bits(log, "GCMD", command, commands_of(registers)) != 0)
                return -EINVAL;
        registers->command = command & ~ONE_SHOT;
        registers->set_root = command & VTD_GCMD_SRTP;
        registers->set_interrupt_table = command & VTD_GCMD_SIRTP;
        registers->next_fault_record = (unsigned)get(bytes, AT_NEXT_FAULT_RECORD, 4);
        return 0;
}

/* A pointer register: @shown by GSTS as latched, or to be latched (@due), with @latched in force. */
static int check_pointer(struct vtd_log *log, const char *name, uint32_t status, bool shown,
                         bool due, uint64_t latched)
{
        if (shown && due)
                return vtd_fail(log, -EINVAL,
                                "saved state with GSTS %#x, which must not show %s as latched "
                                "while that is to be carried out",
                                status, name);
        if (!shown && !due && latched != 0)
                return vtd_fail(log, -EINVAL,
                                "saved state with %s latched as %#llx, it must be 0 with GSTS %#x "
                                "and nothing to be carried out",
                                name, (unsigned long long)latched, status);
        return 0;
}

static int check_commands(struct vtd_log *log, const struct vtd_engine_state *state)
{
        const struct vtd_registers *registers = &state->registers;
        uint32_t status = vtd_registers_get32(registers, VTD_REG_GSTS);

        if (check_bits(log, "GSTS", status, commands_of(registers)) != 0 ||
            check_pointer(log, "RTADDR", status, status & VTD_GCMD_SRTP, registers->set_root,
                          state->root) != 0 ||
            check_pointer(log, "IRTA", status, status & VTD_GCMD_SIRTP,
                          registers->set_interrupt_table, state->interrupt_table) != 0)
                return -EINVAL;
        return 0;
}

static int check_queue(struct vtd_log *log, const struct vtd_engine_state *state)
{
        uint32_t head = vtd_registers_get32(&state->registers, VTD_REG_IQH);
        struct vtd_queue queue;

        if (!(vtd_registers_get32(&state->registers, VTD_REG_GSTS) & VTD_GCMD_QIE)) {
                if (head == 0 && state->iqa == 0)
                        return 0;
                return vtd_fail(log, -EINVAL,
                                "saved state with IQH %#x and IQA latched as %#llx, both must be 0 "
                                "while GSTS.QIES is",
                                head, (unsigned long long)state->iqa);
        }
        vtd_queue_latch(&queue, state->iqa);
        if (head >= queue.size || head % queue.descriptor_size != 0)
                return vtd_fail(log, -EINVAL,
                                "saved state with IQH %#x, the queue has %u bytes and descriptors "
                                "of %u",
                                head, queue.size, queue.descriptor_size);
        return 0;
}

static bool is_queue_error(uint32_t code)
{
        switch ((enum vtd_queue_error)code) {
        case VTD_QUEUE_ERROR_TAIL:
        case VTD_QUEUE_ERROR_FETCH:
        case VTD_QUEUE_ERROR_TYPE:
        case VTD_QUEUE_ERROR_RESERVED:
        case VTD_QUEUE_ERROR_TAIL_ALIGNMENT:
        case VTD_QUEUE_ERROR_TABLE_MODE:
                return true;
        }
        return false;
}

static int check_faults(struct vtd_log *log, const struct vtd_registers *registers)
{
        uint32_t status = vtd_registers_get32(registers, VTD_REG_FSTS);
        uint32_t code = vtd_registers_get32(registers, VTD_REG_IQERCD);
        unsigned index = (status & VTD_FSTS_FRI_MASK) >> VTD_FSTS_FRI_SHIFT;
        bool recorded = vtd_fault_is_recorded(registers);

        if (registers->next_fault_record >= registers->fault_records ||
            index >= registers->fault_records)
                return vtd_fail(log, -EINVAL,
                                "saved state with FSTS.FRI %u and fault record %u to be written "
                                "next, there are %u",
                                index, registers->next_fault_record, registers->fault_records);
        if (!!(status & VTD_FSTS_PPF) != recorded)
                return vtd_fail(log, -EINVAL,
                                "saved state with FSTS %#x, PPF must be %d as the F bits of the "
                                "fault records say",
                                status, recorded);
        /* The code stays when the guest has cleared IQE. */
        if (!is_queue_error(code) && (code != 0 || (status & VTD_FSTS_IQE)))
                return vtd_fail(log, -EINVAL,
                                "saved state with FSTS %#x and IQERCD %#x, which is no error of "
                                "the queue",
                                status, code);
        return 0;
}

/* A message that is pending while nothing holds it back would be lost for good. */
static int check_event(struct vtd_log *log, const struct vtd_registers *registers, const char *name,
                       unsigned control_register, bool has_cause)
{
        uint32_t control = vtd_registers_get32(registers, control_register);

        if (!(control & VTD_ECTL_IP))
                return 0;
        if (!(control & VTD_ECTL_IM))
                return vtd_fail(log, -EINVAL, "saved state with %s %#x, IP must be 0 while IM is",
                                name, control);
        if (!has_cause)
                return vtd_fail(log, -EINVAL,
                                "saved state with %s %#x, IP must be 0 while no status bit is set "
                                "that it tells of",
                                name, control);
        return 0;
}

/* Returns 0 with @state, or -EINVAL. */
static int decode(struct vtd_log *log, const struct vtd_capabilities *capabilities,
                  const uint8_t *bytes, size_t size, struct vtd_engine_state *state)
{
        const struct vtd_registers *registers = &state->registers;
        uint32_t status;

        vtd_registers_reset(&state->registers, capabilities);
        if (check_header(log, bytes, size) != 0 ||
            check_promises(log, capabilities, bytes, size) != 0 ||
            decode_registers(log, bytes, &state->registers) != 0 ||
            decode_records(log, bytes, &state->registers) != 0 ||
            decode_internal(log, bytes, state) != 0)
                return -EINVAL;
        status = vtd_registers_get32(registers, VTD_REG_FSTS);
        if (check_commands(log, state) != 0 || check_queue(log, state) != 0 ||
            check_faults(log, registers) != 0 ||
            check_event(log, registers, "FECTL", VTD_REG_FECTL,
                        status & (VTD_FSTS_PPF | VTD_FSTS_IQE)) != 0 ||
            check_event(log, registers, "IECTL", VTD_REG_IECTL,
                        vtd_registers_get32(registers, VTD_REG_ICS) & VTD_ICS_IWC) != 0)
                return -EINVAL;
        return 0;
}

int vtd_frontend_restore(struct vtd_frontend *frontend, const void *data, size_t size)
{
        struct vtd_engine_state state;
        int r;

        if (frontend->engine.lost)
                return VTD_FRONTEND_LOST;
        r = decode(&frontend->log, &frontend->engine.capabilities, data, size, &state);
        if (r != 0)
                return r;
        vtd_frontend_begin_anew(frontend, &state);
        return 0;
}
