/* SPDX-License-Identifier: MIT */
/*
 * Plain structs -> bodies, through the same generated code, on the stack.  May assume that the
 * struct is valid (validate.c), from which it follows that the body fits VTD_LIMIT_BODY.
 */
#include "protos/wire.h"

#include <string.h>

#include "protos/vtd-broker.pb-c.h"

#define MESSAGE(name) Vtd__Broker__V1__##name

/* For messages that are always sent with every field. */
static size_t pack_complete(ProtobufCMessage *message, uint8_t *body)
{
        vtd_wire_set_complete(message);
        return protobuf_c_message_pack(message, body);
}

static size_t write_hello(const struct vtd_hello_request *from, uint8_t *body)
{
        MESSAGE(HelloRequest) message = VTD__BROKER__V1__HELLO_REQUEST__INIT;

        message.major = from->major;
        message.minor = from->minor;
        message.features = from->features;
        return pack_complete(&message.base, body);
}

static size_t write_plug_device(const struct vtd_plug_device_request *from, uint8_t *body)
{
        MESSAGE(PlugDeviceRequest) message = VTD__BROKER__V1__PLUG_DEVICE_REQUEST__INIT;
        struct vtd_name name = from->name; /* protobuf-c takes no pointer to const */

        message.name.data = (uint8_t *)name.text;
        message.name.len = strlen(name.text);
        return pack_complete(&message.base, body);
}

static size_t write_unplug_device(const struct vtd_unplug_device_request *from, uint8_t *body)
{
        MESSAGE(UnplugDeviceRequest) message = VTD__BROKER__V1__UNPLUG_DEVICE_REQUEST__INIT;

        message.device = from->device;
        return pack_complete(&message.base, body);
}

static size_t write_map_memory(const struct vtd_map_memory_request *from, uint8_t *body)
{
        MESSAGE(MapMemoryRequest) message = VTD__BROKER__V1__MAP_MEMORY_REQUEST__INIT;

        message.gpa = from->gpa;
        message.size = from->size;
        message.offset = from->offset;
        return pack_complete(&message.base, body);
}

static size_t write_unmap_memory(const struct vtd_unmap_memory_request *from, uint8_t *body)
{
        MESSAGE(UnmapMemoryRequest) message = VTD__BROKER__V1__UNMAP_MEMORY_REQUEST__INIT;

        message.mapping = from->mapping;
        return pack_complete(&message.base, body);
}

static size_t write_attach(const struct vtd_attach_request *from, uint8_t *body)
{
        MESSAGE(AttachRequest) message = VTD__BROKER__V1__ATTACH_REQUEST__INIT;
        bool first_stage = from->mode == VTD_ATTACH_FIRST_STAGE;

        message.has_device = true;
        message.device = from->device;
        message.has_pasid = from->pasid != VTD_NO_PASID;
        message.pasid = from->pasid;
        message.has_mode = true;
        message.mode = from->mode;
        message.has_root = first_stage;
        message.root = from->root;
        message.has_address_width = first_stage;
        message.address_width = from->address_width;
        message.has_flags = first_stage;
        message.flags = from->flags;
        return protobuf_c_message_pack(&message.base, body);
}

static size_t write_invalidate(const struct vtd_invalidate_request *from, uint8_t *body)
{
        MESSAGE(InvalidateRequest) message = VTD__BROKER__V1__INVALIDATE_REQUEST__INIT;
        MESSAGE(InvalidateEntry) entries[VTD_LIMIT_INVALIDATE_ENTRIES];
        MESSAGE(InvalidateEntry) * pointers[VTD_LIMIT_INVALIDATE_ENTRIES];

        for (size_t i = 0; i < from->count; i++) {
                vtd__broker__v1__invalidate_entry__init(&entries[i]);
                entries[i].address = from->entries[i].address;
                entries[i].pages = from->entries[i].pages;
                entries[i].leaf = from->entries[i].leaf;
                vtd_wire_set_complete(&entries[i].base);
                pointers[i] = &entries[i];
        }
        message.table = from->table;
        message.n_entries = from->count;
        message.entries = pointers;
        return pack_complete(&message.base, body);
}

static size_t write_region_read(const struct vtd_region_request *from, uint8_t *body)
{
        MESSAGE(RegionReadRequest) message = VTD__BROKER__V1__REGION_READ_REQUEST__INIT;

        message.device = from->device;
        message.region = from->region;
        message.offset = from->offset;
        message.width = from->width;
        return pack_complete(&message.base, body);
}

static size_t write_region_write(const struct vtd_region_request *from, uint8_t *body)
{
        MESSAGE(RegionWriteRequest) message = VTD__BROKER__V1__REGION_WRITE_REQUEST__INIT;

        message.device = from->device;
        message.region = from->region;
        message.offset = from->offset;
        message.width = from->width;
        message.value = from->value;
        return pack_complete(&message.base, body);
}

static size_t write_get_device_info(const struct vtd_device_request *from, uint8_t *body)
{
        MESSAGE(GetDeviceInfoRequest) message = VTD__BROKER__V1__GET_DEVICE_INFO_REQUEST__INIT;

        message.device = from->device;
        return pack_complete(&message.base, body);
}

static size_t write_config_read(const struct vtd_config_request *from, uint8_t *body)
{
        MESSAGE(ConfigReadRequest) message = VTD__BROKER__V1__CONFIG_READ_REQUEST__INIT;

        message.device = from->device;
        message.offset = from->offset;
        message.width = from->width;
        return pack_complete(&message.base, body);
}

static size_t write_config_write(const struct vtd_config_request *from, uint8_t *body)
{
        MESSAGE(ConfigWriteRequest) message = VTD__BROKER__V1__CONFIG_WRITE_REQUEST__INIT;

        message.device = from->device;
        message.offset = from->offset;
        message.width = from->width;
        message.value = from->value;
        return pack_complete(&message.base, body);
}

static size_t write_set_interrupt(const struct vtd_device_interrupt_request *from, uint8_t *body)
{
        MESSAGE(SetInterruptRequest) message = VTD__BROKER__V1__SET_INTERRUPT_REQUEST__INIT;

        message.device = from->device;
        message.kind = from->kind;
        message.vector = from->vector;
        return pack_complete(&message.base, body);
}

static size_t write_clear_interrupts(const struct vtd_device_interrupt_request *from, uint8_t *body)
{
        MESSAGE(ClearInterruptsRequest) message = VTD__BROKER__V1__CLEAR_INTERRUPTS_REQUEST__INIT;

        message.device = from->device;
        message.kind = from->kind;
        return pack_complete(&message.base, body);
}

static size_t write_reset_device(const struct vtd_device_request *from, uint8_t *body)
{
        MESSAGE(ResetDeviceRequest) message = VTD__BROKER__V1__RESET_DEVICE_REQUEST__INIT;

        message.device = from->device;
        return pack_complete(&message.base, body);
}

size_t vtd_wire_write_request(const struct vtd_request *request, uint8_t *body)
{
        switch ((unsigned)request->type) {
        case VTD_REQUEST_HELLO:
                return write_hello(&request->hello, body);
        case VTD_REQUEST_PLUG_DEVICE:
                return write_plug_device(&request->plug_device, body);
        case VTD_REQUEST_UNPLUG_DEVICE:
                return write_unplug_device(&request->unplug_device, body);
        case VTD_REQUEST_MAP_MEMORY:
                return write_map_memory(&request->map_memory, body);
        case VTD_REQUEST_UNMAP_MEMORY:
                return write_unmap_memory(&request->unmap_memory, body);
        case VTD_REQUEST_ATTACH:
                return write_attach(&request->attach, body);
        case VTD_REQUEST_INVALIDATE:
                return write_invalidate(&request->invalidate, body);
        case VTD_REQUEST_REGION_READ:
                return write_region_read(&request->region, body);
        case VTD_REQUEST_REGION_WRITE:
                return write_region_write(&request->region, body);
        case VTD_REQUEST_GET_DEVICE_INFO:
                return write_get_device_info(&request->device, body);
        case VTD_REQUEST_CONFIG_READ:
                return write_config_read(&request->config, body);
        case VTD_REQUEST_CONFIG_WRITE:
                return write_config_write(&request->config, body);
        case VTD_REQUEST_SET_INTERRUPT:
                return write_set_interrupt(&request->interrupt, body);
        case VTD_REQUEST_CLEAR_INTERRUPTS:
                return write_clear_interrupts(&request->interrupt, body);
        case VTD_REQUEST_RESET_DEVICE:
                return write_reset_device(&request->device, body);
        default: /* GetStats, and what is not built: an empty body */
                return 0;
        }
}

static size_t write_hello_reply(const struct vtd_hello_reply *from, uint8_t *body)
{
        MESSAGE(HelloReply) message = VTD__BROKER__V1__HELLO_REPLY__INIT;

        message.major = from->major;
        message.minor = from->minor;
        message.features = from->features;
        message.host = from->host;
        message.memory = from->memory;
        message.mappings = from->mappings;
        message.devices = from->devices;
        message.first_stage_tables = from->first_stage_tables;
        message.pasids = from->pasids;
        message.modes = from->modes;
        return pack_complete(&message.base, body);
}

static size_t write_plug_device_reply(const struct vtd_plug_device_reply *from, uint8_t *body)
{
        MESSAGE(PlugDeviceReply) message = VTD__BROKER__V1__PLUG_DEVICE_REPLY__INIT;
        MESSAGE(AddressRange) ranges[VTD_LIMIT_RESERVED_RANGES];
        MESSAGE(AddressRange) * pointers[VTD_LIMIT_RESERVED_RANGES];

        for (size_t i = 0; i < from->n_reserved; i++) {
                vtd__broker__v1__address_range__init(&ranges[i]);
                ranges[i].start = from->reserved[i].start;
                ranges[i].last = from->reserved[i].last;
                vtd_wire_set_complete(&ranges[i].base);
                pointers[i] = &ranges[i];
        }
        message.device = from->device;
        message.cap = from->cap;
        message.ecap = from->ecap;
        message.pasid_bits = from->pasid_bits;
        message.regions = from->regions;
        message.n_reserved = from->n_reserved;
        message.reserved = pointers;
        return pack_complete(&message.base, body);
}

static size_t write_map_memory_reply(const struct vtd_map_memory_reply *from, uint8_t *body)
{
        MESSAGE(MapMemoryReply) message = VTD__BROKER__V1__MAP_MEMORY_REPLY__INIT;

        message.mapping = from->mapping;
        return pack_complete(&message.base, body);
}

static size_t write_attach_reply(const struct vtd_attach_reply *from, uint8_t *body)
{
        MESSAGE(AttachReply) message = VTD__BROKER__V1__ATTACH_REPLY__INIT;

        message.has_table = from->table != 0;
        message.table = from->table;
        return protobuf_c_message_pack(&message.base, body);
}

static size_t write_region_read_reply(const struct vtd_region_read_reply *from, uint8_t *body)
{
        MESSAGE(RegionReadReply) message = VTD__BROKER__V1__REGION_READ_REPLY__INIT;

        message.value = from->value;
        return pack_complete(&message.base, body);
}

static size_t write_device_info_reply(const struct vtd_device_info_reply *from, uint8_t *body)
{
        MESSAGE(GetDeviceInfoReply) message = VTD__BROKER__V1__GET_DEVICE_INFO_REPLY__INIT;
        MESSAGE(DeviceRegion) regions[VTD_REGIONS];
        MESSAGE(DeviceRegion) * pointers[VTD_REGIONS];

        for (size_t i = 0; i < VTD_REGIONS; i++) {
                vtd__broker__v1__device_region__init(&regions[i]);
                regions[i].size = from->regions[i].size;
                regions[i].readable = from->regions[i].readable;
                regions[i].writable = from->regions[i].writable;
                vtd_wire_set_complete(&regions[i].base);
                pointers[i] = &regions[i];
        }
        message.n_regions = VTD_REGIONS;
        message.regions = pointers;
        message.config_readable = from->config_readable;
        message.config_writable = from->config_writable;
        message.msi_vectors = from->msi_vectors;
        message.msix_vectors = from->msix_vectors;
        message.can_reset = from->can_reset;
        return pack_complete(&message.base, body);
}

static size_t write_config_read_reply(const struct vtd_config_read_reply *from, uint8_t *body)
{
        MESSAGE(ConfigReadReply) message = VTD__BROKER__V1__CONFIG_READ_REPLY__INIT;

        message.value = from->value;
        return pack_complete(&message.base, body);
}

static size_t write_stats_reply(const struct vtd_stats *from, uint8_t *body)
{
        MESSAGE(GetStatsReply) message = VTD__BROKER__V1__GET_STATS_REPLY__INIT;

        message.requests = from->requests;
        message.refused = from->refused;
        message.invalidate_requests = from->invalidate_requests;
        message.invalidate_entries = from->invalidate_entries;
        message.host_calls = from->host_calls;
        message.delayed_us = from->delayed_us;
        message.memory = from->memory;
        message.mappings = from->mappings;
        message.devices = from->devices;
        message.first_stage_tables = from->first_stage_tables;
        message.second_stage_tables = from->second_stage_tables;
        message.attachments = from->attachments;
        return pack_complete(&message.base, body);
}

static size_t write_refusal(const struct vtd_refusal *from, uint8_t *body)
{
        MESSAGE(Refusal) message = VTD__BROKER__V1__REFUSAL__INIT;

        message.status = from->status;
        message.reason = from->reason;
        message.asked = from->asked;
        message.allowed = from->allowed;
        return pack_complete(&message.base, body);
}

size_t vtd_wire_write_reply(const struct vtd_reply *reply, uint8_t *body)
{
        if (reply->refused)
                return write_refusal(&reply->refusal, body);
        switch ((unsigned)reply->type) {
        case VTD_REQUEST_HELLO:
                return write_hello_reply(&reply->hello, body);
        case VTD_REQUEST_PLUG_DEVICE:
                return write_plug_device_reply(&reply->plug_device, body);
        case VTD_REQUEST_MAP_MEMORY:
                return write_map_memory_reply(&reply->map_memory, body);
        case VTD_REQUEST_ATTACH:
                return write_attach_reply(&reply->attach, body);
        case VTD_REQUEST_REGION_READ:
                return write_region_read_reply(&reply->region_read, body);
        case VTD_REQUEST_GET_STATS:
                return write_stats_reply(&reply->stats, body);
        case VTD_REQUEST_GET_DEVICE_INFO:
                return write_device_info_reply(&reply->device_info, body);
        case VTD_REQUEST_CONFIG_READ:
                return write_config_read_reply(&reply->config_read, body);
        default: /* the others have an empty body */
                return 0;
        }
}
