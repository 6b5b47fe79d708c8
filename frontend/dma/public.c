/* SPDX-License-Identifier: MIT */
/* The functions of vtd/dma.h: dma.h, with faults put into the register page under its lock. */
#include <errno.h>

#include "frontend/dma/dma.h"
#include "frontend/frontend-internal.h"

void vtd_frontend_access_begin(struct vtd_frontend *frontend, struct vtd_frontend_access *access)
{
        access->epoch = vtd_accesses_begin(&frontend->engine.dma.accesses);
}

void vtd_frontend_access_end(struct vtd_frontend *frontend, struct vtd_frontend_access *access)
{
        vtd_accesses_end(&frontend->engine.dma.accesses, access->epoch);
}

static enum vtd_fault_access access_of(const struct vtd_frontend_dma_request *request)
{
        if (request->access == (VTD_FRONTEND_DMA_READ | VTD_FRONTEND_DMA_WRITE))
                return VTD_FAULT_ATOMIC;
        return request->access == VTD_FRONTEND_DMA_READ ? VTD_FAULT_READ : VTD_FAULT_WRITE;
}

/* Translation may have been switched off, and the registers reset, since the request was judged. */
static void record(struct vtd_frontend *frontend, const struct vtd_frontend_dma_request *request,
                   const struct vtd_dma_fault *why)
{
        const struct vtd_fault fault = {
                .reason = why->reason,
                .fpd = why->fpd,
                .rid = request->rid,
                .with_pasid = request->with_pasid,
                .pasid = request->with_pasid ? request->pasid : 0,
                .privileged = request->privileged,
                .address = request->address,
                .access = access_of(request),
        };
        struct vtd_engine *engine = &frontend->engine;
        struct vtd_message message = {.due = false};

        if (fault.reason == VTD_FAULT_NONE)
                return;
        vtd_frontend_lock(frontend);
        if (vtd_dma_is_enabled(&engine->dma) &&
            vtd_fault_record(&engine->registers, &fault, &message))
                engine->stats.faults++;
        vtd_frontend_unlock(frontend);
        vtd_guest_deliver(&engine->guest, &message);
}

int vtd_frontend_translate(struct vtd_frontend *frontend, const struct vtd_frontend_access *access,
                           const struct vtd_frontend_dma_request *request,
                           struct vtd_frontend_dma_translation *translation)
{
        struct vtd_engine *engine = &frontend->engine;
        struct vtd_dma_fault fault;
        int r;

        if (!engine->guest.callbacks.compare_exchange)
                return -ENOTSUP;
        r = vtd_dma_translate(&engine->dma, access->epoch, request, translation, &fault);
        if (r == VTD_FRONTEND_FAULTED)
                record(frontend, request, &fault);
        return r;
}

static bool is_pasid(bool with_pasid, uint32_t pasid)
{
        return !with_pasid || pasid >> 20 == 0;
}

int vtd_frontend_watch(struct vtd_frontend *frontend, uint16_t rid, bool with_pasid, uint32_t pasid,
                       vtd_frontend_invalidated invalidated, void *opaque)
{
        if (!is_pasid(with_pasid, pasid))
                return -EINVAL;
        return vtd_watches_add(&frontend->engine.dma.watches, rid, with_pasid, pasid, invalidated,
                               opaque);
}

int vtd_frontend_unwatch(struct vtd_frontend *frontend, uint16_t rid, bool with_pasid,
                         uint32_t pasid)
{
        if (!is_pasid(with_pasid, pasid))
                return -ENOENT;
        return vtd_watches_remove(&frontend->engine.dma.watches, rid, with_pasid, pasid);
}
