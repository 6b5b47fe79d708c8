/* SPDX-License-Identifier: MIT */
/*
 * The example of docs/vmm.md in a rig: vtd-brokerd, the example VMM as the tenant's user, and its
 * guest, which says itself whether its device's DMA went by its tables.  While the guest waits, the
 * VMM is looked at from outside.  Then what the guest must not succeed with: a policy that does not
 * grant first-stage tables, and a worker that is gone.  Runs as root; --build names the directory with
 * the programs.  Prints TAP.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "tests/system/broker-run.h"
#include "tests/system/processes.h"

#define WAIT_MS 30000

/* What the guest says when all went well, and what when not. */
#define GOOD "DMA went by the guest's own first-stage tables."
#define BAD  "FAILED: DMA did not go by the tables"

/* The statuses of the VMM: the guest's, and its own. */
#define GUEST_FAILED 2
#define VMM_FAILED   1

static const char policy_text[] = "format = 1\n"
                                  "[tenant]\n"
                                  "name = %s\n"
                                  "uid = %u\n"
                                  "[vm]\n"
                                  "memory = 16MiB\n"
                                  "%s\n"
                                  "[device edu0]\n"
                                  "pci = 0000:00:1e.0\n"
                                  "regions = 0:rw\n"
                                  "allow = no-reset, no-snoop-control\n";

struct example {
        struct broker_run broker;
        const char *build;
        pid_t vmm;
        int console;    /* the test's end */
        char said[256]; /* the last line of the guest */
};

static unsigned points;
static unsigned failures;

static void is(bool good, const char *what)
{
        points++;
        failures += !good;
        (void)printf("%s %u - %s\n", good ? "ok" : "not ok", points, what);
        (void)fflush(stdout);
}

static bool start_vmm(struct example *example, const char *tenant, const char *device)
{
        char program[256], image[256], socket_path[128];
        const char *const argv[] = {program, socket_path, device, image, NULL};
        int ends[2];

        (void)snprintf(program, sizeof(program), "%s/docs/example/vtd-example-vmm", example->build);
        (void)snprintf(image, sizeof(image), "%s/docs/example/guest.bin", example->build);
        broker_run_socket_path(&example->broker, tenant, socket_path, sizeof(socket_path));
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return false;
        example->vmm = broker_run_spawn_vmm_on(argv, ends[1]);
        (void)close(ends[1]);
        example->console = ends[0];
        return example->vmm > 0;
}

/* Takes in a line of the guest; false when the VMM ended, or said nothing more for WAIT_MS. */
static bool hear(struct example *example)
{
        struct pollfd ready = {.fd = example->console, .events = POLLIN};
        size_t length = 0;

        while (length + 1 < sizeof(example->said) && poll(&ready, 1, WAIT_MS) > 0 &&
               read(example->console, example->said + length, 1) == 1 &&
               example->said[length] != '\n')
                length++;
        example->said[length] = '\0';
        (void)printf("# the guest: %s\n", example->said);
        return length > 0;
}

/* Has the guest go on if it waits, and returns the VMM's exit status, -1 if it has none. */
static int end_vmm(struct example *example)
{
        struct pollfd hung_up = {.fd = example->console};
        int status;

        /* EPIPE says that it has ended already. */
        if (send(example->console, "\n", 1, MSG_NOSIGNAL) < 0 && errno != EPIPE)
                return -1;
        if (poll(&hung_up, 1, WAIT_MS) <= 0)
                (void)kill(example->vmm, SIGKILL);
        example->console = vtd_close(example->console);
        if (waitpid(example->vmm, &status, 0) != example->vmm || !WIFEXITED(status))
                return -1;
        return WEXITSTATUS(status);
}

/* True when the audit log has, or has within WAIT_MS, a line of VM @vm whose @key is @value. */
static bool audited(struct example *example, uint64_t vm, const char *key, const char *value)
{
        struct broker_run *broker = &example->broker;
        uint64_t number;

        for (int waited = 0; waited < WAIT_MS; waited += 100) {
                broker_run_read_audit(broker, 100);
                for (size_t i = 0; i < broker->n_lines; i++) {
                        if (audit_number(broker->lines[i], "vm", &number) && number == vm &&
                            audit_is(broker->lines[i], key, value))
                                return true;
                }
        }
        return false;
}

/* The VMM is the tenant's ordinary user. */
static bool is_unprivileged(pid_t pid)
{
        char path[64], text[4096];
        size_t length;
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        file = fopen(path, "re");
        if (!file)
                return false;
        length = fread(text, 1, sizeof(text) - 1, file);
        (void)fclose(file);
        text[length] = '\0';
        (void)snprintf(path, sizeof(path), "\nUid:\t%1$u\t%1$u\t%1$u\t%1$u\n", BROKER_RUN_VMM_UID);
        return strstr(text, path) && strstr(text, "\nCapPrm:\t0000000000000000\n") &&
               strstr(text, "\nCapEff:\t0000000000000000\n");
}

static void test_granted(struct example *example)
{
        pid_t worker;
        int status;

        if (!start_vmm(example, "blue", "edu0")) {
                is(false, "the VMM starts");
                return;
        }
        is(hear(example) && strstr(example->said, GOOD),
           "the guest has DMA by its own first-stage tables, and sees them invalidated");
        is(is_unprivileged(example->vmm), "the VMM is an ordinary user without a capability");
        is(!process_holds_host_descriptors(example->vmm), "the VMM holds no iommufd and no VFIO");
        is(broker_run_workers(&example->broker, &worker, 1) == 1 &&
                   process_holds_host_descriptors(worker),
           "the worker does");
        status = end_vmm(example);
        is(status == 0, "the VMM ends with the guest's status");
        is(audited(example, 1, "mode", "first-stage"), "the broker attached a first-stage table");
        is(audited(example, 1, "request", "Invalidate"), "and was asked for invalidations");
        is(audited(example, 1, "event", "worker-ended"), "the VM has ended");
}

static void test_not_granted(struct example *example)
{
        is(start_vmm(example, "blue", "edu1") && end_vmm(example) == VMM_FAILED &&
                   audited(example, 2, "reason", "device-not-granted"),
           "a device that the policy does not name is refused, and the VMM ends");
        is(audited(example, 2, "event", "worker-ended"), "the second VM has ended");
        is(start_vmm(example, "red", "edu0") && hear(example) && strstr(example->said, BAD),
           "where the policy grants no first-stage tables, the guest sees its DMA blocked");
        is(end_vmm(example) == GUEST_FAILED, "and says so");
        is(audited(example, 3, "reason", "mode-not-granted"), "the attachment was refused");
        is(audited(example, 3, "event", "worker-ended"), "the third VM has ended");
}

static void test_lost(struct example *example)
{
        pid_t worker;

        is(start_vmm(example, "blue", "edu0") && hear(example) && strstr(example->said, GOOD),
           "another VM, whose guest waits");
        is(broker_run_workers(&example->broker, &worker, 1) == 1 && kill(worker, SIGKILL) == 0 &&
                   audited(example, 4, "event", "worker-ended"),
           "its worker is killed");
        is(end_vmm(example) == VMM_FAILED, "the VMM ends when the guest asks for something more");
}

int main(int argc, char **argv)
{
        static const char *const modes[] = {
                "modes = passthrough, first-stage\nfirst-stage-tables = 1", "modes = passthrough"};
        static const char *const tenants[] = {"blue", "red"};
        struct broker_run_config config = {.host = "linux", .audit_level = "requests"};
        struct example example = {.console = -1};
        bool ready;

        if (argc != 3 || strcmp(argv[1], "--build") != 0)
                return 2;
        config.build = example.build = argv[2];
        ready = broker_run_prepare(&example.broker) == 0;
        for (size_t i = 0; ready && i < 2; i++) {
                char text[512], name[32];

                (void)snprintf(text, sizeof(text), policy_text, tenants[i], BROKER_RUN_VMM_UID,
                               modes[i]);
                (void)snprintf(name, sizeof(name), "%s.policy", tenants[i]);
                ready = broker_run_add_policy(&example.broker, name, text) == 0;
        }
        if (!ready || broker_run_start(&example.broker, &config) < 0) {
                (void)printf("Bail out! %s\n", example.broker.message);
                return 1;
        }
        is(chown("/dev/kvm", BROKER_RUN_VMM_UID, (gid_t)-1) == 0, "the tenant's user may use KVM");
        test_granted(&example);
        test_not_granted(&example);
        test_lost(&example);
        is(broker_run_stop(&example.broker) == 0, "vtd-brokerd ends cleanly");
        (void)printf("1..%u\n", points);
        return failures == 0 ? 0 : 1;
}
