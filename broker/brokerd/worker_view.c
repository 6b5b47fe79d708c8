/* SPDX-License-Identifier: MIT */
/*
 * What the administrator sees of a worker: see worker.h.  A report is hostile, as all that a worker
 * says: control.c has judged its form, here it is held to what was asked and to the VM's policy.
 */
#include "broker/brokerd/worker_state.h"

#include <stdio.h>

#include "broker/brokerd/grant_policy.h"

static const char *state_of(const struct vtd_worker *worker)
{
        if (worker->ended)
                return "closing";
        if (worker->kill_reason)
                return "ending";
        switch (worker->phase) {
        case WORKER_STARTING:
                return "starting";
        case WORKER_GREETING:
                return "greeting";
        case WORKER_SERVING:
                return "serving";
        }
        return "unknown";
}

struct vtd_tenant *vtd_worker_tenant(const struct vtd_worker *worker)
{
        return worker->tenant;
}

struct vtd_worker_view vtd_worker_view(const struct vtd_worker *worker)
{
        uint32_t open_devices = worker->closing.devices;

        for (uint32_t i = 0; i < VTD_LIMIT_DEVICES; i++)
                if (worker->devices[i] >= 0)
                        open_devices |= UINT32_C(1) << i;
        return (struct vtd_worker_view){
                .policy = &worker->policy,
                .name = worker->name,
                .vm = worker->vm,
                .uid = worker->uid,
                .pid = (int)worker->pid,
                .state = state_of(worker),
                .killed = worker->kill_reason,
                .age_ms = vtd_worker_now_ms() - worker->started_ms,
                .open = open_devices,
        };
}

int vtd_worker_query(struct vtd_worker *worker, uint32_t first, vtd_worker_on_report on_report,
                     void *opaque)
{
        union vtd_control_record record = {
                .query = {.header = {.type = VTD_CONTROL_QUERY}, .first = first},
        };

        if (worker->ended || worker->kill_reason || worker->phase == WORKER_STARTING)
                return VTD_WORKER_E_ENDED;
        if (worker->query.out)
                return VTD_WORKER_E_BUSY;
        vtd_worker_send(worker, &record, -1);
        if (worker->kill_reason)
                return VTD_WORKER_E_ENDED;
        worker->query = (struct query){
                .out = true, .first = first, .on_report = on_report, .opaque = opaque};
        return 0;
}

void vtd_worker_forget_query(struct vtd_worker *worker, const void *opaque)
{
        if (worker->query.opaque != opaque)
                return;
        worker->query.on_report = NULL;
        worker->query.opaque = NULL;
}

/* The query is over before its asker is called, who may have another. */
static void answer(struct vtd_worker *worker, const struct vtd_control_report *report)
{
        const struct query query = worker->query;

        worker->query = (struct query){0};
        if (query.on_report)
                query.on_report(query.opaque, report);
}

void vtd_worker_take_report(struct vtd_worker *worker, const struct vtd_control_report *report)
{
        if (!worker->query.out || (report->next != 0 && report->next <= worker->query.first)) {
                vtd_worker_kill(worker, "REPORT out of turn");
                return;
        }
        for (uint32_t i = 0; i < report->n_objects; i++) {
                if (report->objects[i].device >= worker->policy.n_devices &&
                    (report->objects[i].kind == VTD_CONTROL_PLUGGED_DEVICE ||
                     report->objects[i].kind == VTD_CONTROL_ATTACHMENT)) {
                        vtd_worker_kill(worker, "its REPORT names a device that its policy lacks");
                        return;
                }
        }
        answer(worker, report);
}

void vtd_worker_end_query(struct vtd_worker *worker)
{
        if (worker->query.out)
                answer(worker, NULL);
}

void vtd_worker_revoke(struct vtd_worker *worker, const char *reason)
{
        vtd_worker_audit(worker, "vm-revoked", reason, NULL);
        vtd_worker_kill(worker, reason);
}

void vtd_worker_remove(struct vtd_worker *worker, uint32_t uid)
{
        char text[32];

        (void)snprintf(text, sizeof(text), "by user %u", uid);
        vtd_worker_audit(worker, "vm-removed", text, NULL);
        vtd_worker_drain(worker);
}

/* Devices that the VM's policy has and @policy has not, as bits. */
static uint32_t lost_devices(const struct vtd_worker *worker, const struct vtd_policy *policy)
{
        uint32_t lost = 0;

        for (uint32_t i = 0; i < worker->policy.n_devices; i++)
                if (!vtd_grant_policy_covers(policy, &worker->policy.devices[i],
                                             worker->workers->config.devices))
                        lost |= UINT32_C(1) << i;
        return lost;
}

bool vtd_worker_lose(struct vtd_worker *worker, const struct vtd_policy *policy)
{
        const char *reason = NULL;

        if (worker->ended || worker->kill_reason)
                return false;
        if (!policy)
                reason = "its tenant has no policy any more";
        else if (policy->uid != worker->policy.uid)
                reason = "its tenant's policy names another user";
        else
                worker->lost = lost_devices(worker, policy);
        if (!reason && (worker->lost & vtd_worker_view(worker).open) != 0)
                reason = "it has a device that its tenant's policy grants no more";
        if (reason)
                vtd_worker_kill(worker, reason);
        return reason != NULL;
}
