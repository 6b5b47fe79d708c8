/* SPDX-License-Identifier: MIT */
/*
 * Inside protos/ only: the steps that codec.c puts together, and the only header besides arena.h
 * that speaks of protobuf.  decode.c reads unpacked messages into plain structs, encode.c packs
 * plain structs, canonical.c judges the form of an unpacked message, validate.c judges values.
 */
#ifndef VTD_PROTOS_WIRE_H
#define VTD_PROTOS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "protos/codec.h"
#include "protos/message.h"

/* Whether a record must carry every field that its schema has. */
enum vtd_wire_presence {
        VTD_WIRE_COMPLETE = 1, /* yes */
        VTD_WIRE_PARTIAL,      /* its reader judges which fields belong together */
};

/*
 * True when @message, unpacked from the @length bytes of @body, has no unknown field at any level,
 * has all its fields if @presence says so, and packs to exactly these bytes again.  The last rules
 * out repeated and merged fields, other orders, longer varints and values cut to fit.
 */
bool vtd_wire_is_canonical(const ProtobufCMessage *message, enum vtd_wire_presence presence,
                           const uint8_t *body, size_t length);

/* Marks every optional field of @message as present. */
void vtd_wire_set_complete(ProtobufCMessage *message);

/*
 * Unpack the @length bytes of @body, judge their form, and fill the struct's member for its type,
 * which the caller has set (as well as reply->refused).  Values are left to vtd_wire_valid_*.
 * False when the body is malformed; the struct is then half-filled.
 */
bool vtd_wire_read_request(struct vtd_codec *codec, struct vtd_request *request,
                           const uint8_t *body, size_t length);
bool vtd_wire_read_reply(struct vtd_codec *codec, struct vtd_reply *reply, const uint8_t *body,
                         size_t length);

/* True when every value is within what message.h promises.  Used in both directions. */
bool vtd_wire_valid_request(const struct vtd_request *request);
bool vtd_wire_valid_reply(const struct vtd_reply *reply);

/*
 * Pack a valid struct into @body, which has room for VTD_LIMIT_BODY bytes.  Return the number of
 * bytes written.
 */
size_t vtd_wire_write_request(const struct vtd_request *request, uint8_t *body);
size_t vtd_wire_write_reply(const struct vtd_reply *reply, uint8_t *body);

#endif
