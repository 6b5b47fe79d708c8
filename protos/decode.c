/* SPDX-License-Identifier: MIT */
/*
 * Bodies -> plain structs.  Everything that is read here has already been unpacked into the arena
 * and found canonical; a reader copies, and judges which fields belong together and how many there
 * may be.  No pointer into the arena is left in a struct.
 */
#include "protos/wire.h"

#include <string.h>

#include "protos/arena.h"
#include "shared/checked.h"

#include "protos/vtd-broker.pb-c.h"

#define MESSAGE(name) Vtd__Broker__V1__##name

static bool read_hello(struct vtd_request *request, const void *from)
{
        const MESSAGE(HelloRequest) *message = from;

        request->hello = (struct vtd_hello_request){
                .major = message->major,
                .minor = message->minor,
                .features = message->features,
        };
        return true;
}

static bool read_plug_device(struct vtd_request *request, const void *from)
{
        const MESSAGE(PlugDeviceRequest) *message = from;
        const ProtobufCBinaryData *name = &message->name;

        /* A NUL inside would hide what follows it from the checks of the plain struct. */
        if (name->len == 0 || name->len > VTD_LIMIT_NAME || memchr(name->data, 0, name->len))
                return false;
        memcpy(request->plug_device.name.text, name->data, name->len);
        return true;
}

static bool read_unplug_device(struct vtd_request *request, const void *from)
{
        const MESSAGE(UnplugDeviceRequest) *message = from;

        request->unplug_device.device = message->device;
        return true;
}

static bool read_map_memory(struct vtd_request *request, const void *from)
{
        const MESSAGE(MapMemoryRequest) *message = from;

        request->map_memory = (struct vtd_map_memory_request){
                .gpa = message->gpa,
                .size = message->size,
                .offset = message->offset,
        };
        return true;
}

static bool read_unmap_memory(struct vtd_request *request, const void *from)
{
        const MESSAGE(UnmapMemoryRequest) *message = from;

        request->unmap_memory.mapping = message->mapping;
        return true;
}

static bool read_attach(struct vtd_request *request, const void *from)
{
        const MESSAGE(AttachRequest) *message = from;
        bool first_stage = message->mode == VTD_ATTACH_FIRST_STAGE;

        if (!message->has_device || !message->has_mode)
                return false;
        if (message->has_root != first_stage || message->has_address_width != first_stage ||
            message->has_flags != first_stage)
                return false;
        /* Absence is how requests without PASID are named; a 0 that is present is no PASID. */
        if (message->has_pasid && message->pasid == VTD_NO_PASID)
                return false;
        request->attach = (struct vtd_attach_request){
                .device = message->device,
                .pasid = message->pasid,
                .mode = message->mode,
                .root = message->root,
                .address_width = message->address_width,
                .flags = message->flags,
        };
        return true;
}

static bool read_invalidate(struct vtd_request *request, const void *from)
{
        const MESSAGE(InvalidateRequest) *message = from;

        if (message->n_entries > VTD_LIMIT_INVALIDATE_ENTRIES)
                return false;
        request->invalidate.table = message->table;
        request->invalidate.count = message->n_entries;
        for (size_t i = 0; i < message->n_entries; i++) {
                const MESSAGE(InvalidateEntry) *entry = message->entries[i];

                request->invalidate.entries[i] = (struct vtd_invalidate_entry){
                        .address = entry->address,
                        .pages = entry->pages,
                        .leaf = entry->leaf,
                };
        }
        return true;
}

static bool read_region_read(struct vtd_request *request, const void *from)
{
        const MESSAGE(RegionReadRequest) *message = from;

        request->region = (struct vtd_region_request){
                .device = message->device,
                .region = message->region,
                .width = message->width,
                .offset = message->offset,
        };
        return true;
}

static bool read_region_write(struct vtd_request *request, const void *from)
{
        const MESSAGE(RegionWriteRequest) *message = from;

        request->region = (struct vtd_region_request){
                .device = message->device,
                .region = message->region,
                .width = message->width,
                .offset = message->offset,
                .value = message->value,
        };
        return true;
}

static bool read_get_device_info(struct vtd_request *request, const void *from)
{
        const MESSAGE(GetDeviceInfoRequest) *message = from;

        request->device.device = message->device;
        return true;
}

static bool read_config_read(struct vtd_request *request, const void *from)
{
        const MESSAGE(ConfigReadRequest) *message = from;

        request->config = (struct vtd_config_request){
                .device = message->device,
                .offset = message->offset,
                .width = message->width,
        };
        return true;
}

static bool read_config_write(struct vtd_request *request, const void *from)
{
        const MESSAGE(ConfigWriteRequest) *message = from;

        request->config = (struct vtd_config_request){
                .device = message->device,
                .offset = message->offset,
                .width = message->width,
                .value = message->value,
        };
        return true;
}

static bool read_set_interrupt(struct vtd_request *request, const void *from)
{
        const MESSAGE(SetInterruptRequest) *message = from;

        request->interrupt = (struct vtd_device_interrupt_request){
                .device = message->device,
                .kind = message->kind,
                .vector = message->vector,
        };
        return true;
}

static bool read_clear_interrupts(struct vtd_request *request, const void *from)
{
        const MESSAGE(ClearInterruptsRequest) *message = from;

        request->interrupt = (struct vtd_device_interrupt_request){
                .device = message->device,
                .kind = message->kind,
        };
        return true;
}

static bool read_reset_device(struct vtd_request *request, const void *from)
{
        const MESSAGE(ResetDeviceRequest) *message = from;

        request->device.device = message->device;
        return true;
}

static bool read_hello_reply(struct vtd_reply *reply, const void *from)
{
        const MESSAGE(HelloReply) *message = from;

        reply->hello = (struct vtd_hello_reply){
                .major = message->major,
                .minor = message->minor,
                .features = message->features,
                .host = message->host,
                .memory = message->memory,
                .mappings = message->mappings,
                .devices = message->devices,
                .first_stage_tables = message->first_stage_tables,
                .pasids = message->pasids,
                .modes = message->modes,
        };
        return true;
}

static bool read_plug_device_reply(struct vtd_reply *reply, const void *from)
{
        const MESSAGE(PlugDeviceReply) *message = from;
        struct vtd_plug_device_reply *to = &reply->plug_device;

        if (message->n_reserved > VTD_LIMIT_RESERVED_RANGES)
                return false;
        to->device = message->device;
        to->cap = message->cap;
        to->ecap = message->ecap;
        to->pasid_bits = message->pasid_bits;
        to->regions = message->regions;
        to->n_reserved = message->n_reserved;
        for (size_t i = 0; i < message->n_reserved; i++) {
                to->reserved[i].start = message->reserved[i]->start;
                to->reserved[i].last = message->reserved[i]->last;
        }
        return true;
}

static bool read_map_memory_reply(struct vtd_reply *reply, const void *from)
{
        const MESSAGE(MapMemoryReply) *message = from;

        reply->map_memory.mapping = message->mapping;
        return true;
}

static bool read_attach_reply(struct vtd_reply *reply, const void *from)
{
        const MESSAGE(AttachReply) *message = from;

        /* Absence says that there is no table; a 0 that is present would say it a second way. */
        if (message->has_table && message->table == 0)
                return false;
        reply->attach.table = message->table;
        return true;
}

static bool read_region_read_reply(struct vtd_reply *reply, const void *from)
{
        const MESSAGE(RegionReadReply) *message = from;

        reply->region_read.value = message->value;
        return true;
}

static bool read_device_info_reply(struct vtd_reply *reply, const void *from)
{
        const MESSAGE(GetDeviceInfoReply) *message = from;
        struct vtd_device_info_reply *to = &reply->device_info;

        if (message->n_regions != VTD_REGIONS)
                return false;
        for (size_t i = 0; i < VTD_REGIONS; i++)
                to->regions[i] = (struct vtd_device_region){
                        .size = message->regions[i]->size,
                        .readable = message->regions[i]->readable,
                        .writable = message->regions[i]->writable,
                };
        to->config_readable = message->config_readable;
        to->config_writable = message->config_writable;
        to->msi_vectors = message->msi_vectors;
        to->msix_vectors = message->msix_vectors;
        to->can_reset = message->can_reset;
        return true;
}

static bool read_config_read_reply(struct vtd_reply *reply, const void *from)
{
        const MESSAGE(ConfigReadReply) *message = from;

        reply->config_read.value = message->value;
        return true;
}

static bool read_stats_reply(struct vtd_reply *reply, const void *from)
{
        const MESSAGE(GetStatsReply) *message = from;

        reply->stats = (struct vtd_stats){
                .requests = message->requests,
                .refused = message->refused,
                .invalidate_requests = message->invalidate_requests,
                .invalidate_entries = message->invalidate_entries,
                .host_calls = message->host_calls,
                .delayed_us = message->delayed_us,
                .memory = message->memory,
                .mappings = message->mappings,
                .devices = message->devices,
                .first_stage_tables = message->first_stage_tables,
                .second_stage_tables = message->second_stage_tables,
                .attachments = message->attachments,
        };
        return true;
}

static bool read_refusal(struct vtd_reply *reply, const void *from)
{
        const MESSAGE(Refusal) *message = from;

        reply->refusal = (struct vtd_refusal){
                .status = message->status,
                .reason = message->reason,
                .asked = message->asked,
                .allowed = message->allowed,
        };
        return true;
}

/* read is NULL where the struct has no member for the body. */
struct request_body {
        const ProtobufCMessageDescriptor *descriptor;
        enum vtd_wire_presence presence;
        bool (*read)(struct vtd_request *request, const void *message);
};

struct reply_body {
        const ProtobufCMessageDescriptor *descriptor;
        enum vtd_wire_presence presence;
        bool (*read)(struct vtd_reply *reply, const void *message);
        size_t min; /* body limits, as in the request table */
        size_t max;
};

#define BODY(name, presence) &vtd__broker__v1__##name##__descriptor, VTD_WIRE_##presence

#define REQUEST(type, name, presence, reader) [VTD_REQUEST_##type] = {BODY(name, presence), reader}
#define REPLY(type, name, presence, reader, min, max)                                              \
        [VTD_REQUEST_##type] = {BODY(name, presence), reader, min, max}

static const struct request_body request_bodies[] = {
        REQUEST(HELLO, hello_request, COMPLETE, read_hello),
        REQUEST(PLUG_DEVICE, plug_device_request, COMPLETE, read_plug_device),
        REQUEST(UNPLUG_DEVICE, unplug_device_request, COMPLETE, read_unplug_device),
        REQUEST(MAP_MEMORY, map_memory_request, COMPLETE, read_map_memory),
        REQUEST(UNMAP_MEMORY, unmap_memory_request, COMPLETE, read_unmap_memory),
        REQUEST(ATTACH, attach_request, PARTIAL, read_attach),
        REQUEST(INVALIDATE, invalidate_request, COMPLETE, read_invalidate),
        REQUEST(REGION_READ, region_read_request, COMPLETE, read_region_read),
        REQUEST(REGION_WRITE, region_write_request, COMPLETE, read_region_write),
        REQUEST(GET_STATS, get_stats_request, COMPLETE, NULL),
        REQUEST(SET_DIRTY_TRACKING, set_dirty_tracking_request, PARTIAL, NULL),
        REQUEST(READ_DIRTY_BITMAP, read_dirty_bitmap_request, PARTIAL, NULL),
        REQUEST(SUBSCRIBE_PAGE_REQUESTS, subscribe_page_requests_request, PARTIAL, NULL),
        REQUEST(RESPOND_PAGE_REQUEST, respond_page_request, PARTIAL, NULL),
        REQUEST(GET_DEVICE_INFO, get_device_info_request, COMPLETE, read_get_device_info),
        REQUEST(CONFIG_READ, config_read_request, COMPLETE, read_config_read),
        REQUEST(CONFIG_WRITE, config_write_request, COMPLETE, read_config_write),
        REQUEST(SET_INTERRUPT, set_interrupt_request, COMPLETE, read_set_interrupt),
        REQUEST(CLEAR_INTERRUPTS, clear_interrupts_request, COMPLETE, read_clear_interrupts),
        REQUEST(RESET_DEVICE, reset_device_request, COMPLETE, read_reset_device),
};

/* No descriptor: the request is not built, and its answer can only be a refusal. */
static const struct reply_body reply_bodies[] = {
        REPLY(HELLO, hello_reply, COMPLETE, read_hello_reply, 20, 62),
        REPLY(PLUG_DEVICE, plug_device_reply, COMPLETE, read_plug_device_reply, 10, 425),
        REPLY(UNPLUG_DEVICE, unplug_device_reply, COMPLETE, NULL, 0, 0),
        REPLY(MAP_MEMORY, map_memory_reply, COMPLETE, read_map_memory_reply, 2, 11),
        REPLY(UNMAP_MEMORY, unmap_memory_reply, COMPLETE, NULL, 0, 0),
        REPLY(ATTACH, attach_reply, PARTIAL, read_attach_reply, 0, 11),
        REPLY(INVALIDATE, invalidate_reply, COMPLETE, NULL, 0, 0),
        REPLY(REGION_READ, region_read_reply, COMPLETE, read_region_read_reply, 2, 11),
        REPLY(REGION_WRITE, region_write_reply, COMPLETE, NULL, 0, 0),
        REPLY(GET_STATS, get_stats_reply, COMPLETE, read_stats_reply, 24, 107),
        REPLY(GET_DEVICE_INFO, get_device_info_reply, COMPLETE, read_device_info_reply, 58, 113),
        REPLY(CONFIG_READ, config_read_reply, COMPLETE, read_config_read_reply, 2, 6),
        REPLY(CONFIG_WRITE, config_write_reply, COMPLETE, NULL, 0, 0),
        REPLY(SET_INTERRUPT, set_interrupt_reply, COMPLETE, NULL, 0, 0),
        REPLY(CLEAR_INTERRUPTS, clear_interrupts_reply, COMPLETE, NULL, 0, 0),
        REPLY(RESET_DEVICE, reset_device_reply, COMPLETE, NULL, 0, 0),
};

static const struct reply_body refusal_body = {BODY(refusal, COMPLETE), read_refusal, 8, 26};

_Static_assert(VTD_ARRAY_SIZE(request_bodies) == VTD_REQUEST_TYPE_END, "a request has no row");

/* Unpacks @body into the arena and judges its form; NULL when it is malformed. */
static const ProtobufCMessage *unpack(struct vtd_codec *codec,
                                      const ProtobufCMessageDescriptor *descriptor,
                                      enum vtd_wire_presence presence, const uint8_t *body,
                                      size_t length)
{
        ProtobufCAllocator allocator = vtd_arena_reset(codec);
        const ProtobufCMessage *message;

        message = protobuf_c_message_unpack(descriptor, &allocator, length, body);
        if (!message || !vtd_wire_is_canonical(message, presence, body, length))
                return NULL;
        return message;
}

bool vtd_wire_read_request(struct vtd_codec *codec, struct vtd_request *request,
                           const uint8_t *body, size_t length)
{
        const struct request_body *kind = &request_bodies[request->type];
        const ProtobufCMessage *message;

        message = unpack(codec, kind->descriptor, kind->presence, body, length);
        return message && (!kind->read || kind->read(request, message));
}

bool vtd_wire_read_reply(struct vtd_codec *codec, struct vtd_reply *reply, const uint8_t *body,
                         size_t length)
{
        const struct reply_body *kind = &refusal_body;
        const ProtobufCMessage *message;

        if (!reply->refused) {
                if (reply->type >= VTD_ARRAY_SIZE(reply_bodies))
                        return false;
                kind = &reply_bodies[reply->type];
                if (!kind->descriptor)
                        return false;
        }
        if (length < kind->min || length > kind->max)
                return false;
        message = unpack(codec, kind->descriptor, kind->presence, body, length);
        return message && (!kind->read || kind->read(reply, message));
}
