/* SPDX-License-Identifier: MIT */
/* See models.h. */
#include "broker/host_sim/models.h"

#include <string.h>

#include "shared/checked.h"

#define CAP_FS5LP (UINT64_C(1) << 60)

#define ECAP_C      (UINT64_C(1) << 0)
#define ECAP_SC     (UINT64_C(1) << 7)
#define ECAP_SRS    (UINT64_C(1) << 31)
#define ECAP_EAFS   (UINT64_C(1) << 34)
#define ECAP_PSS    35 /* the field's lowest bit */
#define ECAP_PASID  (UINT64_C(1) << 40)
#define ECAP_SMPWCS (UINT64_C(1) << 48)

#define PASID_BITS 20u

/* Both units can nest and take PASIDs: no 5-level tables, no supervisor requests. */
#define UNIT_CAP                                                                                   \
        (UINT64_C(6) |                                /* ND: 64K domain ids */                     \
         UINT64_C(1) << 10 |                          /* SAGAW: 48 bits, 4 levels */               \
         (uint64_t)(VTD_SIM_ADDRESS_BITS - 1) << 16 | /* MGAW */                                   \
         UINT64_C(1) << 22 |                          /* ZLR */                                    \
         UINT64_C(0x22) << 24 |                       /* FRO */                                    \
         UINT64_C(3) << 34 |                          /* SSLPS: 2 MiB, 1 GiB */                    \
         UINT64_C(1) << 39 |                          /* PSI */                                    \
         UINT64_C(18) << 48 |                         /* MAMV */                                   \
         UINT64_C(3) << 54 |                          /* DWD, DRD */                               \
         UINT64_C(1) << 56)                           /* FS1GP */
#define UNIT_ECAP                                                                                  \
        (UINT64_C(1) << 1 |   /* QI */                                                             \
         UINT64_C(1) << 6 |   /* PT */                                                             \
         UINT64_C(0xf) << 8 | /* IRO */                                                            \
         UINT64_C(1) << 26 |  /* NEST */                                                           \
         UINT64_C(1) << 43 |  /* SMTS */                                                           \
         UINT64_C(1) << 46 |  /* SSTS */                                                           \
         UINT64_C(1) << 47 |  /* FSTS */                                                           \
         ECAP_PASID | (uint64_t)(PASID_BITS - 1) << ECAP_PSS)

static const struct vtd_sim_unit units[VTD_SIM_UNITS] = {
        {.cap = UNIT_CAP, .ecap = UNIT_ECAP | ECAP_C | ECAP_SC | ECAP_SMPWCS},
        {.cap = UNIT_CAP, .ecap = UNIT_ECAP},
};

static const struct vtd_sim_model models[] = {
        {.name = "edu", .number = 1, .unit = 0, .pasid_bits = 0},
        {.name = "edu-pasid", .number = 2, .unit = 0, .pasid_bits = PASID_BITS},
        {.name = "edu-noncoherent", .number = 3, .unit = 1, .pasid_bits = PASID_BITS},
};

const struct vtd_sim_model *vtd_sim_model_named(const char *name)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(models); i++)
                if (strcmp(models[i].name, name) == 0)
                        return &models[i];
        return NULL;
}

const struct vtd_sim_model *vtd_sim_model_numbered(uint32_t number)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(models); i++)
                if (models[i].number == number)
                        return &models[i];
        return NULL;
}

const struct vtd_sim_unit *vtd_sim_unit_of(const struct vtd_sim_model *model)
{
        return &units[model->unit];
}

bool vtd_sim_unit_is_coherent(const struct vtd_sim_unit *unit)
{
        return (unit->ecap & ECAP_SMPWCS) != 0;
}

bool vtd_sim_unit_controls_snooping(const struct vtd_sim_unit *unit)
{
        return (unit->ecap & ECAP_SC) != 0;
}

bool vtd_sim_unit_has_five_levels(const struct vtd_sim_unit *unit)
{
        return (unit->cap & CAP_FS5LP) != 0;
}

bool vtd_sim_unit_has_supervisor_requests(const struct vtd_sim_unit *unit)
{
        return (unit->ecap & ECAP_SRS) != 0;
}

bool vtd_sim_unit_has_extended_accessed(const struct vtd_sim_unit *unit)
{
        return (unit->ecap & ECAP_EAFS) != 0;
}
