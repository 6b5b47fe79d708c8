/* SPDX-License-Identifier: MIT */
/*
 * What the VMM of the story tells the program that started it, one record after each step; the
 * starter answers with one byte when the VMM may go on.
 */
#ifndef VTD_TESTS_REPORT_H
#define VTD_TESTS_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#define STORY_TEXT 240u

struct story_report {
        bool ok;                 /* everything in this step came out as stated */
        bool last;               /* the VMM now holds still until it is killed */
        uint32_t first_sequence; /* of the requests to the broker in this step */
        uint32_t last_sequence;  /* below first_sequence: there was none */
        char title[64];
        char guest[STORY_TEXT]; /* what the guest (or the VMM for it) did */
        char saw[STORY_TEXT];   /* what the device's DMA, or the guest, then saw */
};

#endif
