/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the real host share: one edu device bound through broker/host.h, guest memory
 * behind a nest parent, first-stage tables in that memory, DMA by the device, and checks that report
 * as TAP.  There is no errno handling: a fixture that cannot be set up ends the program.
 */
#ifndef VTD_TESTS_RIG_DEVICE_H
#define VTD_TESTS_RIG_DEVICE_H

#include "broker/host.h"

/* Guest memory: a memfd, mapped at guest-physical address 0 and in this program. */
#define RIG_MEMORY_SIZE (UINT64_C(16) << 20)

/* Guest-physical pages with contents of their own, and the page that the device answers into. */
#define RIG_PAGE_ONE UINT64_C(0x100000)
#define RIG_PAGE_TWO UINT64_C(0x101000)
#define RIG_MAILBOX  UINT64_C(0x102000)
#define RIG_WORD_ONE UINT64_C(0x1111111111111111)
#define RIG_WORD_TWO UINT64_C(0x2222222222222222)

/* Guest-physical roots of two first-stage tables (four pages each), and what they map. */
#define RIG_ROOT_A          UINT64_C(0x10000)
#define RIG_ROOT_B          UINT64_C(0x20000)
#define RIG_VIRTUAL_DATA    UINT64_C(0x40000000)
#define RIG_VIRTUAL_MAILBOX UINT64_C(0x40001000)

/* What rig_observe() answers when the device could not even write; nothing else holds this. */
#define RIG_BLOCKED UINT64_C(0xb10cedb10cedb10c)

struct rig {
        struct vtd_host *host;
        const struct vtd_host_ops *ops;
        uint32_t device;
        struct vtd_host_device_info info;
        bool pasids; /* the profile under test has them */
        int memfd;
        uint8_t *memory;
        uint32_t ioas;
        uint32_t second_stage;
        bool failed; /* a check of the running test did */
};

/* Path of the VFIO character device under test. */
#define RIG_CDEV "/dev/vfio/devices/vfio0"

/* Opens @path for reading and writing; ends the program when that fails. */
int rig_open(const char *path);

void rig_init(struct rig *rig, bool pasids);
void rig_deinit(struct rig *rig);

/* Detaches everything the tests attach, restores memory, turns bus mastering on. */
void rig_settle(struct rig *rig);

/* Writes a four-level table at @root: RIG_VIRTUAL_DATA -> @data, RIG_VIRTUAL_MAILBOX -> mailbox. */
void rig_write_table(struct rig *rig, uint64_t root, uint64_t data);

/* Points RIG_VIRTUAL_DATA of the table at @root to @data, without any invalidation. */
void rig_change_entry(struct rig *rig, uint64_t root, uint64_t data);

/* rig_write_table() and a host table over it. */
uint32_t rig_first_stage(struct rig *rig, uint64_t root, uint64_t data);

/*
 * The device reads a word at @address and writes it to @mailbox.  Answers what arrived in the
 * mailbox page: the word; 0 when only the read was blocked; RIG_BLOCKED when both were.
 */
uint64_t rig_observe(struct rig *rig, uint64_t address, uint64_t mailbox);

/* The same through tables of rig_first_stage(), and by guest-physical address. */
uint64_t rig_observe_virtual(struct rig *rig);
uint64_t rig_observe_physical(struct rig *rig, uint64_t address);

/* The following DMA carries @pasid; 0: none. */
void rig_use_pasid(struct rig *rig, uint32_t pasid);

void rig_check(struct rig *rig, const char *file, int line, const char *what, uint64_t actual,
               uint64_t expected);

/* Both sides are compared as 64-bit values, negative errnos included. */
#define RIG_IS(rig, actual, expected)                                                              \
        rig_check(rig, __FILE__, __LINE__, #actual, (uint64_t)(actual), (uint64_t)(expected))

#endif
