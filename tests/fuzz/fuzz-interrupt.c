/* SPDX-License-Identifier: MIT */
/*
 * Interrupt requests of any device, address and data, by interrupt remapping tables of any content in
 * any mode, that are switched and invalidated meanwhile.  What becomes of a request is held against a
 * second reading of the table; what the VMM is told of, against the descriptors (unit.h).
 */
#include "frontend/include/vtd/interrupt.h"
#include "frontend/interrupt.h"
#include "shared/checked.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/steps.h"

#define TABLE FUZZ_PAGING

/* What is in force; a guest learns of it from GSTS and by having latched the table. */
static uint64_t in_force(const struct fuzz_unit *fuzz)
{
        return fuzz->unit->engine.interrupts;
}

static bool is_source_right(uint64_t source, uint16_t rid)
{
        static const uint16_t masks[] = {0xffff, 0xfffb, 0xfff9, 0xfff8};

        switch (source >> 18 & 3) {
        case 0:
                return true;
        case 1:
                return ((source ^ rid) & masks[source >> 16 & 3]) == 0;
        case 2:
                return rid >> 8 >= (source >> 8 & 0xff) && rid >> 8 <= (source & 0xff);
        default:
                return false;
        }
}

/* The entry of a request in remappable format; false when there is none for it. */
static bool find_entry(const struct fuzz_unit *fuzz, uint64_t mode, uint64_t address, uint32_t data,
                       uint64_t *entry)
{
        uint64_t index = (address >> 5 & 0x7fff) | (address >> 2 & 1) << 15, gpa;

        if (address & 8)
                index += data & 0xffff;
        if (data >> 16 != 0 || index >> ((mode & 0xf) + 1) != 0)
                return false;
        if (!vtd_add_u64(mode & ~UINT64_C(0xfff), index * 16, &gpa) ||
            gpa >> fuzz->config.host_address_bits != 0 ||
            !vtd_range_within(gpa, 16, FUZZ_MEMORY_SIZE))
                return false;
        entry[0] = fuzz_get64(fuzz, gpa);
        entry[1] = fuzz_get64(fuzz, gpa + 8);
        return true;
}

/* What becomes of a request; false: it is blocked. */
static bool expect(const struct fuzz_unit *fuzz, uint16_t rid, uint64_t address, uint32_t data,
                   struct vtd_frontend_message *message)
{
        uint64_t mode = in_force(fuzz), entry[2], target;
        bool extended = mode & 0x800;

        *message = (struct vtd_frontend_message){address, data};
        if (!(mode & VTD_INTERRUPTS_REMAPPED))
                return true;
        if (address >> 20 != 0xfee)
                return false;
        if (!(address & 0x10))
                return (mode & VTD_INTERRUPTS_COMPATIBILITY) && !extended;
        if (!find_entry(fuzz, mode, address, data, entry) || !(entry[0] & 1))
                return false;
        /* Posted format, what follows the vector, and what no xAPIC id has. */
        if (entry[0] & (extended ? 0xff00f000 : UINT64_C(0xffff00ffff00f000)) ||
            entry[1] >> 20 != 0 || !is_source_right(entry[1], rid))
                return false;
        target = extended ? entry[0] >> 32 : entry[0] >> 40 & 0xff;
        message->address = 0xfee00000 | (target & 0xff) << 12 | (entry[0] & 0x8) |
                           (entry[0] & 0x4) | target >> 8 << 40;
        message->data = (uint32_t)((entry[0] >> 16 & 0xff) | (entry[0] >> 5 & 7) << 8 | 0x4000 |
                                   (entry[0] & 0x10) << 11);
        return true;
}

static void request(struct fuzz_unit *fuzz, uint16_t rid, uint64_t address, uint32_t data)
{
        struct vtd_frontend_message expected, message;
        size_t reads = fuzz->reads; /* of the run that this may be inside of */
        bool passes = expect(fuzz, rid, address, data, &expected);
        int r;

        fuzz->reads = 0;
        fuzz->translating = true;
        r = vtd_frontend_remap_interrupt(fuzz->unit, rid, address, data, &message);
        fuzz->translating = false;
        FUZZ_REQUIRE(fuzz->reads <= 1);
        fuzz->reads = reads;
        FUZZ_REQUIRE(r == (passes ? 0 : VTD_FRONTEND_BLOCKED));
        if (r != 0)
                return;
        FUZZ_REQUIRE(message.address == expected.address && message.data == expected.data);
}

/* A request for an entry near the first, or any. */
static void step_request(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        uint64_t index = step->b & 0x1ff;
        uint64_t address = 0xfee00010 | (index & 0x7fff) << 5 | (step->c >> 16 & 0xc);

        if (step->b & 0x8000)
                address = step->d;
        request(fuzz, fuzz_rid(step->a) ^ (step->a >> 5), address,
                step->c & (step->b & 0x4000 ? UINT32_MAX : 0x1f));
}

/* An entry as a driver writes it, with a bit flipped now and then. */
static void step_entry(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        uint64_t gpa = TABLE + (step->b & 0x1ff) * 16u;
        uint64_t low = 1 | (step->d & UINT64_C(0xffffffff00ff0ffe));
        uint64_t high = fuzz_rid(step->a) | (uint64_t)(step->c & 0xf) << 16;

        if (!(step->c & 0x10))
                low &= UINT64_C(0x0000ff0000ff0ffd);
        if (step->c & 0x20)
                low ^= UINT64_C(1) << (step->c >> 6 & 63);
        if (step->c & 0x1000)
                high ^= UINT64_C(1) << (step->c >> 13 & 63);
        fuzz_put64(fuzz, gpa, low);
        fuzz_put64(fuzz, gpa + 8, high);
}

static void step_mode(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        static const struct {
                uint32_t set, clear;
        } commands[] = {
                {VTD_GCMD_SIRTP, 0}, {VTD_GCMD_IRE, 0}, {VTD_GCMD_CFI, 0},
                {0, VTD_GCMD_IRE},   {0, VTD_GCMD_CFI}, {VTD_GCMD_SIRTP | VTD_GCMD_IRE, 0},
        };
        size_t which = step->a % VTD_ARRAY_SIZE(commands);

        if (commands[which].set & VTD_GCMD_SIRTP)
                fuzz_write(fuzz, VTD_REG_IRTA, 8,
                           step->b & 1 ? step->d : TABLE | (step->d & 0x80f));
        fuzz_command(fuzz, commands[which].set, commands[which].clear);
        if (step->b & 2)
                fuzz_settle(fuzz, 4);
}

static void step_invalidate(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        uint64_t selective = step->b & 1 ? 0x10 | (step->d & UINT64_C(0xfffff8000000)) : 0;
        const uint64_t words[2] = {0x4 | selective, 0};
        const uint64_t wait[2] = {0x25 | step->d << 32, FUZZ_STATUS};
        size_t size = fuzz->unit->engine.queue.descriptor_size != 16 ? 32 : 16;

        for (unsigned n = 0; n < 2; n++) {
                for (unsigned i = 0; i < size / 8; i++)
                        fuzz_put64(fuzz, FUZZ_QUEUE + fuzz->tail + i * 8u,
                                   i > 1    ? 0
                                   : n == 0 ? words[i]
                                            : wait[i]);
                fuzz->tail = (uint32_t)((fuzz->tail + size) % (2 * VTD_PAGE_SIZE));
        }
        fuzz_write(fuzz, VTD_REG_IQT, 4, fuzz->tail);
        if (step->b & 2)
                fuzz_settle(fuzz, 4);
}

/* A VMM that asks again at once, as it may. */
static void changed(void *opaque, uint32_t first, uint32_t count)
{
        struct fuzz_unit *fuzz = opaque;

        fuzz_interrupts_changed(fuzz, first, count);
        request(fuzz, fuzz_rid(count), 0xfee00010 | (first & 0x7fff) << 5, 0);
}

static void step_watch(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        fuzz->interrupts_watched = step->a & 1;
        fuzz->interrupts_count = 0;
        vtd_frontend_watch_interrupts(fuzz->unit, fuzz->interrupts_watched ? changed : NULL, fuzz);
}

static const fuzz_operation operations[] = {
        step_request,  step_request,    step_request,    step_entry,           step_entry,
        step_mode,     step_mode,       step_invalidate, step_watch,           fuzz_step_run,
        fuzz_step_run, fuzz_step_store, fuzz_step_write, fuzz_step_descriptor, fuzz_step_command,
        fuzz_step_vmm,
};

static void begin(struct fuzz_unit *fuzz, const struct fuzz_step *scene)
{
        fuzz_begin_enabled(fuzz, scene);
        fuzz_write(fuzz, VTD_REG_IRTA, 8, TABLE | 0x8);
        fuzz_command(fuzz, VTD_GCMD_SIRTP, 0);
        fuzz_command(fuzz, VTD_GCMD_IRE, 0);
        fuzz_settle(fuzz, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fuzz_unit_play(data, size, begin, operations, VTD_ARRAY_SIZE(operations));
        return 0;
}
