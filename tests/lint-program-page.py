#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lint-program-page.py PAGE PROGRAM: the manual page formats without a warning, and explains the options
that PROGRAM --help names, all of them and no other."""
import re
import subprocess
import sys

OPTION = r"(?<![\w-])--[a-z][a-z-]*"

# -P-c: without escape sequences for terminals.
shown = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-P-cbou", "-rHY=0", sys.argv[1]], check=True,
                       capture_output=True, text=True)
told = subprocess.run([sys.argv[2], "--help"], check=True, capture_output=True, text=True).stdout
page = set(re.findall(OPTION, shown.stdout.replace("\u2010", "-").replace("\u2212", "-")))
known = set(re.findall(OPTION, told))
bad = shown.stderr.splitlines()
bad += [f"{option}: not on the page" for option in sorted(known - page)]
bad += [f"{option}: on the page, but not in --help" for option in sorted(page - known)]
print("\n".join(bad) if bad else f"{len(known)} options")
sys.exit(bool(bad) or not known)
