/* SPDX-License-Identifier: MIT */
/*
 * A guest that does anything: random register accesses, tables and descriptors, some of them nearly
 * right, with a broker that delays and refuses.  Must hold: nothing aborts, a run reads no more than
 * its budget, no two requests overlap (the fake broker aborts), no request is one that a driver's
 * frontend must never send, every state of the unit can be saved and is what another unit takes for
 * one, and a guest that starts over finds a working unit.
 *
 * The seed is fixed; HAMMER_SEED and HAMMER_STEPS replace it and the number of steps.
 */
#include "tests/unit/frontend-fixture.h"

#include <stdlib.h>
#include <string.h>

#include "shared/checked.h"
#include "vtd/state.h"

#define STEPS 200000ul

struct hammer {
        struct guest *guest;
        uint64_t state;
        struct vtd_frontend *second; /* of the same configuration */
        uint8_t saved[256];          /* the last state that was saved */
        size_t saved_size;
        unsigned long saves;
};

/* xorshift64: the same on every machine. */
static uint64_t random64(struct hammer *hammer)
{
        hammer->state ^= hammer->state << 13;
        hammer->state ^= hammer->state >> 7;
        hammer->state ^= hammer->state << 17;
        return hammer->state;
}

static unsigned pick(struct hammer *hammer, unsigned n)
{
        return (unsigned)(random64(hammer) >> 33) % n;
}

static unsigned random_rid(struct hammer *hammer)
{
        return pick(hammer, 6) * 0x18;
}

static void random_register(struct hammer *hammer)
{
        static const unsigned offsets[] = {
                VTD_REG_GCMD,      VTD_REG_RTADDR, VTD_REG_IQA,   VTD_REG_IQT, VTD_REG_FSTS,
                VTD_REG_FRCD + 12, VTD_REG_FECTL,  VTD_REG_IECTL, VTD_REG_ICS, VTD_REG_IQT,
        };
        struct guest *guest = hammer->guest;
        unsigned size = pick(hammer, 2) ? 4 : 8;
        uint64_t value = random64(hammer);
        uint64_t offset;

        if (pick(hammer, 4)) {
                offset = offsets[pick(hammer, VTD_ARRAY_SIZE(offsets))] & ~(uint64_t)(size - 1);
        } else {
                offset = random64(hammer) >> pick(hammer, 64);
                size = pick(hammer, 17);
        }
        vtd_frontend_write(guest->unit, offset, size, value);
        (void)vtd_frontend_read(guest->unit, offset, size);
}

/* Every request is one that the seam allows. */
static void check_requests(struct hammer *hammer)
{
        struct fake_backend *broker = hammer->guest->broker;

        assert_true(broker->count <= FAKE_REQUESTS);
        for (size_t i = 0; i < broker->count; i++) {
                const struct vtd_request *request = &broker->requests[i];

                if (request->type == VTD_REQUEST_ATTACH) {
                        assert_in_range(request->attach.mode, 1, 3);
                        assert_in_range(request->attach.pasid, 0, VTD_PASID_MAX);
                        assert_int_equal(request->attach.root & 0xfff, 0);
                        assert_int_equal(request->attach.flags, 0);
                } else if (request->type == VTD_REQUEST_INVALIDATE) {
                        assert_int_not_equal(request->invalidate.table, 0);
                        assert_in_range(request->invalidate.count, 1, VTD_LIMIT_INVALIDATE_ENTRIES);
                        for (size_t j = 0; j < request->invalidate.count; j++) {
                                const struct vtd_invalidate_entry *entry =
                                        &request->invalidate.entries[j];

                                if (entry->pages == VTD_INVALIDATE_ALL) {
                                        assert_int_equal(entry->address, 0);
                                        assert_false(entry->leaf);
                                        continue;
                                }
                                assert_true(entry->pages > 0 && entry->pages <= UINT64_C(1) << 36);
                                assert_true(entry->address + entry->pages * 4096 <= UINT64_C(1)
                                                                                            << 48);
                        }
                }
        }
        fake_backend_forget(broker);
}

/* What a driver does, so that the random parts happen to a unit that works. */
static void start_over(struct hammer *hammer)
{
        struct guest *guest = hammer->guest;

        write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
        command(guest, 0, VTD_GCMD_QIE);
        for (unsigned i = 0; i < BUDGET / 32; i++) {
                (void)vtd_frontend_run(guest->unit, 32);
                check_requests(hammer);
        }
        write64(guest, VTD_REG_RTADDR, ROOT_TABLE | 0x400);
        write64(guest, VTD_REG_IQA, QUEUE | 0x800);
        write32(guest, VTD_REG_IQT, 0);
        guest->tail = 0;
        command(guest, VTD_GCMD_SRTP, 0);
        command(guest, VTD_GCMD_QIE | VTD_GCMD_TE, 0);
}

/* Some PASIDs, now and then with many directory entries aimed at one table. */
static void random_pasids(struct hammer *hammer, unsigned rid)
{
        struct guest *guest = hammer->guest;
        unsigned tables = pick(hammer, 8) ? 1 + pick(hammer, 2) : 128;

        put_pasid_context(guest, rid, 0, directory_of(rid));
        memset(guest->memory + pasid_entry_of(rid, 64), 0, 0x1000);
        for (unsigned i = 1; i < tables; i++)
                guest_put64(guest, directory_of(rid) + i * 8, pasid_entry_of(rid, 64) | 1);
        for (unsigned i = pick(hammer, 6); i > 0; i--)
                put_pasid(guest, rid, 1 + pick(hammer, 0x7f), pick(hammer, 6), pick(hammer, 4),
                          TABLE_A + pick(hammer, 4) * 0x1000);
}

static void random_entry(struct hammer *hammer)
{
        struct guest *guest = hammer->guest;
        unsigned rid = random_rid(hammer);

        /* What was random before is gone: otherwise nothing is well-formed after a while. */
        memset(guest->memory + CONTEXT_LOWER + rid * 32, 0, 32);
        memset(guest->memory + directory_of(rid), 0, 0x400);
        memset(guest->memory + entry_of(rid, 0), 0, 64);
        put_context(guest, rid, pick(hammer, 8) ? 0 : pick(hammer, 0x4000));
        put_entry(guest, rid, pick(hammer, 6), pick(hammer, 4), TABLE_A + pick(hammer, 4) * 0x1000);
        if (pick(hammer, 2))
                random_pasids(hammer, rid);
        if (pick(hammer, 4) == 0) {
                uint64_t address = entry_of(rid, 0) + pick(hammer, 8) * 8;

                guest_put64(guest, address,
                            guest_get64(guest, address) ^ UINT64_C(1) << pick(hammer, 64));
        }
}

static void random_descriptor(struct hammer *hammer)
{
        struct guest *guest = hammer->guest;
        uint64_t did = pick(hammer, 4);
        uint64_t where = (random64(hammer) & 0xfffffff07f) >> pick(hammer, 30);
        const uint64_t descriptors[][2] = {
                {CC_GLOBAL},
                {CC_DEVICE(random_rid(hammer), pick(hammer, 4))},
                {PC_GLOBAL},
                {PC_DOMAIN(did)},
                {PC_PASID(did, 0)},
                {PC_PASID(did, pick(hammer, 0x80))},
                {IOTLB_GLOBAL},
                {IOTLB_DOMAIN(did)},
                {IOTLB_PAGE(did, where & ~UINT64_C(0xfbf))},
                {PIOTLB_ALL(did, 0)},
                {PIOTLB_ALL(did, pick(hammer, 0x80))},
                {PIOTLB_PAGE(did, 0, where & ~UINT64_C(0xf80))},
                {WAIT_STATUS(1)},
                {UINT64_C(0x35), STATUS},
                {random64(hammer), random64(hammer)},
        };
        const uint64_t *descriptor = descriptors[pick(hammer, VTD_ARRAY_SIZE(descriptors))];
        uint64_t flip = pick(hammer, 8) ? 0 : UINT64_C(1) << pick(hammer, 64);

        queue_descriptor(guest, descriptor[0] ^ flip, descriptor[1]);
        if (pick(hammer, 2))
                kick(guest);
}

static void random_memory(struct hammer *hammer)
{
        struct guest *guest = hammer->guest;
        static const uint64_t areas[] = {ROOT_TABLE, CONTEXT_LOWER, CONTEXT_UPPER,
                                         QUEUE,      0x100000,      0x200000};
        uint64_t address =
                areas[pick(hammer, VTD_ARRAY_SIZE(areas))] + pick(hammer, 0x2000 / 8) * 8;

        guest_put64(guest, address, random64(hammer) >> pick(hammer, 64));
}

static void random_world(struct hammer *hammer)
{
        struct guest *guest = hammer->guest;
        uint16_t rid = (uint16_t)random_rid(hammer);
        unsigned what = pick(hammer, 40);

        if (what < 4) {
                (void)vtd_frontend_plug(guest->unit, "nic0", rid);
        } else if (what < 6) {
                (void)vtd_frontend_unplug(guest->unit, rid);
        } else if (what == 6) {
                vtd_frontend_reset(guest->unit);
        } else if (what == 7) {
                assert_int_equal(
                        vtd_frontend_restore(guest->unit, hammer->saved, hammer->saved_size), 0);
        } else if (what < 16) {
                guest->broker->refused =
                        pick(hammer, 2) ? VTD_REQUEST_ATTACH : VTD_REQUEST_INVALIDATE;
                guest->broker->reason = 1 + pick(hammer, VTD_REASON_END - 1);
        } else {
                guest->broker->hold = what < 26;
        }
}

static void bounded_run(struct hammer *hammer)
{
        struct guest *guest = hammer->guest;
        unsigned budget = pick(hammer, pick(hammer, 4) ? 30 : FAKE_REQUESTS);
        uint64_t reads = guest->reads;
        int outcome = vtd_frontend_run(guest->unit, budget);

        assert_true(guest->reads - reads <= budget);
        assert_true(vtd_bindings_count_pasids(&guest->unit->engine.bindings) <= PASIDS);
        assert_in_range(outcome, VTD_FRONTEND_IDLE, VTD_FRONTEND_WAITING);
        if (outcome == VTD_FRONTEND_WAITING)
                assert_true(guest->broker->hold);
}

static void check_state(struct hammer *hammer)
{
        uint8_t again[sizeof(hammer->saved)];
        size_t size;
        int r = vtd_frontend_save(hammer->guest->unit, hammer->saved, sizeof(hammer->saved),
                                  &hammer->saved_size);

        if (r == VTD_FRONTEND_BUSY)
                return;
        assert_int_equal(r, 0);
        assert_int_equal(vtd_frontend_restore(hammer->second, hammer->saved, hammer->saved_size),
                         0);
        assert_int_equal(vtd_frontend_save(hammer->second, again, sizeof(again), &size), 0);
        assert_int_equal(size, hammer->saved_size);
        assert_memory_equal(again, hammer->saved, size);
        hammer->saves++;
}

static void step(struct hammer *hammer)
{
        unsigned what = pick(hammer, 100);

        if (what < 10)
                random_register(hammer);
        else if (what < 12)
                start_over(hammer);
        else if (what < 30)
                random_entry(hammer);
        else if (what < 55)
                random_descriptor(hammer);
        else if (what < 60)
                random_memory(hammer);
        else if (what < 68)
                random_world(hammer);
        else
                bounded_run(hammer);
        check_requests(hammer);
        check_state(hammer);
}

/* Whatever has happened: after a system reset a driver gets what it asks for. */
static void assert_unit_works(struct guest *guest)
{
        guest->broker->hold = false;
        guest->broker->refused = 0;
        vtd_frontend_reset(guest->unit);
        run_until(guest, VTD_FRONTEND_IDLE);
        for (unsigned i = 0; i < 6; i++)
                (void)vtd_frontend_unplug(guest->unit, (uint16_t)(i * 0x18));
        memset(guest->memory, 0, sizeof(guest->memory));
        guest->command = 0;
        guest->tail = 0;
        plug(guest, RID_A);
        put_entry(guest, RID_A, 1, 5, TABLE_A);
        enable_translation(guest);
        assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
        queue_descriptor(guest, PIOTLB_ALL(5, 0));
        queue_descriptor(guest, WAIT_STATUS(77));
        kick(guest);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(guest_get32(guest, STATUS), 77);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

static unsigned long from_environment(const char *name, unsigned long otherwise)
{
        const char *text = getenv(name);

        return text ? strtoul(text, NULL, 0) : otherwise;
}

static void test_nothing_a_guest_does_breaks_the_unit(void **state)
{
        struct hammer hammer = {.guest = *state};
        unsigned long steps = from_environment("HAMMER_STEPS", STEPS);
        struct vtd_frontend_stats stats;

        configure_pasids(hammer.guest, PASIDS);
        assert_int_equal(vtd_frontend_new(&hammer.second, &hammer.guest->unit->config,
                                          &hammer.guest->unit->engine.guest.callbacks,
                                          hammer.guest),
                         0);
        check_state(&hammer);
        hammer.state = from_environment("HAMMER_SEED", 0x5eed) | 1;
        start_over(&hammer);
        for (unsigned long i = 0; i < steps; i++)
                step(&hammer);
        vtd_frontend_get_stats(hammer.guest->unit, &stats);
        /* The hammer must reach what it is to hit. */
        assert_true(stats.descriptors > steps / 50);
        assert_true(stats.attaches > steps / 500);
        assert_true(stats.invalidates > steps / 1000);
        assert_true(stats.faults > steps / 1000);
        assert_true(hammer.saves > steps / 10);
        assert_int_equal(hammer.guest->lost, 0);
        assert_unit_works(hammer.guest);
        hammer.second = vtd_frontend_free(hammer.second);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_nothing_a_guest_does_breaks_the_unit,
                                                guest_setup, guest_teardown),
        };

        return cmocka_run_group_tests_name("frontend-hammer", tests, NULL, NULL);
}
