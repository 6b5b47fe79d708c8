/* SPDX-License-Identifier: MIT */
/*
 * A guest that does anything at random in a small world, and what it may see.  The unit under test
 * is reached through its public functions only.
 */
#ifndef VTD_TESTS_MODEL_H
#define VTD_TESTS_MODEL_H

#include "tests/model/caches.h"
#include "tests/model/random.h"

#define RECORDS_MAX   8u
#define WATCHERS      4u
#define KEPT          8u
#define RECENT        8u
#define QUEUE_ENTRIES 256u

/* Where the guest keeps things; entries of tables are made by world.c. */
#define QUEUE       UINT64_C(0xc000) /* two pages */
#define STATUS_PAGE UINT64_C(0xe000)

#define STATISTICS(X)                                                                              \
        X(fresh, "translations from memory as it was")                                             \
        X(stale, "translations that only an older state explains")                                 \
        X(unread, "translations without a read of guest memory")                                   \
        X(first_stage, "first-stage translations")                                                 \
        X(second_stage, "second-stage translations")                                               \
        X(nested, "nested translations")                                                           \
        X(passthrough, "pass-through requests")                                                    \
        X(untranslated, "requests while translation was off")                                      \
        X(interrupts, "interrupt messages")                                                        \
        X(impossible, "requests that no device makes")                                             \
        X(faulted, "requests that faulted")                                                        \
        X(recorded, "faults recorded")                                                             \
        X(dropped, "faults dropped for lack of room")                                              \
        X(suppressed, "faults suppressed by FPD")                                                  \
        X(stale_faults, "faults that only an older state explains")                                \
        X(marked, "requests that set accessed or dirty bits")                                      \
        X(descriptors, "descriptors executed")                                                     \
        X(waits, "wait descriptors completed")                                                     \
        X(queue_errors, "queue errors")                                                            \
        X(shrunk_contexts, "context-cache invalidations that shrank a set")                        \
        X(shrunk_entries, "PASID-cache invalidations that shrank a set")                           \
        X(shrunk_pages, "IOTLB invalidations that shrank a set")                                   \
        X(shrunk_pasid_pages, "PASID-based IOTLB invalidations that shrank a set")                 \
        X(held, "invalidations that waited for an access to end")                                  \
        X(held_commands, "commands that waited for an access to end")                              \
        X(raced, "requests that an invalidation met half-way")                                     \
        X(root_changes, "root tables set")                                                         \
        X(switches, "times that translation was switched")                                         \
        X(queue_switches, "times that the queue was switched")                                     \
        X(resets, "resets")                                                                        \
        X(restores, "restores into the same unit")                                                 \
        X(moves, "restores into another unit")                                                     \
        X(kept, "translations that a watching back end kept")                                      \
        X(told, "kept translations that it was told to forget")

struct statistics {
#define STATISTIC(name, text) uint64_t name;
        STATISTICS(STATISTIC)
#undef STATISTIC
        uint64_t reasons[256]; /* faults recorded, by their reason */
};

/* A back end that keeps what it was told until it is told otherwise, as vhost does. */
struct watcher {
        bool active;
        struct vtd_frontend_dma_request request; /* rid and PASID, of those watched and kept */
        struct {
                bool used;
                bool privileged;
                struct vtd_frontend_dma_translation translation;
        } kept[KEPT];
        uint64_t told;
};

/* What the fault recording registers are to hold. */
struct fault_log {
        unsigned next, first; /* first: FSTS.FRI */
        bool full[RECORDS_MAX];
        bool overflow; /* PFO */
        bool queue_error;
        unsigned messages; /* that have to have been sent */
};

struct model {
        struct vtd_frontend_config config;
        struct memory memory;
        struct random random;
        struct vtd_frontend *unit;

        bool enabled, queue_enabled;
        uint64_t root; /* as latched */
        uint32_t head, tail;
        unsigned frcd; /* offset of the fault records */

        struct caches caches;
        struct candidates candidates;
        struct fault_log faults;
        struct watcher watchers[WATCHERS];
        struct vtd_frontend_dma_request recent[RECENT]; /* that were translated */
        struct statistics stats;
        bool failed;
        char message[512]; /* why */
};

/* Remembers the first failure.  Returns false. */
bool model_fail(struct model *model, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A unit of the model's configuration, with its memory; NULL after a failure. */
struct vtd_frontend *model_new_unit(struct model *model);

/* --- world.c */

/* Fills all tables; changes one entry. */
void world_fill(struct model *model);
void world_change(struct model *model);

/* Addresses that the tables have to do with; of a root table, with a table mode. */
uint64_t world_address(struct model *model);
uint64_t world_root(struct model *model);
uint16_t world_rid(struct model *model);
uint32_t world_pasid(struct model *model);
uint16_t world_domain_id(struct model *model);

/* --- registers.c */

uint32_t model_read32(struct model *model, unsigned offset);
void model_write32(struct model *model, unsigned offset, uint32_t value);
void model_write64(struct model *model, unsigned offset, uint64_t value);

/* Calls run() until nothing is left to do. */
bool model_settle(struct model *model);
/* Calls run() for all that can be done while an access is under way that began before. */
bool model_run(struct model *model);

/* Writes GCMD with one change to what is in force: bit 31 TE, 30 SRTP, 26 QIE. */
void model_command(struct model *model, uint32_t bit, bool set);

/* After reset: interrupts on, root table, queue, translation. */
bool model_start(struct model *model);

/* Actions of the guest; each ends with everything settled and checked. */
bool model_set_root(struct model *model);
bool model_switch_translation(struct model *model);
bool model_switch_queue(struct model *model);
bool model_reset(struct model *model);
bool model_hold_command(struct model *model);
bool model_restore(struct model *model);

/* --- queue.c */

/* One to four descriptors and a wait descriptor, now and then a wrong one. */
bool model_invalidate(struct model *model);
/* The same, good ones, with an access under way. */
bool model_hold_invalidation(struct model *model);
/* Everything is invalidated, so that the sets are empty. */
bool model_invalidate_all(struct model *model);
/* The same in two parts; between them an access is under way. */
bool model_invalidate_all_begin(struct model *model);
bool model_invalidate_all_end(struct model *model);

/* --- requests.c */

/* A random request, and whether its answer is allowed. */
bool model_translate(struct model *model);
bool model_impossible_request(struct model *model);
/* A request during which tables are changed and everything is invalidated. */
bool model_race(struct model *model);

/* --- faults.c */

/* A fault of @request was counted: checks its record; *@reason is 0 when there is none. */
bool faults_check(struct model *model, const struct vtd_frontend_dma_request *request,
                  uint8_t *reason);
/* IQE rose, or was cleared by the guest. */
void faults_queue_error(struct model *model, bool set);
/* The guest clears one record, or all and PFO. */
bool faults_clear(struct model *model);
/* FSTS and the events are as they have to be. */
bool faults_are_right(struct model *model);

/* --- watch.c */

/* Begins or ends to watch a device. */
bool watch_change(struct model *model);
/* A watching back end keeps this. */
void watch_keep(struct model *model, const struct vtd_frontend_dma_request *request,
                const struct vtd_frontend_dma_translation *translation);
/* The unit is gone, and with it who watches it. */
void watch_end(struct model *model);
/* What is kept is still allowed. */
bool watch_check(struct model *model);

#endif
