/* SPDX-License-Identifier: MIT */
/*
 * See tracer.h.  Tracing needs a process that does nothing else: it waits for stops while the test
 * waits for answers of the traced worker.
 */
#include "tests/series/tracer.h"

#include <errno.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* After <sys/ptrace.h>, which it would otherwise contradict. */
#include <linux/ptrace.h>

#define START_TRIES 5000u

static void *pointer(uint64_t value)
{
        return (void *)(uintptr_t)value;
}

/* The 32-bit number at @address of the worker. */
static uint32_t peek(struct tracer_counts *counts, pid_t worker, uint64_t address)
{
        long word;

        errno = 0;
        word = ptrace(PTRACE_PEEKDATA, worker, pointer(address), NULL);
        if (errno != 0)
                counts->failed = (uint32_t)errno;
        return (uint32_t)word;
}

static void count_ioctl(struct tracer_counts *counts, pid_t worker, const uint64_t *arguments)
{
        counts->ioctls++;
        if (arguments[1] == IOMMU_HWPT_ALLOC)
                counts->hwpt_allocs++;
        if (arguments[1] == VFIO_DEVICE_ATTACH_IOMMUFD_PT)
                counts->attaches++;
        if (arguments[1] != IOMMU_HWPT_INVALIDATE)
                return;
        counts->invalidate_calls++;
        counts->invalidate_entries += peek(
                counts, worker, arguments[2] + offsetof(struct iommu_hwpt_invalidate, entry_num));
}

/* One stop of the worker: counts it, and answers the signal to go on with. */
static int judge_stop(struct tracer_counts *counts, pid_t worker, int status)
{
        struct ptrace_syscall_info info;

        if (status >> 16 == PTRACE_EVENT_STOP)
                return 0;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80))
                return WSTOPSIG(status);
        if (ptrace(PTRACE_GET_SYSCALL_INFO, worker, pointer(sizeof(info)), &info) < 0)
                counts->failed = (uint32_t)errno;
        else if (info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_ioctl)
                count_ioctl(counts, worker, (const uint64_t *)info.entry.args);
        return 0;
}

/* Runs until it is killed, whereupon the kernel lets go of the worker, or the worker ends. */
static void trace(struct tracer_counts *counts, pid_t worker)
{
        int status;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (ptrace(PTRACE_SEIZE, worker, NULL, pointer(PTRACE_O_TRACESYSGOOD)) < 0 ||
            ptrace(PTRACE_INTERRUPT, worker, NULL, NULL) < 0) {
                counts->failed = (uint32_t)errno;
                return;
        }
        while (waitpid(worker, &status, __WALL) == worker && WIFSTOPPED(status)) {
                int signal = judge_stop(counts, worker, status);

                if (ptrace(PTRACE_SYSCALL, worker, NULL, pointer((uint64_t)signal)) < 0) {
                        counts->failed = (uint32_t)errno;
                        return;
                }
                __atomic_store_n(&counts->attached, 1, __ATOMIC_RELEASE);
        }
}

int tracer_start(struct tracer *tracer, pid_t worker)
{
        const struct timespec pause = {.tv_nsec = 1000000};

        tracer->counts = mmap(NULL, sizeof(*tracer->counts), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (tracer->counts == MAP_FAILED)
                return -errno;
        tracer->pid = fork();
        if (tracer->pid == 0) {
                trace(tracer->counts, worker);
                _exit(0);
        }
        for (unsigned i = 0; tracer->pid > 0 && i < START_TRIES; i++) {
                if (__atomic_load_n(&tracer->counts->attached, __ATOMIC_ACQUIRE))
                        return 0;
                if (tracer->counts->failed)
                        return -(int)tracer->counts->failed;
                (void)nanosleep(&pause, NULL);
        }
        return -ETIMEDOUT;
}

void tracer_stop(struct tracer *tracer, struct tracer_counts *counts)
{
        if (tracer->pid > 0) {
                (void)kill(tracer->pid, SIGKILL);
                (void)waitpid(tracer->pid, NULL, 0);
        }
        if (counts)
                memcpy(counts, tracer->counts, sizeof(*counts));
        (void)munmap(tracer->counts, sizeof(*tracer->counts));
        *tracer = (struct tracer){.pid = -1};
}
