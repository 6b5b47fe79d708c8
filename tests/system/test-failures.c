/* SPDX-License-Identifier: MIT */
/*
 * What vtd-brokerd does when the host has no more descriptors, processes or users for it: those who
 * come wait or are refused with the reason, which is logged and audited; VMs that run are served and
 * end in order; and all is as before when there is enough again.  What else can fail stands in
 * vtd-brokerd(8), and its tests in tests/lint-failures.py.
 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "tests/system/admin-world.h"

/* As root, one worker fewer than there are VMs in the policy. */
#define UIDS "60000-60001"

/* Descriptors that starting a worker takes: its connection, both ends of its channel, its pidfd. */
#define START_FDS 4u

static const char policy_text[] = "vms = 3\n"
                                  "[vm]\n"
                                  "memory = 1MiB\n"
                                  "devices = 2\n"
                                  "modes = passthrough\n"
                                  "[device nic0]\n"
                                  "simulated = edu\n"
                                  "[device nic1]\n"
                                  "simulated = edu\n";

/* vtd-brokerd writes its messages into the file "log" of its directory. */
static void start_with_log(struct admin_world *world, const struct broker_run_config *config)
{
        VTD_CLEANUP_FD int before = dup(STDERR_FILENO), log = -1;
        char path[128];
        int result;

        (void)snprintf(path, sizeof(path), "%s/log", world->run.directory);
        log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        assert_true(before >= 0 && log >= 0);
        assert_true(dup2(log, STDERR_FILENO) == STDERR_FILENO);
        result = broker_run_start(&world->run, config);
        assert_true(dup2(before, STDERR_FILENO) == STDERR_FILENO);
        if (result < 0)
                fail_msg("%s", world->run.message);
}

static int set_up(void **state)
{
        struct admin_world *world = calloc(1, sizeof(*world));
        const struct broker_run_config config = {
                .build = getenv("VTD_BUILD"),
                .host = "simulated",
                .audit_level = "refusals",
                .worker_uids = UIDS,
                .control = true,
        };

        assert_non_null(world);
        assert_non_null(config.build);
        assert_int_equal(broker_run_prepare(&world->run), 0);
        admin_world_add_policy(world, "blue", geteuid(), policy_text, "");
        start_with_log(world, &config);
        assert_int_equal(admin_connect(&world->admin, &world->run), 0);
        *state = world;
        return 0;
}

/* How often vtd-brokerd has said @text. */
static unsigned count_said(const struct admin_world *world, const char *text)
{
        char path[128], line[1024];
        unsigned count = 0;
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/log", world->run.directory);
        file = fopen(path, "re");
        assert_non_null(file);
        while (fgets(line, sizeof(line), file))
                count += strstr(line, text) != NULL;
        (void)fclose(file);
        return count;
}

static void await_said(const struct admin_world *world, const char *text)
{
        int64_t deadline = admin_world_now_ms() + 10000;

        while (count_said(world, text) == 0) {
                if (admin_world_now_ms() > deadline)
                        fail_msg("not said: %s", text);
                admin_world_sleep_ms(20);
        }
}

/* The soft limit alone, so that it can be raised again. */
static void limit(const struct admin_world *world, enum __rlimit_resource resource, rlim_t value)
{
        struct rlimit now;

        assert_int_equal(prlimit(world->run.pid, resource, NULL, &now), 0);
        now.rlim_cur = value < now.rlim_max ? value : now.rlim_max;
        assert_int_equal(prlimit(world->run.pid, resource, &now, NULL), 0);
}

/* The limit of open files by which vtd-brokerd can open none more. */
static rlim_t no_more_files(const struct admin_world *world)
{
        char path[64];

        for (rlim_t fd = 0;; fd++) {
                (void)snprintf(path, sizeof(path), "/proc/%d/fd/%llu", (int)world->run.pid,
                               (unsigned long long)fd);
                if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                        return fd;
        }
}

static void connect_and_plug(struct admin_world *world, struct raw_client *client)
{
        struct vtd_reply reply;

        assert_true(admin_world_tenant_connects(world, "blue", client));
        assert_true(admin_world_plug(client, "nic0", &reply) != 0);
}

/* A VM is possible again, with the device that another one had. */
static void expect_service(struct admin_world *world)
{
        int64_t deadline = admin_world_now_ms() + 10000;
        struct raw_client client;

        while (!admin_world_tenant_connects(world, "blue", &client)) {
                assert_true(admin_world_now_ms() < deadline);
                admin_world_sleep_ms(50);
        }
        raw_close(&client);
}

static void test_without_descriptors_connections_wait(void **state)
{
        static const char said[] = "blue.sock: no connection accepted, they wait: Too many open "
                                   "files (vtd-brokerd's limit of open files: LimitNOFILE=";
        struct admin_world *world = *state;
        struct raw_client client, waiting;
        struct vtd_reply reply;
        char path[128];

        connect_and_plug(world, &client);
        limit(world, RLIMIT_NOFILE, no_more_files(world));
        broker_run_socket_path(&world->run, "blue", path, sizeof(path));
        assert_int_equal(raw_connect(&waiting, path), 0);
        await_said(world, said);
        /* It is tried every 50 ms, and said once; who is in is served. */
        admin_world_sleep_ms(500);
        assert_int_equal(count_said(world, "no connection accepted"), 1);
        assert_int_equal(admin_world_plug(&client, "nic0", &reply), 0);
        assert_true(reply.refused);
        admin_world_expect_done(admin_ask(&world->admin, "status\n"));
        limit(world, RLIMIT_NOFILE, RLIM_INFINITY);
        assert_int_equal(raw_hello(&waiting, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        assert_int_equal(count_said(world, "blue.sock: connections are accepted again"), 1);
        raw_close(&waiting);
        raw_close(&client);
}

static void test_without_descriptors_nothing_is_half_started(void **state)
{
        struct admin_world *world = *state;
        struct raw_client client;

        for (rlim_t more = 1; more < START_FDS; more++) {
                limit(world, RLIMIT_NOFILE, no_more_files(world) + more);
                assert_false(admin_world_tenant_connects(world, "blue", &client));
                limit(world, RLIMIT_NOFILE, RLIM_INFINITY);
        }
        (void)admin_world_await_event(world, "connection-refused",
                                      "no worker could be started: Too many open files");
        await_said(world, "control channel: Too many open files (vtd-brokerd's limit");
        await_said(world, "worker not cloned into new namespaces: Too many open files (vtd-brok");
        expect_service(world);
}

static void test_without_descriptors_devices_and_policies_are_refused(void **state)
{
        struct admin_world *world = *state;
        struct raw_client client;
        struct vtd_reply reply;

        connect_and_plug(world, &client);
        limit(world, RLIMIT_NOFILE, no_more_files(world));
        assert_int_equal(admin_world_plug(&client, "nic1", &reply), 0);
        (void)admin_world_await_event(world, "device-refused", "not created: Too many open files");
        admin_world_expect_refused(admin_ask(&world->admin, "reload\n"), "", NULL);
        await_said(world, "the policies are not taken: all stay as they were");
        limit(world, RLIMIT_NOFILE, RLIM_INFINITY);
        assert_true(admin_world_plug(&client, "nic1", &reply) != 0);
        admin_world_expect_done(admin_ask(&world->admin, "reload\n"));
        raw_close(&client);
}

/* Its devices are closed all the same, by vtd-brokerd itself. */
static void expect_end_without_closer(struct admin_world *world, struct raw_client *client)
{
        raw_close(client);
        (void)admin_world_await_event(world, "worker-ended", "status 0");
        (void)admin_world_await_event(world, "device-closed", "nic0");
        await_said(world, "devices are closed without a closer: all VMs wait meanwhile");
}

static void test_without_descriptors_a_vm_ends_all_the_same(void **state)
{
        struct admin_world *world = *state;
        struct raw_client client;

        connect_and_plug(world, &client);
        limit(world, RLIMIT_NOFILE, no_more_files(world));
        expect_end_without_closer(world, &client);
        await_said(world, "closer: no pipe: Too many open files (vtd-brokerd's limit");
        limit(world, RLIMIT_NOFILE, RLIM_INFINITY);
        expect_service(world);
}

/* Without root: no limit of processes holds for it but a cgroup's, which a test cannot always make. */
static void test_without_processes_no_vm_begins_and_all_end(void **state)
{
        struct admin_world *world = *state;
        struct raw_client client, refused;

        connect_and_plug(world, &client);
        limit(world, RLIMIT_NPROC, 1);
        assert_false(admin_world_tenant_connects(world, "blue", &refused));
        (void)admin_world_await_event(
                world, "connection-refused",
                "no worker could be started: Resource temporarily unavailable");
        await_said(world, "worker not cloned into new namespaces: Resource temporarily unavailable "
                          "(the limit of processes: TasksMax=");
        expect_end_without_closer(world, &client);
        await_said(world, "closer not cloned: Resource temporarily unavailable (the limit of pro");
        limit(world, RLIMIT_NPROC, RLIM_INFINITY);
        expect_service(world);
}

/*
 * What holds a worker in the kernel here is the end that its tracer has not let pass yet, which no
 * signal does either.
 */
static void test_a_killed_worker_that_does_not_end_is_told_of(void **state)
{
        struct admin_world *world = *state;
        struct raw_client client, second;
        struct vtd_reply reply;
        pid_t worker;
        int status;

        connect_and_plug(world, &client);
        assert_int_equal(broker_run_workers(&world->run, &worker, 1), 1);
        assert_int_equal(ptrace(PTRACE_SEIZE, worker, NULL, PTRACE_O_TRACEEXIT), 0);
        admin_world_expect_done(
                admin_ask(&world->admin, "revoke-vm\ntarget = 1\nreason = not wanted\n"));
        assert_int_equal(waitpid(worker, &status, __WALL), worker);
        assert_int_equal(status >> 8, SIGTRAP | PTRACE_EVENT_EXIT << 8);
        admin_world_sleep_ms(8000);
        (void)admin_world_await_event(world, "worker-stuck", "the kernel holds it");
        await_said(world, "was killed and does not end: the kernel holds it; its devices and user");
        /* Others are served, but have not what it has. */
        assert_true(admin_world_tenant_connects(world, "blue", &second));
        assert_int_equal(admin_world_plug(&second, "nic0", &reply), 0);
        assert_int_equal(ptrace(PTRACE_DETACH, worker, NULL, NULL), 0);
        (void)admin_world_await_event(world, "worker-ended", "killed: ");
        (void)admin_world_await_event(world, "device-closed", "nic0");
        assert_true(admin_world_plug(&second, "nic0", &reply) != 0);
        raw_close(&second);
        raw_close(&client);
}

/* As root: without it all workers have one user. */
static void test_without_a_user_no_worker_is_started(void **state)
{
        static const char text[] =
                "no worker user is free: all 2 of --worker-uids " UIDS " are taken";
        struct admin_world *world = *state;
        struct raw_client clients[2], refused;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(clients); i++)
                assert_true(admin_world_tenant_connects(world, "blue", &clients[i]));
        assert_false(admin_world_tenant_connects(world, "blue", &refused));
        (void)admin_world_await_event(world, "connection-refused", text);
        await_said(world, text);
        raw_close(&clients[0]);
        expect_service(world);
        raw_close(&clients[1]);
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, admin_world_tear_down)

static int run_failures(const char *name)
{
        const bool root = geteuid() == 0;
        const struct CMUnitTest tests[] = {
                TEST(test_without_descriptors_connections_wait),
                TEST(test_without_descriptors_nothing_is_half_started),
                TEST(test_without_descriptors_devices_and_policies_are_refused),
                TEST(test_without_descriptors_a_vm_ends_all_the_same),
                TEST(test_a_killed_worker_that_does_not_end_is_told_of),
                root ? (struct CMUnitTest)TEST(test_without_a_user_no_worker_is_started)
                     : (struct CMUnitTest)TEST(test_without_processes_no_vm_begins_and_all_end),
        };

        return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(int argc, char **argv)
{
        return admin_world_run(argc, argv, "failures", run_failures);
}
