/* SPDX-License-Identifier: MIT */
/* See guest.h.  Formats are those of the VT-d architecture, revision 4, scalable mode. */
#include "tests/vmm/guest.h"

#include <string.h>
#include <time.h>

#define ROOT_TABLE      UINT64_C(0x100000)
#define CONTEXT_TABLE   UINT64_C(0x101000) /* lower half, devfn 00 to 7f, of bus 0 */
#define PASID_DIRECTORY UINT64_C(0x102000) /* one page for each device from here on */
#define QUEUE           UINT64_C(0x120000)
#define QUEUE_SIZE      8192u
#define WAIT_STATUS     UINT64_C(0x122000)
#define TABLES          UINT64_C(0x200000)

#define REG_GCMD   0x18u
#define REG_GSTS   0x1cu
#define REG_RTADDR 0x20u
#define REG_FSTS   0x34u
#define REG_IQT    0x88u
#define REG_IQA    0x90u
#define REG_FRCD   0x220u

#define GCMD_TE   0x80000000u
#define GCMD_SRTP 0x40000000u
#define GCMD_QIE  0x04000000u
#define GSTS_KEPT 0x96ffffffu /* one-shot bits are not to be written back */

#define RTADDR_SCALABLE 0x400u
#define IQA_256_BIT     0x800u
#define IQA_TWO_PAGES   1u

#define ENTRY_PRESENT 1u
#define PAGE_TABLE    0x27u /* present, writable, user, accessed */
#define PAGE_LEAF     0x67u /* and dirty */
#define PAGE_LARGE    0x80u

#define EDU_SOURCE      0x80u
#define EDU_DESTINATION 0x88u
#define EDU_COUNT       0x90u
#define EDU_COMMAND     0x98u
#define EDU_BUFFER      0x40000u
#define EDU_START       1u
#define EDU_TO_MEMORY   2u

/*
 * How long to wait, in ns, between two looks at a DMA: some devices take microseconds, others 100 ms,
 * and each look is a request.
 */
#define DMA_PAUSE_MIN 50000
#define DMA_PAUSE_MAX 3200000
#define DMA_TRIES_MAX 500 /* more than a second */

static void store(struct guest *guest, uint64_t gpa, uint64_t value)
{
        uint64_t *word = (uint64_t *)(void *)(vmm_memory(guest->vmm) + gpa);

        __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static uint64_t load(struct guest *guest, uint64_t gpa)
{
        uint64_t *word = (uint64_t *)(void *)(vmm_memory(guest->vmm) + gpa);

        return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

void guest_init(struct guest *guest, struct vmm *vmm)
{
        *guest = (struct guest){.vmm = vmm, .next_table = TABLES};
}

void guest_fill(struct guest *guest, uint64_t gpa, uint8_t byte, size_t size)
{
        memset(vmm_memory(guest->vmm) + gpa, byte, size);
}

int guest_uniform(struct guest *guest, uint64_t gpa, size_t size)
{
        const uint8_t *bytes = vmm_memory(guest->vmm) + gpa;

        for (size_t i = 1; i < size; i++) {
                if (bytes[i] != bytes[0])
                        return -1;
        }
        return bytes[0];
}

uint64_t guest_table_new(struct guest *guest)
{
        uint64_t table = guest->next_table;

        guest->next_table += GUEST_PAGE;
        guest_fill(guest, table, 0, GUEST_PAGE);
        return table;
}

void guest_table_map(struct guest *guest, uint64_t root, uint64_t iova, uint64_t gpa,
                     unsigned level)
{
        uint64_t table = root;

        for (unsigned l = 4; l > level; l--) {
                uint64_t slot = table + ((iova >> (12 + 9 * (l - 1))) & 511) * 8;

                if (load(guest, slot) == 0)
                        store(guest, slot, guest_table_new(guest) | PAGE_TABLE);
                table = load(guest, slot) & ~(GUEST_PAGE - 1);
        }
        store(guest, table + ((iova >> (12 + 9 * (level - 1))) & 511) * 8,
              gpa | PAGE_LEAF | (level > 1 ? PAGE_LARGE : 0));
}

/* Where the PASID table of @rid stands; its directory is the page before it. */
static uint64_t pasid_table(struct guest *guest, uint16_t rid)
{
        uint64_t directory = load(guest, CONTEXT_TABLE + (rid & 0x7fu) * 32u) & ~(GUEST_PAGE - 1);

        return load(guest, directory) & ~(GUEST_PAGE - 1);
}

void guest_add_device(struct guest *guest, uint16_t rid)
{
        uint64_t directory = PASID_DIRECTORY + guest->pasid_tables * 2 * GUEST_PAGE;
        uint64_t table = directory + GUEST_PAGE;

        guest->pasid_tables++;
        guest_fill(guest, directory, 0, 2 * GUEST_PAGE);
        store(guest, directory, table | ENTRY_PRESENT);
        store(guest, CONTEXT_TABLE + (rid & 0x7fu) * 32u, directory | ENTRY_PRESENT);
        store(guest, ROOT_TABLE, CONTEXT_TABLE | ENTRY_PRESENT);
}

void guest_set_entry(struct guest *guest, uint16_t rid, enum guest_translation type,
                     uint16_t domain, uint64_t root)
{
        uint64_t entry = pasid_table(guest, rid);
        const uint64_t width = UINT64_C(2) << 2; /* AW: 4 levels, as Linux writes it */

        /* Ownership by the hardware goes with P: clear it first, set it last. */
        store(guest, entry, 0);
        if (type == GUEST_ABSENT)
                return;
        store(guest, entry + 8, domain);
        store(guest, entry + 16, type == GUEST_FIRST_STAGE ? root : 0);
        store(guest, entry,
              (type == GUEST_SECOND_STAGE ? root : 0) | (uint64_t)type << 6 | width |
                      ENTRY_PRESENT);
}

void guest_set_entry_words(struct guest *guest, uint16_t rid, uint32_t pasid,
                           const uint64_t words[8])
{
        uint64_t entry = pasid_table(guest, rid) + pasid * 64u;

        store(guest, entry, 0);
        for (unsigned i = 8; i-- > 0;)
                store(guest, entry + i * 8, words[i]);
}

static void command(struct guest *guest, uint32_t value, uint32_t bit, bool on)
{
        uint32_t status;

        if (vmm_iommu_write(guest->vmm, REG_GCMD, 4, value) != 0)
                guest->failed = true;
        status = (uint32_t)vmm_iommu_read(guest->vmm, REG_GSTS, 4);
        if (((status & bit) != 0) != on)
                guest->failed = true;
}

static uint32_t kept_status(struct guest *guest)
{
        return (uint32_t)vmm_iommu_read(guest->vmm, REG_GSTS, 4) & GSTS_KEPT;
}

void guest_enable_queue(struct guest *guest)
{
        (void)vmm_iommu_write(guest->vmm, REG_IQT, 8, 0);
        (void)vmm_iommu_write(guest->vmm, REG_IQA, 8, QUEUE | IQA_256_BIT | IQA_TWO_PAGES);
        command(guest, kept_status(guest) | GCMD_QIE, GCMD_QIE, true);
        guest->queue_tail = 0;
}

void guest_set_root(struct guest *guest)
{
        (void)vmm_iommu_write(guest->vmm, REG_RTADDR, 8, ROOT_TABLE | RTADDR_SCALABLE);
        command(guest, kept_status(guest) | GCMD_SRTP, GCMD_SRTP, true);
}

void guest_set_translation(struct guest *guest, bool on)
{
        uint32_t status = kept_status(guest);

        command(guest, on ? status | GCMD_TE : status & ~GCMD_TE, GCMD_TE, on);
}

void guest_queue(struct guest *guest, uint64_t low, uint64_t high)
{
        uint64_t slot = QUEUE + guest->queue_tail;

        store(guest, slot, low);
        store(guest, slot + 8, high);
        store(guest, slot + 16, 0);
        store(guest, slot + 24, 0);
        guest->queue_tail = (guest->queue_tail + 32) % QUEUE_SIZE;
}

void guest_submit(struct guest *guest)
{
        uint32_t value = ++guest->wait_value;

        guest_queue(guest, (uint64_t)value << 32 | 0x25, WAIT_STATUS);
        if (vmm_iommu_write(guest->vmm, REG_IQT, 4, guest->queue_tail) != 0 ||
            (uint32_t)load(guest, WAIT_STATUS) != value)
                guest->failed = true;
}

void guest_invalidate_context(struct guest *guest)
{
        guest_queue(guest, 0x11, 0);
        guest_submit(guest);
}

static void queue_pasid_cache(struct guest *guest, uint16_t domain)
{
        guest_queue(guest, (uint64_t)domain << 16 | 0x17, 0);
}

static void queue_whole_pasid(struct guest *guest, uint16_t domain)
{
        guest_queue(guest, (uint64_t)domain << 16 | 0x26, 0);
}

void guest_invalidate_pasid_cache(struct guest *guest, uint16_t domain)
{
        queue_pasid_cache(guest, domain);
        guest_submit(guest);
}

void guest_invalidate_page(struct guest *guest, uint16_t domain, uint64_t iova, unsigned order)
{
        guest_queue(guest, (uint64_t)domain << 16 | 0x36, iova | order);
        guest_submit(guest);
}

void guest_invalidate_pasid(struct guest *guest, uint16_t domain)
{
        queue_whole_pasid(guest, domain);
        guest_submit(guest);
}

void guest_flush_entry(struct guest *guest, uint16_t domain)
{
        queue_pasid_cache(guest, domain);
        queue_whole_pasid(guest, domain);
        guest_submit(guest);
}

void guest_take_fault(struct guest *guest, struct guest_fault *fault)
{
        uint32_t type = (uint32_t)vmm_iommu_read(guest->vmm, REG_FRCD + 12, 4);

        *fault = (struct guest_fault){.pending = (type >> 31) != 0, .reason = (uint8_t)type};
        fault->source = (uint16_t)vmm_iommu_read(guest->vmm, REG_FRCD + 8, 4);
        fault->address = vmm_iommu_read(guest->vmm, REG_FRCD, 8);
        (void)vmm_iommu_write(guest->vmm, REG_FRCD + 12, 4, 0x80000000u);
        (void)vmm_iommu_write(guest->vmm, REG_FSTS, 4, 1);
}

int guest_dma_start(struct guest *guest, uint16_t rid, uint64_t iova, size_t size, bool to_memory)
{
        uint64_t source = to_memory ? EDU_BUFFER : iova;
        uint64_t destination = to_memory ? iova : EDU_BUFFER;
        int result;

        result = vmm_device_write(guest->vmm, rid, EDU_SOURCE, 8, source);
        if (result == 0)
                result = vmm_device_write(guest->vmm, rid, EDU_DESTINATION, 8, destination);
        if (result == 0)
                result = vmm_device_write(guest->vmm, rid, EDU_COUNT, 8, size);
        if (result == 0)
                result = vmm_device_write(guest->vmm, rid, EDU_COMMAND, 8,
                                          EDU_START | (to_memory ? EDU_TO_MEMORY : 0));
        return result;
}

int guest_dma_finish(struct guest *guest, uint16_t rid)
{
        struct timespec pause = {.tv_nsec = DMA_PAUSE_MIN};
        uint64_t value = EDU_START;

        for (unsigned tries = 0; tries < DMA_TRIES_MAX; tries++) {
                int result = vmm_device_read(guest->vmm, rid, EDU_COMMAND, 8, &value);

                if (result != 0)
                        return result;
                if (!(value & EDU_START))
                        return 0;
                (void)nanosleep(&pause, NULL);
                if (pause.tv_nsec < DMA_PAUSE_MAX)
                        pause.tv_nsec *= 2;
        }
        guest->failed = true;
        return -1;
}

static int dma(struct guest *guest, uint16_t rid, uint64_t iova, size_t size, bool to_memory)
{
        int result = guest_dma_start(guest, rid, iova, size, to_memory);

        return result != 0 ? result : guest_dma_finish(guest, rid);
}

int guest_dma_read(struct guest *guest, uint16_t rid, uint64_t iova, size_t size)
{
        return dma(guest, rid, iova, size, false);
}

int guest_dma_write(struct guest *guest, uint16_t rid, uint64_t iova, size_t size)
{
        return dma(guest, rid, iova, size, true);
}
