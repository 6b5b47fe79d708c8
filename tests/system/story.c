/* SPDX-License-Identifier: MIT */
/*
 * vtd-story: the main job from end to end, with real processes.  Starts vtd-brokerd with a tenant's
 * policy, starts a small VMM as an unprivileged user, lets its guest program the virtual IOMMU, and
 * puts beside each other what the guest did, what the broker was asked, what policy said, what the
 * host did, and what the device's DMA saw.  Exit status 0 only if every step came out as stated.
 *
 * The middle columns come from the broker's audit log, not from the VMM.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "tests/system/broker-run.h"
#include "tests/system/processes.h"
#include "tests/system/table.h"
#include "tests/vmm/report.h"

#define WAIT_MS          10000
#define CELL_SIZE        1200u
#define HOST_CALLS_MAX   256u
#define HOST_CALLS_SHOWN 24u /* in their order; more are counted */
#define TENANT           "blue"
#define POLICY           "blue.policy"
#define STORY_STEPS      16u /* of story_main() in tests/vmm/story-steps.c */
#define NEXT_STEPS       3u  /* of story_next_owner() */

static const struct table_column columns[] = {
        {"", 2},        {"guest did", 27}, {"broker was asked", 18},
        {"policy", 23}, {"host did", 27},  {"seen by the device's DMA, or by the guest", 29},
        {"", 3},
};

struct story_run {
        struct broker_run broker;
        struct broker_run_config config;
        const char *vmm; /* NULL: the one below build */
        bool table;
        bool failed;
        unsigned step;
        size_t next_line; /* first audit line that no step has shown */
        uint64_t vm;      /* of the VMM that is running now */
        char devices[2][16];
};

/* The cells of one row as they grow. */
struct row {
        char asked[CELL_SIZE];
        char policy[CELL_SIZE];
        char host[CELL_SIZE];
        char saw[CELL_SIZE];
        char host_calls[HOST_CALLS_MAX][48];
        size_t n_host;
};

__attribute__((format(printf, 2, 3))) static void add(char *cell, const char *format, ...)
{
        size_t used = strlen(cell);
        va_list arguments;

        if (used > 0 && used + 1 < CELL_SIZE)
                cell[used++] = '\n';
        va_start(arguments, format);
        (void)vsnprintf(cell + used, CELL_SIZE - used, format, arguments);
        va_end(arguments);
}

/* Adds a line to a cell unless it is there already. */
static void add_once(char *cell, const char *text)
{
        size_t length = strlen(text);

        for (const char *at = cell; (at = strstr(at, text)); at += length) {
                bool starts = at == cell || at[-1] == '\n';

                if (starts && (at[length] == '\n' || at[length] == '\0'))
                        return;
        }
        add(cell, "%s", text);
}

static void story_fail(struct story_run *run, const char *what)
{
        run->failed = true;
        (void)fprintf(stderr, "vtd-story: %s\n", what);
}

/* Remembers a host call or an event of the step, in order. */
static void add_host(struct row *row, const char *text)
{
        if (row->n_host < HOST_CALLS_MAX)
                (void)snprintf(row->host_calls[row->n_host], sizeof(row->host_calls[0]), "%s",
                               text);
        row->n_host++;
}

static void add_host_call(struct row *row, const char *line)
{
        char call[32], text[48];
        uint64_t result = 0;

        if (!audit_text(line, "call", call, sizeof(call)))
                return;
        (void)audit_number(line, "result", &result);
        (void)snprintf(text, sizeof(text), "%s%s", call, result != 0 ? " FAILED" : "");
        add_host(row, text);
}

/* In how many places of the first @count host calls @text stands. */
static unsigned count_host(const struct row *row, size_t count, const char *text)
{
        unsigned found = 0;

        for (size_t i = 0; i < count; i++)
                found += strcmp(row->host_calls[i], text) == 0;
        return found;
}

/* A few calls are shown in their order, many of them as how often each was made. */
static void write_host_cell(struct row *row)
{
        size_t count = row->n_host < HOST_CALLS_MAX ? row->n_host : HOST_CALLS_MAX;
        bool summary = count > HOST_CALLS_SHOWN;
        size_t used = 0;

        for (size_t i = 0; i < count && used < sizeof(row->host); i++) {
                const char *text = row->host_calls[i];

                if (summary && count_host(row, i, text) > 0)
                        continue;
                used += (size_t)snprintf(row->host + used, sizeof(row->host) - used, "%s%s",
                                         used ? ", " : "", text);
                if (summary && used < sizeof(row->host))
                        used += (size_t)snprintf(row->host + used, sizeof(row->host) - used,
                                                 " x %u", count_host(row, count, text));
        }
}

static void add_request(struct row *row, const char *line)
{
        char request[64], mode[32], verdict[32], rule[128], reason[64], cell[300];

        if (!audit_text(line, "request", request, sizeof(request)))
                return;
        /* Register accesses of the device: the guest's driver at work, dozens in each step. */
        if (strncmp(request, "Region", 6) == 0)
                return;
        if (audit_text(line, "mode", mode, sizeof(mode)))
                (void)snprintf(cell, sizeof(cell), "%s %s", request, mode);
        else
                (void)snprintf(cell, sizeof(cell), "%s", request);
        add_once(row->asked, cell);
        if (!audit_text(line, "verdict", verdict, sizeof(verdict)))
                return;
        if (strcmp(verdict, "done") == 0)
                (void)strcpy(verdict, "granted");
        if (!audit_text(line, "reason", reason, sizeof(reason))) {
                add_once(row->policy, verdict);
                return;
        }
        if (!audit_text(line, "rule", rule, sizeof(rule)))
                (void)snprintf(rule, sizeof(rule), "no rule");
        (void)snprintf(cell, sizeof(cell), "%s: %s (%s)", verdict, reason, rule);
        add_once(row->policy, cell);
}

static void add_audit_line(struct row *row, const char *line)
{
        char event[32], text[48];

        if (audit_is(line, "kind", "request"))
                add_request(row, line);
        else if (audit_is(line, "kind", "host-call"))
                add_host_call(row, line);
        else if (audit_is(line, "kind", "event") &&
                 audit_text(line, "event", event, sizeof(event))) {
                (void)snprintf(text, sizeof(text), "[%s]", event);
                add_host(row, text);
        }
}

static int64_t now_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_request(const char *line, uint64_t vm, uint32_t sequence)
{
        uint64_t number;

        return audit_is(line, "kind", "request") && audit_number(line, "vm", &number) &&
               number == vm && audit_number(line, "sequence", &number) && number == sequence;
}

/* Index of the audit line of request @sequence, or -1 when it does not come. */
static ssize_t wait_for_request(struct story_run *run, uint32_t sequence)
{
        int64_t deadline = now_ms() + WAIT_MS;
        size_t at = run->next_line;

        for (;;) {
                for (; at < run->broker.n_lines; at++) {
                        if (is_request(run->broker.lines[at], run->vm, sequence))
                                return (ssize_t)at;
                }
                if (now_ms() >= deadline)
                        return -1;
                broker_run_read_audit(&run->broker, 100);
        }
}

/* Index of the line of @event for this VM from @from on, or -1 when it does not come. */
static ssize_t wait_for_event(struct story_run *run, const char *event, size_t from)
{
        int64_t deadline = now_ms() + WAIT_MS;
        size_t at = from;

        for (;;) {
                for (; at < run->broker.n_lines; at++) {
                        uint64_t vm;

                        if (audit_is(run->broker.lines[at], "event", event) &&
                            audit_number(run->broker.lines[at], "vm", &vm) && vm == run->vm)
                                return (ssize_t)at;
                }
                if (now_ms() >= deadline)
                        return -1;
                broker_run_read_audit(&run->broker, 100);
        }
}

static void print_row(struct story_run *run, const struct story_report *report, struct row *row,
                      bool ok)
{
        char number[8], guest[STORY_TEXT + 80];
        const char *cells[] = {number,    guest,    row->asked,       row->policy,
                               row->host, row->saw, ok ? "yes" : "NO"};

        if (!ok)
                run->failed = true;
        run->step++;
        write_host_cell(row);
        (void)snprintf(number, sizeof(number), "%u", run->step);
        (void)snprintf(guest, sizeof(guest), "%s%s:\n%s", run->vm > 1 ? "next VMM, " : "",
                       report->title, report->guest);
        for (char *c = guest; *c; c++) {
                if (c == guest && *c >= 'a' && *c <= 'z')
                        *c = (char)(*c - 'a' + 'A');
        }
        if (run->table)
                table_row(stdout, columns, cells, sizeof(columns) / sizeof(columns[0]));
        else
                (void)printf("%s %u - %s\n", ok ? "ok" : "not ok", run->step, report->title);
        if (!ok && !run->table)
                (void)printf("# saw: %s\n# policy: %s\n# host: %s\n", row->saw, row->policy,
                             row->host);
        (void)fflush(stdout);
}

/* A refusal must be in the audit log with its reason and with the file and line of its rule. */
static bool refusal_is_audited(const struct story_run *run, size_t from, size_t to,
                               const char *reason)
{
        for (size_t i = from; i < to; i++) {
                const char *line = run->broker.lines[i];
                char rule[128];

                if (audit_is(line, "reason", reason) &&
                    audit_text(line, "rule", rule, sizeof(rule)) &&
                    strncmp(rule, POLICY ":", sizeof(POLICY)) == 0 &&
                    atoi(rule + sizeof(POLICY)) > 0)
                        return true;
        }
        return false;
}

/* What the audit log must say about a step beyond what the VMM saw. */
static bool audit_agrees(const struct story_run *run, const struct story_report *report,
                         size_t from, size_t to)
{
        static const struct {
                const char *title;
                const char *reason;
        } refusals[] = {
                {"refusal: memory", "memory-limit"},
                {"refusal: device", "device-not-granted"},
                {"refusal: tables", "first-stage-table-limit"},
        };

        for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
                if (strcmp(report->title, refusals[i].title) == 0)
                        return refusal_is_audited(run, from, to, refusals[i].reason);
        }
        return true;
}

static bool show_step(struct story_run *run, const struct story_report *report)
{
        struct row row = {.n_host = 0};
        size_t from = run->next_line;
        bool ok = report->ok;

        if (report->last_sequence >= report->first_sequence) {
                ssize_t last = wait_for_request(run, report->last_sequence);

                if (last < 0) {
                        ok = false;
                        add(row.saw, "(request %u is missing in the audit log)",
                            report->last_sequence);
                } else {
                        run->next_line = (size_t)last + 1;
                }
        }
        for (size_t i = from; i < run->next_line; i++)
                add_audit_line(&row, run->broker.lines[i]);
        if (row.asked[0] == '\0')
                add(row.asked, "nothing");
        add(row.saw, "%s", report->saw);
        if (!audit_agrees(run, report, from, run->next_line)) {
                ok = false;
                add(row.saw, "(the refusal is not audited with its rule)");
        }
        print_row(run, report, &row, ok);
        return ok;
}

static bool show_processes(struct story_run *run, pid_t vmm)
{
        struct story_report report = {.ok = true};
        struct row row = {.n_host = 0};
        char saw[200] = "worker: none";
        pid_t workers[4];
        bool ok = broker_run_workers(&run->broker, workers, 4) == 1 &&
                  process_is_confined(workers[0], saw, sizeof(saw));
        bool holds = process_holds_host_descriptors(vmm);

        (void)snprintf(report.title, sizeof(report.title), "processes");
        (void)snprintf(report.guest, sizeof(report.guest), "nothing: /proc is read from outside");
        add(row.asked, "nothing");
        add(row.saw, "%s", saw);
        add(row.saw, "VMM: %s",
            holds ? "HOLDS host descriptors" : "no iommufd, no VFIO descriptor");
        print_row(run, &report, &row, ok && !holds);
        return ok && !holds;
}

static int receive_report(int fd, struct story_report *report)
{
        struct pollfd ready = {.fd = fd, .events = POLLIN};

        if (poll(&ready, 1, 3 * WAIT_MS) <= 0)
                return -1;
        return read(fd, report, sizeof(*report)) == (ssize_t)sizeof(*report) ? 0 : -1;
}

static pid_t start_vmm(struct story_run *run, const char *scenario, int *report_fd)
{
        char program[256], socket_path[128];
        const char *argv[] = {program, socket_path, scenario, "edu0", "edu1", NULL};
        int pair[2];
        pid_t pid;

        if (strcmp(scenario, "story") != 0)
                argv[4] = NULL;
        if (run->vmm)
                (void)snprintf(program, sizeof(program), "%s", run->vmm);
        else
                (void)snprintf(program, sizeof(program), "%s/tests/vmm/vtd-vmm", run->config.build);
        broker_run_socket_path(&run->broker, TENANT, socket_path, sizeof(socket_path));
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -1;
        pid = broker_run_spawn_vmm(argv, pair[1]);
        (void)close(pair[1]);
        *report_fd = pair[0];
        run->vm++;
        return pid;
}

/* Follows a VMM through its steps; returns how many it told. */
static unsigned follow(struct story_run *run, pid_t vmm, int report_fd)
{
        struct story_report report;
        unsigned steps = 0;

        while (receive_report(report_fd, &report) == 0) {
                report.title[sizeof(report.title) - 1] = '\0';
                report.guest[sizeof(report.guest) - 1] = '\0';
                report.saw[sizeof(report.saw) - 1] = '\0';
                steps++;
                if (report.last)
                        return steps;
                (void)show_step(run, &report);
                if (strcmp(report.title, "translation off") == 0)
                        (void)show_processes(run, vmm);
                if (write(report_fd, "g", 1) != 1)
                        break;
        }
        return steps;
}

/* The order of a VM's end in the audit log: every detach, then "blocked", then the first unmap. */
static bool blocked_before_unmapped(const struct story_run *run, size_t from, size_t to)
{
        bool detached = false, blocked = false, unmapped = false;

        for (size_t i = from; i < to; i++) {
                const char *line = run->broker.lines[i];

                if (audit_is(line, "event", "blocked"))
                        blocked = true;
                if (audit_is(line, "call", "detach")) {
                        detached = true;
                        if (unmapped)
                                return false;
                }
                if (audit_is(line, "call", "unmap")) {
                        if (!blocked)
                                return false;
                        unmapped = true;
                }
        }
        return detached && blocked && unmapped;
}

static void kill_vmm(struct story_run *run, pid_t vmm, int report_fd)
{
        struct story_report report = {.ok = true};
        struct row row = {.n_host = 0};
        size_t from = run->next_line;
        ssize_t ended;
        bool ordered;

        (void)kill(vmm, SIGKILL);
        (void)waitpid(vmm, NULL, 0);
        (void)close(report_fd);
        (void)snprintf(report.title, sizeof(report.title), "VMM killed");
        (void)snprintf(report.guest, sizeof(report.guest),
                       "the device works on the guest's table when the VMM gets SIGKILL");
        ended = wait_for_event(run, "worker-ended", from);
        run->next_line = ended < 0 ? run->broker.n_lines : (size_t)ended + 1;
        for (size_t i = from; i < run->next_line; i++)
                add_audit_line(&row, run->broker.lines[i]);
        ordered = ended >= 0 && blocked_before_unmapped(run, from, run->next_line);
        add(row.saw, ordered ? "every device was blocked before any memory was unmapped"
                             : "the end is NOT in the stated order");
        print_row(run, &report, &row, ordered);
}

static int write_policy(struct story_run *run)
{
        bool real = strcmp(run->config.host, "linux") == 0;
        char text[2048];

        /* The rig's IOMMU lacks snoop control and its devices cannot be reset: named, one by one. */
        (void)snprintf(text, sizeof(text),
                       "format = 1\n"
                       "\n"
                       "[tenant]\n"
                       "name = " TENANT "\n"
                       "uid = %u\n"
                       "vms = 1\n"
                       "\n"
                       "[vm]\n"
                       "memory = 32MiB\n"
                       "mappings = 4\n"
                       "devices = 2\n"
                       "first-stage-tables = 2\n"
                       "modes = passthrough, first-stage\n"
                       "\n"
                       "[device edu0]\n"
                       "%s = %s\n"
                       "regions = 0:rw\n"
                       "%s"
                       "\n"
                       "[device edu1]\n"
                       "%s = %s\n"
                       "regions = 0:rw\n"
                       "%s",
                       broker_run_vmm_uid(), real ? "pci" : "simulated", run->devices[0],
                       real ? "allow = no-reset, no-snoop-control\n" : "",
                       real ? "pci" : "simulated", run->devices[1],
                       real ? "allow = no-reset, no-snoop-control\n" : "");
        return broker_run_add_policy(&run->broker, POLICY, text);
}

static bool file_holds(int directory, const char *name, const char *file, const char *text)
{
        char path[64], content[32];
        ssize_t length;
        VTD_CLEANUP_FD int fd = -1;

        (void)snprintf(path, sizeof(path), "%.32s/%s", name, file);
        fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return false;
        length = read(fd, content, sizeof(content));
        return length >= (ssize_t)strlen(text) && memcmp(content, text, strlen(text)) == 0;
}

/*
 * PCI addresses of two edu devices of this machine.  The one with the highest address comes first:
 * where devices differ in how late they do their DMA, a rig puts the late one there.
 */
static size_t find_edu_devices(struct story_run *run)
{
        struct dirent **entries;
        size_t found = 0;
        int count = scandir("/sys/bus/pci/devices", &entries, NULL, alphasort);
        VTD_CLEANUP_FD int directory =
                open("/sys/bus/pci/devices", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (int i = count - 1; i >= 0; i--) {
                const char *name = entries[i]->d_name;

                if (found < 2 && file_holds(directory, name, "vendor", "0x1234") &&
                    file_holds(directory, name, "device", "0x11e8"))
                        (void)snprintf(run->devices[found++], sizeof(run->devices[0]), "%.15s",
                                       name);
                free(entries[i]);
        }
        if (count >= 0)
                free(entries);
        return found;
}

static int usage(FILE *out)
{
        (void)fprintf(
                out,
                "usage: vtd-story --build DIR [--host simulated|linux] [--device A --device B]\n"
                "                 [--brokerd FILE] [--vmm FILE] [--table]\n"
                "\n"
                "Runs the main job of vtd-broker from end to end and judges every step of it.\n"
                "\n"
                "  --build DIR    build directory with the programs\n"
                "  --host KIND    simulated (default), or linux: the kernel's /dev/iommu\n"
                "  --device ADDR  with linux: PCI address of an edu device bound to vfio-pci, "
                "twice\n"
                "  --brokerd FILE a vtd-brokerd that is installed, with its workers, instead of "
                "the "
                "build's\n"
                "  --vmm FILE     a vtd-vmm that was built with an installed library; both by "
                "absolute path\n"
                "  --table        tell the story as a table; otherwise as test results\n"
                "\n"
                "Exit status: 0 every step came out as stated, 1 one did not, 2 usage.\n");
        return out == stdout ? 0 : 2;
}

static int parse_options(struct story_run *run, int argc, char **argv)
{
        static const struct option options[] = {
                {"build", required_argument, NULL, 'b'},  {"host", required_argument, NULL, 'h'},
                {"device", required_argument, NULL, 'd'}, {"brokerd", required_argument, NULL, 'B'},
                {"vmm", required_argument, NULL, 'v'},    {"table", no_argument, NULL, 't'},
                {"help", no_argument, NULL, '?'},         {0},
        };
        size_t devices = 0;
        int option;

        run->config = (struct broker_run_config){.host = "simulated", .audit_level = "host-calls"};
        while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (option == 'b')
                        run->config.build = optarg;
                else if (option == 'h')
                        run->config.host = optarg;
                else if (option == 'B')
                        run->config.brokerd = optarg;
                else if (option == 'v')
                        run->vmm = optarg;
                else if (option == 't')
                        run->table = true;
                else if (option == 'd' && devices < 2)
                        (void)snprintf(run->devices[devices++], sizeof(run->devices[0]), "%s",
                                       optarg);
                else
                        return -1;
        }
        if (strcmp(run->config.host, "simulated") == 0) {
                if (devices != 0)
                        return -1;
                (void)strcpy(run->devices[0], "edu");
                (void)strcpy(run->devices[1], "edu");
                devices = 2;
        } else if (devices == 0) {
                devices = find_edu_devices(run);
        }
        return run->config.build && devices == 2 && optind == argc ? 0 : -1;
}

static void tell(struct story_run *run)
{
        unsigned steps;
        int report_fd;
        pid_t vmm;

        if (run->table)
                table_heading(stdout, columns, sizeof(columns) / sizeof(columns[0]));
        else
                (void)printf("1..%u\n", STORY_STEPS + NEXT_STEPS + 2); /* and each VM's processes */
        vmm = start_vmm(run, "story", &report_fd);
        if (vmm < 0) {
                story_fail(run, "the VMM does not start");
                return;
        }
        steps = follow(run, vmm, report_fd);
        if (steps != STORY_STEPS)
                story_fail(run, "the VMM ended before its story did");
        kill_vmm(run, vmm, report_fd);
        vmm = start_vmm(run, "next-owner", &report_fd);
        if (vmm < 0 || follow(run, vmm, report_fd) != NEXT_STEPS)
                story_fail(run, "the next VMM did not get the device");
        (void)close(report_fd);
        if (vmm > 0)
                (void)waitpid(vmm, NULL, 0);
}

int main(int argc, char **argv)
{
        struct story_run run = {.vm = 0};

        if (argc == 2 && strcmp(argv[1], "--help") == 0)
                return usage(stdout);
        if (parse_options(&run, argc, argv) < 0)
                return usage(stderr);
        if (broker_run_enter_build(&run.config.build) < 0) {
                (void)fprintf(stderr, "vtd-story: %s: %s\n", run.config.build, strerror(errno));
                return 1;
        }
        if (broker_run_prepare(&run.broker) < 0 || write_policy(&run) < 0 ||
            broker_run_start(&run.broker, &run.config) < 0) {
                story_fail(&run, run.broker.message);
                (void)broker_run_stop(&run.broker);
                return 1;
        }
        tell(&run);
        if (broker_run_stop(&run.broker) < 0)
                story_fail(&run, run.broker.message);
        if (run.table)
                (void)printf("%s\n", run.failed ? "NOT every step came out as stated."
                                                : "Every step came out as stated.");
        return run.failed ? 1 : 0;
}
