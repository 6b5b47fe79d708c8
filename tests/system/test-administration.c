/* SPDX-License-Identifier: MIT */
/*
 * A real vtd-brokerd and its control socket: grants, what runs, revoking, reading the policies again.
 * As root and as an ordinary user.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "tests/system/admin-world.h"

#define MIB UINT64_C(0x100000)

static const char small_text[] = "[vm]\n"
                                 "memory = 4MiB\n"
                                 "modes = passthrough\n"
                                 "[device tap]\n"
                                 "simulated = edu\n";

/* Number of the only VM that runs. */
static uint64_t only_vm(struct admin_world *world)
{
        admin_world_expect_done(admin_ask(&world->admin, "status\n"));
        assert_null(admin_find(&world->admin, VTD_ADMIN_VM, 1));
        assert_non_null(admin_find(&world->admin, VTD_ADMIN_VM, 0));
        return vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_VM, 0), VTD_ADMIN_K_VM, 0);
}

static uint64_t count_vms(struct admin_world *world)
{
        admin_world_expect_done(admin_ask(&world->admin, "status\n"));
        return vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_BROKER, 0), VTD_ADMIN_K_VMS,
                                99);
}

static void test_a_grant_is_one_vm_and_less_than_its_tenant(void **state)
{
        struct admin_world *world = *state;
        struct raw_client client, second;
        struct vtd_reply reply;
        char path[256];

        (void)snprintf(
                path, sizeof(path), "%s",
                admin_world_create(world,
                                   "name = web1\ndevice = nic1\nmemory = 4194304\npasids = 1\n"));
        assert_non_null(strstr(path, "/sockets/blue+web1.sock"));
        (void)admin_world_await_event(world, "grant-created", "\"name\":\"web1\"");
        assert_true(admin_world_connects(path, &client, &reply));
        assert_int_equal(reply.hello.memory, 4 * MIB);
        assert_int_equal(reply.hello.pasids, 1);
        assert_int_equal(reply.hello.first_stage_tables, 4);
        assert_int_equal(admin_world_plug(&client, "nic0", &reply), 0);
        assert_int_equal(reply.refusal.reason, VTD_REASON_DEVICE_NOT_GRANTED);
        assert_int_not_equal(admin_world_plug(&client, "nic1", &reply), 0);
        /* Only this one, and the name is taken. */
        assert_false(admin_world_connects(path, &second, &reply));
        assert_int_equal(access(path, F_OK), -1);
        admin_world_expect_refused(
                admin_ask(&world->admin, "create-vm\ntenant = blue\nname = web1\ndevice = nic0\n"),
                "there is a VM web1 already", NULL);
        (void)admin_world_await_event(world, "device-opened", "\"name\":\"web1\"");
        raw_close(&client);
        (void)admin_world_await_event(world, "worker-ended", "\"name\":\"web1\"");
}

static void test_what_is_not_allowed_is_refused_by_its_rule(void **state)
{
        struct admin_world *world = *state;
        struct admin_client *admin = &world->admin;

        admin_world_expect_refused(admin_ask(admin, "create-vm\ntenant = green\ndevice = nic0\n"),
                                   "no such tenant", NULL);
        admin_world_expect_refused(admin_ask(admin, "create-vm\ntenant = blue\ndevice = disk\n"),
                                   "grants no device disk", "blue.policy:2");
        admin_world_expect_refused(
                admin_ask(admin, "create-vm\ntenant = blue\nuid = 77\ndevice = nic0\n"),
                "user 77 asked", "blue.policy:4");
        admin_world_expect_refused(
                admin_ask(admin, "create-vm\ntenant = blue\ndevice = nic0\nmemory = 67108864\n"),
                "memory 67108864 asked", "blue.policy:8");
        admin_world_expect_refused(
                admin_ask(admin, "create-vm\ntenant = blue\nexpires = 0\ndevice = nic0\n"),
                "expires 0 asked", NULL);
        admin_world_expect_refused(
                admin_ask(admin, "create-vm\ntenant = blue\nexpires = 86401\ndevice = nic0\n"),
                "expires 86401 asked", NULL);
        admin_world_expect_refused(admin_ask(admin, "remove-vm\ntarget = web9\n"), "no such VM",
                                   NULL);
        admin_world_expect_refused(admin_ask(admin, "revoke-vm\ntarget = 17\nreason = x\n"),
                                   "no such VM", NULL);
        admin_world_expect_refused(admin_ask(admin, "tree\ntarget = 4294967297\n"), "no such VM",
                                   NULL);
        admin_world_expect_refused(admin_ask(admin, "created\n"),
                                   "line 1: after it tenant is needed", NULL);
        admin_world_expect_refused(admin_ask(admin, "done\n"), "is no request", NULL);
        admin_world_expect_refused(admin_ask(admin, "status\nverbose = yes\n"), "line 2: no key",
                                   NULL);
        admin_world_expect_done(admin_ask(admin, "status\n"));
        assert_null(admin_find(admin, VTD_ADMIN_GRANT, 0));
}

/* Three VMs at most, and 100 MiB at most for them, whichever way they come in. */
static void test_grants_count_as_vms(void **state)
{
        struct admin_world *world = *state;
        struct raw_client first, second;

        assert_true(admin_world_tenant_connects(world, "blue", &first));
        (void)admin_world_create(world, "name = a\ndevice = nic0\n");
        (void)admin_world_create(world, "name = b\ndevice = nic0\n");
        admin_world_expect_refused(
                admin_ask(&world->admin, "create-vm\ntenant = blue\ndevice = nic0\n"),
                "as many VMs as it may", "blue.policy:5");
        assert_false(admin_world_tenant_connects(world, "blue", &second));
        admin_world_expect_done(admin_ask(&world->admin, "remove-vm\ntarget = a\n"));
        assert_true(admin_world_tenant_connects(world, "blue", &second));
        raw_close(&first);
        raw_close(&second);
        admin_world_expect_done(admin_ask(&world->admin, "status\n"));
        assert_string_equal(
                vtd_admin_text(admin_find(&world->admin, VTD_ADMIN_GRANT, 0), VTD_ADMIN_K_NAME),
                "b");
}

static void test_the_totals_count_what_was_narrowed(void **state)
{
        struct admin_world *world = *state;

        admin_world_add_policy(
                world, "blue", geteuid(),
                "vms = 9\ntotal-memory = 40MiB\n"
                "[vm]\nmemory = 32MiB\nmodes = passthrough\n[device nic0]\nsimulated = edu\n",
                "");
        admin_world_expect_done(admin_ask(&world->admin, "reload\n"));
        (void)admin_world_create(world, "device = nic0\n");
        admin_world_expect_refused(
                admin_ask(&world->admin, "create-vm\ntenant = blue\ndevice = nic0\n"),
                "would be exceeded", "blue.policy:6");
        (void)admin_world_create(world, "device = nic0\nmemory = 8388608\n");
        admin_world_expect_refused(
                admin_ask(&world->admin,
                          "create-vm\ntenant = blue\ndevice = nic0\nmemory = 4096\n"),
                "would be exceeded", "blue.policy:6");
        admin_world_expect_done(admin_ask(&world->admin, "status\n"));
        assert_int_equal(vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_TENANT, 0),
                                          VTD_ADMIN_K_MEMORY, 0),
                         40 * MIB);
}

static void test_an_unused_grant_expires(void **state)
{
        struct admin_world *world = *state;
        char path[256];

        (void)snprintf(path, sizeof(path), "%s",
                       admin_world_create(world, "name = late\nexpires = 3\ndevice = nic0\n"));
        assert_int_equal(access(path, F_OK), 0);
        (void)admin_world_await_event(world, "grant-ended", "it was not used in time");
        admin_world_expect_done(admin_ask(&world->admin, "status\n"));
        assert_int_equal(access(path, F_OK), -1);
        assert_null(admin_find(&world->admin, VTD_ADMIN_GRANT, 0));
        assert_int_equal(vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_TENANT, 0),
                                          VTD_ADMIN_K_VMS, 9),
                         0);
}

static void test_a_connection_can_be_handed_out(void **state)
{
        struct admin_world *world = *state;
        struct raw_client client = {.fd = -1};
        struct vtd_reply reply;
        char path[256];

        (void)snprintf(path, sizeof(path), "%s",
                       admin_world_create(world, "name = fd\nconnection = yes\ndevice = nic0\n"));
        assert_true(world->admin.fd >= 0);
        assert_int_equal(count_vms(world), 0); /* it has said nothing yet */
        (void)admin_world_create(world, "name = gone\nconnection = yes\ndevice = nic0\n");
        client.fd = fcntl(world->admin.fd, F_DUPFD_CLOEXEC, 3);
        world->admin.fd = vtd_close(world->admin.fd);
        raw_close(&client); /* closed unused: its grant waits on */
        admin_world_expect_done(admin_ask(&world->admin, "status\n"));
        assert_non_null(admin_find(&world->admin, VTD_ADMIN_GRANT, 0));
        admin_world_expect_done(admin_ask(&world->admin, "remove-vm\ntarget = fd\n"));

        (void)admin_world_create(world, "name = fd\nconnection = yes\ndevice = nic0\n");
        client.fd = VTD_TAKE_FD(world->admin.fd);
        assert_int_equal(fcntl(client.fd, F_GETFL) & O_NONBLOCK, 0);
        assert_int_equal(raw_hello(&client, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        assert_int_not_equal(admin_world_plug(&client, "nic0", &reply), 0);
        (void)admin_world_await_event(world, "worker-started", "that was handed out");
        assert_int_equal(access(path, F_OK), -1);
        raw_close(&client);
        assert_true(admin_world_connects(admin_world_create(world, "name = path\ndevice = nic1\n"),
                                         &client, &reply));
        raw_close(&client);
}

/* In the order of the invariant, and answered when all is over. */
static void test_remove_ends_a_vm_in_order(void **state)
{
        static const char *const events[] = {"vm-removed",    "drained",  "blocked",
                                             "device-closed", "released", "worker-ended"};
        struct admin_world *world = *state;
        struct raw_client client;
        struct vtd_reply reply;
        size_t next = 0;

        assert_true(admin_world_connects(admin_world_create(world, "name = web1\ndevice = nic0\n"),
                                         &client, &reply));
        assert_int_not_equal(admin_world_plug(&client, "nic0", &reply), 0);
        admin_world_expect_done(admin_ask(&world->admin, "remove-vm\ntarget = web1\n"));
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
        struct admin_world *world = *state;
        struct raw_client client;
        struct vtd_reply reply;
        char text[64];

        assert_true(admin_world_tenant_connects(world, "blue", &client));
        assert_int_not_equal(admin_world_plug(&client, "nic0", &reply), 0);
        admin_world_expect_done(admin_ask(&world->admin,
                                          "revoke-vm\ntarget = %u\nreason = it \"mines\"\n",
                                          (unsigned)only_vm(world)));
        assert_int_equal(vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_REVOKED, 0),
                                          VTD_ADMIN_K_VMS, 0),
                         1);
        (void)snprintf(text, sizeof(text), "by user %u: it \\u0022mines\\u0022", geteuid());
        (void)admin_world_await_event(world, "vm-revoked", text);
        (void)admin_world_await_event(world, "worker-ended", "killed: by user");
        (void)admin_world_await_event(world, "device-closed", "nic0");
        assert_int_equal(raw_hello(&client, &reply), RAW_CLOSED);
        raw_close(&client);
        /* The tenant may have another. */
        assert_true(admin_world_tenant_connects(world, "blue", &client));
        raw_close(&client);
}

static void test_a_revoked_tenant_has_no_socket_until_the_policies_are_read(void **state)
{
        struct admin_world *world = *state;
        struct raw_client client, other, late;
        const struct vtd_admin_record *answer;

        assert_true(admin_world_tenant_connects(world, "blue", &client));
        assert_true(admin_world_tenant_connects(world, "red", &other));
        (void)admin_world_create(world, "name = waits\ndevice = nic0\n");
        admin_world_expect_done(
                admin_ask(&world->admin, "revoke-tenant\ntenant = blue\nreason = unpaid\n"));
        answer = admin_find(&world->admin, VTD_ADMIN_REVOKED, 0);
        assert_int_equal(vtd_admin_number(answer, VTD_ADMIN_K_VMS, 0), 1);
        assert_int_equal(vtd_admin_number(answer, VTD_ADMIN_K_GRANTS, 0), 1);
        (void)admin_world_await_event(world, "tenant-revoked", "unpaid");
        (void)admin_world_await_event(world, "grant-revoked", "unpaid");
        (void)admin_world_await_event(world, "worker-ended", "unpaid");
        assert_false(admin_world_tenant_connects(world, "blue", &late));
        admin_world_expect_refused(
                admin_ask(&world->admin, "create-vm\ntenant = blue\ndevice = nic0\n"),
                "the tenant is revoked", NULL);
        (void)only_vm(world); /* red's */
        admin_world_expect_done(admin_ask(&world->admin, "reload\n"));
        assert_true(admin_world_tenant_connects(world, "blue", &late));
        raw_close(&client);
        raw_close(&other);
        raw_close(&late);
}

/* One of the notes of the last answer. */
static void expect_note(const struct admin_world *world, const char *text)
{
        const struct vtd_admin_record *note;

        for (size_t i = 0; (note = admin_find(&world->admin, VTD_ADMIN_NOTE, i)); i++)
                if (strstr(vtd_admin_text(note, VTD_ADMIN_K_TEXT), text))
                        return;
        fail_msg("no note \"%s\"", text);
}

static void test_a_bad_policy_changes_nothing(void **state)
{
        struct admin_world *world = *state;
        struct raw_client client, again;

        assert_true(admin_world_tenant_connects(world, "red", &client));
        admin_world_remove_policy(world, "red.policy");
        assert_int_equal(broker_run_add_policy(&world->run, "green.policy",
                                               "format = 1\n[tenant]\nname = green\n"),
                         0);
        admin_world_expect_refused(admin_ask(&world->admin, "reload\n"), "all stay as they were",
                                   NULL);
        expect_note(world, "green.policy:2:1: [tenant] lacks the key \"uid\"");
        (void)admin_world_await_event(world, "policies-refused", "");
        assert_true(admin_world_tenant_connects(world, "red", &again));
        admin_world_expect_done(admin_ask(&world->admin, "status\n"));
        assert_non_null(admin_find(&world->admin, VTD_ADMIN_TENANT, 1));
        assert_null(admin_find(&world->admin, VTD_ADMIN_TENANT, 2));
        assert_int_equal(vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_BROKER, 0),
                                          VTD_ADMIN_K_RELOADS_REFUSED, 0),
                         1);
        raw_close(&client);
        raw_close(&again);
}

/* Good policies, but a socket is in the way: what was done until then is undone. */
static void test_a_socket_that_cannot_be_made_changes_nothing(void **state)
{
        struct admin_world *world = *state;
        struct raw_client client;
        char path[128], blue[128];
        struct stat status;
        FILE *file;

        broker_run_socket_path(&world->run, "green", path, sizeof(path));
        broker_run_socket_path(&world->run, "blue", blue, sizeof(blue));
        file = fopen(path, "we");
        assert_non_null(file);
        (void)fclose(file);
        admin_world_remove_policy(world, "red.policy");
        admin_world_add_policy(world, "blue", geteuid() + 1, admin_world_blue, "");
        admin_world_add_policy(world, "amber", geteuid(), small_text, "");
        admin_world_add_policy(world, "green", geteuid(), small_text, "");
        admin_world_expect_refused(admin_ask(&world->admin, "reload\n"), "all stay as they were",
                                   NULL);
        expect_note(world, "green.sock: exists and is no socket");
        assert_int_equal(stat(blue, &status), 0);
        assert_int_equal(status.st_uid, geteuid());
        assert_true(admin_world_tenant_connects(world, "blue", &client));
        raw_close(&client);
        assert_true(admin_world_tenant_connects(world, "red", &client));
        raw_close(&client);
        assert_false(admin_world_tenant_connects(world, "amber", &client));
        /* Out of the way, all of it is taken. */
        assert_int_equal(unlink(path), 0);
        admin_world_expect_done(admin_ask(&world->admin, "reload\n"));
        assert_int_equal(stat(blue, &status), 0);
        if (geteuid() == 0)
                assert_int_equal(status.st_uid, geteuid() + 1);
        assert_int_equal(stat(path, &status), 0);
}

/* What the service manager is told next. */
static void expect_notification(struct admin_world *world, const char *text)
{
        char told[128] = "";

        assert_in_range(recv(world->run.notify_fd, told, sizeof(told) - 1, 0), 1, sizeof(told));
        if (strncmp(told, text, strlen(text)) != 0)
                fail_msg("told \"%s\" instead of \"%s\"", told, text);
}

/* The same by SIGHUP. */
static void test_new_policies_are_taken_as_a_whole(void **state)
{
        struct admin_world *world = *state;
        struct raw_client client, other;

        assert_true(admin_world_tenant_connects(world, "blue", &client));
        admin_world_remove_policy(world, "red.policy");
        admin_world_add_policy(world, "green", geteuid(), small_text, "");
        assert_int_equal(kill(world->run.pid, SIGHUP), 0);
        (void)admin_world_await_event(world, "policies-reloaded", "tenants 2, of these new 1");
        expect_notification(world, "RELOADING=1\nMONOTONIC_USEC=");
        expect_notification(world, "READY=1");
        assert_false(admin_world_tenant_connects(world, "red", &other));
        assert_true(admin_world_tenant_connects(world, "green", &other));
        raw_close(&other);
        assert_int_equal(count_vms(world) >= 1, 1); /* blue's goes on */
        raw_close(&client);
}

static void test_a_vm_keeps_its_policy_but_not_what_was_lost(void **state)
{
        struct admin_world *world = *state;
        struct raw_client holds, idle;
        struct vtd_reply reply;

        assert_true(admin_world_tenant_connects(world, "blue", &holds));
        assert_int_not_equal(admin_world_plug(&holds, "nic1", &reply), 0);
        assert_true(admin_world_tenant_connects(world, "blue", &idle));
        (void)admin_world_create(world, "name = waits\ndevice = nic1\n");
        admin_world_add_policy(world, "blue", geteuid(), admin_world_blue, ""); /* without nic1 */
        admin_world_expect_done(admin_ask(&world->admin, "reload\n"));
        assert_int_equal(vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_RELOADED, 0),
                                          VTD_ADMIN_K_VMS, 0),
                         1);
        assert_int_equal(vtd_admin_number(admin_find(&world->admin, VTD_ADMIN_RELOADED, 0),
                                          VTD_ADMIN_K_GRANTS, 0),
                         1);
        (void)admin_world_await_event(world, "worker-ended",
                                      "a device that its tenant's policy grants no more");
        (void)admin_world_await_event(world, "device-closed", "nic1");
        (void)admin_world_await_event(world, "grant-ended", "grants no device nic1");
        assert_int_equal(admin_world_plug(&idle, "nic1", &reply), 0);
        assert_int_equal(reply.refusal.reason, VTD_REASON_HOST_DEVICE);
        (void)admin_world_await_event(world, "device-refused", "grants it no more");
        assert_int_not_equal(admin_world_plug(&idle, "nic0", &reply), 0);
        /* Granted again, it can be had again. */
        admin_world_add_policy(world, "blue", geteuid(), admin_world_blue, admin_world_nic1);
        admin_world_expect_done(admin_ask(&world->admin, "reload\n"));
        assert_int_not_equal(admin_world_plug(&idle, "nic1", &reply), 0);
        raw_close(&holds);
        raw_close(&idle);
}

static void test_all_vms_of_a_tenant_end_with_its_file_or_user(void **state)
{
        struct admin_world *world = *state;
        struct raw_client blue, red;

        assert_true(admin_world_tenant_connects(world, "blue", &blue));
        assert_true(admin_world_tenant_connects(world, "red", &red));
        admin_world_remove_policy(world, "red.policy");
        admin_world_add_policy(world, "blue", geteuid() + 1, admin_world_blue, admin_world_nic1);
        admin_world_expect_done(admin_ask(&world->admin, "reload\n"));
        (void)admin_world_await_event(world, "worker-ended", "its tenant has no policy any more");
        (void)admin_world_await_event(world, "worker-ended",
                                      "its tenant's policy names another user");
        assert_false(admin_world_tenant_connects(world, "blue", &blue));
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

static void expect_output(struct admin_world *world, const char *command, int status,
                          const char *text)
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
        struct admin_world *world = *state;
        struct raw_client client;
        const struct vtd_admin_record *ioas, *second, *first;
        struct vtd_reply reply;
        uint64_t nic0, nic1;

        assert_true(admin_world_connects(
                admin_world_create(world, "name = web1\ndevice = nic0\ndevice = nic1\n"), &client,
                &reply));
        nic0 = admin_world_plug(&client, "nic0", &reply);
        nic1 = admin_world_plug(&client, "nic1", &reply);
        map_memory(&client, 4 * MIB);
        attach(&client, nic0, VTD_NO_PASID, VTD_ATTACH_PASSTHROUGH, 0);
        attach(&client, nic0, 5, VTD_ATTACH_FIRST_STAGE, 0x3000);
        attach(&client, nic1, 5, VTD_ATTACH_FIRST_STAGE, 0x3000);
        admin_world_expect_done(admin_ask(&world->admin, "tree\ntarget = web1\n"));
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
        struct admin_world *world = *state;

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

#define TEST(name_)                                                                                \
        cmocka_unit_test_setup_teardown(name_, admin_world_set_up, admin_world_tear_down)

static int run(const char *name)
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
                TEST(test_a_socket_that_cannot_be_made_changes_nothing),
                TEST(test_new_policies_are_taken_as_a_whole),
                TEST(test_a_vm_keeps_its_policy_but_not_what_was_lost),
                TEST(test_all_vms_of_a_tenant_end_with_its_file_or_user),
                TEST(test_the_tree_shows_what_there_is),
                TEST(test_the_program_does_what_it_says),
        };

        return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(int argc, char **argv)
{
        return admin_world_run(argc, argv, "administration", run);
}
