/* SPDX-License-Identifier: MIT */
/*
 * What a driver does, right and wrong, as steps of a program.  An action mends what it has broken.
 */
#ifndef VTD_TESTS_DIFF_ACTIONS_H
#define VTD_TESTS_DIFF_ACTIONS_H

#include "tests/diff/builder.h"

unsigned any_device(struct builder *builder);
uint32_t any_length(struct builder *builder);
struct space *space_of(struct builder *builder, unsigned device);

/* A device's address of the data in @mapping. */
uint64_t base_of(const struct mapping *mapping);

/* As a driver does; the record and PFO belong together. */
void clear_faults(struct builder *builder);

/* DMA that is meant to go well: of @device; of several, each with a record of its own. */
void use(struct builder *builder, unsigned device);
void use_all(struct builder *builder);

/* Registers. */
void start_queue(struct builder *builder);
void set_root(struct builder *builder);

/* Tables. */
void do_map(struct builder *builder);
void do_change_mapping(struct builder *builder);
void do_change_block(struct builder *builder);
void do_break_table(struct builder *builder);
void do_break_path(struct builder *builder);
void do_copy(struct builder *builder);
void do_stale(struct builder *builder);
void do_message(struct builder *builder);
void do_fault(struct builder *builder);
void do_switch(struct builder *builder);

/* The queue and registers. */
void do_descriptors(struct builder *builder);
void do_bad_descriptor(struct builder *builder);
void do_bad_tail(struct builder *builder);
void do_wrap(struct builder *builder);
void do_events(struct builder *builder);
void do_command(struct builder *builder);
void do_sweep(struct builder *builder);
void do_part(struct builder *builder);

#endif
