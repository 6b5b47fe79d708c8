/* SPDX-License-Identifier: MIT */
/* Descriptors: where none belong, too many, and every kind that is not guest memory. */
#include "tests/protocol/attack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/cleanup.h"

/* Linux 6.16; the headers may be older. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

/* @a bytes of a valid GetStats that announces @b descriptors and brings @c. */
static void uninvited(struct world *world, const struct attack *attack)
{
        const int fds[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        uint8_t record[VTD_FRAME_SIZE_MAX];

        (void)valid_record(world, record);
        record[5] = (uint8_t)attack->b;
        expect_closed(world, record, attack->a, fds, attack->c);
}

/* A MapMemory that announces @b descriptors and brings @c. */
static void wrong_count(struct world *world, const struct attack *attack)
{
        static const char body[] = "\x08\x00\x10\x80\x20\x18\x00";
        VTD_CLEANUP_FD int fd = make_memory(4096, F_SEAL_SHRINK);
        const int fds[2] = {fd, fd};
        uint8_t record[VTD_FRAME_SIZE_MAX];
        size_t length = frame_body(world, record, VTD_REQUEST_MAP_MEMORY, (uint8_t)attack->b, body,
                                   sizeof(body) - 1);

        (void)plug(&world->client, "edu0");
        /* plug() has used sequence numbers since. */
        expect_closed(world, record, length, fds, attack->c);
}

static void expect_map_refused(struct world *world, int fd, enum vtd_reason reason)
{
        struct vtd_request request = {.type = VTD_REQUEST_MAP_MEMORY,
                                      .map_memory = {.size = MAPPING}};

        assert_true(fd >= 0);
        (void)plug(&world->client, "edu0");
        expect_refusal(&world->client, &request, fd, reason);
        /* It was a refusal, not the end: the VM goes on. */
        (void)map(&world->client, 0, MAPPING);
}

/* The file at the path, opened with flags @a. */
static void file(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int fd = open(attack->bytes, (int)attack->a | O_CLOEXEC);

        expect_map_refused(world, fd, VTD_REASON_MEMFD_KIND);
}

/* A file of tmpfs that is not a memfd: it has no seals. */
static void file_in_memory(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        (void)attack;
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t)MAPPING), 0);
        expect_map_refused(world, fd, (enum vtd_reason)attack->reason);
}

static void own_socket(struct world *world, const struct attack *attack)
{
        (void)attack;
        expect_map_refused(world, world->client.fd, VTD_REASON_MEMFD_KIND);
}

static void event_counter(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int fd = eventfd(0, EFD_CLOEXEC);

        (void)attack;
        expect_map_refused(world, fd, VTD_REASON_MEMFD_KIND);
}

static void event_poll(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int fd = epoll_create1(EPOLL_CLOEXEC);

        (void)attack;
        expect_map_refused(world, fd, VTD_REASON_MEMFD_KIND);
}

static void own_process(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

        (void)attack;
        expect_map_refused(world, fd, VTD_REASON_MEMFD_KIND);
}

static void pipe_end(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int out = -1;
        VTD_CLEANUP_FD int in = -1;
        int ends[2];

        (void)attack;
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        out = ends[0];
        in = ends[1];
        expect_map_refused(world, in, VTD_REASON_MEMFD_KIND);
}

/* A socket in which another socket waits, in which ... as far as the kernel lets it. */
static void socket_in_sockets(struct world *world, const struct attack *attack)
{
        int pair[2];

        (void)attack;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        for (unsigned i = 0; i < 8; i++) {
                struct raw_client end = {.fd = pair[0]};

                assert_int_equal(raw_send(&end, "x", 1, &pair[1], 1), 0);
        }
        expect_map_refused(world, pair[1], VTD_REASON_MEMFD_KIND);
        pair[0] = vtd_close(pair[0]);
        pair[1] = vtd_close(pair[1]);
}

/* A memfd with the seals @a. */
static void seals(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int fd = make_memory(MAPPING, (unsigned)attack->a);

        expect_map_refused(world, fd, (enum vtd_reason)attack->reason);
}

/* A good memfd, opened anew with flags @a. */
static void reopened(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int memory = make_memory(MAPPING, F_SEAL_SHRINK);
        VTD_CLEANUP_FD int fd = -1;
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
        fd = open(path, (int)attack->a | O_CLOEXEC);
        expect_map_refused(world, fd, (enum vtd_reason)attack->reason);
}

static void empty_memory(struct world *world, const struct attack *attack)
{
        VTD_CLEANUP_FD int fd = make_memory(0, F_SEAL_SHRINK);

        (void)attack;
        expect_map_refused(world, fd, VTD_REASON_MEMFD_RANGE);
}

/* Shrunk after it was sealed against that: the kernel does not let it. */
static void shrinking_memory(struct world *world, const struct attack *attack)
{
        struct vtd_request request = {.type = VTD_REQUEST_MAP_MEMORY,
                                      .map_memory = {.size = MAPPING}};
        VTD_CLEANUP_FD int fd = make_memory(MAPPING, F_SEAL_SHRINK);
        uint64_t device = plug(&world->client, "edu0");
        struct vtd_reply reply;

        (void)attack;
        expect_served(&world->client, &request, fd, &reply);
        assert_int_equal(ftruncate(fd, 0), -1);
        assert_int_equal(errno, EPERM);
        /* It may still be punched: the pages that devices reach stay, pinned. */
        assert_int_equal(
                fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)MAPPING), 0);
        (void)attach_first_stage(&world->client, device, 0x1000);
}

/*
 * Closing a connection closes the descriptors that wait in it, and their sender can make that last
 * (SO_LINGER): none may wait in a connection that vtd-brokerd could be the one to close.
 */
static void before_a_worker_is_there(struct world *world, const struct attack *attack)
{
        struct raw_client client = {.fd = -1};
        const uint8_t byte = 0;
        int stopped, value, expected = -EPERM, fd = STDIN_FILENO;
        socklen_t size = sizeof(value);

        (void)attack;
        /* Kernels before 6.16 let them in, of which vtd-brokerd warns and SECURITY.md tells. */
        if (getsockopt(world->client.fd, SOL_SOCKET, SO_PASSRIGHTS, &value, &size) < 0)
                expected = 0;
        assert_int_equal(kill(world->run.pid, SIGSTOP), 0);
        stopped = raw_connect(&client, world->attacker);
        if (stopped == 0)
                stopped = raw_send(&client, &byte, 1, &fd, 1);
        assert_int_equal(kill(world->run.pid, SIGCONT), 0);
        assert_int_equal(stopped, expected);
        raw_close(&client);
}

#define UNINVITED(text, length, announced, brought)                                                \
        {                                                                                          \
                .name = "descriptor: " text, .run = uninvited, .a = (length), .b = (announced),    \
                .c = (brought)                                                                     \
        }

const struct attack descriptor_attacks[] = {
        UNINVITED("one where none belongs, not announced", 16, 0, 1),
        UNINVITED("one where none belongs, announced", 16, 1, 1),
        UNINVITED("two where none belong", 16, 2, 2),
        UNINVITED("eight where none belong", 16, 1, 8),
        UNINVITED("one with a record of no length", 0, 0, 1),
        {.name = "descriptor: MapMemory with none", .run = wrong_count, .b = 1, .c = 0},
        {.name = "descriptor: MapMemory with none, none announced", .run = wrong_count, .b = 0},
        {.name = "descriptor: MapMemory with two", .run = wrong_count, .b = 1, .c = 2},
        {.name = "descriptor: MapMemory with two, announced", .run = wrong_count, .b = 2, .c = 2},
        {.name = "descriptor: a device file", .run = file, .a = O_RDWR, .bytes = "/dev/null"},
        {.name = "descriptor: a directory", .run = file, .a = O_DIRECTORY, .bytes = "/"},
        {.name = "descriptor: a program", .run = file, .a = O_RDONLY, .bytes = "/proc/self/exe"},
        {.name = "descriptor: its own memory through /proc",
         .run = file,
         .a = O_RDWR,
         .bytes = "/proc/self/mem"},
        {.name = "descriptor: a name only (O_PATH)", .run = file, .a = O_PATH, .bytes = "/dev/shm"},
        {.name = "descriptor: a file of tmpfs, not sealed",
         .run = file_in_memory,
         .reason = VTD_REASON_MEMFD_SEALS},
        {.name = "descriptor: the connection itself", .run = own_socket},
        {.name = "descriptor: an eventfd", .run = event_counter},
        {.name = "descriptor: an epoll set", .run = event_poll},
        {.name = "descriptor: a process", .run = own_process},
        {.name = "descriptor: a pipe", .run = pipe_end},
        {.name = "descriptor: a socket with sockets in flight", .run = socket_in_sockets},
        {.name = "descriptor: a memfd that can shrink",
         .run = seals,
         .reason = VTD_REASON_MEMFD_SEALS},
        {.name = "descriptor: a memfd that can shrink, sealed otherwise",
         .run = seals,
         .a = F_SEAL_GROW | F_SEAL_SEAL,
         .reason = VTD_REASON_MEMFD_SEALS},
        {.name = "descriptor: a memfd sealed against writing",
         .run = seals,
         .a = F_SEAL_SHRINK | F_SEAL_WRITE,
         .reason = VTD_REASON_MEMFD_SEALS},
        {.name = "descriptor: a memfd sealed against writing from now on",
         .run = seals,
         .a = F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE,
         .reason = VTD_REASON_MEMFD_SEALS},
        {.name = "descriptor: a memfd opened for reading",
         .run = reopened,
         .a = O_RDONLY,
         .reason = VTD_REASON_MEMFD_ACCESS},
        {.name = "descriptor: a memfd opened for writing",
         .run = reopened,
         .a = O_WRONLY,
         .reason = VTD_REASON_MEMFD_ACCESS},
        {.name = "descriptor: a memfd of no size", .run = empty_memory},
        {.name = "descriptor: a memfd shrunk and punched once it is mapped",
         .run = shrinking_memory},
        {.name = "descriptor: sent before a worker is there", .run = before_a_worker_is_there},
        {0},
};
