/* SPDX-License-Identifier: MIT */
/*
 * What the rows of the stage-1 passthrough series share: one vtd-brokerd, machines (a VMM in this
 * process with its guest, behind a worker of its own), what a device's DMA sees, and what the audit
 * log says of the host calls that were made meanwhile.
 *
 * There is no errno handling: what cannot be set up ends the program with a TAP "Bail out!".
 */
#ifndef VTD_TESTS_SERIES_H
#define VTD_TESTS_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/system/broker-run.h"
#include "tests/vmm/guest.h"
#include "tests/vmm/vmm.h"

/* Devices that a policy of the run grants, named edu0, edu1 and so on: 8 simulated ones, or 2. */
#define SERIES_DEVICES 8u

/* Tenants; the limits of each are in series.c. */
#define SERIES_BLUE   "blue"   /* two VMs, pass-through and first-stage */
#define SERIES_STRICT "strict" /* first-stage only, two tables */
#define SERIES_SKIP   "skip"   /* as blue; memory that cannot be written is skipped */
#define SERIES_PASIDS "pasids" /* as blue; two PASIDs, and simulated devices that have them */

#define BLOCKED     VTD_FRONTEND_BINDING_BLOCKED
#define PASSTHROUGH VTD_FRONTEND_BINDING_PASSTHROUGH
#define FIRST_STAGE VTD_FRONTEND_BINDING_FIRST_STAGE

/* Guest-physical data pages, and the byte that machine_up() fills each with. */
#define PAGE_A     UINT64_C(0x400000) /* 'A' */
#define PAGE_B     UINT64_C(0x401000) /* 'B' */
#define PAGE_C     UINT64_C(0x402000) /* 'C' */
#define PAGE_SINK  UINT64_C(0x404000) /* where a device writes what it has read */
#define LARGE_PAGE UINT64_C(0x600000) /* 2 MiB of 'L' */
#define LARGE_NEXT UINT64_C(0x800000) /* 2 MiB of 'M' */

/* The guest's own addresses in tables of machine_table(). */
#define IOVA_DATA  UINT64_C(0x10000000)
#define IOVA_SINK  UINT64_C(0x20000000)
#define IOVA_LARGE UINT64_C(0x40000000)

/* What machine_reads() answers instead of a byte. */
#define READS_MIXED   (-1)
#define READS_FAILED  (-2)
#define READS_BLOCKED 0xee /* the page that the device should have written kept its contents */

#define FAULT_PASID_ENTRY_INVALID 0x5b
#define FAULT_ROOT_NOT_MAPPED     0x73

#define DOMAIN 7 /* of machine_bound() */

struct series {
        struct broker_run broker;
        struct broker_run_config config;
        bool real;
        size_t n_devices;
        char devices[SERIES_DEVICES][16];
        uint64_t vms; /* connections so far, which is how vtd-brokerd numbers VMs */
        bool point_failed;
};

struct machine {
        struct series *series;
        struct vmm *vmm;
        struct guest guest;
        struct vtd_log log;
        char warnings[1024]; /* lines that the VMM's virtual IOMMU logged */
        uint64_t vm;
        size_t first; /* its audit lines begin here or later */
        size_t mark;  /* audit lines before this one are of earlier steps */
        size_t read;  /* audit lines before this one have been looked through for losses */
        unsigned plugged;
};

/* Where a test can run. */
#define ON_SIMULATED 0x1u
#define ON_LINUX     0x2u
#define ON_BOTH      0x3u

struct series_test {
        const char *title; /* begins with the row; NULL ends an array */
        void (*run)(struct series *series);
        unsigned hosts;
        const char *profile; /* of the rig, NULL: the one with nested translation */
};

extern const struct series_test series_binding_tests[];
extern const struct series_test series_pasid_cache_tests[];
extern const struct series_test series_invalidation_tests[];
extern const struct series_test series_register_tests[];
extern const struct series_test series_plug_tests[];
extern const struct series_test series_sharing_tests[];
extern const struct series_test series_host_tests[];
extern const struct series_test series_memory_tests[];
extern const struct series_test series_pasid_tests[];
extern const struct series_test series_context_cache_tests[];

/* Ends the program. */
__attribute__((noreturn, format(printf, 1, 2))) void series_bail_out(const char *format, ...);

/* Prepares policies for config, devices, and starts vtd-brokerd. */
void series_start(struct series *series);

/* Notes a failed check of the running test. */
void series_check(struct series *series, const char *file, int line, const char *what,
                  int64_t actual, int64_t expected);
#define IS(series, actual, expected)                                                               \
        series_check(series, __FILE__, __LINE__, #actual, (int64_t)(actual), (int64_t)(expected))

uint16_t series_rid(unsigned device);

/* A VMM with 16 MiB that has said Hello.  @config NULL: the default. */
void machine_start(struct series *series, struct machine *machine, const char *tenant,
                   const struct vtd_frontend_config *config);
/* The same with @devices plugged, memory mapped and filled, and everything idle; TE is off. */
void machine_up(struct series *series, struct machine *machine, const char *tenant,
                unsigned devices);
/* Plugs the next device; answers what vtd_frontend_plug() did. */
int machine_plug(struct machine *machine, unsigned device);
void machine_fill(struct machine *machine);
/* Tables for @devices, absent entries; queue, root and translation on. */
void machine_enable(struct machine *machine, unsigned devices);
/* Ends the VMM; returns when its worker has ended and the devices are free. */
void machine_stop(struct machine *machine);
void machine_run(struct machine *machine);

/* Stores and loads words of guest memory. */
void machine_store(struct machine *machine, uint64_t gpa, uint64_t value);
uint64_t machine_load(struct machine *machine, uint64_t gpa);

/* A new four-level table: IOVA_DATA -> @page, IOVA_SINK -> PAGE_SINK, IOVA_LARGE -> LARGE_PAGE. */
uint64_t machine_table(struct machine *machine, uint64_t page);

/*
 * What most rows begin with: machine_up() with one device, translation on, and that device in
 * DOMAIN on machine_table() of PAGE_A, whose root is returned.
 */
uint64_t machine_bound(struct series *series, struct machine *machine, const char *tenant);

/*
 * What @device reads at @address: it writes it to @sink, which must lead to PAGE_SINK.  A byte; 0
 * also stands for a read that was blocked, READS_BLOCKED for a write that was.
 */
int machine_reads(struct machine *machine, unsigned device, uint64_t address, uint64_t sink);
/* The same for a device on machine_table(), and for one that uses guest-physical addresses. */
int machine_reads_table(struct machine *machine, unsigned device);
int machine_reads_physical(struct machine *machine, unsigned device, uint64_t address);
int machine_binding(struct machine *machine, unsigned device);

/* Fault records written so far, and the last one. */
uint64_t machine_faults(struct machine *machine);

/* Text of the last refusal; "" when there was none. */
const char *machine_refusal(struct machine *machine);

/* From here on host calls count as new ones. */
void machine_mark(struct machine *machine);
/* Host calls named @call (NULL: all) since the mark; registers of devices do not count. */
unsigned machine_calls(struct machine *machine, const char *call);
/* Audit line of the last such call, or NULL; valid until the next audit line is read. */
const char *machine_last_call(struct machine *machine, const char *call);
/* First-stage tables that the host holds for this machine, by the audit log. */
unsigned machine_tables(struct machine *machine);
/* True when the audit log has an event of this machine since the mark. */
bool machine_event(struct machine *machine, const char *event);

#endif
