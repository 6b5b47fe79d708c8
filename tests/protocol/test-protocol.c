/* SPDX-License-Identifier: MIT */
/*
 * Raw bytes against a real broker on the simulated host: every attack of the tables, as a named test
 * each.  With an argument, those whose name begins with it.
 */
#include "tests/protocol/attack.h"

#include <stdlib.h>
#include <string.h>

#include "shared/checked.h"

#define ATTACKS_MAX 256u

static const struct attack *const tables[] = {
        framing_attacks, body_attacks,   phase_attacks, descriptor_attacks, silent_file_attacks,
        memory_attacks,  handle_attacks, limit_attacks, pace_attacks,
};

/* cmocka hands a test's own state over through the group's: which attack is next stands here. */
struct session {
        struct world *world;
        const struct attack *attacks[ATTACKS_MAX];
        size_t next;
};

static struct session *session_of(void **state)
{
        return *state;
}

static int begin(void **state)
{
        struct session *session = session_of(state);

        world_begin(session->world);
        return 0;
}

static void run(void **state)
{
        struct session *session = session_of(state);
        const struct attack *attack = session->attacks[session->next];

        attack->run(session->world, attack);
        world_end(session->world);
}

static int end(void **state)
{
        struct session *session = session_of(state);

        raw_close(&session->world->client);
        session->next++;
        return 0;
}

static size_t collect(struct session *session, struct CMUnitTest *tests, const char *prefix)
{
        size_t count = 0;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(tables); i++) {
                for (const struct attack *attack = tables[i]; attack->name; attack++) {
                        if (strncmp(attack->name, prefix, strlen(prefix)) != 0)
                                continue;
                        if (count == ATTACKS_MAX)
                                abort();
                        session->attacks[count] = attack;
                        tests[count++] =
                                (struct CMUnitTest){attack->name, run, begin, end, session};
                }
        }
        return count;
}

int main(int argc, char **argv)
{
        static struct CMUnitTest tests[ATTACKS_MAX];
        struct session *session = calloc(1, sizeof(*session));
        void *world = NULL;
        size_t count;
        int failed;

        if (!session || world_start(&world) != 0)
                return EXIT_FAILURE;
        session->world = world;
        count = collect(session, tests, argc > 1 ? argv[1] : "");
        failed = _cmocka_run_group_tests("protocol", tests, count, NULL, NULL);
        if (count == 0 || world_stop(&world) != 0)
                failed = 1;
        free(session);
        return failed;
}
