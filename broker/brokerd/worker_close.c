/* SPDX-License-Identifier: MIT */
/*
 * The end of a VM's descriptors: see worker_state.h.  Each is closed for the last time by a closer,
 * devices before the iommufd; until all are closed, the VM counts and its user is nobody else's.
 */
#include "broker/brokerd/worker_state.h"

#include <glib-unix.h>
#include <string.h>
#include <sys/wait.h>

#include "broker/brokerd/closer.h"
#include "shared/cleanup.h"

/* A last close, or a killed worker's end, that takes longer than this is reported, once. */
#define CLOSING_LIMIT_MS 10000u

static void free_worker(struct vtd_worker *worker)
{
        vtd_uids_give_back(worker->workers->config.uids, worker->uid);
        vtd_tenant_release(worker->tenant, &worker->policy);
        worker->tenant->ending--;
        vtd_worker_clear_source(&worker->control_source);
        vtd_worker_clear_source(&worker->exit_source);
        worker->pidfd = vtd_close(worker->pidfd);
        worker->control = vtd_close(worker->control);
        vtd_workers_remove(worker->workers, worker);
        g_free(worker->kill_reason);
        g_free(worker);
}

/* What the closer had is closed: it is free for others. */
static void finish_closing(struct vtd_worker *worker)
{
        const struct vtd_policy *policy = &worker->policy;
        struct closing *closing = &worker->closing;

        for (uint32_t i = 0; i < VTD_LIMIT_DEVICES; i++) {
                if (!(closing->devices & UINT32_C(1) << i))
                        continue;
                vtd_device_files_release(worker->workers->config.devices, worker->vm, i);
                vtd_worker_audit(worker, "device-closed", NULL, policy->devices[i].name);
                if (!worker->ended && !worker->kill_reason)
                        vtd_worker_answer_device(worker, i, VTD_CONTROL_DEVICE_CLOSED, -1);
        }
        if (closing->iommu)
                vtd_worker_audit(worker, "iommufd-closed", NULL, NULL);
        *closing = (struct closing){.pidfd = -1};
}

static gboolean on_closed(gint fd, GIOCondition condition, gpointer opaque);

/*
 * Closes the devices of the bits @devices, or the iommufd.  If no closer can be started all VMs
 * wait, which is the lesser evil: a device that stays open is one that is not blocked.
 */
static void start_closing(struct vtd_worker *worker, uint32_t devices, bool iommu)
{
        struct closing *closing = &worker->closing;
        int fds[VTD_CLOSER_FDS_MAX];
        size_t count = 0;
        pid_t pid;

        *closing = (struct closing){
                .pidfd = -1, .started_ms = vtd_worker_now_ms(), .devices = devices, .iommu = iommu};
        for (uint32_t i = 0; i < VTD_LIMIT_DEVICES; i++)
                if (devices & UINT32_C(1) << i)
                        fds[count++] = VTD_TAKE_FD(worker->devices[i]);
        if (iommu)
                fds[count++] = VTD_TAKE_FD(worker->iommu);
        if (vtd_closer_start(fds, count, &pid, &closing->pidfd, vtd_worker_log(worker)) < 0) {
                vtd_log(vtd_worker_log(worker), VTD_LOG_WARNING,
                        "%s vm %u: its %s are closed without a closer: all VMs wait meanwhile",
                        worker->policy.tenant, worker->vm, iommu ? "tables and memory" : "devices");
                for (size_t i = 0; i < count; i++)
                        fds[i] = vtd_close(fds[i]);
                finish_closing(worker);
                return;
        }
        closing->source = g_unix_fd_add_full(G_PRIORITY_DEFAULT, closing->pidfd, G_IO_IN, on_closed,
                                             worker, NULL);
}

static uint32_t open_devices(const struct vtd_worker *worker)
{
        uint32_t devices = 0;

        for (uint32_t i = 0; i < VTD_LIMIT_DEVICES; i++)
                if (worker->devices[i] >= 0)
                        devices |= UINT32_C(1) << i;
        return devices;
}

/*
 * The order is the invariant: devices first, whose last close blocks their DMA, then memory.  The
 * iommufd is not even handed to a closer before the devices are closed.
 */
void vtd_worker_close_rest(struct vtd_worker *worker)
{
        while (worker->closing.pidfd < 0) {
                uint32_t devices = open_devices(worker);

                if (devices == 0 && worker->iommu < 0) {
                        free_worker(worker);
                        return;
                }
                start_closing(worker, devices, devices == 0);
        }
}

static gboolean on_closed(gint fd, GIOCondition condition, gpointer opaque)
{
        struct vtd_worker *worker = opaque;
        siginfo_t info = {0};

        (void)condition;
        if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
                return G_SOURCE_CONTINUE;
        /* Closed it has in any case: the kernel does not end a process before that. */
        if (info.si_code != CLD_EXITED || info.si_status != 0)
                vtd_log(vtd_worker_log(worker), VTD_LOG_WARNING,
                        "%s vm %u: closer %d ended with %s %d", worker->policy.tenant, worker->vm,
                        (int)info.si_pid, info.si_code == CLD_EXITED ? "status" : "signal",
                        info.si_status);
        worker->closing.source = 0;
        worker->closing.pidfd = vtd_close(worker->closing.pidfd);
        finish_closing(worker);
        if (worker->ended)
                vtd_worker_close_rest(worker);
        return G_SOURCE_REMOVE;
}

void vtd_worker_close_device(struct vtd_worker *worker, uint32_t index)
{
        start_closing(worker, UINT32_C(1) << index, false);
}

void vtd_worker_watch_closing(struct vtd_worker *worker)
{
        struct closing *closing = &worker->closing;

        if (closing->pidfd < 0 || closing->slow ||
            vtd_worker_now_ms() - closing->started_ms < CLOSING_LIMIT_MS)
                return;
        closing->slow = true;
        vtd_log(vtd_worker_log(worker), VTD_LOG_WARNING,
                "%s vm %u: closing its %s takes long; they and user %u stay taken",
                worker->policy.tenant, worker->vm, closing->iommu ? "iommufd" : "devices",
                worker->uid);
        vtd_worker_audit(worker, "closing-slow", closing->iommu ? "iommufd" : "devices", NULL);
}

/* No signal reaches a process that sleeps in the kernel, as it may in a device or a file system. */
void vtd_worker_watch_death(struct vtd_worker *worker)
{
        if (worker->stuck || vtd_worker_now_ms() - worker->killed_ms < CLOSING_LIMIT_MS)
                return;
        worker->stuck = true;
        vtd_log(vtd_worker_log(worker), VTD_LOG_WARNING,
                "%s vm %u: worker %d was killed and does not end: the kernel holds it; its devices "
                "and user %u stay taken",
                worker->policy.tenant, worker->vm, (int)worker->pid, worker->uid);
        vtd_worker_audit(worker, "worker-stuck", "the kernel holds it", NULL);
}

/* The closer goes on by itself; what was not given to one is closed with this process. */
void vtd_worker_abandon_closing(struct vtd_worker *worker)
{
        vtd_log(vtd_worker_log(worker), VTD_LOG_ERROR,
                "%s vm %u: its descriptors are still being closed", worker->policy.tenant,
                worker->vm);
        vtd_worker_clear_source(&worker->closing.source);
        worker->closing.pidfd = vtd_close(worker->closing.pidfd);
        free_worker(worker);
}
