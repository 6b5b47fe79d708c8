#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""follow-vmm.py VMM SOCKET [DEVICE SECOND]: the story of tests/vmm told to a vtd-brokerd that somebody else
has started; each step is a line, and the exit status is 0 only if all of them came out as stated.

The VMM runs as user 2001, whose tenant's policy must be that of vtd-story (tests/system/story.c)."""
import os
import socket
import struct
import subprocess
import sys
import time

USER = 2001
REPORT = struct.Struct("??2xII64s240s240s")  # struct story_report, tests/vmm/report.h
STEPS = 16


def text(field):
    return field.split(b"\0")[0].decode()


def start(vmm, scenario, arguments):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(30)

    def become_tenant():
        os.dup2(theirs.fileno(), 3, inheritable=True)
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)

    process = subprocess.Popen([vmm, arguments[0], scenario, *arguments[1:]], pass_fds=[3],
                               preexec_fn=become_tenant)
    theirs.close()
    return process, ours


def follow(vmm, scenario, arguments):
    """How many steps came out as stated; the VMM is killed when it holds still."""
    process, reports = start(vmm, scenario, arguments)
    steps = 0
    while True:
        record = reports.recv(REPORT.size)
        if len(record) != REPORT.size:
            process.wait()
            return steps
        good, last, _, _, title, guest, saw = REPORT.unpack(record)
        if last:
            process.kill()
            process.wait()
            return steps
        print(f"{'as stated' if good else 'NOT as stated'}: {text(title)}: {text(guest)}: {text(saw)}".replace("\n", "; "))
        steps += good
        reports.send(b"g")


def main():
    vmm, path, *devices = sys.argv[1:]
    devices = devices or ["edu0", "edu1"]
    told = follow(vmm, "story", [path, *devices])
    told_next = 0
    for _ in range(50):  # until the first VM's end is over: its policy allows one at a time
        told_next = follow(vmm, "next-owner", [path, devices[0]])
        if told_next > 0:
            break
        time.sleep(0.1)
    print(f"{told} steps, then {told_next}")
    return 0 if told == STEPS - 1 and told_next == 3 else 1


sys.exit(main())
