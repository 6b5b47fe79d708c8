/* SPDX-License-Identifier: MIT */
/*
 * broker/brokerd/spawn.c: what a start leaves behind.  The program that is started is this one,
 * under the worker's name: it waits until its control channel is closed.
 */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/brokerd/spawn.h"
#include "broker/control/control.h"
#include "shared/cleanup.h"

#define WORKER "vtd-broker-worker-sim"
#define STARTS 20

/* Puts a copy of this program under the worker's name into the directory @path. */
static void install_worker(const char *path)
{
        VTD_CLEANUP_FD int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        VTD_CLEANUP_FD int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
        char buffer[65536];
        ssize_t length;

        assert_true(from >= 0 && to >= 0);
        while ((length = read(from, buffer, sizeof(buffer))) > 0)
                assert_int_equal(write(to, buffer, (size_t)length), length);
        assert_int_equal(length, 0);
}

/*
 * While a child has copies of vtd-brokerd's descriptors, closing those of another VM is not their
 * last close: its devices would not be blocked, and its user would be given away too early.
 */
static void test_no_copy_of_a_descriptor_is_left_once_a_worker_is_started(void **state)
{
        char directory[] = "/tmp/vtd-spawn-XXXXXX", path[64];
        struct vtd_spawn spawn;

        (void)state;
        assert_non_null(mkdtemp(directory));
        (void)snprintf(path, sizeof(path), "%s/%s", directory, WORKER);
        install_worker(path);
        assert_int_equal(
                vtd_spawn_init(&spawn, VTD_HOST_SIMULATED, directory, NULL, geteuid() != 0, NULL),
                0);
        for (int i = 0; i < STARTS; i++) {
                int control[2], connection[2], other_vm[2], pidfd = -1;
                struct pollfd last_close;
                siginfo_t info;
                pid_t pid;

                assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
                assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, connection),
                                 0);
                assert_int_equal(pipe2(other_vm, O_CLOEXEC), 0);
                assert_int_equal(vtd_spawn_worker(&spawn,
                                                  &(const struct vtd_spawn_descriptors){
                                                          .control = control[1],
                                                          .connection = connection[1],
                                                          .iommu = -1,
                                                  },
                                                  &pid, &pidfd, NULL),
                                 0);
                (void)close(other_vm[1]);
                last_close = (struct pollfd){.fd = other_vm[0]};
                assert_int_equal(poll(&last_close, 1, 0), 1);
                assert_int_equal(last_close.revents, POLLHUP);
                (void)close(other_vm[0]);
                (void)close(control[0]);
                (void)close(control[1]);
                assert_int_equal(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED), 0);
                assert_int_equal(info.si_code, CLD_EXITED);
                assert_int_equal(info.si_status, 0);
                (void)close(connection[0]);
                (void)close(connection[1]);
                (void)close(pidfd);
        }
        vtd_spawn_deinit(&spawn);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(directory), 0);
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_no_copy_of_a_descriptor_is_left_once_a_worker_is_started),
        };
        char byte;

        if (argc == 1 && strcmp(argv[0], WORKER) == 0)
                return read(VTD_WORKER_FD_CONTROL, &byte, 1) == 0 ? 0 : 1;
        return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
