/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue: where the next descriptor lies, whether it is well-formed, and what it
 * asks for.  What that means for bindings is engine.c's business.
 */
#ifndef VTD_FRONTEND_QUEUE_H
#define VTD_FRONTEND_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/fault.h"
#include "frontend/guest.h"
#include "frontend/registers.h"

enum vtd_descriptor_type {
        VTD_DESCRIPTOR_CONTEXT_CACHE = 0x1,
        VTD_DESCRIPTOR_IOTLB = 0x2,
        VTD_DESCRIPTOR_DEVICE_TLB = 0x3,
        VTD_DESCRIPTOR_INTERRUPT_ENTRY_CACHE = 0x4,
        VTD_DESCRIPTOR_WAIT = 0x5,
        VTD_DESCRIPTOR_PASID_IOTLB = 0x6,
        VTD_DESCRIPTOR_PASID_CACHE = 0x7,
        VTD_DESCRIPTOR_PASID_DEVICE_TLB = 0x8,
        VTD_DESCRIPTOR_PAGE_GROUP_RESPONSE = 0x9,
};

/* Granularities, by the numbers of each type's field. */
enum {
        VTD_CONTEXT_CACHE_GLOBAL = 1,
        VTD_CONTEXT_CACHE_DOMAIN = 2,
        VTD_CONTEXT_CACHE_DEVICE = 3,
        VTD_IOTLB_GLOBAL = 1,
        VTD_IOTLB_DOMAIN = 2,
        VTD_IOTLB_PAGE = 3,
        VTD_PASID_IOTLB_ALL = 2,
        VTD_PASID_IOTLB_PAGE = 3,
        VTD_PASID_CACHE_DOMAIN = 0,
        VTD_PASID_CACHE_PASID = 1,
        VTD_PASID_CACHE_GLOBAL = 3,
};

/* A checked descriptor; which members count depends on type and granularity. */
struct vtd_descriptor {
        enum vtd_descriptor_type type;
        unsigned granularity;
        uint16_t domain_id;
        uint32_t pasid;
        uint16_t source_id;      /* context cache */
        uint16_t source_ignored; /* bits of source_id that do not count */
        uint64_t address;        /* IOTLB: page aligned */
        unsigned address_mask;   /* 0 to 63: log2 of the number of pages */
        bool leaf;
        uint32_t index;       /* interrupt entry cache: the first entry, ... */
        uint32_t index_count; /* ... and how many, or all of 65536 */
        bool wait_interrupt;
        bool wait_status;
        uint32_t status_data;
        uint64_t status_address; /* multiple of 4 */
};

struct vtd_queue {
        bool enabled;
        uint64_t iqa; /* IQA as captured; what follows is in it */
        uint64_t base;
        uint32_t size;            /* bytes */
        uint32_t descriptor_size; /* 16 or 32 */
};

enum {
        VTD_QUEUE_E_ERROR = 1, /* *@error is to be raised; the head stays */
};

/* An enabled queue where @iqa, the value of IQA, says. */
void vtd_queue_latch(struct vtd_queue *queue, uint64_t iqa);

/* Captures IQA; the head is 0. */
void vtd_queue_enable(struct vtd_queue *queue, struct vtd_registers *registers);

/* Stops fetching; the head returns to 0. */
void vtd_queue_disable(struct vtd_queue *queue, struct vtd_registers *registers);

/* True when there is something to fetch, and no queue error that the guest has not cleared. */
bool vtd_queue_is_ready(const struct vtd_queue *queue, const struct vtd_registers *registers);

/*
 * Fetches the descriptor at the head of a queue that is ready, and judges it under @table_mode, the
 * latched RTADDR.TTM.  The head stays until vtd_queue_advance().
 * Returns 0 with *@descriptor; VTD_QUEUE_E_ERROR with *@error.
 */
int vtd_queue_fetch(const struct vtd_queue *queue, const struct vtd_registers *registers,
                    const struct vtd_guest *guest, const struct vtd_capabilities *capabilities,
                    unsigned table_mode, struct vtd_descriptor *descriptor,
                    enum vtd_queue_error *error);

/* The error of a tail that lies within a descriptor is raised: IQT is where that begins. */
void vtd_queue_align_tail(const struct vtd_queue *queue, struct vtd_registers *registers);

/* The descriptor at the head is done. */
void vtd_queue_advance(const struct vtd_queue *queue, struct vtd_registers *registers);

#endif
