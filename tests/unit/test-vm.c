/* SPDX-License-Identifier: MIT */
/*
 * The VM object: phases, plugging, regions, audit, the order of the end; every host call of every
 * handler made to fail, one at a time; and a long random run, with the books compared to the host
 * after each request.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/worker/dispatch.h"
#include "shared/checked.h"
#include "shared/cleanup.h"
#include "tests/unit/vm-fixture.h"

#define ECAP_SC     (UINT64_C(1) << 7)
#define ECAP_NEST   (UINT64_C(1) << 26)
#define ECAP_SMTS   (UINT64_C(1) << 43)
#define ECAP_FSTS   (UINT64_C(1) << 47)
#define LIMIT(name) (LINE_LIMIT + VTD_POLICY_##name)

static int setup(void **state)
{
        struct fixture *f = fixture_new();

        fixture_start(f, true);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        fixture_free(*state);
        return 0;
}

static void restart(struct fixture *f, bool greet)
{
        fixture_stop(f);
        fixture_start(f, greet);
}

static struct vtd_request simple(enum vtd_request_type type, uint64_t handle)
{
        struct vtd_request request = {.type = type};

        if (type == VTD_REQUEST_UNPLUG_DEVICE)
                request.unplug_device.device = handle;
        else if (type == VTD_REQUEST_UNMAP_MEMORY)
                request.unmap_memory.mapping = handle;
        return request;
}

static void before_hello_only_hello_is_served(void **state)
{
        struct fixture *f = *state;
        struct vtd_request requests[] = {
                simple(VTD_REQUEST_GET_STATS, 0),
                simple(VTD_REQUEST_UNPLUG_DEVICE, 1),
                simple(VTD_REQUEST_UNMAP_MEMORY, 1),
                fixture_plug_request(0),
                fixture_attach_request(1, 0, VTD_ATTACH_BLOCKED, 0),
        };

        restart(f, false);
        for (size_t i = 0; i < VTD_ARRAY_SIZE(requests); i++)
                assert_int_equal(fixture_call(f, &requests[i], -1), VTD_VM_E_VIOLATION);
        assert_int_equal(f->host->n_calls, 0);
        assert_int_equal(f->supervisor.greeted, 0);
}

static void another_major_version_is_refused_and_hello_may_come_again(void **state)
{
        struct fixture *f = *state;
        struct vtd_request hello = {.type = VTD_REQUEST_HELLO,
                                    .hello = {.major = 2, .minor = 5, .features = UINT64_MAX}};

        restart(f, false);
        fixture_expect_refusal(f, &hello, -1, VTD_REASON_VERSION, 0);
        assert_int_equal(f->reply.refusal.asked, 2);
        assert_int_equal(f->reply.refusal.allowed, VTD_PROTOCOL_MAJOR);
        assert_int_equal(f->supervisor.greeted, 0);
        hello.hello.major = VTD_PROTOCOL_MAJOR;
        assert_int_equal(fixture_call(f, &hello, -1), 0);
        assert_false(f->reply.refused);
        assert_int_equal(f->reply.hello.minor, VTD_PROTOCOL_MINOR);
        assert_int_equal(f->reply.hello.features, 0);
        assert_int_equal(f->reply.hello.host, VTD_HOST_SIMULATED);
        assert_int_equal(f->reply.hello.memory, 8 * GIB);
        assert_int_equal(f->reply.hello.mappings, 4);
        assert_int_equal(f->reply.hello.devices, 3);
        assert_int_equal(f->reply.hello.first_stage_tables, 4);
        assert_int_equal(f->reply.hello.pasids, 4);
        assert_int_equal(f->reply.hello.modes, 7);
        assert_int_equal(f->supervisor.greeted, 1);
        assert_int_equal(fixture_call(f, &hello, -1), VTD_VM_E_VIOLATION);
}

static void a_lost_supervisor_is_fatal(void **state)
{
        struct fixture *f = *state;
        struct vtd_request hello = {.type = VTD_REQUEST_HELLO, .hello = {.major = 1}};
        struct vtd_request plug = fixture_plug_request(0);
        struct vtd_request unplug;

        restart(f, false);
        f->supervisor.greeted_result = -EPIPE;
        assert_int_equal(fixture_call(f, &hello, -1), VTD_VM_E_FATAL);
        restart(f, true);
        f->supervisor.open_result = -EPIPE;
        assert_int_equal(fixture_call(f, &plug, -1), VTD_VM_E_FATAL);
        restart(f, true);
        unplug = simple(VTD_REQUEST_UNPLUG_DEVICE, fixture_plug(f, 0));
        f->supervisor.close_result = -EPIPE;
        assert_int_equal(fixture_call(f, &unplug, -1), VTD_VM_E_FATAL);
        f->supervisor.close_result = 0;
}

/* Bus mastering that could not be turned off is not turned off by the id of a device given up. */
static void a_device_given_up_is_left_alone(void **state)
{
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);
        struct vtd_request unplug = simple(VTD_REQUEST_UNPLUG_DEVICE, device);

        (void)fixture_map(f, 0, MIB);
        (void)fixture_attach(f, device, VTD_NO_PASID, VTD_ATTACH_PASSTHROUGH, 0);
        fake_host_fail(f->host, 0, 1, -EIO);
        f->host->fail_op = VTD_AUDIT_BUS_MASTER;
        f->supervisor.close_result = -EPIPE;
        assert_int_equal(fixture_call(f, &unplug, -1), VTD_VM_E_FATAL);
        assert_int_equal(f->host->failed_op, VTD_AUDIT_BUS_MASTER);
        f->supervisor.close_result = 0;
        /* The end of the fixture checks that the host was not misused. */
}

static void records_that_do_not_decode_are_violations(void **state)
{
        struct fixture *f = *state;
        uint8_t record[VTD_FRAME_SIZE_MAX] = {0}, answer[VTD_FRAME_SIZE_MAX];
        struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        struct vtd_request stats = simple(VTD_REQUEST_GET_STATS, 0);
        struct vtd_request map = fixture_map_request(0, 4096, 0);
        size_t length;
        unsigned delay;

        assert_int_equal(vtd_vm_request(f->vm, record, 16, &fds, answer, &length, &delay),
                         VTD_VM_E_VIOLATION);
        assert_int_equal(fixture_call(f, &stats, 0), VTD_VM_E_VIOLATION);
        assert_int_equal(fixture_call(f, &map, -1), VTD_VM_E_VIOLATION);
}

static void requests_that_are_not_built_are_unsupported(void **state)
{
        struct fixture *f = *state;
        const struct vtd_request_kind *kind;
        unsigned reserved = 0;

        for (uint32_t type = 1; (kind = vtd_request_kind(type)); type++) {
                struct vtd_request request = {.type = type};

                if (!kind->reserved)
                        continue;
                fixture_expect_refusal(f, &request, kind->fd_count > 0 ? 0 : -1,
                                       VTD_REASON_NOT_BUILT, 0);
                reserved++;
        }
        assert_int_equal(reserved, 4);
}

static void a_type_without_a_row_is_served_in_no_phase(void **state)
{
        (void)state;
        for (uint32_t type = 0; type < 300; type++) {
                assert_null(vtd_dispatch_row(type, VTD_VM_ENDED));
                assert_int_equal(vtd_dispatch_row(type, VTD_VM_NEW) != NULL,
                                 type == VTD_REQUEST_HELLO);
                assert_int_equal(vtd_dispatch_row(type, VTD_VM_OPEN) != NULL,
                                 type > VTD_REQUEST_HELLO && type < VTD_REQUEST_TYPE_END);
        }
        assert_null(vtd_dispatch_row(UINT32_MAX, VTD_VM_OPEN));
}

static void a_plugged_device_is_blocked_and_its_host_is_told_masked(void **state)
{
        struct fixture *f = *state;
        const struct vtd_plug_device_reply *reply = &f->reply.plug_device;

        fixture_forget_calls(f);
        (void)fixture_plug(f, 0);
        EXPECT_CALLS(f, VTD_AUDIT_BIND, VTD_AUDIT_DEVICE_INFO, VTD_AUDIT_IOAS_ALLOC,
                     VTD_AUDIT_SECOND_STAGE_ALLOC, VTD_AUDIT_ATTACH, VTD_AUDIT_IOAS_RANGES,
                     VTD_AUDIT_DETACH, VTD_AUDIT_DESTROY, VTD_AUDIT_DESTROY, VTD_AUDIT_IOAS_ALLOC,
                     VTD_AUDIT_SECOND_STAGE_ALLOC);
        assert_int_equal(reply->pasid_bits, 20);
        assert_int_equal(reply->regions, 0x5); /* granted and there */
        assert_int_equal(reply->n_reserved, 2);
        assert_int_equal(reply->reserved[0].start, 0xfee00000);
        assert_int_equal(reply->reserved[0].last, 0xfeefffff);
        assert_int_equal(reply->reserved[1].start, UINT64_C(1) << 48);
        assert_int_equal(reply->reserved[1].last, UINT64_MAX);
        /* MGAW, FS1GP, FS5LP; SC, NEST, SRS, EAFS, PSS, PASID, SMTS, FSTS, SMPWC of what is there */
        assert_int_equal(reply->cap, UINT64_C(0x1d2008c222f0606) & UINT64_C(0x11000000003f0000));
        assert_int_equal(reply->ecap, UINT64_C(0x1e99804f00fca) & UINT64_C(0x189fc84000080));
        assert_int_equal(fake_host_attachments(f->host), 0);
        assert_false(f->host->objects[fixture_host_id(f, reply->device)].bus_master);
}

static void a_frontend_is_not_told_of_what_policy_does_not_grant(void **state)
{
        struct fixture *f = *state;

        fixture_stop(f);
        f->policy.limits[VTD_POLICY_PASIDS].value = 0;
        f->policy.limits[VTD_POLICY_ADDRESS_WIDTH].value = 48;
        f->policy.first_stage_flags = 0;
        fixture_start(f, true);
        f->host->devices[0].info.cap = UINT64_MAX;
        f->host->devices[0].info.ecap = UINT64_MAX;
        (void)fixture_plug(f, 0);
        assert_int_equal(f->reply.plug_device.cap, UINT64_C(0x1000000003f0000));
        assert_int_equal(f->reply.plug_device.ecap, UINT64_C(0x1880004000080));
        assert_int_equal(f->reply.plug_device.pasid_bits, 0);
}

static void devices_are_granted_by_name_and_counted(void **state)
{
        struct fixture *f = *state;
        struct vtd_request other = fixture_plug_request(7), again = fixture_plug_request(0),
                           fourth = fixture_plug_request(3);
        struct vtd_request unplug;

        fixture_expect_refusal(f, &other, -1, VTD_REASON_DEVICE_NOT_GRANTED, LINE_TENANT);
        unplug = simple(VTD_REQUEST_UNPLUG_DEVICE, fixture_plug(f, 0));
        fixture_expect_refusal(f, &again, -1, VTD_REASON_DEVICE_PLUGGED, 0);
        (void)fixture_plug(f, 1);
        (void)fixture_plug(f, 2);
        fixture_expect_refusal(f, &fourth, -1, VTD_REASON_DEVICE_LIMIT, LIMIT(DEVICES));
        assert_int_equal(fixture_call(f, &unplug, -1), 0);
        assert_false(f->reply.refused);
        fixture_expect_refusal(f, &unplug, -1, VTD_REASON_DEVICE_HANDLE, 0);
        (void)fixture_plug(f, 3);
}

static void what_the_supervisor_says_becomes_a_refusal(void **state)
{
        static const struct {
                int result;
                enum vtd_reason reason;
                uint32_t line;
        } cases[] = {
                {VTD_SUPERVISOR_E_HELD, VTD_REASON_DEVICE_BUSY, 0},
                {VTD_SUPERVISOR_E_MISSING, VTD_REASON_HOST_DEVICE, 0},
                {VTD_SUPERVISOR_E_GROUP, VTD_REASON_GROUP_SHARED, LINE_DEVICE},
                {VTD_SUPERVISOR_E_BRIDGE, VTD_REASON_HOST_BRIDGE, 0},
                {VTD_SUPERVISOR_E_NO_IOMMU, VTD_REASON_HOST_NOT_VTD, 0},
        };
        struct fixture *f = *state;
        struct vtd_request plug = fixture_plug_request(0);

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                f->supervisor.open_result = cases[i].result;
                fixture_expect_refusal(f, &plug, -1, cases[i].reason, cases[i].line);
        }
        f->supervisor.open_result = 0;
        assert_int_equal(f->host->n_calls, 0);
        (void)fixture_plug(f, 0);
}

static void expect_gate(struct fixture *f, enum vtd_reason reason, uint32_t exception)
{
        struct vtd_request plug = fixture_plug_request(1);

        fixture_expect_refusal(f, &plug, -1, reason, exception ? LINE_DEVICE + 1 : 0);
        assert_int_equal(fake_host_count(f->host, FAKE_DEVICE), 0);
        f->policy.devices[1].exceptions = exception;
        if (exception) {
                struct vtd_request unplug = simple(VTD_REQUEST_UNPLUG_DEVICE, fixture_plug(f, 1));

                assert_int_equal(fixture_call(f, &unplug, -1), 0);
        }
        f->policy.devices[1].exceptions = 0;
        f->host->devices[1] = f->host->devices[0];
}

static void hosts_without_what_the_broker_needs_are_refused(void **state)
{
        struct fixture *f = *state;
        struct vtd_host_device_info *info = &f->host->devices[1].info;

        info->is_vtd = false;
        expect_gate(f, VTD_REASON_HOST_NOT_VTD, 0);
        info->ecap &= ~ECAP_NEST;
        expect_gate(f, VTD_REASON_HOST_NO_NESTING, 0);
        info->ecap &= ~ECAP_SMTS;
        expect_gate(f, VTD_REASON_HOST_NO_NESTING, 0);
        info->ecap &= ~ECAP_FSTS;
        expect_gate(f, VTD_REASON_HOST_NO_NESTING, 0);
        info->ecap &= ~ECAP_SC;
        expect_gate(f, VTD_REASON_NO_SNOOP_CONTROL, VTD_POLICY_ALLOW_NO_SNOOP_CONTROL);
        info->can_reset = false;
        expect_gate(f, VTD_REASON_NO_RESET, VTD_POLICY_ALLOW_NO_RESET);
}

static void too_many_reserved_ranges_refuse_the_plug(void **state)
{
        struct fixture *f = *state;
        struct vtd_request plug = fixture_plug_request(1);

        f->host->devices[1].n_usable = VTD_LIMIT_RESERVED_RANGES;
        fixture_expect_refusal(f, &plug, -1, VTD_REASON_HOST_LIMIT, 0);
        f->host->devices[1].n_usable = VTD_LIMIT_RESERVED_RANGES - 1;
        for (size_t i = 0; i < VTD_LIMIT_RESERVED_RANGES - 1; i++)
                f->host->devices[1].usable[i] =
                        (struct vtd_address_range){(2 * i + 1) * MIB, (2 * i + 2) * MIB - 1};
        (void)fixture_plug(f, 1);
        assert_int_equal(f->reply.plug_device.n_reserved, VTD_LIMIT_RESERVED_RANGES);
        assert_int_equal(f->reply.plug_device.reserved[0].start, 0);
        assert_int_equal(f->reply.plug_device.reserved[0].last, MIB - 1);
}

static void a_device_that_reserves_mapped_memory_is_refused(void **state)
{
        struct fixture *f = *state;
        struct vtd_request plug = fixture_plug_request(1);
        struct vtd_request map = fixture_map_request(4 * MIB, MIB, 0);
        VTD_CLEANUP_FD int fd = fixture_memfd(MIB, F_SEAL_SHRINK);

        (void)fixture_plug(f, 0);
        (void)fixture_map(f, 0, 2 * MIB);
        f->host->devices[1].usable[0].start = MIB;
        fixture_expect_refusal(f, &plug, -1, VTD_REASON_RESERVED_RANGE, 0);
        f->host->devices[1].usable[0].start = 0;
        f->host->devices[1].usable[0].last = 2 * MIB - 1;
        f->host->devices[1].n_usable = 1;
        (void)fixture_plug(f, 1);
        fixture_expect_refusal(f, &map, fd, VTD_REASON_ADDRESS_RANGE, 0);
        assert_int_equal(f->reply.refusal.allowed, 2 * MIB);
}

static void regions_are_judged_and_pass_values(void **state)
{
        static const struct {
                bool write;
                uint32_t region, width;
                uint64_t offset;
                enum vtd_reason reason;
                uint32_t line;
        } cases[] = {
                {true, 2, 4, 0, VTD_REASON_REGION_NOT_GRANTED, LINE_DEVICE},
                {false, 3, 4, 0, VTD_REASON_REGION_NOT_GRANTED, LINE_DEVICE},
                {false, 6, 4, 0, VTD_REASON_REGION_NOT_GRANTED, LINE_DEVICE},
                {false, UINT32_MAX, 4, 0, VTD_REASON_REGION_NOT_GRANTED, LINE_DEVICE},
                {false, 1, 4, 0, VTD_REASON_REGION_RANGE, 0}, /* granted, but absent */
                {false, 2, 8, 0x3c, VTD_REASON_REGION_RANGE, 0},
                {false, 0, 4, UINT64_MAX - 3, VTD_REASON_REGION_RANGE, 0},
                {false, 0, 4, 2, VTD_REASON_ALIGNMENT, 0},
        };
        struct fixture *f = *state;
        struct vtd_request request = {
                .type = VTD_REQUEST_REGION_WRITE,
                .region = {.device = fixture_plug(f, 0), .width = 8, .value = 0x123456789}};

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                struct vtd_request bad = request;

                bad.type = cases[i].write ? VTD_REQUEST_REGION_WRITE : VTD_REQUEST_REGION_READ;
                bad.region.region = cases[i].region;
                bad.region.width = cases[i].width;
                bad.region.offset = cases[i].offset;
                bad.region.value = 0;
                fixture_expect_refusal(f, &bad, -1, cases[i].reason, cases[i].line);
        }
        assert_int_equal(fixture_call(f, &request, -1), 0);
        assert_false(f->reply.refused);
        request.type = VTD_REQUEST_REGION_READ;
        request.region.value = 0;
        assert_int_equal(fixture_call(f, &request, -1), 0);
        assert_int_equal(f->reply.region_read.value, 0x123456789);
        fake_host_fail(f->host, 0, 1, -EIO);
        fixture_expect_refusal(f, &request, -1, VTD_REASON_HOST_FAILED, 0);
        request.region.device++;
        fixture_expect_refusal(f, &request, -1, VTD_REASON_DEVICE_HANDLE, 0);
}

static size_t audits_of(struct fixture *f, enum vtd_audit_kind kind)
{
        size_t n = 0;

        for (size_t i = 0; i < f->supervisor.n_audits; i++)
                n += f->supervisor.audits[i].kind == kind;
        return n;
}

static void each_audit_level_adds_to_the_one_below(void **state)
{
        struct fixture *f = *state;
        static const struct {
                enum vtd_audit_level level;
                size_t requests; /* of Hello, PlugDevice, GetStats, refused UnplugDevice */
                bool calls;
        } cases[] = {
                {VTD_AUDIT_REFUSALS, 2, false},
                {VTD_AUDIT_REQUESTS, 4, false},
                {VTD_AUDIT_HOST_CALLS, 4, true},
        };

        for (size_t i = 0; i < VTD_ARRAY_SIZE(cases); i++) {
                struct vtd_request stats = simple(VTD_REQUEST_GET_STATS, 0);
                struct vtd_request unplug = simple(VTD_REQUEST_UNPLUG_DEVICE, 5);

                fixture_stop(f);
                f->level = cases[i].level;
                fixture_start(f, true);
                (void)fixture_plug(f, 0);
                assert_int_equal(fixture_call(f, &stats, -1), 0);
                fixture_expect_refusal(f, &unplug, -1, VTD_REASON_DEVICE_HANDLE, 0);
                assert_int_equal(audits_of(f, VTD_AUDIT_REQUEST), cases[i].requests);
                assert_int_equal(audits_of(f, VTD_AUDIT_HOST_CALL),
                                 cases[i].calls ? f->host->n_calls : 0);
        }
}

static void host_calls_are_audited_with_what_they_were_about(void **state)
{
        struct fixture *f = *state;
        uint64_t device = fixture_plug(f, 0);
        const struct vtd_control_audit *audit;
        uint32_t id = fixture_host_id(f, device), sequence;

        (void)fixture_map(f, MIB, MIB);
        audit = fake_supervisor_find(&f->supervisor, VTD_AUDIT_HOST_CALL, VTD_AUDIT_MAP_FILE);
        assert_non_null(audit);
        assert_int_equal(audit->detail[0], MIB);
        assert_int_equal(audit->detail[1], MIB);
        assert_int_equal(audit->sequence, f->sequence);
        (void)fixture_attach(f, device, 9, VTD_ATTACH_FIRST_STAGE, MIB + 0x1000);
        sequence = f->sequence;
        audit = fake_supervisor_find(&f->supervisor, VTD_AUDIT_HOST_CALL,
                                     VTD_AUDIT_FIRST_STAGE_ALLOC);
        assert_non_null(audit);
        assert_int_equal(audit->detail[1], MIB + 0x1000);
        assert_int_equal(audit->detail[2], 48);
        audit = fake_supervisor_find(&f->supervisor, VTD_AUDIT_HOST_CALL, VTD_AUDIT_ATTACH);
        assert_non_null(audit);
        assert_int_equal(audit->subject, id);
        assert_int_equal(audit->detail[0], 9);
        assert_int_equal(audit->detail[1], fake_host_attached(f->host, id, 9));
        audit = fake_supervisor_find(&f->supervisor, VTD_AUDIT_REQUEST, VTD_REQUEST_ATTACH);
        assert_non_null(audit);
        assert_int_equal(audit->subject, device);
        assert_int_equal(audit->sequence, sequence);
        assert_int_equal(audit->detail[0], 9);
        assert_int_equal(audit->detail[1], VTD_ATTACH_FIRST_STAGE);
        assert_int_equal(audit->detail[2], MIB + 0x1000);
        assert_string_equal(audit->device_name, "dev0");
}

static void stats_say_what_the_books_say(void **state)
{
        struct fixture *f = *state;
        struct vtd_request stats = simple(VTD_REQUEST_GET_STATS, 0);
        uint64_t device = fixture_plug(f, 0);

        (void)fixture_map(f, 0, MIB);
        (void)fixture_attach(f, device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
        (void)fixture_attach(f, device, 1, VTD_ATTACH_PASSTHROUGH, 0);
        fixture_expect_refusal(f, &(struct vtd_request){.type = VTD_REQUEST_UNPLUG_DEVICE}, -1,
                               VTD_REASON_DEVICE_HANDLE, 0);
        assert_int_equal(fixture_call(f, &stats, -1), 0);
        assert_int_equal(f->reply.stats.requests, 6);
        assert_int_equal(f->reply.stats.refused, 1);
        assert_int_equal(f->reply.stats.host_calls, f->host->n_calls);
        assert_int_equal(f->reply.stats.memory, MIB);
        assert_int_equal(f->reply.stats.mappings, 1);
        assert_int_equal(f->reply.stats.devices, 1);
        assert_int_equal(f->reply.stats.first_stage_tables, 1);
        assert_int_equal(f->reply.stats.second_stage_tables, 1);
        assert_int_equal(f->reply.stats.attachments, 2);
}

static void steps_are_the_hosts(void **state)
{
        struct fixture *f = *state;

        f->host->step_work = 3;
        assert_true(vtd_vm_step(f->vm));
        assert_true(vtd_vm_step(f->vm));
        assert_false(vtd_vm_step(f->vm));
        assert_false(vtd_vm_step(f->vm));
}

/* Two devices, three attachments, two tables, 2 GiB in two chunks. */
static void fill(struct fixture *f, uint64_t devices[2])
{
        devices[0] = fixture_plug(f, 0);
        devices[1] = fixture_plug(f, 1);
        (void)fixture_map(f, 0, 2 * GIB);
        (void)fixture_map(f, 4 * GIB, MIB);
        (void)fixture_attach(f, devices[0], 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
        (void)fixture_attach(f, devices[0], 4, VTD_ATTACH_FIRST_STAGE, 0x2000);
        (void)fixture_attach(f, devices[1], 0, VTD_ATTACH_PASSTHROUGH, 0);
        fixture_forget_calls(f);
}

static void the_end_blocks_everything_before_it_releases_anything(void **state)
{
        struct fixture *f = *state;
        const struct vtd_control_audit *last;
        uint64_t devices[2];

        fill(f, devices);
        vtd_vm_end(f->vm, VTD_AUDIT_EVENT_VIOLATION);
        EXPECT_CALLS(f, VTD_AUDIT_DETACH, VTD_AUDIT_DETACH, VTD_AUDIT_BUS_MASTER, VTD_AUDIT_DETACH,
                     VTD_AUDIT_BUS_MASTER, VTD_AUDIT_DESTROY, VTD_AUDIT_DESTROY, VTD_AUDIT_UNMAP,
                     VTD_AUDIT_UNMAP, VTD_AUDIT_UNMAP, VTD_AUDIT_DESTROY, VTD_AUDIT_DESTROY,
                     VTD_AUDIT_RELEASE, VTD_AUDIT_RELEASE);
        assert_non_null(
                fake_supervisor_find(&f->supervisor, VTD_AUDIT_EVENT, VTD_AUDIT_EVENT_VIOLATION));
        last = fake_supervisor_find(&f->supervisor, VTD_AUDIT_EVENT, VTD_AUDIT_EVENT_BLOCKED);
        assert_non_null(last);
        assert_int_equal(last->detail[0], 3);
        assert_int_equal(last->result, 0);
        /* In the log too: no unmap before "blocked", no detach after it. */
        for (const struct vtd_control_audit *a = f->supervisor.audits; a < last; a++)
                assert_false(a->kind == VTD_AUDIT_HOST_CALL && a->code == VTD_AUDIT_UNMAP);
        for (const struct vtd_control_audit *a = last;
             a < f->supervisor.audits + f->supervisor.n_audits; a++)
                assert_false(a->kind == VTD_AUDIT_HOST_CALL && a->code == VTD_AUDIT_DETACH);
        last = &f->supervisor.audits[f->supervisor.n_audits - 1];
        assert_int_equal(last->kind, VTD_AUDIT_EVENT);
        assert_int_equal(last->code, VTD_AUDIT_EVENT_RELEASED);
        assert_int_equal(last->detail[0], 2);
        fixture_forget_calls(f);
        vtd_vm_end(f->vm, VTD_AUDIT_EVENT_VIOLATION);
        assert_int_equal(f->host->n_calls, 0);
        assert_int_equal(fixture_call(f, &(struct vtd_request){.type = VTD_REQUEST_GET_STATS}, -1),
                         VTD_VM_E_VIOLATION);
}

static void unplugging_blocks_first_and_leaves_the_other_device_alone(void **state)
{
        struct fixture *f = *state;
        struct vtd_request unplug;
        uint64_t devices[2];

        fill(f, devices);
        unplug = simple(VTD_REQUEST_UNPLUG_DEVICE, devices[0]);
        assert_int_equal(fixture_call(f, &unplug, -1), 0);
        assert_false(f->reply.refused);
        EXPECT_CALLS(f, VTD_AUDIT_DETACH, VTD_AUDIT_DETACH, VTD_AUDIT_BUS_MASTER, VTD_AUDIT_DESTROY,
                     VTD_AUDIT_DESTROY, VTD_AUDIT_RELEASE);
        fixture_check_books(f, false);
        assert_int_equal(fake_host_attachments(f->host), 1);
        assert_false(f->supervisor.opened[0]);
}

/* One failing step of the end: all others are still made. */
static void a_failing_step_of_the_end_does_not_stop_the_later_ones(void **state)
{
        struct fixture *f = *state;
        uint64_t devices[2];
        size_t n_calls = 14;

        for (size_t at = 0; at < n_calls; at++) {
                uint32_t failed;
                bool release, unmap;

                restart(f, true);
                fill(f, devices);
                fake_host_fail(f->host, at, 1, -EIO);
                vtd_vm_end(f->vm, VTD_AUDIT_EVENT_DRAINED);
                failed = f->host->failed_op;
                assert_int_not_equal(failed, 0);
                release = failed == VTD_AUDIT_RELEASE;
                unmap = failed == VTD_AUDIT_UNMAP;
                assert_int_equal(fake_host_attachments(f->host), 0);
                assert_int_equal(fake_host_count(f->host, FAKE_FIRST_STAGE), 0);
                assert_int_equal(fake_supervisor_opened(&f->supervisor), release);
                assert_null(f->host->misuse);
                if (!unmap)
                        assert_int_equal(fake_host_mapped(f->host), 0);
                /* What is left is what failed, and the worker's end closes it. */
                f->vm = vtd_vm_free(f->vm);
                fixture_start(f, true);
        }
}

struct scenario {
        const char *name;
        void (*prepare)(struct fixture *f, struct vtd_request *request);
        bool with_fd;
        bool blocks; /* an Attach of RID of device 0: afterwards done, or blocked */
};

static void prepare_plug(struct fixture *f, struct vtd_request *request)
{
        (void)f;
        *request = fixture_plug_request(0);
}

static void prepare_second_plug(struct fixture *f, struct vtd_request *request)
{
        (void)fixture_plug(f, 0);
        (void)fixture_map(f, 0, MIB);
        f->host->devices[1].info.cap ^= UINT64_C(1) << 34; /* a second stage of its own */
        *request = fixture_plug_request(1);
}

static void prepare_map(struct fixture *f, struct vtd_request *request)
{
        (void)fixture_plug(f, 0);
        *request = fixture_map_request(MIB, 3 * GIB, 0);
}

static void prepare_unmap(struct fixture *f, struct vtd_request *request)
{
        (void)fixture_plug(f, 0);
        *request = simple(VTD_REQUEST_UNMAP_MEMORY, fixture_map(f, MIB, 3 * GIB));
}

static void prepare_passthrough(struct fixture *f, struct vtd_request *request)
{
        *request = fixture_attach_request(fixture_plug(f, 0), 0, VTD_ATTACH_PASSTHROUGH, 0);
}

static void prepare_first_stage(struct fixture *f, struct vtd_request *request)
{
        *request = fixture_attach_request(fixture_plug(f, 0), 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
        (void)fixture_map(f, 0, MIB);
}

static void prepare_replace(struct fixture *f, struct vtd_request *request)
{
        uint64_t devices[2];

        fill(f, devices);
        *request = fixture_attach_request(devices[0], 0, VTD_ATTACH_FIRST_STAGE, 0x3000);
}

static void prepare_pasid(struct fixture *f, struct vtd_request *request)
{
        uint64_t devices[2];

        fill(f, devices);
        *request = fixture_attach_request(devices[1], 3, VTD_ATTACH_FIRST_STAGE, 0x3000);
}

static void prepare_block(struct fixture *f, struct vtd_request *request)
{
        *request = fixture_attach_request(fixture_plug(f, 0), 0, VTD_ATTACH_BLOCKED, 0);
        (void)fixture_map(f, 0, MIB);
        (void)fixture_attach(f, request->attach.device, 0, VTD_ATTACH_FIRST_STAGE, 0x1000);
}

static void prepare_refused_attach(struct fixture *f, struct vtd_request *request)
{
        prepare_block(f, request);
        *request =
                fixture_attach_request(request->attach.device, 0, VTD_ATTACH_FIRST_STAGE, 4 * GIB);
}

static void prepare_invalidate(struct fixture *f, struct vtd_request *request)
{
        uint64_t devices[2];

        fill(f, devices);
        *request = (struct vtd_request){
                .type = VTD_REQUEST_INVALIDATE,
                .invalidate = {
                        .table = fixture_attach(f, devices[1], 0, VTD_ATTACH_FIRST_STAGE, 0x1000),
                        .count = 1,
                        .entries = {{0x1000, 1, true}}}};
}

static void prepare_unplug(struct fixture *f, struct vtd_request *request)
{
        uint64_t devices[2];

        fill(f, devices);
        *request = simple(VTD_REQUEST_UNPLUG_DEVICE, devices[0]);
}

static void prepare_last_unplug(struct fixture *f, struct vtd_request *request)
{
        struct vtd_request unplug;
        uint64_t devices[2];

        fill(f, devices);
        unplug = simple(VTD_REQUEST_UNPLUG_DEVICE, devices[0]);
        assert_int_equal(fixture_call(f, &unplug, -1), 0);
        *request = simple(VTD_REQUEST_UNPLUG_DEVICE, devices[1]);
}

static void prepare_read(struct fixture *f, struct vtd_request *request)
{
        *request = (struct vtd_request){.type = VTD_REQUEST_REGION_READ,
                                        .region = {.device = fixture_plug(f, 0), .width = 4}};
}

static void prepare_write(struct fixture *f, struct vtd_request *request)
{
        prepare_read(f, request);
        request->type = VTD_REQUEST_REGION_WRITE;
}

static const struct scenario scenarios[] = {
        {"plug", prepare_plug, false, false},
        {"second plug", prepare_second_plug, false, false},
        {"map", prepare_map, true, false},
        {"unmap", prepare_unmap, false, false},
        {"passthrough", prepare_passthrough, false, true},
        {"first-stage", prepare_first_stage, false, true},
        {"replace", prepare_replace, false, true},
        {"PASID", prepare_pasid, false, false},
        {"block", prepare_block, false, true},
        {"refused attach", prepare_refused_attach, false, true},
        {"invalidate", prepare_invalidate, false, false},
        {"unplug", prepare_unplug, false, false},
        {"last unplug", prepare_last_unplug, false, false},
        {"region read", prepare_read, false, false},
        {"region write", prepare_write, false, false},
};

/* Runs @scenario with its @at-th host call failing; false when it has not that many calls. */
static bool run_with_failure(struct fixture *f, const struct scenario *scenario, size_t at,
                             int result, int fd)
{
        struct vtd_request request;
        bool refused;
        int r;

        restart(f, true);
        scenario->prepare(f, &request);
        fake_host_fail(f->host, at, 1, result);
        r = fixture_call(f, &request, scenario->with_fd ? fd : -1);
        if (f->host->failed_op == 0) {
                f->host->fail_after = SIZE_MAX;
                return false;
        }
        refused = r == 0 && f->reply.refused;
        if (r == VTD_VM_E_FATAL) {
                assert_int_equal(f->host->failed_op, VTD_AUDIT_DETACH);
                assert_int_not_equal(result, VTD_HOST_E_BUSY);
        } else {
                assert_int_equal(r, 0);
        }
        fixture_check_books(f, r == VTD_VM_E_FATAL);
        if (f->host->failed_op == VTD_AUDIT_INVALIDATE) {
                /* every user of the table is blocked: only PASID 4 of device 0 has another */
                assert_true(refused);
                assert_int_equal(fake_host_attachments(f->host), 1);
        }
        if (scenario->blocks && refused) {
                struct vtd_request again = request;

                assert_int_equal(
                        fake_host_attached(f->host, fixture_host_id(f, request.attach.device), 0),
                        0);
                /* and works as soon as the host does, unless it is not to work at all */
                assert_int_equal(fixture_call(f, &again, -1), 0);
                assert_int_equal(f->reply.refused, again.attach.root == 4 * GIB);
                fixture_check_books(f, false);
        } else if (refused && request.type != VTD_REQUEST_INVALIDATE &&
                   request.type != VTD_REQUEST_UNPLUG_DEVICE) {
                struct vtd_request again = request;

                assert_int_equal(fixture_call(f, &again, scenario->with_fd ? fd : -1), 0);
                assert_false(f->reply.refused);
                fixture_check_books(f, false);
        }
        return true;
}

static void every_host_call_may_fail(void **state)
{
        static const int results[] = {-EIO, VTD_HOST_E_BUSY, VTD_HOST_E_LIMIT, VTD_HOST_E_INVALID,
                                      VTD_HOST_E_ABSENT};
        struct fixture *f = *state;
        VTD_CLEANUP_FD int fd = fixture_memfd(3 * GIB, F_SEAL_SHRINK);
        size_t runs = 0;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(scenarios); i++) {
                for (size_t j = 0; j < VTD_ARRAY_SIZE(results); j++) {
                        size_t at = 0;

                        while (run_with_failure(f, &scenarios[i], at, results[j], fd))
                                at++;
                        assert_true(at > 0);
                        runs += at;
                }
        }
        print_message("# %zu failures were tried\n", runs);
}

/* Random but mostly sensible requests, chosen by a fixed seed. */
struct walk {
        struct fixture *f;
        uint64_t seed;
        int fd;
        uint64_t devices[5], mappings[4], tables[4];
};

static uint32_t pick(struct walk *walk, uint32_t n)
{
        walk->seed ^= walk->seed << 13;
        walk->seed ^= walk->seed >> 7;
        walk->seed ^= walk->seed << 17;
        return (uint32_t)(walk->seed >> 20) % n;
}

static struct vtd_request random_attach(struct walk *walk)
{
        static const uint64_t roots[] = {0x1000,  0x2000,  MIB,   MIB + 0x1000,
                                         2 * MIB, 3 * MIB, 0x1001};
        struct vtd_request request = fixture_attach_request(
                walk->devices[pick(walk, 4)], pick(walk, 2) ? 0 : pick(walk, 6), 1 + pick(walk, 3),
                roots[pick(walk, VTD_ARRAY_SIZE(roots))]);

        if (request.attach.mode == VTD_ATTACH_FIRST_STAGE && pick(walk, 8) == 0)
                request.attach.flags = pick(walk, 8);
        return request;
}

/* Of the device plane, any. */
static struct vtd_request random_plane(struct walk *walk)
{
        static const uint32_t offsets[] = {0x00, 0x04, 0x40, 0xa8, 0x100, 0x1001};
        uint64_t device = walk->devices[pick(walk, 4)];
        struct vtd_request request = {.type = VTD_REQUEST_GET_DEVICE_INFO + pick(walk, 6)};

        switch ((unsigned)request.type) {
        case VTD_REQUEST_CONFIG_READ:
        case VTD_REQUEST_CONFIG_WRITE:
                request.config = (struct vtd_config_request){
                        .device = device,
                        .offset = offsets[pick(walk, VTD_ARRAY_SIZE(offsets))],
                        .width = 1u << pick(walk, 3)};
                if (request.type == VTD_REQUEST_CONFIG_WRITE)
                        request.config.value = pick(walk, 256);
                break;
        case VTD_REQUEST_SET_INTERRUPT:
        case VTD_REQUEST_CLEAR_INTERRUPTS:
                request.interrupt = (struct vtd_device_interrupt_request){
                        .device = device, .kind = 1 + pick(walk, 2)};
                if (request.type == VTD_REQUEST_SET_INTERRUPT)
                        request.interrupt.vector = pick(walk, 9);
                break;
        default:
                request.device.device = device;
                break;
        }
        return request;
}

static struct vtd_request random_request(struct walk *walk)
{
        struct vtd_request request = {.type = 0};

        switch (pick(walk, 14)) {
        case 0:
                return fixture_plug_request(pick(walk, 5));
        case 1:
        case 2:
                return pick(walk, 4)
                               ? simple(VTD_REQUEST_GET_STATS, 0)
                               : simple(VTD_REQUEST_UNPLUG_DEVICE, walk->devices[pick(walk, 4)]);
        case 3:
        case 4:
                return fixture_map_request(pick(walk, 6) * MIB + (pick(walk, 4) ? 0 : GIB - MIB),
                                           (1 + pick(walk, 3)) * MIB, pick(walk, 2) * MIB);
        case 5:
                return simple(VTD_REQUEST_UNMAP_MEMORY, walk->mappings[pick(walk, 4)]);
        case 6:
                request.type = VTD_REQUEST_INVALIDATE;
                request.invalidate.table = walk->tables[pick(walk, 4)];
                request.invalidate.count = 1 + pick(walk, 5);
                for (size_t i = 0; i < request.invalidate.count; i++)
                        request.invalidate.entries[i] = (struct vtd_invalidate_entry){
                                pick(walk, 64) * 4096, pick(walk, 9), pick(walk, 2)};
                return request;
        case 7:
                request.type = VTD_REQUEST_REGION_READ;
                request.region = (struct vtd_region_request){.device = walk->devices[pick(walk, 4)],
                                                             .region = pick(walk, 4),
                                                             .width = 1u << pick(walk, 4),
                                                             .offset = pick(walk, 256)};
                return request;
        case 8:
        case 9:
                return random_plane(walk);
        default:
                return random_attach(walk);
        }
}

static void remember(struct walk *walk, const struct vtd_request *request)
{
        const struct vtd_reply *reply = &walk->f->reply;

        if (request->type == VTD_REQUEST_PLUG_DEVICE)
                walk->devices[request->plug_device.name.text[3] - '0'] = reply->plug_device.device;
        else if (request->type == VTD_REQUEST_MAP_MEMORY)
                walk->mappings[pick(walk, 4)] = reply->map_memory.mapping;
        else if (request->type == VTD_REQUEST_ATTACH && reply->attach.table != 0)
                walk->tables[pick(walk, 4)] = reply->attach.table;
}

/* What may not change the host's objects does not. */
static size_t objects_of(const struct fake_host *host)
{
        return fake_host_count(host, FAKE_FREE) * 1000003 + fake_host_attachments(host) * 1009 +
               (size_t)(fake_host_mapped(host) >> 12);
}

static void random_walk(struct walk *walk, size_t steps, uint32_t failures_in)
{
        static const int results[] = {-EIO, VTD_HOST_E_LIMIT, VTD_HOST_E_INVALID};
        struct fixture *f = walk->f;
        size_t refused = 0, restarts = 0, done = 0;

        fixture_grant_config(f);
        restart(f, true);

        for (size_t i = 0; i < steps; i++) {
                struct vtd_request request = random_request(walk);
                size_t before = objects_of(f->host);
                int r;

                f->host->n_calls = 0;
                f->supervisor.n_audits = 0;
                if (failures_in > 0 && pick(walk, failures_in) == 0)
                        fake_host_fail(f->host, pick(walk, 6), 1 + pick(walk, 2),
                                       results[pick(walk, 3)]);
                r = fixture_call(f, &request,
                                 vtd_request_kind(request.type)->fd_count > 0 ? walk->fd : -1);
                fixture_check_books(f, r != 0);
                if (!(vtd_dispatch_row(request.type, VTD_VM_OPEN)->flags & VTD_DISPATCH_MUTATES))
                        assert_int_equal(objects_of(f->host), before);
                if (r != 0) {
                        assert_int_equal(r, VTD_VM_E_FATAL);
                        assert_true(failures_in > 0);
                        f->host->fail_after = SIZE_MAX;
                        restart(f, true);
                        restarts++;
                        continue;
                }
                refused += f->reply.refused;
                done += !f->reply.refused;
                if (!f->reply.refused)
                        remember(walk, &request);
                if (f->host->misuse)
                        fail_msg("step %zu: %s", i, f->host->misuse);
        }
        f->host->fail_after = SIZE_MAX;
        print_message("# %zu done, %zu refused, %zu restarts\n", done, refused, restarts);
        assert_true(done > steps / 5);
        assert_true(refused > steps / 20);
}

static void after_each_of_20000_random_requests_books_and_host_agree(void **state)
{
        struct walk walk = {.f = *state, .seed = 88172645463325252u};

        walk.fd = fixture_memfd(4 * MIB, F_SEAL_SHRINK);
        random_walk(&walk, 20000, 0);
        walk.fd = vtd_close(walk.fd);
}

static void and_so_they_do_when_the_host_fails_now_and_then(void **state)
{
        struct walk walk = {.f = *state, .seed = 362436069u};

        walk.fd = fixture_memfd(4 * MIB, F_SEAL_SHRINK);
        random_walk(&walk, 20000, 12);
        walk.fd = vtd_close(walk.fd);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        const struct CMUnitTest tests[] = {
                CASE(before_hello_only_hello_is_served),
                CASE(another_major_version_is_refused_and_hello_may_come_again),
                CASE(a_lost_supervisor_is_fatal),
                CASE(a_device_given_up_is_left_alone),
                CASE(records_that_do_not_decode_are_violations),
                CASE(requests_that_are_not_built_are_unsupported),
                cmocka_unit_test(a_type_without_a_row_is_served_in_no_phase),
                CASE(a_plugged_device_is_blocked_and_its_host_is_told_masked),
                CASE(a_frontend_is_not_told_of_what_policy_does_not_grant),
                CASE(devices_are_granted_by_name_and_counted),
                CASE(what_the_supervisor_says_becomes_a_refusal),
                CASE(hosts_without_what_the_broker_needs_are_refused),
                CASE(too_many_reserved_ranges_refuse_the_plug),
                CASE(a_device_that_reserves_mapped_memory_is_refused),
                CASE(regions_are_judged_and_pass_values),
                CASE(each_audit_level_adds_to_the_one_below),
                CASE(host_calls_are_audited_with_what_they_were_about),
                CASE(stats_say_what_the_books_say),
                CASE(steps_are_the_hosts),
                CASE(the_end_blocks_everything_before_it_releases_anything),
                CASE(unplugging_blocks_first_and_leaves_the_other_device_alone),
                CASE(a_failing_step_of_the_end_does_not_stop_the_later_ones),
                CASE(every_host_call_may_fail),
                CASE(after_each_of_20000_random_requests_books_and_host_agree),
                CASE(and_so_they_do_when_the_host_fails_now_and_then),
        };

        return cmocka_run_group_tests_name("vm", tests, NULL, NULL);
}
