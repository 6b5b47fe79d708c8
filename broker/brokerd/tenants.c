/* SPDX-License-Identifier: MIT */
/* See tenants.h. */
#include "broker/brokerd/tenants.h"

#include <dirent.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"

/*
 * Workers that one tenant may have started per second, and at once.  A start costs a few
 * milliseconds; beyond the rate connections wait in the socket's backlog.
 */
#define SPAWN_RATE  20u
#define SPAWN_BURST 40u

static void free_names(GPtrArray **names)
{
        g_clear_pointer(names, g_ptr_array_unref);
}

static void close_directory(DIR **directory)
{
        if (*directory)
                (void)closedir(*directory);
}

static int compare_names(gconstpointer a, gconstpointer b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Who may rename files there could put an old policy, or another tenant's, back in force. */
static int check_directory(int fd, const char *path, struct vtd_log *log)
{
        struct stat status;
        int error;

        if (fstat(fd, &status) < 0) {
                error = vtd_errno();
                return vtd_fail(log, error, "policies %s: %s", path, strerror(-error));
        }
        if ((status.st_mode & S_IWOTH) && !(status.st_mode & S_ISVTX))
                return vtd_fail(log, -EPERM, "policies %s: everybody may write it (mode %04o)",
                                path, status.st_mode & 07777u);
        if (status.st_uid != 0 && status.st_uid != geteuid())
                return vtd_fail(log, -EPERM, "policies %s: belongs to user %u, not to user 0 or %u",
                                path, status.st_uid, geteuid());
        return 0;
}

/* The policy files in a fixed order, so that messages and VM numbers do not depend on the disk. */
static int list_policies(const char *path, int *directory_fd, GPtrArray *names, struct vtd_log *log)
{
        VTD_CLEANUP(close_directory) DIR *directory = opendir(path);
        struct dirent *entry;
        int error;

        if (!directory) {
                error = vtd_errno();
                return vtd_fail(log, error, "policies %s: %s", path, strerror(-error));
        }
        error = check_directory(dirfd(directory), path, log);
        if (error < 0)
                return error;
        errno = 0;
        while ((entry = readdir(directory)) != NULL)
                if (g_str_has_suffix(entry->d_name, ".policy") && entry->d_name[0] != '.')
                        g_ptr_array_add(names, g_strdup(entry->d_name));
        if (errno != 0) {
                error = vtd_errno();
                return vtd_fail(log, error, "policies %s: %s", path, strerror(-error));
        }
        if (names->len == 0)
                return vtd_fail(log, -ENOENT, "policies %s: no file named *.policy", path);
        g_ptr_array_sort(names, compare_names);
        *directory_fd = fcntl(dirfd(directory), F_DUPFD_CLOEXEC, 3);
        return *directory_fd < 0 ? vtd_errno() : 0;
}

static int check_unique(const struct vtd_tenants *tenants, struct vtd_log *log)
{
        for (guint i = 0; i < tenants->array->len; i++) {
                const struct vtd_policy *b = &vtd_tenants_at(tenants, i)->policy;
                const struct vtd_tenant *first = vtd_tenants_find(tenants, b->tenant);
                const struct vtd_policy *a = &first->policy;

                if (a != b)
                        return vtd_fail(log, -EEXIST,
                                        "%s:%u:1: tenant %s is defined in %s:%u already", b->file,
                                        b->tenant_line, b->tenant, a->file, a->tenant_line);
        }
        return 0;
}

static struct vtd_tenant *new_tenant(const struct vtd_policy *policy)
{
        struct vtd_tenant *tenant = g_new0(struct vtd_tenant, 1);

        tenant->policy = *policy;
        vtd_audit_source_init(&tenant->source, tenant->policy.tenant, tenant->policy.file, 0);
        vtd_bucket_init(&tenant->spawns, SPAWN_RATE, SPAWN_BURST,
                        (uint64_t)g_get_monotonic_time() / 1000);
        return tenant;
}

int vtd_tenants_load(struct vtd_tenants *tenants, const char *directory, struct vtd_log *log)
{
        VTD_CLEANUP(free_names) GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
        VTD_CLEANUP_FD int directory_fd = -1;
        int result, first_error = 0;

        tenants->array = g_ptr_array_new_with_free_func(g_free);
        result = list_policies(directory, &directory_fd, names, log);
        if (result < 0)
                return result;
        /* All files are judged, so that one start shows every mistake. */
        for (guint i = 0; i < names->len; i++) {
                struct vtd_policy policy;

                result = vtd_policy_load(&policy, directory_fd, g_ptr_array_index(names, i), log);
                if (result == 0)
                        g_ptr_array_add(tenants->array, new_tenant(&policy));
                else if (first_error == 0)
                        first_error = result;
        }
        return first_error < 0 ? first_error : check_unique(tenants, log);
}

void vtd_tenants_deinit(struct vtd_tenants *tenants)
{
        g_clear_pointer(&tenants->array, g_ptr_array_unref);
}

struct vtd_tenant *vtd_tenants_at(const struct vtd_tenants *tenants, size_t index)
{
        return tenants->array && index < tenants->array->len
                       ? g_ptr_array_index(tenants->array, index)
                       : NULL;
}

struct vtd_tenant *vtd_tenants_find(const struct vtd_tenants *tenants, const char *name)
{
        struct vtd_tenant *tenant;

        for (size_t i = 0; (tenant = vtd_tenants_at(tenants, i)); i++)
                if (strcmp(tenant->policy.tenant, name) == 0)
                        return tenant;
        return NULL;
}

const struct vtd_policy_limit *vtd_tenant_exhausted(const struct vtd_tenant *tenant,
                                                    const struct vtd_policy *wanted)
{
        for (unsigned i = 0; i < VTD_POLICY_LIMIT_COUNT; i++) {
                const struct vtd_policy_limit *total = vtd_policy_total_of(&tenant->policy, i);
                uint64_t sum;

                if (total && (!vtd_add_u64(tenant->held[i], wanted->limits[i].value, &sum) ||
                              sum > total->value))
                        return total;
        }
        return NULL;
}

void vtd_tenant_charge(struct vtd_tenant *tenant, const struct vtd_policy *policy)
{
        tenant->vms++;
        for (unsigned i = 0; i < VTD_POLICY_LIMIT_COUNT; i++)
                if (vtd_policy_total_of(policy, i))
                        tenant->held[i] += policy->limits[i].value;
}

void vtd_tenant_release(struct vtd_tenant *tenant, const struct vtd_policy *policy)
{
        tenant->vms--;
        for (unsigned i = 0; i < VTD_POLICY_LIMIT_COUNT; i++)
                if (vtd_policy_total_of(policy, i))
                        tenant->held[i] -= policy->limits[i].value;
}
