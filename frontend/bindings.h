/* SPDX-License-Identifier: MIT */
/*
 * The plugged devices and how each is bound: what the guest's tables said when they were last
 * looked at (the PASID cache), what the broker was last known to hold, and what is to be looked at
 * again.  A binding is keyed by requester id and PASID.  That of requests without PASID
 * (VTD_NO_PASID) stands for the device and is there while it is plugged; one with a PASID is there
 * while the broker holds something for it or has refused it, in a pool of fixed size.  PASID 0 is
 * never bound: there is no Attach for it, and requests with PASID 0 stay blocked.
 *
 * Re-evaluation goes in three phases, so that what a guest removes is gone before anything that it
 * adds asks for room: bindings whose cached entry is named are looked at first and blocked if their
 * entry is gone; then all that are left are brought to what the tables in memory say; then tables
 * are searched for PASIDs that have no binding yet.
 */
#ifndef VTD_FRONTEND_BINDINGS_H
#define VTD_FRONTEND_BINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frontend/queue.h"
#include "frontend/tables.h"
#include "protos/message.h"

enum vtd_binding_phase {
        VTD_BINDING_SETTLED,
        VTD_BINDING_REMOVAL,
        VTD_BINDING_REPLAY,
};

/* What the broker is to be asked for, or holds. */
struct vtd_target {
        enum vtd_attach_mode mode;
        /* First-stage only, else 0. */
        uint64_t root;
        uint32_t address_width; /* 48 or 57 */
        uint32_t flags;         /* VTD_FIRST_STAGE_* of protos/message.h */
};

/* The entries that a PASID-cache invalidation names. */
struct vtd_pasid_selector {
        bool by_domain;
        bool by_pasid;
        uint16_t domain_id;
        uint32_t pasid;
};

struct vtd_binding {
        bool used;
        uint16_t rid;
        uint32_t pasid;  /* VTD_NO_PASID, or not 0 */
        uint64_t device; /* the broker's handle */

        enum vtd_binding_phase phase;
        /* Act only if the entry found in memory is one of these; else leave everything as it is. */
        bool conditional;
        struct vtd_pasid_selector selector;
        /* Block it whatever the tables say: the broker refused an invalidation. */
        bool must_block;
        /*
         * The broker refused what the entry asks for.  With a PASID, such a binding keeps its place,
         * so that a guest cannot have the broker asked for more than there are places.
         */
        bool refused;

        bool cached; /* entry is what the current binding was made from */
        struct vtd_pasid_entry entry;

        bool current_known; /* the broker is known to hold current */
        struct vtd_target current;
        uint64_t table; /* the broker's handle; 0 unless current is first-stage */
        /*
         * The table as a whole must be invalidated before anything completes: the guest reaches it
         * under a new tag, from here or (before that is attached) from another device, so that by
         * the architecture nothing of it is cached yet.
         */
        bool must_flush;
};

/* Which PASIDs of a device are to be searched for. */
struct vtd_search {
        uint32_t limit; /* PASIDs of the device are below it; 0: it has none */
        bool wanted;
        uint32_t first, end; /* from first to below end */
        struct vtd_pasid_selector selector;
};

/* Devices come first, then the pool of PASIDs: as many as the broker ever holds for one VM. */
#define VTD_BINDINGS (VTD_LIMIT_DEVICES + VTD_LIMIT_ATTACHMENTS)

struct vtd_bindings {
        size_t end;                                    /* the slots from here on are empty */
        size_t waiting;                                /* bindings that are not settled */
        bool sweep_due;                                /* there may be PASIDs with nothing bound */
        struct vtd_search searches[VTD_LIMIT_DEVICES]; /* by the device's slot */
        struct vtd_binding slots[VTD_BINDINGS];
};

/* The binding of @rid and @pasid, or NULL. */
const struct vtd_binding *vtd_bindings_peek(const struct vtd_bindings *bindings, uint16_t rid,
                                            uint32_t pasid);

/* True when no more devices can be added. */
bool vtd_bindings_are_full(const struct vtd_bindings *bindings);

/*
 * Adds a device whose broker handle is @device, blocked and to be evaluated; its PASIDs below
 * @pasids (0: it has none) are to be searched for.  There must be room.
 */
void vtd_bindings_add_device(struct vtd_bindings *bindings, uint16_t rid, uint64_t device,
                             uint32_t pasids);

/* What was of @rid is of @new_rid, whose tables are to be looked at; nothing may be of that yet. */
void vtd_bindings_renumber(struct vtd_bindings *bindings, uint16_t rid, uint16_t new_rid);

/* Adds PASID @pasid of the device at slot @device, blocked and settled; NULL when all are taken. */
struct vtd_binding *vtd_bindings_add_pasid(struct vtd_bindings *bindings, size_t device,
                                           uint32_t pasid);

/* Forgets @binding, and with a device's own its search. */
void vtd_bindings_remove(struct vtd_bindings *bindings, struct vtd_binding *binding);

/* Forgets the PASIDs that nothing is bound to.  All bindings should be settled. */
void vtd_bindings_sweep(struct vtd_bindings *bindings);

/* How many PASIDs the broker holds something for. */
size_t vtd_bindings_count_pasids(const struct vtd_bindings *bindings);

/* The slot of the device whose PASIDs are to be searched for next; VTD_LIMIT_DEVICES: none. */
size_t vtd_bindings_next_search(const struct vtd_bindings *bindings);

/* The binding to be evaluated next, or NULL when all are settled. */
struct vtd_binding *vtd_bindings_next(struct vtd_bindings *bindings);

/* True when a binding is first-stage with @table (not 0). */
bool vtd_bindings_use_table(const struct vtd_bindings *bindings, uint64_t table);

/*
 * @binding is about to be attached to @target, under the tag of @entry: tables of the same root that
 * other bindings have under another domain id or PASID must be flushed.
 */
void vtd_bindings_flush_aliases(struct vtd_bindings *bindings, const struct vtd_binding *binding,
                                const struct vtd_target *target,
                                const struct vtd_pasid_entry *entry);

/* A table that must be flushed as a whole, which is then taken as done; 0 when there is none. */
uint64_t vtd_bindings_take_flush(struct vtd_bindings *bindings);

/*
 * Everything is to be looked at again, and PASIDs searched for; @drop_caches: and nothing that was
 * cached counts.
 */
void vtd_bindings_mark_all(struct vtd_bindings *bindings, bool drop_caches);

/* The same for the devices that a context-cache descriptor names. */
void vtd_bindings_mark_context(struct vtd_bindings *bindings,
                               const struct vtd_descriptor *descriptor);

/* The same for the entries that a PASID-cache descriptor names. */
void vtd_bindings_mark_pasid_cache(struct vtd_bindings *bindings,
                                   const struct vtd_descriptor *descriptor);

/* True when @selector names the entry under @pasid, whose domain id is known unless NULL. */
bool vtd_selector_names(const struct vtd_pasid_selector *selector, const uint16_t *domain_id,
                        uint32_t pasid);

/*
 * True when an IOTLB or PASID-based IOTLB descriptor concerns the first-stage table of @binding.
 * Without PASID, the architecture drops all first-stage translations of a domain whatever the
 * granularity.
 */
bool vtd_binding_matches_iotlb(const struct vtd_binding *binding,
                               const struct vtd_descriptor *descriptor);

/* True unless a conditional evaluation has found, by @walk, that @binding is not what was named. */
bool vtd_binding_is_concerned(const struct vtd_binding *binding, const struct vtd_walk *walk);

/* @binding, found in need of more than blocking, is evaluated again after all removals. */
void vtd_bindings_postpone(struct vtd_bindings *bindings, struct vtd_binding *binding);

/* @binding is evaluated. */
void vtd_bindings_settle(struct vtd_bindings *bindings, struct vtd_binding *binding);

/* @binding is to be blocked, whatever the tables say. */
void vtd_bindings_block(struct vtd_bindings *bindings, struct vtd_binding *binding);

static inline bool vtd_target_equal(const struct vtd_target *a, const struct vtd_target *b)
{
        return a->mode == b->mode && a->root == b->root && a->address_width == b->address_width &&
               a->flags == b->flags;
}

#endif
