/* SPDX-License-Identifier: MIT */
/* Who keeps translations is told of what concerns them, all of it, in time, and of little else. */
#include "tests/unit/dma-fixture.h"

#include <errno.h>

#include "frontend/dma/watch.h"
#include "vtd/state.h"

#define RID_C 0x0010u
#define X     UINT64_C(0x4000000000)
#define OLD   UINT64_C(0x1000000000)

#define EVERYTHING UINT64_MAX /* a size: told as 0 bytes from 0 */
#define NOTHING    0

/* What one watch was told since it was looked at last. */
struct told {
        struct dma *dma;
        unsigned calls;
        uint64_t address, size;
        uint32_t status; /* in guest memory at that time */
};

static void invalidated(void *opaque, uint64_t address, uint64_t size)
{
        struct told *told = opaque;

        told->calls++;
        told->address = address;
        told->size = size;
        told->status = guest_get32(told->dma->guest, STATUS);
        /* A thread with a fault to record may be waited for here. */
        assert_int_equal(pthread_mutex_trylock(&told->dma->guest->unit->lock), 0);
        assert_int_equal(pthread_mutex_unlock(&told->dma->guest->unit->lock), 0);
}

static void expect_told(struct told *told, uint64_t address, uint64_t size)
{
        assert_int_equal(told->calls, size == NOTHING ? 0 : 1);
        if (size != NOTHING) {
                assert_int_equal(told->address, address);
                assert_int_equal(told->size, size == EVERYTHING ? 0 : size);
        }
        told->calls = 0;
}

static int watch(struct dma *dma, unsigned rid, uint32_t pasid, struct told *told)
{
        told->dma = dma;
        return vtd_frontend_watch(dma->guest->unit, (uint16_t)rid, pasid != NO_PASID,
                                  pasid == NO_PASID ? 0 : pasid, invalidated, told);
}

static int unwatch(struct dma *dma, unsigned rid, uint32_t pasid)
{
        return vtd_frontend_unwatch(dma->guest->unit, (uint16_t)rid, pasid != NO_PASID,
                                    pasid == NO_PASID ? 0 : pasid);
}

/* RID_A without PASID is first-stage in domain 1, RID_A PASID 5 pass-through in domain 2, RID_B
 * second-stage in domain 3, RID_B PASID 6 nested in domain 4; X is mapped. */
static void map(struct dma *dma)
{
        uint64_t first = new_table(dma), second = new_table(dma), nested = new_table(dma);

        put_device(dma, RID_A, 0);
        put_device(dma, RID_B, 0);
        put_device(dma, RID_C, 0);
        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 1, first, 0);
        put_translation(dma, RID_A, 5, VTD_PGTT_PASSTHROUGH, 2, 0, 0);
        put_translation(dma, RID_B, 0, VTD_PGTT_SECOND_STAGE, 3, 0, second);
        put_translation(dma, RID_B, 6, VTD_PGTT_NESTED, 4, nested, dma->second_stage_same);
        put_first_stage(dma, first, X, PAGE_4K, OLD);
        put_second_stage(dma, second, X, PAGE_4K, OLD);
        put_first_stage(dma, nested, X, PAGE_4K, OLD);
}

static void test_the_table_of_watches(void **state)
{
        struct dma *dma = *state;
        struct told told[VTD_FRONTEND_WATCHES + 1] = {{.calls = 0}};

        assert_int_equal(watch(dma, RID_A, 0x100000, &told[0]), -EINVAL);
        assert_int_equal(watch(dma, RID_A, NO_PASID, &told[0]), 0);
        assert_int_equal(watch(dma, RID_A, NO_PASID, &told[1]), -EEXIST);
        for (uint32_t i = 1; i < VTD_FRONTEND_WATCHES; i++)
                assert_int_equal(watch(dma, RID_A, i - 1, &told[i]), 0);
        assert_int_equal(watch(dma, RID_B, NO_PASID, &told[VTD_FRONTEND_WATCHES]), -ENOSPC);
        command(dma->guest, VTD_GCMD_SRTP, 0);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        for (uint32_t i = 0; i < VTD_FRONTEND_WATCHES; i++)
                expect_told(&told[i], 0, EVERYTHING);
        assert_int_equal(unwatch(dma, RID_A, 0x100000), -ENOENT);
        assert_int_equal(unwatch(dma, RID_A, 0xfffff), -ENOENT);
        assert_int_equal(unwatch(dma, RID_B, 0), -ENOENT);
        assert_int_equal(unwatch(dma, RID_A, 7), 0);
        assert_int_equal(unwatch(dma, RID_A, 7), -ENOENT);
        assert_int_equal(watch(dma, RID_B, NO_PASID, &told[VTD_FRONTEND_WATCHES]), 0);
        assert_int_equal(watch(dma, RID_B, 0, &told[8]), -ENOSPC);
        command(dma->guest, 0, VTD_GCMD_TE);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        for (uint32_t i = 0; i <= VTD_FRONTEND_WATCHES; i++)
                expect_told(&told[i], 0, i == 8 ? NOTHING : EVERYTHING);
        for (uint32_t i = 1; i < VTD_FRONTEND_WATCHES; i++)
                assert_int_equal(unwatch(dma, RID_A, i - 1), i == 8 ? -ENOENT : 0);
        assert_int_equal(unwatch(dma, RID_A, NO_PASID), 0);
        assert_int_equal(unwatch(dma, RID_B, NO_PASID), 0);
}

enum {
        FIRST,
        PASS,
        SECOND,
        NESTED,
        IDLE, /* was never given anything */
        WATCHES,
};

static const struct {
        unsigned rid;
        uint32_t pasid;
} watched[WATCHES] = {
        [FIRST] = {RID_A, NO_PASID}, [PASS] = {RID_A, 5},        [SECOND] = {RID_B, NO_PASID},
        [NESTED] = {RID_B, 6},       [IDLE] = {RID_C, NO_PASID},
};

static void test_watches_are_told_of_what_concerns_them(void **state)
{
        static const struct {
                uint64_t first, second;
                uint64_t address;
                uint64_t sizes[WATCHES];
        } cases[] = {
                {CC_GLOBAL, 0, {EVERYTHING, EVERYTHING, EVERYTHING, EVERYTHING}},
                {CC_DEVICE(RID_A, 0), 0, {EVERYTHING, EVERYTHING}},
                {CC_DEVICE(RID_A ^ 4, 1), 0, {EVERYTHING, EVERYTHING}},
                {CC_DEVICE(RID_A ^ 2, 1), 0, {NOTHING}},
                {CC_DEVICE(RID_C, 0), 0, {NOTHING}},
                {PC_GLOBAL, 0, {EVERYTHING, EVERYTHING, EVERYTHING, EVERYTHING}},
                {PC_DOMAIN(2), 0, {NOTHING, EVERYTHING}},
                {PC_DOMAIN(3), 0, {NOTHING, NOTHING, EVERYTHING}},
                {PC_PASID(1, 0), 0, {EVERYTHING}},
                {PC_PASID(1, 5), 0, {NOTHING}},
                {PC_PASID(4, 6), 0, {NOTHING, NOTHING, NOTHING, EVERYTHING}},
                {IOTLB_GLOBAL, 0, {EVERYTHING, EVERYTHING, EVERYTHING, EVERYTHING}},
                {IOTLB_DOMAIN(1), 0, {EVERYTHING}},
                {IOTLB_DOMAIN(2), 0, {NOTHING, EVERYTHING}},
                {IOTLB_DOMAIN(3), 0, {NOTHING, NOTHING, EVERYTHING}},
                {IOTLB_DOMAIN(5), 0, {NOTHING}},
                {IOTLB_PAGE(1, X), 0, {EVERYTHING}},
                {IOTLB_PAGE(2, X), X, {NOTHING, 0x1000}},
                {IOTLB_PAGE(3, X + 0x3000), X + 0x3000, {NOTHING, NOTHING, 0x1000}},
                {IOTLB_PAGE(3, (X + 0x3000) | 2), X, {NOTHING, NOTHING, 0x4000}},
                {IOTLB_PAGE(4, X), 0, {NOTHING, NOTHING, NOTHING, EVERYTHING}},
                {PIOTLB_ALL(1, 0), 0, {EVERYTHING}},
                {PIOTLB_ALL(1, 5), 0, {NOTHING}},
                {PIOTLB_ALL(2, 5), 0, {NOTHING, EVERYTHING}},
                {PIOTLB_ALL(3, 0), 0, {NOTHING, NOTHING, EVERYTHING}},
                {PIOTLB_ALL(4, 6), 0, {NOTHING, NOTHING, NOTHING, EVERYTHING}},
                {PIOTLB_PAGE(1, 0, X), X, {0x1000}},
                {PIOTLB_PAGE(1, 0, (X + 0x7000) | 3), X, {0x8000}},
                {PIOTLB_PAGE(1, 0, X | 51), 0, {UINT64_C(1) << 63}},
                {PIOTLB_PAGE(1, 0, X | 52), 0, {EVERYTHING}},
                {PIOTLB_PAGE(1, 0, X | 63), 0, {EVERYTHING}},
                {PIOTLB_PAGE(4, 6, X), X, {NOTHING, NOTHING, NOTHING, 0x1000}},
                {PIOTLB_PAGE(2, 5, X), 0, {NOTHING}},
                {PIOTLB_PAGE(3, 0, X), 0, {NOTHING}},
        };
        struct dma *dma = *state;
        struct told told[WATCHES] = {{.calls = 0}};

        map(dma);
        for (size_t w = 0; w < WATCHES; w++)
                assert_int_equal(watch(dma, watched[w].rid, watched[w].pasid, &told[w]), 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                for (size_t w = 0; w < IDLE; w++)
                        assert_int_equal(where(dma, watched[w].rid, watched[w].pasid, X),
                                         w == PASS ? X : OLD);
                invalidate_and_wait(dma, cases[i].first, cases[i].second);
                for (size_t w = 0; w < WATCHES; w++)
                        expect_told(&told[w], cases[i].address, cases[i].sizes[w]);
        }
}

static void test_commands_reset_and_restore_are_told_to_all(void **state)
{
        struct dma *dma = *state;
        struct told told = {.calls = 0};
        uint8_t bytes[512];
        size_t size;

        assert_int_equal(watch(dma, RID_C, NO_PASID, &told), 0);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        expect_told(&told, 0, NOTHING); /* nothing of what was before */
        command(dma->guest, VTD_GCMD_SRTP, 0);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        expect_told(&told, 0, EVERYTHING);
        command(dma->guest, 0, VTD_GCMD_TE);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        expect_told(&told, 0, EVERYTHING);
        command(dma->guest, VTD_GCMD_TE, 0);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        expect_told(&told, 0, EVERYTHING);
        command(dma->guest, 0, VTD_GCMD_QIE);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        expect_told(&told, 0, NOTHING);
        vtd_frontend_reset(dma->guest->unit);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        expect_told(&told, 0, EVERYTHING);
        assert_int_equal(vtd_frontend_save(dma->guest->unit, bytes, sizeof(bytes), &size), 0);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        expect_told(&told, 0, NOTHING);
        assert_int_equal(vtd_frontend_restore(dma->guest->unit, bytes, size), 0);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        expect_told(&told, 0, EVERYTHING);
}

/* After the drain, because an access may hand on what it was given; before the guest can know. */
static void test_they_are_told_between_drain_and_completion(void **state)
{
        struct dma *dma = *state;
        struct told told = {.calls = 0};
        struct vtd_frontend_access access;

        map(dma);
        assert_int_equal(watch(dma, RID_A, NO_PASID, &told), 0);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
        vtd_frontend_access_begin(dma->guest->unit, &access);
        queue_descriptor(dma->guest, PIOTLB_PAGE(1, 0, X));
        queue_descriptor(dma->guest, WAIT_STATUS(1));
        kick(dma->guest);
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        assert_int_equal(told.calls, 0);
        vtd_frontend_access_end(dma->guest->unit, &access);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        expect_told(&told, X, 0x1000);
        assert_int_equal(told.status, 0);
        assert_int_equal(guest_get32(dma->guest, STATUS), 1);
        /* Without a wait, when there is nothing else to do. */
        invalidate(dma->guest, PIOTLB_PAGE(1, 0, X + 0x1000));
        expect_told(&told, X + 0x1000, 0x1000);
        vtd_frontend_access_begin(dma->guest->unit, &access);
        queue_descriptor(dma->guest, PIOTLB_PAGE(1, 0, X));
        kick(dma->guest);
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        assert_int_equal(told.calls, 0);
        vtd_frontend_access_end(dma->guest->unit, &access);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        expect_told(&told, X, 0x1000);
}

/* What an access is given that was under way: also under a tag that nothing had before. */
static void test_what_is_given_before_the_drain_ends_counts(void **state)
{
        struct dma *dma = *state;
        const struct vtd_frontend_dma_request request = {
                .rid = RID_A, .access = READ, .address = X, .size = 8};
        struct told told = {.calls = 0};
        struct vtd_frontend_access access;

        map(dma);
        assert_int_equal(watch(dma, RID_A, NO_PASID, &told), 0);
        vtd_frontend_access_begin(dma->guest->unit, &access);
        queue_descriptor(dma->guest, PIOTLB_PAGE(1, 0, X));
        queue_descriptor(dma->guest, WAIT_STATUS(1));
        kick(dma->guest);
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        assert_int_equal(translate_in(dma, &access, &request), 0);
        vtd_frontend_access_end(dma->guest->unit, &access);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        expect_told(&told, X, 0x1000);
}

/* Having forgotten everything, a back end is told only of what it was given since; in an access
 * that goes on meanwhile, too. */
static void test_notes_begin_anew_when_everything_is_forgotten(void **state)
{
        struct dma *dma = *state;
        const struct vtd_frontend_dma_request request = {
                .rid = RID_A, .access = READ, .address = X, .size = 8};
        struct told told = {.calls = 0};
        struct vtd_frontend_access old, newer;
        uint64_t first;

        map(dma);
        first = guest_get64(dma->guest, pasid_entry_of(RID_A, 0) + 16);
        assert_int_equal(watch(dma, RID_A, NO_PASID, &told), 0);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
        invalidate_and_wait(dma, PC_GLOBAL);
        expect_told(&told, 0, EVERYTHING);
        invalidate_and_wait(dma, IOTLB_DOMAIN(1));
        expect_told(&told, 0, NOTHING);
        /* The same when what it was given, and what made it forget, lie some drains apart. */
        assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
        invalidate_and_wait(dma, CC_DEVICE(RID_C, 0));
        invalidate_and_wait(dma, PC_GLOBAL);
        expect_told(&told, 0, EVERYTHING);
        invalidate_and_wait(dma, IOTLB_DOMAIN(1));
        expect_told(&told, 0, NOTHING);
        /* Under another domain id the old one concerns it no more. */
        assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 7, first, 0);
        invalidate_and_wait(dma, PC_PASID(1, 0));
        expect_told(&told, 0, EVERYTHING);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
        invalidate_and_wait(dma, PIOTLB_PAGE(1, 0, X));
        expect_told(&told, 0, NOTHING);
        invalidate_and_wait(dma, PIOTLB_PAGE(7, 0, X));
        expect_told(&told, X, 0x1000);
        /* Between the change of the epoch and the telling an access is given something, and keeps it. */
        vtd_frontend_access_begin(dma->guest->unit, &old);
        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 8, first, 0);
        queue_descriptor(dma->guest, PC_GLOBAL);
        queue_descriptor(dma->guest, WAIT_STATUS(0x100));
        kick(dma->guest);
        run_until(dma->guest, VTD_FRONTEND_PENDING);
        vtd_frontend_access_begin(dma->guest->unit, &newer);
        assert_int_equal(translate_in(dma, &newer, &request), 0);
        vtd_frontend_access_end(dma->guest->unit, &old);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        expect_told(&told, 0, EVERYTHING);
        vtd_frontend_access_end(dma->guest->unit, &newer);
        invalidate_and_wait(dma, PIOTLB_PAGE(7, 0, X));
        expect_told(&told, 0, NOTHING);
        invalidate_and_wait(dma, PIOTLB_PAGE(8, 0, X));
        expect_told(&told, X, 0x1000);
}

/* Translations of two entries: whatever is invalidated of the IOTLB may concern one of them. */
static void test_with_several_tags_everything_is_told(void **state)
{
        struct dma *dma = *state;
        struct told told = {.calls = 0};
        uint64_t first;

        map(dma);
        first = guest_get64(dma->guest, pasid_entry_of(RID_A, 0) + 16);
        assert_int_equal(watch(dma, RID_A, NO_PASID, &told), 0);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 7, first, 0);
        /* The entry goes by itself, as it may, and the new one is used without an invalidation. */
        for (uint32_t pasid = 64; pasid < 0x1000; pasid++)
                put_translation(dma, RID_C, pasid, VTD_PGTT_PASSTHROUGH, 9, 0, 0);
        for (uint32_t pasid = 64; pasid < 0x1000; pasid++)
                assert_int_equal(where(dma, RID_C, pasid, X), X);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
        invalidate_and_wait(dma, PIOTLB_PAGE(1, 0, X));
        expect_told(&told, 0, EVERYTHING);
        /* Which was everything: it holds nothing of either now. */
        invalidate_and_wait(dma, PIOTLB_PAGE(7, 0, X));
        expect_told(&told, 0, NOTHING);
}

static void test_many_descriptors_become_everything(void **state)
{
        struct dma *dma = *state;
        struct told told = {.calls = 0};

        map(dma);
        assert_int_equal(watch(dma, RID_A, NO_PASID, &told), 0);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
        for (unsigned i = 0; i < VTD_WATCH_NOTICES; i++)
                queue_descriptor(dma->guest, PIOTLB_PAGE(1, 0, X + i * VTD_PAGE_SIZE));
        kick(dma->guest);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        assert_int_equal(told.calls, VTD_WATCH_NOTICES);
        assert_int_equal(told.size, VTD_PAGE_SIZE);
        told.calls = 0;
        for (unsigned i = 0; i <= VTD_WATCH_NOTICES; i++)
                queue_descriptor(dma->guest, PIOTLB_PAGE(1, 0, X + i * VTD_PAGE_SIZE));
        kick(dma->guest);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        expect_told(&told, 0, EVERYTHING);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                DMA_TEST(test_the_table_of_watches),
                DMA_TEST(test_watches_are_told_of_what_concerns_them),
                DMA_TEST(test_commands_reset_and_restore_are_told_to_all),
                DMA_TEST(test_they_are_told_between_drain_and_completion),
                DMA_TEST(test_what_is_given_before_the_drain_ends_counts),
                DMA_TEST(test_notes_begin_anew_when_everything_is_forgotten),
                DMA_TEST(test_with_several_tags_everything_is_told),
                DMA_TEST(test_many_descriptors_become_everything),
        };

        return cmocka_run_group_tests_name("frontend-watch", tests, NULL, NULL);
}
