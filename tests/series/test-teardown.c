/* SPDX-License-Identifier: MIT */
/*
 * Teardown under fire: a VM ends in every way there is while its device has a DMA in flight, and the
 * next VM takes the device at once.  Runs with the simulated host, and in a rig with the kernel's
 * /dev/iommu and a device whose DMA is late, so that it is under way when the signal arrives.
 *
 *      test-teardown BUILD simulated
 *      test-teardown BUILD linux ADDRESS       PCI address of that device
 *
 * After each end it is shown, from outside,
 *  - that the order held: the audit log has "blocked" before the first unmap and before the devices'
 *    last close if the worker ended by itself; else the worker's end, then the devices' last close,
 *    then the iommufd's, and nothing unmapped in between;
 *  - that the DMA reached nobody else: the next VM, which has the first one's physical pages to get,
 *    and the same guest-physical addresses, has a canary in each word of its memory (owner.c);
 *  - that nothing is left (left-over.c):
 *      processes        children of vtd-brokerd, zombies included, and processes of workers' users
 *      descriptors      /proc/PID/fd and maps of vtd-brokerd, and in a rig of every process:
 *                       /dev/iommu, VFIO and simulated devices
 *      locked pages     the kernel's count of pages pinned for devices is what it was before; and
 *                       the next VM pins all that its limit allows as the very same user, since
 *                       there is only one: any page of the first VM still charged would be refused
 *      kernel objects   the device can be bound to an iommufd again (by the next VM), and at last
 *                       its driver can be unbound, which waits for every user of the device
 *    while the next VM lives the same counts are not 0: what is looked for would be found.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "tests/series/left-over.h"
#include "tests/series/owner.h"
#include "tests/system/broker-run.h"

#define DEVICE      "edu0"
#define EVENT_MS    5000
#define WATCHDOG_MS 16000 /* a worker that does not answer is killed after 10 to 12 s */

/*
 * From the start of the DMA to the signal, on the real host: its device takes 100 ms for a DMA.  On a
 * busy machine the signal may come later; then it is done again.
 */
#define IN_FLIGHT_MS 100
#define TRIES        4

struct settings {
        const char *build;
        bool real;
        const char *address;
};

struct world {
        const struct settings *settings;
        uint32_t worker_uid; /* of all workers, one after another */
        char worker_uids[32];
        struct broker_run run;
        struct broker_run_config config;
        char socket[128];
        struct owner first, next;
        pid_t worker;
        size_t from; /* audit lines before this one are of no interest any more */
        int64_t pinned;
        bool late; /* the DMA may have been over when the signal came */
};

static uint64_t now_ns(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void start_broker(struct world *world)
{
        world->from = world->run.n_lines;
        if (broker_run_start(&world->run, &world->config) < 0)
                fail_msg("%s", world->run.message);
}

static int set_up(void **state)
{
        const struct settings *settings = *state;
        struct world *world = calloc(1, sizeof(*world));
        char text[512];

        assert_non_null(world);
        world->settings = settings;
        world->first.pid = world->next.pid = -1;
        /* Another run of this test, at the same time, has another one. */
        world->worker_uid = 61000 + (uint32_t)getpid() % 4000;
        (void)snprintf(world->worker_uids, sizeof(world->worker_uids), "%u-%u", world->worker_uid,
                       world->worker_uid);
        world->config = (struct broker_run_config){.build = settings->build,
                                                   .host = settings->real ? "linux" : "simulated",
                                                   .audit_level = "host-calls",
                                                   .worker_uids = world->worker_uids};
        (void)snprintf(text, sizeof(text),
                       "format = 1\n[tenant]\nname = blue\nuid = %u\nvms = 2\n"
                       "[vm]\nmemory = 32MiB\nmodes = passthrough\n"
                       "[device " DEVICE "]\n%s = %s\nregions = 0:rw\n%s",
                       broker_run_vmm_uid(), settings->real ? "pci" : "simulated",
                       settings->address,
                       settings->real ? "allow = no-reset, no-snoop-control\n" : "");
        world->pinned = left_over_pinned_pages();
        if (broker_run_prepare(&world->run) < 0 ||
            broker_run_add_policy(&world->run, "blue.policy", text) < 0)
                fail_msg("%s", world->run.message);
        start_broker(world);
        broker_run_socket_path(&world->run, "blue", world->socket, sizeof(world->socket));
        *state = world;
        return 0;
}

static int tear_down(void **state)
{
        struct world *world = *state;
        int result;

        owner_deinit(&world->first);
        owner_deinit(&world->next);
        result = broker_run_stop(&world->run);
        if (result < 0)
                print_error("%s\n", world->run.message);
        free(world);
        return result;
}

/* Index of the first line from world->from on with @key = @value; -1 when there is none. */
static ssize_t find_line(const struct world *world, const char *key, const char *value)
{
        for (size_t i = world->from; i < world->run.n_lines; i++)
                if (audit_is(world->run.lines[i], key, value))
                        return (ssize_t)i;
        return -1;
}

static ssize_t wait_event(struct world *world, const char *event, int wait_ms)
{
        uint64_t deadline = now_ns() + (uint64_t)wait_ms * 1000000;
        ssize_t at;

        while ((at = find_line(world, "event", event)) < 0 && now_ns() < deadline)
                broker_run_read_audit(&world->run, 20);
        if (at < 0)
                print_error("no audit event \"%s\" within %d ms\n", event, wait_ms);
        return at;
}

/* The VM's last line: simulated VMs have no iommufd. */
static ssize_t wait_gone(struct world *world, bool killed, int wait_ms)
{
        const char *last = world->settings->real ? "iommufd-closed"
                           : killed              ? "device-closed"
                                                 : "worker-ended";

        return wait_event(world, last, wait_ms);
}

/* Until the first owner's device has a DMA in flight. */
static void start_first(struct world *world)
{
        uint64_t deadline = now_ns() + UINT64_C(10000000000);
        uint64_t pid = 0;
        ssize_t ready;

        owner_start_first(&world->first, world->socket, DEVICE);
        ready = wait_event(world, "worker-ready", 10000);
        assert_true(ready >= 0 && audit_number(world->run.lines[ready], "pid", &pid));
        world->worker = (pid_t)pid;
        while (!__atomic_load_n(&world->first.report->in_flight, __ATOMIC_SEQ_CST)) {
                if (world->first.report->problem[0] || now_ns() > deadline)
                        fail_msg("first owner: %s", world->first.report->problem);
                (void)sched_yield();
        }
}

static void fire(struct world *world, pid_t pid, int number)
{
        uint64_t late;

        assert_int_equal(kill(pid, number), 0);
        late = (now_ns() - world->first.report->started_ns) / 1000000;
        world->late = world->settings->real && late >= IN_FLIGHT_MS;
}

/* While a VM lives, what is looked for after its end is there and is found. */
static void expect_something(struct world *world)
{
        uint64_t deadline = now_ns() + UINT64_C(25000000000);

        while (__atomic_load_n(&world->next.report->attached_ns, __ATOMIC_SEQ_CST) == 0 &&
               !world->next.report->problem[0] && now_ns() < deadline)
                broker_run_read_audit(&world->run, 5);
        if (world->next.report->problem[0])
                return;
        assert_in_range(left_over_children(world->run.pid), 1, 2);
        assert_int_equal(left_over_descriptors(world->run.pid), world->settings->real ? 2 : 1);
        if (geteuid() == 0)
                assert_int_equal(left_over_processes(world->worker_uid, world->worker_uid), 1);
        if (world->settings->real)
                assert_int_equal(left_over_pinned_pages(), world->pinned + OWNER_MEMORY / 4096);
}

/* The next owner takes the device, and none of its canaries is hurt. */
static void hand_over(struct world *world)
{
        int status;

        expect_something(world);
        status = owner_wait(&world->next, 30000);

        if (status != 0)
                fail_msg("next owner: status %#x, %s", (unsigned)status,
                         world->next.report->problem);
        print_message("# the next owner had it %llu ms after the DMA was started\n",
                      (unsigned long long)(world->next.report->attached_ns -
                                           world->first.report->started_ns) /
                              1000000);
}

/*
 * A rig has nothing but this test in it; on another machine there may be other vtd-brokerds, and what
 * has no process of this one's any more can only be vtd-brokerd's own.
 */
static void expect_nothing_left(struct world *world)
{
        if (world->run.pid > 0) {
                assert_int_equal(left_over_children(world->run.pid), 0);
                assert_int_equal(left_over_descriptors(world->run.pid), 0);
        }
        if (geteuid() == 0)
                assert_int_equal(left_over_processes(world->worker_uid, world->worker_uid), 0);
        if (!world->settings->real)
                return;
        assert_int_equal(left_over_descriptors(0), 0);
        assert_int_equal(left_over_pinned_pages(), world->pinned);
        assert_int_equal(left_over_rebind(world->settings->address), 0);
}

/* The next owner ends by itself; then nothing may be left of either. */
static void finish(struct world *world, ssize_t gone)
{
        assert_true(gone >= 0);
        world->from = (size_t)gone + 1;
        hand_over(world);
        assert_true(wait_gone(world, false, EVENT_MS) >= 0);
        expect_nothing_left(world);
        world->from = world->run.n_lines;
}

/* What a worker that ended its VM by itself has said, up to the line @gone. */
static void expect_ended_in_order(const struct world *world, const char *cause, ssize_t gone)
{
        ssize_t blocked = find_line(world, "event", "blocked");
        ssize_t unmapped = find_line(world, "call", "unmap");
        ssize_t closed = find_line(world, "event", "device-closed");
        ssize_t ended = find_line(world, "event", "worker-ended");

        assert_in_range(find_line(world, "event", cause), 0, blocked);
        assert_in_range(find_line(world, "call", "detach"), 0, blocked);
        assert_in_range(unmapped, blocked, gone);
        assert_in_range(closed, blocked, gone);
        assert_in_range(find_line(world, "event", "released"), unmapped, ended);
        assert_in_range(ended, closed, gone);
}

/* What vtd-brokerd has said of a worker that could not end its VM. */
static void expect_closed_in_order(const struct world *world, ssize_t gone)
{
        ssize_t ended = find_line(world, "event", "worker-ended");
        ssize_t closed = find_line(world, "event", "device-closed");

        assert_int_equal(find_line(world, "event", "blocked"), -1);
        assert_int_equal(find_line(world, "call", "unmap"), -1);
        assert_in_range(ended, 0, closed);
        assert_in_range(closed, ended, gone);
        if (world->settings->real)
                assert_true(closed < gone);
}

static void vmm_is_killed(struct world *world)
{
        ssize_t gone;

        start_first(world);
        fire(world, world->first.pid, SIGKILL);
        owner_start_next(&world->next, world->socket, DEVICE);
        gone = wait_gone(world, false, EVENT_MS);
        expect_ended_in_order(world, "connection-ended", gone);
        finish(world, gone);
}

static void worker_is_killed(struct world *world)
{
        ssize_t gone;

        start_first(world);
        fire(world, world->worker, SIGKILL);
        owner_start_next(&world->next, world->socket, DEVICE);
        gone = wait_gone(world, true, EVENT_MS);
        expect_closed_in_order(world, gone);
        finish(world, gone);
}

static void both_are_killed(struct world *world)
{
        ssize_t gone, ended;

        start_first(world);
        assert_int_equal(kill(world->first.pid, SIGKILL), 0);
        fire(world, world->worker, SIGKILL);
        owner_start_next(&world->next, world->socket, DEVICE);
        /* The worker may have noticed the VMM's end before its own: then its end is the last line. */
        gone = wait_gone(world, true, EVENT_MS);
        ended = wait_gone(world, false, EVENT_MS);
        finish(world, ended > gone ? ended : gone);
}

static void worker_is_stopped(struct world *world)
{
        char text[128];
        ssize_t gone, ended;

        start_first(world);
        fire(world, world->worker, SIGSTOP);
        owner_start_next(&world->next, world->socket, DEVICE);
        gone = wait_gone(world, true, WATCHDOG_MS);
        expect_closed_in_order(world, gone);
        ended = find_line(world, "event", "worker-ended");
        assert_true(audit_text(world->run.lines[ended], "text", text, sizeof(text)));
        assert_string_equal(text, "killed: it did not answer");
        finish(world, gone);
}

/* Waits for vtd-brokerd's end and takes in its last audit lines. */
static int wait_broker(struct world *world)
{
        int status = -1;

        assert_int_equal(waitpid(world->run.pid, &status, 0), world->run.pid);
        world->run.pid = -1;
        broker_run_read_audit(&world->run, 100);
        return status;
}

/* Nothing may be left before another vtd-brokerd is there. */
static void restart(struct world *world)
{
        uint64_t deadline = now_ns() + UINT64_C(5000000000);

        /* It may be a moment until the kernel has ended the workers of one that was killed. */
        while (geteuid() == 0 && left_over_processes(world->worker_uid, world->worker_uid) > 0 &&
               now_ns() < deadline)
                (void)sched_yield();
        expect_nothing_left(world);
        world->run.audit_fd = vtd_close(world->run.audit_fd);
        start_broker(world);
        owner_start_next(&world->next, world->socket, DEVICE);
        hand_over(world);
        assert_true(wait_gone(world, false, EVENT_MS) >= 0);
        expect_nothing_left(world);
        world->from = world->run.n_lines;
}

static void broker_drains(struct world *world)
{
        start_first(world);
        fire(world, world->run.pid, SIGTERM);
        assert_int_equal(wait_broker(world), 0);
        expect_ended_in_order(world, "drained", wait_gone(world, false, 0));
        (void)kill(world->first.pid, SIGKILL);
        (void)owner_wait(&world->first, EVENT_MS);
        restart(world);
}

static void broker_drains_while_the_worker_is_stopped(struct world *world)
{
        start_first(world);
        fire(world, world->worker, SIGSTOP);
        assert_int_equal(kill(world->run.pid, SIGTERM), 0);
        assert_int_equal(wait_broker(world), 0);
        expect_closed_in_order(world, wait_gone(world, true, 0));
        (void)kill(world->first.pid, SIGKILL);
        (void)owner_wait(&world->first, EVENT_MS);
        restart(world);
}

static void broker_is_killed(struct world *world)
{
        start_first(world);
        fire(world, world->run.pid, SIGKILL);
        assert_true(WIFSIGNALED(wait_broker(world)));
        (void)kill(world->first.pid, SIGKILL);
        (void)owner_wait(&world->first, EVENT_MS);
        restart(world);
}

static void until_in_flight(struct world *world, void (*end)(struct world *world))
{
        for (int i = 0; i < TRIES; i++) {
                end(world);
                if (!world->late)
                        return;
                print_message("# the signal came after the DMA: once more\n");
                owner_deinit(&world->first);
                owner_deinit(&world->next);
        }
        fail_msg("the machine is too slow: the DMA was over before each of %d signals", TRIES);
}

#define UNDER_FIRE(end_)                                                                           \
        static void test_##end_(void **state)                                                      \
        {                                                                                          \
                until_in_flight(*state, end_);                                                     \
        }

UNDER_FIRE(vmm_is_killed)
UNDER_FIRE(worker_is_killed)
UNDER_FIRE(both_are_killed)
UNDER_FIRE(worker_is_stopped)
UNDER_FIRE(broker_drains)
UNDER_FIRE(broker_drains_while_the_worker_is_stopped)
UNDER_FIRE(broker_is_killed)

/* clang-format off */
#define TEST(name_, function_) {name_, function_, set_up, tear_down, &settings}
/* clang-format on */

int main(int argc, char **argv)
{
        struct settings settings = {.address = "edu"};
        const struct CMUnitTest tests[] = {
                TEST("teardown: the VMM is killed", test_vmm_is_killed),
                TEST("teardown: the worker is killed", test_worker_is_killed),
                TEST("teardown: VMM and worker are killed at once", test_both_are_killed),
                TEST("teardown: the worker is stopped, and the watchdog ends it",
                     test_worker_is_stopped),
                TEST("teardown: vtd-brokerd drains", test_broker_drains),
                TEST("teardown: vtd-brokerd drains while the worker is stopped",
                     test_broker_drains_while_the_worker_is_stopped),
                TEST("teardown: vtd-brokerd is killed", test_broker_is_killed),
        };

        if (argc < 3) {
                (void)fprintf(stderr, "usage: test-teardown BUILD simulated|linux [ADDRESS]\n");
                return 2;
        }
        settings.build = argv[1];
        settings.real = strcmp(argv[2], "linux") == 0;
        if (argc > 3)
                settings.address = argv[3];
        cmocka_set_message_output(CM_OUTPUT_TAP);
        return cmocka_run_group_tests_name("teardown", tests, NULL, NULL);
}
