/* SPDX-License-Identifier: MIT */
/*
 * MSI and MSI-X of a passthrough device: see passthrough.h.  The broker has the device's interrupts
 * signal eventfds; what the guest gets is the message that it has asked for, through its interrupt
 * remapping.
 */
#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"

#include "passthrough.h"

/* The guest's message, wherever it has pointed it; a masked one stays pending. */
static void vector_signalled(EventNotifier *event)
{
        VtdBrokerPciVector *vector = container_of(event, VtdBrokerPciVector, event);
        PCIDevice *pci = PCI_DEVICE(vector->device);

        if (!event_notifier_test_and_clear(event))
                return;
        if (vector->kind == VTD_FRONTEND_MSIX)
                msix_notify(pci, vector->number);
        else
                msi_notify(pci, vector->number);
}

/* A vector that the broker refuses stays silent, and is asked for again with the next chance. */
static void vector_arm(VtdBrokerPciVector *vector)
{
        VtdBrokerPci *device = vector->device;
        int r;

        if (vector->armed)
                return;
        r = event_notifier_init(&vector->event, 0);
        if (!vtd_broker_pci_done(device, r, "making an eventfd"))
                return;
        vtd_broker_iommu_await(device->iommu);
        r = vtd_frontend_set_interrupt(device->iommu->frontend, device->rid, vector->kind,
                                       vector->number, event_notifier_get_fd(&vector->event));
        if (!vtd_broker_pci_done(device, r, "arming an interrupt")) {
                event_notifier_cleanup(&vector->event);
                return;
        }
        event_notifier_set_handler(&vector->event, vector_signalled);
        vector->armed = true;
}

void vtd_broker_pci_vectors_disarm(VtdBrokerPci *device)
{
        VtdBrokerPciVector *vector;
        bool any = false;
        int r;

        for (unsigned i = 0; i < device->vector_count; i++) {
                vector = &device->vectors[i];
                if (!vector->armed)
                        continue;
                event_notifier_set_handler(&vector->event, NULL);
                event_notifier_cleanup(&vector->event);
                vector->armed = false;
                any = true;
        }
        if (!any)
                return;
        vtd_broker_iommu_await(device->iommu);
        r = vtd_frontend_clear_interrupts(device->iommu->frontend, device->rid,
                                          device->vectors[0].kind);
        (void)vtd_broker_pci_done(device, r, "disarming interrupts");
}

/* Nothing else may be returned: QEMU asserts that, and a guest can have any vector refused. */
int vtd_broker_pci_vector_use(PCIDevice *pci, unsigned number, MSIMessage message)
{
        VtdBrokerPci *device = VTD_BROKER_PCI(pci);

        (void)message;
        if (number < device->vector_count)
                vector_arm(&device->vectors[number]);
        return 0;
}

void vtd_broker_pci_vector_release(PCIDevice *pci, unsigned number)
{
        (void)pci;
        (void)number;
}

void vtd_broker_pci_vectors_init(VtdBrokerPci *device, enum vtd_frontend_interrupt_kind kind,
                                 unsigned count)
{
        device->vectors = g_new0(VtdBrokerPciVector, count);
        device->vector_count = count;
        for (unsigned i = 0; i < count; i++) {
                device->vectors[i].device = device;
                device->vectors[i].kind = kind;
                device->vectors[i].number = i;
        }
}

void vtd_broker_pci_vectors_update(VtdBrokerPci *device)
{
        PCIDevice *pci = PCI_DEVICE(device);

        if (device->vector_count == 0)
                return;
        if (device->vectors[0].kind == VTD_FRONTEND_MSI && msi_enabled(pci))
                vector_arm(&device->vectors[0]);
        else if (!msi_enabled(pci) && !msix_enabled(pci))
                vtd_broker_pci_vectors_disarm(device);
}

void vtd_broker_pci_vectors_finalize(VtdBrokerPci *device)
{
        g_clear_pointer(&device->vectors, g_free);
        device->vector_count = 0;
}
