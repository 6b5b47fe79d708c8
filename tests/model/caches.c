/* SPDX-License-Identifier: MIT */
/* See caches.h. */
#include "tests/model/caches.h"

static bool same_context(const struct context *a, const struct context *b)
{
        return a->directory == b->directory && a->pasids == b->pasids &&
               a->rid_pasid == b->rid_pasid && a->pasids_allowed == b->pasids_allowed &&
               a->fpd == b->fpd;
}

static bool same_entry(const struct pasid_entry *a, const struct pasid_entry *b)
{
        return a->type == b->type && a->domain_id == b->domain_id && a->pasid == b->pasid &&
               a->fpd == b->fpd && a->snoop == b->snoop && a->first_root == b->first_root &&
               a->first_levels == b->first_levels && a->supervisor == b->supervisor &&
               a->write_protect == b->write_protect &&
               a->extended_accessed == b->extended_accessed && a->second_root == b->second_root &&
               a->second_levels == b->second_levels && a->second_dirty == b->second_dirty;
}

static bool same_page(const struct page *a, const struct page *b)
{
        return a->address == b->address && a->translated == b->translated && a->size == b->size &&
               a->user == b->user && a->supervisor == b->supervisor;
}

void caches_forget_all(struct caches *caches)
{
        caches->context_count = caches->entry_count = caches->page_count = 0;
}

static bool names_context(const struct invalidation *i, const struct cached_context *cached)
{
        return !i->by_rid || ((cached->rid ^ i->rid) & ~i->rid_ignored) == 0;
}

static bool names_entry(const struct invalidation *i, const struct cached_entry *cached)
{
        return (!i->by_domain || cached->entry.domain_id == i->domain_id) &&
               (!i->by_pasid || cached->entry.pasid == i->pasid);
}

static bool in_range(const struct invalidation *i, const struct cached_page *cached)
{
        return !i->by_range || (cached->start <= i->last && cached->last >= i->start);
}

/*
 * Ranges are of second-stage input.  So those of first-stage and nested translations do not count
 * for an invalidation by domain, and it hits all of them.  With all pages of a PASID go those of the
 * second stage, which have no PASID.
 */
static bool names_page(const struct invalidation *i, const struct cached_page *cached)
{
        bool second = cached->type == PGTT_SECOND_STAGE;

        if (i->by_domain && cached->domain_id != i->domain_id)
                return false;
        if (i->what == OF_PAGES)
                return !second || in_range(i, cached);
        if (second)
                return !i->by_page;
        return cached->pasid == i->pasid && in_range(i, cached);
}

unsigned caches_doom(struct caches *caches, const struct invalidation *invalidation)
{
        unsigned doomed = 0;

        for (unsigned n = 0; n < caches->context_count; n++)
                if (invalidation->what == OF_CONTEXTS &&
                    names_context(invalidation, &caches->contexts[n])) {
                        caches->contexts[n].doomed = true;
                        doomed++;
                }
        for (unsigned n = 0; n < caches->entry_count; n++)
                if (invalidation->what == OF_ENTRIES &&
                    names_entry(invalidation, &caches->entries[n])) {
                        caches->entries[n].doomed = true;
                        doomed++;
                }
        for (unsigned n = 0; n < caches->page_count; n++)
                if (invalidation->what >= OF_PAGES && names_page(invalidation, &caches->pages[n])) {
                        caches->pages[n].doomed = true;
                        doomed++;
                }
        return doomed;
}

void caches_complete(struct caches *caches)
{
        unsigned kept = 0;

        for (unsigned n = 0; n < caches->context_count; n++)
                if (!caches->contexts[n].doomed)
                        caches->contexts[kept++] = caches->contexts[n];
        caches->context_count = kept;
        kept = 0;
        for (unsigned n = 0; n < caches->entry_count; n++)
                if (!caches->entries[n].doomed)
                        caches->entries[kept++] = caches->entries[n];
        caches->entry_count = kept;
        kept = 0;
        for (unsigned n = 0; n < caches->page_count; n++)
                if (!caches->pages[n].doomed)
                        caches->pages[kept++] = caches->pages[n];
        caches->page_count = kept;
}

bool caches_are_full(const struct caches *caches)
{
        return caches->context_count > CONTEXTS * 3 / 4 || caches->entry_count > ENTRIES * 3 / 4 ||
               caches->page_count > TRANSLATIONS * 3 / 4;
}

static bool learn_context(struct caches *caches, const struct cached_context *learnt)
{
        struct cached_context *cached = caches->contexts;

        for (; cached < caches->contexts + caches->context_count; cached++)
                if (cached->rid == learnt->rid &&
                    same_context(&cached->context, &learnt->context)) {
                        cached->doomed = false;
                        return true;
                }
        if (caches->context_count == CONTEXTS)
                return false;
        caches->contexts[caches->context_count++] = *learnt;
        return true;
}

static bool learn_entry(struct caches *caches, const struct cached_entry *learnt)
{
        struct cached_entry *cached = caches->entries;

        for (; cached < caches->entries + caches->entry_count; cached++)
                if (cached->rid == learnt->rid && same_entry(&cached->entry, &learnt->entry)) {
                        cached->doomed = false;
                        return true;
                }
        if (caches->entry_count == ENTRIES)
                return false;
        caches->entries[caches->entry_count++] = *learnt;
        return true;
}

static bool learn_page(struct caches *caches, const struct cached_page *learnt)
{
        struct cached_page *cached = caches->pages;

        for (; cached < caches->pages + caches->page_count; cached++)
                if (cached->type == learnt->type && cached->domain_id == learnt->domain_id &&
                    cached->pasid == learnt->pasid && cached->start == learnt->start &&
                    cached->last == learnt->last && same_page(&cached->page, &learnt->page)) {
                        cached->doomed = false;
                        return true;
                }
        if (caches->page_count == TRANSLATIONS)
                return false;
        caches->pages[caches->page_count++] = *learnt;
        return true;
}

bool caches_learn(struct caches *caches, uint16_t rid, const struct candidate *candidate,
                  const struct vtd_frontend_dma_translation *found)
{
        const struct pasid_entry *entry = &candidate->entry;
        struct cached_context context = {.rid = rid, .context = candidate->context};
        struct cached_entry cached = {.rid = rid, .entry = *entry};
        struct cached_page translation = {
                .type = entry->type,
                .domain_id = entry->domain_id,
                .pasid = entry->type == PGTT_SECOND_STAGE ? 0 : entry->pasid,
                .page = candidate->page,
                .start = found->address,
                .last = found->address + (found->size - 1),
        };

        if (candidate->has_context && !candidate->context_is_old &&
            !learn_context(caches, &context))
                return false;
        if (candidate->has_entry && !candidate->entry_is_old && !learn_entry(caches, &cached))
                return false;
        /* What is handed out smaller than it is cached, a back end forgets by itself. */
        return candidate->faults || entry->type == PGTT_PASSTHROUGH ||
               (candidate->page_is_old && found->size == candidate->page.size) ||
               learn_page(caches, &translation);
}

/* Room for one more answer; the last one is overwritten, and overflow set, when there is none. */
static struct candidate *add(struct candidates *out, const struct candidate *so_far)
{
        struct candidate *candidate;

        if (out->count == CANDIDATES) {
                out->overflow = true;
                out->count--;
        }
        candidate = &out->list[out->count++];
        candidate->faults = so_far->faults;
        candidate->fpd = so_far->fpd;
        candidate->context_is_old = so_far->context_is_old;
        candidate->entry_is_old = so_far->entry_is_old;
        candidate->page_is_old = so_far->page_is_old;
        candidate->has_context = so_far->has_context;
        candidate->has_entry = so_far->has_entry;
        candidate->context = so_far->context;
        candidate->entry = so_far->entry;
        candidate->page = so_far->page;
        candidate->reasons = so_far->reasons;
        candidate->updates.count = 0;
        return candidate;
}

static void add_fault(struct candidates *out, const struct candidate *so_far, uint8_t code)
{
        struct candidate *candidate = add(out, so_far);

        candidate->faults = true;
        reasons_add(&candidate->reasons, code);
}

static void pass_through(const struct tables *tables, const struct candidate *so_far,
                         const struct vtd_frontend_dma_request *request, struct candidates *out)
{
        struct candidate *candidate;

        if (request->address >> tables->config->host_address_bits != 0) {
                add_fault(out, so_far, 0x83);
                return;
        }
        if (request->address >= INTERRUPT_START && request->address < INTERRUPT_END) {
                add_fault(out, so_far, 0x87);
                return;
        }
        candidate = add(out, so_far);
        candidate->page = (struct page){.user = READ | WRITE, .supervisor = READ | WRITE};
}

/* What may come of a request once its PASID-table entry is found: @so_far. */
static void list_pages(const struct caches *caches, const struct tables *tables,
                       const struct candidate *so_far,
                       const struct vtd_frontend_dma_request *request, struct candidates *out)
{
        const struct pasid_entry *entry = &so_far->entry;
        uint32_t pasid = entry->type == PGTT_SECOND_STAGE ? 0 : entry->pasid;
        struct candidate *fresh;

        if (request->privileged && !entry->supervisor) {
                add_fault(out, so_far, 0x5d);
                return;
        }
        if (entry->type == PGTT_PASSTHROUGH) {
                pass_through(tables, so_far, request, out);
                return;
        }
        for (unsigned n = 0; n < caches->page_count; n++) {
                const struct cached_page *cached = &caches->pages[n];
                const struct page *page = &cached->page;
                unsigned access = request->privileged ? page->supervisor : page->user;

                if (cached->type == entry->type && cached->domain_id == entry->domain_id &&
                    cached->pasid == pasid && request->address >= page->address &&
                    request->address - page->address < page->size &&
                    (request->access & ~access) == 0) {
                        struct candidate *old = add(out, so_far);

                        old->page_is_old = true;
                        old->page = *page;
                }
        }
        fresh = add(out, so_far);
        fresh->faults =
                !walk_pages(tables, entry, request, &fresh->page, &fresh->updates, &fresh->reasons);
}

/* What may come of a request once its context entry is found: @so_far. */
static void list_entries(const struct caches *caches, const struct tables *tables,
                         const struct candidate *so_far, uint16_t rid,
                         const struct vtd_frontend_dma_request *request, struct candidates *out)
{
        const struct context *context = &so_far->context;
        uint32_t pasid = request->with_pasid ? request->pasid : context->rid_pasid;
        struct candidate next = *so_far;

        if (request->with_pasid && !context->pasids_allowed) {
                add_fault(out, so_far, 0x45);
                return;
        }
        if (pasid >= context->pasids) {
                add_fault(out, so_far, request->with_pasid ? 0x46 : 0x48);
                return;
        }
        next.has_entry = walk_pasid(tables, context, pasid, &next.entry, &next.fpd, &next.reasons);
        if (next.has_entry)
                list_pages(caches, tables, &next, request, out);
        else
                add(out, &next)->faults = true;
        for (unsigned n = 0; n < caches->entry_count; n++) {
                const struct cached_entry *cached = &caches->entries[n];

                if (cached->rid != rid || cached->entry.pasid != pasid ||
                    (next.has_entry && same_entry(&cached->entry, &next.entry)))
                        continue;
                struct candidate old = *so_far;

                old.has_entry = old.entry_is_old = true;
                old.entry = cached->entry;
                old.fpd = context->fpd || cached->entry.fpd;
                list_pages(caches, tables, &old, request, out);
        }
}

void caches_list(const struct caches *caches, const struct tables *tables,
                 const struct vtd_frontend_dma_request *request, struct candidates *out)
{
        struct candidate now = {.has_context = true};

        out->count = 0;
        out->overflow = false;
        now.has_context = walk_context(tables, request->rid, request->with_pasid, &now.context,
                                       &now.fpd, &now.reasons);
        if (now.has_context)
                list_entries(caches, tables, &now, request->rid, request, out);
        else
                add(out, &now)->faults = true;
        for (unsigned n = 0; n < caches->context_count; n++) {
                const struct cached_context *cached = &caches->contexts[n];
                struct candidate old = {.has_context = true, .context_is_old = true};

                if (cached->rid != request->rid ||
                    (now.has_context && same_context(&cached->context, &now.context)))
                        continue;
                old.context = cached->context;
                old.fpd = cached->context.fpd;
                list_entries(caches, tables, &old, request->rid, request, out);
        }
}
