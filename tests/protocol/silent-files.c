/* SPDX-License-Identifier: MIT */
/*
 * A file of a file system that the attacker serves itself (FUSE), and whose server falls silent: the
 * file is refused without asking it, but closing it asks, and may wait for as long as the server
 * likes.  That must be the attacker's own wait.
 */
#include "tests/protocol/attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cleanup.h"

#define REQUEST_MAX 131072u
#define NODE_FILE   2u

struct server {
        int fd;
        atomic_bool silenced; /* it has been asked to close the file, and does not answer */
        uint8_t request[REQUEST_MAX];
};

static void answer(struct server *server, uint64_t unique, int error, const void *data, size_t size)
{
        uint8_t reply[512] = {0};
        struct fuse_out_header header = {
                .len = (uint32_t)(sizeof(header) + size), .error = error, .unique = unique};

        memcpy(reply, &header, sizeof(header));
        if (size > 0)
                memcpy(reply + sizeof(header), data, size);
        /* A request that was interrupted cannot be answered any more. */
        (void)!write(server->fd, reply, header.len);
}

static struct fuse_attr attributes(uint64_t node)
{
        return (struct fuse_attr){.ino = node,
                                  .size = 1 << 20,
                                  .mode = node == NODE_FILE ? S_IFREG | 0666 : S_IFDIR | 0777,
                                  .nlink = 1};
}

static void serve(struct server *server, const struct fuse_in_header *header)
{
        const struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION,
                                           .minor = FUSE_KERNEL_MINOR_VERSION,
                                           .max_write = 4096};
        const struct fuse_entry_out entry = {.nodeid = NODE_FILE, .attr = attributes(NODE_FILE)};
        const struct fuse_attr_out attr = {.attr = attributes(header->nodeid)};
        const struct fuse_open_out opened = {.fh = 1};

        switch (header->opcode) {
        case FUSE_INIT:
                answer(server, header->unique, 0, &init, sizeof(init));
                return;
        case FUSE_LOOKUP:
                answer(server, header->unique, 0, &entry, sizeof(entry));
                return;
        case FUSE_GETATTR:
                answer(server, header->unique, 0, &attr, sizeof(attr));
                return;
        case FUSE_OPEN:
                answer(server, header->unique, 0, &opened, sizeof(opened));
                return;
        case FUSE_FLUSH:
        case FUSE_RELEASE:
                atomic_store(&server->silenced, true);
                return;
        case FUSE_FORGET:
        case FUSE_INTERRUPT:
                return;
        default:
                answer(server, header->unique, -ENOSYS, NULL, 0);
        }
}

static void *run_server(void *opaque)
{
        struct server *server = opaque;
        struct fuse_in_header header;

        while (read(server->fd, server->request, sizeof(server->request)) >=
               (ssize_t)sizeof(header)) {
                memcpy(&header, server->request, sizeof(header));
                serve(server, &header);
        }
        return NULL;
}

/* Mounts at @path; without the privilege for it the attack cannot be made at all. */
static bool mount_at(struct server *server, const char *path)
{
        char options[128];

        server->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (server->fd < 0) {
                assert_true(errno == EACCES || errno == EPERM || errno == ENOENT);
                return false;
        }
        (void)snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%u,group_id=%u",
                       server->fd, geteuid(), getegid());
        if (mount("attack", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
                assert_int_equal(errno, EPERM);
                server->fd = vtd_close(server->fd);
                return false;
        }
        return true;
}

/* The attacker's VM may wait for its own server; the bystander does not. */
static void pass_the_file(struct world *world, struct server *server, const char *path,
                          enum vtd_request_type type)
{
        struct vtd_request request = {.type = type};
        uint8_t record[VTD_FRAME_SIZE_MAX];
        unsigned long rounds;
        char name[64];
        size_t length;
        int fd;

        (void)snprintf(name, sizeof(name), "%s/file", path);
        fd = open(name, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        if (type == VTD_REQUEST_MAP_MEMORY) {
                (void)plug(&world->client, "edu0");
                request.map_memory.size = MAPPING;
        } else {
                request.interrupt.device = plug(&world->client, "edu0");
                request.interrupt.kind = VTD_INTERRUPT_MSI;
        }
        request.sequence = ++world->client.sequence;
        assert_int_equal(vtd_codec_encode_request(&request, record, &length), 0);
        assert_int_equal(raw_send(&world->client, record, length, &fd, 1), 0);
        for (unsigned waited = 0; !atomic_load(&server->silenced) && waited < 5000; waited += 5)
                pause_ms(5);
        assert_true(atomic_load(&server->silenced));
        rounds = atomic_load(&world->bystander.rounds);
        pause_ms(300);
        assert_true(atomic_load(&world->bystander.rounds) > rounds);
        raw_close(&world->client);
        rounds = atomic_load(&world->bystander.rounds);
        pause_ms(300);
        assert_true(atomic_load(&world->bystander.rounds) > rounds);
        /* The end of the server ends the wait, also this process's own. */
        (void)umount2(path, MNT_FORCE | MNT_DETACH);
        fd = vtd_close(fd);
}

static void silent_file(struct world *world, const struct attack *attack)
{
        struct server *server = calloc(1, sizeof(*server));
        char path[] = "/tmp/vtd-silent-XXXXXX";
        pthread_t thread;

        assert_non_null(server);
        assert_non_null(mkdtemp(path));
        if (mount_at(server, path)) {
                assert_int_equal(pthread_create(&thread, NULL, run_server, server), 0);
                pass_the_file(world, server, path, (enum vtd_request_type)attack->a);
                (void)pthread_join(thread, NULL);
                server->fd = vtd_close(server->fd);
        }
        assert_int_equal(rmdir(path), 0);
        free(server);
}

const struct attack silent_file_attacks[] = {
        {.name = "descriptor: a file whose server does not answer, as memory",
         .run = silent_file,
         .a = VTD_REQUEST_MAP_MEMORY},
        {.name = "descriptor: a file whose server does not answer, as an eventfd",
         .run = silent_file,
         .a = VTD_REQUEST_SET_INTERRUPT},
        {0},
};
