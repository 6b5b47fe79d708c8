/* SPDX-License-Identifier: MIT */
/* See audit_names.h.  What a field of a host call means is defined in host_audit.h. */
#include "broker/brokerd/audit_names.h"

#include <stddef.h>

static const struct vtd_audit_call calls[VTD_AUDIT_HOST_CALL_END] = {
        [VTD_AUDIT_BIND] = {"bind", {"device", false}, {{0}}},
        [VTD_AUDIT_DEVICE_INFO] = {"device-info",
                                   {"device", false},
                                   {{"cap", true}, {"ecap", true}, {"pasid_bits", false}}},
        [VTD_AUDIT_BUS_MASTER] = {"bus-master", {"device", false}, {{"on", false}}},
        [VTD_AUDIT_RELEASE] = {"release", {"device", false}, {{0}}},
        [VTD_AUDIT_IOAS_ALLOC] = {"ioas-alloc", {"ioas", false}, {{0}}},
        [VTD_AUDIT_IOAS_RANGES] = {"ioas-ranges", {"ioas", false}, {{"ranges", false}}},
        [VTD_AUDIT_MAP_FILE] = {"map-file",
                                {"ioas", false},
                                {{"iova", true}, {"length", true}, {"offset", true}}},
        [VTD_AUDIT_UNMAP] = {"unmap", {"ioas", false}, {{"iova", true}, {"length", true}}},
        [VTD_AUDIT_SECOND_STAGE_ALLOC] = {"second-stage-alloc",
                                          {"hwpt", false},
                                          {{"device", false}, {"ioas", false}, {"pasid", false}}},
        [VTD_AUDIT_FIRST_STAGE_ALLOC] = {"first-stage-alloc",
                                         {"hwpt", false},
                                         {{"parent", false},
                                          {"root", true},
                                          {"width_flags", true}}},
        [VTD_AUDIT_DESTROY] = {"destroy", {"object", false}, {{0}}},
        [VTD_AUDIT_ATTACH] = {"attach", {"device", false}, {{"pasid", false}, {"hwpt", false}}},
        [VTD_AUDIT_DETACH] = {"detach", {"device", false}, {{"pasid", false}}},
        [VTD_AUDIT_INVALIDATE] = {"invalidate",
                                  {"hwpt", false},
                                  {{"entries", false}, {"done", false}, {"whole", false}}},
        [VTD_AUDIT_SET_INTERRUPT] = {"set-interrupt",
                                     {"device", false},
                                     {{"kind", false}, {"vector", false}}},
        [VTD_AUDIT_CLEAR_INTERRUPTS] = {"clear-interrupts", {"device", false}, {{"kind", false}}},
        [VTD_AUDIT_RESET] = {"reset", {"device", false}, {{0}}},
};

const struct vtd_audit_call *vtd_audit_call(enum vtd_audit_host_call call)
{
        return &calls[call];
}

const char *vtd_audit_event_name(enum vtd_audit_event event)
{
        switch (event) {
        case VTD_AUDIT_EVENT_CONNECTION_ENDED:
                return "connection-ended";
        case VTD_AUDIT_EVENT_VIOLATION:
                return "violation";
        case VTD_AUDIT_EVENT_DRAINED:
                return "drained";
        case VTD_AUDIT_EVENT_BLOCKED:
                return "blocked";
        case VTD_AUDIT_EVENT_RELEASED:
                return "released";
        case VTD_AUDIT_EVENT_BINDING_BLOCKED:
                return "binding-blocked";
        case VTD_AUDIT_EVENT_READ_ONLY_SKIPPED:
                return "read-only-skipped";
        case VTD_AUDIT_EVENT_END:
                break;
        }
        return "unknown";
}

const char *vtd_audit_level_name(enum vtd_audit_level level)
{
        switch (level) {
        case VTD_AUDIT_REFUSALS:
                return "refusals";
        case VTD_AUDIT_REQUESTS:
                return "requests";
        case VTD_AUDIT_HOST_CALLS:
                return "host-calls";
        }
        return "unknown";
}
