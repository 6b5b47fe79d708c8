/* SPDX-License-Identifier: MIT */
/*
 * One request and the tables that it is walked through: a chain of entries per stage, each table in
 * a page of its own.  Levels count from the lowest, which holds entries of 4 KiB pages.
 */
#ifndef VTD_TESTS_PAGING_FIXTURE_H
#define VTD_TESTS_PAGING_FIXTURE_H

#include "tests/unit/frontend-fixture.h"

#include "frontend/dma/paging.h"
#include "shared/checked.h"

#define BIT(n) (UINT64_C(1) << (n))

#define READ   VTD_FRONTEND_DMA_READ
#define WRITE  VTD_FRONTEND_DMA_WRITE
#define ATOMIC (READ | WRITE)

/* First-stage entries. */
#define FS_P  BIT(0)
#define FS_RW BIT(1)
#define FS_US BIT(2)
#define FS_A  BIT(5)
#define FS_D  BIT(6)
#define FS_PS BIT(7)
#define FS_EA BIT(10)

/* Second-stage entries. */
#define SS_R   BIT(0)
#define SS_W   BIT(1)
#define SS_PS  BIT(7)
#define SS_A   BIT(8)
#define SS_D   BIT(9)
#define SS_SNP BIT(11)

/* What the chains are made of: everything allowed, and no bit left to be set. */
#define FS_TABLE (FS_P | FS_RW | FS_US | FS_A | FS_EA)
#define FS_PAGE  (FS_TABLE | FS_D)
#define SS_TABLE (SS_R | SS_W | SS_A)
#define SS_PAGE  (SS_TABLE | SS_D)

#define FS_TABLES 0x50000u /* where the first stage's are in memory, by level */
#define SS_TABLES 0x60000u

/* Where a nested walk's first-stage tables are for the second stage: a page per level. */
#define NESTED_TABLES UINT64_C(0x2080000000)

struct paging {
        struct guest *guest;
        struct vtd_capabilities capabilities;
        struct vtd_pasid_entry entry;
        struct vtd_frontend_dma_request request;
        struct vtd_page page; /* of the last walk that was allowed */
};

/*
 * cmocka set-up and tear-down: *state is a struct paging with every capability, 52-bit memory
 * addresses, and a first-stage entry with four levels, PWSNP and SRE for a user's read of 8 bytes at
 * PAGING_ADDRESS.
 */
#define PAGING_ADDRESS UINT64_C(0x5678c0de7808)

int paging_setup(void **state);
int paging_teardown(void **state);

#define PAGING_TEST(name) cmocka_unit_test_setup_teardown(name, paging_setup, paging_teardown)

/* The entry becomes second-stage, with @levels, or nested, with four first-stage levels. */
void use_second_stage(struct paging *paging, unsigned levels);
void use_nested(struct paging *paging, unsigned levels);

unsigned first_levels(const struct paging *paging);

/* Where the entry for the request's address is. */
uint64_t first_entry(const struct paging *paging, unsigned level);
/* The same for @address in the second stage. */
uint64_t second_entry(uint64_t address, unsigned level);

/* log2 of what an entry of @level stands for. */
unsigned shift_of(unsigned level);

/*
 * Makes the chain of FS_TABLE entries, nested ones behind the second stage, that ends with @value at
 * @level; and that of SS_TABLE entries.
 */
void put_first(struct paging *paging, unsigned level, uint64_t value);
void put_second(struct paging *paging, uint64_t address, unsigned level, uint64_t value);

/* Lets the second stage map NESTED_TABLES: SS_PAGE entries, as many as there are first-stage levels. */
void put_nested_tables(struct paging *paging);

/* Walks; returns the fault reason, or 0 with paging->page, which must allow the request. */
unsigned paging_walk(struct paging *paging);

/* The same for another request. */
unsigned paging_walk_as(struct paging *paging, bool privileged, unsigned access);

#endif
