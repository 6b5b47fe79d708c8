#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the tables of SECURITY.md to those of the code: every system call and ioctl that a worker may
make (broker/sandbox/seccomp_table.c) stands in the table of processes and in that of what a worker
which was taken over can do; every request (protos/types.c) has its argument; every limit
(shared/limits.h) stands there with its value; and none of them stands there that the code has not."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def section(page, title):
    """The text under a title, up to the next one."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, flags=re.M | re.S)
    return found.group(1) if found else ""


def first_cells(text):
    return re.findall(r"^\| ([^|]+) \|", text, flags=re.M)


def compare(what, code, page):
    wrong = [f"{what}: {name} is in the code, but not on the page" for name in sorted(code - page)]
    wrong += [f"{what}: {name} is on the page, but not in the code" for name in sorted(page - code)]
    return wrong if code else [f"{what}: nothing found in the code"]


def calls():
    table = read("broker/sandbox/seccomp_table.c").split("static const struct vtd_seccomp_row")
    rows = "".join(part for part in table[1:] if not part.lstrip().startswith("sanitizer_rows"))
    return (set(re.findall(r"SYS_(\w+)", rows)) - {"ioctl"},
            set(re.findall(r"_CALL\(IOCTL_(\w+)", rows)))


def check_calls(page):
    system_calls, ioctls = calls()
    processes = section(page, "Processes")
    wrong = [f"Processes: {name} is allowed, but not on the page" for name in sorted(system_calls)
             if not re.search(rf"\b{name}\b", processes)]
    wrong += compare("Processes", ioctls, set(re.findall(r"\b((?:IOMMU|VFIO)_[A-Z_]+)\b", processes)))
    harm = " ".join(first_cells(section(page, "A worker that is taken over")))
    wrong += compare("A worker that is taken over", ioctls,
                     set(re.findall(r"\b((?:IOMMU|VFIO)_[A-Z_]+)\b", harm)))
    return wrong


def check_requests(page):
    table = read("protos/types.c").split("#define REQUESTS(ROW)")[1].split("#define")[0]
    names = re.findall(r'ROW\((\w+), "(\w+)"', table)
    built = {name for symbol, name in names if re.search(
        rf"\[VTD_REQUEST_{symbol}\] = {{\w+, [^,]+, (?!not_built)", read("broker/worker/dispatch.c"))}
    cells = first_cells(section(page, "Requests, and why each is safe"))
    return compare("Requests", built | {"reserved requests"},
                   {name for cell in cells[2:] for name in cell.split(", ")})


def check_limits(page):
    code = dict(re.findall(r"^#define (VTD_LIMIT_(?!S_H\b)\w+) +(.+)$", read("shared/limits.h"), flags=re.M))
    rows = dict(re.findall(r"^\| (VTD_LIMIT_\w+) \| ([^|]+) \|", section(page, "Limits"), flags=re.M))
    wrong = compare("Limits", set(code), set(rows))
    for name in sorted(set(code) & set(rows)):
        value = code[name].strip("()").removesuffix("u")
        if rows[name] != value:
            wrong.append(f"Limits: {name} is {value}, the page says {rows[name]}")
    return wrong


def main():
    page = read("SECURITY.md")
    wrong = check_calls(page) + check_requests(page) + check_limits(page)
    for line in wrong:
        print(f"SECURITY.md: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
