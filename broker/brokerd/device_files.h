/* SPDX-License-Identifier: MIT */
/*
 * The descriptors that a VM gets from vtd-brokerd: its own open of /dev/iommu and the devices that
 * its policy names.  A device is one VM's at a time, over all tenants.
 */
#ifndef VTD_BROKER_BROKERD_DEVICE_FILES_H
#define VTD_BROKER_BROKERD_DEVICE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/control/control.h"
#include "policy/policy.h"
#include "shared/log.h"

struct vtd_device_files;

/* Why a device was not opened, in words. */
struct vtd_device_text {
        char text[160];
};

/* @sysfs and @dev: where these are mounted, "/sys" and "/dev". */
struct vtd_device_files *vtd_device_files_new(enum vtd_host_kind host, const char *sysfs,
                                              const char *dev);
/* No device may be held any more.  Returns NULL; NULL is allowed. */
struct vtd_device_files *vtd_device_files_free(struct vtd_device_files *files);

/*
 * A new open of /dev/iommu for one VM; -1 for the simulated host.  The caller owns *@fd.
 * Returns 0 or a negative errno (reported).
 */
int vtd_device_files_open_iommu(struct vtd_device_files *files, int *fd, struct vtd_log *log);

/*
 * Opens policy->devices[@index] for @vm, which holds it from then on.  A section by vendor and device
 * id takes the first function with them, in the order of addresses, that nobody holds and that
 * nothing is held against.  The caller owns *@fd.
 * Returns VTD_CONTROL_DEVICE_OPENED, _HELD, _MISSING, _GROUP, _BRIDGE or _NO_IOMMU; all but the
 * first are reported, with the reason in *@text.
 */
enum vtd_control_device_result vtd_device_files_open(struct vtd_device_files *files,
                                                     const struct vtd_policy *policy,
                                                     uint32_t index, uint32_t vm, int *fd,
                                                     struct vtd_device_text *text,
                                                     struct vtd_log *log);

/* True when the function @address ("0000:00:04.0") is one that the section @device may stand for. */
bool vtd_device_files_matches(const struct vtd_device_files *files,
                              const struct vtd_policy_device *device, const char *address);

/* The last descriptor of what @vm holds as device @index is closed: others may have it. */
void vtd_device_files_release(struct vtd_device_files *files, uint32_t vm, uint32_t index);

#endif
