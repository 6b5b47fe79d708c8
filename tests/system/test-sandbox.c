/* SPDX-License-Identifier: MIT */
/*
 * What a live worker may do, seen from outside (/proc), and what vtd-brokerd does with workers and
 * connections that misbehave.  The broker is a real one with the simulated host.
 *
 * Run as root, workers have users of their own; with --user UID everything runs as that user in
 * user namespaces ("rootless").
 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "tests/system/broker-run.h"
#include "tests/system/raw-client.h"

#define VMS              3
#define WORKER_UID_FIRST 60000ul
#define WORKER_UID_LAST  60063ul

struct world {
        struct broker_run run;
        struct raw_client client;
        char path[128];
        size_t next_line; /* first audit line not looked at yet */
        pid_t worker;
        uint64_t vm;
};

static bool is_rootless(void)
{
        return geteuid() != 0;
}

static int64_t now_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void start_broker(struct world *world)
{
        const struct broker_run_config config = {
                .build = getenv("VTD_BUILD"), .host = "simulated", .audit_level = "refusals"};
        char text[512];

        assert_non_null(config.build);
        (void)snprintf(text, sizeof(text),
                       "format = 1\n[tenant]\nname = blue\nuid = %u\nvms = %d\n"
                       "[vm]\ndevices = 2\nmemory = 64MiB\nmodes = passthrough\n"
                       "[device edu0]\nsimulated = edu\n[device edu1]\nsimulated = edu\n",
                       (unsigned)geteuid(), VMS);
        if (broker_run_add_policy(&world->run, "blue.policy", text) < 0)
                fail_msg("%s", world->run.message);
        (void)snprintf(text, sizeof(text),
                       "format = 1\n[tenant]\nname = red\nuid = %u\nvms = 1\n"
                       "[vm]\nmemory = 64MiB\nmodes = passthrough\n",
                       (unsigned)geteuid() + 1);
        if (broker_run_add_policy(&world->run, "red.policy", text) < 0 ||
            broker_run_start(&world->run, &config) < 0)
                fail_msg("%s", world->run.message);
        broker_run_socket_path(&world->run, "blue", world->path, sizeof(world->path));
}

/*
 * The next audit line with @event; those before it are skipped.  NULL after @wait_ms.  The line
 * stays the run's.
 */
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
                broker_run_read_audit(&world->run, 50);
        }
}

/* Connects and waits until the worker says that its sandbox is up. */
static void connect_ready(struct world *world, struct raw_client *client)
{
        uint64_t pid = 0;
        const char *line;

        assert_int_equal(raw_connect(client, world->path), 0);
        line = next_event(world, "worker-ready", 10000);
        assert_non_null(line);
        assert_true(audit_number(line, "pid", &pid));
        assert_true(audit_number(line, "vm", &world->vm));
        world->worker = (pid_t)pid;
}

static void greet(struct raw_client *client)
{
        struct vtd_reply reply;

        assert_int_equal(raw_hello(client, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        assert_int_equal(reply.hello.host, VTD_HOST_SIMULATED);
}

static void plug(struct raw_client *client, const char *name)
{
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE};
        struct vtd_reply reply;

        (void)snprintf(request.plug_device.name.text, sizeof(request.plug_device.name.text), "%s",
                       name);
        assert_int_equal(raw_call(client, &request, -1, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
}

static bool is_closed(struct raw_client *client, int wait_ms)
{
        struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};
        char byte;

        return poll(&poll_fd, 1, wait_ms) == 1 && recv(client->fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

static int set_up(void **state)
{
        struct world *world = calloc(1, sizeof(*world));

        assert_non_null(world);
        world->client.fd = -1;
        if (broker_run_prepare(&world->run) < 0)
                return -1;
        start_broker(world);
        *state = world;
        return 0;
}

static int tear_down(void **state)
{
        struct world *world = *state;
        int result;

        raw_close(&world->client);
        result = broker_run_stop(&world->run);
        if (result < 0)
                print_error("%s\n", world->run.message);
        free(world);
        return result;
}

/* The value of @key in /proc/PID/status, without blanks in front. */
static void read_status(pid_t pid, const char *key, char *out, size_t size)
{
        char path[64], line[256];
        bool found = false;
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        file = fopen(path, "re");
        assert_non_null(file);
        while (!found && fgets(line, sizeof(line), file)) {
                size_t length = strlen(key);

                if (strncmp(line, key, length) != 0 || line[length] != ':')
                        continue;
                found = true;
                line[strcspn(line, "\n")] = '\0';
                (void)snprintf(out, size, "%s",
                               line + length + 1 + strspn(line + length + 1, "\t "));
        }
        (void)fclose(file);
        assert_true(found);
}

static void test_worker_has_no_privilege(void **state)
{
        static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
        struct world *world = *state;
        unsigned long ids[4];
        char text[256];

        connect_ready(world, &world->client);
        read_status(world->worker, "Seccomp", text, sizeof(text));
        assert_string_equal(text, "2");
        read_status(world->worker, "NoNewPrivs", text, sizeof(text));
        assert_string_equal(text, "1");
        read_status(world->worker, "Threads", text, sizeof(text));
        assert_string_equal(text, "1");
        for (size_t i = 0; i < VTD_ARRAY_SIZE(sets); i++) {
                read_status(world->worker, sets[i], text, sizeof(text));
                assert_string_equal(text, "0000000000000000");
        }
        read_status(world->worker, "Uid", text, sizeof(text));
        assert_int_equal(sscanf(text, "%lu %lu %lu %lu", &ids[0], &ids[1], &ids[2], &ids[3]), 4);
        for (size_t i = 0; i < 4; i++) {
                assert_int_equal(ids[i], ids[0]);
                if (is_rootless())
                        assert_int_equal(ids[i], geteuid());
                else
                        assert_in_range(ids[i], WORKER_UID_FIRST, WORKER_UID_LAST);
        }
        if (!is_rootless()) {
                read_status(world->worker, "Groups", text, sizeof(text));
                assert_string_equal(text, "");
        }
}

/*
 * Every layer is up before the first byte is read: the worker has not been greeted in these tests.
 */
static void test_worker_has_namespaces_of_its_own(void **state)
{
        static const char *const names[] = {"mnt", "net", "ipc", "uts", "pid", "cgroup", "user"};
        struct world *world = *state;
        struct raw_client second = {.fd = -1};
        char first_ns[7][64], path[64], link[64];
        ssize_t length;

        connect_ready(world, &world->client);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(names); i++) {
                (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)world->worker, names[i]);
                length = readlink(path, first_ns[i], sizeof(first_ns[i]) - 1);
                assert_true(length > 0);
                first_ns[i][length] = '\0';
                (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
                length = readlink(path, link, sizeof(link) - 1);
                assert_true(length > 0);
                link[length] = '\0';
                if (strcmp(names[i], "user") != 0 || is_rootless())
                        assert_string_not_equal(link, first_ns[i]);
                else
                        assert_string_equal(link, first_ns[i]);
        }
        /* Nor are they shared between two workers of one tenant. */
        connect_ready(world, &second);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(names) - (is_rootless() ? 0 : 1); i++) {
                (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)world->worker, names[i]);
                length = readlink(path, link, sizeof(link) - 1);
                assert_true(length > 0);
                link[length] = '\0';
                assert_string_not_equal(link, first_ns[i]);
        }
        raw_close(&second);
}

static size_t count_entries(const char *path)
{
        DIR *directory = opendir(path);
        struct dirent *entry;
        size_t count = 0;

        assert_non_null(directory);
        while ((entry = readdir(directory)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        count++;
        (void)closedir(directory);
        return count;
}

static void test_worker_sees_an_empty_root_and_no_environment(void **state)
{
        struct world *world = *state;
        char path[64], text[512];
        ssize_t length;
        FILE *file;
        int fd;

        connect_ready(world, &world->client);
        (void)snprintf(path, sizeof(path), "/proc/%d/root", (int)world->worker);
        assert_int_equal(count_entries(path), 0);
        (void)snprintf(path, sizeof(path), "/proc/%d/root/new", (int)world->worker);
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_int_equal(fd, -1);
        assert_true(errno == EROFS || errno == EACCES || errno == EPERM);
        (void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)world->worker);
        file = fopen(path, "re");
        assert_non_null(file);
        assert_non_null(fgets(text, sizeof(text), file));
        assert_non_null(strstr(text, " / / ro,nosuid,nodev,noexec"));
        assert_non_null(strstr(text, " - tmpfs "));
        assert_null(fgets(text, sizeof(text), file));
        (void)fclose(file);
        (void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)world->worker);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (is_rootless()) {
                /* The worker is not dumpable: its own user may not look either. */
                assert_int_equal(fd, -1);
                assert_int_equal(errno, EACCES);
                return;
        }
        assert_true(fd >= 0);
        length = read(fd, text, sizeof(text));
        (void)close(fd);
        assert_int_equal(length, 0);
}

static void test_worker_has_exactly_its_descriptors(void **state)
{
        struct world *world = *state;
        size_t sockets = 0, others = 0;
        struct dirent *entry;
        char path[64], name[330], target[128];
        DIR *directory;

        connect_ready(world, &world->client);
        (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)world->worker);
        directory = opendir(path);
        if (is_rootless()) {
                assert_null(directory);
                assert_int_equal(errno, EACCES);
                return;
        }
        assert_non_null(directory);
        while ((entry = readdir(directory))) {
                int fd = atoi(entry->d_name);
                ssize_t length;

                if (entry->d_name[0] == '.')
                        continue;
                (void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
                length = readlink(name, target, sizeof(target) - 1);
                assert_true(length > 0);
                target[length] = '\0';
#if defined(VTD_SANITIZED)
                if (fd == STDERR_FILENO)
                        continue;
#endif
                if (fd <= STDERR_FILENO) {
                        assert_string_equal(target, "/dev/null");
                } else if (fd == 3 || fd == 4) {
                        assert_int_equal(strncmp(target, "socket:", 7), 0);
                        sockets++;
                } else {
                        /* What libuv's loop is made of: nothing that leads out of the process. */
                        assert_true(strcmp(target, "anon_inode:[eventpoll]") == 0 ||
                                    strcmp(target, "anon_inode:[eventfd]") == 0 ||
                                    strncmp(target, "pipe:", 5) == 0);
                        others++;
                }
        }
        (void)closedir(directory);
        assert_int_equal(sockets, 2);
        assert_in_range(others, 1, 6);
}

static void test_worker_has_limits(void **state)
{
        static const struct {
                const char *name;
                unsigned long value;
        } expected[] = {
                {"Max core file size", 0},
                {"Max file size", 0},
                {"Max processes", 0},
                {"Max open files", 64},
        };
        struct world *world = *state;
        char path[64], line[256];
        size_t found = 0;
        FILE *file;

        connect_ready(world, &world->client);
        (void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)world->worker);
        file = fopen(path, "re");
        assert_non_null(file);
        while (fgets(line, sizeof(line), file)) {
                for (size_t i = 0; i < VTD_ARRAY_SIZE(expected); i++) {
                        unsigned long soft, hard;

                        if (strncmp(line, expected[i].name, strlen(expected[i].name)) != 0)
                                continue;
                        assert_int_equal(sscanf(line + 26, "%lu %lu", &soft, &hard), 2);
                        assert_int_equal(soft, expected[i].value);
                        assert_int_equal(hard, expected[i].value);
                        found++;
                }
        }
        (void)fclose(file);
        assert_int_equal(found, VTD_ARRAY_SIZE(expected));
}

/* The mode of the socket file would let this user in: the credentials decide alone. */
static void test_wrong_user_is_refused(void **state)
{
        struct world *world = *state;
        char path[128];
        const char *line;

        broker_run_socket_path(&world->run, "red", path, sizeof(path));
        assert_int_equal(raw_connect(&world->client, path), 0);
        assert_true(is_closed(&world->client, 5000));
        line = next_event(world, "connection-refused", 5000);
        assert_non_null(line);
        assert_true(audit_is(line, "rule", "red.policy:4"));
        assert_true(audit_is(line, "tenant", "red"));
}

static void test_socket_file_belongs_to_the_tenant(void **state)
{
        struct world *world = *state;
        struct stat status;

        assert_int_equal(stat(world->path, &status), 0);
        assert_true(S_ISSOCK(status.st_mode));
        assert_int_equal(status.st_mode & 0777, is_rootless() ? 0660 : 0600);
        assert_int_equal(status.st_uid, geteuid());
}

static void test_vms_per_tenant_are_limited(void **state)
{
        struct world *world = *state;
        struct raw_client clients[VMS], excess = {.fd = -1};
        const char *line;

        for (size_t i = 0; i < VMS; i++)
                connect_ready(world, &clients[i]);
        assert_int_equal(raw_connect(&excess, world->path), 0);
        assert_true(is_closed(&excess, 5000));
        line = next_event(world, "connection-refused", 5000);
        assert_non_null(line);
        assert_true(audit_is(line, "rule", "blue.policy:5"));
        raw_close(&excess);
        /* One that ends makes room. */
        raw_close(&clients[0]);
        assert_non_null(next_event(world, "worker-ended", 5000));
        connect_ready(world, &clients[0]);
        for (size_t i = 0; i < VMS; i++)
                raw_close(&clients[i]);
}

static void test_connection_without_hello_is_closed(void **state)
{
        struct world *world = *state;
        int64_t start = now_ms();

        connect_ready(world, &world->client);
        assert_true(is_closed(&world->client, 8000));
        assert_in_range(now_ms() - start, VTD_LIMIT_HELLO_MS - 500, VTD_LIMIT_HELLO_MS + 3000);
        assert_non_null(next_event(world, "worker-ended", 5000));
}

static void test_device_is_held_by_one_vm(void **state)
{
        struct world *world = *state;
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE,
                                      .plug_device = {.name = {"edu0"}}};
        struct raw_client second = {.fd = -1};
        struct vtd_reply reply;

        connect_ready(world, &world->client);
        greet(&world->client);
        plug(&world->client, "edu0");
        connect_ready(world, &second);
        greet(&second);
        assert_int_equal(raw_call(&second, &request, -1, &reply), RAW_ANSWERED);
        assert_true(reply.refused);
        assert_int_equal(reply.refusal.reason, VTD_REASON_DEVICE_BUSY);
        raw_close(&world->client);
        assert_non_null(next_event(world, "worker-ended", 5000));
        plug(&second, "edu0");
        raw_close(&second);
}

/* A worker that is gone leaves nothing behind: its devices are closed, in the audit log too. */
static void test_killed_worker_is_cleaned_up(void **state)
{
        struct world *world = *state;
        uint64_t vm;
        const char *line;

        connect_ready(world, &world->client);
        vm = world->vm;
        greet(&world->client);
        plug(&world->client, "edu0");
        plug(&world->client, "edu1");
        assert_int_equal(kill(world->worker, SIGKILL), 0);
        line = next_event(world, "worker-ended", 5000);
        assert_non_null(line);
        assert_non_null(strstr(line, "signal 9"));
        line = next_event(world, "device-closed", 1000);
        assert_non_null(line);
        assert_true(audit_is(line, "device", "edu0"));
        line = next_event(world, "device-closed", 1000);
        assert_non_null(line);
        assert_true(audit_is(line, "device", "edu1"));
        assert_true(is_closed(&world->client, 5000));
        raw_close(&world->client);
        connect_ready(world, &world->client);
        assert_true(world->vm != vm);
        greet(&world->client);
        plug(&world->client, "edu0");
}

static void test_worker_that_does_not_answer_is_killed(void **state)
{
        struct world *world = *state;
        const char *line;

        connect_ready(world, &world->client);
        greet(&world->client);
        plug(&world->client, "edu0");
        assert_int_equal(kill(world->worker, SIGSTOP), 0);
        line = next_event(world, "worker-ended", 16000);
        assert_non_null(line);
        assert_non_null(strstr(line, "it did not answer"));
        assert_non_null(next_event(world, "device-closed", 1000));
        assert_true(is_closed(&world->client, 1000));
}

static void test_sigterm_drains(void **state)
{
        struct world *world = *state;
        struct stat status;
        int wait_status;

        connect_ready(world, &world->client);
        greet(&world->client);
        plug(&world->client, "edu0");
        assert_int_equal(kill(world->run.pid, SIGTERM), 0);
        assert_non_null(next_event(world, "drained", 5000));
        assert_non_null(next_event(world, "blocked", 5000));
        assert_non_null(next_event(world, "released", 5000));
        assert_non_null(next_event(world, "worker-ended", 5000));
        assert_int_equal(waitpid(world->run.pid, &wait_status, 0), world->run.pid);
        assert_true(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0);
        assert_int_equal(stat(world->path, &status), -1);
        assert_int_equal(errno, ENOENT);
        assert_true(is_closed(&world->client, 1000));
        world->run.audit_fd = vtd_close(world->run.audit_fd);
        start_broker(world); /* for the tear-down, and because it must be possible */
}

static void test_workers_die_with_vtd_brokerd(void **state)
{
        struct world *world = *state;
        struct stat status;
        int wait_status;

        connect_ready(world, &world->client);
        greet(&world->client);
        assert_int_equal(kill(world->run.pid, SIGKILL), 0);
        assert_int_equal(waitpid(world->run.pid, &wait_status, 0), world->run.pid);
        assert_true(is_closed(&world->client, 5000));
        raw_close(&world->client);
        /* What is left of the socket is replaced by the next one. */
        assert_int_equal(stat(world->path, &status), 0);
        world->run.audit_fd = vtd_close(world->run.audit_fd);
        world->next_line = world->run.n_lines;
        start_broker(world);
        connect_ready(world, &world->client);
        greet(&world->client);
}

static void test_second_vtd_brokerd_is_refused(void **state)
{
        struct world *world = *state;
        char build[512], policies[128], sockets[128], worker_dir[600];
        const char *argv[10];
        int wait_status;
        size_t n = 0;
        pid_t pid;

        (void)snprintf(build, sizeof(build), "%s/broker/vtd-brokerd", getenv("VTD_BUILD"));
        (void)snprintf(worker_dir, sizeof(worker_dir), "--worker-dir=%s/broker",
                       getenv("VTD_BUILD"));
        (void)snprintf(policies, sizeof(policies), "--policies=%s/policies", world->run.directory);
        (void)snprintf(sockets, sizeof(sockets), "--sockets=%s/sockets", world->run.directory);
        argv[n++] = build;
        argv[n++] = "--host=simulated";
        argv[n++] = policies;
        argv[n++] = sockets;
        argv[n++] = worker_dir;
        if (!is_rootless())
                argv[n++] = "--worker-uids=61000-61010";
        argv[n] = NULL;
        pid = fork();
        if (pid == 0) {
                (void)execv(build, (char *const *)(uintptr_t)argv);
                _exit(127);
        }
        assert_int_equal(waitpid(pid, &wait_status, 0), pid);
        assert_true(WIFEXITED(wait_status));
        assert_int_equal(WEXITSTATUS(wait_status), 1);
        /* The first one is none the worse. */
        connect_ready(world, &world->client);
        greet(&world->client);
}

/* Whoever may rename in the directory may put a socket of his own in a tenant's place. */
static void test_directory_that_a_group_may_write_is_refused(void **state)
{
        const struct broker_run_config config = {
                .build = getenv("VTD_BUILD"), .host = "simulated", .audit_level = "refusals"};
        struct world *world = *state;
        char path[128];
        int wait_status;

        (void)snprintf(path, sizeof(path), "%s/sockets", world->run.directory);
        assert_int_equal(kill(world->run.pid, SIGTERM), 0);
        assert_int_equal(waitpid(world->run.pid, &wait_status, 0), world->run.pid);
        world->run.audit_fd = vtd_close(world->run.audit_fd);
        assert_int_equal(chmod(path, 0775), 0);
        assert_int_equal(broker_run_start(&world->run, &config), -1);
        world->run.audit_fd = vtd_close(world->run.audit_fd);
        assert_int_equal(chmod(path, 0755), 0);
        start_broker(world);
}

static void test_flood_of_connections_is_slowed_not_served(void **state)
{
        struct world *world = *state;
        struct raw_client clients[40];
        pid_t pids[64];

        for (size_t i = 0; i < VTD_ARRAY_SIZE(clients); i++)
                assert_int_equal(raw_connect(&clients[i], world->path), 0);
        for (int i = 0; i < 20; i++) {
                const struct timespec pause = {.tv_nsec = 10000000};

                assert_true(broker_run_workers(&world->run, pids, VTD_ARRAY_SIZE(pids)) <= VMS);
                (void)nanosleep(&pause, NULL);
        }
        for (size_t i = 0; i < VTD_ARRAY_SIZE(clients); i++)
                raw_close(&clients[i]);
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)

/* Becomes @user for good, with no group of the caller's left. */
static int become(const char *user)
{
        uid_t uid = (uid_t)strtoul(user, NULL, 10);

        if (geteuid() != 0)
                return 0;
        return setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
                               setresuid(uid, uid, uid) == 0
                       ? 0
                       : -1;
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                TEST(test_worker_has_no_privilege),
                TEST(test_worker_has_namespaces_of_its_own),
                TEST(test_worker_sees_an_empty_root_and_no_environment),
                TEST(test_worker_has_exactly_its_descriptors),
                TEST(test_worker_has_limits),
                TEST(test_wrong_user_is_refused),
                TEST(test_socket_file_belongs_to_the_tenant),
                TEST(test_vms_per_tenant_are_limited),
                TEST(test_connection_without_hello_is_closed),
                TEST(test_device_is_held_by_one_vm),
                TEST(test_killed_worker_is_cleaned_up),
                TEST(test_worker_that_does_not_answer_is_killed),
                TEST(test_sigterm_drains),
                TEST(test_workers_die_with_vtd_brokerd),
                TEST(test_second_vtd_brokerd_is_refused),
                TEST(test_directory_that_a_group_may_write_is_refused),
                TEST(test_flood_of_connections_is_slowed_not_served),
        };

        const char *build = getenv("VTD_BUILD");

        if (!build || broker_run_enter_build(&build) < 0 || setenv("VTD_BUILD", build, 1) < 0) {
                (void)fprintf(stderr, "VTD_BUILD must name the build directory\n");
                return 1;
        }
        if (argc == 3 && strcmp(argv[1], "--user") == 0 && become(argv[2]) < 0)
                return 1;
        return cmocka_run_group_tests_name(argc == 3 ? "sandbox-rootless" : "sandbox", tests, NULL,
                                           NULL);
}
