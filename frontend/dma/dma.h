/* SPDX-License-Identifier: MIT */
/*
 * Requests of emulated devices: what vtd/dma.h promises, without the register page.  May assume that
 * the functions of the invalidating thread are not called at the same time as each other.  Must
 * guarantee that after an invalidation and vtd_dma_is_drained() no access makes use of what the
 * invalidation named.
 *
 * It is a part of the engine, by whose turns invalidations are executed and completed; all other
 * threads reach it through the public functions only (public.c).
 */
#ifndef VTD_FRONTEND_DMA_DMA_H
#define VTD_FRONTEND_DMA_DMA_H

#include "frontend/capabilities.h"
#include "frontend/dma/access.h"
#include "frontend/dma/cache.h"
#include "frontend/dma/watch.h"
#include "frontend/fault.h"
#include "frontend/guest.h"
#include "frontend/include/vtd/dma.h"
#include "frontend/queue.h"

struct vtd_dma {
        const struct vtd_guest *guest;
        const struct vtd_capabilities *capabilities;
        struct vtd_accesses accesses;
        /* Read by every request, and written by invalidations. */
        alignas(64) _Atomic uint64_t
                mode;                   /* the root pointer as latched, and whether it is in use */
        _Atomic uint64_t invalidations; /* see cache.h */
        struct vtd_cache pasid_cache;
        struct vtd_cache iotlb;
        struct vtd_watches watches;
};

/* Why a request is blocked; the rest of its record is in the request. */
struct vtd_dma_fault {
        enum vtd_fault_reason reason; /* or none */
        bool fpd;
};

/* Translation is off.  @guest and @capabilities must stay.  Returns 0 or a negative errno. */
int vtd_dma_init(struct vtd_dma *dma, const struct vtd_guest *guest,
                 const struct vtd_capabilities *capabilities);
void vtd_dma_deinit(struct vtd_dma *dma);

/*
 * See vtd_frontend_translate(), of an access that began in @epoch.  With VTD_FRONTEND_FAULTED,
 * *@fault is to be recorded if it has a reason.  Returns all that does but -ENOTSUP.
 */
int vtd_dma_translate(struct vtd_dma *dma, unsigned epoch,
                      const struct vtd_frontend_dma_request *request,
                      struct vtd_frontend_dma_translation *result, struct vtd_dma_fault *fault);

/* True while translation is on. */
bool vtd_dma_is_enabled(const struct vtd_dma *dma);

/*
 * The invalidating thread's from here on.
 *
 * Puts a root pointer (RTADDR as latched) in force, or switches translation; drops everything.
 */
void vtd_dma_set_mode(struct vtd_dma *dma, uint64_t root, bool enabled);

/* Drops what @descriptor names in which caches; it may be of any type. */
void vtd_dma_invalidate(struct vtd_dma *dma, const struct vtd_descriptor *descriptor);

/* Something else was invalidated that accesses make use of: the next drain is for it as well. */
static inline void vtd_dma_need_drain(struct vtd_dma *dma)
{
        dma->accesses.due = true;
}

/*
 * True when no access is under way any more that began before the last invalidation.  Never waits:
 * to be called again while it is false.  Costs next to nothing when nothing was invalidated.
 */
bool vtd_dma_is_drained(struct vtd_dma *dma);

/* What watches are to be told of, once drained: see watch.h. */
static inline bool vtd_dma_has_news(const struct vtd_dma *dma)
{
        return vtd_watches_are_due(&dma->watches);
}

/* Tells it.  No lock may be held, and the drain must be over. */
void vtd_dma_tell(struct vtd_dma *dma);

#endif
