/* SPDX-License-Identifier: MIT */
/*
 * The form of an unpacked message, whatever its type.  protobuf-c accepts many encodings of one
 * message and keeps fields that the schema does not know; here exactly one is let through.
 *
 * May assume what protos/lint holds the schema to: every field is an optional scalar or bytes, or a
 * repeated message whose own fields are all optional; so two levels are all there are.
 */
#include "protos/wire.h"

#include <string.h>

/* Pointers into a generated struct, by the offsets of its descriptor. */
static const void *member(const ProtobufCMessage *message, size_t offset)
{
        return (const uint8_t *)message + offset;
}

static bool is_flat_message_clean(const ProtobufCMessage *message, enum vtd_wire_presence presence)
{
        const ProtobufCMessageDescriptor *descriptor = message->descriptor;

        if (message->n_unknown_fields != 0)
                return false;
        for (unsigned i = 0; i < descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
                const protobuf_c_boolean *has = member(message, field->quantifier_offset);

                if (field->label != PROTOBUF_C_LABEL_OPTIONAL)
                        continue;
                if (presence == VTD_WIRE_COMPLETE && !*has)
                        return false;
        }
        return true;
}

static bool is_message_clean(const ProtobufCMessage *message, enum vtd_wire_presence presence)
{
        const ProtobufCMessageDescriptor *descriptor = message->descriptor;

        if (!is_flat_message_clean(message, presence))
                return false;
        for (unsigned i = 0; i < descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
                const size_t *count = member(message, field->quantifier_offset);
                ProtobufCMessage *const *const *children = member(message, field->offset);

                if (field->label != PROTOBUF_C_LABEL_REPEATED)
                        continue;
                for (size_t n = 0; n < *count; n++) {
                        if (!is_flat_message_clean((*children)[n], presence))
                                return false;
                }
        }
        return true;
}

bool vtd_wire_is_canonical(const ProtobufCMessage *message, enum vtd_wire_presence presence,
                           const uint8_t *body, size_t length)
{
        uint8_t again[VTD_LIMIT_BODY];

        if (!is_message_clean(message, presence))
                return false;
        /* The size is judged first, because packing does not know how much room there is. */
        if (length > sizeof(again) || protobuf_c_message_get_packed_size(message) != length)
                return false;
        return protobuf_c_message_pack(message, again) == length &&
               memcmp(again, body, length) == 0;
}

void vtd_wire_set_complete(ProtobufCMessage *message)
{
        const ProtobufCMessageDescriptor *descriptor = message->descriptor;

        for (unsigned i = 0; i < descriptor->n_fields; i++) {
                const ProtobufCFieldDescriptor *field = &descriptor->fields[i];

                if (field->label == PROTOBUF_C_LABEL_OPTIONAL)
                        *(protobuf_c_boolean *)((uint8_t *)message + field->quantifier_offset) = 1;
        }
}
