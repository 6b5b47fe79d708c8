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

/* A message-signalled interrupt that may have become due. */
struct vtd_message {
        bool due;
        uint64_t address;
        uint32_t data;
};

/* Delivers @message if it is due. */
static inline void vtd_guest_deliver(const struct vtd_guest *guest,
                                     const struct vtd_message *message)
{
        if (message->due)
                guest->callbacks.send_message(guest->opaque, message->address, message->data);
}

/* Swaps eight bytes at @gpa, a multiple of 8, as one access; false when they are not guest RAM. */
static inline bool vtd_guest_compare_exchange(const struct vtd_guest *guest, uint64_t gpa,
                                              uint64_t expected, uint64_t desired, uint64_t *found)
{
        return guest->callbacks.compare_exchange(guest->opaque, gpa, expected, desired, found) == 0;
}

#endif
