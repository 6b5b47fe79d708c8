/* SPDX-License-Identifier: MIT */
/*
 * The property: what the unit answers, records and writes is one of the candidates.  The candidates
 * are listed before the unit is asked, since it may change memory.
 */
#include "tests/model/model.h"

#include <errno.h>
#include <stdio.h>

#define ALL (READ | WRITE)

/* What the unit came to. */
struct answer {
        int result;
        struct vtd_frontend_dma_translation translation;
        bool counted;   /* a fault was recorded or dropped for lack of room */
        uint8_t reason; /* as recorded, else 0 */
        uint64_t reads;
};

static bool overlaps_interrupts(uint64_t start, uint64_t size)
{
        return start < INTERRUPT_END && start + (size - 1) >= INTERRUPT_START;
}

static bool is_fault(const struct candidate *candidate, const struct answer *answer)
{
        for (unsigned i = 0; i < candidate->reasons.count; i++) {
                uint8_t code = candidate->reasons.codes[i];
                bool counted = !candidate->fpd || !reason_is_qualified(code);

                if (counted == answer->counted && (answer->reason == 0 || answer->reason == code))
                        return true;
        }
        return false;
}

/*
 * A block is what the paging entries say, except that it is made smaller where it would hold the
 * interrupt range, which is none of it.
 */
static bool is_page(const struct candidate *candidate,
                    const struct vtd_frontend_dma_request *request,
                    const struct vtd_frontend_dma_translation *found)
{
        const struct page *page = &candidate->page;
        unsigned access = request->privileged ? page->supervisor : page->user;

        if (access != found->access ||
            found->address - page->address != found->translated - page->translated)
                return false;
        if (page->size == 0)
                return true;
        if (found->address < page->address || found->size > page->size ||
            found->address - page->address > page->size - found->size)
                return false;
        return found->size == page->size || overlaps_interrupts(page->translated, page->size) ||
               overlaps_interrupts(page->address, page->size);
}

static uint64_t bits_of(const struct updates *updates, uint64_t gpa)
{
        for (unsigned i = 0; i < updates->count; i++)
                if (updates->list[i].gpa == gpa)
                        return updates->list[i].bits;
        return 0;
}

/* Every write set bits that had to be set, none did so twice, and (if @all) none is missing. */
static bool wrote(const struct memory *memory, const struct updates *updates, bool all)
{
        for (unsigned i = 0; i < memory->count; i++) {
                const struct memory_write *write = &memory->writes[i];
                uint64_t set = write->after & ~write->before;

                if (set == 0 || (write->before & ~write->after) != 0 ||
                    (set & ~bits_of(updates, write->gpa)) != 0)
                        return false;
        }
        for (unsigned i = 0; all && i < updates->count; i++) {
                uint64_t entry = 0;

                (void)memory_get(memory, updates->list[i].gpa, &entry);
                if ((updates->list[i].bits & ~entry) != 0)
                        return false;
        }
        return true;
}

static bool explains(const struct model *model, const struct candidate *candidate,
                     const struct vtd_frontend_dma_request *request, const struct answer *answer)
{
        if (candidate->faults != (answer->result == VTD_FRONTEND_FAULTED))
                return false;
        if (candidate->faults)
                return is_fault(candidate, answer) &&
                       wrote(&model->memory, &candidate->updates, false);
        return is_page(candidate, request, &answer->translation) &&
               wrote(&model->memory, &candidate->updates, true);
}

static void count(struct model *model, const struct candidate *candidate, bool stale,
                  const struct answer *answer)
{
        struct statistics *stats = &model->stats;

        stats->marked += model->memory.count != 0;
        if (answer->result == VTD_FRONTEND_FAULTED) {
                stats->faulted++;
                stats->stale_faults += stale;
                stats->suppressed += !answer->counted;
                stats->recorded += answer->reason != 0;
                stats->reasons[answer->reason] += answer->reason != 0;
                return;
        }
        stats->fresh += !stale;
        stats->stale += stale;
        stats->unread += answer->reads == 0;
        stats->first_stage += candidate->entry.type == PGTT_FIRST_STAGE;
        stats->second_stage += candidate->entry.type == PGTT_SECOND_STAGE;
        stats->nested += candidate->entry.type == PGTT_NESTED;
        stats->passthrough += candidate->entry.type == PGTT_PASSTHROUGH;
}

/* The answers that would have been right, with what they were derived from. */
static void show_candidates(const struct model *model)
{
        for (unsigned i = 0; i < model->candidates.count; i++) {
                const struct candidate *candidate = &model->candidates.list[i];
                const struct pasid_entry *entry = &candidate->entry;
                const struct page *page = &candidate->page;

                (void)printf(
                        "# %s context, %s entry type %u domain %u pasid %#x roots %#llx %#llx, ",
                        candidate->context_is_old ? "old" : "new",
                        candidate->entry_is_old ? "old" : "new", entry->type, entry->domain_id,
                        entry->pasid, (unsigned long long)entry->first_root,
                        (unsigned long long)entry->second_root);
                if (candidate->faults)
                        (void)printf("fault %#x of %u, FPD %d", candidate->reasons.codes[0],
                                     candidate->reasons.count, candidate->fpd);
                else
                        (void)printf("%s block %#llx -> %#llx size %#llx access %u %u",
                                     candidate->page_is_old ? "old" : "new",
                                     (unsigned long long)page->address,
                                     (unsigned long long)page->translated,
                                     (unsigned long long)page->size, page->user, page->supervisor);
                for (unsigned n = 0; n < candidate->updates.count; n++)
                        (void)printf(", %#llx |= %#llx",
                                     (unsigned long long)candidate->updates.list[n].gpa,
                                     (unsigned long long)candidate->updates.list[n].bits);
                (void)printf("\n");
        }
}

static bool no_candidate(struct model *model, const struct vtd_frontend_dma_request *request,
                         const struct answer *answer)
{
        show_candidates(model);
        return model_fail(
                model,
                "rid %#x pasid %d %#x%s access %u at %#llx: result %d reason %#x counted %d, "
                "%#llx -> %#llx size %#llx access %u, %u writes: none of %u answers is this",
                request->rid, request->with_pasid, request->pasid,
                request->privileged ? " privileged" : "", request->access,
                (unsigned long long)request->address, answer->result, answer->reason,
                answer->counted, (unsigned long long)answer->translation.address,
                (unsigned long long)answer->translation.translated,
                (unsigned long long)answer->translation.size, answer->translation.access,
                model->memory.count, model->candidates.count);
}

/* Finds what explains @answer, and remembers what the unit may have learnt. */
static bool look_up(struct model *model, const struct vtd_frontend_dma_request *request,
                    const struct answer *answer)
{
        const struct vtd_frontend_dma_translation *found = &answer->translation;
        const struct candidate *explanation = NULL;
        bool stale = true;

        for (unsigned i = 0; i < model->candidates.count; i++) {
                const struct candidate *candidate = &model->candidates.list[i];

                if (!explains(model, candidate, request, answer))
                        continue;
                explanation = candidate;
                stale &= candidate->context_is_old || candidate->entry_is_old ||
                         candidate->page_is_old;
                if (!caches_learn(&model->caches, request->rid, candidate, found))
                        return model_fail(model, "the model has too little room");
        }
        if (!explanation)
                return no_candidate(model, request, answer);
        count(model, explanation, stale, answer);
        return true;
}

/* What holds of every block, whatever the tables say. */
static bool check_block(struct model *model, const struct vtd_frontend_dma_request *request,
                        const struct vtd_frontend_dma_translation *found)
{
        if (found->size < 4096 || (found->size & (found->size - 1)) != 0 ||
            ((found->address | found->translated) & (found->size - 1)) != 0 ||
            request->address < found->address || request->address - found->address >= found->size)
                return model_fail(
                        model, "%#llx -> %#llx size %#llx is no block around %#llx",
                        (unsigned long long)found->address, (unsigned long long)found->translated,
                        (unsigned long long)found->size, (unsigned long long)request->address);
        if ((!request->with_pasid && overlaps_interrupts(found->address, found->size)) ||
            (model->enabled && overlaps_interrupts(found->translated, found->size)))
                return model_fail(model, "%#llx -> %#llx size %#llx has interrupts in it",
                                  (unsigned long long)found->address,
                                  (unsigned long long)found->translated,
                                  (unsigned long long)found->size);
        return true;
}

/* Everything passes, except that nobody finds memory in the interrupt range. */
static bool check_untranslated(struct model *model, const struct vtd_frontend_dma_request *request,
                               const struct answer *answer)
{
        const struct vtd_frontend_dma_translation *found = &answer->translation;

        model->stats.untranslated++;
        if (request->address >= INTERRUPT_START && request->address < INTERRUPT_END &&
            answer->result == VTD_FRONTEND_FAULTED && !answer->counted)
                return true;
        if (answer->result != 0 || found->address != found->translated || found->access != ALL ||
            answer->reads != 0 || model->memory.count != 0 || answer->counted)
                return model_fail(model, "a request is not passed while translation is off");
        return true;
}

/* An aligned dword that is written without PASID; all else has no business there. */
static bool is_message(const struct vtd_frontend_dma_request *request)
{
        return !request->with_pasid && request->access == WRITE && request->size == 4 &&
               request->address % 4 == 0 && request->address >= INTERRUPT_START &&
               request->address < INTERRUPT_END;
}

static bool check(struct model *model, const struct vtd_frontend_dma_request *request,
                  struct answer *answer)
{
        if (is_message(request)) {
                model->stats.interrupts++;
                return (answer->result == VTD_FRONTEND_INTERRUPT && model->memory.count == 0 &&
                        !answer->counted) ||
                       model_fail(model, "an interrupt message returns %d", answer->result);
        }
        if (answer->result != 0 && answer->result != VTD_FRONTEND_FAULTED)
                return model_fail(model, "translate returns %d", answer->result);
        if (answer->result == 0 && !check_block(model, request, &answer->translation))
                return false;
        if (!model->enabled)
                return check_untranslated(model, request, answer);
        if (answer->counted && !faults_check(model, request, &answer->reason))
                return false;
        if (!look_up(model, request, answer))
                return false;
        if (answer->result == 0) {
                model->recent[random_below(&model->random, RECENT)] = *request;
                watch_keep(model, request, &answer->translation);
        }
        return true;
}

static void list_candidates(struct model *model, const struct vtd_frontend_dma_request *request)
{
        const struct tables tables = {
                .memory = &model->memory, .config = &model->config, .root = model->root};

        model->candidates.count = 0;
        if (!model->enabled)
                return;
        caches_list(&model->caches, &tables, request, &model->candidates);
        if (!request->with_pasid && request->address >= INTERRUPT_START &&
            request->address < INTERRUPT_END) {
                /* What is no message is an error of the device. */
                model->candidates.count = 1;
                model->candidates.list[0] =
                        (struct candidate){.faults = true, .reasons = {1, {0x29}}};
        }
}

/* Has the unit translate, and takes down what there is to see of it. */
static bool translate(struct model *model, const struct vtd_frontend_access *access,
                      const struct vtd_frontend_dma_request *request, struct answer *answer)
{
        struct vtd_frontend_stats before, after;

        vtd_frontend_get_stats(model->unit, &before);
        model->memory.count = 0;
        answer->reads = model->memory.reads;
        answer->result = vtd_frontend_translate(model->unit, access, request, &answer->translation);
        answer->reads = model->memory.reads - answer->reads;
        vtd_frontend_get_stats(model->unit, &after);
        answer->counted = after.faults != before.faults;
        if (after.faults - before.faults > 1 || model->memory.count > MEMORY_WRITES)
                return model_fail(model, "%llu faults and %u writes for one request",
                                  (unsigned long long)(after.faults - before.faults),
                                  model->memory.count);
        return true;
}

static bool ask(struct model *model, const struct vtd_frontend_dma_request *request)
{
        struct vtd_frontend_access access;
        struct answer answer = {.result = 0};
        bool good;

        list_candidates(model, request);
        if (model->candidates.overflow)
                return model_fail(model, "too many answers are allowed");
        vtd_frontend_access_begin(model->unit, &access);
        good = translate(model, &access, request, &answer);
        vtd_frontend_access_end(model->unit, &access);
        return good && check(model, request, &answer) && faults_are_right(model);
}

static struct vtd_frontend_dma_request random_request(struct model *model)
{
        struct random *random = &model->random;
        struct vtd_frontend_dma_request request = {
                .rid = random_percent(random, 99) ? world_rid(model) : 0x0299,
                .with_pasid = random_percent(random, 60),
                .access = 1 + random_below(random, 3),
                .address = world_address(model),
                .size = 1 + random_below(random, random_percent(random, 90) ? 16 : 20000),
        };

        /* What was translated is asked for again, so that something older may be in the way. */
        if (random_percent(random, 60)) {
                unsigned access = request.access;

                request = model->recent[random_below(random, RECENT)];
                if (random_percent(random, 30) || request.access == 0)
                        request.access = access;
        } else if (request.with_pasid) {
                request.pasid = random_percent(random, 98) ? world_pasid(model) : 0x5000;
                request.privileged = random_percent(random, 30);
        }
        if (random_percent(random, 20)) { /* as messages have to be */
                request.address -= request.address % 4;
                request.size = 4;
        }
        if (request.size == 0 || request.size - 1 > UINT64_MAX - request.address)
                request.size = 1;
        return request;
}

bool model_translate(struct model *model)
{
        const struct vtd_frontend_dma_request request = random_request(model);

        return ask(model, &request);
}

/*
 * What another thread does while the unit reads memory for a request.  It is done in the same one
 * here, against the rule for callbacks, so that the same happens each time; the unit must hold no
 * lock then, or this would be a deadlock with a second thread as well.
 */
static void invalidate_meanwhile(void *opaque)
{
        struct model *model = opaque;

        for (unsigned i = 0; i < 3; i++)
                world_change(model);
        (void)model_invalidate_all_begin(model);
}

/*
 * What a request comes to that began before an invalidation is not judged, since it may have read
 * some entries before and others after they were changed.  Nothing of it may be found after the
 * invalidation, with which the sets are empty.
 */
bool model_race(struct model *model)
{
        const struct vtd_frontend_dma_request request = random_request(model);
        struct vtd_frontend_access access;
        struct answer answer = {.result = 0};
        bool good, raced;

        if (!model->enabled || !model->queue_enabled || ((model->root >> 10) & 3) != 1)
                return true;
        /* Without anything cached there is something to read. */
        if (!model_invalidate_all(model))
                return false;
        list_candidates(model, &request);
        model->memory.opaque = model;
        model->memory.reads_until = random_below(&model->random, 12);
        model->memory.meanwhile = invalidate_meanwhile;
        vtd_frontend_access_begin(model->unit, &access);
        good = translate(model, &access, &request, &answer);
        raced = !model->memory.meanwhile;
        model->memory.meanwhile = NULL;
        if (good && raced && answer.result == 0)
                watch_keep(model, &request, &answer.translation);
        vtd_frontend_access_end(model->unit, &access);
        if (!raced)
                return good && check(model, &request, &answer) && faults_are_right(model);
        model->stats.raced++;
        return good && (!answer.counted || faults_check(model, &request, &answer.reason)) &&
               model_invalidate_all_end(model);
}

bool model_impossible_request(struct model *model)
{
        const struct vtd_frontend_dma_request requests[] = {
                {.rid = 8, .access = READ, .address = 0x1000, .size = 0},
                {.rid = 8, .access = 0, .address = 0x1000, .size = 1},
                {.rid = 8, .access = 4, .address = 0x1000, .size = 1},
                {.rid = 8, .access = READ, .address = UINT64_MAX - 6, .size = 8},
                {.rid = 8, .access = READ, .address = 0x1000, .size = 1, .privileged = true},
                {.rid = 8, .access = READ, .size = 1, .with_pasid = true, .pasid = 0x100000},
        };
        const struct vtd_frontend_dma_request *request =
                &requests[random_below(&model->random, sizeof(requests) / sizeof(requests[0]))];
        struct vtd_frontend_dma_translation translation;
        struct vtd_frontend_access access;
        int r;

        model->memory.count = 0;
        vtd_frontend_access_begin(model->unit, &access);
        r = vtd_frontend_translate(model->unit, &access, request, &translation);
        vtd_frontend_access_end(model->unit, &access);
        model->stats.impossible++;
        if (r != -EINVAL || model->memory.count != 0)
                return model_fail(model, "an impossible request returns %d", r);
        return faults_are_right(model);
}
