/* SPDX-License-Identifier: MIT */
/*
 * A program for a virtual IOMMU: what a guest does to guest memory, to the register page and with
 * its devices, one step after the other.  Both sides are given the same one, in the same machine:
 * RAM of DIFF_RAM_SIZE bytes from 0, all zero at first, and the devices of diff_devices.
 *
 * Programs are straight lines without state outside them, so that any step can be left out and the
 * rest is a program still.
 */
#ifndef VTD_TESTS_DIFF_PROGRAM_H
#define VTD_TESTS_DIFF_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define DIFF_RAM_SIZE UINT64_C(0x4000000)

/* Where programs keep things. */
#define DIFF_TABLES      UINT64_C(0x100000) /* root, context, PASID, paging tables and the queue */
#define DIFF_TABLES_SIZE UINT64_C(0x40000)
#define DIFF_STATUS      UINT64_C(0x200000) /* what wait descriptors write */
#define DIFF_STATUS_SIZE 64u
#define DIFF_DATA        UINT64_C(0x400000) /* what devices reach */
#define DIFF_DATA_SIZE   UINT64_C(0x10000)

#define DIFF_BUFFER_SIZE 4096u /* of a copier */

enum diff_setup {
        DIFF_FIRST_STAGE,  /* first stage and pass-through */
        DIFF_PASIDS,       /* the same, and PASIDs are offered */
        DIFF_SECOND_STAGE, /* second stage and pass-through */
        DIFF_SETUPS,
};

enum diff_device_kind {
        DIFF_WRITER, /* writes one fixed pattern and tells whether all of it arrived */
        DIFF_COPIER, /* reads into a buffer of its own and writes out of it; tells nothing */
};

struct diff_device {
        enum diff_device_kind kind;
        uint16_t rid;
};

#define DIFF_DEVICES 5u
extern const struct diff_device diff_devices[DIFF_DEVICES];

enum diff_kind {
        DIFF_MEMORY,   /* the CPU stores `words` at `address` */
        DIFF_WRITE,    /* ... writes a register */
        DIFF_READ,     /* ... reads one */
        DIFF_DMA,      /* a writer writes `length` bytes at `address` */
        DIFF_COPY_IN,  /* a copier reads them into its buffer, at `offset` */
        DIFF_COPY_OUT, /* a copier writes them from there */
};

#define DIFF_WORDS_MAX 8u

struct diff_step {
        enum diff_kind kind;
        /*
         * Registers are not compared after this step, because what lies between it and the next is
         * known to differ and both together are what is of interest.
         */
        bool unobserved;
        /*
         * DMA through an entry that was changed without invalidation: it may arrive at words[0], as
         * the entry was, or at words[1], as it is now, but at exactly one of them.
         */
        bool stale;
        bool descriptor; /* memory: what is stored is one, for the queue */
        uint8_t size;    /* registers: bytes; memory: words */
        uint8_t device;  /* index into diff_devices */
        uint8_t group;   /* steps that belong together; 0: what sets the machine up */
        uint16_t offset;
        uint32_t length;
        uint64_t address; /* guest-physical; of a register in the page; of DMA */
        uint64_t words[DIFF_WORDS_MAX];
};

#define DIFF_STEPS_MAX 640u

struct diff_program {
        uint64_t seed;
        enum diff_setup setup;
        unsigned count;
        struct diff_step steps[DIFF_STEPS_MAX];
};

/* Prints step @index for a reader. */
void diff_step_print(const struct diff_program *program, unsigned index, FILE *out);

const char *diff_setup_name(enum diff_setup setup);

/* The program of @seed: always the same for the same @seed and @setup. */
void diff_generate(struct diff_program *program, enum diff_setup setup, uint64_t seed);

#endif
