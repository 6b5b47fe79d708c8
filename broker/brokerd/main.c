/* SPDX-License-Identifier: MIT */
/*
 * vtd-brokerd: the command line.  Everything is judged here before the daemon is made; a setting
 * that cannot be honoured is an error, never ignored.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <grp.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/brokerd/admin_server.h"
#include "broker/brokerd/capabilities.h"
#include "broker/brokerd/daemon.h"
#include "broker/sandbox/landlock.h"
#include "broker/brokerd/uids.h"
#include "shared/cleanup.h"
#include "shared/error.h"
#include "shared/log.h"

enum {
        EXIT_OK = 0,
        EXIT_START = 1, /* could not start */
        EXIT_USAGE = 2,
};

struct options {
        char *host;
        char *policies;
        char *sockets;
        char *audit_level;
        char *worker_uids;
        char *worker_directory;
        char *worker_cgroup;
        char *audit_file;
        char *metrics;
        char *control;
        char *control_group;
        gint audit_fd;
        gboolean audit_journal;
        gint landlock_abi_min;
        gboolean version;
        gboolean capabilities;
};

static void clear_options(struct options *options)
{
        g_free(options->host);
        g_free(options->policies);
        g_free(options->sockets);
        g_free(options->audit_level);
        g_free(options->audit_file);
        g_free(options->metrics);
        g_free(options->worker_uids);
        g_free(options->worker_directory);
        g_free(options->worker_cgroup);
        g_free(options->control);
        g_free(options->control_group);
}

static const char summary[] =
        "Lets unprivileged virtual machine monitors use the host's IOMMU for the virtual IOMMU of\n"
        "their guests.  Each connection gets a sandboxed worker process of its own; this process\n"
        "opens the devices that the tenant's policy grants, and never reads what a VMM sends.";

static const char description[] =
        "Example, as root, with a device that is simulated:\n"
        "  vtd-brokerd --host simulated --policies policies/ --sockets /run/vtd-broker \\\n"
        "              --worker-uids 60000-60999\n"
        "Without root, leave out --worker-uids; from a build directory BUILD, add\n"
        "--worker-dir BUILD/broker.\n"
        "\n"
        "Policies: every file *.policy in the directory is one tenant (vtd-policy checks them\n"
        "beforehand).  An error in any of them keeps vtd-brokerd from starting.\n"
        "\n"
        "Sockets: TENANT.sock in the directory, which must exist, for the user that the policy\n"
        "names and nobody else.  Who connects is recorded by the kernel when it connects.\n"
        "\n"
        "Audit: one JSON object per line.  refusals: what was refused, devices plugged, and the\n"
        "life of every worker.  requests: also every request.  host-calls: also every call to the\n"
        "host's IOMMU.\n"
        "A refusal by policy names the file and line of the rule that decided.\n"
        "Lines that cannot be written (a slow reader, a full disk) wait in 256 KiB of memory; "
        "more\n"
        "are lost, and counted in the next line that is written.\n"
        "\n"
        "Control: with --control, vtd-brokerctl shows what runs, allows single VMs within a\n"
        "tenant's policy, and revokes.  Root may use it, and the members of --control-group.\n"
        "\n"
        "Signals: SIGHUP has all policies read again, or none if there is an error in any.\n"
        "SIGTERM and SIGINT end every VM in order (devices blocked before memory is\n"
        "unmapped) for up to 5 seconds; a second one kills the workers at once.  Last closes that\n"
        "take longer than 5 more seconds are left to finish by themselves.\n"
        "SIGUSR1 opens the file of --audit-file anew, after it has been renamed.\n"
        "\n"
        "Without root only the simulated host is served: one user for all workers, in user\n"
        "namespaces, without limits on locked memory.\n"
        "\n"
        "Exit status: 0 after a signal, 1 if it could not start, 2 for a wrong command line.";

static int parse_host(const char *text, struct vtd_daemon_config *config, struct vtd_log *log)
{
        if (!text)
                return vtd_fail(log, -EINVAL, "--host is missing: linux or simulated");
        if (strcmp(text, "linux") == 0)
                config->host = VTD_HOST_LINUX;
        else if (strcmp(text, "simulated") == 0)
                config->host = VTD_HOST_SIMULATED;
        else
                return vtd_fail(log, -EINVAL, "--host %s: linux or simulated", text);
        if (config->host == VTD_HOST_LINUX && config->rootless)
                return vtd_fail(log, -EPERM,
                                "--host linux needs root; without root, only --host simulated");
        return 0;
}

static int parse_audit(const struct options *options, struct vtd_daemon_config *config,
                       struct vtd_log *log)
{
        const char *level = options->audit_level ? options->audit_level : "refusals";

        if (strcmp(level, "refusals") == 0)
                config->audit_level = VTD_AUDIT_REFUSALS;
        else if (strcmp(level, "requests") == 0)
                config->audit_level = VTD_AUDIT_REQUESTS;
        else if (strcmp(level, "host-calls") == 0)
                config->audit_level = VTD_AUDIT_HOST_CALLS;
        else
                return vtd_fail(log, -EINVAL, "--audit-level %s: refusals, requests or host-calls",
                                level);
        if ((options->audit_fd >= 0) + options->audit_journal + (options->audit_file != NULL) > 1)
                return vtd_fail(
                        log, -EINVAL,
                        "--audit-fd, --audit-file and --audit-journal: one of them at most");
        return 0;
}

static int open_audit_fd(int fd, struct vtd_audit_sink *sink, struct vtd_log *log)
{
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
                return vtd_fail(log, -EBADF, "--audit-fd %d: not open for writing", fd);
        if (fd > STDERR_FILENO && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
                return vtd_errno();
        vtd_audit_sink_init_descriptor(sink, fd);
        return 0;
}

/* Where the lines go; EXIT_OK, or the status to end with. */
static int open_audit(const struct options *options, struct vtd_audit_sink *sink,
                      struct vtd_log *log)
{
        int fd = options->audit_fd >= 0 ? options->audit_fd : STDERR_FILENO;

        if (options->audit_file)
                return vtd_audit_sink_init_file(sink, options->audit_file, log) < 0 ? EXIT_START
                                                                                    : EXIT_OK;
        if (options->audit_journal)
                return vtd_audit_sink_init_journal(sink, VTD_AUDIT_JOURNAL_SOCKET, log) < 0
                               ? EXIT_START
                               : EXIT_OK;
        return open_audit_fd(fd, sink, log) < 0 ? EXIT_USAGE : EXIT_OK;
}

static int parse_uids(const char *text, struct vtd_daemon_config *config, struct vtd_log *log)
{
        g_auto(GStrv) parts = NULL;
        guint64 first, last;

        if (config->rootless)
                return text ? vtd_fail(log, -EPERM, "--worker-uids needs root: leave it out") : 0;
        if (!text)
                return vtd_fail(log, -EINVAL,
                                "--worker-uids is missing: FIRST-LAST, a range of "
                                "users that belongs to vtd-brokerd alone");
        parts = g_strsplit(text, "-", 2);
        if (g_strv_length(parts) != 2 ||
            !g_ascii_string_to_unsigned(parts[0], 10, 1, UINT32_MAX - 1, &first, NULL) ||
            !g_ascii_string_to_unsigned(parts[1], 10, first, UINT32_MAX - 1, &last, NULL))
                return vtd_fail(log, -EINVAL, "--worker-uids %s: FIRST-LAST, at least 1, ascending",
                                text);
        if (last - first >= VTD_UIDS_MAX)
                return vtd_fail(log, -EINVAL, "--worker-uids %s: at most %u users", text,
                                VTD_UIDS_MAX);
        config->uid_first = (uint32_t)first;
        config->uid_last = (uint32_t)last;
        return 0;
}

static int parse_landlock(gint asked, struct vtd_daemon_config *config, struct vtd_log *log)
{
        uint32_t least = config->host == VTD_HOST_LINUX ? VTD_LANDLOCK_ABI_LINUX
                                                        : VTD_LANDLOCK_ABI_SIMULATED;

        config->landlock_abi_min = least;
        if (asked < 0)
                return 0;
        if ((uint32_t)asked < least)
                return vtd_fail(log, -EINVAL, "--landlock-abi-min %d: at least %u", asked, least);
        config->landlock_abi_min = (uint32_t)asked;
        return 0;
}

static const char *worker_directory(const struct options *options)
{
        return options->worker_directory ? options->worker_directory : VTD_WORKER_DIRECTORY;
}

/* A name or a number. */
static int parse_group(const char *text, gid_t *group, struct vtd_log *log)
{
        const struct group *entry;
        guint64 number;

        if (g_ascii_string_to_unsigned(text, 10, 0, UINT32_MAX - 1, &number, NULL)) {
                *group = (gid_t)number;
                return 0;
        }
        entry = getgrnam(text);
        if (!entry)
                return vtd_fail(log, -ENOENT, "--control-group %s: there is no such group", text);
        *group = entry->gr_gid;
        return 0;
}

static int parse_control(const struct options *options, struct vtd_daemon_config *config,
                         struct vtd_log *log)
{
        config->control = options->control;
        config->control_group = VTD_ADMIN_NO_GROUP;
        if (!options->control)
                return options->control_group
                               ? vtd_fail(log, -EINVAL, "--control-group: needs --control PATH")
                               : 0;
        /* It tells administrators where the sockets of VMs are, as text. */
        for (const char *c = options->sockets; *c != '\0'; c++)
                if (*c <= 0x20 || *c > 0x7e)
                        return vtd_fail(log, -EINVAL,
                                        "--sockets: with --control, printable ASCII without blanks "
                                        "only");
        return options->control_group
                       ? parse_group(options->control_group, &config->control_group, log)
                       : 0;
}

static int parse_directories(const struct options *options, struct vtd_daemon_config *config,
                             struct vtd_log *log)
{
        if (!options->policies)
                return vtd_fail(log, -EINVAL, "--policies is missing: a directory of *.policy");
        if (!options->sockets)
                return vtd_fail(log, -EINVAL,
                                "--sockets is missing: an existing directory for the sockets");
        config->policies = options->policies;
        config->sockets = options->sockets;
        config->worker_directory = worker_directory(options);
        config->metrics = options->metrics;
        config->version = VTD_VERSION;
        config->worker_cgroup = options->worker_cgroup;
        return 0;
}

/* Option names with their defaults; EXIT_OK when @options is to be acted on. */
static int read_command_line(struct options *options, int *argc, char ***argv, struct vtd_log *log)
{
        const GOptionEntry entries[] = {
                {"host", 0, 0, G_OPTION_ARG_STRING, &options->host,
                 "The IOMMU to serve: the kernel's, or a simulation; there is no default",
                 "linux|simulated"},
                {"policies", 0, 0, G_OPTION_ARG_FILENAME, &options->policies,
                 "Directory of policies, one file *.policy for each tenant", "DIR"},
                {"sockets", 0, 0, G_OPTION_ARG_FILENAME, &options->sockets,
                 "Directory for one socket per tenant", "DIR"},
                {"worker-uids", 0, 0, G_OPTION_ARG_STRING, &options->worker_uids,
                 "Users for workers, one each, used by nothing else (required as root)",
                 "FIRST-LAST"},
                {"audit-fd", 0, 0, G_OPTION_ARG_INT, &options->audit_fd,
                 "Inherited descriptor for audit lines (2: standard error)", "N"},
                {"audit-file", 0, 0, G_OPTION_ARG_FILENAME, &options->audit_file,
                 "File that audit lines are appended to; SIGUSR1 opens it anew", "FILE"},
                {"audit-journal", 0, 0, G_OPTION_ARG_NONE, &options->audit_journal,
                 "Audit lines become entries of the journal, vtd-broker-audit", NULL},
                {"audit-level", 0, 0, G_OPTION_ARG_STRING, &options->audit_level,
                 "What is audited (refusals)", "refusals|requests|host-calls"},
                {"metrics", 0, 0, G_OPTION_ARG_FILENAME, &options->metrics,
                 "Socket that answers with numbers for Prometheus (none)", "PATH"},
                {"worker-dir", 0, 0, G_OPTION_ARG_FILENAME, &options->worker_directory,
                 "Directory of the worker programs (" VTD_WORKER_DIRECTORY ")", "DIR"},
                {"worker-cgroup", 0, 0, G_OPTION_ARG_FILENAME, &options->worker_cgroup,
                 "cgroup2 directory that workers are put into (vtd-brokerd's own)", "DIR"},
                {"control", 0, 0, G_OPTION_ARG_FILENAME, &options->control,
                 "Socket for vtd-brokerctl (none)", "PATH"},
                {"control-group", 0, 0, G_OPTION_ARG_STRING, &options->control_group,
                 "Group whose members may use it besides root (none)", "GROUP"},
                {"landlock-abi-min", 0, 0, G_OPTION_ARG_INT, &options->landlock_abi_min,
                 "Lowest Landlock ABI to accept; can only be raised (6 linux, 1 simulated)", "N"},
                {"version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL},
                {"print-capabilities", 0, 0, G_OPTION_ARG_NONE, &options->capabilities,
                 "Print what this program can do, as JSON", NULL},
                {0},
        };
        GOptionContext *context = g_option_context_new(NULL);
        g_autoptr(GError) error = NULL;
        gboolean parsed;

        /* GLib's own words of the help have an ellipsis, which it would print as "?". */
        (void)setlocale(LC_CTYPE, "C.UTF-8");
        g_option_context_set_summary(context, summary);
        g_option_context_set_description(context, description);
        g_option_context_add_main_entries(context, entries, NULL);
        parsed = g_option_context_parse(context, argc, argv, &error);
        g_option_context_free(context);
        if (!parsed)
                return vtd_fail(log, EXIT_USAGE, "%s (see --help)", error->message);
        if (*argc > 1)
                return vtd_fail(log, EXIT_USAGE, "%s: there are only options (see --help)",
                                (*argv)[1]);
        return EXIT_OK;
}

/* Two descriptors per worker and one per device: the soft limit is for programs that select(). */
static int raise_descriptor_limit(struct vtd_log *log)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
                        return 0;
        }
        return vtd_fail(log, vtd_errno(), "limit of open files not raised: %s", strerror(errno));
}

/* Whatever is opened later must not become a standard stream. */
static int fill_standard_streams(void)
{
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
                        return -EBADF;
        return 0;
}

/* Drops a line rather than wait for whoever reads standard error. */
static void log_without_waiting(void *opaque, enum vtd_log_level level, const char *line)
{
        struct pollfd stream = {.fd = STDERR_FILENO, .events = POLLOUT};

        if (poll(&stream, 1, 0) == 1 && (stream.revents & POLLOUT))
                vtd_log_to_stderr(opaque, level, line);
}

/* The version, or what this program can do. */
static int print(const struct options *options, struct vtd_log *log)
{
        if (options->version)
                (void)printf("vtd-brokerd %s\n", VTD_VERSION);
        else
                vtd_capabilities_print(stdout, VTD_VERSION, worker_directory(options));
        if (fflush(stdout) == 0 && !ferror(stdout))
                return EXIT_OK;
        return vtd_fail(log, EXIT_START, "cannot write the output: %s", strerror(errno));
}

static int run(const struct vtd_daemon_config *config, struct vtd_log *log)
{
        struct vtd_daemon *daemon;
        int result;

        if (raise_descriptor_limit(log) < 0 || vtd_daemon_new(&daemon, config, log) < 0)
                return EXIT_START;
        result = vtd_daemon_run(daemon);
        daemon = vtd_daemon_free(daemon);
        return result < 0 ? EXIT_START : EXIT_OK;
}

int main(int argc, char **argv)
{
        char prefix[] = "vtd-brokerd";
        struct vtd_log log = {
                .sink = log_without_waiting,
                .opaque = prefix,
                .threshold = VTD_LOG_INFO,
        };
        VTD_CLEANUP(clear_options)
        struct options options = {
                .audit_fd = -1,
                .landlock_abi_min = -1,
        };
        VTD_CLEANUP(vtd_audit_sink_deinit) struct vtd_audit_sink audit = {.fd = -1};
        struct vtd_daemon_config config = {.rootless = geteuid() != 0, .audit = &audit};
        int status;

        if (fill_standard_streams() < 0)
                return EXIT_START;
        if (read_command_line(&options, &argc, &argv, &log) != EXIT_OK)
                return EXIT_USAGE;
        if (options.version || options.capabilities)
                return print(&options, &log);
        if (parse_host(options.host, &config, &log) < 0 ||
            parse_directories(&options, &config, &log) < 0 ||
            parse_control(&options, &config, &log) < 0 ||
            parse_audit(&options, &config, &log) < 0 ||
            parse_uids(options.worker_uids, &config, &log) < 0 ||
            parse_landlock(options.landlock_abi_min, &config, &log) < 0)
                return EXIT_USAGE;
        status = open_audit(&options, &audit, &log);
        return status == EXIT_OK ? run(&config, &log) : status;
}
