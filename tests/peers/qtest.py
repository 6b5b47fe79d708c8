# SPDX-License-Identifier: MIT
"""QEMU's qtest protocol: reaches guest memory, registers and ports of a machine from outside."""


class QtestError(Exception):
    """QEMU did not start, ended, or did not answer as qtest does."""


class Qtest:
    """@reader and @writer are text streams to QEMU; whoever made them limits how long an answer takes."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def ask(self, line):
        try:
            self.writer.write(line + "\n")
            self.writer.flush()
        except BrokenPipeError:
            pass  # the missing answer says so
        while True:
            answer = self.reader.readline()
            if answer.startswith("OK"):
                return answer[2:].strip()
            if not answer.startswith("IRQ"):
                raise QtestError(f"'{line}' was answered '{answer.strip()}'")

    def read(self, address, letter="q"):
        return int(self.ask(f"read{letter} {address:#x}"), 16)

    def write(self, address, value, letter="q"):
        self.ask(f"write{letter} {address:#x} {value:#x}")
