/* SPDX-License-Identifier: MIT */
/*
 * broker/brokerd/closer.c.  What is slow to close here is a TCP socket that lingers: its peer does
 * not read what was sent, so that close() waits until the time for that is over.
 */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/brokerd/closer.h"
#include "shared/cleanup.h"

#define LINGER_S  1
#define SOON_MS   500 /* sooner than anything that waits for the socket */
#define ENOUGH_MS (LINGER_S * 1000 + 5000)

struct fixture {
        int slow;      /* close() of it takes LINGER_S */
        int peer;      /* of slow; never reads */
        int quick;     /* a pipe's end for writing */
        int quick_end; /* hangs up at the last close of quick */
        pid_t pid;
        int pidfd;
};

static int64_t now_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_hung_up(int fd, int wait_ms)
{
        struct pollfd poll_fd = {.fd = fd};

        return poll(&poll_fd, 1, wait_ms) == 1 && poll_fd.revents == POLLHUP;
}

static bool has_ended(int pidfd, int wait_ms)
{
        struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};

        return poll(&poll_fd, 1, wait_ms) == 1;
}

static void make_slow(struct fixture *f)
{
        const struct linger linger = {.l_onoff = 1, .l_linger = LINGER_S};
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        VTD_CLEANUP_FD int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t length = sizeof(address);
        char data[65536] = {0};

        assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
        f->slow = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(f->slow, (struct sockaddr *)&address, length), 0);
        f->peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(f->peer >= 0);
        while (send(f->slow, data, sizeof(data), MSG_DONTWAIT) > 0)
                ;
        assert_int_equal(
                setsockopt(f->slow, SOL_SOCKET, SO_LINGER, &linger, (socklen_t)sizeof(linger)), 0);
}

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        int pair[2];

        assert_non_null(f);
        make_slow(f);
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        f->quick_end = pair[0];
        f->quick = pair[1];
        f->pidfd = -1;
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        f->slow = vtd_close(f->slow);
        f->peer = vtd_close(f->peer);
        f->quick = vtd_close(f->quick);
        f->quick_end = vtd_close(f->quick_end);
        f->pidfd = vtd_close(f->pidfd);
        free(f);
        return 0;
}

/* Gives the slow descriptor and then the quick one to a closer. */
static void start(struct fixture *f)
{
        int fds[] = {f->slow, f->quick};

        assert_int_equal(vtd_closer_start(fds, 2, &f->pid, &f->pidfd, NULL), 0);
        assert_int_equal(fds[0], -1);
        assert_int_equal(fds[1], -1);
        assert_int_equal(fcntl(f->slow, F_GETFD), -1);
        assert_int_equal(fcntl(f->quick, F_GETFD), -1);
        f->slow = f->quick = -1;
}

static void reap(struct fixture *f, int code, int status)
{
        siginfo_t info = {0};

        assert_true(has_ended(f->pidfd, ENOUGH_MS));
        assert_int_equal(waitid(P_PIDFD, (id_t)f->pidfd, &info, WEXITED), 0);
        assert_int_equal(info.si_code, code);
        assert_int_equal(info.si_status, status);
}

static void test_the_caller_does_not_wait_and_the_order_is_kept(void **state)
{
        struct fixture *f = *state;
        int64_t begin = now_ms();

        start(f);
        assert_true(now_ms() - begin < SOON_MS);
        assert_false(has_ended(f->pidfd, SOON_MS));
        assert_false(is_hung_up(f->quick_end, 0));
        reap(f, CLD_EXITED, 0);
        assert_true(now_ms() - begin >= SOON_MS);
        assert_true(is_hung_up(f->quick_end, 0));
}

static void test_what_is_quick_is_closed_by_the_end(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(vtd_closer_start(&f->quick, 1, &f->pid, &f->pidfd, NULL), 0);
        assert_int_equal(f->quick, -1);
        reap(f, CLD_EXITED, 0);
        assert_true(is_hung_up(f->quick_end, 0));
}

static void test_no_other_descriptor_is_kept_open(void **state)
{
        struct fixture *f = *state;
        int other[2];

        assert_int_equal(pipe2(other, O_CLOEXEC), 0);
        start(f);
        (void)close(other[1]);
        assert_true(is_hung_up(other[0], 0));
        assert_false(has_ended(f->pidfd, 0));
        (void)close(other[0]);
        reap(f, CLD_EXITED, 0);
}

static void test_two_closers_do_not_wait_for_each_other(void **state)
{
        struct fixture *f = *state;
        pid_t second_pid;
        int second[2], pidfd = -1;
        siginfo_t info;

        assert_int_equal(pipe2(second, O_CLOEXEC), 0);
        start(f);
        assert_int_equal(vtd_closer_start(&second[1], 1, &second_pid, &pidfd, NULL), 0);
        assert_int_equal(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED), 0);
        assert_true(is_hung_up(second[0], 0));
        assert_false(has_ended(f->pidfd, 0));
        (void)close(second[0]);
        (void)close(pidfd);
        reap(f, CLD_EXITED, 0);
}

static void test_a_signal_for_the_group_does_not_end_it(void **state)
{
        struct fixture *f = *state;
        sigset_t set, before;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGTERM);
        (void)sigaddset(&set, SIGINT);
        assert_int_equal(sigprocmask(SIG_BLOCK, &set, &before), 0);
        start(f);
        assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
        assert_int_equal(kill(f->pid, SIGTERM), 0);
        assert_int_equal(kill(f->pid, SIGINT), 0);
        assert_false(has_ended(f->pidfd, SOON_MS / 4));
        reap(f, CLD_EXITED, 0);
}

static void test_killed_it_has_closed_all_the_same(void **state)
{
        struct fixture *f = *state;

        start(f);
        assert_int_equal(kill(f->pid, SIGKILL), 0);
        reap(f, CLD_KILLED, SIGKILL);
        assert_true(is_hung_up(f->quick_end, 0));
}

/* Line of /proc/PID/status, "Key:\tvalue\n". */
static bool has_status(pid_t pid, const char *line)
{
        char path[64], text[4096];
        size_t length;
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        file = fopen(path, "re");
        assert_non_null(file);
        length = fread(text, 1, sizeof(text) - 1, file);
        (void)fclose(file);
        text[length] = '\0';
        return strstr(text, line) != NULL;
}

static size_t count_descriptors(pid_t pid)
{
        struct dirent *entry;
        char path[64];
        size_t count = 0;
        DIR *directory;

        (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        directory = opendir(path);
        assert_non_null(directory);
        while ((entry = readdir(directory)))
                count += entry->d_name[0] != '.';
        (void)closedir(directory);
        return count;
}

static void test_it_is_confined_and_says_what_it_is(void **state)
{
        const struct timespec pause = {.tv_nsec = 1000000};
        struct fixture *f = *state;

        start(f);
        for (int64_t end = now_ms() + SOON_MS; !has_status(f->pid, "Seccomp:\t2\n");) {
                assert_true(now_ms() < end);
                (void)nanosleep(&pause, NULL);
        }
        assert_true(has_status(f->pid, "NoNewPrivs:\t1\n"));
        assert_true(has_status(f->pid, "Name:\tvtd-closer\n"));
        /* At most what it closes, and the end of the pipe that let it go. */
        assert_in_range(count_descriptors(f->pid), 1, 3);
        reap(f, CLD_EXITED, 0);
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_the_caller_does_not_wait_and_the_order_is_kept),
                TEST(test_what_is_quick_is_closed_by_the_end),
                TEST(test_no_other_descriptor_is_kept_open),
                TEST(test_two_closers_do_not_wait_for_each_other),
                TEST(test_a_signal_for_the_group_does_not_end_it),
                TEST(test_killed_it_has_closed_all_the_same),
                TEST(test_it_is_confined_and_says_what_it_is),
        };

        return cmocka_run_group_tests_name("closer", tests, NULL, NULL);
}
