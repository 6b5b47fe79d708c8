/* SPDX-License-Identifier: MIT */
/*
 * A host in memory with the object rules of iommufd, for testing what the worker does with it.
 *
 * It keeps every call in order, can make the n-th call fail, and notes the first thing done that
 * host.h forbids.  A device descriptor is a file that holds the device's number (fake-supervisor.h
 * makes them).  After a failed attach an attachment is in limbo until it is detached.
 */
#ifndef VTD_TESTS_FAKE_HOST_H
#define VTD_TESTS_FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/control/control.h"
#include "broker/host.h"

#define FAKE_OBJECTS     512u
#define FAKE_AREAS       512u
#define FAKE_ATTACHMENTS 512u
#define FAKE_CALLS       8192u
#define FAKE_DEVICES     16u
#define FAKE_RANGES      20u

/* Values of fake_call.op beside enum vtd_audit_host_call. */
#define FAKE_REGION_READ  100u
#define FAKE_REGION_WRITE 101u
#define FAKE_CONFIG_READ  102u
#define FAKE_CONFIG_WRITE 103u

#define FAKE_CONFIG_SIZE 4096u
#define FAKE_VECTORS     8u

enum fake_kind {
        FAKE_FREE = 0,
        FAKE_DEVICE,
        FAKE_IOAS,
        FAKE_SECOND_STAGE,
        FAKE_FIRST_STAGE,
};

/* What a device is like; set by the test before it is plugged. */
struct fake_device_config {
        struct vtd_host_device_info info;
        size_t n_usable;
        struct vtd_address_range usable[FAKE_RANGES];
        uint8_t config[FAKE_CONFIG_SIZE]; /* what reads give; writes change it at once */
};

struct fake_object {
        enum fake_kind kind;
        uint32_t number; /* DEVICE: which */
        bool bus_master; /* DEVICE */
        bool released;   /* DEVICE: the worker's descriptor is closed, the last one is not */
        enum vtd_interrupt_kind kind_armed; /* DEVICE; 0: no vector is armed */
        bool armed[FAKE_VECTORS];           /* DEVICE */
        uint32_t parent; /* IOAS of a second stage, second stage of a first stage */
        bool pasid_compatible;
        struct vtd_host_first_stage config;
};

struct fake_area {
        bool used;
        uint32_t ioas;
        uint64_t iova, length, offset;
};

struct fake_attachment {
        bool used;
        bool limbo; /* an attach failed; hwpt is what was attached before, or 0 */
        uint32_t device, pasid, hwpt;
};

struct fake_call {
        uint32_t op; /* enum vtd_audit_host_call, FAKE_REGION_*, FAKE_CONFIG_* */
        int result;
        uint64_t a, b, c; /* ids and numbers in the order of host.h, see fake-host.c */
};

struct fake_host {
        struct vtd_host host;
        struct fake_device_config devices[FAKE_DEVICES];
        struct fake_object objects[FAKE_OBJECTS]; /* by id; 0 is none */
        struct fake_area areas[FAKE_AREAS];
        struct fake_attachment attachments[FAKE_ATTACHMENTS];

        size_t n_calls;
        struct fake_call calls[FAKE_CALLS];
        const char *misuse; /* first thing done that host.h forbids, or NULL */

        size_t fail_after; /* calls that still succeed; SIZE_MAX: no failure to come */
        size_t fail_count; /* then so many fail */
        uint32_t fail_op;  /* only calls of this operation are counted and fail; 0: all */
        int fail_result;
        size_t fail_done;   /* entries that a failing invalidate does */
        uint32_t failed_op; /* of the last call made to fail; 0: none was */

        size_t invalidated; /* entries of the last invalidate */
        struct vtd_invalidate_entry last_entries[VTD_LIMIT_INVALIDATE_ENTRIES];
        uint64_t region_value;
        uint32_t reset_of;  /* id of the device that was reset last */
        unsigned step_work; /* step() says so often that there is more */
        bool *freed;        /* set by free() when not NULL */
};

struct fake_host *fake_host_new(void);

/* Makes @count calls fail with @result after @after more have succeeded. */
void fake_host_fail(struct fake_host *host, size_t after, size_t count, int result);

/* Writes a double word of the configuration space of device number @number. */
void fake_host_set_config(struct fake_host *host, uint32_t number, uint32_t offset, uint32_t value);

/* The last descriptor of device number @number is closed: everything of it is detached. */
void fake_host_last_close(struct fake_host *host, uint32_t number);

size_t fake_host_count(const struct fake_host *host, enum fake_kind kind);
size_t fake_host_attachments(const struct fake_host *host);
size_t fake_host_limbo(const struct fake_host *host);
uint64_t fake_host_mapped(const struct fake_host *host);

/* The HWPT that @pasid of the device @id is attached to; 0: blocked. */
uint32_t fake_host_attached(const struct fake_host *host, uint32_t id, uint32_t pasid);

/* True when nothing at all is left: no object, area or attachment. */
bool fake_host_empty(const struct fake_host *host);

#endif
