#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the system-call table of SECURITY.md to the one that is loaded: every call and every ioctl
of broker/sandbox/seccomp_table.c is named on the page, and the page names no ioctl beyond them."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def main():
    table = read("broker/sandbox/seccomp_table.c").split("static const struct vtd_seccomp_row")
    rows = "".join(part for part in table[1:] if not part.lstrip().startswith("sanitizer_rows"))
    page = read("SECURITY.md")
    calls = set(re.findall(r"SYS_(\w+)", rows)) - {"ioctl"}
    ioctls = set(re.findall(r"_CALL\(IOCTL_(\w+)", rows))
    named = set(re.findall(r"\b((?:IOMMU|VFIO)_[A-Z_]+)\b", page.split("## Invariants")[0]))
    wrong = [f"{name}: allowed, but not on the page" for name in sorted((calls | ioctls))
             if not re.search(rf"\b{name}\b", page)]
    wrong += [f"{name}: on the page, but not allowed" for name in sorted(named - ioctls)]
    if not calls or not ioctls:
        wrong.append("the table was not understood")
    for line in wrong:
        print(f"SECURITY.md: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
