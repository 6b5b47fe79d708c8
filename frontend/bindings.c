/* SPDX-License-Identifier: MIT */
/* See bindings.h.  Bookkeeping only: reads no guest memory and asks the broker nothing. */
#include "frontend/bindings.h"

#include <string.h>

struct vtd_binding *vtd_bindings_find(struct vtd_bindings *bindings, uint16_t rid, uint32_t pasid)
{
        for (size_t i = 0; i < VTD_BINDINGS; i++) {
                struct vtd_binding *binding = &bindings->slots[i];

                if (binding->used && binding->rid == rid && binding->pasid == pasid)
                        return binding;
        }
        return NULL;
}

struct vtd_binding *vtd_bindings_find_free(struct vtd_bindings *bindings)
{
        for (size_t i = 0; i < VTD_BINDINGS; i++)
                if (!bindings->slots[i].used)
                        return &bindings->slots[i];
        return NULL;
}

struct vtd_binding *vtd_bindings_next(struct vtd_bindings *bindings)
{
        struct vtd_binding *replay = NULL;

        for (size_t i = 0; i < VTD_BINDINGS; i++) {
                struct vtd_binding *binding = &bindings->slots[i];

                if (!binding->used)
                        continue;
                if (binding->phase == VTD_BINDING_REMOVAL)
                        return binding;
                if (binding->phase == VTD_BINDING_REPLAY && !replay)
                        replay = binding;
        }
        return replay;
}

bool vtd_bindings_use_table(const struct vtd_bindings *bindings, uint64_t table)
{
        for (size_t i = 0; i < VTD_BINDINGS; i++)
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
        for (size_t i = 0; i < VTD_BINDINGS; i++) {
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

        for (size_t i = 0; i < VTD_BINDINGS; i++) {
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

static void mark(struct vtd_binding *binding)
{
        binding->phase = binding->cached ? VTD_BINDING_REMOVAL : VTD_BINDING_REPLAY;
        binding->conditional = false;
}

void vtd_bindings_mark_all(struct vtd_bindings *bindings, bool drop_caches)
{
        for (size_t i = 0; i < VTD_BINDINGS; i++) {
                struct vtd_binding *binding = &bindings->slots[i];

                if (!binding->used)
                        continue;
                mark(binding);
                if (drop_caches)
                        binding->cached = false;
        }
}

/* In scalable mode the context cache is not tagged with a domain: domain means all. */
void vtd_bindings_mark_context(struct vtd_bindings *bindings,
                               const struct vtd_descriptor *descriptor)
{
        uint16_t care = 0;

        if (descriptor->granularity == VTD_CONTEXT_CACHE_DEVICE)
                care = (uint16_t)~descriptor->source_ignored;
        for (size_t i = 0; i < VTD_BINDINGS; i++) {
                struct vtd_binding *binding = &bindings->slots[i];

                if (binding->used && ((binding->rid ^ descriptor->source_id) & care) == 0)
                        mark(binding);
        }
}

static bool selects(const struct vtd_pasid_selector *selector, uint16_t domain_id, uint32_t pasid)
{
        return (!selector->by_domain || selector->domain_id == domain_id) &&
               (!selector->by_pasid || selector->pasid == pasid);
}

/*
 * What is removed is judged by the cached entry, what is added by the entry in memory: a binding
 * without a cached entry is looked at, and left alone if what is found is not what was named.
 */
void vtd_bindings_mark_pasid_cache(struct vtd_bindings *bindings,
                                   const struct vtd_descriptor *descriptor)
{
        const struct vtd_pasid_selector selector = {
                .by_domain = descriptor->granularity != VTD_PASID_CACHE_GLOBAL,
                .by_pasid = descriptor->granularity == VTD_PASID_CACHE_PASID,
                .domain_id = descriptor->domain_id,
                .pasid = descriptor->pasid,
        };

        for (size_t i = 0; i < VTD_BINDINGS; i++) {
                struct vtd_binding *binding = &bindings->slots[i];

                if (!binding->used)
                        continue;
                if (binding->cached &&
                    !selects(&selector, binding->entry.domain_id, binding->entry.pasid))
                        continue;
                mark(binding);
                binding->conditional = !binding->cached;
                binding->selector = selector;
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
        const struct vtd_pasid_selector *selector = &binding->selector;

        if (!binding->conditional)
                return true;
        /* What is wrong above the PASID directory is announced by context-cache descriptors. */
        if (walk->level < VTD_WALK_DIRECTORY)
                return false;
        /* An entry that could not be read may be any domain's. */
        return selects(selector, walk->domain_known ? walk->domain_id : selector->domain_id,
                       walk->pasid);
}

void vtd_binding_settle(struct vtd_binding *binding)
{
        binding->phase = VTD_BINDING_SETTLED;
        binding->conditional = false;
        binding->must_block = false;
}
