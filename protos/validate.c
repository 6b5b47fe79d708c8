/* SPDX-License-Identifier: MIT */
/*
 * The ranges that message.h promises, judged on plain structs: after decoding, where a failure ends
 * the connection, and before encoding, where it is the caller's mistake.  Whether values fit a
 * tenant's policy or a host is judged elsewhere.
 */
#include "protos/wire.h"

#include <string.h>

#define MODES_MASK ((1u << (VTD_ATTACH_MODE_END - 1)) - 1)

static bool is_name_character(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == ':' || c == '-';
}

static bool is_valid_name(const struct vtd_name *name)
{
        size_t length = strnlen(name->text, sizeof(name->text));

        if (length == 0 || length == sizeof(name->text))
                return false;
        for (size_t i = 0; i < length; i++) {
                if (!is_name_character(name->text[i]))
                        return false;
        }
        return true;
}

static bool is_valid_attach(const struct vtd_attach_request *attach)
{
        if (attach->mode < VTD_ATTACH_BLOCKED || attach->mode >= VTD_ATTACH_MODE_END)
                return false;
        if (attach->pasid > VTD_PASID_MAX || (attach->flags & ~VTD_FIRST_STAGE_FLAGS) != 0)
                return false;
        return attach->mode == VTD_ATTACH_FIRST_STAGE ||
               (attach->root == 0 && attach->address_width == 0 && attach->flags == 0);
}

static bool is_valid_region(const struct vtd_region_request *region, bool write)
{
        if (region->width != 1 && region->width != 2 && region->width != 4 && region->width != 8)
                return false;
        if (!write)
                return region->value == 0;
        return region->width == 8 || region->value >> (region->width * 8) == 0;
}

static bool is_valid_config(const struct vtd_config_request *config, bool write)
{
        if (config->width != 1 && config->width != 2 && config->width != 4)
                return false;
        if (!write)
                return config->value == 0;
        return config->width == 4 || config->value >> (config->width * 8) == 0;
}

static bool is_valid_kind(enum vtd_interrupt_kind kind)
{
        return kind == VTD_INTERRUPT_MSI || kind == VTD_INTERRUPT_MSIX;
}

bool vtd_wire_valid_request(const struct vtd_request *request)
{
        switch (request->type) {
        case VTD_REQUEST_HELLO:
        case VTD_REQUEST_UNPLUG_DEVICE:
        case VTD_REQUEST_MAP_MEMORY:
        case VTD_REQUEST_UNMAP_MEMORY:
        case VTD_REQUEST_GET_STATS:
        case VTD_REQUEST_SET_DIRTY_TRACKING:
        case VTD_REQUEST_READ_DIRTY_BITMAP:
        case VTD_REQUEST_SUBSCRIBE_PAGE_REQUESTS:
        case VTD_REQUEST_RESPOND_PAGE_REQUEST:
        case VTD_REQUEST_GET_DEVICE_INFO:
        case VTD_REQUEST_RESET_DEVICE:
                return true;
        case VTD_REQUEST_PLUG_DEVICE:
                return is_valid_name(&request->plug_device.name);
        case VTD_REQUEST_ATTACH:
                return is_valid_attach(&request->attach);
        case VTD_REQUEST_INVALIDATE:
                return request->invalidate.count >= 1 &&
                       request->invalidate.count <= VTD_LIMIT_INVALIDATE_ENTRIES;
        case VTD_REQUEST_REGION_READ:
                return is_valid_region(&request->region, false);
        case VTD_REQUEST_REGION_WRITE:
                return is_valid_region(&request->region, true);
        case VTD_REQUEST_CONFIG_READ:
                return is_valid_config(&request->config, false);
        case VTD_REQUEST_CONFIG_WRITE:
                return is_valid_config(&request->config, true);
        case VTD_REQUEST_SET_INTERRUPT:
                return is_valid_kind(request->interrupt.kind);
        case VTD_REQUEST_CLEAR_INTERRUPTS:
                return is_valid_kind(request->interrupt.kind) && request->interrupt.vector == 0;
        case VTD_REQUEST_TYPE_END:
        default:
                return false;
        }
}

static bool is_valid_plug_device_reply(const struct vtd_plug_device_reply *reply)
{
        if (reply->pasid_bits > 20 || reply->n_reserved > VTD_LIMIT_RESERVED_RANGES)
                return false;
        for (size_t i = 0; i < reply->n_reserved; i++) {
                if (reply->reserved[i].last < reply->reserved[i].start)
                        return false;
        }
        return true;
}

static bool is_valid_access(bool exists, bool readable, bool writable)
{
        return (exists || !readable) && (readable || !writable);
}

static bool is_valid_device_info_reply(const struct vtd_device_info_reply *reply)
{
        for (size_t i = 0; i < VTD_REGIONS; i++) {
                const struct vtd_device_region *region = &reply->regions[i];

                if (!is_valid_access(region->size > 0, region->readable, region->writable))
                        return false;
        }
        return is_valid_access(true, reply->config_readable, reply->config_writable) &&
               reply->msi_vectors <= 1 && reply->msix_vectors <= VTD_LIMIT_INTERRUPTS;
}

static bool is_valid_refusal(const struct vtd_refusal *refusal)
{
        if (refusal->reason < VTD_REASON_NOT_BUILT || refusal->reason >= VTD_REASON_END)
                return false;
        return refusal->status == vtd_reason_status(refusal->reason);
}

bool vtd_wire_valid_reply(const struct vtd_reply *reply)
{
        if (reply->refused)
                return vtd_request_kind(reply->type) && is_valid_refusal(&reply->refusal);
        switch (reply->type) {
        case VTD_REQUEST_HELLO:
                return (reply->hello.host == VTD_HOST_LINUX ||
                        reply->hello.host == VTD_HOST_SIMULATED) &&
                       (reply->hello.modes & ~MODES_MASK) == 0;
        case VTD_REQUEST_PLUG_DEVICE:
                return is_valid_plug_device_reply(&reply->plug_device);
        case VTD_REQUEST_GET_DEVICE_INFO:
                return is_valid_device_info_reply(&reply->device_info);
        case VTD_REQUEST_UNPLUG_DEVICE:
        case VTD_REQUEST_MAP_MEMORY:
        case VTD_REQUEST_UNMAP_MEMORY:
        case VTD_REQUEST_ATTACH:
        case VTD_REQUEST_INVALIDATE:
        case VTD_REQUEST_REGION_READ:
        case VTD_REQUEST_REGION_WRITE:
        case VTD_REQUEST_GET_STATS:
        case VTD_REQUEST_CONFIG_READ:
        case VTD_REQUEST_CONFIG_WRITE:
        case VTD_REQUEST_SET_INTERRUPT:
        case VTD_REQUEST_CLEAR_INTERRUPTS:
        case VTD_REQUEST_RESET_DEVICE:
                return true;
        case VTD_REQUEST_SET_DIRTY_TRACKING: /* what is not built can only be refused */
        case VTD_REQUEST_READ_DIRTY_BITMAP:
        case VTD_REQUEST_SUBSCRIBE_PAGE_REQUESTS:
        case VTD_REQUEST_RESPOND_PAGE_REQUEST:
        case VTD_REQUEST_TYPE_END:
        default:
                return false;
        }
}
