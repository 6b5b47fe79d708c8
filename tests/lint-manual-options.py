#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lint-manual-options.py PROGRAM PAGE [COMMAND...]: the manual page formats without a warning, and has
every option that --help names, of the program or of each of its commands, every command, and no other
option."""
import re
import subprocess
import sys


def run(*arguments):
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


program, page, commands = sys.argv[1], sys.argv[2], sys.argv[3:]
shown = subprocess.run(["groff", "-man", "-ww", "-Tascii", "-P-cbou", page], check=True,
                       capture_output=True, text=True)
bad = shown.stderr.splitlines()
helped = set()
for command in commands or [""]:
    helped |= set(re.findall(r"--[a-z-]+", run(program, *command.split(), "--help"))) - {"--help"}
    if command and not re.search(rf"^ +{re.sub(' ', ' +', command)}\b", shown.stdout, flags=re.M):
        bad.append(f"command {command}: not on the page")
if commands:
    listed = re.findall(r"^  ([a-z-]+(?: [a-z-]+)?)  ", run(program, "--help"), flags=re.M)
    bad += [f"command {name}: not checked here" for name in listed if name not in commands]
with open(page, encoding="ascii") as file:
    documented = set(re.findall(r"--[a-z-]+", file.read().replace("\\-", "-")))
bad += [f"{option}: not on the page" for option in sorted(helped - documented)]
bad += [f"{option}: on the page, but no option" for option in sorted(documented - helped)]
if len(helped) < 10:
    bad.append(f"only {len(helped)} options found")
print("\n".join(bad) if bad else f"{len(helped)} options")
sys.exit(bool(bad))
