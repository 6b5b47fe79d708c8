/* SPDX-License-Identifier: MIT */
/*
 * Devices in threads of their own against a guest that remaps and reuses their pages.  Each page of
 * data says whose it is and how new; a page whose invalidation has completed is poisoned at once, by
 * ordinary stores.  So a device that still uses it reads poison, or disturbs it; a device that begins
 * after and is sent there by something kept sees an older page than there is; and where the unit does
 * not put one before the other at all, a thread sanitizer says so, whether or not they meet.
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/include/vtd/dma.h"
#include "frontend/queue.h"
#include "frontend/registers.h"
#include "frontend/tables.h"
#include "shared/checked.h"
#include "tests/unit/shared-memory.h"

#define ROOT      0x1000u
#define CONTEXT   0x2000u
#define DIRECTORY 0x3000u
#define PASIDS    0x4000u
#define QUEUE     0x5000u
#define STATUS    0x6000u
#define TABLES    0x10000u /* two sets of eight */
#define IDENTITY  0x20000u /* a second stage that changes nothing */
#define DATA      0x80000u

#define PAGES 32u
#define SLOTS 8u
#define X     UINT64_C(0x4000000000)

#define DEVICES 4u
#define TRIES   4u /* translations in one access */

#define POISON UINT64_C(0xdeaddeaddeaddead)

/* As many remappings as that, but no longer than that unless asked for, and a few at least. */
#define REMAPS     20000u
#define SECONDS    2
#define REMAPS_MIN 50u

/* Of a page of data: the first word is the guest's, and each device has one. */
#define WORD_OF(device) (1 + (device)*8)

enum kind {
        PLAIN,   /* without PASID */
        PASID_5, /* second-stage */
        KEEPER,  /* PASID 6, nested; keeps translations */
};

struct world;

struct device {
        struct world *world;
        unsigned number;
        uint16_t rid;
        enum kind kind;
        uint64_t random;
        uint64_t used, faulted;
        /* The keeper's; 0: nothing. */
        pthread_mutex_t lock;
        uint64_t kept[SLOTS];
        uint64_t told;
};

struct world {
        struct shared_memory memory; /* first: of callbacks */
        struct vtd_frontend *unit;
        struct device devices[DEVICES];
        _Atomic uint64_t newest[SLOTS]; /* what a slot has at least, for accesses that begin now */
        _Atomic bool stop;
        _Atomic uint64_t turns; /* of devices */
        _Atomic unsigned failures;
        /* The guest's. */
        uint64_t random, generation;
        unsigned page_of[SLOTS]; /* PAGES: none */
        unsigned free_pages[PAGES], free_count;
        unsigned set;
        uint32_t tail, status;
        uint64_t pendings;
};

static uint64_t pick(uint64_t *random, uint64_t below)
{
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        return *random % below;
}

static void complain(struct world *w, const char *what, uint64_t a, uint64_t b)
{
        if (atomic_fetch_add(&w->failures, 1) == 0)
                print_error("%s: %#llx %#llx\n", what, (unsigned long long)a,
                            (unsigned long long)b);
}

static void send_message(void *opaque, uint64_t address, uint32_t data)
{
        (void)opaque;
        (void)address;
        (void)data;
}

/* The tables of one set: the first stage's four levels from the top, then the second stage's. */
static uint64_t table(unsigned set, unsigned which)
{
        return TABLES + (set * 8 + which) * VTD_PAGE_SIZE;
}

static void put_slot(struct world *w, unsigned set, unsigned slot)
{
        unsigned page = w->page_of[slot];
        uint64_t at = DATA + page * VTD_PAGE_SIZE;

        shared_memory_put(&w->memory, table(set, 3) + slot * 8, page == PAGES ? 0 : at | 0x27);
        shared_memory_put(&w->memory, table(set, 7) + slot * 8, page == PAGES ? 0 : at | 0x3);
}

static void build_set(struct world *w, unsigned set)
{
        for (unsigned level = 3; level > 0; level--) {
                uint64_t index = X >> (12 + 9 * level) & 511;

                shared_memory_put(&w->memory, table(set, 3 - level) + index * 8,
                                  table(set, 4 - level) | 0x27);
                shared_memory_put(&w->memory, table(set, 7 - level) + index * 8,
                                  table(set, 8 - level) | 0x3);
        }
        for (unsigned slot = 0; slot < SLOTS; slot++)
                put_slot(w, set, slot);
}

static void put_entries(struct world *w)
{
        const struct {
                unsigned pasid, type;
                uint64_t domain, first, second;
        } entries[] = {
                {0, VTD_PGTT_FIRST_STAGE, 1, table(w->set, 0), 0},
                {5, VTD_PGTT_SECOND_STAGE, 2, 0, table(w->set, 4)},
                {6, VTD_PGTT_NESTED, 3, table(w->set, 0), IDENTITY},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(entries); i++) {
                uint64_t entry = PASIDS + entries[i].pasid * 64;

                shared_memory_put(&w->memory, entry + 8, entries[i].domain | UINT64_C(1) << 23);
                shared_memory_put(&w->memory, entry + 16, entries[i].first);
                shared_memory_put(&w->memory, entry,
                                  entries[i].second | entries[i].type << 6 | 2 << 2 | 1);
        }
}

/* Everything but what goes by slots. */
static void build_tables(struct world *w)
{
        shared_memory_put(&w->memory, ROOT, CONTEXT | 1);
        for (unsigned i = 0; i < DEVICES; i++)
                shared_memory_put(&w->memory, CONTEXT + w->devices[i].rid * 32,
                                  DIRECTORY | 0x8 | 1);
        shared_memory_put(&w->memory, DIRECTORY, PASIDS | 1);
        shared_memory_put(&w->memory, IDENTITY, (IDENTITY + VTD_PAGE_SIZE) | 0x3);
        shared_memory_put(&w->memory, IDENTITY + VTD_PAGE_SIZE, 0x83);
        build_set(w, 0);
        put_entries(w);
}

/* Uses the page at @gpa, which is @slot's and at least as new as @newest, for a while. */
static void use_page(struct device *device, unsigned slot, uint64_t gpa, uint64_t newest)
{
        struct world *w = device->world;
        uint64_t *page, tag;

        if (gpa < DATA || gpa >= DATA + PAGES * VTD_PAGE_SIZE) {
                complain(w, "sent to no page of data", gpa, slot);
                return;
        }
        page = shared_memory_word(&w->memory, gpa);
        tag = page[0];
        if (tag == POISON || tag % SLOTS != slot || tag / SLOTS < newest) {
                complain(w, "sent to a page of another or an older slot", tag, newest);
                return;
        }
        for (uint64_t i = pick(&device->random, 50); i > 0; i--)
                page[WORD_OF(device->number)] = tag;
        if (page[0] != tag)
                complain(w, "a page was reused within an access", page[0], tag);
        device->used++;
}

/* Returns where @slot is, or 0. */
static uint64_t ask(struct device *device, const struct vtd_frontend_access *access, unsigned slot)
{
        const struct vtd_frontend_dma_request request = {
                .rid = device->rid,
                .with_pasid = device->kind != PLAIN,
                .pasid = device->kind == PASID_5 ? 5 : 6,
                .access = VTD_FRONTEND_DMA_READ | VTD_FRONTEND_DMA_WRITE,
                .address = X + slot * VTD_PAGE_SIZE,
                .size = VTD_PAGE_SIZE,
        };
        struct vtd_frontend_dma_translation translation;
        int r = vtd_frontend_translate(device->world->unit, access, &request, &translation);

        if (r == VTD_FRONTEND_FAULTED)
                device->faulted++;
        else if (r != 0)
                complain(device->world, "translation", (uint64_t)r, slot);
        /* Untranslated, there is no memory. */
        if (r != 0 || translation.translated == translation.address)
                return 0;
        return translation.translated + (request.address - translation.address);
}

static void use_pages(struct device *device)
{
        struct world *w = device->world;
        struct vtd_frontend_access access;
        uint64_t newest[SLOTS], gpa;

        for (unsigned slot = 0; slot < SLOTS; slot++)
                newest[slot] = atomic_load(&w->newest[slot]);
        vtd_frontend_access_begin(w->unit, &access);
        for (unsigned i = 0; i < TRIES; i++) {
                unsigned slot = (unsigned)pick(&device->random, SLOTS);

                gpa = ask(device, &access, slot);
                if (gpa != 0)
                        use_page(device, slot, gpa, newest[slot]);
        }
        vtd_frontend_access_end(w->unit, &access);
}

/* As vhost does: accesses only to ask, and use under a lock that the one who tells takes as well. */
static void use_kept_page(struct device *device)
{
        struct world *w = device->world;
        unsigned slot = (unsigned)pick(&device->random, SLOTS);
        struct vtd_frontend_access access;
        uint64_t newest = atomic_load(&w->newest[slot]);

        (void)pthread_mutex_lock(&device->lock);
        if (device->kept[slot] == 0) {
                vtd_frontend_access_begin(w->unit, &access);
                device->kept[slot] = ask(device, &access, slot);
                vtd_frontend_access_end(w->unit, &access);
        }
        if (device->kept[slot] != 0)
                use_page(device, slot, device->kept[slot], newest);
        (void)pthread_mutex_unlock(&device->lock);
}

static void forget(void *opaque, uint64_t address, uint64_t size)
{
        struct device *device = opaque;

        (void)pthread_mutex_lock(&device->lock);
        for (unsigned slot = 0; slot < SLOTS; slot++)
                if (size == 0 ||
                    vtd_ranges_overlap(X + slot * VTD_PAGE_SIZE, VTD_PAGE_SIZE, address, size))
                        device->kept[slot] = 0;
        device->told++;
        (void)pthread_mutex_unlock(&device->lock);
}

static void *run_device(void *argument)
{
        struct device *device = argument;

        while (!atomic_load(&device->world->stop)) {
                if (device->kind == KEEPER)
                        use_kept_page(device);
                else
                        use_pages(device);
                atomic_fetch_add(&device->world->turns, 1);
                /* Where there are fewer processors than threads, better here than in an access. */
                (void)sched_yield();
        }
        return NULL;
}

static void settle(struct world *w)
{
        int r;

        do {
                r = vtd_frontend_run(w->unit, 1 + (unsigned)pick(&w->random, 8));
                w->pendings += r == VTD_FRONTEND_PENDING;
        } while (r == VTD_FRONTEND_PENDING);
        assert_int_equal(r, VTD_FRONTEND_IDLE);
}

static void queue_words(struct world *w, uint64_t first, uint64_t second)
{
        shared_memory_put(&w->memory, QUEUE + w->tail, first);
        shared_memory_put(&w->memory, QUEUE + w->tail + 8, second);
        shared_memory_put(&w->memory, QUEUE + w->tail + 16, 0);
        shared_memory_put(&w->memory, QUEUE + w->tail + 24, 0);
        w->tail = (w->tail + 32) % 4096;
}

static void complete(struct world *w)
{
        queue_words(w, 0x25 | (uint64_t)++w->status << 32, STATUS);
        vtd_frontend_write(w->unit, VTD_REG_IQT, 4, w->tail);
        settle(w);
        assert_int_equal(
                __atomic_load_n((uint32_t *)(void *)(w->memory.bytes + STATUS), __ATOMIC_ACQUIRE),
                w->status);
}

static void command(struct world *w, uint32_t value)
{
        vtd_frontend_write(w->unit, VTD_REG_GCMD, 4, value);
        settle(w);
        assert_int_equal(vtd_frontend_read(w->unit, VTD_REG_GSTS, 4), value | VTD_GCMD_SRTP);
}

static void invalidate_page(struct world *w, uint64_t address)
{
        queue_words(w, 0x36 | 1 << 16, address);
        queue_words(w, 0x32 | 2 << 16, address);
        queue_words(w, 0x36 | 3 << 16 | UINT64_C(6) << 32, address);
}

static void invalidate_domains(struct world *w)
{
        queue_words(w, 0x26 | 1 << 16, 0);
        queue_words(w, 0x22 | 2 << 16, 0);
        queue_words(w, 0x26 | 3 << 16 | UINT64_C(6) << 32, 0);
}

/* Changes the table entries of @slot, one way or another, and has that completed. */
static void change_slot(struct world *w, unsigned slot)
{
        switch (pick(&w->random, 40)) {
        case 0: /* by other tables */
        case 1:
                w->set ^= 1;
                build_set(w, w->set);
                put_entries(w);
                queue_words(w, 0x37, 0);
                invalidate_domains(w);
                complete(w);
                return;
        case 2:
                put_slot(w, w->set, slot);
                command(w, VTD_GCMD_TE | VTD_GCMD_QIE | VTD_GCMD_SRTP);
                return;
        case 3:
                put_slot(w, w->set, slot);
                command(w, VTD_GCMD_QIE);
                if (pick(&w->random, 2) == 0)
                        command(w, VTD_GCMD_QIE | VTD_GCMD_SRTP);
                command(w, VTD_GCMD_TE | VTD_GCMD_QIE);
                return;
        case 4:
        case 5:
                put_slot(w, w->set, slot);
                queue_words(w, 0x12, 0);
                complete(w);
                return;
        case 6:
        case 7:
        case 8:
                put_slot(w, w->set, slot);
                invalidate_domains(w);
                complete(w);
                return;
        default:
                put_slot(w, w->set, slot);
                invalidate_page(w, X + slot * VTD_PAGE_SIZE);
                complete(w);
        }
}

/* No device has it any more. */
static void free_page(struct world *w, unsigned page)
{
        uint64_t *words = shared_memory_word(&w->memory, DATA + page * VTD_PAGE_SIZE);

        for (unsigned i = 0; i < DEVICES; i++)
                if (words[WORD_OF(i)] != 0 && words[WORD_OF(i)] != words[0])
                        complain(w, "written by who does not have it", words[WORD_OF(i)], words[0]);
        for (size_t i = 0; i < VTD_PAGE_SIZE / 8; i++)
                words[i] = POISON;
        w->free_pages[w->free_count++] = page;
}

/* The page that was free the longest. */
static unsigned new_page(struct world *w, unsigned slot)
{
        unsigned page = w->free_pages[0];
        uint64_t *words = shared_memory_word(&w->memory, DATA + page * VTD_PAGE_SIZE);

        w->free_count--;
        memmove(w->free_pages, w->free_pages + 1, w->free_count * sizeof(w->free_pages[0]));
        for (size_t i = 0; i < VTD_PAGE_SIZE / 8; i++)
                if (words[i] != POISON)
                        complain(w, "written after it was free", words[i], i);
        memset(words, 0, VTD_PAGE_SIZE);
        words[0] = ++w->generation * SLOTS + slot;
        return page;
}

/* Lets the devices go on, so that they have something to lose. */
static void pause_guest(struct world *w)
{
        uint64_t turns = atomic_load(&w->turns) + pick(&w->random, 2 * DEVICES);

        while (atomic_load(&w->turns) < turns)
                (void)sched_yield();
}

static void remap(struct world *w)
{
        unsigned slot = (unsigned)pick(&w->random, SLOTS), old = w->page_of[slot];

        pause_guest(w);
        w->page_of[slot] = pick(&w->random, 10) == 0 ? PAGES : new_page(w, slot);
        change_slot(w, slot);
        if (w->page_of[slot] != PAGES)
                atomic_store(&w->newest[slot], w->generation);
        if (old != PAGES)
                free_page(w, old);
}

static int setup(void **state)
{
        static const struct {
                uint16_t rid;
                enum kind kind;
        } kinds[DEVICES] = {{0x08, PLAIN}, {0x09, PLAIN}, {0x10, PASID_5}, {0x18, KEEPER}};
        const struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_NESTED;
        const struct vtd_frontend_callbacks callbacks = {.read_memory = shared_memory_read,
                                                         .write_memory = shared_memory_write,
                                                         .compare_exchange =
                                                                 shared_memory_compare_exchange,
                                                         .send_message = send_message};
        struct world *w = aligned_alloc(_Alignof(struct world), sizeof(*w));

        assert_non_null(w);
        memset(w, 0, sizeof(*w));
        w->random = 0x5eed;
        for (unsigned i = 0; i < PAGES; i++) {
                memset(w->memory.bytes + DATA + i * VTD_PAGE_SIZE, 0, VTD_PAGE_SIZE);
                free_page(w, i);
        }
        for (unsigned slot = 0; slot < SLOTS; slot++)
                w->page_of[slot] = PAGES;
        for (unsigned i = 0; i < DEVICES; i++) {
                struct device *device = &w->devices[i];

                device->world = w;
                device->number = i;
                device->rid = kinds[i].rid;
                device->kind = kinds[i].kind;
                device->random = i + 1;
                assert_int_equal(pthread_mutex_init(&device->lock, NULL), 0);
        }
        build_tables(w);
        assert_int_equal(vtd_frontend_new(&w->unit, &config, &callbacks, w), 0);
        vtd_frontend_write(w->unit, VTD_REG_RTADDR, 8, ROOT | 0x400);
        vtd_frontend_write(w->unit, VTD_REG_GCMD, 4, VTD_GCMD_SRTP);
        settle(w);
        vtd_frontend_write(w->unit, VTD_REG_IQA, 8, QUEUE | 0x800);
        command(w, VTD_GCMD_QIE);
        command(w, VTD_GCMD_QIE | VTD_GCMD_TE);
        *state = w;
        return 0;
}

static int teardown(void **state)
{
        struct world *w = *state;

        w->unit = vtd_frontend_free(w->unit);
        for (unsigned i = 0; i < DEVICES; i++)
                assert_int_equal(pthread_mutex_destroy(&w->devices[i].lock), 0);
        free(w);
        return 0;
}

static void test_no_device_uses_a_page_whose_invalidation_has_completed(void **state)
{
        const char *text = getenv("THREADS_SECONDS");
        time_t seconds = text ? (time_t)strtoul(text, NULL, 0) : SECONDS, start = time(NULL);
        struct world *w = *state;
        unsigned long remaps = 0;
        pthread_t threads[DEVICES];
        const struct device *keeper = &w->devices[DEVICES - 1];
        struct vtd_frontend_stats stats;

        assert_int_equal(
                vtd_frontend_watch(w->unit, keeper->rid, true, 6, forget, &w->devices[DEVICES - 1]),
                0);
        for (unsigned i = 0; i < DEVICES; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, run_device, &w->devices[i]), 0);
        while (atomic_load(&w->failures) == 0 &&
               (remaps < REMAPS_MIN ||
                ((text || remaps < REMAPS) && time(NULL) - start < seconds))) {
                remap(w);
                remaps++;
        }
        atomic_store(&w->stop, true);
        for (unsigned i = 0; i < DEVICES; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(vtd_frontend_unwatch(w->unit, keeper->rid, true, 6), 0);
        vtd_frontend_get_stats(w->unit, &stats);
        for (unsigned i = 0; i < DEVICES; i++) {
                print_message("# device %u used %llu pages, faulted %llu times\n", i,
                              (unsigned long long)w->devices[i].used,
                              (unsigned long long)w->devices[i].faulted);
                assert_true(w->devices[i].used > 0);
        }
        print_message("# %lu remappings, which found accesses under way %llu times\n", remaps,
                      (unsigned long long)w->pendings);
        assert_int_equal(atomic_load(&w->failures), 0);
        assert_true(keeper->told > 0);
        assert_true(stats.faults > 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(
                        test_no_device_uses_a_page_whose_invalidation_has_completed, setup,
                        teardown),
        };

        return cmocka_run_group_tests_name("frontend-threads", tests, NULL, NULL);
}
