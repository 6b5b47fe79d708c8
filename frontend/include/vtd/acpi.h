/* SPDX-License-Identifier: MIT */
/*
 * The ACPI table by which a guest finds a unit of libvtd-frontend: DMAR, of the chapter "BIOS
 * Considerations" of the VT-d architecture.  A VMM builds it once, after it has created the unit
 * and knows the guest's PCI topology, and hands it to the guest's firmware with its other tables.
 *
 * The unit's own numbers (register base, host address width, interrupt remapping) are those of its
 * struct vtd_frontend_config.  The table describes one unit, which is all that the guest has; the
 * unit has no device-TLBs, so there is never an ATSR or SATC structure.
 */
#ifndef VTD_ACPI_H
#define VTD_ACPI_H

#include "vtd/frontend.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

enum vtd_dmar_scope_type {
        VTD_DMAR_SCOPE_ENDPOINT = 1,    /* a PCI function that is not a bridge */
        VTD_DMAR_SCOPE_BRIDGE = 2,      /* a PCI bridge and everything below it */
        VTD_DMAR_SCOPE_IOAPIC = 3,      /* an I/O APIC */
        VTD_DMAR_SCOPE_HPET = 4,        /* a timer block that sends messages */
        VTD_DMAR_SCOPE_ACPI_DEVICE = 5, /* a device of the ACPI namespace that does DMA */
};

struct vtd_dmar_hop {
        uint8_t device;   /* 0 to 31 */
        uint8_t function; /* 0 to 7 */
};

/* Bridges to pass, and the device: more than any hierarchy that a guest can number in practice. */
#define VTD_DMAR_MAX_HOPS 16u

/*
 * One device: the bus where its path starts (that of a host bridge), and a hop for each bridge on
 * the way and for itself.  A path, because a guest may number the buses behind bridges anew.
 *
 * Of an I/O APIC, an HPET or an ACPI namespace device, bus and path tell the requester id that its
 * requests carry.  With one hop that is bus << 8 | device << 3 | function, and it is what the VMM
 * must give as @rid when it remaps an interrupt of it.
 */
struct vtd_dmar_scope {
        enum vtd_dmar_scope_type type;
        /* I/O APIC id as in MADT, HPET number, or number of the ACPI device; 0 for PCI. */
        uint8_t enumeration_id;
        uint8_t bus;
        size_t hops; /* of path: 1 to VTD_DMAR_MAX_HOPS */
        struct vtd_dmar_hop path[VTD_DMAR_MAX_HOPS];
};

/* Names a device of the ACPI namespace for scopes (an ANDD structure). */
struct vtd_dmar_acpi_device {
        uint8_t number;   /* the enumeration_id of its scope */
        const char *name; /* fully qualified: "\\_SB.PCI0.I2C1", at most VTD_DMAR_MAX_NAME */
};

#define VTD_DMAR_MAX_NAME 255u

/*
 * Memory that devices must reach at its own address (an RMRR structure): guest-physical, and
 * reserved in the memory map.  A guest keeps it mapped one to one for them.
 */
struct vtd_dmar_reserved_memory {
        uint64_t base;  /* a multiple of 4096 */
        uint64_t limit; /* the last byte: limit + 1 is a multiple of 4096 */
        /* Which devices: endpoints and bridges, at least one. */
        const struct vtd_dmar_scope *scopes;
        size_t scope_count;
};

#define VTD_DMAR_MAX_RESERVED 256u

/* What the VMM knows and the unit does not.  Nothing of it is kept. */
struct vtd_dmar_config {
        /* As in the guest's other tables: printable ASCII, at most as long as said; spaces follow. */
        const char *oem_id;       /* 6 */
        const char *oem_table_id; /* 8 */
        uint32_t oem_revision;
        const char *creator_id; /* 4 */
        uint32_t creator_revision;

        uint16_t segment; /* the PCI segment that the unit serves */
        /*
         * The unit serves every PCI device of the segment; then no endpoint or bridge may be in
         * scopes.  Otherwise those in scopes, and there must be at least one scope.
         */
        bool include_pci_all;
        /*
         * If the unit offers interrupt remapping, scopes must hold every I/O APIC of MADT (at least
         * one): Linux leaves interrupt remapping off when one is missing.
         */
        const struct vtd_dmar_scope *scopes;
        size_t scope_count;
        /* Every ACPI namespace device in scopes, and no other. */
        const struct vtd_dmar_acpi_device *acpi_devices;
        size_t acpi_device_count;
        const struct vtd_dmar_reserved_memory *reserved; /* at most VTD_DMAR_MAX_RESERVED */
        size_t reserved_count;

        /* Asks the guest not to use x2APIC mode; only with interrupt remapping. */
        bool x2apic_opt_out;
        /* Says that firmware has DMA under control from the start (DMA_CTRL_PLATFORM_OPT_IN). */
        bool dma_control_opt_in;
};

enum {
        VTD_FRONTEND_TOO_SMALL = 9, /* build_dmar: the buffer has no room */
};

/*
 * Writes the table of @frontend, checksum included, into @buffer, which is the caller's and has
 * room for @capacity bytes; with a @capacity of 0 it may be NULL.
 * Returns 0 with *@size, the bytes written; VTD_FRONTEND_TOO_SMALL with *@size, the bytes needed,
 * and @buffer as it was; -EINVAL for a table that would break a rule above or of the architecture,
 * with @buffer and *@size as they were: the log says which rule.
 *
 * Threads: only the unit's configuration is read, so it may overlap any call on the unit except
 * vtd_frontend_free().  The log callback may be made.
 */
int vtd_frontend_build_dmar(struct vtd_frontend *frontend, const struct vtd_dmar_config *config,
                            void *buffer, size_t capacity, size_t *size);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
