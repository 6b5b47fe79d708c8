/* SPDX-License-Identifier: MIT */
/*
 * What can be simulated: models of devices, and the two IOMMUs that they stand behind.  The first
 * unit walks tables coherently and controls snooping; the second does neither, as units do that
 * serve an integrated device beside those for the slots.  Constant tables, no system calls.
 */
#ifndef VTD_BROKER_HOST_SIM_MODELS_H
#define VTD_BROKER_HOST_SIM_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VTD_SIM_UNITS 2u

/* Input width of the second stage, and with it the width of every guest-physical address. */
#define VTD_SIM_ADDRESS_BITS 48u

/* A VT-d unit's registers. */
struct vtd_sim_unit {
        uint64_t cap;
        uint64_t ecap;
};

struct vtd_sim_model {
        const char *name; /* what a policy calls it */
        uint32_t number;  /* in a device's file; never 0 */
        uint32_t unit;    /* below VTD_SIM_UNITS */
        uint8_t pasid_bits;
};

/* The model of that name or number, or NULL. */
const struct vtd_sim_model *vtd_sim_model_named(const char *name);
const struct vtd_sim_model *vtd_sim_model_numbered(uint32_t number);

/* The unit that devices of @model stand behind. */
const struct vtd_sim_unit *vtd_sim_unit_of(const struct vtd_sim_model *model);

/* What the driver derives from a unit's registers. */
bool vtd_sim_unit_is_coherent(const struct vtd_sim_unit *unit);
bool vtd_sim_unit_controls_snooping(const struct vtd_sim_unit *unit);
bool vtd_sim_unit_has_five_levels(const struct vtd_sim_unit *unit);
bool vtd_sim_unit_has_supervisor_requests(const struct vtd_sim_unit *unit);
bool vtd_sim_unit_has_extended_accessed(const struct vtd_sim_unit *unit);

#endif
