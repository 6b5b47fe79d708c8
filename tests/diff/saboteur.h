/* SPDX-License-Identifier: MIT */
/*
 * A side that is another one with one mistake in what it shows, as a unit with a bug would have it.
 * A runner that does not find it compares nothing there.
 */
#ifndef VTD_TESTS_DIFF_SABOTEUR_H
#define VTD_TESTS_DIFF_SABOTEUR_H

#include "tests/diff/side.h"

enum saboteur_kind {
        SABOTEUR_REASON,    /* fault records give another reason */
        SABOTEUR_ADDRESS,   /* ... the page behind the one that faulted */
        SABOTEUR_REQUESTER, /* ... another device */
        SABOTEUR_HEAD,      /* IQH is one descriptor behind */
        SABOTEUR_QUEUE,     /* errors of the queue are not shown */
        SABOTEUR_PENDING,   /* nor pending fault events */
        SABOTEUR_RESULT,    /* DMA that is blocked is said to have arrived */
        SABOTEUR_PLACE,     /* it arrives, but one byte is another */
        SABOTEUR_DIRTY,     /* dirty bits are not set */
        SABOTEUR_STATUS,    /* waits do not write their status */
        SABOTEUR_KINDS,
};

struct saboteur {
        struct diff_side side;
        struct diff_side *inner; /* not owned */
        enum saboteur_kind kind;
};

void saboteur_init(struct saboteur *saboteur, struct diff_side *inner, enum saboteur_kind kind);
const char *saboteur_name(enum saboteur_kind kind);

#endif
