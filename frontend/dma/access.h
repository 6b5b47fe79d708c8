/* SPDX-License-Identifier: MIT */
/*
 * Which accesses of devices are under way, so that the unit can tell when all have ended that may
 * still make use of what was invalidated.  Accesses begin and end in any thread; one thread at a
 * time drains.  Nobody waits: a drain that is not over is to be asked for again.
 *
 * How, and why it is right
 *
 * Accesses are counted in one of two counters, by the parity of an epoch.  Beginning: load the epoch,
 * add 1 to its counter, load the epoch again; if its parity has changed, take that back and start
 * anew.  Ending: subtract 1.  Draining: change the epoch, then wait for the counter of the one before
 * to be 0; the next change comes only after that.  All are sequentially consistent.
 *
 * Let F be the change of the epoch after invalidations were executed, and Z the load that saw the
 * counter of the epoch before as 0.  Of an access, let B be the addition that stood.
 *   - B in the counter that Z looked at, and before Z: Z saw 0, so that the access had ended, and
 *     the subtraction that Z saw the effect of has everything before it that was done in the access.
 *   - B in that counter and after Z: so after F.  Then the second load of the epoch sees F, or a
 *     later change back to the same parity, which came after F as well.
 *   - B in the other counter: its second load saw F or a later change, because before F the counter
 *     of that parity was drained: an access counted there began and ended before.
 * In the last two cases the access has F before it, and with it every invalidation that was executed
 * before F: it finds none of what was dropped.
 *
 * An addition that is taken back may be seen by Z, which then has to be asked for once more; it
 * stands between two neighbouring steps of one thread, and nothing depends on it.  It does not matter
 * either how often the epoch changes between the two loads, only whether the parity is the same.
 */
#ifndef VTD_FRONTEND_DMA_ACCESS_H
#define VTD_FRONTEND_DMA_ACCESS_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>

struct vtd_accesses {
        alignas(64) _Atomic unsigned epoch;
        _Atomic unsigned under_way[2];
        /* The draining thread's. */
        alignas(64) bool due; /* something was invalidated since the epoch was changed last */
        bool draining;        /* it was changed, and the counter before was not seen as 0 yet */
};

/* Begins an access; returns what it is ended with. */
static inline unsigned vtd_accesses_begin(struct vtd_accesses *accesses)
{
        for (;;) {
                unsigned epoch = atomic_load(&accesses->epoch);

                atomic_fetch_add(&accesses->under_way[epoch & 1], 1);
                if (!((atomic_load(&accesses->epoch) ^ epoch) & 1))
                        return epoch;
                atomic_fetch_sub(&accesses->under_way[epoch & 1], 1);
        }
}

static inline void vtd_accesses_end(struct vtd_accesses *accesses, unsigned epoch)
{
        atomic_fetch_sub(&accesses->under_way[epoch & 1], 1);
}

/* Begins a drain; none may be going on. */
static inline void vtd_accesses_turn(struct vtd_accesses *accesses)
{
        accesses->due = false;
        accesses->draining = true;
        atomic_fetch_add(&accesses->epoch, 1);
}

/* True once the drain that was begun is over. */
static inline bool vtd_accesses_are_drained(struct vtd_accesses *accesses)
{
        unsigned before = (atomic_load(&accesses->epoch) & 1) ^ 1;

        if (accesses->draining && atomic_load(&accesses->under_way[before]) == 0)
                accesses->draining = false;
        return !accesses->draining;
}

#endif
