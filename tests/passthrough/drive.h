/* SPDX-License-Identifier: MIT */
/*
 * The NVMe drive as the host of the rig has it: which driver it is bound to, what is on it, and what the
 * host's kernel has complained about.
 */
#ifndef VTD_TESTS_DRIVE_H
#define VTD_TESTS_DRIVE_H

#include <stdbool.h>

#define DRIVE_DIGEST 65u /* SHA-256 in hexadecimal, and the end */

/* Binds the PCI function @address to @driver, "vfio-pci" or "nvme", and to no other.  False if it fails. */
bool drive_bind(const char *address, const char *driver);

/* Digest of the first 8 MiB, read by the host's own driver, to which the drive must be bound. */
bool drive_digest(char digest[DRIVE_DIGEST]);

/* Lines of the kernel's log that say that something is wrong with the kernel; -1 if it cannot be read. */
int drive_complaints(void);

#endif
