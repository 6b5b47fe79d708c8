/* SPDX-License-Identifier: MIT */
/* See qtest.h.  Sent commands are gathered and go out together, before anything is awaited. */
#include "tests/qtest/qtest.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"

#define ANSWER_SECONDS 30
#define ARGUMENTS_MAX  64u
#define TRANSFER_MAX   0x4000u /* bytes in one read or write command */
#define LINE_SIZE      (2 * TRANSFER_MAX + 64)
#define ANSWERS_MAX    512u /* awaited at most: they fit into a socket's buffer */

/* One stream: what is to be sent, and what came and was not looked at. */
struct stream {
        int fd;
        size_t out_size, in_start, in_end;
        char out[2 * LINE_SIZE], in[2 * LINE_SIZE];
};

struct qtest {
        pid_t pid;
        int messages; /* what QEMU writes to standard error */
        unsigned awaited;
        struct stream qtest, qmp;
        char line[LINE_SIZE];
        char version[64];
        char event[512]; /* of QMP, the last one */
};

static int stream_flush(struct stream *stream)
{
        for (size_t sent = 0; sent < stream->out_size;) {
                ssize_t n =
                        send(stream->fd, stream->out + sent, stream->out_size - sent, MSG_NOSIGNAL);

                if (n < 0 && errno != EINTR)
                        return vtd_errno();
                sent += n > 0 ? (size_t)n : 0;
        }
        stream->out_size = 0;
        return 0;
}

static int stream_put(struct stream *stream, const char *text, size_t size)
{
        if (size > sizeof(stream->out) - stream->out_size) {
                int r = stream_flush(stream);

                if (r != 0)
                        return r;
        }
        if (size > sizeof(stream->out))
                return -EMSGSIZE;
        memcpy(stream->out + stream->out_size, text, size);
        stream->out_size += size;
        return 0;
}

static int stream_fill(struct stream *stream)
{
        ssize_t n;

        if (stream->in_start > 0) {
                memmove(stream->in, stream->in + stream->in_start,
                        stream->in_end - stream->in_start);
                stream->in_end -= stream->in_start;
                stream->in_start = 0;
        }
        if (stream->in_end == sizeof(stream->in))
                return -EMSGSIZE;
        n = recv(stream->fd, stream->in + stream->in_end, sizeof(stream->in) - stream->in_end, 0);
        if (n < 0)
                return errno == EINTR ? 0 : vtd_errno();
        if (n == 0)
                return -ECONNRESET;
        stream->in_end += (size_t)n;
        return 0;
}

/* The next line into @line of LINE_SIZE bytes, without its end. */
static int stream_line(struct stream *stream, char *line)
{
        for (;;) {
                const char *start = stream->in + stream->in_start;
                const char *end = memchr(start, '\n', stream->in_end - stream->in_start);
                int r;

                if (end) {
                        size_t size = (size_t)(end - start);

                        if (size >= LINE_SIZE)
                                return -EMSGSIZE;
                        memcpy(line, start, size);
                        line[size] = '\0';
                        stream->in_start += size + 1;
                        return 0;
                }
                r = stream_fill(stream);
                if (r != 0)
                        return r;
        }
}

void qtest_messages(const struct qtest *qtest, char *text, size_t size)
{
        off_t end = lseek(qtest->messages, 0, SEEK_END);
        off_t start = end > (off_t)size - 1 ? end - (off_t)size + 1 : 0;
        ssize_t n = pread(qtest->messages, text, size - 1, start);

        text[n > 0 ? n : 0] = '\0';
}

/* What QEMU said last, for a reader: an error of @qtest's is about to be returned. */
static int give_up(const struct qtest *qtest, int result, const char *what)
{
        char text[2048];

        qtest_messages(qtest, text, sizeof(text));
        fprintf(stderr, "QEMU %s: %s\n%s", what, strerror(-result), text);
        return result;
}

int qtest_sync(struct qtest *qtest)
{
        int r = stream_flush(&qtest->qtest);

        for (; r == 0 && qtest->awaited > 0; qtest->awaited--) {
                r = stream_line(&qtest->qtest, qtest->line);
                if (r == 0 && strncmp(qtest->line, "OK", 2) != 0)
                        r = -EPROTO;
        }
        return r == 0 ? 0 : give_up(qtest, r, "does not follow");
}

/* Text of a command with its newline into qtest->line. */
__attribute__((format(printf, 2, 0))) static int format_line(struct qtest *qtest,
                                                             const char *format, va_list arguments)
{
        int size = vsnprintf(qtest->line, sizeof(qtest->line) - 1, format, arguments);

        if (size < 0 || (size_t)size >= sizeof(qtest->line) - 1)
                return -EMSGSIZE;
        qtest->line[size] = '\n';
        return size + 1;
}

int qtest_send(struct qtest *qtest, const char *format, ...)
{
        va_list arguments;
        int r;

        if (qtest->awaited == ANSWERS_MAX) {
                r = qtest_sync(qtest);
                if (r != 0)
                        return r;
        }
        va_start(arguments, format);
        r = format_line(qtest, format, arguments);
        va_end(arguments);
        if (r > 0)
                r = stream_put(&qtest->qtest, qtest->line, (size_t)r);
        if (r == 0)
                qtest->awaited++;
        return r;
}

/* Sends what is formatted in qtest->line; its answer is then there, behind @prefix from @*value on. */
static int ask(struct qtest *qtest, size_t size, const char *prefix, const char **value)
{
        int r = stream_put(&qtest->qtest, qtest->line, size);

        if (r == 0)
                r = qtest_sync(qtest);
        if (r == 0)
                r = stream_line(&qtest->qtest, qtest->line);
        if (r == 0 && strncmp(qtest->line, prefix, strlen(prefix)) != 0)
                r = -EPROTO;
        *value = qtest->line + strlen(prefix);
        return r == 0 ? 0 : give_up(qtest, r, "does not answer");
}

int qtest_get(struct qtest *qtest, uint64_t *value, const char *format, ...)
{
        va_list arguments;
        const char *digits;
        int r;

        va_start(arguments, format);
        r = format_line(qtest, format, arguments);
        va_end(arguments);
        if (r > 0)
                r = ask(qtest, (size_t)r, "OK 0x", &digits);
        if (r != 0)
                return r;
        *value = strtoull(digits, NULL, 16);
        return 0;
}

/* The value of a digit of base 64. */
static unsigned digit(char c)
{
        if (c >= 'A' && c <= 'Z')
                return (unsigned)(c - 'A');
        if (c >= 'a' && c <= 'z')
                return (unsigned)(c - 'a') + 26;
        if (c >= '0' && c <= '9')
                return (unsigned)(c - '0') + 52;
        return c == '+' ? 62 : 63;
}

/* @size bytes from four digits for every three, the last ones filled up. */
static int decode(const char *digits, uint8_t *bytes, size_t size)
{
        if (strlen(digits) != (size + 2) / 3 * 4)
                return -EPROTO;
        for (size_t i = 0; i < size; i++) {
                const char *four = digits + i / 3 * 4;
                unsigned place = i % 3;
                unsigned value = digit(four[place]) << 6 | digit(four[place + 1]);

                bytes[i] = (uint8_t)(value >> (4 - 2 * place));
        }
        return 0;
}

int qtest_memory_read(struct qtest *qtest, uint64_t gpa, void *data, size_t size)
{
        uint8_t *bytes = data;
        int r = 0;

        while (size > 0 && r == 0) {
                size_t part = size < TRANSFER_MAX ? size : TRANSFER_MAX;
                int line = snprintf(qtest->line, sizeof(qtest->line),
                                    "b64read 0x%" PRIx64 " 0x%zx\n", gpa, part);
                const char *answer;

                r = ask(qtest, (size_t)line, "OK ", &answer);
                if (r == 0)
                        r = decode(answer, bytes, part);
                bytes += part;
                gpa += part;
                size -= part;
        }
        return r;
}

int qtest_memory_write(struct qtest *qtest, uint64_t gpa, const void *data, size_t size)
{
        const uint8_t *bytes = data;

        while (size > 0) {
                char digits[2 * 256 + 1];
                size_t part = size < 256 ? size : 256;
                int r;

                for (size_t i = 0; i < part; i++)
                        (void)snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
                r = qtest_send(qtest, "write 0x%" PRIx64 " 0x%zx 0x%s", gpa, part, digits);
                if (r != 0)
                        return r;
                bytes += part;
                gpa += part;
                size -= part;
        }
        return 0;
}

/* The next line of QMP; an event is put down for qtest_await(). */
static int next_qmp(struct qtest *qtest)
{
        int r = stream_line(&qtest->qmp, qtest->line);

        if (r == 0 && strstr(qtest->line, "\"event\""))
                (void)snprintf(qtest->event, sizeof(qtest->event), "%.256s", qtest->line);
        return r;
}

int qtest_await(struct qtest *qtest, const char *event)
{
        int r = qtest_sync(qtest);

        while (r == 0 && !strstr(qtest->event, event))
                r = next_qmp(qtest);
        qtest->event[0] = '\0';
        return r == 0 ? 0 : give_up(qtest, r, "has no such event");
}

/* Sends the @size bytes of qtest->line; its answer is then there. */
static int exchange(struct qtest *qtest, size_t size)
{
        int r = stream_put(&qtest->qmp, qtest->line, size);

        if (r == 0)
                r = stream_flush(&qtest->qmp);
        do
                r = r == 0 ? next_qmp(qtest) : r;
        while (r == 0 && !strstr(qtest->line, "\"return\"") && !strstr(qtest->line, "\"error\""));
        return r;
}

int qtest_ask(struct qtest *qtest, const char **line, const char *format, ...)
{
        int r = qtest_sync(qtest);
        va_list arguments;

        if (r == 0) {
                va_start(arguments, format);
                r = format_line(qtest, format, arguments);
                va_end(arguments);
        }
        if (r > 0)
                r = exchange(qtest, (size_t)r);
        *line = qtest->line;
        return r == 0 ? 0 : give_up(qtest, r, "does not answer QMP");
}

int qtest_qmp(struct qtest *qtest, const char *command, const char *event)
{
        const char *line;
        int r;

        qtest->event[0] = '\0';
        r = qtest_ask(qtest, &line, "{\"execute\": \"%s\"}", command);
        if (r == 0 && strstr(line, "\"error\""))
                r = give_up(qtest, -EPROTO, "refuses a QMP command");
        if (r != 0 || !event)
                return r;
        r = qtest_await(qtest, event);
        /* What it said so far is of the past; it would grow with every program. */
        return r == 0 && ftruncate(qtest->messages, 0) != 0 ? vtd_errno() : r;
}

/* As @uid, whose groups are no others. */
static bool become_user(unsigned uid)
{
        return uid == 0 || geteuid() != 0 ||
               (setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
                setresuid(uid, uid, uid) == 0);
}

/* It would outlive its input; and the parent may be killed at any instant. */
static bool end_with(pid_t parent)
{
        return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

/* Adds @more to the @count strings of @all, which has room for ARGUMENTS_MAX. */
static size_t add(const char **all, size_t count, const char *const *more)
{
        for (; *more && count < ARGUMENTS_MAX; more++)
                all[count++] = *more;
        return count;
}

/* The program has what is in its arguments, and no other descriptor. */
static bool keep_open(const int *fds, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (fds[i] > 0 && fcntl(fds[i], F_SETFD, 0) != 0)
                        return false;
        return true;
}

/* In the child, which owns nothing and must not return. */
static void become_qemu(const struct qtest *qtest, const struct qtest_config *config, int firmware,
                        int qtest_fd, int qmp_fd, pid_t parent)
{
        char bios[64], qtest_socket[64], qmp_socket[64];
        const char *const fixed[] = {
                "-nodefaults", "-display", "none",
                "-vga",        "none",     "-chardev",
                qtest_socket,  "-qtest",   "chardev:qtest",
                "-qtest-log",  "none",     "-chardev",
                qmp_socket,    "-mon",     "chardev=qmp,mode=control",
                NULL,
        };
        const char *const firmware_option[] = {"-bios", bios, NULL};
        const int fds[] = {firmware, qtest_fd, qmp_fd, config->inherited};
        const char *all[ARGUMENTS_MAX + 1] = {NULL};
        char *const *vector;
        size_t count;

        (void)snprintf(bios, sizeof(bios), "/proc/self/fd/%d", firmware);
        (void)snprintf(qtest_socket, sizeof(qtest_socket), "socket,id=qtest,fd=%d", qtest_fd);
        (void)snprintf(qmp_socket, sizeof(qmp_socket), "socket,id=qmp,fd=%d", qmp_fd);
        count = add(all, 0, config->command);
        count = add(all, count, fixed);
        if (config->firmware)
                count = add(all, count, firmware_option);
        (void)add(all, count, config->arguments);
        if (dup2(qtest->messages, STDERR_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
            !keep_open(fds, VTD_ARRAY_SIZE(fds)))
                return;
        if (chdir(config->directory) != 0 || !become_user(config->uid) || !end_with(parent)) {
                perror(config->directory);
                return;
        }
        /* execv() changes nothing that it is given, its type is of older times. */
        memcpy(&vector, &(const void *){all}, sizeof(vector));
        (void)execv(all[0], vector);
        perror(all[0]);
}

static int start(struct qtest *qtest, const struct qtest_config *config, int firmware)
{
        VTD_CLEANUP_FD int qtest_fd = -1;
        VTD_CLEANUP_FD int qmp_fd = -1;
        pid_t parent = getpid();
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
                return vtd_errno();
        qtest->qtest.fd = pair[0];
        qtest_fd = pair[1];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
                return vtd_errno();
        qtest->qmp.fd = pair[0];
        qmp_fd = pair[1];
        qtest->pid = fork();
        if (qtest->pid < 0)
                return vtd_errno();
        if (qtest->pid == 0) {
                become_qemu(qtest, config, firmware, qtest_fd, qmp_fd, parent);
                _exit(127);
        }
        return 0;
}

static int greet(struct qtest *qtest)
{
        static const char key[] = "\"package\": \"";
        const struct timeval limit = {.tv_sec = ANSWER_SECONDS};
        const char *found;
        int r;

        if (setsockopt(qtest->qtest.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
            setsockopt(qtest->qmp.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0)
                return vtd_errno();
        r = stream_line(&qtest->qmp, qtest->line);
        if (r != 0)
                return give_up(qtest, r, "does not start");
        found = strstr(qtest->line, key);
        if (found)
                (void)snprintf(qtest->version, sizeof(qtest->version), "%.*s",
                               (int)strcspn(found + sizeof(key) - 1, "\""),
                               found + sizeof(key) - 1);
        return qtest_qmp(qtest, "qmp_capabilities", NULL);
}

static int prepare(struct qtest *qtest, const struct qtest_config *config)
{
        VTD_CLEANUP_FD int bios = -1;

        qtest->qtest.fd = qtest->qmp.fd = -1;
        qtest->pid = -1;
        qtest->messages = memfd_create("qemu-messages", MFD_CLOEXEC);
        if (qtest->messages < 0)
                return vtd_errno();
        if (!config->firmware)
                return start(qtest, config, -1);
        bios = memfd_create("qemu-firmware", MFD_CLOEXEC);
        if (bios < 0 ||
            write(bios, config->firmware, config->firmware_size) != (ssize_t)config->firmware_size)
                return vtd_errno();
        return start(qtest, config, bios);
}

int qtest_new(struct qtest **out, const struct qtest_config *config)
{
        struct qtest *qtest = calloc(1, sizeof(*qtest));
        int r;

        if (!qtest)
                return -ENOMEM;
        r = prepare(qtest, config);
        if (r == 0)
                r = greet(qtest);
        if (r != 0) {
                qtest_free(qtest);
                return r;
        }
        *out = qtest;
        return 0;
}

static int await_refusal(struct qtest *qtest)
{
        const struct timespec pause = {.tv_nsec = 5000000};
        int status;

        for (unsigned waited = 0; waited < ANSWER_SECONDS * 1000; waited += 5) {
                if (waitpid(qtest->pid, &status, WNOHANG) == qtest->pid) {
                        qtest->pid = -1;
                        return WIFEXITED(status) && WEXITSTATUS(status) == 1 ? 0 : -ECHILD;
                }
                (void)nanosleep(&pause, NULL);
        }
        return -ETIMEDOUT;
}

int qtest_refused(const struct qtest_config *config, char *text, size_t size)
{
        struct qtest *qtest = calloc(1, sizeof(*qtest));
        int r;

        if (!qtest)
                return -ENOMEM;
        r = prepare(qtest, config);
        if (r == 0)
                r = await_refusal(qtest);
        qtest_messages(qtest, text, size);
        qtest_free(qtest);
        return r;
}

struct qtest *qtest_free(struct qtest *qtest)
{
        if (!qtest)
                return NULL;
        if (qtest->pid > 0) {
                (void)kill(qtest->pid, SIGKILL);
                (void)waitpid(qtest->pid, NULL, 0);
        }
        (void)vtd_close(qtest->qtest.fd);
        (void)vtd_close(qtest->qmp.fd);
        (void)vtd_close(qtest->messages);
        free(qtest);
        return NULL;
}

const char *qtest_version(const struct qtest *qtest)
{
        return qtest->version;
}

pid_t qtest_pid(const struct qtest *qtest)
{
        return qtest->pid;
}
