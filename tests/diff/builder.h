/* SPDX-License-Identifier: MIT */
/*
 * What programs are put together from: random numbers, pages, tables, and the invalidation queue.
 * The builder follows what a guest would know (what it has mapped where, its tail, its GCMD), never
 * what a unit does.
 */
#ifndef VTD_TESTS_DIFF_BUILDER_H
#define VTD_TESTS_DIFF_BUILDER_H

#include "tests/diff/program.h"

#define PAGE_BYTES 4096u

/* Registers, by their offsets. */
enum {
        REG_GCMD = 0x018,
        REG_RTADDR = 0x020,
        REG_FSTS = 0x034,
        REG_FECTL = 0x038,
        REG_FEDATA = 0x03c,
        REG_FEADDR = 0x040,
        REG_IQT = 0x088,
        REG_IQA = 0x090,
        REG_ICS = 0x09c,
        REG_IECTL = 0x0a0,
        REG_IEDATA = 0x0a4,
        REG_IEADDR = 0x0a8,
        REG_FRCD = 0x220,
};

#define GCMD_TE   UINT32_C(0x80000000)
#define GCMD_SRTP UINT32_C(0x40000000)
#define GCMD_SFL  UINT32_C(0x20000000)
#define GCMD_EAFL UINT32_C(0x10000000)
#define GCMD_WBF  UINT32_C(0x08000000)
#define GCMD_QIE  UINT32_C(0x04000000)
#define GCMD_CFI  UINT32_C(0x00800000)

#define PWSNP UINT64_C(0x800000) /* in the second word of a PASID-table entry */

enum space_type { SPACE_FIRST_STAGE = 1, SPACE_SECOND_STAGE = 2, SPACE_PASSTHROUGH = 4 };

struct mapping {
        uint64_t address;    /* of the device */
        uint64_t translated; /* guest-physical */
        unsigned shift;      /* log2 of its size: 12, 21 or 30 */
        uint64_t entry;      /* where its paging entry is, ... */
        uint64_t value;      /* ... and what it should hold */
        bool present;
};

#define MAPPINGS_MAX 16u
#define NODES_MAX    40u

/* A paging structure below the root. */
struct node {
        unsigned level; /* of the entries in it */
        uint64_t prefix;
        uint64_t table;
        uint64_t parent; /* where the entry is that points to it, ... */
        uint64_t value;  /* ... and what it holds */
};

/* What one PASID-table entry says. */
struct space {
        enum space_type type;
        unsigned levels;
        uint16_t domain_id;
        uint64_t root;
        struct mapping mappings[MAPPINGS_MAX];
        unsigned mapping_count;
        struct node nodes[NODES_MAX];
        unsigned node_count;
        uint64_t next_address; /* where nothing is mapped yet */
};

#define SPACES 3u

/* The entries on the way of one device, and what they should hold. */
struct path {
        uint64_t root_entry, root_value;
        uint64_t context_entry, context_value;
        uint64_t directory_entry, directory_value;
        uint64_t pasid_entry;
        unsigned space;
};

struct builder {
        struct diff_program *program;
        uint64_t random;
        uint64_t next_page, pages_end;
        struct space spaces[SPACES];
        struct path paths[DIFF_DEVICES];
        uint64_t root_table;
        uint32_t command; /* sticky GCMD bits */
        uint64_t queue;
        unsigned queue_order; /* IQA.QS */
        uint32_t tail;
        uint32_t next_status;
        uint8_t group;            /* of the steps that are put */
        struct diff_step surplus; /* what a full program has no room for */
};

/* Numbers below @limit (not 0); true once in @n times. */
uint64_t below(struct builder *builder, uint64_t limit);
bool once_in(struct builder *builder, uint64_t n);

/* True while there is room for @steps more steps and some pages for tables. */
bool has_room(const struct builder *builder, unsigned steps);

/* A page for tables, zero. */
uint64_t new_page(struct builder *builder);

/* Steps, of which some return the one that they have put.  The register write is compared at once unless @unobserved. */
struct diff_step *put_words(struct builder *builder, uint64_t gpa, const uint64_t *words,
                            unsigned count);
void put64(struct builder *builder, uint64_t gpa, uint64_t value);
void put_register(struct builder *builder, unsigned offset, unsigned size, uint64_t value,
                  bool unobserved);
void put_read(struct builder *builder, unsigned offset, unsigned size);
struct diff_step *put_dma(struct builder *builder, unsigned device, uint64_t address,
                          uint32_t length);
/* The copier reads at @from and writes the same at @to. */
void put_copy(struct builder *builder, unsigned device, uint64_t from, uint64_t to,
              uint32_t length);

/* GCMD with the sticky bits of the last one and @set, without @clear. */
void put_command(struct builder *builder, uint32_t set, uint32_t clear);

/* A PASID-table entry for @space; the one of @device for its space is put. */
void fill_pasid_entry(const struct space *space, uint64_t words[8]);
void put_pasid_entry(struct builder *builder, unsigned device);

/* Maps a page of 1 << @shift at the next free address of @space; NULL when there is no room. */
struct mapping *map_page(struct builder *builder, struct space *space, unsigned shift);

/* One descriptor into the queue, without moving the tail. */
void put_descriptor(struct builder *builder, uint64_t first, uint64_t second);
/* The tail. */
void kick(struct builder *builder, bool unobserved);
/* A wait with a status write, and the tail. */
void put_wait(struct builder *builder);

/* Enough for a changed entry of the kind; which descriptors do it is chosen at random. */
void invalidate_mapping(struct builder *builder, const struct space *space,
                        const struct mapping *mapping);
/* 1 << @order pages, those around @address. */
void invalidate_pages(struct builder *builder, const struct space *space, uint64_t address,
                      uint64_t order);
void invalidate_space(struct builder *builder, const struct space *space);
void invalidate_all(struct builder *builder);

#endif
