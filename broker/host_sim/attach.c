/* SPDX-License-Identifier: MIT */
/*
 * Attachments and invalidation: see objects.h.  A device has two states, as in the kernel: what the
 * core has on record, and what the unit does.  They differ after a failed attach.  No system calls.
 */
#include "broker/host_sim/objects.h"

#include "shared/checked.h"

#define CAP_FS5LP (UINT64_C(1) << 60)
#define ECAP_SRS  (UINT64_C(1) << 31)
#define ECAP_EAFS (UINT64_C(1) << 34)

bool vtd_sim_ioas_is_attached(const struct vtd_sim_objects *objects, uint32_t ioas)
{
        for (size_t i = 0; i < VTD_SIM_OBJECTS; i++) {
                const struct vtd_sim_object *object = &objects->rows[i];

                if (object->kind == VTD_SIM_DEVICE && object->device.hwpt != 0 &&
                    objects->rows[object->device.hwpt - 1].hwpt.ioas == ioas)
                        return true;
        }
        return false;
}

/* The unit's entry is torn down: what was cached of its domain goes with it. */
static void block(struct vtd_sim_objects *objects, struct vtd_sim_device *device)
{
        if (device->translation.kind == VTD_SIM_NESTED)
                vtd_sim_cache_drop_table(&objects->iommu.cache, device->translation.tag);
        device->translation = (struct vtd_sim_translation){.kind = VTD_SIM_BLOCKED};
}

int vtd_sim_attach_begin(struct vtd_sim_objects *objects, uint32_t device, uint32_t hwpt, bool *gap)
{
        struct vtd_sim_object *object = vtd_sim_object_find(objects, VTD_SIM_DEVICE, device);
        const struct vtd_sim_object *table = vtd_sim_object_find(objects, VTD_SIM_HWPT, hwpt);

        *gap = false;
        if (!object)
                return VTD_HOST_E_ABSENT;
        if (!table) {
                bool other_kind = vtd_sim_object_find(objects, VTD_SIM_IOAS, hwpt) ||
                                  vtd_sim_object_find(objects, VTD_SIM_DEVICE, hwpt);

                return other_kind ? VTD_HOST_E_INVALID : VTD_HOST_E_ABSENT;
        }
        if (object->device.hwpt == hwpt)
                return 0;
        /* The device's reserved range enters the IOAS first; what is mapped there refuses it. */
        if (vtd_sim_memory_overlaps(&objects->iommu.memory, table->hwpt.ioas, VTD_SIM_MSI_START,
                                    VTD_SIM_MSI_LAST))
                return VTD_HOST_E_INVALID;
        *gap = object->device.translation.kind != VTD_SIM_BLOCKED;
        block(objects, &object->device);
        return 0;
}

/* What the driver checks when it writes the unit's entry. */
static bool config_is_accepted(const struct vtd_host_first_stage *config)
{
        if (config->address_width != 48 &&
            !(config->address_width == 57 && (vtd_sim_cap() & CAP_FS5LP)))
                return false;
        if ((config->flags & VTD_FIRST_STAGE_SRE) && !(vtd_sim_ecap() & ECAP_SRS))
                return false;
        return !(config->flags & VTD_FIRST_STAGE_EAFE) || (vtd_sim_ecap() & ECAP_EAFS);
}

int vtd_sim_attach_finish(struct vtd_sim_objects *objects, uint32_t device, uint32_t hwpt)
{
        struct vtd_sim_device *target = &objects->rows[device - 1].device;
        struct vtd_sim_object *table = &objects->rows[hwpt - 1];

        /* What the core has on record is not looked at again, even if the unit blocks by now. */
        if (target->hwpt == hwpt)
                return 0;
        if (table->hwpt.parent != 0 && !config_is_accepted(&table->hwpt.config))
                return VTD_HOST_E_INVALID;
        if (target->hwpt != 0)
                objects->rows[target->hwpt - 1].users--;
        table->users++;
        target->hwpt = hwpt;
        target->translation = (struct vtd_sim_translation){
                .kind = table->hwpt.parent != 0 ? VTD_SIM_NESTED : VTD_SIM_SECOND_STAGE,
                .ioas = table->hwpt.ioas,
                .tag = table->hwpt.tag,
                .root = table->hwpt.config.root,
        };
        return 0;
}

int vtd_sim_detach(struct vtd_sim_objects *objects, uint32_t device)
{
        struct vtd_sim_object *object = vtd_sim_object_find(objects, VTD_SIM_DEVICE, device);

        if (!object)
                return VTD_HOST_E_ABSENT;
        block(objects, &object->device);
        if (object->device.hwpt != 0)
                objects->rows[object->device.hwpt - 1].users--;
        object->device.hwpt = 0;
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
                if (!invalidate_entry(&objects->iommu.cache, object->hwpt.tag, &entries[i]))
                        return VTD_HOST_E_INVALID;
                (*done)++;
        }
        return 0;
}
