/* SPDX-License-Identifier: MIT */
/*
 * A unit with a guest that does what the input says, and what must hold at every moment of it.  The
 * guest's tables, queue and status word have places of their own (below), so that an input need not
 * find them; nothing keeps it from writing anywhere.
 *
 * What is checked while the unit works: guest memory is read only within the budget and written only
 * by wait descriptors, but for accessed and dirty bits; a wait descriptor completes only when every
 * invalidation that the guest queued before it was done and no access is under way that began before
 * it, and none completes after the connection was lost; interrupts go where the guest said and only
 * while unmasked; requests are those that broker.h allows.  And after each step, check.h.
 */
#ifndef VTD_TESTS_FUZZ_UNIT_H
#define VTD_TESTS_FUZZ_UNIT_H

#include "frontend/frontend-internal.h"
#include "frontend/include/vtd/dma.h"
#include "tests/fuzz/broker.h"
#include "tests/fuzz/program.h"

/* Pages of guest memory, from guest-physical 0. */
#define FUZZ_MEMORY_SIZE UINT64_C(0x24000)

/* From here on the unit can read, but not write. */
#define FUZZ_READ_ONLY UINT64_C(0x23000)

#define FUZZ_ROOT_TABLE    UINT64_C(0x1000)
#define FUZZ_CONTEXT_LOWER UINT64_C(0x2000)
#define FUZZ_CONTEXT_UPPER UINT64_C(0x3000)
#define FUZZ_DIRECTORIES   UINT64_C(0x4000) /* one page for each device of fuzz_rid() */
#define FUZZ_TABLES        UINT64_C(0xa000) /* PASID tables, a page each */
#define FUZZ_TABLES_COUNT  6u
#define FUZZ_QUEUE         UINT64_C(0x10000) /* two pages */
#define FUZZ_STATUS        UINT64_C(0x12000)
#define FUZZ_PAGING        UINT64_C(0x13000) /* tables below PASID-table entries */
#define FUZZ_PAGING_COUNT  17u
#define FUZZ_FIRST_STAGE   UINT64_C(0x20000) /* roots, of which the first four are memory */
#define FUZZ_ROOTS         16u

#define FUZZ_DEVICES 6u

/* Stores that the guest makes between two reads of the unit, and invalidations that it waits for. */
#define FUZZ_STORES_MAX  8u
#define FUZZ_DEMANDS_MAX 64u
#define FUZZ_ACCESSES    4u
#define FUZZ_WATCHES     4u
#define FUZZ_KEPT_MAX    8u

struct fuzz_store {
        unsigned after; /* reads until then, from 1; 0: done */
        uint64_t gpa, value;
};

/* The guest was promised that this is invalidated before anything completes. */
struct fuzz_demand {
        uint64_t table;
        uint64_t address, size; /* size 0: all of it */
        bool leaf;
};

/* Entries of the interrupt remapping table. */
struct fuzz_interrupts {
        uint32_t first, count;
};

/* An access of an emulated device that is under way. */
struct fuzz_access {
        bool open;
        struct vtd_frontend_access access;
        uint64_t begun; /* invalidations until then */
};

/* A back end that keeps translations of one device or PASID until it is told to forget them. */
struct fuzz_watch {
        bool used;
        uint16_t rid;
        bool with_pasid;
        uint32_t pasid;
        size_t count;
        struct vtd_frontend_dma_translation kept[FUZZ_KEPT_MAX];
};

struct fuzz_unit {
        uint8_t *memory;
        struct vtd_frontend_config config;
        struct vtd_frontend *unit;
        struct fuzz_broker *broker; /* the unit's */
        bool told_lost;
        size_t reads; /* of the current run */
        struct fuzz_store stores[FUZZ_STORES_MAX];

        /* What was read last from where the queue's head stands, until it is known what it was. */
        bool fetched, valid;
        uint64_t words[4];
        uint64_t descriptors; /* completed, as last seen */
        size_t demands_count;
        struct fuzz_demand demands[FUZZ_DEMANDS_MAX];

        struct fuzz_access accesses[FUZZ_ACCESSES];
        uint64_t invalidations; /* descriptors that invalidate something, so far */
        bool translating;
        struct fuzz_watch watches[FUZZ_WATCHES];
        bool interrupts_watched;
        size_t interrupts_count; /* entries that the VMM is to be told of */
        struct fuzz_interrupts interrupts[FUZZ_DEMANDS_MAX];

        uint8_t state[4096]; /* of the unit, as it was saved and then changed; state_size 0: none */
        size_t state_size;

        size_t checks;
        uint32_t command; /* sticky GCMD bits as the guest's driver keeps them */
        uint32_t tail;    /* of a driver that queues */
        uint32_t before[VTD_FRONTEND_REGISTER_PAGE_SIZE / 4]; /* registers, for check.c */
};

typedef void (*fuzz_operation)(struct fuzz_unit *fuzz, const struct fuzz_step *step);

/*
 * Runs the program in @data on a new unit: the scene (record 0) chooses what the guest is offered and
 * what the broker grants; @begin sets up what a target begins with; each step is one
 * of the @count @operations.  In the end, expect.h.
 */
void fuzz_unit_play(const uint8_t *data, size_t size,
                    void (*begin)(struct fuzz_unit *fuzz, const struct fuzz_step *scene),
                    const fuzz_operation *operations, size_t count);

/* Begins access number @index, which wraps, unless it is under way; ends one, or all. */
struct fuzz_access *fuzz_begin_access(struct fuzz_unit *fuzz, unsigned index);
void fuzz_end_access(struct fuzz_unit *fuzz, unsigned index);
void fuzz_end_accesses(struct fuzz_unit *fuzz);

/* For vtd_frontend_watch_interrupts(), with the unit as its opaque. */
void fuzz_interrupts_changed(void *opaque, uint32_t first, uint32_t count);

/* Requester id number @index, which wraps: on two buses, in both halves of the first. */
uint16_t fuzz_rid(unsigned index);

/* The place in guest memory of a table entry of number @index of the same. */
uint64_t fuzz_context_gpa(unsigned index);
uint64_t fuzz_directory_gpa(unsigned index);

/* The guest's stores and loads; what is not memory is ignored, and reads as 0. */
void fuzz_put64(struct fuzz_unit *fuzz, uint64_t gpa, uint64_t value);
uint64_t fuzz_get64(const struct fuzz_unit *fuzz, uint64_t gpa);

/* A register write of @size bytes, and what it may have changed. */
void fuzz_write(struct fuzz_unit *fuzz, uint64_t offset, unsigned size, uint64_t value);

/* GCMD with the sticky bits of the last one, and @set or without @clear. */
void fuzz_command(struct fuzz_unit *fuzz, uint32_t set, uint32_t clear);

/* One vtd_frontend_run() of @budget; what it returned. */
int fuzz_run(struct fuzz_unit *fuzz, unsigned budget);

/* Runs until nothing is pending, at most @runs times. */
void fuzz_settle(struct fuzz_unit *fuzz, unsigned runs);

#endif
