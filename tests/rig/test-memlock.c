/* SPDX-License-Identifier: MIT */
/*
 * The second wall around a VM's memory: with a worker that does not count (unlimited-quota.c), the
 * kernel's own limit on pinned memory, which vtd-brokerd's sandbox has set to what the policy grants,
 * says no.  Runs as root in a rig; --build names the directory with the programs.  Prints TAP.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "tests/system/broker-run.h"
#include "tests/system/raw-client.h"

#define QUOTA (UINT64_C(16) << 20)

/* Room that the limit leaves beside the quota: a page for each mapping that there may be. */
#define SLACK (UINT64_C(256) * 4096)

static const char policy_text[] = "format = 1\n"
                                  "[tenant]\n"
                                  "name = blue\n"
                                  "uid = %u\n"
                                  "[vm]\n"
                                  "memory = 16MiB\n"
                                  "[device edu0]\n"
                                  "pci = 0000:00:1e.0\n"
                                  "allow = no-reset, no-snoop-control\n";

static unsigned points;
static unsigned failures;

static void is(bool good, const char *what)
{
        points++;
        failures += !good;
        (void)printf("%s %u - %s\n", good ? "ok" : "not ok", points, what);
        (void)fflush(stdout);
}

/* Maps @size bytes at @gpa: 0 with the mapping, or the reason of the refusal. */
static enum vtd_reason map(struct raw_client *client, uint64_t gpa, uint64_t size,
                           uint64_t *mapping)
{
        VTD_CLEANUP_FD int fd = memfd_create("memlock", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct vtd_request request = {.type = VTD_REQUEST_MAP_MEMORY,
                                      .map_memory = {.gpa = gpa, .size = size}};
        struct vtd_reply reply;

        if (fd < 0 || ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0 ||
            raw_call(client, &request, fd, &reply) != RAW_ANSWERED)
                return VTD_REASON_END;
        if (reply.refused)
                return reply.refusal.reason;
        *mapping = reply.map_memory.mapping;
        return 0;
}

static uint64_t memory_of(struct raw_client *client)
{
        struct vtd_request request = {.type = VTD_REQUEST_GET_STATS};
        struct vtd_reply reply;

        if (raw_call(client, &request, -1, &reply) != RAW_ANSWERED || reply.refused)
                return UINT64_MAX;
        return reply.stats.memory;
}

static void run(struct raw_client *client)
{
        struct vtd_request plug = {.type = VTD_REQUEST_PLUG_DEVICE,
                                   .plug_device = {.name = {"edu0"}}};
        struct vtd_request unmap = {.type = VTD_REQUEST_UNMAP_MEMORY};
        struct vtd_reply reply;
        uint64_t first = 0, more = 0;

        is(raw_hello(client, &reply) == RAW_ANSWERED && !reply.refused, "Hello");
        is(raw_call(client, &plug, -1, &reply) == RAW_ANSWERED && !reply.refused, "PlugDevice");
        is(map(client, 0, QUOTA, &first) == 0, "all that the policy grants can be mapped");
        is(map(client, QUOTA, QUOTA, &more) == VTD_REASON_HOST_LIMIT,
           "as much again, which this worker does not refuse, is refused by the kernel");
        is(memory_of(client) == QUOTA, "nothing of it is kept");
        is(map(client, QUOTA, SLACK, &more) == 0 &&
                   map(client, 2 * QUOTA, 4096, &unmap.unmap_memory.mapping) ==
                           VTD_REASON_HOST_LIMIT,
           "the wall stands where the quota and its slack end, to the page");
        unmap.unmap_memory.mapping = first;
        is(raw_call(client, &unmap, -1, &reply) == RAW_ANSWERED && !reply.refused &&
                   map(client, 3 * QUOTA, QUOTA, &first) == 0,
           "what is unmapped can be mapped again");
}

int main(int argc, char **argv)
{
        struct broker_run_config config = {.host = "linux", .audit_level = "refusals"};
        struct raw_client client = {.fd = -1};
        struct broker_run broker;
        char text[512], path[128];

        if (argc != 3 || strcmp(argv[1], "--build") != 0)
                return 2;
        config.build = argv[2];
        (void)snprintf(text, sizeof(text), policy_text, (unsigned)geteuid());
        if (broker_run_prepare(&broker) < 0 ||
            broker_run_add_policy(&broker, "blue.policy", text) < 0 ||
            broker_run_start(&broker, &config) < 0) {
                (void)printf("Bail out! %s\n", broker.message);
                return 1;
        }
        broker_run_socket_path(&broker, "blue", path, sizeof(path));
        is(raw_connect(&client, path) == 0, "connected");
        run(&client);
        raw_close(&client);
        is(broker_run_stop(&broker) == 0, "vtd-brokerd ends cleanly");
        (void)printf("1..%u\n", points);
        return failures == 0 ? 0 : 1;
}
