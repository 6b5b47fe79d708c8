/* SPDX-License-Identifier: MIT */
/*
 * What the points' guest sets up: both devices in one domain, with one first-stage table, and an interrupt
 * remapping table.
 */
#ifndef VTD_TESTS_EMULATOR_TABLES_H
#define VTD_TESTS_EMULATOR_TABLES_H

#include "tests/emulator/machine.h"

/* Guest-physical pages, and where the table has two of them. */
#define PAGE_DATA    UINT64_C(0x400000)
#define PAGE_SINK    UINT64_C(0x401000)
#define PAGE_MESSAGE UINT64_C(0x402000)
#define IOVA_DATA    UINT64_C(0x10000000)
#define IOVA_SINK    UINT64_C(0x20000000)
#define IOVA_MESSAGE UINT64_C(0x30000000)

#define DOMAIN 7u

struct tables {
        struct guest guest;
        uint64_t root;
};

/* Queue, tables, and translation on. */
void tables_init(struct tables *tables, struct vmm *vmm);

/* The entry of one page is changed, and invalidated. */
void tables_map(struct tables *tables, uint64_t iova, uint64_t gpa);
void tables_unmap(struct tables *tables, uint64_t iova);

/* Interrupt remapping on, with an empty table; without requests in compatibility format. */
void tables_remap_interrupts(struct tables *tables);

/* Interrupt entry @index: @vector to APIC 0, from requests of @source only.  It is invalidated. */
void tables_set_interrupt(struct tables *tables, unsigned index, unsigned vector, uint16_t source);

/* The address of a message for that entry; its data are 0. */
uint64_t tables_message(unsigned index);

#endif
