/* SPDX-License-Identifier: MIT */
/*
 * A PASID-cache invalidation of everything has the tables searched for PASIDs of brokered devices:
 * what that costs with the same entries in a small PASID space and in the largest.
 */
#include "tests/bench/bench-guest.h"
#include "tests/bench/measure.h"

#define ROUNDS 21u
#define LIVE   16u

struct space {
        unsigned bits;
        struct bench_guest *guest;
        double times[ROUNDS];
        uint64_t reads, requests; /* of one invalidation */
};

/* LIVE entries, evenly over the space, each with a table of its own; PASID 0 has one as well. */
static void prepare(struct space *space, unsigned bits)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_FIRST_STAGE;
        uint64_t directory;

        space->bits = bits;
        config.pasid_bits = bits;
        space->guest = bench_guest_new(&config, 64, bits);
        directory = bench_put_device(space->guest, BENCH_RID, bits > 13 ? bits - 13 : 0);
        bench_put_entry(space->guest, directory, 0, 2, bench_pages(space->guest, 1));
        for (uint32_t i = 0; i < LIVE; i++)
                bench_put_entry(space->guest, directory, (i << bits) / LIVE + 1, 3 + i,
                                bench_pages(space->guest, 1));
        bench_enable_translation(space->guest);
        for (unsigned i = 0; i < BENCH_ENTRIES; i += 2) {
                bench_put_descriptor(space->guest, i, 0x37, 0);
                bench_put_descriptor(space->guest, i + 1, UINT64_C(0x100000025), BENCH_STATUS);
        }
}

static void invalidate(struct space *space, unsigned round)
{
        uint64_t reads = space->guest->reads, requests = space->guest->host->requests;
        int64_t start = thread_ns();

        bench_run_queue(space->guest, 2);
        space->times[round] = (double)(thread_ns() - start) / 1e3;
        space->reads = space->guest->reads - reads;
        space->requests = space->guest->host->requests - requests;
}

void bench_pasids(void)
{
        struct space spaces[2];
        double ratios[ROUNDS];

        prepare(&spaces[0], 7);
        prepare(&spaces[1], 20);
        for (unsigned round = 0; round < ROUNDS; round++) {
                invalidate(&spaces[0], round);
                invalidate(&spaces[1], round);
                ratios[round] = spaces[1].times[round] / spaces[0].times[round];
        }
        for (unsigned i = 0; i < 2; i++) {
                (void)printf(
                        "replay      %u PASIDs of 2^%-2u: %.1f us, %llu reads, %llu requests\n",
                        LIVE, spaces[i].bits, median(spaces[i].times, ROUNDS),
                        (unsigned long long)spaces[i].reads,
                        (unsigned long long)spaces[i].requests);
                bench_guest_free(spaces[i].guest);
        }
        (void)printf("replay      2^20 beside 2^7: ratio %.1f\n", median(ratios, ROUNDS));
}
