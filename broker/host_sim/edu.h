/* SPDX-License-Identifier: MIT */
/*
 * A small PCI function with a DMA engine, of the same register layout as QEMU's "edu", so that one
 * guest program serves the simulated host, a software machine and hardware.
 *
 * BAR 0, 1 MiB.  32-bit accesses below 0x80, 32 or 64 bits from there on; anything else reads as
 * all ones and is ignored when written.
 *
 *   0x00  identification, 0x010000ed          0x80  DMA source address
 *   0x04  liveness: reads inverted            0x88  DMA destination address
 *   0x24  interrupt status                    0x90  DMA byte count
 *   0x60  raises interrupt status bits        0x98  DMA command: 1 start (reads 1 while running),
 *   0x64  clears interrupt status bits              2 device to memory, 4 interrupt when done
 *                                             0xa0  bit 31 set: DMA carries the PASID in bits 19:0;
 *                                                   devices that have PASIDs only
 *
 * The device's end of a transfer is its buffer of 4096 bytes at 0x40000, which only DMA reaches; a
 * transfer that leaves the buffer moves nothing.  Each interrupt (a write to 0x60 with a status bit
 * set, and the end of a transfer that asked for one, which sets bit 8) is an MSI.  Differences from
 * QEMU's: no factorial unit, no INTx, DMA addresses have 64 bits, and a transfer moves in pieces, so that
 * what happens to its translation meanwhile can be observed; it keeps the PASID that it began with.
 */
#ifndef VTD_BROKER_HOST_SIM_EDU_H
#define VTD_BROKER_HOST_SIM_EDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/host_sim/translate.h"

#define VTD_SIM_EDU_BAR_SIZE     (UINT64_C(1) << 20)
#define VTD_SIM_EDU_BUFFER_START UINT64_C(0x40000)
#define VTD_SIM_EDU_BUFFER_SIZE  UINT64_C(4096)
#define VTD_SIM_EDU_CHUNK        64u

/* All zero: as after a reset. */
struct vtd_sim_edu {
        uint32_t liveness;
        uint32_t interrupts;
        uint64_t source;
        uint64_t destination;
        uint64_t count;
        uint64_t command;
        uint64_t moved;   /* bytes of the running transfer */
        uint32_t pasid;   /* as written to the register */
        uint32_t message; /* 1: an MSI is due */
        uint8_t buffer[VTD_SIM_EDU_BUFFER_SIZE];
};

void vtd_sim_edu_reset(struct vtd_sim_edu *edu);

/*
 * One access of @width bytes (1, 2, 4, 8); the value read fits them.  @has_pasids: the device has
 * the PASID register.
 */
uint64_t vtd_sim_edu_read(const struct vtd_sim_edu *edu, bool has_pasids, uint64_t offset,
                          uint32_t width);
void vtd_sim_edu_write(struct vtd_sim_edu *edu, bool has_pasids, uint64_t offset, uint32_t width,
                       uint64_t value);

/* The PASID that its DMA carries; 0 for requests without, which PASID 0 is translated like. */
uint32_t vtd_sim_edu_pasid(const struct vtd_sim_edu *edu);

/* True when the device has an MSI to send, which is then sent. */
bool vtd_sim_edu_take_message(struct vtd_sim_edu *edu);

/* Ends a running transfer; what it has not moved yet stays as it is. */
void vtd_sim_edu_stop(struct vtd_sim_edu *edu);

/* Moves the next VTD_SIM_EDU_CHUNK bytes of a running transfer; true while there are more. */
bool vtd_sim_edu_step(struct vtd_sim_edu *edu, struct vtd_sim_iommu *iommu,
                      const struct vtd_sim_translation *translation);

#endif
