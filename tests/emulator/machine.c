/* SPDX-License-Identifier: MIT */
/* See machine.h. */
#include "tests/emulator/machine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"

#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA    0xcfcu
#define HOST_BRIDGE    UINT16_C(0x0000)
#define PCIEXBAR       0x60u

#define REG_GCMD 0x18u
#define REG_GSTS 0x1cu
#define REG_FSTS 0x34u
#define REG_IQH  0x80u
#define REG_IQT  0x88u
#define STICKY   0x86800000u /* bits of GCMD that GSTS follows */
#define FSTS_IQE 0x10u

#define WAIT_MS  10000u
#define ROM_SIZE 512u

struct vmm {
        struct broker_run *run;
        struct qtest *qtest;
        uint8_t *memory; /* QEMU's, below 4 GiB */
        uint64_t memory_size;
};

void machine_bail_out(const char *what)
{
        (void)printf("Bail out! %s\n", what);
        (void)fflush(stdout);
        exit(1);
}

static void must(int result)
{
        if (result != 0)
                machine_bail_out("QEMU does not follow");
}

static void pause_ms(unsigned ms)
{
        const struct timespec pause = {.tv_nsec = ms * 1000000L};

        (void)nanosleep(&pause, NULL);
}

static void add_tenant(struct broker_run *run, const char *name, const char *regions, unsigned rate)
{
        char text[512], file[64];

        (void)snprintf(file, sizeof(file), "%s.policy", name);
        (void)snprintf(text, sizeof(text),
                       "format = 1\n"
                       "[tenant]\n"
                       "name = %s\n"
                       "uid = %u\n"
                       "[vm]\n"
                       "memory = 4GiB\n"
                       "mappings = 64\n"
                       "first-stage-tables = 8\n"
                       "interrupts = 1\n"
                       "invalidate-rate = %u\n"
                       "invalidate-burst = 128\n"
                       "modes = passthrough, first-stage\n"
                       "[device edu0]\n"
                       "simulated = edu\n"
                       "regions = %s\n",
                       name, broker_run_vmm_uid(), rate, regions);
        if (broker_run_add_policy(run, file, text) != 0)
                machine_bail_out(run->message);
}

void machine_broker_start(struct broker_run *run, const char *build)
{
        const struct broker_run_config config = {
                .build = build, .host = "simulated", .audit_level = "refusals"};

        if (broker_run_prepare(run) != 0)
                machine_bail_out(run->message);
        add_tenant(run, TENANT_BLUE, "0:rw, config:rw", 200000);
        add_tenant(run, TENANT_SLOW, "0:rw, config:rw", 10);
        add_tenant(run, TENANT_MUTE, "0:rw", 200000);
        if (broker_run_start(run, &config) != 0)
                machine_bail_out(run->message);
}

/* VTD_QEMU is DIRECTORY/bin/qemu-system-x86_64, and firmware is beside it. */
struct qtest_config machine_config(const char *const *arguments)
{
        static const char *const command[] = {"./qemu-system-x86_64", "-L", "../share/qemu",
                                              "-no-user-config", NULL};
        static char directory[512];
        const char *program = getenv("VTD_QEMU");
        const char *end = program ? strrchr(program, '/') : NULL;

        if (!end || (size_t)(end - program) >= sizeof(directory))
                machine_bail_out("VTD_QEMU names no QEMU: see ./dev qemu");
        (void)snprintf(directory, sizeof(directory), "%.*s", (int)(end - program), program);
        return (struct qtest_config){.directory = directory,
                                     .command = command,
                                     .arguments = arguments,
                                     .uid = broker_run_vmm_uid()};
}

/* The memfd that QEMU has made for guest RAM. */
static int open_memory(pid_t pid)
{
        char directory[64], path[96], target[128];
        struct dirent *entry;
        ssize_t length;
        DIR *fds;
        int fd = -1;

        (void)snprintf(directory, sizeof(directory), "/proc/%d/fd", (int)pid);
        fds = opendir(directory);
        if (!fds)
                machine_bail_out("the descriptors of QEMU cannot be seen");
        while (fd < 0 && (entry = readdir(fds))) {
                (void)snprintf(path, sizeof(path), "%s/%.16s", directory, entry->d_name);
                length = readlink(path, target, sizeof(target) - 1);
                target[length > 0 ? length : 0] = '\0';
                if (strstr(target, "memory-backend-memfd"))
                        fd = open(path, O_RDWR | O_CLOEXEC);
        }
        (void)closedir(fds);
        return fd;
}

static void map_memory(struct vmm *vmm)
{
        VTD_CLEANUP_FD int fd = open_memory(qtest_pid(vmm->qtest));
        struct stat status;

        if (fd < 0 || fstat(fd, &status) != 0)
                machine_bail_out("guest RAM is no memfd that can be opened");
        vmm->memory_size = (uint64_t)status.st_size;
        vmm->memory = mmap(NULL, vmm->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (vmm->memory == MAP_FAILED)
                machine_bail_out("guest RAM cannot be mapped");
}

static void ask_ok(struct vmm *vmm, const char *command)
{
        const char *line;

        must(qtest_ask(vmm->qtest, &line, "%s", command));
        if (strstr(line, "\"error\""))
                machine_bail_out(line);
}

void machine_set_up(struct vmm *vmm)
{
        static const struct {
                uint16_t rid;
                unsigned bar;
                uint64_t address;
        } bars[] = {
                {RID_BROKER, 0, BAR_BROKER},
                {RID_EDU, 0, BAR_EDU},
                {RID_NVME, 0, BAR_NVME},
                {RID_DISK, 4, BAR_DISK},
        };

        machine_config_write(vmm, HOST_BRIDGE, PCIEXBAR + 4, 4, 0);
        machine_config_write(vmm, HOST_BRIDGE, PCIEXBAR, 4, (uint32_t)ECAM | 1);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(bars); i++) {
                if (machine_config_read(vmm, bars[i].rid, PCI_ID, 2) == 0xffff)
                        continue;
                machine_config_write(vmm, bars[i].rid, PCI_BAR0 + 4 * bars[i].bar, 4,
                                     (uint32_t)bars[i].address);
                machine_config_write(vmm, bars[i].rid, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
        }
}

/* An option ROM, the smallest thing that a function can have in memory. */
static void make_rom(struct broker_run *run, char *path, size_t size)
{
        static const char rom[ROM_SIZE];
        FILE *file;

        (void)snprintf(path, size, "%s/rom", run->directory);
        file = fopen(path, "we");
        if (!file || fwrite(rom, sizeof(rom), 1, file) != 1 || fchmod(fileno(file), 0644) != 0 ||
            fclose(file) != 0)
                machine_bail_out("the option ROM cannot be written");
}

struct vmm *machine_new(struct broker_run *run, const struct machine_options *options)
{
        char socket[128], iommu[256], memory[128], edu[160], rom[80];
        const char *const arguments[] = {
                "-M",
                "q35,memory-backend=ram",
                "-accel",
                options->tcg ? "tcg" : "qtest",
                "-object",
                memory,
                "-m",
                options->memory ? options->memory : "64M",
                "-device",
                iommu,
                "-device",
                "pcie-root-port,id=bridge,addr=9",
                "-device",
                options->bridge ? "vtd-broker-pci,id=device,device=edu0,bus=bridge"
                                : "vtd-broker-pci,id=device,device=edu0,addr=4",
                "-device",
                edu,
                "-device",
                "nvme,serial=test,addr=7",
                options->tcg ? "-S" : "-no-shutdown",
                options->disk ? "-object" : NULL,
                "iothread,id=thread",
                "-blockdev",
                "driver=null-co,node-name=null,read-zeroes=on",
                "-device",
                "virtio-blk-pci,addr=8,drive=null,iothread=thread,iommu_platform=on,"
                "disable-legacy=on,ats=off",
                NULL,
        };
        const struct qtest_config config = machine_config(arguments);
        struct vmm *vmm = calloc(1, sizeof(*vmm));

        broker_run_socket_path(run, options->tenant ? options->tenant : TENANT_BLUE, socket,
                               sizeof(socket));
        (void)snprintf(iommu, sizeof(iommu), "vtd-broker-iommu,id=unit,broker=%s", socket);
        (void)snprintf(memory, sizeof(memory),
                       "memory-backend-memfd,id=ram,size=%s,share=on,seal=on",
                       options->memory ? options->memory : "64M");
        make_rom(run, rom, sizeof(rom));
        (void)snprintf(edu, sizeof(edu), "edu,id=edu,addr=5,dma_mask=0xffffffffffffffff,romfile=%s",
                       rom);
        if (!vmm || qtest_new(&vmm->qtest, &config) != 0)
                machine_bail_out("QEMU does not start");
        vmm->run = run;
        map_memory(vmm);
        machine_set_up(vmm);
        return vmm;
}

void machine_wait_alone(struct broker_run *run)
{
        pid_t pid;

        for (unsigned waited = 0; broker_run_workers(run, &pid, 1) > 0; waited += 5) {
                if (waited == WAIT_MS)
                        machine_bail_out("a worker does not end");
                pause_ms(5);
        }
}

struct vmm *machine_free(struct vmm *vmm)
{
        vmm->qtest = qtest_free(vmm->qtest);
        (void)munmap(vmm->memory, vmm->memory_size);
        machine_wait_alone(vmm->run);
        broker_run_read_audit(vmm->run, 0);
        free(vmm);
        return NULL;
}

struct qtest *machine_qtest(struct vmm *vmm)
{
        return vmm->qtest;
}

bool machine_lives(struct vmm *vmm)
{
        const char *line;

        return qtest_ask(vmm->qtest, &line, "{\"execute\": \"query-status\"}") == 0 &&
               strstr(line, "\"status\"");
}

static char letter(unsigned width)
{
        return width == 1 ? 'b' : width == 2 ? 'w' : width == 4 ? 'l' : 'q';
}

static void select_config(struct vmm *vmm, uint16_t rid, unsigned offset)
{
        must(qtest_send(vmm->qtest, "outl 0x%x 0x%x", CONFIG_ADDRESS,
                        0x80000000u | (uint32_t)rid << 8 | (offset & 0xfcu)));
}

uint32_t machine_config_read(struct vmm *vmm, uint16_t rid, unsigned offset, unsigned width)
{
        uint64_t value;

        select_config(vmm, rid, offset);
        must(qtest_get(vmm->qtest, &value, "in%c 0x%x", letter(width),
                       CONFIG_DATA + (offset & 3u)));
        return (uint32_t)value;
}

void machine_config_write(struct vmm *vmm, uint16_t rid, unsigned offset, unsigned width,
                          uint32_t value)
{
        select_config(vmm, rid, offset);
        must(qtest_send(vmm->qtest, "out%c 0x%x 0x%x", letter(width), CONFIG_DATA + (offset & 3u),
                        width == 4 ? value : value & ((1u << (8 * width)) - 1)));
}

unsigned machine_capability(struct vmm *vmm, uint16_t rid, unsigned id)
{
        unsigned at = machine_config_read(vmm, rid, PCI_CAPABILITIES, 1);

        for (unsigned n = 0; at != 0 && n < 48; n++) {
                if (machine_config_read(vmm, rid, at, 1) == id)
                        return at;
                at = machine_config_read(vmm, rid, at + 1, 1);
        }
        return 0;
}

void machine_set_master(struct vmm *vmm, uint16_t rid, bool on)
{
        machine_config_write(vmm, rid, PCI_COMMAND, 2,
                             PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0));
}

uint64_t machine_read(struct vmm *vmm, uint64_t address, unsigned width)
{
        uint64_t value;

        must(qtest_get(vmm->qtest, &value, "read%c 0x%" PRIx64, letter(width), address));
        return value;
}

void machine_write(struct vmm *vmm, uint64_t address, unsigned width, uint64_t value)
{
        must(qtest_send(vmm->qtest, "write%c 0x%" PRIx64 " 0x%" PRIx64, letter(width), address,
                        value));
}

uint64_t machine_counter(struct vmm *vmm, const char *name)
{
        uint64_t value;
        const char *line;

        must(qtest_ask(vmm->qtest, &line,
                       "{\"execute\": \"qom-get\", \"arguments\": {\"path\": "
                       "\"/machine/peripheral/unit\", \"property\": \"%s\"}}",
                       name));
        if (sscanf(line, "{\"return\": %" SCNu64, &value) != 1)
                machine_bail_out(line);
        return value;
}

/* "IRR 33 34" in what the monitor says of the CPU's local APIC. */
static bool is_requested(struct vmm *vmm, unsigned vector)
{
        const char *line, *at;
        char number[8];

        must(qtest_ask(vmm->qtest, &line,
                       "{\"execute\": \"human-monitor-command\", \"arguments\": "
                       "{\"command-line\": \"info lapic\"}}"));
        at = strstr(line, "IRR");
        if (!at)
                machine_bail_out(line);
        (void)snprintf(number, sizeof(number), " %u", vector);
        for (const char *end = strstr(at, "\\n"); (at = strstr(at, number)) && at < end; at++) {
                char next = at[strlen(number)];

                if (next < '0' || next > '9')
                        return true;
        }
        return false;
}

bool machine_interrupted(struct vmm *vmm, unsigned vector)
{
        bool found = is_requested(vmm, vector);

        for (unsigned waited = 0; !found && waited < 300; waited += 10) {
                pause_ms(10);
                found = is_requested(vmm, vector);
        }
        return found;
}

void machine_reset(struct vmm *vmm)
{
        ask_ok(vmm, "{\"execute\": \"system_reset\"}");
        must(qtest_await(vmm->qtest, "\"RESET\""));
}

bool machine_becomes(struct vmm *vmm, uint64_t gpa, uint32_t value)
{
        const uint32_t *word = (const uint32_t *)(const void *)(vmm_memory(vmm) + gpa);

        for (unsigned waited = 0; waited < WAIT_MS; waited += 5) {
                if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value)
                        return true;
                pause_ms(5);
        }
        return false;
}

/* What the guest of tests/vmm uses. */

/* What was sent before is done then. */
uint8_t *vmm_memory(struct vmm *vmm)
{
        must(qtest_sync(vmm->qtest));
        return vmm->memory;
}

uint64_t vmm_iommu_read(struct vmm *vmm, uint64_t offset, unsigned size)
{
        return machine_read(vmm, REGISTERS + offset, size);
}

/* True when what was written to GCMD, or put into the queue, is done. */
static bool is_done(struct vmm *vmm, uint64_t offset, uint64_t value)
{
        switch (offset) {
        case REG_GCMD:
                return ((vmm_iommu_read(vmm, REG_GSTS, 4) ^ value) & STICKY) == 0;
        case REG_IQT:
                return vmm_iommu_read(vmm, REG_IQH, 8) == vmm_iommu_read(vmm, REG_IQT, 8) ||
                       (vmm_iommu_read(vmm, REG_FSTS, 4) & FSTS_IQE);
        default:
                return true;
        }
}

int vmm_iommu_write(struct vmm *vmm, uint64_t offset, unsigned size, uint64_t value)
{
        const struct timespec pause = {.tv_nsec = 100000};

        machine_write(vmm, REGISTERS + offset, size, value);
        for (unsigned waited = 0; waited < WAIT_MS * 10; waited++) {
                if (is_done(vmm, offset, value))
                        return 0;
                (void)nanosleep(&pause, NULL);
        }
        return -ETIMEDOUT;
}

static uint64_t bar_of(uint16_t rid)
{
        return rid == RID_EDU ? BAR_EDU : BAR_BROKER;
}

int vmm_device_read(struct vmm *vmm, uint16_t rid, uint64_t offset, unsigned size, uint64_t *value)
{
        /* QEMU's edu does its DMA 100 ms later, of a clock that stands still. */
        if (rid == RID_EDU)
                must(qtest_send(vmm->qtest, "clock_step 200000000"));
        *value = machine_read(vmm, bar_of(rid) + offset, size);
        return 0;
}

int vmm_device_write(struct vmm *vmm, uint16_t rid, uint64_t offset, unsigned size, uint64_t value)
{
        machine_write(vmm, bar_of(rid) + offset, size, value);
        return 0;
}
