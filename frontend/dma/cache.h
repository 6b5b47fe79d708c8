/* SPDX-License-Identifier: MIT */
/*
 * A set-associative cache of fixed size.  Any number of threads look up and insert without waiting
 * for each other or for anybody; one thread at a time invalidates, and does not wait either.  May
 * assume that whoever inserts took vtd_cache_now() before it read anything that the entry is made
 * from.  Must guarantee that no entry made from what was read before an invalidation is found after
 * it.  What the words of an entry mean is the business of iotlb.c and pasid-cache.c.
 *
 * How, and why it is right
 *
 * A set is one sequence word and the words of its entries, all of them atomic.  The sequence word is
 * TAKEN while somebody writes to the set, and otherwise changes with each writing.
 *
 *   Finding: load the sequence word, load entries, load the sequence word again; TAKEN or changed
 *   means not found.  The words of entries are stored with release and loaded with acquire order: a
 *   load that sees what a writer stored also has that writer's TAKEN before it, so that the second
 *   load of the sequence word cannot see the value of the first.  No mixture is ever taken for an
 *   entry.  (On x86 these are ordinary moves; being no fences, a thread sanitizer understands them.)
 *
 *   Inserting: set TAKEN by compare-and-swap, and give up if that fails or it is set already: nothing
 *   is lost but a walk.  Holding the set, compare the counter of invalidations with its value before
 *   the walk, and write nothing if they differ.  Release by another compare-and-swap.
 *
 *   Invalidating: first add 1 to the counter of invalidations, then visit sets: take each in which
 *   something named is seen, and empty that.  In a set that is TAKEN already, set CONDEMNED beside it:
 *   its holder, whose release fails then, empties the whole set, and until it has, nothing is found
 *   there.  So neither side waits for a thread that may have been preempted.
 *
 * With A the addition to the counter, V the visit of the set and C the comparison of an inserter that
 * holds it, all being sequentially consistent:
 *   - C before A: it took the set before A.  V, which is after A, sees it taken and condemns it, or
 *     sees it released, and then the entry with it.
 *   - C after A: the comparison sees the addition.  Then either the inserter gives up, or its walk
 *     began after A as well: its load of the counter has seen the addition, and so everything that
 *     happened before it, such as the guest's change of the table.
 * V leaves a set alone that is not taken and in which it sees nothing to empty: who takes it later
 * compares after that, so after A.
 *
 * Which entries can be there at all is noted in `kinds`, so that what is not used costs nothing: an
 * inserter sets its bit before C.  An invalidation that sees no bit after A visits nothing, for who
 * sets one later compares after A.  All bits fall when everything is invalidated, before A; an
 * inserter whose entry outlives that began its walk after A, sees the bit fallen, and sets it again.
 */
#ifndef VTD_FRONTEND_DMA_CACHE_H
#define VTD_FRONTEND_DMA_CACHE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VTD_CACHE_WORDS 3u
#define VTD_CACHE_WAYS  5u

#define VTD_CACHE_TAKEN UINT64_C(1)

/* The first word holds the key or part of it; 0 in it means that there is no entry. */
struct vtd_cache_entry {
        uint64_t words[VTD_CACHE_WORDS];
};

/* Two cache lines, which processors fetch as a pair. */
struct vtd_cache_set {
        alignas(128) _Atomic uint64_t sequence;
        _Atomic uint64_t words[VTD_CACHE_WAYS][VTD_CACHE_WORDS];
};

_Static_assert(sizeof(struct vtd_cache_set) == 128, "a set is two cache lines");

struct vtd_cache {
        struct vtd_cache_set *sets;
        unsigned set_bits;               /* log2 of their number */
        _Atomic uint64_t *invalidations; /* the counter; of all caches that a walk makes use of */
        _Atomic uint32_t kinds;
};

/* Which entries are invalidated: those whose first word is @tag where @mask has bits, ... */
struct vtd_cache_selector {
        uint64_t mask, tag;
        /* ... and of which this is true as well, unless it is NULL. */
        bool (*also)(const struct vtd_cache_entry *entry, const void *argument);
        const void *argument;
};

/* An empty cache of 2^@set_bits sets.  Returns 0 or -ENOMEM. */
int vtd_cache_init(struct vtd_cache *cache, unsigned set_bits, _Atomic uint64_t *invalidations);
void vtd_cache_deinit(struct vtd_cache *cache);

/* Which set two words of a key belong to, for the functions below. */
static inline uint64_t vtd_cache_hash(uint64_t a, uint64_t b)
{
        return (a * UINT64_C(0xff51afd7ed558ccd) + b) * UINT64_C(0x9e3779b97f4a7c15);
}

/* To be taken before a walk, for the insertion that may follow from it. */
static inline uint64_t vtd_cache_now(const struct vtd_cache *cache)
{
        return atomic_load_explicit(cache->invalidations, memory_order_acquire);
}

/* Bits of the kinds of which there may be entries; for finding, a hint that may be late. */
static inline uint32_t vtd_cache_kinds(const struct vtd_cache *cache)
{
        return atomic_load_explicit(&cache->kinds, memory_order_relaxed);
}

/*
 * Finds the entry whose first word is @tag, and whose second one is @second where @mask has bits.
 * Returns true with *@entry.
 */
static inline bool vtd_cache_find(const struct vtd_cache *cache, uint64_t hash, uint64_t tag,
                                  uint64_t second, uint64_t mask, struct vtd_cache_entry *entry)
{
        const struct vtd_cache_set *set = &cache->sets[hash >> (64 - cache->set_bits)];
        uint64_t sequence = atomic_load_explicit(&set->sequence, memory_order_acquire);

        for (unsigned way = 0; way < VTD_CACHE_WAYS; way++) {
                const _Atomic uint64_t *words = set->words[way];

                if (atomic_load_explicit(&words[0], memory_order_acquire) != tag)
                        continue;
                entry->words[0] = tag;
                entry->words[1] = atomic_load_explicit(&words[1], memory_order_acquire);
                entry->words[2] = atomic_load_explicit(&words[2], memory_order_acquire);
                if ((entry->words[1] ^ second) & mask)
                        continue;
                return !(sequence & VTD_CACHE_TAKEN) &&
                       atomic_load_explicit(&set->sequence, memory_order_relaxed) == sequence;
        }
        return false;
}

/*
 * Inserts @entry, in the place of the one with the same key if there is one, unless something was
 * invalidated since @before, or somebody else writes to the set.  @kind is below 32.
 */
void vtd_cache_insert(struct vtd_cache *cache, uint64_t hash, uint64_t mask, unsigned kind,
                      const struct vtd_cache_entry *entry, uint64_t before);

/*
 * The invalidating thread's.  Every invalidation begins with vtd_cache_announce() and goes on with
 * any number of the others, of one cache or more that share the counter; or is vtd_cache_clear().
 */
void vtd_cache_announce(struct vtd_cache *cache);
/* Bits of the kinds of which there may be entries; there are no others. */
static inline uint32_t vtd_cache_kinds_now(const struct vtd_cache *cache)
{
        return atomic_load(&cache->kinds);
}
void vtd_cache_drop(struct vtd_cache *cache, const struct vtd_cache_selector *selector);
/* Only from the set of @hash. */
void vtd_cache_drop_at(struct vtd_cache *cache, uint64_t hash,
                       const struct vtd_cache_selector *selector);
void vtd_cache_clear(struct vtd_cache *cache);

#endif
