/* SPDX-License-Identifier: MIT */
/*
 * Simulated interrupts: signals of an eventfd, with the promise of the kernel's VFIO that a device
 * never waits for whoever holds the other end.
 *
 * System calls: newfstatat(AT_EMPTY_PATH | AT_STATX_DONT_SYNC), fcntl(F_DUPFD_CLOEXEC, 3), ppoll, write
 * of 8 bytes, close.
 */
#ifndef VTD_BROKER_HOST_SIM_INTERRUPT_H
#define VTD_BROKER_HOST_SIM_INTERRUPT_H

/*
 * -> *@own, a duplicate of @fd that the caller closes.  Outcomes: INVALID: @fd is not an eventfd, or
 * one that cannot count further; LIMIT: no descriptor is left.
 */
int vtd_sim_interrupt_adopt(int fd, int *own);

/* Signals it, unless its counter is full: then a signal is waiting already. */
void vtd_sim_interrupt_signal(int own);

#endif
