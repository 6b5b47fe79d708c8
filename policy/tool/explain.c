/* SPDX-License-Identifier: MIT */
/*
 * vtd-policy explain: whether policy would grant a request, and the line that decides; by the
 * judgement that the worker enforces (policy/judge.h), in the worker's order.  The requests are taken
 * as one VM's, one after the other, which gives nothing back.
 *
 * What policy cannot know is taken to be in order: memory that is mapped, what the host's IOMMU can
 * do, whether another VM has the device.  A grant here is therefore no promise; a refusal is one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/judge.h"
#include "policy/tool/input.h"
#include "policy/tool/verbs.h"
#include "policy/value.h"
#include "shared/checked.h"

#define WORDS_MAX    12u
#define REQUEST_SIZE 160u
#define PASID_MAX    0xfffffu /* 20 bits */

struct request {
        unsigned number; /* counted from 1 */
        unsigned count;
        char text[REQUEST_SIZE];
        char *words[WORDS_MAX]; /* in text, which they cut */
        struct vtd_policy_report report;
};

struct explain {
        struct vtd_input input;
        uint64_t used[VTD_POLICY_LIMIT_COUNT]; /* by the requests so far */
        uint32_t plugged;                      /* of the devices, by bit */
        const char *request;                   /* that is being judged */
        bool refused;                          /* it was */
        struct vtd_log log;
};

_Static_assert(VTD_LIMIT_DEVICES <= 32, "struct explain has 32 bits for devices");

/* Numbers of requests, which no key of a policy has. */
static const struct vtd_schema_row size_row = {.key = "SIZE",
                                               .type = VTD_SCHEMA_SIZE,
                                               .minimum = VTD_PAGE_SIZE,
                                               .maximum = UINT64_C(1) << 62};
static const struct vtd_schema_row pasid_row = {
        .key = "PASID", .type = VTD_SCHEMA_NUMBER, .minimum = 1, .maximum = PASID_MAX};
static const struct vtd_schema_row vectors_row = {
        .key = "VECTORS", .type = VTD_SCHEMA_NUMBER, .minimum = 1, .maximum = UINT32_MAX};
static const struct vtd_schema_row rate_row = {
        .key = "RATE", .type = VTD_SCHEMA_NUMBER, .minimum = 1, .maximum = UINT32_MAX};
static const struct vtd_schema_row burst_row = {
        .key = "BURST", .type = VTD_SCHEMA_NUMBER, .minimum = 1, .maximum = UINT32_MAX};

static void print_error(void *opaque, enum vtd_log_level level, const char *line)
{
        (void)opaque;
        (void)level;
        fprintf(stderr, "%s\n", line);
}

/* A request that cannot be understood; @word is where. */
static int misread(struct request *request, const char *word, const char *allowed)
{
        struct vtd_policy_shown shown;

        return vtd_policy_error(&request->report, request->number,
                                (size_t)(word - request->text) + 1, "\"%s\"; expected: %s",
                                vtd_policy_show_text(&shown, word, strlen(word)), allowed);
}

static int read_number(struct request *request, const struct vtd_schema_row *row, const char *word,
                       uint64_t *value)
{
        const struct vtd_policy_span span = {word, strlen(word),
                                             (size_t)(word - request->text) + 1};

        return vtd_policy_read_value(&request->report, row, request->number, &span, value);
}

static const struct vtd_schema_row *row_of_vm(const char *key)
{
        const struct vtd_schema_row *row;

        for (size_t i = 0; (row = vtd_schema_row(i)); i++)
                if (row->section == VTD_SCHEMA_VM && strcmp(row->key, key) == 0)
                        break;
        return row;
}

/* " (blue.policy:7)", or that no line decided. */
static void print_place(const struct explain *explain, uint32_t line)
{
        if (line != 0)
                printf(" (%s:%" PRIu32 ")", explain->input.policy.file, line);
        else
                printf(" (default)");
}

/* A verdict's first words; @reason is as the audit log and the protocol have it. */
static void say_refused(struct explain *explain, const char *reason)
{
        explain->refused = true;
        printf("%s: refused: %s: ", explain->request, reason);
}

static void say_granted(const struct explain *explain)
{
        printf("%s: granted", explain->request);
}

/* A value in the words of the key that bounds it. */
static void print_value(const char *key, uint64_t value)
{
        char text[VTD_POLICY_TEXT_SIZE];

        vtd_policy_format_value(row_of_vm(key), value, text);
        printf("%s", text);
}

/* Says how @verdict refused, for a key of [vm]; false when it granted. */
static bool is_refused(struct explain *explain, struct vtd_policy_verdict verdict,
                       const char *reason, const char *key)
{
        if (verdict.granted)
                return false;
        say_refused(explain, reason);
        print_value(key, verdict.asked);
        printf(" asked, %s: ", key);
        print_value(key, verdict.allowed);
        print_place(explain, verdict.line);
        printf("\n");
        return true;
}

/* Charges what a request keeps; false when that was refused. */
static bool charge(struct explain *explain, enum vtd_policy_limit_index index, uint64_t amount,
                   const char *reason, const char *key)
{
        struct vtd_policy_verdict verdict =
                vtd_policy_judge_limit(&explain->input.policy, index, explain->used[index], amount);

        if (is_refused(explain, verdict, reason, key))
                return false;
        explain->used[index] = verdict.asked;
        return true;
}

/* The device that the second word names; *@device is NULL when that was refused. */
static int find_device(struct explain *explain, struct request *request,
                       const struct vtd_policy_device **device)
{
        const struct vtd_policy *policy = &explain->input.policy;
        const char *name = request->words[1];

        if (vtd_schema_device_prefix(name, strlen(name)) != strlen(name))
                return misread(request, name, "the name of a device");
        *device = vtd_policy_find_device(policy, name);
        if (*device)
                return 0;
        say_refused(explain, "device-not-granted");
        printf("there is no such section");
        print_place(explain, policy->tenant_line);
        printf("\n");
        return 0;
}

/* What the host may still refuse, because no exception is named. */
static void print_conditions(const struct vtd_policy_device *device)
{
        static const struct {
                uint32_t exception;
                const char *text;
        } conditions[] = {
                {VTD_POLICY_ALLOW_SHARED_GROUP, "its IOMMU group has no other member"},
                {VTD_POLICY_ALLOW_NO_RESET, "it can be reset"},
                {VTD_POLICY_ALLOW_NO_SNOOP_CONTROL, "its IOMMU controls snooping"},
        };
        const char *between = ", if ";

        for (size_t i = 0; i < VTD_ARRAY_SIZE(conditions); i++) {
                if (device->exceptions & conditions[i].exception)
                        continue;
                printf("%s%s", between, conditions[i].text);
                between = ", ";
        }
}

static int explain_plug(struct explain *explain, struct request *request)
{
        const struct vtd_policy_device *device;
        uint32_t bit;

        if (find_device(explain, request, &device) != 0)
                return -EINVAL;
        if (!device)
                return 0;
        bit = UINT32_C(1) << (device - explain->input.policy.devices);
        if (explain->plugged & bit) {
                say_refused(explain, "device-plugged");
                printf("the VM has it already\n");
                return 0;
        }
        if (!charge(explain, VTD_POLICY_DEVICES, 1, "device-limit", "devices"))
                return 0;
        explain->plugged |= bit;
        say_granted(explain);
        print_place(explain, device->line);
        print_conditions(device);
        printf("\n");
        return 0;
}

/* What an attach asks for. */
struct attach {
        uint64_t mode; /* VTD_POLICY_MODE_* */
        uint64_t width;
        uint64_t flags;
        uint64_t pasid; /* 0: none */
};

static int read_mode(struct request *request, uint64_t *mode)
{
        const char *word = request->words[2];
        const struct vtd_schema_word *known =
                vtd_schema_word(row_of_vm("modes")->words, word, strlen(word));

        *mode = known ? known->value : VTD_POLICY_MODE_BLOCKED;
        return known || strcmp(word, "blocked") == 0
                       ? 0
                       : misread(request, word, "blocked, passthrough or first-stage");
}

static int read_attach(struct request *request, struct attach *attach)
{
        static const char allowed[] = "48, 57, sre, eafe or wpe (for first-stage), or pasid PASID";
        const struct vtd_schema_word *widths = row_of_vm("address-width")->words;
        const struct vtd_schema_word *flags = row_of_vm("first-stage-flags")->words;

        *attach = (struct attach){.width = 48};
        if (read_mode(request, &attach->mode) != 0)
                return -EINVAL;
        for (unsigned i = 3; i < request->count; i++) {
                const char *word = request->words[i];
                const struct vtd_schema_word *width = vtd_schema_word(widths, word, strlen(word));
                const struct vtd_schema_word *flag = vtd_schema_word(flags, word, strlen(word));

                if (strcmp(word, "pasid") == 0 && i + 1 < request->count) {
                        if (read_number(request, &pasid_row, request->words[++i], &attach->pasid) !=
                            0)
                                return -EINVAL;
                } else if ((!width && !flag) || attach->mode != VTD_POLICY_MODE_FIRST_STAGE) {
                        return misread(request, word, allowed);
                } else if (width) {
                        attach->width = width->value;
                } else {
                        attach->flags |= flag->value;
                }
        }
        return 0;
}

static bool judge_first_stage(struct explain *explain, const struct attach *attach)
{
        const struct vtd_policy *policy = &explain->input.policy;

        return !is_refused(explain, vtd_policy_judge_flags(policy, (uint32_t)attach->flags),
                           "flags-not-granted", "first-stage-flags") &&
               !is_refused(explain, vtd_policy_judge_width(policy, attach->width),
                           "width-not-granted", "address-width");
}

static int explain_attach(struct explain *explain, struct request *request)
{
        const struct vtd_policy *policy = &explain->input.policy;
        const struct vtd_policy_device *device;
        struct vtd_policy_verdict mode;
        struct attach attach;

        if (read_attach(request, &attach) != 0 || find_device(explain, request, &device) != 0)
                return -EINVAL;
        if (!device)
                return 0;
        mode = vtd_policy_judge_mode(policy, (uint32_t)attach.mode);
        if (is_refused(explain, mode, "mode-not-granted", "modes"))
                return 0;
        if (attach.mode == VTD_POLICY_MODE_BLOCKED) {
                say_granted(explain);
                printf(": every device may be blocked\n");
                return 0;
        }
        if (attach.mode == VTD_POLICY_MODE_FIRST_STAGE && !judge_first_stage(explain, &attach))
                return 0;
        if (attach.pasid != 0 && !charge(explain, VTD_POLICY_PASIDS, 1, "pasid-limit", "pasids"))
                return 0;
        if (attach.mode == VTD_POLICY_MODE_FIRST_STAGE &&
            !charge(explain, VTD_POLICY_FIRST_STAGE_TABLES, 1, "first-stage-table-limit",
                    "first-stage-tables"))
                return 0;
        say_granted(explain);
        print_place(explain, mode.line);
        printf("%s\n", attach.pasid != 0 ? ", if the device has such a PASID" : "");
        return 0;
}

/* Memory that devices could not write: erratum-772415 says what becomes of it. */
static void explain_read_only(struct explain *explain)
{
        const struct vtd_policy *policy = &explain->input.policy;
        bool skip = policy->read_only == VTD_POLICY_READ_ONLY_SKIP;

        if (skip) {
                say_granted(explain);
                printf(": no device can reach it, erratum-772415: skip");
        } else {
                say_refused(explain, "memfd-access");
                printf("erratum-772415: refuse");
        }
        print_place(explain, policy->read_only_line);
        printf("\n");
}

static int explain_map(struct explain *explain, struct request *request)
{
        bool read_only = request->count == 3;
        bool skip = explain->input.policy.read_only == VTD_POLICY_READ_ONLY_SKIP;
        uint64_t size;

        if (read_only && strcmp(request->words[2], "read-only") != 0)
                return misread(request, request->words[2], "read-only, or nothing");
        if (read_number(request, &size_row, request->words[1], &size) != 0)
                return -EINVAL;
        if (!charge(explain, VTD_POLICY_MAPPINGS, 1, "mapping-limit", "mappings"))
                return 0;
        if (!charge(explain, VTD_POLICY_MEMORY, read_only && skip ? 0 : size, "memory-limit",
                    "memory"))
                return 0;
        if (read_only) {
                explain_read_only(explain);
                return 0;
        }
        say_granted(explain);
        print_place(explain, explain->input.policy.limits[VTD_POLICY_MEMORY].line);
        printf("\n");
        return 0;
}

static int explain_region(struct explain *explain, struct request *request)
{
        const struct vtd_schema_row bar_row = {
                .key = "BAR", .type = VTD_SCHEMA_NUMBER, .maximum = VTD_SCHEMA_BARS - 1};
        const char *access = request->words[3];
        bool write = strcmp(access, "w") == 0, config = strcmp(request->words[2], "config") == 0;
        const struct vtd_policy_device *device;
        struct vtd_policy_verdict verdict;
        char allowed[VTD_POLICY_TEXT_SIZE];
        uint64_t bar = 0;

        if (!write && strcmp(access, "r") != 0)
                return misread(request, access, "r or w");
        if ((!config && read_number(request, &bar_row, request->words[2], &bar) != 0) ||
            find_device(explain, request, &device) != 0)
                return -EINVAL;
        if (!device)
                return 0;
        verdict = config ? vtd_policy_judge_config(device, write)
                         : vtd_policy_judge_region(device, (uint32_t)bar, write);
        if (verdict.granted)
                say_granted(explain);
        else
                say_refused(explain, config ? "config-not-granted" : "region-not-granted");
        vtd_policy_format_regions(device->regions_read, device->regions_write, allowed);
        printf("%sregions: %s", verdict.granted ? ": " : "", allowed);
        print_place(explain, verdict.line);
        printf("\n");
        return 0;
}

static int explain_interrupts(struct explain *explain, struct request *request)
{
        uint64_t vectors;

        if (read_number(request, &vectors_row, request->words[1], &vectors) != 0)
                return -EINVAL;
        if (!charge(explain, VTD_POLICY_INTERRUPTS, vectors, "interrupt-limit", "interrupts"))
                return 0;
        say_granted(explain);
        print_place(explain, explain->input.policy.limits[VTD_POLICY_INTERRUPTS].line);
        printf("\n");
        return 0;
}

/* Never refused: over the rate, entries merge and answers wait. */
static int explain_invalidate(struct explain *explain, struct request *request)
{
        const struct vtd_policy *policy = &explain->input.policy;
        const char *rate_key = "invalidate-rate", *burst_key = "invalidate-burst";
        struct vtd_policy_verdict rate, burst;
        uint64_t entries, at_once = 1;

        if (read_number(request, &rate_row, request->words[1], &entries) != 0 ||
            (request->count == 3 &&
             read_number(request, &burst_row, request->words[2], &at_once) != 0))
                return -EINVAL;
        rate = vtd_policy_judge_limit(policy, VTD_POLICY_INVALIDATE_RATE, 0, entries);
        burst = vtd_policy_judge_limit(policy, VTD_POLICY_INVALIDATE_BURST, 0, at_once);
        say_granted(explain);
        printf("%s: %s: ", rate.granted && burst.granted ? "" : ", slowed down",
               rate.granted && !burst.granted ? burst_key : rate_key);
        print_value(rate_key, rate.granted && !burst.granted ? burst.allowed : rate.allowed);
        print_place(explain, rate.granted && !burst.granted ? burst.line : rate.line);
        if (!rate.granted || !burst.granted)
                printf(", entries merge into flushes of the whole table, and answers are delayed "
                       "by at most %u ms",
                       VTD_LIMIT_INVALIDATE_DELAY_MS);
        printf("\n");
        return 0;
}

static const struct {
        const char *name;
        unsigned least; /* words, with its name */
        unsigned most;
        int (*explain)(struct explain *explain, struct request *request);
        const char *usage;
} kinds[] = {
        {"plug", 2, 2, explain_plug, "plug NAME"},
        {"attach", 3, WORDS_MAX, explain_attach,
         "attach NAME blocked|passthrough|first-stage [48|57] [sre] [eafe] [wpe] [pasid PASID]"},
        {"map", 2, 3, explain_map, "map SIZE [read-only]"},
        {"region", 4, 4, explain_region, "region NAME BAR|config r|w"},
        {"interrupts", 2, 2, explain_interrupts, "interrupts VECTORS"},
        {"invalidate", 2, 3, explain_invalidate, "invalidate RATE [BURST]"},
};

/* Cuts @text into words at single blanks. */
static int split(struct request *request, const char *text)
{
        char *next = request->text, *word;

        if (strlen(text) >= sizeof(request->text)) {
                (void)vtd_policy_error(&request->report, request->number, 1,
                                       "the request has %zu characters; allowed: %zu", strlen(text),
                                       sizeof(request->text) - 1);
                return -EINVAL;
        }
        memcpy(request->text, text, strlen(text) + 1);
        while ((word = strsep(&next, " ")) != NULL) {
                if (request->count == WORDS_MAX || word[0] == '\0')
                        return misread(request, word, "words with one blank between two of them");
                request->words[request->count++] = word;
        }
        return 0;
}

static int explain_one(struct explain *explain, unsigned number, const char *text)
{
        struct request request = {.number = number,
                                  .report = {.file = "request", .log = &explain->log}};

        explain->request = text;
        explain->refused = false;
        if (split(&request, text) != 0)
                return -EINVAL;
        for (size_t i = 0; i < VTD_ARRAY_SIZE(kinds); i++) {
                if (strcmp(request.words[0], kinds[i].name) != 0)
                        continue;
                if (request.count < kinds[i].least || request.count > kinds[i].most)
                        return misread(&request, request.words[0], kinds[i].usage);
                return kinds[i].explain(explain, &request);
        }
        return misread(&request, request.words[0],
                       "plug, attach, map, region, interrupts or invalidate");
}

enum vtd_policy_exit vtd_policy_explain(const char *file, char **requests)
{
        struct explain explain = {.log = {.sink = print_error, .threshold = VTD_LOG_INFO}};
        enum vtd_policy_exit status = VTD_EXIT_GOOD;

        if (vtd_input_read(&explain.input, file) != 0)
                return VTD_EXIT_NO_ANSWER;
        for (unsigned i = 0; requests[i]; i++) {
                uint64_t used[VTD_POLICY_LIMIT_COUNT];

                memcpy(used, explain.used, sizeof(used));
                if (explain_one(&explain, i + 1, requests[i]) != 0)
                        return VTD_EXIT_NO_ANSWER;
                if (!explain.refused)
                        continue;
                /* A request that is refused keeps nothing. */
                memcpy(explain.used, used, sizeof(used));
                status = VTD_EXIT_REFUSED;
        }
        return status;
}
