/* SPDX-License-Identifier: MIT */
/* See emulator.h. */
#include "tests/passthrough/emulator.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "tests/system/broker-run.h"

#define QEMU   "/guest/qemu/bin/qemu-system-x86_64"
#define KERNEL "/guest/vmlinux"
#define INITRD "/guest/initrd"

static uint64_t now_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A directory of the VMM's user, for the monitor's socket. */
static bool make_directory(struct emulator *emulator)
{
        (void)snprintf(emulator->directory, sizeof(emulator->directory),
                       "/tmp/vtd-passthrough-XXXXXX");
        if (!mkdtemp(emulator->directory))
                return false;
        (void)snprintf(emulator->monitor, sizeof(emulator->monitor), "%s/monitor",
                       emulator->directory);
        return chown(emulator->directory, broker_run_vmm_uid(), broker_run_vmm_uid()) == 0;
}

bool emulator_start(struct emulator *emulator, const char *socket, const char *task,
                    bool plugged_later)
{
        char iommu[192], append[128], monitor[96];
        const char *const argv[] = {
                QEMU,
                "-nodefaults",
                "-no-user-config",
                "-M",
                "q35,kernel-irqchip=split,memory-backend=ram",
                "-accel",
                "kvm",
                "-cpu",
                "host",
                "-m",
                "256M",
                "-object",
                "memory-backend-memfd,id=ram,size=256M,share=on,seal=on",
                "-device",
                iommu,
                "-device",
                plugged_later ? "pcie-root-port,id=port0,slot=1,power_controller_present=off"
                              : "vtd-broker-pci,device=drive,addr=4",
                "-display",
                "none",
                "-chardev",
                "socket,id=console,fd=3",
                "-serial",
                "chardev:console",
                "-qmp",
                monitor,
                "-no-reboot",
                "-kernel",
                KERNEL,
                "-initrd",
                INITRD,
                "-append",
                append,
                NULL,
        };
        int ends[2];

        *emulator = (struct emulator){.pid = -1, .console = -1};
        if (!make_directory(emulator) ||
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return false;
        (void)snprintf(iommu, sizeof(iommu), "vtd-broker-iommu,id=unit,profile=default,broker=%s",
                       socket);
        (void)snprintf(append, sizeof(append),
                       "console=ttyS0 intel_iommu=on,sm_on iommu.strict=1 panic=-1 quiet do=%s ",
                       task);
        (void)snprintf(monitor, sizeof(monitor), "unix:%s,server=on,wait=off", emulator->monitor);
        emulator->pid = broker_run_spawn_vmm(argv, ends[1]);
        (void)close(ends[1]);
        emulator->console = ends[0];
        return emulator->pid > 0;
}

/* More of the console; false at its end, or when nothing came for @timeout_ms. */
static bool read_console(struct emulator *emulator, int timeout_ms)
{
        struct pollfd ready = {.fd = emulator->console, .events = POLLIN};
        ssize_t got;

        if (emulator->length + 1 >= sizeof(emulator->text) || poll(&ready, 1, timeout_ms) <= 0)
                return false;
        got = read(emulator->console, emulator->text + emulator->length,
                   sizeof(emulator->text) - emulator->length - 1);
        if (got <= 0)
                return false;
        emulator->length += (size_t)got;
        emulator->text[emulator->length] = '\0';
        return true;
}

/* The line behind @from that begins with "GUEST @word", complete; NULL if there is none. */
static const char *find_line(const char *from, const char *word)
{
        char begin[64];
        const char *at = from;

        (void)snprintf(begin, sizeof(begin), "GUEST %s", word);
        while ((at = strstr(at, begin))) {
                const char *end = strchr(at, '\n');

                if (end && (at[strlen(begin)] == ' ' || at[strlen(begin)] == '\n' ||
                            at[strlen(begin)] == '\r'))
                        return at;
                at++;
        }
        return NULL;
}

unsigned emulator_count(const struct emulator *emulator, const char *word)
{
        const char *at = emulator->text;
        unsigned count = 0;

        while ((at = find_line(at, word))) {
                count++;
                at++;
        }
        return count;
}

bool emulator_wait(struct emulator *emulator, const char *word, unsigned before, unsigned seconds)
{
        uint64_t end = now_ms() + (uint64_t)seconds * 1000;

        while (emulator_count(emulator, word) <= before) {
                uint64_t now = now_ms();

                if (now >= end || !read_console(emulator, (int)(end - now)))
                        return false;
        }
        return true;
}

void emulator_said(const struct emulator *emulator, const char *word, char *out, size_t size)
{
        const char *line = emulator->text, *last = NULL;
        size_t length;

        out[0] = '\0';
        while ((line = find_line(line, word)))
                last = line++;
        if (!last)
                return;
        last += strlen("GUEST ") + strlen(word);
        last += *last == ' ';
        length = strcspn(last, "\r\n");
        (void)snprintf(out, size, "%.*s", (int)length, last);
}

/* One line to the monitor, and the line that answers it. */
static bool ask(FILE *monitor, const char *command, char *answer, size_t size)
{
        if (fprintf(monitor, "%s\n", command) < 0 || fflush(monitor) != 0)
                return false;
        do {
                if (!fgets(answer, (int)size, monitor))
                        return false;
        } while (!strstr(answer, "\"return\"") && !strstr(answer, "\"error\""));
        return strstr(answer, "\"return\"") != NULL;
}

static bool ask_counter(FILE *monitor, const char *name, uint64_t *value)
{
        char command[160], answer[512];

        (void)snprintf(
                command, sizeof(command),
                "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/peripheral/unit\","
                "\"property\":\"%s\"}}",
                name);
        return ask(monitor, command, answer, sizeof(answer)) &&
               sscanf(answer, "{\"return\": %" SCNu64, value) == 1;
}

/* A connection to the monitor that takes commands; NULL if there is none. */
static FILE *connect_monitor(const struct emulator *emulator)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        FILE *monitor = NULL;
        char answer[512];
        int fd;

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        memcpy(address.sun_path, emulator->monitor, sizeof(emulator->monitor));
        if (fd < 0)
                return NULL;
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
                monitor = fdopen(fd, "r+");
        if (!monitor) {
                (void)close(fd);
                return NULL;
        }
        if (ask(monitor, "{\"execute\":\"qmp_capabilities\"}", answer, sizeof(answer)))
                return monitor;
        (void)fclose(monitor);
        return NULL;
}

bool emulator_plug(const struct emulator *emulator)
{
        FILE *monitor = connect_monitor(emulator);
        char answer[512];
        bool good;

        if (!monitor)
                return false;
        good = ask(monitor,
                   "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"vtd-broker-pci\","
                   "\"device\":\"drive\",\"bus\":\"port0\"}}",
                   answer, sizeof(answer));
        if (!good)
                (void)printf("# %s", answer);
        (void)fclose(monitor);
        return good;
}

bool emulator_counters(const struct emulator *emulator, struct emulator_counters *counters)
{
        FILE *monitor = connect_monitor(emulator);
        bool good;

        if (!monitor)
                return false;
        good = ask_counter(monitor, "descriptors", &counters->descriptors) &&
               ask_counter(monitor, "requests", &counters->requests) &&
               ask_counter(monitor, "invalidates", &counters->invalidates) &&
               ask_counter(monitor, "faults", &counters->faults);
        (void)fclose(monitor);
        return good;
}

int emulator_host_descriptors(const struct emulator *emulator)
{
        char directory[64], path[96], target[128];
        struct dirent *entry;
        int count = 0;
        ssize_t length;
        DIR *fds;

        (void)snprintf(directory, sizeof(directory), "/proc/%d/fd", (int)emulator->pid);
        fds = opendir(directory);
        if (!fds)
                return -1;
        while ((entry = readdir(fds))) {
                (void)snprintf(path, sizeof(path), "%s/%.16s", directory, entry->d_name);
                length = readlink(path, target, sizeof(target) - 1);
                if (length < 0)
                        continue; /* "." and "..", or closed meanwhile */
                target[length] = '\0';
                count += strstr(target, "iommu") != NULL || strstr(target, "vfio") != NULL;
        }
        (void)closedir(fds);
        return count;
}

void emulator_kill(struct emulator *emulator)
{
        if (emulator->pid > 0) {
                (void)kill(emulator->pid, SIGKILL);
                (void)waitpid(emulator->pid, NULL, 0);
                emulator->pid = -1;
        }
        emulator->console = vtd_close(emulator->console);
        (void)unlink(emulator->monitor);
        (void)rmdir(emulator->directory);
}
