/* SPDX-License-Identifier: MIT */
/*
 * See edu.h.  The state lies in a file that is shared with whoever else holds the device, so the
 * extent of a transfer is read into locals and judged anew for every piece.  No system calls.
 */
#include "broker/host_sim/edu.h"

#include <string.h>

#include "shared/checked.h"

#define IDENTIFICATION 0x010000edu

#define REGISTER_IDENTIFICATION 0x00u
#define REGISTER_LIVENESS       0x04u
#define REGISTER_STATUS         0x24u
#define REGISTER_RAISE          0x60u
#define REGISTER_ACKNOWLEDGE    0x64u
#define REGISTER_SOURCE         0x80u
#define REGISTER_DESTINATION    0x88u
#define REGISTER_COUNT          0x90u
#define REGISTER_COMMAND        0x98u
#define REGISTER_PASID          0xa0u

#define COMMAND_START     UINT64_C(1)
#define COMMAND_TO_MEMORY UINT64_C(2)
#define COMMAND_INTERRUPT UINT64_C(4)

#define INTERRUPT_DMA_DONE 0x100u

#define PASID_ENABLE (UINT32_C(1) << 31)
#define PASID_MASK   UINT32_C(0xfffff)

static bool access_is_valid(bool has_pasids, uint64_t offset, uint32_t width)
{
        if (offset == REGISTER_PASID && !has_pasids)
                return false;
        return width == 4 || (width == 8 && offset >= REGISTER_SOURCE);
}

void vtd_sim_edu_reset(struct vtd_sim_edu *edu)
{
        memset(edu, 0, sizeof(*edu));
}

uint64_t vtd_sim_edu_read(const struct vtd_sim_edu *edu, bool has_pasids, uint64_t offset,
                          uint32_t width)
{
        uint64_t value = UINT64_MAX;

        if (access_is_valid(has_pasids, offset, width)) {
                switch (offset) {
                case REGISTER_IDENTIFICATION:
                        value = IDENTIFICATION;
                        break;
                case REGISTER_LIVENESS:
                        value = edu->liveness;
                        break;
                case REGISTER_STATUS:
                        value = edu->interrupts;
                        break;
                case REGISTER_SOURCE:
                        value = edu->source;
                        break;
                case REGISTER_DESTINATION:
                        value = edu->destination;
                        break;
                case REGISTER_COUNT:
                        value = edu->count;
                        break;
                case REGISTER_COMMAND:
                        value = edu->command;
                        break;
                case REGISTER_PASID:
                        value = edu->pasid;
                        break;
                }
        }
        return width == 8 ? value : value & ((UINT64_C(1) << (8 * width)) - 1);
}

/* The engine's registers are locked while it runs. */
static void write_engine(struct vtd_sim_edu *edu, uint64_t offset, uint64_t value)
{
        if (edu->command & COMMAND_START)
                return;
        switch (offset) {
        case REGISTER_SOURCE:
                edu->source = value;
                break;
        case REGISTER_DESTINATION:
                edu->destination = value;
                break;
        case REGISTER_COUNT:
                edu->count = value;
                break;
        case REGISTER_COMMAND:
                if (value & COMMAND_START) {
                        edu->command = value;
                        edu->moved = 0;
                }
                break;
        case REGISTER_PASID:
                edu->pasid = (uint32_t)value & (PASID_ENABLE | PASID_MASK);
                break;
        }
}

static void raise_interrupt(struct vtd_sim_edu *edu, uint32_t bits)
{
        edu->interrupts |= bits;
        if (edu->interrupts != 0)
                edu->message = 1;
}

bool vtd_sim_edu_take_message(struct vtd_sim_edu *edu)
{
        bool due = edu->message != 0;

        edu->message = 0;
        return due;
}

void vtd_sim_edu_write(struct vtd_sim_edu *edu, bool has_pasids, uint64_t offset, uint32_t width,
                       uint64_t value)
{
        if (!access_is_valid(has_pasids, offset, width))
                return;
        if (width == 4)
                value = (uint32_t)value;
        switch (offset) {
        case REGISTER_LIVENESS:
                edu->liveness = ~(uint32_t)value;
                break;
        case REGISTER_RAISE:
                raise_interrupt(edu, (uint32_t)value);
                break;
        case REGISTER_ACKNOWLEDGE:
                edu->interrupts &= ~(uint32_t)value;
                break;
        default:
                write_engine(edu, offset, value);
                break;
        }
}

uint32_t vtd_sim_edu_pasid(const struct vtd_sim_edu *edu)
{
        uint32_t pasid = __atomic_load_n(&edu->pasid, __ATOMIC_RELAXED);

        return (pasid & PASID_ENABLE) ? pasid & PASID_MASK : 0;
}

void vtd_sim_edu_stop(struct vtd_sim_edu *edu)
{
        edu->command &= ~COMMAND_START;
}

static void finish(struct vtd_sim_edu *edu, uint64_t command)
{
        vtd_sim_edu_stop(edu);
        if (command & COMMAND_INTERRUPT)
                raise_interrupt(edu, INTERRUPT_DMA_DONE);
}

bool vtd_sim_edu_step(struct vtd_sim_edu *edu, struct vtd_sim_iommu *iommu,
                      const struct vtd_sim_translation *translation)
{
        uint64_t command = __atomic_load_n(&edu->command, __ATOMIC_RELAXED);
        uint64_t count = __atomic_load_n(&edu->count, __ATOMIC_RELAXED);
        uint64_t moved = __atomic_load_n(&edu->moved, __ATOMIC_RELAXED);
        uint64_t source = __atomic_load_n(&edu->source, __ATOMIC_RELAXED);
        uint64_t destination = __atomic_load_n(&edu->destination, __ATOMIC_RELAXED);
        bool to_memory = (command & COMMAND_TO_MEMORY) != 0;
        uint64_t inside = to_memory ? source : destination;
        uint64_t outside = to_memory ? destination : source;
        uint64_t size;

        if (!(command & COMMAND_START))
                return false;
        if (!vtd_range_contains(VTD_SIM_EDU_BUFFER_START, VTD_SIM_EDU_BUFFER_SIZE, inside, count) ||
            moved >= count) {
                finish(edu, command);
                return false;
        }
        size = count - moved < VTD_SIM_EDU_CHUNK ? count - moved : VTD_SIM_EDU_CHUNK;
        inside = inside - VTD_SIM_EDU_BUFFER_START + moved;
        if (to_memory)
                vtd_sim_dma_write(iommu, translation, outside + moved, edu->buffer + inside, size);
        else
                vtd_sim_dma_read(iommu, translation, outside + moved, edu->buffer + inside, size);
        edu->moved = moved + size;
        if (moved + size < count)
                return true;
        finish(edu, command);
        return false;
}
