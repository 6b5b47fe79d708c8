/* SPDX-License-Identifier: MIT */
/* See paging.h. */
#include "tests/fuzz/paging.h"

#include "shared/checked.h"
#include "tests/fuzz/expect.h"

#define BIT(n)  (UINT64_C(1) << (n))
#define ADDRESS UINT64_C(0xffffffffff000)

/* By which PASID-table entry @request is read. */
struct reading {
        const struct fuzz_unit *fuzz;
        const struct vtd_frontend_dma_request *request;
        unsigned type; /* PGTT */
        uint64_t entry[8];
};

static uint64_t low(unsigned bits)
{
        return BIT(bits) - 1;
}

static bool load(const struct reading *reading, uint64_t gpa, uint64_t *value)
{
        if (!vtd_range_within(gpa, 8, FUZZ_MEMORY_SIZE))
                return false;
        *value = fuzz_get64(reading->fuzz, gpa);
        return true;
}

static uint64_t too_wide(const struct reading *reading)
{
        return ADDRESS & ~low(reading->fuzz->config.host_address_bits);
}

/* A bit that is missing can be set only where page walks snoop, and in memory that can be written. */
static bool can_mark(const struct reading *reading, uint64_t gpa, uint64_t value, uint64_t bits)
{
        return (value & bits) == bits || ((reading->entry[1] & BIT(23)) && gpa < FUZZ_READ_ONLY);
}

static uint64_t reserved_in_second(const struct reading *reading, unsigned shift, bool page)
{
        uint64_t reserved = too_wide(reading) | BIT(62);

        if (!page || !reading->fuzz->config.snoop_control)
                reserved |= BIT(11);
        if (shift >= 39)
                reserved |= BIT(7);
        if (page)
                reserved |= low(shift) & ~low(12);
        return reserved;
}

static bool read_second(const struct reading *reading, uint64_t address, unsigned access,
                        uint64_t *gpa)
{
        unsigned levels = (unsigned)(reading->entry[0] >> 2 & 7) + 2;
        unsigned shift = 12 + 9 * (levels - 1), width = shift + 9;
        uint64_t table = reading->entry[0] & ADDRESS, value, rights = 3;
        bool mark = reading->entry[0] & BIT(9), page;

        if (width > reading->fuzz->config.address_bits)
                width = reading->fuzz->config.address_bits;
        if (address >> width != 0)
                return false;
        for (;; shift -= 9) {
                uint64_t at = table + (address >> shift & 511) * 8;

                if (!load(reading, at, &value) || !(value & 3))
                        return false;
                page = shift == 12 || ((value & BIT(7)) && shift < 39);
                if (value & reserved_in_second(reading, shift, page))
                        return false;
                rights &= value;
                if (page && (access & ~rights))
                        return false;
                if (mark &&
                    !can_mark(reading, at, value, BIT(8) | (page && access & 2 ? BIT(9) : 0)))
                        return false;
                if (page)
                        break;
                table = value & ADDRESS;
        }
        *gpa = (value & ADDRESS & ~low(shift)) | (address & low(shift));
        return true;
}

/* Where a first-stage table's entry at @address is: behind the second stage if there is one. */
static bool reach(const struct reading *reading, uint64_t address, unsigned access, uint64_t *gpa)
{
        *gpa = address;
        return reading->type != 3 || read_second(reading, address, access, gpa);
}

static uint64_t reserved_in_first(const struct reading *reading, unsigned shift, bool page)
{
        uint64_t reserved = reading->type == 3 ? 0 : too_wide(reading);

        if (shift >= 39)
                reserved |= BIT(7);
        if (page && shift > 12)
                reserved |= low(shift) & ~low(13);
        if (shift == 30 && !reading->fuzz->config.first_stage_1gib)
                reserved |= BIT(7);
        return reserved;
}

/* The bits that say what an entry was used for are there, or can be set. */
static bool is_marked(const struct reading *reading, uint64_t address, uint64_t value, bool page)
{
        uint64_t bits = BIT(5), gpa;

        if (page && reading->request->access & 2)
                bits |= BIT(6);
        if (reading->entry[2] & BIT(7))
                bits |= BIT(10);
        if ((value & bits) == bits)
                return true;
        return reach(reading, address, 2, &gpa) && can_mark(reading, gpa, value, bits);
}

static bool is_permitted(const struct reading *reading, uint64_t rights)
{
        bool write = reading->request->access & 2, protect = reading->entry[2] & BIT(4);

        if (!reading->request->privileged)
                return (rights & BIT(2)) && (!write || (rights & BIT(1)));
        return !write || !protect || (rights & BIT(1));
}

static bool read_first(const struct reading *reading, uint64_t *output)
{
        unsigned shift = reading->entry[2] & BIT(2) ? 48 : 39;
        uint64_t address = reading->request->address, table = reading->entry[2] & ADDRESS;
        uint64_t value, gpa, rights = UINT64_MAX, upper = address >> (shift + 8);
        bool page;

        if (upper != 0 && upper != UINT64_MAX >> (shift + 8))
                return false;
        for (;; shift -= 9) {
                uint64_t at = table + (address >> shift & 511) * 8;

                if (!reach(reading, at, 1, &gpa) || !load(reading, gpa, &value) || !(value & 1))
                        return false;
                page = shift == 12 || ((value & BIT(7)) && shift < 39);
                if (value & reserved_in_first(reading, shift, page))
                        return false;
                rights &= value;
                if (page && !is_permitted(reading, rights))
                        return false;
                if (!is_marked(reading, at, value, page))
                        return false;
                if (page)
                        break;
                table = value & ADDRESS;
        }
        *output = (value & ADDRESS & ~low(shift)) | (address & low(shift));
        return true;
}

static bool is_interrupt(uint64_t address)
{
        return address >> 20 == 0xfee;
}

/* Entry types that were offered, in the widths that were offered. */
static bool is_offered(const struct reading *reading)
{
        const struct vtd_frontend_config *config = &reading->fuzz->config;
        unsigned mode = reading->entry[2] >> 2 & 3, width = reading->entry[0] >> 2 & 7;
        bool first = reading->type == 1 || reading->type == 3;

        if (first && (mode > 1 || (mode == 1 && !config->first_stage_5level)))
                return false;
        if ((reading->type == 2 || reading->type == 3) &&
            !(config->second_stage_widths >> width & 1))
                return false;
        return reading->type == 4 || (reading->type == 1 && config->first_stage) ||
               reading->type == 2 || (reading->type == 3 && config->nested);
}

bool fuzz_expect_translation(const struct fuzz_unit *fuzz,
                             const struct vtd_frontend_dma_request *request, uint64_t *gpa)
{
        struct reading reading = {.fuzz = fuzz, .request = request};
        uint64_t between = request->address;

        if ((!request->with_pasid && is_interrupt(request->address)) ||
            !fuzz_find_entry(fuzz, request->rid, request->with_pasid, request->pasid,
                             reading.entry))
                return false;
        reading.type = reading.entry[0] >> 6 & 7;
        if (!is_offered(&reading))
                return false;
        /* SRE belongs to the first stage. */
        if (request->privileged && !((reading.type & 1) && (reading.entry[2] & 1)))
                return false;
        *gpa = request->address;
        if (reading.type == 4 && request->address >> fuzz->config.host_address_bits != 0)
                return false;
        if ((reading.type & 1) && !read_first(&reading, &between))
                return false;
        *gpa = between;
        if ((reading.type & 2) && !read_second(&reading, between, request->access, gpa))
                return false;
        return !is_interrupt(*gpa);
}
