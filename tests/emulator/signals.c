/* SPDX-License-Identifier: MIT */
/* See signals.h. */
#include "tests/emulator/signals.h"

#include <string.h>
#include <time.h>

#include "tests/emulator/tables.h"

#define CAPABILITY_MSI 0x05u
#define MSI_FLAGS      2u
#define MSI_ADDRESS    4u
#define MSI_DATA       12u /* of a capability with 64 bits */

#define REG_FRCD 0x220u
#define FRCD_F   0x80000000u

#define EDU_RAISE       0x60u
#define EDU_ACKNOWLEDGE 0x64u

static void point(struct vmm *vmm, uint16_t rid, uint64_t address, uint16_t data)
{
        unsigned msi = machine_capability(vmm, rid, CAPABILITY_MSI);

        machine_config_write(vmm, rid, msi + MSI_ADDRESS, 4, (uint32_t)address);
        machine_config_write(vmm, rid, msi + MSI_ADDRESS + 4, 4, (uint32_t)(address >> 32));
        machine_config_write(vmm, rid, msi + MSI_DATA, 2, data);
}

static void enable(struct vmm *vmm, uint16_t rid, bool on)
{
        unsigned msi = machine_capability(vmm, rid, CAPABILITY_MSI);

        machine_config_write(vmm, rid, msi + MSI_FLAGS, 2, on ? 1 : 0);
}

void signals_point(struct vmm *vmm, uint64_t address, uint16_t data)
{
        point(vmm, RID_BROKER, address, data);
}

void signals_enable(struct vmm *vmm, bool on)
{
        enable(vmm, RID_BROKER, on);
}

void signals_raise(struct vmm *vmm)
{
        machine_write(vmm, BAR_BROKER + EDU_RAISE, 4, 1);
        machine_write(vmm, BAR_BROKER + EDU_ACKNOWLEDGE, 4, UINT32_MAX);
}

void signals_emulated(struct vmm *vmm, uint64_t address, uint16_t data)
{
        point(vmm, RID_EDU, address, data);
        enable(vmm, RID_EDU, true);
        machine_write(vmm, BAR_EDU + EDU_RAISE, 4, 1);
        machine_write(vmm, BAR_EDU + EDU_ACKNOWLEDGE, 4, UINT32_MAX);
}

static void pause_ms(unsigned ms)
{
        const struct timespec pause = {.tv_nsec = ms * 1000000L};

        (void)nanosleep(&pause, NULL);
}

bool signals_arrive(struct vmm *vmm, uint32_t data)
{
        uint32_t words[2];

        for (unsigned waited = 0; waited < 300; waited += 10) {
                memcpy(words, vmm_memory(vmm) + PAGE_MESSAGE, sizeof(words));
                if (words[0] == data || words[1] == data)
                        return true;
                pause_ms(10);
        }
        return false;
}

bool signals_fault(struct guest *guest, struct guest_fault *fault)
{
        /* Taking a fault clears the record, also one that has come just now. */
        for (unsigned waited = 0; waited < 1000; waited += 10) {
                if (vmm_iommu_read(guest->vmm, REG_FRCD + 12, 4) & FRCD_F)
                        break;
                pause_ms(10);
        }
        guest_take_fault(guest, fault);
        return fault->pending;
}
