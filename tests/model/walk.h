/* SPDX-License-Identifier: MIT */
/*
 * The reference walker: what the tables in memory say of one request now, without any cache.
 * Written from the architecture and the public headers alone; it shares no code with frontend/.
 * It changes nothing: accessed and dirty bits that a request would set are listed.
 *
 * Where the architecture leaves the order of two faults open, it names both.
 */
#ifndef VTD_TESTS_MODEL_WALK_H
#define VTD_TESTS_MODEL_WALK_H

#include "frontend/include/vtd/dma.h"
#include "tests/model/memory.h"

#define INTERRUPT_START UINT64_C(0xfee00000)
#define INTERRUPT_END   UINT64_C(0xfef00000)

#define READ  VTD_FRONTEND_DMA_READ
#define WRITE VTD_FRONTEND_DMA_WRITE

enum pgtt {
        PGTT_FIRST_STAGE = 1,
        PGTT_SECOND_STAGE = 2,
        PGTT_NESTED = 3,
        PGTT_PASSTHROUGH = 4,
};

/* Fault reasons, any of which may be the one. */
struct reasons {
        unsigned count;
        uint8_t codes[8];
};

/* A well-formed context entry, all that a request needs of it. */
struct context {
        uint64_t directory;
        uint32_t pasids; /* that the directory has room for */
        uint32_t rid_pasid;
        bool pasids_allowed; /* PASIDE */
        bool fpd;
};

/* A well-formed PASID-table entry with its directory entry's FPD. */
struct pasid_entry {
        enum pgtt type;
        uint16_t domain_id;
        uint32_t pasid;
        bool fpd;
        bool snoop; /* PWSNP */
        /* First-stage and nested, else 0. */
        uint64_t first_root;
        unsigned first_levels;
        bool supervisor, write_protect, extended_accessed;
        /* Second-stage and nested, else 0. */
        uint64_t second_root;
        unsigned second_levels;
        bool second_dirty; /* SSADE */
};

struct page {
        uint64_t address; /* input, where the block begins */
        uint64_t translated;
        uint64_t size;       /* 0: everything, which is passed unchanged */
        unsigned user;       /* what user requests may do, ... */
        unsigned supervisor; /* ... and privileged ones: READ, WRITE */
};

#define UPDATES 64u

/* Bits that a request sets in table entries. */
struct updates {
        unsigned count;
        struct {
                uint64_t gpa;
                uint64_t bits;
        } list[UPDATES];
};

struct tables {
        const struct memory *memory;
        const struct vtd_frontend_config *config;
        uint64_t root; /* RTADDR as latched */
};

void reasons_add(struct reasons *reasons, uint8_t code);
bool reasons_have(const struct reasons *reasons, uint8_t code);

/* False for faults of the root and of failed accesses above the paging entries. */
bool reason_is_qualified(uint8_t code);

/* FPD of an entry that faults counts too: both set *@fpd from what they read. */
bool walk_context(const struct tables *tables, uint16_t rid, bool with_pasid, struct context *out,
                  bool *fpd, struct reasons *reasons);
bool walk_pasid(const struct tables *tables, const struct context *context, uint32_t pasid,
                struct pasid_entry *out, bool *fpd, struct reasons *reasons);

/*
 * @entry translates, it is not pass-through.  True with *@page, and in *@updates exactly the bits
 * that have to change; false with @reasons, and in *@updates all bits that may.
 */
bool walk_pages(const struct tables *tables, const struct pasid_entry *entry,
                const struct vtd_frontend_dma_request *request, struct page *page,
                struct updates *updates, struct reasons *reasons);

#endif
