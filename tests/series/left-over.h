/* SPDX-License-Identifier: MIT */
/* What the ends of VMs leave behind, counted from outside: by /proc and /sys. */
#ifndef VTD_TESTS_LEFT_OVER_H
#define VTD_TESTS_LEFT_OVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Children of @parent, those included that nobody has waited for. */
size_t left_over_children(pid_t parent);

/* Processes whose real user is in @first to @last. */
size_t left_over_processes(uint32_t first, uint32_t last);

/*
 * Descriptors of iommufds, VFIO devices and simulated devices, and memory mappings of the latter, of
 * the process @pid; 0: of all processes.
 */
size_t left_over_descriptors(pid_t pid);

/*
 * Pages that the kernel has pinned for devices: nr_foll_pin_acquired less nr_foll_pin_released of
 * /proc/vmstat.
 */
int64_t left_over_pinned_pages(void);

/*
 * Unbinds the PCI function @address from vfio-pci, which waits for its last user, and binds it
 * again.  0, or -1 if that has not come to an end after 5 s.
 */
int left_over_rebind(const char *address);

#endif
