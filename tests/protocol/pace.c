/* SPDX-License-Identifier: MIT */
/* Too slow, too fast, too many, half closed, at the same time. */
#include "tests/protocol/attack.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "shared/checked.h"
#include "shared/cleanup.h"

static uint64_t now_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/*
 * Requests until the broker takes no more, answers not read: it stops reading, holds one answer, and
 * loses none.
 */
static void answers_not_read(struct world *world, const struct attack *attack)
{
        uint8_t record[VTD_FRAME_SIZE_MAX];
        uint32_t sent = 0;
        struct vtd_reply reply;

        (void)attack;
        assert_int_equal(fcntl(world->client.fd, F_SETFL, O_NONBLOCK), 0);
        for (unsigned idle = 0; idle < 20;) {
                size_t length = valid_record(world, record);
                int result = raw_send(&world->client, record, length, NULL, 0);

                if (result == 0) {
                        sent++;
                        idle = 0;
                        assert_true(sent < 1000000);
                        continue;
                }
                assert_int_equal(result, -EAGAIN);
                world->client.sequence--;
                idle++;
                pause_ms(5);
        }
        for (uint32_t i = world->client.sequence - sent + 1; i <= world->client.sequence; i++) {
                assert_int_equal(raw_receive(&world->client, &reply, VTD_REQUEST_GET_STATS, i),
                                 RAW_ANSWERED);
                assert_false(reply.refused);
        }
        /* It is served as ever. */
        (void)stats_of(&world->client);
}

/* Closed with answers and requests still in flight. */
static void gone_with_a_backlog(struct world *world, const struct attack *attack)
{
        uint8_t record[VTD_FRAME_SIZE_MAX];

        (void)attack;
        assert_int_equal(fcntl(world->client.fd, F_SETFL, O_NONBLOCK), 0);
        while (raw_send(&world->client, record, valid_record(world, record), NULL, 0) == 0)
                ;
        raw_close(&world->client);
        greet(world, &world->client, world->attacker);
}

/* One side shut: @a is SHUT_RD or SHUT_WR. */
static void half_closed(struct world *world, const struct attack *attack)
{
        uint8_t record[VTD_FRAME_SIZE_MAX];
        size_t length = valid_record(world, record);
        struct vtd_reply reply;

        assert_int_equal(shutdown(world->client.fd, (int)attack->a), 0);
        if (attack->a == SHUT_RD)
                (void)raw_send(&world->client, record, length, NULL, 0);
        assert_int_equal(
                raw_receive(&world->client, &reply, VTD_REQUEST_GET_STATS, world->client.sequence),
                RAW_CLOSED);
}

/* A record every 200 ms is slow, and served. */
static void requests_slowly(struct world *world, const struct attack *attack)
{
        (void)attack;
        for (unsigned i = 0; i < 5; i++) {
                (void)stats_of(&world->client);
                pause_ms(200);
        }
}

/* Two requests at once: answered one after the other. */
static void requests_at_once(struct world *world, const struct attack *attack)
{
        uint8_t record[VTD_FRAME_SIZE_MAX];
        struct vtd_reply reply;

        (void)attack;
        for (unsigned i = 0; i < 32; i++) {
                size_t length = valid_record(world, record);

                assert_int_equal(raw_send(&world->client, record, length, NULL, 0), 0);
        }
        for (uint32_t i = world->client.sequence - 31; i <= world->client.sequence; i++)
                assert_int_equal(raw_receive(&world->client, &reply, VTD_REQUEST_GET_STATS, i),
                                 RAW_ANSWERED);
}

/* As many connections as the kernel takes, none of which says anything; @a of them at least. */
static void connections(struct world *world, const struct attack *attack)
{
        struct raw_client flood[200], late = {.fd = -1};
        size_t count = 0;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(flood); i++) {
                flood[i].fd = -1;
                /* A full backlog makes connect() wait: it is the flood that is slowed down. */
                if (i < attack->a && raw_connect(&flood[i], world->attacker) == 0)
                        count++;
        }
        assert_int_equal(count, attack->a);
        /* Another tenant comes in meanwhile. */
        greet(world, &late, world->neighbour);
        (void)stats_of(&late);
        raw_close(&late);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(flood); i++)
                raw_close(&flood[i]);
        (void)stats_of(&world->client);
}

/* Connecting and going away, @a times. */
static void comings_and_goings(struct world *world, const struct attack *attack)
{
        for (uint64_t i = 0; i < attack->a; i++) {
                struct raw_client client = {.fd = -1};

                assert_int_equal(raw_connect(&client, world->attacker), 0);
                raw_close(&client);
        }
        (void)stats_of(&world->client);
}

/*
 * Full invalidations as fast as they are answered, for a second: each is answered, late and merged
 * once the rate is used up, never later than the cap.
 */
static void invalidation_storm(struct world *world, const struct attack *attack)
{
        uint64_t device = plug(&world->client, "edu0"), start, longest = 0, before, taken, all;
        struct vtd_request request = {.type = VTD_REQUEST_INVALIDATE,
                                      .invalidate = {.count = VTD_LIMIT_INVALIDATE_ENTRIES}};
        struct vtd_stats stats;
        struct vtd_reply reply;

        (void)attack;
        (void)map(&world->client, 0, MAPPING);
        request.invalidate.table = attach_first_stage(&world->client, device, 0x1000);
        for (size_t i = 0; i < VTD_LIMIT_INVALIDATE_ENTRIES; i++)
                request.invalidate.entries[i] =
                        (struct vtd_invalidate_entry){.address = i * 2 * VTD_PAGE_SIZE, .pages = 1};
        for (start = now_ms(); now_ms() - start < 1000;) {
                before = now_ms();
                expect_served(&world->client, &request, -1, &reply);
                taken = now_ms() - before;
                if (taken > longest)
                        longest = taken;
        }
        all = now_ms() - start;
        stats = stats_of(&world->client);
        assert_true(stats.delayed_us > 0);
        /* What is called a delay was one: waited for by this client, one after the other. */
        assert_true(stats.delayed_us / 1000 < 2 * all);
        /* Merged: far fewer entries than were asked for, and no more than burst and rate allow. */
        assert_true(stats.invalidate_entries <
                    stats.invalidate_requests * VTD_LIMIT_INVALIDATE_ENTRIES / 2);
        assert_true(stats.invalidate_entries < 1024 + 20000 * 2 + stats.invalidate_requests);
        assert_true(longest < VTD_LIMIT_INVALIDATE_DELAY_MS + 1000);
}

struct racer {
        struct raw_client client;
        pthread_barrier_t *barrier;
        bool plugged, busy;
};

static void *race(void *opaque)
{
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE,
                                      .plug_device = {.name = {"edu0"}}};
        struct racer *racer = opaque;
        struct vtd_reply reply;

        (void)pthread_barrier_wait(racer->barrier);
        if (raw_call(&racer->client, &request, -1, &reply) == RAW_ANSWERED) {
                racer->plugged = !reply.refused;
                racer->busy = reply.refused && reply.refusal.reason == VTD_REASON_DEVICE_BUSY;
        }
        return NULL;
}

/* Two VMs of one tenant ask for a device in the same moment: one has it, the other is told so. */
static void race_for_a_device(struct world *world, const struct attack *attack)
{
        for (uint64_t i = 0; i < attack->a; i++) {
                struct racer racers[2] = {{.client = {.fd = -1}}, {.client = {.fd = -1}}};
                pthread_barrier_t barrier;
                pthread_t threads[2];

                assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
                for (size_t j = 0; j < 2; j++) {
                        racers[j].barrier = &barrier;
                        greet(world, &racers[j].client, world->attacker);
                }
                /* That of the race before may still be closing. */
                if (i == 0)
                        pause_ms(50);
                for (size_t j = 0; j < 2; j++)
                        assert_int_equal(pthread_create(&threads[j], NULL, race, &racers[j]), 0);
                for (size_t j = 0; j < 2; j++)
                        (void)pthread_join(threads[j], NULL);
                (void)pthread_barrier_destroy(&barrier);
                assert_true(racers[0].plugged + racers[1].plugged <= 1);
                assert_int_equal(racers[0].plugged + racers[0].busy, 1);
                assert_int_equal(racers[1].plugged + racers[1].busy, 1);
                for (size_t j = 0; j < 2; j++)
                        raw_close(&racers[j].client);
                /* Whoever had it lets go of it. */
                {
                        struct raw_client next = {.fd = -1};

                        greet(world, &next, world->attacker);
                        (void)plug(&next, "edu0");
                        raw_close(&next);
                }
        }
}

const struct attack pace_attacks[] = {
        {.name = "pace: answers are not read", .run = answers_not_read},
        {.name = "pace: gone with a backlog", .run = gone_with_a_backlog},
        {.name = "pace: half closed, will not write", .run = half_closed, .a = SHUT_WR},
        {.name = "pace: half closed, will not read", .run = half_closed, .a = SHUT_RD},
        {.name = "pace: requests slowly", .run = requests_slowly},
        {.name = "pace: requests without waiting for answers", .run = requests_at_once},
        {.name = "pace: as many silent connections as the backlog takes",
         .run = connections,
         .a = 40},
        {.name = "pace: connections that go away at once", .run = comings_and_goings, .a = 60},
        {.name = "pace: an invalidation storm", .run = invalidation_storm},
        {.name = "pace: two VMs race for one device", .run = race_for_a_device, .a = 10},
        {0},
};
