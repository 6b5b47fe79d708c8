/* SPDX-License-Identifier: MIT */
/*
 * The objects of one simulated /dev/iommu with the rules of the real one: small ids shared by all
 * kinds, lowest free first; references; what may be destroyed, attached and mapped when; and what
 * the VT-d driver checks only when a table is attached, which is after it has blocked the device.
 *
 * "ABSENT", "BUSY", "INVALID", "LIMIT" below are the VTD_HOST_E_* of broker/host.h.
 */
#ifndef VTD_BROKER_HOST_SIM_OBJECTS_H
#define VTD_BROKER_HOST_SIM_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/host.h"
#include "broker/host_sim/device_file.h"
#include "broker/host_sim/models.h"
#include "broker/host_sim/translate.h"
#include "shared/limits.h"

/* One for guest memory, and one at a time to learn a device's reserved ranges: ample. */
#define VTD_SIM_IOASES 16u

/*
 * Each device may replace its table, which needs the old and the new one for a moment; the second
 * stages need a few.  Twice the first-stage limit covers both.
 */
#define VTD_SIM_HWPTS (2 * VTD_LIMIT_FIRST_STAGE_TABLES)

#define VTD_SIM_OBJECTS (VTD_LIMIT_DEVICES + VTD_SIM_IOASES + VTD_SIM_HWPTS)

enum vtd_sim_object_kind {
        VTD_SIM_FREE = 0,
        VTD_SIM_DEVICE,
        VTD_SIM_IOAS,
        VTD_SIM_HWPT,
        VTD_SIM_OBJECT_KINDS,
};

struct vtd_sim_attachment {
        uint32_t device;
        uint32_t pasid;                         /* VTD_NO_PASID: requests without */
        uint32_t hwpt;                          /* what the core believes is attached */
        struct vtd_sim_translation translation; /* what the unit really does */
};

struct vtd_sim_device {
        struct vtd_sim_device_file *file;
        struct vtd_sim_device_identity identity;
        struct vtd_sim_attachment rid; /* hwpt 0: nothing */
        int interrupt;                 /* eventfd of its vector; -1: not armed */
};

struct vtd_sim_hwpt {
        uint32_t ioas;         /* of the second stage */
        uint32_t parent;       /* 0: this is a second stage, and a nest parent */
        bool pasid_compatible; /* may be attached to a PASID, and where PASIDs are attached */
        bool coherent;         /* second stage: its unit must walk coherently */
        bool snooped;          /* second stage: its unit must control snooping */
        uint64_t tag;          /* first stage: in the first unit; one more in the next */
        struct vtd_host_first_stage config;
};

struct vtd_sim_object {
        enum vtd_sim_object_kind kind;
        uint32_t users; /* IOAS: its HWPTs; HWPT: its children and attachments */
        struct vtd_sim_device device;
        struct vtd_sim_hwpt hwpt;
};

/* All zero: empty. */
struct vtd_sim_objects {
        struct vtd_sim_iommu iommu;
        uint64_t last_tag;
        size_t n_pasids; /* in any order */
        struct vtd_sim_attachment pasids[VTD_LIMIT_ATTACHMENTS];
        size_t kinds[VTD_SIM_OBJECT_KINDS];          /* how many there are */
        struct vtd_sim_object rows[VTD_SIM_OBJECTS]; /* id - 1 */
};

/* The object of @kind with that id, or NULL. */
struct vtd_sim_object *vtd_sim_object_find(struct vtd_sim_objects *objects,
                                           enum vtd_sim_object_kind kind, uint32_t id);

/* Adds a blocked device that owns @file from here on, unless this fails.  Outcomes: LIMIT, BUSY. */
int vtd_sim_device_add(struct vtd_sim_objects *objects, struct vtd_sim_device_file *file,
                       const struct vtd_sim_device_identity *identity, uint32_t *id);
/* Unmaps its file and disarms it.  Outcomes: ABSENT; BUSY while something is attached. */
int vtd_sim_device_remove(struct vtd_sim_objects *objects, uint32_t id);

/* See the operations of these names in broker/host.h. */
int vtd_sim_ioas_alloc(struct vtd_sim_objects *objects, uint32_t *id);
int vtd_sim_ioas_ranges(struct vtd_sim_objects *objects, uint32_t id,
                        struct vtd_address_range *ranges, size_t capacity, size_t *count);
int vtd_sim_map_file(struct vtd_sim_objects *objects, uint32_t id, int fd, uint64_t offset,
                     uint64_t length, uint64_t iova);
int vtd_sim_unmap(struct vtd_sim_objects *objects, uint32_t id, uint64_t iova, uint64_t length);
int vtd_sim_second_stage_alloc(struct vtd_sim_objects *objects, uint32_t device, uint32_t ioas,
                               bool pasid_compatible, uint32_t *id);
int vtd_sim_first_stage_alloc(struct vtd_sim_objects *objects, uint32_t device, uint32_t parent,
                              const struct vtd_host_first_stage *config, bool pasid_compatible,
                              uint32_t *id);
int vtd_sim_destroy(struct vtd_sim_objects *objects, uint32_t id);

/*
 * True when a device (not only a PASID of one) is attached to a table of @ioas, as far as the core
 * knows: that brings the device's reserved ranges.
 */
bool vtd_sim_ioas_is_attached(const struct vtd_sim_objects *objects, uint32_t ioas);

/* True when a PASID of the device is attached, as far as the core knows. */
bool vtd_sim_device_has_pasids(const struct vtd_sim_objects *objects, uint32_t device);

/* What requests of @device (which exists) with @pasid (VTD_NO_PASID: without) go through now. */
struct vtd_sim_translation vtd_sim_translation_of(struct vtd_sim_objects *objects, uint32_t device,
                                                  uint32_t pasid);

/*
 * Attaching in two halves, because the real one is not hitless: begin() checks what is checked
 * first and tears the old translation down, -> *gap: DMA may happen before finish().  After begin()
 * has succeeded the caller calls finish(), which applies the rest of the driver's checks and
 * installs the new one.
 *
 * What is refused with the old translation still live:
 * - a PASID that the device does not have, or with a table that is not PASID compatible, or while
 *   the device itself is attached to such a table;
 * - a device to a table that is not PASID compatible while PASIDs of it are attached, or whose IOAS
 *   has something mapped in the device's reserved range (PASIDs are not checked for that);
 * - a PASID to a table over a second stage that the device's unit cannot walk: its page walks must
 *   be coherent, and it must control snooping, if those of the unit that it was made for are and
 *   do.
 * What is refused after the old translation is gone: the same, but without PASID; and the
 * configuration of a first stage.  The device or PASID is then blocked while the core believes that
 * the old table is attached: attaching that one again succeeds and does nothing; another one, or a
 * detach, heals it.
 *
 * Outcomes of begin(): ABSENT, INVALID, LIMIT.  Of finish(): INVALID.
 */
int vtd_sim_attach_begin(struct vtd_sim_objects *objects, uint32_t device, uint32_t pasid,
                         uint32_t hwpt, bool *gap);
int vtd_sim_attach_finish(struct vtd_sim_objects *objects, uint32_t device, uint32_t pasid,
                          uint32_t hwpt);

/* Blocks a device or a PASID of it; succeeds when nothing is attached.  Outcome: ABSENT. */
int vtd_sim_detach(struct vtd_sim_objects *objects, uint32_t device, uint32_t pasid);

/* See invalidate() in broker/host.h.  Outcomes: ABSENT, INVALID. */
int vtd_sim_invalidate(struct vtd_sim_objects *objects, uint32_t id,
                       const struct vtd_invalidate_entry *entries, size_t count, size_t *done);

/* Unmaps everything. */
void vtd_sim_objects_deinit(struct vtd_sim_objects *objects);

#endif
