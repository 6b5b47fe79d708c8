/* SPDX-License-Identifier: MIT */
/*
 * Back ends that keep translations: after an invalidation, what they still have must be among the
 * answers that are allowed, and need no accessed or dirty bit that is not set any more.
 */
#include "tests/model/model.h"

static void forget(void *opaque, uint64_t address, uint64_t size)
{
        struct watcher *watcher = opaque;

        for (unsigned i = 0; i < KEPT; i++) {
                const struct vtd_frontend_dma_translation *kept = &watcher->kept[i].translation;
                bool overlaps = (address == 0 && size == 0) ||
                                (kept->address <= address + (size - 1) &&
                                 kept->address + (kept->size - 1) >= address);

                if (watcher->kept[i].used && overlaps) {
                        watcher->kept[i].used = false;
                        watcher->told++;
                }
        }
}

bool watch_change(struct model *model)
{
        struct watcher *watcher = &model->watchers[random_below(&model->random, WATCHERS)];
        struct vtd_frontend_dma_request *of = &watcher->request;
        int r;

        if (watcher->active) {
                r = vtd_frontend_unwatch(model->unit, of->rid, of->with_pasid, of->pasid);
                model->stats.told += watcher->told;
                *watcher = (struct watcher){.active = false};
                return r == 0 || model_fail(model, "unwatch returns %d", r);
        }
        of->rid = world_rid(model);
        of->with_pasid = random_percent(&model->random, 50);
        of->pasid = of->with_pasid ? world_pasid(model) : 0;
        for (unsigned i = 0; i < WATCHERS; i++) {
                const struct vtd_frontend_dma_request *other = &model->watchers[i].request;

                if (model->watchers[i].active && other->rid == of->rid &&
                    other->with_pasid == of->with_pasid && other->pasid == of->pasid)
                        return true;
        }
        r = vtd_frontend_watch(model->unit, of->rid, of->with_pasid, of->pasid, forget, watcher);
        watcher->active = true;
        return r == 0 || model_fail(model, "watch returns %d", r);
}

void watch_end(struct model *model)
{
        for (unsigned i = 0; i < WATCHERS; i++) {
                model->stats.told += model->watchers[i].told;
                model->watchers[i] = (struct watcher){.active = false};
        }
}

void watch_keep(struct model *model, const struct vtd_frontend_dma_request *request,
                const struct vtd_frontend_dma_translation *translation)
{
        for (unsigned i = 0; i < WATCHERS; i++) {
                struct watcher *watcher = &model->watchers[i];
                const struct vtd_frontend_dma_request *of = &watcher->request;
                unsigned slot = random_below(&model->random, KEPT);

                if (!watcher->active || of->rid != request->rid ||
                    of->with_pasid != request->with_pasid ||
                    (of->with_pasid && of->pasid != request->pasid))
                        continue;
                watcher->kept[slot].used = true;
                watcher->kept[slot].privileged = request->privileged;
                watcher->kept[slot].translation = *translation;
                model->stats.kept++;
        }
}

static bool is_allowed(struct model *model, const struct vtd_frontend_dma_request *request,
                       const struct vtd_frontend_dma_translation *kept)
{
        const struct tables tables = {
                .memory = &model->memory, .config = &model->config, .root = model->root};

        if (!model->enabled)
                return kept->address == kept->translated;
        caches_list(&model->caches, &tables, request, &model->candidates);
        for (unsigned i = 0; i < model->candidates.count; i++) {
                const struct candidate *candidate = &model->candidates.list[i];
                const struct page *page = &candidate->page;
                unsigned access = request->privileged ? page->supervisor : page->user;

                if (!candidate->faults && candidate->updates.count == 0 &&
                    (kept->access & ~access) == 0 &&
                    kept->address - page->address == kept->translated - page->translated)
                        return true;
        }
        return false;
}

bool watch_check(struct model *model)
{
        for (unsigned i = 0; i < WATCHERS * KEPT; i++) {
                struct watcher *watcher = &model->watchers[i / KEPT];
                const struct vtd_frontend_dma_translation *kept =
                        &watcher->kept[i % KEPT].translation;
                struct vtd_frontend_dma_request request = watcher->request;

                if (!watcher->active || !watcher->kept[i % KEPT].used)
                        continue;
                request.privileged = watcher->kept[i % KEPT].privileged;
                request.access = kept->access;
                request.address = kept->address;
                request.size = 1;
                if (!is_allowed(model, &request, kept))
                        return model_fail(model,
                                          "rid %#x pasid %#x: the back end was not told that "
                                          "%#llx is not %#llx any more",
                                          request.rid, request.pasid,
                                          (unsigned long long)kept->address,
                                          (unsigned long long)kept->translated);
        }
        return true;
}
