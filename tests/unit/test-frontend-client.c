/* SPDX-License-Identifier: MIT */
/* The client over a real socket pair, with a broker that the test plays by hand. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frontend/frontend-internal.h"
#include "protos/codec.h"
#include "shared/cleanup.h"
#include "shared/record.h"

struct peer {
        struct vtd_backend *client;
        int fd; /* the broker's end */
        struct vtd_codec codec;
        uint8_t record[VTD_FRAME_SIZE_MAX];
};

static int setup(void **state)
{
        struct peer *peer = calloc(1, sizeof(*peer));
        int pair[2];

        assert_non_null(peer);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(vtd_record_adopt(pair[0]), 0);
        assert_int_equal(vtd_record_adopt(pair[1]), 0);
        assert_int_equal(vtd_client_new(&peer->client, pair[0], NULL), 0);
        peer->fd = pair[1];
        *state = peer;
        return 0;
}

static int teardown(void **state)
{
        struct peer *peer = *state;

        peer->client = peer->client->ops->free(peer->client);
        peer->fd = vtd_close(peer->fd);
        free(peer);
        return 0;
}

static int submit(struct peer *peer, struct vtd_request *request, int fd)
{
        return peer->client->ops->submit(peer->client, request, fd);
}

static int collect(struct peer *peer, struct vtd_reply *reply, int timeout_ms)
{
        return peer->client->ops->collect(peer->client, reply, timeout_ms);
}

/* Takes the client's request; returns how many descriptors came along. */
static size_t take_request(struct peer *peer, struct vtd_request *request)
{
        struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        size_t length, count;

        assert_int_equal(
                vtd_record_receive(peer->fd, peer->record, sizeof(peer->record), &length, &fds), 0);
        count = fds.count;
        vtd_fd_list_deinit(&fds);
        assert_int_equal(
                vtd_codec_decode_request(&peer->codec, request, peer->record, length, count), 0);
        return count;
}

static void send_reply(struct peer *peer, const struct vtd_reply *reply, int fd)
{
        size_t length;

        assert_int_equal(vtd_codec_encode_reply(reply, peer->record, &length), 0);
        assert_int_equal(vtd_record_send(peer->fd, peer->record, length, fd), 0);
}

static void test_a_request_and_its_answer_travel(void **state)
{
        struct peer *peer = *state;
        struct vtd_request request = {.type = VTD_REQUEST_UNMAP_MEMORY, .unmap_memory = {7}}, seen;
        struct vtd_reply reply;

        assert_int_equal(submit(peer, &request, -1), 0);
        assert_int_equal(request.sequence, 1);
        assert_int_equal(collect(peer, &reply, 0), VTD_BACKEND_E_AGAIN);
        assert_int_equal(collect(peer, &reply, 1), VTD_BACKEND_E_AGAIN);
        assert_int_equal(take_request(peer, &seen), 0);
        assert_int_equal(seen.type, VTD_REQUEST_UNMAP_MEMORY);
        assert_int_equal(seen.sequence, 1);
        assert_int_equal(seen.unmap_memory.mapping, 7);
        reply = (struct vtd_reply){
                .type = VTD_REQUEST_UNMAP_MEMORY,
                .sequence = 1,
                .refused = true,
                .refusal = {.status = VTD_STATUS_NOT_FOUND, .reason = VTD_REASON_MAPPING_HANDLE}};
        send_reply(peer, &reply, -1);
        memset(&reply, 0, sizeof(reply));
        assert_int_equal(collect(peer, &reply, 1000), 0);
        assert_true(reply.refused);
        assert_int_equal(reply.refusal.reason, VTD_REASON_MAPPING_HANDLE);
        assert_int_equal(submit(peer, &request, -1), 0);
        assert_int_equal(request.sequence, 2);
}

static void test_a_descriptor_goes_along_and_stays_the_caller_s(void **state)
{
        struct peer *peer = *state;
        struct vtd_request request = {.type = VTD_REQUEST_MAP_MEMORY, .map_memory = {0, 4096, 0}};
        struct vtd_request seen;

        assert_int_equal(submit(peer, &request, STDERR_FILENO), 0);
        assert_int_equal(take_request(peer, &seen), 1);
        assert_true(fcntl(STDERR_FILENO, F_GETFD) >= 0);
}

static void test_a_peer_that_hangs_up_is_lost(void **state)
{
        struct peer *peer = *state;
        struct vtd_request request = {.type = VTD_REQUEST_UNMAP_MEMORY, .unmap_memory = {7}};
        struct vtd_reply reply;

        assert_int_equal(collect(peer, &reply, 0), VTD_BACKEND_E_AGAIN);
        peer->fd = vtd_close(peer->fd);
        assert_int_equal(collect(peer, &reply, 0), VTD_BACKEND_E_LOST);
        assert_int_equal(submit(peer, &request, -1), VTD_BACKEND_E_LOST);
}

static void test_answers_that_nobody_asked_for_are_lost(void **state)
{
        const struct vtd_reply answer = {.type = VTD_REQUEST_UNMAP_MEMORY, .sequence = 1};
        struct peer *peer = *state;
        struct vtd_reply reply;

        send_reply(peer, &answer, -1);
        assert_int_equal(collect(peer, &reply, 0), VTD_BACKEND_E_LOST);
}

/* Another type, another sequence, a descriptor, and no record at all. */
static void test_answers_that_do_not_fit_are_lost(void **state)
{
        for (unsigned i = 0; i < 4; i++) {
                struct vtd_reply answer = {.type = VTD_REQUEST_UNMAP_MEMORY, .sequence = 1}, reply;
                struct vtd_request request = {.type = VTD_REQUEST_UNMAP_MEMORY,
                                              .unmap_memory = {7}};
                struct peer *peer = *state;

                assert_int_equal(submit(peer, &request, -1), 0);
                if (i == 0)
                        answer.type = VTD_REQUEST_UNPLUG_DEVICE;
                if (i == 1)
                        answer.sequence = 2;
                if (i == 3)
                        assert_int_equal(vtd_record_send(peer->fd, "nonsense", 8, -1), 0);
                else
                        send_reply(peer, &answer, i == 2 ? STDERR_FILENO : -1);
                assert_int_equal(collect(peer, &reply, 0), VTD_BACKEND_E_LOST);
                assert_int_equal(teardown(state), 0);
                assert_int_equal(setup(state), 0);
        }
}

static int no_memory_read(void *opaque, uint64_t gpa, void *data, size_t size)
{
        (void)opaque;
        (void)gpa;
        (void)data;
        (void)size;
        return -EFAULT;
}

static int no_memory_write(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        (void)opaque;
        (void)gpa;
        (void)data;
        (void)size;
        return -EFAULT;
}

static void no_message(void *opaque, uint64_t address, uint32_t data)
{
        (void)opaque;
        (void)address;
        (void)data;
}

static struct vtd_frontend *new_unit(void)
{
        const struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        const struct vtd_frontend_callbacks callbacks = {.read_memory = no_memory_read,
                                                         .write_memory = no_memory_write,
                                                         .send_message = no_message};
        struct vtd_frontend *unit;

        assert_int_equal(vtd_frontend_new(&unit, &config, &callbacks, NULL), 0);
        return unit;
}

/* The answer lies ready in the socket: sequence numbers start at 1. */
static void test_connecting_says_hello_and_tells_the_limits(void **state)
{
        const struct vtd_reply answer = {.type = VTD_REQUEST_HELLO,
                                         .sequence = 1,
                                         .hello = {.major = 1,
                                                   .host = VTD_HOST_SIMULATED,
                                                   .memory = 1 << 20,
                                                   .mappings = 3,
                                                   .devices = 4,
                                                   .first_stage_tables = 5,
                                                   .pasids = 6,
                                                   .modes = 5}};
        struct peer *peer = *state;
        struct vtd_frontend *unit = new_unit();
        struct vtd_frontend_broker broker;
        struct vtd_request seen;
        int fd = dup(peer->client->ops->get_fd(peer->client));

        send_reply(peer, &answer, -1);
        assert_int_equal(vtd_frontend_connect_fd(unit, fd, &broker), 0);
        assert_int_equal(take_request(peer, &seen), 0);
        assert_int_equal(seen.type, VTD_REQUEST_HELLO);
        assert_int_equal(seen.hello.major, VTD_PROTOCOL_MAJOR);
        assert_true(broker.simulated);
        assert_int_equal(broker.memory, 1 << 20);
        assert_int_equal(broker.mappings, 3);
        assert_int_equal(broker.devices, 4);
        assert_int_equal(broker.first_stage_tables, 5);
        assert_int_equal(broker.pasids, 6);
        assert_int_equal(vtd_frontend_get_fd(unit), fd);
        assert_int_equal(vtd_frontend_connect_fd(unit, fd, NULL), -EISCONN);
        unit = vtd_frontend_free(unit);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_a_refused_hello_leaves_the_unit_unconnected(void **state)
{
        const struct vtd_reply answer = {.type = VTD_REQUEST_HELLO,
                                         .sequence = 1,
                                         .refused = true,
                                         .refusal = {.status = VTD_STATUS_UNSUPPORTED,
                                                     .reason = VTD_REASON_VERSION,
                                                     .asked = 1,
                                                     .allowed = 2}};
        struct peer *peer = *state;
        struct vtd_frontend *unit = new_unit();
        struct vtd_frontend_refusal refusal;
        int fd = dup(peer->client->ops->get_fd(peer->client));

        send_reply(peer, &answer, -1);
        assert_int_equal(vtd_frontend_connect_fd(unit, fd, NULL), VTD_FRONTEND_REFUSED);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        vtd_frontend_refusal(unit, &refusal);
        assert_int_equal(refusal.reason, VTD_REASON_VERSION);
        assert_int_equal(refusal.allowed, 2);
        assert_int_equal(vtd_frontend_get_fd(unit), -1);
        unit = vtd_frontend_free(unit);
}

static void test_connecting_to_what_is_no_broker_fails(void **state)
{
        struct peer *peer = *state;
        struct vtd_frontend *unit = new_unit();
        char path[200];
        int fd;

        memset(path, 'x', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(vtd_frontend_connect(unit, path, NULL), -ENAMETOOLONG);
        assert_int_equal(vtd_frontend_connect(unit, "/nonexistent/socket", NULL), -ENOENT);
        assert_true(vtd_frontend_connect_fd(unit, STDERR_FILENO, NULL) < 0);
        assert_true(fcntl(STDERR_FILENO, F_GETFD) >= 0);
        peer->fd = vtd_close(peer->fd);
        fd = dup(peer->client->ops->get_fd(peer->client));
        assert_int_equal(vtd_frontend_connect_fd(unit, fd, NULL), VTD_FRONTEND_LOST);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        unit = vtd_frontend_free(unit);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_a_request_and_its_answer_travel),
                TEST(test_a_descriptor_goes_along_and_stays_the_caller_s),
                TEST(test_a_peer_that_hangs_up_is_lost),
                TEST(test_answers_that_nobody_asked_for_are_lost),
                TEST(test_answers_that_do_not_fit_are_lost),
                TEST(test_connecting_says_hello_and_tells_the_limits),
                TEST(test_a_refused_hello_leaves_the_unit_unconnected),
                TEST(test_connecting_to_what_is_no_broker_fails),
        };

        return cmocka_run_group_tests_name("frontend-client", tests, NULL, NULL);
}
