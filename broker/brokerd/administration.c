/* SPDX-License-Identifier: MIT */
/* See administration.h. */
#include "broker/brokerd/administration.h"

#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/brokerd/admin_walk.h"
#include "broker/brokerd/worker.h"
#include "shared/checked.h"

/* How often it is looked whether a VM has ended; when its worker is killed; when the answer goes out. */
#define REMOVE_POLL_MS 20u
#define REMOVE_KILL_MS 5000u
#define REMOVE_END_MS  20000u

/* How often policies are read again for administrators, per second and at once: it takes files. */
#define RELOAD_RATE  1u
#define RELOAD_BURST 5u

static uint64_t now_ms(void)
{
        return (uint64_t)g_get_monotonic_time() / 1000;
}

/* A tenant's name in front of what a policy says about it: "blue.policy:7". */
static void refuse(struct vtd_admin_client *client, const struct vtd_tenant *tenant,
                   const struct vtd_refused *refused)
{
        char rule[VTD_POLICY_FILE_NAME + 16] = "";

        if (refused->line != 0)
                (void)snprintf(rule, sizeof(rule), "%s:%" PRIu32, tenant->policy.file,
                               refused->line);
        vtd_admin_client_refuse(client, refused->text, rule);
}

/* A tenant that has a file, or NULL after a refusal. */
static struct vtd_tenant *find_tenant(struct vtd_administration *administration,
                                      struct vtd_admin_client *client,
                                      const struct vtd_admin_record *request)
{
        const char *name = vtd_admin_text(request, VTD_ADMIN_K_TENANT);
        struct vtd_tenant *tenant = vtd_tenants_find(&administration->policies->tenants, name);

        if (!tenant)
                vtd_admin_client_refuse(client, "there is no such tenant", "");
        return tenant;
}

/* What a target names: a grant that waits, or a worker; neither when there is no such VM. */
struct target {
        struct vtd_grant *grant;
        struct vtd_worker *worker;
};

static struct target find_target(struct vtd_administration *administration, const char *text)
{
        bool number = text[0] >= '0' && text[0] <= '9';

        if (number) {
                unsigned long vm = strtoul(text, NULL, 10);

                return (struct target){
                        .worker = vm <= UINT32_MAX
                                          ? vtd_workers_find(administration->workers, (uint32_t)vm)
                                          : NULL};
        }
        return (struct target){
                .grant = vtd_grants_find(administration->grants, text),
                .worker = vtd_workers_find_name(administration->workers, text),
        };
}

/* A VM that exists, or neither of both after a refusal. */
static struct target need_target(struct vtd_administration *administration,
                                 struct vtd_admin_client *client,
                                 const struct vtd_admin_record *request)
{
        struct target target =
                find_target(administration, vtd_admin_text(request, VTD_ADMIN_K_TARGET));

        if (!target.grant && !target.worker)
                vtd_admin_client_refuse(client, "there is no such VM", "");
        return target;
}

static void create_vm(struct vtd_administration *administration, struct vtd_admin_client *client,
                      const struct vtd_admin_record *request)
{
        bool wanted = vtd_admin_number(request, VTD_ADMIN_K_CONNECTION, 0) != 0;
        struct vtd_tenant *tenant = find_tenant(administration, client, request);
        uint32_t caller = vtd_admin_client_uid(client);
        struct vtd_admin_record record;
        struct vtd_refused refused;
        struct vtd_grant *grant;
        char path[256];
        int peer = -1;

        if (!tenant)
                return;
        /* Who gets a connection is taken for the tenant: it goes to nobody who could not be. */
        if (wanted && caller != 0 && caller != geteuid() && caller != tenant->policy.uid) {
                (void)vtd_refuse(&refused, tenant->policy.uid_line,
                                 "a connection is handed out to root and to user %" PRIu32 " only",
                                 tenant->policy.uid);
                refuse(client, tenant, &refused);
                return;
        }
        if (vtd_grants_create(administration->grants, tenant, request, caller, &grant,
                              wanted ? &peer : NULL, &refused) != 0) {
                refuse(client, tenant, &refused);
                return;
        }
        vtd_grant_path(grant, path, sizeof(path));
        vtd_admin_begin(&record, VTD_ADMIN_CREATED);
        vtd_admin_put_text(&record, VTD_ADMIN_K_TENANT, grant->policy.tenant);
        vtd_admin_put_text(&record, VTD_ADMIN_K_NAME, grant->name);
        vtd_admin_put_number(&record, VTD_ADMIN_K_UID, grant->policy.uid);
        vtd_admin_put_number(&record, VTD_ADMIN_K_EXPIRES, vtd_grant_seconds(grant));
        vtd_admin_put_text(&record, VTD_ADMIN_K_SOCKET, path);
        vtd_admin_client_send(client, &record, peer);
        vtd_admin_client_done(client);
}

/* Waits until all that a VM had is closed. */
struct removal {
        struct vtd_admin_job job;
        struct vtd_administration *administration;
        struct vtd_admin_client *client;
        uint32_t vm;
        uint64_t since_ms;
        guint timer;
};

_Static_assert(offsetof(struct removal, job) == 0, "a job is a removal");

static void answer_removed(struct vtd_admin_client *client, const char *state)
{
        struct vtd_admin_record record;

        vtd_admin_begin(&record, VTD_ADMIN_REMOVED);
        vtd_admin_put_text(&record, VTD_ADMIN_K_STATE, state);
        vtd_admin_client_send(client, &record, -1);
        vtd_admin_client_done(client);
}

static gboolean on_removal_poll(gpointer opaque)
{
        struct removal *removal = opaque;
        struct vtd_admin_client *client = removal->client;
        struct vtd_worker *worker = vtd_workers_find(removal->administration->workers, removal->vm);
        uint64_t waited = now_ms() - removal->since_ms;

        if (worker && waited >= REMOVE_KILL_MS)
                vtd_worker_kill(worker, "it was removed and did not end within 5 seconds");
        if (worker && waited < REMOVE_END_MS)
                return G_SOURCE_CONTINUE;
        removal->timer = 0;
        answer_removed(client, worker ? "closing" : "ended");
        vtd_admin_client_end_job(client);
        return G_SOURCE_REMOVE;
}

static void on_removal_room(struct vtd_admin_job *job)
{
        (void)job; /* its answer is one record */
}

static void free_removal(struct vtd_admin_job *job)
{
        struct removal *removal = (struct removal *)job;

        if (removal->timer != 0)
                (void)g_source_remove(removal->timer);
        g_free(removal);
}

static void remove_vm(struct vtd_administration *administration, struct vtd_admin_client *client,
                      const struct vtd_admin_record *request)
{
        struct target target = need_target(administration, client, request);
        struct removal *removal;

        if (target.grant) {
                char text[32];

                (void)snprintf(text, sizeof(text), "by user %" PRIu32,
                               vtd_admin_client_uid(client));
                vtd_grant_end(target.grant, "grant-removed", text);
                answer_removed(client, "ended");
                return;
        }
        if (!target.worker)
                return;
        vtd_worker_remove(target.worker, vtd_admin_client_uid(client));
        removal = g_new0(struct removal, 1);
        removal->job = (struct vtd_admin_job){.on_room = on_removal_room, .free = free_removal};
        removal->administration = administration;
        removal->client = client;
        removal->vm = vtd_worker_view(target.worker).vm;
        removal->since_ms = now_ms();
        removal->timer = g_timeout_add(REMOVE_POLL_MS, on_removal_poll, removal);
        vtd_admin_client_set_job(client, &removal->job);
}

static void answer_revoked(struct vtd_admin_client *client, unsigned vms, unsigned grants)
{
        struct vtd_admin_record record;

        vtd_admin_begin(&record, VTD_ADMIN_REVOKED);
        vtd_admin_put_number(&record, VTD_ADMIN_K_VMS, vms);
        vtd_admin_put_number(&record, VTD_ADMIN_K_GRANTS, grants);
        vtd_admin_client_send(client, &record, -1);
        vtd_admin_client_done(client);
}

static char *reason_of(const struct vtd_admin_client *client,
                       const struct vtd_admin_record *request)
{
        return g_strdup_printf("by user %" PRIu32 ": %.200s", vtd_admin_client_uid(client),
                               vtd_admin_text(request, VTD_ADMIN_K_REASON));
}

static void revoke_vm(struct vtd_administration *administration, struct vtd_admin_client *client,
                      const struct vtd_admin_record *request)
{
        struct target target = need_target(administration, client, request);
        g_autofree char *reason = reason_of(client, request);

        if (target.grant)
                vtd_grant_end(target.grant, "grant-revoked", reason);
        else if (target.worker)
                vtd_worker_revoke(target.worker, reason);
        else
                return;
        answer_revoked(client, target.grant ? 0 : 1, target.grant ? 1 : 0);
}

/* Its VMs, its grants, and its socket until the policies are read again. */
static void revoke_tenant(struct vtd_administration *administration,
                          struct vtd_admin_client *client, const struct vtd_admin_record *request)
{
        struct vtd_tenant *tenant = find_tenant(administration, client, request);
        g_autofree char *reason = reason_of(client, request);
        unsigned vms = 0, grants = 0;

        if (!tenant)
                return;
        vtd_policies_revoke(administration->policies, tenant, reason);
        for (size_t slot = 0; slot < VTD_LIMIT_WORKERS; slot++) {
                struct vtd_worker *worker = vtd_workers_at(administration->workers, slot);

                if (worker && vtd_worker_tenant(worker) == tenant) {
                        vtd_worker_revoke(worker, reason);
                        vms++;
                }
        }
        for (size_t i = administration->grants->array->len; i-- > 0;) {
                struct vtd_grant *grant = vtd_grants_at(administration->grants, i);

                if (grant->tenant == tenant) {
                        vtd_grant_end(grant, "grant-revoked", reason);
                        grants++;
                }
        }
        answer_revoked(client, vms, grants);
}

static void show_status(struct vtd_administration *administration, struct vtd_admin_client *client,
                        const struct vtd_admin_record *request)
{
        vtd_admin_walk_start(administration, client, request->kind, NULL);
}

static void show_workers(struct vtd_administration *administration, struct vtd_admin_client *client,
                         const struct vtd_admin_record *request)
{
        const char *text = vtd_admin_text(request, VTD_ADMIN_K_TARGET);
        struct target target = {0};

        if (text) {
                target = need_target(administration, client, request);
                if (target.grant)
                        vtd_admin_client_refuse(client, "this VM has not come in yet", "");
                if (!target.worker)
                        return;
        }
        vtd_admin_walk_start(administration, client, request->kind, target.worker);
}

/* What was wrong goes to the administrator as well as into the log. */
struct reasons {
        struct vtd_log *log;
        struct vtd_admin_client *client;
};

static void keep_reason(void *opaque, enum vtd_log_level level, const char *line)
{
        struct reasons *reasons = opaque;
        struct vtd_admin_record record;

        vtd_log(reasons->log, level, "%s", line);
        if (level > VTD_LOG_WARNING || !vtd_admin_client_has_room(reasons->client))
                return;
        vtd_admin_begin(&record, VTD_ADMIN_NOTE);
        vtd_admin_put_text(&record, VTD_ADMIN_K_TEXT, line);
        vtd_admin_client_send(reasons->client, &record, -1);
}

static void reload(struct vtd_administration *administration, struct vtd_admin_client *client,
                   const struct vtd_admin_record *request)
{
        struct reasons reasons = {.log = administration->log, .client = client};
        struct vtd_log log = {.sink = keep_reason,
                              .opaque = &reasons,
                              .threshold = administration->log->threshold};
        struct vtd_policies_change change;
        struct vtd_admin_record record;

        (void)request;
        if (!vtd_bucket_take(&administration->reloads, now_ms())) {
                vtd_admin_client_refuse(client, "the policies were read just now: try again", "");
                return;
        }
        if (vtd_policies_reload(administration->policies, &change, &log) < 0) {
                vtd_admin_client_refuse(client, "the policies are not taken: all stay as they were",
                                        "");
                return;
        }
        vtd_admin_begin(&record, VTD_ADMIN_RELOADED);
        vtd_admin_put_number(&record, VTD_ADMIN_K_TENANTS, change.tenants);
        vtd_admin_put_number(&record, VTD_ADMIN_K_ADDED, change.added);
        vtd_admin_put_number(&record, VTD_ADMIN_K_CHANGED, change.changed);
        vtd_admin_put_number(&record, VTD_ADMIN_K_LEFT, change.left);
        vtd_admin_put_number(&record, VTD_ADMIN_K_VMS, change.vms);
        vtd_admin_put_number(&record, VTD_ADMIN_K_GRANTS, change.grants);
        vtd_admin_client_send(client, &record, -1);
        vtd_admin_client_done(client);
}

void vtd_administration_init(struct vtd_administration *administration)
{
        administration->started_ms = now_ms();
        vtd_bucket_init(&administration->reloads, RELOAD_RATE, RELOAD_BURST, now_ms());
}

void vtd_administration_request(void *administration, struct vtd_admin_client *client,
                                const struct vtd_admin_record *request)
{
        static const struct {
                enum vtd_admin_kind kind;
                void (*handle)(struct vtd_administration *administration,
                               struct vtd_admin_client *client,
                               const struct vtd_admin_record *request);
        } rows[] = {
                {VTD_ADMIN_CREATE_VM, create_vm}, {VTD_ADMIN_REMOVE_VM, remove_vm},
                {VTD_ADMIN_REVOKE_VM, revoke_vm}, {VTD_ADMIN_REVOKE_TENANT, revoke_tenant},
                {VTD_ADMIN_STATUS, show_status},  {VTD_ADMIN_TREE, show_workers},
                {VTD_ADMIN_STATS, show_workers},  {VTD_ADMIN_RELOAD, reload},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(rows); i++) {
                if (rows[i].kind == request->kind) {
                        rows[i].handle(administration, client, request);
                        return;
                }
        }
}
