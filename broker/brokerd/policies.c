/* SPDX-License-Identifier: MIT */
/*
 * See policies.h.  What can fail when policies are read again (files, sockets, their owners) is done
 * first and undone if anything fails; what follows cannot fail.
 */
#include "broker/brokerd/policies.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/brokerd/worker.h"
#include "shared/error.h"

/* A tenant with a worker's user could reach into that worker. */
static int check_users(const struct vtd_policies_config *config, const struct vtd_tenants *tenants,
                       struct vtd_log *log)
{
        const struct vtd_tenant *tenant;

        for (size_t i = 0; !config->rootless && (tenant = vtd_tenants_at(tenants, i)); i++) {
                const struct vtd_policy *policy = &tenant->policy;

                if (policy->uid >= config->uid_first && policy->uid <= config->uid_last)
                        return vtd_fail(log, -EINVAL,
                                        "%s:%u:1: user %u lies in the range of workers, %u-%u",
                                        policy->file, policy->uid_line, policy->uid,
                                        config->uid_first, config->uid_last);
        }
        return 0;
}

/* A policy may serve more than one host; what this one cannot offer is said once, here. */
static void warn_sources(const struct vtd_policies_config *config,
                         const struct vtd_tenants *tenants, struct vtd_log *log)
{
        bool simulated = config->host != VTD_HOST_LINUX;
        const struct vtd_tenant *tenant;

        for (size_t i = 0; (tenant = vtd_tenants_at(tenants, i)); i++) {
                const struct vtd_policy *policy = &tenant->policy;

                if (config->rootless && policy->uid != geteuid())
                        vtd_log(log, VTD_LOG_WARNING,
                                "%s:%u:1: user %u cannot connect: without root the sockets are for "
                                "user %u",
                                policy->file, policy->uid_line, policy->uid, geteuid());
                for (uint32_t d = 0; d < policy->n_devices; d++)
                        if ((policy->devices[d].source == VTD_POLICY_SOURCE_SIMULATED) != simulated)
                                vtd_log(log, VTD_LOG_WARNING,
                                        "%s:%u:1: device %s is not of this host's kind: plugging "
                                        "it will fail",
                                        policy->file, policy->devices[d].line,
                                        policy->devices[d].name);
        }
}

static int load(struct vtd_tenants *tenants, const struct vtd_policies_config *config,
                struct vtd_log *log)
{
        int result = vtd_tenants_load(tenants, config->directory, log);

        if (result == 0)
                result = check_users(config, tenants, log);
        if (result == 0)
                warn_sources(config, tenants, log);
        return result;
}

int vtd_policies_init(struct vtd_policies *policies, const struct vtd_policies_config *config,
                      struct vtd_log *log)
{
        *policies = (struct vtd_policies){.config = *config};
        vtd_audit_source_init(&policies->source, NULL, NULL, 0);
        return load(&policies->tenants, config, log);
}

void vtd_policies_deinit(struct vtd_policies *policies)
{
        vtd_policies_close_doors(policies);
        vtd_tenants_deinit(&policies->tenants);
}

int vtd_policies_make_doors(struct vtd_policies *policies, struct vtd_workers *workers,
                            struct vtd_grants *grants, const struct vtd_door_place *place)
{
        struct vtd_tenant *tenant;
        int result = 0;

        policies->workers = workers;
        policies->grants = grants;
        policies->place = place;
        for (size_t i = 0; result == 0 && (tenant = vtd_tenants_at(&policies->tenants, i)); i++)
                result = vtd_door_new_for_tenant(&tenant->door, workers, tenant, place,
                                                 workers->config.log);
        return result;
}

void vtd_policies_open_doors(struct vtd_policies *policies)
{
        struct vtd_tenant *tenant;

        for (size_t i = 0; (tenant = vtd_tenants_at(&policies->tenants, i)); i++)
                if (tenant->door)
                        vtd_door_open(tenant->door);
}

void vtd_policies_close_doors(struct vtd_policies *policies)
{
        struct vtd_tenant *tenant;

        for (size_t i = 0; (tenant = vtd_tenants_at(&policies->tenants, i)); i++)
                tenant->door = vtd_door_free(tenant->door);
}

/*
 * The tenant @fresh, just read, of which there may be one from before: has a door made if there is
 * none, or gives the socket to the new user.  Returns 0 or a negative errno (reported).
 */
static int prepare(struct vtd_policies *policies, struct vtd_tenant *fresh, struct vtd_log *log)
{
        struct vtd_tenant *before = vtd_tenants_find(&policies->tenants, fresh->policy.tenant);

        if (!before || !before->door)
                return vtd_door_new_for_tenant(&fresh->door, policies->workers, fresh,
                                               policies->place, log);
        if (!policies->place->owned || before->policy.uid == fresh->policy.uid)
                return 0;
        return vtd_socket_file_give(&before->door->listener.file, fresh->policy.uid, log);
}

/* Doors that were made are closed with the tenants that were read; sockets go back to their users. */
static void undo(struct vtd_policies *policies, const struct vtd_tenants *fresh,
                 struct vtd_log *log)
{
        struct vtd_tenant *tenant;

        for (size_t i = 0; (tenant = vtd_tenants_at(fresh, i)); i++) {
                const struct vtd_tenant *before =
                        vtd_tenants_find(&policies->tenants, tenant->policy.tenant);

                tenant->door = vtd_door_free(tenant->door);
                if (before && before->door && policies->place->owned &&
                    before->policy.uid != tenant->policy.uid)
                        (void)vtd_socket_file_give(&before->door->listener.file, before->policy.uid,
                                                   log);
        }
}

/* @before, which may have VMs, becomes what its file says now. */
static void take_over(struct vtd_tenant *before, struct vtd_tenant *fresh,
                      struct vtd_policies_change *change)
{
        if (memcmp(&before->policy, &fresh->policy, sizeof(before->policy)) != 0)
                change->changed++;
        before->policy = fresh->policy;
        before->revoked = false;
        if (!fresh->door)
                return;
        vtd_door_belong_to(fresh->door, before);
        before->door = fresh->door;
        fresh->door = NULL;
        vtd_door_open(before->door);
}

/* Tenants that are not among the fresh ones lose their sockets. */
static void leave(struct vtd_policies *policies, const struct vtd_tenants *fresh,
                  struct vtd_policies_change *change)
{
        struct vtd_tenant *tenant;

        for (size_t i = 0; (tenant = vtd_tenants_at(&policies->tenants, i)); i++) {
                if (vtd_tenants_find(fresh, tenant->policy.tenant))
                        continue;
                change->left += tenant->door || tenant->revoked;
                tenant->door = vtd_door_free(tenant->door);
                tenant->revoked = false;
        }
}

static void commit(struct vtd_policies *policies, struct vtd_tenants *fresh,
                   struct vtd_policies_change *change)
{
        leave(policies, fresh, change);
        while (fresh->array->len > 0) {
                struct vtd_tenant *tenant = g_ptr_array_steal_index(fresh->array, 0);
                struct vtd_tenant *before =
                        vtd_tenants_find(&policies->tenants, tenant->policy.tenant);

                change->tenants++;
                if (before) {
                        take_over(before, tenant, change);
                        g_free(tenant);
                        continue;
                }
                change->added++;
                g_ptr_array_add(policies->tenants.array, tenant);
                vtd_door_open(tenant->door);
        }
}

/* What VMs and grants have lost. */
static void enforce(struct vtd_policies *policies, struct vtd_policies_change *change)
{
        struct vtd_tenant *tenant;

        for (size_t i = 0; (tenant = vtd_tenants_at(&policies->tenants, i)); i++) {
                const struct vtd_policy *policy = tenant->door ? &tenant->policy : NULL;

                change->grants += vtd_grants_judge_again(policies->grants, tenant, policy != NULL);
                for (size_t slot = 0; slot < VTD_LIMIT_WORKERS; slot++) {
                        struct vtd_worker *worker = vtd_workers_at(policies->workers, slot);

                        if (worker && vtd_worker_tenant(worker) == tenant &&
                            vtd_worker_lose(worker, policy))
                                change->vms++;
                }
        }
}

/* Tenants without file are kept while they have VMs. */
static void forget(struct vtd_policies *policies)
{
        for (guint i = policies->tenants.array->len; i-- > 0;) {
                struct vtd_tenant *tenant = vtd_tenants_at(&policies->tenants, i);

                if (!tenant->door && !tenant->revoked && tenant->vms == 0)
                        g_ptr_array_remove_index(policies->tenants.array, i);
        }
}

static void audit(struct vtd_policies *policies, const char *event, const char *text)
{
        vtd_audit_log_event(policies->workers->config.audit, &policies->source,
                            &(const struct vtd_audit_event_line){.event = event, .text = text});
}

static int reload(struct vtd_policies *policies, struct vtd_policies_change *change,
                  struct vtd_log *log)
{
        struct vtd_tenants fresh = {0};
        struct vtd_tenant *tenant;
        int result = load(&fresh, &policies->config, log);

        for (size_t i = 0; result == 0 && (tenant = vtd_tenants_at(&fresh, i)); i++)
                result = prepare(policies, tenant, log);
        if (result == 0)
                commit(policies, &fresh, change);
        else
                undo(policies, &fresh, log);
        vtd_tenants_deinit(&fresh);
        return result;
}

int vtd_policies_reload(struct vtd_policies *policies, struct vtd_policies_change *change,
                        struct vtd_log *log)
{
        char text[192];
        int result;

        *change = (struct vtd_policies_change){0};
        result = reload(policies, change, log);
        if (result < 0) {
                policies->refused++;
                vtd_log(log, VTD_LOG_ERROR, "the policies are not taken: all stay as they were");
                audit(policies, "policies-refused", "an error in a policy: all stay as they were");
                return result;
        }
        enforce(policies, change);
        forget(policies);
        policies->reloads++;
        (void)snprintf(text, sizeof(text),
                       "tenants %u, of these new %u, changed %u; gone %u; ended: VMs %u, grants %u",
                       change->tenants, change->added, change->changed, change->left, change->vms,
                       change->grants);
        vtd_log(log, VTD_LOG_INFO, "policies read again: %s", text);
        audit(policies, "policies-reloaded", text);
        return 0;
}

void vtd_policies_revoke(struct vtd_policies *policies, struct vtd_tenant *tenant,
                         const char *reason)
{
        tenant->revoked = tenant->revoked || tenant->door != NULL;
        tenant->door = vtd_door_free(tenant->door);
        vtd_audit_log_event(policies->workers->config.audit, &tenant->source,
                            &(const struct vtd_audit_event_line){
                                    .event = "tenant-revoked",
                                    .text = reason,
                            });
}
