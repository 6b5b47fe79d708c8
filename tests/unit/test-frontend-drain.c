/* SPDX-License-Identifier: MIT */
/* Nothing is completed for the guest before the accesses have ended that may use what was dropped. */
#include "tests/unit/dma-fixture.h"

#define X     UINT64_C(0x4000000000)
#define OLD   UINT64_C(0x1000000000)
#define NEWER UINT64_C(0x2000000000)

static const struct vtd_frontend_dma_request request = {
        .rid = RID_A, .access = READ, .address = X, .size = 8};

static void begin(struct dma *dma, struct vtd_frontend_access *access)
{
        vtd_frontend_access_begin(dma->guest->unit, access);
}

static void end(struct dma *dma, struct vtd_frontend_access *access)
{
        vtd_frontend_access_end(dma->guest->unit, access);
}

static uint64_t where_in(struct dma *dma, const struct vtd_frontend_access *access)
{
        assert_int_equal(translate_in(dma, access, &request), 0);
        return dma->translation.translated;
}

/* A page at X of RID_A, domain 1; returns where its entry is. */
static uint64_t map(struct dma *dma)
{
        uint64_t root = new_table(dma);

        put_device(dma, RID_A, 0);
        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 1, root, 0);
        return put_first_stage(dma, root, X, PAGE_4K, OLD);
}

static void queue_and_wait(struct dma *dma, uint32_t status, uint64_t first, uint64_t second)
{
        queue_descriptor(dma->guest, first, second);
        queue_descriptor(dma->guest, WAIT_STATUS(status));
        kick(dma->guest);
}

static void test_a_wait_completes_after_the_accesses_that_were_under_way(void **state)
{
        struct dma *dma = *state;
        uint64_t leaf = map(dma), reads;
        struct vtd_frontend_access access;

        begin(dma, &access);
        assert_int_equal(where_in(dma, &access), OLD);
        guest_put64(dma->guest, leaf, NEWER | 0x67);
        assert_int_equal(where_in(dma, &access), OLD);
        queue_and_wait(dma, 1, PIOTLB_PAGE(1, 0, X));
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        assert_int_equal(guest_get32(dma->guest, STATUS), 0);
        assert_int_equal(read32(dma->guest, VTD_REG_IQH), dma->guest->tail - 32);
        assert_int_equal(where_in(dma, &access), NEWER);
        /* Trying again costs nothing, and helps nothing. */
        reads = dma->guest->reads;
        for (unsigned i = 0; i < 1000; i++)
                assert_int_equal(vtd_frontend_run(dma->guest->unit, i & 1 ? 0 : BUDGET),
                                 VTD_FRONTEND_PENDING);
        assert_int_equal(dma->guest->reads, reads);
        assert_int_equal(guest_get32(dma->guest, STATUS), 0);
        end(dma, &access);
        assert_int_equal(vtd_frontend_run(dma->guest->unit, 0), VTD_FRONTEND_IDLE);
        assert_int_equal(guest_get32(dma->guest, STATUS), 1);
}

static void test_later_accesses_do_not_hold_it_up(void **state)
{
        struct dma *dma = *state;
        struct vtd_frontend_access accesses[2];
        uint64_t leaf = map(dma);

        /* One is always under way, and never the same for long. */
        begin(dma, &accesses[0]);
        for (uint32_t i = 1; i < 20; i++) {
                struct vtd_frontend_access *old = &accesses[~i & 1], *newer = &accesses[i & 1];
                uint64_t target = OLD + (i << 12);

                guest_put64(dma->guest, leaf, target | 0x67);
                queue_and_wait(dma, i, PIOTLB_ALL(1, 0));
                run_until(dma->guest, VTD_FRONTEND_PENDING);
                begin(dma, newer);
                assert_int_equal(where_in(dma, newer), target);
                run_until(dma->guest, VTD_FRONTEND_PENDING);
                assert_int_equal(guest_get32(dma->guest, STATUS), i - 1);
                end(dma, old);
                run_until(dma->guest, VTD_FRONTEND_IDLE);
                assert_int_equal(guest_get32(dma->guest, STATUS), i);
        }
        end(dma, &accesses[1]);
}

static void test_each_access_that_was_under_way_is_waited_for(void **state)
{
        struct dma *dma = *state;
        struct vtd_frontend_access accesses[5];

        map(dma);
        for (unsigned i = 0; i < 5; i++)
                begin(dma, &accesses[i]);
        queue_and_wait(dma, 1, PC_GLOBAL);
        for (unsigned i = 0; i < 5; i++) {
                run_until(dma->guest, VTD_FRONTEND_PENDING);
                end(dma, &accesses[(i + 2) % 5]);
        }
        assert_int_equal(guest_get32(dma->guest, STATUS), 0);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest_get32(dma->guest, STATUS), 1);
}

/* Every descriptor that drops something makes the next wait drain, and only those. */
static void test_only_invalidations_make_a_wait_drain(void **state)
{
        static const struct {
                uint64_t first, second;
                bool drains;
        } cases[] = {
                {CC_GLOBAL, true},          {CC_DEVICE(RID_B, 0), true},
                {PC_DOMAIN(9), true},       {IOTLB_GLOBAL, true},
                {IOTLB_DOMAIN(9), true},    {IOTLB_PAGE(9, 0), true},
                {PIOTLB_ALL(9, 0), true},   {PIOTLB_PAGE(9, 0, 0), true},
                {UINT64_C(0x45), 0, false}, /* a fence */
                {UINT64_C(0x4), 0, false},  /* interrupt entries */
        };
        struct dma *dma = *state;

        map(dma);
        for (uint32_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                struct vtd_frontend_access access;

                begin(dma, &access);
                queue_and_wait(dma, i + 1, cases[i].first, cases[i].second);
                run_until(dma->guest, cases[i].drains ? VTD_FRONTEND_PENDING : VTD_FRONTEND_IDLE);
                assert_int_equal(guest_get32(dma->guest, STATUS), cases[i].drains ? i : i + 1);
                end(dma, &access);
                run_until(dma->guest, VTD_FRONTEND_IDLE);
                assert_int_equal(guest_get32(dma->guest, STATUS), i + 1);
        }
}

static void test_invalidations_alone_hold_nothing_up(void **state)
{
        struct dma *dma = *state;
        struct vtd_frontend_access access;

        map(dma);
        begin(dma, &access);
        invalidate(dma->guest, IOTLB_GLOBAL);
        invalidate(dma->guest, PC_GLOBAL);
        queue_descriptor(dma->guest, WAIT_STATUS(1));
        kick(dma->guest);
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        assert_int_equal(guest_get32(dma->guest, STATUS), 0);
        end(dma, &access);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest_get32(dma->guest, STATUS), 1);
}

/* The interrupt of a wait, and the error of a bad descriptor, which a guest may take for its end. */
static void test_events_wait_too(void **state)
{
        struct dma *dma = *state;
        struct vtd_frontend_access access;

        map(dma);
        write32(dma->guest, VTD_REG_IECTL, 0);
        write32(dma->guest, VTD_REG_FECTL, 0);
        dma->guest->messages = 0;
        begin(dma, &access);
        queue_descriptor(dma->guest, IOTLB_GLOBAL);
        queue_descriptor(dma->guest, 0x15, 0);
        kick(dma->guest);
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        assert_int_equal(dma->guest->messages, 0);
        assert_int_equal(read32(dma->guest, VTD_REG_ICS), 0);
        end(dma, &access);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        assert_int_equal(dma->guest->messages, 1);
        assert_int_equal(read32(dma->guest, VTD_REG_ICS), 1);
        begin(dma, &access);
        queue_descriptor(dma->guest, IOTLB_GLOBAL);
        queue_descriptor(dma->guest, 0xf, 0);
        kick(dma->guest);
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        assert_int_equal(read32(dma->guest, VTD_REG_FSTS), 0);
        end(dma, &access);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(dma->guest, VTD_REG_FSTS), VTD_FSTS_IQE);
        assert_int_equal(dma->guest->messages, 2);
}

static void expect_command_to_wait(struct dma *dma, uint32_t set, uint32_t clear, uint32_t before,
                                   uint32_t after)
{
        struct vtd_frontend_access access;

        begin(dma, &access);
        command(dma->guest, set, clear);
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        assert_int_equal(read32(dma->guest, VTD_REG_GSTS), before);
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        assert_int_equal(read32(dma->guest, VTD_REG_GSTS), before);
        end(dma, &access);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(dma->guest, VTD_REG_GSTS), after);
}

static void test_commands_show_after_the_accesses_that_were_under_way(void **state)
{
        const uint32_t all = VTD_GCMD_TE | VTD_GCMD_SRTP | VTD_GCMD_QIE;
        struct dma *dma = *state;
        struct vtd_frontend_access access;

        map(dma);
        expect_command_to_wait(dma, 0, VTD_GCMD_TE, all, VTD_GCMD_SRTP | VTD_GCMD_QIE);
        expect_command_to_wait(dma, VTD_GCMD_TE, 0, VTD_GCMD_SRTP | VTD_GCMD_QIE, all);
        expect_command_to_wait(dma, VTD_GCMD_SRTP, 0, VTD_GCMD_TE | VTD_GCMD_QIE, all);
        /* The queue has nothing to do with accesses. */
        begin(dma, &access);
        command(dma->guest, 0, VTD_GCMD_QIE);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(dma->guest, VTD_REG_GSTS), VTD_GCMD_TE | VTD_GCMD_SRTP);
        end(dma, &access);
}

/* In an access that goes on, what was switched is in force at once. */
static void test_what_is_switched_holds_before_it_shows(void **state)
{
        struct dma *dma = *state;
        struct vtd_frontend_access access;

        map(dma);
        begin(dma, &access);
        assert_int_equal(where_in(dma, &access), OLD);
        command(dma->guest, 0, VTD_GCMD_TE);
        assert_int_equal(where_in(dma, &access), OLD);
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        assert_int_equal(translate_in(dma, &access, &request), 0);
        assert_int_equal(dma->translation.translated, dma->translation.address);
        end(dma, &access);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
}

/* A reset between: what was to be waited for still is, with what the reset dropped. */
static void test_a_reset_forgets_no_access(void **state)
{
        struct dma *dma = *state;
        struct vtd_frontend_access old, newer;

        map(dma);
        begin(dma, &old);
        queue_and_wait(dma, 1, IOTLB_GLOBAL);
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        begin(dma, &newer);
        vtd_frontend_reset(dma->guest->unit);
        dma->guest->command = 0;
        dma->guest->tail = 0;
        assert_int_equal(guest_get32(dma->guest, STATUS), 0);
        write64(dma->guest, VTD_REG_RTADDR, ROOT_TABLE | 0x400);
        command(dma->guest, VTD_GCMD_SRTP, 0);
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        end(dma, &old);
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        assert_int_equal(read32(dma->guest, VTD_REG_GSTS), 0);
        end(dma, &newer);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(dma->guest, VTD_REG_GSTS), VTD_GCMD_SRTP);
        assert_int_equal(guest_get32(dma->guest, STATUS), 0);
}

/* Nothing completes for the guest after a reset, but the VMM takes IDLE for the end of accesses. */
static void test_a_reset_is_over_with_the_accesses_before_it(void **state)
{
        struct dma *dma = *state;
        struct vtd_frontend_access old, newer;

        map(dma);
        begin(dma, &old);
        assert_int_equal(where_in(dma, &old), OLD);
        vtd_frontend_reset(dma->guest->unit);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(vtd_frontend_run(dma->guest->unit, i), VTD_FRONTEND_PENDING);
        begin(dma, &newer);
        end(dma, &old);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        end(dma, &newer);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                DMA_TEST(test_a_wait_completes_after_the_accesses_that_were_under_way),
                DMA_TEST(test_later_accesses_do_not_hold_it_up),
                DMA_TEST(test_each_access_that_was_under_way_is_waited_for),
                DMA_TEST(test_only_invalidations_make_a_wait_drain),
                DMA_TEST(test_invalidations_alone_hold_nothing_up),
                DMA_TEST(test_events_wait_too),
                DMA_TEST(test_commands_show_after_the_accesses_that_were_under_way),
                DMA_TEST(test_what_is_switched_holds_before_it_shows),
                DMA_TEST(test_a_reset_forgets_no_access),
                DMA_TEST(test_a_reset_is_over_with_the_accesses_before_it),
        };

        return cmocka_run_group_tests_name("frontend-drain", tests, NULL, NULL);
}
