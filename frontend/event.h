/* SPDX-License-Identifier: MIT */
/*
 * The two interrupts of the unit, fault event and invalidation event, whose registers (control,
 * data, address, upper address) have the same shape.  The upper address counts only with extended
 * interrupt mode, which is not offered: the register stays 0.
 */
#ifndef VTD_FRONTEND_EVENT_H
#define VTD_FRONTEND_EVENT_H

#include "frontend/guest.h"
#include "frontend/registers.h"

enum vtd_event {
        VTD_EVENT_FAULT,
        VTD_EVENT_INVALIDATION,
};

/* Sends the event's message, or makes it pending while the event is masked. */
void vtd_event_raise(struct vtd_registers *registers, const struct vtd_guest *guest,
                     enum vtd_event event);

/* The control register was written: sends a pending message if the event is not masked any more. */
void vtd_event_unmask(struct vtd_registers *registers, const struct vtd_guest *guest,
                      enum vtd_event event);

/* The guest has dealt with what the event was about: a pending message is not sent any more. */
void vtd_event_cancel(struct vtd_registers *registers, enum vtd_event event);

#endif
