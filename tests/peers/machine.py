# SPDX-License-Identifier: MIT
"""A machine of QEMU that has the virtual IOMMU and an edu device, and whose guest is this program, through
qtest: what a guest can observe of the unit, by which run judges whether a peer's case can apply to it.

The machine has a limit in time, and ends with the object.
"""
import subprocess
import threading

from qtest import Qtest, QtestError

REGISTERS = 0xFED90000
CAP, ECAP, GCMD, GSTS, RTADDR, FSTS = 0x08, 0x10, 0x18, 0x1C, 0x20, 0x34
IQT, IQA, IQERCD = 0x88, 0x90, 0xB0
TE, SRTP, QIE = 1 << 31, 1 << 30, 1 << 26
SCALABLE = 1 << 10  # of RTADDR
IQE = 1 << 4  # of FSTS
FAULT_F = 1 << 63  # in the upper half of a fault record

LIMIT = 30  # seconds that the machine may live

EDU_DEVFN = 0x20
EDU_BAR = 0xE0000000
EDU_SOURCE, EDU_TARGET, EDU_COUNT, EDU_COMMAND = 0x80, 0x88, 0x90, 0x98
EDU_BUFFER = 0x40000
EDU_WRITE_MEMORY = 3  # start, from the device's buffer to memory
EDU_DURATION = 1_000_000_000  # nanoseconds of the machine's clock, far more than a DMA takes

ROOT_TABLE, CONTEXT_TABLE, QUEUE, STATUS, TARGET = 0x10000000, 0x10001000, 0x10020000, 0x10028000, 0x10100000
PRESENT, PASS_THROUGH, WIDTH_48 = 1, 2 << 2, 2
WAIT_STATUS = 5 | 1 << 5 | 1 << 32  # a wait descriptor that writes 1
UNTOUCHED = 0xA5A5A5A5


class Machine:
    def __init__(self, qemu, device, firmware):
        command = [qemu, "-M", "q35", "-m", "512", "-nodefaults", "-display", "none", "-accel", "qtest",
                   "-qtest", "stdio", "-qtest-log", "none", "-device", device,
                   "-device", f"edu,addr={EDU_DEVFN >> 3:x},dma_mask=0xffffffff"]
        for folder in firmware:
            command += ["-L", folder]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.watchdog = threading.Timer(LIMIT, self.process.kill)
        self.watchdog.start()
        self.qtest = Qtest(self.process.stdout, self.process.stdin)

    def __enter__(self):
        return self

    def __exit__(self, _, error, __):
        self.watchdog.cancel()
        self.process.kill()
        said = self.process.stderr.read().strip()
        self.process.communicate()
        if isinstance(error, QtestError):
            raise QtestError(f"{error}; QEMU said: {said}") from error

    def register(self, offset, letter="q"):
        return self.qtest.read(REGISTERS + offset, letter)

    def set_register(self, offset, value, letter="q"):
        self.qtest.write(REGISTERS + offset, value, letter)

    def capabilities(self):
        return self.register(CAP), self.register(ECAP)

    def _configure_edu(self):
        for offset, value in ((0x10, EDU_BAR), (0x04, 0x6)):  # BAR 0; memory and bus mastering
            self.qtest.ask(f"outl 0xcf8 {1 << 31 | EDU_DEVFN << 8 | offset:#x}")
            self.qtest.ask(f"outl 0xcfc {value:#x}")

    def _edu_writes(self, address):
        for offset, value in ((EDU_SOURCE, EDU_BUFFER), (EDU_TARGET, address), (EDU_COUNT, 4),
                              (EDU_COMMAND, EDU_WRITE_MEMORY)):
            self.qtest.write(EDU_BAR + offset, value)
        self.qtest.ask(f"clock_step {EDU_DURATION}")
        if self.qtest.read(EDU_BAR + EDU_COMMAND) & 1:
            raise QtestError("edu's DMA does not end")

    def _command(self, bits, status):
        self.set_register(GCMD, bits, "l")
        if not self.register(GSTS, "l") & status:
            raise QtestError(f"GSTS does not show {status:#x} after GCMD {bits:#x}")

    def legacy_mode(self):
        """Lets edu write to memory by a pass-through entry of legacy tables: whether it got there, and
        the fault reason on record for it, or None."""
        fault = (self.register(CAP) >> 24 & 0x3FF) * 16
        self._configure_edu()
        self.qtest.write(ROOT_TABLE, CONTEXT_TABLE | PRESENT)
        self.qtest.write(CONTEXT_TABLE + EDU_DEVFN * 16, PASS_THROUGH | PRESENT)
        self.qtest.write(CONTEXT_TABLE + EDU_DEVFN * 16 + 8, 1 << 8 | WIDTH_48)
        self.qtest.write(TARGET, UNTOUCHED, "l")
        self.set_register(RTADDR, ROOT_TABLE)
        self._command(SRTP, SRTP)
        self._command(TE, TE)
        self._edu_writes(TARGET)
        record = self.register(fault + 8)
        reason = record >> 32 & 0xFF if record & FAULT_F and record & 0xFFFF == EDU_DEVFN else None
        return self.qtest.read(TARGET, "l") != UNTOUCHED, reason

    def narrow_queue(self):
        """Gives a wait descriptor of 128 bits to a unit in scalable mode: whether it was done, and the
        queue's error (IQERCD.IQEI) or None."""
        self.qtest.write(QUEUE, WAIT_STATUS)
        self.qtest.write(QUEUE + 8, STATUS)
        self.set_register(RTADDR, ROOT_TABLE | SCALABLE)
        self._command(SRTP, SRTP)
        self.set_register(IQA, QUEUE)
        self._command(QIE, QIE)
        self.set_register(IQT, 1 << 4)
        error = self.register(IQERCD) & 0xF if self.register(FSTS, "l") & IQE else None
        return self.qtest.read(STATUS, "l") == 1, error
