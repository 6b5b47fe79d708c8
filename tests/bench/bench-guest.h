/* SPDX-License-Identifier: MIT */
/*
 * A guest of the unit for measuring: memory, tables and a long invalidation queue, over a host that
 * answers at once in the same process.  What fails ends the program: there is nothing to measure.
 */
#ifndef VTD_TESTS_BENCH_GUEST_H
#define VTD_TESTS_BENCH_GUEST_H

#include "frontend/frontend-internal.h"
#include "frontend/include/vtd/dma.h"
#include "shared/checked.h"

#define BENCH_MEMORY  (UINT64_C(32) << 20)
#define BENCH_QUEUE   UINT64_C(0x100000)
#define BENCH_STATUS  UINT64_C(0x200000)
#define BENCH_ENTRIES 16384u /* of the queue */
#define BENCH_RID     UINT16_C(0x0008)

/* The host: what it was asked last, and how often. */
struct null_host {
        struct vtd_backend base;
        bool unanswered;
        enum vtd_request_type type;
        uint32_t sequence;
        uint64_t root;
        uint64_t requests;
        uint32_t pasids, pasid_bits;
};

struct bench_guest {
        uint8_t *memory;
        uint64_t reads;
        struct vtd_frontend_callbacks callbacks; /* those that the unit has */
        struct vtd_frontend *unit;
        struct null_host *host; /* NULL without a connection */
        uint64_t next_page;     /* that was not handed out yet */
        uint32_t tail;
};

/* Says @what and ends the program. */
void bench_fail(const char *what) __attribute__((noreturn));

/*
 * A unit of @config with the queue on and translation off; connected to a null host that allows
 * @pasids of @pasid_bits bits unless that is 0.
 */
struct bench_guest *bench_guest_new(const struct vtd_frontend_config *config, uint32_t pasids,
                                    uint32_t pasid_bits);
struct bench_guest *bench_guest_free(struct bench_guest *guest);

void bench_put64(struct bench_guest *guest, uint64_t gpa, uint64_t value);

/* @count empty pages, one after the other. */
uint64_t bench_pages(struct bench_guest *guest, unsigned count);

/* Root and context entry of @rid, which is below 80h of bus 0; returns its empty PASID directory. */
uint64_t bench_put_device(struct bench_guest *guest, uint16_t rid, unsigned size_code);

/* The first-stage entry of @pasid below @directory, for a four-level table at @root. */
void bench_put_entry(struct bench_guest *guest, uint64_t directory, uint32_t pasid, unsigned did,
                     uint64_t root);

/* Maps @count pages from @address on, each to itself, with nothing left to be marked. */
void bench_map(struct bench_guest *guest, uint64_t root, uint64_t address, unsigned count);

void bench_enable_translation(struct bench_guest *guest);

/* Puts a descriptor at the place @index of the queue. */
void bench_put_descriptor(struct bench_guest *guest, unsigned index, uint64_t first,
                          uint64_t second);

/* Moves the tail by @count and runs until all is done. */
void bench_run_queue(struct bench_guest *guest, unsigned count);

/* Parts of the program: each prints what it measured. */
void bench_descriptors(void);
void bench_translation(void);
void bench_pasids(void);

#endif
