/* SPDX-License-Identifier: MIT */
/* See worker.h. */
#include "broker/brokerd/worker_state.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/brokerd/scarcity.h"
#include "broker/control/worker_exit.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"

/*
 * A worker that does not answer within this time is killed, and so is one that does not get ready.
 */
#define WATCHDOG_LIMIT_MS 10000u

/*
 * From the start to GREETED.  An honest worker ends a connection without Hello by itself, after
 * VTD_LIMIT_HELLO_MS from READY; one that was taken over would hold its place among the greeting.
 */
#define GREETING_LIMIT_MS (WATCHDOG_LIMIT_MS + VTD_LIMIT_HELLO_MS)

/* Records taken from one worker per turn, so that none keeps the others waiting. */
#define CONTROL_BATCH 16

/* More than a full channel holds. */
#define DRAIN_BATCH 4096

/* Log lines of one worker, per second and at once: its VMM may be able to provoke them. */
#define LOG_RATE  20u
#define LOG_BURST 100u

/*
 * Devices opened for one worker, per second and at once.  An open reads sysfs, and the close after it
 * takes a process; beyond the rate the worker is not listened to for a while.
 */
#define OPEN_RATE     20u
#define OPEN_BURST    64u
#define OPEN_PAUSE_MS 50u

/* Sink of worker->log: a worker that repeats itself fills no disk. */
static void log_provoked(void *opaque, enum vtd_log_level level, const char *line)
{
        struct vtd_worker *worker = opaque;
        const char *tenant = worker->policy.tenant;

        if (!vtd_bucket_take(&worker->log_lines, vtd_worker_now_ms())) {
                worker->log_lost++;
                return;
        }
        if (worker->log_lost > 0)
                vtd_log(vtd_worker_log(worker), VTD_LOG_WARNING, "%s vm %u: %" PRIu64 " lines lost",
                        tenant, worker->vm, worker->log_lost);
        worker->log_lost = 0;
        vtd_log(vtd_worker_log(worker), level, "%s vm %u: %s", tenant, worker->vm, line);
}

void vtd_worker_audit(struct vtd_worker *worker, const char *event, const char *text,
                      const char *device)
{
        vtd_audit_log_event(worker->workers->config.audit, &worker->source,
                            &(const struct vtd_audit_event_line){
                                    .event = event,
                                    .text = text,
                                    .device = device,
                                    .pid = (int)worker->pid,
                                    .uid = worker->uid,
                                    .ending = worker->ended,
                            });
}

void vtd_worker_kill(struct vtd_worker *worker, const char *reason)
{
        if (worker->kill_reason || worker->ended)
                return;
        worker->kill_reason = g_strdup(reason);
        worker->killed_ms = vtd_worker_now_ms();
        /* Its records are worth nothing any more; the exit is seen through the pidfd. */
        vtd_worker_clear_source(&worker->control_source);
        vtd_log(vtd_worker_log(worker), VTD_LOG_ERROR, "%s vm %u: worker %d killed: %s",
                worker->policy.tenant, worker->vm, (int)worker->pid, reason);
        if (syscall(SYS_pidfd_send_signal, worker->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
                vtd_log(vtd_worker_log(worker), VTD_LOG_ERROR, "%s vm %u: worker %d not killed: %s",
                        worker->policy.tenant, worker->vm, (int)worker->pid, strerror(errno));
        vtd_worker_end_query(worker);
}

static void end_greeting(struct vtd_worker *worker)
{
        if (worker->phase == WORKER_SERVING)
                return;
        worker->phase = WORKER_SERVING;
        worker->tenant->greeting--;
        worker->workers->greeting--;
}

void vtd_worker_send(struct vtd_worker *worker, union vtd_control_record *record, int fd)
{
        int result = vtd_control_send(worker->control, record, fd);

        if (result == VTD_CONTROL_E_AGAIN)
                vtd_worker_kill(worker, "it does not read its control channel");
        else if (result != 0 && result != VTD_CONTROL_E_CLOSED)
                vtd_worker_kill(worker, "its control channel failed");
}

static void send_empty(struct vtd_worker *worker, enum vtd_control_type type)
{
        union vtd_control_record record = {.header = {.type = type}};

        vtd_worker_send(worker, &record, -1);
}

void vtd_worker_answer_device(struct vtd_worker *worker, uint32_t index,
                              enum vtd_control_device_result result, int fd)
{
        union vtd_control_record record = {
                .device = {.header = {.type = VTD_CONTROL_DEVICE},
                           .index = index,
                           .result = result},
        };

        vtd_worker_send(worker, &record, fd);
}

static void on_ready(struct vtd_worker *worker, const struct vtd_control_ready *ready)
{
        char text[96];

        if (worker->phase != WORKER_STARTING) {
                vtd_worker_kill(worker, "READY out of turn");
                return;
        }
        if (ready->landlock_abi < worker->workers->config.landlock_abi_min) {
                vtd_worker_kill(worker, "its Landlock ABI is below the minimum");
                return;
        }
        worker->phase = WORKER_GREETING;
        (void)snprintf(text, sizeof(text),
                       "Landlock ABI %u, %u system call rules, after %" PRIu64 " ms",
                       ready->landlock_abi, ready->seccomp_rules,
                       vtd_worker_now_ms() - worker->started_ms);
        vtd_worker_audit(worker, "worker-ready", text, NULL);
}

/* The rule that decided is named where there is one that could decide otherwise. */
static void audit_refused_device(struct vtd_worker *worker, const struct vtd_policy_device *device,
                                 enum vtd_control_device_result result, const char *text)
{
        vtd_audit_log_event(worker->workers->config.audit, &worker->source,
                            &(const struct vtd_audit_event_line){
                                    .event = "device-refused",
                                    .text = text,
                                    .device = device->name,
                                    .pid = (int)worker->pid,
                                    .uid = worker->uid,
                                    .line = result == VTD_CONTROL_DEVICE_GROUP ? device->line : 0,
                            });
}

static gboolean on_control(gint fd, GIOCondition condition, gpointer opaque);

static void listen_to(struct vtd_worker *worker)
{
        worker->control_source = g_unix_fd_add_full(G_PRIORITY_DEFAULT, worker->control, G_IO_IN,
                                                    on_control, worker, NULL);
}

static gboolean on_pause_over(gpointer opaque)
{
        struct vtd_worker *worker = opaque;

        /* What was opened over the rate is paid for now. */
        if (!vtd_bucket_take(&worker->opens, vtd_worker_now_ms()))
                return G_SOURCE_CONTINUE;
        worker->paused = false;
        listen_to(worker);
        return G_SOURCE_REMOVE;
}

/* Its records wait in the channel meanwhile, which is bounded. */
static void pause_listening(struct vtd_worker *worker)
{
        if (worker->control_source == 0)
                return;
        vtd_worker_clear_source(&worker->control_source);
        worker->control_source = g_timeout_add(OPEN_PAUSE_MS, on_pause_over, worker);
        worker->paused = true;
}

static void on_open_device(struct vtd_worker *worker, uint32_t index)
{
        const struct vtd_policy *policy = &worker->policy;
        const struct vtd_policy_device *device;
        enum vtd_control_device_result result;
        struct vtd_device_text text;

        if (worker->phase != WORKER_SERVING || index >= policy->n_devices ||
            worker->devices[index] >= 0 || worker->closing.pidfd >= 0) {
                vtd_worker_kill(worker, "OPEN_DEVICE out of turn");
                return;
        }
        device = &policy->devices[index];
        if (worker->lost & UINT32_C(1) << index) {
                audit_refused_device(worker, device, VTD_CONTROL_DEVICE_MISSING,
                                     "the tenant's policy grants it no more");
                vtd_worker_answer_device(worker, index, VTD_CONTROL_DEVICE_MISSING, -1);
                return;
        }
        result = vtd_device_files_open(worker->workers->config.devices, policy, index, worker->vm,
                                       &worker->devices[index], &text, &worker->log);
        if (result == VTD_CONTROL_DEVICE_OPENED) {
                worker->tenant->counts.devices_opened++;
                vtd_worker_audit(worker, "device-opened", NULL, device->name);
        } else {
                worker->tenant->counts.devices_refused++;
                audit_refused_device(worker, device, result, text.text);
        }
        vtd_worker_answer_device(worker, index, result, worker->devices[index]);
        if (!vtd_bucket_take(&worker->opens, vtd_worker_now_ms()))
                pause_listening(worker);
}

static void on_close_device(struct vtd_worker *worker, uint32_t index)
{
        if (worker->devices[index] < 0 || worker->closing.pidfd >= 0) {
                vtd_worker_kill(worker, "CLOSE_DEVICE out of turn");
                return;
        }
        vtd_worker_close_device(worker, index);
}

static void on_record(struct vtd_worker *worker, const union vtd_control_record *record)
{
        switch (record->header.type) {
        case VTD_CONTROL_READY:
                on_ready(worker, &record->ready);
                return;
        case VTD_CONTROL_GREETED:
                if (worker->phase == WORKER_GREETING)
                        end_greeting(worker);
                else
                        vtd_worker_kill(worker, "GREETED out of turn");
                return;
        case VTD_CONTROL_OPEN_DEVICE:
                on_open_device(worker, record->open_device.index);
                return;
        case VTD_CONTROL_CLOSE_DEVICE:
                on_close_device(worker, record->open_device.index);
                return;
        case VTD_CONTROL_AUDIT:
                vtd_audit_log_record(worker->workers->config.audit, &worker->source,
                                     &record->audit);
                return;
        case VTD_CONTROL_LOG:
                vtd_log(&worker->log, (enum vtd_log_level)record->log.level, "%s",
                        record->log.text);
                return;
        case VTD_CONTROL_PONG:
                if (worker->pinged)
                        worker->pinged = false;
                else
                        vtd_worker_kill(worker, "PONG out of turn");
                return;
        case VTD_CONTROL_REPORT:
                vtd_worker_take_report(worker, &record->report);
                return;
        default:
                vtd_worker_kill(worker, "unknown record");
        }
}

/* Takes in one record; false when there is no more to take. */
static bool take_record(struct vtd_worker *worker)
{
        VTD_CLEANUP(vtd_fd_list_deinit) struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        union vtd_control_record record;
        int result;

        result = vtd_control_receive(worker->control, VTD_CONTROL_TO_BROKERD, &record, &fds);
        switch (result) {
        case 0:
                on_record(worker, &record);
                return !worker->kill_reason;
        case VTD_CONTROL_E_AGAIN:
                return false;
        case VTD_CONTROL_E_CLOSED:
                /* It is on its way out; if it is not, it has no more business. */
                vtd_worker_clear_source(&worker->control_source);
                (void)syscall(SYS_pidfd_send_signal, worker->pidfd, SIGKILL, NULL, 0);
                return false;
        case VTD_CONTROL_E_VIOLATION:
                vtd_worker_kill(worker, "its record breaks the control protocol");
                return false;
        default:
                vtd_worker_kill(worker, "its control channel failed");
                return false;
        }
}

static gboolean on_control(gint fd, GIOCondition condition, gpointer opaque)
{
        struct vtd_worker *worker = opaque;

        (void)fd;
        (void)condition;
        for (int i = 0; i < CONTROL_BATCH && !worker->paused; i++)
                if (!take_record(worker))
                        break;
        return worker->control_source != 0 && !worker->paused ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* Takes in what the worker has sent; bounded, because it may send faster than this reads. */
static void drain_control(struct vtd_worker *worker)
{
        for (int i = 0; !worker->kill_reason && i < DRAIN_BATCH; i++)
                if (!take_record(worker))
                        break;
}

static void describe_exit(const struct vtd_worker *worker, const siginfo_t *info, char *text,
                          size_t size)
{
        if (info->si_code == CLD_EXITED)
                (void)snprintf(text, size, "status %d: %s", info->si_status,
                               vtd_worker_exit_text(info->si_status));
        else if (worker->kill_reason)
                (void)snprintf(text, size, "killed: %s", worker->kill_reason);
        else if (info->si_status == SIGSYS)
                (void)snprintf(text, size, "signal %d: it made a forbidden system call",
                               info->si_status);
        else
                (void)snprintf(text, size, "signal %d", info->si_status);
}

static void finish_worker(struct vtd_worker *worker, const siginfo_t *info)
{
        bool done = info->si_code == CLD_EXITED && info->si_status == VTD_WORKER_EXIT_DONE;
        struct vtd_tenant_counts *counts = &worker->tenant->counts;
        char text[256];

        /* What it said last is still in the channel; nothing of it can be answered. */
        drain_control(worker);
        worker->ended = true;
        describe_exit(worker, info, text, sizeof(text));
        if (!done)
                vtd_log(vtd_worker_log(worker), VTD_LOG_ERROR, "%s vm %u: worker %d ended: %s",
                        worker->policy.tenant, worker->vm, (int)worker->pid, text);
        if (worker->kill_reason)
                counts->killed++;
        else if (done)
                counts->done++;
        else
                counts->failed++;
        vtd_worker_audit(worker, "worker-ended", text, NULL);
        end_greeting(worker);
        vtd_worker_end_query(worker);
        vtd_worker_clear_source(&worker->control_source);
        worker->tenant->ending++;
        vtd_worker_close_rest(worker);
}

static gboolean on_exit_ready(gint fd, GIOCondition condition, gpointer opaque)
{
        struct vtd_worker *worker = opaque;
        siginfo_t info = {0};

        (void)condition;
        if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
                return G_SOURCE_CONTINUE;
        worker->exit_source = 0;
        finish_worker(worker, &info);
        return G_SOURCE_REMOVE;
}

static void watch_answers(struct vtd_worker *worker)
{
        if (worker->phase == WORKER_STARTING) {
                if (vtd_worker_now_ms() - worker->started_ms > WATCHDOG_LIMIT_MS)
                        vtd_worker_kill(worker, "it did not get ready");
                return;
        }
        if (worker->phase == WORKER_GREETING &&
            vtd_worker_now_ms() - worker->started_ms > GREETING_LIMIT_MS) {
                /* If it was vtd-brokerd that stood still, GREETED may be waiting. */
                drain_control(worker);
                if (worker->phase == WORKER_GREETING)
                        vtd_worker_kill(worker, "it did not greet");
                return;
        }
        if (worker->pinged && vtd_worker_now_ms() - worker->pinged_ms > WATCHDOG_LIMIT_MS) {
                /* If it was vtd-brokerd that stood still, the answer is waiting. */
                drain_control(worker);
                if (worker->pinged)
                        vtd_worker_kill(worker, "it did not answer");
                return;
        }
        if (worker->pinged)
                return;
        worker->pinged = true;
        worker->pinged_ms = vtd_worker_now_ms();
        send_empty(worker, VTD_CONTROL_PING);
}

void vtd_worker_watch(struct vtd_worker *worker)
{
        vtd_worker_watch_closing(worker);
        if (worker->ended)
                return;
        if (worker->kill_reason)
                vtd_worker_watch_death(worker);
        else
                watch_answers(worker);
}

void vtd_worker_drain(struct vtd_worker *worker)
{
        if (!worker->kill_reason && !worker->ended)
                send_empty(worker, VTD_CONTROL_DRAIN);
}

void vtd_worker_wait(struct vtd_worker *worker)
{
        struct vtd_workers *workers = worker->workers;
        size_t count = workers->count;
        siginfo_t info = {0};

        if (!worker->ended && waitid(P_PIDFD, (id_t)worker->pidfd, &info, WEXITED) == 0)
                finish_worker(worker, &info);
        /* With nothing left to be closed it is gone by now. */
        if (workers->count == count)
                vtd_worker_abandon_closing(worker);
}

static int send_start(struct vtd_worker *worker)
{
        const struct vtd_workers_config *config = &worker->workers->config;
        union vtd_control_record record = {
                .start = {.header = {.type = VTD_CONTROL_START},
                          .vm = worker->vm,
                          .host = config->host,
                          .audit_level = config->audit_level,
                          .uid = worker->uid,
                          .gid = config->rootless ? getegid() : worker->uid,
                          .rootless = config->rootless,
                          .landlock_abi_min = config->landlock_abi_min,
                          .policy = worker->policy},
        };
        int result = vtd_control_send(worker->control, &record, -1);

        return result == 0
                       ? 0
                       : vtd_fail(config->log, vtd_error_fold(result), "%s vm %u: START not sent",
                                  worker->policy.tenant, worker->vm);
}

/* Clones the child; on success the worker has pid, pidfd, control and iommu. */
static int spawn(struct vtd_worker *worker, int connection)
{
        const struct vtd_workers_config *config = &worker->workers->config;
        VTD_CLEANUP_FD int ours = -1, theirs = -1;
        int pair[2], result;

        result = vtd_device_files_open_iommu(config->devices, &worker->iommu, config->log);
        if (result < 0)
                return result;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
                result = vtd_errno();
                return vtd_fail(config->log, result, "control channel: %s%s", strerror(-result),
                                vtd_scarcity_text(result));
        }
        ours = pair[0];
        theirs = pair[1];
        result = vtd_spawn_worker(config->spawn,
                                  &(const struct vtd_spawn_descriptors){.control = theirs,
                                                                        .connection = connection,
                                                                        .iommu = worker->iommu},
                                  &worker->pid, &worker->pidfd, config->log);
        if (result < 0)
                return result;
        worker->control = VTD_TAKE_FD(ours);
        return 0;
}

struct vtd_worker *vtd_worker_new(struct vtd_workers *workers, const struct vtd_arrival *arrival,
                                  uint32_t uid)
{
        struct vtd_worker *worker = g_new0(struct vtd_worker, 1);

        worker->workers = workers;
        worker->tenant = arrival->tenant;
        worker->policy = *arrival->policy;
        (void)g_strlcpy(worker->name, arrival->name, sizeof(worker->name));
        worker->vm = ++workers->last_vm;
        worker->uid = uid;
        worker->pidfd = worker->control = worker->iommu = worker->closing.pidfd = -1;
        worker->started_ms = vtd_worker_now_ms();
        for (size_t i = 0; i < VTD_LIMIT_DEVICES; i++)
                worker->devices[i] = -1;
        worker->log = (struct vtd_log){.sink = log_provoked,
                                       .opaque = worker,
                                       .threshold = workers->config.log->threshold};
        vtd_bucket_init(&worker->log_lines, LOG_RATE, LOG_BURST, vtd_worker_now_ms());
        vtd_bucket_init(&worker->opens, OPEN_RATE, OPEN_BURST, vtd_worker_now_ms());
        vtd_audit_source_init(&worker->source, worker->policy.tenant, worker->policy.file,
                              worker->vm);
        worker->source.name = worker->name;
        return worker;
}

int vtd_worker_start(struct vtd_worker *worker, const struct vtd_arrival *arrival, int connection)
{
        char text[64];
        int r = spawn(worker, connection);

        if (r < 0) {
                worker->iommu = vtd_close(worker->iommu);
                vtd_uids_give_back(worker->workers->config.uids, worker->uid);
                g_free(worker);
                return r;
        }
        worker->workers->greeting++;
        worker->tenant->counts.started++;
        worker->tenant->greeting++;
        if (!arrival->charged)
                vtd_tenant_charge(worker->tenant, &worker->policy);
        listen_to(worker);
        worker->exit_source = g_unix_fd_add_full(G_PRIORITY_DEFAULT, worker->pidfd, G_IO_IN,
                                                 on_exit_ready, worker, NULL);
        if (arrival->peer_pid != 0)
                (void)snprintf(text, sizeof(text), "for a connection of process %d",
                               arrival->peer_pid);
        else
                (void)snprintf(text, sizeof(text), "for a connection that was handed out");
        vtd_worker_audit(worker, "worker-started", text, NULL);
        if (send_start(worker) < 0)
                vtd_worker_kill(worker, "it could not be started");
        return 0;
}
