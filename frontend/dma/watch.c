/* SPDX-License-Identifier: MIT */
/* See watch.h. */
#include "frontend/dma/watch.h"

#include <errno.h>

#include "shared/checked.h"

/* A note: a bit that is always set, type, domain id and PASID. */
#define NONE         UINT64_C(0)
#define PRESENT      UINT64_C(1)
#define SEVERAL      UINT64_MAX
#define TYPE_SHIFT   1u
#define DOMAIN_SHIFT 4u
#define ENTRY_SHIFT  20u

/* What a descriptor means to a watch. */
enum concern {
        CONCERN_NOTHING,
        CONCERN_RANGE,
        CONCERN_EVERYTHING,
};

int vtd_watches_init(struct vtd_watches *watches)
{
        return -pthread_mutex_init(&watches->lock, NULL);
}

void vtd_watches_deinit(struct vtd_watches *watches)
{
        (void)pthread_mutex_destroy(&watches->lock);
}

static uint64_t filter_of(uint64_t key)
{
        return UINT64_C(1) << (vtd_cache_hash(key, 0) >> 58);
}

/* The place of @key, which may be 0 for a free one, or NULL. */
static struct vtd_watch *find(struct vtd_watches *watches, uint64_t key)
{
        for (size_t i = 0; i < VTD_FRONTEND_WATCHES; i++)
                if (atomic_load_explicit(&watches->slots[i].key, memory_order_acquire) == key)
                        return &watches->slots[i];
        return NULL;
}

static int add(struct vtd_watches *watches, uint64_t key, vtd_frontend_invalidated invalidated,
               void *opaque)
{
        struct vtd_watch *watch;

        if (find(watches, key))
                return -EEXIST;
        watch = find(watches, 0);
        if (!watch)
                return -ENOSPC;
        watch->invalidated = invalidated;
        watch->opaque = opaque;
        atomic_store(&watch->notes[0], NONE);
        atomic_store(&watch->notes[1], NONE);
        atomic_store(&watch->key, key);
        atomic_fetch_or(&watches->filter, filter_of(key));
        return 0;
}

int vtd_watches_add(struct vtd_watches *watches, uint16_t rid, bool with_pasid, uint32_t pasid,
                    vtd_frontend_invalidated invalidated, void *opaque)
{
        int r;

        (void)pthread_mutex_lock(&watches->lock);
        r = add(watches, vtd_packed_key(rid, with_pasid, pasid), invalidated, opaque);
        (void)pthread_mutex_unlock(&watches->lock);
        return r;
}

int vtd_watches_remove(struct vtd_watches *watches, uint16_t rid, bool with_pasid, uint32_t pasid)
{
        struct vtd_watch *watch;
        uint64_t filter = 0;

        (void)pthread_mutex_lock(&watches->lock);
        watch = find(watches, vtd_packed_key(rid, with_pasid, pasid));
        if (watch) {
                atomic_store(&watch->key, 0);
                for (size_t i = 0; i < VTD_FRONTEND_WATCHES; i++) {
                        uint64_t key = atomic_load(&watches->slots[i].key);

                        filter |= key != 0 ? filter_of(key) : 0;
                }
                atomic_store(&watches->filter, filter);
        }
        (void)pthread_mutex_unlock(&watches->lock);
        return watch ? 0 : -ENOENT;
}

static uint64_t combine(uint64_t a, uint64_t b)
{
        if (a == NONE || a == b)
                return b;
        return b == NONE ? a : SEVERAL;
}

static void note(_Atomic uint64_t *note, uint64_t more)
{
        uint64_t seen = atomic_load(note), wanted;

        do {
                wanted = combine(seen, more);
                if (wanted == seen)
                        return;
        } while (!atomic_compare_exchange_weak(note, &seen, wanted));
}

/*
 * A watch that is removed meanwhile, and another one put in its place, costs that one being told of
 * more than concerns it.
 */
void vtd_watches_note_it(struct vtd_watches *watches, unsigned epoch,
                         const struct vtd_packed_entry *entry)
{
        uint64_t key = entry->cache.words[0];
        struct vtd_watch *watch;

        if (!(atomic_load(&watches->filter) & filter_of(key)))
                return;
        watch = find(watches, key);
        if (watch)
                note(&watch->notes[epoch & 1],
                     PRESENT | (uint64_t)vtd_packed_type(entry) << TYPE_SHIFT |
                             (uint64_t)vtd_packed_domain(entry) << DOMAIN_SHIFT |
                             (uint64_t)vtd_packed_pasid(entry) << ENTRY_SHIFT);
}

/*
 * With nobody there, there is nobody to tell later either.  The filter is exchanged for itself, so
 * that whoever changes it after, and so begins to watch, has the execution of @descriptor before it,
 * and is given nothing that it dropped.
 */
void vtd_watches_notice(struct vtd_watches *watches, const struct vtd_descriptor *descriptor)
{
        if (atomic_fetch_or(&watches->filter, 0) == 0)
                return;
        if (descriptor && watches->count < VTD_WATCH_NOTICES)
                watches->notices[watches->count++] = *descriptor;
        else
                watches->everything = true;
}

void vtd_watches_turn(struct vtd_watches *watches, unsigned epoch)
{
        if (atomic_load(&watches->filter) == 0)
                return;
        for (size_t i = 0; i < VTD_FRONTEND_WATCHES; i++) {
                struct vtd_watch *watch = &watches->slots[i];

                note(&watch->notes[epoch & 1], atomic_exchange(&watch->notes[~epoch & 1], NONE));
        }
}

bool vtd_watches_are_due(const struct vtd_watches *watches)
{
        return watches->everything || watches->count > 0;
}

static enum concern concern_of_context(uint64_t key, const struct vtd_descriptor *descriptor)
{
        unsigned rid = key >> VTD_PACKED_RID_SHIFT & 0xffff;

        if (descriptor->granularity == VTD_CONTEXT_CACHE_DEVICE &&
            ((rid ^ descriptor->source_id) & ~(unsigned)descriptor->source_ignored))
                return CONCERN_NOTHING;
        return CONCERN_EVERYTHING;
}

static enum concern concern_of(uint64_t key, uint64_t noted,
                               const struct vtd_descriptor *descriptor)
{
        bool first_stage = noted >> TYPE_SHIFT & 1; /* or nested */
        bool same_domain = (noted >> DOMAIN_SHIFT & 0xffff) == descriptor->domain_id;
        bool same_pasid = same_domain && (noted >> ENTRY_SHIFT) == descriptor->pasid;

        if (noted == NONE)
                return CONCERN_NOTHING;
        if (descriptor->type == VTD_DESCRIPTOR_CONTEXT_CACHE)
                return concern_of_context(key, descriptor);
        if (noted == SEVERAL)
                return CONCERN_EVERYTHING;
        if (descriptor->type == VTD_DESCRIPTOR_PASID_CACHE) {
                if (descriptor->granularity == VTD_PASID_CACHE_GLOBAL)
                        return CONCERN_EVERYTHING;
                if (descriptor->granularity == VTD_PASID_CACHE_DOMAIN)
                        return same_domain ? CONCERN_EVERYTHING : CONCERN_NOTHING;
                return same_pasid ? CONCERN_EVERYTHING : CONCERN_NOTHING;
        }
        if (descriptor->type == VTD_DESCRIPTOR_PASID_IOTLB) {
                if (descriptor->granularity == VTD_PASID_IOTLB_PAGE)
                        return first_stage && same_pasid ? CONCERN_RANGE : CONCERN_NOTHING;
                return same_pasid || (same_domain && !first_stage) ? CONCERN_EVERYTHING
                                                                   : CONCERN_NOTHING;
        }
        if (descriptor->granularity == VTD_IOTLB_GLOBAL)
                return CONCERN_EVERYTHING;
        if (!same_domain)
                return CONCERN_NOTHING;
        return descriptor->granularity == VTD_IOTLB_PAGE && !first_stage ? CONCERN_RANGE
                                                                         : CONCERN_EVERYTHING;
}

/* Tells of the block of pages that @descriptor names, or that it is all there is. */
static void tell_range(const struct vtd_watch *watch, const struct vtd_descriptor *descriptor)
{
        unsigned shift = descriptor->address_mask + VTD_PAGE_SHIFT;

        if (shift < 64)
                watch->invalidated(watch->opaque, descriptor->address >> shift << shift,
                                   UINT64_C(1) << shift);
        else
                watch->invalidated(watch->opaque, 0, 0);
}

static void tell(const struct vtd_watches *watches, struct vtd_watch *watch, unsigned before)
{
        uint64_t key = atomic_load(&watch->key);
        uint64_t noted = combine(atomic_load(&watch->notes[0]), atomic_load(&watch->notes[1]));
        bool everything = watches->everything;
        bool concerned[VTD_WATCH_NOTICES] = {false};

        for (size_t i = 0; i < watches->count; i++) {
                enum concern concern = concern_of(key, noted, &watches->notices[i]);

                concerned[i] = concern != CONCERN_NOTHING;
                everything |= concern == CONCERN_EVERYTHING;
        }
        if (everything) {
                atomic_store(&watch->notes[before], NONE);
                watch->invalidated(watch->opaque, 0, 0);
                return;
        }
        for (size_t i = 0; i < watches->count; i++)
                if (concerned[i])
                        tell_range(watch, &watches->notices[i]);
}

void vtd_watches_tell(struct vtd_watches *watches, unsigned epoch)
{
        (void)pthread_mutex_lock(&watches->lock);
        for (size_t i = 0; i < VTD_FRONTEND_WATCHES; i++)
                if (atomic_load(&watches->slots[i].key) != 0)
                        tell(watches, &watches->slots[i], ~epoch & 1);
        (void)pthread_mutex_unlock(&watches->lock);
        watches->everything = false;
        watches->count = 0;
}
