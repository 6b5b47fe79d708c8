/* SPDX-License-Identifier: MIT */
/*
 * Break-out attempts from inside a worker: each probe of probe.c must end with the worker killed for
 * a forbidden system call.  And the process that they are made in is the release worker's equal: the
 * same filter, byte for byte, the same capability sets, the same namespaces of its own.
 *
 *   --release DIR   with broker/ and in it the release programs
 *   --probing DIR   with the probing worker under the release worker's name
 *   --host KIND     simulated or linux (as root, in a machine with a VT-d)
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/control/control.h"
#include "shared/cleanup.h"
#include "tests/breakout/probe.h"
#include "tests/system/broker-run.h"
#include "tests/system/raw-client.h"

#define WAIT_MS     5000
#define FILTERS_MAX 4u
#define FILTER_MAX  4096u

static const char *const namespaces[] = {"ipc", "mnt", "net", "pid", "user", "uts"};
static const char *const privileges[] = {"CapInh",     "CapPrm",  "CapEff",
                                         "CapBnd",     "CapAmb",  "Groups",
                                         "NoNewPrivs", "Seccomp", "Seccomp_filters"};

/* What is to be the same of a release worker and a probing one. */
struct nature {
        char privileges[sizeof(privileges) / sizeof(privileges[0])][128];
        bool own_namespace[sizeof(namespaces) / sizeof(namespaces[0])];
        bool untold;      /* the kernel does not show filters */
        unsigned filters; /* as far as they can be read */
        unsigned lengths[FILTERS_MAX];
        struct sock_filter code[FILTERS_MAX][FILTER_MAX];
};

struct world {
        const char *host;
        struct broker_run release, probing;
        uint32_t next; /* probe */
};

static struct world *world_of(void **state)
{
        return *state;
}

static int start(struct broker_run *run, const char *build, const char *workers, const char *host)
{
        struct broker_run_config config = {
                .build = build, .host = host, .audit_level = "refusals", .worker_dir = workers};
        char text[512];

        (void)snprintf(text, sizeof(text),
                       "format = 1\n[tenant]\nname = blue\nuid = %u\nvms = 2\n[vm]\nmemory = 1MiB\n"
                       "modes = passthrough\n",
                       (unsigned)geteuid());
        if (broker_run_prepare(run) < 0 || broker_run_add_policy(run, "blue.policy", text) < 0 ||
            broker_run_start(run, &config) < 0) {
                print_error("%s\n", run->message);
                return -1;
        }
        return 0;
}

static void connect_to(struct broker_run *run, struct raw_client *client)
{
        const struct timespec pause = {.tv_nsec = 5000000};
        char path[128];

        broker_run_socket_path(run, "blue", path, sizeof(path));
        assert_int_equal(raw_connect(client, path), 0);
        (void)nanosleep(&pause, NULL);
}

static pid_t only_worker(const struct broker_run *run)
{
        const struct timespec pause = {.tv_nsec = 5000000};
        pid_t pids[4];

        for (int waited = 0; waited < WAIT_MS; waited += 5) {
                if (broker_run_workers(run, pids, 4) == 1)
                        return pids[0];
                (void)nanosleep(&pause, NULL);
        }
        fail_msg("there is not one worker");
        return -1;
}

static void wait_event(struct broker_run *run, size_t from, const char *event)
{
        for (int waited = 0; waited < WAIT_MS; waited += 50) {
                for (size_t i = from; i < run->n_lines; i++)
                        if (audit_is(run->lines[i], "event", event))
                                return;
                broker_run_read_audit(run, 50);
        }
        fail_msg("no event %s", event);
}

static void read_privileges(pid_t pid, struct nature *nature)
{
        char path[64], line[256];
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        file = fopen(path, "re");
        assert_non_null(file);
        while (fgets(line, sizeof(line), file)) {
                char *colon = strchr(line, ':');

                if (!colon)
                        continue;
                *colon = '\0';
                for (size_t i = 0; i < sizeof(privileges) / sizeof(privileges[0]); i++)
                        if (strcmp(line, privileges[i]) == 0)
                                (void)snprintf(nature->privileges[i], sizeof(nature->privileges[i]),
                                               "%s", colon + 1);
        }
        (void)fclose(file);
}

/* Whether each namespace is another than this process's; what cannot be seen is. */
static void read_namespaces(pid_t pid, struct nature *nature)
{
        for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
                struct stat own, other;
                char path[64];

                (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", namespaces[i]);
                assert_int_equal(stat(path, &own), 0);
                (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, namespaces[i]);
                nature->own_namespace[i] = stat(path, &other) < 0 || own.st_ino != other.st_ino;
        }
}

/*
 * Only root may: whoever else may attach at all, which the owner of a user namespace may, is refused
 * the filters.  A kernel without CONFIG_CHECKPOINT_RESTORE does
 * not tell: then the number of filters in /proc is all that is compared.
 */
static void read_filters(pid_t pid, struct nature *nature)
{
        int status;

        if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0) {
                assert_int_equal(errno, EPERM);
                assert_int_not_equal(geteuid(), 0);
                return;
        }
        assert_int_equal(waitpid(pid, &status, __WALL), pid);
        for (; nature->filters < FILTERS_MAX; nature->filters++) {
                unsigned i = nature->filters;
                long length = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, (void *)(uintptr_t)i, NULL);

                if (length < 0) {
                        nature->untold = errno == (geteuid() == 0 ? EINVAL : EACCES);
                        assert_true(errno == ENOENT || (i == 0 && nature->untold));
                        break;
                }
                assert_in_range(length, 1, FILTER_MAX);
                nature->lengths[i] = (unsigned)length;
                assert_int_equal(ptrace(PTRACE_SECCOMP_GET_FILTER, pid, (void *)(uintptr_t)i,
                                        nature->code[i]),
                                 length);
        }
        assert_int_equal(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
}

static void examine(struct broker_run *run, struct nature *nature)
{
        struct raw_client client = {.fd = -1};
        size_t lines = run->n_lines;
        pid_t pid;

        memset(nature, 0, sizeof(*nature));
        connect_to(run, &client);
        wait_event(run, lines, "worker-ready");
        pid = only_worker(run);
        read_privileges(pid, nature);
        read_namespaces(pid, nature);
        read_filters(pid, nature);
        raw_close(&client);
        wait_event(run, lines, "worker-ended");
}

static void test_the_probing_worker_is_the_release_workers_equal(void **state)
{
        struct nature *release = calloc(1, sizeof(*release)),
                      *probing = calloc(1, sizeof(*probing));
        struct world *world = world_of(state);

        assert_non_null(release);
        assert_non_null(probing);
        examine(&world->release, release);
        examine(&world->probing, probing);
        for (size_t i = 0; i < sizeof(privileges) / sizeof(privileges[0]); i++) {
                assert_string_not_equal(release->privileges[i], "");
                assert_string_equal(release->privileges[i], probing->privileges[i]);
        }
        for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
                assert_int_equal(release->own_namespace[i], probing->own_namespace[i]);
        assert_int_equal(release->filters, probing->filters);
        assert_true(release->filters > 0 || release->untold || geteuid() != 0);
        assert_memory_equal(release->lengths, probing->lengths, sizeof(release->lengths));
        assert_memory_equal(release->code, probing->code, sizeof(release->code));
        free(release);
        free(probing);
}

/* Waits for the line about the end of the worker that was started after line @from. */
static void expect_end(struct broker_run *run, size_t from, const struct probe *probe)
{
        for (int waited = 0; waited < WAIT_MS; waited += 50) {
                for (size_t i = from; i < run->n_lines; i++) {
                        if (!audit_is(run->lines[i], "event", "worker-ended"))
                                continue;
                        if (!strstr(run->lines[i], "signal 31: it made a forbidden system call") &&
                            !(probe->may_fault && strstr(run->lines[i], "\"signal 11\"")))
                                fail_msg("%s: %s", probe->name, run->lines[i]);
                        return;
                }
                broker_run_read_audit(run, 50);
        }
        fail_msg("%s: the worker has not ended", probe->name);
}

static void try_probe(struct broker_run *run, uint32_t number, const struct probe *probe)
{
        struct probe_order order = {.number = number};
        struct raw_client client = {.fd = -1};
        struct pollfd ready = {.events = POLLIN};
        size_t lines = run->n_lines;
        struct probe_answer answer;
        ssize_t length;

        connect_to(run, &client);
        assert_int_equal(raw_send(&client, &order, sizeof(order), NULL, 0), 0);
        ready.fd = client.fd;
        assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
        length = recv(client.fd, &answer, sizeof(answer), 0);
        if (length == sizeof(answer))
                fail_msg("%s: came back with %lld, errno %d", probe->name, (long long)answer.result,
                         answer.error);
        assert_true(length <= 0);
        raw_close(&client);
        expect_end(run, lines, probe);
}

static void run_probe(void **state)
{
        struct world *world = world_of(state);
        const struct probe *probe = probe_at(world->next);
        unsigned host = strcmp(world->host, "linux") == 0 ? VTD_HOST_LINUX : VTD_HOST_SIMULATED;

        while (!(probe->hosts & (1u << host)))
                probe = probe_at(++world->next);
        try_probe(&world->probing, world->next++, probe);
}

static int usage(void)
{
        (void)fprintf(stderr, "usage: test-breakout --release DIR --probing DIR --host KIND\n");
        return 2;
}

int main(int argc, char **argv)
{
        static struct CMUnitTest tests[256];
        struct world *world = calloc(1, sizeof(*world));
        const struct probe *probe;
        size_t count = 0;
        unsigned host;
        int failed;

        if (!world || argc != 7 || strcmp(argv[1], "--release") != 0 ||
            strcmp(argv[3], "--probing") != 0 || strcmp(argv[5], "--host") != 0)
                return usage();
        world->host = argv[6];
        host = strcmp(world->host, "linux") == 0 ? VTD_HOST_LINUX : VTD_HOST_SIMULATED;
        if (start(&world->release, argv[2], NULL, world->host) != 0 ||
            start(&world->probing, argv[2], argv[4], world->host) != 0)
                return 1;
        tests[count++] = (struct CMUnitTest){"the probing worker is the release worker's equal",
                                             test_the_probing_worker_is_the_release_workers_equal,
                                             NULL, NULL, world};
        for (size_t i = 0; (probe = probe_at(i)); i++)
                if (probe->hosts & (1u << host))
                        tests[count++] =
                                (struct CMUnitTest){probe->name, run_probe, NULL, NULL, world};
        cmocka_set_message_output(CM_OUTPUT_TAP);
        failed = _cmocka_run_group_tests("breakout", tests, count, NULL, NULL);
        if (broker_run_stop(&world->release) < 0 || broker_run_stop(&world->probing) < 0)
                failed = 1;
        free(world);
        return failed;
}
