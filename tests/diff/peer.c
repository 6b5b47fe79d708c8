/* SPDX-License-Identifier: MIT */
/*
 * QEMU's side.  The machine never runs: accesses come from the test, not from a CPU.  The one
 * exception is the copier (edu), whose transfers a timer starts; for those the virtual clock runs
 * for a moment, with a CPU that has halted at its first instruction.
 */
#include "tests/diff/side.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/checked.h"
#include "tests/qtest/qtest.h"

#define REGISTERS     UINT64_C(0xfed90000)
#define FIRMWARE_SIZE 0x10000u

/* PCI configuration space. */
#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA    0xcfcu
#define CONFIG_COMMAND 0x04u
#define CONFIG_BAR0    0x10u
#define CONFIG_BUSES   0x18u
#define CONFIG_WINDOW  0x20u
#define COMMAND_ENABLE 0x6u /* memory decoding and bus mastering */
#define BRIDGE_RID     0x0030u
#define BRIDGE_WINDOW  UINT64_C(0xe0000000) /* of 1 MiB */
#define BARS           UINT64_C(0xd0000000) /* of 1 MiB each */
#define BAR_SIZE       UINT64_C(0x100000)
#define RID_BUS(rid)   ((unsigned)(rid) >> 8)

/* iommu-testdev: reading the trigger makes the transfer, if armed. */
enum {
        WRITER_TRIGGER = 0x00,
        WRITER_ADDRESS = 0x04,
        WRITER_ADDRESS_UPPER = 0x08,
        WRITER_LENGTH = 0x0c,
        WRITER_RESULT = 0x10,
        WRITER_DOORBELL = 0x14,
        WRITER_CHECKED = 0x1c, /* where it reads back what it has written, past the IOMMU */
        WRITER_CHECKED_UPPER = 0x20,
};

#define WRITER_DONE     0x00000000u
#define WRITER_FAILED   0xdead0002u
#define WRITER_MISMATCH 0xdead0004u /* not found at WRITER_CHECKED: it is looked for elsewhere */

/* edu; its buffer is at this address for its own DMA engine. */
enum { COPIER_SOURCE = 0x80, COPIER_TARGET = 0x88, COPIER_COUNT = 0x90, COPIER_COMMAND = 0x98 };

#define COPIER_BUFFER 0x40000u
#define COPIER_RUN    0x1u
#define COPIER_OUT    0x2u

/* How often to look for the end of a copy: at once, and then with a pause of 1 ms: a minute. */
#define COPIER_LOOKS  1000u
#define COPIER_PAUSES 60000u

struct peer {
        struct diff_side side;
        struct qtest *qtest;
};

static struct qtest *qtest_of(const struct diff_side *side)
{
        return ((const struct peer *)side)->qtest;
}

static uint64_t bar_of(unsigned device)
{
        return RID_BUS(diff_devices[device].rid) != 0 ? BRIDGE_WINDOW : BARS + device * BAR_SIZE;
}

static int configure_pci(struct qtest *qtest, uint16_t rid, unsigned offset, uint32_t value)
{
        int r = qtest_send(qtest, "outl 0x%x 0x%x", CONFIG_ADDRESS,
                           0x80000000u | (uint32_t)rid << 8 | offset);

        return r != 0 ? r : qtest_send(qtest, "outl 0x%x 0x%x", CONFIG_DATA, value);
}

static int configure_devices(struct qtest *qtest)
{
        const uint32_t window = (BRIDGE_WINDOW >> 16) | BRIDGE_WINDOW;
        int r = 0;

        for (unsigned i = 0; i < DIFF_DEVICES && r == 0; i++) {
                uint16_t rid = diff_devices[i].rid;
                uint32_t bus = RID_BUS(rid);

                if (bus != 0)
                        r = configure_pci(qtest, BRIDGE_RID, CONFIG_BUSES, bus << 16 | bus << 8);
                if (bus != 0 && r == 0)
                        r = configure_pci(qtest, BRIDGE_RID, CONFIG_WINDOW, window);
                if (bus != 0 && r == 0)
                        r = configure_pci(qtest, BRIDGE_RID, CONFIG_COMMAND, COMMAND_ENABLE);
                if (r == 0)
                        r = configure_pci(qtest, rid, CONFIG_BAR0, (uint32_t)bar_of(i));
                if (r == 0)
                        r = configure_pci(qtest, rid, CONFIG_COMMAND, COMMAND_ENABLE);
        }
        return r;
}

/*
 * The copier's timer needs a thread of QEMU's, which on a busy machine waits for a processor, and
 * must not have to compete for it with this one.
 */
static int await_copier(struct qtest *qtest, uint64_t bar)
{
        const struct timespec pause = {.tv_nsec = 1000000};

        for (unsigned i = 0; i < COPIER_LOOKS + COPIER_PAUSES; i++) {
                uint64_t command;
                int r = qtest_get(qtest, &command, "readq 0x%" PRIx64, bar + COPIER_COMMAND);

                if (r != 0 || !(command & COPIER_RUN))
                        return r;
                if (i >= COPIER_LOOKS)
                        (void)nanosleep(&pause, NULL);
        }
        return -ETIMEDOUT;
}

static int copy(struct qtest *qtest, unsigned device, const struct diff_step *step)
{
        const bool out = step->kind == DIFF_COPY_OUT;
        const uint64_t bar = bar_of(device), buffer = COPIER_BUFFER + step->offset;
        int r;

        r = qtest_send(qtest, "writeq 0x%" PRIx64 " 0x%" PRIx64, bar + COPIER_SOURCE,
                       out ? buffer : step->address);
        if (r == 0)
                r = qtest_send(qtest, "writeq 0x%" PRIx64 " 0x%" PRIx64, bar + COPIER_TARGET,
                               out ? step->address : buffer);
        if (r == 0)
                r = qtest_send(qtest, "writeq 0x%" PRIx64 " 0x%x", bar + COPIER_COUNT,
                               step->length);
        if (r == 0)
                r = qtest_send(qtest, "writeq 0x%" PRIx64 " 0x%x", bar + COPIER_COMMAND,
                               COPIER_RUN | (out ? COPIER_OUT : 0));
        if (r == 0)
                r = qtest_qmp(qtest, "cont", NULL);
        if (r == 0)
                r = await_copier(qtest, bar);
        return r != 0 ? r : qtest_qmp(qtest, "stop", NULL);
}

static int reset(struct diff_side *side, bool copier)
{
        /* The copier's buffer survives resets. */
        const struct diff_step clear = {
                .kind = DIFF_COPY_IN, .address = DIFF_DATA, .length = DIFF_BUFFER_SIZE};
        struct qtest *qtest = qtest_of(side);
        int r;

        r = qtest_qmp(qtest, "system_reset", "\"RESET\"");
        if (r == 0)
                r = configure_devices(qtest);
        for (unsigned i = 0; copier && r == 0 && i < DIFF_DEVICES; i++)
                if (diff_devices[i].kind == DIFF_COPIER)
                        r = copy(qtest, i, &clear);
        return r;
}

static int write_pattern(struct qtest *qtest, const struct diff_step *step,
                         struct diff_outcome *outcome)
{
        const uint64_t bar = bar_of(step->device);
        const struct {
                unsigned offset;
                uint32_t value;
        } writes[] = {
                {WRITER_ADDRESS, (uint32_t)step->address},
                {WRITER_ADDRESS_UPPER, (uint32_t)(step->address >> 32)},
                {WRITER_LENGTH, step->length},
                {WRITER_CHECKED, (uint32_t)DIFF_STATUS},
                {WRITER_CHECKED_UPPER, 0},
                {WRITER_DOORBELL, 1},
        };
        uint64_t value;
        int r = 0;

        for (size_t i = 0; i < VTD_ARRAY_SIZE(writes) && r == 0; i++)
                r = qtest_send(qtest, "writel 0x%" PRIx64 " 0x%x", bar + writes[i].offset,
                               writes[i].value);
        if (r == 0)
                r = qtest_get(qtest, &value, "readl 0x%" PRIx64, bar + WRITER_TRIGGER);
        if (r == 0)
                r = qtest_get(qtest, &value, "readl 0x%" PRIx64, bar + WRITER_RESULT);
        if (r != 0)
                return r;
        outcome->completed = value == WRITER_DONE || value == WRITER_MISMATCH;
        return outcome->completed || value == WRITER_FAILED ? 0 : -EPROTO;
}

static int take_step(struct diff_side *side, const struct diff_step *step,
                     struct diff_outcome *outcome)
{
        struct qtest *qtest = qtest_of(side);
        const uint64_t address = REGISTERS + step->address;
        const char width = step->size == 8 ? 'q' : 'l';

        *outcome = (struct diff_outcome){0};
        switch (step->kind) {
        case DIFF_MEMORY:
                return qtest_memory_write(qtest, step->address, step->words,
                                          step->size * sizeof(step->words[0]));
        case DIFF_WRITE:
                return qtest_send(qtest, "write%c 0x%" PRIx64 " 0x%" PRIx64, width, address,
                                  step->words[0]);
        case DIFF_READ:
                return qtest_get(qtest, &outcome->value, "read%c 0x%" PRIx64, width, address);
        case DIFF_DMA:
                return write_pattern(qtest, step, outcome);
        case DIFF_COPY_IN:
        case DIFF_COPY_OUT:
                return copy(qtest, step->device, step);
        }
        return -EINVAL;
}

static int registers(struct diff_side *side, uint8_t page[DIFF_PAGE_SIZE])
{
        return qtest_memory_read(qtest_of(side), REGISTERS, page, DIFF_PAGE_SIZE);
}

static int read_side(struct diff_side *side, uint64_t gpa, void *data, size_t size)
{
        return qtest_memory_read(qtest_of(side), gpa, data, size);
}

static int is_zero(const uint8_t *bytes, size_t size)
{
        return size > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static int write_side(struct diff_side *side, uint64_t gpa, const void *data, size_t size)
{
        if (is_zero(data, size))
                return qtest_send(qtest_of(side), "memset 0x%" PRIx64 " 0x%zx 0x0", gpa, size);
        return qtest_memory_write(qtest_of(side), gpa, data, size);
}

static struct diff_side *peer_free(struct diff_side *side)
{
        struct peer *peer = (struct peer *)side;

        if (!peer)
                return NULL;
        peer->qtest = qtest_free(peer->qtest);
        free(peer);
        return NULL;
}

static const struct diff_side_ops peer_ops = {
        .reset = reset,
        .step = take_step,
        .registers = registers,
        .read = read_side,
        .write = write_side,
        .free = peer_free,
};

/* One row per setup: the properties of intel-iommu. */
static const char *const properties[DIFF_SETUPS] = {
        [DIFF_FIRST_STAGE] = "intel-iommu,intremap=off,scalable-mode=on,fsts=on",
        [DIFF_PASIDS] = "intel-iommu,intremap=off,scalable-mode=on,fsts=on,pasid-bits=8",
        [DIFF_SECOND_STAGE] = "intel-iommu,intremap=off,scalable-mode=on",
};

/* Debian's packages, unpacked: their libraries are newer than this machine's. */
#define LIBRARIES "usr/lib/x86_64-linux-gnu"

static const char *const command[] = {
        LIBRARIES "/ld-linux-x86-64.so.2",
        "--library-path",
        LIBRARIES,
        "usr/bin/qemu-system-x86_64",
        "-L",
        "usr/share/qemu",
        NULL,
};

int peer_new(struct diff_side **out, enum diff_setup setup, const char *oracle)
{
        const char *const arguments[] = {
                "-M",
                "q35,kernel-irqchip=off",
                "-accel",
                "tcg",
                "-icount",
                "shift=0,sleep=off", /* the clock skips to the next timer */
                "-S",
                "-m",
                "64",
                "-device",
                properties[setup],
                "-device",
                "iommu-testdev,addr=04.0,multifunction=on",
                "-device",
                "iommu-testdev,addr=04.2",
                "-device",
                "iommu-testdev,addr=12.0",
                "-device",
                "pcie-root-port,id=bridge,addr=06.0",
                "-device",
                "iommu-testdev,bus=bridge,addr=00.0",
                "-device",
                "edu,addr=0d.0,dma_mask=0xffffffffffffffff",
                NULL,
        };
        /* At the reset vector: no interrupts, halt, and back to the halt should it be left. */
        static const uint8_t halt[] = {0xfa, 0xf4, 0xeb, 0xfd};
        uint8_t *firmware = calloc(1, FIRMWARE_SIZE);
        struct peer *peer = calloc(1, sizeof(*peer));
        int r = -ENOMEM;

        if (firmware && peer) {
                memcpy(firmware + FIRMWARE_SIZE - 16, halt, sizeof(halt));
                peer->side.ops = &peer_ops;
                r = qtest_new(&peer->qtest, &(struct qtest_config){.directory = oracle,
                                                                   .command = command,
                                                                   .arguments = arguments,
                                                                   .firmware = firmware,
                                                                   .firmware_size = FIRMWARE_SIZE});
        }
        free(firmware);
        if (r != 0) {
                free(peer);
                return r;
        }
        *out = &peer->side;
        return 0;
}

const char *peer_version(const struct diff_side *side)
{
        return qtest_version(qtest_of(side));
}
