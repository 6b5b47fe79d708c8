/* SPDX-License-Identifier: MIT */
/*
 * What devices see while a guest does anything: the unit, the worker's core and the simulated host
 * with its caches, in one process, and DMA between any two steps of theirs.  Must hold:
 *   - a transfer is blocked or reaches a page that some translation calls for which is no older
 *     than the last completed invalidation that covers it;
 *   - it never reaches a byte of the file behind guest memory that is not mapped for devices;
 *   - after everything was invalidated it reaches exactly what the tables in memory say;
 *   - all of it also when the unit's state is saved and restored at any time, in place or into
 *     another unit with another worker and host.
 * What the tables say is kept by the guest below as it writes them, step by step, and the check
 * looks at every combination of what they said since: slow, and with nothing of the unit's own.
 *
 * The seed is fixed; DMA_SEED and DMA_STEPS replace it and the number of steps.
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
#include "tests/unit/worker-backend.h"
#include "vtd/state.h"

#define STEPS 200000ul

/* Guest memory: two pieces of a file, with pieces before, between and after that are not mapped. */
#define MIB          UINT64_C(0x100000)
#define FILE_SIZE    (12 * MIB)
#define FIRST_SIZE   (4 * MIB) /* at guest-physical 0 */
#define SECOND_SIZE  (2 * MIB) /* behind it */
#define FIRST_PLACE  (2 * MIB) /* in the file */
#define SECOND_PLACE (8 * MIB)
#define RAM_SIZE     (FIRST_SIZE + SECOND_SIZE)
#define CANARY       0xee

/* Guest-physical addresses. */
#define ROOT_TABLE    UINT64_C(0x10000)
#define CONTEXT_TABLE UINT64_C(0x11000)
#define QUEUE         UINT64_C(0x20000)
#define QUEUE_SIZE    8192u
#define STATUS        UINT64_C(0x30000)
#define UPPER_TABLES  UINT64_C(0x40000) /* of each root: the root, then two for each region */
#define PAGE_TABLES   UINT64_C(0x80000)
#define DIRECTORIES   UINT64_C(0x100000)
#define PASID_TABLES  UINT64_C(0x110000)
#define DATA          (2 * MIB) /* two large pages, whose first pages hold data */

#define DEVICES 3u
#define ROOTS   3u
#define REGIONS 3u /* 2 MiB of I/O addresses each */
#define PAGES   4u /* that are used of a region */
#define TABLES  3u /* lowest page tables, shared by all */
#define LARGE   2u
#define DOMAINS 4u /* domain ids 1 to 3; 0 is no domain */
#define EPOCH   96u

/* Outcomes of a transfer, as bits: data page n of large page l is l * PAGES + n; or blocked. */
#define DATA_PAGES (LARGE * PAGES)
#define NOWHERE    UINT32_MAX
#define TAG(page)  (UINT64_C(0xda7a000000000000) + (page))

/* The first is where pass-through finds data, the last is in the upper half. */
static const uint64_t regions[REGIONS] = {DATA, UINT64_C(0x7f8000600000),
                                          UINT64_C(0xffff800000400000)};

enum kind {
        KIND_BLOCKED, /* not present, or nothing that the unit accepts */
        KIND_PASSTHROUGH,
        KIND_FIRST_STAGE,
};

struct entry {
        enum kind kind;
        unsigned domain;
        unsigned root;
};

/* What the guest's tables and registers say: the latest row of a history. */
struct view {
        struct entry entries[DEVICES];        /* below the context entries */
        bool contexts[DEVICES];               /* that those count */
        unsigned directories[ROOTS][REGIONS]; /* 0: absent; 1 + table; 1 + TABLES + large page */
        unsigned leaves[TABLES][PAGES];       /* 0: absent; 1 + data page; more: outside */
};

enum invalidation {
        PASID_CACHE, /* domain 0: all */
        IOTLB,       /* domain 0: all */
        PAGE,
};

struct descriptor {
        enum invalidation what;
        unsigned domain;
        uint64_t address;
        unsigned order;
        bool leaf;
        size_t since;    /* row that held when the doorbell rang */
        uint32_t status; /* that a wait descriptor behind it writes; 0: none yet */
};

struct world {
        uint64_t random;
        int file;
        uint8_t *bytes; /* of the file */
        struct vtd_frontend *unit;
        struct worker_backend *worker;
        uint64_t second_mapping; /* 0: unmapped */
        bool plugged[DEVICES];

        /* The guest. */
        bool enabled;
        bool context[DEVICES];
        struct entry tables[DEVICES]; /* below the context entry */
        uint32_t tail, status;
        uint32_t wanted; /* GSTS that a command asked for; commanded: it has not come yet */
        bool commanded, drops;
        size_t commanded_at;
        struct descriptor queue[256];
        size_t queued;
        bool junk; /* the queue may hold what is no descriptor */

        /* The reference: since when each thing is fresh, as rows of the history. */
        struct view history[EPOCH];
        size_t now;
        size_t entry_since[DEVICES];
        bool entry_gone[DEVICES][EPOCH];
        size_t directory_since[DOMAINS][REGIONS];
        size_t leaf_since[DOMAINS][REGIONS][PAGES];
        size_t walk_since[DOMAINS][REGIONS][PAGES]; /* directory_since, when the leaf was dropped */

        /* The test must reach what it is to test. */
        unsigned long transfers, stale, arrived, syncs, restores;
};

static uint64_t random64(struct world *w)
{
        w->random ^= w->random << 13;
        w->random ^= w->random >> 7;
        w->random ^= w->random << 17;
        return w->random;
}

static unsigned pick(struct world *w, unsigned n)
{
        return (unsigned)(random64(w) >> 33) % n;
}

static uint8_t *ram(struct world *w, uint64_t gpa)
{
        return w->bytes + (gpa < FIRST_SIZE ? FIRST_PLACE + gpa : SECOND_PLACE + gpa - FIRST_SIZE);
}

static int access_memory(struct world *w, uint64_t gpa, void *data, size_t size, bool write)
{
        if (!vtd_range_within(gpa, size, RAM_SIZE) || (gpa < FIRST_SIZE && gpa + size > FIRST_SIZE))
                return -EFAULT;
        if (write)
                memcpy(ram(w, gpa), data, size);
        else
                memcpy(data, ram(w, gpa), size);
        return 0;
}

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        return access_memory(opaque, gpa, data, size, false);
}

static int write_memory(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        uint8_t copy[8];

        assert_true(size <= sizeof(copy));
        memcpy(copy, data, size);
        return access_memory(opaque, gpa, copy, size, true);
}

static void send_message(void *opaque, uint64_t address, uint32_t data)
{
        (void)opaque;
        (void)address;
        (void)data;
}

static void put(struct world *w, uint64_t gpa, uint64_t value)
{
        memcpy(ram(w, gpa), &value, sizeof(value));
}

static uint64_t data_page(unsigned page)
{
        return DATA + page / PAGES * 2 * MIB + page % PAGES * VTD_PAGE_SIZE;
}

/*
 * The reference.
 */

/* The guest has changed something: a new row, which everything from now on is judged by too. */
static void note(struct world *w)
{
        struct view *view;

        w->now++;
        assert_true(w->now < EPOCH);
        view = &w->history[w->now];
        *view = w->history[w->now - 1];
        for (unsigned d = 0; d < DEVICES; d++) {
                w->entry_gone[d][w->now] = false;
                view->entries[d] = (struct entry){.kind = KIND_PASSTHROUGH};
                if (w->enabled)
                        view->entries[d] = w->tables[d];
                view->contexts[d] = w->context[d] || !w->enabled;
                if (!w->plugged[d])
                        view->contexts[d] = false;
        }
}

static void forget_translations(struct world *w, unsigned domain, size_t since)
{
        for (unsigned did = 0; did < DOMAINS; did++) {
                if (domain != 0 && did != domain)
                        continue;
                for (unsigned region = 0; region < REGIONS; region++) {
                        w->directory_since[did][region] = since;
                        for (unsigned page = 0; page < PAGES; page++) {
                                w->leaf_since[did][region][page] = since;
                                w->walk_since[did][region][page] = since;
                        }
                }
        }
}

static void forget_everything(struct world *w, size_t since)
{
        for (unsigned d = 0; d < DEVICES; d++)
                w->entry_since[d] = since;
        forget_translations(w, 0, since);
}

static void forget_pages(struct world *w, const struct descriptor *what)
{
        uint64_t size = UINT64_C(1) << what->order; /* pages */
        uint64_t first = what->address >> VTD_PAGE_SHIFT & ~(size - 1), last = first + size - 1;

        for (unsigned region = 0; region < REGIONS; region++) {
                uint64_t start = regions[region] >> VTD_PAGE_SHIFT;

                if (!what->leaf && first <= start + 511 && start <= last)
                        w->directory_since[what->domain][region] = what->since;
                for (unsigned page = 0; page < PAGES; page++) {
                        if (start + page < first || last < start + page)
                                continue;
                        w->leaf_since[what->domain][region][page] = what->since;
                        w->walk_since[what->domain][region][page] =
                                w->directory_since[what->domain][region];
                }
        }
}

static void forget_entries(struct world *w, const struct descriptor *what)
{
        for (unsigned d = 0; d < DEVICES; d++) {
                if (what->domain == 0 && w->entry_since[d] < what->since)
                        w->entry_since[d] = what->since;
                for (size_t t = 0; t < what->since; t++)
                        if (w->history[t].entries[d].domain == what->domain)
                                w->entry_gone[d][t] = true;
        }
}

/* A wait descriptor's status or a command's is there: what was asked for before it has happened. */
static void take_completions(struct world *w)
{
        uint32_t status, gsts = (uint32_t)vtd_frontend_read(w->unit, VTD_REG_GSTS, 4);
        size_t kept = 0;

        memcpy(&status, ram(w, STATUS), sizeof(status));
        for (size_t i = 0; i < w->queued; i++) {
                const struct descriptor *what = &w->queue[i];

                if (what->status == 0 || what->status > status)
                        w->queue[kept++] = *what;
                else if (what->what == PASID_CACHE)
                        forget_entries(w, what);
                else if (what->what == IOTLB)
                        forget_translations(w, what->domain, what->since);
                else
                        forget_pages(w, what);
        }
        w->queued = kept;
        if (w->commanded && gsts == w->wanted) {
                w->commanded = false;
                for (unsigned d = 0; d < DEVICES; d++)
                        w->entry_since[d] = w->commanded_at;
                if (w->drops)
                        forget_translations(w, 0, w->commanded_at);
        }
}

static uint32_t leaves_since(const struct world *w, unsigned table, unsigned page, size_t since)
{
        uint32_t allowed = 0;

        for (size_t t = since; t <= w->now; t++) {
                unsigned leaf = w->history[t].leaves[table][page];

                if (leaf > 0 && leaf <= DATA_PAGES)
                        allowed |= UINT32_C(1) << (leaf - 1);
        }
        return allowed;
}

static uint32_t first_stage_allows(const struct world *w, const struct entry *entry,
                                   unsigned region, unsigned page)
{
        size_t leaf_since = w->leaf_since[entry->domain][region][page];
        uint32_t allowed = 0, done = 0;

        /* What is cached of the page was walked through a directory of then, not of now. */
        for (size_t t = w->walk_since[entry->domain][region][page]; t <= w->now; t++) {
                unsigned directory = w->history[t].directories[entry->root][region];

                if (directory > TABLES && t >= leaf_since) /* a large page is a leaf, too */
                        allowed |= UINT32_C(1) << ((directory - 1 - TABLES) * PAGES + page);
                if (directory == 0 || directory > TABLES || done & UINT32_C(1) << directory)
                        continue;
                done |= UINT32_C(1) << directory;
                allowed |= leaves_since(w, directory - 1, page, leaf_since);
        }
        return allowed;
}

/* The data pages that a transfer of @device may reach; it may be blocked besides. */
static uint32_t allowed_pages(const struct world *w, unsigned device, unsigned region,
                              unsigned page)
{
        uint32_t allowed = 0;
        bool context = false;

        /* A walk may meet a context entry of one time and a PASID-table entry of another. */
        for (size_t t = w->entry_since[device]; t <= w->now; t++)
                context |= w->history[t].contexts[device];
        if (!context)
                return 0;
        for (size_t t = w->entry_since[device]; t <= w->now; t++) {
                const struct entry *entry = &w->history[t].entries[device];

                if (w->entry_gone[device][t])
                        continue;
                if (entry->kind == KIND_PASSTHROUGH && region == 0)
                        allowed |= UINT32_C(1) << page;
                else if (entry->kind == KIND_FIRST_STAGE)
                        allowed |= first_stage_allows(w, entry, region, page);
        }
        if (!w->second_mapping)
                allowed &= (UINT32_C(1) << PAGES) - 1;
        return allowed;
}

static enum kind exact_kind(const struct world *w, unsigned device)
{
        const struct view *view = &w->history[w->now];

        return view->contexts[device] ? view->entries[device].kind : KIND_BLOCKED;
}

/* The page that the tables name at this moment, or NOWHERE. */
static uint32_t exact_page(const struct world *w, unsigned device, unsigned region, unsigned page)
{
        const struct view *view = &w->history[w->now];
        const struct entry *entry = &view->entries[device];
        unsigned directory, leaf;
        uint32_t result = NOWHERE;

        if (exact_kind(w, device) == KIND_PASSTHROUGH && region == 0)
                return page;
        if (exact_kind(w, device) != KIND_FIRST_STAGE)
                return NOWHERE;
        directory = view->directories[entry->root][region];
        if (directory > TABLES) {
                result = (directory - 1 - TABLES) * PAGES + page;
        } else if (directory > 0) {
                leaf = view->leaves[directory - 1][page];
                result = leaf > 0 && leaf <= DATA_PAGES ? leaf - 1 : NOWHERE;
        }
        return result >= PAGES && !w->second_mapping ? NOWHERE : result;
}

/*
 * The devices.
 */

static void arm(struct vtd_sim_device_file *device, uint64_t iova, bool to_memory)
{
        struct vtd_sim_edu *edu = &device->edu;

        memset(edu->buffer, 0xff, 64);
        edu->source = to_memory ? VTD_SIM_EDU_BUFFER_START : iova;
        edu->destination = to_memory ? iova : VTD_SIM_EDU_BUFFER_START;
        edu->count = 64;
        edu->moved = 0;
        edu->command = to_memory ? 3 : 1;
}

/* Which page a transfer from memory came from. */
static uint32_t page_read(struct vtd_sim_device_file *device)
{
        uint64_t word;

        memcpy(&word, device->edu.buffer, sizeof(word));
        for (uint32_t page = 0; page < DATA_PAGES; page++)
                if (word == TAG(page))
                        return page;
        if (word != 0 && word != UINT64_MAX)
                fail_msg("a device read %#llx", (unsigned long long)word);
        return NOWHERE;
}

/* Which page a transfer to memory went to; puts right what it overwrote. */
static uint32_t page_written(struct world *w)
{
        uint32_t found = NOWHERE;
        uint64_t word;

        for (uint32_t page = 0; page < DATA_PAGES; page++) {
                memcpy(&word, ram(w, data_page(page)), sizeof(word));
                if (word == TAG(page))
                        continue;
                assert_int_equal(found, NOWHERE);
                found = page;
                for (unsigned i = 0; i < 8; i++)
                        put(w, data_page(page) + i * sizeof(word), TAG(page));
        }
        return found;
}

/* Lets the device finish; the page that it reached. */
static uint32_t finish(struct world *w, unsigned number, bool to_memory)
{
        struct vtd_sim_device_file *device = worker_backend_device(w->worker, number);

        worker_backend_step(w->worker);
        device->edu.command = 0; /* without bus mastering it was never taken up */
        w->transfers++;
        return to_memory ? page_written(w) : page_read(device);
}

static void check(struct world *w, uint32_t reached, uint32_t allowed, unsigned device,
                  unsigned region, unsigned page)
{
        if (reached == NOWHERE)
                return;
        w->arrived++;
        w->stale += reached != exact_page(w, device, region, page);
        if (!(allowed & UINT32_C(1) << reached))
                fail_msg("device %u reached data page %u through page %u of region %u, which may "
                         "lead to %#x (now %#x)",
                         device, reached, page, region, allowed,
                         exact_page(w, device, region, page));
}

/* A transfer, perhaps with a piece of the unit's work in its middle. */
static void transfer(struct world *w, unsigned number, unsigned region, unsigned page)
{
        struct vtd_sim_device_file *device = worker_backend_device(w->worker, number);
        bool to_memory = pick(w, 3) == 0;
        uint32_t allowed;

        if (!device)
                return;
        allowed = allowed_pages(w, number, region, page);
        arm(device, regions[region] + page * VTD_PAGE_SIZE, to_memory);
        if (pick(w, 3) == 0)
                (void)vtd_frontend_run(w->unit, pick(w, 6));
        check(w, finish(w, number, to_memory), allowed, number, region, page);
        take_completions(w);
}

static void random_transfer(struct world *w)
{
        transfer(w, pick(w, DEVICES), pick(w, REGIONS), pick(w, PAGES));
}

/*
 * The guest.
 */

static void write_register(struct world *w, unsigned offset, unsigned size, uint64_t value)
{
        vtd_frontend_write(w->unit, offset, size, value);
}

/* Until there is nothing to do, with a broker that answers. */
static void settle(struct world *w)
{
        bool hold = w->worker->hold;

        w->worker->hold = false;
        assert_int_equal(vtd_frontend_run(w->unit, 100000), VTD_FRONTEND_IDLE);
        w->worker->hold = hold;
        take_completions(w);
}

static uint64_t upper_table(unsigned root, unsigned n)
{
        return UPPER_TABLES + (root * (1 + 2 * REGIONS) + n) * VTD_PAGE_SIZE;
}

static uint64_t directory_slot(unsigned root, unsigned region)
{
        return upper_table(root, 2 + 2 * region) + (regions[region] >> 21 & 511) * 8;
}

static void set_directory(struct world *w, unsigned root, unsigned region, unsigned value)
{
        uint64_t entry = 0;

        if (value > TABLES)
                entry = (DATA + (value - 1 - TABLES) * 2 * MIB) | 0xe7;
        else if (value > 0)
                entry = (PAGE_TABLES + (value - 1) * VTD_PAGE_SIZE) | 0x27;
        put(w, directory_slot(root, region), entry);
        note(w);
        w->history[w->now].directories[root][region] = value;
}

/* The accessed and dirty bits are set: only the guest writes tables. */
static void set_leaf(struct world *w, unsigned table, unsigned page, unsigned value)
{
        uint64_t entry = 0;

        if (value > DATA_PAGES) /* behind guest memory, or between two pieces of its file */
                entry = (RAM_SIZE + (value - DATA_PAGES - 1) * MIB) | 0x67;
        else if (value > 0)
                entry = data_page(value - 1) | 0x67;
        put(w, PAGE_TABLES + table * VTD_PAGE_SIZE + page * 8, entry);
        note(w);
        w->history[w->now].leaves[table][page] = value;
}

static void random_tables(struct world *w)
{
        if (pick(w, 3) == 0)
                set_directory(w, pick(w, ROOTS), pick(w, REGIONS), pick(w, 1 + TABLES + LARGE));
        else
                set_leaf(w, pick(w, TABLES), pick(w, PAGES), pick(w, 1 + DATA_PAGES + 2));
}

static void random_entry(struct world *w)
{
        unsigned device = pick(w, DEVICES), what = pick(w, 10);
        uint64_t address = PASID_TABLES + device * VTD_PAGE_SIZE;
        struct entry entry = {.domain = 1 + pick(w, DOMAINS - 1), .root = pick(w, ROOTS)};
        uint64_t words[3] = {0x1, entry.domain, upper_table(entry.root, 0)};

        entry.kind = what < 6 ? KIND_FIRST_STAGE : what < 7 ? KIND_PASSTHROUGH : KIND_BLOCKED;
        words[0] |= entry.kind == KIND_PASSTHROUGH ? 4 << 6 : what == 7 ? 2 << 6 : 1 << 6;
        if (what == 8)
                words[2] |= 0x800; /* reserved */
        else if (what == 9)
                words[0] = 0;
        for (unsigned i = 0; i < 3; i++)
                put(w, address + i * 8, words[i]);
        w->tables[device] = entry;
        note(w);
}

static void set_context(struct world *w, unsigned device, bool present)
{
        put(w, CONTEXT_TABLE + (device + 1) * 8 * 32,
            (DIRECTORIES + device * VTD_PAGE_SIZE) | present);
        w->context[device] = present;
        note(w);
}

static bool queue_has_room(struct world *w)
{
        uint32_t head = (uint32_t)vtd_frontend_read(w->unit, VTD_REG_IQH, 8);

        return (w->tail - head) % QUEUE_SIZE < QUEUE_SIZE - 16 * 32;
}

static void queue_words(struct world *w, uint64_t first, uint64_t second)
{
        put(w, QUEUE + w->tail, first);
        put(w, QUEUE + w->tail + 8, second);
        put(w, QUEUE + w->tail + 16, 0);
        put(w, QUEUE + w->tail + 24, 0);
        w->tail = (w->tail + 32) % QUEUE_SIZE;
}

static void queue_invalidation(struct world *w, const struct descriptor *what)
{
        uint64_t first = (uint64_t)what->domain << 16, second = 0;

        if (what->what == PASID_CACHE) {
                first |= what->domain ? 0x17 : 0x37;
        } else if (what->what == IOTLB) {
                first |= what->domain ? 0x26 : 0x12;
        } else {
                first |= 0x36;
                second = (what->address & ~(VTD_PAGE_SIZE - 1)) | what->order |
                         (what->leaf ? 0x40 : 0);
        }
        queue_words(w, first, second);
        w->queue[w->queued++] = *what;
}

static void random_invalidation(struct world *w)
{
        struct descriptor what = {.what = pick(w, 3), .domain = 1 + pick(w, DOMAINS - 1)};
        unsigned n = 1 + pick(w, 4);

        if (!queue_has_room(w))
                return;
        for (unsigned i = 0; i < n; i++) {
                if (what.what != PAGE && pick(w, 4) == 0)
                        what.domain = 0;
                what.address = regions[pick(w, REGIONS)] + pick(w, PAGES + 1) * VTD_PAGE_SIZE;
                what.order = pick(w, 2) ? pick(w, 4) : pick(w, 64);
                what.leaf = pick(w, 2);
                queue_invalidation(w, &what);
                if (what.domain == 0)
                        what.domain = 1;
        }
        if (pick(w, 8) == 0) {
                queue_words(w, random64(w) | 0xf, random64(w)); /* no such type */
                w->junk = true;
        }
}

static void ring(struct world *w)
{
        for (size_t i = 0; i < w->queued; i++) {
                if (w->queue[i].status != 0)
                        continue;
                w->queue[i].status = w->status + 1;
                w->queue[i].since = w->now;
        }
        queue_words(w, 0x25 | (uint64_t)++w->status << 32, STATUS);
        write_register(w, VTD_REG_IQT, 4, w->tail);
}

/*
 * What a careful driver does: a translation that a device has used is changed, and exactly that is
 * invalidated, among other pages near by.
 */
static void unmap(struct world *w)
{
        unsigned device = pick(w, DEVICES), region = pick(w, REGIONS), page = pick(w, PAGES);
        const struct entry entry = w->history[w->now].entries[device];
        unsigned n = 1 + pick(w, 6), which = pick(w, n), directory, value, place;
        struct descriptor what = {.what = PAGE, .domain = entry.domain};
        bool leaf;

        if (exact_kind(w, device) != KIND_FIRST_STAGE || !queue_has_room(w))
                return;
        directory = w->history[w->now].directories[entry.root][region];
        transfer(w, device, region, page);
        leaf = directory > 0 && directory <= TABLES && pick(w, 3) != 0;
        value = pick(w, leaf ? 1 + DATA_PAGES : 1 + TABLES + LARGE);
        if (leaf)
                set_leaf(w, directory - 1, page, value);
        else
                set_directory(w, entry.root, region, value);
        transfer(w, device, region, page);
        for (unsigned i = 0; i < n; i++) {
                what.order = pick(w, 3);
                what.leaf = (leaf || i != which) && pick(w, 2);
                place = i == which ? page : pick(w, PAGES + 4);
                place ^= pick(w, 1u << what.order); /* any page of the block that holds it */
                what.address = regions[region] + place * VTD_PAGE_SIZE;
                queue_invalidation(w, &what);
        }
        ring(w);
        if (pick(w, 4) != 0)
                settle(w);
        for (page = 0; page < PAGES; page++)
                transfer(w, device, region, page);
}

/* As Linux does: the bad descriptor becomes one that does nothing, then the error is cleared. */
static void recover(struct world *w)
{
        uint64_t head;

        if (!(vtd_frontend_read(w->unit, VTD_REG_FSTS, 4) & VTD_FSTS_IQE))
                return;
        head = vtd_frontend_read(w->unit, VTD_REG_IQH, 8);
        assert_true(w->junk);
        put(w, QUEUE + head, 0x45);
        put(w, QUEUE + head + 8, 0);
        write_register(w, VTD_REG_FSTS, 4, VTD_FSTS_IQE);
}

static void command(struct world *w, uint32_t value, bool drops)
{
        write_register(w, VTD_REG_GCMD, 4, value);
        note(w);
        w->wanted = (value & (VTD_GCMD_TE | VTD_GCMD_QIE)) | VTD_GCMD_SRTP;
        w->commanded = true;
        w->drops = drops;
        w->commanded_at = w->now;
}

static void random_command(struct world *w)
{
        uint32_t sticky = VTD_GCMD_QIE;

        if (w->commanded)
                return;
        if (pick(w, 3) == 0) {
                sticky |= w->enabled ? VTD_GCMD_TE : 0;
                command(w, sticky | VTD_GCMD_SRTP, true);
                return;
        }
        w->enabled = !w->enabled;
        sticky |= w->enabled ? VTD_GCMD_TE : 0;
        command(w, sticky, !w->enabled);
}

/* A reset in the middle of anything, then what a driver does first. */
static void start_over(struct world *w)
{
        vtd_frontend_reset(w->unit);
        w->enabled = false;
        w->commanded = false;
        w->queued = 0;
        w->tail = 0;
        w->junk = false;
        note(w);
        random_transfer(w);
        w->commanded = false;
        settle(w);
        forget_everything(w, w->now);
        write_register(w, VTD_REG_RTADDR, 8, ROOT_TABLE | 0x400);
        write_register(w, VTD_REG_GCMD, 4, VTD_GCMD_SRTP);
        settle(w);
        write_register(w, VTD_REG_IQA, 8, QUEUE | 0x801);
        write_register(w, VTD_REG_GCMD, 4, VTD_GCMD_QIE);
        settle(w);
        assert_int_equal(vtd_frontend_read(w->unit, VTD_REG_GSTS, 4), VTD_GCMD_SRTP | VTD_GCMD_QIE);
}

static void create_unit(struct world *w)
{
        const struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        const struct vtd_frontend_callbacks callbacks = {.read_memory = read_memory,
                                                         .write_memory = write_memory,
                                                         .send_message = send_message};

        assert_int_equal(vtd_frontend_new(&w->unit, &config, &callbacks, w), 0);
        w->worker = worker_backend_new();
        assert_int_equal(vtd_frontend_set_backend(w->unit, &w->worker->base, NULL), 0);
}

/* Another unit, worker and host, with the same devices and memory. */
static void replace_unit(struct world *w)
{
        uint64_t mapping;

        w->unit = vtd_frontend_free(w->unit);
        create_unit(w);
        for (unsigned device = 0; device < DEVICES; device++) {
                char name[] = "dev0";

                name[3] = (char)('0' + device);
                if (w->plugged[device])
                        assert_int_equal(
                                vtd_frontend_plug(w->unit, name, (uint16_t)((device + 1) * 8)), 0);
        }
        assert_int_equal(vtd_frontend_map(w->unit, 0, FIRST_SIZE, w->file, FIRST_PLACE, &mapping),
                         0);
        if (w->second_mapping)
                assert_int_equal(vtd_frontend_map(w->unit, FIRST_SIZE, SECOND_SIZE, w->file,
                                                  SECOND_PLACE, &w->second_mapping),
                                 0);
}

static void save_and_restore(struct world *w)
{
        uint8_t state[256];
        size_t size;
        int r = vtd_frontend_save(w->unit, state, sizeof(state), &size);

        if (r == VTD_FRONTEND_BUSY)
                return;
        assert_int_equal(r, 0);
        if ((w->plugged[0] || w->plugged[1] || w->plugged[2]) && pick(w, 2))
                replace_unit(w);
        assert_int_equal(vtd_frontend_restore(w->unit, state, size), 0);
        w->restores++;
}

static void random_world(struct world *w)
{
        unsigned device = pick(w, DEVICES);
        char name[] = "dev0";
        int r;

        name[3] = (char)('0' + device);
        switch (pick(w, 6)) {
        case 0:
                r = vtd_frontend_unplug(w->unit, (uint16_t)((device + 1) * 8));
                assert_true(r == 0 || r == VTD_FRONTEND_BUSY || r == -ENODEV);
                w->plugged[device] = w->plugged[device] && r == VTD_FRONTEND_BUSY;
                note(w);
                break;
        case 1:
                if (w->commanded) /* which state a new device begins in would be open */
                        break;
                r = vtd_frontend_plug(w->unit, name, (uint16_t)((device + 1) * 8));
                assert_true(r == 0 || r == VTD_FRONTEND_BUSY || r == -EEXIST);
                if (r != 0)
                        break;
                w->plugged[device] = true;
                note(w);
                w->entry_since[device] = w->now;
                break;
        case 2:
                if (!w->second_mapping) {
                        r = vtd_frontend_map(w->unit, FIRST_SIZE, SECOND_SIZE, w->file,
                                             SECOND_PLACE, &w->second_mapping);
                        assert_true(r == 0 || r == VTD_FRONTEND_BUSY ||
                                    (r == VTD_FRONTEND_REFUSED && !w->plugged[0] &&
                                     !w->plugged[1] && !w->plugged[2]));
                        break;
                }
                r = vtd_frontend_unmap(w->unit, w->second_mapping);
                assert_true(r == 0 || r == VTD_FRONTEND_BUSY);
                w->second_mapping = r == 0 ? 0 : w->second_mapping;
                break;
        case 3:
                w->worker->late = pick(w, 2);
                break;
        case 4:
                save_and_restore(w);
                break;
        default:
                w->worker->hold = pick(w, 2);
        }
}

/* Everything invalidated: the devices see exactly what the tables say, and history begins anew. */
static void synchronize(struct world *w)
{
        struct descriptor all = {.what = PASID_CACHE}, iotlb = {.what = IOTLB};
        struct vtd_frontend_refusal refusal;
        enum vtd_frontend_binding binding;

        queue_words(w, 0x11, 0);
        queue_invalidation(w, &all);
        queue_invalidation(w, &iotlb);
        ring(w);
        settle(w);
        for (unsigned i = 0; i < QUEUE_SIZE / 32 && w->queued > 0; i++) {
                recover(w);
                settle(w);
        }
        w->junk = false;
        assert_int_equal(w->queued, 0);
        assert_false(w->commanded);
        vtd_frontend_refusal(w->unit, &refusal);
        assert_true(refusal.reason == 0 || refusal.reason == VTD_REASON_NO_DEVICE);
        for (unsigned d = 0; d < DEVICES; d++) {
                if (!w->plugged[d])
                        continue;
                assert_int_equal(
                        vtd_frontend_get_binding(w->unit, (uint16_t)((d + 1) * 8), &binding), 0);
                assert_int_equal(binding, 1 + exact_kind(w, d));
                for (unsigned i = 0; i < REGIONS * PAGES; i++) {
                        uint64_t iova = regions[i / PAGES] + i % PAGES * VTD_PAGE_SIZE;

                        arm(worker_backend_device(w->worker, d), iova, false);
                        assert_int_equal(finish(w, d, false),
                                         exact_page(w, d, i / PAGES, i % PAGES));
                }
        }
        w->history[0] = w->history[w->now];
        w->now = 0;
        memset(w->entry_gone, 0, sizeof(w->entry_gone));
        forget_everything(w, 0);
        w->syncs++;
}

/* Nothing but the data pages was written by any device. */
static void check_canary(const struct world *w)
{
        static const uint64_t pieces[][2] = {{0, FIRST_PLACE},
                                             {FIRST_PLACE + FIRST_SIZE, SECOND_PLACE},
                                             {SECOND_PLACE + SECOND_SIZE, FILE_SIZE}};

        for (unsigned i = 0; i < VTD_ARRAY_SIZE(pieces); i++) {
                const uint8_t *piece = w->bytes + pieces[i][0];

                assert_int_equal(piece[0], CANARY);
                assert_memory_equal(piece, piece + 1, pieces[i][1] - pieces[i][0] - 1);
        }
}

static void step(struct world *w)
{
        unsigned what = pick(w, 100);

        if (w->now > EPOCH - 12)
                synchronize(w);
        recover(w);
        if (what < 14)
                random_tables(w);
        else if (what < 22 && !w->commanded) /* else both states of TE would have to be noted */
                random_entry(w);
        else if (what < 24 && !w->commanded)
                set_context(w, pick(w, DEVICES), pick(w, 4) != 0);
        else if (what < 32)
                random_invalidation(w);
        else if (what < 42 && queue_has_room(w))
                ring(w);
        else if (what < 45)
                random_command(w);
        else if (what < 50)
                random_world(w);
        else if (what < 70)
                (void)vtd_frontend_run(w->unit, pick(w, 8));
        else if (what < 75)
                unmap(w);
        else
                random_transfer(w);
        take_completions(w);
        if (pick(w, 2000) == 0)
                start_over(w);
}

static int setup(void **state)
{
        struct world *w = calloc(1, sizeof(*w));
        uint64_t mapping;

        assert_non_null(w);
        w->file = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_true(w->file >= 0);
        assert_int_equal(ftruncate(w->file, (off_t)FILE_SIZE), 0);
        assert_int_equal(fcntl(w->file, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        w->bytes = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, w->file, 0);
        assert_true(w->bytes != MAP_FAILED);
        memset(w->bytes, CANARY, FILE_SIZE);
        memset(ram(w, 0), 0, FIRST_SIZE);
        memset(ram(w, FIRST_SIZE), 0, SECOND_SIZE);
        create_unit(w);
        assert_int_equal(vtd_frontend_plug(w->unit, "dev0", 8), 0);
        assert_int_equal(vtd_frontend_map(w->unit, 0, FIRST_SIZE, w->file, FIRST_PLACE, &mapping),
                         0);
        w->plugged[0] = true;
        *state = w;
        return 0;
}

static int teardown(void **state)
{
        struct world *w = *state;

        w->unit = vtd_frontend_free(w->unit);
        (void)munmap(w->bytes, FILE_SIZE);
        (void)close(w->file);
        free(w);
        return 0;
}

/* Tables that never change: everything above the page directories, and above the PASID tables. */
static void build_tables(struct world *w)
{
        put(w, ROOT_TABLE, CONTEXT_TABLE | 1);
        for (unsigned d = 0; d < DEVICES; d++) {
                put(w, DIRECTORIES + d * VTD_PAGE_SIZE, (PASID_TABLES + d * VTD_PAGE_SIZE) | 1);
                set_context(w, d, true);
        }
        for (unsigned root = 0; root < ROOTS; root++) {
                for (unsigned region = 0; region < REGIONS; region++) {
                        uint64_t iova = regions[region];

                        put(w, upper_table(root, 0) + (iova >> 39 & 511) * 8,
                            upper_table(root, 1 + 2 * region) | 0x27);
                        put(w, upper_table(root, 1 + 2 * region) + (iova >> 30 & 511) * 8,
                            upper_table(root, 2 + 2 * region) | 0x27);
                }
        }
        for (unsigned page = 0; page < DATA_PAGES; page++)
                for (unsigned i = 0; i < 8; i++)
                        put(w, data_page(page) + i * 8, TAG(page));
}

static unsigned long from_environment(const char *name, unsigned long otherwise)
{
        const char *text = getenv(name);

        return text ? strtoul(text, NULL, 0) : otherwise;
}

static void test_a_device_sees_nothing_older_than_what_was_invalidated(void **state)
{
        struct world *w = *state;
        unsigned long steps = from_environment("DMA_STEPS", STEPS);

        w->random = from_environment("DMA_SEED", 0xd3a) | 1;
        build_tables(w);
        start_over(w);
        for (unsigned long i = 0; i < steps; i++)
                step(w);
        synchronize(w);
        check_canary(w);
        print_message("# %lu transfers, %lu arrived, %lu of them stale, %lu synchronizations\n",
                      w->transfers, w->arrived, w->stale, w->syncs);
        assert_true(w->arrived > steps / 40);
        assert_true(w->stale > steps / 150);
        assert_true(w->restores > steps / 500);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(
                        test_a_device_sees_nothing_older_than_what_was_invalidated, setup,
                        teardown),
        };

        return cmocka_run_group_tests_name("frontend-dma", tests, NULL, NULL);
}
