/* SPDX-License-Identifier: MIT */
/* See daemon.h. */
#include "broker/brokerd/daemon.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <glib.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/brokerd/admin_server.h"
#include "broker/brokerd/administration.h"
#include "broker/brokerd/audit_log.h"
#include "broker/brokerd/audit_names.h"
#include "broker/brokerd/device_files.h"
#include "broker/sandbox/landlock.h"
#include "broker/brokerd/door.h"
#include "broker/brokerd/metrics.h"
#include "broker/brokerd/metrics_text.h"
#include "broker/brokerd/notify.h"
#include "broker/brokerd/policies.h"
#include "broker/brokerd/spawn.h"
#include "broker/brokerd/uids.h"
#include "broker/brokerd/workers.h"
#include "shared/cleanup.h"
#include "shared/error.h"

/* How long workers may take to end their VMs after SIGTERM; and after that the last closes. */
#define DRAIN_MS 5000

struct vtd_daemon {
        struct vtd_daemon_config config;
        struct vtd_log *log;
        GMainLoop *loop;
        struct vtd_policies policies;
        struct vtd_grants grants;
        struct vtd_administration administration;
        struct vtd_admin_server *admin; /* NULL: no control socket */
        struct vtd_spawn spawn;
        struct vtd_uids uids;
        struct vtd_device_files *devices;
        struct vtd_audit_log *audit;
        struct vtd_workers workers;
        struct vtd_metrics *metrics; /* NULL: not asked for */
        int64_t started;             /* seconds of the epoch */
        struct vtd_door_place place;
        int socket_directory;
        int signals;
        guint signal_source;
        guint drain_source;
        uint32_t landlock_abi;
        bool draining;
};

static void on_empty(void *opaque)
{
        struct vtd_daemon *daemon = opaque;

        if (daemon->draining)
                g_main_loop_quit(daemon->loop);
}

/* A device that does not come out of its reset must not keep vtd-brokerd for ever. */
static gboolean on_closing_late(gpointer opaque)
{
        struct vtd_daemon *daemon = opaque;

        daemon->drain_source = 0;
        g_main_loop_quit(daemon->loop);
        return G_SOURCE_REMOVE;
}

static gboolean on_drain_late(gpointer opaque)
{
        struct vtd_daemon *daemon = opaque;

        daemon->drain_source = g_timeout_add(DRAIN_MS, on_closing_late, daemon);
        vtd_workers_kill(&daemon->workers, "it did not end within 5 seconds");
        return G_SOURCE_REMOVE;
}

/* Nobody comes in any more, and nothing is asked. */
static void end_service(struct vtd_daemon *daemon)
{
        daemon->admin = vtd_admin_server_free(daemon->admin);
        vtd_grants_deinit(&daemon->grants);
        vtd_policies_close_doors(&daemon->policies);
}

static void stop(struct vtd_daemon *daemon)
{
        if (daemon->draining) {
                vtd_workers_kill(&daemon->workers, "vtd-brokerd was told twice to end");
                return;
        }
        daemon->draining = true;
        (void)vtd_notify("STOPPING=1", daemon->log);
        end_service(daemon);
        if (daemon->workers.count == 0) {
                g_main_loop_quit(daemon->loop);
                return;
        }
        vtd_log(daemon->log, VTD_LOG_INFO, "ending %zu workers", daemon->workers.count);
        daemon->drain_source = g_timeout_add(DRAIN_MS, on_drain_late, daemon);
        vtd_workers_drain(&daemon->workers);
}

static void reload(struct vtd_daemon *daemon)
{
        struct vtd_policies_change change;
        char state[64];

        if (daemon->draining)
                return;
        (void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIi64,
                       g_get_monotonic_time());
        (void)vtd_notify(state, daemon->log);
        /* Refused, they stay as they were, which has been reported: there is no one to return to. */
        (void)vtd_policies_reload(&daemon->policies, &change, daemon->log);
        (void)vtd_notify("READY=1", daemon->log);
}

static gboolean on_signal(gint fd, GIOCondition condition, gpointer opaque)
{
        struct vtd_daemon *daemon = opaque;
        struct signalfd_siginfo info;

        (void)condition;
        if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
                return G_SOURCE_CONTINUE;
        if (info.ssi_signo == SIGUSR1)
                (void)vtd_audit_log_reopen(daemon->audit); /* reported; the old file goes on */
        else if (info.ssi_signo == SIGHUP)
                reload(daemon);
        else
                stop(daemon);
        return G_SOURCE_CONTINUE;
}

/* Not g_unix_signal_add(): it starts a thread, and a process that clones must have none. */
static int watch_signals(struct vtd_daemon *daemon)
{
        sigset_t set;
        int result;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGTERM);
        (void)sigaddset(&set, SIGINT);
        (void)sigaddset(&set, SIGHUP);
        (void)sigaddset(&set, SIGUSR1);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
                result = vtd_errno();
                return vtd_fail(daemon->log, result, "signals: %s", strerror(-result));
        }
        daemon->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (daemon->signals < 0) {
                result = vtd_errno();
                return vtd_fail(daemon->log, result, "signals: %s", strerror(-result));
        }
        daemon->signal_source = g_unix_fd_add(daemon->signals, G_IO_IN, on_signal, daemon);
        return 0;
}

static int check_landlock(struct vtd_daemon *daemon)
{
        daemon->landlock_abi = vtd_landlock_abi();
        if (daemon->landlock_abi >= daemon->config.landlock_abi_min)
                return 0;
        return vtd_fail(daemon->log, -EOPNOTSUPP,
                        "the kernel has Landlock ABI %u, workers need at least %u",
                        daemon->landlock_abi, daemon->config.landlock_abi_min);
}

/* A worker leaves this process's root with pivot_root(), which takes a root that is a mount point. */
static int check_root(struct vtd_daemon *daemon)
{
        struct statx status;

        if (statx(AT_FDCWD, "/", 0, STATX_TYPE, &status) < 0 ||
            !(status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) ||
            (status.stx_attributes & STATX_ATTR_MOUNT_ROOT))
                return 0;
        return vtd_fail(daemon->log, -EINVAL,
                        "the root directory is no mount point, so workers cannot leave it: in a "
                        "chroot, bind-mount its directory on itself before entering it");
}

/* Each VM opens it anew; that it can be opened at all is better found out before the first one. */
static int check_iommu(struct vtd_daemon *daemon)
{
        VTD_CLEANUP_FD int fd = -1;

        return vtd_device_files_open_iommu(daemon->devices, &fd, daemon->log);
}

static int make_doors(struct vtd_daemon *daemon)
{
        const struct vtd_daemon_config *config = &daemon->config;
        int result;

        result = vtd_listener_take_directory(config->sockets, &daemon->socket_directory,
                                             daemon->log);
        if (result < 0)
                return result;
        daemon->place = (struct vtd_door_place){
                .directory = daemon->socket_directory,
                .path = config->sockets,
                .owned = !config->rootless,
        };
        vtd_grants_init(&daemon->grants, &daemon->workers, &daemon->place);
        return vtd_policies_make_doors(&daemon->policies, &daemon->workers, &daemon->grants,
                                       &daemon->place);
}

static int listen_to_administrators(struct vtd_daemon *daemon)
{
        const struct vtd_daemon_config *config = &daemon->config;

        if (!config->control)
                return 0;
        daemon->administration = (struct vtd_administration){
                .policies = &daemon->policies,
                .grants = &daemon->grants,
                .workers = &daemon->workers,
                .log = daemon->log,
                .version = config->version,
                .landlock_abi = daemon->landlock_abi,
        };
        vtd_administration_init(&daemon->administration);
        return vtd_admin_server_new(&daemon->admin,
                                    &(const struct vtd_admin_server_config){
                                            .path = config->control,
                                            .group = config->control_group,
                                            .on_request = vtd_administration_request,
                                            .opaque = &daemon->administration,
                                            .audit = daemon->audit,
                                            .source = &daemon->policies.source,
                                            .log = daemon->log,
                                    });
}

static void init_workers(struct vtd_daemon *daemon)
{
        const struct vtd_daemon_config *config = &daemon->config;

        daemon->devices = vtd_device_files_new(config->host, "/sys", "/dev");
        daemon->audit = g_new0(struct vtd_audit_log, 1);
        vtd_audit_log_init(daemon->audit, config->audit, daemon->log);
        if (config->rootless)
                vtd_uids_init_rootless(&daemon->uids, geteuid());
        else
                vtd_uids_init(&daemon->uids, config->uid_first, config->uid_last);
        vtd_workers_init(&daemon->workers, &(const struct vtd_workers_config){
                                                   .host = config->host,
                                                   .audit_level = config->audit_level,
                                                   .landlock_abi_min = config->landlock_abi_min,
                                                   .rootless = config->rootless,
                                                   .spawn = &daemon->spawn,
                                                   .uids = &daemon->uids,
                                                   .devices = daemon->devices,
                                                   .audit = daemon->audit,
                                                   .log = daemon->log,
                                                   .on_empty = on_empty,
                                                   .opaque = daemon,
                                           });
}

static const char *host_name(const struct vtd_daemon *daemon)
{
        return daemon->config.host == VTD_HOST_LINUX ? "linux" : "simulated";
}

static void format_metrics(GString *text, void *opaque)
{
        const struct vtd_daemon *daemon = opaque;

        vtd_metrics_format(text,
                           &(const struct vtd_metrics_view){.version = daemon->config.version,
                                                            .host = host_name(daemon),
                                                            .started = daemon->started,
                                                            .workers = &daemon->workers,
                                                            .tenants = &daemon->policies.tenants,
                                                            .audit = daemon->audit});
}

static int start(struct vtd_daemon *daemon)
{
        const struct vtd_daemon_config *config = &daemon->config;
        int result;

        result = check_landlock(daemon);
        if (result == 0)
                result = check_root(daemon);
        if (result == 0)
                result = vtd_policies_init(&daemon->policies,
                                           &(const struct vtd_policies_config){
                                                   .directory = config->policies,
                                                   .host = config->host,
                                                   .rootless = config->rootless,
                                                   .uid_first = config->uid_first,
                                                   .uid_last = config->uid_last,
                                           },
                                           daemon->log);
        if (result == 0)
                result = vtd_spawn_init(&daemon->spawn, config->host, config->worker_directory,
                                        config->worker_cgroup, config->rootless, daemon->log);
        if (result == 0)
                result = watch_signals(daemon);
        if (result < 0)
                return result;
        init_workers(daemon);
        result = check_iommu(daemon);
        if (result == 0)
                result = make_doors(daemon);
        if (result == 0 && config->metrics)
                result = vtd_metrics_new(&daemon->metrics, config->metrics, format_metrics, daemon,
                                         daemon->log);
        return result < 0 ? result : listen_to_administrators(daemon);
}

int vtd_daemon_new(struct vtd_daemon **out, const struct vtd_daemon_config *config,
                   struct vtd_log *log)
{
        struct vtd_daemon *daemon = g_new0(struct vtd_daemon, 1);
        int result;

        daemon->config = *config;
        daemon->log = log;
        daemon->started = g_get_real_time() / G_USEC_PER_SEC;
        daemon->loop = g_main_loop_new(NULL, FALSE);
        daemon->socket_directory = daemon->signals = -1;
        daemon->spawn = (struct vtd_spawn){.program = -1, .null = -1, .cgroup = -1};
        result = start(daemon);
        if (result < 0) {
                daemon = vtd_daemon_free(daemon);
                return result;
        }
        *out = daemon;
        return 0;
}

struct vtd_daemon *vtd_daemon_free(struct vtd_daemon *daemon)
{
        if (!daemon)
                return NULL;
        daemon->metrics = vtd_metrics_free(daemon->metrics);
        end_service(daemon);
        vtd_workers_deinit(&daemon->workers);
        if (daemon->signal_source != 0)
                (void)g_source_remove(daemon->signal_source);
        if (daemon->drain_source != 0)
                (void)g_source_remove(daemon->drain_source);
        daemon->signals = vtd_close(daemon->signals);
        daemon->socket_directory = vtd_close(daemon->socket_directory);
        daemon->devices = vtd_device_files_free(daemon->devices);
        if (daemon->audit)
                vtd_audit_log_flush(daemon->audit);
        g_free(daemon->audit);
        vtd_uids_deinit(&daemon->uids);
        vtd_spawn_deinit(&daemon->spawn);
        vtd_policies_deinit(&daemon->policies);
        g_main_loop_unref(daemon->loop);
        g_free(daemon);
        return NULL;
}

static void say_ready(struct vtd_daemon *daemon)
{
        const struct vtd_daemon_config *config = &daemon->config;
        guint tenants = daemon->policies.tenants.array->len;
        char users[80];

        if (config->rootless)
                (void)snprintf(users, sizeof(users),
                               "rootless: one uid for all workers, no memlock limits");
        else
                (void)snprintf(users, sizeof(users), "workers as uid %u-%u", config->uid_first,
                               config->uid_last);
        vtd_log(daemon->log, VTD_LOG_INFO,
                "ready: host %s, %u tenant%s, %s, Landlock ABI %u (needed %u), audit %s",
                host_name(daemon), tenants, tenants == 1 ? "" : "s", users, daemon->landlock_abi,
                config->landlock_abi_min, vtd_audit_level_name(config->audit_level));
        (void)vtd_notify("READY=1", daemon->log);
}

int vtd_daemon_run(struct vtd_daemon *daemon)
{
        vtd_policies_open_doors(&daemon->policies);
        say_ready(daemon);
        g_main_loop_run(daemon->loop);
        return 0;
}
