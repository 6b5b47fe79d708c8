/* SPDX-License-Identifier: MIT */
/*
 * vtd-bench: what brokering costs, on the simulated host, as medians of one run.
 *
 *   start     connect() to the answer to Hello: accept, spawn, sandbox, self-check, one round trip
 *   invalidate  round trip of an Invalidate with one entry, beside a bare round trip of records of
 *               the same sizes between two processes that do nothing else; taken in turn, with
 *               both sides on one processor and on two
 *   memory    resident memory of a worker that serves a VM
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "tests/bench/bench-vm.h"
#include "tests/bench/measure.h"
#include "tests/system/broker-run.h"
#include "tests/system/raw-client.h"

#define STARTS  41u
#define BATCHES 41u
#define BATCH   200u

static int fail(const char *what)
{
        (void)fprintf(stderr, "vtd-bench: %s\n", what);
        return -1;
}

/* Connects until there is room: the worker of the connection before may still be ending. */
static int greet(struct raw_client *client, const char *path)
{
        const struct timespec pause = {.tv_nsec = 2000000};
        struct vtd_reply reply;

        for (unsigned tries = 0; tries < 500; tries++) {
                if (raw_connect(client, path) != 0)
                        return fail("cannot connect");
                if (raw_hello(client, &reply) == RAW_ANSWERED && !reply.refused)
                        return 0;
                raw_close(client);
                (void)nanosleep(&pause, NULL);
        }
        return fail("Hello is not answered");
}

static int measure_start(const char *path)
{
        double times[STARTS];

        for (size_t i = 0; i < STARTS; i++) {
                struct raw_client client = {.fd = -1};
                const struct timespec settle = {.tv_nsec = 30000000};
                int64_t start;

                (void)nanosleep(&settle, NULL);
                start = now_ns();
                if (greet(&client, path) < 0)
                        return -1;
                times[i] = (double)(now_ns() - start) / 1e6;
                raw_close(&client);
        }
        (void)printf("start       connect to Hello answered   median %.2f ms",
                     median(times, STARTS));
        print_goal(median(times, STARTS), 10);
        return 0;
}

static int invalidate_batch(struct raw_client *client, uint64_t table, double *microseconds)
{
        struct vtd_request request = {.type = VTD_REQUEST_INVALIDATE,
                                      .invalidate = {.table = table, .count = 1}};
        int64_t start = now_ns();

        for (unsigned i = 0; i < BATCH; i++) {
                struct vtd_reply reply;

                request.invalidate.entries[0] = (struct vtd_invalidate_entry){
                        .address = UINT64_C(0x10000000) + i * UINT64_C(4096), .pages = 1};
                if (raw_call(client, &request, -1, &reply) != RAW_ANSWERED || reply.refused)
                        return fail("Invalidate failed");
        }
        *microseconds = (double)(now_ns() - start) / 1e3 / BATCH;
        return 0;
}

/* The other side of the bare round trip: answers each record with one of the reply's size. */
static void echo(int fd, size_t reply_size)
{
        char record[VTD_FRAME_SIZE_MAX] = {0};

        while (recv(fd, record, sizeof(record), 0) > 0) {
                if (send(fd, record, reply_size, MSG_NOSIGNAL) < 0)
                        break;
        }
        _exit(0);
}

/* One side as the client does it: send, poll, receive. */
static int bare_batch(struct raw_client *client, size_t size, double *microseconds)
{
        uint8_t record[VTD_FRAME_SIZE_MAX] = {0};
        int64_t start = now_ns();

        for (unsigned i = 0; i < BATCH; i++) {
                if (raw_send(client, record, size, NULL, 0) != 0 ||
                    recv(client->fd, record, sizeof(record), 0) <= 0)
                        return fail("bare round trip failed");
        }
        *microseconds = (double)(now_ns() - start) / 1e3 / BATCH;
        return 0;
}

/*
 * Where the scheduler happens to put the two sides of a round trip changes its time several times
 * over, so both kinds are measured with the two sides on one processor, which shows the work alone,
 * and on two, as a busy guest and its worker would be.
 */
static int measure_invalidate(struct raw_client *client, uint64_t table, pid_t worker,
                              unsigned processor)
{
        double brokered[BATCHES], bare[BATCHES], ratios[BATCHES];
        struct vtd_request sample = {.type = VTD_REQUEST_INVALIDATE,
                                     .invalidate = {.table = table, .count = 1}};
        struct vtd_reply sample_reply = {.type = VTD_REQUEST_INVALIDATE};
        uint8_t record[VTD_FRAME_SIZE_MAX];
        struct raw_client other = {.fd = -1};
        size_t request_size, reply_size;
        int pair[2], result = 0;
        pid_t pid;

        sample.invalidate.entries[0].address = UINT64_C(0x10000000);
        sample.invalidate.entries[0].pages = 1;
        if (vtd_codec_encode_request(&sample, record, &request_size) != 0 ||
            vtd_codec_encode_reply(&sample_reply, record, &reply_size) != 0 ||
            socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return fail("no bare socket");
        pid = fork();
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void)close(pair[0]);
                echo(pair[1], reply_size);
        }
        (void)close(pair[1]);
        other.fd = pair[0];
        if (bench_vm_pin(0, 0) < 0 || bench_vm_pin(pid, processor) < 0 ||
            bench_vm_pin(worker, processor) < 0)
                result = -1;
        for (size_t i = 0; i < BATCHES && result == 0; i++) {
                result = invalidate_batch(client, table, &brokered[i]);
                if (result == 0)
                        result = bare_batch(&other, request_size, &bare[i]);
                ratios[i] = brokered[i] / bare[i];
        }
        raw_close(&other);
        (void)waitpid(pid, NULL, 0);
        if (result != 0)
                return result;
        (void)printf(
                "invalidate  on %s: brokered median %.2f us, bare socket median %.2f us, ratio "
                "median %.2f",
                processor ? "two processors" : "one processor", median(brokered, BATCHES),
                median(bare, BATCHES), median(ratios, BATCHES));
        print_goal(median(ratios, BATCHES), 1.5);
        return 0;
}

static int measure_memory(pid_t worker)
{
        char path[64], line[128];
        long resident = -1;
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)worker);
        file = fopen(path, "re");
        if (!file)
                return fail("no /proc of the worker");
        while (fgets(line, sizeof(line), file)) {
                if (strncmp(line, "Rss", 3) == 0 || strncmp(line, "VmRSS", 5) == 0) {
                        (void)printf("memory      worker %s", line);
                        if (strncmp(line, "VmRSS:", 6) == 0)
                                resident = atol(line + 6);
                }
        }
        (void)fclose(file);
        if (resident < 0)
                return fail("no VmRSS in the worker's status");
        (void)printf("memory      worker resident %.2f MiB", (double)resident / 1024.0);
        print_goal((double)resident / 1024.0, 3);
        return 0;
}

/* The worker of the connection that is open; those of earlier ones may still be ending. */
static int find_worker(const struct broker_run *run, pid_t *worker)
{
        const struct timespec pause = {.tv_nsec = 10000000};
        pid_t workers[4];

        for (unsigned tries = 0; tries < 200; tries++) {
                if (broker_run_workers(run, workers, 4) == 1) {
                        *worker = workers[0];
                        return 0;
                }
                (void)nanosleep(&pause, NULL);
        }
        return fail("there is not one worker");
}

static int run_all(struct broker_run *run)
{
        pid_t worker;
        struct raw_client client = {.fd = -1};
        char path[128];
        uint64_t table;
        int memory = -1, result;

        broker_run_socket_path(run, "bench", path, sizeof(path));
        result = measure_start(path);
        if (result == 0)
                result = greet(&client, path);
        if (result == 0)
                result = bench_vm_begin(&client, &table, &memory);
        if (result == 0)
                result = find_worker(run, &worker);
        if (result == 0)
                result = measure_invalidate(&client, table, worker, 0);
        if (result == 0 && sysconf(_SC_NPROCESSORS_ONLN) > 1)
                result = measure_invalidate(&client, table, worker, 1);
        if (result == 0)
                result = measure_memory(worker);
        raw_close(&client);
        memory = vtd_close(memory);
        return result;
}

int main(int argc, char **argv)
{
        struct broker_run_config config = {.host = "simulated", .audit_level = "refusals"};
        struct broker_run run;
        char policy[512];
        int result;

        if (argc != 3 || strcmp(argv[1], "--build") != 0) {
                (void)fprintf(argc == 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr,
                              "usage: vtd-bench --build DIR\n\n"
                              "Measures what brokering costs on the simulated host: start of a "
                              "worker, an invalidation\nround trip beside a bare socket round "
                              "trip, and a worker's resident memory.\n");
                return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
        }
        config.build = argv[2];
        (void)snprintf(policy, sizeof(policy),
                       "format = 1\n[tenant]\nname = bench\nuid = %u\nvms = 8\n[vm]\n"
                       "memory = 64MiB\nfirst-stage-tables = 2\nmodes = passthrough, first-stage\n"
                       "[device edu0]\nsimulated = edu\nregions = 0:rw\n",
                       (unsigned)geteuid());
        if (broker_run_prepare(&run) < 0 ||
            broker_run_add_policy(&run, "bench.policy", policy) < 0 ||
            broker_run_start(&run, &config) < 0) {
                (void)fprintf(stderr, "vtd-bench: %s\n", run.message);
                return 1;
        }
        result = run_all(&run);
        if (broker_run_stop(&run) < 0)
                result = fail(run.message);
        return result == 0 ? 0 : 1;
}
