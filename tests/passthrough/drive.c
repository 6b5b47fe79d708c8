/* SPDX-License-Identifier: MIT */
/* See drive.h. */
#include "tests/passthrough/drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define APPEARS_MS 5000

static void pause_ms(unsigned ms)
{
        const struct timespec pause = {.tv_nsec = (long)ms * 1000000};

        (void)nanosleep(&pause, NULL);
}

static bool write_file(const char *path, const char *text)
{
        FILE *file = fopen(path, "we");
        bool good;

        if (!file)
                return false;
        good = fputs(text, file) >= 0;
        return fclose(file) == 0 && good;
}

bool drive_bind(const char *address, const char *driver)
{
        char device[96], path[128], bound[128];
        ssize_t length;

        (void)snprintf(device, sizeof(device), "/sys/bus/pci/devices/%s", address);
        (void)snprintf(path, sizeof(path), "%s/driver_override", device);
        if (!write_file(path, driver))
                return false;
        (void)snprintf(path, sizeof(path), "%s/driver/unbind", device);
        if (access(path, F_OK) == 0 && !write_file(path, address))
                return false;
        if (!write_file("/sys/bus/pci/drivers_probe", address))
                return false;
        (void)snprintf(path, sizeof(path), "%s/driver", device);
        length = readlink(path, bound, sizeof(bound) - 1);
        if (length < 0)
                return false;
        bound[length] = '\0';
        return strcmp(strrchr(bound, '/') ? strrchr(bound, '/') + 1 : bound, driver) == 0;
}

/* The first line that @command prints. */
static bool first_line(const char *command, char *line, int size)
{
        FILE *output = popen(command, "re");
        bool good;

        if (!output)
                return false;
        good = fgets(line, size, output) != NULL;
        return pclose(output) >= 0 && good;
}

bool drive_digest(char digest[DRIVE_DIGEST])
{
        char line[128] = "";

        /* Its name space comes some time after the driver. */
        for (int waited = 0; access("/dev/nvme0n1", R_OK) != 0; waited += 50) {
                if (waited >= APPEARS_MS)
                        return false;
                pause_ms(50);
        }
        if (!first_line("dd if=/dev/nvme0n1 bs=1M count=8 2>/dev/null | sha256sum", line,
                        sizeof(line)))
                return false;
        (void)snprintf(digest, DRIVE_DIGEST, "%.64s", line);
        return strlen(digest) == DRIVE_DIGEST - 1;
}

int drive_complaints(void)
{
        char line[64] = "";
        int count;

        if (!first_line("dmesg | grep -cE 'BUG:|WARNING:|Oops|Call Trace'", line, sizeof(line)) ||
            sscanf(line, "%d", &count) != 1)
                return -1;
        return count;
}
