/* SPDX-License-Identifier: MIT */
/*
 * See probe.h.  System calls are made by number, so that what is tried is what is written here, and
 * not what a C library makes of it.
 */
#include "tests/breakout/probe.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "broker/control/control.h"
#include "shared/checked.h"

#define LINUX     (1u << VTD_HOST_LINUX)
#define SIMULATED (1u << VTD_HOST_SIMULATED)
#define BOTH      (LINUX | SIMULATED)

#define PROBE(name_, ...)                                                                          \
        static long name_(void)                                                                    \
        {                                                                                          \
                return syscall(__VA_ARGS__);                                                       \
        }

static char area[4096] __attribute__((aligned(4096)));
static const char *const no_arguments[] = {"/bin/sh", NULL};

/* Files and names. */
PROBE(open_file, SYS_open, "/etc/passwd", O_RDONLY, 0)
PROBE(open_relative, SYS_openat, AT_FDCWD, ".", O_RDONLY | O_DIRECTORY, 0)
PROBE(open_process, SYS_openat, AT_FDCWD, "/proc/1/mem", O_RDWR, 0)
PROBE(open_handle, SYS_open_by_handle_at, AT_FDCWD, area, O_RDONLY)
PROBE(stat_path, SYS_stat, "/", area)
PROBE(statx_path, SYS_statx, AT_FDCWD, "/", 0, 0, area)
PROBE(stat_by_name, SYS_newfstatat, AT_FDCWD, "/", area, 0)
PROBE(make_directory, SYS_mkdir, "/x", 0700)
PROBE(make_link, SYS_symlink, "/", "/x")
PROBE(unlink_file, SYS_unlink, "/x")
PROBE(change_mode, SYS_fchmod, VTD_WORKER_FD_CONTROL, 0777)
PROBE(make_memory, SYS_memfd_create, "x", 0)
PROBE(list_directory, SYS_getdents64, VTD_WORKER_FD_CONTROL, area, sizeof(area))
PROBE(change_root, SYS_chroot, "/")
PROBE(mount_something, SYS_mount, "none", "/", "tmpfs", 0, NULL)
PROBE(unmount_something, SYS_umount2, "/", 2)
PROBE(pivot, SYS_pivot_root, ".", ".")

/* Sockets, and descriptors for others. */
PROBE(make_inet_socket, SYS_socket, AF_INET, SOCK_STREAM, 0)
PROBE(make_netlink_socket, SYS_socket, AF_NETLINK, SOCK_RAW, 0)
PROBE(make_unix_socket, SYS_socket, AF_UNIX, SOCK_STREAM, 0)
PROBE(make_pair, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, area)
PROBE(listen_on_connection, SYS_listen, VTD_WORKER_FD_CONNECTION, 1)
PROBE(accept_on_connection, SYS_accept4, VTD_WORKER_FD_CONNECTION, NULL, NULL, 0)
PROBE(copy_descriptor, SYS_dup, VTD_WORKER_FD_CONTROL)
PROBE(copy_over, SYS_dup2, VTD_WORKER_FD_CONTROL, VTD_WORKER_FD_CONNECTION)
PROBE(copy_low, SYS_fcntl, VTD_WORKER_FD_CONTROL, F_DUPFD, 0)
PROBE(change_flags, SYS_fcntl, VTD_WORKER_FD_CONNECTION, F_SETFL, 0)
PROBE(own_signals, SYS_fcntl, VTD_WORKER_FD_CONNECTION, F_SETOWN, 1)
PROBE(seal_memory, SYS_fcntl, VTD_WORKER_FD_CONNECTION, F_ADD_SEALS, 0)
PROBE(write_descriptor, SYS_write, VTD_WORKER_FD_CONNECTION, "x", 1)
PROBE(read_descriptor, SYS_read, VTD_WORKER_FD_CONNECTION, area, 1)
PROBE(send_to_name, SYS_sendto, VTD_WORKER_FD_CONNECTION, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL, area,
      sizeof(struct sockaddr_un))
PROBE(send_elsewhere, SYS_sendto, 0, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0)
PROBE(receive_elsewhere, SYS_recvmsg, 0, area, 0)
PROBE(steal_descriptor, SYS_pidfd_getfd, VTD_WORKER_FD_CONTROL, 0, 0)

/* Abstract names need no file system: with the socket that there is, since none can be made. */
static long connect_abstract(void)
{
        const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0name"};

        return syscall(SYS_connect, VTD_WORKER_FD_CONNECTION, &address, sizeof(address));
}

static long bind_abstract(void)
{
        const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0name"};

        return syscall(SYS_bind, VTD_WORKER_FD_CONNECTION, &address, sizeof(address));
}

/* The worst there is: the host's descriptors in the hands of the VMM. */
static long pass_descriptor(void)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {.bytes = {0}};
        struct iovec data = {.iov_base = area, .iov_len = 1};
        struct msghdr message = {.msg_iov = &data,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof(control.bytes)};

        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(int));
        *(int *)(void *)CMSG_DATA(&control.align) = VTD_WORKER_FD_IOMMU;
        return syscall(SYS_sendmsg, VTD_WORKER_FD_CONNECTION, &message, MSG_DONTWAIT);
}

/* Programs, processes, threads, signals. */
PROBE(run_program, SYS_execve, "/bin/sh", no_arguments, NULL)
PROBE(run_descriptor, SYS_execveat, VTD_WORKER_FD_CONTROL, "", no_arguments, NULL, AT_EMPTY_PATH)
PROBE(make_process, SYS_fork)
PROBE(make_process_sharing, SYS_vfork)
PROBE(make_process_anew, SYS_clone, SIGCHLD, 0, 0, 0, 0)
PROBE(make_thread, SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, area + 2048, 0, 0, 0)
PROBE(make_task, SYS_clone3, area, sizeof(struct clone_args))
PROBE(signal_first, SYS_kill, 1, SIGKILL)
PROBE(signal_everybody, SYS_kill, -1, SIGKILL)
PROBE(signal_thread, SYS_tgkill, 1, 1, SIGKILL)
PROBE(signal_by_descriptor, SYS_pidfd_send_signal, VTD_WORKER_FD_CONTROL, SIGKILL, NULL, 0)
PROBE(open_process_descriptor, SYS_pidfd_open, 1, 0)
PROBE(handle_signal, SYS_rt_sigaction, SIGSYS, NULL, NULL, 8)
PROBE(trace, SYS_ptrace, PTRACE_ATTACH, 1, 0, 0)
PROBE(read_other_memory, SYS_process_vm_readv, 1, area, 1, area, 1, 0)
PROBE(write_other_memory, SYS_process_vm_writev, 1, area, 1, area, 1, 0)
PROBE(compare_kernel_objects, SYS_kcmp, 1, 1, 0, 0, 0)
PROBE(die_loudly, SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)
PROBE(outlive_parent, SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0)
PROBE(be_reaper, SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

/* Memory that is code. */
PROBE(map_code, SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
PROBE(map_writable_code, SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
PROBE(map_in_place, SYS_mmap, area, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
PROBE(map_shared, SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, VTD_WORKER_FD_IOMMU, 0)
PROBE(make_code, SYS_mprotect, area, 4096, PROT_READ | PROT_EXEC)
PROBE(make_code_by_key, SYS_pkey_mprotect, area, 4096, PROT_READ | PROT_EXEC, 0)
PROBE(move_memory, SYS_mremap, area, 4096, 8192, MREMAP_MAYMOVE, 0)
PROBE(be_other_personality, SYS_personality, 0x0400000) /* READ_IMPLIES_EXEC */

/* Privilege. */
PROBE(be_root, SYS_setuid, 0)
PROBE(be_root_all_over, SYS_setresuid, 0, 0, 0)
PROBE(be_root_group, SYS_setresgid, 0, 0, 0)
PROBE(join_groups, SYS_setgroups, 0, NULL)
PROBE(take_capabilities, SYS_capset, area, area)
PROBE(keep_capabilities, SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0)
PROBE(raise_capability, SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0)
PROBE(raise_limit, SYS_prlimit64, 0, RLIMIT_MEMLOCK, area, NULL)
PROBE(leave_namespace, SYS_unshare, CLONE_NEWUSER)
PROBE(enter_namespace, SYS_setns, VTD_WORKER_FD_CONTROL, 0)
PROBE(add_filter, SYS_seccomp, 1, 0, area)
PROBE(strict_mode, SYS_prctl, PR_SET_SECCOMP, 1, 0, 0, 0)
PROBE(landlock, SYS_landlock_create_ruleset, NULL, 0, 1)

/* Large interfaces of the kernel, and time. */
PROBE(io_ring, SYS_io_uring_setup, 1, area)
PROBE(io_ring_enter, SYS_io_uring_enter, VTD_WORKER_FD_CONTROL, 1, 0, 0, NULL, 0)
PROBE(io_context, SYS_io_setup, 1, area)
PROBE(program_kernel, SYS_bpf, BPF_PROG_LOAD, area, 128)
PROBE(fault_handler, SYS_userfaultfd, 0)
PROBE(add_key, SYS_add_key, "user", "x", "x", 1, -3)
PROBE(request_key, SYS_request_key, "user", "x", NULL, 0)
PROBE(control_keys, SYS_keyctl, 0, -3, 1, 0, 0)
PROBE(count_events, SYS_perf_event_open, area, 0, -1, -1, 0)
PROBE(watch_files, SYS_inotify_init1, 0)
PROBE(watch_all_files, SYS_fanotify_init, 0, 0)
PROBE(load_module, SYS_finit_module, VTD_WORKER_FD_CONTROL, "", 0)
PROBE(load_kernel, SYS_kexec_file_load, 3, 3, 0, "", 0)
PROBE(restart_machine, SYS_reboot, 0, 0, 0, NULL)
PROBE(use_ports, SYS_ioperm, 0, 1, 1)
PROBE(use_all_ports, SYS_iopl, 3)
PROBE(change_segments, SYS_modify_ldt, 1, area, 16)
PROBE(set_time, SYS_clock_settime, CLOCK_REALTIME, area)
PROBE(adjust_time, SYS_adjtimex, area)
PROBE(set_timer, SYS_timer_create, CLOCK_MONOTONIC, NULL, area)
PROBE(set_priority, SYS_setpriority, PRIO_PROCESS, 0, -20)
PROBE(pick_processor, SYS_sched_setaffinity, 0, 8, area)
PROBE(be_real_time, SYS_sched_setscheduler, 0, 1, area)
PROBE(lock_memory, SYS_mlockall, 1)
PROBE(swap, SYS_swapon, "/x", 0)
PROBE(name_host, SYS_sethostname, "x", 1)
PROBE(read_log, SYS_syslog, 3, area, sizeof(area))
PROBE(no_such_call, 1000)
/* The same numbers in the kernel's other tables. */
PROBE(other_table, 0x40000000 + SYS_getpid)

static long old_gate(void)
{
        long result = 20; /* getpid() of 32-bit programs */

        __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
        return result;
}

/* ioctl() numbers that the worker has no row for, and those that it has on other descriptors. */
PROBE(map_own_memory, SYS_ioctl, VTD_WORKER_FD_IOMMU, 0x3b85, area)
PROBE(copy_address_space, SYS_ioctl, VTD_WORKER_FD_IOMMU, 0x3b83, area)
PROBE(change_option, SYS_ioctl, VTD_WORKER_FD_IOMMU, 0x3b87, area)
PROBE(be_vfio_container, SYS_ioctl, VTD_WORKER_FD_IOMMU, 0x3b88, area)
PROBE(make_fault_queue, SYS_ioctl, VTD_WORKER_FD_IOMMU, 0x3b8e, area)
PROBE(make_viommu, SYS_ioctl, VTD_WORKER_FD_IOMMU, 0x3b90, area)
PROBE(change_process, SYS_ioctl, VTD_WORKER_FD_IOMMU, 0x3b92, area)
PROBE(describe_reset_of_others, SYS_ioctl, 7, 0x3b70, area)
PROBE(reset_others_too, SYS_ioctl, 7, 0x3b71, area)
PROBE(device_feature, SYS_ioctl, VTD_WORKER_FD_IOMMU, 0x3b75, area)
PROBE(signal_device, SYS_ioctl, 7, 0x3b74, area)
PROBE(high_bits, SYS_ioctl, VTD_WORKER_FD_IOMMU, 0x100003b80, area)
PROBE(destroy_elsewhere, SYS_ioctl, VTD_WORKER_FD_CONTROL, 0x3b80, area)
PROBE(map_elsewhere, SYS_ioctl, VTD_WORKER_FD_CONNECTION, 0x3b8f, area)
PROBE(invalidate_elsewhere, SYS_ioctl, 7, 0x3b8d, area)
PROBE(type_on_terminal, SYS_ioctl, 0, 0x5412, area)

#define ROW(name_)                                                                                 \
        {                                                                                          \
#name_, name_, BOTH, false                                                         \
        }
#define ROW_LINUX(name_)                                                                           \
        {                                                                                          \
#name_, name_, LINUX, false                                                        \
        }

/* clang-format off: as many to a line as fit */
static const struct probe probes[] = {
        ROW(open_file),
        ROW(open_relative),
        ROW(open_process),
        ROW(open_handle),
        ROW(stat_path),
        ROW(statx_path),
        ROW(stat_by_name),
        ROW(make_directory),
        ROW(make_link),
        ROW(unlink_file),
        ROW(change_mode),
        ROW(make_memory),
        ROW(list_directory),
        ROW(change_root),
        ROW(mount_something),
        ROW(unmount_something),
        ROW(pivot),

        ROW(make_inet_socket),
        ROW(make_netlink_socket),
        ROW(make_unix_socket),
        ROW(make_pair),
        ROW(listen_on_connection),
        ROW(accept_on_connection),
        ROW(connect_abstract),
        ROW(bind_abstract),
        ROW(copy_descriptor),
        ROW(copy_over),
        ROW(copy_low),
        ROW(change_flags),
        ROW(own_signals),
        ROW(seal_memory),
        ROW(write_descriptor),
        ROW(read_descriptor),
        ROW(send_to_name),
        ROW(send_elsewhere),
        ROW(receive_elsewhere),
        ROW(steal_descriptor),
        ROW(pass_descriptor),

        ROW(run_program),
        ROW(run_descriptor),
        ROW(make_process),
        ROW(make_process_sharing),
        ROW(make_process_anew),
        ROW(make_thread),
        ROW(make_task),
        ROW(signal_first),
        ROW(signal_everybody),
        ROW(signal_thread),
        ROW(signal_by_descriptor),
        ROW(open_process_descriptor),
        ROW(handle_signal),
        ROW(trace),
        ROW(read_other_memory),
        ROW(write_other_memory),
        ROW(compare_kernel_objects),
        ROW(die_loudly),
        ROW(outlive_parent),
        ROW(be_reaper),

        ROW(map_code),
        ROW(map_writable_code),
        ROW(map_in_place),
        ROW_LINUX(map_shared),
        ROW(make_code),
        ROW(make_code_by_key),
        ROW(move_memory),
        ROW(be_other_personality),

        ROW(be_root),
        ROW(be_root_all_over),
        ROW(be_root_group),
        ROW(join_groups),
        ROW(take_capabilities),
        ROW(keep_capabilities),
        ROW(raise_capability),
        ROW(raise_limit),
        ROW(leave_namespace),
        ROW(enter_namespace),
        ROW(add_filter),
        ROW(strict_mode),
        ROW(landlock),

        ROW(io_ring),
        ROW(io_ring_enter),
        ROW(io_context),
        ROW(program_kernel),
        ROW(fault_handler),
        ROW(add_key),
        ROW(request_key),
        ROW(control_keys),
        ROW(count_events),
        ROW(watch_files),
        ROW(watch_all_files),
        ROW(load_module),
        ROW(load_kernel),
        ROW(restart_machine),
        ROW(use_ports),
        ROW(use_all_ports),
        ROW(change_segments),
        ROW(set_time),
        ROW(adjust_time),
        ROW(set_timer),
        ROW(set_priority),
        ROW(pick_processor),
        ROW(be_real_time),
        ROW(lock_memory),
        ROW(swap),
        ROW(name_host),
        ROW(read_log),
        ROW(no_such_call),
        ROW(other_table),
        {"old_gate", old_gate, BOTH, true},

        ROW(map_own_memory),
        ROW(copy_address_space),
        ROW(change_option),
        ROW(be_vfio_container),
        ROW(make_fault_queue),
        ROW(make_viommu),
        ROW(change_process),
        ROW(describe_reset_of_others),
        ROW(reset_others_too),
        ROW(device_feature),
        ROW(signal_device),
        ROW(high_bits),
        ROW(destroy_elsewhere),
        ROW(map_elsewhere),
        ROW(invalidate_elsewhere),
        ROW(type_on_terminal),
};
/* clang-format on */

const struct probe *probe_at(size_t number)
{
        return number < VTD_ARRAY_SIZE(probes) ? &probes[number] : NULL;
}
