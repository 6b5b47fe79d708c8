/* SPDX-License-Identifier: MIT */
/*
 * Runs a real vtd-brokerd for a test: temporary directories, policies, audit lines, a clean end.
 * Works as root (workers and clients get users of their own) and as an ordinary user (one user for
 * everything; the simulated host only).
 */
#ifndef VTD_TESTS_BROKER_RUN_H
#define VTD_TESTS_BROKER_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* User of the VMMs when the test runs as root: what the policies must name. */
#define BROKER_RUN_VMM_UID 2001u

struct broker_run_config {
        const char *build;         /* build directory with broker/ and tests/ below it */
        const char *host;          /* "simulated" or "linux" */
        const char *audit_level;   /* "refusals", "requests" or "host-calls" */
        const char *brokerd;       /* installed vtd-brokerd; NULL: the one below build */
        const char *worker_dir;    /* where the worker programs are; NULL: with that vtd-brokerd */
        const char *worker_uids;   /* "FIRST-LAST"; NULL: a range that is enough for all tests */
        bool control;              /* there is a control socket, DIRECTORY/control.sock */
        const char *control_group; /* NULL: for root only */
};

struct broker_run {
        pid_t pid;
        char directory[64]; /* temporary: policies/, sockets/ */
        pid_t remover;      /* process that removes it, when the other end of ... */
        int remover_fd;     /* ... this is closed, by whatever ends the test, too */
        char notify[96];    /* path of the notification socket */
        int notify_fd;
        int audit_fd;
        char **lines; /* audit lines so far, owned */
        size_t n_lines;
        char partial[4096];
        size_t n_partial;
        char message[256]; /* why the last call failed */
};

/*
 * Makes @build the working directory and then ".": users that tests turn into can start its programs
 * wherever it lies, below /root (mode 0700), too.  0 or -1 with errno.
 */
int broker_run_enter_build(const char **build);
/* Makes the directories; policies are added before the start.  0 or -1 with message. */
int broker_run_prepare(struct broker_run *run);
int broker_run_add_policy(struct broker_run *run, const char *name, const char *text);
/* Starts vtd-brokerd and waits until it says READY=1 (at most 10 s). */
int broker_run_start(struct broker_run *run, const struct broker_run_config *config);
/*
 * SIGTERM, waits for the clean end (at most 10 s), removes the directories.  0 if status was 0,
 * or if the caller has waited for it and set pid to -1.
 */
int broker_run_stop(struct broker_run *run);

/* The uid that a policy for this run must name. */
unsigned broker_run_vmm_uid(void);
void broker_run_socket_path(const struct broker_run *run, const char *tenant, char *path,
                            size_t size);

/* Takes in what the audit descriptor has, waiting at most @timeout_ms for the first byte. */
void broker_run_read_audit(struct broker_run *run, int timeout_ms);

/*
 * Starts @argv as the VMM user with @report_fd as descriptor 3 and nothing else open but standard
 * error.  Returns the pid or -1.
 */
pid_t broker_run_spawn_vmm(const char *const *argv, int report_fd);
/* The same with @console_fd as standard input and output, and no report socket. */
pid_t broker_run_spawn_vmm_on(const char *const *argv, int console_fd);

/* Host pids of vtd-brokerd's workers, at most @capacity of them. */
size_t broker_run_workers(const struct broker_run *run, pid_t *pids, size_t capacity);

/* Fields of an audit line.  Text is copied into @out; false when the line has no such field. */
bool audit_text(const char *line, const char *key, char *out, size_t size);
bool audit_number(const char *line, const char *key, uint64_t *out);
bool audit_is(const char *line, const char *key, const char *value);

#endif
