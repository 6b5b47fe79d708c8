#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lint-vmm.py PAGE VMM SOURCE... -- HEADER...: holds the page for VMM authors to the code.

Each block of C on PAGE stands in VMM or a SOURCE word for word, the functions that it names are those
that the HEADERs declare, all of them, and VMM, a whole program, has less than 200 lines.
"""
import re
import sys


def read(name):
    with open(name, encoding="ascii") as file:
        return file.read()


def check_page(page, sources, headers):
    blocks = re.findall(r"^```c\n(.*?)^```$", page, flags=re.M | re.S)
    wrong = [f"not in a source: {block}" for block in blocks
             if not any("\n" + block in source for source in sources)]
    if not blocks:
        wrong.append("no block of C")
    named = set(re.findall(r"\b(vtd_frontend_\w+)\(", page))
    declared = set()
    for header in headers:
        code = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
        declared.update(re.findall(r"^[^#\n(]*?\b(vtd_frontend_\w+)\([^;{]*?\);", code, flags=re.M))
    if not declared:
        wrong.append("the headers declare no function")
    wrong += [f"not on the page: {name}" for name in sorted(declared - named)]
    wrong += [f"not in a header: {name}" for name in sorted(named - declared)]
    return wrong


def main():
    files = sys.argv[1:]
    split = files.index("--")
    page, vmm = read(files[0]), read(files[1])
    wrong = check_page(page, [read(name) for name in files[1:split]],
                       [read(name) for name in files[split + 1:]])
    lines = vmm.count("\n")
    if lines >= 200:
        wrong.append(f"{files[1]} has {lines} lines, not less than 200")
    print("\n".join(wrong) if wrong else f"{lines} lines")
    return 1 if wrong else 0


sys.exit(main())
