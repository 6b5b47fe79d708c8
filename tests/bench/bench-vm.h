/* SPDX-License-Identifier: MIT */
/* A VM that is measured: its guest memory, its device, and where its processes run. */
#ifndef VTD_TESTS_BENCH_VM_H
#define VTD_TESTS_BENCH_VM_H

#include <stdint.h>
#include <sys/types.h>

#include "tests/system/raw-client.h"

#define GUEST_MEMORY (UINT64_C(4) << 20)

/*
 * Plugs "edu0", maps guest memory at 0, and attaches a first-stage table.  Returns 0 with the table's
 * handle and the memfd, which the caller closes; or -1 (reported).
 */
int bench_vm_begin(struct raw_client *client, uint64_t *table, int *memory);

/* Sends @request (with @fd unless -1); 0 if it is granted, else -1. */
int bench_vm_call(struct raw_client *client, struct vtd_request *request, int fd,
                  struct vtd_reply *reply);

/* Puts process @pid (0: this one) on one processor.  Returns 0 or -1 (reported). */
int bench_vm_pin(pid_t pid, unsigned processor);

#endif
