/* SPDX-License-Identifier: MIT */
/* MSI of the two edu devices, as a driver sets it up. */
#ifndef VTD_TESTS_EMULATOR_SIGNALS_H
#define VTD_TESTS_EMULATOR_SIGNALS_H

#include "tests/emulator/machine.h"

/* The broker's device: where its message goes, and whether there is one. */
void signals_point(struct vmm *vmm, uint64_t address, uint16_t data);
void signals_enable(struct vmm *vmm, bool on);

/* Has it interrupt, once. */
void signals_raise(struct vmm *vmm);

/* The same, all at once, for QEMU's edu. */
void signals_emulated(struct vmm *vmm, uint64_t address, uint16_t data);

/* True if the word at PAGE_MESSAGE, or the one behind it, becomes @data within 300 ms. */
bool signals_arrive(struct vmm *vmm, uint32_t data);

/* Waits, at most a second, for a fault, and takes it. */
bool signals_fault(struct guest *guest, struct guest_fault *fault);

#endif
