/* SPDX-License-Identifier: MIT */
/*
 * random-io read|write DEVICE COUNT: that many transfers of 4 KiB, one after the other, at random places
 * of a block device, past the page cache.  Prints how many nanoseconds one took on the average.  Writing
 * destroys what is there.  Runs as root in a guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "tests/bench/measure.h"

#define TRANSFER_SIZE 4096
#define SEED          20261127u

static int fail(const char *what)
{
        (void)fprintf(stderr, "random-io: %s: %s\n", what, strerror(errno));
        return EXIT_FAILURE;
}

/* One transfer at a place below @transfers; false with errno. */
static bool transfer(int fd, void *data, bool writes, off_t transfers)
{
        off_t offset = (off_t)random() % transfers * TRANSFER_SIZE;
        ssize_t size = writes ? pwrite(fd, data, TRANSFER_SIZE, offset)
                              : pread(fd, data, TRANSFER_SIZE, offset);

        if (size >= 0 && size != TRANSFER_SIZE)
                errno = EIO;
        return size == TRANSFER_SIZE;
}

static int measure(int fd, bool writes, long count)
{
        _Alignas(TRANSFER_SIZE) static char data[TRANSFER_SIZE];
        off_t transfers = lseek(fd, 0, SEEK_END) / TRANSFER_SIZE;
        int64_t start;

        if (transfers <= 0)
                return fail("the size of the device");
        srandom(SEED);
        start = now_ns();
        for (long i = 0; i < count; i++) {
                if (!transfer(fd, data, writes, transfers))
                        return fail("a transfer");
        }
        (void)printf("%lld\n", (long long)((now_ns() - start) / count));
        return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
        VTD_CLEANUP_FD int fd = -1;
        bool writes = argc == 4 && !strcmp(argv[1], "write");
        long count = argc == 4 ? strtol(argv[3], NULL, 10) : 0;

        if (count < 1 || (!writes && strcmp(argv[1], "read") != 0)) {
                (void)fprintf(stderr, "usage: random-io read|write DEVICE COUNT\n");
                return EXIT_FAILURE;
        }
        fd = open(argv[2], (writes ? O_WRONLY : O_RDONLY) | O_DIRECT | O_CLOEXEC);
        return fd < 0 ? fail(argv[2]) : measure(fd, writes, count);
}
