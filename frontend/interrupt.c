/* SPDX-License-Identifier: MIT */
/*
 * See interrupt.h.  Request and entry are the guest's and may hold anything; the entry is copied
 * once and judged there.  The order of the checks is the architecture's and stands in one table.
 */
#include "frontend/interrupt.h"

#include <endian.h>

#include "frontend/frontend-internal.h"
#include "shared/checked.h"

/* Of the address. */
#define ADDRESS_RANGE        UINT64_C(0xfee)
#define ADDRESS_RANGE_SHIFT  20u
#define ADDRESS_REMAPPABLE   UINT64_C(0x10)
#define ADDRESS_SUBHANDLE    UINT64_C(0x8) /* SHV */
#define ADDRESS_HANDLE_SHIFT 5u            /* handle[14:0] */
#define ADDRESS_HANDLE_MASK  0x7fffu
#define ADDRESS_HANDLE_15    UINT64_C(0x4)
#define ADDRESS_REDIRECTION  0x8u /* RH, of a message that is delivered */
#define ADDRESS_LOGICAL      0x4u /* DM */
#define ADDRESS_TARGET_SHIFT 12u  /* bits 7:0 of the APIC id; the others begin at bit 40 */
#define DATA_SUBHANDLE_MASK  0xffffu
#define DATA_DELIVERY_SHIFT  8u
#define DATA_LEVEL_ASSERT    0x4000u
#define DATA_TRIGGER_LEVEL   0x8000u

/* Of the entry's first eight bytes. */
#define ENTRY_SIZE            16u
#define ENTRY_PRESENT         UINT64_C(0x1)
#define ENTRY_FPD             UINT64_C(0x2)
#define ENTRY_LOGICAL         UINT64_C(0x4)
#define ENTRY_REDIRECTION     UINT64_C(0x8)
#define ENTRY_TRIGGER_LEVEL   UINT64_C(0x10)
#define ENTRY_DELIVERY(entry) (((entry) >> 5) & 7u)
#define ENTRY_VECTOR(entry)   (((entry) >> 16) & 0xffu)
#define ENTRY_TARGET_SHIFT    32u /* DST */
#define ENTRY_XAPIC_SHIFT     40u /* its byte that counts outside extended mode */
#define ENTRY_RESERVED        UINT64_C(0x00000000ff00f000) /* IM too: no posted interrupts */
#define ENTRY_XAPIC_RESERVED  UINT64_C(0xffff00ff00000000)
/* Of the second eight. */
#define SOURCE_ID(source)         ((source)&0xffffu)
#define SOURCE_QUALIFIER(source)  (((source) >> 16) & 3u)
#define SOURCE_VALIDATION(source) (((source) >> 18) & 3u)
#define SOURCE_RESERVED           UINT64_C(0xfffffffffff00000)

enum {
        VALIDATION_NONE,
        VALIDATION_ID,
        VALIDATION_BUSES,
        VALIDATION_RESERVED,
};

/* A request on its way through the checks. */
struct examination {
        const struct vtd_guest *guest;
        const struct vtd_capabilities *capabilities;
        uint64_t interrupts;
        struct vtd_interrupt_request request;
        uint32_t index;    /* of a request in remappable format */
        uint64_t entry[2]; /* zero until it was read */
};

static bool is_remappable(const struct vtd_interrupt_request *request)
{
        return request->address & ADDRESS_REMAPPABLE;
}

static bool is_in_range(const struct vtd_interrupt_request *request)
{
        return request->address >> ADDRESS_RANGE_SHIFT == ADDRESS_RANGE;
}

/* At most 0xffff + 0xffff. */
static uint32_t index_of(const struct vtd_interrupt_request *request)
{
        uint32_t index = (request->address >> ADDRESS_HANDLE_SHIFT) & ADDRESS_HANDLE_MASK;

        if (request->address & ADDRESS_HANDLE_15)
                index |= ADDRESS_HANDLE_MASK + 1;
        if (request->address & ADDRESS_SUBHANDLE)
                index += request->data & DATA_SUBHANDLE_MASK;
        return index;
}

static bool has_interrupt_address(struct examination *examination)
{
        return is_in_range(&examination->request);
}

static bool has_remappable_format(struct examination *examination)
{
        return is_remappable(&examination->request);
}

static bool has_clean_data(struct examination *examination)
{
        return !(examination->request.data & ~DATA_SUBHANDLE_MASK);
}

static bool has_index_in_table(struct examination *examination)
{
        return examination->index >> ((examination->interrupts & VTD_INTERRUPTS_SIZE_MASK) + 1) ==
               0;
}

static bool has_readable_entry(struct examination *examination)
{
        uint64_t address, entry[2];

        if (!vtd_add_u64(examination->interrupts & VTD_INTERRUPTS_BASE_MASK,
                         (uint64_t)examination->index * ENTRY_SIZE, &address) ||
            address >> examination->capabilities->host_address_bits != 0 ||
            !vtd_guest_read(examination->guest, address, entry, sizeof(entry)))
                return false;
        examination->entry[0] = le64toh(entry[0]);
        examination->entry[1] = le64toh(entry[1]);
        return true;
}

static bool has_present_entry(struct examination *examination)
{
        return examination->entry[0] & ENTRY_PRESENT;
}

static bool has_clean_entry(struct examination *examination)
{
        uint64_t reserved = ENTRY_RESERVED;

        if (!(examination->interrupts & VTD_INTERRUPTS_EXTENDED))
                reserved |= ENTRY_XAPIC_RESERVED;
        return !(examination->entry[0] & reserved) && !(examination->entry[1] & SOURCE_RESERVED) &&
               SOURCE_VALIDATION(examination->entry[1]) != VALIDATION_RESERVED;
}

static bool has_right_source(struct examination *examination)
{
        /* What of the function number does not count, by qualifier. */
        static const uint16_t ignored[] = {0, 4, 6, 7};
        uint64_t source = examination->entry[1];
        unsigned bus = examination->request.rid >> 8;

        switch (SOURCE_VALIDATION(source)) {
        case VALIDATION_ID:
                return !((SOURCE_ID(source) ^ examination->request.rid) &
                         ~(unsigned)ignored[SOURCE_QUALIFIER(source)]);
        case VALIDATION_BUSES:
                return bus >= SOURCE_ID(source) >> 8 && bus <= (SOURCE_ID(source) & 0xff);
        default:
                return true;
        }
}

/* The first check that does not hold gives the fault. */
static const struct check {
        enum vtd_fault_reason reason;
        bool (*holds)(struct examination *examination);
} checks[] = {
        {VTD_FAULT_REMAP_REQUEST, has_interrupt_address},
        {VTD_FAULT_REMAP_FORMAT, has_remappable_format},
        {VTD_FAULT_REMAP_REQUEST, has_clean_data},
        {VTD_FAULT_REMAP_INDEX, has_index_in_table},
        {VTD_FAULT_REMAP_ACCESS, has_readable_entry},
        {VTD_FAULT_REMAP_ABSENT, has_present_entry},
        {VTD_FAULT_REMAP_RESERVED, has_clean_entry},
        {VTD_FAULT_REMAP_SOURCE, has_right_source},
};

/* What the guest lets pass as it is. */
static bool is_untouched(uint64_t interrupts, const struct vtd_interrupt_request *request)
{
        if (!(interrupts & VTD_INTERRUPTS_REMAPPED))
                return true;
        return is_in_range(request) && !is_remappable(request) &&
               (interrupts & VTD_INTERRUPTS_COMPATIBILITY) &&
               !(interrupts & VTD_INTERRUPTS_EXTENDED);
}

static void compose(const struct examination *examination, struct vtd_frontend_message *message)
{
        uint64_t entry = examination->entry[0];
        uint64_t target = entry >> ENTRY_TARGET_SHIFT;

        if (!(examination->interrupts & VTD_INTERRUPTS_EXTENDED))
                target = (entry >> ENTRY_XAPIC_SHIFT) & 0xff;
        message->address = (ADDRESS_RANGE << ADDRESS_RANGE_SHIFT) |
                           (target & 0xff) << ADDRESS_TARGET_SHIFT | (target >> 8) << 40 |
                           (entry & ENTRY_REDIRECTION ? ADDRESS_REDIRECTION : 0) |
                           (entry & ENTRY_LOGICAL ? ADDRESS_LOGICAL : 0);
        message->data =
                (uint32_t)(ENTRY_VECTOR(entry) | ENTRY_DELIVERY(entry) << DATA_DELIVERY_SHIFT) |
                DATA_LEVEL_ASSERT | (entry & ENTRY_TRIGGER_LEVEL ? DATA_TRIGGER_LEVEL : 0);
}

int vtd_interrupt_judge(const struct vtd_guest *guest, const struct vtd_capabilities *capabilities,
                        uint64_t interrupts, const struct vtd_interrupt_request *request,
                        struct vtd_frontend_message *message, struct vtd_fault *fault)
{
        struct examination examination = {
                .guest = guest,
                .capabilities = capabilities,
                .interrupts = interrupts,
                .request = *request,
        };

        if (is_untouched(interrupts, request)) {
                *message = (struct vtd_frontend_message){request->address, request->data};
                return 0;
        }
        if (is_in_range(request) && is_remappable(request))
                examination.index = index_of(request);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(checks); i++) {
                if (checks[i].holds(&examination))
                        continue;
                *fault = (struct vtd_fault){
                        .reason = checks[i].reason,
                        .fpd = examination.entry[0] & ENTRY_FPD,
                        .rid = request->rid,
                        .address = (uint64_t)examination.index << VTD_FRCD_INDEX_SHIFT,
                        .access = VTD_FAULT_WRITE,
                };
                return VTD_INTERRUPT_E_FAULT;
        }
        compose(&examination, message);
        return 0;
}

int vtd_frontend_remap_interrupt(struct vtd_frontend *frontend, uint16_t rid, uint64_t address,
                                 uint32_t data, struct vtd_frontend_message *message)
{
        const struct vtd_interrupt_request request = {rid, address, data};
        struct vtd_engine *engine = &frontend->engine;
        struct vtd_message event = {.due = false};
        struct vtd_fault fault;

        if (vtd_interrupt_judge(&engine->guest, &engine->capabilities,
                                atomic_load(&engine->interrupts), &request, message, &fault) == 0)
                return 0;
        /* Remapping may have been switched off, and the registers reset, since it was judged. */
        vtd_frontend_lock(frontend);
        if ((atomic_load(&engine->interrupts) & VTD_INTERRUPTS_REMAPPED) &&
            vtd_fault_record(&engine->registers, &fault, &event))
                engine->stats.faults++;
        vtd_frontend_unlock(frontend);
        vtd_guest_deliver(&engine->guest, &event);
        return VTD_FRONTEND_BLOCKED;
}
