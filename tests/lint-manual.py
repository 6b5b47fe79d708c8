#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lint-manual.py FORMAT.md PAGE: the manual page formats without a warning, and explains every key."""
import re
import subprocess
import sys

source = open(sys.argv[1], encoding="ascii").read()
keys = re.findall(r"^\| `([a-z0-9-]+)` \|", source, flags=re.M)
# -P-c: without escape sequences for terminals.
shown = subprocess.run(["groff", "-man", "-ww", "-Tascii", "-P-cbou", sys.argv[2]], check=True,
                       capture_output=True, text=True)
bad = shown.stderr.splitlines()
bad += [f"{key}: not on the page" for key in keys if not re.search(rf"^ +{key}\b", shown.stdout, re.M)]
if len(keys) < 20:
    bad.append(f"only {len(keys)} keys in {sys.argv[1]}")
print("\n".join(bad) if bad else f"{len(keys)} keys")
sys.exit(bool(bad))
