#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hold the fields that PROTOCOL.md describes to the schema: every message, every field, its number
and its type, and nothing else.

A message is described by a line that begins with its name in backquotes, then either
"has no fields" or a table whose first three columns are number, `field` and type.
"""
import re
import sys

import check_schema

MESSAGE = re.compile(r"^`([A-Z][A-Za-z]*)`(.*)$")
ROW = re.compile(r"^\| ([0-9]+) \| `([a-z0-9_]+)` \| ([^|]+) \|")


def described(text):
    """{message: [(number, field, type)]} as the page has it; None for a message without table."""
    messages, current = {}, None
    for line in text.splitlines():
        message, row = MESSAGE.match(line), ROW.match(line)
        if message:
            current = message[1]
            if current in messages:
                sys.exit(f"{current} is described twice")
            messages[current] = []
            if "has no fields" in message[2]:
                current = None
        elif line.startswith("#"):
            current = None
        elif row and current:
            messages[current].append((int(row[1]), row[2], row[3].strip()))
    return messages


def defined(text):
    """The same from the schema."""
    return {
        message: [
            (number, name, f"list of {kind}" if label == "repeated" else kind)
            for label, kind, name, number, _ in fields
        ]
        for message, fields in check_schema.Parser(text).parse().items()
    }


def main():
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} SCHEMA PAGE")
    with open(sys.argv[1], encoding="ascii") as schema:
        expected = defined(schema.read())
    with open(sys.argv[2], encoding="utf-8") as page:
        found = described(page.read())
    for message in sorted(expected.keys() | found.keys()):
        if expected.get(message) != found.get(message):
            sys.exit(f"{message}: the page has {found.get(message)}, "
                     f"the schema {expected.get(message)}")


if __name__ == "__main__":
    main()
