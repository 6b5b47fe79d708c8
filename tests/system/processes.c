/* SPDX-License-Identifier: MIT */
/* See processes.h. */
#include "tests/system/processes.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool process_holds_host_descriptors(pid_t pid)
{
        char path[64], target[256];
        struct dirent *entry;
        bool found = false;
        DIR *fds;

        (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
        fds = opendir(path);
        if (!fds)
                return true;
        while ((entry = readdir(fds))) {
                ssize_t length = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);

                if (length < 0)
                        continue;
                target[length] = '\0';
                if (strstr(target, "/dev/iommu") || strstr(target, "/dev/vfio") ||
                    strstr(target, "memfd:vtd-sim-"))
                        found = true;
        }
        (void)closedir(fds);
        return found;
}

static bool same_namespace(pid_t pid, const char *name)
{
        char path[64];
        struct stat own, other;

        (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
        if (stat(path, &other) < 0)
                return true;
        (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
        return stat(path, &own) < 0 || (own.st_ino == other.st_ino && own.st_dev == other.st_dev);
}

static bool status_has(const char *status, const char *line)
{
        return strstr(status, line) != NULL;
}

bool process_is_confined(pid_t pid, char *saw, size_t size)
{
        static const char *const namespaces[] = {"mnt", "net", "ipc", "uts", "pid"};
        char path[64], status[4096], root[256];
        size_t length;
        FILE *file;
        bool ok;

        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        file = fopen(path, "re");
        if (!file)
                return false;
        length = fread(status, 1, sizeof(status) - 1, file);
        (void)fclose(file);
        status[length] = '\0';
        ok = status_has(status, "CapEff:\t0000000000000000\n") &&
             status_has(status, "CapPrm:\t0000000000000000\n") &&
             status_has(status, "CapBnd:\t0000000000000000\n") &&
             status_has(status, "NoNewPrivs:\t1\n") && status_has(status, "Seccomp:\t2\n");
        for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
                ok = ok && !same_namespace(pid, namespaces[i]);
        (void)snprintf(root, sizeof(root), "/proc/%d/root/proc", (int)pid);
        ok = ok && access(root, F_OK) < 0;
        (void)snprintf(saw, size, "worker: %s",
                       ok ? "no capability, seccomp and no_new_privs on, empty root, own namespaces"
                          : "NOT CONFINED");
        return ok;
}
