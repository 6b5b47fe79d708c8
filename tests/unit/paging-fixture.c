/* SPDX-License-Identifier: MIT */
/* See paging-fixture.h. */
#include "tests/unit/paging-fixture.h"

#include <stdlib.h>

int paging_setup(void **state)
{
        const struct vtd_frontend_config config = {
                .first_stage = true,
                .first_stage_1gib = true,
                .first_stage_5level = true,
                .supervisor_requests = true,
                .extended_accessed = true,
                .second_stage_widths =
                        VTD_FRONTEND_WIDTH_39 | VTD_FRONTEND_WIDTH_48 | VTD_FRONTEND_WIDTH_57,
                .second_stage_dirty = true,
                .nested = true,
                .snoop_control = true,
                .fault_records = 1,
                .address_bits = 57,
                .host_address_bits = 52,
                .register_base = VTD_FRONTEND_REGISTER_BASE,
        };
        struct paging *paging = calloc(1, sizeof(*paging));
        void *guest;

        assert_non_null(paging);
        assert_int_equal(guest_setup(&guest), 0);
        paging->guest = guest;
        paging->capabilities = vtd_capabilities_of(&config);
        paging->entry = (struct vtd_pasid_entry){
                .type = VTD_PGTT_FIRST_STAGE,
                .supervisor = true,
                .first_stage_root = FS_TABLES + 3 * VTD_PAGE_SIZE,
                .page_walk_snoop = true,
        };
        paging->request = (struct vtd_frontend_dma_request){
                .access = READ, .address = PAGING_ADDRESS, .size = 8};
        *state = paging;
        return 0;
}

int paging_teardown(void **state)
{
        struct paging *paging = *state;
        void *guest = paging->guest;

        free(paging);
        return guest_teardown(&guest);
}

void use_second_stage(struct paging *paging, unsigned levels)
{
        paging->entry.type = VTD_PGTT_SECOND_STAGE;
        paging->entry.first_stage_root = 0;
        paging->entry.second_stage_levels = levels;
        paging->entry.second_stage_root = SS_TABLES + (levels - 1) * VTD_PAGE_SIZE;
        paging->request.address &= (UINT64_C(1) << shift_of(levels)) - 1;
}

void use_nested(struct paging *paging, unsigned levels)
{
        paging->entry.type = VTD_PGTT_NESTED;
        paging->entry.first_stage_root = NESTED_TABLES + 3 * VTD_PAGE_SIZE;
        paging->entry.second_stage_levels = levels;
        paging->entry.second_stage_root = SS_TABLES + (levels - 1) * VTD_PAGE_SIZE;
}

unsigned first_levels(const struct paging *paging)
{
        return paging->entry.five_level ? 5 : 4;
}

unsigned shift_of(unsigned level)
{
        return 12 + 9 * level;
}

static uint64_t place_of(uint64_t tables, uint64_t address, unsigned level)
{
        return tables + level * VTD_PAGE_SIZE + ((address >> shift_of(level)) & 0x1ff) * 8;
}

uint64_t first_entry(const struct paging *paging, unsigned level)
{
        return place_of(FS_TABLES, paging->request.address, level);
}

uint64_t second_entry(uint64_t address, unsigned level)
{
        return place_of(SS_TABLES, address, level);
}

void put_first(struct paging *paging, unsigned level, uint64_t value)
{
        bool nested = paging->entry.type == VTD_PGTT_NESTED;
        uint64_t tables = nested ? NESTED_TABLES : FS_TABLES;

        for (unsigned i = first_levels(paging) - 1; i > level; i--)
                guest_put64(paging->guest, first_entry(paging, i),
                            (tables + (i - 1) * VTD_PAGE_SIZE) | FS_TABLE);
        guest_put64(paging->guest, first_entry(paging, level), value);
}

void put_second(struct paging *paging, uint64_t address, unsigned level, uint64_t value)
{
        for (unsigned i = paging->entry.second_stage_levels - 1; i > level; i--)
                guest_put64(paging->guest, second_entry(address, i),
                            (SS_TABLES + (i - 1) * VTD_PAGE_SIZE) | SS_TABLE);
        guest_put64(paging->guest, second_entry(address, level), value);
}

void put_nested_tables(struct paging *paging)
{
        for (unsigned i = 0; i < first_levels(paging); i++)
                put_second(paging, NESTED_TABLES + i * VTD_PAGE_SIZE, 0,
                           (FS_TABLES + i * VTD_PAGE_SIZE) | SS_PAGE);
}

unsigned paging_walk(struct paging *paging)
{
        const struct vtd_frontend_dma_request *request = &paging->request;
        enum vtd_fault_reason reason;
        struct vtd_page page;
        unsigned allowed;
        int r;

        r = vtd_paging_walk(&paging->guest->unit->engine.guest, &paging->capabilities,
                            &paging->entry, request, &page, &reason);
        if (r != 0) {
                assert_int_equal(r, VTD_PAGING_E_FAULT);
                assert_int_not_equal(reason, VTD_FAULT_NONE);
                return reason;
        }
        allowed = request->privileged ? page.supervisor : page.user;
        assert_int_equal(allowed & request->access, request->access);
        assert_true(page.shift == 12 || page.shift == 21 || page.shift == 30);
        assert_int_equal(page.translated & ((UINT64_C(1) << page.shift) - 1), 0);
        paging->page = page;
        return 0;
}

unsigned paging_walk_as(struct paging *paging, bool privileged, unsigned access)
{
        paging->request.privileged = privileged;
        paging->request.access = access;
        return paging_walk(paging);
}
