/* SPDX-License-Identifier: MIT */
/* See bindings.h.  Bookkeeping only: reads no guest memory and asks the broker nothing. */
#include "frontend/bindings.h"

#include <string.h>

const struct vtd_binding *vtd_bindings_peek(const struct vtd_bindings *bindings, uint16_t rid,
                                            uint32_t pasid)
{
        for (size_t i = 0; i < bindings->end; i++) {
                const struct vtd_binding *binding = &bindings->slots[i];

                if (binding->used && binding->rid == rid && binding->pasid == pasid)
                        return binding;
        }
        return NULL;
}

/* The first empty slot from @start to below @end; @end when there is none. */
static size_t find_empty(const struct vtd_bindings *bindings, size_t start, size_t end)
{
        size_t i = start;

        while (i < end && bindings->slots[i].used)
                i++;
        return i;
}

static void set_phase(struct vtd_bindings *bindings, struct vtd_binding *binding,
                      enum vtd_binding_phase phase)
{
        if (binding->phase != VTD_BINDING_SETTLED)
                bindings->waiting--;
        if (phase != VTD_BINDING_SETTLED)
                bindings->waiting++;
        binding->phase = phase;
}

static struct vtd_binding *add(struct vtd_bindings *bindings, size_t slot, uint16_t rid,
                               uint32_t pasid, uint64_t device)
{
        bindings->slots[slot] = (struct vtd_binding){
                .used = true,
                .rid = rid,
                .pasid = pasid,
                .device = device,
                .current = {.mode = VTD_ATTACH_BLOCKED},
                .current_known = true,
        };
        if (bindings->end <= slot)
                bindings->end = slot + 1;
        return &bindings->slots[slot];
}

/* Searches for all PASIDs of the device at @slot that @selector names. */
static void want_search(struct vtd_bindings *bindings, size_t slot,
                        const struct vtd_pasid_selector *selector)
{
        struct vtd_search *search = &bindings->searches[slot];

        search->first = 1;
        search->end = search->limit;
        if (selector->by_pasid) {
                search->first = selector->pasid;
                if (search->end > selector->pasid + 1)
                        search->end = selector->pasid + 1;
        }
        search->selector = *selector;
        search->wanted = search->first != VTD_NO_PASID && search->first < search->end;
}

bool vtd_bindings_are_full(const struct vtd_bindings *bindings)
{
        return find_empty(bindings, 0, VTD_LIMIT_DEVICES) == VTD_LIMIT_DEVICES;
}

void vtd_bindings_add_device(struct vtd_bindings *bindings, uint16_t rid, uint64_t device,
                             uint32_t pasids)
{
        const struct vtd_pasid_selector all = {.by_domain = false};
        size_t slot = find_empty(bindings, 0, VTD_LIMIT_DEVICES);

        set_phase(bindings, add(bindings, slot, rid, VTD_NO_PASID, device), VTD_BINDING_REPLAY);
        bindings->searches[slot] = (struct vtd_search){.limit = pasids};
        want_search(bindings, slot, &all);
}

struct vtd_binding *vtd_bindings_add_pasid(struct vtd_bindings *bindings, size_t device,
                                           uint32_t pasid)
{
        const struct vtd_binding *owner = &bindings->slots[device];
        size_t slot = find_empty(bindings, VTD_LIMIT_DEVICES, VTD_BINDINGS);

        if (slot == VTD_BINDINGS && bindings->sweep_due) {
                vtd_bindings_sweep(bindings);
                slot = find_empty(bindings, VTD_LIMIT_DEVICES, VTD_BINDINGS);
        }
        if (slot == VTD_BINDINGS)
                return NULL;
        return add(bindings, slot, owner->rid, pasid, owner->device);
}

void vtd_bindings_remove(struct vtd_bindings *bindings, struct vtd_binding *binding)
{
        size_t slot = (size_t)(binding - bindings->slots);

        set_phase(bindings, binding, VTD_BINDING_SETTLED);
        *binding = (struct vtd_binding){.used = false};
        if (slot < VTD_LIMIT_DEVICES)
                bindings->searches[slot] = (struct vtd_search){.wanted = false};
        while (bindings->end > 0 && !bindings->slots[bindings->end - 1].used)
                bindings->end--;
}

static bool is_held(const struct vtd_binding *binding)
{
        return binding->used &&
               (!binding->current_known || binding->current.mode != VTD_ATTACH_BLOCKED);
}

void vtd_bindings_sweep(struct vtd_bindings *bindings)
{
        for (size_t i = bindings->end; i > VTD_LIMIT_DEVICES; i--) {
                struct vtd_binding *binding = &bindings->slots[i - 1];

                if (binding->used && binding->phase == VTD_BINDING_SETTLED && !is_held(binding) &&
                    !binding->refused)
                        vtd_bindings_remove(bindings, binding);
        }
        bindings->sweep_due = false;
}

size_t vtd_bindings_count_pasids(const struct vtd_bindings *bindings)
{
        size_t count = 0;

        for (size_t i = VTD_LIMIT_DEVICES; i < bindings->end; i++)
                count += is_held(&bindings->slots[i]);
        return count;
}

size_t vtd_bindings_next_search(const struct vtd_bindings *bindings)
{
        /* Each turn of the engine asks this, mostly of a unit with few devices. */
        for (size_t i = 0; i < VTD_LIMIT_DEVICES && i < bindings->end; i++)
                if (bindings->searches[i].wanted)
                        return i;
        return VTD_LIMIT_DEVICES;
}

struct vtd_binding *vtd_bindings_next(struct vtd_bindings *bindings)
{
        struct vtd_binding *replay = NULL;

        if (bindings->waiting == 0)
                return NULL;
        for (size_t i = 0; i < bindings->end; i++) {
                struct vtd_binding *binding = &bindings->slots[i];

                if (binding->phase == VTD_BINDING_REMOVAL)
                        return binding;
                if (binding->phase == VTD_BINDING_REPLAY && !replay)
                        replay = binding;
        }
        return replay;
}

bool vtd_bindings_use_table(const struct vtd_bindings *bindings, uint64_t table)
{
        for (size_t i = 0; i < bindings->end; i++)
                if (bindings->slots[i].used && bindings->slots[i].table == table)
                        return true;
        return false;
}

void vtd_bindings_flush_aliases(struct vtd_bindings *bindings, const struct vtd_binding *binding,
                                const struct vtd_target *target,
                                const struct vtd_pasid_entry *entry)
{
        if (target->mode != VTD_ATTACH_FIRST_STAGE)
                return;
        for (size_t i = 0; i < bindings->end; i++) {
                struct vtd_binding *other = &bindings->slots[i];

                if (other == binding || !other->used || other->table == 0 ||
                    other->current.root != target->root)
                        continue;
                if (!other->cached || other->entry.domain_id != entry->domain_id ||
                    other->entry.pasid != entry->pasid)
                        other->must_flush = true;
        }
}

uint64_t vtd_bindings_take_flush(struct vtd_bindings *bindings)
{
        uint64_t table = 0;

        for (size_t i = 0; i < bindings->end; i++) {
                struct vtd_binding *binding = &bindings->slots[i];

                if (!binding->used || !binding->must_flush)
                        continue;
                if (table == 0)
                        table = binding->table;
                if (binding->table == table)
                        binding->must_flush = false;
        }
        return table;
}

static void mark(struct vtd_bindings *bindings, struct vtd_binding *binding)
{
        set_phase(bindings, binding, binding->cached ? VTD_BINDING_REMOVAL : VTD_BINDING_REPLAY);
        binding->conditional = false;
}

void vtd_bindings_mark_all(struct vtd_bindings *bindings, bool drop_caches)
{
        const struct vtd_pasid_selector all = {.by_domain = false};

        for (size_t i = 0; i < bindings->end; i++) {
                struct vtd_binding *binding = &bindings->slots[i];

                if (!binding->used)
                        continue;
                mark(bindings, binding);
                if (drop_caches)
                        binding->cached = false;
        }
        for (size_t i = 0; i < VTD_LIMIT_DEVICES; i++)
                want_search(bindings, i, &all);
}

void vtd_bindings_renumber(struct vtd_bindings *bindings, uint16_t rid, uint16_t new_rid)
{
        const struct vtd_pasid_selector all = {.by_domain = false};

        for (size_t i = 0; i < bindings->end; i++) {
                struct vtd_binding *binding = &bindings->slots[i];

                if (!binding->used || binding->rid != rid)
                        continue;
                binding->rid = new_rid;
                mark(bindings, binding);
                if (i < VTD_LIMIT_DEVICES)
                        want_search(bindings, i, &all);
        }
}

/* In scalable mode the context cache is not tagged with a domain: domain means all. */
void vtd_bindings_mark_context(struct vtd_bindings *bindings,
                               const struct vtd_descriptor *descriptor)
{
        const struct vtd_pasid_selector all = {.by_domain = false};
        uint16_t care = 0;

        if (descriptor->granularity == VTD_CONTEXT_CACHE_DEVICE)
                care = (uint16_t)~descriptor->source_ignored;
        for (size_t i = 0; i < bindings->end; i++) {
                struct vtd_binding *binding = &bindings->slots[i];

                if (!binding->used || ((binding->rid ^ descriptor->source_id) & care) != 0)
                        continue;
                mark(bindings, binding);
                if (i < VTD_LIMIT_DEVICES)
                        want_search(bindings, i, &all);
        }
}

bool vtd_selector_names(const struct vtd_pasid_selector *selector, const uint16_t *domain_id,
                        uint32_t pasid)
{
        return (!selector->by_domain || !domain_id || selector->domain_id == *domain_id) &&
               (!selector->by_pasid || selector->pasid == pasid);
}

/*
 * What is removed is judged by the cached entry, what is added by the entry in memory: a binding
 * without a cached entry is looked at, and left alone if what is found is not what was named.
 */
static void mark_named(struct vtd_bindings *bindings, struct vtd_binding *binding,
                       const struct vtd_pasid_selector *selector)
{
        if (binding->cached &&
            !vtd_selector_names(selector, &binding->entry.domain_id, binding->entry.pasid))
                return;
        mark(bindings, binding);
        binding->conditional = !binding->cached;
        binding->selector = *selector;
}

/* A descriptor that names one PASID costs a walk for each device, and no search of its tables. */
void vtd_bindings_mark_pasid_cache(struct vtd_bindings *bindings,
                                   const struct vtd_descriptor *descriptor)
{
        const struct vtd_pasid_selector selector = {
                .by_domain = descriptor->granularity != VTD_PASID_CACHE_GLOBAL,
                .by_pasid = descriptor->granularity == VTD_PASID_CACHE_PASID,
                .domain_id = descriptor->domain_id,
                .pasid = descriptor->pasid,
        };

        for (size_t i = 0; i < VTD_LIMIT_DEVICES; i++)
                want_search(bindings, i, &selector);
        for (size_t i = 0; i < bindings->end; i++) {
                struct vtd_binding *binding = &bindings->slots[i];

                if (binding->used && (binding->pasid == VTD_NO_PASID || !selector.by_pasid ||
                                      binding->pasid == selector.pasid))
                        mark_named(bindings, binding, &selector);
        }
}

bool vtd_binding_matches_iotlb(const struct vtd_binding *binding,
                               const struct vtd_descriptor *descriptor)
{
        if (!binding->used || !binding->cached || binding->table == 0)
                return false;
        if (descriptor->type == VTD_DESCRIPTOR_PASID_IOTLB)
                return binding->entry.domain_id == descriptor->domain_id &&
                       binding->entry.pasid == descriptor->pasid;
        return descriptor->granularity == VTD_IOTLB_GLOBAL ||
               binding->entry.domain_id == descriptor->domain_id;
}

bool vtd_binding_is_concerned(const struct vtd_binding *binding, const struct vtd_walk *walk)
{
        if (!binding->conditional)
                return true;
        /* What is wrong above the PASID directory is announced by context-cache descriptors. */
        if (walk->level < VTD_WALK_DIRECTORY)
                return false;
        /* An entry that could not be read may be any domain's. */
        return vtd_selector_names(&binding->selector, walk->domain_known ? &walk->domain_id : NULL,
                                  walk->pasid);
}

void vtd_bindings_postpone(struct vtd_bindings *bindings, struct vtd_binding *binding)
{
        set_phase(bindings, binding, VTD_BINDING_REPLAY);
}

void vtd_bindings_settle(struct vtd_bindings *bindings, struct vtd_binding *binding)
{
        set_phase(bindings, binding, VTD_BINDING_SETTLED);
        binding->conditional = false;
        binding->must_block = false;
}

void vtd_bindings_block(struct vtd_bindings *bindings, struct vtd_binding *binding)
{
        set_phase(bindings, binding, VTD_BINDING_REMOVAL);
        binding->must_block = true;
}
