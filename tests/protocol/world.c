/* SPDX-License-Identifier: MIT */
/* See attack.h. */
#include "tests/protocol/attack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"

#define WAIT_MS 5000

/* An answer to the bystander may take this long on a busy machine, and never longer. */
#define SLOWEST_US 2000000ul

static const char *const policies[][2] = {
        {"attacker.policy", "format = 1\n"
                            "[tenant]\n"
                            "name = attacker\n"
                            "uid = %u\n"
                            "vms = 4\n"
                            "[vm]\n"
                            "memory = 8MiB\n"
                            "mappings = 3\n"
                            "devices = 1\n"
                            "first-stage-tables = 2\n"
                            "pasids = 2\n"
                            "modes = passthrough, first-stage\n"
                            "invalidate-rate = 20000\n"
                            "interrupts = 1\n"
                            "[device edu0]\n"
                            "simulated = edu-pasid\n"
                            "regions = 0:r, config:rw\n"
                            "[device edu1]\n"
                            "simulated = edu\n"
                            "regions = 0:rw, config:r\n"},
        {"bystander.policy", "format = 1\n"
                             "[tenant]\n"
                             "name = bystander\n"
                             "uid = %u\n"
                             "[vm]\n"
                             "memory = 1MiB\n"
                             "first-stage-tables = 1\n"
                             "modes = first-stage\n"
                             "[device edu0]\n"
                             "simulated = edu\n"
                             "regions = 0:rw\n"},
        {"neighbour.policy", "format = 1\n"
                             "[tenant]\n"
                             "name = neighbour\n"
                             "uid = %u\n"
                             "[vm]\n"
                             "memory = 1MiB\n"
                             "modes = passthrough\n"
                             "[device edu0]\n"
                             "simulated = edu\n"},
};

void pause_ms(unsigned milliseconds)
{
        const struct timespec pause = {.tv_sec = milliseconds / 1000,
                                       .tv_nsec = (long)(milliseconds % 1000) * 1000000};

        (void)nanosleep(&pause, NULL);
}

void greet(struct world *world, struct raw_client *client, const char *path)
{
        struct vtd_reply reply;

        (void)world;
        for (int waited = 0; waited < WAIT_MS; waited += 5) {
                assert_int_equal(raw_connect(client, path), 0);
                if (raw_hello(client, &reply) == RAW_ANSWERED && !reply.refused)
                        return;
                raw_close(client);
                pause_ms(5);
        }
        fail_msg("Hello is not answered on %s", path);
}

static size_t count_descriptors(pid_t pid)
{
        char path[64];
        struct dirent *entry;
        size_t count = 0;
        DIR *directory;

        (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        directory = opendir(path);
        assert_non_null(directory);
        while ((entry = readdir(directory)))
                count += entry->d_name[0] != '.';
        (void)closedir(directory);
        return count;
}

static size_t count_children(const struct world *world)
{
        pid_t pids[64];

        return broker_run_workers(&world->run, pids, VTD_ARRAY_SIZE(pids));
}

/* Only the bystander's worker is there, and vtd-brokerd holds nothing of anybody else. */
static void wait_until_quiet(const struct world *world)
{
        size_t children = 0, descriptors = 0;

        for (int waited = 0; waited < WAIT_MS; waited += 5) {
                children = count_children(world);
                descriptors = count_descriptors(world->run.pid);
                if (children == 1 && descriptors == world->descriptors)
                        return;
                pause_ms(5);
        }
        fail_msg("%zu processes and %zu descriptors are left, not 1 and %zu", children, descriptors,
                 world->descriptors);
}

int world_start(void **state)
{
        struct world *world = calloc(1, sizeof(*world));
        struct broker_run_config config = {
                .build = getenv("VTD_BUILD"), .host = "simulated", .audit_level = "refusals"};
        char path[128];

        assert_non_null(world);
        assert_non_null(config.build);
        assert_int_equal(broker_run_prepare(&world->run), 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(policies); i++) {
                char text[1024];
                char *at;

                (void)snprintf(text, sizeof(text), "%s", policies[i][1]);
                at = strstr(text, "%u");
                assert_non_null(at);
                (void)snprintf(at, sizeof(text) - (size_t)(at - text), "%u%s", geteuid(),
                               strstr(policies[i][1], "%u") + 2);
                assert_int_equal(broker_run_add_policy(&world->run, policies[i][0], text), 0);
        }
        if (broker_run_start(&world->run, &config) < 0) {
                print_error("%s\n", world->run.message);
                return -1;
        }
        broker_run_socket_path(&world->run, "attacker", world->attacker, sizeof(world->attacker));
        broker_run_socket_path(&world->run, "neighbour", world->neighbour,
                               sizeof(world->neighbour));
        broker_run_socket_path(&world->run, "bystander", path, sizeof(path));
        greet(world, &world->bystander.client, path);
        world->client.fd = -1;
        if (bystander_start(&world->bystander) != 0) {
                print_error("bystander: %s\n", world->bystander.failure);
                return -1;
        }
        world->descriptors = count_descriptors(world->run.pid);
        *state = world;
        return 0;
}

int world_stop(void **state)
{
        struct world *world = *state;
        int result = bystander_stop(&world->bystander);

        if (result < 0)
                print_error("bystander: %s\n", world->bystander.failure);
        if (broker_run_stop(&world->run) < 0) {
                print_error("%s\n", world->run.message);
                result = -1;
        }
        free(world);
        return result;
}

void world_begin(struct world *world)
{
        atomic_store(&world->bystander.slowest_us, 0);
        greet(world, &world->client, world->attacker);
}

/* Everything that the policy grants can be had: nothing of it is still taken. */
static void assert_all_is_free(struct world *world)
{
        struct raw_client client = {.fd = -1};
        struct vtd_stats stats;
        uint64_t device;

        greet(world, &client, world->attacker);
        device = plug(&client, "edu0");
        (void)map(&client, 0, ATTACKER_MEMORY);
        (void)attach_first_stage(&client, device, 0x1000);
        stats = stats_of(&client);
        assert_int_equal(stats.memory, ATTACKER_MEMORY);
        assert_int_equal(stats.mappings, 1);
        assert_int_equal(stats.devices, 1);
        assert_int_equal(stats.first_stage_tables, 1);
        raw_close(&client);
}

void world_end(struct world *world)
{
        unsigned long rounds = atomic_load(&world->bystander.rounds);

        raw_close(&world->client);
        wait_until_quiet(world);
        assert_all_is_free(world);
        wait_until_quiet(world);
        for (int waited = 0; atomic_load(&world->bystander.rounds) == rounds; waited += 5) {
                if (atomic_load(&world->bystander.failed) || waited >= WAIT_MS)
                        fail_msg("bystander: %s", world->bystander.failure);
                pause_ms(5);
        }
        if (atomic_load(&world->bystander.slowest_us) > SLOWEST_US)
                fail_msg("the bystander waited %lu us for an answer",
                         atomic_load(&world->bystander.slowest_us));
}

void expect_closed(struct world *world, const void *record, size_t length, const int *fds,
                   size_t n_fds)
{
        struct vtd_reply reply;

        assert_int_equal(raw_send(&world->client, record, length, fds, n_fds), 0);
        assert_int_equal(
                raw_receive(&world->client, &reply, VTD_REQUEST_GET_STATS, world->client.sequence),
                RAW_CLOSED);
}

void expect_refusal(struct raw_client *client, struct vtd_request *request, int fd,
                    enum vtd_reason reason)
{
        struct vtd_reply reply;

        assert_int_equal(raw_call(client, request, fd, &reply), RAW_ANSWERED);
        assert_true(reply.refused);
        assert_string_equal(vtd_reason_name(reply.refusal.reason), vtd_reason_name(reason));
        assert_int_equal(reply.refusal.status, vtd_reason_status(reason));
}

void expect_served(struct raw_client *client, struct vtd_request *request, int fd,
                   struct vtd_reply *reply)
{
        assert_int_equal(raw_call(client, request, fd, reply), RAW_ANSWERED);
        if (reply->refused)
                fail_msg("refused: %s", vtd_reason_name(reply->refusal.reason));
}

size_t valid_record(struct world *world, uint8_t *record)
{
        struct vtd_request stats = {.type = VTD_REQUEST_GET_STATS,
                                    .sequence = ++world->client.sequence};
        size_t length;

        assert_int_equal(vtd_codec_encode_request(&stats, record, &length), 0);
        return length;
}

size_t frame_body(struct world *world, uint8_t *record, uint16_t type, uint8_t n_fds,
                  const void *body, size_t size)
{
        struct vtd_frame frame = {.type = type,
                                  .sequence = ++world->client.sequence,
                                  .body_length = (uint16_t)size,
                                  .fd_count = n_fds};

        vtd_frame_encode(&frame, record);
        if (size > 0)
                memcpy(record + VTD_FRAME_HEADER_SIZE, body, size);
        return VTD_FRAME_HEADER_SIZE + size;
}

uint64_t plug(struct raw_client *client, const char *name)
{
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE};
        struct vtd_reply reply;

        (void)snprintf(request.plug_device.name.text, sizeof(request.plug_device.name.text), "%s",
                       name);
        for (int waited = 0; waited < WAIT_MS; waited += 5) {
                assert_int_equal(raw_call(client, &request, -1, &reply), RAW_ANSWERED);
                if (!reply.refused)
                        return reply.plug_device.device;
                /* A VM that has ended may not have let go of the device yet. */
                assert_int_equal(reply.refusal.reason, VTD_REASON_DEVICE_BUSY);
                pause_ms(5);
        }
        fail_msg("the device stays busy");
        return 0;
}

int make_memory(uint64_t size, unsigned seals)
{
        int fd = memfd_create("attack", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t)size), 0);
        if (seals)
                assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

uint64_t map(struct raw_client *client, uint64_t gpa, uint64_t size)
{
        struct vtd_request request = {.type = VTD_REQUEST_MAP_MEMORY,
                                      .map_memory = {.gpa = gpa, .size = size}};
        VTD_CLEANUP_FD int fd = make_memory(size, F_SEAL_SHRINK);
        struct vtd_reply reply;

        expect_served(client, &request, fd, &reply);
        return reply.map_memory.mapping;
}

uint64_t attach_first_stage(struct raw_client *client, uint64_t device, uint64_t root)
{
        struct vtd_request request = {.type = VTD_REQUEST_ATTACH,
                                      .attach = {.device = device,
                                                 .mode = VTD_ATTACH_FIRST_STAGE,
                                                 .root = root,
                                                 .address_width = 48}};
        struct vtd_reply reply;

        expect_served(client, &request, -1, &reply);
        return reply.attach.table;
}

struct vtd_stats stats_of(struct raw_client *client)
{
        struct vtd_request request = {.type = VTD_REQUEST_GET_STATS};
        struct vtd_reply reply;

        expect_served(client, &request, -1, &reply);
        return reply.stats;
}
