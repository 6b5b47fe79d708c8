/* SPDX-License-Identifier: MIT */
/*
 * A guest that means harm: random accesses, of which many are almost what a driver would do.  Afterwards
 * QEMU must answer, and the broker must not have ended the connection.  Everything follows from the seed.
 */
#include "tests/emulator/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shared/checked.h"
#include "tests/emulator/tables.h"
#include "tests/model/random.h"

#define ROUND 2000u /* actions between two looks at QEMU */

/* What is kept of a guest that has everything set up: tables and queue, then page tables. */
#define STRUCTURES       UINT64_C(0x100000)
#define STRUCTURES_SIZE  0x32000u
#define PAGE_TABLES      UINT64_C(0x200000)
#define PAGE_TABLES_SIZE 0x8000u
#define QUEUE            UINT64_C(0x120000)
#define QUEUE_SIZE       0x2000u

struct hostile {
        struct vmm *vmm;
        struct random random;
        uint8_t structures[STRUCTURES_SIZE];
        uint8_t page_tables[PAGE_TABLES_SIZE];
        uint64_t counts[16]; /* of each kind of action */
};

static const uint16_t functions[] = {RID_BROKER, RID_BROKER, RID_EDU, RID_NVME, RID_DISK};

/* Where something is, or where something must not be. */
static const uint64_t places[] = {
        0x0,        0x100000,   QUEUE,      PAGE_DATA,  IOVA_DATA,  IOVA_SINK,   IOVA_MESSAGE,
        BAR_BROKER, BAR_EDU,    BAR_NVME,   ECAM,       REGISTERS,  0xfee00000,  0xfeeff000,
        0xfec00000, 0xfffff000, 0xfff00000, 0x3ffff000, 0x04000000, 0xf00000000, 0xfffffffffffff000,
};

static uint64_t below(struct hostile *hostile, unsigned limit)
{
        return random_below(&hostile->random, limit);
}

static uint64_t any(struct hostile *hostile)
{
        return random_next(&hostile->random);
}

static uint64_t place(struct hostile *hostile)
{
        uint64_t at = places[below(hostile, VTD_ARRAY_SIZE(places))];

        return below(hostile, 2) ? at : at + below(hostile, 0x2000);
}

static unsigned width(struct hostile *hostile, unsigned limit)
{
        unsigned chosen = 1u << below(hostile, 4);

        return chosen > limit ? limit : chosen;
}

static uint16_t function(struct hostile *hostile)
{
        return functions[below(hostile, VTD_ARRAY_SIZE(functions))];
}

/* Few bits, many bits, or a place. */
static uint64_t value(struct hostile *hostile)
{
        switch (below(hostile, 4)) {
        case 0:
                return UINT64_C(1) << below(hostile, 64);
        case 1:
                return any(hostile);
        case 2:
                return below(hostile, 16);
        default:
                return place(hostile);
        }
}

static void write_config(struct hostile *hostile)
{
        unsigned size = width(hostile, 4);
        unsigned offset = (unsigned)below(hostile, below(hostile, 2) ? 0x80 : 0x100) & ~(size - 1);

        machine_config_write(hostile->vmm, function(hostile), offset, size,
                             (uint32_t)value(hostile));
}

/* Anywhere in ECAM, with any alignment. */
static void write_ecam(struct hostile *hostile)
{
        uint64_t address = ECAM + ((uint64_t)function(hostile) << 12) + below(hostile, 0x1000);

        machine_write(hostile->vmm, address, width(hostile, 8), value(hostile));
}

static void move_bar(struct hostile *hostile)
{
        uint16_t rid = function(hostile);
        unsigned bar = below(hostile, 4) == 0 ? (unsigned)below(hostile, 6) : 0;

        machine_config_write(hostile->vmm, rid, PCI_BAR0 + 4 * bar, 4, (uint32_t)place(hostile));
        if (below(hostile, 8) == 0)
                machine_config_write(hostile->vmm, RID_EDU, PCI_ROM, 4,
                                     (uint32_t)place(hostile) | 1);
        machine_config_write(hostile->vmm, rid, PCI_COMMAND, 2,
                             PCI_COMMAND_MEMORY | (below(hostile, 2) ? PCI_COMMAND_MASTER : 0));
}

static void toggle_messages(struct hostile *hostile)
{
        static const unsigned kinds[] = {0x05, 0x11};
        uint16_t rid = function(hostile);
        unsigned at = machine_capability(hostile->vmm, rid, kinds[below(hostile, 2)]);

        if (at == 0)
                return;
        machine_config_write(hostile->vmm, rid, at + 4, 4, (uint32_t)place(hostile));
        machine_config_write(hostile->vmm, rid, at + 2, 2, (uint32_t)value(hostile));
}

/* The table of QEMU's NVMe controller, in its BAR. */
static void write_vectors(struct hostile *hostile)
{
        machine_write(hostile->vmm, BAR_NVME + 0x2000 + below(hostile, 0x1000), width(hostile, 8),
                      value(hostile));
}

static void access_bar(struct hostile *hostile)
{
        uint64_t address =
                BAR_BROKER + (below(hostile, 4) ? below(hostile, 0x100) : below(hostile, 0x100000));

        if (below(hostile, 3) == 0)
                (void)machine_read(hostile->vmm, address, width(hostile, 8));
        else
                machine_write(hostile->vmm, address, width(hostile, 8), value(hostile));
}

/* A transfer of either edu, inside of its buffer: QEMU's ends QEMU otherwise. */
static void start_dma(struct hostile *hostile)
{
        uint64_t bar = below(hostile, 2) ? BAR_BROKER : BAR_EDU;
        uint64_t inside = 0x40000 + below(hostile, 0x800), outside = place(hostile);
        bool to_memory = below(hostile, 2);

        machine_write(hostile->vmm, bar + 0x90, 8, 1 + below(hostile, 0x7ff));
        machine_write(hostile->vmm, bar + 0x80, 8, to_memory ? inside : outside);
        machine_write(hostile->vmm, bar + 0x88, 8, to_memory ? outside : inside);
        machine_write(hostile->vmm, bar + 0x98, 8, to_memory ? 7 : 5);
        (void)qtest_send(machine_qtest(hostile->vmm), "clock_step 200000000");
}

static void write_register(struct hostile *hostile)
{
        static const unsigned registers[] = {0x18, 0x18, 0x20, 0x34, 0x38,  0x3c, 0x40,
                                             0x44, 0x80, 0x88, 0x88, 0x90,  0x9c, 0xa0,
                                             0xa4, 0xa8, 0xac, 0xb8, 0x220, 0x22c};
        unsigned offset = below(hostile, 4) ? registers[below(hostile, VTD_ARRAY_SIZE(registers))]
                                            : (unsigned)below(hostile, 0x1000);
        uint64_t word = value(hostile);

        if (offset == 0x88 && below(hostile, 2))
                word = below(hostile, QUEUE_SIZE / 32) * 32;
        machine_write(hostile->vmm, REGISTERS + offset,
                      below(hostile, 8) ? (below(hostile, 2) ? 4 : 8) : width(hostile, 8), word);
}

/* Everything as a driver has it. */
static void restore(struct hostile *hostile)
{
        static const struct {
                unsigned offset;
                unsigned size;
                uint64_t value;
        } writes[] = {
                {0x18, 4, 0},
                {0x34, 4, 0x7f},
                {0x88, 8, 0},
                {0x90, 8, QUEUE | 0x801},
                {0x20, 8, STRUCTURES | 0x400},
                {0xb8, 8, 0x130007},
                {0x18, 4, 0x04000000},
                {0x18, 4, 0x44000000},
                {0x18, 4, 0x05000000},
                {0x18, 4, 0x86000000},
        };
        uint8_t *memory = vmm_memory(hostile->vmm);

        memcpy(memory + STRUCTURES, hostile->structures, STRUCTURES_SIZE);
        memcpy(memory + PAGE_TABLES, hostile->page_tables, PAGE_TABLES_SIZE);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(writes); i++)
                machine_write(hostile->vmm, REGISTERS + writes[i].offset, writes[i].size,
                              writes[i].value);
}

/* One bit, or one word, of what the unit reads. */
static void damage(struct hostile *hostile)
{
        uint64_t at = below(hostile, 2) ? STRUCTURES + below(hostile, STRUCTURES_SIZE / 8) * 8
                                        : PAGE_TABLES + below(hostile, PAGE_TABLES_SIZE / 8) * 8;
        uint64_t word;

        memcpy(&word, vmm_memory(hostile->vmm) + at, sizeof(word));
        word = below(hostile, 2) ? word ^ UINT64_C(1) << below(hostile, 64) : value(hostile);
        memcpy(vmm_memory(hostile->vmm) + at, &word, sizeof(word));
}

/* Descriptors of every type, with fields that mean something, and the tail behind them. */
static void queue(struct hostile *hostile)
{
        static const uint64_t types[] = {0x11, 0x31, 0x12, 0x22, 0x32, 0x26, 0x36, 0x07, 0x17,
                                         0x37, 0x04, 0x14, 0x25, 0x35, 0x45, 0x08, 0x0a, 0x1ff};
        unsigned first = (unsigned)below(hostile, QUEUE_SIZE / 32), count;

        count = 1 + (unsigned)below(hostile, below(hostile, 16) ? 8 : QUEUE_SIZE / 32 - 1);
        for (unsigned i = 0; i < count; i++) {
                uint64_t words[4] = {types[below(hostile, VTD_ARRAY_SIZE(types))]};

                words[0] |= (below(hostile, 2) ? DOMAIN : below(hostile, 0x10000)) << 16;
                words[0] |= below(hostile, 8) ? 0 : any(hostile) << 32;
                words[1] = (place(hostile) & ~UINT64_C(0xfff)) | below(hostile, 0x40);
                memcpy(vmm_memory(hostile->vmm) + QUEUE + (first + i) % (QUEUE_SIZE / 32) * 32,
                       words, sizeof(words));
        }
        machine_write(hostile->vmm, REGISTERS + 0x88, 4, (first + count) % (QUEUE_SIZE / 32) * 32);
}

/* What firmware may do to RAM below 1 MiB, which the broker is told of. */
static void cut_memory(struct hostile *hostile)
{
        machine_config_write(hostile->vmm, 0, 0x90 + (unsigned)below(hostile, 7), 1,
                             (uint32_t)any(hostile) & 0x33);
}

static void reset_function(struct hostile *hostile)
{
        machine_config_write(hostile->vmm, RID_BROKER, 0x68, 2, 0x8000);
        if (below(hostile, 2))
                machine_set_up(hostile->vmm);
}

static void reset_machine(struct hostile *hostile)
{
        if (below(hostile, 50) != 0)
                return;
        machine_reset(hostile->vmm);
        machine_set_up(hostile->vmm);
        restore(hostile);
}

static void set_up_anew(struct hostile *hostile)
{
        machine_set_up(hostile->vmm);
}

static const struct {
        const char *name;
        void (*act)(struct hostile *hostile);
        unsigned weight; /* of 100 */
} actions[] = {
        {"writes to configuration space", write_config, 14},
        {"the same by ECAM", write_ecam, 8},
        {"BARs moved", move_bar, 5},
        {"MSI and MSI-X toggled", toggle_messages, 6},
        {"MSI-X tables written", write_vectors, 6},
        {"BAR accesses", access_bar, 12},
        {"DMA", start_dma, 9},
        {"registers of the unit written", write_register, 16},
        {"tables damaged", damage, 6},
        {"descriptors queued", queue, 8},
        {"tables restored", restore, 3},
        {"functions reset", reset_function, 1},
        {"resets of the machine considered", reset_machine, 1},
        {"RAM cut in pieces", cut_memory, 3},
        {"everything set up", set_up_anew, 2},
};

static size_t choose(struct hostile *hostile)
{
        uint64_t left = below(hostile, 100);
        size_t i = 0;

        while (i + 1 < VTD_ARRAY_SIZE(actions) && left >= actions[i].weight)
                left -= actions[i++].weight;
        return i;
}

static bool survives(struct test *test, struct hostile *hostile)
{
        for (uint64_t i = 0; i < test->actions; i++) {
                size_t chosen = choose(hostile);

                actions[chosen].act(hostile);
                hostile->counts[chosen]++;
                if (i % ROUND != 0)
                        continue;
                if (!machine_lives(hostile->vmm))
                        return false;
                broker_run_read_audit(&test->run, 0);
        }
        return machine_lives(hostile->vmm);
}

static void set_up(struct hostile *hostile, struct vmm *vmm, uint64_t seed)
{
        struct tables tables;

        *hostile = (struct hostile){.vmm = vmm, .random = random_seed(seed)};
        tables_init(&tables, vmm);
        tables_remap_interrupts(&tables);
        for (unsigned i = 0; i < 8; i++)
                tables_set_interrupt(&tables, i, 0x80 + i, i % 2 ? RID_EDU : RID_BROKER);
        memcpy(hostile->structures, vmm_memory(vmm) + STRUCTURES, STRUCTURES_SIZE);
        memcpy(hostile->page_tables, vmm_memory(vmm) + PAGE_TABLES, PAGE_TABLES_SIZE);
        machine_set_master(vmm, RID_BROKER, true);
        machine_set_master(vmm, RID_EDU, true);
}

/* The actions are not all refused at the door. */
static void check_reach(struct test *test, struct vmm *vmm)
{
        static const char *const counters[] = {"descriptors", "requests", "attaches", "invalidates",
                                               "faults"};
        bool good = true;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(counters); i++) {
                uint64_t count = machine_counter(vmm, counters[i]);

                (void)printf("# %s: %" PRIu64 "\n", counters[i], count);
                good = good && count > test->actions / 500;
        }
        is(test, good, "and has had the unit and the broker work");
}

/* As if nothing had been. */
static void check_after(struct test *test, struct vmm *vmm)
{
        char messages[4096];
        struct tables tables;
        uint64_t requests = machine_counter(vmm, "requests");

        machine_reset(vmm);
        machine_set_up(vmm);
        machine_set_master(vmm, RID_BROKER, true);
        equals(test, machine_read(vmm, BAR_BROKER, 4), 0x010000ed, "the broker still answers");
        is(test, machine_counter(vmm, "requests") > requests, "over the same connection");
        tables_init(&tables, vmm);
        guest_fill(&tables.guest, PAGE_SINK, 'Z', GUEST_PAGE);
        (void)guest_dma_write(&tables.guest, RID_BROKER, IOVA_SINK, 64);
        is(test, guest_uniform(&tables.guest, PAGE_SINK, 64) != 'Z' && !tables.guest.failed,
           "and a guest that starts anew finds everything working");
        qtest_messages(machine_qtest(vmm), messages, sizeof(messages));
        is(test, !strstr(messages, "the broker is lost"), "the broker was never lost");
}

void test_hostile(struct test *test)
{
        static struct hostile hostile;
        struct vmm *vmm = machine_new(&test->run, &(struct machine_options){.disk = true});

        set_up(&hostile, vmm, test->seed);
        (void)printf("# %" PRIu64 " actions from seed %" PRIu64 "\n", test->actions, test->seed);
        is(test, survives(test, &hostile), "QEMU survives a hostile guest");
        for (size_t i = 0; i < VTD_ARRAY_SIZE(actions); i++)
                (void)printf("# %s: %" PRIu64 "\n", actions[i].name, hostile.counts[i]);
        check_reach(test, vmm);
        check_after(test, vmm);
        vmm = machine_free(vmm);
}
