/* SPDX-License-Identifier: MIT */
/*
 * frontend/queue.c: for any queue address and tail that a guest sets and any descriptor that it
 * writes, after any number of descriptors, by induction from any head that is_sound() allows.
 *
 * Bounds: none.  Assumes a width of guest-physical addresses that the harness "capabilities" shows.
 */
#include "tests/prove/prove.h"

#include "frontend/queue.c"

struct vtd_registers nondet_registers(void);
struct vtd_queue nondet_queue(void);

/* What the guest's memory holds where the descriptor lies, and the read that took it. */
struct memory {
        uint64_t words[4];
        unsigned reads;
        uint64_t address;
        size_t size;
        bool is_ram;
};

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct memory *memory = opaque;
        uint64_t *to = data;

        PROVE(size == 16 || size == 32);
        memory->reads++;
        memory->address = gpa;
        memory->size = size;
        to[0] = memory->words[0];
        to[1] = memory->words[1];
        if (size == 32) {
                to[2] = memory->words[2];
                to[3] = memory->words[3];
        }
        return memory->is_ram ? 0 : -1;
}

static bool is_size(const struct vtd_queue *queue)
{
        return queue->enabled && vtd_is_page_aligned(queue->base) && queue->size >= 4096 &&
               queue->size <= 4096u << 7 && (queue->size & (queue->size - 1)) == 0 &&
               (queue->descriptor_size == 16 || queue->descriptor_size == 32);
}

/* The head is a place for a descriptor in the queue. */
static bool is_sound(const struct vtd_queue *queue, const struct vtd_registers *registers)
{
        uint64_t head = vtd_registers_get64(registers, VTD_REG_IQH);

        return is_size(queue) && head < queue->size && head % queue->descriptor_size == 0;
}

void prove_enable(void)
{
        struct vtd_registers registers = nondet_registers();
        const uint64_t iqa = vtd_registers_get64(&registers, VTD_REG_IQA);
        struct vtd_queue queue;

        vtd_queue_enable(&queue, &registers);
        PROVE(is_sound(&queue, &registers));
        PROVE(queue.base == (iqa & ~UINT64_C(0xfff)));
        PROVE(queue.size == UINT64_C(1) << ((iqa & 7) + 12));
        PROVE(vtd_registers_get64(&registers, VTD_REG_IQA) == iqa);
        vtd_queue_disable(&queue, &registers);
        PROVE(!queue.enabled && vtd_registers_get64(&registers, VTD_REG_IQH) == 0);
}

/* The head goes on by one descriptor, and round at the end. */
void prove_advance(void)
{
        struct vtd_registers registers = nondet_registers();
        struct vtd_queue queue = nondet_queue();
        uint32_t before;

        queue.enabled = nondet_bool();
        ASSUME(is_sound(&queue, &registers));
        before = vtd_registers_get32(&registers, VTD_REG_IQH);
        vtd_queue_advance(&queue, &registers);
        PROVE(is_sound(&queue, &registers));
        PROVE(vtd_registers_get32(&registers, VTD_REG_IQH) ==
              (before + queue.descriptor_size) % queue.size);
}

/* A descriptor as its type lays it out; bits are those of the architecture. */
static void prove_fields(const struct vtd_descriptor *d, const uint64_t *words)
{
        PROVE(d->type == ((words[0] & 0xf) | (words[0] >> 9 & 7) << 4));
        PROVE(d->type >= VTD_DESCRIPTOR_CONTEXT_CACHE &&
              d->type <= VTD_DESCRIPTOR_PAGE_GROUP_RESPONSE);
        PROVE(d->granularity == (words[0] >> 4 & 3));
        PROVE(d->domain_id == (words[0] >> 16 & 0xffff));
        PROVE(d->pasid == (words[0] >> 32 & 0xfffff));
        PROVE(d->source_id == (words[0] >> 32 & 0xffff));
        PROVE((d->source_ignored & ~7u) == 0);
        PROVE(d->address == words[1] >> 12 << 12 && d->address_mask == (words[1] & 0x3f));
        PROVE(d->leaf == (words[1] >> 6 & 1));
        PROVE(d->wait_interrupt == (words[0] >> 4 & 1) && d->wait_status == (words[0] >> 5 & 1));
        PROVE(d->status_data == words[0] >> 32 && d->status_address == words[1]);
        if (d->type == VTD_DESCRIPTOR_WAIT)
                PROVE(d->status_address % 4 == 0);
        if (d->type == VTD_DESCRIPTOR_IOTLB && d->granularity == VTD_IOTLB_PAGE)
                PROVE(d->address_mask <= VTD_CAP_MAMV);
}

/*
 * One read at most, of one descriptor, inside the queue and below the width of addresses.  What is
 * accepted is in the form that the table mode asks for; what is not moves no head.
 */
void prove_fetch(void)
{
        struct vtd_registers registers = nondet_registers();
        struct vtd_queue queue = nondet_queue();
        struct memory memory = {.words = {nondet_u64(), nondet_u64(), nondet_u64(), nondet_u64()},
                                .is_ram = nondet_bool()};
        const struct vtd_guest guest = {.callbacks = {.read_memory = read_memory},
                                        .opaque = &memory};
        const struct vtd_capabilities capabilities = {.host_address_bits = nondet_unsigned()};
        const unsigned bits = capabilities.host_address_bits, table_mode = nondet_unsigned();
        enum vtd_queue_error error = 0;
        struct vtd_descriptor d;
        uint64_t head;
        int r;

        queue.enabled = nondet_bool();
        ASSUME(is_sound(&queue, &registers) && table_mode <= 3 && bits >= 32 && bits <= 52);
        ASSUME(vtd_queue_is_ready(&queue, &registers));
        head = vtd_registers_get64(&registers, VTD_REG_IQH);
        r = vtd_queue_fetch(&queue, &registers, &guest, &capabilities, table_mode, &d, &error);
        PROVE(vtd_registers_get64(&registers, VTD_REG_IQH) == head);
        PROVE(memory.reads <= 1);
        if (memory.reads == 1) {
                PROVE(memory.size == queue.descriptor_size && memory.address == queue.base + head);
                PROVE(memory.address + memory.size - queue.base <= queue.size);
                PROVE(memory.address + memory.size <= UINT64_C(1) << bits);
        }
        if (r != 0) {
                PROVE(r == VTD_QUEUE_E_ERROR && error != 0);
                return;
        }
        PROVE(memory.reads == 1 && memory.is_ram && table_mode <= VTD_TTM_SCALABLE);
        PROVE(IMPLIES(table_mode == VTD_TTM_SCALABLE, queue.descriptor_size == 32));
        PROVE(IMPLIES(queue.descriptor_size == 32 && d.type != VTD_DESCRIPTOR_PAGE_GROUP_RESPONSE,
                      memory.words[2] == 0 && memory.words[3] == 0));
        prove_fields(&d, memory.words);
}
