/* SPDX-License-Identifier: MIT */
/*
 * Who may use the control socket of a real vtd-brokerd, and administrators who behave badly.  As root
 * and as an ordinary user.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/record.h"
#include "tests/system/admin-world.h"

#define STRANGER   60998
#define OTHER_USER 60997

/* Runs @act in a child as another user; its exit status. */
static int as_other(struct admin_world *world, uid_t uid, gid_t gid, gid_t extra,
                    int (*act)(struct admin_world *world))
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

static int ask_status(struct admin_world *world)
{
        struct admin_client admin;
        int result = admin_connect(&admin, &world->run);

        if (result < 0)
                return result == -EACCES ? 1 : 2;
        return admin_ask(&admin, "status\n") ? 0 : 3;
}

static int ask_connection(struct admin_world *world)
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
        struct admin_world *world = *state;
        char path[128];
        struct stat status;

        (void)snprintf(path, sizeof(path), "%s/control.sock", world->run.directory);
        assert_int_equal(stat(path, &status), 0);
        if (geteuid() != 0) {
                assert_int_equal(status.st_mode & 07777, 0600); /* no group: for this user alone */
                return;
        }
        assert_int_equal(status.st_mode & 07777, 0660);
        assert_int_equal(status.st_gid, ADMIN_WORLD_GID);
        assert_int_equal(as_other(world, STRANGER, STRANGER, (gid_t)-1, ask_status), 1);
        assert_int_equal(as_other(world, OTHER_USER, ADMIN_WORLD_GID, (gid_t)-1, ask_status), 0);
        assert_int_equal(as_other(world, OTHER_USER, OTHER_USER, ADMIN_WORLD_GID, ask_status), 0);
        /* Whatever the rights of the file are: credentials are looked at too. */
        assert_int_equal(chmod(path, 0666), 0);
        assert_int_equal(as_other(world, STRANGER, STRANGER, (gid_t)-1, ask_status), 3);
        (void)admin_world_await_event(world, "control-refused", "neither root nor of the group");
        /* A member is not the tenant, and gets no connection that says it is. */
        assert_int_equal(as_other(world, OTHER_USER, OTHER_USER, ADMIN_WORLD_GID, ask_connection),
                         0);
}

/* Asks and asks, and reads nothing. */
static void test_a_slow_administrator_holds_up_nobody(void **state)
{
        const LargestIntegralType gone[] = {EPIPE, ECONNRESET};
        struct admin_world *world = *state;
        struct admin_client slow[3], other;
        struct raw_client client;
        int64_t start;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(slow); i++) {
                assert_int_equal(admin_connect(&slow[i], &world->run), 0);
                for (unsigned asked = 0; asked < 100000; asked++)
                        if (admin_send(&slow[i], "vtd-control 1 status\n") < 0)
                                break;
        }
        start = admin_world_now_ms();
        assert_int_equal(admin_connect(&other, &world->run), 0);
        for (unsigned i = 0; i < 50; i++)
                admin_world_expect_done(admin_ask(&other, "status\n"));
        assert_true(admin_world_tenant_connects(world, "blue", &client));
        assert_in_range(admin_world_now_ms() - start, 0, 8000);
        raw_close(&client);
        /* In the end it loses the connection; what was sent is still there to be read. */
        admin_world_sleep_ms(12500);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(slow); i++)
                assert_in_set(-admin_send(&slow[i], "vtd-control 1 status\n"), gone, 2);
        admin_world_expect_done(admin_ask(&other, "status\n"));
        for (size_t i = 0; i < VTD_ARRAY_SIZE(slow); i++)
                admin_close(&slow[i]);
        admin_close(&other);
}

/* Whoever sends what is no record is answered or cut off, and nobody else notices. */
static void test_what_is_no_record_is_refused_or_ends_the_connection(void **state)
{
        static char longest[VTD_ADMIN_RECORD_MAX + 1];
        struct admin_world *world = *state;
        struct admin_client admin;
        int sent;

        assert_int_equal(admin_connect(&admin, &world->run), 0);
        memset(longest, 'a', sizeof(longest) - 1);
        assert_int_equal(admin_send(&admin, longest), 0);
        admin_world_expect_refused(admin_receive(&admin), "not \"vtd-control 1", NULL);
        assert_int_equal(send(admin.socket, "\0\xff", 2, MSG_NOSIGNAL), 2);
        admin_world_expect_refused(admin_receive(&admin), "a byte is 0", NULL);
        admin_world_expect_done(admin_ask(&admin, "status\n"));
        assert_int_equal(send(admin.socket, longest, sizeof(longest), MSG_NOSIGNAL),
                         (ssize_t)sizeof(longest));
        assert_null(admin_receive(&admin));
        admin_close(&admin);

        /* Kernels from 6.16 on do not let descriptors in. */
        assert_int_equal(admin_connect(&admin, &world->run), 0);
        sent = vtd_record_send(admin.socket, "vtd-control 1 status\n", 21, STDIN_FILENO);
        if (sent == 0)
                assert_null(admin_receive(&admin));
        else
                assert_int_equal(sent, -EPERM);
        admin_close(&admin);
        admin_world_expect_done(admin_ask(&world->admin, "status\n"));
}

/* Connections without end: others than root leave room, and those that go make room. */
static void test_connections_are_bounded(void **state)
{
        struct admin_world *world = *state;
        struct admin_client many[40], other;
        unsigned answered = 0;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(many); i++) {
                assert_int_equal(admin_connect(&many[i], &world->run), 0);
                answered += admin_ask(&many[i], "status\n") != NULL;
        }
        assert_in_range(answered, 20, 32);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(many); i++)
                admin_close(&many[i]);
        admin_world_sleep_ms(100);
        assert_int_equal(admin_connect(&other, &world->run), 0);
        admin_world_expect_done(admin_ask(&other, "status\n"));
        admin_close(&other);
}

static void test_policies_are_not_read_all_the_time(void **state)
{
        struct admin_world *world = *state;
        const struct vtd_admin_record *end = NULL;
        int64_t start = admin_world_now_ms();
        unsigned done = 0, refused = 0;

        for (unsigned i = 0; i < 20 && refused == 0; i++) {
                end = admin_ask(&world->admin, "reload\n");
                assert_non_null(end);
                if (end->kind == VTD_ADMIN_DONE)
                        done++;
                else
                        refused++;
        }
        admin_world_expect_refused(end, "read just now", NULL);
        assert_in_range(done, 5, 5 + (admin_world_now_ms() - start) / 1000 + 1);
}

/* In the middle of an answer, and of a removal that goes on without him. */
static void test_an_administrator_may_go_at_any_time(void **state)
{
        static const char *const requests[] = {"status\n", "tree\n", "stats\n", "reload\n",
                                               "remove-vm\ntarget = web1\n"};
        struct admin_world *world = *state;
        struct raw_client client;
        struct vtd_reply reply;

        assert_true(admin_world_connects(admin_world_create(world, "name = web1\ndevice = nic0\n"),
                                         &client, &reply));
        for (size_t i = 0; i < VTD_ARRAY_SIZE(requests); i++) {
                struct admin_client admin;
                char text[128];

                (void)snprintf(text, sizeof(text), "vtd-control 1 %s", requests[i]);
                assert_int_equal(admin_connect(&admin, &world->run), 0);
                assert_int_equal(admin_send(&admin, text), 0);
                admin_close(&admin);
        }
        (void)admin_world_await_event(world, "worker-ended", "\"name\":\"web1\"");
        admin_world_expect_done(admin_ask(&world->admin, "status\n"));
        raw_close(&client);
}

#define TEST(name_)                                                                                \
        cmocka_unit_test_setup_teardown(name_, admin_world_set_up, admin_world_tear_down)

static int run(const char *name)
{
        const struct CMUnitTest tests[] = {
                TEST(test_only_root_and_the_group_are_answered),
                TEST(test_a_slow_administrator_holds_up_nobody),
                TEST(test_what_is_no_record_is_refused_or_ends_the_connection),
                TEST(test_connections_are_bounded),
                TEST(test_policies_are_not_read_all_the_time),
                TEST(test_an_administrator_may_go_at_any_time),
        };

        return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(int argc, char **argv)
{
        return admin_world_run(argc, argv, "administrators", run);
}
