/* SPDX-License-Identifier: MIT */
/*
 * See breakpoints.h.  The tracer has to be a process of its own: the test waits for answers of the
 * traced process while that is stopped at a breakpoint.  It sleeps in sigwaitinfo(), so that the
 * word to end cannot be missed between two looks at the traced process.
 */
#include "tests/series/breakpoints.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/cleanup.h"

#define INT3       0xccu
#define START_MS   5000u
#define AUXV_WORDS 64u

struct breakpoints_shared {
        uint32_t started;
        int32_t error; /* negative errno */
        uint64_t counts[BREAKPOINTS_MAX];
};

struct tracee {
        pid_t pid;
        size_t n;
        struct breakpoints_shared *shared;
        uint64_t addresses[BREAKPOINTS_MAX];
        long words[BREAKPOINTS_MAX]; /* what stands there without the breakpoint */
};

static void *pointer(uint64_t value)
{
        return (void *)(uintptr_t)value;
}

/* Address of @function before relocation in the program file @elf of @size bytes, 0: none. */
static uint64_t find_symbol(const uint8_t *elf, size_t size, const char *function)
{
        const Elf64_Ehdr *header = (const void *)elf;
        const Elf64_Shdr *sections = (const void *)(elf + header->e_shoff);

        for (size_t i = 0; i < header->e_shnum; i++) {
                const Elf64_Sym *symbols = (const void *)(elf + sections[i].sh_offset);
                const char *names;

                if (sections[i].sh_type != SHT_SYMTAB || sections[i].sh_link >= header->e_shnum ||
                    sections[i].sh_offset + sections[i].sh_size > size)
                        continue;
                names = (const char *)elf + sections[sections[i].sh_link].sh_offset;
                for (size_t s = 0; s < sections[i].sh_size / sizeof(*symbols); s++)
                        if (ELF64_ST_TYPE(symbols[s].st_info) == STT_FUNC &&
                            strcmp(names + symbols[s].st_name, function) == 0)
                                return symbols[s].st_value;
        }
        return 0;
}

/* Where the kernel put the entry point of @pid's program, 0: not known. */
static uint64_t find_entry(pid_t pid)
{
        uint64_t auxv[AUXV_WORDS] = {0};
        VTD_CLEANUP_FD int fd = -1;
        char path[32];
        ssize_t got;

        (void)snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return 0;
        got = read(fd, auxv, sizeof(auxv));
        for (size_t i = 0; got > 0 && i + 1 < (size_t)got / sizeof(auxv[0]); i += 2)
                if (auxv[i] == AT_ENTRY)
                        return auxv[i + 1];
        return 0;
}

static int resolve(struct tracee *tracee, const uint8_t *elf, size_t size,
                   const char *const *functions)
{
        const Elf64_Ehdr *header = (const void *)elf;
        uint64_t entry = find_entry(tracee->pid);

        if (entry == 0)
                return -EPERM;
        for (size_t i = 0; i < tracee->n; i++) {
                uint64_t symbol = find_symbol(elf, size, functions[i]);

                if (symbol == 0)
                        return -ENOENT;
                tracee->addresses[i] = entry - header->e_entry + symbol;
                for (size_t other = 0; other < i; other++)
                        if (tracee->addresses[other] == tracee->addresses[i])
                                return -ENOENT;
        }
        return 0;
}

static int find_addresses(struct tracee *tracee, const char *program, const char *const *functions)
{
        VTD_CLEANUP_FD int fd = open(program, O_RDONLY | O_CLOEXEC);
        struct stat status;
        uint8_t *elf;
        int result;

        if (fd < 0 || fstat(fd, &status) < 0)
                return -errno;
        if ((size_t)status.st_size < sizeof(Elf64_Ehdr))
                return -ENOENT;
        elf = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (elf == MAP_FAILED)
                return -errno;
        result = resolve(tracee, elf, (size_t)status.st_size, functions);
        (void)munmap(elf, (size_t)status.st_size);
        return result;
}

static int poke(const struct tracee *tracee, size_t i, bool planted)
{
        unsigned long word = (unsigned long)tracee->words[i];

        if (planted)
                word = (word & ~0xfful) | INT3;
        if (ptrace(PTRACE_POKETEXT, tracee->pid, pointer(tracee->addresses[i]), pointer(word)) < 0)
                return -errno;
        return 0;
}

static int plant_all(struct tracee *tracee)
{
        for (size_t i = 0; i < tracee->n; i++) {
                int result;

                errno = 0;
                tracee->words[i] =
                        ptrace(PTRACE_PEEKTEXT, tracee->pid, pointer(tracee->addresses[i]), NULL);
                if (errno != 0)
                        return -errno;
                result = poke(tracee, i, true);
                if (result < 0)
                        return result;
        }
        return 0;
}

/* Waits for the next stop; its status, or a negative errno when the process has ended. */
static int next_stop(const struct tracee *tracee, int options)
{
        int status;
        pid_t pid = waitpid(tracee->pid, &status, __WALL | options);

        if (pid < 0)
                return -errno;
        if (pid == 0)
                return 0; /* WNOHANG only */
        return WIFSTOPPED(status) ? status : -ESRCH;
}

/* Lets the process execute the instruction that breakpoint @i stands on. */
static int step_over(const struct tracee *tracee, size_t i)
{
        int status, result = poke(tracee, i, false);

        if (result < 0)
                return result;
        if (ptrace(PTRACE_SINGLESTEP, tracee->pid, NULL, NULL) < 0)
                return -errno;
        status = next_stop(tracee, 0);
        if (status < 0)
                return status;
        /* The traced processes of these tests get no signals: one here would need care. */
        if (WSTOPSIG(status) != SIGTRAP || status >> 16 != 0)
                return -EINTR;
        return poke(tracee, i, true);
}

/* A stop that is no breakpoint of ours leaves *@hit false. */
static int count_hit(const struct tracee *tracee, bool *hit)
{
        struct user_regs_struct registers;

        *hit = false;
        if (ptrace(PTRACE_GETREGS, tracee->pid, NULL, &registers) < 0)
                return -errno;
        for (size_t i = 0; i < tracee->n; i++) {
                if (registers.rip != tracee->addresses[i] + 1)
                        continue;
                *hit = true;
                __atomic_fetch_add(&tracee->shared->counts[i], 1, __ATOMIC_RELEASE);
                registers.rip--;
                if (ptrace(PTRACE_SETREGS, tracee->pid, NULL, &registers) < 0)
                        return -errno;
                return step_over(tracee, i);
        }
        return 0;
}

/* Handles one stop and lets the process go on.  @stopped: it was the one that was asked for. */
static int handle_stop(const struct tracee *tracee, int status, bool *stopped)
{
        int signal = WSTOPSIG(status);
        bool hit = false;
        int result = 0;

        *stopped = status >> 16 == PTRACE_EVENT_STOP;
        if (*stopped)
                return 0;
        if (signal == SIGTRAP)
                result = count_hit(tracee, &hit);
        if (result < 0)
                return result;
        if (ptrace(PTRACE_CONT, tracee->pid, NULL, pointer(hit ? 0 : (uint64_t)signal)) < 0)
                return -errno;
        return 0;
}

/* Stops the process, wherever it is. */
static int interrupt(const struct tracee *tracee)
{
        bool stopped = false;

        if (ptrace(PTRACE_INTERRUPT, tracee->pid, NULL, NULL) < 0)
                return -errno;
        while (!stopped) {
                int status = next_stop(tracee, 0);
                int result = status < 0 ? status : handle_stop(tracee, status, &stopped);

                if (result < 0)
                        return result;
        }
        return 0;
}

/* Counts until SIGTERM comes. */
static int count(const struct tracee *tracee, const sigset_t *signals)
{
        while (true) {
                siginfo_t info;
                int status;

                if (sigwaitinfo(signals, &info) < 0)
                        continue;
                if (info.si_signo == SIGTERM)
                        return 0;
                while ((status = next_stop(tracee, WNOHANG)) != 0) {
                        bool stopped;
                        int result = status < 0 ? status : handle_stop(tracee, status, &stopped);

                        if (result == 0 && stopped &&
                            ptrace(PTRACE_CONT, tracee->pid, NULL, NULL) < 0)
                                result = -errno;
                        if (result < 0)
                                return result;
                }
        }
}

static int trace(struct tracee *tracee)
{
        sigset_t signals;
        int result;

        (void)sigemptyset(&signals);
        (void)sigaddset(&signals, SIGTERM);
        (void)sigaddset(&signals, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0 ||
            ptrace(PTRACE_SEIZE, tracee->pid, NULL, NULL) < 0)
                return -errno;
        result = interrupt(tracee);
        if (result == 0)
                result = plant_all(tracee);
        if (result < 0)
                return result;
        if (ptrace(PTRACE_CONT, tracee->pid, NULL, NULL) < 0)
                return -errno;
        __atomic_store_n(&tracee->shared->started, 1, __ATOMIC_RELEASE);
        result = count(tracee, &signals);
        if (result == 0)
                result = interrupt(tracee);
        for (size_t i = 0; result == 0 && i < tracee->n; i++)
                result = poke(tracee, i, false);
        if (result == 0 && ptrace(PTRACE_DETACH, tracee->pid, NULL, NULL) < 0)
                result = -errno;
        return result;
}

int breakpoints_start(struct breakpoints *breakpoints, pid_t pid, const char *program,
                      const char *const *functions, size_t n)
{
        const struct timespec pause = {.tv_nsec = 1000000};
        struct breakpoints_shared *shared;
        struct tracee tracee = {.pid = pid, .n = n};
        int result;

        *breakpoints = (struct breakpoints){.tracer = -1, .n = n};
        if (n > BREAKPOINTS_MAX)
                return -E2BIG;
        result = find_addresses(&tracee, program, functions);
        if (result < 0)
                return result;
        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        if (shared == MAP_FAILED)
                return -errno;
        breakpoints->shared = shared;
        tracee.shared = shared;
        breakpoints->tracer = fork();
        if (breakpoints->tracer < 0)
                return -errno;
        if (breakpoints->tracer == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                result = trace(&tracee);
                __atomic_store_n(&shared->error, result, __ATOMIC_RELEASE);
                _exit(0);
        }
        for (unsigned waited = 0; waited < START_MS; waited++) {
                if (__atomic_load_n(&shared->started, __ATOMIC_ACQUIRE))
                        return 0;
                result = __atomic_load_n(&shared->error, __ATOMIC_ACQUIRE);
                if (result < 0)
                        return result;
                (void)nanosleep(&pause, NULL);
        }
        return -ETIMEDOUT;
}

uint64_t breakpoints_count(const struct breakpoints *breakpoints, size_t function)
{
        return __atomic_load_n(&breakpoints->shared->counts[function], __ATOMIC_ACQUIRE);
}

int breakpoints_stop(struct breakpoints *breakpoints)
{
        int result = 0;

        if (breakpoints->tracer > 0) {
                (void)kill(breakpoints->tracer, SIGTERM);
                (void)waitpid(breakpoints->tracer, NULL, 0);
        }
        if (breakpoints->shared) {
                result = breakpoints->shared->error;
                (void)munmap(breakpoints->shared, sizeof(*breakpoints->shared));
        }
        *breakpoints = (struct breakpoints){.tracer = -1};
        return result;
}
