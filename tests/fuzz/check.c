/* SPDX-License-Identifier: MIT */
/* See check.h. */
#include "tests/fuzz/check.h"

#include <string.h>

#include "shared/checked.h"
#include "tests/fuzz/fuzz.h"

/*
 * For each dword that is not constant: what must have been offered for it to exist, the bits that can
 * be other than 0, those that a guest's write of it can change, and another dword with the bits that
 * the same write can change there.  All other registers are constant.
 */
enum offer {
        ALWAYS,
        WITH_IR,  /* interrupt remapping */
        WITH_EIM, /* extended interrupt mode */
};

static const struct register_shape {
        uint16_t offset;
        enum offer offer;
        uint32_t possible, written;
        uint16_t other;
        uint32_t other_written;
} shapes[] = {
        {VTD_REG_GCMD, WITH_IR, 0, 0, VTD_REG_GSTS, VTD_GCMD_SRTP | VTD_GCMD_SIRTP},
        {VTD_REG_GCMD, ALWAYS, 0, 0, VTD_REG_GSTS, VTD_GCMD_SRTP},
        {VTD_REG_GSTS, WITH_IR,
         VTD_GCMD_TE | VTD_GCMD_SRTP | VTD_GCMD_QIE | VTD_GCMD_IRE | VTD_GCMD_SIRTP | VTD_GCMD_CFI,
         0, 0, 0},
        {VTD_REG_GSTS, ALWAYS, VTD_GCMD_TE | VTD_GCMD_SRTP | VTD_GCMD_QIE, 0, 0, 0},
        {VTD_REG_RTADDR, ALWAYS, 0xfffffc00, 0xfffffc00, 0, 0},
        {VTD_REG_RTADDR + 4, ALWAYS, 0xffffffff, 0xffffffff, 0, 0},
        {VTD_REG_CCMD + 4, ALWAYS, 0x60000000, 0x60000000, 0, 0},
        {VTD_REG_FSTS, ALWAYS, 0x0000ff13, 0x11, VTD_REG_FECTL, VTD_ECTL_IP},
        {VTD_REG_FECTL, ALWAYS, 0xc0000000, 0xc0000000, 0, 0},
        {VTD_REG_FEDATA, ALWAYS, 0x0000ffff, 0x0000ffff, 0, 0},
        {VTD_REG_FEADDR, ALWAYS, 0xfffffffc, 0xfffffffc, 0, 0},
        {VTD_REG_FEUADDR, WITH_EIM, 0xffffffff, 0xffffffff, 0, 0},
        {VTD_REG_IQH, ALWAYS, 0x0007fff0, 0, 0, 0},
        {VTD_REG_IQT, ALWAYS, 0x0007fff0, 0x0007fff0, 0, 0},
        {VTD_REG_IQA, ALWAYS, 0xfffff807, 0xfffff807, 0, 0},
        {VTD_REG_IQA + 4, ALWAYS, 0xffffffff, 0xffffffff, 0, 0},
        {VTD_REG_ICS, ALWAYS, 0x1, 0x1, VTD_REG_IECTL, VTD_ECTL_IP},
        {VTD_REG_IECTL, ALWAYS, 0xc0000000, 0xc0000000, 0, 0},
        {VTD_REG_IEDATA, ALWAYS, 0x0000ffff, 0x0000ffff, 0, 0},
        {VTD_REG_IEADDR, ALWAYS, 0xfffffffc, 0xfffffffc, 0, 0},
        {VTD_REG_IEUADDR, WITH_EIM, 0xffffffff, 0xffffffff, 0, 0},
        {VTD_REG_IQERCD, ALWAYS, 0x0000000f, 0, 0, 0},
        {VTD_REG_IRTA, WITH_EIM, 0xfffff80f, 0xfffff80f, 0, 0},
        {VTD_REG_IRTA, WITH_IR, 0xfffff00f, 0xfffff00f, 0, 0},
        {VTD_REG_IRTA + 4, WITH_IR, 0xffffffff, 0xffffffff, 0, 0},
        {VTD_REG_IOTLB + 4, ALWAYS, 0x3003ffff, 0x3003ffff, 0, 0},
};

static uint32_t get32(const struct fuzz_unit *fuzz, uint64_t offset)
{
        return vtd_registers_get32(&fuzz->unit->engine.registers, (unsigned)offset);
}

static const struct register_shape *find_shape(const struct fuzz_unit *fuzz, uint64_t offset)
{
        const bool offered[] = {
                [ALWAYS] = true,
                [WITH_IR] = fuzz->config.interrupt_remapping,
                [WITH_EIM] = fuzz->config.extended_interrupt_mode,
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(shapes); i++)
                if (shapes[i].offset == offset && offered[shapes[i].offer])
                        return &shapes[i];
        return NULL;
}

/* Which dword of a fault record @offset is, 4 when it lies outside of them. */
static unsigned record_dword(const struct fuzz_unit *fuzz, uint64_t offset)
{
        if (offset < VTD_REG_FRCD ||
            offset >= VTD_REG_FRCD + (uint64_t)fuzz->config.fault_records * VTD_FRCD_SIZE)
                return 4;
        return (unsigned)(offset % VTD_FRCD_SIZE / 4);
}

static uint64_t expected_cap(const struct vtd_frontend_config *config)
{
        bool second_stage = config->second_stage_widths != 0;

        /* ND, ZLR, FRO, PSI, MAMV, DWD, DRD, ESIRTPS, ESRTPS. */
        return 0x6 | UINT64_C(1) << 22 | UINT64_C(0x22) << 24 | UINT64_C(1) << 39 |
               UINT64_C(18) << 48 | UINT64_C(3) << 54 | UINT64_C(3) << 62 |
               (uint64_t)config->caching_mode << 7 | (uint64_t)config->second_stage_widths << 8 |
               (uint64_t)(config->address_bits - 1) << 16 | (uint64_t)(second_stage ? 3 : 0) << 34 |
               (uint64_t)(config->fault_records - 1) << 40 |
               (uint64_t)config->first_stage_1gib << 56 |
               (uint64_t)config->first_stage_5level << 60;
}

static uint64_t expected_ecap(const struct vtd_frontend_config *config)
{
        /* C, QI, PT, IRO, SMTS, SMPWCS, RPS. */
        uint64_t ecap = 0x43 | UINT64_C(0xf) << 8 | UINT64_C(1) << 43 | UINT64_C(3) << 48;

        if (config->pasid_bits > 0)
                ecap |= UINT64_C(1) << 40 | (uint64_t)(config->pasid_bits - 1) << 35;
        if (config->interrupt_remapping)
                ecap |= 0xf00008;
        return ecap | (uint64_t)config->extended_interrupt_mode << 4 |
               (uint64_t)config->snoop_control << 7 | (uint64_t)config->nested << 26 |
               (uint64_t)config->supervisor_requests << 31 |
               (uint64_t)config->extended_accessed << 34 |
               (uint64_t)config->second_stage_dirty << 45 |
               (uint64_t)(config->second_stage_widths != 0) << 46 |
               (uint64_t)config->first_stage << 47;
}

static void check_reserved(const struct fuzz_unit *fuzz)
{
        FUZZ_REQUIRE(get32(fuzz, VTD_REG_VER) == 0x60);
        FUZZ_REQUIRE(vtd_frontend_read(fuzz->unit, VTD_REG_CAP, 8) == expected_cap(&fuzz->config));
        FUZZ_REQUIRE(vtd_frontend_read(fuzz->unit, VTD_REG_ECAP, 8) ==
                     expected_ecap(&fuzz->config));
        for (unsigned offset = VTD_REG_GCMD; offset < VTD_FRONTEND_REGISTER_PAGE_SIZE;
             offset += 4) {
                uint32_t value = get32(fuzz, offset);
                const struct register_shape *shape;

                if (value == 0)
                        continue;
                shape = find_shape(fuzz, offset);
                if (shape)
                        FUZZ_REQUIRE((value & ~shape->possible) == 0);
                else
                        FUZZ_REQUIRE(record_dword(fuzz, offset) < 4);
        }
}

static void check_faults(const struct fuzz_unit *fuzz)
{
        uint32_t status = get32(fuzz, VTD_REG_FSTS);
        bool pending = false;

        for (unsigned i = 0; i < fuzz->config.fault_records; i++) {
                unsigned offset = VTD_REG_FRCD + i * VTD_FRCD_SIZE;
                uint64_t high = vtd_frontend_read(fuzz->unit, offset + 8, 8);
                bool with_pasid = high >> 31 & 1;

                pending |= high >> 63;
                /* All but T2, PRIV, PP, FR, PV, T1 and F; of the address, all but whole pages. */
                FUZZ_REQUIRE((high & UINT64_C(0x300000004fff0000)) == 0);
                FUZZ_REQUIRE((get32(fuzz, offset) & 0xfff) == 0);
                FUZZ_REQUIRE(with_pasid || ((high >> 40 & 0xfffff) | (high >> 29 & 1)) == 0);
                FUZZ_REQUIRE(!(high >> 63) || (high >> 32 & 0xff) != 0);
        }
        FUZZ_REQUIRE(pending == !!(status & VTD_FSTS_PPF));
        FUZZ_REQUIRE((status & VTD_FSTS_FRI_MASK) >> VTD_FSTS_FRI_SHIFT <
                     fuzz->config.fault_records);
        if (!(status & (VTD_FSTS_PPF | VTD_FSTS_IQE)))
                FUZZ_REQUIRE(!(get32(fuzz, VTD_REG_FECTL) & VTD_ECTL_IP));
        if (!(get32(fuzz, VTD_REG_ICS) & VTD_ICS_IWC))
                FUZZ_REQUIRE(!(get32(fuzz, VTD_REG_IECTL) & VTD_ECTL_IP));
        FUZZ_REQUIRE((get32(fuzz, VTD_REG_FECTL) & (VTD_ECTL_IM | VTD_ECTL_IP)) != VTD_ECTL_IP);
        FUZZ_REQUIRE((get32(fuzz, VTD_REG_IECTL) & (VTD_ECTL_IM | VTD_ECTL_IP)) != VTD_ECTL_IP);
}

static void check_queue(const struct fuzz_unit *fuzz)
{
        const struct vtd_queue *queue = &fuzz->unit->engine.queue;
        uint32_t head = get32(fuzz, VTD_REG_IQH);

        FUZZ_REQUIRE(queue->enabled == !!(get32(fuzz, VTD_REG_GSTS) & VTD_GCMD_QIE));
        if (!queue->enabled) {
                FUZZ_REQUIRE(head == 0);
                return;
        }
        FUZZ_REQUIRE(head < queue->size && head % queue->descriptor_size == 0);
}

void fuzz_check_registers(const struct fuzz_unit *fuzz)
{
        check_reserved(fuzz);
        check_faults(fuzz);
        check_queue(fuzz);
}

/* What a write of the dword at @offset can change in the one at @changed. */
static uint32_t changeable(const struct fuzz_unit *fuzz, uint64_t offset, uint64_t changed)
{
        const struct register_shape *shape = find_shape(fuzz, offset);

        if (record_dword(fuzz, offset) == 3) {
                if (changed == VTD_REG_FSTS)
                        return VTD_FSTS_PPF;
                if (changed == VTD_REG_FECTL)
                        return VTD_ECTL_IP;
                return changed == offset ? VTD_FRCD_F : 0;
        }
        if (!shape)
                return 0;
        if (changed == offset)
                return shape->written;
        return shape->other != 0 && changed == shape->other ? shape->other_written : 0;
}

void fuzz_check_write(const struct fuzz_unit *fuzz, uint64_t offset, unsigned size)
{
        bool legal = (size == 4 || size == 8) && offset % size == 0;

        for (unsigned changed = 0; changed < VTD_FRONTEND_REGISTER_PAGE_SIZE; changed += 4) {
                uint32_t difference = get32(fuzz, changed) ^ fuzz->before[changed / 4];

                if (difference == 0)
                        continue;
                FUZZ_REQUIRE(legal);
                difference &= ~changeable(fuzz, offset, changed);
                if (size == 8)
                        difference &= ~changeable(fuzz, offset + 4, changed);
                FUZZ_REQUIRE(difference == 0);
        }
}

static void check_binding(const struct fuzz_unit *fuzz, const struct vtd_binding *binding)
{
        const struct vtd_engine *engine = &fuzz->unit->engine;
        bool first_stage = binding->current.mode == VTD_ATTACH_FIRST_STAGE;
        const struct fuzz_attachment *attachment;

        FUZZ_REQUIRE((binding->table != 0) == first_stage);
        FUZZ_REQUIRE(first_stage || binding->current.root == 0);
        FUZZ_REQUIRE(binding->pasid >> fuzz->config.pasid_bits == 0);
        /* What is in force and what is known of it differ only while an answer is outstanding. */
        if (engine->lost || engine->outstanding || !binding->current_known)
                return;
        attachment = fuzz_broker_find(fuzz->broker, binding->device, binding->pasid);
        if (!attachment) {
                FUZZ_REQUIRE(binding->current.mode == VTD_ATTACH_BLOCKED);
                return;
        }
        FUZZ_REQUIRE(attachment->mode == binding->current.mode);
        FUZZ_REQUIRE(attachment->root == binding->current.root);
        FUZZ_REQUIRE(attachment->address_width == binding->current.address_width);
        FUZZ_REQUIRE(attachment->flags == binding->current.flags);
        FUZZ_REQUIRE(attachment->table == binding->table);
}

void fuzz_check_bindings(const struct fuzz_unit *fuzz)
{
        const struct vtd_bindings *bindings = &fuzz->unit->engine.bindings;
        size_t waiting = 0, used = 0, known = 0;

        FUZZ_REQUIRE(bindings->end <= VTD_BINDINGS);
        for (size_t i = 0; i < bindings->end; i++) {
                const struct vtd_binding *binding = &bindings->slots[i];

                if (!binding->used)
                        continue;
                used++;
                waiting += binding->phase != VTD_BINDING_SETTLED;
                FUZZ_REQUIRE(vtd_bindings_peek(bindings, binding->rid, binding->pasid) == binding);
                FUZZ_REQUIRE((i < VTD_LIMIT_DEVICES) == (binding->pasid == VTD_NO_PASID));
                check_binding(fuzz, binding);
                known += fuzz_broker_find(fuzz->broker, binding->device, binding->pasid) != NULL;
        }
        FUZZ_REQUIRE(waiting == bindings->waiting);
        FUZZ_REQUIRE(used <= FUZZ_ATTACHMENTS);
        /* Nothing is attached that the unit does not know of. */
        FUZZ_REQUIRE(known == fuzz->broker->count);
}

/*
 * By type: the bits that have a meaning, and the granularities.  Capabilities that are not offered
 * (device-TLB throttling, page-request drain) take theirs away.
 */
static const struct descriptor_shape {
        uint64_t fields[2];
        bool scalable_only, free_upper_half;
        uint8_t granularities;
} descriptor_shapes[] = {
        [1] = {{0x0003ffffffff003f, 0}, false, false, 0xe},
        [2] = {{0x00000000ffff00ff, 0xfffffffffffff07f}, false, false, 0xe},
        [3] = {{0x0000ffff001f000f, 0xfffffffffffff001}, false, false, 0xf},
        [4] = {{0x0000fffff800001f, 0}, false, false, 0xf},
        [5] = {{0xffffffff0000007f, 0xfffffffffffffffc}, false, false, 0xf},
        [6] = {{0x000fffffffff003f, 0xfffffffffffff07f}, true, false, 0xc},
        [7] = {{0x000fffffffff003f, 0}, true, false, 0xb},
        [8] = {{0x000fffffffff01ff, 0xfffffffffffff801}, true, false, 0xf},
        [9] = {{0x000ffffffffff01f, 0xffc}, true, true, 0xf},
};

bool fuzz_is_valid_descriptor(const struct vtd_frontend_config *config, const uint64_t *words,
                              bool wide, unsigned table_mode)
{
        unsigned type = words[0] & 0xf, granularity = words[0] >> 4 & 3;
        const struct descriptor_shape *shape;

        if (type == 0 || type >= VTD_ARRAY_SIZE(descriptor_shapes) || table_mode > 1)
                return false;
        shape = &descriptor_shapes[type];
        /* Scalable mode needs 256 bits, and some types need scalable mode. */
        if (table_mode == 1 ? !wide : shape->scalable_only)
                return false;
        if (words[0] & ~shape->fields[0] || words[1] & ~shape->fields[1])
                return false;
        if (wide && !shape->free_upper_half && (words[2] | words[3]) != 0)
                return false;
        if (type == 2 && granularity == 3 && (words[1] & 0x3f) > 18)
                return false;
        /* MHMV: without remapping nothing is offered that it could be about. */
        if (type == 4 && config->interrupt_remapping && (words[0] & 0x10) &&
            (words[0] >> 27 & 0x1f) > 15)
                return false;
        return shape->granularities >> granularity & 1;
}
