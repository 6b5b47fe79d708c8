# SPDX-License-Identifier: MIT
"""Runs kvm-unit-tests' program, a machine's kernel that prints its cases and then ends.

One of its cases waits for an interrupt of the I/O APIC by an entry that names another device, and would
never end.  Then the entry is corrected from outside, as software would, and the interrupt raised anew:
that it arrives shows what the program was waiting for, and the cases after it are reached.
"""
import os
import re
import select
import socket
import subprocess
import tempfile

from machine import IQT, REGISTERS
from qtest import Qtest, QtestError

SILENCE_LIMIT = 60  # seconds without output after which the program is ended, which runs a second or two
WAITING_LIMIT = 5  # the same where it is known to wait forever
ANSWER_LIMIT = 10  # seconds for QEMU's answer
WAITING = "\nINTR: alloc IRTE index 1\n"  # what it says before it does
QUEUE = 0  # the program enables the queue without giving it an address
IOAPIC = 0xFF00  # requester id of q35's I/O APIC, as its ACPI table (DMAR) has it
ENTRY_SIZE, ENTRY_INDEX = 16, 1
SVT_SHIFT = 18  # in the upper half of an interrupt remapping table's entry
INVALIDATE_ENTRIES = 4  # a descriptor, for all entries
EDU_RAISE, EDU_ACKNOWLEDGE = 0x60, 0x64


def _correct_entry(text, path):
    """Returns the upper half of the entry as the program wrote it."""
    table = re.search(r"^IR table address: (0x[0-9a-f]+)", text, flags=re.M)
    edu = re.search(r"^\tBAR#0 \[([0-9a-f]+)-", text, flags=re.M)
    if not table or not edu:
        raise QtestError("the program does not say where the table is, or the device's registers")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_LIMIT)
        connection.connect(path)
        with connection.makefile("rw", encoding="ascii") as stream:
            qtest = Qtest(stream, stream)
            address = int(table.group(1), 16) + ENTRY_SIZE * ENTRY_INDEX + 8
            upper = qtest.read(address)
            qtest.write(address, upper & ~0xFFFF | IOAPIC)
            qtest.write(QUEUE, INVALIDATE_ENTRIES)
            qtest.write(QUEUE + 8, 0)
            qtest.write(REGISTERS + IQT, 16)
            registers = int(edu.group(1), 16)
            qtest.write(registers + EDU_ACKNOWLEDGE, 1, "l")
            qtest.write(registers + EDU_RAISE, 1, "l")
    return upper


class FlatRun:
    """What the program printed (`text`), how much of it before it was helped (`helped_at`, or None), and
    the upper half of the entry as it was (`entry`, or None)."""

    def __init__(self, qemu, accelerator, device, program, firmware):
        self.text, self.helped_at, self.entry = "", None, None
        with tempfile.TemporaryDirectory(prefix="vtd-peers-") as scratch:
            self.qtest_path = os.path.join(scratch, "qtest")
            command = [qemu, "-M", "q35,kernel-irqchip=split", "-accel", accelerator, "-smp", "4", "-nodefaults",
                       "-no-reboot", "-display", "none", "-serial", "stdio",
                       "-qtest", f"unix:{self.qtest_path},server=on,wait=off", "-qtest-log", "none",
                       "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4",
                       "-device", device, "-device", "edu", "-kernel", program]
            for folder in firmware:
                command += ["-L", folder]
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT) as process:
                try:
                    self._read(process.stdout.fileno())
                finally:
                    process.kill()

    def _read(self, output):
        while True:
            waiting = self.text.endswith(WAITING)
            if select.select([output], [], [], WAITING_LIMIT if waiting else SILENCE_LIMIT)[0]:
                data = os.read(output, 65536)
                if not data:
                    return
                self.text += data.decode("ascii", "replace").replace("\r", "")
            elif waiting and self.helped_at is None:
                self._help()
            else:
                return

    def _help(self):
        self.helped_at = len(self.text)
        try:
            self.entry = _correct_entry(self.text, self.qtest_path)
        except (OSError, QtestError) as error:
            self.text += f"The entry could not be corrected: {error}\n"

    def wanted_another(self):
        """None if the entry let only another device's interrupt pass than that of the I/O APIC."""
        if self.entry is None:
            return "no entry of an interrupt remapping table was corrected"
        if self.entry >> SVT_SHIFT & 3 != 1 or self.entry & 0xFFFF == IOAPIC:
            return f"the case's entry, {self.entry:#x} in its upper half, lets the I/O APIC's interrupt pass"
        return None
