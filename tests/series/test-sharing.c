/* SPDX-License-Identifier: MIT */
/*
 * Sharing of tables through the whole stack: a real vtd-brokerd, a real worker with the simulated
 * host, and a VMM on libvtd-frontend (in this process) whose guest programs a virtual IOMMU.
 *
 * What is counted, and from where:
 * - Host calls by the audit log, which the worker writes one line to for each call that it makes to
 *   its host back end.
 * - The same calls without the worker's word for it.  The simulated host makes no ioctl that strace
 *   could see, and a system call of the worker would only be its audit record again.  So another
 *   process traces the worker and counts by breakpoints how often it enters each operation of its
 *   back end (tests/series/breakpoints.h): the same seam, between worker and host, at which an
 *   ioctl would be counted on a real host.  What the worker believes, logs, or leaves out does not
 *   enter into that count.  It takes the right to trace a process that is not dumpable: run without
 *   privilege, these tests only see that the kernel refuses it.
 * - What the devices' DMA sees, so that a call that was counted has also had its effect.
 * - GetStats, for the second-stage tables that the broker itself believes it has.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "tests/series/breakpoints.h"
#include "tests/system/broker-run.h"
#include "tests/system/raw-client.h"
#include "tests/vmm/guest.h"
#include "tests/vmm/vmm.h"

#define WAIT_MS     10000
#define DEVICES     8u /* named edu0 to edu7 */
#define NONCOHERENT 2u /* named far0 and far1 */
#define MEMORY      (UINT64_C(16) << 20)
#define PAGE_A      UINT64_C(0x400000)
#define PAGE_B      UINT64_C(0x401000)
#define SINK        UINT64_C(0x404000) /* where a device writes what it has read */
#define IOVA        UINT64_C(0x10000000)
#define IOVA_SINK   UINT64_C(0x20000000)
#define DOMAIN      7
#define ROUNDS      10u
#define UNTOUCHED   0xee
#define RAW_ROOT    UINT64_C(0x100000)

/* The operations of the simulated host that the audit log tells of, and by which name. */
static const struct {
        const char *function;
        const char *call;
} operations[] = {
        {"sim_bind", "bind"},
        {"sim_device_info", "device-info"},
        {"sim_bus_master", "bus-master"},
        {"sim_release", "release"},
        {"sim_ioas_alloc", "ioas-alloc"},
        {"sim_ioas_ranges", "ioas-ranges"},
        {"sim_map_file", "map-file"},
        {"sim_unmap", "unmap"},
        {"sim_second_stage_alloc", "second-stage-alloc"},
        {"sim_first_stage_alloc", "first-stage-alloc"},
        {"sim_destroy", "destroy"},
        {"sim_attach", "attach"},
        {"sim_detach", "detach"},
        {"sim_invalidate", "invalidate"},
        {"sim_set_interrupt", "set-interrupt"},
        {"sim_clear_interrupts", "clear-interrupts"},
        {"sim_reset", "reset"},
};
#define OPERATIONS VTD_ARRAY_SIZE(operations)

struct counts {
        uint64_t of[OPERATIONS];
};

struct world {
        struct broker_run run;
        size_t next_line;       /* first audit line not looked at yet */
        uint32_t read_sequence; /* of the VMM, see catch_up() */
        pid_t worker;
        struct vmm *vmm;
        struct guest guest;
        struct raw_client client;
        uint8_t *memory; /* the raw client's guest memory */
        struct breakpoints breakpoints;
        bool traced;
        struct counts audited; /* since the worker was started */
        struct counts entered; /* at the last look: see entered_since() */
};

static size_t operation(const char *call)
{
        for (size_t i = 0; i < OPERATIONS; i++)
                if (strcmp(operations[i].call, call) == 0)
                        return i;
        fail_msg("there is no host call %s", call);
        return 0;
}

static uint64_t of(const struct counts *counts, const char *call)
{
        return counts->of[operation(call)];
}

static uint64_t sum(const struct counts *counts)
{
        uint64_t total = 0;

        for (size_t i = 0; i < OPERATIONS; i++)
                total += counts->of[i];
        return total;
}

static struct counts difference(const struct counts *now, const struct counts *before)
{
        struct counts result;

        for (size_t i = 0; i < OPERATIONS; i++)
                result.of[i] = now->of[i] - before->of[i];
        return result;
}

static int64_t now_ms(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Takes in audit lines until one fits: an event of that name, or the request @sequence. */
static const char *read_audit(struct world *world, const char *event, uint64_t sequence)
{
        int64_t deadline = now_ms() + WAIT_MS;
        uint64_t number;
        char call[32];

        while (now_ms() < deadline) {
                while (world->next_line < world->run.n_lines) {
                        const char *line = world->run.lines[world->next_line++];

                        assert_false(audit_number(line, "lost", &number));
                        if (audit_is(line, "kind", "host-call")) {
                                assert_true(audit_text(line, "call", call, sizeof(call)));
                                world->audited.of[operation(call)]++;
                        } else if (event ? audit_is(line, "event", event)
                                         : audit_is(line, "kind", "request") &&
                                                   audit_number(line, "sequence", &number) &&
                                                   number == sequence) {
                                return line;
                        }
                }
                broker_run_read_audit(&world->run, 50);
        }
        fail_msg("no audit line of %s %llu", event ? event : "request",
                 (unsigned long long)sequence);
        return NULL;
}

static void start_broker(struct world *world)
{
        const struct broker_run_config config = {
                .build = getenv("VTD_BUILD"), .host = "simulated", .audit_level = "host-calls"};
        char text[2048];
        size_t used;

        assert_non_null(config.build);
        used = (size_t)snprintf(text, sizeof(text),
                                "format = 1\n[tenant]\nname = blue\nuid = %u\nvms = 1\n"
                                "[vm]\nmemory = 32MiB\nmappings = 4\ndevices = %u\n"
                                "first-stage-tables = 4\nmodes = passthrough, first-stage\n",
                                (unsigned)geteuid(), DEVICES + NONCOHERENT);
        for (unsigned i = 0; i < DEVICES; i++)
                used += (size_t)snprintf(text + used, sizeof(text) - used,
                                         "[device edu%u]\nsimulated = edu\nregions = 0:rw\n", i);
        for (unsigned i = 0; i < NONCOHERENT; i++)
                used += (size_t)snprintf(text + used, sizeof(text) - used,
                                         "[device far%u]\nsimulated = edu-noncoherent\n"
                                         "regions = 0:rw\nallow = no-snoop-control\n",
                                         i);
        assert_true(used < sizeof(text));
        if (broker_run_prepare(&world->run) < 0 ||
            broker_run_add_policy(&world->run, "blue.policy", text) < 0)
                fail_msg("%s", world->run.message);
        (void)snprintf(text, sizeof(text),
                       "format = 1\n[tenant]\nname = green\nuid = %u\nvms = 1\n"
                       "[vm]\nmemory = 32MiB\ndevices = 2\nfirst-stage-tables = 4\npasids = 4\n"
                       "modes = passthrough, first-stage\n"
                       "[device pas0]\nsimulated = edu-pasid\nregions = 0:rw\n"
                       "[device pas1]\nsimulated = edu-pasid\nregions = 0:rw\n",
                       (unsigned)geteuid());
        if (broker_run_add_policy(&world->run, "green.policy", text) < 0 ||
            broker_run_start(&world->run, &config) < 0)
                fail_msg("%s", world->run.message);
}

static int set_up(void **state)
{
        struct world *world = calloc(1, sizeof(*world));

        assert_non_null(world);
        world->client.fd = -1;
        world->breakpoints.tracer = -1;
        start_broker(world);
        *state = world;
        return 0;
}

static int tear_down(void **state)
{
        struct world *world = *state;
        int result;

        (void)breakpoints_stop(&world->breakpoints);
        raw_close(&world->client);
        if (world->memory)
                (void)munmap(world->memory, MEMORY);
        world->vmm = vmm_free(world->vmm);
        result = broker_run_stop(&world->run);
        if (result < 0)
                print_error("%s\n", world->run.message);
        free(world);
        return result;
}

static void note_worker(struct world *world)
{
        uint64_t pid;

        assert_true(audit_number(read_audit(world, "worker-ready", 0), "pid", &pid));
        world->worker = (pid_t)pid;
}

/* From here on the worker's entries into its host are counted.  False when that is not allowed. */
static bool trace_worker(struct world *world)
{
        const char *functions[OPERATIONS];
        char program[512];
        int result;

        for (size_t i = 0; i < OPERATIONS; i++)
                functions[i] = operations[i].function;
        (void)snprintf(program, sizeof(program), "%s/broker/vtd-broker-worker-sim",
                       getenv("VTD_BUILD"));
        result = breakpoints_start(&world->breakpoints, world->worker, program, functions,
                                   OPERATIONS);
        if (result == -EPERM)
                return false;
        assert_int_equal(result, 0);
        world->traced = true;
        return true;
}

/* Entries into each operation of the host since the last look. */
static struct counts entered_since(struct world *world)
{
        struct counts now, since;

        for (size_t i = 0; i < OPERATIONS; i++)
                now.of[i] = breakpoints_count(&world->breakpoints, i);
        since = difference(&now, &world->entered);
        world->entered = now;
        return since;
}

/* Takes in the audit log up to the VMM's last request. */
static void catch_up(struct world *world)
{
        struct vtd_frontend_stats stats;

        vtd_frontend_get_stats(vmm_frontend(world->vmm), &stats);
        if (stats.last_sequence != world->read_sequence)
                (void)read_audit(world, NULL, stats.last_sequence);
        world->read_sequence = stats.last_sequence;
}

/* Host calls in the audit log since the last look; those of the VMM's last request are in it. */
static struct counts audited_since(struct world *world, struct counts *before)
{
        struct counts since;

        catch_up(world);
        since = difference(&world->audited, before);
        *before = world->audited;
        return since;
}

static uint16_t rid_of(unsigned device)
{
        return (uint16_t)((device + 1) << 3);
}

/* A VMM whose guest has put @names into one domain on one table: IOVA leads to PAGE_A. */
static uint64_t share_one_table(struct world *world, const char *const *names, unsigned n)
{
        struct guest *guest = &world->guest;
        uint64_t root;

        for (unsigned i = 0; i < n; i++)
                assert_int_equal(vtd_frontend_plug(vmm_frontend(world->vmm), names[i], rid_of(i)),
                                 0);
        assert_int_equal(vmm_map_memory(world->vmm), 0);
        assert_int_equal(vmm_run(world->vmm), 0);
        guest_init(guest, world->vmm);
        guest_fill(guest, PAGE_A, 'A', GUEST_PAGE);
        guest_fill(guest, PAGE_B, 'B', GUEST_PAGE);
        root = guest_table_new(guest);
        guest_table_map(guest, root, IOVA, PAGE_A, 1);
        guest_table_map(guest, root, IOVA_SINK, SINK, 1);
        for (unsigned i = 0; i < n; i++) {
                guest_add_device(guest, rid_of(i));
                guest_set_entry(guest, rid_of(i), GUEST_FIRST_STAGE, DOMAIN, root);
        }
        guest_enable_queue(guest);
        guest_set_root(guest);
        guest_set_translation(guest, true);
        assert_false(guest->failed);
        return root;
}

static void start_vmm(struct world *world)
{
        char path[128];
        const struct vmm_config config = {
                .socket = path, .memory = MEMORY, .frontend = VTD_FRONTEND_CONFIG_DEFAULT};

        broker_run_socket_path(&world->run, "blue", path, sizeof(path));
        assert_int_equal(vmm_new(&world->vmm, &config), 0);
        note_worker(world);
}

/*
 * The byte that the device reads at IOVA, by way of its buffer and IOVA_SINK.  The register accesses
 * that this takes are in the audit log, too, which may lose lines when they come too fast.
 */
static int device_reads(struct world *world, unsigned device)
{
        guest_fill(&world->guest, SINK, UNTOUCHED, GUEST_PAGE);
        assert_int_equal(guest_dma_read(&world->guest, rid_of(device), IOVA, GUEST_PAGE), 0);
        assert_int_equal(guest_dma_write(&world->guest, rid_of(device), IOVA_SINK, GUEST_PAGE), 0);
        catch_up(world);
        return guest_uniform(&world->guest, SINK, GUEST_PAGE);
}

/*
 * The guest changes one page of the domain and invalidates it, ROUNDS times.  Every device sees the
 * old page before and the new one after; the audit log and, if it is there, the tracer have
 * @calls host calls for each invalidation and no other one.
 */
static void invalidate_and_count(struct world *world, uint64_t root, unsigned devices,
                                 unsigned calls)
{
        struct counts before, audited;

        catch_up(world);
        before = world->audited;
        if (world->traced)
                (void)entered_since(world);
        for (unsigned round = 0; round < ROUNDS; round++) {
                bool even = round % 2 == 0;

                for (unsigned i = 0; i < devices; i++)
                        assert_int_equal(device_reads(world, i), even ? 'A' : 'B');
                guest_table_map(&world->guest, root, IOVA, even ? PAGE_B : PAGE_A, 1);
                for (unsigned i = 0; i < devices; i++)
                        assert_int_equal(device_reads(world, i), even ? 'A' : 'B');
                guest_invalidate_page(&world->guest, DOMAIN, IOVA, 0);
                audited = audited_since(world, &before);
                assert_int_equal(of(&audited, "invalidate"), calls);
                assert_int_equal(sum(&audited), calls);
                if (world->traced) {
                        struct counts entered = entered_since(world);

                        assert_int_equal(of(&entered, "invalidate"), calls);
                        assert_int_equal(sum(&entered), calls);
                }
                for (unsigned i = 0; i < devices; i++)
                        assert_int_equal(device_reads(world, i), even ? 'B' : 'A');
        }
        assert_false(world->guest.failed);
}

static void stop_tracing(struct world *world)
{
        if (world->traced)
                assert_int_equal(breakpoints_stop(&world->breakpoints), 0);
        world->traced = false;
}

static void count_with_devices(struct world *world, unsigned n, bool traced)
{
        static const char *const names[DEVICES] = {"edu0", "edu1", "edu2", "edu3",
                                                   "edu4", "edu5", "edu6", "edu7"};
        uint64_t root;

        start_vmm(world);
        if (traced && !trace_worker(world)) {
                /* What the kernel owes to a process that is not dumpable; root is never refused. */
                assert_int_not_equal(geteuid(), 0);
                print_message("# not counted: user %u may not trace a worker\n",
                              (unsigned)geteuid());
                return;
        }
        root = share_one_table(world, names, n);
        catch_up(world);
        assert_int_equal(of(&world->audited, "first-stage-alloc"), 1);
        if (traced) {
                struct counts entered = entered_since(world);

                /* Also of the whole set-up the log has told the truth, call by call. */
                for (size_t i = 0; i < OPERATIONS; i++)
                        assert_int_equal(entered.of[i], world->audited.of[i]);
                assert_int_equal(of(&entered, "first-stage-alloc"), 1);
        }
        invalidate_and_count(world, root, n, 1);
        stop_tracing(world);
}

static void test_sharing_one_device_one_call_by_audit(void **state)
{
        count_with_devices(*state, 1, false);
}

static void test_sharing_two_devices_one_call_by_audit(void **state)
{
        count_with_devices(*state, 2, false);
}

static void test_sharing_eight_devices_one_call_by_audit(void **state)
{
        count_with_devices(*state, 8, false);
}

static void test_sharing_one_device_one_call_by_breakpoint(void **state)
{
        count_with_devices(*state, 1, true);
}

static void test_sharing_two_devices_one_call_by_breakpoint(void **state)
{
        count_with_devices(*state, 2, true);
}

static void test_sharing_eight_devices_one_call_by_breakpoint(void **state)
{
        count_with_devices(*state, 8, true);
}

/* One guest domain over two IOMMUs: a table below each second stage, so two calls and not four. */
static void test_s10_a_domain_over_two_iommus_is_two_tables(void **state)
{
        static const char *const names[] = {"edu0", "far0", "edu1", "far1"};
        struct world *world = *state;
        uint64_t root;

        start_vmm(world);
        root = share_one_table(world, names, 4);
        catch_up(world);
        assert_int_equal(of(&world->audited, "first-stage-alloc"), 2);
        invalidate_and_count(world, root, 4, 2);
}

static struct vtd_reply call(struct world *world, struct vtd_request request, int fd)
{
        struct vtd_reply reply;

        assert_int_equal(raw_call(&world->client, &request, fd, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
        (void)read_audit(world, NULL, world->client.sequence);
        return reply;
}

static uint64_t plug(struct world *world, const char *name)
{
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE};

        (void)snprintf(request.plug_device.name.text, sizeof(request.plug_device.name.text), "%s",
                       name);
        return call(world, request, -1).plug_device.device;
}

static void unplug(struct world *world, uint64_t device)
{
        (void)call(world,
                   (struct vtd_request){.type = VTD_REQUEST_UNPLUG_DEVICE,
                                        .unplug_device.device = device},
                   -1);
}

static struct vtd_stats stats(struct world *world)
{
        return call(world, (struct vtd_request){.type = VTD_REQUEST_GET_STATS}, -1).stats;
}

static struct vtd_request attach_request(uint64_t device, uint32_t pasid, enum vtd_attach_mode mode)
{
        struct vtd_request request = {.type = VTD_REQUEST_ATTACH,
                                      .attach = {.device = device, .pasid = pasid, .mode = mode}};

        if (mode == VTD_ATTACH_FIRST_STAGE) {
                request.attach.root = RAW_ROOT;
                request.attach.address_width = 48;
        }
        return request;
}

static uint64_t attach(struct world *world, uint64_t device, uint32_t pasid,
                       enum vtd_attach_mode mode)
{
        return call(world, attach_request(device, pasid, mode), -1).attach.table;
}

static void start_client(struct world *world, const char *tenant)
{
        struct vtd_reply reply;
        char path[128];

        broker_run_socket_path(&world->run, tenant, path, sizeof(path));
        assert_int_equal(raw_connect(&world->client, path), 0);
        note_worker(world);
        assert_int_equal(raw_hello(&world->client, &reply), RAW_ANSWERED);
        assert_false(reply.refused);
}

static void map(struct world *world)
{
        VTD_CLEANUP_FD int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t)MEMORY), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        world->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(world->memory != MAP_FAILED);
        (void)call(world,
                   (struct vtd_request){.type = VTD_REQUEST_MAP_MEMORY,
                                        .map_memory = {.gpa = 0, .size = MEMORY}},
                   fd);
}

/*
 * Plugs @name: GetStats then has @tables second-stage tables, and the host was asked for @new of
 * them, besides the one over a scratch IOAS that every plug makes and destroys.
 */
static uint64_t plug_and_count(struct world *world, const char *name, unsigned tables, unsigned new)
{
        struct counts before = world->audited, since;
        uint64_t device = plug(world, name);

        since = difference(&world->audited, &before);
        assert_int_equal(of(&since, "second-stage-alloc"), 1 + new);
        assert_int_equal(of(&since, "destroy"), 2); /* scratch table and IOAS */
        assert_int_equal(stats(world).second_stage_tables, tables);
        return device;
}

static void test_s10_second_stages_are_shared_where_compatible(void **state)
{
        struct world *world = *state;
        uint64_t near[2], far[2];
        struct counts before, since;

        start_client(world, "blue");
        near[0] = plug_and_count(world, "edu0", 1, 1);
        near[1] = plug_and_count(world, "edu1", 1, 0);
        far[0] = plug_and_count(world, "far0", 2, 1);
        far[1] = plug_and_count(world, "far1", 2, 0);
        map(world);
        assert_int_equal(stats(world).mappings, 1); /* of both tables: they share the IOAS */
        assert_int_equal(of(&world->audited, "map-file"), 1);
        /* each with its own second stage: the host would refuse the other one */
        before = world->audited;
        for (unsigned i = 0; i < 2; i++) {
                (void)attach(world, near[i], VTD_NO_PASID, VTD_ATTACH_PASSTHROUGH);
                (void)attach(world, far[i], VTD_NO_PASID, VTD_ATTACH_PASSTHROUGH);
        }
        since = difference(&world->audited, &before);
        assert_int_equal(of(&since, "attach"), 4);
        assert_int_equal(of(&since, "detach"), 0);
        assert_int_equal(stats(world).attachments, 4);
        /* one first-stage table below each */
        before = world->audited;
        assert_true(attach(world, near[0], VTD_NO_PASID, VTD_ATTACH_FIRST_STAGE) ==
                    attach(world, near[1], VTD_NO_PASID, VTD_ATTACH_FIRST_STAGE));
        assert_true(attach(world, far[0], VTD_NO_PASID, VTD_ATTACH_FIRST_STAGE) ==
                    attach(world, far[1], VTD_NO_PASID, VTD_ATTACH_FIRST_STAGE));
        since = difference(&world->audited, &before);
        assert_int_equal(of(&since, "first-stage-alloc"), 2);
        assert_int_equal(stats(world).first_stage_tables, 2);
        /* each goes with its last device, and nothing else does */
        unplug(world, far[0]);
        assert_int_equal(stats(world).second_stage_tables, 2);
        before = world->audited;
        unplug(world, far[1]);
        since = difference(&world->audited, &before);
        assert_int_equal(of(&since, "destroy"), 2); /* first stage and second stage */
        assert_int_equal(stats(world).second_stage_tables, 1);
        assert_int_equal(stats(world).first_stage_tables, 1);
        unplug(world, near[0]);
        unplug(world, near[1]);
        assert_int_equal(stats(world).second_stage_tables, 0);
        assert_int_equal(stats(world).first_stage_tables, 0);
}

/* A table made for the lesser unit could serve both: what decides must not be who came first. */
static void test_s10_second_stages_are_separate_in_either_order(void **state)
{
        struct world *world = *state;

        start_client(world, "blue");
        (void)plug_and_count(world, "far0", 1, 1);
        (void)plug_and_count(world, "edu0", 2, 1);
        (void)plug_and_count(world, "far1", 2, 0);
        (void)plug_and_count(world, "edu1", 2, 0);
}

static void store(struct world *world, uint64_t gpa, uint64_t value)
{
        memcpy(world->memory + gpa, &value, sizeof(value));
}

/* The table at RAW_ROOT leads IOVA to @page; what is cached of it stays. */
static void lead_to(struct world *world, uint64_t page)
{
        for (unsigned level = 4; level > 1; level--) {
                uint64_t table = RAW_ROOT + (4 - level) * GUEST_PAGE;
                uint64_t index = (IOVA >> (12 + 9 * (level - 1))) & 511;

                store(world, table + index * 8, (table + GUEST_PAGE) | 0x7);
        }
        store(world, RAW_ROOT + 3 * GUEST_PAGE, page | 0x7);
}

static void write_register(struct world *world, uint64_t device, uint64_t offset, uint64_t value)
{
        struct vtd_request request = {
                .type = VTD_REQUEST_REGION_WRITE,
                .region = {.device = device, .offset = offset, .width = 8, .value = value}};

        (void)call(world, request, -1);
}

/* The byte at IOVA, which the device reads with @pasid, and writes to SINK without. */
static int reads_with_pasid(struct world *world, uint64_t device, uint32_t pasid)
{
        const uint64_t buffer = 0x40000;
        const uint64_t steps[2][4] = {{UINT64_C(0x80000000) | pasid, IOVA, buffer, 1},
                                      {0, buffer, SINK, 1 | 2}};
        struct vtd_request command = {.type = VTD_REQUEST_REGION_READ,
                                      .region = {.device = device, .offset = 0x98, .width = 8}};

        world->memory[SINK] = UNTOUCHED;
        for (unsigned i = 0; i < 2; i++) {
                write_register(world, device, 0xa0, steps[i][0]);
                write_register(world, device, 0x80, steps[i][1]);
                write_register(world, device, 0x88, steps[i][2]);
                write_register(world, device, 0x90, 1);
                write_register(world, device, 0x98, steps[i][3]);
                while (call(world, command, -1).region_read.value & 1)
                        ;
        }
        return world->memory[SINK];
}

static void expect_refusal(struct world *world, struct vtd_request request, enum vtd_reason reason)
{
        struct vtd_reply reply;

        assert_int_equal(raw_call(&world->client, &request, -1, &reply), RAW_ANSWERED);
        assert_true(reply.refused);
        assert_int_equal(reply.refusal.reason, reason);
        (void)read_audit(world, NULL, world->client.sequence);
}

static const uint32_t pasids[] = {1, (1u << 20) - 1};

/* What the DMA of both PASIDs of both devices sees. */
static void expect_all(struct world *world, const uint64_t devices[2], int byte)
{
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(reads_with_pasid(world, devices[i / 2], pasids[i % 2]), byte);
}

/* Four PASIDs of two devices on one table: invalidated by one call, seen by the DMA of each. */
static void test_sharing_pasids_of_two_devices_one_call(void **state)
{
        struct vtd_request invalidate = {.type = VTD_REQUEST_INVALIDATE,
                                         .invalidate = {.count = 1, .entries = {{IOVA, 1, true}}}};
        struct world *world = *state;
        struct counts before, since;
        uint64_t devices[2];

        start_client(world, "green");
        devices[0] = plug(world, "pas0");
        devices[1] = plug(world, "pas1");
        map(world);
        memset(world->memory + PAGE_A, 'A', GUEST_PAGE);
        memset(world->memory + PAGE_B, 'B', GUEST_PAGE);
        lead_to(world, PAGE_A);
        for (unsigned i = 0; i < 2; i++) {
                (void)attach(world, devices[i], VTD_NO_PASID, VTD_ATTACH_PASSTHROUGH);
                for (unsigned p = 0; p < 2; p++)
                        invalidate.invalidate.table =
                                attach(world, devices[i], pasids[p], VTD_ATTACH_FIRST_STAGE);
        }
        assert_int_equal(of(&world->audited, "first-stage-alloc"), 1);
        assert_int_equal(stats(world).first_stage_tables, 1);
        assert_int_equal(stats(world).second_stage_tables, 1);
        assert_int_equal(stats(world).attachments, 6);
        expect_refusal(world, attach_request(devices[0], 2, VTD_ATTACH_FIRST_STAGE),
                       VTD_REASON_PASID_LIMIT);
        expect_all(world, devices, 'A');
        assert_int_equal(reads_with_pasid(world, devices[0], 2), 0); /* blocked */
        lead_to(world, PAGE_B);
        expect_all(world, devices, 'A');
        before = world->audited;
        (void)call(world, invalidate, -1);
        since = difference(&world->audited, &before);
        assert_int_equal(of(&since, "invalidate"), 1);
        assert_int_equal(sum(&since), 1);
        expect_all(world, devices, 'B');
        /* one is blocked, the others go on; the table goes with the last one */
        (void)attach(world, devices[0], pasids[0], VTD_ATTACH_BLOCKED);
        assert_int_equal(reads_with_pasid(world, devices[0], pasids[0]), 0);
        assert_int_equal(reads_with_pasid(world, devices[0], pasids[1]), 'B');
        assert_int_equal(stats(world).attachments, 5);
        unplug(world, devices[0]);
        assert_int_equal(reads_with_pasid(world, devices[1], pasids[0]), 'B');
        unplug(world, devices[1]);
        assert_int_equal(stats(world).first_stage_tables, 0);
        assert_int_equal(stats(world).attachments, 0);
}

#define WITH_BROKER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                WITH_BROKER(test_sharing_one_device_one_call_by_audit),
                WITH_BROKER(test_sharing_two_devices_one_call_by_audit),
                WITH_BROKER(test_sharing_eight_devices_one_call_by_audit),
                WITH_BROKER(test_sharing_one_device_one_call_by_breakpoint),
                WITH_BROKER(test_sharing_two_devices_one_call_by_breakpoint),
                WITH_BROKER(test_sharing_eight_devices_one_call_by_breakpoint),
                WITH_BROKER(test_sharing_pasids_of_two_devices_one_call),
                WITH_BROKER(test_s10_a_domain_over_two_iommus_is_two_tables),
                WITH_BROKER(test_s10_second_stages_are_shared_where_compatible),
                WITH_BROKER(test_s10_second_stages_are_separate_in_either_order),
        };

        return cmocka_run_group_tests_name("sharing", tests, NULL, NULL);
}
