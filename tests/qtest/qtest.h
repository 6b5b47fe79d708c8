/* SPDX-License-Identifier: MIT */
/*
 * A QEMU process and the two text protocols that it is driven by: qtest, in which a test accesses
 * guest memory, MMIO and ports as a CPU would, and QMP.
 *
 * The process ends with this one, however that ends, and at qtest_free() at the latest.  A QEMU
 * that does not answer within 30 seconds is an error.
 */
#ifndef VTD_TESTS_QTEST_H
#define VTD_TESTS_QTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct qtest;

struct qtest_config {
        const char *directory;        /* where QEMU runs: what follows is relative to it */
        const char *const *command;   /* the program and its first arguments; NULL-terminated */
        const char *const *arguments; /* behind those that the protocols need; the same */
        const void *firmware; /* its BIOS, of a multiple of 64 KiB; NULL: that which it brings */
        size_t firmware_size;
        unsigned uid;  /* as root: the user and group that it runs as; 0: this process's */
        int inherited; /* a descriptor that it gets, with the same number; 0: none */
};

/*
 * Returns 0, or a negative errno with what QEMU said on standard error.
 */
int qtest_new(struct qtest **out, const struct qtest_config *config);
struct qtest *qtest_free(struct qtest *qtest);

/*
 * Runs a QEMU that must end by itself, within 30 seconds, because its arguments are wrong: 0 with what
 * it said, of at most @size - 1 bytes.  -ETIMEDOUT if it has to be killed; -ECHILD if it ended in
 * another way than with exit status 1.
 */
int qtest_refused(const struct qtest_config *config, char *text, size_t size);

const char *qtest_version(const struct qtest *qtest);
pid_t qtest_pid(const struct qtest *qtest);

/* What QEMU wrote to standard error, its last @size - 1 bytes; @text is empty if that cannot be read. */
void qtest_messages(const struct qtest *qtest, char *text, size_t size);

/*
 * Sends a command that answers "OK" and nothing else.  The answer is awaited only by a later call.
 * These and all that follow return 0 or a negative errno, after which nothing works any more.
 */
int qtest_send(struct qtest *qtest, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Awaits all answers. */
int qtest_sync(struct qtest *qtest);

/* A command whose answer is a number. */
int qtest_get(struct qtest *qtest, uint64_t *value, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

int qtest_memory_read(struct qtest *qtest, uint64_t gpa, void *data, size_t size);
int qtest_memory_write(struct qtest *qtest, uint64_t gpa, const void *data, size_t size);

/* A QMP command without arguments; with @event, awaits that event too. */
int qtest_qmp(struct qtest *qtest, const char *command, const char *event);

/*
 * A QMP command as JSON: 0 with the line that answers it, also when that is an error.  @line is the
 * protocol's, valid until the next call.
 */
int qtest_ask(struct qtest *qtest, const char **line, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Awaits that event for at most 30 seconds, unless it came while answers were awaited since the last call of this. */
int qtest_await(struct qtest *qtest, const char *event);

#endif
