/* SPDX-License-Identifier: MIT */
/*
 * The one logging object.  It is passed by pointer (no globals), formats into a fixed buffer
 * without allocation, and hands finished lines to a sink that its owner chose: standard error in
 * the programs, the control channel in a worker, the VMM's callback in the frontend library.
 * Bytes that a peer wrote never reach a format argument unescaped: see vtd_log_escape().
 */
#ifndef VTD_SHARED_LOG_H
#define VTD_SHARED_LOG_H

#include <stddef.h>
#include <stdint.h>

enum vtd_log_level {
        VTD_LOG_ERROR = 3, /* the numbers of syslog(3), so that "<3>" prefixes mean what they say */
        VTD_LOG_WARNING = 4,
        VTD_LOG_INFO = 6,
        VTD_LOG_DEBUG = 7,
};

/* Longest line, with its terminating NUL; longer ones are cut. */
#define VTD_LOG_LINE_SIZE 512u

typedef void (*vtd_log_sink)(void *opaque, enum vtd_log_level level, const char *line);

struct vtd_log {
        vtd_log_sink sink;
        void *opaque;
        enum vtd_log_level threshold; /* lines of a higher number are not formatted at all */
};

/* Sink that writes "PREFIX: line\n" to standard error with one write; opaque is the prefix. */
void vtd_log_to_stderr(void *opaque, enum vtd_log_level level, const char *line);

/* A log without a sink (sink NULL) drops everything; @log may be NULL, which means the same. */
void vtd_log(struct vtd_log *log, enum vtd_log_level level, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/*
 * Reports an error at its origin and returns @result, so that a check reads
 *         return vtd_fail(log, -EINVAL, "queue size %zu is over the limit %zu", size, limit);
 */
int vtd_fail(struct vtd_log *log, int result, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/*
 * Writes @size bytes of @bytes into @out as printable ASCII, other bytes (and backslash and double
 * quote) as \xNN; cut to fit @out_size, always NUL-terminated.  Returns @out.
 */
const char *vtd_log_escape(char *out, size_t out_size, const void *bytes, size_t size);

#endif
