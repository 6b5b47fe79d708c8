/* SPDX-License-Identifier: MIT */
/*
 * See seccomp_table.h.
 *
 * The rules for a row: the call is made after READY; nothing above it does without; arguments are
 * pinned wherever the kernel gives them a number (descriptors 3, 4 and 5 are fixed; a device's
 * descriptor is not, because it comes over the control channel).  Never a row for a call that
 * opens, names, connects, executes, creates a process or thread, changes an identity, passes a
 * descriptor on, or maps executable memory; never io_uring, which would carry calls past this
 * filter.
 */
#include "broker/sandbox/seccomp_table.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/control/control.h"
#include "shared/checked.h"

_Static_assert(sizeof(void *) == 8, "the filter is written for 64-bit calls");

/*
 * ioctl numbers of iommufd and of VFIO devices, which the system's headers may be too old to name.
 * All are _IO(';', n): no direction or size bits, bit 31 clear.
 */
#define IOCTL_IOMMU_DESTROY          0x3b80u
#define IOCTL_IOMMU_IOAS_ALLOC       0x3b81u
#define IOCTL_IOMMU_IOAS_IOVA_RANGES 0x3b84u
#define IOCTL_IOMMU_IOAS_UNMAP       0x3b86u
#define IOCTL_IOMMU_HWPT_ALLOC       0x3b89u
#define IOCTL_IOMMU_GET_HW_INFO      0x3b8au
#define IOCTL_IOMMU_HWPT_INVALIDATE  0x3b8du
#define IOCTL_IOMMU_IOAS_MAP_FILE    0x3b8fu
#define IOCTL_VFIO_GET_INFO          0x3b6bu
#define IOCTL_VFIO_GET_REGION_INFO   0x3b6cu
#define IOCTL_VFIO_GET_IRQ_INFO      0x3b6du
#define IOCTL_VFIO_SET_IRQS          0x3b6eu
#define IOCTL_VFIO_RESET             0x3b6fu
#define IOCTL_VFIO_BIND_IOMMUFD      0x3b76u
#define IOCTL_VFIO_ATTACH            0x3b77u
#define IOCTL_VFIO_DETACH            0x3b78u

#define IS(argument_, value_)                                                                      \
        {                                                                                          \
                .argument = (argument_), .mask = UINT64_MAX, .value = (value_)                     \
        }
#define ONLY_BITS(argument_, bits_)                                                                \
        {                                                                                          \
                .argument = (argument_), .mask = ~(uint64_t)(bits_), .value = 0                    \
        }

#define ALLOW(call_, reason_)                                                                      \
        {                                                                                          \
                .syscall = (call_), .reason = (reason_)                                            \
        }
#define ALLOW_IF(call_, reason_, ...)                                                              \
        {                                                                                          \
                .syscall = (call_), .reason = (reason_), .conditions = { __VA_ARGS__ }             \
        }
#define IOMMU_CALL(number_, reason_)                                                               \
        ALLOW_IF(SYS_ioctl, reason_, IS(0, VTD_WORKER_FD_IOMMU), IS(1, number_))
#define DEVICE_CALL(number_, reason_) ALLOW_IF(SYS_ioctl, reason_, IS(1, number_))

/* send() of bytes alone, to the other end of a fixed socket. */
#define SEND_ON(fd_, reason_)                                                                      \
        ALLOW_IF(SYS_sendto, reason_, IS(0, fd_), IS(3, MSG_DONTWAIT | MSG_NOSIGNAL), IS(4, 0))

/* mmap() of memory that cannot become code. */
#define ALLOW_MAP(flags_, reason_)                                                                 \
        ALLOW_IF(SYS_mmap, reason_, ONLY_BITS(2, PROT_READ | PROT_WRITE), IS(3, flags_))

static const struct vtd_seccomp_row base_rows[] = {
        ALLOW_IF(SYS_recvmsg, "records of vtd-brokerd", IS(0, VTD_WORKER_FD_CONTROL)),
        ALLOW_IF(SYS_recvmsg, "requests", IS(0, VTD_WORKER_FD_CONNECTION)),
        /* Never sendmsg(): it would hand the iommufd and the devices to the VMM. */
        SEND_ON(VTD_WORKER_FD_CONTROL, "records for vtd-brokerd"),
        SEND_ON(VTD_WORKER_FD_CONNECTION, "replies"),
        ALLOW(SYS_epoll_wait, "event loop"),
        ALLOW(SYS_epoll_pwait, "event loop of newer libuv"),
        ALLOW(SYS_epoll_ctl, "event loop: back-pressure"),
        ALLOW(SYS_ppoll, "waiting for vtd-brokerd"),
        ALLOW(SYS_clock_gettime, "time, where the vDSO has none"),
        ALLOW(SYS_clock_nanosleep, "back-off while the host is busy"),
        ALLOW(SYS_restart_syscall, "after the task was stopped"),
        ALLOW(SYS_close, "received descriptors"),
        ALLOW(SYS_fstat, "judging a memfd"),
        /* fstat() of glibc 2.36; the root is empty, so that a path would find nothing. */
        ALLOW_IF(SYS_newfstatat, "judging a memfd", IS(3, AT_EMPTY_PATH)),
        ALLOW_IF(SYS_fcntl, "judging a memfd", IS(1, F_GET_SEALS)),
        ALLOW_IF(SYS_fcntl, "judging a memfd", IS(1, F_GETFL)),
        ALLOW_IF(SYS_fcntl, "binding a device", IS(1, F_DUPFD_CLOEXEC), IS(2, 3)),
        ALLOW(SYS_brk, "heap"),
        ALLOW_MAP(MAP_PRIVATE | MAP_ANONYMOUS, "heap"),
        ALLOW(SYS_munmap, "heap"),
        ALLOW_IF(SYS_prctl, "re-check of this filter", IS(0, PR_GET_SECCOMP)),
        ALLOW(SYS_exit_group, "the end"),
};

static const struct vtd_seccomp_row linux_rows[] = {
        IOMMU_CALL(IOCTL_IOMMU_DESTROY, "tables and address spaces"),
        IOMMU_CALL(IOCTL_IOMMU_IOAS_ALLOC, "stage 2"),
        IOMMU_CALL(IOCTL_IOMMU_IOAS_IOVA_RANGES, "reserved ranges"),
        /* Not IOAS_MAP: it would map this process's own memory for devices. */
        IOMMU_CALL(IOCTL_IOMMU_IOAS_MAP_FILE, "MapMemory"),
        IOMMU_CALL(IOCTL_IOMMU_IOAS_UNMAP, "UnmapMemory"),
        IOMMU_CALL(IOCTL_IOMMU_HWPT_ALLOC, "tables"),
        IOMMU_CALL(IOCTL_IOMMU_GET_HW_INFO, "capabilities of the device's IOMMU"),
        IOMMU_CALL(IOCTL_IOMMU_HWPT_INVALIDATE, "Invalidate"),
        DEVICE_CALL(IOCTL_VFIO_BIND_IOMMUFD, "PlugDevice"),
        DEVICE_CALL(IOCTL_VFIO_GET_INFO, "PlugDevice"),
        DEVICE_CALL(IOCTL_VFIO_GET_REGION_INFO, "PlugDevice"),
        DEVICE_CALL(IOCTL_VFIO_GET_IRQ_INFO, "PlugDevice"),
        DEVICE_CALL(IOCTL_VFIO_SET_IRQS, "SetInterrupt, ClearInterrupts"),
        DEVICE_CALL(IOCTL_VFIO_RESET, "ResetDevice"),
        DEVICE_CALL(IOCTL_VFIO_ATTACH, "Attach"),
        DEVICE_CALL(IOCTL_VFIO_DETACH, "blocking"),
        ALLOW(SYS_pread64, "RegionRead, ConfigRead, PCI command register"),
        ALLOW(SYS_pwrite64, "RegionWrite, ConfigWrite, bus mastering"),
};

static const struct vtd_seccomp_row simulated_rows[] = {
        ALLOW_MAP(MAP_SHARED, "guest memory and device state, for simulated DMA"),
        ALLOW_IF(SYS_newfstatat, "judging an eventfd", IS(3, AT_EMPTY_PATH | AT_STATX_DONT_SYNC)),
        /* What an eventfd takes. */
        ALLOW_IF(SYS_write, "simulated interrupts", IS(2, 8)),
};

#if defined(VTD_SANITIZED)
/* What the sanitizers' run time needs to keep books, and to print a report before it ends. */
static const struct vtd_seccomp_row sanitizer_rows[] = {
        ALLOW_IF(SYS_write, "the report", IS(0, STDERR_FILENO)),
        ALLOW_MAP(MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, "the run time's heap"),
        ALLOW_MAP(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, "shadow memory"),
        ALLOW_MAP(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, "shadow memory"),
        ALLOW(SYS_madvise, "shadow memory"),
        ALLOW(SYS_futex, "the run time's locks"),
        ALLOW(SYS_sched_yield, "the run time's locks"),
        ALLOW(SYS_sigaltstack, "the run time's end"),
        ALLOW(SYS_getpid, "the report"),
        ALLOW(SYS_gettid, "the report"),
        ALLOW(SYS_rt_sigaction, "the report"),
        ALLOW(SYS_rt_sigprocmask, "the report"),
};
#define N_SANITIZER_ROWS VTD_ARRAY_SIZE(sanitizer_rows)
#else
#define sanitizer_rows   NULL
#define N_SANITIZER_ROWS 0
#endif

const struct vtd_seccomp_row *vtd_seccomp_rows(enum vtd_seccomp_set set, size_t *count)
{
        switch (set) {
        case VTD_SECCOMP_BASE:
                *count = VTD_ARRAY_SIZE(base_rows);
                return base_rows;
        case VTD_SECCOMP_LINUX:
                *count = VTD_ARRAY_SIZE(linux_rows);
                return linux_rows;
        case VTD_SECCOMP_SIMULATED:
                *count = VTD_ARRAY_SIZE(simulated_rows);
                return simulated_rows;
        case VTD_SECCOMP_SANITIZER:
                break;
        }
        *count = N_SANITIZER_ROWS;
        return sanitizer_rows;
}
