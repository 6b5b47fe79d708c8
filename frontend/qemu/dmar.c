/* SPDX-License-Identifier: MIT */
/*
 * The DMAR table: see iommu.h.  The machine builds that of its own IOMMU itself, and adds any other
 * table that it is given as a file, which is how it gets ours.
 */
#include "qemu/osdep.h"
#include "hw/acpi/acpi.h"
#include "qapi/error.h"
#include "qemu/config-file.h"
#include "qemu/memfd.h"
#include "qemu/option.h"

#include <vtd/acpi.h>

#include "iommu.h"

/* As the machine has it in MADT, and in the table of its own IOMMU. */
#define IOAPIC_ID 0

#define DMAR_SIZE_MAX 4096

/* The table of one unit for all PCI functions, and the I/O APIC. */
static int build(VtdBrokerIommu *iommu, uint8_t *table, size_t capacity, size_t *size)
{
        const struct vtd_dmar_scope ioapic = {
                .type = VTD_DMAR_SCOPE_IOAPIC,
                .enumeration_id = IOAPIC_ID,
                .bus = Q35_PSEUDO_BUS_PLATFORM,
                .hops = 1,
                .path = {{PCI_SLOT(Q35_PSEUDO_DEVFN_IOAPIC), PCI_FUNC(Q35_PSEUDO_DEVFN_IOAPIC)}},
        };
        const struct vtd_dmar_config config = {
                .oem_id = "VTDBRK",
                .oem_table_id = "VTDBRKER",
                .oem_revision = 1,
                .creator_id = "VTDB",
                .creator_revision = 1,
                .include_pci_all = true,
                .scopes = &ioapic,
                .scope_count = 1,
        };

        return vtd_frontend_build_dmar(iommu->frontend, &config, table, capacity, size);
}

bool vtd_broker_dmar_install(VtdBrokerIommu *iommu, Error **errp)
{
        uint8_t table[DMAR_SIZE_MAX];
        g_autofree char *path = NULL;
        Error *error = NULL;
        QemuOpts *opts;
        size_t size;
        int r, fd;

        r = build(iommu, table, sizeof(table), &size);
        if (r != 0) {
                error_setg(errp, "the DMAR table cannot be built");
                return false;
        }
        fd = qemu_memfd_create("dmar", size, false, 0, 0, errp);
        if (fd < 0)
                return false;
        if (pwrite(fd, table, size, 0) != (ssize_t)size) {
                error_setg_errno(errp, errno, "keeping the DMAR table");
                close(fd);
                return false;
        }
        path = g_strdup_printf("/proc/self/fd/%d", fd);
        opts = qemu_opts_create(qemu_find_opts("acpi"), NULL, 0, &error_abort);
        qemu_opt_set(opts, "file", path, &error_abort);
        acpi_table_add(opts, &error);
        qemu_opts_del(opts);
        close(fd);
        if (error) {
                error_propagate_prepend(errp, error, "the DMAR table: ");
                return false;
        }
        return true;
}
