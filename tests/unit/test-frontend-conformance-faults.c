/* SPDX-License-Identifier: MIT */
/*
 * What blocks a request, with which reason, and what the driver sees of it: the same cases that were
 * measured of QEMU's unit, one by one.  Where that gives a legacy reason in scalable mode, or checks
 * nothing, the architecture's reason is expected; "there:" names what QEMU does.
 *
 * Left out, because this unit has no legacy mode: the cases of legacy root, context and second-stage
 * tables.
 */
#include "tests/unit/conformance-machine.h"

#include <string.h>

/* How the unit or the request differs. */
enum variant {
        NORMAL,
        NO_FIRST_STAGE,
        NO_SECOND_STAGE,
        NO_NESTING,
        READING,
        WITH_PASID,
        PRIVILEGED, /* with PASID, of a unit that offers supervisor requests */
};

struct block {
        unsigned type;  /* of the tables, which are good but for ... */
        uint64_t place; /* ... these bits of the word there: */
        uint64_t clear, set;
        unsigned reason; /* 0: not blocked */
        enum variant variant;
        uint64_t address; /* 0: ADDRESS */
};

#define ALL UINT64_MAX

#define SST SECOND_STAGE
#define FST FIRST_STAGE

static const struct {
        const char *name;
        struct block block;
} blocks[] = {
        {"nothing wrong, second stage", {SST, LEVEL_1, 0, 0, 0, NORMAL, 0}},
        {"nothing wrong, first stage", {FST, LEVEL_1, 0, 0, 0, NORMAL, 0}},
        /* There: the legacy reasons 1h, Ah, 2h and Bh. */
        {"root entry not present", {SST, ROOT_TABLE, ALL, 0, 0x39, NORMAL, 0}},
        {"root entry, bit 1", {SST, ROOT_TABLE, 0, BIT(1), 0x3a, NORMAL, 0}},
        {"root entry, wide address", {SST, ROOT_TABLE, 0, BIT(40), 0x3a, NORMAL, 0}},
        /* There: blocked. */
        {"root entry, the other half", {SST, ROOT_TABLE + 8, 0, BIT(1), 0, NORMAL, 0}},
        {"context entry not present", {SST, CONTEXT, ALL, 0, 0x41, NORMAL, 0}},
        {"context entry, bit 5", {SST, CONTEXT, 0, BIT(5), 0x42, NORMAL, 0}},
        {"context entry, third word", {SST, CONTEXT + 16, 0, BIT(0), 0x42, NORMAL, 0}},
        {"context table outside memory", {SST, ROOT_TABLE, 0, BIT(39), 0x40, NORMAL, 0}},
        /* There: allowed. */
        {"context entry, DTE", {SST, CONTEXT, 0, BIT(2), 0x42, NORMAL, 0}},
        {"context entry, RID_PASID too large", {SST, CONTEXT + 8, 0, 0x2000, 0x48, NORMAL, 0}},
        {"context entry, no PASIDE", {SST, CONTEXT, BIT(3), 0, 0x45, WITH_PASID, 0}},
        {"context entry, no PASIDE, no PASID", {SST, CONTEXT, BIT(3), 0, 0, NORMAL, 0}},
        {"directory entry not present", {SST, DIRECTORY, ALL, 0, 0x51, NORMAL, 0}},
        {"directory outside memory", {SST, CONTEXT, 0, BIT(39), 0x50, NORMAL, 0}},
        /* There: allowed. */
        {"directory entry, bit 2", {SST, DIRECTORY, 0, BIT(2), 0x52, NORMAL, 0}},
        /* There: 5Bh. */
        {"PASID-table entry not present", {SST, PASID_ENTRY, BIT(0), 0, 0x59, NORMAL, 0}},
        {"PASID table outside memory", {SST, DIRECTORY, 0, BIT(39), 0x58, NORMAL, 0}},
        {"PASID-table entry, PGTT 0", {SST, PASID_ENTRY, 7 << 6, 0, 0x5b, NORMAL, 0}},
        {"PASID-table entry, PGTT 5", {SST, PASID_ENTRY, 7 << 6, 5 << 6, 0x5b, NORMAL, 0}},
        {"PASID-table entry, nested without NEST",
         {SST, PASID_ENTRY, 7 << 6, 3 << 6, 0x5b, NO_NESTING, 0}},
        {"PASID-table entry, first stage without FSTS",
         {SST, PASID_ENTRY, 7 << 6, 1 << 6, 0x5b, NO_FIRST_STAGE, 0}},
        {"PASID-table entry, second stage without SSTS",
         {FST, PASID_ENTRY, 7 << 6, 2 << 6, 0x5b, NO_SECOND_STAGE, 0}},
        {"PASID-table entry, AW 0", {SST, PASID_ENTRY, 7 << 2, 0, 0x5b, NORMAL, 0}},
        {"PASID-table entry, AW 3", {SST, PASID_ENTRY, 7 << 2, 3 << 2, 0x5b, NORMAL, 0}},
        {"PASID-table entry, AW 0, first stage", {FST, PASID_ENTRY, 7 << 2, 0, 0, NORMAL, 0}},
        {"PASID-table entry, five levels", {FST, PASID_ENTRY + 16, 0, BIT(2), 0x5b, NORMAL, 0}},
        /* There: allowed. */
        {"PASID-table entry, fourth word", {FST, PASID_ENTRY + 24, 0, BIT(0), 0x5a, NORMAL, 0}},
        {"PASID-table entry, SRE", {FST, PASID_ENTRY + 16, 0, BIT(0), 0x5a, NORMAL, 0}},
        /* There: the legacy reasons 5h, 6h, Ch and 4h. */
        {"second-stage page absent", {SST, LEVEL_1, ALL, 0, 0x79, NORMAL, 0}},
        {"second-stage table absent", {SST, LEVEL_3, ALL, 0, 0x79, NORMAL, 0}},
        {"second-stage page, no W", {SST, LEVEL_1, BIT(1), 0, 0x85, NORMAL, 0}},
        {"second-stage table, no W", {SST, LEVEL_4, BIT(1), 0, 0x85, NORMAL, 0}},
        {"second-stage page, no R, write", {SST, LEVEL_1, BIT(0), 0, 0, NORMAL, 0}},
        {"second-stage page, no R, read", {SST, LEVEL_1, BIT(0), 0, 0x86, READING, 0}},
        {"second-stage page, bit 51", {SST, LEVEL_1, 0, BIT(51), 0x7a, NORMAL, 0}},
        {"second-stage table, bit 51", {SST, LEVEL_2, 0, BIT(51), 0x7a, NORMAL, 0}},
        {"second-stage address too wide", {SST, LEVEL_1, 0, 0, 0x84, NORMAL, BIT(48)}},
        {"second-stage root outside memory", {SST, PASID_ENTRY, 0, BIT(39), 0x7b, NORMAL, 0}},
        {"second-stage table outside memory", {SST, LEVEL_4, 0, BIT(39), 0x78, NORMAL, 0}},
        {"first-stage page absent", {FST, LEVEL_1, BIT(0), 0, 0x71, NORMAL, 0}},
        {"first-stage page, no R/W", {FST, LEVEL_1, BIT(1), 0, 0x85, NORMAL, 0}},
        {"first-stage page, no R/W, read", {FST, LEVEL_1, BIT(1), 0, 0, READING, 0}},
        {"first-stage page, no U/S", {FST, LEVEL_1, BIT(2), 0, 0x81, NORMAL, 0}},
        {"first-stage level 2, no U/S", {FST, LEVEL_2, BIT(2), 0, 0x81, NORMAL, 0}},
        {"first-stage level 3, no U/S", {FST, LEVEL_3, BIT(2), 0, 0x81, NORMAL, 0}},
        {"first-stage level 4, no U/S", {FST, LEVEL_4, BIT(2), 0, 0x81, NORMAL, 0}},
        {"first-stage page, bit 51", {FST, LEVEL_1, 0, BIT(51), 0x72, NORMAL, 0}},
        {"first-stage address not canonical", {FST, LEVEL_1, 0, 0, 0x80, NORMAL, BIT(47)}},
        {"first-stage page in the interrupt range",
         {FST, LEVEL_1, TARGET, UINT64_C(0xfee45000), 0x87, NORMAL, 0}},
        {"second-stage page in the interrupt range",
         {SST, LEVEL_1, TARGET, UINT64_C(0xfee45000), 0x87, NORMAL, 0}},
        {"first-stage root outside memory", {FST, PASID_ENTRY + 16, 0, BIT(39), 0x73, NORMAL, 0}},
        {"first-stage table outside memory", {FST, LEVEL_4, 0, BIT(39), 0x70, NORMAL, 0}},
        /* There: allowed. */
        {"first-stage large page, low address bits", {FST, LEVEL_2, 0, BIT(7), 0x72, NORMAL, 0}},
        {"pass-through, address too wide", {PASS_THROUGH, LEVEL_1, 0, 0, 0x83, NORMAL, BIT(40)}},
        {"privileged, no SRE, first stage", {FST, LEVEL_1, 0, 0, 0x5d, PRIVILEGED, 0}},
        {"privileged, no SRE, second stage", {SST, LEVEL_1, 0, 0, 0x5d, PRIVILEGED, 0}},
        {"privileged, no SRE, pass-through", {PASS_THROUGH, LEVEL_1, 0, 0, 0x5d, PRIVILEGED, 0}},
        {"privileged, SRE", {FST, PASID_ENTRY + 16, 0, BIT(0), 0, PRIVILEGED, 0}},
        {"privileged, SRE, second stage", {SST, PASID_ENTRY + 16, 0, BIT(0), 0, PRIVILEGED, 0}},
        {"privileged, SRE and WPE, all R/W",
         {FST, PASID_ENTRY + 16, 0, BIT(0) | BIT(4), 0, PRIVILEGED, 0}},
        {"quick check: pass-through, interrupt range, PASID",
         {PASS_THROUGH, LEVEL_1, 0, 0, 0x87, WITH_PASID, UINT64_C(0xfee00000)}},
};

static void apply_variant(struct machine *m, enum variant variant)
{
        struct vtd_frontend_config config = machine_config();

        config.first_stage = variant != NO_FIRST_STAGE;
        config.first_stage_1gib = config.first_stage;
        config.supervisor_requests = variant == PRIVILEGED;
        config.nested = variant < NO_FIRST_STAGE || variant > NO_NESTING;
        if (variant == NO_SECOND_STAGE)
                config.second_stage_widths = 0;
        machine_configure(m, &config);
        m->with_pasid = variant == WITH_PASID || variant == PRIVILEGED;
        m->privileged = variant == PRIVILEGED;
}

static void check_record(struct machine *m, const struct block *block, uint64_t address)
{
        uint64_t low = reg64(m, record_offset(m)), high = reg64(m, record_offset(m) + 8);

        assert_int_equal(fault_reason(m), block->reason);
        assert_int_equal(low, address & ~UINT64_C(0xfff));
        assert_int_equal((high >> 31) & 1, m->with_pasid);             /* PP */
        assert_int_equal((high >> 40) & 0xfffff, 0);                   /* PV */
        assert_int_equal((high >> 60) & 3, 0);                         /* AT */
        assert_int_equal((high >> 62) & 1, block->variant == READING); /* T1 */
        assert_int_equal((high >> 29) & 1, m->privileged);             /* PRIV */
        assert_int_equal(high & UINT64_C(0x5fff0000), 0);              /* EXE, T2 */
        assert_int_equal(reg32(m, REG_FSTS), FSTS_PPF);
        assert_int_equal(m->messages, 1);
        assert_int_equal(m->message_address, 0xfee00000);
        assert_int_equal(m->message_data, 0x41);
}

static void test_block(void **state)
{
        struct machine *m = *state;
        const struct block *block = m->parameter;
        uint64_t address = block->address ? block->address : ADDRESS;
        uint32_t data = 0;
        int r;

        apply_variant(m, block->variant);
        put_tables(m, block->type);
        put64(m, block->place, (get64(m, block->place) & ~block->clear) | block->set);
        enable(m);
        r = block->variant == READING ? device_read(m, address, &data, sizeof(data))
                                      : device_write(m, address, &data, sizeof(data));
        assert_int_equal(r, block->reason ? VTD_FRONTEND_FAULTED : 0);
        if (block->reason)
                check_record(m, block, address);
        else
                assert_int_equal(fault_reason(m), 0);
}

/* Written to and read from: what the walk leaves in the entries. */
static void test_accessed_and_dirty(void **state)
{
        static const uint64_t entries[] = {LEVEL_4, LEVEL_3, LEVEL_2, LEVEL_1};
        struct machine *m = *state;
        uint32_t data = 0;

        put_tables(m, FIRST_STAGE);
        for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
                put64(m, entries[i], (get64(m, entries[i]) & ~UINT64_C(0xfff)) | 0x7);
        enable(m);
        assert_int_equal(device_read(m, ADDRESS, &data, sizeof(data)), 0);
        for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
                assert_int_equal(get64(m, entries[i]) & 0xfff, 0x27);
        /* The first write sets D, although the read has left a translation to be used again. */
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        assert_int_equal(get64(m, LEVEL_1) & 0xfff, 0x67);
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(get64(m, entries[i]) & 0xfff, 0x27);
}

/* The same of second-stage entries, where SSADE asks for it. */
static void test_accessed_and_dirty_of_the_second_stage(void **state)
{
        static const uint64_t entries[] = {LEVEL_4, LEVEL_3, LEVEL_2, LEVEL_1};
        struct vtd_frontend_config config = machine_config();
        struct machine *m = *state;
        uint32_t data = 0;

        config.second_stage_dirty = true;
        machine_configure(m, &config);
        put_tables(m, SECOND_STAGE);
        enable(m);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
                assert_int_equal(get64(m, entries[i]) & 0xfff, 0x3);
        put64(m, PASID_ENTRY, get64(m, PASID_ENTRY) | BIT(9));
        queue_only(m, PC_PASID(DOMAIN, 0));
        invalidate(m, IOTLB_DOMAIN(DOMAIN));
        assert_int_equal(device_read(m, ADDRESS, &data, sizeof(data)), 0);
        for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
                assert_int_equal(get64(m, entries[i]) & 0xfff, 0x103);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        assert_int_equal(get64(m, LEVEL_1) & 0xfff, 0x303);
        /* The driver clears D and invalidates: the next write sets it again. */
        put64(m, LEVEL_1, TARGET | SS_ENTRY);
        invalidate(m, IOTLB_PAGE(DOMAIN, ADDRESS & ~UINT64_C(0xfff)));
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        assert_int_equal(get64(m, LEVEL_1) & 0xfff, 0x303);
}

/* What a supervisor may: pages of R/W 0 unless WPE is set, and those of U/S 0. */
static void test_rights_of_supervisors(void **state)
{
        struct vtd_frontend_config config = machine_config();
        struct machine *m = *state;

        config.supervisor_requests = true;
        machine_configure(m, &config);
        put_tables(m, FIRST_STAGE);
        put64(m, LEVEL_1, TARGET | 0x61); /* P, A, D */
        put64(m, PASID_ENTRY + 16, LEVEL_4 | BIT(0));
        enable(m);
        m->with_pasid = m->privileged = true;
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        /* Which is kept for supervisors, but not for users. */
        m->privileged = false;
        assert_int_equal(lands_at(m, ADDRESS), 0);
        assert_int_equal(fault_reason(m), 0x81);
        clear_fault(m);
        put64(m, PASID_ENTRY + 16, LEVEL_4 | BIT(0) | BIT(4));
        queue_only(m, PC_PASID(DOMAIN, 0));
        invalidate(m, PIOTLB_ALL(DOMAIN, 0));
        m->privileged = true;
        assert_int_equal(lands_at(m, ADDRESS), 0);
        assert_int_equal(fault_reason(m), 0x85);
}

/* RTADDR with another table mode. */
static void test_table_modes(void **state)
{
        static const struct {
                unsigned mode;
                bool with_pasid;
                unsigned reason;
        } cases[] = {
                {0, false, 0x30}, {0, true, 0x31},  {2, false, 0x30},
                {2, true, 0x30},  {3, false, 0x30}, {3, true, 0x30}, /* there: 3 is as 1 */
        };
        struct machine *m = *state;

        put_tables(m, FIRST_STAGE);
        enable(m);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                set64(m, REG_RTADDR, ROOT_TABLE | cases[i].mode << 10);
                command(m, SRTP);
                m->with_pasid = cases[i].with_pasid;
                assert_int_equal(lands_at(m, ADDRESS), 0);
                assert_int_equal(fault_reason(m), cases[i].reason);
                clear_fault(m);
        }
        set64(m, REG_RTADDR, ROOT_TABLE | 1 << 10);
        command(m, SRTP);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
}

/* FPD at any level suppresses what comes after it, and the absence of its own entry. */
static void test_suppressed_faults(void **state)
{
        static const struct {
                uint64_t fpd; /* in this entry, of which the rest ... */
                bool absent;  /* ... is not there; otherwise the page is not */
        } cases[] = {
                {CONTEXT, false},  {CONTEXT, true},      {DIRECTORY, false},
                {DIRECTORY, true}, {PASID_ENTRY, false}, {PASID_ENTRY, true},
        };
        struct machine *m = *state;

        enable(m);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                put_tables(m, FIRST_STAGE);
                put64(m, cases[i].absent ? cases[i].fpd : LEVEL_1, 0);
                invalidate(m, CC_GLOBAL);
                assert_int_equal(lands_at(m, ADDRESS), 0);
                assert_int_not_equal(fault_reason(m), 0);
                clear_fault(m);
                put64(m, cases[i].fpd, get64(m, cases[i].fpd) | 2);
                invalidate(m, PC_GLOBAL);
                assert_int_equal(lands_at(m, ADDRESS), 0);
                assert_int_equal(fault_reason(m), 0);
        }
        /* Of the root, and of tables that cannot be read, it suppresses nothing. */
        put_tables(m, FIRST_STAGE);
        put64(m, CONTEXT, get64(m, CONTEXT) | 2 | BIT(39));
        invalidate(m, CC_GLOBAL);
        assert_int_equal(lands_at(m, ADDRESS), 0);
        assert_int_equal(fault_reason(m), 0x50);
        clear_fault(m);
        put64(m, ROOT_TABLE, 0);
        invalidate(m, CC_GLOBAL);
        assert_int_equal(lands_at(m, ADDRESS), 0);
        assert_int_equal(fault_reason(m), 0x39);
}

/* There: the second fault of a device is left out, without PFO.  Both are allowed. */
static void test_two_faults_and_one_record(void **state)
{
        struct machine *m = *state;

        put_tables(m, FIRST_STAGE);
        put64(m, LEVEL_1, 0);
        enable(m);
        assert_int_equal(lands_at(m, ADDRESS), 0);
        assert_int_equal(reg32(m, REG_FSTS), FSTS_PPF);
        assert_int_equal(lands_at(m, BIT(47)), 0);
        assert_int_equal(reg32(m, REG_FSTS), FSTS_PPF | FSTS_PFO);
        assert_int_equal(fault_reason(m), 0x71);
        assert_int_equal(m->messages, 1);
        /* PFO goes away for itself, PPF with the record; then the next fault is recorded. */
        set32(m, REG_FSTS, FSTS_PFO | FSTS_PPF);
        assert_int_equal(reg32(m, REG_FSTS), FSTS_PPF);
        clear_fault(m);
        assert_int_equal(lands_at(m, BIT(47)), 0);
        assert_int_equal(fault_reason(m), 0x80);
        assert_int_equal(m->messages, 2);
}

static void test_no_second_message_while_a_fault_is_pending(void **state)
{
        struct vtd_frontend_config config = machine_config();
        struct machine *m = *state;

        config.fault_records = 2;
        machine_configure(m, &config);
        put_tables(m, FIRST_STAGE);
        put64(m, LEVEL_1, 0);
        enable(m);
        assert_int_equal(lands_at(m, ADDRESS), 0);
        assert_int_equal(lands_at(m, BIT(47)), 0);
        assert_int_equal(m->messages, 1);
        assert_int_equal(reg32(m, REG_FSTS), FSTS_PPF);
        assert_int_equal(reg64(m, record_offset(m) + 24) >> 32, UINT64_C(0x80000080));
}

static void test_a_masked_message(void **state)
{
        struct machine *m = *state;

        put_tables(m, FIRST_STAGE);
        put64(m, LEVEL_1, 0);
        enable(m);
        set32(m, REG_FECTL, UINT32_C(0x80000000));
        assert_int_equal(lands_at(m, ADDRESS), 0);
        assert_int_equal(reg32(m, REG_FECTL), UINT32_C(0xc0000000));
        assert_int_equal(m->messages, 0);
        set32(m, REG_FECTL, 0);
        assert_int_equal(reg32(m, REG_FECTL), 0);
        assert_int_equal(m->messages, 1);
        assert_int_equal(m->message_data, 0x41);
}

static void test_translation_off(void **state)
{
        struct machine *m = *state;
        uint32_t pattern = 0xabcd0123;

        put_tables(m, FIRST_STAGE);
        enable(m);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        command_off(m, TE);
        assert_int_equal(reg32(m, REG_GSTS), SRTP | QIE);
        assert_int_equal(device_write(m, ADDRESS, &pattern, sizeof(pattern)), 0);
        assert_memory_equal(m->memory + ADDRESS, &pattern, sizeof(pattern));
        command(m, TE);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        assert_int_equal(fault_reason(m), 0);
}

static void test_a_message_is_no_memory_access(void **state)
{
        struct machine *m = *state;
        uint32_t data = 0x4041;

        put_tables(m, FIRST_STAGE);
        enable(m);
        assert_int_equal(device_write(m, 0xfee00000, &data, sizeof(data)), VTD_FRONTEND_INTERRUPT);
        assert_int_equal(fault_reason(m), 0);
        /* With a PASID it is an address like others, and not mapped. */
        m->with_pasid = true;
        assert_int_equal(device_write(m, 0xfee00000, &data, sizeof(data)), VTD_FRONTEND_FAULTED);
        assert_int_equal(fault_reason(m), 0x71);
}

/* PDTS 0 to 7: the last PASID that the directory has an entry for, and the one after it. */
static void test_sizes_of_pasid_directories(void **state)
{
        static const uint64_t directory = UINT64_C(0x11000000);
        struct machine *m = *state;

        put_tables(m, FIRST_STAGE);
        put64(m, PASID_TABLE + 63 * 64, get64(m, PASID_ENTRY));
        put64(m, PASID_TABLE + 63 * 64 + 8, get64(m, PASID_ENTRY + 8));
        put64(m, PASID_TABLE + 63 * 64 + 16, get64(m, PASID_ENTRY + 16));
        enable(m);
        m->with_pasid = true;
        for (unsigned size = 0; size < 8; size++) {
                uint32_t pasids = UINT32_C(1) << (size + 13);

                put64(m, CONTEXT, directory | size << 9 | BIT(3) | 1);
                put64(m, directory + (pasids / 64 - 1) * 8, PASID_TABLE | 1);
                invalidate(m, CC_GLOBAL);
                m->pasid = pasids - 1;
                assert_int_equal(lands_at(m, ADDRESS), TARGET);
                if (size == 7)
                        break; /* there is no larger PASID */
                m->pasid = pasids;
                assert_int_equal(lands_at(m, ADDRESS), 0);
                assert_int_equal(fault_reason(m), 0x46);
                assert_int_equal((reg64(m, record_offset(m) + 8) >> 40) & 0xfffff, pasids);
                clear_fault(m);
        }
}

/* A descriptor, and IQEI when it is refused. */
struct descriptor {
        const char *name;
        uint64_t words[4];
        unsigned error; /* 0: accepted */
        bool narrow;    /* in a queue of 128-bit descriptors */
};

static const struct descriptor descriptors[] = {
        {"wait, reserved bit", {0x125, STATUS}, 4, false},
        {"wait, status address not aligned", {0x25, STATUS | 1}, 4, false},
        {"wait, status outside memory", {0x25, MEMORY_SIZE}, 4, false},
        {"wait, status in the unit's registers",
         {0x25, VTD_FRONTEND_REGISTER_BASE + 0x18},
         4,
         false},
        {"wait, nothing asked for", {0x5}, 0, false}, /* there: refused */
        {"wait, fence only", {0x45}, 0, false},       /* there: refused */
        {"type 0", {0}, 3, false},
        {"type Ah", {0xa}, 3, false},
        {"type 15h, by bits 11:9", {0x205}, 3, false},
        {"context cache, no granularity", {0x1}, 4, false},
        {"context cache, reserved bit", {0x51}, 4, false},
        {"context cache, second word", {0x11, 1}, 4, false},
        {"context cache, upper half", {0x11, 0, 1, 0}, 4, false},
        {"context cache, end of the upper half", {0x11, 0, 0, BIT(63)}, 4, false},
        {"IOTLB, no granularity", {0x2}, 4, false},
        {"IOTLB, reserved bit", {0x12 | BIT(8)}, 4, false},
        {"IOTLB, AM 18", {0x32, 18}, 0, false},
        {"IOTLB, AM 19", {0x32, 19}, 4, false},
        {"PASID cache, granularity 2", {0x27}, 4, false},
        {"PASID cache, reserved bit", {0x37 | BIT(6)}, 4, false},
        {"PASID cache, large PASID", {0x17 | UINT64_C(0xfffff) << 32}, 0, false},
        {"PASID cache, PASID beyond the directory", {0x17 | UINT64_C(0x2000) << 32}, 0, false},
        {"device TLB of nobody", {0x3 | UINT64_C(0xffff) << 32}, 0, false},
        {"PASID-based device TLB of nobody", {0x8 | UINT64_C(0xffff) << 16}, 0, false},
        {"page group response to nobody", {0x9 | UINT64_C(0xffff) << 16}, 0, false},
        {"PASID-based IOTLB, granularity 0", {0x6}, 4, false},
        {"PASID-based IOTLB, granularity 1", {0x16}, 4, false},
        {"PASID-based IOTLB, AM 19", {0x36, 19}, 0, false}, /* there: refused */
        {"PASID-based IOTLB, AM 63", {0x36, 63}, 0, false}, /* there: refused */
        /* Scalable mode has 256-bit descriptors only; there: types 1 to 5 are taken. */
        {"context cache, 128 bits", {0x11}, 3, true},
        {"PASID cache, 128 bits", {0x37}, 3, true},
        {"PASID-based IOTLB, 128 bits", {0x26}, 3, true},
};

static void test_descriptor(void **state)
{
        struct machine *m = *state;
        const struct descriptor *descriptor = m->parameter;
        unsigned size = descriptor->narrow ? 16 : 32;

        set64(m, REG_RTADDR, ROOT_TABLE | 0x400);
        command(m, SRTP);
        set64(m, REG_IQA, QUEUE | (descriptor->narrow ? 0 : 0x800));
        command(m, QIE);
        for (unsigned i = 0; i < size / 8; i++)
                put64(m, QUEUE + i * 8, descriptor->words[i]);
        set32(m, REG_IQT, size);
        settle(m);
        if (!descriptor->error) {
                assert_int_equal(reg32(m, REG_FSTS), 0);
                assert_int_equal(reg32(m, REG_IQH), size);
                return;
        }
        assert_int_equal(reg32(m, REG_FSTS), FSTS_IQE);
        assert_int_equal(reg64(m, REG_IQERCD) & 0xf, descriptor->error);
        assert_int_equal(reg32(m, REG_IQH), 0);
        if (descriptor->narrow)
                return;
        /* Once it is mended and IQE cleared, the queue goes on. */
        put64(m, QUEUE, 0x25 | UINT64_C(9) << 32);
        put64(m, QUEUE + 8, STATUS);
        put64(m, QUEUE + 16, 0);
        put64(m, QUEUE + 24, 0);
        set32(m, REG_FSTS, FSTS_IQE);
        settle(m);
        assert_int_equal(reg32(m, REG_IQH), size);
        assert_int_equal(get64(m, STATUS), 9);
}

static void test_tails(void **state)
{
        static const struct {
                uint32_t tail;
                unsigned error;
        } cases[] = {{4096, 1}, {UINT32_C(0x7fff0) & ~UINT32_C(31), 1}, {48, 6}};
        struct machine *m = *state;

        set64(m, REG_RTADDR, ROOT_TABLE | 0x400);
        command(m, SRTP);
        set64(m, REG_IQA, QUEUE | 0x800);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                command(m, QIE);
                set32(m, REG_IQT, cases[i].tail);
                settle(m);
                assert_int_equal(reg32(m, REG_FSTS), FSTS_IQE);
                assert_int_equal(reg64(m, REG_IQERCD) & 0xf, cases[i].error);
                assert_int_equal(reg32(m, REG_IQH), 0);
                /* There: refused while descriptors are left. */
                command_off(m, QIE);
                assert_int_equal(reg32(m, REG_GSTS) & QIE, 0);
                set32(m, REG_IQT, 0);
                set32(m, REG_FSTS, FSTS_IQE);
                settle(m);
                assert_int_equal(reg32(m, REG_FSTS), 0);
        }
}

/* From version 6 on they do not exist: never busy, nothing done. */
static void test_invalidation_registers(void **state)
{
        struct machine *m = *state;
        unsigned iotlb = (unsigned)((reg64(m, REG_ECAP) >> 8) & 0x3ff) * 16 + 8;

        put_tables(m, FIRST_STAGE);
        enable(m);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        put_pages(m, FIRST_STAGE, OTHER_TARGET, NEXT_TARGET);
        set64(m, REG_CCMD, BIT(63) | BIT(61));
        set64(m, iotlb, BIT(63) | BIT(60));
        settle(m);
        assert_int_equal(reg64(m, REG_CCMD) >> 63, 0);
        assert_int_equal(reg64(m, iotlb) >> 63, 0);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
}

#define POINT(title, test, argument)                                                               \
        {                                                                                          \
                .name = (title), .test_func = (test), .setup_func = machine_setup,                 \
                .teardown_func = machine_teardown, .initial_state = (void *)(uintptr_t)(argument)  \
        }

static const struct CMUnitTest others[] = {
        POINT("accessed and dirty bits", test_accessed_and_dirty, NULL),
        POINT("accessed and dirty bits, second stage", test_accessed_and_dirty_of_the_second_stage,
              NULL),
        POINT("rights of supervisors", test_rights_of_supervisors, NULL),
        POINT("table modes", test_table_modes, NULL),
        POINT("quick check: what FPD suppresses", test_suppressed_faults, NULL),
        POINT("quick check: two faults, one record", test_two_faults_and_one_record, NULL),
        POINT("quick check: no second message while PPF is set",
              test_no_second_message_while_a_fault_is_pending, NULL),
        POINT("quick check: a masked message", test_a_masked_message, NULL),
        POINT("translation off", test_translation_off, NULL),
        POINT("a message is no memory access", test_a_message_is_no_memory_access, NULL),
        POINT("quick check: sizes of PASID directories", test_sizes_of_pasid_directories, NULL),
        POINT("tails", test_tails, NULL),
        POINT("invalidation registers", test_invalidation_registers, NULL),
};

int main(void)
{
        struct CMUnitTest tests[ARRAY_SIZE(blocks) + ARRAY_SIZE(descriptors) + ARRAY_SIZE(others)];
        size_t count = 0;

        for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
                tests[count++] =
                        (struct CMUnitTest)POINT(blocks[i].name, test_block, &blocks[i].block);
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                tests[count++] = others[i];
        for (size_t i = 0; i < ARRAY_SIZE(descriptors); i++)
                tests[count++] = (struct CMUnitTest)POINT(descriptors[i].name, test_descriptor,
                                                          &descriptors[i]);
        return cmocka_run_group_tests_name("frontend-conformance-faults", tests, NULL, NULL);
}
