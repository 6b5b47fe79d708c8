/* SPDX-License-Identifier: MIT */
/*
 * The host as a worker sees it: a small table of operations over IOMMU objects, with the object
 * rules of iommufd.  host_linux/ implements it with /dev/iommu and VFIO, sim/ simulates it;
 * each is built into a worker program of its own.
 *
 * Ids are the host's own (small integers, reused at once) and never leave the worker.  Everything
 * passed in has been judged already (policy, ranges, alignment, the root inside mapped memory):
 * see broker/worker/tables.c.  All calls are made from one thread.
 *
 * Results: 0; one of the expected outcomes below; a negative errno for anything else.  After any
 * failed attach() the state of that attachment is unknown: the caller must detach() it.
 */
#ifndef VTD_BROKER_HOST_H
#define VTD_BROKER_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protos/message.h"

enum {
        VTD_HOST_E_BUSY = 1, /* in use, or in reset: may succeed later */
        VTD_HOST_E_LIMIT,    /* out of memory, locked-memory limit, domain ids */
        VTD_HOST_E_INVALID,  /* the host judged the values and refused */
        VTD_HOST_E_ABSENT,   /* no such object, or the host lacks the feature */
};

struct vtd_host_device_info {
        bool is_vtd;         /* cap and ecap are a VT-d unit's registers */
        bool can_reset;      /* function reset is available */
        bool erratum_772415; /* no read-only mapping below a nest parent */
        uint8_t pasid_bits;  /* 0: no PASIDs */
        uint64_t cap;
        uint64_t ecap;
        uint64_t region_size[VTD_REGIONS]; /* BARs; 0: absent or not accessible */
        uint32_t config_size;              /* 256 or 4096 */
        uint32_t msi_vectors;              /* that can be armed: 0 or 1 */
        uint32_t msix_vectors;             /* the same, at most VTD_LIMIT_INTERRUPTS */
};

struct vtd_host_first_stage {
        uint64_t root;          /* guest-physical, page aligned */
        uint32_t address_width; /* 48 or 57 */
        uint32_t flags;         /* VTD_FIRST_STAGE_* */
};

struct vtd_host;

struct vtd_host_ops {
        /*
         * Binds the device behind @fd, which the host owns from here on, whatever the result.  The
         * device ends blocked, with memory decoding on and INTx off.  -> *device id.  Outcomes: BUSY (held elsewhere), ABSENT, INVALID.
         */
        int (*bind)(struct vtd_host *host, int fd, uint32_t *device);
        int (*device_info)(struct vtd_host *host, uint32_t device,
                           struct vtd_host_device_info *info);
        /* Turns bus mastering of the function on or off. */
        int (*bus_master)(struct vtd_host *host, uint32_t device, bool on);
        /* Closes this process's descriptor of a device with no attachment; the id is gone. */
        int (*release)(struct vtd_host *host, uint32_t device);

        int (*ioas_alloc)(struct vtd_host *host, uint32_t *ioas);
        /*
         * Usable ranges of an IOAS in ascending order, at most @capacity of them; *@count is how
         * many there are.  Outcome: LIMIT when there are more than @capacity.
         */
        int (*ioas_ranges)(struct vtd_host *host, uint32_t ioas, struct vtd_address_range *ranges,
                           size_t capacity, size_t *count);
        /*
         * Maps @length bytes of the memfd @fd from @offset at @iova, readable and writable; the host
         * keeps a reference of its own.  Outcomes: LIMIT, INVALID.
         */
        int (*map_file)(struct vtd_host *host, uint32_t ioas, int fd, uint64_t offset,
                        uint64_t length, uint64_t iova);
        /* Unmaps exactly one earlier map_file().  On return no device can reach the pages. */
        int (*unmap)(struct vtd_host *host, uint32_t ioas, uint64_t iova, uint64_t length);

        /* Second-stage table over @ioas for @device's IOMMU: a nest parent. */
        int (*second_stage_alloc)(struct vtd_host *host, uint32_t device, uint32_t ioas,
                                  bool pasid_compatible, uint32_t *hwpt);
        /* First-stage (nested) table below @parent. */
        int (*first_stage_alloc)(struct vtd_host *host, uint32_t device, uint32_t parent,
                                 const struct vtd_host_first_stage *config, bool pasid_compatible,
                                 uint32_t *hwpt);
        /* Destroys an IOAS or HWPT.  Outcome: BUSY while something uses it. */
        int (*destroy)(struct vtd_host *host, uint32_t id);

        /* Attaches (or replaces) requests without PASID (VTD_NO_PASID) or with @pasid. */
        int (*attach)(struct vtd_host *host, uint32_t device, uint32_t pasid, uint32_t hwpt);
        /* Blocks them.  Succeeds when nothing is attached. */
        int (*detach)(struct vtd_host *host, uint32_t device, uint32_t pasid);

        /*
         * Drops cached translations of a first-stage table, in order; *@done is how many entries
         * have taken effect, on every return.  address is page aligned and pages is not 0, or the
         * entry is {0, VTD_INVALIDATE_ALL}.
         */
        int (*invalidate)(struct vtd_host *host, uint32_t hwpt,
                          const struct vtd_invalidate_entry *entries, size_t count, size_t *done);

        /* One naturally aligned access of 1, 2, 4 or 8 bytes inside a region that info listed. */
        int (*region_read)(struct vtd_host *host, uint32_t device, uint32_t region, uint64_t offset,
                           uint32_t width, uint64_t *value);
        int (*region_write)(struct vtd_host *host, uint32_t device, uint32_t region,
                            uint64_t offset, uint32_t width, uint64_t value);

        /* One naturally aligned access of 1, 2 or 4 bytes inside config_size, as the host shows it. */
        int (*config_read)(struct vtd_host *host, uint32_t device, uint32_t offset, uint32_t width,
                           uint32_t *value);
        int (*config_write)(struct vtd_host *host, uint32_t device, uint32_t offset, uint32_t width,
                            uint32_t value);

        /*
         * Has interrupts of @vector, below the number that info gave for @kind, signal the eventfd
         * @fd, which stays the caller's; the host keeps a reference of its own.  Vectors of the other
         * kind must not be armed.  After a failure @vector is not armed, others are as before, and if
         * there are none the host has kept nothing.  Outcomes: INVALID: not an eventfd; LIMIT.
         */
        int (*set_interrupt)(struct vtd_host *host, uint32_t device, enum vtd_interrupt_kind kind,
                             uint32_t vector, int fd);
        /* Disarms all vectors of @kind, of which one is armed at least. */
        int (*clear_interrupts)(struct vtd_host *host, uint32_t device,
                                enum vtd_interrupt_kind kind);

        /*
         * Resets the function, if info says that it can be.  Attachments and armed vectors stay;
         * bus mastering is as it was, or off.  Outcome: BUSY.
         */
        int (*reset)(struct vtd_host *host, uint32_t device);

        /*
         * Lets a simulated device do a bounded piece of its work; true while it has more.  NULL for
         * hosts whose devices work by themselves.
         */
        bool (*step)(struct vtd_host *host);

        /* Frees the host and every descriptor it owns; NULL is allowed. */
        struct vtd_host *(*free)(struct vtd_host *host);
};

/* First member of every implementation. */
struct vtd_host {
        const struct vtd_host_ops *ops;
};

/*
 * Each worker program links exactly one definition of these.
 *
 * vtd_host_open() takes over @iommu_fd (/dev/iommu, or -1 for the simulated host).
 */
extern const enum vtd_host_kind vtd_host_built_kind;
int vtd_host_open(struct vtd_host **out, int iommu_fd);

#endif
