#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lint-failures.py PAGE SOURCE_ROOT: what the manual page says under WHEN SOMETHING FAILS is what the programs
say, and each of its cases has tests, which are named here."""
import pathlib
import re
import sys

# By the beginning of the case: files, and what names the test in them.
TESTS = {
    "A bad policy when vtd-brokerd starts": {"system/test-start.sh": ["refused_policy"]},
    "A bad policy when policies are read again": {
        "system/test-administration.c": ["test_a_bad_policy_changes_nothing",
                                         "test_a_socket_that_cannot_be_made_changes_nothing"]},
    "A device that is not there": {
        "unit/test-device-files.c": ["what_is_not_there_is_missing"],
        "unit/test-check-host.sh": ["vfio-pci"],
        "rig/test-administration-linux.c": ["the next VM is refused the device that is not bound"]},
    "A device that is taken away": {
        "unit/test-device-files.c": ["what changes between judging a device and having it open is seen"],
        "rig/test-administration-linux.c": ["lose_device(&run"]},
    "A full disk": {
        "unit/test-audit-sink.c": ["test_a_full_disk_takes_whole_lines_and_more_when_there_is_room"],
        "unit/test-audit-log.c": ["test_full_disk_loses_nothing_uncounted"],
        "system/check-audit.py": ["check_full_disk"]},
    "A VMM that dies": {"series/test-teardown.c": ["vmm_is_killed"]},
    "A worker that dies": {
        "series/test-teardown.c": ["worker_is_killed"],
        "system/test-sandbox.c": ["test_killed_worker_is_cleaned_up"]},
    "A worker that hangs": {
        "series/test-teardown.c": ["worker_is_stopped"],
        "series/test-slow-close.c": ["test_a_dead_vm"],
        "system/test-failures.c": ["test_a_killed_worker_that_does_not_end_is_told_of"],
        "system/test-sandbox.c": ["test_worker_that_does_not_answer_is_killed"]},
    "vtd-brokerd that dies": {
        "series/test-teardown.c": ["broker_is_killed"],
        "system/test-sandbox.c": ["test_workers_die_with_vtd_brokerd"]},
    "A second vtd-brokerd": {
        "system/test-sandbox.c": ["test_second_vtd_brokerd_is_refused"],
        "system/test-start.sh": ["a second instance started", "a second instance took the control socket"]},
    "A socket that a dead vtd-brokerd has left": {
        "system/test-start.sh": ["the socket should have outlived vtd-brokerd", "a file was taken for a socket"]},
    "No user is free": {"system/test-failures.c": ["test_without_a_user_no_worker_is_started"]},
    "No descriptor is free": {
        "system/test-failures.c": ["test_without_descriptors_connections_wait",
                                   "test_without_descriptors_nothing_is_half_started",
                                   "test_without_descriptors_devices_and_policies_are_refused",
                                   "test_without_descriptors_a_vm_ends_all_the_same"]},
    "No process or no memory": {
        "system/test-failures.c": ["test_without_processes_no_vm_begins_and_all_end"]},
}

VALUE = "\0"
page, root = sys.argv[1], pathlib.Path(sys.argv[2])


def literals(path):
    """The string literals of a C file as one text, adjacent ones joined, values replaced."""
    text = re.sub(r'"\s*(?:PRI\w+)?\s*"', "", path.read_text(encoding="ascii"))
    return re.sub(r"%\d*(?:ll|z)?[duisx]?", VALUE, "\n".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', text)))


section = pathlib.Path(page).read_text(encoding="ascii").replace("\\-", "-")
section = section.split('.SH "WHEN SOMETHING FAILS"')[1].split("\n.SH ")[0]
said = "\n".join(literals(path) for part in ("broker/brokerd", "policy") for path in (root / part).glob("*.c"))
cases = re.findall(r"^\.TP\n\.B (.*)$", section, re.M)
messages = re.findall(r'^"(.*)"$', section, re.M)
bad = [f'"{message}": nothing says that' for message in messages
       if re.sub(r"\b[A-Z]+\b", VALUE, message) not in said]
bad += [f"{case}: no test is named here" for case in cases if not any(case.startswith(name) for name in TESTS)]
for name, files in TESTS.items():
    if not any(case.startswith(name) for case in cases):
        bad.append(f"{name}: not on the page")
    bad += [f"{name}: tests/{file} has no {test}" for file, tests in files.items() for test in tests
            if test not in (root / "tests" / file).read_text(encoding="utf-8")]
if len(messages) < 10:
    bad.append(f"only {len(messages)} messages found")
print("\n".join(bad) if bad else f"{len(cases)} cases, {len(messages)} messages")
sys.exit(bool(bad))
