/* SPDX-License-Identifier: MIT */
/*
 * See engine.h.  May assume that requests are answered in the end or the connection is lost.  Must
 * stay bounded: each turn either takes from the budget, or finishes something that took from it.
 */
#include "frontend/engine.h"

#include <endian.h>

#include "frontend/assumptions.h"
#include "frontend/attachments.h"
#include "frontend/event.h"
#include "frontend/fault.h"
#include "shared/checked.h"

#define WARNINGS_PER_RESET 32u

/* What is to be in force for interrupt requests once the commands are carried out. */
static uint64_t wanted_interrupts(const struct vtd_engine *engine)
{
        uint64_t wanted = atomic_load(&engine->interrupts) & VTD_INTERRUPTS_IRTA_MASK;

        if (engine->registers.set_interrupt_table)
                wanted = vtd_registers_get64(&engine->registers, VTD_REG_IRTA);
        if (engine->registers.command & VTD_GCMD_IRE)
                wanted |= VTD_INTERRUPTS_REMAPPED;
        if (engine->registers.command & VTD_GCMD_CFI)
                wanted |= VTD_INTERRUPTS_COMPATIBILITY;
        return wanted;
}

static bool is_command_wanted(const struct vtd_engine *engine)
{
        uint32_t command = engine->registers.command;

        return engine->registers.set_root || engine->registers.set_interrupt_table ||
               !!(command & VTD_GCMD_TE) != engine->enabled ||
               !!(command & VTD_GCMD_QIE) != engine->queue.enabled ||
               wanted_interrupts(engine) != atomic_load(&engine->interrupts);
}

/*
 * Requests that were answered by these entries as they were are to be drained, and the VMM told; by
 * one range that covers all of which it was not told yet.  Without the capability there is nothing.
 */
static void change_interrupts(struct vtd_engine *engine, uint32_t first, uint32_t count)
{
        struct vtd_interrupt_change *change = &engine->interrupt_change;
        uint32_t end = first + count;

        if (!(engine->capabilities.ecap & VTD_ECAP_IR))
                return;
        if (change->count > 0) {
                end = change->first + change->count > end ? change->first + change->count : end;
                first = change->first < first ? change->first : first;
        }
        *change = (struct vtd_interrupt_change){first, end - first};
        vtd_dma_need_drain(&engine->dma);
}

struct vtd_interrupt_change vtd_engine_take_change(struct vtd_engine *engine)
{
        struct vtd_interrupt_change change = engine->interrupt_change;

        engine->interrupt_change.count = 0;
        return change;
}

/* The whole of it changes in one step: no request sees a new table with an old mode. */
static void switch_interrupts(struct vtd_engine *engine)
{
        uint64_t wanted = wanted_interrupts(engine);

        if (engine->registers.set_interrupt_table || wanted != atomic_load(&engine->interrupts))
                change_interrupts(engine, 0, VTD_INTERRUPT_ENTRIES);
        atomic_store(&engine->interrupts, wanted);
        engine->command_set_interrupt_table = engine->registers.set_interrupt_table;
        engine->registers.set_interrupt_table = false;
}

/* Pointers are latched before what uses them is switched, should both be asked for at once. */
static void start_command(struct vtd_engine *engine)
{
        bool enable = engine->registers.command & VTD_GCMD_TE;
        bool toggle = enable != engine->enabled;

        if (engine->pending.count > 0) {
                engine->flush_due = true;
                return;
        }
        engine->command_active = true;
        engine->command_set_root = engine->registers.set_root;
        engine->registers.set_root = false;
        if (engine->command_set_root)
                engine->root = vtd_registers_get64(&engine->registers, VTD_REG_RTADDR);
        engine->enabled = enable;
        switch_interrupts(engine);
        if (engine->command_set_root || toggle) {
                vtd_dma_set_mode(&engine->dma, engine->root, enable);
                vtd_bindings_mark_all(&engine->bindings, engine->command_set_root || !enable);
        }
}

static bool has_news(const struct vtd_engine *engine)
{
        return vtd_dma_has_news(&engine->dma) || engine->interrupt_change.count > 0;
}

/*
 * To be done before a guest may take anything for completed: no access makes use of what was
 * invalidated any more, and who keeps translations or interrupts has forgotten them.
 */
static int settle_dma(struct vtd_engine *engine)
{
        if (!vtd_dma_is_drained(&engine->dma))
                return VTD_ENGINE_E_DRAINING;
        return has_news(engine) ? VTD_ENGINE_E_NEWS : VTD_TURN_AGAIN;
}

static int finish_command(struct vtd_engine *engine)
{
        uint32_t status = vtd_registers_get32(&engine->registers, VTD_REG_GSTS);
        uint64_t interrupts = atomic_load(&engine->interrupts);
        bool queue_wanted = engine->registers.command & VTD_GCMD_QIE;
        int r = settle_dma(engine);

        if (r != VTD_TURN_AGAIN)
                return r;
        engine->command_active = false;
        if (queue_wanted && !engine->queue.enabled)
                vtd_queue_enable(&engine->queue, &engine->registers);
        if (!queue_wanted && engine->queue.enabled)
                vtd_queue_disable(&engine->queue, &engine->registers);
        status &= ~(VTD_GCMD_TE | VTD_GCMD_QIE | VTD_GCMD_IRE | VTD_GCMD_CFI);
        if (engine->enabled)
                status |= VTD_GCMD_TE;
        if (engine->queue.enabled)
                status |= VTD_GCMD_QIE;
        if (engine->command_set_root && !engine->registers.set_root)
                status |= VTD_GCMD_SRTP;
        if (interrupts & VTD_INTERRUPTS_REMAPPED)
                status |= VTD_GCMD_IRE;
        if (interrupts & VTD_INTERRUPTS_COMPATIBILITY)
                status |= VTD_GCMD_CFI;
        if (engine->command_set_interrupt_table && !engine->registers.set_interrupt_table)
                status |= VTD_GCMD_SIRTP;
        vtd_registers_set32(&engine->registers, VTD_REG_GSTS, status);
        return VTD_TURN_AGAIN;
}

static void complete_descriptor(struct vtd_engine *engine)
{
        engine->held = false;
        engine->stats.descriptors++;
        vtd_queue_advance(&engine->queue, &engine->registers);
}

static void raise_queue_error(struct vtd_engine *engine, enum vtd_queue_error error)
{
        engine->held = false;
        if (error == VTD_QUEUE_ERROR_TAIL_ALIGNMENT)
                vtd_queue_align_tail(&engine->queue, &engine->registers);
        vtd_fault_queue_error(&engine->registers, error, &engine->output.fault);
}

/* The unit is no memory: a write to its own page would be a command that no guest gave. */
static bool write_status(struct vtd_engine *engine, const struct vtd_descriptor *descriptor)
{
        const struct vtd_capabilities *capabilities = &engine->capabilities;
        uint64_t address = descriptor->status_address;
        uint32_t data = htole32(descriptor->status_data);

        return address >> capabilities->host_address_bits == 0 &&
               !vtd_range_contains(capabilities->register_base, VTD_FRONTEND_REGISTER_PAGE_SIZE,
                                   address, sizeof(data)) &&
               vtd_guest_write(&engine->guest, address, &data, sizeof(data));
}

static void execute_wait(struct vtd_engine *engine, const struct vtd_descriptor *descriptor)
{
        struct vtd_registers *registers = &engine->registers;

        if (descriptor->wait_status && !write_status(engine, descriptor)) {
                raise_queue_error(engine, VTD_ASSUMED_ERROR_OF_STATUS_WRITE);
                return;
        }
        complete_descriptor(engine);
        if (descriptor->wait_interrupt &&
            !(vtd_registers_get32(registers, VTD_REG_ICS) & VTD_ICS_IWC)) {
                vtd_registers_set32(registers, VTD_REG_ICS, VTD_ICS_IWC);
                vtd_event_raise(registers, VTD_EVENT_INVALIDATION, &engine->output.invalidation);
        }
}

/*
 * When the set of pending tables is full, it is sent, and the descriptor goes on with the binding
 * that it had come to.
 */
static void execute_iotlb(struct vtd_engine *engine, const struct vtd_descriptor *descriptor)
{
        bool pages = descriptor->type == VTD_DESCRIPTOR_PASID_IOTLB &&
                     descriptor->granularity == VTD_PASID_IOTLB_PAGE;

        for (; engine->next_slot < engine->bindings.end; engine->next_slot++) {
                const struct vtd_binding *binding = &engine->bindings.slots[engine->next_slot];
                int r;

                if (!vtd_binding_matches_iotlb(binding, descriptor))
                        continue;
                if (pages)
                        r = vtd_pending_add_block(&engine->pending, binding->table,
                                                  descriptor->address, descriptor->address_mask,
                                                  descriptor->leaf);
                else
                        r = vtd_pending_add_whole(&engine->pending, binding->table);
                if (r != 0) {
                        engine->flush_due = true;
                        return;
                }
        }
        complete_descriptor(engine);
}

static bool is_barrier(const struct vtd_descriptor *descriptor)
{
        return descriptor->type == VTD_DESCRIPTOR_WAIT ||
               descriptor->type == VTD_DESCRIPTOR_CONTEXT_CACHE ||
               descriptor->type == VTD_DESCRIPTOR_PASID_CACHE;
}

static int execute(struct vtd_engine *engine)
{
        const struct vtd_descriptor *descriptor = &engine->descriptor;
        int r = VTD_TURN_AGAIN;

        if ((engine->held_error || is_barrier(descriptor)) && engine->pending.count > 0) {
                engine->flush_due = true;
        } else if (engine->held_error || descriptor->type == VTD_DESCRIPTOR_WAIT) {
                r = settle_dma(engine);
                if (r != VTD_TURN_AGAIN)
                        return r;
                if (engine->held_error)
                        raise_queue_error(engine, engine->error);
                else
                        execute_wait(engine, descriptor);
        } else if (descriptor->type == VTD_DESCRIPTOR_IOTLB ||
                   descriptor->type == VTD_DESCRIPTOR_PASID_IOTLB) {
                execute_iotlb(engine, descriptor);
        } else {
                if (descriptor->type == VTD_DESCRIPTOR_CONTEXT_CACHE)
                        vtd_bindings_mark_context(&engine->bindings, descriptor);
                else if (descriptor->type == VTD_DESCRIPTOR_PASID_CACHE)
                        vtd_bindings_mark_pasid_cache(&engine->bindings, descriptor);
                else if (descriptor->type == VTD_DESCRIPTOR_INTERRUPT_ENTRY_CACHE)
                        change_interrupts(engine, descriptor->index, descriptor->index_count);
                complete_descriptor(engine);
        }
        return r;
}

/* Nothing is left to do but to send and tell what no wait descriptor came for. */
static int rest(struct vtd_engine *engine)
{
        int r = VTD_TURN_AGAIN;

        if (engine->pending.count > 0) {
                engine->flush_due = true;
                return VTD_TURN_AGAIN;
        }
        if (engine->settle_due || has_news(engine))
                r = settle_dma(engine);
        if (r != VTD_TURN_AGAIN)
                return r;
        engine->settle_due = false;
        return VTD_FRONTEND_IDLE;
}

/*
 * Takes the next descriptor, if there is one.  Emulated devices are done with it here, once, whatever
 * it has to wait for after.
 */
static int fetch(struct vtd_engine *engine, unsigned *budget)
{
        int r;

        if (!vtd_queue_is_ready(&engine->queue, &engine->registers))
                return rest(engine);
        if (*budget == 0)
                return VTD_FRONTEND_PENDING;
        --*budget;
        r = vtd_queue_fetch(&engine->queue, &engine->registers, &engine->guest,
                            &engine->capabilities, VTD_RTADDR_TTM(engine->root),
                            &engine->descriptor, &engine->error);
        engine->held = true;
        engine->held_error = r != 0;
        engine->next_slot = 0;
        if (r == 0)
                vtd_dma_invalidate(&engine->dma, &engine->descriptor);
        return VTD_TURN_AGAIN;
}

/* One step of the order in engine.h. */
static int take_turn(struct vtd_engine *engine, unsigned *budget)
{
        struct vtd_binding *binding;
        size_t device;

        if (engine->lost)
                return VTD_FRONTEND_LOST;
        if (engine->outstanding)
                return vtd_engine_collect(engine);
        if (engine->attach_due)
                return vtd_engine_submit_attach(engine);
        binding = vtd_bindings_next(&engine->bindings);
        device = vtd_bindings_next_search(&engine->bindings);
        if (binding || device < VTD_LIMIT_DEVICES) {
                if (*budget == 0)
                        return VTD_FRONTEND_PENDING;
                --*budget;
                return binding ? vtd_engine_evaluate(engine, binding)
                               : vtd_engine_search(engine, device);
        }
        if (engine->bindings.sweep_due)
                vtd_bindings_sweep(&engine->bindings);
        if (engine->flush_due)
                return vtd_engine_flush(engine, budget);
        if (engine->command_active)
                return finish_command(engine);
        if (engine->held)
                return execute(engine);
        if (!is_command_wanted(engine))
                return fetch(engine, budget);
        start_command(engine);
        return VTD_TURN_AGAIN;
}

struct vtd_engine_output vtd_engine_take_output(struct vtd_engine *engine)
{
        struct vtd_engine_output output = engine->output;

        engine->output = (struct vtd_engine_output){.broker_lost = false};
        return output;
}

static bool has_output(const struct vtd_engine *engine)
{
        const struct vtd_engine_output *output = &engine->output;

        return output->fault.due || output->invalidation.due || output->broker_lost;
}

int vtd_engine_run(struct vtd_engine *engine, unsigned *budget)
{
        uint64_t requests = engine->stats.requests;
        bool collected = engine->outstanding;
        struct vtd_reply reply;
        int r;

        do
                r = take_turn(engine, budget);
        while (r == VTD_TURN_AGAIN && !has_output(engine));
        if (r == VTD_TURN_AGAIN)
                return VTD_ENGINE_E_OUTPUT;
        /* A broker that goes away while nothing is asked of it is noticed here. */
        if (r == VTD_FRONTEND_IDLE && engine->backend && !collected &&
            requests == engine->stats.requests &&
            engine->backend->ops->collect(engine->backend, &reply, 0) != VTD_BACKEND_E_AGAIN) {
                vtd_engine_lose(engine);
                r = VTD_FRONTEND_LOST;
        }
        return r;
}

void vtd_engine_trigger(struct vtd_engine *engine, unsigned triggers)
{
        struct vtd_registers *registers = &engine->registers;
        struct vtd_engine_output *output = &engine->output;

        if (triggers & VTD_TRIGGER_FAULT_STATUS)
                vtd_fault_status_written(registers);
        if (triggers & VTD_TRIGGER_FAULT_CONTROL)
                vtd_event_unmask(registers, VTD_EVENT_FAULT, &output->fault);
        if ((triggers & VTD_TRIGGER_INVALIDATION_STATUS) &&
            !(vtd_registers_get32(registers, VTD_REG_ICS) & VTD_ICS_IWC))
                vtd_event_cancel(registers, VTD_EVENT_INVALIDATION);
        if (triggers & VTD_TRIGGER_INVALIDATION_CONTROL)
                vtd_event_unmask(registers, VTD_EVENT_INVALIDATION, &output->invalidation);
}

/*
 * Invalidations that were pending are not in the state, although their descriptors may be done.
 * They are not needed: where nothing is attached, no host table exists that could be stale, and one
 * that stays attached is invalidated as a whole because it is forgotten here under which tag that was
 * (see commit()).  Either happens before the next descriptor is fetched or command begun, so before
 * the guest is told of anything.
 */
void vtd_engine_restore(struct vtd_engine *engine, const struct vtd_engine_state *state)
{
        uint32_t status = vtd_registers_get32(&state->registers, VTD_REG_GSTS);

        engine->registers = state->registers;
        engine->queue = (struct vtd_queue){.enabled = false};
        if (status & VTD_GCMD_QIE)
                vtd_queue_latch(&engine->queue, state->iqa);
        engine->pending.count = 0;
        engine->enabled = status & VTD_GCMD_TE;
        engine->root = state->root;
        vtd_dma_set_mode(&engine->dma, engine->root, engine->enabled);
        engine->command_active = false;
        engine->command_set_root = false;
        engine->command_set_interrupt_table = false;
        atomic_store(&engine->interrupts,
                     state->interrupt_table |
                             (status & VTD_GCMD_IRE ? VTD_INTERRUPTS_REMAPPED : 0) |
                             (status & VTD_GCMD_CFI ? VTD_INTERRUPTS_COMPATIBILITY : 0));
        change_interrupts(engine, 0, VTD_INTERRUPT_ENTRIES);
        engine->held = false;
        engine->flush_due = false;
        engine->settle_due = true;
        engine->walking = NULL;
        engine->attach_due = false;
        engine->searching = NULL;
        engine->abandoned = true;
        engine->warnings_left = WARNINGS_PER_RESET;
        for (size_t i = 0; i < engine->bindings.end; i++) {
                engine->bindings.slots[i].must_block = false;
                engine->bindings.slots[i].must_flush = false;
        }
        vtd_bindings_mark_all(&engine->bindings, true);
}

void vtd_engine_reset(struct vtd_engine *engine)
{
        struct vtd_engine_state state = {.root = 0};

        vtd_registers_reset(&state.registers, &engine->capabilities);
        vtd_engine_restore(engine, &state);
}

/*
 * A command that was begun is saved as one that was not, which GSTS does not show either.  So is the
 * descriptor or queue error that is held: the head has not moved, and it is fetched again.
 */
int vtd_engine_save(const struct vtd_engine *engine, struct vtd_engine_state *state)
{
        if (engine->lost)
                return VTD_FRONTEND_LOST;
        if (engine->outstanding)
                return VTD_FRONTEND_BUSY;
        state->registers = engine->registers;
        if (engine->command_active && engine->command_set_root)
                state->registers.set_root = true;
        if (engine->command_active && engine->command_set_interrupt_table)
                state->registers.set_interrupt_table = true;
        state->root = engine->root;
        state->interrupt_table = atomic_load(&engine->interrupts) & VTD_INTERRUPTS_IRTA_MASK;
        state->iqa = engine->queue.iqa;
        return 0;
}
