/* SPDX-License-Identifier: MIT */
/*
 * Configuration space as a VMM may see it, made of one table and of a walk through the device's
 * capabilities.  What the table does not name is hidden: it reads 0, ignores writes, and as a
 * capability is not in the list.
 *
 * The device is not trusted to keep the rules of PCI: the walk is bounded, stays inside configuration
 * space, and ends in VTD_CONFIG_E_BROKEN where they are broken.  What it found holds until the device
 * is unplugged; nothing that a VMM writes leads to another walk.
 */
#ifndef VTD_BROKER_WORKER_CONFIG_SPACE_H
#define VTD_BROKER_WORKER_CONFIG_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/host.h"

#define VTD_CONFIG_SIZE 4096u /* of a function with extended configuration space */

enum {
        VTD_CONFIG_E_HOST = 1, /* the host did not read it */
        VTD_CONFIG_E_BROKEN,   /* the rules of PCI are broken */
};

/* What can be armed; a capability for nothing is hidden. */
struct vtd_config_vectors {
        uint32_t msi;
        uint32_t msix;
};

/* For each byte of configuration space.  Memory of the owner's; all zero: nothing is shown. */
struct vtd_config_space {
        uint32_t size;                     /* bytes that there are; 0: not learnt */
        uint8_t shown[VTD_CONFIG_SIZE];    /* bits that read as the device's */
        uint8_t fixed[VTD_CONFIG_SIZE];    /* of the others, those that read 1 */
        uint8_t writable[VTD_CONFIG_SIZE]; /* bits that a write passes on to the device */
};

/*
 * Walks the device once.  Bus Master Enable reads 1 afterwards.
 * Returns 0 with *@space; VTD_CONFIG_E_HOST with what the host returned in *@detail, or _BROKEN with
 * the offset where, and then *@space shows nothing.
 */
int vtd_config_space_learn(struct vtd_config_space *space, struct vtd_host *host, uint32_t device,
                           const struct vtd_host_device_info *info,
                           const struct vtd_config_vectors *vectors, uint64_t *detail);

/*
 * One naturally aligned access of 1, 2 or 4 bytes inside space->size.  A write touches only the
 * registers with writable bits, and leaves their other bits as they are; it does not touch the device
 * where there are none.  Return 0, or what the host returned.
 */
int vtd_config_space_read(const struct vtd_config_space *space, struct vtd_host *host,
                          uint32_t device, uint32_t offset, uint32_t width, uint32_t *value);
int vtd_config_space_write(const struct vtd_config_space *space, struct vtd_host *host,
                           uint32_t device, uint32_t offset, uint32_t width, uint32_t value);

/* True when such a write sets Bus Master Enable, to *@on. */
bool vtd_config_space_sets_bus_master(uint32_t offset, uint32_t width, uint32_t value, bool *on);

/* What Bus Master Enable reads from here on. */
void vtd_config_space_show_bus_master(struct vtd_config_space *space, bool on);

#endif
