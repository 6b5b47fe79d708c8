/* SPDX-License-Identifier: MIT */
/* Function level reset and reset of the machine: everything is as after power-on, and works anew. */
#include "tests/emulator/test.h"

#include <stdio.h>

#include "tests/emulator/signals.h"
#include "tests/emulator/tables.h"

#define DEVICE_CONTROL       0x68u /* of the capability at 0x60 */
#define DEVICE_CONTROL_RESET 0x8000u

#define REG_GSTS 0x1cu
#define REG_FSTS 0x34u
#define REG_IQH  0x80u
#define REG_IQT  0x88u

#define EDU_LIVENESS 0x04u

/* The device works: a message, which is a memory write, and DMA. */
static bool works(struct guest *guest, uint64_t sink, uint64_t message, uint16_t data)
{
        guest_fill(guest, PAGE_MESSAGE, 0, GUEST_PAGE);
        guest_fill(guest, PAGE_SINK, 'W', GUEST_PAGE);
        signals_point(guest->vmm, message, data);
        signals_enable(guest->vmm, true);
        signals_raise(guest->vmm);
        (void)guest_dma_write(guest, RID_BROKER, sink, 64);
        return machine_becomes(guest->vmm, PAGE_MESSAGE, data) &&
               guest_uniform(guest, PAGE_SINK, 64) != 'W';
}

/* What was armed, and what was enabled, is not any more. */
static void check_reset(struct test *test, struct guest *guest, const char *what)
{
        struct vmm *vmm = guest->vmm;

        (void)printf("# %s\n", what);
        equals(test, machine_config_read(vmm, RID_BROKER, PCI_COMMAND, 2), 0,
               "the command register is clear");
        equals(test, machine_config_read(vmm, RID_BROKER, PCI_BAR0, 4), 0, "the BAR is gone");
        equals(test, machine_config_read(vmm, RID_BROKER, 0x52, 2), 0x80, "MSI is off");
        machine_set_up(vmm);
        equals(test, machine_read(vmm, BAR_BROKER + EDU_LIVENESS, 4), 0, "the device is reset");
        guest_fill(guest, PAGE_MESSAGE, 0, GUEST_PAGE);
        guest_fill(guest, PAGE_SINK, 'R', GUEST_PAGE);
        signals_raise(vmm);
        (void)guest_dma_write(guest, RID_BROKER, PAGE_SINK, 64);
        is(test, !signals_arrive(vmm, 0x2222), "no vector is armed");
        equals(test, (uint64_t)guest_uniform(guest, PAGE_SINK, GUEST_PAGE), 'R',
               "and there is no DMA");
        machine_set_master(vmm, RID_BROKER, true);
}

static void check_function(struct test *test, struct tables *tables)
{
        struct guest *guest = &tables->guest;
        struct vmm *vmm = guest->vmm;

        machine_set_master(vmm, RID_BROKER, true);
        is(test, works(guest, IOVA_SINK, IOVA_MESSAGE, 0x2222),
           "before the reset, interrupts and DMA work");
        machine_write(vmm, BAR_BROKER + EDU_LIVENESS, 4, 1);
        machine_config_write(vmm, RID_BROKER, DEVICE_CONTROL, 2, DEVICE_CONTROL_RESET);
        check_reset(test, guest, "function level reset");
        is(test, works(guest, IOVA_SINK, IOVA_MESSAGE, 0x3333),
           "set up again they work, through the same tables");
}

/* Invalidations, each a request to the broker, that have only just begun. */
static void queue_work(struct tables *tables)
{
        struct guest *guest = &tables->guest;

        for (unsigned i = 0; i < 250; i++)
                guest_queue(guest, (uint64_t)DOMAIN << 16 | 0x36, IOVA_DATA + i * GUEST_PAGE);
        machine_write(guest->vmm, REGISTERS + REG_IQT, 4, guest->queue_tail);
}

static void check_machine(struct test *test, struct tables *tables)
{
        struct vmm *vmm = tables->guest.vmm;

        machine_write(vmm, BAR_BROKER + EDU_LIVENESS, 4, 1);
        queue_work(tables);
        machine_reset(vmm);
        equals(test, vmm_iommu_read(vmm, REG_GSTS, 4), 0,
               "after a reset of the machine the unit is off");
        equals(test,
               vmm_iommu_read(vmm, REG_IQH, 8) | vmm_iommu_read(vmm, REG_IQT, 8) |
                       vmm_iommu_read(vmm, REG_FSTS, 4),
               0, "and knows nothing of the queue that it was working on");
        check_reset(test, &tables->guest, "reset of the machine");
        is(test, works(&tables->guest, PAGE_SINK, PAGE_MESSAGE, 0x4444),
           "translation is off: addresses are the guest's physical ones");
        tables_init(tables, vmm);
        is(test, works(&tables->guest, IOVA_SINK, IOVA_MESSAGE, 0x5555),
           "with tables anew they work through those");
}

/* Ten times: nothing is used up by it. */
static void check_many(struct test *test, struct tables *tables)
{
        bool good = true;

        for (unsigned i = 0; i < 10 && good; i++) {
                machine_reset(tables->guest.vmm);
                machine_set_up(tables->guest.vmm);
                machine_set_master(tables->guest.vmm, RID_BROKER, true);
                tables_init(tables, tables->guest.vmm);
                good = works(&tables->guest, IOVA_SINK, IOVA_MESSAGE, (uint16_t)(0x6000 + i));
        }
        is(test, good, "ten resets later it still does");
}

void test_resets(struct test *test)
{
        struct vmm *vmm = machine_new(&test->run, &(struct machine_options){0});
        struct tables tables;

        tables_init(&tables, vmm);
        check_function(test, &tables);
        check_machine(test, &tables);
        check_many(test, &tables);
        is(test, !tables.guest.failed, "the unit did everything that it was told");
        vmm = machine_free(vmm);
}
