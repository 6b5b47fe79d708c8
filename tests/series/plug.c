/* SPDX-License-Identifier: MIT */
/* Row S16: hot plug into live tables, unplug, two VMs, and a device that moves between them. */
#include "tests/series/series.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CANARY 0x5a

static void plug_into_live_tables(struct series *series)
{
        struct machine machine;
        uint64_t table;

        table = machine_bound(series, &machine, SERIES_BLUE);
        guest_add_device(&machine.guest, series_rid(1));
        guest_set_entry(&machine.guest, series_rid(1), GUEST_FIRST_STAGE, DOMAIN, table);
        guest_flush_entry(&machine.guest, DOMAIN);
        machine_mark(&machine);
        IS(series, machine_plug(&machine, 1), 0);
        IS(series, machine_binding(&machine, 1), BLOCKED);
        machine_run(&machine);
        IS(series, machine_binding(&machine, 1), FIRST_STAGE);
        IS(series, machine_reads_table(&machine, 1), 'A');
        IS(series, machine_reads_table(&machine, 0), 'A');
        IS(series, machine_calls(&machine, "first-stage-alloc"), 0);
        IS(series, machine_tables(&machine), 1);
        machine_stop(&machine);
}

/* Twice round, so that what the first unplug left behind would be found by the second plug. */
static void unplug_leaves_nothing(struct series *series)
{
        struct machine machine;
        uint64_t value;

        (void)machine_bound(series, &machine, SERIES_BLUE);
        for (unsigned i = 0; i < 2; i++) {
                machine_mark(&machine);
                IS(series, vtd_frontend_unplug(vmm_frontend(machine.vmm), series_rid(0)), 0);
                machine.plugged = 0;
                IS(series, machine_calls(&machine, "detach"), 1);
                IS(series, machine_calls(&machine, "release"), 1);
                IS(series, machine_tables(&machine), 0);
                IS(series, machine_binding(&machine, 0), -1);
                IS(series, vmm_device_read(machine.vmm, series_rid(0), 0, 4, &value), -ENODEV);
                guest_flush_entry(&machine.guest, DOMAIN);
                IS(series, machine_plug(&machine, 0), 0);
                machine_run(&machine);
                IS(series, machine_binding(&machine, 0), FIRST_STAGE);
                IS(series, machine_reads_table(&machine, 0), 'A');
        }
        machine_stop(&machine);
}

/* The other device of the domain must not notice. */
static void unplug_leaves_the_other_device(struct series *series)
{
        struct machine machine;
        uint64_t table = machine_bound(series, &machine, SERIES_BLUE);

        guest_add_device(&machine.guest, series_rid(1));
        guest_set_entry(&machine.guest, series_rid(1), GUEST_FIRST_STAGE, DOMAIN, table);
        IS(series, machine_plug(&machine, 1), 0);
        machine_run(&machine);
        IS(series, vtd_frontend_unplug(vmm_frontend(machine.vmm), series_rid(0)), 0);
        machine.plugged &= ~1u;
        IS(series, machine_reads_table(&machine, 1), 'A');
        guest_table_map(&machine.guest, table, IOVA_DATA, PAGE_B, 1);
        guest_invalidate_page(&machine.guest, DOMAIN, IOVA_DATA, 0);
        IS(series, machine_reads_table(&machine, 1), 'B');
        IS(series, machine_tables(&machine), 1);
        machine_stop(&machine);
}

/* Descriptors of @pid on the kernel's /dev/iommu. */
static unsigned count_iommufds(pid_t pid)
{
        char path[64], target[64];
        struct dirent *entry;
        unsigned count = 0;
        DIR *fds;

        (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        fds = opendir(path);
        if (!fds)
                return 0;
        while ((entry = readdir(fds))) {
                ssize_t length = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);

                if (length < 0)
                        continue;
                target[length] = '\0';
                count += strcmp(target, "/dev/iommu") == 0;
        }
        (void)closedir(fds);
        return count;
}

/* Both VMs bound to tables at the same guest addresses, in the same domain. */
static void two_vms_do_not_meet(struct series *series)
{
        struct machine first, second;
        pid_t workers[4];
        uint64_t table;

        (void)machine_bound(series, &first, SERIES_BLUE);
        machine_start(series, &second, SERIES_BLUE, NULL);
        IS(series, machine_plug(&second, 0), VTD_FRONTEND_REFUSED);
        IS(series, strcmp(machine_refusal(&second), "device-busy"), 0);
        IS(series, machine_plug(&second, 1), 0);
        IS(series, vmm_map_memory(second.vmm), 0);
        guest_fill(&second.guest, PAGE_A, 'X', GUEST_PAGE);
        guest_fill(&second.guest, PAGE_B, 'Y', GUEST_PAGE);
        machine_run(&second);
        machine_enable(&second, 2);
        table = machine_table(&second, PAGE_A);
        guest_set_entry(&second.guest, series_rid(1), GUEST_FIRST_STAGE, DOMAIN, table);
        guest_flush_entry(&second.guest, DOMAIN);
        IS(series, machine_reads_table(&second, 1), 'X');
        IS(series, machine_reads_table(&first, 0), 'A');

        /* What one guest invalidates is not the other's. */
        guest_table_map(&second.guest, table, IOVA_DATA, PAGE_B, 1);
        guest_invalidate_pasid(&first.guest, DOMAIN);
        IS(series, machine_reads_table(&second, 1), 'X');
        guest_invalidate_pasid(&second.guest, DOMAIN);
        IS(series, machine_reads_table(&second, 1), 'Y');

        IS(series, broker_run_workers(&series->broker, workers, 4), 2);
        for (unsigned i = 0; series->real && i < 2; i++)
                IS(series, count_iommufds(workers[i]), 1);
        if (series->real)
                IS(series, count_iommufds(series->broker.pid), 2);
        machine_stop(&second);
        IS(series, machine_reads_table(&first, 0), 'A');
        machine_stop(&first);
}

/* Nothing has been written to the pages of @machine. */
static void check_canaries(struct series *series, struct machine *machine)
{
        IS(series, guest_uniform(&machine->guest, PAGE_A, GUEST_PAGE), 'A');
        IS(series, guest_uniform(&machine->guest, PAGE_B, GUEST_PAGE), 'B');
        IS(series, guest_uniform(&machine->guest, PAGE_SINK, GUEST_PAGE), CANARY);
}

static void a_device_moves(struct series *series)
{
        struct machine first, second;

        (void)machine_bound(series, &first, SERIES_BLUE);
        machine_start(series, &second, SERIES_BLUE, NULL);
        IS(series, vtd_frontend_unplug(vmm_frontend(first.vmm), series_rid(0)), 0);
        first.plugged = 0;
        guest_fill(&first.guest, PAGE_SINK, CANARY, GUEST_PAGE);

        /* Between plug and run nothing is attached; then it is the new VM's memory alone. */
        IS(series, machine_plug(&second, 0), 0);
        IS(series, vmm_map_memory(second.vmm), 0);
        guest_fill(&second.guest, PAGE_A, 'X', GUEST_PAGE);
        IS(series, machine_binding(&second, 0), BLOCKED);
        IS(series, machine_reads_table(&second, 0), READS_BLOCKED);
        IS(series, machine_reads_physical(&second, 0, PAGE_A), READS_BLOCKED);
        machine_run(&second);
        IS(series, machine_reads_physical(&second, 0, PAGE_A), 'X');
        IS(series, machine_reads_table(&second, 0), READS_BLOCKED);
        check_canaries(series, &first);

        /* The old guest's structures were in its own memory: here they are absent. */
        machine_enable(&second, 1);
        IS(series, machine_binding(&second, 0), BLOCKED);
        guest_set_entry(&second.guest, series_rid(0), GUEST_FIRST_STAGE, DOMAIN,
                        machine_table(&second, PAGE_A));
        guest_flush_entry(&second.guest, DOMAIN);
        IS(series, machine_reads_table(&second, 0), 'X');
        IS(series, machine_tables(&first), 0);

        /* The old guest goes on invalidating, and ends: the device is not its own any more. */
        guest_flush_entry(&first.guest, DOMAIN);
        guest_invalidate_context(&first.guest);
        IS(series, machine_reads_table(&second, 0), 'X');
        check_canaries(series, &first);
        machine_stop(&first);
        IS(series, machine_reads_table(&second, 0), 'X');
        machine_stop(&second);
}

const struct series_test series_plug_tests[] = {
        {"S16: a device plugged into live tables is bound as they say, to the table in use",
         plug_into_live_tables, ON_BOTH, NULL},
        {"S16: unplug leaves nothing, and the device can be plugged again", unplug_leaves_nothing,
         ON_BOTH, NULL},
        {"S16: unplug leaves the table to the other device of the domain",
         unplug_leaves_the_other_device, ON_BOTH, NULL},
        {"S16: two VMs have a worker and an IOMMU context each and do not meet",
         two_vms_do_not_meet, ON_BOTH, NULL},
        {"S16: a device moves from one VM to the other and carries nothing over", a_device_moves,
         ON_BOTH, NULL},
        {0},
};
