/* SPDX-License-Identifier: MIT */
/*
 * The descriptor that stands for a simulated device, as the descriptor of a VFIO cdev stands for a
 * real one: a sealed memfd that holds the function's state.  vtd-brokerd creates it and keeps it; a
 * worker binds a duplicate.  Whoever holds it is as trusted as the device.
 */
#ifndef VTD_BROKER_HOST_SIM_DEVICE_FILE_H
#define VTD_BROKER_HOST_SIM_DEVICE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/host_sim/config.h"
#include "broker/host_sim/edu.h"
#include "broker/host_sim/models.h"

enum {
        VTD_SIM_E_MODEL = 1,   /* no such model */
        VTD_SIM_E_FOREIGN = 2, /* the descriptor does not stand for a simulated device */
};

/* What the memfd holds. */
struct vtd_sim_device_file {
        uint64_t magic;
        uint32_t model;
        uint32_t bus_master; /* 0: the function's DMA is off */
        struct vtd_sim_config config;
        struct vtd_sim_edu edu;
};

/* Which device a descriptor stands for, whatever its number, and of what kind it is. */
struct vtd_sim_device_identity {
        const struct vtd_sim_model *model;
        dev_t dev;
        ino_t ino;
};

/*
 * Creates a device of @model (a name of models.c) in the state after a reset.  The caller owns *@fd, which is
 * close-on-exec.  Returns 0, VTD_SIM_E_MODEL, a negative errno.
 */
int vtd_sim_device_create(const char *model, int *fd);

/*
 * Maps the state behind @fd, which stays the caller's and may be closed.  Pair with
 * vtd_sim_device_unmap().  Returns 0, VTD_SIM_E_FOREIGN, a negative errno.
 */
int vtd_sim_device_map(int fd, struct vtd_sim_device_file **out,
                       struct vtd_sim_device_identity *identity);

/* NULL is allowed; always returns NULL. */
struct vtd_sim_device_file *vtd_sim_device_unmap(struct vtd_sim_device_file *file);

#endif
