/* SPDX-License-Identifier: MIT */
/*
 * See engine.h.  May assume that requests are answered in the end or the connection is lost.  Must
 * stay bounded: each turn either takes from the budget, or finishes something that took from it.
 */
#include "frontend/engine.h"

#include <endian.h>
#include <string.h>

#include "frontend/assumptions.h"
#include "frontend/event.h"
#include "frontend/fault.h"
#include "shared/checked.h"

#define WARNINGS_PER_RESET 32u

/* What a turn came to; other values end the run and are its result. */
#define TURN_AGAIN (-1)

static bool is_granted(const struct vtd_engine *engine, enum vtd_attach_mode mode)
{
        return engine->modes & (1u << (mode - 1));
}

/* Guests can cause these at will, so their number is bounded. */
static void warn_of_refusal(struct vtd_engine *engine, const char *what, uint64_t object,
                            const struct vtd_refusal *refusal)
{
        if (engine->warnings_left == 0)
                return;
        engine->warnings_left--;
        vtd_log(engine->log, VTD_LOG_WARNING,
                "broker refused %s %#llx: %s, %s, asked %#llx, allowed %#llx%s", what,
                (unsigned long long)object, vtd_status_name(refusal->status),
                vtd_reason_name(refusal->reason), (unsigned long long)refusal->asked,
                (unsigned long long)refusal->allowed,
                engine->warnings_left == 0 ? " (further refusals are not logged)" : "");
}

static void record_fault(struct vtd_engine *engine, const struct vtd_binding *binding,
                         enum vtd_fault_reason reason, bool fpd)
{
        const struct vtd_fault fault = {
                .reason = reason,
                .fpd = fpd,
                .rid = binding->rid,
                .with_pasid = binding->pasid != VTD_NO_PASID,
                .pasid = binding->pasid,
        };

        if (reason == VTD_FAULT_NONE || !engine->enabled)
                return;
        if (vtd_fault_record(&engine->registers, &fault, &engine->output.fault))
                engine->stats.faults++;
}

void vtd_engine_lose(struct vtd_engine *engine)
{
        if (engine->lost)
                return;
        engine->lost = true;
        engine->outstanding = false;
        for (size_t i = 0; i < engine->bindings.end; i++)
                engine->bindings.slots[i].current_known = false;
        vtd_log(engine->log, VTD_LOG_ERROR,
                "the broker connection is lost: the invalidation queue is held");
        engine->output.broker_lost = true;
}

int vtd_engine_submit(struct vtd_engine *engine, struct vtd_request *request, int fd)
{
        int r = engine->backend->ops->submit(engine->backend, request, fd);

        if (r != 0) {
                vtd_engine_lose(engine);
                return VTD_BACKEND_E_LOST;
        }
        engine->stats.requests++;
        engine->stats.last_sequence = request->sequence;
        if (request->type == VTD_REQUEST_ATTACH)
                engine->stats.attaches++;
        if (request->type == VTD_REQUEST_INVALIDATE)
                engine->stats.invalidates++;
        return 0;
}

/* Sends engine->request, whose answer is taken in a later turn. */
static int submit_outstanding(struct vtd_engine *engine)
{
        if (vtd_engine_submit(engine, &engine->request, -1) != 0)
                return VTD_FRONTEND_LOST;
        engine->outstanding = true;
        engine->abandoned = false;
        return TURN_AGAIN;
}

/* Invalidates all of @table, which covers what is pending for it. */
static int submit_whole(struct vtd_engine *engine, uint64_t table)
{
        vtd_pending_drop(&engine->pending, table);
        engine->request.type = VTD_REQUEST_INVALIDATE;
        engine->request.invalidate = (struct vtd_invalidate_request){
                .table = table, .count = 1, .entries = {{.pages = VTD_INVALIDATE_ALL}}};
        return submit_outstanding(engine);
}

void vtd_engine_release_table(struct vtd_engine *engine, uint64_t table)
{
        if (table != 0 && !vtd_bindings_use_table(&engine->bindings, table))
                vtd_pending_drop(&engine->pending, table);
}

/* The broker holds @target for @binding now. */
static void set_current(struct vtd_engine *engine, struct vtd_binding *binding,
                        const struct vtd_target *target, uint64_t table)
{
        uint64_t old_table = binding->table;

        binding->current = *target;
        binding->current_known = true;
        binding->table = table;
        if (table != old_table) {
                binding->must_flush = false;
                vtd_engine_release_table(engine, old_table);
        }
}

static void block_current(struct vtd_engine *engine, struct vtd_binding *binding)
{
        const struct vtd_target blocked = {.mode = VTD_ATTACH_BLOCKED};

        set_current(engine, binding, &blocked, 0);
        binding->cached = false;
        engine->bindings.sweep_due = true;
}

/*
 * @decision is in force.  By the architecture, translations are cached under domain id and PASID: a
 * guest need not invalidate what it has never used under a tag.  The host knows only the table, so
 * a table that comes under a new tag, or was named by a dropped cache, is invalidated as a whole;
 * one that another device has under another tag was invalidated before attaching.
 */
static void commit(struct vtd_engine *engine, struct vtd_binding *binding,
                   const struct vtd_decision *decision, uint64_t table)
{
        bool retagged =
                table == binding->table &&
                (!binding->cached || binding->entry.domain_id != decision->entry.domain_id ||
                 binding->entry.pasid != decision->entry.pasid);

        set_current(engine, binding, &decision->target, table);
        binding->cached = decision->cached;
        binding->entry = decision->entry;
        binding->refused = false;
        vtd_bindings_settle(&engine->bindings, binding);
        if (!decision->cached)
                engine->bindings.sweep_due = true;
        if (table != 0 && retagged) {
                binding->must_flush = true;
                engine->flush_due = true;
        }
        record_fault(engine, binding, decision->fault, decision->fpd);
}

/*
 * A well-formed entry calls for what its type says.  The second stage of a device of the broker is
 * the host's: whatever the guest was offered for emulated devices, there is none for it here.
 */
static void follow_entry(struct vtd_decision *decision)
{
        const struct vtd_pasid_entry *entry = &decision->entry;

        if (entry->type == VTD_PGTT_SECOND_STAGE || entry->type == VTD_PGTT_NESTED) {
                decision->fault = VTD_FAULT_PASID_INVALID;
                return;
        }
        decision->fault = VTD_FAULT_NONE;
        decision->cached = true;
        decision->target.mode = VTD_ATTACH_PASSTHROUGH;
        if (entry->type == VTD_PGTT_PASSTHROUGH)
                return;
        decision->target = (struct vtd_target){
                .mode = VTD_ATTACH_FIRST_STAGE,
                .root = entry->first_stage_root,
                .address_width = entry->five_level ? 57 : 48,
                .flags = (entry->supervisor ? VTD_FIRST_STAGE_SRE : 0) |
                         (entry->extended_accessed ? VTD_FIRST_STAGE_EAFE : 0) |
                         (entry->write_protect ? VTD_FIRST_STAGE_WPE : 0),
        };
}

/*
 * Looks at what the guest asks for; reads at most one table entry.  Returns true when that has come
 * to a @decision.
 */
static bool look(struct vtd_engine *engine, const struct vtd_binding *binding,
                 struct vtd_decision *decision)
{
        bool with_pasid = binding->pasid != VTD_NO_PASID;
        int r;

        *decision = (struct vtd_decision){.target = {.mode = VTD_ATTACH_BLOCKED}};
        if (binding->must_block)
                return true;
        if (!engine->enabled) {
                if (!with_pasid && is_granted(engine, VTD_ATTACH_PASSTHROUGH))
                        decision->target.mode = VTD_ATTACH_PASSTHROUGH;
                return true;
        }
        if (VTD_RTADDR_TTM(engine->root) != VTD_TTM_SCALABLE) {
                decision->fault = with_pasid ? VTD_FAULT_NONE : VTD_FAULT_ROOT_REGISTER;
                return true;
        }
        if (engine->walking != binding) {
                vtd_walk_begin(&engine->walk, engine->root, binding->rid, with_pasid,
                               binding->pasid);
                engine->walking = binding;
        }
        r = vtd_walk_step(&engine->walk, &engine->guest, &engine->capabilities, &decision->entry,
                          &decision->fault);
        if (r == VTD_WALK_E_MORE)
                return false;
        engine->walking = NULL;
        decision->fpd = engine->walk.fpd;
        decision->leave_alone = !vtd_binding_is_concerned(binding, &engine->walk);
        /* What is wrong above the PASID directory is told of once, without PASID. */
        if (r == VTD_WALK_E_ABSENT || (with_pasid && engine->walk.level < VTD_WALK_DIRECTORY))
                decision->fault = VTD_FAULT_NONE;
        if (r == 0)
                follow_entry(decision);
        return true;
}

/* Has @decision sent to the broker in the turns that follow. */
static void ask_for(struct vtd_engine *engine, struct vtd_binding *binding,
                    const struct vtd_decision *decision)
{
        engine->asked = binding;
        engine->decision = *decision;
        engine->attach_due = true;
        vtd_bindings_flush_aliases(&engine->bindings, binding, &decision->target, &decision->entry);
}

/*
 * Asks for what engine->decision has come to.  Before it, tables of the same root that are in use
 * under another tag are invalidated: the device would see what is cached of them from the moment
 * it is attached, although its own tag was invalidated since.  They are at most as many as there
 * are tables, and belong to the table entry that was charged for.
 */
static int submit_attach(struct vtd_engine *engine)
{
        const struct vtd_binding *binding = engine->asked;
        const struct vtd_target *target = &engine->decision.target;
        uint64_t table = vtd_bindings_take_flush(&engine->bindings);

        if (table != 0)
                return submit_whole(engine, table);
        engine->attach_due = false;
        engine->request.type = VTD_REQUEST_ATTACH;
        engine->request.attach = (struct vtd_attach_request){
                .device = binding->device,
                .pasid = binding->pasid,
                .mode = target->mode,
                .root = target->root,
                .address_width = target->address_width,
                .flags = target->flags,
        };
        return submit_outstanding(engine);
}

/* The broker did not, or would not, do what @binding calls for: it is blocked, and the guest told. */
static void refuse(struct vtd_engine *engine, struct vtd_binding *binding,
                   const struct vtd_decision *decision)
{
        block_current(engine, binding);
        binding->refused = true;
        vtd_bindings_settle(&engine->bindings, binding);
        record_fault(engine, binding, decision->fault, decision->fpd);
}

/* False when @binding is one of a PASID that is not held yet, and the broker holds no more. */
static bool has_room(const struct vtd_engine *engine, const struct vtd_binding *binding)
{
        return binding->pasid == VTD_NO_PASID || !binding->current_known ||
               binding->current.mode != VTD_ATTACH_BLOCKED ||
               vtd_bindings_count_pasids(&engine->bindings) < engine->pasids;
}

static int evaluate(struct vtd_engine *engine, struct vtd_binding *binding)
{
        struct vtd_decision decision;

        if (!look(engine, binding, &decision))
                return TURN_AGAIN;
        if (decision.leave_alone) {
                vtd_bindings_settle(&engine->bindings, binding);
        } else if (binding->current_known &&
                   vtd_target_equal(&decision.target, &binding->current)) {
                commit(engine, binding, &decision, binding->table);
        } else if (binding->phase == VTD_BINDING_REMOVAL &&
                   decision.target.mode != VTD_ATTACH_BLOCKED) {
                vtd_bindings_postpone(&engine->bindings, binding);
        } else if (decision.target.mode != VTD_ATTACH_BLOCKED && !has_room(engine, binding)) {
                decision.fault = VTD_FAULT_PASID_INVALID;
                refuse(engine, binding, &decision);
        } else {
                ask_for(engine, binding, &decision);
        }
        return TURN_AGAIN;
}

/* Bounded like refusals: what a guest's tables hold is the guest's. */
static void warn_of_room(struct vtd_engine *engine, const struct vtd_binding *device,
                         uint32_t pasid)
{
        if (engine->warnings_left == 0)
                return;
        engine->warnings_left--;
        vtd_log(engine->log, VTD_LOG_WARNING,
                "device %#x: no room for PASID %#x, %zu are bound and the broker allows %u",
                device->rid, pasid, vtd_bindings_count_pasids(&engine->bindings), engine->pasids);
}

/*
 * A search has come upon an entry.  What has a binding was evaluated before the search began.  The
 * first PASID that there is no room for ends the search.
 */
static int take_finding(struct vtd_engine *engine, size_t device, struct vtd_finding *finding)
{
        struct vtd_search *search = &engine->bindings.searches[device];
        const struct vtd_binding *owner = &engine->bindings.slots[device];
        const struct vtd_walk *walk = &finding->walk;
        struct vtd_binding named = {.rid = owner->rid, .pasid = walk->pasid};
        struct vtd_binding *binding;
        struct vtd_decision decision = {.entry = finding->entry, .fpd = walk->fpd};

        if (!vtd_selector_names(&search->selector, walk->domain_known ? &walk->domain_id : NULL,
                                walk->pasid) ||
            vtd_bindings_peek(&engine->bindings, owner->rid, walk->pasid))
                return TURN_AGAIN;
        if (finding->refused)
                decision.fault = finding->reason;
        else
                follow_entry(&decision);
        if (decision.fault != VTD_FAULT_NONE) {
                record_fault(engine, &named, decision.fault, walk->fpd);
                return TURN_AGAIN;
        }
        binding = vtd_bindings_count_pasids(&engine->bindings) < engine->pasids
                          ? vtd_bindings_add_pasid(&engine->bindings, device, walk->pasid)
                          : NULL;
        if (!binding) {
                warn_of_room(engine, owner, walk->pasid);
                record_fault(engine, &named, VTD_FAULT_PASID_INVALID, walk->fpd);
                search->wanted = false;
                return TURN_AGAIN;
        }
        ask_for(engine, binding, &decision);
        return TURN_AGAIN;
}

/* Goes on searching for PASIDs of the device at slot @device; reads at most one table entry. */
static int search(struct vtd_engine *engine, size_t device)
{
        struct vtd_search *search = &engine->bindings.searches[device];
        struct vtd_finding finding;
        int r;

        if (!engine->enabled || VTD_RTADDR_TTM(engine->root) != VTD_TTM_SCALABLE) {
                search->wanted = false;
                return TURN_AGAIN;
        }
        if (engine->searching != search) {
                vtd_scan_begin(&engine->scan, engine->root, engine->bindings.slots[device].rid,
                               search->first, search->end);
                engine->searching = search;
        }
        r = vtd_scan_step(&engine->scan, &engine->guest, &engine->capabilities, &finding);
        if (r == VTD_SCAN_E_END)
                search->wanted = false;
        if (r == 0)
                r = take_finding(engine, device, &finding);
        else
                r = TURN_AGAIN;
        if (!search->wanted)
                engine->searching = NULL;
        return r;
}

static void attach_answered(struct vtd_engine *engine, const struct vtd_reply *reply)
{
        struct vtd_binding *binding = engine->asked;
        struct vtd_decision *decision = &engine->decision;
        uint64_t table = 0;

        if (!reply->refused && decision->target.mode == VTD_ATTACH_FIRST_STAGE) {
                table = reply->attach.table;
                if (table == 0) {
                        vtd_engine_lose(engine);
                        return;
                }
        }
        if (engine->abandoned) {
                if (reply->refused)
                        block_current(engine, binding);
                else
                        set_current(engine, binding, &decision->target, table);
                return;
        }
        if (!reply->refused) {
                commit(engine, binding, decision, table);
                return;
        }
        /* The broker has blocked the device before it answered. */
        if (binding->pasid == VTD_NO_PASID)
                warn_of_refusal(engine, "to attach device", binding->rid, &reply->refusal);
        else
                warn_of_refusal(engine, "to attach PASID", binding->pasid, &reply->refusal);
        if (decision->fault == VTD_FAULT_NONE)
                decision->fault = reply->refusal.reason == VTD_REASON_ROOT_NOT_MAPPED
                                          ? VTD_FAULT_FIRST_STAGE_ROOT_ACCESS
                                          : VTD_FAULT_PASID_INVALID;
        refuse(engine, binding, decision);
}

/*
 * Translations of @table may be stale.  After a host failure, or when the handle is unknown, the
 * broker has nothing attached to it any more; after any other refusal it must be told to block.  If
 * a reset came between, that has the table released or invalidated anyway.
 */
static void block_table(struct vtd_engine *engine, uint64_t table, enum vtd_reason reason)
{
        bool blocked = reason == VTD_REASON_HOST_FAILED || reason == VTD_REASON_TABLE_HANDLE;

        for (size_t i = 0; i < engine->bindings.end; i++) {
                struct vtd_binding *binding = &engine->bindings.slots[i];
                bool fpd = binding->cached && binding->entry.fpd;

                if (!binding->used || binding->table != table)
                        continue;
                if (blocked)
                        block_current(engine, binding);
                else if (!engine->abandoned)
                        vtd_bindings_block(&engine->bindings, binding);
                if (!engine->abandoned)
                        record_fault(engine, binding, VTD_FAULT_FIRST_STAGE_ACCESS, fpd);
        }
}

/*
 * An Invalidate was refused.  What was to be attached after it is looked at again once the table has
 * been blocked: it may have become something else, and it must not come to what is cached there.
 */
static void invalidate_refused(struct vtd_engine *engine, const struct vtd_refusal *refusal)
{
        uint64_t table = engine->request.invalidate.table;

        warn_of_refusal(engine, "to invalidate table", table, refusal);
        if (engine->attach_due) {
                engine->attach_due = false;
                vtd_bindings_postpone(&engine->bindings, engine->asked);
        }
        block_table(engine, table, refusal->reason);
}

static int collect(struct vtd_engine *engine)
{
        struct vtd_reply reply;
        int r = engine->backend->ops->collect(engine->backend, &reply, 0);

        if (r == VTD_BACKEND_E_AGAIN)
                return VTD_FRONTEND_WAITING;
        if (r != 0) {
                vtd_engine_lose(engine);
                return VTD_FRONTEND_LOST;
        }
        engine->outstanding = false;
        if (reply.refused)
                *engine->refusal = reply.refusal;
        if (engine->request.type == VTD_REQUEST_ATTACH)
                attach_answered(engine, &reply);
        else if (reply.refused)
                invalidate_refused(engine, &reply.refusal);
        return TURN_AGAIN;
}

/* One descriptor may concern many tables, so each request is charged for. */
static int flush(struct vtd_engine *engine, unsigned *budget)
{
        uint64_t table;

        if (*budget == 0)
                return VTD_FRONTEND_PENDING;
        table = vtd_bindings_take_flush(&engine->bindings);
        if (table == 0 && engine->pending.count == 0) {
                engine->flush_due = false;
                return TURN_AGAIN;
        }
        --*budget;
        if (table != 0)
                return submit_whole(engine, table);
        engine->request.type = VTD_REQUEST_INVALIDATE;
        vtd_pending_take(&engine->pending, &engine->request.invalidate);
        return submit_outstanding(engine);
}

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
        return has_news(engine) ? VTD_ENGINE_E_NEWS : TURN_AGAIN;
}

static int finish_command(struct vtd_engine *engine)
{
        uint32_t status = vtd_registers_get32(&engine->registers, VTD_REG_GSTS);
        uint64_t interrupts = atomic_load(&engine->interrupts);
        bool queue_wanted = engine->registers.command & VTD_GCMD_QIE;
        int r = settle_dma(engine);

        if (r != TURN_AGAIN)
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
        return TURN_AGAIN;
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
        int r = TURN_AGAIN;

        if ((engine->held_error || is_barrier(descriptor)) && engine->pending.count > 0) {
                engine->flush_due = true;
        } else if (engine->held_error || descriptor->type == VTD_DESCRIPTOR_WAIT) {
                r = settle_dma(engine);
                if (r != TURN_AGAIN)
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
        int r = TURN_AGAIN;

        if (engine->pending.count > 0) {
                engine->flush_due = true;
                return TURN_AGAIN;
        }
        if (engine->settle_due || has_news(engine))
                r = settle_dma(engine);
        if (r != TURN_AGAIN)
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
        return TURN_AGAIN;
}

/* One step of the order in engine.h. */
static int take_turn(struct vtd_engine *engine, unsigned *budget)
{
        struct vtd_binding *binding;
        size_t device;

        if (engine->lost)
                return VTD_FRONTEND_LOST;
        if (engine->outstanding)
                return collect(engine);
        if (engine->attach_due)
                return submit_attach(engine);
        binding = vtd_bindings_next(&engine->bindings);
        device = vtd_bindings_next_search(&engine->bindings);
        if (binding || device < VTD_LIMIT_DEVICES) {
                if (*budget == 0)
                        return VTD_FRONTEND_PENDING;
                --*budget;
                return binding ? evaluate(engine, binding) : search(engine, device);
        }
        if (engine->bindings.sweep_due)
                vtd_bindings_sweep(&engine->bindings);
        if (engine->flush_due)
                return flush(engine, budget);
        if (engine->command_active)
                return finish_command(engine);
        if (engine->held)
                return execute(engine);
        if (!is_command_wanted(engine))
                return fetch(engine, budget);
        start_command(engine);
        return TURN_AGAIN;
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
        while (r == TURN_AGAIN && !has_output(engine));
        if (r == TURN_AGAIN)
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
