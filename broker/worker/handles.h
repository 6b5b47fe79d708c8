/* SPDX-License-Identifier: MIT */
/*
 * The names by which a client knows its objects.
 *
 * A handle is 64 bits: type (4, never 0), index (16), generation (44, never 0).  Each slot counts
 * its own generations and is retired, never used again, before the count would wrap: a handle that
 * was released can never match again, whatever is created afterwards.  Handles are hostile input;
 * vtd_handles_find() is the only way from one to an index.
 */
#ifndef VTD_BROKER_WORKER_HANDLES_H
#define VTD_BROKER_WORKER_HANDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VTD_HANDLE_INDEX_BITS      16u
#define VTD_HANDLE_GENERATION_BITS 44u
#define VTD_HANDLE_GENERATION_MAX  ((UINT64_C(1) << VTD_HANDLE_GENERATION_BITS) - 1)

enum vtd_handle_type {
        VTD_HANDLE_DEVICE = 1,
        VTD_HANDLE_MAPPING,
        VTD_HANDLE_TABLE,
};

enum {
        VTD_HANDLES_E_FULL = 1, /* no slot is free (or all others are retired) */
        VTD_HANDLES_E_ABSENT,   /* no such handle, or released since */
};

struct vtd_handle_slot {
        uint64_t generation; /* of the last use; 0: never used */
        bool used;
        uint32_t next; /* free list, while not used; the capacity ends it */
};

/* The slots of one type; objects live in an array of the caller's with the same indices. */
struct vtd_handles {
        enum vtd_handle_type type;
        uint32_t capacity;
        uint32_t free;
        struct vtd_handle_slot *slots;
};

/* Allocates @capacity slots (at most 2^16).  Returns 0, -EINVAL or -ENOMEM. */
int vtd_handles_init(struct vtd_handles *handles, enum vtd_handle_type type, size_t capacity);
void vtd_handles_deinit(struct vtd_handles *handles);

/* Takes a free slot.  Returns 0 with *@index, or VTD_HANDLES_E_FULL. */
int vtd_handles_take(struct vtd_handles *handles, size_t *index);

/* Frees a slot in use; its handle is dead from here on. */
void vtd_handles_release(struct vtd_handles *handles, size_t index);

/* The handle of a slot in use. */
uint64_t vtd_handles_name(const struct vtd_handles *handles, size_t index);

/* Returns 0 with the *@index of a slot in use, or VTD_HANDLES_E_ABSENT. */
int vtd_handles_find(const struct vtd_handles *handles, uint64_t handle, size_t *index);

/* True for an index below the capacity whose slot is in use. */
bool vtd_handles_used(const struct vtd_handles *handles, size_t index);

#endif
