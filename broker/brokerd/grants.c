/* SPDX-License-Identifier: MIT */
/* See grants.h.  What is asked has the form of admin.h; the values are judged here. */
#include "broker/brokerd/grants.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/brokerd/worker.h"
#include "shared/cleanup.h"
#include "shared/error.h"
#include "shared/record.h"

/* How long a connection that was handed out waits when no worker can be started now. */
#define PAUSE_MS 50

static void close_directory(DIR **directory)
{
        if (*directory)
                (void)closedir(*directory);
}

static struct vtd_workers_config *config_of(const struct vtd_grant *grant)
{
        return &grant->grants->workers->config;
}

/* No name of a tenant has a "+", and the directory is this process's: nobody listens there. */
static void remove_left_over(const struct vtd_door_place *place)
{
        VTD_CLEANUP(close_directory) DIR *directory = NULL;
        int fd = openat(place->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent *entry;

        directory = fd < 0 ? NULL : fdopendir(fd);
        if (!directory) {
                fd = vtd_close(fd);
                return;
        }
        while ((entry = readdir(directory)) != NULL)
                if (strchr(entry->d_name, '+') && g_str_has_suffix(entry->d_name, ".sock"))
                        (void)unlinkat(place->directory, entry->d_name, 0);
}

void vtd_grants_init(struct vtd_grants *grants, struct vtd_workers *workers,
                     const struct vtd_door_place *place)
{
        *grants = (struct vtd_grants){
                .workers = workers,
                .place = place,
                .array = g_ptr_array_new(),
        };
        remove_left_over(place);
}

void vtd_grants_deinit(struct vtd_grants *grants)
{
        struct vtd_grant *grant;

        while (grants->array && (grant = vtd_grants_at(grants, 0)))
                vtd_grant_end(grant, "grant-ended", "vtd-brokerd ends");
        g_clear_pointer(&grants->array, g_ptr_array_unref);
}

static void audit(const struct vtd_grant *grant, const char *event, const char *text)
{
        struct vtd_audit_source *source = &grant->tenant->source;

        source->name = grant->name;
        vtd_audit_log_event(config_of(grant)->audit, source,
                            &(const struct vtd_audit_event_line){.event = event, .text = text});
        source->name = NULL;
}

static void clear_source(guint *source)
{
        if (*source != 0)
                (void)g_source_remove(*source);
        *source = 0;
}

/* Without giving back the charge: the VM that came in may have it. */
static void free_grant(struct vtd_grant *grant)
{
        (void)g_ptr_array_remove(grant->grants->array, grant);
        grant->door = vtd_door_free(grant->door);
        clear_source(&grant->connection_source);
        clear_source(&grant->expiry);
        grant->connection = vtd_close(grant->connection);
        g_free(grant);
}

void vtd_grant_end(struct vtd_grant *grant, const char *event, const char *reason)
{
        audit(grant, event, reason);
        vtd_tenant_release(grant->tenant, &grant->policy);
        free_grant(grant);
}

/* Its VM came in, by the socket or by the connection that was handed out. */
static void on_started(void *opaque)
{
        free_grant(opaque);
}

static gboolean on_expired(gpointer opaque)
{
        struct vtd_grant *grant = opaque;

        grant->expiry = 0;
        vtd_grant_end(grant, "grant-ended", "it was not used in time");
        return G_SOURCE_REMOVE;
}

static gboolean on_first_byte(gint fd, GIOCondition condition, gpointer opaque);

static void watch_connection(struct vtd_grant *grant)
{
        grant->connection_source =
                g_unix_fd_add(grant->connection, G_IO_IN | G_IO_HUP, on_first_byte, grant);
}

static gboolean on_pause_over(gpointer opaque)
{
        struct vtd_grant *grant = opaque;

        grant->connection_source = 0;
        watch_connection(grant);
        return G_SOURCE_REMOVE;
}

/*
 * The VMM has said something, which only its worker reads; or it is gone, and the grant waits for
 * another by its socket.
 */
static gboolean on_first_byte(gint fd, GIOCondition condition, gpointer opaque)
{
        struct vtd_grant *grant = opaque;
        const struct vtd_arrival arrival = {
                .tenant = grant->tenant,
                .policy = &grant->policy,
                .name = grant->name,
                .charged = true,
        };

        (void)fd;
        grant->connection_source = 0;
        if (condition & G_IO_HUP) {
                grant->connection = vtd_close(grant->connection);
        } else if (vtd_workers_admit(grant->grants->workers, &arrival) != 0) {
                grant->connection_source = g_timeout_add(PAUSE_MS, on_pause_over, grant);
        } else if (vtd_workers_start(grant->grants->workers, &arrival,
                                     VTD_TAKE_FD(grant->connection)) == 0) {
                free_grant(grant);
        }
        return G_SOURCE_REMOVE;
}

static bool is_taken(const struct vtd_grants *grants, const char *name)
{
        return vtd_grants_find(grants, name) || vtd_workers_find_name(grants->workers, name);
}

static int choose_name(struct vtd_grants *grants, const struct vtd_admin_record *request,
                       char name[VTD_LIMIT_NAME + 1], struct vtd_refused *refused)
{
        const char *asked = vtd_admin_text(request, VTD_ADMIN_K_NAME);

        if (asked && is_taken(grants, asked))
                return vtd_refuse(refused, 0, "there is a VM %s already", asked);
        if (asked)
                (void)g_strlcpy(name, asked, VTD_LIMIT_NAME + 1);
        else
                do
                        (void)snprintf(name, VTD_LIMIT_NAME + 1, "vm-%" PRIu32, ++grants->last);
                while (is_taken(grants, name));
        return 0;
}

static int judge_tenant(const struct vtd_tenant *tenant, const struct vtd_policy *wanted,
                        struct vtd_refused *refused)
{
        const struct vtd_policy_limit *total = vtd_tenant_exhausted(tenant, wanted);

        if (!tenant->door)
                return vtd_refuse(refused, 0, "the tenant is revoked, or its policy is gone");
        if (tenant->vms >= tenant->policy.vms)
                return vtd_refuse(refused, tenant->policy.vms_line,
                                  "the tenant has as many VMs as it may: %u", tenant->policy.vms);
        if (total)
                return vtd_refuse(refused, total->line,
                                  "what all VMs of the tenant may have, %" PRIu64
                                  ", would be exceeded",
                                  total->value);
        return 0;
}

/* Nobody can send descriptors to it before a worker has it. */
static int make_connection(struct vtd_grant *grant, int *peer)
{
        int pair[2], result;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return vtd_errno();
        grant->connection = pair[0];
        result = vtd_record_adopt(pair[0]);
        if (result == 0)
                result = vtd_record_accept_fds(pair[0], false);
        if (result < 0 && result != -ENOPROTOOPT) {
                pair[1] = vtd_close(pair[1]);
                return result;
        }
        watch_connection(grant);
        *peer = pair[1];
        return 0;
}

static int open_grant(struct vtd_grant *grant, int *peer)
{
        const struct vtd_door_config config = {
                .workers = grant->grants->workers,
                .tenant = grant->tenant,
                .policy = &grant->policy,
                .name = grant->name,
                .charged = true,
                .on_started = on_started,
                .opaque = grant,
        };
        char file[VTD_SOCKET_FILE_NAME];
        int result;

        (void)snprintf(file, sizeof(file), "%s+%s.sock", grant->policy.tenant, grant->name);
        result = vtd_door_new(&grant->door, &config, grant->grants->place, file,
                              config_of(grant)->log);
        if (result == 0 && peer)
                result = make_connection(grant, peer);
        if (result == 0)
                vtd_door_open(grant->door);
        return result;
}

static void audit_created(const struct vtd_grant *grant, uint32_t by, uint64_t seconds)
{
        const struct vtd_policy *policy = &grant->policy;
        char text[256];
        int used;

        used = snprintf(text, sizeof(text),
                        "by user %" PRIu32 ", for %" PRIu64 " s, memory %" PRIu64 ", devices:", by,
                        seconds, policy->limits[VTD_POLICY_MEMORY].value);
        for (uint32_t i = 0; i < policy->n_devices && used < (int)sizeof(text); i++)
                used += snprintf(text + used, sizeof(text) - (size_t)used, " %s",
                                 policy->devices[i].name);
        audit(grant, "grant-created", text);
}

int vtd_grants_create(struct vtd_grants *grants, struct vtd_tenant *tenant,
                      const struct vtd_admin_record *request, uint32_t by, struct vtd_grant **out,
                      int *peer, struct vtd_refused *refused)
{
        uint64_t seconds =
                vtd_admin_number(request, VTD_ADMIN_K_EXPIRES, VTD_GRANTS_EXPIRES_DEFAULT);
        struct vtd_grant *grant;
        struct vtd_policy policy;
        char name[VTD_LIMIT_NAME + 1];
        int result;

        if (seconds == 0 || seconds > VTD_GRANTS_EXPIRES_MAX)
                return vtd_refuse(refused, 0, "expires %" PRIu64 " asked, allowed is 1 to %u",
                                  seconds, VTD_GRANTS_EXPIRES_MAX);
        result = vtd_grant_policy_make(&policy, &tenant->policy, request,
                                       grants->workers->config.devices, refused);
        if (result == 0)
                result = judge_tenant(tenant, &policy, refused);
        if (result == 0)
                result = choose_name(grants, request, name, refused);
        if (result != 0)
                return result;
        grant = g_new0(struct vtd_grant, 1);
        grant->grants = grants;
        grant->tenant = tenant;
        grant->policy = policy;
        grant->request = *request;
        grant->connection = -1;
        (void)g_strlcpy(grant->name, name, sizeof(grant->name));
        g_ptr_array_add(grants->array, grant);
        result = open_grant(grant, peer);
        if (result < 0) {
                free_grant(grant);
                return vtd_refuse(refused, 0, "its socket could not be made: %s",
                                  strerror(-result));
        }
        vtd_tenant_charge(tenant, &policy);
        grant->expires_ms = (uint64_t)g_get_monotonic_time() / 1000 + seconds * 1000;
        grant->expiry = g_timeout_add_seconds((guint)seconds, on_expired, grant);
        audit_created(grant, by, seconds);
        *out = grant;
        return 0;
}

struct vtd_grant *vtd_grants_at(const struct vtd_grants *grants, size_t index)
{
        return index < grants->array->len ? g_ptr_array_index(grants->array, index) : NULL;
}

struct vtd_grant *vtd_grants_find(const struct vtd_grants *grants, const char *name)
{
        struct vtd_grant *grant;

        for (size_t i = 0; (grant = vtd_grants_at(grants, i)); i++)
                if (strcmp(grant->name, name) == 0)
                        return grant;
        return NULL;
}

uint64_t vtd_grant_seconds(const struct vtd_grant *grant)
{
        uint64_t now = (uint64_t)g_get_monotonic_time() / 1000;

        return grant->expires_ms > now ? (grant->expires_ms - now) / 1000 : 0;
}

void vtd_grant_path(const struct vtd_grant *grant, char *path, size_t size)
{
        (void)snprintf(path, size, "%s/%s", grant->grants->place->path,
                       grant->door->listener.file.name);
}

/* 0 with what @grant is by the new policy, or VTD_REFUSED_E. */
static int judge_again(const struct vtd_grant *grant, bool present, struct vtd_policy *policy,
                       struct vtd_refused *refused)
{
        if (!present)
                return vtd_refuse(refused, 0, "its tenant has no policy any more");
        /* The socket file is the old user's: another user's is another grant. */
        if (grant->tenant->policy.uid != grant->policy.uid)
                return vtd_refuse(refused, 0, "its tenant's policy names another user");
        return vtd_grant_policy_make(policy, &grant->tenant->policy, &grant->request,
                                     config_of(grant)->devices, refused);
}

unsigned vtd_grants_judge_again(struct vtd_grants *grants, const struct vtd_tenant *tenant,
                                bool present)
{
        unsigned ended = 0;

        for (size_t i = grants->array->len; i-- > 0;) {
                struct vtd_grant *grant = vtd_grants_at(grants, i);
                struct vtd_refused refused;
                struct vtd_policy policy;

                if (grant->tenant != tenant)
                        continue;
                if (judge_again(grant, present, &policy, &refused) != 0) {
                        vtd_grant_end(grant, "grant-ended", refused.text);
                        ended++;
                        continue;
                }
                vtd_tenant_release(grant->tenant, &grant->policy);
                grant->policy = policy;
                vtd_tenant_charge(grant->tenant, &grant->policy);
        }
        return ended;
}
