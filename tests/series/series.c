/* SPDX-License-Identifier: MIT */
/* See series.h. */
#include "tests/series/series.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shared/cleanup.h"

#define WAIT_MS      10000
#define GUEST_MEMORY (UINT64_C(16) << 20)
#define READ_SIZE    ((size_t)256)
#define POLICY_SIZE  4096u
#define TABLES_MAX   64u

void series_bail_out(const char *format, ...)
{
        va_list arguments;

        (void)printf("Bail out! ");
        va_start(arguments, format);
        (void)vprintf(format, arguments);
        va_end(arguments);
        (void)printf("\n");
        (void)fflush(stdout);
        exit(1);
}

void series_check(struct series *series, const char *file, int line, const char *what,
                  int64_t actual, int64_t expected)
{
        if (actual == expected)
                return;
        series->point_failed = true;
        (void)printf("# %s:%d: %s is %lld, not %lld\n", file, line, what, (long long)actual,
                     (long long)expected);
}

uint16_t series_rid(unsigned device)
{
        return (uint16_t)((3 + device) << 3);
}

__attribute__((format(printf, 3, 4))) static void add(char *text, size_t size, const char *format,
                                                      ...)
{
        size_t used = strlen(text);
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(text + used, size - used, format, arguments);
        va_end(arguments);
}

/* The rig's IOMMU lacks snoop control and its devices cannot be reset: named, one by one. */
static void add_policy(struct series *series, const char *tenant, const char *model,
                       const char *limits)
{
        char text[POLICY_SIZE] = "", file[48];

        add(text, sizeof(text),
            "format = 1\n[tenant]\nname = %s\nuid = %u\nvms = 2\n[vm]\nmemory = 32MiB\n"
            "devices = %u\n%s",
            tenant, (unsigned)geteuid(), SERIES_DEVICES, limits);
        for (size_t i = 0; i < series->n_devices; i++)
                add(text, sizeof(text), "[device edu%zu]\n%s = %s\nregions = 0:rw\n%s", i,
                    series->real ? "pci" : "simulated", series->real ? series->devices[i] : model,
                    series->real ? "allow = no-reset, no-snoop-control\n" : "");
        (void)snprintf(file, sizeof(file), "%s.policy", tenant);
        if (broker_run_add_policy(&series->broker, file, text) < 0)
                series_bail_out("%s", series->broker.message);
}

static bool file_holds(int directory, const char *name, const char *file, const char *text)
{
        char path[64], content[32];
        ssize_t length;
        VTD_CLEANUP_FD int fd = -1;

        (void)snprintf(path, sizeof(path), "%.32s/%s", name, file);
        fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        length = read(fd, content, sizeof(content));
        return length >= (ssize_t)strlen(text) && memcmp(content, text, strlen(text)) == 0;
}

/* PCI addresses of the edu devices of this machine, lowest first. */
static void find_edu_devices(struct series *series)
{
        struct dirent **entries;
        int count = scandir("/sys/bus/pci/devices", &entries, NULL, alphasort);
        VTD_CLEANUP_FD int directory =
                open("/sys/bus/pci/devices", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (int i = 0; i < count; i++) {
                const char *name = entries[i]->d_name;

                if (series->n_devices < SERIES_DEVICES &&
                    file_holds(directory, name, "vendor", "0x1234") &&
                    file_holds(directory, name, "device", "0x11e8"))
                        (void)snprintf(series->devices[series->n_devices++],
                                       sizeof(series->devices[0]), "%.15s", name);
                free(entries[i]);
        }
        if (count >= 0)
                free(entries);
}

void series_start(struct series *series)
{
        series->real = strcmp(series->config.host, "linux") == 0;
        if (series->real)
                find_edu_devices(series);
        else
                series->n_devices = SERIES_DEVICES;
        if (series->n_devices < 2)
                series_bail_out("%zu edu devices, 2 are needed", series->n_devices);
        if (broker_run_prepare(&series->broker) < 0)
                series_bail_out("%s", series->broker.message);
        add_policy(series, SERIES_BLUE, "edu",
                   "first-stage-tables = 8\nmodes = passthrough, first-stage\n");
        add_policy(series, SERIES_STRICT, "edu", "first-stage-tables = 2\nmodes = first-stage\n");
        add_policy(series, SERIES_PASIDS, "edu-pasid",
                   "first-stage-tables = 8\nmodes = passthrough, first-stage\npasids = 2\n");
        add_policy(series, SERIES_SKIP, "edu",
                   "first-stage-tables = 8\nmodes = passthrough, first-stage\n"
                   "erratum-772415 = skip\n");
        if (broker_run_start(&series->broker, &series->config) < 0)
                series_bail_out("%s", series->broker.message);
}

static void keep_line(void *opaque, enum vtd_log_level level, const char *line)
{
        struct machine *machine = opaque;

        (void)level;
        add(machine->warnings, sizeof(machine->warnings), "%s\n", line);
}

void machine_start(struct series *series, struct machine *machine, const char *tenant,
                   const struct vtd_frontend_config *config)
{
        struct vmm_config vmm = {.memory = GUEST_MEMORY, .frontend = VTD_FRONTEND_CONFIG_DEFAULT};
        char path[128];

        *machine = (struct machine){.series = series, .vm = ++series->vms};
        machine->log = (struct vtd_log){
                .sink = keep_line, .opaque = machine, .threshold = VTD_LOG_WARNING};
        broker_run_read_audit(&series->broker, 0);
        machine->first = machine->mark = machine->read = series->broker.n_lines;
        broker_run_socket_path(&series->broker, tenant, path, sizeof(path));
        vmm.socket = path;
        vmm.log = &machine->log;
        if (config)
                vmm.frontend = *config;
        if (vmm_new(&machine->vmm, &vmm) != 0)
                series_bail_out("no VMM of tenant %s: %s", tenant, machine->warnings);
        guest_init(&machine->guest, machine->vmm);
}

int machine_plug(struct machine *machine, unsigned device)
{
        char name[16];
        int result;

        (void)snprintf(name, sizeof(name), "edu%u", device);
        result = vtd_frontend_plug(vmm_frontend(machine->vmm), name, series_rid(device));
        if (result == 0)
                machine->plugged |= 1u << device;
        return result;
}

void machine_fill(struct machine *machine)
{
        struct guest *guest = &machine->guest;

        guest_fill(guest, PAGE_A, 'A', GUEST_PAGE);
        guest_fill(guest, PAGE_B, 'B', GUEST_PAGE);
        guest_fill(guest, PAGE_C, 'C', GUEST_PAGE);
        guest_fill(guest, LARGE_PAGE, 'L', LARGE_NEXT - LARGE_PAGE);
        guest_fill(guest, LARGE_NEXT, 'M', LARGE_NEXT - LARGE_PAGE);
}

void machine_up(struct series *series, struct machine *machine, const char *tenant,
                unsigned devices)
{
        machine_start(series, machine, tenant, NULL);
        for (unsigned i = 0; i < devices; i++)
                if (machine_plug(machine, i) != 0)
                        series_bail_out("edu%u is not plugged: %s", i, machine_refusal(machine));
        if (vmm_map_memory(machine->vmm) != 0)
                series_bail_out("memory is not mapped: %s", machine_refusal(machine));
        machine_fill(machine);
        machine_run(machine);
}

void machine_enable(struct machine *machine, unsigned devices)
{
        for (unsigned i = 0; i < devices; i++)
                guest_add_device(&machine->guest, series_rid(i));
        guest_enable_queue(&machine->guest);
        guest_set_root(&machine->guest);
        guest_set_translation(&machine->guest, true);
}

void machine_run(struct machine *machine)
{
        IS(machine->series, vmm_run(machine->vmm), VTD_FRONTEND_IDLE);
}

void machine_store(struct machine *machine, uint64_t gpa, uint64_t value)
{
        uint64_t *word = (uint64_t *)(void *)(vmm_memory(machine->vmm) + gpa);

        __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

uint64_t machine_load(struct machine *machine, uint64_t gpa)
{
        uint64_t *word = (uint64_t *)(void *)(vmm_memory(machine->vmm) + gpa);

        return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

uint64_t machine_table(struct machine *machine, uint64_t page)
{
        uint64_t root = guest_table_new(&machine->guest);

        guest_table_map(&machine->guest, root, IOVA_DATA, page, 1);
        guest_table_map(&machine->guest, root, IOVA_SINK, PAGE_SINK, 1);
        guest_table_map(&machine->guest, root, IOVA_LARGE, LARGE_PAGE, 2);
        return root;
}

uint64_t machine_bound(struct series *series, struct machine *machine, const char *tenant)
{
        uint64_t table;

        machine_up(series, machine, tenant, 1);
        machine_enable(machine, 1);
        table = machine_table(machine, PAGE_A);
        guest_set_entry(&machine->guest, series_rid(0), GUEST_FIRST_STAGE, DOMAIN, table);
        guest_flush_entry(&machine->guest, DOMAIN);
        IS(series, machine_binding(machine, 0), FIRST_STAGE);
        IS(series, machine_reads_table(machine, 0), 'A');
        return table;
}

int machine_reads(struct machine *machine, unsigned device, uint64_t address, uint64_t sink)
{
        struct guest *guest = &machine->guest;

        guest_fill(guest, PAGE_SINK, READS_BLOCKED, READ_SIZE);
        if (guest_dma_read(guest, series_rid(device), address, READ_SIZE) != 0 ||
            guest_dma_write(guest, series_rid(device), sink, READ_SIZE) != 0)
                return READS_FAILED;
        return guest_uniform(guest, PAGE_SINK, READ_SIZE);
}

int machine_reads_table(struct machine *machine, unsigned device)
{
        return machine_reads(machine, device, IOVA_DATA, IOVA_SINK);
}

int machine_reads_physical(struct machine *machine, unsigned device, uint64_t address)
{
        return machine_reads(machine, device, address, PAGE_SINK);
}

int machine_binding(struct machine *machine, unsigned device)
{
        enum vtd_frontend_binding binding;

        return vtd_frontend_get_binding(vmm_frontend(machine->vmm), series_rid(device), &binding) ==
                               0
                       ? (int)binding
                       : -1;
}

uint64_t machine_faults(struct machine *machine)
{
        struct vtd_frontend_stats stats;

        vtd_frontend_get_stats(vmm_frontend(machine->vmm), &stats);
        return stats.faults;
}

const char *machine_refusal(struct machine *machine)
{
        struct vtd_frontend_refusal refusal;

        vtd_frontend_refusal(vmm_frontend(machine->vmm), &refusal);
        return refusal.reason_name ? refusal.reason_name : "";
}

static int64_t now_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_of(const struct machine *machine, const char *line)
{
        uint64_t vm;

        return audit_number(line, "vm", &vm) && vm == machine->vm;
}

/* A count of host calls is worth nothing when lines are missing. */
static void look_for_losses(struct machine *machine)
{
        struct broker_run *broker = &machine->series->broker;
        uint64_t lost;

        for (; machine->read < broker->n_lines; machine->read++)
                if (audit_number(broker->lines[machine->read], "lost", &lost))
                        IS(machine->series, lost, 0);
}

/* Waits for the line of request @sequence, which is not before line @at. */
static void wait_for(struct machine *machine, uint32_t sequence, size_t at)
{
        struct broker_run *broker = &machine->series->broker;
        int64_t deadline = now_ms() + WAIT_MS;

        for (;;) {
                for (; at < broker->n_lines; at++) {
                        uint64_t number;

                        if (audit_is(broker->lines[at], "kind", "request") &&
                            is_of(machine, broker->lines[at]) &&
                            audit_number(broker->lines[at], "sequence", &number) &&
                            number == sequence) {
                                look_for_losses(machine);
                                return;
                        }
                }
                if (now_ms() >= deadline)
                        series_bail_out("request %u of VM %llu is not in the audit log", sequence,
                                        (unsigned long long)machine->vm);
                broker_run_read_audit(broker, 100);
        }
}

/* Brings the audit log up to date, by a request whose line comes after all others. */
static void catch_up(struct machine *machine)
{
        size_t from = machine->first;
        struct vtd_frontend_stats stats;
        uint64_t value;

        for (unsigned i = 0; i < SERIES_DEVICES; i++) {
                if (!(machine->plugged & 1u << i))
                        continue;
                IS(machine->series, vmm_device_read(machine->vmm, series_rid(i), 0, 4, &value), 0);
                from = machine->mark;
                break;
        }
        vtd_frontend_get_stats(vmm_frontend(machine->vmm), &stats);
        wait_for(machine, stats.last_sequence, from);
}

void machine_mark(struct machine *machine)
{
        catch_up(machine);
        machine->mark = machine->series->broker.n_lines;
}

unsigned machine_calls(struct machine *machine, const char *call)
{
        struct broker_run *broker = &machine->series->broker;
        unsigned count = 0;

        catch_up(machine);
        for (size_t i = machine->mark; i < broker->n_lines; i++)
                count += audit_is(broker->lines[i], "kind", "host-call") &&
                         is_of(machine, broker->lines[i]) &&
                         (!call || audit_is(broker->lines[i], "call", call));
        return count;
}

const char *machine_last_call(struct machine *machine, const char *call)
{
        struct broker_run *broker = &machine->series->broker;

        catch_up(machine);
        for (size_t i = broker->n_lines; i-- > machine->mark;)
                if (is_of(machine, broker->lines[i]) && audit_is(broker->lines[i], "call", call))
                        return broker->lines[i];
        return NULL;
}

bool machine_event(struct machine *machine, const char *event)
{
        struct broker_run *broker = &machine->series->broker;

        catch_up(machine);
        for (size_t i = machine->mark; i < broker->n_lines; i++)
                if (is_of(machine, broker->lines[i]) && audit_is(broker->lines[i], "event", event))
                        return true;
        return false;
}

unsigned machine_tables(struct machine *machine)
{
        struct broker_run *broker = &machine->series->broker;
        uint64_t tables[TABLES_MAX];
        unsigned count = 0;

        catch_up(machine);
        for (size_t i = 0; i < broker->n_lines; i++) {
                const char *line = broker->lines[i];
                uint64_t result, id;

                if (!is_of(machine, line) || !audit_number(line, "result", &result) || result != 0)
                        continue;
                if (audit_is(line, "call", "first-stage-alloc") &&
                    audit_number(line, "hwpt", &id) && count < TABLES_MAX)
                        tables[count++] = id;
                if (!audit_is(line, "call", "destroy") || !audit_number(line, "object", &id))
                        continue;
                for (unsigned j = 0; j < count; j++)
                        if (tables[j] == id)
                                tables[j--] = tables[--count];
        }
        return count;
}

void machine_stop(struct machine *machine)
{
        struct broker_run *broker = &machine->series->broker;
        int64_t deadline = now_ms() + WAIT_MS;
        size_t at = machine->mark;

        IS(machine->series, machine->guest.failed, false);
        machine->vmm = vmm_free(machine->vmm);
        for (;;) {
                for (; at < broker->n_lines; at++)
                        if (is_of(machine, broker->lines[at]) &&
                            audit_is(broker->lines[at], "event", "worker-ended")) {
                                look_for_losses(machine);
                                return;
                        }
                if (now_ms() >= deadline)
                        series_bail_out("the worker of VM %llu does not end",
                                        (unsigned long long)machine->vm);
                broker_run_read_audit(broker, 100);
        }
}
