/* SPDX-License-Identifier: MIT */
/*
 * Configuration space of a passthrough device: see passthrough.h.
 *
 * It is emulated, from what the broker shows when the device is plugged.  What a guest may set in the
 * device itself is passed on: Bus Master Enable, and the two control registers of the PCI Express
 * capability, of which the broker lets through some bits.
 */
#include "qemu/osdep.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie.h"
#include "qapi/error.h"

#include "passthrough.h"

#define CAPABILITIES_MAX 48 /* as many as fit between the header and the end */

/* Of the MSI capability, by its flags. */
#define MSI_SIZE(flags)                                                                            \
        (10u + ((flags)&PCI_MSI_FLAGS_64BIT ? 4u : 0u) + ((flags)&PCI_MSI_FLAGS_MASKBIT ? 10u : 0u))

uint32_t vtd_broker_pci_config_read(VtdBrokerPci *device, unsigned offset, unsigned width)
{
        uint32_t value;
        int r;

        vtd_broker_iommu_await(device->iommu);
        r = vtd_frontend_config_read(device->iommu->frontend, device->rid, offset, width, &value);
        return vtd_broker_pci_done(device, r, "reading configuration space") ? value : 0;
}

void vtd_broker_pci_config_write(VtdBrokerPci *device, unsigned offset, unsigned width,
                                 uint32_t value)
{
        int r;

        vtd_broker_iommu_await(device->iommu);
        r = vtd_frontend_config_write(device->iommu->frontend, device->rid, offset, width, value);
        (void)vtd_broker_pci_done(device, r, "writing configuration space");
}

/* What of the 16 bits at @offset the guest has just written, over what was there. */
static bool written_word(const PCIDevice *pci, unsigned offset, uint32_t address, uint32_t value,
                         int length, uint16_t *word)
{
        uint8_t bytes[2] = {pci->config[offset], pci->config[offset + 1]};
        bool any = false;

        for (int i = 0; i < length; i++) {
                if (address + i != offset && address + i != offset + 1)
                        continue;
                bytes[address + i - offset] = value >> (8 * i);
                any = true;
        }
        *word = lduw_le_p(bytes);
        return any;
}

/* A control register of the PCI Express capability: the device's, of which the broker masks bits. */
static void pass_control(VtdBrokerPci *device, unsigned offset, uint16_t word)
{
        PCIDevice *pci = PCI_DEVICE(device);

        vtd_broker_pci_config_write(device, offset, 2, word);
        pci_set_word(pci->config + offset, vtd_broker_pci_config_read(device, offset, 2));
}

uint32_t vtd_broker_pci_configuration_read(PCIDevice *pci, uint32_t address, int length)
{
        vtd_broker_pci_follow_bus(VTD_BROKER_PCI(pci));
        return pci_default_read_config(pci, address, length);
}

void vtd_broker_pci_configuration_write(PCIDevice *pci, uint32_t address, uint32_t value,
                                        int length)
{
        VtdBrokerPci *device = VTD_BROKER_PCI(pci);
        unsigned control = device->express + PCI_EXP_DEVCTL;
        unsigned control2 = device->express + PCI_EXP_DEVCTL2;
        uint16_t word;

        vtd_broker_pci_follow_bus(device);
        if (device->express && written_word(pci, control, address, value, length, &word)) {
                if (word & PCI_EXP_DEVCTL_BCR_FLR) {
                        pci_device_reset(pci); /* what is emulated here, and the device */
                        return;
                }
                pass_control(device, control, word);
        }
        if (device->express2 && written_word(pci, control2, address, value, length, &word))
                pass_control(device, control2, word);
        pci_default_write_config(pci, address, value, length);
        if (ranges_overlap(address, length, PCI_COMMAND, 2))
                vtd_broker_pci_config_write(device, PCI_COMMAND, 2,
                                            pci_get_word(pci->config + PCI_COMMAND));
        vtd_broker_pci_vectors_update(device);
}

/* QEMU takes that for granted. */
static bool fits(uint8_t offset, unsigned size, Error **errp)
{
        if (offset + size <= PCI_CONFIG_SPACE_SIZE)
                return true;
        error_setg(
                errp,
                "the capability at 0x%x of configuration space is said to have %u bytes: it must "
                "end before 0x%x",
                offset, size, PCI_CONFIG_SPACE_SIZE);
        return false;
}

/* Not more than that kind of function needs, for behind it may be another capability. */
static uint8_t express_size(uint16_t flags)
{
        bool integrated = (flags & PCI_EXP_FLAGS_TYPE) >> 4 == PCI_EXP_TYPE_RC_END;

        if ((flags & PCI_EXP_FLAGS_VERS) < 2)
                return integrated ? PCI_EXP_LNKCAP : PCI_EXP_SLTCAP;
        return integrated ? PCI_EXP_LNKCAP2 : PCI_EXP_SLTCAP2;
}

static bool add_express(VtdBrokerPci *device, uint8_t offset, Error **errp)
{
        PCIDevice *pci = PCI_DEVICE(device);
        uint16_t flags = vtd_broker_pci_config_read(device, offset + PCI_EXP_FLAGS, 2);
        uint8_t *capability = pci->config + offset, size;

        /* On the root bus there is no link: an endpoint there is part of the root complex. */
        if (pci_bus_is_root(pci_get_bus(pci)))
                flags = (flags & ~PCI_EXP_FLAGS_TYPE) | PCI_EXP_TYPE_RC_END << 4;
        size = express_size(flags);
        if (!fits(offset, size, errp) ||
            pci_add_capability(pci, PCI_CAP_ID_EXP, offset, size, errp) < 0)
                return false;
        for (unsigned i = 4; i < size; i += 4)
                pci_set_long(capability + i, vtd_broker_pci_config_read(device, offset + i, 4));
        if (pci_bus_is_root(pci_get_bus(pci)) && size > PCI_EXP_LNKCAP)
                memset(capability + PCI_EXP_LNKCAP, 0, 8);
        pci_set_word(capability + PCI_EXP_FLAGS, flags);
        device->express = offset;
        device->express2 = size > PCI_EXP_DEVCTL2;
        return true;
}

/* Power states are emulated: the device itself stays on. */
static bool add_power(VtdBrokerPci *device, uint8_t offset, Error **errp)
{
        PCIDevice *pci = PCI_DEVICE(device);
        uint16_t capabilities = vtd_broker_pci_config_read(device, offset + PCI_PM_PMC, 2);

        if (!fits(offset, PCI_PM_SIZEOF, errp) ||
            pci_add_capability(pci, PCI_CAP_ID_PM, offset, PCI_PM_SIZEOF, errp) < 0)
                return false;
        pci_set_word(pci->config + offset + PCI_PM_PMC, capabilities & ~PCI_PM_CAP_PME_MASK);
        pci_set_word(pci->config + offset + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
        pci_set_word(pci->wmask + offset + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
        return true;
}

static bool add_msi(VtdBrokerPci *device, uint8_t offset, Error **errp)
{
        uint16_t flags = vtd_broker_pci_config_read(device, offset + PCI_MSI_FLAGS, 2);

        if (device->info.msi_vectors == 0 || device->info.msix_vectors > 0)
                return true; /* one kind is enough, and drivers prefer MSI-X */
        if (!fits(offset, MSI_SIZE(flags), errp) ||
            msi_init(PCI_DEVICE(device), offset, 1, flags & PCI_MSI_FLAGS_64BIT,
                     flags & PCI_MSI_FLAGS_MASKBIT, errp) != 0)
                return false;
        vtd_broker_pci_vectors_init(device, VTD_FRONTEND_MSI, 1);
        return true;
}

static bool add_msix(VtdBrokerPci *device, uint8_t offset, Error **errp)
{
        PCIDevice *pci = PCI_DEVICE(device);
        uint32_t table = vtd_broker_pci_config_read(device, offset + PCI_MSIX_TABLE, 4);
        uint32_t pending = vtd_broker_pci_config_read(device, offset + PCI_MSIX_PBA, 4);
        unsigned table_bar = table & PCI_MSIX_FLAGS_BIRMASK;
        unsigned pending_bar = pending & PCI_MSIX_FLAGS_BIRMASK;
        unsigned count = device->info.msix_vectors;

        if (count == 0)
                return true;
        if (!fits(offset, MSIX_CAP_LENGTH, errp))
                return false;
        if (table_bar >= VTD_BROKER_BARS || pending_bar >= VTD_BROKER_BARS ||
            !device->bars[table_bar].device || !device->bars[pending_bar].device) {
                error_setg(errp,
                           "the MSI-X table is said to be in BAR %u, and its pending bits in BAR "
                           "%u, which are not both there",
                           table_bar, pending_bar);
                return false;
        }
        device->msix_table = &device->bars[table_bar].memory;
        device->msix_pending = &device->bars[pending_bar].memory;
        if (msix_init(pci, count, device->msix_table, table_bar, table & ~PCI_MSIX_FLAGS_BIRMASK,
                      device->msix_pending, pending_bar, pending & ~PCI_MSIX_FLAGS_BIRMASK, offset,
                      errp) != 0)
                return false;
        for (unsigned i = 0; i < count; i++)
                msix_vector_use(pci, i);
        vtd_broker_pci_vectors_init(device, VTD_FRONTEND_MSIX, count);
        return true;
}

static bool add_capability(VtdBrokerPci *device, uint8_t offset, Error **errp)
{
        switch (vtd_broker_pci_config_read(device, offset, 1)) {
        case PCI_CAP_ID_EXP:
                return add_express(device, offset, errp);
        case PCI_CAP_ID_PM:
                return add_power(device, offset, errp);
        case PCI_CAP_ID_MSI:
                return add_msi(device, offset, errp);
        case PCI_CAP_ID_MSIX:
                return add_msix(device, offset, errp);
        default:
                return true; /* nothing here knows how to emulate it */
        }
}

/* QEMU puts each one at the head of the list: so the last one first. */
static bool add_capabilities(VtdBrokerPci *device, Error **errp)
{
        uint8_t offsets[CAPABILITIES_MAX];
        unsigned count = 0;

        if (!(vtd_broker_pci_config_read(device, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
                return true;
        for (uint8_t at = vtd_broker_pci_config_read(device, PCI_CAPABILITY_LIST, 1) & ~3;
             at >= PCI_STD_HEADER_SIZEOF && count < CAPABILITIES_MAX;
             at = vtd_broker_pci_config_read(device, at + PCI_CAP_LIST_NEXT, 1) & ~3)
                offsets[count++] = at;
        while (count > 0) {
                if (!add_capability(device, offsets[--count], errp))
                        return false;
        }
        return true;
}

/* What says which device it is: the header's registers that the guest can only read. */
static void copy_identity(VtdBrokerPci *device)
{
        static const struct {
                uint8_t offset;
                uint8_t size;
        } registers[] = {
                {PCI_VENDOR_ID, 4},
                {PCI_CLASS_REVISION, 4},
                {PCI_SUBSYSTEM_VENDOR_ID, 4},
        };
        PCIDevice *pci = PCI_DEVICE(device);

        for (size_t i = 0; i < ARRAY_SIZE(registers); i++)
                pci_set_long(pci->config + registers[i].offset,
                             vtd_broker_pci_config_read(device, registers[i].offset, 4));
        pci_set_byte(pci->config + PCI_INTERRUPT_PIN, 0);
        /* Beyond the header nothing is writable but what a capability makes so. */
        memset(pci->wmask + PCI_STD_HEADER_SIZEOF, 0,
               PCI_CONFIG_SPACE_SIZE - PCI_STD_HEADER_SIZEOF);
}

bool vtd_broker_pci_configuration_init(VtdBrokerPci *device, Error **errp)
{
        copy_identity(device);
        if (!add_capabilities(device, errp))
                return false;
        /* No DMA before the guest asks for it. */
        vtd_broker_pci_config_write(device, PCI_COMMAND, 2, 0);
        return true;
}
