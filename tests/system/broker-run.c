/* SPDX-License-Identifier: MIT */
/* See broker-run.h. */
#include "tests/system/broker-run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/cleanup.h"

#define WAIT_MS 10000

__attribute__((format(printf, 2, 3))) static int run_fail(struct broker_run *run,
                                                          const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(run->message, sizeof(run->message), format, arguments);
        va_end(arguments);
        return -1;
}

unsigned broker_run_vmm_uid(void)
{
        return geteuid() == 0 ? BROKER_RUN_VMM_UID : (unsigned)geteuid();
}

int broker_run_enter_build(const char **build)
{
        if (chdir(*build) < 0)
                return -1;
        *build = ".";
        return 0;
}

void broker_run_socket_path(const struct broker_run *run, const char *tenant, char *path,
                            size_t size)
{
        (void)snprintf(path, size, "%s/sockets/%s.sock", run->directory, tenant);
}

static int make_directory(struct broker_run *run, const char *name)
{
        char path[128];

        (void)snprintf(path, sizeof(path), "%s%s", run->directory, name);
        if (name[0] && mkdir(path, 0755) < 0)
                return run_fail(run, "%s: %s", path, strerror(errno));
        if (chmod(path, 0755) < 0)
                return run_fail(run, "%s: %s", path, strerror(errno));
        return 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
        (void)status;
        (void)kind;
        (void)walk;
        return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

/*
 * The remover.  It holds no descriptor of the test's, whose readers wait for their end.  When the
 * test was killed, vtd-brokerd is still ending, and removes its sockets itself.
 */
static void remove_in_the_end(const char *directory, int fd)
{
        const struct timespec pause = {.tv_nsec = 5000000};
        int r = -1;
        char none;

        (void)setpgid(0, 0); /* where the terminal's signals do not come */
        if (dup2(fd, 0) < 0 || close_range(1, ~0u, 0) < 0)
                _exit(1);
        while (read(0, &none, 1) < 0 && errno == EINTR)
                continue;
        for (int waited = 0; r < 0 && waited < WAIT_MS; waited += 5) {
                r = nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
                if (r < 0)
                        (void)nanosleep(&pause, NULL);
        }
        _exit(r < 0);
}

static int start_remover(struct broker_run *run)
{
        int pipe_fds[2];

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return run_fail(run, "pipe: %s", strerror(errno));
        run->remover = fork();
        if (run->remover == 0)
                remove_in_the_end(run->directory, pipe_fds[0]);
        (void)close(pipe_fds[0]);
        run->remover_fd = pipe_fds[1];
        return run->remover < 0 ? run_fail(run, "fork: %s", strerror(errno)) : 0;
}

int broker_run_prepare(struct broker_run *run)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        *run = (struct broker_run){
                .pid = -1, .remover = -1, .remover_fd = -1, .notify_fd = -1, .audit_fd = -1};
        (void)snprintf(run->directory, sizeof(run->directory), "/tmp/vtd-run-XXXXXX");
        if (!mkdtemp(run->directory))
                return run_fail(run, "%s: %s", run->directory, strerror(errno));
        if (start_remover(run) < 0 || make_directory(run, "") < 0 ||
            make_directory(run, "/policies") < 0 || make_directory(run, "/sockets") < 0)
                return -1;
        (void)snprintf(run->notify, sizeof(run->notify), "%s/notify", run->directory);
        memcpy(address.sun_path, run->notify, strlen(run->notify) + 1);
        run->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (run->notify_fd < 0 ||
            bind(run->notify_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return run_fail(run, "%s: %s", run->notify, strerror(errno));
        return 0;
}

int broker_run_add_policy(struct broker_run *run, const char *name, const char *text)
{
        char path[128];
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/policies/%s", run->directory, name);
        file = fopen(path, "we");
        if (!file)
                return run_fail(run, "%s: %s", path, strerror(errno));
        if (fputs(text, file) < 0 || fchmod(fileno(file), 0644) < 0) {
                (void)fclose(file);
                return run_fail(run, "%s: cannot write", path);
        }
        return fclose(file) == 0 ? 0 : run_fail(run, "%s: %s", path, strerror(errno));
}

static void exec_brokerd(const struct broker_run *run, const struct broker_run_config *config,
                         int audit_fd)
{
        char program[256], workers[256], policies[96], sockets[96], notify[128], control[96];
        const char *argv[20];
        size_t n = 0;

        if (config->brokerd)
                (void)snprintf(program, sizeof(program), "%s", config->brokerd);
        else
                (void)snprintf(program, sizeof(program), "%s/broker/vtd-brokerd", config->build);
        (void)snprintf(workers, sizeof(workers), "--worker-dir=%s%s",
                       config->worker_dir ? config->worker_dir : config->build,
                       config->worker_dir ? "" : "/broker");
        (void)snprintf(policies, sizeof(policies), "--policies=%s/policies", run->directory);
        (void)snprintf(sockets, sizeof(sockets), "--sockets=%s/sockets", run->directory);
        (void)snprintf(notify, sizeof(notify), "%s", run->notify);
        argv[n++] = program;
        argv[n++] = "--host";
        argv[n++] = config->host;
        argv[n++] = policies;
        argv[n++] = sockets;
        if (config->worker_dir || !config->brokerd)
                argv[n++] = workers;
        argv[n++] = "--audit-level";
        argv[n++] = config->audit_level;
        argv[n++] = "--audit-fd";
        argv[n++] = "3";
        if (geteuid() == 0) {
                argv[n++] = "--worker-uids";
                argv[n++] = config->worker_uids ? config->worker_uids : "60000-60063";
        }
        if (config->control) {
                (void)snprintf(control, sizeof(control), "--control=%s/control.sock",
                               run->directory);
                argv[n++] = control;
        }
        if (config->control_group) {
                argv[n++] = "--control-group";
                argv[n++] = config->control_group;
        }
        argv[n] = NULL;
        /* Ctrl-C is for the test, whose end then ends this. */
        (void)setpgid(0, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)setenv("NOTIFY_SOCKET", notify, 1);
        /* dup2() to itself would leave close-on-exec set. */
        if (audit_fd == 3 ? fcntl(3, F_SETFD, 0) < 0 : dup2(audit_fd, 3) < 0)
                _exit(126);
        (void)execv(program, (char *const *)(uintptr_t)argv);
        (void)fprintf(stderr, "%s: %s\n", program, strerror(errno));
        _exit(127);
}

static int wait_ready(struct broker_run *run)
{
        struct pollfd ready = {.fd = run->notify_fd, .events = POLLIN};
        char text[256];

        for (int waited = 0; waited < WAIT_MS; waited += 50) {
                ssize_t length;
                int status;

                if (waitpid(run->pid, &status, WNOHANG) == run->pid) {
                        run->pid = -1;
                        return run_fail(run, "vtd-brokerd ended before it was ready (status %#x)",
                                        (unsigned)status);
                }
                if (poll(&ready, 1, 50) <= 0)
                        continue;
                length = recv(run->notify_fd, text, sizeof(text) - 1, 0);
                if (length < 0)
                        return run_fail(run, "notification: %s", strerror(errno));
                text[length] = '\0';
                if (strstr(text, "READY=1"))
                        return 0;
        }
        return run_fail(run, "vtd-brokerd did not say READY=1 within %d ms", WAIT_MS);
}

int broker_run_start(struct broker_run *run, const struct broker_run_config *config)
{
        int pipe_fds[2];

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return run_fail(run, "pipe: %s", strerror(errno));
        /* The story may be slow to read: leave room for every line of it. */
        (void)fcntl(pipe_fds[1], F_SETPIPE_SZ, 1 << 20);
        run->pid = fork();
        if (run->pid == 0)
                exec_brokerd(run, config, pipe_fds[1]);
        (void)close(pipe_fds[1]);
        run->audit_fd = pipe_fds[0];
        if (run->pid < 0)
                return run_fail(run, "fork: %s", strerror(errno));
        if (fcntl(run->audit_fd, F_SETFL, O_NONBLOCK) < 0)
                return run_fail(run, "audit pipe: %s", strerror(errno));
        return wait_ready(run);
}

/* Waits for @pid; its wait status, or -1 after WAIT_MS. */
static int wait_for(pid_t pid)
{
        const struct timespec pause = {.tv_nsec = 5000000};
        int status;

        for (int waited = 0; waited < WAIT_MS; waited += 5) {
                if (waitpid(pid, &status, WNOHANG) == pid)
                        return status;
                (void)nanosleep(&pause, NULL);
        }
        return -1;
}

/* Has the directory removed, and waits until it is.  A byte: a child may have the pipe as well. */
static int end_remover(struct broker_run *run)
{
        int status = 0;

        if (run->remover < 0)
                return 0;
        if (write(run->remover_fd, "", 1) != 1)
                return run_fail(run, "%s: its remover is gone", run->directory);
        run->remover_fd = vtd_close(run->remover_fd);
        if (waitpid(run->remover, &status, 0) != run->remover || status != 0)
                return run_fail(run, "%s: cannot be removed", run->directory);
        run->remover = -1;
        return 0;
}

int broker_run_stop(struct broker_run *run)
{
        int status = run->pid > 0 ? -1 : 0;

        if (run->pid > 0) {
                (void)kill(run->pid, SIGTERM);
                status = wait_for(run->pid);
                if (status < 0) {
                        (void)kill(run->pid, SIGKILL);
                        (void)waitpid(run->pid, NULL, 0);
                }
                run->pid = -1;
        }
        if (run->audit_fd >= 0)
                broker_run_read_audit(run, 0);
        run->audit_fd = vtd_close(run->audit_fd);
        run->notify_fd = vtd_close(run->notify_fd);
        for (size_t i = 0; i < run->n_lines; i++)
                free(run->lines[i]);
        free(run->lines);
        run->lines = NULL;
        run->n_lines = 0;
        if (end_remover(run) < 0)
                return -1;
        if (status != 0)
                return run_fail(run, "vtd-brokerd did not end cleanly (status %#x)",
                                (unsigned)status);
        return 0;
}

static void add_line(struct broker_run *run, const char *text, size_t length)
{
        char **lines = reallocarray(run->lines, run->n_lines + 1, sizeof(*lines));
        char *line = strndup(text, length);

        if (!lines || !line)
                abort();
        run->lines = lines;
        run->lines[run->n_lines++] = line;
}

void broker_run_read_audit(struct broker_run *run, int timeout_ms)
{
        struct pollfd ready = {.fd = run->audit_fd, .events = POLLIN};

        while (poll(&ready, 1, timeout_ms) > 0) {
                ssize_t got = read(run->audit_fd, run->partial + run->n_partial,
                                   sizeof(run->partial) - run->n_partial);
                char *start = run->partial, *end;

                if (got <= 0)
                        return;
                run->n_partial += (size_t)got;
                while ((end = memchr(start, '\n',
                                     run->n_partial - (size_t)(start - run->partial)))) {
                        add_line(run, start, (size_t)(end - start));
                        start = end + 1;
                }
                run->n_partial -= (size_t)(start - run->partial);
                memmove(run->partial, start, run->n_partial);
                if (run->n_partial == sizeof(run->partial))
                        abort(); /* a line longer than any that vtd-brokerd may write */
                timeout_ms = 0;
        }
}

/* Becomes @argv as the VMM user, with no descriptor from @first_closed on. */
__attribute__((noreturn)) static void exec_vmm(const char *const *argv, unsigned first_closed)
{
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (geteuid() == 0 &&
            (setgroups(0, NULL) < 0 ||
             setresgid(BROKER_RUN_VMM_UID, BROKER_RUN_VMM_UID, BROKER_RUN_VMM_UID) < 0 ||
             setresuid(BROKER_RUN_VMM_UID, BROKER_RUN_VMM_UID, BROKER_RUN_VMM_UID) < 0))
                _exit(126);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* changing ids cleared it */
        if (close_range(first_closed, ~0u, 0) < 0)
                _exit(126);
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
        (void)fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
}

pid_t broker_run_spawn_vmm(const char *const *argv, int report_fd)
{
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        if (report_fd == 3 ? fcntl(3, F_SETFD, 0) < 0 : dup2(report_fd, 3) < 0)
                _exit(126);
        exec_vmm(argv, 4);
}

pid_t broker_run_spawn_vmm_on(const char *const *argv, int console_fd)
{
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        if (dup2(console_fd, STDIN_FILENO) < 0 || dup2(console_fd, STDOUT_FILENO) < 0)
                _exit(126);
        exec_vmm(argv, 3);
}

/* Parent of @pid, or -1. */
static int parent_of(int pid)
{
        char path[64], line[512];
        const char *after;
        int parent = -1;
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        file = fopen(path, "re");
        if (!file)
                return -1;
        /* The name in parentheses may hold anything: the fields go on after the last one. */
        if (fgets(line, sizeof(line), file) && (after = strrchr(line, ')')) &&
            sscanf(after, ") %*c %d", &parent) != 1)
                parent = -1;
        (void)fclose(file);
        return parent;
}

size_t broker_run_workers(const struct broker_run *run, pid_t *pids, size_t capacity)
{
        struct dirent *entry;
        size_t count = 0;
        DIR *proc = opendir("/proc");

        if (!proc)
                return 0;
        while (count < capacity && (entry = readdir(proc))) {
                int pid = atoi(entry->d_name);

                if (pid > 0 && parent_of(pid) == run->pid)
                        pids[count++] = pid;
        }
        (void)closedir(proc);
        return count;
}

/* Start of the value of @key, or NULL. */
static const char *find_value(const char *line, const char *key)
{
        char pattern[64];
        const char *at;

        (void)snprintf(pattern, sizeof(pattern), "\"%s\":", key);
        at = strstr(line, pattern);
        return at ? at + strlen(pattern) : NULL;
}

bool audit_text(const char *line, const char *key, char *out, size_t size)
{
        const char *value = find_value(line, key);
        const char *end;

        if (!value || *value != '"')
                return false;
        end = strchr(value + 1, '"');
        if (!end || (size_t)(end - value) > size)
                return false;
        memcpy(out, value + 1, (size_t)(end - value - 1));
        out[end - value - 1] = '\0';
        return true;
}

bool audit_number(const char *line, const char *key, uint64_t *out)
{
        const char *value = find_value(line, key);
        char *end;

        if (!value)
                return false;
        *out = strtoull(value, &end, 10);
        return end != value;
}

bool audit_is(const char *line, const char *key, const char *value)
{
        char text[128];

        return audit_text(line, key, text, sizeof(text)) && strcmp(text, value) == 0;
}
