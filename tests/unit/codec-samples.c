/* SPDX-License-Identifier: MIT */
/* See codec-samples.h. */
#include "tests/unit/codec-samples.h"

#include <stdlib.h>
#include <string.h>

int vtd_sample_setup(void **state)
{
        *state = malloc(sizeof(struct vtd_codec));
        return *state ? 0 : -1;
}

int vtd_sample_teardown(void **state)
{
        free(*state);
        return 0;
}

uint8_t vtd_sample_fd_count(uint32_t type)
{
        const struct vtd_request_kind *kind = vtd_request_kind(type);

        assert_non_null(kind);
        return kind->fd_count;
}

struct record vtd_sample_make_record(uint32_t type, uint16_t flags, struct bytes body)
{
        struct record record = {.length = VTD_FRAME_HEADER_SIZE + body.length};
        struct vtd_frame frame = {
                .type = (uint16_t)type,
                .flags = flags,
                .sequence = VTD_SAMPLE_SEQUENCE,
                .body_length = (uint16_t)body.length,
                .fd_count = flags & VTD_FRAME_REPLY ? 0 : vtd_sample_fd_count(type),
        };

        vtd_frame_encode(&frame, record.bytes);
        memcpy(record.bytes + VTD_FRAME_HEADER_SIZE, body.data, body.length);
        return record;
}

int vtd_sample_decode_request(struct vtd_codec *codec, struct vtd_request *request,
                              const struct record *record, size_t fd_count)
{
        uint8_t *copy = malloc(record->length + 1);
        int result;

        assert_non_null(copy);
        memcpy(copy + 1, record->bytes, record->length);
        result = vtd_codec_decode_request(codec, request, copy + 1, record->length, fd_count);
        free(copy);
        return result;
}

int vtd_sample_decode_reply(struct vtd_codec *codec, struct vtd_reply *reply, uint32_t type,
                            const struct record *record)
{
        uint8_t *copy = malloc(record->length + 1);
        int result;

        assert_non_null(copy);
        memcpy(copy + 1, record->bytes, record->length);
        result = vtd_codec_decode_reply(codec, reply, type, VTD_SAMPLE_SEQUENCE, copy + 1,
                                        record->length, 0);
        free(copy);
        return result;
}

/* clang-format off */
const struct sample_request vtd_sample_requests[VTD_SAMPLE_REQUESTS] = {
        {{.type = VTD_REQUEST_HELLO, .hello = {.major = 1, .minor = 2, .features = 3}},
         BYTES("\x08\x01\x10\x02\x18\x03")},
        {{.type = VTD_REQUEST_PLUG_DEVICE, .plug_device = {.name = {"aZ0.9_:-"}}},
         BYTES("\x0a\x08"
               "aZ0.9_:-")},
        {{.type = VTD_REQUEST_UNPLUG_DEVICE, .unplug_device = {.device = 300}},
         BYTES("\x08\xac\x02")},
        {{.type = VTD_REQUEST_MAP_MEMORY, .map_memory = {.gpa = 1, .size = 2, .offset = 3}},
         BYTES("\x08\x01\x10\x02\x18\x03")},
        {{.type = VTD_REQUEST_UNMAP_MEMORY, .unmap_memory = {.mapping = 0}}, BYTES("\x08\x00")},
        {{.type = VTD_REQUEST_ATTACH,
          .attach = {.device = 1, .pasid = VTD_NO_PASID, .mode = VTD_ATTACH_BLOCKED}},
         BYTES("\x08\x01\x18\x01")},
        {{.type = VTD_REQUEST_ATTACH,
          .attach = {.device = 1, .pasid = 5, .mode = VTD_ATTACH_PASSTHROUGH}},
         BYTES("\x08\x01\x10\x05\x18\x02")},
        {{.type = VTD_REQUEST_ATTACH,
          .attach = {.device = 1,
                     .pasid = 5,
                     .mode = VTD_ATTACH_FIRST_STAGE,
                     .root = 4096,
                     .address_width = 48,
                     .flags = VTD_FIRST_STAGE_WPE}},
         BYTES("\x08\x01\x10\x05\x18\x03\x20\x80\x20\x28\x30\x30\x04")},
        {{.type = VTD_REQUEST_INVALIDATE,
          .invalidate = {.table = 1, .count = 2, .entries = {{2, 3, true}, {4, 5, false}}}},
         BYTES("\x08\x01\x12\x06\x08\x02\x10\x03\x18\x01\x12\x06\x08\x04\x10\x05\x18\x00")},
        {{.type = VTD_REQUEST_REGION_READ,
          .region = {.device = 1, .region = 2, .offset = 3, .width = 4}},
         BYTES("\x08\x01\x10\x02\x18\x03\x20\x04")},
        {{.type = VTD_REQUEST_REGION_WRITE,
          .region = {.device = 1, .region = 2, .offset = 3, .width = 4, .value = 5}},
         BYTES("\x08\x01\x10\x02\x18\x03\x20\x04\x28\x05")},
        {{.type = VTD_REQUEST_GET_STATS}, BYTES("")},
        {{.type = VTD_REQUEST_SET_DIRTY_TRACKING}, BYTES("")},
        {{.type = VTD_REQUEST_READ_DIRTY_BITMAP}, BYTES("")},
        {{.type = VTD_REQUEST_SUBSCRIBE_PAGE_REQUESTS}, BYTES("")},
        {{.type = VTD_REQUEST_RESPOND_PAGE_REQUEST}, BYTES("")},
        {{.type = VTD_REQUEST_GET_DEVICE_INFO, .device = {.device = 300}}, BYTES("\x08\xac\x02")},
        {{.type = VTD_REQUEST_CONFIG_READ, .config = {.device = 1, .offset = 300, .width = 4}},
         BYTES("\x08\x01\x10\xac\x02\x18\x04")},
        {{.type = VTD_REQUEST_CONFIG_WRITE,
          .config = {.device = 1, .offset = 4, .width = 2, .value = 300}},
         BYTES("\x08\x01\x10\x04\x18\x02\x20\xac\x02")},
        {{.type = VTD_REQUEST_SET_INTERRUPT,
          .interrupt = {.device = 1, .kind = VTD_INTERRUPT_MSIX, .vector = 7}},
         BYTES("\x08\x01\x10\x02\x18\x07")},
        {{.type = VTD_REQUEST_CLEAR_INTERRUPTS,
          .interrupt = {.device = 1, .kind = VTD_INTERRUPT_MSI}},
         BYTES("\x08\x01\x10\x01")},
        {{.type = VTD_REQUEST_RESET_DEVICE, .device = {.device = 1}}, BYTES("\x08\x01")},
};
/* clang-format on */

/* clang-format off */
const struct sample_reply vtd_sample_replies[VTD_SAMPLE_REPLIES] = {
        {{.type = VTD_REQUEST_HELLO,
          .hello = {.major = 1,
                    .minor = 2,
                    .features = 3,
                    .host = VTD_HOST_SIMULATED,
                    .memory = 5,
                    .mappings = 6,
                    .devices = 7,
                    .first_stage_tables = 8,
                    .pasids = 9,
                    .modes = 7}},
         BYTES("\x08\x01\x10\x02\x18\x03\x20\x02\x28\x05\x30\x06\x38\x07\x40\x08\x48\x09\x50\x07")},
        {{.type = VTD_REQUEST_PLUG_DEVICE,
          .plug_device = {.device = 1,
                          .cap = 2,
                          .ecap = 3,
                          .pasid_bits = 20,
                          .regions = 5,
                          .n_reserved = 2,
                          .reserved = {{6, 7}, {8, 8}}}},
         BYTES("\x08\x01\x10\x02\x18\x03\x20\x14\x28\x05"
               "\x32\x04\x08\x06\x10\x07\x32\x04\x08\x08\x10\x08")},
        {{.type = VTD_REQUEST_UNPLUG_DEVICE}, BYTES("")},
        {{.type = VTD_REQUEST_MAP_MEMORY, .map_memory = {.mapping = 7}}, BYTES("\x08\x07")},
        {{.type = VTD_REQUEST_UNMAP_MEMORY}, BYTES("")},
        {{.type = VTD_REQUEST_ATTACH, .attach = {.table = 0}}, BYTES("")},
        {{.type = VTD_REQUEST_ATTACH, .attach = {.table = 7}}, BYTES("\x08\x07")},
        {{.type = VTD_REQUEST_INVALIDATE}, BYTES("")},
        {{.type = VTD_REQUEST_REGION_READ, .region_read = {.value = 0}}, BYTES("\x08\x00")},
        {{.type = VTD_REQUEST_REGION_WRITE}, BYTES("")},
        {{.type = VTD_REQUEST_GET_STATS,
          .stats = {.requests = 1,
                    .refused = 2,
                    .invalidate_requests = 3,
                    .invalidate_entries = 4,
                    .host_calls = 5,
                    .delayed_us = 6,
                    .memory = 7,
                    .mappings = 8,
                    .devices = 9,
                    .first_stage_tables = 10,
                    .second_stage_tables = 11,
                    .attachments = 12}},
         BYTES("\x08\x01\x10\x02\x18\x03\x20\x04\x28\x05\x30\x06\x38\x07\x40\x08\x48\x09\x50\x0a"
               "\x58\x0b\x60\x0c")},
        {{.type = VTD_REQUEST_GET_DEVICE_INFO,
          .device_info = {.regions = {{300, true, true}, {0}, {1, true, false}, {2, false, false}, {0}, {0}},
                          .config_readable = true,
                          .config_writable = false,
                          .msi_vectors = 1,
                          .msix_vectors = 300,
                          .can_reset = true}},
         BYTES("\x0a\x07\x08\xac\x02\x10\x01\x18\x01\x0a\x06\x08\x00\x10\x00\x18\x00"
               "\x0a\x06\x08\x01\x10\x01\x18\x00\x0a\x06\x08\x02\x10\x00\x18\x00"
               "\x0a\x06\x08\x00\x10\x00\x18\x00\x0a\x06\x08\x00\x10\x00\x18\x00"
               "\x10\x01\x18\x00\x20\x01\x28\xac\x02\x30\x01")},
        {{.type = VTD_REQUEST_CONFIG_READ, .config_read = {.value = 300}}, BYTES("\x08\xac\x02")},
        {{.type = VTD_REQUEST_CONFIG_WRITE}, BYTES("")},
        {{.type = VTD_REQUEST_SET_INTERRUPT}, BYTES("")},
        {{.type = VTD_REQUEST_CLEAR_INTERRUPTS}, BYTES("")},
        {{.type = VTD_REQUEST_RESET_DEVICE}, BYTES("")},
        {{.type = VTD_REQUEST_RESPOND_PAGE_REQUEST,
          .refused = true,
          .refusal = {.status = VTD_STATUS_UNSUPPORTED, .reason = VTD_REASON_NOT_BUILT}},
         BYTES("\x08\x01\x10\x01\x18\x00\x20\x00")},
        {{.type = VTD_REQUEST_MAP_MEMORY,
          .refused = true,
          .refusal = {.status = VTD_STATUS_LIMIT,
                      .reason = VTD_REASON_MEMORY_LIMIT,
                      .asked = 300,
                      .allowed = 200}},
         BYTES("\x08\x03\x10\x0b\x18\xac\x02\x20\xc8\x01")},
};
/* clang-format on */

static void assert_same_device_plane_request(const struct vtd_request *a,
                                             const struct vtd_request *b)
{
        switch ((unsigned)a->type) {
        case VTD_REQUEST_GET_DEVICE_INFO:
        case VTD_REQUEST_RESET_DEVICE:
                assert_int_equal(a->device.device, b->device.device);
                break;
        case VTD_REQUEST_CONFIG_READ:
        case VTD_REQUEST_CONFIG_WRITE:
                assert_int_equal(a->config.device, b->config.device);
                assert_int_equal(a->config.offset, b->config.offset);
                assert_int_equal(a->config.width, b->config.width);
                assert_int_equal(a->config.value, b->config.value);
                break;
        case VTD_REQUEST_SET_INTERRUPT:
        case VTD_REQUEST_CLEAR_INTERRUPTS:
                assert_int_equal(a->interrupt.device, b->interrupt.device);
                assert_int_equal(a->interrupt.kind, b->interrupt.kind);
                assert_int_equal(a->interrupt.vector, b->interrupt.vector);
                break;
        default:
                break;
        }
}

void vtd_sample_assert_same_request(const struct vtd_request *a, const struct vtd_request *b)
{
        assert_int_equal(a->type, b->type);
        switch ((unsigned)a->type) {
        case VTD_REQUEST_HELLO:
                assert_int_equal(a->hello.major, b->hello.major);
                assert_int_equal(a->hello.minor, b->hello.minor);
                assert_int_equal(a->hello.features, b->hello.features);
                break;
        case VTD_REQUEST_PLUG_DEVICE:
                assert_string_equal(a->plug_device.name.text, b->plug_device.name.text);
                break;
        case VTD_REQUEST_UNPLUG_DEVICE:
                assert_int_equal(a->unplug_device.device, b->unplug_device.device);
                break;
        case VTD_REQUEST_MAP_MEMORY:
                assert_int_equal(a->map_memory.gpa, b->map_memory.gpa);
                assert_int_equal(a->map_memory.size, b->map_memory.size);
                assert_int_equal(a->map_memory.offset, b->map_memory.offset);
                break;
        case VTD_REQUEST_UNMAP_MEMORY:
                assert_int_equal(a->unmap_memory.mapping, b->unmap_memory.mapping);
                break;
        case VTD_REQUEST_ATTACH:
                assert_int_equal(a->attach.device, b->attach.device);
                assert_int_equal(a->attach.pasid, b->attach.pasid);
                assert_int_equal(a->attach.mode, b->attach.mode);
                assert_int_equal(a->attach.root, b->attach.root);
                assert_int_equal(a->attach.address_width, b->attach.address_width);
                assert_int_equal(a->attach.flags, b->attach.flags);
                break;
        case VTD_REQUEST_INVALIDATE:
                assert_int_equal(a->invalidate.table, b->invalidate.table);
                assert_int_equal(a->invalidate.count, b->invalidate.count);
                for (size_t i = 0; i < a->invalidate.count; i++) {
                        const struct vtd_invalidate_entry *x = &a->invalidate.entries[i];
                        const struct vtd_invalidate_entry *y = &b->invalidate.entries[i];

                        assert_int_equal(x->address, y->address);
                        assert_int_equal(x->pages, y->pages);
                        assert_int_equal(x->leaf, y->leaf);
                }
                break;
        case VTD_REQUEST_REGION_READ:
        case VTD_REQUEST_REGION_WRITE:
                assert_int_equal(a->region.device, b->region.device);
                assert_int_equal(a->region.region, b->region.region);
                assert_int_equal(a->region.offset, b->region.offset);
                assert_int_equal(a->region.width, b->region.width);
                assert_int_equal(a->region.value, b->region.value);
                break;
        default:
                assert_same_device_plane_request(a, b);
                break;
        }
}

static void assert_same_plug_device_reply(const struct vtd_plug_device_reply *a,
                                          const struct vtd_plug_device_reply *b)
{
        assert_int_equal(a->device, b->device);
        assert_int_equal(a->cap, b->cap);
        assert_int_equal(a->ecap, b->ecap);
        assert_int_equal(a->pasid_bits, b->pasid_bits);
        assert_int_equal(a->regions, b->regions);
        assert_int_equal(a->n_reserved, b->n_reserved);
        for (size_t i = 0; i < a->n_reserved; i++) {
                assert_int_equal(a->reserved[i].start, b->reserved[i].start);
                assert_int_equal(a->reserved[i].last, b->reserved[i].last);
        }
}

static void assert_same_hello_reply(const struct vtd_hello_reply *a,
                                    const struct vtd_hello_reply *b)
{
        assert_int_equal(a->major, b->major);
        assert_int_equal(a->minor, b->minor);
        assert_int_equal(a->features, b->features);
        assert_int_equal(a->host, b->host);
        assert_int_equal(a->memory, b->memory);
        assert_int_equal(a->mappings, b->mappings);
        assert_int_equal(a->devices, b->devices);
        assert_int_equal(a->first_stage_tables, b->first_stage_tables);
        assert_int_equal(a->pasids, b->pasids);
        assert_int_equal(a->modes, b->modes);
}

static void assert_same_device_info(const struct vtd_device_info_reply *a,
                                    const struct vtd_device_info_reply *b)
{
        for (size_t i = 0; i < VTD_REGIONS; i++) {
                assert_int_equal(a->regions[i].size, b->regions[i].size);
                assert_int_equal(a->regions[i].readable, b->regions[i].readable);
                assert_int_equal(a->regions[i].writable, b->regions[i].writable);
        }
        assert_int_equal(a->config_readable, b->config_readable);
        assert_int_equal(a->config_writable, b->config_writable);
        assert_int_equal(a->msi_vectors, b->msi_vectors);
        assert_int_equal(a->msix_vectors, b->msix_vectors);
        assert_int_equal(a->can_reset, b->can_reset);
}

static void assert_same_stats(const struct vtd_stats *a, const struct vtd_stats *b)
{
        assert_int_equal(a->requests, b->requests);
        assert_int_equal(a->refused, b->refused);
        assert_int_equal(a->invalidate_requests, b->invalidate_requests);
        assert_int_equal(a->invalidate_entries, b->invalidate_entries);
        assert_int_equal(a->host_calls, b->host_calls);
        assert_int_equal(a->delayed_us, b->delayed_us);
        assert_int_equal(a->memory, b->memory);
        assert_int_equal(a->mappings, b->mappings);
        assert_int_equal(a->devices, b->devices);
        assert_int_equal(a->first_stage_tables, b->first_stage_tables);
        assert_int_equal(a->second_stage_tables, b->second_stage_tables);
        assert_int_equal(a->attachments, b->attachments);
}

void vtd_sample_assert_same_reply(const struct vtd_reply *a, const struct vtd_reply *b)
{
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->refused, b->refused);
        if (a->refused) {
                assert_int_equal(a->refusal.status, b->refusal.status);
                assert_int_equal(a->refusal.reason, b->refusal.reason);
                assert_int_equal(a->refusal.asked, b->refusal.asked);
                assert_int_equal(a->refusal.allowed, b->refusal.allowed);
                return;
        }
        switch ((unsigned)a->type) {
        case VTD_REQUEST_HELLO:
                assert_same_hello_reply(&a->hello, &b->hello);
                break;
        case VTD_REQUEST_PLUG_DEVICE:
                assert_same_plug_device_reply(&a->plug_device, &b->plug_device);
                break;
        case VTD_REQUEST_MAP_MEMORY:
                assert_int_equal(a->map_memory.mapping, b->map_memory.mapping);
                break;
        case VTD_REQUEST_ATTACH:
                assert_int_equal(a->attach.table, b->attach.table);
                break;
        case VTD_REQUEST_REGION_READ:
                assert_int_equal(a->region_read.value, b->region_read.value);
                break;
        case VTD_REQUEST_GET_STATS:
                assert_same_stats(&a->stats, &b->stats);
                break;
        case VTD_REQUEST_GET_DEVICE_INFO:
                assert_same_device_info(&a->device_info, &b->device_info);
                break;
        case VTD_REQUEST_CONFIG_READ:
                assert_int_equal(a->config_read.value, b->config_read.value);
                break;
        default:
                break;
        }
}

static void fill_device_plane(struct vtd_request *request)
{
        switch ((unsigned)request->type) {
        case VTD_REQUEST_GET_DEVICE_INFO:
        case VTD_REQUEST_RESET_DEVICE:
                request->device.device = UINT64_MAX;
                break;
        case VTD_REQUEST_CONFIG_READ:
        case VTD_REQUEST_CONFIG_WRITE:
                request->config = (struct vtd_config_request){
                        .device = UINT64_MAX,
                        .offset = UINT32_MAX,
                        .width = 4,
                        .value = request->type == VTD_REQUEST_CONFIG_WRITE ? UINT32_MAX : 0,
                };
                break;
        case VTD_REQUEST_SET_INTERRUPT:
        case VTD_REQUEST_CLEAR_INTERRUPTS:
                request->interrupt = (struct vtd_device_interrupt_request){
                        .device = UINT64_MAX,
                        .kind = VTD_INTERRUPT_MSIX,
                        .vector = request->type == VTD_REQUEST_SET_INTERRUPT ? UINT32_MAX : 0,
                };
                break;
        default:
                break;
        }
}

struct vtd_request vtd_sample_largest_request(enum vtd_request_type type)
{
        struct vtd_request request = {.type = type, .sequence = UINT32_MAX};

        switch ((unsigned)type) {
        case VTD_REQUEST_HELLO:
                request.hello = (struct vtd_hello_request){UINT32_MAX, UINT32_MAX, UINT64_MAX};
                break;
        case VTD_REQUEST_PLUG_DEVICE:
                memset(request.plug_device.name.text, 'x', VTD_LIMIT_NAME);
                break;
        case VTD_REQUEST_UNPLUG_DEVICE:
                request.unplug_device.device = UINT64_MAX;
                break;
        case VTD_REQUEST_MAP_MEMORY:
                request.map_memory =
                        (struct vtd_map_memory_request){UINT64_MAX, UINT64_MAX, UINT64_MAX};
                break;
        case VTD_REQUEST_UNMAP_MEMORY:
                request.unmap_memory.mapping = UINT64_MAX;
                break;
        case VTD_REQUEST_ATTACH:
                request.attach = (struct vtd_attach_request){
                        .device = UINT64_MAX,
                        .pasid = VTD_PASID_MAX,
                        .mode = VTD_ATTACH_FIRST_STAGE,
                        .root = UINT64_MAX,
                        .address_width = UINT32_MAX,
                        .flags = VTD_FIRST_STAGE_FLAGS,
                };
                break;
        case VTD_REQUEST_INVALIDATE:
                request.invalidate.table = UINT64_MAX;
                request.invalidate.count = VTD_LIMIT_INVALIDATE_ENTRIES;
                for (size_t i = 0; i < VTD_LIMIT_INVALIDATE_ENTRIES; i++)
                        request.invalidate.entries[i] =
                                (struct vtd_invalidate_entry){UINT64_MAX - i, UINT64_MAX, i % 2};
                break;
        case VTD_REQUEST_REGION_READ:
        case VTD_REQUEST_REGION_WRITE:
                request.region = (struct vtd_region_request){
                        .device = UINT64_MAX,
                        .region = UINT32_MAX,
                        .width = 8,
                        .offset = UINT64_MAX,
                        .value = type == VTD_REQUEST_REGION_WRITE ? UINT64_MAX : 0,
                };
                break;
        default:
                fill_device_plane(&request);
                break;
        }
        return request;
}
