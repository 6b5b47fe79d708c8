/* SPDX-License-Identifier: MIT */
/*
 * broker/worker/memory.c: the arithmetic on addresses, what a MapMemory is judged by, and the books
 * of an UnmapMemory, whatever the host answers at each piece.
 *
 * Bounds: MAPPINGS mappings are there already, one device with RESERVED reserved ranges; a mapping
 * that is unmapped has at most PIECES pieces.  Not shown: the books of map_chunks().
 * Assumes that a device's address limit leaves one piece to the end of the 64-bit space:
 * devices.c keeps it at or below 2^57.
 */
#include "tests/prove/prove.h"

#include "broker/worker/call.c"
#include "broker/worker/handles.c"
#include "broker/worker/memory.c"
#include "broker/worker/quota.c"
#include "policy/judge.c"

#define MAPPINGS 2u
#define RESERVED 2u
#define PIECES   3u

#define SPACE_END (UINT64_MAX - VTD_LIMIT_MAP_CHUNK)

struct vtd_map_memory_request nondet_map_memory(void);

enum vtd_status vtd_reason_status(enum vtd_reason reason)
{
        (void)reason;
        return VTD_STATUS_INVALID;
}

int vtd_supervisor_dispatch(struct vtd_supervisor *supervisor)
{
        (void)supervisor;
        return nondet_int();
}

/* Any piece: not empty, not longer than one, and within one when it is not at an end. */
void prove_pieces(void)
{
        const uint64_t start = nondet_u64(), end = nondet_u64();
        uint64_t next, last;

        ASSUME(start < end && end <= SPACE_END);
        next = next_chunk_end(start, end);
        PROVE(next > start && next <= end && next - start <= VTD_LIMIT_MAP_CHUNK);
        PROVE(next == end || next % VTD_LIMIT_MAP_CHUNK == 0);
        PROVE(start / VTD_LIMIT_MAP_CHUNK == (next - 1) / VTD_LIMIT_MAP_CHUNK);
        last = last_chunk_start(start, end);
        PROVE(last >= start && last < end && end - last <= VTD_LIMIT_MAP_CHUNK);
        PROVE(last == start || last % VTD_LIMIT_MAP_CHUNK == 0);
        /* Both cut at the same places: what was mapped as one piece is unmapped as one. */
        PROVE(next_chunk_end(last, end) == end);
}

/* A VM with one device and MAPPINGS slots for mappings, all of any content. */
struct books {
        struct vtd_handle_slot device_slots[1], mapping_slots[MAPPINGS];
        struct vtd_device devices[1];
        struct vtd_mapping mappings[MAPPINGS];
};

static struct vtd_vm vm;
static struct books books;

static void any_vm(void)
{
        vm.device_handles.capacity = 1;
        vm.device_handles.slots = books.device_slots;
        vm.mapping_handles.capacity = MAPPINGS;
        vm.mapping_handles.slots = books.mapping_slots;
        vm.devices = books.devices;
        vm.mappings = books.mappings;
        books.device_slots[0].used = nondet_bool();
        books.devices[0].ready = nondet_bool();
        books.devices[0].address_limit = nondet_u64();
        ASSUME(books.devices[0].address_limit <= SPACE_END);
        books.devices[0].n_reserved = nondet_size();
        ASSUME(books.devices[0].n_reserved <= RESERVED);
        for (size_t i = 0; i < RESERVED; i++) {
                books.devices[0].reserved[i].start = nondet_u64();
                books.devices[0].reserved[i].last = nondet_u64();
        }
        for (size_t i = 0; i < MAPPINGS; i++) {
                books.mapping_slots[i].used = nondet_bool();
                books.mappings[i] = (struct vtd_mapping){
                        .start = nondet_u64(), .end = nondet_u64(), .empty = nondet_bool()};
                ASSUME(books.mappings[i].start <= books.mappings[i].end);
        }
}

static bool has_byte(size_t i, uint64_t byte)
{
        return books.mapping_slots[i].used && books.mappings[i].start <= byte &&
               byte < books.mappings[i].end;
}

/* Held: each byte is in a mapping that is not empty.  Any range may be asked for. */
void prove_holds(void)
{
        const uint64_t start = nondet_u64(), size = nondet_u64(), byte = nondet_u64();
        bool found = false;

        any_vm();
        if (!vtd_memory_holds(&vm, start, size))
                return;
        PROVE(size > 0 && size <= UINT64_MAX - start);
        ASSUME(byte >= start && byte - start < size);
        for (size_t i = 0; i < MAPPINGS; i++)
                found |= has_byte(i, byte) && !books.mappings[i].empty;
        PROVE(found);
}

/* Touched if and only if there is a common byte; what is named is the mapping that has one. */
void prove_touches(void)
{
        const struct vtd_address_range range = {nondet_u64(), nondet_u64()};
        const uint64_t byte = nondet_u64();
        const size_t i = nondet_size();
        uint64_t start, end;
        bool touches;

        any_vm();
        ASSUME(range.start <= range.last);
        touches = vtd_memory_touches(&vm, &range, &start, &end);
        if (touches)
                PROVE(start < end && start <= range.last && end > range.start);
        else if (i < MAPPINGS && byte >= range.start && byte <= range.last)
                PROVE(!has_byte(i, byte));
}

/* What is let through is aligned, does not wrap, ends below every limit and overlaps nothing. */
void prove_judge(void)
{
        const struct vtd_map_memory_request map = nondet_map_memory();
        static struct vtd_reply reply;
        struct vtd_call call = {.reply = &reply};
        const uint64_t byte = nondet_u64();
        const size_t i = nondet_size();

        any_vm();
        if (judge_numbers(&vm, &call, &map) != 0) {
                PROVE(reply.refused);
                return;
        }
        if (judge_place(&vm, &call, &map) != 0) {
                PROVE(reply.refused);
                return;
        }
        PROVE(map.gpa % 4096 == 0 && map.size % 4096 == 0 && map.offset % 4096 == 0);
        PROVE(map.size > 0 && map.size <= UINT64_MAX - map.gpa);
        if (any_device(&vm))
                PROVE(map.gpa + map.size <= books.devices[0].address_limit);
        ASSUME(byte >= map.gpa && byte - map.gpa < map.size);
        if (i < MAPPINGS)
                PROVE(!has_byte(i, byte));
        if (any_device(&vm) && i < books.devices[0].n_reserved)
                PROVE(byte < books.devices[0].reserved[i].start ||
                      byte > books.devices[0].reserved[i].last);
}

/* A host that answers anything; what it holds of one mapping is [start, end). */
struct fake_host {
        struct vtd_host host;
        uint64_t start, end;
};

static struct fake_host fake;

/* From either end, and only whole pieces of what is mapped. */
static int fake_unmap(struct vtd_host *host, uint32_t ioas, uint64_t iova, uint64_t length)
{
        (void)host;
        (void)ioas;
        PROVE(length > 0 && length <= VTD_LIMIT_MAP_CHUNK);
        PROVE(iova >= fake.start && iova < fake.end && length <= fake.end - iova);
        PROVE(iova == fake.start || iova + length == fake.end);
        if (nondet_bool())
                return -EIO;
        if (iova == fake.start)
                fake.start = iova + length;
        else
                fake.end = iova;
        return 0;
}

static const struct vtd_host_ops fake_ops = {.unmap = fake_unmap};

/* One mapping in slot 0, for which @memory is charged; nothing else is. */
static void one_mapping(uint64_t memory)
{
        fake.host.ops = &fake_ops;
        vm.host = &fake.host;
        vm.mapping_handles = (struct vtd_handles){
                .type = VTD_HANDLE_MAPPING, .capacity = 1, .free = 1, .slots = books.mapping_slots};
        vm.mappings = books.mappings;
        books.mapping_slots[0] = (struct vtd_handle_slot){.generation = 1, .used = true};
        vm.quota.accounts[VTD_POLICY_MEMORY].limit = UINT64_MAX;
        vm.quota.accounts[VTD_POLICY_MEMORY].used = memory;
        vm.quota.accounts[VTD_POLICY_MAPPINGS].limit = 1;
        vm.quota.accounts[VTD_POLICY_MAPPINGS].used = 1;
}

/* What the host holds is what is charged; the mapping is in the books while there is any. */
static void prove_books(void)
{
        const struct vtd_mapping *m = &books.mappings[0];

        PROVE(vtd_quota_used(&vm.quota, VTD_POLICY_MEMORY) == fake.end - fake.start);
        PROVE(vtd_quota_used(&vm.quota, VTD_POLICY_MAPPINGS) == books.mapping_slots[0].used);
        if (books.mapping_slots[0].used)
                PROVE(m->start == fake.start && m->end == fake.end);
        else
                PROVE(fake.start == fake.end);
}

void prove_unmap(void)
{
        struct vtd_request request = {.type = VTD_REQUEST_UNMAP_MEMORY};
        static struct vtd_reply reply;
        struct vtd_call call = {.request = &request, .reply = &reply};
        const uint64_t start = nondet_u64(), end = nondet_u64();
        int r;

        ASSUME(start < end && end <= SPACE_END);
        ASSUME((end - 1) / VTD_LIMIT_MAP_CHUNK - start / VTD_LIMIT_MAP_CHUNK < PIECES);
        one_mapping(end - start);
        fake.start = start;
        fake.end = end;
        books.mappings[0] = (struct vtd_mapping){.start = start, .end = end};
        request.unmap_memory.mapping = vtd_handles_name(&vm.mapping_handles, 0);
        r = vtd_memory_unmap(&vm, &call);
        PROVE(r == 0 || r == VTD_CALL_E_REFUSED || r == VTD_CALL_E_FATAL);
        PROVE(IMPLIES(r == 0, fake.start == fake.end && !books.mapping_slots[0].used));
        PROVE(IMPLIES(r == VTD_CALL_E_REFUSED, books.mapping_slots[0].used));
        prove_books();
}
