/* SPDX-License-Identifier: MIT */
/*
 * The policy of one VM, made of its tenant's: the same, with fewer devices and lower limits.  Never
 * allows what the tenant's does not; refusals name the line that decides.
 */
#ifndef VTD_BROKER_BROKERD_GRANT_POLICY_H
#define VTD_BROKER_BROKERD_GRANT_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/admin/admin.h"
#include "broker/brokerd/device_files.h"
#include "broker/brokerd/refusal.h"
#include "policy/policy.h"

/*
 * Writes to *@out what @request, a CREATE_VM, leaves of @policy.  Returns 0 or
 * VTD_REFUSED_E.
 */
int vtd_grant_policy_make(struct vtd_policy *out, const struct vtd_policy *policy,
                          const struct vtd_admin_record *request,
                          const struct vtd_device_files *files, struct vtd_refused *refused);

/* True when @policy grants @device under the same name. */
bool vtd_grant_policy_covers(const struct vtd_policy *policy,
                             const struct vtd_policy_device *device,
                             const struct vtd_device_files *files);

#endif
