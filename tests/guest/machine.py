# SPDX-License-Identifier: MIT
"""A machine of the rig, run by another QEMU than the rig's, and what the host does to it meanwhile.

The rig packs the guest's files and starts QEMU; what the guest prints comes at its end.  Until then
the guest asks on its second serial port for what only the host can do, and QEMU is controlled by its
monitor.  The process that runs the guest is looked at all the time: which descriptors it holds.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from qmp import Monitor, MonitorError, connect

HERE = os.path.dirname(os.path.abspath(__file__))
DISK_BYTES = 64 << 20
START_SECONDS = 20
LIMIT_SECONDS = 200  # boots take seconds, unless the host is busy
FORBIDDEN = ("/dev/iommu", "/dev/vfio", "anon_inode:[vfio", "anon_inode:[iommufd", "/dev/kvm")


def interrupt(*_):
    """Ends the program, once, so that what it leaves is removed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("interrupted")


class Descriptors(threading.Thread):
    """Which files a process has open, until it ends."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.looks = 0
        self.seen = set()

    def run(self):
        directory = f"/proc/{self.pid}/fd"
        while True:
            try:
                names = os.listdir(directory)
            except OSError:
                return
            for name in names:
                try:
                    self.seen.add(os.readlink(os.path.join(directory, name)))
                except OSError:  # closed meanwhile
                    continue
            self.looks += 1
            time.sleep(0.1)

    def processor_ns(self):
        """Processor time that it has used so far: a clock that every process has."""
        return time.clock_gettime_ns((~self.pid << 3) | 2)

    def forbidden(self):
        """Those that no VMM may hold."""
        return sorted(f for f in self.seen if f.startswith(FORBIDDEN))


class Machine:
    """One guest, from its first boot to its end; `with` removes what it left."""

    def __init__(self, rig, iommu):
        self.rig = rig
        self.iommu = iommu
        self.work = tempfile.mkdtemp(prefix="vtd-guest-")
        self.options = []
        self.disks = {}
        self.monitor = None
        self.descriptors = []
        self.verbs = {}
        self.process = None
        self.next_boot = None  # options of another process that goes on with this guest
        self.output = ""
        self.status = None
        self.complaints = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.work)

    def path(self, name):
        """A file that lives as long as the machine."""
        return os.path.join(self.work, name)

    def disk(self, name):
        """A new image NAME; its drive has the same name."""
        path = self.path(name + ".img")
        with open(path, "wb") as image:
            image.truncate(DISK_BYTES)
        self.disks[name] = path
        self.qemu("-drive", f"if=none,id={name},format=raw,file={path}")

    def qemu(self, *arguments):
        """More arguments of QEMU."""
        for argument in arguments:
            self.options += ["--qemu-arg", argument]

    def device(self, *devices):
        """More devices."""
        for device in devices:
            self.options += ["--device", device]

    def _command(self, more, program):
        return [os.path.join(self.rig, "run"), "--qemu", os.path.join(HERE, "plain-qemu"),
                "--profile", "none", "--timeout", str(LIMIT_SECONDS), "--device", self.iommu,
                *self.options,
                "--qemu-arg", "-pidfile", "--qemu-arg", self.path("pid"),
                "--qemu-arg", "-qmp", "--qemu-arg", f"unix:{self.path('qmp')},server=on,wait=off",
                "--qemu-arg", "-chardev",
                "--qemu-arg", f"socket,id=asks,path={self.path('asks')},server=on,wait=off",
                "--device", "isa-serial,chardev=asks,index=1", *more, "--", *program]

    def run(self, program):
        """Runs PROGRAM, a list, in the guest; True if the guest came to its end."""
        more = []
        while more is not None:
            self.next_boot = None
            self._run_process(self._command(more, program), bool(more))
            more = self.next_boot
        return not self.complaints

    def _run_process(self, command, resumes):
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with # __exit__ ends it
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace")
        try:
            self._control(resumes)
        except (MonitorError, OSError, ValueError) as error:
            self.complaints.append(f"QEMU cannot be controlled: {error}")
        self.output += self.process.communicate()[0]
        self.status = self.process.returncode
        if self.monitor:
            self.monitor.close()
            self.monitor = None

    def _control(self, resumes):
        self.monitor = Monitor(self.path("qmp"), START_SECONDS)
        with open(self.path("pid"), encoding="ascii") as file:
            self.descriptors.append(Descriptors(int(file.read())))
        self.descriptors[-1].start()
        if resumes:
            self.monitor.wait_migrated(START_SECONDS)
            self.monitor.execute("cont")
        threading.Thread(target=self._answer, args=(resumes,), daemon=True).start()

    def _answer(self, owes_answer):
        """Does what the guest asks for, until QEMU ends."""
        with connect(self.path("asks"), START_SECONDS) as peer, \
                peer.makefile("r", encoding="utf-8", errors="replace") as lines:
            if owes_answer:
                peer.sendall(b"done\n")
            try:
                for line in lines:
                    answer = self._do(line.split())
                    if answer:
                        peer.sendall(answer.encode() + b"\n")
            except OSError:  # QEMU ends
                return

    def _do(self, words):
        try:
            return self.verbs[words[0]](*words[1:])
        except (KeyError, IndexError, TypeError) as error:
            return f"no such question: {words} ({error})"
        except MonitorError as error:
            return str(error)

    def kill(self):
        """Ends QEMU, and with it the rig's script."""
        try:
            with open(self.path("pid"), encoding="ascii") as file:
                os.kill(int(file.read()), signal.SIGKILL)
        except (OSError, ValueError):
            self.process.kill()
        self.process.wait()
