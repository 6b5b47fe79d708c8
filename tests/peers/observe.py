# SPDX-License-Identifier: MIT
"""The reasons of README.md: why a case of another project's tests cannot apply to the unit, as something
that is observed of the unit itself.  Each check returns None if the reason holds, else what does not."""
import functools

from machine import Machine

SAGAW, BOTH_WIDTHS = 0x1F << 8, 0x6 << 8
SSLPS = 3 << 34
SSTS = 1 << 46
# What intel-iommu-test wants of CAP: ND, FRO, PSI, MAMV, and of ECAP: QI, IR, IRO, MHMV, SMTS, FSTS.
WANTED_CAP = 6 | 0x22 << 24 | 1 << 39 | 18 << 48
WANTED_ECAP = 1 << 1 | 1 << 3 | 0xF << 8 | 0xF << 20 | 1 << 43 | 1 << 47
MGAW, MGAW_48 = 0x3F << 16, 47 << 16
TABLE_MODE_FAULT = 0x30
TYPE_ERROR = 3  # IQERCD.IQEI


class Unit:
    """The unit that a guest sees with one profile of the device."""

    def __init__(self, qemu, device, firmware):
        self.arguments = (qemu, device, firmware)
        with Machine(*self.arguments) as machine:
            self.cap, self.ecap = machine.capabilities()

    def observe(self, reason):
        return {"legacy": self._legacy, "no-second-stage": self._no_second_stage, "widths": self._widths,
                "queue-width": self._queue_width}[reason]()

    @functools.cached_property
    def _legacy_result(self):
        with Machine(*self.arguments) as machine:
            return machine.legacy_mode()

    @functools.cached_property
    def _narrow_queue_result(self):
        with Machine(*self.arguments) as machine:
            return machine.narrow_queue()

    def _legacy(self):
        written, reason = self._legacy_result
        if written:
            return "a write by legacy tables reached memory"
        if reason != TABLE_MODE_FAULT:
            return f"a write by legacy tables left fault reason {reason}, not {TABLE_MODE_FAULT:#x}"
        return None

    def _no_second_stage(self):
        if self.ecap & SSTS or self.cap & (SAGAW | SSLPS):
            return f"CAP {self.cap:#x} and ECAP {self.ecap:#x} show a second stage"
        return None

    def _widths(self):
        if self.cap & SAGAW == BOTH_WIDTHS:
            return f"CAP.SAGAW has both widths: CAP {self.cap:#x}"
        wanted = WANTED_CAP | (SSLPS if self.cap & SAGAW else 0)
        if self.cap & wanted != wanted or self.cap & MGAW != MGAW_48:
            return f"CAP {self.cap:#x} lacks more than widths: {wanted | MGAW_48:#x} is wanted"
        if self.ecap & WANTED_ECAP != WANTED_ECAP:
            return f"ECAP {self.ecap:#x} lacks what is wanted: {WANTED_ECAP:#x}"
        return None

    def _queue_width(self):
        done, error = self._narrow_queue_result
        if done or error != TYPE_ERROR:
            return f"a descriptor of 128 bits in scalable mode: done {done}, queue error {error}, not {TYPE_ERROR}"
        return None
