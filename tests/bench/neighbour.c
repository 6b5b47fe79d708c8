/* SPDX-License-Identifier: MIT */
/*
 * vtd-bench-neighbour: what a VM that floods its worker costs another VM, on the simulated host.
 *
 * Two tenants have a VM each.  The quiet one measures round trips of an Invalidate with one entry;
 * the other one, in a process of its own, lies still in one round and floods in the next: with
 * Invalidates of 128 entries that do not merge, under the highest rate that a policy can grant, or
 * with MapMemory and UnmapMemory, each as fast as it is answered.  Each VM's client and worker have
 * one processor to themselves; then, for information, all four share one.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "tests/bench/bench-vm.h"
#include "tests/bench/measure.h"
#include "tests/system/broker-run.h"
#include "tests/system/raw-client.h"

/* Rounds of each kind, and round trips in each: half a second for each line. */
#define ROUNDS  41u
#define SAMPLES 400u

/* More than a flood takes to begin or to end under load. */
#define TURN_MS 5000u

#define GOAL 1.5

enum flood {
        FLOOD_NONE,
        FLOOD_INVALIDATE,
        FLOOD_MAP,
        FLOOD_END, /* the process ends */
};

/* Shared with the flooding process. */
struct flood_state {
        atomic_uint wanted;   /* enum flood */
        atomic_uint current;  /* what it does */
        atomic_ulong answers; /* that its flood has had */
        atomic_bool failed;
};

/* A VM of the benchmark: connected, with guest memory and a first-stage table. */
struct vm {
        struct raw_client client;
        uint64_t table;
        int memory;
        pid_t worker;
};

static void pause_us(long microseconds)
{
        const struct timespec pause = {.tv_nsec = microseconds * 1000};

        (void)nanosleep(&pause, NULL);
}

/* Of @count sorted values, the one that @part of them (0 to 1) do not exceed. */
static double quantile(const double *sorted, size_t count, double part)
{
        return sorted[(size_t)(part * (double)(count - 1))];
}

static int fail(const char *what)
{
        (void)fprintf(stderr, "vtd-bench-neighbour: %s\n", what);
        return -1;
}

/* The worker that has come with this VM: none of those in @known. */
static int find_worker(const struct broker_run *run, pid_t known, pid_t *worker)
{
        pid_t workers[4];
        size_t count = broker_run_workers(run, workers, 4);

        for (size_t i = 0; i < count && i < 4; i++) {
                if (workers[i] != known) {
                        *worker = workers[i];
                        return 0;
                }
        }
        return fail("a VM has no worker");
}

static int begin_vm(struct vm *vm, const struct broker_run *run, const char *tenant, pid_t known)
{
        struct vtd_reply reply;
        char path[128];

        broker_run_socket_path(run, tenant, path, sizeof(path));
        if (raw_connect(&vm->client, path) != 0 || raw_hello(&vm->client, &reply) != RAW_ANSWERED ||
            reply.refused)
                return fail("Hello is not answered");
        if (bench_vm_begin(&vm->client, &vm->table, &vm->memory) < 0)
                return -1;
        return find_worker(run, known, &vm->worker);
}

static void end_vm(struct vm *vm)
{
        raw_close(&vm->client);
        vm->memory = vtd_close(vm->memory);
}

/* From here to run_flood() everything runs in the flooding process. */

/* A full request; no entry lies next to another, so that none merge. */
static int flood_invalidate(struct vm *vm)
{
        struct vtd_request request = {
                .type = VTD_REQUEST_INVALIDATE,
                .invalidate = {.table = vm->table, .count = VTD_LIMIT_INVALIDATE_ENTRIES}};
        struct vtd_reply reply;

        for (size_t i = 0; i < VTD_LIMIT_INVALIDATE_ENTRIES; i++)
                request.invalidate.entries[i] = (struct vtd_invalidate_entry){
                        .address = UINT64_C(0x10000000) + i * UINT64_C(8192), .pages = 1};
        return bench_vm_call(&vm->client, &request, -1, &reply);
}

static int flood_map(struct vm *vm)
{
        struct vtd_request map = {.type = VTD_REQUEST_MAP_MEMORY,
                                  .map_memory = {.gpa = GUEST_MEMORY, .size = GUEST_MEMORY}};
        struct vtd_request unmap = {.type = VTD_REQUEST_UNMAP_MEMORY};
        struct vtd_reply reply;

        if (bench_vm_call(&vm->client, &map, vm->memory, &reply) < 0)
                return -1;
        unmap.unmap_memory.mapping = reply.map_memory.mapping;
        return bench_vm_call(&vm->client, &unmap, -1, &reply);
}

static void run_flood(struct vm *vm, struct flood_state *state)
{
        for (;;) {
                unsigned wanted = atomic_load(&state->wanted);
                int result = 0;

                atomic_store(&state->current, wanted);
                if (wanted == FLOOD_END)
                        return;
                if (wanted == FLOOD_NONE)
                        pause_us(200);
                else
                        result = wanted == FLOOD_MAP ? flood_map(vm) : flood_invalidate(vm);
                if (result < 0) {
                        atomic_store(&state->failed, true);
                        return;
                }
                if (wanted != FLOOD_NONE)
                        (void)atomic_fetch_add(&state->answers, 1);
        }
}

/* Has the other VM do @flood, and waits until it does. */
static int turn(struct flood_state *state, enum flood flood)
{
        int64_t start = now_ns();
        unsigned long answers = atomic_load(&state->answers);

        atomic_store(&state->wanted, flood);
        while (atomic_load(&state->current) != (unsigned)flood ||
               (flood != FLOOD_NONE && atomic_load(&state->answers) < answers + 2)) {
                if (atomic_load(&state->failed) || now_ns() - start > TURN_MS * INT64_C(1000000))
                        return fail("the flood does not do as it was told");
                pause_us(100);
        }
        return 0;
}

static int sample(struct vm *vm, double *microseconds)
{
        struct vtd_request request = {.type = VTD_REQUEST_INVALIDATE,
                                      .invalidate = {.table = vm->table, .count = 1}};
        struct vtd_reply reply;

        for (unsigned i = 0; i < SAMPLES; i++) {
                int64_t start = now_ns();

                request.invalidate.entries[0] = (struct vtd_invalidate_entry){
                        .address = UINT64_C(0x10000000) + i * UINT64_C(4096), .pages = 1};
                if (bench_vm_call(&vm->client, &request, -1, &reply) < 0)
                        return fail("Invalidate failed");
                microseconds[i] = (double)(now_ns() - start) / 1e3;
        }
        return 0;
}

/* One line: rounds without and with @flood in turn.  @goal: it is one, not an information. */
static int measure(struct vm *quiet, struct flood_state *state, enum flood flood, bool goal)
{
        static const char *const names[] = {[FLOOD_INVALIDATE] = "Invalidates of 128 entries",
                                            [FLOOD_MAP] = "MapMemory and UnmapMemory"};
        const size_t count = (size_t)ROUNDS * SAMPLES;
        double *alone = calloc(count, sizeof(*alone)), *beside = calloc(count, sizeof(*beside));
        unsigned long answers = 0, before;
        double ratio;
        int result = alone && beside ? 0 : fail("no memory");

        for (size_t i = 0; i < ROUNDS && result == 0; i++) {
                result = turn(state, FLOOD_NONE);
                if (result == 0)
                        result = sample(quiet, &alone[i * SAMPLES]);
                if (result == 0)
                        result = turn(state, flood);
                before = atomic_load(&state->answers);
                if (result == 0)
                        result = sample(quiet, &beside[i * SAMPLES]);
                answers += atomic_load(&state->answers) - before;
        }
        if (result == 0 && answers == 0)
                result = fail("there was no flood");
        if (result == 0) {
                qsort(alone, count, sizeof(*alone), compare_doubles);
                qsort(beside, count, sizeof(*beside), compare_doubles);
                ratio = quantile(beside, count, 0.5) / quantile(alone, count, 0.5);
                (void)printf(
                        "neighbour   %s, %s: median %.2f us alone, %.2f us beside %lu of them, "
                        "99th percentile %.0f and %.0f us; ratio of medians %.2f",
                        goal ? "two processors" : "one processor", names[flood],
                        quantile(alone, count, 0.5), quantile(beside, count, 0.5), answers,
                        quantile(alone, count, 0.99), quantile(beside, count, 0.99), ratio);
                if (goal)
                        print_goal(ratio, GOAL);
                else
                        (void)printf("  (for information)\n");
        }
        free(alone);
        free(beside);
        return result;
}

static int place(const struct vm *quiet, const struct vm *noisy, pid_t flooder, unsigned processor)
{
        if (bench_vm_pin(0, 0) < 0 || bench_vm_pin(quiet->worker, 0) < 0)
                return -1;
        return bench_vm_pin(flooder, processor) < 0 || bench_vm_pin(noisy->worker, processor) < 0
                       ? -1
                       : 0;
}

static int measure_all(struct vm *quiet, const struct vm *noisy, struct flood_state *state,
                       pid_t flooder)
{
        bool two = sysconf(_SC_NPROCESSORS_ONLN) > 1;
        int result = 0;

        if (!two)
                (void)printf(
                        "neighbour   with two processors each VM would have its own; here there "
                        "is one\n");
        for (unsigned processors = two ? 2 : 1; processors > 0 && result == 0; processors--) {
                result = place(quiet, noisy, flooder, processors - 1);
                for (unsigned flood = FLOOD_INVALIDATE; flood < FLOOD_END && result == 0; flood++)
                        result = measure(quiet, state, flood, processors == 2);
        }
        return result;
}

/* The flooding process has the noisy VM's connection; this one lets go of it. */
static int with_flooder(struct vm *quiet, struct vm *noisy)
{
        struct flood_state *state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE,
                                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid_t flooder;
        int result, status;

        if (state == MAP_FAILED)
                return fail("no shared memory");
        flooder = fork();
        if (flooder < 0)
                return fail("no process for the flood");
        if (flooder == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                raw_close(&quiet->client);
                run_flood(noisy, state);
                _exit(0);
        }
        raw_close(&noisy->client);
        result = measure_all(quiet, noisy, state, flooder);
        atomic_store(&state->wanted, FLOOD_END);
        if (waitpid(flooder, &status, 0) != flooder || status != 0)
                result = fail("the flooding process failed");
        (void)munmap(state, sizeof(*state));
        return result;
}

static int run_all(const struct broker_run *run)
{
        struct vm quiet = {.client = {.fd = -1}, .memory = -1};
        struct vm noisy = {.client = {.fd = -1}, .memory = -1};
        int result = begin_vm(&quiet, run, "quiet", -1);

        if (result == 0)
                result = begin_vm(&noisy, run, "noisy", quiet.worker);
        if (result == 0)
                result = with_flooder(&quiet, &noisy);
        end_vm(&quiet);
        end_vm(&noisy);
        return result;
}

static int add_tenant(struct broker_run *run, const char *name)
{
        char file[32], policy[512];

        (void)snprintf(file, sizeof(file), "%s.policy", name);
        (void)snprintf(policy, sizeof(policy),
                       "format = 1\n[tenant]\nname = %s\nuid = %u\n[vm]\nmemory = 64MiB\n"
                       "first-stage-tables = 2\nmodes = first-stage\n"
                       "invalidate-rate = 10000000\ninvalidate-burst = 65536\n"
                       "[device edu0]\nsimulated = edu\n",
                       name, (unsigned)geteuid());
        return broker_run_add_policy(run, file, policy);
}

int main(int argc, char **argv)
{
        struct broker_run_config config = {.host = "simulated", .audit_level = "refusals"};
        bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
        struct broker_run run;
        int result;

        if (argc != 3 || strcmp(argv[1], "--build") != 0) {
                (void)fprintf(help ? stdout : stderr,
                              "usage: vtd-bench-neighbour --build DIR\n\n"
                              "Measures what a VM that floods its worker costs another VM, on the "
                              "simulated host.\n");
                return help ? 0 : 2;
        }
        config.build = argv[2];
        if (broker_run_prepare(&run) < 0 || add_tenant(&run, "quiet") < 0 ||
            add_tenant(&run, "noisy") < 0 || broker_run_start(&run, &config) < 0) {
                (void)fail(run.message);
                return 1;
        }
        result = run_all(&run);
        if (broker_run_stop(&run) < 0)
                result = fail(run.message);
        return result == 0 ? 0 : 1;
}
