/* SPDX-License-Identifier: MIT */
/*
 * What the architecture lets a unit remember, and with it the set of answers that it may give.
 *
 *   context cache  by requester id                     context entries
 *   PASID cache    by requester id and PASID           PASID-table entries, with their domain id
 *   IOTLB          by domain id, PASID (first-stage    final translations
 *                  and nested) and translation type
 *
 * Each holds every value that the unit may have read since the last invalidation that covers it, so
 * there may be several under one tag.  A request may be answered by any combination of them, or of
 * what memory holds now.  Three things that hardware might remember are not here, because the unit
 * promises not to: entries that are absent or malformed, faults of the paging structures, and
 * paging structures above the final translation.
 *
 * An invalidation that was executed but is not complete leaves what it names usable until the wait
 * descriptor behind it completes: such values are `doomed`.
 */
#ifndef VTD_TESTS_MODEL_CACHES_H
#define VTD_TESTS_MODEL_CACHES_H

#include "tests/model/walk.h"

#define CONTEXTS     32u
#define ENTRIES      160u
#define TRANSLATIONS 320u
#define CANDIDATES   512u

struct cached_context {
        bool doomed;
        uint16_t rid;
        struct context context;
};

struct cached_entry {
        bool doomed;
        uint16_t rid;
        struct pasid_entry entry; /* entry.pasid is the tag's */
};

struct cached_page {
        bool doomed;
        enum pgtt type;
        uint16_t domain_id;
        uint32_t pasid; /* 0 for second-stage */
        struct page page;
        uint64_t start, last; /* the part of it that was handed out: less around interrupts */
};

struct caches {
        struct cached_context contexts[CONTEXTS];
        struct cached_entry entries[ENTRIES];
        struct cached_page pages[TRANSLATIONS];
        unsigned context_count, entry_count, page_count;
};

/* One answer that is allowed. */
struct candidate {
        bool faults;
        bool fpd;
        bool context_is_old, entry_is_old, page_is_old; /* not from memory as it is now */
        bool has_context, has_entry;
        struct context context;
        struct pasid_entry entry;
        struct page page;
        struct reasons reasons;
        struct updates updates;
};

struct candidates {
        unsigned count;
        bool overflow;
        struct candidate list[CANDIDATES];
};

/* What to forget; the fields that `by_` does not name are not looked at. */
struct invalidation {
        enum { OF_CONTEXTS, OF_ENTRIES, OF_PAGES, OF_PASID_PAGES } what;
        bool by_rid, by_domain, by_pasid;
        bool by_page, by_range;    /* a range that is everything is none */
        uint16_t rid, rid_ignored; /* bits of rid that do not count */
        uint16_t domain_id;
        uint32_t pasid;
        uint64_t start, last; /* addresses */
};

void caches_forget_all(struct caches *caches);

/* Dooms what @invalidation names; the number of values. */
unsigned caches_doom(struct caches *caches, const struct invalidation *invalidation);

/* Forgets what is doomed: the invalidations so far are complete. */
void caches_complete(struct caches *caches);

/* True when an invalidation of everything is due, lest the tables overflow. */
bool caches_are_full(const struct caches *caches);

/* Adds what @candidate read, of which the final translation was handed out as @found. */
bool caches_learn(struct caches *caches, uint16_t rid, const struct candidate *candidate,
                  const struct vtd_frontend_dma_translation *found);

/* All answers to @request, translation being on. */
void caches_list(const struct caches *caches, const struct tables *tables,
                 const struct vtd_frontend_dma_request *request, struct candidates *out);

#endif
