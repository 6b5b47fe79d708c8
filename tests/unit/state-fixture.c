/* SPDX-License-Identifier: MIT */
/* See state-fixture.h. */
#include "tests/unit/state-fixture.h"

#include <stdlib.h>
#include <string.h>

#include "vtd/state.h"

void state_configure(struct guest *guest)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;

        config.pasid_bits = 20;
        config.fault_records = RECORDS;
        guest_configure(guest, &config, 7);
        guest->command = 0;
        guest->tail = 0;
        guest->lines = 0;
}

int state_setup(void **state)
{
        struct pair *pair = calloc(1, sizeof(*pair));

        assert_non_null(pair);
        assert_int_equal(guest_setup((void **)&pair->a), 0);
        assert_int_equal(guest_setup((void **)&pair->b), 0);
        state_configure(pair->a);
        *state = pair;
        return 0;
}

int state_teardown(void **state)
{
        struct pair *pair = *state;

        assert_int_equal(guest_teardown((void **)&pair->a), 0);
        assert_int_equal(guest_teardown((void **)&pair->b), 0);
        free(pair);
        return 0;
}

void state_save(struct guest *guest, uint8_t *bytes)
{
        size_t size = 0;

        assert_int_equal(vtd_frontend_save(guest->unit, bytes, STATE_SIZE, &size), 0);
        assert_int_equal(size, STATE_SIZE);
}

void state_save_first(struct pair *pair)
{
        state_save(pair->a, pair->state);
        pair->at_saving = *pair->a;
}

void plug_devices(struct guest *guest)
{
        for (size_t i = 0; i < DEVICES; i++)
                assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", (uint16_t)rids[i]), 0);
}

void recover(struct guest *guest)
{
        for (unsigned i = 0; i < RECORDS; i++)
                write32(guest, VTD_REG_FRCD + i * VTD_FRCD_SIZE + 12, VTD_FRCD_F);
        write32(guest, VTD_REG_FSTS, 0xff);
        write32(guest, VTD_REG_ICS, 1);
}

void unmask(struct guest *guest)
{
        write32(guest, VTD_REG_FECTL, 0);
        write32(guest, VTD_REG_IECTL, 0);
}

void switch_on(struct guest *guest)
{
        if (!(read32(guest, VTD_REG_GSTS) & VTD_GCMD_QIE)) {
                guest->tail = 0;
                write32(guest, VTD_REG_IQT, 0);
                write64(guest, VTD_REG_IQA, QUEUE | 0x800);
        }
        write64(guest, VTD_REG_RTADDR, ROOT_TABLE | 0x400);
        command(guest, VTD_GCMD_QIE | VTD_GCMD_SRTP | VTD_GCMD_TE, 0);
}

void bring_up(struct guest *guest)
{
        plug_devices(guest);
        for (size_t i = 0; i < DEVICES; i++) {
                put_pasid_context(guest, rids[i], 0, directory_of(rids[i]));
                put_pasid(guest, rids[i], 0, FIRST_STAGE, 5, TABLE_A);
        }
        put_pasid(guest, RID_A, PASID_ONE, FIRST_STAGE, 6, TABLE_B);
        put_pasid(guest, RID_A, PASID_TWO, PASSTHROUGH, 1, 0);
        write32(guest, VTD_REG_FEADDR, 0xfee01000);
        write32(guest, VTD_REG_FEDATA, 0x31);
        write32(guest, VTD_REG_IEADDR, 0xfee02000);
        write32(guest, VTD_REG_IEDATA, 0x32);
        enable_translation(guest);
}

void record_faults(struct guest *guest)
{
        put_entry(guest, RID_B, SECOND_STAGE, 5, TABLE_A);
        for (unsigned i = 0; i < 3; i++)
                invalidate(guest, PC_GLOBAL);
        put_entry(guest, RID_B, FIRST_STAGE, 5, TABLE_A);
        invalidate(guest, PC_GLOBAL);
        write32(guest, VTD_REG_FRCD + VTD_FRCD_SIZE + 12, VTD_FRCD_F);
        assert_int_equal(read32(guest, VTD_REG_FSTS), VTD_FSTS_PPF);
}
