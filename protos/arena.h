/* SPDX-License-Identifier: MIT */
/*
 * The memory that one record is unpacked into: a bump allocator over struct vtd_codec, in the shape
 * that protobuf-c wants.  What a peer sends can exhaust it, never make it grow.
 */
#ifndef VTD_PROTOS_ARENA_H
#define VTD_PROTOS_ARENA_H

#include <protobuf-c/protobuf-c.h>

#include "protos/codec.h"

/*
 * Empties the arena of @codec and returns an allocator over it, which borrows @codec.  Its alloc
 * returns 16-byte aligned memory, or NULL when the rest is too small; its free does nothing.
 */
ProtobufCAllocator vtd_arena_reset(struct vtd_codec *codec);

#endif
