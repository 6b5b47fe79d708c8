/* SPDX-License-Identifier: MIT */
/* The register page, the two events and the fault records, as a guest's accesses see them. */
#include "tests/unit/frontend-fixture.h"

#include <errno.h>

#include "frontend/event.h"
#include "frontend/fault.h"
#include "shared/checked.h"

static void test_capabilities_follow_the_configuration(void **state)
{
        const struct vtd_frontend_config first_stage = VTD_FRONTEND_CONFIG_FIRST_STAGE;
        const struct vtd_frontend_config nested = VTD_FRONTEND_CONFIG_NESTED;
        struct vtd_frontend_config full = VTD_FRONTEND_CONFIG_NESTED;
        struct guest *guest = *state;

        assert_int_equal(read32(guest, VTD_REG_VER), 0x60);
        assert_int_equal(read64(guest, VTD_REG_CAP), 0xc0d20080226f0086);
        assert_int_equal(read64(guest, VTD_REG_ECAP), 0x0003880000000f43);
        guest_configure(guest, &first_stage, 7);
        assert_int_equal(read64(guest, VTD_REG_CAP), 0xc1d20080226f0086);
        assert_int_equal(read64(guest, VTD_REG_ECAP), 0x0003899800000fc3);
        guest_configure(guest, &nested, 7);
        assert_int_equal(read64(guest, VTD_REG_CAP), 0xc1d2008c226f0486);
        assert_int_equal(read64(guest, VTD_REG_ECAP), 0x0003c99804000fc3);
        full.interrupt_remapping = full.extended_interrupt_mode = true;
        guest_configure(guest, &full, 7);
        assert_int_equal(read64(guest, VTD_REG_ECAP), 0x0003c99804f00fdb);
        full = (struct vtd_frontend_config)VTD_FRONTEND_CONFIG_NESTED;
        full.second_stage_widths |= VTD_FRONTEND_WIDTH_39 | VTD_FRONTEND_WIDTH_57;
        full.second_stage_dirty = full.first_stage_5level = true;
        full.supervisor_requests = full.extended_accessed = true;
        full.caching_mode = false;
        full.pasid_bits = 1;
        full.fault_records = 222;
        full.address_bits = 57;
        guest_configure(guest, &full, 7);
        assert_int_equal(read64(guest, VTD_REG_CAP), 0xd1d2dd8c22780e06);
        assert_int_equal(read64(guest, VTD_REG_ECAP), 0x0003e90484000fc3);
}

static void refused(struct guest *guest, const struct vtd_frontend_config *config)
{
        struct vtd_frontend *unit = NULL;
        unsigned lines = guest->lines;

        assert_int_equal(
                vtd_frontend_new(&unit, config, &guest->unit->engine.guest.callbacks, guest),
                -EINVAL);
        assert_null(unit);
        assert_int_equal(guest->lines, lines + 1);
}

/* The default configuration, changed in one way, is impossible, and a line says why. */
#define REFUSED(...)                                                                               \
        do {                                                                                       \
                struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;                   \
                                                                                                   \
                __VA_ARGS__;                                                                       \
                refused(guest, &config);                                                           \
        } while (0)

static void test_impossible_configurations_are_refused(void **state)
{
        struct guest *guest = *state;

        REFUSED(config.fault_records = 0);
        REFUSED(config.fault_records = 223);
        REFUSED(config.address_bits = 38);
        REFUSED(config.address_bits = 49);
        REFUSED(config.address_bits = 58; config.first_stage_5level = true);
        REFUSED(config.host_address_bits = 31);
        REFUSED(config.host_address_bits = 53);
        REFUSED(config.pasid_bits = 21);
        REFUSED(config.first_stage = false);
        REFUSED(config.first_stage = false; config.first_stage_1gib = true;
                config.second_stage_widths = 4);
        REFUSED(config.first_stage = false; config.first_stage_5level = true;
                config.second_stage_widths = 4);
        REFUSED(config.first_stage = false; config.supervisor_requests = true;
                config.second_stage_widths = 4);
        REFUSED(config.first_stage = false; config.extended_accessed = true;
                config.second_stage_widths = 4);
        REFUSED(config.first_stage = false; config.nested = true; config.second_stage_widths = 4);
        REFUSED(config.nested = true);
        REFUSED(config.second_stage_dirty = true);
        REFUSED(config.second_stage_widths = 1);
        REFUSED(config.second_stage_widths = 0x14);
        REFUSED(config.extended_interrupt_mode = true);
        REFUSED(config.register_base = 0);
        REFUSED(config.register_base = 0xfed90800);
        REFUSED(config.register_base = UINT64_C(1) << 52);
        REFUSED(config.register_base = UINT64_C(1) << 32; config.host_address_bits = 32);
        REFUSED(config.register_base = 0xfee00000);
        REFUSED(config.register_base = 0xfeeff000);
}

static void test_required_callbacks_must_be_given(void **state)
{
        struct guest *guest = *state;
        const struct vtd_frontend_callbacks all = guest->unit->engine.guest.callbacks;
        const struct vtd_frontend_config good = VTD_FRONTEND_CONFIG_DEFAULT;
        struct vtd_frontend_callbacks callbacks = all;
        struct vtd_frontend *unit = NULL;

        callbacks.read_memory = NULL;
        assert_int_equal(vtd_frontend_new(&unit, &good, &callbacks, guest), -EINVAL);
        callbacks = all;
        callbacks.write_memory = NULL;
        assert_int_equal(vtd_frontend_new(&unit, &good, &callbacks, guest), -EINVAL);
        callbacks = all;
        callbacks.send_message = NULL;
        assert_int_equal(vtd_frontend_new(&unit, &good, &callbacks, guest), -EINVAL);
        assert_null(unit);
        /* The two optional ones. */
        callbacks = all;
        callbacks.log = NULL;
        callbacks.broker_lost = NULL;
        assert_int_equal(vtd_frontend_new(&unit, &good, &callbacks, guest), 0);
        unit = vtd_frontend_free(unit);
        assert_null(unit);
}

/* What each dword keeps of all ones; dwords that are not listed keep their reset value. */
static void test_every_register_keeps_its_reserved_bits(void **state)
{
        static const struct {
                unsigned offset;
                uint32_t kept;
        } kept[] = {
                {VTD_REG_RTADDR, 0xfffffc00},    {VTD_REG_RTADDR + 4, 0xffffffff},
                {VTD_REG_CCMD + 4, 0x60000000},  {VTD_REG_FECTL, 0x80000000},
                {VTD_REG_FEDATA, 0x0000ffff},    {VTD_REG_FEADDR, 0xfffffffc},
                {VTD_REG_IQT, 0x0007fff0},       {VTD_REG_IQA, 0xfffff807},
                {VTD_REG_IQA + 4, 0xffffffff},   {VTD_REG_IECTL, 0x80000000},
                {VTD_REG_IEDATA, 0x0000ffff},    {VTD_REG_IEADDR, 0xfffffffc},
                {VTD_REG_IOTLB + 4, 0x3003ffff},
        };
        struct guest *guest = *state;

        for (unsigned offset = 0; offset < 4096; offset += 4) {
                uint32_t expected = read32(guest, offset);

                for (size_t i = 0; i < VTD_ARRAY_SIZE(kept); i++)
                        if (kept[i].offset == offset)
                                expected = kept[i].kept;
                write32(guest, offset, 0xffffffff);
                assert_int_equal(read32(guest, offset), expected);
        }
}

static void test_accesses_of_eight_bytes_are_two_of_four(void **state)
{
        struct guest *guest = *state;

        write64(guest, VTD_REG_RTADDR, 0x1234567890abcfff);
        assert_int_equal(read32(guest, VTD_REG_RTADDR), 0x90abcc00);
        assert_int_equal(read32(guest, VTD_REG_RTADDR + 4), 0x12345678);
        assert_int_equal(read64(guest, VTD_REG_RTADDR), 0x1234567890abcc00);
        /* One store over address and upper address, the latter not writable without EIM. */
        write64(guest, VTD_REG_FEADDR, 0x1fee01000);
        assert_int_equal(read64(guest, VTD_REG_FEADDR), 0xfee01000);
        for (unsigned offset = 0; offset < 4096; offset += 8)
                write64(guest, offset, UINT64_MAX);
        run_until(guest, VTD_FRONTEND_IDLE);
}

static void test_other_accesses_read_zero_and_change_nothing(void **state)
{
        static const struct {
                uint64_t offset;
                unsigned size;
        } cases[] = {
                {VTD_REG_RTADDR, 1},
                {VTD_REG_RTADDR, 2},
                {VTD_REG_RTADDR, 3},
                {VTD_REG_RTADDR, 16},
                {VTD_REG_RTADDR, 0},
                {VTD_REG_RTADDR + 2, 4},
                {VTD_REG_RTADDR + 4, 8},
                {VTD_REG_RTADDR - 4, 8},
                {4096, 4},
                {4096, 8},
                {UINT64_MAX - 3, 4},
                {UINT64_C(1) << 32, 4},
        };
        struct guest *guest = *state;

        write64(guest, VTD_REG_RTADDR, 0x7000);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                vtd_frontend_write(guest->unit, cases[i].offset, cases[i].size, UINT64_MAX);
                assert_int_equal(vtd_frontend_read(guest->unit, cases[i].offset, cases[i].size), 0);
        }
        assert_int_equal(read64(guest, VTD_REG_RTADDR), 0x7000);
}

static void test_srtp_alone_sets_rtps_alone(void **state)
{
        struct guest *guest = *state;

        command(guest, VTD_GCMD_SRTP, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_SRTP);
        assert_int_equal(read32(guest, VTD_REG_GCMD), 0);
        /* Polling for a second one must not see the first one's answer. */
        command(guest, VTD_GCMD_SRTP, 0);
        assert_int_equal(read32(guest, VTD_REG_GSTS), 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_SRTP);
        /* Writing 0 to a one-shot bit does nothing. */
        command(guest, 0, 0);
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), VTD_GCMD_SRTP);
}

static void test_commands_that_are_not_offered_do_nothing(void **state)
{
        struct guest *guest = *state;

        write32(guest, VTD_REG_GCMD, ~(VTD_GCMD_TE | VTD_GCMD_SRTP | VTD_GCMD_QIE));
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_int_equal(read32(guest, VTD_REG_GSTS), 0);
}

static void test_register_invalidation_never_looks_busy(void **state)
{
        struct guest *guest = *state;

        write64(guest, VTD_REG_CCMD, UINT64_C(0xa000000000000000));
        write64(guest, VTD_REG_IVA, 0x1000);
        write64(guest, VTD_REG_IOTLB, UINT64_C(0x9000000000000000));
        assert_int_equal(read64(guest, VTD_REG_CCMD) >> 63, 0);
        assert_int_equal((read64(guest, VTD_REG_CCMD) >> 59) & 3, 0);
        assert_int_equal(read64(guest, VTD_REG_IVA), 0);
        assert_int_equal(read64(guest, VTD_REG_IOTLB) >> 63, 0);
        assert_int_equal((read64(guest, VTD_REG_IOTLB) >> 57) & 3, 0);
}

static void test_reset_restores_every_register(void **state)
{
        struct guest *guest = *state;
        uint32_t before[1024];

        for (unsigned i = 0; i < 1024; i++)
                before[i] = read32(guest, i * 4);
        for (unsigned i = 0; i < 1024; i++)
                write32(guest, i * 4, 0x5a5a5a5a);
        run_until(guest, VTD_FRONTEND_IDLE);
        vtd_frontend_reset(guest->unit);
        run_until(guest, VTD_FRONTEND_IDLE);
        for (unsigned i = 0; i < 1024; i++)
                assert_int_equal(read32(guest, i * 4), before[i]);
}

static void record(struct guest *guest, uint16_t rid, enum vtd_fault_reason reason, bool fpd)
{
        struct vtd_engine *engine = &guest->unit->engine;
        const struct vtd_fault fault = {.reason = reason, .fpd = fpd, .rid = rid};
        struct vtd_message message = {.due = false};

        (void)vtd_fault_record(&engine->registers, &fault, &message);
        vtd_guest_deliver(&engine->guest, &message);
}

static void queue_error(struct guest *guest, enum vtd_queue_error error)
{
        struct vtd_engine *engine = &guest->unit->engine;
        struct vtd_message message = {.due = false};

        vtd_fault_queue_error(&engine->registers, error, &message);
        vtd_guest_deliver(&engine->guest, &message);
}

static void arm_fault_event(struct guest *guest)
{
        write32(guest, VTD_REG_FEDATA, 0x41);
        write32(guest, VTD_REG_FEADDR, 0xfee00000);
        write32(guest, VTD_REG_FECTL, 0);
}

static void test_two_faults_with_one_record_overflow_with_one_message(void **state)
{
        struct guest *guest = *state;

        arm_fault_event(guest);
        record(guest, 0x1234, VTD_FAULT_PASID_INVALID, false);
        record(guest, 0x1235, VTD_FAULT_PASID_INVALID, false);
        record(guest, 0x1236, VTD_FAULT_PASID_INVALID, false);
        assert_int_equal(guest->messages, 1);
        assert_int_equal(guest->message_address, 0xfee00000);
        assert_int_equal(guest->message_data, 0x41);
        assert_int_equal(read32(guest, VTD_REG_FSTS), VTD_FSTS_PPF | VTD_FSTS_PFO);
        assert_int_equal(read64(guest, VTD_REG_FRCD), 0);
        assert_int_equal(read64(guest, VTD_REG_FRCD + 8), 0x8000005b00001234);
}

static void test_no_fault_is_recorded_while_an_overflow_stands(void **state)
{
        struct guest *guest = *state;

        record(guest, 1, VTD_FAULT_PASID_INVALID, false);
        record(guest, 2, VTD_FAULT_PASID_INVALID, false);
        write32(guest, VTD_REG_FRCD + 12, VTD_FRCD_F);
        record(guest, 3, VTD_FAULT_PASID_INVALID, false);
        assert_int_equal(read32(guest, VTD_REG_FSTS), VTD_FSTS_PFO);
        write32(guest, VTD_REG_FSTS, VTD_FSTS_PFO);
        record(guest, 4, VTD_FAULT_PASID_INVALID, false);
        assert_int_equal(fault_reason(guest, 4), VTD_FAULT_PASID_INVALID);
}

static void test_a_masked_fault_is_pending_and_sent_when_unmasked(void **state)
{
        struct guest *guest = *state;

        arm_fault_event(guest);
        write32(guest, VTD_REG_FECTL, VTD_ECTL_IM);
        record(guest, 8, VTD_FAULT_PASID_INVALID, false);
        assert_int_equal(read32(guest, VTD_REG_FECTL), VTD_ECTL_IM | VTD_ECTL_IP);
        assert_int_equal(guest->messages, 0);
        write32(guest, VTD_REG_FECTL, 0);
        assert_int_equal(read32(guest, VTD_REG_FECTL), 0);
        assert_int_equal(guest->messages, 1);
}

static void test_a_pending_fault_event_falls_when_all_causes_are_cleared(void **state)
{
        struct guest *guest = *state;

        record(guest, 8, VTD_FAULT_PASID_INVALID, false);
        assert_int_equal(read32(guest, VTD_REG_FECTL), VTD_ECTL_IM | VTD_ECTL_IP);
        write32(guest, VTD_REG_FSTS, VTD_FSTS_PPF);
        assert_int_equal(read32(guest, VTD_REG_FSTS), VTD_FSTS_PPF);
        write32(guest, VTD_REG_FRCD + 12, VTD_FRCD_F);
        assert_int_equal(read32(guest, VTD_REG_FSTS), 0);
        assert_int_equal(read32(guest, VTD_REG_FECTL), VTD_ECTL_IM);
}

/* The other order: what stands last is the queue error. */
static void test_a_pending_fault_event_stays_while_a_cause_is_left(void **state)
{
        struct guest *guest = *state;

        record(guest, 8, VTD_FAULT_PASID_INVALID, false);
        queue_error(guest, VTD_QUEUE_ERROR_TYPE);
        write32(guest, VTD_REG_FRCD + 12, VTD_FRCD_F);
        assert_int_equal(read32(guest, VTD_REG_FSTS), VTD_FSTS_IQE);
        assert_int_equal(read32(guest, VTD_REG_FECTL), VTD_ECTL_IM | VTD_ECTL_IP);
        write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
        assert_int_equal(read32(guest, VTD_REG_FECTL), VTD_ECTL_IM);
}

/* Whatever is written: F goes, and all else of the record stays. */
static void test_a_record_keeps_all_but_its_flag(void **state)
{
        struct guest *guest = *state;
        const struct vtd_fault fault = {
                .reason = VTD_FAULT_FIRST_STAGE_ABSENT,
                .rid = 0xffff,
                .with_pasid = true,
                .pasid = 0xfffff,
                .privileged = true,
                .address = UINT64_MAX,
                .access = VTD_FAULT_ATOMIC,
        };
        struct vtd_message message = {.due = false};

        assert_true(vtd_fault_record(&guest->unit->engine.registers, &fault, &message));
        assert_int_equal(read64(guest, VTD_REG_FRCD), 0xfffffffffffff000);
        assert_int_equal(read64(guest, VTD_REG_FRCD + 8), 0xcfffff71b000ffff);
        for (unsigned offset = VTD_REG_FRCD; offset < VTD_REG_FRCD + VTD_FRCD_SIZE; offset += 4)
                write32(guest, offset, 0x7fffffff);
        assert_int_equal(read64(guest, VTD_REG_FRCD), 0xfffffffffffff000);
        assert_int_equal(read64(guest, VTD_REG_FRCD + 8), 0xcfffff71b000ffff);
        for (unsigned offset = VTD_REG_FRCD; offset < VTD_REG_FRCD + VTD_FRCD_SIZE; offset += 4)
                write32(guest, offset, 0xffffffff);
        assert_int_equal(read64(guest, VTD_REG_FRCD), 0xfffffffffffff000);
        assert_int_equal(read64(guest, VTD_REG_FRCD + 8), 0x4fffff71b000ffff);
}

static void test_records_are_used_in_turn_and_may_be_cleared_out_of_order(void **state)
{
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        struct guest *guest = *state;

        config.fault_records = 2;
        guest_configure(guest, &config, 7);
        record(guest, 1, VTD_FAULT_PASID_INVALID, false);
        record(guest, 2, VTD_FAULT_PASID_RESERVED, false);
        assert_int_equal(read32(guest, VTD_REG_FSTS), VTD_FSTS_PPF);
        write32(guest, VTD_REG_FRCD + 12, VTD_FRCD_F);
        assert_int_equal(read32(guest, VTD_REG_FSTS), VTD_FSTS_PPF);
        record(guest, 3, VTD_FAULT_PASID_INVALID, false);
        assert_int_equal(read64(guest, VTD_REG_FRCD + 8), 0x8000005b00000003);
        assert_int_equal(read64(guest, VTD_REG_FRCD + 24), 0x8000005a00000002);
        write32(guest, VTD_REG_FRCD + 12, VTD_FRCD_F);
        write32(guest, VTD_REG_FRCD + 28, VTD_FRCD_F);
        assert_int_equal(read32(guest, VTD_REG_FSTS) & VTD_FSTS_PPF, 0);
        /* The next one goes where it was going to, and FRI says where. */
        record(guest, 4, VTD_FAULT_PASID_INVALID, false);
        assert_int_equal(read32(guest, VTD_REG_FSTS), VTD_FSTS_PPF | 1 << VTD_FSTS_FRI_SHIFT);
}

static void test_fpd_suppresses_exactly_the_qualified_faults(void **state)
{
        static const struct {
                enum vtd_fault_reason reason;
                bool suppressed;
        } cases[] = {
                {VTD_FAULT_REMAP_REQUEST, false},
                {VTD_FAULT_REMAP_INDEX, false},
                {VTD_FAULT_REMAP_ABSENT, true},
                {VTD_FAULT_REMAP_ACCESS, false},
                {VTD_FAULT_REMAP_RESERVED, true},
                {VTD_FAULT_REMAP_FORMAT, false},
                {VTD_FAULT_REMAP_SOURCE, true},
                {VTD_FAULT_INTERRUPT_REQUEST, false},
                {VTD_FAULT_ROOT_REGISTER, false},
                {VTD_FAULT_ROOT_LEGACY_PASID, false},
                {VTD_FAULT_ROOT_ACCESS, false},
                {VTD_FAULT_ROOT_ABSENT, false},
                {VTD_FAULT_ROOT_RESERVED, false},
                {VTD_FAULT_CONTEXT_ACCESS, false},
                {VTD_FAULT_CONTEXT_ABSENT, true},
                {VTD_FAULT_CONTEXT_RESERVED, true},
                {VTD_FAULT_CONTEXT_NO_PASID, true},
                {VTD_FAULT_CONTEXT_PASID, true},
                {VTD_FAULT_CONTEXT_RID_PASID, true},
                {VTD_FAULT_DIRECTORY_ACCESS, false},
                {VTD_FAULT_DIRECTORY_ABSENT, true},
                {VTD_FAULT_DIRECTORY_RESERVED, true},
                {VTD_FAULT_PASID_ACCESS, false},
                {VTD_FAULT_PASID_ABSENT, true},
                {VTD_FAULT_PASID_RESERVED, true},
                {VTD_FAULT_PASID_INVALID, true},
                {VTD_FAULT_PASID_SUPERVISOR, true},
                /* All below the entry, failed accesses to tables too. */
                {VTD_FAULT_FIRST_STAGE_ACCESS, true},
                {VTD_FAULT_FIRST_STAGE_ROOT_ACCESS, true},
                {VTD_FAULT_SECOND_STAGE_ACCESS, true},
                {VTD_FAULT_SECOND_STAGE_ROOT_ACCESS, true},
                {VTD_FAULT_NOT_CANONICAL, true},
                {VTD_FAULT_INTERRUPT_RANGE, true},
                {VTD_FAULT_FIRST_STAGE_UPDATE, true},
        };
        struct guest *guest = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                record(guest, 8, cases[i].reason, true);
                assert_int_equal(read32(guest, VTD_REG_FSTS),
                                 cases[i].suppressed ? 0 : VTD_FSTS_PPF);
                clear_faults(guest);
                record(guest, 8, cases[i].reason, false);
                assert_int_equal(fault_reason(guest, 8), cases[i].reason);
                clear_faults(guest);
        }
}

static void test_no_second_message_while_a_queue_error_is_standing(void **state)
{
        struct guest *guest = *state;

        arm_fault_event(guest);
        queue_error(guest, VTD_QUEUE_ERROR_TYPE);
        record(guest, 8, VTD_FAULT_PASID_INVALID, false);
        assert_int_equal(guest->messages, 1);
        write32(guest, VTD_REG_FSTS, VTD_FSTS_IQE);
        assert_int_equal(read32(guest, VTD_REG_FSTS), VTD_FSTS_PPF);
        queue_error(guest, VTD_QUEUE_ERROR_FETCH);
        assert_int_equal(guest->messages, 1);
        assert_int_equal(read64(guest, VTD_REG_IQERCD), VTD_QUEUE_ERROR_FETCH);
}

static void test_the_invalidation_event_is_cancelled_by_clearing_its_status(void **state)
{
        struct guest *guest = *state;
        struct vtd_engine *engine = &guest->unit->engine;
        struct vtd_message message = {.due = false};

        vtd_registers_set32(&engine->registers, VTD_REG_ICS, VTD_ICS_IWC);
        vtd_event_raise(&engine->registers, VTD_EVENT_INVALIDATION, &message);
        assert_false(message.due);
        assert_int_equal(read32(guest, VTD_REG_IECTL), VTD_ECTL_IM | VTD_ECTL_IP);
        write32(guest, VTD_REG_ICS, 0);
        assert_int_equal(read32(guest, VTD_REG_IECTL), VTD_ECTL_IM | VTD_ECTL_IP);
        write32(guest, VTD_REG_ICS, VTD_ICS_IWC);
        assert_int_equal(read32(guest, VTD_REG_ICS), 0);
        assert_int_equal(read32(guest, VTD_REG_IECTL), VTD_ECTL_IM);
        write32(guest, VTD_REG_IECTL, 0);
        assert_int_equal(guest->messages, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_capabilities_follow_the_configuration),
                TEST(test_impossible_configurations_are_refused),
                TEST(test_required_callbacks_must_be_given),
                TEST(test_every_register_keeps_its_reserved_bits),
                TEST(test_accesses_of_eight_bytes_are_two_of_four),
                TEST(test_other_accesses_read_zero_and_change_nothing),
                TEST(test_srtp_alone_sets_rtps_alone),
                TEST(test_commands_that_are_not_offered_do_nothing),
                TEST(test_register_invalidation_never_looks_busy),
                TEST(test_reset_restores_every_register),
                TEST(test_two_faults_with_one_record_overflow_with_one_message),
                TEST(test_no_fault_is_recorded_while_an_overflow_stands),
                TEST(test_a_masked_fault_is_pending_and_sent_when_unmasked),
                TEST(test_a_pending_fault_event_falls_when_all_causes_are_cleared),
                TEST(test_a_pending_fault_event_stays_while_a_cause_is_left),
                TEST(test_a_record_keeps_all_but_its_flag),
                TEST(test_records_are_used_in_turn_and_may_be_cleared_out_of_order),
                TEST(test_fpd_suppresses_exactly_the_qualified_faults),
                TEST(test_no_second_message_while_a_queue_error_is_standing),
                TEST(test_the_invalidation_event_is_cancelled_by_clearing_its_status),
        };

        return cmocka_run_group_tests_name("frontend-registers", tests, NULL, NULL);
}
