/* SPDX-License-Identifier: MIT */
/*
 * Configuration space of a simulated device: the ids of QEMU's "edu" (1234:11e8), in a PCI Express
 * function of 4096 bytes with power management, MSI (64 bits, one vector) and PCI Express, and with
 * capabilities that a broker has to hide: vendor-specific, Advanced Error Reporting, Access Control
 * Services.  Device Control can be written; the command register says what bus_master() set; all
 * else ignores writes.  Constant tables, no system calls.
 */
#ifndef VTD_BROKER_HOST_SIM_CONFIG_H
#define VTD_BROKER_HOST_SIM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#define VTD_SIM_CONFIG_SIZE 4096u

/* What can change; after a reset as vtd_sim_config_reset() leaves it. */
struct vtd_sim_config {
        uint32_t device_control;
        uint32_t reserved;
};

void vtd_sim_config_reset(struct vtd_sim_config *config);

/* One naturally aligned access of 1, 2 or 4 bytes below VTD_SIM_CONFIG_SIZE. */
uint32_t vtd_sim_config_read(const struct vtd_sim_config *config, bool bus_master, uint32_t offset,
                             uint32_t width);
void vtd_sim_config_write(struct vtd_sim_config *config, uint32_t offset, uint32_t width,
                          uint32_t value);

#endif
