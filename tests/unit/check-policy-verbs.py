#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check-policy-verbs.py TOOL TYPES.C: what vtd-policy says of policies in words and as JSON.

show --json against the policy it was given, and against the text of show; diff against pairs of files
in which every key differs, both ways round, and over directories; explain against requests at the edge
of every limit, with the reasons as protos/types.c, TYPES.C, names them."""
import json
import os
import re
import subprocess
import sys
import tempfile

TOOL, TYPES = os.path.abspath(sys.argv[1]), sys.argv[2]

SMALL = """format = 1
[tenant]
name = blue
uid = 64001
[vm]
memory = 2GiB
[device net]
pci = 0000:00:04.0
"""

LARGE = """format = 1
[tenant]
name = blue
uid = 64002
gid = 7
label = system_u:system_r:svirt_t:s0:c1,c2
vms = 3
total-memory = 12GiB
total-first-stage-tables = 20
total-pasids = 40
[vm]
memory = 4GiB
mappings = 32
devices = 2
first-stage-tables = 4
pasids = 8
address-width = 57
modes = passthrough, first-stage
first-stage-flags = sre, wpe
erratum-772415 = skip
invalidate-rate = 300000
invalidate-burst = 2048
interrupts = 8
[device net]
vendor-device = 8086:1521
regions = 0:rw, 2:r, config:r
allow = no-reset
[device gpu]
pci = 0000:af:00.0
"""

# One line for each difference; "only narrower" ones are what a total, a group or a label takes away.
SMALL_TO_LARGE = """tenant blue
  narrower  no longer: processes of user 64001 may connect (blue.policy:4)
  wider     processes of user 64002 may connect (blue.policy:4)
  narrower  processes of group 7 may connect (blue.policy:5), was any (default)
  narrower  processes labelled system_u:system_r:svirt_t:s0:c1,c2 may connect (blue.policy:6), was any (default)
  wider     the tenant may have 3 VMs at once (blue.policy:7), was 1 (default)
  narrower  all its VMs together may have 12GiB of guest memory mapped (blue.policy:8), was 262144TiB (default)
  narrower  all its VMs together may have 20 first-stage tables (blue.policy:9), was 16384 (default)
  narrower  all its VMs together may have 40 PASIDs attached (blue.policy:10), was 64512 (default)
  wider     each VM may have 4GiB of guest memory mapped (blue.policy:12), was 2GiB (blue.policy:6)
  wider     each VM may have 32 mappings of guest memory (blue.policy:13), was 16 (default)
  wider     each VM may have 2 devices plugged (blue.policy:14), was 1 (default)
  wider     each VM may have 4 first-stage tables (blue.policy:15), was 0 (default)
  wider     each VM may have 8 PASIDs attached (blue.policy:16), was 0 (default)
  wider     each VM may have 8 interrupt vectors armed (blue.policy:23), was 0 (default)
  wider     first-stage tables may translate 57 bits (blue.policy:17), was 48 (default)
  wider     devices may be attached by passthrough (blue.policy:18)
  wider     devices may be attached by first-stage (blue.policy:18)
  wider     first-stage entries may use sre (blue.policy:19)
  wider     first-stage entries may use wpe (blue.policy:19)
  wider     mapping memory that cannot be written: skip (blue.policy:20), was refuse (default)
  wider     each VM may send 300000 invalidation entries in a second (blue.policy:21), was 200000 (default)
  wider     each VM may send 2048 invalidation entries beyond its rate (blue.policy:22), was 1024 (default)
  narrower  device net: no longer: it is pci 0000:00:04.0 (blue.policy:7)
  wider     device net: it is vendor-device 8086:1521 (blue.policy:24)
  wider     device net: its region 0 may be read (blue.policy:26)
  wider     device net: its region 2 may be read (blue.policy:26)
  wider     device net: its region config may be read (blue.policy:26)
  wider     device net: its region 0 may be written (blue.policy:26)
  wider     device net: it is taken in spite of no-reset (blue.policy:27)
  wider     device gpu: pci 0000:af:00.0 (blue.policy:28)
23 wider, 7 narrower
"""

# Requests to a VM of LARGE, the words of the verdict, and where they say it comes from.
REQUESTS = [
    ("plug net", "granted (blue.policy:24), if its IOMMU group has no other member, its IOMMU controls snooping"),
    ("plug net", "refused: device-plugged: the VM has it already"),
    ("plug disk", "refused: device-not-granted: there is no such section (blue.policy:2)"),
    ("plug gpu", "granted (blue.policy:28), if its IOMMU group has no other member, it can be reset, "
                 "its IOMMU controls snooping"),
    ("attach net blocked", "granted: every device may be blocked"),
    ("attach net passthrough", "granted (blue.policy:18)"),
    ("attach net first-stage 57 sre wpe pasid 1048575", "granted (blue.policy:18), if the device has such a PASID"),
    ("attach net first-stage eafe", "refused: flags-not-granted: eafe asked, first-stage-flags: sre, wpe "
                                    "(blue.policy:19)"),
    ("attach disk first-stage", "refused: device-not-granted: there is no such section (blue.policy:2)"),
    ("attach net first-stage", "granted (blue.policy:18)"),
    ("attach net first-stage pasid 1", "granted (blue.policy:18), if the device has such a PASID"),
    ("attach gpu first-stage 48", "granted (blue.policy:18)"),
    ("attach gpu first-stage 48 pasid 2", "refused: first-stage-table-limit: 5 asked, first-stage-tables: 4 "
                                          "(blue.policy:15)"),
    ("map 1GiB", "granted (blue.policy:12)"),
    ("map 4GiB", "refused: memory-limit: 5GiB asked, memory: 4GiB (blue.policy:12)"),
    ("map 3GiB", "granted (blue.policy:12)"),
    ("map 4KiB", "refused: memory-limit: 4194308KiB asked, memory: 4GiB (blue.policy:12)"),
    ("map 1TiB read-only", "granted: no device can reach it, erratum-772415: skip (blue.policy:20)"),
    ("region net 0 w", "granted: regions: 0:rw, 2:r, config:r (blue.policy:24)"),
    ("region net 2 r", "granted: regions: 0:rw, 2:r, config:r (blue.policy:24)"),
    ("region net 2 w", "refused: region-not-granted: regions: 0:rw, 2:r, config:r (blue.policy:24)"),
    ("region net config r", "granted: regions: 0:rw, 2:r, config:r (blue.policy:24)"),
    ("region net config w", "refused: config-not-granted: regions: 0:rw, 2:r, config:r (blue.policy:24)"),
    ("interrupts 6", "granted (blue.policy:23)"),
    ("interrupts 3", "refused: interrupt-limit: 9 asked, interrupts: 8 (blue.policy:23)"),
    ("interrupts 2", "granted (blue.policy:23)"),
    ("region gpu 0 r", "refused: region-not-granted: regions: none (blue.policy:28)"),
    ("invalidate 300000 2048", "granted: invalidate-rate: 300000 (blue.policy:21)"),
    ("invalidate 300001", "granted, slowed down: invalidate-rate: 300000 (blue.policy:21), entries merge into "
                          "flushes of the whole table, and answers are delayed by at most 100 ms"),
    ("invalidate 1 2049", "granted, slowed down: invalidate-burst: 2048 (blue.policy:22), entries merge into "
                          "flushes of the whole table, and answers are delayed by at most 100 ms"),
]

# The same with SMALL, which grants next to nothing.
REFUSED = [
    ("plug net", "granted (blue.policy:7), if its IOMMU group has no other member, it can be reset, "
                 "its IOMMU controls snooping"),
    ("attach net passthrough", "refused: mode-not-granted: passthrough asked, modes: none (default)"),
    ("attach net first-stage", "refused: mode-not-granted: first-stage asked, modes: none (default)"),
    ("map 4KiB read-only", "refused: memfd-access: erratum-772415: refuse (default)"),
    ("map 3GiB read-only", "refused: memory-limit: 3GiB asked, memory: 2GiB (blue.policy:6)"),
    ("map 2GiB", "granted (blue.policy:6)"),
]

# With modes granted and nothing else.
MODES = SMALL.replace("memory", "modes = first-stage\nmemory")
LIMITED = [
    ("attach net first-stage pasid 1", "refused: pasid-limit: 1 asked, pasids: 0 (default)"),
    ("attach net first-stage 57", "refused: width-not-granted: 57 asked, address-width: 48 (default)"),
    ("attach net first-stage", "refused: first-stage-table-limit: 1 asked, first-stage-tables: 0 (default)"),
]

MISREAD = {
    "plug": '1:1: "plug"; expected: plug NAME',
    "plug a b": '1:1: "plug"; expected: plug NAME',
    "eject net": '1:1: "eject"; expected: plug, attach, map, region, interrupts or invalidate',
    "": '1:1: ""; expected: words with one blank between two of them',
    "plug  net": '1:6: ""; expected: words with one blank between two of them',
    "attach net sideways": '1:12: "sideways"; expected: blocked, passthrough or first-stage',
    "attach net passthrough 48": '1:24: "48"; expected: 48, 57, sre, eafe or wpe (for first-stage), or pasid PASID',
    "attach net first-stage pasid": '1:24: "pasid"; expected: 48, 57,',
    "attach net first-stage pasid 0": '1:30: PASID is "0": out of range; allowed: 1 to 1048575',
    "map 5": '1:5: SIZE is "5": out of range; allowed: 4KiB to 4194304TiB, whole pages of 4KiB',
    "map 4KiB rw": '1:10: "rw"; expected: read-only, or nothing',
    "region net 6 r": '1:12: BAR is "6": out of range; allowed: 0 to 5',
    "region net 0 x": '1:14: "x"; expected: r or w',
    "invalidate -1": '1:12: RATE is "-1": a number begins with a digit',
    "invalidate 1 0": '1:14: BURST is "0": out of range',
    "plug " + "n" * 200: "1:1: the request has 205 characters; allowed: 159",
    "plug \x1b[31m": '1:6: "\\x1b[31m"; expected: the name of a device',
    "map \x1b": '1:5: SIZE is "\\x1b": a number begins',
}


def run(status, *arguments, err=""):
    """The output of the tool, which must end with @status and write @err and nothing else."""
    ran = subprocess.run([TOOL, *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == status, (arguments, ran)
    assert ran.stderr.startswith(err) if err else ran.stderr == "", (arguments, ran.stderr)
    return ran.stdout


def write(directory, text, name="blue.policy"):
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, 0o600)
    return path


def parse(text):
    """A policy as a program that knows the grammar, and no key, reads it: {section: {key: (value, line)}}."""
    sections = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif number > 1:
            key, _, value = line.partition(" = ")
            section[key] = (value, number)
    return sections


def in_json(value):
    """A value of a policy file as show --json has it."""
    sizes = {"KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}
    if value[-3:] in sizes:
        return int(value[:-3]) << sizes[value[-3:]]
    return int(value) if value.isdigit() else value


def check_json(path, text):
    found = json.loads(run(0, "show", "--json", path))
    assert found["file"] == "blue.policy" and found["format"] == 1
    sections = {"tenant": found["tenant"], "vm": found["vm"]}
    for name, keys in found["devices"].items():
        assert text.splitlines()[keys.pop("line") - 1] == f"[device {name}]"
        sections[f"device {name}"] = keys
    written = parse(text)
    assert sorted(written) == sorted(sections)
    for section, keys in sections.items():
        assert set(written[section]) <= set(keys), (section, keys)
        for key, entry in keys.items():
            value, line = written[section].get(key, (None, None))
            assert entry["line"] == line, (section, key, entry)
            if value is None:
                continue
            if isinstance(entry["value"], list):
                assert sorted(entry["value"]) == sorted(value.split(", ")), (key, entry)
            else:
                assert entry["value"] in (value, in_json(value)), (key, entry)
    return sections


def check_text(path, sections):
    """The text of show says of each key the same line, and "default" where there is none."""
    lines = re.findall(r"^  ([a-z0-9-]+) +.* (line \d+|default)$", run(0, "show", path), flags=re.M)
    wanted = [(key, f"line {entry['line']}" if entry["line"] else "default")
              for keys in sections.values() for key, entry in keys.items()]
    assert lines == wanted, (lines, wanted)


def check_diff(scratch, small, large):
    before, after = check_json(small, SMALL), check_json(large, LARGE)
    for section in ("tenant", "vm"):
        same = [key for key in after[section] if before[section][key]["value"] == after[section][key]["value"]]
        assert same in (["name"], []), f"LARGE must differ in every key of [{section}], not in {same}"
    said = run(2, "diff", small, large)
    assert said == SMALL_TO_LARGE, said
    back = run(2, "diff", large, small).splitlines()
    assert back[-1] == "7 wider, 23 narrower" and len(back) == len(SMALL_TO_LARGE.splitlines())
    assert run(0, "diff", large, large) == "0 wider, 0 narrower\n"
    less = write(scratch + "/less", LARGE.replace("4GiB", "3GiB").replace("0:rw, 2:r,", "0:r,"))
    assert run(1, "diff", large, less) == """tenant blue
  narrower  each VM may have 3GiB of guest memory mapped (blue.policy:12), was 4GiB (blue.policy:12)
  narrower  device net: no longer: its region 2 may be read (blue.policy:26)
  narrower  device net: no longer: its region 0 may be written (blue.policy:26)
0 wider, 3 narrower
"""
    # A default that is written out changes nothing, nor does the order of sections.
    head, _, tail = SMALL.partition("[vm]")
    same = write(scratch + "/same", head + "vms = 1\n" + "[device" + tail.partition("[device")[2] +
                 "[vm]" + tail.partition("[device")[0])
    assert run(0, "diff", small, same) == "0 wider, 0 narrower\n"
    # From one user, group or label to another is wider, too.
    for old, new in (("gid = 7", "gid = 8"), ("c1,c2", "c3")):
        run(2, "diff", large, write(scratch + "/moved", LARGE.replace(old, new)))


def check_directories(scratch):
    old, new = scratch + "/old", scratch + "/new"
    write(old, SMALL)
    write(old, SMALL.replace("blue", "red"), "red.policy")
    write(old, "nonsense", "notes.txt")
    write(new, SMALL, "renamed.policy")
    write(new, SMALL.replace("blue", "green").replace("04.0", "05.0"), "green.policy")
    assert run(2, "diff", old, new) == """tenant red
  narrower  no longer: user 64001 may connect as this tenant (red.policy:2)
  narrower  device net: no longer: pci 0000:00:04.0 (red.policy:7)
tenant green
  wider     user 64001 may connect as this tenant (green.policy:2)
  wider     device net: pci 0000:00:05.0 (green.policy:7)
2 wider, 2 narrower
"""
    assert run(1, "diff", old, write(scratch + "/one", SMALL)).endswith("0 wider, 2 narrower\n")
    write(new, SMALL, "twice.policy")
    assert run(3, "diff", old, new, err=f"{new}/twice.policy:2:1: tenant blue is defined in renamed.policy:2") == ""
    write(new, SMALL + "x\n", "twice.policy")
    run(3, "diff", old, new, err=f"{new}/twice.policy:9:2: ")
    run(3, "diff", old, scratch + "/absent", err=f"{scratch}/absent: cannot be opened")
    run(3, "diff", old, err='vtd-policy: expected "diff OLD NEW"')


def check_explain(scratch, small, large):
    for path, expected in ((large, REQUESTS), (small, REFUSED), (write(scratch + "/modes", MODES), LIMITED)):
        said = run(1, "explain", path, *(request for request, _ in expected))
        assert said == "".join(f"{request}: {verdict}\n" for request, verdict in expected), said
    assert run(0, "explain", small, "plug net", "map 2GiB").count("granted") == 2
    with open(TYPES, encoding="ascii") as file:
        reasons = file.read()
    for _, verdict in REQUESTS + REFUSED + LIMITED:
        reason = re.match(r"refused: ([a-z-]+): ", verdict)
        assert not reason or f'"{reason[1]}"' in reasons, verdict
    for request, error in MISREAD.items():
        assert run(3, "explain", small, request, err=f"request:{error}") == "", request
    run(3, "explain", small, err='vtd-policy: expected "explain FILE REQUEST..."')
    run(3, "explain", scratch + "/absent", "plug net", err=f"{scratch}/absent: cannot be opened")


def main():
    os.umask(0o077)
    with tempfile.TemporaryDirectory() as scratch:
        small, large = write(scratch + "/small", SMALL), write(scratch + "/large", LARGE)
        for path, text in ((small, SMALL), (large, LARGE)):
            check_text(path, check_json(path, text))
        run(1, "show", "--json", write(scratch, "format = 1\n"), err=f"{scratch}/blue.policy:2:1: ")
        run(2, "show", "--json", err="vtd-policy: expected")
        check_diff(scratch, small, large)
        check_directories(scratch)
        check_explain(scratch, small, large)


main()
