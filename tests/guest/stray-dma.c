/* SPDX-License-Identifier: MIT */
/*
 * stray-dma DEVICE ADDRESS: lets an edu device without a driver read 4 bytes from a DMA address that
 * nobody has mapped for it.  DEVICE is its directory in sysfs.  Runs as root in a guest; exit status 0
 * when the device says that it is done, whatever it has read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/cleanup.h"

#define BAR_SIZE          0x100000u
#define DMA_SOURCE        0x80u
#define DMA_DESTINATION   0x88u
#define DMA_COUNT         0x90u
#define DMA_COMMAND       0x98u
#define DEVICE_BUFFER     0x40000u
#define START             1u
#define PCI_COMMAND       4
#define MEMORY_AND_MASTER 6u

static int fail(const char *what)
{
        (void)fprintf(stderr, "stray-dma: %s: %s\n", what, strerror(errno));
        return EXIT_FAILURE;
}

static bool write_file(int directory, const char *name, const void *data, size_t size, off_t offset)
{
        VTD_CLEANUP_FD int fd = openat(directory, name, O_WRONLY | O_CLOEXEC);

        return fd >= 0 && pwrite(fd, data, size, offset) == (ssize_t)size;
}

static void store(volatile uint8_t *bar, unsigned offset, uint64_t value)
{
        *(volatile uint64_t *)(bar + offset) = value;
}

/* True when the device is done; it takes 100 ms. */
static bool read_from(volatile uint8_t *bar, uint64_t address)
{
        store(bar, DMA_SOURCE, address);
        store(bar, DMA_DESTINATION, DEVICE_BUFFER);
        store(bar, DMA_COUNT, 4);
        store(bar, DMA_COMMAND, START);
        for (int i = 0; i < 500; i++) {
                if (!(*(volatile uint64_t *)(bar + DMA_COMMAND) & START))
                        return true;
                (void)usleep(10000);
        }
        return false;
}

int main(int argc, char **argv)
{
        static const uint16_t command = MEMORY_AND_MASTER;
        VTD_CLEANUP_FD int directory = -1;
        VTD_CLEANUP_FD int resource = -1;
        void *bar;

        if (argc != 3) {
                (void)fprintf(stderr, "usage: stray-dma DEVICE ADDRESS\n");
                return EXIT_FAILURE;
        }
        directory = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
                return fail(argv[1]);
        if (!write_file(directory, "enable", "1", 1, 0) ||
            !write_file(directory, "config", &command, sizeof(command), PCI_COMMAND))
                return fail("enabling the device");
        resource = openat(directory, "resource0", O_RDWR | O_CLOEXEC);
        if (resource < 0)
                return fail("resource0");
        bar = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, resource, 0);
        if (bar == MAP_FAILED)
                return fail("mapping the registers");
        errno = ETIMEDOUT;
        return read_from(bar, strtoull(argv[2], NULL, 0)) ? EXIT_SUCCESS : fail("the DMA");
}
