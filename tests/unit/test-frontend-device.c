/* SPDX-License-Identifier: MIT */
/* vtd/device.h against a broker in this process: what it is asked, and what becomes of its answers. */
#include "tests/unit/frontend-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "frontend/include/vtd/device.h"
#include "shared/checked.h"

#define DEVICE_A 1u /* handle of what is plugged first */

static void test_region_accesses_are_checked_and_cut_to_their_width(void **state)
{
        static const unsigned widths[] = {1, 2, 4, 8};
        static const uint64_t cut[] = {0x88, 0x7788, 0x55667788, 0x1122334455667788};
        struct guest *guest = *state;
        uint64_t value;

        plug(guest, RID_A);
        assert_int_equal(vtd_frontend_region_read(guest->unit, RID_B, 0, 0, 4, &value), -ENODEV);
        assert_int_equal(vtd_frontend_region_write(guest->unit, RID_A, 0, 0, 3, 0), -EINVAL);
        assert_int_equal(vtd_frontend_region_write(guest->unit, RID_A, 0, 0, 0, 0), -EINVAL);
        fake_backend_forget(guest->broker);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(widths); i++) {
                const struct vtd_request *request = &guest->broker->requests[i];

                assert_int_equal(vtd_frontend_region_write(guest->unit, RID_A, 2, 0x18, widths[i],
                                                           0x1122334455667788),
                                 0);
                assert_int_equal(request->type, VTD_REQUEST_REGION_WRITE);
                assert_int_equal(request->region.region, 2);
                assert_int_equal(request->region.offset, 0x18);
                assert_int_equal(request->region.value, cut[i]);
        }
}

static void test_config_accesses_are_checked_and_cut_to_their_width(void **state)
{
        static const unsigned widths[] = {1, 2, 4};
        static const uint32_t cut[] = {0x88, 0x7788, 0x55667788};
        struct guest *guest = *state;
        uint32_t value = 0;

        plug(guest, RID_A);
        assert_int_equal(vtd_frontend_config_read(guest->unit, RID_B, 0, 4, &value), -ENODEV);
        assert_int_equal(vtd_frontend_config_read(guest->unit, RID_A, 0, 8, &value), -EINVAL);
        assert_int_equal(vtd_frontend_config_read(guest->unit, RID_A, 0, 0, &value), -EINVAL);
        assert_int_equal(vtd_frontend_config_write(guest->unit, RID_B, 0, 4, 0), -ENODEV);
        assert_int_equal(vtd_frontend_config_write(guest->unit, RID_A, 0, 3, 0), -EINVAL);
        fake_backend_forget(guest->broker);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(widths); i++) {
                const struct vtd_request *request = &guest->broker->requests[2 * i];

                assert_int_equal(
                        vtd_frontend_config_write(guest->unit, RID_A, 0x104, widths[i], 0x55667788),
                        0);
                assert_int_equal(
                        vtd_frontend_config_read(guest->unit, RID_A, 0x44, widths[i], &value), 0);
                assert_int_equal(value, 0x12345678 & (UINT32_MAX >> (32 - 8 * widths[i])));
                assert_int_equal(request[0].type, VTD_REQUEST_CONFIG_WRITE);
                assert_int_equal(request[0].config.device, DEVICE_A);
                assert_int_equal(request[0].config.offset, 0x104);
                assert_int_equal(request[0].config.width, widths[i]);
                assert_int_equal(request[0].config.value, cut[i]);
                assert_int_equal(request[1].type, VTD_REQUEST_CONFIG_READ);
                assert_int_equal(request[1].config.offset, 0x44);
                assert_int_equal(request[1].config.value, 0);
        }
}

static void test_what_a_device_is_comes_from_the_broker(void **state)
{
        struct vtd_frontend_device_info info = {0};
        struct guest *guest = *state;

        plug(guest, RID_A);
        guest->broker->info = (struct vtd_device_info_reply){
                .regions = {[1] = {4096, true, false}, [5] = {8192, true, true}},
                .config_readable = true,
                .msi_vectors = 1,
                .msix_vectors = 9,
                .can_reset = true,
        };
        assert_int_equal(vtd_frontend_get_device_info(guest->unit, RID_B, &info), -ENODEV);
        assert_int_equal(vtd_frontend_get_device_info(guest->unit, RID_A, &info), 0);
        assert_int_equal(guest->broker->last.device.device, DEVICE_A);
        assert_int_equal(info.regions[0].size, 0);
        assert_int_equal(info.regions[1].size, 4096);
        assert_true(info.regions[1].readable && !info.regions[1].writable);
        assert_int_equal(info.regions[5].size, 8192);
        assert_true(info.regions[5].readable && info.regions[5].writable);
        assert_true(info.config_readable && !info.config_writable && info.can_reset);
        assert_int_equal(info.msi_vectors, 1);
        assert_int_equal(info.msix_vectors, 9);
}

static void test_interrupts_name_a_kind_and_a_vector(void **state)
{
        struct guest *guest = *state;
        struct vtd_frontend *unit = guest->unit;
        const struct vtd_request *last = &guest->broker->last;
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        assert_true(fd >= 0);
        plug(guest, RID_A);
        assert_int_equal(vtd_frontend_set_interrupt(unit, RID_B, VTD_FRONTEND_MSI, 0, fd), -ENODEV);
        assert_int_equal(vtd_frontend_set_interrupt(unit, RID_A, 0, 0, fd), -EINVAL);
        assert_int_equal(vtd_frontend_set_interrupt(unit, RID_A, 3, 0, fd), -EINVAL);
        assert_int_equal(vtd_frontend_set_interrupt(unit, RID_A, VTD_FRONTEND_MSI, 0, -1), -EBADF);
        assert_int_equal(vtd_frontend_clear_interrupts(unit, RID_B, VTD_FRONTEND_MSI), -ENODEV);
        assert_int_equal(vtd_frontend_clear_interrupts(unit, RID_A, 0), -EINVAL);

        assert_int_equal(vtd_frontend_set_interrupt(unit, RID_A, VTD_FRONTEND_MSIX, 7, fd), 0);
        assert_int_equal(last->type, VTD_REQUEST_SET_INTERRUPT);
        assert_int_equal(last->interrupt.device, DEVICE_A);
        assert_int_equal(last->interrupt.kind, VTD_INTERRUPT_MSIX);
        assert_int_equal(last->interrupt.vector, 7);
        assert_int_equal(guest->broker->last_fd, fd);
        assert_int_equal(vtd_frontend_clear_interrupts(unit, RID_A, VTD_FRONTEND_MSIX), 0);
        assert_int_equal(last->type, VTD_REQUEST_CLEAR_INTERRUPTS);
        assert_int_equal(last->interrupt.kind, VTD_INTERRUPT_MSIX);
        assert_int_equal(last->interrupt.vector, 0);
        assert_int_equal(guest->broker->last_fd, -1);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC); /* still the caller's */
        (void)close(fd);
}

static void test_a_reset_names_its_device(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_A);
        assert_int_equal(vtd_frontend_reset_device(guest->unit, RID_B), -ENODEV);
        assert_int_equal(vtd_frontend_reset_device(guest->unit, RID_A), 0);
        assert_int_equal(guest->broker->last.type, VTD_REQUEST_RESET_DEVICE);
        assert_int_equal(guest->broker->last.device.device, DEVICE_A);
}

/* Each call of the file once, on @unit; all of them return @expected. */
static void assert_every_call_returns(struct vtd_frontend *unit, bool regions_too, int expected)
{
        struct vtd_frontend_device_info info;
        uint64_t wide;
        uint32_t value;

        assert_int_equal(vtd_frontend_get_device_info(unit, RID_A, &info), expected);
        assert_int_equal(vtd_frontend_config_read(unit, RID_A, 0, 4, &value), expected);
        assert_int_equal(vtd_frontend_config_write(unit, RID_A, 4, 2, 0), expected);
        assert_int_equal(vtd_frontend_set_interrupt(unit, RID_A, VTD_FRONTEND_MSI, 0, STDIN_FILENO),
                         expected);
        assert_int_equal(vtd_frontend_clear_interrupts(unit, RID_A, VTD_FRONTEND_MSI), expected);
        assert_int_equal(vtd_frontend_reset_device(unit, RID_A), expected);
        if (!regions_too)
                return;
        assert_int_equal(vtd_frontend_region_read(unit, RID_A, 0, 0, 4, &wide), expected);
        assert_int_equal(vtd_frontend_region_write(unit, RID_A, 0, 0, 4, 0), expected);
}

static void test_every_call_is_busy_while_a_request_is_outstanding(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_A);
        guest->broker->hold = true;
        command(guest, VTD_GCMD_TE, 0);
        write64(guest, VTD_REG_RTADDR, ROOT_TABLE | 0x400);
        command(guest, VTD_GCMD_SRTP, 0);
        run_until(guest, VTD_FRONTEND_WAITING);
        assert_every_call_returns(guest->unit, true, VTD_FRONTEND_BUSY);
        guest->broker->hold = false;
        run_until(guest, VTD_FRONTEND_IDLE);
        assert_every_call_returns(guest->unit, true, 0);
}

/* What it does not know would end the connection, and every device with it. */
static void test_an_older_broker_is_not_asked_for_what_it_does_not_know(void **state)
{
        struct vtd_frontend_refusal refusal;
        struct guest *guest = *state;

        guest->unit->engine.minor = 0;
        plug(guest, RID_A);
        fake_backend_forget(guest->broker);
        assert_every_call_returns(guest->unit, false, VTD_FRONTEND_REFUSED);
        vtd_frontend_refusal(guest->unit, &refusal);
        assert_string_equal(refusal.status_name, "unsupported");
        assert_string_equal(refusal.reason_name, "not-built");
        assert_int_equal(refusal.asked, VTD_REQUEST_RESET_DEVICE);
        assert_int_equal(guest->broker->count, 0);
}

static void test_a_lost_broker_is_found_out_by_any_call(void **state)
{
        struct guest *guest = *state;

        plug(guest, RID_A);
        guest->broker->lost = true;
        assert_every_call_returns(guest->unit, true, VTD_FRONTEND_LOST);
        assert_int_equal(guest->lost, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_region_accesses_are_checked_and_cut_to_their_width),
                TEST(test_config_accesses_are_checked_and_cut_to_their_width),
                TEST(test_what_a_device_is_comes_from_the_broker),
                TEST(test_interrupts_name_a_kind_and_a_vector),
                TEST(test_a_reset_names_its_device),
                TEST(test_every_call_is_busy_while_a_request_is_outstanding),
                TEST(test_an_older_broker_is_not_asked_for_what_it_does_not_know),
                TEST(test_a_lost_broker_is_found_out_by_any_call),
        };

        return cmocka_run_group_tests_name("frontend-device", tests, NULL, NULL);
}
