/* SPDX-License-Identifier: MIT */
/*
 * What QEMU says when a property is wrong: what it is, which value it has, and what is allowed.  And the
 * connection as a descriptor.
 */
#include "tests/emulator/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WORDS 4u

#define IOMMU  "vtd-broker-iommu"
#define DEVICE "vtd-broker-pci,device=edu0"

struct refusal {
        const char *what;
        const char *iommu;
        const char *socket; /* whose it is connected to; NULL: none */
        const char *device;
        const char *memory; /* NULL: sealed */
        const char *words[WORDS];
};

static const struct refusal refusals[] = {
        {"an unknown profile",
         IOMMU ",profile=third-stage",
         NULL,
         "edu",
         NULL,
         {"'third-stage'", "'first-stage'", "'default'", "'nested'"}},
        {"extended interrupt mode without remapping",
         IOMMU ",intremap=off,eim=on",
         NULL,
         "edu",
         NULL,
         {"eim=on", "intremap=on", "intremap=off"}},
        {"a device-TLB",
         IOMMU ",device-iotlb=on",
         NULL,
         "edu",
         NULL,
         {"device-iotlb=on", "device-iotlb=off"}},
        {"no pass-through", IOMMU ",pt=off", NULL, "edu", NULL, {"pt=off", "pt=on"}},
        {"a socket that is not there", IOMMU, "none", "edu", NULL, {"/none.sock", "No such file"}},
        {"a descriptor that is no socket",
         IOMMU ",broker-fd=0",
         NULL,
         "edu",
         NULL,
         {"broker-fd", "'0'", "SOCK_SEQPACKET"}},
        {"a descriptor that is no number", IOMMU ",broker-fd=seven", NULL, "edu", NULL, {"seven"}},
        {"socket and descriptor",
         IOMMU ",broker-fd=0",
         "blue",
         "edu",
         NULL,
         {"'broker'", "'broker-fd'", "one of them"}},
        {"RAM that is not sealed",
         IOMMU,
         "blue",
         DEVICE,
         "share=on,seal=off",
         {"guest RAM 'ram'", "not sealed", "share=on,seal=on"}},
        {"RAM that is not shared",
         IOMMU,
         "blue",
         DEVICE,
         "share=off,seal=on",
         {"guest RAM 'ram'", "not shared", "share=on,seal=on"}},
        {"a unit without a broker", IOMMU, NULL, DEVICE, NULL, {IOMMU, "broker=PATH"}},
        {"no unit", "edu", NULL, DEVICE, NULL, {IOMMU, "broker=PATH"}},
        {"a policy without configuration space",
         IOMMU,
         "mute",
         DEVICE,
         NULL,
         {"'edu0'", "config:rw"}},
        {"a device that is not granted",
         IOMMU,
         "blue",
         "vtd-broker-pci,device=edu7",
         NULL,
         {"'edu7'", "refused"}},
        {"a device without a name", IOMMU, "blue", "vtd-broker-pci", NULL, {"'device'"}},
};

static void run_refused(struct test *test, const struct refusal *refusal)
{
        char socket[128], iommu[256], memory[128], text[4096];
        const char *const arguments[] = {
                "-M",      "q35,memory-backend=ram",
                "-accel",  "qtest",
                "-object", memory,
                "-m",      "64M",
                "-device", "pcie-root-port,id=bridge",
                "-device", iommu,
                "-device", refusal->device,
                NULL,
        };
        const struct qtest_config config = machine_config(arguments);
        bool good;

        machine_wait_alone(&test->run);
        broker_run_socket_path(&test->run, refusal->socket ? refusal->socket : "", socket,
                               sizeof(socket));
        (void)snprintf(iommu, sizeof(iommu), "%s%s%s", refusal->iommu,
                       refusal->socket ? ",broker=" : "", refusal->socket ? socket : "");
        (void)snprintf(memory, sizeof(memory), "memory-backend-memfd,id=ram,size=64M,%s",
                       refusal->memory ? refusal->memory : "share=on,seal=on");
        good = qtest_refused(&config, text, sizeof(text)) == 0;
        for (unsigned i = 0; i < WORDS && refusal->words[i]; i++)
                good = good && strstr(text, refusal->words[i]);
        if (!is(test, good, refusal->what))
                (void)printf("# %s\n", text);
}

/* vtd-brokerd goes by the user that connects. */
static int connect_as_vmm(const struct sockaddr_un *address)
{
        unsigned uid = geteuid(), vmm = broker_run_vmm_uid();
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        bool good = seteuid(vmm) == 0 &&
                    connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;

        if (!good || seteuid(uid) != 0)
                machine_bail_out("the broker's socket cannot be connected");
        return fd;
}

/* A socket that somebody else has connected. */
static void check_descriptor(struct test *test)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char iommu[64];
        const char *const arguments[] = {
                "-M",      "q35,memory-backend=ram",
                "-accel",  "qtest",
                "-object", "memory-backend-memfd,id=ram,size=64M,share=on,seal=on",
                "-m",      "64M",
                "-device", iommu,
                "-device", DEVICE,
                NULL,
        };
        struct qtest_config config = machine_config(arguments);
        struct qtest *qtest = NULL;

        machine_wait_alone(&test->run);
        broker_run_socket_path(&test->run, TENANT_BLUE, address.sun_path, sizeof(address.sun_path));
        config.inherited = connect_as_vmm(&address);
        (void)snprintf(iommu, sizeof(iommu), IOMMU ",broker-fd=%d", config.inherited);
        is(test, qtest_new(&qtest, &config) == 0,
           "the connection may be a descriptor that is given to QEMU");
        (void)close(config.inherited);
        qtest = qtest_free(qtest);
        machine_wait_alone(&test->run);
}

void test_refusals(struct test *test)
{
        for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
                run_refused(test, &refusals[i]);
        check_descriptor(test);
}
