/* SPDX-License-Identifier: MIT */
/*
 * A QEMU process and the two text protocols that it is driven by: qtest, in which a test accesses
 * guest memory, MMIO and ports as a CPU would, and QMP.
 *
 * The process ends with this one, however that ends, and at qtest_free() at the latest.  A QEMU
 * that does not answer within 30 seconds is an error.
 */
#ifndef VTD_TESTS_DIFF_QTEST_H
#define VTD_TESTS_DIFF_QTEST_H

#include <stddef.h>
#include <stdint.h>

struct qtest;

/*
 * Starts @directory's QEMU with @arguments (NULL-terminated) after those that the protocols need.
 * @firmware, of a multiple of 64 KiB, is its BIOS.
 * Returns 0, or a negative errno with what QEMU said on standard error.
 */
int qtest_new(struct qtest **out, const char *directory, const char *const *arguments,
              const void *firmware, size_t firmware_size);
struct qtest *qtest_free(struct qtest *qtest);

const char *qtest_version(const struct qtest *qtest);

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

#endif
