/* SPDX-License-Identifier: MIT */
/* See cache.h, where the order of every access to memory is argued. */
#include "frontend/dma/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TAKEN     VTD_CACHE_TAKEN
#define CONDEMNED UINT64_C(2)
#define COUNT     UINT64_C(4) /* writings are counted from this bit on */

int vtd_cache_init(struct vtd_cache *cache, unsigned set_bits, _Atomic uint64_t *invalidations)
{
        size_t size = sizeof(struct vtd_cache_set) << set_bits;
        struct vtd_cache_set *sets = aligned_alloc(alignof(struct vtd_cache_set), size);

        if (!sets)
                return -ENOMEM;
        memset(sets, 0, size);
        *cache = (struct vtd_cache){
                .sets = sets,
                .set_bits = set_bits,
                .invalidations = invalidations,
        };
        return 0;
}

void vtd_cache_deinit(struct vtd_cache *cache)
{
        free(cache->sets);
        cache->sets = NULL;
}

static struct vtd_cache_set *set_of(const struct vtd_cache *cache, uint64_t hash)
{
        return &cache->sets[hash >> (64 - cache->set_bits)];
}

static void store(struct vtd_cache_set *set, unsigned way, const struct vtd_cache_entry *entry)
{
        for (unsigned i = 0; i < VTD_CACHE_WORDS; i++)
                atomic_store_explicit(&set->words[way][i], entry->words[i], memory_order_release);
}

static uint64_t word_of(const struct vtd_cache_set *set, unsigned way, unsigned i)
{
        return atomic_load_explicit(&set->words[way][i], memory_order_acquire);
}

static void empty(struct vtd_cache_set *set, unsigned way)
{
        atomic_store_explicit(&set->words[way][0], 0, memory_order_release);
}

/* The place of @entry in a set that is held: where its key is, else a free one, else any in turn. */
static unsigned place_of(const struct vtd_cache_set *set, const struct vtd_cache_entry *entry,
                         uint64_t mask, uint64_t sequence)
{
        unsigned place = (unsigned)(sequence / COUNT % VTD_CACHE_WAYS);

        for (unsigned way = 0; way < VTD_CACHE_WAYS; way++) {
                uint64_t tag = word_of(set, way, 0);

                if (tag == 0)
                        place = way;
                if (tag == entry->words[0] && !((word_of(set, way, 1) ^ entry->words[1]) & mask))
                        return way;
        }
        return place;
}

void vtd_cache_insert(struct vtd_cache *cache, uint64_t hash, uint64_t mask, unsigned kind,
                      const struct vtd_cache_entry *entry, uint64_t before)
{
        struct vtd_cache_set *set = set_of(cache, hash);
        uint64_t sequence = atomic_load_explicit(&set->sequence, memory_order_relaxed);
        uint64_t next = sequence, held = sequence | TAKEN;

        if (!(atomic_load(&cache->kinds) & UINT32_C(1) << kind))
                atomic_fetch_or(&cache->kinds, UINT32_C(1) << kind);
        if ((sequence & TAKEN) || !atomic_compare_exchange_strong(&set->sequence, &sequence, held))
                return;
        if (atomic_load(cache->invalidations) == before) {
                store(set, place_of(set, entry, mask, sequence), entry);
                next += COUNT;
        }
        if (atomic_compare_exchange_strong(&set->sequence, &held, next))
                return;
        for (unsigned way = 0; way < VTD_CACHE_WAYS; way++)
                empty(set, way);
        atomic_store_explicit(&set->sequence, sequence + COUNT, memory_order_release);
}

void vtd_cache_announce(struct vtd_cache *cache)
{
        atomic_fetch_add(cache->invalidations, 1);
}

static bool is_selected(const struct vtd_cache_entry *entry,
                        const struct vtd_cache_selector *selector)
{
        return entry->words[0] != 0 && (entry->words[0] & selector->mask) == selector->tag &&
               (!selector->also || selector->also(entry, selector->argument));
}

/* A bit for each entry that @selector names. */
static unsigned select_ways(const struct vtd_cache_set *set,
                            const struct vtd_cache_selector *selector)
{
        struct vtd_cache_entry entry;
        unsigned ways = 0;

        for (unsigned way = 0; way < VTD_CACHE_WAYS; way++) {
                for (unsigned i = 0; i < VTD_CACHE_WORDS; i++)
                        entry.words[i] = word_of(set, way, i);
                if (is_selected(&entry, selector))
                        ways |= 1u << way;
        }
        return ways;
}

/* Has the whole set emptied: by whoever holds it, or else here. */
static void condemn(struct vtd_cache_set *set)
{
        uint64_t sequence = atomic_fetch_or(&set->sequence, TAKEN | CONDEMNED);

        if (sequence & TAKEN)
                return;
        for (unsigned way = 0; way < VTD_CACHE_WAYS; way++)
                empty(set, way);
        atomic_store_explicit(&set->sequence, sequence + COUNT, memory_order_release);
}

/* Has no loop over what others do: where one comes between, more is emptied than was named. */
static void visit(struct vtd_cache_set *set, const struct vtd_cache_selector *selector)
{
        uint64_t sequence = atomic_load(&set->sequence);
        unsigned ways = select_ways(set, selector);

        if (!(sequence & TAKEN) && ways == 0)
                return;
        if ((sequence & TAKEN) ||
            !atomic_compare_exchange_strong(&set->sequence, &sequence, sequence | TAKEN)) {
                condemn(set);
                return;
        }
        for (unsigned way = 0; way < VTD_CACHE_WAYS; way++)
                if (ways & 1u << way)
                        empty(set, way);
        atomic_store_explicit(&set->sequence, sequence + COUNT, memory_order_release);
}

void vtd_cache_drop(struct vtd_cache *cache, const struct vtd_cache_selector *selector)
{
        if (vtd_cache_kinds_now(cache) == 0)
                return;
        for (size_t i = 0; i >> cache->set_bits == 0; i++)
                visit(&cache->sets[i], selector);
}

void vtd_cache_drop_at(struct vtd_cache *cache, uint64_t hash,
                       const struct vtd_cache_selector *selector)
{
        visit(set_of(cache, hash), selector);
}

void vtd_cache_clear(struct vtd_cache *cache)
{
        const struct vtd_cache_selector everything = {.mask = 0};
        uint32_t kinds = atomic_exchange(&cache->kinds, 0);

        vtd_cache_announce(cache);
        if (kinds == 0 && vtd_cache_kinds_now(cache) == 0)
                return;
        for (size_t i = 0; i >> cache->set_bits == 0; i++)
                visit(&cache->sets[i], &everything);
}
