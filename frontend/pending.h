/* SPDX-License-Identifier: MIT */
/*
 * Invalidations that the guest has asked for and the broker has not been told of yet: one set of
 * ranges for each first-stage table.  The guest learns of completion only from a wait descriptor,
 * so what lies between two of them travels in one request per table.
 *
 * Ranges that touch or overlap become one, and leaf-only ranges also across a range between them
 * that asks for more, so that as few are sent as can be; nothing is invalidated beyond what was
 * asked, except that more ranges than one request carries, or a range that reaches beyond the
 * table's address width, become the whole table.
 */
#ifndef VTD_FRONTEND_PENDING_H
#define VTD_FRONTEND_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protos/message.h"

/* Tables with ranges at one time: bounds memory; a guest that names more costs itself a flush. */
#define VTD_PENDING_TABLES 8u

/*
 * Addresses that a four-level first-stage table translates; what is asked for beyond, which only a
 * table of five levels can have, becomes the whole table.
 */
#define VTD_FIRST_STAGE_ADDRESS_BITS 48u

enum {
        VTD_PENDING_E_FULL = 1, /* as many tables as fit have ranges: flush, then add again */
};

struct vtd_pending_table {
        uint64_t table;
        bool whole;
        size_t count;
        struct vtd_invalidate_entry entries[VTD_LIMIT_INVALIDATE_ENTRIES];
};

struct vtd_pending {
        size_t count;
        struct vtd_pending_table tables[VTD_PENDING_TABLES];
};

/*
 * Adds the naturally aligned block of 2^@address_mask pages (0 to 63) that contains @address;
 * @leaf: only leaf entries have changed.  Returns 0 or VTD_PENDING_E_FULL.
 */
int vtd_pending_add_block(struct vtd_pending *pending, uint64_t table, uint64_t address,
                          unsigned address_mask, bool leaf);

/* Adds everything that @table translates.  Returns 0 or VTD_PENDING_E_FULL. */
int vtd_pending_add_whole(struct vtd_pending *pending, uint64_t table);

/* Forgets what was asked for @table, because nothing is bound to it any more. */
void vtd_pending_drop(struct vtd_pending *pending, uint64_t table);

/* Moves the ranges of one table into @request; there must be one (count > 0). */
void vtd_pending_take(struct vtd_pending *pending, struct vtd_invalidate_request *request);

#endif
