/* SPDX-License-Identifier: MIT */
/*
 * See queue.h.  A descriptor is copied once, judged as a whole by its row of the table below, and
 * only then taken apart.  The tail and the queue's address are the guest's and may hold anything.
 */
#include "frontend/queue.h"

#include "frontend/assumptions.h"
#include "frontend/tables.h"
#include "shared/checked.h"

#define IQA_WIDTH 0x800u /* 256-bit descriptors */

/* Sets of granularities that a type knows; ANY where the field does not exist. */
#define G(n)  (1u << (n))
#define G_ANY 0xfu

/*
 * One row per descriptor type.  In scalable mode every descriptor must be 256 bits wide; the types
 * marked scalable_only exist nowhere else.  Breaches of either, like unknown types, are type errors.
 *
 * Device-TLB and page-response descriptors belong to capabilities that are not offered.  The
 * architecture names no error for them, so they are judged like all others (PFSID is reserved
 * without device-TLB throttling) and then have nothing to do.
 */
static const struct descriptor_rule {
        enum vtd_descriptor_type type;
        bool scalable_only;
        uint8_t granularities;
        uint64_t reserved[2];
        bool upper_half_is_free; /* software's own in older revisions */
} descriptor_rules[] = {
        {VTD_DESCRIPTOR_CONTEXT_CACHE,
         false,
         G(1) | G(2) | G(3),
         {UINT64_C(0xfffc00000000f1c0), UINT64_MAX},
         false},
        {VTD_DESCRIPTOR_IOTLB,
         false,
         G(1) | G(2) | G(3),
         {UINT64_C(0xffffffff0000f100), 0xf80},
         false},
        {VTD_DESCRIPTOR_DEVICE_TLB, false, G_ANY, {UINT64_C(0xffff0000ffe0f1f0), 0xffe}, false},
        {VTD_DESCRIPTOR_INTERRUPT_ENTRY_CACHE,
         false,
         G_ANY,
         {UINT64_C(0xffff000007fff1e0), UINT64_MAX},
         false},
        {VTD_DESCRIPTOR_WAIT, false, G_ANY, {UINT64_C(0x00000000fffff180), 0x3}, false},
        {VTD_DESCRIPTOR_PASID_IOTLB,
         true,
         G(2) | G(3),
         {UINT64_C(0xfff000000000f1c0), 0xf80},
         false},
        {VTD_DESCRIPTOR_PASID_CACHE,
         true,
         G(0) | G(1) | G(3),
         {UINT64_C(0xfff000000000f1c0), UINT64_MAX},
         false},
        {VTD_DESCRIPTOR_PASID_DEVICE_TLB,
         true,
         G_ANY,
         {UINT64_C(0xfff000000000f000), 0x7fe},
         false},
        {VTD_DESCRIPTOR_PAGE_GROUP_RESPONSE,
         true,
         G_ANY,
         {UINT64_C(0xfff00000000001e0), UINT64_C(0xfffffffffffff003)},
         true},
};

void vtd_queue_latch(struct vtd_queue *queue, uint64_t iqa)
{
        *queue = (struct vtd_queue){
                .enabled = true,
                .iqa = iqa,
                .base = iqa & ~(VTD_PAGE_SIZE - 1),
                .size = (uint32_t)VTD_PAGE_SIZE << (iqa & 7),
                .descriptor_size = iqa & IQA_WIDTH ? 32 : 16,
        };
}

void vtd_queue_enable(struct vtd_queue *queue, struct vtd_registers *registers)
{
        vtd_queue_latch(queue, vtd_registers_get64(registers, VTD_REG_IQA));
        vtd_registers_set64(registers, VTD_REG_IQH, 0);
}

void vtd_queue_disable(struct vtd_queue *queue, struct vtd_registers *registers)
{
        *queue = (struct vtd_queue){.enabled = false};
        vtd_registers_set64(registers, VTD_REG_IQH, 0);
}

bool vtd_queue_is_ready(const struct vtd_queue *queue, const struct vtd_registers *registers)
{
        return queue->enabled && !(vtd_registers_get32(registers, VTD_REG_FSTS) & VTD_FSTS_IQE) &&
               vtd_registers_get32(registers, VTD_REG_IQH) !=
                       vtd_registers_get32(registers, VTD_REG_IQT);
}

void vtd_queue_advance(const struct vtd_queue *queue, struct vtd_registers *registers)
{
        uint32_t head = vtd_registers_get32(registers, VTD_REG_IQH) + queue->descriptor_size;

        vtd_registers_set32(registers, VTD_REG_IQH, head == queue->size ? 0 : head);
}

void vtd_queue_align_tail(const struct vtd_queue *queue, struct vtd_registers *registers)
{
        uint32_t tail = vtd_registers_get32(registers, VTD_REG_IQT);

        vtd_registers_set32(registers, VTD_REG_IQT, tail & ~(queue->descriptor_size - 1));
}

/* Returns the error to raise, or 0. */
static int judge_tail(const struct vtd_queue *queue, const struct vtd_registers *registers)
{
        uint32_t tail = vtd_registers_get32(registers, VTD_REG_IQT);

        if (tail >= queue->size)
                return VTD_QUEUE_ERROR_TAIL;
        if (tail % queue->descriptor_size != 0)
                return VTD_QUEUE_ERROR_TAIL_ALIGNMENT;
        return 0;
}

static const struct descriptor_rule *find_rule(unsigned type)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(descriptor_rules); i++)
                if ((unsigned)descriptor_rules[i].type == type)
                        return &descriptor_rules[i];
        return NULL;
}

/* Returns the error to raise, or 0. */
static int judge_descriptor(const struct vtd_queue *queue,
                            const struct vtd_capabilities *capabilities, unsigned table_mode,
                            const uint64_t *words, const struct descriptor_rule *rule)
{
        bool wide = queue->descriptor_size == 32;
        bool scalable = table_mode == VTD_TTM_SCALABLE;

        if (!rule)
                return VTD_QUEUE_ERROR_TYPE;
        if ((scalable && !wide) || (rule->scalable_only && !scalable))
                return VTD_ASSUMED_ERROR_OF_WIDTH_OR_MODE;
        if (words[0] & rule->reserved[0] || words[1] & rule->reserved[1])
                return VTD_QUEUE_ERROR_RESERVED;
        if (wide && !rule->upper_half_is_free && (words[2] | words[3]) != 0)
                return VTD_QUEUE_ERROR_RESERVED;
        if (!(rule->granularities & G((words[0] >> 4) & 3)))
                return VTD_ASSUMED_ERROR_OF_GRANULARITY;
        /* MAMV bounds this type only, not PASID-based invalidation. */
        if (rule->type == VTD_DESCRIPTOR_IOTLB && ((words[0] >> 4) & 3) == VTD_IOTLB_PAGE &&
            (words[1] & 0x3f) > VTD_CAP_MAMV)
                return VTD_ASSUMED_ERROR_OF_ADDRESS_MASK;
        if (rule->type == VTD_DESCRIPTOR_INTERRUPT_ENTRY_CACHE &&
            (capabilities->ecap & VTD_ECAP_IR) && (words[0] & 0x10) &&
            ((words[0] >> 27) & 0x1f) > VTD_ECAP_MHMV)
                return VTD_ASSUMED_ERROR_OF_INDEX_MASK;
        return 0;
}

/* An index-selective descriptor means the aligned block of 2^IM entries around IIDX. */
static void take_indices(struct vtd_descriptor *descriptor, const uint64_t *words)
{
        unsigned mask = words[0] & 0x10 ? (words[0] >> 27) & VTD_ECAP_MHMV : 16;

        descriptor->index_count = UINT32_C(1) << mask;
        descriptor->index = (words[0] >> 32) & 0xffff & ~(descriptor->index_count - 1);
}

static void take_apart(struct vtd_descriptor *descriptor, const struct descriptor_rule *rule,
                       const uint64_t *words)
{
        static const uint8_t function_masks[] = {0, 4, 6, 7};

        *descriptor = (struct vtd_descriptor){
                .type = rule->type,
                .granularity = (words[0] >> 4) & 3,
                .domain_id = (words[0] >> 16) & 0xffff,
                .pasid = (words[0] >> 32) & 0xfffff,
                .source_id = (words[0] >> 32) & 0xffff,
                .source_ignored = function_masks[(words[0] >> 48) & 3],
                .address = words[1] & ~(VTD_PAGE_SIZE - 1),
                .address_mask = words[1] & 0x3f,
                .leaf = words[1] & 0x40,
                .wait_interrupt = words[0] & 0x10,
                .wait_status = words[0] & 0x20,
                .status_data = (uint32_t)(words[0] >> 32),
                .status_address = words[1],
        };
        if (rule->type == VTD_DESCRIPTOR_INTERRUPT_ENTRY_CACHE)
                take_indices(descriptor, words);
}

int vtd_queue_fetch(const struct vtd_queue *queue, const struct vtd_registers *registers,
                    const struct vtd_guest *guest, const struct vtd_capabilities *capabilities,
                    unsigned table_mode, struct vtd_descriptor *descriptor,
                    enum vtd_queue_error *error)
{
        const struct descriptor_rule *rule;
        uint64_t words[4] = {0}, address;
        unsigned type;
        int judged;

        judged = judge_tail(queue, registers);
        if (judged == 0 && table_mode > VTD_TTM_SCALABLE)
                judged = VTD_QUEUE_ERROR_TABLE_MODE;
        if (judged != 0) {
                *error = judged;
                return VTD_QUEUE_E_ERROR;
        }
        if (!vtd_add_u64(queue->base, vtd_registers_get32(registers, VTD_REG_IQH), &address) ||
            address >> capabilities->host_address_bits != 0 ||
            !vtd_guest_read(guest, address, words, queue->descriptor_size)) {
                *error = VTD_QUEUE_ERROR_FETCH;
                return VTD_QUEUE_E_ERROR;
        }
        type = (words[0] & 0xf) | ((words[0] >> 5) & 0x70);
        rule = find_rule(type);
        judged = judge_descriptor(queue, capabilities, table_mode, words, rule);
        if (judged != 0) {
                *error = judged;
                return VTD_QUEUE_E_ERROR;
        }
        take_apart(descriptor, rule, words);
        return 0;
}
