#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares what the shared library exports with the functions that its headers declare.

usage: check_exports.py LIBRARY HEADER...
"""
import re
import subprocess
import sys


def declared(header):
    text = re.sub(r"/\*.*?\*/", "", open(header, encoding="utf-8").read(), flags=re.S)
    return set(re.findall(r"^[^#\n]*?\b(vtd_frontend_\w+)\([^;{]*?\);", text, flags=re.M))


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    # A version node is an absolute symbol.
    return {line.split()[2].split("@")[0] for line in lines if line.split()[1] != "A"}


def main():
    headers = [declared(header) for header in sys.argv[2:]]
    functions, symbols = set().union(*headers), exported(sys.argv[1])
    for name in sorted(functions - symbols):
        print(f"{name} is declared and not exported")
    for name in sorted(symbols - functions):
        print(f"{name} is exported and not declared")
    if not all(headers) or functions != symbols:
        sys.exit(1)
    print(f"{len(functions)} functions declared and exported")


main()
