/* SPDX-License-Identifier: MIT */
/* See qtest.h.  Sent commands are gathered and go out together, before anything is awaited. */
#include "tests/diff/qtest.h"

#include <errno.h>
#include <fcntl.h>
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
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"

#define ANSWER_SECONDS 30
#define ARGUMENTS_MAX  64u
#define PATH_SIZE      512u
#define TRANSFER_MAX   0x4000u /* bytes in one read or write command */
#define LINE_SIZE      (2 * TRANSFER_MAX + 64)
#define ANSWERS_MAX    512u /* awaited at most: they fit into a socket's buffer */
#define LIBRARIES      "usr/lib/x86_64-linux-gnu"

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

/* What QEMU said last, for a reader: an error of @qtest's is about to be returned. */
static int give_up(const struct qtest *qtest, int result, const char *what)
{
        char text[2048];
        off_t end = lseek(qtest->messages, 0, SEEK_END);
        off_t start = end > (off_t)sizeof(text) ? end - (off_t)sizeof(text) : 0;
        ssize_t n = pread(qtest->messages, text, sizeof(text), start);

        fprintf(stderr, "QEMU %s: %s\n%.*s", what, strerror(-result), n > 0 ? (int)n : 0, text);
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

/* Reads QMP lines until there were an answer and, when there is one, @event. */
static int await_qmp(struct qtest *qtest, const char *event)
{
        bool answered = false, occurred = !event;

        while (!answered || !occurred) {
                int r = stream_line(&qtest->qmp, qtest->line);

                if (r != 0)
                        return r;
                if (strstr(qtest->line, "\"error\""))
                        return -EPROTO;
                if (strstr(qtest->line, "\"return\""))
                        answered = true;
                if (event && strstr(qtest->line, "\"event\"") && strstr(qtest->line, event))
                        occurred = true;
        }
        return 0;
}

int qtest_qmp(struct qtest *qtest, const char *command, const char *event)
{
        int r = qtest_sync(qtest);

        if (r != 0)
                return r;
        r = snprintf(qtest->line, sizeof(qtest->line), "{\"execute\": \"%s\"}\n", command);
        r = stream_put(&qtest->qmp, qtest->line, (size_t)r);
        if (r == 0)
                r = stream_flush(&qtest->qmp);
        if (r == 0)
                r = await_qmp(qtest, event);
        /* What it said so far is of the past; it would grow with every program. */
        if (r == 0 && event && ftruncate(qtest->messages, 0) != 0)
                r = vtd_errno();
        return r == 0 ? 0 : give_up(qtest, r, "does not answer QMP");
}

/* In the child, which owns nothing and must not return. */
static void become_qemu(const struct qtest *qtest, const char *directory,
                        const char *const *arguments, int firmware, int qtest_fd, int qmp_fd)
{
        char loader[PATH_SIZE], libraries[PATH_SIZE], program[PATH_SIZE], data[PATH_SIZE];
        char bios[64], qtest_socket[64], qmp_socket[64];
        const char *fixed[] = {
                loader,
                "--library-path",
                libraries,
                program,
                "-L",
                data,
                "-nodefaults",
                "-display",
                "none",
                "-vga",
                "none",
                "-bios",
                bios,
                "-chardev",
                qtest_socket,
                "-qtest",
                "chardev:qtest",
                "-qtest-log",
                "none",
                "-chardev",
                qmp_socket,
                "-mon",
                "chardev=qmp,mode=control",
        };
        const char *all[ARGUMENTS_MAX + 1] = {NULL};
        size_t count = VTD_ARRAY_SIZE(fixed);
        char *const *vector;

        (void)snprintf(loader, sizeof(loader), "%s/" LIBRARIES "/ld-linux-x86-64.so.2", directory);
        (void)snprintf(libraries, sizeof(libraries), "%s/" LIBRARIES, directory);
        (void)snprintf(program, sizeof(program), "%s/usr/bin/qemu-system-x86_64", directory);
        (void)snprintf(data, sizeof(data), "%s/usr/share/qemu", directory);
        (void)snprintf(bios, sizeof(bios), "/proc/self/fd/%d", firmware);
        (void)snprintf(qtest_socket, sizeof(qtest_socket), "socket,id=qtest,fd=%d", qtest_fd);
        (void)snprintf(qmp_socket, sizeof(qmp_socket), "socket,id=qmp,fd=%d", qmp_fd);
        memcpy(all, fixed, sizeof(fixed));
        for (; *arguments && count < ARGUMENTS_MAX; arguments++)
                all[count++] = *arguments;
        if (dup2(qtest->messages, STDERR_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
            fcntl(firmware, F_SETFD, 0) != 0 || fcntl(qtest_fd, F_SETFD, 0) != 0 ||
            fcntl(qmp_fd, F_SETFD, 0) != 0)
                return;
        /* execv() changes nothing that it is given, its type is of older times. */
        memcpy(&vector, &(const void *){all}, sizeof(vector));
        (void)execv(loader, vector);
        perror(loader);
}

static int start(struct qtest *qtest, const char *directory, const char *const *arguments,
                 int firmware)
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
                /* It would outlive its input; and this process may be killed at any instant. */
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
                        become_qemu(qtest, directory, arguments, firmware, qtest_fd, qmp_fd);
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

int qtest_new(struct qtest **out, const char *directory, const char *const *arguments,
              const void *firmware, size_t firmware_size)
{
        struct qtest *qtest = calloc(1, sizeof(*qtest));
        VTD_CLEANUP_FD int bios = -1;
        int r;

        if (!qtest)
                return -ENOMEM;
        qtest->qtest.fd = qtest->qmp.fd = -1;
        qtest->pid = -1;
        qtest->messages = memfd_create("qemu-messages", MFD_CLOEXEC);
        bios = memfd_create("qemu-firmware", MFD_CLOEXEC);
        if (qtest->messages < 0 || bios < 0 ||
            write(bios, firmware, firmware_size) != (ssize_t)firmware_size)
                r = vtd_errno();
        else
                r = start(qtest, directory, arguments, bios);
        if (r == 0)
                r = greet(qtest);
        if (r != 0) {
                qtest_free(qtest);
                return r;
        }
        *out = qtest;
        return 0;
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
