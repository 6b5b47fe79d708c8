/* SPDX-License-Identifier: MIT */
/*
 * QEMU with a guest, as an unprivileged user in the rig: the console is read line by line, and QEMU is
 * asked for the counters of the virtual IOMMU over its monitor.
 */
#ifndef VTD_TESTS_EMULATOR_H
#define VTD_TESTS_EMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EMULATOR_TEXT 65536u

struct emulator {
        pid_t pid;
        int console;              /* read end */
        char monitor[64];         /* path of the monitor's socket */
        char directory[48];       /* which that is in */
        char text[EMULATOR_TEXT]; /* what the guest's console has said, from the beginning */
        size_t length;
};

struct emulator_counters {
        uint64_t descriptors; /* invalidation descriptors that the guest's unit completed */
        uint64_t requests;    /* to the broker */
        uint64_t invalidates; /* of them Invalidate */
        uint64_t faults;
};

/*
 * Starts a guest that does @task (guest-init), with the broker at @socket.  It has the drive, or if
 * @plugged_later only a port for it.  False if it cannot.
 */
bool emulator_start(struct emulator *emulator, const char *socket, const char *task,
                    bool plugged_later);

/* Plugs the drive into the port. */
bool emulator_plug(const struct emulator *emulator);

/*
 * Reads on until the console has a line that begins with "GUEST @word" more than @before times.  False
 * after @seconds, or when QEMU has ended.
 */
bool emulator_wait(struct emulator *emulator, const char *word, unsigned before, unsigned seconds);

/* What follows "GUEST @word " in the last such line, of at most @size - 1 bytes; "" if there is none. */
void emulator_said(const struct emulator *emulator, const char *word, char *out, size_t size);

/* How many lines begin with "GUEST @word". */
unsigned emulator_count(const struct emulator *emulator, const char *word);

bool emulator_counters(const struct emulator *emulator, struct emulator_counters *counters);

/* How many descriptors of iommufd or VFIO the process has; -1 if that cannot be seen. */
int emulator_host_descriptors(const struct emulator *emulator);

/* SIGKILL, and what it left in the file system is removed. */
void emulator_kill(struct emulator *emulator);

#endif
