/* SPDX-License-Identifier: MIT */
/* See parts.h. */
#define _GNU_SOURCE 1
#include "parts.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <vtd/acpi.h>
#include <vtd/dma.h>
#include <vtd/state.h>

#define BUDGET      64 /* so that nobody waits long for the lock */
#define IOAPIC_ID   0
#define IOAPIC_SLOT 0x1e

int serve(struct machine *machine)
{
        struct pollfd fds[] = {{.fd = machine->wake, .events = POLLIN}, {.events = POLLIN}};
        eventfd_t count;
        int result;
        bool stop;

        for (;;) {
                pthread_mutex_lock(&machine->lock);
                result = vtd_frontend_run(machine->iommu, BUDGET);
                fds[1].fd = vtd_frontend_get_fd(machine->iommu);
                stop = machine->stop;
                pthread_mutex_unlock(&machine->lock);
                if (result == VTD_FRONTEND_LOST || stop)
                        return result == VTD_FRONTEND_LOST ? result : 0;
                if (poll(fds, 2, result == VTD_FRONTEND_PENDING ? 0 : -1) < 0 && errno != EINTR)
                        return -errno;
                (void)eventfd_read(machine->wake, &count);
        }
}

void write_register(struct machine *machine, uint64_t offset, unsigned size, uint64_t value)
{
        pthread_mutex_lock(&machine->lock);
        vtd_frontend_write(machine->iommu, offset, size, value);
        pthread_mutex_unlock(&machine->lock);
        (void)eventfd_write(machine->wake, 1);
}

/* Only RAM: a device's write to the register page would be a command. */
static bool copy(struct machine *machine, uint64_t gpa, uint8_t *data, size_t size, bool to_memory)
{
        if (gpa >= machine->ram_size || size > machine->ram_size - gpa)
                return false;
        if (to_memory)
                memcpy(machine->ram + gpa, data, size);
        else
                memcpy(data, machine->ram + gpa, size);
        return true;
}

bool emulated_dma(struct machine *machine, uint16_t rid, uint64_t iova, uint8_t *data, size_t size,
                  bool to_memory)
{
        struct vtd_frontend_dma_request request = {
                .rid = rid, .access = to_memory ? VTD_FRONTEND_DMA_WRITE : VTD_FRONTEND_DMA_READ};
        struct vtd_frontend_dma_translation block;
        struct vtd_frontend_access access;
        size_t done = 0, part;

        vtd_frontend_access_begin(machine->iommu, &access);
        for (; done < size; done += part) {
                request.address = iova + done;
                request.size = size - done;
                if (vtd_frontend_translate(machine->iommu, &access, &request, &block) != 0)
                        break;
                part = block.size - (request.address - block.address);
                if (part > request.size)
                        part = request.size;
                if (!copy(machine, block.translated + (request.address - block.address),
                          data + done, part, to_memory))
                        break;
        }
        vtd_frontend_access_end(machine->iommu, &access);
        return done == size;
}

void deliver_message(struct machine *machine, uint16_t rid, uint64_t address, uint32_t data)
{
        struct vtd_frontend_message message;
        struct vtd_frontend_access access;

        vtd_frontend_access_begin(machine->iommu, &access);
        if (vtd_frontend_remap_interrupt(machine->iommu, rid, address, data, &message) == 0)
                machine->deliver(machine, message.address, message.data);
        vtd_frontend_access_end(machine->iommu, &access);
}

int build_dmar(struct machine *machine, void **table, size_t *size)
{
        const struct vtd_dmar_scope ioapic = {.type = VTD_DMAR_SCOPE_IOAPIC,
                                              .enumeration_id = IOAPIC_ID,
                                              .hops = 1,
                                              .path = {{.device = IOAPIC_SLOT}}};
        const struct vtd_dmar_config config = {.oem_id = "VMM",
                                               .oem_table_id = "VMM",
                                               .creator_id = "VMM",
                                               .include_pci_all = true,
                                               .scopes = &ioapic,
                                               .scope_count = 1};
        int result = vtd_frontend_build_dmar(machine->iommu, &config, NULL, 0, size);

        if (result != VTD_FRONTEND_TOO_SMALL)
                return result;
        *table = malloc(*size);
        if (!*table)
                return -ENOMEM;
        return vtd_frontend_build_dmar(machine->iommu, &config, *table, *size, size);
}

/* Returns VTD_FRONTEND_IDLE, which is 0, VTD_FRONTEND_LOST, or a negative errno. */
static int run_until_idle(struct machine *machine)
{
        struct pollfd broker = {.fd = vtd_frontend_get_fd(machine->iommu), .events = POLLIN};

        for (;;) {
                int result = vtd_frontend_run(machine->iommu, BUDGET);

                if (result != VTD_FRONTEND_PENDING && result != VTD_FRONTEND_WAITING)
                        return result;
                if (poll(&broker, 1, result == VTD_FRONTEND_WAITING ? -1 : 0) < 0 && errno != EINTR)
                        return -errno;
        }
}

int save_unit(struct machine *machine, void **state, size_t *size)
{
        int result = run_until_idle(machine);

        if (result != 0)
                return result;
        (void)vtd_frontend_save(machine->iommu, NULL, 0, size); /* sets *size in any case */
        *state = malloc(*size);
        if (!*state)
                return -ENOMEM;
        return vtd_frontend_save(machine->iommu, *state, *size, size);
}

int restore_unit(struct machine *machine, const void *state, size_t size)
{
        int result = vtd_frontend_restore(machine->iommu, state, size);

        return result == 0 ? run_until_idle(machine) : result;
}
