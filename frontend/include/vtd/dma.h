/* SPDX-License-Identifier: MIT */
/*
 * DMA of emulated devices through the unit: where in guest memory a request goes, by the guest's own
 * tables.  Devices of the broker have no part in this: their requests pass the host's IOMMU.
 *
 * Every access is made between vtd_frontend_access_begin() and _end(): the unit completes no wait
 * descriptor, and shows no change of GSTS, before the accesses have ended that were under way when
 * an invalidation was executed, as hardware drains its requests.  So what a translation says holds
 * until the end of the access for which it was asked, and no longer, unless the back end is told of
 * invalidations: see vtd_frontend_watch().
 *
 * Threads: all functions here may be called from any thread, at any time between vtd_frontend_new()
 * and _free(), also while another call on the unit is under way, but not from a callback.  They make
 * the callbacks read_memory, compare_exchange and send_message from the calling thread.  To record a
 * fault, vtd_frontend_translate() may wait for a call on the unit that makes the callbacks for memory
 * or log: the caller must hold no lock that one of those takes.
 *
 * "Section N" refers to the VT-d architecture, revision 4 and later.
 */
#ifndef VTD_DMA_H
#define VTD_DMA_H

#include "vtd/frontend.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* Kinds of access; an atomic operation is both. */
#define VTD_FRONTEND_DMA_READ  0x1u
#define VTD_FRONTEND_DMA_WRITE 0x2u

struct vtd_frontend_dma_request {
        uint16_t rid;
        bool with_pasid; /* has a PASID prefix, and then: */
        uint32_t pasid;  /* 0 to 2^20 - 1 */
        bool privileged; /* supervisor request */
        unsigned access; /* VTD_FRONTEND_DMA_* */
        uint64_t address;
        uint64_t size; /* bytes from address; not 0, not beyond the end of the address space */
};

/*
 * An aligned block of a power of two of bytes, at least 4 KiB, that contains the request's first
 * byte.  A request that goes beyond it is continued with another call.
 *
 * What is at @translated need not be RAM, for a guest's tables name any address.  A back end must reach
 * RAM only, as read_memory and write_memory do, and treat the rest as an access that nothing answers:
 * at the unit's register page, a device's write would be a command.
 */
struct vtd_frontend_dma_translation {
        uint64_t address;    /* where the block begins for the device, ... */
        uint64_t translated; /* ... and in guest-physical memory */
        uint64_t size;
        unsigned access; /* what else the device may do there: VTD_FRONTEND_DMA_* */
};

/* An access under way; the caller's memory, its content is the unit's. */
struct vtd_frontend_access {
        unsigned epoch;
};

/*
 * Begins an access.  It is to be short: memory is copied in it, no I/O is waited for, and no lock is
 * taken that a thread may hold which waits for run() to be idle.  Accesses of several threads, and of
 * one, may overlap.  Never waits, never fails.
 */
void vtd_frontend_access_begin(struct vtd_frontend *frontend, struct vtd_frontend_access *access);
void vtd_frontend_access_end(struct vtd_frontend *frontend, struct vtd_frontend_access *access);

enum {
        VTD_FRONTEND_FAULTED = 6,   /* translate: the request is blocked */
        VTD_FRONTEND_INTERRUPT = 7, /* translate: the write is a message to the interrupt range */
};

/*
 * Translates the first byte of @request and what follows it in the same block, within an access.
 * While translation is off the request passes unchanged, though never into the interrupt range,
 * FEE0_0000h to FEEF_FFFFh, which is not memory; a block never overlaps it either.
 *
 * Returns
 *   0                       with *@translation;
 *   VTD_FRONTEND_FAULTED    a read gets no data and a write is dropped; the fault is recorded, unless
 *                           FPD suppresses it or translation is off, and the fault event sent;
 *   VTD_FRONTEND_INTERRUPT  a write of an aligned dword without PASID to the interrupt range, which
 *                           the VMM gives to vtd_frontend_remap_interrupt().  Anything else without
 *                           PASID is blocked there (29h);
 *   -EINVAL                 no request that a device can make: access, size, pasid or privileged
 *                           without PASID;
 *   -ENOTSUP                the VMM gave no compare_exchange callback.
 */
int vtd_frontend_translate(struct vtd_frontend *frontend, const struct vtd_frontend_access *access,
                           const struct vtd_frontend_dma_request *request,
                           struct vtd_frontend_dma_translation *translation);

/*
 * A back end that keeps translations beyond an access, as vhost does, is told what to forget.
 * @invalidated is called from inside vtd_frontend_run(), in the thread of that call: the back end must
 * have dropped every block that overlaps [@address, @address + @size), and ended its use, when it
 * returns.  @size is a multiple of 4096; 0 with @address 0 means everything.  It may be told of more
 * than the guest asked for.  It must not call the unit, but may wait for threads that do, other than
 * in the functions below.
 *
 * It is called when the accesses have ended that were under way as the guest's invalidation was
 * executed, and before the guest learns that it is complete.  So a back end must have put down what it
 * was given, where @invalidated finds it, before it ends the access in which it asked.
 */
typedef void (*vtd_frontend_invalidated)(void *opaque, uint64_t address, uint64_t size);

#define VTD_FRONTEND_WATCHES 64u /* at one time */

/*
 * Watches what @rid, with @pasid or (unless @with_pasid) without one, is translated to from here on:
 * what was asked for before counts for nothing.  @invalidated must be given.
 * Returns 0; -EINVAL for a PASID beyond 20 bits; -EEXIST when it is watched; -ENOSPC.
 */
int vtd_frontend_watch(struct vtd_frontend *frontend, uint16_t rid, bool with_pasid, uint32_t pasid,
                       vtd_frontend_invalidated invalidated, void *opaque);

/*
 * Ends that; @invalidated is not called any more once it has returned.  Both functions wait for calls
 * of @invalidated that are being made: hold nothing that those wait for.  Returns 0 or -ENOENT.
 */
int vtd_frontend_unwatch(struct vtd_frontend *frontend, uint16_t rid, bool with_pasid,
                         uint32_t pasid);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
