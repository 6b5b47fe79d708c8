/* SPDX-License-Identifier: MIT */
/* Row S11: a nest parent has no read-only mapping; what cannot be written is refused or skipped. */
#include "tests/series/series.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/cleanup.h"

/* Behind the machine's own memory, and no larger than what the policy leaves of it. */
#define ROM_ADDRESS UINT64_C(0x1000000)
#define ROM_SIZE    (16 * GUEST_PAGE)

enum rom {
        ROM_OPEN_FOR_READING,
        ROM_SEALED,
        ROM_FUTURE_SEALED,
        ROM_KINDS,
};

/* A memfd full of 'R' that cannot be written, in each of the ways in which that can be so. */
static int make_rom(enum rom kind)
{
        VTD_CLEANUP_FD int fd = memfd_create("rom", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        int seals = F_SEAL_SHRINK | (kind == ROM_SEALED          ? F_SEAL_WRITE
                                     : kind == ROM_FUTURE_SEALED ? F_SEAL_FUTURE_WRITE
                                                                 : 0);
        char page[GUEST_PAGE], path[64];

        memset(page, 'R', sizeof(page));
        for (off_t at = 0; at < (off_t)ROM_SIZE; at += (off_t)sizeof(page))
                if (pwrite(fd, page, sizeof(page), at) != (ssize_t)sizeof(page))
                        series_bail_out("memfd cannot be filled");
        if (fcntl(fd, F_ADD_SEALS, seals) < 0)
                series_bail_out("memfd cannot be sealed");
        if (kind != ROM_OPEN_FOR_READING)
                return VTD_TAKE_FD(fd);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return open(path, O_RDONLY | O_CLOEXEC);
}

static void read_only_memory_is_refused(struct series *series)
{
        static const char *const reasons[] = {"memfd-access", "memfd-seals", "memfd-seals"};
        struct machine machine;

        machine_up(series, &machine, SERIES_BLUE, 1);
        for (enum rom kind = 0; kind < ROM_KINDS; kind++) {
                VTD_CLEANUP_FD int rom = make_rom(kind);
                uint64_t mapping;

                machine_mark(&machine);
                IS(series,
                   vtd_frontend_map(vmm_frontend(machine.vmm), ROM_ADDRESS, ROM_SIZE, rom, 0,
                                    &mapping),
                   VTD_FRONTEND_REFUSED);
                IS(series, strcmp(machine_refusal(&machine), reasons[kind]), 0);
                IS(series, machine_calls(&machine, NULL), 0);
                IS(series, machine_reads_physical(&machine, 0, ROM_ADDRESS), 0);
        }
        machine_stop(&machine);
}

static void check_skipped(struct series *series, struct machine *machine, int rom)
{
        struct vtd_frontend *frontend = vmm_frontend(machine->vmm);
        uint64_t mapping, other;

        machine_mark(machine);
        IS(series, vtd_frontend_map(frontend, ROM_ADDRESS, ROM_SIZE, rom, 0, &mapping), 0);
        IS(series, machine_event(machine, "read-only-skipped"), true);
        IS(series, machine_reads_physical(machine, 0, ROM_ADDRESS), 0);
        IS(series, vtd_frontend_map(frontend, ROM_ADDRESS, ROM_SIZE, rom, 0, &other),
           VTD_FRONTEND_REFUSED);
        IS(series, strcmp(machine_refusal(machine), "overlap"), 0);
        IS(series, vtd_frontend_unmap(frontend, mapping), 0);
        IS(series, machine_calls(machine, NULL), 0);
}

static void read_only_memory_is_skipped(struct series *series)
{
        struct machine machine;
        char byte = 0;

        machine_up(series, &machine, SERIES_SKIP, 1);
        for (enum rom kind = 0; kind < ROM_KINDS; kind++) {
                VTD_CLEANUP_FD int rom = make_rom(kind);

                check_skipped(series, &machine, rom);
                IS(series, pread(rom, &byte, 1, 0), 1);
                IS(series, byte, 'R');
        }
        machine_stop(&machine);
}

/* In the place of a skipped mapping, once it is unmapped, stands a writable one. */
static void skipped_memory_is_neither_read_nor_written(struct series *series)
{
        VTD_CLEANUP_FD int rom = make_rom(ROM_SEALED);
        VTD_CLEANUP_FD int copy = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct machine machine;
        struct vtd_frontend *frontend;
        uint64_t mapping;
        char byte = 'w';

        machine_up(series, &machine, SERIES_SKIP, 1);
        frontend = vmm_frontend(machine.vmm);
        if (ftruncate(copy, ROM_SIZE) < 0 || pwrite(copy, &byte, 1, 0) != 1 ||
            fcntl(copy, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
                series_bail_out("memfd cannot be prepared");
        IS(series, vtd_frontend_map(frontend, ROM_ADDRESS, ROM_SIZE, rom, 0, &mapping), 0);
        IS(series, guest_dma_read(&machine.guest, series_rid(0), PAGE_B, 16), 0);
        IS(series, guest_dma_write(&machine.guest, series_rid(0), ROM_ADDRESS, 16), 0);
        IS(series, pread(rom, &byte, 1, 0), 1);
        IS(series, byte, 'R');
        IS(series, vtd_frontend_unmap(frontend, mapping), 0);
        IS(series, vtd_frontend_map(frontend, ROM_ADDRESS, ROM_SIZE, copy, 0, &mapping), 0);
        IS(series, guest_dma_write(&machine.guest, series_rid(0), ROM_ADDRESS, 16), 0);
        IS(series, pread(copy, &byte, 1, 0), 1);
        IS(series, byte, 'B');
        machine_stop(&machine);
}

static void no_table_begins_in_skipped_memory(struct series *series)
{
        VTD_CLEANUP_FD int rom = make_rom(ROM_SEALED);
        struct guest_fault fault;
        struct machine machine;
        uint64_t mapping;

        machine_up(series, &machine, SERIES_SKIP, 1);
        IS(series,
           vtd_frontend_map(vmm_frontend(machine.vmm), ROM_ADDRESS, ROM_SIZE, rom, 0, &mapping), 0);
        machine_enable(&machine, 1);
        machine_mark(&machine);
        guest_set_entry(&machine.guest, series_rid(0), GUEST_FIRST_STAGE, DOMAIN, ROM_ADDRESS);
        guest_flush_entry(&machine.guest, DOMAIN);
        IS(series, machine_binding(&machine, 0), BLOCKED);
        IS(series, strcmp(machine_refusal(&machine), "root-not-mapped"), 0);
        IS(series, machine_calls(&machine, "first-stage-alloc"), 0);
        guest_take_fault(&machine.guest, &fault);
        IS(series, fault.pending, true);
        IS(series, fault.reason, FAULT_ROOT_NOT_MAPPED);
        machine_stop(&machine);
}

const struct series_test series_memory_tests[] = {
        {"S11: memory that cannot be written is refused before any host call",
         read_only_memory_is_refused, ON_BOTH, NULL},
        {"S11: skipped by policy, it is an empty mapping with a warning, and no host call",
         read_only_memory_is_skipped, ON_BOTH, NULL},
        {"S11: a device neither reads nor writes skipped memory, and a writable copy takes its "
         "place",
         skipped_memory_is_neither_read_nor_written, ON_BOTH, NULL},
        {"S11: no first-stage table begins in skipped memory", no_table_begins_in_skipped_memory,
         ON_BOTH, NULL},
        {0},
};
