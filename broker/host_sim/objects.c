/* SPDX-License-Identifier: MIT */
/*
 * Ids, IOASes and tables: see objects.h.  Attachments are in attach.c.
 *
 * System calls: those of memory.c and device_file.c.
 */
#include "broker/host_sim/objects.h"

#include "shared/checked.h"
#include "shared/cleanup.h"

#define ADDRESS_LAST ((UINT64_C(1) << VTD_SIM_ADDRESS_BITS) - 1)

static const size_t kind_limits[VTD_SIM_OBJECT_KINDS] = {
        [VTD_SIM_DEVICE] = VTD_LIMIT_DEVICES,
        [VTD_SIM_IOAS] = VTD_SIM_IOASES,
        [VTD_SIM_HWPT] = VTD_SIM_HWPTS,
};

static struct vtd_sim_object *object_at(struct vtd_sim_objects *objects, uint32_t id)
{
        if (id == 0 || id > VTD_SIM_OBJECTS || objects->rows[id - 1].kind == VTD_SIM_FREE)
                return NULL;
        return &objects->rows[id - 1];
}

struct vtd_sim_object *vtd_sim_object_find(struct vtd_sim_objects *objects,
                                           enum vtd_sim_object_kind kind, uint32_t id)
{
        struct vtd_sim_object *object = object_at(objects, id);

        return object && object->kind == kind ? object : NULL;
}

/* Takes the lowest free id.  NULL: there are as many of that kind as may be. */
static struct vtd_sim_object *object_add(struct vtd_sim_objects *objects,
                                         enum vtd_sim_object_kind kind, uint32_t *id)
{
        if (objects->kinds[kind] == kind_limits[kind])
                return NULL;
        for (uint32_t i = 0; i < VTD_SIM_OBJECTS; i++) {
                if (objects->rows[i].kind != VTD_SIM_FREE)
                        continue;
                objects->rows[i] = (struct vtd_sim_object){.kind = kind};
                objects->kinds[kind]++;
                *id = i + 1;
                return &objects->rows[i];
        }
        return NULL;
}

static void object_remove(struct vtd_sim_objects *objects, struct vtd_sim_object *object)
{
        objects->kinds[object->kind]--;
        *object = (struct vtd_sim_object){0};
}

int vtd_sim_device_add(struct vtd_sim_objects *objects, struct vtd_sim_device_file *file,
                       const struct vtd_sim_device_identity *identity, uint32_t *id)
{
        struct vtd_sim_object *object;

        for (size_t i = 0; i < VTD_SIM_OBJECTS; i++) {
                const struct vtd_sim_object *other = &objects->rows[i];

                if (other->kind == VTD_SIM_DEVICE && other->device.identity.dev == identity->dev &&
                    other->device.identity.ino == identity->ino)
                        return VTD_HOST_E_BUSY;
        }
        object = object_add(objects, VTD_SIM_DEVICE, id);
        if (!object)
                return VTD_HOST_E_LIMIT;
        object->device.file = file;
        object->device.identity = *identity;
        object->device.interrupt = -1;
        return 0;
}

int vtd_sim_device_remove(struct vtd_sim_objects *objects, uint32_t id)
{
        struct vtd_sim_object *object = vtd_sim_object_find(objects, VTD_SIM_DEVICE, id);

        if (!object)
                return VTD_HOST_E_ABSENT;
        if (object->device.rid.hwpt != 0 || vtd_sim_device_has_pasids(objects, id))
                return VTD_HOST_E_BUSY;
        object->device.file = vtd_sim_device_unmap(object->device.file);
        object->device.interrupt = vtd_close(object->device.interrupt);
        object_remove(objects, object);
        return 0;
}

int vtd_sim_ioas_alloc(struct vtd_sim_objects *objects, uint32_t *id)
{
        return object_add(objects, VTD_SIM_IOAS, id) ? 0 : VTD_HOST_E_LIMIT;
}

/* Without a table an IOAS has no limits; a table brings its width, an attached device the MSIs. */
static uint64_t ioas_last(const struct vtd_sim_object *ioas)
{
        return ioas->users > 0 ? ADDRESS_LAST : UINT64_MAX;
}

int vtd_sim_ioas_ranges(struct vtd_sim_objects *objects, uint32_t id,
                        struct vtd_address_range *ranges, size_t capacity, size_t *count)
{
        const struct vtd_sim_object *ioas = vtd_sim_object_find(objects, VTD_SIM_IOAS, id);
        struct vtd_address_range all[2];
        size_t n = 0;

        if (!ioas)
                return VTD_HOST_E_ABSENT;
        if (vtd_sim_ioas_is_attached(objects, id)) {
                all[n++] = (struct vtd_address_range){0, VTD_SIM_MSI_START - 1};
                all[n++] = (struct vtd_address_range){VTD_SIM_MSI_LAST + 1, ioas_last(ioas)};
        } else {
                all[n++] = (struct vtd_address_range){0, ioas_last(ioas)};
        }
        for (size_t i = 0; i < n && i < capacity; i++)
                ranges[i] = all[i];
        *count = n;
        return n > capacity ? VTD_HOST_E_LIMIT : 0;
}

int vtd_sim_map_file(struct vtd_sim_objects *objects, uint32_t id, int fd, uint64_t offset,
                     uint64_t length, uint64_t iova)
{
        const struct vtd_sim_object *ioas = vtd_sim_object_find(objects, VTD_SIM_IOAS, id);
        uint64_t end;

        if (!ioas)
                return VTD_HOST_E_ABSENT;
        if (length == 0 || !vtd_add_u64(iova, length, &end) || end - 1 > ioas_last(ioas))
                return VTD_HOST_E_INVALID;
        if (vtd_sim_ioas_is_attached(objects, id) && iova <= VTD_SIM_MSI_LAST &&
            end > VTD_SIM_MSI_START)
                return VTD_HOST_E_INVALID;
        return vtd_sim_memory_map(&objects->iommu.memory, id, fd, offset, length, iova);
}

int vtd_sim_unmap(struct vtd_sim_objects *objects, uint32_t id, uint64_t iova, uint64_t length)
{
        int result;

        if (!vtd_sim_object_find(objects, VTD_SIM_IOAS, id))
                return VTD_HOST_E_ABSENT;
        result = vtd_sim_memory_unmap(&objects->iommu.memory, id, iova, length);
        /* Whatever else went wrong, the area is gone: only ABSENT means that it is still there. */
        if (result != VTD_HOST_E_ABSENT)
                vtd_sim_cache_drop_memory(&objects->iommu.cache, id, iova, length);
        return result;
}

static const struct vtd_sim_unit *unit_of(const struct vtd_sim_object *device)
{
        return vtd_sim_unit_of(device->device.identity.model);
}

int vtd_sim_second_stage_alloc(struct vtd_sim_objects *objects, uint32_t device, uint32_t ioas,
                               bool pasid_compatible, uint32_t *id)
{
        const struct vtd_sim_object *owner = vtd_sim_object_find(objects, VTD_SIM_DEVICE, device);
        struct vtd_sim_object *space = vtd_sim_object_find(objects, VTD_SIM_IOAS, ioas);
        struct vtd_sim_object *object;

        if (!owner)
                return VTD_HOST_E_ABSENT;
        if (!space)
                return VTD_HOST_E_INVALID;
        if (vtd_sim_memory_overlaps(&objects->iommu.memory, ioas, ADDRESS_LAST + 1, UINT64_MAX))
                return VTD_HOST_E_INVALID;
        object = object_add(objects, VTD_SIM_HWPT, id);
        if (!object)
                return VTD_HOST_E_LIMIT;
        object->hwpt = (struct vtd_sim_hwpt){
                .ioas = ioas,
                .pasid_compatible = pasid_compatible,
                .coherent = vtd_sim_unit_is_coherent(unit_of(owner)),
                .snooped = vtd_sim_unit_controls_snooping(unit_of(owner)),
        };
        space->users++;
        return 0;
}

int vtd_sim_first_stage_alloc(struct vtd_sim_objects *objects, uint32_t device, uint32_t parent,
                              const struct vtd_host_first_stage *config, bool pasid_compatible,
                              uint32_t *id)
{
        struct vtd_sim_object *below = vtd_sim_object_find(objects, VTD_SIM_HWPT, parent);
        struct vtd_sim_object *object;

        if (!vtd_sim_object_find(objects, VTD_SIM_DEVICE, device))
                return VTD_HOST_E_ABSENT;
        if (!below || below->hwpt.parent != 0)
                return VTD_HOST_E_INVALID;
        object = object_add(objects, VTD_SIM_HWPT, id);
        if (!object)
                return VTD_HOST_E_LIMIT;
        /* The driver judges none of the configuration here; it masks the root's low bits. */
        object->hwpt = (struct vtd_sim_hwpt){
                .ioas = below->hwpt.ioas,
                .parent = parent,
                .pasid_compatible = pasid_compatible,
                .tag = objects->last_tag + 1,
                .config = *config,
        };
        object->hwpt.config.root &= ~(VTD_PAGE_SIZE - 1);
        objects->last_tag += VTD_SIM_UNITS;
        below->users++;
        return 0;
}

int vtd_sim_destroy(struct vtd_sim_objects *objects, uint32_t id)
{
        struct vtd_sim_object *object = object_at(objects, id);

        if (!object)
                return VTD_HOST_E_ABSENT;
        if (object->kind == VTD_SIM_DEVICE || object->users > 0)
                return VTD_HOST_E_BUSY;
        if (object->kind == VTD_SIM_IOAS) {
                vtd_sim_memory_unmap_all(&objects->iommu.memory, id);
        } else {
                uint32_t below = object->hwpt.parent ? object->hwpt.parent : object->hwpt.ioas;

                objects->rows[below - 1].users--;
        }
        object_remove(objects, object);
        return 0;
}

void vtd_sim_objects_deinit(struct vtd_sim_objects *objects)
{
        for (uint32_t i = 0; i < VTD_SIM_OBJECTS; i++) {
                struct vtd_sim_device *device = &objects->rows[i].device;

                if (objects->rows[i].kind == VTD_SIM_IOAS) {
                        vtd_sim_memory_unmap_all(&objects->iommu.memory, i + 1);
                } else if (objects->rows[i].kind == VTD_SIM_DEVICE) {
                        device->file = vtd_sim_device_unmap(device->file);
                        device->interrupt = vtd_close(device->interrupt);
                }
        }
}
