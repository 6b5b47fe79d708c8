/* SPDX-License-Identifier: MIT */
/* The broker's device below a bridge: the guest numbers its bus, and has it ejected; it is plugged anew. */
#include "tests/emulator/test.h"

#include <stdio.h>
#include <string.h>

#include "tests/emulator/tables.h"

/* Of the bridge, a PCI Express root port. */
#define BUSES  0x18u
#define WINDOW 0x20u

/* Ports by which a guest takes devices out, and how many buses are looked through. */
#define EJECT       0x0cc8u
#define EJECT_BUS   0x0cd0u
#define EJECT_BUSES 4u

#define ROOT_TABLE    UINT64_C(0x100000)
#define CONTEXT_TABLE UINT64_C(0x101001) /* present: of bus 0, and then of the other one, too */

static uint16_t number_bus(struct vmm *vmm, unsigned bus)
{
        const uint16_t rid = (uint16_t)(bus << 8);
        const uint32_t window = (uint32_t)(BAR_BROKER >> 16) & 0xfff0u;

        machine_config_write(vmm, RID_BRIDGE, BUSES, 4, bus << 16 | bus << 8);
        machine_config_write(vmm, RID_BRIDGE, WINDOW, 4, window << 16 | window);
        machine_set_master(vmm, RID_BRIDGE, true);
        machine_config_write(vmm, rid, PCI_BAR0, 4, (uint32_t)BAR_BROKER);
        machine_set_master(vmm, rid, true);
        return rid;
}

/* Through the tables, as the requester that it is now. */
static bool writes(struct tables *tables, uint16_t rid)
{
        struct guest *guest = &tables->guest;
        const uint64_t entry = CONTEXT_TABLE;

        memcpy(vmm_memory(guest->vmm) + ROOT_TABLE + (rid >> 8) * 16u, &entry, sizeof(entry));
        guest_add_device(guest, rid);
        guest_set_entry(guest, rid, GUEST_FIRST_STAGE, DOMAIN, tables->root);
        guest_invalidate_context(guest);
        guest_flush_entry(guest, DOMAIN);
        guest_fill(guest, PAGE_SINK, 'N', GUEST_PAGE);
        (void)guest_dma_write(guest, rid, IOVA_SINK, 64);
        return guest_uniform(guest, PAGE_SINK, 64) != 'N' && !guest->failed;
}

static bool ask(struct vmm *vmm, const char *command)
{
        const char *line;

        if (qtest_ask(machine_qtest(vmm), &line, "%s", command) != 0)
                machine_bail_out("QEMU does not follow");
        if (strstr(line, "\"error\""))
                (void)printf("# %s\n", line);
        return !strstr(line, "\"error\"");
}

static bool add(struct vmm *vmm, const char *device)
{
        char command[160];

        (void)snprintf(command, sizeof(command),
                       "{\"execute\": \"device_add\", \"arguments\": {\"driver\": "
                       "\"vtd-broker-pci\", \"id\": \"device\", \"device\": \"%s\", "
                       "\"bus\": \"bridge\"}}",
                       device);
        return ask(vmm, command);
}

static bool eject(struct vmm *vmm)
{
        if (!ask(vmm, "{\"execute\": \"device_del\", \"arguments\": {\"id\": \"device\"}}"))
                return false;
        for (unsigned bus = 0; bus < EJECT_BUSES; bus++) {
                (void)qtest_send(machine_qtest(vmm), "outl 0x%x 0x%x", EJECT_BUS, bus);
                (void)qtest_send(machine_qtest(vmm), "outl 0x%x 0x1", EJECT);
        }
        return qtest_await(machine_qtest(vmm), "\"DEVICE_DELETED\"") == 0;
}

void test_plugging(struct test *test)
{
        struct vmm *vmm = machine_new(&test->run, &(struct machine_options){.bridge = true});
        struct tables tables;
        uint16_t rid;

        tables_init(&tables, vmm);
        rid = number_bus(vmm, 1);
        is(test, writes(&tables, rid), "below a bridge, a device does DMA as the bus is numbered");
        rid = number_bus(vmm, 5);
        is(test, writes(&tables, rid), "and as it is numbered anew");
        is(test, eject(vmm), "a guest can have it taken out");
        equals(test, machine_config_read(vmm, rid, PCI_ID, 4), UINT32_MAX, "then it is gone");
        is(test, !add(vmm, "edu7"), "one that the broker refuses is not plugged");
        is(test, add(vmm, "edu0"), "the same can be plugged anew");
        rid = number_bus(vmm, 6);
        is(test, writes(&tables, rid), "and works");
        vmm = machine_free(vmm);
}
