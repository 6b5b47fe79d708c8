/* SPDX-License-Identifier: MIT */
/*
 * The virtual IOMMU of libvtd-frontend as a device of QEMU's q35 machine, and what its files share.
 *
 *   iommu.c          the device: register page, running the unit, connection, reset, saved state
 *   dmar.c           the ACPI table by which a guest finds it
 *   address-space.c  DMA and interrupt messages of emulated PCI functions pass it
 *   guest-memory.c   the unit reads and writes guest RAM; the broker is given guest RAM
 *   passthrough.c    a PCI function that is a device of the broker
 *
 * Everything here runs with QEMU's big lock held, but for the translation of an emulated device that
 * has a thread of its own, and for the memory callbacks made from there.  This process opens neither
 * /dev/iommu nor a VFIO device, and nothing here takes a descriptor of one over.
 */
#ifndef VTD_FRONTEND_QEMU_IOMMU_H
#define VTD_FRONTEND_QEMU_IOMMU_H

#include "hw/i386/x86-iommu.h"
#include "hw/pci-host/q35.h"
#include "exec/memory.h"
#include "hw/pci/pci.h"
#include "qom/object.h"

#include <vtd/frontend.h>

#define TYPE_VTD_BROKER_IOMMU "vtd-broker-iommu"
OBJECT_DECLARE_SIMPLE_TYPE(VtdBrokerIommu, VTD_BROKER_IOMMU)

/* Requester id of the I/O APIC, as the DMAR table says it. */
#define VTD_BROKER_IOAPIC_RID PCI_BUILD_BDF(Q35_PSEUDO_BUS_PLATFORM, Q35_PSEUDO_DEVFN_IOAPIC)

#define VTD_BROKER_STATE_SIZE 4096 /* vtd_frontend_save() needs less */

struct VtdBrokerIommu {
        X86IOMMUState parent;

        /* properties */
        char *profile;
        char *broker;    /* path of the broker's socket; NULL: emulated devices only */
        char *broker_fd; /* or the connection itself: name or number of a descriptor */
        bool eim;

        struct vtd_frontend *frontend;
        int watched;        /* descriptor of the connection; -1: there is none, or none any more */
        uint8_t unnumbered; /* functions plugged on buses without a number, so far */
        QEMUBH *run_later;  /* the unit has more to do than one budget */
        MemoryRegion registers;

        /* address-space.c */
        GHashTable *spaces;         /* of struct VtdAddressSpace, by bus and function */
        AddressSpace interrupts_as; /* where translations of interrupt messages lead */
        MemoryRegion interrupts;
        AddressSpace memory_as; /* where all others lead: */
        MemoryRegion memory;
        MemoryRegion system;                              /* what the CPUs see, ... */
        MemoryRegion hidden_registers, hidden_interrupts; /* ... without these */
        AddressSpace *ioapic;

        /* guest-memory.c */
        MemoryListener listener;
        GHashTable *mappings; /* guest-physical address -> mapping of the broker */
        bool listening;
        Error *map_error;        /* the first mapping that failed while a device is being plugged */
        bool map_error_reported; /* one that failed later */

        /* saved state, in use only while it is saved or loaded */
        uint32_t state_size;
        uint8_t state[VTD_BROKER_STATE_SIZE];
};

/*
 * Runs the unit, and goes on later where its budget or the broker's answer ends this.  After every
 * call that may have given it something to do.
 */
void vtd_broker_iommu_run(VtdBrokerIommu *iommu);

/*
 * Waits, at most 10 seconds, for the answer to what the unit has asked the broker, if anything, so that
 * another call may be made that asks the broker; without, that call returns VTD_FRONTEND_BUSY.  What
 * else the unit has to do is done later: a guest can give it work for minutes.
 */
void vtd_broker_iommu_await(VtdBrokerIommu *iommu);

/*
 * Runs the unit until it has nothing more to do.  Waits at most 10 seconds.  True if so, also when the
 * broker is lost.
 */
bool vtd_broker_iommu_settle(VtdBrokerIommu *iommu);

/* @errp says why @result, returned by a call of vtd/frontend.h or vtd/device.h, is not 0. */
void vtd_broker_iommu_error(VtdBrokerIommu *iommu, int result, Error **errp, const char *what);

/* Gives the machine the table.  False with @errp. */
bool vtd_broker_dmar_install(VtdBrokerIommu *iommu, Error **errp);

/* Puts the unit between the PCI functions of @bus, and of those below it, and memory, for good. */
void vtd_broker_address_spaces_init(VtdBrokerIommu *iommu, PCIBus *bus);

/* One interrupt message of @rid through the unit: 0, or -EINVAL when it is blocked. */
int vtd_broker_remap(VtdBrokerIommu *iommu, uint16_t rid, const MSIMessage *from, MSIMessage *to);

/* Callbacks of the unit; @opaque is the VtdBrokerIommu. */
int vtd_broker_read_memory(void *opaque, uint64_t gpa, void *data, size_t size);
int vtd_broker_write_memory(void *opaque, uint64_t gpa, const void *data, size_t size);
int vtd_broker_compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                                uint64_t *found);

/*
 * Gives the broker all guest RAM from now on, as it comes and goes; called again it does nothing.
 * Possible after a first device is plugged.  False with @errp when RAM cannot be shared, or the broker
 * refused some.
 */
bool vtd_broker_memory_share(VtdBrokerIommu *iommu, Error **errp);
void vtd_broker_memory_unshare(VtdBrokerIommu *iommu);

#endif
