/* SPDX-License-Identifier: MIT */
/*
 * Requests of emulated devices: those whose block is cached beside a bare look-up in a hash table of
 * as many entries, and those whose block is not beside a bare walk of the same tables.  Both sides
 * take the same addresses in the same order, and each from where the result before says, as a device
 * goes on when it has its data: the times are those that a request takes, not how many overlap.
 */
#include <stdlib.h>

#include "tests/bench/bench-guest.h"
#include "tests/bench/measure.h"

#define ROUNDS   41u
#define REQUESTS 32768u /* of a round */

#define ADDRESS UINT64_C(0x4000000000)

struct slot {
        uint64_t key, value;
};

/* A hash table with open addressing, at most half full. */
struct table {
        struct slot *slots;
        unsigned shift;
};

struct setup {
        struct bench_guest *guest;
        uint64_t root;
        uint64_t *addresses; /* REQUESTS of them, and one to spare */
        struct table table;
};

/* What one side does with all addresses; returns a sum of results, so that none is left out. */
typedef uint64_t (*side)(const struct setup *setup);

static uint64_t hash_of(const struct table *table, uint64_t key)
{
        return key * UINT64_C(0x9e3779b97f4a7c15) >> table->shift;
}

static void table_init(struct table *table, unsigned entries)
{
        unsigned bits = 1;

        while (1u << bits < 2 * entries)
                bits++;
        table->shift = 64 - bits;
        table->slots = calloc(UINT64_C(1) << bits, sizeof(*table->slots));
        if (!table->slots)
                bench_fail("out of memory");
}

static void table_insert(struct table *table, uint64_t key, uint64_t value)
{
        uint64_t mask = UINT64_MAX >> table->shift, i = hash_of(table, key);

        while (table->slots[i].key != 0 && table->slots[i].key != key)
                i = (i + 1) & mask;
        table->slots[i] = (struct slot){key, value};
}

static __attribute__((noinline)) bool table_find(const struct table *table, uint64_t key,
                                                 uint64_t *value)
{
        uint64_t mask = UINT64_MAX >> table->shift, i = hash_of(table, key);

        for (; table->slots[i].key != 0; i = (i + 1) & mask) {
                if (table->slots[i].key != key)
                        continue;
                *value = table->slots[i].value;
                return true;
        }
        return false;
}

/* Results are multiples of the page size, so nothing is added; but the processor has to wait. */
static uint64_t address_after(const struct setup *setup, unsigned i, uint64_t sum)
{
        return setup->addresses[i + (sum & 1)];
}

static uint64_t look_up(const struct setup *setup)
{
        uint64_t sum = 0;

        for (unsigned i = 0; i < REQUESTS; i++) {
                uint64_t value = 0;

                if (!table_find(&setup->table, address_after(setup, i, sum) >> 12 << 12, &value))
                        bench_fail("the hash table has lost an entry");
                sum += value;
        }
        return sum;
}

/* Four levels, as the guest's tables have, with no more than it takes to know the page. */
static __attribute__((noinline)) bool walk_bare(struct bench_guest *guest, uint64_t root,
                                                uint64_t address, uint64_t *translated)
{
        uint64_t table = root, rights = 7;

        for (unsigned shift = 39;; shift -= 9) {
                uint64_t entry;

                if (guest->callbacks.read_memory(guest, table + ((address >> shift) & 0x1ff) * 8,
                                                 &entry, sizeof(entry)) != 0 ||
                    !(entry & 1))
                        return false;
                rights &= entry;
                table = entry & UINT64_C(0xffffffffff000);
                if (shift == 12)
                        break;
        }
        *translated = table;
        return rights == 7;
}

static uint64_t walk(const struct setup *setup)
{
        uint64_t sum = 0;

        for (unsigned i = 0; i < REQUESTS; i++) {
                uint64_t translated = 0;

                if (!walk_bare(setup->guest, setup->root, address_after(setup, i, sum),
                               &translated))
                        bench_fail("the bare walk fails");
                sum += translated;
        }
        return sum;
}

static uint64_t translate(const struct setup *setup, bool each)
{
        struct vtd_frontend *unit = setup->guest->unit;
        struct vtd_frontend_dma_request request = {
                .rid = BENCH_RID, .access = VTD_FRONTEND_DMA_READ, .size = 64};
        struct vtd_frontend_access access;
        uint64_t sum = 0;

        if (!each)
                vtd_frontend_access_begin(unit, &access);
        for (unsigned i = 0; i < REQUESTS; i++) {
                struct vtd_frontend_dma_translation result;

                request.address = address_after(setup, i, sum);
                if (each)
                        vtd_frontend_access_begin(unit, &access);
                if (vtd_frontend_translate(unit, &access, &request, &result) != 0)
                        bench_fail("a request is not translated");
                if (each)
                        vtd_frontend_access_end(unit, &access);
                sum += result.translated;
        }
        if (!each)
                vtd_frontend_access_end(unit, &access);
        return sum;
}

static uint64_t translate_in_one_access(const struct setup *setup)
{
        return translate(setup, false);
}

static uint64_t translate_in_accesses(const struct setup *setup)
{
        return translate(setup, true);
}

static double time_of(side of, const struct setup *setup)
{
        int64_t start = thread_ns();
        uint64_t sum = of(setup);
        int64_t end = thread_ns();

        if (sum == 0)
                bench_fail("nothing comes of a side");
        return (double)(end - start) / REQUESTS;
}

static void compare(const struct setup *setup, const char *what, side unit, side bare, double goal)
{
        double times[ROUNDS], bare_times[ROUNDS], ratios[ROUNDS];
        uint64_t reads = 0;

        (void)time_of(unit, setup);
        (void)time_of(bare, setup);
        for (unsigned round = 0; round < ROUNDS; round++) {
                uint64_t before = setup->guest->reads;

                times[round] = time_of(unit, setup);
                reads += setup->guest->reads - before;
                bare_times[round] = time_of(bare, setup);
                ratios[round] = times[round] / bare_times[round];
        }
        (void)printf("translate   %-50s %6.1f ns, bare %.1f ns, ratio %.2f, %.2f reads each", what,
                     median(times, ROUNDS), median(bare_times, ROUNDS), median(ratios, ROUNDS),
                     (double)reads / ROUNDS / REQUESTS);
        print_goal(median(ratios, ROUNDS), goal);
}

/* @pages of a device, and REQUESTS addresses among them: in order, or anywhere. */
static void prepare(struct setup *setup, unsigned pages, bool in_order)
{
        const struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_FIRST_STAGE;
        uint64_t state = 1;

        setup->guest = bench_guest_new(&config, 0, 0);
        setup->root = bench_pages(setup->guest, 1);
        bench_map(setup->guest, setup->root, ADDRESS, pages);
        bench_put_entry(setup->guest, bench_put_device(setup->guest, BENCH_RID, 0), 0, 2,
                        setup->root);
        bench_enable_translation(setup->guest);
        setup->addresses = calloc(REQUESTS + 1, sizeof(*setup->addresses));
        if (!setup->addresses)
                bench_fail("out of memory");
        table_init(&setup->table, pages);
        for (unsigned i = 0; i < pages; i++)
                table_insert(&setup->table, ADDRESS + i * VTD_PAGE_SIZE,
                             ADDRESS + i * VTD_PAGE_SIZE);
        for (unsigned i = 0; i < REQUESTS; i++) {
                uint64_t page = i;

                if (!in_order) {
                        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
                        page = state >> 33;
                }
                setup->addresses[i] = ADDRESS + page % pages * VTD_PAGE_SIZE + (i & 63) * 64;
        }
}

static void finish(struct setup *setup)
{
        free(setup->table.slots);
        free(setup->addresses);
        bench_guest_free(setup->guest);
}

static void measure_hits(const char *size, unsigned pages)
{
        struct setup setup;
        char what[64];

        prepare(&setup, pages, false);
        (void)snprintf(what, sizeof(what), "hit, %s, in one access", size);
        compare(&setup, what, translate_in_one_access, look_up, 3);
        (void)snprintf(what, sizeof(what), "hit, %s, an access each", size);
        compare(&setup, what, translate_in_accesses, look_up, 3);
        finish(&setup);
}

/* So many pages that none is cached any more when its turn comes. */
static void measure_misses(const char *size, unsigned pages, bool in_order)
{
        struct setup setup;
        char what[64];

        prepare(&setup, pages, in_order);
        (void)snprintf(what, sizeof(what), "miss, %s, in one access", size);
        compare(&setup, what, translate_in_one_access, walk, 1.5);
        (void)snprintf(what, sizeof(what), "miss, %s, an access each", size);
        compare(&setup, what, translate_in_accesses, walk, 1.5);
        finish(&setup);
}

void bench_translation(void)
{
        measure_hits("16 pages", 16);
        measure_hits("4096 pages", 4096);
        measure_misses("32768 pages in order", 32768, true);
        measure_misses("2^20 pages anywhere", 1u << 20, false);
}
