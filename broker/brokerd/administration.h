/* SPDX-License-Identifier: MIT */
/*
 * What administrators ask of vtd-brokerd and what comes of it: the request table of the control
 * socket.  CONTROL.md describes every request.
 *
 * A request comes from root or from a member of the group that may administer; its form has been
 * judged (admin.h), its values have not.  It can do what is in the table and nothing else: no device,
 * memory or user comes from it that a tenant's policy does not grant.
 */
#ifndef VTD_BROKER_BROKERD_ADMINISTRATION_H
#define VTD_BROKER_BROKERD_ADMINISTRATION_H

#include "broker/brokerd/admin_client.h"
#include "broker/brokerd/policies.h"

struct vtd_administration {
        struct vtd_policies *policies; /* all pointers borrowed */
        struct vtd_grants *grants;
        struct vtd_workers *workers;
        struct vtd_log *log;
        const char *version;
        uint32_t landlock_abi;
        uint64_t started_ms; /* monotonic; set by init, like the next one */
        struct vtd_bucket reloads;
};

/* To be called when what is borrowed has been filled in. */
void vtd_administration_init(struct vtd_administration *administration);

/* Answers @request, or gives @client a job that does. */
void vtd_administration_request(void *administration, struct vtd_admin_client *client,
                                const struct vtd_admin_record *request);

/* Records about one thing each, for status and tree; true while @index names one. */
void vtd_administration_put_broker(const struct vtd_administration *administration,
                                   struct vtd_admin_record *record);
void vtd_administration_put_tenant(const struct vtd_tenant *tenant,
                                   struct vtd_admin_record *record);
void vtd_administration_put_grant(const struct vtd_grant *grant, struct vtd_admin_record *record);
void vtd_administration_put_vm(const struct vtd_worker *worker, struct vtd_admin_record *record);

#endif
