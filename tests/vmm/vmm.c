/* SPDX-License-Identifier: MIT */
/* See vmm.h.  What a real VMM has beside this is in docs/vmm.md. */
#include "tests/vmm/vmm.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <time.h>

#include "frontend/include/vtd/device.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"

#define RUN_BUDGET     256u
#define RUN_TIMEOUT_MS 10000

struct vmm {
        struct vtd_frontend *frontend;
        struct vtd_log *log;
        int memory_fd;
        uint8_t *memory;
        uint64_t memory_size;
        uint64_t mapping;
        uint32_t control_sequence;
        uint32_t seen_sequence;
        bool lost;
};

static int read_memory(void *opaque, uint64_t gpa, void *data, size_t size)
{
        struct vmm *vmm = opaque;

        if (!vtd_range_within(gpa, size, vmm->memory_size))
                return -EFAULT;
        if ((gpa | size) % sizeof(uint64_t) != 0) {
                memcpy(data, vmm->memory + gpa, size);
                return 0;
        }
        /* Entries that a vCPU may be changing: each word whole, and the first one first. */
        for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
                uint64_t value = __atomic_load_n(
                        (const uint64_t *)(const void *)(vmm->memory + gpa + i), __ATOMIC_ACQUIRE);

                memcpy((uint8_t *)data + i, &value, sizeof(value));
        }
        return 0;
}

static int write_memory(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        struct vmm *vmm = opaque;

        if (!vtd_range_within(gpa, size, vmm->memory_size))
                return -EFAULT;
        if (size == sizeof(uint32_t) && gpa % sizeof(uint32_t) == 0) {
                uint32_t value;

                memcpy(&value, data, sizeof(value));
                /* A vCPU may be spinning on this word: it must see the whole value at once. */
                __atomic_store_n((uint32_t *)(void *)(vmm->memory + gpa), value, __ATOMIC_RELEASE);
                return 0;
        }
        memcpy(vmm->memory + gpa, data, size);
        return 0;
}

static void send_message(void *opaque, uint64_t address, uint32_t data)
{
        struct vmm *vmm = opaque;

        vtd_log(vmm->log, VTD_LOG_DEBUG, "interrupt message %#x to %#llx", data,
                (unsigned long long)address);
}

static void log_line(void *opaque, enum vtd_frontend_log_level level, const char *line)
{
        struct vmm *vmm = opaque;

        vtd_log(vmm->log, (enum vtd_log_level)level, "%s", line);
}

static void broker_lost(void *opaque)
{
        struct vmm *vmm = opaque;

        vmm->lost = true;
}

/* Guest RAM: a memfd that can never shrink, so that nobody who maps it can be made to fault. */
static int create_memory(struct vmm *vmm, uint64_t size)
{
        void *memory;

        vmm->memory_fd = memfd_create("guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (vmm->memory_fd < 0)
                return vtd_fail(vmm->log, vtd_errno(), "memfd_create: %m");
        if (ftruncate(vmm->memory_fd, (off_t)size) < 0)
                return vtd_fail(vmm->log, vtd_errno(), "guest memory of %llu bytes: %m",
                                (unsigned long long)size);
        if (fcntl(vmm->memory_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
                return vtd_fail(vmm->log, vtd_errno(), "sealing guest memory: %m");
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vmm->memory_fd, 0);
        if (memory == MAP_FAILED)
                return vtd_fail(vmm->log, vtd_errno(), "mapping guest memory: %m");
        vmm->memory = memory;
        vmm->memory_size = size;
        return 0;
}

struct vmm *vmm_free(struct vmm *vmm)
{
        if (!vmm)
                return NULL;
        vmm->frontend = vtd_frontend_free(vmm->frontend);
        if (vmm->memory)
                (void)munmap(vmm->memory, vmm->memory_size);
        vmm->memory_fd = vtd_close(vmm->memory_fd);
        free(vmm);
        return NULL;
}

static void vmm_free_p(struct vmm **vmm)
{
        *vmm = vmm_free(*vmm);
}

int vmm_new(struct vmm **out, const struct vmm_config *config)
{
        static const struct vtd_frontend_callbacks callbacks = {
                .read_memory = read_memory,
                .write_memory = write_memory,
                .send_message = send_message,
                .log = log_line,
                .broker_lost = broker_lost,
        };
        VTD_CLEANUP(vmm_free_p) struct vmm *vmm = calloc(1, sizeof(*vmm));
        struct vtd_frontend_refusal refusal;
        int result;

        if (!vmm)
                return -ENOMEM;
        vmm->memory_fd = -1;
        vmm->log = config->log;
        result = create_memory(vmm, config->memory);
        if (result < 0)
                return result;
        result = vtd_frontend_new(&vmm->frontend, &config->frontend, &callbacks, vmm);
        if (result < 0)
                return result;
        result = vtd_frontend_connect(vmm->frontend, config->socket, NULL);
        if (result == VTD_FRONTEND_REFUSED) {
                vtd_frontend_refusal(vmm->frontend, &refusal);
                return vtd_fail(vmm->log, -ECONNREFUSED, "%s: refused: %s", config->socket,
                                refusal.reason_name);
        }
        if (result != 0)
                return vtd_fail(vmm->log, -ECONNREFUSED, "%s: no broker answers (%s)",
                                config->socket, result < 0 ? strerror(-result) : "closed");
        *out = VTD_TAKE_PTR(vmm);
        return 0;
}

struct vtd_frontend *vmm_frontend(struct vmm *vmm)
{
        return vmm->frontend;
}

uint8_t *vmm_memory(struct vmm *vmm)
{
        return vmm->memory;
}

uint64_t vmm_memory_size(const struct vmm *vmm)
{
        return vmm->memory_size;
}

int vmm_map_memory(struct vmm *vmm)
{
        return vtd_frontend_map(vmm->frontend, 0, vmm->memory_size, vmm->memory_fd, 0,
                                &vmm->mapping);
}

static int64_t now_ms(void)
{
        struct timespec now;

        if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
                return 0;
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Called around register accesses of devices, to tell their sequence numbers from the others. */
static void note_control_requests(struct vmm *vmm)
{
        struct vtd_frontend_stats stats;

        vtd_frontend_get_stats(vmm->frontend, &stats);
        if (stats.last_sequence != vmm->seen_sequence)
                vmm->control_sequence = stats.last_sequence;
        vmm->seen_sequence = stats.last_sequence;
}

uint32_t vmm_control_sequence(struct vmm *vmm)
{
        note_control_requests(vmm);
        return vmm->control_sequence;
}

int vmm_run(struct vmm *vmm)
{
        int64_t deadline = now_ms() + RUN_TIMEOUT_MS;

        for (;;) {
                struct pollfd ready = {.fd = vtd_frontend_get_fd(vmm->frontend), .events = POLLIN};
                int64_t left = deadline - now_ms();
                int result = vtd_frontend_run(vmm->frontend, RUN_BUDGET);

                if (result == VTD_FRONTEND_IDLE || result == VTD_FRONTEND_LOST)
                        return result;
                if (left <= 0)
                        return vtd_fail(vmm->log, -ETIMEDOUT,
                                        "the virtual IOMMU did not finish within %d ms",
                                        RUN_TIMEOUT_MS);
                if (result == VTD_FRONTEND_WAITING && poll(&ready, 1, (int)left) < 0 &&
                    errno != EINTR)
                        return vtd_fail(vmm->log, vtd_errno(), "poll: %m");
        }
}

uint64_t vmm_iommu_read(struct vmm *vmm, uint64_t offset, unsigned size)
{
        return vtd_frontend_read(vmm->frontend, offset, size);
}

int vmm_iommu_write(struct vmm *vmm, uint64_t offset, unsigned size, uint64_t value)
{
        vtd_frontend_write(vmm->frontend, offset, size, value);
        return vmm_run(vmm);
}

static void forget_device_requests(struct vmm *vmm)
{
        struct vtd_frontend_stats stats;

        vtd_frontend_get_stats(vmm->frontend, &stats);
        vmm->seen_sequence = stats.last_sequence;
}

int vmm_device_read(struct vmm *vmm, uint16_t rid, uint64_t offset, unsigned size, uint64_t *value)
{
        int result;

        note_control_requests(vmm);
        result = vtd_frontend_region_read(vmm->frontend, rid, 0, offset, size, value);
        forget_device_requests(vmm);
        return result;
}

int vmm_device_write(struct vmm *vmm, uint16_t rid, uint64_t offset, unsigned size, uint64_t value)
{
        int result;

        note_control_requests(vmm);
        result = vtd_frontend_region_write(vmm->frontend, rid, 0, offset, size, value);
        forget_device_requests(vmm);
        return result;
}
