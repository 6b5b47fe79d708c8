#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check-capabilities.py BROKERD SOURCES: what vtd-brokerd --print-capabilities says, beside the pages and
the head of the sandbox, which others hold to the code."""
import json
import os
import re
import subprocess
import sys
import tempfile

BROKERD, SOURCES = sys.argv[1:3]


def read(name):
    with open(os.path.join(SOURCES, name), encoding="utf-8") as file:
        return file.read()


def capabilities(*options):
    return json.loads(subprocess.run([BROKERD, "--print-capabilities", *options], check=True,
                                     capture_output=True, text=True).stdout)


def main():
    found = capabilities("--worker-dir", os.path.dirname(BROKERD))
    page = read("protos/PROTOCOL.md")
    rows = re.findall(r"^\| \d+ \| `(\w+)` \|.*\| (built|reserved) \|$", page, flags=re.M)
    assert found["requests"] == [name for name, state in rows if state == "built"]
    assert found["reserved-requests"] == [name for name, state in rows if state == "reserved"]
    version = re.search(r"This page describes version (\d+)\.(\d+)", page)
    assert found["protocol"] == {"major": int(version[1]), "minor": int(version[2])}
    assert f"vtd-brokerd {found['version']}\n" == subprocess.run(
        [BROKERD, "--version"], check=True, capture_output=True, text=True).stdout

    sections = re.split(r"^## \[(\w+)", read("policy/FORMAT.md"), flags=re.M)
    keys = {name: set(re.findall(r"^\| `([a-z0-9-]+)` \|", text, flags=re.M))
            for name, text in zip(sections[1::2], sections[2::2])}
    assert {name: set(listed) for name, listed in found["policy"]["keys"].items()} == keys
    assert found["policy"]["format"] == int(re.search(r"^format = (\d+)$", read("policy/FORMAT.md"), re.M)[1])

    head = read("broker/sandbox/sandbox.c").split("*/")[1]
    at = 0
    for layer in found["sandbox"]["layers"]:
        at = head.index(layer, at) + 1
    assert len(found["sandbox"]["layers"]) > 6
    assert found["sandbox"]["landlock-abi"] >= found["hosts"]["simulated"]["landlock-abi-min"]

    assert found["audit-levels"] == ["refusals", "requests", "host-calls"]
    for host, program in (("linux", "vtd-broker-worker"), ("simulated", "vtd-broker-worker-sim")):
        assert found["hosts"][host]["worker"] == program and found["hosts"][host]["installed"] is True
    with tempfile.TemporaryDirectory() as empty:
        assert not any(host["installed"] for host in capabilities("--worker-dir", empty)["hosts"].values())
    with open("/dev/full", "w", encoding="ascii") as full:
        assert subprocess.run([BROKERD, "--print-capabilities"], stdout=full, stderr=subprocess.DEVNULL,
                              check=False).returncode == 1


main()
