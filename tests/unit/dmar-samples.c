/* SPDX-License-Identifier: MIT */
/* See dmar-samples.h. */
#include "tests/unit/dmar-samples.h"

#include <errno.h>

#define UNIT(base, host, remapping)                                                                \
        {                                                                                          \
                .first_stage = true, .caching_mode = true, .fault_records = 1, .address_bits = 39, \
                .register_base = (base), .host_address_bits = (host),                              \
                .interrupt_remapping = (remapping),                                                \
        }

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A PC with an I/O APIC and an HPET on a bus of the platform's own, and devices behind ports. */
static const struct vtd_dmar_scope pc_scopes[] = {
        {.type = VTD_DMAR_SCOPE_IOAPIC, .bus = 0xff, .hops = 1, .path = {{0, 0}}},
        {.type = VTD_DMAR_SCOPE_HPET,
         .enumeration_id = 2,
         .bus = 0xfe,
         .hops = 1,
         .path = {{31, 7}}},
        {.type = VTD_DMAR_SCOPE_ENDPOINT, .bus = 0, .hops = 1, .path = {{3, 0}}},
        {.type = VTD_DMAR_SCOPE_ENDPOINT, .bus = 0, .hops = 3, .path = {{0x1c, 4}, {0, 0}, {2, 1}}},
        {.type = VTD_DMAR_SCOPE_BRIDGE, .bus = 0x80, .hops = 1, .path = {{0x1d, 0}}},
};

static const struct vtd_dmar_scope platform_scopes[] = {
        {.type = VTD_DMAR_SCOPE_IOAPIC,
         .enumeration_id = 8,
         .bus = 0xff,
         .hops = 1,
         .path = {{1, 0}}},
        {.type = VTD_DMAR_SCOPE_ACPI_DEVICE,
         .enumeration_id = 1,
         .bus = 0,
         .hops = 1,
         .path = {{0x15, 0}}},
};

static const struct vtd_dmar_acpi_device acpi_devices[] = {{1, "\\_SB.PCI0.I2C1"}};

static const struct vtd_dmar_scope usb_scopes[] = {
        {.type = VTD_DMAR_SCOPE_ENDPOINT, .bus = 0, .hops = 1, .path = {{0x14, 0}}},
};

static const struct vtd_dmar_scope graphics_scopes[] = {
        {.type = VTD_DMAR_SCOPE_ENDPOINT, .bus = 0, .hops = 1, .path = {{2, 0}}},
        {.type = VTD_DMAR_SCOPE_BRIDGE, .bus = 0, .hops = 2, .path = {{1, 0}, {0, 1}}},
};

static const struct vtd_dmar_reserved_memory reserved[] = {
        {.base = 0x7b000000, .limit = 0x7b020fff, .scopes = usb_scopes, .scope_count = 1},
        {.base = UINT64_C(0xffffffff000),
         .limit = UINT64_C(0xfffffffffff),
         .scopes = graphics_scopes,
         .scope_count = 2},
};

const struct dmar_sample dmar_samples[DMAR_SAMPLES] = {
        [DMAR_SAMPLE_ALL] = {.name = "all",
                             .unit = UNIT(0xfed90000, 39, false),
                             .config = {.oem_id = "VMM",
                                        .oem_table_id = "TABLE",
                                        .oem_revision = 1,
                                        .creator_id = "VTD",
                                        .creator_revision = 1,
                                        .include_pci_all = true}},
        [DMAR_SAMPLE_SCOPES] = {.name = "scopes",
                                .unit = UNIT(0xfed90000, 46, true),
                                .config = {.oem_id = "SIXSIX",
                                           .oem_table_id = "EIGHT888",
                                           .oem_revision = 0x01020304,
                                           .creator_id = "FOUR",
                                           .creator_revision = 0xfffefdfc,
                                           .scopes = pc_scopes,
                                           .scope_count = COUNT(pc_scopes),
                                           .x2apic_opt_out = true}},
        [DMAR_SAMPLE_RESERVED] = {.name = "reserved",
                                  .unit = UNIT(UINT64_C(0x123456789000), 48, true),
                                  .config = {.oem_id = "V",
                                             .oem_table_id = "T",
                                             .oem_revision = 7,
                                             .creator_id = "C",
                                             .creator_revision = 8,
                                             .segment = 0x1234,
                                             .include_pci_all = true,
                                             .scopes = platform_scopes,
                                             .scope_count = COUNT(platform_scopes),
                                             .acpi_devices = acpi_devices,
                                             .acpi_device_count = COUNT(acpi_devices),
                                             .reserved = reserved,
                                             .reserved_count = COUNT(reserved),
                                             .dma_control_opt_in = true}},
};

static int no_memory_to_read(void *opaque, uint64_t gpa, void *data, size_t size)
{
        (void)opaque, (void)gpa, (void)data, (void)size;
        return -EFAULT;
}

static int no_memory_to_write(void *opaque, uint64_t gpa, const void *data, size_t size)
{
        (void)opaque, (void)gpa, (void)data, (void)size;
        return -EFAULT;
}

static void no_message(void *opaque, uint64_t address, uint32_t data)
{
        (void)opaque, (void)address, (void)data;
}

struct vtd_frontend *dmar_sample_unit(const struct dmar_sample *sample,
                                      void (*log)(void *opaque, enum vtd_frontend_log_level level,
                                                  const char *line),
                                      void *opaque)
{
        const struct vtd_frontend_callbacks callbacks = {.read_memory = no_memory_to_read,
                                                         .write_memory = no_memory_to_write,
                                                         .send_message = no_message,
                                                         .log = log};
        struct vtd_frontend *unit = NULL;

        return vtd_frontend_new(&unit, &sample->unit, &callbacks, opaque) == 0 ? unit : NULL;
}
