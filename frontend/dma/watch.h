/* SPDX-License-Identifier: MIT */
/*
 * Who wants to be told of invalidations (vtd_frontend_watch), and what of.  Threads that translate
 * note what they hand out by the PASID-table entry's type, domain id and PASID; the thread that
 * invalidates takes notice of descriptors as it executes them, and tells when all accesses have ended
 * that began before: an access may hand out what was just dropped, and a back end may keep that, up
 * to its end.
 *
 * Notes are kept by the parity of the epoch in which the access began (access.h), because a watch
 * that was told to forget everything begins a new note while other accesses are under way: at the
 * change of the epoch what is noted is brought together under the old parity, and only that is
 * cleared.  What an access of the new epoch was given before the back end forgot, and keeps after,
 * stays noted.
 *
 * A note is of one entry; with a second one it becomes "several", and every descriptor concerns the
 * watch, in full.  Untranslated requests leave no note: only what everything is invalidated by
 * changes their ways, and that is told to all.
 */
#ifndef VTD_FRONTEND_DMA_WATCH_H
#define VTD_FRONTEND_DMA_WATCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "frontend/dma/pasid-cache.h"
#include "frontend/include/vtd/dma.h"
#include "frontend/queue.h"

/* Descriptors that are kept one by one between two drains; with more everything is told. */
#define VTD_WATCH_NOTICES 16u

struct vtd_watch {
        _Atomic uint64_t key; /* as entries of the PASID cache are found by; 0: free */
        _Atomic uint64_t notes[2];
        vtd_frontend_invalidated invalidated;
        void *opaque;
};

struct vtd_watches {
        pthread_mutex_t lock;    /* of the table; held while a watch is told */
        _Atomic uint64_t filter; /* bits of the keys that there are; 0: none */
        struct vtd_watch slots[VTD_FRONTEND_WATCHES];
        /* The invalidating thread's. */
        bool everything;
        size_t count;
        struct vtd_descriptor notices[VTD_WATCH_NOTICES];
};

/* Returns 0 or a negative errno. */
int vtd_watches_init(struct vtd_watches *watches);
void vtd_watches_deinit(struct vtd_watches *watches);

/* See vtd_frontend_watch() and _unwatch(), whose arguments were checked. */
int vtd_watches_add(struct vtd_watches *watches, uint16_t rid, bool with_pasid, uint32_t pasid,
                    vtd_frontend_invalidated invalidated, void *opaque);
int vtd_watches_remove(struct vtd_watches *watches, uint16_t rid, bool with_pasid, uint32_t pasid);

/* A request, of an access that began in @epoch, is being given a translation by its @entry. */
void vtd_watches_note_it(struct vtd_watches *watches, unsigned epoch,
                         const struct vtd_packed_entry *entry);
static inline void vtd_watches_note(struct vtd_watches *watches, unsigned epoch,
                                    const struct vtd_packed_entry *entry)
{
        if (atomic_load_explicit(&watches->filter, memory_order_acquire) != 0)
                vtd_watches_note_it(watches, epoch, entry);
}

/*
 * The invalidating thread's from here on.
 *
 * @descriptor was executed; NULL: everything was invalidated.
 */
void vtd_watches_notice(struct vtd_watches *watches, const struct vtd_descriptor *descriptor);

/* The epoch is about to change from @epoch. */
void vtd_watches_turn(struct vtd_watches *watches, unsigned epoch);

/* True when there is something to tell. */
bool vtd_watches_are_due(const struct vtd_watches *watches);

/* Tells it, once all accesses of the epoch before @epoch have ended.  No other lock may be held. */
void vtd_watches_tell(struct vtd_watches *watches, unsigned epoch);

#endif
