/* SPDX-License-Identifier: MIT */
/*
 * Random conversations with real processes: requests that are well-formed or nearly, bytes that are
 * neither, descriptors of all kinds, answers read or left, ends at any place.  One seed makes one
 * conversation; whatever it was, the two questions of every attack are asked after it.
 */
#include "tests/protocol/attack.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "shared/checked.h"
#include "shared/cleanup.h"

#define RECORDS_MAX 48u

struct stream {
        uint64_t state;
        struct world *world;
        int memory, event, null;
        uint64_t devices[4], mappings[4], tables[4];
        bool over;
};

/* xorshift64. */
static uint64_t random64(struct stream *stream)
{
        stream->state ^= stream->state << 13;
        stream->state ^= stream->state >> 7;
        stream->state ^= stream->state << 17;
        return stream->state;
}

static uint32_t pick(struct stream *stream, uint32_t n)
{
        return (uint32_t)(random64(stream) >> 20) % n;
}

static uint64_t handle(struct stream *stream, const uint64_t *handles)
{
        return pick(stream, 8) ? handles[pick(stream, 4)] : random64(stream);
}

static void fill_attach(struct stream *stream, struct vtd_attach_request *attach)
{
        attach->device = handle(stream, stream->devices);
        attach->pasid = pick(stream, 2) ? pick(stream, 4) : 0;
        attach->mode = 1 + pick(stream, 3);
        if (attach->mode != VTD_ATTACH_FIRST_STAGE)
                return;
        attach->root = (uint64_t)pick(stream, 300) << 12;
        attach->address_width = pick(stream, 8) ? 48 : 57;
        attach->flags = pick(stream, 8) ? 0 : pick(stream, 8);
}

static void fill_device_plane(struct stream *stream, struct vtd_request *request)
{
        request->device.device = handle(stream, stream->devices);
        if (request->type == VTD_REQUEST_CONFIG_READ || request->type == VTD_REQUEST_CONFIG_WRITE) {
                request->config.offset = pick(stream, 4100);
                request->config.width = 1u << pick(stream, 3);
                if (request->type == VTD_REQUEST_CONFIG_WRITE)
                        request->config.value = pick(stream, 256);
        } else if (request->type == VTD_REQUEST_SET_INTERRUPT ||
                   request->type == VTD_REQUEST_CLEAR_INTERRUPTS) {
                request->interrupt.kind = 1 + pick(stream, 2);
                if (request->type == VTD_REQUEST_SET_INTERRUPT)
                        request->interrupt.vector = pick(stream, 2);
        }
}

static struct vtd_request make_request(struct stream *stream)
{
        struct vtd_request request = {.type = 1 + pick(stream, VTD_REQUEST_TYPE_END - 1)};

        if (vtd_request_kind(request.type)->reserved)
                request.type = VTD_REQUEST_ATTACH;
        if (request.type == VTD_REQUEST_HELLO && pick(stream, 16))
                request.type = VTD_REQUEST_GET_STATS; /* a second Hello ends too many of them */
        if (request.type == VTD_REQUEST_PLUG_DEVICE)
                (void)snprintf(request.plug_device.name.text, sizeof(request.plug_device.name.text),
                               "edu%u", pick(stream, 3));
        else if (request.type == VTD_REQUEST_UNPLUG_DEVICE)
                request.unplug_device.device = handle(stream, stream->devices);
        else if (request.type == VTD_REQUEST_MAP_MEMORY)
                request.map_memory =
                        (struct vtd_map_memory_request){.gpa = (uint64_t)pick(stream, 3000) << 12,
                                                        .size = (uint64_t)pick(stream, 300) << 12,
                                                        .offset = (uint64_t)pick(stream, 4) << 12};
        else if (request.type == VTD_REQUEST_UNMAP_MEMORY)
                request.unmap_memory.mapping = handle(stream, stream->mappings);
        else if (request.type == VTD_REQUEST_ATTACH)
                fill_attach(stream, &request.attach);
        else if (request.type == VTD_REQUEST_INVALIDATE)
                request.invalidate = (struct vtd_invalidate_request){
                        .table = handle(stream, stream->tables),
                        .count = 1,
                        .entries = {{(uint64_t)pick(stream, 9000) << 12, pick(stream, 600),
                                     pick(stream, 2)}}};
        else if (request.type == VTD_REQUEST_REGION_READ)
                request.region =
                        (struct vtd_region_request){.device = handle(stream, stream->devices),
                                                    .region = pick(stream, 3),
                                                    .width = 1u << pick(stream, 4),
                                                    .offset = pick(stream, 300)};
        else if (request.type == VTD_REQUEST_REGION_WRITE)
                request.region = (struct vtd_region_request){
                        .device = handle(stream, stream->devices), .width = 4, .value = 1};
        else if (request.type >= VTD_REQUEST_GET_DEVICE_INFO)
                fill_device_plane(stream, &request);
        return request;
}

static void remember(struct stream *stream, const struct vtd_reply *reply)
{
        if (reply->refused)
                return;
        if (reply->type == VTD_REQUEST_PLUG_DEVICE)
                stream->devices[pick(stream, 4)] = reply->plug_device.device;
        else if (reply->type == VTD_REQUEST_MAP_MEMORY)
                stream->mappings[pick(stream, 4)] = reply->map_memory.mapping;
        else if (reply->type == VTD_REQUEST_ATTACH && reply->attach.table)
                stream->tables[pick(stream, 4)] = reply->attach.table;
}

/* A valid record now and then loses a bit, a byte, or its tail. */
static size_t spoil(struct stream *stream, uint8_t *record, size_t length)
{
        switch (pick(stream, 24)) {
        case 0:
                record[pick(stream, (uint32_t)length)] ^= (uint8_t)(1u << pick(stream, 8));
                return length;
        case 1:
                record[pick(stream, (uint32_t)length)] = (uint8_t)random64(stream);
                return length;
        case 2:
                return pick(stream, (uint32_t)length + 1);
        default:
                return length;
        }
}

static void say_something(struct stream *stream)
{
        struct raw_client *client = &stream->world->client;
        struct vtd_request request = make_request(stream);
        uint8_t record[VTD_FRAME_SIZE_MAX];
        int fitting = request.type == VTD_REQUEST_SET_INTERRUPT ? stream->event : stream->memory;
        int fds[2] = {pick(stream, 8) ? fitting : stream->null, stream->null};
        size_t length, sent, n_fds = vtd_request_kind(request.type)->fd_count;
        struct vtd_reply reply;

        request.sequence = ++client->sequence;
        if (vtd_codec_encode_request(&request, record, &length) != 0)
                return;
        sent = spoil(stream, record, length);
        if (pick(stream, 40) == 0)
                n_fds = pick(stream, 3);
        if (raw_send(client, record, sent, fds, n_fds) != 0) {
                stream->over = true;
                return;
        }
        /* An answer, or the end; which of them only the broker can know. */
        switch (raw_receive(client, &reply, request.type, request.sequence)) {
        case RAW_ANSWERED:
                remember(stream, &reply);
                return;
        case RAW_CLOSED:
                stream->over = true;
                return;
        case RAW_SILENT:
        case RAW_GARBLED:
                /* A spoilt type or sequence is answered as what it became. */
                if (sent == length && n_fds == vtd_request_kind(request.type)->fd_count)
                        stream->over = true;
                else
                        fail_msg("neither an answer nor an end");
        }
}

static void converse(struct world *world, uint64_t seed)
{
        struct stream stream = {.state = seed * 0x9e3779b97f4a7c15 + 1, .world = world};
        uint32_t records = 1 + pick(&stream, RECORDS_MAX);

        stream.memory = make_memory(MAPPING, F_SEAL_SHRINK);
        stream.null = open("/dev/null", O_RDWR | O_CLOEXEC);
        stream.event = eventfd(0, EFD_CLOEXEC);
        assert_true(stream.null >= 0 && stream.event >= 0);
        for (uint32_t i = 0; i < records && !stream.over; i++)
                say_something(&stream);
        stream.memory = vtd_close(stream.memory);
        stream.null = vtd_close(stream.null);
        stream.event = vtd_close(stream.event);
}

/* Conversations from seed @a on, @b of them. */
static void conversations(struct world *world, const struct attack *attack)
{
        for (uint64_t seed = attack->a; seed < attack->a + attack->b; seed++) {
                converse(world, seed);
                raw_close(&world->client);
                greet(world, &world->client, world->attacker);
        }
}

const struct attack stream_attacks[] = {
        {.name = "stream: random conversations, seeds 1 to 40",
         .run = conversations,
         .a = 1,
         .b = 40},
        {.name = "stream: random conversations, seeds 1001 to 1040",
         .run = conversations,
         .a = 1001,
         .b = 40},
        {0},
};

void stream_for(struct world *world, unsigned seconds, uint64_t seed)
{
        time_t end = time(NULL) + (time_t)seconds;
        uint64_t first = seed;

        while (time(NULL) < end) {
                (void)printf("# seed %llu\n", (unsigned long long)seed);
                (void)fflush(stdout);
                world_begin(world);
                converse(world, seed++);
                world_end(world);
        }
        (void)printf("conversations  %llu\nfound          nothing\n",
                     (unsigned long long)(seed - first));
}
