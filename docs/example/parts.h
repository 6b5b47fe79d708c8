/* SPDX-License-Identifier: MIT */
/*
 * What a VMM with more than vmm.c has does with the library: a thread that serves the virtual IOMMU,
 * devices that the VMM emulates, interrupt remapping, the DMAR table, snapshots.  docs/vmm.md quotes
 * these functions, and tests/unit/test-vmm-parts.c runs them.  Those that return int return 0 or a
 * negative errno, and what else they name.
 */
#ifndef VTD_EXAMPLE_PARTS_H
#define VTD_EXAMPLE_PARTS_H

#include <pthread.h>
#include <vtd/interrupt.h>

struct machine {
        struct vtd_frontend *iommu;
        pthread_mutex_t
                lock; /* around calls on iommu of which headers do not say that they may overlap */
        int wake;     /* eventfd, not blocking: there is something to do for serve() */
        bool stop;    /* with the lock held: serve() is to return */
        uint8_t *ram;
        uint64_t ram_size; /* from guest-physical 0 on */
        /* Gives the interrupt controllers what the write of a message tells them. */
        void (*deliver)(struct machine *machine, uint64_t address, uint32_t data);
};

/* The thread of the virtual IOMMU.  Returns 0 when told to stop; VTD_FRONTEND_LOST. */
int serve(struct machine *machine);

/* An access of a vCPU to the register page. */
void write_register(struct machine *machine, uint64_t offset, unsigned size, uint64_t value);

/* DMA of an emulated device, from any thread.  False when not all of it has been done. */
bool emulated_dma(struct machine *machine, uint16_t rid, uint64_t iova, uint8_t *data, size_t size,
                  bool to_memory);

/* A message of a device, brokered or emulated, as the guest has programmed it; from any thread. */
void deliver_message(struct machine *machine, uint16_t rid, uint64_t address, uint32_t data);

/*
 * The DMAR table of a machine whose only I/O APIC is 00:1e.0.  *@table, NULL before, is to be freed
 * whatever is returned.
 */
int build_dmar(struct machine *machine, void **table, size_t *size);

/* While no vCPU and no device runs, and serve() does not.  *@state as *@table.  Also VTD_FRONTEND_LOST. */
int save_unit(struct machine *machine, void **state, size_t *size);
int restore_unit(struct machine *machine, const void *state, size_t size);

#endif
