/* SPDX-License-Identifier: MIT */
/*
 * See held-close.h.  By ptrace: the closer stops at the entry of a system call and is left there.
 * Only fork events are asked for, so that workers, which are started with vfork, run undisturbed.
 */
#include "tests/series/held-close.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int control(int request, pid_t pid, uintptr_t data)
{
        return ptrace((enum __ptrace_request)request, pid, NULL, data) < 0 ? -1 : 0;
}

int held_close_prepare(pid_t brokerd)
{
        return control(PTRACE_SEIZE, brokerd, PTRACE_O_TRACEFORK | PTRACE_O_TRACESYSGOOD);
}

/* The next stop of @pid; -1 when it ended instead. */
static int next_stop(pid_t pid)
{
        int status;

        while (waitpid(pid, &status, __WALL) < 0)
                if (errno != EINTR)
                        return -1;
        return WIFSTOPPED(status) ? status : -1;
}

static bool is_event(int status, int event)
{
        return status >> 8 == (SIGTRAP | event << 8);
}

/* Runs @closer to the entry of the first close() after its filter was loaded. */
static int run_to_close(pid_t closer)
{
        struct __ptrace_syscall_info info;
        bool confined = false;

        if (next_stop(closer) < 0)
                return -1;
        for (;;) {
                if (control(PTRACE_SYSCALL, closer, 0) < 0 || next_stop(closer) < 0)
                        return -1;
                if (ptrace((enum __ptrace_request)PTRACE_GET_SYSCALL_INFO, closer, sizeof(info),
                           &info) < 0)
                        return -1;
                if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
                        continue;
                if (info.entry.nr == SYS_prctl && info.entry.args[0] == PR_SET_SECCOMP)
                        confined = true;
                if (info.entry.nr == SYS_close && confined)
                        return 0;
        }
}

pid_t held_close_catch(pid_t brokerd)
{
        unsigned long closer = 0;
        int status;

        for (;;) {
                status = next_stop(brokerd);
                if (status < 0)
                        return -1;
                if (is_event(status, PTRACE_EVENT_FORK))
                        break;
                /* A signal, such as that of a worker's end. */
                if (control(PTRACE_CONT, brokerd, (uintptr_t)WSTOPSIG(status)) < 0)
                        return -1;
        }
        if (ptrace((enum __ptrace_request)PTRACE_GETEVENTMSG, brokerd, NULL, &closer) < 0 ||
            control(PTRACE_DETACH, brokerd, 0) < 0)
                return -1;
        return run_to_close((pid_t)closer) < 0 ? -1 : (pid_t)closer;
}

int held_close_release(pid_t closer)
{
        return control(PTRACE_DETACH, closer, 0);
}
