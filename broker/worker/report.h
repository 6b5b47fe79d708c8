/* SPDX-License-Identifier: MIT */
/*
 * What a VM consists of, for the administrator's eyes: the books of vm_state.h as a REPORT.  Reads
 * only; may be called at any moment at which the worker waits, also within a request.
 */
#ifndef VTD_BROKER_WORKER_REPORT_H
#define VTD_BROKER_WORKER_REPORT_H

#include <stdint.h>

#include "broker/control/control.h"

/* A reporter (supervisor.h); @opaque is the struct vtd_vm.  @report is zero but for its header. */
void vtd_report_fill(void *opaque, uint32_t first, struct vtd_control_report *report);

#endif
