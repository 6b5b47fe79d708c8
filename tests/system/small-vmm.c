/* SPDX-License-Identifier: MIT */
/* See small-vmm.h. */
#include "tests/system/small-vmm.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/checked.h"

#define TURNS 1000u /* of the unit, until it must be idle */

static void must(struct small_vmm *vmm, int result, const char *what)
{
        struct vtd_frontend_refusal refusal;

        if (result == 0)
                return;
        vtd_frontend_refusal(vmm->frontend, &refusal);
        (void)printf("Bail out! %s: %d (%s)\n", what, result,
                     refusal.reason_name ? refusal.reason_name : "not refused");
        (void)fflush(stdout);
        exit(EXIT_FAILURE);
}

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        const struct small_vmm *vmm = opaque;

        if (!vtd_range_within(gpa, size, SMALL_MEMORY))
                return -1;
        memcpy(data, vmm->memory + gpa, size);
        return 0;
}

static int write_memory(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        struct small_vmm *vmm = opaque;

        if (!vtd_range_within(gpa, size, SMALL_MEMORY))
                return -1;
        memcpy(vmm->memory + gpa, data, size);
        return 0;
}

static void send_message(void *opaque, uint64_t address, uint32_t data)
{
        (void)opaque;
        (void)address;
        (void)data;
}

static void print_log(void *opaque, enum vtd_frontend_log_level level, const char *line)
{
        (void)opaque;
        (void)level;
        (void)printf("# frontend: %s\n", line);
}

static bool make_memory(struct small_vmm *vmm)
{
        vmm->memfd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (vmm->memfd < 0 || ftruncate(vmm->memfd, (off_t)SMALL_MEMORY) < 0 ||
            fcntl(vmm->memfd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
                return false;
        vmm->memory = mmap(NULL, SMALL_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, vmm->memfd, 0);
        return vmm->memory != MAP_FAILED;
}

static bool start_broker(struct small_vmm *vmm, const char *build, const char *host, const char *vm,
                         const char *device)
{
        const struct broker_run_config config = {
                .build = build, .host = host, .audit_level = "refusals"};
        char text[1024];

        (void)snprintf(text, sizeof(text),
                       "format = 1\n[tenant]\nname = blue\nuid = %u\n"
                       "[vm]\nmemory = 4MiB\nmodes = passthrough\n%s[device device]\n%s",
                       (unsigned)geteuid(), vm, device);
        if (broker_run_prepare(&vmm->broker) == 0 &&
            broker_run_add_policy(&vmm->broker, "blue.policy", text) == 0 &&
            broker_run_start(&vmm->broker, &config) == 0)
                return true;
        (void)printf("Bail out! %s\n", vmm->broker.message);
        return false;
}

bool small_vmm_start(struct small_vmm *vmm, const char *build, const char *host, const char *vm,
                     const char *device)
{
        const struct vtd_frontend_config config = VTD_FRONTEND_CONFIG_DEFAULT;
        const struct vtd_frontend_callbacks callbacks = {.read_memory = read_memory,
                                                         .write_memory = write_memory,
                                                         .send_message = send_message,
                                                         .log = print_log};
        char path[128];

        *vmm = (struct small_vmm){.memfd = -1};
        if (!make_memory(vmm) || !start_broker(vmm, build, host, vm, device))
                return false;
        broker_run_socket_path(&vmm->broker, "blue", path, sizeof(path));
        must(vmm, vtd_frontend_new(&vmm->frontend, &config, &callbacks, vmm), "vtd_frontend_new");
        must(vmm, vtd_frontend_connect(vmm->frontend, path, NULL), "vtd_frontend_connect");
        return small_vmm_plug(vmm, true);
}

bool small_vmm_plug(struct small_vmm *vmm, bool map)
{
        uint64_t mapping;

        must(vmm, vtd_frontend_plug(vmm->frontend, "device", SMALL_RID), "vtd_frontend_plug");
        if (map)
                must(vmm, vtd_frontend_map(vmm->frontend, 0, SMALL_MEMORY, vmm->memfd, 0, &mapping),
                     "vtd_frontend_map");
        for (unsigned i = 0; i < TURNS; i++) {
                struct pollfd ready = {.fd = vtd_frontend_get_fd(vmm->frontend), .events = POLLIN};
                int r = vtd_frontend_run(vmm->frontend, 64);

                if (r == VTD_FRONTEND_IDLE)
                        return true;
                if (r == VTD_FRONTEND_WAITING)
                        (void)poll(&ready, 1, 10000);
        }
        (void)printf("Bail out! the unit does not come to rest\n");
        return false;
}

int small_vmm_stop(struct small_vmm *vmm)
{
        vmm->frontend = vtd_frontend_free(vmm->frontend);
        (void)munmap(vmm->memory, SMALL_MEMORY);
        (void)close(vmm->memfd);
        small_vmm_is(vmm, broker_run_stop(&vmm->broker) == 0, "vtd-brokerd ends cleanly");
        (void)printf("1..%u\n", vmm->points);
        return vmm->failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void small_vmm_is(struct small_vmm *vmm, bool good, const char *what)
{
        vmm->points++;
        vmm->failures += !good;
        (void)printf("%s %u - %s\n", good ? "ok" : "not ok", vmm->points, what);
        (void)fflush(stdout);
}

bool small_vmm_refused(const struct small_vmm *vmm, int result, const char *reason)
{
        struct vtd_frontend_refusal refusal;

        vtd_frontend_refusal(vmm->frontend, &refusal);
        if (result == VTD_FRONTEND_REFUSED && strcmp(refusal.reason_name, reason) == 0)
                return true;
        (void)printf("# result %d, refused as %s\n", result,
                     refusal.reason_name ? refusal.reason_name : "nothing");
        return false;
}

uint64_t small_vmm_read(struct small_vmm *vmm, uint64_t offset, unsigned width)
{
        uint64_t value = 0;

        must(vmm, vtd_frontend_region_read(vmm->frontend, SMALL_RID, 0, offset, width, &value),
             "vtd_frontend_region_read");
        return value;
}

void small_vmm_write(struct small_vmm *vmm, uint64_t offset, unsigned width, uint64_t value)
{
        must(vmm, vtd_frontend_region_write(vmm->frontend, SMALL_RID, 0, offset, width, value),
             "vtd_frontend_region_write");
}

uint32_t small_vmm_config(struct small_vmm *vmm, unsigned offset, unsigned width)
{
        uint32_t value = 0;

        must(vmm, vtd_frontend_config_read(vmm->frontend, SMALL_RID, offset, width, &value),
             "vtd_frontend_config_read");
        return value;
}

void small_vmm_capabilities(struct small_vmm *vmm, uint64_t *standard, uint64_t *extended)
{
        uint32_t value = 0;
        unsigned at = small_vmm_config(vmm, 0x34, 1);

        *standard = 0;
        *extended = 0;
        for (unsigned n = 0; at != 0 && n < 48; n++, at = small_vmm_config(vmm, at + 1, 1))
                *standard |= UINT64_C(1) << (small_vmm_config(vmm, at, 1) & 63);
        if (vtd_frontend_config_read(vmm->frontend, SMALL_RID, 0x100, 4, &value) != 0)
                return; /* a function of 256 bytes */
        for (at = 0x100; at != 0 && value != 0; at = value >> 20) {
                value = small_vmm_config(vmm, at, 4);
                if ((value & 0xffff) != 0)
                        *extended |= UINT64_C(1) << (value & 63);
        }
}

unsigned small_vmm_find_capability(struct small_vmm *vmm, unsigned id)
{
        unsigned at = small_vmm_config(vmm, 0x34, 1);

        for (unsigned n = 0; at != 0 && n < 48; n++, at = small_vmm_config(vmm, at + 1, 1))
                if (small_vmm_config(vmm, at, 1) == id)
                        return at;
        return 0;
}

uint64_t small_vmm_wait(int eventfd, int timeout_ms)
{
        struct pollfd ready = {.fd = eventfd, .events = POLLIN};
        uint64_t count = 0;

        if (poll(&ready, 1, timeout_ms) != 1 ||
            read(eventfd, &count, sizeof(count)) != (ssize_t)sizeof(count))
                return 0;
        return count;
}
