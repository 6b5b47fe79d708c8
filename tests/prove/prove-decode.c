/* SPDX-License-Identifier: MIT */
/*
 * protos/decode.c and validate.c: for each type whose values are judged, whatever message its body
 * unpacks to.  What is accepted keeps every promise of message.h.
 *
 * Bounds: 4 entries of an Invalidate instead of 128 and 3 reserved ranges instead of 16 are let
 * through; the numbers that a message claims are any.  Names are of any length.
 * Assumed of protobuf-c, which is replaced: a message has the type of its descriptor, a field that is
 * absent has the value 0, and each pointer leads to as many elements as are let through.
 */
#include "tests/prove/prove.h"

#include <stdlib.h>
#include <string.h>

#include "shared/limits.h"
#undef VTD_LIMIT_INVALIDATE_ENTRIES
#define VTD_LIMIT_INVALIDATE_ENTRIES 4u
#undef VTD_LIMIT_RESERVED_RANGES
#define VTD_LIMIT_RESERVED_RANGES 3u

#include "protos/decode.c"
#include "protos/types.c"
#include "protos/validate.c"

MESSAGE(AttachRequest) nondet_attach_request(void);
MESSAGE(AttachReply) nondet_attach_reply(void);
MESSAGE(ConfigReadRequest) nondet_config_read_request(void);
MESSAGE(ConfigWriteRequest) nondet_config_write_request(void);
MESSAGE(DeviceRegion) nondet_device_region(void);
MESSAGE(GetDeviceInfoReply) nondet_get_device_info_reply(void);
MESSAGE(HelloReply) nondet_hello_reply(void);
MESSAGE(InvalidateEntry) nondet_invalidate_entry(void);
MESSAGE(PlugDeviceReply) nondet_plug_device_reply(void);
MESSAGE(RegionReadRequest) nondet_region_read_request(void);
MESSAGE(RegionWriteRequest) nondet_region_write_request(void);
MESSAGE(Refusal) nondet_refusal(void);
MESSAGE(SetInterruptRequest) nondet_set_interrupt_request(void);

/* The C library's, which cbmc does not know. */
void *memchr(const void *bytes, int c, size_t size)
{
        const unsigned char *at = bytes;

        for (size_t i = 0; i < size; i++)
                if (at[i] == (unsigned char)c)
                        return (void *)(at + i);
        return NULL;
}

size_t strnlen(const char *text, size_t size)
{
        size_t length = 0;

        while (length < size && text[length] != '\0')
                length++;
        return length;
}

/* The name is the bytes of the message, one NUL, and of the characters that message.h allows. */
void prove_plug_device(void)
{
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE};
        const size_t length = nondet_size(), i = nondet_size();
        const MESSAGE(PlugDeviceRequest)
                message = {.has_name = true, .name = {.len = length, .data = malloc(length)}};
        const char *text = request.plug_device.name.text;

        ASSUME(message.name.data);
        if (!read_plug_device(&request, &message))
                return;
        PROVE(length >= 1 && length <= VTD_LIMIT_NAME && text[length] == '\0');
        if (!vtd_wire_valid_request(&request))
                return;
        if (i < length) {
                PROVE((uint8_t)text[i] == message.name.data[i]);
                PROVE((text[i] >= '0' && text[i] <= ':') || (text[i] >= 'A' && text[i] <= 'Z') ||
                      (text[i] >= 'a' && text[i] <= 'z') || text[i] == '-' || text[i] == '.' ||
                      text[i] == '_');
        }
}

void prove_attach(void)
{
        struct vtd_request request = {.type = VTD_REQUEST_ATTACH};
        const struct vtd_attach_request *attach = &request.attach;
        const MESSAGE(AttachRequest) message = nondet_attach_request();

        ASSUME(message.has_pasid || message.pasid == 0);
        ASSUME(message.has_root || message.root == 0);
        ASSUME(message.has_address_width || message.address_width == 0);
        ASSUME(message.has_flags || message.flags == 0);
        if (!read_attach(&request, &message) || !vtd_wire_valid_request(&request))
                return;
        PROVE(message.has_device && message.has_mode);
        PROVE(attach->mode >= VTD_ATTACH_BLOCKED && attach->mode <= VTD_ATTACH_FIRST_STAGE);
        PROVE(attach->pasid <= VTD_PASID_MAX);
        PROVE((attach->pasid == VTD_NO_PASID) == !message.has_pasid);
        PROVE((attach->flags & ~VTD_FIRST_STAGE_FLAGS) == 0);
        PROVE(attach->device == message.device && attach->root == message.root &&
              attach->address_width == message.address_width && attach->flags == message.flags);
        if (attach->mode == VTD_ATTACH_FIRST_STAGE)
                PROVE(message.has_root && message.has_address_width && message.has_flags);
        else
                PROVE(attach->root == 0 && attach->address_width == 0 && attach->flags == 0);
}

void prove_invalidate(void)
{
        struct vtd_request request = {.type = VTD_REQUEST_INVALIDATE};
        const struct vtd_invalidate_request *invalidate = &request.invalidate;
        MESSAGE(InvalidateEntry) entries[VTD_LIMIT_INVALIDATE_ENTRIES];
        MESSAGE(InvalidateEntry) * pointers[VTD_LIMIT_INVALIDATE_ENTRIES];
        const MESSAGE(InvalidateRequest)
                message = {.table = nondet_u64(), .n_entries = nondet_size(), .entries = pointers};
        const size_t i = nondet_size();

        for (size_t n = 0; n < VTD_LIMIT_INVALIDATE_ENTRIES; n++) {
                entries[n] = nondet_invalidate_entry();
                pointers[n] = &entries[n];
        }
        if (!read_invalidate(&request, &message) || !vtd_wire_valid_request(&request))
                return;
        PROVE(invalidate->count >= 1 && invalidate->count <= VTD_LIMIT_INVALIDATE_ENTRIES);
        PROVE(invalidate->table == message.table && invalidate->count == message.n_entries);
        if (i < invalidate->count)
                PROVE(invalidate->entries[i].address == entries[i].address &&
                      invalidate->entries[i].pages == entries[i].pages &&
                      invalidate->entries[i].leaf == (entries[i].leaf != 0));
}

static void prove_region(const struct vtd_region_request *region)
{
        PROVE(region->width == 1 || region->width == 2 || region->width == 4 || region->width == 8);
        if (region->width < 8)
                PROVE(region->value < UINT64_C(1) << (8 * region->width));
}

void prove_region_read(void)
{
        struct vtd_request request = {.type = VTD_REQUEST_REGION_READ};
        const MESSAGE(RegionReadRequest) message = nondet_region_read_request();

        if (!read_region_read(&request, &message) || !vtd_wire_valid_request(&request))
                return;
        prove_region(&request.region);
        PROVE(request.region.value == 0 && request.region.device == message.device &&
              request.region.region == message.region && request.region.offset == message.offset);
}

void prove_region_write(void)
{
        struct vtd_request request = {.type = VTD_REQUEST_REGION_WRITE};
        const MESSAGE(RegionWriteRequest) message = nondet_region_write_request();

        if (!read_region_write(&request, &message) || !vtd_wire_valid_request(&request))
                return;
        prove_region(&request.region);
        PROVE(request.region.value == message.value && request.region.device == message.device &&
              request.region.region == message.region && request.region.offset == message.offset);
}

static void prove_config(const struct vtd_config_request *config)
{
        PROVE(config->width == 1 || config->width == 2 || config->width == 4);
        if (config->width < 4)
                PROVE(config->value < UINT32_C(1) << (8 * config->width));
}

void prove_config_read(void)
{
        struct vtd_request request = {.type = VTD_REQUEST_CONFIG_READ};
        const MESSAGE(ConfigReadRequest) message = nondet_config_read_request();

        if (!read_config_read(&request, &message) || !vtd_wire_valid_request(&request))
                return;
        prove_config(&request.config);
        PROVE(request.config.value == 0 && request.config.device == message.device &&
              request.config.offset == message.offset);
}

void prove_config_write(void)
{
        struct vtd_request request = {.type = VTD_REQUEST_CONFIG_WRITE};
        const MESSAGE(ConfigWriteRequest) message = nondet_config_write_request();

        if (!read_config_write(&request, &message) || !vtd_wire_valid_request(&request))
                return;
        prove_config(&request.config);
        PROVE(request.config.value == message.value && request.config.device == message.device &&
              request.config.offset == message.offset);
}

void prove_set_interrupt(void)
{
        struct vtd_request request = {.type = VTD_REQUEST_SET_INTERRUPT};
        const MESSAGE(SetInterruptRequest) message = nondet_set_interrupt_request();

        if (!read_set_interrupt(&request, &message) || !vtd_wire_valid_request(&request))
                return;
        PROVE(request.interrupt.kind == VTD_INTERRUPT_MSI ||
              request.interrupt.kind == VTD_INTERRUPT_MSIX);
        PROVE(request.interrupt.device == message.device &&
              request.interrupt.vector == message.vector);
}

/* What a client accepts of a broker. */
void prove_plug_device_reply(void)
{
        struct vtd_reply reply = {.type = VTD_REQUEST_PLUG_DEVICE};
        const struct vtd_plug_device_reply *plug = &reply.plug_device;
        MESSAGE(AddressRange) ranges[VTD_LIMIT_RESERVED_RANGES];
        MESSAGE(AddressRange) * pointers[VTD_LIMIT_RESERVED_RANGES];
        MESSAGE(PlugDeviceReply) message = nondet_plug_device_reply();
        const size_t i = nondet_size();

        for (size_t n = 0; n < VTD_LIMIT_RESERVED_RANGES; n++) {
                ranges[n].start = nondet_u64();
                ranges[n].last = nondet_u64();
                pointers[n] = &ranges[n];
        }
        message.reserved = pointers;
        if (!read_plug_device_reply(&reply, &message) || !vtd_wire_valid_reply(&reply))
                return;
        PROVE(plug->pasid_bits <= 20 && plug->n_reserved <= VTD_LIMIT_RESERVED_RANGES);
        PROVE(plug->device == message.device && plug->n_reserved == message.n_reserved);
        if (i < plug->n_reserved)
                PROVE(plug->reserved[i].start <= plug->reserved[i].last &&
                      plug->reserved[i].start == ranges[i].start &&
                      plug->reserved[i].last == ranges[i].last);
}

void prove_device_info_reply(void)
{
        struct vtd_reply reply = {.type = VTD_REQUEST_GET_DEVICE_INFO};
        const struct vtd_device_info_reply *info = &reply.device_info;
        MESSAGE(DeviceRegion) regions[VTD_REGIONS];
        MESSAGE(DeviceRegion) * pointers[VTD_REGIONS];
        MESSAGE(GetDeviceInfoReply) message = nondet_get_device_info_reply();
        const size_t i = nondet_size();

        for (size_t n = 0; n < VTD_REGIONS; n++) {
                regions[n] = nondet_device_region();
                pointers[n] = &regions[n];
        }
        message.regions = pointers;
        if (!read_device_info_reply(&reply, &message) || !vtd_wire_valid_reply(&reply))
                return;
        PROVE(message.n_regions == VTD_REGIONS);
        PROVE(info->msi_vectors <= 1 && info->msix_vectors <= VTD_LIMIT_INTERRUPTS);
        PROVE(info->config_readable || !info->config_writable);
        if (i < VTD_REGIONS)
                PROVE(info->regions[i].size == regions[i].size &&
                      (info->regions[i].size > 0 || !info->regions[i].readable) &&
                      (info->regions[i].readable || !info->regions[i].writable));
}

void prove_hello_reply(void)
{
        struct vtd_reply reply = {.type = VTD_REQUEST_HELLO};
        const MESSAGE(HelloReply) message = nondet_hello_reply();

        if (!read_hello_reply(&reply, &message) || !vtd_wire_valid_reply(&reply))
                return;
        PROVE(reply.hello.host == VTD_HOST_LINUX || reply.hello.host == VTD_HOST_SIMULATED);
        PROVE(reply.hello.modes <= 7);
}

void prove_attach_reply(void)
{
        struct vtd_reply reply = {.type = VTD_REQUEST_ATTACH};
        const MESSAGE(AttachReply) message = nondet_attach_reply();

        ASSUME(message.has_table || message.table == 0);
        if (read_attach_reply(&reply, &message) && vtd_wire_valid_reply(&reply))
                PROVE((reply.attach.table == 0) == !message.has_table);
}

/* A refusal of any request, built or not, whose class is that of its reason. */
void prove_refusal(void)
{
        struct vtd_reply reply = {.type = nondet_unsigned(), .refused = true};
        const MESSAGE(Refusal) message = nondet_refusal();

        if (!read_refusal(&reply, &message) || !vtd_wire_valid_reply(&reply))
                return;
        PROVE(reply.type >= VTD_REQUEST_HELLO && reply.type < VTD_REQUEST_TYPE_END);
        PROVE(message.reason >= 1 && message.reason < VTD_REASON_END);
        PROVE(message.status >= 1 && message.status < VTD_STATUS_END);
        PROVE(reply.refusal.status == vtd_reason_status(reply.refusal.reason));
}
