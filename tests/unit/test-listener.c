/* SPDX-License-Identifier: MIT */
/*
 * broker/brokerd/listener.c: who may connect, by user, group and security label.  The label is that
 * of the machine's own security module, where it has one, or one that a security module might give.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/brokerd/listener.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

/* Answers SO_PEERSEC in the kernel's place when there is a label to answer with. */
struct given_label {
        const char *text;
        socklen_t size;
};

static struct given_label *given_label(void)
{
        static struct given_label given;

        return &given;
}

int __real_getsockopt(int fd, int level, int option, void *value, socklen_t *size);
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *size);

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
        const struct given_label *given = given_label();

        if (level != SOL_SOCKET || option != SO_PEERSEC || !given->text)
                return __real_getsockopt(fd, level, option, value, size);
        if (given->size > *size) {
                *size = given->size;
                errno = ERANGE;
                return -1;
        }
        memcpy(value, given->text, given->size);
        *size = given->size;
        return 0;
}

struct door {
        char path[32];
        int directory;
        struct vtd_policy policy;
        struct vtd_listener listener;
};

static int set_up(void **state)
{
        struct door *door = calloc(1, sizeof(*door));

        assert_non_null(door);
        (void)snprintf(door->path, sizeof(door->path), "/tmp/vtd-door-XXXXXX");
        assert_non_null(mkdtemp(door->path));
        assert_int_equal(vtd_listener_take_directory(door->path, &door->directory, NULL), 0);
        door->policy = (struct vtd_policy){
                .tenant = "blue",
                .uid = geteuid(),
                .uid_line = 4,
                .gid = VTD_POLICY_ANY_GROUP,
        };
        assert_int_equal(vtd_listener_init(&door->listener, door->directory, door->path,
                                           "blue.sock", &door->policy, false, NULL),
                         0);
        *state = door;
        return 0;
}

static int tear_down(void **state)
{
        struct door *door = *state;

        vtd_listener_deinit(&door->listener);
        door->directory = vtd_close(door->directory);
        assert_int_equal(rmdir(door->path), 0);
        free(door);
        return 0;
}

/* Connects as this process and has it judged; the descriptor that comes of it is closed. */
static int knock(struct door *door, struct vtd_peer *peer)
{
        VTD_CLEANUP_FD int client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = -1, result;

        assert_true(client >= 0);
        (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/blue.sock", door->path);
        assert_int_equal(connect(client, (const struct sockaddr *)&address, sizeof(address)), 0);
        result = vtd_listener_accept(&door->listener, &fd, peer, NULL);
        assert_int_equal(fd >= 0, result == 0);
        fd = vtd_close(fd);
        return result;
}

static void expect_refused(struct door *door, uint32_t line, const char *text)
{
        struct vtd_peer peer;

        assert_int_equal(knock(door, &peer), VTD_LISTENER_E_REFUSED);
        assert_int_equal(peer.pid, getpid());
        assert_int_equal(peer.uid, geteuid());
        assert_int_equal(peer.line, line);
        assert_memory_equal(peer.text, text, strlen(text));
}

static void nobody_waits(void **state)
{
        struct door *door = *state;
        struct vtd_peer peer;
        int fd;

        assert_int_equal(vtd_listener_accept(&door->listener, &fd, &peer, NULL),
                         VTD_LISTENER_E_AGAIN);
}

static void the_user_decides(void **state)
{
        struct door *door = *state;
        struct vtd_peer peer;
        char text[64];

        assert_int_equal(knock(door, &peer), 0);
        door->policy.uid = geteuid() + 1;
        (void)snprintf(text, sizeof(text), "user %u connected, only user %u may", geteuid(),
                       geteuid() + 1);
        expect_refused(door, 4, text);
}

static void the_group_decides_when_it_is_named(void **state)
{
        struct door *door = *state;
        struct vtd_peer peer;
        char text[64];

        door->policy.gid = getegid();
        door->policy.gid_line = 5;
        assert_int_equal(knock(door, &peer), 0);
        door->policy.gid = getegid() + 1;
        (void)snprintf(text, sizeof(text), "group %u connected, only group %u may", getegid(),
                       getegid() + 1);
        expect_refused(door, 5, text);
        /* A wrong user is told of before the group. */
        door->policy.uid = geteuid() + 1;
        expect_refused(door, 4, "user ");
}

/* The label that the kernel gives this process's connections; false where it gives none. */
static bool own_label(char *label, size_t size)
{
        socklen_t length = (socklen_t)size - 1;
        int pair[2], result;

        memset(label, 0, size);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        result = getsockopt(pair[0], SOL_SOCKET, SO_PEERSEC, label, &length);
        pair[0] = vtd_close(pair[0]);
        pair[1] = vtd_close(pair[1]);
        return result == 0 && label[0] != '\0';
}

static void the_label_decides_when_it_is_named(void **state)
{
        struct door *door = *state;
        char label[VTD_POLICY_LABEL + 1];
        struct vtd_peer peer;

        door->policy.label_line = 6;
        (void)snprintf(door->policy.label, sizeof(door->policy.label), "no:such:label");
        if (!own_label(label, sizeof(label))) {
                expect_refused(door, 6, "the security label of the connection cannot be read (");
                return;
        }
        expect_refused(door, 6, "a process labelled ");
        memcpy(door->policy.label, label, sizeof(label));
        assert_int_equal(knock(door, &peer), 0);
        /* A part of the label is not the label. */
        door->policy.label[strlen(label) - 1] = '\0';
        expect_refused(door, 6, "a process labelled ");
}

/* As the kernel would give it: @size bytes of @text. */
static void give_label(const char *text, size_t size)
{
        *given_label() = (struct given_label){.text = text, .size = (socklen_t)size};
}

static void no_label_but_the_whole_one_will_do(void **state)
{
        static const char label[] = "vmm_t:s0", longer[] = "vmm_t:s0\n", cut[] = "vmm_t:s0\0:c1",
                          doubled[] = "vmm_t:s0\0", begun[] = "vmm_t:s";
        struct door *door = *state;
        char most[VTD_POLICY_LABEL + 1], more[VTD_POLICY_LABEL + 2];
        struct vtd_peer peer;

        door->policy.label_line = 6;
        (void)snprintf(door->policy.label, sizeof(door->policy.label), "%s", label);
        give_label(label, sizeof(label) - 1);
        assert_int_equal(knock(door, &peer), 0);
        give_label(label, sizeof(label));
        assert_int_equal(knock(door, &peer), 0);
        give_label(longer, sizeof(longer));
        expect_refused(door, 6, "a process labelled \"vmm_t:s0\\");
        give_label(cut, sizeof(cut));
        expect_refused(door, 6, "a process labelled \"vmm_t:s0\\");
        give_label(doubled, sizeof(doubled));
        expect_refused(door, 6, "a process labelled \"vmm_t:s0\\");
        give_label(begun, sizeof(begun));
        expect_refused(door, 6, "a process labelled \"vmm_t:s");
        give_label(label, 0);
        expect_refused(door, 6, "a process labelled \"\"");
        /* The longest that a policy can name, and one that is longer and begins with it. */
        memset(door->policy.label, 'x', VTD_POLICY_LABEL);
        memset(more, 'x', sizeof(more));
        memcpy(most, door->policy.label, sizeof(most));
        give_label(most, sizeof(most));
        assert_int_equal(knock(door, &peer), 0);
        give_label(more, sizeof(more));
        expect_refused(door, 6, "the security label of the connection cannot be read (");
        give_label(more, sizeof(most));
        expect_refused(door, 6, "a process labelled ");
        give_label(NULL, 0);
}

/* clang-format off */
#define TEST(name_, function_) {name_, function_, set_up, tear_down, NULL}
/* clang-format on */

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST("nobody waits", nobody_waits),
                TEST("only the policy's user may connect", the_user_decides),
                TEST("a group that the policy names is asked for as well",
                     the_group_decides_when_it_is_named),
                TEST("a security label that the policy names is asked for as well",
                     the_label_decides_when_it_is_named),
                TEST("a label is compared to its end, through every byte",
                     no_label_but_the_whole_one_will_do),
        };

        return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
