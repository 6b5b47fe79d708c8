/* SPDX-License-Identifier: MIT */
/*
 * See seccomp_filter.h.  May assume nothing about the rows but their type; a row that libseccomp
 * does not take is an error, never skipped.
 */
#include "broker/sandbox/seccomp_filter.h"

#include <seccomp.h>
#include <string.h>

#include "broker/sandbox/seccomp_table.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "shared/error.h"

static void release_filter(scmp_filter_ctx *filter)
{
        if (*filter)
                seccomp_release(*filter);
}

static int add_row(scmp_filter_ctx filter, const struct vtd_seccomp_row *row, struct vtd_log *log)
{
        struct scmp_arg_cmp arguments[VTD_SECCOMP_CONDITIONS];
        unsigned count = 0;
        int result;

        while (count < VTD_SECCOMP_CONDITIONS && row->conditions[count].mask != 0) {
                const struct vtd_seccomp_condition *c = &row->conditions[count];

                arguments[count] = (struct scmp_arg_cmp){
                        .arg = c->argument,
                        .op = SCMP_CMP_MASKED_EQ,
                        .datum_a = c->mask,
                        .datum_b = c->value,
                };
                count++;
        }
        result = seccomp_rule_add_exact_array(filter, SCMP_ACT_ALLOW, row->syscall, count,
                                              arguments);
        if (result < 0)
                return vtd_fail(log, result,
                                "seccomp: row for system call %d (%s) not accepted: %s",
                                row->syscall, row->reason, strerror(-result));
        return 0;
}

static int set_attributes(scmp_filter_ctx filter, struct vtd_log *log)
{
        static const struct {
                enum scmp_filter_attr attribute;
                uint32_t value;
        } attributes[] = {
                {SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS},
                {SCMP_FLTATR_CTL_NNP, 1},
                {SCMP_FLTATR_CTL_TSYNC, 1}, /* fails if a stray thread is there */
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(attributes); i++) {
                int result = seccomp_attr_set(filter, attributes[i].attribute, attributes[i].value);

                if (result < 0)
                        return vtd_fail(log, result, "seccomp: attribute %d = %#x not accepted: %s",
                                        (int)attributes[i].attribute, attributes[i].value,
                                        strerror(-result));
        }
        return 0;
}

/*
 * Tests the two calls that every request makes first: their arguments are looked at, so that the
 * kernel cannot remember the verdict as it does for the event loop's.
 */
static int favour_requests(scmp_filter_ctx filter, struct vtd_log *log)
{
        int result = seccomp_syscall_priority(filter, SCMP_SYS(recvmsg), UINT8_MAX);

        if (result == 0)
                result = seccomp_syscall_priority(filter, SCMP_SYS(sendto), UINT8_MAX);
        if (result < 0)
                return vtd_fail(log, result, "seccomp: priority not accepted: %s",
                                strerror(-result));
        return 0;
}

/* The filter of a worker for @host; the caller releases *@out. */
static int build(scmp_filter_ctx *out, enum vtd_host_kind host, uint32_t *rules,
                 struct vtd_log *log)
{
        const enum vtd_seccomp_set sets[] = {
                VTD_SECCOMP_BASE,
                host == VTD_HOST_LINUX ? VTD_SECCOMP_LINUX : VTD_SECCOMP_SIMULATED,
                VTD_SECCOMP_SANITIZER,
        };
        VTD_CLEANUP(release_filter) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        uint32_t added = 0;
        int result;

        if (!filter)
                return vtd_fail(log, -ENOMEM, "seccomp: no memory for the filter");
        result = set_attributes(filter, log);
        if (result == 0)
                result = favour_requests(filter, log);
        for (size_t s = 0; s < VTD_ARRAY_SIZE(sets) && result == 0; s++) {
                const struct vtd_seccomp_row *rows;
                size_t count;

                rows = vtd_seccomp_rows(sets[s], &count);
                for (size_t i = 0; i < count && result == 0; i++) {
                        result = add_row(filter, &rows[i], log);
                        added++;
                }
        }
        if (result < 0)
                return result;
        *rules = added;
        *out = VTD_TAKE_PTR(filter);
        return 0;
}

int vtd_seccomp_refuse_io_uring(struct vtd_log *log)
{
        VTD_CLEANUP(release_filter) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        int result;

        if (!filter)
                return vtd_fail(log, -ENOMEM, "seccomp: no memory for the first filter");
        result = set_attributes(filter, log);
        if (result < 0)
                return result;
        result =
                seccomp_rule_add_exact(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0);
        if (result == 0)
                result = seccomp_load(filter);
        if (result < 0)
                return vtd_fail(log, result, "seccomp: io_uring could not be refused: %s",
                                strerror(-result));
        return 0;
}

int vtd_seccomp_load(enum vtd_host_kind host, uint32_t *rules, struct vtd_log *log)
{
        VTD_CLEANUP(release_filter) scmp_filter_ctx filter = NULL;
        int result;

        result = build(&filter, host, rules, log);
        if (result < 0)
                return result;
        result = seccomp_load(filter);
        if (result < 0)
                return vtd_fail(log, result, "seccomp: filter of %u rules not loaded: %s", *rules,
                                strerror(-result));
        return 0;
}

int vtd_seccomp_export(enum vtd_host_kind host, int fd, struct vtd_log *log)
{
        VTD_CLEANUP(release_filter) scmp_filter_ctx filter = NULL;
        uint32_t rules;
        int result;

        result = build(&filter, host, &rules, log);
        if (result < 0)
                return result;
        result = seccomp_export_bpf(filter, fd);
        if (result < 0)
                return vtd_fail(log, result, "seccomp: filter not exported: %s", strerror(-result));
        return 0;
}
