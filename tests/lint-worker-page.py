#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lint-worker-page.py PAGE EXIT_H EXIT_C CONTROL_H WORKER...: the manual page formats without a warning, has
the statuses with the words of the code and no other, and the fixed descriptors; and each worker program ends
as it says when it is started by hand."""
import re
import subprocess
import sys


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


page, header, source, control, workers = *sys.argv[1:5], sys.argv[5:]
shown = subprocess.run(["groff", "-man", "-ww", "-Tascii", "-P-cbou", "-rLL=200n", page], check=True,
                       capture_output=True, text=True)
bad = shown.stderr.splitlines()

# A name's number is that after "=", or one more than the name's before it.
number, numbers = -1, {}
for name, given in re.findall(r"^ +VTD_WORKER_EXIT_(\w+)(?: = (\d+))?,", read(header), re.M):
    number = int(given) if given else number + 1
    numbers[name] = number
del numbers["END"]
words = dict(re.findall(r'case VTD_WORKER_EXIT_(\w+):\s+return "([^"]+)"', read(source)))
told = dict(re.findall(r"^ +(\d+) +(\S.*)$", shown.stdout.split("EXIT STATUS")[1].split("SEE ALSO")[0], re.M))
expected = {str(numbers[name]): words.get(name) for name in numbers}
bad += [f"{status}: \"{told.get(status)}\" on the page, \"{expected.get(status)}\" in the code"
        for status in sorted(told.keys() | expected.keys()) if told.get(status) != expected.get(status)]

for name, fd in re.findall(r"#define VTD_WORKER_FD_(\w+)\s+(\d+)", read(control)):
    if not re.search(rf"^ +{fd} +{name}\b", shown.stdout, re.M | re.I):
        bad.append(f"descriptor {fd}, {name}: not on the page")

for worker in workers:
    status = subprocess.run([worker], check=False, stdin=subprocess.DEVNULL).returncode
    if status != numbers["INHERITED"] or f"ends with status {status}." not in re.sub(r"\s+", " ", shown.stdout):
        bad.append(f"{worker}: started by hand, it ends with status {status}")
if len(expected) < 10 or not workers:
    bad.append(f"{len(expected)} statuses of {len(workers)} programs checked")
print("\n".join(bad) if bad else f"{len(expected)} statuses")
sys.exit(bool(bad))
