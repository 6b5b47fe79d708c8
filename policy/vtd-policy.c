/* SPDX-License-Identifier: MIT */
/*
 * vtd-policy: says what a policy file grants, and whether vtd-brokerd would take it.  Runs the code
 * that vtd-brokerd runs, checks of ownership and mode included; needs no privilege.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compile.h"
#include "policy/load.h"
#include "policy/value.h"
#include "shared/cleanup.h"

enum {
        EXIT_OK = 0,
        EXIT_REFUSED = 1,
        EXIT_USAGE = 2,
};

static const char help[] =
        "Usage: vtd-policy check FILE...\n"
        "       vtd-policy show FILE\n"
        "       vtd-policy --help\n"
        "\n"
        "A policy file says what one tenant of vtd-broker may do: which user connects, how\n"
        "many VMs, how much memory, which devices. What a file does not grant is refused.\n"
        "\n"
        "  check  Says \"FILE: ok\" for each file that vtd-brokerd would take. Otherwise says\n"
        "         FILE:LINE:COLUMN: what was found and what is allowed, for up to 20 errors of\n"
        "         each file, on standard error.\n"
        "  show   Prints every value that is in force, with the line that sets it, or\n"
        "         \"default\".\n"
        "\n"
        "A file that its group or others may write, or that belongs to a user other than root\n"
        "and the one who runs this program, is refused, as is a symbolic link. Run the check as\n"
        "the user that runs vtd-brokerd to get the verdict that vtd-brokerd will give.\n"
        "\n"
        "Exit status: 0 every file is good; 1 a file was refused, or output failed; 2 wrong\n"
        "usage.\n"
        "\n"
        "The smallest policy, for trying with the simulated host:\n"
        "\n"
        "  format = 1\n"
        "  [tenant]\n"
        "  name = blue\n"
        "  uid = 1000\n"
        "  [vm]\n"
        "  memory = 64MiB\n"
        "  modes = passthrough\n"
        "  [device net]\n"
        "  simulated = edu\n"
        "\n"
        "policy/FORMAT.md describes every key.\n";

/* A path taken apart: the directory with its slash (may be empty), and the name in it. */
struct path {
        const char *directory;
        int directory_size;
        const char *name;
};

struct tool {
        char text[VTD_SCHEMA_FILE_MAX];
        struct vtd_policy policy;
        struct vtd_policy_lines lines;
};

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
        char *directory;
        int fd;

        if (path->directory_size == 0)
                return open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        directory = strndup(path->directory, (size_t)path->directory_size);
        if (!directory)
                return -1;
        fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        free(directory);
        return fd;
}

/* Reads and compiles one file into @tool; errors have been printed when it is not 0. */
static int compile_file(struct tool *tool, const char *file)
{
        struct path path = split_path(file);
        struct vtd_log log = {.sink = print_error, .opaque = &path, .threshold = VTD_LOG_INFO};
        VTD_CLEANUP_FD int directory_fd = open_directory(&path);
        size_t size;
        int result;

        if (directory_fd < 0)
                return vtd_fail(&log, -errno, "%s: its directory cannot be opened: %s", path.name,
                                strerror(errno));
        result = vtd_policy_read_file(directory_fd, path.name, tool->text, &size, &log);
        if (result != 0)
                return result;
        return vtd_policy_compile_traced(&tool->policy, &tool->lines, path.name, tool->text, size,
                                         &log);
}

static int check_files(struct tool *tool, char **files)
{
        int status = EXIT_OK;

        for (char **file = files; *file; file++) {
                if (compile_file(tool, *file) == 0)
                        printf("%s: ok\n", *file);
                else
                        status = EXIT_REFUSED;
        }
        return status;
}

static void print_value(const char *key, const char *value, const char *unit, uint32_t line)
{
        char with_unit[VTD_POLICY_TEXT_SIZE + 32];
        char source[32] = "default";

        (void)snprintf(with_unit, sizeof(with_unit), "%s%s%s", value, unit ? " " : "",
                       unit ? unit : "");
        if (line != 0)
                (void)snprintf(source, sizeof(source), "line %" PRIu32, line);
        printf("  %-24s %-34s %s\n", key, with_unit, source);
}

static void show_row(const struct tool *tool, const struct vtd_schema_row *row,
                     const struct vtd_policy_device *device, uint32_t line)
{
        const void *base = device ? (const void *)device : (const void *)&tool->policy;
        char value[VTD_POLICY_TEXT_SIZE];

        if (vtd_schema_is_numeric(row)) {
                uint64_t number = vtd_schema_value(row, base);
                /* A suffix says the unit; of plain bytes nothing else does. */
                bool suffixed = row->type == VTD_SCHEMA_SIZE;

                vtd_policy_format_value(row, number, value);
                print_value(row->key, value, suffixed ? NULL : row->unit, line);
        } else if (row->type == VTD_SCHEMA_TENANT_NAME) {
                print_value(row->key, tool->policy.tenant, NULL, line);
        } else if (row->type == VTD_SCHEMA_LABEL) {
                print_value(row->key, line != 0 ? tool->policy.label : "any", NULL, line);
        } else if (row->type == VTD_SCHEMA_REGIONS) {
                vtd_policy_format_regions(device->regions_read, device->regions_write, value);
                print_value(row->key, value, NULL, line);
        } else if (line != 0) {
                print_value(row->key, device->address, NULL, line);
        }
}

static void show_section(const struct tool *tool, enum vtd_schema_section section,
                         const struct vtd_policy_device *device, const uint32_t *lines)
{
        const struct vtd_schema_row *row;

        for (size_t i = 0; (row = vtd_schema_row(i)); i++) {
                if (row->section != section)
                        continue;
                if (row->type != VTD_SCHEMA_HEADER)
                        show_row(tool, row, device, lines[i]);
                else if (device)
                        printf("[%s %s]\n", row->key, device->name);
                else
                        printf("[%s]\n", row->key);
        }
}

static int show_file(struct tool *tool, const char *file)
{
        if (compile_file(tool, file) != 0)
                return EXIT_REFUSED;
        printf("%s\n", file);
        show_section(tool, VTD_SCHEMA_TENANT, NULL, tool->lines.rows);
        show_section(tool, VTD_SCHEMA_VM, NULL, tool->lines.rows);
        for (uint32_t i = 0; i < tool->policy.n_devices; i++)
                show_section(tool, VTD_SCHEMA_DEVICE, &tool->policy.devices[i],
                             tool->lines.devices[i]);
        if (tool->policy.n_devices == 0)
                printf("no device is granted\n");
        return EXIT_OK;
}

static int usage_error(void)
{
        fprintf(stderr, "vtd-policy: expected \"check FILE...\", \"show FILE\" or \"--help\"\n");
        return EXIT_USAGE;
}

int main(int argc, char **argv)
{
        struct tool *tool;
        int status;

        if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
                fputs(help, stdout);
                return fflush(stdout) == 0 ? EXIT_OK : EXIT_REFUSED;
        }
        if (argc < 3 || (strcmp(argv[1], "check") != 0 && strcmp(argv[1], "show") != 0) ||
            (strcmp(argv[1], "show") == 0 && argc != 3))
                return usage_error();
        tool = malloc(sizeof(*tool));
        if (!tool) {
                fprintf(stderr, "vtd-policy: no memory\n");
                return EXIT_REFUSED;
        }
        status = strcmp(argv[1], "check") == 0 ? check_files(tool, argv + 2)
                                               : show_file(tool, argv[2]);
        free(tool);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "vtd-policy: cannot write the output: %s\n", strerror(errno));
                return EXIT_REFUSED;
        }
        return status;
}
