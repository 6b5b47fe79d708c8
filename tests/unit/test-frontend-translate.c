/* SPDX-License-Identifier: MIT */
/* What requests of emulated devices come to: passed, translated, blocked, and what is recorded. */
#include "tests/unit/dma-fixture.h"

#include <errno.h>

#include "vtd/state.h"

#define X      UINT64_C(0x4000000000)
#define TARGET UINT64_C(0x1000000000)
#define FEE    UINT64_C(0xfee00000)
#define HAW    46

/* A request of RID_A without PASID to read 8 bytes at X. */
static struct vtd_frontend_dma_request plain(void)
{
        return (struct vtd_frontend_dma_request){
                .rid = RID_A, .access = READ, .address = X, .size = 8};
}

static struct vtd_frontend_dma_request with_pasid(uint32_t pasid)
{
        struct vtd_frontend_dma_request request = plain();

        request.with_pasid = true;
        request.pasid = pasid;
        return request;
}

/* The reason of the only record, after which there is none; 0: nothing was recorded. */
static unsigned take_fault(struct dma *dma)
{
        uint64_t high = read64(dma->guest, VTD_REG_FRCD + 8);
        uint64_t next = read64(dma->guest, VTD_REG_FRCD + VTD_FRCD_SIZE + 8);

        assert_int_equal(next >> 63, 0);
        if (!(high >> 63))
                return 0;
        vtd_frontend_reset(dma->guest->unit); /* for the first record to be the next one again */
        dma->guest->command = 0;
        dma->guest->tail = 0;
        enable_translation(dma->guest);
        return (high >> 32) & 0xff;
}

static unsigned reason_of(struct dma *dma, struct vtd_frontend_dma_request request)
{
        assert_int_equal(translate(dma, &request), VTD_FRONTEND_FAULTED);
        return take_fault(dma);
}

static void switch_off(struct dma *dma)
{
        command(dma->guest, 0, VTD_GCMD_TE);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
}

static void test_impossible_requests_are_refused(void **state)
{
        struct dma *dma = *state;
        struct vtd_frontend_dma_request request = plain();

        put_device(dma, RID_A, 0);
        put_translation(dma, RID_A, 0, VTD_PGTT_PASSTHROUGH, 1, 0, 0);
        assert_int_equal(translate(dma, &request), 0);
        request.access = 0;
        assert_int_equal(translate(dma, &request), -EINVAL);
        request.access = 4 | READ;
        assert_int_equal(translate(dma, &request), -EINVAL);
        request = plain();
        request.size = 0;
        assert_int_equal(translate(dma, &request), -EINVAL);
        request = plain();
        request.address = UINT64_MAX - 7;
        request.size = 9;
        assert_int_equal(translate(dma, &request), -EINVAL);
        request.address = 0;
        request.size = UINT64_MAX;
        assert_int_equal(translate(dma, &request), 0);
        request = plain();
        request.privileged = true;
        assert_int_equal(translate(dma, &request), -EINVAL);
        request = with_pasid(0x100000);
        assert_int_equal(translate(dma, &request), -EINVAL);
        request.with_pasid = false; /* then it does not count */
        assert_int_equal(translate(dma, &request), 0);
        assert_int_equal(take_fault(dma), 0);
        request = plain();
        request.address = UINT64_MAX - 7; /* ends with the address space */
        assert_int_equal(reason_of(dma, request), 0x83);
}

static int refuse_read(void *opaque, uint64_t gpa, void *data, size_t size)
{
        (void)opaque;
        (void)gpa;
        (void)data;
        (void)size;
        return -EFAULT;
}

static int refuse_write(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        (void)opaque;
        (void)gpa;
        (void)data;
        (void)size;
        return -EFAULT;
}

static void ignore_message(void *opaque, uint64_t address, uint32_t data)
{
        (void)opaque;
        (void)address;
        (void)data;
}

static void test_a_unit_without_compare_exchange_translates_nothing(void **state)
{
        const struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        const struct vtd_frontend_callbacks callbacks = {.read_memory = refuse_read,
                                                         .write_memory = refuse_write,
                                                         .send_message = ignore_message};
        const struct vtd_frontend_dma_request request = plain();
        struct vtd_frontend_dma_translation translation;
        struct vtd_frontend_access access;
        struct vtd_frontend *unit;

        (void)state;
        assert_int_equal(vtd_frontend_new(&unit, &config, &callbacks, NULL), 0);
        vtd_frontend_access_begin(unit, &access);
        assert_int_equal(vtd_frontend_translate(unit, &access, &request, &translation), -ENOTSUP);
        vtd_frontend_access_end(unit, &access);
        vtd_frontend_free(unit);
}

/* Blocks that pass: as large as can be without the interrupt range. */
static void expect_passed(struct dma *dma, uint64_t address, uint64_t block, uint64_t size)
{
        struct vtd_frontend_dma_request request = plain();

        request.address = address;
        request.access = ATOMIC;
        request.size = 1;
        assert_int_equal(translate(dma, &request), 0);
        assert_int_equal(dma->translation.address, block);
        assert_int_equal(dma->translation.translated, block);
        assert_int_equal(dma->translation.size, size);
        assert_int_equal(dma->translation.access, ATOMIC);
}

static void expect_identity(struct dma *dma)
{
        expect_passed(dma, 0, 0, BIT(31));
        expect_passed(dma, BIT(31) - 1, 0, BIT(31));
        expect_passed(dma, BIT(31), BIT(31), BIT(30));
        expect_passed(dma, FEE - 1, FEE - BIT(21), BIT(21));
        expect_passed(dma, FEE + BIT(20), FEE + BIT(20), BIT(20));
        expect_passed(dma, 0xffffffff, 0xff000000, BIT(24));
        expect_passed(dma, BIT(32), BIT(32), BIT(32));
        expect_passed(dma, X + 5, X, BIT(38));
}

static void test_requests_pass_unchanged_while_translation_is_off(void **state)
{
        struct dma *dma = *state;
        struct vtd_frontend_dma_request request = with_pasid(5);

        switch_off(dma);
        expect_identity(dma);
        expect_passed(dma, UINT64_MAX, BIT(63), BIT(63));
        assert_int_equal(translate(dma, &request), 0);
        assert_int_equal(dma->translation.translated, X);
        request.address = FEE; /* not memory, whoever asks */
        assert_int_equal(translate(dma, &request), VTD_FRONTEND_FAULTED);
        request = plain();
        request.address = FEE + 0xffffc;
        request.size = 4;
        assert_int_equal(translate(dma, &request), VTD_FRONTEND_FAULTED);
        request.access = WRITE;
        assert_int_equal(translate(dma, &request), VTD_FRONTEND_INTERRUPT);
        request.size = 8;
        assert_int_equal(translate(dma, &request), VTD_FRONTEND_FAULTED);
        assert_int_equal(take_fault(dma), 0);
        assert_int_equal(read32(dma->guest, VTD_REG_FSTS), 0);
}

static void test_the_interrupt_range_is_not_memory(void **state)
{
        struct dma *dma = *state;
        struct vtd_frontend_dma_request request = plain();
        uint64_t root = new_table(dma);

        put_device(dma, RID_A, 0);
        put_translation(dma, RID_A, 0, VTD_PGTT_PASSTHROUGH, 1, 0, 0);
        put_translation(dma, RID_A, 5, VTD_PGTT_FIRST_STAGE, 2, root, 0);
        put_first_stage(dma, root, FEE, PAGE_4K, TARGET);
        request.access = WRITE;
        request.size = 4;
        for (uint64_t address = FEE; address < FEE + BIT(20); address += 0xfffc) {
                request.address = address;
                assert_int_equal(translate(dma, &request), VTD_FRONTEND_INTERRUPT);
        }
        assert_int_equal(take_fault(dma), 0);
        request.address++;
        assert_int_equal(reason_of(dma, request), 0x29);
        request.address--;
        for (request.size = 1; request.size < 4096; request.size *= 2)
                if (request.size != 4)
                        assert_int_equal(reason_of(dma, request), 0x29);
        request.size = 4;
        request.access = READ;
        assert_int_equal(reason_of(dma, request), 0x29);
        request.access = ATOMIC;
        assert_int_equal(reason_of(dma, request), 0x29);
        /* FPD does not matter before any table was read. */
        guest_put64(dma->guest, CONTEXT_LOWER + RID_A * 32, 2);
        assert_int_equal(reason_of(dma, request), 0x29);
        put_device(dma, RID_A, 0);
        /* With a PASID it is an address like others. */
        assert_int_equal(where(dma, RID_A, 5, FEE + 8), TARGET + 8);
        request = with_pasid(0);
        request.address = FEE;
        assert_int_equal(reason_of(dma, request), 0x87);
        request.address = FEE + BIT(20) - 1;
        request.access = WRITE;
        request.size = 1;
        assert_int_equal(reason_of(dma, request), 0x87);
}

static void test_pass_through_ends_with_the_memory_addresses(void **state)
{
        struct dma *dma = *state;
        struct vtd_frontend_dma_request request = plain();

        put_device(dma, RID_A, 0);
        put_translation(dma, RID_A, 0, VTD_PGTT_PASSTHROUGH, 1, 0, 0);
        expect_identity(dma);
        expect_passed(dma, BIT(HAW) - 1, BIT(HAW - 1), BIT(HAW - 1));
        request.address = BIT(HAW);
        assert_int_equal(reason_of(dma, request), 0x83);
        request.address = BIT(63);
        assert_int_equal(reason_of(dma, request), 0x83);
}

static void test_table_modes_other_than_scalable_block(void **state)
{
        static const unsigned modes[][3] = {{0, 0x30, 0x31}, {2, 0x30, 0x30}, {3, 0x30, 0x30}};
        struct dma *dma = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(modes); i++) {
                write64(dma->guest, VTD_REG_RTADDR, ROOT_TABLE | modes[i][0] << 10);
                command(dma->guest, VTD_GCMD_SRTP, 0);
                run_until(dma->guest, VTD_FRONTEND_IDLE);
                assert_int_equal(reason_of(dma, plain()), modes[i][1]);
                write64(dma->guest, VTD_REG_RTADDR, ROOT_TABLE | modes[i][0] << 10);
                command(dma->guest, VTD_GCMD_SRTP, 0);
                run_until(dma->guest, VTD_FRONTEND_IDLE);
                assert_int_equal(reason_of(dma, with_pasid(1)), modes[i][2]);
        }
}

/* What is wrong on the way to a PASID-table entry, and whether FPD of one on the way hides it. */
static void test_entries_are_judged_on_the_way(void **state)
{
        const uint64_t root = ROOT_TABLE, context = CONTEXT_LOWER + RID_A * 32;
        const uint64_t directory = directory_of(RID_A), entry = pasid_entry_of(RID_A, 0);
        const struct {
                uint64_t at, value; /* 0 leaves it as it is, FAULTED is an empty entry */
                bool pasid;
                unsigned reason;
                bool hidden;
        } cases[] = {
                {root, FAULTED, false, 0x39, false},
                {root, BIT(HAW) | 1, false, 0x3a, false},
                {root, GUEST_MEMORY | 1, false, 0x40, false},
                {context, FAULTED, false, 0x41, true},
                {context, directory | 0x10 | 8 | 1, false, 0x42, true},
                {context, directory | 1, true, 0x45, true},
                {context + 8, 0x2000, false, 0x48, true},
                {context, GUEST_MEMORY | 8 | 1, false, 0x50, false},
                {directory, FAULTED, false, 0x51, true},
                {directory, 4 | 1, false, 0x52, true},
                {directory, GUEST_MEMORY | 1, false, 0x58, false},
                {entry, FAULTED, false, 0x59, true},
                {entry, 0x20 | 1, false, 0x5a, true},
                {entry, 5 << 6 | 1, false, 0x5b, true},
                {0, 0, false, 0x71, true},
        };
        struct dma *dma = *state;
        uint64_t table = new_table(dma);

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                uint64_t value = cases[i].value == FAULTED ? 0 : cases[i].value;

                for (unsigned fpd = 0; fpd < 2; fpd++) {
                        struct vtd_frontend_dma_request request =
                                cases[i].pasid ? with_pasid(0) : plain();

                        put_device(dma, RID_A, 0);
                        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 1, table, 0);
                        invalidate_and_wait(dma, PC_GLOBAL);
                        if (cases[i].at != 0)
                                guest_put64(dma->guest, cases[i].at, value);
                        if (fpd) /* of the context entry, whatever else it says */
                                guest_put64(dma->guest, context,
                                            guest_get64(dma->guest, context) | 2);
                        assert_int_equal(reason_of(dma, request),
                                         fpd && cases[i].hidden ? 0 : cases[i].reason);
                }
        }
        guest_put64(dma->guest, directory, BIT(1));
        put_device(dma, RID_A, 0);
        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 1, table, 0);
        invalidate_and_wait(dma, PC_GLOBAL);
        guest_put64(dma->guest, entry, guest_get64(dma->guest, entry) | 2);
        assert_int_equal(reason_of(dma, plain()), 0);
        assert_int_equal(reason_of(dma, plain()), 0); /* the kept entry has it as well */
        assert_int_equal(reason_of(dma, with_pasid(0x2000)), 0x46);
}

/* Every field of a record, for every kind of request. */
static void test_records_say_what_was_asked(void **state)
{
        static const struct {
                bool with_pasid, privileged;
                uint32_t pasid;
                unsigned access;
                uint64_t source, reason; /* bits of the third and the fourth dword */
        } cases[] = {
                {false, false, 0, WRITE, 0, 0},
                {false, false, 0, READ, 0, BIT(30)},
                {false, false, 0, ATOMIC, BIT(28), BIT(30)},
                {true, false, 0, READ, BIT(31), BIT(30)},
                {true, false, 0x1abc, WRITE, BIT(31), 0x1abc << 8},
                {true, false, 0xfffff, READ, BIT(31), BIT(30) | 0xfffff << 8},
                {true, true, 0x12, ATOMIC, BIT(31) | BIT(29) | BIT(28), BIT(30) | 0x12 << 8},
        };
        struct dma *dma = *state;

        /* RID_PASID is not what a request without PASID had. */
        put_device(dma, RID_B, 0x7);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                const struct vtd_frontend_dma_request request = {
                        .rid = RID_B,
                        .with_pasid = cases[i].with_pasid,
                        .pasid = cases[i].pasid,
                        .privileged = cases[i].privileged,
                        .access = cases[i].access,
                        .address = UINT64_C(0xfedcba9876543210),
                        .size = 8,
                };
                unsigned reason = cases[i].pasid >= 0x2000 ? 0x46
                                  : cases[i].pasid < 64    ? 0x59
                                                           : 0x51;
                unsigned at = VTD_REG_FRCD + (unsigned)i * VTD_FRCD_SIZE;

                assert_int_equal(translate(dma, &request), VTD_FRONTEND_FAULTED);
                assert_int_equal(read64(dma->guest, at), UINT64_C(0xfedcba9876543000));
                assert_int_equal(read32(dma->guest, at + 8), RID_B | cases[i].source);
                assert_int_equal(read32(dma->guest, at + 12), BIT(31) | cases[i].reason | reason);
        }
        assert_int_equal(read32(dma->guest, VTD_REG_FSTS), VTD_FSTS_PPF);
}

static void test_faults_raise_the_event_and_are_counted(void **state)
{
        struct dma *dma = *state;
        const struct vtd_frontend_dma_request request = plain();
        struct vtd_frontend_stats stats;
        unsigned messages;

        write32(dma->guest, VTD_REG_FEADDR, 0xfee01000);
        write32(dma->guest, VTD_REG_FEDATA, 0x41);
        write32(dma->guest, VTD_REG_FECTL, 0);
        messages = dma->guest->messages;
        for (unsigned i = 0; i < 10; i++)
                assert_int_equal(translate(dma, &request), VTD_FRONTEND_FAULTED);
        assert_int_equal(dma->guest->messages, messages + 1);
        assert_int_equal(dma->guest->message_address, 0xfee01000);
        assert_int_equal(dma->guest->message_data, 0x41);
        assert_int_equal(read32(dma->guest, VTD_REG_FSTS), VTD_FSTS_PPF | VTD_FSTS_PFO);
        vtd_frontend_get_stats(dma->guest->unit, &stats);
        assert_int_equal(stats.faults, 10);
        clear_faults(dma->guest);
        assert_int_equal(translate(dma, &request), VTD_FRONTEND_FAULTED);
        assert_int_equal(dma->guest->messages, messages + 2);
}

static void reset_unit(struct guest *guest, uint64_t gpa)
{
        (void)gpa;
        guest->after_read = NULL;
        vtd_frontend_reset(guest->unit);
}

/* A request that was under way when the unit was reset leaves nothing in the new registers. */
static void test_a_reset_takes_the_faults_of_earlier_requests_along(void **state)
{
        struct dma *dma = *state;
        const struct vtd_frontend_dma_request request = plain();

        dma->guest->after_read = reset_unit;
        assert_int_equal(translate(dma, &request), VTD_FRONTEND_FAULTED);
        assert_null(dma->guest->after_read);
        assert_int_equal(read32(dma->guest, VTD_REG_FSTS), 0);
        assert_int_equal(read64(dma->guest, VTD_REG_FRCD + 8), 0);
}

static void expect_block(struct dma *dma, const struct vtd_frontend_dma_request *request,
                         uint64_t translated, uint64_t size)
{
        /* The second time from the cache. */
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(translate(dma, request), 0);
                assert_int_equal(dma->translation.address, request->address & ~(size - 1));
                assert_int_equal(dma->translation.translated, translated);
                assert_int_equal(dma->translation.size, size);
                assert_int_equal(dma->translation.access, ATOMIC);
        }
}

static void test_blocks_are_as_large_as_the_pages_and_clear_of_interrupts(void **state)
{
        struct dma *dma = *state;
        uint64_t root = new_table(dma), nested = new_table(dma), second = new_table(dma);
        struct vtd_frontend_dma_request request = plain();

        put_device(dma, RID_A, 0);
        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 1, root, 0);
        put_translation(dma, RID_A, 1, VTD_PGTT_NESTED, 2, nested, dma->second_stage_same);
        put_translation(dma, RID_A, 2, VTD_PGTT_SECOND_STAGE, 3, 0, second);
        put_first_stage(dma, root, X, PAGE_4K, TARGET);
        put_first_stage(dma, root, X + BIT(21), PAGE_2M, TARGET + BIT(21));
        put_first_stage(dma, root, X + BIT(30), PAGE_1G, TARGET + BIT(30));
        put_first_stage(dma, root, X + 2 * BIT(30), PAGE_1G, UINT64_C(0xc0000000));
        put_first_stage(dma, nested, X, PAGE_1G, TARGET);
        put_second_stage(dma, second, X, PAGE_2M, TARGET);
        request.address = X + 0xff8;
        expect_block(dma, &request, TARGET, BIT(12));
        request.address = X + BIT(21) + 0x123456;
        expect_block(dma, &request, TARGET + BIT(21), BIT(21));
        request.address = X + BIT(30) + 0x12345678;
        expect_block(dma, &request, TARGET + BIT(30), BIT(30));
        /* The interrupt range lies in the third GiB's middle. */
        request.address = X + 2 * BIT(30) + 0x3edfffff;
        request.size = BIT(21);
        expect_block(dma, &request, FEE - BIT(21), BIT(21));
        request.address = X + 2 * BIT(30) + 0x3ef00000;
        expect_block(dma, &request, FEE + BIT(20), BIT(12));
        request.address = X + 2 * BIT(30) + 0x3ee00000;
        request.access = WRITE;
        assert_int_equal(translate(dma, &request), VTD_FRONTEND_FAULTED);
        request.access = ATOMIC;
        request.with_pasid = true;
        request.pasid = 1;
        request.address = X + 0x12345678;
        expect_block(dma, &request, TARGET, BIT(30));
        request.pasid = 2;
        request.address = X + 0x145678;
        expect_block(dma, &request, TARGET, BIT(21));
        assert_int_equal(read64(dma->guest, VTD_REG_FRCD + 8) >> 32 & 0xff, 0x87);
}

/* What the entry says of supervisors holds for all types, and for what other entries had kept. */
static void test_supervisor_requests_need_the_entry_and_the_page(void **state)
{
        struct dma *dma = *state;
        uint64_t root = new_table(dma), leaf, sre = BIT(0);
        struct vtd_frontend_dma_request request = with_pasid(1);

        put_device(dma, RID_A, 0);
        put_device(dma, RID_B, 0);
        leaf = put_first_stage(dma, root, X, PAGE_4K, TARGET);
        put_translation(dma, RID_A, 1, VTD_PGTT_FIRST_STAGE, 1, root | sre, 0);
        put_translation(dma, RID_B, 1, VTD_PGTT_FIRST_STAGE, 1, root, 0);
        put_translation(dma, RID_A, 2, VTD_PGTT_PASSTHROUGH, 2, 0, 0);
        put_translation(dma, RID_A, 3, VTD_PGTT_PASSTHROUGH, 2, sre, 0);
        guest_put64(dma->guest, leaf, TARGET | 0x63); /* the supervisor's */
        request.privileged = true;
        assert_int_equal(translate(dma, &request), 0);
        request.rid = RID_B;
        assert_int_equal(reason_of(dma, request), 0x5d);
        request.rid = RID_A;
        assert_int_equal(translate(dma, &request), 0);
        request.privileged = false;
        assert_int_equal(reason_of(dma, request), 0x81);
        request.privileged = true;
        request.pasid = 2;
        assert_int_equal(reason_of(dma, request), 0x5d);
        request.pasid = 3;
        assert_int_equal(translate(dma, &request), 0);
        request.pasid = 2;
        request.privileged = false;
        assert_int_equal(translate(dma, &request), 0);
}

/* PASID 0 with a prefix is not the same request as none, but has the same tag where RID_PASID is 0. */
static void test_requests_with_and_without_pasid_are_told_apart(void **state)
{
        struct dma *dma = *state;
        uint64_t zero = new_table(dma), seven = new_table(dma);
        uint64_t context = CONTEXT_LOWER + RID_A * 32;

        put_device(dma, RID_A, 7);
        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 1, zero, 0);
        put_translation(dma, RID_A, 7, VTD_PGTT_FIRST_STAGE, 1, seven, 0);
        put_first_stage(dma, zero, X, PAGE_4K, TARGET);
        put_first_stage(dma, seven, X, PAGE_4K, TARGET + BIT(30));
        assert_int_equal(where(dma, RID_A, 0, X), TARGET);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), TARGET + BIT(30));
        assert_int_equal(where(dma, RID_A, 7, X), TARGET + BIT(30));
        guest_put64(dma->guest, context, directory_of(RID_A) | 1); /* no PASIDE */
        invalidate_and_wait(dma, CC_DEVICE(RID_A, 0));
        assert_int_equal(where(dma, RID_A, NO_PASID, X), TARGET + BIT(30));
        assert_int_equal(reason_of(dma, with_pasid(0)), 0x45);
}

/* In another unit, at once; a recorded fault has its address there, too. */
static void test_a_restored_unit_translates(void **state)
{
        struct dma *dma = *state;
        const struct vtd_frontend_config config = dma->guest->unit->config;
        uint64_t root = new_table(dma);
        uint8_t bytes[512];
        uint64_t fault[2];
        size_t size;

        put_device(dma, RID_A, 0);
        put_translation(dma, RID_A, 0, 1, 1, root, 0);
        put_first_stage(dma, root, X, PAGE_4K, TARGET);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), TARGET);
        assert_int_equal(where(dma, RID_A, NO_PASID, X + VTD_PAGE_SIZE), FAULTED);
        fault[0] = read64(dma->guest, VTD_REG_FRCD);
        fault[1] = read64(dma->guest, VTD_REG_FRCD + 8);
        assert_int_equal(fault[0], X + VTD_PAGE_SIZE);
        assert_int_equal(fault[1] >> 63, 1);
        assert_int_equal(vtd_frontend_save(dma->guest->unit, bytes, sizeof(bytes), &size), 0);
        guest_configure(dma->guest, &config, 7);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), X);
        assert_int_equal(vtd_frontend_restore(dma->guest->unit, bytes, size), 0);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), TARGET);
        assert_int_equal(read64(dma->guest, VTD_REG_FRCD), fault[0]);
        assert_int_equal(read64(dma->guest, VTD_REG_FRCD + 8), fault[1]);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), TARGET);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                DMA_TEST(test_impossible_requests_are_refused),
                cmocka_unit_test(test_a_unit_without_compare_exchange_translates_nothing),
                DMA_TEST(test_requests_pass_unchanged_while_translation_is_off),
                DMA_TEST(test_the_interrupt_range_is_not_memory),
                DMA_TEST(test_pass_through_ends_with_the_memory_addresses),
                DMA_TEST(test_table_modes_other_than_scalable_block),
                DMA_TEST(test_entries_are_judged_on_the_way),
                DMA_TEST(test_records_say_what_was_asked),
                DMA_TEST(test_faults_raise_the_event_and_are_counted),
                DMA_TEST(test_a_reset_takes_the_faults_of_earlier_requests_along),
                DMA_TEST(test_blocks_are_as_large_as_the_pages_and_clear_of_interrupts),
                DMA_TEST(test_supervisor_requests_need_the_entry_and_the_page),
                DMA_TEST(test_requests_with_and_without_pasid_are_told_apart),
                DMA_TEST(test_a_restored_unit_translates),
        };

        return cmocka_run_group_tests_name("frontend-translate", tests, NULL, NULL);
}
