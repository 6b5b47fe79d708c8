/* SPDX-License-Identifier: MIT */
/*
 * The guest's side: a minimal VT-d driver (scalable mode, first-stage tables, queued invalidation)
 * and a driver for the "edu" test device.  It touches guest memory, the register page and BAR 0 of
 * the devices, and nothing else, so the same program runs on the simulated host and on a real one.
 *
 * Guest-physical layout (16 MiB of RAM are enough):
 *   0x100000 root table, context table, PASID directory, then one PASID table for each device
 *   0x120000 invalidation queue (8 KiB), 0x122000 wait status
 *   0x200000 up to 0x400000 page tables, handed out page by page
 *   0x400000 and up: data pages of the program
 */
#ifndef VTD_TESTS_GUEST_H
#define VTD_TESTS_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/vmm/vmm.h"

#define GUEST_PAGE UINT64_C(4096)

/* PASID-entry translation types (PGTT). */
enum guest_translation {
        GUEST_ABSENT = 0,
        GUEST_FIRST_STAGE = 1,
        GUEST_SECOND_STAGE = 2,
        GUEST_PASSTHROUGH = 4,
};

struct guest {
        struct vmm *vmm;
        uint64_t next_table;   /* page-table allocator */
        uint32_t queue_tail;   /* bytes */
        uint32_t wait_value;   /* of the last wait descriptor */
        unsigned pasid_tables; /* handed out */
        bool failed;           /* a wait did not complete, or a register did not follow */
};

/* A fault as the guest's handler reads it. */
struct guest_fault {
        bool pending;
        uint16_t source;
        uint8_t reason;
        uint64_t address;
};

void guest_init(struct guest *guest, struct vmm *vmm);

/* Memory. */
void guest_fill(struct guest *guest, uint64_t gpa, uint8_t byte, size_t size);
/* The byte that all @size bytes at @gpa hold, or -1 when they differ. */
int guest_uniform(struct guest *guest, uint64_t gpa, size_t size);

/* First-stage page tables.  Sizes are 4 KiB (level 1) or 2 MiB (level 2). */
uint64_t guest_table_new(struct guest *guest);
void guest_table_map(struct guest *guest, uint64_t root, uint64_t iova, uint64_t gpa,
                     unsigned level);

/* Translation structures: one context entry and one PASID table for each requester id. */
void guest_add_device(struct guest *guest, uint16_t rid);
void guest_set_entry(struct guest *guest, uint16_t rid, enum guest_translation type,
                     uint16_t domain, uint64_t root);

/* The 64 bytes of the entry of @pasid (below 64), the word with P last. */
void guest_set_entry_words(struct guest *guest, uint16_t rid, uint32_t pasid,
                           const uint64_t words[8]);

/* Registers. */
void guest_enable_queue(struct guest *guest);
void guest_set_root(struct guest *guest);
void guest_set_translation(struct guest *guest, bool on);

/* Queued invalidation.  A descriptor by its first two words, not yet submitted. */
void guest_queue(struct guest *guest, uint64_t low, uint64_t high);
/* Adds a wait descriptor, rings the doorbell and checks that the status was written. */
void guest_submit(struct guest *guest);
/* One descriptor of each kind, submitted. */
void guest_invalidate_context(struct guest *guest);
void guest_invalidate_pasid_cache(struct guest *guest, uint16_t domain);
void guest_invalidate_page(struct guest *guest, uint16_t domain, uint64_t iova, unsigned order);
void guest_invalidate_pasid(struct guest *guest, uint16_t domain);
/* PASID-cache and whole-PASID invalidation with one wait: what a driver does after guest_set_entry */
void guest_flush_entry(struct guest *guest, uint16_t domain);

/* Reads the fault status and the first record, and clears both. */
void guest_take_fault(struct guest *guest, struct guest_fault *fault);

/* The edu device.  0, or what the device's register access returned. */
int guest_dma_start(struct guest *guest, uint16_t rid, uint64_t iova, size_t size, bool to_memory);
int guest_dma_finish(struct guest *guest, uint16_t rid);
/* Device reads @size bytes at @iova into its buffer. */
int guest_dma_read(struct guest *guest, uint16_t rid, uint64_t iova, size_t size);
/* Device writes @size bytes of its buffer to @iova. */
int guest_dma_write(struct guest *guest, uint16_t rid, uint64_t iova, size_t size);

#endif
