/* SPDX-License-Identifier: MIT */
/*
 * Two guests of the same configuration for tests of saved states: four fault records, 20 bits of
 * PASID.  What a driver does to bring its unit up, and to make it worth saving.
 */
#ifndef VTD_TESTS_STATE_FIXTURE_H
#define VTD_TESTS_STATE_FIXTURE_H

#include "tests/unit/frontend-fixture.h"

#define RECORDS    4u
#define STATE_SIZE (176u + 16u * RECORDS)
#define PASID_ONE  7u
#define PASID_TWO  0x45u /* in the second PASID table */
#define DEVICES    2u

#define FIRST VTD_FRONTEND_BINDING_FIRST_STAGE

enum { FIRST_STAGE = 1, SECOND_STAGE = 2, PASSTHROUGH = 4 };

static const unsigned rids[DEVICES] = {RID_A, RID_B};

struct pair {
        struct guest *a, *b;    /* what was saved goes on as a, what was restored as b */
        uint8_t state[4096];    /* of a, ... */
        struct guest at_saving; /* ... and the guest with it */
};

/* cmocka set-up and tear-down: *state is a struct pair, with nothing plugged. */
int state_setup(void **state);
int state_teardown(void **state);

/* A new unit for @guest, in reset state. */
void state_configure(struct guest *guest);

/* Saves the unit of @guest into STATE_SIZE @bytes. */
void state_save(struct guest *guest, uint8_t *bytes);

/* The same of the first guest, into the pair. */
void state_save_first(struct pair *pair);

void plug_devices(struct guest *guest);

/* Clears all fault records, FSTS and ICS. */
void recover(struct guest *guest);

/* Lets both events through. */
void unmask(struct guest *guest);

/* Asks for queue and translation by the tables at ROOT_TABLE; the queue is set up unless it is on. */
void switch_on(struct guest *guest);

/*
 * Plugs both devices and switches on.  They share TABLE_A under domain 5; the first has PASID_ONE
 * with TABLE_B under domain 6, and PASID_TWO as pass-through.
 */
void bring_up(struct guest *guest);

/* Three faults, of which the guest has dealt with the second: F stands in records 0 and 2. */
void record_faults(struct guest *guest);

#endif
