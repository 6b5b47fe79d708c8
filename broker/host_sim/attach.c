/* SPDX-License-Identifier: MIT */
/*
 * Attachments and invalidation: see objects.h.  An attachment has two states, as in the kernel: what
 * the core has on record, and what the unit does.  They differ after a failed attach.  No system
 * calls.
 */
#include "broker/host_sim/objects.h"

#include "shared/checked.h"

bool vtd_sim_ioas_is_attached(const struct vtd_sim_objects *objects, uint32_t ioas)
{
        for (size_t i = 0; i < VTD_SIM_OBJECTS; i++) {
                const struct vtd_sim_object *object = &objects->rows[i];

                if (object->kind == VTD_SIM_DEVICE && object->device.rid.hwpt != 0 &&
                    objects->rows[object->device.rid.hwpt - 1].hwpt.ioas == ioas)
                        return true;
        }
        return false;
}

bool vtd_sim_device_has_pasids(const struct vtd_sim_objects *objects, uint32_t device)
{
        for (size_t i = 0; i < objects->n_pasids; i++)
                if (objects->pasids[i].device == device)
                        return true;
        return false;
}

/* NULL: nothing is attached.  @device exists. */
static struct vtd_sim_attachment *attachment_find(struct vtd_sim_objects *objects, uint32_t device,
                                                  uint32_t pasid)
{
        struct vtd_sim_attachment *rid = &objects->rows[device - 1].device.rid;

        if (pasid == VTD_NO_PASID)
                return rid->hwpt != 0 ? rid : NULL;
        for (size_t i = 0; i < objects->n_pasids; i++)
                if (objects->pasids[i].device == device && objects->pasids[i].pasid == pasid)
                        return &objects->pasids[i];
        return NULL;
}

struct vtd_sim_translation vtd_sim_translation_of(struct vtd_sim_objects *objects, uint32_t device,
                                                  uint32_t pasid)
{
        const struct vtd_sim_attachment *attachment = attachment_find(objects, device, pasid);

        return attachment ? attachment->translation
                          : (struct vtd_sim_translation){.kind = VTD_SIM_BLOCKED};
}

/* The unit's entry is torn down: what was cached of its domain goes with it. */
static void block(struct vtd_sim_objects *objects, struct vtd_sim_attachment *attachment)
{
        if (attachment->translation.kind == VTD_SIM_NESTED)
                vtd_sim_cache_drop_table(&objects->iommu.cache, attachment->translation.tag);
        attachment->translation = (struct vtd_sim_translation){.kind = VTD_SIM_BLOCKED};
}

/* Whether the unit of @device can walk the second stage of @table. */
static bool is_compatible(const struct vtd_sim_objects *objects,
                          const struct vtd_sim_device *device, const struct vtd_sim_object *table)
{
        const struct vtd_sim_unit *unit = vtd_sim_unit_of(device->identity.model);
        const struct vtd_sim_hwpt *second = table->hwpt.parent != 0
                                                    ? &objects->rows[table->hwpt.parent - 1].hwpt
                                                    : &table->hwpt;

        return (!second->coherent || vtd_sim_unit_is_coherent(unit)) &&
               (!second->snooped || vtd_sim_unit_controls_snooping(unit));
}

/* What the core checks before it touches anything. */
static int judge_rid(const struct vtd_sim_objects *objects, uint32_t device,
                     const struct vtd_sim_object *table)
{
        if (!table->hwpt.pasid_compatible && vtd_sim_device_has_pasids(objects, device))
                return VTD_HOST_E_INVALID;
        /* The device's reserved range enters the IOAS first; what is mapped there refuses it. */
        if (vtd_sim_memory_overlaps(&objects->iommu.memory, table->hwpt.ioas, VTD_SIM_MSI_START,
                                    VTD_SIM_MSI_LAST))
                return VTD_HOST_E_INVALID;
        return 0;
}

/* What the core checks, and then the driver as far as it does so before it tears down. */
static int judge_pasid(const struct vtd_sim_objects *objects, const struct vtd_sim_device *device,
                       uint32_t pasid, const struct vtd_sim_object *table)
{
        uint32_t rid = device->rid.hwpt;

        if (!table->hwpt.pasid_compatible ||
            (rid != 0 && !objects->rows[rid - 1].hwpt.pasid_compatible))
                return VTD_HOST_E_INVALID;
        if (pasid >> device->identity.model->pasid_bits != 0)
                return VTD_HOST_E_INVALID;
        return is_compatible(objects, device, table) ? 0 : VTD_HOST_E_INVALID;
}

int vtd_sim_attach_begin(struct vtd_sim_objects *objects, uint32_t device, uint32_t pasid,
                         uint32_t hwpt, bool *gap)
{
        const struct vtd_sim_object *object = vtd_sim_object_find(objects, VTD_SIM_DEVICE, device);
        const struct vtd_sim_object *table = vtd_sim_object_find(objects, VTD_SIM_HWPT, hwpt);
        struct vtd_sim_attachment *old;
        int result;

        *gap = false;
        if (!object)
                return VTD_HOST_E_ABSENT;
        if (!table) {
                bool other_kind = vtd_sim_object_find(objects, VTD_SIM_IOAS, hwpt) ||
                                  vtd_sim_object_find(objects, VTD_SIM_DEVICE, hwpt);

                return other_kind ? VTD_HOST_E_INVALID : VTD_HOST_E_ABSENT;
        }
        old = attachment_find(objects, device, pasid);
        if (old && old->hwpt == hwpt)
                return 0;
        if (pasid == VTD_NO_PASID)
                result = judge_rid(objects, device, table);
        else
                result = judge_pasid(objects, &object->device, pasid, table);
        if (result)
                return result;
        if (!old && pasid != VTD_NO_PASID && objects->n_pasids == VTD_ARRAY_SIZE(objects->pasids))
                return VTD_HOST_E_LIMIT;
        if (old) {
                *gap = old->translation.kind != VTD_SIM_BLOCKED;
                block(objects, old);
        }
        return 0;
}

/* What the driver checks when it writes the unit's entry. */
static bool config_is_accepted(const struct vtd_host_first_stage *config,
                               const struct vtd_sim_unit *unit)
{
        if (config->address_width != 48 &&
            !(config->address_width == 57 && vtd_sim_unit_has_five_levels(unit)))
                return false;
        if ((config->flags & VTD_FIRST_STAGE_SRE) && !vtd_sim_unit_has_supervisor_requests(unit))
                return false;
        return !(config->flags & VTD_FIRST_STAGE_EAFE) || vtd_sim_unit_has_extended_accessed(unit);
}

int vtd_sim_attach_finish(struct vtd_sim_objects *objects, uint32_t device, uint32_t pasid,
                          uint32_t hwpt)
{
        struct vtd_sim_device *target = &objects->rows[device - 1].device;
        struct vtd_sim_attachment *attachment = attachment_find(objects, device, pasid);
        const struct vtd_sim_model *model = target->identity.model;
        struct vtd_sim_object *table = &objects->rows[hwpt - 1];

        /* What the core has on record is not looked at again, even if the unit blocks by now. */
        if (attachment && attachment->hwpt == hwpt)
                return 0;
        if (!is_compatible(objects, target, table))
                return VTD_HOST_E_INVALID;
        if (table->hwpt.parent != 0 &&
            !config_is_accepted(&table->hwpt.config, vtd_sim_unit_of(model)))
                return VTD_HOST_E_INVALID;
        if (attachment)
                objects->rows[attachment->hwpt - 1].users--;
        else if (pasid == VTD_NO_PASID)
                attachment = &target->rid;
        else
                attachment = &objects->pasids[objects->n_pasids++];
        table->users++;
        *attachment = (struct vtd_sim_attachment){
                .device = device,
                .pasid = pasid,
                .hwpt = hwpt,
                .translation = {.kind = table->hwpt.parent != 0 ? VTD_SIM_NESTED
                                                                : VTD_SIM_SECOND_STAGE,
                                .ioas = table->hwpt.ioas,
                                .tag = table->hwpt.tag + model->unit,
                                .root = table->hwpt.config.root},
        };
        return 0;
}

int vtd_sim_detach(struct vtd_sim_objects *objects, uint32_t device, uint32_t pasid)
{
        struct vtd_sim_attachment *attachment;

        if (!vtd_sim_object_find(objects, VTD_SIM_DEVICE, device))
                return VTD_HOST_E_ABSENT;
        attachment = attachment_find(objects, device, pasid);
        if (!attachment)
                return 0;
        block(objects, attachment);
        objects->rows[attachment->hwpt - 1].users--;
        if (pasid != VTD_NO_PASID)
                *attachment = objects->pasids[--objects->n_pasids];
        else
                *attachment = (struct vtd_sim_attachment){0};
        return 0;
}

/*
 * One entry as the driver executes it: widened to the smallest naturally aligned block that holds
 * the first and the last byte, in arithmetic that wraps.
 */
static bool invalidate_entry(struct vtd_sim_cache *cache, uint64_t tag,
                             const struct vtd_invalidate_entry *entry)
{
        uint64_t last, rest;

        if (!vtd_is_page_aligned(entry->address))
                return false;
        if (entry->pages == VTD_INVALIDATE_ALL) {
                if (entry->address != 0)
                        return false;
                vtd_sim_cache_drop_table(cache, tag);
                return true;
        }
        last = entry->address + (entry->pages << VTD_PAGE_SHIFT) - 1;
        rest = entry->address ^ last;
        if (rest != 0)
                rest = UINT64_MAX >> __builtin_clzll(rest);
        vtd_sim_cache_drop_range(cache, tag, entry->address & ~rest, last | rest, entry->leaf);
        return true;
}

int vtd_sim_invalidate(struct vtd_sim_objects *objects, uint32_t id,
                       const struct vtd_invalidate_entry *entries, size_t count, size_t *done)
{
        const struct vtd_sim_object *object = vtd_sim_object_find(objects, VTD_SIM_HWPT, id);

        *done = 0;
        if (!object) {
                bool other_kind = vtd_sim_object_find(objects, VTD_SIM_IOAS, id) ||
                                  vtd_sim_object_find(objects, VTD_SIM_DEVICE, id);

                return other_kind ? VTD_HOST_E_INVALID : VTD_HOST_E_ABSENT;
        }
        if (object->hwpt.parent == 0)
                return VTD_HOST_E_INVALID;
        for (size_t i = 0; i < count; i++) {
                for (uint32_t unit = 0; unit < VTD_SIM_UNITS; unit++)
                        if (!invalidate_entry(&objects->iommu.cache, object->hwpt.tag + unit,
                                              &entries[i]))
                                return VTD_HOST_E_INVALID;
                (*done)++;
        }
        return 0;
}
