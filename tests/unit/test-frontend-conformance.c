/* SPDX-License-Identifier: MIT */
/*
 * Test points of other suites for virtual VT-d units, each under its name there, with a device that
 * reads and writes memory through the unit's public functions.  Where such a suite expects what its
 * own unit does and the architecture says otherwise, the architecture's answer is expected here, and
 * the comment says so.  Suites:
 *
 *   intel-iommu-test, iommu-intel-test   QEMU, tests/qtest
 *   kvm-unit-tests                       x86/intel-iommu.c
 *   quick check                          short rules of the architecture
 *
 * Left out, because this unit has no legacy mode, whose tables it refuses (reason 30h, tested in
 * test-frontend-conformance-faults.c): iommu-intel-test /legacy-pt and /legacy-trans, and of its
 * invalidation tests the legacy third; of kvm-unit-tests point 9 in its legacy form, which is done
 * with a second-stage entry.  QEMU's functional tests (test_intel_iommu.py) boot a Linux guest in
 * legacy mode, and are left out for the same reason.  The points that concern interrupt remapping
 * (kvm-unit-tests 4, 6, 10, 11) bear their names in test-frontend-interrupt.c.
 */
#include "tests/unit/conformance-machine.h"

#include <string.h>

static uint64_t field(uint64_t value, unsigned high, unsigned low)
{
        return (value >> low) & (BIT(high - low + 1) - 1);
}

static void test_capabilities(void **state)
{
        struct machine *m = *state;
        uint64_t cap, ecap;

        cap = reg64(m, REG_CAP);
        ecap = reg64(m, REG_ECAP);
        assert_int_equal(field(cap, 2, 0), 6);        /* ND: 16 bits of domain id */
        assert_int_equal(field(cap, 12, 8), 6);       /* SAGAW: 39 and 48 bits, nothing else */
        assert_int_equal(field(cap, 21, 16), 48 - 1); /* MGAW */
        assert_int_equal(field(cap, 37, 34), 3);      /* SSLPS: 2 MiB and 1 GiB */
        assert_int_equal(field(cap, 39, 39), 1);      /* PSI */
        assert_int_equal(field(cap, 47, 40), 0);      /* NFR: one record */
        assert_int_equal(field(cap, 53, 48), 18);     /* MAMV */
        assert_int_equal(field(cap, 55, 54), 3);      /* DWD, DRD */
        assert_int_equal(field(ecap, 1, 1), 1);       /* QI */
        assert_int_equal(field(ecap, 43, 43), 1);     /* SMTS */
        assert_int_equal(field(ecap, 47, 47), 1);     /* FSTS */
        /* FRO and IRO are a unit's free choice: within the page, apart from each other. */
        assert_true(record_offset(m) >= 0x100 && record_offset(m) + 16 <= 4096);
        assert_true(field(ecap, 17, 8) * 16 + 16 <= record_offset(m));
}

/* Which the suite asserts of a unit with interrupt remapping. */
static void test_capabilities_of_interrupt_remapping(void **state)
{
        struct vtd_frontend_config config = machine_config();
        struct machine *m = *state;

        assert_int_equal(field(reg64(m, REG_ECAP), 3, 3), 0);
        config.interrupt_remapping = true;
        machine_configure(m, &config);
        assert_int_equal(field(reg64(m, REG_ECAP), 3, 3), 1);
        assert_int_equal(field(reg64(m, REG_ECAP), 23, 20), 15); /* MHMV */
}

static void test_registers_after_a_system_reset(void **state)
{
        struct machine *m = *state;
        uint32_t before[1024];

        for (unsigned i = 0; i < 1024; i++)
                before[i] = reg32(m, i * 4);
        assert_int_equal(before[REG_FECTL / 4], 0x80000000);
        assert_int_equal(before[REG_IECTL / 4], 0x80000000);
        put_tables(m, FIRST_STAGE);
        put64(m, LEVEL_1, 0);
        enable(m);
        queue_only(m, CC_GLOBAL);
        queue_only(m, 0, 0); /* no descriptor: IQE */
        assert_int_equal(lands_at(m, ADDRESS), 0);
        assert_int_equal(reg32(m, REG_FSTS) & (FSTS_PPF | FSTS_IQE), FSTS_PPF | FSTS_IQE);
        vtd_frontend_reset(m->unit);
        settle(m);
        for (unsigned i = 0; i < 1024; i++)
                assert_int_equal(reg32(m, i * 4), before[i]);
}

/* Every register as four and as eight bytes, with everything and with nothing set. */
static void test_accesses_of_every_register(void **state)
{
        static const uint64_t values[] = {0, UINT64_MAX, UINT64_C(0x5555555555555555)};
        struct machine *m = *state;
        uint64_t constants[3] = {reg32(m, REG_VER), reg64(m, REG_CAP), reg64(m, REG_ECAP)};

        for (size_t i = 0; i < ARRAY_SIZE(values); i++)
                for (unsigned size = 4; size <= 8; size += 4)
                        for (unsigned offset = 0; offset < 4096; offset += size) {
                                (void)vtd_frontend_read(m->unit, offset, size);
                                vtd_frontend_write(m->unit, offset, size, values[i]);
                                assert_in_range(vtd_frontend_run(m->unit, 100), VTD_FRONTEND_IDLE,
                                                VTD_FRONTEND_PENDING);
                        }
        assert_int_equal(reg32(m, REG_VER), constants[0]);
        assert_int_equal(reg64(m, REG_CAP), constants[1]);
        assert_int_equal(reg64(m, REG_ECAP), constants[2]);
        vtd_frontend_reset(m->unit);
        settle(m);
        put_tables(m, FIRST_STAGE);
        enable(m);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
}

/* The suite's own order and values: a queue of one page with 128-bit descriptors is legal unused. */
static void test_programming_order(void **state)
{
        struct machine *m = *state;

        put_tables(m, FIRST_STAGE);
        set64(m, REG_RTADDR, ROOT_TABLE | 0x400);
        command(m, SRTP);
        assert_true(reg32(m, REG_GSTS) & SRTP);
        set64(m, REG_IQA, QUEUE);
        set64(m, REG_IQH, 0);
        set64(m, REG_IQT, 0);
        command(m, QIE);
        assert_true(reg32(m, REG_GSTS) & QIE);
        set32(m, REG_FECTL, 0);
        set32(m, REG_FEDATA, 0);
        set32(m, REG_FEADDR, 0xfee00000);
        command(m, TE); /* and SRTP once more, which the driver keeps in what it writes */
        assert_int_equal(reg32(m, REG_GSTS), SRTP | QIE | TE);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        assert_int_equal(fault_reason(m), 0);
}

/* PGTT of the entry, and what of the same name the suite does with it. */
static void test_translation(void **state)
{
        struct machine *m = *state;
        unsigned type = *(const unsigned *)m->parameter;
        uint64_t place = type == PASS_THROUGH ? ADDRESS : TARGET + (ADDRESS & 0xfff);
        uint32_t pattern = 0x12345678, found = 0;

        put_tables(m, type);
        enable(m);
        assert_int_equal(device_write(m, ADDRESS, &pattern, sizeof(pattern)), 0);
        assert_memory_equal(m->memory + place, &pattern, sizeof(pattern));
        assert_int_equal(device_read(m, ADDRESS, &found, sizeof(found)), 0);
        assert_int_equal(found, pattern);
        assert_int_equal(fault_reason(m), 0);
        /* With a PASID, the same entry. */
        m->with_pasid = true;
        m->pasid = 0;
        assert_int_equal(device_read(m, ADDRESS, &found, sizeof(found)), 0);
        assert_int_equal(found, pattern);
}

/* An access that crosses pages goes to each of them. */
static void test_an_access_across_pages(void **state)
{
        uint8_t data[32], found[32];
        struct machine *m = *state;
        uint64_t address = (NEXT_PAGE & ~UINT64_C(0xfff)) - 10;

        put_tables(m, *(const unsigned *)m->parameter);
        enable(m);
        for (unsigned i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t)(i + 1);
        assert_int_equal(device_write(m, address, data, sizeof(data)), 0);
        assert_memory_equal(m->memory + TARGET + 0xff6, data, 10);
        assert_memory_equal(m->memory + NEXT_TARGET, data + 10, sizeof(data) - 10);
        assert_int_equal(device_read(m, address, found, sizeof(found)), 0);
        assert_memory_equal(found, data, sizeof(data));
}

/* What is invalidated, for which type of entry, and whether that reaches the page and its neighbour. */
struct invalidation {
        unsigned type;
        uint64_t first, second;
        bool page, neighbour;
};

/*
 * The page moves, and nothing is invalidated: the device goes on with the old one.  The architecture
 * allows that and does not ask for it; the test needs it to see what the invalidation does.
 */
static void test_invalidation(void **state)
{
        struct machine *m = *state;
        const struct invalidation *invalidation = m->parameter;

        put_tables(m, invalidation->type);
        enable(m);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        assert_int_equal(lands_at(m, NEXT_PAGE), NEXT_TARGET);
        put_pages(m, invalidation->type, OTHER_TARGET, TARGET);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        assert_int_equal(lands_at(m, NEXT_PAGE), NEXT_TARGET);
        invalidate(m, invalidation->first, invalidation->second);
        assert_int_equal(lands_at(m, ADDRESS), invalidation->page ? OTHER_TARGET : TARGET);
        assert_int_equal(lands_at(m, NEXT_PAGE), invalidation->neighbour ? TARGET : NEXT_TARGET);
        assert_int_equal(fault_reason(m), 0);
}

/* Two functions share domain and PASID: what is invalidated is so for both. */
static void test_invalidation_reaches_all_devices(void **state)
{
        static const uint16_t devices[] = {RID, OTHER_RID};
        struct machine *m = *state;

        put_tables(m, *(const unsigned *)m->parameter);
        enable(m);
        for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
                m->rid = devices[i];
                assert_int_equal(lands_at(m, ADDRESS), TARGET);
        }
        put_pages(m, *(const unsigned *)m->parameter, OTHER_TARGET, NEXT_TARGET);
        invalidate(m, IOTLB_DOMAIN(DOMAIN));
        for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
                m->rid = devices[i];
                assert_int_equal(lands_at(m, ADDRESS), OTHER_TARGET);
        }
}

/* Two PASIDs of one domain, with tables of their own, keep apart in what is cached. */
static void test_pasids_of_one_domain(void **state)
{
        static const uint64_t tables = UINT64_C(0x10040000);
        struct machine *m = *state;

        put_tables(m, FIRST_STAGE);
        memcpy(m->memory + tables, m->memory + LEVEL_4, 0x4000);
        for (unsigned i = 0; i < 3; i++) {
                uint64_t entry = tables + i * 0x1000 + (i == 2 ? LEVEL_2 & 0xfff : 0);

                put64(m, entry, (tables + (i + 1) * 0x1000) | FS_TABLE);
        }
        put64(m, tables + 0x3000, OTHER_TARGET | FS_PAGE);
        put64(m, PASID_ENTRY + 64, get64(m, PASID_ENTRY));
        put64(m, PASID_ENTRY + 72, get64(m, PASID_ENTRY + 8));
        put64(m, PASID_ENTRY + 80, tables);
        enable(m);
        m->with_pasid = true;
        for (unsigned i = 0; i < 4; i++) {
                m->pasid = i % 2;
                assert_int_equal(lands_at(m, ADDRESS), m->pasid ? OTHER_TARGET : TARGET);
        }
        /* What is invalidated for one of them is kept for the other. */
        put64(m, LEVEL_1, NEXT_TARGET | FS_PAGE);
        put64(m, tables + 0x3000, NEXT_TARGET | FS_PAGE);
        invalidate(m, PIOTLB_ALL(DOMAIN, 1));
        assert_int_equal(lands_at(m, ADDRESS), NEXT_TARGET);
        m->pasid = 0;
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
}

/* ESRTPS: setting the root pointer, as switching translation off, invalidates everything. */
static void test_commands_that_invalidate(void **state)
{
        struct machine *m = *state;
        const unsigned *type = m->parameter;

        put_tables(m, *type);
        enable(m);
        assert_true(reg64(m, REG_CAP) >> 63); /* ESRTPS */
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        put_pages(m, *type, OTHER_TARGET, NEXT_TARGET);
        command(m, SRTP);
        assert_int_equal(lands_at(m, ADDRESS), OTHER_TARGET);
        put_pages(m, *type, TARGET, NEXT_TARGET);
        command_off(m, TE);
        command(m, TE);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
}

static void test_a_page_taken_away_and_given_back(void **state)
{
        struct machine *m = *state;

        put_tables(m, FIRST_STAGE);
        put64(m, LEVEL_1, TARGET | FS_PAGE);
        enable(m);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        /* The page becomes absent: a fault from the moment that its invalidation is complete. */
        put64(m, LEVEL_1, 0);
        invalidate(m, PIOTLB_PAGE(DOMAIN, 0, ADDRESS & ~UINT64_C(0xfff)));
        assert_int_equal(lands_at(m, ADDRESS), 0);
        assert_int_equal(fault_reason(m), 0x71);
        clear_fault(m);
        /* And is there again without one: what is absent is not kept. */
        put64(m, LEVEL_1, OTHER_TARGET | FS_PAGE);
        assert_int_equal(lands_at(m, ADDRESS), OTHER_TARGET);
}

/* A PASID-table entry, changed from one table to another, is in force once both are invalidated. */
static void test_invalidation_of_a_pasid_entry(void **state)
{
        struct machine *m = *state;

        put_tables(m, FIRST_STAGE);
        enable(m);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        put64(m, PASID_ENTRY, 0);
        invalidate(m, PC_PASID(DOMAIN, 0));
        assert_int_equal(lands_at(m, ADDRESS), 0);
        assert_int_equal(fault_reason(m), 0x59);
        clear_fault(m);
        put_tables(m, FIRST_STAGE);
        invalidate(m, PIOTLB_ALL(DOMAIN, 0));
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        put64(m, CONTEXT, 0);
        invalidate(m, CC_DEVICE(RID));
        assert_int_equal(lands_at(m, ADDRESS), 0);
        assert_int_equal(fault_reason(m), 0x41);
        clear_fault(m);
        put_tables(m, FIRST_STAGE);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
}

/* kvm-unit-tests: the suite checks a version as old as 1.0 there; ours is 6.0. */
static void test_version(void **state)
{
        assert_true(((reg32(*state, REG_VER) >> 3) & 0xf) >= 1);
}

static void test_no_fault_status_at_first(void **state)
{
        assert_int_equal(reg32(*state, REG_FSTS), 0);
}

/* Before anything else, with no address in IQA. */
static void test_queue_enabled_without_an_address(void **state)
{
        struct machine *m = *state;

        command(m, QIE);
        assert_int_equal(reg32(m, REG_GSTS), QIE);
        assert_int_equal(reg32(m, REG_FSTS), 0);
}

/* Each command is GSTS with a bit more, so that SRTP is given again with every later one. */
static void test_commands_on_top_of_the_status(void **state)
{
        static const uint32_t bits[] = {QIE, SRTP, TE};
        struct machine *m = *state;
        uint32_t expected = 0;

        put_tables(m, FIRST_STAGE);
        set64(m, REG_RTADDR, ROOT_TABLE | 0x400);
        for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
                set32(m, REG_GCMD, reg32(m, REG_GSTS) | bits[i]);
                settle(m);
                expected |= bits[i];
                assert_int_equal(reg32(m, REG_GSTS), expected);
        }
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
}

static void test_second_stage_of_39_bits(void **state)
{
        assert_true(reg64(*state, REG_CAP) & BIT(9)); /* SAGAW */
}

static void test_second_stage_large_pages(void **state)
{
        assert_true(reg64(*state, REG_CAP) & BIT(34)); /* SSLPS */
}

/* The device reads four bytes at 0 and writes them to 4: three levels, the domain is the device's id. */
static void test_a_device_copies_through_its_page(void **state)
{
        struct machine *m = *state;
        uint32_t value = 0x87654321, copy = 0;

        put_tables(m, SECOND_STAGE);
        put64(m, PASID_ENTRY, 3 | 1 << 2 | SECOND_STAGE << 6 | LEVEL_3); /* P, FPD, AW 1 */
        put64(m, PASID_ENTRY + 8, RID | BIT(23));
        put64(m, LEVEL_2 & ~UINT64_C(0xfff), LEVEL_1 | SS_ENTRY);
        enable(m);
        memcpy(m->memory + TARGET, &value, sizeof(value));
        assert_int_equal(device_read(m, 0, &copy, sizeof(copy)), 0);
        assert_int_equal(device_write(m, 4, &copy, sizeof(copy)), 0);
        assert_memory_equal(m->memory + TARGET + 4, &value, sizeof(value));
}

/* The suite never invalidates: what was absent must not be kept, with caching mode off. */
static void test_absent_entries_are_not_kept(void **state)
{
        static const struct {
                uint64_t entry;
                unsigned reason;
        } steps[] = {
                {ROOT_TABLE, 0x39}, {CONTEXT, 0x41}, {DIRECTORY, 0x51}, {PASID_ENTRY, 0x59},
                {LEVEL_4, 0x71},    {LEVEL_3, 0x71}, {LEVEL_2, 0x71},   {LEVEL_1, 0x71},
        };
        uint64_t values[ARRAY_SIZE(steps)];
        struct machine *m = *state;

        put_tables(m, FIRST_STAGE);
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                values[i] = get64(m, steps[i].entry);
                put64(m, steps[i].entry, 0);
        }
        enable(m);
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                assert_int_equal(lands_at(m, ADDRESS), 0);
                assert_int_equal(fault_reason(m), steps[i].reason);
                clear_fault(m);
                put64(m, steps[i].entry, values[i]);
        }
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
}

/* Quick checks of registers and queue. */
static void test_set_root_pointer(void **state)
{
        struct machine *m = *state;

        set32(m, REG_GCMD, 0x40000000);
        settle(m);
        assert_int_equal(reg32(m, REG_GSTS), 0x40000000);
}

/* What is written to RTADDR counts once SRTP is given, whatever other commands are before it. */
static void test_root_pointer_written_but_not_set(void **state)
{
        struct machine *m = *state;

        put_tables(m, FIRST_STAGE);
        enable(m);
        set64(m, REG_RTADDR, OTHER_TARGET | 0xc00);
        set32(m, REG_GCMD, QIE);
        settle(m);
        set32(m, REG_GCMD, QIE | TE);
        settle(m);
        assert_int_equal(reg32(m, REG_GSTS), SRTP | QIE | TE);
        assert_int_equal(lands_at(m, ADDRESS), TARGET);
        set32(m, REG_GCMD, QIE | TE | SRTP);
        settle(m);
        assert_int_equal(lands_at(m, ADDRESS), 0);
        assert_int_equal(fault_reason(m), 0x30);
}

static void start_queue(struct machine *m)
{
        set64(m, REG_RTADDR, ROOT_TABLE | 0x400);
        command(m, SRTP);
        set64(m, REG_IQA, QUEUE | 0x800);
        command(m, QIE);
}

static void test_a_wait_descriptor(void **state)
{
        struct machine *m = *state;

        start_queue(m);
        put64(m, STATUS, UINT64_MAX);
        queue_only(m, UINT64_C(0x25) | UINT64_C(2) << 32, STATUS);
        assert_int_equal(get64(m, STATUS), UINT64_C(0xffffffff00000002)); /* four bytes */
        assert_int_equal(reg32(m, REG_IQH), 32);
}

static void test_a_tail_between_descriptors(void **state)
{
        struct machine *m = *state;

        start_queue(m);
        put64(m, QUEUE, UINT64_C(0x25) | UINT64_C(2) << 32);
        put64(m, QUEUE + 8, STATUS);
        set32(m, REG_IQT, 16);
        settle(m);
        assert_int_equal(reg32(m, REG_FSTS) & FSTS_IQE, FSTS_IQE);
        assert_int_equal(reg64(m, REG_IQERCD) & 0xf, 6);
        assert_int_equal(reg32(m, REG_IQH), 0);
        assert_int_equal(get64(m, STATUS), 0);
}

/* The bad one is mended and IQE cleared: the queue goes on by itself. */
static void test_a_bad_descriptor_between_waits(void **state)
{
        struct machine *m = *state;

        start_queue(m);
        put64(m, QUEUE, UINT64_C(0x25) | UINT64_C(1) << 32);
        put64(m, QUEUE + 8, STATUS);
        put64(m, QUEUE + 64, UINT64_C(0x25) | UINT64_C(3) << 32);
        put64(m, QUEUE + 72, STATUS);
        set32(m, REG_IQT, 96);
        settle(m);
        assert_int_equal(get64(m, STATUS), 1);
        assert_int_equal(reg32(m, REG_IQH), 32);
        assert_int_equal(reg32(m, REG_FSTS) & FSTS_IQE, FSTS_IQE);
        assert_int_equal(reg64(m, REG_IQERCD) & 0xf, 3);
        put64(m, QUEUE + 32, UINT64_C(0x25) | UINT64_C(2) << 32);
        put64(m, QUEUE + 40, STATUS + 8);
        set32(m, REG_FSTS, FSTS_IQE);
        settle(m);
        assert_int_equal(get64(m, STATUS + 8), 2);
        assert_int_equal(get64(m, STATUS), 3);
        assert_int_equal(reg32(m, REG_IQH), 96);
        assert_int_equal(reg32(m, REG_FSTS) & FSTS_IQE, 0);
}

static void expect_accepted(struct machine *m, uint64_t first, uint64_t second)
{
        start_queue(m);
        queue_only(m, first, second);
        assert_int_equal(reg32(m, REG_FSTS), 0);
        assert_int_equal(reg32(m, REG_IQH), 32);
}

static void test_a_fence_alone(void **state)
{
        expect_accepted(*state, 0x45, 0);
}

static void test_a_large_range_of_first_stage_pages(void **state)
{
        expect_accepted(*state, PIOTLB_PAGE(DOMAIN, 0, 40));
}

static const unsigned first_stage = FIRST_STAGE, second_stage = SECOND_STAGE, nested = NESTED,
                      pass_through = PASS_THROUGH;

#define PAGE(address) ((address) & ~UINT64_C(0xfff))

/* The suite has 3 granularities and page selectivity, with domain 0; ours is another. */
static const struct invalidation invalidations[] = {
        {SECOND_STAGE, IOTLB_GLOBAL, true, true},
        {SECOND_STAGE, IOTLB_DOMAIN(DOMAIN), true, true},
        {SECOND_STAGE, IOTLB_PAGE(DOMAIN, PAGE(ADDRESS)), true, false},
        {FIRST_STAGE, IOTLB_GLOBAL, true, true},
        {FIRST_STAGE, IOTLB_DOMAIN(DOMAIN), true, true},
        /* Not PASID-based, it reaches all first-stage pages of the domain, wherever they are. */
        {FIRST_STAGE, IOTLB_PAGE(DOMAIN, PAGE(ADDRESS)), true, true},
        {FIRST_STAGE, IOTLB_PAGE(DOMAIN, PAGE(ADDRESS) + BIT(30)), true, true},
        {SECOND_STAGE, IOTLB_PAGE(DOMAIN, PAGE(NEXT_PAGE)), false, true},
        {FIRST_STAGE, PIOTLB_PAGE(DOMAIN, 0, PAGE(ADDRESS)), true, false},
        {FIRST_STAGE, PIOTLB_ALL(DOMAIN, 0), true, true},
        {NESTED, PIOTLB_PAGE(DOMAIN, 0, PAGE(NEXT_PAGE)), false, true},
        {NESTED, IOTLB_PAGE(DOMAIN, PAGE(ADDRESS)), true, true},
        /* Named wrongly: measured there too. */
        {FIRST_STAGE, PIOTLB_ALL(DOMAIN + 1, 0), false, false},
        {FIRST_STAGE, PIOTLB_ALL(DOMAIN, 1), false, false},
        {FIRST_STAGE, PIOTLB_PAGE(DOMAIN, 0, PAGE(ADDRESS) + BIT(30)), false, false},
        {FIRST_STAGE, IOTLB_DOMAIN(DOMAIN + 1), false, false},
        {SECOND_STAGE, PIOTLB_PAGE(DOMAIN, 0, PAGE(ADDRESS)), false, false},
        /* PASID cache and context cache are not the IOTLB. */
        {FIRST_STAGE, PC_PASID(DOMAIN, 0), false, false},
        {FIRST_STAGE, PC_GLOBAL, false, false},
        {FIRST_STAGE, CC_GLOBAL, false, false},
        /* Without a page, it reaches them all: there, those of the PASID. */
        {SECOND_STAGE, PIOTLB_ALL(DOMAIN, 0), true, true},
};

#define POINT(title, test, argument)                                                               \
        {                                                                                          \
                .name = (title), .test_func = (test), .setup_func = machine_setup,                 \
                .teardown_func = machine_teardown, .initial_state = (void *)(uintptr_t)(argument)  \
        }

#define INVALIDATION(title, number) POINT(title, test_invalidation, &invalidations[number])

static const struct CMUnitTest points[] = {
        POINT("intel-iommu-test: stage-1 capabilities", test_capabilities, NULL),
        POINT("intel-iommu-test: interrupt-remapping capabilities",
              test_capabilities_of_interrupt_remapping, NULL),
        POINT("intel-iommu-test: registers after system reset", test_registers_after_a_system_reset,
              NULL),
        POINT("intel-iommu-test: accesses of every register", test_accesses_of_every_register,
              NULL),
        POINT("iommu-intel-test: order of programming", test_programming_order, NULL),
        POINT("iommu-intel-test: /scalable-pt", test_translation, &pass_through),
        POINT("iommu-intel-test: /scalable-slt", test_translation, &second_stage),
        POINT("iommu-intel-test: /scalable-flt", test_translation, &first_stage),
        POINT("iommu-intel-test: likewise, nested", test_translation, &nested),
        POINT("an access across pages, second stage", test_an_access_across_pages, &second_stage),
        POINT("an access across pages, first stage", test_an_access_across_pages, &first_stage),
        POINT("an access across pages, nested", test_an_access_across_pages, &nested),
        INVALIDATION("iommu-intel-test: scalable-slt, global", 0),
        INVALIDATION("iommu-intel-test: scalable-slt, domain", 1),
        INVALIDATION("iommu-intel-test: scalable-slt, page", 2),
        INVALIDATION("iommu-intel-test: scalable-flt, global", 3),
        INVALIDATION("iommu-intel-test: scalable-flt, domain", 4),
        INVALIDATION("iommu-intel-test: scalable-flt, page", 5),
        INVALIDATION("iommu-intel-test: scalable-flt, page elsewhere", 6),
        INVALIDATION("iommu-intel-test: scalable-slt, page of the neighbour", 7),
        INVALIDATION("scalable-flt, PASID-based, page", 8),
        INVALIDATION("scalable-flt, PASID-based, all", 9),
        INVALIDATION("nested, PASID-based, page of the neighbour", 10),
        INVALIDATION("nested, page", 11),
        INVALIDATION("scalable-flt, PASID-based, another domain", 12),
        INVALIDATION("scalable-flt, PASID-based, another PASID", 13),
        INVALIDATION("scalable-flt, PASID-based, page elsewhere", 14),
        INVALIDATION("scalable-flt, another domain", 15),
        INVALIDATION("scalable-slt, PASID-based: not for it", 16),
        INVALIDATION("scalable-flt, PASID cache alone, one PASID", 17),
        INVALIDATION("scalable-flt, PASID cache alone, global", 18),
        INVALIDATION("scalable-flt, context cache alone", 19),
        INVALIDATION("scalable-slt, PASID-based, all", 20),
        POINT("two functions, second stage", test_invalidation_reaches_all_devices, &second_stage),
        POINT("two functions, first stage", test_invalidation_reaches_all_devices, &first_stage),
        POINT("two PASIDs of one domain", test_pasids_of_one_domain, NULL),
        POINT("SRTP and TE, second stage", test_commands_that_invalidate, &second_stage),
        POINT("SRTP and TE, first stage", test_commands_that_invalidate, &first_stage),
        POINT("a page taken away and given back", test_a_page_taken_away_and_given_back, NULL),
        POINT("PASID-table and context entries taken away and given back",
              test_invalidation_of_a_pasid_entry, NULL),
        POINT("kvm-unit-tests: version", test_version, NULL),
        POINT("kvm-unit-tests 1: FSTS", test_no_fault_status_at_first, NULL),
        POINT("kvm-unit-tests 2: QIES", test_queue_enabled_without_an_address, NULL),
        POINT("kvm-unit-tests 3, 5: RTPS, TES", test_commands_on_top_of_the_status, NULL),
        POINT("kvm-unit-tests 7: 39 bits", test_second_stage_of_39_bits, NULL),
        POINT("kvm-unit-tests 8: large pages", test_second_stage_large_pages, NULL),
        POINT("kvm-unit-tests 9: DMA", test_a_device_copies_through_its_page, NULL),
        POINT("kvm-unit-tests: no invalidation of absent entries", test_absent_entries_are_not_kept,
              NULL),
        POINT("quick check: SRTP", test_set_root_pointer, NULL),
        POINT("RTADDR without SRTP", test_root_pointer_written_but_not_set, NULL),
        POINT("quick check: wait descriptor", test_a_wait_descriptor, NULL),
        POINT("quick check: tail of 16", test_a_tail_between_descriptors, NULL),
        POINT("quick check: type 0 between waits", test_a_bad_descriptor_between_waits, NULL),
        POINT("quick check: fence only", test_a_fence_alone, NULL),
        POINT("quick check: PASID-based, AM 40", test_a_large_range_of_first_stage_pages, NULL),
};

int main(void)
{
        return cmocka_run_group_tests_name("frontend-conformance", points, NULL, NULL);
}
