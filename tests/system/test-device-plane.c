/* SPDX-License-Identifier: MIT */
/*
 * usage: test-device-plane --build DIR --host simulated|linux
 *
 * An "edu" device as a VMM shows it to a guest, through libvtd-frontend and a real vtd-brokerd:
 * configuration space, its MSI, bus mastering, reset.  The same on the simulated host and, in the rig,
 * on the kernel's, where the device is 0000:00:1e.0.  Prints TAP.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/system/small-vmm.h"

#define EDU_IDENTITY    0x010000edu
#define EDU_RAISE       0x60u
#define EDU_ACKNOWLEDGE 0x64u
#define EDU_SOURCE      0x80u
#define EDU_DESTINATION 0x88u
#define EDU_COUNT       0x90u
#define EDU_COMMAND     0x98u
#define EDU_BUFFER      0x40000u
#define EDU_START       1u
#define EDU_TO_MEMORY   2u
#define EDU_INTERRUPT   4u
#define EDU_POLLS       100000u

#define SIGNAL_MS  5000 /* until an interrupt must have arrived */
#define SILENCE_MS 200  /* in which one that must not arrive would */

#define ID(n) (UINT64_C(1) << (n))

static void run_dma(struct small_vmm *vmm, uint64_t source, uint64_t destination, uint64_t command)
{
        small_vmm_write(vmm, EDU_SOURCE, 8, source);
        small_vmm_write(vmm, EDU_DESTINATION, 8, destination);
        small_vmm_write(vmm, EDU_COUNT, 8, 8);
        small_vmm_write(vmm, EDU_COMMAND, 8, command | EDU_START);
        for (unsigned i = 0; i < EDU_POLLS; i++)
                if (!(small_vmm_read(vmm, EDU_COMMAND, 8) & EDU_START))
                        return;
        small_vmm_is(vmm, false, "a transfer ends");
}

/* Has the device copy 8 bytes from one page to another; true when they have arrived. */
static bool copies(struct small_vmm *vmm, uint64_t word)
{
        uint64_t arrived = ~word;

        memcpy(vmm->memory + 0x1000, &word, sizeof(word));
        memcpy(vmm->memory + 0x2000, &arrived, sizeof(arrived));
        run_dma(vmm, 0x1000, EDU_BUFFER, 0);
        run_dma(vmm, EDU_BUFFER, 0x2000, EDU_TO_MEMORY);
        memcpy(&arrived, vmm->memory + 0x2000, sizeof(arrived));
        return arrived == word;
}

static void check_info(struct small_vmm *vmm, bool simulated)
{
        struct vtd_frontend_device_info info = {0};

        small_vmm_is(vmm, vtd_frontend_get_device_info(vmm->frontend, SMALL_RID, &info) == 0,
                     "the device is described");
        small_vmm_is(vmm,
                     info.regions[0].size == 1u << 20 && info.regions[0].readable &&
                             info.regions[0].writable && info.regions[1].size == 0,
                     "it has one BAR");
        small_vmm_is(vmm,
                     info.config_readable && info.config_writable && info.msi_vectors == 1 &&
                             info.msix_vectors == 0 && info.can_reset == simulated,
                     "configuration space, one vector of MSI, and reset on the simulated host");
}

static void check_config(struct small_vmm *vmm, bool simulated)
{
        uint64_t standard, extended;
        uint32_t value;

        small_vmm_is(vmm, small_vmm_config(vmm, 0, 4) == 0x11e81234, "vendor and device id");
        small_vmm_is(vmm, (small_vmm_config(vmm, 8, 4) >> 8) == 0x00ff00, "class");
        small_vmm_is(vmm, small_vmm_config(vmm, 0x10, 4) < 0x10,
                     "of the BAR its kind, not its address");
        small_vmm_is(vmm,
                     small_vmm_config(vmm, 0x3c, 4) == 0 && small_vmm_config(vmm, 0x30, 4) == 0,
                     "neither INTx nor a ROM");
        small_vmm_capabilities(vmm, &standard, &extended);
        (void)printf("# capabilities %#llx, extended %#llx\n", (unsigned long long)standard,
                     (unsigned long long)extended);
        small_vmm_is(vmm,
                     simulated ? standard == (ID(1) | ID(5) | ID(16)) && extended == ID(3)
                               : standard == ID(5) && extended == 0,
                     "the capabilities that may be shown, and no other");
        small_vmm_is(vmm,
                     small_vmm_refused(
                             vmm,
                             vtd_frontend_config_read(vmm->frontend, SMALL_RID, 4096, 4, &value),
                             "region-range"),
                     "configuration space ends");
}

/* Every double word written with ones, but for the command register: none but Device Control changes. */
static void check_writes(struct small_vmm *vmm)
{
        uint32_t before[64];
        unsigned express = small_vmm_find_capability(vmm, 0x10), changed = 0;
        int failed = 0;

        for (unsigned i = 0; i < 64; i++)
                before[i] = small_vmm_config(vmm, 4 * i, 4);
        for (unsigned i = 0; i < 64; i++)
                if (i != 1)
                        failed |= vtd_frontend_config_write(vmm->frontend, SMALL_RID, 4 * i, 4,
                                                            UINT32_MAX);
        for (unsigned i = 0; i < 64; i++)
                changed += small_vmm_config(vmm, 4 * i, 4) != before[i] &&
                           (express == 0 || i != express / 4 + 2);
        small_vmm_is(vmm, failed == 0 && changed == 0,
                     "writes to what is hidden stay without effect");
        small_vmm_is(vmm, small_vmm_read(vmm, 0, 4) == EDU_IDENTITY, "the BAR is where it was");
}

static void check_interrupts(struct small_vmm *vmm, int event)
{
        struct vtd_frontend *unit = vmm->frontend;
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        small_vmm_is(vmm,
                     small_vmm_refused(
                             vmm,
                             vtd_frontend_set_interrupt(unit, SMALL_RID, VTD_FRONTEND_MSI, 0, null),
                             "eventfd-kind"),
                     "what is no eventfd is refused");
        (void)close(null);
        small_vmm_is(vmm,
                     small_vmm_refused(vmm,
                                       vtd_frontend_set_interrupt(unit, SMALL_RID, VTD_FRONTEND_MSI,
                                                                  1, event),
                                       "interrupt-vector"),
                     "so is a vector that the device has not");
        small_vmm_is(vmm,
                     vtd_frontend_set_interrupt(unit, SMALL_RID, VTD_FRONTEND_MSI, 0, event) == 0,
                     "the vector is armed");
        small_vmm_write(vmm, EDU_RAISE, 4, 1);
        small_vmm_is(vmm, small_vmm_wait(event, SIGNAL_MS) == 1, "an interrupt arrives");
        small_vmm_write(vmm, EDU_ACKNOWLEDGE, 4, 1);
        run_dma(vmm, 0x1000, EDU_BUFFER, EDU_INTERRUPT);
        small_vmm_is(vmm, small_vmm_wait(event, SIGNAL_MS) == 1,
                     "so does one when a transfer ends");
        small_vmm_write(vmm, EDU_ACKNOWLEDGE, 4, 0x100);
}

static void check_bus_master(struct small_vmm *vmm)
{
        struct vtd_frontend *unit = vmm->frontend;

        small_vmm_is(vmm, copies(vmm, 0x1111) && (small_vmm_config(vmm, 4, 2) & 4),
                     "DMA goes on for a VMM that does not touch the bit");
        small_vmm_is(vmm, vtd_frontend_config_write(unit, SMALL_RID, 4, 2, 0) == 0,
                     "bus mastering is turned off");
        small_vmm_is(vmm, !copies(vmm, 0x2222) && !(small_vmm_config(vmm, 4, 2) & 4),
                     "no DMA happens then");
        small_vmm_is(vmm, small_vmm_read(vmm, 0, 4) == EDU_IDENTITY, "memory decoding stays on");
        small_vmm_is(vmm,
                     vtd_frontend_config_write(unit, SMALL_RID, 4, 2, 4) == 0 &&
                             copies(vmm, 0x3333),
                     "and again after it is turned on");
}

/* Before it is attached, the BAR can be read, and mastering can be given up. */
static void check_plugging(struct small_vmm *vmm, int event)
{
        struct vtd_frontend *unit = vmm->frontend;
        uint32_t value;

        small_vmm_is(vmm, vtd_frontend_unplug(unit, SMALL_RID) == 0, "the device is unplugged");
        small_vmm_is(vmm,
                     vtd_frontend_config_read(unit, SMALL_RID, 0, 4, &value) == -ENODEV &&
                             vtd_frontend_reset_device(unit, SMALL_RID) == -ENODEV,
                     "and gone for the library");
        if (!small_vmm_plug(vmm, false))
                return;
        small_vmm_is(vmm, copies(vmm, 0x4444), "plugged again, it works as before");
        small_vmm_write(vmm, EDU_RAISE, 4, 1);
        small_vmm_is(vmm, small_vmm_wait(event, SILENCE_MS) == 0, "and has no vector armed");
        small_vmm_write(vmm, EDU_ACKNOWLEDGE, 4, 1);
}

static void check_reset(struct small_vmm *vmm, bool simulated, int event)
{
        struct vtd_frontend *unit = vmm->frontend;
        int r = vtd_frontend_set_interrupt(unit, SMALL_RID, VTD_FRONTEND_MSI, 0, event);

        small_vmm_is(vmm, r == 0, "the vector can be armed again");
        small_vmm_write(vmm, 4, 4, 7);
        r = vtd_frontend_reset_device(unit, SMALL_RID);
        small_vmm_is(vmm, simulated ? r == 0 : small_vmm_refused(vmm, r, "no-reset"),
                     "the device is reset where it can be");
        if (simulated)
                small_vmm_is(vmm, small_vmm_read(vmm, 4, 4) == 0, "its registers are as at first");
        small_vmm_is(vmm, copies(vmm, 0x5555), "what was attached still is");
        small_vmm_write(vmm, EDU_RAISE, 4, 1);
        small_vmm_is(vmm, small_vmm_wait(event, SIGNAL_MS) == 1, "what was armed still is");
        small_vmm_is(vmm,
                     vtd_frontend_clear_interrupts(unit, SMALL_RID, VTD_FRONTEND_MSI) == 0 &&
                             vtd_frontend_clear_interrupts(unit, SMALL_RID, VTD_FRONTEND_MSI) == 0,
                     "vectors are disarmed, also twice");
        small_vmm_write(vmm, EDU_RAISE, 4, 2);
        small_vmm_is(vmm, small_vmm_wait(event, SILENCE_MS) == 0, "no interrupt arrives any more");
}

int main(int argc, char **argv)
{
        static struct small_vmm vmm;
        bool simulated;
        int event;

        if (argc != 5 || strcmp(argv[1], "--build") != 0 || strcmp(argv[3], "--host") != 0)
                return 2;
        simulated = strcmp(argv[4], "simulated") == 0;
        event = eventfd(0, EFD_CLOEXEC);
        if (event < 0 ||
            !small_vmm_start(&vmm, argv[2], argv[4], "interrupts = 1\n",
                             simulated ? "simulated = edu\nregions = 0:rw, config:rw\n"
                                       : "pci = 0000:00:1e.0\nregions = 0:rw, config:rw\n"
                                         "allow = no-reset, no-snoop-control\n"))
                return 1;
        check_info(&vmm, simulated);
        check_config(&vmm, simulated);
        check_writes(&vmm);
        check_interrupts(&vmm, event);
        check_bus_master(&vmm);
        check_plugging(&vmm, event);
        check_reset(&vmm, simulated, event);
        (void)close(event);
        return small_vmm_stop(&vmm);
}
