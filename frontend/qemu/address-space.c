/* SPDX-License-Identifier: MIT */
/*
 * DMA and interrupt messages of emulated PCI functions: see iommu.h.
 *
 * Each function has an address space of one IOMMU region, whatever the guest has switched on: the
 * library says for every access where it goes.  Messages are such accesses, and are translated to an
 * address space of their own, where they are remapped.  All others are translated to memory as devices
 * reach it: not the unit's own registers, where a write would be a command, and not the interrupt
 * range, where it would be a message that was never remapped.
 *
 * A translation is made within an access of vtd/dma.h that ends before QEMU uses it, because QEMU's
 * memory core does not say when it has.  What runs under the big lock, as the unit does, cannot tell
 * the difference.  A device with an I/O thread can: its accesses are not drained by a guest's wait
 * descriptor, as is so with every virtual IOMMU of QEMU.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "hw/i386/apic_internal.h"
#include "hw/pci/pci_bus.h"

#include <vtd/dma.h>
#include <vtd/interrupt.h>

#include "iommu.h"

#define INTERRUPT_FIRST 0xfee00000u
#define INTERRUPT_SIZE  0x100000u
#define PAGE_MASK       0xfffu

/*
 * An address of the interrupts' address space is that of the message, and above it who sends it:
 * attributes of an access name that only where it is an MSI, and not for a device's other writes.
 */
#define MESSAGE_RID_SHIFT 32
#define MESSAGE_RID_BITS  16

#define TYPE_VTD_BROKER_REGION "vtd-broker-iommu-memory-region"

struct VtdAddressSpace {
        IOMMUMemoryRegion region;
        AddressSpace as;
        VtdBrokerIommu *iommu;
        PCIBus *bus; /* NULL: the I/O APIC, whose requester id is fixed */
        uint8_t devfn;
};
typedef struct VtdAddressSpace VtdAddressSpace;

/* Guests number buses at run time. */
static uint16_t requester_id(const VtdAddressSpace *space)
{
        return space->bus ? PCI_BUILD_BDF(pci_bus_num(space->bus), space->devfn)
                          : VTD_BROKER_IOAPIC_RID;
}

static int ask(VtdBrokerIommu *iommu, const struct vtd_frontend_dma_request *request,
               struct vtd_frontend_dma_translation *translation)
{
        struct vtd_frontend_access access;
        int r;

        vtd_frontend_access_begin(iommu->frontend, &access);
        r = vtd_frontend_translate(iommu->frontend, &access, request, translation);
        vtd_frontend_access_end(iommu->frontend, &access);
        return r;
}

static IOMMUAccessFlags permissions(unsigned access)
{
        return (access & VTD_FRONTEND_DMA_READ ? IOMMU_RO : 0) |
               (access & VTD_FRONTEND_DMA_WRITE ? IOMMU_WO : 0);
}

static bool is_message(hwaddr address, IOMMUAccessFlags flag)
{
        return flag == IOMMU_WO && address >= INTERRUPT_FIRST &&
               address - INTERRUPT_FIRST < INTERRUPT_SIZE && address % sizeof(uint32_t) == 0;
}

static IOMMUTLBEntry translate(IOMMUMemoryRegion *region, hwaddr address, IOMMUAccessFlags flag,
                               int index)
{
        VtdAddressSpace *space = container_of(region, VtdAddressSpace, region);
        IOMMUTLBEntry entry = {
                .target_as = &space->iommu->memory_as,
                .iova = address & ~(hwaddr)PAGE_MASK,
                .addr_mask = PAGE_MASK,
                .perm = IOMMU_NONE,
        };
        struct vtd_frontend_dma_translation found;
        struct vtd_frontend_dma_request request = {
                .rid = requester_id(space),
                .access = flag & IOMMU_WO ? VTD_FRONTEND_DMA_WRITE : VTD_FRONTEND_DMA_READ,
                .address = address,
                .size = is_message(address, flag) ? sizeof(uint32_t) : 1,
        };
        int r;

        (void)index;
        if (flag == IOMMU_NONE)
                return entry; /* a question about what is possible, not an access */
        r = ask(space->iommu, &request, &found);
        if (r == VTD_FRONTEND_INTERRUPT) {
                entry.target_as = &space->iommu->interrupts_as;
                entry.translated_addr = (hwaddr)request.rid << MESSAGE_RID_SHIFT | entry.iova;
                entry.perm = IOMMU_WO;
        } else if (r == 0) {
                entry.iova = found.address;
                entry.translated_addr = found.translated;
                entry.addr_mask = found.size - 1;
                entry.perm = permissions(found.access | request.access);
        }
        return entry;
}

/*
 * Who keeps translations, as vhost does, would have to be told of invalidations.  Nobody is yet, so
 * nobody may: stale translations would be a way out of what the guest has set up.
 */
static int notify_flag_changed(IOMMUMemoryRegion *region, IOMMUNotifierFlag old,
                               IOMMUNotifierFlag new, Error **errp)
{
        (void)region;
        (void)old;
        if (new == IOMMU_NOTIFIER_NONE)
                return 0;
        error_setg(errp, TYPE_VTD_BROKER_IOMMU
                   " has no devices that keep translations (vhost, vfio-pci); a passthrough device "
                   "is a vtd-broker-pci");
        return -ENOTSUP;
}

int vtd_broker_remap(VtdBrokerIommu *iommu, uint16_t rid, const MSIMessage *from, MSIMessage *to)
{
        struct vtd_frontend_access access;
        struct vtd_frontend_message message;
        int r;

        vtd_frontend_access_begin(iommu->frontend, &access);
        r = vtd_frontend_remap_interrupt(iommu->frontend, rid, from->address, from->data, &message);
        vtd_frontend_access_end(iommu->frontend, &access);
        if (r != 0)
                return -EINVAL;
        to->address = message.address;
        to->data = message.data;
        return 0;
}

static MemTxResult interrupts_read(void *opaque, hwaddr address, uint64_t *value, unsigned size,
                                   MemTxAttrs attrs)
{
        (void)opaque;
        (void)address;
        (void)value;
        (void)size;
        (void)attrs;
        return MEMTX_ERROR; /* translate() lets no read come here */
}

/* A write of another size is no message: the unit is asked again, to have the fault on record. */
static MemTxResult interrupts_write(void *opaque, hwaddr address, uint64_t value, unsigned size,
                                    MemTxAttrs attrs)
{
        VtdBrokerIommu *iommu = opaque;
        uint16_t rid = address >> MESSAGE_RID_SHIFT;
        MSIMessage from = {.address = (uint32_t)address, .data = value}, to;
        struct vtd_frontend_dma_translation translation;
        struct vtd_frontend_dma_request request = {
                .rid = rid,
                .access = VTD_FRONTEND_DMA_WRITE,
                .address = from.address,
                .size = size,
        };

        (void)attrs;
        if (size != sizeof(uint32_t)) {
                (void)ask(iommu, &request, &translation);
                return MEMTX_ERROR;
        }
        if (vtd_broker_remap(iommu, rid, &from, &to) != 0)
                return MEMTX_ERROR;
        apic_get_class(NULL)->send_msi(&to);
        return MEMTX_OK;
}

static const MemoryRegionOps interrupts_ops = {
        .read_with_attrs = interrupts_read,
        .write_with_attrs = interrupts_write,
        .endianness = DEVICE_LITTLE_ENDIAN,
        .valid = {.min_access_size = 1, .max_access_size = 8, .unaligned = true},
        .impl = {.min_access_size = 1, .max_access_size = 8, .unaligned = true},
};

static guint space_hash(gconstpointer key)
{
        const VtdAddressSpace *space = key;

        return g_direct_hash(space->bus) ^ space->devfn;
}

static gboolean space_equal(gconstpointer a, gconstpointer b)
{
        const VtdAddressSpace *left = a, *right = b;

        return left->bus == right->bus && left->devfn == right->devfn;
}

static AddressSpace *find_or_create(VtdBrokerIommu *iommu, PCIBus *bus, int devfn)
{
        const VtdAddressSpace key = {.bus = bus, .devfn = devfn};
        VtdAddressSpace *space = g_hash_table_lookup(iommu->spaces, &key);
        g_autofree char *name = NULL;

        if (space)
                return &space->as;
        space = g_new0(VtdAddressSpace, 1);
        space->iommu = iommu;
        space->bus = bus;
        space->devfn = devfn;
        name = g_strdup_printf("vtd-broker-%02x.%x", PCI_SLOT(devfn), PCI_FUNC(devfn));
        memory_region_init_iommu(&space->region, sizeof(space->region), TYPE_VTD_BROKER_REGION,
                                 OBJECT(iommu), name, UINT64_MAX);
        address_space_init(&space->as, MEMORY_REGION(&space->region), name);
        g_hash_table_add(iommu->spaces, space);
        return &space->as;
}

static AddressSpace *get_address_space(PCIBus *bus, void *opaque, int devfn)
{
        return find_or_create(opaque, bus, devfn);
}

static const PCIIOMMUOps iommu_ops = {.get_address_space = get_address_space};

/* Hides what lies at @address from devices. */
static void hide(VtdBrokerIommu *iommu, MemoryRegion *hidden, hwaddr address, uint64_t size)
{
        memory_region_init_io(hidden, OBJECT(iommu), NULL, NULL, "vtd-broker-hidden", size);
        memory_region_add_subregion_overlap(&iommu->memory, address, hidden, 1);
}

static void init_memory(VtdBrokerIommu *iommu)
{
        memory_region_init(&iommu->memory, OBJECT(iommu), "vtd-broker-memory", UINT64_MAX);
        memory_region_init_alias(&iommu->system, OBJECT(iommu), "vtd-broker-system",
                                 get_system_memory(), 0, UINT64_MAX);
        memory_region_add_subregion(&iommu->memory, 0, &iommu->system);
        hide(iommu, &iommu->hidden_registers, VTD_FRONTEND_REGISTER_BASE,
             VTD_FRONTEND_REGISTER_PAGE_SIZE);
        hide(iommu, &iommu->hidden_interrupts, INTERRUPT_FIRST, INTERRUPT_SIZE);
        address_space_init(&iommu->memory_as, &iommu->memory, "vtd-broker-memory");
}

void vtd_broker_address_spaces_init(VtdBrokerIommu *iommu, PCIBus *bus)
{
        iommu->spaces = g_hash_table_new(space_hash, space_equal);
        init_memory(iommu);
        memory_region_init_io(&iommu->interrupts, OBJECT(iommu), &interrupts_ops, iommu,
                              "vtd-broker-interrupts",
                              UINT64_C(1) << (MESSAGE_RID_SHIFT + MESSAGE_RID_BITS));
        address_space_init(&iommu->interrupts_as, &iommu->interrupts, "vtd-broker-interrupts");
        iommu->ioapic = find_or_create(iommu, NULL, Q35_PSEUDO_DEVFN_IOAPIC);
        pci_setup_iommu(bus, &iommu_ops, iommu);
}

static void region_class_init(ObjectClass *class, void *data)
{
        IOMMUMemoryRegionClass *region = IOMMU_MEMORY_REGION_CLASS(class);

        (void)data;
        region->translate = translate;
        region->notify_flag_changed = notify_flag_changed;
}

static const TypeInfo region_info = {
        .name = TYPE_VTD_BROKER_REGION,
        .parent = TYPE_IOMMU_MEMORY_REGION,
        .class_init = region_class_init,
};

static void register_types(void)
{
        type_register_static(&region_info);
}
type_init(register_types)
