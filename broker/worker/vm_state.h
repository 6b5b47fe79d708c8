/* SPDX-License-Identifier: MIT */
/*
 * What a VM consists of, for dispatch and the handlers only (everybody else sees vm.h).
 *
 * The records below are the worker's books.  They say at every moment what the host holds: a record
 * is written before its host call can leave something behind and cleared only after the call that
 * removes it has succeeded.  So a failed removal stays known, charged, and is tried again.
 */
#ifndef VTD_BROKER_WORKER_VM_STATE_H
#define VTD_BROKER_WORKER_VM_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/worker/config_space.h"
#include "broker/worker/handles.h"
#include "broker/worker/host_audit.h"
#include "broker/worker/quota.h"
#include "broker/worker/rate.h"
#include "broker/worker/vm.h"
#include "protos/codec.h"

/* Host ids are positive 31-bit numbers, so this is none of them. */
#define VTD_NO_ID UINT32_MAX

/* No index into a pool. */
#define VTD_NO_INDEX SIZE_MAX

enum vtd_vm_phase {
        VTD_VM_NEW = 0x1,   /* before Hello */
        VTD_VM_OPEN = 0x2,  /* after it */
        VTD_VM_ENDED = 0x4, /* after vtd_vm_end() */
};

/*
 * A device.  Its slot is taken before the first step of plugging; `ready` is set after the last one
 * and cleared first when it goes, so a handle finds complete devices only.
 */
struct vtd_device {
        bool ready;
        bool opened;            /* the supervisor gave it out and waits for CLOSE_DEVICE */
        bool bound;             /* id is valid */
        bool probing;           /* attached to the scratch address space */
        bool bus_master;        /* on */
        bool bus_master_wished; /* by the client: it is on while something is attached */
        uint32_t index;         /* in policy.devices */
        uint32_t id;            /* the host's */
        uint32_t pasid_bits;    /* what policy and hardware allow together; 0: none */
        size_t second_stage;    /* in second_stages, or VTD_NO_INDEX */
        uint64_t address_limit; /* first guest-physical address its second stage cannot hold */
        struct vtd_host_device_info info;
        uint32_t vectors; /* charged to the interrupts that are armed; 0: none is */
        enum vtd_interrupt_kind vectors_kind;
        size_t n_reserved;
        struct vtd_address_range reserved[VTD_LIMIT_RESERVED_RANGES];
};

/*
 * Guest memory [start, end) that the host maps, a whole number of chunks of what was asked.  When
 * empty, the host maps nothing of it: the addresses are only taken.
 */
struct vtd_mapping {
        uint64_t start;
        uint64_t end;
        bool empty;
};

/* What decides whether a device can use a second-stage table made for another. */
struct vtd_second_stage_key {
        uint64_t cap;
        uint64_t ecap;
};

struct vtd_second_stage {
        uint32_t hwpt; /* VTD_NO_ID: slot is free */
        struct vtd_second_stage_key key;
        bool pasid_compatible;
        size_t devices; /* that use it; 0: to be destroyed */
};

struct vtd_table {
        uint32_t hwpt;
        size_t second_stage;
        struct vtd_host_first_stage config;
        size_t attachments; /* 0: to be destroyed */
};

/* A device or PASID that is not blocked.  What has no record is blocked. */
struct vtd_attachment {
        bool used;
        size_t device;
        uint32_t pasid;
        size_t table; /* VTD_NO_INDEX: pass-through */
};

struct vtd_vm {
        const struct vtd_policy *policy;
        enum vtd_host_kind host_kind;
        enum vtd_audit_level audit_level;
        struct vtd_supervisor *supervisor;
        struct vtd_log *log;
        struct vtd_host *host; /* &host_audit.host */
        struct vtd_host_audit host_audit;

        enum vtd_vm_phase phase;
        uint32_t minor; /* version that was agreed on */
        struct vtd_quota quota;
        struct vtd_rate rate;        /* of invalidations */
        struct vtd_rate device_rate; /* of vectors armed and resets */
        struct vtd_stats stats;      /* the counters; quantities are filled in by GetStats */

        struct vtd_handles device_handles;
        struct vtd_handles mapping_handles;
        struct vtd_handles table_handles;
        struct vtd_device *devices; /* by index of device_handles, and so on */
        struct vtd_config_space
                *config_spaces; /* the same; empty where policy grants nothing of it */
        struct vtd_mapping *mappings;
        struct vtd_table *tables;
        struct vtd_attachment *attachments;
        size_t n_attachments; /* slots */
        struct vtd_second_stage second_stages[VTD_LIMIT_DEVICES];

        uint32_t ioas; /* from the first plug to the end */
        uint32_t scratch_ioas;
        uint32_t scratch_hwpt;

        struct vtd_codec codec;
};

#endif
