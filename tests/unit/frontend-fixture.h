/* SPDX-License-Identifier: MIT */
/*
 * A unit with a small guest around it: memory, interrupts, and a driver's way of building tables
 * and queueing descriptors.  Every device has a PASID directory and table of its own.
 */
#ifndef VTD_TESTS_FRONTEND_FIXTURE_H
#define VTD_TESTS_FRONTEND_FIXTURE_H

#include "tests/unit/unit.h"

#include "frontend/frontend-internal.h"
#include "tests/unit/fake-backend.h"

#define GUEST_MEMORY 0x400000u

/* Where the fixture's guest keeps things. */
#define ROOT_TABLE    0x10000u
#define CONTEXT_LOWER 0x11000u
#define CONTEXT_UPPER 0x12000u
#define QUEUE         0x20000u
#define STATUS        0x30000u
#define TABLE_A       0x40000u
#define TABLE_B       0x41000u

#define RID_A 0x0008u
#define RID_B 0x0090u /* in the upper half of its bus */

#define BUDGET 4096u
#define PASIDS 64u /* that the broker allows at once */

/* Descriptors (first word, second word) as Linux writes them. */
#define CC_GLOBAL              UINT64_C(0x11), 0
#define CC_DEVICE(sid, fm)     (UINT64_C(0x31) | (uint64_t)(sid) << 32 | (uint64_t)(fm) << 48), 0
#define PC_GLOBAL              UINT64_C(0x37), 0
#define PC_DOMAIN(did)         (UINT64_C(0x07) | (uint64_t)(did) << 16), 0
#define PC_PASID(did, pasid)   (UINT64_C(0x17) | (uint64_t)(did) << 16 | (uint64_t)(pasid) << 32), 0
#define IOTLB_GLOBAL           UINT64_C(0x12), 0
#define IOTLB_DOMAIN(did)      (UINT64_C(0x22) | (uint64_t)(did) << 16), 0
#define IOTLB_PAGE(did, rest)  (UINT64_C(0x32) | (uint64_t)(did) << 16), (rest)
#define PIOTLB_ALL(did, pasid) (UINT64_C(0x26) | (uint64_t)(did) << 16 | (uint64_t)(pasid) << 32), 0
#define PIOTLB_PAGE(did, pasid, rest)                                                              \
        (UINT64_C(0x36) | (uint64_t)(did) << 16 | (uint64_t)(pasid) << 32), (rest)
#define LEAF               UINT64_C(0x40)
#define WAIT_STATUS(value) (UINT64_C(0x25) | (uint64_t)(value) << 32), STATUS

struct guest {
        uint8_t memory[GUEST_MEMORY];
        unsigned messages;
        uint64_t message_address;
        uint32_t message_data;
        unsigned lost;
        unsigned lines;
        uint64_t reads;
        unsigned exchanges; /* that were tried */
        bool no_exchange;   /* none succeeds */
        /* What happens in the instant after a read of memory at @gpa; may be NULL. */
        void (*after_read)(struct guest *guest, uint64_t gpa);
        void *hook;      /* for that */
        uint32_t pasids; /* that the broker says it allows, from guest_configure() on */

        struct vtd_frontend *unit;
        struct fake_backend *broker;
        uint32_t command; /* sticky GCMD bits in force */
        uint32_t tail;
};

/* cmocka set-up and tear-down: *state is a struct guest, connected, with nothing plugged. */
int guest_setup(void **state);
int guest_teardown(void **state);

/* A unit of another configuration for the guest; the one of guest_setup() is freed. */
void guest_configure(struct guest *guest, const struct vtd_frontend_config *config, uint32_t modes);

void guest_put64(struct guest *guest, uint64_t gpa, uint64_t value);
uint64_t guest_get64(const struct guest *guest, uint64_t gpa);
uint32_t guest_get32(const struct guest *guest, uint64_t gpa);

uint32_t read32(struct guest *guest, unsigned offset);
uint64_t read64(struct guest *guest, unsigned offset);
void write32(struct guest *guest, unsigned offset, uint32_t value);
void write64(struct guest *guest, unsigned offset, uint64_t value);

/* Runs to the end; the outcome must be @expected. */
void run_until(struct guest *guest, int expected);

/* GCMD with the sticky bits of the last one, and @set or without @clear. */
void command(struct guest *guest, uint32_t set, uint32_t clear);

/* Addresses of the PASID directory and the PASID table of @rid. */
uint64_t directory_of(unsigned rid);
uint64_t entry_of(unsigned rid, unsigned pasid);

/* Fills root and context entry of @rid (PDTS 0) and its directory's first entry. */
void put_context(struct guest *guest, unsigned rid, unsigned rid_pasid);

/* A PASID-table entry: type @pgtt (0: all zero), domain @did, first-stage root @root. */
void put_entry(struct guest *guest, unsigned rid, unsigned pgtt, unsigned did, uint64_t root);

/* A unit with 20 bits of PASID, whose broker allows @pasids at once. */
void configure_pasids(struct guest *guest, uint32_t pasids);

/* The context entry of @rid with PASIDE and PDTS @size_code; and @directory's first entry. */
void put_pasid_context(struct guest *guest, unsigned rid, unsigned size_code, uint64_t directory);

/* As put_entry(), for @pasid below 0x1000 of a device with directory_of(@rid). */
void put_pasid(struct guest *guest, unsigned rid, unsigned pasid, unsigned pgtt, unsigned did,
               uint64_t root);
uint64_t pasid_entry_of(unsigned rid, unsigned pasid);

/* Plugs, fills the context entry, and lets it settle. */
void plug(struct guest *guest, unsigned rid);

/* RTADDR and SRTP, queue of 128 256-bit descriptors, then TE; all settled afterwards. */
void enable_queue(struct guest *guest);
void enable_translation(struct guest *guest);

/* Puts one 256-bit descriptor into the queue; kick() moves the tail there. */
void queue_descriptor(struct guest *guest, uint64_t first, uint64_t second);
void kick(struct guest *guest);

/* The two above and a run to IDLE. */
void invalidate(struct guest *guest, uint64_t first, uint64_t second);

enum vtd_frontend_binding binding_of(struct guest *guest, unsigned rid);
enum vtd_frontend_binding pasid_binding_of(struct guest *guest, unsigned rid, unsigned pasid);

/* The reason in fault record 0, which must be valid and of @rid. */
unsigned fault_reason(struct guest *guest, unsigned rid);

/* The same, of @pasid; 0: without PASID. */
unsigned pasid_fault_reason(struct guest *guest, unsigned rid, unsigned pasid);

/* Clears all fault records and FSTS as a driver does. */
void clear_faults(struct guest *guest);

#endif
