/* SPDX-License-Identifier: MIT */
/* The DMAR table, byte for byte, and every rule that a table could break. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shared/checked.h"
#include "tests/unit/dmar-samples.h"

/* The INCLUDE_PCI_ALL flag alone. */
static const uint8_t bytes_all[] = {
        'D',  'M',  'A',  'R',                                      /* signature */
        0x40, 0x00, 0x00, 0x00,                                     /* length */
        0x01, 0x65,                                                 /* revision, checksum */
        'V',  'M',  'M',  ' ',  ' ',  ' ',                          /* OEM id */
        'T',  'A',  'B',  'L',  'E',  ' ',  ' ',  ' ',              /* OEM table id */
        0x01, 0x00, 0x00, 0x00,                                     /* OEM revision */
        'V',  'T',  'D',  ' ',                                      /* creator id */
        0x01, 0x00, 0x00, 0x00,                                     /* creator revision */
        38,   0x00,                                                 /* address width, flags */
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* reserved */
        0x00, 0x00, 0x10, 0x00,                                     /* DRHD, length */
        0x01, 0x00, 0x00, 0x00,                                     /* flags, size, segment */
        0x00, 0x00, 0xd9, 0xfe, 0x00, 0x00, 0x00, 0x00,             /* register base */
};

/* Explicit scopes, one of them behind two bridges. */
static const uint8_t bytes_scopes[] = {
        'D',  'M',  'A',  'R',                                      /* signature */
        0x6c, 0x00, 0x00, 0x00,                                     /* length */
        0x01, 0xd0,                                                 /* revision, checksum */
        'S',  'I',  'X',  'S',  'I',  'X',                          /* OEM id */
        'E',  'I',  'G',  'H',  'T',  '8',  '8',  '8',              /* OEM table id */
        0x04, 0x03, 0x02, 0x01,                                     /* OEM revision */
        'F',  'O',  'U',  'R',                                      /* creator id */
        0xfc, 0xfd, 0xfe, 0xff,                                     /* creator revision */
        45,   0x03,                                                 /* address width, flags */
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* reserved */
        0x00, 0x00, 0x3c, 0x00,                                     /* DRHD, length */
        0x00, 0x00, 0x00, 0x00,                                     /* flags, size, segment */
        0x00, 0x00, 0xd9, 0xfe, 0x00, 0x00, 0x00, 0x00,             /* register base */
        0x03, 0x08, 0x00, 0x00, 0x00, 0xff, 0,    0,                /* I/O APIC 0 */
        0x04, 0x08, 0x00, 0x00, 0x02, 0xfe, 31,   7,                /* HPET 2 */
        0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 3,    0,                /* endpoint */
        0x01, 0x0c, 0x00, 0x00, 0x00, 0x00, 0x1c, 4,                /* endpoint, ... */
        0,    0,    2,    1,                                        /* ... two more hops */
        0x02, 0x08, 0x00, 0x00, 0x00, 0x80, 0x1d, 0,                /* bridge */
};

/* Two reserved regions, and a device of the ACPI namespace. */
static const uint8_t bytes_reserved[] = {
        'D',  'M',  'A',  'R',                                      /* signature */
        0xb1, 0x00, 0x00, 0x00,                                     /* length */
        0x01, 0xfc,                                                 /* revision, checksum */
        'V',  ' ',  ' ',  ' ',  ' ',  ' ',                          /* OEM id */
        'T',  ' ',  ' ',  ' ',  ' ',  ' ',  ' ',  ' ',              /* OEM table id */
        0x07, 0x00, 0x00, 0x00,                                     /* OEM revision */
        'C',  ' ',  ' ',  ' ',                                      /* creator id */
        0x08, 0x00, 0x00, 0x00,                                     /* creator revision */
        47,   0x05,                                                 /* address width, flags */
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* reserved */
        0x00, 0x00, 0x20, 0x00,                                     /* DRHD, length */
        0x01, 0x00, 0x34, 0x12,                                     /* flags, size, segment */
        0x00, 0x90, 0x78, 0x56, 0x34, 0x12, 0x00, 0x00,             /* register base */
        0x03, 0x08, 0x00, 0x00, 0x08, 0xff, 1,    0,                /* I/O APIC 8 */
        0x05, 0x08, 0x00, 0x00, 0x01, 0x00, 0x15, 0,                /* ACPI device 1 */
        0x01, 0x00, 0x20, 0x00, 0x00, 0x00, 0x34, 0x12,             /* RMRR, length, segment */
        0x00, 0x00, 0x00, 0x7b, 0x00, 0x00, 0x00, 0x00,             /* base */
        0xff, 0x0f, 0x02, 0x7b, 0x00, 0x00, 0x00, 0x00,             /* limit */
        0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 0x14, 0,                /* endpoint */
        0x01, 0x00, 0x2a, 0x00, 0x00, 0x00, 0x34, 0x12,             /* RMRR, length, segment */
        0x00, 0xf0, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x00,             /* base */
        0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x00,             /* limit */
        0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 2,    0,                /* endpoint */
        0x02, 0x0a, 0x00, 0x00, 0x00, 0x00, 1,    0,    0,    1,    /* bridge below a bridge */
        0x04, 0x00, 0x17, 0x00, 0x00, 0x00, 0x00, 0x01,             /* ANDD, length, number */
        '\\', '_',  'S',  'B',  '.',  'P',  'C',  'I',  '0',  '.',  'I', '2', 'C', '1', 0,
};

static const struct {
        const uint8_t *bytes;
        size_t size;
} expected[DMAR_SAMPLES] = {
        [DMAR_SAMPLE_ALL] = {bytes_all, sizeof(bytes_all)},
        [DMAR_SAMPLE_SCOPES] = {bytes_scopes, sizeof(bytes_scopes)},
        [DMAR_SAMPLE_RESERVED] = {bytes_reserved, sizeof(bytes_reserved)},
};

static void test_tables_are_laid_out_byte_for_byte(void **state)
{
        (void)state;
        for (size_t i = 0; i < DMAR_SAMPLES; i++) {
                struct vtd_frontend *unit = dmar_sample_unit(&dmar_samples[i], NULL, NULL);
                uint8_t table[256], sum = 0;
                size_t size = 0;

                assert_non_null(unit);
                assert_int_equal(vtd_frontend_build_dmar(unit, &dmar_samples[i].config, table,
                                                         sizeof(table), &size),
                                 0);
                assert_int_equal(size, expected[i].size);
                assert_memory_equal(table, expected[i].bytes, size);
                for (size_t j = 0; j < size; j++)
                        sum += table[j];
                assert_int_equal(sum, 0);
                unit = vtd_frontend_free(unit);
        }
}

static void test_a_small_buffer_is_told_the_size_and_left_alone(void **state)
{
        const struct dmar_sample *sample = &dmar_samples[DMAR_SAMPLE_SCOPES];
        struct vtd_frontend *unit = dmar_sample_unit(sample, NULL, NULL);
        size_t needed = expected[DMAR_SAMPLE_SCOPES].size, size = 0;
        uint8_t table[256], untouched[256];

        (void)state;
        assert_non_null(unit);
        memset(untouched, 0xa5, sizeof(untouched));
        memcpy(table, untouched, sizeof(table));
        assert_int_equal(vtd_frontend_build_dmar(unit, &sample->config, NULL, 0, &size),
                         VTD_FRONTEND_TOO_SMALL);
        assert_int_equal(size, needed);
        size = 0;
        assert_int_equal(vtd_frontend_build_dmar(unit, &sample->config, table, needed - 1, &size),
                         VTD_FRONTEND_TOO_SMALL);
        assert_int_equal(size, needed);
        assert_memory_equal(table, untouched, sizeof(table));
        assert_int_equal(vtd_frontend_build_dmar(unit, &sample->config, table, needed, &size), 0);
        assert_memory_equal(table, expected[DMAR_SAMPLE_SCOPES].bytes, needed);
        assert_memory_equal(table + needed, untouched, sizeof(table) - needed);
        unit = vtd_frontend_free(unit);
}

static void keep_line(void *opaque, enum vtd_frontend_log_level level, const char *line)
{
        char *kept = opaque;

        assert_int_equal(level, VTD_FRONTEND_LOG_ERROR);
        (void)snprintf(kept, 512, "%s", line);
}

/* A configuration that a test may change anywhere: the sample with everything. */
struct draft {
        struct dmar_sample sample;
        struct vtd_dmar_scope scopes[4];
        struct vtd_dmar_acpi_device acpi_devices[2];
        struct vtd_dmar_reserved_memory reserved[2];
        struct vtd_dmar_scope reserved_scopes[2];
        char name[VTD_DMAR_MAX_NAME + 2];
};

static void begin_draft(struct draft *draft)
{
        const struct dmar_sample *sample = &dmar_samples[DMAR_SAMPLE_RESERVED];
        const struct vtd_dmar_config *config = &sample->config;

        memset(draft, 0, sizeof(*draft));
        draft->sample = *sample;
        memcpy(draft->scopes, config->scopes, 2 * sizeof(draft->scopes[0]));
        memcpy(draft->acpi_devices, config->acpi_devices, sizeof(draft->acpi_devices[0]));
        memcpy(draft->reserved, config->reserved, sizeof(draft->reserved));
        memcpy(draft->reserved_scopes, config->reserved[1].scopes, sizeof(draft->reserved_scopes));
        draft->reserved[1].scopes = draft->reserved_scopes;
        draft->sample.config.scopes = draft->scopes;
        draft->sample.config.acpi_devices = draft->acpi_devices;
        draft->sample.config.reserved = draft->reserved;
}

/* The table of @draft must be refused with a line that says @reason. */
static void assert_refused(const struct draft *draft, const char *reason)
{
        char line[512] = "";
        struct vtd_frontend *unit = dmar_sample_unit(&draft->sample, keep_line, line);
        uint8_t table[8] = {0};
        size_t size = 12345;

        assert_non_null(unit);
        assert_int_equal(
                vtd_frontend_build_dmar(unit, &draft->sample.config, table, sizeof(table), &size),
                -EINVAL);
        if (!strstr(line, reason))
                fail_msg("refused for another reason: %s", line);
        assert_int_equal(size, 12345);
        unit = vtd_frontend_free(unit);
}

/* The table of @draft must be accepted. */
static void assert_accepted(const struct draft *draft)
{
        char line[512] = "";
        struct vtd_frontend *unit = dmar_sample_unit(&draft->sample, keep_line, line);
        size_t size = 0;

        assert_non_null(unit);
        assert_int_equal(vtd_frontend_build_dmar(unit, &draft->sample.config, NULL, 0, &size),
                         VTD_FRONTEND_TOO_SMALL);
        assert_string_equal(line, "");
        unit = vtd_frontend_free(unit);
}

static void test_ids_are_checked(void **state)
{
        static const struct {
                const char *text;
                const char *reason;
        } cases[] = {
                {NULL, "is missing"}, {"", "no characters"}, {"123456789", "too many characters"},
                {"a\n", "byte 0xa"},  {"\x80", "byte 0x80"}, {"\x7f", "byte 0x7f"},
        };
        struct draft draft;

        (void)state;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                begin_draft(&draft);
                draft.sample.config.oem_id = cases[i].text;
                assert_refused(&draft, cases[i].reason);
                begin_draft(&draft);
                draft.sample.config.oem_table_id = cases[i].text;
                assert_refused(&draft, cases[i].reason);
                begin_draft(&draft);
                draft.sample.config.creator_id = cases[i].text;
                assert_refused(&draft, cases[i].reason);
        }
        begin_draft(&draft);
        draft.sample.config.oem_id = "1234567";
        assert_refused(&draft, "OEM id has too many");
        draft.sample.config.oem_id = "123456";
        draft.sample.config.oem_table_id = "12345678";
        draft.sample.config.creator_id = "12345";
        assert_refused(&draft, "creator id has too many");
        draft.sample.config.creator_id = "1234";
        assert_accepted(&draft);
}

static void test_scopes_and_include_pci_all_exclude_each_other(void **state)
{
        struct draft draft;

        (void)state;
        begin_draft(&draft);
        draft.sample.config.scope_count = 3;
        draft.scopes[2] = draft.reserved_scopes[0];
        assert_refused(&draft, "1 PCI scopes, none are possible with INCLUDE_PCI_ALL");
        draft.scopes[2] = draft.reserved_scopes[1];
        assert_refused(&draft, "1 PCI scopes, none are possible with INCLUDE_PCI_ALL");
        draft.sample.config.include_pci_all = false;
        assert_accepted(&draft);

        begin_draft(&draft);
        draft.sample.config.include_pci_all = false;
        draft.sample.config.scope_count = 0;
        draft.sample.config.acpi_device_count = 0;
        draft.sample.unit.interrupt_remapping = false;
        draft.sample.unit.extended_interrupt_mode = false;
        assert_refused(&draft, "no scopes and no INCLUDE_PCI_ALL");
        draft.sample.config.include_pci_all = true;
        assert_accepted(&draft);
}

static void test_interrupt_remapping_needs_an_ioapic(void **state)
{
        struct draft draft;

        (void)state;
        begin_draft(&draft);
        draft.scopes[0].type = VTD_DMAR_SCOPE_HPET;
        assert_refused(&draft, "no I/O APIC scope");
        draft.sample.unit.interrupt_remapping = false;
        draft.sample.unit.extended_interrupt_mode = false;
        assert_accepted(&draft);
        draft.sample.config.x2apic_opt_out = true;
        assert_refused(&draft, "X2APIC_OPT_OUT means nothing");
}

static void test_each_scope_is_checked(void **state)
{
        struct draft draft;

        (void)state;
        for (int type = -1; type <= 6; type += 7) {
                begin_draft(&draft);
                draft.scopes[0].type = (enum vtd_dmar_scope_type)type;
                assert_refused(&draft, "is not known");
        }
        begin_draft(&draft);
        draft.scopes[0].type = (enum vtd_dmar_scope_type)0;
        assert_refused(&draft, "DRHD scope 0: type 0 is not known");
        begin_draft(&draft);
        draft.scopes[1].hops = 0;
        assert_refused(&draft, "DRHD scope 1: path of 0 hops");
        draft.scopes[1].hops = VTD_DMAR_MAX_HOPS + 1;
        assert_refused(&draft, "path of 17 hops");
        draft.scopes[1].hops = SIZE_MAX;
        assert_refused(&draft, "path of 18446744073709551615 hops");
        draft.scopes[1].hops = VTD_DMAR_MAX_HOPS;
        assert_accepted(&draft);
        draft.scopes[1].path[VTD_DMAR_MAX_HOPS - 1].device = 32;
        assert_refused(&draft, "device 32, function 0, at most 31 and 7");
        draft.scopes[1].path[VTD_DMAR_MAX_HOPS - 1] = (struct vtd_dmar_hop){31, 8};
        assert_refused(&draft, "device 31, function 8, at most 31 and 7");
        draft.scopes[1].path[VTD_DMAR_MAX_HOPS - 1].function = 7;
        assert_accepted(&draft);

        begin_draft(&draft);
        draft.reserved_scopes[1].enumeration_id = 1;
        assert_refused(&draft, "RMRR scope 1: enumeration id 1, a PCI device has none");
        begin_draft(&draft);
        draft.reserved_scopes[0].path[0].device = 32;
        assert_refused(&draft, "RMRR scope 0: device 32");
}

static void test_no_device_has_two_scopes(void **state)
{
        struct draft draft;

        (void)state;
        begin_draft(&draft);
        draft.sample.config.scope_count = 3;
        draft.scopes[2] = draft.scopes[0];
        draft.scopes[2].path[0].device = 5;
        assert_refused(&draft, "DRHD scopes 0 and 2 are the same device");
        draft.scopes[2].enumeration_id++;
        assert_accepted(&draft);
        draft.scopes[2] = draft.scopes[0];
        draft.scopes[2].type = VTD_DMAR_SCOPE_HPET;
        assert_accepted(&draft);

        /* A function is one device, whether it is called a bridge or not. */
        begin_draft(&draft);
        draft.reserved_scopes[1] = draft.reserved_scopes[0];
        draft.reserved_scopes[1].type = VTD_DMAR_SCOPE_BRIDGE;
        assert_refused(&draft, "RMRR scopes 0 and 1 are the same device");
        draft.reserved_scopes[1].bus = 1;
        assert_accepted(&draft);
        draft.reserved_scopes[1].bus = 0;
        draft.reserved_scopes[1].path[0].function = 1;
        assert_accepted(&draft);
        draft.reserved_scopes[1].path[0].function = 0;
        draft.reserved_scopes[1].path[0].device++;
        assert_accepted(&draft);
        draft.reserved_scopes[1].path[0].device--;
        draft.reserved_scopes[1].hops = 2;
        assert_accepted(&draft);
}

/* @scopes different endpoints of @hops hops each. */
static void fill_scopes(struct vtd_dmar_scope *scopes, size_t count, size_t hops)
{
        for (size_t i = 0; i < count; i++) {
                scopes[i] = (struct vtd_dmar_scope){
                        .type = VTD_DMAR_SCOPE_ENDPOINT, .bus = (uint8_t)(i >> 8), .hops = hops};
                scopes[i].path[0].device = (uint8_t)(i >> 3 & 31);
                scopes[i].path[0].function = (uint8_t)(i & 7);
        }
}

static void test_lengths_do_not_overflow(void **state)
{
        static struct vtd_dmar_scope scopes[8190];
        static struct vtd_dmar_reserved_memory reserved[VTD_DMAR_MAX_RESERVED + 1];
        static uint8_t table[1 << 17];
        struct vtd_frontend *unit;
        struct draft draft;
        size_t size;

        (void)state;
        fill_scopes(scopes, VTD_ARRAY_SIZE(scopes), 1);
        begin_draft(&draft);
        draft.sample.unit.interrupt_remapping = false;
        draft.sample.unit.extended_interrupt_mode = false;
        draft.sample.config = dmar_samples[DMAR_SAMPLE_ALL].config;
        draft.sample.config.include_pci_all = false;
        draft.sample.config.scopes = scopes;
        draft.sample.config.scope_count = SIZE_MAX;
        assert_refused(&draft, "18446744073709551615 scopes in a DRHD, at most 8189");
        draft.sample.config.scope_count = 8190;
        assert_refused(&draft, "8190 scopes in a DRHD, at most 8189");
        draft.sample.config.scope_count = 8189;
        unit = dmar_sample_unit(&draft.sample, NULL, NULL);
        assert_non_null(unit);
        assert_int_equal(
                vtd_frontend_build_dmar(unit, &draft.sample.config, table, sizeof(table), &size),
                0);
        unit = vtd_frontend_free(unit);
        assert_int_equal(size, 48 + 16 + 8189 * 8);
        assert_int_equal(table[0x32] | table[0x33] << 8, 16 + 8189 * 8);
        assert_int_equal(table[4] | table[5] << 8 | table[6] << 16, size);
        /* 1725 scopes of 38 bytes are 65550. */
        fill_scopes(scopes, 1725, VTD_DMAR_MAX_HOPS);
        draft.sample.config.scope_count = 1725;
        assert_refused(&draft, "65550 bytes of scopes in a DRHD, at most 65519");

        begin_draft(&draft);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(reserved); i++)
                reserved[i] = draft.reserved[i % 2];
        draft.sample.config.reserved = reserved;
        draft.sample.config.reserved_count = SIZE_MAX;
        assert_refused(&draft, "18446744073709551615 RMRRs, at most 256");
        draft.sample.config.reserved_count = VTD_DMAR_MAX_RESERVED + 1;
        assert_refused(&draft, "257 RMRRs, at most 256");
        draft.sample.config.reserved_count = VTD_DMAR_MAX_RESERVED;
        assert_accepted(&draft);
}

static void test_reserved_memory_is_whole_pages_of_pci_devices(void **state)
{
        static const struct {
                uint64_t base, limit;
                bool allowed;
        } cases[] = {
                {0x1000, 0x1fff, true},
                {0, UINT64_C(0xffffffffffff), true},
                {0x1001, 0x1fff, false},
                {0x1000, 0x2000, false},
                {0x1000, 0x1ffe, false},
                {0x1000, 0xfff, false},
                {0x3000, 0x1fff, false},
                {0x1000, UINT64_C(0x1000000000fff), false},
                {UINT64_C(0x1000000000000), UINT64_C(0x1000000000fff), false},
                {0x1000, UINT64_MAX, false},
                {0, UINT64_MAX, false},
        };
        struct draft draft;

        (void)state;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                begin_draft(&draft);
                draft.reserved[1].base = cases[i].base;
                draft.reserved[1].limit = cases[i].limit;
                if (cases[i].allowed)
                        assert_accepted(&draft);
                else
                        assert_refused(&draft, "whole pages below 2^48 are needed");
        }
        begin_draft(&draft);
        draft.reserved[1].scope_count = 0;
        assert_refused(&draft, "RMRR 1 has no scopes");
        for (int type = VTD_DMAR_SCOPE_IOAPIC; type <= VTD_DMAR_SCOPE_ACPI_DEVICE; type++) {
                begin_draft(&draft);
                draft.reserved_scopes[1].type = (enum vtd_dmar_scope_type)type;
                assert_refused(&draft, "only PCI devices are possible");
        }
}

static void test_acpi_devices_and_their_scopes_match(void **state)
{
        struct draft draft;

        (void)state;
        begin_draft(&draft);
        draft.acpi_devices[0].number = 2;
        assert_refused(&draft, "DRHD scope 1 is ACPI device 1, which has no name");
        begin_draft(&draft);
        draft.sample.config.acpi_device_count = 0;
        assert_refused(&draft, "0 ACPI devices are named and 1 have a scope");
        draft.sample.config.acpi_device_count = SIZE_MAX;
        assert_refused(&draft, "18446744073709551615 ACPI devices are named and 1 have a scope");
        begin_draft(&draft);
        draft.sample.config.acpi_device_count = 2;
        draft.sample.config.scope_count = 3;
        draft.acpi_devices[1] = draft.acpi_devices[0];
        draft.scopes[2] = draft.scopes[1];
        draft.scopes[2].enumeration_id = 2;
        assert_refused(&draft, "DRHD scope 2 is ACPI device 2, which has no name");
        draft.acpi_devices[1].number = 2;
        assert_accepted(&draft);
}

static void test_names_of_acpi_devices_are_fully_qualified(void **state)
{
        static const struct {
                const char *name;
                bool allowed;
        } cases[] = {
                {"\\A", true},         {"\\_SB.I2C0", true}, {"\\_SB.PCI0.X_9Z", true},
                {NULL, false},         {"", false},          {"\\", false},
                {"_SB.I2C0", false},   {"\\_SB.", false},    {"\\.I2C0", false},
                {"\\_SB..A", false},   {"\\I2C01", false},   {"\\9ABC", false},
                {"\\_SB.i2c0", false}, {"\\_SB A", false},   {"^_SB", false},
                {"\\\\_SB", false},
        };
        struct draft draft;

        (void)state;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                begin_draft(&draft);
                draft.acpi_devices[0].name = cases[i].name;
                if (cases[i].allowed)
                        assert_accepted(&draft);
                else
                        assert_refused(&draft, "ACPI device 0 has no fully qualified name");
        }
        begin_draft(&draft);
        draft.acpi_devices[0].name = draft.name;
        for (size_t i = 0; i < VTD_DMAR_MAX_NAME; i++)
                draft.name[i] = i == 0 ? '\\' : i % 5 == 0 ? '.' : 'A';
        draft.name[VTD_DMAR_MAX_NAME - 1] = 'A';
        assert_accepted(&draft);
        draft.name[VTD_DMAR_MAX_NAME - 1] = '.';
        draft.name[VTD_DMAR_MAX_NAME] = 'A';
        assert_refused(&draft, "of at most 255 characters");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tables_are_laid_out_byte_for_byte),
                cmocka_unit_test(test_a_small_buffer_is_told_the_size_and_left_alone),
                cmocka_unit_test(test_ids_are_checked),
                cmocka_unit_test(test_scopes_and_include_pci_all_exclude_each_other),
                cmocka_unit_test(test_interrupt_remapping_needs_an_ioapic),
                cmocka_unit_test(test_each_scope_is_checked),
                cmocka_unit_test(test_no_device_has_two_scopes),
                cmocka_unit_test(test_lengths_do_not_overflow),
                cmocka_unit_test(test_reserved_memory_is_whole_pages_of_pci_devices),
                cmocka_unit_test(test_acpi_devices_and_their_scopes_match),
                cmocka_unit_test(test_names_of_acpi_devices_are_fully_qualified),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
