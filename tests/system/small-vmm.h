/* SPDX-License-Identifier: MIT */
/*
 * A VMM in the test's own process, with what a VMM links: memory of a guest that leaves its virtual
 * IOMMU off, so that devices see guest-physical addresses, and one device of a real vtd-brokerd.
 * Prints TAP points.
 */
#ifndef VTD_TESTS_SMALL_VMM_H
#define VTD_TESTS_SMALL_VMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend/include/vtd/device.h"
#include "tests/system/broker-run.h"

#define SMALL_MEMORY (UINT64_C(4) << 20)
#define SMALL_RID    0x0018u

struct small_vmm {
        struct broker_run broker;
        struct vtd_frontend *frontend;
        uint8_t *memory;
        int memfd;
        unsigned points;
        unsigned failures;
};

/*
 * Starts vtd-brokerd of @build for the @host, with one tenant: @vm are lines of [vm], @device is the
 * section of the device "device".  Plugs that, maps the memory at 0, and lets it attach.
 * False, with what happened printed, when one of them fails.
 */
bool small_vmm_start(struct small_vmm *vmm, const char *build, const char *host, const char *vm,
                     const char *device);
/* Returns the exit status of the test. */
int small_vmm_stop(struct small_vmm *vmm);

/* Plugs the device, and maps the memory if @map. */
bool small_vmm_plug(struct small_vmm *vmm, bool map);

/* One point. */
void small_vmm_is(struct small_vmm *vmm, bool good, const char *what);

/* True when the last call was refused, for @reason. */
bool small_vmm_refused(const struct small_vmm *vmm, int result, const char *reason);

/* Registers of BAR 0 and of configuration space; what fails ends the test. */
uint64_t small_vmm_read(struct small_vmm *vmm, uint64_t offset, unsigned width);
void small_vmm_write(struct small_vmm *vmm, uint64_t offset, unsigned width, uint64_t value);
uint32_t small_vmm_config(struct small_vmm *vmm, unsigned offset, unsigned width);

/* Bit n of each: a standard, an extended capability of id n is in the list. */
void small_vmm_capabilities(struct small_vmm *vmm, uint64_t *standard, uint64_t *extended);
/* Where the standard capability of @id is, or 0. */
unsigned small_vmm_find_capability(struct small_vmm *vmm, unsigned id);

/* Waits until @eventfd is signalled, at most @timeout_ms; how often it was, or 0. */
uint64_t small_vmm_wait(int eventfd, int timeout_ms);

#endif
