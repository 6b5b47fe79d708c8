/* SPDX-License-Identifier: MIT */
/* The device "vtd-broker-pci": see passthrough.h. */
#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_bus.h"
#include "hw/qdev-properties.h"
#include "hw/resettable.h"
#include "migration/vmstate.h"
#include "qapi/error.h"

#include "passthrough.h"

bool vtd_broker_pci_done(VtdBrokerPci *device, int result, const char *what)
{
        Error *error = NULL;

        if (result == 0)
                return true;
        if (!device->refusal_reported) {
                vtd_broker_iommu_error(device->iommu, result, &error, what);
                error_prepend(&error, "%s: ", device->device);
                warn_report_err(error);
                device->refusal_reported = true;
        }
        return false;
}

/* As where nothing answers, if the broker does not let it through. */
static uint64_t bar_read(void *opaque, hwaddr offset, unsigned size)
{
        VtdBrokerPciBar *bar = opaque;
        VtdBrokerPci *device = bar->device;
        uint64_t value;
        int r;

        vtd_broker_iommu_await(device->iommu);
        r = vtd_frontend_region_read(device->iommu->frontend, device->rid, bar->number, offset,
                                     size, &value);
        return vtd_broker_pci_done(device, r, "reading a BAR") ? value : UINT64_MAX;
}

static void bar_write(void *opaque, hwaddr offset, uint64_t value, unsigned size)
{
        VtdBrokerPciBar *bar = opaque;
        VtdBrokerPci *device = bar->device;
        int r;

        vtd_broker_iommu_await(device->iommu);
        r = vtd_frontend_region_write(device->iommu->frontend, device->rid, bar->number, offset,
                                      size, value);
        (void)vtd_broker_pci_done(device, r, "writing a BAR");
}

static const MemoryRegionOps bar_ops = {
        .read = bar_read,
        .write = bar_write,
        .endianness = DEVICE_LITTLE_ENDIAN,
        .valid = {.min_access_size = 1, .max_access_size = 8},
        .impl = {.min_access_size = 1, .max_access_size = 8},
};

/* A BAR as the device has it: kind, and size.  False with @errp.  *@count: the registers that it takes. */
static bool register_bar(VtdBrokerPci *device, unsigned number, unsigned *count, Error **errp)
{
        uint32_t kind = vtd_broker_pci_config_read(device, PCI_BASE_ADDRESS_0 + 4 * number, 4);
        VtdBrokerPciBar *bar = &device->bars[number];
        bool is_64 = !(kind & PCI_BASE_ADDRESS_SPACE_IO) &&
                     (kind & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
        uint64_t size = device->info.regions[number].size;
        g_autofree char *name = g_strdup_printf("%s-bar%u", device->device, number);

        *count = is_64 ? 2 : 1;
        if (size == 0)
                return true;
        if (!is_power_of_2(size) || number + *count > VTD_BROKER_BARS) {
                error_setg(errp,
                           "BAR %u of '%s' is said to be of %" PRIu64 " bytes and %d bits: a power "
                           "of 2 is possible, and 64 bits in BARs 0 to %d",
                           number, device->device, size, is_64 ? 64 : 32, VTD_BROKER_BARS - 2);
                return false;
        }
        bar->device = device;
        bar->number = number;
        memory_region_init_io(&bar->memory, OBJECT(device), &bar_ops, bar, name, size);
        pci_register_bar(PCI_DEVICE(device), number,
                         kind & (kind & PCI_BASE_ADDRESS_SPACE_IO ? ~PCI_BASE_ADDRESS_IO_MASK
                                                                  : ~PCI_BASE_ADDRESS_MEM_MASK),
                         &bar->memory);
        return true;
}

/* A bus below a bridge has no number, 0, until the guest gives it one. */
static bool is_numbered(PCIBus *bus)
{
        return pci_bus_is_root(bus) || pci_bus_num(bus) != 0;
}

/* That of a function which the guest cannot reach yet is of a bus that no function is on. */
static uint16_t first_requester_id(VtdBrokerPci *device)
{
        PCIDevice *pci = PCI_DEVICE(device);
        PCIBus *bus = pci_get_bus(pci);

        return is_numbered(bus)
                       ? PCI_BUILD_BDF(pci_bus_num(bus), pci->devfn)
                       : PCI_BUILD_BDF(Q35_PSEUDO_BUS_PLATFORM, ++device->iommu->unnumbered);
}

void vtd_broker_pci_follow_bus(VtdBrokerPci *device)
{
        PCIDevice *pci = PCI_DEVICE(device);
        PCIBus *bus = pci_get_bus(pci);
        uint16_t rid = PCI_BUILD_BDF(pci_bus_num(bus), pci->devfn);
        int r;

        if (rid == device->rid || !is_numbered(bus))
                return;
        vtd_broker_iommu_await(device->iommu);
        r = vtd_frontend_renumber(device->iommu->frontend, device->rid, rid);
        if (!vtd_broker_pci_done(device, r, "following the number of its bus"))
                return; /* another function still has it: tried again at the next access */
        device->rid = rid;
        vtd_broker_iommu_run(device->iommu);
}

static bool plug(VtdBrokerPci *device, Error **errp)
{
        g_autofree char *what = g_strdup_printf("plugging device '%s'", device->device);
        int r;

        vtd_broker_iommu_await(device->iommu);
        r = vtd_frontend_plug(device->iommu->frontend, device->device, device->rid);
        if (r != 0) {
                vtd_broker_iommu_error(device->iommu, r, errp, what);
                return false;
        }
        device->plugged = true;
        vtd_broker_iommu_run(device->iommu);
        if (!vtd_broker_memory_share(device->iommu, errp))
                return false;
        vtd_broker_iommu_await(device->iommu);
        r = vtd_frontend_get_device_info(device->iommu->frontend, device->rid, &device->info);
        if (r != 0) {
                vtd_broker_iommu_error(device->iommu, r, errp, "asking about the device");
                return false;
        }
        if (!device->info.config_readable) {
                error_setg(errp,
                           "the tenant's policy does not grant configuration space of '%s': "
                           "'regions' must have config:r or config:rw",
                           device->device);
                return false;
        }
        return true;
}

static void unplug(VtdBrokerPci *device)
{
        int r;

        if (!device->plugged)
                return;
        vtd_broker_pci_vectors_disarm(device);
        vtd_broker_iommu_await(device->iommu);
        r = vtd_frontend_unplug(device->iommu->frontend, device->rid);
        (void)vtd_broker_pci_done(device, r, "unplugging the device");
        vtd_broker_iommu_run(device->iommu);
        device->plugged = false;
}

static bool show_to_guest(VtdBrokerPci *device, Error **errp)
{
        PCIDevice *pci = PCI_DEVICE(device);
        unsigned count;

        for (unsigned i = 0; i < VTD_BROKER_BARS; i += count) {
                if (!register_bar(device, i, &count, errp))
                        return false;
        }
        if (!vtd_broker_pci_configuration_init(device, errp))
                return false;
        if (msix_present(pci) &&
            msix_set_vector_notifiers(pci, vtd_broker_pci_vector_use, vtd_broker_pci_vector_release,
                                      NULL) != 0) {
                error_setg(errp, "MSI-X of '%s' is in use already", device->device);
                return false;
        }
        return true;
}

static bool find_iommu(VtdBrokerPci *device, Error **errp)
{
        Object *found = OBJECT(x86_iommu_get_default());

        if (!device->device) {
                error_setg(errp, "'device' must say what the tenant's policy calls the device");
                return false;
        }
        device->iommu = (VtdBrokerIommu *)object_dynamic_cast(found, TYPE_VTD_BROKER_IOMMU);
        if (!device->iommu || device->iommu->watched < 0) {
                error_setg(errp,
                           "there must be a " TYPE_VTD_BROKER_IOMMU " with a connection to the "
                           "broker: -device " TYPE_VTD_BROKER_IOMMU ",broker=PATH");
                return false;
        }
        return true;
}

/* Also of a device that was realized in part. */
static void unrealize(PCIDevice *pci)
{
        VtdBrokerPci *device = VTD_BROKER_PCI(pci);

        unplug(device);
        if (msix_present(pci)) {
                if (pci->msix_vector_use_notifier)
                        msix_unset_vector_notifiers(pci);
                msix_uninit(pci, device->msix_table, device->msix_pending);
        }
        msi_uninit(pci);
        vtd_broker_pci_vectors_finalize(device);
}

static void realize(PCIDevice *pci, Error **errp)
{
        VtdBrokerPci *device = VTD_BROKER_PCI(pci);

        if (!find_iommu(device, errp))
                return;
        device->rid = first_requester_id(device);
        if (!plug(device, errp) || !show_to_guest(device, errp))
                unrealize(pci);
}

static void reset_function(VtdBrokerPci *device)
{
        int r;

        vtd_broker_pci_vectors_disarm(device);
        if (!device->info.can_reset)
                return;
        vtd_broker_iommu_await(device->iommu);
        r = vtd_frontend_reset_device(device->iommu->frontend, device->rid);
        (void)vtd_broker_pci_done(device, r, "resetting the device");
}

static void reset_hold(Object *object, ResetType type)
{
        VtdBrokerPci *device = VTD_BROKER_PCI(object);

        (void)type;
        vtd_broker_pci_config_write(device, PCI_COMMAND, 2, 0);
        reset_function(device);
}

static const VMStateDescription state_description = {
        .name = TYPE_VTD_BROKER_PCI,
        .unmigratable = 1,
};

static const Property properties[] = {
        DEFINE_PROP_STRING("device", VtdBrokerPci, device),
};

static void class_init(ObjectClass *class, void *data)
{
        DeviceClass *device = DEVICE_CLASS(class);
        PCIDeviceClass *pci = PCI_DEVICE_CLASS(class);

        (void)data;
        RESETTABLE_CLASS(class)->phases.hold = reset_hold;
        device->vmsd = &state_description;
        device->desc = "PCI passthrough device of vtd-broker";
        device_class_set_props(device, properties);
        set_bit(DEVICE_CATEGORY_MISC, device->categories);
        pci->realize = realize;
        pci->exit = unrealize;
        pci->config_read = vtd_broker_pci_configuration_read;
        pci->config_write = vtd_broker_pci_configuration_write;
}

static const TypeInfo type_info = {
        .name = TYPE_VTD_BROKER_PCI,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(VtdBrokerPci),
        .class_init = class_init,
        .interfaces =
                (InterfaceInfo[]){
                        {INTERFACE_CONVENTIONAL_PCI_DEVICE},
                        {},
                },
};

static void register_types(void)
{
        type_register_static(&type_info);
}
type_init(register_types)
