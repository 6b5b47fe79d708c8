/* SPDX-License-Identifier: MIT */
/*
 * broker/worker/handles.c: for any sequence of operations, by induction.  The state is any that
 * is_sound() allows; each operation is shown to lead to such a state again, and init to begin with
 * one.  So what is shown of one operation holds after any number of them, retired slots and the end
 * of the generations included.
 *
 * Bounds: SLOTS slots where the free list is walked; prove_find has any number up to 2^16.
 * Assumes what the callers keep to: a slot is released and named only while it is in use.
 */
#include "tests/prove/prove.h"

#include "broker/worker/handles.c"

#define SLOTS 6u

struct vtd_handle_slot nondet_slot(void);

/* Slot fields in the forms that C gives them. */
static struct vtd_handle_slot any_slot(void)
{
        struct vtd_handle_slot slot = nondet_slot();

        slot.used = nondet_bool();
        return slot;
}

static bool is_free(const struct vtd_handle_slot *slot)
{
        return !slot->used && slot->generation != VTD_HANDLE_GENERATION_MAX;
}

/* The free list has every free slot exactly once, and nothing else. */
static bool is_list_sound(const struct vtd_handles *handles)
{
        bool listed[SLOTS] = {false};
        uint32_t at = handles->free;

        for (size_t n = 0; n < SLOTS && at < handles->capacity; n++) {
                if (listed[at])
                        return false;
                listed[at] = true;
                at = handles->slots[at].next;
        }
        if (at != handles->capacity)
                return false;
        for (size_t i = 0; i < handles->capacity; i++)
                if (listed[i] != is_free(&handles->slots[i]))
                        return false;
        return true;
}

static bool is_sound(const struct vtd_handles *handles)
{
        for (size_t i = 0; i < handles->capacity; i++) {
                const struct vtd_handle_slot *slot = &handles->slots[i];

                if (slot->generation > VTD_HANDLE_GENERATION_MAX)
                        return false;
                if (slot->used && slot->generation == 0)
                        return false;
        }
        return is_list_sound(handles);
}

/* Any sound state of at most SLOTS slots in @slots. */
static struct vtd_handles any_handles(struct vtd_handle_slot *slots)
{
        struct vtd_handles handles = {
                .type = nondet_int(), .capacity = nondet_u32(), .free = nondet_u32()};

        ASSUME(handles.type >= VTD_HANDLE_DEVICE && handles.type <= VTD_HANDLE_TABLE);
        ASSUME(handles.capacity <= SLOTS);
        for (size_t i = 0; i < SLOTS; i++)
                slots[i] = any_slot();
        handles.slots = slots;
        ASSUME(is_sound(&handles));
        return handles;
}

static size_t index_of(uint64_t handle)
{
        return handle >> VTD_HANDLE_GENERATION_BITS & ((1u << VTD_HANDLE_INDEX_BITS) - 1);
}

/* True when @handle has been given out and released, or could never have been given out yet again. */
static bool is_dead(const struct vtd_handles *handles, uint64_t handle)
{
        size_t i = index_of(handle);
        uint64_t generation = handle & VTD_HANDLE_GENERATION_MAX;

        return i < handles->capacity &&
               (generation < handles->slots[i].generation ||
                (generation == handles->slots[i].generation && !handles->slots[i].used));
}

void prove_init(void)
{
        struct vtd_handles handles;
        size_t capacity = nondet_size();
        int r;

        ASSUME(capacity <= SLOTS || capacity > (size_t)1 << VTD_HANDLE_INDEX_BITS);
        r = vtd_handles_init(&handles, VTD_HANDLE_MAPPING, capacity);
        PROVE(r == 0 || r == -EINVAL || r == -ENOMEM);
        PROVE((r == -EINVAL) == (capacity > (size_t)1 << VTD_HANDLE_INDEX_BITS));
        if (r != 0)
                return;
        PROVE(handles.capacity == capacity && handles.type == VTD_HANDLE_MAPPING);
        PROVE(is_sound(&handles));
        for (size_t i = 0; i < capacity; i++)
                PROVE(!vtd_handles_used(&handles, i));
        vtd_handles_deinit(&handles);
        PROVE(!handles.slots);
}

/* A slot that nobody has, unless there is none; the others stay as they are. */
void prove_take(void)
{
        struct vtd_handle_slot slots[SLOTS];
        struct vtd_handles handles = any_handles(slots);
        const size_t other = nondet_size();
        struct vtd_handle_slot before;
        size_t index;
        int r;

        ASSUME(other < SLOTS);
        before = slots[other];
        r = vtd_handles_take(&handles, &index);
        PROVE(is_sound(&handles));
        if (r != 0) {
                PROVE(r == VTD_HANDLES_E_FULL);
                PROVE(other >= handles.capacity || !is_free(&slots[other]));
                return;
        }
        PROVE(index < handles.capacity && slots[index].used);
        if (other == index)
                PROVE(is_free(&before) && slots[other].generation == before.generation + 1);
        else
                PROVE(slots[other].used == before.used &&
                      slots[other].generation == before.generation);
}

/* The handle is dead; those of other slots stay as they are. */
void prove_release(void)
{
        struct vtd_handle_slot slots[SLOTS];
        struct vtd_handles handles = any_handles(slots);
        const size_t index = nondet_size(), other = nondet_size();
        struct vtd_handle_slot before;
        uint64_t handle;
        size_t found;

        ASSUME(vtd_handles_used(&handles, index) && other < SLOTS && other != index);
        before = slots[other];
        handle = vtd_handles_name(&handles, index);
        PROVE(vtd_handles_find(&handles, handle, &found) == 0 && found == index);
        vtd_handles_release(&handles, index);
        PROVE(is_sound(&handles));
        PROVE(is_dead(&handles, handle));
        PROVE(vtd_handles_find(&handles, handle, &found) == VTD_HANDLES_E_ABSENT);
        PROVE(slots[other].used == before.used && slots[other].generation == before.generation);
}

/* A dead handle is not found, and no operation brings it back. */
void prove_dead_stays_dead(void)
{
        struct vtd_handle_slot slots[SLOTS];
        struct vtd_handles handles = any_handles(slots);
        const uint64_t handle = nondet_u64();
        size_t index = nondet_size(), found = 0;

        ASSUME(is_dead(&handles, handle));
        if (nondet_bool()) {
                ASSUME(vtd_handles_used(&handles, index));
                vtd_handles_release(&handles, index);
        } else if (vtd_handles_take(&handles, &index) == 0) {
                PROVE(vtd_handles_name(&handles, index) != handle);
        }
        PROVE(is_dead(&handles, handle));
        PROVE(vtd_handles_find(&handles, handle, &found) == VTD_HANDLES_E_ABSENT && found == 0);
}

/* Any 64 bits, against any number of slots: what is found is what was given out, of this type. */
void prove_find(void)
{
        struct vtd_handles handles = {.type = nondet_int(), .capacity = nondet_u32()};
        const uint64_t handle = nondet_u64();
        size_t index = SIZE_MAX;
        int r;

        ASSUME(handles.type >= VTD_HANDLE_DEVICE && handles.type <= VTD_HANDLE_TABLE);
        ASSUME(handles.capacity <= 1u << VTD_HANDLE_INDEX_BITS);
        handles.slots = calloc(handles.capacity, sizeof(*handles.slots));
        ASSUME(handles.slots);
        if (index_of(handle) < handles.capacity) { /* the one slot that can matter */
                handles.slots[index_of(handle)] = any_slot();
                ASSUME(handles.slots[index_of(handle)].generation <= VTD_HANDLE_GENERATION_MAX);
        }
        r = vtd_handles_find(&handles, handle, &index);
        PROVE(r == 0 || (r == VTD_HANDLES_E_ABSENT && index == SIZE_MAX));
        if (r == 0) {
                PROVE(index < handles.capacity && handles.slots[index].used);
                PROVE(handle >> (VTD_HANDLE_INDEX_BITS + VTD_HANDLE_GENERATION_BITS) ==
                      handles.type);
                PROVE((handle & VTD_HANDLE_GENERATION_MAX) == handles.slots[index].generation);
                PROVE(index == index_of(handle));
        }
}

/* Slots in use have names of their own, whatever their type. */
void prove_names_differ(void)
{
        struct vtd_handle_slot slots[SLOTS], others[SLOTS];
        struct vtd_handles a = any_handles(slots), b = any_handles(others);
        const size_t i = nondet_size(), j = nondet_size();

        ASSUME(vtd_handles_used(&a, i) && vtd_handles_used(&a, j) && i != j);
        PROVE(vtd_handles_name(&a, i) != vtd_handles_name(&a, j));
        PROVE(vtd_handles_name(&a, i) != 0);
        if (vtd_handles_used(&b, j) && a.type != b.type)
                PROVE(vtd_handles_name(&a, i) != vtd_handles_name(&b, j));
}
