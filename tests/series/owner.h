/* SPDX-License-Identifier: MIT */
/*
 * VMMs that own one edu device after each other, each a process of its own without libvtd-frontend:
 * the first leaves a DMA in flight, the next finds out whether anything of it reached its memory.
 */
#ifndef VTD_TESTS_OWNER_H
#define VTD_TESTS_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Guest memory of an owner, at guest-physical address 0: all that the tests' policy grants. */
#define OWNER_MEMORY (UINT64_C(32) << 20)

/* Written by the owner, read by the test; lies in memory that both share. */
struct owner_report {
        bool in_flight;       /* the first: a DMA has been started */
        uint64_t started_ns;  /* when; CLOCK_MONOTONIC */
        uint64_t attached_ns; /* when its memory was reachable for the device */
        char problem[160];    /* why it ended with another status than 0 */
};

struct owner {
        pid_t pid;
        struct owner_report *report; /* shared; owned */
};

/*
 * Starts an owner that connects to @socket, plugs @device, and starts DMA that writes its own words to
 * one page after another; once in_flight is set, one DMA is left to itself, and the owner waits to be
 * killed.
 */
void owner_start_first(struct owner *owner, const char *socket, const char *device);

/*
 * Starts an owner that fills its memory with canaries, connects, plugs @device as soon as it is
 * free, lets it reach all memory, and ends with status 0 if every canary stayed, and if DMA of its
 * own then arrived where it was sent and nowhere else.
 */
void owner_start_next(struct owner *owner, const char *socket, const char *device);

/* Waits for its end, at most @wait_ms; kills it then.  Its wait status. */
int owner_wait(struct owner *owner, int wait_ms);

/* Kills what is left of it and frees the report. */
void owner_deinit(struct owner *owner);

#endif
