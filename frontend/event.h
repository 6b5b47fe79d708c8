/* SPDX-License-Identifier: MIT */
/*
 * The two interrupts of the unit, fault event and invalidation event, whose registers (control,
 * data, address, upper address) have the same shape.  Without extended interrupt mode there is no upper
 * address: the register stays 0.
 */
#ifndef VTD_FRONTEND_EVENT_H
#define VTD_FRONTEND_EVENT_H

#include "frontend/guest.h"
#include "frontend/registers.h"

enum vtd_event {
        VTD_EVENT_FAULT,
        VTD_EVENT_INVALIDATION,
};

/*
 * Has the event's message sent: *@message is due then.  While the event is masked it becomes pending
 * instead.  Sending is the caller's, who may hold a lock that a callback must not wait for.
 */
void vtd_event_raise(struct vtd_registers *registers, enum vtd_event event,
                     struct vtd_message *message);

/* The control register was written: a pending message is due if the event is not masked any more. */
void vtd_event_unmask(struct vtd_registers *registers, enum vtd_event event,
                      struct vtd_message *message);

/* The guest has dealt with what the event was about: a pending message is not sent any more. */
void vtd_event_cancel(struct vtd_registers *registers, enum vtd_event event);

#endif
