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

/* Compares what is packed with what was received, so that no second copy is needed. */
struct comparison {
        ProtobufCBuffer base; /* first member: protobuf-c hands it back */
        const uint8_t *expected;
        size_t left;
        bool equal;
};

static void compare(ProtobufCBuffer *buffer, size_t length, const uint8_t *data)
{
        struct comparison *comparison = (struct comparison *)buffer;

        if (!comparison->equal || length == 0)
                return;
        if (length > comparison->left || memcmp(comparison->expected, data, length) != 0) {
                comparison->equal = false;
                return;
        }
        comparison->expected += length;
        comparison->left -= length;
}

bool vtd_wire_is_canonical(const ProtobufCMessage *message, enum vtd_wire_presence presence,
                           const uint8_t *body, size_t length)
{
        struct comparison comparison = {
                .base.append = compare,
                .expected = body,
                .left = length,
                .equal = true,
        };

        if (!is_message_clean(message, presence))
                return false;
        (void)protobuf_c_message_pack_to_buffer(message, &comparison.base);
        return comparison.equal && comparison.left == 0;
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
