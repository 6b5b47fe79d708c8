/* SPDX-License-Identifier: MIT */
/* See dma-fixture.h. */
#include "tests/unit/dma-fixture.h"

#include <stdlib.h>

#define FIRST_STAGE_TABLE  0x27u /* present, writable, user, accessed; */
#define FIRST_STAGE_PAGE   0x67u /* the same and dirty */
#define SECOND_STAGE_TABLE 0x3u
#define SECOND_STAGE_PAGE  0x3u
#define LARGE              0x80u
#define PAGE_WALK_SNOOP    BIT(23) /* accessed and dirty bits can be set */

uint64_t new_table(struct dma *dma)
{
        uint64_t table = dma->arena;

        assert_true(table < ARENA_END);
        dma->arena += VTD_PAGE_SIZE;
        return table;
}

static uint64_t put_page(struct dma *dma, uint64_t root, uint64_t address, unsigned level,
                         uint64_t table_bits, uint64_t page)
{
        uint64_t table = root, entry;

        for (unsigned at = 3; at > level; at--) {
                entry = table + (address >> (12 + 9 * at) & 511) * 8;
                if (guest_get64(dma->guest, entry) == 0)
                        guest_put64(dma->guest, entry, new_table(dma) | table_bits);
                table = guest_get64(dma->guest, entry) & ~UINT64_C(0xfff);
        }
        entry = table + (address >> (12 + 9 * level) & 511) * 8;
        guest_put64(dma->guest, entry, page | (level > 0 ? LARGE : 0));
        return entry;
}

uint64_t put_first_stage(struct dma *dma, uint64_t root, uint64_t address, unsigned level,
                         uint64_t target)
{
        return put_page(dma, root, address, level, FIRST_STAGE_TABLE, target | FIRST_STAGE_PAGE);
}

uint64_t put_second_stage(struct dma *dma, uint64_t root, uint64_t address, unsigned level,
                          uint64_t target)
{
        return put_page(dma, root, address, level, SECOND_STAGE_TABLE, target | SECOND_STAGE_PAGE);
}

int dma_setup(void **state)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_NESTED;
        struct dma *dma = calloc(1, sizeof(*dma));
        void *guest;

        assert_non_null(dma);
        assert_int_equal(guest_setup(&guest), 0);
        dma->guest = guest;
        dma->arena = ARENA;
        config.supervisor_requests = true;
        config.fault_records = 8;
        config.host_address_bits = 46;
        guest_configure(dma->guest, &config, 7);
        enable_translation(dma->guest);
        dma->second_stage_same = new_table(dma);
        for (uint64_t i = 0; i < 512; i++)
                put_second_stage(dma, dma->second_stage_same, i << 30, PAGE_1G, i << 30);
        *state = dma;
        return 0;
}

int dma_teardown(void **state)
{
        struct dma *dma = *state;
        void *guest = dma->guest;

        free(dma);
        return guest_teardown(&guest);
}

void put_device(struct dma *dma, unsigned rid, unsigned rid_pasid)
{
        uint64_t context = (rid & 0x80 ? CONTEXT_UPPER : CONTEXT_LOWER) + (rid & 0x7f) * 32;

        put_pasid_context(dma->guest, rid, 0, directory_of(rid));
        guest_put64(dma->guest, context + 8, rid_pasid);
}

void put_translation(struct dma *dma, unsigned rid, unsigned pasid, unsigned pgtt, unsigned did,
                     uint64_t first_stage_root, uint64_t second_stage_root)
{
        uint64_t entry = pasid_entry_of(rid, pasid);

        put_pasid(dma->guest, rid, pasid, pgtt, did, first_stage_root);
        if (pgtt == 0)
                return;
        guest_put64(dma->guest, entry + 8, did | PAGE_WALK_SNOOP);
        guest_put64(dma->guest, entry, second_stage_root | (uint64_t)pgtt << 6 | 2 << 2 | 1);
}

int translate_in(struct dma *dma, const struct vtd_frontend_access *access,
                 const struct vtd_frontend_dma_request *request)
{
        return vtd_frontend_translate(dma->guest->unit, access, request, &dma->translation);
}

int translate(struct dma *dma, const struct vtd_frontend_dma_request *request)
{
        struct vtd_frontend_access access;
        int r;

        vtd_frontend_access_begin(dma->guest->unit, &access);
        r = translate_in(dma, &access, request);
        vtd_frontend_access_end(dma->guest->unit, &access);
        return r;
}

uint64_t where(struct dma *dma, unsigned rid, uint32_t pasid, uint64_t address)
{
        const struct vtd_frontend_dma_request request = {
                .rid = (uint16_t)rid,
                .with_pasid = pasid != NO_PASID,
                .pasid = pasid,
                .access = READ,
                .address = address,
                .size = 8,
        };
        int r = translate(dma, &request);

        if (r == VTD_FRONTEND_FAULTED)
                return FAULTED;
        assert_int_equal(r, 0);
        assert_true(address - dma->translation.address < dma->translation.size);
        return dma->translation.translated + (address - dma->translation.address);
}

void invalidate_and_wait(struct dma *dma, uint64_t first, uint64_t second)
{
        uint32_t status = guest_get32(dma->guest, STATUS) + 1;

        queue_descriptor(dma->guest, first, second);
        invalidate(dma->guest, WAIT_STATUS(status));
        assert_int_equal(guest_get32(dma->guest, STATUS), status);
}
