/* SPDX-License-Identifier: MIT */
/* The worker is killed: the machine stops, nothing completes, and QEMU stays a program that answers. */
#include "tests/emulator/test.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "tests/emulator/tables.h"

#define REG_IQH  0x80u
#define REG_IQT  0x88u
#define WAIT_LOW 0x25u
#define WORKERS  8u

static bool status_is(struct vmm *vmm, const char *status)
{
        const char *line;

        return qtest_ask(machine_qtest(vmm), &line, "{\"execute\": \"query-status\"}") == 0 &&
               strstr(line, status);
}

/* An invalidation that the broker does not answer, and the wait behind it. */
static void queue_wait(struct guest *guest)
{
        guest_fill(guest, PAGE_MESSAGE, 0, GUEST_PAGE);
        guest_queue(guest, (uint64_t)DOMAIN << 16 | 0x26, 0);
        guest_queue(guest, UINT64_C(0x1111) << 32 | WAIT_LOW, PAGE_MESSAGE);
        machine_write(guest->vmm, REGISTERS + REG_IQT, 4, guest->queue_tail);
}

static void kill_worker(struct test *test, struct guest *guest)
{
        const struct timespec pause = {.tv_nsec = 300000000};
        uint32_t status;
        pid_t pids[WORKERS];

        if (!equals(test, broker_run_workers(&test->run, pids, WORKERS), 1, "there is one worker"))
                return;
        (void)kill(pids[0], SIGSTOP);
        queue_wait(guest);
        (void)nanosleep(&pause, NULL);
        memcpy(&status, vmm_memory(guest->vmm) + PAGE_MESSAGE, sizeof(status));
        equals(test, status, 0, "while the broker does not answer, no wait completes");
        is(test, status_is(guest->vmm, "\"running\""), "and nobody has to wait for it");
        (void)kill(pids[0], SIGKILL);
        is(test, qtest_await(machine_qtest(guest->vmm), "\"STOP\"") == 0,
           "when the worker is killed, the machine stops");
}

static void check_after(struct test *test, struct guest *guest)
{
        struct vmm *vmm = guest->vmm;
        char messages[4096];
        uint32_t status;

        is(test, status_is(vmm, "\"internal-error\""), "for an internal error");
        qtest_messages(machine_qtest(vmm), messages, sizeof(messages));
        is(test, strstr(messages, "the broker is lost"), "which is explained");
        equals(test, machine_read(vmm, BAR_BROKER, 4), UINT32_MAX, "BARs read as nothing does");
        machine_write(vmm, BAR_BROKER, 4, 1);
        machine_set_master(vmm, RID_BROKER, false);
        equals(test, machine_config_read(vmm, RID_BROKER, PCI_ID, 4), 0x11e81234,
               "configuration space is still there");
        memcpy(&status, vmm_memory(vmm) + PAGE_MESSAGE, sizeof(status));
        equals(test, status, 0, "the wait has not completed");
        is(test, vmm_iommu_read(vmm, REG_IQH, 8) != vmm_iommu_read(vmm, REG_IQT, 8),
           "the queue is held");
        machine_reset(vmm);
        is(test, machine_lives(vmm), "QEMU survives a reset of such a machine, too");
}

void test_loss(struct test *test)
{
        struct vmm *vmm = machine_new(&test->run, &(struct machine_options){0});
        struct tables tables;

        tables_init(&tables, vmm);
        kill_worker(test, &tables.guest);
        check_after(test, &tables.guest);
        vmm = machine_free(vmm);
}
