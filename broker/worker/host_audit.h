/* SPDX-License-Identifier: MIT */
/*
 * A host in front of the host: passes every call on, counts it, reports unexpected results to the
 * log (the back ends have none), and at audit level HOST_CALLS sends one audit record per control
 * call.  Accesses to BARs and configuration space are counted only: they are data.
 *
 * Audit fields of a host call (`result` is what it returned, `nanoseconds` how long it took):
 *
 *   call                subject     detail[0]        detail[1]         detail[2]
 *   BIND                device id   -                -                 -
 *   DEVICE_INFO         device id   cap              ecap              PASID bits
 *   BUS_MASTER          device id   1 on, 0 off      -                 -
 *   RELEASE             device id   -                -                 -
 *   IOAS_ALLOC          ioas id     -                -                 -
 *   IOAS_RANGES         ioas id     number of ranges -                 -
 *   MAP_FILE            ioas id     iova             length            offset in the file
 *   UNMAP               ioas id     iova             length            -
 *   SECOND_STAGE_ALLOC  hwpt id     device id        ioas id           1 PASID compatible
 *   FIRST_STAGE_ALLOC   hwpt id     parent hwpt id   root              width | flags << 32
 *   DESTROY             object id   -                -                 -
 *   ATTACH              device id   PASID (0: none)  hwpt id           -
 *   DETACH              device id   PASID (0: none)  -                 -
 *   INVALIDATE          hwpt id     entries asked    entries done      1 whole table
 *   SET_INTERRUPT       device id   1 MSI, 2 MSI-X   vector            -
 *   CLEAR_INTERRUPTS    device id   1 MSI, 2 MSI-X   -                 -
 *   RESET               device id   -                -                 -
 *
 * Ids that a failed call did not make are 0.
 */
#ifndef VTD_BROKER_WORKER_HOST_AUDIT_H
#define VTD_BROKER_WORKER_HOST_AUDIT_H

#include <stdint.h>

#include "broker/control/control.h"
#include "broker/host.h"
#include "broker/worker/supervisor.h"
#include "shared/log.h"

struct vtd_host_audit {
        struct vtd_host host;  /* what the rest of the worker calls */
        struct vtd_host *real; /* owned */
        struct vtd_supervisor *supervisor;
        struct vtd_log *log;
        enum vtd_audit_level level;
        uint32_t sequence; /* of the request being served; set by dispatch */
        uint64_t calls;
};

/* Takes over @real; the other pointers are borrowed.  host.ops->free() frees @real only. */
void vtd_host_audit_init(struct vtd_host_audit *audit, struct vtd_host *real,
                         struct vtd_supervisor *supervisor, struct vtd_log *log,
                         enum vtd_audit_level level);

#endif
