/* SPDX-License-Identifier: MIT */
/*
 * broker/brokerd/audit_sink.c: which files are taken, whole lines whatever the disk does, a file that
 * is renamed, and a journal that is full, away, or started anew.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/brokerd/audit_sink.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

#define LINE "{\"a\":\"line of forty characters, say\"}  \n"
#define SIZE (sizeof(LINE) - 1)

struct place {
        char directory[64];
        char file[96];
        char other[96];
        char said[VTD_LOG_LINE_SIZE];
        struct vtd_log log;
        struct vtd_audit_sink sink;
};

static void keep_line(void *opaque, enum vtd_log_level level, const char *line)
{
        struct place *place = opaque;

        (void)level;
        (void)snprintf(place->said, sizeof(place->said), "%s", line);
}

static int set_up(void **state)
{
        struct place *place = calloc(1, sizeof(*place));

        assert_non_null(place);
        (void)strcpy(place->directory, "/tmp/vtd-audit-XXXXXX");
        assert_non_null(mkdtemp(place->directory));
        (void)snprintf(place->file, sizeof(place->file), "%s/audit", place->directory);
        (void)snprintf(place->other, sizeof(place->other), "%s/audit.1", place->directory);
        place->log =
                (struct vtd_log){.sink = keep_line, .opaque = place, .threshold = VTD_LOG_DEBUG};
        place->sink.fd = -1;
        *state = place;
        return 0;
}

static int tear_down(void **state)
{
        struct place *place = *state;

        vtd_audit_sink_deinit(&place->sink);
        (void)rmdir(place->file);
        (void)unlink(place->file);
        (void)unlink(place->other);
        assert_int_equal(rmdir(place->directory), 0);
        free(place);
        return 0;
}

static int write_lines(struct place *place, size_t lines, size_t *taken, int *error)
{
        char text[64 * SIZE];

        assert_true(lines <= 64);
        for (size_t i = 0; i < lines; i++)
                memcpy(text + i * SIZE, LINE, SIZE);
        return vtd_audit_sink_write(&place->sink, text, lines * SIZE, taken, error);
}

static void expect_taken(struct place *place, size_t lines, size_t expected)
{
        size_t taken;
        int error;

        assert_int_equal(write_lines(place, lines, &taken, &error), 0);
        assert_int_equal(taken, expected * SIZE);
}

/* How many lines the file holds; there is nothing else in it. */
static size_t count_lines(const char *path)
{
        char line[2 * SIZE];
        size_t count = 0;
        FILE *file = fopen(path, "re");

        assert_non_null(file);
        while (fgets(line, sizeof(line), file)) {
                assert_string_equal(line, LINE);
                count++;
        }
        (void)fclose(file);
        return count;
}

static void test_a_file_is_made_private_and_appended_to(void **state)
{
        struct place *place = *state;
        struct stat status;

        assert_int_equal(vtd_audit_sink_init_file(&place->sink, place->file, &place->log), 0);
        assert_int_equal(stat(place->file, &status), 0);
        assert_int_equal(status.st_mode & 07777 & ~0640u, 0);
        expect_taken(place, 3, 3);
        vtd_audit_sink_deinit(&place->sink);
        assert_int_equal(vtd_audit_sink_init_file(&place->sink, place->file, &place->log), 0);
        expect_taken(place, 2, 2);
        assert_int_equal(count_lines(place->file), 5);
}

static void expect_refused(struct place *place, const char *why)
{
        assert_true(vtd_audit_sink_init_file(&place->sink, place->file, &place->log) < 0);
        if (!strstr(place->said, why))
                fail_msg("said \"%s\", not \"%s\"", place->said, why);
        vtd_audit_sink_deinit(&place->sink);
        (void)rmdir(place->file);
        (void)unlink(place->file);
}

static void test_only_private_regular_files_are_taken(void **state)
{
        struct place *place = *state;
        int fd;

        assert_int_equal(symlink("audit.1", place->file), 0);
        expect_refused(place, "it is a symbolic link");
        assert_int_equal(mkfifo(place->file, 0600), 0);
        expect_refused(place, "No such device or address"); /* a FIFO without a reader */
        assert_int_equal(mkdir(place->file, 0700), 0);
        expect_refused(place, "Is a directory");
        fd = open(place->file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0 && fchmod(fd, 0660) == 0);
        (void)close(fd);
        expect_refused(place, "mode 0660");
        if (geteuid() != 0)
                return;
        fd = open(place->file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0 && fchown(fd, 2001, 2001) == 0);
        (void)close(fd);
        expect_refused(place, "user 2001 owns it");
}

static void test_a_renamed_file_gets_a_successor(void **state)
{
        struct place *place = *state;

        assert_int_equal(vtd_audit_sink_init_file(&place->sink, place->file, &place->log), 0);
        expect_taken(place, 1, 1);
        assert_int_equal(rename(place->file, place->other), 0);
        expect_taken(place, 1, 1);
        /* A successor that cannot be: the old file goes on. */
        assert_int_equal(mkdir(place->file, 0700), 0);
        assert_true(vtd_audit_sink_reopen(&place->sink, &place->log) < 0);
        expect_taken(place, 1, 1);
        assert_int_equal(count_lines(place->other), 3);
        assert_int_equal(rmdir(place->file), 0);
        assert_int_equal(vtd_audit_sink_reopen(&place->sink, &place->log), 0);
        expect_taken(place, 2, 2);
        assert_int_equal(count_lines(place->other), 3);
        assert_int_equal(count_lines(place->file), 2);
}

/* In a process of its own, because of the limit: room for 2 lines and a half. */
static void write_into_a_limit(struct place *place)
{
        const struct rlimit limit = {2 * SIZE + SIZE / 2, RLIM_INFINITY};
        size_t taken;
        int error;

        if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) < 0)
                _exit(1);
        if (write_lines(place, 4, &taken, &error) != 0 || taken != 2 * SIZE)
                _exit(2);
        if (write_lines(place, 1, &taken, &error) != VTD_AUDIT_SINK_E_FULL || error != -ENOSPC)
                _exit(3);
        _exit(0);
}

static void test_a_line_that_does_not_fit_leaves_no_part(void **state)
{
        struct place *place = *state;
        int status;
        pid_t pid;

        assert_int_equal(vtd_audit_sink_init_file(&place->sink, place->file, &place->log), 0);
        pid = fork();
        if (pid == 0)
                write_into_a_limit(place);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(count_lines(place->file), 2);
        expect_taken(place, 2, 2);
        assert_int_equal(count_lines(place->file), 4);
}

/* Fills a file system of 8 pages, makes room, and goes on. */
static void fill_disk(struct place *place)
{
        char ballast[128];
        size_t taken, written = 0;
        int error, fd;

        (void)snprintf(ballast, sizeof(ballast), "%s/ballast", place->directory);
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("audit", place->directory, "tmpfs", 0, "size=32k") < 0)
                _exit(77);
        fd = open(ballast, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, 0) < 0 || posix_fallocate(fd, 0, 16384) != 0)
                _exit(1);
        if (vtd_audit_sink_init_file(&place->sink, place->file, &place->log) < 0)
                _exit(2);
        while (write_lines(place, 64, &taken, &error) == 0)
                written += taken / SIZE;
        if (error != -ENOSPC || written < 16384 / SIZE - 64 || count_lines(place->file) != written)
                _exit(3);
        if (unlink(ballast) < 0 || close(fd) < 0)
                _exit(4);
        if (write_lines(place, 64, &taken, &error) != 0 || taken != 64 * SIZE)
                _exit(5);
        _exit(count_lines(place->file) == written + 64 ? 0 : 6);
}

static void test_a_full_disk_takes_whole_lines_and_more_when_there_is_room(void **state)
{
        struct place *place = *state;
        int status;
        pid_t pid;

        if (geteuid() != 0)
                skip();
        pid = fork();
        if (pid == 0)
                fill_disk(place);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                skip(); /* root that may not mount */
        assert_int_equal(status, 0);
}

static int bind_journal(const struct place *place)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(fd >= 0);
        memcpy(address.sun_path, place->file, strlen(place->file));
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        return fd;
}

static void expect_entry(int journal)
{
        char entry[1024];
        ssize_t length = recv(journal, entry, sizeof(entry) - 1, 0);

        assert_true(length > 0);
        entry[length] = '\0';
        assert_string_equal(entry, "SYSLOG_IDENTIFIER=vtd-broker-audit\nPRIORITY=6\nMESSAGE=" LINE);
}

static void test_each_line_is_an_entry_of_the_journal(void **state)
{
        struct place *place = *state;
        VTD_CLEANUP_FD int journal = bind_journal(place);

        assert_int_equal(vtd_audit_sink_init_journal(&place->sink, place->file, &place->log), 0);
        expect_taken(place, 3, 1);
        expect_taken(place, 1, 1);
        expect_entry(journal);
        expect_entry(journal);
        assert_int_equal(recv(journal, place->said, 1, 0), -1);
}

static void test_a_journal_that_is_slow_or_away_gets_the_lines_later(void **state)
{
        struct place *place = *state;
        int journal = bind_journal(place), error, r;
        size_t taken, sent = 0;

        assert_int_equal(vtd_audit_sink_init_journal(&place->sink, place->file, &place->log), 0);
        while ((r = write_lines(place, 1, &taken, &error)) == 0)
                assert_true(++sent < 100000);
        assert_int_equal(r, VTD_AUDIT_SINK_E_FULL);
        assert_int_equal(error, 0);
        expect_entry(journal);
        expect_taken(place, 1, 1);
        /* Away, and then there is another socket of the same name. */
        (void)close(journal);
        assert_int_equal(write_lines(place, 1, &taken, &error), VTD_AUDIT_SINK_E_FULL);
        assert_int_equal(error, -ECONNREFUSED);
        assert_int_equal(unlink(place->file), 0);
        assert_int_equal(write_lines(place, 1, &taken, &error), VTD_AUDIT_SINK_E_FULL);
        assert_int_equal(error, -ENOENT);
        journal = bind_journal(place);
        expect_taken(place, 1, 1);
        expect_entry(journal);
        (void)close(journal);
}

static void test_a_journal_that_is_not_there_is_an_error(void **state)
{
        struct place *place = *state;
        int fd;

        assert_int_equal(vtd_audit_sink_init_journal(&place->sink, place->file, &place->log),
                         -ENOENT);
        vtd_audit_sink_deinit(&place->sink);
        fd = open(place->file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
        assert_int_equal(vtd_audit_sink_init_journal(&place->sink, place->file, &place->log),
                         -ENOTSOCK);
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_a_file_is_made_private_and_appended_to),
                TEST(test_only_private_regular_files_are_taken),
                TEST(test_a_renamed_file_gets_a_successor),
                TEST(test_a_line_that_does_not_fit_leaves_no_part),
                TEST(test_a_full_disk_takes_whole_lines_and_more_when_there_is_room),
                TEST(test_each_line_is_an_entry_of_the_journal),
                TEST(test_a_journal_that_is_slow_or_away_gets_the_lines_later),
                TEST(test_a_journal_that_is_not_there_is_an_error),
        };

        return cmocka_run_group_tests_name("audit-sink", tests, NULL, NULL);
}
