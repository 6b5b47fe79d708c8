/* SPDX-License-Identifier: MIT */
/*
 * The guest programs of the story.  Each step does what its title says, judges what it saw, and
 * reports; a step that does not come out as stated is reported as such and the story goes on.
 */
#ifndef VTD_TESTS_STORY_STEPS_H
#define VTD_TESTS_STORY_STEPS_H

#include "tests/vmm/report.h"
#include "tests/vmm/vmm.h"

struct story {
        struct vmm *vmm;
        struct vtd_log *log;
        const char *device;        /* name in the tenant's policy */
        const char *second_device; /* another one, for the limit on first-stage tables */
        uint16_t rid;
        uint16_t second_rid;
        int report_fd; /* SOCK_SEQPACKET */
};

/* The main story; returns 0 when it was told to its end, whatever the verdicts. */
int story_main(struct story *story);

/* The next owner of a device whose VMM was killed. */
int story_next_owner(struct story *story);

#endif
