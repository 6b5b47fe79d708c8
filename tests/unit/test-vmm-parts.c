/* SPDX-License-Identifier: MIT */
/* Runs the functions that docs/vmm.md quotes, linked as a VMM links them, without a broker. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "docs/example/parts.h"
#include "tests/unit/unit.h"

#define RAM_SIZE   UINT64_C(0x10000)
#define REG_GCMD   0x18u
#define REG_GSTS   0x1cu
#define REG_RTADDR 0x20u
#define SRTP       0x40000000u
#define SCALABLE   0x400u
#define RID        0x0018
#define MESSAGE    UINT64_C(0xfee00000)

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct machine *machine = opaque;

        if (gpa >= machine->ram_size || size > machine->ram_size - gpa)
                return -EFAULT;
        memcpy(data, machine->ram + gpa, size);
        return 0;
}

static int write_memory(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        struct machine *machine = opaque;

        if (gpa >= machine->ram_size || size > machine->ram_size - gpa)
                return -EFAULT;
        memcpy(machine->ram + gpa, data, size);
        return 0;
}

static int compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                            uint64_t *found)
{
        struct machine *machine = opaque;

        if (gpa >= machine->ram_size || machine->ram_size - gpa < sizeof(*found))
                return -EFAULT;
        *found = expected;
        (void)__atomic_compare_exchange_n((uint64_t *)(void *)(machine->ram + gpa), found, desired,
                                          false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return 0;
}

static void send_message(void *opaque, uint64_t address, uint32_t data)
{
        (void)opaque;
        (void)address;
        (void)data;
}

/* A machine, and the message that its interrupt controllers were given last. */
struct fixture {
        struct machine machine;
        uint64_t address;
        uint32_t data;
        unsigned delivered;
};

static void deliver(struct machine *machine, uint64_t address, uint32_t data)
{
        struct fixture *fixture = (struct fixture *)(void *)machine;

        fixture->address = address;
        fixture->data = data;
        fixture->delivered++;
}

static struct fixture *fixture_new(bool interrupt_remapping)
{
        static const struct vtd_frontend_callbacks callbacks = {
                .read_memory = read_memory,
                .write_memory = write_memory,
                .compare_exchange = compare_exchange,
                .send_message = send_message,
        };
        struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        config.interrupt_remapping = interrupt_remapping;
        fixture->machine = (struct machine){.lock = PTHREAD_MUTEX_INITIALIZER,
                                            .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                            .ram = calloc(1, RAM_SIZE),
                                            .ram_size = RAM_SIZE,
                                            .deliver = deliver};
        assert_non_null(fixture->machine.ram);
        assert_true(fixture->machine.wake >= 0);
        assert_int_equal(
                vtd_frontend_new(&fixture->machine.iommu, &config, &callbacks, &fixture->machine),
                0);
        return fixture;
}

static void fixture_free(struct fixture *fixture)
{
        fixture->machine.iommu = vtd_frontend_free(fixture->machine.iommu);
        (void)close(fixture->machine.wake);
        free(fixture->machine.ram);
        free(fixture);
}

static void *serve_thread(void *opaque)
{
        return (void *)(intptr_t)serve(opaque);
}

/* A vCPU writes a command and goes on; the other thread carries it out. */
static void test_serve(void **state)
{
        struct fixture *fixture = fixture_new(false);
        struct machine *machine = &fixture->machine;
        uint64_t status = 0;
        pthread_t thread;
        void *result;

        (void)state;
        assert_int_equal(pthread_create(&thread, NULL, serve_thread, machine), 0);
        write_register(machine, REG_RTADDR, 8, 0x1000 | SCALABLE);
        write_register(machine, REG_GCMD, 4, SRTP);
        while (!(status & SRTP)) {
                (void)sched_yield();
                pthread_mutex_lock(&machine->lock);
                status = vtd_frontend_read(machine->iommu, REG_GSTS, 4);
                pthread_mutex_unlock(&machine->lock);
        }
        pthread_mutex_lock(&machine->lock);
        machine->stop = true;
        pthread_mutex_unlock(&machine->lock);
        assert_int_equal(eventfd_write(machine->wake, 1), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_null(result);
        fixture_free(fixture);
}

/* With translation off, DMA passes; where there is no RAM, nothing is touched. */
static void test_emulated_dma(void **state)
{
        struct fixture *fixture = fixture_new(false);
        struct machine *machine = &fixture->machine;
        uint8_t bytes[8192], back[8192] = {0};

        (void)state;
        memset(bytes, 'A', sizeof(bytes));
        assert_true(emulated_dma(machine, RID, 0x1800, bytes, sizeof(bytes), true));
        assert_int_equal(machine->ram[0x17ff], 0);
        assert_memory_equal(machine->ram + 0x1800, bytes, sizeof(bytes));
        assert_int_equal(machine->ram[0x3800], 0);
        assert_true(emulated_dma(machine, RID, 0x1800, back, sizeof(back), false));
        assert_memory_equal(back, bytes, sizeof(back));
        assert_false(emulated_dma(machine, RID, VTD_FRONTEND_REGISTER_BASE, bytes, 8, true));
        assert_false(emulated_dma(machine, RID, MESSAGE, bytes, 8, true));
        assert_false(emulated_dma(machine, RID, RAM_SIZE - 8, bytes, 16, false));
        fixture_free(fixture);
}

/* Tables that do not name the device: its DMA is blocked. */
static void test_emulated_dma_blocked(void **state)
{
        struct fixture *fixture = fixture_new(false);
        struct machine *machine = &fixture->machine;
        uint8_t bytes[16] = {0};

        (void)state;
        vtd_frontend_write(machine->iommu, REG_RTADDR, 8, 0x1000 | SCALABLE);
        vtd_frontend_write(machine->iommu, REG_GCMD, 4, SRTP);
        assert_int_equal(vtd_frontend_run(machine->iommu, 64), VTD_FRONTEND_IDLE);
        vtd_frontend_write(machine->iommu, REG_GCMD, 4, 0x80000000u);
        assert_int_equal(vtd_frontend_run(machine->iommu, 64), VTD_FRONTEND_IDLE);
        assert_false(emulated_dma(machine, RID, 0x4000, bytes, sizeof(bytes), false));
        fixture_free(fixture);
}

static void test_deliver(void **state)
{
        struct fixture *fixture = fixture_new(true);

        (void)state;
        deliver_message(&fixture->machine, RID, MESSAGE, 0x41);
        assert_int_equal(fixture->delivered, 1);
        assert_int_equal(fixture->address, MESSAGE);
        assert_int_equal(fixture->data, 0x41);
        fixture_free(fixture);
}

static void test_dmar(void **state)
{
        struct fixture *fixture = fixture_new(true);
        uint8_t sum = 0;
        void *table = NULL;
        size_t size;

        (void)state;
        assert_int_equal(build_dmar(&fixture->machine, &table, &size), 0);
        assert_memory_equal(table, "DMAR", 4);
        for (size_t i = 0; i < size; i++)
                sum = (uint8_t)(sum + ((const uint8_t *)table)[i]);
        assert_int_equal(sum, 0);
        free(table);
        fixture_free(fixture);
}

static void test_state(void **state)
{
        struct fixture *from = fixture_new(false), *to = fixture_new(false);
        void *saved = NULL;
        size_t size;

        (void)state;
        vtd_frontend_write(from->machine.iommu, REG_RTADDR, 8, 0x1000 | SCALABLE);
        vtd_frontend_write(from->machine.iommu, REG_GCMD, 4, SRTP);
        assert_int_equal(save_unit(&from->machine, &saved, &size), 0);
        assert_int_equal(restore_unit(&to->machine, saved, size), 0);
        assert_int_equal(vtd_frontend_read(to->machine.iommu, REG_RTADDR, 8), 0x1000 | SCALABLE);
        assert_int_equal(vtd_frontend_read(to->machine.iommu, REG_GSTS, 4), SRTP);
        assert_int_equal(restore_unit(&to->machine, saved, size - 1), -EINVAL);
        free(saved);
        fixture_free(from);
        fixture_free(to);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_serve),
                cmocka_unit_test(test_emulated_dma),
                cmocka_unit_test(test_emulated_dma_blocked),
                cmocka_unit_test(test_deliver),
                cmocka_unit_test(test_dmar),
                cmocka_unit_test(test_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
