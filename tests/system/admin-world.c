/* SPDX-License-Identifier: MIT */
/* See admin-world.h. */
#include "tests/system/admin-world.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* Behind the four lines that all policies here begin with. */
const char admin_world_blue[] = "vms = 3\n"
                                "total-memory = 100MiB\n"
                                "[vm]\n"
                                "memory = 32MiB\n"
                                "devices = 2\n"
                                "first-stage-tables = 4\n"
                                "pasids = 4\n"
                                "modes = passthrough, first-stage\n"
                                "[device nic0]\n"
                                "simulated = edu-pasid\n";

const char admin_world_nic1[] = "[device nic1]\n"
                                "simulated = edu-pasid\n";

static const char red_text[] = "vms = 4\n"
                               "[vm]\n"
                               "memory = 32MiB\n"
                               "modes = passthrough\n"
                               "[device disk]\n"
                               "simulated = edu\n";

void admin_world_add_policy(struct admin_world *world, const char *tenant, unsigned uid,
                            const char *text, const char *more)
{
        char policy[1024], file[64];

        (void)snprintf(file, sizeof(file), "%s.policy", tenant);
        (void)snprintf(policy, sizeof(policy), "format = 1\n[tenant]\nname = %s\nuid = %u\n%s%s",
                       tenant, uid, text, more);
        assert_int_equal(broker_run_add_policy(&world->run, file, policy), 0);
}

void admin_world_remove_policy(struct admin_world *world, const char *file)
{
        char path[128];

        (void)snprintf(path, sizeof(path), "%s/policies/%s", world->run.directory, file);
        assert_int_equal(unlink(path), 0);
}

int admin_world_set_up(void **state)
{
        struct admin_world *world = calloc(1, sizeof(*world));
        const struct broker_run_config config = {
                .build = getenv("VTD_BUILD"),
                .host = "simulated",
                .audit_level = "refusals",
                .control = true,
                .control_group = geteuid() == 0 ? ADMIN_WORLD_GROUP : NULL,
        };

        assert_non_null(world);
        assert_non_null(config.build);
        assert_int_equal(broker_run_prepare(&world->run), 0);
        admin_world_add_policy(world, "blue", geteuid(), admin_world_blue, admin_world_nic1);
        admin_world_add_policy(world, "red", geteuid(), red_text, "");
        if (broker_run_start(&world->run, &config) < 0)
                fail_msg("%s", world->run.message);
        assert_int_equal(admin_connect(&world->admin, &world->run), 0);
        *state = world;
        return 0;
}

int admin_world_tear_down(void **state)
{
        struct admin_world *world = *state;
        int result;

        admin_close(&world->admin);
        result = broker_run_stop(&world->run);
        free(world);
        return result;
}

int64_t admin_world_now_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void admin_world_sleep_ms(long ms)
{
        const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

        (void)nanosleep(&pause, NULL);
}

/* The first audit line about @event, from *@next on, whose text contains @text. */
const char *admin_world_await_event(struct admin_world *world, const char *event, const char *text)
{
        int64_t deadline = admin_world_now_ms() + 10000;
        size_t next = 0;

        do {
                for (; next < world->run.n_lines; next++)
                        if (audit_is(world->run.lines[next], "event", event) &&
                            strstr(world->run.lines[next], text))
                                return world->run.lines[next];
                broker_run_read_audit(&world->run, 50);
        } while (admin_world_now_ms() < deadline);
        fail_msg("no event %s with \"%s\"", event, text);
        return NULL;
}

void admin_world_expect_done(const struct vtd_admin_record *end)
{
        assert_non_null(end);
        if (end->kind != VTD_ADMIN_DONE)
                fail_msg("refused: %s", vtd_admin_text(end, VTD_ADMIN_K_REASON));
}

void admin_world_expect_refused(const struct vtd_admin_record *end, const char *text,
                                const char *rule)
{
        assert_non_null(end);
        assert_int_equal(end->kind, VTD_ADMIN_REFUSED);
        if (!strstr(vtd_admin_text(end, VTD_ADMIN_K_REASON), text))
                fail_msg("refused for another reason: %s", vtd_admin_text(end, VTD_ADMIN_K_REASON));
        if (rule)
                assert_string_equal(vtd_admin_text(end, VTD_ADMIN_K_RULE), rule);
}

/* A grant of blue's with @fields behind the tenant; its socket. */
const char *admin_world_create(struct admin_world *world, const char *fields)
{
        admin_world_expect_done(admin_ask(&world->admin, "create-vm\ntenant = blue\n%s", fields));
        return vtd_admin_text(admin_find(&world->admin, VTD_ADMIN_CREATED, 0), VTD_ADMIN_K_SOCKET);
}

bool admin_world_connects(const char *path, struct raw_client *client, struct vtd_reply *reply)
{
        if (raw_connect(client, path) != 0)
                return false;
        if (raw_hello(client, reply) == RAW_ANSWERED && !reply->refused)
                return true;
        raw_close(client);
        return false;
}

bool admin_world_tenant_connects(const struct admin_world *world, const char *tenant,
                                 struct raw_client *client)
{
        struct vtd_reply reply;
        char path[128];

        broker_run_socket_path(&world->run, tenant, path, sizeof(path));
        return admin_world_connects(path, client, &reply);
}

uint64_t admin_world_plug(struct raw_client *client, const char *name, struct vtd_reply *reply)
{
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE};

        (void)snprintf(request.plug_device.name.text, sizeof(request.plug_device.name.text), "%s",
                       name);
        assert_int_equal(raw_call(client, &request, -1, reply), RAW_ANSWERED);
        return reply->refused ? 0 : reply->plug_device.device;
}

int admin_world_run(int argc, char **argv, const char *name, int (*run)(const char *name))
{
        uid_t uid = argc == 3 && strcmp(argv[1], "--user") == 0 ? (uid_t)strtoul(argv[2], NULL, 10)
                                                                : geteuid();

        if (geteuid() == 0 && uid != 0 &&
            (setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0))
                return 1;
        return run(name);
}
