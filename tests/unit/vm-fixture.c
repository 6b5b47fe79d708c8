/* SPDX-License-Identifier: MIT */
/* See vm-fixture.h. */
#include "tests/unit/vm-fixture.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/worker/hello.h"
#include "shared/checked.h"
#include "shared/cleanup.h"

static void fill_policy(struct vtd_policy *policy)
{
        static const uint64_t limits[VTD_POLICY_LIMIT_COUNT] = {
                [VTD_POLICY_MEMORY] = 8 * GIB,
                [VTD_POLICY_MAPPINGS] = 4,
                [VTD_POLICY_DEVICES] = 3,
                [VTD_POLICY_FIRST_STAGE_TABLES] = 4,
                [VTD_POLICY_PASIDS] = 4,
                [VTD_POLICY_INTERRUPTS] = 6,
                [VTD_POLICY_ADDRESS_WIDTH] = 57,
                [VTD_POLICY_INVALIDATE_RATE] = 10000000,
                [VTD_POLICY_INVALIDATE_BURST] = 65536,
        };

        *policy = (struct vtd_policy){
                .version = VTD_POLICY_VERSION,
                .tenant = "blue",
                .file = "blue.policy",
                .tenant_line = LINE_TENANT,
                .modes = VTD_POLICY_MODE_BLOCKED | VTD_POLICY_MODE_PASSTHROUGH |
                         VTD_POLICY_MODE_FIRST_STAGE,
                .modes_line = LINE_MODES,
                .first_stage_flags = VTD_FIRST_STAGE_FLAGS,
                .first_stage_flags_line = LINE_FLAGS,
                .read_only = VTD_POLICY_READ_ONLY_REFUSE,
                .n_devices = 4,
        };
        for (uint32_t i = 0; i < VTD_POLICY_LIMIT_COUNT; i++)
                policy->limits[i] =
                        (struct vtd_policy_limit){.value = limits[i], .line = LINE_LIMIT + i};
        for (uint32_t i = 0; i < policy->n_devices; i++) {
                struct vtd_policy_device *device = &policy->devices[i];

                (void)snprintf(device->name, sizeof(device->name), "dev%u", i);
                (void)snprintf(device->address, sizeof(device->address), "0000:00:%02x.0", 4 + i);
                device->line = LINE_DEVICE + i;
                device->source = VTD_POLICY_SOURCE_PCI;
                device->regions_read = 0x7;
                device->regions_write = 0x1;
        }
}

struct fixture *fixture_new(void)
{
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        fill_policy(&fixture->policy);
        fixture->level = VTD_AUDIT_HOST_CALLS;
        return fixture;
}

void fixture_grant_config(struct fixture *fixture)
{
        for (uint32_t i = 0; i < fixture->policy.n_devices; i++) {
                fixture->policy.devices[i].regions_read |= VTD_POLICY_REGION_CONFIG;
                fixture->policy.devices[i].regions_write |= VTD_POLICY_REGION_CONFIG;
        }
}

void fixture_start(struct fixture *fixture, bool greet)
{
        struct vtd_request hello = {
                .type = VTD_REQUEST_HELLO,
                .hello = {.major = VTD_PROTOCOL_MAJOR, .minor = VTD_PROTOCOL_MINOR}};
        struct vtd_vm_config config;

        fixture->host = fake_host_new();
        fixture->supervisor = (struct fake_supervisor){.base.socket = -1, .host = fixture->host};
        config = (struct vtd_vm_config){.policy = &fixture->policy,
                                        .host_kind = VTD_HOST_SIMULATED,
                                        .audit_level = fixture->level,
                                        .host = &fixture->host->host,
                                        .supervisor = &fixture->supervisor.base};
        assert_int_equal(vtd_vm_new(&fixture->vm, &config), 0);
        if (!greet)
                return;
        assert_int_equal(fixture_call(fixture, &hello, -1), 0);
        assert_false(fixture->reply.refused);
}

void fixture_stop(struct fixture *fixture)
{
        bool freed = false;

        fixture->host->freed = &freed;
        vtd_vm_end(fixture->vm, VTD_AUDIT_EVENT_CONNECTION_ENDED);
        fixture_check_books(fixture, false);
        if (fixture->host->misuse)
                fail_msg("host misused: %s", fixture->host->misuse);
        assert_true(fake_host_empty(fixture->host));
        assert_int_equal(fake_supervisor_opened(&fixture->supervisor), 0);
        fixture->vm = vtd_vm_free(fixture->vm);
        assert_true(freed);
}

void fixture_free(struct fixture *fixture)
{
        fixture_stop(fixture);
        free(fixture);
}

int fixture_call(struct fixture *fixture, struct vtd_request *request, int fd)
{
        uint8_t record[VTD_FRAME_SIZE_MAX], answer[VTD_FRAME_SIZE_MAX];
        struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        size_t length, answer_length;
        int r;

        request->sequence = ++fixture->sequence;
        assert_int_equal(vtd_codec_encode_request(request, record, &length), 0);
        if (fd >= 0) {
                fds.fds[0] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                assert_true(fds.fds[0] >= 0);
                fds.count = 1;
        }
        fixture->delay_ms = 12345;
        r = vtd_vm_request(fixture->vm, record, length, &fds, answer, &answer_length,
                           &fixture->delay_ms);
        vtd_fd_list_deinit(&fds);
        if (r == 0) {
                assert_int_equal(vtd_codec_decode_reply(&fixture->codec, &fixture->reply,
                                                        request->type, request->sequence, answer,
                                                        answer_length, 0),
                                 0);
                assert_true(fixture->delay_ms <= VTD_LIMIT_INVALIDATE_DELAY_MS);
        }
        return r;
}

static void check_tables(const struct vtd_vm *vm, const struct fake_host *host)
{
        size_t tables = 0, second_stages = 0;

        for (size_t i = 0; i < vm->table_handles.capacity; i++) {
                const struct vtd_table *t = &vm->tables[i];
                size_t users = 0;

                if (!vtd_handles_used(&vm->table_handles, i))
                        continue;
                tables++;
                assert_int_equal(host->objects[t->hwpt].kind, FAKE_FIRST_STAGE);
                assert_int_equal(host->objects[t->hwpt].config.root, t->config.root);
                assert_int_equal(host->objects[t->hwpt].parent,
                                 vm->second_stages[t->second_stage].hwpt);
                for (size_t j = 0; j < vm->n_attachments; j++)
                        users += vm->attachments[j].used && vm->attachments[j].table == i;
                assert_int_equal(users, t->attachments);
        }
        assert_int_equal(tables, fake_host_count(host, FAKE_FIRST_STAGE));
        assert_int_equal(tables, vtd_quota_used(&vm->quota, VTD_POLICY_FIRST_STAGE_TABLES));
        for (size_t i = 0; i < VTD_ARRAY_SIZE(vm->second_stages); i++) {
                const struct vtd_second_stage *s = &vm->second_stages[i];
                size_t users = 0;

                if (s->hwpt == VTD_NO_ID)
                        continue;
                second_stages++;
                assert_int_equal(host->objects[s->hwpt].kind, FAKE_SECOND_STAGE);
                assert_int_equal(host->objects[s->hwpt].parent, vm->ioas);
                for (size_t j = 0; j < vm->device_handles.capacity; j++)
                        users += vtd_handles_used(&vm->device_handles, j) &&
                                 vm->devices[j].second_stage == i;
                assert_int_equal(users, s->devices);
        }
        second_stages += vm->scratch_hwpt != VTD_NO_ID;
        assert_int_equal(second_stages, fake_host_count(host, FAKE_SECOND_STAGE));
        assert_int_equal((vm->ioas != VTD_NO_ID) + (vm->scratch_ioas != VTD_NO_ID),
                         fake_host_count(host, FAKE_IOAS));
}

static void check_memory(const struct vtd_vm *vm, const struct fake_host *host)
{
        uint64_t bytes = 0;
        size_t mappings = 0;

        for (size_t i = 0; i < vm->mapping_handles.capacity; i++) {
                const struct vtd_mapping *m = &vm->mappings[i];
                uint64_t covered = 0;

                if (!vtd_handles_used(&vm->mapping_handles, i))
                        continue;
                mappings++;
                bytes += m->empty ? 0 : m->end - m->start;
                for (size_t j = 0; j < FAKE_AREAS; j++)
                        if (host->areas[j].used && host->areas[j].ioas == vm->ioas &&
                            vtd_range_contains(m->start, m->end - m->start, host->areas[j].iova,
                                               host->areas[j].length))
                                covered += host->areas[j].length;
                assert_int_equal(covered, m->empty ? 0 : m->end - m->start);
        }
        assert_int_equal(bytes, fake_host_mapped(host));
        assert_int_equal(bytes, vtd_quota_used(&vm->quota, VTD_POLICY_MEMORY));
        assert_int_equal(mappings, vtd_quota_used(&vm->quota, VTD_POLICY_MAPPINGS));
}

/* Every vector that the host has armed is charged. */
static void check_interrupts(const struct fixture *fixture, const struct vtd_device *d)
{
        const struct fake_object *object = &fixture->host->objects[d->id];

        for (size_t i = 0; i < FAKE_VECTORS; i++)
                if (object->armed[i])
                        assert_true(i < d->vectors && object->kind_armed == d->vectors_kind);
}

static size_t check_device(const struct fixture *fixture, size_t index, bool fatal)
{
        const struct vtd_vm *vm = fixture->vm;
        const struct fake_host *host = fixture->host;
        const struct vtd_device *d = &vm->devices[index];
        size_t attached = d->probing;

        assert_int_equal(d->opened, fixture->supervisor.opened[d->index]);
        if (!d->bound)
                return 0;
        assert_int_equal(host->objects[d->id].kind, FAKE_DEVICE);
        assert_int_equal(host->objects[d->id].number, d->index);
        /* The books may only err to the side of turning it off once more. */
        assert_true(d->bus_master || !host->objects[d->id].bus_master);
        check_interrupts(fixture, d);
        for (size_t i = 0; i < vm->n_attachments; i++) {
                const struct vtd_attachment *a = &vm->attachments[i];

                if (!a->used || a->device != index)
                        continue;
                attached++;
                if (fatal)
                        continue; /* the attach before the failed detach may have failed too */
                assert_true(d->bus_master || !d->bus_master_wished);
                assert_int_equal(fake_host_attached(host, d->id, a->pasid),
                                 a->table == VTD_NO_INDEX ? vm->second_stages[d->second_stage].hwpt
                                                          : vm->tables[a->table].hwpt);
        }
        return attached;
}

void fixture_check_books(const struct fixture *fixture, bool fatal)
{
        const struct vtd_vm *vm = fixture->vm;
        const struct fake_host *host = fixture->host;
        size_t devices = 0, bound = 0, opened = 0, attached = 0, pasids = 0, vectors = 0;
        struct vtd_stats stats;

        check_tables(vm, host);
        check_memory(vm, host);
        for (size_t i = 0; i < vm->device_handles.capacity; i++) {
                if (!vtd_handles_used(&vm->device_handles, i))
                        continue;
                devices++;
                bound += vm->devices[i].bound;
                opened += vm->devices[i].opened;
                vectors += vm->devices[i].vectors;
                attached += check_device(fixture, i, fatal);
        }
        for (size_t i = 0; i < vm->n_attachments; i++)
                pasids += vm->attachments[i].used && vm->attachments[i].pasid != VTD_NO_PASID;
        assert_int_equal(devices, vtd_quota_used(&vm->quota, VTD_POLICY_DEVICES));
        assert_int_equal(pasids, vtd_quota_used(&vm->quota, VTD_POLICY_PASIDS));
        assert_int_equal(vectors, vtd_quota_used(&vm->quota, VTD_POLICY_INTERRUPTS));
        assert_int_equal(bound, fake_host_count(host, FAKE_DEVICE));
        assert_int_equal(opened, fake_supervisor_opened(&fixture->supervisor));
        assert_int_equal(attached, fake_host_attachments(host));
        if (!fatal)
                assert_int_equal(fake_host_limbo(host), 0);
        vtd_stats_now(vm, &stats);
        assert_int_equal(stats.host_calls, vm->host_audit.calls);
        assert_int_equal(stats.first_stage_tables, fake_host_count(host, FAKE_FIRST_STAGE));
}

static void must_succeed(struct fixture *fixture, struct vtd_request *request, int fd)
{
        assert_int_equal(fixture_call(fixture, request, fd), 0);
        if (fixture->reply.refused)
                fail_msg("refused: %s", vtd_reason_name(fixture->reply.refusal.reason));
        fixture_check_books(fixture, false);
}

struct vtd_request fixture_plug_request(unsigned number)
{
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE};

        (void)snprintf(request.plug_device.name.text, sizeof(request.plug_device.name.text),
                       "dev%u", number);
        return request;
}

struct vtd_request fixture_map_request(uint64_t gpa, uint64_t size, uint64_t offset)
{
        return (struct vtd_request){.type = VTD_REQUEST_MAP_MEMORY,
                                    .map_memory = {.gpa = gpa, .size = size, .offset = offset}};
}

struct vtd_request fixture_attach_request(uint64_t device, uint32_t pasid,
                                          enum vtd_attach_mode mode, uint64_t root)
{
        bool first_stage = mode == VTD_ATTACH_FIRST_STAGE;

        return (struct vtd_request){.type = VTD_REQUEST_ATTACH,
                                    .attach = {.device = device,
                                               .pasid = pasid,
                                               .mode = mode,
                                               .root = first_stage ? root : 0,
                                               .address_width = first_stage ? 48 : 0}};
}

uint64_t fixture_plug(struct fixture *fixture, unsigned number)
{
        struct vtd_request request = fixture_plug_request(number);

        must_succeed(fixture, &request, -1);
        return fixture->reply.plug_device.device;
}

uint64_t fixture_map(struct fixture *fixture, uint64_t gpa, uint64_t size)
{
        struct vtd_request request = fixture_map_request(gpa, size, 0);
        VTD_CLEANUP_FD int fd = fixture_memfd(size, F_SEAL_SHRINK);

        must_succeed(fixture, &request, fd);
        return fixture->reply.map_memory.mapping;
}

uint64_t fixture_attach(struct fixture *fixture, uint64_t device, uint32_t pasid,
                        enum vtd_attach_mode mode, uint64_t root)
{
        struct vtd_request request = fixture_attach_request(device, pasid, mode, root);

        must_succeed(fixture, &request, -1);
        return fixture->reply.attach.table;
}

void fixture_expect_refusal(struct fixture *fixture, struct vtd_request *request, int fd,
                            enum vtd_reason reason, uint32_t line)
{
        const struct vtd_refusal *refusal = &fixture->reply.refusal;
        const struct vtd_control_audit *audit;

        assert_int_equal(fixture_call(fixture, request, fd), 0);
        assert_true(fixture->reply.refused);
        assert_string_equal(vtd_reason_name(refusal->reason), vtd_reason_name(reason));
        assert_int_equal(refusal->status, vtd_reason_status(reason));
        audit = fake_supervisor_find(&fixture->supervisor, VTD_AUDIT_REQUEST, request->type);
        assert_non_null(audit);
        assert_int_equal(audit->sequence, request->sequence);
        assert_int_equal(audit->reason, reason);
        assert_int_equal(audit->status, refusal->status);
        assert_int_equal(audit->asked, refusal->asked);
        assert_int_equal(audit->allowed, refusal->allowed);
        assert_int_equal(audit->line, line);
        fixture_check_books(fixture, false);
}

int fixture_memfd(uint64_t size, unsigned seals)
{
        int fd = memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t)size), 0);
        if (seals)
                assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

uint32_t fixture_host_id(const struct fixture *fixture, uint64_t device)
{
        size_t index;

        assert_int_equal(vtd_handles_find(&fixture->vm->device_handles, device, &index), 0);
        return fixture->vm->devices[index].id;
}

void fixture_forget_calls(struct fixture *fixture)
{
        fixture->host->n_calls = 0;
}

void fixture_expect_calls(const struct fixture *fixture, const uint32_t *ops)
{
        size_t n = 0;

        for (; ops[n] != 0; n++) {
                assert_true(n < fixture->host->n_calls);
                if (fixture->host->calls[n].op != ops[n])
                        fail_msg("host call %zu is %u, not %u", n, fixture->host->calls[n].op,
                                 ops[n]);
        }
        assert_int_equal(fixture->host->n_calls, n);
}
