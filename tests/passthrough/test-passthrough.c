/* SPDX-License-Identifier: MIT */
/*
 * Everything at once: on a real kernel, vtd-brokerd and its sandboxed worker; QEMU as an unprivileged
 * user; in it a Linux guest whose NVMe driver does its DMA through first-stage tables of its own, nested
 * on the host's second stage.  The drive then belongs to a next owner after QEMU was killed in the middle
 * of I/O.
 *
 * Runs as root in a rig (run-passthrough).  --build names the directory with the programs, --drive the drive's
 * PCI function.  Prints TAP.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/passthrough/drive.h"
#include "tests/passthrough/emulator.h"
#include "tests/passthrough/next-owner.h"
#include "tests/series/left-over.h"
#include "tests/system/broker-run.h"

/* By the clock of the rig, which on a busy host runs ahead of what its processor gets done. */
#define BOOT_SECONDS 150u

/* Memory: the guest's, and a little for what its firmware maps twice. */
static const char policy_text[] = "format = 1\n"
                                  "[tenant]\n"
                                  "name = blue\n"
                                  "uid = %u\n"
                                  "[vm]\n"
                                  "memory = 320MiB\n"
                                  "mappings = 64\n"
                                  "first-stage-tables = 8\n"
                                  "interrupts = 16\n"
                                  "modes = passthrough, first-stage\n"
                                  "[device drive]\n"
                                  "pci = %s\n"
                                  "regions = 0:rw, config:rw\n"
                                  "allow = no-snoop-control\n";

struct test {
        const char *build;
        const char *drive;
        struct broker_run run;
        struct emulator emulator;
        char socket[128];
        unsigned points;
        unsigned failures;
};

static bool is(struct test *test, bool good, const char *what)
{
        test->points++;
        test->failures += !good;
        (void)printf("%s %u - %s\n", good ? "ok" : "not ok", test->points, what);
        (void)fflush(stdout);
        return good;
}

/* What the guest has said so far, for whoever reads why a point failed. */
static void show_console(const struct test *test)
{
        const char *at = test->emulator.text;

        while (*at) {
                size_t length = strcspn(at, "\r\n");

                if (length > 0)
                        (void)printf("# guest: %.*s\n", (int)length, at);
                at += length;
                at += strspn(at, "\r\n");
        }
        (void)fflush(stdout);
}

/* As emulator_wait(); the audit log is read meanwhile, so that it does not fill its pipe. */
static bool wait_said(struct test *test, const char *word, unsigned before, unsigned seconds)
{
        for (unsigned i = 0; i < seconds; i++) {
                broker_run_read_audit(&test->run, 0);
                if (emulator_wait(&test->emulator, word, before, 1))
                        return true;
        }
        return false;
}

static bool start_guest(struct test *test, const char *task, bool plugged_later)
{
        return is(test, emulator_start(&test->emulator, test->socket, task, plugged_later),
                  "QEMU is started by an unprivileged user");
}

/* Host calls of @name in the audit log from line @from on. */
static uint64_t count_calls(const struct test *test, size_t from, const char *name)
{
        uint64_t count = 0;

        for (size_t i = from; i < test->run.n_lines; i++)
                count += audit_is(test->run.lines[i], "call", name);
        return count;
}

/* The guest has written and read; what it says of that. */
static void check_transfer(struct test *test, char wrote[DRIVE_DIGEST])
{
        char text[DRIVE_DIGEST];

        emulator_said(&test->emulator, "wrote", wrote, DRIVE_DIGEST);
        emulator_said(&test->emulator, "read", text, sizeof(text));
        is(test, strlen(wrote) == DRIVE_DIGEST - 1 && strcmp(wrote, text) == 0,
           "the guest reads from the drive what it has written");
        emulator_said(&test->emulator, "group", text, sizeof(text));
        is(test, strcmp(text, "DMA") == 0, "the guest's kernel translates the drive's DMA");
        is(test, emulator_count(&test->emulator, "vector") > 0, "the drive has MSI-X vectors");
        emulator_said(&test->emulator, "interrupts", text, sizeof(text));
        is(test, strtoul(text, NULL, 10) > 0, "its interrupts arrive");
        is(test, emulator_count(&test->emulator, "complaint") == 0, "the guest's log is clean");
}

/* How much one invalidation of the guest costs the host. */
static void check_costs(struct test *test, size_t from)
{
        struct emulator_counters counters;
        uint64_t invalidates = 0;

        if (!is(test, emulator_counters(&test->emulator, &counters), "QEMU says what its unit did"))
                return;
        /* What the host did is told a little later; a call too many would be told last. */
        for (unsigned i = 0; i < 20 && invalidates < counters.invalidates; i++) {
                broker_run_read_audit(&test->run, 100);
                invalidates = count_calls(test, from, "invalidate");
        }
        broker_run_read_audit(&test->run, 500);
        invalidates = count_calls(test, from, "invalidate");
        (void)printf("# %" PRIu64 " invalidation descriptors, %" PRIu64
                     " Invalidate requests, %" PRIu64 " host calls for them, %" PRIu64
                     " requests in all\n",
                     counters.descriptors, counters.invalidates, invalidates, counters.requests);
        is(test, counters.invalidates > 100, "the guest has invalidated a lot");
        is(test, invalidates == counters.invalidates, "each Invalidate is one call to the host");
        is(test, counters.invalidates <= counters.descriptors,
           "and the guest's descriptors are no fewer");
        is(test, counters.faults == 0, "no fault was recorded");
        is(test, count_calls(test, from, "first-stage-alloc") > 0,
           "the host has nested tables of the guest's");
}

static void transfer(struct test *test, const char *why, bool plugged_later)
{
        char wrote[DRIVE_DIGEST] = "", on_drive[DRIVE_DIGEST] = "";
        size_t from;

        (void)printf("# %s\n", why);
        broker_run_read_audit(&test->run, 500); /* what is still to be told of the VM before */
        from = test->run.n_lines;
        if (!start_guest(test, "transfer", plugged_later))
                return;
        if (plugged_later)
                is(test,
                   wait_said(test, "started", 0, BOOT_SECONDS) && emulator_plug(&test->emulator),
                   "the drive is plugged into the running guest");
        if (!is(test, wait_said(test, "done", 0, BOOT_SECONDS), "the guest comes to its end"))
                show_console(test);
        is(test, emulator_host_descriptors(&test->emulator) == 0,
           "QEMU holds no descriptor of iommufd or VFIO");
        check_transfer(test, wrote);
        check_costs(test, from);
        if (test->failures > 0)
                show_console(test);
        emulator_kill(&test->emulator);
        is(test, drive_bind(test->drive, "nvme"), "the host's driver gets the drive");
        is(test, drive_digest(on_drive) && strcmp(on_drive, wrote) == 0,
           "the host finds on the drive what the guest wrote");
        is(test, drive_bind(test->drive, "vfio-pci"), "and gives it away again");
}

/* Closing a device takes its reset, and vtd-brokerd does it on the side. */
static bool all_is_closed(void)
{
        const struct timespec pause = {.tv_nsec = 50000000};

        for (unsigned i = 0; i < 200 && left_over_descriptors(0) > 0; i++)
                (void)nanosleep(&pause, NULL);
        return left_over_descriptors(0) == 0;
}

static void kill_in_the_middle(struct test *test)
{
        char problem[160];

        (void)printf("# QEMU is killed in the middle of I/O\n");
        if (!start_guest(test, "endless", false))
                return;
        if (!is(test, wait_said(test, "wrote", 2, BOOT_SECONDS), "the guest keeps the drive busy"))
                show_console(test);
        emulator_kill(&test->emulator);
        if (!is(test, next_owner_is_left_alone(test->socket, problem, sizeof(problem)),
                "not a byte of the next owner's memory is touched"))
                (void)printf("# %s\n", problem);
        is(test, all_is_closed(), "and then no process has a descriptor of the host's any more");
}

static bool prepare(struct test *test)
{
        char policy[512];

        (void)snprintf(policy, sizeof(policy), policy_text, broker_run_vmm_uid(), test->drive);
        return is(test, drive_bind(test->drive, "vfio-pci"), "the drive is bound to vfio-pci") &&
               is(test, chmod("/dev/kvm", 0666) == 0, "KVM is there for everybody") &&
               is(test,
                  broker_run_prepare(&test->run) == 0 &&
                          broker_run_add_policy(&test->run, "blue.policy", policy) == 0 &&
                          broker_run_start(
                                  &test->run,
                                  &(struct broker_run_config){.build = test->build,
                                                              .host = "linux",
                                                              .audit_level = "host-calls"}) == 0,
                  "vtd-brokerd is ready");
}

int main(int argc, char **argv)
{
        static struct test test; /* large: the guest's console */

        if (argc != 5 || strcmp(argv[1], "--build") != 0 || strcmp(argv[3], "--drive") != 0) {
                (void)fprintf(stderr, "usage: test-passthrough --build DIR --drive ADDRESS\n");
                return 2;
        }
        test.build = argv[2];
        test.drive = argv[4];
        if (prepare(&test)) {
                broker_run_socket_path(&test.run, "blue", test.socket, sizeof(test.socket));
                transfer(&test, "a guest uses the drive", false);
                kill_in_the_middle(&test);
                transfer(&test, "the next VMM's guest gets it while it runs, below a port", true);
                is(&test, drive_complaints() == 0, "the host's kernel has nothing to complain of");
        }
        if (test.failures > 0)
                (void)printf("# %s\n", test.run.message);
        is(&test, broker_run_stop(&test.run) == 0, "vtd-brokerd ends cleanly");
        (void)printf("1..%u\n", test.points);
        return test.failures > 0;
}
