/* SPDX-License-Identifier: MIT */
/*
 * A whole VM in a worker, over a host that keeps iommufd's rules: programs of requests, good ones,
 * nearly good ones and raw bytes, on a host that fails now and then.  After each step the books equal
 * what the host holds, refusals change nothing that counts, and at the end nothing is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/program.h"
#include "tests/unit/unit.h"
#include "tests/unit/vm-fixture.h"

#define HANDLES 8u

struct session {
        struct fixture *fixture;
        int memory;
        uint64_t devices[HANDLES], mappings[HANDLES], tables[HANDLES];
        bool over; /* the connection ended */
};

/* A handle that was given out, or that value. */
static uint64_t handle(const uint64_t *handles, const struct fuzz_step *step)
{
        return step->a & 0x80 ? step->d : handles[step->a % HANDLES];
}

static struct vtd_request make_attach(const struct session *session, const struct fuzz_step *step)
{
        struct vtd_request request = fixture_attach_request(
                handle(session->devices, step), step->c % 7 ? step->c % 5 : step->c & VTD_PASID_MAX,
                1 + step->b % 3, (step->d % 64) * 4096);

        if (request.attach.mode == VTD_ATTACH_FIRST_STAGE) {
                request.attach.flags = (step->b >> 4) & VTD_FIRST_STAGE_FLAGS;
                request.attach.address_width = step->b & 0x800 ? step->b >> 12 : 48;
        }
        return request;
}

static struct vtd_request make_invalidate(const struct session *session,
                                          const struct fuzz_step *step)
{
        struct vtd_request request = {.type = VTD_REQUEST_INVALIDATE};

        request.invalidate.table = handle(session->tables, step);
        request.invalidate.count = 1 + step->b % VTD_LIMIT_INVALIDATE_ENTRIES;
        for (size_t i = 0; i < request.invalidate.count; i++)
                request.invalidate.entries[i] = (struct vtd_invalidate_entry){
                        .address = step->d + i * (step->c & 0xfff) * 4096,
                        .pages = step->c >> 31 ? VTD_INVALIDATE_ALL : (step->c >> 12) & 0xfff,
                        .leaf = (step->b >> 8) & 1};
        return request;
}

static struct vtd_request make_region(const struct session *session, const struct fuzz_step *step)
{
        struct vtd_request request = {.type = step->b & 1 ? VTD_REQUEST_REGION_WRITE
                                                          : VTD_REQUEST_REGION_READ};

        request.region = (struct vtd_region_request){.device = handle(session->devices, step),
                                                     .region = (step->b >> 1) & 7,
                                                     .width = 1u << ((step->b >> 4) & 3),
                                                     .offset = step->c};
        if (step->b & 1)
                request.region.value = step->d >> (64 - 8 * request.region.width);
        return request;
}

static struct vtd_request make_request(const struct session *session, const struct fuzz_step *step)
{
        struct vtd_request request = {.type = VTD_REQUEST_GET_STATS};

        switch (step->operation % 10) {
        case 0:
                return fixture_plug_request(step->a % 6);
        case 1:
                request.type = VTD_REQUEST_UNPLUG_DEVICE;
                request.unplug_device.device = handle(session->devices, step);
                return request;
        case 2:
                return fixture_map_request((step->d % 16) * MIB + (step->a & 1) * (step->c & 0xfff),
                                           (step->b % 5) * MIB, (step->c >> 12) % 3 * MIB);
        case 3:
                return fixture_map_request(step->d, step->c, step->b * UINT64_C(4096));
        case 4:
                request.type = VTD_REQUEST_UNMAP_MEMORY;
                request.unmap_memory.mapping = handle(session->mappings, step);
                return request;
        case 5:
        case 6:
                return make_attach(session, step);
        case 7:
                return make_invalidate(session, step);
        case 8:
                return make_region(session, step);
        default:
                return request;
        }
}

static void remember(struct session *session, const struct vtd_request *request,
                     const struct fuzz_step *step)
{
        const struct vtd_reply *reply = &session->fixture->reply;

        if (request->type == VTD_REQUEST_PLUG_DEVICE)
                session->devices[step->b % HANDLES] = reply->plug_device.device;
        else if (request->type == VTD_REQUEST_MAP_MEMORY)
                session->mappings[step->a % HANDLES] = reply->map_memory.mapping;
        else if (request->type == VTD_REQUEST_ATTACH && reply->attach.table != 0)
                session->tables[step->a % HANDLES] = reply->attach.table;
}

static void request(struct session *session, const struct fuzz_step *step)
{
        struct vtd_request made = make_request(session, step);
        struct fixture *fixture = session->fixture;
        bool greeted = fixture->vm->phase != VTD_VM_NEW;
        uint8_t record[VTD_FRAME_SIZE_MAX];
        size_t length;
        int r;

        /* What no client can encode is not a request; raw() sends such bytes. */
        if (vtd_codec_encode_request(&made, record, &length) != 0)
                return;
        fixture->host->n_calls = 0;
        r = fixture_call(fixture, &made,
                         made.type == VTD_REQUEST_MAP_MEMORY ? session->memory : -1);
        FUZZ_REQUIRE(r == 0 || r == (greeted ? VTD_VM_E_FATAL : VTD_VM_E_VIOLATION));
        fixture_check_books(fixture, r == VTD_VM_E_FATAL);
        FUZZ_REQUIRE(!fixture->host->misuse);
        session->over = r != 0;
        if (r == 0 && !fixture->reply.refused)
                remember(session, &made, step);
}

/* The step's own bytes as a record, with or without a header that fits. */
static void raw(struct session *session, const struct fuzz_step *step)
{
        uint8_t record[VTD_FRAME_HEADER_SIZE + sizeof(*step)], answer[VTD_FRAME_SIZE_MAX];
        struct vtd_fd_list fds = VTD_FD_LIST_EMPTY;
        struct fixture *fixture = session->fixture;
        struct vtd_frame frame = {.type = step->a % (VTD_REQUEST_TYPE_END + 1),
                                  .sequence = step->b,
                                  .body_length = step->c % (sizeof(*step) + 1)};
        size_t length = VTD_FRAME_HEADER_SIZE + frame.body_length, answer_length;
        unsigned delay_ms;
        int r;

        vtd_frame_encode(&frame, record);
        memcpy(record + VTD_FRAME_HEADER_SIZE, &step->d, sizeof(step->d));
        memcpy(record + VTD_FRAME_HEADER_SIZE + sizeof(step->d), step, sizeof(step->d));
        r = vtd_vm_request(fixture->vm, record, length, &fds, answer, &answer_length, &delay_ms);
        vtd_fd_list_deinit(&fds);
        FUZZ_REQUIRE(r == 0 || r == VTD_VM_E_VIOLATION || r == VTD_VM_E_FATAL);
        fixture_check_books(fixture, r == VTD_VM_E_FATAL);
        session->over = r != 0;
}

/* The next calls of the host, or of one kind, fail. */
static void let_host_fail(struct session *session, const struct fuzz_step *step)
{
        static const int results[] = {-EIO, VTD_HOST_E_LIMIT, VTD_HOST_E_INVALID};

        session->fixture->host->fail_op = step->b % VTD_AUDIT_HOST_CALL_END;
        fake_host_fail(session->fixture->host, step->a % 8, 1 + step->c % 3,
                       results[step->d % VTD_ARRAY_SIZE(results)]);
        session->fixture->host->fail_done = (step->d >> 8) % 8;
}

/* The scene: limits of the policy, small ones. */
static void start(struct session *session, const struct fuzz_step *scene)
{
        struct vtd_policy *policy = &session->fixture->policy;

        policy->limits[VTD_POLICY_MEMORY].value = (1 + scene->a % 16) * MIB;
        policy->limits[VTD_POLICY_MAPPINGS].value = 1 + scene->b % 8;
        policy->limits[VTD_POLICY_DEVICES].value = 1 + scene->c % 4;
        policy->limits[VTD_POLICY_FIRST_STAGE_TABLES].value = scene->d % 5;
        policy->limits[VTD_POLICY_PASIDS].value = (scene->d >> 8) % 5;
        policy->modes = 1 | ((scene->d >> 16) & 6);
        policy->first_stage_flags = (scene->d >> 24) & VTD_FIRST_STAGE_FLAGS;
        policy->read_only =
                scene->operation & 2 ? VTD_POLICY_READ_ONLY_SKIP : VTD_POLICY_READ_ONLY_REFUSE;
        fixture_start(session->fixture, !(scene->operation & 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct session session = {.fixture = fixture_new()};
        struct fuzz_step step = {0};

        session.memory = fixture_memfd(4 * MIB, F_SEAL_SHRINK);
        (void)fuzz_program_get(data, size, 0, &step);
        start(&session, &step);
        for (size_t i = 1; !session.over && fuzz_program_get(data, size, i, &step); i++) {
                if (step.operation < 0xd0)
                        request(&session, &step);
                else if (step.operation < 0xe8)
                        raw(&session, &step);
                else
                        let_host_fail(&session, &step);
        }
        session.fixture->host->fail_after = SIZE_MAX;
        fixture_free(session.fixture);
        session.memory = vtd_close(session.memory);
        return 0;
}
