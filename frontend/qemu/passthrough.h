/* SPDX-License-Identifier: MIT */
/*
 * The device "vtd-broker-pci", a PCI function of the guest that is a device of the broker, and what its
 * files share.
 *
 *   passthrough.c    the device: plugging, BARs, reset
 *   configuration.c  configuration space, as the guest sees it
 *   vectors.c        MSI and MSI-X
 *
 * Must guarantee that nothing a guest writes makes QEMU wait for more than answers of the broker, each of
 * which takes 10 seconds at most; one that does not come is a refusal at first, and if it is asked for by
 * the call itself the loss of the broker, for which the machine is stopped.
 */
#ifndef VTD_FRONTEND_QEMU_PASSTHROUGH_H
#define VTD_FRONTEND_QEMU_PASSTHROUGH_H

#include "hw/pci/pci_device.h"
#include "qemu/event_notifier.h"
#include "qom/object.h"

#include <vtd/device.h>

#include "iommu.h"

#define TYPE_VTD_BROKER_PCI "vtd-broker-pci"
OBJECT_DECLARE_SIMPLE_TYPE(VtdBrokerPci, VTD_BROKER_PCI)

#define VTD_BROKER_BARS 6

typedef struct VtdBrokerPciVector {
        VtdBrokerPci *device;
        EventNotifier event;
        enum vtd_frontend_interrupt_kind kind;
        unsigned number;
        bool armed;
} VtdBrokerPciVector;

typedef struct VtdBrokerPciBar {
        VtdBrokerPci *device;
        MemoryRegion memory;
        unsigned number;
} VtdBrokerPciBar;

struct VtdBrokerPci {
        PCIDevice parent;
        char *device; /* what the tenant's policy calls it */

        VtdBrokerIommu *iommu;
        uint16_t rid;
        bool plugged;
        bool refusal_reported;
        struct vtd_frontend_device_info info;
        VtdBrokerPciBar bars[VTD_BROKER_BARS];
        VtdBrokerPciVector *vectors; /* of MSI-X, or the one of MSI */
        unsigned vector_count;
        MemoryRegion *msix_table; /* the BARs that hold MSI-X table and pending bits */
        MemoryRegion *msix_pending;
        uint8_t express; /* offset of that capability; 0: none */
        bool express2;   /* and it is of its second version */
};

/*
 * True if @result, of a call of vtd/device.h, is 0.  The broker refuses what its policy does not grant,
 * which a guest can provoke as often as it likes: the first refusal is reported, with @what.
 */
bool vtd_broker_pci_done(VtdBrokerPci *device, int result, const char *what);

/* The device's own registers, as far as the broker shows them; what it refuses reads 0. */
uint32_t vtd_broker_pci_config_read(VtdBrokerPci *device, unsigned offset, unsigned width);
void vtd_broker_pci_config_write(VtdBrokerPci *device, unsigned offset, unsigned width,
                                 uint32_t value);

/* Makes the header and the capabilities what the guest is to see.  BARs must be there.  False with @errp. */
bool vtd_broker_pci_configuration_init(VtdBrokerPci *device, Error **errp);

/*
 * The function's requester id is what the number of its bus makes it.  A guest reaches configuration space
 * after it has numbered a bus, and before it lets a device do DMA.
 */
void vtd_broker_pci_follow_bus(VtdBrokerPci *device);

/* A guest's access to configuration space, as pci_default_read_config() and _write_config(). */
uint32_t vtd_broker_pci_configuration_read(PCIDevice *pci, uint32_t address, int length);
void vtd_broker_pci_configuration_write(PCIDevice *pci, uint32_t address, uint32_t value,
                                        int length);

/* @count vectors of @kind, none of them armed, of which the guest's kernel arms what it uses. */
void vtd_broker_pci_vectors_init(VtdBrokerPci *device, enum vtd_frontend_interrupt_kind kind,
                                 unsigned count);
/* As the guest's control words say now. */
void vtd_broker_pci_vectors_update(VtdBrokerPci *device);
void vtd_broker_pci_vectors_disarm(VtdBrokerPci *device);
void vtd_broker_pci_vectors_finalize(VtdBrokerPci *device);

/* msix_set_vector_notifiers(): the guest has unmasked a vector.  Masked again it stays armed. */
int vtd_broker_pci_vector_use(PCIDevice *pci, unsigned number, MSIMessage message);
void vtd_broker_pci_vector_release(PCIDevice *pci, unsigned number);

#endif
