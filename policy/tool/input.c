/* SPDX-License-Identifier: MIT */
/* See input.h. */
#include "policy/tool/input.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "policy/load.h"
#include "shared/cleanup.h"
#include "shared/error.h"
#include "shared/log.h"

/* A path taken apart: the directory with its slash (may be empty), and the name in it. */
struct path {
        const char *directory;
        int directory_size;
        const char *name;
};

static void free_text(char **text)
{
        free(*text);
}

static struct path split_path(const char *path)
{
        const char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path;

        return (struct path){path, (int)(name - path), name};
}

/* Sink: lines begin with the base name of the file; the directory in front makes them a path. */
static void print_error(void *opaque, enum vtd_log_level level, const char *line)
{
        const struct path *path = opaque;

        (void)level;
        fprintf(stderr, "%.*s%s\n", path->directory_size, path->directory, line);
}

static int open_directory(const struct path *path)
{
        VTD_CLEANUP(free_text) char *directory = NULL;

        if (path->directory_size == 0)
                return open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        directory = strndup(path->directory, (size_t)path->directory_size);
        return directory ? open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
}

int vtd_input_read(struct vtd_input *input, const char *file)
{
        struct path path = split_path(file);
        struct vtd_log log = {.sink = print_error, .opaque = &path, .threshold = VTD_LOG_INFO};
        VTD_CLEANUP(free_text) char *text = malloc(VTD_SCHEMA_FILE_MAX);
        VTD_CLEANUP_FD int directory_fd = open_directory(&path);
        size_t size;
        int result;

        if (!text)
                return vtd_fail(&log, -ENOMEM, "%s: no memory to read it", path.name);
        if (directory_fd < 0) {
                result = vtd_errno();
                return vtd_fail(&log, result, "%s: its directory cannot be opened: %s", path.name,
                                strerror(-result));
        }
        result = vtd_policy_read_file(directory_fd, path.name, text, &size, &log);
        if (result != 0)
                return result;
        return vtd_policy_compile_traced(&input->policy, &input->lines, path.name, text, size,
                                         &log);
}

const struct vtd_input *vtd_input_find(const struct vtd_input_set *set, const char *tenant)
{
        for (size_t i = 0; i < set->count; i++)
                if (strcmp(set->array[i].policy.tenant, tenant) == 0)
                        return &set->array[i];
        return NULL;
}

/* Reads one more file into @set, whose array has room for it. */
static int add_file(struct vtd_input_set *set, const char *path)
{
        struct vtd_input *input = &set->array[set->count];
        const struct vtd_input *earlier;
        int result = vtd_input_read(input, path);

        if (result != 0)
                return result;
        earlier = vtd_input_find(set, input->policy.tenant);
        if (earlier) {
                fprintf(stderr, "%s:%u:1: tenant %s is defined in %s:%u already\n", path,
                        input->policy.tenant_line, input->policy.tenant, earlier->policy.file,
                        earlier->policy.tenant_line);
                return -EEXIST;
        }
        set->count++;
        return 0;
}

/* As vtd-brokerd chooses the files of a directory. */
static int is_policy(const struct dirent *entry)
{
        static const char suffix[] = ".policy";
        const size_t length = strlen(entry->d_name), tail = sizeof(suffix) - 1;

        return entry->d_name[0] != '.' && length >= tail &&
               strcmp(entry->d_name + length - tail, suffix) == 0;
}

static int add_named(struct vtd_input_set *set, const char *directory, const char *name)
{
        VTD_CLEANUP(free_text) char *path = NULL;

        if (asprintf(&path, "%s/%s", directory, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return add_file(set, path);
}

static int add_directory(struct vtd_input_set *set, const char *path)
{
        struct dirent **entries;
        int count, result, first_error = 0;

        count = scandir(path, &entries, is_policy, alphasort);
        if (count < 0) {
                result = vtd_errno();
                fprintf(stderr, "%s: %s\n", path, strerror(-result));
                return result;
        }
        set->array = calloc((size_t)count + 1, sizeof(*set->array));
        for (int i = 0; i < count; i++) {
                result = set->array ? add_named(set, path, entries[i]->d_name) : -ENOMEM;
                if (first_error == 0)
                        first_error = result;
                free(entries[i]);
        }
        free(entries);
        if (first_error == -ENOMEM)
                fprintf(stderr, "%s: no memory to read it\n", path);
        return first_error;
}

int vtd_input_set_init(struct vtd_input_set *set, const char *path)
{
        struct stat status;

        *set = (struct vtd_input_set){0};
        if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
                return add_directory(set, path);
        set->array = calloc(1, sizeof(*set->array));
        if (set->array)
                return add_file(set, path);
        fprintf(stderr, "%s: no memory to read it\n", path);
        return -ENOMEM;
}

void vtd_input_set_deinit(struct vtd_input_set *set)
{
        free(set->array);
        *set = (struct vtd_input_set){0};
}
