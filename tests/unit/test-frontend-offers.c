/* SPDX-License-Identifier: MIT */
/*
 * Units that offer more than the default: what of it reaches the broker's devices, what they are
 * refused, and what the host must have.
 */
#include "tests/unit/frontend-fixture.h"

#include <errno.h>
#include <string.h>

#include "shared/checked.h"

#define BIT(n) (UINT64_C(1) << (n))

#define EVERYTHING_CAP  (VTD_CAP_FS1GP | VTD_CAP_FS5LP | UINT64_C(56) << VTD_CAP_MGAW_SHIFT)
#define EVERYTHING_ECAP (VTD_ECAP_SC | VTD_ECAP_SRS | VTD_ECAP_EAFS)

static void configure(struct guest *guest)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_NESTED;

        config.first_stage_5level = config.supervisor_requests = config.extended_accessed = true;
        config.address_bits = 57;
        guest_configure(guest, &config, 7);
        guest->broker->cap = EVERYTHING_CAP;
        guest->broker->ecap = EVERYTHING_ECAP;
}

static void test_plug_refuses_what_the_host_cannot_keep_of_a_promise(void **state)
{
        static const struct {
                uint64_t cap, ecap;
                int result;
        } cases[] = {
                {EVERYTHING_CAP & ~VTD_CAP_FS1GP, EVERYTHING_ECAP, -ENOTSUP},
                {EVERYTHING_CAP & ~VTD_CAP_FS5LP, EVERYTHING_ECAP, -ENOTSUP},
                {EVERYTHING_CAP & ~BIT(VTD_CAP_MGAW_SHIFT + 3), EVERYTHING_ECAP, -ENOTSUP},
                {EVERYTHING_CAP, EVERYTHING_ECAP & ~VTD_ECAP_SC, -ENOTSUP},
                {EVERYTHING_CAP, EVERYTHING_ECAP & ~VTD_ECAP_SRS, -ENOTSUP},
                {EVERYTHING_CAP, EVERYTHING_ECAP & ~VTD_ECAP_EAFS, -ENOTSUP},
                {EVERYTHING_CAP, EVERYTHING_ECAP, 0},
        };
        struct guest *guest = *state;

        configure(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                enum vtd_frontend_binding binding;

                guest->broker->cap = cases[i].cap;
                guest->broker->ecap = cases[i].ecap;
                guest->lines = 0;
                assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", RID_A), cases[i].result);
                assert_int_equal(guest->lines, cases[i].result != 0);
                assert_int_equal(vtd_frontend_get_binding(guest->unit, RID_A, &binding),
                                 cases[i].result == 0 ? 0 : -ENODEV);
        }
        assert_int_equal(guest->broker->unplugs, VTD_ARRAY_SIZE(cases) - 1);
}

static void test_brokered_devices_need_first_stage_and_caching_mode(void **state)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_NESTED;
        struct guest *guest = *state;

        config.caching_mode = false;
        guest_configure(guest, &config, 7);
        guest->broker->cap = EVERYTHING_CAP;
        guest->broker->ecap = EVERYTHING_ECAP;
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", RID_A), -EINVAL);
        config.caching_mode = true;
        config.first_stage = config.first_stage_1gib = config.nested = false;
        guest_configure(guest, &config, 7);
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", RID_A), -EINVAL);
        assert_int_equal(guest->lines, 2);
        assert_int_equal(guest->broker->count, 0);
}

/* The flags and the width of an entry are what the broker is asked for. */
static void test_first_stage_attributes_are_passed_on(void **state)
{
        static const struct {
                uint64_t bits;
                uint32_t width, flags;
        } cases[] = {
                {0, 48, 0},
                {BIT(0), 48, VTD_FIRST_STAGE_SRE},
                {BIT(4), 48, VTD_FIRST_STAGE_WPE},
                {BIT(7), 48, VTD_FIRST_STAGE_EAFE},
                {BIT(2), 57, 0},
                {BIT(0) | BIT(2) | BIT(4) | BIT(7), 57, VTD_FIRST_STAGE_FLAGS},
        };
        struct guest *guest = *state;

        configure(guest);
        plug(guest, RID_A);
        put_entry(guest, RID_A, 1, 5, TABLE_A);
        enable_translation(guest);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                const struct vtd_attach_request *attach = &guest->broker->requests[0].attach;

                put_entry(guest, RID_A, 1, 5, TABLE_B | cases[i].bits);
                fake_backend_forget(guest->broker);
                invalidate(guest, PC_PASID(5, 0));
                assert_int_equal(guest->broker->requests[0].type, VTD_REQUEST_ATTACH);
                assert_int_equal(attach->root, TABLE_B);
                assert_int_equal(attach->address_width, cases[i].width);
                assert_int_equal(attach->flags, cases[i].flags);
                /* The same entry again asks for nothing. */
                fake_backend_forget(guest->broker);
                invalidate(guest, PC_PASID(5, 0));
                for (size_t j = 0; j < guest->broker->count; j++)
                        assert_int_not_equal(guest->broker->requests[j].type, VTD_REQUEST_ATTACH);
        }
}

/* Offered for emulated devices, they have no meaning for a device whose second stage is the host's. */
static void test_second_stage_entries_of_brokered_devices_are_refused(void **state)
{
        struct guest *guest = *state;

        configure(guest);
        plug(guest, RID_A);
        put_entry(guest, RID_A, 1, 5, TABLE_A);
        enable_translation(guest);
        for (unsigned type = VTD_PGTT_SECOND_STAGE; type <= VTD_PGTT_NESTED; type++) {
                put_entry(guest, RID_A, 1, 5, TABLE_A);
                invalidate(guest, PC_GLOBAL);
                assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_FIRST_STAGE);
                put_entry(guest, RID_A, type, 5, TABLE_A);
                invalidate(guest, PC_GLOBAL);
                assert_int_equal(binding_of(guest, RID_A), VTD_FRONTEND_BINDING_BLOCKED);
                assert_int_equal(fault_reason(guest, RID_A), 0x5b);
                clear_faults(guest);
        }
}

static void test_second_stage_entries_of_their_pasids_are_refused(void **state)
{
        struct guest *guest = *state;

        configure(guest);
        guest->broker->pasid_bits = 20;
        assert_int_equal(vtd_frontend_plug(guest->unit, "nic0", RID_A), 0);
        put_pasid_context(guest, RID_A, 0, directory_of(RID_A));
        enable_translation(guest);
        for (unsigned type = VTD_PGTT_SECOND_STAGE; type <= VTD_PGTT_NESTED; type++) {
                put_pasid(guest, RID_A, 7, type, 5, TABLE_A);
                invalidate(guest, PC_PASID(5, 7));
                assert_int_equal(pasid_binding_of(guest, RID_A, 7), VTD_FRONTEND_BINDING_BLOCKED);
                assert_int_equal(pasid_fault_reason(guest, RID_A, 7), 0x5b);
                clear_faults(guest);
        }
        put_pasid(guest, RID_A, 7, VTD_PGTT_FIRST_STAGE, 5, TABLE_A);
        invalidate(guest, PC_PASID(5, 7));
        assert_int_equal(pasid_binding_of(guest, RID_A, 7), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

/* A VMM's write_memory might well know the page as a device; a status written there is refused. */
static void test_a_status_is_not_written_into_the_register_page(void **state)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        struct guest *guest = *state;

        config.register_base = 0x380000; /* which the fixture's memory covers */
        guest_configure(guest, &config, 7);
        enable_queue(guest);
        guest->memory[0x380000] = guest->memory[0x380ffc] = 0x55;
        for (unsigned i = 0; i < 2; i++) {
                uint64_t address = i ? 0x380ffc : 0x380000;

                queue_descriptor(guest, 0x25 | UINT64_C(7) << 32, address);
                kick(guest);
                run_until(guest, VTD_FRONTEND_IDLE);
                assert_int_equal(guest->memory[address], 0x55);
                assert_int_equal(read32(guest, VTD_REG_IQERCD) & 0xf, VTD_QUEUE_ERROR_RESERVED);
                assert_int_equal(read32(guest, VTD_REG_IQH), 0);
                guest->tail = 0;
                queue_descriptor(guest, 0x25 | UINT64_C(7) << 32, i ? 0x381000 : 0x37fffc);
                write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
                run_until(guest, VTD_FRONTEND_IDLE);
                assert_int_equal(guest->memory[i ? 0x381000 : 0x37fffc], 7);
                assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
                /* Start anew at the first slot. */
                command(guest, 0, VTD_GCMD_QIE);
                run_until(guest, VTD_FRONTEND_IDLE);
                write32(guest, VTD_REG_IQT, 0);
                guest->tail = 0;
                command(guest, VTD_GCMD_QIE, 0);
                run_until(guest, VTD_FRONTEND_IDLE);
        }
}

/* Addresses beyond what the guest's machine can have are no memory, whatever the VMM would say. */
/* Guest memory as some VMM's, which has it again above 2^40. */
static int read_again(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct guest *guest = opaque;

        gpa &= BIT(40) - 1;
        if (!vtd_range_within(gpa, size, GUEST_MEMORY))
                return -EFAULT;
        memcpy(data, guest->memory + gpa, size);
        return 0;
}

static int write_again(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        struct guest *guest = opaque;

        gpa &= BIT(40) - 1;
        if (!vtd_range_within(gpa, size, GUEST_MEMORY))
                return -EFAULT;
        memcpy(guest->memory + gpa, data, size);
        return 0;
}

static void test_the_host_address_width_bounds_root_queue_and_status(void **state)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        struct guest *guest = *state;

        config.host_address_bits = 40;
        guest_configure(guest, &config, 7);
        guest->unit->engine.guest.callbacks.read_memory = read_again;
        guest->unit->engine.guest.callbacks.write_memory = write_again;
        enable_queue(guest);
        invalidate(guest, 0x25 | UINT64_C(7) << 32, BIT(40) | STATUS);
        assert_int_equal(guest_get32(guest, STATUS), 0);
        assert_int_equal(read32(guest, VTD_REG_IQERCD) & 0xf, VTD_QUEUE_ERROR_RESERVED);
        command(guest, 0, VTD_GCMD_QIE);
        run_until(guest, VTD_FRONTEND_IDLE);
        write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
        write64(guest, VTD_REG_IQA, BIT(40) | QUEUE | 0x800);
        command(guest, VTD_GCMD_QIE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_IQERCD) & 0xf, VTD_QUEUE_ERROR_FETCH);
        plug(guest, RID_A);
        put_entry(guest, RID_A, VTD_PGTT_FIRST_STAGE, 5, TABLE_A);
        write64(guest, VTD_REG_RTADDR, BIT(40) | ROOT_TABLE | 0x400);
        command(guest, VTD_GCMD_SRTP | VTD_GCMD_TE, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(fault_reason(guest, RID_A), 0x38);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_plug_refuses_what_the_host_cannot_keep_of_a_promise),
                TEST(test_brokered_devices_need_first_stage_and_caching_mode),
                TEST(test_first_stage_attributes_are_passed_on),
                TEST(test_second_stage_entries_of_brokered_devices_are_refused),
                TEST(test_second_stage_entries_of_their_pasids_are_refused),
                TEST(test_a_status_is_not_written_into_the_register_page),
                TEST(test_the_host_address_width_bounds_root_queue_and_status),
        };

        return cmocka_run_group_tests_name("frontend-offers", tests, NULL, NULL);
}
