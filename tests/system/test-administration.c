/* SPDX-License-Identifier: MIT */
/*
 * A real vtd-brokerd and its control socket: grants, what runs, revoking, reading the policies again,
 * and administrators who behave badly.  As root and as an ordinary user.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
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

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "tests/system/admin-client.h"
#include "tests/system/raw-client.h"

#define MIB UINT64_C(0x100000)

/* Nobody is in it but who is put there here. */
#define GROUP      "60999"
#define GROUP_GID  60999
#define STRANGER   60998
#define OTHER_USER 60997

struct world {
        struct broker_run run;
        struct admin_client admin;
};

/* Behind the four lines that all policies here begin with. */
static const char blue_text[] = "vms = 3\n"
                                "total-memory = 100MiB\n"
                                "[vm]\n"
                                "memory = 32MiB\n"
                                "devices = 2\n"
                                "first-stage-tables = 4\n"
                                "pasids = 4\n"
                                "modes = passthrough, first-stage\n"
                                "[device nic0]\n"
                                "simulated = edu-pasid\n";

static const char nic1_text[] = "[device nic1]\n"
                                "simulated = edu-pasid\n";

static const char red_text[] = "vms = 4\n"
                               "[vm]\n"
                               "memory = 32MiB\n"
                               "modes = passthrough\n"
                               "[device disk]\n"
                               "simulated = edu\n";

static void add_policy(struct world *world, const char *tenant, unsigned uid, const char *text,
                       const char *more)
{
        char policy[1024], file[64];

        (void)snprintf(file, sizeof(file), "%s.policy", tenant);
        (void)snprintf(policy, sizeof(policy), "format = 1\n[tenant]\nname = %s\nuid = %u\n%s%s",
                       tenant, uid, text, more);
        assert_int_equal(broker_run_add_policy(&world->run, file, policy), 0);
}

static void remove_policy(struct world *world, const char *file)
{
        char path[128];

        (void)snprintf(path, sizeof(path), "%s/policies/%s", world->run.directory, file);
        assert_int_equal(unlink(path), 0);
}

static int set_up(void **state)
{
        struct world *world = calloc(1, sizeof(*world));
        const struct broker_run_config config = {
                .build = getenv("VTD_BUILD"),
                .host = "simulated",
                .audit_level = "refusals",
                .control = true,
                .control_group = geteuid() == 0 ? GROUP : NULL,
        };

        assert_non_null(world);
        assert_non_null(config.build);
        assert_int_equal(broker_run_prepare(&world->run), 0);
        add_policy(world, "blue", geteuid(), blue_text, nic1_text);
        add_policy(world, "red", geteuid(), red_text, "");
        if (broker_run_start(&world->run, &config) < 0)
                fail_msg("%s", world->run.message);
        assert_int_equal(admin_connect(&world->admin, &world->run), 0);
        *state = world;
        return 0;
}

static int tear_down(void **state)
{
        struct world *world = *state;
        int result;

        admin_close(&world->admin);
        result = broker_run_stop(&world->run);
        free(world);
        return result;
}

static int64_t now_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
        const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

        (void)nanosleep(&pause, NULL);
}

/* The first audit line about @event, from *@next on, whose text contains @text. */
static const char *await_event(struct world *world, const char *event, const char *text)
{
        int64_t deadline = now_ms() + 10000;
        size_t next = 0;

        do {
                for (; next < world->run.n_lines; next++)
                        if (audit_is(world->run.lines[next], "event", event) &&
                            strstr(world->run.lines[next], text))
                                return world->run.lines[next];
                broker_run_read_audit(&world->run, 50);
        } while (now_ms() < deadline);
        fail_msg("no event %s with \"%s\"", event, text);
        return NULL;
}

static void expect_done(const struct vtd_admin_record *end)
{
        assert_non_null(end);
        if (end->kind != VTD_ADMIN_DONE)
                fail_msg("refused: %s", vtd_admin_text(end, VTD_ADMIN_K_REASON));
}

static void expect_refused(const struct vtd_admin_record *end, const char *text, const char *rule)
{
        assert_non_null(end);
        assert_int_equal(end->kind, VTD_ADMIN_REFUSED);
        if (!strstr(vtd_admin_text(end, VTD_ADMIN_K_REASON), text))
                fail_msg("refused for another reason: %s", vtd_admin_text(end, VTD_ADMIN_K_REASON));
        if (rule)
                assert_string_equal(vtd_admin_text(end, VTD_ADMIN_K_RULE), rule);
}

/* A grant of blue's with @fields behind the tenant; its socket. */
static const char *create(struct world *world, const char *fields)
{
        expect_done(admin_ask(&world->admin, "create-vm\ntenant = blue\n%s", fields));
        return vtd_admin_text(admin_find(&world->admin, VTD_ADMIN_CREATED, 0), VTD_ADMIN_K_SOCKET);
}

static bool connects(const char *path, struct raw_client *client, struct vtd_reply *reply)
{
        if (raw_connect(client, path) != 0)
                return false;
        if (raw_hello(client, reply) == RAW_ANSWERED && !reply->refused)
                return true;
        raw_close(client);
        return false;
}

static bool tenant_connects(const struct world *world, const char *tenant,
                            struct raw_client *client)
{
        struct vtd_reply reply;
        char path[128];

        broker_run_socket_path(&world->run, tenant, path, sizeof(path));
        return connects(path, client, &reply);
}

static uint64_t plug(struct raw_client *client, const char *name, struct vtd_reply *reply)
{
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE};

        (void)snprintf(request.plug_device.name.text, sizeof(request.plug_device.name.text), "%s",
                       name);
        assert_int_equal(raw_call(client, &request, -1, reply), RAW_ANSWERED);
        return reply->refused ? 0 : reply->plug_device.device;
}

/* Number of the only VM that runs. */
static uint64_t only_vm(struct world *world)
{
        expect_done(admin_ask(&world->admin, "status\n"));
        assert_null(admin_find(&world->admin, VTD_ADMIN_VM, 1));
        assert_non_null(admin_find(&world->admin, VTD_ADMIN_VM, 0));
        return vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_VM, 0), VTD_ADMIN_K_VM, 0);
}

static uint64_t count_vms(struct world *world)
{
        expect_done(admin_ask(&world->admin, "status\n"));
        return vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_BROKER, 0), VTD_ADMIN_K_VMS,
                                99);
}

static void test_a_grant_is_one_vm_and_less_than_its_tenant(void **state)
{
        struct world *world = *state;
        struct raw_client client, second;
        struct vtd_reply reply;
        char path[256];

        (void)snprintf(path, sizeof(path), "%s",
                       create(world, "name = web1\ndevice = nic1\nmemory = 4194304\npasids = 1\n"));
        assert_non_null(strstr(path, "/sockets/blue+web1.sock"));
        (void)await_event(world, "grant-created", "\"name\":\"web1\"");
        assert_true(connects(path, &client, &reply));
        assert_int_equal(reply.hello.memory, 4 * MIB);
        assert_int_equal(reply.hello.pasids, 1);
        assert_int_equal(reply.hello.first_stage_tables, 4);
        assert_int_equal(plug(&client, "nic0", &reply), 0);
        assert_int_equal(reply.refusal.reason, VTD_REASON_DEVICE_NOT_GRANTED);
        assert_int_not_equal(plug(&client, "nic1", &reply), 0);
        /* Only this one, and the name is taken. */
        assert_false(connects(path, &second, &reply));
        assert_int_equal(access(path, F_OK), -1);
        expect_refused(
                admin_ask(&world->admin, "create-vm\ntenant = blue\nname = web1\ndevice = nic0\n"),
                "there is a VM web1 already", NULL);
        (void)await_event(world, "device-opened", "\"name\":\"web1\"");
        raw_close(&client);
        (void)await_event(world, "worker-ended", "\"name\":\"web1\"");
}

static void test_what_is_not_allowed_is_refused_by_its_rule(void **state)
{
        struct world *world = *state;
        struct admin_client *admin = &world->admin;

        expect_refused(admin_ask(admin, "create-vm\ntenant = green\ndevice = nic0\n"),
                       "no such tenant", NULL);
        expect_refused(admin_ask(admin, "create-vm\ntenant = blue\ndevice = disk\n"),
                       "grants no device disk", "blue.policy:2");
        expect_refused(admin_ask(admin, "create-vm\ntenant = blue\nuid = 77\ndevice = nic0\n"),
                       "user 77 asked", "blue.policy:4");
        expect_refused(
                admin_ask(admin, "create-vm\ntenant = blue\ndevice = nic0\nmemory = 67108864\n"),
                "memory 67108864 asked", "blue.policy:8");
        expect_refused(admin_ask(admin, "create-vm\ntenant = blue\nexpires = 0\ndevice = nic0\n"),
                       "expires 0 asked", NULL);
        expect_refused(
                admin_ask(admin, "create-vm\ntenant = blue\nexpires = 86401\ndevice = nic0\n"),
                "expires 86401 asked", NULL);
        expect_refused(admin_ask(admin, "remove-vm\ntarget = web9\n"), "no such VM", NULL);
        expect_refused(admin_ask(admin, "revoke-vm\ntarget = 17\nreason = x\n"), "no such VM",
                       NULL);
        expect_refused(admin_ask(admin, "tree\ntarget = 4294967297\n"), "no such VM", NULL);
        expect_refused(admin_ask(admin, "created\n"), "line 1: after it tenant is needed", NULL);
        expect_refused(admin_ask(admin, "done\n"), "is no request", NULL);
        expect_refused(admin_ask(admin, "status\nverbose = yes\n"), "line 2: no key", NULL);
        expect_done(admin_ask(admin, "status\n"));
        assert_null(admin_find(admin, VTD_ADMIN_GRANT, 0));
}

/* Three VMs at most, and 100 MiB at most for them, whichever way they come in. */
static void test_grants_count_as_vms(void **state)
{
        struct world *world = *state;
        struct raw_client first, second;

        assert_true(tenant_connects(world, "blue", &first));
        (void)create(world, "name = a\ndevice = nic0\n");
        (void)create(world, "name = b\ndevice = nic0\n");
        expect_refused(admin_ask(&world->admin, "create-vm\ntenant = blue\ndevice = nic0\n"),
                       "as many VMs as it may", "blue.policy:5");
        assert_false(tenant_connects(world, "blue", &second));
        expect_done(admin_ask(&world->admin, "remove-vm\ntarget = a\n"));
        assert_true(tenant_connects(world, "blue", &second));
        raw_close(&first);
        raw_close(&second);
        expect_done(admin_ask(&world->admin, "status\n"));
        assert_string_equal(
                vtd_admin_text(admin_find(&world->admin, VTD_ADMIN_GRANT, 0), VTD_ADMIN_K_NAME),
                "b");
}

static void test_the_totals_count_what_was_narrowed(void **state)
{
        struct world *world = *state;

        add_policy(world, "blue", geteuid(),
                   "vms = 9\ntotal-memory = 40MiB\n"
                   "[vm]\nmemory = 32MiB\nmodes = passthrough\n[device nic0]\nsimulated = edu\n",
                   "");
        expect_done(admin_ask(&world->admin, "reload\n"));
        (void)create(world, "device = nic0\n");
        expect_refused(admin_ask(&world->admin, "create-vm\ntenant = blue\ndevice = nic0\n"),
                       "would be exceeded", "blue.policy:6");
        (void)create(world, "device = nic0\nmemory = 8388608\n");
        expect_refused(admin_ask(&world->admin,
                                 "create-vm\ntenant = blue\ndevice = nic0\nmemory = 4096\n"),
                       "would be exceeded", "blue.policy:6");
        expect_done(admin_ask(&world->admin, "status\n"));
        assert_int_equal(vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_TENANT, 0),
                                          VTD_ADMIN_K_MEMORY, 0),
                         40 * MIB);
}

static void test_an_unused_grant_expires(void **state)
{
        struct world *world = *state;
        char path[256];

        (void)snprintf(path, sizeof(path), "%s",
                       create(world, "name = late\nexpires = 3\ndevice = nic0\n"));
        assert_int_equal(access(path, F_OK), 0);
        (void)await_event(world, "grant-ended", "it was not used in time");
        expect_done(admin_ask(&world->admin, "status\n"));
        assert_int_equal(access(path, F_OK), -1);
        assert_null(admin_find(&world->admin, VTD_ADMIN_GRANT, 0));
        assert_int_equal(vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_TENANT, 0),
                                          VTD_ADMIN_K_VMS, 9),
                         0);
}

static void test_a_connection_can_be_handed_out(void **state)
{
        struct world *world = *state;
        struct raw_client client = {.fd = -1};
        struct vtd_reply reply;
        char path[256];

        (void)snprintf(path, sizeof(path), "%s",
                       create(world, "name = fd\nconnection = yes\ndevice = nic0\n"));
        assert_true(world->admin.fd >= 0);
        assert_int_equal(count_vms(world), 0); /* it has said nothing yet */
        (void)create(world, "name = gone\nconnection = yes\ndevice = nic0\n");
        client.fd = fcntl(world->admin.fd, F_DUPFD_CLOEXEC, 3);
        world->admin.fd = vtd_close(world->admin.fd);
        raw_close(&client); /* closed unused: its grant waits on */
        expect_done(admin_ask(&world->admin, "status\n"));
        assert_non_null(admin_find(&world->admin, VTD_ADMIN_GRANT, 0));
        expect_done(admin_ask(&world->admin, "remove-vm\ntarget = fd\n"));

        (void)create(world, "name = fd\nconnection = yes\ndevice = nic0\n");
        client.fd = VTD_TAKE_FD(world->admin.fd);
        assert_int_equal(fcntl(client.fd, F_GETFL) & O_NONBLOCK, 0);
        assert_int_equal(raw_hello(&client, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        assert_int_not_equal(plug(&client, "nic0", &reply), 0);
        (void)await_event(world, "worker-started", "that was handed out");
        assert_int_equal(access(path, F_OK), -1);
        raw_close(&client);
        assert_true(connects(create(world, "name = path\ndevice = nic1\n"), &client, &reply));
        raw_close(&client);
}

/* In the order of the invariant, and answered when all is over. */
static void test_remove_ends_a_vm_in_order(void **state)
{
        static const char *const events[] = {"vm-removed",    "drained",  "blocked",
                                             "device-closed", "released", "worker-ended"};
        struct world *world = *state;
        struct raw_client client;
        struct vtd_reply reply;
        size_t next = 0;

        assert_true(connects(create(world, "name = web1\ndevice = nic0\n"), &client, &reply));
        assert_int_not_equal(plug(&client, "nic0", &reply), 0);
        expect_done(admin_ask(&world->admin, "remove-vm\ntarget = web1\n"));
        assert_string_equal(
                vtd_admin_text(admin_find(&world->admin, VTD_ADMIN_REMOVED, 0), VTD_ADMIN_K_STATE),
                "ended");
        assert_int_equal(count_vms(world), 0);
        broker_run_read_audit(&world->run, 50);
        for (size_t i = 0; i < world->run.n_lines && next < VTD_ARRAY_SIZE(events); i++)
                next += audit_is(world->run.lines[i], "event", events[next]);
        assert_int_equal(next, VTD_ARRAY_SIZE(events));
        assert_int_equal(raw_hello(&client, &reply), RAW_CLOSED);
        raw_close(&client);
}

static void test_revoke_ends_a_vm_at_once(void **state)
{
        struct world *world = *state;
        struct raw_client client;
        struct vtd_reply reply;
        char text[64];

        assert_true(tenant_connects(world, "blue", &client));
        assert_int_not_equal(plug(&client, "nic0", &reply), 0);
        expect_done(admin_ask(&world->admin, "revoke-vm\ntarget = %u\nreason = it \"mines\"\n",
                              (unsigned)only_vm(world)));
        assert_int_equal(vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_REVOKED, 0),
                                          VTD_ADMIN_K_VMS, 0),
                         1);
        (void)snprintf(text, sizeof(text), "by user %u: it \\u0022mines\\u0022", geteuid());
        (void)await_event(world, "vm-revoked", text);
        (void)await_event(world, "worker-ended", "killed: by user");
        (void)await_event(world, "device-closed", "nic0");
        assert_int_equal(raw_hello(&client, &reply), RAW_CLOSED);
        raw_close(&client);
        /* The tenant may have another. */
        assert_true(tenant_connects(world, "blue", &client));
        raw_close(&client);
}

static void test_a_revoked_tenant_has_no_socket_until_the_policies_are_read(void **state)
{
        struct world *world = *state;
        struct raw_client client, other, late;
        const struct vtd_admin_record *answer;

        assert_true(tenant_connects(world, "blue", &client));
        assert_true(tenant_connects(world, "red", &other));
        (void)create(world, "name = waits\ndevice = nic0\n");
        expect_done(admin_ask(&world->admin, "revoke-tenant\ntenant = blue\nreason = unpaid\n"));
        answer = admin_find(&world->admin, VTD_ADMIN_REVOKED, 0);
        assert_int_equal(vtd_admin_number(answer, VTD_ADMIN_K_VMS, 0), 1);
        assert_int_equal(vtd_admin_number(answer, VTD_ADMIN_K_GRANTS, 0), 1);
        (void)await_event(world, "tenant-revoked", "unpaid");
        (void)await_event(world, "grant-revoked", "unpaid");
        (void)await_event(world, "worker-ended", "unpaid");
        assert_false(tenant_connects(world, "blue", &late));
        expect_refused(admin_ask(&world->admin, "create-vm\ntenant = blue\ndevice = nic0\n"),
                       "the tenant is revoked", NULL);
        (void)only_vm(world); /* red's */
        expect_done(admin_ask(&world->admin, "reload\n"));
        assert_true(tenant_connects(world, "blue", &late));
        raw_close(&client);
        raw_close(&other);
        raw_close(&late);
}

static void test_a_bad_policy_changes_nothing(void **state)
{
        struct world *world = *state;
        struct raw_client client, again;

        assert_true(tenant_connects(world, "red", &client));
        remove_policy(world, "red.policy");
        assert_int_equal(broker_run_add_policy(&world->run, "green.policy",
                                               "format = 1\n[tenant]\nname = green\n"),
                         0);
        expect_refused(admin_ask(&world->admin, "reload\n"), "all stay as they were", NULL);
        assert_non_null(strstr(
                vtd_admin_text(admin_find(&world->admin, VTD_ADMIN_NOTE, 0), VTD_ADMIN_K_TEXT),
                "green.policy:2:1: [tenant] lacks the key \"uid\""));
        (void)await_event(world, "policies-refused", "");
        assert_true(tenant_connects(world, "red", &again));
        expect_done(admin_ask(&world->admin, "status\n"));
        assert_non_null(admin_find(&world->admin, VTD_ADMIN_TENANT, 1));
        assert_null(admin_find(&world->admin, VTD_ADMIN_TENANT, 2));
        assert_int_equal(vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_BROKER, 0),
                                          VTD_ADMIN_K_RELOADS_REFUSED, 0),
                         1);
        raw_close(&client);
        raw_close(&again);
}

/* The same by SIGHUP. */
static void test_new_policies_are_taken_as_a_whole(void **state)
{
        struct world *world = *state;
        struct raw_client client, other;

        assert_true(tenant_connects(world, "blue", &client));
        remove_policy(world, "red.policy");
        add_policy(world, "green", geteuid(),
                   "[vm]\nmemory = 4MiB\n"
                   "modes = passthrough\n[device tap]\nsimulated = edu\n",
                   "");
        assert_int_equal(kill(world->run.pid, SIGHUP), 0);
        (void)await_event(world, "policies-reloaded", "tenants 2, of these new 1");
        assert_false(tenant_connects(world, "red", &other));
        assert_true(tenant_connects(world, "green", &other));
        raw_close(&other);
        assert_int_equal(count_vms(world) >= 1, 1); /* blue's goes on */
        raw_close(&client);
}

static void test_a_vm_keeps_its_policy_but_not_what_was_lost(void **state)
{
        struct world *world = *state;
        struct raw_client holds, idle;
        struct vtd_reply reply;

        assert_true(tenant_connects(world, "blue", &holds));
        assert_int_not_equal(plug(&holds, "nic1", &reply), 0);
        assert_true(tenant_connects(world, "blue", &idle));
        (void)create(world, "name = waits\ndevice = nic1\n");
        add_policy(world, "blue", geteuid(), blue_text, ""); /* without nic1 */
        expect_done(admin_ask(&world->admin, "reload\n"));
        assert_int_equal(vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_RELOADED, 0),
                                          VTD_ADMIN_K_VMS, 0),
                         1);
        assert_int_equal(vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_RELOADED, 0),
                                          VTD_ADMIN_K_GRANTS, 0),
                         1);
        (void)await_event(world, "worker-ended",
                          "a device that its tenant's policy grants no more");
        (void)await_event(world, "device-closed", "nic1");
        (void)await_event(world, "grant-ended", "grants no device nic1");
        assert_int_equal(plug(&idle, "nic1", &reply), 0);
        assert_int_equal(reply.refusal.reason, VTD_REASON_HOST_DEVICE);
        (void)await_event(world, "device-refused", "grants it no more");
        assert_int_not_equal(plug(&idle, "nic0", &reply), 0);
        /* Granted again, it can be had again. */
        add_policy(world, "blue", geteuid(), blue_text, nic1_text);
        expect_done(admin_ask(&world->admin, "reload\n"));
        assert_int_not_equal(plug(&idle, "nic1", &reply), 0);
        raw_close(&holds);
        raw_close(&idle);
}

static void test_all_vms_of_a_tenant_end_with_its_file_or_user(void **state)
{
        struct world *world = *state;
        struct raw_client blue, red;

        assert_true(tenant_connects(world, "blue", &blue));
        assert_true(tenant_connects(world, "red", &red));
        remove_policy(world, "red.policy");
        add_policy(world, "blue", geteuid() + 1, blue_text, nic1_text);
        expect_done(admin_ask(&world->admin, "reload\n"));
        (void)await_event(world, "worker-ended", "its tenant has no policy any more");
        (void)await_event(world, "worker-ended", "its tenant's policy names another user");
        assert_false(tenant_connects(world, "blue", &blue));
        raw_close(&red);
}

/* A sealed memfd that is mapped at 0. */
static void map_memory(struct raw_client *client, uint64_t size)
{
        VTD_CLEANUP_FD int fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct vtd_request request = {.type = VTD_REQUEST_MAP_MEMORY, .map_memory = {.size = size}};
        struct vtd_reply reply;

        assert_int_equal(ftruncate(fd, (off_t)size), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        assert_int_equal(raw_call(client, &request, fd, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
}

static void attach(struct raw_client *client, uint64_t device, uint32_t pasid,
                   enum vtd_attach_mode mode, uint64_t root)
{
        struct vtd_request request = {
                .type = VTD_REQUEST_ATTACH,
                .attach = {.device = device,
                           .pasid = pasid,
                           .mode = mode,
                           .root = root,
                           .address_width = mode == VTD_ATTACH_FIRST_STAGE ? 48 : 0}};
        struct vtd_reply reply;

        assert_int_equal(raw_call(client, &request, -1, &reply), RAW_ANSWERED);
        if (reply.refused)
                fail_msg("attach: %s", vtd_reason_name(reply.refusal.reason));
}

/* Output of a program of the build, which ends with @status. */
static void run_program(char *out, size_t size, const char *command, int status)
{
        char line[512];
        size_t used;
        FILE *pipe;

        (void)snprintf(line, sizeof(line), "%s/broker/vtd-brokerctl %s 2>&1", getenv("VTD_BUILD"),
                       command);
        pipe = popen(line, "re");
        assert_non_null(pipe);
        used = fread(out, 1, size - 1, pipe);
        out[used] = '\0';
        if (WEXITSTATUS(pclose(pipe)) != status)
                fail_msg("%s: %s", line, out);
}

static void expect_output(struct world *world, const char *command, int status, const char *text)
{
        char line[256], out[16384];

        (void)snprintf(line, sizeof(line), "%s --control %s/control.sock", command,
                       world->run.directory);
        run_program(out, sizeof(out), line, status);
        if (!strstr(out, text))
                fail_msg("%s: no \"%s\" in:\n%s", command, text, out);
}

static void test_the_tree_shows_what_there_is(void **state)
{
        struct world *world = *state;
        struct raw_client client;
        const struct vtd_admin_record *ioas, *second, *first;
        struct vtd_reply reply;
        uint64_t nic0, nic1;

        assert_true(connects(create(world, "name = web1\ndevice = nic0\ndevice = nic1\n"), &client,
                             &reply));
        nic0 = plug(&client, "nic0", &reply);
        nic1 = plug(&client, "nic1", &reply);
        map_memory(&client, 4 * MIB);
        attach(&client, nic0, VTD_NO_PASID, VTD_ATTACH_PASSTHROUGH, 0);
        attach(&client, nic0, 5, VTD_ATTACH_FIRST_STAGE, 0x3000);
        attach(&client, nic1, 5, VTD_ATTACH_FIRST_STAGE, 0x3000);
        expect_done(admin_ask(&world->admin, "tree\ntarget = web1\n"));
        ioas = admin_find(&world->admin, VTD_ADMIN_IOAS, 0);
        second = admin_find(&world->admin, VTD_ADMIN_SECOND_STAGE, 0);
        first = admin_find(&world->admin, VTD_ADMIN_FIRST_STAGE, 0);
        assert_true(ioas && second && first);
        assert_int_equal(vtd_admin_number(ioas, VTD_ADMIN_K_MEMORY, 0), 4 * MIB);
        assert_int_equal(vtd_admin_number(second, VTD_ADMIN_K_IOAS, 1),
                         vtd_admin_number(ioas, VTD_ADMIN_K_IOAS, 2));
        assert_int_equal(vtd_admin_number(first, VTD_ADMIN_K_PARENT, 1),
                         vtd_admin_number(second, VTD_ADMIN_K_HWPT, 2));
        assert_int_equal(vtd_admin_number(first, VTD_ADMIN_K_ATTACHMENTS, 0), 2);
        assert_non_null(admin_find(&world->admin, VTD_ADMIN_ATTACHMENT, 2));
        expect_output(world, "tree", 0, "vm 1 web1 of blue: serving");
        expect_output(world, "tree", 0, "└─ IOAS ");
        expect_output(world, "tree web1", 0, "      ├─ device nic0: passthrough\n");
        expect_output(world, "tree 1", 0, ": root 0x3000, 48 bits, flags 0x0, attached 2\n");
        expect_output(world, "tree", 0, "         └─ device nic1, PASID 5: first-stage\n");
        expect_output(world, "tree --json", 0, "\"kind\":\"first-stage\",\"vm\":1,");
        expect_output(world, "stats", 0, "4 MiB\n");
        expect_output(world, "stats web1 --json", 0, "\"attachments\":3}");
        expect_output(world, "watch --count 2", 0, "requests/s");
        expect_output(world, "status", 0, "devices nic0, nic1;");
        raw_close(&client);
}

/* The program from end to end. */
static void test_the_program_does_what_it_says(void **state)
{
        struct world *world = *state;

        expect_output(world, "vm create --tenant blue --device nic0 --name web1 --memory 4MiB", 0,
                      "/sockets/blue+web1.sock\n");
        expect_output(world, "vm create --tenant blue --device nic0 --memory 4GiB", 1,
                      "refused: memory 4294967296 asked, the tenant's policy allows 33554432 "
                      "(blue.policy:8)");
        expect_output(world, "status --json", 0, "\"kind\":\"grant\",\"tenant\":\"blue\"");
        expect_output(world, "tree web1", 1, "this VM has not come in yet");
        expect_output(world, "revoke web1 --reason test", 0, "");
        expect_output(world, "revoke --tenant red --reason test", 0, "");
        expect_output(world, "status", 0, "tenant red: revoked");
        expect_output(world, "reload", 0, "");
        expect_output(world, "status", 0, "tenant red: open");
        expect_output(world, "vm remove web1", 1, "there is no such VM");
        expect_output(world, "vm create --tenant blue", 2, "at least one --device");
        expect_output(world, "vm create --tenant blue --device a --pasids x", 2, "--pasids:1:1:");
        expect_output(world, "revoke web1", 2, "--reason");
        expect_output(world, "vm remove", 2, "takes VM");
        expect_output(world, "status more", 2, "takes options only");
        expect_output(world, "watch --interval 0", 2, "--interval 0");
        expect_output(world, "vm", 2, "no such command");
}

/* Runs @act in a child as another user; its exit status. */
static int as_other(struct world *world, uid_t uid, gid_t gid, gid_t extra,
                    int (*act)(struct world *world))
{
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                if (setgroups(extra == (gid_t)-1 ? 0 : 1, &extra) < 0 || setgid(gid) < 0 ||
                    setuid(uid) < 0)
                        _exit(99);
                _exit(act(world));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WEXITSTATUS(status);
}

static int ask_status(struct world *world)
{
        struct admin_client admin;
        int result = admin_connect(&admin, &world->run);

        if (result < 0)
                return result == -EACCES ? 1 : 2;
        return admin_ask(&admin, "status\n") ? 0 : 3;
}

static int ask_connection(struct world *world)
{
        struct admin_client admin;
        const struct vtd_admin_record *end;

        if (admin_connect(&admin, &world->run) < 0)
                return 2;
        end = admin_ask(&admin, "create-vm\ntenant = blue\nconnection = yes\ndevice = nic0\n");
        if (!end || admin.fd >= 0)
                return 3;
        return end->kind == VTD_ADMIN_REFUSED &&
                               strstr(vtd_admin_text(end, VTD_ADMIN_K_REASON), "handed out to root")
                       ? 0
                       : 4;
}

static void test_only_root_and_the_group_are_answered(void **state)
{
        struct world *world = *state;
        char path[128];
        struct stat status;

        if (geteuid() != 0)
                skip();
        (void)snprintf(path, sizeof(path), "%s/control.sock", world->run.directory);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0660);
        assert_int_equal(status.st_gid, GROUP_GID);
        assert_int_equal(as_other(world, STRANGER, STRANGER, (gid_t)-1, ask_status), 1);
        assert_int_equal(as_other(world, OTHER_USER, GROUP_GID, (gid_t)-1, ask_status), 0);
        assert_int_equal(as_other(world, OTHER_USER, OTHER_USER, GROUP_GID, ask_status), 0);
        /* Whatever the rights of the file are: credentials are looked at too. */
        assert_int_equal(chmod(path, 0666), 0);
        assert_int_equal(as_other(world, STRANGER, STRANGER, (gid_t)-1, ask_status), 3);
        (void)await_event(world, "control-refused", "neither root nor of the group");
        /* A member is not the tenant, and gets no connection that says it is. */
        assert_int_equal(as_other(world, OTHER_USER, OTHER_USER, GROUP_GID, ask_connection), 0);
}

/* Asks and asks, and reads nothing. */
static void test_a_slow_administrator_holds_up_nobody(void **state)
{
        const LargestIntegralType gone[] = {EPIPE, ECONNRESET};
        struct world *world = *state;
        struct admin_client slow[3], other;
        struct raw_client client;
        int64_t start;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(slow); i++) {
                assert_int_equal(admin_connect(&slow[i], &world->run), 0);
                for (unsigned asked = 0; asked < 100000; asked++)
                        if (admin_send(&slow[i], "vtd-control 1 status\n") < 0)
                                break;
        }
        start = now_ms();
        assert_int_equal(admin_connect(&other, &world->run), 0);
        for (unsigned i = 0; i < 50; i++)
                expect_done(admin_ask(&other, "status\n"));
        assert_true(tenant_connects(world, "blue", &client));
        assert_in_range(now_ms() - start, 0, 3000);
        raw_close(&client);
        /* In the end it loses the connection; what was sent is still there to be read. */
        sleep_ms(12500);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(slow); i++)
                assert_in_set(-admin_send(&slow[i], "vtd-control 1 status\n"), gone, 2);
        expect_done(admin_ask(&other, "status\n"));
        for (size_t i = 0; i < VTD_ARRAY_SIZE(slow); i++)
                admin_close(&slow[i]);
        admin_close(&other);
}

/* Connections without end: others than root leave room, and those that go make room. */
static void test_connections_are_bounded(void **state)
{
        struct world *world = *state;
        struct admin_client many[40], other;
        unsigned answered = 0;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(many); i++) {
                assert_int_equal(admin_connect(&many[i], &world->run), 0);
                answered += admin_ask(&many[i], "status\n") != NULL;
        }
        assert_in_range(answered, 20, 32);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(many); i++)
                admin_close(&many[i]);
        sleep_ms(100);
        assert_int_equal(admin_connect(&other, &world->run), 0);
        expect_done(admin_ask(&other, "status\n"));
        admin_close(&other);
}

static void test_policies_are_not_read_all_the_time(void **state)
{
        struct world *world = *state;
        const struct vtd_admin_record *end = NULL;
        int64_t start = now_ms();
        unsigned done = 0, refused = 0;

        for (unsigned i = 0; i < 20 && refused == 0; i++) {
                end = admin_ask(&world->admin, "reload\n");
                assert_non_null(end);
                if (end->kind == VTD_ADMIN_DONE)
                        done++;
                else
                        refused++;
        }
        expect_refused(end, "read just now", NULL);
        assert_in_range(done, 5, 5 + (now_ms() - start) / 1000 + 1);
}

/* In the middle of an answer, and of a removal that goes on without him. */
static void test_an_administrator_may_go_at_any_time(void **state)
{
        static const char *const requests[] = {"status\n", "tree\n", "stats\n", "reload\n",
                                               "remove-vm\ntarget = web1\n"};
        struct world *world = *state;
        struct raw_client client;
        struct vtd_reply reply;

        assert_true(connects(create(world, "name = web1\ndevice = nic0\n"), &client, &reply));
        for (size_t i = 0; i < VTD_ARRAY_SIZE(requests); i++) {
                struct admin_client admin;
                char text[128];

                (void)snprintf(text, sizeof(text), "vtd-control 1 %s", requests[i]);
                assert_int_equal(admin_connect(&admin, &world->run), 0);
                assert_int_equal(admin_send(&admin, text), 0);
                admin_close(&admin);
        }
        (void)await_event(world, "worker-ended", "\"name\":\"web1\"");
        expect_done(admin_ask(&world->admin, "status\n"));
        raw_close(&client);
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)

/* "--user UID" makes root an ordinary user first. */
static int become(const char *text)
{
        uid_t uid = (uid_t)strtoul(text, NULL, 10);

        if (geteuid() != 0)
                return 0;
        return setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                TEST(test_a_grant_is_one_vm_and_less_than_its_tenant),
                TEST(test_what_is_not_allowed_is_refused_by_its_rule),
                TEST(test_grants_count_as_vms),
                TEST(test_the_totals_count_what_was_narrowed),
                TEST(test_an_unused_grant_expires),
                TEST(test_a_connection_can_be_handed_out),
                TEST(test_remove_ends_a_vm_in_order),
                TEST(test_revoke_ends_a_vm_at_once),
                TEST(test_a_revoked_tenant_has_no_socket_until_the_policies_are_read),
                TEST(test_a_bad_policy_changes_nothing),
                TEST(test_new_policies_are_taken_as_a_whole),
                TEST(test_a_vm_keeps_its_policy_but_not_what_was_lost),
                TEST(test_all_vms_of_a_tenant_end_with_its_file_or_user),
                TEST(test_the_tree_shows_what_there_is),
                TEST(test_the_program_does_what_it_says),
                TEST(test_only_root_and_the_group_are_answered),
                TEST(test_a_slow_administrator_holds_up_nobody),
                TEST(test_connections_are_bounded),
                TEST(test_policies_are_not_read_all_the_time),
                TEST(test_an_administrator_may_go_at_any_time),
        };

        if (argc == 3 && strcmp(argv[1], "--user") == 0 && become(argv[2]) < 0)
                return 1;
        return cmocka_run_group_tests_name("administration", tests, NULL, NULL);
}
