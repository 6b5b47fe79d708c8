/* SPDX-License-Identifier: MIT */
/* See command.h. */
#include "broker/brokerctl/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/brokerctl/ask.h"
#include "broker/brokerctl/check_host.h"
#include "broker/brokerctl/show.h"
#include "broker/brokerctl/tree.h"
#include "policy/value.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

/* Where the records of one answer go. */
struct sink {
        bool json;
        struct vtd_log *log;
        void (*show)(struct sink *sink, const struct vtd_admin_record *record);
        GPtrArray *kept;   /* of struct vtd_admin_record: what show() has not drawn yet */
        GPtrArray *before; /* the last look's */
        double seconds;    /* since then; 0: it is the first */
};

static void print_line(char *line)
{
        (void)puts(line);
        g_free(line);
}

/* REFUSED goes to standard error, unless a program reads. */
static void on_record(void *opaque, const struct vtd_admin_record *record)
{
        struct sink *sink = opaque;

        if (sink->json) {
                print_line(vtd_show_json(record));
        } else if (record->kind == VTD_ADMIN_REFUSED) {
                const char *rule = vtd_admin_text(record, VTD_ADMIN_K_RULE);

                vtd_log(sink->log, VTD_LOG_ERROR, "refused: %s%s%s%s",
                        vtd_admin_text(record, VTD_ADMIN_K_REASON), rule ? " (" : "",
                        rule ? rule : "", rule ? ")" : "");
        } else if (record->kind == VTD_ADMIN_NOTE) {
                vtd_log(sink->log, VTD_LOG_WARNING, "%s", vtd_admin_text(record, VTD_ADMIN_K_TEXT));
        } else {
                sink->show(sink, record);
        }
}

static int ask_at(int fd, const struct vtd_admin_record *request, struct sink *sink)
{
        return vtd_ask(fd, request, on_record, sink, sink->log) == 0 ? EXIT_OK : EXIT_REFUSED;
}

static int ask(const struct vtd_options *options, const struct vtd_admin_record *request,
               struct sink *sink)
{
        const char *path = options->control ? options->control : VTD_CONTROL_PATH;
        VTD_CLEANUP_FD int fd = -1;

        sink->json = options->json;
        if (vtd_ask_connect(path, &fd, sink->log) < 0)
                return EXIT_REFUSED;
        return ask_at(fd, request, sink);
}

static void show_created(struct sink *sink, const struct vtd_admin_record *record)
{
        (void)sink;
        if (record->kind == VTD_ADMIN_CREATED)
                (void)puts(vtd_admin_text(record, VTD_ADMIN_K_SOCKET));
}

/* Adds the number that @text is, unless the option is not there. */
static int put_number(struct vtd_admin_record *request, enum vtd_admin_key key, const char *text,
                      struct vtd_log *log)
{
        guint64 number;

        if (!text)
                return 0;
        if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &number, NULL))
                return vtd_fail(log, -EINVAL, "--%s %s: not a number", vtd_admin_key_row(key)->name,
                                text);
        vtd_admin_put_number(request, key, number);
        return 0;
}

/* By the rules of policy files: "512MiB". */
static int put_limit(struct vtd_admin_record *request, enum vtd_admin_key field, const char *text,
                     struct vtd_log *log)
{
        const char *key = vtd_admin_key_row(field)->name;
        g_autofree char *option = g_strdup_printf("--%s", key);
        struct vtd_policy_report report = {.file = option, .log = log};
        const struct vtd_policy_span span = {.text = text, .size = strlen(text), .column = 1};
        const struct vtd_schema_row *row;
        uint64_t value;

        for (size_t i = 0; (row = vtd_schema_row(i)); i++)
                if (row->section == VTD_SCHEMA_VM && vtd_schema_is_numeric(row) &&
                    strcmp(row->key, key) == 0)
                        break;
        if (!row || vtd_policy_read_value(&report, row, 1, &span, &value) != 0)
                return -EINVAL;
        vtd_admin_put_number(request, field, value);
        return 0;
}

static int put_limits(struct vtd_admin_record *request, const struct vtd_options *options,
                      struct vtd_log *log)
{
        for (size_t i = 0; i < VTD_POLICY_LIMIT_COUNT; i++)
                if (options->limits[i] &&
                    put_limit(request, vtd_admin_limit_key(i), options->limits[i], log) < 0)
                        return -EINVAL;
        return 0;
}

static int run_create_vm(const struct vtd_options *options, struct vtd_log *log)
{
        struct sink sink = {.log = log, .show = show_created};
        struct vtd_admin_record request;

        if (!options->tenant || !options->devices)
                return vtd_fail(log, EXIT_USAGE, "--tenant and at least one --device are needed");
        vtd_admin_begin(&request, VTD_ADMIN_CREATE_VM);
        vtd_admin_put_text(&request, VTD_ADMIN_K_TENANT, options->tenant);
        vtd_admin_put_text(&request, VTD_ADMIN_K_NAME, options->name);
        for (size_t i = 0; options->devices[i]; i++)
                vtd_admin_put_text(&request, VTD_ADMIN_K_DEVICE, options->devices[i]);
        if (put_number(&request, VTD_ADMIN_K_UID, options->uid, log) < 0 ||
            put_number(&request, VTD_ADMIN_K_EXPIRES, options->expires, log) < 0 ||
            put_limits(&request, options, log) < 0)
                return EXIT_USAGE;
        return ask(options, &request, &sink);
}

static void show_removed(struct sink *sink, const struct vtd_admin_record *record)
{
        const char *state = vtd_admin_text(record, VTD_ADMIN_K_STATE);

        if (record->kind == VTD_ADMIN_REMOVED && strcmp(state, "ended") != 0)
                vtd_log(sink->log, VTD_LOG_WARNING,
                        "the VM has ended, but its devices are still being closed");
}

static int run_remove_vm(const struct vtd_options *options, struct vtd_log *log)
{
        struct sink sink = {.log = log, .show = show_removed};
        struct vtd_admin_record request;

        vtd_admin_begin(&request, VTD_ADMIN_REMOVE_VM);
        vtd_admin_put_text(&request, VTD_ADMIN_K_TARGET, options->arguments[0]);
        return ask(options, &request, &sink);
}

static void show_revoked(struct sink *sink, const struct vtd_admin_record *record)
{
        (void)sink;
        if (record->kind == VTD_ADMIN_REVOKED)
                (void)printf("ended: VMs %" PRIu64 ", grants %" PRIu64 "\n",
                             vtd_admin_number(record, VTD_ADMIN_K_VMS, 0),
                             vtd_admin_number(record, VTD_ADMIN_K_GRANTS, 0));
}

static int run_revoke(const struct vtd_options *options, struct vtd_log *log)
{
        struct sink sink = {.log = log, .show = show_revoked};
        struct vtd_admin_record request;

        if (!options->tenant == !options->arguments || !options->reason)
                return vtd_fail(log, EXIT_USAGE, "either a VM or --tenant is needed, and --reason");
        if (options->tenant) {
                vtd_admin_begin(&request, VTD_ADMIN_REVOKE_TENANT);
                vtd_admin_put_text(&request, VTD_ADMIN_K_TENANT, options->tenant);
        } else {
                vtd_admin_begin(&request, VTD_ADMIN_REVOKE_VM);
                vtd_admin_put_text(&request, VTD_ADMIN_K_TARGET, options->arguments[0]);
        }
        vtd_admin_put_text(&request, VTD_ADMIN_K_REASON, options->reason);
        return ask(options, &request, &sink);
}

static void show_reloaded(struct sink *sink, const struct vtd_admin_record *record)
{
        (void)sink;
        if (record->kind == VTD_ADMIN_RELOADED)
                (void)printf("tenants %" PRIu64 ", of these new %" PRIu64 ", changed %" PRIu64
                             "; gone %" PRIu64 "; ended: VMs %" PRIu64 ", grants %" PRIu64 "\n",
                             vtd_admin_number(record, VTD_ADMIN_K_TENANTS, 0),
                             vtd_admin_number(record, VTD_ADMIN_K_ADDED, 0),
                             vtd_admin_number(record, VTD_ADMIN_K_CHANGED, 0),
                             vtd_admin_number(record, VTD_ADMIN_K_LEFT, 0),
                             vtd_admin_number(record, VTD_ADMIN_K_VMS, 0),
                             vtd_admin_number(record, VTD_ADMIN_K_GRANTS, 0));
}

static int run_reload(const struct vtd_options *options, struct vtd_log *log)
{
        struct sink sink = {.log = log, .show = show_reloaded};
        struct vtd_admin_record request;

        vtd_admin_begin(&request, VTD_ADMIN_RELOAD);
        return ask(options, &request, &sink);
}

static void show_status(struct sink *sink, const struct vtd_admin_record *record)
{
        (void)sink;
        vtd_show_status(record);
}

static int run_status(const struct vtd_options *options, struct vtd_log *log)
{
        struct sink sink = {.log = log, .show = show_status};
        struct vtd_admin_record request;

        vtd_admin_begin(&request, VTD_ADMIN_STATUS);
        return ask(options, &request, &sink);
}

static void keep(GPtrArray *records, const struct vtd_admin_record *record)
{
        g_ptr_array_add(records, g_memdup2(record, sizeof(*record)));
}

/* A VM is drawn when the next one, or the end, comes. */
static void show_tree(struct sink *sink, const struct vtd_admin_record *record)
{
        bool begins = record->kind == VTD_ADMIN_VM || record->kind == VTD_ADMIN_DONE;

        if (begins && sink->kept->len > 0) {
                g_autofree char *drawing = vtd_tree_draw(sink->kept);

                (void)fputs(drawing, stdout);
                g_ptr_array_set_size(sink->kept, 0);
        }
        if (record->kind != VTD_ADMIN_DONE)
                keep(sink->kept, record);
}

static void begin_about(struct vtd_admin_record *request, enum vtd_admin_kind kind,
                        const struct vtd_options *options)
{
        vtd_admin_begin(request, kind);
        if (options->arguments)
                vtd_admin_put_text(request, VTD_ADMIN_K_TARGET, options->arguments[0]);
}

static int run_tree(const struct vtd_options *options, struct vtd_log *log)
{
        g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func(g_free);
        struct sink sink = {.log = log, .show = show_tree, .kept = kept};
        struct vtd_admin_record request;

        begin_about(&request, VTD_ADMIN_TREE, options);
        return ask(options, &request, &sink);
}

/* The counters of the same VM at the last look, or NULL. */
static const struct vtd_admin_record *find_before(const struct sink *sink,
                                                  const struct vtd_admin_record *record)
{
        uint64_t vm = vtd_admin_number(record, VTD_ADMIN_K_VM, 0);

        for (guint i = 0; sink->before && i < sink->before->len; i++) {
                const struct vtd_admin_record *other = g_ptr_array_index(sink->before, i);

                if (vtd_admin_number(other, VTD_ADMIN_K_VM, 0) == vm)
                        return other;
        }
        return NULL;
}

static void show_stats(struct sink *sink, const struct vtd_admin_record *record)
{
        if (record->kind != VTD_ADMIN_COUNTERS && record->kind != VTD_ADMIN_SILENT)
                return;
        vtd_show_stats(record, find_before(sink, record), sink->seconds);
        if (sink->kept && record->kind == VTD_ADMIN_COUNTERS)
                keep(sink->kept, record);
}

static int run_stats(const struct vtd_options *options, struct vtd_log *log)
{
        struct sink sink = {.log = log, .show = show_stats};
        struct vtd_admin_record request;

        begin_about(&request, VTD_ADMIN_STATS, options);
        if (!options->json)
                vtd_show_stats_title(false);
        return ask(options, &request, &sink);
}

/* Shows counters, and what came to them since the last look. */
static int look(int fd, const struct vtd_admin_record *request, struct sink *sink, bool again)
{
        if (!sink->json) {
                if (again && isatty(STDOUT_FILENO))
                        (void)fputs("\033[H\033[2J", stdout);
                vtd_show_stats_title(sink->seconds > 0);
        }
        if (ask_at(fd, request, sink) != EXIT_OK || fflush(stdout) != 0)
                return EXIT_REFUSED;
        return EXIT_OK;
}

static int watch_at(int fd, const struct vtd_options *options, struct sink *sink)
{
        struct vtd_admin_record request;
        gint64 last = 0;

        begin_about(&request, VTD_ADMIN_STATS, options);
        for (gint i = 0; options->count == 0 || i < options->count; i++) {
                g_autoptr(GPtrArray) before = sink->kept;
                gint64 now;

                if (i > 0)
                        g_usleep((gulong)options->interval * G_USEC_PER_SEC);
                now = g_get_monotonic_time();
                sink->before = before;
                sink->kept = g_ptr_array_new_with_free_func(g_free);
                sink->seconds = i > 0 ? (double)(now - last) / G_USEC_PER_SEC : 0;
                last = now;
                if (look(fd, &request, sink, i > 0) != EXIT_OK)
                        return EXIT_REFUSED;
        }
        return EXIT_OK;
}

static int run_watch(const struct vtd_options *options, struct vtd_log *log)
{
        const char *path = options->control ? options->control : VTD_CONTROL_PATH;
        struct sink sink = {.log = log, .show = show_stats, .json = options->json};
        VTD_CLEANUP_FD int fd = -1;
        int result;

        if (options->interval < 1 || options->interval > 50 || options->count < 0)
                return vtd_fail(log, EXIT_USAGE,
                                "--interval %d --count %d: 1 to 50 seconds, and not below 0",
                                options->interval, options->count);
        if (vtd_ask_connect(path, &fd, log) < 0)
                return EXIT_REFUSED;
        sink.kept = g_ptr_array_new_with_free_func(g_free);
        result = watch_at(fd, options, &sink);
        g_ptr_array_unref(sink.kept);
        return result;
}

static int run_check_host(const struct vtd_options *options, struct vtd_log *log)
{
        const char *const none[] = {NULL};

        (void)log;
        return vtd_check_host(options->sysroot ? options->sysroot : "",
                              options->devices ? (const char *const *)options->devices : none,
                              options->json) == 0
                       ? EXIT_OK
                       : EXIT_REFUSED;
}

#define ANY (VTD_OPTION_CONTROL | VTD_OPTION_JSON)

static const struct vtd_command commands[] = {
        {"vm create", "", "Allows one VM of a tenant, and prints its socket",
         ANY | VTD_OPTION_CREATE, 0, 0, run_create_vm},
        {"vm remove", "VM", "Ends a VM in order: devices blocked, then memory unmapped", ANY, 1, 1,
         run_remove_vm},
        {"revoke", "[VM]", "Ends a VM, or a tenant's all, at once", ANY | VTD_OPTION_REVOKE, 0, 1,
         run_revoke},
        {"status", "", "Shows tenants, grants and VMs", ANY, 0, 0, run_status},
        {"tree", "[VM]", "Shows address spaces, tables, devices and PASIDs", ANY, 0, 1, run_tree},
        {"stats", "[VM]", "Shows what VMs have asked for and hold", ANY, 0, 1, run_stats},
        {"watch", "[VM]", "Shows the same again and again, with rates", ANY | VTD_OPTION_WATCH, 0,
         1, run_watch},
        {"reload", "", "Has the policies read again, and says what was wrong", ANY, 0, 0,
         run_reload},
        {"check-host", "", "Says what this host lacks, and how to mend it",
         VTD_OPTION_JSON | VTD_OPTION_DEVICE | VTD_OPTION_ROOT, 0, 0, run_check_host},
};

const struct vtd_command *vtd_command_at(size_t index)
{
        return index < VTD_ARRAY_SIZE(commands) ? &commands[index] : NULL;
}

const struct vtd_command *vtd_command_find(int argc, char **argv, int *words)
{
        for (size_t i = 0; i < VTD_ARRAY_SIZE(commands); i++) {
                g_auto(GStrv) parts = g_strsplit(commands[i].name, " ", -1);
                int count = (int)g_strv_length(parts), same = 0;

                while (same < count && same + 1 < argc && strcmp(argv[same + 1], parts[same]) == 0)
                        same++;
                if (same == count) {
                        *words = count;
                        return &commands[i];
                }
        }
        return NULL;
}
