/* SPDX-License-Identifier: MIT */
/*
 * A guest for vmm.c: 32-bit code without a C library, which is entered at start() in protected mode
 * without paging, on memory that is zero where this image is not.  It knows where its machine has
 * the virtual IOMMU and the device, an "edu", and does what a driver would do: it gives the device an
 * address space by first-stage tables, has it do DMA there, changes the tables and invalidates.
 * Exit status 0 when DMA went where the tables said, and the unit's interrupt message came.
 *
 * Formats are those of the VT-d architecture, revision 4 and later, scalable mode.
 */
#include <stdbool.h>
#include <stdint.h>

#define IOMMU 0xfed90000u
#define EDU   0xfe000000u
#define APIC  0xfee00000u
#define DEVFN 0x18u

#define CONSOLE_PORT 0xe9
#define EXIT_PORT    0xf4

/* Where in memory things are: a page each. */
#define ROOT_TABLE      0x200000u
#define CONTEXT_TABLE   0x201000u
#define PASID_DIRECTORY 0x202000u
#define PASID_TABLE     0x203000u
#define LEVEL_4         0x204000u /* first-stage tables */
#define LEVEL_3         0x205000u
#define LEVEL_2         0x206000u
#define LEVEL_1         0x207000u
#define QUEUE           0x208000u
#define WAIT_STATUS     0x209000u
#define DATA            0x20a000u /* what the device reads */
#define COPY            0x20b000u /* where it writes that first */
#define OTHER_COPY      0x20c000u /* and where it does when the tables have changed */

/* The device's addresses for DATA, and for COPY or OTHER_COPY: at 1 GiB, where there is no memory. */
#define IOVA_DATA 0x40000000u
#define IOVA_COPY 0x40001000u

#define PAGE        4096u
#define PRESENT     1u
#define TABLE       0x27u /* present, writable, user, accessed */
#define LEAF        0x67u /* and dirty */
#define FIRST_STAGE 0x49u /* PASID-table entry: first stage, four levels, present */
#define DOMAIN      1u

#define REG_GCMD         0x18u
#define REG_GSTS         0x1cu
#define REG_RTADDR       0x20u
#define REG_IQT          0x88u
#define REG_IQA          0x90u
#define REG_IECTL        0xa0u
#define REG_IEDATA       0xa4u
#define REG_IEADDR       0xa8u
#define COMMAND_TE       0x80000000u
#define COMMAND_SRTP     0x40000000u
#define COMMAND_QIE      0x04000000u
#define STATUS_KEPT      0x96ffffffu /* of GSTS, what is written back to GCMD */
#define RTADDR_SCALABLE  0x400u
#define IQA_256_BIT      0x800u
#define DESCRIPTOR_BYTES 32u

#define EDU_SOURCE      0x80u
#define EDU_DESTINATION 0x88u
#define EDU_COUNT       0x90u
#define EDU_COMMAND     0x98u
#define EDU_BUFFER      0x40000u
#define EDU_RUNNING     1u
#define EDU_TO_MEMORY   2u

#define APIC_SPURIOUS 0xf0u
#define APIC_ENABLED  0x1ffu
#define VECTOR        0x41u
#define APIC_PENDING  (0x200u + VECTOR / 32 * 16)

static void write32(uint32_t address, uint32_t value)
{
        *(volatile uint32_t *)address = value;
}

static uint32_t read32(uint32_t address)
{
        return *(volatile uint32_t *)address;
}

/* An entry below 4 GiB.  The word that says whether it is present last. */
static void write_entry(uint32_t address, uint32_t value)
{
        write32(address + 4, 0);
        write32(address, value);
}

static void write_port(uint16_t port, uint8_t value)
{
        __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void say(const char *text)
{
        while (*text)
                write_port(CONSOLE_PORT, (uint8_t)*text++);
}

static void wait_for_key(void)
{
        uint8_t key;

        __asm__ volatile("inb %1, %0" : "=a"(key) : "Nd"((uint16_t)CONSOLE_PORT));
}

__attribute__((noreturn)) static void end(uint8_t status)
{
        for (;;)
                write_port(EXIT_PORT, status);
}

static void require(bool good, const char *what)
{
        if (good)
                return;
        say("FAILED: ");
        say(what);
        say("\n");
        end(2);
}

static void fill(uint32_t page, uint32_t value)
{
        for (uint32_t at = 0; at < PAGE; at += 4)
                write32(page + at, value + at);
}

static bool is_filled(uint32_t page, uint32_t value)
{
        for (uint32_t at = 0; at < PAGE; at += 4) {
                if (read32(page + at) != value + at)
                        return false;
        }
        return true;
}

static void write_tables(void)
{
        write_entry(LEVEL_1, DATA | LEAF);
        write_entry(LEVEL_1 + 8, COPY | LEAF);
        write_entry(LEVEL_2, LEVEL_1 | TABLE);
        write_entry(LEVEL_3 + 8, LEVEL_2 | TABLE);
        write_entry(LEVEL_4, LEVEL_3 | TABLE);
        write_entry(PASID_TABLE + 16, LEVEL_4);
        write_entry(PASID_TABLE + 8, DOMAIN);
        write_entry(PASID_TABLE, FIRST_STAGE);
        write_entry(PASID_DIRECTORY, PASID_TABLE | PRESENT);
        write_entry(CONTEXT_TABLE + DEVFN * 32, PASID_DIRECTORY | PRESENT);
        write_entry(ROOT_TABLE, CONTEXT_TABLE | PRESENT);
}

static void command(uint32_t bit, bool on)
{
        uint32_t kept = read32(IOMMU + REG_GSTS) & STATUS_KEPT & ~bit;

        write32(IOMMU + REG_GCMD, kept | (on ? bit : 0));
        while (((read32(IOMMU + REG_GSTS) & bit) != 0) != on)
                ;
}

/* Adds a descriptor by its two words that are not always 0, and returns the new tail. */
static uint32_t queue(uint32_t tail, uint32_t low, uint32_t high, uint32_t address)
{
        write32(QUEUE + tail, low);
        write32(QUEUE + tail + 4, high);
        write_entry(QUEUE + tail + 8, address);
        return tail + DESCRIPTOR_BYTES;
}

/* Has what is queued executed, and waits until the unit says that it has been. */
static uint32_t submit(uint32_t tail)
{
        write32(WAIT_STATUS, 0);
        tail = queue(tail, 0x35, 1, WAIT_STATUS); /* writes 1 there, and sends the message */
        write32(IOMMU + REG_IQT, tail);
        while (read32(WAIT_STATUS) != 1)
                ;
        return tail;
}

/* Has the unit announce with an interrupt that a wait descriptor is complete. */
static void enable_message(void)
{
        write32(APIC + APIC_SPURIOUS, APIC_ENABLED);
        write32(IOMMU + REG_IEDATA, VECTOR);
        write32(IOMMU + REG_IEADDR, APIC);
        write32(IOMMU + REG_IECTL, 0);
}

static void dma(uint32_t source, uint32_t destination, uint32_t direction)
{
        write32(EDU + EDU_SOURCE, source);
        write32(EDU + EDU_DESTINATION, destination);
        write32(EDU + EDU_COUNT, PAGE);
        write32(EDU + EDU_COMMAND, EDU_RUNNING | direction);
        while (read32(EDU + EDU_COMMAND) & EDU_RUNNING)
                ;
}

__attribute__((noreturn, section(".text.start"))) void start(void);

void start(void)
{
        uint32_t tail = 0;

        enable_message();
        write_tables();
        fill(DATA, 0x12345678);
        write32(IOMMU + REG_IQA, QUEUE | IQA_256_BIT);
        command(COMMAND_QIE, true);
        write32(IOMMU + REG_RTADDR, ROOT_TABLE | RTADDR_SCALABLE);
        command(COMMAND_SRTP, true);
        tail = queue(tail, 0x11, 0, 0);         /* all context entries, ... */
        tail = queue(tail, 0x37, 0, 0);         /* all PASID-table entries, ... */
        tail = submit(queue(tail, 0x12, 0, 0)); /* and the whole IOTLB */
        command(COMMAND_TE, true);

        dma(IOVA_DATA, EDU_BUFFER, 0);
        dma(EDU_BUFFER, IOVA_COPY, EDU_TO_MEMORY);
        require(is_filled(COPY, 0x12345678), "DMA did not go by the tables");

        fill(COPY, 0);
        write_entry(LEVEL_1 + 8, OTHER_COPY | LEAF);
        tail = submit(queue(tail, DOMAIN << 16 | 0x36, 0, IOVA_COPY)); /* one page of the domain */
        dma(EDU_BUFFER, IOVA_COPY, EDU_TO_MEMORY);
        require(is_filled(OTHER_COPY, 0x12345678), "DMA did not go by the changed tables");
        require(is_filled(COPY, 0), "DMA went by tables that were invalidated");
        require(read32(APIC + APIC_PENDING) & 1u << VECTOR % 32, "no interrupt message came");

        say("DMA went by the guest's own first-stage tables.  Press Enter to end.\n");
        wait_for_key();
        command(COMMAND_TE, false);
        end(0);
}
