/* SPDX-License-Identifier: MIT */
/* See event.h.  The pending bit falls when a message becomes due, so that it is sent once. */
#include "frontend/event.h"

static const struct {
        uint16_t control, data, address, upper_address;
} events[] = {
        [VTD_EVENT_FAULT] = {VTD_REG_FECTL, VTD_REG_FEDATA, VTD_REG_FEADDR, VTD_REG_FEUADDR},
        [VTD_EVENT_INVALIDATION] = {VTD_REG_IECTL, VTD_REG_IEDATA, VTD_REG_IEADDR, VTD_REG_IEUADDR},
};

void vtd_event_unmask(struct vtd_registers *registers, enum vtd_event event,
                      struct vtd_message *message)
{
        uint32_t control = vtd_registers_get32(registers, events[event].control);
        uint64_t address = vtd_registers_get32(registers, events[event].address);

        if (!(control & VTD_ECTL_IP) || (control & VTD_ECTL_IM))
                return;
        address |= (uint64_t)vtd_registers_get32(registers, events[event].upper_address) << 32;
        vtd_event_cancel(registers, event);
        *message = (struct vtd_message){
                .due = true,
                .address = address,
                .data = vtd_registers_get32(registers, events[event].data),
        };
}

void vtd_event_raise(struct vtd_registers *registers, enum vtd_event event,
                     struct vtd_message *message)
{
        uint32_t control = vtd_registers_get32(registers, events[event].control);

        vtd_registers_set32(registers, events[event].control, control | VTD_ECTL_IP);
        vtd_event_unmask(registers, event, message);
}

void vtd_event_cancel(struct vtd_registers *registers, enum vtd_event event)
{
        uint32_t control = vtd_registers_get32(registers, events[event].control);

        vtd_registers_set32(registers, events[event].control, control & ~VTD_ECTL_IP);
}
