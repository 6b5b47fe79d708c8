/* SPDX-License-Identifier: MIT */
/*
 * The unit in front of a real worker's core and the simulated host: the register accesses and
 * descriptors with which Linux 7.x brings a unit up, register by register, until its devices do
 * DMA; what they do when the guest is moved to another machine, or back to a snapshot; and what a VMM
 * may get wrong in the calls that reach the broker.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/frontend-internal.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "tests/unit/worker-backend.h"
#include "vtd/device.h"
#include "vtd/state.h"

#define RAM_SIZE UINT64_C(0x400000)

#define ROOT_TABLE    UINT64_C(0x10000)
#define CONTEXT_TABLE UINT64_C(0x11000)
#define QUEUE         UINT64_C(0x20000)
#define QUEUE_ENTRIES 256u
#define STATUS        UINT64_C(0x30000) /* one word for each queue entry */
#define DIRECTORY     UINT64_C(0x100000)
#define PASID_TABLE   UINT64_C(0x140000)
#define PAGE_TABLES   UINT64_C(0x180000) /* four levels */
#define PAGE_A        UINT64_C(0x200000)
#define PAGE_B        UINT64_C(0x201000)

#define RID_TRANSLATED 0x0018u
#define RID_IDENTITY   0x0090u /* its context entry is in the upper table */
#define IOVA           UINT64_C(0xfffff000)
#define DOMAIN         2u
#define IN_USE         1u
#define DONE           2u

struct machine {
        int file;
        uint8_t *ram;
        struct vtd_frontend *unit;
        struct worker_backend *worker;
        uint32_t gcmd, index;
        unsigned messages;
        uint8_t state[4096]; /* of the unit, saved */
        size_t state_size;
};

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct machine *m = opaque;

        if (!vtd_range_within(gpa, size, RAM_SIZE))
                return -EFAULT;
        memcpy(data, m->ram + gpa, size);
        return 0;
}

static int write_memory(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        struct machine *m = opaque;

        if (!vtd_range_within(gpa, size, RAM_SIZE))
                return -EFAULT;
        memcpy(m->ram + gpa, data, size);
        return 0;
}

static void send_message(void *opaque, uint64_t address, uint32_t data)
{
        struct machine *m = opaque;

        (void)address;
        (void)data;
        m->messages++;
}

static void put(struct machine *m, uint64_t gpa, uint64_t value)
{
        assert_int_equal(write_memory(m, gpa, &value, sizeof(value)), 0);
}

static uint32_t word(struct machine *m, uint64_t gpa)
{
        uint32_t value;

        assert_int_equal(read_memory(m, gpa, &value, sizeof(value)), 0);
        return value;
}

/* A machine with empty memory, and a unit that is connected to a broker of its own. */
static void power_on(struct machine *m)
{
        const struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        const struct vtd_frontend_callbacks callbacks = {.read_memory = read_memory,
                                                         .write_memory = write_memory,
                                                         .send_message = send_message};

        m->file = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_true(m->file >= 0);
        assert_int_equal(ftruncate(m->file, (off_t)RAM_SIZE), 0);
        assert_int_equal(fcntl(m->file, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        m->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, m->file, 0);
        assert_true(m->ram != MAP_FAILED);
        assert_int_equal(vtd_frontend_new(&m->unit, &config, &callbacks, m), 0);
        m->worker = worker_backend_new();
        assert_int_equal(vtd_frontend_set_backend(m->unit, &m->worker->base, NULL), 0);
}

static void power_off(struct machine *m)
{
        m->unit = vtd_frontend_free(m->unit);
        (void)munmap(m->ram, RAM_SIZE);
        m->file = vtd_close(m->file);
}

static void plug_and_map(struct machine *m)
{
        uint64_t mapping;

        assert_int_equal(vtd_frontend_plug(m->unit, "dev0", RID_TRANSLATED), 0);
        assert_int_equal(vtd_frontend_plug(m->unit, "dev1", RID_IDENTITY), 0);
        assert_int_equal(vtd_frontend_map(m->unit, 0, RAM_SIZE, m->file, 0, &mapping), 0);
}

static int setup(void **state)
{
        struct machine *m = calloc(1, sizeof(*m));

        assert_non_null(m);
        power_on(m);
        plug_and_map(m);
        assert_int_equal(vtd_frontend_run(m->unit, 64), VTD_FRONTEND_IDLE);
        *state = m;
        return 0;
}

static int teardown(void **state)
{
        struct machine *m = *state;

        power_off(m);
        free(m);
        return 0;
}

/* As a VMM does it: run after each write, poll while the answer is not there. */
static void write_register(struct machine *m, unsigned offset, unsigned size, uint64_t value)
{
        int outcome;

        vtd_frontend_write(m->unit, offset, size, value);
        do
                outcome = vtd_frontend_run(m->unit, 3);
        while (outcome == VTD_FRONTEND_PENDING);
        assert_int_equal(outcome, VTD_FRONTEND_IDLE);
}

static uint32_t read32(struct machine *m, unsigned offset)
{
        return (uint32_t)vtd_frontend_read(m->unit, offset, 4);
}

/* Linux keeps the sticky bits itself and polls for the one that it has changed. */
static void command(struct machine *m, uint32_t sticky, uint32_t once)
{
        m->gcmd |= sticky;
        write_register(m, VTD_REG_GCMD, 4, m->gcmd | once);
        assert_true(read32(m, VTD_REG_GSTS) & (sticky | once));
}

static void put_descriptor(struct machine *m, uint64_t first, uint64_t second)
{
        uint64_t slot = QUEUE + m->index * 32;

        put(m, slot, first);
        put(m, slot + 8, second);
        put(m, slot + 16, 0);
        put(m, slot + 24, 0);
        m->index = (m->index + 1) % QUEUE_ENTRIES;
}

/* One descriptor and its wait descriptor, whose status is in the word of its slot. */
static void submit(struct machine *m, uint64_t first, uint64_t second)
{
        const uint32_t in_use = IN_USE;
        uint64_t status;

        put_descriptor(m, first, second);
        status = STATUS + m->index * 4;
        assert_int_equal(write_memory(m, status, &in_use, sizeof(in_use)), 0);
        put_descriptor(m, (uint64_t)DONE << 32 | 0x25, status);
        write_register(m, VTD_REG_IQT, 4, m->index * 32);
        assert_int_equal(word(m, status), DONE);
        assert_int_equal(read32(m, VTD_REG_FSTS), 0);
        assert_int_equal(read32(m, VTD_REG_IQH), m->index * 32);
}

static void enable_queue(struct machine *m)
{
        write_register(m, VTD_REG_IQT, 4, 0);
        write_register(m, VTD_REG_IQA, 8, QUEUE | 0x801);
        command(m, VTD_GCMD_QIE, 0);
        assert_int_equal(vtd_frontend_read(m->unit, VTD_REG_IQA, 8), QUEUE | 0x801);
}

static void set_up_fault_event(struct machine *m)
{
        write_register(m, VTD_REG_FEDATA, 4, 0x21);
        write_register(m, VTD_REG_FEADDR, 4, 0xfee01000);
        write_register(m, VTD_REG_FEUADDR, 4, 0);
        write_register(m, VTD_REG_FECTL, 4, 0);
        assert_int_equal(read32(m, VTD_REG_FECTL), 0);
        write_register(m, VTD_REG_FSTS, 4, read32(m, VTD_REG_FSTS));
}

/* A context entry with PDTS 2, then what caching mode asks for. */
static void add_context(struct machine *m, unsigned rid, unsigned n)
{
        uint64_t context = CONTEXT_TABLE + (rid & 0x80 ? 0x1000 : 0) + (rid & 0x7f) * 32;

        put(m, ROOT_TABLE, CONTEXT_TABLE | 1);
        put(m, ROOT_TABLE + 8, (CONTEXT_TABLE + 0x1000) | 1);
        put(m, context + 8, 0);
        put(m, context, (DIRECTORY + n * 0x1000) | 2 << 9 | 1);
        submit(m, 0x31 | (uint64_t)rid << 32, 0);
        submit(m, 0xe2, 0);
}

static void add_entry(struct machine *m, unsigned n, unsigned type, unsigned domain, uint64_t root)
{
        uint64_t entry = PASID_TABLE + n * 0x1000;

        put(m, DIRECTORY + n * 0x1000, entry | 1);
        put(m, entry + 8, domain | 1 << 23);
        put(m, entry + 16, root);
        put(m, entry, (uint64_t)type << 6 | 2 << 2 | 1);
        submit(m, 0x17 | (uint64_t)domain << 16, 0);
        submit(m, 0x26 | (uint64_t)domain << 16, 0);
}

static void remove_entry(struct machine *m, unsigned n, unsigned domain)
{
        uint64_t entry = PASID_TABLE + n * 0x1000;
        uint64_t first = word(m, entry);

        put(m, entry, first & ~UINT64_C(1));
        submit(m, 0x17 | (uint64_t)domain << 16, 0);
        submit(m, 0x26 | (uint64_t)domain << 16, 0);
        memset(m->ram + entry, 0, 64);
}

static void map_page(struct machine *m, uint64_t iova, uint64_t gpa)
{
        for (unsigned level = 4; level > 1; level--)
                put(m, PAGE_TABLES + (4 - level) * 0x1000 + (iova >> (3 + 9 * level) & 511) * 8,
                    (PAGE_TABLES + (5 - level) * 0x1000) | 0x27);
        put(m, PAGE_TABLES + 3 * 0x1000 + (iova >> 12 & 511) * 8, gpa ? gpa | 0x67 : 0);
}

/* The first word at @iova as a device reads it; 0 when it is blocked. */
static uint64_t dma_read(struct machine *m, unsigned number, uint64_t iova)
{
        struct vtd_sim_edu *edu = &worker_backend_device(m->worker, number)->edu;
        uint64_t value;

        memset(edu->buffer, 0, 64);
        edu->source = iova;
        edu->destination = VTD_SIM_EDU_BUFFER_START;
        edu->count = 64;
        edu->moved = 0;
        edu->command = 1;
        worker_backend_step(m->worker);
        edu->command = 0;
        memcpy(&value, edu->buffer, sizeof(value));
        return value;
}

static enum vtd_frontend_binding binding_of(struct machine *m, uint16_t rid)
{
        enum vtd_frontend_binding binding;

        assert_int_equal(vtd_frontend_get_binding(m->unit, rid, &binding), 0);
        return binding;
}

/* What makes Linux take the unit, and take it in scalable mode with first-stage tables. */
static void check_capabilities(struct machine *m)
{
        uint64_t cap = vtd_frontend_read(m->unit, VTD_REG_CAP, 8);
        uint64_t ecap = vtd_frontend_read(m->unit, VTD_REG_ECAP, 8);

        assert_true(cap != UINT64_MAX && ecap != UINT64_MAX);
        assert_int_equal(cap >> 8 & 0x1f, 0);   /* SAGAW: no second stage, so no legacy mode */
        assert_int_equal(ecap >> 46 & 1, 0);    /* SSTS */
        assert_int_equal(ecap >> 43 & 1, 1);    /* SMTS */
        assert_int_equal(ecap >> 47 & 1, 1);    /* FSTS */
        assert_int_equal(ecap & 0x43, 0x43);    /* C, QI, PT */
        assert_int_equal(cap >> 7 & 1, 1);      /* CM */
        assert_int_equal(cap >> 16 & 0x3f, 47); /* MGAW */
        assert_int_equal(ecap & (1 << 2 | 1 << 3 | 1 << 29), 0); /* DT, IR, PRS */
        assert_int_equal(cap >> 59 & 0x7, 0);                    /* PI, FS5LP, ECMDS */
        (void)read32(m, VTD_REG_VER);
        assert_int_equal(read32(m, VTD_REG_GSTS), 0);
}

static void boot(struct machine *m)
{
        check_capabilities(m);
        write_register(m, VTD_REG_FSTS, 4, read32(m, VTD_REG_FSTS));
        enable_queue(m);
        set_up_fault_event(m);
        write_register(m, VTD_REG_RTADDR, 8, ROOT_TABLE | 0x400);
        command(m, 0, VTD_GCMD_SRTP);
        /* For units without ESRTPS; harmless for others. */
        submit(m, 0x11, 0);
        submit(m, 0x37, 0);
        submit(m, 0xd2, 0);
        map_page(m, IOVA, PAGE_A);
        add_context(m, RID_TRANSLATED, 0);
        add_entry(m, 0, 1, DOMAIN, PAGE_TABLES);
        add_context(m, RID_IDENTITY, 1);
        add_entry(m, 1, 4, 1, 0);
        assert_int_equal(binding_of(m, RID_TRANSLATED), VTD_FRONTEND_BINDING_PASSTHROUGH);
        command(m, VTD_GCMD_TE, 0);
        assert_int_equal(read32(m, VTD_REG_GSTS), VTD_GCMD_TE | VTD_GCMD_SRTP | VTD_GCMD_QIE);
        assert_int_equal(read32(m, VTD_REG_FSTS), 0);
}

static void test_linux_brings_the_unit_up(void **state)
{
        struct machine *m = *state;

        put(m, PAGE_A, 0xaaaa);
        put(m, PAGE_B, 0xbbbb);
        boot(m);
        assert_int_equal(binding_of(m, RID_TRANSLATED), VTD_FRONTEND_BINDING_FIRST_STAGE);
        assert_int_equal(binding_of(m, RID_IDENTITY), VTD_FRONTEND_BINDING_PASSTHROUGH);
        assert_int_equal(dma_read(m, 0, IOVA), 0xaaaa);
        assert_int_equal(dma_read(m, 1, PAGE_A), 0xaaaa);
        assert_int_equal(m->messages, 0);
}

static void test_linux_unmaps_strictly_and_lazily(void **state)
{
        struct machine *m = *state;

        put(m, PAGE_A, 0xaaaa);
        put(m, PAGE_B, 0xbbbb);
        boot(m);
        assert_int_equal(dma_read(m, 0, IOVA), 0xaaaa);
        map_page(m, IOVA, 0);
        assert_int_equal(dma_read(m, 0, IOVA), 0xaaaa); /* cached: the test can see staleness */
        submit(m, 0x36 | DOMAIN << 16, IOVA | 0x40);
        assert_int_equal(dma_read(m, 0, IOVA), 0);
        map_page(m, IOVA, PAGE_B); /* nothing is invalidated for a new mapping */
        assert_int_equal(dma_read(m, 0, IOVA), 0xbbbb);
        map_page(m, IOVA, 0);
        submit(m, 0x26 | DOMAIN << 16, 0);
        assert_int_equal(dma_read(m, 0, IOVA), 0);
        map_page(m, IOVA, PAGE_A);
        assert_int_equal(dma_read(m, 0, IOVA), 0xaaaa);
        map_page(m, IOVA, 0);
        submit(m, 0x36 | DOMAIN << 16, 51); /* everything, as Linux says it */
        assert_int_equal(dma_read(m, 0, IOVA), 0);
}

static void test_linux_changes_the_domain_of_a_device_and_detaches_it(void **state)
{
        struct machine *m = *state;

        put(m, PAGE_A, 0xaaaa);
        boot(m);
        remove_entry(m, 0, DOMAIN);
        assert_int_equal(binding_of(m, RID_TRANSLATED), VTD_FRONTEND_BINDING_BLOCKED);
        assert_int_equal(dma_read(m, 0, IOVA), 0);
        add_entry(m, 0, 4, 1, 0);
        assert_int_equal(dma_read(m, 0, PAGE_A), 0xaaaa);
        remove_entry(m, 0, 1);
        add_entry(m, 0, 1, DOMAIN, PAGE_TABLES);
        assert_int_equal(dma_read(m, 0, IOVA), 0xaaaa);
        remove_entry(m, 0, DOMAIN);
        put(m, CONTEXT_TABLE + RID_TRANSLATED * 32, DIRECTORY | 2 << 9);
        submit(m, 0x31 | (uint64_t)RID_TRANSLATED << 32, 0);
        assert_int_equal(dma_read(m, 0, IOVA), 0);
        assert_int_equal(m->messages, 0);
        assert_int_equal(read32(m, VTD_REG_FSTS), 0);
}

/* kexec and reboot: the next kernel finds the unit on, turns it off, and starts over. */
static void test_the_next_kernel_starts_over(void **state)
{
        struct machine *m = *state;

        put(m, PAGE_A, 0xaaaa);
        boot(m);
        assert_int_equal(read32(m, VTD_REG_IQH), read32(m, VTD_REG_IQT));
        write_register(m, VTD_REG_GCMD, 4, m->gcmd & ~VTD_GCMD_QIE);
        assert_false(read32(m, VTD_REG_GSTS) & VTD_GCMD_QIE);
        assert_int_equal(read32(m, VTD_REG_IQH), 0);
        m->gcmd &= ~VTD_GCMD_QIE;
        m->index = 0;
        enable_queue(m);
        write_register(m, VTD_REG_GCMD, 4, m->gcmd & ~VTD_GCMD_TE);
        assert_false(read32(m, VTD_REG_GSTS) & VTD_GCMD_TE);
        assert_int_equal(binding_of(m, RID_TRANSLATED), VTD_FRONTEND_BINDING_PASSTHROUGH);
        vtd_frontend_reset(m->unit);
        assert_int_equal(vtd_frontend_run(m->unit, 64), VTD_FRONTEND_IDLE);
        memset(m->ram, 0, PAGE_A);
        m->gcmd = 0;
        m->index = 0;
        boot(m);
        assert_int_equal(dma_read(m, 0, IOVA), 0xaaaa);
}

static void save(struct machine *m)
{
        assert_int_equal(vtd_frontend_save(m->unit, m->state, sizeof(m->state), &m->state_size), 0);
}

static void restore(struct machine *m)
{
        assert_int_equal(vtd_frontend_restore(m->unit, m->state, m->state_size), 0);
}

/*
 * The guest goes on in another machine, with another host, worker and unit; @late: its devices are
 * plugged when the unit has been restored.
 */
static void move(struct machine *m, bool late)
{
        uint8_t *ram = malloc(RAM_SIZE);

        assert_non_null(ram);
        save(m);
        memcpy(ram, m->ram, RAM_SIZE);
        power_off(m);
        power_on(m);
        memcpy(m->ram, ram, RAM_SIZE);
        free(ram);
        if (!late)
                plug_and_map(m);
        restore(m);
        if (late) {
                assert_int_equal(vtd_frontend_run(m->unit, 64), VTD_FRONTEND_IDLE);
                plug_and_map(m);
        }
        assert_int_equal(vtd_frontend_run(m->unit, 64), VTD_FRONTEND_IDLE);
}

static void test_a_guest_that_is_moved_keeps_its_dma(void **state)
{
        struct machine *m = *state;

        put(m, PAGE_A, 0xaaaa);
        put(m, PAGE_B, 0xbbbb);
        boot(m);
        assert_int_equal(dma_read(m, 0, IOVA), 0xaaaa);
        for (unsigned i = 0; i < 2; i++) {
                move(m, i == 1);
                assert_int_equal(dma_read(m, 0, IOVA), 0xaaaa);
                assert_int_equal(dma_read(m, 0, PAGE_A), 0); /* by its own table only */
                assert_int_equal(dma_read(m, 1, PAGE_B), 0xbbbb);
                assert_int_equal(read32(m, VTD_REG_GSTS),
                                 VTD_GCMD_TE | VTD_GCMD_SRTP | VTD_GCMD_QIE);
                assert_int_equal(read32(m, VTD_REG_FSTS), 0);
                /* What it does then has its effect. */
                map_page(m, IOVA, 0);
                submit(m, 0x36 | DOMAIN << 16, IOVA | 0x40);
                assert_int_equal(dma_read(m, 0, IOVA), 0);
                map_page(m, IOVA, PAGE_A);
        }
        assert_int_equal(m->messages, 0);
}

/* The doorbell is rung, and an invalidation taken from the queue but not sent. */
static void begin_invalidation(struct machine *m, uint64_t *status)
{
        put_descriptor(m, 0x36 | DOMAIN << 16, IOVA | 0x40);
        *status = STATUS + m->index * 4;
        put(m, *status, IN_USE);
        put_descriptor(m, (uint64_t)DONE << 32 | 0x25, *status);
        vtd_frontend_write(m->unit, VTD_REG_IQT, 4, m->index * 32);
        assert_int_equal(vtd_frontend_run(m->unit, 1), VTD_FRONTEND_PENDING);
        assert_int_equal(read32(m, VTD_REG_IQH), (m->index - 1) * 32);
        assert_int_equal(word(m, *status), IN_USE);
}

static void test_an_invalidation_under_way_is_completed_elsewhere(void **state)
{
        struct machine *m = *state;
        uint64_t status;

        put(m, PAGE_A, 0xaaaa);
        put(m, PAGE_B, 0xbbbb);
        boot(m);
        assert_int_equal(dma_read(m, 0, IOVA), 0xaaaa);
        map_page(m, IOVA, PAGE_B);
        begin_invalidation(m, &status);
        move(m, false);
        assert_int_equal(word(m, status), DONE);
        assert_int_equal(dma_read(m, 0, IOVA), 0xbbbb);
}

/* In the same unit, where the host has cached what is no longer true. */
static void test_an_invalidation_under_way_is_completed_in_place(void **state)
{
        struct machine *m = *state;
        uint64_t status;

        put(m, PAGE_A, 0xaaaa);
        put(m, PAGE_B, 0xbbbb);
        boot(m);
        assert_int_equal(dma_read(m, 0, IOVA), 0xaaaa);
        map_page(m, IOVA, PAGE_B);
        begin_invalidation(m, &status);
        save(m);
        restore(m);
        assert_int_equal(dma_read(m, 0, IOVA), 0xaaaa); /* cached: the test can see staleness */
        assert_int_equal(vtd_frontend_run(m->unit, 64), VTD_FRONTEND_IDLE);
        assert_int_equal(word(m, status), DONE);
        assert_int_equal(dma_read(m, 0, IOVA), 0xbbbb);
}

/* Memory goes back, too, and the guest knows of nothing that it should invalidate. */
static void test_a_guest_goes_back_to_a_snapshot(void **state)
{
        struct machine *m = *state;
        uint8_t *ram = malloc(RAM_SIZE);
        uint32_t index;

        assert_non_null(ram);
        put(m, PAGE_A, 0xaaaa);
        put(m, PAGE_B, 0xbbbb);
        boot(m);
        save(m);
        index = m->index;
        memcpy(ram, m->ram, RAM_SIZE);
        map_page(m, IOVA, PAGE_B);
        submit(m, 0x36 | DOMAIN << 16, IOVA | 0x40);
        remove_entry(m, 1, 1);
        assert_int_equal(dma_read(m, 0, IOVA), 0xbbbb);
        assert_int_equal(dma_read(m, 1, PAGE_A), 0);
        memcpy(m->ram, ram, RAM_SIZE);
        free(ram);
        m->index = index;
        restore(m);
        assert_int_equal(vtd_frontend_run(m->unit, 64), VTD_FRONTEND_IDLE);
        assert_int_equal(dma_read(m, 0, IOVA), 0xaaaa);
        assert_int_equal(dma_read(m, 1, PAGE_A), 0xaaaa);
        submit(m, 0x26 | DOMAIN << 16, 0);
        assert_int_equal(dma_read(m, 0, IOVA), 0xaaaa);
}

/* None of it costs the VM its devices. */
static void test_a_vmm_s_mistakes_are_refused_and_no_more(void **state)
{
        struct machine *m = *state;
        uint64_t mapping = 0x77, value = 0x88;
        int closed = dup(m->file);

        assert_int_equal(vtd_close(closed), -1);
        assert_int_equal(vtd_frontend_map(m->unit, 0, RAM_SIZE, -1, 0, &mapping), -EBADF);
        assert_int_equal(vtd_frontend_map(m->unit, 0, RAM_SIZE, closed, 0, &mapping), -EBADF);
        assert_int_equal(vtd_frontend_map(m->unit, 0, 0, m->file, 0, &mapping),
                         VTD_FRONTEND_REFUSED);
        assert_int_equal(vtd_frontend_map(m->unit, 1, 4096, m->file, 0, &mapping),
                         VTD_FRONTEND_REFUSED);
        assert_int_equal(vtd_frontend_map(m->unit, UINT64_MAX - 4095, 4096, m->file, 0, &mapping),
                         VTD_FRONTEND_REFUSED);
        assert_int_equal(mapping, 0x77);
        assert_int_equal(vtd_frontend_unmap(m->unit, 0), VTD_FRONTEND_REFUSED);
        assert_int_equal(vtd_frontend_unmap(m->unit, UINT64_MAX), VTD_FRONTEND_REFUSED);
        assert_int_equal(vtd_frontend_region_read(m->unit, RID_TRANSLATED, 6, 0, 4, &value),
                         VTD_FRONTEND_REFUSED);
        assert_int_equal(
                vtd_frontend_region_read(m->unit, RID_TRANSLATED, UINT32_MAX, 0, 4, &value),
                VTD_FRONTEND_REFUSED);
        assert_int_equal(vtd_frontend_region_read(m->unit, RID_TRANSLATED, 0, 2, 4, &value),
                         VTD_FRONTEND_REFUSED);
        assert_int_equal(
                vtd_frontend_region_read(m->unit, RID_TRANSLATED, 0, UINT64_MAX - 3, 4, &value),
                VTD_FRONTEND_REFUSED);
        assert_int_equal(vtd_frontend_region_read(m->unit, RID_TRANSLATED, 0, 0, 3, &value),
                         -EINVAL);
        assert_int_equal(vtd_frontend_region_read(m->unit, 1, 0, 0, 4, &value), -ENODEV);
        assert_int_equal(value, 0x88);
        assert_int_equal(vtd_frontend_plug(m->unit, "dev0", 1), VTD_FRONTEND_REFUSED);
        assert_int_equal(vtd_frontend_plug(m->unit, "nic7", 1), VTD_FRONTEND_REFUSED);
        boot(m);
        assert_int_equal(binding_of(m, RID_TRANSLATED), VTD_FRONTEND_BINDING_FIRST_STAGE);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_linux_brings_the_unit_up),
                TEST(test_linux_unmaps_strictly_and_lazily),
                TEST(test_linux_changes_the_domain_of_a_device_and_detaches_it),
                TEST(test_the_next_kernel_starts_over),
                TEST(test_a_guest_that_is_moved_keeps_its_dma),
                TEST(test_an_invalidation_under_way_is_completed_elsewhere),
                TEST(test_an_invalidation_under_way_is_completed_in_place),
                TEST(test_a_guest_goes_back_to_a_snapshot),
                TEST(test_a_vmm_s_mistakes_are_refused_and_no_more),
        };

        return cmocka_run_group_tests_name("frontend-worker", tests, NULL, NULL);
}
