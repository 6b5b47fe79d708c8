/* SPDX-License-Identifier: MIT */
/*
 * What this unit assumes where what is publicly known of the architecture is silent, or where sources
 * contradict each other.  Each assumption can be corrected here, in one place: what is a value stands
 * below; what is an order of checks, or something that is not done at all, is listed at the end with
 * the function that decides it.  Tests spell the values out, so that a correction shows in them.
 *
 * Only macros: each is written in terms of what the file that uses it includes.
 */
#ifndef VTD_FRONTEND_ASSUMPTIONS_H
#define VTD_FRONTEND_ASSUMPTIONS_H

/* Of IQA, bits 10:3 are ignored and read 0; a unit could raise IQE when a queue is run with one set. */
#define VTD_ASSUMED_IQA_WRITABLE UINT32_C(0xfffff807)

/* Of IQT, bits 3:0 and 63:19 likewise; a unit could take them for a wrong tail. */
#define VTD_ASSUMED_IQT_WRITABLE UINT32_C(0x0007fff0)

/* Of FEDATA and IEDATA.  Units are known to keep bits 8:0, 15:0 or 31:0. */
#define VTD_ASSUMED_EVENT_DATA_WRITABLE UINT32_C(0x0000ffff)

/*
 * IQERCD.IQEI has no code of its own for these; that they are errors is certain, but for the last,
 * which may as well be ignored.
 */
#define VTD_ASSUMED_ERROR_OF_GRANULARITY  VTD_QUEUE_ERROR_RESERVED
#define VTD_ASSUMED_ERROR_OF_ADDRESS_MASK VTD_QUEUE_ERROR_RESERVED /* AM > MAMV */
#define VTD_ASSUMED_ERROR_OF_INDEX_MASK   VTD_QUEUE_ERROR_RESERVED /* IM > MHMV */
#define VTD_ASSUMED_ERROR_OF_WIDTH_OR_MODE                                                         \
        VTD_QUEUE_ERROR_TYPE /* 128 bits in scalable mode, PASIDs in another one */
#define VTD_ASSUMED_ERROR_OF_STATUS_WRITE VTD_QUEUE_ERROR_RESERVED

/* RID_PASID beyond the PASID directory: by its name it is 48h; a unit is known that reports 43h. */
#define VTD_ASSUMED_REASON_OF_RID_PASID 0x48

/* A request without PASID in the interrupt range that is no message: one source has a code for it. */
#define VTD_ASSUMED_REASON_OF_NO_MESSAGE 0x29

/*
 * Bits 8:5 of a context entry, where later revisions may have fields of host permission tables: as
 * that capability is not offered, they are reserved.
 */
#define VTD_ASSUMED_CONTEXT_RESERVED UINT64_C(0x1e0)

/*
 * Bits of the first word of a PASID-table entry that are reserved without second stage: none.  A unit
 * is known that refuses AW then, but Linux fills it for every type.
 */
#define VTD_ASSUMED_RESERVED_WITHOUT_SECOND_STAGE UINT64_C(0)

/* Bits of first-stage entries of all levels that are reserved: not XD without execute requests, nor G. */
#define VTD_ASSUMED_FIRST_STAGE_RESERVED UINT64_C(0)

/*
 * What the second stage's verdict on an access to a first-stage table means for the request: the
 * verdict; the reason for a read of the top table, of another one, and for a write.  Certain are only
 * the names of the reasons.  What is absent counts as not permitted; what is not listed is wrong in
 * the second stage itself, and its own reason holds.
 */
#define VTD_ASSUMED_TABLE_VERDICTS                                                                 \
        {                                                                                          \
                {VTD_FAULT_SECOND_STAGE_RANGE, VTD_FAULT_FIRST_STAGE_RANGE,                        \
                 VTD_FAULT_FIRST_STAGE_RANGE, VTD_FAULT_FIRST_STAGE_RANGE},                        \
                        {VTD_FAULT_SECOND_STAGE_ABSENT, VTD_FAULT_FIRST_STAGE_ROOT_READ,           \
                         VTD_FAULT_FIRST_STAGE_READ, VTD_FAULT_FIRST_STAGE_WRITE},                 \
                        {VTD_FAULT_READ_DENIED, VTD_FAULT_FIRST_STAGE_ROOT_READ,                   \
                         VTD_FAULT_FIRST_STAGE_READ, VTD_FAULT_FIRST_STAGE_WRITE},                 \
                        {VTD_FAULT_WRITE_DENIED, VTD_FAULT_FIRST_STAGE_ROOT_READ,                  \
                         VTD_FAULT_FIRST_STAGE_READ, VTD_FAULT_FIRST_STAGE_WRITE},                 \
        }

/*
 * Assumed, and decided by the code that is named:
 *
 *   vtd_queue_enable()      IQA may be written while the queue is enabled; what it was at QIE 0->1
 *                           counts
 *   judge_tail()            a tail beyond the queue comes before one within a descriptor, and either
 *                           before a wrong table mode
 *   descriptor_rules        descriptors of device TLBs, page responses and interrupt entries are
 *                           carried out, as nothing, by units without these capabilities; the upper
 *                           half of a page response is software's
 *   vtd_queue_fetch()       table mode 3 without abort-DMA mode is IQEI 7, as mode 2 is
 *   judge_context()         a request with PASID: PASIDE (45h) before the directory's size (46h);
 *                           device TLBs and page requests (44h, 47h) are not offered
 *   reach(), step() in dma/first_stage.c
 *                           nested: a first-stage table beyond the second stage's width is 74h, not
 *                           84h; what is not memory behind the second stage is 73h or 70h as without
 *   mark() in dma/first_stage.c
 *                           nested: with PWSNP 0 an update is 90h, whatever the second stage allows
 *   judge_early() in dma/dma.c
 *                           while translation is off requests with PASID pass; in the interrupt range
 *                           all but messages are blocked, without a record
 *   invalidate_pasid() in dma/iotlb.c, concern_of() in dma/watch.c
 *                           whether a PASID-based invalidation of all pages names second-stage
 *                           translations, and an IOTLB invalidation by domain those of the first
 *                           stage, is not certain: more is dropped rather than less
 *   vtd_fault_record()      faults of one source id are not collapsed; PFO raises no event
 *   registers.c             bit 7 of FSTS, page request overflow in old revisions, is 0
 *   capabilities.c          abort-DMA mode, device TLBs, page requests and host permission tables are
 *                           not offered: how their faults are logged and answered is not known
 *   dma/                    no paging structures are cached, nor what faults, so that it does not
 *                           matter how these would be tagged
 */

#endif
