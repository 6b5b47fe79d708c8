/* SPDX-License-Identifier: MIT */
/* MSI of the broker's device and of emulated ones, as they come and through interrupt remapping. */
#include "tests/emulator/test.h"

#include "tests/emulator/signals.h"
#include "tests/emulator/tables.h"

#define FAULT_SOURCE 0x26

/* Messages that are memory writes show what a vector does, also where no CPU would. */
static void check_memory(struct test *test, struct vmm *vmm)
{
        struct guest guest;

        guest_init(&guest, vmm);
        guest_fill(&guest, PAGE_MESSAGE, 0, GUEST_PAGE);
        signals_point(vmm, PAGE_MESSAGE, 0x1234);
        signals_raise(vmm);
        is(test, !signals_arrive(vmm, 0x1234), "no message comes before MSI is enabled");
        machine_set_master(vmm, RID_BROKER, true);
        signals_enable(vmm, true);
        signals_raise(vmm);
        is(test, machine_becomes(vmm, PAGE_MESSAGE, 0x1234),
           "an interrupt is the message that the guest has asked for");
        signals_point(vmm, PAGE_MESSAGE + 4, 0x5678);
        signals_raise(vmm);
        is(test, machine_becomes(vmm, PAGE_MESSAGE + 4, 0x5678),
           "address and data changed while it is enabled count");
        signals_enable(vmm, false);
        guest_fill(&guest, PAGE_MESSAGE, 0, GUEST_PAGE);
        signals_raise(vmm);
        is(test, !signals_arrive(vmm, 0x5678), "no message comes after MSI is disabled");
}

static void check_direct(struct test *test, struct vmm *vmm)
{
        signals_point(vmm, 0xfee00000, 0x41);
        signals_enable(vmm, true);
        signals_raise(vmm);
        is(test, machine_interrupted(vmm, 0x41), "the CPU gets the vector");
        signals_enable(vmm, false);
}

static void check_remapped(struct test *test, struct tables *tables)
{
        struct vmm *vmm = tables->guest.vmm;
        struct guest_fault fault;

        tables_remap_interrupts(tables);
        tables_set_interrupt(tables, 3, 0x52, RID_BROKER);
        tables_set_interrupt(tables, 4, 0x53, RID_EDU);
        signals_point(vmm, tables_message(3), 0);
        signals_enable(vmm, true);
        signals_raise(vmm);
        is(test, machine_interrupted(vmm, 0x52), "with interrupt remapping, that of its entry");
        guest_take_fault(&tables->guest, &fault);
        is(test, !fault.pending, "without a fault");
        signals_point(vmm, tables_message(4), 0);
        signals_raise(vmm);
        is(test,
           signals_fault(&tables->guest, &fault) && fault.reason == FAULT_SOURCE &&
                   fault.source == RID_BROKER,
           "an entry for another requester is fault 26h");
        signals_point(vmm, 0xfee00000, 0x54);
        signals_raise(vmm);
        is(test, signals_fault(&tables->guest, &fault) && fault.source == RID_BROKER,
           "a message in compatibility format is a fault");
        is(test, !machine_interrupted(vmm, 0x53) && !machine_interrupted(vmm, 0x54),
           "and neither is delivered");
}

/* QEMU's edu: its own MSI, and the same written by its DMA. */
static void check_emulated(struct test *test, struct tables *tables)
{
        struct vmm *vmm = tables->guest.vmm;
        struct guest_fault fault;

        machine_set_master(vmm, RID_EDU, true);
        signals_emulated(vmm, tables_message(4), 0);
        is(test, machine_interrupted(vmm, 0x53), "an emulated device's MSI is remapped");
        tables_set_interrupt(tables, 5, 0x61, RID_EDU);
        guest_fill(&tables->guest, PAGE_DATA, 0, GUEST_PAGE);
        (void)guest_dma_read(&tables->guest, RID_EDU, IOVA_DATA, 4);
        (void)guest_dma_write(&tables->guest, RID_EDU, tables_message(5), 4);
        is(test, machine_interrupted(vmm, 0x61),
           "four bytes of its DMA to the interrupt range are a message of its own");
        tables_set_interrupt(tables, 6, 0x62, UINT16_C(0xff00)); /* the I/O APIC's */
        (void)guest_dma_write(&tables->guest, RID_EDU, tables_message(6), 4);
        is(test,
           signals_fault(&tables->guest, &fault) && fault.reason == FAULT_SOURCE &&
                   fault.source == RID_EDU,
           "and never one of the I/O APIC's");
        is(test, !machine_interrupted(vmm, 0x62), "which is not delivered");
}

void test_interrupts(struct test *test)
{
        struct vmm *vmm = machine_new(&test->run, &(struct machine_options){0});
        struct tables tables;

        check_memory(test, vmm);
        check_direct(test, vmm);
        tables_init(&tables, vmm);
        signals_point(vmm, IOVA_MESSAGE, 0x7777);
        signals_enable(vmm, true);
        signals_raise(vmm);
        is(test, machine_becomes(vmm, PAGE_MESSAGE, 0x7777),
           "a message that is a memory write passes the tables of the guest");
        signals_enable(vmm, false);
        check_remapped(test, &tables);
        check_emulated(test, &tables);
        is(test, !tables.guest.failed, "the unit did everything that it was told");
        vmm = machine_free(vmm);
}
