/* SPDX-License-Identifier: MIT */
/*
 * Every numeric limit that more than one file depends on, with its reason.  Limits that policy may
 * lower are the hard ceilings here; policy/schema.c holds the defaults and ranges.
 */
#ifndef VTD_SHARED_LIMITS_H
#define VTD_SHARED_LIMITS_H

/* Largest protobuf body: 128 invalidation entries of at most 26 bytes fit, nothing needs more. */
#define VTD_LIMIT_BODY 4096u

/* Descriptors one record may carry: a request has none or one; room for one more shows an excess. */
#define VTD_LIMIT_RECORD_FDS 2u

/* Name of a device in policy and PlugDevice, without NUL; letters, digits and . _ : - only. */
#define VTD_LIMIT_NAME 31u

/* Entries of one Invalidate: what fits VTD_LIMIT_BODY; the kernel itself would take 2^19. */
#define VTD_LIMIT_INVALIDATE_ENTRIES 128u

/* Devices of one VM: bounds the worker's device table and the descriptors it holds. */
#define VTD_LIMIT_DEVICES 16u

/* Guest memory ranges of one VM: a machine has a handful; hot-plugged modules add more. */
#define VTD_LIMIT_MAPPINGS 256u

/* First-stage tables of one VM: each attached one takes a domain id shared by the whole host. */
#define VTD_LIMIT_FIRST_STAGE_TABLES 256u

/* Devices and PASIDs attached at once by one VM (RID attachments included). */
#define VTD_LIMIT_ATTACHMENTS 1024u

/* Interrupt vectors armed at once by one VM: as many as the MSI-X table of one function can have. */
#define VTD_LIMIT_INTERRUPTS 2048u

/*
 * Vectors armed and resets of one VM: so many at once, then so many a second.  For each of them the
 * host's kernel may write lines into its log, which is everybody's.
 */
#define VTD_LIMIT_DEVICE_CALL_BURST 256u
#define VTD_LIMIT_DEVICE_CALL_RATE  20u

/* Reserved ranges reported for a device: VT-d hosts report the MSI window and the address limit. */
#define VTD_LIMIT_RESERVED_RANGES 16u

/*
 * Largest piece pinned by one host call, so that a huge MapMemory does not keep the worker from
 * answering its supervisor: 1 GiB also keeps the largest page size usable.
 */
#define VTD_LIMIT_MAP_CHUNK (1ull << 30)

/* Longest time that an answer is delayed by a rate limit: a guest may spin on an Invalidate. */
#define VTD_LIMIT_INVALIDATE_DELAY_MS 100u

/* Workers of one vtd-brokerd, and connections that have not said Hello yet, over all tenants. */
#define VTD_LIMIT_WORKERS  256u
#define VTD_LIMIT_GREETING 32u

/* A connection that has not said Hello after this time is closed. */
#define VTD_LIMIT_HELLO_MS 5000u

#endif
