/* SPDX-License-Identifier: MIT */
/* Invalidate: judgement, merging, the rate, and what a host failure leaves. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/worker/clock.h"
#include "broker/worker/invalidate.h"
#include "shared/checked.h"
#include "tests/unit/vm-fixture.h"

struct world {
        struct fixture *f;
        uint64_t device, other, table;
};

static void begin(struct world *w)
{
        fixture_start(w->f, true);
        w->device = fixture_plug(w->f, 0);
        w->other = fixture_plug(w->f, 1);
        (void)fixture_map(w->f, 0, MIB);
        w->table = fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
        fixture_forget_calls(w->f);
}

static int setup(void **state)
{
        struct world *w = calloc(1, sizeof(*w));

        assert_non_null(w);
        w->f = fixture_new();
        begin(w);
        *state = w;
        return 0;
}

static int teardown(void **state)
{
        struct world *w = *state;

        fixture_free(w->f);
        free(w);
        return 0;
}

static struct vtd_request invalidate(uint64_t table, const struct vtd_invalidate_entry *entries,
                                     size_t count)
{
        struct vtd_request request = {.type = VTD_REQUEST_INVALIDATE,
                                      .invalidate = {.table = table, .count = count}};

        for (size_t i = 0; i < count; i++)
                request.invalidate.entries[i] = entries[i];
        return request;
}

static void send(struct world *w, const struct vtd_invalidate_entry *entries, size_t count)
{
        struct vtd_request request = invalidate(w->table, entries, count);

        assert_int_equal(fixture_call(w->f, &request, -1), 0);
        assert_false(w->f->reply.refused);
}

static void expect_given(struct world *w, size_t index, uint64_t address, uint64_t pages, bool leaf)
{
        const struct vtd_invalidate_entry *entry = &w->f->host->last_entries[index];

        assert_int_equal(entry->address, address);
        assert_int_equal(entry->pages, pages);
        assert_int_equal(entry->leaf, leaf);
}

static void ranges_are_judged_before_any_host_call(void **state)
{
        static const struct vtd_invalidate_entry bad[] = {
                {0x1001, 1, false},
                {0x1000, 0, false},
                {0, 0, false},
                {0x1000, VTD_INVALIDATE_ALL, false},
                {0x1000, UINT64_C(1) << 52, false},
                {0, UINT64_MAX - 1, false},
                {UINT64_C(1) << 57, 1, false},
                {(UINT64_C(1) << 57) - 4096, 2, false},
                {UINT64_MAX & ~UINT64_C(4095), 2, false},
        };
        static const struct vtd_invalidate_entry good[] = {
                {(UINT64_C(1) << 57) - 4096, 1, true},
                {0, UINT64_C(1) << 45, false},
        };
        struct world *w = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(bad); i++) {
                struct vtd_invalidate_entry entries[] = {{0x1000, 1, false}, bad[i]};
                struct vtd_request request = invalidate(w->table, entries, 2);

                fixture_expect_refusal(w->f, &request, -1, VTD_REASON_INVALIDATE_RANGE, 0);
        }
        assert_int_equal(w->f->host->n_calls, 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(good); i++)
                send(w, &good[i], 1);
        assert_int_equal(w->f->host->n_calls, VTD_ARRAY_SIZE(good));
}

static void unknown_tables_are_refused(void **state)
{
        struct world *w = *state;
        const struct vtd_invalidate_entry entry = {0, VTD_INVALIDATE_ALL, false};
        struct vtd_request request = invalidate(w->device, &entry, 1);
        struct vtd_request again;

        fixture_expect_refusal(w->f, &request, -1, VTD_REASON_TABLE_HANDLE, 0);
        (void)fixture_attach(w->f, w->device, 0, VTD_ATTACH_FIRST_STAGE, 0x2000);
        again = invalidate(w->table, &entry, 1);
        fixture_expect_refusal(w->f, &again, -1, VTD_REASON_TABLE_HANDLE, 0);
}

static void entries_that_touch_are_merged_in_order(void **state)
{
        static const struct vtd_invalidate_entry entries[] = {
                {0x10000, 1, true},  {0x11000, 2, true}, /* follows */
                {0xf000, 1, false},                      /* precedes, and is not a leaf */
                {0x20000, 4, true},                      /* apart */
                {0x21000, 1, true},                      /* inside */
                {0x40000, 1, false},
        };
        struct world *w = *state;
        struct vtd_stats stats;

        send(w, entries, VTD_ARRAY_SIZE(entries));
        assert_int_equal(w->f->host->invalidated, 3);
        expect_given(w, 0, 0xf000, 4, false);
        expect_given(w, 1, 0x20000, 4, true);
        expect_given(w, 2, 0x40000, 1, false);
        stats = w->f->vm->stats;
        assert_int_equal(stats.invalidate_requests, 1);
        assert_int_equal(stats.invalidate_entries, 3);
}

static void one_whole_table_entry_stands_for_all(void **state)
{
        static const struct vtd_invalidate_entry entries[] = {
                {0x10000, 1, true},
                {0, VTD_INVALIDATE_ALL, false},
                {0x40000, 1, false},
        };
        struct world *w = *state;

        send(w, entries, VTD_ARRAY_SIZE(entries));
        assert_int_equal(w->f->host->invalidated, 1);
        expect_given(w, 0, 0, VTD_INVALIDATE_ALL, false);
}

/* Every page that was named is in what the host gets, with the leaf hint only if all had it. */
static void merging_never_loses_a_page(void **state)
{
        uint32_t seed = 1;

        (void)state;
        for (unsigned round = 0; round < 2000; round++) {
                struct vtd_invalidate_entry entries[VTD_LIMIT_INVALIDATE_ENTRIES];
                struct vtd_invalidate_batch batch;
                size_t count, sources = 0;

                seed = seed * 1664525 + 1013904223;
                count = 1 + (seed >> 16) % VTD_LIMIT_INVALIDATE_ENTRIES;
                for (size_t i = 0; i < count; i++) {
                        seed = seed * 1664525 + 1013904223;
                        entries[i] = (struct vtd_invalidate_entry){
                                .address = (seed >> 8) % 64 * 4096,
                                .pages = 1 + (seed >> 16) % 5,
                                .leaf = (seed >> 24) % 2,
                        };
                }
                vtd_invalidate_merge(&batch, entries, count);
                for (size_t i = 0; i < batch.count; i++) {
                        for (size_t j = sources; j < sources + batch.sources[i]; j++) {
                                assert_true(entries[j].address >= batch.entries[i].address);
                                assert_true(entries[j].address + entries[j].pages * 4096 <=
                                            batch.entries[i].address +
                                                    batch.entries[i].pages * 4096);
                                assert_true(entries[j].leaf || !batch.entries[i].leaf);
                        }
                        sources += batch.sources[i];
                }
                assert_int_equal(sources, count);
        }
}

static void over_the_rate_the_whole_table_is_flushed_and_the_answer_waits(void **state)
{
        struct world *w = *state;
        struct vtd_invalidate_entry apart[VTD_LIMIT_INVALIDATE_ENTRIES];
        struct vtd_stats before = {0};

        fixture_stop(w->f);
        w->f->policy.limits[VTD_POLICY_INVALIDATE_RATE].value = 10;
        w->f->policy.limits[VTD_POLICY_INVALIDATE_BURST].value = 130;
        begin(w);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(apart); i++)
                apart[i] = (struct vtd_invalidate_entry){.address = i * 8192, .pages = 1};
        send(w, apart, VTD_ARRAY_SIZE(apart));
        assert_int_equal(w->f->host->invalidated, 128);
        assert_int_equal(w->f->delay_ms, 0);
        send(w, apart, VTD_ARRAY_SIZE(apart));
        assert_int_equal(w->f->host->invalidated, 1);
        expect_given(w, 0, 0, VTD_INVALIDATE_ALL, false);
        send(w, apart, VTD_ARRAY_SIZE(apart));
        /* Ten a second are earned meanwhile, should this machine be that slow. */
        for (unsigned i = 0; i < 50 && w->f->delay_ms == 0; i++) {
                before = w->f->vm->stats;
                send(w, apart, 1);
        }
        assert_true(w->f->delay_ms > 0);
        assert_true(w->f->delay_ms <= VTD_LIMIT_INVALIDATE_DELAY_MS);
        assert_int_equal(w->f->vm->stats.invalidate_entries, before.invalidate_entries + 1);
        assert_true(w->f->vm->stats.delayed_us > before.delayed_us);
}

static void a_delay_is_rounded_up_to_whole_milliseconds_and_capped(void **state)
{
        struct world *w = *state;
        const struct vtd_invalidate_entry entry = {0x1000, 1, false};

        w->f->vm->rate.level = 0;
        w->f->vm->rate.updated = vtd_clock_now() + 900000;
        send(w, &entry, 1);
        assert_int_equal(w->f->delay_ms, 1);
        w->f->vm->rate.level = 0;
        w->f->vm->rate.updated = UINT64_MAX / 2;
        send(w, &entry, 1);
        assert_int_equal(w->f->delay_ms, VTD_LIMIT_INVALIDATE_DELAY_MS);
        assert_int_equal(w->f->host->n_calls, 2); /* made at once; it is the answer that waits */
}

static void a_host_failure_blocks_every_attachment_of_the_table_before_the_answer(void **state)
{
        static const struct vtd_invalidate_entry entries[] = {
                {0x10000, 1, false}, {0x11000, 1, false}, {0x20000, 1, false}, {0x30000, 1, false}};
        struct world *w = *state;
        struct vtd_request request = invalidate(w->table, entries, VTD_ARRAY_SIZE(entries));
        uint64_t apart = fixture_attach(w->f, w->device, 8, VTD_ATTACH_FIRST_STAGE, 0x2000);
        const struct vtd_control_audit *audit;

        (void)fixture_attach(w->f, w->other, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
        (void)fixture_attach(w->f, w->device, 7, VTD_ATTACH_FIRST_STAGE, 0x1000);
        fixture_forget_calls(w->f);
        fake_host_fail(w->f->host, 0, 1, -EIO);
        w->f->host->fail_done = 2;
        fixture_expect_refusal(w->f, &request, -1, VTD_REASON_HOST_FAILED, 0);
        assert_int_equal(w->f->reply.refusal.asked, 4);
        assert_int_equal(w->f->reply.refusal.allowed, 3); /* two merged and one */
        EXPECT_CALLS(w->f, VTD_AUDIT_INVALIDATE, VTD_AUDIT_DETACH, VTD_AUDIT_DETACH,
                     VTD_AUDIT_BUS_MASTER, VTD_AUDIT_DETACH, VTD_AUDIT_DESTROY);
        assert_int_equal(fake_host_attachments(w->f->host), 1);
        audit = fake_supervisor_find(&w->f->supervisor, VTD_AUDIT_EVENT,
                                     VTD_AUDIT_EVENT_BINDING_BLOCKED);
        assert_non_null(audit);
        assert_int_equal(audit->subject, w->device);
        assert_int_equal(audit->detail[0], 7);
        assert_int_equal(audit->sequence, request.sequence);
        fixture_expect_refusal(w->f, &request, -1, VTD_REASON_TABLE_HANDLE, 0);
        assert_int_equal(fixture_attach(w->f, w->device, 8, VTD_ATTACH_FIRST_STAGE, 0x2000), apart);
}

static void a_success_that_did_too_little_is_a_failure(void **state)
{
        struct world *w = *state;
        const struct vtd_invalidate_entry entries[] = {{0x1000, 1, false}, {0x8000, 1, false}};
        struct vtd_request request = invalidate(w->table, entries, 2);

        fake_host_fail(w->f->host, 0, 1, 0);
        w->f->host->fail_done = 1;
        fixture_expect_refusal(w->f, &request, -1, VTD_REASON_HOST_FAILED, 0);
        assert_int_equal(w->f->reply.refusal.allowed, 1);
        assert_int_equal(fake_host_attachments(w->f->host), 0);
}

static void stale_translations_that_cannot_be_blocked_are_fatal(void **state)
{
        struct world *w = *state;
        const struct vtd_invalidate_entry entry = {0, VTD_INVALIDATE_ALL, false};
        struct vtd_request request = invalidate(w->table, &entry, 1);

        fake_host_fail(w->f->host, 0, 2, -EIO);
        assert_int_equal(fixture_call(w->f, &request, -1), VTD_VM_E_FATAL);
        fixture_check_books(w->f, true);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        const struct CMUnitTest tests[] = {
                CASE(ranges_are_judged_before_any_host_call),
                CASE(unknown_tables_are_refused),
                CASE(entries_that_touch_are_merged_in_order),
                CASE(one_whole_table_entry_stands_for_all),
                cmocka_unit_test(merging_never_loses_a_page),
                CASE(over_the_rate_the_whole_table_is_flushed_and_the_answer_waits),
                CASE(a_delay_is_rounded_up_to_whole_milliseconds_and_capped),
                CASE(a_host_failure_blocks_every_attachment_of_the_table_before_the_answer),
                CASE(a_success_that_did_too_little_is_a_failure),
                CASE(stale_translations_that_cannot_be_blocked_are_fatal),
        };

        return cmocka_run_group_tests_name("invalidate", tests, NULL, NULL);
}
