/* SPDX-License-Identifier: MIT */
/* The unit as a whole, for the files of this folder; nothing here is exported. */
#ifndef VTD_FRONTEND_INTERNAL_H
#define VTD_FRONTEND_INTERNAL_H

#include <pthread.h>

#include "frontend/backend.h"
#include "frontend/engine.h"
#include "frontend/include/vtd/frontend.h"
#include "shared/log.h"

struct vtd_frontend {
        struct vtd_frontend_config config;
        struct vtd_log log;
        /*
         * Of the register page, which threads that have a request of a device judged write faults
         * to.  All else in the engine belongs to calls that do not overlap.  Held for a bounded
         * time, never while the broker is waited for, a message sent or a watch told.
         */
        pthread_mutex_t lock;
        struct vtd_engine engine;
        struct vtd_refusal refusal;
        vtd_frontend_interrupts_changed interrupts_changed; /* or NULL */
        void *interrupts_changed_opaque;
};

/* A mutex that was initialised and is not held by its caller cannot fail. */
static inline void vtd_frontend_lock(struct vtd_frontend *frontend)
{
        (void)pthread_mutex_lock(&frontend->lock);
}

static inline void vtd_frontend_unlock(struct vtd_frontend *frontend)
{
        (void)pthread_mutex_unlock(&frontend->lock);
}

/* The unit is in @state, or in reset state if that is NULL: a reset and a restore have one way. */
void vtd_frontend_begin_anew(struct vtd_frontend *frontend, const struct vtd_engine_state *state);

/*
 * Sends @request, with @fd unless that is -1, and waits for its answer.
 * Returns 0 with @reply; VTD_FRONTEND_REFUSED, _LOST, _BUSY.
 */
int vtd_frontend_call(struct vtd_frontend *frontend, struct vtd_request *request, int fd,
                      struct vtd_reply *reply);

/*
 * Puts @backend in the place of a connection to a broker and says Hello through it.  It is owned by
 * the unit from here on, whatever the result, except after -EISCONN.  For tests and benchmarks,
 * which link the static library.
 * Returns as vtd_frontend_connect().
 */
int vtd_frontend_set_backend(struct vtd_frontend *frontend, struct vtd_backend *backend,
                             struct vtd_frontend_broker *broker);

#endif
