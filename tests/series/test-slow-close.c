/* SPDX-License-Identifier: MIT */
/*
 * A VM's last close takes for ever: the closer that performs it is held (held-close.h).  Nobody else
 * may notice, nothing of that VM may be given to others before the close is over, and vtd-brokerd
 * must be able to end.  The simulated host; as root or not.
 */
#include "tests/unit/unit.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "tests/series/held-close.h"
#include "tests/system/broker-run.h"
#include "tests/system/raw-client.h"

#define SOON_MS  2000 /* any answer comes far sooner, and waits for none of the limits below */
#define DRAIN_MS 5000 /* vtd-brokerd's patience with workers, and then again with closers */

struct world {
        struct broker_run run;
        char worker_uids[32];
        char socket[128];
        struct raw_client first, second, third;
        uint64_t device; /* of the first VM */
        pid_t worker;    /* of the VM that became ready last */
        size_t next_line;
        pid_t closer; /* held; 0: none */
};

static int64_t now_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *next_event(struct world *world, const char *event, int wait_ms)
{
        int64_t deadline = now_ms() + wait_ms;

        for (;;) {
                while (world->next_line < world->run.n_lines) {
                        const char *line = world->run.lines[world->next_line++];

                        if (audit_is(line, "event", event))
                                return line;
                }
                if (now_ms() >= deadline)
                        return NULL;
                broker_run_read_audit(&world->run, 20);
        }
}

static void greet(struct world *world, struct raw_client *client)
{
        struct vtd_reply reply;
        const char *line;
        uint64_t pid = 0;

        assert_int_equal(raw_connect(client, world->socket), 0);
        assert_int_equal(raw_hello(client, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        line = next_event(world, "worker-ready", SOON_MS);
        assert_true(line && audit_number(line, "pid", &pid));
        world->worker = (pid_t)pid;
}

static struct vtd_reply plug(struct raw_client *client, const char *name)
{
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE};
        struct vtd_reply reply;

        (void)snprintf(request.plug_device.name.text, sizeof(request.plug_device.name.text), "%s",
                       name);
        assert_int_equal(raw_call(client, &request, -1, &reply), RAW_ANSWERED);
        return reply;
}

static void add_tenant(struct world *world, const char *name, const char *total)
{
        char file[32], text[512];

        (void)snprintf(file, sizeof(file), "%s.policy", name);
        (void)snprintf(text, sizeof(text),
                       "format = 1\n[tenant]\nname = %s\nuid = %u\nvms = 4\n%s"
                       "[vm]\ndevices = 2\nmemory = 64MiB\nmodes = passthrough\n"
                       "[device edu0]\nsimulated = edu\n[device edu1]\nsimulated = edu\n",
                       name, (unsigned)geteuid(), total);
        if (broker_run_add_policy(&world->run, file, text) < 0)
                fail_msg("%s", world->run.message);
}

static int set_up(void **state)
{
        struct world *world = calloc(1, sizeof(*world));
        struct broker_run_config config = {
                .build = getenv("VTD_BUILD"), .host = "simulated", .audit_level = "refusals"};
        struct vtd_reply reply;

        assert_non_null(world);
        assert_non_null(config.build);
        world->first.fd = world->second.fd = world->third.fd = -1;
        /* Users for two VMs; another run of this test, at the same time, has others. */
        (void)snprintf(world->worker_uids, sizeof(world->worker_uids), "%d-%d",
                       66000 + 2 * (getpid() % 2000), 66001 + 2 * (getpid() % 2000));
        config.worker_uids = world->worker_uids;
        assert_int_equal(broker_run_prepare(&world->run), 0);
        add_tenant(world, "blue", "");
        add_tenant(world, "green", "total-memory = 64MiB\n");
        if (broker_run_start(&world->run, &config) < 0)
                fail_msg("%s", world->run.message);
        broker_run_socket_path(&world->run, "blue", world->socket, sizeof(world->socket));
        greet(world, &world->first);
        reply = plug(&world->first, "edu0");
        assert_false(reply.refused);
        world->device = reply.plug_device.device;
        assert_int_equal(held_close_prepare(world->run.pid), 0);
        *state = world;
        return 0;
}

static void release(struct world *world)
{
        assert_int_equal(held_close_release(world->closer), 0);
        world->closer = 0;
}

static int tear_down(void **state)
{
        struct world *world = *state;
        int result;

        if (world->closer > 0)
                (void)held_close_release(world->closer);
        raw_close(&world->first);
        raw_close(&world->second);
        raw_close(&world->third);
        result = broker_run_stop(&world->run);
        if (result < 0)
                print_error("%s\n", world->run.message);
        free(world);
        return result;
}

static void catch_closer(struct world *world)
{
        world->closer = held_close_catch(world->run.pid);
        assert_true(world->closer > 0);
}

/* The second VM does what it likes, at once. */
static void expect_undisturbed(struct world *world)
{
        int64_t begin = now_ms();

        greet(world, &world->second);
        assert_false(plug(&world->second, "edu1").refused);
        assert_true(now_ms() - begin < SOON_MS);
}

static void test_a_dead_vm(void **state)
{
        struct world *world = *state;
        struct vtd_reply reply;

        assert_int_equal(kill(world->worker, SIGKILL), 0);
        catch_closer(world);
        expect_undisturbed(world);
        /* What is still being closed is nobody else's. */
        reply = plug(&world->second, "edu0");
        assert_true(reply.refused);
        assert_int_equal(reply.refusal.reason, VTD_REASON_DEVICE_BUSY);
        assert_non_null(next_event(world, "device-refused", SOON_MS));
        if (geteuid() == 0) {
                /* Nor is its user. */
                assert_int_equal(raw_connect(&world->third, world->socket), 0);
                assert_int_not_equal(raw_hello(&world->third, &reply), RAW_ANSWERED);
                raw_close(&world->third);
                assert_non_null(next_event(world, "connection-refused", SOON_MS));
        }
        assert_null(next_event(world, "device-closed", 200));
        release(world);
        assert_non_null(next_event(world, "device-closed", SOON_MS));
        assert_false(plug(&world->second, "edu0").refused);
        greet(world, &world->third);
}

static void test_an_unplugged_device(void **state)
{
        struct world *world = *state;
        struct vtd_request request = {.type = VTD_REQUEST_UNPLUG_DEVICE,
                                      .unplug_device = {.device = world->device},
                                      .sequence = ++world->first.sequence};
        struct pollfd answer = {.fd = world->first.fd, .events = POLLIN};
        uint8_t record[VTD_FRAME_SIZE_MAX];
        struct vtd_reply reply;
        size_t length;

        assert_int_equal(vtd_codec_encode_request(&request, record, &length), 0);
        assert_int_equal(raw_send(&world->first, record, length, NULL, 0), 0);
        catch_closer(world);
        expect_undisturbed(world);
        assert_int_equal(poll(&answer, 1, 0), 0);
        release(world);
        assert_int_equal(raw_receive(&world->first, &reply, request.type, request.sequence),
                         RAW_ANSWERED);
        assert_false(reply.refused);
        assert_false(plug(&world->second, "edu0").refused);
}

/* The worker that waits for it dies: the rest of the VM is closed after what is being closed. */
static void test_a_vm_that_dies_while_its_device_is_closed(void **state)
{
        struct world *world = *state;

        raw_close(&world->first);
        catch_closer(world);
        assert_int_equal(kill(world->worker, SIGKILL), 0);
        assert_non_null(next_event(world, "worker-ended", SOON_MS));
        expect_undisturbed(world);
        assert_true(plug(&world->second, "edu0").refused);
        release(world);
        assert_non_null(next_event(world, "device-closed", SOON_MS));
        assert_false(plug(&world->second, "edu0").refused);
}

/* What it may have had counts until it is over, and the next VM is not refused but waits for that. */
static void test_a_total_counts_what_is_being_closed(void **state)
{
        struct world *world = *state;
        struct vtd_request hello = {
                .type = VTD_REQUEST_HELLO, .sequence = 1, .hello = {.major = VTD_PROTOCOL_MAJOR}};
        struct pollfd answer = {.events = POLLIN};
        uint8_t record[VTD_FRAME_SIZE_MAX];
        struct vtd_reply reply;
        size_t length;

        broker_run_socket_path(&world->run, "green", world->socket, sizeof(world->socket));
        greet(world, &world->second);
        assert_false(plug(&world->second, "edu0").refused);
        assert_int_equal(kill(world->worker, SIGKILL), 0);
        catch_closer(world);
        assert_non_null(next_event(world, "worker-ended", SOON_MS));
        assert_int_equal(raw_connect(&world->third, world->socket), 0);
        assert_int_equal(vtd_codec_encode_request(&hello, record, &length), 0);
        assert_int_equal(raw_send(&world->third, record, length, NULL, 0), 0);
        answer.fd = world->third.fd;
        assert_int_equal(poll(&answer, 1, 300), 0);
        release(world);
        assert_int_equal(raw_receive(&world->third, &reply, hello.type, hello.sequence),
                         RAW_ANSWERED);
        assert_false(reply.refused);
}

/* Its status, or -1 when it has not ended within @wait_ms. */
static int wait_broker(struct world *world, int wait_ms)
{
        const struct timespec pause = {.tv_nsec = 5000000};
        int64_t deadline = now_ms() + wait_ms;
        int status;

        while (now_ms() < deadline) {
                if (waitpid(world->run.pid, &status, WNOHANG) == world->run.pid) {
                        world->run.pid = -1;
                        return status;
                }
                (void)nanosleep(&pause, NULL);
        }
        return -1;
}

static void test_sigterm_waits_for_it(void **state)
{
        struct world *world = *state;

        assert_int_equal(kill(world->worker, SIGKILL), 0);
        catch_closer(world);
        assert_int_equal(kill(world->run.pid, SIGTERM), 0);
        assert_int_equal(wait_broker(world, 500), -1);
        release(world);
        assert_int_equal(wait_broker(world, SOON_MS), 0);
}

static void test_sigterm_does_not_wait_for_ever(void **state)
{
        struct world *world = *state;

        assert_int_equal(kill(world->worker, SIGKILL), 0);
        catch_closer(world);
        assert_int_equal(kill(world->run.pid, SIGTERM), 0);
        assert_int_equal(wait_broker(world, DRAIN_MS + DRAIN_MS / 2), -1);
        assert_int_equal(wait_broker(world, DRAIN_MS), 0);
        /* It is there still, and goes on when it can. */
        assert_int_equal(kill(world->closer, 0), 0);
}

/* clang-format off */
#define TEST(name_, function_) {name_, function_, set_up, tear_down, NULL}
/* clang-format on */

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST("slow close: the devices of a dead VM", test_a_dead_vm),
                TEST("slow close: an unplugged device", test_an_unplugged_device),
                TEST("slow close: a VM that dies while its device is closed",
                     test_a_vm_that_dies_while_its_device_is_closed),
                TEST("slow close: a tenant's total", test_a_total_counts_what_is_being_closed),
                TEST("slow close: SIGTERM waits for it", test_sigterm_waits_for_it),
                TEST("slow close: SIGTERM does not wait for ever",
                     test_sigterm_does_not_wait_for_ever),
        };

        return cmocka_run_group_tests_name("slow-close", tests, NULL, NULL);
}
