/* SPDX-License-Identifier: MIT */
/* See next-owner.h. */
#include "tests/passthrough/next-owner.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/broker-run.h"
#include "tests/system/raw-client.h"

#define MEMORY      (UINT64_C(64) << 20)
#define PATIENCE_MS 20000
#define WATCH_MS    1000

struct next_owner {
        struct raw_client client;
        uint64_t *memory;
        int memfd;
        char *problem;
        size_t size;
};

static void pause_ms(unsigned ms)
{
        const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

        (void)nanosleep(&pause, NULL);
}

__attribute__((noreturn, format(printf, 2, 3))) static void give_up(struct next_owner *owner,
                                                                    const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(owner->problem, owner->size, format, arguments);
        va_end(arguments);
        _exit(EXIT_FAILURE);
}

static uint64_t canary(uint64_t index)
{
        return index * UINT64_C(0x9e3779b97f4a7c15) ^ UINT64_C(0xca7a41e5);
}

static void make_memory(struct next_owner *owner)
{
        void *memory = MAP_FAILED;

        owner->memfd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (owner->memfd >= 0 && ftruncate(owner->memfd, (off_t)MEMORY) == 0 &&
            fcntl(owner->memfd, F_ADD_SEALS, F_SEAL_SHRINK) == 0)
                memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, owner->memfd, 0);
        if (memory == MAP_FAILED)
                give_up(owner, "no memory: %s", strerror(errno));
        owner->memory = memory;
        for (uint64_t i = 0; i < MEMORY / 8; i++)
                owner->memory[i] = canary(i);
}

/* Until the broker has let go of the one before. */
static struct vtd_reply patiently(struct next_owner *owner, struct vtd_request *request, int fd)
{
        struct vtd_reply reply = {0};

        for (unsigned waited = 0; waited < PATIENCE_MS; waited += 20) {
                if (raw_call(&owner->client, request, fd, &reply) != RAW_ANSWERED)
                        give_up(owner, "request %d: no answer", (int)request->type);
                if (!reply.refused)
                        return reply;
                if (reply.refusal.reason != VTD_REASON_DEVICE_BUSY)
                        break;
                pause_ms(20);
        }
        give_up(owner, "request %d: refused, %s", (int)request->type,
                vtd_reason_name(reply.refusal.reason));
}

static void connect_patiently(struct next_owner *owner, const char *socket)
{
        struct vtd_reply reply;

        for (unsigned waited = 0; waited < PATIENCE_MS; waited += 20) {
                if (raw_connect(&owner->client, socket) == 0) {
                        if (raw_hello(&owner->client, &reply) == RAW_ANSWERED && !reply.refused)
                                return;
                        raw_close(&owner->client);
                }
                pause_ms(20);
        }
        give_up(owner, "not served within %d ms", PATIENCE_MS);
}

__attribute__((noreturn)) static void watch(struct next_owner *owner, const char *socket)
{
        struct vtd_request plug = {.type = VTD_REQUEST_PLUG_DEVICE,
                                   .plug_device = {.name = {"drive"}}};
        struct vtd_request map = {.type = VTD_REQUEST_MAP_MEMORY, .map_memory = {.size = MEMORY}};
        struct vtd_request attach = {.type = VTD_REQUEST_ATTACH,
                                     .attach = {.mode = VTD_ATTACH_PASSTHROUGH}};

        make_memory(owner);
        connect_patiently(owner, socket);
        attach.attach.device = patiently(owner, &plug, -1).plug_device.device;
        (void)patiently(owner, &map, owner->memfd);
        (void)patiently(owner, &attach, -1);
        pause_ms(WATCH_MS);
        for (uint64_t i = 0; i < MEMORY / 8; i++) {
                uint64_t found = __atomic_load_n(&owner->memory[i], __ATOMIC_RELAXED);

                if (found != canary(i))
                        give_up(owner, "the word at %#llx is %#llx", (unsigned long long)i * 8,
                                (unsigned long long)found);
        }
        _exit(EXIT_SUCCESS);
}

bool next_owner_is_left_alone(const char *socket, char *problem, size_t size)
{
        char *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct next_owner owner = {.client.fd = -1, .memfd = -1, .problem = shared, .size = size};
        const uid_t uid = broker_run_vmm_uid();
        int status = -1;
        pid_t pid;

        (void)snprintf(problem, size, "it could not be started");
        if (shared == MAP_FAILED)
                return false;
        pid = fork();
        if (pid == 0) {
                if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
                    setresuid(uid, uid, uid) < 0)
                        give_up(&owner, "user %u: %s", (unsigned)uid, strerror(errno));
                watch(&owner, socket);
        }
        if (pid > 0 && waitpid(pid, &status, 0) == pid)
                (void)snprintf(problem, size, "%s", shared);
        (void)munmap(shared, size);
        return status == 0;
}
