/* SPDX-License-Identifier: MIT */
/*
 * A plugged device as the VMM shows it to its guest: BARs, configuration space, interrupts, reset.
 *
 * The VMM has no descriptor of the device: every access goes through the broker, which lets through
 * what the tenant's policy grants (`regions` and `interrupts` of policy/FORMAT.md).  A BAR therefore
 * cannot be mapped; its accesses are trapped.
 *
 * Of configuration space the broker passes on what tells the guest what the device is, and what it
 * may harmlessly set.  What else there is has to be emulated by the VMM, or is hidden: it reads 0 and
 * ignores writes, and a capability that is hidden is not in the list of capabilities.  The table of
 * protos/PROTOCOL.md, section ConfigRead, says which is which.  For the VMM to emulate:
 *   - the command register but for Bus Master Enable, which it may write: a device masters the bus
 *     while that bit is 1 (as it is after plugging) and the unit has something attached;
 *   - the addresses of BARs (the low bits, which say of what kind a BAR is, are the device's);
 *   - control, address and data of MSI, and the control word and the table of MSI-X.  Of the table
 *     nothing is the device's: what a BAR holds there is not what the guest has written;
 *   - Initiate Function Level Reset: vtd_frontend_reset_device().
 *
 * Interrupts arrive as signals of eventfds, which a VMM lets its event loop poll or, with KVM, the
 * kernel inject (irqfd).  The message that the guest asked for is the VMM's to deliver: with interrupt
 * remapping, see vtd/interrupt.h.  There is no INTx.
 *
 * @rid is that of vtd_frontend_plug().  All functions wait for the broker.  They return 0;
 * VTD_FRONTEND_REFUSED, _LOST, _BUSY; -ENODEV when no device is plugged as @rid; and what else they
 * name.  A broker that is older than this part of the protocol refuses all but accesses to BARs
 * (`not-built`).
 */
#ifndef VTD_DEVICE_H
#define VTD_DEVICE_H

#include "vtd/frontend.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct vtd_frontend_region {
        uint64_t size; /* in bytes; 0: there is no such BAR, or the host cannot access it */
        bool readable; /* policy grants it */
        bool writable; /* the same; never without readable */
};

struct vtd_frontend_device_info {
        struct vtd_frontend_region regions[6]; /* BARs */
        bool config_readable;
        bool config_writable;
        /*
         * Vectors that can be armed, by the device and by policy.  0: the capability is hidden.
         * Policy's limit is for all devices together: arming may be refused all the same.
         */
        unsigned msi_vectors; /* 0 or 1: more are never offered */
        unsigned msix_vectors;
        bool can_reset;
};

int vtd_frontend_get_device_info(struct vtd_frontend *frontend, uint16_t rid,
                                 struct vtd_frontend_device_info *info);

/*
 * Trapped access to BAR @region; @width 1, 2, 4 or 8, naturally aligned.  Also -EINVAL, for another
 * @width.  Of @value, only @width bytes are written.
 */
int vtd_frontend_region_read(struct vtd_frontend *frontend, uint16_t rid, unsigned region,
                             uint64_t offset, unsigned width, uint64_t *value);
int vtd_frontend_region_write(struct vtd_frontend *frontend, uint16_t rid, unsigned region,
                              uint64_t offset, unsigned width, uint64_t value);

/*
 * Access to configuration space; @width 1, 2 or 4, naturally aligned, @offset below 256, or 4096 for
 * a device with extended configuration space.  Also -EINVAL, for another @width.  Of a @value to be
 * written, only @width bytes count.
 */
int vtd_frontend_config_read(struct vtd_frontend *frontend, uint16_t rid, unsigned offset,
                             unsigned width, uint32_t *value);
int vtd_frontend_config_write(struct vtd_frontend *frontend, uint16_t rid, unsigned offset,
                              unsigned width, uint32_t value);

enum vtd_frontend_interrupt_kind {
        VTD_FRONTEND_MSI = 1,
        VTD_FRONTEND_MSIX = 2,
};

/*
 * Has each interrupt of @vector signal @eventfd, which stays the caller's and may be closed.  Arming a
 * vector anew changes its eventfd.  Vectors of one kind at a time.  The device counts against policy's
 * `interrupts` with the highest vector armed and one, until vtd_frontend_clear_interrupts().
 * Also -EBADF; -EINVAL for another @kind.
 */
int vtd_frontend_set_interrupt(struct vtd_frontend *frontend, uint16_t rid,
                               enum vtd_frontend_interrupt_kind kind, unsigned vector, int eventfd);

/* Disarms every vector of @kind; nothing is armed after plugging.  Also -EINVAL for another @kind. */
int vtd_frontend_clear_interrupts(struct vtd_frontend *frontend, uint16_t rid,
                                  enum vtd_frontend_interrupt_kind kind);

/*
 * Resets the function.  How its DMA is bound, which vectors are armed, and what was last written to
 * Bus Master Enable stay; all else of the device is as after power-on.
 */
int vtd_frontend_reset_device(struct vtd_frontend *frontend, uint16_t rid);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
