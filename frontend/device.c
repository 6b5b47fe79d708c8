/* SPDX-License-Identifier: MIT */
/*
 * The device plane (vtd/device.h): each function makes one request and waits for its answer.  Nothing
 * of it is kept in the unit: the broker judges every access, and what a guest reads comes from it.
 */
#include "frontend/include/vtd/device.h"

#include <errno.h>
#include <fcntl.h>

#include "frontend/frontend-internal.h"

/* Version 1.1 brought all requests of this file but those for BARs. */
#define DEVICE_PLANE_MINOR 1u

_Static_assert((int)VTD_FRONTEND_MSI == (int)VTD_INTERRUPT_MSI &&
                       (int)VTD_FRONTEND_MSIX == (int)VTD_INTERRUPT_MSIX,
               "kinds of interrupts have the protocol's numbers");
_Static_assert(sizeof(((struct vtd_frontend_device_info *)NULL)->regions) ==
                       VTD_REGIONS * sizeof(struct vtd_frontend_region),
               "all BARs are shown");

/* Returns 0 with the handle of the device that is plugged as @rid, or -ENODEV. */
static int find_device(const struct vtd_frontend *frontend, uint16_t rid, uint64_t *device)
{
        const struct vtd_binding *binding =
                vtd_bindings_peek(&frontend->engine.bindings, rid, VTD_NO_PASID);

        if (!binding)
                return -ENODEV;
        *device = binding->device;
        return 0;
}

/* vtd_frontend_call(), with a broker that may be older than the request. */
static int call_since(struct vtd_frontend *frontend, struct vtd_request *request, int fd,
                      struct vtd_reply *reply)
{
        if (frontend->engine.backend && frontend->engine.minor < DEVICE_PLANE_MINOR) {
                frontend->refusal = (struct vtd_refusal){.status = VTD_STATUS_UNSUPPORTED,
                                                         .reason = VTD_REASON_NOT_BUILT,
                                                         .asked = request->type};
                return VTD_FRONTEND_REFUSED;
        }
        return vtd_frontend_call(frontend, request, fd, reply);
}

int vtd_frontend_get_device_info(struct vtd_frontend *frontend, uint16_t rid,
                                 struct vtd_frontend_device_info *info)
{
        struct vtd_request request = {.type = VTD_REQUEST_GET_DEVICE_INFO};
        struct vtd_reply reply;
        int r;

        r = find_device(frontend, rid, &request.device.device);
        if (r == 0)
                r = call_since(frontend, &request, -1, &reply);
        if (r != 0)
                return r;
        *info = (struct vtd_frontend_device_info){
                .config_readable = reply.device_info.config_readable,
                .config_writable = reply.device_info.config_writable,
                .msi_vectors = reply.device_info.msi_vectors,
                .msix_vectors = reply.device_info.msix_vectors,
                .can_reset = reply.device_info.can_reset,
        };
        for (size_t i = 0; i < VTD_REGIONS; i++)
                info->regions[i] = (struct vtd_frontend_region){
                        .size = reply.device_info.regions[i].size,
                        .readable = reply.device_info.regions[i].readable,
                        .writable = reply.device_info.regions[i].writable,
                };
        return 0;
}

/* Returns 0 with @request filled in; -ENODEV, -EINVAL. */
static int prepare_region(struct vtd_frontend *frontend, struct vtd_request *request, uint16_t rid,
                          unsigned region, uint64_t offset, unsigned width)
{
        uint64_t device;
        int r;

        r = find_device(frontend, rid, &device);
        if (r != 0)
                return r;
        if (width != 1 && width != 2 && width != 4 && width != 8)
                return vtd_fail(&frontend->log, -EINVAL,
                                "access of %u bytes, 1, 2, 4 or 8 are possible", width);
        request->region = (struct vtd_region_request){
                .device = device, .region = region, .width = width, .offset = offset};
        return 0;
}

int vtd_frontend_region_read(struct vtd_frontend *frontend, uint16_t rid, unsigned region,
                             uint64_t offset, unsigned width, uint64_t *value)
{
        struct vtd_request request = {.type = VTD_REQUEST_REGION_READ};
        struct vtd_reply reply;
        int r;

        r = prepare_region(frontend, &request, rid, region, offset, width);
        if (r == 0)
                r = vtd_frontend_call(frontend, &request, -1, &reply);
        if (r == 0)
                *value = reply.region_read.value;
        return r;
}

int vtd_frontend_region_write(struct vtd_frontend *frontend, uint16_t rid, unsigned region,
                              uint64_t offset, unsigned width, uint64_t value)
{
        struct vtd_request request = {.type = VTD_REQUEST_REGION_WRITE};
        struct vtd_reply reply;
        int r;

        r = prepare_region(frontend, &request, rid, region, offset, width);
        if (r != 0)
                return r;
        request.region.value = value & (UINT64_MAX >> (64 - 8 * width));
        return vtd_frontend_call(frontend, &request, -1, &reply);
}

/* Returns 0 with @request filled in; -ENODEV, -EINVAL. */
static int prepare_config(struct vtd_frontend *frontend, struct vtd_request *request, uint16_t rid,
                          unsigned offset, unsigned width)
{
        uint64_t device;
        int r;

        r = find_device(frontend, rid, &device);
        if (r != 0)
                return r;
        if (width != 1 && width != 2 && width != 4)
                return vtd_fail(&frontend->log, -EINVAL,
                                "access of %u bytes to configuration space, 1, 2 or 4 are possible",
                                width);
        request->config =
                (struct vtd_config_request){.device = device, .offset = offset, .width = width};
        return 0;
}

int vtd_frontend_config_read(struct vtd_frontend *frontend, uint16_t rid, unsigned offset,
                             unsigned width, uint32_t *value)
{
        struct vtd_request request = {.type = VTD_REQUEST_CONFIG_READ};
        struct vtd_reply reply;
        int r;

        r = prepare_config(frontend, &request, rid, offset, width);
        if (r == 0)
                r = call_since(frontend, &request, -1, &reply);
        if (r == 0)
                *value = reply.config_read.value & (UINT32_MAX >> (32 - 8 * width));
        return r;
}

int vtd_frontend_config_write(struct vtd_frontend *frontend, uint16_t rid, unsigned offset,
                              unsigned width, uint32_t value)
{
        struct vtd_request request = {.type = VTD_REQUEST_CONFIG_WRITE};
        struct vtd_reply reply;
        int r;

        r = prepare_config(frontend, &request, rid, offset, width);
        if (r != 0)
                return r;
        request.config.value = value & (UINT32_MAX >> (32 - 8 * width));
        return call_since(frontend, &request, -1, &reply);
}

/* Returns 0 with @request filled in; -ENODEV, -EINVAL. */
static int prepare_interrupt(struct vtd_frontend *frontend, struct vtd_request *request,
                             uint16_t rid, enum vtd_frontend_interrupt_kind kind, unsigned vector)
{
        uint64_t device;
        int r;

        r = find_device(frontend, rid, &device);
        if (r != 0)
                return r;
        if (kind != VTD_FRONTEND_MSI && kind != VTD_FRONTEND_MSIX)
                return vtd_fail(&frontend->log, -EINVAL,
                                "interrupts of kind %d, %d (MSI) or %d (MSI-X) are possible",
                                (int)kind, VTD_FRONTEND_MSI, VTD_FRONTEND_MSIX);
        request->interrupt = (struct vtd_device_interrupt_request){
                .device = device, .kind = (enum vtd_interrupt_kind)kind, .vector = vector};
        return 0;
}

int vtd_frontend_set_interrupt(struct vtd_frontend *frontend, uint16_t rid,
                               enum vtd_frontend_interrupt_kind kind, unsigned vector, int eventfd)
{
        struct vtd_request request = {.type = VTD_REQUEST_SET_INTERRUPT};
        struct vtd_reply reply;
        int r;

        r = prepare_interrupt(frontend, &request, rid, kind, vector);
        if (r != 0)
                return r;
        /* What cannot be sent would end the connection, and the VM's devices with it. */
        if (fcntl(eventfd, F_GETFD) < 0)
                return vtd_fail(&frontend->log, -EBADF,
                                "interrupts to descriptor %d, which is not open", eventfd);
        return call_since(frontend, &request, eventfd, &reply);
}

int vtd_frontend_clear_interrupts(struct vtd_frontend *frontend, uint16_t rid,
                                  enum vtd_frontend_interrupt_kind kind)
{
        struct vtd_request request = {.type = VTD_REQUEST_CLEAR_INTERRUPTS};
        struct vtd_reply reply;
        int r;

        r = prepare_interrupt(frontend, &request, rid, kind, 0);
        return r != 0 ? r : call_since(frontend, &request, -1, &reply);
}

int vtd_frontend_reset_device(struct vtd_frontend *frontend, uint16_t rid)
{
        struct vtd_request request = {.type = VTD_REQUEST_RESET_DEVICE};
        struct vtd_reply reply;
        int r;

        r = find_device(frontend, rid, &request.device.device);
        return r != 0 ? r : call_since(frontend, &request, -1, &reply);
}
