/* SPDX-License-Identifier: MIT */
/*
 * See audit_log.h.  Records come from workers that may have been taken over: the numbers are
 * theirs, but time, tenant, VM, file and every word are vtd-brokerd's own, so that no worker can
 * write a line in another's name.
 */
#include "broker/brokerd/audit_log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/brokerd/audit_names.h"

/* Longest line: all fields of a host call take about 400 characters, escaped text as many again. */
#define LINE_SIZE 1536u

/* Per VM and second, each: refusals and events are few unless a VMM provokes them. */
#define IMPORTANT_RATE  100u
#define IMPORTANT_BURST 500u
#define ORDINARY_RATE   2000u
#define ORDINARY_BURST  10000u

struct line {
        size_t used;
        char text[LINE_SIZE];
};

__attribute__((format(printf, 2, 3))) static void append(struct line *line, const char *format, ...)
{
        va_list arguments;
        int length;

        va_start(arguments, format);
        length = vsnprintf(line->text + line->used, sizeof(line->text) - line->used, format,
                           arguments);
        va_end(arguments);
        if (length > 0)
                line->used += (size_t)length;
        /* Does not happen with fields of bounded length; a cut line is still a bounded one. */
        if (line->used >= sizeof(line->text))
                line->used = sizeof(line->text) - 1;
}

/* A JSON string; what is not plain ASCII is escaped, whoever wrote it. */
static void append_text(struct line *line, const char *key, const char *text)
{
        append(line, ",\"%s\":\"", key);
        for (size_t i = 0; text[i] != '\0' && i < 256; i++) {
                unsigned char c = (unsigned char)text[i];

                if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
                        append(line, "%c", c);
                else
                        append(line, "\\u%04x", c);
        }
        append(line, "\"");
}

static void append_number(struct line *line, const char *key, uint64_t value)
{
        append(line, ",\"%s\":%" PRIu64, key, value);
}

static void append_field(struct line *line, const struct vtd_audit_field *field, uint64_t value)
{
        if (!field->name)
                return;
        if (field->hex)
                append(line, ",\"%s\":\"0x%" PRIx64 "\"", field->name, value);
        else
                append_number(line, field->name, value);
}

static void append_rule(struct line *line, const struct vtd_audit_source *source, uint32_t number)
{
        char rule[VTD_POLICY_FILE_NAME + 16];

        if (number == 0)
                return;
        (void)snprintf(rule, sizeof(rule), "%s:%" PRIu32, source->file, number);
        append_text(line, "rule", rule);
}

static uint64_t now_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void begin(struct line *line, const struct vtd_audit_source *source, const char *kind)
{
        struct timespec now;
        struct tm utc;
        char text[32];

        line->used = 0;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        if (!gmtime_r(&now.tv_sec, &utc) ||
            strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc) == 0)
                text[0] = '\0';
        append(line, "{\"time\":\"%s.%06ldZ\"", text, now.tv_nsec / 1000);
        if (source->tenant)
                append_text(line, "tenant", source->tenant);
        if (source->vm != 0)
                append_number(line, "vm", source->vm);
        if (source->name && source->name[0] != '\0')
                append_text(line, "name", source->name);
        append_text(line, "kind", kind);
}

static void lose(struct vtd_audit_log *log, struct vtd_audit_source *source, uint64_t lines)
{
        source->lost += lines;
        log->lost += lines;
}

/* Adds the count of lost lines, closes the object and queues it, or counts it as lost itself. */
static void finish(struct vtd_audit_log *log, struct vtd_audit_source *source, struct line *line)
{
        if (source->lost > 0)
                append_number(line, "lost", source->lost);
        append(line, "}\n");
        if (line->used > sizeof(log->buffer) - log->used)
                vtd_audit_log_flush(log);
        if (line->used > sizeof(log->buffer) - log->used) {
                lose(log, source, 1);
                return;
        }
        source->lost = 0;
        log->lines++;
        memcpy(log->buffer + log->used, line->text, line->used);
        log->used += line->used;
        vtd_audit_log_flush(log);
}

void vtd_audit_log_init(struct vtd_audit_log *log, struct vtd_audit_sink *sink,
                        struct vtd_log *report)
{
        log->sink = sink;
        log->report = report;
        log->is_lost = false;
        log->trouble = 0;
        log->lines = log->lost = 0;
        log->used = 0;
}

void vtd_audit_source_init(struct vtd_audit_source *source, const char *tenant, const char *file,
                           uint32_t vm)
{
        *source = (struct vtd_audit_source){.tenant = tenant, .file = file, .vm = vm};
        vtd_bucket_init(&source->events, IMPORTANT_RATE, IMPORTANT_BURST, now_ms());
        vtd_bucket_init(&source->refusals, IMPORTANT_RATE, IMPORTANT_BURST, now_ms());
        vtd_bucket_init(&source->ordinary, ORDINARY_RATE, ORDINARY_BURST, now_ms());
}

static void format_request(struct line *line, const struct vtd_audit_source *source,
                           const struct vtd_control_audit *record)
{
        const struct vtd_request_kind *kind = vtd_request_kind(record->code);

        begin(line, source, "request");
        append_text(line, "request", kind ? kind->name : "unknown");
        append_number(line, "sequence", record->sequence);
        if (record->device_name[0] != '\0')
                append_text(line, "device", record->device_name);
        if (record->subject != 0)
                append(line, ",\"handle\":\"0x%" PRIx64 "\"", record->subject);
        if (record->code == VTD_REQUEST_ATTACH && record->detail[1] != 0 &&
            record->detail[1] < VTD_ATTACH_MODE_END) {
                append_number(line, "pasid", record->detail[0]);
                append_text(line, "mode",
                            vtd_attach_mode_name((enum vtd_attach_mode)record->detail[1]));
                append(line, ",\"root\":\"0x%" PRIx64 "\"", record->detail[2]);
        }
        if (record->status == 0) {
                append_text(line, "verdict", "done");
        } else {
                append_text(line, "verdict", "refused");
                append_text(line, "status", vtd_status_name((enum vtd_status)record->status));
                append_text(line, "reason", vtd_reason_name((enum vtd_reason)record->reason));
                append_number(line, "asked", record->asked);
                append_number(line, "allowed", record->allowed);
        }
}

static void format_host_call(struct line *line, const struct vtd_audit_source *source,
                             const struct vtd_control_audit *record)
{
        const struct vtd_audit_call *call = vtd_audit_call((enum vtd_audit_host_call)record->code);

        begin(line, source, "host-call");
        append_text(line, "call", call->name);
        append_number(line, "sequence", record->sequence);
        append_field(line, &call->subject, record->subject);
        for (size_t i = 0; i < 3; i++)
                append_field(line, &call->detail[i], record->detail[i]);
        append(line, ",\"result\":%" PRId32, record->result);
}

static void format_event(struct line *line, const struct vtd_audit_source *source,
                         const struct vtd_control_audit *record)
{
        begin(line, source, "event");
        append_text(line, "event", vtd_audit_event_name((enum vtd_audit_event)record->code));
        if (record->device_name[0] != '\0')
                append_text(line, "device", record->device_name);
        if (record->code == VTD_AUDIT_EVENT_BINDING_BLOCKED) {
                append(line, ",\"handle\":\"0x%" PRIx64 "\"", record->subject);
                append_number(line, "pasid", record->detail[0]);
        }
        if (record->code == VTD_AUDIT_EVENT_READ_ONLY_SKIPPED)
                append(line,
                       ",\"handle\":\"0x%" PRIx64 "\",\"gpa\":\"0x%" PRIx64
                       "\",\"size\":\"0x%" PRIx64 "\"",
                       record->subject, record->detail[0], record->detail[1]);
        append(line, ",\"result\":%" PRId32, record->result);
}

void vtd_audit_log_record(struct vtd_audit_log *log, struct vtd_audit_source *source,
                          const struct vtd_control_audit *record)
{
        /* A VMM can have as many of these events as it likes: they must not displace others. */
        bool provoked = record->kind == VTD_AUDIT_EVENT &&
                        record->code == VTD_AUDIT_EVENT_READ_ONLY_SKIPPED;
        struct vtd_bucket *bucket = record->kind == VTD_AUDIT_EVENT && !provoked ? &source->events
                                    : record->status != 0 || provoked            ? &source->refusals
                                                                      : &source->ordinary;
        struct line line;

        lose(log, source, record->lost);
        if (!vtd_bucket_take(bucket, now_ms())) {
                lose(log, source, 1);
                return;
        }
        switch ((enum vtd_audit_kind)record->kind) {
        case VTD_AUDIT_REQUEST:
                format_request(&line, source, record);
                break;
        case VTD_AUDIT_HOST_CALL:
                format_host_call(&line, source, record);
                break;
        case VTD_AUDIT_EVENT:
        case VTD_AUDIT_KIND_END:
                format_event(&line, source, record);
                break;
        }
        append_rule(&line, source, record->line);
        if (record->nanoseconds != 0)
                append_number(&line, "ns", record->nanoseconds);
        finish(log, source, &line);
}

void vtd_audit_log_event(struct vtd_audit_log *log, struct vtd_audit_source *source,
                         const struct vtd_audit_event_line *event)
{
        struct line line;

        if (!vtd_bucket_take(&source->events, now_ms()) && !event->ending) {
                lose(log, source, 1);
                return;
        }
        begin(&line, source, "event");
        append_text(&line, "event", event->event);
        if (event->device)
                append_text(&line, "device", event->device);
        if (event->pid != 0)
                append_number(&line, "pid", (uint64_t)event->pid);
        if (event->uid != 0)
                append_number(&line, "uid", event->uid);
        if (event->text)
                append_text(&line, "text", event->text);
        append_rule(&line, source, event->line);
        finish(log, source, &line);
}

/* The reader is gone for good: what waits has nowhere to go. */
static void drop_all(struct vtd_audit_log *log)
{
        log->used = 0;
        if (!log->is_lost)
                vtd_log(log->report, VTD_LOG_ERROR,
                        "audit: nobody reads the lines any more, they are lost");
        log->is_lost = true;
}

/* Says once that lines cannot be written, and once that they can. */
static void report_trouble(struct vtd_audit_log *log, int error)
{
        if (error == log->trouble)
                return;
        log->trouble = error;
        if (error != 0)
                vtd_log(log->report, VTD_LOG_ERROR,
                        "audit: %s: lines wait, %u bytes of them; more are lost, and counted",
                        strerror(-error), VTD_AUDIT_BUFFER_SIZE);
        else
                vtd_log(log->report, VTD_LOG_INFO, "audit: lines are written again");
}

void vtd_audit_log_flush(struct vtd_audit_log *log)
{
        while (log->used > 0) {
                size_t taken;
                int error, r;

                r = vtd_audit_sink_write(log->sink, log->buffer, log->used, &taken, &error);
                if (r == VTD_AUDIT_SINK_E_GONE) {
                        drop_all(log);
                        return;
                }
                if (r != 0) {
                        if (error != 0)
                                report_trouble(log, error);
                        return;
                }
                report_trouble(log, 0);
                log->used -= taken;
                memmove(log->buffer, log->buffer + taken, log->used);
        }
}

int vtd_audit_log_reopen(struct vtd_audit_log *log)
{
        int result;

        vtd_audit_log_flush(log); /* to the old file, if that takes it */
        result = vtd_audit_sink_reopen(log->sink, log->report);
        vtd_audit_log_flush(log);
        return result;
}
