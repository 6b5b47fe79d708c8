/* SPDX-License-Identifier: MIT */
/*
 * A vtd-brokerd with a control socket for the tests of that: two tenants, blue with the devices nic0 and
 * nic1, red with disk, an administrator, and as root a group of administrators.  What fails here fails
 * the test.
 */
#ifndef VTD_TESTS_ADMIN_WORLD_H
#define VTD_TESTS_ADMIN_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/system/admin-client.h"
#include "tests/system/raw-client.h"

/* The group; nobody is in it but who is put there by a test. */
#define ADMIN_WORLD_GROUP "60999"
#define ADMIN_WORLD_GID   60999

struct admin_world {
        struct broker_run run;
        struct admin_client admin;
};

/* blue's policy without nic1 and behind the four lines that all begin with; and nic1's section. */
extern const char admin_world_blue[];
extern const char admin_world_nic1[];

/* For cmocka. */
int admin_world_set_up(void **state);
int admin_world_tear_down(void **state);

/* Runs the tests with @run; with the arguments "--user UID", root becomes an ordinary user first. */
int admin_world_run(int argc, char **argv, const char *name, int (*run)(const char *name));

/* Writes, or writes over, the policy file of @tenant: the first four lines, @text and @more. */
void admin_world_add_policy(struct admin_world *world, const char *tenant, unsigned uid,
                            const char *text, const char *more);
void admin_world_remove_policy(struct admin_world *world, const char *file);

int64_t admin_world_now_ms(void);
void admin_world_sleep_ms(long ms);

/* The first audit line about @event that contains @text; waited for. */
const char *admin_world_await_event(struct admin_world *world, const char *event, const char *text);

/* What an answer must end with. */
void admin_world_expect_done(const struct vtd_admin_record *end);
void admin_world_expect_refused(const struct vtd_admin_record *end, const char *text,
                                const char *rule);

/* A grant of blue's, with @fields behind the tenant; its socket, valid until the next question. */
const char *admin_world_create(struct admin_world *world, const char *fields);

/* Connects and says Hello; false, with nothing open, if that is not answered. */
bool admin_world_connects(const char *path, struct raw_client *client, struct vtd_reply *reply);
bool admin_world_tenant_connects(const struct admin_world *world, const char *tenant,
                                 struct raw_client *client);

/* The handle of the device, or 0 with the refusal in *@reply. */
uint64_t admin_world_plug(struct raw_client *client, const char *name, struct vtd_reply *reply);

#endif
