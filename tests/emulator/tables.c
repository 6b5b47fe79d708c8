/* SPDX-License-Identifier: MIT */
/* See tables.h. */
#include "tests/emulator/tables.h"

#define INTERRUPTS UINT64_C(0x130000) /* 256 entries: a page */
#define REG_GCMD   0x18u
#define REG_GSTS   0x1cu
#define REG_IRTA   0xb8u
#define GCMD_IRE   0x02000000u
#define GCMD_SIRTP 0x01000000u
#define GSTS_KEPT  0x96ffffffu
#define IRTA_256   7u

#define IEC_GLOBAL UINT64_C(0x04)
#define SVT_ID     (UINT64_C(1) << 18)
#define REMAPPABLE 0xfee00010u

static void store(struct tables *tables, uint64_t gpa, uint64_t value)
{
        uint64_t *word = (uint64_t *)(void *)(vmm_memory(tables->guest.vmm) + gpa);

        __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static uint64_t load(struct tables *tables, uint64_t gpa)
{
        uint64_t *word = (uint64_t *)(void *)(vmm_memory(tables->guest.vmm) + gpa);

        return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

void tables_init(struct tables *tables, struct vmm *vmm)
{
        struct guest *guest = &tables->guest;

        guest_init(guest, vmm);
        tables->root = guest_table_new(guest);
        guest_table_map(guest, tables->root, IOVA_DATA, PAGE_DATA, 1);
        guest_table_map(guest, tables->root, IOVA_SINK, PAGE_SINK, 1);
        guest_table_map(guest, tables->root, IOVA_MESSAGE, PAGE_MESSAGE, 1);
        guest_add_device(guest, RID_BROKER);
        guest_add_device(guest, RID_EDU);
        guest_set_entry(guest, RID_BROKER, GUEST_FIRST_STAGE, DOMAIN, tables->root);
        guest_set_entry(guest, RID_EDU, GUEST_FIRST_STAGE, DOMAIN, tables->root);
        guest_enable_queue(guest);
        guest_set_root(guest);
        guest_invalidate_context(guest);
        guest_flush_entry(guest, DOMAIN);
        guest_set_translation(guest, true);
}

void tables_map(struct tables *tables, uint64_t iova, uint64_t gpa)
{
        guest_table_map(&tables->guest, tables->root, iova, gpa, 1);
        guest_invalidate_page(&tables->guest, DOMAIN, iova, 0);
}

void tables_unmap(struct tables *tables, uint64_t iova)
{
        uint64_t table = tables->root;

        for (unsigned level = 4; level > 1; level--)
                table = load(tables, table + ((iova >> (12 + 9 * (level - 1))) & 511) * 8) &
                        ~(GUEST_PAGE - 1);
        store(tables, table + ((iova >> 12) & 511) * 8, 0);
        guest_invalidate_page(&tables->guest, DOMAIN, iova, 0);
}

static void command(struct tables *tables, uint32_t bit)
{
        struct vmm *vmm = tables->guest.vmm;
        uint32_t kept = (uint32_t)vmm_iommu_read(vmm, REG_GSTS, 4) & GSTS_KEPT;

        if (vmm_iommu_write(vmm, REG_GCMD, 4, kept | bit) != 0 ||
            !(vmm_iommu_read(vmm, REG_GSTS, 4) & bit))
                tables->guest.failed = true;
}

void tables_remap_interrupts(struct tables *tables)
{
        guest_fill(&tables->guest, INTERRUPTS, 0, GUEST_PAGE);
        (void)vmm_iommu_write(tables->guest.vmm, REG_IRTA, 8, INTERRUPTS | IRTA_256);
        command(tables, GCMD_SIRTP);
        command(tables, GCMD_IRE);
}

void tables_set_interrupt(struct tables *tables, unsigned index, unsigned vector, uint16_t source)
{
        store(tables, INTERRUPTS + index * 16u + 8, SVT_ID | source);
        store(tables, INTERRUPTS + index * 16u, 1 | (uint64_t)vector << 16);
        guest_queue(&tables->guest, IEC_GLOBAL, 0);
        guest_submit(&tables->guest);
}

uint64_t tables_message(unsigned index)
{
        return REMAPPABLE | (uint64_t)index << 5;
}
