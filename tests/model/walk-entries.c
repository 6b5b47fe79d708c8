/* SPDX-License-Identifier: MIT */
/* See walk.h: root, context, PASID directory and PASID table. */
#include "tests/model/walk.h"

#include <string.h>

#define BIT(n)  (UINT64_C(1) << (n))
#define PAGE(x) ((x) & ~UINT64_C(0xfff))

void reasons_add(struct reasons *reasons, uint8_t code)
{
        if (!reasons_have(reasons, code) && reasons->count < sizeof(reasons->codes))
                reasons->codes[reasons->count++] = code;
}

bool reasons_have(const struct reasons *reasons, uint8_t code)
{
        for (unsigned i = 0; i < reasons->count; i++)
                if (reasons->codes[i] == code)
                        return true;
        return false;
}

static bool refuse(struct reasons *reasons, uint8_t code)
{
        reasons_add(reasons, code);
        return false;
}

bool reason_is_qualified(uint8_t code)
{
        return !(code < 0x41 || code == 0x50 || code == 0x58);
}

static uint64_t above(const struct vtd_frontend_config *config)
{
        return ~(BIT(config->host_address_bits) - 1);
}

/* Reads @count words at @gpa; false when they are not memory. */
static bool get(const struct tables *tables, uint64_t gpa, uint64_t *words, unsigned count)
{
        for (unsigned i = 0; i < count; i++)
                if (!memory_get(tables->memory, gpa + 8 * (uint64_t)i, &words[i]))
                        return false;
        return true;
}

bool walk_context(const struct tables *tables, uint16_t rid, bool with_pasid, struct context *out,
                  bool *fpd, struct reasons *reasons)
{
        uint64_t half, words[4], slot;
        unsigned mode = (tables->root >> 10) & 3;
        bool paside;

        *fpd = false;
        if (mode != 1)
                return refuse(reasons, with_pasid && mode == 0 ? 0x31 : 0x30);
        slot = PAGE(tables->root) + (uint64_t)(rid >> 8) * 16 + (rid & 0x80 ? 8 : 0);
        if (!get(tables, slot, &half, 1))
                return refuse(reasons, 0x38);
        if (!(half & 1))
                return refuse(reasons, 0x39);
        if (half & (0xffe | above(tables->config)))
                return refuse(reasons, 0x3a);
        if (!get(tables, PAGE(half) + (uint64_t)(rid & 0x7f) * 32, words, 4))
                return refuse(reasons, 0x40);
        *fpd = words[0] & BIT(1);
        paside = words[0] & BIT(3);
        if (!(words[0] & 1))
                return refuse(reasons, 0x41);
        if (words[0] & (BIT(2) | 0x1f0 | above(tables->config)) || words[1] >> 20 != 0 ||
            (words[2] | words[3]) != 0 || (paside && tables->config->pasid_bits == 0))
                return refuse(reasons, 0x42);
        *out = (struct context){
                .directory = PAGE(words[0]),
                .pasids = UINT32_C(0x2000) << ((words[0] >> 9) & 7),
                .rid_pasid = words[1] & 0xfffff,
                .pasids_allowed = paside,
                .fpd = *fpd,
        };
        return true;
}

/* Bits of a PASID-table entry's first three words that may not be set. */
static bool has_reserved(const struct vtd_frontend_config *config, const uint64_t *words)
{
        uint64_t first = 0xc20 | above(config), second = ~UINT64_C(0xffff), third = ~UINT64_C(0x60);

        second &= ~BIT(23);
        if (!config->second_stage_dirty)
                first |= BIT(9);
        if (config->snoop_control)
                second &= ~BIT(24);
        if (config->first_stage)
                third &= ~(PAGE(BIT(config->host_address_bits) - 1) | 0xc);
        if (config->supervisor_requests)
                third &= ~(BIT(0) | BIT(4));
        if (config->extended_accessed)
                third &= ~BIT(7);
        return (words[0] & first) || (words[1] & second) || (words[2] & third) ||
               (words[3] | words[4] | words[5] | words[6] | words[7]) != 0;
}

static bool is_possible(const struct vtd_frontend_config *config, const uint64_t *words)
{
        unsigned type = (words[0] >> 6) & 7, width = (words[0] >> 2) & 7;
        unsigned mode = (words[2] >> 2) & 3;

        switch (type) {
        case PGTT_FIRST_STAGE:
                if (!config->first_stage)
                        return false;
                break;
        case PGTT_SECOND_STAGE:
                if (config->second_stage_widths == 0)
                        return false;
                break;
        case PGTT_NESTED:
                if (!config->nested)
                        return false;
                break;
        case PGTT_PASSTHROUGH:
                return true;
        default:
                return false;
        }
        if (type != PGTT_FIRST_STAGE && !(config->second_stage_widths & (1u << width)))
                return false;
        return type == PGTT_SECOND_STAGE || mode == 0 || (mode == 1 && config->first_stage_5level);
}

bool walk_pasid(const struct tables *tables, const struct context *context, uint32_t pasid,
                struct pasid_entry *out, bool *fpd, struct reasons *reasons)
{
        uint64_t pointer, words[8];

        *fpd = context->fpd;
        if (!get(tables, context->directory + (uint64_t)(pasid >> 6) * 8, &pointer, 1))
                return refuse(reasons, 0x50);
        *fpd |= (pointer >> 1) & 1;
        if (!(pointer & 1))
                return refuse(reasons, 0x51);
        if (pointer & (0xffc | above(tables->config)))
                return refuse(reasons, 0x52);
        if (!get(tables, PAGE(pointer) + (uint64_t)(pasid & 0x3f) * 64, words, 8))
                return refuse(reasons, 0x58);
        *fpd |= (words[0] >> 1) & 1;
        if (!(words[0] & 1))
                return refuse(reasons, 0x59);
        if (has_reserved(tables->config, words))
                return refuse(reasons, 0x5a);
        if (!is_possible(tables->config, words))
                return refuse(reasons, 0x5b);
        memset(out, 0, sizeof(*out));
        out->type = (words[0] >> 6) & 7;
        out->domain_id = words[1] & 0xffff;
        out->pasid = pasid;
        out->fpd = ((pointer | words[0]) >> 1) & 1;
        out->snoop = words[1] & BIT(23);
        out->supervisor = words[2] & BIT(0);
        if (out->type == PGTT_FIRST_STAGE || out->type == PGTT_NESTED) {
                out->first_root = PAGE(words[2]);
                out->first_levels = words[2] & BIT(2) ? 5 : 4;
                out->write_protect = words[2] & BIT(4);
                out->extended_accessed = words[2] & BIT(7);
        }
        if (out->type == PGTT_SECOND_STAGE || out->type == PGTT_NESTED) {
                out->second_root = PAGE(words[0]);
                out->second_levels = (unsigned)((words[0] >> 2) & 7) + 2;
                out->second_dirty = words[0] & BIT(9);
        }
        return true;
}
