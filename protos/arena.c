/* SPDX-License-Identifier: MIT */
/* See arena.h.  Sizes are hostile: protobuf-c computes them from the number of fields received. */
#include "protos/arena.h"

#include <stdalign.h>

#define ARENA_ALIGNMENT ((size_t)16)

_Static_assert(ARENA_ALIGNMENT >= alignof(max_align_t), "any object may be placed in the arena");
_Static_assert(VTD_CODEC_ARENA_SIZE % ARENA_ALIGNMENT == 0, "used never passes the end");

static void *arena_alloc(void *data, size_t size)
{
        struct vtd_codec *codec = data;
        void *memory = codec->arena + codec->used;

        if (size > sizeof(codec->arena) - codec->used)
                return NULL;
        /* Cannot pass the end: what is left is a multiple of the alignment and not below size. */
        codec->used += (size + ARENA_ALIGNMENT - 1) & ~(ARENA_ALIGNMENT - 1);
        return memory;
}

static void arena_free(void *data, void *memory)
{
        (void)data;
        (void)memory;
}

ProtobufCAllocator vtd_arena_reset(struct vtd_codec *codec)
{
        codec->used = 0;
        return (ProtobufCAllocator){
                .alloc = arena_alloc,
                .free = arena_free,
                .allocator_data = codec,
        };
}
