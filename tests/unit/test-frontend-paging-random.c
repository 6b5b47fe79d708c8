/* SPDX-License-Identifier: MIT */
/*
 * Random tables and requests, walked by the library and by a second walker that was written for this
 * test: it knows entries only as drawings of 64 characters.  Verdicts, pages and the memory that
 * either leaves behind must be the same.  Memory is so small that tables of both stages are often
 * shared by several levels.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/dma/paging.h"
#include "shared/checked.h"

#define ROUNDS 200000u
#define PAGES  16u /* of memory: the first stage's tables in the lower half, the second's above */

/* The last page of the lower half and of the upper one can be read only. */
static bool is_read_only(uint64_t gpa)
{
        return (gpa >> 12) % (PAGES / 2) == PAGES / 2 - 1;
}

struct memory {
        uint64_t words[PAGES * 512];
};

struct world {
        uint64_t random;
        struct memory real, reference;
        struct vtd_capabilities capabilities;
        struct vtd_pasid_entry entry;
        struct vtd_frontend_dma_request request;
        bool orderly;          /* the second stage's tables: one for each level */
        unsigned seen[256];    /* verdicts, by reason */
        unsigned sizes[4][64]; /* pages, by type of the entry and shift */
};

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct world *w = opaque;

        if (size > sizeof(w->real) || gpa > sizeof(w->real) - size)
                return -EFAULT;
        memcpy(data, (const uint8_t *)w->real.words + gpa, size);
        return 0;
}

static int compare_exchange(void *opaque, uint64_t gpa, uint64_t expected, uint64_t desired,
                            uint64_t *found)
{
        struct world *w = opaque;

        if (gpa >= sizeof(w->real) || gpa % 8 != 0 || is_read_only(gpa))
                return -EFAULT;
        *found = w->real.words[gpa / 8];
        if (*found == expected)
                w->real.words[gpa / 8] = desired;
        return 0;
}

/*
 * The second walker.  Bits 63 to 0 of an entry: 0 reserved, a address, N snoop; P present, W write,
 * R read, U user, A accessed, E extended accessed, D dirty.  All that is '.' is free.
 */
#define FREE_12    "............"
#define FREE_62    ".0.........."
#define ADDRESS_22 "aaaaaaaaaaaaaaaaaaaaaa"
#define ADDRESS_31 ADDRESS_22 "aaaaaaaaa"
#define ADDRESS_40 ADDRESS_31 "aaaaaaaaa"

struct drawing {
        unsigned shift; /* of what the entry stands for */
        bool page;
        const char *bits;
};

static const struct drawing first_stage[] = {
        {48, false, FREE_12 ADDRESS_40 ".E..0.A..UWP"},
        {39, false, FREE_12 ADDRESS_40 ".E..0.A..UWP"},
        {30, false, FREE_12 ADDRESS_40 ".E....A..UWP"},
        {30, true, FREE_12 ADDRESS_22 "00000000000000000..E...DA..UWP"},
        {21, false, FREE_12 ADDRESS_40 ".E....A..UWP"},
        {21, true, FREE_12 ADDRESS_31 "00000000..E...DA..UWP"},
        {12, true, FREE_12 ADDRESS_40 ".E...DA..UWP"},
};

static const struct drawing second_stage[] = {
        {48, false, FREE_62 ADDRESS_40 "0..A0.....WR"},
        {39, false, FREE_62 ADDRESS_40 "0..A0.....WR"},
        {30, false, FREE_62 ADDRESS_40 "0..A......WR"},
        {30, true, FREE_62 ADDRESS_22 "000000000000000000N.DA......WR"},
        {21, false, FREE_62 ADDRESS_40 "0..A......WR"},
        {21, true, FREE_62 ADDRESS_31 "000000000N.DA......WR"},
        {12, true, FREE_62 ADDRESS_40 "N.DA......WR"},
};

static uint64_t bits_of(const struct drawing *drawing, char what)
{
        uint64_t bits = 0;

        for (unsigned i = 0; i < 64; i++)
                bits = bits << 1 | (drawing->bits[i] == what);
        return bits;
}

static const struct drawing *find_drawing(const struct drawing *drawings, unsigned shift,
                                          uint64_t value)
{
        bool large = value & 0x80;

        for (unsigned i = 0; i < VTD_ARRAY_SIZE(first_stage); i++) {
                if (drawings[i].shift != shift)
                        continue;
                if (shift == 12 || shift > 30 || drawings[i].page == large)
                        return &drawings[i];
        }
        abort();
}

static bool offers(const struct world *w, bool second, unsigned shift)
{
        if (!second)
                return shift != 30 || (w->capabilities.cap >> 56) & 1;
        return (w->capabilities.cap >> (shift == 30 ? 35 : 34)) & 1;
}

/* Whether @value must not look like that; wide addresses are allowed as far as @width bits. */
static bool is_malformed(const struct world *w, bool second, const struct drawing *drawing,
                         uint64_t value, unsigned width)
{
        uint64_t address = value & bits_of(drawing, 'a');

        if (value & bits_of(drawing, '0'))
                return true;
        if (width < 52 && address >= UINT64_C(1) << width)
                return true;
        if (drawing->page && drawing->shift > 12 && !offers(w, second, drawing->shift))
                return true;
        return (value & bits_of(drawing, 'N')) && !((w->capabilities.ecap >> 7) & 1);
}

struct place {
        uint64_t byte;  /* where it comes out */
        uint64_t size;  /* of the page */
        uint64_t value; /* of its entry, after the walk */
        bool read, write;
        bool user; /* all entries are the user's */
};

/* Sets @bits in the word at @gpa of the reference memory, and says what hinders it. */
static unsigned set_bits(struct world *w, uint64_t gpa, uint64_t bits, unsigned no_snoop,
                         unsigned failed)
{
        uint64_t *word = &w->reference.words[gpa / 8];

        if ((*word & bits) == bits)
                return 0;
        if (!w->entry.page_walk_snoop)
                return no_snoop;
        if (is_read_only(gpa))
                return failed;
        *word |= bits;
        return 0;
}

static unsigned reference_second(struct world *w, uint64_t address, bool read, bool write,
                                 struct place *place)
{
        unsigned mgaw = ((w->capabilities.cap >> 16) & 0x3f) + 1;
        unsigned width = 12 + 9 * w->entry.second_stage_levels;
        uint64_t table = w->entry.second_stage_root;

        *place = (struct place){.read = true, .write = true};
        if (address >> width != 0 || address >> mgaw != 0)
                return 0x84;
        for (unsigned shift = width - 9;; shift -= 9) {
                uint64_t at = table + (address >> shift) % 512 * 8, value, marks;
                const struct drawing *drawing;
                unsigned reason;

                if (at >= sizeof(w->reference))
                        return shift == width - 9 ? 0x7b : 0x78;
                value = w->reference.words[at / 8];
                drawing = find_drawing(second_stage, shift, value);
                if ((value & bits_of(drawing, 'R')) == 0 && (value & bits_of(drawing, 'W')) == 0)
                        return 0x79;
                if (is_malformed(w, true, drawing, value, w->capabilities.host_address_bits))
                        return 0x7a;
                place->read = place->read && (value & bits_of(drawing, 'R'));
                place->write = place->write && (value & bits_of(drawing, 'W'));
                if (drawing->page && !place->read && !place->write)
                        return 0x79;
                if (drawing->page && write && !place->write)
                        return 0x85;
                if (drawing->page && read && !place->read)
                        return 0x86;
                marks = bits_of(drawing, 'A') | (write ? bits_of(drawing, 'D') : 0);
                reason = w->entry.second_stage_dirty ? set_bits(w, at, marks, 0x7c, 0x7d) : 0;
                if (reason)
                        return reason;
                table = value & bits_of(drawing, 'a');
                place->size = UINT64_C(1) << shift;
                place->byte = table + address % place->size;
                place->value = w->reference.words[at / 8];
                if (drawing->page)
                        return 0;
        }
}

/* Where the first-stage entry at @address is; the verdicts of the second stage renamed. */
static unsigned reference_reach(struct world *w, uint64_t address, bool write, bool top,
                                uint64_t *gpa)
{
        struct place place;
        unsigned reason;

        *gpa = address;
        if (w->entry.type != VTD_PGTT_NESTED)
                return 0;
        reason = reference_second(w, address, !write, write, &place);
        *gpa = place.byte;
        if (reason == 0x84)
                return 0x74;
        if (reason == 0x79 || reason == 0x85 || reason == 0x86)
                return write ? 0x77 : top ? 0x75 : 0x76;
        return reason;
}

static unsigned reference_mark(struct world *w, uint64_t address, uint64_t gpa, uint64_t marks)
{
        uint64_t where;
        unsigned reason;

        if ((w->reference.words[gpa / 8] & marks) == marks)
                return 0;
        if (!w->entry.page_walk_snoop)
                return 0x90;
        reason = reference_reach(w, address, true, false, &where);
        if (reason)
                return reason;
        if (where >= sizeof(w->reference))
                return 0x91;
        return set_bits(w, where, marks, 0x90, 0x91);
}

static unsigned reference_first(struct world *w, struct place *place)
{
        bool user = !w->request.privileged, write = w->request.access & VTD_FRONTEND_DMA_WRITE;
        unsigned top = w->entry.five_level ? 48 : 39;
        unsigned width = w->entry.type == VTD_PGTT_NESTED ? 52 : w->capabilities.host_address_bits;
        uint64_t table = w->entry.first_stage_root, address = w->request.address;
        int64_t extended = (int64_t)(address << (64 - top - 9)) >> (64 - top - 9);

        *place = (struct place){.read = true, .write = true, .user = true};
        if ((uint64_t)extended != address)
                return 0x80;
        for (unsigned shift = top;; shift -= 9) {
                uint64_t entry = table + (address >> shift) % 512 * 8, gpa, value, marks;
                const struct drawing *drawing;
                unsigned reason = reference_reach(w, entry, false, shift == top, &gpa);

                if (reason)
                        return reason;
                if (gpa >= sizeof(w->reference))
                        return shift == top ? 0x73 : 0x70;
                value = w->reference.words[gpa / 8];
                drawing = find_drawing(first_stage, shift, value);
                if (!(value & bits_of(drawing, 'P')))
                        return 0x71;
                if (is_malformed(w, false, drawing, value, width))
                        return 0x72;
                place->user = place->user && (value & bits_of(drawing, 'U'));
                place->write = place->write && (value & bits_of(drawing, 'W'));
                if (drawing->page && user && !place->user)
                        return 0x81;
                if (drawing->page && write && !place->write && (user || w->entry.write_protect))
                        return 0x85;
                marks = bits_of(drawing, 'A') | (write ? bits_of(drawing, 'D') : 0) |
                        (w->entry.extended_accessed ? bits_of(drawing, 'E') : 0);
                reason = reference_mark(w, entry, gpa, marks);
                if (reason)
                        return reason;
                table = value & bits_of(drawing, 'a');
                place->size = UINT64_C(1) << shift;
                place->byte = table + address % place->size;
                place->value = value | marks;
                if (drawing->page)
                        return 0;
        }
}

/* The largest block around @byte that is no larger than @size and has no byte of interrupts. */
static uint64_t block_size(uint64_t byte, uint64_t size)
{
        for (;;) {
                uint64_t start = byte - byte % size, end = start + size;

                if (end <= UINT64_C(0xfee00000) || start >= UINT64_C(0xfef00000))
                        return size;
                size /= 512;
        }
}

static unsigned rights(bool read, bool write)
{
        return (read ? VTD_FRONTEND_DMA_READ : 0) | (write ? VTD_FRONTEND_DMA_WRITE : 0);
}

static unsigned reference_walk(struct world *w, struct vtd_page *page)
{
        const struct vtd_frontend_dma_request *request = &w->request;
        bool read = request->access & VTD_FRONTEND_DMA_READ;
        bool write = request->access & VTD_FRONTEND_DMA_WRITE, clean = false;
        struct place first = {.byte = request->address, .size = UINT64_C(1) << 30};
        struct place second = {.read = true, .write = true};
        bool user_write = true, supervisor_write = true, user_read = true;
        unsigned reason = 0;

        if (request->privileged && !w->entry.supervisor)
                return 0x5d;
        if (w->entry.type != VTD_PGTT_SECOND_STAGE) {
                reason = reference_first(w, &first);
                clean = !(first.value & 0x40);
                user_read = first.user;
                user_write = first.user && first.write;
                supervisor_write = first.write || !w->entry.write_protect;
                second.byte = first.byte;
                second.size = first.size;
        }
        if (reason == 0 && w->entry.type != VTD_PGTT_FIRST_STAGE) {
                reason = reference_second(w, first.byte, read, write, &second);
                clean |= w->entry.second_stage_dirty && !(second.value & 0x200);
        }
        if (reason)
                return reason;
        if (second.byte >= UINT64_C(0xfee00000) && second.byte < UINT64_C(0xfef00000))
                return 0x87;
        second.size = block_size(second.byte, second.size < first.size ? second.size : first.size);
        page->translated = second.byte - second.byte % second.size;
        page->shift = (unsigned)__builtin_ctzll(second.size);
        page->user = rights(user_read && second.read, user_write && second.write && !clean);
        page->supervisor = rights(second.read, supervisor_write && second.write && !clean);
        if (!w->entry.supervisor)
                page->supervisor = 0;
        return 0;
}

/* xorshift64*: the same numbers each time. */
static uint64_t next(struct world *w)
{
        w->random ^= w->random >> 12;
        w->random ^= w->random << 25;
        w->random ^= w->random >> 27;
        return w->random * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned below(struct world *w, unsigned limit)
{
        return (unsigned)((next(w) >> 32) % limit);
}

static bool chance(struct world *w, unsigned percent)
{
        return below(w, 100) < percent;
}

/* Indexes of table entries that are in use. */
static const unsigned indexes[] = {0, 1, 511};

/* An address that finds its way through such entries only, below 2^@bits. */
static uint64_t random_address(struct world *w, unsigned bits)
{
        uint64_t address = 0;

        for (unsigned shift = 12; shift < bits; shift += 9)
                address |= (uint64_t)indexes[below(w, 3)] << shift;
        return address & ((UINT64_C(1) << bits) - 1);
}

/* Where a page of 2^@shift bytes is: mostly among the tables, sometimes next to the interrupts. */
static uint64_t random_output(struct world *w, unsigned shift, uint64_t tables)
{
        uint64_t output = (tables + below(w, PAGES / 2)) << 12;

        if (chance(w, 10))
                output = UINT64_C(0xfec00000) + ((uint64_t)below(w, 6) << 20);
        else if (chance(w, 10))
                output = next(w) & UINT64_C(0xfffffff000);
        return output & ~((UINT64_C(1) << shift) - 1);
}

static uint64_t random_first_entry(struct world *w)
{
        static const unsigned shifts[] = {12, 12, 12, 21, 30};
        bool nested = w->entry.type == VTD_PGTT_NESTED;
        unsigned shift = shifts[below(w, chance(w, 30) ? 5 : 1)];
        uint64_t value =
                chance(w, 98) | (uint64_t)chance(w, 95) << 1 | (uint64_t)chance(w, 95) << 2;

        value |= nested ? random_address(w, chance(w, 95) ? 39 : 48) & ~((UINT64_C(1) << shift) - 1)
                        : random_output(w, shift, 0);
        value |= shift > 12 ? 0x80 : 0;
        value |= (uint64_t)chance(w, 70) << 5 | (uint64_t)chance(w, 60) << 6 |
                 (uint64_t)chance(w, 70) << 10;
        return chance(w, 3) ? value ^ UINT64_C(1) << below(w, 64) : value;
}

/* What an entry in the table of @page refers to: PAGES / 2 is of the lowest level when orderly. */
static uint64_t random_second_address(struct world *w, unsigned page, unsigned *shift)
{
        static const unsigned shifts[] = {12, 21, 30};
        unsigned level = page - PAGES / 2;

        *shift = shifts[!w->orderly && chance(w, 25) ? below(w, 3) : 0];
        if (!w->orderly)
                return random_output(w, *shift, chance(w, 60) ? PAGES / 2 : 0);
        if (level == 0)
                *shift = 12;
        else if ((level == 1 || level == 2) && chance(w, 10))
                *shift = 12 + 9 * level;
        if (*shift > 12 || level == 0)
                return random_output(w, *shift, 0);
        return (uint64_t)(page - 1) << 12;
}

static uint64_t random_second_entry(struct world *w, unsigned page)
{
        unsigned shift;
        uint64_t value = random_second_address(w, page, &shift);

        value |= chance(w, 98) | (uint64_t)chance(w, 97) << 1;
        value |= shift > 12 ? 0x80 : 0;
        value |= (uint64_t)chance(w, 90) << 8 | (uint64_t)chance(w, 70) << 9;
        return chance(w, 1) ? value ^ UINT64_C(1) << below(w, 64) : value;
}

static void random_capabilities(struct world *w)
{
        static const unsigned widths[] = {39, 48, 57}, host_widths[] = {36, 40, 46, 52};

        w->capabilities = (struct vtd_capabilities){
                .cap = (uint64_t)chance(w, 80) << 34 | (uint64_t)chance(w, 80) << 35 |
                       (uint64_t)chance(w, 80) << 56 | (uint64_t)(widths[below(w, 3)] - 1) << 16,
                .ecap = (uint64_t)chance(w, 80) << 7,
                .host_address_bits = host_widths[below(w, 4)],
        };
}

static void random_request(struct world *w)
{
        uint64_t address = random_address(w, 57) | below(w, 4096);
        unsigned bits = chance(w, 2) ? 57 : 12 + 9 * w->entry.second_stage_levels;

        if (w->entry.type != VTD_PGTT_SECOND_STAGE) {
                bits = w->entry.five_level || chance(w, 2) ? 57 : 48;
                address &= (UINT64_C(1) << bits) - 1;
                if (chance(w, 98) && (address >> (bits - 1)) & 1) /* canonical */
                        address |= ~((UINT64_C(1) << bits) - 1);
        } else {
                address &= (UINT64_C(1) << bits) - 1;
        }
        w->request = (struct vtd_frontend_dma_request){
                .privileged = chance(w, 30),
                .access = 1 + below(w, 3),
                .address = address,
                .size = 1,
        };
}

static void random_entry(struct world *w)
{
        unsigned levels = 3 + below(w, 3);

        w->orderly = chance(w, 70);
        w->entry = (struct vtd_pasid_entry){
                .type = VTD_PGTT_FIRST_STAGE + below(w, 3),
                .five_level = chance(w, 40),
                .supervisor = chance(w, 80),
                .write_protect = chance(w, 50),
                .extended_accessed = chance(w, 30),
                .second_stage_root = (PAGES / 2 + below(w, PAGES / 2 - 1)) << 12,
                .second_stage_levels = levels,
                .second_stage_dirty = chance(w, 30),
                .page_walk_snoop = chance(w, 80),
        };
        w->entry.first_stage_root = w->entry.type == VTD_PGTT_NESTED
                                            ? random_address(w, chance(w, 95) ? 39 : 48)
                                            : below(w, PAGES / 2) << 12;
        if (w->orderly)
                w->entry.second_stage_root = (PAGES / 2 + levels - 1) << 12;
        if (chance(w, 2))
                w->entry.first_stage_root = PAGES << 12;
        if (chance(w, 2))
                w->entry.second_stage_root = PAGES << 12;
}

static void random_tables(struct world *w)
{
        for (unsigned page = 0; page < PAGES; page++)
                for (unsigned i = 0; i < VTD_ARRAY_SIZE(indexes); i++)
                        w->real.words[page * 512 + indexes[i]] =
                                page < PAGES / 2 ? random_first_entry(w)
                                                 : random_second_entry(w, page);
        w->reference = w->real;
}

static void check_round(struct world *w, const struct vtd_guest *guest, unsigned round)
{
        struct vtd_page page = {0}, expected = {0};
        enum vtd_fault_reason reason;
        unsigned verdict;
        bool equal;
        int r;

        r = vtd_paging_walk(guest, &w->capabilities, &w->entry, &w->request, &page, &reason);
        verdict = reference_walk(w, &expected);
        equal = reason == verdict && r == (verdict ? VTD_PAGING_E_FAULT : 0) &&
                memcmp(&w->real, &w->reference, sizeof(w->real)) == 0;
        if (verdict == 0)
                equal = equal && page.translated == expected.translated &&
                        page.shift == expected.shift && page.user == expected.user &&
                        page.supervisor == expected.supervisor;
        if (!equal)
                fail_msg("round %u, type %u, address %llx: %x %llx/%u %u %u, expected %x %llx/%u "
                         "%u %u",
                         round, w->entry.type, (unsigned long long)w->request.address, reason,
                         (unsigned long long)page.translated, page.shift, page.user,
                         page.supervisor, verdict, (unsigned long long)expected.translated,
                         expected.shift, expected.user, expected.supervisor);
        w->seen[verdict]++;
        w->sizes[w->entry.type][expected.shift]++;
}

static void test_both_walkers_agree(void **state)
{
        static const unsigned reasons[] = {0,    0x5d, 0x70, 0x71, 0x72, 0x73, 0x74, 0x75,
                                           0x76, 0x77, 0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7d,
                                           0x80, 0x81, 0x84, 0x85, 0x86, 0x87, 0x90, 0x91};
        struct world *w = calloc(1, sizeof(*w));
        struct vtd_guest guest = {
                .callbacks = {.read_memory = read_memory, .compare_exchange = compare_exchange},
                .opaque = w,
        };

        (void)state;
        assert_non_null(w);
        w->random = UINT64_C(0x9e3779b97f4a7c15);
        for (unsigned round = 0; round < ROUNDS; round++) {
                random_capabilities(w);
                random_entry(w);
                random_request(w);
                random_tables(w);
                check_round(w, &guest, round);
        }
        /* Everything that can come out has come out, and often. */
        for (size_t i = 0; i < VTD_ARRAY_SIZE(reasons); i++) {
                print_message("# %5u times %02x\n", w->seen[reasons[i]], reasons[i]);
                assert_true(w->seen[reasons[i]] >= 20);
        }
        for (unsigned type = VTD_PGTT_FIRST_STAGE; type <= VTD_PGTT_NESTED; type++)
                for (unsigned shift = 12; shift <= 30; shift += 9) {
                        print_message("# %5u pages of 2^%u, type %u\n", w->sizes[type][shift],
                                      shift, type);
                        assert_true(w->sizes[type][shift] >= 10);
                }
        free(w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_walkers_agree)};

        return cmocka_run_group_tests_name("frontend-paging-random", tests, NULL, NULL);
}
