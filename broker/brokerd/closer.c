/* SPDX-License-Identifier: MIT */
/*
 * See closer.h.
 *
 * A closer is a copy of vtd-brokerd, so it begins with a copy of every VM's descriptors:
 *
 *      closer                                          vtd-brokerd
 *      drops all descriptors but its own               waits: what is dropped is open there
 *      closes "ready"                                  closes its copies: the closer has them
 *      waits                                           closes "go"
 *      is confined to close() and exit_group()         serves other VMs
 *      closes, which may take long, and ends           sees the end through the pidfd
 *
 * If a closer kept others' descriptors, one that hangs would keep their devices open; if it closed
 * first, the last close would be vtd-brokerd's.
 *
 * May assume that vtd-brokerd has a single thread and blocks the signals that end it: the closer
 * keeps them blocked, so that a signal to the whole group does not reach it.  Must guarantee that
 * all its descriptors are closed when it ends: also if it is killed, because the kernel closes what
 * is open before anybody can see the end of a process.
 */
#include "broker/brokerd/closer.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/brokerd/scarcity.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"

/* As it is called in lists of processes; at most 15 characters. */
#define CLOSER_NAME "vtd-closer"

/*
 * Statuses of a closer.  It closes its descriptors even if it could not be confined: it reads
 * nothing that could take it over, and a device that stays open would be worse.
 */
enum {
        CLOSER_DONE = 0,
        CLOSER_UNCONFINED = 1,
        CLOSER_UNPREPARED = 2, /* it has copies that it could not drop: it has ended at once */
};

/* From here to close_all() everything runs in the child. */

/* close() and exit_group() of x86-64; everything else kills. */
static bool confine(void)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close, 2, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const struct sock_fprog program = {.len = VTD_ARRAY_SIZE(code), .filter = code};

        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
               prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

/* The ends of two pipes that the closer has. */
struct signals {
        int ready;
        int go;
};

/* The lowest descriptor of @fds that is not below @from; false when there is none. */
static bool find_kept(const int *fds, size_t count, unsigned from, unsigned *kept)
{
        bool found = false;

        for (size_t i = 0; i < count; i++) {
                unsigned fd = (unsigned)fds[i];

                if (fd < from || (found && fd >= *kept))
                        continue;
                *kept = fd;
                found = true;
        }
        return found;
}

static bool drop_others(const int *fds, size_t count, const struct signals *signals)
{
        int all[VTD_CLOSER_FDS_MAX + 2] = {signals->ready, signals->go};
        unsigned from = 0, kept = 0;

        memcpy(all + 2, fds, count * sizeof(*fds));
        while (find_kept(all, count + 2, from, &kept)) {
                if (kept > from && close_range(from, kept - 1, 0) < 0)
                        return false;
                from = kept + 1;
        }
        return close_range(from, ~0u, 0) == 0;
}

/* Reads until all writers of the pipe @fd have closed it; nobody writes. */
static bool wait_closed(int fd)
{
        ssize_t length;
        char byte;

        do
                length = read(fd, &byte, 1);
        while (length < 0 && errno == EINTR);
        return length == 0;
}

__attribute__((noreturn)) static void leave(int status)
{
        for (;;)
                (void)syscall(SYS_exit_group, status);
}

__attribute__((noreturn)) static void close_all(const int *fds, size_t count,
                                                const struct signals *signals)
{
        int status = CLOSER_DONE;

        if (!drop_others(fds, count, signals))
                leave(CLOSER_UNPREPARED);
        (void)close(signals->ready);
        if (!wait_closed(signals->go) || prctl(PR_SET_NAME, CLOSER_NAME, 0, 0, 0) < 0 || !confine())
                status = CLOSER_UNCONFINED;
        for (size_t i = 0; i < count; i++)
                (void)syscall(SYS_close, fds[i]);
        leave(status);
}

/* Waits until the child has nothing but its own descriptors. */
static int wait_ready(int ready, int pidfd, struct vtd_log *log)
{
        siginfo_t info = {0};

        if (!wait_closed(ready) ||
            waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0) {
                int error = vtd_errno();

                return vtd_fail(log, error, "closer not judged: %s", strerror(-error));
        }
        if (info.si_pid == 0)
                return 0;
        return vtd_fail(log, -ECHILD, "closer ended before it was ready, %s %d",
                        info.si_code == CLD_EXITED ? "status" : "signal", info.si_status);
}

static void end_child(int pidfd)
{
        siginfo_t info;

        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        (void)waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED);
}

/* Two pipes: an end of each for the closer, and one for vtd-brokerd. */
static int make_pipes(struct signals *theirs, struct signals *ours, struct vtd_log *log)
{
        int ready[2] = {-1, -1}, go[2] = {-1, -1};
        int result = 0;

        if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0) {
                result = vtd_errno();
                (void)vtd_fail(log, result, "closer: no pipe: %s%s", strerror(-result),
                               vtd_scarcity_text(result));
        }
        *theirs = (struct signals){.ready = ready[1], .go = go[0]};
        *ours = (struct signals){.ready = ready[0], .go = go[1]};
        return result;
}

static void close_pipes(struct signals *signals)
{
        signals->ready = vtd_close(signals->ready);
        signals->go = vtd_close(signals->go);
}

int vtd_closer_start(int *fds, size_t count, pid_t *pid, int *pidfd, struct vtd_log *log)
{
        VTD_CLEANUP(close_pipes) struct signals theirs = {-1, -1}, ours = {-1, -1};
        VTD_CLEANUP_FD int child_pidfd = -1;
        struct clone_args arguments = {
                .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
                .pidfd = (uint64_t)(uintptr_t)&child_pidfd,
                .exit_signal = SIGCHLD,
        };
        int result;
        long child;

        result = make_pipes(&theirs, &ours, log);
        if (result < 0)
                return result;
        child = syscall(SYS_clone3, &arguments, sizeof(arguments));
        if (child < 0) {
                result = vtd_errno();
                return vtd_fail(log, result, "closer not cloned: %s%s", strerror(-result),
                                vtd_scarcity_clone_text(result));
        }
        if (child == 0)
                close_all(fds, count, &theirs);
        close_pipes(&theirs);
        result = wait_ready(ours.ready, child_pidfd, log);
        if (result < 0) {
                end_child(child_pidfd);
                return result;
        }
        for (size_t i = 0; i < count; i++)
                fds[i] = vtd_close(fds[i]);
        *pid = (pid_t)child;
        *pidfd = VTD_TAKE_FD(child_pidfd);
        return 0;
}
