/* SPDX-License-Identifier: MIT */
/*
 * The plugged devices and how each is bound: what the guest's tables said when they were last
 * looked at (the PASID cache), what the broker was last known to hold, and what is to be looked at
 * again.  A binding is keyed by requester id and PASID; so far only requests without PASID (PASID
 * VTD_NO_PASID) are bound.
 *
 * Re-evaluation goes in two phases, so that what a guest removes is gone before anything that it
 * adds asks for room: bindings whose cached entry is named are looked at first and blocked if their
 * entry is gone; then all that are left are brought to what the tables in memory say.
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
        uint64_t root; /* first-stage only, else 0 */
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
        uint32_t pasid;
        uint64_t device; /* the broker's handle */

        enum vtd_binding_phase phase;
        /* Act only if the entry found in memory is one of these; else leave everything as it is. */
        bool conditional;
        struct vtd_pasid_selector selector;
        /* Block it whatever the tables say: the broker refused an invalidation. */
        bool must_block;

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

#define VTD_BINDINGS VTD_LIMIT_DEVICES

struct vtd_bindings {
        struct vtd_binding slots[VTD_BINDINGS];
};

/* The binding of @rid and @pasid, or NULL. */
struct vtd_binding *vtd_bindings_find(struct vtd_bindings *bindings, uint16_t rid, uint32_t pasid);

/* An empty slot, or NULL when all are taken.  It is taken by setting used. */
struct vtd_binding *vtd_bindings_find_free(struct vtd_bindings *bindings);

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

/* Everything is to be looked at again; @drop_caches: and nothing that was cached counts. */
void vtd_bindings_mark_all(struct vtd_bindings *bindings, bool drop_caches);

/* The same for the devices that a context-cache descriptor names. */
void vtd_bindings_mark_context(struct vtd_bindings *bindings,
                               const struct vtd_descriptor *descriptor);

/* The same for the entries that a PASID-cache descriptor names. */
void vtd_bindings_mark_pasid_cache(struct vtd_bindings *bindings,
                                   const struct vtd_descriptor *descriptor);

/*
 * True when an IOTLB or PASID-based IOTLB descriptor concerns the first-stage table of @binding.
 * Without PASID, the architecture drops all first-stage translations of a domain whatever the
 * granularity.
 */
bool vtd_binding_matches_iotlb(const struct vtd_binding *binding,
                               const struct vtd_descriptor *descriptor);

/* True unless a conditional evaluation has found, by @walk, that @binding is not what was named. */
bool vtd_binding_is_concerned(const struct vtd_binding *binding, const struct vtd_walk *walk);

/* @binding is evaluated. */
void vtd_binding_settle(struct vtd_binding *binding);

static inline bool vtd_target_equal(const struct vtd_target *a, const struct vtd_target *b)
{
        return a->mode == b->mode && a->root == b->root;
}

#endif
