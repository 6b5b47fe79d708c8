/* SPDX-License-Identifier: MIT */
/* What was found to be wrong once: each fails with the mistake put back. */
#include "tests/emulator/test.h"

#include <string.h>
#include <time.h>

#include "tests/emulator/signals.h"
#include "tests/emulator/tables.h"

#define HIGH_MEMORY (UINT64_C(1) << 32)
#define LOW_SIZE    (UINT64_C(2) << 30) /* of 3 GiB, what is below that */

#define REG_IQH    0x80u
#define REG_IQT    0x88u
#define REG_FECTL  0x38u
#define REG_FEDATA 0x3cu
#define REG_FEADDR 0x40u

/*
 * RAM begins at 4 GiB again.  An option ROM of 512 bytes in the page before it cuts the firmware there in
 * two pieces, of which the second does not begin with a page.
 */
static void check_high_memory(struct test *test)
{
        struct vmm *vmm = machine_new(&test->run, &(struct machine_options){.memory = "3G"});
        uint8_t *page = vmm_memory(vmm) + LOW_SIZE + GUEST_PAGE;
        struct guest guest;

        guest_init(&guest, vmm);
        machine_config_write(vmm, RID_EDU, PCI_ROM, 4, 0xfffff001);
        machine_config_write(vmm, RID_EDU, PCI_ROM, 4, 0);
        machine_set_master(vmm, RID_BROKER, true);
        memset(page, 'H', 64);
        (void)guest_dma_write(&guest, RID_BROKER, HIGH_MEMORY + GUEST_PAGE, 64);
        is(test, page[0] != 'H' && page[63] != 'H',
           "RAM above 4 GiB stays the device's when something small before it comes and goes");
        vmm = machine_free(vmm);
}

/* The emulated device writes @value to @address, and reads back what is there. */
static void poke(struct guest *guest, uint64_t address, uint32_t value)
{
        memcpy(vmm_memory(guest->vmm) + PAGE_DATA, &value, sizeof(value));
        (void)guest_dma_read(guest, RID_EDU, IOVA_DATA, 4);
        (void)guest_dma_write(guest, RID_EDU, address, 4);
}

/* Tables that lead where no RAM is. */
static void check_targets(struct test *test, struct tables *tables)
{
        struct guest *guest = &tables->guest;
        uint64_t before = vmm_iommu_read(guest->vmm, REG_FEADDR, 4);

        tables_map(tables, IOVA_MESSAGE, REGISTERS);
        poke(guest, IOVA_MESSAGE + REG_FEADDR, 0xfee01000);
        equals(test, vmm_iommu_read(guest->vmm, REG_FEADDR, 4), before,
               "a device's DMA that the tables lead to the unit's registers is no command");
        tables_map(tables, IOVA_MESSAGE, 0xfee00000);
        poke(guest, IOVA_MESSAGE, 0x71);
        is(test, !machine_interrupted(guest->vmm, 0x71),
           "and led to the interrupt range, it is no message");
        tables_map(tables, IOVA_MESSAGE, BAR_BROKER);
        poke(guest, IOVA_MESSAGE + 4, 0x0f0f0f0f);
        equals(test, machine_read(guest->vmm, BAR_BROKER + 4, 4), 0xf0f0f0f0,
               "while the BAR of another device is reached");
        tables_map(tables, IOVA_MESSAGE, PAGE_MESSAGE);
}

/* Registers of a virtio function's common configuration. */
enum {
        VIRTIO_FEATURES_SELECT = 0x08,
        VIRTIO_FEATURES = 0x0c,
        VIRTIO_STATUS = 0x14,
        VIRTIO_QUEUE_ENABLE = 0x1c,
        VIRTIO_DESCRIPTORS = 0x20,
        VIRTIO_DRIVER_RING = 0x28,
        VIRTIO_DEVICE_RING = 0x30,
        VIRTIO_NOTIFY = 0x3000,
};

/* Has the disk's thread look into rings at addresses of which the tables know nothing. */
static void start_disk(struct vmm *vmm)
{
        const uint64_t common = BAR_DISK;

        machine_set_master(vmm, RID_DISK, true);
        machine_write(vmm, common + VIRTIO_STATUS, 1, 0);
        machine_write(vmm, common + VIRTIO_STATUS, 1, 3);
        machine_write(vmm, common + VIRTIO_FEATURES_SELECT, 4, 1);
        machine_write(vmm, common + VIRTIO_FEATURES, 4, 3); /* version 1, and by the IOMMU */
        machine_write(vmm, common + VIRTIO_STATUS, 1, 0xb);
        machine_write(vmm, common + VIRTIO_DESCRIPTORS, 4, 0x500000);
        machine_write(vmm, common + VIRTIO_DRIVER_RING, 4, 0x510000);
        machine_write(vmm, common + VIRTIO_DEVICE_RING, 4, 0x520000);
        machine_write(vmm, common + VIRTIO_QUEUE_ENABLE, 2, 1);
        machine_write(vmm, common + VIRTIO_STATUS, 1, 0xf);
        machine_write(vmm, BAR_DISK + VIRTIO_NOTIFY, 2, 0);
}

static void check_thread(struct test *test, struct tables *tables)
{
        struct vmm *vmm = tables->guest.vmm;
        struct guest_fault fault;

        (void)vmm_iommu_write(vmm, REG_FEDATA, 4, 0x72);
        (void)vmm_iommu_write(vmm, REG_FEADDR, 4, 0xfee00000);
        (void)vmm_iommu_write(vmm, REG_FECTL, 4, 0);
        start_disk(vmm);
        is(test, machine_interrupted(vmm, 0x72),
           "a fault of a device that has a thread of its own is announced");
        is(test, signals_fault(&tables->guest, &fault) && fault.source == RID_DISK, "and recorded");
        is(test, machine_lives(vmm), "and QEMU survives it");
}

/* Invalidations, each with its wait: the broker answers ten in a second, once 128 have been. */
static void check_patience(struct test *test)
{
        struct vmm *vmm = machine_new(&test->run, &(struct machine_options){.tenant = TENANT_SLOW});
        struct timespec begin, end;
        struct tables tables;
        bool good = true;

        tables_init(&tables, vmm);
        for (unsigned i = 0; i < 254; i++) {
                guest_queue(&tables.guest, (uint64_t)DOMAIN << 16 | 0x26, 0);
                guest_queue(&tables.guest, UINT64_C(0x25), PAGE_MESSAGE);
                if (i == 126)
                        good = vmm_iommu_write(vmm, REG_IQT, 4, tables.guest.queue_tail) == 0;
        }
        machine_write(vmm, REGISTERS + REG_IQT, 4, tables.guest.queue_tail);
        (void)clock_gettime(CLOCK_MONOTONIC, &begin);
        good = good && machine_read(vmm, BAR_BROKER, 4) == 0x010000ed;
        (void)clock_gettime(CLOCK_MONOTONIC, &end);
        is(test, good && end.tv_sec - begin.tv_sec < 3,
           "a BAR is reached while the unit has work for many seconds");
        is(test, vmm_iommu_read(vmm, REG_IQH, 8) != vmm_iommu_read(vmm, REG_IQT, 8),
           "which it still has");
        vmm = machine_free(vmm);
}

void test_regressions(struct test *test)
{
        struct vmm *vmm;
        struct tables tables;

        check_high_memory(test);
        check_patience(test);
        vmm = machine_new(&test->run, &(struct machine_options){.disk = true, .tcg = true});
        tables_init(&tables, vmm);
        check_thread(test, &tables);
        vmm = machine_free(vmm);
        vmm = machine_new(&test->run, &(struct machine_options){0});
        tables_init(&tables, vmm);
        machine_set_master(vmm, RID_EDU, true);
        check_targets(test, &tables);
        is(test, !tables.guest.failed, "the unit did everything that it was told");
        vmm = machine_free(vmm);
}
