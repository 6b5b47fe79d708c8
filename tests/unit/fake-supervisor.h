/* SPDX-License-Identifier: MIT */
/*
 * The functions of broker/worker/supervisor.h without a vtd-brokerd: devices are small files, audit
 * records are kept.  The worker core must be given &fake_supervisor.base.
 */
#ifndef VTD_TESTS_FAKE_SUPERVISOR_H
#define VTD_TESTS_FAKE_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/worker/supervisor.h"
#include "tests/unit/fake-host.h"

#define FAKE_AUDITS 4096u

struct fake_supervisor {
        struct vtd_supervisor base;
        struct fake_host *host; /* borrowed: told of last closes */
        int open_result;        /* 0, VTD_SUPERVISOR_E_*, or negative */
        int close_result;
        int dispatch_result;
        int greeted_result;
        unsigned greeted, dispatched;
        bool opened[FAKE_DEVICES];
        size_t n_audits; /* the newest FAKE_AUDITS are kept, by number modulo FAKE_AUDITS */
        struct vtd_control_audit audits[FAKE_AUDITS];
};

size_t fake_supervisor_opened(const struct fake_supervisor *supervisor);

/* The newest record of @kind and @code, or NULL. */
const struct vtd_control_audit *fake_supervisor_find(const struct fake_supervisor *supervisor,
                                                     enum vtd_audit_kind kind, uint32_t code);

#endif
