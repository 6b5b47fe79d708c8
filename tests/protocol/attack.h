/* SPDX-License-Identifier: MIT */
/*
 * Attacks of a VMM on its broker: each has a name, states what the VMM must see, and is followed by
 * the same two questions: is anything left of it, and was another VM served all the while.
 */
#ifndef VTD_TESTS_ATTACK_H
#define VTD_TESTS_ATTACK_H

#include "tests/unit/unit.h"

#include "tests/protocol/bystander.h"
#include "tests/system/broker-run.h"
#include "tests/system/raw-client.h"

/* What the attacker's policy grants: see world.c. */
#define ATTACKER_VMS      4u
#define ATTACKER_MEMORY   (UINT64_C(8) << 20)
#define ATTACKER_MAPPINGS 3u
#define ATTACKER_TABLES   2u
#define ATTACKER_PASIDS   2u

#define MAPPING (UINT64_C(1) << 20) /* size of what map() maps */

struct world {
        struct broker_run run;
        char attacker[128]; /* paths of sockets */
        char neighbour[128];
        struct bystander bystander;
        size_t descriptors;       /* that vtd-brokerd has when only the bystander is there */
        struct raw_client client; /* the attacker's, Hello said */
};

struct attack {
        const char *name;
        void (*run)(struct world *world, const struct attack *attack);
        /* Operands, as each file uses them. */
        uint64_t a, b, c;
        unsigned reason; /* enum vtd_reason */
        const void *bytes;
        size_t size;
};

/* Tables end with a row without a name. */
extern const struct attack framing_attacks[];
extern const struct attack body_attacks[];
extern const struct attack phase_attacks[];
extern const struct attack descriptor_attacks[];
extern const struct attack silent_file_attacks[];
extern const struct attack memory_attacks[];
extern const struct attack handle_attacks[];
extern const struct attack limit_attacks[];
extern const struct attack device_plane_attacks[];
extern const struct attack pace_attacks[];
extern const struct attack stream_attacks[];

/* Starts the broker and the bystander; *state is a struct world. */
int world_start(void **state);
int world_stop(void **state);

/* Before each attack: connects the attacker and says Hello.  After: asks the two questions. */
void world_begin(struct world *world);
void world_end(struct world *world);

void pause_ms(unsigned milliseconds);

/* Connects to @path and says Hello; waits while earlier VMs are still ending. */
void greet(struct world *world, struct raw_client *client, const char *path);

/* The record must end the connection without an answer. */
void expect_closed(struct world *world, const void *record, size_t length, const int *fds,
                   size_t n_fds);

/* The request must be refused for @reason, or served. */
void expect_refusal(struct raw_client *client, struct vtd_request *request, int fd,
                    enum vtd_reason reason);
void expect_served(struct raw_client *client, struct vtd_request *request, int fd,
                   struct vtd_reply *reply);

/* A valid GetStats record, to be spoilt; a record of @type with @body, well-formed or not. */
size_t valid_record(struct world *world, uint8_t *record);
size_t frame_body(struct world *world, uint8_t *record, uint16_t type, uint8_t n_fds,
                  const void *body, size_t size);

/* Well-behaved steps that must succeed; handles come back. */
uint64_t plug(struct raw_client *client, const char *name);
uint64_t map(struct raw_client *client, uint64_t gpa, uint64_t size);
uint64_t attach_first_stage(struct raw_client *client, uint64_t device, uint64_t root);
struct vtd_stats stats_of(struct raw_client *client);

/* Random conversations for @seconds, the first one by @seed; each seed is printed before it is used. */
void stream_for(struct world *world, unsigned seconds, uint64_t seed);

/* A memfd of @size bytes with @seals; the caller's. */
int make_memory(uint64_t size, unsigned seals);

#endif
