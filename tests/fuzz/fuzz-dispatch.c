/* SPDX-License-Identifier: MIT */
/*
 * A whole VM in a worker, over a host that keeps iommufd's rules: programs of requests, good ones,
 * nearly good ones and raw bytes, with memory that may be mapped and files that may not, on a host
 * whose devices are of all kinds and that fails now and then, as vtd-brokerd does.  After each step
 * the books equal what the host holds, refusals change nothing that counts, the connection ends only
 * for what a client or a failure gave reason for, and at the end nothing is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/program.h"
#include "tests/unit/unit.h"
#include "tests/unit/vm-fixture.h"

#define HANDLES 8u

/* What MapMemory can come with: the first is as it should be. */
enum file {
        FILE_SEALED,
        FILE_UNSEALED,
        FILE_NOT_WRITABLE, /* by its seals */
        FILE_READ_ONLY,    /* by how it was opened */
        FILE_NO_MEMFD,
        FILE_COUNT,
};

struct session {
        struct fixture *fixture;
        int files[FILE_COUNT];
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
                1 + step->b % 3, (step->d % 64) * 4096 + (step->d >> 56) * 16);

        if (request.attach.mode == VTD_ATTACH_FIRST_STAGE) {
                request.attach.flags = (step->b >> 4) & VTD_FIRST_STAGE_FLAGS;
                request.attach.address_width = step->b & 0x800 ? 57 : 48;
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

/* Those of the device plane, by 3 bits of the step. */
static struct vtd_request make_plane(const struct session *session, const struct fuzz_step *step)
{
        uint64_t device = handle(session->devices, step);
        struct vtd_request request = {.type = VTD_REQUEST_GET_DEVICE_INFO + (step->b >> 8) % 6};

        if (request.type == VTD_REQUEST_CONFIG_READ || request.type == VTD_REQUEST_CONFIG_WRITE) {
                request.config = (struct vtd_config_request){.device = device,
                                                             .offset = step->c >> 12,
                                                             .width = 1u << (step->b & 3) % 3};
                if (request.type == VTD_REQUEST_CONFIG_WRITE)
                        request.config.value =
                                (uint32_t)step->d & (UINT32_MAX >> (32 - 8 * request.config.width));
        } else if (request.type == VTD_REQUEST_SET_INTERRUPT ||
                   request.type == VTD_REQUEST_CLEAR_INTERRUPTS) {
                request.interrupt = (struct vtd_device_interrupt_request){
                        .device = device, .kind = 1 + (step->b & 1)};
                if (request.type == VTD_REQUEST_SET_INTERRUPT)
                        request.interrupt.vector = step->c & 1 ? step->c : step->c % 10;
        } else {
                request.device.device = device;
        }
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
                return step->b & 0x80 ? make_plane(session, step) : make_region(session, step);
        default:
                if (!(step->a & 1))
                        return request;
                request.type = VTD_REQUEST_HELLO;
                request.hello.major = VTD_PROTOCOL_MAJOR + (step->b & 1);
                request.hello.minor = step->b >> 1;
                request.hello.features = step->c;
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

/* Something that the worker depends on was made to fail. */
static bool has_failed(const struct session *session)
{
        const struct fake_supervisor *supervisor = &session->fixture->supervisor;

        return session->fixture->host->failed_op != 0 || supervisor->open_result < 0 ||
               supervisor->close_result != 0 || supervisor->dispatch_result != 0 ||
               supervisor->greeted_result != 0;
}

/* What cannot be written may be left out where the policy says so; all else must be as it should be. */
static bool may_be_mapped(enum file file, uint32_t read_only)
{
        return file == FILE_SEALED || (read_only == VTD_POLICY_READ_ONLY_SKIP &&
                                       (file == FILE_NOT_WRITABLE || file == FILE_READ_ONLY));
}

static void request(struct session *session, const struct fuzz_step *step)
{
        struct vtd_request made = make_request(session, step);
        struct fixture *fixture = session->fixture;
        bool greeted = fixture->vm->phase != VTD_VM_NEW;
        uint8_t record[VTD_FRAME_SIZE_MAX];
        size_t length;
        enum file file = step->a < 0xc0 ? FILE_SEALED : (step->a >> 1) % FILE_COUNT;
        int r, fd = -1;

        /* What no client can encode is not a request; raw() sends such bytes. */
        if (vtd_codec_encode_request(&made, record, &length) != 0)
                return;
        if (vtd_request_kind(made.type)->fd_count > 0)
                fd = session->files[file];
        fixture->host->n_calls = 0;
        r = fixture_call(fixture, &made, fd);
        if (greeted == (made.type == VTD_REQUEST_HELLO) ||
            (greeted && vtd_request_kind(made.type)->minor > fixture->vm->minor))
                FUZZ_REQUIRE(r == VTD_VM_E_VIOLATION);
        else
                FUZZ_REQUIRE(r == 0 || (r == VTD_VM_E_FATAL && has_failed(session)));
        /* A device that vtd-brokerd did not close is in no book until it has. */
        if (r != VTD_VM_E_FATAL || fixture->supervisor.close_result == 0)
                fixture_check_books(fixture, r == VTD_VM_E_FATAL);
        FUZZ_REQUIRE(!fixture->host->misuse);
        session->over = r != 0;
        if (r != 0 || fixture->reply.refused)
                return;
        if (made.type == VTD_REQUEST_MAP_MEMORY)
                FUZZ_REQUIRE(may_be_mapped(file, fixture->policy.read_only));
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
        FUZZ_REQUIRE(r == 0 || r == VTD_VM_E_VIOLATION ||
                     (r == VTD_VM_E_FATAL && has_failed(session)));
        fixture_check_books(fixture, r == VTD_VM_E_FATAL);
        session->over = r != 0;
}

/* The next calls of the host, or of one kind, fail. */
static void let_host_fail(struct session *session, const struct fuzz_step *step)
{
        static const int results[] = {-EIO, VTD_HOST_E_LIMIT, VTD_HOST_E_INVALID, VTD_HOST_E_BUSY};
        static const uint32_t others[] = {FAKE_REGION_READ, FAKE_REGION_WRITE, FAKE_CONFIG_READ,
                                          FAKE_CONFIG_WRITE};
        size_t op = step->b % (VTD_AUDIT_HOST_CALL_END + VTD_ARRAY_SIZE(others));
        struct fake_host *host = session->fixture->host;

        fake_host_fail(host, step->a % 8, 1 + step->c % 3,
                       results[step->d % VTD_ARRAY_SIZE(results)]);
        host->fail_op =
                (uint32_t)(op < VTD_AUDIT_HOST_CALL_END ? op
                                                        : others[op - VTD_AUDIT_HOST_CALL_END]);
        host->fail_done = (step->d >> 8) % 8;
}

/* From here on vtd-brokerd answers otherwise, or not at all. */
static void change_supervisor(struct session *session, const struct fuzz_step *step)
{
        static const int results[] = {0,
                                      VTD_SUPERVISOR_E_HELD,
                                      VTD_SUPERVISOR_E_GROUP,
                                      VTD_SUPERVISOR_E_BRIDGE,
                                      VTD_SUPERVISOR_E_NO_IOMMU,
                                      VTD_SUPERVISOR_E_MISSING,
                                      -EPIPE};
        struct fake_supervisor *supervisor = &session->fixture->supervisor;

        supervisor->open_result = results[step->a % VTD_ARRAY_SIZE(results)];
        supervisor->close_result = step->b & 1 ? -EPIPE : 0;
        supervisor->dispatch_result = step->b & 2 ? -EPIPE : 0;
        supervisor->greeted_result = step->b & 4 ? -EPIPE : 0;
}

/* A device is of another kind, as long as nobody has it open. */
static void change_device(struct session *session, const struct fuzz_step *step)
{
        size_t number = step->a % 4;
        struct fake_device_config *device = &session->fixture->host->devices[number];

        if (session->fixture->supervisor.opened[number])
                return;
        if (step->b & 0x80) {
                fake_host_set_config(session->fixture->host, (uint32_t)number,
                                     step->c % FAKE_CONFIG_SIZE & ~3u, (uint32_t)step->d);
                return;
        }
        switch (step->b % 7) {
        case 0:
                device->info.is_vtd = !device->info.is_vtd;
                return;
        case 1:
                device->info.can_reset = !device->info.can_reset;
                return;
        case 2:
                device->info.cap ^= UINT64_C(1) << step->c % 64;
                return;
        case 3:
                device->info.ecap ^= UINT64_C(1) << step->c % 64;
                return;
        case 4:
                device->info.pasid_bits = (uint8_t)(step->c % 24);
                return;
        case 5:
                device->info.region_size[step->c % VTD_REGIONS] = step->d & 0xfffff;
                return;
        default:
                /* Every other stretch of 4 MiB or more can be used. */
                device->n_usable = step->c % (FAKE_RANGES + 1);
                for (uint64_t i = 0; i < device->n_usable; i++) {
                        uint64_t stretch = (4 + step->d % 64) * MIB;

                        device->usable[i] = (struct vtd_address_range){2 * i * stretch,
                                                                       (2 * i + 1) * stretch - 1};
                }
        }
}

static void take_step(struct session *session, const struct fuzz_step *step)
{
        if (step->operation < 0xc0)
                request(session, step);
        else if (step->operation < 0xd0)
                raw(session, step);
        else if (step->operation < 0xd8)
                change_device(session, step);
        else if (step->operation < 0xe0)
                change_supervisor(session, step);
        else if (step->operation < 0xe8)
                FUZZ_REQUIRE(!vtd_vm_step(session->fixture->vm));
        else
                let_host_fail(session, step);
}

static int read_only_copy(int fd)
{
        char path[32];
        int copy;

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        copy = open(path, O_RDONLY | O_CLOEXEC);
        FUZZ_REQUIRE(copy >= 0);
        return copy;
}

static void open_files(struct session *session)
{
        session->files[FILE_SEALED] = fixture_memfd(4 * MIB, F_SEAL_SHRINK);
        session->files[FILE_UNSEALED] = fixture_memfd(4 * MIB, 0);
        session->files[FILE_NOT_WRITABLE] = fixture_memfd(4 * MIB, F_SEAL_SHRINK | F_SEAL_WRITE);
        session->files[FILE_READ_ONLY] = read_only_copy(session->files[FILE_SEALED]);
        session->files[FILE_NO_MEMFD] = open("/dev/null", O_RDWR | O_CLOEXEC);
        FUZZ_REQUIRE(session->files[FILE_NO_MEMFD] >= 0);
}

/* The scene: limits of the policy, small ones, and exceptions. */
static void start(struct session *session, const struct fuzz_step *scene)
{
        struct vtd_policy *policy = &session->fixture->policy;

        policy->limits[VTD_POLICY_MEMORY].value = (1 + scene->a % 16) * MIB;
        policy->limits[VTD_POLICY_MAPPINGS].value = 1 + scene->b % 8;
        policy->limits[VTD_POLICY_DEVICES].value = 1 + scene->c % 4;
        policy->limits[VTD_POLICY_FIRST_STAGE_TABLES].value = scene->d % 5;
        policy->limits[VTD_POLICY_PASIDS].value = (scene->d >> 8) % 5;
        policy->limits[VTD_POLICY_INTERRUPTS].value = (scene->d >> 32) % 12;
        policy->limits[VTD_POLICY_ADDRESS_WIDTH].value = scene->b & 0x100 ? 48 : 57;
        if (scene->b & 0x200) {
                policy->limits[VTD_POLICY_INVALIDATE_RATE].value = 10;
                policy->limits[VTD_POLICY_INVALIDATE_BURST].value = VTD_LIMIT_INVALIDATE_ENTRIES;
        }
        policy->modes = 1 | ((scene->d >> 16) & 6);
        policy->first_stage_flags = (scene->d >> 24) & VTD_FIRST_STAGE_FLAGS;
        policy->read_only =
                scene->operation & 2 ? VTD_POLICY_READ_ONLY_SKIP : VTD_POLICY_READ_ONLY_REFUSE;
        for (size_t i = 0; i < policy->n_devices; i++)
                policy->devices[i].exceptions = (scene->c >> (8 + 3 * i)) & 7;
        if (scene->operation & 0x10)
                fixture_grant_config(session->fixture);
        session->fixture->level = VTD_AUDIT_HOST_CALLS - (scene->operation >> 2) % 3u;
        fixture_start(session->fixture, !(scene->operation & 1));
}

/* At the end nothing may be left, even if devices cannot be detached and have to be closed for it. */
static void end(struct session *session)
{
        struct fixture *fixture = session->fixture;

        fixture->supervisor.close_result = 0;
        if (fixture->host->fail_op != VTD_AUDIT_DETACH)
                fixture->host->fail_after = SIZE_MAX;
        fixture_free(fixture);
        for (size_t i = 0; i < FILE_COUNT; i++)
                session->files[i] = vtd_close(session->files[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct session session = {.fixture = fixture_new()};
        struct fuzz_step step = {0};

        open_files(&session);
        (void)fuzz_program_get(data, size, 0, &step);
        start(&session, &step);
        for (size_t i = 1; !session.over && fuzz_program_get(data, size, i, &step); i++)
                take_step(&session, &step);
        end(&session);
        return 0;
}
