/* SPDX-License-Identifier: MIT */
/* See report.h. */
#include "broker/worker/report.h"

#include "broker/worker/hello.h"
#include "broker/worker/vm_state.h"
#include "shared/checked.h"

_Static_assert(VTD_CONTROL_NO_ID == VTD_NO_ID, "no id is the same number everywhere");

static bool report_ioas(const struct vtd_vm *vm, size_t index, struct vtd_control_object *object)
{
        (void)index;
        object->kind = VTD_CONTROL_IOAS;
        object->id = vm->ioas;
        return vm->ioas != VTD_NO_ID;
}

static bool report_second_stage(const struct vtd_vm *vm, size_t index,
                                struct vtd_control_object *object)
{
        const struct vtd_second_stage *table = &vm->second_stages[index];

        object->kind = VTD_CONTROL_SECOND_STAGE;
        object->id = table->hwpt;
        object->parent = vm->ioas;
        object->count = (uint32_t)table->devices;
        return table->hwpt != VTD_NO_ID;
}

static bool report_first_stage(const struct vtd_vm *vm, size_t index,
                               struct vtd_control_object *object)
{
        const struct vtd_table *table = &vm->tables[index];

        if (!vtd_handles_used(&vm->table_handles, index))
                return false;
        object->kind = VTD_CONTROL_FIRST_STAGE;
        object->id = table->hwpt;
        object->parent = vm->second_stages[table->second_stage].hwpt;
        object->count = (uint32_t)table->attachments;
        object->mode = table->config.address_width;
        object->flags = table->config.flags;
        object->root = table->config.root;
        return true;
}

static bool report_device(const struct vtd_vm *vm, size_t index, struct vtd_control_object *object)
{
        const struct vtd_device *device = &vm->devices[index];

        if (!vtd_handles_used(&vm->device_handles, index) || !device->ready)
                return false;
        object->kind = VTD_CONTROL_PLUGGED_DEVICE;
        object->parent = device->second_stage == VTD_NO_INDEX
                                 ? VTD_NO_ID
                                 : vm->second_stages[device->second_stage].hwpt;
        object->device = device->index;
        object->pasid = device->pasid_bits;
        object->count = device->bus_master;
        return true;
}

static bool report_attachment(const struct vtd_vm *vm, size_t index,
                              struct vtd_control_object *object)
{
        const struct vtd_attachment *attachment = &vm->attachments[index];
        const struct vtd_device *device;

        if (!attachment->used)
                return false;
        device = &vm->devices[attachment->device];
        object->kind = VTD_CONTROL_ATTACHMENT;
        object->device = device->index;
        object->pasid = attachment->pasid;
        if (attachment->table != VTD_NO_INDEX) {
                object->mode = VTD_ATTACH_FIRST_STAGE;
                object->parent = vm->tables[attachment->table].hwpt;
        } else {
                object->mode = VTD_ATTACH_PASSTHROUGH;
                object->parent = device->second_stage == VTD_NO_INDEX
                                         ? VTD_NO_ID
                                         : vm->second_stages[device->second_stage].hwpt;
        }
        return true;
}

/* Fills in the object at @position; false when there is none now. */
static bool report_position(const struct vtd_vm *vm, size_t position,
                            struct vtd_control_object *object)
{
        const struct {
                size_t count;
                bool (*report)(const struct vtd_vm *vm, size_t index,
                               struct vtd_control_object *object);
        } pools[] = {
                {1, report_ioas},
                {VTD_ARRAY_SIZE(vm->second_stages), report_second_stage},
                {vm->table_handles.capacity, report_first_stage},
                {vm->device_handles.capacity, report_device},
                {vm->n_attachments, report_attachment},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(pools); i++) {
                if (position < pools[i].count)
                        return pools[i].report(vm, position, object);
                position -= pools[i].count;
        }
        return false;
}

static void report_counters(const struct vtd_vm *vm, struct vtd_control_counters *counters)
{
        struct vtd_stats stats;

        vtd_stats_now(vm, &stats);
        *counters = (struct vtd_control_counters){
                .requests = stats.requests,
                .refused = stats.refused,
                .invalidate_requests = stats.invalidate_requests,
                .invalidate_entries = stats.invalidate_entries,
                .host_calls = stats.host_calls,
                .delayed_us = stats.delayed_us,
                .memory = stats.memory,
                .mappings = stats.mappings,
                .devices = stats.devices,
                .first_stage_tables = stats.first_stage_tables,
                .second_stage_tables = stats.second_stage_tables,
                .attachments = stats.attachments,
        };
}

void vtd_report_fill(void *opaque, uint32_t first, struct vtd_control_report *report)
{
        const struct vtd_vm *vm = opaque;

        report_counters(vm, &report->counters);
        for (uint32_t at = first; at < VTD_CONTROL_POSITIONS; at++) {
                struct vtd_control_object object = {0};

                if (!report_position(vm, at, &object))
                        continue;
                if (report->n_objects == VTD_CONTROL_REPORT_OBJECTS) {
                        report->next = at;
                        return;
                }
                report->objects[report->n_objects++] = object;
        }
}
