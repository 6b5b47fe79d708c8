/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation
 *
 * vtd-brokerd clones a child into new mount, network, IPC, UTS, PID and cgroup namespaces (and,
 * when it is not root, a user namespace that maps its one user), checks from outside that they are
 * new, arranges the fixed descriptors, closes all others and executes this program with an empty
 * environment.  From there on the worker only ever gives up things, in numbered stages.  The order
 * is forced: a mount needs CAP_SYS_ADMIN, so the root comes before the capabilities; a change of
 * user clears the parent-death signal, so the signal comes after the user; Landlock and the filter
 * come last, because they deny what the stages before them do.
 *
 *      1  inherited     descriptors, standard streams, environment    here
 *      2  start         the START record and its policy               main.c
 *      3  process       no_new_privs, not dumpable, no io_uring       here
 *      4  loop          the event loop's descriptors                  main.c
 *      5  limits        resource limits                               here, and all below
 *      6  root          an empty, read-only file system
 *      7  identity      user and group, with no capability to change them back
 *      8  capabilities  none in any set, no source of new ones
 *      9  regain        tries to get back what was dropped: must fail
 *     10  parent        dies with vtd-brokerd
 *     11  Landlock      denies every right the kernel knows
 *     12  re-check      every layer read back from the kernel
 *     13  seccomp       what is not in the table kills; read back as well
 *
 * A stage that fails ends the process with the stage's own status (worker_exit.h).  Nothing here
 * depends on a switch that can be given at run time.  No byte of the VMM has been read before the
 * last stage is through.
 */
#include "broker/sandbox/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "broker/sandbox/caps.h"
#include "broker/control/control.h"
#include "broker/sandbox/landlock.h"
#include "broker/sandbox/seccomp_filter.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"
#include "shared/record.h"

#if defined(VTD_SANITIZED)
#define LAST_NULL_STREAM STDOUT_FILENO /* standard error carries the sanitizer's report */
#else
#define LAST_NULL_STREAM STDERR_FILENO
#endif

/*
 * Descriptors that a worker may have open at once: the fixed six, about six of libuv, one per
 * device, two per received record, and as many again to spare.
 */
#define DESCRIPTORS_MAX 64

/* Reports the errno of the call that has just failed. */
static int fail_errno(struct vtd_log *log, const char *what)
{
        int error = vtd_errno();

        return vtd_fail(log, error, "sandbox: %s: %s", what, strerror(-error));
}

static bool is_character_device(int fd, struct stat *status)
{
        return fstat(fd, status) == 0 && S_ISCHR(status->st_mode);
}

static bool is_open(int fd)
{
        return fcntl(fd, F_GETFD) >= 0;
}

/*
 * Stage 1.
 * Should: find exactly the descriptors that control.h lists, /dev/null as standard streams and an
 * empty environment; close whatever else there might be.
 * Mustn't: trust vtd-brokerd to have done so; read from any descriptor.
 */
enum vtd_worker_exit vtd_sandbox_check_inherited(enum vtd_host_kind host)
{
        int last = host == VTD_HOST_LINUX ? VTD_WORKER_FD_IOMMU : VTD_WORKER_FD_CONNECTION;
        struct stat status;
        int result;

        if (environ && environ[0])
                return VTD_WORKER_EXIT_INHERITED;
        for (int fd = STDIN_FILENO; fd <= LAST_NULL_STREAM; fd++)
                if (!is_character_device(fd, &status) || status.st_rdev != makedev(1, 3))
                        return VTD_WORKER_EXIT_INHERITED;
        if (vtd_record_adopt(VTD_WORKER_FD_CONTROL) != 0 ||
            vtd_record_adopt(VTD_WORKER_FD_CONNECTION) != 0)
                return VTD_WORKER_EXIT_INHERITED;
        /* vtd-brokerd kept them out while it could have been the one to close the connection. */
        result = vtd_record_accept_fds(VTD_WORKER_FD_CONNECTION, true);
        if (result < 0 && result != -ENOPROTOOPT)
                return VTD_WORKER_EXIT_INHERITED;
        if (host == VTD_HOST_LINUX && !is_character_device(VTD_WORKER_FD_IOMMU, &status))
                return VTD_WORKER_EXIT_INHERITED;
        if (is_open(last + 1) || close_range((unsigned)last + 1, ~0u, 0) < 0)
                return VTD_WORKER_EXIT_INHERITED;
        return VTD_WORKER_EXIT_DONE;
}

/*
 * Stage 3.
 * Should: make the process unreadable for others of its user, and keep libuv from setting up an
 * io_uring, whose operations no filter sees.
 * Mustn't: come after the event loop.
 */
enum vtd_worker_exit vtd_sandbox_prepare_process(struct vtd_log *log)
{
        int result = 0;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                result = fail_errno(log, "no_new_privs not set");
        else if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                result = fail_errno(log, "process not made undumpable");
        else
                result = vtd_seccomp_refuse_io_uring(log);
        return result == 0 ? VTD_WORKER_EXIT_DONE : VTD_WORKER_EXIT_PROCESS;
}

static int set_limit(int resource, rlim_t value, const char *name, struct vtd_log *log)
{
        const struct rlimit limit = {.rlim_cur = value, .rlim_max = value};

        if (setrlimit((__rlimit_resource_t)resource, &limit) < 0) {
                int error = vtd_errno();

                return vtd_fail(log, error, "sandbox: limit %s = %llu not set: %s", name,
                                (unsigned long long)value, strerror(-error));
        }
        return 0;
}

/*
 * Pinned guest memory is charged to the worker's user, which is this VM's alone, against this
 * limit: the kernel itself then keeps the VM to its quota.  Pins are whole pages, and a page at
 * the border of two mappings is charged twice: one page of slack for each mapping that there may
 * be.
 *
 * The simulated host pins nothing, so that there the limit need not be raised, which takes a
 * privilege; it is only ever lowered.
 */
static int limit_locked_memory(const struct vtd_sandbox_config *config, struct vtd_log *log)
{
        uint64_t slack = VTD_LIMIT_MAPPINGS * VTD_PAGE_SIZE;
        struct rlimit present;
        uint64_t wanted;

        if (!vtd_add_u64(config->memory, slack, &wanted))
                return vtd_fail(log, -ERANGE, "sandbox: memory quota %llu is out of range",
                                (unsigned long long)config->memory);
        if (getrlimit(RLIMIT_MEMLOCK, &present) < 0)
                return fail_errno(log, "limit MEMLOCK not readable");
        if (config->host == VTD_HOST_SIMULATED && present.rlim_max < wanted)
                wanted = present.rlim_max;
        return set_limit(RLIMIT_MEMLOCK, wanted, "MEMLOCK", log);
}

/*
 * Stage 5.
 * Should: leave no way to write a file, dump core, create a task, or hold many descriptors.
 * Mustn't: limit DATA or AS: all memory of a VM is allocated at its start by policy, and the
 * simulated host maps guest memory, whose size AS would have to follow.
 */
static int stage_limits(const struct vtd_sandbox_config *config, struct vtd_log *log)
{
        static const struct {
                int resource;
                rlim_t value;
                const char *name;
        } limits[] = {
                {RLIMIT_CORE, 0, "CORE"},
                {RLIMIT_FSIZE, 0, "FSIZE"},
                {RLIMIT_NPROC, 0, "NPROC"},
                {RLIMIT_MSGQUEUE, 0, "MSGQUEUE"},
                {RLIMIT_SIGPENDING, 0, "SIGPENDING"},
                {RLIMIT_NOFILE, DESCRIPTORS_MAX, "NOFILE"},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(limits); i++) {
                int result = set_limit(limits[i].resource, limits[i].value, limits[i].name, log);

                if (result < 0)
                        return result;
        }
        return limit_locked_memory(config, log);
}

/*
 * Stage 6.
 * Should: make an empty tmpfs the root of this mount namespace and let go of everything else.  The
 * one inode is the root directory's; size=0 would mean "no limit", so one page it is.
 * Mustn't: let a mount travel back to the host (hence private, recursively).
 */
static int stage_root(struct vtd_log *log)
{
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return fail_errno(log, "mounts not made private");
        /* On /proc because that exists: vtd-brokerd has used it. */
        if (mount("none", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                  "size=4096,nr_inodes=1,mode=0555") < 0)
                return fail_errno(log, "empty root not mounted");
        if (chdir("/proc") < 0)
                return fail_errno(log, "empty root not entered");
        if (syscall(SYS_pivot_root, ".", ".") < 0)
                return fail_errno(log, "root not exchanged");
        if (umount2(".", MNT_DETACH) < 0)
                return fail_errno(log, "old root not detached");
        if (chdir("/") < 0)
                return fail_errno(log, "empty root not entered");
        return 0;
}

/*
 * Stage 7.
 * Should: empty the bounding set and lock the secure bits while that is still allowed, then change
 * all three user and group ids.
 * Mustn't: keep supplementary groups.  In a user namespace without privilege the kernel forbids to
 * change them; there they are vtd-brokerd's own, which the ready line says.
 */
static int stage_identity(const struct vtd_sandbox_config *config, struct vtd_log *log)
{
        int result;

        result = vtd_caps_close_sources(log);
        if (result < 0)
                return result;
        if (!config->rootless && setgroups(0, NULL) < 0)
                return fail_errno(log, "supplementary groups not dropped");
        if (setresgid(config->gid, config->gid, config->gid) < 0)
                return fail_errno(log, "group not changed");
        if (setresuid(config->uid, config->uid, config->uid) < 0)
                return fail_errno(log, "user not changed");
        return 0;
}

/*
 * Stage 9.
 * Should: try what a program with leftovers of privilege could do.
 * Mustn't: succeed in any of it.
 */
static int stage_regain(struct vtd_log *log)
{
        if (setresuid(0, 0, 0) == 0 || setuid(0) == 0)
                return vtd_fail(log, -EPERM, "sandbox: user 0 could be regained");
        if (setresgid(0, 0, 0) == 0 || setgid(0) == 0)
                return vtd_fail(log, -EPERM, "sandbox: group 0 could be regained");
        if (mount("none", "/", "tmpfs", 0, NULL) == 0 || chroot("/") == 0)
                return vtd_fail(log, -EPERM, "sandbox: the root could be changed again");
        return vtd_caps_verify_lost(log);
}

/*
 * Stage 10.
 * Should: be killed when vtd-brokerd ends, and notice if that has happened before.  getppid() is 0
 * for the first process of a PID namespace at all times; the control channel tells instead.
 * Mustn't: come before the change of user, which clears the signal, nor leave the process dumpable,
 * which the change of user may have reset.
 */
static int stage_parent(struct vtd_log *log)
{
        struct pollfd control = {.fd = VTD_WORKER_FD_CONTROL};

        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return fail_errno(log, "process not made undumpable");
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                return fail_errno(log, "parent-death signal not set");
        if (poll(&control, 1, 0) < 0)
                return fail_errno(log, "control channel not judged");
        if (control.revents & (POLLHUP | POLLERR | POLLNVAL))
                return vtd_fail(log, -ECONNRESET, "sandbox: vtd-brokerd is gone");
        return 0;
}

/* The root directory, opened before Landlock denies it; it must have no entry and no parent. */
static int check_root(struct vtd_log *log)
{
        struct stat root, parent;
        struct statvfs flags;
        struct statfs kind;
        struct dirent *entry;
        size_t entries = 0;
        DIR *directory;

        if (stat("/", &root) < 0 || stat("/..", &parent) < 0 || statfs("/", &kind) < 0 ||
            statvfs("/", &flags) < 0)
                return fail_errno(log, "root not judged");
        if (kind.f_type != TMPFS_MAGIC || root.st_ino != parent.st_ino ||
            root.st_dev != parent.st_dev)
                return vtd_fail(log, -EPERM, "sandbox: the root is not the empty file system");
        if ((flags.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC)) !=
            (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC))
                return vtd_fail(log, -EPERM, "sandbox: the root has mount flags %#lx",
                                flags.f_flag);
        directory = opendir("/");
        if (!directory)
                return fail_errno(log, "root not opened");
        while ((entry = readdir(directory)) != NULL)
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        entries++;
        if (closedir(directory) < 0)
                return fail_errno(log, "root not closed");
        return entries == 0 ? 0
                            : vtd_fail(log, -EPERM, "sandbox: %zu entries in the root", entries);
}

/*
 * Stage 11.
 * Should: deny all, after a last look at the root, which is possible no more after that.
 * Mustn't: go on below the ABI that vtd-brokerd asks for.
 */
static int stage_landlock(const struct vtd_sandbox_config *config,
                          struct vtd_sandbox_report *report, struct vtd_log *log)
{
        VTD_CLEANUP_FD int fd = -1;
        int result;

        result = check_root(log);
        if (result < 0)
                return result;
        result = vtd_landlock_deny_all(config->landlock_abi_min, &report->landlock_abi, log);
        if (result < 0)
                return result;
        fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 || errno != EACCES)
                return vtd_fail(log, -EPERM, "sandbox: Landlock does not deny opening the root");
        return 0;
}

static int check_identity(const struct vtd_sandbox_config *config, struct vtd_log *log)
{
        uid_t uid[3];
        gid_t gid[3];

        if (getresuid(&uid[0], &uid[1], &uid[2]) < 0 || getresgid(&gid[0], &gid[1], &gid[2]) < 0)
                return fail_errno(log, "identity not readable");
        for (size_t i = 0; i < 3; i++)
                if (uid[i] != config->uid || gid[i] != config->gid)
                        return vtd_fail(log, -EPERM, "sandbox: user %u or group %u is left", uid[i],
                                        gid[i]);
        if (!config->rootless && getgroups(0, NULL) != 0)
                return vtd_fail(log, -EPERM, "sandbox: supplementary groups are left");
        return 0;
}

static int check_limit(int resource, rlim_t most, struct vtd_log *log)
{
        struct rlimit limit;

        if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
                return fail_errno(log, "limit not readable");
        if (limit.rlim_cur > most || limit.rlim_max > most)
                return vtd_fail(log, -EPERM, "sandbox: limit %d is above %llu", resource,
                                (unsigned long long)most);
        return 0;
}

/*
 * Stage 12.
 * Should: read back every layer that the filter's own system call table leaves no call for.
 * Mustn't: repair anything.
 */
static int stage_recheck(const struct vtd_sandbox_config *config, struct vtd_log *log)
{
        int signal = 0, result;

        if (getpid() != 1)
                return vtd_fail(log, -EPERM, "sandbox: not in a PID namespace of its own");
        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
                return vtd_fail(log, -EPERM, "sandbox: no_new_privs is not set");
        if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
                return vtd_fail(log, -EPERM, "sandbox: the process is dumpable");
        if (prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) < 0 || signal != SIGKILL)
                return vtd_fail(log, -EPERM, "sandbox: the parent-death signal is not set");
        result = check_identity(config, log);
        if (result == 0)
                result = vtd_caps_verify_none(log);
        if (result == 0)
                result = check_limit(RLIMIT_CORE, 0, log);
        if (result == 0)
                result = check_limit(RLIMIT_FSIZE, 0, log);
        if (result == 0)
                result = check_limit(RLIMIT_NPROC, 0, log);
        if (result == 0)
                result = check_limit(RLIMIT_NOFILE, DESCRIPTORS_MAX, log);
        return result;
}

/*
 * Stage 13.
 * Should: load the table for the host that this program is built for.
 * Mustn't: be followed by anything that the table has no row for.
 */
static int stage_seccomp(const struct vtd_sandbox_config *config, struct vtd_sandbox_report *report,
                         struct vtd_log *log)
{
        int result;

        result = vtd_seccomp_load(config->host, &report->seccomp_rules, log);
        if (result < 0)
                return result;
        if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 2)
                return vtd_fail(log, -EPERM, "sandbox: the system call filter is not in force");
        return 0;
}

enum vtd_worker_exit vtd_sandbox_enter(const struct vtd_sandbox_config *config,
                                       struct vtd_sandbox_report *report, struct vtd_log *log)
{
        if (stage_limits(config, log) < 0)
                return VTD_WORKER_EXIT_LIMITS;
        if (stage_root(log) < 0)
                return VTD_WORKER_EXIT_ROOT;
        if (stage_identity(config, log) < 0)
                return VTD_WORKER_EXIT_IDENTITY;
        /* Stage 8. */
        if (vtd_caps_drop_all(log) < 0)
                return VTD_WORKER_EXIT_CAPABILITIES;
        if (stage_regain(log) < 0)
                return VTD_WORKER_EXIT_REGAIN;
        if (stage_parent(log) < 0)
                return VTD_WORKER_EXIT_PARENT;
        if (stage_landlock(config, report, log) < 0)
                return VTD_WORKER_EXIT_LANDLOCK;
        if (stage_recheck(config, log) < 0)
                return VTD_WORKER_EXIT_RECHECK;
        if (stage_seccomp(config, report, log) < 0)
                return VTD_WORKER_EXIT_SECCOMP;
        return VTD_WORKER_EXIT_DONE;
}
