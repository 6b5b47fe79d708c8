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

#define MESSAGE_SIZE 4u

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
static void pass(uint64_t address, struct vtd_frontend_dma_translation *result)
{
        unsigned shift = 63 - (unsigned)__builtin_clzll(address ^ VTD_INTERRUPT_RANGE_START);

        *result = (struct vtd_frontend_dma_translation){
                .address = address >> shift << shift,
                .translated = address >> shift << shift,
                .size = UINT64_C(1) << shift,
                .access = READ_WRITE,
        };
}

/* A request that is being translated, for functions that requests seldom come to. */
struct translation {
        struct vtd_dma *dma;
        const struct vtd_frontend_dma_request *request;
        uint64_t before; /* what is kept must not be older than an invalidation: see cache.h */
        struct vtd_dma_fault *fault;
};

static int block(const struct translation *translation, enum vtd_fault_reason reason, bool fpd)
{
        *translation->fault = (struct vtd_dma_fault){.reason = reason, .fpd = fpd};
        return VTD_FRONTEND_FAULTED;
}

/* Walks to the PASID-table entry that the request is to go by.  Returns 0 or _FAULTED. */
static int walk_to_entry(const struct translation *translation, uint64_t mode, uint64_t key,
                         struct vtd_packed_entry *packed)
{
        const struct vtd_frontend_dma_request *request = translation->request;
        struct vtd_dma *dma = translation->dma;
        enum vtd_fault_reason reason;
        struct vtd_pasid_entry entry;
        struct vtd_walk walk;
        int r;

        vtd_walk_begin(&walk, mode & ROOT_MASK, request->rid, request->with_pasid, request->pasid);
        do
                r = vtd_walk_step(&walk, dma->guest, dma->capabilities, &entry, &reason);
        while (r == VTD_WALK_E_MORE);
        if (r != 0)
                return block(translation, reason, walk.fpd);
        packed->cache.words[0] = key;
        vtd_pack_entry(&entry, packed);
        vtd_pasid_cache_insert(&dma->pasid_cache, packed, translation->before);
        return 0;
}

/* Walks the tables below @packed, which is not pass-through.  Returns 0 or VTD_FRONTEND_FAULTED. */
static int walk_to_page(const struct translation *translation,
                        const struct vtd_packed_entry *packed, struct vtd_page *page)
{
        const struct vtd_frontend_dma_request *request = translation->request;
        struct vtd_dma *dma = translation->dma;
        enum vtd_fault_reason reason;
        struct vtd_pasid_entry entry;

        vtd_unpack_entry(packed, &entry);
        if (vtd_paging_walk(dma->guest, dma->capabilities, &entry, request, page, &reason) != 0)
                return block(translation, reason, entry.fpd);
        vtd_iotlb_insert(&dma->iotlb, vtd_iotlb_tag(packed), request->address, page,
                         translation->before);
        return 0;
}

static int pass_through(const struct translation *translation,
                        const struct vtd_packed_entry *packed,
                        struct vtd_frontend_dma_translation *result)
{
        uint64_t address = translation->request->address;
        struct vtd_pasid_entry entry;

        if (address >> translation->dma->capabilities->host_address_bits == 0 &&
            !is_interrupt_range(address)) {
                pass(address, result);
                return 0;
        }
        vtd_unpack_entry(packed, &entry);
        return block(translation,
                     is_interrupt_range(address) ? VTD_FAULT_INTERRUPT_RANGE
                                                 : VTD_FAULT_ADDRESS_WIDTH,
                     entry.fpd);
}

/* A supervisor's request below an entry that allows none. */
static int block_supervisor(const struct translation *translation,
                            const struct vtd_packed_entry *packed)
{
        struct vtd_pasid_entry entry;

        vtd_unpack_entry(packed, &entry);
        return block(translation, VTD_FAULT_PASID_SUPERVISOR, entry.fpd);
}

/* A message is a write of an aligned dword; all else that comes to the range without PASID is none. */
static bool is_message(const struct vtd_frontend_dma_request *request)
{
        return !request->with_pasid && request->access == VTD_FRONTEND_DMA_WRITE &&
               request->size == MESSAGE_SIZE && request->address % MESSAGE_SIZE == 0;
}

/*
 * Requests that no entry has a say in: all while translation is off, which pass, but not as memory in
 * the interrupt range; those to that range without PASID; and all in another table mode.  Faults are
 * recorded while translation is on only.
 */
static int judge_early(const struct translation *translation, uint64_t mode,
                       struct vtd_frontend_dma_translation *result)
{
        const struct vtd_frontend_dma_request *request = translation->request;
        bool enabled = mode & ENABLED;

        if (is_interrupt_range(request->address) && !(enabled && request->with_pasid)) {
                if (is_message(request))
                        return VTD_FRONTEND_INTERRUPT;
                return block(translation, enabled ? VTD_FAULT_INTERRUPT_REQUEST : VTD_FAULT_NONE,
                             false);
        }
        if (!enabled) {
                pass(request->address, result);
                return 0;
        }
        return block(translation,
                     request->with_pasid && VTD_RTADDR_TTM(mode) == VTD_TTM_LEGACY
                             ? VTD_FAULT_ROOT_LEGACY_PASID
                             : VTD_FAULT_ROOT_REGISTER,
                     false);
}

/* What is left to the entries. */
static bool is_for_entries(const struct vtd_frontend_dma_request *request, uint64_t mode)
{
        return (mode & ENABLED) && VTD_RTADDR_TTM(mode) == VTD_TTM_SCALABLE &&
               (request->with_pasid || !is_interrupt_range(request->address));
}

static unsigned rights_of(const struct vtd_frontend_dma_request *request,
                          const struct vtd_page *page)
{
        return request->privileged ? page->supervisor : page->user;
}

/*
 * What is known of a block may be less than its tables allow by now, or would with a dirty bit set:
 * then there is a walk as well.
 */
static int follow_tables(const struct translation *translation,
                         const struct vtd_packed_entry *packed,
                         struct vtd_frontend_dma_translation *result)
{
        const struct vtd_frontend_dma_request *request = translation->request;
        struct vtd_page page;

        if (!vtd_iotlb_find(&translation->dma->iotlb, vtd_iotlb_tag(packed), request->address,
                            &page) ||
            (request->access & ~rights_of(request, &page)) != 0) {
                int r = walk_to_page(translation, packed, &page);

                if (r != 0)
                        return r;
        }
        result->address = request->address >> page.shift << page.shift;
        result->translated = page.translated;
        result->size = UINT64_C(1) << page.shift;
        result->access = rights_of(request, &page);
        return 0;
}

int vtd_dma_translate(struct vtd_dma *dma, unsigned epoch,
                      const struct vtd_frontend_dma_request *request,
                      struct vtd_frontend_dma_translation *result, struct vtd_dma_fault *fault)
{
        /* Taken before anything else is read. */
        const struct translation translation = {dma, request, vtd_cache_now(&dma->iotlb), fault};
        uint64_t mode = atomic_load(&dma->mode), key;
        struct vtd_packed_entry packed;
        int r = 0;

        if (!is_possible(request))
                return -EINVAL;
        if (!is_for_entries(request, mode))
                return judge_early(&translation, mode, result);
        key = vtd_packed_key(request->rid, request->with_pasid, request->pasid);
        if (!vtd_pasid_cache_find(&dma->pasid_cache, key, &packed))
                r = walk_to_entry(&translation, mode, key, &packed);
        if (r != 0)
                return r;
        if (request->privileged && !vtd_packed_supervisor(&packed))
                return block_supervisor(&translation, &packed);
        if (vtd_packed_type(&packed) == VTD_PGTT_PASSTHROUGH)
                r = pass_through(&translation, &packed, result);
        else
                r = follow_tables(&translation, &packed, result);
        if (r == 0)
                vtd_watches_note(&dma->watches, epoch, &packed);
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
