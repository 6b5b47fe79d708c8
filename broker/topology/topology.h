/* SPDX-License-Identifier: MIT */
/*
 * Where a PCI function sits, as sysfs tells it.  An IOMMU knows a device by the requester id of its
 * requests; behind a bridge to conventional PCI they carry the bridge's, so that devices there cannot
 * be told apart and PASIDs do not arrive.
 */
#ifndef VTD_BROKER_TOPOLOGY_TOPOLOGY_H
#define VTD_BROKER_TOPOLOGY_TOPOLOGY_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/* "0000:00:1e.0" and NUL. */
#define VTD_PCI_ADDRESS_SIZE 13u

enum {
        VTD_TOPOLOGY_E_BRIDGE = 1, /* a bridge above it puts its own id into requests */
        VTD_TOPOLOGY_E_ABSENT,     /* there is no such function */
};

/* Domain, bus, device and function in the form of sysfs: 0000:00:04.0. */
bool vtd_topology_is_address(const char *text);

/*
 * Judges every bridge above the function @address; @sysfs is where sysfs is mounted.
 * Returns 0: its requests carry its own id; VTD_TOPOLOGY_E_BRIDGE with the address of the bridge
 * nearest to the root in @bridge; or VTD_TOPOLOGY_E_ABSENT.  A bridge that cannot be judged counts
 * as one that changes the id.
 */
int vtd_topology_judge(const char *sysfs, const char *address, char bridge[VTD_PCI_ADDRESS_SIZE]);

/* Functions in the IOMMU group of @address, itself included; 0 when it has no group. */
size_t vtd_topology_count_group(const char *sysfs, const char *address);

/* True when the function @address has the vendor and device id @kind ("8086:1521"). */
bool vtd_topology_is_kind(const char *sysfs, const char *address, const char *kind);

/*
 * The addresses of all functions with the vendor and device id @kind ("8086:1521"), sorted; none
 * when sysfs cannot be read.  The caller owns the array.
 */
GPtrArray *vtd_topology_list_kind(const char *sysfs, const char *kind);

/* The function whose VFIO cdev is called @name ("vfio3"); false when there is none. */
bool vtd_topology_find_cdev(const char *sysfs, const char *name,
                            char address[VTD_PCI_ADDRESS_SIZE]);

/* Opens the directory @below of the function @address.  Returns it or a negative errno. */
int vtd_topology_open(const char *sysfs, const char *address, const char *below);

#endif
