/* SPDX-License-Identifier: MIT */
/*
 * See dma.h.  The order of judgement is the architecture's: interrupt range, translation off, table
 * mode, PASID-table entry, and what is below it by its type.  Every fault is final for the request,
 * and nothing of it is kept.
 */
#include "frontend/dma/dma.h"

#include <errno.h>

#include "frontend/dma/iotlb.h"
#include "frontend/dma/paging.h"
#include "frontend/dma/pasid-cache.h"
#include "shared/checked.h"

/* 640 PASID-table entries and 5120 blocks, in 16 and 128 KiB. */
#define PASID_CACHE_SET_BITS 7u
#define IOTLB_SET_BITS       10u

/* The mode: a root pointer has no bits below its table mode. */
#define ENABLED   UINT64_C(1)
#define ROOT_MASK (~UINT64_C(0x3ff))

#define READ_WRITE (VTD_FRONTEND_DMA_READ | VTD_FRONTEND_DMA_WRITE)

int vtd_dma_init(struct vtd_dma *dma, const struct vtd_guest *guest,
                 const struct vtd_capabilities *capabilities)
{
        int r;

        dma->guest = guest;
        dma->capabilities = capabilities;
        r = vtd_watches_init(&dma->watches);
        if (r != 0)
                return r;
        r = vtd_cache_init(&dma->pasid_cache, PASID_CACHE_SET_BITS, &dma->invalidations);
        if (r == 0)
                r = vtd_cache_init(&dma->iotlb, IOTLB_SET_BITS, &dma->invalidations);
        if (r != 0)
                vtd_dma_deinit(dma);
        return r;
}

void vtd_dma_deinit(struct vtd_dma *dma)
{
        vtd_cache_deinit(&dma->iotlb);
        vtd_cache_deinit(&dma->pasid_cache);
        vtd_watches_deinit(&dma->watches);
}

bool vtd_dma_is_enabled(const struct vtd_dma *dma)
{
        return atomic_load(&dma->mode) & ENABLED;
}

static bool is_possible(const struct vtd_frontend_dma_request *request)
{
        return request->access != 0 && !(request->access & ~READ_WRITE) && request->size != 0 &&
               request->size - 1 <= UINT64_MAX - request->address &&
               (request->with_pasid ? request->pasid >> 20 == 0 : !request->privileged);
}

static bool is_interrupt_range(uint64_t address)
{
        return vtd_range_contains(VTD_INTERRUPT_RANGE_START, VTD_INTERRUPT_RANGE_SIZE, address, 1);
}

/*
 * The block around @address, outside the interrupt range, for which nothing is translated: the
 * largest that has not the range in it, which the highest bit that tells them apart gives.
 */
static void pass(uint64_t address, struct vtd_frontend_dma_translation *translation)
{
        unsigned shift = 63 - (unsigned)__builtin_clzll(address ^ VTD_INTERRUPT_RANGE_START);

        *translation = (struct vtd_frontend_dma_translation){
                .address = address >> shift << shift,
                .translated = address >> shift << shift,
                .size = UINT64_C(1) << shift,
                .access = READ_WRITE,
        };
}

static int block(struct vtd_fault *fault, enum vtd_fault_reason reason, bool fpd)
{
        fault->reason = reason;
        fault->fpd = fpd;
        return VTD_FRONTEND_FAULTED;
}

/* Walks to the PASID-table entry that @request is to go by.  Returns 0 or VTD_FRONTEND_FAULTED. */
static int find_entry(struct vtd_dma *dma, const struct vtd_frontend_dma_request *request,
                      uint64_t mode, uint64_t before, struct vtd_pasid_entry *entry,
                      struct vtd_fault *fault)
{
        enum vtd_fault_reason reason;
        struct vtd_walk walk;
        int r;

        if (vtd_pasid_cache_find(&dma->pasid_cache, request->rid, request->with_pasid,
                                 request->pasid, entry))
                return 0;
        vtd_walk_begin(&walk, mode & ROOT_MASK, request->rid, request->with_pasid, request->pasid);
        do
                r = vtd_walk_step(&walk, dma->guest, dma->capabilities, entry, &reason);
        while (r == VTD_WALK_E_MORE);
        if (r != 0)
                return block(fault, reason, walk.fpd);
        vtd_pasid_cache_insert(&dma->pasid_cache, request->rid, request->with_pasid, request->pasid,
                               entry, before);
        return 0;
}

/* The request and what is known of its block agree. */
static bool is_allowed(const struct vtd_frontend_dma_request *request, const struct vtd_page *page)
{
        unsigned allowed = request->privileged ? page->supervisor : page->user;

        return (request->access & ~allowed) == 0;
}

/*
 * Tables below @entry, which is not pass-through.  What is known of the block may be less than the
 * tables allow by now, or than they would with a dirty bit set: then there is another walk.
 */
static int follow_tables(struct vtd_dma *dma, const struct vtd_frontend_dma_request *request,
                         const struct vtd_pasid_entry *entry, uint64_t before,
                         struct vtd_frontend_dma_translation *translation, struct vtd_fault *fault)
{
        const struct vtd_iotlb_tag tag = vtd_iotlb_tag_of(entry);
        enum vtd_fault_reason reason;
        struct vtd_page page;

        if (!vtd_iotlb_find(&dma->iotlb, &tag, request->address, &page) ||
            !is_allowed(request, &page)) {
                if (vtd_paging_walk(dma->guest, dma->capabilities, entry, request, &page,
                                    &reason) != 0)
                        return block(fault, reason, entry->fpd);
                vtd_iotlb_insert(&dma->iotlb, &tag, request->address, &page, before);
        }
        *translation = (struct vtd_frontend_dma_translation){
                .address = request->address >> page.shift << page.shift,
                .translated = page.translated,
                .size = UINT64_C(1) << page.shift,
                .access = request->privileged ? page.supervisor : page.user,
        };
        return 0;
}

static int pass_through(const struct vtd_dma *dma, const struct vtd_frontend_dma_request *request,
                        const struct vtd_pasid_entry *entry,
                        struct vtd_frontend_dma_translation *translation, struct vtd_fault *fault)
{
        if (request->address >> dma->capabilities->host_address_bits != 0)
                return block(fault, VTD_FAULT_ADDRESS_WIDTH, entry->fpd);
        if (is_interrupt_range(request->address))
                return block(fault, VTD_FAULT_INTERRUPT_RANGE, entry->fpd);
        pass(request->address, translation);
        return 0;
}

static enum vtd_fault_access access_of(const struct vtd_frontend_dma_request *request)
{
        if (request->access == READ_WRITE)
                return VTD_FAULT_ATOMIC;
        return request->access == VTD_FRONTEND_DMA_READ ? VTD_FAULT_READ : VTD_FAULT_WRITE;
}

/*
 * Of requests that no table has a say in: those to the interrupt range without PASID, and all while
 * translation is off, which pass, but not as memory in the interrupt range.  Faults are recorded
 * while translation is on only.
 */
static int judge_early(const struct vtd_frontend_dma_request *request, bool enabled,
                       struct vtd_frontend_dma_translation *translation, struct vtd_fault *fault)
{
        if (!is_interrupt_range(request->address)) {
                pass(request->address, translation);
                return 0;
        }
        if (!request->with_pasid && request->access == VTD_FRONTEND_DMA_WRITE)
                return VTD_FRONTEND_INTERRUPT;
        return block(fault, enabled ? VTD_FAULT_INTERRUPT_REQUEST : VTD_FAULT_NONE, false);
}

int vtd_dma_translate(struct vtd_dma *dma, unsigned epoch,
                      const struct vtd_frontend_dma_request *request,
                      struct vtd_frontend_dma_translation *translation, struct vtd_fault *fault)
{
        /* Before all else that is read: what is kept must not be older than an invalidation. */
        uint64_t before = vtd_cache_now(&dma->iotlb);
        uint64_t mode = atomic_load(&dma->mode);
        struct vtd_pasid_entry entry;
        int r;

        if (!is_possible(request))
                return -EINVAL;
        *fault = (struct vtd_fault){
                .rid = request->rid,
                .with_pasid = request->with_pasid,
                .pasid = request->with_pasid ? request->pasid : 0,
                .privileged = request->privileged,
                .address = request->address,
                .access = access_of(request),
        };
        if (!(mode & ENABLED) || (!request->with_pasid && is_interrupt_range(request->address)))
                return judge_early(request, mode & ENABLED, translation, fault);
        if (VTD_RTADDR_TTM(mode) != VTD_TTM_SCALABLE)
                return block(fault,
                             request->with_pasid && VTD_RTADDR_TTM(mode) == VTD_TTM_LEGACY
                                     ? VTD_FAULT_ROOT_LEGACY_PASID
                                     : VTD_FAULT_ROOT_REGISTER,
                             false);
        r = find_entry(dma, request, mode, before, &entry, fault);
        if (r != 0)
                return r;
        if (request->privileged && !entry.supervisor)
                return block(fault, VTD_FAULT_PASID_SUPERVISOR, entry.fpd);
        if (entry.type == VTD_PGTT_PASSTHROUGH)
                r = pass_through(dma, request, &entry, translation, fault);
        else
                r = follow_tables(dma, request, &entry, before, translation, fault);
        if (r == 0)
                vtd_watches_note(&dma->watches, request, epoch, &entry);
        return r;
}

void vtd_dma_set_mode(struct vtd_dma *dma, uint64_t root, bool enabled)
{
        atomic_store(&dma->mode, (root & ROOT_MASK) | (enabled ? ENABLED : 0));
        vtd_cache_clear(&dma->pasid_cache);
        vtd_cache_clear(&dma->iotlb);
        dma->accesses.due = true;
        vtd_watches_notice(&dma->watches, NULL);
}

void vtd_dma_invalidate(struct vtd_dma *dma, const struct vtd_descriptor *descriptor)
{
        if (descriptor->type == VTD_DESCRIPTOR_CONTEXT_CACHE ||
            descriptor->type == VTD_DESCRIPTOR_PASID_CACHE)
                vtd_pasid_cache_invalidate(&dma->pasid_cache, descriptor);
        else if (descriptor->type == VTD_DESCRIPTOR_IOTLB ||
                 descriptor->type == VTD_DESCRIPTOR_PASID_IOTLB)
                vtd_iotlb_invalidate(&dma->iotlb, descriptor);
        else
                return;
        dma->accesses.due = true;
        vtd_watches_notice(&dma->watches, descriptor);
}

bool vtd_dma_is_drained(struct vtd_dma *dma)
{
        struct vtd_accesses *accesses = &dma->accesses;

        if (!vtd_accesses_are_drained(accesses))
                return false;
        if (!accesses->due)
                return true;
        vtd_watches_turn(&dma->watches, atomic_load(&accesses->epoch));
        vtd_accesses_turn(accesses);
        return vtd_accesses_are_drained(accesses);
}

void vtd_dma_tell(struct vtd_dma *dma)
{
        vtd_watches_tell(&dma->watches, atomic_load(&dma->accesses.epoch));
}
