/* SPDX-License-Identifier: MIT */
/*
 * The filter of a worker, twice: as exported BPF, interpreted here for every row of the table and
 * every system call number; and loaded for good in child processes that try what must kill them.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/control/control.h"
#include "broker/sandbox/seccomp_filter.h"
#include "broker/sandbox/seccomp_table.h"
#include "shared/checked.h"

#define PROGRAM_MAX 4096

struct program {
        struct sock_filter code[PROGRAM_MAX];
        size_t length;
};

static void export_program(enum vtd_host_kind host, struct program *program)
{
        int fd = memfd_create("filter", MFD_CLOEXEC);
        ssize_t size;

        assert_true(fd >= 0);
        assert_int_equal(vtd_seccomp_export(host, fd, NULL), 0);
        size = pread(fd, program->code, sizeof(program->code), 0);
        assert_true(size > 0 && (size_t)size < sizeof(program->code));
        assert_int_equal((size_t)size % sizeof(program->code[0]), 0);
        program->length = (size_t)size / sizeof(program->code[0]);
        (void)close(fd);
}

static bool jumps(uint16_t code, uint32_t a, uint32_t k)
{
        switch (BPF_OP(code)) {
        case BPF_JEQ:
                return a == k;
        case BPF_JGT:
                return a > k;
        case BPF_JGE:
                return a >= k;
        case BPF_JSET:
                return (a & k) != 0;
        default:
                fail_msg("unknown jump %#x", code);
                return false;
        }
}

/* What the kernel would do: the part of classic BPF that libseccomp emits. */
static uint32_t run(const struct program *program, const struct seccomp_data *data)
{
        uint32_t a = 0;
        size_t at = 0;

        for (;;) {
                const struct sock_filter *i = &program->code[at++];

                assert_true(at <= program->length);
                switch (BPF_CLASS(i->code)) {
                case BPF_LD:
                        assert_int_equal(i->code, BPF_LD | BPF_W | BPF_ABS);
                        assert_true(i->k + sizeof(a) <= sizeof(*data));
                        memcpy(&a, (const char *)data + i->k, sizeof(a));
                        break;
                case BPF_ALU:
                        assert_int_equal(i->code, BPF_ALU | BPF_AND | BPF_K);
                        a &= i->k;
                        break;
                case BPF_JMP:
                        if (BPF_OP(i->code) == BPF_JA)
                                at += i->k;
                        else
                                at += jumps(i->code, a, i->k) ? i->jt : i->jf;
                        break;
                case BPF_RET:
                        return i->k;
                default:
                        fail_msg("unknown instruction %#x", i->code);
                }
        }
}

/* A call that fits @row exactly. */
static struct seccomp_data call_of(const struct vtd_seccomp_row *row)
{
        struct seccomp_data data = {.nr = row->syscall, .arch = AUDIT_ARCH_X86_64};

        for (size_t i = 0; i < VTD_SECCOMP_CONDITIONS && row->conditions[i].mask != 0; i++)
                data.args[row->conditions[i].argument] = row->conditions[i].value;
        return data;
}

/* The same judgement as the filter's, from the table: is there a row that allows @data? */
static bool is_in_table(enum vtd_host_kind host, const struct seccomp_data *data)
{
        const enum vtd_seccomp_set sets[] = {
                VTD_SECCOMP_BASE,
                host == VTD_HOST_LINUX ? VTD_SECCOMP_LINUX : VTD_SECCOMP_SIMULATED,
                VTD_SECCOMP_SANITIZER,
        };

        for (size_t s = 0; s < VTD_ARRAY_SIZE(sets); s++) {
                size_t count;
                const struct vtd_seccomp_row *rows = vtd_seccomp_rows(sets[s], &count);

                for (size_t r = 0; r < count; r++) {
                        bool fits = rows[r].syscall == data->nr;

                        for (size_t i = 0; i < VTD_SECCOMP_CONDITIONS; i++) {
                                const struct vtd_seccomp_condition *c = &rows[r].conditions[i];

                                if (c->mask != 0 && (data->args[c->argument] & c->mask) != c->value)
                                        fits = false;
                        }
                        if (fits)
                                return true;
                }
        }
        return false;
}

static void assert_judged_by_table(const struct program *program, enum vtd_host_kind host,
                                   const struct seccomp_data *data)
{
        assert_int_equal(run(program, data),
                         is_in_table(host, data) ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS);
}

/* Every row passes as it is; with any one bit of any argument changed, the table decides. */
static void walk_rows(enum vtd_host_kind host)
{
        const enum vtd_seccomp_set sets[] = {
                VTD_SECCOMP_BASE,
                host == VTD_HOST_LINUX ? VTD_SECCOMP_LINUX : VTD_SECCOMP_SIMULATED,
                VTD_SECCOMP_SANITIZER,
        };
        struct program program;

        export_program(host, &program);
        for (size_t s = 0; s < VTD_ARRAY_SIZE(sets); s++) {
                size_t count;
                const struct vtd_seccomp_row *rows = vtd_seccomp_rows(sets[s], &count);

                for (size_t r = 0; r < count; r++) {
                        struct seccomp_data data = call_of(&rows[r]);

                        assert_int_equal(run(&program, &data), SECCOMP_RET_ALLOW);
                        for (unsigned bit = 0; bit < 6 * 64; bit++) {
                                struct seccomp_data changed = data;

                                changed.args[bit / 64] ^= UINT64_C(1) << (bit % 64);
                                assert_judged_by_table(&program, host, &changed);
                        }
                }
        }
}

static void test_every_row_passes_and_nothing_beside_it(void **state)
{
        (void)state;
        walk_rows(VTD_HOST_SIMULATED);
        walk_rows(VTD_HOST_LINUX);
}

static void test_calls_without_a_row_kill(void **state)
{
        static const enum vtd_host_kind hosts[] = {VTD_HOST_SIMULATED, VTD_HOST_LINUX};

        (void)state;
        for (size_t h = 0; h < VTD_ARRAY_SIZE(hosts); h++) {
                struct program program;

                export_program(hosts[h], &program);
                for (int number = 0; number < 1024; number++) {
                        struct seccomp_data data = {.nr = number, .arch = AUDIT_ARCH_X86_64};

                        assert_judged_by_table(&program, hosts[h], &data);
                        /* 32-bit programs and x32 do not exist here. */
                        data.arch = AUDIT_ARCH_I386;
                        assert_int_equal(run(&program, &data), SECCOMP_RET_KILL_PROCESS);
                        data.arch = AUDIT_ARCH_X86_64;
                        data.nr = number | 0x40000000;
                        assert_int_equal(run(&program, &data), SECCOMP_RET_KILL_PROCESS);
                }
        }
}

/* What no future row may let in, whatever its arguments. */
static void test_the_table_never_names_these(void **state)
{
        static const int never[] = {
                SYS_open,
                SYS_openat,
                SYS_openat2,
                SYS_creat,
                SYS_socket,
                SYS_connect,
                SYS_bind,
                SYS_sendmsg,
                SYS_sendmmsg,
                SYS_splice,
                SYS_vmsplice,
                SYS_accept4,
                SYS_execve,
                SYS_execveat,
                SYS_fork,
                SYS_vfork,
                SYS_clone,
                SYS_clone3,
                SYS_ptrace,
                SYS_process_vm_readv,
                SYS_mprotect,
                SYS_mremap,
                SYS_io_uring_setup,
                SYS_io_uring_enter,
                SYS_bpf,
                SYS_userfaultfd,
                SYS_unshare,
                SYS_setns,
                SYS_mount,
                SYS_setresuid,
                SYS_setuid,
                SYS_capset,
                SYS_kill,
                SYS_tgkill,
                SYS_memfd_create,
                SYS_pidfd_getfd,
                SYS_dup,
                SYS_dup2,
                SYS_dup3,
                SYS_keyctl,
                SYS_chroot,
                SYS_pivot_root,
                SYS_name_to_handle_at,
                SYS_seccomp,
        };
        static const enum vtd_seccomp_set sets[] = {VTD_SECCOMP_BASE, VTD_SECCOMP_LINUX,
                                                    VTD_SECCOMP_SIMULATED, VTD_SECCOMP_SANITIZER};

        (void)state;
        for (size_t s = 0; s < VTD_ARRAY_SIZE(sets); s++) {
                size_t count;
                const struct vtd_seccomp_row *rows = vtd_seccomp_rows(sets[s], &count);

                for (size_t r = 0; r < count; r++) {
                        assert_true(rows[r].reason && rows[r].reason[0] != '\0');
                        for (size_t n = 0; n < VTD_ARRAY_SIZE(never); n++)
                                assert_int_not_equal(rows[r].syscall, never[n]);
                        /* An ioctl or prctl is always pinned to a number. */
                        if (rows[r].syscall == SYS_ioctl || rows[r].syscall == SYS_prctl)
                                assert_true(rows[r].conditions[0].mask == UINT64_MAX);
                        /* Executable memory is out of reach. */
                        if (rows[r].syscall == SYS_mmap)
                                assert_true(rows[r].conditions[0].argument == 2 &&
                                            (rows[r].conditions[0].mask & PROT_EXEC) != 0);
                }
        }
}

/* ioctl numbers that would be dangerous in a taken-over worker of the real host. */
static void test_dangerous_ioctls_kill(void **state)
{
        static const uint64_t numbers[] = {
                0x3b82, 0x3b83, 0x3b85, 0x3b87, 0x3b88, 0x3b8b, 0x3b8c,
                0x3b8e, 0x3b90, 0x3b91, 0x3b92, 0x3b93, 0x3b94, 0x3b95,
                0x3ba0, 0x3b64, 0x3b70, 0x3b71, 0x3b72, 0x3b74, 0x3b75,
        };
        struct program program;

        (void)state;
        export_program(VTD_HOST_LINUX, &program);
        for (uint64_t fd = 0; fd < 64; fd++) {
                struct seccomp_data data = {.nr = SYS_ioctl, .arch = AUDIT_ARCH_X86_64};

                data.args[0] = fd;
                for (size_t n = 0; n < VTD_ARRAY_SIZE(numbers); n++) {
                        data.args[1] = numbers[n];
                        assert_int_equal(run(&program, &data), SECCOMP_RET_KILL_PROCESS);
                }
                /* iommufd calls go to the one iommufd. */
                data.args[1] = 0x3b80;
                assert_int_equal(run(&program, &data), fd == VTD_WORKER_FD_IOMMU
                                                               ? SECCOMP_RET_ALLOW
                                                               : SECCOMP_RET_KILL_PROCESS);
        }
}

/* Loads the filter in a child, makes the call there, and returns how the child ended. */
static int try_call(long number, long a, long b, long c, long d)
{
        const struct rlimit no_core = {0, 0};
        int status;
        pid_t pid;

        pid = fork();
        if (pid == 0) {
                uint32_t rules;

                (void)setrlimit(RLIMIT_CORE, &no_core);
                if (vtd_seccomp_load(VTD_HOST_SIMULATED, &rules, NULL) < 0)
                        _exit(99);
                (void)syscall(number, a, b, c, d, 0, 0);
                (void)syscall(SYS_exit_group, 7);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static void assert_kills(long number, long a, long b, long c, long d)
{
        int status = try_call(number, a, b, c, d);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void assert_passes(long number, long a, long b, long c, long d)
{
        int status = try_call(number, a, b, c, d);

        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 7);
}

static void test_forbidden_calls_kill_a_process(void **state)
{
        (void)state;
        assert_kills(SYS_openat, AT_FDCWD, (long)"/", O_RDONLY, 0);
        assert_kills(SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0);
        assert_kills(SYS_clone, SIGCHLD, 0, 0, 0);
        assert_kills(SYS_execve, (long)"/bin/true", 0, 0, 0);
        assert_kills(SYS_io_uring_setup, 1, 0, 0, 0);
        assert_kills(SYS_kill, 1, 0, 0, 0);
        assert_kills(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0);
        assert_kills(SYS_recvmsg, 5, 0, 0, 0);
        /* A descriptor must not get out: neither to the VMM nor to vtd-brokerd. */
        assert_kills(SYS_sendmsg, VTD_WORKER_FD_CONTROL, 0, 0, 0);
        assert_kills(SYS_sendmsg, VTD_WORKER_FD_CONNECTION, 0, 0, 0);
        assert_kills(SYS_sendmmsg, VTD_WORKER_FD_CONNECTION, 0, 0, 0);
        assert_kills(SYS_sendto, 0, 0, 0, MSG_DONTWAIT | MSG_NOSIGNAL);
        assert_kills(SYS_fcntl, 3, F_SETFL, 0, 0);
        assert_kills(SYS_fcntl, 3, F_DUPFD_CLOEXEC, 100, 0);
        assert_kills(SYS_fcntl, 3, F_DUPFD, 3, 0);
        assert_kills(SYS_ioctl, 5, 0x3b80, 0, 0);
        assert_kills(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS);
        assert_kills(SYS_mprotect, 0, 4096, PROT_READ | PROT_EXEC, 0);
        assert_kills(SYS_ioctl, 3, 0x5401, 0, 0);
        /* Nothing but what an eventfd takes. */
        assert_kills(SYS_write, VTD_WORKER_FD_CONNECTION, (long)"x", 1, 0);
        assert_kills(SYS_write, VTD_WORKER_FD_CONNECTION, (long)"123456789", 9, 0);
}

static void test_allowed_calls_pass(void **state)
{
        (void)state;
        assert_passes(SYS_close, 100, 0, 0, 0);
        assert_passes(SYS_recvmsg, 3, 0, 0, 0);
        assert_passes(SYS_sendto, 4, 0, 0, MSG_DONTWAIT | MSG_NOSIGNAL);
        assert_passes(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0);
        assert_passes(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
        assert_passes(SYS_fcntl, 0, F_GETFL, 0, 0);
        assert_passes(SYS_clock_gettime, 0, 0, 0, 0);
        assert_passes(SYS_write, -1, 0, 8, 0);
}

static void test_io_uring_is_refused_before_the_loop(void **state)
{
        int status;
        pid_t pid;

        (void)state;
        pid = fork();
        if (pid == 0) {
                if (vtd_seccomp_refuse_io_uring(NULL) < 0)
                        _exit(99);
                if (syscall(SYS_io_uring_setup, 1, NULL) != -1 || errno != ENOSYS)
                        _exit(1);
                _exit(getppid() > 0 ? 7 : 2);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_row_passes_and_nothing_beside_it),
                cmocka_unit_test(test_calls_without_a_row_kill),
                cmocka_unit_test(test_the_table_never_names_these),
                cmocka_unit_test(test_dangerous_ioctls_kill),
                cmocka_unit_test(test_forbidden_calls_kill_a_process),
                cmocka_unit_test(test_allowed_calls_pass),
                cmocka_unit_test(test_io_uring_is_refused_before_the_loop),
        };

        return cmocka_run_group_tests_name("seccomp", tests, NULL, NULL);
}
