/* SPDX-License-Identifier: MIT */
/*
 * vtd-vmm: the VMM of the story as a program.  It is started as an unprivileged user, in its own
 * process, with the report socket as descriptor 3 and nothing else of its starter's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/vmm/story-steps.h"

#define REPORT_FD    3
#define GUEST_MEMORY (UINT64_C(16) << 20)

static int usage(FILE *out)
{
        (void)fprintf(
                out,
                "usage: vtd-vmm SOCKET story DEVICE SECOND_DEVICE\n"
                "       vtd-vmm SOCKET next-owner DEVICE\n"
                "\n"
                "Connects to the broker socket SOCKET as a small VMM with 16 MiB of guest memory\n"
                "and runs a guest program against its virtual IOMMU.  After each step it reports\n"
                "on descriptor 3 (tests/vmm/report.h) and waits for a byte before it goes on.\n"
                "Started by vtd-story; not meant to be run by hand.\n");
        return out == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
        struct vtd_log log = {.sink = vtd_log_to_stderr,
                              .opaque = (void *)(uintptr_t) "vtd-vmm",
                              .threshold = VTD_LOG_ERROR};
        struct vmm_config config = {
                .memory = GUEST_MEMORY, .log = &log, .frontend = VTD_FRONTEND_CONFIG_DEFAULT};
        struct story story = {
                .log = &log, .rid = 0x0018, .second_rid = 0x0020, .report_fd = REPORT_FD};
        bool next_owner;
        int result;

        if (argc == 2 && strcmp(argv[1], "--help") == 0)
                return usage(stdout);
        if (argc < 4)
                return usage(stderr);
        next_owner = strcmp(argv[2], "next-owner") == 0;
        if (next_owner ? argc != 4 : argc != 5 || strcmp(argv[2], "story") != 0)
                return usage(stderr);
        config.socket = argv[1];
        story.device = argv[3];
        story.second_device = next_owner ? NULL : argv[4];
        if (vmm_new(&story.vmm, &config) != 0)
                return 1;
        result = next_owner ? story_next_owner(&story) : story_main(&story);
        story.vmm = vmm_free(story.vmm);
        return result == 0 ? 0 : 1;
}
