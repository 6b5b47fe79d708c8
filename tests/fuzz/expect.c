/* SPDX-License-Identifier: MIT */
/* See expect.h. */
#include "tests/fuzz/expect.h"

#include "shared/checked.h"
#include "tests/fuzz/fuzz.h"

/* Runs that the guest waits for, each of so much; longer searches are not judged. */
#define RUNS   64u
#define BUDGET 1024u

static const struct fuzz_expected blocked = {.mode = VTD_ATTACH_BLOCKED};

/* Copies an entry of @count quadwords; false unless it is memory, present and below the limit. */
static bool load(const struct fuzz_unit *fuzz, uint64_t gpa, uint64_t *words, unsigned count)
{
        if (!vtd_range_within(gpa, count * 8u, FUZZ_MEMORY_SIZE))
                return false;
        for (unsigned i = 0; i < count; i++)
                words[i] = fuzz_get64(fuzz, gpa + i * 8u);
        return (words[0] & 1) && words[0] >> fuzz->config.host_address_bits == 0;
}

static uint64_t pointer(uint64_t word)
{
        return word & ~(VTD_PAGE_SIZE - 1);
}

/* The context entry; false when requests of @rid go no further. */
static bool load_context(const struct fuzz_unit *fuzz, uint16_t rid, uint64_t *context)
{
        uint64_t table = pointer(vtd_frontend_read(fuzz->unit, VTD_REG_RTADDR, 8));
        uint64_t root;

        if (!load(fuzz, table + (uint64_t)(rid >> 8) * 16 + (rid & 0x80 ? 8u : 0u), &root, 1) ||
            root & 0xffe)
                return false;
        /* DTE, PRE and 8:5 are never offered, and neither is what follows RID_PASID. */
        return load(fuzz, pointer(root) + (rid & 0x7f) * 32u, context, 4) &&
               !(context[0] & 0x1f4) && !(context[0] & 8 && fuzz->config.pasid_bits == 0) &&
               context[1] >> 20 == 0 && context[2] == 0 && context[3] == 0;
}

static bool load_table(const struct fuzz_unit *fuzz, const uint64_t *context, uint32_t pasid,
                       uint64_t *table)
{
        uint64_t entry;

        if (pasid >> ((context[0] >> 9 & 7) + 13) != 0 ||
            !load(fuzz, pointer(context[0]) + (pasid >> 6) * 8u, &entry, 1) || entry & 0xffc)
                return false;
        *table = pointer(entry);
        return true;
}

/* Whether reserved bits of a PASID-table entry are set, those of what is not offered included. */
static bool is_reserved(const struct vtd_frontend_config *config, const uint64_t *entry)
{
        uint64_t allowed[3] = {
                pointer(UINT64_MAX) | 0x1df | (config->second_stage_dirty ? 0x200 : 0),
                0x80ffff | (config->snoop_control ? 0x1000000 : 0),
                0x60 | (config->first_stage ? pointer(UINT64_MAX) | 0xc : 0) |
                        (config->supervisor_requests ? 0x11 : 0) |
                        (config->extended_accessed ? 0x80 : 0),
        };

        for (unsigned i = 0; i < 8; i++)
                if (entry[i] & ~(i < 3 ? allowed[i] : 0))
                        return true;
        return entry[2] >> config->host_address_bits != 0;
}

/* Second-stage and nested entries are for emulated devices. */
static struct fuzz_expected judge(const struct vtd_frontend_config *config, const uint64_t *entry)
{
        unsigned type = entry[0] >> 6 & 7, mode = entry[2] >> 2 & 3;

        if (type == 4)
                return (struct fuzz_expected){.mode = VTD_ATTACH_PASSTHROUGH};
        if (type != 1 || !config->first_stage || mode > 1 ||
            (mode == 1 && !config->first_stage_5level))
                return blocked;
        return (struct fuzz_expected){
                .mode = VTD_ATTACH_FIRST_STAGE,
                .root = pointer(entry[2]),
                .address_width = mode == 1 ? 57 : 48,
                .flags = (entry[2] & 0x1 ? VTD_FIRST_STAGE_SRE : 0) |
                         (entry[2] & 0x80 ? VTD_FIRST_STAGE_EAFE : 0) |
                         (entry[2] & 0x10 ? VTD_FIRST_STAGE_WPE : 0),
        };
}

bool fuzz_find_entry(const struct fuzz_unit *fuzz, uint16_t rid, bool with_pasid, uint32_t pasid,
                     uint64_t *entry)
{
        uint64_t context[4], table;

        if ((vtd_frontend_read(fuzz->unit, VTD_REG_RTADDR, 8) >> 10 & 3) != 1 ||
            !load_context(fuzz, rid, context) || (with_pasid && !(context[0] & 8)))
                return false;
        if (!with_pasid)
                pasid = context[1] & 0xfffff;
        return load_table(fuzz, context, pasid, &table) &&
               load(fuzz, table + (pasid & 63) * 64u, entry, 8) &&
               !is_reserved(&fuzz->config, entry);
}

struct fuzz_expected fuzz_expect(const struct fuzz_unit *fuzz, uint16_t rid, bool with_pasid,
                                 uint32_t pasid)
{
        uint64_t entry[8];

        if (!(vtd_frontend_read(fuzz->unit, VTD_REG_GSTS, 4) & VTD_GCMD_TE)) {
                if (with_pasid || !(fuzz->broker->modes & 2))
                        return blocked;
                return (struct fuzz_expected){.mode = VTD_ATTACH_PASSTHROUGH};
        }
        if (!fuzz_find_entry(fuzz, rid, with_pasid, pasid, entry))
                return blocked;
        return judge(&fuzz->config, entry);
}

static void check_one(const struct fuzz_unit *fuzz, uint64_t device, uint32_t pasid,
                      const struct fuzz_expected *expected)
{
        const struct fuzz_attachment *attachment = fuzz_broker_find(fuzz->broker, device, pasid);

        if (!attachment) {
                FUZZ_REQUIRE(expected->mode == VTD_ATTACH_BLOCKED);
                return;
        }
        FUZZ_REQUIRE(attachment->mode == expected->mode);
        FUZZ_REQUIRE(attachment->root == expected->root);
        FUZZ_REQUIRE(attachment->address_width == expected->address_width);
        FUZZ_REQUIRE(attachment->flags == expected->flags);
}

/* How many PASIDs of a device are to be bound; with @check, each of them is. */
static size_t visit_pasids(const struct fuzz_unit *fuzz, const struct vtd_binding *device,
                           bool check)
{
        uint32_t limit = UINT32_C(1) << fuzz->config.pasid_bits;
        uint64_t context[4], table;
        size_t count = 0;

        if (!load_context(fuzz, device->rid, context))
                return 0;
        for (uint32_t pasid = 1; pasid < limit; pasid++) {
                struct fuzz_expected expected;

                if (!load_table(fuzz, context, pasid, &table)) {
                        pasid |= 63;
                        continue;
                }
                expected = fuzz_expect(fuzz, device->rid, true, pasid);
                count += expected.mode != VTD_ATTACH_BLOCKED;
                if (check)
                        check_one(fuzz, device->device, pasid, &expected);
        }
        return count;
}

static bool has_pasids(const struct fuzz_unit *fuzz, const struct vtd_binding *device)
{
        unsigned bits;

        FUZZ_REQUIRE(vtd_frontend_get_pasid_bits(fuzz->unit, device->rid, &bits) == 0);
        return bits > 0;
}

static void check_devices(const struct fuzz_unit *fuzz)
{
        const struct vtd_bindings *bindings = &fuzz->unit->engine.bindings;
        size_t pasids = 0, devices = 0;

        for (size_t i = 0; i < VTD_LIMIT_DEVICES && i < bindings->end; i++) {
                const struct vtd_binding *device = &bindings->slots[i];
                struct fuzz_expected expected;

                if (!device->used)
                        continue;
                expected = fuzz_expect(fuzz, device->rid, false, 0);
                check_one(fuzz, device->device, VTD_NO_PASID, &expected);
                devices += expected.mode != VTD_ATTACH_BLOCKED;
                if (has_pasids(fuzz, device))
                        pasids += visit_pasids(fuzz, device, false);
        }
        /* Which of them are bound when there is no room for all is not said. */
        if (pasids > fuzz->broker->pasids)
                return;
        for (size_t i = 0; i < VTD_LIMIT_DEVICES && i < bindings->end; i++)
                if (bindings->slots[i].used && has_pasids(fuzz, &bindings->slots[i]))
                        (void)visit_pasids(fuzz, &bindings->slots[i], true);
        FUZZ_REQUIRE(fuzz->broker->count == devices + pasids);
}

static bool is_idle(struct fuzz_unit *fuzz)
{
        int r = VTD_FRONTEND_PENDING;

        for (unsigned i = 0; i < RUNS && r == VTD_FRONTEND_PENDING; i++)
                r = fuzz_run(fuzz, BUDGET);
        FUZZ_REQUIRE(r != VTD_FRONTEND_WAITING);
        return r == VTD_FRONTEND_IDLE;
}

void fuzz_check_outcome(struct fuzz_unit *fuzz)
{
        for (unsigned i = 0; i < FUZZ_STORES_MAX; i++)
                fuzz->stores[i].after = 0;
        fuzz->broker->hold = false;
        fuzz->broker->refused = 0;
        fuzz->broker->no_table = false;
        /* The queue would go on writing status words, into its tables perhaps. */
        fuzz_command(fuzz, 0, VTD_GCMD_QIE);
        if (!is_idle(fuzz))
                return;
        fuzz_command(fuzz, VTD_GCMD_SRTP, 0);
        if (!is_idle(fuzz))
                return;
        check_devices(fuzz);
}
