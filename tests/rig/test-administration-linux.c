/* SPDX-License-Identifier: MIT */
/*
 * vtd-brokerctl on a real kernel: what check-host finds in each profile of the rig, and grants, tree and
 * revoke with real devices, also one that is unbound while a VM has it.  Runs as root in a rig: BUILD
 * PROFILE.  Prints TAP.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/checked.h"
#include "shared/cleanup.h"
#include "tests/system/admin-client.h"
#include "tests/system/raw-client.h"

#define DEVICE "0000:00:1e.0"
#define SIZE   (UINT64_C(4) << 20)

/* One section by ids, for which any function of the rig's will do. */
static const char policy_text[] = "format = 1\n"
                                  "[tenant]\n"
                                  "name = blue\n"
                                  "uid = 0\n"
                                  "vms = 4\n"
                                  "[vm]\n"
                                  "memory = 16MiB\n"
                                  "first-stage-tables = 4\n"
                                  "modes = passthrough, first-stage\n"
                                  "[device edu0]\n"
                                  "vendor-device = 1234:11e8\n"
                                  "allow = no-reset, no-snoop-control\n";

static unsigned points;
static unsigned failures;

static void is(bool good, const char *what)
{
        points++;
        failures += !good;
        (void)printf("%s %u - %s\n", good ? "ok" : "not ok", points, what);
        (void)fflush(stdout);
}

/* What check-host prints about @check and @subject begins with @state. */
static void finds(const char *output, const char *state, const char *check)
{
        char line[128];

        (void)snprintf(line, sizeof(line), "%-8s %s", state, check);
        is(strstr(output, line) != NULL, line);
}

static void check_host(const char *build, const char *profile)
{
        bool nested = strcmp(profile, "nested") == 0, none = strcmp(profile, "none") == 0;
        char command[256], output[16384];
        size_t used;
        FILE *pipe;

        (void)snprintf(command, sizeof(command), "%s/broker/vtd-brokerctl check-host", build);
        pipe = popen(command, "re");
        if (!pipe) {
                is(false, "check-host runs");
                return;
        }
        used = fread(output, 1, sizeof(output) - 1, pipe);
        output[used] = '\0';
        is(pclose(pipe) == (nested ? 0 : 1 << 8),
           "its exit status says whether something is missing");
        finds(output, "ok", "kernel version: 7.");
        finds(output, "ok", "/dev/iommu: mode");
        finds(output, "ok", "Landlock: ABI");
        finds(output, "ok", "locked memory");
        if (none) {
                finds(output, "missing", "IOMMU: the kernel uses no VT-d unit");
        } else {
                finds(output, "ok", "IOMMU dmar0");
                finds(output, "ok", "scalable mode dmar0");
                finds(output, "ok", "interrupt remapping dmar0");
                finds(output, nested ? "ok" : "missing", "nested translation dmar0");
                finds(output, "ok", "driver " DEVICE);
                finds(output, "ok", "IOMMU group " DEVICE);
        }
        if (failures > 0)
                (void)printf("# %s\n", output);
}

static uint64_t plug(struct raw_client *client)
{
        struct vtd_request request = {.type = VTD_REQUEST_PLUG_DEVICE,
                                      .plug_device = {.name = {"edu0"}}};
        struct vtd_reply reply;

        if (raw_call(client, &request, -1, &reply) != RAW_ANSWERED || reply.refused)
                return 0;
        return reply.plug_device.device;
}

static bool map(struct raw_client *client)
{
        VTD_CLEANUP_FD int fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct vtd_request request = {.type = VTD_REQUEST_MAP_MEMORY, .map_memory = {.size = SIZE}};
        struct vtd_reply reply;

        return fd >= 0 && ftruncate(fd, (off_t)SIZE) == 0 &&
               fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0 &&
               raw_call(client, &request, fd, &reply) == RAW_ANSWERED && !reply.refused;
}

static bool attach(struct raw_client *client, uint64_t device)
{
        struct vtd_request request = {.type = VTD_REQUEST_ATTACH,
                                      .attach = {.device = device,
                                                 .mode = VTD_ATTACH_FIRST_STAGE,
                                                 .root = 0x1000,
                                                 .address_width = 48}};
        struct vtd_reply reply;

        return raw_call(client, &request, -1, &reply) == RAW_ANSWERED && !reply.refused;
}

static bool is_done(const struct vtd_admin_record *end)
{
        if (end && end->kind == VTD_ADMIN_REFUSED)
                (void)printf("# refused: %s\n", vtd_admin_text(end, VTD_ADMIN_K_REASON));
        return end && end->kind == VTD_ADMIN_DONE;
}

/* A grant for the function DEVICE, its VM, and the device in that. */
static uint64_t come_in(struct admin_client *admin, struct raw_client *client)
{
        struct vtd_reply reply;
        const char *socket;

        if (!is_done(admin_ask(admin, "create-vm\ntenant = blue\nname = web1\ndevice = " DEVICE
                                      "\nmemory = 8388608\n")))
                return 0;
        socket = vtd_admin_text(admin_find(admin, VTD_ADMIN_CREATED, 0), VTD_ADMIN_K_SOCKET);
        if (raw_connect(client, socket) < 0 || raw_hello(client, &reply) != RAW_ANSWERED ||
            reply.refused || reply.hello.memory != 8u << 20)
                return 0;
        return plug(client);
}

static void await_no_vm(struct admin_client *admin)
{
        for (unsigned tries = 0; tries < 100; tries++) {
                if (admin_ask(admin, "status\n") && !admin_find(admin, VTD_ADMIN_VM, 0))
                        return;
                (void)usleep(50000);
        }
}

static void administrate(struct admin_client *admin)
{
        struct raw_client client = {.fd = -1};
        const struct vtd_admin_record *device, *table;
        uint64_t handle = come_in(admin, &client);

        is(handle != 0, "a VM comes in by its grant and has the function that was chosen");
        is(map(&client) && attach(&client, handle), "which translates by the guest's tables");
        is(is_done(admin_ask(admin, "tree\ntarget = web1\n")), "its tree is shown");
        device = admin_find(admin, VTD_ADMIN_DEVICE, 0);
        table = admin_find(admin, VTD_ADMIN_FIRST_STAGE, 0);
        is(device && strcmp(vtd_admin_text(device, VTD_ADMIN_K_ADDRESS), DEVICE) == 0 &&
                   vtd_admin_number(device, VTD_ADMIN_K_BUS_MASTER, 0) == 1,
           "with the device, on");
        is(table && vtd_admin_number(table, VTD_ADMIN_K_ROOT, 0) == 0x1000 &&
                   admin_find(admin, VTD_ADMIN_ATTACHMENT, 0),
           "and its table and attachment");
        is(is_done(admin_ask(admin, "revoke-vm\ntarget = web1\nreason = test\n")), "it is revoked");
        is(is_done(admin_ask(admin, "remove-vm\ntarget = web1\n")) ||
                   !admin_find(admin, VTD_ADMIN_VM, 0),
           "and is gone");
        raw_close(&client);
        await_no_vm(admin);
        is(come_in(admin, &client) != 0, "another VM has name and device after it");
        is(is_done(admin_ask(admin, "remove-vm\ntarget = web1\n")), "and is removed");
        raw_close(&client);
}

/* A process that writes DEVICE into the file @name of vfio-pci, "unbind" or "bind". */
static pid_t tell_driver(const char *name)
{
        char path[64];
        pid_t pid = fork();
        int fd;

        if (pid != 0)
                return pid;
        (void)snprintf(path, sizeof(path), "/sys/bus/pci/drivers/vfio-pci/%s", name);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        _exit(fd >= 0 && write(fd, DEVICE, strlen(DEVICE)) > 0 ? 0 : 1);
}

/* Has it done so within @ms? */
static bool is_told(pid_t pid, unsigned ms)
{
        int status;

        for (unsigned waited = 0; waited <= ms; waited += 50) {
                if (waitpid(pid, &status, WNOHANG) == pid)
                        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
                (void)usleep(50000);
        }
        return false;
}

static bool is_audited(struct broker_run *run, const char *event, const char *text)
{
        broker_run_read_audit(run, 500);
        for (size_t i = 0; i < run->n_lines; i++)
                if (audit_is(run->lines[i], "event", event) && strstr(run->lines[i], text))
                        return true;
        return false;
}

static void lose_device(struct broker_run *run, struct admin_client *admin)
{
        struct raw_client client = {.fd = -1};
        pid_t unbinding;

        await_no_vm(admin);
        is(come_in(admin, &client) != 0, "a VM has a device that is then unbound");
        unbinding = tell_driver("unbind");
        is(!is_told(unbinding, 1000), "the kernel waits for the VM");
        is(map(&client), "which is served");
        is(is_done(admin_ask(admin, "revoke-vm\ntarget = web1\nreason = unbound\n")),
           "it is revoked");
        is(is_told(unbinding, 10000), "and the kernel goes on");
        raw_close(&client);
        await_no_vm(admin);
        is(come_in(admin, &client) == 0 &&
                   is_audited(run, "device-refused", "not bound to vfio-pci"),
           "the next VM is refused the device that is not bound");
        is(is_told(tell_driver("bind"), 10000), "it is bound again");
        is(plug(&client) != 0, "and the same VM has it");
        is(is_done(admin_ask(admin, "remove-vm\ntarget = web1\n")), "it is removed");
        raw_close(&client);
}

int main(int argc, char **argv)
{
        const struct broker_run_config config = {
                .build = argv[1], .host = "linux", .audit_level = "refusals", .control = true};
        struct admin_client admin;
        struct broker_run run;

        if (argc != 3)
                return 1;
        check_host(argv[1], argv[2]);
        if (strcmp(argv[2], "nested") == 0) {
                if (broker_run_prepare(&run) < 0 ||
                    broker_run_add_policy(&run, "blue.policy", policy_text) < 0 ||
                    broker_run_start(&run, &config) < 0 || admin_connect(&admin, &run) < 0) {
                        (void)printf("Bail out! %s\n", run.message);
                        return 1;
                }
                administrate(&admin);
                lose_device(&run, &admin);
                admin_close(&admin);
                is(broker_run_stop(&run) == 0, "vtd-brokerd ends in order");
        }
        (void)printf("1..%u\n", points);
        return failures > 0;
}
