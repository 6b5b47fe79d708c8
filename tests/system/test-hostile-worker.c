/* SPDX-License-Identifier: MIT */
/*
 * What a taken-over worker can do to vtd-brokerd over its control channel: nothing but end itself.
 * The worker program of this run is this very file, which misbehaves as its tenant's name says.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/control/control.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "tests/system/admin-client.h"
#include "tests/system/broker-run.h"
#include "tests/system/raw-client.h"

#define WORKER "vtd-broker-worker-sim"

/* Of broker/brokerd/worker.c. */
#define OPEN_RATE  20u
#define OPEN_BURST 64u
#define LOG_RATE   20u
#define LOG_BURST  100u

struct behaviour {
        const char *tenant;
        void (*act)(void);
        const char *end; /* in the audit line worker-ended */
        int64_t within_ms;
};

static void send_type(uint32_t type, uint32_t index)
{
        union vtd_control_record record = {.header = {.type = type}};

        if (type == VTD_CONTROL_READY) {
                record.ready.landlock_abi = 6;
                record.ready.seccomp_rules = 1;
        } else if (type == VTD_CONTROL_OPEN_DEVICE || type == VTD_CONTROL_CLOSE_DEVICE) {
                record.open_device.index = index;
        }
        while (vtd_control_send(VTD_WORKER_FD_CONTROL, &record, -1) == VTD_CONTROL_E_AGAIN)
                (void)poll(NULL, 0, 1);
}

static void act_ready_twice(void)
{
        send_type(VTD_CONTROL_READY, 0);
}

static void act_greeted_twice(void)
{
        send_type(VTD_CONTROL_GREETED, 0);
        send_type(VTD_CONTROL_GREETED, 0);
}

static void act_open_too_early(void)
{
        send_type(VTD_CONTROL_OPEN_DEVICE, 0);
}

static void act_open_out_of_range(void)
{
        send_type(VTD_CONTROL_GREETED, 0);
        send_type(VTD_CONTROL_OPEN_DEVICE, 1);
}

static void act_open_twice(void)
{
        send_type(VTD_CONTROL_GREETED, 0);
        send_type(VTD_CONTROL_OPEN_DEVICE, 0);
        send_type(VTD_CONTROL_OPEN_DEVICE, 0);
}

static void act_close_unopened(void)
{
        send_type(VTD_CONTROL_GREETED, 0);
        send_type(VTD_CONTROL_CLOSE_DEVICE, 0);
}

static void act_pong_unasked(void)
{
        send_type(VTD_CONTROL_PONG, 0);
}

static void act_oversized(void)
{
        static char record[65536];

        ((struct vtd_control_header *)(void *)record)->type = VTD_CONTROL_AUDIT;
        (void)send(VTD_WORKER_FD_CONTROL, record, sizeof(record), MSG_NOSIGNAL);
}

static void act_descriptor(void)
{
        union vtd_control_record record = {.header = {.type = VTD_CONTROL_GREETED}};

        (void)vtd_control_send(VTD_WORKER_FD_CONTROL, &record, STDIN_FILENO);
}

static void act_silent(void)
{
}

/* As fast as it can, for as long as it lives. */
__attribute__((noreturn)) static void act_flood(void)
{
        union vtd_control_record audit = {.audit = {.header = {.type = VTD_CONTROL_AUDIT},
                                                    .kind = VTD_AUDIT_EVENT,
                                                    .code = VTD_AUDIT_EVENT_BLOCKED}};
        union vtd_control_record text = {
                .log = {.header = {.type = VTD_CONTROL_LOG}, .level = 3, .length = 1, .text = "x"}};

        for (;;) {
                (void)vtd_control_send(VTD_WORKER_FD_CONTROL, &audit, -1);
                (void)vtd_control_send(VTD_WORKER_FD_CONTROL, &text, -1);
        }
}

/* A DEVICE record; what comes with it is closed. */
static void await_device(void)
{
        struct pollfd control = {.fd = VTD_WORKER_FD_CONTROL, .events = POLLIN};
        union vtd_control_record record;

        do {
                VTD_CLEANUP(vtd_fd_list_deinit) struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;

                record.header.type = 0;
                if (poll(&control, 1, -1) != 1 ||
                    vtd_control_receive(VTD_WORKER_FD_CONTROL, VTD_CONTROL_TO_WORKER, &record,
                                        &fds) != 0)
                        _exit(1);
                if (record.header.type == VTD_CONTROL_PING)
                        send_type(VTD_CONTROL_PONG, 0);
        } while (record.header.type != VTD_CONTROL_DEVICE);
}

/* Opens and closes its device as fast as it is answered, for as long as it lives. */
__attribute__((noreturn)) static void act_plug_for_ever(void)
{
        send_type(VTD_CONTROL_GREETED, 0);
        for (;;) {
                send_type(VTD_CONTROL_OPEN_DEVICE, 0);
                await_device();
                send_type(VTD_CONTROL_CLOSE_DEVICE, 0);
                await_device();
        }
}

static void act_report_unasked(void)
{
        send_type(VTD_CONTROL_REPORT, 0);
}

/* What a worker answers when it is asked what its VM consists of. */
static const struct {
        const char *tenant;
        struct vtd_control_report report;
        const char *end; /* in the audit line worker-ended */
} reports[] = {
        {"report-foreign",
         {.n_objects = 1, .objects = {{.kind = VTD_CONTROL_PLUGGED_DEVICE, .device = 1}}},
         "its REPORT names a device that its policy lacks"},
        {"report-circle", {.next = 3}, "REPORT out of turn"},
        {"report-garbage", {.n_objects = 1}, "breaks the control protocol"},
};

/* The circle is closed by the second answer; others lie at once. */
static void answer_query(const char *tenant)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(reports); i++) {
                union vtd_control_record record = {.report = reports[i].report};

                record.header.type = VTD_CONTROL_REPORT;
                if (strcmp(tenant, reports[i].tenant) == 0)
                        (void)vtd_control_send(VTD_WORKER_FD_CONTROL, &record, -1);
        }
}

static const struct behaviour behaviours[] = {
        {"ready-twice", act_ready_twice, "READY out of turn", 5000},
        {"greeted-twice", act_greeted_twice, "GREETED out of turn", 5000},
        {"open-too-early", act_open_too_early, "OPEN_DEVICE out of turn", 5000},
        {"open-out-of-range", act_open_out_of_range, "OPEN_DEVICE out of turn", 5000},
        {"open-twice", act_open_twice, "OPEN_DEVICE out of turn", 5000},
        {"close-unopened", act_close_unopened, "CLOSE_DEVICE out of turn", 5000},
        {"pong-unasked", act_pong_unasked, "PONG out of turn", 5000},
        {"report-unasked", act_report_unasked, "REPORT out of turn", 5000},
        {"oversized", act_oversized, "breaks the control protocol", 5000},
        {"descriptor", act_descriptor, "breaks the control protocol", 5000},
        {"silent", act_silent, "it did not greet", 20000},
};

/* The worker: gets START, says READY, misbehaves, and answers PING for ever. */
static int work(void)
{
        union vtd_control_record record = {0};
        struct pollfd control = {.fd = VTD_WORKER_FD_CONTROL, .events = POLLIN};
        char tenant[sizeof(record.start.policy.tenant)];

        /* The socket does not block, and START may still be on its way. */
        if (poll(&control, 1, -1) != 1 ||
            recv(VTD_WORKER_FD_CONTROL, &record, sizeof(record), 0) <= 0)
                return 1;
        memcpy(tenant, record.start.policy.tenant, sizeof(tenant));
        send_type(VTD_CONTROL_READY, 0);
        if (strcmp(tenant, "flood") == 0)
                act_flood();
        if (strcmp(tenant, "plug") == 0)
                act_plug_for_ever();
        for (size_t i = 0; i < VTD_ARRAY_SIZE(behaviours); i++)
                if (strcmp(tenant, behaviours[i].tenant) == 0)
                        behaviours[i].act();
        while (poll(&control, 1, -1) == 1 &&
               recv(VTD_WORKER_FD_CONTROL, &record, sizeof(record), 0) > 0) {
                if (record.header.type == VTD_CONTROL_PING)
                        send_type(VTD_CONTROL_PONG, 0);
                else if (record.header.type == VTD_CONTROL_QUERY)
                        answer_query(tenant);
        }
        return 0;
}

struct world {
        struct broker_run run;
        struct broker_run_config config;
        char build[64];
};

static void copy_program(const char *from, const char *to)
{
        VTD_CLEANUP_FD int in = open(from, O_RDONLY | O_CLOEXEC);
        VTD_CLEANUP_FD int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
        char buffer[65536];
        ssize_t length;

        assert_true(in >= 0 && out >= 0);
        while ((length = read(in, buffer, sizeof(buffer))) > 0)
                assert_int_equal(write(out, buffer, (size_t)length), length);
        assert_int_equal(length, 0);
}

static void add_tenant(struct world *world, const char *name)
{
        char file[64], text[512];

        (void)snprintf(file, sizeof(file), "%s.policy", name);
        (void)snprintf(text, sizeof(text),
                       "format = 1\n[tenant]\nname = %s\nuid = %u\nvms = 4\n"
                       "[vm]\ndevices = 1\nmemory = 64MiB\nmodes = passthrough\n"
                       "[device edu0]\nsimulated = edu\n",
                       name, (unsigned)geteuid());
        assert_int_equal(broker_run_add_policy(&world->run, file, text), 0);
}

static void start_broker(struct world *world)
{
        if (broker_run_start(&world->run, &world->config) < 0)
                fail_msg("%s", world->run.message);
}

static int set_up(void **state)
{
        struct world *world = calloc(1, sizeof(*world));
        char path[128], broker[512];

        assert_non_null(world);
        assert_int_equal(broker_run_prepare(&world->run), 0);
        (void)snprintf(world->build, sizeof(world->build), "/tmp/vtd-hostile-XXXXXX");
        assert_non_null(mkdtemp(world->build));
        assert_int_equal(chmod(world->build, 0755), 0);
        (void)snprintf(path, sizeof(path), "%s/broker", world->build);
        assert_int_equal(mkdir(path, 0755), 0);
        (void)snprintf(path, sizeof(path), "%s/broker/" WORKER, world->build);
        copy_program("/proc/self/exe", path);
        (void)snprintf(path, sizeof(path), "%s/broker/vtd-brokerd", world->build);
        (void)snprintf(broker, sizeof(broker), "%s/broker/vtd-brokerd", getenv("VTD_BUILD"));
        assert_int_equal(symlink(broker, path), 0);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(behaviours); i++)
                add_tenant(world, behaviours[i].tenant);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(reports); i++)
                add_tenant(world, reports[i].tenant);
        add_tenant(world, "flood");
        add_tenant(world, "plug");
        world->config = (struct broker_run_config){.build = world->build,
                                                   .host = "simulated",
                                                   .audit_level = "refusals",
                                                   .control = true};
        start_broker(world);
        *state = world;
        return 0;
}

static int tear_down(void **state)
{
        static const char *const names[] = {"broker/" WORKER, "broker/vtd-brokerd"};
        struct world *world = *state;
        char path[128];
        int result = broker_run_stop(&world->run);

        for (size_t i = 0; i < VTD_ARRAY_SIZE(names); i++) {
                (void)snprintf(path, sizeof(path), "%s/%s", world->build, names[i]);
                (void)unlink(path);
        }
        (void)snprintf(path, sizeof(path), "%s/broker", world->build);
        (void)rmdir(path);
        (void)rmdir(world->build);
        free(world);
        return result;
}

static int64_t now_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void connect_to(struct world *world, const char *tenant, struct raw_client *client)
{
        char path[128];

        broker_run_socket_path(&world->run, tenant, path, sizeof(path));
        assert_int_equal(raw_connect(client, path), 0);
}

/* Waits for @event of @tenant whose text contains @text. */
static void wait_for(struct world *world, const char *tenant, const char *event, const char *text,
                     int64_t within_ms)
{
        int64_t deadline = now_ms() + within_ms;
        size_t next = 0;

        do {
                for (; next < world->run.n_lines; next++) {
                        const char *line = world->run.lines[next];

                        if (audit_is(line, "tenant", tenant) && audit_is(line, "event", event) &&
                            strstr(line, text))
                                return;
                }
                broker_run_read_audit(&world->run, 50);
        } while (now_ms() < deadline);
        fail_msg("no %s of %s with \"%s\"", event, tenant, text);
}

static void test_a_record_out_of_turn_ends_its_worker(void **state)
{
        struct world *world = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(behaviours); i++) {
                struct raw_client client = {.fd = -1};

                connect_to(world, behaviours[i].tenant, &client);
                wait_for(world, behaviours[i].tenant, "worker-ended", behaviours[i].end,
                         behaviours[i].within_ms);
                raw_close(&client);
        }
}

/* Another vtd-brokerd in the place of the first, which logs into @fd. */
static void restart_with_log(struct world *world, int fd)
{
        VTD_CLEANUP_FD int before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        int wait_status;

        assert_true(before >= 0);
        assert_int_equal(kill(world->run.pid, SIGTERM), 0);
        assert_int_equal(waitpid(world->run.pid, &wait_status, 0), world->run.pid);
        world->run.audit_fd = vtd_close(world->run.audit_fd);
        assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
        start_broker(world);
        assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
}

static size_t count_lines_with(int fd, const char *text)
{
        VTD_CLEANUP_FD int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        size_t count = 0;
        char line[1024];
        FILE *file;

        assert_int_equal(lseek(own, 0, SEEK_SET), 0);
        file = fdopen(own, "r");
        assert_non_null(file);
        own = -1;
        while (fgets(line, sizeof(line), file))
                count += strstr(line, text) != NULL;
        (void)fclose(file);
        return count;
}

/*
 * Two that flood keep nobody waiting: others get their worker, and it its answers.  What they have
 * vtd-brokerd report goes into the log as lines of a rate, not as fast as they can ask.
 */
static void test_flooding_workers_hold_up_nobody(void **state)
{
        VTD_CLEANUP_FD int log = memfd_create("log", MFD_CLOEXEC);
        struct world *world = *state;
        struct raw_client floods[2], client = {.fd = -1};
        int64_t start;
        size_t lines, most;

        restart_with_log(world, log);
        start = now_ms();
        for (size_t i = 0; i < VTD_ARRAY_SIZE(floods); i++)
                connect_to(world, "flood", &floods[i]);
        wait_for(world, "flood", "worker-ready", "", 5000);
        connect_to(world, "open-twice", &client);
        wait_for(world, "open-twice", "worker-ended", "OPEN_DEVICE out of turn", 8000);
        raw_close(&client);
        /* They never read PING. */
        wait_for(world, "flood", "worker-ended", "it did not answer", 20000);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(floods); i++)
                raw_close(&floods[i]);
        /* One of them may still be at it: what is counted is not later than the time that counts. */
        lines = count_lines_with(log, ": x\n");
        most = LOG_BURST + LOG_RATE * (size_t)((now_ms() - start) / 1000 + 1);
        assert_in_range(lines, LOG_BURST, VTD_ARRAY_SIZE(floods) * most);
}

/* How often vtd-brokerd opens devices for one worker is bounded; it lives on, and is only slower. */
static void test_opening_devices_has_a_rate(void **state)
{
        struct world *world = *state;
        struct raw_client client = {.fd = -1};
        int64_t start = now_ms(), taken;
        unsigned opened = 0;

        connect_to(world, "plug", &client);
        wait_for(world, "plug", "device-opened", "", 5000);
        while (now_ms() - start < 4000)
                broker_run_read_audit(&world->run, 50);
        taken = now_ms() - start;
        for (size_t i = 0; i < world->run.n_lines; i++) {
                assert_false(audit_is(world->run.lines[i], "event", "worker-ended"));
                opened += audit_is(world->run.lines[i], "event", "device-opened");
        }
        assert_in_range(opened, OPEN_BURST, OPEN_BURST + OPEN_RATE * (taken / 1000 + 1));
        raw_close(&client);
}

/*
 * A worker that says nothing of its VM is shown as such, in time, and the others are shown all the same;
 * one that lies is ended.
 */
static void test_what_a_worker_says_of_its_vm_is_judged(void **state)
{
        struct world *world = *state;
        struct raw_client silent[2], liars[VTD_ARRAY_SIZE(reports)];
        struct admin_client admin;
        int64_t start;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(silent); i++)
                connect_to(world, "silent", &silent[i]);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(liars); i++) {
                connect_to(world, reports[i].tenant, &liars[i]);
                wait_for(world, reports[i].tenant, "worker-ready", "", 5000);
        }
        assert_int_equal(admin_connect(&admin, &world->run), 0);
        start = now_ms();
        assert_non_null(admin_ask(&admin, "tree\n"));
        assert_in_range(now_ms() - start, 1900, 8000);
        assert_non_null(admin_find(&admin, VTD_ADMIN_SILENT, 1));
        assert_null(admin_find(&admin, VTD_ADMIN_SILENT, 2));
        assert_non_null(admin_find(&admin, VTD_ADMIN_VM, 4));
        assert_null(admin_find(&admin, VTD_ADMIN_DEVICE, 0));
        for (size_t i = 0; i < VTD_ARRAY_SIZE(liars); i++) {
                wait_for(world, reports[i].tenant, "worker-ended", reports[i].end, 5000);
                raw_close(&liars[i]);
        }
        for (size_t i = 0; i < VTD_ARRAY_SIZE(silent); i++)
                raw_close(&silent[i]);
        admin_close(&admin);
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                TEST(test_a_record_out_of_turn_ends_its_worker),
                TEST(test_flooding_workers_hold_up_nobody),
                TEST(test_opening_devices_has_a_rate),
                TEST(test_what_a_worker_says_of_its_vm_is_judged),
        };

        if (argc == 1 && strcmp(argv[0], WORKER) == 0)
                _exit(work());
        return cmocka_run_group_tests_name("hostile-worker", tests, NULL, NULL);
}
