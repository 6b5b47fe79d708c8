/* SPDX-License-Identifier: MIT */
/*
 * Invalidation descriptors over a host that answers at once, beside a bare loop that fetches as many
 * and writes as many status words through the same callbacks.
 */
#include "tests/bench/bench-guest.h"

#include "tests/bench/measure.h"

#define ROUNDS  31u
#define BATCH   (BENCH_ENTRIES / 2)
#define DEVICES 16u
#define PAGES   (BATCH / 2 / DEVICES) /* of each */

#define ADDRESS UINT64_C(0x40000000)
#define WAIT    UINT64_C(0x100000025)

static const struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_FIRST_STAGE;

/* The bare loop over the batch that begins at @first. */
static void fetch_and_write(struct bench_guest *guest, unsigned first, unsigned waits)
{
        for (unsigned i = 0; i < BATCH; i++) {
                uint64_t words[4];
                uint32_t data;

                if (guest->callbacks.read_memory(guest, BENCH_QUEUE + (first + i) * UINT64_C(32),
                                                 words, sizeof(words)) != 0)
                        bench_fail("the bare loop cannot read");
                data = (uint32_t)(words[0] >> 32);
                if (i % waits == waits - 1 &&
                    guest->callbacks.write_memory(guest, words[1], &data, sizeof(data)) != 0)
                        bench_fail("the bare loop cannot write");
        }
}

/* Runs both sides in turn; @fill is called before each batch, and every @waits-th is a wait. */
static void measure(struct bench_guest *guest, const char *what, unsigned waits,
                    void (*fill)(struct bench_guest *guest))
{
        double unit[ROUNDS], bare[ROUNDS], ratios[ROUNDS];
        uint64_t requests = guest->host ? guest->host->requests : 0;

        for (unsigned round = 0; round < ROUNDS; round++) {
                int64_t start;

                if (fill)
                        fill(guest);
                start = thread_ns();
                bench_run_queue(guest, BATCH);
                unit[round] = (double)(thread_ns() - start) / BATCH;
                start = thread_ns();
                fetch_and_write(guest, round % 2 * BATCH, waits);
                bare[round] = (double)(thread_ns() - start) / BATCH;
                ratios[round] = unit[round] / bare[round];
        }
        requests = (guest->host ? guest->host->requests : 0) - requests;
        (void)printf("descriptors %-50s %6.1f ns each (%.1f million/s), bare %.1f ns, ratio %.1f; "
                     "%.2f requests each\n",
                     what, median(unit, ROUNDS), 1e3 / median(unit, ROUNDS), median(bare, ROUNDS),
                     median(ratios, ROUNDS), (double)requests / ROUNDS / BATCH);
}

/* The same descriptors in both halves of the queue. */
static void put_both(struct bench_guest *guest, unsigned index, uint64_t first, uint64_t second)
{
        bench_put_descriptor(guest, index, first, second);
        bench_put_descriptor(guest, index + BATCH, first, second);
}

static uint64_t page_of(unsigned index)
{
        return ADDRESS + index * VTD_PAGE_SIZE;
}

/* Each device's pages in turn, each invalidation followed by a wait. */
static void put_invalidations(struct bench_guest *guest, unsigned devices)
{
        unsigned pages = BATCH / 2 / devices;

        for (unsigned i = 0; i < BATCH / 2; i++) {
                put_both(guest, 2 * i, 0x36 | (UINT64_C(2) + i / pages) << 16,
                         page_of(i % pages) | 0x40);
                put_both(guest, 2 * i + 1, WAIT, BENCH_STATUS);
        }
}

static void measure_waits(void)
{
        struct bench_guest *guest = bench_guest_new(&config, 0, 0);

        for (unsigned i = 0; i < BATCH; i++)
                put_both(guest, i, WAIT, BENCH_STATUS);
        measure(guest, "wait", 1, NULL);
        bench_guest_free(guest);
}

static void measure_brokered(void)
{
        struct bench_guest *guest = bench_guest_new(&config, 64, 20);
        uint64_t root = bench_pages(guest, 1);

        bench_put_entry(guest, bench_put_device(guest, BENCH_RID, 0), 0, 2, root);
        bench_enable_translation(guest);
        put_invalidations(guest, 1);
        measure(guest, "page + wait, one brokered device", 2, NULL);
        bench_guest_free(guest);
}

static void translate_pages(struct bench_guest *guest)
{
        for (unsigned device = 0; device < DEVICES; device++) {
                struct vtd_frontend_dma_request request = {.rid = (uint16_t)(BENCH_RID + device),
                                                           .access = VTD_FRONTEND_DMA_READ,
                                                           .size = 64};

                for (unsigned i = 0; i < PAGES; i++) {
                        struct vtd_frontend_dma_translation result;
                        struct vtd_frontend_access access;

                        request.address = page_of(i);
                        vtd_frontend_access_begin(guest->unit, &access);
                        if (vtd_frontend_translate(guest->unit, &access, &request, &result) != 0)
                                bench_fail("a page is not translated");
                        vtd_frontend_access_end(guest->unit, &access);
                }
        }
}

static void measure_emulated(void)
{
        struct bench_guest *guest = bench_guest_new(&config, 0, 0);
        uint64_t root = bench_pages(guest, 1);

        bench_map(guest, root, ADDRESS, PAGES);
        for (unsigned device = 0; device < DEVICES; device++)
                bench_put_entry(guest, bench_put_device(guest, (uint16_t)(BENCH_RID + device), 0),
                                0, 2 + device, root);
        bench_enable_translation(guest);
        put_invalidations(guest, DEVICES);
        measure(guest, "page + wait, each of a cached block (16 devices)", 2, translate_pages);
        bench_guest_free(guest);
}

void bench_descriptors(void)
{
        measure_waits();
        measure_brokered();
        measure_emulated();
}
