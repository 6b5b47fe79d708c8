/* SPDX-License-Identifier: MIT */
/* What a guest sees of the broker's device: configuration space, and trapped BAR accesses. */
#include "tests/emulator/test.h"

#include <string.h>

/* Of the simulated edu. */
#define EDU_ID       0x11e81234u
#define EDU_CLASS    0x00ff0010u
#define EDU_OFFERS   0x11001af4u /* subsystem */
#define EDU_IDENTITY 0x010000edu
#define EDU_LIVENESS 0x04u
#define EDU_SOURCE   0x80u
#define EDU_BAR_MASK 0xfff00000u

#define CAPABILITY_POWER   0x01u
#define CAPABILITY_VENDOR  0x09u
#define CAPABILITY_MSI     0x05u
#define CAPABILITY_EXPRESS 0x10u

static uint32_t config(struct vmm *vmm, unsigned offset, unsigned width)
{
        return machine_config_read(vmm, RID_BROKER, offset, width);
}

static void check_identity(struct test *test, struct vmm *vmm)
{
        equals(test, config(vmm, PCI_ID, 4), EDU_ID, "vendor and device id are the device's");
        equals(test, config(vmm, 0x08, 4), EDU_CLASS, "class and revision are the device's");
        equals(test, config(vmm, 0x2c, 4), EDU_OFFERS, "subsystem ids are the device's");
        equals(test, config(vmm, 0x3d, 1), 0, "there is no INTx pin");
        machine_config_write(vmm, RID_BROKER, PCI_ID, 4, 0);
        machine_config_write(vmm, RID_BROKER, 0x2c, 4, 0);
        equals(test, config(vmm, PCI_ID, 4), EDU_ID, "ids cannot be written");
        equals(test,
               config(vmm, PCI_ID, 1) | config(vmm, PCI_ID + 1, 1) << 8 |
                       config(vmm, PCI_ID + 2, 2) << 16,
               EDU_ID, "bytes and words make up the double word");
}

static void check_capabilities(struct test *test, struct vmm *vmm)
{
        unsigned express = machine_capability(vmm, RID_BROKER, CAPABILITY_EXPRESS);

        is(test, config(vmm, PCI_STATUS, 2) & 0x10, "there is a list of capabilities");
        equals(test, machine_capability(vmm, RID_BROKER, CAPABILITY_POWER), 0x40,
               "power management is where the device has it");
        equals(test, machine_capability(vmm, RID_BROKER, CAPABILITY_MSI), 0x50, "MSI, too");
        equals(test, express, 0x60, "PCI Express, too");
        equals(test, machine_capability(vmm, RID_BROKER, CAPABILITY_VENDOR), 0,
               "the vendor-specific capability is hidden");
        equals(test, config(vmm, 0x4c, 4), 0, "and so is what is in it");
        equals(test, config(vmm, 0x52, 2), 0x80, "MSI has one vector and 64 bits");
        equals(test, config(vmm, express + 2, 2), 0x0092,
               "the function is an endpoint of the root complex");
        machine_config_write(vmm, RID_BROKER, express + 8, 2, 0x7fff);
        equals(test, config(vmm, express + 8, 2), 0x7810,
               "of Device Control the guest sets what the broker lets through");
        machine_config_write(vmm, RID_BROKER, express + 8, 2, 0);
        equals(test, config(vmm, express + 8, 2), 0, "and clears it again");
}

static void check_power(struct test *test, struct vmm *vmm)
{
        for (uint32_t state = 1; state <= 3; state++) {
                machine_config_write(vmm, RID_BROKER, 0x44, 2, 0x8100 | state);
                if (!equals(test, config(vmm, 0x44, 2), 0x8 | state,
                            "a power state reads back, without PME"))
                        break;
        }
        machine_config_write(vmm, RID_BROKER, 0x44, 2, 0);
        equals(test, machine_read(vmm, BAR_BROKER, 4), EDU_IDENTITY,
               "in D0 again the device answers");
}

static void check_ecam(struct test *test, struct vmm *vmm)
{
        const uint64_t base = ECAM + (RID_BROKER << 12);
        bool same = true;

        for (unsigned offset = 0; offset < 256; offset += 4)
                same = same && machine_read(vmm, base + offset, 4) == config(vmm, offset, 4);
        is(test, same, "ECAM shows the same 256 bytes");
        equals(test, machine_read(vmm, base + 0x100, 4), UINT32_MAX,
               "there is no extended configuration space");
        machine_write(vmm, base + PCI_COMMAND, 1, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
        equals(test, config(vmm, PCI_COMMAND, 2), 6, "a byte written by ECAM counts");
        machine_set_master(vmm, RID_BROKER, false);
        equals(test, machine_read(vmm, base + PCI_COMMAND, 2), PCI_COMMAND_MEMORY,
               "and one written by the ports is seen there");
}

static void check_bars(struct test *test, struct vmm *vmm)
{
        const uint64_t elsewhere = UINT64_C(0xd8000000);
        uint32_t others = 0;

        machine_config_write(vmm, RID_BROKER, PCI_BAR0, 4, UINT32_MAX);
        equals(test, config(vmm, PCI_BAR0, 4), EDU_BAR_MASK, "BAR 0 is of 1 MiB, 32 bits");
        for (unsigned bar = 1; bar < 6; bar++) {
                machine_config_write(vmm, RID_BROKER, PCI_BAR0 + 4 * bar, 4, UINT32_MAX);
                others |= config(vmm, PCI_BAR0 + 4 * bar, 4);
        }
        machine_config_write(vmm, RID_BROKER, 0x30, 4, UINT32_MAX);
        equals(test, others | config(vmm, 0x30, 4), 0, "there are no other BARs and no ROM");
        machine_config_write(vmm, RID_BROKER, PCI_BAR0, 4, (uint32_t)elsewhere);
        equals(test, machine_read(vmm, elsewhere, 4), EDU_IDENTITY, "the BAR is where it is put");
        machine_config_write(vmm, RID_BROKER, PCI_COMMAND, 2, 0);
        is(test, machine_read(vmm, elsewhere, 4) != EDU_IDENTITY,
           "without Memory Space Enable it is not there");
        machine_set_up(vmm);
}

static void check_accesses(struct test *test, struct vmm *vmm)
{
        const uint64_t word = UINT64_C(0x1122334455667788);

        machine_write(vmm, BAR_BROKER + EDU_LIVENESS, 4, 0x12345678);
        equals(test, machine_read(vmm, BAR_BROKER + EDU_LIVENESS, 4), (uint32_t)~0x12345678,
               "4 bytes reach the device and come back");
        machine_write(vmm, BAR_BROKER + EDU_SOURCE, 8, word);
        equals(test, machine_read(vmm, BAR_BROKER + EDU_SOURCE, 8), word, "8 bytes, too");
        equals(test, machine_read(vmm, BAR_BROKER + EDU_SOURCE, 4), (uint32_t)word,
               "4 bytes of 8 are the lower ones");
        equals(test, machine_read(vmm, BAR_BROKER, 1), 0xff,
               "1 byte is passed on as 1 byte, which this device does not answer");
        equals(test, machine_read(vmm, BAR_BROKER, 2), 0xffff, "2 bytes, too");
        machine_write(vmm, BAR_BROKER + EDU_SOURCE, 1, 0);
        machine_write(vmm, BAR_BROKER + EDU_SOURCE, 2, 0);
        machine_write(vmm, BAR_BROKER + EDU_SOURCE + 2, 4, 0);
        machine_write(vmm, BAR_BROKER + EDU_SOURCE + 3, 8, 0);
        equals(test, machine_read(vmm, BAR_BROKER + EDU_SOURCE, 8), word,
               "narrow and unaligned writes are not widened to others");
        equals(test, machine_read(vmm, BAR_BROKER + 1, 4), UINT32_MAX,
               "an unaligned read is made of narrower ones");
        equals(test, machine_read(vmm, BAR_BROKER + 0xffffc, 4), UINT32_MAX,
               "the last word of the BAR answers");
}

void test_function(struct test *test)
{
        struct vmm *vmm = machine_new(&test->run, &(struct machine_options){0});

        check_identity(test, vmm);
        check_capabilities(test, vmm);
        check_ecam(test, vmm);
        check_bars(test, vmm);
        check_power(test, vmm);
        check_accesses(test, vmm);
        vmm = machine_free(vmm);
}
