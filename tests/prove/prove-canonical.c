/* SPDX-License-Identifier: MIT */
/*
 * protos/canonical.c over the generated descriptors: what it assumes of the schema holds for each of
 * them, and its way through a message by their offsets stays inside the message.
 *
 * Bounds: at most 3 messages in a repeated field.  Assumed of protobuf-c, which is replaced: a
 * message has the type of its descriptor, and packing writes as many bytes as it said, any bytes.
 */
#include "tests/prove/prove.h"

#include <string.h>

#include "protos/canonical.c"
#include "protos/vtd-broker.pb-c.c"

#define CHILDREN 3u

Vtd__Broker__V1__AttachRequest nondet_attach_request(void);
Vtd__Broker__V1__InvalidateEntry nondet_invalidate_entry(void);
Vtd__Broker__V1__InvalidateRequest nondet_invalidate_request(void);

static size_t packed_size;
static uint8_t differing; /* an index that the packed bytes differ at, if any */

size_t protobuf_c_message_get_packed_size(const ProtobufCMessage *message)
{
        (void)message;
        return packed_size;
}

size_t protobuf_c_message_pack(const ProtobufCMessage *message, uint8_t *out)
{
        (void)message;
        PROVE(__CPROVER_w_ok(out, packed_size));
        return packed_size;
}

int memcmp(const void *a, const void *b, size_t size)
{
        PROVE(__CPROVER_r_ok(a, size) && __CPROVER_r_ok(b, size));
        return differing;
}

#define DESCRIPTORS(ROW)                                                                           \
        ROW(HelloRequest, hello_request)                                                           \
        ROW(HelloReply, hello_reply)                                                               \
        ROW(PlugDeviceRequest, plug_device_request)                                                \
        ROW(PlugDeviceReply, plug_device_reply)                                                    \
        ROW(UnplugDeviceRequest, unplug_device_request)                                            \
        ROW(UnplugDeviceReply, unplug_device_reply)                                                \
        ROW(MapMemoryRequest, map_memory_request)                                                  \
        ROW(MapMemoryReply, map_memory_reply)                                                      \
        ROW(UnmapMemoryRequest, unmap_memory_request)                                              \
        ROW(UnmapMemoryReply, unmap_memory_reply)                                                  \
        ROW(AttachRequest, attach_request)                                                         \
        ROW(AttachReply, attach_reply)                                                             \
        ROW(InvalidateRequest, invalidate_request)                                                 \
        ROW(InvalidateReply, invalidate_reply)                                                     \
        ROW(RegionReadRequest, region_read_request)                                                \
        ROW(RegionReadReply, region_read_reply)                                                    \
        ROW(RegionWriteRequest, region_write_request)                                              \
        ROW(RegionWriteReply, region_write_reply)                                                  \
        ROW(GetStatsRequest, get_stats_request)                                                    \
        ROW(GetStatsReply, get_stats_reply)                                                        \
        ROW(SetDirtyTrackingRequest, set_dirty_tracking_request)                                   \
        ROW(ReadDirtyBitmapRequest, read_dirty_bitmap_request)                                     \
        ROW(SubscribePageRequestsRequest, subscribe_page_requests_request)                         \
        ROW(RespondPageRequest, respond_page_request)                                              \
        ROW(GetDeviceInfoRequest, get_device_info_request)                                         \
        ROW(GetDeviceInfoReply, get_device_info_reply)                                             \
        ROW(ConfigReadRequest, config_read_request)                                                \
        ROW(ConfigReadReply, config_read_reply)                                                    \
        ROW(ConfigWriteRequest, config_write_request)                                              \
        ROW(ConfigWriteReply, config_write_reply)                                                  \
        ROW(SetInterruptRequest, set_interrupt_request)                                            \
        ROW(SetInterruptReply, set_interrupt_reply)                                                \
        ROW(ClearInterruptsRequest, clear_interrupts_request)                                      \
        ROW(ClearInterruptsReply, clear_interrupts_reply)                                          \
        ROW(ResetDeviceRequest, reset_device_request)                                              \
        ROW(ResetDeviceReply, reset_device_reply)                                                  \
        ROW(Refusal, refusal)                                                                      \
        ROW(DeviceRegion, device_region)                                                           \
        ROW(AddressRange, address_range)                                                           \
        ROW(InvalidateEntry, invalidate_entry)

static size_t size_of(ProtobufCType type)
{
        switch (type) {
        case PROTOBUF_C_TYPE_UINT32:
                return sizeof(uint32_t);
        case PROTOBUF_C_TYPE_UINT64:
                return sizeof(uint64_t);
        case PROTOBUF_C_TYPE_BOOL:
                return sizeof(protobuf_c_boolean);
        case PROTOBUF_C_TYPE_BYTES:
                return sizeof(ProtobufCBinaryData);
        default:
                return 0;
        }
}

/* @level: 0 for the body of a record, 1 for a message in a repeated field. */
static void prove_descriptor(const ProtobufCMessageDescriptor *descriptor, size_t size,
                             unsigned level)
{
        PROVE(descriptor->sizeof_message == size);
        for (unsigned i = 0; i < descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *field = &descriptor->fields[i];

                PROVE(field->id <= 15 && (i == 0 || field->id > descriptor->fields[i - 1].id));
                PROVE(!field->default_value && field->flags == 0);
                PROVE(field->offset >= sizeof(ProtobufCMessage));
                PROVE(field->quantifier_offset >= sizeof(ProtobufCMessage));
                if (field->label == PROTOBUF_C_LABEL_OPTIONAL) {
                        PROVE(size_of(field->type) != 0);
                        PROVE(field->offset + size_of(field->type) <= size);
                        PROVE(field->quantifier_offset + sizeof(protobuf_c_boolean) <= size);
                } else {
                        PROVE(field->label == PROTOBUF_C_LABEL_REPEATED && level == 0);
                        PROVE(field->type == PROTOBUF_C_TYPE_MESSAGE && field->descriptor);
                        PROVE(field->offset + sizeof(void *) <= size);
                        PROVE(field->quantifier_offset + sizeof(size_t) <= size);
                }
        }
}

void prove_descriptors(void)
{
#define PROVE_ONE(Type, name)                                                                      \
        prove_descriptor(&vtd__broker__v1__##name##__descriptor, sizeof(Vtd__Broker__V1__##Type),  \
                         0);
        DESCRIPTORS(PROVE_ONE)
        prove_descriptor(&vtd__broker__v1__address_range__descriptor,
                         sizeof(Vtd__Broker__V1__AddressRange), 1);
        prove_descriptor(&vtd__broker__v1__device_region__descriptor,
                         sizeof(Vtd__Broker__V1__DeviceRegion), 1);
        prove_descriptor(&vtd__broker__v1__invalidate_entry__descriptor,
                         sizeof(Vtd__Broker__V1__InvalidateEntry), 1);
}

/* A message without repeated fields: Attach, which has the most fields that may be absent. */
void prove_flat(void)
{
        Vtd__Broker__V1__AttachRequest message = nondet_attach_request();
        enum vtd_wire_presence presence = nondet_bool() ? VTD_WIRE_COMPLETE : VTD_WIRE_PARTIAL;
        const size_t length = nondet_size();
        const uint8_t body[VTD_LIMIT_BODY];
        bool canonical;

        ASSUME(length <= VTD_LIMIT_BODY);
        message.base.descriptor = &vtd__broker__v1__attach_request__descriptor;
        packed_size = nondet_size();
        differing = nondet_u8();
        canonical = vtd_wire_is_canonical(&message.base, presence, body, length);
        PROVE(IMPLIES(canonical, message.base.n_unknown_fields == 0));
        PROVE(IMPLIES(canonical, packed_size == length && differing == 0));
        PROVE(IMPLIES(canonical && presence == VTD_WIRE_COMPLETE,
                      message.has_device && message.has_pasid && message.has_mode &&
                              message.has_root && message.has_address_width && message.has_flags));
}

/* One with a repeated field: what holds for the message holds for each message in it. */
void prove_nested(void)
{
        Vtd__Broker__V1__InvalidateEntry entries[CHILDREN], *pointers[CHILDREN];
        Vtd__Broker__V1__InvalidateRequest message = nondet_invalidate_request();
        const size_t length = nondet_size(), i = nondet_size();
        const uint8_t body[VTD_LIMIT_BODY];

        for (size_t n = 0; n < CHILDREN; n++) {
                entries[n] = nondet_invalidate_entry();
                entries[n].base.descriptor = &vtd__broker__v1__invalidate_entry__descriptor;
                pointers[n] = &entries[n];
        }
        message.base.descriptor = &vtd__broker__v1__invalidate_request__descriptor;
        message.entries = pointers;
        ASSUME(message.n_entries <= CHILDREN && length <= VTD_LIMIT_BODY);
        packed_size = nondet_size();
        differing = nondet_u8();
        if (!vtd_wire_is_canonical(&message.base, VTD_WIRE_COMPLETE, body, length))
                return;
        PROVE(message.base.n_unknown_fields == 0 && message.has_table);
        PROVE(packed_size == length && differing == 0);
        if (i < message.n_entries)
                PROVE(entries[i].base.n_unknown_fields == 0 && entries[i].has_address &&
                      entries[i].has_pages && entries[i].has_leaf);
}
