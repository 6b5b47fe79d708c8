/* SPDX-License-Identifier: MIT */
/*
 * The request table and the names of everything that has a number on the wire.
 *
 * Each table is written once, as a list of rows.  The compiler refuses a table that misses a row:
 * it counts them, and it warns of a row that appears twice.  tests/unit/test-protocol-doc.c holds
 * PROTOCOL.md to the same rows.
 */
#include "protos/message.h"

#include "shared/checked.h"

/*
 * type, name, smallest and largest canonical body, descriptors, minor version that brought it,
 * whether it is reserved.  The limits follow from the schema: a field takes one byte of tag and 1 to
 * 10 bytes of varint (1 to 5 for 32 bits).
 */
#define REQUESTS(ROW)                                                                              \
        ROW(HELLO, "Hello", 6, 23, 0, 0, false)                                                    \
        ROW(PLUG_DEVICE, "PlugDevice", 3, 33, 0, 0, false)                                         \
        ROW(UNPLUG_DEVICE, "UnplugDevice", 2, 11, 0, 0, false)                                     \
        ROW(MAP_MEMORY, "MapMemory", 6, 33, 1, 0, false)                                           \
        ROW(UNMAP_MEMORY, "UnmapMemory", 2, 11, 0, 0, false)                                       \
        ROW(ATTACH, "Attach", 4, 36, 0, 0, false)                                                  \
        ROW(INVALIDATE, "Invalidate", 10, 3339, 0, 0, false)                                       \
        ROW(REGION_READ, "RegionRead", 8, 30, 0, 0, false)                                         \
        ROW(REGION_WRITE, "RegionWrite", 10, 41, 0, 0, false)                                      \
        ROW(GET_STATS, "GetStats", 0, 0, 0, 0, false)                                              \
        ROW(SET_DIRTY_TRACKING, "SetDirtyTracking", 0, 2, 0, 0, true)                              \
        ROW(READ_DIRTY_BITMAP, "ReadDirtyBitmap", 0, 24, 1, 0, true)                               \
        ROW(SUBSCRIBE_PAGE_REQUESTS, "SubscribePageRequests", 0, 11, 0, 0, true)                   \
        ROW(RESPOND_PAGE_REQUEST, "RespondPageRequest", 0, 29, 0, 0, true)                         \
        ROW(GET_DEVICE_INFO, "GetDeviceInfo", 2, 11, 0, 1, false)                                  \
        ROW(CONFIG_READ, "ConfigRead", 6, 19, 0, 1, false)                                         \
        ROW(CONFIG_WRITE, "ConfigWrite", 8, 25, 0, 1, false)                                       \
        ROW(SET_INTERRUPT, "SetInterrupt", 6, 19, 1, 1, false)                                     \
        ROW(CLEAR_INTERRUPTS, "ClearInterrupts", 4, 13, 0, 1, false)                               \
        ROW(RESET_DEVICE, "ResetDevice", 2, 11, 0, 1, false)

#define STATUSES(ROW)                                                                              \
        ROW(UNSUPPORTED, "unsupported")                                                            \
        ROW(DENIED, "denied")                                                                      \
        ROW(LIMIT, "limit")                                                                        \
        ROW(NOT_FOUND, "not-found")                                                                \
        ROW(INVALID, "invalid")                                                                    \
        ROW(BUSY, "busy")                                                                          \
        ROW(HOST, "host")

#define REASONS(ROW)                                                                               \
        ROW(NOT_BUILT, UNSUPPORTED, "not-built")                                                   \
        ROW(VERSION, UNSUPPORTED, "version")                                                       \
        ROW(DEVICE_NOT_GRANTED, DENIED, "device-not-granted")                                      \
        ROW(MODE_NOT_GRANTED, DENIED, "mode-not-granted")                                          \
        ROW(FLAGS_NOT_GRANTED, DENIED, "flags-not-granted")                                        \
        ROW(WIDTH_NOT_GRANTED, DENIED, "width-not-granted")                                        \
        ROW(REGION_NOT_GRANTED, DENIED, "region-not-granted")                                      \
        ROW(GROUP_SHARED, DENIED, "group-shared")                                                  \
        ROW(NO_RESET, DENIED, "no-reset")                                                          \
        ROW(NO_SNOOP_CONTROL, DENIED, "no-snoop-control")                                          \
        ROW(MEMORY_LIMIT, LIMIT, "memory-limit")                                                   \
        ROW(MAPPING_LIMIT, LIMIT, "mapping-limit")                                                 \
        ROW(DEVICE_LIMIT, LIMIT, "device-limit")                                                   \
        ROW(FIRST_STAGE_TABLE_LIMIT, LIMIT, "first-stage-table-limit")                             \
        ROW(PASID_LIMIT, LIMIT, "pasid-limit")                                                     \
        ROW(HOST_LIMIT, LIMIT, "host-limit")                                                       \
        ROW(DEVICE_HANDLE, NOT_FOUND, "device-handle")                                             \
        ROW(MAPPING_HANDLE, NOT_FOUND, "mapping-handle")                                           \
        ROW(TABLE_HANDLE, NOT_FOUND, "table-handle")                                               \
        ROW(DEVICE_PLUGGED, INVALID, "device-plugged")                                             \
        ROW(NO_DEVICE, INVALID, "no-device")                                                       \
        ROW(MEMFD_KIND, INVALID, "memfd-kind")                                                     \
        ROW(MEMFD_SEALS, INVALID, "memfd-seals")                                                   \
        ROW(MEMFD_ACCESS, INVALID, "memfd-access")                                                 \
        ROW(MEMFD_RANGE, INVALID, "memfd-range")                                                   \
        ROW(ALIGNMENT, INVALID, "alignment")                                                       \
        ROW(ADDRESS_RANGE, INVALID, "address-range")                                               \
        ROW(OVERLAP, INVALID, "overlap")                                                           \
        ROW(RESERVED_RANGE, INVALID, "reserved-range")                                             \
        ROW(ROOT_NOT_MAPPED, INVALID, "root-not-mapped")                                           \
        ROW(WIDTH_UNSUPPORTED, INVALID, "width-unsupported")                                       \
        ROW(FLAGS_UNSUPPORTED, INVALID, "flags-unsupported")                                       \
        ROW(PASID_RANGE, INVALID, "pasid-range")                                                   \
        ROW(INVALIDATE_RANGE, INVALID, "invalidate-range")                                         \
        ROW(REGION_RANGE, INVALID, "region-range")                                                 \
        ROW(DEVICE_BUSY, BUSY, "device-busy")                                                      \
        ROW(HOST_NOT_VTD, HOST, "host-not-vtd")                                                    \
        ROW(HOST_NO_NESTING, HOST, "host-no-nesting")                                              \
        ROW(HOST_DEVICE, HOST, "host-device")                                                      \
        ROW(HOST_FAILED, HOST, "host-failed")                                                      \
        ROW(HOST_BRIDGE, HOST, "host-bridge")                                                      \
        ROW(HOST_CONFIG, HOST, "host-config")                                                      \
        ROW(CONFIG_NOT_GRANTED, DENIED, "config-not-granted")                                      \
        ROW(INTERRUPT_LIMIT, LIMIT, "interrupt-limit")                                             \
        ROW(INTERRUPT_VECTOR, INVALID, "interrupt-vector")                                         \
        ROW(INTERRUPT_KIND, INVALID, "interrupt-kind")                                             \
        ROW(EVENTFD_KIND, INVALID, "eventfd-kind")

#define ATTACH_MODES(ROW)                                                                          \
        ROW(BLOCKED, "blocked")                                                                    \
        ROW(PASSTHROUGH, "passthrough")                                                            \
        ROW(FIRST_STAGE, "first-stage")

#define COUNT(...) +1

_Static_assert((REQUESTS(COUNT)) == VTD_REQUEST_TYPE_END - 1, "a request type has no row");
_Static_assert((STATUSES(COUNT)) == VTD_STATUS_END - 1, "a status has no row");
_Static_assert((REASONS(COUNT)) == VTD_REASON_END - 1, "a reason has no row");
_Static_assert((ATTACH_MODES(COUNT)) == VTD_ATTACH_MODE_END - 1, "an attach mode has no row");

#define CHECK_LIMITS(type, text, min, max, fds, minor, reserved)                                   \
        _Static_assert((min) <= (max) && (max) <= VTD_LIMIT_BODY && (fds) < VTD_LIMIT_RECORD_FDS,  \
                       text);
REQUESTS(CHECK_LIMITS)

#define REQUEST_ROW(type, text, min, max, fds, since, unbuilt)                                     \
        [VTD_REQUEST_##type] = {.name = (text),                                                    \
                                .body_min = (min),                                                 \
                                .body_max = (max),                                                 \
                                .fd_count = (fds),                                                 \
                                .minor = (since),                                                  \
                                .reserved = (unbuilt)},
#define STATUS_ROW(status, text)         [VTD_STATUS_##status] = (text),
#define REASON_ROW(reason, status, text) [VTD_REASON_##reason] = {VTD_STATUS_##status, (text)},
#define ATTACH_MODE_ROW(mode, text)      [VTD_ATTACH_##mode] = (text),

static const struct vtd_request_kind request_kinds[VTD_REQUEST_TYPE_END] = {REQUESTS(REQUEST_ROW)};

static const char *const status_names[VTD_STATUS_END] = {STATUSES(STATUS_ROW)};

static const struct {
        enum vtd_status status;
        const char *name;
} reasons[VTD_REASON_END] = {REASONS(REASON_ROW)};

static const char *const attach_mode_names[VTD_ATTACH_MODE_END] = {ATTACH_MODES(ATTACH_MODE_ROW)};

static const char unknown[] = "unknown";

const struct vtd_request_kind *vtd_request_kind(uint32_t type)
{
        if (type == 0 || type >= VTD_ARRAY_SIZE(request_kinds))
                return NULL;
        return &request_kinds[type];
}

const char *vtd_status_name(enum vtd_status status)
{
        if (status == 0 || status >= VTD_ARRAY_SIZE(status_names))
                return unknown;
        return status_names[status];
}

const char *vtd_reason_name(enum vtd_reason reason)
{
        if (reason == 0 || reason >= VTD_ARRAY_SIZE(reasons))
                return unknown;
        return reasons[reason].name;
}

const char *vtd_attach_mode_name(enum vtd_attach_mode mode)
{
        if (mode == 0 || mode >= VTD_ARRAY_SIZE(attach_mode_names))
                return unknown;
        return attach_mode_names[mode];
}

enum vtd_status vtd_reason_status(enum vtd_reason reason)
{
        if (reason == 0 || reason >= VTD_ARRAY_SIZE(reasons))
                return VTD_STATUS_END;
        return reasons[reason].status;
}
