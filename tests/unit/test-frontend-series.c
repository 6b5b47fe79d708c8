/* SPDX-License-Identifier: MIT */
/*
 * The rows of stage-1 passthrough that the frontend answers for alone, each test named by its row;
 * requests without PASID and with one alike.
 */
#include "tests/unit/frontend-fixture.h"

#include <string.h>

#include "shared/checked.h"

enum { FIRST_STAGE = 1, PASSTHROUGH = 4 };

#define BLOCKED   VTD_FRONTEND_BINDING_BLOCKED
#define PASID     7u
#define SIZE_CODE 0u
#define TABLE_C   0x42000u
#define TABLE_D   0x43000u

static const unsigned both[] = {VTD_NO_PASID, PASID};

static enum vtd_frontend_binding how(struct guest *guest, unsigned rid, unsigned pasid)
{
        return pasid == VTD_NO_PASID ? binding_of(guest, rid) : pasid_binding_of(guest, rid, pasid);
}

static void plug_device(struct guest *guest, unsigned rid)
{
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", (uint16_t)rid), 0);
        put_pasid_context(guest, rid, SIZE_CODE, directory_of(rid));
}

/* Device A: domain 5 with TABLE_A, and PASID 7 of domain 6 with TABLE_B. */
static void start(struct guest *guest)
{
        configure_pasids(guest, PASIDS);
        plug_device(guest, RID_A);
        put_pasid(guest, RID_A, 0, FIRST_STAGE, 5, TABLE_A);
        put_pasid(guest, RID_A, PASID, FIRST_STAGE, 6, TABLE_B);
        enable_translation(guest);
        assert_int_equal(how(guest, RID_A, VTD_NO_PASID), VTD_FRONTEND_BINDING_FIRST_STAGE);
        assert_int_equal(how(guest, RID_A, PASID), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

static unsigned domain_of(unsigned pasid)
{
        return pasid == VTD_NO_PASID ? 5 : 6;
}

/* One request since the last fake_backend_forget(): an Attach. */
static void assert_attached(struct guest *guest, unsigned pasid, enum vtd_attach_mode mode,
                            uint64_t root)
{
        const struct vtd_request *request = &guest->broker->requests[0];

        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(request->type, VTD_REQUEST_ATTACH);
        assert_int_equal(request->attach.pasid, pasid);
        assert_int_equal(request->attach.mode, mode);
        assert_int_equal(request->attach.root, root);
        fake_backend_forget(guest->broker);
}

/* One request: an Invalidate of one range. */
static void assert_invalidated(struct guest *guest, uint64_t root, uint64_t address, uint64_t pages,
                               bool leaf)
{
        const struct vtd_invalidate_request *request = &guest->broker->requests[0].invalidate;

        assert_int_equal(guest->broker->count, 1);
        assert_int_equal(guest->broker->requests[0].type, VTD_REQUEST_INVALIDATE);
        assert_int_equal(request->table, fake_backend_table(root));
        assert_int_equal(request->count, 1);
        assert_int_equal(request->entries[0].address, address);
        assert_int_equal(request->entries[0].pages, pages);
        assert_int_equal(request->entries[0].leaf, leaf);
        fake_backend_forget(guest->broker);
}

static void assert_nothing_asked(struct guest *guest)
{
        assert_int_equal(guest->broker->count, 0);
}

static void test_s4_function_masks(void **state)
{
        static const unsigned masks[] = {0, 4, 6, 7};
        struct guest *guest = *state;

        configure_pasids(guest, PASIDS);
        /* Eight functions of one slot share a directory; one more device does not. */
        for (unsigned rid = 8; rid < 17; rid++) {
                plug_device(guest, rid);
                put_pasid(guest, rid, 0, FIRST_STAGE, 5, TABLE_A);
                put_pasid(guest, rid, PASID, FIRST_STAGE, 6, TABLE_B);
        }
        enable_translation(guest);
        for (unsigned sid = 8; sid < 16; sid++) {
                for (unsigned mask = 0; mask < 4; mask++) {
                        for (unsigned rid = 8; rid < 17; rid++)
                                memset(guest->memory + CONTEXT_LOWER + rid * 32, 0, 32);
                        invalidate(guest, CC_DEVICE(sid, mask));
                        for (unsigned rid = 8; rid < 17; rid++) {
                                bool named = ((rid ^ sid) & ~masks[mask]) == 0;

                                for (size_t i = 0; i < VTD_ARRAY_SIZE(both); i++)
                                        assert_int_equal(how(guest, rid, both[i]) == BLOCKED,
                                                         named);
                                put_pasid_context(guest, rid, SIZE_CODE, directory_of(rid));
                        }
                        invalidate(guest, CC_GLOBAL);
                        for (unsigned rid = 8; rid < 17; rid++)
                                assert_int_equal(how(guest, rid, PASID),
                                                 VTD_FRONTEND_BINDING_FIRST_STAGE);
                }
        }
}

static void test_s4_global_and_domain(void **state)
{
        struct guest *guest = *state;

        for (unsigned domain = 0; domain < 2; domain++) {
                guest->tail = guest->command = 0;
                start(guest);
                plug_device(guest, RID_B);
                put_pasid(guest, RID_B, 0, FIRST_STAGE, 8, TABLE_C);
                put_pasid(guest, RID_B, PASID, FIRST_STAGE, 9, TABLE_D);
                run_until(guest, VTD_FRONTEND_IDLE);
                memset(guest->memory + CONTEXT_LOWER, 0, 0x1000);
                memset(guest->memory + CONTEXT_UPPER, 0, 0x1000);
                if (domain)
                        invalidate(guest, UINT64_C(0x21) | 77 << 16, 0);
                else
                        invalidate(guest, CC_GLOBAL);
                for (size_t i = 0; i < VTD_ARRAY_SIZE(both); i++) {
                        assert_int_equal(how(guest, RID_A, both[i]), BLOCKED);
                        assert_int_equal(how(guest, RID_B, both[i]), BLOCKED);
                }
        }
}

static void test_s4_generation(void **state)
{
        struct guest *guest = *state;

        start(guest);
        /* Another directory: nothing until it is announced, ... */
        put_pasid_context(guest, RID_A, SIZE_CODE, directory_of(RID_B));
        guest_put64(guest, directory_of(RID_B), entry_of(RID_B, 0) | 1);
        put_pasid(guest, RID_B, 0, FIRST_STAGE, 5, TABLE_C);
        put_pasid(guest, RID_B, PASID, FIRST_STAGE, 6, TABLE_D);
        invalidate(guest, CC_DEVICE(RID_B, 0));
        invalidate(guest, WAIT_STATUS(1));
        assert_nothing_asked(guest);
        /* ... by the device's own invalidation, or by setting the root again. */
        invalidate(guest, CC_DEVICE(RID_A, 0));
        assert_int_equal(guest->broker->count, 2);
        assert_int_equal(guest->broker->requests[0].attach.root, TABLE_C);
        assert_int_equal(guest->broker->requests[1].attach.root, TABLE_D);
        fake_backend_forget(guest->broker);
        put_pasid_context(guest, RID_A, SIZE_CODE, directory_of(RID_A));
        guest_put64(guest, directory_of(RID_A), entry_of(RID_A, 0) | 1);
        command(guest, VTD_GCMD_SRTP, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 2);
        assert_int_equal(guest->broker->requests[0].attach.root, TABLE_A);
        assert_int_equal(guest->broker->requests[1].attach.root, TABLE_B);
}

static void test_s4_unchanged(void **state)
{
        struct guest *guest = *state;

        start(guest);
        invalidate(guest, CC_GLOBAL);
        invalidate(guest, UINT64_C(0x21) | 5 << 16, 0);
        invalidate(guest, CC_DEVICE(RID_A, 3));
        assert_nothing_asked(guest);
}

/* Invalidates the PASID cache for @pasid in @domain: 0 by PASID, 1 by domain, 2 globally. */
static void invalidate_entry(struct guest *guest, unsigned way, unsigned domain, unsigned pasid)
{
        if (way == 0)
                invalidate(guest, PC_PASID(domain, pasid));
        else if (way == 1)
                invalidate(guest, PC_DOMAIN(domain));
        else
                invalidate(guest, PC_GLOBAL);
}

static void test_s6_life(void **state)
{
        struct guest *guest = *state;

        start(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(both); i++) {
                unsigned pasid = both[i], domain = domain_of(pasid);

                for (unsigned way = 0; way < 3; way++) {
                        put_pasid(guest, RID_A, pasid, FIRST_STAGE, domain, TABLE_C);
                        assert_nothing_asked(guest);
                        invalidate_entry(guest, way, domain, pasid);
                        assert_attached(guest, pasid, VTD_ATTACH_FIRST_STAGE, TABLE_C);
                        invalidate_entry(guest, way, domain, pasid);
                        assert_nothing_asked(guest);
                        put_pasid(guest, RID_A, pasid, 0, 0, 0);
                        assert_nothing_asked(guest);
                        invalidate_entry(guest, way, domain, pasid);
                        assert_attached(guest, pasid, VTD_ATTACH_BLOCKED, 0);
                        invalidate_entry(guest, way, domain, pasid);
                        assert_nothing_asked(guest);
                        put_pasid(guest, RID_A, pasid, PASSTHROUGH, domain, 0);
                        invalidate_entry(guest, way, domain, pasid);
                        assert_attached(guest, pasid, VTD_ATTACH_PASSTHROUGH, 0);
                        put_pasid(guest, RID_A, pasid, FIRST_STAGE, domain, TABLE_D);
                        invalidate_entry(guest, way, domain, pasid);
                        assert_attached(guest, pasid, VTD_ATTACH_FIRST_STAGE, TABLE_D);
                }
                put_pasid(guest, RID_A, pasid, FIRST_STAGE, domain, pasid ? TABLE_B : TABLE_A);
                invalidate(guest, PC_GLOBAL);
                fake_backend_forget(guest->broker);
        }
}

static void test_s7_removal(void **state)
{
        struct guest *guest = *state;

        start(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(both); i++) {
                unsigned pasid = both[i], domain = domain_of(pasid);

                /* The memory says domain 9, which is no reason to act on 9. */
                put_pasid(guest, RID_A, pasid, FIRST_STAGE, 9, TABLE_C);
                invalidate(guest, PC_PASID(9, pasid));
                invalidate(guest, PC_PASID(domain, pasid + 1));
                invalidate(guest, PC_DOMAIN(9));
                assert_nothing_asked(guest);
                put_pasid(guest, RID_A, pasid, 0, 0, 0);
                invalidate(guest, PC_DOMAIN(9));
                assert_nothing_asked(guest);
                invalidate(guest, PC_DOMAIN(domain));
                assert_attached(guest, pasid, VTD_ATTACH_BLOCKED, 0);
        }
}

static void test_s7_addition(void **state)
{
        struct guest *guest = *state;

        start(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(both); i++) {
                unsigned pasid = both[i], domain = domain_of(pasid);
                uint64_t root = pasid ? TABLE_D : TABLE_C;

                put_pasid(guest, RID_A, pasid, 0, 0, 0);
                invalidate(guest, PC_PASID(domain, pasid));
                fake_backend_forget(guest->broker);
                /* What was cached last no longer counts. */
                put_pasid(guest, RID_A, pasid, FIRST_STAGE, 9, root);
                invalidate(guest, PC_PASID(domain, pasid));
                invalidate(guest, PC_PASID(9, pasid + 1));
                invalidate(guest, PC_DOMAIN(domain));
                assert_nothing_asked(guest);
                invalidate(guest, PC_DOMAIN(9));
                assert_attached(guest, pasid, VTD_ATTACH_FIRST_STAGE, root);
        }
}

/* A context entry that went wrong is told of by context-cache descriptors, not by these. */
static void test_s7_wrong_above(void **state)
{
        struct guest *guest = *state;
        const uint64_t context = CONTEXT_LOWER + RID_A * 32;

        start(guest);
        put_pasid(guest, RID_A, 0, 0, 0, 0);
        invalidate(guest, PC_DOMAIN(5));
        assert_attached(guest, VTD_NO_PASID, VTD_ATTACH_BLOCKED, 0);
        guest_put64(guest, context, guest_get64(guest, context) | 0x20);
        invalidate(guest, PC_DOMAIN(5));
        invalidate(guest, PC_PASID(9, 0));
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        invalidate(guest, CC_DEVICE(RID_A, 0));
        assert_int_equal(fault_reason(guest, RID_A), 0x42);
}

static void test_s7_unchanged(void **state)
{
        struct guest *guest = *state;

        start(guest);
        for (unsigned way = 0; way < 3; way++)
                for (size_t i = 0; i < VTD_ARRAY_SIZE(both); i++)
                        invalidate_entry(guest, way, domain_of(both[i]), both[i]);
        assert_nothing_asked(guest);
}

static void test_s6_rid_pasid(void **state)
{
        struct guest *guest = *state;

        start(guest);
        put_pasid(guest, RID_A, 0x91, FIRST_STAGE, 8, TABLE_C);
        guest_put64(guest, CONTEXT_LOWER + RID_A * 32 + 8, 0x91);
        invalidate(guest, CC_DEVICE(RID_A, 0));
        assert_int_equal(guest->broker->requests[0].attach.pasid, VTD_NO_PASID);
        assert_int_equal(guest->broker->requests[0].attach.root, TABLE_C);
        fake_backend_forget(guest->broker);
        /* The tag is RID_PASID's number now, and no longer 0. */
        invalidate(guest, PIOTLB_ALL(8, 0));
        invalidate(guest, PIOTLB_ALL(5, 0));
        assert_nothing_asked(guest);
        invalidate(guest, PIOTLB_ALL(8, 0x91));
        assert_invalidated(guest, TABLE_C, 0, VTD_INVALIDATE_ALL, false);
        put_pasid(guest, RID_A, 0x91, 0, 0, 0);
        invalidate(guest, PC_PASID(5, 0));
        assert_nothing_asked(guest);
        invalidate(guest, PC_PASID(8, 0x91));
        assert_int_equal(binding_of(guest, RID_A), BLOCKED);
}

static void test_s9_types(void **state)
{
        static const unsigned good[] = {PASSTHROUGH, FIRST_STAGE};
        struct guest *guest = *state;

        start(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(both); i++) {
                unsigned pasid = both[i], domain = domain_of(pasid);

                for (size_t j = 0; j < VTD_ARRAY_SIZE(good); j++) {
                        bool first_stage = good[j] == FIRST_STAGE;

                        put_pasid(guest, RID_A, pasid, good[j], domain, TABLE_C);
                        invalidate(guest, PC_PASID(domain, pasid));
                        assert_attached(guest, pasid,
                                        first_stage ? VTD_ATTACH_FIRST_STAGE
                                                    : VTD_ATTACH_PASSTHROUGH,
                                        first_stage ? TABLE_C : 0);
                }
                for (unsigned bad = 0; bad < 8 + 3; bad++) {
                        struct vtd_frontend_stats before, after;

                        if (bad == FIRST_STAGE || bad == PASSTHROUGH)
                                continue;
                        put_pasid(guest, RID_A, pasid, FIRST_STAGE, domain, TABLE_D);
                        invalidate(guest, PC_PASID(domain, pasid));
                        fake_backend_forget(guest->broker);
                        /* Types, and then the other numbers of levels. */
                        put_pasid(guest, RID_A, pasid, bad < 8 ? bad : FIRST_STAGE, domain,
                                  TABLE_D | (bad < 8 ? 0 : bad - 7) << 2);
                        if (bad == 0)
                                guest_put64(guest, pasid_entry_of(RID_A, pasid), 1);
                        vtd_frontend_get_stats(guest->unit, &before);
                        invalidate(guest, PC_GLOBAL);
                        vtd_frontend_get_stats(guest->unit, &after);
                        assert_attached(guest, pasid, VTD_ATTACH_BLOCKED, 0);
                        assert_int_equal(after.faults - before.faults, 1);
                        assert_int_equal(pasid_fault_reason(guest, RID_A, pasid), 0x5b);
                        assert_int_equal(how(guest, RID_A, pasid), BLOCKED);
                        assert_int_equal(how(guest, RID_A, both[1 - i]),
                                         VTD_FRONTEND_BINDING_FIRST_STAGE);
                        clear_faults(guest);
                }
                put_pasid(guest, RID_A, pasid, FIRST_STAGE, domain, TABLE_D);
                invalidate(guest, PC_PASID(domain, pasid));
                put_pasid(guest, RID_A, pasid, FIRST_STAGE, domain, pasid ? TABLE_B : TABLE_A);
                invalidate(guest, PC_PASID(domain, pasid));
                fake_backend_forget(guest->broker);
        }
}

static void test_s13_ranges(void **state)
{
        static const uint64_t address = 0x7fffdeadb000;
        struct guest *guest = *state;

        start(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(both); i++) {
                unsigned pasid = both[i], domain = domain_of(pasid);
                uint64_t root = pasid ? TABLE_B : TABLE_A;

                for (unsigned mask = 0; mask < 64; mask++) {
                        for (unsigned leaf = 0; leaf < 2; leaf++) {
                                uint64_t size = mask < 36 ? UINT64_C(0x1000) << mask : 0;

                                invalidate(guest, PIOTLB_PAGE(domain, pasid,
                                                              address | mask | (leaf ? LEAF : 0)));
                                if (size)
                                        assert_invalidated(guest, root, address & ~(size - 1),
                                                           size >> 12, leaf);
                                else
                                        assert_invalidated(guest, root, 0, VTD_INVALIDATE_ALL,
                                                           false);
                        }
                }
                invalidate(guest, PIOTLB_ALL(domain, pasid));
                assert_invalidated(guest, root, 0, VTD_INVALIDATE_ALL, false);
        }
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
}

static void test_s13_wrong_tags(void **state)
{
        struct guest *guest = *state;

        start(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(both); i++) {
                unsigned pasid = both[i], domain = domain_of(pasid);

                invalidate(guest, PIOTLB_ALL(domain + 2, pasid));
                invalidate(guest, PIOTLB_ALL(domain, pasid + 1));
                invalidate(guest, PIOTLB_ALL(domain_of(both[1 - i]), pasid));
                invalidate(guest, PIOTLB_PAGE(domain + 2, pasid, 0x1000));
                invalidate(guest, PIOTLB_PAGE(domain, pasid + 1, 0x1000));
        }
        assert_nothing_asked(guest);
        /* The cached entry counts: what memory says since is not in force yet. */
        put_pasid(guest, RID_A, PASID, FIRST_STAGE, 9, TABLE_B);
        invalidate(guest, PIOTLB_ALL(9, PASID));
        assert_nothing_asked(guest);
        invalidate(guest, PIOTLB_ALL(6, PASID));
        assert_invalidated(guest, TABLE_B, 0, VTD_INVALIDATE_ALL, false);
        /* Pass-through has nothing to invalidate. */
        put_pasid(guest, RID_A, PASID, PASSTHROUGH, 6, 0);
        invalidate(guest, PC_PASID(6, PASID));
        fake_backend_forget(guest->broker);
        invalidate(guest, PIOTLB_ALL(6, PASID));
        assert_nothing_asked(guest);
}

static void test_s14_same_values(void **state)
{
        struct guest *guest = *state;
        uint64_t reads;

        start(guest);
        put_pasid(guest, RID_A, 0, 0, 0, 0);
        put_pasid(guest, RID_A, PASID, 0, 0, 0);
        reads = guest->reads;
        command(guest, VTD_GCMD_TE | VTD_GCMD_QIE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        write64(guest, VTD_REG_RTADDR, 0x80000 | 0x400);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_nothing_asked(guest);
        assert_int_equal(guest->reads, reads);
        /* Off and on before anything ran: nothing has happened. */
        command(guest, 0, VTD_GCMD_TE);
        command(guest, VTD_GCMD_TE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_nothing_asked(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(both); i++)
                assert_int_equal(how(guest, RID_A, both[i]), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

static void test_s14_set_root(void **state)
{
        struct guest *guest = *state;

        start(guest);
        /* The same root, and nothing has changed: what is cached is flushed. */
        command(guest, VTD_GCMD_SRTP, 0);
        assert_false(read32(guest, VTD_REG_GSTS) & VTD_GCMD_SRTP);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_true(read32(guest, VTD_REG_GSTS) & VTD_GCMD_SRTP);
        assert_int_equal(guest->broker->count, 2);
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(guest->broker->requests[i].type, VTD_REQUEST_INVALIDATE);
                assert_int_equal(guest->broker->requests[i].invalidate.entries[0].pages,
                                 VTD_INVALIDATE_ALL);
        }
        fake_backend_forget(guest->broker);
        /* Changed without a word before: it is in force now. */
        put_pasid(guest, RID_A, 0, PASSTHROUGH, 5, 0);
        put_pasid(guest, RID_A, PASID, 0, 0, 0);
        command(guest, VTD_GCMD_SRTP, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(how(guest, RID_A, VTD_NO_PASID), VTD_FRONTEND_BINDING_PASSTHROUGH);
        assert_int_equal(how(guest, RID_A, PASID), BLOCKED);
        assert_int_equal(guest->broker->count, 2);
}

static void test_s14_enable(void **state)
{
        struct guest *guest = *state;

        start(guest);
        command(guest, 0, VTD_GCMD_TE);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(how(guest, RID_A, VTD_NO_PASID), VTD_FRONTEND_BINDING_PASSTHROUGH);
        assert_int_equal(how(guest, RID_A, PASID), BLOCKED);
        fake_backend_forget(guest->broker);
        /* Off, entries mean nothing, and invalidations of what was cached neither. */
        put_pasid(guest, RID_A, PASID, FIRST_STAGE, 9, TABLE_C);
        invalidate(guest, PC_GLOBAL);
        invalidate(guest, CC_GLOBAL);
        invalidate(guest, PIOTLB_ALL(6, PASID));
        assert_nothing_asked(guest);
        command(guest, VTD_GCMD_TE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(guest->broker->count, 2);
        assert_int_equal(guest->broker->requests[0].attach.root, TABLE_A);
        assert_int_equal(guest->broker->requests[1].attach.root, TABLE_C);
        assert_int_equal(how(guest, RID_A, PASID), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

#define TEST(name, function)                                                                       \
        {                                                                                          \
                name, function, guest_setup, guest_teardown, NULL                                  \
        }

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST("S4, S12: function masks name exactly the devices re-evaluated",
                     test_s4_function_masks),
                TEST("S4, S12: global and domain-selective invalidation name every device",
                     test_s4_global_and_domain),
                TEST("S4, S12: a context entry counts from its invalidation or SRTP on",
                     test_s4_generation),
                TEST("S4, S12: an unchanged context entry costs no request", test_s4_unchanged),
                TEST("S6, S7: add, change, remove by PASID, by domain and globally", test_s6_life),
                TEST("S6, S7: removal is judged by the cached entry", test_s7_removal),
                TEST("S6, S7: addition is judged by memory", test_s7_addition),
                TEST("S6, S7: a wrong context entry is not of a PASID", test_s7_wrong_above),
                TEST("S6, S7: an unchanged entry costs no request", test_s7_unchanged),
                TEST("S6: RID_PASID names the entry of requests without PASID", test_s6_rid_pasid),
                TEST("S9: pass-through and first-stage are bound, others blocked with one fault",
                     test_s9_types),
                TEST("S13: every address mask, leaf hint and whole PASIDs", test_s13_ranges),
                TEST("S13: a wrong domain id or PASID invalidates nothing", test_s13_wrong_tags),
                TEST("S14: rewriting the same value does nothing", test_s14_same_values),
                TEST("S14: SRTP drops caches and re-evaluates", test_s14_set_root),
                TEST("S14: TE off and on re-evaluates", test_s14_enable),
        };

        return cmocka_run_group_tests_name("frontend-series", tests, NULL, NULL);
}
