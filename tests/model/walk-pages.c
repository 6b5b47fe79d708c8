/* SPDX-License-Identifier: MIT */
/*
 * See walk.h: the paging structures of both stages.  A bit that has to change but may not be
 * written does not end the walk here, since what is below it may be judged before it.
 */
#include "tests/model/walk.h"

#define BIT(n) (UINT64_C(1) << (n))

#define FIRST_ACCESSED  BIT(5)
#define FIRST_DIRTY     BIT(6)
#define FIRST_EXTENDED  BIT(10)
#define SECOND_ACCESSED BIT(8)
#define SECOND_DIRTY    BIT(9)

struct walk {
        const struct tables *tables;
        const struct pasid_entry *entry;
        struct updates *updates;
        struct reasons *reasons;
        struct reasons forbidden; /* of bits that have to change and may not */
};

/* Where a second stage leads. */
struct second {
        uint64_t address; /* of the byte asked for */
        unsigned shift;   /* log2 of the block's size */
        unsigned access;
        uint64_t leaf_gpa; /* of the last entry, ... */
        uint64_t leaf;     /* ... and the entry */
};

/* What a second stage's faults are called. */
struct second_codes {
        uint8_t limit, denied_read, also_absent; /* 0: no other name for it */
};

static bool refuse(struct walk *walk, uint8_t code)
{
        reasons_add(walk->reasons, code);
        return false;
}

static uint64_t bits(unsigned high, unsigned low)
{
        return high < low ? 0 : (BIT(high - low + 1) - 1) << low;
}

static unsigned shift_of(unsigned level)
{
        return 12 + 9 * (level - 1);
}

static void update(struct walk *walk, uint64_t gpa, uint64_t entry, uint64_t wanted,
                   uint8_t no_snoop)
{
        struct updates *updates = walk->updates;
        unsigned i;

        if ((entry & wanted) == wanted)
                return;
        if (!walk->entry->snoop)
                reasons_add(&walk->forbidden, no_snoop);
        for (i = 0; i < updates->count && updates->list[i].gpa != gpa; i++)
                ;
        if (i == UPDATES)
                return;
        if (i == updates->count) {
                updates->list[i].gpa = gpa;
                updates->list[i].bits = 0;
                updates->count++;
        }
        updates->list[i].bits |= wanted & ~entry;
}

/* True when the bits @wanted are, or are being, set in the entry at @gpa. */
static bool will_be_set(const struct walk *walk, uint64_t gpa, uint64_t entry, uint64_t wanted)
{
        for (unsigned i = 0; i < walk->updates->count; i++)
                if (walk->updates->list[i].gpa == gpa)
                        entry |= walk->updates->list[i].bits;
        return (entry & wanted) == wanted;
}

static bool second_is_reserved(const struct vtd_frontend_config *config, uint64_t entry,
                               unsigned level, bool leaf)
{
        uint64_t reserved = BIT(62) | bits(51, config->host_address_bits);

        if (level >= 4)
                reserved |= BIT(7);
        if (leaf && level > 1)
                reserved |= bits(shift_of(level) - 1, 12);
        if (!leaf || !config->snoop_control)
                reserved |= BIT(11);
        return entry & reserved;
}

/* Translates @input by the second stage, for @access. */
static bool walk_second(struct walk *walk, uint64_t input, unsigned access,
                        const struct second_codes *codes, struct second *out)
{
        const struct vtd_frontend_config *config = walk->tables->config;
        unsigned levels = walk->entry->second_levels, width = 12 + 9 * levels;
        uint64_t table = walk->entry->second_root;

        out->access = READ | WRITE;
        if (width > config->address_bits)
                width = config->address_bits;
        if (input >> width != 0)
                return refuse(walk, codes->limit);
        for (unsigned level = levels;; level--) {
                uint64_t gpa = table + ((input >> shift_of(level)) & 0x1ff) * 8, entry;
                bool leaf;

                if (!memory_get(walk->tables->memory, gpa, &entry))
                        return refuse(walk, level == levels ? 0x7b : 0x78);
                leaf = level == 1 || (level <= 3 && (entry & BIT(7)));
                out->access &= entry & 3;
                if ((entry & 3) != 0 && second_is_reserved(config, entry, level, leaf))
                        return refuse(walk, 0x7a);
                if ((entry & 3) == 0 || (leaf && out->access == 0)) {
                        if (codes->also_absent)
                                reasons_add(walk->reasons, codes->also_absent);
                        return refuse(walk, 0x79);
                }
                if (leaf && (access & WRITE & ~out->access))
                        return refuse(walk, 0x85);
                if (leaf && (access & READ & ~out->access))
                        return refuse(walk, codes->denied_read);
                if (walk->entry->second_dirty)
                        update(walk, gpa, entry,
                               SECOND_ACCESSED | (leaf && (access & WRITE) ? SECOND_DIRTY : 0),
                               0x7c);
                table = entry & bits(51, 12);
                if (leaf) {
                        out->shift = shift_of(level);
                        out->address =
                                (table & ~(BIT(out->shift) - 1)) | (input & (BIT(out->shift) - 1));
                        out->leaf_gpa = gpa;
                        out->leaf = entry;
                        return true;
                }
        }
}

/* Of nested tables the second stage judges the addresses, by its own width. */
static bool first_is_reserved(const struct walk *walk, uint64_t entry, unsigned level, bool leaf)
{
        const struct vtd_frontend_config *config = walk->tables->config;
        uint64_t reserved = 0;

        if (walk->entry->type != PGTT_NESTED)
                reserved = bits(51, config->host_address_bits);
        if (level >= 4)
                reserved |= BIT(7);
        if (leaf && level == 3 && !config->first_stage_1gib)
                reserved |= BIT(7);
        if (leaf && level > 1)
                reserved |= bits(shift_of(level) - 1, 13);
        return entry & reserved;
}

/* What a first stage comes to. */
struct first {
        uint64_t address;
        unsigned shift;
        unsigned user, supervisor;
        uint64_t leaf_gpa, leaf;
};

/* The entry at @table for @level, wherever the second stage has it: *@gpa, *@entry. */
static bool read_first(struct walk *walk, uint64_t address, bool top, struct second *behind,
                       uint64_t *entry)
{
        const struct second_codes codes = {
                .limit = 0x74, .denied_read = top ? 0x75 : 0x76, .also_absent = top ? 0x75 : 0x76};

        behind->address = address;
        behind->access = READ | WRITE;
        if (walk->entry->type == PGTT_NESTED && !walk_second(walk, address, READ, &codes, behind))
                return false;
        if (!memory_get(walk->tables->memory, behind->address, entry))
                return refuse(walk, top ? 0x73 : 0x70);
        return true;
}

/* Sets @wanted in a first-stage entry, which @behind is the place of. */
static void update_first(struct walk *walk, const struct second *behind, uint64_t entry,
                         uint64_t wanted)
{
        if ((entry & wanted) == wanted)
                return;
        update(walk, behind->address, entry, wanted, 0x90);
        if (walk->entry->type != PGTT_NESTED)
                return;
        if (!(behind->access & WRITE))
                reasons_add(&walk->forbidden, 0x77);
        else if (walk->entry->second_dirty)
                update(walk, behind->leaf_gpa, behind->leaf, SECOND_DIRTY, 0x7c);
}

static bool walk_first(struct walk *walk, const struct vtd_frontend_dma_request *request,
                       struct first *out)
{
        unsigned levels = walk->entry->first_levels, sign = levels == 5 ? 56 : 47;
        uint64_t table = walk->entry->first_root, high = request->address >> sign;
        uint64_t accessed = FIRST_ACCESSED | (walk->entry->extended_accessed ? FIRST_EXTENDED : 0);
        unsigned writable = WRITE, user = READ | WRITE, access;

        if (high != 0 && high != UINT64_MAX >> sign)
                return refuse(walk, 0x80);
        for (unsigned level = levels;; level--) {
                uint64_t at = table + ((request->address >> shift_of(level)) & 0x1ff) * 8, entry;
                struct second behind;
                bool leaf;

                if (!read_first(walk, at, level == levels, &behind, &entry))
                        return false;
                if (!(entry & 1))
                        return refuse(walk, 0x71);
                leaf = level == 1 || (level <= 3 && (entry & BIT(7)));
                if (first_is_reserved(walk, entry, level, leaf))
                        return refuse(walk, 0x72);
                writable &= (unsigned)entry;
                user = entry & BIT(2) ? user : 0;
                table = entry & bits(51, 12);
                if (!leaf) {
                        update_first(walk, &behind, entry, accessed);
                        continue;
                }
                out->user = user & (READ | writable);
                out->supervisor = READ | (walk->entry->write_protect ? writable : WRITE);
                access = request->privileged ? out->supervisor : out->user;
                if (!request->privileged && user == 0)
                        return refuse(walk, 0x81);
                if (request->access & ~access)
                        return refuse(walk, 0x85);
                update_first(walk, &behind, entry,
                             accessed | (request->access & WRITE ? FIRST_DIRTY : 0));
                out->shift = shift_of(level);
                out->address = (table & ~(BIT(out->shift) - 1)) |
                               (request->address & (BIT(out->shift) - 1));
                out->leaf_gpa = behind.address;
                out->leaf = entry;
                return true;
        }
}

bool walk_pages(const struct tables *tables, const struct pasid_entry *entry,
                const struct vtd_frontend_dma_request *request, struct page *page,
                struct updates *updates, struct reasons *reasons)
{
        const struct second_codes final = {.limit = 0x84, .denied_read = 0x86};
        struct walk walk = {
                .tables = tables, .entry = entry, .updates = updates, .reasons = reasons};
        struct first first = {.address = request->address,
                              .shift = 64,
                              .user = READ | WRITE,
                              .supervisor = READ | WRITE};
        struct second second = {.shift = 64, .access = READ | WRITE};
        bool first_stage = entry->type != PGTT_SECOND_STAGE, good;
        bool second_stage = entry->type != PGTT_FIRST_STAGE;
        unsigned shift, access;

        updates->count = 0;
        good = !first_stage || walk_first(&walk, request, &first);
        second.address = first.address;
        if (good && second_stage)
                good = walk_second(&walk, first.address, request->access, &final, &second);
        if (good && second.address >= INTERRUPT_START && second.address < INTERRUPT_END)
                good = refuse(&walk, 0x87);
        for (unsigned i = 0; i < walk.forbidden.count; i++)
                good = refuse(&walk, walk.forbidden.codes[i]);
        if (!good)
                return false;
        access = second.access;
        if (!entry->supervisor)
                first.supervisor = 0;
        if (first_stage && !will_be_set(&walk, first.leaf_gpa, first.leaf, FIRST_DIRTY))
                access &= READ;
        if (second_stage && entry->second_dirty &&
            !will_be_set(&walk, second.leaf_gpa, second.leaf, SECOND_DIRTY))
                access &= READ;
        shift = first.shift < second.shift ? first.shift : second.shift;
        *page = (struct page){
                .address = request->address & ~(BIT(shift) - 1),
                .translated = second.address & ~(BIT(shift) - 1),
                .size = BIT(shift),
                .user = first.user & access,
                .supervisor = first.supervisor & access,
        };
        return true;
}
