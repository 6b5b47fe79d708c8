#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the sample tables of dmar-samples.c against what Intel's disassembler reads in them.

usage: check-dmar-tables.py WRITE-DMAR-TABLES

Every field of every table is expected, in order.  That the disassembler complains of broken tables
is tried first: without that, its silence would say nothing.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

COMPLAINT = re.compile(r"error|warning|incorrect|invalid|unknown|\*\*", re.I)
FIELD = re.compile(r"^\[[0-9A-F]+h [0-9]+ +[0-9]+\] +([^:]+?) : (.*)$")


def header(length, ids, revisions, width, flags):
    return [("Signature", "DMAR"), ("Table Length", f"{length:08X}"), ("Revision", "01"),
            ("Oem ID", ids[0]), ("Oem Table ID", ids[1]), ("Oem Revision", revisions[0]),
            ("Asl Compiler ID", ids[2]), ("Asl Compiler Revision", revisions[1]),
            ("Host Address Width", f"{width - 1:02X}"), ("Flags", flags),
            ("Reserved", " ".join(["00"] * 10))]


def unit(length, flags, segment, base):
    return [("Subtable Type", "0000 [Hardware Unit Definition]"), ("Length", f"{length:04X}"),
            ("Flags", flags), ("Reserved", "00"), ("PCI Segment Number", segment),
            ("Register Base Address", base)]


def reserved(length, segment, base, limit):
    return [("Subtable Type", "0001 [Reserved Memory Region]"), ("Length", f"{length:04X}"),
            ("Reserved", "0000"), ("PCI Segment Number", segment), ("Base Address", base),
            ("End Address (limit)", limit)]


def scope(kind, enumeration_id, bus, *path):
    return [("Device Scope Type", kind), ("Entry Length", f"{6 + 2 * len(path):02X}"),
            ("Reserved", "0000"), ("Enumeration ID", enumeration_id), ("PCI Bus Number", bus),
            *[("PCI Path", hop) for hop in path]]


ENDPOINT = "01 [PCI Endpoint Device]"
BRIDGE = "02 [PCI Bridge Device]"
IOAPIC = "03 [IOAPIC Device]"
HPET = "04 [Message-capable HPET Device]"
NAMESPACE = "05 [Namespace Device]"

EXPECTED = {
    "all": [
        *header(64, ("VMM   ", "TABLE   ", "VTD "), ("00000001", "00000001"), 39, "00"),
        *unit(16, "01", "0000", "00000000FED90000"),
    ],
    "scopes": [
        *header(108, ("SIXSIX", "EIGHT888", "FOUR"), ("01020304", "FFFEFDFC"), 46, "03"),
        *unit(60, "00", "0000", "00000000FED90000"),
        *scope(IOAPIC, "00", "FF", "00,00"),
        *scope(HPET, "02", "FE", "1F,07"),
        *scope(ENDPOINT, "00", "00", "03,00"),
        *scope(ENDPOINT, "00", "00", "1C,04", "00,00", "02,01"),
        *scope(BRIDGE, "00", "80", "1D,00"),
    ],
    "reserved": [
        *header(177, ("V     ", "T       ", "C   "), ("00000007", "00000008"), 48, "05"),
        *unit(32, "01", "1234", "0000123456789000"),
        *scope(IOAPIC, "08", "FF", "01,00"),
        *scope(NAMESPACE, "01", "00", "15,00"),
        *reserved(32, "1234", "000000007B000000", "000000007B020FFF"),
        *scope(ENDPOINT, "00", "00", "14,00"),
        *reserved(42, "1234", "00000FFFFFFFF000", "00000FFFFFFFFFFF"),
        *scope(ENDPOINT, "00", "00", "02,00"),
        *scope(BRIDGE, "00", "00", "01,00", "00,01"),
        ("Subtable Type", "0004 [ACPI Namespace Device Declaration]"), ("Length", "0017"),
        ("Reserved", "000000"), ("Device Number", "01"), ("Device Name", "\\_SB.PCI0.I2C1"),
    ],
}


def disassemble(table):
    """Returns the lines of the disassembly, and those in which the disassembler complains."""
    listing = table.with_suffix(".dsl")
    try:
        run = subprocess.run(["iasl", "-d", str(table)], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    except FileNotFoundError:
        sys.exit("iasl is missing: it comes with the package acpica-tools")
    lines = listing.read_text(encoding="latin-1").splitlines() if listing.exists() else []
    complaints = [line for line in run.stdout.splitlines() + lines if COMPLAINT.search(line)]
    if run.returncode != 0 or not lines:
        complaints.append(f"iasl ended with {run.returncode} and {len(lines)} lines")
    return lines, complaints


def fields(lines):
    found = [FIELD.match(line) for line in lines]
    pairs = [(match[1], match[2]) for match in found if match and match[1] != "Checksum"]
    # Names of types are part of what is expected; the table's own is only a gloss on the signature.
    return [(name, re.sub(r'^"([^"]*)".*', r"\1", value)) for name, value in pairs]


def break_table(good, path, offset, value):
    data = bytearray(good)
    data[offset] = value
    if offset != 9:
        data[9] = (data[9] - sum(data)) & 0xFF
    path.write_bytes(data)
    return path


def main():
    failures = 0
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.argv[1], directory], check=True, timeout=60)
        tables = sorted(Path(directory).glob("*.dat"))
        if [table.stem for table in tables] != sorted(EXPECTED):
            sys.exit(f"tables {[table.stem for table in tables]}, expected {sorted(EXPECTED)}")
        good = (Path(directory) / "scopes.dat").read_bytes()
        for name, offset, value in (("checksum", 9, good[9] ^ 1), ("table length", 4, 0x70),
                                    ("structure length", 0x32, 0x40), ("scope length", 0x41, 3)):
            path = Path(directory) / f"broken-{name.replace(' ', '-')}.bin"
            if not disassemble(break_table(good, path, offset, value))[1]:
                print(f"the disassembler does not notice a wrong {name}")
                failures += 1
        for table in tables:
            lines, complaints = disassemble(table)
            for complaint in complaints:
                print(f"{table.stem}: {complaint}")
            read, expected = fields(lines), EXPECTED[table.stem]
            for i in range(max(len(read), len(expected))):
                pair = (read[i:i + 1], expected[i:i + 1])
                if pair[0] != pair[1]:
                    print(f"{table.stem}, field {i}: read {pair[0]}, expected {pair[1]}")
                    failures += 1
            failures += len(complaints)
            print(f"{table.stem}: {len(read)} fields, {table.stat().st_size} bytes")
    sys.exit(1 if failures else 0)


main()
