/* SPDX-License-Identifier: MIT */
/* See config.h. */
#include "broker/host_sim/config.h"

#include "shared/checked.h"

#define COMMAND        0x04u
#define COMMAND_MEMORY 0x2u
#define COMMAND_MASTER 0x4u

#define DEVICE_CONTROL       0x68u   /* of the PCI Express capability at 0x60 */
#define DEVICE_CONTROL_RESET 0x2810u /* reads of 512 bytes, No Snoop and Relaxed Ordering */
#define DEVICE_CONTROL_BITS  0x7fffu /* but for Initiate Function Level Reset */

/* The double words that are not 0, in ascending order. */
static const struct {
        uint32_t offset;
        uint32_t value;
} constants[] = {
        {0x000, 0x11e81234}, /* device and vendor id */
        {0x004, 0x00100000}, /* status: there are capabilities */
        {0x008, 0x00ff0010}, /* class: unclassified; revision */
        {0x02c, 0x11001af4}, /* subsystem */
        {0x034, 0x00000040}, /* first capability */
        {0x03c, 0x00000100}, /* INTA, which no host offers */

        {0x040, 0x00034801}, /* power management, version 3 */
        {0x044, 0x00000008}, /* no soft reset */
        {0x048, 0x00085009}, /* vendor-specific, 8 bytes */
        {0x04c, 0x76656e64}, /* in it: "vend" */
        {0x050, 0x00806005}, /* MSI: 64 bits */
        {0x060, 0x00020010}, /* PCI Express, version 2, endpoint */
        {0x064, 0x10008001}, /* Function Level Reset, payload of 256 bytes */
        {0x06c, 0x00000011}, /* link: one lane of 2.5 GT/s */
        {0x070, 0x00110000}, /* the same */

        {0x100, 0x14020001}, /* Advanced Error Reporting */
        {0x104, 0x00100000}, /* an unsupported request has been seen */
        {0x140, 0x15010003}, /* serial number */
        {0x144, 0x00000ed0}, /* its lower half */
        {0x148, 0x00005643}, /* its upper half */
        {0x150, 0x0001000d}, /* Access Control Services */
};

void vtd_sim_config_reset(struct vtd_sim_config *config)
{
        *config = (struct vtd_sim_config){.device_control = DEVICE_CONTROL_RESET};
}

uint32_t vtd_sim_config_read(const struct vtd_sim_config *config, bool bus_master, uint32_t offset,
                             uint32_t width)
{
        uint32_t start = offset & ~3u, value = 0;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(constants); i++)
                if (constants[i].offset == start)
                        value = constants[i].value;
        if (start == COMMAND)
                value |= COMMAND_MEMORY | (bus_master ? COMMAND_MASTER : 0);
        if (start == DEVICE_CONTROL)
                value |= config->device_control & DEVICE_CONTROL_BITS;
        return value >> (8 * (offset - start)) & (UINT32_MAX >> (32 - 8 * width));
}

void vtd_sim_config_write(struct vtd_sim_config *config, uint32_t offset, uint32_t width,
                          uint32_t value)
{
        uint32_t shift, bits;

        if (!vtd_ranges_overlap(offset, width, DEVICE_CONTROL, 2))
                return;
        shift = 8 * (offset - DEVICE_CONTROL); /* aligned: it begins there, or one byte behind */
        bits = (UINT32_MAX >> (32 - 8 * width)) << shift & DEVICE_CONTROL_BITS;
        config->device_control = (config->device_control & ~bits) | (value << shift & bits);
}
