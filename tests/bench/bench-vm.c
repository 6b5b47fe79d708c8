/* SPDX-License-Identifier: MIT */
/* See bench-vm.h. */
#include "tests/bench/bench-vm.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/cleanup.h"

#define ROOT_TABLE UINT64_C(0x1000)

static int fail(const char *what)
{
        (void)fprintf(stderr, "benchmark: %s\n", what);
        return -1;
}

int bench_vm_call(struct raw_client *client, struct vtd_request *request, int fd,
                  struct vtd_reply *reply)
{
        return raw_call(client, request, fd, reply) == RAW_ANSWERED && !reply->refused ? 0 : -1;
}

int bench_vm_begin(struct raw_client *client, uint64_t *table, int *memory)
{
        VTD_CLEANUP_FD int fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct vtd_request plug = {.type = VTD_REQUEST_PLUG_DEVICE,
                                   .plug_device = {.name = {"edu0"}}};
        struct vtd_request map = {.type = VTD_REQUEST_MAP_MEMORY,
                                  .map_memory = {.size = GUEST_MEMORY}};
        struct vtd_request attach = {.type = VTD_REQUEST_ATTACH,
                                     .attach = {.mode = VTD_ATTACH_FIRST_STAGE,
                                                .root = ROOT_TABLE,
                                                .address_width = 48}};
        struct vtd_reply reply;

        if (fd < 0 || ftruncate(fd, (off_t)GUEST_MEMORY) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
                return fail("no guest memory");
        if (bench_vm_call(client, &plug, -1, &reply) < 0)
                return fail("PlugDevice failed");
        attach.attach.device = reply.plug_device.device;
        if (bench_vm_call(client, &map, fd, &reply) < 0)
                return fail("MapMemory failed");
        if (bench_vm_call(client, &attach, -1, &reply) < 0)
                return fail("Attach failed");
        *table = reply.attach.table;
        *memory = VTD_TAKE_FD(fd);
        return 0;
}

int bench_vm_pin(pid_t pid, unsigned processor)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(processor, &set);
        return sched_setaffinity(pid, sizeof(set), &set) == 0 ? 0 : fail("cannot pin a process");
}
