/* SPDX-License-Identifier: MIT */
/* The unit as a whole, for the files of this folder; nothing here is exported. */
#ifndef VTD_FRONTEND_INTERNAL_H
#define VTD_FRONTEND_INTERNAL_H

#include "frontend/backend.h"
#include "frontend/engine.h"
#include "frontend/include/vtd/frontend.h"
#include "shared/log.h"

struct vtd_frontend {
        struct vtd_frontend_config config;
        struct vtd_log log;
        struct vtd_engine engine;
        struct vtd_refusal refusal;
};

/*
 * Puts @backend in the place of a connection to a broker and says Hello through it.  It is owned by
 * the unit from here on, whatever the result, except after -EISCONN.  For tests and benchmarks,
 * which link the static library.
 * Returns as vtd_frontend_connect().
 */
int vtd_frontend_set_backend(struct vtd_frontend *frontend, struct vtd_backend *backend,
                             struct vtd_frontend_broker *broker);

#endif
