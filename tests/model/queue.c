/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue: descriptors of every type and granularity, some of them wrong, and what
 * those that are in memory, whoever wrote them, have to do.
 */
#include "tests/model/model.h"

#define FSTS   0x34u
#define IQH    0x80u
#define IQT    0x88u
#define IQERCD 0xb0u
#define IQE    (1u << 4)
#define ENTRY  32u
#define WAITS  8u

#define AM_MAX 18u /* CAP.MAMV */

/* What a descriptor comes to. */
struct verdict {
        unsigned error; /* IQEI, or 0 */
        bool invalidates, waits;
        struct invalidation invalidation;
        bool status;
        uint64_t status_address;
        uint32_t status_data;
};

/* Status words that have to be written, in this order. */
struct statuses {
        unsigned count;
        struct {
                uint64_t address;
                uint32_t data;
        } list[WAITS];
};

/* --- what descriptors mean */

static void take_range(struct invalidation *invalidation, uint64_t second)
{
        unsigned mask = second & 0x3f;
        uint64_t size = mask < 52 ? UINT64_C(4096) << mask : 0;

        invalidation->by_range = size != 0;
        invalidation->start = (second & ~UINT64_C(0xfff)) & ~(size - 1);
        invalidation->last = invalidation->start + (size - 1);
}

static unsigned judge_context_cache(const uint64_t *words, struct invalidation *invalidation)
{
        static const uint8_t ignored[] = {0, 4, 6, 7};
        unsigned granularity = (words[0] >> 4) & 3;

        if (words[0] & UINT64_C(0xfffc00000000f1c0) || words[1] != 0 || granularity == 0)
                return 4;
        /* By domain is global in scalable mode. */
        invalidation->what = OF_CONTEXTS;
        invalidation->by_rid = granularity == 3;
        invalidation->rid = (words[0] >> 32) & 0xffff;
        invalidation->rid_ignored = ignored[(words[0] >> 48) & 3];
        return 0;
}

static unsigned judge_iotlb(const uint64_t *words, struct invalidation *invalidation)
{
        unsigned granularity = (words[0] >> 4) & 3;

        if (words[0] & UINT64_C(0xffffffff0000f100) || words[1] & 0xf80 || granularity == 0 ||
            (granularity == 3 && (words[1] & 0x3f) > AM_MAX))
                return 4;
        invalidation->what = OF_PAGES;
        invalidation->by_domain = granularity != 1;
        invalidation->domain_id = (words[0] >> 16) & 0xffff;
        if (granularity == 3)
                take_range(invalidation, words[1]);
        return 0;
}

static unsigned judge_pasid_iotlb(const uint64_t *words, struct invalidation *invalidation)
{
        unsigned granularity = (words[0] >> 4) & 3;

        if (words[0] & UINT64_C(0xfff000000000f1c0) || words[1] & 0xf80 || granularity < 2)
                return 4;
        invalidation->what = OF_PASID_PAGES;
        invalidation->by_domain = invalidation->by_pasid = true;
        invalidation->domain_id = (words[0] >> 16) & 0xffff;
        invalidation->pasid = (words[0] >> 32) & 0xfffff;
        invalidation->by_page = granularity == 3;
        if (granularity == 3)
                take_range(invalidation, words[1]);
        return 0;
}

static unsigned judge_pasid_cache(const uint64_t *words, struct invalidation *invalidation)
{
        unsigned granularity = (words[0] >> 4) & 3;

        if (words[0] & UINT64_C(0xfff000000000f1c0) || words[1] != 0 || granularity == 2)
                return 4;
        invalidation->what = OF_ENTRIES;
        invalidation->by_domain = granularity != 3;
        invalidation->by_pasid = granularity == 1;
        invalidation->domain_id = (words[0] >> 16) & 0xffff;
        invalidation->pasid = (words[0] >> 32) & 0xfffff;
        return 0;
}

static unsigned judge_wait(const uint64_t *words, struct verdict *verdict)
{
        if (words[0] & UINT64_C(0xfffff180) || words[1] & 3)
                return 4;
        verdict->waits = true;
        verdict->status = words[0] & 0x20;
        verdict->status_data = (uint32_t)(words[0] >> 32);
        verdict->status_address = words[1];
        return 0;
}

static void judge(const struct model *model, const uint64_t *words, struct verdict *verdict)
{
        unsigned type = (words[0] & 0xf) | ((words[0] >> 5) & 0x70), mode = (model->root >> 10) & 3;
        bool for_scalable = type >= 6;

        *verdict = (struct verdict){.error = 0};
        if (mode > 1)
                verdict->error = 7;
        else if (type < 1 || type > 7 || type == 3 || type == 4 || (for_scalable && mode == 0))
                verdict->error = 3;
        else if ((words[2] | words[3]) != 0)
                verdict->error = 4;
        else if (type == 5)
                verdict->error = judge_wait(words, verdict);
        else if (type == 1)
                verdict->error = judge_context_cache(words, &verdict->invalidation);
        else if (type == 2)
                verdict->error = judge_iotlb(words, &verdict->invalidation);
        else if (type == 6)
                verdict->error = judge_pasid_iotlb(words, &verdict->invalidation);
        else
                verdict->error = judge_pasid_cache(words, &verdict->invalidation);
        verdict->invalidates = verdict->error == 0 && type != 5;
}

/* --- making descriptors */

static void put(struct model *model, uint64_t first, uint64_t second, uint64_t third)
{
        uint64_t at = QUEUE + model->tail;

        memory_put(&model->memory, at, first);
        memory_put(&model->memory, at + 8, second);
        memory_put(&model->memory, at + 16, third);
        memory_put(&model->memory, at + 24, 0);
        model->tail = (model->tail + ENTRY) % (ENTRY * QUEUE_ENTRIES);
}

/* Pages around an address in use; sizes are mostly those that leaves have. */
static uint64_t range(struct model *model, unsigned largest)
{
        static const unsigned masks[] = {0, 0, 0, 1, 9, 18, 27, 51};
        unsigned mask = masks[random_below(&model->random, 8)];
        uint64_t address = random_percent(&model->random, 50)
                                   ? world_address(model)
                                   : model->recent[random_below(&model->random, RECENT)].address;

        address &= ~UINT64_C(0xfff);
        if (mask > largest)
                mask = 0;
        return address | mask | (random_percent(&model->random, 30) ? 0x40 : 0);
}

static void put_good(struct model *model)
{
        static const unsigned pasid_granularities[] = {0, 1, 1, 3};
        uint64_t domain_id = (uint64_t)world_domain_id(model) << 16;
        uint64_t pasid = (uint64_t)world_pasid(model) << 32, granularity;
        unsigned what = random_below(&model->random, 100);

        if (what < 10) {
                granularity = 1 + random_below(&model->random, 3);
                put(model,
                    1 | granularity << 4 | domain_id | (uint64_t)world_rid(model) << 32 |
                            (uint64_t)random_below(&model->random, 4) << 48,
                    0, 0);
        } else if (what < 30) {
                granularity = pasid_granularities[random_below(&model->random, 4)];
                put(model, 7 | granularity << 4 | domain_id | pasid, 0, 0);
        } else if (what < 55) {
                granularity = random_percent(&model->random, 10)
                                      ? 1
                                      : 2 + random_below(&model->random, 2);
                put(model, 0xc2 | granularity << 4 | domain_id,
                    granularity == 3 ? range(model, AM_MAX) : 0, 0);
        } else {
                granularity = random_percent(&model->random, 30) ? 2 : 3;
                put(model, 6 | granularity << 4 | domain_id | pasid,
                    granularity == 3 ? range(model, 51) : 0, 0);
        }
}

static void put_bad(struct model *model)
{
        uint64_t domain_id = (uint64_t)world_domain_id(model) << 16;
        const struct {
                uint64_t first, second, third;
        } bad[] = {
                {0, 0, 0},
                {0xa, 0, 0},
                {0x200 | 5, 0, 0}, /* a type beyond the known */
                {0x01, 0, 0},      /* granularities that do not exist */
                {0x02 | domain_id, 0, 0},
                {0x16 | domain_id, 0, 0},
                {0x27 | domain_id, 0, 0},
                {0x32 | domain_id, 19, 0},   /* larger than MAMV */
                {0x32 | domain_id, 0x80, 0}, /* reserved bits */
                {0x36 | domain_id, 0x800, 0},
                {0x37 | domain_id, 0x1000, 0},
                {0x11, 0, 1},
                {0x05, STATUS_PAGE | 2, 0},
        };
        unsigned which = random_below(&model->random, sizeof(bad) / sizeof(bad[0]));

        put(model, bad[which].first, bad[which].second, bad[which].third);
}

/* Writes a status most of the time; with and without a fence. */
static void put_wait(struct model *model)
{
        uint64_t data = random_next(&model->random) << 32;
        uint64_t address = STATUS_PAGE + 4 * (uint64_t)random_below(&model->random, 1024);
        bool status = random_percent(&model->random, 95);

        put(model, 5 | data | (status ? 0x20 : 0) | (random_percent(&model->random, 30) ? 0x40 : 0),
            status ? address : 0, 0);
}

/* --- what the unit has to make of them */

static void count_shrunk(struct model *model, const struct invalidation *invalidation)
{
        uint64_t *counts[] = {&model->stats.shrunk_contexts, &model->stats.shrunk_entries,
                              &model->stats.shrunk_pages, &model->stats.shrunk_pasid_pages};

        if (caches_doom(&model->caches, invalidation) > 0)
                (*counts[invalidation->what])++;
}

/*
 * Dooms what the descriptors up to the tail name; wait descriptors complete that, unless an access
 * is @held.  Returns the IQEI of a descriptor that is wrong, or 0.
 */
static unsigned execute(struct model *model, bool held, struct statuses *statuses)
{
        while (model->head != model->tail) {
                uint64_t words[4] = {0};
                struct verdict verdict;

                for (unsigned i = 0; i < 4; i++)
                        (void)memory_get(&model->memory, QUEUE + model->head + 8 * (uint64_t)i,
                                         &words[i]);
                judge(model, words, &verdict);
                if (verdict.error != 0)
                        return verdict.error;
                if (verdict.invalidates)
                        count_shrunk(model, &verdict.invalidation);
                if (verdict.waits) {
                        model->stats.waits++;
                        if (!held)
                                caches_complete(&model->caches);
                }
                if (verdict.status) {
                        statuses->list[statuses->count].address = verdict.status_address;
                        statuses->list[statuses->count++].data = verdict.status_data;
                }
                model->stats.descriptors++;
                model->head = (model->head + ENTRY) % (ENTRY * QUEUE_ENTRIES);
        }
        return 0;
}

/* The unit wrote @statuses and nothing else. */
static bool check_statuses(struct model *model, const struct statuses *statuses)
{
        struct memory *memory = &model->memory;

        if (memory->count != statuses->count)
                return model_fail(model, "%u words of memory are written, not %u", memory->count,
                                  statuses->count);
        for (unsigned i = 0; i < statuses->count; i++) {
                const struct memory_write *write = &memory->writes[i];
                unsigned shift = statuses->list[i].address & 4 ? 32 : 0;
                uint64_t wanted = (write->before & ~(UINT64_C(0xffffffff) << shift)) |
                                  (uint64_t)statuses->list[i].data << shift;

                if (write->gpa != (statuses->list[i].address & ~UINT64_C(7)) ||
                    write->after != wanted)
                        return model_fail(model, "status %u is not written", i);
        }
        return true;
}

static bool check_queue(struct model *model)
{
        if (model_read32(model, IQH) != model->head)
                return model_fail(model, "IQH is %#x, not %#x", model_read32(model, IQH),
                                  model->head);
        return faults_are_right(model);
}

/* The queue stopped: the guest puts a wait descriptor in the place of the wrong one and goes on. */
static bool repair(struct model *model, unsigned error)
{
        uint64_t code = vtd_frontend_read(model->unit, IQERCD, 8);
        uint32_t tail = model->tail;

        model->stats.queue_errors++;
        faults_queue_error(model, true);
        if (code != error)
                return model_fail(model, "IQERCD is %#llx, not %#x", (unsigned long long)code,
                                  error);
        if (!check_queue(model))
                return false;
        model->tail = model->head;
        put_wait(model);
        model->tail = tail;
        /* A table mode that does not exist is an error of every descriptor. */
        if (error == 7 && !model_set_root(model))
                return false;
        model_write32(model, FSTS, IQE);
        faults_queue_error(model, false);
        return true;
}

/* Has the unit work on the queue as it is, however often it comes to a wrong descriptor. */
static bool work(struct model *model)
{
        for (;;) {
                struct statuses statuses = {.count = 0};
                unsigned error = execute(model, false, &statuses);

                model->memory.count = 0;
                if (!model_settle(model) || !check_statuses(model, &statuses))
                        return false;
                if (error == 0)
                        return check_queue(model) && watch_check(model);
                if (!repair(model, error))
                        return false;
        }
}

bool model_invalidate(struct model *model)
{
        unsigned count = 1 + random_below(&model->random, 4);

        if (!model->queue_enabled)
                return true;
        for (unsigned i = 0; i < count; i++) {
                if (random_percent(&model->random, 1))
                        put_bad(model);
                else if (random_percent(&model->random, 5))
                        put_wait(model);
                else
                        put_good(model);
        }
        put_wait(model);
        model_write64(model, IQT, model->tail);
        return work(model);
}

static void put_all(struct model *model)
{
        put(model, 0x11, 0, 0);
        put(model, 0x37, 0, 0);
        put(model, 0x12, 0, 0);
        put_wait(model);
        model_write64(model, IQT, model->tail);
}

bool model_invalidate_all(struct model *model)
{
        if (!model->queue_enabled)
                return model_set_root(model);
        put_all(model);
        return work(model);
}

bool model_invalidate_all_begin(struct model *model)
{
        unsigned writes = model->memory.count;

        put_all(model);
        if (!model_run(model))
                return false;
        return model->memory.count == writes ||
               model_fail(model, "a wait descriptor completes while an access is under way");
}

bool model_invalidate_all_end(struct model *model)
{
        struct statuses statuses = {.count = 0};

        (void)execute(model, false, &statuses);
        model->memory.count = 0;
        return model_settle(model) && check_statuses(model, &statuses) && check_queue(model) &&
               watch_check(model);
}

/*
 * Until the access ends that was under way, what was translated before may be used; requests made
 * meanwhile may see either.
 */
bool model_hold_invalidation(struct model *model)
{
        struct statuses none = {.count = 0}, statuses = {.count = 0};
        struct vtd_frontend_access access;

        if (!model->queue_enabled || ((model->root >> 10) & 3) != 1)
                return true;
        vtd_frontend_access_begin(model->unit, &access);
        put_good(model);
        put_wait(model);
        model_write64(model, IQT, model->tail);
        model->memory.count = 0;
        if (!model_run(model) || !check_statuses(model, &none))
                return false;
        (void)execute(model, true, &statuses);
        for (unsigned i = 0; i < 4; i++) {
                world_change(model);
                if (!model_translate(model))
                        return false;
        }
        model->memory.count = 0;
        vtd_frontend_access_end(model->unit, &access);
        if (!model_settle(model) || !check_statuses(model, &statuses))
                return false;
        caches_complete(&model->caches);
        model->stats.held++;
        return check_queue(model) && watch_check(model);
}
