/* SPDX-License-Identifier: MIT */
/*
 * A machine as published test suites of virtual VT-d units lay it out: 512 MiB of memory, a unit, a
 * driver that programs it, and an emulated device, PCI function 00:04.0, that reads and writes memory
 * through it.  Knows the unit by its public headers and its registers only.
 */
#ifndef VTD_TESTS_CONFORMANCE_MACHINE_H
#define VTD_TESTS_CONFORMANCE_MACHINE_H

#include "tests/unit/unit.h"

#include <vtd/dma.h>
#include <vtd/frontend.h>

#define BIT(n)           (UINT64_C(1) << (n))
#define ARRAY_SIZE(list) (sizeof(list) / sizeof((list)[0]))

#define MEMORY_SIZE UINT64_C(0x20000000)
#define RID         0x20u
#define OTHER_RID   0x28u /* a second function, 00:05.0, with the same tables */

/* Registers. */
#define REG_VER     0x00u
#define REG_CAP     0x08u
#define REG_ECAP    0x10u
#define REG_GCMD    0x18u
#define REG_GSTS    0x1cu
#define REG_RTADDR  0x20u
#define REG_CCMD    0x28u
#define REG_FSTS    0x34u
#define REG_FECTL   0x38u
#define REG_FEDATA  0x3cu
#define REG_FEADDR  0x40u
#define REG_FEUADDR 0x44u
#define REG_IQH     0x80u
#define REG_IQT     0x88u
#define REG_IQA     0x90u
#define REG_ICS     0x9cu
#define REG_IECTL   0xa0u
#define REG_IQERCD  0xb0u

#define TE   UINT32_C(0x80000000) /* GCMD and GSTS */
#define SRTP UINT32_C(0x40000000)
#define QIE  UINT32_C(0x04000000)

#define FSTS_PFO UINT32_C(0x1)
#define FSTS_PPF UINT32_C(0x2)
#define FSTS_IQE UINT32_C(0x10)

/* Where things are in memory, and which entries the tests' address finds its way through. */
#define ROOT_TABLE    UINT64_C(0x10000000)
#define CONTEXT_TABLE UINT64_C(0x10001000)
#define CONTEXT       (CONTEXT_TABLE + RID * 32)
#define LEVEL_4       UINT64_C(0x10010000)
#define LEVEL_3       UINT64_C(0x10011000)
#define LEVEL_2       (UINT64_C(0x10012000) + 0x81 * 8)
#define LEVEL_1       UINT64_C(0x10013000)
#define QUEUE         UINT64_C(0x10020000)
#define STATUS        UINT64_C(0x10028000)
#define DIRECTORY     UINT64_C(0x10030000)
#define PASID_TABLE   UINT64_C(0x10031000)
#define PASID_ENTRY   PASID_TABLE
#define TARGET        UINT64_C(0x10100000) /* of the page that is translated, ... */
#define OTHER_TARGET  UINT64_C(0x10101000) /* ... and where it goes later */
#define ADDRESS       UINT64_C(0x10200567) /* in the page of LEVEL_1's first entry */
#define NEXT_PAGE     (ADDRESS + 0x1000)   /* its neighbour, at ... */
#define NEXT_TARGET   UINT64_C(0x10102000)

#define DOMAIN 7u

/* Bits of entries. */
#define FS_TABLE UINT64_C(0x27) /* P, R/W, U/S, A */
#define FS_PAGE  UINT64_C(0x67) /* ... and D */
#define SS_ENTRY UINT64_C(0x3)  /* R, W */

#define FIRST_STAGE  1u /* PGTT */
#define SECOND_STAGE 2u
#define NESTED       3u
#define PASS_THROUGH 4u

/* Descriptors of 256 bits, their first two words. */
#define CC_GLOBAL              UINT64_C(0x11), 0
#define CC_DEVICE(rid)         (UINT64_C(0x31) | (uint64_t)(rid) << 32), 0
#define PC_GLOBAL              UINT64_C(0x37), 0
#define PC_PASID(did, pasid)   (UINT64_C(0x17) | (uint64_t)(did) << 16 | (uint64_t)(pasid) << 32), 0
#define IOTLB_GLOBAL           UINT64_C(0x12), 0
#define IOTLB_DOMAIN(did)      (UINT64_C(0x22) | (uint64_t)(did) << 16), 0
#define IOTLB_PAGE(did, page)  (UINT64_C(0x32) | (uint64_t)(did) << 16), (page)
#define PIOTLB_ALL(did, pasid) (UINT64_C(0x26) | (uint64_t)(did) << 16 | (uint64_t)(pasid) << 32), 0
#define PIOTLB_PAGE(did, pasid, page)                                                              \
        (UINT64_C(0x36) | (uint64_t)(did) << 16 | (uint64_t)(pasid) << 32), (page)
#define WAIT(value) (UINT64_C(0x25) | (uint64_t)(value) << 32), STATUS

struct machine {
        const void *parameter; /* what the test was registered with */
        uint8_t *memory;
        struct vtd_frontend *unit;
        unsigned messages;
        uint64_t message_address;
        uint32_t message_data;
        uint32_t command; /* what GCMD was last written with, as the driver keeps it */
        uint32_t tail;
        uint32_t waits;
        uint16_t rid;    /* of the device's requests: RID, unless a test changes it */
        bool with_pasid; /* and then: */
        uint32_t pasid;
        bool privileged;
};

/* A unit with both stages, 39 and 48 bits wide, PASIDs, no caching mode, one fault record. */
struct vtd_frontend_config machine_config(void);

/* cmocka set-up, of that unit, and tear-down: *state is a struct machine whose tables are empty. */
int machine_setup(void **state);
int machine_teardown(void **state);

/* Another unit in the place of that one. */
void machine_configure(struct machine *m, const struct vtd_frontend_config *config);

void put64(struct machine *m, uint64_t gpa, uint64_t value);
uint64_t get64(const struct machine *m, uint64_t gpa);

uint32_t reg32(struct machine *m, unsigned offset);
uint64_t reg64(struct machine *m, unsigned offset);
void set32(struct machine *m, unsigned offset, uint32_t value);
void set64(struct machine *m, unsigned offset, uint64_t value);

/* Lets the unit work until it is idle. */
void settle(struct machine *m);

/* Writes GCMD with all bits so far and @bit, or without @bit, and lets the unit work. */
void command(struct machine *m, uint32_t bit);
void command_off(struct machine *m, uint32_t bit);

/*
 * Root, context, directory and PASID-table entry of @type, with four-level tables below that take
 * ADDRESS to TARGET and NEXT_PAGE to NEXT_TARGET; nested ones through a second stage whose one 1 GiB
 * page leaves addresses as they are.
 */
void put_tables(struct machine *m, unsigned type);
/* The same with both pages elsewhere. */
void put_pages(struct machine *m, unsigned type, uint64_t target, uint64_t next_target);

/* RTADDR, SRTP; a queue of 128 descriptors, QIE; the fault event unmasked; TE: each seen in GSTS. */
void enable(struct machine *m);

/* Queues one descriptor, or one and a wait with status, which must be written. */
void queue_only(struct machine *m, uint64_t first, uint64_t second);
void invalidate(struct machine *m, uint64_t first, uint64_t second);

/* The device's accesses.  They return 0, VTD_FRONTEND_FAULTED or VTD_FRONTEND_INTERRUPT. */
int device_write(struct machine *m, uint64_t address, const void *data, size_t size);
int device_read(struct machine *m, uint64_t address, void *data, size_t size);

/* Where a write of a new four-byte pattern at @address lands; 0 when it faults. */
uint64_t lands_at(struct machine *m, uint64_t address);

/* Where the fault record is, and the reason in it, of the device; 0 when there is none. */
unsigned record_offset(struct machine *m);
unsigned fault_reason(struct machine *m);
void clear_fault(struct machine *m);

#endif
