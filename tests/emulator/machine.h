/* SPDX-License-Identifier: MIT */
/*
 * A machine for tests: vtd-brokerd on the simulated host, and as the VMM's user this project's QEMU with
 * the virtual IOMMU, one device of the broker, and emulated functions beside it.  No CPU runs: the test
 * makes each access, over qtest, as the guest would.
 *
 * struct vmm of tests/vmm/vmm.h is such a machine here, so that the guest of tests/vmm/guest.h drives it.
 * What cannot be set up, and a QEMU that does not follow, end the program with "Bail out!".
 */
#ifndef VTD_TESTS_MACHINE_H
#define VTD_TESTS_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/qtest/qtest.h"
#include "tests/system/broker-run.h"
#include "tests/vmm/guest.h"

/* PCI functions: requester ids. */
#define RID_BROKER UINT16_C(0x0020) /* 04.0: the device of the broker */
#define RID_EDU    UINT16_C(0x0028) /* 05.0: QEMU's own edu, with an option ROM of 512 bytes */
#define RID_NVME   UINT16_C(0x0038) /* 07.0: an emulated function with MSI-X */
#define RID_DISK   UINT16_C(0x0040) /* 08.0: virtio, in a thread of its own */
#define RID_BRIDGE UINT16_C(0x0048) /* 09.0: a root port */

#define BAR_BROKER UINT64_C(0xd0000000)
#define BAR_EDU    UINT64_C(0xd0100000)
#define BAR_NVME   UINT64_C(0xd0200000)
#define BAR_DISK   UINT64_C(0xd0300000)
#define ECAM       UINT64_C(0xb0000000)
#define REGISTERS  UINT64_C(0xfed90000)

/* Registers of PCI configuration space. */
enum {
        PCI_ID = 0x00,
        PCI_COMMAND = 0x04,
        PCI_STATUS = 0x06,
        PCI_BAR0 = 0x10,
        PCI_ROM = 0x30,
        PCI_CAPABILITIES = 0x34,
};

#define PCI_COMMAND_MEMORY 0x2u
#define PCI_COMMAND_MASTER 0x4u

/* Tenants: blue has everything, slow little of the host's time, mute no configuration space. */
#define TENANT_BLUE "blue"
#define TENANT_SLOW "slow"
#define TENANT_MUTE "mute"

void machine_bail_out(const char *what) __attribute__((noreturn));

/* @run is started, for VMMs that may have 4 GiB. */
void machine_broker_start(struct broker_run *run, const char *build);

/* Returns when no worker of an earlier machine is left, which may still hold the device. */
void machine_wait_alone(struct broker_run *run);

/* How QEMU is run; @arguments stay the caller's. */
struct qtest_config machine_config(const char *const *arguments);

struct machine_options {
        const char *tenant; /* NULL: blue */
        const char *memory; /* NULL: 64M */
        bool disk;          /* with the function 08.0 */
        bool bridge;        /* with the device of the broker below 09.0, instead of at 04.0 */
        bool tcg;           /* with CPUs that QEMU emulates, which do not run */
};

/* The functions have their BARs, and memory decoding; bus mastering is off. */
struct vmm *machine_new(struct broker_run *run, const struct machine_options *options);
struct vmm *machine_free(struct vmm *vmm);
/* BARs, decoding and ECAM, as firmware sets them up after each reset. */
void machine_set_up(struct vmm *vmm);

struct qtest *machine_qtest(struct vmm *vmm);
/* False when QEMU has ended. */
bool machine_lives(struct vmm *vmm);

/* Configuration space through the ports, @width 1, 2 or 4; offset & 3 goes to the data port. */
uint32_t machine_config_read(struct vmm *vmm, uint16_t rid, unsigned offset, unsigned width);
void machine_config_write(struct vmm *vmm, uint16_t rid, unsigned offset, unsigned width,
                          uint32_t value);
/* The offset of the first capability of that kind; 0: none. */
unsigned machine_capability(struct vmm *vmm, uint16_t rid, unsigned id);
void machine_set_master(struct vmm *vmm, uint16_t rid, bool on);

/* Any physical address, as a CPU would; @width 1, 2, 4 or 8. */
uint64_t machine_read(struct vmm *vmm, uint64_t address, unsigned width);
void machine_write(struct vmm *vmm, uint64_t address, unsigned width, uint64_t value);

/* A counter of the virtual IOMMU; bails out if QEMU has none of that name. */
uint64_t machine_counter(struct vmm *vmm, const char *name);

/* True when the local APIC of the CPU has @vector requested, at the latest after 300 ms. */
bool machine_interrupted(struct vmm *vmm, unsigned vector);

/* Resets the machine, and waits until that is done. */
void machine_reset(struct vmm *vmm);

/* Waits, at most 10 seconds, until the 32 bits at @gpa are @value. */
bool machine_becomes(struct vmm *vmm, uint64_t gpa, uint32_t value);

#endif
