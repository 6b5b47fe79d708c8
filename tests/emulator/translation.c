/* SPDX-License-Identifier: MIT */
/* DMA of the broker's device, and of an emulated one beside it, by the guest's tables. */
#include "tests/emulator/test.h"

#include <string.h>

#include "tests/emulator/tables.h"

#define FAULT_INTERRUPT_RANGE 0x29

static const struct {
        uint16_t rid;
        const char *reads;
        const char *writes;
        const char *unmapped;
} devices[] = {
        {RID_BROKER, "the broker's device reads through first-stage tables", "and writes",
         "what was unmapped and invalidated is not written any more"},
        {RID_EDU, "an emulated device reads through first-stage tables", "and writes",
         "what was unmapped and invalidated is not written any more, the fault is recorded"},
};

static void check_unmapped(struct test *test, struct tables *tables, unsigned i)
{
        struct guest *guest = &tables->guest;
        struct guest_fault fault;
        bool good;

        tables_unmap(tables, IOVA_SINK);
        guest_fill(guest, PAGE_SINK, 'X', GUEST_PAGE);
        (void)guest_dma_write(guest, devices[i].rid, IOVA_SINK, 64);
        good = guest_uniform(guest, PAGE_SINK, GUEST_PAGE) == 'X';
        guest_take_fault(guest, &fault);
        /* Faults of the broker's devices are the host's. */
        if (devices[i].rid == RID_EDU)
                good = good && fault.pending && fault.source == RID_EDU &&
                       fault.address == IOVA_SINK;
        is(test, good && !guest->failed, devices[i].unmapped);
        tables_map(tables, IOVA_SINK, PAGE_SINK);
}

static void check_device(struct test *test, struct tables *tables, unsigned i)
{
        struct guest *guest = &tables->guest;
        uint16_t rid = devices[i].rid;

        guest_fill(guest, PAGE_DATA, 'D', GUEST_PAGE);
        guest_fill(guest, PAGE_SINK, 'S', GUEST_PAGE);
        (void)guest_dma_read(guest, rid, IOVA_DATA, 256);
        (void)guest_dma_write(guest, rid, IOVA_SINK + 256, 256);
        equals(test, (uint64_t)guest_uniform(guest, PAGE_SINK + 256, 256), 'D', devices[i].reads);
        is(test,
           guest_uniform(guest, PAGE_SINK, 256) == 'S' &&
                   guest_uniform(guest, PAGE_SINK + 512, GUEST_PAGE - 512) == 'S',
           devices[i].writes);
        check_unmapped(test, tables, i);
}

static void check_master(struct test *test, struct tables *tables)
{
        struct guest *guest = &tables->guest;

        machine_set_master(guest->vmm, RID_BROKER, false);
        guest_fill(guest, PAGE_SINK, 'M', GUEST_PAGE);
        (void)guest_dma_write(guest, RID_BROKER, IOVA_SINK, 64);
        equals(test, (uint64_t)guest_uniform(guest, PAGE_SINK, GUEST_PAGE), 'M',
               "without Bus Master Enable nothing is written");
        machine_set_master(guest->vmm, RID_BROKER, true);
        (void)guest_dma_write(guest, RID_BROKER, IOVA_SINK, 64);
        is(test, guest_uniform(guest, PAGE_SINK, 64) != 'M', "with it, it is");
}

/* Before the guest has set anything up. */
static void check_power_on(struct test *test, struct vmm *vmm)
{
        struct guest guest;

        guest_init(&guest, vmm);
        guest_fill(&guest, PAGE_SINK, 'P', GUEST_PAGE);
        (void)guest_dma_write(&guest, RID_BROKER, PAGE_SINK, 64);
        equals(test, (uint64_t)guest_uniform(&guest, PAGE_SINK, GUEST_PAGE), 'P',
               "DMA is blocked before the guest sets Bus Master Enable");
        machine_set_master(vmm, RID_BROKER, true);
        (void)guest_dma_write(&guest, RID_BROKER, PAGE_SINK, 64);
        equals(test, (uint64_t)guest_uniform(&guest, PAGE_SINK, 64), 0,
               "then, with translation off, addresses are the guest's physical ones");
        machine_set_master(vmm, RID_BROKER, false);
}

/* Writes of a size that no message has. */
static void check_interrupt_range(struct test *test, struct tables *tables)
{
        static const struct {
                uint64_t address;
                size_t size;
                const char *what;
        } accesses[] = {
                {0xfee00000, 1, "a byte to the interrupt range is fault 29h"},
                {0xfee00000, 2, "two bytes are"},
                {0xfee00000, 8, "eight bytes are"},
                {0xfee00002, 4, "a double word that is not aligned is"},
        };
        struct guest *guest = &tables->guest;
        struct guest_fault fault;

        for (size_t i = 0; i < sizeof(accesses) / sizeof(accesses[0]); i++) {
                (void)guest_dma_write(guest, RID_EDU, accesses[i].address, accesses[i].size);
                guest_take_fault(guest, &fault);
                is(test,
                   fault.pending && fault.reason == FAULT_INTERRUPT_RANGE &&
                           fault.source == RID_EDU,
                   accesses[i].what);
                guest_take_fault(guest, &fault);
        }
        (void)guest_dma_read(guest, RID_EDU, 0xfee00000, 4);
        guest_take_fault(guest, &fault);
        is(test, fault.pending && fault.reason == FAULT_INTERRUPT_RANGE, "a read is");
}

static void check_counters(struct test *test, struct vmm *vmm)
{
        is(test, machine_counter(vmm, "descriptors") > 0, "qom-get counts descriptors");
        is(test,
           machine_counter(vmm, "requests") >
                   machine_counter(vmm, "attaches") + machine_counter(vmm, "invalidates"),
           "requests");
        is(test, machine_counter(vmm, "attaches") > 0, "of them attaches");
        is(test, machine_counter(vmm, "invalidates") > 0, "and invalidates");
        is(test, machine_counter(vmm, "faults") > 0, "and faults");
}

/* The bus of the machine itself takes nothing away while it runs. */
static void check_unplug(struct test *test, struct vmm *vmm)
{
        const char *line;

        (void)qtest_ask(machine_qtest(vmm), &line,
                        "{\"execute\": \"device_del\", \"arguments\": {\"id\": \"device\"}}");
        is(test, strstr(line, "does not support hotplugging"), "device_del is refused");
        equals(test, machine_read(vmm, BAR_BROKER, 4), 0x010000ed, "and the device stays");
}

void test_translation(struct test *test)
{
        struct vmm *vmm = machine_new(&test->run, &(struct machine_options){0});
        struct tables tables;

        check_power_on(test, vmm);
        tables_init(&tables, vmm);
        for (unsigned i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
                machine_set_master(vmm, devices[i].rid, true);
                check_device(test, &tables, i);
        }
        check_master(test, &tables);
        check_interrupt_range(test, &tables);
        check_counters(test, vmm);
        check_unplug(test, vmm);
        is(test, !tables.guest.failed, "the unit did everything that it was told");
        vmm = machine_free(vmm);
}
