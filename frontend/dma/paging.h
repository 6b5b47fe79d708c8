/* SPDX-License-Identifier: MIT */
/*
 * The tables below a PASID-table entry, first stage, second stage and both nested: what they say of
 * one request.  Stateless: every walk reads memory, nothing is kept between two of them, and any
 * number of threads may walk at once.
 */
#ifndef VTD_FRONTEND_DMA_PAGING_H
#define VTD_FRONTEND_DMA_PAGING_H

#include <stdint.h>

#include "frontend/capabilities.h"
#include "frontend/fault.h"
#include "frontend/guest.h"
#include "frontend/include/vtd/dma.h"
#include "frontend/tables.h"

/*
 * The block that contains a request's address, as it may be kept: what another request may do there
 * without a walk of its own.  A write that would have to set a dirty bit is not allowed by it.
 */
struct vtd_page {
        uint64_t translated; /* where the block begins in guest-physical memory */
        unsigned shift;      /* log2 of its size: 12, 21 or 30 */
        unsigned user;       /* VTD_FRONTEND_DMA_* for user requests, ... */
        unsigned supervisor; /* ... and for privileged ones: 0 without SRE */
};

enum {
        VTD_PAGING_E_FAULT = 1, /* *@reason */
};

/*
 * Walks for @request, whose fields were checked, below @entry, which is first-stage, second-stage or
 * nested; sets accessed and dirty bits on the way as the architecture says, for which @guest must
 * have the callback compare_exchange.  A privileged request without SRE is refused here.  The
 * verdict is on the first byte, and on the part of the request that lies in the same block.  A block
 * never overlaps the interrupt range, neither where it comes out nor on the device's side (unless the
 * request is in there itself, with PASID): it is made smaller instead.
 *
 * The work is bounded whatever the tables hold, and however they change meanwhile: an entry that
 * was changed each time between its read and its update is given up after a fixed number of tries.
 * Returns 0 with *@page, which allows the request; VTD_PAGING_E_FAULT with *@reason.
 */
int vtd_paging_walk(const struct vtd_guest *guest, const struct vtd_capabilities *capabilities,
                    const struct vtd_pasid_entry *entry,
                    const struct vtd_frontend_dma_request *request, struct vtd_page *page,
                    enum vtd_fault_reason *reason);

#endif
