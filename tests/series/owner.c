/* SPDX-License-Identifier: MIT */
/* See owner.h. */
#include "tests/series/owner.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/system/broker-run.h"
#include "tests/system/raw-client.h"

#define EDU_SOURCE      0x80u
#define EDU_DESTINATION 0x88u
#define EDU_COUNT       0x90u
#define EDU_COMMAND     0x98u
#define EDU_BUFFER      0x40000u
#define EDU_START       1u
#define EDU_TO_MEMORY   2u

#define PAGE          UINT64_C(4096)
#define PAGE_SOURCE   UINT64_C(0x1000)
#define PAGE_TARGET   UINT64_C(0x100000)
#define WORD_OF_FIRST UINT64_C(0xf1457f1457f1457f)
#define WARM_UP       3u

#define PATIENCE_MS 20000 /* until a device or a user is free again: a stopped worker takes 12 s */
#define LINGER_MS   200   /* how long canaries are watched: longer than any DMA takes */

struct vmm {
        struct raw_client client;
        struct owner_report *report;
        int memfd;
        uint64_t *memory;
        uint64_t device;
};

static uint64_t now_ns(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void pause_ms(unsigned ms)
{
        const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

        (void)nanosleep(&pause, NULL);
}

__attribute__((noreturn, format(printf, 2, 3))) static void give_up(struct vmm *vmm,
                                                                    const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(vmm->report->problem, sizeof(vmm->report->problem), format, arguments);
        va_end(arguments);
        _exit(EXIT_FAILURE);
}

static struct vtd_reply call(struct vmm *vmm, struct vtd_request *request, int fd)
{
        struct vtd_reply reply;
        enum raw_outcome outcome = raw_call(&vmm->client, request, fd, &reply);

        if (outcome != RAW_ANSWERED)
                give_up(vmm, "request %d: outcome %d", (int)request->type, (int)outcome);
        return reply;
}

static struct vtd_reply must(struct vmm *vmm, struct vtd_request *request, int fd)
{
        struct vtd_reply reply = call(vmm, request, fd);

        if (reply.refused)
                give_up(vmm, "request %d refused: %s", (int)request->type,
                        vtd_reason_name(reply.refusal.reason));
        return reply;
}

static void set(struct vmm *vmm, uint64_t reg, uint32_t width, uint64_t value)
{
        struct vtd_request request = {
                .type = VTD_REQUEST_REGION_WRITE,
                .region = {.device = vmm->device, .width = width, .offset = reg, .value = value}};

        (void)must(vmm, &request, -1);
}

static void program(struct vmm *vmm, uint64_t source, uint64_t destination)
{
        set(vmm, EDU_SOURCE, 8, source);
        set(vmm, EDU_DESTINATION, 8, destination);
        set(vmm, EDU_COUNT, 8, PAGE);
}

static void wait_idle(struct vmm *vmm)
{
        struct vtd_request request = {
                .type = VTD_REQUEST_REGION_READ,
                .region = {.device = vmm->device, .width = 4, .offset = EDU_COMMAND}};
        uint64_t deadline = now_ns() + UINT64_C(5000000000);

        while (must(vmm, &request, -1).region_read.value & EDU_START)
                if (now_ns() > deadline)
                        give_up(vmm, "the device does not come to an end of its DMA");
}

/* A page of memory goes through the device to another one. */
static void copy_page(struct vmm *vmm, uint64_t from, uint64_t to)
{
        wait_idle(vmm);
        program(vmm, from, EDU_BUFFER);
        set(vmm, EDU_COMMAND, 4, EDU_START);
        wait_idle(vmm);
        program(vmm, EDU_BUFFER, to);
        set(vmm, EDU_COMMAND, 4, EDU_START | EDU_TO_MEMORY);
        wait_idle(vmm);
}

static void make_memory(struct vmm *vmm)
{
        vmm->memfd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (vmm->memfd < 0 || ftruncate(vmm->memfd, OWNER_MEMORY) < 0 ||
            fcntl(vmm->memfd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
                give_up(vmm, "no memfd");
        vmm->memory = mmap(NULL, OWNER_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, vmm->memfd, 0);
        if (vmm->memory == MAP_FAILED)
                give_up(vmm, "memfd not mapped");
}

static bool connect_once(struct vmm *vmm, const char *socket)
{
        struct vtd_reply reply;

        if (raw_connect(&vmm->client, socket) < 0)
                return false;
        if (raw_hello(&vmm->client, &reply) == RAW_ANSWERED && !reply.refused)
                return true;
        raw_close(&vmm->client);
        return false;
}

static void plug(struct vmm *vmm, const char *device)
{
        uint64_t deadline = now_ns() + (uint64_t)PATIENCE_MS * 1000000;
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE};
        struct vtd_reply reply;

        (void)snprintf(request.plug_device.name.text, sizeof(request.plug_device.name.text), "%s",
                       device);
        for (;;) {
                reply = call(vmm, &request, -1);
                if (!reply.refused)
                        break;
                if (reply.refusal.reason != VTD_REASON_DEVICE_BUSY || now_ns() > deadline)
                        give_up(vmm, "plug refused: %s", vtd_reason_name(reply.refusal.reason));
                pause_ms(1);
        }
        vmm->device = reply.plug_device.device;
}

/* Connects, plugs, maps all memory, and lets the device reach it by guest-physical address. */
static void own(struct vmm *vmm, const char *socket, const char *device)
{
        uint64_t deadline = now_ns() + (uint64_t)PATIENCE_MS * 1000000;
        struct vtd_request map = {.type = VTD_REQUEST_MAP_MEMORY,
                                  .map_memory = {.gpa = 0, .size = OWNER_MEMORY}};
        struct vtd_request attach = {.type = VTD_REQUEST_ATTACH,
                                     .attach = {.mode = VTD_ATTACH_PASSTHROUGH}};

        while (!connect_once(vmm, socket)) {
                if (now_ns() > deadline)
                        give_up(vmm, "not served within %d ms", PATIENCE_MS);
                pause_ms(20);
        }
        plug(vmm, device);
        (void)must(vmm, &map, vmm->memfd);
        attach.attach.device = vmm->device;
        (void)must(vmm, &attach, -1);
        vmm->report->attached_ns = now_ns();
}

static void fill_page(struct vmm *vmm, uint64_t page, uint64_t word)
{
        for (uint64_t i = 0; i < PAGE / 8; i++)
                vmm->memory[page / 8 + i] = word;
}

__attribute__((noreturn)) static void run_first(struct vmm *vmm, const char *socket,
                                                const char *device)
{
        make_memory(vmm);
        fill_page(vmm, PAGE_SOURCE, WORD_OF_FIRST);
        own(vmm, socket, device);
        for (uint64_t i = 0; i < WARM_UP; i++) {
                uint64_t target = PAGE_TARGET + i * PAGE;

                copy_page(vmm, PAGE_SOURCE, target);
                if (__atomic_load_n(&vmm->memory[target / 8], __ATOMIC_SEQ_CST) != WORD_OF_FIRST)
                        give_up(vmm, "DMA did not arrive");
        }
        program(vmm, EDU_BUFFER, PAGE_TARGET);
        vmm->report->started_ns = now_ns();
        set(vmm, EDU_COMMAND, 4, EDU_START | EDU_TO_MEMORY);
        __atomic_store_n(&vmm->report->in_flight, true, __ATOMIC_SEQ_CST);
        for (;;)
                (void)pause();
}

/* Differs in each word of memory, and is never a word of the first owner. */
static uint64_t canary(uint64_t index)
{
        return index * UINT64_C(0x9e3779b97f4a7c15) ^ UINT64_C(0xca7a41e5);
}

/* Every word is its canary; those of the page @except, if it is not 0, are those of PAGE_SOURCE. */
static void check_canaries(struct vmm *vmm, uint64_t except)
{
        for (uint64_t i = 0; i < OWNER_MEMORY / 8; i++) {
                bool copied = except != 0 && i * 8 / PAGE == except / PAGE;
                uint64_t expected = canary(copied ? i - (except - PAGE_SOURCE) / 8 : i);
                uint64_t found = __atomic_load_n(&vmm->memory[i], __ATOMIC_RELAXED);

                if (found != expected)
                        give_up(vmm, "word at %#llx is %#llx, not %#llx", (unsigned long long)i * 8,
                                (unsigned long long)found, (unsigned long long)expected);
        }
}

__attribute__((noreturn)) static void run_next(struct vmm *vmm, const char *socket,
                                               const char *device)
{
        make_memory(vmm);
        for (uint64_t i = 0; i < OWNER_MEMORY / 8; i++)
                vmm->memory[i] = canary(i);
        own(vmm, socket, device);
        pause_ms(LINGER_MS);
        check_canaries(vmm, 0);
        copy_page(vmm, PAGE_SOURCE, PAGE_TARGET);
        check_canaries(vmm, PAGE_TARGET);
        _exit(EXIT_SUCCESS);
}

static void become_vmm(void)
{
        const uid_t uid = broker_run_vmm_uid();

        if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
                               setresuid(uid, uid, uid) < 0))
                _exit(126);
        /* After the change of user, which clears it. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void start(struct owner *owner, const char *socket, const char *device, bool first)
{
        struct vmm vmm = {.client.fd = -1, .memfd = -1};

        owner->pid = -1;
        owner->report = mmap(NULL, sizeof(*owner->report), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (owner->report == MAP_FAILED)
                abort();
        owner->pid = fork();
        if (owner->pid != 0)
                return;
        vmm.report = owner->report;
        become_vmm();
        if (first)
                run_first(&vmm, socket, device);
        run_next(&vmm, socket, device);
}

void owner_start_first(struct owner *owner, const char *socket, const char *device)
{
        start(owner, socket, device, true);
}

void owner_start_next(struct owner *owner, const char *socket, const char *device)
{
        start(owner, socket, device, false);
}

int owner_wait(struct owner *owner, int wait_ms)
{
        uint64_t deadline = now_ns() + (uint64_t)wait_ms * 1000000;
        int status = 0;

        while (waitpid(owner->pid, &status, WNOHANG) != owner->pid) {
                if (now_ns() > deadline)
                        (void)kill(owner->pid, SIGKILL);
                pause_ms(2);
        }
        owner->pid = -1;
        return status;
}

void owner_deinit(struct owner *owner)
{
        if (owner->pid > 0) {
                (void)kill(owner->pid, SIGKILL);
                (void)waitpid(owner->pid, NULL, 0);
        }
        owner->pid = -1;
        if (owner->report)
                (void)munmap(owner->report, sizeof(*owner->report));
        owner->report = NULL;
}
