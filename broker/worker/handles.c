/* SPDX-License-Identifier: MIT */
/* Handle slots: see handles.h.  A handle is compared as a whole, so no part of it is trusted. */
#include "broker/worker/handles.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int vtd_handles_init(struct vtd_handles *handles, enum vtd_handle_type type, size_t capacity)
{
        struct vtd_handle_slot *slots;

        if (capacity > (size_t)1 << VTD_HANDLE_INDEX_BITS)
                return -EINVAL;
        slots = calloc(capacity > 0 ? capacity : 1, sizeof(*slots));
        if (!slots)
                return -ENOMEM;
        for (uint32_t i = 0; i < capacity; i++)
                slots[i].next = i + 1;
        *handles = (struct vtd_handles){
                .type = type, .capacity = (uint32_t)capacity, .free = 0, .slots = slots};
        return 0;
}

void vtd_handles_deinit(struct vtd_handles *handles)
{
        free(handles->slots);
        *handles = (struct vtd_handles){0};
}

int vtd_handles_take(struct vtd_handles *handles, size_t *index)
{
        struct vtd_handle_slot *slot;

        if (handles->free >= handles->capacity)
                return VTD_HANDLES_E_FULL;
        *index = handles->free;
        slot = &handles->slots[handles->free];
        handles->free = slot->next;
        slot->generation++;
        slot->used = true;
        return 0;
}

void vtd_handles_release(struct vtd_handles *handles, size_t index)
{
        struct vtd_handle_slot *slot = &handles->slots[index];

        assert(vtd_handles_used(handles, index));
        slot->used = false;
        if (slot->generation == VTD_HANDLE_GENERATION_MAX)
                return; /* retired: not on the free list again */
        slot->next = handles->free;
        handles->free = (uint32_t)index;
}

uint64_t vtd_handles_name(const struct vtd_handles *handles, size_t index)
{
        assert(vtd_handles_used(handles, index));
        return (uint64_t)handles->type << (VTD_HANDLE_INDEX_BITS + VTD_HANDLE_GENERATION_BITS) |
               (uint64_t)index << VTD_HANDLE_GENERATION_BITS | handles->slots[index].generation;
}

int vtd_handles_find(const struct vtd_handles *handles, uint64_t handle, size_t *index)
{
        size_t i = (handle >> VTD_HANDLE_GENERATION_BITS) & ((1u << VTD_HANDLE_INDEX_BITS) - 1);

        if (!vtd_handles_used(handles, i) || vtd_handles_name(handles, i) != handle)
                return VTD_HANDLES_E_ABSENT;
        *index = i;
        return 0;
}

bool vtd_handles_used(const struct vtd_handles *handles, size_t index)
{
        return index < handles->capacity && handles->slots[index].used;
}
