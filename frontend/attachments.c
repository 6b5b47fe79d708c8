/* SPDX-License-Identifier: MIT */
/* See attachments.h. */
#include "frontend/attachments.h"

#include "frontend/fault.h"

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
        return VTD_TURN_AGAIN;
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
int vtd_engine_submit_attach(struct vtd_engine *engine)
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

int vtd_engine_evaluate(struct vtd_engine *engine, struct vtd_binding *binding)
{
        struct vtd_decision decision;

        if (!look(engine, binding, &decision))
                return VTD_TURN_AGAIN;
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
        return VTD_TURN_AGAIN;
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
                return VTD_TURN_AGAIN;
        if (finding->refused)
                decision.fault = finding->reason;
        else
                follow_entry(&decision);
        if (decision.fault != VTD_FAULT_NONE) {
                record_fault(engine, &named, decision.fault, walk->fpd);
                return VTD_TURN_AGAIN;
        }
        binding = vtd_bindings_count_pasids(&engine->bindings) < engine->pasids
                          ? vtd_bindings_add_pasid(&engine->bindings, device, walk->pasid)
                          : NULL;
        if (!binding) {
                warn_of_room(engine, owner, walk->pasid);
                record_fault(engine, &named, VTD_FAULT_PASID_INVALID, walk->fpd);
                search->wanted = false;
                return VTD_TURN_AGAIN;
        }
        ask_for(engine, binding, &decision);
        return VTD_TURN_AGAIN;
}

/* Goes on searching for PASIDs of the device at slot @device; reads at most one table entry. */
int vtd_engine_search(struct vtd_engine *engine, size_t device)
{
        struct vtd_search *search = &engine->bindings.searches[device];
        struct vtd_finding finding;
        int r;

        if (!engine->enabled || VTD_RTADDR_TTM(engine->root) != VTD_TTM_SCALABLE) {
                search->wanted = false;
                return VTD_TURN_AGAIN;
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
                r = VTD_TURN_AGAIN;
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

int vtd_engine_collect(struct vtd_engine *engine)
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
        return VTD_TURN_AGAIN;
}

/* One descriptor may concern many tables, so each request is charged for. */
int vtd_engine_flush(struct vtd_engine *engine, unsigned *budget)
{
        uint64_t table;

        if (*budget == 0)
                return VTD_FRONTEND_PENDING;
        table = vtd_bindings_take_flush(&engine->bindings);
        if (table == 0 && engine->pending.count == 0) {
                engine->flush_due = false;
                return VTD_TURN_AGAIN;
        }
        --*budget;
        if (table != 0)
                return submit_whole(engine, table);
        engine->request.type = VTD_REQUEST_INVALIDATE;
        vtd_pending_take(&engine->pending, &engine->request.invalidate);
        return submit_outstanding(engine);
}
