/* SPDX-License-Identifier: MIT */
/* See steps.h. */
#include "tests/fuzz/steps.h"

#include <string.h>
#include <unistd.h>

#include "frontend/include/vtd/device.h"
#include "shared/checked.h"
#include "tests/fuzz/fuzz.h"

void fuzz_step_run(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        unsigned budget = step->c & 1 ? step->b % 512u : step->a % 32u;

        if (step->c & 2)
                fuzz_settle(fuzz, 16);
        else
                (void)fuzz_run(fuzz, budget);
}

static uint64_t quadword(unsigned number)
{
        return (uint64_t)number * 8 % FUZZ_MEMORY_SIZE;
}

void fuzz_step_store(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        fuzz_put64(fuzz, quadword(step->b), step->d);
}

void fuzz_step_store_later(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        fuzz->stores[step->c % FUZZ_STORES_MAX] = (struct fuzz_store){
                .after = 1 + step->a % 64u, .gpa = quadword(step->b), .value = step->d};
}

static const uint16_t offsets[] = {
        VTD_REG_GCMD,      VTD_REG_RTADDR,    VTD_REG_RTADDR + 4, VTD_REG_IQA,    VTD_REG_IQA + 4,
        VTD_REG_IQT,       VTD_REG_FSTS,      VTD_REG_FECTL,      VTD_REG_FEDATA, VTD_REG_FEADDR,
        VTD_REG_FEUADDR,   VTD_REG_ICS,       VTD_REG_IECTL,      VTD_REG_IEDATA, VTD_REG_IEADDR,
        VTD_REG_FRCD + 12, VTD_REG_FRCD + 28, VTD_REG_CCMD,       VTD_REG_IOTLB,  VTD_REG_IQERCD,
        VTD_REG_IEUADDR,   VTD_REG_IRTA,      VTD_REG_IRTA + 4,
};

/* A register that means something, aligned to the access; or any offset and size. */
static uint64_t choose_access(const struct fuzz_step *step, unsigned *size)
{
        if (step->a >= 0xe0) {
                *size = step->b % 17u;
                return step->a >= 0xf0 ? step->c : step->c % VTD_FRONTEND_REGISTER_PAGE_SIZE;
        }
        *size = step->b & 1 ? 8 : 4;
        return offsets[step->a % VTD_ARRAY_SIZE(offsets)] & ~(uint64_t)(*size - 1);
}

void fuzz_step_write(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        unsigned size;
        uint64_t offset = choose_access(step, &size);

        fuzz_write(fuzz, offset, size, step->d);
}

void fuzz_step_read(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        unsigned size;
        uint64_t offset = choose_access(step, &size);
        uint64_t value = vtd_frontend_read(fuzz->unit, offset, size);

        if (size != 4 && size != 8)
                FUZZ_REQUIRE(value == 0);
        if (size == 8)
                FUZZ_REQUIRE((uint32_t)value == vtd_frontend_read(fuzz->unit, offset, 4));
}

void fuzz_step_command(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        static const struct {
                uint32_t set, clear;
        } commands[] = {
                {VTD_GCMD_SRTP, 0}, {VTD_GCMD_TE, 0},  {VTD_GCMD_QIE, 0},
                {0, VTD_GCMD_TE},   {0, VTD_GCMD_QIE}, {VTD_GCMD_SRTP | VTD_GCMD_TE, 0},
        };
        size_t which = step->a % VTD_ARRAY_SIZE(commands);

        if (commands[which].set & VTD_GCMD_SRTP)
                fuzz_write(fuzz, VTD_REG_RTADDR, 8,
                           step->b & 1 ? step->d : FUZZ_ROOT_TABLE | 0x400);
        if (commands[which].set & VTD_GCMD_QIE) {
                fuzz_write(fuzz, VTD_REG_IQA, 8,
                           step->b & 1 ? step->d : FUZZ_QUEUE | 0x801 | (step->d & 2));
                fuzz_write(fuzz, VTD_REG_IQT, 4, 0);
                fuzz->tail = 0;
        }
        fuzz_command(fuzz, commands[which].set, commands[which].clear);
}

/* What a device has beside BARs. */
static int use_device_plane(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        struct vtd_frontend_device_info info;
        uint16_t rid = fuzz_rid(step->a);
        enum vtd_frontend_interrupt_kind kind = step->b >> 8 & 3;
        uint32_t value;

        switch (step->c >> 4 & 7) {
        case 0:
                return vtd_frontend_get_device_info(fuzz->unit, rid, &info);
        case 1:
                return vtd_frontend_config_read(fuzz->unit, rid, (unsigned)step->d, step->b % 6u,
                                                &value);
        case 2:
                return vtd_frontend_config_write(fuzz->unit, rid, (unsigned)step->d, step->b % 6u,
                                                 (uint32_t)(step->d >> 32));
        case 3:
                return vtd_frontend_set_interrupt(fuzz->unit, rid, kind, (unsigned)step->d,
                                                  step->b & 1 ? STDIN_FILENO : -1);
        case 4:
                return vtd_frontend_clear_interrupts(fuzz->unit, rid, kind);
        default:
                return vtd_frontend_reset_device(fuzz->unit, rid);
        }
}

/* Not while a guest operation is under way: then each says so, and has asked nothing. */
static void access_device(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        uint16_t rid = fuzz_rid(step->a);
        uint64_t value = 0;
        int r;

        if (step->c & 8)
                r = use_device_plane(fuzz, step);
        else if (step->c & 1)
                r = vtd_frontend_region_read(fuzz->unit, rid, step->c & 7, step->d, step->b % 9u,
                                             &value);
        else
                r = vtd_frontend_region_write(fuzz->unit, rid, step->c & 7, step->d, step->b % 9u,
                                              step->d);
        FUZZ_REQUIRE(r <= VTD_FRONTEND_BUSY);
}

static void reset(struct fuzz_unit *fuzz)
{
        vtd_frontend_reset(fuzz->unit);
        /* A guest that starts over trusts no translation, and nothing of its queue is left. */
        fuzz->demands_count = 0;
        fuzz->fetched = false;
        fuzz->command = 0;
        fuzz->tail = 0;
}

static void ask_for_bindings(const struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        enum vtd_frontend_binding binding;
        uint16_t rid = fuzz_rid(step->a);
        unsigned bits;
        int r = vtd_frontend_get_binding(fuzz->unit, rid, &binding);

        FUZZ_REQUIRE(vtd_frontend_get_pasid_bits(fuzz->unit, rid, &bits) == r);
        if (r == 0)
                FUZZ_REQUIRE(bits == 0 || bits == fuzz->config.pasid_bits);
        FUZZ_REQUIRE(vtd_frontend_get_pasid_binding(fuzz->unit, rid, step->c & 0xfffff, &binding) ==
                     r);
        if (r == 0)
                FUZZ_REQUIRE(binding >= VTD_FRONTEND_BINDING_BLOCKED &&
                             binding <= VTD_FRONTEND_BINDING_FIRST_STAGE);
}

void fuzz_step_vmm(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        uint16_t rid = fuzz_rid(step->a);
        uint64_t mapping;

        switch (step->b % 16u) {
        case 0:
                reset(fuzz);
                break;
        case 1:
        case 2:
        case 3:
                (void)vtd_frontend_unplug(fuzz->unit, rid);
                break;
        case 4:
                access_device(fuzz, step);
                break;
        case 5:
                (void)vtd_frontend_map(fuzz->unit, step->d, step->c, 0, 0, &mapping);
                (void)vtd_frontend_unmap(fuzz->unit, 0x33);
                break;
        case 6:
                ask_for_bindings(fuzz, step);
                break;
        case 7:
                fuzz->broker->pasid_bits = step->d & 1 ? 0 : 20;
                break;
        default:
                (void)vtd_frontend_plug(fuzz->unit, "nic0", rid);
        }
}

void fuzz_step_broker(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        struct fuzz_broker *broker = fuzz->broker;

        switch (step->a % 16u) {
        case 0:
                broker->lost = step->b % 8u == 0;
                break;
        case 1:
                broker->no_table = step->b % 8u == 0;
                break;
        case 2:
        case 3:
        case 4:
                broker->hold = true;
                break;
        case 5:
        case 6:
        case 7:
        case 8:
                broker->hold = false;
                broker->refused = 0;
                break;
        default:
                broker->refused = step->c & 1 ? VTD_REQUEST_ATTACH : VTD_REQUEST_INVALIDATE;
                if ((step->c & 0x1e) == 0x1e)
                        broker->refused = VTD_REQUEST_PLUG_DEVICE + (step->c >> 8) % 2;
                broker->reason = 1 + step->b % (VTD_REASON_END - 1);
                broker->keep_refusing = step->c & 0x20;
        }
}

void fuzz_step_descriptor(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        bool wide = fuzz->unit->engine.queue.descriptor_size != 16;
        uint64_t domain = (uint64_t)(step->c & 3) << 16, pasid = (uint64_t)(step->c >> 2 & 0xff)
                                                                 << 32;
        uint64_t rid = (uint64_t)fuzz_rid(step->c) << 32;
        const uint64_t templates[][2] = {
                {0x11, 0},
                {0x21 | domain, 0},
                {0x31 | domain | rid | (uint64_t)(step->c >> 10 & 3) << 48, 0},
                {0x12, 0},
                {0x22 | domain, 0},
                {0x32 | domain, (step->d & ~UINT64_C(0xfff)) | (step->c >> 10) % 19u},
                {0x3 | rid, step->d & ~UINT64_C(0xffe)},
                {0x4, 0},
                {0x25 | (uint64_t)step->c << 32, FUZZ_STATUS + (step->c & 0xffc)},
                {0x35 | (uint64_t)step->c << 32, FUZZ_STATUS},
                {0x15, 0},
                {0x25, step->d & ~UINT64_C(3)},
                {0x26 | domain | pasid, 0},
                {0x36 | domain | pasid, (step->d & UINT64_C(0xfffffffff000)) |
                                                (step->c >> 10 & 0xf) | (step->c >> 8 & 0x40)},
                {0x36 | domain | pasid, step->d & ~UINT64_C(0xf80)},
                {0x07 | domain, 0},
                {0x17 | domain | pasid, 0},
                {0x37, 0},
                {0x8 | rid >> 16 | pasid, step->d & ~UINT64_C(0x7fe)},
                {0x9 | pasid, step->d & 0xffc},
                {step->d, step->c},
        };
        const uint64_t *template = templates[step->a % VTD_ARRAY_SIZE(templates)];
        uint64_t words[4] = {template[0], template[1]};
        size_t size = wide ? 32 : 16;

        if (step->b & 0x8000)
                words[step->b >> 6 & 3] ^= UINT64_C(1) << (step->b & 63);
        for (size_t i = 0; i < size / 8; i++)
                fuzz_put64(fuzz, FUZZ_QUEUE + fuzz->tail + i * 8, words[i]);
        fuzz->tail = (uint32_t)((fuzz->tail + size) % (2 * VTD_PAGE_SIZE));
        if (!(step->b & 0x4000))
                fuzz_write(fuzz, VTD_REG_IQT, 4, fuzz->tail);
}

/* Where the parts of a walk are, and what they hold: one bit of one of them may be flipped. */
void fuzz_step_entry(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        static const uint8_t types[] = {1, 1, 1, 4, 0, 1, 2, 3};
        /* Of second-stage and nested entries: SSADE, root and width, mostly 48 bits. */
        uint64_t second_stage = (FUZZ_PAGING + (step->d >> 32 & 7) * VTD_PAGE_SIZE) |
                                (step->d >> 35 & 3 ? 2 : step->d >> 37 & 7) << 2 |
                                (step->d >> 40 & 1) << 9;
        unsigned device = step->a % FUZZ_DEVICES;
        uint32_t pasid = step->c & (step->c & 0x80000000 ? 0xfffff : 0x1ff);
        uint64_t table = FUZZ_TABLES + (device + (pasid >> 6)) % FUZZ_TABLES_COUNT * VTD_PAGE_SIZE;
        uint64_t type = types[step->b & 7];
        uint64_t directory = fuzz_directory_gpa(device);
        uint64_t rid_pasid = step->b & 0x100 ? pasid : 0;
        uint64_t first_stage = FUZZ_FIRST_STAGE + (step->d & 3) * VTD_PAGE_SIZE;
        /* SRE, FSPM, WPE, EAFE: now and then what was not offered. */
        uint64_t attributes = step->b & 0x200 ? step->d >> 24 & 0x97 : 0;
        const struct {
                uint64_t gpa, value;
        } parts[] = {
                {FUZZ_ROOT_TABLE + (uint64_t)(fuzz_rid(device) >> 8) * 16, FUZZ_CONTEXT_LOWER | 1},
                {FUZZ_ROOT_TABLE + (uint64_t)(fuzz_rid(device) >> 8) * 16 + 8,
                 FUZZ_CONTEXT_UPPER | 1},
                {fuzz_context_gpa(device) + 8, rid_pasid},
                {fuzz_context_gpa(device),
                 directory | (uint64_t)(step->b >> 3 & 7) << 9 | (step->b & 0x40 ? 0 : 8) | 1},
                {directory + (uint64_t)(pasid >> 6) * 8, table | 1},
                {table + (uint64_t)(pasid & 63) * 64 + 8, (step->d >> 2 & 3) | (step->d >> 41 & 1)
                                                                                       << 23},
                {table + (uint64_t)(pasid & 63) * 64 + 16, type & 1 ? first_stage | attributes : 0},
                {table + (uint64_t)(pasid & 63) * 64,
                 type == 0 ? 0 : (type & 2 ? second_stage : 2 << 2) | type << 6 | 1},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(parts); i++)
                fuzz_put64(fuzz, parts[i].gpa, parts[i].value);
        if (step->b & 0x8000) {
                uint64_t gpa = parts[step->d >> 8 & 7].gpa;

                fuzz_put64(fuzz, gpa, fuzz_get64(fuzz, gpa) ^ UINT64_C(1) << (step->d >> 16 & 63));
        }
}

void fuzz_step_spread(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        unsigned count = step->b % 128u;

        for (unsigned i = 0; i < count; i++) {
                unsigned table = (step->c + (step->d & 1) * i) % FUZZ_TABLES_COUNT;

                fuzz_put64(fuzz, fuzz_directory_gpa(step->a) + i * 8u,
                           (FUZZ_TABLES + table * VTD_PAGE_SIZE) | 1);
        }
}

void fuzz_step_fill(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        uint64_t table = FUZZ_TABLES + step->a % FUZZ_TABLES_COUNT * VTD_PAGE_SIZE;
        uint64_t type = step->c & 1 ? 0x49 : step->c & 2 ? 0x109 : 0;

        for (unsigned i = step->b & 63; i < 64 && i <= (step->b >> 6 & 63u); i++) {
                uint64_t root = (step->d + (step->d >> 4 & 1) * i) & (FUZZ_ROOTS - 1);

                fuzz_put64(fuzz, table + i * 64u + 8, step->c >> 2 & 3);
                fuzz_put64(fuzz, table + i * 64u + 16,
                           step->c & 1 ? FUZZ_FIRST_STAGE + root * VTD_PAGE_SIZE : 0);
                fuzz_put64(fuzz, table + i * 64u, type);
        }
}

void fuzz_begin_enabled(struct fuzz_unit *fuzz, const struct fuzz_step *scene)
{
        const struct fuzz_step entry = {.a = 0};

        (void)scene;
        (void)vtd_frontend_plug(fuzz->unit, "nic0", fuzz_rid(0));
        fuzz_step_entry(fuzz, &entry);
        fuzz_write(fuzz, VTD_REG_RTADDR, 8, FUZZ_ROOT_TABLE | 0x400);
        fuzz_command(fuzz, VTD_GCMD_SRTP, 0);
        fuzz_write(fuzz, VTD_REG_IQA, 8, FUZZ_QUEUE | 0x801);
        fuzz_command(fuzz, VTD_GCMD_QIE, 0);
        fuzz_command(fuzz, VTD_GCMD_TE, 0);
        fuzz_settle(fuzz, 16);
}
