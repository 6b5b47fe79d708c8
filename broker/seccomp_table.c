/* SPDX-License-Identifier: MIT */
/*
 * See seccomp_table.h.
 *
 * The rules for a row: the call is made after READY; nothing above it does without; arguments are
 * pinned wherever the kernel gives them a number (descriptors 3, 4 and 5 are fixed; a device's
 * descriptor is not, because it comes over the control channel).  Never a row for a call that opens,
 * names, connects, executes, creates a process or thread, changes an identity, or maps executable
 * memory; never io_uring, which would carry calls past this filter.
 */
#include "broker/seccomp_table.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "broker/control.h"
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

#define IOMMU_CALL(number_, reason_)                                                               \
        {                                                                                          \
                SYS_ioctl, {IS(0, VTD_WORKER_FD_IOMMU), IS(1, number_)}, reason_                   \
        }
#define DEVICE_CALL(number_, reason_)                                                              \
        {                                                                                          \
                SYS_ioctl, {IS(1, number_)}, reason_                                               \
        }

#define MAP_ANONYMOUS_MEMORY (MAP_PRIVATE | MAP_ANONYMOUS)

static const struct vtd_seccomp_row base_rows[] = {
        {SYS_recvmsg,          {IS(0, VTD_WORKER_FD_CONTROL)},                             "records from vtd-brokerd" },
        {SYS_recvmsg,          {IS(0, VTD_WORKER_FD_CONNECTION)},                          "requests"                 },
        {SYS_sendmsg,          {IS(0, VTD_WORKER_FD_CONTROL)},                             "records to vtd-brokerd"   },
        {SYS_sendmsg,          {IS(0, VTD_WORKER_FD_CONNECTION)},                          "replies"                  },
        {SYS_epoll_wait,       {{0}},                                                      "event loop"               },
        {SYS_epoll_pwait,      {{0}},                                                      "event loop, newer libuv"  },
        {SYS_epoll_ctl,        {{0}},                                                      "event loop: back-pressure"},
        {SYS_ppoll,            {{0}},                                                      "waiting for vtd-brokerd"  },
        {SYS_clock_gettime,    {{0}},                                                      "time without a vDSO"      },
        {SYS_clock_nanosleep,  {{0}},                                                      "back-off while busy"      },
        {SYS_restart_syscall,  {{0}},                                                      "after a stop of the task" },
        {SYS_close,            {{0}},                                                      "received descriptors"     },
        {SYS_fstat,            {{0}},                                                      "judging a memfd"          },
        /* fstat() of glibc; the root is empty, so that a path would find nothing. */
        {SYS_newfstatat,       {IS(3, AT_EMPTY_PATH)},                                     "judging a memfd"          },
        {SYS_fcntl,            {IS(1, F_GET_SEALS)},                                       "judging a memfd"          },
        {SYS_fcntl,            {IS(1, F_GETFL)},                                           "judging a memfd"          },
        {SYS_brk,              {{0}},                                                      "heap"                     },
        {SYS_mmap,
         {ONLY_BITS(2, PROT_READ | PROT_WRITE), IS(3, MAP_ANONYMOUS_MEMORY)},
         "heap, never executable"                                                                                     },
        {SYS_munmap,           {{0}},                                                      "heap"                     },
        {SYS_prctl,            {IS(0, PR_GET_SECCOMP)},                                    "re-check of the filter"   },
        {SYS_exit_group,       {{0}},                                                      "the end"                  },
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
        DEVICE_CALL(IOCTL_VFIO_RESET, "UnplugDevice"),
        DEVICE_CALL(IOCTL_VFIO_ATTACH, "Attach"),
        DEVICE_CALL(IOCTL_VFIO_DETACH, "blocking"),
        {SYS_pread64, {{0}}, "RegionRead, PCI command register"},
        {SYS_pwrite64, {{0}}, "RegionWrite, bus mastering"},
};

static const struct vtd_seccomp_row simulated_rows[] = {
        {SYS_mmap,
         {ONLY_BITS(2, PROT_READ | PROT_WRITE), IS(3, MAP_SHARED)},
         "guest memory and device state, reached by simulated DMA"},
};

#if defined(__SANITIZE_ADDRESS__) || defined(VTD_SANITIZED)
/* What the sanitizers' run time needs to keep books, and to print a report before it ends. */
static const struct vtd_seccomp_row sanitizer_rows[] = {
        {SYS_write,          {IS(0, 2)},                                                 "the report"        },
        {SYS_mmap,           {ONLY_BITS(2, PROT_READ | PROT_WRITE),
                              IS(3, MAP_ANONYMOUS_MEMORY | MAP_NORESERVE)},              "shadow memory"     },
        {SYS_mmap,
         {ONLY_BITS(2, PROT_READ | PROT_WRITE),
          IS(3, MAP_ANONYMOUS_MEMORY | MAP_NORESERVE | MAP_FIXED)},
         "shadow memory"                                                                                     },
        {SYS_madvise,        {{0}},                                                      "shadow memory"     },
        {SYS_futex,          {{0}},                                                      "the run time's lock"},
        {SYS_sigaltstack,    {{0}},                                                      "the run time's end"},
        {SYS_sched_yield,    {{0}},                                                      "the run time's lock"},
        {SYS_getpid,         {{0}},                                                      "the report"        },
        {SYS_gettid,         {{0}},                                                      "the report"        },
        {SYS_rt_sigaction,   {{0}},                                                      "the report"        },
        {SYS_rt_sigprocmask, {{0}},                                                      "the report"        },
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
