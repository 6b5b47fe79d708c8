/* SPDX-License-Identifier: MIT */
/* See left-over.h. */
#include "tests/series/left-over.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REBIND_MS 5000

/* What names a descriptor, or a mapping, that a VM's end must not leave. */
static bool is_host_file(const char *text)
{
        return strstr(text, "/dev/iommu") || strstr(text, "/dev/vfio") ||
               strstr(text, "memfd:vtd-sim-edu");
}

/* The next process of @proc; 0 at the end. */
static pid_t next_process(DIR *proc)
{
        struct dirent *entry;

        while ((entry = readdir(proc)))
                if (isdigit((unsigned char)entry->d_name[0]))
                        return (pid_t)atoi(entry->d_name);
        return 0;
}

/* The number behind @key in /proc/PID/status, or -1. */
static int64_t status_number(pid_t pid, const char *key)
{
        char path[64], line[256];
        int64_t value = -1;
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        file = fopen(path, "re");
        if (!file)
                return -1;
        while (value < 0 && fgets(line, sizeof(line), file))
                if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
                        value = strtoll(line + strlen(key) + 1, NULL, 10);
        (void)fclose(file);
        return value;
}

size_t left_over_children(pid_t parent)
{
        DIR *proc = opendir("/proc");
        size_t count = 0;
        pid_t pid;

        while (proc && (pid = next_process(proc)) != 0)
                count += status_number(pid, "PPid") == parent;
        if (proc)
                (void)closedir(proc);
        return count;
}

size_t left_over_processes(uint32_t first, uint32_t last)
{
        DIR *proc = opendir("/proc");
        size_t count = 0;
        pid_t pid;

        while (proc && (pid = next_process(proc)) != 0) {
                int64_t uid = status_number(pid, "Uid");

                count += uid >= first && uid <= last;
        }
        if (proc)
                (void)closedir(proc);
        return count;
}

static size_t count_descriptors(pid_t pid)
{
        char path[64], target[256];
        struct dirent *entry;
        size_t count = 0;
        DIR *fds;

        (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        fds = opendir(path);
        while (fds && (entry = readdir(fds))) {
                ssize_t length = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);

                if (length <= 0)
                        continue;
                target[length] = '\0';
                count += is_host_file(target);
        }
        if (fds)
                (void)closedir(fds);
        return count;
}

static size_t count_mappings(pid_t pid)
{
        char path[64], line[512];
        size_t count = 0;
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
        file = fopen(path, "re");
        while (file && fgets(line, sizeof(line), file))
                count += is_host_file(line);
        if (file)
                (void)fclose(file);
        return count;
}

size_t left_over_descriptors(pid_t only)
{
        DIR *proc = only == 0 ? opendir("/proc") : NULL;
        size_t count = only != 0 ? count_descriptors(only) + count_mappings(only) : 0;
        pid_t pid;

        while (proc && (pid = next_process(proc)) != 0)
                count += count_descriptors(pid) + count_mappings(pid);
        if (proc)
                (void)closedir(proc);
        return count;
}

/* Each processor counts by itself and adds that up once in a while; reading this does so now. */
static void refresh_statistics(void)
{
        int fd = open("/proc/sys/vm/stat_refresh", O_RDONLY | O_CLOEXEC);
        char byte;

        while (fd >= 0 && read(fd, &byte, 1) > 0)
                ;
        if (fd >= 0)
                (void)close(fd);
}

int64_t left_over_pinned_pages(void)
{
        FILE *file;
        int64_t value, pinned = 0;
        char name[64];

        refresh_statistics();
        file = fopen("/proc/vmstat", "re");
        while (file && fscanf(file, "%63s %" SCNd64, name, &value) == 2) {
                if (strcmp(name, "nr_foll_pin_acquired") == 0)
                        pinned += value;
                else if (strcmp(name, "nr_foll_pin_released") == 0)
                        pinned -= value;
        }
        if (file)
                (void)fclose(file);
        return pinned;
}

static bool write_text(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

        if (fd >= 0)
                (void)close(fd);
        return good;
}

int left_over_rebind(const char *address)
{
        const struct timespec pause = {.tv_nsec = 5000000};
        pid_t pid = fork();
        int status;

        if (pid == 0)
                _exit(write_text("/sys/bus/pci/drivers/vfio-pci/unbind", address) &&
                                      write_text("/sys/bus/pci/drivers/vfio-pci/bind", address)
                              ? 0
                              : 1);
        for (int waited = 0; waited < REBIND_MS; waited += 5) {
                if (waitpid(pid, &status, WNOHANG) == pid)
                        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
                (void)nanosleep(&pause, NULL);
        }
        (void)kill(pid, SIGKILL);
        return -1;
}
