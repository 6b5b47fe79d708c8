/* SPDX-License-Identifier: MIT */
/*
 * Every kind of record and every key of the administrator's protocol, once.  Decoding, encoding, the
 * JSON of vtd-brokerctl and the test of CONTROL.md read these tables.
 */
#include "broker/admin/admin.h"

#include "shared/checked.h"

#define KEY(key_, name_, type_) [VTD_ADMIN_K_##key_] = {(name_), VTD_ADMIN_##type_}

static const struct vtd_admin_key_row keys[VTD_ADMIN_KEY_END] = {
        KEY(TARGET, "target", VM_TARGET),
        KEY(TENANT, "tenant", TENANT_NAME),
        KEY(NAME, "name", VM_NAME),
        KEY(VM, "vm", NUMBER),
        KEY(UID, "uid", NUMBER),
        KEY(EXPIRES, "expires", NUMBER),
        KEY(CONNECTION, "connection", FLAG),
        KEY(DEVICE, "device", DEVICE_NAME),
        KEY(MEMORY, "memory", NUMBER),
        KEY(MAPPINGS, "mappings", NUMBER),
        KEY(DEVICES, "devices", NUMBER),
        KEY(FIRST_STAGE_TABLES, "first-stage-tables", NUMBER),
        KEY(PASIDS, "pasids", NUMBER),
        KEY(INTERRUPTS, "interrupts", NUMBER),
        KEY(ADDRESS_WIDTH, "address-width", NUMBER),
        KEY(INVALIDATE_RATE, "invalidate-rate", NUMBER),
        KEY(INVALIDATE_BURST, "invalidate-burst", NUMBER),
        KEY(REASON, "reason", TEXT),
        KEY(RULE, "rule", TEXT),
        KEY(SOCKET, "socket", TEXT),
        KEY(STATE, "state", WORD),
        KEY(TEXT, "text", TEXT),
        KEY(TENANTS, "tenants", NUMBER),
        KEY(ADDED, "added", NUMBER),
        KEY(CHANGED, "changed", NUMBER),
        KEY(LEFT, "left", NUMBER),
        KEY(VMS, "vms", NUMBER),
        KEY(GRANTS, "grants", NUMBER),
        KEY(VERSION, "version", TEXT),
        KEY(HOST, "host", WORD),
        KEY(PID, "pid", NUMBER),
        KEY(SECONDS, "seconds", NUMBER),
        KEY(LANDLOCK_ABI, "landlock-abi", NUMBER),
        KEY(AUDIT_LEVEL, "audit-level", WORD),
        KEY(RELOADS, "reloads", NUMBER),
        KEY(RELOADS_REFUSED, "reloads-refused", NUMBER),
        KEY(POLICY, "policy", TEXT),
        KEY(VMS_LIMIT, "vms-limit", NUMBER),
        KEY(TOTAL_MEMORY, "total-memory", NUMBER),
        KEY(TOTAL_FIRST_STAGE_TABLES, "total-first-stage-tables", NUMBER),
        KEY(TOTAL_PASIDS, "total-pasids", NUMBER),
        KEY(WORKER_UID, "worker-uid", NUMBER),
        KEY(KILLED, "killed", TEXT),
        KEY(OPEN, "open", DEVICE_NAME),
        KEY(IOAS, "ioas", NUMBER),
        KEY(HWPT, "hwpt", NUMBER),
        KEY(PARENT, "parent", NUMBER),
        KEY(ROOT, "root", HEX),
        KEY(FLAGS, "flags", HEX),
        KEY(ATTACHMENTS, "attachments", NUMBER),
        KEY(PASID, "pasid", NUMBER),
        KEY(PASID_BITS, "pasid-bits", NUMBER),
        KEY(MODE, "mode", WORD),
        KEY(BUS_MASTER, "bus-master", FLAG),
        KEY(ADDRESS, "address", TEXT),
        KEY(REQUESTS, "requests", NUMBER),
        KEY(REFUSALS, "refusals", NUMBER),
        KEY(INVALIDATE_REQUESTS, "invalidate-requests", NUMBER),
        KEY(INVALIDATE_ENTRIES, "invalidate-entries", NUMBER),
        KEY(HOST_CALLS, "host-calls", NUMBER),
        KEY(DELAYED_US, "delayed-us", NUMBER),
        KEY(SECOND_STAGE_TABLES, "second-stage-tables", NUMBER),
        KEY(MILLISECONDS, "milliseconds", NUMBER),
};

#define USES(name_, ...) static const struct vtd_admin_use name_[] = {__VA_ARGS__, {0}}
#define REQUIRED(key_)                                                                             \
        {                                                                                          \
                VTD_ADMIN_K_##key_, VTD_ADMIN_REQUIRED                                             \
        }
#define OPTIONAL(key_)                                                                             \
        {                                                                                          \
                VTD_ADMIN_K_##key_, VTD_ADMIN_OPTIONAL                                             \
        }
#define REPEATED(key_)                                                                             \
        {                                                                                          \
                VTD_ADMIN_K_##key_, VTD_ADMIN_REPEATED                                             \
        }

/* Those of [vm] in a policy: asked for, or in force. */
#define LIMITS(presence_)                                                                          \
        presence_(MEMORY), presence_(MAPPINGS), presence_(DEVICES), presence_(FIRST_STAGE_TABLES), \
                presence_(PASIDS), presence_(INTERRUPTS), presence_(ADDRESS_WIDTH),                \
                presence_(INVALIDATE_RATE), presence_(INVALIDATE_BURST)

static const struct vtd_admin_use nothing[] = {{0}};
USES(create_vm, REQUIRED(TENANT), OPTIONAL(NAME), OPTIONAL(UID), OPTIONAL(EXPIRES),
     OPTIONAL(CONNECTION), REPEATED(DEVICE), LIMITS(OPTIONAL));
USES(remove_vm, REQUIRED(TARGET));
USES(revoke_vm, REQUIRED(TARGET), REQUIRED(REASON));
USES(revoke_tenant, REQUIRED(TENANT), REQUIRED(REASON));
USES(one_or_all, OPTIONAL(TARGET));
USES(created, REQUIRED(TENANT), REQUIRED(NAME), REQUIRED(UID), REQUIRED(EXPIRES), REQUIRED(SOCKET));
USES(removed, REQUIRED(STATE));
USES(revoked, REQUIRED(VMS), REQUIRED(GRANTS));
USES(reloaded, REQUIRED(TENANTS), REQUIRED(ADDED), REQUIRED(CHANGED), REQUIRED(LEFT), REQUIRED(VMS),
     REQUIRED(GRANTS));
USES(note, REQUIRED(TEXT));
USES(broker, REQUIRED(VERSION), REQUIRED(HOST), REQUIRED(PID), REQUIRED(SECONDS),
     REQUIRED(LANDLOCK_ABI), REQUIRED(AUDIT_LEVEL), REQUIRED(TENANTS), REQUIRED(VMS),
     REQUIRED(GRANTS), REQUIRED(RELOADS), REQUIRED(RELOADS_REFUSED));
USES(tenant, REQUIRED(TENANT), REQUIRED(POLICY), REQUIRED(UID), REQUIRED(STATE), REQUIRED(VMS),
     REQUIRED(VMS_LIMIT), REQUIRED(MEMORY), REQUIRED(TOTAL_MEMORY), REQUIRED(FIRST_STAGE_TABLES),
     REQUIRED(TOTAL_FIRST_STAGE_TABLES), REQUIRED(PASIDS), REQUIRED(TOTAL_PASIDS));
USES(grant, REQUIRED(TENANT), REQUIRED(NAME), REQUIRED(UID), REQUIRED(EXPIRES), REQUIRED(SOCKET),
     REPEATED(DEVICE), LIMITS(REQUIRED));
USES(vm, REQUIRED(TENANT), OPTIONAL(NAME), REQUIRED(VM), REQUIRED(UID), REQUIRED(POLICY),
     REQUIRED(STATE), REQUIRED(PID), REQUIRED(WORKER_UID), REQUIRED(SECONDS), OPTIONAL(KILLED),
     REPEATED(OPEN), REPEATED(DEVICE), LIMITS(REQUIRED));
USES(ioas, REQUIRED(VM), REQUIRED(IOAS), REQUIRED(MEMORY), REQUIRED(MAPPINGS));
USES(second_stage, REQUIRED(VM), REQUIRED(HWPT), REQUIRED(IOAS), REQUIRED(DEVICES));
USES(first_stage, REQUIRED(VM), REQUIRED(HWPT), REQUIRED(PARENT), REQUIRED(ROOT),
     REQUIRED(ADDRESS_WIDTH), REQUIRED(FLAGS), REQUIRED(ATTACHMENTS));
USES(device, REQUIRED(VM), REQUIRED(DEVICE), REQUIRED(ADDRESS), OPTIONAL(PARENT),
     REQUIRED(PASID_BITS), REQUIRED(BUS_MASTER));
USES(attachment, REQUIRED(VM), REQUIRED(DEVICE), OPTIONAL(PASID), REQUIRED(MODE), REQUIRED(HWPT));
USES(counters, REQUIRED(VM), REQUIRED(REQUESTS), REQUIRED(REFUSALS), REQUIRED(INVALIDATE_REQUESTS),
     REQUIRED(INVALIDATE_ENTRIES), REQUIRED(HOST_CALLS), REQUIRED(DELAYED_US), REQUIRED(MEMORY),
     REQUIRED(MAPPINGS), REQUIRED(DEVICES), REQUIRED(FIRST_STAGE_TABLES),
     REQUIRED(SECOND_STAGE_TABLES), REQUIRED(ATTACHMENTS));
USES(silent, REQUIRED(VM), REQUIRED(MILLISECONDS));
USES(refused, REQUIRED(REASON), OPTIONAL(RULE));

#define KIND(kind_, name_, role_, uses_) [VTD_ADMIN_##kind_] = {(name_), VTD_ADMIN_##role_, (uses_)}

static const struct vtd_admin_kind_row kinds[VTD_ADMIN_KIND_END] = {
        KIND(CREATE_VM, "create-vm", REQUEST, create_vm),
        KIND(REMOVE_VM, "remove-vm", REQUEST, remove_vm),
        KIND(REVOKE_VM, "revoke-vm", REQUEST, revoke_vm),
        KIND(REVOKE_TENANT, "revoke-tenant", REQUEST, revoke_tenant),
        KIND(STATUS, "status", REQUEST, nothing),
        KIND(TREE, "tree", REQUEST, one_or_all),
        KIND(STATS, "stats", REQUEST, one_or_all),
        KIND(RELOAD, "reload", REQUEST, nothing),
        KIND(CREATED, "created", PART, created),
        KIND(REMOVED, "removed", PART, removed),
        KIND(REVOKED, "revoked", PART, revoked),
        KIND(RELOADED, "reloaded", PART, reloaded),
        KIND(NOTE, "note", PART, note),
        KIND(BROKER, "broker", PART, broker),
        KIND(TENANT, "tenant", PART, tenant),
        KIND(GRANT, "grant", PART, grant),
        KIND(VM, "vm", PART, vm),
        KIND(IOAS, "ioas", PART, ioas),
        KIND(SECOND_STAGE, "second-stage", PART, second_stage),
        KIND(FIRST_STAGE, "first-stage", PART, first_stage),
        KIND(DEVICE, "device", PART, device),
        KIND(ATTACHMENT, "attachment", PART, attachment),
        KIND(COUNTERS, "counters", PART, counters),
        KIND(SILENT, "silent", PART, silent),
        KIND(DONE, "done", END, nothing),
        KIND(REFUSED, "refused", END, refused),
};

const struct vtd_admin_kind_row *vtd_admin_kind_row(uint32_t kind)
{
        return kind < VTD_ARRAY_SIZE(kinds) && kinds[kind].name ? &kinds[kind] : NULL;
}

const struct vtd_admin_key_row *vtd_admin_key_row(uint32_t key)
{
        return key < VTD_ARRAY_SIZE(keys) && keys[key].name ? &keys[key] : NULL;
}

enum vtd_admin_key vtd_admin_limit_key(enum vtd_policy_limit_index limit)
{
        static const enum vtd_admin_key limit_keys[VTD_POLICY_LIMIT_COUNT] = {
                [VTD_POLICY_MEMORY] = VTD_ADMIN_K_MEMORY,
                [VTD_POLICY_MAPPINGS] = VTD_ADMIN_K_MAPPINGS,
                [VTD_POLICY_DEVICES] = VTD_ADMIN_K_DEVICES,
                [VTD_POLICY_FIRST_STAGE_TABLES] = VTD_ADMIN_K_FIRST_STAGE_TABLES,
                [VTD_POLICY_PASIDS] = VTD_ADMIN_K_PASIDS,
                [VTD_POLICY_INTERRUPTS] = VTD_ADMIN_K_INTERRUPTS,
                [VTD_POLICY_ADDRESS_WIDTH] = VTD_ADMIN_K_ADDRESS_WIDTH,
                [VTD_POLICY_INVALIDATE_RATE] = VTD_ADMIN_K_INVALIDATE_RATE,
                [VTD_POLICY_INVALIDATE_BURST] = VTD_ADMIN_K_INVALIDATE_BURST,
        };

        return limit_keys[limit];
}
