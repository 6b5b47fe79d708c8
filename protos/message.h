/* SPDX-License-Identifier: MIT */
/*
 * Requests and replies as plain structs: what every file but the codec sees.  No pointer into a
 * received record, no protobuf type.  Values that decoding has not checked are described as such;
 * all others are within the ranges given here when a decoded message is handed out.
 */
#ifndef VTD_PROTOS_MESSAGE_H
#define VTD_PROTOS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/limits.h"

#define VTD_PROTOCOL_MAJOR 1u
#define VTD_PROTOCOL_MINOR 1u

/* Values of the header's type field. */
enum vtd_request_type {
        VTD_REQUEST_HELLO = 1,
        VTD_REQUEST_PLUG_DEVICE = 2,
        VTD_REQUEST_UNPLUG_DEVICE = 3,
        VTD_REQUEST_MAP_MEMORY = 4,
        VTD_REQUEST_UNMAP_MEMORY = 5,
        VTD_REQUEST_ATTACH = 6,
        VTD_REQUEST_INVALIDATE = 7,
        VTD_REQUEST_REGION_READ = 8,
        VTD_REQUEST_REGION_WRITE = 9,
        VTD_REQUEST_GET_STATS = 10,
        VTD_REQUEST_SET_DIRTY_TRACKING = 11,
        VTD_REQUEST_READ_DIRTY_BITMAP = 12,
        VTD_REQUEST_SUBSCRIBE_PAGE_REQUESTS = 13,
        VTD_REQUEST_RESPOND_PAGE_REQUEST = 14,
        VTD_REQUEST_GET_DEVICE_INFO = 15,
        VTD_REQUEST_CONFIG_READ = 16,
        VTD_REQUEST_CONFIG_WRITE = 17,
        VTD_REQUEST_SET_INTERRUPT = 18,
        VTD_REQUEST_CLEAR_INTERRUPTS = 19,
        VTD_REQUEST_RESET_DEVICE = 20,
        VTD_REQUEST_TYPE_END,
};

enum vtd_host_kind {
        VTD_HOST_LINUX = 1,
        VTD_HOST_SIMULATED = 2,
};

/* Why a request was refused, in classes that a client acts on. */
enum vtd_status {
        VTD_STATUS_UNSUPPORTED = 1, /* the request is in the protocol but not built */
        VTD_STATUS_DENIED = 2,      /* the policy does not grant it */
        VTD_STATUS_LIMIT = 3,       /* the policy grants it up to a limit that is reached */
        VTD_STATUS_NOT_FOUND = 4,   /* no such handle, or released since */
        VTD_STATUS_INVALID = 5,     /* well-formed, but its values do not fit together */
        VTD_STATUS_BUSY = 6,        /* the device or the host is busy: try again */
        VTD_STATUS_HOST = 7,        /* the host cannot or did not do it */
        VTD_STATUS_END,
};

/* What exactly was wrong; one class above goes with each. */
enum vtd_reason {
        VTD_REASON_NOT_BUILT = 1,           /* UNSUPPORTED */
        VTD_REASON_VERSION,                 /* UNSUPPORTED: asked major, allowed major */
        VTD_REASON_DEVICE_NOT_GRANTED,      /* DENIED */
        VTD_REASON_MODE_NOT_GRANTED,        /* DENIED: asked enum vtd_attach_mode */
        VTD_REASON_FLAGS_NOT_GRANTED,       /* DENIED: first-stage flags asked, allowed */
        VTD_REASON_WIDTH_NOT_GRANTED,       /* DENIED: address width asked, allowed */
        VTD_REASON_REGION_NOT_GRANTED,      /* DENIED: asked region index */
        VTD_REASON_GROUP_SHARED,            /* DENIED: IOMMU group has other members */
        VTD_REASON_NO_RESET,                /* DENIED: device cannot be reset */
        VTD_REASON_NO_SNOOP_CONTROL,        /* DENIED: its IOMMU lacks snoop control */
        VTD_REASON_MEMORY_LIMIT,            /* LIMIT: bytes asked in total, allowed */
        VTD_REASON_MAPPING_LIMIT,           /* LIMIT */
        VTD_REASON_DEVICE_LIMIT,            /* LIMIT */
        VTD_REASON_FIRST_STAGE_TABLE_LIMIT, /* LIMIT */
        VTD_REASON_PASID_LIMIT,             /* LIMIT: PASIDs attached at once */
        VTD_REASON_HOST_LIMIT,         /* LIMIT: the host ran out (locked memory, domain ids) */
        VTD_REASON_DEVICE_HANDLE,      /* NOT_FOUND */
        VTD_REASON_MAPPING_HANDLE,     /* NOT_FOUND */
        VTD_REASON_TABLE_HANDLE,       /* NOT_FOUND */
        VTD_REASON_DEVICE_PLUGGED,     /* INVALID: this VM has it already */
        VTD_REASON_NO_DEVICE,          /* INVALID: memory is mapped after the first plug */
        VTD_REASON_MEMFD_KIND,         /* INVALID: the descriptor is not a memfd */
        VTD_REASON_MEMFD_SEALS,        /* INVALID: seals asked (found), allowed (needed) */
        VTD_REASON_MEMFD_ACCESS,       /* INVALID: not open for reading and writing */
        VTD_REASON_MEMFD_RANGE,        /* INVALID: end asked, size allowed */
        VTD_REASON_ALIGNMENT,          /* INVALID: asked value, allowed alignment */
        VTD_REASON_ADDRESS_RANGE,      /* INVALID: end asked, limit allowed */
        VTD_REASON_OVERLAP,            /* INVALID: overlaps an existing mapping */
        VTD_REASON_RESERVED_RANGE,     /* INVALID: touches a range reserved by a device */
        VTD_REASON_ROOT_NOT_MAPPED,    /* INVALID: asked root address */
        VTD_REASON_WIDTH_UNSUPPORTED,  /* INVALID: the host's IOMMU lacks that address width */
        VTD_REASON_FLAGS_UNSUPPORTED,  /* INVALID: the host's IOMMU lacks those flags */
        VTD_REASON_PASID_RANGE,        /* INVALID: PASID asked, first one not allowed */
        VTD_REASON_INVALIDATE_RANGE,   /* INVALID: address or page count out of range */
        VTD_REASON_REGION_RANGE,       /* INVALID: end asked, region size allowed */
        VTD_REASON_DEVICE_BUSY,        /* BUSY: held by another VM, or in reset */
        VTD_REASON_HOST_NOT_VTD,       /* HOST: the device is not behind a VT-d IOMMU */
        VTD_REASON_HOST_NO_NESTING,    /* HOST: that IOMMU has no nested translation */
        VTD_REASON_HOST_DEVICE,        /* HOST: the device could not be opened or bound */
        VTD_REASON_HOST_FAILED,        /* HOST: a host call failed; Invalidate: allowed is the
                                            * number of entries done, and the table's attachments
                                            * are blocked */
        VTD_REASON_HOST_BRIDGE,        /* HOST: behind a bridge to conventional PCI */
        VTD_REASON_HOST_CONFIG,        /* HOST: its configuration space breaks the rules of PCI:
                                            * asked is the offset where */
        VTD_REASON_CONFIG_NOT_GRANTED, /* DENIED */
        VTD_REASON_INTERRUPT_LIMIT,    /* LIMIT: vectors armed at once */
        VTD_REASON_INTERRUPT_VECTOR,   /* INVALID: vector asked, number of them allowed */
        VTD_REASON_INTERRUPT_KIND,     /* INVALID: vectors of the other kind are armed */
        VTD_REASON_EVENTFD_KIND,       /* INVALID: the descriptor is not an eventfd */
        VTD_REASON_END,
};

/* First-stage attributes of AttachRequest.flags. */
#define VTD_FIRST_STAGE_SRE   0x1u
#define VTD_FIRST_STAGE_EAFE  0x2u
#define VTD_FIRST_STAGE_WPE   0x4u
#define VTD_FIRST_STAGE_FLAGS 0x7u

enum vtd_attach_mode {
        VTD_ATTACH_BLOCKED = 1,
        VTD_ATTACH_PASSTHROUGH = 2,
        VTD_ATTACH_FIRST_STAGE = 3,
        VTD_ATTACH_MODE_END,
};

/* How a device signals. */
enum vtd_interrupt_kind {
        VTD_INTERRUPT_MSI = 1,
        VTD_INTERRUPT_MSIX = 2,
        VTD_INTERRUPT_KIND_END,
};

/* BARs of a PCI function. */
#define VTD_REGIONS 6u

/* A PASID on the wire; absence is VTD_NO_PASID, and 0 is never a valid PASID here. */
#define VTD_NO_PASID  0u
#define VTD_PASID_MAX 0xfffffu

#define VTD_INVALIDATE_ALL UINT64_MAX

struct vtd_name {
        char text[VTD_LIMIT_NAME + 1]; /* NUL-terminated, [A-Za-z0-9._:-]+ */
};

struct vtd_hello_request {
        uint32_t major;
        uint32_t minor;
        uint64_t features;
};

struct vtd_hello_reply {
        uint32_t major;
        uint32_t minor;
        uint64_t features;
        enum vtd_host_kind host;
        uint64_t memory;
        uint32_t mappings;
        uint32_t devices;
        uint32_t first_stage_tables;
        uint32_t pasids;
        uint32_t modes; /* bit (mode - 1) for each enum vtd_attach_mode granted */
};

struct vtd_plug_device_request {
        struct vtd_name name;
};

struct vtd_address_range {
        uint64_t start;
        uint64_t last; /* inclusive, not below start */
};

struct vtd_plug_device_reply {
        uint64_t device;
        uint64_t cap;
        uint64_t ecap;
        uint32_t pasid_bits; /* 0 to 20 */
        uint32_t regions;
        size_t n_reserved;
        struct vtd_address_range reserved[VTD_LIMIT_RESERVED_RANGES];
};

struct vtd_unplug_device_request {
        uint64_t device;
};

struct vtd_map_memory_request {
        uint64_t gpa;    /* unchecked */
        uint64_t size;   /* unchecked */
        uint64_t offset; /* unchecked */
};

struct vtd_map_memory_reply {
        uint64_t mapping;
};

struct vtd_unmap_memory_request {
        uint64_t mapping;
};

struct vtd_attach_request {
        uint64_t device;
        uint32_t pasid; /* VTD_NO_PASID or 1 to VTD_PASID_MAX */
        enum vtd_attach_mode mode;
        uint64_t root;          /* unchecked; 0 unless first-stage */
        uint32_t address_width; /* unchecked; 0 unless first-stage */
        uint32_t flags;         /* of VTD_FIRST_STAGE_FLAGS; 0 unless first-stage */
};

struct vtd_attach_reply {
        uint64_t table; /* 0 unless first-stage */
};

struct vtd_invalidate_entry {
        uint64_t address; /* unchecked */
        uint64_t pages;   /* unchecked */
        bool leaf;
};

struct vtd_invalidate_request {
        uint64_t table;
        size_t count; /* 1 to VTD_LIMIT_INVALIDATE_ENTRIES */
        struct vtd_invalidate_entry entries[VTD_LIMIT_INVALIDATE_ENTRIES];
};

struct vtd_region_request {
        uint64_t device;
        uint32_t region; /* unchecked */
        uint32_t width;  /* 1, 2, 4 or 8 */
        uint64_t offset; /* unchecked */
        uint64_t value;  /* RegionWrite: fits width bytes; RegionRead: 0 */
};

struct vtd_region_read_reply {
        uint64_t value;
};

/* GetDeviceInfo and ResetDevice */
struct vtd_device_request {
        uint64_t device;
};

struct vtd_device_region {
        uint64_t size; /* 0: there is no such BAR, and it is neither readable nor writable */
        bool readable;
        bool writable; /* only if readable */
};

struct vtd_device_info_reply {
        struct vtd_device_region regions[VTD_REGIONS];
        bool config_readable;
        bool config_writable;  /* only if readable */
        uint32_t msi_vectors;  /* 0 or 1 */
        uint32_t msix_vectors; /* at most VTD_LIMIT_INTERRUPTS */
        bool can_reset;
};

struct vtd_config_request {
        uint64_t device;
        uint32_t offset; /* unchecked */
        uint32_t width;  /* 1, 2 or 4 */
        uint32_t value;  /* ConfigWrite: fits width bytes; ConfigRead: 0 */
};

struct vtd_config_read_reply {
        uint32_t value;
};

struct vtd_device_interrupt_request {
        uint64_t device;
        enum vtd_interrupt_kind kind;
        uint32_t vector; /* SetInterrupt: unchecked; ClearInterrupts: 0 */
};

struct vtd_stats {
        uint64_t requests;
        uint64_t refused;
        uint64_t invalidate_requests;
        uint64_t invalidate_entries;
        uint64_t host_calls;
        uint64_t delayed_us;
        uint64_t memory;
        uint32_t mappings;
        uint32_t devices;
        uint32_t first_stage_tables;
        uint32_t second_stage_tables;
        uint32_t attachments;
};

struct vtd_refusal {
        enum vtd_status status;
        enum vtd_reason reason;
        uint64_t asked;
        uint64_t allowed;
};

struct vtd_request {
        enum vtd_request_type type;
        uint32_t sequence;
        union {
                struct vtd_hello_request hello;
                struct vtd_plug_device_request plug_device;
                struct vtd_unplug_device_request unplug_device;
                struct vtd_map_memory_request map_memory;
                struct vtd_unmap_memory_request unmap_memory;
                struct vtd_attach_request attach;
                struct vtd_invalidate_request invalidate;
                struct vtd_region_request region; /* RegionRead and RegionWrite */
                struct vtd_device_request device; /* GetDeviceInfo and ResetDevice */
                struct vtd_config_request config; /* ConfigRead and ConfigWrite */
                struct vtd_device_interrupt_request
                        interrupt; /* SetInterrupt and ClearInterrupts */
                /* the other types carry nothing that is used before they are built */
        };
};

struct vtd_reply {
        enum vtd_request_type type; /* of the request that is answered */
        uint32_t sequence;
        bool refused;
        union {
                struct vtd_refusal refusal; /* if refused */
                struct vtd_hello_reply hello;
                struct vtd_plug_device_reply plug_device;
                struct vtd_map_memory_reply map_memory;
                struct vtd_attach_reply attach;
                struct vtd_region_read_reply region_read;
                struct vtd_device_info_reply device_info;
                struct vtd_config_read_reply config_read;
                struct vtd_stats stats;
        };
};

/* One row per request type: what the header is judged by before the body is looked at. */
struct vtd_request_kind {
        const char *name; /* as in PROTOCOL.md: "PlugDevice" */
        uint16_t body_min;
        uint16_t body_max;
        uint8_t fd_count;
        uint8_t minor; /* minor version of the protocol from which on it may be sent */
        bool reserved; /* in the schema, but not built: its fields may be absent */
};

/* The row of @type, or NULL when there is no such request.  Static storage. */
const struct vtd_request_kind *vtd_request_kind(uint32_t type);

/* Names for people and for audit: "limit", "memory-limit", "first-stage".  Never NULL. */
const char *vtd_status_name(enum vtd_status status);
const char *vtd_reason_name(enum vtd_reason reason);
const char *vtd_attach_mode_name(enum vtd_attach_mode mode);

/* The class that @reason belongs to; VTD_STATUS_END when there is no such reason. */
enum vtd_status vtd_reason_status(enum vtd_reason reason);

#endif
