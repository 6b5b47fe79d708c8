/* SPDX-License-Identifier: MIT */
/*
 * Another VM on the attacked broker, in a thread of its own: its device does DMA through a
 * first-stage table that it changes and invalidates, over and over, and every transfer is checked.
 */
#ifndef VTD_TESTS_BYSTANDER_H
#define VTD_TESTS_BYSTANDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "tests/system/raw-client.h"

struct bystander {
        struct raw_client client;
        pthread_t thread;
        uint8_t *memory;
        uint64_t device, table;
        atomic_bool stop;
        atomic_ulong rounds;     /* completed, each with every transfer right */
        atomic_ulong slowest_us; /* longest answer, until somebody sets it to 0 */
        char failure[128];       /* why it gave up, written before failed is set */
        atomic_bool failed;
};

/* @client has said Hello and its policy grants device "edu0".  0, or -1 with failure. */
int bystander_start(struct bystander *bystander);

/* Ends it; 0 if all went well, else -1 with failure. */
int bystander_stop(struct bystander *bystander);

#endif
