/* SPDX-License-Identifier: MIT */
/*
 * A second reading of the guest's tables, by the architecture and in the plainest way: what devices
 * must be bound to once the guest has announced its tables and nothing is under way any more.
 */
#ifndef VTD_TESTS_FUZZ_EXPECT_H
#define VTD_TESTS_FUZZ_EXPECT_H

#include "tests/fuzz/unit.h"

struct fuzz_expected {
        enum vtd_attach_mode mode;
        /* First-stage, else 0. */
        uint64_t root;
        uint32_t address_width, flags;
};

/*
 * Finds the PASID-table entry of requests of @rid with @pasid, or unless @with_pasid without one.
 * Returns true with *@entry, eight quadwords, when it is present and has no reserved bits; what it
 * asks for may still be impossible.
 */
bool fuzz_find_entry(const struct fuzz_unit *fuzz, uint16_t rid, bool with_pasid, uint32_t pasid,
                     uint64_t *entry);

/* What requests of @rid with @pasid, or unless @with_pasid without one, are to be bound to. */
struct fuzz_expected fuzz_expect(const struct fuzz_unit *fuzz, uint16_t rid, bool with_pasid,
                                 uint32_t pasid);

/*
 * The guest stops its queue, announces all its tables, and the broker does all that it is asked for:
 * then every device and every PASID is bound to what is expected.
 */
void fuzz_check_outcome(struct fuzz_unit *fuzz);

#endif
