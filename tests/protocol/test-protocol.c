/* SPDX-License-Identifier: MIT */
/*
 * Raw bytes against a real broker on the simulated host: every attack of the tables, as a named test
 * each.  With an argument, those whose name begins with it; with --streams SECONDS [SEED], random
 * conversations for so long instead.
 */
#include "tests/protocol/attack.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/checked.h"

#define ATTACKS_MAX 256u

static const struct attack *const tables[] = {
        framing_attacks,      body_attacks,   phase_attacks,  descriptor_attacks,
        silent_file_attacks,  memory_attacks, handle_attacks, limit_attacks,
        device_plane_attacks, pace_attacks,   stream_attacks,
};

struct streams {
        unsigned seconds;
        uint64_t seed;
};

/* cmocka hands a test's own state over through the group's: which attack is next stands here. */
struct session {
        struct world *world;
        const struct attack *attacks[ATTACKS_MAX];
        size_t next;
        struct streams streams;
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

static void run_streams(void **state)
{
        struct session *session = session_of(state);

        stream_for(session->world, session->streams.seconds, session->streams.seed);
}

int main(int argc, char **argv)
{
        static struct CMUnitTest tests[ATTACKS_MAX];
        struct session *session = calloc(1, sizeof(*session));
        bool streams = argc > 2 && strcmp(argv[1], "--streams") == 0;
        void *world = NULL;
        size_t count = 1;
        int failed;

        if (!session || world_start(&world) != 0)
                return EXIT_FAILURE;
        session->world = world;
        if (streams) {
                session->streams.seconds = (unsigned)strtoul(argv[2], NULL, 10);
                session->streams.seed =
                        argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL);
                tests[0] = (struct CMUnitTest){"streams", run_streams, NULL, NULL, session};
        } else {
                count = collect(session, tests, argc > 1 ? argv[1] : "");
        }
        failed = _cmocka_run_group_tests("protocol", tests, count, NULL, NULL);
        if (count == 0 || world_stop(&world) != 0)
                failed = 1;
        free(session);
        return failed;
}
