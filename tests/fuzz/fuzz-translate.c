/* SPDX-License-Identifier: MIT */
/*
 * Requests of emulated devices: first-stage, second-stage and nested tables of any content, changed
 * between two reads, with requests of any kind, accesses that stay open over invalidations, and back
 * ends that keep what they were told.  Whatever was translated lies in a block that is what it says;
 * after an invalidation, requests go where a second reading of the tables says (paging.h), and nobody
 * keeps what was invalidated.
 */
#include <errno.h>
#include <string.h>

#include "shared/checked.h"
#include "tests/fuzz/expect.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/paging.h"
#include "tests/fuzz/steps.h"

/*
 * Guest reads for one request: a PASID-table entry behind four, five levels each behind five more,
 * twice where a bit is set, and the page behind five; again for each store that comes between.
 */
#define READS_MAX (70u * (1 + FUZZ_STORES_MAX))

static uint64_t page(uint64_t number)
{
        return FUZZ_PAGING + number % FUZZ_PAGING_COUNT * VTD_PAGE_SIZE;
}

/*
 * One way down: from root a for address d, on pages that follow each other, to a page of one of three
 * sizes.  c: bits of all entries, and in the upper half the leaf's address; b: five levels, size, and
 * a bit that is flipped in one entry.
 */
static void put_path(struct fuzz_unit *fuzz, const struct fuzz_step *step, uint64_t root,
                     uint64_t bits)
{
        unsigned top = step->b & 1 ? 48 : 39, last = 12 + (step->b >> 1 & 3) % 3 * 9;
        uint64_t table = root;

        for (unsigned shift = top; shift >= last; shift -= 9) {
                uint64_t entry = page(step->a / 4u + (top - shift) / 9) | bits;

                if (shift == last) {
                        entry = ((uint64_t)(step->c >> 16) << 12 & ~((UINT64_C(1) << shift) - 1)) |
                                bits | (shift > 12 ? 0x80 : 0);
                        if (step->b & 8)
                                entry |= step->c >> 8 & 0xff;
                }
                if ((step->b >> 4 & 7) == shift / 9)
                        entry ^= UINT64_C(1) << (step->b >> 7 & 63);
                fuzz_put64(fuzz, table + (step->d >> shift & 511) * 8, entry);
                table = entry & UINT64_C(0xffffffffff000);
        }
}

static void put_first_stage(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        uint64_t bits = step->c & 8 ? step->c & 0x667 : 0x67;

        put_path(fuzz, step, FUZZ_FIRST_STAGE + (step->a & 3) * VTD_PAGE_SIZE, bits);
}

static void put_second_stage(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        uint64_t bits = step->c & 8 ? step->c & 0x303 : 0x303;

        put_path(fuzz, step, FUZZ_PAGING + (step->a & 3) * VTD_PAGE_SIZE, bits);
}

/*
 * All that a request of device a for address d needs, by a first, second or nested stage: the second
 * one maps the first GiB, in which all tables are, to itself.
 */
static void put_all(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        static const uint8_t types[] = {7, 7, 6, 0};
        struct fuzz_step entry = {
                .a = step->a,
                .b = types[step->b & 3],
                .c = step->c & 0x1ff,
                .d = (uint64_t)(step->c >> 9 & 0xf) | UINT64_C(1) << 35 |
                     (uint64_t)(step->c >> 13 & 3) << 40,
        };
        struct fuzz_step path = {.a = (step->c >> 9 & 3) | 0x10, .d = step->d};

        path.b = (step->b >> 2 & 3) << 1;
        path.c = (step->c & 0xffff0000) | (step->b & 0x80 ? 0x8 | (step->b >> 8 & 0x67) : 0);
        fuzz_step_entry(fuzz, &entry);
        put_first_stage(fuzz, &path);
        fuzz_put64(fuzz, page(0), page(1) | 0x303);
        fuzz_put64(fuzz, page(1), 0x380 | (step->b & 0x40 ? 3 : 0x303));
}

static struct vtd_frontend_dma_request request_of(const struct fuzz_step *step)
{
        struct vtd_frontend_dma_request request = {
                .rid = fuzz_rid(step->a),
                .with_pasid = step->b & 1,
                .pasid = step->b & 1 ? step->c & 0x1ff : 0,
                .privileged = (step->b & 3) == 3,
                .access = 1 + (step->b >> 2) % 3u,
                .address = step->d,
                .size = 1 + (step->c >> 16),
        };

        if ((step->b & 0x1c) == 0x1c)
                request.address = 0xfee00000 | (step->d & 0x1fffff);
        /* No request goes beyond the end of the address space. */
        if (request.size - 1 > UINT64_MAX - request.address)
                request.size = 1;
        return request;
}

static void forget(void *opaque, uint64_t address, uint64_t size)
{
        struct fuzz_watch *watch = opaque;
        size_t i = 0;

        FUZZ_REQUIRE(watch->used && vtd_is_page_aligned(address) && vtd_is_page_aligned(size));
        FUZZ_REQUIRE(size == 0 ? address == 0 : size - 1 <= UINT64_MAX - address);
        while (i < watch->count) {
                const struct vtd_frontend_dma_translation *kept = &watch->kept[i];

                if (size == 0 || vtd_ranges_overlap(address, size, kept->address, kept->size))
                        watch->kept[i] = watch->kept[--watch->count];
                else
                        i++;
        }
}

static bool is_watched(const struct fuzz_watch *watch,
                       const struct vtd_frontend_dma_request *request)
{
        return watch->used && watch->rid == request->rid &&
               watch->with_pasid == request->with_pasid && watch->pasid == request->pasid;
}

/* Back ends keep what was translated by tables. */
static void keep(struct fuzz_unit *fuzz, const struct vtd_frontend_dma_request *request,
                 const struct vtd_frontend_dma_translation *result)
{
        if (!vtd_dma_is_enabled(&fuzz->unit->engine.dma))
                return;
        for (size_t i = 0; i < FUZZ_WATCHES; i++) {
                struct fuzz_watch *watch = &fuzz->watches[i];

                if (is_watched(watch, request) && watch->count < FUZZ_KEPT_MAX)
                        watch->kept[watch->count++] = *result;
        }
}

/* Begins to watch what a request is of, or ends it. */
static void step_watch(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        struct fuzz_watch *watch = &fuzz->watches[step->c >> 16 & (FUZZ_WATCHES - 1)];
        struct vtd_frontend_dma_request request = request_of(step);
        int expected = 0;

        if (watch->used) {
                FUZZ_REQUIRE(vtd_frontend_unwatch(fuzz->unit, watch->rid, watch->with_pasid,
                                                  watch->pasid) == 0);
                *watch = (struct fuzz_watch){.used = false};
                return;
        }
        for (size_t i = 0; i < FUZZ_WATCHES; i++)
                if (is_watched(&fuzz->watches[i], &request))
                        expected = -EEXIST;
        if (step->c & 0x80000000)
                request.pasid |= 0x100000;
        if (step->c & 0x80000000 && request.with_pasid)
                expected = -EINVAL;
        FUZZ_REQUIRE(vtd_frontend_watch(fuzz->unit, request.rid, request.with_pasid, request.pasid,
                                        forget, watch) == expected);
        if (expected == 0)
                *watch = (struct fuzz_watch){.used = true,
                                             .rid = request.rid,
                                             .with_pasid = request.with_pasid,
                                             .pasid = request.with_pasid ? request.pasid : 0};
}

/* The PASID cache was invalidated: there is nothing that anybody may keep. */
static void check_forgotten(const struct fuzz_unit *fuzz)
{
        for (size_t i = 0; i < FUZZ_WATCHES; i++)
                FUZZ_REQUIRE(fuzz->watches[i].count == 0);
}

static int translate(struct fuzz_unit *fuzz, const struct fuzz_access *access,
                     const struct vtd_frontend_dma_request *request,
                     struct vtd_frontend_dma_translation *result)
{
        int r;

        fuzz->reads = 0;
        fuzz->translating = true;
        r = vtd_frontend_translate(fuzz->unit, &access->access, request, result);
        fuzz->translating = false;
        FUZZ_REQUIRE(fuzz->reads <= READS_MAX);
        if (r == VTD_FRONTEND_INTERRUPT)
                FUZZ_REQUIRE(!request->with_pasid && request->access == VTD_FRONTEND_DMA_WRITE &&
                             request->address >> 20 == 0xfee);
        FUZZ_REQUIRE(r == 0 || r == VTD_FRONTEND_INTERRUPT || r == VTD_FRONTEND_FAULTED);
        if (r != 0)
                return r;
        FUZZ_REQUIRE(result->size >= VTD_PAGE_SIZE && (result->size & (result->size - 1)) == 0);
        FUZZ_REQUIRE(result->address == (request->address & ~(result->size - 1)));
        FUZZ_REQUIRE((result->translated & (result->size - 1)) == 0);
        FUZZ_REQUIRE((request->access & ~result->access) == 0 && (result->access & ~3u) == 0);
        FUZZ_REQUIRE(!vtd_ranges_overlap(result->translated, result->size, 0xfee00000, 0x100000));
        keep(fuzz, request, result);
        return 0;
}

/* What requests say that no device can make is refused, and nothing is recorded. */
static void step_translate(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        struct fuzz_access *access = fuzz_begin_access(fuzz, step->b >> 8);
        struct vtd_frontend_dma_request request = request_of(step);
        struct vtd_frontend_dma_translation result;

        if (step->b & 0x40) {
                request.access = step->b >> 12;
                request.size = step->c & 1 ? 0 : UINT64_MAX;
                if (request.access == 0 || request.access > 3 || request.size == 0)
                        FUZZ_REQUIRE(vtd_frontend_translate(fuzz->unit, &access->access, &request,
                                                            &result) == -EINVAL);
                return;
        }
        (void)translate(fuzz, access, &request, &result);
        if (step->b & 0x80)
                fuzz_end_access(fuzz, step->b >> 8);
}

static void step_access(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        if (step->b & 1)
                (void)fuzz_begin_access(fuzz, step->a);
        else
                fuzz_end_access(fuzz, step->a);
}

static bool settle(struct fuzz_unit *fuzz)
{
        int r = VTD_FRONTEND_PENDING;

        for (unsigned i = 0; i < 16 && r == VTD_FRONTEND_PENDING; i++)
                r = fuzz_run(fuzz, 256);
        return r == VTD_FRONTEND_IDLE;
}

/* The guest is at rest, and its driver's queue is there and empty. */
static bool rest(struct fuzz_unit *fuzz)
{
        const struct vtd_engine *engine = &fuzz->unit->engine;

        memset(fuzz->stores, 0, sizeof(fuzz->stores));
        fuzz_end_accesses(fuzz);
        fuzz->broker->hold = false;
        fuzz->broker->refused = 0;
        if (!settle(fuzz) || VTD_RTADDR_TTM(engine->root) != 1 || !engine->queue.enabled ||
            engine->queue.base != FUZZ_QUEUE || engine->queue.size != 2 * VTD_PAGE_SIZE ||
            engine->queue.descriptor_size != 32 ||
            vtd_frontend_read(fuzz->unit, VTD_REG_RTADDR, 8) != engine->root)
                return false;
        fuzz->tail = (uint32_t)vtd_frontend_read(fuzz->unit, VTD_REG_IQT, 4);
        return fuzz->tail == vtd_frontend_read(fuzz->unit, VTD_REG_IQH, 4);
}

static void queue(struct fuzz_unit *fuzz, uint64_t first, uint64_t second)
{
        const uint64_t words[4] = {first, second, 0, 0};

        for (unsigned i = 0; i < 4; i++)
                fuzz_put64(fuzz, FUZZ_QUEUE + fuzz->tail + i * 8u, words[i]);
        fuzz->tail = (fuzz->tail + 32) % 8192;
}

/*
 * Queues an invalidation of what @request is translated by in the IOTLB: as little as there is a
 * descriptor for, or all of it.
 */
static void queue_iotlb(struct fuzz_unit *fuzz, const struct vtd_frontend_dma_request *request,
                        bool all, unsigned mask)
{
        uint64_t entry[8], domain, address = request->address & ~UINT64_C(0xfff);
        unsigned type = 0;

        if (fuzz_find_entry(fuzz, request->rid, request->with_pasid, request->pasid, entry))
                type = entry[0] >> 6 & 7;
        domain = type != 0 ? (entry[1] & 0xffff) << 16 : 0;
        if (all || type == 0)
                queue(fuzz, 0x12, 0);
        else if (type == 2)
                queue(fuzz, 0x32 | domain, address | mask % 19u);
        else if (request->with_pasid && (type & 1))
                queue(fuzz, 0x36 | domain | (uint64_t)request->pasid << 32, address | mask % 53u);
        else
                queue(fuzz, 0x22 | domain, 0);
}

/* Waits, with a status or without, for what was queued; false when it does not come to that. */
static bool await(struct fuzz_unit *fuzz, bool status)
{
        queue(fuzz, status ? 0x25 : 0x45, status ? FUZZ_STATUS : 0);
        fuzz_write(fuzz, VTD_REG_IQT, 4, fuzz->tail);
        return settle(fuzz) && fuzz->tail == vtd_frontend_read(fuzz->unit, VTD_REG_IQH, 4);
}

/* Over accesses that are under way the wait does not complete. */
static void step_invalidate(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        struct vtd_frontend_dma_request request = request_of(step);

        if (fuzz->unit->engine.queue.descriptor_size != 32)
                return;
        if (step->b & 0x20)
                queue(fuzz, 0x37, 0);
        queue_iotlb(fuzz, &request, step->b & 0x40, step->b >> 8 & 63);
        (void)await(fuzz, true);
}

/* Back ends that kept the page of @request forget it, if no more, when it is invalidated alone. */
static void check_page_forgotten(struct fuzz_unit *fuzz,
                                 const struct vtd_frontend_dma_request *request)
{
        queue_iotlb(fuzz, request, false, 0);
        if (!await(fuzz, false))
                return;
        for (size_t i = 0; i < FUZZ_WATCHES; i++) {
                const struct fuzz_watch *watch = &fuzz->watches[i];

                for (size_t j = 0; is_watched(watch, request) && j < watch->count; j++)
                        FUZZ_REQUIRE(request->address - watch->kept[j].address >=
                                     watch->kept[j].size);
        }
}

/* The other byte at @offset of the block goes by the tables where the block says, with its rights. */
static void check_block(struct fuzz_unit *fuzz, const struct vtd_frontend_dma_request *request,
                        const struct vtd_frontend_dma_translation *block, uint64_t offset)
{
        struct vtd_frontend_dma_request other = *request;
        uint64_t gpa;

        offset &= block->size - 1;
        other.address = block->address + offset;
        other.access = block->access;
        other.size = 1;
        FUZZ_REQUIRE(fuzz_expect_translation(fuzz, &other, &gpa));
        FUZZ_REQUIRE(gpa == block->translated + offset);
}

/* What is to be invalidated before a translation is judged. */
struct invalidation {
        bool entries; /* contexts and PASID-table entries too, of which nobody may keep anything then */
        bool all; /* the whole IOTLB, or else 2^mask pages where there is a descriptor for that */
        unsigned mask;
        uint64_t other; /* the byte of the block that is judged besides */
};

static void compare(struct fuzz_unit *fuzz, const struct vtd_frontend_dma_request *request,
                    uint64_t other)
{
        bool on = vtd_frontend_read(fuzz->unit, VTD_REG_GSTS, 4) & VTD_GCMD_TE;
        struct vtd_frontend_dma_translation result;
        uint64_t gpa = 0;
        bool expected = fuzz_expect_translation(fuzz, request, &gpa);
        int r = translate(fuzz, fuzz_begin_access(fuzz, 0), request, &result);

        fuzz_end_access(fuzz, 0);
        if (!on) {
                FUZZ_REQUIRE(r != 0 || result.translated == result.address);
                return;
        }
        FUZZ_REQUIRE(expected == (r == 0));
        if (r != 0)
                return;
        FUZZ_REQUIRE(result.translated + (request->address - result.address) == gpa);
        check_block(fuzz, request, &result, other);
        check_page_forgotten(fuzz, request);
}

/* After an invalidation, what was there before has no say. */
static bool translate_anew(struct fuzz_unit *fuzz, const struct vtd_frontend_dma_request *request,
                           const struct invalidation *invalidation)
{
        if (!rest(fuzz))
                return false;
        if (invalidation->entries) {
                queue(fuzz, 0x11, 0);
                queue(fuzz, 0x37, 0);
        }
        queue_iotlb(fuzz, request, invalidation->all, invalidation->mask);
        if (!await(fuzz, false))
                return false;
        if (invalidation->entries)
                check_forgotten(fuzz);
        compare(fuzz, request, invalidation->other);
        return true;
}

static void step_translate_anew(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        struct vtd_frontend_dma_request request = request_of(step);
        const struct invalidation invalidation = {
                .entries = true,
                .all = step->b & 0x20,
                .mask = step->b >> 8 & 63,
                .other = step->d >> 17 ^ step->d << 9,
        };

        (void)translate_anew(fuzz, &request, &invalidation);
}

/*
 * A page is mapped, used, mapped elsewhere and invalidated alone, while a back end keeps it: device
 * a, address d, and the rest as put_all() has it.
 */
static void step_remap(struct fuzz_unit *fuzz, const struct fuzz_step *step)
{
        struct vtd_frontend_dma_request request = {
                .rid = fuzz_rid(step->a),
                .with_pasid = true,
                .pasid = step->c & 0x1ff,
                .access = VTD_FRONTEND_DMA_READ,
                .address = step->d,
                .size = 1,
        };
        const struct invalidation first = {.entries = true, .all = true};
        const struct invalidation second = {.mask = 0, .other = step->d << 9};
        struct fuzz_step watch = {.a = step->a, .b = 1, .c = request.pasid}, moved = *step;

        moved.c ^= 0x3f000000;
        if (!fuzz->watches[0].used)
                step_watch(fuzz, &watch);
        put_all(fuzz, step);
        if (!translate_anew(fuzz, &request, &first))
                return;
        put_all(fuzz, &moved);
        (void)translate_anew(fuzz, &request, &second);
}

static const fuzz_operation operations[] = {
        put_all,
        put_all,
        step_watch,
        step_invalidate,
        step_remap,
        fuzz_step_entry,
        put_first_stage,
        put_first_stage,
        put_second_stage,
        step_translate,
        step_translate,
        step_translate_anew,
        step_translate_anew,
        step_access,
        fuzz_step_store,
        fuzz_step_run,
        fuzz_step_descriptor,
        fuzz_step_command,
        fuzz_step_store_later,
        fuzz_step_write,
        fuzz_step_vmm,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        fuzz_unit_play(data, size, fuzz_begin_enabled, operations, VTD_ARRAY_SIZE(operations));
        return 0;
}
