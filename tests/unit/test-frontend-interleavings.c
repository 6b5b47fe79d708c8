/* SPDX-License-Identifier: MIT */
/*
 * What comes between two instructions: every place at which one side of the protocols of dma/ can be
 * preempted, and the other side's whole turn there.
 */
#include "tests/unit/dma-fixture.h"

#include "frontend/dma/access.h"
#include "frontend/dma/cache.h"
#include "tests/unit/stepper.h"

#define X     UINT64_C(0x4000000000)
#define OLD   UINT64_C(0x1000000000)
#define NEWER UINT64_C(0x2000000000)

#define TAG       5u
#define OTHER_TAG 6u
#define MIXED(of) ((of)*UINT64_C(0x9e3779b97f4a7c15))

/* A cache with one entry under TAG, in the set of all tags, whose two other words belong together. */
struct bare {
        struct vtd_cache cache;
        _Atomic uint64_t invalidations;
        uint64_t before, value;
        struct vtd_cache_entry found;
        bool is_found;
        bool condemn; /* invalidations clear everything */
};

static void bare_setup(struct bare *bare)
{
        *bare = (struct bare){.value = 1};
        assert_int_equal(vtd_cache_init(&bare->cache, 1, &bare->invalidations), 0);
}

static void take_time(struct bare *bare)
{
        bare->before = vtd_cache_now(&bare->cache);
}

static void insert(void *argument)
{
        struct bare *bare = argument;
        const struct vtd_cache_entry entry = {{TAG, bare->value, MIXED(bare->value)}};

        vtd_cache_insert(&bare->cache, 0, 0, 0, &entry, bare->before);
}

static void insert_newer(void *argument)
{
        struct bare *bare = argument;

        bare->value++;
        take_time(bare);
        insert(bare);
}

static void find(void *argument)
{
        struct bare *bare = argument;

        bare->is_found = vtd_cache_find(&bare->cache, 0, TAG, 0, 0, &bare->found);
}

static void invalidate_it(void *argument)
{
        static const struct vtd_cache_selector it = {.mask = UINT64_MAX, .tag = TAG};
        struct bare *bare = argument;

        if (bare->condemn) {
                vtd_cache_clear(&bare->cache);
                return;
        }
        vtd_cache_announce(&bare->cache);
        vtd_cache_drop(&bare->cache, &it);
}

static void test_looking_finds_one_entry_or_none(void **state)
{
        struct bare bare;
        unsigned long at = 0, stride;
        unsigned missed = 0;
        bool inside;

        (void)state;
        bare_setup(&bare);
        stride = step_stride(find, &bare);
        vtd_cache_deinit(&bare.cache);
        do {
                bare_setup(&bare);
                insert(&bare);
                inside = step_through(find, insert_newer, &bare, at);
                at += stride;
                if (bare.is_found)
                        assert_int_equal(bare.found.words[2], MIXED(bare.found.words[1]));
                missed += !bare.is_found;
                find(&bare);
                assert_true(bare.is_found);
                assert_int_equal(bare.found.words[1], bare.value);
                vtd_cache_deinit(&bare.cache);
        } while (inside);
        assert_true(at > 10);
        assert_true(missed > 0 && missed < at);
}

/* An entry that was there, one that is older than the invalidation, and none. */
static void test_inserting_never_outlives_an_invalidation(void **state)
{
        struct bare bare;
        unsigned long at, stride;
        bool inside;

        (void)state;
        for (unsigned variant = 0; variant < 4; variant++) {
                bare_setup(&bare);
                bare.condemn = variant & 1;
                insert(&bare);
                stride = step_stride(insert, &bare);
                vtd_cache_deinit(&bare.cache);
                at = 0;
                do {
                        bare_setup(&bare);
                        bare.condemn = variant & 1;
                        if (variant & 2)
                                insert(&bare);
                        take_time(&bare);
                        inside = step_through(insert, invalidate_it, &bare, at);
                        at += stride;
                        find(&bare);
                        assert_false(bare.is_found);
                        /* Nobody is left holding the set. */
                        insert_newer(&bare);
                        find(&bare);
                        assert_true(bare.is_found);
                        /* And the next invalidation is not told that there is nothing. */
                        invalidate_it(&bare);
                        find(&bare);
                        assert_false(bare.is_found);
                        vtd_cache_deinit(&bare.cache);
                } while (inside);
                assert_true(at > 30);
        }
}

/* One that was walked for before the invalidation began comes in the midst of it, or one after. */
static void test_invalidating_drops_all_that_is_older(void **state)
{
        struct bare bare;
        unsigned long at, stride;
        bool inside;

        (void)state;
        for (unsigned variant = 0; variant < 4; variant++) {
                bare_setup(&bare);
                bare.condemn = variant & 1;
                insert(&bare);
                stride = step_stride(invalidate_it, &bare);
                vtd_cache_deinit(&bare.cache);
                at = 0;
                do {
                        bare_setup(&bare);
                        bare.condemn = variant & 1;
                        if (variant & 2)
                                insert(&bare);
                        take_time(&bare);
                        bare.value = 2;
                        inside = step_through(invalidate_it, insert, &bare, at);
                        at += stride;
                        find(&bare);
                        assert_false(bare.is_found);
                        insert_newer(&bare);
                        find(&bare);
                        assert_true(bare.is_found);
                        invalidate_it(&bare);
                        find(&bare);
                        assert_false(bare.is_found);
                        vtd_cache_deinit(&bare.cache);
                } while (inside);
                assert_true(at > 30);
        }
}

static void test_what_is_walked_for_during_an_invalidation_is_known_to_the_next(void **state)
{
        struct bare bare;
        unsigned long at, stride;
        bool inside;

        (void)state;
        for (unsigned variant = 0; variant < 4; variant++) {
                bare_setup(&bare);
                bare.condemn = variant & 1;
                insert(&bare);
                stride = step_stride(invalidate_it, &bare);
                vtd_cache_deinit(&bare.cache);
                at = 0;
                do {
                        bare_setup(&bare);
                        bare.condemn = variant & 1;
                        if (variant & 2)
                                insert(&bare);
                        inside = step_through(invalidate_it, insert_newer, &bare, at);
                        at += stride;
                        invalidate_it(&bare);
                        find(&bare);
                        assert_false(bare.is_found);
                        vtd_cache_deinit(&bare.cache);
                } while (inside);
        }
}

/* Two who insert: one gives up, and what is found is one of both. */
static void test_inserting_meets_inserting(void **state)
{
        struct bare bare;
        unsigned long at = 0, stride;
        bool inside;
        unsigned first = 0;

        (void)state;
        bare_setup(&bare);
        stride = step_stride(insert, &bare);
        vtd_cache_deinit(&bare.cache);
        do {
                bare_setup(&bare);
                take_time(&bare);
                inside = step_through(insert, insert_newer, &bare, at);
                at += stride;
                find(&bare);
                assert_true(bare.is_found);
                assert_int_equal(bare.found.words[2], MIXED(bare.found.words[1]));
                first += bare.found.words[1] == 1;
                vtd_cache_deinit(&bare.cache);
        } while (inside);
        assert_true(first > 0 && first < at);
}

/* One access, in whose beginning something is invalidated and drained. */
struct access {
        struct vtd_accesses accesses;
        unsigned epoch;
        bool drained;
};

static void begin_access(void *argument)
{
        struct access *access = argument;

        access->epoch = vtd_accesses_begin(&access->accesses);
}

static void drain(void *argument)
{
        struct access *access = argument;

        if (vtd_accesses_are_drained(&access->accesses))
                vtd_accesses_turn(&access->accesses);
        access->drained = vtd_accesses_are_drained(&access->accesses);
}

/* Whatever was drained in its beginning, what is begun in the access is not drained before its end. */
static void test_an_access_counts_wherever_its_beginning_was_interrupted(void **state)
{
        struct access alone = {.drained = false};
        unsigned long at, stride = step_stride(begin_access, &alone);
        bool inside;

        (void)state;
        for (unsigned epoch = 0; epoch < 2; epoch++) {
                at = 0;
                do {
                        struct access access = {.drained = false};

                        if (epoch)
                                drain(&access);
                        inside = step_through(begin_access, drain, &access, at);
                        at += stride;
                        /* What was held up by an addition that was taken back can go on. */
                        if (!access.drained)
                                (void)vtd_accesses_are_drained(&access.accesses);
                        for (unsigned i = 0; i < 3; i++) {
                                drain(&access);
                                assert_false(access.drained);
                        }
                        vtd_accesses_end(&access.accesses, access.epoch);
                        assert_true(vtd_accesses_are_drained(&access.accesses));
                        drain(&access);
                        assert_true(access.drained);
                        drain(&access);
                        assert_true(access.drained);
                } while (inside);
                assert_true(at > 5);
        }
}

/* A request, and a guest that remaps and invalidates at any instruction of it. */
struct request {
        struct dma *dma;
        struct vtd_frontend_access access;
        uint64_t leaf, entry, roots[2];
        bool by_entry; /* the guest changes the PASID-table entry */
        int result;
        bool seen; /* the wait completed while the access was under way */
};

static void ask(void *argument)
{
        static const struct vtd_frontend_dma_request read = {
                .rid = RID_A, .access = READ, .address = X, .size = 8};
        struct request *request = argument;

        request->result = translate_in(request->dma, &request->access, &read);
}

static void change(void *argument)
{
        struct request *request = argument;
        struct guest *guest = request->dma->guest;

        if (request->by_entry) {
                put_translation(request->dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 1, request->roots[1],
                                0);
                queue_descriptor(guest, PC_PASID(1, 0));
                queue_descriptor(guest, PIOTLB_ALL(1, 0));
        } else {
                guest_put64(guest, request->leaf, NEWER | 0x67);
                queue_descriptor(guest, PIOTLB_PAGE(1, 0, X));
        }
        queue_descriptor(guest, WAIT_STATUS(1));
        kick(guest);
        run_until(guest, VTD_FRONTEND_PENDING);
        request->seen |= guest_get32(guest, STATUS) != 0;
}

/* An access before which nothing is kept, or the entry, or both. */
static void prepare_request(struct request *request, unsigned kept)
{
        struct dma *dma = request->dma;

        guest_put64(dma->guest, STATUS, 0);
        guest_put64(dma->guest, request->leaf, OLD | 0x67);
        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 1, request->roots[0], 0);
        invalidate_and_wait(dma, PC_GLOBAL);
        invalidate_and_wait(dma, IOTLB_GLOBAL);
        if (kept > 0)
                assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
        if (kept == 1)
                invalidate_and_wait(dma, IOTLB_GLOBAL);
        guest_put64(dma->guest, STATUS, 0);
        vtd_frontend_access_begin(dma->guest->unit, &request->access);
}

static void step_request(struct request *request, unsigned kept, bool by_entry)
{
        struct dma *dma = request->dma;
        unsigned long at = 0, stride;
        bool inside;

        request->by_entry = by_entry;
        prepare_request(request, kept);
        stride = step_stride(ask, request);
        vtd_frontend_access_end(dma->guest->unit, &request->access);
        do {
                prepare_request(request, kept);
                inside = step_through(ask, change, request, at);
                at += stride;
                assert_int_equal(request->result, 0);
                assert_false(request->seen);
                assert_true(dma->translation.translated == OLD ||
                            dma->translation.translated == NEWER);
                vtd_frontend_access_end(dma->guest->unit, &request->access);
                run_until(dma->guest, VTD_FRONTEND_IDLE);
                assert_int_equal(where(dma, RID_A, NO_PASID, X), NEWER);
        } while (inside);
        assert_true(at > (kept == 2 ? 100 : 200));
}

static void test_a_request_keeps_nothing_that_was_invalidated_meanwhile(void **state)
{
        struct dma *dma = *state;
        struct request request = {.dma = dma};

        put_device(dma, RID_A, 0);
        request.roots[0] = new_table(dma);
        request.roots[1] = new_table(dma);
        request.leaf = put_first_stage(dma, request.roots[0], X, PAGE_4K, OLD);
        put_first_stage(dma, request.roots[1], X, PAGE_4K, NEWER);
        for (unsigned kept = 0; kept < 3; kept++)
                step_request(&request, kept, kept != 1);
        step_request(&request, 2, false);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_looking_finds_one_entry_or_none),
                cmocka_unit_test(test_inserting_never_outlives_an_invalidation),
                cmocka_unit_test(test_invalidating_drops_all_that_is_older),
                cmocka_unit_test(
                        test_what_is_walked_for_during_an_invalidation_is_known_to_the_next),
                cmocka_unit_test(test_inserting_meets_inserting),
                cmocka_unit_test(test_an_access_counts_wherever_its_beginning_was_interrupted),
                DMA_TEST(test_a_request_keeps_nothing_that_was_invalidated_meanwhile),
        };

        return cmocka_run_group_tests_name("frontend-interleavings", tests, NULL, NULL);
}
