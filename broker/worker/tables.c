/* SPDX-License-Identifier: MIT */
/*
 * IOAS, second-stage and first-stage tables: see tables.h.
 *
 * The kernel checks first-stage attributes only when a table is attached, after it has taken down
 * what was attached before, and some (flags it does not know, a root that is no page address) not
 * at all; everything is therefore judged here.
 */
#include "broker/worker/tables.h"

#include "broker/worker/capability.h"
#include "broker/worker/memory.h"
#include "policy/judge.h"
#include "shared/checked.h"

static struct vtd_second_stage *
find_second_stage(struct vtd_vm *vm, const struct vtd_second_stage_key *key, bool pasid_compatible)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(vm->second_stages); i++) {
                struct vtd_second_stage *s = &vm->second_stages[i];

                if (s->hwpt != VTD_NO_ID && s->key.cap == key->cap && s->key.ecap == key->ecap &&
                    (s->pasid_compatible || !pasid_compatible))
                        return s;
        }
        return NULL;
}

static struct vtd_second_stage *free_second_stage(struct vtd_vm *vm)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(vm->second_stages); i++)
                if (vm->second_stages[i].hwpt == VTD_NO_ID)
                        return &vm->second_stages[i];
        return NULL;
}

int vtd_tables_join_second_stage(struct vtd_vm *vm, struct vtd_call *call,
                                 struct vtd_device *device)
{
        struct vtd_second_stage_key key = vtd_capability_key(&device->info);
        bool pasid_compatible = device->pasid_bits > 0;
        struct vtd_second_stage *s = find_second_stage(vm, &key, pasid_compatible);
        uint32_t id;
        int r;

        if (!s) {
                if (vm->ioas == VTD_NO_ID) {
                        r = vm->host->ops->ioas_alloc(vm->host, &id);
                        if (r != 0)
                                return vtd_call_refuse_host(call, r);
                        vm->ioas = id;
                }
                /* One per device at most, and as many slots: none free means that earlier ones
                 * could not be destroyed. */
                s = free_second_stage(vm);
                if (!s)
                        return vtd_call_refuse(call, VTD_REASON_HOST_LIMIT, 0, 0, 0);
                r = vm->host->ops->second_stage_alloc(vm->host, device->id, vm->ioas,
                                                      pasid_compatible, &id);
                if (r != 0)
                        return vtd_call_refuse_host(call, r);
                *s = (struct vtd_second_stage){
                        .hwpt = id, .key = key, .pasid_compatible = pasid_compatible};
        }
        s->devices++;
        device->second_stage = (size_t)(s - vm->second_stages);
        return 0;
}

void vtd_tables_leave_second_stage(struct vtd_vm *vm, struct vtd_device *device)
{
        if (device->second_stage == VTD_NO_INDEX)
                return;
        vm->second_stages[device->second_stage].devices--;
        device->second_stage = VTD_NO_INDEX;
}

static int judge_by_policy(struct vtd_vm *vm, struct vtd_call *call,
                           const struct vtd_host_first_stage *config)
{
        struct vtd_policy_verdict verdict;

        verdict = vtd_policy_judge_flags(vm->policy, config->flags);
        if (!verdict.granted)
                return vtd_call_refuse(call, VTD_REASON_FLAGS_NOT_GRANTED, verdict.asked,
                                       verdict.allowed, verdict.line);
        verdict = vtd_policy_judge_width(vm->policy, config->address_width);
        if (!verdict.granted)
                return vtd_call_refuse(call, VTD_REASON_WIDTH_NOT_GRANTED, verdict.asked,
                                       verdict.allowed, verdict.line);
        return 0;
}

static int judge_by_hardware(struct vtd_call *call, const struct vtd_device *device,
                             const struct vtd_host_first_stage *config)
{
        uint32_t flags = vtd_capability_flags(&device->info);
        uint32_t width = vtd_capability_five_level(&device->info) ? 57 : 48;

        if ((config->flags & ~flags) != 0)
                return vtd_call_refuse(call, VTD_REASON_FLAGS_UNSUPPORTED, config->flags, flags, 0);
        if (config->address_width != 48 && config->address_width != width)
                return vtd_call_refuse(call, VTD_REASON_WIDTH_UNSUPPORTED, config->address_width,
                                       width, 0);
        return 0;
}

int vtd_tables_judge(struct vtd_vm *vm, struct vtd_call *call, const struct vtd_device *device,
                     const struct vtd_host_first_stage *config)
{
        int r;

        r = judge_by_policy(vm, call, config);
        if (r == 0)
                r = judge_by_hardware(call, device, config);
        if (r != 0)
                return r;
        if (!vtd_is_page_aligned(config->root))
                return vtd_call_refuse(call, VTD_REASON_ALIGNMENT, config->root, VTD_PAGE_SIZE, 0);
        /* Mapped memory lies below the width of every plugged device's second stage. */
        if (!vtd_memory_holds(vm, config->root, VTD_PAGE_SIZE))
                return vtd_call_refuse(call, VTD_REASON_ROOT_NOT_MAPPED, config->root, 0, 0);
        return 0;
}

static bool find_first_stage(const struct vtd_vm *vm, size_t second_stage,
                             const struct vtd_host_first_stage *config, size_t *table)
{
        for (size_t i = 0; i < vm->table_handles.capacity; i++) {
                const struct vtd_table *t = &vm->tables[i];

                if (vtd_handles_used(&vm->table_handles, i) && t->second_stage == second_stage &&
                    t->config.root == config->root &&
                    t->config.address_width == config->address_width &&
                    t->config.flags == config->flags) {
                        *table = i;
                        return true;
                }
        }
        return false;
}

int vtd_tables_get_first_stage(struct vtd_vm *vm, struct vtd_call *call,
                               const struct vtd_device *device,
                               const struct vtd_host_first_stage *config, size_t *table)
{
        const struct vtd_second_stage *parent = &vm->second_stages[device->second_stage];
        const enum vtd_policy_limit_index account = VTD_POLICY_FIRST_STAGE_TABLES;
        uint32_t hwpt;
        size_t i;
        int r;

        if (find_first_stage(vm, device->second_stage, config, table))
                return 0;
        r = vtd_call_charge(vm, call, account, 1, VTD_REASON_FIRST_STAGE_TABLE_LIMIT);
        if (r != 0)
                return r;
        /* As many slots as the policy allows tables, so only retired ones can make it fail. */
        if (vtd_handles_take(&vm->table_handles, &i) != 0) {
                vtd_quota_release(&vm->quota, account, 1);
                return vtd_call_refuse(call, VTD_REASON_HOST_LIMIT, 0, 0, 0);
        }
        r = vm->host->ops->first_stage_alloc(vm->host, device->id, parent->hwpt, config,
                                             parent->pasid_compatible, &hwpt);
        if (r != 0) {
                vtd_handles_release(&vm->table_handles, i);
                vtd_quota_release(&vm->quota, account, 1);
                return vtd_call_refuse_host(call, r);
        }
        vm->tables[i] = (struct vtd_table){
                .hwpt = hwpt, .second_stage = device->second_stage, .config = *config};
        *table = i;
        return 0;
}

static bool second_stage_is_used(const struct vtd_vm *vm, size_t second_stage)
{
        if (vm->second_stages[second_stage].devices > 0)
                return true;
        for (size_t i = 0; i < vm->table_handles.capacity; i++)
                if (vtd_handles_used(&vm->table_handles, i) &&
                    vm->tables[i].second_stage == second_stage)
                        return true;
        return false;
}

static void destroy_id(struct vtd_vm *vm, uint32_t *id)
{
        if (*id != VTD_NO_ID && vm->host->ops->destroy(vm->host, *id) == 0)
                *id = VTD_NO_ID;
}

void vtd_tables_collect(struct vtd_vm *vm)
{
        for (size_t i = 0; i < vm->table_handles.capacity; i++) {
                struct vtd_table *t = &vm->tables[i];

                if (!vtd_handles_used(&vm->table_handles, i) || t->attachments > 0)
                        continue;
                destroy_id(vm, &t->hwpt);
                if (t->hwpt != VTD_NO_ID)
                        continue;
                vtd_handles_release(&vm->table_handles, i);
                vtd_quota_release(&vm->quota, VTD_POLICY_FIRST_STAGE_TABLES, 1);
        }
        for (size_t i = 0; i < VTD_ARRAY_SIZE(vm->second_stages); i++)
                if (vm->second_stages[i].hwpt != VTD_NO_ID && !second_stage_is_used(vm, i))
                        destroy_id(vm, &vm->second_stages[i].hwpt);
        destroy_id(vm, &vm->scratch_hwpt);
        if (vm->scratch_hwpt == VTD_NO_ID)
                destroy_id(vm, &vm->scratch_ioas);
}

void vtd_tables_destroy_ioas(struct vtd_vm *vm)
{
        destroy_id(vm, &vm->ioas);
}
