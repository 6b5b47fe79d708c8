/* SPDX-License-Identifier: MIT */
/*
 * Stands in for libFuzzer in a normal build: gives a target each file of a corpus once, in order of
 * their names, and files that are named one by one.  What the target finds ends the process, after
 * the name of the file was printed.  A folder that is missing or empty is an error, so that a test
 * never passes for want of inputs.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (1u << 20)

static int complain(const char *path, const char *what)
{
        (void)fprintf(stderr, "%s: %s\n", path, what);
        return -1;
}

/* Each input has a block of its own, so that a sanitizer sees what is read beyond its end. */
static int replay_bytes(const char *path, FILE *file, size_t size)
{
        uint8_t *data = malloc(size ? size : 1);
        int r = -1;

        if (!data)
                return complain(path, "no memory");
        if (fread(data, 1, size, file) != size) {
                (void)complain(path, "cannot be read");
        } else {
                (void)printf("%s\n", path);
                (void)fflush(stdout);
                r = LLVMFuzzerTestOneInput(data, size);
                if (r != 0)
                        (void)complain(path, "the target did not return 0");
        }
        free(data);
        return r;
}

static int replay_file(const char *path)
{
        FILE *file = fopen(path, "rb");
        struct stat status;
        int r = -1;

        if (!file)
                return complain(path, strerror(errno));
        if (fstat(fileno(file), &status) < 0)
                (void)complain(path, strerror(errno));
        else if (!S_ISREG(status.st_mode) || status.st_size < 0 || status.st_size > INPUT_MAX)
                (void)complain(path, "not a file of at most 1 MiB");
        else
                r = replay_bytes(path, file, (size_t)status.st_size);
        (void)fclose(file);
        return r;
}

static int is_visible(const struct dirent *entry)
{
        return entry->d_name[0] != '.';
}

/* How many files were replayed, or -1. */
static int replay_folder(const char *path)
{
        struct dirent **entries;
        int count = scandir(path, &entries, is_visible, alphasort);
        bool good = true;

        if (count < 0)
                return complain(path, strerror(errno));
        for (int i = 0; i < count; i++) {
                char *name = NULL;

                if (!good || asprintf(&name, "%s/%s", path, entries[i]->d_name) < 0)
                        good = false;
                else if (replay_file(name) != 0)
                        good = false;
                free(name);
                free(entries[i]);
        }
        free(entries);
        if (!good)
                return -1;
        return count > 0 ? count : complain(path, "holds no input");
}

int main(int argc, char **argv)
{
        int total = 0;

        for (int i = 1; i < argc; i++) {
                struct stat status;
                bool folder = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
                int count = folder ? replay_folder(argv[i]) : replay_file(argv[i]) + 1;

                if (count <= 0)
                        return EXIT_FAILURE;
                total += count;
        }
        if (total == 0) {
                (void)fprintf(stderr, "usage: %s FOLDER|FILE...\n", argv[0]);
                return EXIT_FAILURE;
        }
        (void)printf("%d inputs replayed\n", total);
        return EXIT_SUCCESS;
}
