/* SPDX-License-Identifier: MIT */
/* Any configuration that a VMM can ask for, possible or not.  After frontend/capabilities.c. */
#ifndef TESTS_PROVE_ANY_CONFIG_H
#define TESTS_PROVE_ANY_CONFIG_H

#include "tests/prove/prove.h"

struct vtd_frontend_config nondet_config(void);

int vtd_fail(struct vtd_log *log, int result, const char *format, ...)
{
        (void)log;
        (void)format;
        return result;
}

static struct vtd_frontend_config any_config(void)
{
        struct vtd_frontend_config config = nondet_config();

        config.first_stage = nondet_bool();
        config.first_stage_1gib = nondet_bool();
        config.first_stage_5level = nondet_bool();
        config.supervisor_requests = nondet_bool();
        config.extended_accessed = nondet_bool();
        config.second_stage_dirty = nondet_bool();
        config.nested = nondet_bool();
        config.caching_mode = nondet_bool();
        config.snoop_control = nondet_bool();
        config.interrupt_remapping = nondet_bool();
        config.extended_interrupt_mode = nondet_bool();
        return config;
}

#endif
