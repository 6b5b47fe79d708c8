/* SPDX-License-Identifier: MIT */
/*
 * A compiled policy: what one tenant may do, as a flat struct of numbers, each with the line it
 * comes from, so that a verdict can name the rule that decided it.
 *
 * vtd-brokerd compiles policy files (policy/parse.c, policy/compile.c) and hands the struct to each
 * worker, which checks it (vtd_policy_verify()) and never sees any text but the names below.
 */
#ifndef VTD_POLICY_POLICY_H
#define VTD_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/limits.h"
#include "shared/log.h"

#define VTD_POLICY_VERSION   3u
#define VTD_POLICY_FILE_NAME 63u
#define VTD_POLICY_LABEL     127u /* characters of a security label */

/* vtd_policy.gid: the group of the VMMs does not count. */
#define VTD_POLICY_ANY_GROUP UINT32_MAX

/* Bits of vtd_policy.modes: 1 << (mode - 1) of enum vtd_attach_mode, which policy/ cannot see. */
#define VTD_POLICY_MODE_BLOCKED     0x1u
#define VTD_POLICY_MODE_PASSTHROUGH 0x2u
#define VTD_POLICY_MODE_FIRST_STAGE 0x4u

/* vtd_policy.read_only: what becomes of guest memory that cannot be written. */
#define VTD_POLICY_READ_ONLY_REFUSE 1u /* MapMemory is refused */
#define VTD_POLICY_READ_ONLY_SKIP   2u /* its mapping stays empty: no device can reach it */

/* Index of vtd_policy.limits: what one VM may hold or do. */
enum vtd_policy_limit_index {
        VTD_POLICY_MEMORY,             /* bytes of guest memory mapped at once */
        VTD_POLICY_MAPPINGS,           /* MapMemory handles at once */
        VTD_POLICY_DEVICES,            /* plugged devices at once */
        VTD_POLICY_FIRST_STAGE_TABLES, /* first-stage tables at once */
        VTD_POLICY_PASIDS,             /* PASIDs attached at once, over all devices */
        VTD_POLICY_INTERRUPTS,         /* interrupt vectors armed at once, over all devices */
        VTD_POLICY_ADDRESS_WIDTH,      /* largest first-stage address width: 48 or 57 */
        VTD_POLICY_INVALIDATE_RATE,    /* invalidation entries per second, sustained */
        VTD_POLICY_INVALIDATE_BURST,   /* entries that may come at once */
        VTD_POLICY_LIMIT_COUNT,
};

/* Index of vtd_policy.totals: what all VMs of the tenant together may hold. */
enum vtd_policy_total_index {
        VTD_POLICY_TOTAL_MEMORY,
        VTD_POLICY_TOTAL_FIRST_STAGE_TABLES,
        VTD_POLICY_TOTAL_PASIDS,
        VTD_POLICY_TOTAL_COUNT,
};

/* A number and the line that set it; line 0 means that the default applies. */
struct vtd_policy_limit {
        uint64_t value;
        uint32_t line;
        uint32_t reserved;
};

/* Exceptions that a device section may name; each removes one refusal of the design. */
#define VTD_POLICY_ALLOW_SHARED_GROUP     0x1u /* its IOMMU group has other members */
#define VTD_POLICY_ALLOW_NO_RESET         0x2u /* it cannot be reset */
#define VTD_POLICY_ALLOW_NO_SNOOP_CONTROL 0x4u /* its IOMMU lacks snoop control */

/* Bit of vtd_policy_device.regions_read and regions_write: configuration space. */
#define VTD_POLICY_REGION_CONFIG 0x40u

enum vtd_policy_source {
        VTD_POLICY_SOURCE_PCI = 1,       /* address is "0000:00:04.0" */
        VTD_POLICY_SOURCE_SIMULATED = 2, /* address is the model: "edu", ... */
        VTD_POLICY_SOURCE_KIND = 3,      /* address is vendor and device id: "8086:1521" */
        VTD_POLICY_SOURCE_CDEV = 4,      /* address is the name of the VFIO cdev: "vfio3" */
};

struct vtd_policy_device {
        char name[VTD_LIMIT_NAME + 1];
        char address[16];
        uint32_t line; /* of its section header */
        uint32_t source;
        uint32_t exceptions;
        uint32_t regions_read;  /* bit n: BAR n; VTD_POLICY_REGION_CONFIG */
        uint32_t regions_write; /* subset of regions_read */
        uint32_t reserved;
};

struct vtd_policy {
        uint32_t version;
        uint32_t checksum; /* over the struct with this field zero */
        char tenant[VTD_LIMIT_NAME + 1];
        char file[VTD_POLICY_FILE_NAME + 1]; /* base name, for audit */
        uint32_t tenant_line; /* of [tenant]: cited when the absence of a grant decides */
        uint32_t uid;         /* of the VMMs that may connect */
        uint32_t uid_line;
        uint32_t gid; /* their group, or VTD_POLICY_ANY_GROUP */
        uint32_t gid_line;
        char label[VTD_POLICY_LABEL + 1]; /* their security label; empty: it does not count */
        uint32_t label_line;
        uint32_t vms; /* VMs of this tenant at once */
        uint32_t vms_line;
        uint32_t modes; /* bit (mode - 1) of enum vtd_attach_mode; bit 0, blocked, is always set */
        uint32_t modes_line;
        uint32_t first_stage_flags; /* VTD_FIRST_STAGE_* that may be used */
        uint32_t first_stage_flags_line;
        uint32_t read_only; /* VTD_POLICY_READ_ONLY_* */
        uint32_t read_only_line;
        uint32_t n_devices;
        uint32_t reserved; /* so that no byte below the checksum is padding */
        struct vtd_policy_limit totals[VTD_POLICY_TOTAL_COUNT];
        struct vtd_policy_limit limits[VTD_POLICY_LIMIT_COUNT];
        struct vtd_policy_device devices[VTD_LIMIT_DEVICES];
};

/*
 * Parses and compiles the text of a policy file.  @file is its base name, used in messages
 * ("blue.policy:7:10: ...") and stored.  Strict: an unknown or repeated section or key, a value out
 * of range, a missing required key, a byte outside printable ASCII are errors, all reported to @log
 * (at most 20 of them).
 * Returns 0 with *@policy complete, or -EINVAL with nothing written.
 */
int vtd_policy_compile(struct vtd_policy *policy, const char *file, const char *text, size_t size,
                       struct vtd_log *log);

/*
 * Reads and compiles @name below the directory @directory_fd.  Refuses what is not a regular file,
 * symbolic links, files over 64 KiB, and files that somebody other than root or the caller's own
 * user may write.
 * Returns 0, -EINVAL (reported), or the negative errno of the call that failed (reported).
 */
int vtd_policy_load(struct vtd_policy *policy, int directory_fd, const char *name,
                    struct vtd_log *log);

/*
 * Judges a compiled policy that came over a channel: version, checksum, every count and range that
 * compiling guarantees, names NUL-terminated.  Returns 0 or -EINVAL (reported).
 */
int vtd_policy_verify(const struct vtd_policy *policy, struct vtd_log *log);

/* The total that bounds the sum of limit @index over the tenant's VMs, or NULL. */
const struct vtd_policy_limit *vtd_policy_total_of(const struct vtd_policy *policy,
                                                   enum vtd_policy_limit_index index);

/* The device named @name, or NULL when the policy does not grant one. */
const struct vtd_policy_device *vtd_policy_find_device(const struct vtd_policy *policy,
                                                       const char *name);

#endif
