/* SPDX-License-Identifier: MIT */
/*
 * The unit's work: commands of GCMD, invalidation descriptors, re-evaluation of bindings, and the
 * requests to the broker that follow from them, at most one of which is unanswered.
 *
 * Order is what makes it safe.  Each turn does the first of these that there is to do:
 *   1. take the answer to the outstanding request; nothing else happens before it has come;
 *   2. look at a binding that was marked, one table entry per turn, and ask for what it calls for,
 *      having a table that it would share under another tag invalidated first; after the last one,
 *      search for PASIDs that have no binding, likewise;
 *   3. send the pending invalidations, once something waits for them;
 *   4. finish a command: only now does GSTS show it;
 *   5. execute the descriptor that was fetched; wait, context-cache and PASID-cache descriptors and
 *      queue errors first have the pending invalidations sent;
 *   6. start a command, which marks bindings;
 *   7. fetch a descriptor.
 * Steps 1 to 3 are in attachments.h.
 * So a wait descriptor's status is written only after every earlier request was answered, and a
 * refused invalidation has blocked its devices by then.  A lost connection stops all of it for good.
 *
 * For emulated devices (dma/) an invalidation is executed when its descriptor is fetched, and a
 * command when it is started.  Before a command is finished, a wait descriptor executed or a queue
 * error raised, the accesses under way are drained and watches told; so they are when there is nothing
 * else to do, if there are watches to tell or the unit was reset.  The same holds for who keeps entries
 * of the interrupt remapping table, of which this unit itself keeps none.
 */
#ifndef VTD_FRONTEND_ENGINE_H
#define VTD_FRONTEND_ENGINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "frontend/backend.h"
#include "frontend/bindings.h"
#include "frontend/dma/dma.h"
#include "frontend/guest.h"
#include "frontend/interrupt.h"
#include "frontend/pending.h"
#include "frontend/queue.h"
#include "frontend/registers.h"
#include "frontend/scan.h"
#include "shared/log.h"

/* What an evaluation has come to. */
struct vtd_decision {
        struct vtd_target target;
        bool leave_alone; /* the device was not named after all */
        bool cached;      /* entry is to be remembered */
        struct vtd_pasid_entry entry;
        enum vtd_fault_reason fault; /* to be recorded once target is in force */
        bool fpd;
};

/* What the caller is to deliver, with no lock held. */
struct vtd_engine_output {
        struct vtd_message fault, invalidation; /* events of the unit */
        bool broker_lost;                       /* which the VMM is to be told */
};

struct vtd_engine {
        struct vtd_guest guest;
        struct vtd_log *log;
        struct vtd_capabilities capabilities;
        struct vtd_registers registers;
        struct vtd_queue queue;
        struct vtd_bindings bindings;
        struct vtd_pending pending;
        struct vtd_dma dma; /* the emulated devices */

        bool enabled;          /* translation, as bindings are evaluated; GSTS.TES follows */
        uint64_t root;         /* RTADDR as latched by SRTP */
        bool command_active;   /* started, to be shown in GSTS when all bindings are settled */
        bool command_set_root; /* it latched the root */
        bool command_set_interrupt_table;
        /* VTD_INTERRUPTS_*, as in force; other threads read it at any time. */
        _Atomic uint64_t interrupts;
        struct vtd_interrupt_change interrupt_change; /* which the VMM is to be told of */
        struct vtd_engine_output output;

        bool held; /* a fetched descriptor, or the queue error in its place, is to be executed */
        struct vtd_descriptor descriptor;
        size_t next_slot; /* the binding that an IOTLB descriptor has come to */
        bool held_error;
        enum vtd_queue_error error;
        bool flush_due;
        bool settle_due; /* accesses are to be drained even if no guest waits: after a reset */

        const struct vtd_binding *walking; /* whose tables walk is reading, or NULL */
        struct vtd_walk walk;
        const struct vtd_search *searching; /* whose PASIDs scan is looking for, or NULL */
        struct vtd_scan scan;

        struct vtd_backend *backend; /* NULL before connecting */
        bool lost;
        uint32_t minor;  /* of HelloReply: the version that is spoken, ... */
        uint32_t modes;  /* ... what is granted, ... */
        uint32_t pasids; /* ... and how many PASIDs at once */

        bool outstanding;
        bool abandoned; /* a reset came between: the answer only says what the broker holds */
        struct vtd_request request;
        struct vtd_binding *asked; /* for Attach */
        struct vtd_decision decision;
        bool attach_due; /* to be asked for once the tables that it would share are flushed */

        unsigned warnings_left; /* lines that a guest can still cause */
        struct vtd_refusal *refusal;
        struct vtd_frontend_stats stats;
};

/*
 * What of an engine can be saved.  All else follows from guest memory, or is what the broker has not
 * been told yet of tables that it then attaches anew.
 */
struct vtd_engine_state {
        struct vtd_registers registers; /* with the commands that are still to be carried out */
        uint64_t root;                  /* RTADDR as latched */
        uint64_t interrupt_table;       /* IRTA as latched */
        uint64_t iqa;                   /* IQA as latched; 0 unless GSTS.QIES */
};

/* Returns 0 with *@state; VTD_FRONTEND_LOST, _BUSY, as vtd_frontend_save(). */
int vtd_engine_save(const struct vtd_engine *engine, struct vtd_engine_state *state);

/*
 * The engine is in @state, which a guest could have reached: caches are empty, and all bindings are
 * marked; what is plugged and connected stays.
 */
void vtd_engine_restore(struct vtd_engine *engine, const struct vtd_engine_state *state);

/* The same, to the initial state. */
void vtd_engine_reset(struct vtd_engine *engine);

/* Results of running that are the caller's to deal with: apart from those of vtd_frontend_run(). */
enum {
        VTD_ENGINE_E_DRAINING = 0x100, /* accesses are under way that must end first */
        VTD_ENGINE_E_NEWS,             /* somebody is to be told, with no lock held */
        VTD_ENGINE_E_OUTPUT,           /* there is output, and more to do */
};

/*
 * See vtd_frontend_run(), whose results it returns besides the above; *@budget is what is left of it.
 * Whatever is returned, there may be output.
 */
int vtd_engine_run(struct vtd_engine *engine, unsigned *budget);

/*
 * With VTD_ENGINE_E_NEWS: the interrupts of which the VMM is to be told, besides what vtd_dma_tell()
 * does; they are forgotten here.
 */
struct vtd_interrupt_change vtd_engine_take_change(struct vtd_engine *engine);

/* What is to be delivered after any of the functions here; it is forgotten here, too. */
struct vtd_engine_output vtd_engine_take_output(struct vtd_engine *engine);

/* Carries out what a register write has set off (VTD_TRIGGER_* bits). */
void vtd_engine_trigger(struct vtd_engine *engine, unsigned triggers);

#endif
