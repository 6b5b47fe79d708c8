/* SPDX-License-Identifier: MIT */
/*
 * What a host lacks for vtd-broker, in plain words: read from sysfs, procfs and the kernel's
 * configuration, without opening a device or asking vtd-brokerd.
 */
#ifndef VTD_BROKER_BROKERCTL_CHECK_HOST_H
#define VTD_BROKER_BROKERCTL_CHECK_HOST_H

#include <stdbool.h>

/*
 * Prints what is found below @root ("": the machine's own files), about @devices too, PCI addresses up
 * to a NULL; with none, about every device that is bound to vfio-pci.
 * Returns how many things are missing.
 */
unsigned vtd_check_host(const char *root, const char *const *devices, bool json);

#endif
