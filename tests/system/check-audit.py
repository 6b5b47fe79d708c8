#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check-audit.py BROKERD: the audit file of a running vtd-brokerd: rotated by SIGUSR1, and on a disk that is
full.  Lines are provoked by connections of a user whom the policy does not name.

Works as root and as an ordinary user; only root can have a disk of its own that is full."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # nothing is written beside the sources
from broker_process import ROOT, Broker, wait_for  # pylint: disable=wrong-import-position

BROKERD = os.path.abspath(sys.argv[1])


def lines(path):
    """The lines of an audit file, whole ones only."""
    with open(path, encoding="ascii") as file:
        text = file.read()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def check_rotation(place):
    audit = f"{place}/audit.json"
    broker = Broker(BROKERD, place, {"blue": 4242}, f"--audit-file={audit}")
    broker.wait_ready()
    broker.provoke("blue", 3)
    wait_for("three lines", lambda: len(lines(audit)) == 3)
    assert all(line["event"] == "connection-refused" and line["rule"] == "blue.policy:4" for line in lines(audit))
    os.rename(audit, f"{audit}.1")
    broker.provoke("blue")
    wait_for("a fourth line, in the old file", lambda: len(lines(f"{audit}.1")) == 4)
    broker.process.send_signal(signal.SIGUSR1)
    wait_for("a new file", lambda: os.path.exists(audit))
    broker.provoke("blue", 2)
    wait_for("two lines in the new file", lambda: len(lines(audit)) == 2)
    assert len(lines(f"{audit}.1")) == 4
    # A place that is gone: said, and the file that is open goes on.
    os.rename(audit, f"{audit}.2")
    os.mkdir(audit)
    broker.process.send_signal(signal.SIGUSR1)
    wait_for("the failure is reported", lambda: "Is a directory" in broker.said())
    broker.provoke("blue")
    wait_for("a third line, in the old file", lambda: len(lines(f"{audit}.2")) == 3)
    broker.stop()


def check_full_disk(place):
    disk, audit = f"{place}/disk", f"{place}/disk/audit.json"
    os.mkdir(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "audit", disk], check=True)
    with open(f"{disk}/ballast", "wb") as ballast:
        ballast.write(bytes(20480))
    broker = Broker(BROKERD, place, {"blue": 4242}, f"--audit-file={audit}")
    broker.wait_ready()
    broker.provoke("blue", 100)
    wait_for("the disk is full", lambda: "No space left on device: lines wait" in broker.said())
    kept = len(lines(audit))
    assert 20 < kept < 100, kept
    broker.provoke("blue", 20)  # it is served all the same
    assert len(lines(audit)) == kept and broker.said().count("No space left") == 1
    os.unlink(f"{disk}/ballast")
    # Nothing was lost: all of it had room in memory.  The watchdog tries every two seconds.
    wait_for("everything is written", lambda: len(lines(audit)) == 120)
    assert "audit: lines are written again" in broker.said()
    assert not any("lost" in line for line in lines(audit))
    broker.stop()


def check_refusals(place):
    for options, status, text in (
            (["--audit-file=a", "--audit-fd=2"], 2, "--audit-fd, --audit-file and --audit-journal: one of them"),
            (["--audit-file=a", "--audit-journal"], 2, "one of them at most"),
            (["--audit-file=/nowhere/a"], 1, "audit file /nowhere/a: No such file or directory"),
            ([f"--audit-file={place}"], 1, "Is a directory"),
            (["--audit-journal"], 1, "the journal cannot be reached, /run/systemd/journal/socket")):
        if options == ["--audit-journal"] and os.path.exists("/run/systemd/journal/socket"):
            continue
        broker = Broker(BROKERD, place, {"blue": 4242}, *options)
        assert broker.process.wait(10) == status, (options, broker.said())
        assert text in broker.said(), (options, broker.said())


def main():
    if ROOT and os.environ.get("AUDIT_NAMESPACE") is None and subprocess.run(
            ["unshare", "--mount", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
        os.environ["AUDIT_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])
    os.umask(0o022)
    for check in (check_rotation, check_refusals) + ((check_full_disk,) if "AUDIT_NAMESPACE" in os.environ else ()):
        place = tempfile.mkdtemp()
        os.chmod(place, 0o755)
        try:
            check(place)
            print(check.__name__)
        finally:
            subprocess.run(["umount", f"{place}/disk"], stderr=subprocess.DEVNULL, check=False)
            shutil.rmtree(place)


main()
