/* SPDX-License-Identifier: MIT */
/*
 * How many VMs of a tenant there may be: by their number and by the totals of its policy, where each
 * VM counts with its whole limit; whose they may be; and how many may say nothing.  One too many is
 * closed without an answer and audited with the line that decides; when a VM has ended, another may
 * come.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/limits.h"
#include "tests/system/broker-run.h"
#include "tests/system/raw-client.h"

struct tenant {
        const char *name;
        const char *rule; /* which stands on line RULE_LINE */
};

/* Two VMs are possible by each total, three by their number. */
static const struct tenant tenants[] = {
        {"memory", "total-memory = 5MiB\nvms = 3"},
        {"tables", "total-first-stage-tables = 9\nvms = 3"},
        {"pasids", "total-pasids = 11\nvms = 3"},
};

/* Many VMs, of which each says nothing. */
static const struct tenant silent = {"silent", "vms = 40"};

/* Nobody has these; the uid is everybody's here. */
static const struct tenant strangers[] = {
        {"group", "gid = 4294967294"},
        {"label", "label = no:such:label"},
};

static const char policy_text[] = "format = 1\n"
                                  "[tenant]\n"
                                  "name = %s\n"
                                  "uid = %u\n"
                                  "%s\n"
                                  "[vm]\n"
                                  "memory = 2MiB\n"
                                  "first-stage-tables = 4\n"
                                  "pasids = 4\n"
                                  "modes = first-stage\n";

#define RULE_LINE 5u

static void add_policies(struct broker_run *run, const struct tenant *array, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                char text[512], file[32];

                (void)snprintf(text, sizeof(text), policy_text, array[i].name, geteuid(),
                               array[i].rule);
                (void)snprintf(file, sizeof(file), "%s.policy", array[i].name);
                assert_int_equal(broker_run_add_policy(run, file, text), 0);
        }
}

static int set_up(void **state)
{
        struct broker_run *run = calloc(1, sizeof(*run));
        struct broker_run_config config = {
                .build = getenv("VTD_BUILD"), .host = "simulated", .audit_level = "requests"};

        assert_non_null(run);
        assert_non_null(config.build);
        assert_int_equal(broker_run_prepare(run), 0);
        add_policies(run, tenants, VTD_ARRAY_SIZE(tenants));
        add_policies(run, strangers, VTD_ARRAY_SIZE(strangers));
        add_policies(run, &silent, 1);
        assert_int_equal(broker_run_start(run, &config), 0);
        *state = run;
        return 0;
}

static int tear_down(void **state)
{
        struct broker_run *run = *state;
        int result = broker_run_stop(run);

        free(run);
        return result;
}

static bool connects(const struct broker_run *run, const char *tenant, struct raw_client *client)
{
        struct vtd_reply reply;
        char path[128];

        broker_run_socket_path(run, tenant, path, sizeof(path));
        assert_int_equal(raw_connect(client, path), 0);
        if (raw_hello(client, &reply) == RAW_ANSWERED && !reply.refused)
                return true;
        raw_close(client);
        return false;
}

/* The audit line of the refusal comes from another process; @text is how its reason begins. */
static void expect_audit(struct broker_run *run, const char *tenant, const char *text)
{
        char rule[48], reason[256];

        (void)snprintf(rule, sizeof(rule), "%s.policy:%u", tenant, RULE_LINE);
        for (unsigned tries = 0; tries < 50; tries++) {
                for (size_t i = 0; i < run->n_lines; i++) {
                        if (audit_is(run->lines[i], "event", "connection-refused") &&
                            audit_is(run->lines[i], "tenant", tenant) &&
                            audit_text(run->lines[i], "text", reason, sizeof(reason)) &&
                            strncmp(reason, text, strlen(text)) == 0 &&
                            audit_is(run->lines[i], "rule", rule))
                                return;
                }
                broker_run_read_audit(run, 100);
        }
        fail_msg("no audit line about tenant %s", tenant);
}

static void test_totals_bound_the_vms(void **state)
{
        const struct timespec pause = {.tv_nsec = 10000000};
        struct broker_run *run = *state;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(tenants); i++) {
                struct raw_client first, second, third;
                bool again = false;

                assert_true(connects(run, tenants[i].name, &first));
                assert_true(connects(run, tenants[i].name, &second));
                assert_false(connects(run, tenants[i].name, &third));
                expect_audit(run, tenants[i].name, "another VM's limits");
                raw_close(&first);
                for (unsigned tries = 0; tries < 500 && !again; tries++) {
                        again = connects(run, tenants[i].name, &third);
                        if (!again)
                                (void)nanosleep(&pause, NULL);
                }
                assert_true(again);
                raw_close(&second);
                raw_close(&third);
        }
}

/* Refused before a worker is started, and the rule that decided is named. */
static void test_group_and_label_are_asked_for(void **state)
{
        struct broker_run *run = *state;
        struct raw_client client;

        assert_false(connects(run, "group", &client));
        expect_audit(run, "group", "group ");
        assert_false(connects(run, "label", &client));
        expect_audit(run, "label", "");
        for (size_t i = 0; i < run->n_lines; i++)
                assert_false(audit_is(run->lines[i], "event", "worker-started"));
}

/* The most workers of the silent tenant that there were at a time, by the audit lines so far. */
static unsigned most_silent(const struct broker_run *run)
{
        unsigned now = 0, most = 0;

        for (size_t i = 0; i < run->n_lines; i++) {
                if (!audit_is(run->lines[i], "tenant", silent.name))
                        continue;
                if (audit_is(run->lines[i], "event", "worker-started"))
                        now++;
                else if (audit_is(run->lines[i], "event", "worker-ended"))
                        now--;
                most = now > most ? now : most;
        }
        return most;
}

/* Half of the places is what one tenant gets; others come in meanwhile. */
static void test_the_silent_leave_room(void **state)
{
        struct raw_client flood[40], other;
        struct broker_run *run = *state;
        char path[128];

        broker_run_socket_path(run, silent.name, path, sizeof(path));
        for (size_t i = 0; i < VTD_ARRAY_SIZE(flood); i++)
                assert_int_equal(raw_connect(&flood[i], path), 0);
        for (unsigned tries = 0; tries < 100 && most_silent(run) < VTD_LIMIT_GREETING / 2; tries++)
                broker_run_read_audit(run, 100);
        assert_true(connects(run, "memory", &other));
        raw_close(&other);
        /* Those that were slow to start, if there are any. */
        for (unsigned turns = 0; turns < 5; turns++)
                broker_run_read_audit(run, 100);
        assert_int_equal(most_silent(run), VTD_LIMIT_GREETING / 2);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(flood); i++)
                raw_close(&flood[i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_totals_bound_the_vms, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_group_and_label_are_asked_for, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_the_silent_leave_room, set_up, tear_down),
        };

        return cmocka_run_group_tests_name("admission", tests, NULL, NULL);
}
