/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping: where an interrupt request goes, by the guest's interrupt remapping table.
 * For a unit that offers it (struct vtd_frontend_config, interrupt_remapping); posted interrupts are
 * not offered.
 *
 * An interrupt request is a write of 32 bits, without PASID, to FEE0_0000h to FEEF_FFFFh.  They come
 * from
 *   - PCI devices, emulated or not, as MSI and MSI-X: address and data are what the guest has put
 *     into the capability or the table, and @rid is the function's requester id;
 *   - I/O APICs, for which the VMM forms them from the 64 bits of the redirection entry E of the pin,
 *     the same way in both of its formats:
 *         address = FEE0_0000h | E[63:48] << 4 | E[11] << 2
 *         data    = E[15] << 15 | 1 << 14 | E[10:8] << 8 | E[7:0]
 *     and @rid is that of its scope in the DMAR table (vtd/acpi.h).  In remappable format (E[48] set)
 *     vector and trigger mode of the message are those of the table's entry; E[15] still decides
 *     whether the pin waits for an end of interrupt, and the guest names E[7:0] to the I/O APIC then,
 *     whatever vector was delivered;
 *   - HPETs: address and data of the timer's FSB route, @rid of the scope.
 * The messages of the unit itself, which send_message is called for, are never remapped.
 *
 * Nothing is cached: every request reads the table's entry anew, so that an invalidation has nothing
 * to drop in the unit.  What is under way or kept outside of it is another matter:
 *   - the VMM asks, and delivers the message, within one access (vtd_frontend_access_begin() and
 *     _end(), vtd/dma.h).  Then the guest learns that an invalidation of interrupt entries, or a
 *     switch of table or mode, is complete only when what was answered by the old ones is delivered;
 *   - a VMM that keeps answers, as in the routes of interrupts that the kernel injects, puts them
 *     down within the access, and is told when to ask again: vtd_frontend_watch_interrupts().
 */
#ifndef VTD_INTERRUPT_H
#define VTD_INTERRUPT_H

#include "vtd/frontend.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/*
 * What is to be delivered, in the form of an MSI: address bits 63:40 are bits 31:8 of an x2APIC id,
 * which is how the KVM interface has it too.
 */
struct vtd_frontend_message {
        uint64_t address;
        uint32_t data;
};

enum {
        VTD_FRONTEND_BLOCKED = 8, /* remap_interrupt: the request is dropped */
};

/*
 * Judges the write of @data to @address by @rid.  While interrupt remapping is off (GSTS.IRES) or not
 * offered, every request passes unchanged, whatever its address.
 *
 * Returns
 *   0                     with *@message, which the VMM delivers.  In compatibility format that is
 *                         the request itself, passed because the guest allows it (GSTS.CFIS, and not
 *                         in extended interrupt mode);
 *   VTD_FRONTEND_BLOCKED  the fault is recorded unless FPD of the entry suppresses it, and the fault
 *                         event sent.  An address that is no interrupt's is blocked as one with
 *                         reserved bits (20h).
 *
 * Threads: may be called from any thread, at any time between vtd_frontend_new() and _free(), also
 * while another call on the unit is under way, but not from a callback other than the one of
 * vtd_frontend_watch_interrupts().  Makes the callbacks read_memory, at most once and of 16 bytes, and
 * send_message, from the calling thread.  It may wait for a call on the unit that makes the callbacks
 * for memory or log: the caller must hold no lock that one of those takes.  A call that overlaps
 * vtd_frontend_run(), _reset() or _restore() is answered by what held before or by what holds after.
 */
int vtd_frontend_remap_interrupt(struct vtd_frontend *frontend, uint16_t rid, uint64_t address,
                                 uint32_t data, struct vtd_frontend_message *message);

/*
 * What the VMM has kept of @count entries from @first on must be out of use when this returns: the
 * guest has invalidated them.  All 65536 are named also when it has switched table or mode, and after
 * a reset or a restore.  It may be told of more than the guest asked for.
 *
 * Called from inside vtd_frontend_run(), in the thread of that call, when the accesses have ended that
 * were under way, and before the guest learns that the invalidation is complete.  On the unit, it may
 * call vtd_frontend_remap_interrupt() within an access, and nothing else.
 */
typedef void (*vtd_frontend_interrupts_changed)(void *opaque, uint32_t first, uint32_t count);

/*
 * Has @changed called from here on, in place of what was before; NULL for nothing.  Not while another
 * call on the unit is under way, other than those of vtd/dma.h and vtd_frontend_remap_interrupt().
 */
void vtd_frontend_watch_interrupts(struct vtd_frontend *frontend,
                                   vtd_frontend_interrupts_changed changed, void *opaque);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
