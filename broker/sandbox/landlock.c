/* SPDX-License-Identifier: MIT */
/*
 * See landlock.h.  Must guarantee that the ruleset handles at least what the reported ABI promises:
 * a kernel that answers a high ABI and takes fewer rights is refused.
 */
#include "broker/sandbox/landlock.h"

#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"

#define CREATE_RULESET_VERSION 1u /* flag of landlock_create_ruleset() */

struct ruleset_attr {
        uint64_t handled_access_fs;
        uint64_t handled_access_net;
        uint64_t scoped;
};

/* Rights that each ABI brought, as the number of bits from then on. */
struct abi_rights {
        uint32_t abi;
        unsigned fs_bits;
        unsigned net_bits;
        unsigned scope_bits;
};

static const struct abi_rights abi_table[] = {
        {1, 13, 0, 0}, /* Linux 5.13 */
        {2, 14, 0, 0}, /* refer */
        {3, 15, 0, 0}, /* truncate */
        {4, 15, 2, 0}, /* TCP bind and connect */
        {5, 16, 2, 0}, /* ioctl on devices */
        {6, 16, 2, 2}, /* abstract UNIX sockets, signals */
};

static int create_ruleset(const struct ruleset_attr *attr, size_t size, uint32_t flags)
{
        return (int)syscall(SYS_landlock_create_ruleset, attr, size, flags);
}

uint32_t vtd_landlock_abi(void)
{
        int abi = create_ruleset(NULL, 0, CREATE_RULESET_VERSION);

        return abi > 0 ? (uint32_t)abi : 0;
}

/* The mask of consecutive bits from 0 that the kernel takes in one field of @attr. */
static uint64_t probe_bits(struct ruleset_attr *attr, uint64_t *field)
{
        uint64_t known = 0;

        for (unsigned bit = 0; bit < 64; bit++) {
                VTD_CLEANUP_FD int fd = -1;

                *field = UINT64_C(1) << bit;
                fd = create_ruleset(attr, sizeof(*attr), 0);
                if (fd < 0)
                        break;
                known |= *field;
        }
        *field = 0;
        return known;
}

struct vtd_landlock_rights vtd_landlock_known_rights(void)
{
        struct ruleset_attr attr = {0};
        struct vtd_landlock_rights rights;

        rights.access_fs = probe_bits(&attr, &attr.handled_access_fs);
        rights.access_net = probe_bits(&attr, &attr.handled_access_net);
        rights.scoped = probe_bits(&attr, &attr.scoped);
        return rights;
}

static bool has_bits(uint64_t known, unsigned bits)
{
        uint64_t promised = (UINT64_C(1) << bits) - 1;

        return (known & promised) == promised;
}

static bool keeps_promise(uint32_t abi, const struct vtd_landlock_rights *rights)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(abi_table); i++) {
                const struct abi_rights *row = &abi_table[i];

                if (row->abi <= abi && (!has_bits(rights->access_fs, row->fs_bits) ||
                                        !has_bits(rights->access_net, row->net_bits) ||
                                        !has_bits(rights->scoped, row->scope_bits)))
                        return false;
        }
        return true;
}

int vtd_landlock_deny_all(uint32_t abi_min, uint32_t *abi, struct vtd_log *log)
{
        VTD_CLEANUP_FD int fd = -1;
        uint32_t found = vtd_landlock_abi();
        struct vtd_landlock_rights rights;
        struct ruleset_attr attr;

        if (found == 0 || found < abi_min)
                return vtd_fail(log, -EOPNOTSUPP, "Landlock ABI %u found, at least %u needed",
                                found, abi_min);
        rights = vtd_landlock_known_rights();
        if (!keeps_promise(found, &rights))
                return vtd_fail(log, -EOPNOTSUPP,
                                "Landlock ABI %u takes fewer rights than it promises", found);
        attr = (struct ruleset_attr){
                .handled_access_fs = rights.access_fs,
                .handled_access_net = rights.access_net,
                .scoped = rights.scoped,
        };
        fd = create_ruleset(&attr, sizeof(attr), 0);
        if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0) {
                int error = vtd_errno();

                return vtd_fail(log, error, "Landlock rules not enforced: %s", strerror(-error));
        }
        *abi = found;
        return 0;
}
