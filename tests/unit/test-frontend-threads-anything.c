/* SPDX-License-Identifier: MIT */
/*
 * Devices, watches and interrupts in threads of their own, while a guest does anything, and its VMM
 * resets, saves and restores the unit.  Of one translation nothing can be expected then but what holds
 * of all of them: it is of the request's first byte, allows the request, and leads to no interrupt.
 * Must hold as well: a state that was saved is one, what is told is a block, and once the guest rests
 * the unit comes to rest, too.  The rest is for a thread sanitizer to see.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frontend/include/vtd/dma.h"
#include "frontend/include/vtd/interrupt.h"
#include "frontend/include/vtd/state.h"
#include "frontend/queue.h"
#include "frontend/registers.h"
#include "shared/checked.h"
#include "tests/unit/shared-memory.h"

#define ROOT         0x1000u
#define CONTEXT      0x2000u
#define DIRECTORY    0x3000u
#define PASID_TABLE  0x4000u
#define STATUS       0x7000u
#define FIRST_STAGE  0x10000u /* four tables, one below the other */
#define SECOND_STAGE 0x20000u
#define QUEUE        0x30000u
#define QUEUE_SIZE   4096u
#define INTERRUPTS   0x80000u

#define FEE     UINT64_C(0xfee00000)
#define FEE_END UINT64_C(0xfef00000)

#define PASIDS  8u
#define DOMAINS 4u
#define RID     8u
#define RECORDS 222u

/* As many steps of the guest as that, but no longer than that unless asked for. */
#define STEPS   100000u
#define SECONDS 2
/* Longer only where threads had to wait so long for a processor that something was not seen at all. */
#define SECONDS_MAX 60

struct world {
        struct shared_memory memory; /* first: of callbacks */
        struct vtd_frontend *unit;
        _Atomic bool stop;
        _Atomic unsigned failures;
        _Atomic unsigned long allowed, faulted, remapped, watched, told, changed;
        uint64_t random; /* the guest's */
        uint8_t saved[4096];
};

struct actor {
        pthread_t thread;
        struct world *world;
        uint64_t random;
};

static uint64_t pick(uint64_t *random, uint64_t below)
{
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        return (*random >> 8) % below;
}

static void require(struct world *w, bool condition, const char *what)
{
        if (!condition && atomic_fetch_add(&w->failures, 1) == 0)
                print_error("%s\n", what);
}

static void send_message(void *opaque, uint64_t address, uint32_t data)
{
        (void)opaque;
        (void)address;
        (void)data;
}

/* Any request, mostly of one device and of what there are tables for. */
static struct vtd_frontend_dma_request any_request(uint64_t *random)
{
        struct vtd_frontend_dma_request request = {
                .rid = (uint16_t)(pick(random, 4) == 0 ? pick(random, 256) : RID),
                .with_pasid = pick(random, 2),
                .access = 1 + (unsigned)pick(random, 3),
                .address = pick(random, 512) << VTD_PAGE_SHIFT,
                .size = 4,
        };

        if (request.with_pasid) {
                request.pasid = (uint32_t)pick(random, PASIDS);
                request.privileged = pick(random, 4) == 0;
        }
        if (pick(random, 8) == 0)
                request.address = pick(random, UINT64_C(1) << pick(random, 50));
        if (pick(random, 16) == 0)
                request.address = FEE + pick(random, (FEE_END - FEE) / 4) * 4;
        return request;
}

static void judge(struct world *w, const struct vtd_frontend_dma_request *request,
                  const struct vtd_frontend_dma_translation *block)
{
        require(w, block->size >= VTD_PAGE_SIZE && (block->size & (block->size - 1)) == 0,
                "a block of another size");
        require(w, block->address % block->size == 0, "a block that is not aligned");
        require(w, request->address - block->address < block->size, "another block");
        require(w, !(request->access & ~block->access), "a block that does not allow the request");
        require(w, !vtd_ranges_overlap(block->translated, block->size, FEE, FEE_END - FEE),
                "a block of the interrupt range");
        require(w,
                request->with_pasid ||
                        !vtd_ranges_overlap(block->address, block->size, FEE, FEE_END - FEE),
                "a block with the interrupt range in it");
}

static void *use_memory(void *argument)
{
        struct actor *actor = argument;
        struct world *w = actor->world;

        while (!atomic_load(&w->stop)) {
                struct vtd_frontend_access access;

                vtd_frontend_access_begin(w->unit, &access);
                for (unsigned i = 0; i < 4; i++) {
                        struct vtd_frontend_dma_request request = any_request(&actor->random);
                        struct vtd_frontend_dma_translation block;
                        int r = vtd_frontend_translate(w->unit, &access, &request, &block);

                        require(w,
                                r == 0 || r == VTD_FRONTEND_FAULTED || r == VTD_FRONTEND_INTERRUPT,
                                "a request is not judged");
                        if (r == 0)
                                judge(w, &request, &block);
                        atomic_fetch_add(r == 0 ? &w->allowed : &w->faulted, 1);
                }
                vtd_frontend_access_end(w->unit, &access);
                (void)sched_yield();
        }
        return NULL;
}

static void forget(void *opaque, uint64_t address, uint64_t size)
{
        struct world *w = opaque;

        require(w, (size & (size - 1)) == 0 && size % VTD_PAGE_SIZE == 0, "told of no block");
        require(w, size == 0 ? address == 0 : address % size == 0, "told of a block elsewhere");
        atomic_fetch_add(&w->told, 1);
}

static void *watch(void *argument)
{
        struct actor *actor = argument;
        struct world *w = actor->world;

        while (!atomic_load(&w->stop)) {
                uint16_t rid = (uint16_t)(RID + pick(&actor->random, 4) / 3);
                bool with_pasid = pick(&actor->random, 2);
                uint32_t pasid = (uint32_t)pick(&actor->random, PASIDS);
                int r;

                if (pick(&actor->random, 2) == 0)
                        r = vtd_frontend_watch(w->unit, rid, with_pasid, pasid, forget, w);
                else
                        r = vtd_frontend_unwatch(w->unit, rid, with_pasid, pasid);
                require(w, r == 0 || r == -EEXIST || r == -ENOENT, "watching");
                atomic_fetch_add(&w->watched, 1);
                (void)sched_yield();
        }
        return NULL;
}

static void remap(struct world *w, uint64_t *random)
{
        struct vtd_frontend_message message;
        struct vtd_frontend_access access;
        int r;

        vtd_frontend_access_begin(w->unit, &access);
        r = vtd_frontend_remap_interrupt(w->unit, (uint16_t)pick(random, 65536),
                                         FEE + pick(random, FEE_END - FEE),
                                         (uint32_t)pick(random, 256), &message);
        require(w, r == 0 || r == VTD_FRONTEND_BLOCKED, "an interrupt is not judged");
        vtd_frontend_access_end(w->unit, &access);
        atomic_fetch_add(&w->remapped, 1);
}

static void *interrupt(void *argument)
{
        struct actor *actor = argument;

        while (!atomic_load(&actor->world->stop)) {
                remap(actor->world, &actor->random);
                (void)sched_yield();
        }
        return NULL;
}

static void interrupts_changed(void *opaque, uint32_t first, uint32_t count)
{
        struct world *w = opaque;

        require(w, count > 0 && first < 65536 && count <= 65536 - first, "told of no interrupts");
        remap(w, &w->random);
        atomic_fetch_add(&w->changed, 1);
}

/* Entries of every type, in tables that lead somewhere most of the time. */
static void rewrite_tables(struct world *w)
{
        uint64_t *random = &w->random;

        shared_memory_put(&w->memory, ROOT, CONTEXT | 1);
        shared_memory_put(&w->memory, ROOT + 8, CONTEXT | 1);
        for (unsigned i = 0; i < 128; i++) {
                shared_memory_put(&w->memory, CONTEXT + i * 32, DIRECTORY | 0x8 | 1);
                shared_memory_put(&w->memory, CONTEXT + i * 32 + 8,
                                  pick(random, 8) == 0 ? pick(random, PASIDS) : 0);
        }
        shared_memory_put(&w->memory, DIRECTORY, PASID_TABLE | 1);
        for (unsigned i = 0; i < PASIDS; i++) {
                uint64_t entry = PASID_TABLE + i * 64, fpd = pick(random, 16) == 0 ? 2 : 0;

                shared_memory_put(&w->memory, entry + 8, pick(random, DOMAINS) | UINT64_C(1) << 23);
                shared_memory_put(&w->memory, entry + 16,
                                  FIRST_STAGE | pick(random, 2) << 4 | pick(random, 2));
                shared_memory_put(&w->memory, entry,
                                  SECOND_STAGE | (1 + i % 4) << 6 | 2 << 2 | fpd | 1);
        }
        for (unsigned i = 0; i < 3; i++) {
                shared_memory_put(&w->memory, FIRST_STAGE + i * 0x1000,
                                  (FIRST_STAGE + 0x1000 + i * 0x1000) | 0x7);
                shared_memory_put(&w->memory, SECOND_STAGE + i * 0x1000,
                                  (SECOND_STAGE + 0x1000 + i * 0x1000) | 0x3);
        }
        for (unsigned i = 0; i < 512; i++) {
                shared_memory_put(&w->memory, FIRST_STAGE + 0x3000 + i * 8,
                                  pick(random, 256) << 12 |
                                          (pick(random, 8) ? 0x7 : pick(random, 0x68)));
                shared_memory_put(&w->memory, SECOND_STAGE + 0x3000 + i * 8,
                                  (uint64_t)(i < 256 ? i : pick(random, 256)) << 12 |
                                          (pick(random, 8) ? 0x3 : pick(random, 4)));
                shared_memory_put(&w->memory, INTERRUPTS + i * 16,
                                  pick(random, 256) << 16 | pick(random, 4));
        }
}

static uint32_t sometimes(struct world *w, uint32_t bit, unsigned of)
{
        return pick(&w->random, of) == 0 ? 0 : bit;
}

static void write_registers(struct world *w)
{
        uint64_t *random = &w->random;
        const struct {
                uint16_t offset;
                uint8_t size;
                uint64_t value;
        } writes[] = {
                {VTD_REG_GCMD, 4,
                 sometimes(w, VTD_GCMD_TE, 4) | sometimes(w, VTD_GCMD_QIE, 8) |
                         sometimes(w, VTD_GCMD_IRE, 4) | sometimes(w, VTD_GCMD_CFI, 2) |
                         sometimes(w, VTD_GCMD_SRTP, 2) | sometimes(w, VTD_GCMD_SIRTP, 2)},
                {VTD_REG_RTADDR, 8, ROOT | (pick(random, 8) ? 1 : pick(random, 4)) << 10},
                {VTD_REG_IQA, 8, QUEUE | sometimes(w, 0x800, 8)},
                {VTD_REG_IRTA, 8, INTERRUPTS | sometimes(w, 0x800, 2) | pick(random, 16)},
                {VTD_REG_FSTS, 4, UINT32_MAX},
                {(uint16_t)(VTD_REG_FRCD + pick(random, RECORDS) * VTD_FRCD_SIZE + 12), 4,
                 VTD_FRCD_F},
                {VTD_REG_FECTL, 4, sometimes(w, VTD_ECTL_IM, 2)},
                {VTD_REG_IECTL, 4, sometimes(w, VTD_ECTL_IM, 2)},
                {VTD_REG_ICS, 4, VTD_ICS_IWC},
                {(uint16_t)(pick(random, 1024) * 4), 4, pick(random, UINT64_C(1) << 32)},
        };
        size_t i = pick(random, VTD_ARRAY_SIZE(writes));

        vtd_frontend_write(w->unit, writes[i].offset, writes[i].size, writes[i].value);
}

static void queue_descriptors(struct world *w)
{
        static const struct {
                uint64_t first;
                bool domain, pasid, range;
        } kinds[] = {
                {0x11, false, false, false}, {0x31 | (uint64_t)RID << 32, false, false, false},
                {0x37, false, false, false}, {0x07, true, false, false},
                {0x17, true, true, false},   {0x12, false, false, false},
                {0x22, true, false, false},  {0x32, true, false, true},
                {0x26, true, true, false},   {0x36, true, true, true},
                {0x04, false, false, false}, {0x14 | UINT64_C(3) << 32, false, false, false},
        };
        uint64_t *random = &w->random;
        uint32_t tail = (uint32_t)vtd_frontend_read(w->unit, VTD_REG_IQT, 4) % QUEUE_SIZE & ~31u;

        for (uint64_t left = pick(random, 4); left > 0; left--) {
                size_t kind = pick(random, VTD_ARRAY_SIZE(kinds));

                shared_memory_put(&w->memory, QUEUE + tail,
                                  kinds[kind].first |
                                          (kinds[kind].domain ? pick(random, DOMAINS) << 16 : 0) |
                                          (kinds[kind].pasid ? pick(random, PASIDS) << 32 : 0));
                shared_memory_put(&w->memory, QUEUE + tail + 8,
                                  kinds[kind].range ? pick(random, 512) << 12 | pick(random, 19)
                                                    : 0);
                shared_memory_put(&w->memory, QUEUE + tail + 16, 0);
                shared_memory_put(&w->memory, QUEUE + tail + 24, 0);
                tail = (tail + 32) % QUEUE_SIZE;
        }
        shared_memory_put(&w->memory, QUEUE + tail,
                          UINT64_C(0x35) | pick(random, UINT64_C(1) << 32) << 32);
        shared_memory_put(&w->memory, QUEUE + tail + 8, STATUS);
        shared_memory_put(&w->memory, QUEUE + tail + 16, 0);
        shared_memory_put(&w->memory, QUEUE + tail + 24, 0);
        vtd_frontend_write(w->unit, VTD_REG_IQT, 4, (tail + 32) % QUEUE_SIZE);
}

static void save_and_restore(struct world *w)
{
        size_t size;

        assert_int_equal(vtd_frontend_save(w->unit, w->saved, sizeof(w->saved), &size), 0);
        if (pick(&w->random, 2) == 0)
                assert_int_equal(vtd_frontend_restore(w->unit, w->saved, size), 0);
}

static void settle(struct world *w)
{
        int r;

        do
                r = vtd_frontend_run(w->unit, (unsigned)pick(&w->random, 16));
        while (r == VTD_FRONTEND_PENDING);
        assert_int_equal(r, VTD_FRONTEND_IDLE);
}

/* What is not settled is left to the next step. */
static void step(struct world *w)
{
        switch (pick(&w->random, 24)) {
        case 0:
                vtd_frontend_reset(w->unit);
                break;
        case 1:
                save_and_restore(w);
                break;
        case 2:
                rewrite_tables(w);
                break;
        case 3:
                settle(w);
                break;
        default:
                if (pick(&w->random, 2) == 0)
                        write_registers(w);
                else
                        queue_descriptors(w);
        }
        (void)vtd_frontend_run(w->unit, (unsigned)pick(&w->random, 16));
        (void)sched_yield();
}

static bool is_everything_seen(struct world *w)
{
        return atomic_load(&w->allowed) > 0 && atomic_load(&w->faulted) > 0 &&
               atomic_load(&w->remapped) > 0 && atomic_load(&w->told) > 0 &&
               atomic_load(&w->changed) > 0;
}

/* True while @steps, of which the first was made at @begin, are not enough. */
static bool is_to_go_on(struct world *w, unsigned long steps, time_t begin)
{
        const char *text = getenv("THREADS_SECONDS");
        time_t seconds = text ? (time_t)strtoul(text, NULL, 0) : SECONDS;
        time_t passed = time(NULL) - begin;

        if (atomic_load(&w->failures) > 0)
                return false;
        if (!is_everything_seen(w))
                return passed < SECONDS_MAX;
        return passed < seconds && (text || steps < STEPS);
}

static void start(struct world *w)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_NESTED;
        const struct vtd_frontend_callbacks callbacks = {.read_memory = shared_memory_read,
                                                         .write_memory = shared_memory_write,
                                                         .compare_exchange =
                                                                 shared_memory_compare_exchange,
                                                         .send_message = send_message};

        config.supervisor_requests = true;
        config.interrupt_remapping = true;
        config.extended_interrupt_mode = true;
        config.fault_records = RECORDS;
        config.host_address_bits = 40;
        w->random = 0x5eed;
        rewrite_tables(w);
        assert_int_equal(vtd_frontend_new(&w->unit, &config, &callbacks, w), 0);
        vtd_frontend_watch_interrupts(w->unit, interrupts_changed, w);
}

static void test_whatever_is_done_at_the_same_time(void **state)
{
        static void *(*const roles[])(void *) = {use_memory, use_memory, watch, watch, interrupt};
        time_t begin = time(NULL);
        struct world *w = aligned_alloc(_Alignof(struct world), sizeof(*w));
        struct actor actors[VTD_ARRAY_SIZE(roles)];
        unsigned long steps = 0;

        (void)state;
        assert_non_null(w);
        memset(w, 0, sizeof(*w));
        start(w);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(roles); i++) {
                actors[i] = (struct actor){.world = w, .random = i + 1};
                assert_int_equal(pthread_create(&actors[i].thread, NULL, roles[i], &actors[i]), 0);
        }
        for (; is_to_go_on(w, steps, begin); steps++)
                step(w);
        atomic_store(&w->stop, true);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(roles); i++)
                assert_int_equal(pthread_join(actors[i].thread, NULL), 0);
        settle(w);
        print_message(
                "# %lu steps: %lu requests allowed, %lu not; %lu interrupts; %lu watches, told "
                "%lu times; interrupts changed %lu times\n",
                steps, atomic_load(&w->allowed), atomic_load(&w->faulted),
                atomic_load(&w->remapped), atomic_load(&w->watched), atomic_load(&w->told),
                atomic_load(&w->changed));
        assert_int_equal(atomic_load(&w->failures), 0);
        assert_true(is_everything_seen(w));
        w->unit = vtd_frontend_free(w->unit);
        free(w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whatever_is_done_at_the_same_time)};

        return cmocka_run_group_tests_name("frontend-threads-anything", tests, NULL, NULL);
}
