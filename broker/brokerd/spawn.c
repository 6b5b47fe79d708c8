/* SPDX-License-Identifier: MIT */
/*
 * See spawn.h.  Assumes that vtd-brokerd has a single thread: the child is a copy of it and runs
 * ordinary C code until exec.  The child must guarantee that no descriptor but the fixed ones, no
 * signal disposition, no blocked signal and no environment reaches the worker.
 */
#include "broker/brokerd/spawn.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/brokerd/scarcity.h"
#include "broker/sandbox/caps.h"
#include "broker/control/control.h"
#include "broker/control/worker_exit.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"

/* Descriptors are first moved above all fixed numbers, so that no move overwrites another. */
#define PARKED_FD 16

/* The program's own descriptor while the child executes it; closed by exec. */
#define PROGRAM_FD (VTD_WORKER_FD_IOMMU + 1)

static const struct {
        uint64_t flag;
        const char *name; /* below /proc/PID/ns */
} namespaces[] = {
        {CLONE_NEWNS, "mnt"},    {CLONE_NEWNET, "net"}, {CLONE_NEWIPC, "ipc"},
        {CLONE_NEWUTS, "uts"},   {CLONE_NEWPID, "pid"}, {CLONE_NEWCGROUP, "cgroup"},
        {CLONE_NEWUSER, "user"}, /* last: rootless only */
};

static size_t count_namespaces(const struct vtd_spawn *spawn)
{
        return VTD_ARRAY_SIZE(namespaces) - (spawn->rootless ? 0 : 1);
}

static int open_program(struct vtd_spawn *spawn, const char *directory, struct vtd_log *log)
{
        VTD_CLEANUP_FD int parent = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct stat status;
        int error;

        if (parent < 0) {
                error = vtd_errno();
                return vtd_fail(log, error, "worker directory %s: %s; --worker-dir names it",
                                directory, strerror(-error));
        }
        spawn->program = openat(parent, spawn->name, O_RDONLY | O_CLOEXEC);
        if (spawn->program < 0 || fstat(spawn->program, &status) < 0) {
                error = vtd_errno();
                return vtd_fail(log, error, "worker program %s/%s: %s", directory, spawn->name,
                                strerror(-error));
        }
        if (!S_ISREG(status.st_mode) || !(status.st_mode & 0111))
                return vtd_fail(log, -ENOEXEC, "worker program %s/%s: not an executable file",
                                directory, spawn->name);
        return 0;
}

static int open_cgroup(struct vtd_spawn *spawn, const char *path, struct vtd_log *log)
{
        struct statfs kind;
        int error;

        spawn->cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (spawn->cgroup < 0 || fstatfs(spawn->cgroup, &kind) < 0) {
                error = vtd_errno();
                return vtd_fail(log, error, "worker cgroup %s: %s", path, strerror(-error));
        }
        if (kind.f_type != CGROUP2_SUPER_MAGIC)
                return vtd_fail(log, -EINVAL, "worker cgroup %s: not on a cgroup2 file system",
                                path);
        return 0;
}

const char *vtd_spawn_program(enum vtd_host_kind host)
{
        return host == VTD_HOST_LINUX ? "vtd-broker-worker" : "vtd-broker-worker-sim";
}

int vtd_spawn_init(struct vtd_spawn *spawn, enum vtd_host_kind host, const char *directory,
                   const char *cgroup, bool rootless, struct vtd_log *log)
{
        int result;

        *spawn = (struct vtd_spawn){
                .program = -1,
                .name = vtd_spawn_program(host),
                .null = -1,
                .cgroup = -1,
                .rootless = rootless,
        };
        spawn->null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (spawn->null < 0) {
                result = vtd_errno();
                return vtd_fail(log, result, "/dev/null: %s", strerror(-result));
        }
        result = open_program(spawn, directory, log);
        if (result == 0 && cgroup)
                result = open_cgroup(spawn, cgroup, log);
        return result;
}

void vtd_spawn_deinit(struct vtd_spawn *spawn)
{
        spawn->program = vtd_close(spawn->program);
        spawn->null = vtd_close(spawn->null);
        spawn->cgroup = vtd_close(spawn->cgroup);
}

/* From here to execute() everything runs in the child, which ends with _exit() or exec. */

static bool write_file(const char *path, const char *text)
{
        VTD_CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

        return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/*
 * Maps the one user and group that an unprivileged process may map, to themselves.  Not to 0: then
 * user 0 could be "regained", and exec would give capabilities for the number's sake.
 */
static bool enter_user_namespace(uid_t uid, gid_t gid)
{
        char map[64];

        if (!write_file("/proc/self/setgroups", "deny"))
                return false;
        (void)snprintf(map, sizeof(map), "%u %u 1\n", gid, gid);
        if (!write_file("/proc/self/gid_map", map))
                return false;
        (void)snprintf(map, sizeof(map), "%u %u 1\n", uid, uid);
        return write_file("/proc/self/uid_map", map) && vtd_caps_keep_over_exec() == 0;
}

static bool place(int fd, int number)
{
        return fd >= 0 && dup2(fd, number) == number;
}

static bool arrange_descriptors(const struct vtd_spawn *spawn,
                                const struct vtd_spawn_descriptors *descriptors)
{
        int null = fcntl(spawn->null, F_DUPFD, PARKED_FD);
        int program = fcntl(spawn->program, F_DUPFD, PARKED_FD);
        int control = fcntl(descriptors->control, F_DUPFD, PARKED_FD);
        int connection = fcntl(descriptors->connection, F_DUPFD, PARKED_FD);
        int iommu = -1;

        if (descriptors->iommu >= 0) {
                iommu = fcntl(descriptors->iommu, F_DUPFD, PARKED_FD);
                if (!place(iommu, VTD_WORKER_FD_IOMMU))
                        return false;
        } else {
                (void)close(VTD_WORKER_FD_IOMMU);
        }
        if (!place(null, STDIN_FILENO) || !place(null, STDOUT_FILENO) ||
            !place(control, VTD_WORKER_FD_CONTROL) ||
            !place(connection, VTD_WORKER_FD_CONNECTION) || !place(program, PROGRAM_FD))
                return false;
#if !defined(VTD_SANITIZED)
        if (!place(null, STDERR_FILENO))
                return false;
#endif
        return fcntl(PROGRAM_FD, F_SETFD, FD_CLOEXEC) == 0 &&
               close_range(PROGRAM_FD + 1, ~0u, 0) == 0;
}

__attribute__((noreturn)) static void execute(const struct vtd_spawn *spawn,
                                              const struct vtd_spawn_descriptors *descriptors,
                                              uid_t uid, gid_t gid)
{
        char name[32];
        char *const arguments[] = {name, NULL};
        char *const environment[] = {NULL};
        const struct sigaction standard = {.sa_handler = SIG_DFL};
        sigset_t none;

        (void)snprintf(name, sizeof(name), "%s", spawn->name);
        if (spawn->rootless && !enter_user_namespace(uid, gid))
                _exit(VTD_WORKER_EXIT_USER_NAMESPACE);
        if (!arrange_descriptors(spawn, descriptors))
                _exit(VTD_WORKER_EXIT_DESCRIPTORS);
        /* Dispositions that exec would keep: what vtd-brokerd ignores. */
        for (int number = 1; number < SIGRTMIN; number++)
                if (number != SIGKILL && number != SIGSTOP)
                        (void)sigaction(number, &standard, NULL);
        if (sigemptyset(&none) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                _exit(VTD_WORKER_EXIT_EXEC);
        (void)fexecve(PROGRAM_FD, arguments, environment);
        _exit(VTD_WORKER_EXIT_EXEC);
}

static int check_namespace(pid_t pid, const char *name, struct vtd_log *log)
{
        char own[64], theirs[64];
        struct stat own_status, their_status;

        (void)snprintf(own, sizeof(own), "/proc/self/ns/%s", name);
        (void)snprintf(theirs, sizeof(theirs), "/proc/%d/ns/%s", (int)pid, name);
        if (stat(own, &own_status) < 0 || stat(theirs, &their_status) < 0) {
                int error = vtd_errno();

                return vtd_fail(log, error, "%s namespace of worker %d not judged: %s", name,
                                (int)pid, strerror(-error));
        }
        if (own_status.st_ino == their_status.st_ino && own_status.st_dev == their_status.st_dev)
                return vtd_fail(log, -EPERM, "worker %d shares the %s namespace of vtd-brokerd",
                                (int)pid, name);
        return 0;
}

/* A child that ended before it was a worker has said why by its status. */
static int check_alive(pid_t pid, int pidfd, struct vtd_log *log)
{
        siginfo_t info = {0};

        if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0) {
                int error = vtd_errno();

                return vtd_fail(log, error, "worker %d not judged: %s", (int)pid, strerror(-error));
        }
        if (info.si_pid == 0)
                return 0;
        return vtd_fail(log, -ECHILD, "worker %d not started: %s %d: %s", (int)pid,
                        info.si_code == CLD_EXITED ? "status" : "signal", info.si_status,
                        info.si_code == CLD_EXITED ? vtd_worker_exit_text(info.si_status)
                                                   : "killed");
}

static void kill_child(pid_t pid, int pidfd)
{
        siginfo_t info;

        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        (void)waitid(P_PID, (id_t)pid, &info, WEXITED);
}

int vtd_spawn_worker(const struct vtd_spawn *spawn, const struct vtd_spawn_descriptors *descriptors,
                     pid_t *pid, int *pidfd, struct vtd_log *log)
{
        VTD_CLEANUP_FD int child_pidfd = -1;
        /*
         * CLONE_VFORK: until it executes, the child has a copy of every descriptor of every VM, and
         * closing one here would not be the last close that blocks a device and unpins memory.
         */
        struct clone_args arguments = {
                .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND | CLONE_VFORK,
                .pidfd = (uint64_t)(uintptr_t)&child_pidfd,
                .exit_signal = SIGCHLD,
        };
        const uid_t uid = geteuid();
        const gid_t gid = getegid();
        long child;
        int result;

        for (size_t i = 0; i < count_namespaces(spawn); i++)
                arguments.flags |= namespaces[i].flag;
        if (spawn->cgroup >= 0) {
                arguments.flags |= CLONE_INTO_CGROUP;
                arguments.cgroup = (uint64_t)spawn->cgroup;
        }
        child = syscall(SYS_clone3, &arguments, sizeof(arguments));
        if (child < 0) {
                int error = vtd_errno();

                return vtd_fail(log, error, "worker not cloned into new namespaces: %s%s",
                                strerror(-error),
                                spawn->rootless && error == -EPERM
                                        ? " (without root, the kernel must allow user namespaces, "
                                          "and never does in a chroot)"
                                        : vtd_scarcity_clone_text(error));
        }
        if (child == 0)
                execute(spawn, descriptors, uid, gid);
        result = check_alive((pid_t)child, child_pidfd, log);
        for (size_t i = 0; i < count_namespaces(spawn) && result == 0; i++)
                result = check_namespace((pid_t)child, namespaces[i].name, log);
        if (result < 0) {
                kill_child((pid_t)child, child_pidfd);
                return result;
        }
        *pid = (pid_t)child;
        *pidfd = VTD_TAKE_FD(child_pidfd);
        return 0;
}
