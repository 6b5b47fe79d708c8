/* SPDX-License-Identifier: MIT */
/*
 * usage: test-device-nvme --build DIR, as root in a rig that has an NVMe controller
 *
 * A device with MSI-X and function reset on the kernel's host, through libvtd-frontend and a real
 * vtd-brokerd: the controller is given an admin queue in guest memory, its completions arrive as
 * signals of an eventfd, and after a reset the same queue works with nothing attached or armed anew.
 * Prints TAP.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/system/small-vmm.h"

#define CLASS_NVME "0x010802\n"

#define REGISTER_CC   0x14u
#define REGISTER_CSTS 0x1cu
#define REGISTER_AQA  0x24u
#define REGISTER_ASQ  0x28u
#define REGISTER_ACQ  0x30u
#define DOORBELL_TAIL 0x1000u     /* of the admin submission queue */
#define DOORBELL_HEAD 0x1004u     /* of its completion queue */
#define CC_ENABLE     0x00460001u /* entries of 64 and 16 bytes */
#define READY_POLLS   20000u

#define QUEUE_ENTRIES 8u
#define SUBMISSIONS   0x10000u /* in guest memory */
#define COMPLETIONS   0x11000u
#define IDENTITY      0x12000u

#define VECTORS   4u /* that the policy grants */
#define SIGNAL_MS 10000

static bool write_text(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

        if (fd >= 0)
                (void)close(fd);
        return good;
}

static bool has_class(const char *address)
{
        char path[300], text[16] = {0};
        int fd;

        (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/class", address);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        (void)!read(fd, text, sizeof(text) - 1);
        (void)close(fd);
        return strcmp(text, CLASS_NVME) == 0;
}

/* Finds the controller and hands it to vfio-pci. */
static bool take_controller(char *address, size_t size)
{
        DIR *devices = opendir("/sys/bus/pci/devices");
        const struct dirent *entry;
        char path[300];
        bool found = false;

        while (devices && !found && (entry = readdir(devices))) {
                found = has_class(entry->d_name);
                if (found)
                        (void)snprintf(address, size, "%.12s", entry->d_name);
        }
        if (devices)
                (void)closedir(devices);
        if (!found)
                return false;
        (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", address);
        (void)write_text(path, address); /* the kernel's driver has it, or none */
        (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", address);
        return write_text(path, "vfio-pci") && write_text("/sys/bus/pci/drivers_probe", address);
}

/* Sets up the admin queue and starts the controller. */
static bool start_controller(struct small_vmm *vmm)
{
        memset(vmm->memory + SUBMISSIONS, 0, 0x3000);
        small_vmm_write(vmm, REGISTER_AQA, 4, (QUEUE_ENTRIES - 1) << 16 | (QUEUE_ENTRIES - 1));
        small_vmm_write(vmm, REGISTER_ASQ, 8, SUBMISSIONS);
        small_vmm_write(vmm, REGISTER_ACQ, 8, COMPLETIONS);
        small_vmm_write(vmm, REGISTER_CC, 4, CC_ENABLE);
        for (unsigned i = 0; i < READY_POLLS; i++)
                if (small_vmm_read(vmm, REGISTER_CSTS, 4) & 1)
                        return true;
        return false;
}

/* Has the controller identify itself, with the command of slot @slot; it must signal @event. */
static bool identify(struct small_vmm *vmm, unsigned slot, int event)
{
        uint32_t *command = (uint32_t *)(void *)(vmm->memory + SUBMISSIONS) + 16 * slot;
        const uint32_t *completion = (uint32_t *)(void *)(vmm->memory + COMPLETIONS) + 4 * slot;
        uint64_t count;

        command[0] = 0x06 | (slot + 1) << 16; /* Identify */
        command[6] = IDENTITY;
        command[10] = 1; /* the controller */
        memset(vmm->memory + IDENTITY, 0, 4096);
        small_vmm_write(vmm, DOORBELL_TAIL, 4, slot + 1);
        count = small_vmm_wait(event, SIGNAL_MS);
        small_vmm_write(vmm, DOORBELL_HEAD, 4, slot + 1);
        (void)printf("# %llu signals, completion %#x\n", (unsigned long long)count, completion[3]);
        return count == 1 && completion[3] == (0x10000 | (slot + 1)) &&
               memcmp(vmm->memory + IDENTITY + 4, "rig-nvme", 8) == 0; /* serial number */
}

static void check_shown(struct small_vmm *vmm)
{
        struct vtd_frontend_device_info info = {0};
        uint64_t standard, extended;
        unsigned msix, table;

        small_vmm_is(vmm,
                     vtd_frontend_get_device_info(vmm->frontend, SMALL_RID, &info) == 0 &&
                             info.can_reset && info.msi_vectors == 0,
                     "a device that can be reset, without MSI");
        small_vmm_is(vmm, info.msix_vectors == VECTORS, "with as many vectors as are granted");
        small_vmm_capabilities(vmm, &standard, &extended);
        (void)printf("# capabilities %#llx, extended %#llx\n", (unsigned long long)standard,
                     (unsigned long long)extended);
        small_vmm_is(vmm, (standard & ~(UINT64_C(1) << 1 | UINT64_C(1) << 16)) == UINT64_C(1) << 17,
                     "of its capabilities those that may be shown");
        small_vmm_is(vmm, (extended & ~(UINT64_C(1) << 3)) == 0, "and of the extended ones");
        msix = small_vmm_find_capability(vmm, 0x11);
        small_vmm_is(vmm, small_vmm_config(vmm, msix + 2, 2) == VECTORS - 1,
                     "its table is as long as that");
        table = small_vmm_config(vmm, msix + 4, 4);
        small_vmm_is(vmm, (table & 7) == 0 && small_vmm_read(vmm, table & ~7u, 4) == UINT32_MAX,
                     "and not in the BAR for who reads there");
}

static void check_vectors(struct small_vmm *vmm, int event, int other)
{
        struct vtd_frontend *unit = vmm->frontend;

        small_vmm_is(vmm,
                     vtd_frontend_set_interrupt(unit, SMALL_RID, VTD_FRONTEND_MSIX, 1, other) == 0,
                     "a vector is armed, with the one below it");
        small_vmm_is(vmm,
                     vtd_frontend_set_interrupt(unit, SMALL_RID, VTD_FRONTEND_MSIX, 3, other) == 0,
                     "one above it is armed later");
        small_vmm_is(vmm,
                     vtd_frontend_set_interrupt(unit, SMALL_RID, VTD_FRONTEND_MSIX, 0, event) == 0,
                     "and the first");
        small_vmm_is(vmm,
                     small_vmm_refused(vmm,
                                       vtd_frontend_set_interrupt(unit, SMALL_RID,
                                                                  VTD_FRONTEND_MSIX, 4, event),
                                       "interrupt-limit"),
                     "one more than is granted is refused");
        small_vmm_is(vmm,
                     small_vmm_refused(vmm,
                                       vtd_frontend_set_interrupt(unit, SMALL_RID, VTD_FRONTEND_MSI,
                                                                  0, event),
                                       "interrupt-vector"),
                     "and what the device has not");
}

int main(int argc, char **argv)
{
        static struct small_vmm vmm;
        char device[256], address[16] = "";
        int event = eventfd(0, EFD_CLOEXEC), other = eventfd(0, EFD_CLOEXEC);

        if (argc != 3 || strcmp(argv[1], "--build") != 0 || event < 0 || other < 0)
                return 2;
        if (!take_controller(address, sizeof(address))) {
                (void)printf("Bail out! no NVMe controller for vfio-pci\n");
                return 1;
        }
        (void)snprintf(device, sizeof(device),
                       "pci = %s\nregions = 0:rw, config:rw\nallow = no-snoop-control\n", address);
        if (!small_vmm_start(&vmm, argv[2], "linux", "interrupts = 4\n", device))
                return 1;
        check_shown(&vmm);
        check_vectors(&vmm, event, other);
        small_vmm_is(&vmm, start_controller(&vmm), "the controller starts");
        small_vmm_is(&vmm, identify(&vmm, 0, event), "a completion arrives, with its interrupt");
        small_vmm_is(&vmm, identify(&vmm, 1, event), "and another");
        small_vmm_is(&vmm, vtd_frontend_reset_device(vmm.frontend, SMALL_RID) == 0,
                     "the function is reset");
        small_vmm_is(&vmm,
                     small_vmm_read(&vmm, REGISTER_CC, 4) == 0 &&
                             small_vmm_read(&vmm, REGISTER_CSTS, 4) == 0,
                     "the controller has stopped");
        small_vmm_is(&vmm, start_controller(&vmm) && identify(&vmm, 0, event),
                     "started again, it reaches memory and the eventfd as before");
        small_vmm_is(&vmm,
                     vtd_frontend_clear_interrupts(vmm.frontend, SMALL_RID, VTD_FRONTEND_MSIX) == 0,
                     "its vectors are disarmed");
        small_vmm_is(&vmm,
                     vtd_frontend_set_interrupt(vmm.frontend, SMALL_RID, VTD_FRONTEND_MSIX, 0,
                                                event) == 0 &&
                             identify(&vmm, 1, event),
                     "and can be armed again");
        small_vmm_is(&vmm, small_vmm_wait(other, 0) == 0, "no other vector was ever signalled");
        (void)close(event);
        (void)close(other);
        return small_vmm_stop(&vmm);
}
