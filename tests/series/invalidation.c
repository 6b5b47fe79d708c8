/* SPDX-License-Identifier: MIT */
/* Rows S1 (several entries in one call) and S13 (PASID-based invalidation). */
#include "tests/series/series.h"

#define OTHER_DOMAIN 8
#define OTHER_PASID  3u

#define ADDRESS_MASK_END 52u /* AM is a number of pages as a power of two: 0 to 51 */
#define LOWER_HALF_BITS  47u
#define LARGEST_BLOCK    18u

/* Flipping one bit of it gives no address that is used otherwise. */
#define IOVA_BLOCKS (IOVA_DATA + 5 * GUEST_PAGE)

static void queue_pages(struct machine *machine, uint16_t domain, uint32_t pasid, uint64_t iova,
                        unsigned order, bool leaf)
{
        guest_queue(&machine->guest, (uint64_t)pasid << 32 | (uint64_t)domain << 16 | 0x36,
                    iova | (leaf ? 0x40 : 0) | order);
}

static void queue_whole(struct machine *machine, uint16_t domain, uint32_t pasid)
{
        guest_queue(&machine->guest, (uint64_t)pasid << 32 | (uint64_t)domain << 16 | 0x26, 0);
}

static void several_entries_in_one_call(struct series *series)
{
        struct machine machine;
        uint64_t table, entries, done;
        const char *line;

        table = machine_bound(series, &machine, SERIES_BLUE);
        for (unsigned i = 0; i < 6; i++) {
                guest_table_map(&machine.guest, table, IOVA_DATA + i * 2 * GUEST_PAGE, PAGE_A, 1);
                IS(series, machine_reads(&machine, 0, IOVA_DATA + i * 2 * GUEST_PAGE, IOVA_SINK),
                   'A');
        }
        for (unsigned i = 0; i < 6; i++)
                guest_table_map(&machine.guest, table, IOVA_DATA + i * 2 * GUEST_PAGE, PAGE_B, 1);
        machine_mark(&machine);
        for (unsigned i = 0; i < 5; i++)
                queue_pages(&machine, DOMAIN, 0, IOVA_DATA + i * 2 * GUEST_PAGE, 0, false);
        guest_submit(&machine.guest);
        IS(series, machine_calls(&machine, NULL), 1);
        line = machine_last_call(&machine, "invalidate");
        IS(series, line && audit_number(line, "entries", &entries) && entries == 5, true);
        IS(series, line && audit_number(line, "done", &done) && done == 5, true);
        for (unsigned i = 0; i < 6; i++)
                IS(series, machine_reads(&machine, 0, IOVA_DATA + i * 2 * GUEST_PAGE, IOVA_SINK),
                   i < 5 ? 'B' : 'A');
        machine_stop(&machine);
}

/* The places that one invalidation of 2^AM pages is judged by. */
struct places {
        uint64_t at;     /* the address that the descriptor names */
        uint64_t inside; /* in the other half of its block */
        uint64_t beside; /* in the block next to it; 0: that block is not in the address space */
};

/* The real host drops whole tables rather than blocks of more than 1 GiB. */
static struct places places_of(const struct series *series, unsigned order)
{
        struct places places = {.at = IOVA_BLOCKS, .inside = IOVA_BLOCKS};
        unsigned shift = order + 12;

        if (order > 0 && shift - 1 < LOWER_HALF_BITS)
                places.inside = IOVA_BLOCKS ^ UINT64_C(1) << (shift - 1);
        if (shift < LOWER_HALF_BITS && (!series->real || order <= LARGEST_BLOCK))
                places.beside = IOVA_BLOCKS ^ UINT64_C(1) << shift;
        return places;
}

static void point(struct machine *machine, uint64_t table, const struct places *places,
                  uint64_t page)
{
        guest_table_map(&machine->guest, table, places->at, page, 1);
        guest_table_map(&machine->guest, table, places->inside, page, 1);
        if (places->beside != 0)
                guest_table_map(&machine->guest, table, places->beside, page, 1);
}

static void every_order_reaches_its_block(struct series *series)
{
        struct machine machine;
        uint64_t table = machine_bound(series, &machine, SERIES_BLUE);

        for (unsigned order = 0; order < ADDRESS_MASK_END; order++) {
                struct places places = places_of(series, order);

                machine_mark(&machine); /* takes in the lines of before, that none is lost */
                point(&machine, table, &places, PAGE_A);
                queue_whole(&machine, DOMAIN, 0);
                guest_submit(&machine.guest);
                IS(series, machine_reads(&machine, 0, places.at, IOVA_SINK), 'A');
                IS(series, machine_reads(&machine, 0, places.inside, IOVA_SINK), 'A');
                if (places.beside != 0)
                        IS(series, machine_reads(&machine, 0, places.beside, IOVA_SINK), 'A');
                point(&machine, table, &places, PAGE_B);
                queue_pages(&machine, DOMAIN, 0, places.at, order, false);
                guest_submit(&machine.guest);
                IS(series, machine_reads(&machine, 0, places.at, IOVA_SINK), 'B');
                IS(series, machine_reads(&machine, 0, places.inside, IOVA_SINK), 'B');
                if (places.beside != 0)
                        IS(series, machine_reads(&machine, 0, places.beside, IOVA_SINK), 'A');
                if (series->point_failed)
                        break;
        }
        machine_stop(&machine);
}

/*
 * A translation of 2 MiB is dropped by whatever touches a page of it; but the rig's IOMMU caches
 * what it nests in pieces of 4 KiB, so there the very page must be named.
 */
static void every_order_drops_a_large_page(struct series *series)
{
        struct machine machine;
        uint64_t table = machine_bound(series, &machine, SERIES_BLUE);
        const uint64_t somewhere = IOVA_LARGE + 0x42 * GUEST_PAGE;
        const uint64_t named = series->real ? somewhere : IOVA_LARGE + 0x99 * GUEST_PAGE;

        for (unsigned order = 0; order < ADDRESS_MASK_END; order++) {
                bool odd = order % 2 != 0;

                machine_mark(&machine);
                IS(series, machine_reads(&machine, 0, somewhere, IOVA_SINK), odd ? 'M' : 'L');
                guest_table_map(&machine.guest, table, IOVA_LARGE, odd ? LARGE_PAGE : LARGE_NEXT,
                                2);
                IS(series, machine_reads(&machine, 0, somewhere, IOVA_SINK), odd ? 'M' : 'L');
                queue_pages(&machine, DOMAIN, 0, named, order, false);
                guest_submit(&machine.guest);
                IS(series, machine_reads(&machine, 0, somewhere, IOVA_SINK), odd ? 'L' : 'M');
                if (series->point_failed)
                        break;
        }
        machine_stop(&machine);
}

static void leaf_only_drops_the_leaf(struct series *series)
{
        struct machine machine;
        uint64_t table = machine_bound(series, &machine, SERIES_BLUE);

        guest_table_map(&machine.guest, table, IOVA_DATA, PAGE_B, 1);
        IS(series, machine_reads_table(&machine, 0), 'A');
        queue_pages(&machine, DOMAIN, 0, IOVA_DATA, 0, true);
        guest_submit(&machine.guest);
        IS(series, machine_reads_table(&machine, 0), 'B');
        guest_table_map(&machine.guest, table, IOVA_LARGE, LARGE_NEXT, 2);
        queue_pages(&machine, DOMAIN, 0, IOVA_LARGE, 9, true);
        guest_submit(&machine.guest);
        IS(series, machine_reads(&machine, 0, IOVA_LARGE, IOVA_SINK), 'M');
        machine_stop(&machine);
}

/* The simulated host keeps pointers to the lowest tables; the rig's IOMMU caches leaves only. */
static void leaf_only_keeps_upper_levels(struct series *series)
{
        struct machine machine;
        uint64_t table = machine_bound(series, &machine, SERIES_BLUE);
        uint64_t other = machine_table(&machine, PAGE_C), from = other, to = table;

        for (unsigned level = 4; level > 2; level--) {
                unsigned shift = 12 + 9 * (level - 1);

                from = machine_load(&machine, from + (IOVA_DATA >> shift & 511) * 8) &
                       ~UINT64_C(0xfff);
                to = machine_load(&machine, to + (IOVA_DATA >> shift & 511) * 8) & ~UINT64_C(0xfff);
        }
        machine_store(&machine, to + (IOVA_DATA >> 21 & 511) * 8,
                      machine_load(&machine, from + (IOVA_DATA >> 21 & 511) * 8));
        queue_pages(&machine, DOMAIN, 0, IOVA_DATA, 0, true);
        guest_submit(&machine.guest);
        IS(series, machine_reads_table(&machine, 0), 'A');
        queue_pages(&machine, DOMAIN, 0, IOVA_DATA, 0, false);
        guest_submit(&machine.guest);
        IS(series, machine_reads_table(&machine, 0), 'C');
        machine_stop(&machine);
}

static void whole_pasid_drops_everything(struct series *series)
{
        struct machine machine;
        uint64_t table = machine_bound(series, &machine, SERIES_BLUE), whole = 0;
        const char *line;

        IS(series, machine_reads(&machine, 0, IOVA_LARGE, IOVA_SINK), 'L');
        guest_table_map(&machine.guest, table, IOVA_DATA, PAGE_B, 1);
        guest_table_map(&machine.guest, table, IOVA_LARGE, LARGE_NEXT, 2);
        IS(series, machine_reads_table(&machine, 0), 'A');
        machine_mark(&machine);
        queue_whole(&machine, DOMAIN, 0);
        guest_submit(&machine.guest);
        IS(series, machine_calls(&machine, NULL), 1);
        line = machine_last_call(&machine, "invalidate");
        IS(series, line && audit_number(line, "whole", &whole) && whole == 1, true);
        IS(series, machine_reads_table(&machine, 0), 'B');
        IS(series, machine_reads(&machine, 0, IOVA_LARGE, IOVA_SINK), 'M');
        machine_stop(&machine);
}

static void wrong_tags_leave_it_stale(struct series *series)
{
        static const struct {
                uint16_t domain;
                uint32_t pasid;
        } wrong[] = {{OTHER_DOMAIN, 0}, {DOMAIN, OTHER_PASID}, {OTHER_DOMAIN, OTHER_PASID}, {0, 0}};
        struct machine machine;
        uint64_t table = machine_bound(series, &machine, SERIES_BLUE);

        guest_table_map(&machine.guest, table, IOVA_DATA, PAGE_B, 1);
        machine_mark(&machine);
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
                queue_pages(&machine, wrong[i].domain, wrong[i].pasid, IOVA_DATA, 0, false);
                queue_pages(&machine, wrong[i].domain, wrong[i].pasid, 0, ADDRESS_MASK_END - 1,
                            false);
                queue_whole(&machine, wrong[i].domain, wrong[i].pasid);
                guest_submit(&machine.guest);
                IS(series, machine_calls(&machine, NULL), 0);
                IS(series, machine_reads_table(&machine, 0), 'A');
        }
        queue_pages(&machine, DOMAIN, 0, IOVA_DATA, 0, false);
        guest_submit(&machine.guest);
        IS(series, machine_calls(&machine, NULL), 1);
        IS(series, machine_reads_table(&machine, 0), 'B');
        machine_stop(&machine);
}

const struct series_test series_invalidation_tests[] = {
        {"S1: five descriptors before one wait are one host call with five entries",
         several_entries_in_one_call, ON_BOTH, NULL},
        {"S13: page-selective invalidation with every AM from 0 to 51 reaches its block, not the "
         "next",
         every_order_reaches_its_block, ON_BOTH, NULL},
        {"S13: page-selective invalidation with every AM drops a 2 MiB page",
         every_order_drops_a_large_page, ON_BOTH, NULL},
        {"S13: with IH the leaf is dropped", leaf_only_drops_the_leaf, ON_BOTH, NULL},
        {"S13: with IH upper levels stay cached", leaf_only_keeps_upper_levels, ON_SIMULATED, NULL},
        {"S13: whole-PASID invalidation drops 4 KiB and 2 MiB pages by one host call",
         whole_pasid_drops_everything, ON_BOTH, NULL},
        {"S13: a wrong domain or PASID leaves the translation stale and costs no host call",
         wrong_tags_leave_it_stale, ON_BOTH, NULL},
        {0},
};
