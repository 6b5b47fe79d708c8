/* SPDX-License-Identifier: MIT */
/*
 * The caches of emulated devices: what each descriptor drops of them, and that it drops nothing else,
 * seen by which requests still go the old way; and the cache itself, where its threads meet.
 */
#include "tests/unit/dma-fixture.h"

#include <string.h>

#include "frontend/dma/cache.h"
#include "frontend/dma/pasid-cache.h"
#include "vtd/state.h"

#define RID_C 0x0010u

#define X     UINT64_C(0x4000000000) /* aligned to more than any page */
#define HIGH  UINT64_C(0xffff800000000000)
#define OLD   UINT64_C(0x1000000000) /* targets: a GiB for each probe; */
#define NEWER UINT64_C(0x3000000000) /* the second stage maps both to themselves */

#define AM(address, mask) ((address) | (mask))

/* Of those with the same tag only the first one has tables, which `root` of the others names. */
static const struct probe {
        char name;
        char root; /* the probe in whose tables it is */
        unsigned rid;
        uint32_t pasid;
        unsigned entry; /* the PASID-table entry that it goes by */
        unsigned pgtt, did, level;
        uint64_t address;
} probes[] = {
        {'a', 'a', RID_A, NO_PASID, 0, VTD_PGTT_FIRST_STAGE, 1, PAGE_4K, X},
        {'b', 'a', RID_A, NO_PASID, 0, VTD_PGTT_FIRST_STAGE, 1, PAGE_4K, X + 0x1000},
        {'c', 'a', RID_A, NO_PASID, 0, VTD_PGTT_FIRST_STAGE, 1, PAGE_2M, X + 0x200000},
        {'d', 'a', RID_A, NO_PASID, 0, VTD_PGTT_FIRST_STAGE, 1, PAGE_1G, X + 0x40000000},
        {'e', 'e', RID_A, 5, 5, VTD_PGTT_FIRST_STAGE, 1, PAGE_4K, X},
        {'f', 'f', RID_C, NO_PASID, 7, VTD_PGTT_FIRST_STAGE, 1, PAGE_4K, X},
        {'g', 'a', RID_C, 0, 0, VTD_PGTT_FIRST_STAGE, 1, PAGE_4K, X},
        {'h', 'h', RID_B, NO_PASID, 0, VTD_PGTT_SECOND_STAGE, 2, PAGE_4K, X},
        {'i', 'h', RID_B, NO_PASID, 0, VTD_PGTT_SECOND_STAGE, 2, PAGE_2M, X + 0x200000},
        {'j', 'h', RID_B, NO_PASID, 0, VTD_PGTT_SECOND_STAGE, 2, PAGE_1G, X + 0x40000000},
        {'k', 'h', RID_B, NO_PASID, 0, VTD_PGTT_SECOND_STAGE, 2, PAGE_4K, X + 0x1000},
        {'l', 'h', RID_B, 5, 5, VTD_PGTT_SECOND_STAGE, 2, PAGE_4K, X},
        {'m', 'm', RID_B, 6, 6, VTD_PGTT_NESTED, 3, PAGE_4K, X},
        {'n', 'm', RID_B, 6, 6, VTD_PGTT_NESTED, 3, PAGE_2M, X + 0x200000},
        {'o', 'o', RID_B, 9, 9, VTD_PGTT_SECOND_STAGE, 1, PAGE_4K, X},
        {'p', 'p', RID_A, 6, 6, VTD_PGTT_FIRST_STAGE, 4, PAGE_4K, X},
        {'q', 'p', RID_A, 6, 6, VTD_PGTT_FIRST_STAGE, 4, PAGE_4K, HIGH},
};

#define PROBES VTD_ARRAY_SIZE(probes)

struct tables {
        uint64_t roots[PROBES];
        uint64_t leaves[PROBES];
};

static size_t index_of(char name)
{
        return (size_t)(name - 'a');
}

/* Where @probe is to end up: in the GiB of the one that has the tables for that address. */
static uint64_t target_of(const struct probe *probe, uint64_t base)
{
        size_t owner = 0;

        while (probes[owner].root != probe->root || probes[owner].address != probe->address)
                owner++;
        return base + owner * 0x40000000;
}

static void aim(struct dma *dma, struct tables *tables, uint64_t base)
{
        for (size_t i = 0; i < PROBES; i++) {
                const struct probe *probe = &probes[i];
                uint64_t root = tables->roots[index_of(probe->root)];
                uint64_t target = target_of(probe, base);

                if (probe->pgtt == VTD_PGTT_SECOND_STAGE)
                        put_second_stage(dma, root, probe->address, probe->level, target);
                else
                        put_first_stage(dma, root, probe->address, probe->level, target);
        }
}

static void build(struct dma *dma, struct tables *tables)
{
        put_device(dma, RID_A, 0);
        put_device(dma, RID_B, 0);
        put_device(dma, RID_C, 7);
        for (size_t i = 0; i < PROBES; i++) {
                const struct probe *probe = &probes[i];
                bool second = probe->pgtt == VTD_PGTT_SECOND_STAGE;
                uint64_t root;

                tables->roots[i] = probe->root == probe->name
                                           ? new_table(dma)
                                           : tables->roots[index_of(probe->root)];
                root = tables->roots[i];
                put_translation(dma, probe->rid, probe->entry, probe->pgtt, probe->did,
                                second ? 0 : root, second ? root : dma->second_stage_same);
        }
}

static void expect(struct dma *dma, const char *renewed, const char *where_from)
{
        for (size_t i = 0; i < PROBES; i++) {
                const struct probe *probe = &probes[i];
                bool new = strchr(renewed, probe->name) != NULL;
                uint64_t at = where(dma, probe->rid, probe->pasid, probe->address + 8);

                if (at != target_of(probe, new ? NEWER : OLD) + 8)
                        fail_msg("%s: probe %c at %#llx, which is not %s", where_from, probe->name,
                                 (unsigned long long)at, new ? "renewed" : "as before");
        }
}

#define EVERY "abcdefghijklmnopq"

static const struct {
        const char *name;
        uint64_t first, second;
        const char *gone;
} translations_cases[] = {
        {"global", IOTLB_GLOBAL, EVERY},
        {"domain 1", IOTLB_DOMAIN(1), "abcdefgo"},
        {"domain 2", IOTLB_DOMAIN(2), "hijkl"},
        {"domain 3", IOTLB_DOMAIN(3), "mn"},
        {"domain 4", IOTLB_DOMAIN(4), "pq"},
        {"domain 9", IOTLB_DOMAIN(9), ""},
        {"page of 1", IOTLB_PAGE(1, X), "abcdefgo"},
        {"next page of 1", IOTLB_PAGE(1, X + 0x1000), "abcdefg"},
        {"page of 2", IOTLB_PAGE(2, X), "hl"},
        {"page of 2, leaf", IOTLB_PAGE(2, X | LEAF), "hl"},
        {"next page of 2", IOTLB_PAGE(2, X + 0x1000), "k"},
        {"no page of 2", IOTLB_PAGE(2, X + 0x2000), ""},
        {"pages of 2", IOTLB_PAGE(2, AM(X, 1)), "hkl"},
        {"pages of 2 by the second", IOTLB_PAGE(2, AM(X + 0x1000, 1)), "hkl"},
        {"inside 2 MiB of 2", IOTLB_PAGE(2, X + 0x301000), "i"},
        {"inside 1 GiB of 2", IOTLB_PAGE(2, X + 0x7ffff000), "j"},
        {"2 MiB of 2", IOTLB_PAGE(2, AM(X, 9)), "hkl"},
        {"4 MiB of 2", IOTLB_PAGE(2, AM(X, 10)), "hikl"},
        {"1 GiB of 2", IOTLB_PAGE(2, AM(X, 18)), "hikl"},
        {"next GiB of 2", IOTLB_PAGE(2, AM(X + 0x40000000, 18)), "j"},
        {"page of 3", IOTLB_PAGE(3, X + 0x123456000), "mn"},
        {"PASID 0 of 1", PIOTLB_ALL(1, 0), "abcdgo"},
        {"PASID 5 of 1", PIOTLB_ALL(1, 5), "eo"},
        {"PASID 7 of 1", PIOTLB_ALL(1, 7), "fo"},
        {"PASID 9 of 1", PIOTLB_ALL(1, 9), "o"},
        {"PASID 0 of 2", PIOTLB_ALL(2, 0), "hijkl"},
        {"PASID 5 of 2", PIOTLB_ALL(2, 5), "hijkl"},
        {"PASID 6 of 3", PIOTLB_ALL(3, 6), "mn"},
        {"PASID 6 of 4", PIOTLB_ALL(4, 6), "pq"},
        {"page of PASID 0", PIOTLB_PAGE(1, 0, X), "ag"},
        {"page of PASID 0, leaf", PIOTLB_PAGE(1, 0, X | LEAF), "ag"},
        {"next page of PASID 0", PIOTLB_PAGE(1, 0, X + 0x1000), "b"},
        {"pages of PASID 0", PIOTLB_PAGE(1, 0, AM(X, 1)), "abg"},
        {"inside 2 MiB of PASID 0", PIOTLB_PAGE(1, 0, X + 0x205000), "c"},
        {"inside 1 GiB of PASID 0", PIOTLB_PAGE(1, 0, X + 0x40001000), "d"},
        {"2 MiB of PASID 0", PIOTLB_PAGE(1, 0, AM(X, 9)), "abg"},
        {"4 MiB of PASID 0", PIOTLB_PAGE(1, 0, AM(X + 0x399000, 10)), "abcg"},
        {"1 GiB of PASID 0", PIOTLB_PAGE(1, 0, AM(X, 18)), "abcg"},
        {"2 GiB of PASID 0", PIOTLB_PAGE(1, 0, AM(X, 19)), "abcdg"},
        {"half of PASID 0", PIOTLB_PAGE(1, 0, AM(X, 51)), "abcdg"},
        {"other half of PASID 0", PIOTLB_PAGE(1, 0, AM(HIGH, 51)), ""},
        {"all of PASID 0", PIOTLB_PAGE(1, 0, AM(HIGH, 52)), "abcdg"},
        {"more than all of PASID 0", PIOTLB_PAGE(1, 0, AM(HIGH, 53)), "abcdg"},
        {"the most of PASID 0", PIOTLB_PAGE(1, 0, AM(X, 63)), "abcdg"},
        {"page of PASID 6 of 4", PIOTLB_PAGE(4, 6, HIGH), "q"},
        {"upper half of PASID 6 of 4", PIOTLB_PAGE(4, 6, AM(HIGH, 51)), "q"},
        {"the most of PASID 6 of 4", PIOTLB_PAGE(4, 6, AM(X, 63)), "pq"},
        {"page of PASID 6 of 3", PIOTLB_PAGE(3, 6, X), "m"},
        {"inside 2 MiB of PASID 6 of 3", PIOTLB_PAGE(3, 6, X + 0x3ff000), "n"},
        {"page of PASID 9 of 1", PIOTLB_PAGE(1, 9, X), ""},
        {"page of PASID 0 of 2", PIOTLB_PAGE(2, 0, X), ""},
        {"context cache", CC_GLOBAL, ""},
        {"PASID cache", PC_GLOBAL, ""},
};

static void test_descriptors_drop_exactly_the_translations_that_they_name(void **state)
{
        struct dma *dma = *state;
        struct tables tables;

        build(dma, &tables);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(translations_cases); i++) {
                aim(dma, &tables, OLD);
                invalidate_and_wait(dma, IOTLB_GLOBAL);
                expect(dma, "", "warming up");
                aim(dma, &tables, NEWER);
                expect(dma, "", "without invalidation");
                invalidate_and_wait(dma, translations_cases[i].first, translations_cases[i].second);
                expect(dma, translations_cases[i].gone, translations_cases[i].name);
        }
}

/* Requests of the same PASID-table entry, and of different ones in one domain. */
static const struct key {
        char name;
        unsigned rid;
        uint32_t pasid;
        unsigned entry, did;
} keys[] = {
        {'a', 0x08, NO_PASID, 0, 1},  {'b', 0x08, 0, 0, 1},         {'c', 0x08, 5, 5, 2},
        {'d', 0x09, 5, 5, 2},         {'e', 0x0a, NO_PASID, 0, 1},  {'f', 0x0c, NO_PASID, 0, 1},
        {'g', 0x0e, NO_PASID, 0, 1},  {'h', RID_C, NO_PASID, 7, 2}, {'i', RID_C, 5, 5, 1},
        {'j', RID_B, NO_PASID, 0, 3},
};

#define KEYS "abcdefghij"

/* Pass-through, which no IOTLB keeps, becomes a first stage under a domain id of its own. */
static void put_keys(struct dma *dma, bool newer, uint64_t root)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(keys); i++) {
                put_device(dma, keys[i].rid, keys[i].rid == RID_C ? 7 : 0);
                put_translation(dma, keys[i].rid, keys[i].entry,
                                newer ? VTD_PGTT_FIRST_STAGE : VTD_PGTT_PASSTHROUGH,
                                keys[i].did + (newer ? 0x100 : 0), newer ? root : 0, 0);
        }
}

static void expect_keys(struct dma *dma, const char *renewed, const char *where_from)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(keys); i++) {
                bool new = strchr(renewed, keys[i].name) != NULL;

                if (where(dma, keys[i].rid, keys[i].pasid, X) != (new ? NEWER : X))
                        fail_msg("%s: %c is not %s", where_from, keys[i].name,
                                 new ? "renewed" : "as before");
        }
}

static const struct {
        const char *name;
        uint64_t first, second;
        const char *gone;
} entries_cases[] = {
        {"context cache", CC_GLOBAL, KEYS},
        {"context cache by domain", UINT64_C(0x90021), 0, KEYS},
        {"device 08", CC_DEVICE(0x08, 0), "abc"},
        {"device 09", CC_DEVICE(0x09, 0), "d"},
        {"device 08, mask 1", CC_DEVICE(0x08, 1), "abcf"},
        {"device 08, mask 2", CC_DEVICE(0x08, 2), "abcefg"},
        {"device 0e, mask 2", CC_DEVICE(0x0e, 2), "abcefg"},
        {"device 08, mask 3", CC_DEVICE(0x08, 3), "abcdefg"},
        {"device 0f, mask 1", CC_DEVICE(0x0f, 1), ""},
        {"device 18, mask 3", CC_DEVICE(0x18, 3), ""},
        {"device 90", CC_DEVICE(RID_B, 0), "j"},
        {"PASID cache", PC_GLOBAL, KEYS},
        {"domain 1", PC_DOMAIN(1), "abefgi"},
        {"domain 2", PC_DOMAIN(2), "cdh"},
        {"domain 3", PC_DOMAIN(3), "j"},
        {"domain 101", PC_DOMAIN(0x101), ""},
        {"PASID 0 of 1", PC_PASID(1, 0), "abefg"},
        {"PASID 5 of 1", PC_PASID(1, 5), "i"},
        {"PASID 7 of 1", PC_PASID(1, 7), ""},
        {"PASID 5 of 2", PC_PASID(2, 5), "cd"},
        {"PASID 7 of 2", PC_PASID(2, 7), "h"},
        {"PASID 0 of 2", PC_PASID(2, 0), ""},
        {"IOTLB", IOTLB_GLOBAL, ""},
        {"IOTLB by domain", IOTLB_DOMAIN(1), ""},
        {"IOTLB by PASID", PIOTLB_ALL(1, 0), ""},
};

static void test_descriptors_drop_exactly_the_entries_that_they_name(void **state)
{
        struct dma *dma = *state;
        uint64_t root = new_table(dma);

        put_first_stage(dma, root, X, PAGE_4K, NEWER);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(entries_cases); i++) {
                put_keys(dma, false, root);
                invalidate_and_wait(dma, PC_GLOBAL);
                expect_keys(dma, "", "warming up");
                put_keys(dma, true, root);
                expect_keys(dma, "", "without invalidation");
                invalidate_and_wait(dma, entries_cases[i].first, entries_cases[i].second);
                expect_keys(dma, entries_cases[i].gone, entries_cases[i].name);
        }
}

static void set_root(struct dma *dma)
{
        command(dma->guest, VTD_GCMD_SRTP, 0);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
}

static void switch_off_and_on(struct dma *dma)
{
        command(dma->guest, 0, VTD_GCMD_TE);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
        command(dma->guest, VTD_GCMD_TE, 0);
        run_until(dma->guest, VTD_FRONTEND_IDLE);
}

static void reset(struct dma *dma)
{
        vtd_frontend_reset(dma->guest->unit);
        dma->guest->command = 0;
        dma->guest->tail = 0;
        enable_translation(dma->guest);
}

/* Nothing of it needs a run. */
static void save_and_restore(struct dma *dma)
{
        uint8_t bytes[512];
        size_t size;

        assert_int_equal(vtd_frontend_save(dma->guest->unit, bytes, sizeof(bytes), &size), 0);
        assert_int_equal(vtd_frontend_restore(dma->guest->unit, bytes, size), 0);
}

static void test_commands_reset_and_restore_drop_everything(void **state)
{
        static void (*const causes[])(struct dma * dma) = {set_root, switch_off_and_on, reset,
                                                           save_and_restore};
        struct dma *dma = *state;
        uint64_t root = new_table(dma);
        struct tables tables;

        put_first_stage(dma, root, X, PAGE_4K, NEWER);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(causes); i++) {
                put_keys(dma, false, root);
                invalidate_and_wait(dma, PC_GLOBAL);
                expect_keys(dma, "", "warming up");
                put_keys(dma, true, root);
                expect_keys(dma, "", "without invalidation");
                causes[i](dma);
                expect_keys(dma, KEYS, "after the command");
        }
        build(dma, &tables);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(causes); i++) {
                aim(dma, &tables, OLD);
                invalidate_and_wait(dma, PC_GLOBAL);
                invalidate_and_wait(dma, IOTLB_GLOBAL);
                expect(dma, "", "warming up");
                aim(dma, &tables, NEWER);
                expect(dma, "", "without invalidation");
                causes[i](dma);
                expect(dma, EVERY, "after the command");
        }
}

/* What an entry or a page that is not there says is asked again each time, as is what it denies. */
static void test_nothing_but_translations_is_kept(void **state)
{
        struct dma *dma = *state;
        uint64_t root = new_table(dma), entry = pasid_entry_of(RID_A, 0), leaf;
        uint64_t context = CONTEXT_LOWER + RID_A * 32;
        struct vtd_frontend_dma_request write = {
                .rid = RID_A, .access = WRITE, .address = X, .size = 4};

        assert_int_equal(where(dma, RID_A, NO_PASID, X), FAULTED);
        put_device(dma, RID_A, 0);
        guest_put64(dma->guest, directory_of(RID_A), 0);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), FAULTED);
        put_device(dma, RID_A, 0);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), FAULTED);
        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 1, root, 0);
        guest_put64(dma->guest, entry, guest_get64(dma->guest, entry) | 0x20); /* reserved */
        assert_int_equal(where(dma, RID_A, NO_PASID, X), FAULTED);
        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 1, root, 0);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), FAULTED);
        leaf = put_first_stage(dma, root, X, PAGE_4K, OLD);
        guest_put64(dma->guest, leaf, OLD | 0x5);
        assert_int_equal(translate(dma, &write), VTD_FRONTEND_FAULTED);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
        assert_int_equal(dma->translation.access, READ);
        assert_int_equal(translate(dma, &write), VTD_FRONTEND_FAULTED);
        guest_put64(dma->guest, leaf, NEWER | 0x7);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
        assert_int_equal(translate(dma, &write), 0);
        assert_int_equal(dma->translation.translated, NEWER);
        assert_int_equal(dma->translation.access, ATOMIC);
        assert_int_equal(guest_get64(dma->guest, leaf), NEWER | 0x67);
        /* That walk renewed what was kept. */
        assert_int_equal(where(dma, RID_A, NO_PASID, X), NEWER);
        guest_put64(dma->guest, context, 0);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), NEWER);
}

/* A hit reads no memory; as many pages as there is room for, and more, are all translated rightly. */
static void test_hits_read_no_memory_and_the_cache_is_bounded(void **state)
{
        struct dma *dma = *state;
        uint64_t root = new_table(dma), reads, table;

        put_device(dma, RID_A, 0);
        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 1, root, 0);
        put_first_stage(dma, root, X, PAGE_4K, OLD);
        assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
        reads = dma->guest->reads;
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(where(dma, RID_A, NO_PASID, X + i * 8), OLD + i * 8);
        assert_int_equal(dma->guest->reads, reads);
        table = new_table(dma);
        for (uint64_t i = 0; i < 512; i++)
                guest_put64(dma->guest, table + i * 8, (OLD + i * VTD_PAGE_SIZE) | 0x67);
        for (uint64_t i = 0; i < 64; i++) {
                uint64_t at = put_first_stage(dma, root, X + (i << 21), PAGE_2M, OLD);

                guest_put64(dma->guest, at, table | 0x27);
        }
        invalidate_and_wait(dma, IOTLB_GLOBAL);
        for (unsigned round = 0; round < 2; round++)
                for (uint64_t i = 0; i < UINT64_C(64) * 512; i++)
                        assert_int_equal(where(dma, RID_A, NO_PASID, X + (i << 12)),
                                         OLD + (i % 512 << 12));
        /* All of which one invalidation names. */
        reads = dma->guest->reads;
        for (uint64_t i = 0; i < 512; i++)
                guest_put64(dma->guest, table + i * 8, (NEWER + i * VTD_PAGE_SIZE) | 0x67);
        invalidate_and_wait(dma, PIOTLB_PAGE(1, 0, AM(X, 15)));
        for (uint64_t i = 0; i < UINT64_C(64) * 512; i++)
                assert_int_equal(where(dma, RID_A, NO_PASID, X + (i << 12)),
                                 NEWER + (i % 512 << 12));
}

/* Where a descriptor waits for its instant, and the entry that it is about. */
#define OVERTAKING (STATUS + 8)

/* In the instant after a table was read, the guest changes it and invalidates, in another thread. */
static void change_and_invalidate(struct guest *guest, uint64_t gpa)
{
        if (gpa != guest_get64(guest, OVERTAKING))
                return;
        guest->after_read = NULL;
        guest_put64(guest, gpa, NEWER | 0x67);
        invalidate(guest, guest_get64(guest, OVERTAKING + 8), guest_get64(guest, OVERTAKING + 16));
}

static void test_a_walk_that_an_invalidation_overtakes_is_not_kept(void **state)
{
        static const uint64_t descriptors[][2] = {{IOTLB_GLOBAL},
                                                  {IOTLB_DOMAIN(1)},
                                                  {IOTLB_PAGE(1, X)},
                                                  {PIOTLB_ALL(1, 0)},
                                                  {PIOTLB_PAGE(1, 0, X)}};
        struct dma *dma = *state;
        uint64_t root = new_table(dma), leaf;

        put_device(dma, RID_A, 0);
        put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 1, root, 0);
        leaf = put_first_stage(dma, root, X, PAGE_4K, OLD);
        guest_put64(dma->guest, OVERTAKING, leaf);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(descriptors); i++) {
                invalidate_and_wait(dma, PC_GLOBAL);
                invalidate_and_wait(dma, IOTLB_GLOBAL);
                guest_put64(dma->guest, leaf, OLD | 0x67);
                guest_put64(dma->guest, OVERTAKING + 8, descriptors[i][0]);
                guest_put64(dma->guest, OVERTAKING + 16, descriptors[i][1]);
                dma->guest->after_read = change_and_invalidate;
                assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
                assert_null(dma->guest->after_read);
                assert_int_equal(where(dma, RID_A, NO_PASID, X), NEWER);
        }
}

static void change_entry_and_invalidate(struct guest *guest, uint64_t gpa)
{
        if (gpa != pasid_entry_of(RID_A, 0))
                return;
        guest->after_read = NULL;
        put_pasid(guest, RID_A, 0, VTD_PGTT_FIRST_STAGE, 2, guest_get64(guest, OVERTAKING));
        invalidate(guest, guest_get64(guest, OVERTAKING + 8), guest_get64(guest, OVERTAKING + 16));
}

static void test_an_entry_that_an_invalidation_overtakes_is_not_kept(void **state)
{
        static const uint64_t descriptors[][2] = {
                {CC_GLOBAL}, {CC_DEVICE(RID_A, 0)}, {PC_GLOBAL}, {PC_DOMAIN(1)}, {PC_PASID(1, 0)}};
        struct dma *dma = *state;
        uint64_t old = new_table(dma), newer = new_table(dma);

        put_device(dma, RID_A, 0);
        put_first_stage(dma, old, X, PAGE_4K, OLD);
        put_first_stage(dma, newer, X, PAGE_4K, NEWER);
        guest_put64(dma->guest, OVERTAKING, newer);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(descriptors); i++) {
                put_translation(dma, RID_A, 0, VTD_PGTT_FIRST_STAGE, 1, old, 0);
                invalidate_and_wait(dma, PC_GLOBAL);
                guest_put64(dma->guest, OVERTAKING + 8, descriptors[i][0]);
                guest_put64(dma->guest, OVERTAKING + 16, descriptors[i][1]);
                dma->guest->after_read = change_entry_and_invalidate;
                assert_int_equal(where(dma, RID_A, NO_PASID, X), OLD);
                assert_null(dma->guest->after_read);
                assert_int_equal(where(dma, RID_A, NO_PASID, X), NEWER);
        }
}

/* Each member of an entry, at its largest and with all others at their smallest. */
static void test_entries_survive_being_packed(void **state)
{
        static const struct vtd_pasid_entry entries[] = {
                {.type = VTD_PGTT_FIRST_STAGE},
                {.type = VTD_PGTT_SECOND_STAGE, .second_stage_levels = 3},
                {.type = VTD_PGTT_NESTED, .second_stage_levels = 4},
                {.type = VTD_PGTT_PASSTHROUGH, .second_stage_levels = 5},
                {.type = 1, .domain_id = 0xffff},
                {.type = 1, .pasid = 0xfffff},
                {.type = 1, .fpd = true},
                {.type = 1, .supervisor = true},
                {.type = 1, .first_stage_root = UINT64_C(0xffffffffff000)},
                {.type = 1, .five_level = true},
                {.type = 1, .write_protect = true},
                {.type = 1, .extended_accessed = true},
                {.type = 1, .second_stage_root = UINT64_C(0xffffffffff000)},
                {.type = 1, .second_stage_dirty = true},
                {.type = 1, .page_walk_snoop = true},
        };

        (void)state;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(entries); i++) {
                const struct vtd_pasid_entry *entry = &entries[i];
                struct vtd_packed_entry packed;
                struct vtd_pasid_entry same;

                vtd_pack_entry(entry, &packed);
                vtd_unpack_entry(&packed, &same);
                assert_int_equal(same.type, entry->type);
                assert_int_equal(same.domain_id, entry->domain_id);
                assert_int_equal(same.pasid, entry->pasid);
                assert_int_equal(same.fpd, entry->fpd);
                assert_int_equal(same.supervisor, entry->supervisor);
                assert_int_equal(same.first_stage_root, entry->first_stage_root);
                assert_int_equal(same.five_level, entry->five_level);
                assert_int_equal(same.write_protect, entry->write_protect);
                assert_int_equal(same.extended_accessed, entry->extended_accessed);
                assert_int_equal(same.second_stage_root, entry->second_stage_root);
                assert_int_equal(same.second_stage_levels, entry->second_stage_levels);
                assert_int_equal(same.second_stage_dirty, entry->second_stage_dirty);
                assert_int_equal(same.page_walk_snoop, entry->page_walk_snoop);
        }
}

/* The cache by itself, with a single set. */
struct bare {
        struct vtd_cache cache;
        _Atomic uint64_t invalidations;
};

static void insert(struct bare *bare, uint64_t tag, uint64_t second, uint64_t value)
{
        const struct vtd_cache_entry entry = {{tag, second, value}};

        vtd_cache_insert(&bare->cache, 0, UINT64_MAX, 0, &entry, vtd_cache_now(&bare->cache));
}

/* The value of an entry, or 0. */
static uint64_t find(struct bare *bare, uint64_t tag, uint64_t second)
{
        struct vtd_cache_entry entry;

        if (!vtd_cache_find(&bare->cache, 0, tag, second, UINT64_MAX, &entry))
                return 0;
        assert_int_equal(entry.words[0], tag);
        assert_int_equal(entry.words[1], second);
        return entry.words[2];
}

static void test_a_set_holds_its_entries_and_replaces_them_in_turn(void **state)
{
        struct bare bare = {.invalidations = 0};
        const struct vtd_cache_selector one = {.mask = UINT64_MAX, .tag = 3};
        unsigned left = 0;

        (void)state;
        assert_int_equal(vtd_cache_init(&bare.cache, 1, &bare.invalidations), 0);
        for (uint64_t i = 1; i <= VTD_CACHE_WAYS; i++)
                insert(&bare, i, i * 10, i * 100);
        for (uint64_t i = 1; i <= VTD_CACHE_WAYS; i++)
                assert_int_equal(find(&bare, i, i * 10), i * 100);
        assert_int_equal(find(&bare, 1, 11), 0);
        assert_int_equal(find(&bare, 9, 10), 0);
        /* The same key again takes its own place; */
        insert(&bare, 2, 20, 222);
        assert_int_equal(find(&bare, 2, 20), 222);
        assert_int_equal(find(&bare, 1, 10), 100);
        assert_int_equal(find(&bare, 5, 50), 500);
        /* a dropped one is replaced first; */
        vtd_cache_announce(&bare.cache);
        vtd_cache_drop(&bare.cache, &one);
        assert_int_equal(find(&bare, 3, 30), 0);
        insert(&bare, 6, 60, 600);
        for (uint64_t i = 1; i <= 6; i++)
                left += find(&bare, i, i * 10) != 0;
        assert_int_equal(left, 5);
        /* then one goes for each that comes, and not always the same. */
        for (uint64_t i = 7; i < 7 + VTD_CACHE_WAYS; i++)
                insert(&bare, i, i * 10, i * 100);
        left = 0;
        for (uint64_t i = 7; i < 7 + VTD_CACHE_WAYS; i++)
                left += find(&bare, i, i * 10) != 0;
        assert_true(left >= 3);
        vtd_cache_clear(&bare.cache);
        for (uint64_t i = 1; i < 7 + VTD_CACHE_WAYS; i++)
                assert_int_equal(find(&bare, i, i * 10), 0);
        vtd_cache_deinit(&bare.cache);
}

/* A thread that is preempted while it holds a set neither stops an invalidation nor escapes it. */
static void test_a_set_that_is_taken_is_left_and_condemned(void **state)
{
        struct bare bare = {.invalidations = 0};
        const struct vtd_cache_selector other = {.mask = UINT64_MAX, .tag = 77};
        struct vtd_cache_set *set;
        uint64_t free_sequence, taken;

        (void)state;
        assert_int_equal(vtd_cache_init(&bare.cache, 1, &bare.invalidations), 0);
        insert(&bare, 1, 10, 100);
        set = &bare.cache.sets[0];
        free_sequence = atomic_load(&set->sequence);
        taken = free_sequence | VTD_CACHE_TAKEN;
        atomic_store(&set->sequence, taken);
        assert_int_equal(find(&bare, 1, 10), 0);
        insert(&bare, 2, 20, 200);
        assert_int_equal(atomic_load(&set->sequence), taken);
        assert_int_equal(atomic_load(&set->words[1][0]) | atomic_load(&set->words[2][0]), 0);
        vtd_cache_announce(&bare.cache);
        vtd_cache_drop(&bare.cache, &other);
        assert_true(atomic_load(&set->sequence) != taken);
        assert_true(atomic_load(&set->sequence) & VTD_CACHE_TAKEN);
        assert_int_equal(find(&bare, 1, 10), 0);
        vtd_cache_deinit(&bare.cache);
}

static void test_what_is_older_than_an_invalidation_is_not_inserted(void **state)
{
        struct bare bare = {.invalidations = 0};
        const struct vtd_cache_selector other = {.mask = UINT64_MAX, .tag = 77};
        const struct vtd_cache_entry entry = {{1, 10, 100}};
        uint64_t before;

        (void)state;
        assert_int_equal(vtd_cache_init(&bare.cache, 1, &bare.invalidations), 0);
        before = vtd_cache_now(&bare.cache);
        vtd_cache_announce(&bare.cache);
        vtd_cache_drop(&bare.cache, &other);
        vtd_cache_insert(&bare.cache, 0, UINT64_MAX, 0, &entry, before);
        assert_int_equal(find(&bare, 1, 10), 0);
        before = vtd_cache_now(&bare.cache);
        vtd_cache_clear(&bare.cache);
        vtd_cache_insert(&bare.cache, 0, UINT64_MAX, 0, &entry, before);
        assert_int_equal(find(&bare, 1, 10), 0);
        vtd_cache_insert(&bare.cache, 0, UINT64_MAX, 0, &entry, vtd_cache_now(&bare.cache));
        assert_int_equal(find(&bare, 1, 10), 100);
        vtd_cache_deinit(&bare.cache);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                DMA_TEST(test_descriptors_drop_exactly_the_translations_that_they_name),
                DMA_TEST(test_descriptors_drop_exactly_the_entries_that_they_name),
                DMA_TEST(test_commands_reset_and_restore_drop_everything),
                DMA_TEST(test_nothing_but_translations_is_kept),
                DMA_TEST(test_hits_read_no_memory_and_the_cache_is_bounded),
                DMA_TEST(test_a_walk_that_an_invalidation_overtakes_is_not_kept),
                DMA_TEST(test_an_entry_that_an_invalidation_overtakes_is_not_kept),
                cmocka_unit_test(test_entries_survive_being_packed),
                cmocka_unit_test(test_a_set_holds_its_entries_and_replaces_them_in_turn),
                cmocka_unit_test(test_a_set_that_is_taken_is_left_and_condemned),
                cmocka_unit_test(test_what_is_older_than_an_invalidation_is_not_inserted),
        };

        return cmocka_run_group_tests_name("frontend-cache", tests, NULL, NULL);
}
