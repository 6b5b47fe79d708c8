/* SPDX-License-Identifier: MIT */
/*
 * The guest as the emulation sees it: its memory and its interrupts, through the VMM's callbacks.
 * Everything read is hostile: it is copied once into the caller's memory and judged there.
 */
#ifndef VTD_FRONTEND_GUEST_H
#define VTD_FRONTEND_GUEST_H

#include <stdbool.h>

#include "frontend/include/vtd/frontend.h"

struct vtd_guest {
        struct vtd_frontend_callbacks callbacks;
        void *opaque;
};

/* Copies @size bytes (at most 4096) from @gpa; false when any of them is not guest RAM. */
static inline bool vtd_guest_read(const struct vtd_guest *guest, uint64_t gpa, void *data,
                                  size_t size)
{
        return guest->callbacks.read_memory(guest->opaque, gpa, data, size) == 0;
}

/* The other direction. */
static inline bool vtd_guest_write(const struct vtd_guest *guest, uint64_t gpa, const void *data,
                                   size_t size)
{
        return guest->callbacks.write_memory(guest->opaque, gpa, data, size) == 0;
}

/* Delivers a message-signalled interrupt. */
static inline void vtd_guest_send_message(const struct vtd_guest *guest, uint64_t address,
                                          uint32_t data)
{
        guest->callbacks.send_message(guest->opaque, address, data);
}

#endif
