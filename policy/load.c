/* SPDX-License-Identifier: MIT */
/*
 * The only file access of policy/.  The directory may be one in which others than root can create
 * names, so what a name stands for is judged on the open descriptor, never by path.
 */
#include "policy/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/policy.h"
#include "policy/report.h"
#include "shared/cleanup.h"
#include "shared/error.h"

static int check_file(int fd, const char *name, struct stat *status, struct vtd_log *log)
{
        if (fstat(fd, status) < 0)
                return vtd_fail(log, vtd_errno(), "%s: cannot be examined: %s", name,
                                strerror(errno));
        if (!S_ISREG(status->st_mode))
                return vtd_fail(log, -EINVAL, "%s: not a regular file", name);
        if (status->st_uid != 0 && status->st_uid != geteuid())
                return vtd_fail(log, -EINVAL,
                                "%s: belongs to user %u, who could change it; allowed: root and "
                                "user %u",
                                name, status->st_uid, geteuid());
        /* With an access control list, the group's bits are the most that any of its entries has. */
        if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0)
                return vtd_fail(log, -EINVAL,
                                "%s: mode %04o lets its group or others write; only its owner may",
                                name, status->st_mode & 07777u);
        if (status->st_size > (off_t)VTD_SCHEMA_FILE_MAX)
                return vtd_fail(log, -EINVAL, "%s: has %lld bytes; allowed: %u", name,
                                (long long)status->st_size, VTD_SCHEMA_FILE_MAX);
        return 0;
}

int vtd_policy_read_file(int directory_fd, const char *name, char text[VTD_SCHEMA_FILE_MAX],
                         size_t *size, struct vtd_log *log)
{
        VTD_CLEANUP_FD int fd = -1;
        struct vtd_policy_shown shown;
        struct stat status;
        size_t used = 0, length = strlen(name);
        ssize_t got;
        int result;

        if (vtd_schema_file_prefix(name, length) != length)
                return vtd_fail(log, -EINVAL,
                                "policy file \"%s\": its name must have 1 to %u letters, digits, "
                                "\".\", \"_\" and \"-\", and not begin with \".\" or \"-\"",
                                vtd_policy_show_text(&shown, name, length), VTD_POLICY_FILE_NAME);
        /* Not blocking: opening a FIFO would wait for a writer. */
        fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return vtd_fail(log, vtd_errno(), "%s: cannot be opened: %s", name,
                                errno == ELOOP ? "it is a symbolic link" : strerror(errno));
        result = check_file(fd, name, &status, log);
        if (result != 0)
                return result;

        do {
                got = read(fd, text + used, VTD_SCHEMA_FILE_MAX - used);
                if (got < 0 && errno != EINTR)
                        return vtd_fail(log, vtd_errno(), "%s: cannot be read: %s", name,
                                        strerror(errno));
                used += got > 0 ? (size_t)got : 0;
        } while (got != 0 && used < VTD_SCHEMA_FILE_MAX);
        if (used != (size_t)status.st_size)
                return vtd_fail(log, -EINVAL, "%s: changed while it was read", name);
        *size = used;
        return 0;
}

static void free_p(char **text)
{
        free(*text);
}

int vtd_policy_load(struct vtd_policy *policy, int directory_fd, const char *name,
                    struct vtd_log *log)
{
        VTD_CLEANUP(free_p) char *text = malloc(VTD_SCHEMA_FILE_MAX);
        size_t size;
        int result;

        if (!text)
                return vtd_fail(log, -ENOMEM, "%s: no memory to read it", name);
        result = vtd_policy_read_file(directory_fd, name, text, &size, log);
        if (result != 0)
                return result;
        return vtd_policy_compile(policy, name, text, size, log);
}
