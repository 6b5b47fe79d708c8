/* SPDX-License-Identifier: MIT */
/*
 * A second reading of the tables below a PASID-table entry, first stage, second stage and both: by
 * the architecture, in the plainest way, without caches and without setting any bit.
 */
#ifndef VTD_TESTS_FUZZ_PAGING_H
#define VTD_TESTS_FUZZ_PAGING_H

#include "frontend/include/vtd/dma.h"
#include "tests/fuzz/unit.h"

/*
 * Where the first byte of @request goes by the tables as they are in memory, translation being on.
 * Returns true with *@gpa; false when the request is to be blocked.
 */
bool fuzz_expect_translation(const struct fuzz_unit *fuzz,
                             const struct vtd_frontend_dma_request *request, uint64_t *gpa);

#endif
