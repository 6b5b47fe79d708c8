/* SPDX-License-Identifier: MIT */
/*
 * What a simulated device has beside BAR and DMA, through the operations of broker/host.h:
 * configuration space, its interrupt, reset.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "broker/host.h"
#include "broker/host_sim/device_file.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

#define MEMORY (UINT64_C(1) << 20)

#define STATUS      0x24u
#define RAISE       0x60u
#define ACKNOWLEDGE 0x64u

struct machine {
        struct vtd_host *host;
        const struct vtd_host_ops *ops;
        uint32_t device, ioas, hwpt;
        int event;
};

static int setup(void **state)
{
        static struct machine machine;
        struct machine *m = &machine;
        int fd, ram = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(ram >= 0);
        assert_int_equal(ftruncate(ram, (off_t)MEMORY), 0);
        assert_int_equal(fcntl(ram, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        assert_int_equal(vtd_host_open(&m->host, -1), 0);
        m->ops = m->host->ops;
        assert_int_equal(vtd_sim_device_create("edu", &fd), 0);
        assert_int_equal(m->ops->bind(m->host, fd, &m->device), 0);
        assert_int_equal(m->ops->ioas_alloc(m->host, &m->ioas), 0);
        assert_int_equal(m->ops->second_stage_alloc(m->host, m->device, m->ioas, false, &m->hwpt),
                         0);
        assert_int_equal(m->ops->map_file(m->host, m->ioas, ram, 0, MEMORY, 0), 0);
        assert_int_equal(m->ops->attach(m->host, m->device, VTD_NO_PASID, m->hwpt), 0);
        assert_int_equal(m->ops->bus_master(m->host, m->device, true), 0);
        (void)close(ram);
        m->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        assert_true(m->event >= 0);
        *state = m;
        return 0;
}

static int teardown(void **state)
{
        struct machine *m = *state;

        m->host = m->ops->free(m->host);
        m->event = vtd_close(m->event);
        return 0;
}

static uint32_t config(struct machine *m, uint32_t offset, uint32_t width)
{
        uint32_t value = 0xa5a5a5a5;

        assert_int_equal(m->ops->config_read(m->host, m->device, offset, width, &value), 0);
        return value;
}

static void write_register(struct machine *m, uint64_t offset, uint64_t value)
{
        assert_int_equal(
                m->ops->region_write(m->host, m->device, 0, offset, offset < 0x80 ? 4 : 8, value),
                0);
}

static uint64_t read_register(struct machine *m, uint64_t offset)
{
        uint64_t value = 0;

        assert_int_equal(m->ops->region_read(m->host, m->device, 0, offset, 4, &value), 0);
        return value;
}

static int arm(struct machine *m, int fd)
{
        return m->ops->set_interrupt(m->host, m->device, VTD_INTERRUPT_MSI, 0, fd);
}

/* How often @fd was signalled since the last time. */
static uint64_t signals(int fd)
{
        uint64_t count = 0;

        if (read(fd, &count, sizeof(count)) < 0)
                assert_int_equal(errno, EAGAIN);
        return count;
}

static int lowest_free_fd(void)
{
        int fd = dup(0);

        assert_true(fd >= 0);
        (void)close(fd);
        return fd;
}

static void configuration_space_is_that_of_a_function(void **state)
{
        struct machine *m = *state;
        uint32_t offset = config(m, 0x34, 1), standard = 0, extended = 0;
        struct vtd_host_device_info info;

        assert_int_equal(m->ops->device_info(m->host, m->device, &info), 0);
        assert_int_equal(info.config_size, 4096);
        assert_int_equal(info.msi_vectors, 1);
        assert_int_equal(info.msix_vectors, 0);
        assert_int_equal(config(m, 0, 4), 0x11e81234);
        assert_int_equal(config(m, 0, 2), 0x1234);
        assert_int_equal(config(m, 3, 1), 0x11);
        assert_int_equal(config(m, 8, 4), 0x00ff0010);
        assert_int_equal(config(m, 4, 4), 0x00100006);
        assert_int_equal(m->ops->bus_master(m->host, m->device, false), 0);
        assert_int_equal(config(m, 4, 2), 0x0002);
        for (; offset != 0; offset = config(m, offset + 1, 1))
                standard |= 1u << config(m, offset, 1);
        assert_int_equal(standard, 1u << 1 | 1u << 5 | 1u << 9 | 1u << 16);
        for (offset = 0x100; offset != 0; offset = config(m, offset, 4) >> 20)
                extended |= 1u << config(m, offset, 2);
        assert_int_equal(extended, 1u << 1 | 1u << 3 | 1u << 13);
}

static void of_it_device_control_can_be_written(void **state)
{
        struct machine *m = *state;
        const struct vtd_host_ops *ops = m->ops;

        for (uint32_t offset = 0; offset < 4096; offset += 4)
                assert_int_equal(ops->config_write(m->host, m->device, offset, 4, UINT32_MAX), 0);
        assert_int_equal(config(m, 0, 4), 0x11e81234);
        assert_int_equal(config(m, 4, 4), 0x00100006);
        assert_int_equal(config(m, 0x68, 4), 0x00007fff);
        assert_int_equal(ops->config_write(m->host, m->device, 0x68, 2, 0x1234), 0);
        assert_int_equal(ops->config_write(m->host, m->device, 0x69, 1, 0x56), 0);
        assert_int_equal(ops->config_write(m->host, m->device, 0x6a, 2, 0xffff), 0);
        assert_int_equal(config(m, 0x68, 4), 0x5634);
}

static void accesses_are_aligned_and_inside(void **state)
{
        static const uint32_t wrong[][2] = {{4096, 1}, {4094, 4}, {1, 2}, {2, 4},
                                            {0, 3},    {0, 0},    {0, 8}, {UINT32_MAX, 1}};
        struct machine *m = *state;
        uint32_t value = 77;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(wrong); i++) {
                assert_int_equal(
                        m->ops->config_read(m->host, m->device, wrong[i][0], wrong[i][1], &value),
                        VTD_HOST_E_INVALID);
                assert_int_equal(
                        m->ops->config_write(m->host, m->device, wrong[i][0], wrong[i][1], 0),
                        VTD_HOST_E_INVALID);
        }
        assert_int_equal(m->ops->config_read(m->host, m->ioas, 0, 4, &value), VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->config_write(m->host, 999, 0, 4, 0), VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->set_interrupt(m->host, m->ioas, VTD_INTERRUPT_MSI, 0, m->event),
                         VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->clear_interrupts(m->host, m->ioas, VTD_INTERRUPT_MSI),
                         VTD_HOST_E_ABSENT);
        assert_int_equal(m->ops->reset(m->host, m->ioas), VTD_HOST_E_ABSENT);
        assert_int_equal(value, 77);
}

static void a_raised_interrupt_signals_the_eventfd(void **state)
{
        struct machine *m = *state;

        write_register(m, RAISE, 1); /* to nobody, and not kept */
        assert_int_equal(arm(m, m->event), 0);
        assert_int_equal(signals(m->event), 0);
        write_register(m, RAISE, 2);
        assert_int_equal(signals(m->event), 1);
        assert_int_equal(read_register(m, STATUS), 3);
        write_register(m, RAISE, 0); /* the status is not 0: again */
        write_register(m, RAISE, 4);
        assert_int_equal(signals(m->event), 2);
        write_register(m, ACKNOWLEDGE, 7);
        write_register(m, RAISE, 0);
        assert_int_equal(signals(m->event), 0);
}

static void the_end_of_a_transfer_signals_if_asked(void **state)
{
        struct machine *m = *state;

        assert_int_equal(arm(m, m->event), 0);
        for (uint64_t command = 1; command <= 5; command += 4) {
                write_register(m, 0x80, 0x1000);
                write_register(m, 0x88, VTD_SIM_EDU_BUFFER_START);
                write_register(m, 0x90, 2 * VTD_SIM_EDU_CHUNK);
                write_register(m, 0x98, command);
                assert_true(m->ops->step(m->host));
                assert_int_equal(signals(m->event), 0);
                assert_false(m->ops->step(m->host));
                assert_int_equal(signals(m->event), command == 5);
                assert_int_equal(read_register(m, STATUS), command == 5 ? 0x100 : 0);
        }
}

static void an_interrupt_is_a_write_of_the_device(void **state)
{
        struct machine *m = *state;

        assert_int_equal(arm(m, m->event), 0);
        assert_int_equal(m->ops->bus_master(m->host, m->device, false), 0);
        write_register(m, RAISE, 1);
        assert_int_equal(m->ops->bus_master(m->host, m->device, true), 0);
        assert_false(m->ops->step(m->host));
        assert_int_equal(signals(m->event), 0); /* it is lost, not late */
        write_register(m, RAISE, 1);
        assert_int_equal(signals(m->event), 1);
}

static void only_an_eventfd_can_be_signalled(void **state)
{
        struct machine *m = *state;
        int pipes[2], sockets[2], before = lowest_free_fd();
        int others[] = {
                open("/dev/null", O_RDWR | O_CLOEXEC),
                memfd_create("file", MFD_CLOEXEC),
                epoll_create1(EPOLL_CLOEXEC),
                timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC),
                -1,
                -1,
                -1,
        };

        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
        others[4] = pipes[1];
        others[5] = sockets[0];
        assert_int_equal(arm(m, m->event), 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(others); i++) {
                int r = arm(m, others[i]);

                assert_int_equal(r, others[i] < 0 ? -EBADF : VTD_HOST_E_INVALID);
                write_register(m, RAISE, 1);
                assert_int_equal(signals(m->event), 0); /* as in the kernel, the old one is gone */
                others[i] = vtd_close(others[i]);
                assert_int_equal(arm(m, m->event), 0);
        }
        (void)close(pipes[0]);
        (void)close(sockets[1]);
        assert_int_equal(m->ops->set_interrupt(m->host, m->device, VTD_INTERRUPT_MSI, 1, m->event),
                         VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->set_interrupt(m->host, m->device, VTD_INTERRUPT_MSIX, 0, m->event),
                         VTD_HOST_E_INVALID);
        assert_int_equal(m->ops->clear_interrupts(m->host, m->device, VTD_INTERRUPT_MSI), 0);
        assert_int_equal(lowest_free_fd(), before);
}

/* A device does not wait for whoever holds the other end. */
static void a_full_counter_takes_no_signal_and_holds_nobody_up(void **state)
{
        struct machine *m = *state;
        VTD_CLEANUP_FD int blocking = eventfd(0, EFD_CLOEXEC);
        const uint64_t almost = UINT64_MAX - 1;

        assert_int_equal(arm(m, blocking), 0);
        assert_int_equal(write(blocking, &almost, sizeof(almost)), sizeof(almost));
        (void)alarm(10); /* otherwise it would wait for ever */
        write_register(m, RAISE, 1);
        assert_int_equal(arm(m, blocking), VTD_HOST_E_INVALID);
        (void)alarm(0);
        assert_true(signals(blocking) == almost);
}

static void interrupts_can_be_moved_and_cleared(void **state)
{
        struct machine *m = *state;
        VTD_CLEANUP_FD int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        int before = lowest_free_fd();

        assert_int_equal(m->ops->clear_interrupts(m->host, m->device, VTD_INTERRUPT_MSI),
                         VTD_HOST_E_INVALID);
        assert_int_equal(arm(m, m->event), 0);
        assert_int_equal(arm(m, other), 0);
        write_register(m, RAISE, 1);
        assert_int_equal(signals(m->event), 0);
        assert_int_equal(signals(other), 1);
        assert_int_equal(m->ops->clear_interrupts(m->host, m->device, VTD_INTERRUPT_MSI), 0);
        write_register(m, RAISE, 1);
        assert_int_equal(signals(other), 0);
        assert_int_equal(lowest_free_fd(), before);
        assert_int_equal(arm(m, m->event), 0);
        assert_int_equal(m->ops->detach(m->host, m->device, VTD_NO_PASID), 0);
        assert_int_equal(m->ops->release(m->host, m->device), 0);
        assert_int_equal(lowest_free_fd(), before);
}

static void a_reset_keeps_what_is_not_the_functions(void **state)
{
        struct machine *m = *state;

        assert_int_equal(arm(m, m->event), 0);
        write_register(m, RAISE, 1);
        write_register(m, 0x04, 7);
        write_register(m, 0x98, 1);
        assert_int_equal(m->ops->config_write(m->host, m->device, 0x68, 2, 0x5010), 0);
        assert_int_equal(m->ops->reset(m->host, m->device), 0);
        assert_int_equal(signals(m->event), 1);
        assert_int_equal(read_register(m, STATUS), 0);
        assert_int_equal(read_register(m, 0x04), 0);
        assert_int_equal(config(m, 0x68, 2), 0x2810);
        assert_int_equal(config(m, 4, 2),
                         0x0002); /* mastering is for the caller to turn on again */
        assert_int_equal(m->ops->bus_master(m->host, m->device, true), 0);
        assert_int_equal(m->ops->destroy(m->host, m->hwpt), VTD_HOST_E_BUSY); /* still attached */
        write_register(m, RAISE, 1);
        assert_int_equal(signals(m->event), 1);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        const struct CMUnitTest tests[] = {
                CASE(configuration_space_is_that_of_a_function),
                CASE(of_it_device_control_can_be_written),
                CASE(accesses_are_aligned_and_inside),
                CASE(a_raised_interrupt_signals_the_eventfd),
                CASE(the_end_of_a_transfer_signals_if_asked),
                CASE(an_interrupt_is_a_write_of_the_device),
                CASE(only_an_eventfd_can_be_signalled),
                CASE(a_full_counter_takes_no_signal_and_holds_nobody_up),
                CASE(interrupts_can_be_moved_and_cleared),
                CASE(a_reset_keeps_what_is_not_the_functions),
        };

        return cmocka_run_group_tests_name("host-sim-device", tests, NULL, NULL);
}
