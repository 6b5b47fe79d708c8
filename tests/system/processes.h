/* SPDX-License-Identifier: MIT */
/* What /proc says of processes that serve a VM, looked at from outside. */
#ifndef VTD_TESTS_PROCESSES_H
#define VTD_TESTS_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* True when @pid holds an iommufd, VFIO or simulated-device descriptor, or cannot be looked at. */
bool process_holds_host_descriptors(pid_t pid);

/*
 * True when @pid has no capability, no_new_privs, a seccomp filter, namespaces of its own and an
 * empty root; @saw says so in words.
 */
bool process_is_confined(pid_t pid, char *saw, size_t size);

#endif
