/* SPDX-License-Identifier: MIT */
/*
 * Interrupt requests, judged by the guest's interrupt remapping table.  Stateless: each request
 * reads its entry once, nothing is kept, and any number of threads may be in it at once.
 */
#ifndef VTD_FRONTEND_INTERRUPT_H
#define VTD_FRONTEND_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/capabilities.h"
#include "frontend/fault.h"
#include "frontend/guest.h"
#include "frontend/include/vtd/interrupt.h"

/*
 * All that is in force, in one word, so that a request sees all of one moment: the bits of IRTA as
 * latched by SIRTP, and in its reserved ones what GSTS.IRES and CFIS will show.
 */
#define VTD_INTERRUPTS_SIZE_MASK     UINT64_C(0xf) /* S: the table has 2^(S+1) entries */
#define VTD_INTERRUPTS_REMAPPED      UINT64_C(0x10)
#define VTD_INTERRUPTS_COMPATIBILITY UINT64_C(0x20)
#define VTD_INTERRUPTS_EXTENDED      UINT64_C(0x800) /* EIME */
#define VTD_INTERRUPTS_BASE_MASK     UINT64_C(0xfffffffffffff000)
#define VTD_INTERRUPTS_IRTA_MASK     UINT64_C(0xfffffffffffff80f)

#define VTD_INTERRUPT_ENTRIES 65536u /* of the largest table */

/* Entries whose content a guest has announced to have changed; none with a count of 0. */
struct vtd_interrupt_change {
        uint32_t first;
        uint32_t count;
};

struct vtd_interrupt_request {
        uint16_t rid;
        uint64_t address;
        uint32_t data;
};

enum {
        VTD_INTERRUPT_E_FAULT = 1, /* *@fault */
};

/*
 * Judges @request with @interrupts in force.
 * Returns 0 with *@message; VTD_INTERRUPT_E_FAULT with *@fault to be recorded.
 */
int vtd_interrupt_judge(const struct vtd_guest *guest, const struct vtd_capabilities *capabilities,
                        uint64_t interrupts, const struct vtd_interrupt_request *request,
                        struct vtd_frontend_message *message, struct vtd_fault *fault);

#endif
