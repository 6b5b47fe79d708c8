/* SPDX-License-Identifier: MIT */
/*
 * A small VMM for trying and testing: guest RAM in a sealed memfd, one virtual IOMMU from
 * libvtd-frontend, passthrough devices reached through the broker only.  It holds no iommufd and no
 * VFIO descriptor.  The "guest" is a function in the same process (tests/vmm/guest.h) that uses
 * nothing but guest memory and the two kinds of registers a real guest would use.
 */
#ifndef VTD_TESTS_VMM_H
#define VTD_TESTS_VMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend/include/vtd/frontend.h"
#include "shared/log.h"

struct vmm;

struct vmm_config {
        const char *socket;  /* path of the tenant's broker socket */
        uint64_t memory;     /* guest RAM in bytes, at guest-physical 0 */
        struct vtd_log *log; /* borrowed; may be NULL */
        struct vtd_frontend_config frontend;
};

/* Creates RAM and the virtual IOMMU, and connects to the broker.  0 or a negative errno. */
int vmm_new(struct vmm **out, const struct vmm_config *config);
struct vmm *vmm_free(struct vmm *vmm);

struct vtd_frontend *vmm_frontend(struct vmm *vmm);

/* Guest RAM as the guest sees it: vmm_memory_size() bytes from guest-physical address 0. */
uint8_t *vmm_memory(struct vmm *vmm);
uint64_t vmm_memory_size(const struct vmm *vmm);

/* Lets devices reach all of guest RAM; possible after the first plug. */
int vmm_map_memory(struct vmm *vmm);

/* Runs the virtual IOMMU until it is idle.  0, or VTD_FRONTEND_LOST, or -ETIMEDOUT after 10 s. */
int vmm_run(struct vmm *vmm);

/* Register page of the virtual IOMMU.  A write runs the unit until it is idle. */
uint64_t vmm_iommu_read(struct vmm *vmm, uint64_t offset, unsigned size);
int vmm_iommu_write(struct vmm *vmm, uint64_t offset, unsigned size, uint64_t value);

/* BAR 0 of the device with requester id @rid. */
int vmm_device_read(struct vmm *vmm, uint16_t rid, uint64_t offset, unsigned size, uint64_t *value);
int vmm_device_write(struct vmm *vmm, uint16_t rid, uint64_t offset, unsigned size, uint64_t value);

/*
 * Sequence number of the last request to the broker that was not a register access of a device:
 * what a test waits for in the audit log.
 */
uint32_t vmm_control_sequence(struct vmm *vmm);

#endif
