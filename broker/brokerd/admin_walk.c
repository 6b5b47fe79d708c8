/* SPDX-License-Identifier: MIT */
/*
 * See admin_walk.h.  Each step adds at most a report's records to the client's queue, and is made only
 * while that has room.
 */
#include "broker/brokerd/admin_walk.h"

#include <glib.h>

#include "broker/brokerd/worker.h"
#include "shared/checked.h"

/* How long one worker is waited for; and when it is asked again if somebody else's query is out. */
#define ANSWER_MS 1000u
#define RETRY_MS  10u

enum stage {
        STAGE_BROKER,
        STAGE_TENANTS,
        STAGE_GRANTS,
        STAGE_VMS,
        STAGE_DONE,
};

struct walk {
        struct vtd_admin_job job;
        const struct vtd_administration *administration;
        struct vtd_admin_client *client;
        enum vtd_admin_kind kind;
        enum stage stage;
        size_t index;                    /* in the stage */
        uint32_t vms[VTD_LIMIT_WORKERS]; /* those that there were in the beginning */
        size_t n_vms;
        bool named;     /* the current VM has been shown, what its worker knows has not */
        uint32_t first; /* position to ask its worker for */
        bool asked;     /* its answer has not come */
        uint64_t since_ms;
        guint timer;
};

static uint64_t now_ms(void)
{
        return (uint64_t)g_get_monotonic_time() / 1000;
}

static struct vtd_worker *current_worker(const struct walk *walk)
{
        return walk->index < walk->n_vms
                       ? vtd_workers_find(walk->administration->workers, walk->vms[walk->index])
                       : NULL;
}

static void clear_timer(struct walk *walk)
{
        if (walk->timer != 0)
                (void)g_source_remove(walk->timer);
        walk->timer = 0;
}

static void next_vm(struct walk *walk)
{
        clear_timer(walk);
        walk->index++;
        walk->named = false;
        walk->first = 0;
}

static void show_counters(struct walk *walk, const struct vtd_control_counters *counters)
{
        struct vtd_admin_record record;

        vtd_admin_begin(&record, VTD_ADMIN_COUNTERS);
        vtd_admin_put_number(&record, VTD_ADMIN_K_VM, walk->vms[walk->index]);
        vtd_admin_put_number(&record, VTD_ADMIN_K_REQUESTS, counters->requests);
        vtd_admin_put_number(&record, VTD_ADMIN_K_REFUSALS, counters->refused);
        vtd_admin_put_number(&record, VTD_ADMIN_K_INVALIDATE_REQUESTS,
                             counters->invalidate_requests);
        vtd_admin_put_number(&record, VTD_ADMIN_K_INVALIDATE_ENTRIES, counters->invalidate_entries);
        vtd_admin_put_number(&record, VTD_ADMIN_K_HOST_CALLS, counters->host_calls);
        vtd_admin_put_number(&record, VTD_ADMIN_K_DELAYED_US, counters->delayed_us);
        vtd_admin_put_number(&record, VTD_ADMIN_K_MEMORY, counters->memory);
        vtd_admin_put_number(&record, VTD_ADMIN_K_MAPPINGS, counters->mappings);
        vtd_admin_put_number(&record, VTD_ADMIN_K_DEVICES, counters->devices);
        vtd_admin_put_number(&record, VTD_ADMIN_K_FIRST_STAGE_TABLES, counters->first_stage_tables);
        vtd_admin_put_number(&record, VTD_ADMIN_K_SECOND_STAGE_TABLES,
                             counters->second_stage_tables);
        vtd_admin_put_number(&record, VTD_ADMIN_K_ATTACHMENTS, counters->attachments);
        vtd_admin_client_send(walk->client, &record, -1);
}

static void put_ioas(struct vtd_admin_record *record, const struct vtd_control_object *object,
                     const struct vtd_control_counters *counters)
{
        vtd_admin_put_number(record, VTD_ADMIN_K_IOAS, object->id);
        vtd_admin_put_number(record, VTD_ADMIN_K_MEMORY, counters->memory);
        vtd_admin_put_number(record, VTD_ADMIN_K_MAPPINGS, counters->mappings);
}

static void put_first_stage(struct vtd_admin_record *record,
                            const struct vtd_control_object *object)
{
        vtd_admin_put_number(record, VTD_ADMIN_K_HWPT, object->id);
        vtd_admin_put_number(record, VTD_ADMIN_K_PARENT, object->parent);
        vtd_admin_put_number(record, VTD_ADMIN_K_ROOT, object->root);
        vtd_admin_put_number(record, VTD_ADMIN_K_ADDRESS_WIDTH, object->mode);
        vtd_admin_put_number(record, VTD_ADMIN_K_FLAGS, object->flags);
        vtd_admin_put_number(record, VTD_ADMIN_K_ATTACHMENTS, object->count);
}

static void put_device(struct vtd_admin_record *record, const struct vtd_control_object *object,
                       const struct vtd_policy *policy)
{
        const struct vtd_policy_device *device = &policy->devices[object->device];

        vtd_admin_put_text(record, VTD_ADMIN_K_DEVICE, device->name);
        vtd_admin_put_text(record, VTD_ADMIN_K_ADDRESS, device->address);
        if (object->parent != VTD_CONTROL_NO_ID)
                vtd_admin_put_number(record, VTD_ADMIN_K_PARENT, object->parent);
        vtd_admin_put_number(record, VTD_ADMIN_K_PASID_BITS, object->pasid);
        vtd_admin_put_number(record, VTD_ADMIN_K_BUS_MASTER, object->count);
}

static void put_attachment(struct vtd_admin_record *record, const struct vtd_control_object *object,
                           const struct vtd_policy *policy)
{
        vtd_admin_put_text(record, VTD_ADMIN_K_DEVICE, policy->devices[object->device].name);
        if (object->pasid != VTD_NO_PASID)
                vtd_admin_put_number(record, VTD_ADMIN_K_PASID, object->pasid);
        vtd_admin_put_text(record, VTD_ADMIN_K_MODE,
                           vtd_attach_mode_name((enum vtd_attach_mode)object->mode));
        vtd_admin_put_number(record, VTD_ADMIN_K_HWPT, object->parent);
}

/* @object has passed vtd_control_receive() and names a device of @policy, if any. */
static void show_object(struct walk *walk, const struct vtd_control_object *object,
                        const struct vtd_control_counters *counters,
                        const struct vtd_policy *policy)
{
        static const enum vtd_admin_kind kinds[VTD_CONTROL_OBJECT_END] = {
                [VTD_CONTROL_IOAS] = VTD_ADMIN_IOAS,
                [VTD_CONTROL_SECOND_STAGE] = VTD_ADMIN_SECOND_STAGE,
                [VTD_CONTROL_FIRST_STAGE] = VTD_ADMIN_FIRST_STAGE,
                [VTD_CONTROL_PLUGGED_DEVICE] = VTD_ADMIN_DEVICE,
                [VTD_CONTROL_ATTACHMENT] = VTD_ADMIN_ATTACHMENT,
        };
        struct vtd_admin_record record;

        vtd_admin_begin(&record, kinds[object->kind]);
        vtd_admin_put_number(&record, VTD_ADMIN_K_VM, walk->vms[walk->index]);
        switch ((enum vtd_control_object_kind)object->kind) {
        case VTD_CONTROL_IOAS:
                put_ioas(&record, object, counters);
                break;
        case VTD_CONTROL_SECOND_STAGE:
                vtd_admin_put_number(&record, VTD_ADMIN_K_HWPT, object->id);
                vtd_admin_put_number(&record, VTD_ADMIN_K_IOAS, object->parent);
                vtd_admin_put_number(&record, VTD_ADMIN_K_DEVICES, object->count);
                break;
        case VTD_CONTROL_FIRST_STAGE:
                put_first_stage(&record, object);
                break;
        case VTD_CONTROL_PLUGGED_DEVICE:
                put_device(&record, object, policy);
                break;
        case VTD_CONTROL_ATTACHMENT:
        case VTD_CONTROL_OBJECT_END:
                put_attachment(&record, object, policy);
                break;
        }
        vtd_admin_client_send(walk->client, &record, -1);
}

static void proceed(struct walk *walk);

static void on_report(void *opaque, const struct vtd_control_report *report)
{
        struct walk *walk = opaque;
        const struct vtd_worker *worker = current_worker(walk);

        walk->asked = false;
        clear_timer(walk);
        if (!report || !worker) {
                next_vm(walk);
        } else {
                const struct vtd_policy *policy = vtd_worker_view(worker).policy;

                if (walk->first == 0)
                        show_counters(walk, &report->counters);
                for (uint32_t i = 0; i < report->n_objects && walk->kind == VTD_ADMIN_TREE; i++)
                        show_object(walk, &report->objects[i], &report->counters, policy);
                walk->first = report->next;
                if (report->next == 0 || walk->kind != VTD_ADMIN_TREE)
                        next_vm(walk);
                else
                        walk->since_ms = now_ms();
        }
        proceed(walk);
}

static void show_silent(struct walk *walk)
{
        struct vtd_admin_record record;

        vtd_admin_begin(&record, VTD_ADMIN_SILENT);
        vtd_admin_put_number(&record, VTD_ADMIN_K_VM, walk->vms[walk->index]);
        vtd_admin_put_number(&record, VTD_ADMIN_K_MILLISECONDS, now_ms() - walk->since_ms);
        vtd_admin_client_send(walk->client, &record, -1);
}

static void forget(struct walk *walk)
{
        struct vtd_worker *worker = current_worker(walk);

        if (walk->asked && worker)
                vtd_worker_forget_query(worker, walk);
        walk->asked = false;
}

/* The worker has not answered, or is still busy with another query: now, or for good. */
static gboolean on_timer(gpointer opaque)
{
        struct walk *walk = opaque;

        walk->timer = 0;
        if (walk->asked || now_ms() - walk->since_ms >= ANSWER_MS) {
                forget(walk);
                show_silent(walk);
                next_vm(walk);
        }
        proceed(walk);
        return G_SOURCE_REMOVE;
}

/* Asks the current worker; false when there is nothing to wait for. */
static bool ask(struct walk *walk, struct vtd_worker *worker)
{
        switch (vtd_worker_query(worker, walk->first, on_report, walk)) {
        case 0:
                walk->asked = true;
                walk->timer = g_timeout_add(ANSWER_MS, on_timer, walk);
                return true;
        case VTD_WORKER_E_BUSY:
                walk->timer = g_timeout_add(RETRY_MS, on_timer, walk);
                return true;
        default:
                return false;
        }
}

/* True when the walk has to wait. */
static bool step_vms(struct walk *walk)
{
        struct vtd_worker *worker = current_worker(walk);

        if (walk->index == walk->n_vms) {
                walk->stage = STAGE_DONE;
                return false;
        }
        if (worker && !walk->named) {
                struct vtd_admin_record record;

                vtd_administration_put_vm(worker, &record);
                if (walk->kind != VTD_ADMIN_STATS)
                        vtd_admin_client_send(walk->client, &record, -1);
                walk->named = true;
                walk->since_ms = now_ms();
        }
        if (worker && walk->kind != VTD_ADMIN_STATUS && ask(walk, worker))
                return true;
        next_vm(walk);
        return false;
}

/* True while @record is one of the current stage. */
static bool describe(struct walk *walk, struct vtd_admin_record *record)
{
        const struct vtd_administration *administration = walk->administration;
        const struct vtd_tenant *tenant;
        const struct vtd_grant *grant;

        if (walk->stage == STAGE_BROKER && walk->index == 0) {
                vtd_administration_put_broker(administration, record);
                return true;
        }
        if (walk->stage == STAGE_TENANTS &&
            (tenant = vtd_tenants_at(&administration->policies->tenants, walk->index))) {
                vtd_administration_put_tenant(tenant, record);
                return true;
        }
        if (walk->stage == STAGE_GRANTS &&
            (grant = vtd_grants_at(administration->grants, walk->index))) {
                vtd_administration_put_grant(grant, record);
                return true;
        }
        return false;
}

static void step_rest(struct walk *walk)
{
        struct vtd_admin_record record;

        if (describe(walk, &record)) {
                vtd_admin_client_send(walk->client, &record, -1);
                walk->index++;
        } else {
                walk->stage++;
                walk->index = 0;
        }
}

static void proceed(struct walk *walk)
{
        struct vtd_admin_client *client = walk->client;

        while (vtd_admin_client_has_room(client)) {
                if (walk->stage == STAGE_DONE) {
                        vtd_admin_client_done(client);
                        vtd_admin_client_end_job(client);
                        return;
                }
                if (walk->stage != STAGE_VMS)
                        step_rest(walk);
                else if (step_vms(walk))
                        return;
        }
}

static void on_room(struct vtd_admin_job *job)
{
        struct walk *walk = (struct walk *)job;

        if (walk->timer == 0)
                proceed(walk);
}

static void free_walk(struct vtd_admin_job *job)
{
        struct walk *walk = (struct walk *)job;

        forget(walk);
        clear_timer(walk);
        g_free(walk);
}

_Static_assert(offsetof(struct walk, job) == 0, "a job is a walk");

void vtd_admin_walk_start(const struct vtd_administration *administration,
                          struct vtd_admin_client *client, enum vtd_admin_kind kind,
                          const struct vtd_worker *worker)
{
        struct walk *walk = g_new0(struct walk, 1);

        walk->job = (struct vtd_admin_job){.on_room = on_room, .free = free_walk};
        walk->administration = administration;
        walk->client = client;
        walk->kind = kind;
        walk->stage = kind == VTD_ADMIN_STATUS ? STAGE_BROKER : STAGE_VMS;
        for (size_t slot = 0; slot < VTD_LIMIT_WORKERS; slot++) {
                const struct vtd_worker *each = vtd_workers_at(administration->workers, slot);

                if (each && (!worker || each == worker))
                        walk->vms[walk->n_vms++] = vtd_worker_view(each).vm;
        }
        vtd_admin_client_set_job(client, &walk->job);
        proceed(walk);
}
