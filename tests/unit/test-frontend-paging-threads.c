/* SPDX-License-Identifier: MIT */
/*
 * Threads that walk while another one, the guest, changes the same entries: it counts in bits that
 * mean nothing, and clears accessed and dirty bits.  No count may be lost, which a walker that writes
 * an entry back without comparing would do, and no walk may come out anywhere else.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "frontend/dma/paging.h"
#include "shared/checked.h"

#define BIT(n) (UINT64_C(1) << (n))

#define TABLES  8u /* four of each stage, one page each, the first stage's below */
#define WORDS   (TABLES * 512u)
#define OUTPUT  UINT64_C(0x123456000)
#define WALKERS 2u

/* Of the guest; walks go on until they are made.  More, where walkers have seen little of them. */
#define CHANGES     30000u
#define CHANGES_MAX 3000000u

#define FIRST_MARKS  (BIT(5) | BIT(6) | BIT(10))
#define SECOND_MARKS (BIT(8) | BIT(9))
#define COUNTED      53u /* bits 61:53 of entries count */

struct world {
        _Atomic uint64_t memory[WORDS];
        struct vtd_capabilities capabilities;
        struct vtd_pasid_entry entry;
        atomic_bool done;
        atomic_uint walks, allowed, given_up, met;
        uint64_t counts[TABLES];
};

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct world *w = opaque;

        if (size != sizeof(uint64_t) || gpa % 8 != 0 || gpa / 8 >= WORDS)
                return -EFAULT;
        *(uint64_t *)data = atomic_load(&w->memory[gpa / 8]);
        return 0;
}

static int compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                            uint64_t *found)
{
        struct world *w = opaque;

        if (gpa % 8 != 0 || gpa / 8 >= WORDS)
                return -EFAULT;
        *found = expected;
        (void)sched_yield(); /* with one processor too, somebody else gets between */
        if (!atomic_compare_exchange_strong(&w->memory[gpa / 8], found, desired))
                atomic_fetch_add(&w->met, 1);
        return 0;
}

/*
 * Address 0 leads through the first entry of every table.  Of the second stage it is a 1 GiB page that
 * leaves addresses as they are, but for the request's own, 64 GiB further on, which has a 4 KiB page.
 */
static uint64_t entry_of(unsigned table)
{
        static const uint64_t words[TABLES] = {
                0x1007, 0x2007,
                0x3007, UINT64_C(0x1000000000) | 0x7,
                0x5003, BIT(7) | BIT(2) | 0x3,
                0x7003, OUTPUT | 0x3,
        };

        return words[table];
}

static void fill(struct world *w)
{
        for (unsigned i = 0; i < TABLES; i++)
                atomic_store(&w->memory[(size_t)i * 512], entry_of(i));
        atomic_store(&w->memory[(size_t)5 * 512 + 64], UINT64_C(0x6003));
        w->capabilities = (struct vtd_capabilities){
                .cap = VTD_CAP_SSLPS_1GIB | UINT64_C(47) << VTD_CAP_MGAW_SHIFT,
                .host_address_bits = 40,
        };
        w->entry = (struct vtd_pasid_entry){
                .type = VTD_PGTT_NESTED,
                .first_stage_root = 0,
                .extended_accessed = true,
                .second_stage_root = 0x4000,
                .second_stage_levels = 4,
                .second_stage_dirty = true,
                .page_walk_snoop = true,
        };
}

static void *walk(void *argument)
{
        struct world *w = argument;
        const struct vtd_guest guest = {
                .callbacks = {.read_memory = read_memory, .compare_exchange = compare_exchange},
                .opaque = w,
        };

        for (unsigned i = 0; !atomic_load(&w->done); i++) {
                const struct vtd_frontend_dma_request request = {
                        .access = 1 + i % 3, .address = 0x10, .size = 8};
                enum vtd_fault_reason reason;
                struct vtd_page page;

                if (i % 8 == 0)
                        (void)sched_yield();
                atomic_fetch_add(&w->walks, 1);
                if (vtd_paging_walk(&guest, &w->capabilities, &w->entry, &request, &page,
                                    &reason) == 0) {
                        if (page.translated == OUTPUT && page.shift == 12)
                                atomic_fetch_add(&w->allowed, 1);
                } else if (reason == VTD_FAULT_FIRST_STAGE_UPDATE ||
                           reason == VTD_FAULT_SECOND_STAGE_UPDATE) {
                        atomic_fetch_add(&w->given_up, 1);
                }
        }
        return NULL;
}

/* A busy machine may not have let walkers do much yet. */
static bool have_met(struct world *w)
{
        return atomic_load(&w->allowed) > 0 && atomic_load(&w->met) > 0;
}

/* Counts in one entry after the other, and takes the marks away every now and then. */
static void *change(void *argument)
{
        struct world *w = argument;

        for (unsigned i = 0; i < CHANGES || (i < CHANGES_MAX && !have_met(w)); i++) {
                unsigned table = i % TABLES;
                uint64_t marks = table < TABLES / 2 ? FIRST_MARKS : SECOND_MARKS;
                _Atomic uint64_t *word = &w->memory[(size_t)table * 512];
                uint64_t value = atomic_load(word), changed;

                do {
                        uint64_t count = (value >> COUNTED) + 1;

                        changed = (value & (BIT(COUNTED) - 1)) | (count & 0x1ff) << COUNTED;
                        if (i % 7 == 0)
                                changed &= ~marks;
                } while (!atomic_compare_exchange_weak(word, &value, changed));
                w->counts[table]++;
                if (i % 3 == 0)
                        (void)sched_yield();
        }
        atomic_store(&w->done, true);
        return NULL;
}

static void test_no_change_of_the_guest_is_lost(void **state)
{
        struct world *w = calloc(1, sizeof(*w));
        pthread_t walkers[WALKERS], guest;

        (void)state;
        assert_non_null(w);
        fill(w);
        assert_int_equal(pthread_create(&guest, NULL, change, w), 0);
        for (unsigned i = 0; i < WALKERS; i++)
                assert_int_equal(pthread_create(&walkers[i], NULL, walk, w), 0);
        for (unsigned i = 0; i < WALKERS; i++)
                assert_int_equal(pthread_join(walkers[i], NULL), 0);
        assert_int_equal(pthread_join(guest, NULL), 0);
        print_message("# %u walks allowed, %u given up, %u updates met a changed entry\n",
                      atomic_load(&w->allowed), atomic_load(&w->given_up), atomic_load(&w->met));
        assert_int_equal(atomic_load(&w->allowed) + atomic_load(&w->given_up),
                         atomic_load(&w->walks));
        assert_true(have_met(w));
        for (unsigned i = 0; i < TABLES; i++) {
                uint64_t value = atomic_load(&w->memory[(size_t)i * 512]);
                uint64_t marks = i < TABLES / 2 ? FIRST_MARKS : SECOND_MARKS;

                assert_int_equal((value >> COUNTED) & 0x1ff, w->counts[i] & 0x1ff);
                assert_int_equal(value & (BIT(COUNTED) - 1) & ~marks, entry_of(i));
        }
        free(w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_change_of_the_guest_is_lost)};

        return cmocka_run_group_tests_name("frontend-paging-threads", tests, NULL, NULL);
}
