/* SPDX-License-Identifier: MIT */
/*
 * A guest whose emulated devices translate: PASID-table entries of every type, and page tables below
 * them.  Nothing is plugged.  What a page translates to is any number: no test reads from there.
 */
#ifndef VTD_TESTS_DMA_FIXTURE_H
#define VTD_TESTS_DMA_FIXTURE_H

#include "tests/unit/frontend-fixture.h"

#include "frontend/include/vtd/dma.h"
#include "shared/checked.h"

#define BIT(n) (UINT64_C(1) << (n))

#define READ   VTD_FRONTEND_DMA_READ
#define WRITE  VTD_FRONTEND_DMA_WRITE
#define ATOMIC (READ | WRITE)

#define NO_PASID UINT32_MAX
#define FAULTED  UINT64_MAX /* instead of an address */

#define PAGE_4K 0u /* levels of page-table entries */
#define PAGE_2M 1u
#define PAGE_1G 2u

#define ARENA     0x2c0000u /* page tables */
#define ARENA_END 0x400000u

struct dma {
        struct guest *guest;
        uint64_t arena;             /* its first free page */
        uint64_t second_stage_same; /* a root that maps the lowest 512 GiB to themselves */
        struct vtd_frontend_dma_translation translation; /* the last one */
};

/*
 * cmocka set-up and tear-down: *state is a struct dma of a unit with everything that is offered,
 * eight fault records, 46 bits of memory addresses, and translation on.
 */
int dma_setup(void **state);
int dma_teardown(void **state);

#define DMA_TEST(name) cmocka_unit_test_setup_teardown(name, dma_setup, dma_teardown)

/* Root, context (PASIDE, RID_PASID @rid_pasid) and directory entries of @rid. */
void put_device(struct dma *dma, unsigned rid, unsigned rid_pasid);

/* The PASID-table entry of @rid (8 bits) and @pasid (12 bits): four levels wherever there are tables. */
void put_translation(struct dma *dma, unsigned rid, unsigned pasid, unsigned pgtt, unsigned did,
                     uint64_t first_stage_root, uint64_t second_stage_root);

/* An empty table. */
uint64_t new_table(struct dma *dma);

/*
 * Makes the entry of @level for @address under the four-level @root of a first or second stage a page
 * at @target that allows everything, with tables as needed.  Returns where the entry is.
 */
uint64_t put_first_stage(struct dma *dma, uint64_t root, uint64_t address, unsigned level,
                         uint64_t target);
uint64_t put_second_stage(struct dma *dma, uint64_t root, uint64_t address, unsigned level,
                          uint64_t target);

/* What a request comes to, in an access of its own or in @access; with dma->translation if 0. */
int translate(struct dma *dma, const struct vtd_frontend_dma_request *request);
int translate_in(struct dma *dma, const struct vtd_frontend_access *access,
                 const struct vtd_frontend_dma_request *request);

/* Where a read of 8 bytes at @address ends up, or FAULTED. */
uint64_t where(struct dma *dma, unsigned rid, uint32_t pasid, uint64_t address);

/* Queues @first and @second and a wait, which has written @status when it completes. */
void invalidate_and_wait(struct dma *dma, uint64_t first, uint64_t second);

#endif
